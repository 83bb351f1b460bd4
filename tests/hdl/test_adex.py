# amaranth: UnusedElaboratable=no
"""AdEx neurons through the pipeline, against plain integers that follow the page's lines."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from spikeloom.arch.adex import AdEx
from spikeloom.hdl.adex import AdExPipeline
from spikeloom.hdl.neuron import SUM_LATENCY
from tests.hdl.helpers import simulate

SUM_BITS = 16
Word = dict[str, int]
#: State, parameters, own parameters, synaptic sum.
Neuron = tuple[Word, Word, Word, int]


def _clip(value: int, bits: int) -> int:
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


def _tick(model: AdEx, neuron: Neuron) -> tuple[Word, int]:
    """One tick of one neuron, line by line as on the page."""
    state, p, own, synaptic_sum = neuron
    m, r, t = model.membrane_bits, model.recovery_bits, model.table_bits
    v = state["membrane"] if state["started"] else p["initial_membrane"]
    u = state["recovery"] if state["started"] else p["initial_recovery"]
    x = synaptic_sum * 2**model.input_shift + p["drive"] + own.get("bias", 0)
    spike = 0
    for _ in range(model.substeps):
        operand = v >> (m - 16)
        leak = (operand * p["leak"]) >> (33 - m)
        e = min(operand >> 8, 7)
        f = operand & 255
        k, g = f >> (8 - t), f & (2 ** (8 - t) - 1)
        low, high = (round(2 ** (16 + n / 2**t)) for n in (k, k + 1))
        mantissa = low + (((high - low) * g) >> (8 - t))
        power = ((mantissa << 7) >> (24 - m)) >> (7 - e)
        v1 = _clip(v - leak + power - (u >> (r - m + 4)) + x, m)
        q = _clip(((operand * p["coupling"]) >> 14) - (u >> (r - 16)), 16)
        u1 = _clip(u + ((q * p["rate"] + 2 ** (34 - r)) >> (35 - r)), r)
        fire = v1 > p["peak"]
        v, u = (p["reset"], _clip(u1 + p["increment"], r)) if fire else (v1, u1)
        spike |= fire
    return {"membrane": v, "recovery": u, "started": 1}, int(spike)


def _signed(rng: random.Random, bits: int) -> int:
    """Over the whole range, smaller, at the ends."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    kind = rng.random()
    if kind < 0.35:
        return rng.randint(low, high)
    if kind < 0.5:
        return rng.choice([low, low + 1, -1, 0, 1, high - 1, high])
    return rng.randint(low >> 4, high >> 4)


def _draw(model: AdEx, rng: random.Random) -> Neuron:
    def word(fields: Any) -> Word:
        return {f.name: _signed(rng, f.bits) if f.signed else rng.randrange(1 << f.bits) for f in fields}

    state, p, own = word(model.state_fields()), word(model.parameter_fields()), word(model.own_fields())
    state["started"] = int(rng.random() < 0.8)
    synaptic_sum = _signed(rng, SUM_BITS) >> rng.choice([0, 4, 8, 12])
    # Little input, so that the power of two and the leak are seen.
    p["drive"] >>= rng.choice([0, 4, 8])
    if rng.random() < 0.7:
        # The peak is just what the potential reaches in the first step, or one more or less.
        never = p | {"peak": (1 << (model.membrane_bits - 1)) - 1}
        reached, _ = _tick(dataclasses.replace(model, substeps=1), (state, never, own, synaptic_sum))
        p["peak"] = _clip(reached["membrane"] + rng.randint(-1, 1), model.membrane_bits)
    return state, p, own, synaptic_sum


def _run(model: AdEx, neurons: list[Neuron], gaps: list[int]) -> list[tuple[Word, int]]:
    """The results of neurons that start ``gaps`` intervals after one another; the sum is something else in all other cycles."""
    dut = AdExPipeline(model=model, sum_bits=SUM_BITS)
    timing = dut.timing
    starts = [timing.interval * sum(gaps[: k + 1]) for k in range(len(neurons))]
    rng = random.Random(1)
    got: dict[int, tuple[Word, int]] = {}

    async def bench(ctx: Any) -> None:
        by_cycle = dict(zip(starts, neurons, strict=True))
        for cycle in range(starts[-1] + timing.latency + 20):
            neuron = by_cycle.get(cycle)
            ctx.set(dut.start, int(neuron is not None))
            if neuron is not None:
                ctx.set(dut.state, neuron[0])
                ctx.set(dut.parameters, neuron[1])
                if neuron[2]:
                    ctx.set(dut.own, neuron[2])
            sums = by_cycle.get(cycle - SUM_LATENCY)
            ctx.set(dut.synaptic_sum, _signed(rng, SUM_BITS) if sums is None else sums[3])
            await ctx.tick()
            result = {name: ctx.get(dut.new_state[name]) for name in ("membrane", "recovery", "started")}, ctx.get(dut.spike)
            if ctx.get(dut.done):
                got[cycle + 1] = result
            else:
                assert result == ({"membrane": 0, "recovery": 0, "started": 0}, 0), f"not zero in cycle {cycle + 1}"

    simulate(dut, bench, limit=starts[-1] + timing.latency + 100)
    assert list(got) == [start + timing.latency for start in starts]
    return list(got.values())


def _check(model: AdEx, seed: int, count: int) -> list[int]:
    """Compare; returns the spikes."""
    rng = random.Random(seed)
    neurons = [_draw(model, rng) for _ in range(count)]
    gaps = [1 if rng.random() < 0.8 or k < count // 2 else rng.choice([2, 3, 4, 5, 9, 40]) for k in range(count)]
    results = _run(model, neurons, gaps)
    for k, (neuron, result) in enumerate(zip(neurons, results, strict=True)):
        assert result == _tick(model, neuron), f"seed {seed}, neuron {k}: {neuron}"
    return [spike for _, spike in results]


@pytest.mark.parametrize("substeps", range(1, 17))
def test_any_number_of_steps_equals_the_page(substeps: int) -> None:
    spikes = _check(AdEx(substeps=substeps), seed=substeps, count=60 if substeps < 5 else 20)
    assert 0.05 < sum(spikes) / len(spikes) < 0.97


@pytest.mark.parametrize("table_bits", [4, 5, 6, 7, 8])
@pytest.mark.parametrize(("membrane_bits", "recovery_bits"), [(18, 16), (21, 22), (24, 24)])
def test_widths_and_tables(membrane_bits: int, recovery_bits: int, table_bits: int) -> None:
    bias, shift = {18: (0, 0), 21: (21, 7), 24: (2, 16)}[membrane_bits]
    model = AdEx(
        membrane_bits=membrane_bits,
        recovery_bits=recovery_bits,
        substeps=2,
        input_shift=shift,
        bias_bits=bias,
        table_bits=table_bits,
    )
    _check(model, seed=table_bits, count=60)


def test_every_power_of_two_on_the_way_up() -> None:
    # No leak, no input: one step adds the power alone, and each potential is the operand of another exponent and fraction.
    model = AdEx(substeps=1, bias_bits=0)
    p = {field.name: 0 for field in model.parameter_fields()} | {"peak": (1 << 21) - 1}
    neurons: list[Neuron] = [({"membrane": v, "recovery": 0, "started": 1}, p, {}, 0) for v in range(-30 << 14, 12 << 14, 811)]
    for neuron, result in zip(neurons, _run(model, neurons, [1] * len(neurons)), strict=True):
        assert result == _tick(model, neuron), neuron


def test_extremes_never_wrap() -> None:
    model = AdEx(substeps=2, input_shift=16)
    fields = [*model.state_fields(), *model.parameter_fields(), *model.own_fields()]
    neurons: list[Neuron] = []
    for corner in range(64):
        ends = {}
        for k, field in enumerate(fields):
            low, high = (-(1 << (field.bits - 1)), (1 << (field.bits - 1)) - 1) if field.signed else (0, (1 << field.bits) - 1)
            ends[field.name] = high if corner >> (k % 6) & 1 else low
        words = [
            {f.name: ends[f.name] for f in part} for part in (model.state_fields(), model.parameter_fields(), model.own_fields())
        ]
        neurons.append((words[0], words[1], words[2], [0, 32767, -32768][corner % 3]))
    for neuron, result in zip(neurons, _run(model, neurons, [1] * 64), strict=True):
        assert result == _tick(model, neuron), neuron


@pytest.mark.parametrize(
    ("substeps", "latency"),
    [(1, 13), (2, 22), (4, 40), (5, 49), (8, 76), (16, 148), (3, 33), (9, 93), (6, 68), (12, 134), (15, 167)],
)
def test_timing_is_that_of_the_page(substeps: int, latency: int) -> None:
    timing = AdExPipeline(model=AdEx(substeps=substeps), sum_bits=SUM_BITS).timing
    assert (timing.latency, timing.interval, timing.firing) == (latency, substeps, 0)


def _one(model: AdEx, membrane: int, recovery: int, synaptic_sum: int, **parameters: int) -> tuple[int, int, int]:
    p = {field.name: 0 for field in model.parameter_fields()} | {"peak": 2097151} | parameters
    state = {"membrane": membrane, "recovery": recovery, "started": 1}
    ((after, spike),) = _run(model, [(state, p, {}, synaptic_sum)], [1])
    return after["membrane"], after["recovery"], spike


def test_corners_worked_by_hand() -> None:
    model = AdEx(substeps=1, input_shift=2, bias_bits=0)
    one = 1 << 14
    # 2**0 = 1 and 2**3 = 8.
    assert _one(model, 0, 0, 0) == (one, 0, 0)
    assert _one(model, 3 * one, 0, 0) == (11 * one, 0, 0)
    # At -20 nothing is left of the power; the sum counts four times.
    assert _one(model, -20 * one, 0, 5) == (-20 * one + 20, 0, 0)
    # From 8 on the exponent stays 7: 2**7.5 instead of 2**9.5 is 181, which saturates anyhow.
    assert _one(model, 9 * one + one // 2, 0, 0) == ((1 << 21) - 1, 0, 0)
    # The comparison is strict.
    assert _one(model, 0, 0, 0, peak=one, reset=-7, increment=300) == (one, 0, 0)
    assert _one(model, 0, 0, 0, peak=one - 1, reset=-7, increment=300) == (-7, 300, 1)
    # Leak of 1/8 of -20. U of 1 is 2**18, and 2**14 at the potential.
    assert _one(model, -20 * one, 1 << 18, 0, leak=1 << 14) == (-20 * one + 20 * one // 8 - one, 1 << 18, 0)
    # U follows: -20 / 16 - 1 = -2.25, of which 1/32 is -0.0703125.
    assert _one(model, -20 * one, 1 << 18, 0, coupling=1 << 14, rate=1 << 14)[1] == (1 << 18) - 18432
