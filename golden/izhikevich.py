"""Izhikevich neuron: golden model of one tick. Described in ``docs/izhikevich.md``.

Forward Euler of ``dv/dt = 0.04 v^2 + k1 v + k0 - u + I``, ``du/dt = a (b v - u)`` (Izhikevich 2003, 2004) in normal form, the new
potential first.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import IntArray
from spikeloom.golden.fixed import saturate
from spikeloom.golden.neuron import BoolArray, State


def izhikevich_step(
    model: Izhikevich,
    parameters: Mapping[str, IntArray],
    state: Mapping[str, IntArray],
    synaptic_sum: IntArray,
    random: IntArray,
) -> tuple[State, BoolArray]:
    """One tick of N neurons, for B samples at once; see :class:`spikeloom.golden.neuron.Step`.

    The steps, in order; every shift rounds down, all arithmetic is exact except where ``saturate`` stands:

    0. W, U of a neuron that has not started are ``initial_membrane``, ``initial_recovery``;
       ``X = saturate(synaptic_sum * 2**input_shift + constant + bias)``

    then ``substeps`` times:

    1. ``q = (W >> P)^2 >> (S - 2 P)``
    2. ``Wn = W + q - (U >> G) + X``
    3. fire if ``Wn > threshold``
    4. ``Ws = saturate(Wn)``
    5. ``e = saturate((coupling * (Ws >> P) >> coupling_shift) - decay * (U >> (G - E)) + offset)``
    6. ``U = saturate(U + round_half_up(rate * (e >> P) / 2**rate_shift))``
    7. after a spike ``W = reset`` and ``U = saturate(U + jump)``; otherwise ``W = Ws``

    Parameters
    ----------
    model : Izhikevich
        Widths; W, X and e have ``membrane_bits``, U has ``recovery_bits``.
    parameters : dict of int64 array ``[N]``
    state : dict of int64 array ``[B, N]``
    synaptic_sum : int64 array ``[B, N]``
    random : int64 array ``[N]``
        Not used.

    Returns
    -------
    state : dict of int64 array ``[B, N]``
    spikes : bool array ``[B, N]``
        Fired in any sub-step.
    """
    p = parameters
    dropped, guard, half = model.dropped_bits, model.recovery_fraction, 1 << (model.rate_shift - 1)
    started = state["started"] == 1
    w = np.where(started, state["membrane"], p["initial_membrane"])
    u = np.where(started, state["recovery"], p["initial_recovery"])
    drive = (synaptic_sum << model.input_shift) + p["constant"]
    if model.bias_bits:
        drive = drive + p["bias"]
    drive = saturate(drive, model.membrane_bits)
    spikes = np.zeros(w.shape, np.bool_)
    for _ in range(model.substeps):
        square = (w >> dropped) ** 2 >> (model.square_shift - 2 * dropped)
        exact = w + square - (u >> guard) + drive
        fire = exact > p["threshold"]
        potential = saturate(exact, model.membrane_bits)
        pull = p["coupling"] * (potential >> dropped) >> model.coupling_shift
        decay = np.where(p["decay"] == 1, u >> (guard - model.error_fraction), 0)
        error = saturate(pull - decay + p["offset"], model.membrane_bits)
        change = (p["rate"] * (error >> dropped) + half) >> model.rate_shift
        u = saturate(u + change, model.recovery_bits)
        w = np.where(fire, p["reset"], potential)
        u = np.where(fire, saturate(u + p["jump"], model.recovery_bits), u)
        spikes |= fire
    return {"membrane": w, "recovery": u, "started": np.ones_like(w)}, spikes
