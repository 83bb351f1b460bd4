from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.memory_map import regions
from spikeloom.arch.packet import Destination
from spikeloom.golden.chip import Chip
from spikeloom.sim.cases import random_case
from tests.golden.naive_core import NaiveChip, NaiveCore
from tests.helpers import core_configs, relay_config

MESHES = [(1, 1), (2, 1), (1, 3), (2, 2), (3, 2)]


def _compare(config: ChipConfig, memories: Any, events: Any) -> Chip:
    """Run golden and naive chip; the golden one."""
    golden = Chip(config, memories)
    hosts = {config.host_core(core) for core in range(len(config.cores))}
    cores = [NaiveCore(core, memory) for core, memory in zip(config.cores, memories, strict=True)]
    naive = NaiveChip(cores, config.columns, {core: core in hosts for core in range(len(cores))})
    for tick, of_tick in enumerate(events):
        for core, axon, delay in zip(of_tick.cores.tolist(), of_tick.axons.tolist(), of_tick.delays.tolist(), strict=True):
            golden.inject(core, np.array([axon]), np.ones((1, 1), np.bool_), delay)
            cores[core].inject(axon, delay)
        got = golden.tick()
        fired, outputs = naive.tick()
        assert [np.flatnonzero(spikes[0]).tolist() for spikes in got.spikes] == fired, tick
        assert got.numbers[got.outputs[0]].tolist() == outputs, tick
        for core, expected in zip(golden.cores, cores, strict=True):
            slots, axons = np.nonzero(core.scheduler.pending[:, 0])
            assert set(zip(slots.tolist(), axons.tolist(), strict=True)) == {(due % 16, axon) for due, axon in expected.pending}, (
                tick
            )
            for name in ("events", "row_words", "spikes", "merged", "dropped"):
                assert getattr(core, name)[0] == getattr(expected, name), (name, tick)
        assert golden.misrouted[0] == naive.misrouted, tick
    assert golden.ticks == len(events)
    return golden


@settings(max_examples=30)
@given(
    st.sampled_from(MESHES), st.lists(core_configs(max_axons=20, max_neurons=20), min_size=6, max_size=6), st.integers(0, 2**32 - 1)
)
def test_mesh_of_different_cores_follows_the_tick_contract(mesh: tuple[int, int], cores: list[CoreConfig], seed: int) -> None:
    columns, rows = mesh
    config = ChipConfig(cores=tuple(cores[: columns * rows]), columns=columns, rows=rows)
    case = random_case(config, seed, 12)
    _compare(config, case.image.memories, case.ticks)


LIVELY = CoreConfig(axons=24, neurons=20, lanes=4, weight_bits=4, levels=2, destinations=40)


@pytest.mark.parametrize("seed", range(4))
def test_lively_mesh_follows_the_tick_contract(seed: int) -> None:
    config = ChipConfig(cores=(LIVELY,) * 6, columns=3, rows=2)
    case = random_case(config, seed, 60)
    golden = _compare(config, case.image.memories, case.ticks)
    assert sum(int(core.spikes[0]) for core in golden.cores) > 100
    assert sum(int(core.merged[0]) for core in golden.cores) > 10


@pytest.mark.parametrize("seed", range(4))
def test_packets_to_nowhere_are_counted_and_dropped(seed: int) -> None:
    """Destinations that no image may have: they reach the chip through damaged memories only."""
    config = ChipConfig(cores=(LIVELY,) * 6, columns=3, rows=2)
    case = random_case(config, seed, 40)
    memories = [spoil_routes(config, number, memory, seed) for number, memory in enumerate(case.image.memories)]
    golden = _compare(config, memories, case.ticks)
    assert golden.misrouted[0] > 10
    assert sum(int(core.dropped[0]) for core in golden.cores) > 10


def spoil_routes(config: ChipConfig, number: int, memory: Any, seed: int) -> dict[str, Any]:
    """The memories of a core with random destinations."""
    rng = np.random.default_rng([seed, number])
    region = regions(config.cores[number])["routes"]
    fields = {
        field.name: rng.integers(-(1 << (field.bits - 1)), 1 << (field.bits - 1), region.depth)
        if field.signed
        else rng.integers(0, 1 << field.bits, region.depth)
        for field in region.layout.fields
    }
    return {**memory, "routes": region.layout.pack(fields)}


def test_outputs_of_both_chips_of_a_mesh_leave_through_their_corners() -> None:
    core = relay_config(neurons=2, destinations=4)
    config = ChipConfig(cores=(core,) * 4, columns=4, chips_across=2)
    case = random_case(config, 1, 1)
    table = regions(config.cores[3])
    memory = dict(case.image.memories[3])
    memory["route_index"] = table["route_index"].layout.pack({"first": [0, 0], "count": [3, 3]})
    # Core 2 is a corner, core 0 too; core 1 is not.
    memory["routes"] = table["routes"].layout.pack(
        {"kind": [Destination.OUTPUT] * 4, "delay": [0] * 4, "target": [0, 1, 2, 3], "dx": [-1, -3, -2, 0]}
    )
    chip = Chip(config, (*case.image.memories[:3], memory))
    ours = chip.first[3]
    assert (chip.output_sources >= ours).sum() == 4
    assert (chip.lost >= ours).sum() == 2
    assert chip.output_numbers[-4:].tolist() == [0, 1, 0, 1]


def test_samples_of_a_batch_do_not_meet() -> None:
    config = ChipConfig(cores=(LIVELY,) * 4, columns=2, rows=2)
    case = random_case(config, 2, 30)
    both, alone = Chip(config, case.image.memories, 2), Chip(config, case.image.memories)
    for events in case.ticks:
        for core, axon, delay in zip(events.cores.tolist(), events.axons.tolist(), events.delays.tolist(), strict=True):
            alone.inject(core, np.array([axon]), np.ones((1, 1), np.bool_), delay)
            both.inject(core, np.array([axon]), np.array([[True], [False]]), delay)
        first, second = alone.tick(), both.tick()
        for one, two in zip(first.spikes, second.spikes, strict=True):
            assert one[0].tolist() == two[0].tolist()
    both.clear()
    assert (both.ticks, both.misrouted.tolist()) == (0, [0, 0])
    assert not any(values.any() for core in both.cores for values in (*core.state.values(), core.scheduler.pending))
