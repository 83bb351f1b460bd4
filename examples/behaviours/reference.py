"""Floating-point reference of the twenty behaviours: the recurrence of figure1.m (Izhikevich 2004)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.examples.behaviours.stimuli import SUBSTEPS, TICK, Behaviour, FloatArray

PEAK = 30.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one behaviour did.

    Parameters
    ----------
    times : float array ``[ticks]``
        Start of each tick (ms).
    spikes : float array
        Times of the ticks with a spike (ms).
    potential : float array ``[ticks]``
        Potential after each tick (mV).
    """

    times: FloatArray
    spikes: FloatArray
    potential: FloatArray


def grid(behaviour: Behaviour, robust: bool) -> tuple[FloatArray, FloatArray, int]:
    """Times and currents of all ticks, and the sub-steps of a tick."""
    if robust:
        times = np.arange(round(behaviour.duration / TICK), dtype=np.float64) * TICK
        return times, behaviour.robust(times), SUBSTEPS
    times = np.arange(round(behaviour.duration / behaviour.dt) + 1, dtype=np.float64) * behaviour.dt
    return times, behaviour.original(times), 1


def parameters(behaviour: Behaviour, robust: bool) -> tuple[float, float]:
    """``a`` and ``d``, which differ between the two sets in panel T."""
    a = behaviour.robust_a if robust and behaviour.robust_a is not None else behaviour.a
    d = behaviour.robust_d if robust and behaviour.robust_d is not None else behaviour.d
    return a, d


def simulate(behaviour: Behaviour, robust: bool) -> Run:
    """One behaviour in float64: ``v`` first, then ``u`` with the new ``v`` (overshoot included), then the reset."""
    times, current, substeps = grid(behaviour, robust)
    h = (TICK if robust else behaviour.dt) / substeps
    p = behaviour
    a, d = parameters(p, robust)
    v = p.v_init
    u = p.b * v if p.u_init is None else p.u_init
    fired = np.zeros(len(times), np.bool_)
    potential = np.zeros(len(times))
    for tick, i in enumerate(current.tolist()):
        for _ in range(substeps):
            v += h * (0.04 * v * v + p.k1 * v + p.k0 - u + i)
            u += h * a * (p.b * (v + 65) if p.accommodation else p.b * v - u)
            if v > PEAK:
                v, u, fired[tick] = p.c, u + d, True
        potential[tick] = v
    return Run(times, times[fired], potential)
