"""Serial receiver and transmitter, 8 data bits, no parity, 1 stop bit. Described in ``docs/uart.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import cdc, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.errors import ConfigError

#: Bits of a byte on the line: start, eight data bits, stop.
FRAME_BITS = 10
MIN_DIVISOR = 4


def divisor_for(clock_hz: float, baud: float) -> int:
    """Clock cycles per bit.

    Raises
    ------
    ConfigError
        If the clock is too slow for the rate, or the rate cannot be met within 2.5 %.
    """
    divisor = round(clock_hz / baud)
    if divisor < MIN_DIVISOR:
        raise ConfigError(
            f"{baud:.0f} baud is too fast for a clock of {clock_hz / 1e6:.2f} MHz; the limit is {clock_hz / MIN_DIVISOR:.0f}"
        )
    error = abs(clock_hz / divisor - baud) / baud
    if error > 0.025:
        raise ConfigError(
            f"a clock of {clock_hz / 1e6:.2f} MHz gives {clock_hz / divisor:.0f} baud instead of {baud:.0f}, "
            f"{100 * error:.1f} % off; the limit is 2.5 %, so choose another rate"
        )
    return divisor


class UartReceiver(wiring.Component):
    """Samples each bit in its middle.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, at least 4.

    Members
    -------
    rx : In(1)
        The line, asynchronous; idle is high.
    o : Out(stream of 8)
        Received bytes. A byte that nobody takes before the next one comes is lost.
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = cdc.FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self.divisor))
        left = Signal(range(FRAME_BITS + 1))
        shift = Signal(8)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(left == 0):
            with m.If(~line):
                m.d.sync += [left.eq(FRAME_BITS), timer.eq(self.divisor // 2 - 1)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self.divisor - 1), left.eq(left - 1)]
            with m.If(left == FRAME_BITS):
                # The start bit must still be low in its middle.
                with m.If(line):
                    m.d.sync += left.eq(0)
            with m.Elif(left == 1):
                # A byte without stop bit is damaged; the frame check will find out that it is missing.
                with m.If(line):
                    m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(shift)]
            with m.Else():
                m.d.sync += shift.eq(Cat(shift[1:], line))
        return m


class UartTransmitter(wiring.Component):
    """Sends bytes.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit.

    Members
    -------
    i : In(stream of 8)
        Bytes to send.
    tx : Out(1)
        The line; idle is high.
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer = Signal(range(self.divisor))
        left = Signal(range(FRAME_BITS + 1))
        shift = Signal(FRAME_BITS - 1, init=-1)
        m.d.comb += self.i.ready.eq(left == 0)
        with m.If(left == 0):
            with m.If(self.i.valid):
                m.d.sync += [
                    left.eq(FRAME_BITS),
                    timer.eq(self.divisor - 1),
                    shift.eq(Cat(self.i.payload, Const(1, 1))),
                    self.tx.eq(0),
                ]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [
                timer.eq(self.divisor - 1),
                left.eq(left - 1),
                self.tx.eq(shift[0]),
                shift.eq(Cat(shift[1:], Const(1, 1))),
            ]
        return m
