"""Traffic of a run against packets that walk one by one."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spikeloom.arch.config import SIDES, ChipConfig, CoreConfig
from spikeloom.arch.errors import InputError, ToolError
from spikeloom.arch.lif import Lif
from spikeloom.golden.chip import Chip
from spikeloom.host import traffic as traffic_module
from spikeloom.host.traffic import Meter, Traffic, links_of, traffic
from spikeloom.network.image import Image
from spikeloom.network.mapped import CoreArrays, image_from_arrays

BoolArray = npt.NDArray[np.bool_]

MODEL = Lif(state_bits=16, fraction_bits=0, decay=False, bias_bits=0, resets="absolute", refractory_bits=0)
STEPS = {"north": (0, -1), "east": (1, 0), "south": (0, 1), "west": (-1, 0)}


def random_network(columns: int, rows: int, seed: int, **chips: int) -> tuple[Image, list[CoreArrays]]:
    """Cores of different sizes; neurons with no, one or several destinations anywhere, and outputs."""
    rng = np.random.default_rng(seed)
    cores = tuple(
        CoreConfig(axons=int(rng.integers(2, 9)), neurons=4 * int(rng.integers(1, 4)), weight_bits=4, lanes=4, models=(MODEL,))
        for _ in range(columns * rows)
    )
    config = ChipConfig(cores=cores, columns=columns, rows=rows, **chips)
    every = []
    for core in cores:
        entries = int(rng.integers(0, core.neurons - 2))
        to = rng.integers(0, len(cores), entries)
        axon = (rng.random(entries) * [cores[n].axons for n in to]).astype(np.int64)
        every.append(
            CoreArrays(
                weights=rng.integers(-2, 5, (core.axons, core.neurons)),
                parameters={"threshold": rng.integers(0, 3, core.neurons), "reset": 0, "reset_mode": 0},
                destinations=np.stack([rng.integers(0, core.neurons, entries), to, axon, rng.integers(1, 16, entries)], axis=1),
                outputs=[(0, 0), (core.neurons - 1, 1)],
            )
        )
    inputs = [(int(rng.integers(0, 6)), n, axon, int(rng.integers(0, 3))) for n in range(len(cores)) for axon in range(2)]
    return image_from_arrays(config, every, inputs=inputs, input_size=6, output_shift=[2, 0]), every


class Walk:
    """Counts of packets that step from router to router: along x first, then along y."""

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self.sent: Counter[int] = Counter()
        self.received: Counter[int] = Counter()
        self.outputs: Counter[int] = Counter()
        self.packets: Counter[tuple[int, str]] = Counter()
        self.crossings = 0

    def chip(self, x: int, y: int) -> tuple[int, int]:
        config = self.config
        return x * config.chips_across // config.columns, y * config.chips_down // config.rows

    def go(self, source: int, destination: int, to_host: bool) -> None:
        columns = self.config.columns
        y, x = divmod(source, columns)
        y1, x1 = divmod(destination, columns)
        self.sent[source] += 1
        while (x, y) != (x1, y1):
            side = ("east" if x1 > x else "west") if x != x1 else ("south" if y1 > y else "north")
            self.packets[y * columns + x, side] += 1
            before = self.chip(x, y)
            x, y = x + STEPS[side][0], y + STEPS[side][1]
            self.crossings += self.chip(x, y) != before
        (self.outputs if to_host else self.received)[destination] += 1

    def fire(self, every: list[CoreArrays], spikes: list[BoolArray]) -> None:
        for core, (arrays, fired) in enumerate(zip(every, spikes, strict=True)):
            for source, to, _, _ in np.asarray(arrays.destinations).tolist():
                if fired[source]:
                    self.go(core, to, to_host=False)
            for source, _ in np.asarray(arrays.outputs).tolist():
                if fired[source]:
                    self.go(core, self.config.host_core(core), to_host=True)


def compare(config: ChipConfig, walk: Walk, counts: Any) -> None:
    """Rows of one tick."""
    links = links_of(config)
    for name in ("sent", "received", "outputs"):
        expected: Counter[int] = getattr(walk, name)
        assert getattr(counts, name).tolist() == [expected[core] for core in range(len(config.cores))], name
    got = {(int(links.source[k]), SIDES[links.side[k]]): int(n) for k, n in enumerate(counts.packets) if n}
    assert got == dict(walk.packets)


MESHES = [(1, 1, {}), (5, 1, {}), (1, 4, {}), (3, 2, {"chips_across": 3}), (4, 4, {"chips_across": 2, "chips_down": 2}), (6, 3, {})]


@pytest.mark.parametrize(("columns", "rows", "chips"), MESHES)
def test_counts_of_a_tick_are_those_of_packets_that_walk(columns: int, rows: int, chips: dict[str, int]) -> None:
    rng = np.random.default_rng(columns)
    image, every = random_network(columns, rows, seed=rows, **chips)
    meter = Meter(image.config, image.memories)
    hops = 0
    for rate in (0.0, 0.1, 0.5, 1.0):
        spikes = [rng.random(core.neurons) < rate for core in image.config.cores]
        counts, walk = meter.count(spikes), Walk(image.config)
        walk.fire(every, spikes)
        compare(image.config, walk, counts)
        assert counts.spikes.tolist() == [int(fired.sum()) for fired in spikes]
        hops += sum(walk.packets.values())
    assert (hops > 0) == (columns * rows > 1)


@pytest.mark.parametrize(("columns", "rows", "chips"), MESHES)
def test_a_link_joins_two_neighbours_in_each_direction(columns: int, rows: int, chips: dict[str, int]) -> None:
    core = CoreConfig(axons=1, neurons=1)
    config = ChipConfig(cores=(core,) * (columns * rows), columns=columns, rows=rows, **chips)
    links, walk = links_of(config), Walk(config)
    assert len(links) == 2 * (rows * (columns - 1) + columns * (rows - 1))
    for k in range(len(links)):
        y, x = divmod(int(links.source[k]), columns)
        y1, x1 = divmod(int(links.destination[k]), columns)
        assert (x1 - x, y1 - y) == STEPS[SIDES[links.side[k]]]
        assert links.border[k] == (walk.chip(x, y) != walk.chip(x1, y1))
    assert sorted(zip(links.source.tolist(), links.side.tolist(), strict=True)) == list(
        zip(links.source.tolist(), links.side.tolist(), strict=True)
    )


def follow(image: Image, spikes: BoolArray, every: list[CoreArrays], result: Traffic) -> Walk:
    """Compare a whole run with packets that walk, tick by tick; the neurons that fire are those of the golden chip."""
    config, total, row = image.config, Walk(image.config), 0
    for sample in spikes:
        chip = Chip(config, image.memories)
        for tick in range(len(sample) + image.drain):
            events: Counter[int] = Counter()
            for k, offset in enumerate(image.input_offset.tolist()):
                step, core = tick - offset, int(image.input_core[k])
                if 0 <= step < len(sample) and sample[step, image.input_index[k]]:
                    chip.inject(core, image.input_axon[k : k + 1], np.ones((1, 1), np.bool_))
                    events[core] += 1
            fired = [core[0] for core in chip.tick().spikes]
            walk = Walk(config)
            for one in (walk, total):
                one.fire(every, fired)
            assert result.events[row].tolist() == [events[core] for core in range(len(config.cores))]
            assert result.spikes[row].tolist() == [int(core.sum()) for core in fired]
            rows = {name: getattr(result, name)[row] for name in ("sent", "received", "outputs", "packets")}
            compare(config, walk, type("Row", (), rows))
            link, load = (values[row] for values in result.worst())
            assert load == max(walk.packets.values(), default=0)
            if load:
                assert walk.packets[int(result.links.source[link]), SIDES[result.links.side[link]]] == load
            else:
                assert link == -1
            row += 1
    assert row == result.ticks
    return total


@pytest.mark.parametrize(("columns", "rows", "chips"), MESHES)
def test_a_run_of_several_samples_is_counted_tick_by_tick(columns: int, rows: int, chips: dict[str, int]) -> None:
    rng = np.random.default_rng(rows)
    image, every = random_network(columns, rows, seed=columns + 10, **chips)
    spikes = rng.random((2, 12, 6)) < 0.5
    done: list[tuple[int, int]] = []
    result = traffic(image, spikes, progress=lambda *counts: done.append(counts))
    assert (result.samples, result.ticks, image.drain) == (2, 28, 2)
    assert done == [(n + 1, 28) for n in range(28)]
    total = follow(image, spikes, every, result)
    packets, hops = sum(total.sent.values()), sum(total.packets.values())
    assert packets >= 20
    assert result.average_hops == hops / packets
    assert result.crossings == total.crossings
    assert (total.crossings > 0) == bool(chips)
    assert result.sent.sum() == result.received.sum() + result.outputs.sum()
    assert result.peak.tolist() == result.packets.max(axis=0).tolist()


def test_without_a_compiler_the_plain_golden_model_gives_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ToolError("no compiler")

    image, _ = random_network(4, 3, seed=2)
    spikes = np.random.default_rng(2).random((2, 15, 6)) < 0.5
    fast = traffic(image, spikes)
    monkeypatch.setattr(traffic_module, "FastChip", type("None", (), {"__init__": refuse}))
    plain = traffic(image, spikes)
    assert fast.spikes.sum() > 100
    for name in ("spikes", "sent", "received", "outputs", "events", "packets"):
        assert (getattr(fast, name) == getattr(plain, name)).all(), name


def test_plain_data_hold_the_totals() -> None:
    image, _ = random_network(3, 2, seed=1, chips_across=3)
    result = traffic(image, np.ones((10, 6), np.bool_))
    data = json.loads(json.dumps(result.as_dict()))
    assert (data["columns"], data["rows"], data["chips_across"], data["samples"], data["ticks"]) == (3, 2, 3, 1, 12)
    for name in ("spikes", "sent", "received", "outputs", "events"):
        assert data[name] == getattr(result, name).sum() == sum(core[name] for core in data["cores"])
    assert data["hops"] == sum(link["packets"] for link in data["links"]) == result.packets.sum()
    assert data["crossings"] == sum(link["packets"] for link in data["links"] if link["border"])
    worst = data["worst"]
    assert worst["packets"] == result.packets.max() == result.packets[worst["tick"], worst["link"]]
    assert max(link["peak"] for link in data["links"]) == worst["packets"]
    first = data["links"][0]
    assert (first["from"], first["to"], first["side"], first["border"]) == (0, 1, "east", True)
    assert [core["neurons"] for core in data["cores"]] == [core.neurons for core in image.config.cores]


def test_a_silent_run_and_a_single_core_have_no_worst_link() -> None:
    image, _ = random_network(3, 2, seed=1)
    result = traffic(image, np.zeros((4, 6), np.bool_))
    assert result.sent.sum() == 0
    assert result.average_hops == 0.0
    link, load = result.worst()
    assert (link.tolist(), load.tolist()) == ([-1] * 6, [0] * 6)
    single, _ = random_network(1, 1, seed=1)
    result = traffic(single, np.ones((4, 6), np.bool_))
    assert (len(result.links), result.packets.shape, result.as_dict()["worst"]) == (
        0,
        (6, 0),
        {"tick": 0, "link": -1, "packets": 0},
    )
    assert result.sent.sum() > 0
    assert result.average_hops == 0.0


def test_links_have_names_for_tables() -> None:
    links = links_of(ChipConfig(cores=(CoreConfig(axons=1, neurons=1),) * 4, columns=2, rows=2))
    assert [links.name(k) for k in range(3)] == ["0 to 1 (east)", "0 to 2 (south)", "1 to 3 (south)"]


def test_wrong_or_too_many_spikes_are_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    image, _ = random_network(3, 2, seed=1)
    with pytest.raises(InputError, match=re.escape("input spikes have shape [4, 5]; the image needs [ticks, 6]")):
        traffic(image, np.zeros((4, 5)))
    with pytest.raises(InputError, match=r"^input spikes have no samples; give at least one$"):
        traffic(image, np.zeros((0, 4, 6)))
    # 3 x 2 cores have 14 links, and 5 counts each; two samples of 4 + 2 ticks.
    monkeypatch.setattr(traffic_module, "MAX_COUNTS", 44 * 12 - 1)
    message = "2 samples of 6 ticks on 6 cores and 14 links are 528 counts; at most 527 are kept: give at most 11 ticks"
    with pytest.raises(InputError, match=f"^{message}$"):
        traffic(image, np.zeros((2, 4, 6)))
    monkeypatch.setattr(traffic_module, "MAX_COUNTS", 44 * 12)
    assert traffic(image, np.zeros((2, 4, 6))).ticks == 12
