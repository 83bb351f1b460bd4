"""Crossbar: golden model. A row of weights per axon, covering a range of the neurons. Described in ``docs/crossbar.md``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.layout import IntArray
from spikeloom.arch.random import ROW_INDEX, random_numbers
from spikeloom.golden.random import spread
from spikeloom.golden.short_term import scaled

BoolArray = npt.NDArray[np.bool_]


class Crossbar:
    """Synaptic weights of a core.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    weights : int64 array ``[words, lanes]``
        Weight memory.
    rows : dict of int64 array ``[axons]``
        Row of axon a: the weight words from ``base[a]`` on belong to the neuron words ``start[a]`` to ``last[a]``; none if
        ``last[a] < start[a]``. With one bit per synapse also ``type[a]``.
    type_weights : dict of int64 array ``[types * neuron_words, lanes]`` or None
        With one bit per synapse: ``weight`` of each neuron for each axon type, and, if synapses may be stochastic, ``stochastic``.

    Attributes
    ----------
    matrix : float64 or float32 array ``[axons, neuron_slots]``
        ``matrix[a, n]`` is the weight from axon a to neuron n. Floating point, because numpy multiplies integer matrices
        slowly; every sum is an integer below the mantissa's range, so the product is exact.
    """

    def __init__(
        self, config: CoreConfig, weights: IntArray, rows: Mapping[str, IntArray], type_weights: Mapping[str, IntArray] | None
    ) -> None:
        base, start, last = rows["base"], rows["start"], rows["last"]
        length = np.maximum(last - start + 1, 0)
        matrix = np.zeros((config.axons, config.neuron_words, config.lanes), np.int64)
        for step in range(int(length.max(initial=0))):
            active = np.flatnonzero(length > step)
            matrix[active, start[active] + step] = weights[base[active] + step]
        dense: IntArray = matrix.reshape(config.axons, -1)
        # Probability numerator and sign of the stochastic synapses, zero elsewhere.
        self.stochastic: IntArray | None = None
        if type_weights is not None:
            by_type = {name: values.reshape(-1, config.neuron_slots)[rows["type"]] for name, values in type_weights.items()}
            dense = dense * by_type["weight"]
            if config.stochastic_synapses:
                chance = by_type["stochastic"] == 1
                self.stochastic = np.where(chance, dense, 0)
                dense = np.where(chance, 0, dense)
        largest_sum = np.abs(dense).sum(axis=0).max(initial=0)
        if config.learning is not None:
            # Weights may grow.
            largest_sum = max(largest_sum, config.axons << (config.weight_bits - 1))
        assert largest_sum < 2**53
        self.matrix = dense.astype(np.float32 if largest_sum < 2**24 else np.float64)
        self.row_words = length.astype(np.float64)

    def integrate(self, active: BoolArray, key: int, efficacy: IntArray | None = None) -> IntArray:
        """Synaptic sums ``[B, neuron_slots]`` of the active axons ``[B, axons]``, exact.

        A stochastic synapse of weight s adds the sign of s if ``abs(s) >= r``, where r is its random number of 8 bits
        (Cassidy et al. 2013).

        Parameters
        ----------
        active : bool array ``[B, axons]``
        key : int
            Key of the tick, for stochastic synapses.
        efficacy : int64 array ``[B, axons]`` or None
            What the weights of each axon are scaled with (``spikeloom.golden.short_term``).
        """
        if efficacy is not None:
            return self._integrate_scaled(active, efficacy)
        sums: IntArray = (active.astype(self.matrix.dtype) @ self.matrix).astype(np.int64)
        if self.stochastic is not None:
            axons = np.flatnonzero(active.any(axis=0))
            weights = self.stochastic[axons]
            numbers = spread(random_numbers(key, ROW_INDEX + axons), np.arange(weights.shape[1]))
            units = np.where(np.abs(weights) >= numbers, np.sign(weights), 0)
            sums += active[:, axons].astype(np.int64) @ units
        return sums

    def _integrate_scaled(self, active: BoolArray, efficacy: IntArray) -> IntArray:
        sums = np.zeros((len(active), self.matrix.shape[1]), np.int64)
        for axon in np.flatnonzero(active.any(axis=0)):
            samples = np.flatnonzero(active[:, axon])
            sums[samples] += scaled(self.matrix[axon].astype(np.int64), efficacy[samples, axon, np.newaxis])
        return sums

    def words_read(self, active: BoolArray) -> IntArray:
        """Weight words read for the active axons, ``[B]``."""
        words: IntArray = (active.astype(np.float64) @ self.row_words).astype(np.int64)
        return words
