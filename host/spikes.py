"""Checks of input spikes, the same for chips of every kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import InputError

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
