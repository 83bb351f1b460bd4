"""Memory map: the memories of a core, the layout of their words, and their addresses on the loading bus.

A bus address counts 32-bit words::

    31      24 23      20 19                0
    +---------+----------+------------------+
    |  space  |  region  |      offset      |
    +---------+----------+------------------+

Space 0 holds the chip's registers (``spikeloom.arch.registers``), space ``n + 1`` core ``n``. Inside a region, word ``i``,
slice ``s`` of a memory stands at offset ``i * stride + s``, where the stride is the number of slices rounded up to a power of two.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from spikeloom.arch.config import (
    BUS_WORD_BITS,
    DELAY_BITS,
    DELAY_SLOTS,
    DELAY_WORD_BITS,
    RETENTION_BITS,
    CoreConfig,
    bits_for,
)
from spikeloom.arch.layout import Field, WordLayout

SPACE_SHIFT = 24
REGION_SHIFT = 20
OFFSET_MASK = (1 << REGION_SHIFT) - 1
#: Offset bits of an address that reach one core: region and offset.
CORE_ADDRESS_BITS = SPACE_SHIFT


class RegionId(enum.IntEnum):
    """Region numbers inside a core's address space. Never renumber: drivers of any age use them."""

    #: Synaptic weights, ``lanes`` per word.
    WEIGHTS = 0
    #: One row descriptor per axon.
    ROWS = 1
    #: How the neurons of a group decay and reset.
    LEAK = 2
    #: When the neurons of a group fire, and what follows.
    FIRING = 3
    #: Constant input of each neuron.
    BIAS = 4
    #: Membrane potential and refractory counter.
    STATE = 5
    #: Pending events: 16 slots of one bit per axon.
    DELAYS = 6
    #: First entry and number of entries of each neuron's destination list.
    ROUTE_INDEX = 7
    #: Destination lists.
    ROUTES = 8
    #: Which neurons take part.
    CONTROL = 9
    #: Event counters of the core, read only.
    COUNTERS = 10


class Destination(enum.IntEnum):
    """What an entry of a destination list means."""

    #: An axon of this core, after ``delay`` ticks.
    AXON = 0
    #: An output event for the host, with ``target`` as its number.
    OUTPUT = 1


class Reset(enum.IntEnum):
    """What a spike does to the membrane potential V."""

    #: V becomes ``reset``.
    ABSOLUTE = 0
    #: V becomes V + ``reset``; a threshold is subtracted by a negative ``reset``.
    RELATIVE = 1


@dataclass(frozen=True, slots=True)
class Region:
    """One memory on the bus.

    Parameters
    ----------
    id : RegionId
        Region number.
    layout : WordLayout
        Layout of a word.
    depth : int
        Words.
    in_image : bool
        Whether an image holds its contents. The others start at zero and can only be read.
    meaning : str
        One line for the generated table.
    """

    id: RegionId
    layout: WordLayout
    depth: int
    in_image: bool
    meaning: str

    @property
    def name(self) -> str:
        """Name in images and in ``state()``: the region number's name in lower case."""
        return self.id.name.lower()

    @property
    def stride(self) -> int:
        """Bus words from one memory word to the next."""
        return 1 << (self.layout.slices - 1).bit_length()

    def address(self, index: int = 0, slice_: int = 0, core: int = 0) -> int:
        """Bus address of one slice of one word."""
        return (core + 1) << SPACE_SHIFT | self.id << REGION_SHIFT | (index * self.stride + slice_)


def target_bits(config: CoreConfig) -> int:
    """Bits of a destination's target: an axon of the core or an output number below ``neurons``."""
    return bits_for(max(config.axons, config.neurons))


def weight_layout(config: CoreConfig) -> WordLayout:
    """Word of the weight memory."""
    return WordLayout("weight", (Field("weight", config.weight_bits, signed=True, count=config.lanes),))


def row_layout(config: CoreConfig) -> WordLayout:
    """Descriptor of a row: the weight words from ``base`` on go to the neuron words ``start`` to ``last``.

    A row with ``last`` below ``start`` is empty.
    """
    return WordLayout(
        "row",
        (
            Field("base", bits_for(config.words)),
            Field("start", bits_for(config.neuron_words)),
            Field("last", bits_for(config.neuron_words)),
        ),
    )


def leak_layout(config: CoreConfig) -> WordLayout:
    """Leak of a group of neurons: V is multiplied by ``retention / 2**12`` each tick."""
    fields = [Field("retention", RETENTION_BITS)]
    if config.relative_reset:
        fields.append(Field("reset_mode", 1))
    return WordLayout("leak", tuple(fields))


def firing_layout(config: CoreConfig) -> WordLayout:
    """Threshold and reset of a group of neurons, in units of the potential: the weight's LSB / 2**fraction_bits."""
    fields = [
        Field("threshold", config.state_bits, signed=True, inverted=True),
        Field("reset", config.state_bits, signed=True),
    ]
    if config.refractory_bits:
        fields.append(Field("refractory", config.refractory_bits))
    return WordLayout("firing", tuple(fields))


def bias_layout(config: CoreConfig) -> WordLayout:
    """Constant input of a neuron, in units of the potential."""
    return WordLayout("bias", (Field("bias", config.bias_bits, signed=True),))


def state_layout(config: CoreConfig) -> WordLayout:
    """State of a neuron."""
    fields = [Field("membrane", config.state_bits, signed=True)]
    if config.refractory_bits:
        fields.append(Field("refractory", config.refractory_bits))
    return WordLayout("state", tuple(fields))


def delay_layout(config: CoreConfig) -> WordLayout:
    """Pending events of 16 neighbouring axons; word ``slot * 2**k + axon // 16``, k bits for a slot's words."""
    return WordLayout("delay", (Field("pending", 1, count=DELAY_WORD_BITS),))


def route_index_layout(config: CoreConfig) -> WordLayout:
    """Destination list of a neuron: ``count`` entries from ``first`` on."""
    width = bits_for(config.routes)
    return WordLayout("route_index", (Field("first", width), Field("count", width)))


def route_layout(config: CoreConfig) -> WordLayout:
    """One destination."""
    return WordLayout("route", (Field("kind", 1), Field("delay", DELAY_BITS), Field("target", target_bits(config))))


def control_layout(config: CoreConfig) -> WordLayout:
    """Last neuron that takes part; ``last + 1`` is a multiple of ``pipelines``.

    Word t belongs to tick t since the initial state, the last word to all later ticks too. No word is smaller than the one before.
    """
    return WordLayout("control", (Field("last", bits_for(config.neurons)),))


#: Counters of a core, in address order, each 32 bits, wrapping.
COUNTER_NAMES: dict[str, str] = {
    "ticks": "ticks completed",
    "cycles": "clock cycles spent in ticks (hardware only)",
    "events": "axon events integrated",
    "row_words": "weight words read; times lanes: synaptic operations",
    "spikes": "spikes fired",
    "merged": "events that found the same axon and tick already pending",
    "dropped": "events refused because their axon does not exist or their delay is 0",
}


def counter_layout(config: CoreConfig) -> WordLayout:
    """One counter."""
    return WordLayout("counter", (Field("value", BUS_WORD_BITS),))


def delay_depth(config: CoreConfig) -> int:
    """Words of the delay memory: 16 slots, each padded to a power of two."""
    return DELAY_SLOTS << (config.delay_words - 1).bit_length()


def regions(config: CoreConfig) -> dict[str, Region]:
    """All regions of a core, by name."""
    table = [
        Region(RegionId.WEIGHTS, weight_layout(config), config.words, True, "synaptic weights, one word per cycle"),
        Region(RegionId.ROWS, row_layout(config), config.axons, True, "row of each axon"),
        Region(RegionId.LEAK, leak_layout(config), config.parameter_sets, True, "leak of each group"),
        Region(RegionId.FIRING, firing_layout(config), config.parameter_sets, True, "threshold and reset of each group"),
        Region(RegionId.STATE, state_layout(config), config.neurons, False, "state of each neuron, read only"),
        Region(RegionId.DELAYS, delay_layout(config), delay_depth(config), False, "pending events, read only"),
        Region(RegionId.ROUTE_INDEX, route_index_layout(config), config.neurons, True, "destination list of each neuron"),
        Region(RegionId.ROUTES, route_layout(config), config.routes, True, "destinations"),
        Region(
            RegionId.CONTROL, control_layout(config), config.levels, True, "last neuron that takes part in each of the first ticks"
        ),
    ]
    if config.bias_bits:
        table.append(Region(RegionId.BIAS, bias_layout(config), config.neurons, True, "constant input of each neuron"))
    if config.counters:
        table.append(Region(RegionId.COUNTERS, counter_layout(config), len(COUNTER_NAMES), False, "event counters, read only"))
    return {region.name: region for region in sorted(table, key=lambda region: region.id)}
