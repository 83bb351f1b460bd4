from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spikeloom.arch.errors import InputError
from spikeloom.host.spikes import check_spikes


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.uint8, np.int64, np.uint64, np.float32, np.float64])
def test_every_type_of_0_and_1_is_accepted(kind: type) -> None:
    checked = check_spikes(np.array([[0, 1], [1, 0], [1, 1]], kind), 2)
    assert checked.dtype == np.bool_
    assert checked.tolist() == [[[False, True], [True, False], [True, True]]]


def test_samples_keep_their_shape() -> None:
    spikes = np.random.default_rng(1).random((3, 4, 5)) < 0.5
    np.testing.assert_array_equal(check_spikes(spikes, 5), spikes)


def test_a_list_is_accepted() -> None:
    assert check_spikes([[0, 1]], 2).tolist() == [[[False, True]]]


def test_result_is_a_copy() -> None:
    spikes = np.zeros((1, 2, 3), np.bool_)
    check_spikes(spikes, 3)[:] = True
    assert not spikes.any()


@pytest.mark.parametrize("shape", [(4, 0), (2, 4, 0)])
def test_no_inputs_are_accepted(shape: tuple[int, ...]) -> None:
    assert check_spikes(np.zeros(shape, np.bool_), shape[-1]).shape == (1, *shape)[-3:]


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (np.zeros(3), "input spikes have shape [3]; the image needs [ticks, 3] or [samples, ticks, 3]"),
        (np.zeros((5, 4)), "input spikes have shape [5, 4]; the image needs [ticks, 3] or [samples, ticks, 3]"),
        (np.zeros((1, 1, 1, 3)), "input spikes have shape [1, 1, 1, 3]; the image needs [ticks, 3] or [samples, ticks, 3]"),
        (1, "input spikes have shape []; the image needs [ticks, 3] or [samples, ticks, 3]"),
        (np.zeros((2, 3), np.complex128), "input spikes have the type complex128; they must be bool or the numbers 0 and 1"),
        ([["a", "b", "c"]], "input spikes have the type <U1; they must be bool or the numbers 0 and 1"),
        (
            [[0, 0, 0], [0, 2, -1]],
            "input spikes must be 0 or 1, but the value at [1, 1] is 2; encode analog values first (spikeloom.encode)",
        ),
        (
            [[[0, 0, 0]], [[0, 0, 0.5]]],
            "input spikes must be 0 or 1, but the value at [1, 0, 2] is 0.5; encode analog values first (spikeloom.encode)",
        ),
        (
            [[0, float("nan"), 1]],
            "input spikes must be 0 or 1, but the value at [0, 1] is nan; encode analog values first (spikeloom.encode)",
        ),
        (np.zeros((0, 3)), "input spikes have no ticks; give at least one"),
        (np.zeros((2, 0, 3)), "input spikes have no ticks; give at least one"),
        (np.zeros((0, 4, 3)), "input spikes have no samples; give at least one"),
    ],
)
def test_wrong_spikes_are_refused(spikes: npt.ArrayLike, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        check_spikes(spikes, 3)


def test_rows_of_different_length_are_refused() -> None:
    ragged: Any = [[0, 1], [1]]
    with pytest.raises(InputError, match=r"^input spikes are not an array: their rows differ in length or depth \("):
        check_spikes(ragged, 2)
