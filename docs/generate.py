# amaranth: UnusedElaboratable=no
"""Fills the marked regions of the pages in this folder with tables made from the code.

``python docs/generate.py`` rewrites the pages, ``python docs/generate.py --check`` changes nothing, names the pages that differ and
exits with 1. A region begins with the line ``<!-- generated: NAME -->`` and ends with the line ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import figures
import typer
from amaranth.hdl import Shape
from amaranth.lib import data, stream, wiring
from reading import code, constants, doc, entry, hexadecimal, members, section, table

from spikeloom.arch import config as arch_config
from spikeloom.arch import errors, frame, memory_map, registers
from spikeloom.arch import layout as arch_layout
from spikeloom.arch import lif as arch_lif
from spikeloom.arch import neuron as arch_neuron
from spikeloom.arch import random as arch_random
from spikeloom.arch.adex import AdEx
from spikeloom.arch.boards import BOARDS, BoardGeometry
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.frame import Operation, Request, seal
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import Field, WordLayout
from spikeloom.arch.lif import Lif, Reset
from spikeloom.arch.memory_map import COUNTER_NAMES, Region, RegionId, regions
from spikeloom.arch.neuron import NeuronModel
from spikeloom.arch.packet import Destination
from spikeloom.arch.registers import REGISTERS, Address, Status
from spikeloom.boards import build as boards_build
from spikeloom.boards import clocking
from spikeloom.boards.flow import SYNTHESIS
from spikeloom.boards.targets import TARGETS, Target
from spikeloom.cli.main import app
from spikeloom.hdl import chip as hdl_chip
from spikeloom.hdl import emitter as hdl_emitter
from spikeloom.hdl import lif as hdl_lif
from spikeloom.hdl import link as hdl_link
from spikeloom.hdl import neuron as hdl_neuron
from spikeloom.hdl import ram as hdl_ram
from spikeloom.hdl import uart as hdl_uart
from spikeloom.hdl.chip import Chip
from spikeloom.hdl.core import Core, empty_tick
from spikeloom.hdl.counters import Counters
from spikeloom.hdl.crossbar import Crossbar
from spikeloom.hdl.emitter import Emitter
from spikeloom.hdl.extractor import Extractor
from spikeloom.hdl.fabric import FABRICS, GENERIC, Fabric
from spikeloom.hdl.link import Link
from spikeloom.hdl.neuron import NeuronPipeline, pipeline_class
from spikeloom.hdl.ram import BankedRam, BusPort, Ram, bus_port
from spikeloom.hdl.scheduler import Scheduler
from spikeloom.hdl.slip import SlipDecoder, SlipEncoder
from spikeloom.hdl.top import Top
from spikeloom.hdl.uart import UartReceiver, UartTransmitter
from spikeloom.hdl.update import Update
from spikeloom.host import bus as host_bus
from spikeloom.host import bus_chip as host_bus_chip
from spikeloom.network import encode, nir_graph, nir_import, quantise
from spikeloom.network import image as network_image

FOLDER = Path(__file__).resolve().parent
README = FOLDER.parent / "README.md"
BEGIN = re.compile(r"<!-- generated: (.*?) -->")
END = "<!-- end -->"

#: The geometry that tables with widths and depths show.
EXAMPLE_BOARD = next(iter(BOARDS.values()))
EXAMPLE = EXAMPLE_BOARD.chip()
CORE = EXAMPLE.cores[0]
LIF_WITH_EVERYTHING = Lif(
    leak_bits=9, stochastic_leak=True, current_bits=24, resets="all", negative_threshold=True, threshold_noise_bits=18,
    adaptation_bits=24,
)  # fmt: skip
EXAMPLE_NOTE = f"Example: the default geometry of `{EXAMPLE_BOARD.name}` ({CORE.weight_bits}-bit weights)."


class PageError(Exception):
    """A page with a region that cannot be filled."""


# Ports ----------------------------------------------------------------------------------------------------------------


def shape_text(shape: Any) -> str:
    """Bits of a port."""
    if isinstance(shape, data.StructLayout):
        return ", ".join(f"{name} {shape_text(field.shape)}" for name, field in shape)
    if isinstance(shape, data.ArrayLayout):
        return f"{shape.length} x {shape_text(shape.elem_shape)}"
    cast = Shape.cast(shape)
    return f"{cast.width} signed" if cast.signed else str(cast.width)


def _payload(signature: Any) -> Any:
    return signature.members["payload"].shape


def ports(thing: object, signature: wiring.Signature, extra: Mapping[str, str] | None = None) -> str:
    """Table of the ports of a component; ``thing`` has the docstring."""
    described = section(thing, "Members")
    rows = []
    for name, member in signature.members.items():
        declared, text = entry(described, name)
        text = text or (extra or {}).get(name, "")
        if member.is_port:
            bits = shape_text(member.shape)
        elif isinstance(member.signature, stream.Signature):
            bits = f"stream: {shape_text(_payload(member.signature))}"
        else:
            bits = "bus port ([ram](ram.md))"
        if declared and not text:
            text = code(declared)
        rows.append((code(name), member.flow.name.lower(), bits, text))
    return table(("port", "direction", "bits", "meaning"), rows)


def components() -> dict[str, str]:
    """Port table of each block, for the example geometry."""
    crossbar = Crossbar(config=CORE, fabric=GENERIC)
    scheduler = Scheduler(config=CORE, fabric=GENERIC)
    blocks: dict[str, Any] = {
        "core": Core(config=CORE),
        "scheduler": scheduler,
        "extractor": Extractor(index_bits=max(1, scheduler.word_bits), width=arch_config.DELAY_WORD_BITS),
        "crossbar": crossbar,
        "update": Update(config=CORE, fabric=GENERIC, sum_latency=crossbar.sum_latency),
        "emitter": Emitter(config=CORE, fabric=GENERIC),
        "counters": Counters(spike_bits=arch_config.bits_for(CORE.pipelines + 1)),
        "ram": Ram(width=CORE.weight_word_bits, depth=CORE.words, fabric=GENERIC),
        "banked-ram": BankedRam(width=regions(CORE)["state"].layout.bits, depth=CORE.neurons, writable=True, fabric=GENERIC),
        "chip": Chip(config=EXAMPLE),
        "link": Link(),
        "slip-decoder": SlipDecoder(),
        "slip-encoder": SlipEncoder(),
        "uart-receiver": UartReceiver(divisor=hdl_uart.MIN_DIVISOR),
        "uart-transmitter": UartTransmitter(divisor=hdl_uart.MIN_DIVISOR),
        "top": Top(config=EXAMPLE, divisor=hdl_uart.MIN_DIVISOR),
    }
    result = {
        name: ports(type(block), block.signature, COUNTER_NAMES if name == "counters" else None) for name, block in blocks.items()
    }
    # The ports of every pipeline are those of the base class, with the words of the model.
    for model in (*CORE.models, Izhikevich(), AdEx()):
        pipeline = pipeline_class(model)(model=model, sum_bits=CORE.sum_bits)
        result[model.NAME] = ports(NeuronPipeline, pipeline.signature)
    result["bus-port"] = ports(BusPort, bus_port(CORE.words, CORE.weight_word_bits))
    return result


# Geometry -------------------------------------------------------------------------------------------------------------


def parameters(kind: type[Any]) -> str:
    """Parameters of a configuration: name, default, and meaning from the docstring."""
    described = section(kind, "Parameters")
    rows = []
    for field in dataclasses.fields(kind):
        declared, text = entry(described, field.name)
        default = "" if field.default is dataclasses.MISSING else code(_value_text(field.default))
        rows.append((code(field.name), declared, default, text))
    return table(("parameter", "type", "default", "meaning"), rows)


def derived_sizes() -> str:
    """Properties of a core geometry."""
    rows = []
    for name, value in vars(CoreConfig).items():
        if isinstance(value, property):
            rows.append((code(name), getattr(CORE, name), doc(value.fget)))
    return f"{EXAMPLE_NOTE}\n\n" + table(("property", "value", "meaning"), rows)


def geometries() -> Iterable[tuple[BoardGeometry, int, CoreConfig, Fabric]]:
    """Board, weight bits, core and fabric of every default geometry."""
    for board in BOARDS.values():
        for bits, core in board.cores.items():
            yield board, bits, core, FABRICS[board.fabric]


def _value_text(value: object) -> str:
    """A value in a table; of a model only what differs from its defaults."""
    if isinstance(value, tuple):
        return ", ".join(_value_text(model) for model in value)
    if isinstance(value, NeuronModel):
        default = type(value)().as_dict()
        changed = [f"{name} {setting}" for name, setting in value.as_dict().items() if setting != default[name]]
        return value.NAME + (f" ({', '.join(changed)})" if changed else "")
    return str(value)


def board_table() -> str:
    """Default geometries: a column per board and weight width."""
    columns = list(geometries())
    head = ("parameter", *(f"{board.name}, {bits} bits" for board, bits, _, _ in columns))
    rows: list[tuple[str, ...]] = [
        ("board", *(board.title for board, _, _, _ in columns)),
        ("fabric", *(code(board.fabric) for board, _, _, _ in columns)),
    ]
    for field in dataclasses.fields(CoreConfig):
        rows.append((code(field.name), *(_value_text(getattr(core, field.name)) for _, _, core, _ in columns)))
    return table(head, rows)


def target_table() -> str:
    """Boards as targets of a build."""
    described = section(Target, "Parameters")
    rows = []
    for field in dataclasses.fields(Target):
        if field.name not in ("name", "platform"):
            values = (code(getattr(target, field.name)) for target in TARGETS.values())
            rows.append((code(field.name), *values, entry(described, field.name)[1]))
    rows.append(("synthesis", *(code(SYNTHESIS[target.family]) for target in TARGETS.values()), "Synthesis command of the family."))
    return table(("property", *TARGETS, "meaning"), rows)


def fabric_table() -> str:
    """Fabrics and their properties."""
    described = section(Fabric, "Parameters")
    names = [field.name for field in dataclasses.fields(Fabric)]
    rows = [
        (code(name), *(code(getattr(fabric, name)) for fabric in FABRICS.values()), entry(described, name)[1]) for name in names
    ]
    return table(("property", *FABRICS, "meaning"), rows)


def latency_table() -> str:
    """What the cycle formulas need, per board geometry."""
    rows = []
    for board, bits, core, fabric in geometries():
        crossbar = Crossbar(config=core, fabric=fabric)
        timing = pipeline_class(core.models[0]).timing_of(core.models[0])
        rows.append(
            (
                f"{board.name}, {bits} bits",
                core.delay_words,
                core.neurons // core.pipelines,
                timing.firing,
                timing.latency,
                crossbar.sum_latency,
                4 if crossbar._late_sums else 3,
                crossbar.weight_delay,
                empty_tick(core),
            )
        )
    head = ("geometry", "D", "R", "firing", "L = latency", "crossbar.sum_latency", "H", "M", "empty tick, cycles")
    return table(head, rows)


# Memory map -----------------------------------------------------------------------------------------------------------


def region_table() -> str:
    """Regions of the example geometry."""
    rows = []
    for region in regions(CORE).values():
        rows.append(
            (
                int(region.id),
                code(region.name),
                region.depth,
                region.layout.bits,
                region.layout.slices,
                region.stride,
                code(hexadecimal(region.address())),
                "image" if region.in_image else "read only",
                region.meaning,
            )
        )
    head = ("region", "name", "words", "bits", "slices", "stride", "first address", "contents from", "meaning")
    return f"{EXAMPLE_NOTE} Addresses of core 0.\n\n" + table(head, rows)


def region_ids() -> str:
    """Region numbers."""
    notes = members(RegionId)
    return table(("region", "name", "meaning"), ((int(r), code(r.name), notes[r.name]) for r in RegionId))


def field_rows(layout: WordLayout) -> Iterable[tuple[object, ...]]:
    """Bits, name and type of each field."""
    position = 0
    for field in layout.fields:
        end = position + field.bits * field.count
        bits = str(position) if end == position + 1 else f"{end - 1}-{position}"
        yield bits, code(field.name), _type(field), f"{field.low} to {field.high}"
        position = end


def _type(field: Field) -> str:
    kind = f"{field.bits} bits {'signed' if field.signed else 'unsigned'}" if field.bits > 1 else "1 bit"
    return f"{field.count} x {kind}" if field.count > 1 else kind + (", stored inverted" if field.inverted else "")


def layout_table(region: Region, note: str = EXAMPLE_NOTE) -> str:
    """Word of one region."""
    if region.variants:
        meaning = f"{region.meaning[0].upper()}{region.meaning[1:]}. Its fields are those of the neuron model, here {CORE.models[0].NAME}."
    else:
        meaning = doc(getattr(memory_map, f"{region.layout.name}_layout"))
    return f"{meaning}\n{note}\n\n" + table(("bits", "field", "type", "range"), field_rows(region.layout))


def model_words(model: NeuronModel) -> str:
    """Words of a neuron model."""
    makers = {
        "parameters": model.parameter_fields, "firing": model.firing_fields, "own": model.own_fields, "state": model.state_fields
    }  # fmt: skip
    parts = []
    for name, layout in model.words().items():
        meaning = doc(getattr(type(model), makers[name].__name__))
        parts.append(f"Word `{name}`: {meaning}\n\n" + table(("bits", "field", "type", "range"), field_rows(layout)))
    return "\n\n".join(parts)


def all_layouts() -> str:
    """Words of all regions."""
    return "\n\n".join(f"### `{name}`\n\n{layout_table(region)}" for name, region in regions(CORE).items())


def enumeration(kind: type[enum.IntEnum], head: str) -> str:
    """Members of an enumeration with their remarks."""
    notes = members(kind)
    return table((head, "name", "meaning"), ((int(member), code(member.name), notes[member.name]) for member in kind))


# Registers and frames -------------------------------------------------------------------------------------------------


def register_table() -> str:
    """All registers."""
    rows = ((code(f"0x{r.address:02X}"), code(r.name), r.access.value, r.meaning) for r in REGISTERS)
    return table(("address", "name", "access", "meaning"), rows)


def constant_registers() -> str:
    """Values of the constant registers of the example geometry."""
    values = registers.constants(EXAMPLE)
    return f"{EXAMPLE_NOTE}\n\n" + table(("register", "value"), ((code(a.name), code(hexadecimal(v))) for a, v in values.items()))


def status_table() -> str:
    """Status codes."""
    notes = members(Status) | {"OK": "Done."}
    return table(("status", "name", "meaning"), ((int(s), code(s.name), notes[s.name]) for s in Status))


def frame_layout() -> str:
    """Layout of the frames, from the module's docstring."""
    text = inspect.getdoc(frame) or ""
    blocks = re.findall(r"^(Request|Response)::\n\n((?:    .*\n?)+)", text, re.MULTILINE)
    parts = [f"{name}:\n\n```text\n{textwrap.dedent(body).rstrip().replace('``', '')}\n```" for name, body in blocks]
    return "\n\n".join(parts)


def _bytes(raw: bytes) -> str:
    return code(" ".join(f"{byte:02X}" for byte in raw))


def frame_example() -> str:
    """A request and its response, byte by byte."""
    axon, delay, sequence = frame.SLIP_END, 1, 7
    word = axon | delay << registers.EVENT_AXON_BITS
    request = Request(sequence, Operation.WRITE, Address.EVENT, 1, (word,))
    line = _delimited(request.encode())
    body = _unescaped(line)[: -frame.CRC_BYTES]
    answer = bytes((sequence, Status.OK)) + (1).to_bytes(2, "little")
    reply = _delimited(seal(answer))
    rows = [
        ("request", "sequence number", _bytes(body[:1]), f"{sequence}; the request before had {sequence - 1}"),
        ("request", "operation", _bytes(body[1:2]), f"`{Operation.WRITE.name}`"),
        ("request", "words", _bytes(body[2:4]), "1"),
        ("request", "address", _bytes(body[4:8]), f"register `{Address.EVENT.name}`"),
        ("request", "data", _bytes(body[8:]), f"axon {axon}, delay {delay}"),
        ("request", "CRC-32", _bytes(_unescaped(line)[len(body) :]), "of the bytes above"),
        ("request", "on the line", _bytes(line), f"{len(line)} bytes; `{frame.SLIP_END:02X}` inside the frame became two bytes"),
        ("response", "sequence number", _bytes(answer[:1]), "that of the request"),
        ("response", "status", _bytes(answer[1:2]), f"`{Status.OK.name}`"),
        ("response", "words", _bytes(answer[2:4]), "1 written"),
        ("response", "CRC-32", _bytes(_unescaped(reply)[len(answer) :]), "of the bytes above"),
        ("response", "on the line", _bytes(reply), f"{len(reply)} bytes"),
    ]
    return table(("frame", "part", "bytes (hexadecimal)", "meaning"), rows)


def _delimited(line: bytes) -> bytes:
    end = bytes((frame.SLIP_END,))
    return end + line.strip(end) + end


def _unescaped(line: bytes) -> bytes:
    pairs = (
        (bytes((frame.SLIP_ESCAPE, frame.SLIP_ESCAPED_END)), frame.SLIP_END),
        (bytes((frame.SLIP_ESCAPE, frame.SLIP_ESCAPED_ESCAPE)), frame.SLIP_ESCAPE),
    )
    inner = line[1:-1]
    for escaped, plain in pairs:
        inner = inner.replace(escaped, bytes((plain,)))
    return inner


# Network --------------------------------------------------------------------------------------------------------------


def nir_nodes() -> str:
    """NIR nodes that the import understands."""
    roles = {**dict.fromkeys(nir_graph.PORT_KINDS, "port"), **dict.fromkeys(nir_graph.LINEAR_KINDS, "linear")}
    rows = []
    for kind in nir_graph.SUPPORTED:
        needed = ", ".join(code(name) for name in nir_graph._PARAMETERS[kind])
        optional = ", ".join(code(name) for name in nir_graph._OPTIONAL.get(kind, ()))
        rows.append((code(kind), roles.get(kind, "neuron"), needed, optional))
    return table(("node", "role", "parameters", "optional"), rows)


def image_file() -> str:
    """Bytes of an image file."""
    magic, version = len(network_image.MAGIC), network_image.VERSION_BYTES
    rows = [
        (f"0-{magic - 1}", "magic", code(repr(network_image.MAGIC)[1:])),
        (f"{magic}-{magic + version - 1}", "format version, little endian", network_image.FORMAT_VERSION),
        (f"{magic + version}-{network_image.HEADER_BYTES - 1}", "SHA-256 of all bytes behind it", ""),
        (
            f"{network_image.HEADER_BYTES}-",
            "a numpy `.npz` archive without pickles",
            f"at most {network_image.MAX_BYTES} bytes in all",
        ),
    ]
    return table(("bytes", "contents", "value"), rows)


def image_arrays() -> str:
    """Members of the archive."""
    rows: list[tuple[str, str, str]] = [("`meta`", "uint8 `[n]`", "JSON text in UTF-8: see below")]
    for name, region in regions(CORE).items():
        if region.in_image:
            rows.append((f"`core0.{name}`", f"uint32 `[{region.depth}, {region.layout.slices}]`", region.meaning))
    described = section(LoadableImage, "Parameters")
    for name in network_image._MAPS:
        rows.append((code(name), "int64 `[n]`", entry(described, name)[1]))
    return f"{EXAMPLE_NOTE}\n\n" + table(("array", "type and shape", "contents"), rows)


def encoders() -> str:
    """Functions of the encode module."""
    rows = []
    for name, function in vars(encode).items():
        if inspect.isfunction(function) and function.__module__ == encode.__name__ and not name.startswith("_"):
            arguments = ", ".join(
                parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default}"
                for parameter in inspect.signature(function).parameters.values()
            )
            rows.append((code(f"{name}({arguments})"), doc(function)))
    return table(("function", "spikes"), rows)


def command_table() -> str:
    """Commands with their arguments and options."""
    parts = []
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        rows = []
        for parameter in command.params:
            if parameter.name == "help":
                continue
            names = (
                ", ".join(code(option) for option in parameter.opts)
                if parameter.opts[0].startswith("-")
                else code(parameter.metavar)
            )
            default = (
                ""
                if parameter.required or parameter.default is None
                else code(getattr(parameter.default, "value", parameter.default))
            )
            rows.append((names, "yes" if parameter.required else "", default, getattr(parameter, "help", "") or ""))
        text = f"### {name}\n\n{doc(command.callback)}"
        parts.append(text + ("\n\n" + table(("argument or option", "needed", "default", "meaning"), rows) if rows else ""))
    return "\n\n".join(parts)


def error_table() -> str:
    """Error classes."""
    rows = []
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, errors.SpikeloomError):
            bases = ", ".join(code(base.__name__) for base in kind.__bases__)
            rows.append((code(name), bases, kind.exit_code, doc(kind)))
    return table(("class", "bases", "exit code", "meaning"), rows)


def constant_table(*groups: tuple[ModuleType, tuple[str, ...]]) -> str:
    """Module constants."""
    rows = [row for module, names in groups for row in constants(module, *names)]
    return table(("constant", "value", "meaning"), rows)


# Pages ----------------------------------------------------------------------------------------------------------------


def generators() -> dict[str, Callable[[], str]]:
    """What fills each region, by its name."""
    result: dict[str, Callable[[], str]] = {
        **figures.generators(),
        "core-parameters": lambda: parameters(CoreConfig),
        "chip-parameters": lambda: parameters(ChipConfig),
        "derived-sizes": derived_sizes,
        "geometry-constants": lambda: constant_table(
            (
                arch_config,
                ("DELAY_SLOTS", "DELAY_BITS", "MAX_DELAY", "MAX_LEVELS", "DELAY_WORD_BITS", "AXON_TYPES", "TYPE_WEIGHT_BITS"),
            ),
            (arch_layout, ("BUS_WORD_BITS",)),
        ),
        "boards": board_table,
        "fabrics": fabric_table,
        "latencies": latency_table,
        "targets": target_table,
        "build-constants": lambda: constant_table((boards_build, ("SEEDS",))),
        "clocking-constants": lambda: constant_table((clocking, ("RESET_CYCLES",))),
        "regions": region_table,
        "region-ids": region_ids,
        "layouts": all_layouts,
        "address-constants": lambda: constant_table(
            (memory_map, ("SPACE_SHIFT", "REGION_SHIFT", "OFFSET_MASK", "CORE_ADDRESS_BITS"))
        ),
        "destinations": lambda: enumeration(Destination, "kind"),
        "resets": lambda: enumeration(Reset, "mode"),
        "registers": register_table,
        "constant-registers": constant_registers,
        "register-constants": lambda: constant_table(
            (registers, ("PROTOCOL_VERSION", "IDENT", "EVENT_AXON_BITS", "OUTPUT_NUMBER_BITS", "OUTPUT_TICK_BITS", "MAX_RUN"))
        ),
        "status-codes": status_table,
        "frame-layout": frame_layout,
        "frame-operations": lambda: enumeration(Operation, "operation"),
        "frame-constants": lambda: constant_table(
            (frame, ("MAX_WORDS", "HEADER_BYTES", "RESPONSE_HEADER_BYTES", "CRC_BYTES")),
        ),
        "slip-constants": lambda: table(
            ("constant", "byte"),
            (
                (code(name), code(f"{getattr(frame, name):02X}"))
                for name in ("SLIP_END", "SLIP_ESCAPE", "SLIP_ESCAPED_END", "SLIP_ESCAPED_ESCAPE")
            ),
        ),
        "frame-example": frame_example,
        "link-constants": lambda: constant_table((hdl_link, ("HALF", "WORD_BYTES", "HELLO_WORDS", "SETTLE_CYCLES"))),
        "counters": lambda: table(
            ("index", "counter", "meaning"), ((i, code(n), COUNTER_NAMES[n]) for i, n in enumerate(COUNTER_NAMES))
        ),
        "nir-nodes": nir_nodes,
        "nir-constants": lambda: constant_table(
            (nir_import, ("SHORT_STEP", "LONG_STEP", "DIGITS")), (nir_graph, ("LARGEST", "MAX_SIZE"))
        ),
        "quantise-constants": lambda: constant_table((quantise, ("MIN_WEIGHT_BITS", "MAX_WEIGHT_BITS"))),
        "layer-report": lambda: parameters(quantise.LayerReport),
        "image-file": image_file,
        "image-arrays": image_arrays,
        "encoders": encoders,
        "errors": error_table,
        "commands": command_table,
        "chip-constants": lambda: constant_table((hdl_chip, ("OUTPUT_QUEUE_DEPTH", "RUN_BITS", "ENTRY_BITS"))),
        "emitter-constants": lambda: constant_table((hdl_emitter, ("BLOCK",))),
        "lif-constants": lambda: constant_table(
            (arch_lif, ("RETENTION_FRACTION", "RETENTION_BITS", "NOISE_SHIFT")), (hdl_lif, ("SINGLE_PRODUCT_BITS",))
        ),
        "lif-parameters": lambda: parameters(Lif),
        "izhikevich-parameters": lambda: parameters(Izhikevich),
        "adex-parameters": lambda: parameters(AdEx),
        "lif-words": lambda: "With every option:\n\n" + model_words(LIF_WITH_EVERYTHING),
        "izhikevich-words": lambda: model_words(Izhikevich()),
        "adex-words": lambda: model_words(AdEx()),
        "neuron-constants": lambda: constant_table(
            (arch_neuron, ("RANDOM_BITS", "MAX_MODELS")), (hdl_neuron, ("SUM_LATENCY", "RANDOM_LATENCY"))
        ),
        "random-constants": lambda: constant_table(
            (arch_random, ("KEY_STEP", "ROW_INDEX", "MIX", "MIX_SHIFTS", "FIELD_POLYNOMIAL", "FIELD_BITS", "UNIT_BITS"))
        ),
        "ram-constants": lambda: constant_table((hdl_ram, ("SPRAM_DEPTH", "SPRAM_WIDTH"))),
        "uart-constants": lambda: constant_table((hdl_uart, ("FRAME_BITS", "MIN_DIVISOR"))),
        "driver-constants": lambda: constant_table((host_bus, ("OUTPUT_CHUNK", "POLL_LIMIT")), (host_bus_chip, ("IDLE_POLLS",))),
    }
    for name, region in regions(CORE).items():
        if name != "counters":
            result[f"layout-{name}"] = partial(layout_table, region)
    # Regions that the example has not.
    typed = CoreConfig(weight_bits=1, stochastic_synapses=True)
    mixed = CoreConfig(models=(Lif(), Izhikevich()), sets=16)
    for name, core, what in (
        ("type_weights", typed, f"{typed.lanes} lanes, stochastic synapses"),
        ("kinds", mixed, f"{len(mixed.models)} models, {mixed.sets} sets"),
    ):
        result[f"layout-{name}"] = partial(layout_table, regions(core)[name], f"Example: {what}.")
    made: dict[str, str] = {}

    def ports_of(name: str) -> str:
        if not made:
            made.update(components())
        return f"{EXAMPLE_NOTE}\n\n{made[name]}"

    for name in (
        "core", "scheduler", "extractor", "crossbar", "update", "lif", "izhikevich", "adex", "emitter", "counters", "ram", "banked-ram",
        "bus-port", "chip", "link", "slip-decoder", "slip-encoder", "uart-receiver", "uart-transmitter", "top",
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
