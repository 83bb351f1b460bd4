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
    spikes = _check(model, seed=10 * substeps + multipliers, count=120)
    assert 0.1 < sum(spikes) / len(spikes) < 0.95
