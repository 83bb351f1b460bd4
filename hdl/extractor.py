"""Turns a bit mask into a stream of the numbers of its set bits, lowest first. Described in ``docs/extractor.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


def mask_layout(index_bits: int, width: int) -> data.StructLayout:
    """A mask of ``width`` bits and its place: bit b stands for the number ``index * width + b``."""
    return data.StructLayout({"index": index_bits, "mask": width})


class Extractor(wiring.Component):
    """One number per cycle, and one cycle between masks.

    Parameters
    ----------
    index_bits : int
        Bits of the mask's place.
    width : int
        Bits of the mask, a power of two.

    Members
    -------
    i : In(stream of ``mask_layout``)
        Masks; one without a set bit produces nothing.
    o : Out(stream of unsigned)
        Numbers of the set bits.
    busy : Out(1)
        Numbers are left.
    """

    def __init__(self, *, index_bits: int, width: int) -> None:
        self.index_bits, self.width = index_bits, width
        bits = index_bits + (width - 1).bit_length()
        super().__init__(
            {"i": In(stream.Signature(mask_layout(index_bits, width))), "o": Out(stream.Signature(bits)), "busy": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index, lowest_index = Signal(self.index_bits), Signal(self.index_bits)
        mask, lowest = Signal(self.width), Signal(self.width)
        rest = Signal(self.width)
        # Subtracting one clears the lowest set bit and sets those below it.
        m.d.comb += [
            rest.eq(mask & (mask - 1)),
            self.busy.eq(mask.any() | self.o.valid),
            self.i.ready.eq(~mask.any()),
            self.o.payload.eq(Cat(_position(lowest), lowest_index)),
        ]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(mask.any()), lowest.eq(mask & ~rest), lowest_index.eq(index), mask.eq(rest)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [index.eq(self.i.payload.index), mask.eq(self.i.payload.mask)]
        return m


def _position(one_hot: Signal) -> Value:
    """Number of the only set bit."""
    bits = (len(one_hot) - 1).bit_length()
    return Cat(Cat(one_hot[i] for i in range(len(one_hot)) if i >> bit & 1).any() for bit in range(bits))
