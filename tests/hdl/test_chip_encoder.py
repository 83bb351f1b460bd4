"""Intensities through the registers of a chip, against golden/encoder.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeloom.arch.registers import Address
from spikeloom.golden import encoder as golden
from spikeloom.hdl.chip import ENCODER_REGISTERS
from tests.hdl.test_chip import BAD, BUSY, OK, Bench, run


def _delays(spikes: np.ndarray[Any, Any], first: int, steps: int) -> list[int]:
    """Words of the delay memory, slot by slot: axon n stands in bit n; step k of the part is due k + 1 ticks after tick -1."""
    part = spikes[first : first + steps]
    return [int(sum(1 << n for n in np.flatnonzero(row))) for row in part]


@pytest.mark.parametrize("encoder", ["phase", "rate"])
@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_intensities_become_pending_events(encoder: str, stalls: float) -> None:
    intensities = np.array([0, 255, 128, 77, 200, 3, 250, 31])

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        for code in ("phase", "rate") if encoder == "rate" else ("phase",):
            spikes = golden.rate(intensities, 18, 99) if code == "rate" else golden.phase(intensities, 18)
            assert await bench.write(ctx, Address.CLEAR, 0) == OK
            await bench.wait(ctx)
            assert await bench.write(ctx, Address.ENCODE_AT, 1 << 16) == OK
            assert await bench.write(ctx, Address.ENCODE_STEPS, int(code == "rate") << 20 | 15 << 16 | 3) == OK
            if encoder == "rate":
                assert await bench.write(ctx, Address.ENCODE_INDEX, 0) == OK
                assert await bench.write(ctx, Address.ENCODE_SEED, 99) == OK
            for k in (0, 4):
                word = int.from_bytes(bytes(intensities[k : k + 4].tolist()), "little")
                assert await bench.write(ctx, Address.INTENSITY, word) == OK
            # The next request waits until all events are where they belong.
            slots = [await bench.read(ctx, bench.table["delays"].address(slot)) for slot in range(16)]
            assert slots == [*_delays(spikes, 3, 15), 0]
            assert await bench.counter(ctx, "dropped") == 0

    run(script, stalls=stalls, encoder=encoder)


def test_a_run_right_behind_intensities_has_all_their_events() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        assert await bench.write(ctx, Address.ENCODE_STEPS, 15 << 16) == OK
        for _ in range(2):
            assert await bench.write(ctx, Address.ENCODE_AT, 1 << 16 | 4) == OK
            assert await bench.write(ctx, Address.INTENSITY, 0xFFFF_FFFF) == OK
            assert await bench.write(ctx, Address.RUN, 15) == OK
            await bench.wait(ctx)
        assert await bench.counter(ctx, "events") == 2 * 4 * 15
        # Axons that do not exist.
        assert await bench.write(ctx, Address.INTENSITY, 0xFFFF_FFFF) == OK
        assert await bench.counter(ctx, "dropped") == 4 * 15

    run(script, encoder="phase")


def test_encoder_registers_are_written_when_idle_and_never_read() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        for address in ENCODER_REGISTERS:
            assert (await bench.request(ctx, address, 0))[0] == BAD
        # A chip of one core has core 0 only.
        assert await bench.write(ctx, Address.ENCODE_AT, 1 << 20) == BAD
        assert await bench.write(ctx, Address.RUN, 20) == OK
        for address in ENCODER_REGISTERS:
            assert await bench.write(ctx, address, 0) == BUSY
        assert await bench.write(ctx, Address.ENCODE_AT, 1 << 20) == BAD
        await bench.wait(ctx)
        for address in ENCODER_REGISTERS:
            assert await bench.write(ctx, address, 0) == OK

    run(script, encoder="rate")


def test_an_encoder_without_random_spikes_has_neither_index_nor_seed() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.wait(ctx)
        for address in (Address.ENCODE_INDEX, Address.ENCODE_SEED):
            assert await bench.write(ctx, address, 0) == BAD
        for address in (Address.ENCODE_AT, Address.ENCODE_STEPS, Address.INTENSITY):
            assert await bench.write(ctx, address, 0) == OK

    run(script, encoder="phase")
