# amaranth: UnusedElaboratable=no
"""The cycle formulas of docs/core.md, docs/chip.md and docs/mesh.md against the compiled circuit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import COUNTER_NAMES, pack_neurons, regions
from spikeloom.arch.packet import Destination
from spikeloom.arch.registers import OUTPUT_WINDOW, Address
from spikeloom.hdl.core import KIND_CYCLES, empty_tick
from spikeloom.hdl.fabric import ECP5, GENERIC, Fabric
from spikeloom.hdl.neuron import Timing, pipeline_class
from spikeloom.hdl.outputs import READ_CYCLES
from spikeloom.host.bus import event_words
from spikeloom.sim.rtl_bus import RtlBus

AXONS_PER_WORD = 16
#: Cycles of docs/chip.md: an access to a register, and to a memory of a lone core.
REGISTER_CYCLES, MEMORY_CYCLES = 5, 10
#: (kind, delay, target) of each destination.
Destinations = Sequence[tuple[int, int, int]]
TO_AXON, TO_OUTPUT = (Destination.AXON, 2, 1), (Destination.OUTPUT, 0, 1)

SMALL = CoreConfig(axons=40, neurons=64, lanes=8, levels=2)
NARROW = CoreConfig(
    axons=33, neurons=48, lanes=16, pipelines=4, levels=1, destinations=64,
    models=(Lif(state_bits=14, fraction_bits=2, bias_bits=0, refractory_bits=0),),
)  # fmt: skip
DEEP = CoreConfig(axons=100, neurons=80, lanes=4, levels=2, destinations=256)
#: Its accumulators have an output register, and its weight memory is read in parts.
SLOW = Fabric(name="slow", slow_block_ram=True, block_ram_depth=512)
SETS = CoreConfig(axons=40, neurons=64, lanes=8, pipelines=2, levels=2, sets=5)
#: A neuron every 12 cycles, and every 2.
ONE_MULTIPLIER = CoreConfig(axons=40, neurons=32, lanes=8, levels=2, models=(Izhikevich(),))
THREE_MULTIPLIERS = CoreConfig(axons=40, neurons=32, lanes=8, models=(Izhikevich(multipliers=3, substeps=2, bias_bits=8),))
MIXED = CoreConfig(axons=40, neurons=32, lanes=8, pipelines=2, models=(Izhikevich(substeps=1), Lif()))
#: Two words of neurons, so rows follow each other every second cycle.
SHORT = CoreConfig(axons=40, neurons=64, weight_bits=4, lanes=32, pipelines=2)
CASES = {
    "small": (SMALL, GENERIC),
    "narrow": (NARROW, GENERIC),
    "deep": (DEEP, SLOW),
    "sets": (SETS, SLOW),
    "one multiplier": (ONE_MULTIPLIER, GENERIC),
    "three multipliers": (THREE_MULTIPLIERS, GENERIC),
    "short rows": (SHORT, ECP5),
    "mixed, all of the first model": (MIXED, GENERIC),
}


class Circuit:
    """A compiled chip whose neurons all see the same weight 0, with rows, thresholds and destinations of choice."""

    def __init__(self, config: CoreConfig, fabric: Fabric) -> None:
        self.config = config
        self.table = regions(config)
        self.bus = RtlBus(ChipConfig(cores=(config,)), fabric)
        self.wait()
        self.write("weights", weight=np.zeros((config.words, config.lanes), np.int64))

    def wait(self) -> None:
        while int(self.bus.read(Address.STATUS, 1)[0]) & 1:
            pass

    def clear(self) -> None:
        self.bus.write(Address.CLEAR, np.ones(1, np.uint32))
        self.wait()

    def write(self, name: str, **values: IntArray) -> None:
        self.write_words(name, self.table[name].layout.pack(values))

    def write_words(self, name: str, words: WordArray) -> None:
        for index, word in enumerate(words):
            self.bus.write(self.table[name].address(index), word)

    def write_neurons(self, fire: Sequence[int], model_of: IntArray) -> None:
        """Neurons that are silent, or fire in every tick."""
        config = self.config
        fires = np.zeros(config.neurons, np.bool_)
        fires[list(fire)] = True
        if config.sets is None:
            fires_of_set, model_of_set, set_of = fires, model_of, np.arange(config.neurons)
        else:
            # Of two sets for each model the second fires.
            number = np.arange(config.sets)
            fires_of_set, model_of_set = number % 2 == 1, np.minimum(number // 2, len(config.models) - 1)
            set_of = 2 * model_of + fires
        if config.kinds:
            kinds = {"model": model_of, "set": set_of}
            self.write("kinds", **{field.name: kinds[field.name] for field in self.table["kinds"].layout.fields})
        for name in ("parameters", "firing", "own"):
            if name in self.table:
                region = self.table[name]
                fields = [
                    None if layout is None else {field.name: np.zeros(region.depth, np.int64) for field in layout.fields}
                    for layout in region.variants
                ]
                for model, values in zip(config.models, fields, strict=True):
                    if values is not None and "threshold" in values:
                        # An Izhikevich neuron fires from any potential above the lowest, and is so in each tick.
                        low = model.parameter_names()["threshold"].low if isinstance(model, Izhikevich) else -1
                        values["threshold"] = np.where(fires_of_set, low, 100)
                        if isinstance(model, Izhikevich):
                            values["reset"] = np.where(fires_of_set, low, 0)
                owner = model_of if name == "own" else model_of_set
                self.write_words(name, pack_neurons(region, fields, owner))

    def load(
        self,
        start: IntArray,
        last: IntArray,
        fire: Sequence[int] = (),
        destinations: dict[int, Destinations] | None = None,
        model_of: IntArray | None = None,
    ) -> None:
        """Rows, neurons that fire in every tick, and destination lists; all neurons of the first model by default."""
        config = self.config
        empty = last < start
        self.write("rows", base=np.zeros(config.axons, np.int64), start=np.where(empty, 1, start), last=np.where(empty, 0, last))
        self.write_neurons(fire, np.zeros(config.neurons, np.int64) if model_of is None else model_of)
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

    def counted(self, name: str) -> int:
        region = self.table["counters"]
        return int(self.bus.read(region.address(list(COUNTER_NAMES).index(name)), 1)[0])

    def cycles_counted(self) -> int:
        return self.counted("cycles")

    def spikes_counted(self) -> int:
        return self.counted("spikes")

    def tick(self, axons: Sequence[int]) -> int:
        """Cycles of one tick with these events, as the core counts them."""
        before = self.cycles_counted()
        self.bus.tick(event_words(np.zeros(len(axons), np.int64), np.array(axons, np.int64)))
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
        """R + L, all neurons of the first model."""
        timing = self.timing(0)
        rows = self.config.neurons // self.config.pipelines
        return (rows - 1) * timing.interval + 1 + (KIND_CYCLES if self.config.kinds else 0) + timing.latency

    def timing(self, number: int) -> Timing:
        """Timing of a model's pipelines."""
        model = self.config.models[number]
        return pipeline_class(model).timing_of(model)

    @property
    def h(self) -> int:
        if self.short:
            return 2
        return 4 if self.fabric.slow_block_ram and self.config.neuron_words > self.fabric.lut_ram_depth else 3

    @property
    def short(self) -> int:
        return int(self.config.neuron_words <= 2 and self.config.neuron_words <= self.fabric.lut_ram_depth)

    @property
    def m(self) -> int:
        return int(bool(self.fabric.block_ram_depth) and self.config.words > self.fabric.block_ram_depth)

    def rows(self, start: IntArray, last: IntArray, axons: Sequence[int]) -> int:
        """C', by the recurrence of the page."""
        issued: dict[int, int] = {}
        take = finish = 2
        first = 0
        for number, axon in enumerate(axons):
            take = 2 if number == 0 else max(take + 3 - self.short, finish)
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
            low = max(self.d + 6 + 3 * words, (min(axons) // AXONS_PER_WORD + 14 + self.m - self.short + rows) if rows else 0)
            high = self.d + 14 + self.m - self.short + 3 * words + rows
        emission = sum(1 + max(1, len(lists.get(neuron, []))) for neuron in fired)
        # The output queue may hold up the first output for a cycle.
        return range(low + self.update + 6, high + self.update + (14 + emission + 1 if fired else 6) + 1)


@pytest.fixture(scope="module", params=CASES)
def circuit(request: pytest.FixtureRequest) -> tuple[Circuit, Formula]:
    config, fabric = CASES[request.param]
    return Circuit(config, fabric), Formula(config, fabric)


@pytest.fixture(scope="module")
def mixed() -> Circuit:
    return Circuit(MIXED, GENERIC)


def test_tick_without_events(circuit: tuple[Circuit, Formula]) -> None:
    chip, formula = circuit
    zero = np.zeros(chip.config.axons, np.int64)
    chip.load(zero, zero)
    assert chip.tick([]) == empty_tick(chip.config) == formula.d + formula.update + 12


@pytest.mark.parametrize("model_of_rows", ["1" * 16, "0" * 8 + "1" * 8, "1" + "0" * 15, "01" * 8, "0011101100010111"])
def test_tick_of_several_models_without_events(mixed: Circuit, model_of_rows: str) -> None:
    """Runs of rows of one model, each at its interval; a change costs what the pipelines before it take, and a cycle.

    So ``empty_tick`` holds if all neurons follow the first model (the case "mixed" above), and is no bound otherwise.
    """
    formula = Formula(MIXED, GENERIC)
    zero = np.zeros(MIXED.axons, np.int64)
    models = [int(letter) for letter in model_of_rows]
    mixed.load(zero, zero, model_of=np.repeat(models, MIXED.pipelines))
    runs = [(model, len(list(rows))) for model, rows in itertools.groupby(models)]
    cycles = sum((rows - 1) * formula.timing(model).interval + 1 for model, rows in runs)
    changes = sum(formula.timing(model).latency + 1 for model, _ in runs[:-1])
    update = KIND_CYCLES + cycles + changes + formula.timing(models[-1]).latency
    assert mixed.tick([]) == formula.d + update + 12


def test_full_rows_follow_each_other_without_a_gap(circuit: tuple[Circuit, Formula]) -> None:
    chip, formula = circuit
    words = chip.config.neuron_words
    chip.load(np.zeros(chip.config.axons, np.int64), np.full(chip.config.axons, words - 1))
    for axons in ([0], [20], [chip.config.axons - 1], range(3), range(18, 30)):
        rows = (len(axons) - 1) * max(words, formula.h) + words
        integration = max(formula.d + 9, axons[0] // AXONS_PER_WORD + 14 + formula.m - formula.short + rows)
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
        assert chip.spikes_counted() == len(fired)


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
    # The end is seen by reading a register, which takes some cycles.
    assert abs(lengths[20] - lengths[10] - 10 * (empty_tick(chip.config) + 3)) < REGISTER_CYCLES


def test_cycles_of_an_access(circuit: tuple[Circuit, Formula]) -> None:
    chip, _ = circuit
    for address, cycles in (
        (Address.TICK, REGISTER_CYCLES),
        (Address.SETTLED, REGISTER_CYCLES),
        (OUTPUT_WINDOW, REGISTER_CYCLES + READ_CYCLES),
        (chip.table["state"].address(), MEMORY_CYCLES),
    ):
        before = chip.bus.cycles
        chip.bus.read(address, 10, same=True)
        assert chip.bus.cycles - before == 10 * cycles


@pytest.fixture(scope="module")
def mesh() -> Iterator[RtlBus]:
    """2 x 2 cores whose neurons all take part and never fire."""
    config = ChipConfig(cores=(SMALL,) * 4, columns=2, rows=2)
    bus = RtlBus(config)
    clear(bus)
    # From the threshold 100 and otherwise zero parameters no neuron ever fires.
    values = {"last": SMALL.neurons - 1, "threshold": 100}
    for core, geometry in enumerate(config.cores):
        table = regions(geometry)
        for name in ("control", "parameters", "firing", "own"):
            layout = table[name].layout
            word = layout.pack({field.name: np.array([values.get(field.name, 0)]) for field in layout.fields})[0]
            for index in range(table[name].depth):
                bus.write(table[name].address(index, core=core), word)
    yield bus
    bus.close()


def clear(bus: RtlBus) -> None:
    while int(bus.read(Address.STATUS, 1)[0]) & 1:
        pass
    bus.write(Address.CLEAR, np.ones(1, np.uint32))
    while int(bus.read(Address.STATUS, 1)[0]) & 1:
        pass


def test_tick_of_a_mesh_is_that_of_its_busiest_core_and_the_tree(mesh: RtlBus) -> None:
    # Twelve leaves: cores, routers and buffers.
    latency = 2
    lengths = {}
    for ticks in (10, 20):
        clear(mesh)
        before = mesh.cycles
        mesh.write(Address.RUN, np.array([ticks], np.uint32))
        while int(mesh.read(Address.STATUS, 1)[0]) & 1:
            pass
        lengths[ticks] = mesh.cycles - before
    assert abs(lengths[20] - lengths[10] - 10 * (empty_tick(SMALL) + latency + 2 + 3)) < REGISTER_CYCLES


@pytest.mark.parametrize("core", range(4))
def test_a_memory_of_a_mesh_takes_three_cycles_more(mesh: RtlBus, core: int) -> None:
    clear(mesh)
    before = mesh.cycles
    mesh.read(regions(SMALL)["rows"].address(core=core), 10, same=True)
    assert mesh.cycles - before == 10 * (MEMORY_CYCLES + 3)
