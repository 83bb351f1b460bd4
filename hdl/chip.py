"""Chip: cores behind one register map. Described in ``docs/chip.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import BUS_WORD_BITS, DELAY_BITS, ChipConfig
from spikeloom.arch.memory_map import SPACE_SHIFT, target_bits
from spikeloom.arch.registers import EVENT_AXON_BITS, OUTPUT_NUMBER_BITS, OUTPUT_TICK_BITS, Address, Status, constants
from spikeloom.hdl.core import Core
from spikeloom.hdl.fabric import GENERIC, Fabric

ADDRESS_BITS = 32
#: A request to the chip.
ChipRequest = data.StructLayout({"address": ADDRESS_BITS, "write": 1, "data": BUS_WORD_BITS})
#: The answer to every request, in order.
ChipResponse = data.StructLayout({"status": 2, "data": BUS_WORD_BITS})

#: Entries of the output queue.
OUTPUT_QUEUE_DEPTH = 256
RUN_BITS = 16
#: Bits of an entry of the output queue: an output number, or (highest bit set) the tick of the entries that follow.
ENTRY_BITS = OUTPUT_TICK_BITS + 1


class Chip(wiring.Component):
    """A core, its tick control, its output queue and the registers of ``spikeloom.arch.registers``.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    fabric : Fabric
        Target.

    Members
    -------
    request : In(stream of ChipRequest)
    response : Out(stream of ChipResponse)
        One answer per request, in order.
    link_errors : In(32)
        Value of the register ``LINK_ERRORS``.
    busy : Out(1)
        Ticks are running, or state is being cleared.
    """

    def __init__(self, *, config: ChipConfig, fabric: Fabric = GENERIC) -> None:
        self.config, self.fabric = config, fabric
        super().__init__(
            {
                "request": In(stream.Signature(ChipRequest)),
                "response": Out(stream.Signature(ChipResponse)),
                "link_errors": In(BUS_WORD_BITS),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core = Core(config=self.config.core, fabric=self.fabric)
        m.submodules.core = core

        # Ticks.
        ticks_left = Signal(RUN_BITS)
        tick = Signal(BUS_WORD_BITS)
        ran = Signal()
        clear = Signal()
        m.d.comb += [
            self.busy.eq(ticks_left.any() | ~core.idle | clear),
            core.clear.eq(clear),
            core.tick.eq(ticks_left.any() & ~clear),
        ]
        # ``ran`` is high while a tick runs.
        with m.If(core.idle):
            m.d.sync += ran.eq(0)
            with m.If(ran):
                m.d.sync += tick.eq(tick + 1)
            with m.If(clear):
                m.d.sync += [clear.eq(0), tick.eq(0)]
            with m.Elif(ticks_left.any()):
                m.d.sync += [ran.eq(1), ticks_left.eq(ticks_left - 1)]

        pop, head_valid, head = self._add_output_queue(m, core, tick, ran, clear)

        # Registers and core memories.
        request, response = self.request, self.response
        address, write, word = request.payload.address, request.payload.write, request.payload.data
        space = address[SPACE_SHIFT:]
        respond = Signal()
        done, status, value = Signal(), Signal(2), Signal(BUS_WORD_BITS)
        ready_for_change = ~self.busy & ~ran
        m.d.comb += [
            response.valid.eq(respond),
            core.request.payload.address.eq(address),
            core.request.payload.write.eq(write),
            core.request.payload.data.eq(word),
            core.response.ready.eq(1),
            core.events.payload.axon.eq(word[:EVENT_AXON_BITS]),
            core.events.payload.delay.eq(word[EVENT_AXON_BITS : EVENT_AXON_BITS + DELAY_BITS]),
            request.ready.eq(done),
        ]
        waiting = Signal()
        with m.If(respond), m.If(response.ready):
            m.d.sync += respond.eq(0)
        with m.Elif(waiting), m.If(core.response.valid):
            m.d.comb += [done.eq(1), status.eq(core.response.payload.status), value.eq(core.response.payload.data)]
        with m.Elif(request.valid):
            with m.If(space == 1):
                with m.If(ready_for_change):
                    m.d.comb += core.request.valid.eq(1)
                with m.Else():
                    m.d.comb += [done.eq(1), status.eq(Status.BUSY)]
            with m.Elif(space == 0):
                m.d.comb += [done.eq(1), status.eq(Status.BAD_ADDRESS)]
                offset = address[:SPACE_SHIFT]
                with m.If(~write):
                    for number, constant in constants(self.config).items():
                        with m.If(offset == number):
                            m.d.comb += [status.eq(Status.OK), value.eq(Const(constant, BUS_WORD_BITS))]
                    for number, register in (
                        (Address.STATUS, Cat(self.busy, head_valid, Const(0, 14), ticks_left)),
                        (Address.TICK, tick),
                        (Address.LINK_ERRORS, self.link_errors),
                    ):
                        with m.If(offset == number):
                            m.d.comb += [status.eq(Status.OK), value.eq(register)]
                    with m.If(offset == Address.OUTPUT):
                        m.d.comb += [status.eq(Status.OK), value.eq(head), pop.eq(1)]
                with m.Else():
                    with m.If((offset == Address.CLEAR) | (offset == Address.RUN) | (offset == Address.EVENT)):
                        m.d.comb += status.eq(Mux(ready_for_change, Status.OK, Status.BUSY))
                    with m.If((offset == Address.CLEAR) & ready_for_change):
                        m.d.sync += clear.eq(1)
                    with m.If((offset == Address.RUN) & ready_for_change):
                        m.d.sync += ticks_left.eq(word)
                    with m.If((offset == Address.EVENT) & ready_for_change):
                        m.d.comb += [core.events.valid.eq(1), done.eq(core.events.ready)]
            with m.Else():
                m.d.comb += [done.eq(1), status.eq(Status.BAD_ADDRESS)]
        with m.If(core.request.valid):
            m.d.sync += waiting.eq(1)
        with m.Elif(waiting & core.response.valid):
            m.d.sync += waiting.eq(0)
        with m.If(done):
            m.d.sync += [respond.eq(1), response.payload.status.eq(status), response.payload.data.eq(value)]
        return m

    def _add_output_queue(self, m: Module, core: Core, tick: Signal, ran: Signal, clear: Signal) -> tuple[Signal, Signal, Signal]:
        """Queue the outputs, with the tick before the first of each tick.

        Returns
        -------
        pop : Signal
            Set it to take the entry at the head.
        head_valid : Signal
            The queue is not empty.
        head : Signal(32)
            Value of the register ``OUTPUT``; 0 if the queue is empty.
        """
        assert target_bits(self.config.core) <= OUTPUT_TICK_BITS
        queue = fifo.SyncFIFOBuffered(width=ENTRY_BITS, depth=OUTPUT_QUEUE_DEPTH)
        m.submodules.queue = ResetInserter(clear)(queue)
        marked = Signal()
        m.d.comb += [
            queue.w_en.eq(core.outputs.valid),
            queue.w_data.eq(Mux(marked, core.outputs.payload, Cat(tick[:OUTPUT_TICK_BITS], Const(1, 1)))),
            core.outputs.ready.eq(queue.w_rdy & marked),
        ]
        with m.If(~ran):
            m.d.sync += marked.eq(0)
        with m.Elif(core.outputs.valid & queue.w_rdy):
            m.d.sync += marked.eq(1)

        pop, head_valid, head = Signal(), Signal(), Signal(BUS_WORD_BITS)
        head_tick = Signal(OUTPUT_TICK_BITS)
        is_tick = queue.r_data[-1]
        with m.If(queue.r_rdy & is_tick):
            m.d.sync += head_tick.eq(queue.r_data)
        number = Signal(OUTPUT_NUMBER_BITS)
        m.d.comb += [
            queue.r_en.eq(is_tick | pop),
            number.eq(queue.r_data[:OUTPUT_TICK_BITS]),
            head_valid.eq(queue.r_rdy & ~is_tick),
            head.eq(Mux(head_valid, Cat(number, head_tick, Const(1, 1)), 0)),
        ]
        return pop, head_valid, head
