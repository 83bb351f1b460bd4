"""Clock and reset of a board: a PLL, and a reset that lasts until the clock is stable. Described in ``docs/clocking.md``."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import cdc, io, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.errors import ConfigError
from spikeloom.boards.pins import button, oscillator, pins_of

#: Cycles of reset after the clock is stable. iCE40 block RAMs read as zero for some 3 us after configuration; this is over 15 us at 66 MHz.
RESET_CYCLES = 1024


#: Pins that are wired to a phase-locked loop, by part and package; from any other a clock comes to it through the fabric. iCE40 UltraPlus
#: SG48: FPGA-DS-02008, section 5.1; the pin serves its loop only, or no clock at all.
PLL_PADS = {("iCE40UP5K", "SG48"): "35"}


@dataclass(frozen=True, slots=True)
class Ice40Pll:
    """Settings of an ``SB_PLL40_PAD`` or ``SB_PLL40_CORE`` with simple feedback: ``out = in (divf + 1) / ((divr + 1) 2**divq)``.

    Limits (MHz): input and phase detector 10 to 133, oscillator 533 to 1066, output 16 to 275 (Lattice FPGA-DS-02008, table 4.22, iCE40
    UltraPlus; FPGA-DS-02029 for LP and HX gives the same).
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
            out = oscillator / 2**divq
            if in_mhz <= 133 and 10 <= detector <= 133 and 533 <= oscillator <= 1066 and 16 <= out <= 275:
                # The loop filter's range follows from the phase detector's frequency.
                limits = (17, 26, 44, 66, 101)
                filter_range = 1 + sum(detector >= limit for limit in limits)
                found.append(cls(divr, divf, divq, filter_range, out))
        return _nearest(found, in_mhz, out_mhz)


@dataclass(frozen=True, slots=True)
class Ecp5Pll:
    """Settings of an ``EHXPLLL`` whose feedback is its first output, and whose second output is the clock.

    ``oscillator = in / input loop`` and ``out = oscillator / output``. Two outputs, because one would give multiples of the phase
    detector's frequency only. Limits (MHz): input 8 to 400, phase detector 10 to 400, oscillator 400 to 800, outputs 3.125 to 400 (Lattice
    FPGA-DS-02012, ECP5 and ECP5-5G, "sysCLOCK PLL Timing").
    """

    input_divider: int
    loop_divider: int
    output_divider: int
    out_mhz: float

    @classmethod
    def find(cls, in_mhz: float, out_mhz: float) -> Ecp5Pll:
        """Settings that come nearest to ``out_mhz``; see :meth:`Ice40Pll.find`."""
        found = []
        # The loop's divider is the first output's alone, which so has the frequency of the phase detector.
        for divider, multiple in itertools.product(range(1, 129), range(1, 129)):
            detector = in_mhz / divider
            oscillator = detector * multiple
            if not (8 <= in_mhz <= 400 and 10 <= detector <= 400 and 400 <= oscillator <= 800):
                continue
            output = min(128, max(1, round(oscillator / out_mhz)))
            if 3.125 <= oscillator / output <= 400:
                found.append(cls(divider, multiple, output, oscillator / output))
        return _nearest(found, in_mhz, out_mhz)


@dataclass(frozen=True, slots=True)
class Xilinx7Mmcm:
    """Settings of an ``MMCME2_BASE``: ``oscillator = in / divide multiply`` and ``out = oscillator / output``.

    Limits (MHz) of the slowest grade: input and phase detector 10 to 450, oscillator 600 to 1200 (AMD DS181, Artix-7, table 37).
    """

    divide: int
    multiply: int
    output_divider: int
    out_mhz: float

    @classmethod
    def find(cls, in_mhz: float, out_mhz: float) -> Xilinx7Mmcm:
        """Settings that come nearest to ``out_mhz``; see :meth:`Ice40Pll.find`."""
        found = []
        for divide, multiply in itertools.product(range(1, 107), range(2, 65)):
            oscillator = in_mhz / divide * multiply
            if 10 <= in_mhz / divide <= 450 and 600 <= oscillator <= 1200:
                output = min(128, max(1, round(oscillator / out_mhz)))
                found.append(cls(divide, multiply, output, oscillator / output))
        return _nearest(found, in_mhz, out_mhz)


def _nearest(found: list[Any], in_mhz: float, out_mhz: float) -> Any:
    best = min(found, key=lambda setting: abs(setting.out_mhz - out_mhz), default=None)
    if best is None or abs(best.out_mhz - out_mhz) > 0.01 * out_mhz:
        nearest = "none" if best is None else f"{best.out_mhz:.3f} MHz"
        raise ConfigError(f"no PLL setting makes {out_mhz} MHz from {in_mhz} MHz; the nearest is {nearest}")
    return best


class ResetTimer(wiring.Component):
    """Holds the reset for ``RESET_CYCLES`` after the clock is stable and the button released; in the domain ``start``.

    Members
    -------
    stable : In(1)
        The phase-locked loop is locked.
    pressed : In(1)
        The button is.
    reset : Out(1)
    """

    def __init__(self) -> None:
        super().__init__({"stable": In(1), "pressed": In(1), "reset": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        """The counter."""
        m = Module()
        timer, over = Signal(range(RESET_CYCLES)), Signal()
        m.d.comb += self.reset.eq(~over)
        m.d.start += [timer.eq(timer + 1), over.eq(over | (timer == RESET_CYCLES - 1))]
        with m.If(~self.stable | self.pressed):
            m.d.start += [timer.eq(0), over.eq(0)]
        return m


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
        name, in_mhz = oscillator(platform)
        clock, locked = Signal(), Signal()
        settings = loop_of(platform, self.out_mhz)
        port = platform.request(name, 0, dir="-")
        if isinstance(settings, Ice40Pll):
            pad = pins_of(platform, name) == {PLL_PADS.get((platform.device, platform.package))}
            self._ice40(m, port, pad, settings, clock, locked)
        else:
            m.submodules.pin = pin = io.Buffer(io.Direction.Input, port)
            if isinstance(settings, Ecp5Pll):
                self._ecp5(m, pin.i, settings, clock, locked)
            else:
                self._xilinx7(m, pin.i, in_mhz, settings, clock, locked)
        # The domain ``start`` has no reset: its registers hold their initial values after configuration.
        m.domains.start = ClockDomain("start", reset_less=True, local=True)
        m.submodules.timer = timer = ResetTimer()
        m.submodules.stable = cdc.FFSynchronizer(locked, timer.stable, o_domain="start")
        key = button(platform)
        if key is not None:
            m.submodules.button = button_buffer = io.Buffer(io.Direction.Input, key)
            m.submodules.pressed = cdc.FFSynchronizer(button_buffer.i, timer.pressed, o_domain="start")
        m.d.comb += [
            ClockSignal("start").eq(clock),
            ClockSignal("sync").eq(clock),
            ResetSignal("sync").eq(timer.reset),
        ]
        return m

    @staticmethod
    def _ice40(m: Module, port: Any, pad: bool, settings: Ice40Pll, clock: Signal, locked: Signal) -> None:
        common: dict[str, Any] = {
            "p_FEEDBACK_PATH": "SIMPLE",
            "p_DIVR": settings.divr,
            "p_DIVF": settings.divf,
            "p_DIVQ": settings.divq,
            "p_FILTER_RANGE": settings.filter_range,
            "i_RESETB": 1,
            "i_BYPASS": 0,
            "o_PLLOUTGLOBAL": clock,
            "o_LOCK": locked,
        }
        if pad:
            m.submodules.pll = Instance("SB_PLL40_PAD", i_PACKAGEPIN=port.io, **common)
        else:
            # Not through a buffer of Amaranth: it would put the clock on a global line, which the loop's input is not on.
            reference = Signal()
            m.submodules.pin = Instance("SB_IO", p_PIN_TYPE=0b000001, io_PACKAGE_PIN=port.io, o_D_IN_0=reference)
            m.submodules.pll = Instance("SB_PLL40_CORE", i_REFERENCECLK=reference, **common)

    @staticmethod
    def _ecp5(m: Module, pin: Signal, settings: Ecp5Pll, clock: Signal, locked: Signal) -> None:
        loop = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=settings.input_divider,
            p_CLKFB_DIV=1,
            p_CLKOP_DIV=settings.loop_divider,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=settings.loop_divider - 1,
            p_CLKOS_DIV=settings.output_divider,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_CPHASE=settings.output_divider - 1,
            p_FEEDBK_PATH="CLKOP",
            # Loop filter as prjtrellis' ecppll sets it.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            i_CLKI=pin,
            i_CLKFB=loop,
            i_RST=0,
            i_STDBY=0,
            i_ENCLKOP=0,
            i_ENCLKOS=0,
            i_PHASESEL0=0,
            i_PHASESEL1=0,
            i_PHASEDIR=0,
            i_PHASESTEP=0,
            i_PHASELOADREG=0,
            i_PLLWAKESYNC=0,
            o_CLKOP=loop,
            o_CLKOS=clock,
            o_LOCK=locked,
        )

    @staticmethod
    def _xilinx7(m: Module, pin: Signal, in_mhz: float, settings: Xilinx7Mmcm, clock: Signal, locked: Signal) -> None:
        loop, out = Signal(), Signal()
        m.submodules.pll = Instance(
            "MMCME2_BASE",
            p_CLKIN1_PERIOD=1e3 / in_mhz,
            p_DIVCLK_DIVIDE=settings.divide,
            p_CLKFBOUT_MULT_F=float(settings.multiply),
            p_CLKOUT0_DIVIDE_F=float(settings.output_divider),
            i_CLKIN1=pin,
            i_CLKFBIN=loop,
            i_PWRDWN=0,
            i_RST=0,
            o_CLKFBOUT=loop,
            o_CLKOUT0=out,
            o_LOCKED=locked,
        )
        m.submodules.net = Instance("BUFG", i_I=out, o_O=clock)


#: Settings of the loop by the first letters of the part.
LOOPS: dict[str, type[Ice40Pll] | type[Ecp5Pll] | type[Xilinx7Mmcm]] = {"iCE": Ice40Pll, "LFE": Ecp5Pll, "xc7": Xilinx7Mmcm}


def loop_of(platform: Any, out_mhz: float) -> Ice40Pll | Ecp5Pll | Xilinx7Mmcm:
    """Settings that make a clock of a board's oscillator.

    Raises
    ------
    ConfigError
        If the board has no oscillator, or none that a loop makes this clock of.
    """
    return LOOPS[platform.device[:3]].find(oscillator(platform)[1], out_mhz)
