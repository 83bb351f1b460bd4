"""Memories with one read and one write port, cut into bus words and banks. Described in ``docs/ram.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import bits_for
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import BUS_WORD_BITS, ceil_div
from spikeloom.hdl.fabric import Fabric

SPRAM_DEPTH = 16384
SPRAM_WIDTH = 16


class BusPort(wiring.Signature):
    """How the loading bus reaches a memory while the core is idle.

    Members
    -------
    select : Out(1)
        This memory is addressed; ``index`` and ``slice`` are valid and the memory's ports belong to the bus.
    index : Out(index_bits)
        Word.
    slice : Out(slice_bits)
        32-bit slice of the word.
    write : Out(1)
        Strobe: ``data`` is written to the slice at the end of this cycle.
    data : Out(32)
        Word to write.
    read_data : In(32)
        The slice, three cycles after ``select`` rose and as long as it holds; zero, a cycle after it fell at the latest.
    """

    def __init__(self, index_bits: int, slice_bits: int) -> None:
        super().__init__(
            {
                "select": Out(1),
                "index": Out(index_bits),
                "slice": Out(slice_bits),
                "write": Out(1),
                "data": Out(BUS_WORD_BITS),
                "read_data": In(BUS_WORD_BITS),
            }
        )


def bus_port(depth: int, width: int) -> BusPort:
    """Bus port of a memory of that depth and word width."""
    return BusPort(bits_for(depth), bits_for(ceil_div(width, BUS_WORD_BITS)))


class Ram(wiring.Component):
    """One read port, one write port, any width; every 32-bit slice is a memory of its own with its own write enable.

    A read gives the word one cycle later and holds it until the next read. What a read gives of a word that is written in the same cycle
    is undefined.

    Parameters
    ----------
    width, depth : int
        Word width in bits and number of words.
    fabric : Fabric
        Target.
    style : str
        ``"block"``, ``"distributed"``, ``"spram"``, or ``"auto"`` to let the synthesis tool choose.

    Members
    -------
    read_address : In(range(depth))
    read_enable : In(1)
    read_data : Out(width)
    write_address : In(range(depth))
        With style ``"spram"`` the memory has one address: read and write never happen in one cycle.
    write_enable : In(slices)
        One bit per slice.
    write_data : In(width)
    """

    def __init__(self, *, width: int, depth: int, fabric: Fabric, style: str = "auto") -> None:
        self.width, self.depth, self.fabric, self.style = width, depth, fabric, style
        self.slices = ceil_div(width, BUS_WORD_BITS)
        if style == "spram" and depth > SPRAM_DEPTH:
            raise ConfigError(f"the weight memory has {depth} words; the part's SPRAM holds {SPRAM_DEPTH}")
        super().__init__(
            {
                "read_address": In(bits_for(depth)),
                "read_enable": In(1),
                "read_data": Out(width),
                "write_address": In(bits_for(depth)),
                "write_enable": In(self.slices),
                "write_data": In(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for i in range(self.slices):
            low, high = i * BUS_WORD_BITS, min((i + 1) * BUS_WORD_BITS, self.width)
            if self.style == "spram":
                self._add_spram(m, i, low, high)
            else:
                self._add_memory(m, i, low, high)
        return m

    def _add_memory(self, m: Module, i: int, low: int, high: int) -> None:
        # Amaranth defines what a colliding read gives and yosys would build logic for it; the attribute says that nobody cares.
        attributes = {"no_rw_check": 1}
        if self.style != "auto":
            attributes["ram_style"] = self.style
        mem = memory.Memory(shape=high - low, depth=self.depth, init=[], attrs=attributes)
        m.submodules[f"slice{i}"] = mem
        read, write = mem.read_port(), mem.write_port()
        m.d.comb += [
            read.addr.eq(self.read_address),
            read.en.eq(self.read_enable),
            write.addr.eq(self.write_address),
            write.en.eq(self.write_enable[i]),
            write.data.eq(self.write_data[low:high]),
            self.read_data[low:high].eq(read.data),
        ]
        if self.fabric.poison_collisions:
            collided = Signal(name=f"collided{i}")
            with m.If(self.read_enable):
                m.d.sync += collided.eq(self.write_enable[i] & (self.read_address == self.write_address))
            m.d.comb += self.read_data[low:high].eq(Mux(collided, ~read.data, read.data))

    def _add_spram(self, m: Module, i: int, low: int, high: int) -> None:
        for j, start in enumerate(range(low, high, SPRAM_WIDTH)):
            width = min(SPRAM_WIDTH, high - start)
            out = Signal(SPRAM_WIDTH, name=f"spram{i}_{j}_data")
            address = Signal(14, name=f"spram{i}_{j}_address")
            m.d.comb += [
                address.eq(Mux(self.write_enable[i], self.write_address, self.read_address)),
                self.read_data[start : start + width].eq(out),
            ]
            m.submodules[f"spram{i}_{j}"] = Instance(
                "SB_SPRAM256KA",
                i_ADDRESS=address,
                i_DATAIN=Cat(self.write_data[start : start + width], Const(0, SPRAM_WIDTH - width)),
                i_MASKWREN=Const(0xF, 4),
                i_WREN=self.write_enable[i],
                i_CHIPSELECT=self.read_enable | self.write_enable[i],
                i_CLOCK=ClockSignal("sync"),
                i_STANDBY=Const(0),
                i_SLEEP=Const(0),
                i_POWEROFF=Const(1),
                o_DATAOUT=out,
            )


class BankedRam(wiring.Component):
    """``banks`` consecutive words of a memory at once, and single slices of single words for the bus.

    Word ``i`` of the memory map is word ``i % banks`` of row ``i // banks``. While ``bus.select`` is high the read port belongs to the
    bus, and so does the write port of a memory that the bus writes.

    Parameters
    ----------
    width, depth : int
        Width of one word, and number of words over all banks.
    banks : int
        Words read and written together, a power of two.
    writable : bool
        Whether the core writes. If so, the bus cannot; if not, the three write members are missing.
    single : bool
        The core writes single words, and so does the bus. ``write_address`` is then the number of a word, ``write_data`` one word.
    readback : bool
        Whether the bus can read.
    fabric : Fabric
        Target.
    style : str
        As for :class:`Ram`.

    Members
    -------
    bus : In(BusPort)
    read_address : In(range(rows))
    read_enable : In(1)
    read_data : Out(banks * width)
    write_address : In(range(rows))
    write_enable : In(1)
        All slices of all banks.
    write_data : In(banks * width)
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        banks: int = 1,
        writable: bool = False,
        single: bool = False,
        readback: bool = True,
        fabric: Fabric,
        style: str = "auto",
    ) -> None:
        self.width, self.depth, self.banks, self.writable, self.single = width, depth, banks, writable, single
        self.readback, self.fabric, self.style = readback, fabric, style
        self.rows = ceil_div(depth, banks)
        members = {
            "bus": In(bus_port(depth, width)),
            "read_address": In(bits_for(self.rows)),
            "read_enable": In(1),
            "read_data": Out(banks * width),
        }
        if writable or single:
            members |= {
                "write_address": In(bits_for(depth if single else self.rows)),
                "write_enable": In(1),
                "write_data": In(width if single else banks * width),
            }
        super().__init__(members)

    def _write_address(self, bus_row: Value) -> Value:
        """Row that is written."""
        if self.single:
            return Mux(self.bus.select, bus_row, self.write_address[(self.banks - 1).bit_length() :])
        return self.write_address if self.writable else bus_row

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        bank_bits = (self.banks - 1).bit_length()
        bus_row, bus_bank = bus.index[bank_bits:], bus.index[:bank_bits]
        chunks = {}
        read_data = Signal(self.banks * self.width, reset_less=True)
        if self.fabric.slow_block_ram:
            # Blocks that use the memory register its output too; synthesis merges the registers.
            m.d.sync += read_data.eq(self.read_data)
        else:
            m.d.comb += read_data.eq(self.read_data)
        for bank in range(self.banks):
            ram = Ram(width=self.width, depth=self.rows, fabric=self.fabric, style=self.style)
            m.submodules[f"bank{bank}"] = ram
            low = bank * self.width
            m.d.comb += [
                ram.read_address.eq(Mux(bus.select, bus_row, self.read_address) if self.readback else self.read_address),
                ram.read_enable.eq((bus.select | self.read_enable) if self.readback else self.read_enable),
                ram.write_address.eq(self._write_address(bus_row)),
                self.read_data[low : low + self.width].eq(ram.read_data),
            ]
            for i in range(ram.slices):
                start, stop = i * BUS_WORD_BITS, min((i + 1) * BUS_WORD_BITS, self.width)
                chosen = bus.select & bus.write & (bus.slice == i) & (bus_bank == bank)
                if bank < 1 << len(bus_bank):
                    # With fewer words than banks the index is too short to name the others.
                    chunks[i | bank << len(bus.slice)] = read_data[low + start : low + stop]
                if self.single:
                    mine = self.write_enable & (self.write_address[:bank_bits] == bank if bank_bits else 1)
                    m.d.comb += [
                        ram.write_enable[i].eq(Mux(bus.select, chosen, mine)),
                        ram.write_data[start:stop].eq(Mux(bus.select, bus.data, self.write_data[start:stop])),
                    ]
                elif self.writable:
                    m.d.comb += [
                        ram.write_enable[i].eq(self.write_enable),
                        ram.write_data[start:stop].eq(self.write_data[low + start : low + stop]),
                    ]
                else:
                    m.d.comb += [ram.write_enable[i].eq(chosen), ram.write_data[start:stop].eq(bus.data)]
        if not self.readback:
            return m
        chosen_chunk = Signal(BUS_WORD_BITS)
        last = max(chunks)
        with m.Switch(Cat(bus.slice, bus_bank)):
            for number, chunk in chunks.items():
                with m.Case(number) if number != last else m.Default():
                    m.d.comb += chosen_chunk.eq(chunk)
        gated = Mux(bus.select, chosen_chunk, 0)
        if self.fabric.slow_block_ram:
            m.d.sync += bus.read_data.eq(gated)
        else:
            m.d.comb += bus.read_data.eq(gated)
        return m
