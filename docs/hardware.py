# amaranth: UnusedElaboratable=no
"""Tables of blocks, geometries and memories, from the code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, stream, wiring
from reading import code, doc, entry, hexadecimal, members, section, table

from spikeloom.arch import config as arch_config
from spikeloom.arch import learning as arch_learning
from spikeloom.arch import memory_map
from spikeloom.arch import short_term as arch_short_term
from spikeloom.arch.adex import AdEx
from spikeloom.arch.boards import BOARDS, BoardGeometry
from spikeloom.arch.config import SIDES, ChipConfig, CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import Field, WordLayout
from spikeloom.arch.learning import Learning
from spikeloom.arch.memory_map import COUNTER_NAMES, Region, RegionId, regions
from spikeloom.arch.neuron import NeuronModel
from spikeloom.arch.packet import packet_layout
from spikeloom.boards.pins import oscillator
from spikeloom.boards.targets import TARGETS
from spikeloom.hdl import uart as hdl_uart
from spikeloom.hdl.change import Changes
from spikeloom.hdl.chip import Chip
from spikeloom.hdl.core import Core, empty_tick
from spikeloom.hdl.counters import Counters
from spikeloom.hdl.crossbar import Crossbar
from spikeloom.hdl.emitter import Emitter
from spikeloom.hdl.encoder import Encoder
from spikeloom.hdl.extractor import Extractor
from spikeloom.hdl.fabric import FABRICS, GENERIC, Fabric
from spikeloom.hdl.learning import LearningUnit
from spikeloom.hdl.link import Link, Receiver
from spikeloom.hdl.mesh import Mesh
from spikeloom.hdl.neuron import NeuronPipeline, pipeline_class
from spikeloom.hdl.outputs import Outputs
from spikeloom.hdl.ram import BankedRam, BusPort, Ram, bus_port
from spikeloom.hdl.scheduler import Scheduler
from spikeloom.hdl.short_term import ShortTerm
from spikeloom.hdl.slip import SlipDecoder, SlipEncoder
from spikeloom.hdl.top import Top
from spikeloom.hdl.uart import UartReceiver, UartTransmitter
from spikeloom.hdl.update import Update

#: The geometry that tables with widths and depths show.
EXAMPLE_BOARD = next(iter(BOARDS.values()))
EXAMPLE = EXAMPLE_BOARD.chip()
CORE = EXAMPLE.cores[0]
EXAMPLE_NOTE = f"Example: the default geometry of `{EXAMPLE_BOARD.name}` ({CORE.weight_bits}-bit weights)."
#: The mesh whose packets and ports are shown.
MESH = ChipConfig(cores=(CoreConfig(),) * 16, columns=4, rows=4, chips_across=2, chips_down=2, payload=True)
MESH_NOTE = (
    f"Example: a mesh of {MESH.columns} x {MESH.rows} cores with {MESH.cores[0].neurons} neurons each, on "
    f"{MESH.chips_across} x {MESH.chips_down} chips; with a payload."
)
#: The core that learns whose ports and words are shown.
LEARNING = Learning(pre_traces=2, post_traces=2, tag_bits=8, membrane_flag=True, terms=16)
LEARNING_CORE = CoreConfig(learning=LEARNING)
LEARNING_NOTE = (
    f"Example: a core of {LEARNING_CORE.neurons} neurons and 8 lanes with 8-bit weights, two traces on each side, tags and v0."
)
#: The core with short-term plasticity whose words are shown.
SHORT_TERM_CORE = CoreConfig(short_term=True)
#: What makes the layouts that are not made by ``memory_map``.
LAYOUTS = {
    "learning": arch_learning.settings_layout,
    "term": arch_learning.term_layout,
    "modulation": arch_learning.modulation_layout,
    "x_traces": arch_learning.trace_layout,
    "y_traces": arch_learning.trace_layout,
    "short_term": arch_short_term.short_term_layout,
    "short_term_state": arch_short_term.short_term_state_layout,
}
#: Parameters of a core that the chip sets.
SET_BY_CHIP = ("reach_x", "reach_y", "targets", "payload")


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
        "receiver": Receiver(),
        "outputs": Outputs(number_bits=CORE.target_bits),
        "encoder": Encoder(rate=True),
        "slip-decoder": SlipDecoder(),
        "slip-encoder": SlipEncoder(),
        "uart-receiver": UartReceiver(divisor=hdl_uart.MIN_DIVISOR),
        "uart-transmitter": UartTransmitter(divisor=hdl_uart.MIN_DIVISOR),
        "top": Top(config=EXAMPLE, divisor=hdl_uart.MIN_DIVISOR),
        "learning": LearningUnit(config=LEARNING_CORE, fabric=GENERIC, weight_delay=0),
        "change": Changes(config=LEARNING_CORE),
        "short-term": ShortTerm(config=SHORT_TERM_CORE, fabric=GENERIC),
        # The north-western chip, with links to the east and the south.
        "mesh": Mesh(config=MESH.tile(0)),
    }
    extra = {
        "counters": COUNTER_NAMES,
        "mesh": {f"link_{side}_{way}": f"Pins of the link to the {side}." for side in SIDES for way in ("tx", "rx")},
    }
    result = {name: ports(type(block), block.signature, extra.get(name)) for name, block in blocks.items()}
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
    """Board, weight bits, core and fabric of every default geometry: the first board that has it."""
    seen: set[CoreConfig] = set()
    for board in BOARDS.values():
        for bits, core in board.cores.items():
            if core not in seen:
                seen.add(core)
                yield board, bits, core, FABRICS[board.fabric]


def _value_text(value: object) -> str:
    """A value in a table; of a model only what differs from its defaults."""
    if isinstance(value, tuple):
        return "()" if not value else ", ".join(_value_text(model) for model in value)
    if isinstance(value, NeuronModel):
        default = type(value)().as_dict()
        changed = [f"{name} {setting}" for name, setting in value.as_dict().items() if setting != default[name]]
        return value.NAME + (f" ({', '.join(changed)})" if changed else "")
    return str(value)


def board_list() -> str:
    """Listed boards: oscillator, clock, serial port, way of loading."""
    rows = []
    for board in TARGETS.values():
        geometry, loader = board.geometry, board.loader
        name, megahertz = oscillator(board.platform())
        options = [option for option in getattr(loader, "options", ()) if not option.startswith("-")]
        ways = "" if isinstance(loader, str) else "flash" if loader.sram else "part or flash"
        rows.append(
            (
                code(board.name),
                geometry.title,
                f"{megahertz:g} ({name})",
                f"{geometry.clock_mhz:g}",
                geometry.bridge,
                f"{geometry.baud:,}",
                loader if isinstance(loader, str) else f"openFPGALoader: {ways} ({', '.join(map(code, options))})",
            )
        )
    return table(("name", "board", "oscillator, MHz", "clock, MHz", "between serial port and host", "baud", "loaded with"), rows)


def board_table() -> str:
    """Default geometries: a column per board and weight width."""
    columns = list(geometries())
    head = ("parameter", *(f"{board.name}, {bits} bits" for board, bits, _, _ in columns))
    rows: list[tuple[str, ...]] = [
        ("board", *(board.title for board, _, _, _ in columns)),
        ("fabric", *(code(board.fabric) for board, _, _, _ in columns)),
    ]
    for field in dataclasses.fields(CoreConfig):
        if field.name in SET_BY_CHIP:
            continue
        rows.append((code(field.name), *(_value_text(getattr(core, field.name)) for _, _, core, _ in columns)))
    return table(head, rows)


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
        meaning = doc(LAYOUTS.get(region.layout.name) or getattr(memory_map, f"{region.layout.name}_layout"))
    return f"{meaning}\n{note}\n\n" + table(("bits", "field", "type", "range"), field_rows(region.layout))


def packet_table() -> str:
    """Packet of a mesh."""
    return f"{MESH_NOTE}\n\n" + table(("bits", "field", "type", "range"), field_rows(packet_layout(MESH.cores[0])))


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
