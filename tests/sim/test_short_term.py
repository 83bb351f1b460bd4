"""Lockstep of cores with short-term plasticity: state of the axons and spikes after each tick, over random parameters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.golden.fast import FastChip
from spikeloom.hdl.fabric import ECP5, GENERIC, ICE40, ICE40_ULTRAPLUS
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.sim.cases import random_case
from spikeloom.sim.fuzz import compiled_cases
from spikeloom.sim.rtl_bus import RtlBus
from tests.sim.geometries import poisoned

LIF = (Lif(state_bits=20, fraction_bits=2),)

#: Name, core, fabric.
GEOMETRIES = {
    "one lane, weights in parts": (
        CoreConfig(axons=37, neurons=23, weight_bits=4, lanes=1, models=LIF, short_term=True), poisoned(ECP5, 64),
    ),
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


def image(core=CORE):
    """A random network."""
    return random_case(ChipConfig(cores=(core,)), 1).image


def test_samples_start_from_rest_on_every_chip():
    spikes = np.random.default_rng(4).random((3, 25, CORE.axons)) < 0.4
    golden = spikeloom.open("golden", image())
    # The fast engine would leave all weights plain.
    assert isinstance(golden, GoldenChip)
    alone = GoldenChip(image())
    alone.run(spikes[-1])
    with BusChip(RtlBus(image().config, GENERIC, optimise="-O0"), image()) as hardware:
        np.testing.assert_array_equal(golden.run(spikes), hardware.run(spikes))
        for name, values in golden.state().items():
            np.testing.assert_array_equal(values, hardware.state()[name], err_msg=name)
            np.testing.assert_array_equal(values, alone.state()[name], err_msg=name)
    assert golden.state()["core0.depression"].any()
    golden.reset()
    assert not golden.state()["core0.depression"].any()


@pytest.mark.parametrize("core", [CORE, dataclasses.replace(CORE, short_term=False)])
def test_open_takes_the_fast_engine_only_for_what_it_can_run(core):
    assert isinstance(spikeloom.open("golden", image(core=core)), GoldenChip) == core.short_term


def test_fast_engine_refuses_what_it_cannot_run():
    with pytest.raises(ConfigError, match=r"^the fast engine .*short-term plasticity; use the golden model in numpy$"):
        FastChip(image().config, image().memories)
