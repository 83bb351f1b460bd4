"""Random spikes, lists and stalls against plain loops, and the cycles of ``docs/emitter.md``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.memory_map import route_index_layout, route_layout
from spikeloom.arch.packet import Destination
from spikeloom.hdl.emitter import BLOCK, Emitter
from spikeloom.hdl.fabric import Fabric
from tests.hdl.helpers import POISONED, POISONED_ECP5, bus_read, load, pause, simulate

#: (kind, delay, target); the delay of an output means nothing and is not compared.
Entry = tuple[int, int, int]


class Bench:
    """An emitter with destination lists, and what left it, in order."""

    def __init__(self, config: CoreConfig, lists: Sequence[tuple[int, int]], entries: Sequence[Entry], fabric: Fabric = POISONED):
        self.config, self.lists, self.entries = config, lists, entries
        self.dut = Emitter(config=config, fabric=fabric)
        self.left: list[tuple[int, Entry]] = []
        self.cycle = 0

    async def load(self, ctx: Any) -> None:
        first, count = np.array(self.lists).T
        await load(ctx, self.dut.index_bus, route_index_layout(self.config).pack({"first": first, "count": count}))
        routes = dict(zip(("kind", "delay", "target"), np.array(self.entries).T, strict=True))
        await load(ctx, self.dut.route_bus, route_layout(self.config).pack(routes))

    async def watch(self, ctx: Any) -> None:
        dut = self.dut
        held: Entry | None = None
        while True:
            _, _, axon_valid, axon_ready, event, out_valid, out_ready, number = await ctx.tick().sample(
                dut.events.valid, dut.events.ready, dut.events.payload, dut.outputs.valid, dut.outputs.ready, dut.outputs.payload
            )
            assert not (axon_valid and out_valid)
            entry = (Destination.AXON, event.delay, event.axon) if axon_valid else (Destination.OUTPUT, 0, number)
            assert held is None or ((axon_valid or out_valid) and entry == held), "the stream changed its mind"
            taken = (axon_valid and axon_ready) or (out_valid and out_ready)
            held = entry if (axon_valid or out_valid) and not taken else None
            if taken:
                self.left.append((self.cycle, entry))
            self.cycle += 1

    async def tick(self, ctx: Any, spikes: Sequence[int], rng: np.random.Generator, gaps: float = 0.0) -> int:
        """Hand over the spikes of all neurons of a tick; returns the cycle in which the last ones were valid."""
        dut, pipelines = self.dut, self.config.pipelines
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        groups = len(spikes) // pipelines
        for group in range(groups):
            await pause(ctx, rng, gaps)
            ctx.set(dut.valid, 1)
            ctx.set(dut.last, int(group == groups - 1))
            ctx.set(dut.spikes, sum(int(spikes[group * pipelines + p]) << p for p in range(pipelines)))
            await ctx.tick()
            # What is at the inputs while they are not valid means nothing.
            ctx.set(dut.valid, 0)
            ctx.set(dut.last, 1)
            ctx.set(dut.spikes, (1 << pipelines) - 1)
        return self.cycle - 1

    async def wait(self, ctx: Any) -> None:
        while ctx.get(self.dut.busy):
            await ctx.tick()

    def expected(self, spikes: Sequence[int]) -> list[Entry]:
        entries = []
        for neuron, spike in enumerate(spikes):
            first, count = self.lists[neuron]
            for kind, delay, target in self.entries[first : first + count] if spike else ():
                entries.append((kind, delay if kind == Destination.AXON else 0, target))
        return entries


def _stalls(stream: Any, rng: np.random.Generator, chance: float) -> Any:
    async def watcher(ctx: Any) -> None:
        while True:
            ctx.set(stream.ready, int(rng.random() >= chance))
            await ctx.tick()

    return watcher


def _random(config: CoreConfig, seed: int) -> tuple[list[tuple[int, int]], list[Entry]]:
    rng = np.random.default_rng(seed)
    longest = config.list_length
    lists = []
    for _ in range(config.neurons):
        count = min(longest, int(rng.choice([0, 0, 1, 1, 2, 3, 7, longest])))
        lists.append((int(rng.integers(config.routes - count, endpoint=True)) if count else 0, count))
    target = max(config.axons, config.neurons)
    entries = [(int(rng.integers(2)), int(rng.integers(16)), int(rng.integers(target))) for _ in range(config.routes)]
    return lists, entries


@pytest.mark.parametrize(
    ("neurons", "pipelines", "routes", "gaps", "stalls", "fabric"),
    [
        (1, 1, 1, 0.0, 0.0, POISONED),
        (8, 1, 21, 0.3, 0.6, POISONED),
        (16, 2, 16, 0.0, 0.0, POISONED_ECP5),
        (40, 4, 60, 0.0, 0.3, POISONED),
        (24, 8, 9, 0.5, 0.0, POISONED),
        (48, 16, 30, 0.0, 0.0, POISONED),
        (48, 16, 12, 0.0, 0.8, POISONED_ECP5),
    ],
)
def test_destinations_leave_in_the_order_of_neurons_and_lists(
    neurons: int, pipelines: int, routes: int, gaps: float, stalls: float, fabric: Fabric
) -> None:
    config = CoreConfig(axons=37, neurons=neurons, lanes=16, pipelines=pipelines, destinations=routes)
    bench = Bench(config, *_random(config, neurons + pipelines), fabric)
    dut = bench.dut
    rng = np.random.default_rng([neurons, 2])

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        expected: list[Entry] = []
        for activity in (0.0, 1.0, 0.1, 0.5, 0.1):
            spikes = (rng.random(neurons) < activity).tolist()
            await bench.tick(ctx, spikes, rng, gaps)
            assert ctx.get(dut.busy)
            await bench.wait(ctx)
            expected += bench.expected(spikes)
            got = [entry for _, entry in bench.left]
            assert got[: len(expected)] == expected[: len(got)]
            assert len(got) == len(expected)

    watchers = [bench.watch, _stalls(dut.events, rng, stalls / 2), _stalls(dut.outputs, rng, stalls)]
    simulate(dut, run, watchers=watchers, limit=12_000)


def test_outputs_that_nobody_takes_stall_no_neuron_and_lose_nothing() -> None:
    # All 40 neurons fire with two outputs each, and the host reads nothing until long after the last spike.
    config = CoreConfig(axons=4, neurons=40, lanes=1, destinations=80)
    entries = [(Destination.OUTPUT, 0, k // 2) for k in range(80)]
    bench = Bench(config, [(2 * k, 2) for k in range(40)], entries)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        await bench.tick(ctx, [1] * 40, np.random.default_rng(1))
        for _ in range(200):
            await ctx.tick()
            assert ctx.get(bench.dut.busy)
        assert bench.left == []
        ctx.set(bench.dut.outputs.ready, 1)
        await bench.wait(ctx)
        assert [entry[2] for _, entry in bench.left] == [k // 2 for k in range(80)]

    simulate(bench.dut, run, watchers=[bench.watch], limit=1000)


def test_an_event_behind_a_stalled_output_waits() -> None:
    config = CoreConfig(axons=4, neurons=1, lanes=1, destinations=3)
    bench = Bench(config, [(0, 2)], [(Destination.OUTPUT, 0, 0), (Destination.AXON, 3, 2), (Destination.AXON, 1, 1)])

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        ctx.set(bench.dut.events.ready, 1)
        await bench.tick(ctx, [1], np.random.default_rng(1))
        for _ in range(50):
            await ctx.tick()
        assert bench.left == []
        ctx.set(bench.dut.outputs.ready, 1)
        await bench.wait(ctx)
        assert [entry for _, entry in bench.left] == [(Destination.OUTPUT, 0, 0), (Destination.AXON, 3, 2)]

    simulate(bench.dut, run, watchers=[bench.watch], limit=200)


def test_the_bus_reads_back_lists_and_entries() -> None:
    config = CoreConfig(axons=4, neurons=6, lanes=2, pipelines=2, destinations=11)
    bench = Bench(config, *_random(config, 3))

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for neuron, (first, count) in enumerate(bench.lists):
            assert await bus_read(ctx, bench.dut.index_bus, neuron) == first | count << 4
        for number, (kind, delay, target) in enumerate(bench.entries):
            assert await bus_read(ctx, bench.dut.route_bus, number) == kind | delay << 1 | target << 5

    simulate(bench.dut, run, limit=1000)


# Cycles of docs/emitter.md --------------------------------------------------------------------------------------------------


async def _timed(ctx: Any, bench: Bench, spikes: Sequence[int]) -> tuple[int, list[int]]:
    """Cycle of the last spikes, and cycles in which destinations left, nothing being stalled."""
    await bench.load(ctx)
    ctx.set(bench.dut.events.ready, 1)
    ctx.set(bench.dut.outputs.ready, 1)
    last = await bench.tick(ctx, spikes, np.random.default_rng(1))
    await bench.wait(ctx)
    return last, [cycle for cycle, _ in bench.left]


def test_the_first_destination_leaves_ten_cycles_after_the_last_spikes_of_its_block() -> None:
    config = CoreConfig(axons=4, neurons=8, lanes=1, destinations=1)
    bench = Bench(config, [(0, 1)] * 8, [(Destination.AXON, 1, 1)])

    async def run(ctx: Any) -> None:
        last, left = await _timed(ctx, bench, [0, 0, 0, 1, 0, 0, 0, 0])
        assert left == [last + 2 + 8]

    simulate(bench.dut, run, watchers=[bench.watch], limit=200)


def test_a_neuron_takes_a_cycle_per_destination_and_one_more() -> None:
    # Lists of 3, 0, 1 and 2 entries: the empty one takes two cycles too.
    config = CoreConfig(axons=4, neurons=4, lanes=1, destinations=6)
    lists = [(0, 3), (0, 0), (3, 1), (4, 2)]
    bench = Bench(config, lists, [(Destination.AXON, 1, k % 4) for k in range(6)])

    async def run(ctx: Any) -> None:
        _, left = await _timed(ctx, bench, [1, 1, 1, 1])
        start = left[0]
        assert left == [start + k for k in (0, 1, 2, 4 + 2, 4 + 2 + 2, 4 + 2 + 2 + 1)]

    simulate(bench.dut, run, watchers=[bench.watch], limit=200)


def test_emission_runs_beside_the_update_of_later_neurons() -> None:
    config = CoreConfig(axons=4, neurons=3 * BLOCK, lanes=1, destinations=1)
    bench = Bench(config, [(0, 1)] * 3 * BLOCK, [(Destination.AXON, 1, 1)])

    async def run(ctx: Any) -> None:
        last, left = await _timed(ctx, bench, [1] + [0] * (3 * BLOCK - 1))
        # The last spikes of neuron 0's block were valid two blocks before the last ones.
        assert left == [last - 2 * BLOCK + 2 + 8]

    simulate(bench.dut, run, watchers=[bench.watch], limit=200)


@pytest.mark.parametrize("stalls", [0.0, 0.6])
def test_in_a_mesh_entries_leave_as_packets(stalls: float) -> None:
    """The longest list too."""
    config = CoreConfig(axons=9, neurons=8, lanes=2, destinations=16, reach_x=3, reach_y=1, payload=True)
    dut = Emitter(config=config, fabric=POISONED)
    rng = np.random.default_rng(3)
    layout = route_layout(config)
    columns = {
        field.name: rng.integers(-(1 << field.bits - 1), 1 << field.bits - 1, 16)
        if field.signed
        else rng.integers(0, 1 << field.bits, 16)
        for field in layout.fields
    }
    lists = {"first": [0, 3, 0, 15, 2, 0, 7, 0], "count": [15, 2, 0, 1, 5, 1, 9, 0]}
    left: list[dict[str, int]] = []

    async def watch(ctx: Any) -> None:
        while True:
            _, _, valid, ready, packet = await ctx.tick().sample(dut.packets.valid, dut.packets.ready, dut.packets.payload)
            if valid and ready:
                left.append({name: int(packet[name]) for name in (*columns, "payload")})

    async def run(ctx: Any) -> None:
        await load(ctx, dut.index_bus, route_index_layout(config).pack(lists))
        await load(ctx, dut.route_bus, layout.pack(columns))
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for neuron in range(8):
            ctx.set(dut.valid, 1)
            ctx.set(dut.spikes, 1)
            ctx.set(dut.last, int(neuron == 7))
            await ctx.tick()
        ctx.set(dut.valid, 0)
        await ctx.tick()
        while ctx.get(dut.busy):
            await ctx.tick()

    simulate(dut, run, watchers=[watch, _stalls(dut.packets, np.random.default_rng(4), stalls)])
    entries = [first + i for first, count in zip(*lists.values(), strict=True) for i in range(count)]
    assert left == [{name: int(values[entry]) for name, values in columns.items()} | {"payload": 0} for entry in entries]
