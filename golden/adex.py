"""Adaptive exponential integrate-and-fire neuron: golden model of one tick. Described in ``docs/adex.md``.

Forward Euler of the equations of Brette and Gerstner (2005) in a normal form: the exponential is a power of two, and the step is part
of the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from spikeloom.arch.adex import (
    COUPLING_FRACTION,
    LEAK_FRACTION,
    MAX_EXPONENT,
    MEMBRANE_INTEGER_BITS,
    OPERAND_BITS,
    RATE_FRACTION,
    RECOVERY_INTEGER_BITS,
    TABLE_FRACTION,
    AdEx,
    power_table,
)
from spikeloom.arch.layout import IntArray
from spikeloom.golden.fixed import saturate
from spikeloom.golden.neuron import BoolArray, State

#: Fraction bits of the operands that stand for the potential and for the adaptation current.
POTENTIAL_FRACTION = OPERAND_BITS - MEMBRANE_INTEGER_BITS
CURRENT_FRACTION = OPERAND_BITS - RECOVERY_INTEGER_BITS


@cache
def _table(table_bits: int) -> IntArray:
    """``power_table`` as an array."""
    return np.array(power_table(table_bits), np.int64)


def power_of_two(model: AdEx, potential: IntArray) -> IntArray:
    """``2**potential``, rounded down; the exponent stops at ``MAX_EXPONENT``.

    Parameters
    ----------
    model : AdEx
        Widths.
    potential : int64 array
        Signed operand of ``OPERAND_BITS`` bits, ``POTENTIAL_FRACTION`` of them fraction bits.

    Returns
    -------
    int64 array
        Unsigned, ``membrane_bits`` bits, with the fraction bits of the membrane potential.
    """
    table = _table(model.table_bits)
    exponent = np.minimum(potential >> POTENTIAL_FRACTION, MAX_EXPONENT)
    fraction = potential & ((1 << POTENTIAL_FRACTION) - 1)
    between = POTENTIAL_FRACTION - model.table_bits
    entry, rest = fraction >> between, fraction & ((1 << between) - 1)
    mantissa = table[entry] + (((table[entry + 1] - table[entry]) * rest) >> between)
    largest = (mantissa << MAX_EXPONENT) >> (TABLE_FRACTION - model.membrane_fraction)
    # numpy does not define shifts by 64 or more; all bits are gone long before.
    result: IntArray = largest >> np.minimum(MAX_EXPONENT - exponent, 63)
    return result


def adex_step(
    model: AdEx,
    parameters: Mapping[str, IntArray],
    state: Mapping[str, IntArray],
    synaptic_sum: IntArray,
    random: IntArray,
) -> tuple[State, BoolArray]:
    """One tick of N neurons, for B samples at once.

    The first tick begins from the initial values of the type. Then ``substeps`` times, with both lines reading the values before the
    step (all arithmetic exact except where ``saturate`` or a shift to the right stands):

    1. ``V1 = saturate(V - leak V + 2**V - U + X)`` with the input ``X = synaptic_sum * 2**input_shift + drive + bias``
    2. ``U1 = saturate(U + rate saturate(coupling V - U))``, the product with ``rate`` rounded to nearest
    3. if ``V1 > peak``: ``V = reset``, ``U = saturate(U1 + increment)``, and the neuron spikes in this tick

    Parameters
    ----------
    model : AdEx
        Widths.
    parameters : dict of int64 array ``[N]``
    state : dict of int64 array ``[B, N]``
        ``membrane``, ``recovery``, ``started``.
    synaptic_sum : int64 array ``[B, N]``
    random : int64 array ``[N]``
        Not used.

    Returns
    -------
    state : dict of int64 array ``[B, N]``
    spikes : bool array ``[B, N]``
    """
    p = parameters
    started = state["started"] != 0
    membrane = np.where(started, state["membrane"], p["initial_membrane"])
    recovery = np.where(started, state["recovery"], p["initial_recovery"])
    constant = p["drive"] + p["bias"] if model.bias_bits else p["drive"]
    total = (synaptic_sum << model.input_shift) + constant
    spikes = np.zeros(membrane.shape, np.bool_)

    to_leak = LEAK_FRACTION + POTENTIAL_FRACTION - model.membrane_fraction
    to_membrane = model.recovery_fraction - model.membrane_fraction
    to_current = COUPLING_FRACTION + POTENTIAL_FRACTION - CURRENT_FRACTION
    to_recovery = RATE_FRACTION + CURRENT_FRACTION - model.recovery_fraction
    half = 1 << (to_recovery - 1)
    for _ in range(model.substeps):
        potential = membrane >> (model.membrane_bits - OPERAND_BITS)
        current = recovery >> (model.recovery_bits - OPERAND_BITS)
        leak = (potential * p["leak"]) >> to_leak
        growth = power_of_two(model, potential) - leak - (recovery >> to_membrane)
        integrated = saturate(membrane + growth + total, model.membrane_bits)
        difference = saturate(((potential * p["coupling"]) >> to_current) - current, OPERAND_BITS)
        adapted = saturate(recovery + ((difference * p["rate"] + half) >> to_recovery), model.recovery_bits)
        fire = integrated > p["peak"]
        membrane = np.where(fire, p["reset"], integrated)
        recovery = np.where(fire, saturate(adapted + p["increment"], model.recovery_bits), adapted)
        spikes |= fire
    return {"membrane": membrane, "recovery": recovery, "started": np.ones_like(state["started"])}, spikes
