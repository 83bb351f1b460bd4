"""The golden encoder against the formulas of docs/encode.md and docs/random.md, written again here, and against ``spikeloom.encode``."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.golden import encoder
from spikeloom.network import encode

SCALE = 255
#: Worked with the table of docs/random.md.
STEPS = ((0x7ED55D16, 12), (0xC761C23C, 19), (0x165667B1, 5), (0xD3A2646C, 9), (0xFD7046C5, 3), (0xB55A4F09, 16))


def number(seed: int, tick: int, index: int) -> int:
    """The random number of docs/random.md."""
    x = (seed + tick * 0x9E3779B9) % 2**32 ^ index
    for step, (constant, shift) in enumerate(STEPS):
        if step in (1, 5):
            x = x ^ constant ^ x >> shift
        elif step == 3:
            x = (x + constant) % 2**32 ^ (x << shift) % 2**32
        else:
            x = (x + constant + (x << shift)) % 2**32
    return x


def test_phase_of_every_intensity_is_the_published_formula() -> None:
    """A spike at step t iff floor((S/2 + (t+1) x) / S) > floor((S/2 + t x) / S)."""
    half = Fraction(SCALE, 2)
    expected = [[floor((half + (t + 1) * x) / SCALE) > floor((half + t * x) / SCALE) for x in range(256)] for t in range(300)]
    assert encoder.phase(np.arange(256), 300).tolist() == expected


def test_phase_has_as_many_spikes_as_its_share_of_the_steps() -> None:
    for steps in (1, 7, 40, 255):
        assert encoder.phase(np.arange(256), steps).sum(axis=0).tolist() == [
            (2 * steps * x + SCALE) // (2 * SCALE) for x in range(256)
        ]


@given(st.lists(st.integers(0, SCALE), min_size=1, max_size=9), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_rate_is_the_published_formula(intensities: list[int], steps: int, seed: int) -> None:
    expected = [
        [SCALE * (number(seed, tick, n * 0x85EBCA6B % 2**32) >> 16) < x * 2**16 for n, x in enumerate(intensities)] for tick in range(steps)
    ]  # fmt: skip
    assert encoder.rate(np.array(intensities), steps, seed).tolist() == expected


def test_rate_always_fires_at_full_scale_and_never_at_zero() -> None:
    spikes = encoder.rate(np.tile([0, SCALE], 200), 500, 3)
    assert not spikes[:, ::2].any()
    assert spikes[:, 1::2].all()


def test_rate_has_the_probability_of_its_intensity_within_four_sigma() -> None:
    for x in (1, 30, 128, 254):
        spikes = encoder.rate(np.full(400, x), 500, x)
        share = x / SCALE
        assert abs(spikes.sum() - spikes.size * share) <= 4 * np.sqrt(spikes.size * share * (1 - share)), x


@pytest.mark.parametrize("seed", [0, 1, 0x1234_5678, 2**32 - 1])
def test_samples_are_those_of_spikeloom_encode(seed: int) -> None:
    intensities = np.random.default_rng(seed).integers(0, 256, (5, 33))
    # Seeds of samples: mix(seed + sample), which is the number of tick 0 and index 0 with that seed.
    seeds = np.array([number((seed + sample) % 2**32, 0, 0) for sample in range(5)])
    for steps in (1, 40):
        found = encoder.encode(intensities, steps, "rate", seeds)
        assert np.array_equal(found, encode.rate(intensities, steps, seed, full_scale=SCALE))
        found = encoder.encode(intensities, steps, "phase", seeds)
        assert np.array_equal(found, encode.phase(intensities, steps, SCALE))
