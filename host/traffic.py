"""Traffic of a run: spikes of every core and packets on every link of the mesh. Described in ``docs/traffic.md``.

The golden model has no routers, but a packet's way follows from its destination: along x first, then along y.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import SIDES, ChipConfig
from spikeloom.arch.errors import InputError, ToolError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.memory_map import regions
from spikeloom.arch.packet import Destination
from spikeloom.golden.chip import Chip
from spikeloom.golden.emitter import Emitter
from spikeloom.golden.fast import FastChip
from spikeloom.host.chip import Progress
from spikeloom.host.spikes import BoolArray, check_spikes

#: Most counts kept, of all links and of all cores (:data:`CORE_COUNTS`) in all ticks: 1 GB.
MAX_COUNTS = 1 << 27
#: Counts of a core in a tick: spikes, sent, received, outputs, events.
CORE_COUNTS = 5
NORTH, EAST, SOUTH, WEST = range(len(SIDES))


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a mesh, one for each direction between two neighbouring cores; in the order of their cores, then of their sides.

    Parameters
    ----------
    source, destination : int64 arrays ``[links]``
        Core that a packet leaves, and core that it comes to.
    side : int64 array ``[links]``
        Side of ``source`` on which it leaves, an index into ``SIDES``.
    border : bool array ``[links]``
        Whether the two cores belong to different chips.
    """

    source: IntArray
    destination: IntArray
    side: IntArray
    border: BoolArray

    def __len__(self) -> int:
        return len(self.source)

    def name(self, link: int) -> str:
        """Name for tables."""
        return f"{self.source[link]} to {self.destination[link]} ({SIDES[self.side[link]]})"


def links_of(config: ChipConfig) -> Links:
    """All links of a mesh."""
    cores = np.arange(len(config.cores))
    x, y = cores % config.columns, cores // config.columns
    exists = np.stack([y > 0, x < config.columns - 1, y < config.rows - 1, x > 0], axis=1)
    step = np.array([-config.columns, 1, config.columns, -1])
    source, side = np.nonzero(exists)
    destination = source + step[side]
    width, height = config.columns // config.chips_across, config.rows // config.chips_down
    chip = y // height * config.chips_across + x // width
    return Links(source, destination, side, chip[source] != chip[destination])


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a run sent where. The ticks of all samples stand one behind the other.

    Parameters
    ----------
    config : ChipConfig
    links : Links
    samples : int
    spikes : int64 array ``[ticks, cores]``
        Neurons that fired.
    sent : int64 array ``[ticks, cores]``
        Packets of a core's neurons: one for each destination of each neuron that fired.
    received : int64 array ``[ticks, cores]``
        Packets that arrive at a core's axons.
    outputs : int64 array ``[ticks, cores]``
        Packets that leave to the host at a core's router.
    events : int64 array ``[ticks, cores]``
        Events from the host for a core's axons, due in the tick. They travel between ticks and are counted on no link.
    packets : int64 array ``[ticks, links]``
        Packets that crossed a link.
    """

    config: ChipConfig
    links: Links
    samples: int
    spikes: IntArray
    sent: IntArray
    received: IntArray
    outputs: IntArray
    events: IntArray
    packets: IntArray

    @property
    def ticks(self) -> int:
        """Ticks of all samples."""
        return len(self.spikes)

    @property
    def average_hops(self) -> float:
        """Links that a packet crosses on average; 0 without packets. A packet for its own core crosses none."""
        return float(self.packets.sum() / max(1, self.sent.sum()))

    @property
    def crossings(self) -> int:
        """Crossings of chip borders; a packet may cross several."""
        return int(self.packets[:, self.links.border].sum())

    @property
    def peak(self) -> IntArray:
        """Most packets that each link had in one tick, ``[links]``."""
        peak: IntArray = self.packets.max(axis=0)
        return peak

    def worst(self) -> tuple[IntArray, IntArray]:
        """Link with most packets in each tick, and how many, int64 arrays ``[ticks]``; link -1 where no packet crossed any."""
        if not len(self.links):
            return np.full(self.ticks, -1), np.zeros(self.ticks, np.int64)
        load = self.packets.max(axis=1)
        return np.where(load > 0, self.packets.argmax(axis=1), -1), load

    def as_dict(self) -> dict[str, Any]:
        """Totals over all ticks as plain data."""
        link, load = self.worst()
        busiest = int(load.argmax())
        names = ("spikes", "sent", "received", "outputs", "events")
        return {
            "columns": self.config.columns,
            "rows": self.config.rows,
            "chips_across": self.config.chips_across,
            "chips_down": self.config.chips_down,
            "samples": self.samples,
            "ticks": self.ticks,
            **{name: int(getattr(self, name).sum()) for name in names},
            "hops": int(self.packets.sum()),
            "average_hops": self.average_hops,
            "crossings": self.crossings,
            "worst": {"tick": busiest, "link": int(link[busiest]), "packets": int(load[busiest])},
            "cores": [
                {"core": core, "neurons": config.neurons, **{name: int(getattr(self, name)[:, core].sum()) for name in names}}
                for core, config in enumerate(self.config.cores)
            ],
            "links": [
                {"from": source, "to": destination, "side": SIDES[side], "border": border, "packets": packets, "peak": peak}
                for source, destination, side, border, packets, peak in zip(
                    self.links.source.tolist(),
                    self.links.destination.tolist(),
                    self.links.side.tolist(),
                    self.links.border.tolist(),
                    self.packets.sum(axis=0).tolist(),
                    self.peak.tolist(),
                    strict=True,
                )
            ],
        }


@dataclass(frozen=True, slots=True)
class TickCounts:
    """Counts of one tick, as the rows of :class:`Traffic`: ``[cores]``, packets ``[links]``."""

    spikes: IntArray
    sent: IntArray
    received: IntArray
    outputs: IntArray
    packets: IntArray


class Meter:
    """Counts the packets of a tick from the neurons that fired, whatever computed them.

    A way is not followed hop by hop. Its part along x is a range of links of one row of the mesh, its part along y a range of one
    column; the load of the links is the number of ranges begun less those ended. So a tick takes time for its packets, and for the mesh
    once, whatever the distances.

    Parameters
    ----------
    config : ChipConfig
    memories : sequence of dict of uint32 array ``[depth, slices]``
        As in an image; only the destination lists are looked at.
    """

    def __init__(self, config: ChipConfig, memories: Sequence[Mapping[str, WordArray]]) -> None:
        self.config = config
        self.links = links_of(config)
        emitters = []
        for core, memory in zip(config.cores, memories, strict=True):
            table = regions(core)
            index, routes = (table[name].layout.unpack(memory[name]) for name in ("route_index", "routes"))
            emitters.append(Emitter(index, routes))
        sizes = np.array([core.neurons for core in config.cores])
        # Neurons and destinations of all cores in one row; the destinations of a neuron are neighbours.
        self._first_neuron: IntArray = np.cumsum(sizes) - sizes
        number = np.concatenate([np.full(len(e.source), n) for n, e in enumerate(emitters)])
        neuron = np.concatenate([e.source for e in emitters]) + self._first_neuron[number]
        self._count: IntArray = np.bincount(neuron, minlength=int(sizes.sum()))
        self._first: IntArray = np.cumsum(self._count) - self._count
        x0, y0 = number % config.columns, number // config.columns
        x1, y1 = (np.concatenate([getattr(e, name) for e in emitters]) + at for name, at in (("dx", x0), ("dy", y0)))
        to_host = np.concatenate([e.kind for e in emitters]) == Destination.OUTPUT
        self._source_core: IntArray = number
        # Where a packet ends: first the cores' axons, then the cores' hosts.
        self._end: IntArray = y1 * config.columns + x1 + np.where(to_host, len(config.cores), 0)
        self._ranges = self._ways(x0, y0, x1, y1)

    def _ways(self, x0: IntArray, y0: IntArray, x1: IntArray, y1: IntArray) -> tuple[IntArray, ...]:
        """Begin and end of the two ranges of each way, as indices into the counts that :meth:`_loads` sums up.

        The counts are four tables, one for each side. The links to the east and west are ``[row, column]``, those to the north and south
        ``[column, row]``, each with one more entry for ends.
        """
        config = self.config
        along_x, along_y = config.rows * (config.columns + 1), config.columns * (config.rows + 1)
        row, column = y0 * (config.columns + 1), x1 * (config.rows + 1) + 2 * along_x
        east, south = x1 >= x0, y1 >= y0
        return (
            row + np.where(east, x0, x1 + 1 + along_x),
            row + np.where(east, x1, x0 + 1 + along_x),
            column + np.where(south, y0, y1 + 1 + along_y),
            column + np.where(south, y1, y0 + 1 + along_y),
        )

    def _loads(self, chosen: IntArray) -> IntArray:
        """Packets on each link, ``[links]``, for the chosen destinations."""
        columns, rows = self.config.columns, self.config.rows
        along_x, along_y = rows * (columns + 1), columns * (rows + 1)
        counts = np.zeros(2 * (along_x + along_y), np.int64)
        for begin, end in (self._ranges[:2], self._ranges[2:]):
            counts += np.bincount(begin[chosen], minlength=len(counts)) - np.bincount(end[chosen], minlength=len(counts))
        by_row = counts[: 2 * along_x].reshape(2, rows, columns + 1).cumsum(axis=2)[:, :, :columns]
        by_column = counts[2 * along_x :].reshape(2, columns, rows + 1).cumsum(axis=2)[:, :, :rows].swapaxes(1, 2)
        loads = np.empty((len(SIDES), rows, columns), np.int64)
        loads[EAST], loads[WEST] = by_row
        loads[SOUTH], loads[NORTH] = by_column
        result: IntArray = loads.reshape(len(SIDES), -1)[self.links.side, self.links.source]
        return result

    def count(self, spikes: Sequence[BoolArray]) -> TickCounts:
        """Counts of one tick.

        Parameters
        ----------
        spikes : sequence of bool array ``[neurons]``
            Which neurons of each core fired.
        """
        cores = len(self.config.cores)
        fired = [np.flatnonzero(core) for core in spikes]
        neurons = np.concatenate([part + first for part, first in zip(fired, self._first_neuron.tolist(), strict=True)])
        count = self._count[neurons]
        position = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        chosen = np.repeat(self._first[neurons], count) + position
        ends = np.bincount(self._end[chosen], minlength=2 * cores)
        return TickCounts(
            spikes=np.array([len(part) for part in fired], np.int64),
            sent=np.bincount(self._source_core[chosen], minlength=cores),
            received=ends[:cores],
            outputs=ends[cores:],
            packets=self._loads(chosen),
        )


def traffic(image: LoadableImage, spikes: npt.ArrayLike, *, progress: Progress | None = None) -> Traffic:
    """Run samples on the golden model, each from the initial state, and count spikes and packets.

    Parameters
    ----------
    image : LoadableImage
    spikes : array ``[ticks, inputs]`` or ``[samples, ticks, inputs]``
        bool, or 0 and 1.
    progress : callable
        Called after each tick with the number of ticks done and their total.

    Raises
    ------
    InputError
        If the spikes have a wrong shape or value, or are too long to keep all counts of each tick.
    """
    samples = check_spikes(spikes, image.input_size)
    config = image.config
    meter = Meter(config, image.memories)
    ticks = samples.shape[1] + image.drain
    total, cores, links = len(samples) * ticks, len(config.cores), len(meter.links)
    per_tick = CORE_COUNTS * cores + links
    if total * per_tick > MAX_COUNTS:
        raise InputError(
            f"{len(samples)} samples of {ticks} ticks on {cores} cores and {links} links are {total * per_tick} counts; "
            f"at most {MAX_COUNTS} are kept: give at most {MAX_COUNTS // per_tick} ticks"
        )
    spikes_of, sent, received, outputs, events = np.zeros((CORE_COUNTS, total, cores), np.int64)
    packets = np.zeros((total, links), np.int64)
    engine = _Engine(image)
    ways = _input_ways(image)
    row = 0
    for sample in samples:
        engine.clear()
        for tick in range(ticks):
            for core, offset, columns, axons in ways:
                if 0 <= tick - offset < len(sample):
                    active = axons[sample[tick - offset, columns]]
                    engine.inject(core, active)
                    events[row, core] += len(active)
            counts = meter.count(engine.tick())
            spikes_of[row], sent[row], received[row], outputs[row] = counts.spikes, counts.sent, counts.received, counts.outputs
            packets[row] = counts.packets
            row += 1
            if progress is not None:
                progress(row, total)
    return Traffic(config, meter.links, len(samples), spikes_of, sent, received, outputs, events, packets)


class _Engine:
    """The fast engine, or the plain golden model where there is no compiler: the same spikes, only later."""

    def __init__(self, image: LoadableImage) -> None:
        self._chip: FastChip | Chip
        try:
            self._chip = FastChip(image.config, image.memories)
        except ToolError:
            self._chip = Chip(image.config, image.memories)

    def clear(self) -> None:
        """Initial state."""
        self._chip.clear()

    def inject(self, core: int, axons: IntArray) -> None:
        """Events for the next tick."""
        if isinstance(self._chip, FastChip):
            self._chip.inject(core, axons)
        else:
            self._chip.inject(core, axons, np.ones((1, len(axons)), np.bool_))

    def tick(self) -> list[BoolArray]:
        """Run one tick: which neurons of each core fired."""
        return [fired.reshape(-1) for fired in self._chip.tick().spikes]


def _input_ways(image: LoadableImage) -> list[tuple[int, int, IntArray, IntArray]]:
    """Core and offset, and the input columns and axons that have both."""
    order = np.lexsort((image.input_offset, image.input_core))
    core, offset = image.input_core[order], image.input_offset[order]
    ends = np.flatnonzero((np.diff(core) != 0) | (np.diff(offset) != 0)) + 1
    return [
        (int(image.input_core[part[0]]), int(image.input_offset[part[0]]), image.input_index[part], image.input_axon[part])
        for part in np.split(order, ends)
        if len(part)
    ]
