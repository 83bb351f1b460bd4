"""Lockstep of the core's own ports under cocotb, with random stalls on every stream. 3 cases of each geometry.

The other geometries are in ``test_chip.py``: a model for cocotb takes half a minute to compile.
"""

from __future__ import annotations

import enum

import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.sim.core_lockstep import CoreSimulation
from tests.sim.geometries import COCOTB, GEOMETRIES

#: Seeds of the cases of each geometry, 20 ticks each.
SEEDS = range(100, 103)


@pytest.mark.parametrize("name", COCOTB)
def test_core_equals_golden_tick_by_tick(name, tmp_path):
    config, fabric = GEOMETRIES[name]
    simulation = CoreSimulation(config, tmp_path, fabric)
    results = simulation.run(SEEDS)
    wrong = [f"seed {result['seed']}: {result['mismatch']}" for result in results if result["mismatch"] is not None]
    assert not wrong, f"{name}: {wrong[0]}; replay: CoreSimulation(GEOMETRIES[{name!r}]...).run([seed])"
    assert [result["seed"] for result in results] == list(SEEDS)


class SwappedReset(enum.IntEnum):
    """The reset modes, exchanged."""

    ABSOLUTE = 1
    RELATIVE = 0
    NONE = 2


def test_a_wrong_core_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr("spikeloom.hdl.lif.Reset", SwappedReset)
    small = CoreConfig(axons=8, neurons=8, lanes=2, levels=1)
    results = CoreSimulation(small, tmp_path).run(SEEDS)
    mismatch = results[-1]["mismatch"]
    assert mismatch is not None
    for word in ("tick", "core 0", "neuron", "expected", "got"):
        assert word in mismatch
