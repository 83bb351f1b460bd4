"""Finds the serial port that leads to a spikeloom chip, and its rate. Described in ``docs/driver.md``."""

from __future__ import annotations

from collections.abc import Sequence

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from spikeloom.arch.errors import ConfigError, LinkError, SpikeloomError
from spikeloom.arch.registers import Address
from spikeloom.host.framed_bus import ATTEMPTS, FramedBus
from spikeloom.host.stream import open_port

#: Times that each port is asked, and seconds for each.
ASK_ATTEMPTS = 2
ASK_TIMEOUT = 0.25
#: FTDI's FT2232H: boards use its first channel to program the FPGA, so only the second one is asked (1BitSquared iCEBreaker, Lattice
#: HX8K and ECP5 evaluation boards).
DUAL_BRIDGES = ((0x0403, 0x6010),)


def candidates() -> list[ListPortInfo]:
    """USB serial ports that may lead to a board, without those that program it."""
    ports = [port for port in list_ports.comports() if port.vid is not None]
    return sorted((port for port in ports if not _programs(port)), key=lambda port: str(port.device))


def _programs(port: ListPortInfo) -> bool:
    # The location ends with the interface, counted from 0, for example 1-3:1.0.
    return (port.vid, port.pid) in DUAL_BRIDGES and str(port.location or "").endswith(".0")


def open_bus(port: str, rates: Sequence[int], *, patience: int = ATTEMPTS) -> FramedBus:
    """The chip behind a port, at the first rate at which it answers.

    Parameters
    ----------
    port : str
        Name of the port, or a URL that pyserial knows.
    rates : sequence of int
        Bits per second to try.
    patience : int
        Times that the chip is asked at the last rate.

    Raises
    ------
    ConfigError, ImageError, LinkError
        As for :func:`open_port` and :class:`FramedBus`.
    """
    for rate in rates[:-1]:
        try:
            return FramedBus(open_port(port, rate), timeout=ASK_TIMEOUT, attempts=ASK_ATTEMPTS)
        except LinkError:
            continue
    return FramedBus(open_port(port, rates[-1]), attempts=patience)


def find_port(rates: Sequence[int], geometry_id: int | None = None) -> str:
    """The port of the only chip that answers.

    Nothing but ``HELLO`` and reads of constant registers is sent.

    Parameters
    ----------
    rates : sequence of int
        Bits per second to try on each port.
    geometry_id : int
        Geometry that the chip must have.

    Raises
    ------
    ConfigError
        If no chip answers, or several do; the message lists what was asked.
    """
    found: list[str] = []
    told: list[str] = []
    for port in candidates():
        try:
            bus = open_bus(port.device, rates, patience=ASK_ATTEMPTS)
            try:
                geometry = int(bus.read(Address.GEOMETRY, 1)[0])
            finally:
                bus.close()
        except SpikeloomError as error:
            told.append(f"{port.device}: {error}")
            continue
        if geometry_id in (None, geometry):
            found.append(port.device)
        else:
            told.append(f"{port.device}: geometry {geometry:#010x}")
    if len(found) > 1:
        raise ConfigError(f"several chips answer, at {', '.join(found)}; name the port")
    if not found:
        wanted = "" if geometry_id is None else f" with the geometry {geometry_id:#010x}"
        asked = "; ".join(told) or "no USB serial port is plugged in"
        raise ConfigError(f"no spikeloom chip{wanted} answers ({asked})")
    return found[0]
