"""Leaky integrate-and-fire neuron: a pipeline that takes one neuron per cycle. Described in ``docs/lif.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import RETENTION_FRACTION, CoreConfig
from spikeloom.arch.memory_map import Reset, firing_layout, leak_layout, state_layout
from spikeloom.hdl.layouts import struct_of

#: Potentials up to this width are multiplied in one piece (the iCE40 multiplier takes 16 by 16 bits).
SINGLE_PRODUCT_BITS = 16
#: Cycles after ``state`` in which ``synaptic_sum`` is taken.
SUM_LATENCY = 2


def operand_stages(config: CoreConfig) -> int:
    """Cycles until the operands of the product are in registers. A bias or a refractory counter needs one more."""
    return 2 if config.bias_bits or config.refractory_bits else 1


def lif_latency(config: CoreConfig) -> int:
    """Cycles from a neuron's state to its result."""
    return operand_stages(config) + (5 if config.state_bits > SINGLE_PRODUCT_BITS else 4)


class Lif(wiring.Component):
    """One neuron per cycle, the result ``latency`` cycles later. Nothing stalls it.

    Parameters
    ----------
    config : CoreConfig
        Widths.

    Attributes
    ----------
    firing_latency : int
        Cycles after ``state`` in which ``firing`` is taken.
    latency : int
        Cycles after ``state`` in which the result is there.

    Members
    -------
    state : In(state_layout)
        Potential and refractory counter before the tick.
    leak : In(leak_layout)
        With ``state``.
    bias : In(signed(bias_bits))
        With ``state``; there only with a bias.
    synaptic_sum : In(signed(sum_bits))
        ``SUM_LATENCY`` cycles after ``state``.
    firing : In(firing_layout)
        ``firing_latency`` cycles after ``state``.
    last_stage : In(1)
        A neuron is in the last stage: its result will be there in the next cycle. Otherwise the result will be zero.
    new_state : Out(state_layout)
        State after the tick.
    spike : Out(1)
        With ``new_state``.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self.config = config
        self._wide = config.state_bits > SINGLE_PRODUCT_BITS
        self.latency = lif_latency(config)
        self.firing_latency = self.latency - 1
        bias = {"bias": In(signed(config.bias_bits))} if config.bias_bits else {}
        super().__init__(
            bias
            | {
                "state": In(struct_of(state_layout(config))),
                "leak": In(struct_of(leak_layout(config))),
                "synaptic_sum": In(signed(config.sum_bits)),
                "firing": In(struct_of(firing_layout(config))),
                "last_stage": In(1),
                "new_state": Out(struct_of(state_layout(config))),
                "spike": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        bits = config.state_bits
        operands = operand_stages(config)

        def delayed(value: Value, cycles: int, name: str) -> Value:
            """``value`` as it was that many cycles ago."""
            for i in range(cycles):
                register = Signal(value.shape(), name=f"{name}_{i + 1}", reset_less=True)
                m.d.sync += register.eq(value)
                value = register
            return value

        # No register of the data path has a reset: iCE40 multiplier blocks take in only such registers.
        # Operands. A held neuron is multiplied by 1.0 and gets no input, so its potential stays.
        membrane = delayed(self.state.membrane, operands, "membrane")
        retention = delayed(self.leak.retention, 1, "retention")
        drive = self.synaptic_sum << config.fraction_bits
        if operands == 2:
            bias = delayed(self.bias, SUM_LATENCY, "bias") if config.bias_bits else Const(0)
            registered_drive = Signal(signed(max(len(drive), config.bias_bits) + 1), name="drive", reset_less=True)
            if config.refractory_bits:
                counter = delayed(self.state.refractory, 1, "counter")
                held1 = counter.any()
                held2 = delayed(held1, 1, "held2")
                retention_or_one = Signal.like(retention, name="retention_or_one", reset_less=True)
                m.d.sync += [
                    retention_or_one.eq(Mux(held1, 1 << RETENTION_FRACTION, retention)),
                    registered_drive.eq(Mux(held2, 0, drive + bias)),
                ]
                retention = retention_or_one
            else:
                retention = delayed(retention, 1, "retention2")
                m.d.sync += registered_drive.eq(drive + bias)
            drive = registered_drive

        # Leak and integrate: drive + membrane * retention / 2**12. Cutting off the fraction rounds a negative product down; it is
        # rounded toward zero if almost one is added before.
        if self._wide:
            low_product = Signal(RETENTION_FRACTION + len(retention), reset_less=True)
            high_product = Signal(signed(bits - RETENTION_FRACTION + len(retention)), reset_less=True)
            whole, carry = Signal(signed(bits + 1), reset_less=True), Signal(reset_less=True)
            total = Signal(signed(max(bits + 1, len(drive)) + 2), reset_less=True)
            low_cut = low_product[:RETENTION_FRACTION].any()
            m.d.sync += [
                low_product.eq(membrane[:RETENTION_FRACTION] * retention),
                high_product.eq(membrane[RETENTION_FRACTION:].as_signed() * retention),
                whole.eq(high_product + low_product[RETENTION_FRACTION:]),
                carry.eq(low_cut & high_product[-1]),
                total.eq(whole + delayed(drive, 1, "drive") + carry),
            ]
        else:
            # One multiplication and one addition, which fit the iCE40's multiplier block.
            product = Signal(signed(bits + len(retention)), reset_less=True)
            negative = delayed(membrane[-1], 1, "negative")
            addend = Cat(negative.replicate(RETENTION_FRACTION), drive).as_signed()
            scaled = Signal(signed(max(len(product), len(addend)) + 1), reset_less=True)
            m.d.sync += [product.eq(membrane * retention), scaled.eq(product + addend)]
            total = scaled[RETENTION_FRACTION:].as_signed()

        # The one saturation.
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        integrated = Signal(signed(bits), reset_less=True)
        saturated = Signal(signed(bits))
        overflow = total[bits - 1 :].any() & ~total[bits - 1 :].all()
        m.d.comb += saturated.eq(Mux(overflow, Mux(total[-1], low, high), total))
        m.d.sync += integrated.eq(saturated)

        # Threshold and reset.
        spike = Signal()
        after_reset = Signal(signed(bits))
        # The memory holds the complement, -threshold - 1: the sum is not negative if the potential is above the threshold.
        above = ~(integrated + self.firing.threshold)[-1]
        m.d.comb += spike.eq(above)
        if config.relative_reset:
            base = Signal(signed(bits), reset_less=True)
            mode = delayed(self.leak.reset_mode, self.firing_latency - 1, "mode")
            m.d.sync += base.eq(Mux(mode == Reset.RELATIVE, saturated, 0))
            m.d.comb += after_reset.eq(base + self.firing.reset)
        else:
            m.d.comb += after_reset.eq(self.firing.reset)
        new_membrane = Mux(spike, after_reset, integrated)
        if config.refractory_bits:
            held = delayed(held2, self.firing_latency - 2, "held")
            left = Signal(config.refractory_bits, reset_less=True)
            m.d.comb += spike.eq(above & ~held)
            m.d.sync += left.eq(Mux(held1, counter - 1, 0))
            left = delayed(left, self.firing_latency - 2, "left")
            m.d.sync += self.new_state.refractory.eq(Mux(spike, self.firing.refractory, left))
        m.d.sync += [self.spike.eq(spike), self.new_state.membrane.eq(new_membrane)]
        with m.If(~self.last_stage):
            m.d.sync += [self.spike.eq(0), self.new_state.eq(Const(0, len(self.new_state.as_value())))]
        return m
