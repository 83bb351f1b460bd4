"""Tables of the fast engine: what ``golden/fast.cpp`` works on, made from the memories of a chip. Described in ``docs/fast.md``.

Neurons and axons have a global number each: those of core 0 first, each core beginning at a multiple of ``BLOCK``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import AXON_TYPES, DELAY_SLOTS, MAX_LEVELS, ChipConfig, CoreConfig
from spikeloom.arch.errors import ImageError
from spikeloom.arch.layout import IntArray, WordArray, ceil_div
from spikeloom.arch.learning import MAX_TERMS, MAX_TRACES, First, Learning, Phase, Second, Target
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import Region, models_and_sets, regions, unpack_neurons
from spikeloom.arch.neuron import NeuronModel
from spikeloom.arch.packet import Destination

Array = npt.NDArray[Any]

#: Neurons that are updated together, and axons of a word of pending events.
BLOCK = 64
#: Columns of one word of a row with one bit per synapse.
BIT_COLUMNS = 16
#: Synapses that are unpacked at once: bounds the memory that loading takes.
CHUNK_SYNAPSES = 1 << 22
#: Elements beyond the end of what is read and written in vectors of eight.
SPARE = 8
#: Range of the sums of a core that are kept in 16 bits.
NARROW = 1 << 15

#: Parameters and state fields of Lif, in the order of the enumerations in ``fast.cpp``.
PARAMETERS = (
    "retention", "current_retention", "adaptation_retention", "leak", "leak_reversal", "leak_stochastic", "reset_mode", "threshold",
    "reset", "refractory", "negative_threshold", "negative_saturates", "noise_mask", "adaptation_step", "bias",
)  # fmt: skip
STATES = ("membrane", "refractory", "current", "adaptation")
#: Kinds of weights.
BYTES, SHORTS, BITS = range(3)
#: Times that a value stands in the column of a parameter that is the same in a whole core.
COPIES = 8

ROW = np.dtype([("offset", "i8"), ("first", "u2"), ("count", "u2"), ("words", "u2"), ("type", "u2")], align=True)
CORE = np.dtype(
    [
        ("type_weights", "i8"),
        *((name, "u4") for name in ("first_axon", "axon_words", "first_neuron", "neurons", "columns", "seed")),
        *((name, "i4") for name in ("kind", "wide", "stochastic", "native", "mirrors", "mixed", "short_term")),
        *((name, "i4") for name in ("state_bits", "fraction_bits", "decay", "leak", "stochastic_leak", "bias", "current_bits")),
        *((name, "i4") for name in ("current_wraps", "refractory", "negative", "noise", "adaptation_bits")),
        ("updated", "u4", (MAX_LEVELS,)),
    ],
    align=True,
)
TERM = np.dtype(
    [
        (name, "i4")
        for name in (
            "first", "second", "first_constant", "second_constant", "first_compared", "second_compared", "shift", "negative"
        )
    ]
)  # fmt: skip
LEARNER = np.dtype(
    [
        ("weights", "i8"),
        ("tags", "i8"),
        *((name, "i4") for name in ("core", "enabled", "reward", "tagged", "membrane_flag", "v_threshold", "stochastic", "epoch")),
        ("low", "i4", (len(Target),)),
        ("high", "i4", (len(Target),)),
        ("x_traces", "i4"),
        ("y_traces", "i4"),
        ("decay", "u4", (2 * MAX_TRACES,)),
        ("impulse", "u4", (2 * MAX_TRACES,)),
        ("nearest", "i4", (2 * MAX_TRACES,)),
        ("terms", "i4", (len(Phase), len(Target))),
        ("shared", "i4", (len(Phase), len(Target))),
        ("term", TERM, (MAX_TERMS,)),
    ],
    align=True,
)
#: Names of all traces that there can be, in the order of the fields of LEARNER.
TRACES = ("x1", "x2", "y1", "y2")
#: State fields of axons with short-term plasticity, and the arrays of one value per axon that there are then.
SHORT_TERM = ("facilitation", "depression")
SHORT_TERM_ARRAYS = ("use", *(f"{name}_{what}" for what in ("decay", "mask") for name in SHORT_TERM), *SHORT_TERM)
#: Number in ``fast_learning.h`` of each variable of a second factor, none, y1, y2, w, t and v0; a first factor's have the same there.
SECOND = np.array([0, 4, 5, 7, 8, 9])
#: Variables of a term that is the same for all axons that had an event.
SHARED_FIRST = (First.NONE, First.X0, First.Y1, First.Y2, First.R)
SHARED_SECOND = (Second.NONE, Second.Y1, Second.Y2, Second.V0)


class Column(ctypes.Structure):
    """Values of a parameter or state field."""

    _fields_ = (("data", ctypes.c_void_p), ("stride", ctypes.c_int64))


class NativeTables(ctypes.Structure):
    """``struct Tables`` of ``fast.cpp``."""

    _fields_ = (
        ("cores", ctypes.c_int64),
        ("axon_words", ctypes.c_int64),
        ("learners", ctypes.c_int64),
        ("short_values", ctypes.c_int64),
        *(
            (name, ctypes.c_void_p)
            for name in (
                "core", "rows", "bytes", "shorts", "bits", "type_weights", "chances", "first_route", "route_count", "routes",
                "core_of_word", "mine", "sums", "pending", "events", "row_words", "spikes", "merged", "dropped", "misrouted",
                "learner", *TRACES, "v0", "plastic", "tags", *SHORT_TERM_ARRAYS,
            )
        ),
        ("parameters", Column * len(PARAMETERS)),
        ("states", Column * len(STATES)),
    )  # fmt: skip


@dataclass
class Group:
    """Neurons of one model without native code, in all cores.

    Parameters
    ----------
    model : NeuronModel
    neurons : int64 array ``[N]``
        Global numbers, ascending.
    core, index : int64 arrays ``[N]``
        Core of each, and number within it.
    parameters : dict of int64 array ``[N]``
    """

    model: NeuronModel
    neurons: IntArray
    core: IntArray
    index: IntArray
    parameters: dict[str, IntArray]


@dataclass
class _Parts:
    """Pieces of a :class:`Group`, chunk by chunk."""

    neurons: list[IntArray] = field(default_factory=list)
    core: list[IntArray] = field(default_factory=list)
    index: list[IntArray] = field(default_factory=list)
    parameters: list[dict[str, IntArray]] = field(default_factory=list)


def native_model(config: CoreConfig) -> int:
    """Number of the core's model that has native code, or -1; a model derived from Lif may do anything and does not count."""
    return next((number for number, model in enumerate(config.models) if type(model) is Lif), -1)


def row_words(config: CoreConfig) -> int:
    """Words of ``BIT_COLUMNS`` columns in a row of full length."""
    return ceil_div(config.neuron_slots, BIT_COLUMNS)


class FastTables:
    """Everything that the native code reads and writes.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    memories : sequence of dict of uint32 array ``[depth, slices]``
        Per core, the packed contents of the regions that an image holds.

    Attributes
    ----------
    arrays : dict of array
        By name in :class:`NativeTables`.
    columns : dict of int16 or int32 array
        Parameters of Lif: of each neuron, or ``[cores, COPIES]`` where all neurons of a core have the same.
    states : dict of int16 or int32 array ``[neurons]``
        State fields of Lif.
    groups : list of Group
        Neurons that are updated in numpy.

    Raises
    ------
    ImageError
        If a row or a destination list leaves its memory, as no image does that was checked.
    """

    def __init__(self, config: ChipConfig, memories: Sequence[Mapping[str, WordArray]]) -> None:
        self.config = config
        cores = config.cores
        self.arrays: dict[str, Array] = {}
        self.core = self.arrays["core"] = np.zeros(len(cores), CORE)
        axon_words = np.array([ceil_div(core.axons, BLOCK) for core in cores])
        columns = np.array([ceil_div(core.neuron_slots, BLOCK) * BLOCK for core in cores])
        self.first_axon: IntArray = (np.cumsum(axon_words) - axon_words) * BLOCK
        self.first_neuron: IntArray = np.cumsum(columns) - columns
        self.axon_words, self.size = int(axon_words.sum()), int(columns.sum())
        for name, values in (
            ("first_axon", self.first_axon),
            ("axon_words", axon_words),
            ("first_neuron", self.first_neuron),
            ("columns", columns),
            ("neurons", [core.neurons for core in cores]),
        ):
            self.core[name] = values
        self.arrays["core_of_word"] = np.repeat(np.arange(len(cores), dtype=np.uint16), axon_words)
        self.arrays["rows"] = np.zeros(self.axon_words * BLOCK, ROW)
        self._weight_base = self._allocate_weights()
        routes = np.array([core.routes for core in cores])
        self._route_base = np.cumsum(routes) - routes
        self.arrays["routes"] = np.zeros(int(routes.sum()), np.uint32)
        self.arrays["first_route"] = np.zeros(self.size, np.uint32)
        self.arrays["route_count"] = np.zeros(self.size, np.uint16)
        self.arrays["mine"] = np.zeros(self.size, np.int16)
        if config.learning:
            self._allocate_learning()
        if config.short_term:
            self.arrays |= {name: np.zeros(self.axon_words * BLOCK, np.uint16) for name in SHORT_TERM_ARRAYS}
        self._wide: dict[str, npt.NDArray[np.int32]] = {}
        self._parts: dict[NeuronModel, _Parts] = {}
        self._axons = np.array([core.axons for core in cores])
        self._hosts = np.unique([config.host_core(number) for number in range(len(cores))])

        same: dict[CoreConfig, list[int]] = {}
        for number, core in enumerate(cores):
            same.setdefault(core, []).append(number)
        for core, numbers in same.items():
            size = max(1, CHUNK_SYNAPSES // (core.axons * core.neuron_slots))
            for begin in range(0, len(numbers), size):
                chunk = numbers[begin : begin + size]
                self._load(core, np.array(chunk), [memories[number] for number in chunk])

        dtype = self._value_type()
        self.columns = {name: self._column(values, dtype) for name, values in self._wide.items()}
        self._wide.clear()
        self.columns[""] = np.zeros((len(cores), COPIES), dtype)
        self.states = {name: np.zeros(self.size, dtype) for name in STATES if any(field.name == name for field in self._fields)}
        self.groups = [self._join(model, parts) for model, parts in self._parts.items()]
        self._parts.clear()
        if self.core["mixed"].any():
            self.arrays["sums"] = np.zeros(self.size, np.int32)
        self.arrays["pending"] = np.zeros((DELAY_SLOTS, self.axon_words), np.uint64)

    def pointers(self) -> NativeTables:
        """The native structure; the arrays must outlive it."""
        result = NativeTables(
            cores=len(self.core),
            axon_words=self.axon_words,
            learners=len(self.arrays.get("learner", ())),
            short_values=self.columns[""].dtype == np.int16,
        )
        for name, array in self.arrays.items():
            setattr(result, name, array.ctypes.data)
        for target, names, table in ((result.parameters, PARAMETERS, self.columns), (result.states, STATES, self.states)):
            for number, name in enumerate(names):
                array = table.get(name, self.columns[""])
                target[number].data, target[number].stride = array.ctypes.data, array.ndim == 1
        return result

    # Memories ------------------------------------------------------------------------------------------------------

    def _allocate_weights(self) -> IntArray:
        """Weight memories, and where that of each core begins."""
        used = {"bytes": 0, "shorts": 0, "bits": 0, "type_weights": 0}
        base = []
        for number, core in enumerate(self.config.cores):
            kind = BITS if core.typed else SHORTS if core.weight_bits > 8 else BYTES
            name = ("bytes", "shorts", "bits")[kind]
            base.append(used[name])
            self.core["kind"][number] = kind
            if core.typed:
                aligned = core.lanes % BIT_COLUMNS == 0
                used[name] += core.words * core.lanes // BIT_COLUMNS if aligned else core.axons * row_words(core)
                self.core["type_weights"][number] = used["type_weights"]
                used["type_weights"] += AXON_TYPES * int(self.core["columns"][number])
            else:
                used[name] += core.words * core.lanes
        used["chances"] = used["type_weights"] if any(core.stochastic_synapses for core in self.config.cores) else 0
        for name, size in used.items():
            dtype = {"bytes": np.int8, "bits": np.uint16}.get(name, np.int16)
            self.arrays[name] = np.zeros(size + SPARE, dtype)
        return np.array(base, np.int64)

    def _allocate_learning(self) -> None:
        """Traces, flags and tags of all cores, and the units of those that learn."""
        cores = self.config.cores
        learners = [number for number, core in enumerate(cores) if core.learning is not None]
        unit = self.arrays["learner"] = np.zeros(len(learners), LEARNER)
        sizes = np.array([cores[number].words * cores[number].lanes if cores[number].tag_bits else 0 for number in learners])
        unit["core"], unit["weights"], unit["tags"] = learners, self._weight_base[learners], np.cumsum(sizes) - sizes
        self.arrays["tags"] = np.zeros(int(sizes.sum()) + SPARE, np.int16)
        for name in TRACES:
            self.arrays[name] = np.zeros(self.axon_words * BLOCK if name[0] == "x" else self.size + SPARE, np.int32)
        for name in ("v0", "plastic"):
            self.arrays[name] = np.zeros(self.size + SPARE, np.int32)

    def _load(self, config: CoreConfig, numbers: IntArray, memories: Sequence[Mapping[str, WordArray]]) -> None:
        """Cores of one geometry."""
        table = regions(config)
        stacked = {name: np.concatenate([memory[name] for memory in memories]) for name in memories[0]}

        def unpacked(name: str) -> dict[str, IntArray]:
            values = table[name].layout.unpack(stacked[name])
            return {key: array.reshape(len(numbers), table[name].depth, *array.shape[1:]) for key, array in values.items()}

        rows = unpacked("rows")
        length = np.maximum(rows["last"] - rows["start"] + 1, 0)
        base, start = (np.where(length > 0, rows[name], 0) for name in ("base", "start"))
        if (base + length).max() > config.words or (start + length).max() > config.neuron_words:
            raise ImageError(
                "a row leaves the weight memory or the neurons; load the memories through an image, which says which one"
            )
        if config.typed:
            self._load_bits(config, numbers, base, start, length, stacked["weights"], rows["type"])
            self._load_types(config, numbers, rows["type"], length, unpacked("type_weights"))
        else:
            weights: Array = direct_weights(config, stacked["weights"]).reshape(len(numbers), -1)
            name = "shorts" if config.weight_bits > 8 else "bytes"
            for number, values in zip(numbers.tolist(), weights, strict=True):
                begin = int(self._weight_base[number])
                self.arrays[name][begin : begin + len(values)] = values
            self._put_rows(numbers, base * config.lanes, start * config.lanes, length * config.lanes, length)
            self.core["wide"][numbers] = config.axons << (config.weight_bits - 1) > NARROW
        if config.learning is not None:
            axons = self.first_axon[numbers][:, np.newaxis] + np.arange(config.axons)
            self.arrays["rows"]["type"][axons] = rows["plastic"]
            tables = {name: unpacked(name) for name in ("learning", "rules", "modulation", "plastic")}
            self._load_learning(config, config.learning, numbers, tables)
        if config.short_term:
            self._load_short_term(config, numbers, unpacked("short_term"))
        self._load_routes(config, numbers, unpacked("route_index"), unpacked("routes"))
        updated = unpacked("control")["last"] + 1
        self.core["updated"][numbers] = updated[:, np.minimum(np.arange(MAX_LEVELS), config.levels - 1)]
        if config.random:
            self.core["seed"][numbers] = unpacked("seed")["seed"][:, 0]
        self._load_neurons(config, numbers, memories, table, stacked)

    def _put_rows(self, numbers: IntArray, offset: IntArray, first: IntArray, count: IntArray, words: IntArray) -> None:
        """Row descriptors ``[cores, axons]``; offsets count from the core's first weight."""
        target = self.first_axon[numbers][:, np.newaxis] + np.arange(offset.shape[1])
        rows = self.arrays["rows"]
        rows["offset"][target] = self._weight_base[numbers][:, np.newaxis] + offset
        rows["first"][target], rows["count"][target], rows["words"][target] = first, count, words

    def _load_bits(
        self,
        config: CoreConfig,
        numbers: IntArray,
        base: IntArray,
        start: IntArray,
        length: IntArray,
        words: WordArray,
        types: IntArray,
    ) -> None:
        """Rows with one bit per synapse, each beginning at a word of ``BIT_COLUMNS`` columns."""
        lanes = config.lanes
        bits = np.unpackbits(np.ascontiguousarray(words, "<u4").view(np.uint8), axis=1, bitorder="little")[:, :lanes]
        bits = bits.reshape(len(numbers), config.words, lanes)
        if lanes % BIT_COLUMNS == 0:
            per_word = lanes // BIT_COLUMNS
            self._put_rows(numbers, base * per_word, start * per_word, length * per_word, length)
            packed = np.packbits(bits.reshape(len(numbers), -1), axis=1, bitorder="little").view("<u2")
        else:
            # Rows of narrow words begin anywhere: a full crossbar of them, which the lengths keep short.
            crossbar = np.zeros((len(numbers), config.axons, config.neuron_words, lanes), np.uint8)
            for step in range(int(length.max(initial=0))):
                core, axon = np.nonzero(length > step)
                crossbar[core, axon, start[core, axon] + step] = bits[core, base[core, axon] + step]
            full = row_words(config)
            padded = np.zeros((len(numbers), config.axons, full * BIT_COLUMNS), np.uint8)
            padded[:, :, : config.neuron_slots] = crossbar.reshape(len(numbers), config.axons, -1)
            packed = np.packbits(padded, axis=2, bitorder="little").view("<u2").reshape(len(numbers), -1)
            first = start * lanes // BIT_COLUMNS
            count = np.where(length > 0, -(-(start + length) * lanes // BIT_COLUMNS) - first, 0)
            self._put_rows(numbers, np.arange(config.axons) * full + first, first, count, length)
        for number, values in zip(numbers.tolist(), packed, strict=True):
            begin = int(self._weight_base[number])
            self.arrays["bits"][begin : begin + len(values)] = values
        self.arrays["rows"]["type"][self.first_axon[numbers][:, np.newaxis] + np.arange(config.axons)] = types

    def _load_types(
        self, config: CoreConfig, numbers: IntArray, types: IntArray, length: IntArray, type_weights: Mapping[str, IntArray]
    ) -> None:
        """Weights of each neuron for each axon type."""
        weight = type_weights["weight"].reshape(len(numbers), AXON_TYPES, config.neuron_slots)
        chance = np.zeros(weight.shape, np.bool_)
        if config.stochastic_synapses:
            chance = type_weights["stochastic"].reshape(weight.shape) == 1
        columns = int(self.core["columns"][numbers[0]])
        target = self.core["type_weights"][numbers][:, np.newaxis, np.newaxis] + np.arange(AXON_TYPES)[:, np.newaxis] * columns
        target = target + np.arange(config.neuron_slots)
        self.arrays["type_weights"][target] = np.where(chance, 0, weight)
        if config.stochastic_synapses:
            self.arrays["chances"][target] = np.where(chance, weight, 0)
        self.core["stochastic"][numbers] = chance.any(axis=(1, 2))
        axons = np.stack([((types == number) & (length > 0)).sum(axis=1) for number in range(AXON_TYPES)], axis=1)
        highest = (axons[:, :, np.newaxis] * np.maximum(weight, 0)).sum(axis=1).max(axis=1)
        lowest = (axons[:, :, np.newaxis] * np.minimum(weight, 0)).sum(axis=1).min(axis=1)
        self.core["wide"][numbers] = (highest >= NARROW) | (lowest < -NARROW)

    def _load_learning(
        self, config: CoreConfig, learning: Learning, numbers: IntArray, tables: Mapping[str, Mapping[str, IntArray]]
    ) -> None:
        """Settings and terms of the learning units, and which neurons learn."""
        settings, rules = (
            {key: values.reshape(len(numbers), -1) for key, values in tables[name].items()} for name in ("learning", "rules")
        )
        all_units = self.arrays["learner"]
        places = np.searchsorted(all_units["core"], numbers)
        unit = all_units[places]
        for name in ("enabled", "reward"):
            unit[name] = tables["modulation"][name].reshape(-1)
        unit["stochastic"], unit["epoch"] = settings["stochastic"][:, 0], settings["epoch"][:, 0]
        unit["low"][:, Target.WEIGHT], unit["high"][:, Target.WEIGHT] = settings["low"][:, 0], settings["high"][:, 0]
        unit["low"][:, Target.TAG] = -(1 << learning.tag_bits >> 1)
        unit["high"][:, Target.TAG] = (1 << learning.tag_bits >> 1) - 1
        unit["tagged"], unit["membrane_flag"] = learning.tag_bits > 0, learning.membrane_flag
        if learning.membrane_flag:
            unit["v_threshold"] = settings["v_threshold"][:, 0]
        unit["x_traces"], unit["y_traces"] = learning.pre_traces, learning.post_traces
        for name in learning.traces:
            for field_name in ("decay", "impulse", "nearest"):
                unit[field_name][:, TRACES.index(name)] = settings[f"{name}_{field_name}"][:, 0]
        phases = np.zeros((len(numbers), len(Phase)), np.int64)
        for phase in learning.phases:
            phases[:, phase] = settings[f"{phase.name.lower()}_terms"][:, 0]
        # Phase of each term; those behind the last one have none.
        phase_of = (np.arange(learning.terms) >= np.cumsum(phases, axis=1)[:, :, np.newaxis]).sum(axis=1)
        shared = np.isin(rules["first"], SHARED_FIRST) & np.isin(rules["second"], SHARED_SECOND)
        for phase in Phase:
            for target in Target:
                mine = (phase_of == phase) & (rules["target"] == target)
                unit["terms"][:, phase, target] = mine.sum(axis=1)
                unit["shared"][:, phase, target] = (mine & shared).sum(axis=1)
        order = np.lexsort((~shared, rules["target"], phase_of))
        for name in TERM.names or ():
            values = SECOND[rules[name]] if name == "second" else rules[name]
            unit["term"][name][:, : learning.terms] = np.take_along_axis(values, order, axis=1)
        all_units[places] = unit
        slots = self.first_neuron[numbers][:, np.newaxis] + np.arange(config.neuron_slots)
        self.arrays["plastic"][slots] = -tables["plastic"]["plastic"].reshape(len(numbers), -1)

    def _load_short_term(self, config: CoreConfig, numbers: IntArray, parameters: Mapping[str, IntArray]) -> None:
        """Parameters of axons; a decay each ``2**step`` ticks has a mask of ``step`` bits."""
        self.core["short_term"][numbers] = parameters["use"].any(axis=1)
        axons = self.first_axon[numbers][:, np.newaxis] + np.arange(config.axons)
        self.arrays["use"][axons] = parameters["use"]
        for name in SHORT_TERM:
            self.arrays[f"{name}_decay"][axons] = parameters[f"{name}_decay"]
            self.arrays[f"{name}_mask"][axons] = (1 << parameters[f"{name}_step"]) - 1

    def _load_routes(
        self, config: CoreConfig, numbers: IntArray, index: Mapping[str, IntArray], routes: Mapping[str, IntArray]
    ) -> None:
        """Destinations as the codes that ``deposit`` in ``fast.cpp`` explains."""
        if np.where(index["count"] > 0, index["first"] + index["count"], 0).max() > config.routes:
            raise ImageError(
                "a destination list leaves the routing memory; load the memories through an image, which says which one"
            )
        chip = self.config
        column, row = numbers[:, np.newaxis] % chip.columns, numbers[:, np.newaxis] // chip.columns
        zero = np.zeros_like(routes["target"])
        x, y = column + routes.get("dx", zero), row + routes.get("dy", zero)
        inside = (x >= 0) & (x < chip.columns) & (y >= 0) & (y < chip.rows)
        core = np.where(inside, y * chip.columns + x, 0)
        to_host = routes["kind"] == Destination.OUTPUT
        lost = ~inside | (to_host & ~np.isin(core, self._hosts))
        codes = event_codes(self.first_axon, self._axons, core, routes["target"], routes["delay"])
        codes = np.where(to_host, (1 + len(chip.cores) + routes["target"]) * DELAY_SLOTS, codes)
        target = self._route_base[numbers][:, np.newaxis]
        self.arrays["routes"][target + np.arange(config.routes)] = np.where(lost, 0, codes)
        neurons = self.first_neuron[numbers][:, np.newaxis] + np.arange(config.neurons)
        self.arrays["first_route"][neurons] = target + np.where(index["count"] > 0, index["first"], 0)
        self.arrays["route_count"][neurons] = index["count"]

    # Neurons -------------------------------------------------------------------------------------------------------

    def _load_neurons(
        self,
        config: CoreConfig,
        numbers: IntArray,
        memories: Sequence[Mapping[str, WordArray]],
        table: Mapping[str, Region],
        stacked: Mapping[str, WordArray],
    ) -> None:
        """Models and parameters."""
        both = [models_and_sets(config, memory.get("kinds")) for memory in memories]
        model_of, set_of = np.stack([models for models, _ in both]), np.stack([sets for _, sets in both])
        words = {name: unpack_neurons(table[name], stacked[name]) for name in ("parameters", "firing", "own") if name in table}
        neurons = self.first_neuron[numbers][:, np.newaxis] + np.arange(config.neurons)
        native = native_model(config)
        for number, model in enumerate(config.models):
            chosen = model_of == number
            parameters = {}
            for name, per_model in words.items():
                for key, values in per_model[number].items():
                    per_core = values.reshape(len(numbers), -1)
                    parameters[key] = per_core if name == "own" else np.take_along_axis(per_core, set_of, axis=1)
            if number == native:
                assert isinstance(model, Lif)
                self._put_lif(config, model, numbers, chosen, parameters)
            elif chosen.any():
                core, index = np.nonzero(chosen)
                parts = self._parts.setdefault(model, _Parts())
                parts.neurons.append(neurons[chosen])
                parts.core.append(numbers[core])
                parts.index.append(index)
                parts.parameters.append({key: values[chosen] for key, values in parameters.items()})
        mine = model_of == native
        self.arrays["mine"][neurons] = -mine.astype(np.int16)
        self.core["native"][numbers] = mine.any(axis=1)
        self.core["mixed"][numbers] = ~mine.all(axis=1)

    def _put_lif(
        self, config: CoreConfig, model: Lif, numbers: IntArray, chosen: npt.NDArray[np.bool_], parameters: Mapping[str, IntArray]
    ) -> None:
        """Options of the cores, and parameters of their neurons."""
        for name, value in (
            ("state_bits", model.state_bits),
            ("fraction_bits", model.fraction_bits),
            ("decay", model.decay),
            ("leak", model.leak_bits > 0),
            ("stochastic_leak", model.stochastic_leak),
            ("bias", model.bias_bits > 0),
            ("current_bits", model.current_bits),
            ("current_wraps", model.current_wraps),
            ("refractory", model.refractory_bits > 0),
            ("negative", model.negative_threshold),
            ("noise", model.threshold_noise_bits > 0),
            ("adaptation_bits", model.adaptation_bits),
        ):
            self.core[name][numbers] = value
        if model.negative_threshold:
            self.core["mirrors"][numbers] = (chosen & (parameters["negative_saturates"] == 0)).any(axis=1)
        columns = int(self.core["columns"][numbers[0]])
        target = self.first_neuron[numbers][:, np.newaxis] + np.arange(columns)
        for name, values in parameters.items():
            # Columns beyond the neurons repeat the last one, so that equal neurons make an equal column.
            padded = np.pad(np.where(chosen, values, 0), ((0, 0), (0, columns - config.neurons)), mode="edge")
            self._wide.setdefault(name, np.zeros(self.size, np.int32))[target] = padded

    def _value_type(self) -> type[np.int16] | type[np.int32]:
        """16 bits if that is enough for all states, and for all parameters as they are."""
        models = {core.models[number] for core in dict.fromkeys(self.config.cores) if (number := native_model(core)) >= 0}
        self._fields = [field for model in models for field in model.state_fields()]
        narrow = all(field.low >= -NARROW and field.high < NARROW for field in self._fields)
        for values in self._wide.values():
            narrow = narrow and bool(values.min() >= -NARROW and values.max() < NARROW)
        return np.int16 if narrow else np.int32

    def _column(self, values: npt.NDArray[np.int32], dtype: type[np.int16] | type[np.int32]) -> Array:
        low, high = np.minimum.reduceat(values, self.first_neuron), np.maximum.reduceat(values, self.first_neuron)
        if (low == high).all():
            return np.repeat(low.astype(dtype)[:, np.newaxis], COPIES, axis=1)
        return values.astype(dtype)

    @staticmethod
    def _join(model: NeuronModel, parts: _Parts) -> Group:
        neurons = np.concatenate(parts.neurons)
        order = np.argsort(neurons)
        parameters = {name: np.concatenate([part[name] for part in parts.parameters])[order] for name in parts.parameters[0]}
        return Group(model, neurons[order], np.concatenate(parts.core)[order], np.concatenate(parts.index)[order], parameters)


def event_codes(first_axon: IntArray, axons: IntArray, core: IntArray, axon: IntArray, delay: IntArray) -> IntArray:
    """Codes of events for axons of cores.

    Parameters
    ----------
    first_axon, axons : int64 arrays ``[cores]``
        First global axon of each core, and how many it has.
    core, axon, delay : int64 arrays of one shape
        Where the events go. Those for an axon that does not exist, or with delay 0, will be counted as dropped.
    """
    valid = (axon >= 0) & (axon < axons[core]) & (delay > 0)
    return np.where(valid, (first_axon[core] + axon) * DELAY_SLOTS + delay, (1 + core) * DELAY_SLOTS)


def direct_weights(config: CoreConfig, words: WordArray) -> npt.NDArray[np.int8] | npt.NDArray[np.int16]:
    """Signed weights ``[depth, lanes]`` of 2, 4, 8 or 16 bits; the same as the layout's ``unpack``, which needs 8 bytes for each."""
    raw = np.ascontiguousarray(words, "<u4")
    if config.weight_bits == 16:
        return raw.view("<i2")[:, : config.lanes].astype(np.int16)
    shifts = np.arange(0, 8, config.weight_bits, dtype=np.uint8)
    parts = (raw.view(np.uint8)[:, :, np.newaxis] >> shifts).reshape(len(raw), -1)[:, : config.lanes]
    # The sign bit goes to the top of the byte and comes back as an arithmetic shift.
    spare = 8 - config.weight_bits
    return (parts << np.uint8(spare)).view(np.int8) >> np.int8(spare)
