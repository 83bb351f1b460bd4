"""Boards as targets of a build: their pins and parts come from ``amaranth-boards``, their default geometries from ``arch.boards``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.build import Attrs
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import io
from amaranth_boards.ecp5_5g_evn import ECP55GEVNPlatform
from amaranth_boards.ecpix5 import ECPIX585Platform
from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import UARTResource
from amaranth_boards.tinyfpga_bx import TinyFPGABXPlatform
from amaranth_boards.ulx3s import ULX3S_12F_Platform, ULX3S_25F_Platform, ULX3S_45F_Platform, ULX3S_85F_Platform
from amaranth_boards.upduino_v3 import UpduinoV3Platform

from spikeloom.arch.boards import BOARDS, BoardGeometry, board_geometry
from spikeloom.arch.platforms import find_platform
from spikeloom.boards.clocking import Clocking
from spikeloom.boards.pins import lights


@dataclass(frozen=True, slots=True)
class Loader:
    """How openFPGALoader reaches a board.

    Parameters
    ----------
    options : tuple of str
        What names board and cable to it.
    sram : str
        Empty, or why a bitstream cannot be loaded into the part itself.
    flash : str
        Empty, or why it cannot be written into the board's flash.
    """

    options: tuple[str, ...]
    sram: str = ""
    flash: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """How a board is built.

    Parameters
    ----------
    geometry : BoardGeometry
        Name, default geometries and speeds.
    platform : callable
        Makes the board's Amaranth platform.
    family : str
        Key of ``spikeloom.boards.flow.SYNTHESIS`` and ``spikeloom.hdl.fabric.FABRICS``.
    chip : str
        nextpnr's name of the family: ``"ice40"`` or ``"ecp5"``; ``"xilinx7"`` for parts that only their maker's tools can build for.
    bitstream : str
        Suffix of the bitstream file.
    loader : Loader or str
        How a bitstream gets onto the board; or with what, if not with openFPGALoader.
    """

    geometry: BoardGeometry
    platform: Callable[[], Any]
    family: str
    chip: str
    bitstream: str
    loader: Loader | str

    @property
    def name(self) -> str:
        """Name in commands."""
        return self.geometry.name

    @property
    def clock_mhz(self) -> float:
        """Clock of the core."""
        return self.geometry.clock_mhz

    @property
    def baud(self) -> int:
        """Bits per second of the serial port."""
        return self.geometry.baud


def _with_uart(platform: Callable[[], Any], connector: tuple[str, int], rx: str, tx: str, attrs: Attrs) -> Callable[[], Any]:
    """A platform with a serial port on two pins of a connector, for an adapter."""

    def make() -> Any:
        board = platform()
        board.add_resources([UARTResource(0, rx=rx, tx=tx, conn=connector, attrs=attrs)])
        return board

    return make


#: Ways onto a board. An iCE40 takes a bitstream itself only where the programmer's wires reach it, not its flash.
_ICE40_FLASH = Loader(("-b", "ice40_generic"), sram="the programmer reaches its flash, not the part")
_ULX3S = Loader(("-b", "ulx3s"))
_UNKNOWN = "with its maker's program; openFPGALoader's name for it is not known here"
#: By module, of boards that are not listed.
_OTHER_LOADERS = {"icepi_zero": Loader(("-b", "icepi-zero")), "ecpix5": Loader(("-b", "ecpix5"))}
#: A line without an adapter is idle.
_ICE40_PINS = Attrs(IO_STANDARD="SB_LVCMOS", PULLUP=1)
_ECP5_PINS = Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")

TARGETS = {
    target.name: target
    for target in (
        Target(BOARDS["icebreaker"], ICEBreakerPlatform, "ice40-up", "ice40", ".bin", _ICE40_FLASH),
        Target(
            BOARDS["upduino-v3"],
            # Pins 23 and 24 of the left row. The wires to the FT232H are those of the flash, so it is no serial port.
            _with_uart(UpduinoV3Platform, ("j", 0), rx="20", tx="19", attrs=_ICE40_PINS),
            "ice40-up",
            "ice40",
            ".bin",
            Loader(("-b", "ice40_generic", "-c", "ft232"), sram="the programmer reaches its flash, not the part"),
        ),
        Target(BOARDS["ice40-hx8k-b-evn"], ICE40HX8KBEVNPlatform, "ice40", "ice40", ".bin", Loader(("-b", "ice40_generic"))),
        Target(
            BOARDS["tinyfpga-bx"],
            _with_uart(TinyFPGABXPlatform, ("gpio", 0), rx="1", tx="2", attrs=_ICE40_PINS),
            "ice40",
            "ice40",
            ".bin",
            "with its own boot loader: pip install tinyprog, then tinyprog -p FILE",
        ),
        Target(BOARDS["ulx3s-12f"], ULX3S_12F_Platform, "ecp5", "ecp5", ".bit", _ULX3S),
        Target(BOARDS["ulx3s-25f"], ULX3S_25F_Platform, "ecp5", "ecp5", ".bit", _ULX3S),
        Target(BOARDS["ulx3s-45f"], ULX3S_45F_Platform, "ecp5", "ecp5", ".bit", _ULX3S),
        Target(BOARDS["ulx3s"], ULX3S_85F_Platform, "ecp5", "ecp5", ".bit", _ULX3S),
        Target(BOARDS["ecp5-5g-evn"], ECP55GEVNPlatform, "ecp5", "ecp5", ".bit", Loader(("-b", "ecp5_evn"))),
        Target(BOARDS["ecpix5"], ECPIX585Platform, "ecp5", "ecp5", ".bit", Loader(("-b", "ecpix5"))),
        Target(
            BOARDS["orangecrab-r0-2"],
            _with_uart(OrangeCrabR0_2_25FPlatform, ("io", 0), rx="0", tx="1", attrs=_ECP5_PINS),
            "ecp5",
            "ecp5",
            ".bit",
            Loader(("-b", "orangeCrab"), sram="its boot loader writes into the flash only"),
        ),
    )
}


def target(name: str) -> Target:
    """The target of that name: a listed board, or any other of ``amaranth-boards`` with a part that can hold a core.

    Raises
    ------
    ConfigError
        If there is none, or none can be made for it; the message says why.
    """
    geometry = board_geometry(name)
    if geometry.name in TARGETS:
        return TARGETS[geometry.name]
    platform = find_platform(name)
    module = platform.make.__module__.rpartition(".")[2]
    return Target(
        geometry,
        platform.make,
        geometry.fabric,
        platform.family,
        ".bin" if platform.family == "ice40" else ".bit",
        _OTHER_LOADERS.get(module, _UNKNOWN),
    )


class BoardTop(Elaboratable):
    """Pins, clock, reset and lights around the generated Verilog module.

    The first light shows that ticks are running; a second one, if there is one, blinks once per second.

    Parameters
    ----------
    module : str
        Name of the module, with the ports of ``spikeloom.hdl.top.Top``.
    clock_mhz : float
        Clock to make.
    """

    def __init__(self, module: str, clock_mhz: float) -> None:
        self.module, self.clock_mhz = module, clock_mhz

    def elaborate(self, platform: Any) -> Module:
        """The wrapper."""
        m = Module()
        m.domains.sync = ClockDomain("sync")
        m.submodules.clocking = Clocking(self.clock_mhz)
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer(io.Direction.Input, uart.rx)
        m.submodules.tx = tx = io.Buffer(io.Direction.Output, uart.tx)
        line, busy = Signal(), Signal()
        m.submodules.spikeloom = Instance(
            self.module,
            i_clk=ClockSignal("sync"),
            i_rst=ResetSignal("sync"),
            i_rx=rx.i,
            o_tx=line,
            o_busy=busy,
        )
        m.d.comb += tx.o.eq(line)
        for number, port in enumerate(lights(platform)):
            m.submodules[f"light{number}"] = light = io.Buffer(io.Direction.Output, port)
            m.d.comb += light.o.eq(self._heartbeat(m) if number else busy)
        return m

    def _heartbeat(self, m: Module) -> Signal:
        """Half a second on, half a second off."""
        half = round(self.clock_mhz * 1e6 / 2)
        timer, beat = Signal(range(half)), Signal()
        m.d.sync += timer.eq(Mux(timer == half - 1, 0, timer + 1))
        with m.If(timer == half - 1):
            m.d.sync += beat.eq(~beat)
        return beat
