"""Crossbar: golden model. A row of weights per axon, covering a range of the neurons. Described in ``docs/crossbar.md``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.layout import IntArray

BoolArray = npt.NDArray[np.bool_]


class Crossbar:
    """Synaptic weights of a core.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    weights : int64 array ``[words, lanes]``
        Weight memory.
    base, start, last : int64 arrays ``[axons]``
        Row of axon a: the weight words from ``base[a]`` on belong to the neuron words ``start[a]`` to ``last[a]``; none if
        ``last[a] < start[a]``.

    Attributes
    ----------
    matrix : float64 or float32 array ``[axons, neuron_slots]``
        ``matrix[a, n]`` is the weight from axon a to neuron n. Floating point, because numpy multiplies integer matrices
        slowly; every sum is an integer below the mantissa's range, so the product is exact.
    """

    def __init__(self, config: CoreConfig, weights: IntArray, base: IntArray, start: IntArray, last: IntArray) -> None:
        length = np.maximum(last - start + 1, 0)
        matrix = np.zeros((config.axons, config.neuron_words, config.lanes), np.int64)
        for step in range(int(length.max(initial=0))):
            active = np.flatnonzero(length > step)
            matrix[active, start[active] + step] = weights[base[active] + step]
        largest_sum = np.abs(matrix).sum(axis=0).max(initial=0)
        assert largest_sum < 2**53
        self.matrix = matrix.reshape(config.axons, -1).astype(np.float32 if largest_sum < 2**24 else np.float64)
        self.row_words = length.astype(np.float64)

    def integrate(self, active: BoolArray) -> IntArray:
        """Synaptic sums ``[B, neuron_slots]`` of the active axons ``[B, axons]``, exact."""
        sums: IntArray = (active.astype(self.matrix.dtype) @ self.matrix).astype(np.int64)
        return sums

    def words_read(self, active: BoolArray) -> IntArray:
        """Weight words read for the active axons, ``[B]``."""
        words: IntArray = (active.astype(np.float64) @ self.row_words).astype(np.int64)
        return words
