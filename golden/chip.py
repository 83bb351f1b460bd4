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
    """Destinations with the same core and delay.

    Parameters
    ----------
    core : int
        Destination core.
    delay : int
        Ticks.
    source, axons : int64 arrays ``[K]``
        Neuron of the chip (those of core 0 first), and axon it reaches.
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
        #: First neuron of each core among those of the chip.
        self.first = np.cumsum([0, *(core.neurons for core in config.cores)])
        expanded = [self._expand(number, core) for number, core in enumerate(self.cores)]
        source, kind, delay, target, goal = (np.concatenate(column) for column in zip(*expanded, strict=True))
        hosted = np.isin(goal, config.host_cores)
        to_host = kind == Destination.OUTPUT
        to_axon, out = ~to_host & (goal >= 0), to_host & hosted
        #: Source neuron of each packet that gets lost.
        self.lost: IntArray = source[~to_axon & ~out]
        #: Source neuron and number of each output link.
        self.output_sources: IntArray = source[out]
        self.output_numbers: IntArray = target[out]
        self.links: list[Links] = []
        # Sorted, so that each part is a slice.
        chosen = np.flatnonzero(to_axon)
        chosen = chosen[np.lexsort((delay[chosen], goal[chosen]))]
        changes = np.flatnonzero((np.diff(goal[chosen], prepend=-1) != 0) | (np.diff(delay[chosen], prepend=-1) != 0))
        for part in np.split(chosen, changes[1:]) if len(chosen) else ():
            self.links.append(Links(int(goal[part[0]]), int(delay[part[0]]), source[part], target[part]))
        self.clear(batch)

    def _expand(self, number: int, core: Core) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
        """Source neuron, kind, delay, target and destination core (-1: outside the mesh) of each link of a core."""
        config, emitter = self.config, core.emitter
        column, row = config.place(number)
        x, y = column + emitter.dx, row + emitter.dy
        inside = (x >= 0) & (x < config.columns) & (y >= 0) & (y < config.rows)
        goal = np.where(inside, y * config.columns + x, -1)
        return self.first[number] + emitter.source, emitter.kind, emitter.delay, emitter.target, goal

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
        fired = np.concatenate(spikes, axis=1)
        for link in self.links:
            self.cores[link.core].inject(link.axons, fired[:, link.source], link.delay)
        self.misrouted += fired[:, self.lost].sum(axis=1)
        self.ticks += 1
        return ChipTick(spikes, self.output_numbers, fired[:, self.output_sources])
