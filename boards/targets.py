"""Boards as targets of a build: their pins and parts come from ``amaranth-boards``, their default geometries from ``arch.boards``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from spikeloom.arch.boards import BOARDS, BoardGeometry, board_geometry
from spikeloom.boards.clocking import Clocking


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
        nextpnr's name of the family: ``"ice40"`` or ``"ecp5"``.
    bitstream : str
        Suffix of the bitstream file.
    """

    geometry: BoardGeometry
    platform: Callable[[], Any]
    family: str
    chip: str
    bitstream: str

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


TARGETS = {
    target.name: target
    for target in (
        Target(BOARDS["icebreaker"], ICEBreakerPlatform, "ice40-up", "ice40", ".bin"),
        Target(BOARDS["ulx3s"], ULX3S_85F_Platform, "ecp5", "ecp5", ".bit"),
    )
}


def target(name: str) -> Target:
    """The target of that name.

    Raises
    ------
    ConfigError
        If there is none; the message lists the names.
    """
    return TARGETS[board_geometry(name).name]


class BoardTop(Elaboratable):
    """Pins, clock and reset around the generated Verilog module.

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
        uart = platform.request("uart", 0, dir={"rx": "-", "tx": "-"})
        m.submodules.rx = rx = io.Buffer(io.Direction.Input, uart.rx)
        m.submodules.tx = tx = io.Buffer(io.Direction.Output, uart.tx)
        m.submodules.light = light = io.Buffer(io.Direction.Output, platform.request("led", 0, dir="-"))
        line = Signal()
        m.submodules.spikeloom = Instance(
            self.module,
            i_clk=ClockSignal("sync"),
            i_rst=ResetSignal("sync"),
            i_rx=rx.i,
            o_tx=line,
            o_busy=light.o,
        )
        m.d.comb += tx.o.eq(line)
        return m
