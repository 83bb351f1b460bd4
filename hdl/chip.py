"""Chip: cores behind one register map. Described in ``docs/chip.md``."""

from __future__ import annotations

import functools
import operator

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import DELAY_BITS, ChipConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.memory_map import SPACE_SHIFT
from spikeloom.arch.registers import (
    EVENT_AXON_BITS,
    MAX_BUS_CORES,
    OUTPUT_NUMBER_BITS,
    OUTPUT_TICK_BITS,
    PERIOD_BITS,
    Address,
    Status,
    constants,
)
from spikeloom.hdl.core import Core
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.mesh import Mesh, connect_links, link_ports

ADDRESS_BITS = 32
#: A request to the chip.
ChipRequest = data.StructLayout({"address": ADDRESS_BITS, "write": 1, "data": BUS_WORD_BITS})
#: The answer to every request, in order.
ChipResponse = data.StructLayout({"status": 2, "data": BUS_WORD_BITS})

#: Entries of the output queue.
OUTPUT_QUEUE_DEPTH = 256
RUN_BITS = 16
#: Bit of the core in an EVENT word.
EVENT_CORE_SHIFT = EVENT_AXON_BITS + DELAY_BITS
#: Bits of an entry of the output queue: an output number, or (highest bit set) the tick of the entries that follow.
ENTRY_BITS = OUTPUT_TICK_BITS + 1


class Chip(wiring.Component):
    """Cores, their tick control, the output queue and the registers of ``spikeloom.arch.registers``.

    Parameters
    ----------
    config : ChipConfig
        Geometry of one chip; :meth:`ChipConfig.tile` gives it where several share a mesh.
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
    link_<side>_tx, link_<side>_rx : Out, In
        Pins of the link to the neighbouring chip on that side, if there is one.

    Raises
    ------
    ConfigError
        If the geometry is that of several chips, or has more cores than the bus can address.
    """

    def __init__(self, *, config: ChipConfig, fabric: Fabric = GENERIC) -> None:
        if config.chips_across * config.chips_down > 1:
            raise ConfigError(
                f"the mesh belongs to {config.chips_across * config.chips_down} chips; generate each from config.tile(number)"
            )
        if len(config.cores) > MAX_BUS_CORES:
            raise ConfigError(
                f"the chip has {len(config.cores)} cores; the bus can address {MAX_BUS_CORES}: use several chips with links"
            )
        self.config, self.fabric = config, fabric
        super().__init__(
            {
                "request": In(stream.Signature(ChipRequest)),
                "response": Out(stream.Signature(ChipResponse)),
                "link_errors": In(BUS_WORD_BITS),
                "busy": Out(1, init=1),
                **link_ports(config),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        # Alone, a core needs no mesh around it.
        core = Mesh(config=config, fabric=self.fabric) if config.meshed else Core(config=config.cores[0], fabric=self.fabric)
        m.submodules.mesh = core
        if config.meshed:
            connect_links(m, self, core)

        # Ticks. ``go`` asks the core for a tick until it begins; ``ran`` is high while one runs.
        ticks_left = Signal(RUN_BITS)
        more, go, ran = Signal(), Signal(), Signal()
        tick = Signal(BUS_WORD_BITS)
        clear = Signal()
        # An event on its way to the core; it is taken at once, since the core is idle.
        sending_event = Signal()
        m.d.comb += [core.clear.eq(clear), core.tick.eq(go)]
        clearing = Signal()
        m.d.comb += clearing.eq(core.idle & clear & ~ran)
        period, due, overruns = self._add_timer(m, begins=core.idle & go, ends=core.idle & ran, clearing=clearing)
        resting = core.idle | core.delivering if config.meshed else core.idle
        m.d.sync += [more.eq(ticks_left.any()), self.busy.eq(more | ticks_left.any() | go | ran | clear | ~resting)]
        with m.If(core.idle & ran):
            m.d.sync += [ran.eq(0), tick.eq(tick + 1)]
        with m.Elif(core.idle & clear):
            m.d.sync += [clear.eq(0), tick.eq(0)]
        with m.Elif(core.idle & go):
            m.d.sync += [go.eq(0), ran.eq(1)]
        with m.Elif(more & due & ~go & ~ran & ~clear & ~sending_event):
            m.d.sync += [go.eq(1), more.eq(0), ticks_left.eq(ticks_left - 1)]

        pop, head_valid, head = self._add_output_queue(m, core, tick, ran, clear)

        # Registers and core memories. A request is decoded in one cycle and carried out in the next, if it need not wait for the core.
        request, response = self.request, self.response
        address, write, word = request.payload.address, request.payload.write, request.payload.data
        space, offset = address[SPACE_SHIFT:], address[:SPACE_SHIFT]
        decoded, waiting, respond = Signal(), Signal(), Signal()
        done, status, value = Signal(), Signal(2), Signal(BUS_WORD_BITS)
        to_core, may_change = Signal(), Signal()
        numbers = (*Address,)
        selects = Signal(len(numbers))
        select = {number: selects[i] for i, number in enumerate(numbers)}
        m.d.sync += [
            decoded.eq(request.valid & ~decoded & ~waiting & ~respond),
            to_core.eq((space != 0) & (space <= len(config.cores))),
            # Only a request can end this condition, and requests come one after the other.
            may_change.eq(~(self.busy | more | ticks_left.any() | go | ran | clear)),
            selects.eq(Cat((space == 0) & (offset == number) for number in numbers)),
        ]
        m.d.comb += [
            response.valid.eq(respond),
            request.ready.eq(done),
            core.request.payload.address.eq(address),
            core.request.payload.write.eq(write),
            core.request.payload.data.eq(word),
            core.request.valid.eq(waiting),
            core.response.ready.eq(1),
        ]
        readable = {
            **{number: Const(constant, BUS_WORD_BITS) for number, constant in constants(self.config).items()},
            Address.STATUS: Cat(self.busy, head_valid, core.waiting if config.meshed else Const(0, 1), Const(0, 13), ticks_left),
            Address.TICK: tick,
            Address.LINK_ERRORS: self.link_errors,
            Address.OUTPUT: head,
            Address.PERIOD: period,
            Address.OVERRUNS: overruns,
            Address.MISROUTED: self._add_counter(m, core.misrouted, clearing, "misrouted") if config.meshed else Const(0, 1),
            Address.MESH_ERRORS: self._add_counter(m, core.errors, 0, "mesh_errors") if config.links else Const(0, 1),
            Address.MESH_REPEATS: self._add_counter(m, core.repeats, 0, "mesh_repeats") if config.links else Const(0, 1),
        }
        change = select[Address.CLEAR] | select[Address.RUN] | select[Address.EVENT] | select[Address.PERIOD]
        no_core = select[Address.EVENT] & (word[EVENT_CORE_SHIFT:] >= len(config.cores))
        m.d.comb += [
            value.eq(functools.reduce(operator.or_, (Mux(select[number], source, 0) for number, source in readable.items()))),
            core.events.valid.eq(sending_event),
        ]
        with m.If(core.events.ready):
            m.d.sync += sending_event.eq(0)
        with m.If(respond):
            with m.If(response.ready):
                m.d.sync += respond.eq(0)
        with m.Elif(waiting):
            m.d.comb += [status.eq(core.response.payload.status), done.eq(core.response.valid)]
            m.d.sync += waiting.eq(~core.response.valid)
        with m.Elif(decoded & ~sending_event):
            with m.If(to_core):
                m.d.sync += waiting.eq(may_change)
                m.d.comb += [done.eq(~may_change), status.eq(Status.BUSY)]
            with m.Elif(~write & Cat(select[number] for number in readable).any()):
                m.d.comb += [done.eq(1), status.eq(Status.OK), pop.eq(select[Address.OUTPUT])]
            with m.Elif(write & no_core):
                m.d.comb += [done.eq(1), status.eq(Status.BAD_ADDRESS)]
            with m.Elif(write & change & ~may_change):
                m.d.comb += [done.eq(1), status.eq(Status.BUSY)]
            with m.Elif(write & change):
                m.d.comb += [done.eq(1), status.eq(Status.OK)]
                with m.If(select[Address.EVENT]):
                    m.d.sync += [sending_event.eq(1), core.events.payload.eq(word)]
                with m.If(select[Address.CLEAR]):
                    m.d.sync += clear.eq(1)
                with m.If(select[Address.RUN]):
                    m.d.sync += ticks_left.eq(word)
                with m.If(select[Address.PERIOD]):
                    m.d.sync += period.eq(word)
            with m.Else():
                m.d.comb += [done.eq(1), status.eq(Status.BAD_ADDRESS)]
        with m.If(done):
            m.d.sync += [
                respond.eq(1),
                response.payload.status.eq(status),
                response.payload.data.eq(Mux(waiting, core.response.payload.data, value)),
            ]
        return m

    @staticmethod
    def _add_counter(m: Module, step: Signal, clear: Signal | int, name: str) -> Signal:
        """A 32-bit counter; wraps."""
        count = Signal(BUS_WORD_BITS, name=name)
        m.d.sync += count.eq(Mux(clear, 0, count + step))
        return count

    def _add_timer(self, m: Module, *, begins: Value, ends: Value, clearing: Value) -> tuple[Signal, Signal, Signal]:
        """Pace the ticks.

        Returns
        -------
        period : Signal(24)
            Value of the register ``PERIOD``.
        due : Signal
            The next tick may begin two cycles from now.
        overruns : Signal(32)
            Value of the register ``OVERRUNS``.
        """
        period, left = Signal(PERIOD_BITS), Signal(PERIOD_BITS)
        expired, due = Signal(), Signal(init=1)
        # Three is where the counter stops, because it takes three more cycles until the next tick begins.
        m.d.comb += expired.eq(left[2:] == 0)
        with m.If(begins):
            m.d.sync += left.eq(period)
        with m.Elif(~expired):
            m.d.sync += left.eq(left - 1)
        m.d.sync += due.eq(expired)
        overrun = Signal()
        m.d.sync += overrun.eq(ends & due & period.any())
        return period, due, self._add_counter(m, overrun, clearing, "overruns")

    def _add_output_queue(
        self, m: Module, core: Core | Mesh, tick: Signal, ran: Signal, clear: Signal
    ) -> tuple[Signal, Signal, Signal]:
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
        assert self.config.cores[0].target_bits <= OUTPUT_TICK_BITS
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
        # The entry in front has left the memory, whose output is late.
        entry, entry_valid, is_tick = Signal(ENTRY_BITS), Signal(), Signal()
        m.d.comb += [is_tick.eq(entry_valid & entry[-1]), queue.r_en.eq(~entry_valid | is_tick | pop)]
        with m.If(queue.r_en):
            m.d.sync += [entry.eq(queue.r_data), entry_valid.eq(queue.r_rdy)]
        with m.If(clear):
            m.d.sync += entry_valid.eq(0)
        with m.If(is_tick):
            m.d.sync += head_tick.eq(entry)
        number = Signal(OUTPUT_NUMBER_BITS)
        m.d.comb += [
            number.eq(entry[:OUTPUT_TICK_BITS]),
            head_valid.eq(entry_valid & ~entry[-1]),
            head.eq(Mux(head_valid, Cat(number, head_tick, Const(1, 1)), 0)),
        ]
        return pop, head_valid, head
