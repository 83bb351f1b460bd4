"""Placement: at which place of the mesh each core of a partition stands. Described in ``docs/compiler.md``.

All numbers of packets are whole, so that the same network gives the same placement on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.chip_link import FrameFormat
from spikeloom.arch.config import ChipConfig, CoreConfig, bits_for
from spikeloom.arch.layout import IntArray
from spikeloom.arch.packet import packet_layout
from spikeloom.network.description import FloatArray
from spikeloom.network.plan import CorePlan

#: Bound of the work of exchanges: products of packets and distances computed; so many take seconds.
EFFORT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets of one run, or of whatever they are counted over.

    Parameters
    ----------
    between : float array ``[plans, plans]``
        From the neurons of a core to the axons of another; a core's packets to itself on the diagonal.
    inputs, outputs : float arrays ``[plans]``
        From the host, and to it.
    """

    between: FloatArray
    inputs: FloatArray
    outputs: FloatArray

    @property
    def packets(self) -> float:
        """All of them."""
        return float(self.between.sum() + self.inputs.sum() + self.outputs.sum())


def traffic(plans: list[CorePlan], spikes: dict[str, IntArray], outputs: set[str]) -> Traffic:
    """Packets between cores if each neuron and input fires as often as it is said to.

    Parameters
    ----------
    plans : list of CorePlan
    spikes : dict of int64 array ``[size]``
        By the labels of populations and inputs.
    outputs : set of str
        Labels of the populations that are outputs.
    """
    count = len(plans)
    owner = {label: np.zeros(len(values), np.int64) for label, values in spikes.items()}
    result = Traffic(np.zeros((count, count)), np.zeros(count), np.zeros(count))
    for number, plan in enumerate(plans):
        for piece in plan.pieces:
            label = piece.demand.population.label
            part = slice(piece.offset, piece.offset + piece.size)
            owner[label][part] = number
            if label in outputs:
                result.outputs[number] += spikes[label][part].sum()
    for number, plan in enumerate(plans):
        for bundle in plan.bundles:
            label, used = bundle.source.label, bundle.used
            if bundle.source.is_input:
                result.inputs[number] += spikes[label][used].sum()
            else:
                result.between[:, number] += np.bincount(owner[label][used], spikes[label][used], count)
    return result


def border_cycles(config: ChipConfig) -> int:
    """Cycles for which a packet occupies the link between two chips; it occupies a router's port for one. 1 if there is only one chip.

    Where the chips' sides differ in length, links along x and along y differ in the bits of their tags; the larger count holds for both.
    """
    width, height = config.columns // config.chips_across, config.rows // config.chips_down
    routers = max(height if config.chips_across > 1 else 0, width if config.chips_down > 1 else 0)
    if routers == 0:
        return 1
    # A word of the link is a packet and a tag, which names one of the routers along the side or says that the word is a token.
    word = packet_layout(config.cores[0]).bits + bits_for(routers + 1)
    return FrameFormat(word, config.link_lanes).cells * config.link_cell


def place(config: ChipConfig, plans: list[CorePlan], packets: Traffic) -> tuple[list[int], dict[str, object]]:
    """Choose a core of the mesh for each plan, so that packets have short ways.

    A plan can stand wherever the core is like its own. The cost is the sum over all packets of their hops; a hop from chip to chip counts
    :func:`border_cycles`. The start is the cheaper one of two orders: row by row, and one after the other beside those with which they
    have most traffic. Then each core in turn changes places with the one with which this saves most, until nothing does, or ``EFFORT``
    is used up.

    Returns
    -------
    cores : list of int
        Core of each plan.
    report : dict
        Plain numbers of the placement and of the order row by row.
    """
    distance, to_host = _distances(config)
    in_order = _in_order(config, plans)
    grown = _grow(config, plans, packets, distance, to_host)
    best = min((in_order, grown), key=lambda places: _cost(places, packets, distance, to_host))
    places = _exchange(config, best, packets, distance, to_host)
    after, before = _measure(config, places, packets), _measure(config, in_order, packets)
    report: dict[str, object] = {"packets": packets.packets, "border_cycles": border_cycles(config)}
    for name, value in after.items():
        report |= {name: value, f"{name}_row_by_row": before[name]}
    return places.tolist(), report


def _distances(config: ChipConfig) -> tuple[FloatArray, FloatArray]:
    """Cost of a packet from core to core, ``[cores, cores]``, and from each core to its host or back, ``[cores]``."""
    number = np.arange(config.columns * config.rows)
    x, y = number % config.columns, number // config.columns
    chip_x, chip_y = x * config.chips_across // config.columns, y * config.chips_down // config.rows
    hops = np.abs(np.subtract.outer(x, x)) + np.abs(np.subtract.outer(y, y))
    borders = np.abs(np.subtract.outer(chip_x, chip_x)) + np.abs(np.subtract.outer(chip_y, chip_y))
    cost = (hops + borders * (border_cycles(config) - 1)).astype(np.float64)
    hosts = np.array([config.host_core(core) for core in number.tolist()])
    return cost, cost[number, hosts]


def _cost(places: IntArray, packets: Traffic, distance: FloatArray, to_host: FloatArray) -> float:
    own = (packets.inputs + packets.outputs) @ to_host[places]
    return float((packets.between * distance[np.ix_(places, places)]).sum() + own)


def _kinds(config: ChipConfig, cores: Sequence[CoreConfig]) -> IntArray:
    """A number for each of the cores; equal ones have the same."""
    numbers = {core: number for number, core in enumerate(dict.fromkeys(config.cores))}
    return np.array([numbers[core] for core in cores], np.int64)


def _in_order(config: ChipConfig, plans: list[CorePlan]) -> IntArray:
    """Row by row in the order of the partition."""
    kinds, wanted = _kinds(config, config.cores), _kinds(config, [plan.config for plan in plans])
    places = np.zeros(len(plans), np.int64)
    for kind in np.unique(wanted):
        chosen = np.flatnonzero(wanted == kind)
        places[chosen] = np.flatnonzero(kinds == kind)[: len(chosen)]
    return places


def _grow(config: ChipConfig, plans: list[CorePlan], packets: Traffic, distance: FloatArray, to_host: FloatArray) -> IntArray:
    """One after the other, that with most traffic to those placed and to the host first, where its packets have the shortest ways."""
    kinds, wanted = _kinds(config, config.cores), _kinds(config, [plan.config for plan in plans])
    flow, host = packets.between + packets.between.T, packets.inputs + packets.outputs
    places = np.full(len(plans), -1, np.int64)
    free = np.ones(len(kinds), np.bool_)
    attraction = host.copy()
    for _ in plans:
        plan = int(np.where(places < 0, attraction, -1).argmax())
        others = np.flatnonzero((places >= 0) & (flow[plan] > 0))
        cost = host[plan] * to_host + flow[plan, others] @ distance[places[others]]
        places[plan] = int(np.where(free & (kinds == wanted[plan]), cost, np.inf).argmin())
        free[places[plan]] = False
        attraction += flow[plan]
    return places


def _exchange(config: ChipConfig, places: IntArray, packets: Traffic, distance: FloatArray, to_host: FloatArray) -> IntArray:
    """Exchanges of two places, of which one may be empty, as long as they save anything."""
    kinds = _kinds(config, config.cores)
    count = len(kinds)
    # What stands where: plan of each place, or -1.
    standing = np.full(count, -1, np.int64)
    standing[places] = np.arange(len(places))
    flow, host = np.zeros((count, count)), np.zeros(count)
    flow[np.ix_(places, places)] = packets.between + packets.between.T
    np.fill_diagonal(flow, 0)
    host[places] = packets.inputs + packets.outputs
    left = EFFORT // (4 * count * count)
    improved = True
    while improved:
        improved = False
        for a in range(count):
            if standing[a] < 0 or left <= 0:
                continue
            left -= 1
            # Change of cost if a and b exchange what stands there, for every b; their packets to each other keep their way.
            change = distance @ flow[a] - flow[a] @ distance[a] + flow @ distance[a] - np.einsum("ij,ij->i", flow, distance)
            change += 2 * flow[a] * distance[a] + (host[a] - host) * (to_host - to_host[a])
            b = int(np.where(kinds == kinds[a], change, 0.0).argmin())
            if change[b] < 0 and kinds[b] == kinds[a]:
                improved = True
                pair, swapped = [a, b], [b, a]
                standing[pair], host[pair] = standing[swapped], host[swapped]
                flow[pair] = flow[swapped]
                flow[:, pair] = flow[:, swapped]
    result = np.zeros(len(places), np.int64)
    taken = np.flatnonzero(standing >= 0)
    result[standing[taken]] = taken
    return result


# Report -----------------------------------------------------------------------------------------------------------------


def link_loads(
    config: ChipConfig, sources: IntArray, destinations: IntArray, packets: npt.NDArray[np.float64]
) -> dict[str, FloatArray]:
    """Packets over each link between neighbouring routers if they go along x first, then along y.

    Parameters
    ----------
    config : ChipConfig
    sources, destinations : int64 arrays ``[K]``
        Cores.
    packets : float array ``[K]``

    Returns
    -------
    dict of float array
        "east" and "west" ``[rows, columns - 1]``, "south" and "north" ``[rows - 1, columns]``; entry ``[r, c]`` belongs to the link
        between the core in row r, column c and its neighbour to the east or south.
    """
    loads = {name: np.zeros((config.rows, config.columns)) for name in ("east", "west", "south", "north")}
    x0, y0, x1, y1 = (
        sources % config.columns,
        sources // config.columns,
        destinations % config.columns,
        destinations // config.columns,
    )
    # Each packet adds one from where it enters a row or column, and takes it away where it leaves.
    for name, begin, end, axis in (("east", x0, x1, 1), ("west", x1, x0, 1), ("south", y0, y1, 0), ("north", y1, y0, 0)):
        there = begin < end
        for at, sign in ((begin, 1), (end, -1)):
            index = (y0, at) if axis else (at, x1)
            np.add.at(loads[name], (index[0][there], index[1][there]), sign * packets[there])
        loads[name] = np.cumsum(loads[name], axis=axis)
    return {name: load[:, :-1] if name in ("east", "west") else load[:-1] for name, load in loads.items()}


def _measure(config: ChipConfig, places: IntArray, packets: Traffic) -> dict[str, float]:
    """Average hops of a packet, packets over the busiest link, and packets over borders between chips."""
    a, b = np.nonzero(packets.between)
    hosts = np.array([config.host_core(core) for core in places.tolist()])
    sources, destinations = np.concatenate([places[a], hosts, places]), np.concatenate([places[b], places, hosts])
    amount = np.concatenate([packets.between[a, b], packets.inputs, packets.outputs])
    loads = link_loads(config, sources, destinations, amount)
    width, height = config.columns // config.chips_across, config.rows // config.chips_down
    across = sum(float(loads[name][:, width - 1 :: width].sum()) for name in ("east", "west"))
    down = sum(float(loads[name][height - 1 :: height].sum()) for name in ("south", "north"))
    total = packets.packets
    return {
        "hops": sum(float(load.sum()) for load in loads.values()) / total if total else 0.0,
        "worst_link": max((float(load.max(initial=0)) for load in loads.values()), default=0.0),
        "border_packets": across + down,
    }
