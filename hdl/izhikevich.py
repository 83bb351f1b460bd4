"""Izhikevich neuron: a ring of pipelined sub-steps. Described in ``docs/izhikevich.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.hdl.neuron import SUM_LATENCY, NeuronPipeline, Timing
from spikeloom.hdl.ring import Ring, Traveller, ring_length, saturated

#: Cycles from ``start`` to stage 0 of the first sub-step: the drive is there.
ENTRY = SUM_LATENCY + 2
#: Stages of a sub-step.
SUBSTEP_STAGES = 9
#: Stages in which the operands of the three products are in registers. Different modulo 3, so that one multiplier can do them all.
OPERAND_STAGES = (0, 2, 4)
#: Widest operands of an iCE40's multiplier.
ICE40_MULTIPLIER_BITS = 16
#: Parameters that every sub-step needs.
CARRIED = ("coupling", "rate", "threshold", "reset", "jump", "offset", "decay")


def copies_of(model: Izhikevich) -> int:
    """Sub-steps that stand in a row in the ring."""
    return max(1, model.multipliers // 3)


def round_length(model: Izhikevich) -> int:
    """Stages of the ring."""
    copies = copies_of(model)
    rounds = model.substeps // copies
    stages = copies * SUBSTEP_STAGES
    if model.multipliers == 1:
        return ring_length(stages, rounds, 3 * rounds, OPERAND_STAGES)
    return ring_length(stages, rounds, rounds)


class IzhikevichPipeline(NeuronPipeline):
    """One neuron every ``timing.interval`` cycles; starts must be a multiple of that apart.

    Parameters, attributes and members are those of :class:`NeuronPipeline`.
    """

    @staticmethod
    def timing_of(model: Izhikevich) -> Timing:
        """Timing of the pipeline of a model."""
        copies = copies_of(model)
        rounds = model.substeps // copies
        latency = ENTRY + (rounds - 1) * round_length(model) + copies * SUBSTEP_STAGES
        return Timing(latency=latency, interval=3 * rounds if model.multipliers == 1 else rounds)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        model = self.model
        copies = copies_of(model)
        ring = Ring(
            m,
            self.start,
            interval=self.timing.interval,
            entry=ENTRY,
            length=round_length(model),
            rounds=model.substeps // copies,
            latency=self.timing.latency,
            spacing=3 if model.multipliers == 1 else 1,
        )
        multiply = _SharedMultiplier(m, model, ring) if model.multipliers == 1 else _Multipliers(m, model)

        # No register of the data path has a reset: multiplier blocks take in only such registers.
        # What comes from the ports goes into registers first: memories are slow.
        def registered(name: str, port: Value) -> Signal:
            register = Signal(port.shape(), name=name, reset_less=True)
            m.d.sync += register.eq(port)
            return register

        state = {name: registered(f"port_{name}", self.state[name]) for name in ("membrane", "recovery", "started")}
        port = {field.name: registered(f"port_{field.name}", self.parameters[field.name]) for field in model.parameter_fields()}

        # Step 0: initial values, and the drive.
        started = state["started"]
        membrane = registered("first_membrane", Mux(started, state["membrane"], port["initial_membrane"]).as_signed())
        recovery = registered("first_recovery", Mux(started, state["recovery"], port["initial_recovery"]).as_signed())
        if model.bias_bits:
            constant = registered("constant_and_bias", port["constant"] + registered("port_bias", self.own.bias))
        else:
            constant = ring.arrived("constant", port["constant"], 1, SUM_LATENCY)
        drive = registered("drive_sum", (self.synaptic_sum << model.input_shift) + constant)

        entered = {
            "membrane": ring.enter("membrane", membrane, 2),
            "recovery": ring.enter("recovery", recovery, 2),
            "fired": ring.enter("fired", Const(0, 1), ENTRY - 1),
            "drive": ring.enter("drive", saturated(drive, model.membrane_bits), ENTRY - 1),
            **{name: ring.enter(name, port[name], 1) for name in CARRIED},
        }

        # The sub-steps of a round.
        token = dict(entered)
        results: dict[str, Value] = {}
        for copy in range(copies):
            first = copy * SUBSTEP_STAGES
            if copy > 0:
                token |= {name: ring.travel(f"{name}_{copy}", value, first) for name, value in results.items()}
            results = self._substep(m, ring, multiply, token, first)
        multiply.finish()

        # The next round, or the result.
        for name, entrant in entered.items():
            ring.turn(entrant, results.get(name), copies * SUBSTEP_STAGES)
        spike = results.pop("fired")
        ring.leave(self, results | {"started": Const(1, 1)}, spike)
        return m

    def _substep(self, m: Module, ring: Ring, multiply: _Multipliers, token: dict[str, Traveller], first: int) -> dict[str, Value]:
        """One sub-step from stage ``first`` on. Returns what leaves the last stage."""
        model = self.model
        bits = model.membrane_bits

        def register(name: str, value: Value) -> Signal:
            """Used in the next stage only."""
            result = Signal(value.shape(), name=f"{name}_s{first}", reset_less=True)
            m.d.sync += result.eq(value)
            return result

        def at(name: str, stage: int) -> Value:
            return token[name].at(first + stage)

        # Stage 0: first product; its addend W - (U >> G) + X.
        square = multiply(0, first, token["membrane"], token["membrane"])
        addend = register("addend", at("membrane", 0) - (at("recovery", 0) >> model.recovery_fraction) + at("drive", 0))
        # Stage 1: new potential, saturated.
        square_addend = (square >> (model.square_shift - 2 * model.dropped_bits)) + addend
        potential = square_addend[: model.potential_bits].as_signed()
        membrane = ring.travel(f"clipped{first}", saturated(potential, bits), first + 2)
        # A potential beyond the range is above any threshold, though it is not after the saturation.
        beyond = register("beyond", ~potential[-1] & potential[bits - 1 :].any())
        # Stages 2 and 3: firing; second product; its addend.
        fire = ring.travel(f"fire{first}", beyond | (membrane.at(first + 2) > at("threshold", 2)), first + 3)
        coupled = multiply(1, first, membrane, token["coupling"])
        pull = Mux(at("decay", 2), at("recovery", 2) >> (model.recovery_fraction - model.error_fraction), 0)
        error_addend = register("error_addend", at("offset", 2) - pull)
        # Stage 3: the error.
        error = ((coupled >> model.coupling_shift) + error_addend)[: model.error_bits].as_signed()
        error = ring.travel(f"error{first}", saturated(error, bits), first + 4)
        # Stages 4 to 6: third product; new recovery variable. One bit below the binary point rounds.
        change = multiply(2, first, error, token["rate"]) >> (model.rate_shift - 1)
        recovery_sum = Cat(Const(1, 1), at("recovery", 5)).as_signed() + change
        recovered = register("recovered", recovery_sum[1 : model.recovery_bits + 2].as_signed())
        recovered = register("recovered_clipped", saturated(recovered, model.recovery_bits))
        # Stages 7 and 8: reset.
        jumped = register("jumped", recovered + Mux(fire.at(first + 7), at("jump", 7), 0))
        return {
            "membrane": Mux(fire.at(first + 8), at("reset", 8), membrane.at(first + 8)).as_signed(),
            "recovery": saturated(jumped, model.recovery_bits),
            "fired": at("fired", 8) | fire.at(first + 8),
        }


class _Multipliers:
    """A multiplier for each product."""

    def __init__(self, m: Module, model: Izhikevich) -> None:
        self._m, self._bits = m, model.multiplier_bits

    def _operand(self, value: Value) -> Value:
        """The upper bits of a value."""
        return value[-self._bits :].as_signed()

    def _product(self, name: str, left: Value, right: Value) -> Value:
        product = Signal(signed(2 * self._bits), name=name, reset_less=True)
        self._m.d.sync += product.eq(self._operand(left) * self._operand(right))
        return product

    def __call__(self, number: int, first: int, left: Traveller, right: Traveller) -> Value:
        """Product ``number`` of the sub-step from stage ``first`` on, there in the stage after that of its operands."""
        stage = first + OPERAND_STAGES[number]
        return self._product(f"product{number}_s{first}", left.at(stage), right.at(stage))

    def finish(self) -> None:
        """All products have been asked for."""


class _SharedMultiplier(_Multipliers):
    """One multiplier for the three products of a sub-step, whose stages differ modulo 3.

    An iCE40's is quick, but far from the logic: its operands are chosen in the cycle of the product. That of other families is slow:
    they are chosen in the cycle before.
    """

    def __init__(self, m: Module, model: Izhikevich, ring: Ring) -> None:
        super().__init__(m, model)
        self._ring = ring
        self._late = self._bits <= ICE40_MULTIPLIER_BITS
        self._operands: list[tuple[int, Value, Value]] = []
        sides = ("left", "right")
        self._chosen = [Signal(signed(self._bits), name=f"multiplier_{side}", reset_less=not self._late) for side in sides]
        self._shared = self._product("product", *self._chosen)

    def __call__(self, number: int, first: int, left: Traveller, right: Traveller) -> Value:
        """As in the base class."""
        stage = first + OPERAND_STAGES[number]
        if self._late:
            operands = (stage, left.at(stage), right.at(stage))
        else:
            operands = (stage - 1, left.before(stage), right.before(stage))
        self._operands.append(operands)
        return self._shared

    def finish(self) -> None:
        """Choose the operands."""
        domain = self._m.d.comb if self._late else self._m.d.sync
        for stage, *values in self._operands:
            with self._m.If(self._ring.in_stage(stage)):
                domain += [chosen.eq(self._operand(value)) for chosen, value in zip(self._chosen, values, strict=True)]
