"""Lockstep of whole chips: meshes of different cores, several chips with bad wires between them, and what must not change a result."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import LinkError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.registers import Address, Status
from spikeloom.hdl.fabric import ECP5, GENERIC
from spikeloom.host.bus import event_words
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.sim.cases import random_case
from spikeloom.sim.fuzz import compiled_cases, run_case
from spikeloom.sim.rtl_bus import RtlBus, RtlTiledBus, rtl_bus
from tests.golden.test_chip import spoil_routes
from tests.helpers import damaged, lost_packets
from tests.sim.geometries import poisoned

TINY = CoreConfig(
    axons=10, neurons=8, lanes=2, weight_bits=4, levels=2, destinations=16, models=(Lif(state_bits=16, fraction_bits=2),)
)
WIDE = CoreConfig(axons=35, neurons=16, lanes=8, weight_bits=8, pipelines=2, levels=1, destinations=40)
TYPED = CoreConfig(axons=17, neurons=12, lanes=4, weight_bits=1, levels=1, stochastic_synapses=True)
OTHER = CoreConfig(
    axons=12, neurons=9, lanes=2, weight_bits=8, levels=1, models=(Lif(), Izhikevich(multipliers=3)), destinations=30
)

#: Name, geometry, cases, and after how many ticks the state is compared.
MESHES: dict[str, tuple[ChipConfig, int, int]] = {
    "2x1, different cores": (ChipConfig(cores=(WIDE, OTHER), columns=2), 24, 1),
    "1x2, payload": (ChipConfig(cores=(TINY, TYPED), rows=2, payload=True), 28, 1),
    "2x2, different cores": (ChipConfig(cores=(TINY, WIDE, TYPED, TINY), columns=2, rows=2), 24, 2),
    "3x2": (ChipConfig(cores=(TINY, WIDE) * 3, columns=3, rows=2), 16, 4),
    "4x4": (ChipConfig(cores=(TINY,) * 16, columns=4, rows=4), 6, 7),
    "4x2 on two chips": (ChipConfig(cores=(TINY, WIDE, TINY, TINY) * 2, columns=4, rows=2, chips_across=2), 8, 4),
}


@pytest.mark.parametrize("name", MESHES)
def test_mesh_equals_golden_tick_by_tick(name):
    """Random networks, delays and lists of destinations; every second case with pauses, and with noise on the wires between chips."""
    config, cases, every = MESHES[name]
    fabric = poisoned(ECP5 if name == "2x1, different cores" else GENERIC)
    difference = compiled_cases(config, fabric, range(300, 300 + cases), compare_every=every)
    assert difference is None, f"{name}: {difference}"


def test_there_are_a_hundred_cases():
    assert sum(cases for _, cases, _ in MESHES.values()) >= 100


# What must not change a result -----------------------------------------------------------------------------------------------


def random_network(seed):
    """Two layers, of which the first is recurrent, with delays."""
    rng = np.random.default_rng(seed)
    network = spikeloom.Network()
    first = network.input(12, "input")
    layers = []
    for size, label in ((20, "hidden"), (6, "last")):
        neurons = spikeloom.Neurons(
            retention=rng.uniform(0.6, 1, size),
            bias=rng.normal(0, 0.05, size),
            threshold=rng.uniform(0.5, 1.5, size),
            reset=np.zeros(size),
            reset_mode="subtract",
            refractory=np.zeros(size, np.int64),
        )
        layers.append(network.population(size, neurons, label))
    hidden, last = layers
    network.projection(first, hidden, rng.normal(0, 0.7, (12, 20)))
    network.projection(hidden, hidden, rng.normal(0, 0.25, (20, 20)), delay=2)
    network.projection(hidden, last, rng.normal(0, 0.6, (20, 6)), delay=3)
    network.output(last)
    return network


SMALL = CoreConfig(axons=64, neurons=16, weight_bits=8, lanes=2, levels=4, destinations=120)
LARGE = dataclasses.replace(SMALL, neurons=64, axons=96, weight_words=None, destinations=200)
#: The same network on one core, on cores with other lanes, in other places, on meshes of other shapes, on two chips.
PLACES: dict[str, ChipConfig] = {
    "one core": ChipConfig(cores=(LARGE,)),
    "eight lanes, two pipelines": ChipConfig(cores=(dataclasses.replace(LARGE, weight_words=None, lanes=8, pipelines=2),)),
    "2x1": ChipConfig(cores=(SMALL,) * 2, columns=2),
    "1x3, small cores last": ChipConfig(cores=(LARGE, SMALL, SMALL), rows=3),
    "two chips": ChipConfig(cores=(SMALL,) * 4, columns=2, rows=2, chips_across=2),
}


def test_lanes_places_mesh_and_stalls_change_no_result():
    """Only cycles may change: outputs and potentials of all neurons in all ticks are those of the first place, on golden and in hardware."""
    network = random_network(4)
    spikes = np.random.default_rng(5).random((2, 25, 12)) < 0.3
    results, cycles = {}, {}
    for name, config in PLACES.items():
        image = spikeloom.compile(network, config=config)
        bus = rtl_bus(config, GENERIC)
        if isinstance(bus, RtlTiledBus):
            bus.noise(500, 50)
        chip = BusChip(bus, image)
        for kind, runner in (("golden", spikeloom.open("golden", image)), ("rtl", chip)):
            out = runner.run(spikes, record=["hidden", "last"])
            results[name, kind] = out, runner.recorded["hidden"].potential, runner.recorded["last"].potential
        cycles[name] = chip.counters()["cycles"].sum()
        chip.close()
    expected = results["one core", "golden"]
    assert all(array.any() for array in expected)
    for place, result in results.items():
        for one, other in zip(expected, result, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=str(place))
    assert len(set(cycles.values())) > 2


def test_one_chip_or_two_give_the_same_spikes_and_state():
    """Two networks, one after the other in one process, which generates each design once."""
    for seed in (1, 2):
        check_one_chip_or_two(seed)


def check_one_chip_or_two(seed):
    """A 4x2 mesh on one chip, and on two 2x2 chips whose link has wrong bits and cuts."""
    one = ChipConfig(cores=(TINY,) * 8, columns=4, rows=2)
    two = dataclasses.replace(one, chips_across=2)
    case = random_case(one, seed, 25)
    # Outputs leave through the corner of the chip that the core belongs to; on one chip, all through core 0.
    outcomes = []
    for config in (one, two):
        image = dataclasses.replace(case.image, config=config, memories=tuple(_redirected(one, config, case.image.memories)))
        bus = rtl_bus(config, GENERIC)
        bus.stall(seed, 20)
        if isinstance(bus, RtlTiledBus):
            bus.noise(2000, 200)
        chip = BusChip(bus, image, check=False)
        outputs = []
        for events in case.ticks:
            bus.write_events(event_words(events.cores, events.axons, events.delays))
            outputs.append(sorted(chip.bus.tick(np.zeros(0, np.uint32))[:, 1].tolist()))
        outcomes.append((outputs, {name: values.tolist() for name, values in chip.state().items()}))
        if isinstance(bus, RtlTiledBus):
            assert bus.read(Address.MESH_ERRORS, 1)[0] > 10
            assert bus.read(Address.MESH_REPEATS, 1)[0] > 10
            assert int(bus.read(Address.STATUS, 1)[0]) == 0
        chip.close()
    assert any(outcomes[0][0])
    assert outcomes[0] == outcomes[1]


def _redirected(one, config, memories):
    """Memories whose outputs go to the corner of the core's chip."""
    for number, memory in enumerate(memories):
        region = spikeloom.arch.memory_map.regions(one.cores[number])["routes"]
        fields = region.layout.unpack(memory["routes"])
        dx, dy = spikeloom.arch.packet.hops(config, number, config.host_core(number))
        out = fields["kind"] == spikeloom.arch.packet.Destination.OUTPUT
        fields["dx"], fields["dy"] = np.where(out, dx, fields["dx"]), np.where(out, dy, fields["dy"])
        yield {**memory, "routes": region.layout.pack(fields)}


# Registers -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mesh():
    """A chip of 2x2 cores, and its geometry."""
    config = ChipConfig(cores=(TINY,) * 4, columns=2, rows=2)
    bus = RtlBus(config, poisoned(GENERIC))
    yield bus, config
    bus.close()


def check_lost_packets(bus, config):
    """Damaged routing memories: the rest of the chip goes on as if those packets did not exist, and the host can read how many there were."""
    case = random_case(config, 7, 20)
    memories = [spoil_routes(config, number, memory, 7) for number, memory in enumerate(case.image.memories)]
    case = dataclasses.replace(case, image=damaged(case.image, memories))
    chip = BusChip(bus, case.image, check=False)
    # Lockstep compares the counters with those of the golden model, MISROUTED of all chips among them.
    assert run_case(case, chip) is None
    assert chip.misrouted > 20
    assert sum(chip.read_counters(core)["dropped"] for core in range(len(config.cores))) > 10
    chip.clear()
    assert chip.misrouted == 0
    # And the same counters after whole runs, for each sample.
    image = lost_packets(random_case(config, 8).image, 8)
    spikes = np.random.default_rng(8).random((2, 15, image.input_size)) < 0.3
    chip, golden = BusChip(bus, image, check=False), GoldenChip(image)
    np.testing.assert_array_equal(chip.run(spikes), golden.run(spikes))
    counters = chip.counters()
    for name, values in golden.counters().items():
        np.testing.assert_array_equal(counters[name], values, err_msg=name)
    assert counters["misrouted"].min() > 20


def test_packets_to_nowhere_are_counted_and_dropped(mesh):
    check_lost_packets(*mesh)


def test_packets_to_nowhere_are_counted_and_dropped_on_two_chips():
    config, _, _ = MESHES["4x2 on two chips"]
    bus = rtl_bus(config, poisoned(GENERIC))
    check_lost_packets(bus, config)
    bus.close()


@pytest.mark.parametrize("core", [4, 5, 4095])
def test_event_for_a_core_that_does_not_exist_is_refused(mesh, core):
    bus, _ = mesh
    with pytest.raises(LinkError, match=Status.BAD_ADDRESS.name):
        bus.write_events(event_words(np.array([core]), np.array([0])))


def test_memory_of_a_core_that_does_not_exist_is_refused(mesh):
    bus, _ = mesh
    with pytest.raises(LinkError, match=Status.BAD_ADDRESS.name):
        bus.read(5 << 24, 1)


@pytest.mark.parametrize("config", [ChipConfig(cores=(TINY,)), ChipConfig(cores=(TINY,) * 4, columns=2, rows=2)])
def test_period_paces_the_ticks_exactly_and_overruns_are_counted(config):
    bus = RtlBus(config, GENERIC)
    chip = BusChip(bus, random_case(config, 3).image, check=False)

    def cycles(ticks: int, period: int) -> int:
        bus.write(Address.PERIOD, np.array([period], np.uint32))
        assert bus.read(Address.PERIOD, 1)[0] == period
        chip.clear()
        # The first of these ticks may have to wait for the period of the tick before it.
        bus.tick(np.zeros(0, np.uint32))
        bus.write(Address.RUN, np.array([ticks], np.uint32))
        while int(bus.read(Address.TICK, 1)[0]) < 2:
            bus.take_outputs()
        start = bus.cycles
        while int(bus.read(Address.STATUS, 1)[0]) & 1:
            bus.take_outputs()
        return bus.cycles - start

    # One tick more takes one period more, to within the polling; the last tick does not wait for its period to end.
    for period in (2000, 5001):
        assert abs(cycles(41, period) - cycles(11, period) - 30 * period) < 300
        assert bus.read(Address.OVERRUNS, 1)[0] == 0
    # A period that no tick can keep: all are late, and none is lost.
    free = cycles(20, 0)
    assert bus.read(Address.OVERRUNS, 1)[0] == 0
    late = cycles(20, 8)
    assert bus.read(Address.OVERRUNS, 1)[0] == 21
    assert bus.read(Address.TICK, 1)[0] == 21
    assert abs(late - free) < 300
    bus.close()
