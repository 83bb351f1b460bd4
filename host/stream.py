"""Streams of bytes between the driver and a chip's link. Described in ``docs/driver.md``."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from pathlib import Path

import serial
from serial.tools import list_ports

from spikeloom.arch.errors import ConfigError, LinkError

#: Seconds after which a port that takes no more bytes counts as dead.
WRITE_TIMEOUT = 5.0


class ByteStream(ABC):
    """A way for bytes in both directions.

    Attributes
    ----------
    name : str
        For messages, for example ``/dev/ttyUSB1``.
    """

    name: str

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Put bytes on the way.

        Raises
        ------
        LinkError
            If the other side is gone.
        """

    @abstractmethod
    def receive(self, seconds: float) -> bytes:
        """What has come; if nothing has, what comes first within so many seconds, or nothing.

        Raises
        ------
        LinkError
            If the other side is gone.
        """

    def close(self) -> None:  # noqa: B027 (some have nothing to let go of)
        """Let go of the other side."""


class SerialStream(ByteStream):
    """A serial port, 8 data bits, no parity, 1 stop bit, used by nobody else meanwhile.

    Parameters
    ----------
    port : str
        Name of the port, or a URL that pyserial knows.
    baud : int
        Bits per second.

    Raises
    ------
    LinkError
        If the port does not exist, may not be used, or is in use; the message tells what to do.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.name = port
        try:
            self._serial = serial.serial_for_url(port, baud, timeout=0, write_timeout=WRITE_TIMEOUT, exclusive=True)
        except (serial.SerialException, ValueError, OSError) as error:
            raise LinkError(_reason(port, baud, error)) from error

    def send(self, data: bytes) -> None:
        """See :meth:`ByteStream.send`."""
        try:
            self._serial.write(data)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name} takes no more bytes; is the board still there? ({error})") from error

    def receive(self, seconds: float) -> bytes:
        """See :meth:`ByteStream.receive`."""
        try:
            self._serial.timeout = seconds
            first: bytes = self._serial.read(1)
            if not first:
                return b""
            return first + bytes(self._serial.read(self._serial.in_waiting))
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name} went away; is the board still there? ({error})") from error

    def close(self) -> None:
        """Close the port."""
        self._serial.close()


def open_port(port: str, baud: int) -> SerialStream:
    """A serial port by name.

    Raises
    ------
    ConfigError
        If the name is none; the message lists what there is.
    LinkError
        As for :class:`SerialStream`.
    """
    if "://" not in port and not Path(port).exists() and not port.upper().startswith("COM"):
        found = ", ".join(known.device for known in list_ports.comports()) or "none is plugged in"
        raise ConfigError(f"no chip or port is called {port!r}; there are golden, rtl, virtual, and serial ports ({found})")
    return SerialStream(port, baud)


def _reason(port: str, baud: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EACCES:
        return f"no permission for {port}; {_permission(port)}"
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"there is no port {port}; is the board plugged in?"
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return f"{port} is in use by another program; close that first"
    if isinstance(error, ValueError):
        return f"{port} cannot be opened at {baud} baud: {error}"
    return f"{port} cannot be opened: {error}"


def _permission(port: str) -> str:
    """Who may use a port that this user may not."""
    import grp  # not on Windows, where nobody gets here

    try:
        status = os.stat(port)
        group = grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        return "its owner or the system's administrator can grant it"
    if not status.st_mode & 0o060 or group == "root":
        return f"the group {group} may not use it either; a udev rule can change that"
    return f"join the group {group}: sudo usermod -a -G {group} $USER, then log in again"
