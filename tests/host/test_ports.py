"""Finding the port of a board among others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, LinkError
from spikeloom.arch.registers import Address
from spikeloom.host import ports

GEOMETRY = ChipConfig(cores=(CoreConfig(axons=16, neurons=8, weight_bits=4, lanes=4),)).geometry_id


def _port(device: str, vid: int | None = 0x0403, pid: int = 0x6010, location: str = "1-3:1.1") -> Any:
    return SimpleNamespace(device=device, vid=vid, pid=pid, location=location)


class _World:
    """Ports with chips behind some of them.

    Attributes
    ----------
    chips : dict
        Geometry and rate of the chip behind a port.
    asked : list of (str, int)
        Ports and rates that were tried.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.present: list[Any] = []
        self.chips: dict[str, tuple[int, int]] = {}
        self.asked: list[tuple[str, int]] = []
        self.closed = 0
        monkeypatch.setattr(ports.list_ports, "comports", lambda: self.present)
        monkeypatch.setattr(ports, "open_port", lambda name, rate: (name, rate))
        monkeypatch.setattr(ports, "FramedBus", self._bus)

    def _bus(self, stream: tuple[str, int], **_: Any) -> Any:
        self.asked.append(stream)
        geometry, rate = self.chips.get(stream[0], (0, 0))
        if rate != stream[1]:
            raise LinkError(f"{stream[0]} did not answer")

        def read(address: int, count: int) -> list[int]:
            assert (address, count) == (Address.GEOMETRY, 1)
            return [geometry]

        def close() -> None:
            self.closed += 1

        return SimpleNamespace(read=read, close=close)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> _World:
    return _World(monkeypatch)


def test_the_port_with_the_chip_is_found(world: _World) -> None:
    world.present = [_port("/dev/ttyUSB3"), _port("/dev/ttyUSB1")]
    world.chips["/dev/ttyUSB3"] = (GEOMETRY, 3_000_000)
    assert ports.find_port([8_000_000, 3_000_000]) == "/dev/ttyUSB3"
    assert world.asked[0] == ("/dev/ttyUSB1", 8_000_000)
    assert world.closed == 1


def test_the_channel_that_programs_the_board_is_not_asked(world: _World) -> None:
    world.present = [_port("/dev/ttyUSB0", location="1-3:1.0"), _port("/dev/ttyUSB1", location="1-3:1.1")]
    with pytest.raises(ConfigError):
        ports.find_port([3_000_000])
    assert {name for name, _ in world.asked} == {"/dev/ttyUSB1"}


def test_the_only_channel_of_another_bridge_is_asked(world: _World) -> None:
    world.present = [_port("/dev/ttyUSB0", pid=0x6015, location="1-4:1.0")]
    world.chips["/dev/ttyUSB0"] = (GEOMETRY, 3_000_000)
    assert ports.find_port([3_000_000]) == "/dev/ttyUSB0"


def test_a_port_that_is_not_on_usb_is_not_asked(world: _World) -> None:
    world.present = [_port("/dev/ttyS0", vid=None)]
    with pytest.raises(ConfigError, match=r"no spikeloom chip answers \(no USB serial port is plugged in\)"):
        ports.find_port([3_000_000])
    assert world.asked == []


def test_a_chip_of_another_geometry_is_passed_over_and_named(world: _World) -> None:
    world.present = [_port("/dev/ttyUSB1"), _port("/dev/ttyUSB2")]
    world.chips = {"/dev/ttyUSB1": (0x1234, 3_000_000)}
    with pytest.raises(ConfigError) as caught:
        ports.find_port([3_000_000], GEOMETRY)
    assert str(caught.value) == (
        f"no spikeloom chip with the geometry {GEOMETRY:#010x} answers "
        "(/dev/ttyUSB1: geometry 0x00001234; /dev/ttyUSB2: /dev/ttyUSB2 did not answer)"
    )
    world.chips["/dev/ttyUSB2"] = (GEOMETRY, 3_000_000)
    assert ports.find_port([3_000_000], GEOMETRY) == "/dev/ttyUSB2"


def test_several_chips_are_not_chosen_from(world: _World) -> None:
    world.present = [_port("/dev/ttyUSB1"), _port("/dev/ttyUSB2")]
    world.chips = dict.fromkeys(("/dev/ttyUSB1", "/dev/ttyUSB2"), (GEOMETRY, 3000000))
    with pytest.raises(ConfigError, match="several chips answer, at /dev/ttyUSB1, /dev/ttyUSB2; name the port"):
        ports.find_port([3_000_000], GEOMETRY)


def test_a_chip_is_opened_at_the_rate_at_which_it_answers(world: _World) -> None:
    world.chips["/dev/ttyUSB1"] = (GEOMETRY, 3_000_000)
    ports.open_bus("/dev/ttyUSB1", [12_000_000, 3_000_000, 1_000_000])
    assert world.asked == [("/dev/ttyUSB1", 12_000_000), ("/dev/ttyUSB1", 3_000_000)]
    with pytest.raises(LinkError, match="/dev/ttyUSB2 did not answer"):
        ports.open_bus("/dev/ttyUSB2", [12_000_000, 3_000_000])
