"""A component behind three pins, so that parts with few pins can be used to measure it."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow, In, Out


class SerialPins(wiring.Component):
    """Shifts a component's inputs in, and its outputs out.

    It costs exactly one logic cell per port bit (``cells``): a register per input, and a register with an exclusive or per output.

    Parameters
    ----------
    inner : Component
        What to measure.

    Attributes
    ----------
    cells, output_bits : int
        Port bits, and those of outputs.

    Members
    -------
    serial_in : In(1)
    serial_out : Out(1)
    """

    def __init__(self, inner: wiring.Component) -> None:
        self.inner = inner
        super().__init__({"serial_in": In(1), "serial_out": Out(1)})
        self.cells = sum(len(port) for port, _ in self._ports())
        self.output_bits = sum(len(port) for port, is_input in self._ports() if not is_input)

    def _ports(self) -> list[tuple[Value, bool]]:
        """All port bits of the inner component, and whether each is an input."""
        return [(Value.cast(value), member.flow is Flow.In) for _, member, value in self.inner.signature.flatten(self.inner)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = self.inner
        last: Value = self.serial_in
        for number, (port, is_input) in enumerate(self._ports()):
            shift = Signal(len(port), name=f"shift{number}")
            chain = Cat(last, shift[:-1])
            if is_input:
                m.d.sync += shift.eq(chain)
                m.d.comb += port.eq(shift)
            else:
                m.d.sync += shift.eq(chain ^ port)
            last = shift[-1]
        m.d.comb += self.serial_out.eq(last)
        return m
