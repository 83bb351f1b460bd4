"""Random numbers without an order: one number per cycle. Described in ``docs/random.md``."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.arch.random import FIELD_BITS, FIELD_POLYNOMIAL, MIX, MIX_SHIFTS, UNIT_BITS

#: Cycles from ``x`` to ``number``: a register after each of the six steps.
MIXER_LATENCY = len(MIX)


class Mixer(wiring.Component):
    """Computes ``mix(x)``, one number per cycle. Nothing stalls it, and nothing resets it.

    Members
    -------
    x : In(32)
        What is mixed: the key of the tick, XOR an index.
    number : Out(32)
        ``mix(x)`` of the ``x`` that was there ``MIXER_LATENCY`` cycles ago.
    """

    def __init__(self) -> None:
        super().__init__({"x": In(RANDOM_BITS), "number": Out(RANDOM_BITS)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        values = [self.x, *(Signal(RANDOM_BITS, name=f"mixed_{step + 1}", reset_less=True) for step in range(len(MIX)))]
        shifted = [x << shift for x, shift in zip(values, MIX_SHIFTS, strict=False)]
        # Step 2 adds c to 33 x, which is 33 (x + c / 33), as 33 is odd: the constant is added behind the XOR of step 1, where a carry
        # chain is free, and three summands become two.
        early = MIX[2] * pow(1 + (1 << MIX_SHIFTS[2]), -1, 1 << RANDOM_BITS) % (1 << RANDOM_BITS)
        m.d.sync += [
            values[1].eq(values[0] + MIX[0] + shifted[0]),
            values[2].eq((values[1] ^ MIX[1] ^ (values[1] >> MIX_SHIFTS[1])) + early),
            values[3].eq(values[2] + shifted[2]),
            values[4].eq((values[3] + MIX[3]) ^ shifted[3]),
            values[5].eq(values[4] + MIX[4] + shifted[4]),
            values[6].eq(values[5] ^ MIX[5] ^ (values[5] >> MIX_SHIFTS[5])),
        ]
        m.d.comb += self.number.eq(values[6])
        return m


def powers_of(m: Module, element: Value, count: int, name: str) -> list[Signal]:
    """The element of the field times 1, x, x**2, ..."""
    powers = [Signal(FIELD_BITS, name=f"{name}_times_x{k}") for k in range(count)]
    for k, power in enumerate(powers):
        before = powers[k - 1]
        m.d.comb += power.eq((before << 1) ^ Mux(before[-1], FIELD_POLYNOMIAL, 0) if k else element)
    return powers


def combination(chosen: Value | int, powers: list[Signal], bits: int = UNIT_BITS) -> Value:
    """Low bits of the sum of the powers that a bit of ``chosen`` belongs to."""
    total: Value = Const(0, bits)
    for k, power in enumerate(powers):
        if isinstance(chosen, int):
            total = total ^ power[:bits] if chosen >> k & 1 else total
        else:
            total ^= Mux(chosen[k], power[:bits], 0)
    return total
