"""The random campaign, bounded: `make fuzz` runs it for as long as one likes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from spikeloom.arch.lif import RESETS, Lif
from spikeloom.golden.lif import lif_step
from spikeloom.sim import fuzz

#: First geometry, and cases of each.
FIRST, GEOMETRIES, CASES = 710, 3, 25


def test_random_geometries_equal_golden():
    """3 geometries nobody chose, one of them a mesh, 25 cases each."""
    for number in range(FIRST, FIRST + GEOMETRIES):
        difference, ticks = fuzz.fuzz_geometry(number, CASES)
        assert difference is None, difference
        assert ticks == CASES * fuzz.TICKS


def test_random_geometries_visit_all_fabrics_lanes_weights_and_models():
    drawn = [fuzz.random_geometry(np.random.default_rng(number)) for number in range(300)]
    assert {fabric.name for _, fabric in drawn} == {"generic", "ice40", "ice40-up", "ecp5"}
    assert {config.lanes for config, _ in drawn} == {1, 2, 4, 8, 16, 32, 64}
    assert {config.weight_bits for config, _ in drawn} == {1, 2, 4, 8, 16}
    assert {model.NAME for config, _ in drawn for model in config.models} == {"lif", "izhikevich", "adex"}
    assert {len(config.models) for config, _ in drawn} == {1, 2, 3}
    assert {config.sets is None for config, _ in drawn} == {config.stochastic_synapses for config, _ in drawn} == {True, False}
    assert {model.resets for config, _ in drawn for model in config.models if isinstance(model, Lif)} == set(RESETS)
    assert {config.pipelines for config, _ in drawn} == {1, 2, 4, 8, 16}
    assert all(fabric.poison_collisions for _, fabric in drawn)
    assert {config.learning is None for config, _ in drawn} == {config.short_term for config, _ in drawn} == {True, False}


def test_random_meshes_visit_several_shapes_cores_and_chips():
    drawn = [fuzz.random_mesh(np.random.default_rng(number))[0] for number in range(60)]
    assert {(config.columns, config.rows) for config in drawn} == {(2, 1), (1, 2), (3, 1), (1, 3), (2, 2)}
    assert {(config.chips_across, config.chips_down) for config in drawn} == {(1, 1), (2, 1), (1, 2)}
    assert all(len(set(config.cores)) > 1 for config in drawn)
    assert any(number % fuzz.MESH_EVERY == 0 for number in range(FIRST, FIRST + GEOMETRIES))


def one_too_many(model, parameters, state, sums, random):
    """A neuron model that is wrong by one."""
    return lif_step(model, parameters, state, sums + 1, random)


def test_a_difference_is_told_with_its_replay(monkeypatch):
    monkeypatch.setattr("spikeloom.golden.lif.lif_step", one_too_many)
    difference, _ = fuzz.fuzz_geometry(FIRST, 3)
    assert difference is not None
    for part in (f"geometry {FIRST}", "case", "tick", "expected", "got", f"--seed {FIRST} --cases 3"):
        assert part in difference


def test_command_refuses_senseless_numbers():
    result = subprocess.run(
        [sys.executable, "-m", "spikeloom.sim.fuzz", "--cases", "0"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "--cases must be at least 1" in result.stderr
