"""Learning unit: walks over synapses and traces. Described in ``docs/learning.md``."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.config import CoreConfig, bits_for
from spikeloom.arch.layout import BUS_WORD_BITS, WordLayout
from spikeloom.arch.learning import (
    DECAY_BITS,
    SEEN_BITS,
    TRACE_BITS,
    V_THRESHOLD_BITS,
    Phase,
    modulation_layout,
    settings_layout,
    term_layout,
    trace_layout,
)
from spikeloom.arch.memory_map import plastic_layout, row_layout, tag_layout
from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.hdl.change import Changes, later, random_taken, result_cycles
from spikeloom.hdl.crossbar import LEARNING_LATENCY, LearningPort
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.layouts import struct_of
from spikeloom.hdl.ram import BankedRam, BusPort, Ram, bus_port
from spikeloom.hdl.rounding import SPREAD_LATENCY, Rounding

#: Stages, counted from that of the walk: a row is read, a weight asked for.
ROW_STAGE, ASK_STAGE = 2, 4
#: Stages from a trace to what it is a tick later.
TRACE_STAGES = 3
#: Cycles from the last place of a walk to the next walk, besides those of the pipeline.
DRAIN = 5


class State(enum.Enum, shape=3):
    """What is walked over."""

    #: Nothing.
    IDLE = 0
    #: Synapses of the axons that had an event.
    PRE = 1
    #: Synapses of the neurons that fired.
    POST = 2
    #: Traces.
    TRACE = 3
    #: All synapses.
    EPOCH = 4
    #: Synapses of the neurons whose teacher fired.
    TEACH = 5


class LearningUnit(wiring.Component):
    """Changes weights, tags and traces between the other parts of a tick.

    Parameters
    ----------
    config : CoreConfig
        Geometry, with ``learning``.
    fabric : Fabric
        Target.
    weight_delay : int
        Cycles by which weights come later than ``LEARNING_LATENCY`` after they were asked for.

    Members
    -------
    start : In(1)
        Strobe: a tick begins.
    event, axon : In
        Strobe: this axon has an event.
    begin_pre : In(1)
        Strobe: all events are there and integrated.
    begin_post : In(1)
        Strobe: all neurons are updated.
    busy : Out(1)
        Something is walked over. High from the cycle after a strobe that starts something.
    spikes, above, valid, last : In
        From the update: which neurons of the next row fired, and which are above the threshold of v0.
    v_threshold : Out(signed(32))
        That threshold. As ``above``, only with ``membrane_flag``.
    clear : In(1)
        Set what stands at ``clear_index`` of each memory of state to zero. Only while not ``busy``.
    clear_index : In
    key : In(32)
        Of this tick's random numbers.
    port : Out(LearningPort)
        Rows and weights.
    learning_bus, rules_bus, modulation_bus, plastic_bus : In(BusPort)
    axon_traces_bus, neuron_traces_bus, tags_bus : In(BusPort)
        There only if the core has the memory.
    """

    def __init__(self, *, config: CoreConfig, fabric: Fabric, weight_delay: int) -> None:
        assert config.learning is not None
        self.config, self.fabric, self.unit = config, fabric, config.learning
        #: Stage in which everything of a synapse is there.
        self.at_hand = ASK_STAGE + LEARNING_LATENCY + weight_delay
        #: Cycles from then on to the stage in which it is written.
        self.result = result_cycles(self.unit)
        #: Words to clear.
        self.depth = max(config.axons, config.neurons, config.words if self.unit.tag_bits else 0)
        bits = config.weight_bits
        self.layouts = {
            "learning": (settings_layout(self.unit, bits), 1),
            "rules": (term_layout(self.unit, bits), self.unit.terms),
            "modulation": (modulation_layout(), 1),
            "plastic": (plastic_layout(config), config.neuron_words),
        }
        if self.unit.pre_traces:
            self.layouts["axon_traces"] = trace_layout("x", self.unit.pre_traces), config.axons
        if self.unit.post_traces:
            self.layouts["neuron_traces"] = trace_layout("y", self.unit.post_traces), config.neurons
        if self.unit.tag_bits:
            self.layouts["tags"] = tag_layout(config), config.words
        members = {
            "start": In(1),
            "event": In(1),
            "axon": In(bits_for(config.axons)),
            "begin_pre": In(1),
            "begin_post": In(1),
            "busy": Out(1),
            "spikes": In(config.pipelines),
            "valid": In(1),
            "last": In(1),
            "clear": In(1),
            "clear_index": In(bits_for(self.depth)),
            "key": In(RANDOM_BITS),
            "port": Out(LearningPort(config)),
        }
        if self.unit.membrane_flag:
            members |= {"above": In(config.pipelines), "v_threshold": Out(Shape(V_THRESHOLD_BITS, signed=True))}
        members |= {f"{name}_bus": In(bus_port(depth, layout.bits)) for name, (layout, depth) in self.layouts.items()}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, unit = self.config, self.unit
        hand = self.at_hand
        lane_bits = (config.lanes - 1).bit_length()
        self.settings = self._registers(m, "learning")
        self.modulation = self._registers(m, "modulation")
        if unit.membrane_flag:
            m.d.comb += self.v_threshold.eq(self.settings.v_threshold)

        # Who had an event, and who fired.
        listed, count = self._add_events(m)
        flags, fired_words, fired_count = self._add_flags(m)

        # Walk: an axon and a neuron word, and all terms for them; or an axon and a neuron with the same number, for traces.
        state, slot, number, busy = self._add_walk(m, listed, count, fired_words, fired_count)
        word, term_index, states = number["word"], number["term"], later(m, state, hand + self.result, "state")
        slots = later(m, slot, hand + self.result, "slot")
        index = later(m, number["index"], hand, "index")
        m.d.comb += self.busy.eq(busy)

        # Stage 2: rows are read. Stage 4: weights are asked for.
        row = Signal(struct_of(row_layout(config)), reset_less=True)
        words = later(m, word, hand + self.result, "word")
        m.d.comb += [
            self.port.active.eq(busy),
            self.port.axon.eq(index[ROW_STAGE - 2]),
        ]
        m.d.sync += row.eq(self.port.row)
        visited = Signal()
        ask = ASK_STAGE - 2
        m.d.comb += [
            visited.eq(
                slots[ask] & (states[ask] != State.TRACE) & row.plastic & (words[ask] >= row.start) & (words[ask] <= row.last)
            ),
            self.port.read.eq(visited & later(m, number["first"], ask, "first_slot")[ask]),
            self.port.word.eq(row.base + (words[ask] - row.start)),
        ]
        visits = later(m, visited, hand - ASK_STAGE + self.result + 1, "visited")
        addresses = later(m, self.port.word, hand - ASK_STAGE + self.result + 1, "address")

        changes = Changes(config=config)
        m.submodules.changes = changes
        at = hand - 2
        x0, x = self._add_axon_traces(m, index, states, slots, listed)
        y, y_flags = self._add_neuron_traces(m, index, words, states, slots, flags, lane_bits)

        # What a visit needs, in the same stage.
        rules = self._bus_ram(m, "rules")
        plastic = self._bus_ram(m, "plastic")
        terms = later(m, term_index, at - 2, "term")
        m.d.comb += [rules.read_address.eq(terms[at - 2]), rules.read_enable.eq(1)]
        m.d.comb += [plastic.read_address.eq(words[at - 2]), plastic.read_enable.eq(1)]
        term, learns = Signal(len(rules.read_data), reset_less=True), Signal(config.lanes, reset_less=True)
        m.d.sync += [term.eq(rules.read_data), learns.eq(plastic.read_data)]
        fired = Cat(y_flags[lane][0] for lane in range(config.lanes))
        who: Value = Mux(states[at] == State.POST, fired, (1 << config.lanes) - 1)
        if unit.teacher:
            # The teacher of neuron n is neuron n xor 1.
            who = Mux(states[at] == State.TEACH, Cat(fired[lane ^ 1] for lane in range(config.lanes)), who)
        m.d.comb += [
            changes.valid.eq(slots[at] & (states[at] != State.TRACE)),
            changes.term.as_value().eq(term),
            changes.x0.eq(x0),
            changes.reward.eq(self.modulation.reward),
            changes.weights.as_value().eq(self.port.weights),
            changes.chosen.eq(Mux(visits[hand - ASK_STAGE], learns & who, 0)),
            changes.low.eq(self.settings.low),
            changes.high.eq(self.settings.high),
        ]
        for n in range(unit.pre_traces):
            m.d.comb += changes.x[n].eq(x[n][TRACE_BITS - SEEN_BITS :])
        for lane in range(config.lanes):
            for n in range(unit.post_traces):
                m.d.comb += changes.y[lane][n].eq(y[lane][n][TRACE_BITS - SEEN_BITS :])
            if unit.membrane_flag:
                m.d.comb += changes.v0[lane].eq(y_flags[lane][1])
        m.d.comb += changes.random.as_value().eq(self._add_random(m, states, index, number["target"], words))

        # Results.
        write = changes.done & visits[hand - ASK_STAGE + self.result]
        address = addresses[hand - ASK_STAGE + self.result]
        result = changes.result
        weights = Cat(result[lane][: config.weight_bits] for lane in range(config.lanes))
        weight_write = write & ~changes.target
        if self.fabric.spram:
            # This memory has one port: a word is written in the cycle after, if another one is read in this one.
            reading, late = Signal(), Signal()
            m.d.sync += [reading.eq(self.port.read), late.eq(weight_write & reading)]
            m.d.comb += [
                self.port.write.eq(late | (weight_write & ~reading)),
                self.port.written_word.eq(Mux(late, later(m, address, 1, "late_address")[1], address)),
                self.port.written.eq(Mux(late, later(m, weights, 1, "late_weights")[1], weights)),
            ]
        else:
            m.d.sync += [
                self.port.write.eq(weight_write),
                self.port.written_word.eq(address),
                self.port.written.eq(weights),
            ]
        if unit.tag_bits:
            self._add_tags(m, changes, addresses, write & changes.target, address)
        return m

    # Memories --------------------------------------------------------------------------------------------------------

    def _layout(self, name: str) -> tuple[WordLayout, int, BusPort]:
        layout, depth = self.layouts[name]
        return layout, depth, getattr(self, f"{name}_bus")

    def _bus_ram(self, m: Module, name: str) -> BankedRam:
        """A memory that the bus writes."""
        layout, depth, bus = self._layout(name)
        ram = BankedRam(width=layout.bits, depth=depth, readback=self.config.readback, fabric=self.fabric, style=self._style(depth))
        m.submodules[f"{name}_ram"] = ram
        connect(m, flipped(bus), ram.bus)
        return ram

    def _state_ram(self, m: Module, name: str, address: Value, banks: int = 1) -> tuple[BankedRam, Signal]:
        """A memory of state, and what was found three cycles after ``address``; the bus cannot write it.

        While nothing is walked over it gives what stands at the index of the bus, which is there before the memory is selected.
        """
        layout, depth, bus = self._layout(name)
        ram = BankedRam(
            width=layout.bits,
            depth=depth,
            banks=banks,
            writable=banks == 1,
            single=banks > 1,
            readback=False,
            fabric=self.fabric,
            style=self._style(-(-depth // banks)),
        )
        m.submodules[f"{name}_ram"] = ram
        place = Signal(len(ram.read_address), name=f"{name}_place", reset_less=True)
        found = Signal(len(ram.read_data), name=f"{name}_found", reset_less=True)
        bank_bits = (banks - 1).bit_length()
        m.d.sync += [place.eq(Mux(self.busy, address, bus.index >> bank_bits)), found.eq(ram.read_data)]
        m.d.comb += [ram.read_address.eq(place), ram.read_enable.eq(1)]
        return ram, found

    def _show(self, m: Module, bus: BusPort, found: Value) -> None:
        """What the bus reads."""
        if self.config.readback:
            parts = [found[i : i + BUS_WORD_BITS] for i in range(0, len(found), BUS_WORD_BITS)]
            m.d.sync += bus.read_data.eq(Mux(bus.select, Array(parts)[bus.slice], 0))

    def _style(self, depth: int) -> str:
        return "distributed" if depth <= self.fabric.lut_ram_depth else "block"

    def _registers(self, m: Module, name: str) -> data.View:
        """A word that stands in registers."""
        layout, _, bus = self._layout(name)
        value = Signal(struct_of(layout), name=name)
        chosen = Signal(BUS_WORD_BITS, name=f"{name}_read")
        for i in range(layout.slices):
            part = value.as_value()[i * BUS_WORD_BITS : min((i + 1) * BUS_WORD_BITS, layout.bits)]
            with m.If(bus.select & (bus.slice == i)):
                m.d.comb += chosen.eq(part)
                with m.If(bus.write):
                    m.d.sync += part.eq(bus.data)
        m.d.comb += bus.read_data.eq(chosen if self.config.readback else 0)
        return value

    def _ram(self, m: Module, name: str, width: int, depth: int) -> Ram:
        """A memory of the unit's own."""
        ram = Ram(width=width, depth=depth, fabric=self.fabric, style=self._style(depth))
        m.submodules[f"{name}_ram"] = ram
        return ram

    @staticmethod
    def _write(m: Module, ram: Ram | BankedRam, address: Value, data: Value, enable: Value) -> None:
        """Write in the next cycle: memories lie far away from what decides."""
        for port, value in ((ram.write_address, address), (ram.write_data, data), (ram.write_enable, enable)):
            register = Signal.like(port, name=f"next_{port.name}", reset_less=port is not ram.write_enable)
            m.d.sync += register.eq(value.replicate(len(port)) if port is ram.write_enable else value)
            m.d.comb += port.eq(register)

    def _write_state(self, m: Module, ram: Ram | BankedRam, address: Value, data: Value, enable: Value) -> None:
        """Write what is set to zero while the core is cleared."""
        self._write(m, ram, Mux(self.clear, self.clear_index, address), Mux(self.clear, 0, data), self.clear | enable)

    def _add_events(self, m: Module) -> tuple[tuple[Ram, Ram], Signal]:
        """List of the axons with an event, and a bit for each; how many there are."""
        axons = self.config.axons
        listed, active = self._ram(m, "listed", bits_for(axons), axons), self._ram(m, "active", 1, axons)
        count = Signal(range(axons + 1), name="event_count")
        with m.If(self.start):
            m.d.sync += count.eq(0)
        with m.Elif(self.event):
            m.d.sync += count.eq(count + 1)
        m.d.comb += [
            listed.write_address.eq(count),
            listed.write_data.eq(self.axon),
            listed.write_enable.eq(self.event),
        ]
        return (listed, active), count

    def _add_flags(self, m: Module) -> tuple[Ram, Ram, Signal]:
        """Of each neuron word which neurons fired and which are above the threshold of v0; list of the words in which any fired."""
        config, unit = self.config, self.unit
        per_neuron = 1 + unit.membrane_flag
        steps = config.lanes // config.pipelines
        flags = self._ram(m, "flags", config.lanes * per_neuron, config.neuron_words)
        words = self._ram(m, "fired_words", bits_for(config.neuron_words), config.neuron_words)
        count = Signal(range(config.neuron_words + 1), name="fired_count")
        step, word = Signal(range(steps), name="gather_step"), Signal(bits_for(config.neuron_words), name="gather_word")
        gathered = Signal(data.ArrayLayout(per_neuron, config.lanes), name="gathered")
        fired, complete = Signal(name="any_fired"), Signal(name="word_complete")
        new = Signal.like(gathered, name="new_flags")
        m.d.comb += new.as_value().eq(Mux(step == 0, 0, gathered.as_value()))
        for lane in range(config.lanes):
            place = lane % config.pipelines
            bits = Cat(self.spikes[place], self.above[place]) if unit.membrane_flag else self.spikes[place]
            with m.If(step == lane // config.pipelines):
                m.d.comb += new[lane].eq(bits)
        m.d.sync += complete.eq(0)
        with m.If(self.valid):
            m.d.sync += [
                gathered.eq(new),
                fired.eq(self.spikes.any() | (fired & (step != 0))),
                step.eq(Mux(self.last, 0, step + 1) if steps > 1 else 0),
                complete.eq(self.last | (step == steps - 1)),
            ]
        with m.If(self.start):
            m.d.sync += [word.eq(0), count.eq(0)]
        with m.Elif(complete):
            m.d.sync += [word.eq(word + 1), count.eq(count + fired)]
        m.d.comb += [
            words.write_address.eq(count),
            words.write_data.eq(word),
            words.write_enable.eq(complete & fired),
        ]
        self._write_state(m, flags, word, gathered.as_value(), complete)
        return flags, words, count

    # The walk --------------------------------------------------------------------------------------------------------

    def _add_walk(
        self, m: Module, events: tuple[Ram, Ram], count: Signal, fired_words: Ram, fired_count: Signal
    ) -> tuple[Signal, Signal, dict[str, Value], Value]:
        """State, whether there is something, and what: each three cycles after it was thought of. Whether anything is under way."""
        config, settings = self.config, self.settings
        counts = {phase: settings[f"{phase.name.lower()}_terms"] for phase in self.unit.phases}
        span = max(config.axons, config.neuron_slots)
        term_bits = bits_for(self.unit.terms)
        state, after = Signal(State), Signal(State)
        running = Signal(name="walking")
        draining = Signal(range(self.at_hand + self.result + DRAIN + 1))
        outer, inner = Signal(range(span), name="outer"), Signal(range(span), name="inner")
        outer_last, inner_last = Signal(range(span)), Signal(range(span))
        term, first_term, last_term = (Signal(term_bits, name=name) for name in ("term", "first_term", "last_term"))
        epoch, at_end = Signal(15, name="epoch_tick"), Signal(name="epoch_ends")
        # Bits of the ticks that an epoch has besides.
        m.d.comb += at_end.eq((epoch | ~((Const(1, 16) << settings.epoch) - 1)[:15]).all())
        with m.If(self.clear):
            m.d.sync += epoch.eq(0)

        enabled = self.modulation.enabled
        starts = {
            State.PRE: (count - 1, config.neuron_words - 1, Const(0), counts[Phase.PRE]),
            State.POST: (fired_count - 1, config.axons - 1, counts[Phase.PRE], counts[Phase.POST]),
            State.TRACE: (max(config.axons, config.neurons) - 1, 0, Const(0), Const(1)),
            State.EPOCH: (config.axons - 1, config.neuron_words - 1, counts[Phase.PRE] + counts[Phase.POST], counts[Phase.EPOCH]),
        }
        wanted = {
            State.PRE: enabled & counts[Phase.PRE].any() & count.any(),
            State.POST: enabled & counts[Phase.POST].any() & fired_count.any(),
            State.TRACE: Const(1),
            State.EPOCH: enabled & counts[Phase.EPOCH].any() & at_end,
        }
        following = {State.PRE: State.IDLE, State.POST: State.TRACE, State.TRACE: State.EPOCH, State.EPOCH: State.IDLE}
        if self.unit.teacher:
            before = counts[Phase.PRE] + counts[Phase.POST] + counts[Phase.EPOCH]
            starts[State.TEACH] = (fired_count - 1, config.axons - 1, before, counts[Phase.TEACH])
            wanted[State.TEACH] = enabled & counts[Phase.TEACH].any() & fired_count.any()
            following |= {State.POST: State.TEACH, State.TEACH: State.TRACE}
        # ``after`` waits to begin.
        free = ~running & ~draining.any()
        with m.If(self.begin_pre):
            m.d.sync += after.eq(State.PRE)
        with m.If(self.begin_post):
            m.d.sync += after.eq(State.POST)
        with m.If(free):
            with m.Switch(after):
                for which, (outer_end, inner_end, first, number) in starts.items():
                    with m.Case(which):
                        m.d.sync += [
                            after.eq(following[which]),
                            state.eq(which),
                            running.eq(wanted[which]),
                            outer.eq(0),
                            inner.eq(0),
                            outer_last.eq(outer_end),
                            inner_last.eq(inner_end),
                            term.eq(first),
                            first_term.eq(first),
                            last_term.eq(first + number - 1),
                        ]
                        if which == State.EPOCH:
                            m.d.sync += epoch.eq(Mux(at_end, 0, epoch + 1))
        pause = Signal()
        if self.fabric.spram:
            # Between two reads of a memory with one port there is room for a write.
            m.d.sync += pause.eq(running & ~pause & (first_term == last_term) & (state != State.TRACE))
        with m.If(running & ~pause):
            m.d.sync += term.eq(Mux(term == last_term, first_term, term + 1))
            with m.If(term == last_term):
                m.d.sync += inner.eq(Mux(inner == inner_last, 0, inner + 1))
                with m.If(inner == inner_last):
                    m.d.sync += outer.eq(outer + 1)
                    with m.If(outer == outer_last):
                        m.d.sync += [running.eq(0), draining.eq(self.at_hand + self.result + DRAIN)]
        with m.If(draining.any()):
            m.d.sync += draining.eq(draining - 1)
        busy = running | draining.any() | (after != State.IDLE)

        # Which term changes what is known from here on, for the random numbers.
        targets = Signal(1 << term_bits)
        layout = term_layout(self.unit, config.weight_bits)
        bus = self.rules_bus
        with m.If(bus.select & bus.write & (bus.slice == 0)):
            m.d.sync += targets.bit_select(bus.index, 1).eq(bus.data[layout.offset("target")])

        listed, _ = events
        m.d.comb += [
            listed.read_address.eq(outer),
            listed.read_enable.eq(1),
            fired_words.read_address.eq(outer),
            fired_words.read_enable.eq(1),
        ]
        states, slots = later(m, state, 3, "walk_state"), later(m, running & ~pause, 3, "walk_slot")
        outers, inners = later(m, outer, 2, "walk_outer"), later(m, inner, 2, "walk_inner")
        terms = later(m, term, 3, "walk_term")
        # Registered first, since what comes from a block RAM is late.
        axon, fired_word = later(m, listed.read_data, 1, "listed_axon")[1], later(m, fired_words.read_data, 1, "fired_word")[1]
        index, word = (
            Signal(range(span), name="index", reset_less=True),
            Signal(bits_for(config.neuron_words), name="word", reset_less=True),
        )
        target = Signal(name="index_target", reset_less=True)
        with m.Switch(states[2]):
            with m.Case(State.PRE):
                m.d.sync += [index.eq(axon), word.eq(inners[2])]
            with m.Case(State.POST, *([State.TEACH] if self.unit.teacher else [])):
                m.d.sync += [index.eq(inners[2]), word.eq(fired_word)]
            with m.Default():
                m.d.sync += [index.eq(outers[2]), word.eq(inners[2])]
        m.d.sync += target.eq(targets.bit_select(terms[2], 1))
        first = later(m, term == first_term, 3, "walk_first")[3]
        return states[3], slots[3], {"index": index, "word": word, "term": terms[3], "target": target, "first": first}, busy

    # Traces ----------------------------------------------------------------------------------------------------------

    def _add_axon_traces(
        self, m: Module, index: list[Value], states: list[Value], slots: list[Value], events: tuple[Ram, Ram]
    ) -> tuple[Value, list[Signal]]:
        """Whether the axon at hand had an event; its traces, with this event if that counts; writes what the next tick finds."""
        unit, at = self.unit, self.at_hand - 2
        _, active = events
        read = at - 3
        event, now = Signal(name="axon_event", reset_less=True), Signal(name="axon_event_now", reset_less=True)
        axon_of = later(m, index[at], TRACE_STAGES + 1, "axon_at_hand")
        tracing = later(
            m, slots[at] & (states[at] == State.TRACE) & (index[at] < self.config.axons), TRACE_STAGES + 1, "tracing_axon"
        )
        m.d.comb += [active.read_address.eq(index[read]), active.read_enable.eq(1)]
        self._write(
            m,
            active,
            Mux(self.clear, self.clear_index, Mux(self.event, self.axon, axon_of[0])),
            self.event,
            self.clear | self.event | tracing[0],
        )
        m.d.sync += [event.eq(active.read_data), now.eq(event)]
        if not unit.pre_traces:
            return now, []
        ram, found = self._state_ram(m, "axon_traces", index[read - 1])
        self._show(m, self.axon_traces_bus, found)
        # At the end of an epoch there is no event any more.
        counts = event & (states[at - 1] != State.PRE)
        traces, aged = [], []
        for n in range(unit.pre_traces):
            trace = Signal(TRACE_BITS, name=f"x{n + 1}", reset_less=True)
            m.d.sync += trace.eq(self._raised(f"x{n + 1}", found.word_select(n, TRACE_BITS), counts))
            traces.append(trace)
            aged.append(self._aged(m, f"x{n + 1}", trace))
        self._write_state(m, ram, axon_of[TRACE_STAGES], Cat(aged), tracing[TRACE_STAGES])
        return now, traces

    def _add_neuron_traces(
        self,
        m: Module,
        index: list[Value],
        words: list[Value],
        states: list[Value],
        slots: list[Value],
        flags: Ram,
        lane_bits: int,
    ) -> tuple[list[list[Value]], list[Value]]:
        """Traces and flags of the lanes at hand; writes what the next tick finds."""
        config, unit, at = self.config, self.unit, self.at_hand - 2
        read = at - 2
        address = Mux(states[read - 1] == State.TRACE, index[read - 1] >> lane_bits, words[read - 1])
        per_neuron = 1 + unit.membrane_flag
        kept_flags = Signal(len(flags.read_data), name="flags_at_hand", reset_less=True)
        m.d.comb += flags.read_enable.eq(1)
        m.d.comb += flags.read_address.eq(later(m, address, 1, "flags_place")[1])
        m.d.sync += kept_flags.eq(flags.read_data)
        lane_flags: list[Value] = [kept_flags.word_select(lane, per_neuron) for lane in range(config.lanes)]
        if not unit.post_traces:
            return [[] for _ in range(config.lanes)], lane_flags
        width, bus = unit.post_traces * TRACE_BITS, self.neuron_traces_bus
        ram, found = self._state_ram(m, "neuron_traces", address, config.lanes)
        lanes: list[list[Value]] = [
            [found.word_select(lane * unit.post_traces + n, TRACE_BITS) for n in range(unit.post_traces)]
            for lane in range(config.lanes)
        ]
        # One lane's traces grow older: chosen, raised, then as those of axons.
        neuron = later(m, index[at], TRACE_STAGES + 2, "neuron_at_hand")
        valid = slots[at] & (states[at] == State.TRACE) & (index[at] < config.neurons)
        tracing = later(m, valid, TRACE_STAGES + 2, "tracing_neuron")
        lane = Signal(max(1, lane_bits), name="trace_lane", reset_less=True)
        if lane_bits:
            m.d.sync += lane.eq(Mux(self.busy, index[at - 1][:lane_bits], bus.index[:lane_bits]))
        mine, fired = Signal(width, name="neuron_traces_chosen", reset_less=True), Signal(name="neuron_fired", reset_less=True)
        m.d.sync += [
            mine.eq(Array(found.word_select(n, width) for n in range(config.lanes))[lane]),
            fired.eq(Array(flag[0] for flag in lane_flags)[lane]),
        ]
        if config.readback:
            # The bus reads where one lane's traces are chosen anyway.
            m.d.comb += bus.read_data.eq(Mux(bus.select, mine, 0))
        aged = []
        for n in range(unit.post_traces):
            trace = Signal(TRACE_BITS, name=f"y{n + 1}", reset_less=True)
            m.d.sync += trace.eq(self._raised(f"y{n + 1}", mine.word_select(n, TRACE_BITS), fired))
            aged.append(self._aged(m, f"y{n + 1}", trace))
        self._write_state(m, ram, neuron[TRACE_STAGES + 2], Cat(aged), tracing[TRACE_STAGES + 2])
        return lanes, lane_flags

    def _raised(self, name: str, trace: Value, event: Value) -> Value:
        """A trace after an event."""
        impulse, nearest = self.settings[f"{name}_impulse"], self.settings[f"{name}_nearest"]
        added = trace + impulse
        largest = (1 << TRACE_BITS) - 1
        return Mux(event, Mux(nearest, impulse, Mux(added[TRACE_BITS], largest, added[:TRACE_BITS])), trace)

    def _aged(self, m: Module, name: str, trace: Value) -> Value:
        """A trace a tick later, ``TRACE_STAGES`` cycles later: rounded to the nearest, but smaller unless it is 0."""
        product = Signal(TRACE_BITS + DECAY_BITS, name=f"{name}_product", reset_less=True)
        kept = Signal.like(product, name=f"{name}_kept")
        aged = Signal(TRACE_BITS, name=f"{name}_aged", reset_less=True)
        m.d.sync += [product.eq(trace * self.settings[f"{name}_decay"]), kept.eq(product)]
        before = later(m, trace, TRACE_STAGES - 1, f"{name}_before")[TRACE_STAGES - 1]
        rounded, smaller = (kept + (1 << (DECAY_BITS - 1))) >> DECAY_BITS, Mux(before == 0, 0, before - 1)
        m.d.sync += aged.eq(Mux(rounded < smaller, rounded, smaller))
        return aged

    # Tags and random numbers -----------------------------------------------------------------------------------------

    def _add_tags(self, m: Module, changes: Changes, addresses: list[Value], write: Value, address: Value) -> None:
        """Tags come with the weights."""
        ram, tags = self._state_ram(m, "tags", addresses[self.at_hand - ASK_STAGE - 3])
        self._show(m, self.tags_bus, tags)
        m.d.comb += changes.tags.as_value().eq(tags)
        results = Cat(changes.result[lane][: self.unit.tag_bits] for lane in range(self.config.lanes))
        self._write_state(m, ram, address, results, write)

    def _add_random(self, m: Module, states: list[Value], index: list[Value], target: Value, words: list[Value]) -> Value:
        """Random numbers of the lanes when they are taken, with the first term's product."""
        taken = self.at_hand - 2 + random_taken(self.unit)
        m.submodules.rounding = rounding = Rounding(config=self.config, latency=taken)
        phases = {State.PRE: Phase.PRE, State.POST: Phase.POST, State.EPOCH: Phase.EPOCH, State.TEACH: Phase.TEACH}
        with m.Switch(states[0]):
            for state, phase in phases.items():
                if phase in self.unit.phases:
                    with m.Case(state):
                        m.d.comb += rounding.phase.eq(phase)
        m.d.comb += [
            rounding.key.eq(self.key),
            rounding.target.eq(target),
            rounding.axon.eq(index[0]),
            rounding.word.eq(words[taken - SPREAD_LATENCY]),
            rounding.stochastic.eq(self.settings.stochastic),
        ]
        return rounding.random.as_value()
