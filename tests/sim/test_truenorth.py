"""Behaviours of single TrueNorth neurons: the paper's equations, golden model and generated hardware have the same spikes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.image import LoadableImage
from spikeloom.examples.truenorth.behaviours import (
    BEHAVIOURS,
    TICKS,
    Behaviour,
    core_config,
    expected,
    make_image,
    ramp,
    regular,
    stimuli,
    ticks_of,
)
from spikeloom.hdl.fabric import ICE40_ULTRAPLUS
from spikeloom.sim.verify import lockstep
from tests.golden.test_lif import truenorth_tick
from tests.sim.geometries import poisoned

#: The ticks of the first spikes as they were found with the equations alone.
FOUND = {
    "tonic spiking": [26, 33, 40],
    "phasic spiking": [30],
    "spike latency": [80],
    "integrator": [23],
    "class 1 excitable": [52, 60, 65, 73],
    "rebound spike": [54],
    "rebound burst": [38, 40, 42],
    "threshold variability": [109],
    "bistability": [20, 21, 29, 37],
    "accommodation": [152],
    "inhibition-induced spiking": [50, 54, 58],
}


@pytest.fixture(scope="module")
def image() -> LoadableImage:
    return make_image()


def _transcribed(behaviour: Behaviour) -> list[int]:
    """Spike ticks by the equations of the paper."""
    symbols = {"leak": 0, "mask": 0, "stochastic_leak": 0} | behaviour.neuron
    potential, ticks = 0, []
    for tick in range(TICKS):
        total = behaviour.excitatory * (tick in behaviour.excitation) + behaviour.inhibitory * (tick in behaviour.inhibition)
        potential, fired = truenorth_tick(symbols, potential, total, 0, 0)
        if fired:
            ticks.append(tick)
    return ticks


def test_stimuli_are_regular() -> None:
    assert regular(0.3, 20, 39) == (23, 26, 29, 33, 36, 39)
    assert regular(1.0, 5, 8) == (5, 6, 7, 8)
    # 0.002 (1 + 2 + ... + n) passes 1 with n = 32: 1.056.
    assert ramp(0.002, 20)[0] == 52


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_equations_of_the_paper_have_the_spikes_of_the_table(behaviour: Behaviour) -> None:
    found = FOUND[behaviour.name]
    assert _transcribed(behaviour) == list(behaviour.spikes)
    assert list(behaviour.spikes[: len(found)]) == found


def test_golden_model_has_the_spikes_of_the_table(image: LoadableImage) -> None:
    with spikeloom.open("golden", image) as chip:
        out = chip.run(stimuli())
    got = {behaviour.name: ticks.tolist() for behaviour, ticks in zip(BEHAVIOURS, ticks_of(out), strict=True)}
    assert got == {behaviour.name: list(behaviour.spikes) for behaviour in BEHAVIOURS}
    assert (out == expected()).all()


def test_every_neuron_is_silent_without_input(image: LoadableImage) -> None:
    with spikeloom.open("golden", image) as chip:
        assert not chip.run(np.zeros_like(stimuli())).any()


def test_hardware_follows_the_golden_model_tick_by_tick(image: LoadableImage) -> None:
    proof = lockstep(image, stimuli())
    assert proof.mismatch is None
    assert (proof.ticks, proof.spikes) == (TICKS, int(expected().sum()))


def test_what_only_costs_time_changes_no_spike() -> None:
    other = make_image(core_config(lanes=16, pipelines=4))
    proof = lockstep(other, stimuli(), fabric=poisoned(ICE40_ULTRAPLUS))
    assert proof.mismatch is None
    assert proof.spikes == int(expected().sum())


def test_example_prints_a_table_and_writes_a_picture(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spikeloom.examples.truenorth", "-o", str(tmp_path), "--no-rtl"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for behaviour in BEHAVIOURS:
        assert behaviour.name in done.stdout
    assert " no " not in done.stdout
    assert (tmp_path / "truenorth.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
