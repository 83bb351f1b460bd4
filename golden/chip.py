"""A chip: cores in a mesh, golden model of a whole tick. Described in ``docs/mesh.md``.

No router is modelled: every delay is at least one tick, so it does not matter when or which way a packet travels within its tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.packet import Destination
from spikeloom.golden.core import Core

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ChipTick:
    """What a tick brought.

    Parameters
    ----------
    spikes : list of bool array ``[B, neurons]``
        Which neurons of each core fired.
    numbers : int64 array ``[K]``
        Output number of each output link: of core 0 first, and of a core in the order of its neurons and their lists.
    outputs : bool array ``[B, K]``
        Which output links carried a spike.
    """

    spikes: list[BoolArray]
    numbers: IntArray
    outputs: BoolArray


@dataclass(frozen=True, slots=True)
class Links:
    """Destinations with the same source core, destination core and delay.

    Parameters
    ----------
    core : int
        Destination core.
    delay : int
        Ticks.
    source, axons : int64 arrays ``[K]``
        Neuron of the source core, and axon it reaches.
    """

    core: int
    delay: int
    source: IntArray
    axons: IntArray


class Chip:
    """Runs B samples side by side, each from the initial state.

    Parameters
    ----------
    config : ChipConfig
        Geometry. That several chips share the mesh makes no difference.
    memories : sequence of dict of uint32 array ``[depth, slices]``
        Per core, the packed contents of the regions that an image holds.
    batch : int
        Samples.

    Attributes
    ----------
    cores : list of Core
    ticks : int
        Ticks completed.
    misrouted : int64 array ``[B]``
        Packets that left the mesh, or that were for the host but came to a core without one: counted and dropped.
    """

    def __init__(self, config: ChipConfig, memories: Sequence[Mapping[str, WordArray]], batch: int = 1) -> None:
        self.config = config
        self.cores = [Core(core, memory, batch) for core, memory in zip(config.cores, memories, strict=True)]
        self.links: list[list[Links]] = []
        self.lost: list[IntArray] = []
        self.output_links: list[IntArray] = []
        numbers = []
        for number, core in enumerate(self.cores):
            links, lost, output_source, output_numbers = self._expand(number, core)
            self.links.append(links)
            self.lost.append(lost)
            self.output_links.append(output_source)
            numbers.append(output_numbers)
        self.output_numbers: IntArray = np.concatenate(numbers)
        self.clear(batch)

    def _expand(self, number: int, core: Core) -> tuple[list[Links], IntArray, IntArray, IntArray]:
        """Links of a core to others, the source neurons of its lost packets, and the sources and numbers of its outputs."""
        config, emitter = self.config, core.emitter
        column, row = config.place(number)
        x, y = column + emitter.dx, row + emitter.dy
        inside = (x >= 0) & (x < config.columns) & (y >= 0) & (y < config.rows)
        destination = np.where(inside, y * config.columns + x, -1)
        hosts = np.array(config.host_cores)
        to_host = emitter.kind == Destination.OUTPUT
        lost = ~inside | (to_host & ~np.isin(destination, hosts))
        links = []
        to_axon = ~to_host & ~lost
        for pair in np.unique(np.stack([destination[to_axon], emitter.delay[to_axon]]), axis=1).T.tolist():
            chosen = to_axon & (destination == pair[0]) & (emitter.delay == pair[1])
            links.append(Links(pair[0], pair[1], emitter.source[chosen], emitter.target[chosen]))
        out = to_host & ~lost
        return links, emitter.source[lost], emitter.source[out], emitter.target[out]

    def clear(self, batch: int | None = None) -> None:
        """Initial state: everything 0, nothing pending, next tick 0."""
        for core in self.cores:
            core.clear(batch)
        self.ticks = 0
        self.misrouted: IntArray = np.zeros(self.cores[0].batch, np.int64)

    def inject(self, core: int, axons: IntArray, events: BoolArray, delay: int = 1) -> None:
        """Events from outside for one core; see :meth:`Core.inject`."""
        self.cores[core].inject(axons, events, delay)

    def tick(self) -> ChipTick:
        """Run one tick of all cores."""
        spikes = [core.tick() for core in self.cores]
        for fired, links, lost in zip(spikes, self.links, self.lost, strict=True):
            for link in links:
                self.cores[link.core].inject(link.axons, fired[:, link.source], link.delay)
            self.misrouted += fired[:, lost].sum(axis=1)
        self.ticks += 1
        outputs = np.concatenate([fired[:, source] for fired, source in zip(spikes, self.output_links, strict=True)], axis=1)
        return ChipTick(spikes, self.output_numbers, outputs)
