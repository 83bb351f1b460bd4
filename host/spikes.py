"""Checks of input spikes, the same for chips of every kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import ENCODERS
from spikeloom.arch.errors import InputError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.arch.registers import ENCODE_STEP_BITS, INTENSITY_SCALE

BoolArray = npt.NDArray[np.bool_]


def check_spikes(spikes: npt.ArrayLike, inputs: int) -> BoolArray:
    """Input spikes as a bool array ``[samples, ticks, inputs]``.

    Parameters
    ----------
    spikes : array ``[ticks, inputs]`` or ``[samples, ticks, inputs]``
        bool, or numbers that are all 0 or 1.
    inputs : int
        Input columns of the image.

    Raises
    ------
    InputError
        If shape or values are wrong; the message names what was found and what is expected.
    """
    try:
        array = np.asarray(spikes)
    except ValueError as error:
        raise InputError(f"input spikes are not an array: their rows differ in length or depth ({error})") from error
    if array.ndim not in (2, 3) or array.shape[-1] != inputs:
        raise InputError(
            f"input spikes have shape {list(array.shape)}; the image needs [ticks, {inputs}] or [samples, ticks, {inputs}]"
        )
    if array.dtype.kind not in "biuf":
        raise InputError(f"input spikes have the type {array.dtype}; they must be bool or the numbers 0 and 1")
    if array.dtype != np.bool_:
        wrong = ~((array == 0) | (array == 1))
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise InputError(
                f"input spikes must be 0 or 1, but the value at {list(place)} is {array[place]}; "
                "encode analog values first (spikeloom.encode)"
            )
    if array.shape[0] == 0 and array.ndim == 3:
        raise InputError("input spikes have no samples; give at least one")
    if array.shape[-2] == 0:
        raise InputError("input spikes have no ticks; give at least one")
    return array.astype(np.bool_)[np.newaxis] if array.ndim == 2 else array.astype(np.bool_)


def check_row(row: npt.ArrayLike, inputs: int) -> BoolArray:
    """Input of one tick as a bool array ``[inputs]``.

    Raises
    ------
    InputError
        As for :func:`check_spikes`.
    """
    try:
        array = np.asarray(row)
    except ValueError as error:
        raise InputError(f"a row of input spikes is not an array: its parts differ in length or depth ({error})") from error
    if array.shape != (inputs,):
        raise InputError(f"a row of input spikes has shape {list(array.shape)}; the image needs [{inputs}]")
    checked: BoolArray = check_spikes(array[np.newaxis], inputs)[0, 0]
    return checked


def check_intensities(values: npt.ArrayLike, inputs: int, ticks: int, code: str, seed: int) -> IntArray:
    """Intensities as an int64 array ``[samples, inputs]``.

    Parameters
    ----------
    values : array ``[inputs]`` or ``[samples, inputs]``
        Integers from 0 to ``INTENSITY_SCALE``.
    inputs : int
        Input columns of the image.
    ticks, code, seed
        How they are to be encoded; checked too.

    Raises
    ------
    InputError
        If something is wrong; the message names what was found and what is expected.
    """
    array = np.asarray(values)
    if array.ndim not in (1, 2) or array.shape[-1] != inputs or not array.size:
        raise InputError(f"intensities have shape {list(array.shape)}; the image needs [{inputs}] or [samples, {inputs}]")
    if array.dtype.kind not in "iu":
        raise InputError(f"intensities have the type {array.dtype}; they must be integers from 0 to {INTENSITY_SCALE}")
    wrong = (array < 0) | (array > INTENSITY_SCALE)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(f"the intensity at {list(place)} is {array[place]}; it must be 0 to {INTENSITY_SCALE}")
    for name, value, low, high in (("ticks", ticks, 1, (1 << ENCODE_STEP_BITS) - 1), ("seed", seed, 0, (1 << RANDOM_BITS) - 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
            raise InputError(f"{name} is {value!r}; it must be an integer from {low} to {high}")
    if code not in ENCODERS[1:]:
        raise InputError(f"code is {code!r}; it must be {' or '.join(map(repr, ENCODERS[1:]))}")
    return array.reshape(-1, inputs).astype(np.int64)
