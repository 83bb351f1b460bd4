"""Automatic checks of the twenty behaviours, and the comparison of the golden model with the floating-point reference.

A check says what one sees in a panel of figure 1 as a condition on spike times and potential.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import IntArray
from spikeloom.examples.behaviours.reference import PEAK, Run, grid, parameters, simulate
from spikeloom.examples.behaviours.stimuli import BEHAVIOURS, Behaviour, FloatArray
from spikeloom.golden.izhikevich import izhikevich_step
from spikeloom.network.izhikevich import IzhikevichCell

#: Ratio of first to last interval that separates class 1 (firing that starts slow) from class 2, under the ramps of panels G and H.
CLASS_RATIO = 2.3


def bursts(spikes: FloatArray) -> list[int]:
    """Spikes per burst. Bursts are separated by intervals above half the longest one, if that is at least three times the shortest."""
    if len(spikes) < 2:
        return [len(spikes)] * len(spikes)
    intervals = np.diff(spikes)
    if intervals.max() < 3 * intervals.min():
        return [len(spikes)]
    ends = np.flatnonzero(intervals > intervals.max() / 2) + 1
    return [len(part) for part in np.split(spikes, ends)]


def within(spikes: FloatArray, start: float, stop: float) -> bool:
    """Whether all spikes lie from ``start`` to ``stop`` (ms)."""
    return bool(((spikes >= start) & (spikes <= stop)).all())


def regular(spikes: FloatArray, least: int) -> bool:
    """At least so many spikes, with intervals that vary by less than a third."""
    intervals = np.diff(spikes)
    return len(spikes) >= least and bool(intervals.max() < 1.34 * intervals.min())


def tonic_spiking(run: Run) -> bool:
    """Single spikes up to the end, regular once the initial transient is over."""
    return within(run.spikes, 10, 100) and regular(run.spikes[-3:], 3) and run.spikes[-1] > 70


def phasic_spiking(run: Run) -> bool:
    """One spike, soon after the onset."""
    return len(run.spikes) == 1 and within(run.spikes, 20, 60)


def tonic_bursting(run: Run) -> bool:
    """At least three bursts of two or more spikes, up to the end."""
    counts = bursts(run.spikes)
    return within(run.spikes, 22, 220) and len(counts) >= 3 and min(counts[:-1]) >= 2 and run.spikes[-1] > 160


def phasic_bursting(run: Run) -> bool:
    """One burst, soon after the onset."""
    return len(run.spikes) >= 3 and within(run.spikes, 20, 100)


def mixed_mode(run: Run) -> bool:
    """A burst, then single spikes."""
    counts = bursts(run.spikes)
    return within(run.spikes, 16, 160) and len(counts) >= 4 and counts[0] >= 2 and set(counts[1:]) == {1}


def adaptation(run: Run) -> bool:
    """Intervals that grow."""
    intervals = np.diff(run.spikes)
    return len(intervals) >= 3 and bool((np.diff(intervals) >= -1).all()) and intervals[-1] > 1.5 * intervals[0]


def class_1(run: Run) -> bool:
    """Firing that starts slow and becomes fast."""
    intervals = np.diff(run.spikes)
    return within(run.spikes, 30, 300) and len(intervals) >= 4 and intervals[0] > 20 and intervals[0] > CLASS_RATIO * intervals[-1]


def class_2(run: Run) -> bool:
    """Firing that starts at almost its final rate."""
    intervals = np.diff(run.spikes)
    return within(run.spikes, 60, 300) and len(intervals) >= 5 and intervals[0] < CLASS_RATIO * intervals[-1]


def latency(run: Run) -> bool:
    """One spike, well after the end of the pulse at 13 ms."""
    return len(run.spikes) == 1 and within(run.spikes, 16, 100)


def subthreshold_oscillation(run: Run) -> bool:
    """One spike, then a potential that swings several times, less and less."""
    if len(run.spikes) != 1 or not within(run.spikes, 20, 45):
        return False
    late = run.potential[run.times > run.spikes[0] + 15]
    inner = late[1:-1]
    peaks = inner[(inner > late[:-2]) & (inner >= late[2:])]
    peaks = peaks[peaks > late[-1] + 0.02]
    return len(peaks) >= 3 and bool((np.diff(peaks[:3]) < 0).all())


def resonator(run: Run) -> bool:
    """Firing after the second pair of pulses, at the right distance, and only then."""
    return len(run.spikes) == 1 and within(run.spikes, 320, 360)


def integrator(run: Run) -> bool:
    """Firing after the first pair of pulses, close together, and only then."""
    return len(run.spikes) == 1 and within(run.spikes, 14, 30)


def rebound_spike(run: Run) -> bool:
    """One spike after the inhibition."""
    return len(run.spikes) == 1 and within(run.spikes, 25, 80)


def rebound_burst(run: Run) -> bool:
    """One burst after the inhibition."""
    return len(run.spikes) >= 3 and within(run.spikes, 25, 100)


def threshold_variability(run: Run) -> bool:
    """No spike from the first pulse; one from the same pulse after an inhibition."""
    return len(run.spikes) == 1 and within(run.spikes, 80, 95)


def bistability(run: Run) -> bool:
    """One pulse starts the firing, the other stops it."""
    return len(run.spikes) >= 5 and within(run.spikes, 37, 235)


def after_potential(run: Run) -> bool:
    """One spike, after which the potential stays above rest for a while, then falls back to it."""
    if len(run.spikes) != 1 or not within(run.spikes, 9, 14):
        return False
    rest = run.potential[run.times < 9][-1]
    after = run.potential[run.times > run.spikes[0] + 1]
    return bool(after.max() > rest + 5 and abs(after[-1] - rest) < 2)


def accommodation(run: Run) -> bool:
    """Firing upon the fast ramp only."""
    return len(run.spikes) >= 1 and within(run.spikes, 300, 325)


def induced_spiking(run: Run) -> bool:
    """Regular firing during inhibition only."""
    return regular(run.spikes, 3) and within(run.spikes, 50, 265)


def induced_bursting(run: Run) -> bool:
    """At least two bursts during inhibition, and no spike otherwise."""
    counts = bursts(run.spikes)
    return within(run.spikes, 50, 265) and len([count for count in counts if count >= 2]) >= 2


CHECKS: dict[str, Callable[[Run], bool]] = {
    "A": tonic_spiking,
    "B": phasic_spiking,
    "C": tonic_bursting,
    "D": phasic_bursting,
    "E": mixed_mode,
    "F": adaptation,
    "G": class_1,
    "H": class_2,
    "I": latency,
    "J": subthreshold_oscillation,
    "K": resonator,
    "L": integrator,
    "M": rebound_spike,
    "N": rebound_burst,
    "O": threshold_variability,
    "P": bistability,
    "Q": after_potential,
    "R": accommodation,
    "S": induced_spiking,
    "T": induced_bursting,
}


def cell(behaviour: Behaviour, robust: bool) -> IzhikevichCell:
    """Cell of a behaviour. The part of the stimulus that never stops is its constant current, so that it is rounded once with all others."""
    a, d = parameters(behaviour, robust)
    b = behaviour
    return IzhikevichCell(
        a=a,
        b=b.b,
        c=b.c,
        d=d,
        v_init=b.v_init,
        u_init=b.u_init,
        k1=b.k1,
        k0=b.k0,
        v_peak=PEAK,
        i_offset=b.rest,
        u_variant="accommodation" if b.accommodation else "standard",
    )


def model_of(behaviour: Behaviour, robust: bool, widths: Izhikevich) -> Izhikevich:
    """Model with the sub-steps of a behaviour; ``widths`` has the rest. The original set has one sub-step per tick."""
    if robust:
        return dataclasses.replace(widths, input_shift=0)
    exponent = math.floor(-math.log2(behaviour.dt))
    return dataclasses.replace(widths, input_shift=0, multipliers=1, substeps=1, step_exponent=exponent)


def integer_currents(behaviour: Behaviour, robust: bool, model: Izhikevich) -> IntArray:
    """Stimulus beyond the constant current for each tick, rounded to nearest in the unit of the synaptic sum, int64 array ``[ticks]``."""
    times, current, _ = grid(behaviour, robust)
    unit = cell(behaviour, robust).unit(model, float(times[1] - times[0]))
    return np.rint((current - behaviour.rest) / unit).astype(np.int64)


def simulate_golden(behaviour: Behaviour, robust: bool, widths: Izhikevich) -> Run:
    """One behaviour in the golden model, from the same currents as integers."""
    times, _, substeps = grid(behaviour, robust)
    dt = float(times[1] - times[0])
    model, kind = model_of(behaviour, robust, widths), cell(behaviour, robust)
    assert model.substeps == substeps
    sums = integer_currents(behaviour, robust, model)
    fields = kind.integers(model, 1, dt)
    state = {name: np.zeros((1, 1), np.int64) for name in ("membrane", "recovery", "started")}
    fired = np.zeros(len(times), np.bool_)
    membrane = np.zeros(len(times))
    for tick, total in enumerate(sums):
        state, spikes = izhikevich_step(model, fields, state, np.full((1, 1), total), np.zeros(1, np.int64))
        fired[tick] = spikes[0, 0]
        membrane[tick] = state["membrane"][0, 0]
    return Run(times, times[fired], membrane / kind.scale(model, dt) - behaviour.k1 / 0.08)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One behaviour in floating point and in the golden model.

    Parameters
    ----------
    letter, name : str
    float_passed, golden_passed : bool
        Whether the check of the behaviour holds.
    float_spikes, golden_spikes : int
    max_shift : float
        Largest time between the n-th spikes of the two (ms).
    """

    letter: str
    name: str
    float_passed: bool
    golden_passed: bool
    float_spikes: int
    golden_spikes: int
    max_shift: float


def comparison(behaviour: Behaviour, exact: Run, golden: Run) -> Comparison:
    """One behaviour in floating point and in integers."""
    check = CHECKS[behaviour.letter]
    pairs = min(len(exact.spikes), len(golden.spikes))
    return Comparison(
        letter=behaviour.letter,
        name=behaviour.name,
        float_passed=bool(check(exact)),
        golden_passed=bool(check(golden)),
        float_spikes=len(exact.spikes),
        golden_spikes=len(golden.spikes),
        max_shift=float(np.abs(exact.spikes[:pairs] - golden.spikes[:pairs]).max(initial=0.0)),
    )


def compare(robust: bool = True, widths: Izhikevich | None = None) -> list[Comparison]:
    """All twenty: with the robust stimuli on ticks of 1 ms, or with the original ones at the step of each panel."""
    widths = widths or Izhikevich()
    return [comparison(b, simulate(b, robust), simulate_golden(b, robust, widths)) for b in BEHAVIOURS]
