"""The driver's requests over streams that lose, damage, double and delay bytes."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ImageError, LinkError
from spikeloom.arch.frame import SLIP_END, Operation, Response, seal, unseal
from spikeloom.arch.memory_map import regions
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Address, Status
from spikeloom.host.framed_bus import ATTEMPTS, FramedBus
from spikeloom.host.stream import ByteStream
from spikeloom.sim.compiled_top import CompiledTop

CONFIG = ChipConfig(cores=(CoreConfig(axons=16, neurons=8, weight_bits=4, lanes=4),))


class Device(ByteStream):
    """Answers as ``hdl/link.py`` does, from a few words of memory."""

    name = "the device"

    def __init__(self, ident: int = IDENT, version: int = PROTOCOL_VERSION) -> None:
        self.ident, self.version = ident, version
        self.memory: dict[int, int] = {}
        self.executed: list[tuple[int, int]] = []
        self.busy_for = 0
        self.silent = self.closed = False
        self._line = b""
        self._answers: deque[bytes] = deque()
        self._last: tuple[int, bytes] | None = None

    def send(self, data: bytes) -> None:
        *frames, self._line = (self._line + data).split(bytes((SLIP_END,)))
        for frame in filter(None, frames):
            body = unseal(frame)
            if body is not None and not self.silent:
                self._answers.append(self._answer(body))

    def receive(self, seconds: float) -> bytes:
        return self._answers.popleft() if self._answers else b""

    def close(self) -> None:
        self.closed = True

    def _answer(self, body: bytes) -> bytes:
        sequence, operation = body[0], body[1]
        count, address = int.from_bytes(body[2:4], "little"), int.from_bytes(body[4:8], "little")
        if operation == Operation.HELLO:
            words = [address, self.ident, self.version]
            self._last = (sequence, _sealed(Response(sequence, Status.OK, len(words), tuple(words))))
            return self._last[1]
        if self._last is None or sequence not in (self._last[0], (self._last[0] + 1) % 256):
            return _sealed(Response(sequence, Status.BAD_SEQUENCE, 0))
        if sequence == self._last[0]:
            return self._last[1]
        if self.busy_for:
            self.busy_for -= 1
            response = Response(sequence, Status.BUSY, 0)
        elif operation == Operation.READ:
            response = Response(sequence, Status.OK, count, tuple(self.memory.get(address + k, 0) for k in range(count)))
        else:
            self.executed.append((operation, address))
            for k in range(count):
                self.memory[address + k] = int.from_bytes(body[8 + 4 * k : 12 + 4 * k], "little")
            response = Response(sequence, Status.OK, count)
        self._last = (sequence, _sealed(response))
        return self._last[1]


def _sealed(response: Response) -> bytes:
    body = bytes((response.sequence, response.status)) + response.count.to_bytes(2, "little")
    return seal(body + b"".join(word.to_bytes(4, "little") for word in response.data))


class Faults(ByteStream):
    """Between driver and device: loses, flips, doubles and holds back bytes, each with the same chance, in both directions."""

    name = "the faulty line"

    def __init__(self, inner: ByteStream, chance: float, seed: int) -> None:
        self.inner, self.chance, self.faults = inner, chance, 0
        self._rng = np.random.default_rng(seed)
        self._held = {"in": b"", "out": b""}

    def _disturb(self, data: bytes, way: str) -> bytes:
        result, self._held[way] = bytearray(self._held[way]), b""
        hits = self._rng.random((len(data), 4)) < self.chance
        self.faults += int(hits.sum())
        for number, (byte, (lost, flipped, doubled, late)) in enumerate(zip(data, hits.tolist(), strict=True)):
            if late:
                # From here on everything comes with what is sent next.
                self._held[way] = data[number:]
                break
            if not lost:
                result += bytes((byte ^ 1 << int(self._rng.integers(8)) * flipped if flipped else byte,)) * (1 + doubled)
        return bytes(result)

    def send(self, data: bytes) -> None:
        self.inner.send(self._disturb(data, "out"))

    def receive(self, seconds: float) -> bytes:
        return self._disturb(self.inner.receive(seconds), "in")


def test_what_is_written_is_read() -> None:
    bus = FramedBus(Device())
    words = np.arange(200, dtype=np.uint32) * 0xC0DB
    bus.write(1000, words)
    assert (bus.read(1000, 200) == words).all()
    assert bus.repeats == 0


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_nor_done_twice_on_a_line_with_many_faults(seed: int) -> None:
    """One byte in 250 is hit, so most long frames arrive damaged at some time."""
    device = Device()
    line = Faults(device, 1e-3, seed)
    bus = FramedBus(line, timeout=0.002, attempts=100)
    rng = np.random.default_rng(seed)
    written = {}
    for number in range(1500):
        address, words = 64 * int(rng.integers(1000)), rng.integers(0, 1 << 32, int(rng.integers(1, 60)), np.uint32)
        bus.write(address, words)
        written[address] = words
        assert len(device.executed) == number + 1
        if number % 7 == 0:
            assert (bus.read(address, len(words)) == words).all()
    for address, words in written.items():
        assert [device.memory[address + k] for k in range(len(words))] == words.tolist()
    assert line.faults > 500
    assert bus.repeats > 200


def test_a_simulated_chip_follows_over_a_line_with_faults() -> None:
    """The same with the real link; its counter of damaged frames shows that the faults reached it."""
    top = CompiledTop(CONFIG, divisor=6)
    bus = FramedBus(Faults(top, 2e-3, 1), timeout=0.02, attempts=100)
    region = regions(CONFIG.cores[0])["weights"]
    weights = np.random.default_rng(2).integers(0, 1 << region.layout.bits, region.depth, np.uint32)
    for _ in range(40):
        bus.write(region.address(), weights)
        assert (bus.read(region.address(), len(weights)) == weights).all()
    assert int(bus.read(Address.LINK_ERRORS, 1)[0]) > 3
    top.close()


def test_busy_is_asked_again() -> None:
    device = Device()
    bus = FramedBus(device)
    device.busy_for = 5
    bus.write(5, np.ones(1, np.uint32))
    assert device.memory == {5: 1}


def test_silence_ends_with_an_error_after_all_attempts() -> None:
    device = Device()
    bus = FramedBus(device, timeout=0.001)
    device.silent = True
    with pytest.raises(LinkError, match=r"the device did not answer within .* is it a spikeloom board, with its bitstream loaded"):
        bus.read(Address.IDENT, 1)
    assert bus.repeats == ATTEMPTS - 1


def test_a_stranger_is_told_from_a_chip_and_the_stream_is_closed() -> None:
    device = Device(ident=0x12345678)
    with pytest.raises(LinkError, match="the device is no spikeloom chip: it answers HELLO with"):
        FramedBus(device)
    assert device.closed


def test_another_protocol_is_refused() -> None:
    with pytest.raises(ImageError, match=r"the device speaks protocol 99\.1, this driver 3\.0; build the bitstream again"):
        FramedBus(Device(version=99 << 16 | 1))


def test_a_reset_board_is_noticed_and_nothing_is_done_again() -> None:
    device = Device()
    bus = FramedBus(device)
    bus.write(5, np.ones(1, np.uint32))
    device._last = None
    with pytest.raises(LinkError, match="the device lost track of the requests: it was reset or switched off"):
        bus.write(6, np.ones(1, np.uint32))
    assert device.memory == {5: 1}


def test_an_address_that_does_not_exist_is_named() -> None:
    top = CompiledTop(CONFIG, divisor=6)
    bus = FramedBus(top)
    with pytest.raises(LinkError, match="the simulated board: READ at 0x00000fff ended with BAD_ADDRESS after 0 of 1 words"):
        bus.read(0xFFF, 1)
    top.close()
