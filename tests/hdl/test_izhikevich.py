# amaranth: UnusedElaboratable=no
"""Izhikevich neurons through the pipeline, against plain integers that follow the page's steps."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.hdl.izhikevich import IzhikevichPipeline
from spikeloom.hdl.neuron import SUM_LATENCY
from tests.hdl.helpers import simulate

SUM_BITS = 16
LEGAL = [(1, 1), (1, 3), (2, 1), (2, 3), (2, 6), (4, 1), (4, 3), (4, 6), (4, 12)]
Word = dict[str, int]
#: State, parameters, own parameters, synaptic sum.
Neuron = tuple[Word, Word, Word, int]


def _clip(value: int, bits: int) -> int:
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


def _tick(model: Izhikevich, neuron: Neuron) -> tuple[Word, int]:
    """One tick of one neuron, step by step as on the page."""
    state, p, own, synaptic_sum = neuron
    m_bits, r_bits, drop = model.membrane_bits, model.recovery_bits, model.membrane_bits - model.multiplier_bits
    e_bits = model.step_exponent
    s = m_bits - 4 + e_bits
    g = r_bits - m_bits + 1 + e_bits
    e_fraction = max(0, e_bits - 1)
    coupling_shift = model.multiplier_bits - 1 - e_fraction - drop
    rate_shift = model.multiplier_bits + 1 - (g - e_fraction) - drop
    w = state["membrane"] if state["started"] else p["initial_membrane"]
    u = state["recovery"] if state["started"] else p["initial_recovery"]
    x = _clip((synaptic_sum << model.input_shift) + p["constant"] + own.get("bias", 0), m_bits)
    spike = 0
    for _ in range(model.substeps):
        q = ((w >> drop) * (w >> drop)) >> (s - 2 * drop)
        wn = w + q - (u >> g) + x
        fire = wn > p["threshold"]
        ws = _clip(wn, m_bits)
        e = ((p["coupling"] * (ws >> drop)) >> coupling_shift) - (u >> (g - e_fraction) if p["decay"] else 0) + p["offset"]
        e = _clip(e, m_bits)
        un = _clip(u + ((p["rate"] * (e >> drop) + (1 << (rate_shift - 1))) >> rate_shift), r_bits)
        w, u = (p["reset"], _clip(un + p["jump"], r_bits)) if fire else (ws, un)
        spike |= fire
    return {"membrane": w, "recovery": u, "started": 1}, int(spike)


def _signed(rng: random.Random, bits: int) -> int:
    """Over the whole range, small, at the ends."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    kind = rng.random()
    if kind < 0.5:
        return rng.randint(low, high)
    if kind < 0.65:
        return rng.choice([low, low + 1, -1, 0, 1, high - 1, high])
    return rng.randint(low >> 4, high >> 4)


def _draw(model: Izhikevich, rng: random.Random) -> Neuron:
    def word(fields: Any) -> Word:
        return {f.name: _signed(rng, f.bits) if f.signed else rng.randrange(1 << f.bits) for f in fields}

    state, p, own = word(model.state_fields()), word(model.parameter_fields()), word(model.own_fields())
    state["started"] = int(rng.random() < 0.8)
    synaptic_sum = _signed(rng, SUM_BITS) >> rng.choice([0, 4, 8])
    if rng.random() < 0.7:
        # The threshold is just what the potential reaches in the first sub-step, or one more or less.
        one = dataclasses.replace(model, substeps=1, multipliers=1)
        never = p | {"threshold": (1 << (model.membrane_bits - 1)) - 1}
        reached, fired = _tick(one, (state, never, own, synaptic_sum))
        if not fired:
            p["threshold"] = _clip(reached["membrane"] + rng.randint(-1, 1), model.membrane_bits)
    return state, p, own, synaptic_sum


def _run(model: Izhikevich, neurons: list[Neuron], gaps: list[int]) -> list[tuple[Word, int]]:
    """The results of neurons that start ``gaps`` intervals after one another; all ports hold something else whenever they may."""
    dut = IzhikevichPipeline(model=model, sum_bits=SUM_BITS)
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


def _check(model: Izhikevich, seed: int, count: int) -> list[int]:
    """Compare; returns the spikes."""
    rng = random.Random(seed)
    neurons = [_draw(model, rng) for _ in range(count)]
    gaps = [1 if rng.random() < 0.8 or k < count // 2 else rng.choice([2, 3, 4, 5, 9, 40]) for k in range(count)]
    results = _run(model, neurons, gaps)
    for k, (neuron, result) in enumerate(zip(neurons, results, strict=True)):
        assert result == _tick(model, neuron), f"seed {seed}, neuron {k}: {neuron}"
    return [spike for _, spike in results]


@pytest.mark.parametrize(("substeps", "multipliers"), LEGAL)
@pytest.mark.parametrize("multiplier_bits", [18, 16])
def test_every_sharing_of_multipliers_equals_the_page(substeps: int, multipliers: int, multiplier_bits: int) -> None:
    bias = 16 if multiplier_bits == 16 else 0
    model = Izhikevich(substeps=substeps, multipliers=multipliers, multiplier_bits=multiplier_bits, bias_bits=bias)
    spikes = _check(model, seed=10 * substeps + multipliers, count=90)
    assert 0.1 < sum(spikes) / len(spikes) < 0.95


@pytest.mark.parametrize(
    "model",
    [
        Izhikevich(membrane_bits=16, recovery_bits=20, multiplier_bits=16, substeps=1, step_exponent=0, input_shift=0),
        Izhikevich(
            membrane_bits=16, recovery_bits=28, multiplier_bits=16, substeps=2, step_exponent=4, multipliers=6, bias_bits=24
        ),
        Izhikevich(membrane_bits=17, recovery_bits=23, multiplier_bits=16, substeps=2, step_exponent=1, multipliers=3, bias_bits=2),
        Izhikevich(membrane_bits=18, recovery_bits=28, multiplier_bits=16, substeps=4, step_exponent=4, input_shift=12),
        Izhikevich(membrane_bits=18, recovery_bits=20, multiplier_bits=18, substeps=4, step_exponent=0, multipliers=3),
        Izhikevich(membrane_bits=18, recovery_bits=28, multiplier_bits=17, substeps=1, step_exponent=3, multipliers=3),
    ],
)
def test_widths_at_their_limits(model: Izhikevich) -> None:
    _check(model, seed=5, count=100)


@pytest.mark.parametrize("substeps", [1, 4])
def test_extremes_never_wrap(substeps: int) -> None:
    # All corners of the state and of what moves it.
    model = Izhikevich(substeps=substeps, multipliers=3)
    neurons: list[Neuron] = []
    for corner in range(64):
        fields = [*model.state_fields(), *model.parameter_fields()]
        ends = {f.name: (1 << (f.bits - 1)) - 1 if corner >> (k % 6) & 1 else -(1 << (f.bits - 1)) for k, f in enumerate(fields)}
        p = {f.name: ends[f.name] for f in model.parameter_fields()} | {"decay": corner & 1}
        state = {"membrane": ends["membrane"], "recovery": ends["recovery"], "started": corner >> 5 & 1}
        neurons.append((state, p, {}, -(1 << 15) if corner % 3 else (1 << 15) - 1))
    for neuron, result in zip(neurons, _run(model, neurons, [1] * 64), strict=True):
        assert result == _tick(model, neuron), neuron


@pytest.mark.parametrize(
    ("substeps", "multipliers", "latency", "interval"),
    [
        (1, 1, 13, 3),
        (1, 3, 13, 1),
        (2, 1, 22, 6),
        (2, 3, 22, 2),
        (2, 6, 22, 1),
        (4, 1, 40, 12),
        (4, 3, 40, 4),
        # The ring of 19 stages has an idle one, which the first of two rounds passes.
        (4, 6, 41, 2),
        (4, 12, 40, 1),
    ],
)
def test_timing_is_that_of_the_page(substeps: int, multipliers: int, latency: int, interval: int) -> None:
    timing = IzhikevichPipeline(model=Izhikevich(substeps=substeps, multipliers=multipliers), sum_bits=SUM_BITS).timing
    assert (timing.latency, timing.interval, timing.firing) == (latency, interval, 0)


def _one(model: Izhikevich, membrane: int, recovery: int, synaptic_sum: int, **parameters: int) -> tuple[int, int, int]:
    p = {field.name: 0 for field in model.parameter_fields()} | {"threshold": 131071} | parameters
    state = {"membrane": membrane, "recovery": recovery, "started": 1}
    ((after, spike),) = _run(model, [(state, p, {}, synaptic_sum)], [1])
    return after["membrane"], after["recovery"], spike


@pytest.mark.parametrize("multipliers", [1, 3])
def test_corners_worked_by_hand(multipliers: int) -> None:
    model = Izhikevich(substeps=1, multipliers=multipliers)
    # 1000^2 / 2^16 = 15.26 and 5 * 16: 1000 + 15 + 80. U is 600 / 2^9 = 1.17 LSB of W: 1094.
    assert _one(model, 1000, 600, 5) == (1094, 600, 0)
    # -600 / 2^9 rounds down to -2, so 2 are added.
    assert _one(model, 1000, -600, 5) == (1097, -600, 0)
    # The comparison is strict.
    assert _one(model, 1000, 0, 5, threshold=1095, reset=-7, jump=300) == (1095, 0, 0)
    assert _one(model, 1000, 0, 5, threshold=1094, reset=-7, jump=300) == (-7, 300, 1)
    # 100000^2 / 2^16 = 152587: beyond the range, so above the largest threshold too.
    assert _one(model, 100000, 0, 0, threshold=131071, reset=-7) == (-7, 0, 1)
    # -131072 + 262144 is 131072; one less is just the largest potential, which is not above the threshold.
    assert _one(model, -131072, 0, 0, reset=-7) == (-7, 0, 1)
    assert _one(model, -131072, 0, 0, constant=-1, reset=-7) == (131071, 0, 0)
    # e = 2^16 * 1095 / 2^16 = 1095; its change is 1024 * 1095 / 2^11 = 547.5, rounded up.
    assert _one(model, 1000, 0, 5, coupling=1 << 16, rate=1024) == (1095, 548, 0)
    assert _one(model, 1000, 0, 5, coupling=1 << 16, rate=-1024) == (1095, -547, 0)
    # The recovery variable decays: e = -(51200 >> 8) = -200, change -200 * 2^17 / 2^11 = -12800. Without decay it stays.
    assert _one(model, 0, 51200, 0, rate=131071, decay=1) == (-100, 38400, 0)
    assert _one(model, 0, 51200, 0, rate=131071) == (-100, 51200, 0)
