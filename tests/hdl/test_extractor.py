from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeloom.hdl.extractor import Extractor
from tests.hdl.helpers import cycles, put, random_ready, recorder, simulate, source

INDEX_BITS = 3


def _numbers(masks: list[dict[str, int]], width: int) -> list[int]:
    return [mask["index"] * width + bit for mask in masks for bit in range(width) if mask["mask"] >> bit & 1]


def _check(masks: list[dict[str, int]], width: int, seed: int, gaps: float, stalls: float) -> None:
    dut = Extractor(index_bits=INDEX_BITS, width=width)
    rng = np.random.default_rng(seed)
    taken: list[int] = []

    async def bench(ctx: Any) -> None:
        await source(dut.i, masks, rng, gaps)(ctx)
        while ctx.get(dut.busy):
            await ctx.tick()

    simulate(
        dut,
        bench,
        watchers=[random_ready(dut.o, rng, stalls), recorder(dut.o, taken)],
        limit=1000 + 40 * width + len(masks) * 10,
    )
    expected = _numbers(masks, width)
    assert taken[: len(expected)] == expected[: len(taken)]
    assert len(taken) == len(expected)


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_every_mask_of_a_small_width_gives_its_bits_in_ascending_order(width: int, stalls: float) -> None:
    masks = [{"index": mask % 8, "mask": mask} for mask in range(1 << width)]
    _check(masks, width, 1, 0.0, stalls)


@pytest.mark.parametrize(("gaps", "stalls"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.7), (0.3, 0.3)])
@pytest.mark.parametrize("width", [8, 16])
def test_random_masks_with_gaps_and_stalls(width: int, gaps: float, stalls: float) -> None:
    rng = np.random.default_rng(width)
    dense = rng.random((40, width)) < rng.choice([0.0, 0.1, 0.5, 1.0], (40, 1))
    masks = [{"index": int(rng.integers(8)), "mask": int((row << np.arange(width)).sum())} for row in dense]
    _check(masks, width, width + 1, gaps, stalls)


def _trace(masks: list[dict[str, int]], width: int = 4) -> tuple[list[int], list[tuple[int, int]]]:
    """Cycles in which masks were taken, and numbers with the cycles in which they left."""
    dut = Extractor(index_bits=INDEX_BITS, width=width)
    accepted: list[int] = []
    left: list[tuple[int, int]] = []

    async def feed(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        for mask in masks:
            await put(ctx, dut.i, mask)
        await cycles(ctx, 24)

    async def watch(ctx: Any) -> None:
        cycle = 0
        while True:
            *_, i_valid, i_ready, o_valid, payload = await ctx.tick().sample(dut.i.valid, dut.i.ready, dut.o.valid, dut.o.payload)
            if i_valid and i_ready:
                accepted.append(cycle)
            if o_valid:
                left.append((cycle, payload))
            cycle += 1

    simulate(dut, feed, watchers=[watch], limit=200)
    return accepted, left


def test_a_number_leaves_each_cycle_from_two_cycles_after_its_mask() -> None:
    accepted, left = _trace([{"index": 2, "mask": 0b1111}])
    assert left == [(accepted[0] + 2 + i, 8 + i) for i in range(4)]


def test_one_cycle_without_a_new_number_lies_between_two_masks() -> None:
    _, left = _trace([{"index": 0, "mask": 0b11}, {"index": 1, "mask": 0b110}])
    start = left[0][0]
    assert left == [(start, 0), (start + 1, 1), (start + 3, 5), (start + 4, 6)]


def test_an_empty_mask_costs_one_cycle() -> None:
    accepted, left = _trace([{"index": 1, "mask": 0}, {"index": 2, "mask": 0}, {"index": 3, "mask": 1}])
    assert accepted == [accepted[0] + i for i in range(3)]
    assert [number for _, number in left] == [12]


def test_the_next_mask_is_taken_while_the_last_number_waits() -> None:
    dut = Extractor(index_bits=INDEX_BITS, width=4)

    async def bench(ctx: Any) -> None:
        await put(ctx, dut.i, {"index": 0, "mask": 0b1000})
        await ctx.tick()
        assert ctx.get(dut.o.valid)
        assert not ctx.get(dut.o.ready)
        await put(ctx, dut.i, {"index": 1, "mask": 0b0001})
        assert ctx.get(dut.o.payload) == 3
        assert ctx.get(dut.busy)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        assert (ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == (1, 4)
        await ctx.tick()
        assert not ctx.get(dut.busy)

    simulate(dut, bench, limit=50)
