"""Lockstep of the chip through its registers in the compiled simulator, and of compiled networks."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, ImageError
from spikeloom.hdl.fabric import ECP5, GENERIC
from spikeloom.host.bus_chip import BusChip
from spikeloom.sim.fuzz import compiled_cases
from spikeloom.sim.rtl_bus import rtl_bus
from spikeloom.sim.verify import lockstep
from tests.sim.geometries import COCOTB, GEOMETRIES, poisoned

SEEDS = range(200, 220)


@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name not in COCOTB])
def test_chip_equals_golden_tick_by_tick(name):
    """20 cases each, every second one with pauses between and within requests."""
    config, fabric = GEOMETRIES[name]
    difference = compiled_cases(ChipConfig(cores=(config,)), fabric, SEEDS)
    assert difference is None, f"{name}: {difference}"


def random_network(seed):
    """Three layers of odd sizes with a bias, subtraction and a recurrent loop."""
    rng = np.random.default_rng(seed)
    network = spikeloom.Network()
    layers = [network.input(21, "input")]
    for number, size in enumerate((13, 30, 7)):
        neurons = spikeloom.Neurons(
            retention=rng.uniform(0.5, 1, size),
            bias=rng.normal(0, 0.1, size),
            threshold=rng.uniform(0.5, 2, size),
            reset=rng.uniform(0, 0.5, size),
            reset_mode="subtract" if number == 1 else "value",
            refractory=rng.integers(0, 3, size),
        )
        layers.append(network.population(size, neurons, f"layer{number}"))
    for pre, post in pairwise(layers):
        network.projection(pre, post, rng.normal(0, 0.6, (pre.size, post.size)))
    network.projection(layers[2], layers[2], rng.normal(0, 0.2, (30, 30)))
    network.output(layers[-1])
    return network


BASE = CoreConfig(axons=128, neurons=64, weight_bits=8, lanes=8, levels=4)
VARIANTS = {
    "one lane": dataclasses.replace(BASE, weight_words=None, lanes=1),
    "eight lanes": BASE,
    "eight lanes, four pipelines": dataclasses.replace(BASE, pipelines=4),
    "sixty-four lanes, sixteen pipelines": dataclasses.replace(BASE, weight_words=None, lanes=64, pipelines=16),
}


def test_lanes_and_pipelines_change_time_and_never_a_spike():
    spikes = np.random.default_rng(5).random((4, 25, 21)) < 0.3
    outputs, membranes, cycles = {}, {}, {}
    for name, core in VARIANTS.items():
        image = spikeloom.compile(random_network(3), config=ChipConfig(cores=(core,)))
        with BusChip(rtl_bus(image.config, poisoned(ECP5, 64)), image) as chip:
            outputs[name] = chip.run(spikes)
            cycles[name] = int(chip.counters()["cycles"].sum())
            state = chip.state()["core0.membrane"]
            membranes[name] = np.concatenate([state[p.first : p.first + p.size] for p in image.populations])
    reference = outputs["one lane"]
    assert reference.any()
    assert not reference.all()
    for name in VARIANTS:
        np.testing.assert_array_equal(outputs[name], reference, err_msg=name)
        np.testing.assert_array_equal(membranes[name], membranes["one lane"], err_msg=name)
    assert len(set(cycles.values())) == len(cycles)


def test_state_and_recordings_are_the_same_on_every_kind_of_chip():
    image = spikeloom.compile(random_network(4), config=ChipConfig(cores=(BASE,)))
    spikes = np.random.default_rng(6).random((3, 20, 21)) < 0.3
    names = [population.name for population in image.populations]
    with spikeloom.open("golden", image) as golden, spikeloom.open("rtl", image) as rtl:
        np.testing.assert_array_equal(golden.run(spikes, record=names), rtl.run(spikes, record=names))
        assert golden.state().keys() == rtl.state().keys()
        for name, values in golden.state().items():
            np.testing.assert_array_equal(values, rtl.state()[name], err_msg=name)
        for name in names:
            np.testing.assert_array_equal(golden.recorded[name].potential, rtl.recorded[name].potential)
        counters = rtl.counters()
        for name, values in golden.counters().items():
            np.testing.assert_array_equal(values, counters[name], err_msg=name)


def test_lockstep_of_a_network_counts_what_it_compared():
    image = spikeloom.compile(random_network(5), config=ChipConfig(cores=(BASE,)))
    spikes = np.random.default_rng(7).random((5, 12, 21)) < 0.3
    result = lockstep(image, spikes, fabric=GENERIC)
    assert result.mismatch is None
    assert (result.samples, result.ticks) == (5, 5 * (12 + image.drain))
    assert result.spikes >= spikeloom.open("golden", image).run(spikes).sum() > 0


def test_lockstep_finds_a_difference_and_says_where(monkeypatch):
    image = spikeloom.compile(random_network(5), config=ChipConfig(cores=(BASE,)))
    spikes = np.random.default_rng(7).random((2, 12, 21)) < 0.3
    monkeypatch.setattr("spikeloom.golden.lif.RETENTION_FRACTION", 11)
    result = lockstep(image, spikes)
    assert result.mismatch is not None
    assert result.sample == 0
    for word in ("tick", "core 0", "expected", "got"):
        assert word in str(result.mismatch)


def test_lockstep_compares_lost_packets(monkeypatch):
    image = spikeloom.compile(random_network(5), config=ChipConfig(cores=(BASE,)))
    monkeypatch.setattr(BusChip, "misrouted", 3)
    result = lockstep(image, np.zeros((2, 12, 21), np.bool_), fabric=GENERIC)
    assert result.sample == 0
    assert str(result.mismatch) == f"counter differs: tick {11 + image.drain}, core 0, misrouted: expected 0 (golden), got 3 (RTL)"


def test_rtl_refuses_an_image_of_another_geometry():
    from spikeloom.sim.rtl_bus import RtlBus

    image = spikeloom.compile(random_network(5), config=ChipConfig(cores=(BASE,)))
    bus = RtlBus(ChipConfig(cores=(VARIANTS["eight lanes, four pipelines"],)))
    with pytest.raises(ImageError, match="geometry"):
        BusChip(bus, image)
    bus.close()


def test_open_names_the_kinds_there_are():
    image = spikeloom.compile(random_network(5), config=ChipConfig(cores=(BASE,)))
    with pytest.raises(ConfigError, match=r"golden.*rtl"):
        spikeloom.open("/dev/ttyUSB1", image)
