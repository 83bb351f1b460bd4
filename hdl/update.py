"""Update: reads all active neurons once per tick, sends them through the pipelines, and writes them back. See ``docs/update.md``."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.config import CoreConfig, bits_for
from spikeloom.arch.layout import ceil_div
from spikeloom.arch.learning import V_THRESHOLD_BITS
from spikeloom.arch.memory_map import kind_layout, neuron_layout
from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.layouts import struct_of
from spikeloom.hdl.neuron import RANDOM_LATENCY, SUM_LATENCY, Timing, pipeline_class
from spikeloom.hdl.ram import BankedRam, bus_port
from spikeloom.hdl.random import MIXER_LATENCY, Mixer

#: Memories of neurons and sets, by the name of their region, that the pipelines read.
READ_MEMORIES = ("parameters", "firing", "own", "state")


@dataclass(frozen=True, slots=True)
class _Row:
    """The row that is next: ``valid`` when there is one; ``coming`` when more are being looked up; ``sets`` per pipeline, if chosen."""

    valid: Value
    position: Value
    coming: Value
    model: Value
    sets: list[Value]


@dataclass(frozen=True, slots=True)
class _Memory:
    """A memory read by all pipelines, as one with banks or in copies."""

    copies: list[BankedRam]
    bits: int
    pipelines: int

    def read(self, m: Module, enable: Value, addresses: list[Value]) -> None:
        """Read a row: one address for all pipelines, or one for each."""
        for ram, address in zip(self.copies, addresses, strict=True):
            m.d.comb += [ram.read_enable.eq(enable), ram.read_address.eq(address)]

    def word(self, pipeline: int) -> Value:
        """The word that a pipeline gets."""
        if len(self.copies) > 1:
            return self.copies[pipeline].read_data
        words = len(self.copies[0].read_data) // self.bits
        return self.copies[0].read_data.word_select(pipeline * words // self.pipelines, self.bits)


class Update(wiring.Component):
    """``pipelines`` neurons per cycle, as often as their model allows.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    fabric : Fabric
        Target.
    sum_latency : int
        Cycles from ``read`` and ``select`` to ``sums``.

    Members
    -------
    start : In(1)
        Strobe: update all active neurons.
    last_neuron : In(range(neurons))
        Last neuron in use, one less than a multiple of ``pipelines``.
    last_started : In(range(neurons))
        Last neuron that takes part in this tick, likewise, not above ``last_neuron``. The input of those behind it is lost.
    key : In(32)
        Key of the tick's random numbers; there only if a model wants them.
    busy : Out(1)
        Neurons are being issued or under way. High from the cycle after ``start``.
    clear : In(1)
        Set the sums of neuron word ``clear_index`` and the states of row ``clear_index`` to zero. Only while not ``busy``.
    clear_index : In
    read, word, select : Out
        To the crossbar: see there.
    sums : In(pipelines x signed(sum_bits))
        From the crossbar.
    spikes : Out(pipelines), valid : Out(1), last : Out(1)
        To the emitter: see there.
    parameters_bus, firing_bus, own_bus, state_bus, kinds_bus : In(BusPort)
        There only if the core has the memory.
    """

    def __init__(self, *, config: CoreConfig, fabric: Fabric, sum_latency: int) -> None:
        self.config, self.fabric, self.sum_latency = config, fabric, sum_latency
        self.rows = ceil_div(config.neurons, config.pipelines)
        self.steps = config.lanes // config.pipelines
        self.layouts = {name: layout for name in READ_MEMORIES if (layout := neuron_layout(config, name)) is not None}
        if config.kinds:
            self.layouts["kinds"] = kind_layout(config)
        members = {
            "start": In(1),
            "last_neuron": In(bits_for(config.neurons)),
            "last_started": In(bits_for(config.neurons)),
            "busy": Out(1),
            "clear": In(1),
            "clear_index": In(bits_for(max(self.rows, config.neuron_words))),
            "read": Out(1),
            "word": Out(bits_for(config.neuron_words)),
            "select": Out(bits_for(self.steps)),
            "sums": In(data.ArrayLayout(signed(config.sum_bits), config.pipelines)),
            "spikes": Out(config.pipelines),
            "valid": Out(1),
            "last": Out(1),
        }
        for name, layout in self.layouts.items():
            members[f"{name}_bus"] = In(bus_port(self._depth(name), layout.bits))
        if any(model.random for model in config.models):
            members["key"] = In(RANDOM_BITS)
        if config.learning is not None and config.learning.membrane_flag:
            members |= {"above": Out(config.pipelines), "v_threshold": In(signed(V_THRESHOLD_BITS))}
        super().__init__(members)

    def _depth(self, name: str) -> int:
        return self.config.parameter_sets if name in ("parameters", "firing") else self.config.neurons

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        pipeline_bits = (config.pipelines - 1).bit_length()
        last_position, last_live = self.last_neuron[pipeline_bits:], self.last_started[pipeline_bits:]
        classes = [pipeline_class(model) for model in config.models]
        timings = [kind.timing_of(model) for kind, model in zip(classes, config.models, strict=True)]

        # A row is taken when its pipelines are free for it.
        take, done = Signal(), Signal()
        row = self._add_fetch(m, take, last_position)
        current, busy = self._add_pace(m, timings, row, take, done)
        started = Signal()
        m.d.sync += started.eq(take)

        rams = {name: self._add_memory(m, name) for name in self.layouts if name != "kinds"}
        set_addresses = self._set_addresses(row)
        for name, ram in rams.items():
            if name != "firing":
                ram.read(m, take, set_addresses if name == "parameters" else [row.position])
        firing = self._add_firing(m, rams, timings, take, current, row, set_addresses, last_position) if "firing" in rams else []
        self._ask_for_sums(m, take, row.position)
        numbers = self._add_random(m, row.position)

        # Only one model has rows under way at a time, and all other pipelines give zeros: the results are joined by OR.
        results: dict[str, list[Value]] = {"done": [], "states": [], "spikes": [], "above": []}
        flagged = config.learning is not None and config.learning.membrane_flag
        for number, (kind, model) in enumerate(zip(classes, config.models, strict=True)):
            states, spikes, above = [], [], []
            for i in range(config.pipelines):
                pipeline = kind(model=model, sum_bits=config.sum_bits)
                m.submodules[f"{model.NAME}{i}"] = pipeline
                start = started if len(config.models) == 1 else started & (current == number)
                m.d.comb += [pipeline.start.eq(start), pipeline.synaptic_sum.eq(self.sums[i])]
                for name, layout in model.words().items():
                    word = firing[i] if name == "firing" else rams[name].word(i)
                    m.d.comb += getattr(pipeline, name).eq(word[: layout.bits])
                if model.random:
                    m.d.comb += pipeline.random.eq(numbers[i])
                state = pipeline.new_state.as_value()
                states.append(Cat(state, Const(0, self.layouts["state"].bits - len(state))))
                spikes.append(pipeline.spike)
                if flagged:
                    above.append(pipeline.done & (pipeline.new_state.membrane >= self.v_threshold))
                if i == 0:
                    results["done"].append(pipeline.done)
            results["states"].append(Cat(states))
            results["spikes"].append(Cat(spikes))
            results["above"].append(Cat(above))
        joined = {name: functools.reduce(operator.or_, values) for name, values in results.items()}

        # Results come in the order in which the rows were taken.
        position, next_position = Signal(bits_for(self.rows), name="result"), Signal(bits_for(self.rows), name="next_result")
        at_last, live = Signal(name="result_is_last"), Signal(name="result_is_live")
        m.d.comb += next_position.eq(Mux(done, Mux(at_last, 0, position + 1), position))
        m.d.sync += [
            position.eq(next_position),
            at_last.eq(next_position == last_position),
            live.eq(next_position <= last_live),
        ]
        if flagged:
            m.d.comb += self.above.eq(joined["above"] & live.replicate(config.pipelines))
        state_ram = rams["state"].copies[0]
        m.d.comb += [
            done.eq(joined["done"]),
            self.busy.eq(busy),
            self.valid.eq(done),
            self.last.eq(at_last),
            self.spikes.eq(joined["spikes"] & live.replicate(config.pipelines)),
            state_ram.write_address.eq(Mux(self.clear, self.clear_index, position)),
            state_ram.write_enable.eq((done & live) | self.clear),
            state_ram.write_data.eq(joined["states"]),
        ]
        return m

    def _add_fetch(self, m: Module, take: Signal, last_position: Value) -> _Row:
        """Walk over the rows in order; ``take`` takes the present one."""
        config = self.config
        walking, step, at_last = Signal(name="walking"), Signal(name="step"), Signal(name="at_last")
        walker = Signal(bits_for(self.rows), name="walker")
        m.d.comb += at_last.eq(walker == last_position)
        with m.If(self.start):
            m.d.sync += walking.eq(1)
        with m.Elif(step & at_last):
            m.d.sync += walking.eq(0)
        with m.If(step):
            m.d.sync += walker.eq(Mux(at_last, 0, walker + 1))
        if not config.kinds:
            m.d.comb += step.eq(take)
            return _Row(valid=walking, position=walker, coming=Const(0), model=Const(0, 1), sets=[])

        # Kinds are looked up ahead: one stands in the memory's output, one in a register.
        kinds = BankedRam(
            width=self.layouts["kinds"].bits,
            depth=config.neurons,
            banks=config.pipelines,
            readback=config.readback,
            fabric=self.fabric,
        )
        m.submodules.kinds_ram = kinds
        connect(m, flipped(self.kinds_bus), kinds.bus)
        looked_up, ready, load = Signal(name="looked_up"), Signal(name="ready"), Signal(name="load")
        looked_up_position, position = Signal.like(walker, name="looked_up_position"), Signal.like(walker, name="position")
        found = Signal(data.ArrayLayout(struct_of(self.layouts["kinds"]), config.pipelines), name="found")
        m.d.comb += [
            load.eq(looked_up & (~ready | take)),
            step.eq(walking & (~looked_up | load)),
            kinds.read_enable.eq(step),
            kinds.read_address.eq(walker),
        ]
        with m.If(step):
            m.d.sync += [looked_up.eq(1), looked_up_position.eq(walker)]
        with m.Elif(load):
            m.d.sync += looked_up.eq(0)
        with m.If(load):
            m.d.sync += [ready.eq(1), found.as_value().eq(kinds.read_data), position.eq(looked_up_position)]
        with m.Elif(take):
            m.d.sync += ready.eq(0)
        return _Row(
            valid=ready,
            position=position,
            coming=walking | looked_up,
            model=found[0].model if len(config.models) > 1 else Const(0, 1),
            sets=[found[i].set for i in range(config.pipelines)] if config.sets is not None else [],
        )

    def _add_pace(self, m: Module, timings: list[Timing], row: _Row, take: Signal, done: Signal) -> tuple[Signal, Value]:
        """Decide when to take a row. The model of the rows under way, and whether there is anything left to do.

        Rows of one model follow each other at multiples of its interval; a row of another model waits until all results are there.
        """
        in_flight = Signal(range(max(ceil_div(t.latency, t.interval) for t in timings) + 3))
        m.d.sync += in_flight.eq(in_flight + take - done)
        current = Signal.like(row.model, name="current_model")
        with m.If(take):
            m.d.sync += current.eq(row.model)
        longest = max(t.interval for t in timings)
        free: Value = Const(1)
        if longest > 1:
            reloads = Array([Const(t.interval - 1, range(longest)) for t in timings])
            pace = Signal(range(longest))
            m.d.sync += pace.eq(Mux(take, reloads[row.model], Mux(pace == 0, reloads[current], pace - 1)))
            free = pace == 0
        if len(timings) > 1:
            free = free & (row.model == current)
        m.d.comb += take.eq(row.valid & (free | ~in_flight.any() if longest > 1 or len(timings) > 1 else 1))
        return current, row.valid | row.coming | in_flight.any()

    def _add_memory(self, m: Module, name: str) -> _Memory:
        """A memory of neurons or sets, with its bus port. Sets that neurons choose are there once for each pipeline."""
        config = self.config
        per_set = name in ("parameters", "firing")
        chosen = per_set and config.sets is not None
        banks = 1 if chosen else max(1, config.pipelines // config.group) if per_set else config.pipelines
        copies = []
        bus = getattr(self, f"{name}_bus")
        # Few sets fit LUT RAM well, and leave a block RAM to others.
        style = "distributed" if per_set and self._depth(name) <= 2 * self.fabric.lut_ram_depth else "block"
        for i in range(config.pipelines if chosen else 1):
            ram = BankedRam(
                width=self.layouts[name].bits,
                depth=self._depth(name),
                banks=banks,
                writable=name == "state",
                readback=config.readback and i == 0,
                fabric=self.fabric,
                style=style,
            )
            m.submodules[f"{name}_ram{i or ''}"] = ram
            if i == 0:
                connect(m, flipped(bus), ram.bus)
            else:
                m.d.comb += [
                    getattr(ram.bus, signal).eq(getattr(bus, signal)) for signal in ("select", "index", "slice", "write", "data")
                ]
            copies.append(ram)
        return _Memory(copies, self.layouts[name].bits, config.pipelines)

    def _set_addresses(self, row: _Row) -> list[Value]:
        """Where the parameters of a row stand: one address, or one per pipeline."""
        group_bits, pipeline_bits = (self.config.group - 1).bit_length(), (self.config.pipelines - 1).bit_length()
        return row.sets or [row.position >> max(0, group_bits - pipeline_bits)]

    def _add_firing(
        self,
        m: Module,
        rams: dict[str, _Memory],
        timings: list[Timing],
        take: Signal,
        current: Signal,
        row: _Row,
        set_addresses: list[Value],
        last_position: Value,
    ) -> list[Value]:
        """Thresholds are read when the pipeline needs them, not earlier: that saves rows of registers. One word per pipeline."""
        ram = rams["firing"]
        # With a slow memory its output has a register, so it is read a cycle earlier.
        early = int(self.fabric.slow_block_ram)
        delays = [t.firing - early if t.firing else 0 for t in timings]
        strobes, addresses = [take], [set_addresses]
        # Without a choice of sets or models the address is only a counter; otherwise it travels with the row.
        counted = not self.config.kinds
        for i in range(max(delays)):
            strobes.append(Signal(name=f"taken{i + 1}"))
            m.d.sync += strobes[-1].eq(strobes[-2])
            if not counted:
                later = [Signal(len(address), name=f"set{i + 1}_{j}") for j, address in enumerate(addresses[-1])]
                m.d.sync += [register.eq(address) for register, address in zip(later, addresses[-1], strict=True)]
                addresses.append(later)
        strobe = Signal(name="read_firing")
        if counted:
            m.d.comb += strobe.eq(strobes[delays[0]])
            position = Signal.like(row.position, name="firing_position")
            with m.If(strobe):
                m.d.sync += position.eq(Mux(position == last_position, 0, position + 1))
            ram.read(m, strobe, self._set_addresses(_Row(row.valid, position, row.coming, row.model, [])))
        else:
            m.d.comb += strobe.eq(Array([strobes[delay] if delay else Const(0) for delay in delays])[current])
            ram.read(m, strobe, [Array([addresses[delay][j] for delay in delays])[current] for j in range(len(set_addresses))])
        words = []
        for i in range(self.config.pipelines):
            word = Signal(ram.bits, name=f"firing{i}", reset_less=True)
            m.d["sync" if early else "comb"] += word.eq(ram.word(i))
            words.append(word)
        return words

    def _ask_for_sums(self, m: Module, take: Signal, position: Value) -> None:
        """Ask for the sums so that they come when the pipelines need them; one read serves all rows of a neuron word."""
        step_bits = (self.steps - 1).bit_length()
        ask, word, step = take & (position[:step_bits] == 0), position >> step_bits, position[:step_bits]
        for i in range(1 + SUM_LATENCY - self.sum_latency):
            later = [Signal.like(v, name=f"{n}_{i + 1}") for n, v in (("ask", ask), ("ask_word", word), ("ask_step", step))]
            m.d.sync += [register.eq(v) for register, v in zip(later, (ask, word, step), strict=True)]
            ask, word, step = later
        m.d.comb += [
            self.read.eq(ask | self.clear),
            self.word.eq(Mux(self.clear, self.clear_index, word)),
            self.select.eq(step),
        ]

    def _add_random(self, m: Module, position: Value) -> list[Value]:
        """A random number for each pipeline, ``RANDOM_LATENCY`` cycles after its start."""
        config = self.config
        if not any(model.random for model in config.models):
            return []
        pipeline_bits = (config.pipelines - 1).bit_length()
        numbers = []
        for i in range(config.pipelines):
            mixer = Mixer()
            m.submodules[f"mixer{i}"] = mixer
            # A row starts a cycle after it was taken.
            index = Cat(Const(i, pipeline_bits), position) if pipeline_bits else position
            value: Value = self.key ^ index
            for j in range(1 + RANDOM_LATENCY - MIXER_LATENCY):
                register = Signal(RANDOM_BITS, name=f"random{i}_{j}", reset_less=True)
                m.d.sync += register.eq(value)
                value = register
            m.d.comb += mixer.x.eq(value)
            numbers.append(mixer.number)
        return numbers
