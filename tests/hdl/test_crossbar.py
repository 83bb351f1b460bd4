"""Random rows against plain loops, and rows that follow each other at every distance, on every kind of memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.memory_map import row_layout, weight_layout
from spikeloom.hdl.crossbar import Crossbar
from spikeloom.hdl.fabric import Fabric
from tests.hdl.helpers import POISONED, POISONED_ECP5, bus_read, cycles, load, pause, put, simulate

#: Accumulators in block RAM with an output register, as wide cores on an ECP5 have them.
LATE = Fabric(name="late", slow_block_ram=True, poison_collisions=True)
#: The same, and a weight memory in parts of 16 words.
BANKS = Fabric(name="banks", slow_block_ram=True, block_ram_depth=16, poison_collisions=True)
#: Accumulators in LUT RAM, and a weight memory in parts.
LUT_BANKS = Fabric(name="lut banks", lut_ram_depth=8, slow_block_ram=True, block_ram_depth=16, poison_collisions=True)
FABRICS = [POISONED, POISONED_ECP5, LATE, BANKS, LUT_BANKS]

Row = tuple[int, int, int]  # base, start, last


class Bench:
    """A crossbar with contents, and a plain model of it."""

    def __init__(self, config: CoreConfig, fabric: Fabric, rows: Sequence[Row], seed: int) -> None:
        self.config, self.rows = config, rows
        self.dut = Crossbar(config=config, fabric=fabric)
        high = 1 << (config.weight_bits - 1)
        self.weights = np.random.default_rng(seed).integers(-high, high, (config.words, config.lanes))
        self.row_words = self.events = 0

    async def load(self, ctx: Any) -> None:
        """Fill the memories, and set the sums to zero as the core does after reset."""
        values = self.weights[:, 0] if self.config.lanes == 1 else self.weights
        await load(ctx, self.dut.weight_bus, weight_layout(self.config).pack({"weight": values}))
        columns = np.array(self.rows).T
        await load(ctx, self.dut.row_bus, row_layout(self.config).pack(dict(zip(("base", "start", "last"), columns, strict=True))))
        await self.read_out(ctx)
        await self.wait(ctx)

    async def watch(self, ctx: Any) -> None:
        """Count the strobes."""
        while True:
            *_, row_word, event = await ctx.tick().sample(self.dut.row_word, self.dut.event)
            self.row_words += row_word
            self.events += event

    async def wait(self, ctx: Any) -> None:
        while ctx.get(self.dut.busy):
            await ctx.tick()

    async def read_out(self, ctx: Any) -> npt.NDArray[np.int64]:
        """All sums, words one behind the other without a gap."""
        dut, config = self.dut, self.config
        steps = [(word, step) for word in range(config.neuron_words) for step in range(dut.steps)]
        sums = []
        for cycle in range(len(steps) + dut.sum_latency):
            word, step = steps[cycle] if cycle < len(steps) else (0, 0)
            ctx.set(dut.read, int(cycle < len(steps) and step == 0))
            ctx.set(dut.word, word)
            ctx.set(dut.select, step)
            if cycle >= dut.sum_latency:
                sums.append([ctx.get(dut.sums[p]) for p in range(config.pipelines)])
            await ctx.tick()
        ctx.set(dut.read, 0)
        return np.array(sums).reshape(-1)

    def expected(self, axons: Sequence[int]) -> npt.NDArray[np.int64]:
        """Sums of all active axons, weight by weight."""
        sums = [0] * self.config.neuron_slots
        for axon in axons:
            base, start, last = self.rows[axon]
            for k in range(last - start + 1):
                for lane in range(self.config.lanes):
                    sums[(start + k) * self.config.lanes + lane] += int(self.weights[base + k, lane])
        return np.array(sums)

    def words(self, axons: Sequence[int]) -> int:
        return sum(max(0, last - start + 1) for _, start, last in (self.rows[axon] for axon in axons))


def _random_rows(config: CoreConfig, rng: np.random.Generator) -> list[Row]:
    rows = []
    for _ in range(config.axons):
        start = int(rng.integers(config.neuron_words))
        last = min(start + int(rng.choice([0, 1, 2, config.neuron_words])), config.neuron_words - 1)
        if rng.random() < 0.15:
            start, last = 1, 0
        rows.append((int(rng.integers(config.words - max(0, last - start))), start, last))
    return rows


CONFIGS = {
    "one lane": CoreConfig(axons=9, neurons=5, weight_bits=8, lanes=1, weight_words=40),
    "four lanes, one pipeline": CoreConfig(axons=24, neurons=40, weight_bits=4, lanes=4, weight_words=60),
    "eight lanes, two pipelines": CoreConfig(axons=24, neurons=22, weight_bits=8, lanes=8, pipelines=2, weight_words=40),
    "all lanes are pipelines": CoreConfig(axons=12, neurons=16, weight_bits=2, lanes=4, pipelines=4, weight_words=33),
    "wide words, one word": CoreConfig(axons=12, neurons=16, weight_bits=16, lanes=16, pipelines=1, weight_words=17),
}


@pytest.mark.parametrize("fabric", [POISONED, BANKS, LUT_BANKS], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("name", CONFIGS)
def test_random_rows_give_the_sums_of_a_plain_loop(name: str, fabric: Fabric) -> None:
    config = CONFIGS[name]
    rng = np.random.default_rng([3, *name.encode()])
    bench = Bench(config, fabric, _random_rows(config, rng), seed=1)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        events = words = 0
        for activity, gaps in ((1.0, 0.0), (0.5, 0.3), (0.1, 0.0), (0.0, 0.0), (1.0, 0.7)):
            axons = np.flatnonzero(rng.random(config.axons) < activity).tolist()
            for axon in axons:
                await pause(ctx, rng, gaps)
                await put(ctx, bench.dut.axons, axon)
            await bench.wait(ctx)
            np.testing.assert_array_equal(await bench.read_out(ctx), bench.expected(axons), err_msg=f"axons {axons}")
            await bench.wait(ctx)
            events, words = events + len(axons), words + bench.words(axons)
            assert (bench.events, bench.row_words) == (events, words)

    simulate(bench.dut, run, watchers=[bench.watch], limit=4000)


@pytest.mark.parametrize("fabric", FABRICS, ids=lambda fabric: fabric.name)
def test_rows_with_common_words_follow_each_other_at_every_distance(fabric: Fabric) -> None:
    # All ranges of 4 neuron words, and an empty row; each pair of them with gaps between.
    ranges = [(start, last) for start in range(4) for last in range(start, 4)] + [(1, 0)]
    config = CoreConfig(axons=len(ranges), neurons=4, weight_bits=8, lanes=1, weight_words=40)
    bench = Bench(config, fabric, [(3 * k, start, last) for k, (start, last) in enumerate(ranges)], seed=2)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for pair in itertools.product(range(len(ranges)), repeat=2):
            for axon in pair:
                await put(ctx, bench.dut.axons, axon)
            await bench.wait(ctx)
            got = await bench.read_out(ctx)
            np.testing.assert_array_equal(got, bench.expected(pair), err_msg=f"rows {[ranges[axon] for axon in pair]}")
            await bench.wait(ctx)

    simulate(bench.dut, run, limit=6000)


@pytest.mark.parametrize("fabric", FABRICS, ids=lambda fabric: fabric.name)
def test_three_short_rows_for_few_words_in_any_order(fabric: Fabric) -> None:
    ranges = [(0, 0), (1, 1), (0, 1), (1, 2)]
    config = CoreConfig(axons=4, neurons=3, weight_bits=8, lanes=1, weight_words=12)
    bench = Bench(config, fabric, [(3 * k, start, last) for k, (start, last) in enumerate(ranges)], seed=3)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for axons in itertools.product(range(4), repeat=3):
            for axon in axons:
                await put(ctx, bench.dut.axons, axon)
            await bench.wait(ctx)
            np.testing.assert_array_equal(await bench.read_out(ctx), bench.expected(axons), err_msg=f"axons {axons}")
            await bench.wait(ctx)

    simulate(bench.dut, run, limit=6000)


@pytest.mark.parametrize("fabric", [POISONED, LATE], ids=lambda fabric: fabric.name)
def test_reading_the_sums_sets_them_to_zero(fabric: Fabric) -> None:
    config = CONFIGS["four lanes, one pipeline"]
    bench = Bench(config, fabric, [(k, 0, config.neuron_words - 1) for k in range(config.axons)], seed=4)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for axon in range(3):
            await put(ctx, bench.dut.axons, axon)
        await bench.wait(ctx)
        assert (await bench.read_out(ctx)).any()
        await bench.wait(ctx)
        assert not (await bench.read_out(ctx)).any()

    simulate(bench.dut, run, limit=2000)


@pytest.mark.parametrize("extreme", ["low", "high"])
def test_the_largest_sums_do_not_wrap(extreme: str) -> None:
    # 8 axons times -128 is -1024, the end of an 11-bit word; 8 times 127 is 1016.
    config = CoreConfig(axons=8, neurons=4, weight_bits=8, lanes=4)
    assert config.sum_bits == 11
    bench = Bench(config, POISONED, [(0, 0, 0)] * 8, seed=5)
    bench.weights[:] = -128 if extreme == "low" else 127

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for axon in range(8):
            await put(ctx, bench.dut.axons, axon)
        await bench.wait(ctx)
        assert (await bench.read_out(ctx)).tolist() == [-1024 if extreme == "low" else 1016] * 4

    simulate(bench.dut, run, limit=500)


@pytest.mark.parametrize("fabric", FABRICS, ids=lambda fabric: fabric.name)
def test_the_bus_reads_back_rows_and_weights(fabric: Fabric) -> None:
    config = CoreConfig(axons=5, neurons=20, weight_bits=8, lanes=8, weight_words=37)
    bench = Bench(config, fabric, [(7 * k, k % 3, 2) for k in range(5)], seed=6)
    weights = weight_layout(config).pack({"weight": bench.weights})

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for index in range(config.words):
            assert [await bench_read(ctx, index, s) for s in range(2)] == weights[index].tolist()
        for axon, (base, start, last) in enumerate(bench.rows):
            # 37 words take 6 bits, 3 neuron words take 2.
            assert await bus_read(ctx, bench.dut.row_bus, axon) == base | start << 6 | last << 8

    async def bench_read(ctx: Any, index: int, slice_: int) -> int:
        return await bus_read(ctx, bench.dut.weight_bus, index, slice_)

    simulate(bench.dut, run, limit=2000)


# Cycles of docs/crossbar.md -------------------------------------------------------------------------------------------------


async def _issued(ctx: Any, bench: Bench, axons: Sequence[int]) -> list[int]:
    """Cycles, from the one in which the first axon is taken, in which a weight word was read."""
    issued: list[int] = []
    cycle = 0
    waiting = list(axons)
    ctx.set(bench.dut.axons.valid, 1)
    while waiting or ctx.get(bench.dut.busy):
        if waiting:
            ctx.set(bench.dut.axons.payload, waiting[0])
        *_, ready, row_word = await ctx.tick().sample(bench.dut.axons.ready, bench.dut.row_word)
        if row_word:
            issued.append(cycle)
        if waiting and ready:
            waiting.pop(0)
            ctx.set(bench.dut.axons.valid, int(bool(waiting)))
        cycle += 1
    return issued


@pytest.mark.parametrize(
    ("length", "spacing"),
    [(1, 3), (2, 3), (3, 3), (4, 4), (6, 6)],
)
def test_a_row_takes_its_words_but_at_least_three_cycles(length: int, spacing: int) -> None:
    # The second row begins with another word than the first row's last ones, so that nothing waits.
    config = CoreConfig(axons=3, neurons=12, weight_bits=8, lanes=1)
    bench = Bench(config, POISONED, [(0, 6 * (k % 2), 6 * (k % 2) + length - 1) for k in range(3)], seed=7)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        issued = await _issued(ctx, bench, range(3))
        start = issued[0]
        assert issued == [start + k * spacing + i for k in range(3) for i in range(length)]

    simulate(bench.dut, run, limit=500)


@pytest.mark.parametrize(("fabric", "window"), [(POISONED, 3), (POISONED_ECP5, 3), (LATE, 4)], ids=lambda v: getattr(v, "name", ""))
def test_a_word_is_used_again_after_three_or_four_cycles(fabric: Fabric, window: int) -> None:
    # The first row ends with the word with which the second begins.
    config = CoreConfig(axons=2, neurons=8, weight_bits=8, lanes=1)
    bench = Bench(config, fabric, [(0, 0, 5), (0, 5, 6)], seed=8)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        issued = await _issued(ctx, bench, [0, 1])
        start = issued[0]
        assert issued == [start + i for i in range(6)] + [start + 5 + window, start + 6 + window]
        await cycles(ctx, 1)

    simulate(bench.dut, run, limit=500)


@pytest.mark.parametrize(
    ("lanes", "pipelines", "fabric", "latency"),
    [
        (4, 4, POISONED, 1),
        (4, 1, POISONED, 2),
        (8, 1, POISONED, 3),
        (16, 4, POISONED, 2),
        (4, 4, LATE, 2),
        (4, 1, LATE, 3),
        (16, 1, LATE, 3),
        (16, 1, POISONED_ECP5, 3),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_sum_latency_is_that_of_the_page(lanes: int, pipelines: int, fabric: Fabric, latency: int) -> None:
    config = CoreConfig(axons=2, neurons=16, lanes=lanes, pipelines=pipelines)
    bench = Bench(config, fabric, [(0, 0, config.neuron_words - 1)] * 2, seed=9)
    assert bench.dut.sum_latency == latency

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        await put(ctx, bench.dut.axons, 1)
        await bench.wait(ctx)
        np.testing.assert_array_equal(await bench.read_out(ctx), bench.expected([1]))

    simulate(bench.dut, run, limit=500)
