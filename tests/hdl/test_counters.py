from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeloom.arch.memory_map import COUNTER_NAMES
from spikeloom.hdl.counters import Counters
from tests.hdl.helpers import cycles, simulate

NAMES = list(COUNTER_NAMES)


async def _read(ctx: Any, dut: Counters, name: str) -> int:
    ctx.set(dut.index, NAMES.index(name))
    ctx.set(dut.select, 1)
    await ctx.tick()
    value = int(ctx.get(dut.value))
    ctx.set(dut.select, 0)
    return value


@pytest.mark.parametrize("spike_bits", [1, 4])
def test_random_strobes_are_counted_each_by_its_own_counter(spike_bits: int) -> None:
    dut = Counters(spike_bits=spike_bits)

    async def bench(ctx: Any) -> None:
        rng = np.random.default_rng(spike_bits)
        expected = dict.fromkeys(NAMES, 0)
        rates = dict(zip(NAMES, rng.random(len(NAMES)), strict=True))
        for _ in range(200):
            for name in NAMES:
                value = int(rng.integers(1 << spike_bits)) if name == "spikes" else int(rng.random() < rates[name])
                ctx.set(getattr(dut, name), value)
                expected[name] += value
            await ctx.tick()
        for name in NAMES:
            ctx.set(getattr(dut, name), 0)
        # A counter is right two cycles after its event.
        await cycles(ctx, 1)
        assert {name: await _read(ctx, dut, name) for name in NAMES} == expected
        assert len(set(expected.values())) == len(NAMES)

    simulate(dut, bench, limit=300)


def test_clear_sets_all_to_zero() -> None:
    dut = Counters(spike_bits=3)

    async def bench(ctx: Any) -> None:
        for name in NAMES:
            ctx.set(getattr(dut, name), 1)
        await cycles(ctx, 5)
        for name in NAMES:
            ctx.set(getattr(dut, name), 0)
        await cycles(ctx, 1)
        assert [await _read(ctx, dut, name) for name in NAMES] == [5] * len(NAMES)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        assert [await _read(ctx, dut, name) for name in NAMES] == [0] * len(NAMES)
        ctx.set(dut.merged, 1)
        await ctx.tick()
        ctx.set(dut.merged, 0)
        await ctx.tick()
        assert [await _read(ctx, dut, name) for name in NAMES] == [int(name == "merged") for name in NAMES]

    simulate(dut, bench, limit=100)


def test_counters_wrap() -> None:
    # Steps of 2**31 - 1 reach the end of 32 bits in three cycles: 3 * (2**31 - 1) = 2**32 + 2**31 - 3.
    dut = Counters(spike_bits=31)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.spikes, 2**31 - 1)
        await cycles(ctx, 3)
        ctx.set(dut.spikes, 0)
        await ctx.tick()
        assert await _read(ctx, dut, "spikes") == 2**31 - 3

    simulate(dut, bench, limit=20)


def test_value_is_zero_unless_a_counter_is_selected() -> None:
    dut = Counters(spike_bits=1)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.ticks, 1)
        await cycles(ctx, 9)
        ctx.set(dut.index, 0)
        await ctx.tick()
        assert ctx.get(dut.value) == 0
        ctx.set(dut.select, 1)
        await ctx.tick()
        assert ctx.get(dut.value) > 0
        ctx.set(dut.select, 0)
        await ctx.tick()
        assert ctx.get(dut.value) == 0

    simulate(dut, bench, limit=30)
