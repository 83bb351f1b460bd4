# amaranth: UnusedElaboratable=no
"""Neurons through the pipelines of their models: order, pace, parameters and write-back, against the golden steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import models_and_sets, pack_neurons, regions, state_of_neurons, unpack_neurons
from spikeloom.arch.random import random_numbers
from spikeloom.golden.neuron import step_of
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.neuron import Timing, pipeline_class
from spikeloom.hdl.update import Update
from tests.hdl.helpers import POISONED, POISONED_ECP5, bus_read, bus_write, cycles, simulate

SMALL = Lif(state_bits=16, fraction_bits=2, bias_bits=8, refractory_bits=2)
NOISY = Lif(
    state_bits=16, fraction_bits=2, bias_bits=0, refractory_bits=0, leak_bits=6, stochastic_leak=True, threshold_noise_bits=6
)
SLOW, FAST = Izhikevich(multiplier_bits=16, substeps=2, bias_bits=6), Izhikevich(multiplier_bits=16, substeps=2, multipliers=6)


def _core(pipelines: int, **changes: Any) -> CoreConfig:
    """Three words of neurons, the last of which is half full."""
    lanes = max(4, 2 * pipelines)
    arguments: dict[str, Any] = {
        "axons": 16,
        "neurons": 2 * lanes + lanes // 2,
        "lanes": lanes,
        "pipelines": pipelines,
        "models": (SMALL,),
    }
    return CoreConfig(**(arguments | changes))


#: Name: geometry, fabric, cycles from ``read`` to ``sums``.
CASES: dict[str, tuple[CoreConfig, Fabric, int]] = {
    "one pipeline": (_core(1), POISONED, 2),
    "one pipeline, late sums, slow memory": (_core(1), POISONED_ECP5, 3),
    "two pipelines, early sums": (_core(2, group=2), POISONED, 1),
    "four pipelines, large groups": (_core(4, group=8), POISONED_ECP5, 2),
    "random numbers, two pipelines": (_core(2, models=(NOISY,)), POISONED, 2),
    "sets, one pipeline": (_core(1, sets=3), POISONED, 2),
    "sets, four pipelines, slow memory": (_core(4, sets=5), POISONED_ECP5, 3),
    "one multiplier": (_core(1, models=(SLOW,)), POISONED, 2),
    "one multiplier, sets, two pipelines": (_core(2, models=(SLOW,), sets=4), POISONED_ECP5, 2),
    "two models, one pipeline": (_core(1, models=(SMALL, SLOW)), POISONED, 2),
    "two models, two pipelines, slow memory": (_core(2, models=(SLOW, SMALL), group=2), POISONED_ECP5, 2),
    "two models with sets, four pipelines": (_core(4, models=(NOISY, FAST), sets=6), POISONED, 3),
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", CASES)


def _models(config: CoreConfig) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Models of the neurons: runs of rows of all lengths, two of a kind side by side as well as single rows."""
    rows = np.arange(config.neurons // config.pipelines)
    align = max(1, config.group // config.pipelines)
    pattern = np.array([0, 0, 1, 0, 1, 1, 1, 0, 0, 1])[(rows // align) % 10] % len(config.models)
    return np.repeat(pattern, config.pipelines)


class Bench:
    """Random parameters of all neurons, sums on demand, and what comes out in which cycle."""

    def __init__(self, name: str, model_of: Any = None, seed: int = 1) -> None:
        self.config, fabric, self.sum_latency = CASES[name]
        config = self.config
        self.dut = Update(config=config, fabric=fabric, sum_latency=self.sum_latency)
        self.timings: list[Timing] = [pipeline_class(model).timing_of(model) for model in config.models]
        self.rng = rng = np.random.default_rng(seed)
        self.table = regions(config)
        model_of = _models(config) if model_of is None else model_of
        # Sets belong to the models in turn.
        count = config.parameter_sets
        if config.sets is None:
            set_of = np.arange(config.neurons) // config.group
        else:
            set_of = rng.integers(0, count // len(config.models), config.neurons) * len(config.models) + model_of
        self.memory: dict[str, Any] = {}
        if config.kinds:
            layout = self.table["kinds"].layout
            values = {"model": model_of, "set": set_of}
            self.memory["kinds"] = layout.pack({field.name: values[field.name] for field in layout.fields})
        self.model_of, self.set_of = models_and_sets(config, self.memory.get("kinds"))
        model_of_sets = np.zeros(count, np.int64)
        model_of_sets[set_of] = model_of
        samples = {size: [model.sample(rng, size, 10) for model in config.models] for size in {count, config.neurons}}
        for region_name in ("parameters", "firing", "own"):
            if region_name in self.table:
                region = self.table[region_name]
                owner = model_of if region_name == "own" else model_of_sets
                fields = [
                    None if layout is None else {field.name: sample[field.name] for field in layout.fields}
                    for layout, sample in zip(region.variants, samples[region.depth], strict=True)
                ]
                self.memory[region_name] = pack_neurons(region, fields, owner)
        names = {field.name for model in config.models for field in model.state_fields()}
        self.state = {field: np.zeros(config.neurons, np.int64) for field in names}
        self.sums = np.zeros(config.neuron_slots, np.int64)
        self.cycle = 0
        #: (cycle, spikes, last) of each result, and (cycle, word) of each read.
        self.results: list[tuple[int, int, int]] = []
        self.reads: list[tuple[int, int]] = []
        self.busy: list[int] = []

    async def watch(self, ctx: Any) -> None:
        """The crossbar's side, and a record of the rest."""
        dut, pipelines = self.dut, self.config.pipelines
        fetched = np.zeros(self.config.lanes, np.int64)
        queue: list[Any] = [np.zeros(pipelines, np.int64)] * (self.sum_latency - 1)
        while True:
            _, _, read, word, select, valid, spikes, last, busy = await ctx.tick().sample(
                dut.read, dut.word, dut.select, dut.valid, dut.spikes, dut.last, dut.busy
            )
            if read:
                lanes = slice(word * self.config.lanes, (word + 1) * self.config.lanes)
                fetched = self.sums[lanes].copy()
                self.sums[lanes] = 0
                self.reads.append((self.cycle, word))
            queue.append(fetched[select * pipelines : (select + 1) * pipelines])
            for i, value in enumerate(queue.pop(0).tolist()):
                ctx.set(dut.sums[i], value)
            if valid:
                self.results.append((self.cycle, spikes, last))
            else:
                assert spikes == 0
            self.busy.append(busy)
            self.cycle += 1

    async def load(self, ctx: Any) -> None:
        for name, words in self.memory.items():
            for index, word in enumerate(words.tolist()):
                await bus_write(ctx, getattr(self.dut, f"{name}_bus"), index, word)

    async def clear(self, ctx: Any) -> None:
        ctx.set(self.dut.clear, 1)
        for index in range(max(self.dut.rows, self.config.neuron_words)):
            ctx.set(self.dut.clear_index, index)
            await ctx.tick()
        ctx.set(self.dut.clear, 0)

    async def tick(self, ctx: Any, last: int, live: int, key: int) -> int:
        """Update once; the cycle of ``start``."""
        dut = self.dut
        self.results.clear()
        self.reads.clear()
        ctx.set(dut.last_neuron, last)
        ctx.set(dut.last_started, live)
        if "key" in dut.signature.members:
            ctx.set(dut.key, key)
        ctx.set(dut.start, 1)
        begun = self.cycle
        await ctx.tick()
        ctx.set(dut.start, 0)
        while ctx.get(dut.busy):
            await ctx.tick()
        await cycles(ctx, 2)
        assert not any(self.busy[begun : begun + 1])
        return begun

    def expect(self, sums: Any, live: int, key: int) -> list[int]:
        """Step the neurons up to ``live``; spikes of each row."""
        config = self.config
        fired = np.zeros(config.neurons, np.bool_)
        words = {
            name: unpack_neurons(self.table[name], self.memory[name])
            for name in ("parameters", "firing", "own")
            if name in self.memory
        }
        for number, model in enumerate(config.models):
            neurons = np.flatnonzero((self.model_of == number) & (np.arange(config.neurons) <= live))
            parameters = {
                field: values[neurons if name == "own" else self.set_of[neurons]]
                for name, per_model in words.items()
                for field, values in per_model[number].items()
            }
            random = random_numbers(key, neurons) if model.random else np.zeros(len(neurons), np.int64)
            state = {field.name: self.state[field.name][np.newaxis, neurons] for field in model.state_fields()}
            after, spikes = step_of(model)(model, parameters, state, sums[np.newaxis, neurons], random)
            fired[neurons] = spikes[0]
            for name, values in after.items():
                self.state[name][neurons] = values[0]
        return [int(bits) for bits in fired.reshape(-1, config.pipelines) @ (1 << np.arange(config.pipelines))]

    async def check_state(self, ctx: Any) -> None:
        region = self.table["state"]
        words = [
            [await bus_read(ctx, self.dut.state_bus, index, slice_) for slice_ in range(region.layout.slices)]
            for index in range(region.depth)
        ]
        got = state_of_neurons(self.config, np.array(words, np.uint32), self.memory.get("kinds"))
        for name, values in got.items():
            assert values.tolist() == self.state[name].tolist(), name

    def taken(self, last: int) -> list[int]:
        """Cycles after ``start`` in which the rows are taken, by the page."""
        models = self.model_of[: last + 1 : self.config.pipelines].tolist()
        result = [3 if self.config.kinds else 1]
        for before, model in pairwise(models):
            timing = self.timings[before]
            result.append(result[-1] + (timing.interval if model == before else timing.latency + 2))
        return result


@EVERY
def test_rows_equal_the_golden_steps_in_order_and_in_time(name: str) -> None:
    bench = Bench(name)
    config = bench.config
    full = config.neurons - 1
    part = config.pipelines * 2 - 1
    fired = []

    async def drive(ctx: Any) -> None:
        await bench.load(ctx)
        await bench.clear(ctx)
        await bench.check_state(ctx)
        # All neurons; some that take part; some in use, of which one row takes part; all again.
        for number, (last, live) in enumerate(
            [(full, full), (full, full), (full, part), (part, config.pipelines - 1), (full, full)]
        ):
            sums = bench.rng.integers(-150, 250, config.neuron_slots)
            bench.sums[:] = sums
            key = int(bench.rng.integers(0, 1 << 32))
            begun = await bench.tick(ctx, last, live, key)
            expected = bench.expect(sums, live, key)
            rows = (last + 1) // config.pipelines
            taken = bench.taken(last)
            assert [spikes for _, spikes, _ in bench.results] == expected[:rows]
            assert [at_last for *_, at_last in bench.results] == [0] * (rows - 1) + [1]
            done = [cycle + bench.timings[bench.model_of[row * config.pipelines]].latency + 1 for row, cycle in enumerate(taken)]
            assert [cycle - begun for cycle, *_ in bench.results] == done, number
            # The sums of every word in use have been fetched once, and no others.
            words = last // config.lanes + 1
            assert [word for _, word in bench.reads] == list(range(words))
            assert not bench.sums[: words * config.lanes].any()
            np.testing.assert_array_equal(bench.sums[words * config.lanes :], sums[words * config.lanes :])
            # Busy from the cycle after start to that of the last result.
            assert bench.busy[begun : begun + done[-1] + 3] == [0] + [1] * done[-1] + [0, 0]
            await bench.check_state(ctx)
            fired.extend(expected)

    simulate(bench.dut, drive, watchers=[bench.watch], limit=60_000)
    assert any(fired)
    assert not all(fired)


@EVERY
def test_clearing_sets_states_and_sums_to_zero(name: str) -> None:
    bench = Bench(name, seed=2)
    config = bench.config

    async def drive(ctx: Any) -> None:
        await bench.load(ctx)
        await bench.clear(ctx)
        sums = bench.rng.integers(-150, 250, config.neuron_slots)
        bench.sums[:] = sums
        await bench.tick(ctx, config.neurons - 1, config.neurons - 1, 7)
        bench.expect(sums, config.neurons - 1, 7)
        assert any(values.any() for values in bench.state.values())
        bench.sums[:] = sums
        bench.reads.clear()
        await bench.clear(ctx)
        await cycles(ctx, 1)
        assert {word for _, word in bench.reads} >= set(range(config.neuron_words))
        assert not bench.sums.any()
        bench.state = {name: np.zeros_like(values) for name, values in bench.state.items()}
        await bench.check_state(ctx)
        # The memories that an image holds are as they were: the same tick once more.
        bench.sums[:] = sums
        await bench.tick(ctx, config.neurons - 1, config.neurons - 1, 7)
        assert [spikes for _, spikes, _ in bench.results] == bench.expect(sums, config.neurons - 1, 7)

    simulate(bench.dut, drive, watchers=[bench.watch], limit=20_000)


@pytest.mark.parametrize("name", [name for name in CASES if len(CASES[name][0].models) > 1])
@pytest.mark.parametrize("first", [0, 1])
def test_all_neurons_of_one_model_follow_each_other_without_a_gap(name: str, first: int) -> None:
    config, *_ = CASES[name]
    bench = Bench(name, model_of=np.full(config.neurons, first))

    async def drive(ctx: Any) -> None:
        await bench.load(ctx)
        await bench.clear(ctx)
        for _ in range(2):
            begun = await bench.tick(ctx, config.neurons - 1, config.neurons - 1, 3)
            timing = bench.timings[first]
            rows = config.neurons // config.pipelines
            done = [3 + row * timing.interval + timing.latency + 1 for row in range(rows)]
            assert [cycle - begun for cycle, *_ in bench.results] == done

    simulate(bench.dut, drive, watchers=[bench.watch], limit=20_000)


@pytest.mark.parametrize(("sets", "models", "members"), [
    (None, (SMALL,), {"parameters_bus", "firing_bus", "own_bus", "state_bus"}),
    (None, (Lif(bias_bits=0),), {"parameters_bus", "firing_bus", "state_bus"}),
    (None, (Izhikevich(),), {"parameters_bus", "state_bus"}),
    (2, (SMALL,), {"parameters_bus", "firing_bus", "own_bus", "state_bus", "kinds_bus"}),
    (None, (NOISY, Izhikevich()), {"parameters_bus", "firing_bus", "state_bus", "kinds_bus", "key"}),
])  # fmt: skip
def test_ports_are_there_only_for_what_the_core_has(sets: int | None, models: Any, members: set[str]) -> None:
    dut = Update(config=CoreConfig(axons=4, neurons=8, sets=sets, models=models), fabric=POISONED, sum_latency=2)
    assert {name for name in dut.signature.members if name.endswith("_bus") or name == "key"} == members
