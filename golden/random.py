"""Random numbers of the synapses of a row: golden model. Described in ``docs/random.md``."""

from __future__ import annotations

import numpy as np

from spikeloom.arch.layout import IntArray
from spikeloom.arch.random import FIELD_BITS, FIELD_POLYNOMIAL, UNIT_BITS


def spread(numbers: IntArray, neurons: IntArray, bits: int = UNIT_BITS) -> IntArray:
    """Numbers of so many bits for the synapses of a row: the low ones of ``a * n + b`` in the field of 2**16 elements.

    ``a`` is the upper and ``b`` the lower half of the row's random number, n the neuron. Any two neurons of a row get independent
    numbers, because every pair of results comes from exactly one pair (a, b) (Carter and Wegman 1979).

    Parameters
    ----------
    numbers : int64 array ``[A]``
        Random number of each axon.
    neurons : int64 array ``[N]``
    bits : int
        1 to 16.

    Returns
    -------
    int64 array ``[A, N]``
    """
    a, b = numbers[:, np.newaxis] >> FIELD_BITS, numbers[:, np.newaxis] & ((1 << FIELD_BITS) - 1)
    product = np.zeros((len(numbers), len(neurons)), np.int64)
    for bit in range(FIELD_BITS):
        product ^= np.where(neurons >> bit & 1, a, 0)
        # a becomes a * x, reduced by the polynomial.
        a = (a << 1) & ((1 << FIELD_BITS) - 1) ^ np.where(a >> (FIELD_BITS - 1), FIELD_POLYNOMIAL, 0)
    return (product ^ b) & ((1 << bits) - 1)
