"""The behaviours as neurons of one core: currents as spikes, and the golden core equal to the golden neuron."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.examples.behaviours.checks import integer_currents, simulate_golden
from spikeloom.examples.behaviours.gallery import equal, run_all, totals
from spikeloom.examples.behaviours.network import active, make_cases, powers
from spikeloom.examples.behaviours.stimuli import BEHAVIOURS


@pytest.mark.parametrize(
    ("low", "high", "weights"),
    [(0, 0, [1]), (0, 1, [1]), (0, 5, [1, 2, 4]), (-1, 0, [1, -2]), (-8, 7, [1, 2, 4, -8]), (-9, 0, [1, 2, 4, 8, -16])],
)
def test_axons_of_a_range_reach_every_current(low: int, high: int, weights: list[int]) -> None:
    currents = np.arange(low, high + 1)
    assert powers(currents).tolist() == weights
    assert (active(currents, powers(currents)) @ powers(currents) == currents).all()


@pytest.mark.parametrize("robust", [True, False])
def test_golden_core_equals_golden_neuron(robust: bool) -> None:
    """With the same integer currents: the axons' weights are exact."""
    widths = Izhikevich()
    seen = ""
    for case in make_cases(robust, widths):
        with spikeloom.open("golden", case.image) as chip:
            runs = case.runs(chip)
        for behaviour in case.behaviours:
            expected, got = simulate_golden(behaviour, robust, widths), runs[behaviour.letter]
            assert np.array_equal(expected.times, got.times), behaviour.letter
            assert np.array_equal(expected.spikes, got.spikes), behaviour.letter
            assert np.array_equal(expected.potential, got.potential), behaviour.letter
            seen += behaviour.letter
    assert "".join(sorted(seen)) == "ABCDEFGHIJKLMNOPQRST"


def test_robust_set_is_one_core_with_a_parameter_set_for_each() -> None:
    (case,) = make_cases(True, Izhikevich())
    core = case.image.config.cores[0]
    assert (core.neurons, core.sets, core.weight_bits, case.spikes.shape) == (20, 20, 16, (400, 212))
    assert case.image.notes["warnings"] == []


def test_original_set_has_a_core_for_each_step() -> None:
    cases = make_cases(False, Izhikevich())
    assert [(case.dt, case.model.step_exponent, case.model.substeps) for case in cases] == [
        (0.1, 3, 1),
        (0.2, 2, 1),
        (0.25, 2, 1),
        (0.5, 1, 1),
    ]


def test_what_never_stops_is_a_constant_current() -> None:
    for behaviour in BEHAVIOURS:
        currents = integer_currents(behaviour, True, Izhikevich(input_shift=0))
        assert currents[:9].tolist() == [0] * 9 or behaviour.letter == "R", behaviour.letter


def test_totals_without_hardware() -> None:
    results, figures = run_all(True, Izhikevich(), rtl=False)
    data = totals(results, figures)
    assert data["passed"] == {"float": 20, "golden": 20}
    assert (data["count_error"], data["worst_shift_ms"], data["worst_shift_of"]) == (0, 3, "D")
    assert "rtl_equal" not in data
    assert not equal(results, figures)  # nothing was shown


def test_command(tmp_path) -> None:
    command = [sys.executable, "-m", "spikeloom.examples.behaviours", "--no-rtl", "-o", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Checks passed: float 20 of 20, golden 20 of 20." in done.stdout
    assert len(json.loads((tmp_path / "behaviours.json").read_text())["behaviours"]) == 20
    assert (tmp_path / "behaviours.png").read_bytes()[:4] == b"\x89PNG"
