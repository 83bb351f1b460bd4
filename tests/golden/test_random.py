"""Random numbers: the function itself, and that what it gives looks like chance where a core uses it."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.random import FIELD_BITS, KEY_STEP, ROW_INDEX, UNIT_BITS, input_index, key_of_tick, mix, random_numbers
from spikeloom.golden.random import spread
from tests.golden.naive_core import field_product, naive_mix, naive_number, naive_spread
from tests.golden.test_lif import chi_squared_z

IntArray = npt.NDArray[np.int64]
NUMBERS_OF_32_BITS = st.integers(0, 2**32 - 1)


def _ints(*values: int) -> IntArray:
    return np.array(values, np.int64)


# The function --------------------------------------------------------------------------------------------------------------


def test_mix_by_hand() -> None:
    # x = 0: 7ed55d16; ^ c761c23c = b9b49f2a, >> 19 is fda: b9b490f0 (7ed55d16 ^ c761c23c ^ 00000fda).
    x = 0x7ED55D16
    x = x ^ 0xC761C23C ^ 0x00000FDA
    assert x == 0xB9B490F0
    # + 165667b1 + 73692 1e00 (b9b490f0 << 5 is 36921e00 of 32 bits)
    x = (0xB9B490F0 + 0x165667B1 + 0x36921E00) & 0xFFFFFFFF
    assert x == 0x069D16A1
    # (+ d3a2646c) ^ (069d16a1 << 9 is 3a2d4200)
    x = ((0x069D16A1 + 0xD3A2646C) & 0xFFFFFFFF) ^ 0x3A2D4200
    assert x == 0xE012390D
    # + fd7046c5 + (e012390d << 3 is 0091c868)
    x = (0xE012390D + 0xFD7046C5 + 0x0091C868) & 0xFFFFFFFF
    assert x == 0xDE14483A
    # ^ b55a4f09 ^ (>> 16 is de14)
    assert mix(_ints(0)).tolist() == [0xDE14483A ^ 0xB55A4F09 ^ 0x0000DE14]


@given(st.lists(NUMBERS_OF_32_BITS, min_size=1, max_size=20))
def test_mix_is_that_of_plain_integers(values: list[int]) -> None:
    assert mix(np.array(values)).tolist() == [naive_mix(x) for x in values]


def test_mix_maps_no_two_numbers_to_one() -> None:
    # Each of its six lines can be inverted; here for the indices of a core.
    values = np.concatenate([np.arange(2**16), ROW_INDEX + np.arange(2**16), np.arange(2**16) << 16])
    assert len(np.unique(mix(np.unique(values)))) == len(np.unique(values))


def test_a_flipped_bit_flips_half_of_the_bits() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2**32, 2000)
    for bit in range(32):
        flips = np.bitwise_count(mix(values) ^ mix(values ^ (1 << bit))).mean()
        assert 10 < flips < 22, bit


@given(NUMBERS_OF_32_BITS, st.integers(0, 2**40))
def test_key_steps_from_tick_to_tick(seed: int, tick: int) -> None:
    assert key_of_tick(seed, 0) == seed
    assert key_of_tick(seed, tick) == (seed + tick * 0x9E3779B9) % 2**32
    assert (key_of_tick(seed, tick + 1) - key_of_tick(seed, tick)) % 2**32 == KEY_STEP


@given(NUMBERS_OF_32_BITS, st.integers(0, 10**6), st.lists(st.integers(0, 8191) | st.integers(2**31, 2**31 + 8191), min_size=1))
def test_numbers_are_those_of_plain_integers(seed: int, tick: int, index: list[int]) -> None:
    got = random_numbers(key_of_tick(seed, tick), np.array(index))
    assert got.tolist() == [naive_number(seed, tick, i) for i in index]


# Spread over a row -----------------------------------------------------------------------------------------------------


def test_field_product_by_hand() -> None:
    assert field_product(1, 0xBEEF) == field_product(0xBEEF, 1) == 0xBEEF
    # x**15 * x = x**16 = x**5 + x**3 + x + 1
    assert field_product(0x8000, 2) == 0x2B
    # (x + 1) ** 2 = x**2 + 1
    assert field_product(3, 3) == 5


def test_field_has_no_divisors_of_zero() -> None:
    # x generates 2**16 - 1 elements or a divisor of that; if x**(2**16) = x and x**(2**8) is not x, the polynomial has no small factor.
    power, seen = 2, []
    for _ in range(16):
        power = field_product(power, power)
        seen.append(power)
    assert seen[15] == 2
    assert 2 not in seen[:15]


@given(st.lists(NUMBERS_OF_32_BITS, min_size=1, max_size=5), st.lists(st.integers(0, 8191), min_size=1, max_size=8))
def test_spread_is_that_of_plain_integers(numbers: list[int], neurons: list[int]) -> None:
    got = spread(np.array(numbers), np.array(neurons))
    assert got.tolist() == [[naive_spread(number, neuron) for neuron in neurons] for number in numbers]


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 8191), (1, 2), (7, 8), (100, 4196), (8190, 8191)])
def test_two_neurons_of_a_row_are_exactly_independent(first: int, second: int) -> None:
    """Over all 2**32 numbers, each pair of results is equally frequent: ``a`` takes every value, and b shifts both alike.

    With b = 0 the results are those of ``a * n``. b adds one number to both, so their difference alone decides: ``a * (n XOR m)``,
    which takes each of 256 values 256 times.
    """
    every = np.arange(2**FIELD_BITS) << FIELD_BITS
    pair = spread(every, _ints(first, second))
    counts = np.bincount(pair[:, 0] ^ pair[:, 1], minlength=2**UNIT_BITS)
    assert (counts == 2 ** (FIELD_BITS - UNIT_BITS)).all()
    shifted = spread(every | 0xA5C3, _ints(first, second))
    assert (shifted ^ pair == 0xC3).all()


def test_pairs_of_numbers_are_equally_frequent_exhaustively() -> None:
    # All a and all of the low bits of b (those above do not reach the result): each of 2**16 pairs, 2**8 times.
    first, second = 5, 6
    a = np.arange(2**FIELD_BITS) << FIELD_BITS
    counts = np.zeros(2 ** (2 * UNIT_BITS), np.int64)
    pair = spread(a, _ints(first, second))
    for b in range(2**UNIT_BITS):
        counts += np.bincount((pair[:, 0] ^ b) << UNIT_BITS | (pair[:, 1] ^ b), minlength=len(counts))
    assert (counts == 2**UNIT_BITS).all()


# Chance --------------------------------------------------------------------------------------------------------------------

NEURONS, TICKS = 256, 400


@pytest.fixture(scope="module", params=[0, 1, 0xDEADBEEF])
def numbers(request: pytest.FixtureRequest) -> IntArray:
    """Numbers ``[TICKS, NEURONS]`` of a seed."""
    return np.array([random_numbers(key_of_tick(request.param, t), np.arange(NEURONS)) for t in range(TICKS)])


@pytest.mark.parametrize(("shift", "bits"), [(0, 8), (8, 8), (16, 8), (24, 8), (8, 10)])
def test_parts_of_the_numbers_are_uniform(numbers: IntArray, shift: int, bits: int) -> None:
    counts = np.bincount((numbers >> shift & (1 << bits) - 1).ravel(), minlength=1 << bits)
    assert abs(chi_squared_z(counts)) < 4


def test_every_bit_is_as_often_set_as_not(numbers: IntArray) -> None:
    for bit in range(32):
        count = int((numbers >> bit & 1).sum())
        assert abs(count - numbers.size / 2) / np.sqrt(numbers.size / 4) < 4.5, bit


@pytest.mark.parametrize(("ticks", "neurons"), [(0, 1), (0, 2), (0, 3), (0, 7), (0, 64), (1, 0), (2, 0), (3, 0), (8, 0), (1, 1)])
def test_ticks_and_neurons_are_not_correlated(numbers: IntArray, ticks: int, neurons: int) -> None:
    for shift in (0, 8):
        part = numbers >> shift & 255
        here, there = part[: TICKS - ticks, : NEURONS - neurons].ravel(), part[ticks:, neurons:].ravel()
        assert abs(np.corrcoef(here, there)[0, 1]) * np.sqrt(here.size) < 4.5


@pytest.mark.parametrize("offset", [1, 2, 16])
def test_spikes_of_neighbours_and_of_following_ticks_are_not_correlated(numbers: IntArray, offset: int) -> None:
    """Bits "number below a limit", as a stochastic leak makes them: pairs are as frequent as those of independent trials."""
    for limit in (16, 128, 240):
        hit = (numbers & 255) < limit
        probability = (limit / 256) ** 2
        for both in (hit[:, offset:] & hit[:, :-offset], hit[offset:] & hit[:-offset]):
            # Pairs overlap; a wide bound covers the variance of that.
            assert abs(both.mean() - probability) < 6 * np.sqrt(probability * (1 - probability) / both.size)


def test_synapses_are_uniform_and_not_correlated() -> None:
    """Numbers ``[ticks, axons, neurons]`` of a crossbar: between neurons, between axons, between ticks."""
    ticks, axons, neurons = 100, 32, 32
    index = ROW_INDEX + np.arange(axons)
    numbers = np.array([spread(random_numbers(key_of_tick(3, t), index), np.arange(neurons)) for t in range(ticks)])
    assert abs(chi_squared_z(np.bincount(numbers.ravel(), minlength=256))) < 4
    hit = numbers <= 63
    size = numbers.size
    assert abs(hit.sum() - size / 4) / np.sqrt(size * 3 / 16) < 4
    pairs = itertools.chain(
        ((hit[:, :, n], hit[:, :, m]) for n, m in itertools.combinations(range(0, neurons, 5), 2)),
        ((hit[:, a], hit[:, b]) for a, b in itertools.combinations(range(0, axons, 5), 2)),
        [(hit[1:], hit[:-1]), (hit[2:], hit[:-2]), (hit[:, 1:, 1:], hit[:, :-1, :-1])],
    )
    for here, there in pairs:
        assert abs(np.corrcoef(here.ravel(), there.ravel())[0, 1]) * np.sqrt(here.size) < 4.5


def test_random_numbers_of_axons_and_neurons_differ() -> None:
    key = key_of_tick(0, 0)
    both = np.concatenate([random_numbers(key, np.arange(8192)), random_numbers(key, ROW_INDEX + np.arange(8192))])
    assert len(np.unique(both)) == len(both)


def _agreement(index: IntArray, ticks: int = 4000) -> npt.NDArray[np.float64]:
    """Share of ticks in which the leading bits of two indices' numbers agree, for each pair."""
    keys = [key_of_tick(7, tick) for tick in range(ticks)]
    leading = np.array([random_numbers(key, index) >> 31 for key in keys]) * 2 - 1
    shares: npt.NDArray[np.float64] = (leading.T @ leading / ticks + 1) / 2
    return shares[~np.eye(len(index), dtype=bool)]


def test_leading_bits_of_inputs_are_unrelated_and_those_of_near_indices_are_not() -> None:
    """The limit in ``docs/random.md``. Five standard deviations of a share are 0.04."""
    inputs = np.arange(48)
    assert abs(_agreement(input_index(inputs)) - 0.5).max() < 0.04
    assert _agreement(np.array([0, 4])).max() < 1 / 3
