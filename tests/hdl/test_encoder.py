"""The encoder against golden/encoder.py: every intensity, both codes, parts of a sample, and a core that makes it wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.random import INDEX_STEP
from spikeloom.arch.registers import INTENSITY_SCALE
from spikeloom.golden import encoder as golden
from spikeloom.hdl.encoder import INTENSITIES, Encoder
from tests.hdl.helpers import random_ready, recorder, simulate

SEED = 0xDEAD_BEEF
#: Cycles of docs/encoder.md: of an intensity of 0; of another besides its steps; of a step.
ZERO_CYCLES, INTENSITY_CYCLES, PHASE_CYCLES, RATE_CYCLES = 2, 4, 1, 9

#: Register and value, in order: ``at`` (core, delay, axon), ``steps`` (rate, steps, first), ``index``, ``seed``, ``i`` (a word).
Writes = list[tuple[str, int]]


def _at(axon: int, delay: int, core: int = 0) -> tuple[str, int]:
    return "set_at", core << 20 | delay << 16 | axon


def _steps(first: int, count: int, *, rate: bool) -> tuple[str, int]:
    return "set_steps", int(rate) << 20 | count << 16 | first


def _words(intensities: Sequence[int]) -> Writes:
    """Intensities for the encoder, zeros behind the last one."""
    padded = [*intensities, *[0] * (-len(intensities) % INTENSITIES)]
    return [("i", int.from_bytes(bytes(padded[k : k + 4]), "little")) for k in range(0, len(padded), 4)]


def _encode(
    writes: Writes, *, rate: bool, stalls: float = 0.0, limit: int = 20_000
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Events as (core, axon, delay), and the cycles for which the encoder was busy with each word."""
    dut = Encoder(rate=rate)
    taken: list[dict[str, int]] = []
    busy: list[int] = []

    async def host(ctx: Any) -> None:
        for name, value in writes:
            assert not ctx.get(dut.busy)
            ctx.set(dut.i.payload, value)
            ctx.set(dut.i.valid if name == "i" else getattr(dut, name), 1)
            await ctx.tick()
            ctx.set(dut.i.valid if name == "i" else getattr(dut, name), 0)
            # What stands there at other times means nothing.
            ctx.set(dut.i.payload, 0xFFFF_FFFF)
            if name == "i":
                busy.append(0)
                while ctx.get(dut.busy):
                    busy[-1] += 1
                    await ctx.tick()

    watchers = [random_ready(dut.o, np.random.default_rng(1), stalls), recorder(dut.o, taken)]
    simulate(dut, host, watchers=watchers, limit=limit)
    return [(event["core"], event["axon"], event["delay"]) for event in taken], busy


def _expected(spikes: np.ndarray[Any, Any], first: int, count: int, delay: int, axon: int = 0) -> list[tuple[int, int, int]]:
    """Events of the steps from ``first`` on of spikes ``[steps, inputs]``: input after input, step after step."""
    return [
        (0, axon + n, delay + k) for n in range(spikes.shape[1]) for k in range(count) if spikes[first + k, n]
    ]  # fmt: skip


# 40 steps are three parts; the encoder repeats the steps before each.
@pytest.mark.parametrize(("rate", "first", "count"), [(False, 0, 15), (True, 15, 15), (False, 30, 10)])
def test_every_intensity_in_phase(rate: bool, first: int, count: int) -> None:
    events, _ = _encode([_at(0, 1), _steps(first, count, rate=False), *_words(range(256))], rate=rate)
    assert events == _expected(golden.phase(np.arange(256), 40), first, count, 1)
    assert events


def test_every_intensity_as_rate() -> None:
    intensities = np.arange(256)
    spikes = golden.rate(intensities, 7, SEED)
    writes = [_at(0, 1), _steps(0, 7, rate=True), ("set_index", 0), ("set_seed", SEED), *_words(range(256))]
    events, _ = _encode(writes, rate=True, limit=40_000)
    assert events == _expected(spikes, 0, 7, 1)
    # One in two, about.
    assert 0.46 < len(events) / (256 * 7) < 0.54


@pytest.mark.parametrize(("first", "count"), [(15, 15), (30, 10), (39, 1), (300, 3)])
def test_later_steps_as_rate(first: int, count: int) -> None:
    intensities = np.random.default_rng(first).integers(0, 256, 12)
    spikes = golden.rate(intensities, first + count, 7)
    writes = [_at(0, 1), _steps(first, count, rate=True), ("set_index", 0), ("set_seed", 7), *_words(intensities.tolist())]
    assert _encode(writes, rate=True)[0] == _expected(spikes, first, count, 1)


@pytest.mark.parametrize("rate", [False, True])
@pytest.mark.parametrize(("delay", "count"), [(1, 15), (3, 13), (15, 1), (7, 4), (1, 0), (0, 2)])
def test_the_first_step_is_due_at_the_delay(rate: bool, delay: int, count: int) -> None:
    intensities = np.array([255, 128, 200, 60])
    spikes = golden.rate(intensities, 20, 9) if rate else golden.phase(intensities, 20)
    writes = [_at(0, delay), _steps(2, count, rate=rate), ("set_index", 0), ("set_seed", 9), *_words(intensities.tolist())]
    assert _encode(writes, rate=True)[0] == _expected(spikes, 2, count, delay)


def test_full_scale_fires_in_every_step_and_zero_never() -> None:
    for rate in (False, True):
        writes = [_at(0, 1), _steps(0, 15, rate=rate), ("set_index", 0), ("set_seed", 3), *_words([0, INTENSITY_SCALE, 0, 0])]
        assert _encode(writes, rate=True)[0] == [(0, 1, delay) for delay in range(1, 16)]


def test_axon_and_index_grow_and_stay_between_words_until_they_are_set() -> None:
    intensities = np.random.default_rng(4).integers(1, 256, 4000)
    spikes = golden.rate(intensities, 4, 5)
    writes = [
        _steps(0, 4, rate=True),
        ("set_seed", 5),
        _at(100, 1),
        ("set_index", 3000 * INDEX_STEP % 2**32),
        *_words(intensities[3000:3008].tolist()),
    ]
    # Another place for the same inputs, another input for the same place; core and axon at their ends.
    writes += [_at(0xFFF8, 2, core=0xFFF), ("set_index", 0), *_words(intensities[:8].tolist())]
    writes += [("set_index", 2**32 - 4), _at(7, 1), *_words([255] * 4)]
    expected = _expected(spikes[:, 3000:3008], 0, 4, 1, 100)
    expected += [(0xFFF, axon, delay) for _, axon, delay in _expected(spikes[:, :8], 0, 4, 2, 0xFFF8)]
    expected += [(0, 7 + n, 1 + k) for n in range(4) for k in range(4)]
    assert _encode(writes, rate=True)[0] == expected


def test_a_sample_is_fixed_by_its_seed() -> None:
    intensities = np.array([100, 130, 160, 190])
    for seed in (0, 1, 2**32 - 1):
        writes = [_at(0, 1), _steps(0, 15, rate=True), ("set_index", 0), ("set_seed", seed), *_words(intensities.tolist())]
        assert _encode(writes, rate=True)[0] == _expected(golden.rate(intensities, 15, seed), 0, 15, 1)


@pytest.mark.parametrize("rate", [False, True])
@pytest.mark.parametrize("stalls", [0.5, 0.9])
def test_events_wait_until_they_are_taken(rate: bool, stalls: float) -> None:
    intensities = np.random.default_rng(6).integers(0, 256, 12)
    spikes = golden.rate(intensities, 18, SEED) if rate else golden.phase(intensities, 18)
    writes = [_at(0, 1), _steps(3, 15, rate=rate), ("set_index", 0), ("set_seed", SEED), *_words(intensities.tolist())]
    assert _encode(writes, rate=True, stalls=stalls)[0] == _expected(spikes, 3, 15, 1)


# Cycles of docs/encoder.md --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [False, True])
@pytest.mark.parametrize(("first", "count"), [(0, 15), (0, 1), (9, 15), (100, 4), (5, 0)])
def test_cycles_of_a_word(rate: bool, first: int, count: int) -> None:
    writes = [_at(0, 1), _steps(first, count, rate=rate), *_words([255, 1, 0, 77])]
    _, (busy,) = _encode(writes, rate=True)
    per_step = RATE_CYCLES if rate else PHASE_CYCLES
    assert busy == ZERO_CYCLES + 3 * (INTENSITY_CYCLES + first + per_step * count)
