"""The fast engine has short-term plasticity as the plain golden chip: every spike, state field, facilitation and depression, each tick."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.arch.short_term import STEP_BITS
from spikeloom.golden.chip import Chip
from spikeloom.golden.fast import COUNTERS, FastChip
from spikeloom.golden.short_term import ShortTerm
from spikeloom.sim.cases import Events, random_case
from spikeloom.sim.fuzz import random_geometry
from tests.golden.test_fast import all_active, full_core, one_core, plain_geometry, run_both
from tests.golden.test_fast_learning import assert_learnt_alike, run_plain
from tests.helpers import empty_contents, pack


def random_core(rng: np.random.Generator) -> CoreConfig:
    """A random geometry with short-term plasticity; learning and all else as drawn."""
    while True:
        core, _ = random_geometry(rng)
        if not core.typed:
            return dataclasses.replace(core, short_term=True)


# Random chips ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_any_core_is_equal_after_every_tick(seed: int) -> None:
    config = one_core(random_core(np.random.default_rng(seed)))
    case = random_case(config, seed, ticks=30)
    plain, fast = run_both(config, case.image.memories, case.ticks)
    assert_learnt_alike(plain, fast)


def test_random_cores_have_all_widths_and_learn_or_not() -> None:
    cores = [random_core(np.random.default_rng(seed)) for seed in range(60)]
    assert {core.weight_bits for core in cores} == {2, 4, 8, 16}
    assert {core.learning is None for core in cores} == {True, False}
    assert {len(core.models) for core in cores} >= {1, 2}


@pytest.mark.parametrize("seed", range(12))
def test_cores_of_a_mesh_have_it_or_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cores = [random_core(rng), dataclasses.replace(plain_geometry(rng), short_term=False), random_core(rng)][: 2 + seed % 2]
    config = ChipConfig(cores=tuple(cores[:: 1 if seed % 4 < 2 else -1]), columns=len(cores))
    case = random_case(config, seed, ticks=20)
    plain, fast = run_both(config, case.image.memories, case.ticks)
    assert_learnt_alike(plain, fast)


@pytest.mark.parametrize("seed", range(4))
def test_many_ticks_in_one_call_and_after_clear(seed: int) -> None:
    rng = np.random.default_rng(300 + seed)
    config = ChipConfig(cores=(random_core(rng), random_core(rng)), columns=2)
    config = dataclasses.replace(config, cores=tuple(dataclasses.replace(core, learning=None) for core in config.cores))
    case = random_case(config, seed, ticks=40)
    plain, many = Chip(config, case.image.memories), FastChip(config, case.image.memories)
    inputs = run_plain(plain, case)
    for _ in range(2):
        many.run(40, inputs)
        for number, core in enumerate(plain.cores):
            assert core.short_term is not None
            for name, values in (core.short_term.state() | {name: values[0] for name, values in core.state.items()}).items():
                got = many.short_term_state(number) | many.state(number)
                np.testing.assert_array_equal(got[name], values, name)
            for name in COUNTERS:
                assert getattr(many, name)[number] == getattr(core, name)[0]
        many.clear()
        assert not any(values.any() for number in range(2) for values in many.short_term_state(number).values())


# Corners -----------------------------------------------------------------------------------------------------------------


def contents_with(config: CoreConfig, weight: IntArray | int, **short_term: IntArray | int) -> dict[str, dict[str, IntArray]]:
    """Full rows of a weight for each axon, and parameters of the axons; those that are left out are 0."""
    contents = empty_contents(config)
    words = config.neuron_words
    contents["weights"]["weight"][:] = np.repeat(np.broadcast_to(weight, config.axons), words)[:, np.newaxis]
    axons = np.arange(config.axons)
    contents["rows"] |= {"base": axons * words, "start": 0 * axons, "last": 0 * axons + words - 1}
    fields = regions(config)["short_term"].layout.fields
    contents["short_term"] = {field.name: 0 * axons + short_term.get(field.name, 0) for field in fields}
    return contents


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
@pytest.mark.parametrize("highest", [False, True])
@pytest.mark.parametrize("axons", [1, 40, 256, 257])
def test_sums_at_the_bounds_of_the_accumulator(bits: int, highest: bool, axons: int) -> None:
    """Every other axon is plain, or all but one."""
    config = full_core(weight_bits=bits, axons=axons, short_term=True)
    weight = (1 << (bits - 1)) - 1 if highest else -(1 << (bits - 1))
    for use in (np.where(np.arange(axons) % 2 == 0, 65535, 0), np.where(np.arange(axons) == axons - 1, 60000, 0)):
        contents = contents_with(config, weight, use=use, depression_decay=60000)
        contents["parameters"]["retention"][:] = np.arange(24) * 178
        run_both(one_core(config), [pack(config, contents)], all_active(config, 4))


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_every_weight_is_rounded_alike(bits: int) -> None:
    """One axon at a time, so that a sum is a single synapse; 64 efficacies of each weight."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    weights = np.unique(np.linspace(low, high, 256).astype(np.int64))
    config = full_core(weight_bits=bits, axons=64, neurons=len(weights), lanes=2, short_term=True)
    contents = contents_with(config, 0, use=np.linspace(1, 65535, 64).astype(np.int64))
    contents["weights"]["weight"][:] = np.tile(weights, 64).reshape(-1, 2)
    # Retentions are 0, so that nothing stays from one tick to the next; thresholds are the highest.
    zero, one = np.zeros(1, np.int64), np.ones(1, np.int64)
    ticks = [Events(zero, zero + axon, one, zero) for axon in range(64)]
    _, fast = run_both(one_core(config), [pack(config, contents)], ticks)
    # The last one has the efficacy 4095 of 4096, and a potential has 12 bits behind the point.
    np.testing.assert_array_equal(fast.state(0)["membrane"] >> 12, (weights * 4095 + 2048) >> 12)


def test_steps_of_all_lengths_over_many_ticks() -> None:
    """Longer than 2**16 ticks, with few events; against the unit of the plain model alone."""
    axons = 1 << STEP_BITS
    steps = np.arange(axons)
    config = CoreConfig(axons=axons, neurons=4, lanes=4, levels=1, models=(Lif(),), short_term=True)
    fields = {
        "use": 3000 + 2000 * steps,
        "facilitation_decay": 65535 - 100 * steps,
        "facilitation_step": steps,
        "depression_decay": 65000 + 30 * steps,
        "depression_step": steps[::-1],
    }
    fast = FastChip(one_core(config), [pack(config, contents_with(config, 1, **fields))])
    unit = ShortTerm(fields)
    events = [0, 5, 1000, 32767, 40000, 65535, 65536, 66000]
    stops = [32767, 32768, 65535, 65536, 67000]
    active = np.ones((1, axons), np.bool_)
    begin = 0
    for stop in stops:
        here = np.array([tick - begin for tick in events if begin <= tick < stop], np.int64)
        when = np.repeat(here, axons)
        fast.run(stop - begin, (when, 0 * when, np.tile(steps, len(here))))
        for tick in range(begin, stop):
            if tick in events:
                unit.arrive(active)
            unit.decay(tick)
        for name, values in unit.state().items():
            np.testing.assert_array_equal(fast.short_term_state(0)[name], values, f"tick {stop}: {name}")
        begin = stop
    assert all(values.any() for values in fast.short_term_state(0).values())


def test_axons_come_to_rest_and_are_used_again() -> None:
    """Five words of 64 axons, of which few have events: those at rest are passed over."""
    config = CoreConfig(axons=300, neurons=8, lanes=8, levels=1, models=(Lif(),), short_term=True)
    rng = np.random.default_rng(3)
    fields = {name: rng.integers(0, 40000, 300) for name in ("use", "facilitation_decay", "depression_decay")}
    memory = pack(config, contents_with(config, rng.integers(-128, 128, 300), **fields))
    ticks, quiet = [], [Events(*np.zeros((4, 0), np.int64))] * 40
    for _ in range(8):
        axons = np.flatnonzero((rng.random(300) < 0.3) & (np.arange(300) // 64 == rng.integers(0, 5)))
        ticks += [Events(0 * axons, axons, 0 * axons + 1, 0 * axons), *quiet]
    _, fast = run_both(one_core(config), [memory], ticks)
    assert not any(values.any() for values in fast.short_term_state(0).values())
