# amaranth: UnusedElaboratable=no
"""The cycle formulas of docs/core.md and docs/chip.md against the compiled circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import COUNTER_NAMES, Destination, regions
from spikeloom.arch.registers import Address
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.lif import Lif
from spikeloom.sim.rtl_bus import RtlBus
from tests.docs.test_generated import generate

AXONS_PER_WORD = 16
#: (kind, delay, target) of each destination.
Destinations = Sequence[tuple[int, int, int]]
TO_AXON, TO_OUTPUT = (Destination.AXON, 2, 1), (Destination.OUTPUT, 0, 1)

SMALL = CoreConfig(axons=40, neurons=64, lanes=8, levels=2)
NARROW = CoreConfig(axons=33, neurons=48, lanes=16, pipelines=4, levels=1, destinations=64, models=(Lif(state_bits=14, fraction_bits=2, bias_bits=0, refractory_bits=0),))
DEEP = CoreConfig(axons=100, neurons=80, lanes=4, levels=2, destinations=256)
#: Its accumulators have an output register, and its weight memory is read in parts.
SLOW = Fabric(name="slow", slow_block_ram=True, block_ram_depth=512)
CASES = {"small": (SMALL, GENERIC), "narrow": (NARROW, GENERIC), "deep": (DEEP, SLOW)}


class Circuit:
    """A compiled chip whose neurons all see the same weight 0, with rows, thresholds and destinations of choice."""

    def __init__(self, config: CoreConfig, fabric: Fabric) -> None:
        self.config = config
        self.table = regions(config)
        self.bus = RtlBus(ChipConfig(core=config), fabric)
        self.wait()
        self.write("weights", weight=np.zeros((config.words, config.lanes), np.int64))

    def wait(self) -> None:
        while int(self.bus.read(Address.STATUS, 1)[0]) & 1:
            pass

    def clear(self) -> None:
        self.bus.write(Address.CLEAR, np.ones(1, np.uint32))
        self.wait()

    def write(self, name: str, **values: IntArray) -> None:
        region = self.table[name]
        for index, word in enumerate(region.layout.pack(values)):
            self.bus.write(region.address(index), word)

    def load(
        self, start: IntArray, last: IntArray, fire: Sequence[int] = (), destinations: dict[int, Destinations] | None = None
    ) -> None:
        """Rows, neurons that fire in every tick, and destination lists."""
        config = self.config
        zero = np.zeros(config.parameter_sets, np.int64)
        empty = last < start
        self.write("rows", base=np.zeros(config.axons, np.int64), start=np.where(empty, 1, start), last=np.where(empty, 0, last))
        self.write("leak", retention=zero, reset_mode=zero)
        threshold = np.full(config.neurons, 100)
        threshold[list(fire)] = -1
        firing = {"threshold": threshold, "reset": zero}
        self.write("firing", **(firing | ({"refractory": zero} if config.refractory_bits else {})))
        if config.bias_bits:
            self.write("bias", bias=zero)
        first, count = np.zeros((2, config.neurons), np.int64)
        entries: list[tuple[int, int, int]] = []
        for neuron, chosen in (destinations or {}).items():
            if chosen:
                first[neuron], count[neuron] = len(entries), len(chosen)
                entries += chosen
        routes = np.zeros((config.routes, 3), np.int64)
        routes[: len(entries)] = np.array(entries).reshape(-1, 3)
        self.write("route_index", first=first, count=count)
        self.write("routes", kind=routes[:, 0], delay=routes[:, 1], target=routes[:, 2])
        self.write("control", last=np.full(config.levels, config.neurons - 1))
        self.clear()

    def cycles_counted(self) -> int:
        region = self.table["counters"]
        return int(self.bus.read(region.address(list(COUNTER_NAMES).index("cycles")), 1)[0])

    def tick(self, axons: Sequence[int]) -> int:
        """Cycles of one tick with these events, as the core counts them."""
        before = self.cycles_counted()
        self.bus.tick(np.array(axons, np.int64))
        return self.cycles_counted() - before


@dataclass(frozen=True)
class Formula:
    """The symbols of docs/core.md."""

    config: CoreConfig
    fabric: Fabric

    @property
    def d(self) -> int:
        return self.config.delay_words

    @property
    def update(self) -> int:
        """R + L."""
        return self.config.neurons // self.config.pipelines + Lif(config=self.config).latency

    @property
    def h(self) -> int:
        return 4 if self.fabric.slow_block_ram and self.config.neuron_words > self.fabric.lut_ram_depth else 3

    @property
    def m(self) -> int:
        return int(bool(self.fabric.block_ram_depth) and self.config.words > self.fabric.block_ram_depth)

    def rows(self, start: IntArray, last: IntArray, axons: Sequence[int]) -> int:
        """C', by the recurrence of the page."""
        issued: dict[int, int] = {}
        take = finish = 2
        first = 0
        for number, axon in enumerate(axons):
            take = 2 if number == 0 else max(take + 3, finish)
            words = range(int(start[axon]), int(last[axon]) + 1)
            finish = take
            if not words:
                continue
            wait = max([0, *(issued[word] + self.h - (take + 1 + i) for i, word in enumerate(words) if word in issued)])
            for i, word in enumerate(words):
                issued[word] = finish = take + 1 + wait + i
            first = first or issued[words[0]]
        return max(issued.values()) - first + 1 if issued else 0

    def bounds(
        self, start: IntArray, last: IntArray, axons: Sequence[int], fired: Sequence[int], lists: dict[int, Destinations]
    ) -> range:
        """From the least to the largest number of cycles."""
        low = high = self.d + 6
        if axons:
            words = len({axon // AXONS_PER_WORD for axon in axons})
            rows = self.rows(start, last, axons)
            low = max(self.d + 6 + 3 * words, (min(axons) // AXONS_PER_WORD + 14 + self.m + rows) if rows else 0)
            high = self.d + 14 + self.m + 3 * words + rows
        emission = sum(1 + max(1, len(lists.get(neuron, []))) for neuron in fired)
        # The output queue may hold up the first output for a cycle.
        return range(low + self.update + 6, high + self.update + (14 + emission + 1 if fired else 6) + 1)


@pytest.fixture(scope="module", params=CASES)
def circuit(request: pytest.FixtureRequest) -> tuple[Circuit, Formula]:
    config, fabric = CASES[request.param]
    return Circuit(config, fabric), Formula(config, fabric)


def test_tick_without_events(circuit: tuple[Circuit, Formula]) -> None:
    chip, formula = circuit
    zero = np.zeros(chip.config.axons, np.int64)
    chip.load(zero, zero)
    assert chip.tick([]) == generate.empty_tick(chip.config) == formula.d + formula.update + 12


def test_full_rows_follow_each_other_without_a_gap(circuit: tuple[Circuit, Formula]) -> None:
    chip, formula = circuit
    words = chip.config.neuron_words
    chip.load(np.zeros(chip.config.axons, np.int64), np.full(chip.config.axons, words - 1))
    for axons in ([0], [20], [chip.config.axons - 1], range(3), range(18, 30)):
        rows = (len(axons) - 1) * max(words, formula.h) + words
        integration = max(formula.d + 9, axons[0] // AXONS_PER_WORD + 14 + formula.m + rows)
        assert chip.tick(axons) == integration + formula.update + 6


def test_spikes_of_the_last_block(circuit: tuple[Circuit, Formula]) -> None:
    chip, formula = circuit
    zero = np.zeros(chip.config.axons, np.int64)
    last = chip.config.neurons - 1
    for fired, chosen, less in (
        ([last], [TO_AXON], 0),
        ([last - 3, last - 1, last], [TO_AXON] * 3, 0),
        # Three cycles less for an output, and one more for the tick mark in the queue.
        ([last], [TO_OUTPUT], 2),
    ):
        chip.load(zero + 1, zero, fired, dict.fromkeys(fired, chosen))
        assert chip.tick([]) == formula.d + 6 + formula.update + 14 + len(fired) * (1 + len(chosen)) - less


def test_random_ticks_stay_within_the_bounds(circuit: tuple[Circuit, Formula]) -> None:
    chip, formula = circuit
    config = chip.config
    rng = np.random.default_rng(1)
    for _ in range(4):
        start = rng.integers(0, config.neuron_words, config.axons)
        last = np.minimum(start + rng.integers(-1, config.neuron_words, config.axons), config.neuron_words - 1)
        fired = np.flatnonzero(rng.random(config.neurons) < rng.choice([0, 0.02, 0.3])).tolist()
        lists: dict[int, Destinations] = {neuron: [TO_OUTPUT] * int(rng.integers(0, 4)) for neuron in fired[:16]}
        chip.load(start, last, fired, lists)
        for activity in (0, 0.02, 0.1, 0.5, 1):
            axons = np.flatnonzero(rng.random(config.axons) < activity).tolist()
            assert chip.tick(axons) in formula.bounds(start, last, axons, fired, lists), (activity, axons, fired)


def test_ticks_of_one_run_are_three_cycles_apart(circuit: tuple[Circuit, Formula]) -> None:
    chip, _ = circuit
    zero = np.zeros(chip.config.axons, np.int64)
    chip.load(zero, zero)
    lengths = {}
    for ticks in (10, 20):
        before = chip.bus.cycles
        chip.bus.write(Address.RUN, np.array([ticks], np.uint32))
        chip.wait()
        lengths[ticks] = chip.bus.cycles - before
    # The end is seen by reading a register, which takes three cycles.
    assert abs(lengths[20] - lengths[10] - 10 * (generate.empty_tick(chip.config) + 3)) < 3


def test_cycles_of_an_access(circuit: tuple[Circuit, Formula]) -> None:
    chip, _ = circuit
    for address, cycles in ((Address.TICK, 3), (chip.table["state"].address(), 9)):
        before = chip.bus.cycles
        chip.bus.read(address, 10, same=True)
        assert chip.bus.cycles - before == 10 * cycles
