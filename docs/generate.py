# amaranth: UnusedElaboratable=no
"""Fills the marked regions of the pages in this folder with tables made from the code.

``python docs/generate.py`` rewrites the pages, ``python docs/generate.py --check`` changes nothing, names the pages that differ and
exits with 1. A region begins with the line ``<!-- generated: NAME -->`` and ends with the line ``<!-- end -->``. The tables are made in
``hardware.py``, ``formats.py`` and ``figures.py`` beside this file; here each gets its name.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import figures
import formats
import hardware
from reading import PageError, code, constant_table, entry, enumeration, section, table

from spikeloom.arch import config as arch_config
from spikeloom.arch import frame, memory_map, registers
from spikeloom.arch import layout as arch_layout
from spikeloom.arch import learning as arch_learning
from spikeloom.arch import lif as arch_lif
from spikeloom.arch import neuron as arch_neuron
from spikeloom.arch import random as arch_random
from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.frame import Operation
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.learning import First, Learning, Phase, Second
from spikeloom.arch.lif import Lif, Reset
from spikeloom.arch.memory_map import COUNTER_NAMES, regions
from spikeloom.arch.packet import Destination
from spikeloom.boards import build as boards_build
from spikeloom.boards import clocking
from spikeloom.hdl import chip as hdl_chip
from spikeloom.hdl import emitter as hdl_emitter
from spikeloom.hdl import lif as hdl_lif
from spikeloom.hdl import link as hdl_link
from spikeloom.hdl import mesh as hdl_mesh
from spikeloom.hdl import neuron as hdl_neuron
from spikeloom.hdl import outputs as hdl_outputs
from spikeloom.hdl import ram as hdl_ram
from spikeloom.hdl import uart as hdl_uart
from spikeloom.host import bus as host_bus
from spikeloom.host import bus_chip as host_bus_chip
from spikeloom.host import framed_bus as host_framed_bus
from spikeloom.network import nir_graph, nir_import, quantise
from spikeloom.network.plasticity import Plasticity, ShortTerm

__all__ = ["PageError", "entry", "fill", "generators", "main", "pages", "section"]

FOLDER = Path(__file__).resolve().parent
README = FOLDER.parent / "README.md"
BEGIN = re.compile(r"<!-- generated: (.*?) -->")
END = "<!-- end -->"

LIF_WITH_EVERYTHING = Lif(
    leak_bits=9, stochastic_leak=True, current_bits=24, resets="all", negative_threshold=True, threshold_noise_bits=18,
    adaptation_bits=24,
)  # fmt: skip


def generators() -> dict[str, Callable[[], str]]:
    """What fills each region, by its name."""
    result: dict[str, Callable[[], str]] = {
        **figures.generators(),
        "core-parameters": lambda: hardware.parameters(CoreConfig),
        "chip-parameters": lambda: hardware.parameters(ChipConfig),
        "derived-sizes": hardware.derived_sizes,
        "geometry-constants": lambda: constant_table(
            (
                arch_config,
                (
                    "DELAY_SLOTS",
                    "DELAY_BITS",
                    "MAX_DELAY",
                    "MAX_LEVELS",
                    "DELAY_WORD_BITS",
                    "AXON_TYPES",
                    "TYPE_WEIGHT_BITS",
                    "MAX_SIDE",
                    "MAX_OUTPUTS",
                    "PAYLOAD_BITS",
                    "MAX_LINK_LANES",
                ),
            ),
            (arch_layout, ("BUS_WORD_BITS",)),
        ),
        "boards": hardware.board_table,
        "fabrics": hardware.fabric_table,
        "latencies": hardware.latency_table,
        "board-list": hardware.board_list,
        "build-constants": lambda: constant_table((boards_build, ("SEEDS",))),
        "clocking-constants": lambda: constant_table((clocking, ("RESET_CYCLES",))),
        "regions": hardware.region_table,
        "region-ids": hardware.region_ids,
        "layouts": hardware.all_layouts,
        "address-constants": lambda: constant_table(
            (memory_map, ("SPACE_SHIFT", "REGION_SHIFT", "OFFSET_MASK", "CORE_ADDRESS_BITS"))
        ),
        "destinations": lambda: enumeration(Destination, "kind"),
        "resets": lambda: enumeration(Reset, "mode"),
        "registers": formats.register_table,
        "constant-registers": formats.constant_registers,
        "register-constants": lambda: constant_table(
            (
                registers,
                (
                    "PROTOCOL_VERSION",
                    "IDENT",
                    "EVENT_AXON_BITS",
                    "EVENT_CORE_BITS",
                    "OUTPUT_WINDOW",
                    "OUTPUT_WINDOW_WORDS",
                    "OUTPUT_ENTRIES",
                    "ENTRY_BITS",
                    "OUTPUT_TICK_BITS",
                    "ENCODE_STEP_BITS",
                    "INTENSITY_BITS",
                    "INTENSITY_SCALE",
                    "MAX_RUN",
                    "PERIOD_BITS",
                    "MAX_BUS_CORES",
                ),
            )
        ),
        "status-codes": formats.status_table,
        "frame-layout": formats.frame_layout,
        "frame-operations": lambda: enumeration(Operation, "operation"),
        "frame-constants": lambda: constant_table(
            (frame, ("MAX_WORDS", "HEADER_BYTES", "RESPONSE_BYTES", "CRC_BYTES", "RING_BYTES", "REPEAT_WINDOW")),
        ),
        "slip-constants": lambda: table(
            ("constant", "byte"),
            (
                (code(name), code(f"{getattr(frame, name):02X}"))
                for name in ("SLIP_END", "SLIP_ESCAPE", "SLIP_ESCAPED_END", "SLIP_ESCAPED_ESCAPE")
            ),
        ),
        "frame-example": formats.frame_example,
        "link-constants": lambda: constant_table(
            (hdl_link, ("MAX_FRAME", "HELLO_WORDS", "BYTE_CYCLES", "WAIT_CYCLES", "RESET_CYCLES"))
        ),
        "counters": lambda: table(
            ("index", "counter", "meaning"), ((i, code(n), COUNTER_NAMES[n]) for i, n in enumerate(COUNTER_NAMES))
        ),
        "nir-nodes": formats.nir_nodes,
        "nir-constants": lambda: constant_table(
            (nir_import, ("SHORT_STEP", "LONG_STEP", "DIGITS")), (nir_graph, ("LARGEST", "MAX_SIZE"))
        ),
        "quantise-constants": lambda: constant_table((quantise, ("MIN_WEIGHT_BITS", "MAX_WEIGHT_BITS"))),
        "layer-report": lambda: hardware.parameters(quantise.LayerReport),
        "image-file": formats.image_file,
        "image-arrays": formats.image_arrays,
        "encoders": formats.encoders,
        "errors": formats.error_table,
        "commands": formats.command_table,
        "chip-constants": lambda: constant_table((hdl_chip, ("RUN_BITS",))),
        "outputs-constants": lambda: constant_table((hdl_outputs, ("READ_CYCLES", "PLACE_BITS"))),
        "mesh-constants": lambda: constant_table((hdl_mesh, ("TREE",))),
        "packet": hardware.packet_table,
        "emitter-constants": lambda: constant_table((hdl_emitter, ("BLOCK",))),
        "lif-constants": lambda: constant_table(
            (arch_lif, ("RETENTION_FRACTION", "RETENTION_BITS", "NOISE_SHIFT")), (hdl_lif, ("SINGLE_PRODUCT_BITS",))
        ),
        "lif-parameters": lambda: hardware.parameters(Lif),
        "izhikevich-parameters": lambda: hardware.parameters(Izhikevich),
        "adex-parameters": lambda: hardware.parameters(AdEx),
        "lif-words": lambda: "With every option:\n\n" + hardware.model_words(LIF_WITH_EVERYTHING),
        "izhikevich-words": lambda: hardware.model_words(Izhikevich()),
        "learning-parameters": lambda: hardware.parameters(Learning),
        "plasticity-parameters": lambda: hardware.parameters(Plasticity),
        "short-term-parameters": lambda: hardware.parameters(ShortTerm),
        "learning-constants": lambda: constant_table(
            (
                arch_learning,
                (
                    "TRACE_BITS",
                    "TRACE_FRACTION_BITS",
                    "SEEN_BITS",
                    "SEEN_FRACTION_BITS",
                    "FLAG",
                    "DECAY_BITS",
                    "REWARD_BITS",
                    "CHANGE_FRACTION_BITS",
                    "LEARNING_INDEX",
                    "PHASE_INDEX_SHIFT",
                ),
            )
        ),
        "learning-phases": lambda: enumeration(Phase, "phase"),
        "learning-first": lambda: enumeration(First, "first"),
        "learning-second": lambda: enumeration(Second, "second"),
        "adex-words": lambda: hardware.model_words(AdEx()),
        "neuron-constants": lambda: constant_table(
            (arch_neuron, ("RANDOM_BITS", "MAX_MODELS")), (hdl_neuron, ("SUM_LATENCY", "RANDOM_LATENCY"))
        ),
        "random-constants": lambda: constant_table(
            (
                arch_random,
                (
                    "KEY_STEP",
                    "ROW_INDEX",
                    "MIX",
                    "MIX_SHIFTS",
                    "FIELD_POLYNOMIAL",
                    "FIELD_BITS",
                    "UNIT_BITS",
                    "INTENSITY_RANDOM_BITS",
                ),
            )
        ),
        "ram-constants": lambda: constant_table((hdl_ram, ("SPRAM_DEPTH", "SPRAM_WIDTH"))),
        "uart-constants": lambda: constant_table((hdl_uart, ("FRAME_BITS", "MIN_DIVISOR"))),
        "driver-constants": lambda: constant_table((host_bus, ("POLL_LIMIT", "IDLE_POLLS")), (host_bus_chip, ("PART_WORDS",))),
        "framed-bus-constants": lambda: constant_table(
            (
                host_framed_bus,
                ("TIMEOUT", "ATTEMPTS", "BUSY_ATTEMPTS", "LEAST_WINDOW", "MOST_WINDOW", "MOST_REQUESTS"),
            )
        ),
    }
    for name, region in regions(hardware.CORE).items():
        if name != "counters":
            result[f"layout-{name}"] = partial(hardware.layout_table, region)
    # Regions that the example has not.
    typed = CoreConfig(weight_bits=1, stochastic_synapses=True)
    mixed = CoreConfig(models=(Lif(), Izhikevich()), sets=16)
    for name, core, what in (
        ("type_weights", typed, f"{typed.lanes} lanes, stochastic synapses"),
        ("kinds", mixed, f"{len(mixed.models)} models, {mixed.sets} sets"),
    ):
        result[f"layout-{name}"] = partial(hardware.layout_table, regions(core)[name], f"Example: {what}.")
    for name in ("short_term", "short_term_state"):
        region = regions(hardware.SHORT_TERM_CORE)[name]
        result[f"layout-{name}"] = partial(hardware.layout_table, region, f"Example: {hardware.SHORT_TERM_CORE.axons} axons.")
    for name, region in regions(hardware.LEARNING_CORE).items():
        if f"layout-{name}" not in result and name not in ("counters", "seed"):
            result[f"layout-{name}"] = partial(hardware.layout_table, region, hardware.LEARNING_NOTE)
    made: dict[str, str] = {}

    def ports_of(name: str) -> str:
        if not made:
            made.update(hardware.components())
        note = {"mesh": hardware.MESH_NOTE, "learning": hardware.LEARNING_NOTE, "change": hardware.LEARNING_NOTE}
        return f"{note.get(name, hardware.EXAMPLE_NOTE)}\n\n{made[name]}"

    for name in (
        "core", "scheduler", "extractor", "crossbar", "update", "lif", "izhikevich", "adex", "emitter", "counters", "ram", "banked-ram",
        "bus-port", "chip", "mesh", "link", "receiver", "outputs", "encoder", "learning", "change", "short-term",
        "slip-decoder", "slip-encoder", "uart-receiver", "uart-transmitter", "top",
    ):  # fmt: skip
        result[f"ports-{name}"] = partial(ports_of, name)
    return result


def fill(text: str, known: Mapping[str, Callable[[], str]]) -> str:
    """The page with all its regions filled.

    Raises
    ------
    PageError
        If a region has an unknown name or no end, or an end has no region.
    """
    result: list[str] = []
    inside: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        begin = BEGIN.fullmatch(line.strip())
        if begin:
            if inside is not None:
                raise PageError(f"line {number}: region {begin[1]!r} begins inside region {inside!r}; close that one with {END}")
            if begin[1] not in known:
                raise PageError(f"line {number}: no region is called {begin[1]!r}; there are {', '.join(sorted(known))}")
            inside = begin[1]
            result += [line, "", known[inside](), ""]
        elif line.strip() == END:
            if inside is None:
                raise PageError(f"line {number}: {END} without a region before it")
            inside = None
            result.append(line)
        elif inside is None:
            result.append(line)
    if inside is not None:
        raise PageError(f"region {inside!r} has no end; close it with {END}")
    return "\n".join(result) + "\n"


def pages(folder: Path = FOLDER) -> list[Path]:
    """All pages, and the README."""
    return sorted([*folder.rglob("*.md"), README])


def main(arguments: list[str] | None = None) -> int:
    """Fill or check all pages; returns the exit code."""
    parser = argparse.ArgumentParser(description="Fills the generated regions of the documentation.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a page differs")
    check = parser.parse_args(arguments).check
    known = generators()
    failed = False
    for page in pages():
        name = page.relative_to(FOLDER.parent)
        text = page.read_text()
        try:
            filled = fill(text, known)
        except PageError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        if filled == text:
            continue
        if check:
            print(f"{name} differs; run: python docs/generate.py")
            failed = True
        else:
            page.write_text(filled)
            print(f"{name} written")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
