"""Frames of the host link: how register and memory accesses travel over a byte stream such as a serial port.

A frame is a sequence of bytes closed by a CRC-32 and delimited as in SLIP (RFC 1055): the byte ``0xC0`` stands between frames, and
``0xDB 0xDC`` / ``0xDB 0xDD`` stand for ``0xC0`` / ``0xDB`` inside one. All numbers are little endian.

Request::

    byte 0      sequence number
    byte 1      operation (``Operation``)
    bytes 2-3   words to read or write, 0 to ``MAX_WORDS``
    bytes 4-7   address (``HELLO``: any number, which comes back in the answer)
    bytes 8-    the words to write, 4 bytes each
    last 4      CRC-32 (IEEE 802.3, as ``zlib.crc32``) of all bytes before

Response::

    byte 0      sequence number of the request
    bytes 1-    the words read, 4 bytes each
    next 2      words read or written before the request ended
    next 1      ``spikeloom.arch.registers.Status``
    last 4      CRC-32

The device executes a request if its CRC is right and its sequence number is the next one. An earlier number is a repetition: a write is
acknowledged and not executed again, a read is done again, for reading changes nothing. After a request that fails the device executes none
until ``HELLO``, which is accepted with any number and sets the sequence. So a host may send requests without waiting for answers, and
send again what it hears nothing of; no write is ever executed twice, nor out of order.
"""

from __future__ import annotations

import enum
import zlib
from dataclasses import dataclass

import sliplib

from spikeloom.arch.errors import LinkError
from spikeloom.arch.registers import Status

#: Words that one request may read or write.
MAX_WORDS = 60
HEADER_BYTES = 8
#: Bytes of a response besides its words and its CRC.
RESPONSE_BYTES = 4
CRC_BYTES = 4
#: Bytes of frames, each with a byte for its length, that the device takes in before it executes them.
RING_BYTES = 512
#: Numbers before the next one that count as repetitions.
REPEAT_WINDOW = 128

SLIP_END = 0xC0
SLIP_ESCAPE = 0xDB
SLIP_ESCAPED_END = 0xDC
SLIP_ESCAPED_ESCAPE = 0xDD


class Operation(enum.IntEnum):
    """What a request asks for. Never renumber; new operations take new numbers."""

    #: Set the sequence; the answer holds the number sent, ``IDENT`` and ``PROTOCOL_VERSION``.
    HELLO = 0
    #: Read consecutive addresses.
    READ = 1
    #: Write consecutive addresses.
    WRITE = 2
    #: Read one address again and again.
    READ_SAME = 3
    #: Write one address again and again.
    WRITE_SAME = 4
    #: Reset the chip, not the link. Its memories keep their contents.
    RESET = 5


@dataclass(frozen=True, slots=True)
class Request:
    """A request frame, decoded."""

    sequence: int
    operation: int
    address: int
    count: int
    data: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """Bytes on the line, delimiters included."""
        body = bytes((self.sequence, self.operation)) + self.count.to_bytes(2, "little")
        body += self.address.to_bytes(4, "little") + b"".join(word.to_bytes(4, "little") for word in self.data)
        return seal(body)


@dataclass(frozen=True, slots=True)
class Response:
    """A response frame, decoded."""

    sequence: int
    status: Status
    count: int
    data: tuple[int, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> Response:
        """Decode a checked frame body (:func:`unseal`).

        Raises
        ------
        LinkError
            If the body is too short, not whole words, or has an unknown status.
        """
        if len(body) < RESPONSE_BYTES or len(body) % 4:
            raise LinkError(f"the board sent a response of {len(body)} bytes; expected 4 or more, whole words")
        words = [int.from_bytes(body[i : i + 4], "little") for i in range(1, len(body) - 3, 4)]
        try:
            status = Status(body[-1])
        except ValueError as error:
            raise LinkError(f"the board answered with the unknown status {body[-1]}") from error
        return cls(body[0], status, int.from_bytes(body[-3:-1], "little"), tuple(words))

    def encode(self) -> bytes:
        """Bytes on the line, delimiters included."""
        words = b"".join(word.to_bytes(4, "little") for word in self.data)
        return seal(bytes((self.sequence,)) + words + self.count.to_bytes(2, "little") + bytes((self.status,)))


def seal(body: bytes) -> bytes:
    """Append the CRC and delimit: the bytes that go on the line, with an END on both sides."""
    end = bytes((SLIP_END,))
    escaped: bytes = sliplib.encode(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little"))
    return end + escaped + end


def unseal(frame: bytes) -> bytes | None:
    """Body of one received frame (between delimiters, still escaped), or ``None`` if it is damaged."""
    try:
        raw: bytes = sliplib.decode(frame)
    except sliplib.ProtocolError:
        return None
    if len(raw) < CRC_BYTES or zlib.crc32(raw[:-CRC_BYTES]).to_bytes(CRC_BYTES, "little") != raw[-CRC_BYTES:]:
        return None
    return raw[:-CRC_BYTES]
