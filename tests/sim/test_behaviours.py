"""The twenty behaviours on one core: the hardware shows them, and computes what the golden model computes."""

from __future__ import annotations

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.examples.behaviours.checks import CHECKS
from spikeloom.examples.behaviours.network import Case, make_case
from spikeloom.examples.behaviours.stimuli import BEHAVIOURS
from spikeloom.sim.verify import lockstep

#: Ticks of the runs on other geometries: all but K have begun by then.
TICKS = 120


@pytest.fixture(scope="module")
def case() -> Case:
    return make_case(BEHAVIOURS, True, Izhikevich())


def test_hardware_shows_all_twenty(case: Case) -> None:
    with spikeloom.open("rtl", case.image) as chip:
        runs = case.runs(chip)
    assert [letter for letter, run in sorted(runs.items()) if not CHECKS[letter](run)] == []
    assert sum(len(run.spikes) for run in runs.values()) == 121


def test_lockstep_of_all_twenty(case: Case) -> None:
    proof = lockstep(case.image, case.spikes)
    assert proof.mismatch is None
    assert (proof.ticks, proof.spikes) == (400, 121)


@pytest.mark.parametrize(("multipliers", "lanes", "pipelines"), [(3, 8, 2), (12, 1, 1)])
def test_what_only_costs_time_changes_no_bit(case: Case, multipliers: int, lanes: int, pipelines: int) -> None:
    other = make_case(BEHAVIOURS, True, Izhikevich(multipliers=multipliers), lanes=lanes, pipelines=pipelines)
    assert np.array_equal(other.spikes, case.spikes)
    with spikeloom.open("golden", case.image) as chip:
        expected = case.runs(chip, TICKS)
    with spikeloom.open("golden", other.image) as golden, spikeloom.open("rtl", other.image) as rtl:
        assert other.runs(golden, TICKS).keys() == expected.keys()
        runs = other.runs(rtl, TICKS)
        # The recovery variables at the end depend on all those before.
        for name, values in golden.state().items():
            assert np.array_equal(values, rtl.state()[name]), name
    for letter, run in expected.items():
        assert np.array_equal(run.spikes, runs[letter].spikes), letter
        assert np.array_equal(run.potential, runs[letter].potential), letter
