"""Delay scheduler: sixteen slots of one bit per axon. Described in ``docs/scheduler.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.config import DELAY_BITS, DELAY_WORD_BITS, CoreConfig, bits_for
from spikeloom.arch.memory_map import delay_depth
from spikeloom.arch.registers import EVENT_AXON_BITS
from spikeloom.hdl.extractor import Extractor
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.ram import BankedRam, bus_port

#: An event on its way to an axon: due ``delay`` ticks after the tick that runs, or that ran last.
Event = data.StructLayout({"axon": EVENT_AXON_BITS, "delay": DELAY_BITS})


class Scheduler(wiring.Component):
    """Keeps events until their tick, and lists the axons due.

    Every access is a read followed by a write two cycles later, one access per cycle: a *deposit* sets one bit of a word, a *scan* empties
    a word of the present slot and hands it to the extractor.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    fabric : Fabric
        Target.

    Members
    -------
    slot : In(4)
        Slot of the tick that runs, or that ran last.
    start : In(1)
        Strobe in the first cycle of a tick (``slot`` has its new value): list the axons of this slot.
    done : Out(1)
        All axons of the slot have left ``axons``; low from the cycle after ``start``.
    quiet : Out(1)
        No deposit is under way.
    clear : In(1)
        Empty the word ``clear_index`` of the memory. Only while nothing else happens.
    clear_index : In(range(depth))
    external : In(stream of Event)
        Events from outside. Wait while ``internal`` is valid or a scan needs the memory.
    internal : In(stream of Event)
        Events from the core's own neurons. They come while neurons are updated, never during a scan, and never wait.
    axons : Out(stream of axon numbers)
        Axons due in this tick, each once, in ascending order.
    merged : Out(1)
        Strobe: an event found its axon already pending.
    dropped : Out(1)
        Strobe: an event named an axon that does not exist, or the delay 0.
    bus : In(BusPort)
    """

    def __init__(self, *, config: CoreConfig, fabric: Fabric) -> None:
        self.config, self.fabric = config, fabric
        self.depth = delay_depth(config)
        self.word_bits = (config.delay_words - 1).bit_length()
        super().__init__(
            {
                "slot": In(DELAY_BITS),
                "start": In(1),
                "done": Out(1),
                "quiet": Out(1),
                "clear": In(1),
                "clear_index": In(bits_for(self.depth)),
                "external": In(stream.Signature(Event)),
                "internal": In(stream.Signature(Event)),
                "axons": Out(stream.Signature(bits_for(config.axons))),
                "merged": Out(1),
                "dropped": Out(1),
                "bus": In(bus_port(self.depth, DELAY_WORD_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address_bits = bits_for(self.depth)
        ram = BankedRam(
            width=DELAY_WORD_BITS, depth=self.depth, writable=True, readback=self.config.readback, fabric=self.fabric, style="block"
        )
        index_bits = max(1, self.word_bits)
        extractor = Extractor(index_bits=index_bits, width=DELAY_WORD_BITS)
        m.submodules.ram = ram
        m.submodules.extractor = extractor
        connect(m, flipped(self.bus), ram.bus)

        # An event waits in a register until the memory is free.
        scanning = Signal()
        scan_word = Signal(range(self.config.delay_words + 1))
        pending_valid = Signal()
        found = Signal()
        scan_exhausted, do_scan, do_deposit = Signal(), Signal(), Signal()
        event_valid, event_legal = Signal(), Signal()
        event_axon = Signal(self.word_bits + 4)
        event_slot = Signal(DELAY_BITS)
        event = Mux(self.internal.valid, self.internal.payload.as_value(), self.external.payload.as_value())
        axon, delay = event[:EVENT_AXON_BITS], event[EVENT_AXON_BITS:]
        m.d.comb += [
            do_deposit.eq(event_valid & ~do_scan),
            self.internal.ready.eq(1),
            self.external.ready.eq(~self.internal.valid & (~event_valid | ~do_scan)),
        ]
        with m.If(~event_valid | ~do_scan):
            m.d.sync += [
                event_valid.eq(self.internal.valid | self.external.valid),
                event_legal.eq((axon < self.config.axons) & delay.any()),
                event_axon.eq(axon),
                event_slot.eq(self.slot + delay),
            ]

        # Stage 0: choose an access and read its word.
        address0 = Signal(address_bits)
        m.d.comb += [
            scan_exhausted.eq(scan_word == self.config.delay_words),
            do_scan.eq(scanning & ~scan_exhausted & ~pending_valid),
            address0.eq(
                Mux(do_scan, Cat(scan_word[: self.word_bits], self.slot), Cat(event_axon[4:], event_slot)),
            ),
            ram.read_address.eq(address0),
            ram.read_enable.eq(1),
        ]

        # Stage 1: the word leaves the memory. Stage 2: it is changed and written.
        scan1, deposit1, scan2, deposit2, written3 = (
            Signal(name=n) for n in ("scan1", "deposit1", "scan2", "deposit2", "written3")
        )
        address1, address2, address3 = (Signal(address_bits, name=f"address{i}") for i in (1, 2, 3))
        bit1 = Signal(4)
        select2 = Signal(DELAY_WORD_BITS)
        stored2, newer2, word2, new2, word3 = (
            # Without a reset, so that the first one is the register that the bus reads too.
            Signal(DELAY_WORD_BITS, name=n, reset_less=n == "stored2")
            for n in ("stored2", "newer2", "word2", "new2", "word3")
        )
        write2, is_newer2 = Signal(), Signal()
        m.d.sync += [
            scan1.eq(do_scan),
            deposit1.eq(do_deposit & event_legal),
            self.dropped.eq(do_deposit & ~event_legal),
            address1.eq(address0),
            bit1.eq(event_axon[:4]),
            scan2.eq(scan1 & ~found),
            deposit2.eq(deposit1),
            address2.eq(address1),
            select2.eq(1 << bit1),
            written3.eq(write2),
            address3.eq(address2),
            word3.eq(new2),
        ]
        # The two accesses before this one may not have reached the memory yet. The choice comes after the registers, because a memory's
        # output is late.
        replaced = write2 & (address2 == address1)
        m.d.sync += [
            stored2.eq(ram.read_data),
            newer2.eq(Mux(replaced, new2, word3)),
            is_newer2.eq(replaced | (written3 & (address3 == address1))),
        ]
        m.d.comb += word2.eq(Mux(is_newer2, newer2, stored2))
        m.d.comb += [
            write2.eq((scan2 & ~found) | deposit2),
            new2.eq(Mux(scan2, 0, word2 | select2)),
            ram.write_enable.eq(write2 | self.clear),
            ram.write_address.eq(Mux(self.clear, self.clear_index, address2)),
            ram.write_data.eq(Mux(self.clear, 0, new2)),
            self.quiet.eq(~event_valid & ~deposit1 & ~deposit2),
        ]
        m.d.sync += self.merged.eq(deposit2 & (word2 & select2).any())

        # Scan. A word with axons in it waits in ``pending`` and ends the scan until it has been handed on. The accesses behind it are
        # taken back in the cycle in which ``found`` is high.
        pending = extractor.i.payload
        m.d.sync += found.eq(scan2 & ~found & word2.any())
        with m.If(~pending_valid):
            m.d.sync += [pending.mask.eq(word2), pending.index.eq(address2[: self.word_bits])]
        with m.If(scan2 & ~found & word2.any()):
            m.d.sync += pending_valid.eq(1)
        with m.Elif(extractor.i.ready):
            m.d.sync += pending_valid.eq(0)
        with m.If(self.start):
            m.d.sync += [scanning.eq(1), scan_word.eq(0)]
        with m.Elif(found):
            m.d.sync += scan_word.eq(pending.index[: self.word_bits] + 1)
        with m.Elif(do_scan):
            m.d.sync += scan_word.eq(scan_word + 1)
        with m.Elif(scan_exhausted & ~scan1 & ~scan2):
            m.d.sync += scanning.eq(0)
        m.d.comb += [
            extractor.i.valid.eq(pending_valid),
            self.axons.valid.eq(extractor.o.valid),
            self.axons.payload.eq(extractor.o.payload),
            extractor.o.ready.eq(self.axons.ready),
            self.done.eq(~scanning & ~pending_valid & ~extractor.busy),
        ]
        return m
