from __future__ import annotations

import numpy as np
import pytest

from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.examples.behaviours.checks import CHECKS, Comparison, bursts, compare, simulate_golden
from spikeloom.examples.behaviours.reference import PEAK, Run, grid, simulate
from spikeloom.examples.behaviours.stimuli import BEHAVIOURS, Behaviour

LETTERS = "ABCDEFGHIJKLMNOPQRST"


def by_letter(letter: str) -> Behaviour:
    return BEHAVIOURS[LETTERS.index(letter)]


def count_error(rows: list[Comparison]) -> int:
    return sum(abs(row.float_spikes - row.golden_spikes) for row in rows)


def test_there_are_twenty_with_a_check_each() -> None:
    assert [behaviour.letter for behaviour in BEHAVIOURS] == list(LETTERS) == list(CHECKS)
    assert len({behaviour.name for behaviour in BEHAVIOURS}) == 20


# Floating point and golden ---------------------------------------------------------------------------------------------


def test_robust_set() -> None:
    rows = compare(robust=True)
    assert all(row.float_passed for row in rows)
    assert [row.letter for row in rows if not row.golden_passed] == []
    assert sum(row.float_spikes for row in rows) == 121
    assert count_error(rows) == 0
    assert max(row.max_shift for row in rows) == 3.0


def test_robust_set_with_16_bit_multipliers() -> None:
    rows = compare(robust=True, widths=Izhikevich(multiplier_bits=16))
    assert [row.letter for row in rows if not row.golden_passed] == []
    assert count_error(rows) == 1
    assert max(row.max_shift for row in rows) == 5.0


def test_original_set() -> None:
    """Published parameters, and the steps of the panels. Some spikes of panel T overshoot the range of the potential."""
    rows = compare(robust=False)
    assert all(row.float_passed for row in rows)
    assert [row.letter for row in rows if not row.golden_passed] == []
    assert sum(row.float_spikes for row in rows) == 111
    assert {row.letter for row in rows if row.float_spikes != row.golden_spikes} == {"T"}
    assert count_error(rows) == 2
    assert max(row.max_shift for row in rows if row.letter != "T") == 3.0
    assert max(row.max_shift for row in rows) == 5.5


def test_original_set_with_16_bit_multipliers() -> None:
    rows = compare(robust=False, widths=Izhikevich(multiplier_bits=16))
    assert [row.letter for row in rows if not row.golden_passed] == []
    assert count_error(rows) == 4
    assert max(row.max_shift for row in rows) == 6.0


def test_panel_t_differs_by_its_overshoot_alone() -> None:
    """Floating point with the potential cut at the end of the integers' range has the very spikes of the golden model."""
    behaviour = by_letter("T")
    times, current, _ = grid(behaviour, robust=False)
    v, u, spikes = behaviour.v_init, behaviour.b * behaviour.v_init, []
    for time, i in zip(times.tolist(), current.tolist(), strict=True):
        v = min(v + behaviour.dt * (0.04 * v * v + 5 * v + 140 - u + i), 137.5)
        u += behaviour.dt * behaviour.a * (behaviour.b * v - u)
        if v > PEAK:
            v, u = behaviour.c, u + behaviour.d
            spikes.append(time)
    assert simulate_golden(behaviour, False, Izhikevich()).spikes.tolist() == spikes


# The checks ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {behaviour.letter: simulate(behaviour, robust=True) for behaviour in BEHAVIOURS}


def altered(run: Run, spikes: list[float]) -> Run:
    return Run(run.times, np.array(spikes), run.potential)


@pytest.mark.parametrize("letter", LETTERS)
def test_no_check_accepts_silence_or_steady_firing_throughout(letter: str, runs: dict[str, Run]) -> None:
    run = runs[letter]
    assert not CHECKS[letter](altered(run, []))
    assert not CHECKS[letter](altered(run, np.arange(5.0, run.times[-1], 10).tolist()))


@pytest.mark.parametrize("letter", LETTERS)
def test_no_check_accepts_a_spike_before_the_stimulus(letter: str, runs: dict[str, Run]) -> None:
    assert not CHECKS[letter](altered(runs[letter], [1.0, *runs[letter].spikes]))


@pytest.mark.parametrize("letter", "BDIJKLMNOQPS")
def test_what_should_be_silent_at_the_end_must_be(letter: str, runs: dict[str, Run]) -> None:
    run = runs[letter]
    assert not CHECKS[letter](altered(run, [*run.spikes, float(run.times[-1])]))


@pytest.mark.parametrize("letter", "ACEFGHNPST")
def test_more_than_the_first_spike_is_wanted(letter: str, runs: dict[str, Run]) -> None:
    run = runs[letter]
    assert CHECKS[letter](run)
    assert not CHECKS[letter](altered(run, run.spikes[:1].tolist()))


def test_the_wrong_doublet(runs: dict[str, Run]) -> None:
    assert not CHECKS["K"](altered(runs["K"], [78.0]))
    assert not CHECKS["L"](altered(runs["L"], [84.0]))


def test_a_ring_down_is_wanted(runs: dict[str, Run]) -> None:
    run = runs["J"]
    flat = np.where(run.times > run.spikes[0] + 15, run.potential[-1], run.potential)
    assert not CHECKS["J"](Run(run.times, run.spikes, flat))


def test_an_after_potential_is_wanted(runs: dict[str, Run]) -> None:
    run = runs["Q"]
    flat = np.where(run.times > run.spikes[0], run.potential[0], run.potential)
    assert not CHECKS["Q"](Run(run.times, run.spikes, flat))


def test_class_1_and_class_2_are_told_apart(runs: dict[str, Run]) -> None:
    assert not CHECKS["G"](runs["H"])
    assert not CHECKS["H"](runs["G"])


def test_bursts() -> None:
    assert bursts(np.array([])) == []
    assert bursts(np.array([5.0])) == [1]
    assert bursts(np.array([1.0, 2, 3])) == [3]
    assert bursts(np.array([1.0, 2, 3, 40, 41, 90])) == [3, 2, 1]


# Stimuli ---------------------------------------------------------------------------------------------------------------


def test_pulses_lie_strictly_inside_their_interval() -> None:
    times, current, substeps = grid(by_letter("J"), robust=False)
    assert substeps == 1
    assert times[current > 0].min() == 20.25
    assert times[current > 0].max() == 24.75


def test_robust_pulses_last_whole_ticks() -> None:
    times, current, substeps = grid(by_letter("K"), robust=True)
    assert substeps == 4
    assert times[current > 0].tolist() == [start + n for start in (40, 60, 280, 320) for n in range(4)]
    times, current, _ = grid(by_letter("P"), robust=True)
    assert (current >= 0.24).all()
    assert times[current > 0.25].tolist() == [38, 39, 40, 41, 42, 216, 217, 218, 219]


def test_accommodation_has_a_slow_and_a_fast_ramp() -> None:
    times, current, _ = grid(by_letter("R"), robust=True)
    assert current[times == 100] == pytest.approx(0.9 * 4)
    assert current[times == 250] == 0
    assert current[times == 310] == pytest.approx(0.9 * 3.2)
    assert current[times == 313] == 0
