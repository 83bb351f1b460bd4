"""Update: reads all active neurons once per tick, sends them through the pipelines, and writes them back. See ``docs/update.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.config import CoreConfig, bits_for, ceil_div
from spikeloom.arch.memory_map import bias_layout, firing_layout, leak_layout, state_layout
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.lif import SUM_LATENCY, Lif
from spikeloom.hdl.ram import BankedRam, bus_port


class Update(wiring.Component):
    """``pipelines`` neurons per cycle.

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
    leak_bus, firing_bus, state_bus, bias_bus : In(BusPort)
        ``bias_bus`` is there only with a bias.
    """

    def __init__(self, *, config: CoreConfig, fabric: Fabric, sum_latency: int) -> None:
        self.config, self.fabric, self.sum_latency = config, fabric, sum_latency
        self.rows = ceil_div(config.neurons, config.pipelines)
        self.steps = config.lanes // config.pipelines
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
            "leak_bus": In(bus_port(config.parameter_sets, leak_layout(config).bits)),
            "firing_bus": In(bus_port(config.parameter_sets, firing_layout(config).bits)),
            "state_bus": In(bus_port(config.neurons, state_layout(config).bits)),
        }
        if config.bias_bits:
            members["bias_bus"] = In(bus_port(config.neurons, bias_layout(config).bits))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        pipelines = config.pipelines
        pipeline_bits = (pipelines - 1).bit_length()
        step_bits = (self.steps - 1).bit_length()
        group_bits = (config.group - 1).bit_length()

        def memory(layout_bits: int, depth: int, banks: int, writable: bool = False) -> BankedRam:
            return BankedRam(
                width=layout_bits,
                depth=depth,
                banks=banks,
                writable=writable,
                readback=self.config.readback,
                fabric=self.fabric,
                style="block",
            )

        sets_per_cycle = max(1, pipelines // config.group)
        leak = memory(leak_layout(config).bits, config.parameter_sets, sets_per_cycle)
        firing = memory(firing_layout(config).bits, config.parameter_sets, sets_per_cycle)
        state = memory(state_layout(config).bits, config.neurons, pipelines, writable=True)
        m.submodules.leak_ram = leak
        m.submodules.firing_ram = firing
        m.submodules.state_ram = state
        connect(m, flipped(self.leak_bus), leak.bus)
        connect(m, flipped(self.firing_bus), firing.bus)
        connect(m, flipped(self.state_bus), state.bus)
        bias = None
        if config.bias_bits:
            bias = memory(bias_layout(config).bits, config.neurons, pipelines)
            m.submodules.bias_ram = bias
            connect(m, flipped(self.bias_bus), bias.bus)

        # Issue.
        issuing, at_last = Signal(), Signal()
        position = Signal(bits_for(self.rows))
        last_position, last_live = self.last_neuron[pipeline_bits:], self.last_started[pipeline_bits:]
        m.d.comb += at_last.eq(position == last_position)
        set_shift = max(0, group_bits - pipeline_bits)
        early = [ram for ram in (leak, state, bias) if ram is not None]
        for ram in early:
            m.d.comb += [
                ram.read_enable.eq(issuing),
                ram.read_address.eq(position >> set_shift if ram is leak else position),
            ]
        with m.If(self.start):
            m.d.sync += issuing.eq(1)
        with m.Elif(at_last):
            m.d.sync += issuing.eq(0)
        with m.If(issuing):
            m.d.sync += position.eq(Mux(at_last, 0, position + 1))

        # Ask for the sums so that they come when the pipeline needs them.
        spare = 1 + SUM_LATENCY - self.sum_latency
        ask, ask_word, ask_step = issuing & (position[:step_bits] == 0), position >> step_bits, position[:step_bits]
        for i in range(spare):
            later = [Signal.like(v, name=f"{n}_{i + 1}") for n, v in (("ask", ask), ("ask_word", ask_word), ("ask_step", ask_step))]
            m.d.sync += [register.eq(v) for register, v in zip(later, (ask, ask_word, ask_step), strict=True)]
            ask, ask_word, ask_step = later
        m.d.comb += [
            self.read.eq(ask | self.clear),
            self.word.eq(Mux(self.clear, self.clear_index, ask_word)),
            self.select.eq(ask_step),
        ]

        # Results come in the order of issue.
        lifs = [Lif(config=config) for _ in range(pipelines)]
        latency = lifs[0].latency + 1
        under_way, lasts, lives = Signal(latency), Signal(latency), Signal(latency)
        m.d.sync += [
            under_way.eq(Cat(issuing, under_way[:-1])),
            lasts.eq(Cat(at_last, lasts[:-1])),
            lives.eq(Cat(position <= last_live, lives[:-1])),
        ]
        # Thresholds are read when the pipeline needs them, not earlier: that saves rows of registers.
        firing_data = Signal(len(firing.read_data))
        if self.fabric.slow_block_ram:
            late = lifs[0].firing_latency - 2
            m.d.sync += firing_data.eq(firing.read_data)
        else:
            late = lifs[0].firing_latency - 1
            m.d.comb += firing_data.eq(firing.read_data)
        late_position = Signal.like(position)
        m.d.comb += [firing.read_enable.eq(under_way[late]), firing.read_address.eq(late_position >> set_shift)]
        with m.If(under_way[late]):
            m.d.sync += late_position.eq(Mux(lasts[late], 0, late_position + 1))
        result = Signal.like(position)
        new_states = []
        for i, lif in enumerate(lifs):
            m.submodules[f"lif{i}"] = lif
            set_ = i * sets_per_cycle // pipelines
            m.d.comb += [
                lif.last_stage.eq(under_way[-2] & lives[-2]),
                lif.leak.eq(leak.read_data.word_select(set_, leak.width)),
                lif.firing.eq(firing_data.word_select(set_, firing.width)),
                lif.state.eq(state.read_data.word_select(i, state.width)),
                lif.synaptic_sum.eq(self.sums[i]),
                self.spikes[i].eq(lif.spike),
            ]
            if bias is not None:
                m.d.comb += lif.bias.eq(bias.read_data.word_select(i, bias.width))
            new_states.append(lif.new_state.as_value())
        m.d.comb += [
            self.busy.eq(issuing | under_way.any()),
            self.valid.eq(under_way[-1]),
            self.last.eq(lasts[-1]),
            state.write_address.eq(Mux(self.clear, self.clear_index, result)),
            state.write_enable.eq((self.valid & lives[-1]) | self.clear),
            state.write_data.eq(Cat(new_states)),
        ]
        with m.If(self.valid):
            m.d.sync += result.eq(Mux(self.last, 0, result + 1))
        return m
