"""A bus over a stream of bytes, with the frames of ``spikeloom.arch.frame``. Described in ``docs/driver.md``."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spikeloom.arch.config import MAX_DELAY
from spikeloom.arch.errors import ImageError, LinkError
from spikeloom.arch.frame import MAX_WORDS, RESPONSE_BYTES, RING_BYTES, SLIP_END, Operation, Request, Response, unseal
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Address, Status
from spikeloom.host.bus import Access, Bus, Interrupted, WordsArray
from spikeloom.host.stream import ByteStream

#: Seconds without a sound response after which requests are sent again.
TIMEOUT = 0.3
#: Times a request is sent before the chip counts as gone.
ATTEMPTS = 20
#: Times a request is asked again, each time after the chip itself has tried for ``WAIT_CYCLES``, while the chip says that it is busy.
BUSY_ATTEMPTS = 300
#: Bytes of requests under way beyond which no more are sent at first; the chip's link holds these and the frame that passes them, mostly.
LEAST_WINDOW = RING_BYTES
#: Most bytes under way; the link executes meanwhile.
MOST_WINDOW = 4096
#: Requests under way. Sequence numbers must tell them from those before.
MOST_REQUESTS = 64
_END = bytes((SLIP_END,))


@dataclass(slots=True)
class _Sent:
    """A request under way."""

    request: Request
    line: bytes
    #: Whether it is the last part of its access.
    ends: bool
    #: Whether it changes what was read before it.
    overwrites: bool
    #: Nobody waits for what it reads any more.
    forgotten: bool = False


class FramedBus(Bus):
    """Requests and responses, several under way at a time; what is lost or damaged on the way is sent again.

    Parameters
    ----------
    stream : ByteStream
        Way to the chip's link. The bus closes it.
    timeout : float
        Seconds without a sound response after which requests are sent again.
    attempts : int
        Times a request is sent before the chip counts as gone.

    Attributes
    ----------
    repeats : int
        Times that requests had to be sent again.
    window : int
        Bytes of requests that may be under way. It is halved when something is lost, and then grows by a byte per request; before the first
        loss, by the length of each request.

    Raises
    ------
    LinkError
        If nothing answers, or something that is not a spikeloom chip.
    ImageError
        If the chip speaks another version of the protocol.
    """

    #: As far ahead as an event can be sent.
    ticks_at_once = MAX_DELAY
    pipelined = True

    def __init__(self, stream: ByteStream, *, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> None:
        self.stream, self.timeout, self.attempts = stream, timeout, attempts
        self.repeats = 0
        self.window = LEAST_WINDOW
        # Most that has not led to a loss lately.
        self._most = MOST_WINDOW
        self._sequence = 0
        self._pending = b""
        self._frames: deque[bytes] = deque()
        #: Sent and not answered; what is left of requests that were broken off is completed, and its results are dropped.
        self._under_way: deque[_Sent] = deque()
        try:
            self.hello()
        except BaseException:
            stream.close()
            raise

    def hello(self) -> None:
        """Begin a sequence of requests.

        It succeeds also with a chip that has been reset meanwhile, so it is no way to go on when an answer is missing.
        """
        # Whatever came before ends here, also half a frame of somebody else.
        self.stream.send(_END)
        number, sequence = secrets.randbits(BUS_WORD_BITS), secrets.randbits(8)
        response = self.request(Operation.HELLO, number, 0, sequence=sequence)
        if response.data[:2] != (number, IDENT):
            raise LinkError(f"{self.stream.name} is no spikeloom chip: it answers HELLO with {response.data}")
        version = response.data[2] if len(response.data) > 2 else 0
        if version >> 16 != PROTOCOL_VERSION >> 16:
            raise ImageError(
                f"{self.stream.name} speaks protocol {version >> 16}.{version & 0xFFFF}, this driver {PROTOCOL_VERSION >> 16}."
                f"{PROTOCOL_VERSION & 0xFFFF}; build the bitstream again with this version"
            )

    def reset(self) -> None:
        """See :meth:`Bus.reset`. A tick that never ends is given up."""
        self._under_way.clear()
        self.hello()
        response = self.request(Operation.RESET, 0, 0)
        if response.status != Status.OK:
            raise LinkError(f"{self.stream.name}: RESET ended with {response.status.name}")
        self.settle()

    def request(
        self, operation: int, address: int, count: int, data: tuple[int, ...] = (), sequence: int | None = None
    ) -> Response:
        """Send one request until its response comes.

        Parameters
        ----------
        operation : Operation
        address, count : int
            First address, and words to read or write.
        data : tuple of int
            Words to write.
        sequence : int
            Number of the request instead of the next one.

        Raises
        ------
        LinkError
            If no sound response comes.
        """
        number = self._sequence if sequence is None else sequence
        self._sequence = (number + 1) % 256
        frame = Request(number, operation, address, count, data).encode()
        for attempt in range(self.attempts):
            self.repeats += attempt > 0
            self.stream.send(frame)
            end = time.monotonic() + self.timeout
            while (response := self._response(end)) is not None:
                # Late answers to earlier requests have another number.
                if response.sequence == number and (operation != Operation.HELLO or response.data[:1] == (address,)):
                    return response
        raise self._silent()

    def _silent(self) -> LinkError:
        return LinkError(
            f"{self.stream.name} did not answer within {self.attempts * self.timeout:.1f} s; is it a spikeloom board, with its bitstream "
            "loaded, and at this speed?"
        )

    def _response(self, end: float) -> Response | None:
        """The next sound response, or None if none comes in time."""
        while True:
            while self._frames:
                body = unseal(self._frames.popleft())
                # Damaged ones are as good as lost.
                if body is not None and len(body) >= RESPONSE_BYTES:
                    return Response.decode(body)
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._take(self.stream.receive(left))

    def _take(self, data: bytes) -> None:
        *frames, self._pending = (self._pending + data).split(_END)
        self._frames.extend(frame for frame in frames if frame)

    # Pipelining ------------------------------------------------------------------------------------------------------------

    def transact(self, accesses: Iterable[Access]) -> Iterator[WordsArray]:
        """See :meth:`Bus.transact`.

        The responses come in the order of the requests. If one is missing, what comes after it is not looked at, and everything from it on
        is sent again: the link executes no write twice.

        Raises
        ------
        LinkError
            If the chip does not answer, refuses a request, or stays busy.
        """
        parts = self._requests(accesses)
        under_way = self._under_way
        for sent in under_way:
            sent.forgotten = True
        words: list[int] = []
        in_way = sum(len(sent.line) for sent in under_way)
        busy = attempts = 0
        # Everything under way has been sent again, and nothing has come since.
        sent_again = exhausted = interrupted = False
        end = time.monotonic() + self.timeout
        while True:
            line = b""
            while not exhausted and len(under_way) < MOST_REQUESTS and (in_way < self.window or not under_way):
                part = next(parts, None)
                if part is None:
                    exhausted = True
                    break
                sent = self._number(*part)
                under_way.append(sent)
                in_way += len(sent.line)
                line += sent.line
            if line:
                self.stream.send(line)
                end = time.monotonic() + self.timeout
            if not under_way:
                if interrupted:
                    raise Interrupted
                return
            response = self._response(end)
            first = under_way[0].request
            if response is None or response.sequence != first.sequence:
                # One before it is missing. Others are late answers, or answers to the same requests sent before.
                if response is not None and (sent_again or all(sent.request.sequence != response.sequence for sent in under_way)):
                    continue
                attempts += response is None
                if attempts >= self.attempts:
                    raise self._silent()
                if self._spoilt(under_way):
                    # Nothing new is sent. The rest is completed, which shows that the chip has not been reset meanwhile.
                    interrupted = exhausted = True
                    for sent in under_way:
                        sent.forgotten = True
                self._send_again(under_way)
                sent_again, end = True, time.monotonic() + self.timeout
                continue
            attempts, sent_again, end = 0, False, time.monotonic() + self.timeout
            if response.status == Status.BUSY and busy < BUSY_ATTEMPTS:
                busy += 1
                self._begin_again(under_way, response)
                in_way = sum(len(sent.line) for sent in under_way)
                continue
            if response.status != Status.OK or response.count != first.count:
                raise self._refused(first, response)
            busy = 0
            done = under_way.popleft()
            in_way -= len(done.line)
            self.window = min(self._most, self.window + len(done.line))
            self._most = min(MOST_WINDOW, self._most + 1)
            if done.forgotten:
                continue
            words += response.data
            if done.ends:
                yield np.array(words, np.uint32)
                words = []

    @staticmethod
    def _requests(accesses: Iterable[Access]) -> Iterator[tuple[Operation, int, int, tuple[int, ...], bool, bool]]:
        """Requests of at most ``MAX_WORDS`` words: what :meth:`_number` needs."""
        for access in accesses:
            write = access.words is not None
            values = [] if access.words is None else [int(word) & ((1 << BUS_WORD_BITS) - 1) for word in access.words]
            total = len(values) if write else access.count
            consecutive, same = (Operation.WRITE, Operation.WRITE_SAME) if write else (Operation.READ, Operation.READ_SAME)
            for start in range(0, max(1, total), MAX_WORDS):
                part = tuple(values[start : start + MAX_WORDS])
                count = min(MAX_WORDS, total - start)
                address = access.address + (0 if access.same else start)
                ends = start + MAX_WORDS >= total
                yield same if access.same else consecutive, address, count, part, ends, access.overwrites

    def _number(self, operation: int, address: int, count: int, data: tuple[int, ...], ends: bool, overwrites: bool) -> _Sent:
        request = Request(self._sequence, operation, address, count, data)
        self._sequence = (self._sequence + 1) % 256
        return _Sent(request, request.encode(), ends, overwrites)

    @staticmethod
    def _spoilt(under_way: deque[_Sent]) -> bool:
        """Whether something may have been read, and overwritten since, so that reading it again would give something else."""
        has_read = False
        for sent in under_way:
            if sent.overwrites and has_read:
                return True
            has_read |= not sent.request.data and not sent.forgotten
        return False

    def _send_again(self, under_way: deque[_Sent]) -> None:
        self.repeats += 1
        self.window = self._most = max(LEAST_WINDOW, self.window // 2)
        self.stream.send(_END + b"".join(sent.line for sent in under_way))

    def _begin_again(self, under_way: deque[_Sent], response: Response) -> None:
        """The chip was busy, and has stopped at the first request, of which it may have done a part: send the rest again."""
        self.hello()
        for number, sent in enumerate(under_way):
            old = sent.request
            done = response.count if number == 0 and old.data else 0
            address = old.address + (0 if old.operation == Operation.WRITE_SAME else done)
            anew = self._number(old.operation, address, old.count - done, old.data[done:], sent.ends, sent.overwrites)
            sent.request, sent.line = anew.request, anew.line
        self.stream.send(b"".join(sent.line for sent in under_way))

    def _refused(self, request: Request, response: Response) -> LinkError:
        """What to say of a request that failed. The link is ready for others."""
        lost = response.status in (Status.BAD_SEQUENCE, Status.STOPPED)
        if not lost:
            self._under_way.clear()
            self.hello()
        if lost:
            return LinkError(
                f"{self.stream.name} lost track of the requests: it was reset or switched off, or another program talks to it; "
                "open it again"
            )
        if response.status == Status.BUSY:
            return LinkError(f"{self.stream.name}: the chip stays busy; is a neighbouring chip missing?")
        return LinkError(
            f"{self.stream.name}: {Operation(request.operation).name} at {request.address:#010x} ended with {response.status.name} after "
            f"{response.count} of {request.count} words"
        )

    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """See :meth:`Bus.read`."""
        return next(self.transact([Access(address, count=count, same=same)]))

    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """See :meth:`Bus.write`."""
        for _ in self.transact([Access(address, words, same=same)]):
            pass

    def settle(self) -> None:
        """See :meth:`Bus.settle`. The chip's link waits, not the driver."""
        self.read(Address.SETTLED, 1)

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()
