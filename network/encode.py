"""Spike encoders: analog values to spikes. All are deterministic; the random one takes a seed.

Values are arrays ``[..., n]``; spikes are bool arrays ``[..., ticks, n]``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import InputError
from spikeloom.arch.random import INTENSITY_RANDOM_BITS, input_index, key_of_tick, random_numbers, sample_seeds

BoolArray = npt.NDArray[np.bool_]


def _checked(values: npt.ArrayLike, ticks: int, full_scale: float) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
    array = np.asarray(values)
    if ticks < 1:
        raise InputError(f"ticks is {ticks}; it must be at least 1")
    if not 0 < full_scale < np.inf:
        raise InputError(f"full_scale is {full_scale}; it must be above 0 and finite")
    if array.dtype.kind not in "iufb":
        raise InputError(f"values have the type {array.dtype}; they must be numbers")
    if array.ndim == 0:
        raise InputError("values must have at least one axis; the last one counts the inputs")
    wrong = ~((array >= 0) & (array <= full_scale))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(f"the value at {list(place)} is {array[place]}; it must be 0 to {full_scale} (full_scale)")
    if array.dtype.kind == "f" or not float(full_scale).is_integer():
        return array.astype(np.float64)
    return array.astype(np.int64)


def phase(values: npt.ArrayLike, ticks: int, full_scale: float = 1.0) -> BoolArray:
    """Evenly spaced spikes, ``round(ticks * value / full_scale)`` of them; integers are encoded in exact integer arithmetic.

    There is a spike at tick t if the running total ``full_scale / 2 + (t + 1) value`` passes a multiple of ``full_scale``.
    """
    array = _checked(values, ticks, full_scale)
    scale = int(full_scale) if array.dtype == np.int64 else full_scale
    half = scale // 2 if array.dtype == np.int64 else scale / 2
    steps = np.arange(ticks + 1)[:, np.newaxis]
    total = (half + steps * array[..., np.newaxis, :]) // scale
    return np.diff(total, axis=-2) > 0


def regular(values: npt.ArrayLike, ticks: int, full_scale: float = 1.0) -> BoolArray:
    """Evenly spaced spikes that begin late: spike k comes when ``(t + 1) value / full_scale`` reaches k."""
    array = _checked(values, ticks, full_scale)
    scale = int(full_scale) if array.dtype == np.int64 else full_scale
    steps = np.arange(ticks + 1)[:, np.newaxis]
    return np.diff(steps * array[..., np.newaxis, :] // scale, axis=-2) > 0


def rate(values: npt.ArrayLike, ticks: int, seed: int, full_scale: float = 1.0) -> BoolArray:
    """Bernoulli spikes: at each tick with probability ``value / full_scale`` (in steps of 2**-16), independently.

    The random numbers are those of ``docs/random.md``, so that an encoder on the chip makes the same spikes of intensities of 8 bits with
    ``full_scale`` 255.

    Parameters
    ----------
    values : array ``[..., n]``
    ticks : int
    seed : int
        0 to 2**32 - 1.
    full_scale : float
        Value that fires at each tick.
    """
    array = _checked(values, ticks, full_scale)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 1 << 32:
        raise InputError(f"seed is {seed!r}; it must be an integer from 0 to {(1 << 32) - 1}")
    samples = array.reshape(math.prod(array.shape[:-1]), array.shape[-1])
    scale = int(full_scale) if array.dtype == np.int64 else full_scale
    spikes = np.zeros((len(samples), ticks, array.shape[-1]), np.bool_)
    index = input_index(np.arange(array.shape[-1]))
    for number, sample_seed in enumerate(sample_seeds(int(seed), len(samples)).tolist()):
        for tick in range(ticks):
            u = random_numbers(key_of_tick(sample_seed, tick), index) >> (32 - INTENSITY_RANDOM_BITS)
            spikes[number, tick] = u * scale < samples[number] * (1 << INTENSITY_RANDOM_BITS)
    return spikes.reshape(*array.shape[:-1], ticks, array.shape[-1])


def latency(values: npt.ArrayLike, ticks: int, full_scale: float = 1.0) -> BoolArray:
    """One spike per input, the earlier the larger the value; none for the value 0."""
    array = _checked(values, ticks, full_scale)
    when = np.rint((1 - array / full_scale) * (ticks - 1)).astype(np.int64)
    spikes = when[..., np.newaxis, :] == np.arange(ticks)[:, np.newaxis]
    result: BoolArray = spikes & (array[..., np.newaxis, :] > 0)
    return result


def delta(signal: npt.ArrayLike, threshold: float) -> BoolArray:
    """Changes of a signal over time.

    Parameters
    ----------
    signal : array ``[..., ticks, n]``
        The signal at each tick.
    threshold : float
        A change of at least this much since the last spike makes a spike.

    Returns
    -------
    bool array ``[..., ticks, 2 n]``
        Rises in the first n columns, falls in the others. The first tick is the reference and has no spikes.
    """
    array = np.asarray(signal, np.float64)
    if array.ndim < 2 or array.shape[-2] == 0:
        raise InputError(f"the signal has shape {list(array.shape)}; it needs [..., ticks, n] with at least one tick")
    if not threshold > 0:
        raise InputError(f"threshold is {threshold}; it must be above 0")
    if not np.isfinite(array).all():
        raise InputError("the signal contains values that are not finite")
    reference = array[..., 0, :].copy()
    spikes = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), np.bool_)
    for tick in range(1, array.shape[-2]):
        change = array[..., tick, :] - reference
        rise, fall = change >= threshold, change <= -threshold
        spikes[..., tick, :] = np.concatenate([rise, fall], axis=-1)
        reference = np.where(rise | fall, array[..., tick, :], reference)
    return spikes
