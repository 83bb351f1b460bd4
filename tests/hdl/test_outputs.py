"""The output memory as a queue and as counts, against plain lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.registers import ENTRY_BITS, OUTPUT_ENTRIES, OUTPUT_TICK_BITS
from spikeloom.hdl import outputs
from spikeloom.hdl.outputs import PLACE_BITS, READ_CYCLES, Outputs
from tests.hdl.helpers import POISONED, cycles, pause, put, simulate

#: Cycles of docs/outputs.md: an output to the queue, the first one of a tick besides, and one that is counted.
QUEUED_CYCLES, MARK_CYCLES, COUNTED_CYCLES = 1, 1, 4
TICK_MARK = 1 << ENTRY_BITS - 1


def _entries(ticks: Iterable[tuple[int, list[int]]]) -> list[int]:
    """What the queue holds of outputs."""
    found = []
    for tick, numbers in ticks:
        if numbers:
            found += [TICK_MARK | tick % (1 << OUTPUT_TICK_BITS), *numbers]
    return found


async def _read(ctx: Any, dut: Outputs, index: int) -> tuple[int, int]:
    """The two entries of a word."""
    ctx.set(dut.index, index)
    ctx.set(dut.read, 1)
    done = 0
    while not done:
        *_, done, word = await ctx.tick().sample(dut.read_done, dut.read_data)
    ctx.set(dut.read, 0)
    return word & 0xFFFF, word >> 16


async def _take(ctx: Any, dut: Outputs, place: int) -> None:
    ctx.set(dut.take_to, place)
    ctx.set(dut.take, 1)
    await ctx.tick()
    ctx.set(dut.take, 0)
    ctx.set(dut.take_to, 0x5555)


async def _clear(ctx: Any, dut: Outputs) -> None:
    ctx.set(dut.clear, 1)
    assert not ctx.get(dut.idle)
    await ctx.tick()
    ctx.set(dut.clear, 0)
    while not ctx.get(dut.idle):
        await ctx.tick()


async def _all(ctx: Any, dut: Outputs, first: int, last: int) -> list[int]:
    """Entries from one to the one before another, by their numbers."""
    words = [await _read(ctx, dut, place // 2 % (OUTPUT_ENTRIES // 2)) for place in range(first - first % 2, last, 2)]
    return [entry for word in words for entry in word][first % 2 :][: last - first]


async def _send(ctx: Any, dut: Outputs, tick: int, numbers: Iterable[int], rng: np.random.Generator, gaps: float) -> None:
    """The outputs of a tick, which ends once all are taken."""
    ctx.set(dut.tick, tick % (1 << OUTPUT_TICK_BITS))
    ctx.set(dut.between, 0)
    for number in numbers:
        await pause(ctx, rng, gaps)
        await put(ctx, dut.i, number)
    await ctx.tick()
    ctx.set(dut.between, 1)
    await ctx.tick()


# Queue ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_random_ticks_are_read_while_others_come(gaps: float) -> None:
    dut = Outputs(fabric=POISONED)
    rng, host_rng = np.random.default_rng(1), np.random.default_rng(2)
    start = (1 << OUTPUT_TICK_BITS) - 30
    ticks = [(start + k, rng.integers(0, 1 << OUTPUT_TICK_BITS, rng.choice([0, 0, 1, 5, 90])).tolist()) for k in range(60)]
    expected = _entries(ticks)
    assert len(expected) > 4 * OUTPUT_ENTRIES
    found: list[int] = []
    fullest = 0

    async def core(ctx: Any) -> None:
        for tick, numbers in ticks:
            await _send(ctx, dut, tick, numbers, rng, gaps)

    async def host(ctx: Any) -> None:
        nonlocal fullest
        while len(found) < len(expected):
            await pause(ctx, host_rng, 0.99)
            written, taken = ctx.get(dut.written), ctx.get(dut.taken)
            assert taken == len(found)
            fullest = max(fullest, written - taken)
            # Not always all of them, and at times the same ones again.
            last = int(host_rng.integers(taken, written + 1))
            came = await _all(ctx, dut, taken, last)
            if host_rng.random() < 0.3:
                assert await _all(ctx, dut, taken, last) == came
            found.extend(came)
            await _take(ctx, dut, last)

    simulate(dut, core, host, limit=40_000)
    assert found == expected
    # It was full, with one entry less than it has.
    assert OUTPUT_ENTRIES - 2 <= fullest <= OUTPUT_ENTRIES - 1


@pytest.mark.parametrize("gap", [0, 1, 2, 5])
def test_a_full_queue_takes_nothing_keeps_all_and_can_be_read(gap: int) -> None:
    dut = Outputs(fabric=POISONED)
    numbers = list(range(1000, 1000 + OUTPUT_ENTRIES + 40))
    expected = _entries([(7, numbers)])

    async def core(ctx: Any) -> None:
        ctx.set(dut.tick, 7)
        for number in numbers:
            await cycles(ctx, gap)
            await put(ctx, dut.i, number)

    async def host(ctx: Any) -> None:
        await cycles(ctx, (gap + 2) * OUTPUT_ENTRIES + 20)
        written = ctx.get(dut.written)
        assert OUTPUT_ENTRIES - 2 <= written < OUTPUT_ENTRIES
        for _ in range(2):
            assert await _all(ctx, dut, 0, written) == expected[:written]
        assert ctx.get(dut.written) == written
        # One place: one more comes.
        await _take(ctx, dut, 3)
        await cycles(ctx, 3 * gap + 20)
        assert ctx.get(dut.written) == written + 3
        assert await _all(ctx, dut, 3, written + 3) == expected[3 : written + 3]
        await _take(ctx, dut, written + 3)
        while ctx.get(dut.written) < len(expected):
            await ctx.tick()
        assert await _all(ctx, dut, written + 3, len(expected)) == expected[written + 3 :]

    simulate(dut, core, host, limit=12_000)


def test_numbers_of_entries_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    # With 16 bits it takes 65536 entries; 9 show the same.
    monkeypatch.setattr(outputs, "PLACE_BITS", 9)
    dut = Outputs(fabric=POISONED)
    ticks = [(tick, [tick, tick + 1, tick + 2, 5, 6]) for tick in range(180)]
    expected = _entries(ticks)
    assert len(expected) > 2 * 512
    found: list[int] = []

    async def core(ctx: Any) -> None:
        for tick, numbers in ticks:
            await _send(ctx, dut, tick, numbers, np.random.default_rng(1), 0.0)

    async def host(ctx: Any) -> None:
        while len(found) < len(expected):
            await cycles(ctx, 150)
            taken = ctx.get(dut.taken)
            assert taken == len(found) % 512
            last = len(found) + (ctx.get(dut.written) - taken) % 512
            found.extend(await _all(ctx, dut, len(found), last))
            await _take(ctx, dut, last % 512)

    simulate(dut, core, host, limit=30_000)
    assert found == expected
    assert PLACE_BITS == 16


def test_a_tick_without_outputs_leaves_nothing_and_one_with_them_begins_with_its_number() -> None:
    dut = Outputs(fabric=POISONED)

    async def host(ctx: Any) -> None:
        rng = np.random.default_rng(3)
        ticks = [(0, []), (1, [3]), (2, []), (3, [3, 0]), (4, [0x7FFF]), (0x7FFF, [1]), (0x8000, [2])]
        for tick, numbers in ticks:
            await _send(ctx, dut, tick, numbers, rng, 0.0)
        written = ctx.get(dut.written)
        assert await _all(ctx, dut, 0, written) == [
            0x8001, 3, 0x8003, 3, 0, 0x8004, 0x7FFF, 0xFFFF, 1, 0x8000, 2,
        ]  # fmt: skip

    simulate(dut, host)


def test_clear_empties_the_queue_and_the_next_output_has_its_tick() -> None:
    dut = Outputs(fabric=POISONED)

    async def host(ctx: Any) -> None:
        rng = np.random.default_rng(3)
        await _send(ctx, dut, 5, [1, 2, 3], rng, 0.0)
        await _take(ctx, dut, 2)
        await _clear(ctx, dut)
        assert (ctx.get(dut.written), ctx.get(dut.taken)) == (0, 0)
        await _send(ctx, dut, 0, [9], rng, 0.0)
        assert await _all(ctx, dut, 0, ctx.get(dut.written)) == [0x8000, 9]

    simulate(dut, host)


# Counts ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_outputs_are_counted_and_higher_ones_thrown_away(gaps: float) -> None:
    dut = Outputs(fabric=POISONED)
    rng = np.random.default_rng(4)
    # Few, so that the same one comes twice in a row; the ends; and what does not count.
    numbers = rng.choice([0, 1, 2, 254, 255, 256, 257, 511, 0x7FFF, 0x7F00], 900).tolist() + [3] * 20 + list(range(OUTPUT_ENTRIES))
    expected = [numbers.count(n) for n in range(OUTPUT_ENTRIES)]

    async def host(ctx: Any) -> None:
        ctx.set(dut.counting, 1)
        await _clear(ctx, dut)
        await _send(ctx, dut, 3, numbers, rng, gaps)
        while not ctx.get(dut.idle):
            await ctx.tick()
        assert await _all(ctx, dut, 0, OUTPUT_ENTRIES) == expected
        # Nothing is to be taken.
        assert ctx.get(dut.written) == ctx.get(dut.taken)
        await _clear(ctx, dut)
        assert await _all(ctx, dut, 0, OUTPUT_ENTRIES) == [0] * OUTPUT_ENTRIES

    simulate(dut, host, limit=20_000)


def test_counts_are_read_while_others_come() -> None:
    dut = Outputs(fabric=POISONED)
    rng = np.random.default_rng(5)
    ended = False

    async def core(ctx: Any) -> None:
        nonlocal ended
        ctx.set(dut.counting, 1)
        await _clear(ctx, dut)
        await _send(ctx, dut, 0, [4, 5] * 300, rng, 0.3)
        ended = True

    async def host(ctx: Any) -> None:
        await cycles(ctx, OUTPUT_ENTRIES + 10)
        before = (0, 0)
        while not ended:
            now = await _read(ctx, dut, 2)
            assert before <= now
            assert 0 <= now[0] - now[1] <= 1
            before = now
        await cycles(ctx, COUNTED_CYCLES)
        assert await _read(ctx, dut, 2) == (300, 300)

    simulate(dut, core, host, limit=20_000)


def test_a_count_stays_at_its_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    # With 16 bits it takes 65535 outputs; 6 show the same.
    monkeypatch.setattr(outputs, "ENTRY_BITS", 6)
    monkeypatch.setattr(outputs, "BUS_WORD_BITS", 12)
    dut = Outputs(fabric=POISONED, number_bits=4)

    async def host(ctx: Any) -> None:
        ctx.set(dut.counting, 1)
        await _clear(ctx, dut)
        for number, count in ((2, 62), (3, 63), (4, 64), (5, 140)):
            for _ in range(count):
                await put(ctx, dut.i, number)
        await cycles(ctx, COUNTED_CYCLES)
        for index, expected in ((1, (62, 63)), (2, (63, 63)), (3, (0, 0))):
            low, _ = await _read(ctx, dut, index)
            assert (low & 63, low >> 6) == expected

    simulate(dut, host)


# Cycles of docs/outputs.md --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counting", [0, 1])
def test_cycles_of_outputs(counting: int) -> None:
    dut = Outputs(fabric=POISONED)

    async def host(ctx: Any) -> None:
        ctx.set(dut.counting, counting)
        await _clear(ctx, dut)
        ctx.set(dut.tick, 1)
        times, cycle = [], 0
        ctx.set(dut.i.payload, 7)
        ctx.set(dut.i.valid, 1)
        while len(times) < 10:
            *_, ready = await ctx.tick().sample(dut.i.ready)
            if ready:
                times.append(cycle)
            cycle += 1
        per_output = COUNTED_CYCLES if counting else QUEUED_CYCLES
        assert times == [(0 if counting else MARK_CYCLES) + per_output * k for k in range(10)]

    simulate(dut, host)


def test_cycles_of_a_read_and_of_clearing() -> None:
    dut = Outputs(fabric=POISONED)

    async def host(ctx: Any) -> None:
        ctx.set(dut.read, 1)
        for _ in range(READ_CYCLES):
            assert not ctx.get(dut.read_done)
            await ctx.tick()
        assert ctx.get(dut.read_done)
        ctx.set(dut.read, 0)
        await cycles(ctx, 5)
        for counting, expected in ((0, 1), (1, 1 + OUTPUT_ENTRIES)):
            ctx.set(dut.counting, counting)
            ctx.set(dut.clear, 1)
            passed = 0
            while not passed or not ctx.get(dut.idle):
                await ctx.tick()
                ctx.set(dut.clear, 0)
                passed += 1
            assert passed == expected

    simulate(dut, host)
