# amaranth: UnusedElaboratable=no
"""A neuron per cycle through the pipeline, against the golden step."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spikeloom.arch.config import RETENTION_FRACTION, CoreConfig
from spikeloom.arch.memory_map import Reset
from spikeloom.golden.lif import LifParameters, lif_step
from spikeloom.hdl.lif import SUM_LATENCY, Lif
from tests.hdl.helpers import simulate

IntArray = npt.NDArray[np.int64]
NEURONS = 200


def _config(state_bits: int, bias: bool, refractory: bool, relative: bool, **changes: Any) -> CoreConfig:
    arguments: dict[str, Any] = {
        "axons": 40,
        "neurons": 8,
        "weight_bits": 8,
        "lanes": 1,
        "state_bits": state_bits,
        "fraction_bits": 3,
        "bias_bits": min(16, state_bits) if bias else 0,
        "refractory_bits": 4 if refractory else 0,
        "relative_reset": relative,
    }
    return CoreConfig(**(arguments | changes))


def _signed(rng: np.random.Generator, bits: int, count: int = NEURONS) -> IntArray:
    """Numbers over the whole range, near zero, and at the ends."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    kinds = [
        rng.integers(low, high, count, endpoint=True),
        rng.integers(max(low, -4), min(high, 3), count, endpoint=True),
        rng.choice([low, low + 1, -1, 0, 1, high - 1, high], count),
        rng.integers(max(low, low // 64), high // 64, count, endpoint=True),
    ]
    return np.clip(np.choose(rng.integers(0, len(kinds), count), kinds), low, high).astype(np.int64)


def _draw(config: CoreConfig, seed: int) -> tuple[LifParameters, IntArray, IntArray, IntArray]:
    """Parameters, potentials, refractory counters and sums; thresholds are often near the potential that they are compared with."""
    rng = np.random.default_rng(seed)
    bits, zero = config.state_bits, np.zeros(NEURONS, np.int64)
    one = 1 << RETENTION_FRACTION
    retention = np.where(rng.random(NEURONS) < 0.4, rng.choice([0, 1, one - 1, one], NEURONS), rng.integers(0, one, NEURONS))
    longest = (1 << config.refractory_bits) - 1
    parameters = LifParameters(
        retention=retention,
        threshold=_signed(rng, bits),
        reset=_signed(rng, bits),
        reset_mode=rng.integers(0, 2, NEURONS) if config.relative_reset else zero,
        refractory=rng.integers(0, longest, NEURONS, endpoint=True),
        bias=_signed(rng, config.bias_bits) if config.bias_bits else zero,
    )
    membrane, sums = _signed(rng, bits), _signed(rng, config.sum_bits)
    refractory = np.where(rng.random(NEURONS) < 0.6, 0, rng.integers(0, longest, NEURONS, endpoint=True))
    # What the neuron reaches without a threshold, to set the threshold to exactly that, one below and one above.
    top = (1 << (bits - 1)) - 1
    never = LifParameters(retention, np.full(NEURONS, top), zero, zero, zero, parameters.bias)
    reached, _, _ = lif_step(config, never, membrane[np.newaxis], zero[np.newaxis], sums[np.newaxis])
    near = np.clip(reached[0] + rng.integers(-1, 2, NEURONS), -top - 1, top)
    parameters.threshold[:] = np.where(rng.random(NEURONS) < 0.6, near, parameters.threshold)
    return parameters, membrane, refractory, sums


def _stream(
    config: CoreConfig,
    parameters: LifParameters,
    membrane: IntArray,
    refractory: IntArray,
    sums: IntArray,
    real: npt.NDArray[np.bool_],
) -> list[tuple[int, int, int]]:
    """Neuron k enters in cycle k; returns potential, refractory counter and spike of each, as they stand ``latency`` cycles later."""
    dut = Lif(config=config)
    results: list[tuple[int, int, int]] = []
    p = parameters

    async def bench(ctx: Any) -> None:
        for cycle in range(len(membrane) + dut.latency - 1):
            k = cycle
            if k < len(membrane):
                state = {"membrane": int(membrane[k])}
                leak = {"retention": int(p.retention[k])}
                if config.refractory_bits:
                    state["refractory"] = int(refractory[k])
                if config.relative_reset:
                    leak["reset_mode"] = int(p.reset_mode[k])
                ctx.set(dut.state, state)
                ctx.set(dut.leak, leak)
                if config.bias_bits:
                    ctx.set(dut.bias, int(p.bias[k]))
            k = cycle - SUM_LATENCY
            if 0 <= k < len(membrane):
                ctx.set(dut.synaptic_sum, int(sums[k]))
            k = cycle - dut.firing_latency
            if 0 <= k < len(membrane):
                # The memory holds the complement of the threshold.
                firing = {"threshold": -1 - int(p.threshold[k]), "reset": int(p.reset[k])}
                if config.refractory_bits:
                    firing["refractory"] = int(p.refractory[k])
                ctx.set(dut.firing, firing)
            k = cycle - dut.latency + 1
            ctx.set(dut.last_stage, int(0 <= k < len(membrane) and real[k]))
            await ctx.tick()
            if cycle - dut.latency + 1 >= 0:
                counter = ctx.get(dut.new_state.refractory) if config.refractory_bits else 0
                results.append((ctx.get(dut.new_state.membrane), counter, ctx.get(dut.spike)))

    simulate(dut, bench, limit=len(membrane) + 100)
    return results


def _check(config: CoreConfig, seed: int) -> npt.NDArray[np.bool_]:
    parameters, membrane, refractory, sums = _draw(config, seed)
    # Now and then a cycle without a neuron lies between.
    real = np.random.default_rng([seed, 1]).random(NEURONS) < 0.9
    got = _stream(config, parameters, membrane, refractory, sums, real)
    expected = lif_step(config, parameters, membrane[np.newaxis], refractory[np.newaxis], sums[np.newaxis])
    for k in range(NEURONS):
        want = tuple(int(part[0, k]) for part in expected) if real[k] else (0, 0, 0)
        assert got[k] == want, (
            f"seed {seed}, neuron {k}: V {membrane[k]}, counter {refractory[k]}, sum {sums[k]}, "
            f"{ {name: int(getattr(parameters, name)[k]) for name in LifParameters.__dataclass_fields__} }"
        )
    return np.asarray(expected[2][0], np.bool_)


@pytest.mark.parametrize(("bias", "refractory", "relative"), list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize("state_bits", [8, 16, 17, 28])
def test_a_neuron_per_cycle_equals_the_golden_step(state_bits: int, bias: bool, refractory: bool, relative: bool) -> None:
    config = _config(state_bits, bias, refractory, relative)
    spikes = _check(config, seed=state_bits)
    assert 0.05 < spikes.mean() < 0.85


@pytest.mark.parametrize(
    "config",
    [
        # The sum is far wider than the potential, then far narrower; the widest and the narrowest bias.
        CoreConfig(axons=8192, neurons=1, lanes=1, weight_bits=16, weight_words=9, state_bits=8, fraction_bits=12, bias_bits=8),
        CoreConfig(axons=1, neurons=1, lanes=1, weight_bits=2, state_bits=26, fraction_bits=0, bias_bits=26),
        CoreConfig(axons=1, neurons=1, lanes=1, weight_bits=2, state_bits=20, fraction_bits=12, bias_bits=1, refractory_bits=1),
        CoreConfig(axons=1, neurons=1, lanes=1, weight_bits=16, state_bits=24, fraction_bits=5, bias_bits=2, refractory_bits=8),
        CoreConfig(axons=2, neurons=1, lanes=1, weight_bits=2, state_bits=13, fraction_bits=0, bias_bits=0, refractory_bits=0),
    ],
)
def test_widths_at_their_limits(config: CoreConfig) -> None:
    _check(config, seed=5)


@pytest.mark.parametrize(
    ("state_bits", "bias", "refractory", "firing_latency"),
    [
        (16, False, False, 4),
        (16, True, False, 5),
        (16, False, True, 5),
        (16, True, True, 5),
        (17, False, False, 5),
        (17, True, False, 6),
        (17, False, True, 6),
    ],
)
def test_latency_is_that_of_the_page(state_bits: int, bias: bool, refractory: bool, firing_latency: int) -> None:
    dut = Lif(config=_config(state_bits, bias, refractory, relative=False))
    assert (dut.firing_latency, dut.latency) == (firing_latency, firing_latency + 1)


def _one(config: CoreConfig, membrane: int, counter: int, synaptic_sum: int, **parameters: int) -> tuple[int, int, int]:
    values = {"retention": 4096, "threshold": 1000, "reset": 0, "reset_mode": 0, "refractory": 0, "bias": 0} | parameters
    arrays = {name: np.array([value]) for name, value in values.items()}
    (result,) = _stream(
        config, LifParameters(**arrays), np.array([membrane]), np.array([counter]), np.array([synaptic_sum]), np.array([True])
    )
    return result


@pytest.mark.parametrize("state_bits", [12, 20])
def test_corners_worked_by_hand(state_bits: int) -> None:
    config = _config(state_bits, bias=True, refractory=True, relative=True)
    # -3 * 2048 / 4096 = -1.5 becomes -1, and 3 * 0.5 becomes 1: toward zero.
    assert _one(config, -3, 0, 0, retention=2048) == (-1, 0, 0)
    assert _one(config, 3, 0, 0, retention=2048) == (1, 0, 0)
    # -1 * 4095 / 4096 becomes 0; the potential dies out.
    assert _one(config, -1, 0, 0, retention=4095) == (0, 0, 0)
    # 5 * 2**3 + 2 = 42 is above 41 and not above 42.
    assert _one(config, 0, 0, 5, bias=2, threshold=41, reset=7, refractory=9) == (7, 9, 1)
    assert _one(config, 0, 0, 5, bias=2, threshold=42, reset=7, refractory=9) == (42, 0, 0)
    # Relative: 42 - 41 stays.
    assert _one(config, 0, 0, 5, bias=2, threshold=41, reset=-41, reset_mode=Reset.RELATIVE) == (1, 0, 1)
    # Held: neither leak nor input nor spike; the counter falls.
    assert _one(config, 900, 3, 50, retention=0, bias=99, threshold=0) == (900, 2, 0)
    # Saturation at both ends; the largest threshold is never exceeded.
    top = (1 << (state_bits - 1)) - 1
    assert _one(config, top, 0, 8000, threshold=top) == (top, 0, 0)
    assert _one(config, -top - 1, 0, -8000, threshold=top) == (-top - 1, 0, 0)


def test_a_cycle_without_a_neuron_gives_zero() -> None:
    config = _config(16, bias=True, refractory=True, relative=True)
    parameters = {name: np.full(3, 5) for name in LifParameters.__dataclass_fields__}
    parameters["threshold"], parameters["reset_mode"] = np.full(3, -100), np.zeros(3, np.int64)
    real = np.array([True, False, True])
    ones = np.ones(3, np.int64)
    got = _stream(config, LifParameters(**parameters), ones, ones - 1, ones, real)
    assert got == [(5, 5, 1), (0, 0, 0), (5, 5, 1)]
