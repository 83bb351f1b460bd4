"""Lockstep of cores with short-term plasticity: state of the axons and spikes after each tick, over random parameters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.hdl.fabric import ECP5, GENERIC, ICE40, ICE40_ULTRAPLUS
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.fast_chip import FastGoldenChip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.sim.cases import random_case
from spikeloom.sim.fuzz import compiled_cases
from spikeloom.sim.rtl_bus import RtlBus
from tests.sim.geometries import poisoned

LIF = (Lif(state_bits=20, fraction_bits=2),)

#: Name, core, fabric. One more, of one lane, runs under cocotb (``geometries.py``).
GEOMETRIES = {
    "eight lanes, late sums": (
        CoreConfig(axons=21, neurons=73, weight_bits=8, lanes=8, models=LIF, short_term=True), poisoned(ECP5),
    ),
    "eight lanes on UP5K": (
        CoreConfig(axons=33, neurons=61, weight_bits=8, lanes=8, models=LIF, short_term=True), poisoned(ICE40_ULTRAPLUS),
    ),
    "short rows, weights in parts": (
        CoreConfig(axons=40, neurons=16, weight_bits=16, lanes=8, pipelines=2, models=LIF, short_term=True), poisoned(ECP5, 8),
    ),
    "learning at the same time": (
        CoreConfig(axons=25, neurons=20, weight_bits=8, lanes=4, levels=1, models=LIF, short_term=True, learning=Learning(tag_bits=8)),
        poisoned(ECP5, 32),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRIES)
def test_short_term_equals_golden_tick_by_tick(name):
    core, fabric = GEOMETRIES[name]
    difference = compiled_cases(ChipConfig(cores=(core,)), fabric, range(600, 612))
    assert difference is None, f"{name}: {difference}"


def test_cores_of_a_mesh_have_it_or_not():
    one = CoreConfig(axons=10, neurons=8, lanes=2, levels=1, models=LIF, destinations=16, short_term=True)
    other = dataclasses.replace(one, short_term=False, weight_words=None, lanes=4)
    assert compiled_cases(ChipConfig(cores=(one, other), columns=2), poisoned(ICE40), range(640, 648), compare_every=2) is None


CORE = CoreConfig(axons=12, neurons=10, lanes=4, levels=1, models=LIF, short_term=True)


def test_long_run_keeps_the_steps_of_slow_decays():
    """Longer than the longest step of a random case, 2**7 ticks and more."""
    assert compiled_cases(ChipConfig(cores=(CORE,)), poisoned(GENERIC), range(650, 652), ticks=600, compare_every=20) is None


def image():
    """A random network."""
    return random_case(ChipConfig(cores=(CORE,)), 1).image


def test_samples_start_from_rest_on_every_chip():
    spikes = np.random.default_rng(4).random((3, 25, CORE.axons)) < 0.4
    golden, fast = GoldenChip(image()), FastGoldenChip(image())
    alone = GoldenChip(image())
    alone.run(spikes[-1])
    with BusChip(RtlBus(image().config, GENERIC), image()) as hardware:
        outputs = golden.run(spikes)
        for other in (hardware, fast):
            np.testing.assert_array_equal(outputs, other.run(spikes))
            assert other.state().keys() == golden.state().keys()
        for name, values in golden.state().items():
            for other in (hardware, fast, alone):
                np.testing.assert_array_equal(values, other.state()[name], err_msg=name)
    for chip in (golden, fast):
        assert chip.state()["core0.depression"].any()
        chip.reset()
        assert not chip.state()["core0.depression"].any()


def test_open_takes_the_fast_engine():
    assert isinstance(spikeloom.open("golden", image()), FastGoldenChip)
