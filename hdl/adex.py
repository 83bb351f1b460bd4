"""Adaptive exponential integrate-and-fire neuron: a ring of one pipelined step. Described in ``docs/adex.md``."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import memory

from spikeloom.arch.adex import MAX_EXPONENT, OPERAND_BITS, TABLE_FRACTION, AdEx, power_table
from spikeloom.hdl.neuron import SUM_LATENCY, NeuronPipeline, Timing
from spikeloom.hdl.ring import Ring, ring_length, saturated

#: Cycles from ``start`` to stage 0 of the first step: the drive is there.
ENTRY = SUM_LATENCY + 2
#: Stages of a step.
STEP_STAGES = 9
#: Fraction bits of an operand of a product, which address the table of powers of two.
POSITION_BITS = 8
#: Parameters that every step needs.
CARRIED = ("leak", "coupling", "rate", "peak", "reset", "increment")


class AdExPipeline(NeuronPipeline):
    """One neuron every ``timing.interval`` cycles; starts must be a multiple of that apart.

    Parameters, attributes and members are those of :class:`NeuronPipeline`.
    """

    @staticmethod
    def timing_of(model: AdEx) -> Timing:
        """Timing of the pipeline of a model."""
        length = ring_length(STEP_STAGES, model.substeps, model.substeps)
        return Timing(latency=ENTRY + (model.substeps - 1) * length + STEP_STAGES, interval=model.substeps)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        model = self.model
        m_bits, r_bits = model.membrane_bits, model.recovery_bits
        ring = Ring(
            m,
            self.start,
            interval=self.timing.interval,
            entry=ENTRY,
            length=ring_length(STEP_STAGES, model.substeps, model.substeps),
            rounds=model.substeps,
            latency=self.timing.latency,
        )

        # No register of the data path has a reset: multiplier blocks take in only such registers.
        def register(name: str, value: Value) -> Signal:
            result = Signal(value.shape(), name=name, reset_less=True)
            m.d.sync += result.eq(value)
            return result

        # What comes from the ports goes into registers first: memories are slow.
        state = {name: register(f"port_{name}", self.state[name]) for name in ("membrane", "recovery", "started")}
        port = {field.name: register(f"port_{field.name}", self.parameters[field.name]) for field in model.parameter_fields()}

        # Initial values, and the drive. The other terms of the membrane's sum stay within -2**M and 2**(M + 1), so a drive that is
        # saturated to M + 3 bits leads to the same end of the range.
        started = state["started"]
        first_membrane = register("first_membrane", Mux(started, state["membrane"], port["initial_membrane"]).as_signed())
        first_recovery = register("first_recovery", Mux(started, state["recovery"], port["initial_recovery"]).as_signed())
        if model.bias_bits:
            constant = register("drive_and_bias", port["drive"] + register("port_bias", self.own.bias))
        else:
            constant = ring.arrived("constant", port["drive"], 1, SUM_LATENCY)
        drive_sum = register("drive_sum", (self.synaptic_sum << model.input_shift) + constant)

        membrane = ring.enter("membrane", first_membrane, 2)
        recovery = ring.enter("recovery", first_recovery, 2)
        fired = ring.enter("fired", Const(0, 1), ENTRY - 1)
        drive = ring.enter("drive", saturated(drive_sum, m_bits + 3), ENTRY - 1)
        carried = {name: ring.enter(name, port[name], 1) for name in CARRIED}

        # Stage 0: lines 1, 2 and 5, products with parameters. The sum of line 4 begins; it fits M + 4 bits.
        operand = membrane.at(0)[m_bits - OPERAND_BITS :].as_signed()
        leaked = register("leaked", operand * carried["leak"].at(0))
        coupled = register("coupled", operand * carried["coupling"].at(0))
        recovery_at_membrane = recovery.at(0) >> (r_bits - m_bits + 4)
        partial = register("partial_1", (membrane.at(0) - recovery_at_membrane + drive.at(0))[: m_bits + 4].as_signed())
        # Stage 1: the leak.
        partial = register("partial_2", (partial - (leaked >> (33 - m_bits)))[: m_bits + 4].as_signed())

        # Stages 1 to 5: the rest of lines 5 and 6. One bit below the binary point rounds.
        difference = register("difference", (coupled >> 14) - (recovery.at(1) >> (r_bits - OPERAND_BITS)))
        difference = register("difference_clipped", saturated(difference, OPERAND_BITS))
        changed = register("changed", difference * carried["rate"].at(3))
        recovery_sum = Cat(Const(1, 1), recovery.at(4)).as_signed() + (changed >> (34 - r_bits))
        recovery_sum = register("recovery_sum", recovery_sum[1 : r_bits + 2].as_signed())
        recovered = ring.travel("recovered", saturated(recovery_sum, r_bits), 6)

        # Stages 0 to 5: line 3. Stages 1 to 6 of the sum wait for it.
        power = self._power(m, ring, operand)
        partial = ring.travel("partial", partial, 3).at(6)
        # Stage 6: line 4.
        potential = ring.travel("potential", saturated((partial + power)[: m_bits + 4].as_signed(), m_bits), 7)
        # Stage 7: lines 7 and 8; stage 8 chooses.
        fire = register("fire", potential.at(7) > carried["peak"].at(7))
        incremented = register("incremented", recovered.at(7) + carried["increment"].at(7))
        after = {
            "membrane": Mux(fire, carried["reset"].at(8), potential.at(8)).as_signed(),
            "recovery": Mux(fire, saturated(incremented, r_bits), recovered.at(8)).as_signed(),
        }
        spike = fired.at(8) | fire

        ring.turn(membrane, after["membrane"], STEP_STAGES)
        ring.turn(recovery, after["recovery"], STEP_STAGES)
        ring.turn(fired, spike, STEP_STAGES)
        for entrant in (drive, *carried.values()):
            ring.turn(entrant)
        ring.leave(self, after | {"started": Const(1, 1)}, spike)
        return m

    def _power(self, m: Module, ring: Ring, operand: Value) -> Value:
        """Line 3: the power of two in stage 6 of the operand in stage 0."""
        model = self.model
        t = model.table_bits
        fine_bits = POSITION_BITS - t
        # Stage 0: the table. An entry is its value without the bit 2**16, which is always 1, and the difference to the next one.
        values = power_table(t)
        differences = [high - low for low, high in pairwise(values)] if fine_bits else [0] * len(values)
        difference_bits = max(differences).bit_length()
        mask = (1 << TABLE_FRACTION) - 1
        entries = [low & mask | difference << TABLE_FRACTION for low, difference in zip(values[:-1], differences, strict=False)]
        m.submodules.table = table = memory.Memory(shape=unsigned(TABLE_FRACTION + difference_bits), depth=1 << t, init=entries)
        read = table.read_port()
        m.d.comb += [read.en.eq(1), read.addr.eq(operand[fine_bits:POSITION_BITS])]
        exponent = ring.travel("exponent", operand[POSITION_BITS:].as_signed(), 1)
        # Stage 1: a register, because memories are slow; how far to shift.
        entry = ring.travel("entry", read.data, 2)
        distance = MAX_EXPONENT - exponent.at(1)
        shift = ring.travel("shift", Mux(distance < 0, 0, distance)[:8], 2)
        # Stages 2 and 3: interpolation.
        mantissa = Cat(entry.at(3)[:TABLE_FRACTION], Const(1, 1))
        if fine_bits:
            fine = ring.travel("fine", operand[:fine_bits], 1)
            interpolated = Signal(difference_bits + fine_bits, reset_less=True)
            m.d.sync += interpolated.eq(entry.at(2)[TABLE_FRACTION:] * fine.at(2))
            mantissa = (mantissa + interpolated[fine_bits:])[: TABLE_FRACTION + 1]
        mantissa = ring.travel("mantissa", mantissa, 4).at(4)
        # Stages 4 and 5: shift, first by up to 7, then by multiples of 8. From 32 on nothing is left.
        power = (mantissa << 7) >> (24 - model.membrane_bits)
        power = ring.travel("power_fine", power >> shift.at(4)[:3], 5).at(5)
        power = Mux(shift.at(5)[5:].any(), 0, power >> (shift.at(5)[3:5] << 3))
        return ring.travel("power", power, 6).at(6)
