"""The driver's requests over streams that lose, damage, double and delay bytes, and to a chip whose link is full or busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from spikeloom.arch.errors import ImageError, LinkError
from spikeloom.arch.frame import MAX_WORDS, RING_BYTES, SLIP_END, Operation, Request, Response, unseal
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Address, Status
from spikeloom.host.bus import Access, Interrupted, WordsArray
from spikeloom.host.framed_bus import ATTEMPTS, BUSY_ATTEMPTS, MOST_WINDOW, FramedBus
from spikeloom.host.stream import ByteStream
from spikeloom.sim.faults import FaultyLine, simulated_time

#: Nothing is at this address.
NOWHERE = 0xBAD_0000
_END = bytes((SLIP_END,))


class Device(ByteStream):
    """Answers as ``hdl/link.py`` does, from a few words of memory; it executes one request each time somebody listens.

    Parameters
    ----------
    ident, version : int
        What it answers to ``HELLO``.
    ring : int
        Bytes of frames that it takes in before it executes them. The real one executes while more comes.

    Attributes
    ----------
    executed : list of (int, int)
        Every word that was written: address and value.
    dropped : int
        Frames thrown away since they were damaged, or the ring was full.
    busy : list of int
        Of each request to come: words after which the chip is busy, or -1.
    lost_requests, lost_responses : set of int
        Numbers, from the first frame on, of sound frames that get lost on the way.
    """

    name = "the device"
    cycles = 0

    def __init__(self, ident: int = IDENT, version: int = PROTOCOL_VERSION, ring: int = 1 << 20) -> None:
        self.ident, self.version, self.ring = ident, version, ring
        self.memory: dict[int, int] = {}
        self.executed: list[tuple[int, int]] = []
        self.dropped = 0
        self.busy: list[int] = []
        self.lost_requests: set[int] = set()
        self.lost_responses: set[int] = set()
        self.silent = self.closed = False
        self.most_waiting = 0
        self._requests = self._responses = 0
        self._line = b""
        self._ring: deque[bytes] = deque()
        self.reset()

    def reset(self) -> None:
        """Switch it off and on again."""
        self._begun, self._expected = False, 0
        self._failed: tuple[Status, int] | None = None

    def send(self, data: bytes) -> None:
        *frames, self._line = (self._line + data).split(_END)
        for frame in filter(None, frames):
            body = unseal(frame)
            # Each frame with its length and CRC; one place stays free.
            room = self.ring - 1 - sum(len(waiting) + 5 for waiting in self._ring)
            if body is None or len(body) + 5 > room or self.silent:
                self.dropped += 1
                continue
            if self._requests not in self.lost_requests:
                self._ring.append(body)
                self.most_waiting = max(self.most_waiting, len(self._ring))
            self._requests += 1

    def receive(self, seconds: float) -> bytes:
        while self._ring:
            answer = self._answer(self._ring.popleft()).encode()
            self._responses += 1
            if self._responses - 1 not in self.lost_responses:
                return answer
        return b""

    def close(self) -> None:
        self.closed = True

    def _answer(self, body: bytes) -> Response:
        sequence, operation = body[0], body[1]
        count, address = int.from_bytes(body[2:4], "little"), int.from_bytes(body[4:8], "little")
        words = [int.from_bytes(body[at : at + 4], "little") for at in range(8, len(body), 4)]
        if operation == Operation.HELLO:
            self._begun, self._expected, self._failed = True, (sequence + 1) % 256, None
            return Response(sequence, Status.OK, 3, (address, self.ident, self.version))
        age = (self._expected - sequence) % 256
        again = self._begun and 0 < age <= 128
        if again and self._failed and age == 1:
            return Response(sequence, *self._failed)
        if again and operation in (Operation.WRITE, Operation.WRITE_SAME):
            return Response(sequence, Status.OK, count)
        if not again and not (self._begun and age == 0):
            return Response(sequence, Status.BAD_SEQUENCE, 0)
        if not again and self._failed:
            return Response(sequence, Status.STOPPED, 0)
        status, done, data = self._execute(operation, address, count, words)
        if not again:
            self._expected = (self._expected + 1) % 256
            self._failed = (status, done) if status else None
        return Response(sequence, status, done, data)

    def _execute(self, operation: int, address: int, count: int, words: list[int]) -> tuple[Status, int, tuple[int, ...]]:
        busy_after = self.busy.pop(0) if self.busy else -1
        data: list[int] = []
        for number in range(count):
            place = address + (0 if operation in (Operation.READ_SAME, Operation.WRITE_SAME) else number)
            if number == busy_after or place == NOWHERE:
                return Status.BAD_ADDRESS if place == NOWHERE else Status.BUSY, number, tuple(data)
            if operation in (Operation.READ, Operation.READ_SAME):
                data.append(self.memory.get(place, 0))
            else:
                self.executed.append((place, words[number]))
                self.memory[place] = words[number]
        return Status.OK, count, tuple(data)


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def bus(device: Device) -> Iterator[FramedBus]:
    """A bus to the device; time passes only where the driver waits."""
    line = FaultyLine(device, 0, 0.0)
    with simulated_time(line, 0):
        yield FramedBus(line)


def words(*values: int) -> WordsArray:
    return np.array(values, np.uint32)


def test_what_is_written_is_read(device: Device, bus: FramedBus) -> None:
    values = np.arange(200, dtype=np.uint32) * 0xC0DB
    bus.write(1000, values)
    assert (bus.read(1000, 200) == values).all()
    assert bus.repeats == device.dropped == 0


def test_one_address_is_written_and_read_again_and_again(device: Device, bus: FramedBus) -> None:
    values = np.arange(MAX_WORDS + 1, dtype=np.uint32)
    bus.write(7, values, same=True)
    assert device.executed == [(7, value) for value in range(MAX_WORDS + 1)]
    assert bus.read(7, 70, same=True).tolist() == [MAX_WORDS] * 70


def test_requests_are_under_way_together(device: Device, bus: FramedBus) -> None:
    reads = [Access(address, count=1) for address in range(20)]
    assert [len(result) for result in bus.transact(reads)] == [1] * 20
    assert device.most_waiting == 20


def test_sequence_numbers_wrap(device: Device, bus: FramedBus) -> None:
    list(bus.transact(Access(number, words(number)) for number in range(1000)))
    assert device.executed == [(number, number) for number in range(1000)]
    assert bus.repeats == device.dropped == 0


def test_more_than_the_ring_holds_is_dropped_and_sent_again(device: Device, bus: FramedBus) -> None:
    """The device takes in nothing while it executes, so a window larger than its ring costs frames, and nothing else."""
    device.ring, bus.window = RING_BYTES, MOST_WINDOW
    values = np.random.default_rng(1).integers(0, 1 << 32, 3000, np.uint32)
    bus.write(0, values)
    assert device.dropped > 10
    assert device.executed == list(enumerate(values.tolist()))
    assert (bus.read(0, 3000) == values).all()


# Faults ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_nor_done_twice_on_a_line_with_many_faults(seed: int) -> None:
    """One byte in 250 is hit each way, so most long frames arrive damaged at some time."""
    device = Device()
    line = FaultyLine(device, seed)
    rng = np.random.default_rng(seed)
    expected: list[tuple[int, int]] = []
    memory: dict[int, int] = {}
    with simulated_time(line, seed):
        bus = FramedBus(line, attempts=200)
        for _ in range(100):
            accesses, results = [], []
            for number in range(int(rng.integers(1, 30))):
                count = int(rng.integers(1, 100))
                # What is read is never written in the same go.
                address = int(rng.integers(20)) * 200 + 100 * (number % 2)
                if number % 2:
                    accesses.append(Access(address, count=count))
                    results.append([memory.get(address + k, 0) for k in range(count)])
                else:
                    values = rng.integers(0, 1 << 32, count, np.uint32)
                    accesses.append(Access(address, values))
                    results.append([])
                    expected += [(address + k, int(value)) for k, value in enumerate(values)]
            assert [result.tolist() for result in bus.transact(accesses)] == results
            memory = dict(expected)
            # The other half of the addresses is written now and then.
            values = rng.integers(0, 1 << 32, 100, np.uint32)
            address = int(rng.integers(20)) * 200 + 100
            bus.write(address, values)
            expected += [(address + k, int(value)) for k, value in enumerate(values)]
            memory = dict(expected)
    assert device.executed == expected
    assert min((line.there.faults + line.back.faults).values()) > 100
    assert bus.repeats > 200


#: Frames of :func:`mixed`, HELLO included.
FRAMES = 12


def mixed() -> tuple[list[Access], list[list[int]], list[tuple[int, int]]]:
    """Accesses that overwrite nothing they read, what they give, and the words they write."""
    many = np.arange(150, dtype=np.uint32)
    accesses = [
        Access(500, words(1)), Access(1000, many), Access(500, count=1), Access(1000, count=150), Access(2000, words(2, 3), same=True),
        Access(9, count=70, same=True),
    ]  # fmt: skip
    written = [(500, 1), *((1000 + k, k) for k in range(150)), (2000, 2), (2000, 3)]
    return accesses, [[], [], [1], many.tolist(), [], [0] * 70], written


@pytest.mark.parametrize("request_", [None, *range(1, FRAMES)])
@pytest.mark.parametrize("response", [None, *range(1, FRAMES)])
def test_any_request_and_any_response_may_be_lost(
    device: Device, bus: FramedBus, request_: int | None, response: int | None
) -> None:
    device.lost_requests = {request_} - {None}
    device.lost_responses = {response} - {None}
    accesses, results, written = mixed()
    assert [result.tolist() for result in bus.transact(accesses)] == results
    assert device.executed == written
    assert (bus.repeats > 0) == (request_ is not None or response is not None)


def samples(bus: FramedBus, count: int) -> int:
    """Do as ``BusChip`` does with samples: write, read, and begin again with the next one. Returns how often one was interrupted."""
    done, end, interrupted = 0, count, 0
    while done < count:
        accesses = []
        for number in range(done, end):
            accesses += [Access(10, words(number + 1), overwrites=True), Access(1000, np.full(80, number, np.uint32))]
            accesses += [Access(10, count=1), Access(1000, count=80)]
        read: list[list[int]] = []
        try:
            for result in bus.transact(accesses):
                if len(result):
                    read.append(result.tolist())
                if len(read) == 2:
                    assert read == [[done + 1], [done] * 80]
                    read, done = [], done + 1
            end = count
        except Interrupted:
            interrupted += 1
            end = done + 1
    return interrupted


@pytest.mark.parametrize("lost", range(1, 25))
@pytest.mark.parametrize("way", ["lost_requests", "lost_responses"])
def test_results_that_are_overwritten_before_they_came_are_asked_for_anew(
    device: Device, bus: FramedBus, way: str, lost: int
) -> None:
    """Four samples of six frames, of which one is lost. Frame 0 is HELLO."""
    getattr(device, way).add(lost)
    interrupted = samples(bus, 4)
    # The last sample has no other behind it.
    assert interrupted == 0 or lost <= 18
    # A lost answer to a read is told from a lost write by what follows it.
    if way == "lost_responses" and lost % 6 in (4, 5, 0) and lost <= 18:
        assert interrupted == 1


def test_samples_over_a_line_with_faults_keep_their_results() -> None:
    device = Device()
    line = FaultyLine(device, 5)
    with simulated_time(line, 5):
        bus = FramedBus(line, attempts=200)
        interrupted = sum(samples(bus, 30) for _ in range(10))
    assert interrupted > 50


def test_a_board_that_was_reset_is_not_taken_for_one_with_results_that_were_overwritten() -> None:
    """Its memories are empty, so results must not be asked for anew."""
    for reset_after in range(1, 24):
        device = Device()
        line = FaultyLine(device, 0, 0.0)
        with simulated_time(line, 0):
            bus = FramedBus(line)
            answer, left = device._answer, reset_after

            def answer_or_reset(body: bytes, device: Device = device, answer=answer) -> Response:
                nonlocal left
                left -= 1
                if left == 0:
                    device.reset()
                    device.memory.clear()
                    device._ring.clear()
                    body = Request(99, Operation.READ, 0, 0).encode()[1:-5]
                return answer(body)

            device._answer = answer_or_reset
            with pytest.raises(LinkError, match=r"the faulty line lost track of the requests: it was reset or switched off"):
                samples(bus, 4)


def test_a_reset_board_is_noticed_and_nothing_is_done_again(device: Device, bus: FramedBus) -> None:
    bus.write(5, words(1))
    device.reset()
    message = (
        "^the faulty line lost track of the requests: it was reset or switched off, or another program talks to it; open it again$"
    )
    # As often as one tries.
    for _ in range(2):
        with pytest.raises(LinkError, match=message):
            bus.write(6, words(1))
    assert device.memory == {5: 1}
    again = FramedBus(bus.stream)
    again.write(6, words(2))
    assert device.memory == {5: 1, 6: 2}


# Busy ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("done", range(5))
@pytest.mark.parametrize("same", [False, True])
def test_a_write_that_met_a_busy_chip_goes_on_where_it_stopped(device: Device, bus: FramedBus, done: int, same: bool) -> None:
    device.busy = [-1, done, 0, 0]
    accesses = [Access(5, words(7)), Access(20, words(1, 2, 3, 4, 5), same=same), Access(30, words(8, 9)), Access(5, count=1)]
    assert [result.tolist() for result in bus.transact(accesses)] == [[], [], [], [7]]
    places = [20] * 5 if same else range(20, 25)
    assert device.executed == [(5, 7), *zip(places, range(1, 6), strict=True), (30, 8), (30 + 1, 9)]


@pytest.mark.parametrize("lost", range(1, 12))
def test_the_answer_busy_may_be_lost(device: Device, bus: FramedBus, lost: int) -> None:
    device.busy, device.lost_responses = [-1, 2], {lost}
    accesses = [Access(5, words(7)), Access(20, words(1, 2, 3), same=True), Access(30, words(8)), Access(20, count=1)]
    assert [result.tolist() for result in bus.transact(accesses)] == [[], [], [], [3]]
    assert device.executed == [(5, 7), (20, 1), (20, 2), (20, 3), (30, 8)]


def test_a_read_that_met_a_busy_chip_is_asked_again_from_its_beginning(device: Device, bus: FramedBus) -> None:
    device.memory = {k: k for k in range(10)}
    device.busy = [4, 0, 2]
    assert bus.read(0, 10).tolist() == list(range(10))


def test_a_chip_that_stays_busy_is_given_up(device: Device, bus: FramedBus) -> None:
    device.busy = [0] * (BUSY_ATTEMPTS + 1)
    with pytest.raises(LinkError, match=r"^the faulty line: the chip stays busy; is a neighbouring chip missing\?$"):
        bus.read(3, 1)
    assert bus.read(Address.IDENT, 1).tolist() == [0]


# Errors ----------------------------------------------------------------------------------------------------------------------


def test_nothing_after_a_request_that_failed_is_executed(device: Device, bus: FramedBus) -> None:
    accesses = [Access(5, words(7)), Access(NOWHERE - 1, words(1, 2)), Access(6, words(8))]
    with pytest.raises(LinkError, match=r"^the faulty line: WRITE at 0x0bacffff ended with BAD_ADDRESS after 1 of 2 words$"):
        list(bus.transact(accesses))
    assert device.executed == [(5, 7), (NOWHERE - 1, 1)]
    # Others are.
    bus.write(6, words(9))
    assert device.executed[-1] == (6, 9)


@pytest.mark.parametrize("taken", range(1, 6))
@pytest.mark.parametrize("lost", [None, 4])
def test_requests_that_were_broken_off_are_completed_before_others(
    device: Device, bus: FramedBus, taken: int, lost: int | None
) -> None:
    """As by an error in what looks at the results, or Ctrl-C."""
    device.memory[100] = 55
    device.lost_requests = {lost} - {None}
    requests = bus.transact([Access(1, words(1)), *(Access(address, count=1) for address in range(2, 7))])
    for _ in range(taken):
        next(requests)
    assert bus.read(100, 1).tolist() == [55]
    bus.write(100, words(6))
    assert device.executed == [(1, 1), (100, 6)]


def test_silence_ends_with_an_error_after_all_attempts(device: Device, bus: FramedBus) -> None:
    device.silent = True
    with pytest.raises(
        LinkError, match=r"the faulty line did not answer within 6\.0 s; is it a spikeloom board, with its bitstream loaded"
    ):
        bus.read(Address.IDENT, 1)
    assert bus.repeats == ATTEMPTS - 1


def test_a_line_that_was_cut_for_a_while_does_no_harm(device: Device, bus: FramedBus) -> None:
    bus.stream.cut(0.0, 4.0)
    bus.write(5, words(1))
    assert device.executed == [(5, 1)]
    assert bus.repeats == 14


def test_silence_that_ends_later_leaves_a_bus_that_works(device: Device, bus: FramedBus) -> None:
    device.silent = True
    with pytest.raises(LinkError, match="did not answer"):
        bus.write(5, words(1))
    device.silent = False
    bus.write(6, words(2))
    # Nobody knows whether the first one was executed, so it is completed.
    assert device.executed == [(5, 1), (6, 2)]


def test_a_stranger_is_told_from_a_chip_and_the_stream_is_closed() -> None:
    device = Device(ident=0x12345678)
    with pytest.raises(LinkError, match="the device is no spikeloom chip: it answers HELLO with"):
        FramedBus(device)
    assert device.closed


def test_another_protocol_is_refused() -> None:
    major = PROTOCOL_VERSION >> 16
    with pytest.raises(ImageError, match=rf"the device speaks protocol 99\.1, this driver {major}\.0; build the bitstream again"):
        FramedBus(Device(version=99 << 16 | 1))


def test_answers_to_an_earlier_program_are_not_taken(device: Device, bus: FramedBus) -> None:
    """It was killed with requests under way, and in the middle of a frame."""
    for number in range(20):
        bus.stream.send(Request((bus._sequence + number) % 256, Operation.READ, 100 + number, 1).encode())
    bus.stream.send(b"\x07\x02\x01")
    device.memory = {300 + k: k for k in range(100)}
    assert (FramedBus(bus.stream).read(300, 100) == np.arange(100)).all()
