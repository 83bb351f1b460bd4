"""Memory map: the memories of a core, the layout of their words, and their addresses on the loading bus.

A bus address counts 32-bit words::

    31      24 23      19 18                0
    +---------+----------+------------------+
    |  space  |  region  |      offset      |
    +---------+----------+------------------+

Space 0 holds the chip's registers (``spikeloom.arch.registers``), space ``n + 1`` core ``n``. Inside a region, word ``i``,
slice ``s`` of a memory stands at offset ``i * stride + s``, where the stride is the number of slices rounded up to a power of two.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import AXON_TYPES, DELAY_SLOTS, DELAY_WORD_BITS, TYPE_WEIGHT_BITS, CoreConfig, bits_for
from spikeloom.arch.layout import BUS_WORD_BITS, Field, IntArray, WordArray, WordLayout
from spikeloom.arch.learning import Learning, modulation_layout, settings_layout, term_layout, trace_layout
from spikeloom.arch.packet import route_fields
from spikeloom.arch.short_term import short_term_layout, short_term_state_layout

SPACE_SHIFT = 24
REGION_SHIFT = 19
OFFSET_MASK = (1 << REGION_SHIFT) - 1
#: Offset bits of an address that reach one core: region and offset.
CORE_ADDRESS_BITS = SPACE_SHIFT


class RegionId(enum.IntEnum):
    """Region numbers inside a core's address space. Never renumber: drivers of any age use them."""

    #: Synaptic weights, ``lanes`` per word.
    WEIGHTS = 0
    #: One row descriptor per axon.
    ROWS = 1
    #: Parameters of a set of neurons, as the model says.
    PARAMETERS = 2
    #: Parameters of a set that the pipeline takes later: when the neurons fire, and what follows.
    FIRING = 3
    #: Parameters of each neuron of its own.
    OWN = 4
    #: State of each neuron.
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
    #: Model and parameter set of each neuron.
    KINDS = 11
    #: Weight of each neuron for each axon type.
    TYPE_WEIGHTS = 12
    #: Seed of the random numbers.
    SEED = 13
    #: How traces and weights behave, and how many terms each phase has.
    LEARNING = 14
    #: Terms of the learning rules.
    RULES = 15
    #: What a host changes while the chip runs: whether synapses change, and the reward.
    MODULATION = 16
    #: Which neurons learn.
    PLASTIC = 17
    #: Traces of each axon.
    AXON_TRACES = 18
    #: Traces of each neuron.
    NEURON_TRACES = 19
    #: Tags of the synapses, ``lanes`` per word, as the weights.
    TAGS = 20
    #: Short-term plasticity of each axon.
    SHORT_TERM = 21
    #: Facilitation and depression of each axon.
    SHORT_TERM_STATE = 22


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
    variants : tuple of (WordLayout or None)
        For the words of a neuron or parameter set: their layout under each model of the core, None where the model has no such
        words. ``layout`` is that of the only model, or else as wide as the widest.
    """

    id: RegionId
    layout: WordLayout
    depth: int
    in_image: bool
    meaning: str
    variants: tuple[WordLayout | None, ...] = ()

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


def weight_layout(config: CoreConfig) -> WordLayout:
    """Word of the weight memory."""
    return WordLayout("weight", (Field("weight", config.weight_bits, signed=not config.typed, count=config.lanes),))


def type_weight_layout(config: CoreConfig) -> WordLayout:
    """Weights of ``lanes`` neurons for one axon type; word ``type * neuron_words + word``.

    With stochastic synapses each has a flag that makes it the probability (|weight| + 1) / 256, at most 1, of a weight of 1 or -1; 0 adds
    nothing.
    """
    fields = [Field("weight", TYPE_WEIGHT_BITS, signed=True, count=config.lanes)]
    if config.stochastic_synapses:
        fields.append(Field("stochastic", 1, count=config.lanes))
    return WordLayout("type_weight", tuple(fields))


def row_layout(config: CoreConfig) -> WordLayout:
    """Descriptor of a row: the weight words from ``base`` on go to the neuron words ``start`` to ``last``.

    A row with ``last`` below ``start`` is empty. ``plastic``: its weights learn.
    """
    fields = [
        Field("base", bits_for(config.words)),
        Field("start", bits_for(config.neuron_words)),
        Field("last", bits_for(config.neuron_words)),
    ]
    if config.typed:
        fields.append(Field("type", bits_for(AXON_TYPES)))
    if config.learning is not None:
        fields.append(Field("plastic", 1))
    return WordLayout("row", tuple(fields))


def plastic_layout(config: CoreConfig) -> WordLayout:
    """Whether each of ``lanes`` neurons learns; one word per neuron word. Of a row, the flag ``plastic`` says whether its axon does."""
    return WordLayout("plastic", (Field("plastic", 1, count=config.lanes),))


def tag_layout(config: CoreConfig) -> WordLayout:
    """Tags of the synapses of a weight word."""
    assert config.learning is not None
    return WordLayout("tag", (Field("tag", config.learning.tag_bits, signed=True, count=config.lanes),))


def kind_layout(config: CoreConfig) -> WordLayout:
    """Model and parameter set of a neuron. Neighbours in a row of ``pipelines`` neurons have the same model."""
    fields = []
    if len(config.models) > 1:
        fields.append(Field("model", bits_for(len(config.models))))
    if config.sets is not None:
        fields.append(Field("set", bits_for(config.sets)))
    return WordLayout("kind", tuple(fields))


def neuron_layouts(config: CoreConfig, name: str) -> tuple[WordLayout | None, ...]:
    """Layout of a neuron's word ("parameters", "firing", "own" or "state") under each model."""
    return tuple(model.words().get(name) for model in config.models)


def neuron_layout(config: CoreConfig, name: str) -> WordLayout | None:
    """The word that holds any of :func:`neuron_layouts`; None if no model has such a word."""
    layouts = neuron_layouts(config, name)
    if len(layouts) == 1:
        return layouts[0]
    bits = max((layout.bits for layout in layouts if layout is not None), default=0)
    parts = [min(BUS_WORD_BITS, bits - low) for low in range(0, bits, BUS_WORD_BITS)]
    return WordLayout(name, tuple(Field(f"bits{i}", width) for i, width in enumerate(parts))) if bits else None


def pack_neurons(region: Region, values: Sequence[Mapping[str, npt.ArrayLike] | None], model_of: IntArray) -> WordArray:
    """Words of neurons, or of sets, that follow different models.

    Parameters
    ----------
    region : Region
        With ``variants``.
    values : sequence of (dict of integer array ``[depth]`` or None)
        For each model the fields of its word, or None if nothing follows it. Only entries that follow the model count.
    model_of : int64 array ``[depth]``

    Returns
    -------
    uint32 array ``[depth, slices]``
    """
    result = np.zeros((len(model_of), region.layout.slices), np.uint32)
    for number, (layout, fields) in enumerate(zip(region.variants, values, strict=True)):
        chosen = model_of == number
        if layout is not None and fields is not None and chosen.any():
            result[chosen, : layout.slices] = layout.pack({name: np.asarray(array)[chosen] for name, array in fields.items()})
    return result


def unpack_neurons(region: Region, words: WordArray) -> list[dict[str, IntArray]]:
    """The fields of all words as each model reads them."""
    return [{} if layout is None else layout.unpack(_cut(layout, words)) for layout in region.variants]


def _cut(layout: WordLayout, words: WordArray) -> WordArray:
    """The slices and bits that a layout uses of wider words."""
    cut: WordArray = words[:, : layout.slices].copy()
    spare = layout.slices * BUS_WORD_BITS - layout.bits
    cut[:, -1] &= np.uint32((1 << (BUS_WORD_BITS - spare)) - 1)
    return cut


def delay_layout(config: CoreConfig) -> WordLayout:
    """Pending events of 16 neighbouring axons; word ``slot * 2**k + axon // 16``, k bits for a slot's words."""
    return WordLayout("delay", (Field("pending", 1, count=DELAY_WORD_BITS),))


def route_index_layout(config: CoreConfig) -> WordLayout:
    """Destination list of a neuron: ``count`` entries from ``first`` on.

    One bit more for ``count`` would allow a list of 256 in a memory of 256, and cost each core of 256 neurons a second block RAM of 16 bits.
    """
    width = bits_for(config.routes)
    return WordLayout("route_index", (Field("first", width), Field("count", width)))


def route_layout(config: CoreConfig) -> WordLayout:
    """One destination."""
    return WordLayout("route", route_fields(config))


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


def seed_layout(config: CoreConfig) -> WordLayout:
    """Seed of the random numbers."""
    return WordLayout("seed", (Field("seed", BUS_WORD_BITS),))


def regions(config: CoreConfig) -> dict[str, Region]:
    """All regions of a core, by name."""
    table = [
        Region(RegionId.WEIGHTS, weight_layout(config), config.words, True, "synaptic weights, one word per cycle"),
        Region(RegionId.ROWS, row_layout(config), config.axons, True, "row of each axon"),
        Region(RegionId.DELAYS, delay_layout(config), delay_depth(config), False, "pending events, read only"),
        Region(RegionId.ROUTE_INDEX, route_index_layout(config), config.neurons, True, "destination list of each neuron"),
        Region(RegionId.ROUTES, route_layout(config), config.routes, True, "destinations"),
        Region(
            RegionId.CONTROL, control_layout(config), config.levels, True, "last neuron that takes part in each of the first ticks"
        ),
    ]
    for number, depth, meaning in (
        (RegionId.PARAMETERS, config.parameter_sets, "parameters of each set"),
        (RegionId.FIRING, config.parameter_sets, "threshold and reset of each set"),
        (RegionId.OWN, config.neurons, "parameters of each neuron of its own"),
        (RegionId.STATE, config.neurons, "state of each neuron, read only"),
    ):
        layout = neuron_layout(config, number.name.lower())
        if layout is not None:
            variants = neuron_layouts(config, number.name.lower())
            table.append(Region(number, layout, depth, number != RegionId.STATE, meaning, variants))
    if config.kinds:
        table.append(Region(RegionId.KINDS, kind_layout(config), config.neurons, True, "model and parameter set of each neuron"))
    if config.typed:
        depth = AXON_TYPES * config.neuron_words
        table.append(
            Region(RegionId.TYPE_WEIGHTS, type_weight_layout(config), depth, True, "weight of each neuron for each axon type")
        )
    if config.random:
        table.append(Region(RegionId.SEED, seed_layout(config), 1, True, "seed of the random numbers"))
    if config.learning is not None:
        table += _learning_regions(config, config.learning)
    if config.short_term:
        state = short_term_state_layout()
        table += [
            Region(RegionId.SHORT_TERM, short_term_layout(), config.axons, True, "short-term plasticity of each axon"),
            Region(RegionId.SHORT_TERM_STATE, state, config.axons, False, "facilitation and depression of each axon, read only"),
        ]
    if config.counters:
        table.append(Region(RegionId.COUNTERS, counter_layout(config), len(COUNTER_NAMES), False, "event counters, read only"))
    return {region.name: region for region in sorted(table, key=lambda region: region.id)}


def _learning_regions(config: CoreConfig, learning: Learning) -> list[Region]:
    bits = config.weight_bits
    table = [
        Region(RegionId.LEARNING, settings_layout(learning, bits), 1, True, "settings of traces and weights"),
        Region(RegionId.RULES, term_layout(learning, bits), learning.terms, True, "terms of the learning rules"),
        Region(RegionId.MODULATION, modulation_layout(), 1, True, "whether synapses change, and the reward; written at any time"),
        Region(RegionId.PLASTIC, plastic_layout(config), config.neuron_words, True, "which neurons learn"),
    ]
    if learning.pre_traces:
        layout = trace_layout("x", learning.pre_traces)
        table.append(Region(RegionId.AXON_TRACES, layout, config.axons, False, "traces of each axon, read only"))
    if learning.post_traces:
        layout = trace_layout("y", learning.post_traces)
        table.append(Region(RegionId.NEURON_TRACES, layout, config.neurons, False, "traces of each neuron, read only"))
    if learning.tag_bits:
        table.append(Region(RegionId.TAGS, tag_layout(config), config.words, False, "tags of the synapses, read only"))
    return table


def models_and_sets(config: CoreConfig, kinds: WordArray | None) -> tuple[IntArray, IntArray]:
    """Model and parameter set of each neuron, int64 arrays ``[neurons]``, from the words of the region ``kinds``."""
    values = {} if kinds is None else kind_layout(config).unpack(kinds)
    zero = np.zeros(config.neurons, np.int64)
    return values.get("model", zero), values.get("set", np.arange(config.neurons, dtype=np.int64) // config.group)


def state_of_neurons(config: CoreConfig, words: WordArray, kinds: WordArray | None) -> dict[str, IntArray]:
    """State fields of all models, int64 arrays ``[neurons]``, from the words of the regions ``state`` and ``kinds``.

    A field that a neuron's model does not have is zero.
    """
    model_of, _ = models_and_sets(config, kinds)
    names = {field.name for model in config.models for field in model.state_fields()}
    result = {name: np.zeros(config.neurons, np.int64) for name in sorted(names)}
    for number, fields in enumerate(unpack_neurons(regions(config)["state"], words)):
        for name, values in fields.items():
            result[name] = np.where(model_of == number, values, result[name])
    return result
