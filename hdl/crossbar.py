"""Crossbar: reads the row of each active axon and adds its weights to the neurons' sums. Described in ``docs/crossbar.md``."""

from __future__ import annotations

import functools
import operator

from amaranth.hdl import Array, Cat, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.config import AXON_TYPES, TYPE_WEIGHT_BITS, CoreConfig, bits_for, ceil_div
from spikeloom.arch.memory_map import row_layout, type_weight_layout, weight_layout
from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.arch.random import FIELD_BITS, ROW_INDEX, UNIT_BITS
from spikeloom.arch.short_term import EFFICACY_BITS
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.layouts import struct_of
from spikeloom.hdl.ram import BankedRam, Ram, bus_port
from spikeloom.hdl.random import MIXER_LATENCY, Mixer, combination, powers_of
from spikeloom.hdl.short_term import EFFICACY_LATENCY

#: Lanes whose sums share a memory and its address registers.
BANK_LANES = 16
#: Cycles from an axon to its first weight word: the row's descriptor is looked up, kept and taken.
ROW_CYCLES = 3
#: Cycles from a word of the learning port to its weights.
LEARNING_LATENCY = 3
#: Cycles from the end of a row's wait to the choice of its efficacy, one before its first weights are multiplied.
EFFICACY_CHOICE = 3
#: Cycles by which scaling delays weights: a register before the multipliers, which may be far from the memory; product, rounding.
SCALE_CYCLES = 3
#: Rows of at most so many words follow each other faster, where the sums are in LUT RAM.
SHORT_ROW = 2


def short_rows(config: CoreConfig, fabric: Fabric) -> bool:
    """Whether a sum is written in the cycle in which it is added, and an axon taken in that in which the row before it is.

    The paths are longer, but with rows of two words, as of 128 lanes for 256 neurons, every third cycle would be empty otherwise.
    """
    return config.neuron_words <= SHORT_ROW and config.neuron_words <= fabric.lut_ram_depth


def first_row_cycles(config: CoreConfig) -> int:
    """Cycles from an axon to its first weight word: ``ROW_CYCLES``, or more where the row waits for its random number or efficacy."""
    if config.short_term:
        return EFFICACY_LATENCY - EFFICACY_CHOICE + 1
    return MIXER_LATENCY + 2 if config.stochastic_synapses else ROW_CYCLES


def row_cycles(config: CoreConfig, fabric: Fabric) -> int:
    """Fewest cycles from one row to the next."""
    return first_row_cycles(config) - int(short_rows(config, fabric))


class LearningPort(wiring.Signature):
    """Rows and weights, for a learning unit.

    Members
    -------
    active : Out(1)
        The memories' read ports belong to the unit.
    axon : Out(range(axons))
        ``row`` is its descriptor a cycle later.
    row : In(row word)
    read, word : Out
        Fetch a weight word; ``weights`` holds it ``LEARNING_LATENCY`` cycles later, or one more if the memory is read in parts, and until
        the next is there.
    weights : In(weight word)
    write, written_word, written : Out
        Write a weight word.
    """

    def __init__(self, config: CoreConfig) -> None:
        address, word = bits_for(config.words), config.weight_word_bits
        super().__init__(
            {
                "active": Out(1),
                "axon": Out(bits_for(config.axons)),
                "row": In(row_layout(config).bits),
                "read": Out(1),
                "word": Out(address),
                "weights": In(word),
                "write": Out(1),
                "written_word": Out(address),
                "written": Out(word),
            }
        )


class Crossbar(wiring.Component):
    """One weight word, that is ``lanes`` synaptic operations, per cycle.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    fabric : Fabric
        Target.

    Attributes
    ----------
    sum_latency : int
        Cycles from ``read`` and ``select`` to ``sums``, 1 to 3.
    part_delay : int
        Cycles, 0 or 1, by which the weights come later than from a memory in one part.
    weight_delay : int
        Cycles, 0 to 4, by which what is added comes later than the weights of a memory in one part.

    Members
    -------
    axons : In(stream of axon numbers)
        Active axons.
    busy : Out(1)
        A row is waiting or being added. Low from the cycle in which all sums can be read.
    read : In(1)
        Fetch the sums of neuron word ``word``, and set them to zero. Only while not ``busy``.
    word : In(range(neuron_words))
    select : In(range(lanes / pipelines))
        Which ``pipelines`` neurons of the word fetched last appear at ``sums``, ``sum_latency`` cycles later.
    sums : Out(pipelines x signed(sum_bits))
    row_word : Out(1)
        Strobe: one weight word has been read.
    event : Out(1)
        Strobe: one axon event has been taken.
    weight_bus, row_bus : In(BusPort)
    type_weight_bus : In(BusPort)
        Only with one bit per synapse.
    efficacy : In(13)
        What the row of the axon taken last is scaled with, from ``EFFICACY_LATENCY`` cycles after ``event`` on until those after the next
        one. Only with short-term plasticity.
    key : In(32)
        Of this tick's random numbers. Only with stochastic synapses. Stable from before the first axon until ``busy`` falls.
    learning : In(LearningPort)
        How a learning unit reaches rows and weights, only while not ``busy``. Only if the core learns.
    """

    def __init__(self, *, config: CoreConfig, fabric: Fabric) -> None:
        self.config, self.fabric = config, fabric
        self.steps = config.lanes // config.pipelines
        self._word_latency = 2 if self._late_sums else 1
        step_bits = (self.steps - 1).bit_length()
        self._low_bits = step_bits if step_bits <= 2 else step_bits // 2
        levels = 0 if step_bits == 0 else 1 if step_bits <= 2 or self._late_sums else 2
        self.sum_latency = self._word_latency + levels
        self.part_delay = int(self._weight_banks > 1)
        self.weight_delay = self.part_delay + int(config.typed) + (SCALE_CYCLES if config.short_term else 0)
        members = {
            "axons": In(stream.Signature(bits_for(config.axons))),
            "busy": Out(1),
            "read": In(1),
            "word": In(bits_for(config.neuron_words)),
            "select": In(bits_for(self.steps)),
            "sums": Out(data.ArrayLayout(signed(config.sum_bits), config.pipelines)),
            "row_word": Out(1),
            "event": Out(1),
            "weight_bus": In(bus_port(config.words, config.weight_word_bits)),
            "row_bus": In(bus_port(config.axons, row_layout(config).bits)),
        }
        if config.typed:
            members["type_weight_bus"] = In(bus_port(AXON_TYPES * config.neuron_words, type_weight_layout(config).bits))
        if config.stochastic_synapses:
            members["key"] = In(RANDOM_BITS)
        if config.short_term:
            members["efficacy"] = In(EFFICACY_BITS + 1)
        if config.learning is not None:
            members["learning"] = In(LearningPort(config))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        word_bits = bits_for(config.neuron_words)
        row_struct = struct_of(row_layout(config))

        # Row lookup: the next row waits in ``next_row`` while the present one is read.
        rows = BankedRam(
            width=row_layout(config).bits, depth=config.axons, readback=self.config.readback, fabric=self.fabric, style="block"
        )
        m.submodules.row_ram = rows
        connect(m, flipped(self.row_bus), rows.bus)
        # An axon is in one of these stages from the cycle after it was accepted; then its row waits, with its random number.
        lookups = [Signal() for _ in range(first_row_cycles(config) - 2)]
        looking = functools.reduce(operator.or_, lookups)
        next_valid, take = Signal(), Signal()
        next_row = Signal(row_struct, reset_less=True)
        m.d.comb += [
            self.axons.ready.eq(~looking & (~next_valid | take if self._short else ~next_valid)),
            self.event.eq(self.axons.valid & self.axons.ready),
            rows.read_address.eq(self.axons.payload),
            rows.read_enable.eq(self.event),
        ]
        if config.learning is not None:
            with m.If(self.learning.active):
                m.d.comb += [rows.read_address.eq(self.learning.axon), rows.read_enable.eq(1)]
            m.d.comb += self.learning.row.eq(rows.read_data)
        m.d.sync += [after.eq(before) for after, before in zip(lookups, [self.event, *lookups], strict=False)]
        with m.If(lookups[-1]):
            m.d.sync += [next_row.eq(rows.read_data), next_valid.eq(1)]
        with m.Elif(take):
            m.d.sync += next_valid.eq(0)

        # Row engine: one weight word per cycle. A sum is there again ``window`` cycles after its word was issued; a row that begins
        # with a word issued less long ago waits. Only the words issued just before it can be meant, since a row ascends.
        window = 4 if self._late_sums else 2 if self._short else 3
        running, issue, finish = Signal(), Signal(), Signal()
        word, left, at_last = Signal(word_bits), Signal(word_bits), Signal()
        weight_address = Signal(bits_for(config.words))
        wait, next_wait = Signal(range(window)), Signal(range(window))
        issued = [(finish, word)]
        for age in range(1, window - 1):
            valid_then, word_then = Signal(name=f"issued{age}"), Signal(word_bits, name=f"issued_word{age}")
            m.d.sync += [valid_then.eq(issue if age == 1 else issued[-1][0]), word_then.eq(issued[-1][1])]
            issued.append((valid_then, word_then))
        # The new row's word start + ahead would come 1 + age + ahead cycles after the word issued ``age`` cycles ago.
        for distance in range(window - 1, 0, -1):
            pairs = [(age, distance - 1 - age) for age in range(min(distance, window - 1))]
            clash = Cat(issued[age][0] & (next_row.start + ahead == issued[age][1]) for age, ahead in pairs).any()
            with m.If(clash):
                m.d.comb += next_wait.eq(window - distance)
        m.d.comb += [
            issue.eq(running & ~wait.any()),
            finish.eq(issue & at_last),
            take.eq(next_valid & (~running | finish)),
            self.row_word.eq(issue),
        ]
        with m.If(take):
            m.d.sync += [
                running.eq(next_row.last >= next_row.start),
                word.eq(next_row.start),
                left.eq(next_row.last - next_row.start),
                at_last.eq(next_row.last == next_row.start),
                weight_address.eq(next_row.base),
                wait.eq(next_wait),
            ]
        with m.Elif(issue):
            m.d.sync += [
                running.eq(~at_last),
                word.eq(word + 1),
                left.eq(left - 1),
                at_last.eq(left == 1),
                weight_address.eq(weight_address + 1),
            ]
        with m.Elif(wait.any()):
            m.d.sync += wait.eq(wait - 1)
        fetch = running
        if config.learning is not None:
            fetch, fetching = Signal(), Signal()
            m.d.sync += fetching.eq(self.learning.read)
            m.d.comb += fetch.eq(running | fetching)
            with m.If(self.learning.active):
                m.d.sync += weight_address.eq(self.learning.word)

        weights = self._elements(self._add_weights(m, fetch, weight_address).weight)
        if config.typed:
            number = self._add_number(m, take) if config.stochastic_synapses else None
            weights = self._add_types(m, take, next_row, running, issue, word, weights, number)
        if config.short_term:
            weights = self._add_scaling(m, take, weights)
        # The words wait for the weights.
        delayed = [(issue, word)]
        for n in range(self.weight_delay):
            suffix = str(n + 1) if n else ""
            delayed.append((Signal(name=f"issued_late{suffix}"), Signal(word_bits, name=f"issued_late{suffix}_word")))
            m.d.sync += [late.eq(early) for late, early in zip(delayed[-1], delayed[-2], strict=True)]
        pipe_busy = self._add_accumulators(m, *delayed[-1], weights)
        busy = [self.axons.valid, looking, next_valid, running, *(valid for valid, _ in delayed[-self.weight_delay :]), pipe_busy]
        m.d.comb += self.busy.eq(functools.reduce(operator.or_, busy))
        return m

    def _elements(self, field: Value | data.View) -> list[Value]:
        """The lanes of a field."""
        return [field] if self.config.lanes == 1 else list(field)

    @property
    def _distributed(self) -> bool:
        return self.config.neuron_words <= self.fabric.lut_ram_depth

    @property
    def _short(self) -> bool:
        return short_rows(self.config, self.fabric)

    @property
    def _late_sums(self) -> bool:
        """Whether the accumulator memory's output has a register of its own before the adder."""
        return self.fabric.slow_block_ram and not self._distributed

    @property
    def _weight_banks(self) -> int:
        """Parts of a weight memory that is deeper than one block RAM; each part has a register before the choice between them."""
        if self.fabric.spram or not self.fabric.block_ram_depth:
            return 1
        return 1 << (ceil_div(self.config.words, self.fabric.block_ram_depth) - 1).bit_length()

    def _add_weights(self, m: Module, enable: Signal, address: Signal) -> data.View:
        """Weight memory; the word of an address given in cycle c is valid in cycle c + 2, or c + 3 if the memory has banks."""
        config = self.config
        layout = weight_layout(config)
        banks = self._weight_banks
        bank_bits = (banks - 1).bit_length()
        weights = BankedRam(
            width=layout.bits,
            depth=config.words,
            banks=banks,
            single=config.learning is not None,
            readback=self.config.readback,
            fabric=self.fabric,
            style="spram" if self.fabric.spram else "block",
        )
        m.submodules.weight_ram = weights
        connect(m, flipped(self.weight_bus), weights.bus)
        weight = Signal(struct_of(layout), reset_less=True)
        if config.learning is not None:
            m.d.comb += [
                weights.write_address.eq(self.learning.written_word),
                weights.write_enable.eq(self.learning.write),
                weights.write_data.eq(self.learning.written),
                self.learning.weights.eq(weight.as_value()),
            ]
        m.d.comb += [weights.read_address.eq(address[bank_bits:]), weights.read_enable.eq(enable)]
        if banks == 1 and config.learning is not None and self.fabric.spram:
            # A memory with one port shows something else after it was written.
            fetched = Signal()
            m.d.sync += fetched.eq(enable)
            with m.If(fetched):
                m.d.sync += weight.as_value().eq(weights.read_data)
        elif banks == 1:
            m.d.sync += weight.as_value().eq(weights.read_data)
        else:
            bank1, bank2 = Signal(bank_bits), Signal(bank_bits)
            candidates = Signal(len(weights.read_data), reset_less=True)
            m.d.sync += [
                bank1.eq(address[:bank_bits]),
                bank2.eq(bank1),
                candidates.eq(weights.read_data),
                weight.as_value().eq(candidates.word_select(bank2, layout.bits)),
            ]
        return weight

    def _add_scaling(self, m: Module, take: Signal, weights: list[Value]) -> list[Value]:
        """The weights times the efficacy of their row, ``SCALE_CYCLES`` later (``docs/short_term.md``)."""
        chosen: Value = take
        for n in range(EFFICACY_CHOICE):
            later = Signal(name=f"taken{n + 1}")
            m.d.sync += later.eq(chosen)
            chosen = later
        efficacy = Signal(EFFICACY_BITS + 1, name="row_efficacy", reset_less=True)
        with m.If(chosen):
            m.d.sync += efficacy.eq(self.efficacy)
        for n in range(self.part_delay):
            late = Signal.like(efficacy, name=f"row_efficacy_late{n}")
            m.d.sync += late.eq(efficacy)
            efficacy = late
        scaled = []
        for lane, weight in enumerate(weights):
            kept = Signal(signed(self.config.weight_bits), name=f"kept{lane}", reset_less=True)
            product = Signal(signed(self.config.weight_bits + EFFICACY_BITS + 1), name=f"product{lane}", reset_less=True)
            rounded = Signal(signed(self.config.weight_bits), name=f"scaled{lane}", reset_less=True)
            m.d.sync += [
                kept.eq(weight),
                product.eq(kept * efficacy),
                rounded.eq((product >> EFFICACY_BITS) + product[EFFICACY_BITS - 1]),
            ]
            scaled.append(rounded)
        return list(scaled)

    def _add_number(self, m: Module, take: Signal) -> Signal:
        """Random number of the row that is being read."""
        mixer = Mixer()
        m.submodules.mixer = mixer
        # The number comes with the end of the lookup and stays until the next axon's, since the index stays.
        index_bits = len(self.axons.payload)
        low = Signal(index_bits, name="mixed_low", reset_less=True)
        with m.If(self.event):
            m.d.sync += low.eq(self.key[:index_bits] ^ self.axons.payload)
        m.d.comb += mixer.x.eq(Cat(low, (self.key ^ ROW_INDEX)[index_bits:]))
        number = Signal(RANDOM_BITS, reset_less=True)
        with m.If(take):
            m.d.sync += number.eq(mixer.number)
        return number

    def _add_types(
        self,
        m: Module,
        take: Signal,
        row: data.View,
        running: Signal,
        issue: Signal,
        word: Signal,
        synapses: list[Value],
        number: Signal | None,
    ) -> list[Value]:
        """Weights of the neurons for the type of the row, where there is a synapse, a cycle after ``synapses``."""
        config = self.config
        layout = type_weight_layout(config)
        depth = AXON_TYPES * config.neuron_words
        address, enable = Signal(bits_for(depth), name="type_address"), running
        with m.If(take):
            m.d.sync += address.eq(Array(t * config.neuron_words for t in range(AXON_TYPES))[row.type] + row.start)
        with m.Elif(issue):
            m.d.sync += address.eq(address + 1)
        units = None if number is None else self._add_units(m, word, number)
        for n in range(self.weight_delay - 1):
            late, late_enable = Signal.like(address, name=f"type_address_late{n}"), Signal(name=f"type_enable_late{n}")
            m.d.sync += [late.eq(address), late_enable.eq(enable)]
            address, enable = late, late_enable
        # Not left to the synthesis tool, which spends many LUTs to save few blocks.
        style = "distributed" if depth <= self.fabric.lut_ram_depth else "block"
        ram = BankedRam(width=layout.bits, depth=depth, readback=config.readback, fabric=self.fabric, style=style)
        m.submodules.type_weight_ram = ram
        connect(m, flipped(self.type_weight_bus), ram.bus)
        m.d.comb += [ram.read_address.eq(address), ram.read_enable.eq(enable)]
        fetched = Signal(struct_of(layout), name="type_weight", reset_less=True)
        m.d.sync += fetched.as_value().eq(ram.read_data)
        weights = self._elements(fetched.weight)
        chosen = [Signal(signed(TYPE_WEIGHT_BITS), name=f"chosen{lane}", reset_less=True) for lane in range(config.lanes)]
        for lane, (synapse, weight) in enumerate(zip(synapses, weights, strict=True)):
            addend: Value = weight
            if units is not None:
                addend = Mux(self._elements(fetched.stochastic)[lane], _unit(m, weight, units[lane], f"distance{lane}"), weight)
            m.d.sync += chosen[lane].eq(Mux(synapse, addend, 0))
        return list(chosen)

    def _add_units(self, m: Module, word: Signal, number: Signal) -> list[Value]:
        """Random numbers of the lanes, when the weight bits of ``word`` are there: ``a * (word * lanes + lane) + b`` (``docs/random.md``)."""
        config = self.config
        lane_bits = (config.lanes - 1).bit_length()
        a, b = number[FIELD_BITS:], number[:UNIT_BITS]
        powers = powers_of(m, a, lane_bits + len(word), "a")
        # The word's share, then that of the upper and of the lower half of the lane's bits.
        share, factor = Signal(UNIT_BITS, name="word_share", reset_less=True), Signal(FIELD_BITS, name="factor", reset_less=True)
        m.d.sync += [share.eq(b ^ combination(word, powers[lane_bits:])), factor.eq(a)]
        for n in range(self.weight_delay - 1):
            late_share = Signal(UNIT_BITS, name=f"word_share_late{n}", reset_less=True)
            late_factor = Signal(FIELD_BITS, name=f"factor_late{n}", reset_less=True)
            m.d.sync += [late_share.eq(share), late_factor.eq(factor)]
            share, factor = late_share, late_factor
        powers = powers_of(m, factor, lane_bits, "factor")
        low_bits = lane_bits // 2
        lows = [Signal(UNIT_BITS, name=f"low_share{k}", reset_less=True) for k in range(1 << low_bits)]
        highs = [Signal(UNIT_BITS, name=f"high_share{k}", reset_less=True) for k in range(1 << (lane_bits - low_bits))]
        m.d.sync += [low.eq(combination(k, powers[:low_bits])) for k, low in enumerate(lows)]
        m.d.sync += [high.eq(share ^ combination(k, powers[low_bits:])) for k, high in enumerate(highs)]
        return [highs[lane >> low_bits] ^ lows[lane & (1 << low_bits) - 1] for lane in range(config.lanes)]

    def _add_accumulators(self, m: Module, issue: Signal, word: Signal, weights: list[Value]) -> Value:
        """Sums in banks of lanes, and their read-out. Returns whether any stage is busy."""
        config = self.config
        shape = weights[0].shape()
        banks: list[Sums] = [
            ShortSums(config=config, weight_shape=shape)
            if self._short
            else LongSums(
                config=config, weight_shape=shape, fabric=self.fabric, late=self._late_sums, distributed=self._distributed
            )
            for _ in range(ceil_div(config.lanes, BANK_LANES))
        ]
        sums: list[Value] = []
        for number, bank in enumerate(banks):
            m.submodules[f"accumulators{number}"] = bank
            m.d.comb += [bank.issue.eq(issue), bank.word.eq(word), bank.read.eq(self.read), bank.read_word.eq(self.word)]
            m.d.comb += [port.eq(weight) for port, weight in zip(bank.weights, weights[number * BANK_LANES :], strict=False)]
            sums += list(bank.sums)
        # Read-out: a mux of up to two levels, with a register behind the first. ``select`` travels beside the word.
        selects = [self.select]
        for i in range(3):
            selects.append(Signal.like(self.select, name=f"select{i + 1}"))
            m.d.sync += selects[-1].eq(selects[-2])
        for p in range(config.pipelines):
            candidates = [sums[step * config.pipelines + p] for step in range(self.steps)]
            parts = []
            for high in range(self.steps >> self._low_bits):
                part = Signal(signed(config.sum_bits), name=f"part{p}_{high}", reset_less=True)
                choice = Array(candidates[high << self._low_bits : (high + 1) << self._low_bits])
                chosen = choice[selects[self._word_latency][: self._low_bits]]
                if self.steps == 1:
                    m.d.comb += part.eq(chosen)
                else:
                    m.d.sync += part.eq(chosen)
                parts.append(part)
            chosen = Array(parts)[selects[self._word_latency + 1][self._low_bits :]]
            if self.sum_latency == self._word_latency + 2:
                m.d.sync += self.sums[p].eq(chosen)
            else:
                m.d.comb += self.sums[p].eq(chosen)
        return banks[0].busy


class Sums(wiring.Component):
    """Sums of up to ``BANK_LANES`` lanes: read, add, write. Stage n is n cycles after the weight address was issued; stage 2 adds.

    Each bank has address registers of its own, because one register for all lanes of a wide row would be the longest path (where the
    synthesis tool does not merge them).

    Members
    -------
    issue, word : In
        A weight word was asked for, which belongs to this neuron word.
    read, read_word : In
        The update reads a neuron word.
    weights : In(lanes x weight_shape)
        The weights asked for two cycles ago.
    sums : Out(lanes x signed(sum_bits))
        The sums read last.
    busy : Out(1)
        A stage is busy.
    """

    def __init__(self, *, config: CoreConfig, weight_shape: Shape) -> None:
        self.config = config
        self.lanes = min(config.lanes, BANK_LANES)
        self.layout = data.ArrayLayout(signed(config.sum_bits), self.lanes)
        word_bits = bits_for(config.neuron_words)
        super().__init__(
            {
                "issue": In(1),
                "word": In(word_bits),
                "read": In(1),
                "read_word": In(word_bits),
                "weights": In(data.ArrayLayout(weight_shape, self.lanes)),
                "sums": Out(self.layout),
                "busy": Out(1),
            }
        )


class LongSums(Sums):
    """Any number of words in any memory: stage 3 writes.

    Reading by the update goes through the same stages with ``clearing`` set, and writes zeros. ``late``: the memory's output has a
    register of its own before the adder.
    """

    def __init__(self, *, config: CoreConfig, weight_shape: Shape, fabric: Fabric, late: bool, distributed: bool) -> None:
        self.fabric, self.late, self.distributed = fabric, late, distributed
        super().__init__(config=config, weight_shape=weight_shape)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        word_bits = bits_for(config.neuron_words)
        ram = Ram(
            width=self.lanes * config.sum_bits,
            depth=config.neuron_words,
            fabric=self.fabric,
            style="distributed" if self.distributed else "block",
        )
        m.submodules.sum_ram = ram
        read_stage = 0 if self.late else 1
        valid = [self.issue, *(Signal(name=f"adding{i}") for i in (1, 2, 3))]
        words = [self.word, *(Signal(word_bits, name=f"word{i}") for i in (1, 2, 3))]
        clearing = [Signal(name=f"clearing{i}") for i in range(4)]
        reading = [Signal(name=f"reading{i}") for i in range(4)]
        # The update's read enters at the stage in which the memory is read.
        for i in range(4):
            if i == read_stage:
                m.d.comb += [clearing[i].eq(self.read), reading[i].eq(valid[i] | self.read)]
            elif i > read_stage:
                m.d.sync += [clearing[i].eq(clearing[i - 1]), reading[i].eq(reading[i - 1])]
            if i > 0:
                m.d.sync += valid[i].eq(valid[i - 1])
                m.d.sync += words[i].eq(Mux(valid[i - 1], words[i - 1], self.read_word) if i - 1 == read_stage else words[i - 1])
        m.d.comb += [
            ram.read_address.eq(Mux(valid[read_stage], words[read_stage], self.read_word)),
            ram.read_enable.eq(reading[read_stage]),
        ]
        if self.late:
            kept = Signal(self.layout, reset_less=True)
            with m.If(reading[1]):
                m.d.sync += kept.as_value().eq(ram.read_data)
            m.d.comb += self.sums.as_value().eq(kept.as_value())
        else:
            m.d.comb += self.sums.as_value().eq(ram.read_data)
        # Stage 2: add. Stage 3: write.
        added = Signal(self.layout, reset_less=True)
        for lane in range(self.lanes):
            m.d.sync += added[lane].eq(Mux(clearing[2], 0, self.sums[lane] + self.weights[lane]))
        m.d.comb += [
            ram.write_address.eq(words[3]),
            ram.write_enable.eq(reading[3].replicate(ram.slices)),
            ram.write_data.eq(added.as_value()),
            self.busy.eq(Cat(reading[read_stage + 1 :]).any() | (valid[1] if read_stage else 0)),
        ]
        return m


class ShortSums(Sums):
    """Few words in LUT RAM: stage 1 reads, stage 2 adds and writes.

    Reading by the update marks a word as empty, and the register behind the memory is reset where it reads an empty word. So clearing
    costs neither a cycle nor a multiplexer behind the adder, which would be a LUT for each bit of each sum.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.config.neuron_words
        attributes = {"no_rw_check": 1, "ram_style": "distributed"}
        m.submodules.sum_ram = ram = memory.Memory(shape=self.layout.size, depth=depth, init=[], attrs=attributes)
        read, write = ram.read_port(domain="comb"), ram.write_port()
        adding = [Signal(name=f"adding{i}") for i in (1, 2)]
        words = [Signal(bits_for(depth), name=f"word{i}") for i in (1, 2)]
        empty = Signal(depth, init=-1)
        sums, added = Signal(self.layout, reset_less=True), Signal(self.layout)
        m.d.comb += [added[lane].eq(sums[lane] + self.weights[lane]) for lane in range(self.lanes)]
        m.d.sync += [adding[0].eq(self.issue), words[0].eq(self.word), adding[1].eq(adding[0]), words[1].eq(words[0])]
        m.d.comb += [
            read.addr.eq(Mux(adding[0], words[0], self.read_word)),
            self.sums.eq(sums),
            write.addr.eq(words[1]),
            write.en.eq(adding[1]),
            write.data.eq(added.as_value()),
            self.busy.eq(Cat(adding).any()),
        ]
        with m.If(adding[0] | self.read):
            m.d.sync += sums.as_value().eq(Mux(empty.bit_select(read.addr, 1), 0, read.data))
        with m.If(adding[1]):
            m.d.sync += empty.bit_select(words[1], 1).eq(0)
        with m.If(self.read):
            m.d.sync += empty.bit_select(self.read_word, 1).eq(1)
        return m


def _unit(m: Module, weight: Value, number: Value, name: str) -> Value:
    """Sign of the weight if its magnitude is at least the number, else 0."""
    # The weight plus the number if it is negative, minus the number otherwise, with one carry chain: its lowest bits make the carry.
    negative = weight < 0
    distance = Signal(signed(TYPE_WEIGHT_BITS), name=name)
    operand = Cat(~negative, number ^ ~negative.replicate(UNIT_BITS), ~negative)
    m.d.comb += distance.eq((Cat(1, weight) + operand) >> 1)
    hit = Mux(negative, distance <= 0, distance >= 0)
    return Mux(hit, Mux(negative, -1, weight != 0), 0)
