"""Lockstep of cores that learn: weights, tags, traces and spikes after each tick, over random rules and settings."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.examples.learning.protocol import HIGHEST, learnt, protocol_image
from spikeloom.hdl.fabric import ECP5, GENERIC, ICE40, ICE40_ULTRAPLUS
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.network.plasticity import Plasticity
from spikeloom.sim.fuzz import compiled_cases
from spikeloom.sim.rtl_bus import RtlBus
from tests.sim.geometries import poisoned

FULL = Learning(pre_traces=2, post_traces=2, tag_bits=8, membrane_flag=True, teacher=True, terms=12)
LIF = (Lif(state_bits=16, fraction_bits=2),)

#: Name, core, fabric, cases.
GEOMETRIES = {
    "one lane, one trace each": (
        CoreConfig(axons=9, neurons=5, lanes=1, levels=2, models=LIF, learning=Learning(terms=4, weight_factor=False)),
        poisoned(GENERIC),
        40,
    ),
    "four lanes, everything, banks": (
        CoreConfig(axons=20, neurons=14, lanes=4, pipelines=2, levels=1, weight_bits=8, models=LIF, learning=FULL),
        poisoned(ECP5, 8),
        50,
    ),
    "eight lanes, 4-bit weights, post traces only": (
        CoreConfig(
            axons=33, neurons=24, lanes=8, weight_bits=4, levels=1,
            learning=Learning(pre_traces=0, post_traces=2, teacher=True, neuron_products=False),
        ),
        poisoned(ICE40),
        40,
    ),
    "sixteen lanes, 16-bit weights and tags": (
        CoreConfig(
            axons=12, neurons=32, lanes=16, pipelines=4, weight_bits=16, levels=1, models=LIF,
            learning=Learning(pre_traces=2, post_traces=1, tag_bits=16, terms=8),
        ),
        poisoned(ECP5),
        40,
    ),
    "memory with one port, two models": (
        CoreConfig(
            axons=16, neurons=12, lanes=4, weight_bits=8, levels=1, models=(Lif(state_bits=16), Izhikevich(multipliers=3)),
            learning=Learning(membrane_flag=True, terms=5, offsets=False, weight_factor=False, neuron_products=False),
        ),
        poisoned(ICE40_ULTRAPLUS),
        40,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRIES)
def test_learning_equals_golden_tick_by_tick(name):
    core, fabric, cases = GEOMETRIES[name]
    difference = compiled_cases(ChipConfig(cores=(core,)), fabric, range(500, 500 + cases))
    assert difference is None, f"{name}: {difference}"


def test_there_are_two_hundred_cases():
    assert sum(cases for _, _, cases in GEOMETRIES.values()) >= 200


def test_two_cores_of_a_mesh_learn_each_for_itself():
    one = CoreConfig(axons=10, neurons=8, lanes=2, levels=1, models=LIF, destinations=16, learning=Learning(terms=4))
    other = dataclasses.replace(one, learning=None, weight_words=None, lanes=4)
    config = ChipConfig(cores=(one, other, dataclasses.replace(one, lanes=1, weight_words=None)), columns=3)
    assert compiled_cases(config, poisoned(GENERIC), range(520, 532), compare_every=2) is None


def test_lanes_change_no_bit():
    """Stochastic rounding, tags and epochs: the same weights for every number of lanes, and on hardware."""
    plasticity = Plasticity(
        rule="dt = 3.3 * x1 * y0 - 2.9 * x0 * y1 - 0.25 * u * t; dw = 2^-2 * u * r * t",
        tau={"x1": 10, "y1": 15}, high=HIGHEST, epoch=4, reward=1.5,
    )  # fmt: skip
    rng = np.random.default_rng(3)
    pre, post = ([sorted(rng.choice(60, 12, replace=False).tolist()) for _ in range(6)] for _ in range(2))
    changes = {}
    for lanes in (1, 2, 4, 8):
        image = protocol_image(plasticity, 6, lanes)
        changes[lanes, "golden"] = learnt(GoldenChip(image), pre, post, 80).tolist()
        if lanes in (1, 4):
            with BusChip(RtlBus(image.config, poisoned(ECP5)), image) as chip:
                changes[lanes, "rtl"] = learnt(chip, pre, post, 80).tolist()
    assert len({tuple(change) for change in changes.values()}) == 1
    assert len(set(changes[1, "golden"])) > 3


def test_modulation_within_a_stream_counts_from_the_same_tick():
    """Frozen, then on with a reward, then frozen again, while one long sample runs."""
    plasticity = Plasticity(rule="dw = 40 * r * y1 * x0", tau={"y1": 10}, high=HIGHEST, enabled=False, stochastic=False)
    image = protocol_image(plasticity, 2, 2)
    weights = []

    def rows(chip):
        for tick in range(40):
            if tick == 10:
                chip.modulate(enabled=True, reward=2.5)
            elif tick == 20:
                chip.modulate(reward=-1)
            elif tick == 30:
                chip.modulate(enabled=False)
            yield np.array([tick % 5 == 0, tick % 7 == 0, tick % 5 == 1, tick % 7 == 2])

    golden = GoldenChip(image)
    with BusChip(RtlBus(image.config, GENERIC), image) as hardware:
        for chip in (golden, hardware):
            out = list(chip.stream(rows(chip)))
            assert np.any(out)
            weights.append(chip.state()["core0.weights"].tolist())
            # What was learnt is an image.
            learned = chip.learned_image()
            assert learned.config == image.config
            np.testing.assert_array_equal(GoldenChip(learned).state()["core0.weights"], chip.state()["core0.weights"])
    assert weights[0] == weights[1]
    assert weights[0] != GoldenChip(image).state()["core0.weights"].tolist()


def test_samples_teach_one_network_on_hardware_too():
    plasticity = Plasticity(rule="dw = 100 * x1 * y0 - 2^-3 * x0 * y1", tau={"x1": 10, "y1": 10}, high=HIGHEST)
    image = protocol_image(plasticity, 2, 2)
    spikes = np.random.default_rng(1).random((3, 30, 4)) < 0.2
    golden = GoldenChip(image)
    with BusChip(RtlBus(image.config, GENERIC), image) as hardware:
        for chip in (golden, hardware):
            for _ in range(2):
                chip.run(spikes)
        for name, values in golden.state().items():
            np.testing.assert_array_equal(values, hardware.state()[name], err_msg=name)
        hardware.reset()
        golden.reset()
        np.testing.assert_array_equal(golden.state()["core0.weights"], hardware.state()["core0.weights"])
        assert not hardware.state()["core0.x1"].any()
        # Random numbers go on where they were.
        for chip in (golden, hardware):
            chip.run(spikes)
        np.testing.assert_array_equal(golden.state()["core0.weights"], hardware.state()["core0.weights"])
