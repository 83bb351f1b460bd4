"""Clock and reset of a board: a PLL, and a reset that lasts until the clock is stable. Described in ``docs/clocking.md``."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import cdc, io

from spikeloom.arch.errors import ConfigError

#: Cycles of reset after the clock is stable. iCE40 block RAMs read as zero for some 3 us after configuration; this is over 15 us at 66 MHz.
RESET_CYCLES = 1024


@dataclass(frozen=True, slots=True)
class Ice40Pll:
    """Settings of an ``SB_PLL40_PAD`` with simple feedback: ``out = in (divf + 1) / ((divr + 1) 2**divq)``.

    Limits: phase detector 10 to 133 MHz, oscillator 533 to 1066 MHz (Lattice FPGA-DS-02008, iCE40 UltraPlus family).
    """

    divr: int
    divf: int
    divq: int
    filter_range: int
    out_mhz: float

    @classmethod
    def find(cls, in_mhz: float, out_mhz: float) -> Ice40Pll:
        """Settings that come nearest to ``out_mhz``.

        Raises
        ------
        ConfigError
            If no setting comes within 1 %.
        """
        found = []
        for divr, divf, divq in itertools.product(range(16), range(128), range(1, 7)):
            detector = in_mhz / (divr + 1)
            oscillator = detector * (divf + 1)
            if 10 <= detector <= 133 and 533 <= oscillator <= 1066:
                # The loop filter's range follows from the phase detector's frequency.
                limits = (17, 26, 44, 66, 101)
                filter_range = 1 + sum(detector >= limit for limit in limits)
                found.append(cls(divr, divf, divq, filter_range, oscillator / 2**divq))
        return _nearest(found, in_mhz, out_mhz)


@dataclass(frozen=True, slots=True)
class Ecp5Pll:
    """Settings of an ``EHXPLLL`` whose feedback is its output: ``out = in feedback / input``, oscillator ``out * output``.

    Limits: phase detector 3.125 to 400 MHz, oscillator 400 to 800 MHz (Lattice FPGA-DS-02012, ECP5 family).
    """

    input_divider: int
    feedback_divider: int
    output_divider: int
    out_mhz: float

    @classmethod
    def find(cls, in_mhz: float, out_mhz: float) -> Ecp5Pll:
        """Settings that come nearest to ``out_mhz``; see :meth:`Ice40Pll.find`."""
        found = []
        for divider, feedback in itertools.product(range(1, 9), range(1, 81)):
            out = in_mhz / divider * feedback
            output = round(600 / out)
            if in_mhz / divider >= 3.125 and 1 <= output <= 128 and 400 <= out * output <= 800:
                found.append(cls(divider, feedback, output, out))
        return _nearest(found, in_mhz, out_mhz)


def _nearest(found: list[Any], in_mhz: float, out_mhz: float) -> Any:
    best = min(found, key=lambda setting: abs(setting.out_mhz - out_mhz), default=None)
    if best is None or abs(best.out_mhz - out_mhz) > 0.01 * out_mhz:
        nearest = "none" if best is None else f"{best.out_mhz:.3f} MHz"
        raise ConfigError(f"no PLL setting makes {out_mhz} MHz from {in_mhz} MHz; the nearest is {nearest}")
    return best


class Clocking(Elaboratable):
    """Drives clock and reset of the domain ``sync``, which the module around it defines.

    Parameters
    ----------
    out_mhz : float
        Clock to make from the platform's default clock.
    """

    def __init__(self, out_mhz: float) -> None:
        self.out_mhz = out_mhz

    def elaborate(self, platform: Any) -> Module:
        """The PLL and the reset."""
        m = Module()
        in_mhz = platform.default_clk_frequency / 1e6
        pin = platform.request(platform.default_clk, dir="-")
        clock, locked = Signal(), Signal()
        if platform.device.startswith("iCE40"):
            ice40 = Ice40Pll.find(in_mhz, self.out_mhz)
            m.submodules.pll = Instance(
                "SB_PLL40_PAD",
                p_FEEDBACK_PATH="SIMPLE",
                p_DIVR=ice40.divr,
                p_DIVF=ice40.divf,
                p_DIVQ=ice40.divq,
                p_FILTER_RANGE=ice40.filter_range,
                i_PACKAGEPIN=pin.io,
                i_RESETB=1,
                i_BYPASS=0,
                o_PLLOUTGLOBAL=clock,
                o_LOCK=locked,
            )
        else:
            ecp5 = Ecp5Pll.find(in_mhz, self.out_mhz)
            m.submodules.pin = buffer = io.Buffer(io.Direction.Input, pin)
            m.submodules.pll = Instance(
                "EHXPLLL",
                p_CLKI_DIV=ecp5.input_divider,
                p_CLKFB_DIV=ecp5.feedback_divider,
                p_CLKOP_DIV=ecp5.output_divider,
                p_CLKOP_ENABLE="ENABLED",
                p_CLKOP_CPHASE=ecp5.output_divider - 1,
                p_FEEDBK_PATH="CLKOP",
                i_CLKI=buffer.i,
                i_CLKFB=clock,
                i_RST=0,
                i_STDBY=0,
                i_ENCLKOP=0,
                i_PHASESEL0=0,
                i_PHASESEL1=0,
                i_PHASEDIR=0,
                i_PHASESTEP=0,
                i_PHASELOADREG=0,
                i_PLLWAKESYNC=0,
                o_CLKOP=clock,
                o_LOCK=locked,
            )
        # The domain ``start`` has no reset: its registers hold their initial values after configuration.
        m.domains.start = ClockDomain("start", reset_less=True, local=True)
        stable, pressed = Signal(), Signal()
        timer, over = Signal(range(RESET_CYCLES)), Signal()
        button = platform.request("button", 0, dir="-")
        m.submodules.button = button_buffer = io.Buffer(io.Direction.Input, button)
        m.submodules.stable = cdc.FFSynchronizer(locked, stable, o_domain="start")
        m.submodules.pressed = cdc.FFSynchronizer(button_buffer.i, pressed, o_domain="start")
        m.d.comb += [
            ClockSignal("start").eq(clock),
            ClockSignal("sync").eq(clock),
            ResetSignal("sync").eq(~over),
        ]
        m.d.start += [timer.eq(timer + 1), over.eq(over | (timer == RESET_CYCLES - 1))]
        with m.If(~stable | pressed):
            m.d.start += [timer.eq(0), over.eq(0)]
        return m
