# amaranth: UnusedElaboratable=no
"""Sums of terms against plain Python integers, as ``docs/learning.md`` has them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.learning import FLAG, First, Learning, Second, Target, term_layout
from spikeloom.hdl.change import Changes, random_taken, result_cycles
from tests.hdl.helpers import simulate

LANES, LOW, HIGH = 2, -90, 100
FULL = Learning(pre_traces=2, post_traces=2, tag_bits=8, membrane_flag=True, terms=8)
#: With the width of weights.
UNITS = {
    "everything": (FULL, 8),
    "16 bits": (dataclasses.replace(FULL, tag_bits=16), 16),
    "no sums": (dataclasses.replace(FULL, offsets=False), 8),
    "no products of the neuron": (dataclasses.replace(FULL, neuron_products=False), 8),
    "plain": (dataclasses.replace(FULL, offsets=False, weight_factor=False, neuron_products=False), 16),
}


def _synapses(rng: np.random.Generator) -> dict[str, Any]:
    """Everything of one place but its terms."""
    return {
        "x0": int(rng.integers(0, 2)),
        "x": rng.integers(0, 4096, 2).tolist(),
        "y": rng.integers(0, 4096, (LANES, 2)).tolist(),
        "reward": int(rng.integers(-4096, 4096)),
        "weights": rng.integers(LOW, HIGH + 1, LANES).tolist(),
        "tags": rng.integers(-128, 128, LANES).tolist(),
        "v0": rng.integers(0, 2, LANES).tolist(),
        "chosen": int(rng.integers(0, 1 << LANES)),
        "random": rng.integers(0, 4096, LANES).tolist(),
    }


def _terms(rng: np.random.Generator, unit: Learning) -> list[dict[str, int]]:
    """One to three terms of the weight, or of the tag, that cannot overflow and that the unit can do."""
    target, count = int(rng.integers(0, 2)), int(rng.integers(1, 4))
    terms = [
        {
            "shift": int(rng.integers(8, 16)),
            "negative": int(rng.integers(0, 2)),
            "first": int(rng.integers(0, len(First))),
            "second": int(rng.integers(0, len(Second))),
            "target": target,
            "last": int(number == count - 1),
            "first_compared": int(rng.random() < 0.2),
            "second_compared": int(rng.random() < 0.2),
            "first_constant": int(rng.integers(-4096, 4096)),
            "second_constant": int(rng.integers(-2048, 2048)),
        }
        for number in range(count)
    ]
    for term in terms:
        if not unit.neuron_products and term["first"] in (First.Y1, First.Y2):
            term["first"] = First.X1
        if not unit.weight_factor and term["second"] == Second.W:
            term["second"] = Second.Y1
        for which in ("first", "second"):
            if not unit.offsets:
                term[f"{which}_compared"] = 0
                term[f"{which}_constant"] *= term[which] == 0
    return terms


def _expected(place: dict[str, Any], terms: list[dict[str, int]], tag_bits: int) -> list[int]:
    """New weights or tags."""
    result = []
    for lane in range(LANES):
        target = terms[0]["target"]
        old = place["tags" if target == Target.TAG else "weights"][lane]
        first = {First.NONE: 0, First.X0: FLAG * place["x0"], First.R: place["reward"]}
        first |= dict(zip((First.X1, First.X2, First.Y1, First.Y2), place["x"] + place["y"][lane], strict=True))
        second = {
            Second.NONE: 0,
            Second.W: place["weights"][lane],
            Second.T: place["tags"][lane],
            Second.V0: FLAG * place["v0"][lane],
        }
        second |= dict(zip((Second.Y1, Second.Y2), place["y"][lane], strict=True))
        total = place["random"][lane]
        for term in terms:
            a, b = first[First(term["first"])] + term["first_constant"], second[Second(term["second"])] + term["second_constant"]
            a = FLAG * (a >= 0) if term["first_compared"] else a
            b = FLAG * (b >= 0) if term["second_compared"] else b
            value = a * b >> term["shift"]
            total += -value if term["negative"] else value
        limit = 1 << (tag_bits - 1)
        low, high = (-limit, limit - 1) if target == Target.TAG else (LOW, HIGH)
        result.append(min(max(old + (total >> 12), low), high) if place["chosen"] >> lane & 1 else old)
    return result


@pytest.mark.parametrize("name", UNITS)
def test_random_terms_one_per_cycle_equal_the_page(name: str) -> None:
    unit, bits = UNITS[name]
    rng = np.random.default_rng(1)
    places = [(_synapses(rng), _terms(rng, unit)) for _ in range(300)]
    layout = term_layout(unit, bits)
    slots: list[tuple[dict[str, Any], dict[str, int] | None]] = []
    for place, terms in places:
        slots += [(place, term) for term in terms]
        # Now and then a pause.
        slots += [(place, None)] * int(rng.random() < 0.3)
    dut = Changes(config=CoreConfig(axons=4, neurons=4, lanes=LANES, weight_bits=bits, learning=unit))
    got: list[tuple[int, list[int]]] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.low, LOW)
        ctx.set(dut.high, HIGH)
        for cycle in range(len(slots) + result_cycles(unit)):
            if cycle < len(slots):
                place, term = slots[cycle]
                ctx.set(dut.valid, term is not None)
                if term is not None:
                    ctx.set(dut.term, {name: term[name] for name in (field.name for field in layout.fields)})
                for port in ("x0", "x", "y", "reward", "weights", "tags", "chosen"):
                    ctx.set(getattr(dut, port), place[port])
                ctx.set(dut.v0, sum(bit << lane for lane, bit in enumerate(place["v0"])))
            else:
                ctx.set(dut.valid, 0)
            if 0 <= cycle - random_taken(unit) < len(slots):
                ctx.set(dut.random, slots[cycle - random_taken(unit)][0]["random"])
            if ctx.get(dut.done):
                got.append((ctx.get(dut.target), [ctx.get(dut.result[lane]) for lane in range(LANES)]))
            await ctx.tick()
        if ctx.get(dut.done):
            got.append((ctx.get(dut.target), [ctx.get(dut.result[lane]) for lane in range(LANES)]))

    simulate(dut, bench, limit=len(slots) + 100)
    assert got == [(terms[0]["target"], _expected(place, terms, unit.tag_bits)) for place, terms in places]
    changed = [want != place["weights"] for (target, want), (place, _) in zip(got, places, strict=True) if target == Target.WEIGHT]
    assert sum(changed) > 40
