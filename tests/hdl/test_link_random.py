"""Long random campaigns on a compiled link, against the program in ``link_model.py``."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spikeloom.arch.frame import (
    HEADER_BYTES,
    MAX_WORDS,
    RING_BYTES,
    SLIP_END,
    SLIP_ESCAPE,
    Operation,
    Request,
    Response,
    seal,
    unseal,
)
from spikeloom.arch.registers import Status
from spikeloom.hdl.link import BYTE_CYCLES, MAX_FRAME, Link
from spikeloom.hdl.verilog import to_verilog
from spikeloom.sim.compiled import compile_library
from tests.hdl.helpers import POISONED
from tests.hdl.link_bench import BAD_AT, content, refuse, values
from tests.hdl.link_model import OPERATIONS, WRITES, Device, decode, sound

HARNESS = Path(__file__).parent / "link_harness.cpp"
#: Addresses of the campaigns: few, so that they meet, and near the one that is refused.
LOWEST, HIGHEST = BAD_AT - 12, BAD_AT + 4
#: Cycles after which every answer must have come, if nothing pauses most of the time.
LONG = 20_000


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    found = ctypes.CDLL(str(compile_library(to_verilog(Link(fabric=POISONED), "link"), "link", HARNESS)))
    found.link_new.restype = ctypes.c_void_p
    found.link_new.argtypes = [ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32]
    found.link_free.argtypes = [ctypes.c_void_p]
    found.link_pauses.argtypes = [ctypes.c_void_p] + [ctypes.c_uint32] * 4
    found.link_send.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_uint32]
    found.link_heard.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]
    found.link_accesses.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32), ctypes.c_uint32]
    for name in ("link_errors", "link_resets"):
        getattr(found, name).argtypes = [ctypes.c_void_p]
    return found


class Compiled:
    """A compiled link with a chip behind it."""

    def __init__(self, library: ctypes.CDLL, seed: int) -> None:
        self.library = library
        self.handle = ctypes.c_void_p(library.link_new(seed + 1, BAD_AT, BYTE_CYCLES))
        self.pending = b""
        self.answers: deque[Response] = deque()

    def pauses(self, gaps: int = 0, line_stalls: int = 0, chip_stalls: int = 0, busy: int = 0) -> None:
        """Chances in percent, per cycle or (the last one) per request to the chip."""
        self.library.link_pauses(self.handle, gaps, line_stalls, chip_stalls, busy)

    def send(self, line: bytes, cycles: int = 0) -> None:
        """Send bytes, wait, and take what comes in the meantime."""
        self.library.link_send(self.handle, line, len(line), cycles)
        buffer = ctypes.create_string_buffer(1 << 16)
        while count := self.library.link_heard(self.handle, buffer, len(buffer)):
            *frames, self.pending = (self.pending + buffer.raw[:count]).split(bytes([SLIP_END]))
            for frame in filter(None, frames):
                body = unseal(frame)
                assert body is not None, frame.hex()
                self.answers.append(Response.decode(body))

    def accesses(self) -> list[tuple[int, Status, int, int]]:
        """(write, status, address, word written) since the last call, without what the chip was busy for."""
        buffer = (ctypes.c_uint32 * 30_000)()
        words: list[int] = []
        while count := self.library.link_accesses(self.handle, buffer, len(buffer)):
            words += buffer[:count]
        return [(a & 1, Status(a >> 1), b, c) for a, b, c in zip(words[::3], words[1::3], words[2::3], strict=True)]

    @property
    def errors(self) -> int:
        return int(self.library.link_errors(self.handle))

    @property
    def resets(self) -> int:
        return int(self.library.link_resets(self.handle))


@pytest.fixture
def compiled(library: ctypes.CDLL, request: pytest.FixtureRequest) -> Iterator[Compiled]:
    seed = getattr(request, "param", 0)
    link = Compiled(library, seed)
    yield link
    library.link_free(link.handle)


# Against the model ----------------------------------------------------------------------------------------------------------


class Host:
    """Draws what a host, a bad line or a broken host may send."""

    def __init__(self, seed: int, device: Device) -> None:
        self.rng, self.device = np.random.default_rng(seed), device
        self.sent: deque[Request] = deque(maxlen=140)

    def _request(self, sequence: int, malformed: float = 0.0) -> Request:
        rng = self.rng
        operation = int(rng.choice([Operation.READ, Operation.WRITE, Operation.READ_SAME, Operation.WRITE_SAME]))
        count = int(rng.choice([0, 1, 2, 3, 7, MAX_WORDS], p=[0.1, 0.35, 0.25, 0.15, 0.12, 0.03]))
        address = int(rng.choice([rng.integers(LOWEST, HIGHEST), 0x100, 0xFFFF_FFFE], p=[0.2, 0.7, 0.1]))
        if rng.random() < 0.03:
            operation, count = Operation.RESET, 0
        data = values(int(rng.integers(1 << 30)), count) if operation in WRITES else ()
        if rng.random() < malformed:
            if rng.random() < 0.5:
                operation = int(rng.integers(6, 256))
            else:
                count += int(rng.choice([1, 64, 128, 256])) if operation in WRITES else 256
        return Request(sequence, operation, address, count, data)

    def _again(self) -> Request | None:
        """A request that was sent before; an old one that was malformed would be nothing to speak of."""
        expected, failed = self.device.expected, self.device.failed
        known = [
            request
            for request in self.sent
            if (
                request.operation in OPERATIONS
                and len(request.data) == request.count * (request.operation in WRITES)
                and request.count <= MAX_WORDS
            )
            or (failed and request.sequence == ((expected or 0) - 1) % 256)
        ]
        return known[int(self.rng.integers(len(known)))] if known else None

    def line(self) -> bytes:
        """One frame, or what should have been one."""
        rng = self.rng
        expected = int(rng.integers(256)) if self.device.expected is None else self.device.expected
        weights = {"new": 0.63, "hello": 0.08, "again": 0.12, "other": 0.04, "ahead": 0.05, "garbage": 0.04, "cut": 0.04}
        kind = rng.choice(list(weights), p=list(weights.values()))
        request = self._request(expected, malformed=0.02)
        if kind == "hello":
            request = Request(int(rng.integers(256)), Operation.HELLO, int(rng.integers(1 << 32)), int(rng.integers(3)))
            self.sent.clear()
        elif kind == "again":
            request = self._again() or request
        elif kind == "other":
            request = self._request((expected - int(rng.integers(1, 140))) % 256)
        elif kind == "ahead":
            request = self._request((expected + int(rng.integers(1, 128))) % 256)
        elif kind == "garbage":
            special = rng.choice([SLIP_END, SLIP_ESCAPE, 0xDC], 40)
            return bytes(np.where(rng.random(40) < 0.1, special, rng.integers(0, 256, 40)).tolist()) + bytes([SLIP_END])
        elif kind == "cut":
            # The next delimiter ends it.
            line = request.encode()
            return line[: int(rng.integers(1, len(line)))]
        else:
            self.sent.append(request)
        line = request.encode()
        if rng.random() < 0.08:
            place, byte = int(rng.integers(len(line))), bytes([int(rng.integers(256))])
            line = line[:place] + [byte, b"", byte + line[place : place + 1]][int(rng.integers(3))] + line[place + 1 :]
        return line


def decode_from(before: bytes, line: bytes) -> tuple[list[bytes], bytes]:
    """Frames still escaped, and what has no delimiter yet."""
    *frames, rest = (before + line).split(bytes([SLIP_END]))
    return frames, rest


@pytest.mark.parametrize("compiled", [1, 2, 3, 4], indirect=True)
def test_random_requests_are_answered_and_executed_as_by_the_model(compiled: Compiled, request: pytest.FixtureRequest) -> None:
    seed = request.node.callspec.params["compiled"]
    device = Device(read=content, refuse=refuse)
    host = Host(seed, device)
    rng = np.random.default_rng([seed, 1])
    #: What must be answered, each with its bytes in the ring; bytes without a delimiter behind them.
    waiting: deque[tuple[int, Response]] = deque()
    unfinished, errors, answered = b"", 0, 0
    statuses = dict.fromkeys(Status, 0)

    def check() -> None:
        nonlocal answered
        while compiled.answers:
            assert waiting, compiled.answers[0]
            _, expected = waiting.popleft()
            assert compiled.answers.popleft() == expected, answered
            statuses[expected.status] += 1
            answered += 1

    for number in range(2500):
        if number % 50 == 0:
            gaps, line, chip, busy = (int(rng.choice([0, 0, 30, 80])) for _ in range(4))
            compiled.pauses(gaps, line, chip, busy)
        line_bytes = host.line()
        frames, unfinished = decode_from(unfinished, line_bytes)
        # Whatever may be a frame needs room before it is known to be none.
        need = sum(len(frame) + 1 for frame in frames) + len(unfinished) + 1
        for _ in range(LONG):
            if not waiting or sum(size for size, _ in waiting) + min(need, MAX_FRAME + 1) <= RING_BYTES:
                break
            compiled.send(b"", 50)
            check()
        else:
            raise AssertionError(f"no answer; {waiting[0]} is due")
        compiled.send(line_bytes, int(rng.choice([0, 0, 10, 400])))
        for frame in frames:
            frame = decode(frame + bytes([SLIP_END]))[0][0]
            if sound(frame):
                waiting.append((len(frame) + 1, device.answer(frame)))
            else:
                errors += frame != b""
        check()
    compiled.pauses()
    compiled.send(bytes([SLIP_END]), LONG)
    errors += bool(decode(unfinished + bytes([SLIP_END]))[0][0])
    check()
    assert not waiting
    assert compiled.errors == errors
    assert compiled.resets == device.resets > 0
    assert [(write, address) for write, _, address, _ in compiled.accesses()] == device.accesses
    assert all(statuses[status] > 2 for status in Status if status != Status.BUSY), statuses


# The ring -------------------------------------------------------------------------------------------------------------------


def _filling(total: int, first: int) -> list[Request]:
    """Writes that take so many bytes of the ring, a byte for the length of each included."""
    frames = 4 + total % 4
    words = (total - 13 * frames) // 4
    counts = [words // frames + (k < words % frames) for k in range(frames)]
    return [Request((first + k) % 256, Operation.WRITE, k << 8, count, values(first + k, count)) for k, count in enumerate(counts)]


def test_the_ring_takes_in_what_it_says_wherever_it_begins_and_counts_what_finds_no_room(compiled: Compiled) -> None:
    compiled.send(Request(0, Operation.HELLO, 0, 0).encode(), 1000)
    sequence = 1
    # 29 rounds of about as many bytes as the ring has, so each begins at another place.
    for total in (*range(RING_BYTES - 14, RING_BYTES + 14), RING_BYTES):
        compiled.answers.clear()
        before = compiled.errors
        requests = _filling(total, sequence)
        # Nothing leaves, so nothing is executed.
        compiled.pauses(line_stalls=100)
        compiled.send(b"".join(request.encode() for request in requests), 20)
        assert compiled.accesses() == []
        dropped = compiled.errors - before
        # Length and header of the first one may have left the ring.
        assert dropped == 0 if total <= RING_BYTES else dropped == 1 if total > RING_BYTES + 1 + HEADER_BYTES else dropped <= 1
        compiled.pauses()
        compiled.send(b"", LONG)
        compiled.send(b"".join(request.encode() for request in requests[len(requests) - dropped :]), LONG)
        assert list(compiled.answers) == [Response(request.sequence, Status.OK, request.count) for request in requests]
        expected = [(1, Status.OK, request.address + k, word) for request in requests for k, word in enumerate(request.data)]
        assert compiled.accesses() == expected
        sequence = (sequence + len(requests)) % 256


@pytest.mark.parametrize("compiled", [1, 2, 3], indirect=True)
def test_a_host_that_sends_too_much_over_a_bad_line_gets_every_write_done_once_and_in_order(
    compiled: Compiled, request: pytest.FixtureRequest
) -> None:
    rng = np.random.default_rng(request.node.callspec.params["compiled"])
    compiled.send(Request(255, Operation.HELLO, 0, 0).encode(), 1000)
    compiled.answers.clear()
    total, done, sent = 600, 0, 0
    requests = []
    for number in range(total):
        if rng.random() < 0.3:
            requests.append(Request(number % 256, Operation.READ, 0x2000 + number, 3))
        else:
            count = int(rng.integers(1, 12))
            requests.append(Request(number % 256, Operation.WRITE_SAME, 0x1000 + number, count, values(number, count)))
    refused = frames = 0
    while done < total:
        compiled.pauses(0, int(rng.choice([0, 50, 97])), int(rng.choice([0, 60])), int(rng.choice([0, 60])))
        # From the first one without an answer on, as many as there may be under way.
        for ahead in requests[done : done + 60]:
            line = ahead.encode()
            if rng.random() < 0.02:
                line = line[:1] + bytes([line[1] ^ 1]) + line[2:]
            compiled.send(line)
            frames += 1
        compiled.pauses()
        compiled.send(b"", LONG)
        while compiled.answers:
            answer = compiled.answers.popleft()
            sent += 1
            expected = requests[done] if done < total else None
            if answer.status == Status.BAD_SEQUENCE:
                refused += 1
            elif expected and answer.sequence == expected.sequence:
                assert (answer.status, answer.count) == (Status.OK, expected.count)
                assert answer.data == (() if expected.data else tuple(content(expected.address + k) for k in range(3)))
                done += 1
    # Every frame was answered or counted, and there were of all kinds.
    assert sent + compiled.errors == frames
    assert refused > 20
    assert compiled.errors > 20
    writes = [access for access in compiled.accesses() if access[0]]
    assert writes == [(1, Status.OK, request.address, word) for request in requests for word in request.data]


def test_frames_of_every_length_and_damage_at_every_place(compiled: Compiled) -> None:
    compiled.send(Request(0, Operation.HELLO, 0, 0).encode(), 1000)
    good = Request(1, Operation.WRITE, 5, 2, (0xAABB_CCDD, 0xC0DB_DCDD)).encode()
    inside = range(1, len(good) - 1)
    lines = [good[:k] + bytes([good[k] ^ 1 << bit]) + good[k + 1 :] for k in inside for bit in range(8)]
    lines += [good[:k] + good[k + 1 :] for k in inside]
    lines += [good[:k] + bytes([byte]) + good[k:] for k in inside for byte in (0, 0x55, SLIP_ESCAPE)]
    lines += [good[:k] + bytes([SLIP_END]) for k in inside]
    # What is too short or too long, with a right CRC; from 256 on the length would begin anew.
    lines += [seal(bytes(length)) for length in (*range(8), *range(MAX_FRAME - 3, 560))]
    errors = 0
    for line in lines:
        frames = decode(line)[0]
        if any(sound(frame) for frame in frames):
            continue
        errors += sum(frame != b"" for frame in frames)
        compiled.send(line, 20)
        assert compiled.errors == errors, line.hex()
    compiled.answers.clear()
    compiled.send(good, LONG)
    assert list(compiled.answers) == [Response(1, Status.OK, 2)]
    assert errors > 400
    assert len(compiled.accesses()) == 2
