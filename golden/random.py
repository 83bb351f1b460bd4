"""Random numbers of a core: golden model. A function of seed, tick and index. Described in ``docs/random.md``."""

from __future__ import annotations

import numpy as np

from spikeloom.arch.layout import IntArray
from spikeloom.arch.random import FIELD_BITS, FIELD_POLYNOMIAL, KEY_STEP, MIX, MIX_SHIFTS, UNIT_BITS

_MASK = (1 << 32) - 1


def key_of_tick(seed: int, tick: int) -> int:
    """Key of a tick: ``(seed + tick * KEY_STEP) mod 2**32``."""
    return (seed + tick * KEY_STEP) & _MASK


def mix(x: IntArray) -> IntArray:
    """A 32-bit number that looks unrelated to ``x``: Jenkins' 6-shift integer hash (2007). Numbers of 32 bits in int64 arrays."""
    c, s = MIX, MIX_SHIFTS
    x = (x + c[0] + (x << s[0])) & _MASK
    x = (x ^ c[1]) ^ (x >> s[1])
    x = (x + c[2] + (x << s[2])) & _MASK
    x = ((x + c[3]) ^ (x << s[3])) & _MASK
    x = (x + c[4] + (x << s[4])) & _MASK
    return (x ^ c[5]) ^ (x >> s[5])


def random_numbers(key: int, index: IntArray) -> IntArray:
    """Random numbers of 32 bits of a tick: ``mix(key ^ index)``."""
    return mix(np.int64(key) ^ index)


def spread(numbers: IntArray, neurons: IntArray) -> IntArray:
    """Numbers of 8 bits for the synapses of a row: the low bits of ``a * n + b`` in the field of 2**16 elements.

    ``a`` is the upper and ``b`` the lower half of the row's random number, n the neuron. Any two neurons of a row get independent
    numbers, because every pair of results comes from exactly one pair (a, b) (Carter and Wegman 1979).

    Parameters
    ----------
    numbers : int64 array ``[A]``
        Random number of each axon.
    neurons : int64 array ``[N]``

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
    return (product ^ b) & ((1 << UNIT_BITS) - 1)
