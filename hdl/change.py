"""Changes of weights and tags: one term per cycle for all lanes. Described in ``docs/learning.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.learning import (
    CHANGE_FRACTION_BITS,
    FIRST_CONSTANT_BITS,
    FLAG,
    REWARD_BITS,
    SEEN_BITS,
    First,
    Second,
    Target,
    term_layout,
)
from spikeloom.hdl.layouts import struct_of

#: Cycles from a term to the cycle in which the random numbers of its lanes are taken, and to that in which its result can be written.
RANDOM_TAKEN, RESULT = 5, 7
#: Bits of the first factor: its variable and its constant have 13 each.
FIRST_BITS = max(FIRST_CONSTANT_BITS, REWARD_BITS, SEEN_BITS + 1) + 1


def later(m: Module, value: Value, cycles: int, name: str) -> list[Value]:
    """A value, and registers that hold it 1 to ``cycles`` cycles later."""
    values = [value]
    for n in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{n + 1}", reset_less=True)
        m.d.sync += register.eq(values[-1])
        values.append(register)
    return values


class Changes(wiring.Component):
    """Adds up the terms of a weight word or tag word, rounds, bounds.

    A word's terms come in successive cycles or later. Nothing stalls it.

    Parameters
    ----------
    config : CoreConfig
        Geometry, with ``learning``.

    Members
    -------
    valid : In(1)
        A term is at the ports, with everything that belongs to its synapses.
    term : In(term word)
    x0 : In(1)
    x, y : In(traces as rules see them)
        Of the axon; of each lane.
    reward : In(signed(13))
    weights, tags, v0 : In(one per lane)
    chosen : In(lanes)
        Lanes that change.
    random : In(lanes x 12)
        ``RANDOM_TAKEN`` cycles after the term; of the first term of a target.
    low, high : In(signed(weight_bits))
        Bounds of weights.
    done : Out(1)
        ``RESULT`` cycles after the last term of a target.
    target : Out(1)
        With ``done``: which.
    result : Out(lanes x signed)
        With ``done``: the new weights or tags.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        assert config.learning is not None
        self.config, self.unit = config, config.learning
        lanes = config.lanes
        self.value_bits = max(config.weight_bits, self.unit.tag_bits)
        members = {
            "valid": In(1),
            "term": In(struct_of(term_layout(self.unit, config.weight_bits))),
            "x0": In(1),
            "x": In(data.ArrayLayout(SEEN_BITS, max(1, self.unit.pre_traces))),
            "y": In(data.ArrayLayout(data.ArrayLayout(SEEN_BITS, max(1, self.unit.post_traces)), lanes)),
            "reward": In(signed(REWARD_BITS)),
            "weights": In(data.ArrayLayout(signed(config.weight_bits), lanes)),
            "chosen": In(lanes),
            "random": In(data.ArrayLayout(CHANGE_FRACTION_BITS, lanes)),
            "low": In(signed(config.weight_bits)),
            "high": In(signed(config.weight_bits)),
            "done": Out(1),
            "target": Out(1),
            "result": Out(data.ArrayLayout(signed(self.value_bits), lanes)),
        }
        if self.unit.tag_bits:
            members["tags"] = In(data.ArrayLayout(signed(self.unit.tag_bits), lanes))
        if self.unit.membrane_flag:
            members["v0"] = In(lanes)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit, lanes, term = self.unit, self.config.lanes, self.term
        second_bits = unit.second_constant_bits(self.config.weight_bits) + 1
        sum_bits = unit.sum_bits(self.config.weight_bits)
        valid = later(m, self.valid, RESULT, "valid")
        target, last = later(m, term.target, RESULT, "target"), later(m, term.last, RESULT, "last")
        compared = [
            later(m, flag, 1, name)[1]
            for name, flag in (("first_compared", term.first_compared), ("second_compared", term.second_compared))
        ]
        shift, negative = later(m, term.shift, 4, "shift")[4], later(m, term.negative, 5, "negative")[5]
        chosen = later(m, self.chosen, RESULT - 1, "chosen")
        # The first term of a target follows the last one of the target before.
        start = Signal(init=1)
        with m.If(self.valid):
            m.d.sync += start.eq(term.last)
        starting = later(m, start, RANDOM_TAKEN, "starting")[RANDOM_TAKEN]

        # What all lanes share of the first factor.
        common = Signal(signed(FIRST_BITS - 1))
        with m.Switch(term.first):
            with m.Case(First.X0):
                m.d.comb += common.eq(Mux(self.x0, FLAG, 0))
            for number in range(unit.pre_traces):
                with m.Case((First.X1, First.X2)[number]):
                    m.d.comb += common.eq(self.x[number])
            with m.Case(First.R):
                m.d.comb += common.eq(self.reward)
        for lane in range(lanes):
            traces = [self.y[lane][number] for number in range(unit.post_traces)]
            first, second = Signal(signed(FIRST_BITS), name=f"first{lane}"), Signal(signed(second_bits), name=f"second{lane}")
            variable = Signal(signed(FIRST_BITS - 1), name=f"first_variable{lane}")
            m.d.comb += variable.eq(common)
            for number, trace in enumerate(traces):
                with m.If(term.first == (First.Y1, First.Y2)[number]):
                    m.d.comb += variable.eq(trace)
            other = Signal(signed(second_bits - 1), name=f"second_variable{lane}")
            with m.Switch(term.second):
                for number, trace in enumerate(traces):
                    with m.Case((Second.Y1, Second.Y2)[number]):
                        m.d.comb += other.eq(trace)
                with m.Case(Second.W):
                    m.d.comb += other.eq(self.weights[lane])
                if unit.tag_bits:
                    with m.Case(Second.T):
                        m.d.comb += other.eq(self.tags[lane])
                if unit.membrane_flag:
                    with m.Case(Second.V0):
                        m.d.comb += other.eq(Mux(self.v0[lane], FLAG, 0))
            m.d.sync += [first.eq(variable + term.first_constant), second.eq(other + term.second_constant)]
            # 2: comparisons. 3, 4: product. 5: shifted.
            a, b = Signal(signed(FIRST_BITS), name=f"a{lane}"), Signal(signed(second_bits), name=f"b{lane}")
            product = Signal(signed(FIRST_BITS + second_bits), name=f"product{lane}", reset_less=True)
            kept = Signal.like(product, name=f"kept{lane}")
            shifted = Signal(signed(sum_bits), name=f"shifted{lane}", reset_less=True)
            m.d.sync += [
                a.eq(Mux(compared[0], Mux(first < 0, 0, FLAG), first)),
                b.eq(Mux(compared[1], Mux(second < 0, 0, FLAG), second)),
                product.eq(a * b),
                kept.eq(product),
                shifted.eq(Mux(chosen[4][lane], kept >> shift, 0)),
            ]
            # 6: added to the others; the first one to the value itself, with the random number behind the point.
            old: Value = self.weights[lane]
            if unit.tag_bits:
                old = Mux(term.target == Target.TAG, self.tags[lane], old)
            value = Signal(signed(self.value_bits), name=f"old{lane}")
            m.d.comb += value.eq(old)
            kept_value = later(m, value, 5, f"old{lane}")[5]
            total = Signal(signed(sum_bits), name=f"total{lane}", reset_less=True)
            before = Signal(signed(sum_bits), name=f"before{lane}")
            begin = Signal(signed(self.value_bits + CHANGE_FRACTION_BITS), name=f"begin{lane}")
            m.d.comb += [begin.eq(Cat(self.random[lane], kept_value)), before.eq(Mux(starting, begin, total))]
            with m.If(valid[5]):
                m.d.sync += total.eq(Mux(negative, before - shifted, before + shifted))
            # 7: bounded.
            m.d.sync += self.result[lane].eq(self._bounded(total >> CHANGE_FRACTION_BITS, target[6], chosen[6][lane]))
        m.d.comb += [self.done.eq(valid[RESULT] & last[RESULT]), self.target.eq(target[RESULT])]
        return m

    def _bounded(self, value: Value, target: Value, chosen: Value) -> Value:
        low: Value = self.low
        high: Value = self.high
        if self.unit.tag_bits:
            limit = 1 << (self.unit.tag_bits - 1)
            low, high = Mux(target == Target.TAG, -limit, low), Mux(target == Target.TAG, limit - 1, high)
        return Mux(chosen, Mux(value < low, low, Mux(value > high, high, value)), value)
