"""Changes of weights and tags: one term per cycle for all lanes. Described in ``docs/learning.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
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
    Learning,
    Second,
    Target,
    term_layout,
)
from spikeloom.hdl.layouts import struct_of

#: Bits of the first factor's variable and of its constant.
FIRST_BITS = max(FIRST_CONSTANT_BITS, REWARD_BITS, SEEN_BITS + 1)
#: Products are shifted in steps, and the factor that lanes may share by the rest, which costs less.
STEP_BITS = 2
STEP = 1 << STEP_BITS


def random_taken(unit: Learning) -> int:
    """Cycles from a term to the cycle in which the random numbers of its lanes are taken."""
    return 6 if unit.offsets else 5


def result_cycles(unit: Learning) -> int:
    """Cycles from a term to the cycle in which its result can be written."""
    return random_taken(unit) + 2


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
        ``random_taken`` cycles after the term; of the first term of a target.
    low, high : In(signed(weight_bits))
        Bounds of weights.
    done : Out(1)
        ``result_cycles`` after the last term of a target.
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
        second_bits = unit.second_constant_bits(self.config.weight_bits)
        sum_bits = unit.sum_bits(self.config.weight_bits)
        # The stage of the sum; that of the product's factors.
        end = random_taken(unit)
        ready = end - 4
        valid = later(m, self.valid, end + 2, "valid")
        target, last = later(m, term.target, end + 2, "target"), later(m, term.last, end + 2, "last")
        shift, negative = later(m, term.shift, end - 1, "shift"), later(m, term.negative, end, "negative")
        chosen = later(m, self.chosen, end + 1, "chosen")
        # The first term of a target follows the last one of the target before.
        start = Signal(init=1)
        with m.If(self.valid):
            m.d.sync += start.eq(term.last)
        starting = later(m, start, end, "starting")[end]

        # What all lanes share of the first factor.
        options: dict[int, Value] = {First.X0: Mux(self.x0, FLAG, 0), First.R: self.reward}
        options |= {(First.X1, First.X2)[number]: self.x[number] for number in range(unit.pre_traces)}
        common = self._variable(m, "common", FIRST_BITS, term.first, options, self._fixed(term.first_constant))
        own = unit.neuron_products and unit.post_traces > 0
        shared = None if own else self._first(m, "shared", common, shift[ready])
        for lane in range(lanes):
            traces = list(self.y[lane])[: unit.post_traces]
            if shared is None:
                options = dict(zip((First.Y1, First.Y2), traces, strict=False))
                mine = self._variable(m, f"first_variable{lane}", FIRST_BITS, term.first, options, common)
                a = self._first(m, f"first{lane}", mine, shift[ready])
            else:
                a = shared
            options = dict(zip((Second.Y1, Second.Y2), traces, strict=False))
            if unit.weight_factor:
                options[Second.W] = self.weights[lane]
            if unit.tag_bits:
                options[Second.T] = self.tags[lane]
            if unit.membrane_flag:
                options[Second.V0] = Mux(self.v0[lane], FLAG, 0)
            other = self._variable(
                m, f"second_variable{lane}", second_bits, term.second, options, self._fixed(term.second_constant)
            )
            second = self._factor(m, f"second{lane}", other, term.second_constant, term.second_compared)
            # Lanes that do not change add nothing. Product; shifted by the rest.
            b = Signal(second.shape(), name=f"b{lane}", reset_less=True)
            product = Signal((a * b).shape(), name=f"product{lane}", reset_less=True)
            kept = Signal.like(product, name=f"kept{lane}")
            shifted = Signal(signed(sum_bits), name=f"shifted{lane}", reset_less=True)
            m.d.sync += [
                b.eq(Mux(chosen[ready][lane], second, 0)),
                product.eq(a * b),
                kept.eq(product),
                shifted.eq(
                    ((kept >> STEP - 1) >> Cat(Const(0, STEP_BITS), shift[end - 1][STEP_BITS:]))
                    ^ negative[end - 1].replicate(sum_bits)
                ),
            ]
            # Added to the others, or subtracted: the complement, and 1 at the lowest place. The first one is added to the value itself,
            # with the random number behind the point.
            old: Value = self.weights[lane]
            if unit.tag_bits:
                old = Mux(term.target == Target.TAG, self.tags[lane], old)
            value = Signal(signed(self.value_bits), name=f"old{lane}")
            m.d.comb += value.eq(old)
            kept_value = later(m, value, end, f"old{lane}")[end]
            total = Signal(signed(sum_bits), name=f"total{lane}", reset_less=True)
            before = Signal(signed(sum_bits), name=f"before{lane}")
            begin = Signal(signed(self.value_bits + CHANGE_FRACTION_BITS), name=f"begin{lane}")
            m.d.comb += [begin.eq(Cat(self.random[lane], kept_value)), before.eq(Mux(starting, begin, total))]
            with m.If(valid[end]):
                m.d.sync += total.eq((Cat(negative[end], before) + Cat(negative[end], shifted)) >> 1)
            m.d.sync += self.result[lane].eq(self._bounded(total >> CHANGE_FRACTION_BITS, target[end + 1], chosen[end + 1][lane]))
        m.d.comb += [self.done.eq(valid[end + 2] & last[end + 2]), self.target.eq(target[end + 2])]
        return m

    def _fixed(self, constant: Value) -> Value:
        """What stands in the place of a variable where there is none."""
        return Const(0) if self.unit.offsets else constant

    @staticmethod
    def _variable(m: Module, name: str, bits: int, number: Value, options: dict[int, Value], otherwise: Value) -> Signal:
        """The variable of a factor."""
        variable = Signal(signed(bits), name=name)
        m.d.comb += variable.eq(otherwise)
        for which, value in options.items():
            with m.If(number == which):
                m.d.comb += variable.eq(value)
        return variable

    def _factor(self, m: Module, name: str, variable: Signal, constant: Value, compared: Value) -> Value:
        """A variable plus its constant, two cycles later; or, compared, a flag. The variable, a cycle later, if there is nothing to add."""
        chosen = later(m, variable, 1, name)[1]
        if not self.unit.offsets:
            return chosen
        total = chosen + later(m, constant, 1, f"{name}_constant")[1]
        factor = later(m, total, 1, f"{name}_sum")[1]
        return Mux(later(m, compared, 2, f"{name}_compared")[2], Mux(factor < 0, 0, FLAG), factor)

    def _first(self, m: Module, name: str, variable: Signal, shift: Value) -> Signal:
        """The first factor, shifted left by what is missing to a whole step of the shift to the right."""
        factor = self._factor(m, name, variable, self.term.first_constant, self.term.first_compared)
        a = Signal(signed(len(factor) + STEP - 1), name=f"{name}_scaled", reset_less=True)
        m.d.sync += a.eq(factor << ~shift[:STEP_BITS])
        return a

    def _bounded(self, value: Value, target: Value, chosen: Value) -> Value:
        low: Value = self.low
        high: Value = self.high
        if self.unit.tag_bits:
            limit = 1 << (self.unit.tag_bits - 1)
            low, high = Mux(target == Target.TAG, -limit, low), Mux(target == Target.TAG, limit - 1, high)
        return Mux(chosen, Mux(value < low, low, Mux(value > high, high, value)), value)
