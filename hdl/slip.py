"""SLIP framing (RFC 1055): bytes with delimiters to frames, and back. Described in ``docs/link.md``."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.frame import SLIP_END, SLIP_ESCAPE, SLIP_ESCAPED_END, SLIP_ESCAPED_ESCAPE

#: A byte of a frame, or (``end`` set) the end of the frame.
FrameByte = data.StructLayout({"byte": 8, "end": 1})


class SlipDecoder(wiring.Component):
    """Bytes from the line to bytes of frames. Never stalls.

    Members
    -------
    valid : In(1), byte : In(8)
        A byte from the line.
    out_valid : Out(1), out : Out(FrameByte)
        In the same cycle: a byte of the frame, or its end. A wrong escape sequence gives the byte 0 and is left to the frame's CRC.
    """

    def __init__(self) -> None:
        super().__init__({"valid": In(1), "byte": In(8), "out_valid": Out(1), "out": Out(FrameByte)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        escaped = Signal()
        unescaped = Mux(self.byte == SLIP_ESCAPED_END, SLIP_END, Mux(self.byte == SLIP_ESCAPED_ESCAPE, SLIP_ESCAPE, 0))
        m.d.comb += [
            self.out.end.eq(self.byte == SLIP_END),
            self.out.byte.eq(Mux(escaped, unescaped, self.byte)),
            self.out_valid.eq(self.valid & (escaped | (self.byte != SLIP_ESCAPE) | self.out.end)),
        ]
        with m.If(self.valid):
            m.d.sync += escaped.eq(~escaped & (self.byte == SLIP_ESCAPE))
        return m


class SlipEncoder(wiring.Component):
    """Bytes of frames to bytes for the line.

    Members
    -------
    i : In(stream of FrameByte)
    o : Out(stream of 8)
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(FrameByte)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, end = self.i.payload.byte, self.i.payload.end
        # Whether a byte must be escaped is known a cycle after it came.
        known, special, second = Signal(), Signal(), Signal()
        m.d.sync += [
            known.eq(self.i.valid & ~self.i.ready),
            special.eq(~end & ((byte == SLIP_END) | (byte == SLIP_ESCAPE))),
        ]
        m.d.comb += [
            self.o.valid.eq(self.i.valid & known),
            self.i.ready.eq(known & self.o.ready & (~special | second)),
        ]
        with m.If(end):
            m.d.comb += self.o.payload.eq(SLIP_END)
        with m.Elif(~special):
            m.d.comb += self.o.payload.eq(byte)
        with m.Elif(~second):
            m.d.comb += self.o.payload.eq(SLIP_ESCAPE)
        with m.Else():
            m.d.comb += self.o.payload.eq(Mux(byte == SLIP_END, SLIP_ESCAPED_END, SLIP_ESCAPED_ESCAPE))
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += second.eq(special & ~second)
        return m
