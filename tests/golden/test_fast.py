"""The fast engine computes what the plain golden chip does: every spike, output, state field, pending event and counter, each tick."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ImageError, InputError, ToolError
from spikeloom.arch.layout import WordArray
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.examples.own_neuron.resonate import Resonate
from spikeloom.golden import native
from spikeloom.golden.chip import Chip
from spikeloom.golden.fast import COUNTERS, FastChip
from spikeloom.golden.fast_tables import direct_weights
from spikeloom.sim.cases import Events, random_case
from spikeloom.sim.fuzz import random_geometry
from tests.helpers import core_configs, empty_contents, lif_models, pack, relay_config, relay_contents

Memories = Sequence[Mapping[str, WordArray]]


def assert_equal_now(plain: Chip, fast: FastChip) -> None:
    """State, pending events and counters of both."""
    assert fast.ticks == plain.ticks
    assert fast.misrouted == plain.misrouted[0]
    for number, core in enumerate(plain.cores):
        state = fast.state(number)
        assert list(state) == list(core.state)
        for name, values in core.state.items():
            np.testing.assert_array_equal(state[name], values[0], f"tick {plain.ticks - 1}, core {number}: {name}")
        np.testing.assert_array_equal(fast.pending(number), core.scheduler.pending[:, 0], f"tick {plain.ticks - 1}, core {number}")
        axons = {} if core.short_term is None else core.short_term.state()
        got = fast.short_term_state(number)
        assert list(got) == list(axons)
        for name, values in axons.items():
            assert got[name].dtype == np.int64
            np.testing.assert_array_equal(got[name], values, f"tick {plain.ticks - 1}, core {number}: {name}")
        for name in COUNTERS:
            assert getattr(fast, name)[number] == getattr(core, name)[0], f"tick {plain.ticks - 1}, core {number}: {name}"


def inject_both(plain: Chip, fast: FastChip, events: Events) -> None:
    for core in range(len(plain.cores)):
        here = events.cores == core
        axons, delays = events.axons[here], events.delays[here]
        fast.inject(core, axons, delays)
        for delay in np.unique(delays).tolist():
            same = axons[delays == delay]
            plain.inject(core, same, np.ones((1, len(same)), np.bool_), delay)


def run_both(config: ChipConfig, memories: Memories, ticks: Sequence[Events]) -> tuple[Chip, FastChip]:
    """Run tick by tick; compare after each."""
    plain, fast = Chip(config, memories), FastChip(config, memories)
    for tick, events in enumerate(ticks):
        inject_both(plain, fast, events)
        assert_equal_now(plain, fast)
        expected, got = plain.tick(), fast.tick()
        for number, (fired, fired_fast) in enumerate(zip(expected.spikes, got.spikes, strict=True)):
            np.testing.assert_array_equal(fired_fast, fired[0], f"tick {tick}, core {number}: spikes")
        np.testing.assert_array_equal(got.outputs, expected.numbers[expected.outputs[0]], f"tick {tick}: outputs")
        assert_equal_now(plain, fast)
    return plain, fast


def one_core(config: CoreConfig) -> ChipConfig:
    return ChipConfig(cores=(config,))


def plain_geometry(rng: np.random.Generator) -> CoreConfig:
    """A random core whose weights stay as they are."""
    return dataclasses.replace(random_geometry(rng)[0], learning=None)


def random_mesh(seed: int) -> ChipConfig:
    """One to six different cores, in one chip or in two."""
    rng = np.random.default_rng(seed)
    columns, rows = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2))[seed % 6]
    cores = tuple(plain_geometry(rng) for _ in range(columns * rows))
    return ChipConfig(cores=cores, columns=columns, rows=rows, chips_across=2 if columns == 2 and seed % 4 < 2 else 1)


def broken_routes(config: ChipConfig, memories: Memories, seed: int) -> list[dict[str, WordArray]]:
    """The same memories with some destinations that no compiler would write: outside the mesh, no such axon, delay 0, no host."""
    rng = np.random.default_rng(seed)
    result = []
    for core, memory in zip(config.cores, memories, strict=True):
        layout = regions(core)["routes"].layout
        routes = layout.unpack(memory["routes"])
        for field in layout.fields:
            anything = rng.integers(field.low, field.high, core.routes, endpoint=True)
            routes[field.name] = np.where(rng.random(core.routes) < 0.6, anything, routes[field.name])
        result.append({**memory, "routes": layout.pack(routes)})
    return result


# Random chips ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_random_meshes_are_equal_after_every_tick(seed: int) -> None:
    config = random_mesh(seed)
    # More ticks than two turns of the slots.
    case = random_case(config, seed, ticks=40)
    plain, _ = run_both(config, case.image.memories, case.ticks)
    assert sum(int(core.events[0]) for core in plain.cores) > 0


# In case 3 no neuron with such a destination fires.
@pytest.mark.parametrize("seed", [seed for seed in range(21) if seed != 3])
def test_packets_to_nowhere_are_counted_alike(seed: int) -> None:
    config = random_mesh(100 + seed)
    case = random_case(config, seed, ticks=20)
    _, fast = run_both(config, broken_routes(config, case.image.memories, seed), case.ticks)
    assert fast.dropped.any()
    assert fast.misrouted > 0 or len(config.cores) == 1


@settings(max_examples=40)
@given(core_configs(), st.integers(0, 1 << 30))
def test_any_core_is_equal_after_every_tick(config: CoreConfig, seed: int) -> None:
    case = random_case(one_core(config), seed, ticks=20)
    run_both(one_core(config), case.image.memories, case.ticks)


@settings(max_examples=60)
@given(lif_models(), st.integers(0, 1 << 30))
def test_every_option_of_lif_is_equal(model: Lif, seed: int) -> None:
    config = one_core(CoreConfig(axons=20, neurons=70, weight_bits=8, lanes=8, models=(model,), levels=3))
    case = random_case(config, seed, ticks=20)
    run_both(config, case.image.memories, case.ticks)


@pytest.mark.parametrize("seed", range(6))
def test_many_ticks_in_one_call_are_the_same_ticks(seed: int) -> None:
    config = random_mesh(200 + seed)
    case = random_case(config, seed, ticks=40)
    single, many = FastChip(config, case.image.memories), FastChip(config, case.image.memories)
    spikes, outputs, inputs = [], [], []
    for tick, events in enumerate(case.ticks):
        inputs.append(np.stack([np.full(len(events.cores), tick), events.cores, events.axons]))
        for core in range(len(config.cores)):
            single.inject(core, events.axons[events.cores == core])
        result = single.tick()
        outputs += [(tick, number) for number in result.outputs.tolist()]
        for core, fired in enumerate(result.spikes):
            spikes += [(tick, core, neuron) for neuron in np.flatnonzero(fired).tolist()]
    # The events of a call may come in any order.
    when, core, axon = np.random.default_rng(seed).permutation(np.concatenate(inputs, axis=1), axis=1)
    first, second = when < 17, when >= 17
    runs = [
        many.run(17, (when[first], core[first], axon[first]), spikes=True),
        many.run(23, (when[second] - 17, core[second], axon[second]), spikes=True),
    ]
    ticks = np.concatenate([runs[0].output_ticks, runs[1].output_ticks])
    numbers = np.concatenate([runs[0].outputs, runs[1].outputs])
    assert list(zip(ticks.tolist(), numbers.tolist(), strict=True)) == outputs
    got = [np.concatenate([getattr(run, name) for run in runs]) for name in ("spike_ticks", "spike_cores", "spike_neurons")]
    assert list(zip(*(values.tolist() for values in got), strict=True)) == spikes
    for number in range(len(config.cores)):
        np.testing.assert_array_equal(many.pending(number), single.pending(number))
        for name, values in single.state(number).items():
            np.testing.assert_array_equal(many.state(number)[name], values)
    for name in COUNTERS:
        np.testing.assert_array_equal(getattr(many, name), getattr(single, name))


def test_a_cleared_chip_begins_again() -> None:
    config = random_mesh(5)
    case = random_case(config, 5, ticks=10)
    fast, fresh = FastChip(config, case.image.memories), FastChip(config, case.image.memories)
    for chip in (fast, fresh):
        if chip is fast:
            chip.inject(0, np.arange(5), 3)
            chip.run(7)
            chip.clear()
        for events in case.ticks:
            chip.inject(0, events.axons, events.delays)
            chip.tick()
    for number in range(len(config.cores)):
        np.testing.assert_array_equal(fast.pending(number), fresh.pending(number))
        for name, values in fresh.state(number).items():
            np.testing.assert_array_equal(fast.state(number)[name], values)
    np.testing.assert_array_equal(fast.events, fresh.events)
    assert (fast.ticks, fast.misrouted) == (fresh.ticks, fresh.misrouted)


# Corners -----------------------------------------------------------------------------------------------------------------


def full_core(**changes: Any) -> CoreConfig:
    arguments: dict[str, Any] = {
        "axons": 40,
        "neurons": 24,
        "lanes": 8,
        "models": (Lif(state_bits=28, fraction_bits=12, bias_bits=0),),
        "levels": 1,
    }
    return CoreConfig(**(arguments | changes))


def all_active(config: CoreConfig, ticks: int) -> list[Events]:
    axons = np.arange(config.axons)
    one = np.ones(config.axons, np.int64)
    return [Events(0 * one, axons, one, 0 * one)] * ticks


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
@pytest.mark.parametrize("highest", [False, True])
@pytest.mark.parametrize("axons", [40, 256, 257, 600])
def test_sums_at_the_bounds_of_the_accumulator(bits: int, highest: bool, axons: int) -> None:
    # 256 axons of weight -128 are just -2**15, the last sum that has 16 bits.
    config = full_core(weight_bits=bits, axons=axons)
    contents = empty_contents(config)
    contents["weights"]["weight"][:] = (1 << (bits - 1)) - 1 if highest else -(1 << (bits - 1))
    contents["rows"] |= {
        "base": np.arange(axons) * 3,
        "start": np.zeros(axons, np.int64),
        "last": np.full(axons, 2),
    }
    contents["parameters"]["retention"][:] = np.arange(24) * 178
    run_both(one_core(config), [pack(config, contents)], all_active(config, 4))


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("weight", [-256, 255, 128, -129])
@pytest.mark.parametrize("lanes", [1, 8, 16, 64])
def test_typed_sums_at_the_bounds_of_the_accumulator(weight: int, lanes: int, stochastic: bool) -> None:
    config = full_core(weight_bits=1, axons=256, lanes=lanes, stochastic_synapses=stochastic)
    contents = empty_contents(config)
    contents["weights"]["weight"][:] = 1
    contents["type_weights"]["weight"][:] = weight
    if stochastic:
        contents["type_weights"]["stochastic"][: len(contents["type_weights"]["stochastic"]) // 2] = 1
        contents["seed"]["seed"][:] = 12345
    words = config.neuron_words
    contents["rows"] |= {
        "base": np.arange(256) * words,
        "start": np.zeros(256, np.int64),
        "last": np.full(256, words - 1),
        "type": np.arange(256) % 4,
    }
    run_both(one_core(config), [pack(config, contents)], all_active(config, 4))


def test_a_chip_without_rows_and_destinations_stays_at_rest() -> None:
    config = full_core()
    _, fast = run_both(one_core(config), [pack(config, empty_contents(config))], all_active(config, 3))
    assert fast.spikes[0] == 0
    assert fast.row_words[0] == 0
    assert fast.events[0] == 3 * 40


def test_events_from_outside_merge_are_dropped_and_wait_up_to_15_ticks() -> None:
    config = relay_config()
    memory = pack(config, relay_contents(config))
    plain, fast = Chip(one_core(config), [memory]), FastChip(one_core(config), [memory])
    # Twice axon 0, an axon that does not exist, a negative one, and delay 0.
    axons, delays = np.array([0, 0, 3, -1, 1, 2]), np.array([15, 15, 1, 1, 0, 14])
    for axon, delay in zip(axons.tolist(), delays.tolist(), strict=True):
        plain.inject(0, np.array([axon]), np.ones((1, 1), np.bool_), delay)
    fast.inject(0, axons, delays)
    assert_equal_now(plain, fast)
    assert fast.merged[0] == 1
    assert fast.dropped[0] == 3
    active = []
    for tick in range(40):
        before = int(fast.events[0])
        expected, got = plain.tick(), fast.tick()
        np.testing.assert_array_equal(got.spikes[0], expected.spikes[0][0])
        assert_equal_now(plain, fast)
        active += [tick] * (int(fast.events[0]) - before)
    # Axon 2 in tick 13, axon 0 in tick 14; its neuron reaches axon 2 one tick later.
    assert active == [13, 14, 15]


def test_a_model_of_ones_own_runs_beside_lif() -> None:
    config = ChipConfig(
        cores=(
            CoreConfig(axons=30, neurons=20, lanes=4, models=(Resonate(), Lif()), levels=4),
            CoreConfig(axons=12, neurons=9, lanes=4, models=(Resonate(),), levels=2),
        ),
        columns=2,
    )
    case = random_case(config, 3, ticks=30)
    plain, _ = run_both(config, case.image.memories, case.ticks)
    assert all(core.spikes[0] > 0 for core in plain.cores)


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
@pytest.mark.parametrize("lanes", [1, 2, 16, 64])
def test_direct_weights_are_read_as_the_layout_says(bits: int, lanes: int) -> None:
    config = full_core(weight_bits=bits, lanes=lanes)
    layout = regions(config)["weights"].layout
    weights = np.random.default_rng(bits).integers(-(1 << (bits - 1)), 1 << (bits - 1), (config.words, lanes))
    words = layout.pack({"weight": weights[:, 0] if lanes == 1 else weights})
    np.testing.assert_array_equal(direct_weights(config, words), weights)


# Refusals ----------------------------------------------------------------------------------------------------------------


def test_memories_that_leave_their_bounds_are_refused() -> None:
    config = relay_config()
    contents = relay_contents(config)
    contents["rows"]["base"] = np.array([5, 0, 5])
    contents["rows"]["last"] = np.array([1, 0, 1])
    with pytest.raises(ImageError, match="a row leaves the weight memory or the neurons"):
        FastChip(one_core(config), [pack(config, contents)])
    config = relay_config(destinations=3)
    contents = relay_contents(config)
    contents["route_index"] = {"first": np.array([2, 1]), "count": np.array([2, 1])}
    contents["routes"] = {name: np.resize(values, 3) for name, values in contents["routes"].items()}
    with pytest.raises(ImageError, match="a destination list leaves the routing memory"):
        FastChip(one_core(config), [pack(config, contents)])


def test_events_that_no_slot_or_tick_can_take_are_refused() -> None:
    config = relay_config()
    fast = FastChip(one_core(config), [pack(config, relay_contents(config))])
    for delay in (-1, 16):
        with pytest.raises(InputError, match=f"^an event has the delay {delay}; it must be 0 to 15$"):
            fast.inject(0, np.array([0, 1]), np.array([1, delay]))
    zeros = np.zeros(2, np.int64)
    for tick in (-1, 4):
        with pytest.raises(InputError, match=f"^an event is for tick {tick} of a run of 4 ticks$"):
            fast.run(4, (np.array([3, tick]), zeros, zeros))
    assert fast.ticks == 0
    assert not fast.pending(0).any()


def test_without_a_compiler_the_message_says_what_to_do(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "empty.cpp"
    source.write_text("")
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(
        ToolError, match=r"needs a C\+\+ compiler, and none of g\+\+, clang\+\+, c\+\+ is on the PATH.*plain golden"
    ):
        native.compile_library(source)


def test_a_library_is_compiled_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "seven.cpp"
    source.write_text('extern "C" int seven() { return 7; }')
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "cache"))
    first = native.compile_library(source)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert native.compile_library(source) == first
    assert native.library(source).seven() == 7
    assert [path.name for path in (tmp_path / "cache" / "native").iterdir()] == [first.name]


def test_a_changed_header_is_compiled_anew(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source, header = tmp_path / "number.cpp", tmp_path / "number.h"
    source.write_text('#include <cstdint>\n#include "number.h"\nextern "C" int32_t number() { return NUMBER; }')
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "cache"))
    found = []
    for number in (7, 8):
        header.write_text(f"#define NUMBER {number}")
        found.append(ctypes.CDLL(str(native.compile_library(source))).number())
    assert found == [7, 8]


def test_an_error_of_the_compiler_is_told(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "wrong.cpp"
    source.write_text("this is not C++")
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path))
    with pytest.raises(ToolError, match=r"failed while compiling wrong\.cpp: .*error"):
        native.compile_library(source)
