"""The device of ``docs/link.md`` as a program: frames in, answers and accesses out. Written from that page, not from the circuit."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from spikeloom.arch.frame import MAX_WORDS, REPEAT_WINDOW, Operation, Response
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Status

END, ESCAPE = 0xC0, 0xDB
MEANINGS = {0xDC: END, 0xDD: ESCAPE}
#: Bytes of the shortest and of the longest frame.
SHORTEST, LONGEST = 12, 255
OPERATIONS = {int(operation) for operation in Operation}
READS = (Operation.READ, Operation.READ_SAME)
WRITES = (Operation.WRITE, Operation.WRITE_SAME)
SAME = (Operation.READ_SAME, Operation.WRITE_SAME)


def decode(line: bytes) -> tuple[list[bytes], bytes]:
    """Frames between delimiters, and what stands behind the last one. A wrong escape is the byte 0; a delimiter ends a frame anywhere."""
    frames, frame, escaped = [], bytearray(), False
    for byte in line:
        if byte == END:
            frames.append(bytes(frame))
            frame.clear()
            escaped = False
        elif escaped:
            frame.append(MEANINGS.get(byte, 0))
            escaped = False
        elif byte == ESCAPE:
            escaped = True
        else:
            frame.append(byte)
    return frames, bytes(frame)


def sound(frame: bytes) -> bool:
    """Whether a frame is taken in, if there is room."""
    return SHORTEST <= len(frame) <= LONGEST and zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little")


@dataclass
class Device:
    """A link and the chip behind it.

    Attributes
    ----------
    read : function of an address
        What the chip answers to a read that has not been written: a word.
    refuse : function of an address
        The chip's status for it.
    accesses : list of (write, address)
        What the chip carried out or refused.
    resets : int
        Times the chip was reset.
    """

    read: Callable[[int], int]
    refuse: Callable[[int], Status]
    accesses: list[tuple[int, int]] = field(default_factory=list)
    memory: dict[int, int] = field(default_factory=dict)
    resets: int = 0
    expected: int | None = None
    #: Requests executed since HELLO.
    since: int = 0
    failed: tuple[Status, int] | None = None

    def answer(self, frame: bytes) -> Response:
        """Answer to a sound frame."""
        sequence, operation = frame[0], frame[1]
        count, address = int.from_bytes(frame[2:4], "little"), int.from_bytes(frame[4:8], "little")
        data = [int.from_bytes(frame[i : i + 4], "little") for i in range(8, len(frame) - 4, 4)]
        if operation == Operation.HELLO:
            self.expected, self.failed, self.since = (sequence + 1) % 256, None, 0
            return self._execute(frame, sequence, operation, count, address, data)
        age = None if self.expected is None else (self.expected - sequence) % 256
        if age is not None and 1 <= age <= min(self.since, REPEAT_WINDOW):
            if age == 1 and self.failed is not None:
                return Response(sequence, *self.failed)
            if operation in READS:
                stopped = self.failed
                answer = self._execute(frame, sequence, operation, count, address, data)
                self.failed = stopped
                return answer
            return Response(sequence, Status.OK, count)
        if self.failed is not None:
            return Response(sequence, Status.STOPPED, 0)
        if age != 0:
            return Response(sequence, Status.BAD_SEQUENCE, 0)
        self.expected = (sequence + 1) % 256
        self.since += 1
        return self._execute(frame, sequence, operation, count, address, data)

    def _execute(self, frame: bytes, sequence: int, operation: int, count: int, address: int, data: list[int]) -> Response:
        words: list[int] = []
        status, done = Status.OK, 0
        if operation not in OPERATIONS:
            status = Status.BAD_OPERATION
        elif count > MAX_WORDS or len(frame) != SHORTEST + (4 * count if operation in WRITES else 0):
            status = Status.BAD_LENGTH
        elif operation == Operation.HELLO:
            words, done = [address, IDENT, PROTOCOL_VERSION], 3
        elif operation == Operation.RESET:
            self.resets += 1
        else:
            while done < count and status == Status.OK:
                at = (address + (0 if operation in SAME else done)) % 2**32
                status = self.refuse(at)
                self.accesses.append((int(operation in WRITES), at))
                if status == Status.OK:
                    if operation in WRITES:
                        self.memory[at] = data[done]
                    else:
                        words.append(self.memory.get(at, self.read(at)))
                    done += 1
        if status != Status.OK:
            self.failed = status, done
        return Response(sequence, status, done, tuple(words))
