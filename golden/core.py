"""One core: golden model of the tick contract. Described in ``docs/core.md``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.memory_map import regions
from spikeloom.golden.crossbar import Crossbar
from spikeloom.golden.emitter import Emitter
from spikeloom.golden.lif import LifParameters, lif_step
from spikeloom.golden.scheduler import Scheduler

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
    membrane, refractory : int64 arrays ``[B, neurons]``
    scheduler : Scheduler
    ticks : int
        Ticks completed, which is also the number of the next tick.
    events, row_words, spikes, merged, dropped : int64 arrays ``[B]``
        Counters, as in ``spikeloom.arch.memory_map.COUNTER_NAMES``.
    """

    def __init__(self, config: CoreConfig, memory: Mapping[str, WordArray], batch: int = 1) -> None:
        unpacked = {name: region.layout.unpack(memory[name]) for name, region in regions(config).items() if region.in_image}
        rows, leak, firing = unpacked["rows"], unpacked["leak"], unpacked["firing"]
        weights = unpacked["weights"]["weight"].reshape(config.words, config.lanes)
        index, routes = unpacked["route_index"], unpacked["routes"]
        zero = np.zeros(config.neurons, np.int64)
        of_neuron = np.arange(config.neurons) // config.group
        self.config = config
        self.crossbar = Crossbar(config, weights, rows["base"], rows["start"], rows["last"])
        self.parameters = LifParameters(
            retention=leak["retention"][of_neuron],
            threshold=firing["threshold"][of_neuron],
            reset=firing["reset"][of_neuron],
            reset_mode=leak["reset_mode"][of_neuron] if config.relative_reset else zero,
            refractory=firing["refractory"][of_neuron] if config.refractory_bits else zero,
            bias=unpacked["bias"]["bias"] if config.bias_bits else zero,
        )
        self.emitter = Emitter(index["first"], index["count"], routes["kind"], routes["delay"], routes["target"])
        self.updated_neurons = (unpacked["control"]["last"] + 1).tolist()
        self.clear(batch)

    def clear(self, batch: int | None = None) -> None:
        """Initial state: potentials and counters 0, nothing pending, next tick 0."""
        batch = len(self.membrane) if batch is None else batch
        shape = (batch, self.config.neurons)
        self.membrane: IntArray = np.zeros(shape, np.int64)
        self.refractory: IntArray = np.zeros(shape, np.int64)
        self.scheduler = Scheduler(self.config, batch)
        self.ticks = 0
        self.events, self.row_words, self.spikes, self.merged, self.dropped = np.zeros((5, batch), np.int64)

    def inject(self, axons: IntArray, events: BoolArray, delay: int = 1) -> None:
        """Events from outside, due ``delay`` ticks after the last completed tick.

        Parameters
        ----------
        axons : int64 array ``[K]``
            Axon of each column. Events for an axon that does not exist, or with delay 0, are counted as dropped.
        events : bool array ``[B, K]``
            Which samples have the event.
        delay : int
            0 to 15; 1 is the next tick.
        """
        valid = (axons >= 0) & (axons < self.config.axons) & (delay > 0)
        self.dropped += events[:, ~valid].sum(axis=1)
        self.merged += self.scheduler.deposit(self.ticks - 1 + delay, axons[valid], events[:, valid])

    def tick(self) -> tuple[BoolArray, IntArray, BoolArray]:
        """Run one tick.

        Returns
        -------
        spikes : bool array ``[B, neurons]``
            Which neurons fired.
        numbers : int64 array ``[K]``
            Output number of each output link.
        outputs : bool array ``[B, K]``
            Which output links carried a spike.
        """
        tick = self.ticks
        due = self.scheduler.take(tick)
        sums = self.crossbar.integrate(due)[:, : self.config.neurons]
        membrane, refractory, spikes = lif_step(self.config, self.parameters, self.membrane, self.refractory, sums)
        updated = self.updated_neurons[min(tick, len(self.updated_neurons) - 1)]
        self.membrane[:, :updated] = membrane[:, :updated]
        self.refractory[:, :updated] = refractory[:, :updated]
        spikes[:, updated:] = False
        for delay, (source, axons) in self.emitter.axon_links.items():
            self.merged += self.scheduler.deposit(tick + delay, axons, spikes[:, source])
        source, numbers = self.emitter.output_links
        self.events += due.sum(axis=1)
        self.row_words += self.crossbar.words_read(due)
        self.spikes += spikes.sum(axis=1)
        self.ticks = tick + 1
        return spikes, numbers, spikes[:, source]
