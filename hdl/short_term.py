"""Short-term plasticity: efficacies of axons that have an event, and their decay. Described in ``docs/short_term.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.config import CoreConfig, bits_for
from spikeloom.arch.layout import WordLayout
from spikeloom.arch.short_term import (
    DECAY_BITS,
    EFFICACY_BITS,
    FRACTION_BITS,
    STEP_BITS,
    short_term_layout,
    short_term_state_layout,
)
from spikeloom.hdl.change import later
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.layouts import struct_of
from spikeloom.hdl.ram import BankedRam, bus_port

#: Stages in which the operands of both products are there, what they make of f and d, and in which the state is written.
OPERANDS, FACILITATED, DEPRESSED, WRITTEN = 3, 5, 7, 8
#: Cycles from ``event`` to ``efficacy``.
EFFICACY_LATENCY = DEPRESSED + 1
#: Cycles, besides one for each axon, by which a decay is longer than the part of the update that rows and latency do not count.
DECAY_CYCLES = 5


class ShortTerm(wiring.Component):
    """Facilitation and depression of each axon: a pipeline that takes an event, or an axon that decays, in each cycle.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    fabric : Fabric
        Target.

    Members
    -------
    event : In(1)
        Strobe: ``axon`` has an event. Not while ``busy``, and not twice for an axon in one tick.
    axon : In(range(axons))
    efficacy : Out(13)
        In units of 2**-12, ``EFFICACY_LATENCY`` cycles after ``event`` and until so many cycles after the next one.
    decay : In(1)
        Strobe: the events of the tick have been taken, and their efficacies too; all axons decay.
    busy : Out(1)
        Axons decay. Rises a cycle after ``decay``.
    clear : In(1)
        Write zeros at ``clear_index``.
    clear_index : In(range(axons))
    parameter_bus, state_bus : In(BusPort)
    """

    def __init__(self, *, config: CoreConfig, fabric: Fabric) -> None:
        self.config, self.fabric = config, fabric
        axon_bits = bits_for(config.axons)
        super().__init__(
            {
                "event": In(1),
                "axon": In(axon_bits),
                "efficacy": Out(EFFICACY_BITS + 1),
                "decay": In(1),
                "busy": Out(1),
                "clear": In(1),
                "clear_index": In(axon_bits),
                "parameter_bus": In(bus_port(config.axons, short_term_layout().bits)),
                "state_bus": In(bus_port(config.axons, short_term_state_layout().bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config

        # Walk over all axons.
        walking, index = Signal(), Signal(bits_for(config.axons))
        # A cycle later, when the last event's state has been written.
        begun = Signal()
        m.d.sync += begun.eq(self.decay)
        with m.If(begun):
            m.d.sync += [walking.eq(1), index.eq(0)]
        with m.Elif(walking):
            m.d.sync += index.eq(index + 1)
            with m.If(index == config.axons - 1):
                m.d.sync += walking.eq(0)
        address = Mux(walking, index, self.axon)

        # Stage 0 is that of the address. Stages without a valid axon compute what nobody takes.
        valid = later(m, walking | self.event, WRITTEN, "valid")
        ages = later(m, walking, WRITTEN, "ages")
        addresses = later(m, address, WRITTEN, "address")
        m.d.comb += self.busy.eq(begun | Cat(ages).any())
        parameters = self._add_ram(m, "parameter", short_term_layout(), writable=False)
        states = self._add_ram(m, "state", short_term_state_layout(), writable=True)
        for ram in (parameters, states):
            m.d.comb += [ram.read_address.eq(address), ram.read_enable.eq(1)]
        parameter = Signal(struct_of(short_term_layout()), reset_less=True)
        state = Signal(struct_of(short_term_state_layout()), reset_less=True)
        m.d.sync += [parameter.eq(parameters.read_data), state.eq(states.read_data)]

        # Stage 3: operands. An event needs U + f and U, a decay f and its coefficient. What comes later waits.
        first, second = Signal(FRACTION_BITS, reset_less=True), Signal(FRACTION_BITS, reset_less=True)
        risen, twice = (Signal(FRACTION_BITS, name=name, reset_less=True) for name in ("risen", "twice"))
        utilisation = state.facilitation + parameter.use
        aging = ages[OPERANDS - 1]
        m.d.sync += [
            first.eq(Mux(aging, state.facilitation, utilisation)),
            second.eq(Mux(aging, parameter.facilitation_decay, parameter.use)),
            risen.eq(utilisation),
            twice.eq(utilisation + parameter.use),
        ]
        due = self._add_due(m)
        wait = FACILITATED - OPERANDS
        facilitation_due = later(m, due.bit_select(parameter.facilitation_step, 1), wait + 1, "facilitation_due")[-1]
        depression_due = later(m, due.bit_select(parameter.depression_step, 1), wait + 3, "depression_due")[-1]
        depression_decay = later(m, parameter.depression_decay, wait, "depression_decay")[-1]
        depressions = later(m, state.depression, wait + 3, "depression")
        plain = later(m, parameter.use == 0, wait + 3, "plain")[-1]

        # Stage 4: the first product. Stage 5: f; and as operands u and d, or the coefficient and d. Stage 6: f decayed.
        product = self._product(m, first, second, "first_product")
        before = later(m, first, 2, "facilitation_before")
        facilitation = Signal(FRACTION_BITS, reset_less=True)
        first, second = (Signal(FRACTION_BITS, name=name, reset_less=True) for name in ("third", "fourth"))
        aging = ages[FACILITATED - 1]
        m.d.sync += [
            facilitation.eq(Mux(aging, _nearest(product), _less(later(m, risen, 1, "risen")[1], product))),
            first.eq(Mux(aging, depression_decay, _less(later(m, twice, 1, "twice")[1], product))),
            second.eq(depressions[wait]),
        ]
        facilitation = self._aged(m, "facilitation", facilitation, before[2], ages[FACILITATED], facilitation_due)

        # Stage 6: the second product. Stage 7: d, and u * R. Stage 8: d decayed, and the efficacy.
        product = self._product(m, first, second, "second_product")
        total, depression, used = (
            Signal(FRACTION_BITS, name=name, reset_less=True) for name in ("total", "new_depression", "used")
        )
        m.d.sync += [
            total.eq(first + second),
            depression.eq(Mux(ages[DEPRESSED - 1], _nearest(product), _less(total, product))),
            used.eq(_less(later(m, first, 1, "utilisation")[1], product)),
        ]
        depression = self._aged(m, "depression", depression, depressions[wait + 3], ages[DEPRESSED], depression_due)
        drop = FRACTION_BITS - EFFICACY_BITS
        rounded = (used + (1 << (drop - 1))) >> drop
        nearest = Mux(rounded[EFFICACY_BITS], (1 << EFFICACY_BITS) - 1, rounded[:EFFICACY_BITS])
        with m.If(valid[DEPRESSED] & ~ages[DEPRESSED]):
            m.d.sync += self.efficacy.eq(Mux(plain, 1 << EFFICACY_BITS, nearest))
        facilitation = later(m, facilitation, WRITTEN - FACILITATED - 1, "facilitation")[-1]
        m.d.comb += [
            states.write_address.eq(Mux(self.clear, self.clear_index, addresses[WRITTEN])),
            states.write_data.eq(Mux(self.clear, 0, Cat(facilitation, depression))),
            states.write_enable.eq(self.clear | valid[WRITTEN]),
        ]
        return m

    def _add_ram(self, m: Module, name: str, layout: WordLayout, *, writable: bool) -> BankedRam:
        depth = self.config.axons
        ram = BankedRam(
            width=layout.bits,
            depth=depth,
            writable=writable,
            readback=self.config.readback,
            fabric=self.fabric,
            style="distributed" if depth <= self.fabric.lut_ram_depth else "block",
        )
        m.submodules[f"{name}_ram"] = ram
        connect(m, flipped(getattr(self, f"{name}_bus")), ram.bus)
        return ram

    def _add_due(self, m: Module) -> Signal:
        """Of each step whether what has it decays in this tick."""
        steps = 1 << STEP_BITS
        ticks, due = Signal(steps - 1, name="ticks"), Signal(steps, name="due", reset_less=True)
        with m.If(self.clear):
            m.d.sync += ticks.eq(0)
        with m.Elif(self.decay):
            m.d.sync += ticks.eq(ticks + 1)
        # There before the first axon of the walk needs it.
        m.d.sync += due.eq(Cat(~ticks[:step].any() for step in range(steps)))
        return due

    @staticmethod
    def _product(m: Module, first: Value, second: Value, name: str) -> Signal:
        product = Signal(FRACTION_BITS + DECAY_BITS, name=name, reset_less=True)
        m.d.sync += product.eq(first * second)
        return product

    @staticmethod
    def _aged(m: Module, name: str, value: Signal, before: Value, aging: Value, due: Value) -> Signal:
        """A cycle later: the value, but if the axon decays, smaller than before unless that is 0; and if it is not due, as before."""
        # The coefficient is below 1, so the value rounded to the nearest is never above that before.
        aged = Signal(FRACTION_BITS, name=f"{name}_aged", reset_less=True)
        m.d.sync += aged.eq(Mux(aging, Mux(due, Mux((value == before) & before.any(), before - 1, value), before), value))
        return aged


def _nearest(product: Value) -> Value:
    """The product in units of 2**-16, to the nearest."""
    return product[FRACTION_BITS:] + product[FRACTION_BITS - 1]


def _less(value: Value, product: Value) -> Value:
    """The value minus the product in units of 2**-16, rounded up: of x and x * y, this is x * (1 - y) rounded down."""
    # One carry chain, with the complement of the upper half; the lowest bits make the carry.
    exact = ~product[:FRACTION_BITS].any()
    return ((Cat(1, value) + Cat(exact, ~product[FRACTION_BITS:])) >> 1)[:FRACTION_BITS]
