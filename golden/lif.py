"""Leaky integrate-and-fire neuron: golden model of one tick. Described in ``docs/lif.md``.

Forward Euler of ``tau dV/dt = (v_leak - V) + R I`` (NIR primitives LIF, LI, IF; Pedersen et al. 2024), with a synaptic current (CubaLIF),
Loihi's form of both (Davies et al. 2018), TrueNorth's leaks, thresholds and resets (Cassidy et al. 2013), and an adaptive threshold
(Bellec et al. 2020).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import NOISE_SHIFT, RETENTION_FRACTION, Lif, Reset
from spikeloom.arch.random import UNIT_BITS
from spikeloom.golden.fixed import saturate, shift_right_toward_zero, wrap

BoolArray = npt.NDArray[np.bool_]


def lif_step(
    model: Lif,
    parameters: Mapping[str, IntArray],
    state: Mapping[str, IntArray],
    synaptic_sum: IntArray,
    random: IntArray,
) -> tuple[dict[str, IntArray], BoolArray]:
    """One tick of N neurons, for B samples at once; see ``spikeloom.golden.neuron``.

    All arithmetic is exact except where a function of ``golden.fixed`` stands. V, I and A are potential, current and adaptation; what the
    model was generated without is left out.

    1. held if the refractory counter is not 0
    2. ``I = overflow(toward_zero(I * current_retention / 2**12) + synaptic_sum * 2**fraction_bits)``; without a current,
       ``I = synaptic_sum * 2**fraction_bits``
    3. ``X = toward_zero(V * retention / 2**12) + I + bias``
    4. linear leak: ``X = X + direction * amount``; direction is the sign of X with ``leak_reversal``, else 1; amount is ``leak`` or,
       stochastic, the sign of ``leak`` if ``abs(leak) >= random[7:0]``, else 0
    5. ``V1 = saturate(X, state_bits)``
    6. noise N is ``random[8 + threshold_noise_bits - 1 : 8] & noise_mask``; spike if ``V1 > threshold + A + N`` and not held
    7. after a spike ``V = reset``, ``V = wrap(V1 + reset - N)`` or ``V = V1``, as ``reset_mode`` says, and the counter is set to the
       refractory period
    8. otherwise, if ``V1 < L`` and not held, where L is ``negative_threshold``, less N unless ``negative_saturates``: V is
       ``negative_threshold`` if ``negative_saturates``; else ``wrap(-reset)``, ``V1 - L`` or ``V1``, as ``reset_mode`` says
    9. otherwise ``V = V1``; a held neuron keeps V, and its counter falls by one
    10. ``A = min(toward_zero(A * adaptation_retention / 2**12) + (adaptation_step after a spike), 2**adaptation_bits - 1)``
    """
    p = parameters
    zero = np.zeros_like(synaptic_sum)
    membrane, refractory = state["membrane"], state.get("refractory", zero)
    held = refractory > 0
    result: dict[str, IntArray] = {}

    drive = synaptic_sum << model.fraction_bits
    if model.current_bits:
        current = shift_right_toward_zero(state["current"] * p["current_retention"], RETENTION_FRACTION) + drive
        drive = wrap(current, model.current_bits) if model.current_wraps else saturate(current, model.current_bits)
        result["current"] = drive
    decayed = shift_right_toward_zero(membrane * p["retention"], RETENTION_FRACTION) if model.decay else membrane
    integrated: IntArray = decayed + drive + p.get("bias", np.int64(0))
    if model.leak_bits:
        amount = p["leak"]
        if model.stochastic_leak:
            unit = np.where(np.abs(p["leak"]) >= random & ((1 << UNIT_BITS) - 1), np.sign(p["leak"]), 0)
            amount = np.where(p["leak_stochastic"] == 1, unit, amount)
        direction: IntArray = np.where(p["leak_reversal"] == 1, np.sign(integrated), 1)
        integrated = integrated + direction * amount
    integrated = saturate(integrated, model.state_bits)

    noise = (random >> NOISE_SHIFT) & p["noise_mask"] if model.threshold_noise_bits else zero
    adaptation = state["adaptation"] if model.adaptation_bits else zero
    spikes = (integrated > p["threshold"] + adaptation + noise) & ~held

    mode = p.get("reset_mode", np.zeros_like(p["reset"]))
    choices = [mode == Reset.ABSOLUTE, mode == Reset.RELATIVE]
    after_spike = np.select(choices, [p["reset"] + zero, wrap(integrated + p["reset"] - noise, model.state_bits)], integrated)
    new_membrane = np.where(spikes, after_spike, integrated)
    if model.negative_threshold:
        saturates = p["negative_saturates"] == 1
        lower = np.where(saturates, p["negative_threshold"], p["negative_threshold"] - noise)
        undershot = (integrated < lower) & ~held & ~spikes
        mirrored = np.select(choices, [wrap(-p["reset"], model.state_bits) + zero, integrated - lower], integrated)
        new_membrane = np.where(undershot, np.where(saturates, p["negative_threshold"], mirrored), new_membrane)
    result["membrane"] = np.where(held, membrane, new_membrane)
    if model.refractory_bits:
        result["refractory"] = np.where(spikes, p["refractory"], np.maximum(refractory - 1, 0))
    if model.adaptation_bits:
        faded = shift_right_toward_zero(adaptation * p["adaptation_retention"], RETENTION_FRACTION)
        raised = faded + np.where(spikes, p["adaptation_step"], 0)
        result["adaptation"] = np.minimum(raised, (1 << model.adaptation_bits) - 1)
    return result, spikes
