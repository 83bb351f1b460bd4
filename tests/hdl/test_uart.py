# amaranth: UnusedElaboratable=no
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module

from spikeloom.arch.errors import ConfigError
from spikeloom.hdl.uart import FRAME_BITS, MIN_DIVISOR, UartReceiver, UartTransmitter, divisor_for
from tests.hdl.helpers import cycles, get, put, random_ready, recorder, simulate, source

BYTES = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, *np.random.default_rng(1).integers(0, 256, 14).tolist()]


def _bits(byte: int, stop: int = 1) -> list[int]:
    """Start, data from the least significant bit on, stop."""
    return [0, *(byte >> i & 1 for i in range(8)), stop]


# Transmitter and receiver ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaps", [0.0, 0.9])
@pytest.mark.parametrize("divisor", [MIN_DIVISOR, 5, 8, 13])
def test_what_is_sent_is_received(divisor: int, gaps: float) -> None:
    transmitter, receiver = UartTransmitter(divisor=divisor), UartReceiver(divisor=divisor)
    m = Module()
    m.submodules.transmitter = transmitter
    m.submodules.receiver = receiver
    m.d.comb += receiver.rx.eq(transmitter.tx)
    received: list[int] = []
    rng = np.random.default_rng(divisor)

    async def bench(ctx: Any) -> None:
        ctx.set(receiver.o.ready, 1)
        await source(transmitter.i, BYTES, rng, gaps)(ctx)
        await cycles(ctx, (FRAME_BITS + 1) * divisor)

    simulate(m, bench, watchers=[recorder(receiver.o, received)], limit=len(BYTES) * 20 * divisor + 500)
    assert received == BYTES


def test_every_byte_passes() -> None:
    transmitter, receiver = UartTransmitter(divisor=4), UartReceiver(divisor=4)
    m = Module()
    m.submodules.transmitter = transmitter
    m.submodules.receiver = receiver
    m.d.comb += receiver.rx.eq(transmitter.tx)
    received: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(receiver.o.ready, 1)
        await source(transmitter.i, range(256), np.random.default_rng(1))(ctx)
        await cycles(ctx, 50)

    simulate(m, bench, watchers=[recorder(receiver.o, received)], limit=256 * 45)
    assert received == list(range(256))


@pytest.mark.parametrize("divisor", [4, 7])
def test_transmitter_holds_each_bit_for_the_divisor_and_is_ready_a_cycle_after_the_stop_bit(divisor: int) -> None:
    dut = UartTransmitter(divisor=divisor)
    line: list[int] = []

    async def watch(ctx: Any) -> None:
        while True:
            *_, tx = await ctx.tick().sample(dut.tx)
            line.append(tx)

    async def bench(ctx: Any) -> None:
        for byte in (0x35, 0xC2):
            await put(ctx, dut.i, byte)
        await cycles(ctx, FRAME_BITS * divisor + 5)

    simulate(dut, bench, watchers=[watch], limit=500)
    wave = [bit for byte in (0x35, 0xC2) for bit in [*(b for b in _bits(byte) for _ in range(divisor)), 1]]
    start = line.index(0)
    assert line[:start] == [1] * start
    assert line[start : start + len(wave)] == wave
    assert set(line[start + len(wave) :]) == {1}


# Receiver alone -------------------------------------------------------------------------------------------------------------


def _receive(divisor: int, levels: Iterable[tuple[int, float]]) -> list[int]:
    """Bytes received from a line that has each level for a length in cycles, fractions carried on."""
    dut = UartReceiver(divisor=divisor)
    received: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        passed, end = 0, 0.0
        for level, length in [(1, 20), *levels, (1, 3 * FRAME_BITS * divisor)]:
            ctx.set(dut.rx, level)
            end += length
            while passed < round(end):
                await ctx.tick()
                passed += 1

    simulate(dut, bench, watchers=[recorder(dut.o, received)], limit=200_000)
    return received


def _wave(data: Iterable[int], length: float, stop: int = 1) -> list[tuple[int, float]]:
    return [(bit, length) for byte in data for bit in _bits(byte, stop)]


@pytest.mark.parametrize("factor", [0.98, 1.0, 1.02])
@pytest.mark.parametrize("divisor", [8, 13, 25])
def test_a_sender_two_percent_off_is_understood_without_pauses(divisor: int, factor: float) -> None:
    assert _receive(divisor, _wave(BYTES, factor * divisor)) == BYTES


@pytest.mark.parametrize("factor", [0.88, 1.12])
def test_a_sender_far_off_is_not_understood(factor: float) -> None:
    assert _receive(25, _wave(BYTES, factor * 25)) != BYTES


@pytest.mark.parametrize("divisor", [8, 13])
def test_a_glitch_shorter_than_half_a_bit_is_no_start_bit(divisor: int) -> None:
    for length in range(1, divisor // 2):
        glitch = [(0, length), (1, 2 * divisor)]
        assert _receive(divisor, [*glitch, *_wave([0x5A], divisor)]) == [0x5A]


def test_a_low_line_longer_than_half_a_bit_is_a_start_bit() -> None:
    # So that the test above says something: nine bits of 1 follow, and the byte is 0xFF.
    assert _receive(12, [(0, 8), (1, 20 * 12)]) == [0xFF]


def test_a_byte_without_stop_bit_is_dropped_and_the_next_one_is_received() -> None:
    divisor = 8
    pause = [(1, 2 * divisor)]
    line = [*_wave([0x11], divisor), *_wave([0xFF], divisor, stop=0), *pause, *_wave([0x33], divisor)]
    assert _receive(divisor, line) == [0x11, 0x33]


def test_a_byte_that_nobody_takes_is_replaced_by_the_next() -> None:
    dut = UartReceiver(divisor=4)

    async def bench(ctx: Any) -> None:
        for bit, length in [(1, 8), *_wave([0x11, 0x22, 0x33], 4), (1, 20)]:
            ctx.set(dut.rx, bit)
            await cycles(ctx, int(length))
        assert await get(ctx, dut.o) == 0x33
        assert not ctx.get(dut.o.valid)

    simulate(dut, bench, limit=500)


def test_stalls_shorter_than_a_byte_lose_nothing() -> None:
    dut = UartReceiver(divisor=4)
    received: list[int] = []
    rng = np.random.default_rng(1)

    async def bench(ctx: Any) -> None:
        for bit, length in [(1, 8), *_wave(BYTES, 4), (1, 200)]:
            ctx.set(dut.rx, bit)
            await cycles(ctx, int(length))

    simulate(dut, bench, watchers=[random_ready(dut.o, rng, 0.7), recorder(dut.o, received)], limit=2000)
    assert received == BYTES


# divisor_for ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "baud", "divisor"),
    [
        (12e6, 115_200, 104),  # 104.17
        (39e6, 3e6, 13),
        (75e6, 3e6, 25),
        (12e6, 3e6, MIN_DIVISOR),
        (10.25e6, 1e6, 10),  # exactly 2.5 % off
    ],
)
def test_divisor_is_the_nearest_whole_number(clock: float, baud: float, divisor: int) -> None:
    assert divisor_for(clock, baud) == divisor


@pytest.mark.parametrize(
    ("clock", "baud", "message"),
    [
        (12e6, 4e6, "4000000 baud is too fast for a clock of 12.00 MHz; the limit is 3000000"),
        (
            9.4e6,
            2e6,
            "a clock of 9.40 MHz gives 1880000 baud instead of 2000000, 6.0 % off; the limit is 2.5 %, so choose another rate",
        ),
    ],
)
def test_a_rate_that_cannot_be_met_is_refused(clock: float, baud: float, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        divisor_for(clock, baud)
