"""The twenty behaviours: parameters and stimuli.

Source: figure1.m of E. M. Izhikevich, "Which model to use for cortical spiking neurons?" (2004), as carried by OpenSourceBrain. Four of
its stimuli (I, M, N, Q) lie within 0.5 % of the edge at which the behaviour is lost; ``original`` has them scaled away from it. ``robust``
has the same stimuli on a 1-ms tick, with amplitudes in the middle of the interval in which the behaviour is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Stimulus = Callable[[FloatArray], FloatArray]

#: Tick of the robust set (ms), and its sub-steps.
TICK, SUBSTEPS = 1.0, 4


def pulses(amplitude: float, *intervals: tuple[float, float], rest: float = 0.0) -> Stimulus:
    """``amplitude`` strictly inside the intervals (ms), ``rest`` elsewhere."""

    def current(time: FloatArray) -> FloatArray:
        inside = np.zeros(time.shape, np.bool_)
        for start, stop in intervals:
            inside |= (time > start) & (time < stop)
        return np.where(inside, amplitude, rest)

    return current


def step(amplitude: float, onset: float) -> Stimulus:
    """``amplitude`` after ``onset`` (ms)."""
    return pulses(amplitude, (onset, np.inf))


def ramp(slope: float, onset: float, rest: float = 0.0) -> Stimulus:
    """``rest``, and from ``onset`` (ms) a rise by ``slope`` per ms."""
    return lambda time: rest + slope * np.maximum(time - onset, 0)


def total(*parts: Stimulus) -> Stimulus:
    """Sum of stimuli."""
    return lambda time: np.sum([part(time) for part in parts], axis=0)


def ticks(amplitude: float, *starts: int, length: int, rest: float = 0.0) -> Stimulus:
    """``amplitude`` during ``length`` ticks of 1 ms from each start."""
    return pulses(amplitude, *((start - 0.5, start + length - 0.5) for start in starts), rest=rest)


def accommodation_ramps(factor: float) -> Stimulus:
    """A slow ramp for 200 ms, and a fast one of half its height at 300 ms."""

    def current(time: FloatArray) -> FloatArray:
        fast = np.where((time >= 300) & (time < 312.5), (time - 300) / 12.5 * 4, 0.0)
        return factor * np.where(time < 200, time / 25, fast)

    return current


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """One behaviour.

    Parameters
    ----------
    letter, name : str
        Panel of figure 1, and what it shows.
    a, b, c, d : float
        Published parameters (1/ms, 1, mV, mV).
    v_init : float
        Initial potential (mV).
    u_init : float or None
        Initial recovery variable; None is ``b v_init``.
    k1, k0 : float
        Coefficients of ``dv/dt = 0.04 v^2 + k1 v + k0 - u + I``.
    accommodation : bool
        Panel R: ``du/dt = a b (v + 65)``.
    rest : float
        Part of both stimuli that never stops.
    dt : float
        Step of the panel (ms).
    duration : float
        Length of the panel (ms).
    original : Stimulus
        Current against the time in ms, with the panel's own step.
    robust : Stimulus
        Current against the time in ms, constant over ticks of 1 ms.
    robust_a, robust_d : float or None
        Parameters that differ in the robust set.
    """

    letter: str
    name: str
    a: float
    b: float
    c: float
    d: float
    v_init: float
    u_init: float | None = None
    k1: float = 5.0
    k0: float = 140.0
    accommodation: bool = False
    rest: float = 0.0
    dt: float = 0.25
    duration: float
    original: Stimulus
    robust: Stimulus
    robust_a: float | None = None
    robust_d: float | None = None


BEHAVIOURS = (
    Behaviour(
        letter="A", name="tonic spiking", a=0.02, b=0.2, c=-65, d=6, v_init=-70, duration=100,
        original=step(14, 10), robust=step(17, 9.5),
    ),
    Behaviour(
        letter="B", name="phasic spiking", a=0.02, b=0.25, c=-65, d=6, v_init=-64, duration=200,
        original=step(0.5, 20), robust=step(0.53, 19.5),
    ),
    Behaviour(
        letter="C", name="tonic bursting", a=0.02, b=0.2, c=-50, d=2, v_init=-70, duration=220,
        original=step(15, 22), robust=step(13, 21.5),
    ),
    Behaviour(
        letter="D", name="phasic bursting", a=0.02, b=0.25, c=-55, d=0.05, v_init=-64, dt=0.2, duration=200,
        original=step(0.6, 20), robust=step(0.52, 19.5),
    ),
    Behaviour(
        letter="E", name="mixed mode", a=0.02, b=0.2, c=-55, d=4, v_init=-70, duration=160,
        original=step(10, 16), robust=step(10, 15.5),
    ),
    Behaviour(
        letter="F", name="spike frequency adaptation", a=0.01, b=0.2, c=-65, d=8, v_init=-70, duration=85,
        original=step(30, 8.5), robust=step(20, 8.5),
    ),
    Behaviour(
        letter="G", name="class 1 excitable", a=0.02, b=-0.1, c=-55, d=6, v_init=-60, duration=300, k1=4.1, k0=108,
        original=ramp(0.075, 30), robust=ramp(0.085, 30),
    ),
    Behaviour(
        letter="H", name="class 2 excitable", a=0.2, b=0.26, c=-65, d=0, v_init=-64, rest=-0.5, duration=300,
        original=ramp(0.015, 30, rest=-0.5), robust=ramp(0.012, 30, rest=-0.5),
    ),
    Behaviour(
        letter="I", name="spike latency", a=0.02, b=0.2, c=-65, d=6, v_init=-70, dt=0.2, duration=100,
        original=pulses(7.04 * 1.03, (10, 13)), robust=ticks(6.9, 10, length=3),
    ),
    Behaviour(
        letter="J", name="subthreshold oscillation", a=0.05, b=0.26, c=-60, d=0, v_init=-62, duration=200,
        original=pulses(2, (20, 25)), robust=ticks(2.5, 20, length=5),
    ),
    Behaviour(
        letter="K", name="resonator", a=0.1, b=0.26, c=-60, d=-1, v_init=-62, duration=400,
        original=pulses(0.65, (40, 44), (60, 64), (280, 284), (320, 324)), robust=ticks(0.62, 40, 60, 280, 320, length=4),
    ),
    Behaviour(
        letter="L", name="integrator", a=0.02, b=-0.1, c=-55, d=6, v_init=-60, duration=100, k1=4.1, k0=108,
        original=pulses(9, (9.09, 11.09), (14.09, 16.09), (70, 72), (80, 82)), robust=ticks(10, 9, 14, 70, 80, length=2),
    ),
    Behaviour(
        letter="M", name="rebound spike", a=0.03, b=0.25, c=-60, d=4, v_init=-64, dt=0.2, duration=200,
        original=pulses(-15 * 1.05, (20, 25)), robust=ticks(-24, 20, length=5),
    ),
    Behaviour(
        letter="N", name="rebound burst", a=0.03, b=0.25, c=-52, d=0, v_init=-64, dt=0.2, duration=200,
        original=pulses(-15 * 1.05, (20, 25)), robust=ticks(-24, 20, length=5),
    ),
    Behaviour(
        letter="O", name="threshold variability", a=0.03, b=0.25, c=-60, d=4, v_init=-64, duration=100,
        original=total(pulses(1, (10, 15), (80, 85)), pulses(-6, (70, 75))),
        robust=total(ticks(0.95, 10, 80, length=5), ticks(-6, 70, length=5)),
    ),
    Behaviour(
        letter="P", name="bistability", a=0.1, b=0.26, c=-60, d=0, v_init=-61, rest=0.24, duration=300,
        original=pulses(1.24, (37.5, 42.5), (216, 221), rest=0.24),
        robust=total(ticks(1.24, 38, length=5, rest=0.24), ticks(0.95, 216, length=4)),
    ),
    Behaviour(
        letter="Q", name="depolarising after-potential", a=1, b=0.2, c=-60, d=-21, v_init=-70, dt=0.1, duration=50,
        original=pulses(20 * 1.015, (9, 11)), robust=ticks(22, 9, length=2),
    ),
    Behaviour(
        letter="R", name="accommodation", a=0.02, b=1, c=-55, d=4, v_init=-65, u_init=-16, accommodation=True, dt=0.5, duration=400,
        original=accommodation_ramps(1), robust=accommodation_ramps(0.9),
    ),
    Behaviour(
        letter="S", name="inhibition-induced spiking", a=-0.02, b=-1, c=-60, d=8, v_init=-63.8, rest=80, dt=0.5, duration=350,
        original=pulses(75, (49.9, 250.1), rest=80), robust=ticks(80 - 3.6, 50, length=200, rest=80),
    ),
    Behaviour(
        letter="T", name="inhibition-induced bursting", a=-0.026, b=-1, c=-45, d=-2, v_init=-63.8, rest=80, dt=0.5, duration=350,
        original=pulses(75, (49.9, 250.1), rest=80), robust=ticks(80 - 6.5, 50, length=200, rest=80), robust_a=-0.02, robust_d=-1,
    ),
)  # fmt: skip
