"""A bus over a stream of bytes, with the frames of ``spikeloom.arch.frame``. Described in ``docs/driver.md``."""

from __future__ import annotations

import secrets
import time
from collections import deque

import numpy as np

from spikeloom.arch.config import MAX_DELAY
from spikeloom.arch.errors import ImageError, LinkError
from spikeloom.arch.frame import MAX_WORDS, SLIP_END, Operation, Request, Response, unseal
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Status
from spikeloom.host.bus import Bus, WordsArray
from spikeloom.host.stream import ByteStream

#: Seconds without a sound response after which a request is sent again.
TIMEOUT = 0.3
#: Times a request is sent before the chip counts as gone.
ATTEMPTS = 20
#: Times a request is repeated, under new numbers, while the chip says that it is busy.
BUSY_ATTEMPTS = 200
_END = bytes((SLIP_END,))


class FramedBus(Bus):
    """Requests and responses, one at a time; what is lost or damaged on the way is sent again.

    Parameters
    ----------
    stream : ByteStream
        Way to the chip's link. The bus closes it.
    timeout : float
        Seconds without a sound response after which a request is sent again.
    attempts : int
        Times a request is sent before the chip counts as gone.

    Attributes
    ----------
    repeats : int
        Requests that had to be sent again.

    Raises
    ------
    LinkError
        If nothing answers, or something that is not a spikeloom chip.
    ImageError
        If the chip speaks another version of the protocol.
    """

    #: As far ahead as an event can be sent.
    ticks_at_once = MAX_DELAY

    def __init__(self, stream: ByteStream, *, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> None:
        self.stream, self.timeout, self.attempts = stream, timeout, attempts
        self.repeats = 0
        self._sequence = 0
        self._pending = b""
        self._frames: deque[bytes] = deque()
        try:
            self.hello()
        except BaseException:
            stream.close()
            raise

    def hello(self) -> None:
        """Begin a sequence of requests."""
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

    def request(
        self, operation: int, address: int, count: int, data: tuple[int, ...] = (), sequence: int | None = None
    ) -> Response:
        """Send a request until its response comes.

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
            response = self._response(number, operation, address)
            if response is not None:
                return response
        raise LinkError(
            f"{self.stream.name} did not answer within {self.attempts * self.timeout:.1f} s; is it a spikeloom board, with its bitstream "
            "loaded, and at this speed?"
        )

    def _response(self, number: int, operation: int, address: int) -> Response | None:
        """The response to a request, or None if none comes in time."""
        end = time.monotonic() + self.timeout
        while True:
            while self._frames:
                body = unseal(self._frames.popleft())
                # Damaged ones are as good as lost; late answers to earlier copies of a request have its number or an older one.
                if body is None or len(body) < 4 or body[0] != number:
                    continue
                response = Response.decode(body)
                if operation != Operation.HELLO or response.data[:1] == (address,):
                    return response
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._take(self.stream.receive(left))

    def _take(self, data: bytes) -> None:
        *frames, self._pending = (self._pending + data).split(_END)
        self._frames.extend(frame for frame in frames if frame)

    def _done(self, operation: Operation, address: int, count: int, data: tuple[int, ...] = ()) -> Response:
        """A request that must succeed."""
        for _ in range(BUSY_ATTEMPTS):
            response = self.request(operation, address, count, data)
            if response.status == Status.OK and response.count == count:
                return response
            if response.status != Status.BUSY or response.count:
                break
        if response.status == Status.BAD_SEQUENCE:
            raise LinkError(
                f"{self.stream.name} lost track of the requests: it was reset or switched off, or another program talks to it; open it again"
            )
        raise LinkError(
            f"{self.stream.name}: {operation.name} at {address:#010x} ended with {response.status.name} after {response.count} of {count} words"
        )

    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """See :meth:`Bus.read`."""
        operation = Operation.READ_SAME if same else Operation.READ
        words: list[int] = []
        for start in range(0, count, MAX_WORDS):
            part = min(MAX_WORDS, count - start)
            words += self._done(operation, address + (0 if same else start), part).data
        return np.array(words, np.uint32)

    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """See :meth:`Bus.write`."""
        operation = Operation.WRITE_SAME if same else Operation.WRITE
        values = [int(word) & ((1 << BUS_WORD_BITS) - 1) for word in words]
        for start in range(0, len(values), MAX_WORDS):
            part = tuple(values[start : start + MAX_WORDS])
            self._done(operation, address + (0 if same else start), len(part), part)

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()
