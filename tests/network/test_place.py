"""Placement of the cores of a partition in the mesh, and what it reports."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.memory_map import regions
from spikeloom.network import place as place_module
from spikeloom.network.description import Network
from spikeloom.network.image import Image
from spikeloom.network.place import Traffic, border_cycles, link_loads, place
from spikeloom.network.plan import CorePlan
from tests.network.cases import neurons, random_network, random_spikes

FloatArray = npt.NDArray[np.float64]
SMALL = CoreConfig(axons=40, neurons=16, lanes=4, destinations=80)
OTHER = CoreConfig(axons=20, neurons=8, lanes=4, destinations=80)


def mesh(columns: int, rows: int, cores: tuple[CoreConfig, ...] = (SMALL,), **changes: Any) -> ChipConfig:
    """Cores of the given kinds, in turn."""
    return ChipConfig(cores=tuple(itertools.islice(itertools.cycle(cores), columns * rows)), columns=columns, rows=rows, **changes)


def random_traffic(seed: int, count: int) -> Traffic:
    rng = np.random.default_rng(seed)
    between = np.floor(rng.exponential(20, (count, count))) * (rng.random((count, count)) < 0.3)
    return Traffic(between, np.floor(rng.exponential(10, count)) * (rng.random(count) < 0.3), np.floor(rng.exponential(10, count)))


def plans_of(config: ChipConfig, count: int) -> list[CorePlan]:
    return [CorePlan(core) for core in config.cores[:count]]


def packets_of(config: ChipConfig, places: list[int], traffic: Traffic) -> list[tuple[int, int, float]]:
    """Source core, destination core and number of packets, one after the other."""
    result = [(places[a], places[b], float(traffic.between[a, b])) for a in range(len(places)) for b in range(len(places))]
    for plan, core in enumerate(places):
        result.append((config.host_core(core), core, float(traffic.inputs[plan])))
        result.append((core, config.host_core(core), float(traffic.outputs[plan])))
    return result


def way(config: ChipConfig, source: int, destination: int) -> list[tuple[int, int]]:
    """The links of a packet, as pairs of cores: along x first, then along y."""
    links = []
    x, y = config.place(source)
    to_x, to_y = config.place(destination)
    while (x, y) != (to_x, to_y):
        next_x = x + int(np.sign(to_x - x))
        next_y = y if next_x != x else y + int(np.sign(to_y - y))
        links.append((y * config.columns + x, next_y * config.columns + next_x))
        x, y = next_x, next_y
    return links


def chip_of(config: ChipConfig, core: int) -> int:
    return config.host_core(core)


def cost(config: ChipConfig, places: list[int], traffic: Traffic) -> float:
    """Sum over the links of all packets, those between chips with their cycles."""
    total = 0.0
    for source, destination, amount in packets_of(config, places, traffic):
        for a, b in way(config, source, destination):
            total += amount * (1 if chip_of(config, a) == chip_of(config, b) else border_cycles(config))
    return total


MESHES = {
    "3x3": mesh(3, 3),
    "two kinds": mesh(3, 3, (SMALL, OTHER, SMALL)),
    "row": mesh(7, 1),
    "column": mesh(1, 6),
    "four chips": mesh(4, 4, chips_across=2, chips_down=2),
    "two chips, two kinds": mesh(4, 2, (OTHER, SMALL), chips_across=2),
}


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("seed", range(3))
def test_a_placement_is_legal_and_no_exchange_would_save_anything(name: str, seed: int) -> None:
    config = MESHES[name]
    count = len(config.cores) - seed % 3
    traffic, plans = random_traffic(seed, count), plans_of(config, count)
    places, _ = place(config, plans, traffic)
    assert len(set(places)) == count
    assert all(config.cores[core] == plan.config for core, plan in zip(places, plans, strict=True))
    least = cost(config, places, traffic)
    assert least <= cost(config, list(range(count)), traffic)
    for plan, core in itertools.product(range(count), range(len(config.cores))):
        if config.cores[core] == plans[plan].config:
            changed = [places[plan] if other == core else other for other in places]
            changed[plan] = core
            assert cost(config, changed, traffic) >= least - 1e-6, (plan, core)


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("seed", range(4))
def test_the_report_is_that_of_packets_followed_link_by_link(name: str, seed: int) -> None:
    config = MESHES[name]
    count = len(config.cores) - seed % 3
    traffic = random_traffic(seed, count)
    places, report = place(config, plans_of(config, count), traffic)
    for suffix, order in (("", places), ("_row_by_row", list(range(count)))):
        loads: dict[tuple[int, int], float] = {}
        for source, destination, amount in packets_of(config, order, traffic):
            for link in way(config, source, destination):
                loads[link] = loads.get(link, 0.0) + amount
        borders = sum(load for (a, b), load in loads.items() if chip_of(config, a) != chip_of(config, b))
        total = traffic.between.sum() + traffic.inputs.sum() + traffic.outputs.sum()
        assert report["packets"] == total
        assert report[f"hops{suffix}"] == pytest.approx(sum(loads.values()) / total)
        assert report[f"worst_link{suffix}"] == max(loads.values())
        assert report[f"border_packets{suffix}"] == borders


def test_link_loads_of_single_packets() -> None:
    config = mesh(3, 2)
    loads = link_loads(config, np.array([0, 5]), np.array([5, 3]), np.array([2.0, 7.0]))
    assert loads["east"].tolist() == [[2, 2], [0, 0]]  # core 0 to 5: east twice in row 0, then south in column 2
    assert loads["south"].tolist() == [[0, 0, 2]]
    assert loads["west"].tolist() == [[0, 0], [7, 7]]  # core 5 to 3: west twice in row 1
    assert loads["north"].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("columns", "rows", "core", "changes", "cycles"),
    [
        # Packets of 23 bits, tags for 2 routers and a token: 14 + 23 + 2 bits in 10 cells, and a CRC in 4, of 4 cycles each.
        (4, 4, CoreConfig(), {"chips_across": 2, "chips_down": 2}, 56),
        # 14 + 17 + 2 bits in 17 cells of 5 cycles, and 8.
        (4, 2, SMALL, {"chips_across": 2, "link_lanes": 2, "link_cell": 5}, 125),
        # Packets of 19 bits over a side of 6 routers (tags of 3 bits), and over one of 2 (tags of 2).
        (6, 2, SMALL, {"chips_down": 2, "link_lanes": 1}, 208),
        (6, 2, SMALL, {"chips_across": 2, "link_lanes": 1}, 204),
        # Sides of 4 routers and of 1 (tags of 3 bits and of 1): the slower links count.
        (8, 2, SMALL, {"chips_across": 2, "chips_down": 2, "link_lanes": 1}, 208),
        (2, 8, SMALL, {"chips_across": 2, "chips_down": 2, "link_lanes": 1}, 208),
        (3, 3, SMALL, {}, 1),
    ],
)
def test_a_border_counts_the_cycles_of_a_frame(
    columns: int, rows: int, core: CoreConfig, changes: dict[str, Any], cycles: int
) -> None:
    assert border_cycles(mesh(columns, rows, (core,), **changes)) == cycles


def ring(count: int) -> tuple[Network, list[str]]:
    """Populations that each fill a core and reach the next one, created in another order."""
    network = Network()
    source = network.input(4, "in")
    order = np.random.default_rng(0).permutation(count)
    populations = {int(k): network.population(16, neurons(16), f"p{k}") for k in order}
    network.projection(source, populations[0], 1.0)
    for k in range(count):
        network.projection(populations[k], populations[(k + 1) % count], np.full((16, 16), 0.1), 15)
    network.output(populations[0])
    return network, [f"p{k}" for k in range(count)]


def test_a_ring_finds_its_way_through_the_mesh() -> None:
    """Sixteen populations in a ring fit a 4x4 mesh so that each packet between them takes one hop."""
    network, _ = ring(16)
    report = spikeloom.compile(network, config=mesh(4, 4)).notes["placement"]
    assert report["packets"] == 16 * 16 + 4 + 16
    assert report["hops_row_by_row"] > 2
    assert report["hops"] <= 1.3
    assert report["worst_link"] < report["worst_link_row_by_row"]


def test_what_talks_stays_on_one_chip() -> None:
    """Two groups that have nothing to say to each other, mixed in the order of creation: no packet crosses between two chips."""
    network = Network()
    groups = [[network.population(16, neurons(16), f"g{group}p{k}") for group in range(2)] for k in range(4)]
    for group in range(2):
        network.projection(network.input(2, f"in{group}"), groups[0][group], 1.0)
        for k in range(4):
            network.projection(groups[k][group], groups[(k + 1) % 4][group], np.full((16, 16), 0.1), 15)
        network.output(groups[3][group])
    report = spikeloom.compile(network, config=mesh(4, 2, chips_across=2)).notes["placement"]
    assert report["border_packets_row_by_row"] > 0
    assert report["border_packets"] == 0


def entries_of(image: Image, label: str) -> npt.NDArray[np.int64]:
    """Destinations of each neuron of a population, as its cores' memories say."""
    counts = []
    for piece in image.pieces(label):
        layout = regions(image.config.cores[piece.core])["route_index"].layout
        counts.append(layout.unpack(image.memories[piece.core]["route_index"])["count"][piece.first : piece.first + piece.size])
    return np.concatenate(counts)


@pytest.mark.parametrize("seed", range(6))
def test_packets_are_those_of_the_routing_memories(seed: int) -> None:
    network = random_network(seed)
    config = mesh(3, 2)
    image = spikeloom.compile(network, config=config)
    labels = list(dict.fromkeys(piece.name for piece in image.populations))
    once = len(image.input_index) + sum(int(entries_of(image, label).sum()) for label in labels)
    assert image.notes["placement"]["packets_are"] == "if every neuron and input fires once"
    assert image.notes["placement"]["packets"] == once

    spikes = random_spikes(seed, network)
    image = spikeloom.compile(network, config=config, samples=spikes)
    device = spikeloom.open("golden", image)
    device.run(spikes, record=labels)
    seen = int(spikes[:, :, image.input_index].sum())
    for label in labels:
        trains = device.recorded[label].spikes
        assert trains is not None
        seen += int(trains.sum(axis=(0, 1)) @ entries_of(image, label))
    assert image.notes["placement"]["packets_are"] == "on the samples"
    assert image.notes["placement"]["packets"] == seen


def test_activity_on_the_samples_moves_cores() -> None:
    """One of two branches is silent on the samples: the busy one comes to the host's corner."""
    network = Network()
    branches = []
    for name in ("quiet", "busy"):
        source = network.input(4, f"to {name}")
        branch = network.population(16, neurons(16, threshold=0.5), name)
        network.projection(source, branch, 1.0)
        network.output(branch)
        branches.append(branch)
    spikes = np.zeros((1, 10, 8), np.bool_)
    spikes[:, :, 4:] = True
    config = mesh(2, 1)
    plain, informed = spikeloom.compile(network, config=config), spikeloom.compile(network, config=config, samples=spikes)
    assert [(piece.name, piece.core) for piece in plain.populations] == [("quiet", 0), ("busy", 1)]
    assert [(piece.name, piece.core) for piece in informed.populations] == [("quiet", 1), ("busy", 0)]
    assert np.array_equal(spikeloom.open("golden", plain).run(spikes), spikeloom.open("golden", informed).run(spikes))


def test_one_core_has_no_placement() -> None:
    network, _ = ring(4)
    notes = spikeloom.compile(network, config=ChipConfig(cores=(CoreConfig(neurons=64, destinations=100),))).notes
    assert "placement" not in notes
    assert "cores" not in notes


def test_the_work_of_exchanges_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any, the better one of both starts is kept."""
    config, traffic = mesh(4, 4), random_traffic(3, 16)
    free = place(config, plans_of(config, 16), traffic)[0]
    monkeypatch.setattr(place_module, "EFFORT", 0)
    bounded = place(config, plans_of(config, 16), traffic)[0]
    assert cost(config, free, traffic) < cost(config, bounded, traffic) <= cost(config, list(range(16)), traffic)
