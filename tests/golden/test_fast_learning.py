"""The fast engine learns as the plain golden chip does: every spike, state field, trace, tag and weight, each tick."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.learning import LEARNING_WEIGHT_BITS, MAX_TERMS, TAG_BITS, Learning
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.golden.chip import Chip
from spikeloom.golden.fast import FastChip
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity
from spikeloom.sim.cases import Case, Events, random_case
from spikeloom.sim.fuzz import random_geometry
from tests.golden.test_fast import assert_equal_now, inject_both, plain_geometry

Memories = Sequence[Mapping[str, WordArray]]


def run_both(plain: Chip, fast: FastChip, ticks: Sequence[Events], rng: np.random.Generator | None = None) -> None:
    """Run tick by tick, with learning frozen, resumed and rewarded at random ticks; compare after each tick."""
    learners = [number for number, core in enumerate(plain.cores) if core.learning is not None]
    for events in ticks:
        if rng is not None and rng.random() < 0.3:
            number = int(rng.choice(learners))
            values: dict[str, Any] = {"enabled": bool(rng.random() < 0.8), "reward": int(rng.integers(-(1 << 12), 1 << 12))}
            chosen = {name: value for name, value in values.items() if rng.random() < 0.6}
            unit = plain.cores[number].learning
            assert unit is not None
            unit.modulate(**chosen)
            fast.modulate(number, **chosen)
        inject_both(plain, fast, events)
        expected, got = plain.tick(), fast.tick()
        for number, (fired, fired_fast) in enumerate(zip(expected.spikes, got.spikes, strict=True)):
            np.testing.assert_array_equal(fired_fast, fired[0], f"tick {plain.ticks - 1}, core {number}: spikes")
        assert_equal_now(plain, fast)
        assert_learnt_alike(plain, fast)


def assert_learnt_alike(plain: Chip, fast: FastChip) -> None:
    for number, core in enumerate(plain.cores):
        state = {} if core.learning is None else core.learning.state()
        got = fast.learning_state(number)
        assert list(got) == list(state)
        for name, values in state.items():
            assert got[name].dtype == np.int64
            np.testing.assert_array_equal(got[name], values, f"tick {plain.ticks - 1}, core {number}: {name}")


def learning_core(rng: np.random.Generator, unit: Learning, weight_bits: int, lanes: int) -> CoreConfig:
    """A random geometry, models included, whose core learns."""
    while True:
        core, _ = random_geometry(rng)
        # Models depend on the width of weights.
        if core.weight_bits == weight_bits and core.pipelines <= lanes:
            words = core.axons * -(-core.neurons // lanes)
            room = int(rng.integers(1, words + 1))
            return dataclasses.replace(core, lanes=lanes, weight_words=room, learning=unit)


def unit_of(seed: int, lanes: int) -> Learning:
    """All numbers of traces with all widths of tags, with and without the flag, within 54 seeds."""
    return Learning(
        pre_traces=seed % 3,
        post_traces=seed // 3 % 3,
        tag_bits=TAG_BITS[seed // 9 % 3],
        membrane_flag=seed // 27 % 2 == 1,
        teacher=lanes > 1 and seed % 4 > 0,
        terms=(1, 2, 5, 9, MAX_TERMS)[seed % 5],
        offsets=seed % 7 > 0,
        weight_factor=seed % 11 > 0,
        neuron_products=seed % 13 > 0,
    )


def random_core(seed: int) -> CoreConfig:
    rng = np.random.default_rng(seed)
    lanes = 1 << seed % 5
    return learning_core(rng, unit_of(seed, lanes), LEARNING_WEIGHT_BITS[seed // 2 % 3], lanes)


# Random rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(81))
def test_any_core_learns_alike(seed: int) -> None:
    config = ChipConfig(cores=(random_core(seed),))
    case = random_case(config, seed, ticks=12)
    plain, fast = Chip(config, case.image.memories), FastChip(config, case.image.memories)
    rng = np.random.default_rng(seed)
    run_both(plain, fast, case.ticks, rng)
    # What was learnt stays, and ticks begin anew.
    plain.clear()
    fast.clear()
    assert_learnt_alike(plain, fast)
    run_both(plain, fast, case.ticks[:5], rng)


@pytest.mark.parametrize("seed", range(12))
def test_meshes_learn_alike(seed: int) -> None:
    """Two or three cores, of which one does not learn, in either order."""
    rng = np.random.default_rng(seed)
    cores = [random_core(200 + seed), plain_geometry(rng), random_core(300 + seed)][: 2 + seed % 2]
    config = ChipConfig(cores=tuple(cores[:: 1 if seed % 4 < 2 else -1]), columns=len(cores))
    case = random_case(config, seed, ticks=12)
    run_both(Chip(config, case.image.memories), FastChip(config, case.image.memories), case.ticks, rng)


def run_plain(plain: Chip, case: Case) -> tuple[IntArray, IntArray, IntArray]:
    """Run a case tick by tick; its events as ``FastChip.run`` takes them all at once."""
    inputs = []
    for tick, events in enumerate(case.ticks):
        for core in range(len(plain.cores)):
            axons = events.axons[events.cores == core]
            plain.inject(core, axons, np.ones((1, len(axons)), np.bool_))
        plain.tick()
        inputs.append(np.stack([np.full(len(events.cores), tick), events.cores, events.axons]))
    when, core_of, axon = np.concatenate(inputs, axis=1)
    return when, core_of, axon


@pytest.mark.parametrize("seed", range(4))
def test_many_ticks_in_one_call_learn_the_same(seed: int) -> None:
    config = ChipConfig(cores=(random_core(400 + seed), random_core(500 + seed)), columns=2)
    case = random_case(config, seed, ticks=40)
    plain, many = Chip(config, case.image.memories), FastChip(config, case.image.memories)
    many.run(40, run_plain(plain, case))
    assert_learnt_alike(plain, many)


# Rules as they are written -----------------------------------------------------------------------------------------------


def written(
    rule: str, rng: np.random.Generator, weight_bits: int = 8, lanes: int = 8, **changes: Any
) -> tuple[ChipConfig, Memories]:
    """A core whose neurons fire now and then; some axons and neurons do not learn, some axons reach few neurons or none."""
    top = (1 << (weight_bits - 1)) - 1
    plasticity = Plasticity(rule=rule, high=top, **changes)
    unit = plasticity.unit(weight_bits)
    core = CoreConfig(axons=70, neurons=45, weight_bits=weight_bits, lanes=lanes, levels=1, models=(LIF,), learning=unit)
    weights = rng.integers(top // 2, top, (70, 45), endpoint=True)
    plastic = rng.random(70) < 0.7
    reach = np.arange(45) < rng.integers(0, 46, 70)[:, np.newaxis]
    weights = np.where(plastic[:, np.newaxis] | reach, weights, 0)
    weights[::9] = 0
    parameters = {"threshold": rng.integers(30, 50, 45) * top, "reset": 0, "retention": 3600}
    arrays = CoreArrays(
        weights=weights,
        parameters=dict.fromkeys(core.models[0].sample(rng, 1, 1), 0) | parameters,
        plasticity=plasticity,
        plastic_axons=plastic,
        plastic_neurons=rng.random(45) < 0.9,
        outputs=[[n, n] for n in range(45)],
        seed=7,
    )
    config = ChipConfig(cores=(core,))
    return config, image_from_arrays(config, [arrays], inputs=[[0, 0, 0, 0]]).memories


def at_random(rng: np.random.Generator, ticks: int, axons: int = 70) -> list[Events]:
    result = []
    for _ in range(ticks):
        active = np.flatnonzero(rng.random(axons) < 0.25)
        result.append(Events(0 * active, active, np.ones_like(active), 0 * active))
    return result


def changes_of(config: ChipConfig, memories: Memories, fast: FastChip) -> IntArray:
    before = regions(config.cores[0])["weights"].layout.unpack(memories[0]["weights"])["weight"]
    return fast.learning_state(0)["weights"] - before.reshape(-1, config.cores[0].lanes)


LIF = Lif(state_bits=24, fraction_bits=0, bias_bits=0)
TAU = {"x1": 20, "y1": 20}


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("nearest", [(), ("x1",), ("x1", "y1")])
@pytest.mark.parametrize(("weight_bits", "lanes"), [(4, 1), (8, 4), (8, 16), (16, 2)])
def test_pair_rule_changes_weights_both_ways(weight_bits: int, lanes: int, nearest: tuple[str, ...], stochastic: bool) -> None:
    rng = np.random.default_rng([weight_bits, lanes, len(nearest)])
    rule = "dw = 1 * x1 * y0 - 1 * x0 * y1"
    config, memories = written(rule, rng, weight_bits, lanes, tau=TAU, nearest=nearest, stochastic=stochastic)
    plain, fast = Chip(config, memories), FastChip(config, memories)
    lowest = highest = 0
    for events in at_random(rng, 50):
        before = fast.learning_state(0)["weights"]
        run_both(plain, fast, [events])
        changes = fast.learning_state(0)["weights"] - before
        lowest, highest = min(lowest, changes.min()), max(highest, changes.max())
    assert plain.cores[0].spikes[0] > 50
    assert lowest < 0
    assert highest > 0


@pytest.mark.parametrize("stochastic", [False, True])
def test_rule_with_tags_rewards_and_epochs(stochastic: bool) -> None:
    rng = np.random.default_rng(5)
    rule = "dt = 20 * x1 * y0 - 20 * x0 * y1 - 2^-3 * u * t; dw = 2^-5 * u * r * t"
    config, memories = written(rule, rng, tau=TAU, epoch=4, reward=1.5, stochastic=stochastic)
    plain, fast = Chip(config, memories), FastChip(config, memories)
    run_both(plain, fast, at_random(rng, 30))
    assert np.abs(fast.learning_state(0)["tags"]).max() > 10
    before = fast.learning_state(0)["weights"]
    assert changes_of(config, memories, fast).any()
    # Frozen: traces go on, weights and tags stay.
    for unit in (plain.cores[0].learning, fast):
        assert unit is not None
        unit.modulate(*([0] if unit is fast else []), enabled=False)  # type: ignore[union-attr]
    run_both(plain, fast, at_random(rng, 8))
    np.testing.assert_array_equal(fast.learning_state(0)["weights"], before)


def test_slow_traces_fall_by_a_unit_at_least() -> None:
    """With the longest time constants rounding alone would keep them."""
    rng = np.random.default_rng(8)
    config, memories = written("dw = 1 * x1 * y0 - 1 * x0 * y1", rng, tau={"x1": 60000, "y1": 60000})
    plain, fast = Chip(config, memories), FastChip(config, memories)
    run_both(plain, fast, at_random(rng, 12))
    before = fast.learning_state(0)
    run_both(plain, fast, at_random(rng, 3, axons=0))
    for name in ("x1", "y1"):
        assert before[name].any()
        assert (fast.learning_state(0)[name] < before[name])[before[name] > 0].all()


def test_bounds_hold_at_every_tick() -> None:
    rng = np.random.default_rng(6)
    config, memories = written("dw = 30 * x1 * y0 - 30 * x0 * y1", rng, tau=TAU)
    plain, fast = Chip(config, memories), FastChip(config, memories)
    run_both(plain, fast, at_random(rng, 40))
    weights = fast.learning_state(0)["weights"][changes_of(config, memories, fast) != 0]
    assert weights.min() == 0
    assert weights.max() == 127


# Refusals ----------------------------------------------------------------------------------------------------------------


def test_a_reward_that_does_not_fit_is_refused() -> None:
    config, memories = written("dw = 1 * x1 * y0 - 1 * x0 * y1", np.random.default_rng(0), tau=TAU)
    fast = FastChip(config, memories)
    for reward in (4096, -4097):
        with pytest.raises(ConfigError, match=f"^reward is {reward}; it must be -4096 to 4095$"):
            fast.modulate(0, reward=reward)
