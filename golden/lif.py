"""Leaky integrate-and-fire neuron: golden model of one tick. Described in ``docs/lif.md``.

Forward Euler of ``tau dV/dt = (v_leak - V) + R I`` (NIR primitives LIF, LI, IF; Pedersen et al. 2024), with
``retention = 2**12 (1 - dt/tau)`` and the constant part of the input in ``bias``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import RETENTION_FRACTION, CoreConfig
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import Reset
from spikeloom.golden.fixed import saturate, shift_right_toward_zero, wrap

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LifParameters:
    """Parameters of N neurons, each an int64 array of shape ``[N]``.

    ``retention`` is unsigned Q1.12; ``threshold``, ``reset`` and ``bias`` are in units of the membrane potential (``state_bits``
    signed, ``fraction_bits`` below the weight's LSB); ``refractory`` counts ticks; ``reset_mode`` is
    :class:`~spikeloom.arch.memory_map.Reset`.
    """

    retention: IntArray
    threshold: IntArray
    reset: IntArray
    reset_mode: IntArray
    refractory: IntArray
    bias: IntArray


def lif_step(
    config: CoreConfig,
    parameters: LifParameters,
    membrane: IntArray,
    refractory: IntArray,
    synaptic_sum: IntArray,
) -> tuple[IntArray, IntArray, BoolArray]:
    """One tick of N neurons, for B samples at once.

    The steps, in order (all arithmetic exact except where a function of ``golden.fixed`` stands):

    1. held if the refractory counter is not 0
    2. ``X = synaptic_sum * 2**fraction_bits + bias``
    3. ``D = toward_zero(V * retention / 2**12)``
    4. ``V1 = saturate(D + X, state_bits)`` (the one saturation)
    5. spike if ``V1 > threshold`` and not held
    6. after a spike ``V = reset`` or, with a relative reset, ``V = wrap(V1 + reset, state_bits)``, and the counter is set to the
       refractory period; otherwise ``V = V1``; a held neuron keeps V, its input is lost, and its counter falls by one

    Parameters
    ----------
    config : CoreConfig
        Widths.
    parameters : LifParameters
        Arrays ``[N]``.
    membrane, refractory, synaptic_sum : int64 arrays ``[B, N]``
        State before the tick, and the sum of the weights of the active axons.

    Returns
    -------
    membrane, refractory : int64 arrays ``[B, N]``
    spikes : bool array ``[B, N]``
    """
    p = parameters
    held = refractory > 0
    drive = (synaptic_sum << config.fraction_bits) + p.bias
    decayed = shift_right_toward_zero(membrane * p.retention, RETENTION_FRACTION)
    integrated = saturate(decayed + drive, config.state_bits)
    spikes = (integrated > p.threshold) & ~held
    after_reset = np.where(p.reset_mode == Reset.RELATIVE, wrap(integrated + p.reset, config.state_bits), p.reset)
    new_membrane = np.where(held, membrane, np.where(spikes, after_reset, integrated))
    new_refractory = np.where(spikes, p.refractory, np.maximum(refractory - 1, 0))
    assert new_membrane.dtype == np.int64
    assert new_refractory.dtype == np.int64
    return new_membrane, new_refractory, spikes
