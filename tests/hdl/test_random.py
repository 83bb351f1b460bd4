# amaranth: UnusedElaboratable=no
"""The mixer against a plain Python function written from ``docs/random.md``."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeloom.arch.random import MIX, MIX_SHIFTS
from spikeloom.hdl.random import MIXER_LATENCY, Mixer
from tests.hdl.helpers import simulate

MASK = (1 << 32) - 1


def _mix(x: int) -> int:
    """The six lines of the page."""
    x = (x + MIX[0] + (x << MIX_SHIFTS[0])) & MASK
    x = (x ^ MIX[1]) ^ (x >> MIX_SHIFTS[1])
    x = (x + MIX[2] + (x << MIX_SHIFTS[2])) & MASK
    x = ((x + MIX[3]) ^ (x << MIX_SHIFTS[3])) & MASK
    x = (x + MIX[4] + (x << MIX_SHIFTS[4])) & MASK
    return (x ^ MIX[5]) ^ (x >> MIX_SHIFTS[5])


def _numbers(inputs: list[int]) -> list[int]:
    """What comes out of the mixer, ``MIXER_LATENCY`` cycles after each input; a new input every cycle."""
    dut = Mixer()
    got: list[int] = []

    async def bench(ctx: Any) -> None:
        for cycle in range(len(inputs) + MIXER_LATENCY):
            if cycle >= MIXER_LATENCY:
                got.append(ctx.get(dut.number))
            ctx.set(dut.x, inputs[cycle] if cycle < len(inputs) else 0xDEADBEEF)
            await ctx.tick()

    simulate(dut, bench, limit=len(inputs) + 100)
    return got


def test_one_number_per_cycle_equals_the_page() -> None:
    rng = np.random.default_rng(1)
    inputs = [0, 1, MASK, 1 << 31, *(1 << bit for bit in range(32)), *rng.integers(0, MASK, 500, endpoint=True).tolist()]
    assert _numbers(inputs) == [_mix(x) for x in inputs]


def test_latency_is_that_of_the_page() -> None:
    assert MIXER_LATENCY == 6


def test_numbers_worked_by_hand() -> None:
    # Of 0, step by step; << drops bits above 31.
    # 1: 0 + 0x7ED55D16 + 0                                       = 0x7ED55D16
    # 2: 0x7ED55D16 ^ 0xC761C23C = 0xB9B49F2A, ^ 0x00000FDA       = 0xB9B490F0
    # 3: 0xB9B490F0 + 0x165667B1 = 0xD00AF8A1, + 0x36921E00       = 0x069D16A1
    # 4: 0x069D16A1 + 0xD3A2646C = 0xDA3F7B0D, ^ 0x3A2D4200       = 0xE012390D
    # 5: 0xE012390D + 0xFD7046C5 = 0xDD827FD2, + 0x0091C868       = 0xDE14483A
    # 6: 0xDE14483A ^ 0xB55A4F09 = 0x6B4E0733, ^ 0x0000DE14       = 0x6B4ED927
    # Of 1: the first step adds 1 and 1 << 12, and the others follow.
    assert _numbers([0, 1]) == [0x6B4ED927, 0xB48681B6]
