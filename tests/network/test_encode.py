from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.errors import InputError
from spikeloom.network import encode


def passed(before: Fraction, after: Fraction, full_scale: int) -> bool:
    return math.floor(after / full_scale) > math.floor(before / full_scale)


# Phase -------------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.integers(1, 40), st.data())
def test_phase_is_the_published_formula_for_integers(full_scale: int, ticks: int, data: st.DataObject) -> None:
    """A spike at step t iff floor((F/2 + (t+1) p) / F) > floor((F/2 + t p) / F)."""
    values = data.draw(st.lists(st.integers(0, full_scale), min_size=1, max_size=6))
    half = Fraction(full_scale, 2)
    expected = [[passed(half + t * p, half + (t + 1) * p, full_scale) for p in values] for t in range(ticks)]
    assert encode.phase(values, ticks, full_scale).tolist() == expected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(1, 40), st.sampled_from([1.0, 2.5, 255.0]))
def test_phase_is_the_published_formula_for_floats(shares: list[float], ticks: int, full_scale: float) -> None:
    values = [min(share * full_scale, full_scale) for share in shares]
    expected = [
        [(full_scale / 2 + (t + 1) * p) // full_scale > (full_scale / 2 + t * p) // full_scale for p in values]
        for t in range(ticks)
    ]
    assert encode.phase(values, ticks, full_scale).tolist() == expected


def test_phase_of_every_pixel_has_as_many_spikes_as_its_share_of_the_ticks() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    spikes = encode.phase(pixels, 16, 255)
    # Rounded, a half upwards.
    assert spikes.sum(axis=0).tolist() == [(2 * 16 * p + 255) // 510 for p in range(256)]


def test_phase_of_a_half_is_every_second_tick_from_the_first() -> None:
    # F/2 + (t+1)/2 passes a multiple of F = 1 at t = 0, 2, 4 ...
    assert encode.phase([0.5], 6)[:, 0].tolist() == [True, False, True, False, True, False]


@given(st.integers(0, 255), st.integers(1, 64))
def test_phase_spaces_spikes_evenly(pixel: int, ticks: int) -> None:
    places = np.flatnonzero(encode.phase([pixel], ticks, 255)[:, 0])
    gaps = np.diff(places)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


# Regular -----------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.integers(1, 40), st.data())
def test_regular_spike_k_comes_when_the_running_total_reaches_k(full_scale: int, ticks: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, full_scale), min_size=1, max_size=6))
    expected = [[passed(Fraction(t * p), Fraction((t + 1) * p), full_scale) for p in values] for t in range(ticks)]
    spikes = encode.regular(values, ticks, full_scale)
    assert spikes.tolist() == expected
    assert spikes.sum(axis=0).tolist() == [ticks * p // full_scale for p in values]


def test_regular_of_a_half_is_every_second_tick_from_the_second() -> None:
    assert encode.regular([0.5], 6)[:, 0].tolist() == [False, True, False, True, False, True]


# Rate --------------------------------------------------------------------------------------------------------------------


def test_rate_has_the_mean_of_its_value_within_four_sigma() -> None:
    ticks, values = 4000, np.array([0.0, 0.02, 0.3, 0.5, 0.97, 1.0])
    counts = encode.rate(values, ticks, seed=7).sum(axis=0)
    sigma = np.sqrt(ticks * values * (1 - values))
    assert (np.abs(counts - ticks * values) <= 4 * sigma).all(), counts


def test_rate_of_neighbouring_ticks_and_inputs_is_independent_within_four_sigma() -> None:
    spikes = encode.rate(np.full(50, 0.5), 1000, seed=8).astype(float) * 2 - 1
    for product in (spikes[1:] * spikes[:-1], spikes[:, 1:] * spikes[:, :-1]):
        assert abs(product.sum()) <= 4 * math.sqrt(product.size)


def test_rate_of_two_samples_and_of_two_seeds_is_independent_within_four_sigma() -> None:
    values = np.full((8, 40), 0.5)
    spikes = encode.rate(values, 300, seed=9).astype(float) * 2 - 1
    other = encode.rate(values, 300, seed=10_000).astype(float) * 2 - 1
    for product in (spikes[1:] * spikes[:-1], spikes * other):
        assert abs(product.sum()) <= 4 * math.sqrt(product.size)


def test_rate_is_fixed_by_its_seed() -> None:
    values = np.linspace(0, 255, 20)
    first = encode.rate(values, 50, seed=3, full_scale=255)
    assert np.array_equal(first, encode.rate(values, 50, seed=3, full_scale=255))
    assert np.array_equal(first, encode.rate(values.tolist(), 50, np.int64(3), 255.0))
    assert not np.array_equal(first, encode.rate(values, 50, seed=4, full_scale=255))


@pytest.mark.parametrize("seed", [0, 77, 2**32 - 1])
def test_rate_of_a_sample_does_not_depend_on_what_stands_beside_it(seed: int) -> None:
    values = np.random.default_rng(seed).random((2, 3, 9))
    spikes = encode.rate(values, 20, seed)
    assert np.array_equal(encode.rate(values[0, 0], 20, seed), spikes[0, 0])
    assert np.array_equal(encode.rate(values[:1, :1], 20, seed), spikes[:1, :1])
    assert np.array_equal(encode.rate(values.reshape(6, 9), 20, seed), spikes.reshape(6, 20, 9))
    # A shorter sample is the beginning of a longer one, and so are fewer inputs.
    assert np.array_equal(encode.rate(values[..., :4], 7, seed), spikes[:, :, :7, :4])


def test_rate_is_the_comparison_of_docs_encode_with_the_numbers_of_docs_random() -> None:
    values, seed = np.array([[0, 17, 200, 255, 128]] * 3), 2**32 - 2
    spikes = encode.rate(values, 30, seed, full_scale=255)
    for sample in range(3):
        key = _mix((seed + sample) % 2**32)
        for tick in range(30):
            u = [_mix((key + tick * 0x9E3779B9) % 2**32 ^ (n * 0x85EBCA6B % 2**32)) >> 16 for n in range(5)]
            assert spikes[sample, tick].tolist() == [
                255 * number < value * 2**16 for number, value in zip(u, values[0], strict=True)
            ]


def _mix(x: int) -> int:
    """The function of docs/random.md, on Python's integers."""
    x = (x + 0x7ED55D16 + (x << 12)) % 2**32
    x = x ^ 0xC761C23C ^ x >> 19
    x = (x + 0x165667B1 + (x << 5)) % 2**32
    x = ((x + 0xD3A2646C) ^ (x << 9)) % 2**32
    x = (x + 0xFD7046C5 + (x << 3)) % 2**32
    return x ^ 0xB55A4F09 ^ x >> 16


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "7", None])
def test_a_bad_seed_is_refused(seed: Any) -> None:
    message = f"seed is {seed!r}; it must be an integer from 0 to 4294967295"
    with pytest.raises(InputError, match=re.escape(message)):
        encode.rate([0.5], 4, seed)


# Latency and delta ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(1, 30))
def test_latency_is_one_spike_and_the_larger_value_is_never_later(values: list[float], ticks: int) -> None:
    spikes = encode.latency(values, ticks)
    assert spikes.sum(axis=0).tolist() == [int(value > 0) for value in values]
    rising = sorted((value, -when) for value, when in zip(values, spikes.argmax(axis=0).tolist(), strict=True) if value)
    assert all(first[1] <= second[1] for first, second in itertools.pairwise(rising))


def test_latency_spans_all_ticks() -> None:
    assert encode.latency([255, 128, 1, 0], 11, 255).argmax(axis=0)[:3].tolist() == [0, 5, 10]


def test_delta_shows_rises_in_the_first_columns_and_falls_in_the_others() -> None:
    #                  0    1    2     3    4    5
    signal = np.array([[5.0, 5.9, 6.0, 6.5, 4.9, 4.0]]).T
    # Reference 5; a rise of 1 at tick 2 (reference 6), a fall of 1.1 at tick 4 (reference 4.9); 0.9 at tick 5 is too little.
    spikes = encode.delta(signal, 1.0)
    assert spikes.shape == (6, 2)
    assert np.flatnonzero(spikes[:, 0]).tolist() == [2]
    assert np.flatnonzero(spikes[:, 1]).tolist() == [4]


@pytest.mark.parametrize("seed", range(5))
def test_delta_lets_a_signal_be_followed_within_its_threshold(seed: int) -> None:
    signal = np.cumsum(np.random.default_rng(seed).normal(0, 0.1, (3, 60, 4)), axis=1)
    spikes = encode.delta(signal, 0.3)
    changed = spikes[..., :4] | spikes[..., 4:]
    assert not changed[:, 0].any()
    reference = signal[:, 0]
    for tick in range(60):
        reference = np.where(changed[:, tick], signal[:, tick], reference)
        assert (np.abs(signal[:, tick] - reference) < 0.3).all(), (seed, tick)


# Shapes and errors -----------------------------------------------------------------------------------------------------------

ENCODERS: dict[str, Callable[..., Any]] = {
    "phase": encode.phase,
    "regular": encode.regular,
    "latency": encode.latency,
    "rate": lambda values, ticks, full_scale=1.0: encode.rate(values, ticks, 0, full_scale),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_ticks_come_before_the_last_axis(name: str, shape: tuple[int, ...]) -> None:
    spikes = ENCODERS[name](np.full(shape, 0.7), 9)
    assert spikes.shape == (*shape[:-1], 9, 4)
    assert spikes.dtype == np.bool_


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4)])
def test_no_inputs_or_no_samples_have_no_spikes(name: str, shape: tuple[int, ...]) -> None:
    assert ENCODERS[name](np.zeros(shape), 5).shape == (*shape[:-1], 5, shape[-1])


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.bool_])
def test_the_type_of_the_values_does_not_matter(name: str, dtype: type) -> None:
    values = np.array([0, 1, 1, 0])
    assert np.array_equal(ENCODERS[name](values.astype(dtype), 7), ENCODERS[name](values.astype(np.float64), 7))


@pytest.mark.parametrize("name", ENCODERS)
def test_zero_gives_no_spike(name: str) -> None:
    assert not ENCODERS[name](np.zeros(3), 20).any()


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "latency"])
def test_full_scale_gives_a_spike_each_tick(name: str) -> None:
    assert ENCODERS[name]([255, 255], 20, full_scale=255).all()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5], 0), "ticks is 0; it must be at least 1"),
        (([0.5], 4, 0), "full_scale is 0; it must be above 0 and finite"),
        (([0.5], 4, math.inf), "full_scale is inf; it must be above 0 and finite"),
        (([0.5], 4, math.nan), "full_scale is nan; it must be above 0 and finite"),
        (([[0.5, 1.5]], 4), "the value at [0, 1] is 1.5; it must be 0 to 1.0 (full_scale)"),
        (([0.5, -0.5], 4), "the value at [1] is -0.5; it must be 0 to 1.0 (full_scale)"),
        (([256], 4, 255), "the value at [0] is 256; it must be 0 to 255 (full_scale)"),
        (([math.nan], 4), "the value at [0] is nan; it must be 0 to 1.0 (full_scale)"),
        ((["a"], 4), "values have the type <U1; they must be numbers"),
        ((0.5, 4), "values must have at least one axis; the last one counts the inputs"),
    ],
)
def test_bad_values_are_refused(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        ENCODERS[name](*arguments)


@pytest.mark.parametrize(
    ("signal", "threshold", "message"),
    [
        ([1.0, 2.0], 1.0, "the signal has shape [2]; it needs [..., ticks, n] with at least one tick"),
        (np.zeros((0, 2)), 1.0, "the signal has shape [0, 2]; it needs [..., ticks, n] with at least one tick"),
        ([[1.0], [2.0]], 0.0, "threshold is 0.0; it must be above 0"),
        ([[1.0], [2.0]], math.nan, "threshold is nan; it must be above 0"),
        ([[1.0], [math.inf]], 1.0, "the signal contains values that are not finite"),
    ],
)
def test_bad_signals_are_refused(signal: Any, threshold: float, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        encode.delta(signal, threshold)
