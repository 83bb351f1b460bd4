"""One core: golden model of the tick contract. Described in ``docs/core.md``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import MAX_DELAY, CoreConfig
from spikeloom.arch.errors import ConfigError, InputError
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.memory_map import models_and_sets, regions, unpack_neurons
from spikeloom.arch.random import key_of_tick, random_numbers
from spikeloom.golden.crossbar import Crossbar
from spikeloom.golden.emitter import Emitter
from spikeloom.golden.learning import Learning
from spikeloom.golden.neuron import step_of
from spikeloom.golden.scheduler import Scheduler
from spikeloom.golden.short_term import ShortTerm

BoolArray = npt.NDArray[np.bool_]


class Core:
    """A core that runs B samples side by side, each from the initial state.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    memory : dict of uint32 array ``[depth, slices]``
        Packed contents of the regions that an image holds.
    batch : int
        Samples.

    Attributes
    ----------
    state : dict of int64 array ``[B, neurons]``
        State fields of all models; zero where a neuron's model has no such field.
    learning : Learning or None
        What learns, if anything does; it has one sample only.
    short_term : ShortTerm or None
        Short-term plasticity of the axons, if the core has it.
    scheduler : Scheduler
    ticks : int
        Ticks completed, which is also the number of the next tick.
    earlier_ticks : int
        Ticks of earlier samples, which count for the random numbers of a core that learns.
    events, row_words, spikes, merged, dropped : int64 arrays ``[B]``
        Counters, as in ``spikeloom.arch.memory_map.COUNTER_NAMES``.
    """

    def __init__(self, config: CoreConfig, memory: Mapping[str, WordArray], batch: int = 1) -> None:
        table = regions(config)
        unpacked = {
            name: region.layout.unpack(memory[name]) for name, region in table.items() if region.in_image and not region.variants
        }
        rows = unpacked["rows"]
        weights = unpacked["weights"]["weight"].reshape(config.words, config.lanes)
        index, routes = unpacked["route_index"], unpacked["routes"]
        self.config = config
        self.seed = int(unpacked["seed"]["seed"][0]) if config.random else 0
        self.crossbar = Crossbar(config, weights, rows, unpacked.get("type_weights"))
        self.learning = None if config.learning is None else Learning(config, unpacked, self.crossbar, weights)
        self.short_term = ShortTerm(unpacked["short_term"], batch) if config.short_term else None
        model_of, set_of = models_and_sets(config, memory.get("kinds"))
        # Neurons of each model, and their parameters.
        self.groups: list[tuple[IntArray, dict[str, IntArray]]] = []
        words = {name: unpack_neurons(table[name], memory[name]) for name in ("parameters", "firing", "own") if name in table}
        for number in range(len(config.models)):
            neurons = np.flatnonzero(model_of == number)
            parameters = {
                field: values[neurons if name == "own" else set_of[neurons]]
                for name, per_model in words.items()
                for field, values in per_model[number].items()
            }
            self.groups.append((neurons, parameters))
        self.emitter = Emitter(index, routes)
        self.updated_neurons = (unpacked["control"]["last"] + 1).tolist()
        self.ticks = self.earlier_ticks = 0
        self.clear(batch)

    @property
    def batch(self) -> int:
        """Samples."""
        return len(self.events)

    def clear(self, batch: int | None = None) -> None:
        """Initial state: everything 0, nothing pending, next tick 0. Weights stay as they were learnt.

        Raises
        ------
        ConfigError
            If several samples are to run side by side on a core that learns: each would have weights of its own.
        """
        batch = self.batch if batch is None else batch
        if self.learning is not None:
            if batch != 1:
                raise ConfigError(f"{batch} samples side by side on a core that learns; give them one after the other")
            self.learning.clear()
            # Samples that teach one network must not be rounded with the same numbers.
            self.earlier_ticks += self.ticks
        if self.short_term is not None:
            self.short_term.clear(batch)
        names = {field.name for model in self.config.models for field in model.state_fields()}
        self.state: dict[str, IntArray] = {name: np.zeros((batch, self.config.neurons), np.int64) for name in sorted(names)}
        self.scheduler = Scheduler(self.config, batch)
        self.ticks = 0
        self.events, self.row_words, self.spikes, self.merged, self.dropped = np.zeros((5, batch), np.int64)

    def inject(self, axons: IntArray, events: BoolArray, delay: int = 1) -> None:
        """Events from outside or from neurons, due ``delay`` ticks after the last completed tick.

        Parameters
        ----------
        axons : int64 array ``[K]``
            Axon of each column. Events for an axon that does not exist, or with delay 0, are counted as dropped.
        events : bool array ``[B, K]``
            Which samples have the event.
        delay : int
            0 to 15; 1 is the next tick.

        Raises
        ------
        InputError
            If the delay is out of range.
        """
        if not 0 <= delay <= MAX_DELAY:
            raise InputError(f"an event has the delay {delay}; it must be 0 to {MAX_DELAY}")
        valid = (axons >= 0) & (axons < self.config.axons) & (delay > 0)
        self.dropped += events[:, ~valid].sum(axis=1)
        self.merged += self.scheduler.deposit(self.ticks - 1 + delay, axons[valid], events[:, valid])

    def tick(self) -> BoolArray:
        """Run one tick: which neurons fired, ``[B, neurons]``. Their events are the chip's to deposit."""
        tick = self.ticks
        due = self.scheduler.take(tick)
        key = key_of_tick(self.seed, self.earlier_ticks + tick)
        efficacy = None if self.short_term is None else self.short_term.arrive(due)
        sums = self.crossbar.integrate(due, key, efficacy)[:, : self.config.neurons]
        if self.learning is not None:
            self.learning.before_update(due[0], key)
        updated = self.updated_neurons[min(tick, len(self.updated_neurons) - 1)]
        spikes = np.zeros(sums.shape, np.bool_)
        for model, (neurons, parameters) in zip(self.config.models, self.groups, strict=True):
            count = int(np.searchsorted(neurons, updated))
            taking = neurons[:count]
            random = random_numbers(key, taking) if model.random else np.zeros(count, np.int64)
            state, spikes[:, taking] = step_of(model)(
                model,
                {name: values[:count] for name, values in parameters.items()},
                {field.name: self.state[field.name][:, taking] for field in model.state_fields()},
                sums[:, taking],
                random,
            )
            for name, values in state.items():
                assert values.dtype == np.int64
                self.state[name][:, taking] = values
        if self.learning is not None:
            self.learning.after_update(due[0], spikes[0], self.state["membrane"][0], updated, tick, key)
        if self.short_term is not None:
            self.short_term.decay(tick)
        self.events += due.sum(axis=1)
        self.row_words += self.crossbar.words_read(due)
        self.spikes += spikes.sum(axis=1)
        self.ticks = tick + 1
        return spikes
