"""Encoder: spikes from intensities of 8 bits, golden model. Described in ``docs/encoder.md``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeloom.arch.layout import IntArray
from spikeloom.arch.random import INTENSITY_RANDOM_BITS, input_index, key_of_tick, random_numbers
from spikeloom.arch.registers import INTENSITY_SCALE

BoolArray = npt.NDArray[np.bool_]


def phase(intensities: IntArray, steps: int) -> BoolArray:
    """Evenly spaced spikes ``[steps, inputs]``.

    The sum s begins at ``INTENSITY_SCALE // 2``. In each step the intensity is added; if s reaches ``INTENSITY_SCALE``, that is taken away
    and the input fires.
    """
    s = np.full(intensities.shape, INTENSITY_SCALE // 2, np.int64)
    spikes = np.zeros((steps, *intensities.shape), np.bool_)
    for step in range(steps):
        s += intensities
        spikes[step] = s >= INTENSITY_SCALE
        s -= np.where(spikes[step], INTENSITY_SCALE, 0)
    return spikes


def rate(intensities: IntArray, steps: int, seed: int) -> BoolArray:
    """Random spikes ``[steps, inputs]``.

    Input n fires in step t if ``INTENSITY_SCALE * u < intensity << INTENSITY_RANDOM_BITS``, where u is the upper half of the random number
    of index ``n * INDEX_STEP`` with the key of tick t.
    """
    index = input_index(np.arange(intensities.shape[-1]))
    spikes = np.zeros((steps, *intensities.shape), np.bool_)
    for step in range(steps):
        u = random_numbers(key_of_tick(seed, step), index) >> (32 - INTENSITY_RANDOM_BITS)
        spikes[step] = u * INTENSITY_SCALE < intensities << INTENSITY_RANDOM_BITS
    return spikes


def encode(intensities: IntArray, steps: int, code: str, seeds: IntArray) -> BoolArray:
    """Samples of spikes ``[samples, steps, inputs]``.

    Parameters
    ----------
    intensities : int64 array ``[samples, inputs]``
        0 to ``INTENSITY_SCALE``.
    steps : int
        Steps of each sample.
    code : str
        ``"phase"`` or ``"rate"``.
    seeds : int64 array ``[samples]``
        Seed of each sample (rate).
    """
    if code == "phase":
        return np.stack([phase(sample, steps) for sample in intensities])
    return np.stack([rate(sample, steps, seed) for sample, seed in zip(intensities, seeds.tolist(), strict=True)])
