"""Random numbers without an order: functions of seed, tick and index, and their constants. Described in ``docs/random.md``.

Compiler, encoders and golden model compute with the functions here; the hardware has its own.
"""

from __future__ import annotations

import numpy as np

from spikeloom.arch.layout import IntArray

#: Added to the key each tick, modulo 2**32: the golden ratio's fraction, so that keys of near ticks differ in many bits.
KEY_STEP = 0x9E3779B9
#: Index of the random number of axon a is ``ROW_INDEX + a``; that of neuron n is n.
ROW_INDEX = 1 << 31
#: Constants of the mixing function (Jenkins 2007, "6-shift" integer hash), in the order of its six steps.
MIX = (0x7ED55D16, 0xC761C23C, 0x165667B1, 0xD3A2646C, 0xFD7046C5, 0xB55A4F09)
#: Shifts of the six steps.
MIX_SHIFTS = (12, 19, 5, 9, 3, 16)
#: Low coefficients of the irreducible polynomial x**16 + x**5 + x**3 + x + 1, over which numbers of a row are spread to neurons.
FIELD_POLYNOMIAL = 0x2B
#: Bits of that field's elements.
FIELD_BITS = 16
#: Bits of the number that a stochastic synapse or leak is compared with.
UNIT_BITS = 8
#: Index of input n is ``n * INDEX_STEP`` modulo 2**32: the numbers of near indices are not independent enough (Appleby's MurmurHash3, 2008,
#: has this odd constant).
INDEX_STEP = 0x85EBCA6B
#: Bits of the number that an intensity is compared with (``docs/encoder.md``).
INTENSITY_RANDOM_BITS = 16
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


def sample_seeds(seed: int, samples: int) -> IntArray:
    """Seeds of the samples of a batch: ``mix(seed + sample)``, so that samples get unrelated numbers.

    Parameters
    ----------
    seed : int
        0 to 2**32 - 1.
    samples : int

    Returns
    -------
    int64 array ``[samples]``
    """
    return mix(seed + np.arange(samples, dtype=np.int64) & _MASK)


def input_index(inputs: IntArray) -> IntArray:
    """Indices of inputs: ``inputs * INDEX_STEP`` modulo 2**32."""
    return inputs * INDEX_STEP & _MASK
