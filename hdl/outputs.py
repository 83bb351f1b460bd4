"""Outputs: what the host has not read yet, as a queue or as counts. Described in ``docs/outputs.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.registers import ENTRY_BITS, OUTPUT_ENTRIES, OUTPUT_TICK_BITS
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.ram import Ram

#: Cycles from ``read`` to ``read_done``, if no output comes between.
READ_CYCLES = 4
#: Bits of the numbers of entries written and taken; they wrap.
PLACE_BITS = 16


class Outputs(wiring.Component):
    """A memory of ``OUTPUT_ENTRIES`` entries of 16 bits.

    As a queue it holds output numbers, and before the first of each tick that tick. As counts it holds, for each output below
    ``OUTPUT_ENTRIES``, how often it came, up to ``2**ENTRY_BITS - 1``; higher ones are thrown away.

    Parameters
    ----------
    fabric : Fabric
        Target.
    number_bits : int
        Bits of an output number, at most ``OUTPUT_TICK_BITS``.

    Members
    -------
    i : In(stream of number_bits)
        Outputs. They wait while the queue is full.
    counting : In(1)
        Count. Changes only while nothing happens.
    tick : In(15)
        The tick that runs.
    between : In(1)
        No tick runs: the next output belongs to a new one.
    clear : In(1)
        Strobe: empty the queue, set the counts to zero.
    take : In(1), take_to : In(16)
        Strobe: so many entries are taken.
    written, taken : Out(16)
        Entries written and taken since the last clear.
    read : In(1), index : In(7)
        Read entries ``2 * index`` and ``2 * index + 1``; both hold until ``read_done``.
    read_done : Out(1), read_data : Out(32)
        Strobe: what was read, the first entry in the low half. It holds for this cycle.
    idle : Out(1)
        Nothing is under way.
    """

    def __init__(self, *, fabric: Fabric = GENERIC, number_bits: int = OUTPUT_TICK_BITS) -> None:
        assert number_bits <= OUTPUT_TICK_BITS
        self.fabric, self.number_bits = fabric, number_bits
        super().__init__(
            {
                "i": In(stream.Signature(number_bits)),
                "counting": In(1),
                "tick": In(OUTPUT_TICK_BITS),
                "between": In(1),
                "clear": In(1),
                "take": In(1),
                "take_to": In(PLACE_BITS),
                "written": Out(PLACE_BITS),
                "taken": Out(PLACE_BITS),
                "read": In(1),
                "index": In(range(OUTPUT_ENTRIES // 2)),
                "read_done": Out(1),
                "read_data": Out(BUS_WORD_BITS),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ram = Ram(width=ENTRY_BITS, depth=OUTPUT_ENTRIES, fabric=self.fabric, style="block")
        m.submodules.ram = ram
        index_bits = (OUTPUT_ENTRIES - 1).bit_length()
        number = Signal(ENTRY_BITS)
        m.d.comb += number.eq(self.i.payload)

        # One late, so there is one entry less than the memory has.
        full, used = Signal(), Signal(PLACE_BITS)
        marked = Signal()
        m.d.comb += used.eq(self.written - self.taken)
        m.d.sync += full.eq(used >= OUTPUT_ENTRIES - 2)
        with m.If(self.take):
            m.d.sync += self.taken.eq(self.take_to)
        with m.If(self.between):
            m.d.sync += marked.eq(0)

        counted = Signal(index_bits)
        # Of the two entries read, the one in the high half serves as the sum of a count too.
        low, high = self.read_data[:ENTRY_BITS], self.read_data[ENTRY_BITS:]
        swept = Signal(index_bits)
        m.d.sync += self.read_done.eq(0)
        m.d.comb += ram.read_enable.eq(1)
        with m.FSM(name="phase"):
            with m.State("IDLE"):
                m.d.comb += [
                    self.idle.eq(~self.clear),
                    ram.read_address.eq(Mux(self.i.valid, number, Cat(Const(0, 1), self.index))),
                ]
                with m.If(self.clear):
                    m.d.sync += [self.written.eq(0), self.taken.eq(0), marked.eq(0), swept.eq(0)]
                    with m.If(self.counting):
                        m.next = "SWEEP"
                with m.Elif(self.i.valid & self.counting):
                    m.d.comb += self.i.ready.eq(1)
                    m.d.sync += counted.eq(number)
                    with m.If(number[index_bits:] == 0):
                        m.next = "FOUND"
                with m.Elif(self.i.valid & ~full):
                    m.d.comb += [
                        self.i.ready.eq(marked),
                        ram.write_enable.eq(1),
                        ram.write_address.eq(self.written),
                        ram.write_data.eq(Mux(marked, number, Cat(self.tick, Const(1, 1)))),
                    ]
                    m.d.sync += [marked.eq(1), self.written.eq(self.written + 1)]
                with m.Elif(self.read & ~self.read_done):
                    # Where an output waits for room, this cycle read at the wrong place.
                    m.next = "FIRST"

            with m.State("FIRST"):
                m.d.comb += ram.read_address.eq(Cat(Const(0, 1), self.index))
                m.next = "SECOND"

            with m.State("SECOND"):
                m.d.comb += ram.read_address.eq(Cat(Const(1, 1), self.index))
                m.d.sync += low.eq(ram.read_data)
                m.next = "THIRD"

            with m.State("THIRD"):
                m.d.sync += [high.eq(ram.read_data), self.read_done.eq(1)]
                m.next = "IDLE"

            with m.State("FOUND"):
                m.d.sync += high.eq(ram.read_data)
                m.next = "COUNT"

            with m.State("COUNT"):
                m.d.sync += high.eq(high + ~high.all())
                m.next = "STORE"

            with m.State("STORE"):
                m.d.comb += [ram.write_enable.eq(1), ram.write_address.eq(counted), ram.write_data.eq(high)]
                m.next = "IDLE"

            with m.State("SWEEP"):
                m.d.comb += [ram.write_enable.eq(1), ram.write_address.eq(swept), ram.write_data.eq(0)]
                m.d.sync += swept.eq(swept + 1)
                with m.If(swept.all()):
                    m.next = "IDLE"
        return m
