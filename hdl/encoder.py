"""Encoder: makes input spikes from intensities of 8 bits. Described in ``docs/encoder.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import DELAY_BITS
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.random import INDEX_STEP, INTENSITY_RANDOM_BITS, KEY_STEP
from spikeloom.arch.registers import ENCODE_STEP_BITS, EVENT_AXON_BITS, EVENT_CORE_BITS, INTENSITY_BITS, INTENSITY_SCALE
from spikeloom.hdl.random import MIXER_LATENCY, Mixer

#: A word of the registers ``EVENT`` and ``ENCODE_AT``.
EventWord = data.StructLayout({"axon": EVENT_AXON_BITS, "delay": DELAY_BITS, "core": EVENT_CORE_BITS})
#: A word of the register ``ENCODE_STEPS``.
StepsWord = data.StructLayout({"first": ENCODE_STEP_BITS, "count": DELAY_BITS, "rate": 1})
INTENSITIES = BUS_WORD_BITS // INTENSITY_BITS


class Encoder(wiring.Component):
    """Takes four intensities at a time and sends their events, one intensity after the other.

    Parameters
    ----------
    rate : bool
        Whether it can make random spikes, besides evenly spaced ones.

    Members
    -------
    set_at, set_steps, set_index, set_seed : In(1)
        Strobes: ``i.payload`` is the new value. Only while ``busy`` is low.
    i : In(stream of 32)
        Four intensities, the first one in the low bits; taken while ``busy`` is low.
    o : Out(stream of EventWord)
        Events.
    busy : Out(1)
        Events are being made.
    """

    def __init__(self, *, rate: bool) -> None:
        self.rate = rate
        super().__init__(
            {
                "set_at": In(1),
                "set_steps": In(1),
                "set_index": In(1),
                "set_seed": In(1),
                "i": In(stream.Signature(BUS_WORD_BITS)),
                "o": Out(stream.Signature(EventWord)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        at, steps = Signal(EventWord), Signal(StepsWord)
        left, word = Signal(range(INTENSITIES + 1)), Signal(BUS_WORD_BITS)
        value = word[:INTENSITY_BITS]
        # Steps before the first one, and those to come; the delay of the next event.
        skip, more, delay = Signal(ENCODE_STEP_BITS), Signal(DELAY_BITS), Signal(DELAY_BITS)
        fires = Signal()

        # Phase: the sum modulo INTENSITY_SCALE, plus 1. What is carried out of its bits comes back in at the bottom.
        total, next_total = Signal(INTENSITY_BITS), Signal(INTENSITY_BITS + 1)
        m.d.comb += next_total.eq(total + value)
        phase_fires = next_total[-1]

        ready = Const(1, 1)
        if self.rate:
            mixer = Mixer()
            m.submodules.mixer = mixer
            index, seed, key = Signal(BUS_WORD_BITS), Signal(BUS_WORD_BITS), Signal(BUS_WORD_BITS)
            mixing, rate_fires = Signal(range(MIXER_LATENCY + 3)), Signal()
            number = mixer.number[-INTENSITY_RANDOM_BITS:]
            product = Signal(INTENSITY_RANDOM_BITS + INTENSITY_BITS)
            m.d.comb += mixer.x.eq(key ^ index)
            m.d.sync += [
                product.eq(Cat(Const(0, INTENSITY_BITS), number) - number),
                rate_fires.eq(product < Cat(Const(0, INTENSITY_RANDOM_BITS), value)),
            ]
            with m.If(self.set_index):
                m.d.sync += index.eq(self.i.payload)
            with m.If(self.set_seed):
                m.d.sync += seed.eq(self.i.payload)
            ready = ~steps.rate | (mixing == MIXER_LATENCY + 2)
            m.d.comb += fires.eq(Mux(steps.rate, rate_fires, phase_fires))
        else:
            m.d.comb += fires.eq(phase_fires)

        with m.If(self.set_at):
            m.d.sync += at.eq(self.i.payload)
        with m.If(self.set_steps):
            m.d.sync += steps.eq(self.i.payload)
        m.d.comb += [
            self.o.payload.axon.eq(at.axon),
            self.o.payload.core.eq(at.core),
            self.o.payload.delay.eq(delay),
        ]

        def go_on() -> None:
            """The next step."""
            m.d.sync += total.eq(next_total[:INTENSITY_BITS] + next_total[-1])
            if self.rate:
                m.d.sync += [key.eq(key + KEY_STEP), mixing.eq(0)]

        with m.FSM(name="phase"):
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += left.eq(INTENSITIES)
                with m.If(self.i.valid):
                    m.d.sync += [word.eq(self.i.payload), self.busy.eq(1)]
                    m.next = "BEGIN"

            with m.State("BEGIN"):
                m.d.sync += [
                    total.eq(INTENSITY_SCALE // 2 + 1),
                    skip.eq(steps.first),
                    more.eq(steps.count),
                    delay.eq(at.delay),
                ]
                if self.rate:
                    m.d.sync += [key.eq(seed), mixing.eq(0)]
                with m.If(value == 0):
                    m.next = "END"
                with m.Else():
                    m.next = "SKIP"

            with m.State("SKIP"):
                with m.If(skip.any()):
                    m.d.sync += skip.eq(skip - 1)
                    go_on()
                with m.Else():
                    m.next = "STEP"

            with m.State("STEP"):
                if self.rate:
                    m.d.sync += mixing.eq(mixing + 1)
                with m.If(more == 0):
                    m.next = "END"
                with m.Elif(ready):
                    m.d.comb += self.o.valid.eq(fires)
                    with m.If(~fires | self.o.ready):
                        m.d.sync += [more.eq(more - 1), delay.eq(delay + 1)]
                        go_on()
                    if self.rate:
                        # While it waits, the number stays.
                        with m.Else():
                            m.d.sync += mixing.eq(mixing)

            with m.State("END"):
                m.d.sync += [word.eq(word[INTENSITY_BITS:]), left.eq(left - 1), at.axon.eq(at.axon + 1)]
                if self.rate:
                    m.d.sync += index.eq(index + INDEX_STEP)
                with m.If(left == 1):
                    m.d.sync += self.busy.eq(0)
                    m.next = "IDLE"
                with m.Else():
                    m.next = "BEGIN"
        return m
