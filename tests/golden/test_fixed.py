from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.golden.fixed import saturate, shift_right_toward_zero, wrap

WIDTHS = [1, 2, 8, 13, 28, 32]


def _corners(bits: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    half = 2 ** (bits - 1)
    return np.array([-half - 1, -half, -1, 0, half - 1, half], np.int64)


def test_saturate_8_bits_at_its_corners() -> None:
    # A signed word of 8 bits holds -128 to 127.
    assert saturate(_corners(8), 8).tolist() == [-128, -128, -1, 0, 127, 127]


def test_wrap_8_bits_at_its_corners() -> None:
    # -129 = 127 - 256 and 128 = -128 + 256.
    assert wrap(_corners(8), 8).tolist() == [127, -128, -1, 0, 127, -128]


def test_shift_at_the_corners_of_8_bits() -> None:
    # /8: -16.125, -16, -0.125, 0, 15.875, 16, each with the fraction dropped.
    assert shift_right_toward_zero(_corners(8), 3).tolist() == [-16, -16, 0, 0, 15, 16]


@pytest.mark.parametrize("bits", WIDTHS)
def test_saturate_moves_only_what_does_not_fit(bits: int) -> None:
    half = 2 ** (bits - 1)
    assert saturate(_corners(bits), bits).tolist() == [-half, -half, -1, 0, half - 1, half - 1]


@pytest.mark.parametrize("bits", WIDTHS)
def test_wrap_goes_round_at_both_ends(bits: int) -> None:
    half = 2 ** (bits - 1)
    assert wrap(_corners(bits), bits).tolist() == [half - 1, -half, -1, 0, half - 1, -half]


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("shift", [0, 1, 12])
def test_shift_drops_the_fraction_at_both_ends(bits: int, shift: int) -> None:
    corners = _corners(bits)
    expected = [abs(x) // 2**shift * (-1 if x < 0 else 1) for x in corners.tolist()]
    assert shift_right_toward_zero(corners, shift).tolist() == expected


@pytest.mark.parametrize(
    ("value", "shift", "result"),
    [(-3, 1, -1), (3, 1, 1), (-1, 1, 0), (-2, 1, -1), (-4096, 12, -1), (-4095, 12, 0), (-4097, 12, -1), (-8192, 12, -2)],
)
def test_shift_by_hand(value: int, shift: int, result: int) -> None:
    assert shift_right_toward_zero(np.array([value]), shift).tolist() == [result]


VALUES = st.lists(st.integers(-(2**50), 2**50), min_size=1, max_size=20)


@given(VALUES, st.integers(1, 40))
def test_saturate_is_the_nearest_value_of_the_word(values: list[int], bits: int) -> None:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert saturate(np.array(values), bits).tolist() == [sorted((low, value, high))[1] for value in values]


@given(VALUES, st.integers(1, 40))
def test_wrap_stays_in_the_word_and_differs_by_whole_turns(values: list[int], bits: int) -> None:
    for value, wrapped in zip(values, wrap(np.array(values), bits).tolist(), strict=True):
        assert -(2 ** (bits - 1)) <= wrapped < 2 ** (bits - 1)
        assert (value - wrapped) % 2**bits == 0


@given(VALUES, st.integers(0, 40))
def test_shift_leaves_a_remainder_of_the_sign_of_the_value(values: list[int], shift: int) -> None:
    for value, shifted in zip(values, shift_right_toward_zero(np.array(values), shift).tolist(), strict=True):
        remainder = value - shifted * 2**shift
        assert abs(remainder) < 2**shift
        assert remainder * value >= 0


@pytest.mark.parametrize("function", [saturate, wrap, shift_right_toward_zero])
def test_result_is_a_64_bit_integer(function: object) -> None:
    assert callable(function)
    assert function(np.array([[1, -2], [3, 4]]), 3).dtype == np.int64
    assert function(np.zeros((2, 0), np.int64), 3).shape == (2, 0)
