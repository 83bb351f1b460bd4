"""Random numbers without an order: one number per cycle. Described in ``docs/random.md``."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.arch.random import MIX, MIX_SHIFTS

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

    x: In(RANDOM_BITS)
    number: Out(RANDOM_BITS)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        x = self.x
        for step, (constant, shift) in enumerate(zip(MIX, MIX_SHIFTS, strict=True)):
            mixed = Signal(RANDOM_BITS, name=f"mixed_{step + 1}", reset_less=True)
            if step in (1, 5):
                m.d.sync += mixed.eq((x ^ constant) ^ (x >> shift))
            elif step == 3:
                m.d.sync += mixed.eq((x + constant) ^ (x << shift))
            else:
                m.d.sync += mixed.eq(x + constant + (x << shift))
            x = mixed
        m.d.comb += self.number.eq(x)
        return m
