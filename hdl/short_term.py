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

#: Stages in which facilitation and depression are there and are multiplied, and in which the results are.
OPERANDS, FACILITATED, RESULT = 3, 5, 7
#: Cycles from ``event`` to ``efficacy``.
EFFICACY_LATENCY = RESULT + 1


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
        with m.If(self.decay):
            m.d.sync += [walking.eq(1), index.eq(0)]
        with m.Elif(walking):
            m.d.sync += index.eq(index + 1)
            with m.If(index == config.axons - 1):
                m.d.sync += walking.eq(0)
        address = Mux(walking, index, self.axon)

        # Stage 0 is that of the address. Stages without a valid axon compute what nobody takes.
        valid = later(m, walking | self.event, RESULT, "valid")
        ages = later(m, walking, RESULT, "ages")
        addresses = later(m, address, RESULT, "address")
        m.d.comb += self.busy.eq(Cat(ages).any())
        parameters = self._add_ram(m, "parameter", short_term_layout(), writable=False)
        states = self._add_ram(m, "state", short_term_state_layout(), writable=True)
        for ram in (parameters, states):
            m.d.comb += [ram.read_address.eq(address), ram.read_enable.eq(1)]
        parameter = Signal(struct_of(short_term_layout()), reset_less=True)
        state = Signal(struct_of(short_term_state_layout()), reset_less=True)
        m.d.sync += [parameter.eq(parameters.read_data), state.eq(states.read_data)]

        # Stage 3: operands. An event needs U + f and d, a decay f and d with their coefficients.
        aging = ages[OPERANDS - 1]
        first, second = Signal(FRACTION_BITS, reset_less=True), Signal(FRACTION_BITS, reset_less=True)
        risen, twice = (Signal(FRACTION_BITS, name=name, reset_less=True) for name in ("risen", "twice"))
        utilisation = state.facilitation + parameter.use
        m.d.sync += [
            first.eq(Mux(aging, state.facilitation, utilisation)),
            second.eq(Mux(aging, parameter.facilitation_decay, parameter.use)),
            risen.eq(utilisation),
            twice.eq(utilisation + parameter.use),
        ]
        # Whether the axon's weights are plain, and what decays in this tick.
        due = self._add_due(m)
        plain = later(m, parameter.use == 0, RESULT - OPERANDS + 1, "plain")
        facilitation_due = later(m, due.bit_select(parameter.facilitation_step, 1), FACILITATED - OPERANDS, "facilitation_due")
        depression_due = later(m, due.bit_select(parameter.depression_step, 1), RESULT - OPERANDS, "depression_due")

        # Stage 4: the first product. Stage 5: f, and the operands of the second product, which are d and 1 - R.
        product = self._product(m, first, second, "first_product")
        before = later(m, first, 1, "facilitation_before")[1]
        risen, twice = later(m, risen, 1, "risen")[1], later(m, twice, 1, "twice")[1]
        depression = later(m, state.depression, RESULT - OPERANDS, "depression")
        depression_decay = later(m, parameter.depression_decay, FACILITATED - OPERANDS, "depression_decay")
        aging = ages[FACILITATED - 1]
        facilitation = Signal(FRACTION_BITS, reset_less=True)
        first, second = (Signal(FRACTION_BITS, name=name, reset_less=True) for name in ("released", "kept"))
        m.d.sync += [
            facilitation.eq(Mux(aging, self._aged(product, before, facilitation_due[-1]), risen - _above(product))),
            first.eq(Mux(aging, depression_decay[-1], twice - _above(product))),
            second.eq(depression[FACILITATED - OPERANDS]),
        ]

        # Stage 6: the second product. Stage 7: d, and u * R. Stage 8: the efficacy.
        product = self._product(m, first, second, "second_product")
        before = depression[RESULT - OPERANDS]
        utilisation = later(m, first, 1, "utilisation")[1]
        total = Signal(FRACTION_BITS, reset_less=True)
        m.d.sync += total.eq(first + second)
        depressed, used = (Signal(FRACTION_BITS, name=name, reset_less=True) for name in ("depressed", "used"))
        m.d.sync += [
            depressed.eq(Mux(ages[RESULT - 1], self._aged(product, before, depression_due[-1]), total - _above(product))),
            used.eq(utilisation - _above(product)),
        ]
        drop = FRACTION_BITS - EFFICACY_BITS
        rounded = (used + (1 << (drop - 1))) >> drop
        nearest = Mux(rounded[EFFICACY_BITS], (1 << EFFICACY_BITS) - 1, rounded[:EFFICACY_BITS])
        with m.If(valid[RESULT] & ~ages[RESULT]):
            m.d.sync += self.efficacy.eq(Mux(plain[RESULT - OPERANDS + 1], 1 << EFFICACY_BITS, nearest))
        m.d.comb += [
            states.write_address.eq(Mux(self.clear, self.clear_index, addresses[RESULT])),
            states.write_data.eq(
                Mux(self.clear, 0, Cat(later(m, facilitation, RESULT - FACILITATED, "facilitation")[-1], depressed))
            ),
            states.write_enable.eq(self.clear | valid[RESULT]),
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
    def _aged(product: Value, before: Value, due: Value) -> Value:
        """The value, or if it decays the product to the nearest, but smaller than before unless that is 0."""
        # The coefficient is below 1, so the nearest is never above the value before.
        nearest = ((product + (1 << (DECAY_BITS - 1))) >> DECAY_BITS)[:FRACTION_BITS]
        return Mux(due, Mux((nearest == before) & before.any(), before - 1, nearest), before)


def _above(product: Value) -> Value:
    """The product in units of 2**-16, rounded up: ``x - _above(x * y)`` is ``x * (1 - y)`` rounded down."""
    return (product + ((1 << FRACTION_BITS) - 1)) >> FRACTION_BITS
