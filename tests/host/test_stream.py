"""Serial ports that cannot be used: each gives one line that says why."""

from __future__ import annotations

import errno
import os
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from spikeloom.arch.errors import ConfigError, LinkError
from spikeloom.host.stream import SerialStream, open_port


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    board, port = os.openpty()
    tty.setraw(port)
    yield board, os.ttyname(port)
    for end in (board, port):
        os.close(end)


def test_bytes_go_both_ways(terminal: tuple[int, str]) -> None:
    board, port = terminal
    stream = open_port(port, 115200)
    stream.send(b"hello")
    assert os.read(board, 10) == b"hello"
    os.write(board, bytes(range(256)))
    got = b""
    while len(got) < 256:
        got += stream.receive(1)
    assert got == bytes(range(256))
    assert stream.receive(0.01) == b""
    stream.close()


def test_a_name_that_is_no_port_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        ConfigError, match=r"^no chip or port is called 'gold'; there are golden, rtl, virtual, and serial ports \("
    ):
        open_port("gold", 115200)


def test_a_port_that_is_in_use_says_so(terminal: tuple[int, str]) -> None:
    first = SerialStream(terminal[1], 115200)
    with pytest.raises(LinkError, match=f"{terminal[1]} is in use by another program; close that first"):
        SerialStream(terminal[1], 115200)
    first.close()
    SerialStream(terminal[1], 115200).close()


def test_a_file_is_no_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(LinkError, match=f"{path} cannot be opened: "):
        SerialStream(str(path), 115200)


def test_a_port_that_may_not_be_used_names_the_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise serial.SerialException(errno.EACCES, "permission denied")

    port = tmp_path / "ttyUSB0"
    port.write_text("")
    port.chmod(0o660)
    group = next((entry for entry in __import__("grp").getgrall() if entry.gr_name == "dialout"), None)
    assert group is not None
    monkeypatch.setattr(serial, "serial_for_url", refuse)
    status = os.stat(port)
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result((*status[:5], group.gr_gid, *status[6:])))
    with pytest.raises(LinkError, match="join the group dialout: sudo usermod -a -G dialout "):
        SerialStream(str(port), 115200)


def test_a_port_that_goes_away_says_so(terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = SerialStream(terminal[1], 115200)

    def gone(size: int) -> bytes:
        raise serial.SerialException("device reports readiness to read but returned no data")

    monkeypatch.setattr(stream._serial, "read", gone)
    with pytest.raises(LinkError, match=f"{terminal[1]} went away; is the board still there"):
        stream.receive(0.1)
    stream.close()
