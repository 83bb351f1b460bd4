"""Leaky integrate-and-fire neuron: a pipeline that takes one neuron per cycle. Described in ``docs/lif.md``."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed

from spikeloom.arch.lif import NOISE_SHIFT, RETENTION_FRACTION, Lif, Reset
from spikeloom.arch.random import UNIT_BITS
from spikeloom.hdl.neuron import RANDOM_LATENCY, SUM_LATENCY, NeuronPipeline, Timing

#: States up to this width are multiplied in one piece (the iCE40 multiplier takes 16 by 16 bits).
SINGLE_PRODUCT_BITS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Cycles after ``start`` in which the pipeline's values stand in registers.

    Parameters
    ----------
    operands : int
        Potential and retention, before the product.
    input : int
        Synaptic sum, or the current that it goes into.
    drive : int
        Input and bias, or 0 for a held neuron.
    total : int
        The exact sum of potential and drive.
    leaked : int
        The same after the linear leak.
    compare : int
        Saturated potential and complete threshold.
    firing : int
        Parameters of firing, at the port.
    latency : int
        The result, at the port.
    """

    operands: int
    input: int
    drive: int
    total: int
    leaked: int
    compare: int
    firing: int
    latency: int

    @classmethod
    def of(cls, model: Lif) -> Schedule:
        """The schedule of a model; an option that is left out takes no cycle."""
        # A bias is added to the input before the product is; a refractory counter chooses both operands.
        gate = 1 if model.bias_bits or model.refractory_bits else 0
        operands = 1 + gate
        input_ = SUM_LATENCY
        if model.current_bits:
            input_ = _product_sum_cycle(model.current_bits, 1, SUM_LATENCY) + (0 if model.current_wraps else 1)
        drive = input_ + gate
        total = _product_sum_cycle(model.state_bits, operands, drive) if model.decay else drive + 1
        leaked = total
        if model.leak_bits:
            leaked = max(total, RANDOM_LATENCY if model.stochastic_leak else 0) + 2
        # Adaptation and noise are added to the threshold one after the other.
        preparation = (model.adaptation_bits > 0) + (model.threshold_noise_bits > 0)
        compare = max(leaked + 1, (RANDOM_LATENCY if model.threshold_noise_bits else 0) + preparation)
        latency = compare + (2 if model.negative_threshold else 1)
        return cls(
            operands=operands,
            input=input_,
            drive=drive,
            total=total,
            leaked=leaked,
            compare=compare,
            firing=compare - preparation,
            latency=latency,
        )


def _product_sum_cycle(bits: int, operands: int, addend: int) -> int:
    """Cycle of a state times its retention plus an addend, from the cycles of both. See :func:`_product_sum`."""
    return max(operands + (2 if bits > SINGLE_PRODUCT_BITS else 1), addend) + 1


class Timed:
    """A value together with the cycle it belongs to, counted from ``start``.

    No register has a reset: iCE40 multiplier blocks take in only such registers.

    Parameters
    ----------
    m : Module
        Receives the registers.
    name : str
        Of the value; registers add their cycle to it.
    value : Value
        What is there ``cycle`` cycles after the neuron's start.
    cycle : int
        See there.
    """

    def __init__(self, m: Module, name: str, value: Value, cycle: int) -> None:
        self.cycle, self._m, self._name, self._values = cycle, m, name, [value]

    def at(self, cycle: int) -> Value:
        """The value in a later cycle, behind as many registers as it takes."""
        if cycle < self.cycle:
            raise ValueError(f"{self._name} is there in cycle {self.cycle}, not in cycle {cycle}")
        while len(self._values) <= cycle - self.cycle:
            last = self._values[-1]
            register = Signal(last.shape(), name=f"{self._name}_{self.cycle + len(self._values)}", reset_less=True)
            self._m.d.sync += register.eq(last)
            self._values.append(register)
        return self._values[cycle - self.cycle]


def _stage(m: Module, name: str, value: Value, cycle: int, shape: Shape | int | None = None) -> Timed:
    """A register for a value that is computed in ``cycle``."""
    register = Signal(value.shape() if shape is None else shape, name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return Timed(m, name, register, cycle + 1)


def _product_sum(m: Module, name: str, state: Timed, retention: Timed, operands: int, addend: Timed) -> Timed:
    """``toward_zero(state * retention / 2**12) + addend``, exact.

    Cutting off the fraction rounds a negative product down; it is rounded toward zero if almost one is added before.
    """
    bits = len(state.at(state.cycle))
    cycle = _product_sum_cycle(bits, operands, addend.cycle)
    if bits <= SINGLE_PRODUCT_BITS:
        # One multiplication and one addition, which fit the iCE40's multiplier block.
        operands = cycle - 2
        product = _stage(m, f"{name}_product", state.at(operands) * retention.at(operands), operands)
        negative = state.at(operands)[-1]
        negative = _stage(m, f"{name}_negative", negative, operands).at(operands + 1)
        wide_addend = Cat(negative.replicate(RETENTION_FRACTION), addend.at(operands + 1)).as_signed()
        scaled = _stage(m, f"{name}_scaled", product.at(operands + 1) + wide_addend, operands + 1)
        return Timed(m, f"{name}_total", scaled.at(cycle)[RETENTION_FRACTION:].as_signed(), cycle)
    value, factor = state.at(operands), retention.at(operands)
    low = _stage(m, f"{name}_low_product", value[:RETENTION_FRACTION] * factor, operands).at(operands + 1)
    high = _stage(m, f"{name}_high_product", value[RETENTION_FRACTION:].as_signed() * factor, operands).at(operands + 1)
    cut = low[:RETENTION_FRACTION].any()
    whole = _stage(m, f"{name}_whole", high + low[RETENTION_FRACTION:], operands + 1, signed(bits + 1))
    carry = _stage(m, f"{name}_carry", cut & high[-1], operands + 1)
    return _stage(m, f"{name}_total", whole.at(cycle - 1) + addend.at(cycle - 1) + carry.at(cycle - 1), cycle - 1)


def _sum(a: Value, b: Value, carry: Value) -> Value:
    """``a + b + carry`` of signed values in one carry chain: both get the carry as a bit below."""
    return (Cat(carry, a).as_signed() + Cat(carry, b).as_signed())[1:].as_signed()


def _saturated(m: Module, name: str, value: Value, bits: int) -> Value:
    """The nearest value of ``bits`` bits."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    result = Signal(signed(bits), name=name)
    overflow = value[bits - 1 :].any() & ~value[bits - 1 :].all()
    m.d.comb += result.eq(Mux(overflow, Mux(value[-1], low, high), value))
    return result


class LifPipeline(NeuronPipeline):
    """Pipeline of the model ``lif``: one neuron per cycle. Members: see :class:`NeuronPipeline`."""

    @staticmethod
    def timing_of(model: Lif) -> Timing:
        """See :meth:`NeuronPipeline.timing_of`."""
        schedule = Schedule.of(model)
        return Timing(latency=schedule.latency, firing=schedule.firing)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        model = self.model
        cycles = Schedule.of(model)
        state = {name: Timed(m, name, self.state[name], 0) for name, _ in self.state.shape()}
        parameters = {name: Timed(m, name, self.parameters[name], 0) for name, _ in self.parameters.shape()}

        held = left = None
        if model.refractory_bits:
            counter = state["refractory"].at(1)
            held = Timed(m, "held", counter.any(), 1)
            left = _stage(m, "left", Mux(held.at(1), counter - 1, 0), 1, model.refractory_bits)

        results = {}
        arriving = Timed(m, "sum", self.synaptic_sum << model.fraction_bits, SUM_LATENCY)
        if model.current_bits:
            arriving = results["current"] = self._current(m, state["current"], parameters["current_retention"], arriving)
        exact = self._integrate(m, cycles, state["membrane"], parameters, arriving, held)
        if model.leak_bits:
            exact = self._leak(m, cycles, exact, parameters, held)
        potential = Timed(m, "integrated", _saturated(m, "saturated", exact.at(cycles.leaked), model.state_bits), cycles.leaked)
        fire, results["membrane"] = self._fire(m, cycles, potential, parameters, state, held)
        spike = fire.at(cycles.compare)
        if left is not None:
            period = Timed(m, "period", self.firing.refractory, cycles.firing).at(cycles.compare)
            results["refractory"] = Timed(m, "new_refractory", Mux(spike, period, left.at(cycles.compare)), cycles.compare)
        if model.adaptation_bits:
            results["adaptation"] = self._adapt(m, cycles, state["adaptation"], parameters["adaptation_retention"], spike)

        running = Signal(cycles.latency)
        last = cycles.latency - 1
        m.d.sync += running.eq(Cat(self.start, running))
        m.d.comb += self.done.eq(running[-1])
        m.d.sync += [self.spike.eq(fire.at(last))]
        m.d.sync += [self.new_state[name].eq(value.at(last)) for name, value in results.items()]
        with m.If(~running[-2]):
            m.d.sync += [self.spike.eq(0), self.new_state.eq(Const(0, len(self.new_state.as_value())))]
        return m

    def _current(self, m: Module, current: Timed, retention: Timed, arriving: Timed) -> Timed:
        """The synaptic current after the tick, which is also what drives the potential."""
        bits = self.model.current_bits
        total = _product_sum(m, "current", current, retention, 1, arriving)
        if self.model.current_wraps:
            return Timed(m, "new_current", total.at(total.cycle)[:bits].as_signed(), total.cycle)
        return _stage(m, "new_current", _saturated(m, "saturated_current", total.at(total.cycle), bits), total.cycle)

    def _integrate(
        self,
        m: Module,
        cycles: Schedule,
        membrane: Timed,
        parameters: dict[str, Timed],
        arriving: Timed,
        held: Timed | None,
    ) -> Timed:
        """Potential times retention, plus input and bias. A held neuron is multiplied by 1.0 and gets no input: its potential stays."""
        model = self.model
        drive = arriving
        if model.bias_bits or held is not None:
            value = arriving.at(cycles.input)
            if model.bias_bits:
                value = value + Timed(m, "bias", self.own.bias, 0).at(cycles.input)
            if held is not None:
                value = Mux(held.at(cycles.input), 0, value)
            drive = _stage(m, "drive", value, cycles.input)
        if not model.decay:
            return _stage(m, "total", membrane.at(cycles.drive) + drive.at(cycles.drive), cycles.drive)
        retention = parameters["retention"]
        if held is not None:
            chosen = Mux(held.at(1), 1 << RETENTION_FRACTION, retention.at(1))
            retention = _stage(m, "retention_or_one", chosen, 1)
        return _product_sum(m, "membrane", membrane, retention, cycles.operands, drive)

    def _leak(self, m: Module, cycles: Schedule, exact: Timed, parameters: dict[str, Timed], held: Timed | None) -> Timed:
        """The exact sum plus the linear leak: in one cycle the addend is chosen, in the next it is added."""
        model = self.model
        cycle = cycles.leaked - 2
        leak, value = parameters["leak"], exact.at(cycle)
        reversal = parameters["leak_reversal"].at(cycle)
        negated = reversal & value[-1]
        nothing = reversal & ~value.any()
        if held is not None:
            nothing = nothing | held.at(cycle)
        if model.stochastic_leak:
            amount = leak.at(RANDOM_LATENCY - 1)
            size = (amount ^ amount[-1].replicate(len(amount))) + amount[-1]
            size = _stage(m, "leak_size", size, RANDOM_LATENCY - 1, model.leak_bits)
            taken = Timed(m, "leak_taken", size.at(RANDOM_LATENCY) >= self.random[:UNIT_BITS], RANDOM_LATENCY)
            stochastic = parameters["leak_stochastic"]
            amount = leak.at(cycle - 1)
            sign = Cat(amount.any(), amount[-1]).as_signed()
            leak = _stage(m, "leak_or_sign", Mux(stochastic.at(cycle - 1), sign, amount), cycle - 1)
            nothing = nothing | (stochastic.at(cycle) & ~taken.at(cycle))
        amount = leak.at(cycle)
        # The negative is the complement plus one, which comes in as carry.
        addend = _stage(m, "leak_addend", Mux(nothing, 0, amount ^ negated.replicate(len(amount))), cycle, signed(len(amount)))
        carry = _stage(m, "leak_carry", negated & ~nothing, cycle)
        return _stage(m, "leaked", _sum(exact.at(cycle + 1), addend.at(cycle + 1), carry.at(cycle + 1)), cycle + 1)

    def _fire(
        self,
        m: Module,
        cycles: Schedule,
        potential: Timed,
        parameters: dict[str, Timed],
        state: dict[str, Timed],
        held: Timed | None,
    ) -> tuple[Timed, Timed]:
        """Comparison and reset: whether the neuron fires, and its potential after the tick."""
        model = self.model
        bits, cycle = model.state_bits, cycles.compare
        firing = {name: Timed(m, f"firing_{name}", self.firing[name], cycles.firing) for name, _ in self.firing.shape()}
        # The memory holds the complement, -threshold - 1: the sum with it is not negative if the potential is above the threshold.
        limit, reset = firing["threshold"], firing["reset"]
        modes = None if model.resets == "absolute" else parameters["reset_mode"]
        # Likewise the complement of the lower threshold.
        lower = firing.get("negative_threshold")
        if lower is not None:
            lower = Timed(m, "lower", ~lower.at(cycles.firing), cycles.firing)
        if model.adaptation_bits:
            # The complement is made in front of a register, where it costs nothing; behind it, an iCE40 needs inverters.
            complement = _stage(m, "adaptation_complement", ~state["adaptation"].at(limit.cycle - 1), limit.cycle - 1)
            negative = Cat(complement.at(limit.cycle), 1).as_signed()
            limit = _stage(m, "limit_adapted", _sum(limit.at(limit.cycle), negative, Const(1, 1)), limit.cycle)
        if model.threshold_noise_bits:
            prepare = cycle - 1
            number = self.random[NOISE_SHIFT : NOISE_SHIFT + model.threshold_noise_bits]
            number = Timed(m, "number", number, RANDOM_LATENCY).at(cycles.firing)
            noise = Timed(m, "noise", number & firing["noise_mask"].at(cycles.firing), cycles.firing).at(prepare)
            limit = _stage(m, "limit_noisy", limit.at(prepare) - noise, prepare)
            if modes is not None:
                less = noise & (modes.at(prepare) == Reset.RELATIVE).replicate(len(noise))
                reset = _stage(m, "reset_less_noise", reset.at(prepare) - less, prepare, signed(bits))
            if lower is not None:
                saturates = firing["negative_saturates"].at(prepare)
                less = noise & (~saturates).replicate(len(noise))
                lower = _stage(m, "lower_less_noise", lower.at(prepare) + less, prepare)

        value = potential.at(cycle)
        free = Const(1, 1) if held is None else ~held.at(cycle)
        above = ~(value + limit.at(cycle))[-1]
        fire = Timed(m, "fire", above & free, cycle)
        target = reset.at(cycle)
        if modes is not None:
            base = Mux(modes.at(cycle - 1) == Reset.ABSOLUTE, 0, potential.at(cycle - 1))
            target = (_stage(m, "base", base, cycle - 1).at(cycle) + target)[:bits].as_signed()
        changes = fire.at(cycle)
        if model.resets == "all":
            # One bit from a register, so that the choice behind the comparison is a single LUT.
            may_change = modes.at(cycle - 1) != Reset.NONE
            if held is not None:
                may_change = may_change & ~held.at(cycle - 1)
            changes = above & _stage(m, "may_change", may_change, cycle - 1).at(cycle)
        after = Timed(m, "after", Mux(changes, target, value), cycle)
        if lower is None:
            return fire, after

        # Below the lower threshold. The difference serves both as comparison and as the potential after a relative reset.
        mode = Const(Reset.ABSOLUTE, 1) if modes is None else modes.at(cycle)
        saturates = firing["negative_saturates"]
        difference = _sum(value, lower.at(cycle), Const(1, 1))
        early = saturates.at(cycles.firing)
        constant = Mux(early, firing["negative_threshold"].at(cycles.firing), ~firing["reset"].at(cycles.firing)) + ~early
        constant = Timed(m, "floor_constant", constant[:bits].as_signed(), cycles.firing).at(cycle)
        saturates = saturates.at(cycle)
        floor = Mux(saturates | (mode == Reset.ABSOLUTE), constant, difference[:bits].as_signed())
        low = difference[-1] & ~above & free
        if model.resets == "all":
            low = low & (saturates | (mode != Reset.NONE))
        low = _stage(m, "low", low, cycle).at(cycle + 1)
        floor = _stage(m, "floor", floor, cycle).at(cycle + 1)
        return fire, Timed(m, "after_low", Mux(low, floor, after.at(cycle + 1)), cycle + 1)

    def _adapt(self, m: Module, cycles: Schedule, adaptation: Timed, retention: Timed, spike: Value) -> Timed:
        """The adaptation after the tick. Both outcomes are computed before the spike is known, as late as possible."""
        bits, ready = self.model.adaptation_bits, cycles.compare - 1
        if bits <= SINGLE_PRODUCT_BITS:
            product = _stage(m, "adaptation_product", adaptation.at(ready - 1) * retention.at(ready - 1), ready - 1)
            decayed = Timed(m, "decayed", product.at(ready)[RETENTION_FRACTION:][:bits], ready)
        else:
            value, factor = adaptation.at(ready - 2), retention.at(ready - 2)
            low = _stage(m, "adaptation_low_product", value[:RETENTION_FRACTION] * factor, ready - 2).at(ready - 1)
            high = _stage(m, "adaptation_high_product", value[RETENTION_FRACTION:] * factor, ready - 2).at(ready - 1)
            decayed = _stage(m, "decayed", high + low[RETENTION_FRACTION:], ready - 1, bits)
        step = Timed(m, "step", self.firing.adaptation_step, cycles.firing).at(ready)
        raised = _stage(m, "raised", decayed.at(ready) + step, ready).at(ready + 1)
        stepped = raised[:bits] | raised[bits].replicate(bits)
        return Timed(m, "new_adaptation", Mux(spike, stepped, decayed.at(ready + 1)), ready + 1)
