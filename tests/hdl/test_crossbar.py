"""Random rows against plain loops, and rows that follow each other at every distance, on every kind of memory and synapse."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import memory

from spikeloom.arch.config import AXON_TYPES, CoreConfig
from spikeloom.arch.memory_map import row_layout, type_weight_layout, weight_layout
from spikeloom.hdl import ram
from spikeloom.hdl.crossbar import ROW_CYCLES, Crossbar, first_row_cycles, row_cycles, short_rows
from spikeloom.hdl.fabric import ICE40_ULTRAPLUS, Fabric
from tests.hdl.helpers import POISONED, POISONED_ECP5, bus_read, cycles, load, pause, put, simulate

#: Accumulators in block RAM with an output register, as wide cores on an ECP5 have them.
LATE = Fabric(name="late", slow_block_ram=True, poison_collisions=True)
#: The same, and a weight memory in parts of 16 words.
BANKS = Fabric(name="banks", slow_block_ram=True, block_ram_depth=16, poison_collisions=True)
#: Accumulators in LUT RAM, and a weight memory in parts.
LUT_BANKS = Fabric(name="lut banks", lut_ram_depth=8, slow_block_ram=True, block_ram_depth=16, poison_collisions=True)
FABRICS = [POISONED, POISONED_ECP5, LATE, BANKS, LUT_BANKS]

#: What a synapse can be: its weight, or one bit that stands for the neuron's weight of a type, perhaps a probability.
KINDS: dict[str, dict[str, Any]] = {
    "weights": {},
    "types": {"weight_bits": 1},
    "stochastic": {"weight_bits": 1, "stochastic_synapses": True},
}

Row = tuple[int, int, int]  # base, start, last


# Random numbers, as docs/random.md has them ---------------------------------------------------------------------------------


def _mix(x: int) -> int:
    def cut(value: int) -> int:
        return value & 0xFFFFFFFF

    x = cut(x + 0x7ED55D16 + (x << 12))
    x = (x ^ 0xC761C23C) ^ (x >> 19)
    x = cut(x + 0x165667B1 + (x << 5))
    x = cut(x + 0xD3A2646C) ^ cut(x << 9)
    x = cut(x + 0xFD7046C5 + (x << 3))
    return (x ^ 0xB55A4F09) ^ (x >> 16)


def _spread(number: int, n: int) -> int:
    a, b = number >> 16, number & 0xFFFF
    product = 0
    for bit in range(16):
        if n >> bit & 1:
            product ^= a << bit
    for bit in range(31, 15, -1):
        if product >> bit & 1:
            product ^= 0x1002B << (bit - 16)
    return (product ^ b) & 0xFF


def _rho(key: int, axon: int, neuron: int) -> int:
    return _spread(_mix(key ^ (0x80000000 + axon)), neuron)


class SinglePortRam(Elaboratable):
    """What ``SB_SPRAM256KA`` does with the pins that ``Ram`` uses."""

    def __init__(self, kind: str, **pins: Any) -> None:
        assert kind == "SB_SPRAM256KA"
        assert len(pins["i_DATAIN"]) == len(pins["o_DATAOUT"]) == 16
        assert len(pins["i_ADDRESS"]) == 14
        self.pins = pins

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = words = memory.Memory(shape=16, depth=1 << 14, init=[])
        read, write = words.read_port(), words.write_port()
        writing, chosen = self.pins["i_WREN"], self.pins["i_CHIPSELECT"]
        m.d.comb += [
            read.addr.eq(self.pins["i_ADDRESS"]),
            read.en.eq(chosen & ~writing),
            write.addr.eq(self.pins["i_ADDRESS"]),
            write.en.eq(chosen & writing),
            write.data.eq(self.pins["i_DATAIN"]),
            self.pins["o_DATAOUT"].eq(read.data),
        ]
        return m


@pytest.fixture(autouse=True)
def _spram(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ram, "Instance", SinglePortRam)


class Bench:
    """A crossbar with contents, and a plain model of it."""

    def __init__(self, config: CoreConfig, fabric: Fabric, rows: Sequence[Row], seed: int) -> None:
        self.config, self.rows = config, rows
        self.dut = Crossbar(config=config, fabric=fabric)
        rng = np.random.default_rng(seed)
        high = 1 << (config.weight_bits - 1)
        self.weights = rng.integers(*((0, 2) if config.typed else (-high, high)), (config.words, config.lanes))
        # Of each type and neuron; only where a synapse has one bit.
        shape = (AXON_TYPES, config.neuron_slots)
        ends = rng.choice([-256, -255, -1, 0, 1, 254, 255], shape)
        self.type_weights = np.where(rng.random(shape) < 0.3, ends, rng.integers(-256, 256, shape))
        self.stochastic = rng.integers(0, 2, shape)
        self.types = rng.integers(0, AXON_TYPES, config.axons)
        self.key = int(rng.integers(1 << 32))
        self.row_words = self.events = 0

    def type_weight_words(self) -> npt.NDArray[np.uint32]:
        values = {"weight": self.type_weights, "stochastic": self.stochastic}
        names = [field.name for field in type_weight_layout(self.config).fields]
        return type_weight_layout(self.config).pack({name: values[name].reshape(-1, self.config.lanes) for name in names})

    async def load(self, ctx: Any) -> None:
        """Fill the memories, and set the sums to zero as the core does after reset."""
        await load(ctx, self.dut.weight_bus, weight_layout(self.config).pack({"weight": self.weights}))
        columns = dict(zip(("base", "start", "last"), np.array(self.rows).T, strict=True))
        if self.config.typed:
            columns["type"] = self.types
            await load(ctx, self.dut.type_weight_bus, self.type_weight_words())
        await load(ctx, self.dut.row_bus, row_layout(self.config).pack(columns))
        self.set_key(ctx, self.key)
        await self.read_out(ctx)
        await self.wait(ctx)

    def set_key(self, ctx: Any, key: int) -> None:
        self.key = key
        if self.config.stochastic_synapses:
            ctx.set(self.dut.key, key)

    async def watch(self, ctx: Any) -> None:
        """Count the strobes."""
        while True:
            *_, row_word, event = await ctx.tick().sample(self.dut.row_word, self.dut.event)
            self.row_words += row_word
            self.events += event

    async def wait(self, ctx: Any) -> None:
        while ctx.get(self.dut.busy):
            await ctx.tick()

    async def read_out(self, ctx: Any) -> npt.NDArray[np.int64]:
        """All sums, words one behind the other without a gap."""
        dut, config = self.dut, self.config
        steps = [(word, step) for word in range(config.neuron_words) for step in range(dut.steps)]
        sums = []
        for cycle in range(len(steps) + dut.sum_latency):
            word, step = steps[cycle] if cycle < len(steps) else (0, 0)
            ctx.set(dut.read, int(cycle < len(steps) and step == 0))
            ctx.set(dut.word, word)
            ctx.set(dut.select, step)
            if cycle >= dut.sum_latency:
                sums.append([ctx.get(dut.sums[p]) for p in range(config.pipelines)])
            await ctx.tick()
        ctx.set(dut.read, 0)
        return np.array(sums).reshape(-1)

    def expected(self, axons: Sequence[int]) -> npt.NDArray[np.int64]:
        """Sums of all active axons, weight by weight."""
        sums = [0] * self.config.neuron_slots
        for axon in axons:
            base, start, last = self.rows[axon]
            for k in range(last - start + 1):
                for lane in range(self.config.lanes):
                    neuron = (start + k) * self.config.lanes + lane
                    sums[neuron] += self.weight(axon, neuron, int(self.weights[base + k, lane]))
        return np.array(sums)

    def weight(self, axon: int, neuron: int, synapse: int) -> int:
        """What an axon adds to a neuron's sum."""
        if not self.config.typed:
            return synapse
        weight = int(self.type_weights[self.types[axon], neuron])
        if self.config.stochastic_synapses and self.stochastic[self.types[axon], neuron]:
            weight = (weight > 0) - (weight < 0) if abs(weight) >= _rho(self.key, axon, neuron) else 0
        return weight if synapse else 0

    def words(self, axons: Sequence[int]) -> int:
        return sum(max(0, last - start + 1) for _, start, last in (self.rows[axon] for axon in axons))


def _random_rows(config: CoreConfig, rng: np.random.Generator) -> list[Row]:
    rows = []
    for _ in range(config.axons):
        start = int(rng.integers(config.neuron_words))
        last = min(start + int(rng.choice([0, 1, 2, config.neuron_words])), config.neuron_words - 1)
        if rng.random() < 0.15:
            start, last = 1, 0
        rows.append((int(rng.integers(config.words - max(0, last - start))), start, last))
    return rows


async def _check_random_ticks(ctx: Any, bench: Bench, rng: np.random.Generator, ticks: Sequence[tuple[float, float]]) -> None:
    """Ticks with this share of active axons, and pauses."""
    events = words = 0
    for activity, gaps in ticks:
        bench.set_key(ctx, int(rng.integers(1 << 32)))
        axons = np.flatnonzero(rng.random(bench.config.axons) < activity).tolist()
        for axon in axons:
            await pause(ctx, rng, gaps)
            await put(ctx, bench.dut.axons, axon)
        await bench.wait(ctx)
        np.testing.assert_array_equal(await bench.read_out(ctx), bench.expected(axons), err_msg=f"axons {axons}")
        await bench.wait(ctx)
        events, words = events + len(axons), words + bench.words(axons)
        assert (bench.events, bench.row_words) == (events, words)


CONFIGS = {
    "one lane": CoreConfig(axons=9, neurons=5, weight_bits=8, lanes=1, weight_words=40),
    "four lanes, one pipeline": CoreConfig(axons=24, neurons=40, weight_bits=4, lanes=4, weight_words=60),
    "eight lanes, two pipelines": CoreConfig(axons=24, neurons=22, weight_bits=8, lanes=8, pipelines=2, weight_words=40),
    "all lanes are pipelines": CoreConfig(axons=12, neurons=16, weight_bits=2, lanes=4, pipelines=4, weight_words=33),
    "wide words, one word": CoreConfig(axons=12, neurons=16, weight_bits=16, lanes=16, pipelines=1, weight_words=17),
}


@pytest.mark.parametrize("fabric", [POISONED, BANKS, LUT_BANKS], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("name", CONFIGS)
def test_random_rows_give_the_sums_of_a_plain_loop(name: str, fabric: Fabric) -> None:
    config = CONFIGS[name]
    rng = np.random.default_rng([3, *name.encode()])
    bench = Bench(config, fabric, _random_rows(config, rng), seed=1)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        await _check_random_ticks(ctx, bench, rng, ((1.0, 0.0), (0.5, 0.3), (0.1, 0.0), (0.0, 0.0), (1.0, 0.7)))

    simulate(bench.dut, run, watchers=[bench.watch], limit=4000)


# Neurons that fill no whole word, and a number of neuron words that is no power of two.
TYPED = {
    "1 lane": {"axons": 12, "neurons": 11, "lanes": 1},
    "1 lane, one neuron": {"axons": 5, "neurons": 1, "lanes": 1},
    "4 lanes, 1 pipeline": {"axons": 12, "neurons": 22, "lanes": 4},
    "4 lanes, 4 pipelines": {"axons": 12, "neurons": 16, "lanes": 4, "pipelines": 4},
    "16 lanes, 2 pipelines": {"axons": 12, "neurons": 150, "lanes": 16, "pipelines": 2},
    "64 lanes, 1 pipeline": {"axons": 8, "neurons": 190, "lanes": 64},
    "128 lanes": {"axons": 8, "neurons": 200, "lanes": 128},
    "64 lanes, 4 pipelines": {"axons": 8, "neurons": 64, "lanes": 64, "pipelines": 4},
}


@pytest.mark.parametrize("fabric", [POISONED, LUT_BANKS, ICE40_ULTRAPLUS], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("kind", ["types", "stochastic"])
@pytest.mark.parametrize("name", TYPED)
def test_one_bit_synapses_give_the_sums_of_a_plain_loop(name: str, kind: str, fabric: Fabric) -> None:
    config = CoreConfig(**TYPED[name], **KINDS[kind], weight_words=37)
    rng = np.random.default_rng([4, *name.encode()])
    bench = Bench(config, fabric, _random_rows(config, rng), seed=10)
    assert bench.dut.weight_delay == 1 + (fabric in (BANKS, LUT_BANKS))

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        await _check_random_ticks(ctx, bench, rng, ((1.0, 0.0), (0.5, 0.3), (1.0, 0.8)))

    simulate(bench.dut, run, watchers=[bench.watch], limit=4000)


@pytest.mark.parametrize("kind", ["types", "stochastic"])
@pytest.mark.parametrize("lanes", [1, 4, 64])
def test_the_number_of_lanes_changes_no_sum(lanes: int, kind: str) -> None:
    axons, neurons = 6, 70
    rng = np.random.default_rng(11)
    synapses = rng.integers(0, 2, (axons, neurons))
    type_weights, stochastic = rng.integers(-256, 256, (AXON_TYPES, neurons)), rng.integers(0, 2, (AXON_TYPES, neurons))
    config = CoreConfig(axons=axons, neurons=neurons, lanes=lanes, **KINDS[kind])
    words = config.neuron_words
    bench = Bench(config, POISONED_ECP5, [(axon * words, 0, words - 1) for axon in range(axons)], seed=12)
    spare = ((0, 0), (0, config.neuron_slots - neurons))
    bench.weights = np.pad(synapses, spare).reshape(config.words, lanes)
    bench.type_weights, bench.stochastic = np.pad(type_weights, spare), np.pad(stochastic, spare)
    bench.types, bench.key = np.array([0, 1, 2, 3, 1, 2]), 0x12345678
    expected = [sum(bench.weight(axon, n, int(synapses[axon, n])) for axon in range(axons)) for n in range(neurons)]

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for axon in range(axons):
            await put(ctx, bench.dut.axons, axon)
        await bench.wait(ctx)
        assert (await bench.read_out(ctx))[:neurons].tolist() == expected

    simulate(bench.dut, run, limit=4000)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_stochastic_synapse_adds_one_from_the_random_number_on(sign: int) -> None:
    # Each neuron's weight is the number that it meets, one less, one more; the fourth type's weights are the ends and zero.
    config = CoreConfig(axons=4, neurons=256, lanes=16, **KINDS["stochastic"])
    words = config.neuron_words
    bench = Bench(config, POISONED, [(axon * words, 0, words - 1) for axon in range(4)], seed=13)
    bench.weights[:], bench.stochastic[:], bench.types = 1, 1, np.arange(4)
    numbers = np.array([[_rho(bench.key, axon, n) for n in range(256)] for axon in range(4)])
    assert len(np.unique(numbers[3])) > 100
    bench.type_weights = np.clip(sign * (numbers + np.array([[0], [-1], [1], [0]])), -256, 255)
    bench.type_weights[3] = np.resize([0, sign * 255, -256], 256)
    hits = [np.ones(256), np.where(numbers[1] == 0, -1, 0), np.ones(256), np.resize([0, 1, sign * -1], 256)]
    # A weight of zero has no sign, and -1 below the number 0 is a weight that reaches it.
    hits[0] = np.where(numbers[0] == 0, 0, hits[0])

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for axon in range(4):
            await put(ctx, bench.dut.axons, axon)
            await bench.wait(ctx)
            sums = await bench.read_out(ctx)
            assert sums.tolist() == (sign * hits[axon]).tolist(), f"axon {axon}"
            np.testing.assert_array_equal(sums, bench.expected([axon]))
            await bench.wait(ctx)

    simulate(bench.dut, run, limit=4000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fabric", FABRICS, ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("words", [2, 4])
def test_rows_with_common_words_follow_each_other_at_every_distance(fabric: Fabric, kind: str, words: int) -> None:
    # All ranges of neuron words, and an empty row; each pair of them with gaps between.
    ranges = [(start, last) for start in range(words) for last in range(start, words)] + [(1, 0)]
    config = CoreConfig(axons=len(ranges), neurons=words, lanes=1, weight_words=40, **KINDS[kind])
    bench = Bench(config, fabric, [(3 * k, start, last) for k, (start, last) in enumerate(ranges)], seed=2)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for pair in itertools.product(range(len(ranges)), repeat=2):
            for axon in pair:
                await put(ctx, bench.dut.axons, axon)
            await bench.wait(ctx)
            got = await bench.read_out(ctx)
            np.testing.assert_array_equal(got, bench.expected(pair), err_msg=f"rows {[ranges[axon] for axon in pair]}")
            await bench.wait(ctx)

    simulate(bench.dut, run, limit=6000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fabric", FABRICS, ids=lambda fabric: fabric.name)
@pytest.mark.parametrize("words", [2, 3])
def test_three_short_rows_for_few_words_in_any_order(fabric: Fabric, kind: str, words: int) -> None:
    ranges = [(0, 0), (1, 1), (0, 1), (1, 2) if words == 3 else (1, 0)]
    config = CoreConfig(axons=4, neurons=words, lanes=1, weight_words=12, **KINDS[kind])
    bench = Bench(config, fabric, [(3 * k, start, last) for k, (start, last) in enumerate(ranges)], seed=3)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for axons in itertools.product(range(4), repeat=3):
            for axon in axons:
                await put(ctx, bench.dut.axons, axon)
            await bench.wait(ctx)
            np.testing.assert_array_equal(await bench.read_out(ctx), bench.expected(axons), err_msg=f"axons {axons}")
            await bench.wait(ctx)

    simulate(bench.dut, run, limit=6000)


@pytest.mark.parametrize("lanes", [4, 16])
@pytest.mark.parametrize("fabric", [POISONED, LATE, POISONED_ECP5], ids=lambda fabric: fabric.name)
def test_reading_the_sums_sets_them_to_zero(fabric: Fabric, lanes: int) -> None:
    config = dataclasses.replace(CONFIGS["four lanes, one pipeline"], weight_words=None, lanes=lanes)
    if lanes == 16:
        config = dataclasses.replace(config, neurons=30, weight_words=None)
    bench = Bench(config, fabric, [(k, 0, config.neuron_words - 1) for k in range(config.axons)], seed=4)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for axon in range(3):
            await put(ctx, bench.dut.axons, axon)
        await bench.wait(ctx)
        assert (await bench.read_out(ctx)).any()
        await bench.wait(ctx)
        assert not (await bench.read_out(ctx)).any()

    simulate(bench.dut, run, limit=2000)


@pytest.mark.parametrize(
    ("kind", "weight", "bits"), [("weights", -128, 11), ("weights", 127, 11), ("types", -256, 12), ("types", 255, 12)]
)
def test_the_largest_sums_do_not_wrap(kind: str, weight: int, bits: int) -> None:
    # 8 axons times -128 is -1024, the end of an 11-bit word; 8 times 127 is 1016. With one bit per synapse, a weight has 9 bits.
    config = CoreConfig(axons=8, neurons=4, lanes=4, **KINDS[kind])
    assert config.sum_bits == bits
    bench = Bench(config, POISONED, [(0, 0, 0)] * 8, seed=5)
    bench.weights[:] = 1 if config.typed else weight
    bench.type_weights[:] = weight

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for axon in range(8):
            await put(ctx, bench.dut.axons, axon)
        await bench.wait(ctx)
        assert (await bench.read_out(ctx)).tolist() == [8 * weight] * 4

    simulate(bench.dut, run, limit=500)


@pytest.mark.parametrize("fabric", FABRICS, ids=lambda fabric: fabric.name)
def test_the_bus_reads_back_rows_and_weights(fabric: Fabric) -> None:
    config = CoreConfig(axons=5, neurons=20, weight_bits=8, lanes=8, weight_words=37)
    bench = Bench(config, fabric, [(7 * k, k % 3, 2) for k in range(5)], seed=6)
    weights = weight_layout(config).pack({"weight": bench.weights})

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for index in range(config.words):
            assert [await bench_read(ctx, index, s) for s in range(2)] == weights[index].tolist()
        for axon, (base, start, last) in enumerate(bench.rows):
            # 37 words take 6 bits, 3 neuron words take 2.
            assert await bus_read(ctx, bench.dut.row_bus, axon) == base | start << 6 | last << 8

    async def bench_read(ctx: Any, index: int, slice_: int) -> int:
        return await bus_read(ctx, bench.dut.weight_bus, index, slice_)

    simulate(bench.dut, run, limit=2000)


@pytest.mark.parametrize("kind", ["types", "stochastic"])
@pytest.mark.parametrize("fabric", [*FABRICS, ICE40_ULTRAPLUS], ids=lambda fabric: fabric.name)
def test_the_bus_reads_back_synapses_and_type_weights(fabric: Fabric, kind: str) -> None:
    config = CoreConfig(axons=5, neurons=20, lanes=4, weight_words=37, **KINDS[kind])
    bench = Bench(config, fabric, [(7 * k, k % 5, 4) for k in range(5)], seed=14)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        for index, bits in enumerate(bench.weights.tolist()):
            assert await bus_read(ctx, bench.dut.weight_bus, index) == sum(bit << lane for lane, bit in enumerate(bits))
        words = bench.type_weight_words()
        for index, slice_ in np.ndindex(words.shape):
            assert await bus_read(ctx, bench.dut.type_weight_bus, index, slice_) == words[index, slice_]
        for axon, (base, start, last) in enumerate(bench.rows):
            # 37 words take 6 bits, 5 neuron words take 3.
            assert await bus_read(ctx, bench.dut.row_bus, axon) == base | start << 6 | last << 9 | int(bench.types[axon]) << 12

    simulate(bench.dut, run, limit=3000)


# Cycles of docs/crossbar.md -------------------------------------------------------------------------------------------------


async def _issued(ctx: Any, bench: Bench, axons: Sequence[int]) -> list[int]:
    """Cycles, from the one in which the first axon is taken, in which a weight word was read."""
    issued: list[int] = []
    cycle = 0
    waiting = list(axons)
    ctx.set(bench.dut.axons.valid, 1)
    while waiting or ctx.get(bench.dut.busy):
        if waiting:
            ctx.set(bench.dut.axons.payload, waiting[0])
        *_, ready, row_word = await ctx.tick().sample(bench.dut.axons.ready, bench.dut.row_word)
        if row_word:
            issued.append(cycle)
        if waiting and ready:
            waiting.pop(0)
            ctx.set(bench.dut.axons.valid, int(bool(waiting)))
        cycle += 1
    return issued


@pytest.mark.parametrize(("kind", "least"), [("weights", 3), ("types", 3), ("stochastic", 8)])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9])
def test_a_row_takes_its_words_but_at_least_some_cycles(length: int, kind: str, least: int) -> None:
    # The second row begins with another word than the first row's last ones, so that nothing waits.
    config = CoreConfig(axons=3, neurons=18, lanes=1, **KINDS[kind])
    assert first_row_cycles(config) == row_cycles(config, POISONED) == least
    assert ROW_CYCLES == 3
    bench = Bench(config, POISONED, [(0, 9 * (k % 2), 9 * (k % 2) + length - 1) for k in range(3)], seed=7)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        issued = await _issued(ctx, bench, range(3))
        assert issued == [least + k * max(least, length) + i for k in range(3) for i in range(length)]

    simulate(bench.dut, run, limit=500)


@pytest.mark.parametrize(("kind", "least"), [("weights", 2), ("types", 2), ("stochastic", 7)])
@pytest.mark.parametrize("neurons", [2, 4])
def test_rows_of_two_words_follow_each_other_without_a_gap(neurons: int, kind: str, least: int) -> None:
    """With sums in LUT RAM. Rows of one word that reuse it wait for nothing either."""
    words = neurons // 2
    config = CoreConfig(axons=8, neurons=neurons, lanes=2, **KINDS[kind])
    assert short_rows(config, POISONED_ECP5)
    assert not short_rows(config, POISONED)
    assert row_cycles(config, POISONED_ECP5) == least
    bench = Bench(config, POISONED_ECP5, [(words * k, 0, words - 1) for k in range(8)], seed=7)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        issued = await _issued(ctx, bench, range(8))
        assert issued == [first_row_cycles(config) + k * least + i for k in range(8) for i in range(words)]

    simulate(bench.dut, run, limit=500)


@pytest.mark.parametrize(("fabric", "window"), [(POISONED, 3), (POISONED_ECP5, 3), (LATE, 4)], ids=lambda v: getattr(v, "name", ""))
def test_a_word_is_used_again_after_three_or_four_cycles(fabric: Fabric, window: int) -> None:
    # The first row ends with the word with which the second begins.
    config = CoreConfig(axons=2, neurons=8, weight_bits=8, lanes=1)
    bench = Bench(config, fabric, [(0, 0, 5), (0, 5, 6)], seed=8)

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        issued = await _issued(ctx, bench, [0, 1])
        start = issued[0]
        assert issued == [start + i for i in range(6)] + [start + 5 + window, start + 6 + window]
        await cycles(ctx, 1)

    simulate(bench.dut, run, limit=500)


@pytest.mark.parametrize(
    ("lanes", "pipelines", "fabric", "latency"),
    [
        (4, 4, POISONED, 1),
        (4, 1, POISONED, 2),
        (8, 1, POISONED, 3),
        (16, 4, POISONED, 2),
        (4, 4, LATE, 2),
        (4, 1, LATE, 3),
        (16, 1, LATE, 3),
        (16, 1, POISONED_ECP5, 3),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_sum_latency_is_that_of_the_page(lanes: int, pipelines: int, fabric: Fabric, latency: int) -> None:
    config = CoreConfig(axons=2, neurons=16, lanes=lanes, pipelines=pipelines)
    bench = Bench(config, fabric, [(0, 0, config.neuron_words - 1)] * 2, seed=9)
    assert bench.dut.sum_latency == latency

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        await put(ctx, bench.dut.axons, 1)
        await bench.wait(ctx)
        np.testing.assert_array_equal(await bench.read_out(ctx), bench.expected([1]))

    simulate(bench.dut, run, limit=500)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fabric", "last_stage"), [(POISONED, 3), (BANKS, 4)], ids=lambda value: getattr(value, "name", ""))
def test_weights_of_types_are_added_a_cycle_later(fabric: Fabric, last_stage: int, kind: str) -> None:
    config = CoreConfig(axons=2, neurons=8, lanes=1, weight_words=20, **KINDS[kind])
    bench = Bench(config, fabric, [(0, 0, 5), (6, 2, 4)], seed=15)
    # A sum is written three cycles after its word was issued, and later if the weights come later.
    assert bench.dut.weight_delay == last_stage - 3 + config.typed

    async def run(ctx: Any) -> None:
        await bench.load(ctx)
        ctx.set(bench.dut.axons.payload, 1)
        ctx.set(bench.dut.axons.valid, 1)
        last_word = last_busy = cycle = 0
        while ctx.get(bench.dut.busy):
            *_, row_word = await ctx.tick().sample(bench.dut.row_word)
            ctx.set(bench.dut.axons.valid, 0)
            last_word, last_busy, cycle = cycle if row_word else last_word, cycle, cycle + 1
        assert last_busy == last_word + last_stage + config.typed
        np.testing.assert_array_equal(await bench.read_out(ctx), bench.expected([1]))

    simulate(bench.dut, run, limit=500)
