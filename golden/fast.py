"""The fast engine: a chip as ``spikeloom.golden.chip`` defines it, event by event in compiled code. Described in ``docs/fast.md``."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import MAX_DELAY, MAX_LEVELS, MAX_NEURONS, ChipConfig
from spikeloom.arch.errors import ConfigError, InputError
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.learning import FLAG, REWARD_BITS
from spikeloom.arch.random import key_of_tick, mix
from spikeloom.golden.fast_tables import (
    BLOCK,
    CORE,
    LEARNER,
    ROW,
    SHORT_TERM,
    TRACES,
    FastTables,
    Group,
    NativeTables,
    event_codes,
    native_model,
)
from spikeloom.golden.native import library
from spikeloom.golden.neuron import step_of

BoolArray = npt.NDArray[np.bool_]

SOURCE = Path(__file__).with_name("fast.cpp")
#: Counters of each core that the engine keeps.
COUNTERS = ("events", "row_words", "spikes", "merged", "dropped")


@dataclass(frozen=True, slots=True)
class FastTick:
    """What a tick brought; compare ``spikeloom.golden.chip.ChipTick``.

    Parameters
    ----------
    spikes : list of bool array ``[neurons]``
        Which neurons of each core fired.
    outputs : int64 array ``[K]``
        Numbers of the outputs that carried a spike: of core 0 first, and of a core in the order of its neurons and their lists.
    """

    spikes: list[BoolArray]
    outputs: IntArray


@dataclass(frozen=True, slots=True)
class FastRun:
    """What many ticks brought.

    Parameters
    ----------
    output_ticks, outputs : int64 arrays ``[K]``
        Tick and number of each output spike, in order.
    spike_ticks, spike_cores, spike_neurons : int64 arrays ``[S]``
        Tick, core and neuron of each spike, in this order; empty unless they were asked for.
    """

    output_ticks: IntArray
    outputs: IntArray
    spike_ticks: IntArray
    spike_cores: IntArray
    spike_neurons: IntArray


class FastChip:
    """Runs one sample from the initial state; the same bits as ``spikeloom.golden.chip.Chip``.

    Parameters
    ----------
    config : ChipConfig
        Geometry. That several chips share the mesh makes no difference.
    memories : sequence of dict of uint32 array ``[depth, slices]``
        Per core, the packed contents of the regions that an image holds.

    Attributes
    ----------
    ticks : int
        Ticks completed.
    events, row_words, spikes, merged, dropped : int64 arrays ``[cores]``
        Counters, as in ``spikeloom.arch.memory_map.COUNTER_NAMES``.

    Raises
    ------
    ToolError
        If there is no C++ compiler, or it fails; ``spikeloom.golden.chip.Chip`` needs none.
    ImageError
        If a row or a destination list leaves its memory.
    """

    def __init__(self, config: ChipConfig, memories: Sequence[Mapping[str, WordArray]]) -> None:
        self.config = config
        self._native = _declared(library(SOURCE))
        self._tables = FastTables(config, memories)
        self._axons = np.array([core.axons for core in config.cores])
        self._core_of_block = np.repeat(np.arange(len(config.cores)), self._tables.core["columns"] // BLOCK)
        cores = len(config.cores)
        self._counters = {name: np.zeros(cores, np.int64) for name in COUNTERS}
        self.events, self.row_words, self.spikes, self.merged, self.dropped = self._counters.values()
        self._misrouted = np.zeros(1, np.int64)
        self._tables.arrays |= {**self._counters, "misrouted": self._misrouted}
        self._groups = [_NumpyGroup(group, config, self._tables) for group in self._tables.groups]
        self._engine = ctypes.c_void_p(self._native.fast_new(ctypes.byref(self._tables.pointers())))
        weakref.finalize(self, self._native.fast_free, self._engine)
        self.ticks = 0

    @property
    def misrouted(self) -> int:
        """Packets that left the mesh, or that were for the host but came to a core without one: counted and dropped."""
        return int(self._misrouted[0])

    def clear(self) -> None:
        """Initial state: everything 0, nothing pending, next tick 0. Weights stay as they were learnt."""
        arrays = self._tables.arrays
        learnt = [arrays[name] for name in (*TRACES, "v0", "tags", *SHORT_TERM) if name in arrays]
        for array in (*self._counters.values(), self._misrouted, arrays["pending"], *self._tables.states.values(), *learnt):
            array.fill(0)
        for group in self._groups:
            group.clear()
        # The random numbers of a core that learns go on in the next sample.
        learns = [number for number, core in enumerate(self.config.cores) if core.learning is not None]
        self._tables.core["seed"][learns] += np.uint32(key_of_tick(0, self.ticks))
        self.ticks = 0

    def inject(self, core: int, axons: IntArray, delay: int | IntArray = 1) -> None:
        """Events from outside for one core, due ``delay`` ticks after the last completed tick.

        Parameters
        ----------
        core : int
        axons : int64 array ``[K]``
            Events for an axon that does not exist, or with delay 0, are counted as dropped.
        delay : int or int64 array ``[K]``
            0 to 15; 1 is the next tick.

        Raises
        ------
        InputError
            If a delay is out of range.
        """
        delays = np.broadcast_to(np.asarray(delay, np.int64), axons.shape)
        wrong = delays[(delays < 0) | (delays > MAX_DELAY)]
        if len(wrong):
            raise InputError(f"an event has the delay {int(wrong[0])}; it must be 0 to {MAX_DELAY}")
        codes = self._codes(np.full(axons.shape, core), axons, delays)
        self._native.fast_deposit(self._engine, self.ticks - 1, len(codes), codes.ctypes.data)

    def tick(self) -> FastTick:
        """Run one tick."""
        run = self.run(1, spikes=True)
        bounds = np.searchsorted(run.spike_cores, np.arange(len(self.config.cores) + 1))
        fired = []
        for core, begin, end in zip(self.config.cores, bounds[:-1], bounds[1:], strict=True):
            fired.append(np.zeros(core.neurons, np.bool_))
            fired[-1][run.spike_neurons[begin:end]] = True
        return FastTick(fired, run.outputs)

    def run(self, ticks: int, inputs: tuple[IntArray, IntArray, IntArray] | None = None, *, spikes: bool = False) -> FastRun:
        """Run many ticks.

        Parameters
        ----------
        ticks : int
        inputs : tuple of three int64 arrays ``[K]`` or None
            Tick, core and axon of each event from outside; ticks count from that of the first tick of this call, 0, and may come in any
            order. An event for an axon that does not exist is counted as dropped.
        spikes : bool
            Whether the spikes of all neurons are wanted.

        Raises
        ------
        InputError
            If an event is for a tick that this call does not run.
        """
        when, core, axon = inputs if inputs is not None else (np.zeros(0, np.int64),) * 3
        wrong = when[(when < 0) | (when >= ticks)]
        if len(wrong):
            raise InputError(f"an event is for tick {int(wrong[0])} of a run of {ticks} ticks")
        order = np.argsort(when, kind="stable")
        starts = np.searchsorted(when[order], np.arange(ticks + 1)).astype(np.int64)
        codes = self._codes(core[order], axon[order], np.ones(len(order), np.int64))
        native = self._native
        if not self._groups:
            native.fast_run(self._engine, self.ticks, ticks, starts.ctypes.data, codes.ctypes.data, spikes)
            self.ticks += ticks
        else:
            for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
                native.fast_deposit(self._engine, self.ticks - 1, end - begin, codes[begin:end].ctypes.data)
                native.fast_update(self._engine, self.ticks)
                others = np.concatenate([group.step(self.ticks) for group in self._groups]).astype(np.uint32)
                others.sort()
                native.fast_emit(self._engine, self.ticks, len(others), others.ctypes.data, spikes)
                self.ticks += 1
        return self._results()

    def state(self, core: int) -> dict[str, IntArray]:
        """State fields of all models of a core, int64 arrays ``[neurons]``; zero where a neuron's model has no such field."""
        config = self.config.cores[core]
        first = int(self._tables.first_neuron[core])
        neurons = slice(first, first + config.neurons)
        mine = self._tables.arrays["mine"][neurons] != 0
        native = native_model(config)
        result = {}
        for name in sorted({field.name for model in config.models for field in model.state_fields()}):
            values = np.zeros(config.neurons, np.int64)
            if native >= 0 and name in [field.name for field in config.models[native].state_fields()]:
                values[mine] = self._tables.states[name][neurons][mine]
            for group in self._groups:
                if name in group.state:
                    here = group.core == core
                    values[group.index[here]] = group.state[name][0, here]
            result[name] = values
        return result

    def modulate(self, core: int, *, enabled: bool | None = None, reward: int | None = None) -> None:
        """Freeze or resume the learning of a core, and set its reward. What is left out stays.

        Parameters
        ----------
        core : int
            A core that learns.
        enabled : bool
        reward : int
            In units of 2**-10; 13 bits, signed.

        Raises
        ------
        ConfigError
            If the reward does not fit.
        """
        unit = self._unit(core)
        if reward is not None:
            limit = 1 << (REWARD_BITS - 1)
            if not -limit <= reward < limit:
                raise ConfigError(f"reward is {reward}; it must be {-limit} to {limit - 1}")
            unit["reward"] = reward
        if enabled is not None:
            unit["enabled"] = enabled

    def learning_state(self, core: int) -> dict[str, IntArray]:
        """Traces, weights and tags of a core, as ``spikeloom.golden.learning.Learning.state`` has them; empty if it does not learn."""
        config = self.config.cores[core]
        if config.learning is None:
            return {}
        arrays, unit = self._tables.arrays, self._unit(core)
        result = {}
        for name in config.learning.traces:
            first, count = (
                (self._tables.first_axon[core], config.axons)
                if name[0] == "x"
                else (self._tables.first_neuron[core], config.neurons)
            )
            result[name] = arrays[name][first : first + count].astype(np.int64)
        weights = arrays["shorts" if config.weight_bits > 8 else "bytes"]
        size = config.words * config.lanes
        for name, array in (("weights", weights), ("tags", arrays["tags"])):
            if name == "weights" or config.learning.tag_bits:
                begin = int(unit[name])
                result[name] = array[begin : begin + size].reshape(config.words, config.lanes).astype(np.int64)
        return result

    def short_term_state(self, core: int) -> dict[str, IntArray]:
        """Facilitation and depression of a core's axons, as ``spikeloom.golden.short_term.ShortTerm.state`` has them; empty if it has none."""
        config = self.config.cores[core]
        if not config.short_term:
            return {}
        first = int(self._tables.first_axon[core])
        return {name: self._tables.arrays[name][first : first + config.axons].astype(np.int64) for name in SHORT_TERM}

    def _unit(self, core: int) -> Any:
        """The learning unit of a core that has one."""
        learner = self._tables.arrays["learner"]
        return learner[int(np.searchsorted(learner["core"], core))]

    def pending(self, core: int) -> BoolArray:
        """Pending events of a core, ``[DELAY_SLOTS, axons]``; row s is due at the next tick t with ``t % DELAY_SLOTS == s``."""
        first = int(self._tables.first_axon[core]) // BLOCK
        axons = self.config.cores[core].axons
        words = self._tables.arrays["pending"][:, first : first + -(-axons // BLOCK)]
        bits = np.unpackbits(np.ascontiguousarray(words, "<u8").view(np.uint8), axis=1, count=axons, bitorder="little")
        return bits.astype(np.bool_)

    def _codes(self, core: IntArray, axon: IntArray, delay: IntArray) -> npt.NDArray[np.uint32]:
        return event_codes(self._tables.first_axon, self._axons, core, axon, delay).astype(np.uint32)

    def _results(self) -> FastRun:
        """Outputs and spikes since the last call."""
        counts, pointers = (ctypes.c_int64 * 4)(), (ctypes.c_void_p * 4)()
        self._native.fast_results(self._engine, counts, pointers)
        arrays = []
        for count, address, dtype in zip(counts, pointers, (np.int64, np.uint32, np.int64, np.uint32), strict=True):
            values = np.zeros(count, dtype)
            # An empty vector may have no address.
            if address is not None:
                ctypes.memmove(values.ctypes.data, address, values.nbytes)
            arrays.append(values)
        self._native.fast_clear_results(self._engine)
        output_ticks, outputs, spike_counts, neurons = arrays
        spike_ticks = np.repeat(np.arange(self.ticks - len(spike_counts), self.ticks), spike_counts)
        cores = self._core_of_block[neurons // BLOCK]
        return FastRun(output_ticks, outputs.astype(np.int64), spike_ticks, cores, neurons - self._tables.first_neuron[cores])


class _NumpyGroup:
    """Neurons without native code: the plain step of their model, for all cores at once."""

    def __init__(self, group: Group, config: ChipConfig, tables: FastTables) -> None:
        self.model, self.neurons, self.core, self.index = group.model, group.neurons, group.core, group.index
        self.parameters = group.parameters
        self.sums = tables.arrays["sums"]
        self.seeds = tables.core["seed"]
        # Neurons that take part in each of the first ticks, the last entry also in all later ones.
        taking = [np.flatnonzero(group.index < tables.core["updated"][group.core, tick]) for tick in range(MAX_LEVELS)]
        self.taking = taking
        self.settled = {name: values[taking[-1]] for name, values in group.parameters.items()}
        # Neurons whose learning core compares potentials with a threshold.
        self.threshold: IntArray = np.zeros(len(group.neurons), np.int64)
        self.compared = np.zeros(len(group.neurons), np.bool_)
        for unit in tables.arrays.get("learner", ()):
            here = group.core == unit["core"]
            self.threshold[here], self.compared[here] = unit["v_threshold"], unit["membrane_flag"]
        self.v0 = tables.arrays.get("v0")
        self.clear()

    def clear(self) -> None:
        """Initial state."""
        self.state = {field.name: np.zeros((1, len(self.neurons)), np.int64) for field in self.model.state_fields()}

    def step(self, tick: int) -> IntArray:
        """Update the neurons; the global numbers of those that fired."""
        number = min(tick, MAX_LEVELS - 1)
        taking = self.taking[number]
        settled = number == MAX_LEVELS - 1
        parameters = self.settled if settled else {name: values[taking] for name, values in self.parameters.items()}
        random: IntArray = np.zeros(len(taking), np.int64)
        if self.model.random:
            keys = (self.seeds[self.core[taking]].astype(np.int64) + key_of_tick(0, tick)) & 0xFFFFFFFF
            random = mix(keys ^ self.index[taking])
        sums = self.sums[self.neurons[taking]].astype(np.int64)[np.newaxis]
        before = {name: values[:, taking] for name, values in self.state.items()}
        state, fired = step_of(self.model)(self.model, parameters, before, sums, random)
        for name, values in state.items():
            self.state[name][:, taking] = values
        if self.v0 is not None:
            here = taking[self.compared[taking]]
            self.v0[self.neurons[here]] = np.where(self.state["membrane"][0, here] >= self.threshold[here], FLAG, 0)
        spikes: IntArray = self.neurons[taking[fired[0]]]
        return spikes


def _declared(native: ctypes.CDLL) -> Any:
    """The library with the types of its functions; refuses one whose structures are not the numpy types."""
    pointer, number, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    native.fast_new.restype = pointer
    arguments: tuple[tuple[Any, list[Any]], ...] = (
        (native.fast_new, [pointer]),
        (native.fast_free, [pointer]),
        (native.fast_deposit, [pointer, number, number, pointer]),
        (native.fast_update, [pointer, number]),
        (native.fast_emit, [pointer, number, number, pointer, flag]),
        (native.fast_run, [pointer, number, number, pointer, pointer, flag]),
        (native.fast_results, [pointer, pointer, pointer]),
        (native.fast_clear_results, [pointer]),
    )
    for function, types in arguments:
        function.argtypes = types
    sizes = (ctypes.c_int64 * 6)()
    native.fast_sizes(sizes)
    assert list(sizes) == [ctypes.sizeof(NativeTables), CORE.itemsize, ROW.itemsize, LEARNER.itemsize, BLOCK, MAX_NEURONS]
    return native
