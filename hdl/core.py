"""One neuromorphic core: the order of a tick, and the loading bus. Described in ``docs/core.md``."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.config import DELAY_BITS, DELAY_SLOTS, CoreConfig, bits_for
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.memory_map import (
    CORE_ADDRESS_BITS,
    REGION_SHIFT,
    RegionId,
    regions,
)
from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.arch.packet import packet_layout
from spikeloom.arch.random import KEY_STEP
from spikeloom.arch.registers import Status
from spikeloom.hdl.counters import Counters
from spikeloom.hdl.crossbar import Crossbar
from spikeloom.hdl.emitter import Emitter
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.layouts import struct_of
from spikeloom.hdl.learning import LearningUnit
from spikeloom.hdl.neuron import pipeline_class
from spikeloom.hdl.ram import BankedRam
from spikeloom.hdl.scheduler import Event, Scheduler
from spikeloom.hdl.short_term import DECAY_CYCLES, ShortTerm
from spikeloom.hdl.update import Update

#: A request on the loading bus.
BusRequest = data.StructLayout({"address": CORE_ADDRESS_BITS, "write": 1, "data": BUS_WORD_BITS})
#: The answer to every request, in order; ``status`` is ``spikeloom.arch.registers.Status``.
BusResponse = data.StructLayout({"status": 2, "data": BUS_WORD_BITS})


#: Cycles by which looking up the kinds of the first row lengthens a tick.
KIND_CYCLES = 2
#: Cycles of a tick without events and spikes, besides those that count delay words, neurons and pipeline stages (``docs/core.md``).
EMPTY_TICK_CYCLES = 12


def empty_tick(config: CoreConfig) -> int:
    """Cycles of a tick without events and spikes, with all neurons in use and of the core's first model (``docs/core.md``)."""
    timing = pipeline_class(config.models[0]).timing_of(config.models[0])
    rows = config.neurons // config.pipelines
    lookup = KIND_CYCLES if config.kinds else 0
    update = (rows - 1) * timing.interval + 1 + timing.latency + lookup
    if config.short_term:
        update = max(update, config.axons + DECAY_CYCLES)
    return config.delay_words + update + EMPTY_TICK_CYCLES


class Phase(enum.Enum, shape=3):
    """What the core does."""

    #: Setting state, pending events, sums and counters to zero.
    CLEAR = 0
    #: Waiting for ``tick``, ``clear`` or the bus.
    IDLE = 1
    #: First cycle of a tick.
    START = 2
    #: Adding the rows of the active axons.
    INTEGRATE = 3
    #: Updating the neurons, and sending their spikes.
    UPDATE = 4
    #: Weights of the active axons learn.
    LEARN_PRE = 5
    #: Weights of the neurons that fired learn.
    LEARN_POST = 6


class Core(wiring.Component):
    """Axons, crossbar, neurons and destinations of one core.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    fabric : Fabric
        Target.

    Members
    -------
    tick : In(1)
        Run one tick; taken in a cycle in which ``idle`` is high.
    clear : In(1)
        Return to the initial state; taken in a cycle in which ``idle`` is high, before ``tick``.
    idle : Out(1)
        Nothing is under way. After ``tick`` it falls in the next cycle and rises when the tick is complete; in a mesh it is low too while
        an event is on its way to the delay memory.
    events : In(stream of Event)
        Events from outside, in a mesh also from neurons; at any time but during ``CLEAR``. ``delay`` counts from the tick that runs, or
        that ran last: 1 is the next tick.
    outputs : Out(stream of output numbers)
        Outputs of the tick that runs. The tick does not end before all have been taken. Not in a mesh.
    packets : Out(stream of packets)
        In a mesh: what the neurons send, also to axons of this core. The tick does not end before all have been taken.
    request : In(stream of BusRequest)
        Accesses to the memories. Taken only while ``idle`` is high, so they wait while a tick runs.
    response : Out(stream of BusResponse)
        One answer per request.
    """

    def __init__(self, *, config: CoreConfig, fabric: Fabric = GENERIC) -> None:
        self.config, self.fabric = config, fabric
        super().__init__(
            {
                "tick": In(1),
                "clear": In(1),
                "idle": Out(1),
                "events": In(stream.Signature(Event)),
                "request": In(stream.Signature(BusRequest)),
                "response": Out(stream.Signature(BusResponse)),
            }
            | (
                {"packets": Out(stream.Signature(struct_of(packet_layout(config))))}
                if config.meshed
                else {"outputs": Out(stream.Signature(config.target_bits))}
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, fabric = self.config, self.fabric
        scheduler = Scheduler(config=config, fabric=fabric)
        crossbar = Crossbar(config=config, fabric=fabric)
        update = Update(config=config, fabric=fabric, sum_latency=crossbar.sum_latency)
        emitter = Emitter(config=config, fabric=fabric)
        m.submodules.scheduler = scheduler
        m.submodules.crossbar = crossbar
        m.submodules.update = update
        m.submodules.emitter = emitter
        connect(m, scheduler.axons, crossbar.axons)
        if config.meshed:
            # Everything goes out and comes back as events from outside.
            connect(m, emitter.packets, flipped(self.packets))
            m.d.comb += scheduler.internal.valid.eq(0)
        else:
            connect(m, emitter.events, scheduler.internal)
            connect(m, emitter.outputs, flipped(self.outputs))
        m.d.comb += [
            crossbar.read.eq(update.read),
            crossbar.word.eq(update.word),
            crossbar.select.eq(update.select),
            update.sums.eq(crossbar.sums),
            emitter.start.eq(scheduler.start),
            emitter.spikes.eq(update.spikes),
            emitter.valid.eq(update.valid),
            emitter.last.eq(update.last),
        ]

        # Order of a tick.
        phase = Signal(Phase, init=Phase.CLEAR)
        slot = Signal(DELAY_BITS, init=DELAY_SLOTS - 1)
        control = BankedRam(width=bits_for(config.neurons), depth=config.levels, readback=config.readback, fabric=fabric)
        m.submodules.control = control
        age = Signal(range(config.levels))
        last_neuron = Signal(bits_for(config.neurons))
        with m.If(control.bus.write & control.bus.select & (control.bus.index == config.levels - 1)):
            m.d.sync += last_neuron.eq(control.bus.data)
        bus_busy = Signal()
        learning = None
        if config.learning is not None:
            learning = LearningUnit(config=config, fabric=fabric, weight_delay=crossbar.part_delay)
            self._add_learning(m, learning, crossbar, update)
        # It has no more words to clear than the scheduler.
        short_term = ShortTerm(config=config, fabric=fabric) if config.short_term else None
        clear_depth = max(scheduler.depth, update.rows, config.neuron_words, 0 if learning is None else learning.depth)
        clear_index = Signal(range(clear_depth))
        # What is cleared lies far apart, so all of it hears of it a cycle late.
        clearing, clear_late = Signal(init=1), Signal(range(clear_depth))
        m.d.sync += [clearing.eq(phase == Phase.CLEAR), clear_late.eq(clear_index)]
        # Registered, because they come from everywhere and would be the longest paths; each costs a cycle per tick.
        was_integrating, was_updating = Signal(), Signal()
        m.d.sync += [
            was_integrating.eq(scheduler.start | ~scheduler.done | crossbar.busy),
            was_updating.eq(
                functools.reduce(
                    operator.or_,
                    [update.start, update.busy, emitter.busy, ~scheduler.quiet, *([] if short_term is None else [short_term.busy])],
                )
            ),
        ]
        m.d.comb += self.idle.eq((phase == Phase.IDLE) & ~bus_busy & (scheduler.quiet if config.meshed else 1))
        with m.Switch(phase):
            with m.Case(Phase.CLEAR):
                m.d.sync += [clear_index.eq(clear_index + 1), slot.eq(DELAY_SLOTS - 1), age.eq(0)]
                with m.If(clear_index == clear_depth - 1):
                    m.d.sync += [clear_index.eq(0), phase.eq(Phase.IDLE)]
            with m.Case(Phase.IDLE):
                with m.If(self.idle & self.clear):
                    m.d.sync += phase.eq(Phase.CLEAR)
                with m.Elif(self.idle & self.tick):
                    m.d.sync += [phase.eq(Phase.START), slot.eq(slot + 1)]
            with m.Case(Phase.START):
                m.d.sync += phase.eq(Phase.INTEGRATE)
                with m.If(age != config.levels - 1):
                    m.d.sync += age.eq(age + 1)
            with m.Case(Phase.INTEGRATE):
                with m.If(~was_integrating):
                    if learning is None:
                        m.d.comb += update.start.eq(1)
                        m.d.sync += phase.eq(Phase.UPDATE)
                    else:
                        m.d.comb += learning.begin_pre.eq(1)
                        m.d.sync += phase.eq(Phase.LEARN_PRE)
            with m.Case(Phase.UPDATE):
                with m.If(~was_updating):
                    if learning is None:
                        m.d.sync += phase.eq(Phase.IDLE)
                    else:
                        m.d.comb += learning.begin_post.eq(1)
                        m.d.sync += phase.eq(Phase.LEARN_POST)
            if learning is not None:
                with m.Case(Phase.LEARN_PRE):
                    with m.If(~learning.busy):
                        m.d.comb += update.start.eq(1)
                        m.d.sync += phase.eq(Phase.UPDATE)
                with m.Case(Phase.LEARN_POST):
                    with m.If(~learning.busy):
                        m.d.sync += phase.eq(Phase.IDLE)
        m.d.comb += [
            control.read_address.eq(age),
            control.read_enable.eq(phase == Phase.START),
            update.last_neuron.eq(last_neuron),
            update.last_started.eq(control.read_data),
            update.clear.eq(clearing),
            update.clear_index.eq(clear_late),
            scheduler.slot.eq(slot),
            scheduler.start.eq(phase == Phase.START),
            scheduler.clear.eq(clearing),
            scheduler.clear_index.eq(clear_late),
            scheduler.external.valid.eq(self.events.valid & ~clearing & ~bus_busy),
            scheduler.external.payload.eq(self.events.payload),
            self.events.ready.eq(scheduler.external.ready & ~clearing & ~bus_busy),
        ]

        counters = Counters(spike_bits=bits_for(config.pipelines + 1)) if config.counters else None
        if counters is not None:
            m.submodules.counters = counters
            m.d.comb += [
                counters.ticks.eq(phase == Phase.START),
                counters.cycles.eq((phase != Phase.IDLE) & ~clearing),
                counters.events.eq(crossbar.event),
                counters.row_words.eq(crossbar.row_word),
                counters.spikes.eq(sum((update.spikes[i] for i in range(config.pipelines)), Const(0))),
                counters.merged.eq(scheduler.merged),
                counters.dropped.eq(scheduler.dropped),
                counters.clear.eq(clearing),
            ]

        # An access must not meet an event on its way to the delay memory, nor the last of what is cleared.
        may_access = (phase == Phase.IDLE) & ~clearing & ~self.tick & ~self.clear & scheduler.quiet & ~self.events.valid
        buses = {
            RegionId.WEIGHTS: crossbar.weight_bus,
            RegionId.ROWS: crossbar.row_bus,
            RegionId.DELAYS: scheduler.bus,
            RegionId.ROUTE_INDEX: emitter.index_bus,
            RegionId.ROUTES: emitter.route_bus,
            RegionId.CONTROL: control.bus,
        }
        buses |= {RegionId[name.upper()]: getattr(update, f"{name}_bus") for name in update.layouts}
        if config.typed:
            buses[RegionId.TYPE_WEIGHTS] = crossbar.type_weight_bus
        if config.random:
            keyed = (update, crossbar) if learning is None else (update, crossbar, learning)
            buses[RegionId.SEED] = self._add_key(m, keyed, starting=phase == Phase.START, clearing=clearing)
        if learning is not None:
            buses |= {RegionId[name.upper()]: getattr(learning, f"{name}_bus") for name in learning.layouts}
            m.d.comb += [learning.start.eq(phase == Phase.START), learning.clear.eq(clearing), learning.clear_index.eq(clear_late)]
        if short_term is not None:
            self._add_short_term(m, short_term, crossbar, update)
            buses |= {RegionId.SHORT_TERM: short_term.parameter_bus, RegionId.SHORT_TERM_STATE: short_term.state_bus}
            m.d.comb += [short_term.clear.eq(clearing), short_term.clear_index.eq(clear_late)]
        self._add_bus(m, buses, counters, bus_busy, may_access)
        return m

    @staticmethod
    def _add_short_term(m: Module, short_term: ShortTerm, crossbar: Crossbar, update: Update) -> None:
        """Efficacies follow events; all axons decay while neurons are updated."""
        m.submodules.short_term = short_term
        m.d.comb += [
            short_term.event.eq(crossbar.event),
            short_term.axon.eq(crossbar.axons.payload),
            short_term.decay.eq(update.start),
            crossbar.efficacy.eq(short_term.efficacy),
        ]

    @staticmethod
    def _add_learning(m: Module, learning: LearningUnit, crossbar: Crossbar, update: Update) -> None:
        """The learning unit watches events and spikes, and reaches rows and weights through the crossbar."""
        m.submodules.learning = learning
        connect(m, learning.port, crossbar.learning)
        m.d.comb += [
            learning.event.eq(crossbar.event),
            learning.axon.eq(crossbar.axons.payload),
            learning.spikes.eq(update.spikes),
            learning.valid.eq(update.valid),
            learning.last.eq(update.last),
        ]
        if learning.unit.membrane_flag:
            m.d.comb += [learning.above.eq(update.above), update.v_threshold.eq(learning.v_threshold)]

    def _add_key(self, m: Module, keyed: Iterable[wiring.Component], *, starting: Value, clearing: Value) -> wiring.PureInterface:
        """Key of the tick's random numbers; the bus port of the seed it is made from."""
        seed = BankedRam(width=RANDOM_BITS, depth=1, readback=self.config.readback, fabric=self.fabric)
        m.submodules.seed = seed
        loaded, offset, key = Signal(RANDOM_BITS), Signal(RANDOM_BITS), Signal(RANDOM_BITS)
        with m.If(seed.bus.write & seed.bus.select):
            m.d.sync += loaded.eq(seed.bus.data)
        # A core that learns goes on with its numbers in the next sample, and begins anew when an image is loaded.
        with m.If(clearing if self.config.learning is None else seed.bus.write & seed.bus.select):
            m.d.sync += offset.eq(0)
        with m.Elif(starting):
            m.d.sync += [offset.eq(offset + KEY_STEP), key.eq(loaded + offset)]
        m.d.comb += [block.key.eq(key) for block in keyed if "key" in block.signature.members]
        return seed.bus

    def _add_bus(
        self,
        m: Module,
        buses: dict[RegionId, wiring.PureInterface],
        counters: Counters | None,
        bus_busy: Signal,
        may_access: Value,
    ) -> None:
        """Loading bus: the address in one cycle, the data three cycles later, then the response."""
        table = {region.id: region for region in regions(self.config).values()}
        begin, access, capture, respond = Signal(), Signal(), Signal(), Signal()
        settling = Signal(2)
        address, write, word = self.request.payload.address, self.request.payload.write, self.request.payload.data
        region, offset = address[REGION_SHIFT:], address[:REGION_SHIFT]
        known = Signal()
        read_data = Signal(BUS_WORD_BITS)
        m.d.comb += begin.eq(may_access & self.request.valid & ~bus_busy)
        m.d.sync += [
            access.eq(begin),
            settling.eq(Cat(access, settling[0])),
            capture.eq(settling[1]),
        ]
        with m.If(capture):
            m.d.sync += [
                respond.eq(1),
                self.response.payload.status.eq(Mux(known, Status.OK, Status.BAD_ADDRESS)),
                self.response.payload.data.eq(read_data),
            ]
        with m.Elif(self.response.ready):
            m.d.sync += respond.eq(0)
        m.d.comb += [
            bus_busy.eq(access | settling.any() | capture | respond),
            self.request.ready.eq(capture),
            self.response.valid.eq(respond),
        ]
        # Each source gives zero unless it is selected, so the answer is the OR of all.
        sources = []
        selects = {}
        for number, memory in table.items():
            select = Signal(name=f"select_{memory.name}")
            used_bits = (memory.stride - 1).bit_length() + bits_for(memory.depth)
            may_read = self.config.readback or number == RegionId.COUNTERS
            allowed = Mux(write, memory.in_image, may_read)
            hit = (region == number) & (offset[used_bits:] == 0) & allowed
            with m.If(begin):
                m.d.sync += select.eq(hit)
            with m.Elif(capture):
                m.d.sync += select.eq(0)
            selects[number] = select
        m.d.comb += known.eq(Cat(selects.values()).any())
        for number, bus in buses.items():
            slice_bits = (table[number].stride - 1).bit_length()
            m.d.comb += [
                bus.select.eq(selects[number]),
                bus.write.eq(access & write),
                bus.data.eq(word),
                bus.slice.eq(offset[:slice_bits]),
                bus.index.eq(offset[slice_bits:]),
            ]
            sources.append(bus.read_data)
        if counters is not None:
            m.d.comb += [counters.index.eq(offset), counters.select.eq(selects[RegionId.COUNTERS])]
            sources.append(counters.value)
        m.d.comb += read_data.eq(functools.reduce(operator.or_, sources))
