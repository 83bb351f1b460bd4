"""Fixed-point helpers. Every rounding and overflow of the golden model happens in one of these functions."""

from __future__ import annotations

import numpy as np

from spikeloom.arch.layout import IntArray


def saturate(x: IntArray, bits: int) -> IntArray:
    """Nearest value that fits a signed word of ``bits`` bits."""
    return np.clip(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def wrap(x: IntArray, bits: int) -> IntArray:
    """Value modulo ``2**bits``, read as a signed word of ``bits`` bits."""
    half = np.int64(1) << (bits - 1)
    return ((x + half) & ((np.int64(1) << bits) - 1)) - half


def shift_right_toward_zero(x: IntArray, shift: int) -> IntArray:
    """``x / 2**shift`` with the fraction dropped: -1.5 becomes -1, not -2."""
    mask = np.int64((1 << shift) - 1)
    return np.where(x < 0, (x + mask) >> shift, x >> shift)
