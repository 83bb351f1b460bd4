"""Chip: cores behind one register map. Described in ``docs/chip.md``."""

from __future__ import annotations

import functools
import operator

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import DELAY_BITS, ChipConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.memory_map import SPACE_SHIFT
from spikeloom.arch.registers import (
    EVENT_AXON_BITS,
    MAX_BUS_CORES,
    OUTPUT_WINDOW,
    OUTPUT_WINDOW_WORDS,
    PERIOD_BITS,
    Address,
    Status,
    constants,
)
from spikeloom.hdl.core import Core
from spikeloom.hdl.encoder import Encoder
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.mesh import Mesh, connect_links, link_ports
from spikeloom.hdl.outputs import Outputs

ADDRESS_BITS = 32
#: A request to the chip.
ChipRequest = data.StructLayout({"address": ADDRESS_BITS, "write": 1, "data": BUS_WORD_BITS})
#: The answer to every request, in order.
ChipResponse = data.StructLayout({"status": 2, "data": BUS_WORD_BITS})

OUTPUT_WINDOW_BITS = (OUTPUT_WINDOW_WORDS - 1).bit_length()
RUN_BITS = 16
#: Registers of the encoder; the last two are only for random spikes.
ENCODER_REGISTERS = (Address.ENCODE_AT, Address.ENCODE_STEPS, Address.INTENSITY, Address.ENCODE_INDEX, Address.ENCODE_SEED)
#: Bit of the core in an EVENT word.
EVENT_CORE_SHIFT = EVENT_AXON_BITS + DELAY_BITS


class Chip(wiring.Component):
    """Cores, their tick control, outputs, encoder and the registers of ``spikeloom.arch.registers``.

    Parameters
    ----------
    config : ChipConfig
        Geometry of one chip; :meth:`ChipConfig.tile` gives it where several share a mesh.
    fabric : Fabric
        Target.
    build, clock_khz : int
        Values of the registers ``BUILD`` and ``CLOCK``, 32 bits.

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

    def __init__(self, *, config: ChipConfig, fabric: Fabric = GENERIC, build: int = 0, clock_khz: int = 0) -> None:
        if config.chips_across * config.chips_down > 1:
            raise ConfigError(
                f"the mesh belongs to {config.chips_across * config.chips_down} chips; generate each from config.tile(number)"
            )
        if len(config.cores) > MAX_BUS_CORES:
            raise ConfigError(
                f"the chip has {len(config.cores)} cores; the bus can address {MAX_BUS_CORES}: use several chips with links"
            )
        self.config, self.fabric, self.build, self.clock_khz = config, fabric, build, clock_khz
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
        sending_event, event = Signal(), Signal(BUS_WORD_BITS)
        # Outputs are counted, or counts set to zero.
        storing_idle = Signal()
        m.d.comb += [core.clear.eq(clear), core.tick.eq(go)]
        clearing = Signal()
        m.d.comb += clearing.eq(core.idle & clear & ~ran)
        period, due, overruns = self._add_timer(m, begins=core.idle & go, ends=core.idle & ran, clearing=clearing)
        resting = core.idle | core.delivering if config.meshed else core.idle
        m.d.sync += [
            more.eq(ticks_left.any()),
            self.busy.eq(more | ticks_left.any() | go | ran | clear | ~resting | ~storing_idle),
        ]
        with m.If(core.idle & ran):
            m.d.sync += [ran.eq(0), tick.eq(tick + 1)]
        with m.Elif(core.idle & clear):
            m.d.sync += [clear.eq(0), tick.eq(0)]
        with m.Elif(core.idle & go):
            m.d.sync += [go.eq(0), ran.eq(1)]
        with m.Elif(more & due & ~go & ~ran & ~clear & ~sending_event):
            m.d.sync += [go.eq(1), more.eq(0), ticks_left.eq(ticks_left - 1)]

        outputs = self._add_outputs(m, core, tick, ran, clear)
        encoder = self._add_encoder(m)

        # Registers and core memories. A request is held while it is decoded, judged and carried out, a step per cycle.
        request, response = self.request, self.response
        address, write, word = request.payload.address, request.payload.write, request.payload.data
        space, offset = address[SPACE_SHIFT:], address[:SPACE_SHIFT]
        value = Signal(BUS_WORD_BITS)
        to_core, to_window, may_change = Signal(), Signal(), Signal()
        can_read, can_change, no_core, acts = Signal(), Signal(), Signal(), Signal()
        numbers = (*Address,)
        selects = Signal(len(numbers))
        select = {number: selects[i] for i, number in enumerate(numbers)}
        m.d.sync += [
            to_core.eq((space != 0) & (space <= len(config.cores))),
            to_window.eq((space == 0) & (offset[OUTPUT_WINDOW_BITS:] == OUTPUT_WINDOW >> OUTPUT_WINDOW_BITS)),
            # Only a request can end this condition, and requests come one after the other.
            may_change.eq(~(self.busy | more | ticks_left.any() | go | ran | clear)),
            selects.eq(Cat((space == 0) & (offset == number) for number in numbers)),
        ]
        m.d.comb += [
            core.request.payload.address.eq(address),
            core.request.payload.write.eq(write),
            core.request.payload.data.eq(word),
            core.response.ready.eq(1),
        ]
        places, left_over = Cat(outputs.written, outputs.taken), Signal()
        m.d.sync += left_over.eq(outputs.written != outputs.taken)
        m.d.comb += [
            storing_idle.eq(outputs.idle),
            outputs.index.eq(offset),
            outputs.take_to.eq(word),
        ]
        readable = {
            **{
                number: Const(constant, BUS_WORD_BITS)
                for number, constant in constants(self.config, self.build, self.clock_khz).items()
            },
            Address.STATUS: Cat(self.busy, left_over, core.waiting if config.meshed else Const(0, 1), Const(0, 13), ticks_left),
            Address.TICK: tick,
            Address.LINK_ERRORS: self.link_errors,
            Address.OUTPUTS: places,
            Address.SETTLED: places,
            Address.READOUT: outputs.counting,
            Address.PERIOD: period,
            Address.OVERRUNS: overruns,
            Address.MISROUTED: self._add_counter(m, core.misrouted, clearing, "misrouted") if config.meshed else Const(0, 1),
            Address.MESH_ERRORS: self._add_counter(m, core.errors, 0, "mesh_errors") if config.links else Const(0, 1),
            Address.MESH_REPEATS: self._add_counter(m, core.repeats, 0, "mesh_repeats") if config.links else Const(0, 1),
        }
        encoding = (
            [select[number] for number in ENCODER_REGISTERS[: None if config.encoder == "rate" else -2]] if config.encoder else []
        )
        to_encoder = Cat(encoding).any() if encoding else Const(0, 1)
        change = (
            select[Address.CLEAR]
            | select[Address.RUN]
            | select[Address.EVENT]
            | select[Address.PERIOD]
            | select[Address.READOUT]
            | to_encoder
        )
        names_core = select[Address.EVENT] | (select[Address.ENCODE_AT] if config.encoder else 0)
        m.d.sync += [
            no_core.eq(names_core & (word[EVENT_CORE_SHIFT:] >= len(config.cores))),
            can_read.eq(Cat(select[number] for number in readable).any()),
            can_change.eq(change),
        ]
        m.d.comb += [
            value.eq(functools.reduce(operator.or_, (Mux(select[number], source, 0) for number, source in readable.items()))),
            core.events.valid.eq(sending_event),
            core.events.payload.eq(event),
        ]
        with m.If(core.events.ready):
            m.d.sync += sending_event.eq(0)
        encoder_busy = Const(0, 1)
        if encoder is not None:
            # Meanwhile requests wait.
            encoder_busy = encoder.busy
            m.d.comb += [encoder.i.payload.eq(word), encoder.o.ready.eq(core.events.ready)]
            with m.If(encoder.busy):
                m.d.comb += [core.events.valid.eq(encoder.o.valid), core.events.payload.eq(encoder.o.payload)]
        with m.FSM(name="phase"):
            with m.State("IDLE"):
                with m.If(request.valid):
                    m.next = "DECODE"

            with m.State("DECODE"):
                m.next = "JUDGE"

            with m.State("JUDGE"):
                with m.If(~(sending_event | encoder_busy)):
                    m.d.sync += [
                        acts.eq(write & can_change & ~no_core & may_change),
                        response.payload.data.eq(value),
                        response.payload.status.eq(Status.BAD_ADDRESS),
                    ]
                    m.next = "ACT"
                    with m.If(to_core & may_change):
                        m.next = "CORE"
                    with m.Elif(to_core):
                        m.d.sync += response.payload.status.eq(Status.BUSY)
                    with m.Elif(write):
                        with m.If(can_change & ~no_core):
                            m.d.sync += response.payload.status.eq(Mux(may_change, Status.OK, Status.BUSY))
                        with m.If(select[Address.OUTPUTS]):
                            m.d.sync += response.payload.status.eq(Status.OK)
                    with m.Elif(to_window):
                        m.next = "WINDOW"
                    with m.Elif(can_read):
                        waits = select[Address.SETTLED] & ~may_change
                        m.d.sync += response.payload.status.eq(Mux(waits, Status.BUSY, Status.OK))

            with m.State("ACT"):
                m.d.comb += [request.ready.eq(1), outputs.take.eq(write & select[Address.OUTPUTS])]
                with m.If(acts):
                    with m.If(select[Address.EVENT]):
                        m.d.sync += [sending_event.eq(1), event.eq(word)]
                    with m.If(select[Address.CLEAR]):
                        m.d.sync += clear.eq(1)
                    with m.If(select[Address.RUN]):
                        m.d.sync += ticks_left.eq(word)
                    with m.If(select[Address.PERIOD]):
                        m.d.sync += period.eq(word)
                    with m.If(select[Address.READOUT]):
                        m.d.sync += outputs.counting.eq(word)
                    if encoder is not None:
                        m.d.comb += [
                            encoder.i.valid.eq(select[Address.INTENSITY]),
                            encoder.set_at.eq(select[Address.ENCODE_AT]),
                            encoder.set_steps.eq(select[Address.ENCODE_STEPS]),
                        ]
                        if config.encoder == "rate":
                            m.d.comb += [
                                encoder.set_index.eq(select[Address.ENCODE_INDEX]),
                                encoder.set_seed.eq(select[Address.ENCODE_SEED]),
                            ]
                m.next = "RESPOND"

            with m.State("CORE"):
                m.d.comb += core.request.valid.eq(1)
                with m.If(core.response.valid):
                    m.d.comb += request.ready.eq(1)
                    m.d.sync += [
                        response.payload.data.eq(core.response.payload.data),
                        response.payload.status.eq(core.response.payload.status),
                    ]
                    m.next = "RESPOND"

            with m.State("WINDOW"):
                m.d.comb += outputs.read.eq(1)
                with m.If(outputs.read_done):
                    m.d.comb += request.ready.eq(1)
                    m.d.sync += [response.payload.data.eq(outputs.read_data), response.payload.status.eq(Status.OK)]
                    m.next = "RESPOND"

            with m.State("RESPOND"):
                m.d.comb += response.valid.eq(1)
                with m.If(response.ready):
                    m.next = "IDLE"
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

    def _add_outputs(self, m: Module, core: Core | Mesh, tick: Signal, ran: Signal, clear: Signal) -> Outputs:
        """The output memory."""
        outputs = Outputs(fabric=self.fabric, number_bits=self.config.cores[0].target_bits)
        m.submodules.outputs = outputs
        cleared = Signal()
        m.d.sync += cleared.eq(clear)
        m.d.comb += [
            outputs.i.valid.eq(core.outputs.valid),
            outputs.i.payload.eq(core.outputs.payload),
            core.outputs.ready.eq(outputs.i.ready),
            outputs.tick.eq(tick),
            outputs.between.eq(~ran),
            outputs.clear.eq(clear & ~cleared),
        ]
        return outputs

    def _add_encoder(self, m: Module) -> Encoder | None:
        """The encoder, if there is one."""
        if not self.config.encoder:
            return None
        m.submodules.encoder = encoder = Encoder(rate=self.config.encoder == "rate")
        return encoder
