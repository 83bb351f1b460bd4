"""Frames of the link between two neighbouring chips of one mesh. The protocol is that of ``docs/chip_link.md``.

A frame has a fixed length: the header, a word, zeros up to whole cells, a CRC, zeros up to whole cells. A cell is what the data pins hold at
one time; bit 0 of a frame travels on pin 0 of the first cell.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spikeloom.arch.layout import Field, WordLayout, ceil_div

#: Bits of a sequence number. A number is also the place of its word in the buffers of both sides.
SEQUENCE_BITS = 4
#: Words that may be under way: sent and not yet acknowledged, or received and not yet taken.
WINDOW = (1 << SEQUENCE_BITS) - 1

#: The polynomial of CRC-16/DNP (DNP3, IEEE 1815): x^16 + x^13 + x^12 + x^11 + x^10 + x^8 + x^6 + x^5 + x^2 + 1, called 0x9EB2 by Koopman
#: and Chakravarty (2004). It finds any 5 wrong bits of up to 151. Here it takes least significant bits first.
CRC_POLYNOMIAL = 0x3D65
CRC_BITS = 16
#: What the CRC begins with. Not 0, or a frame of zeros were good.
CRC_START = 0xFFFF

#: A word is sent again after this many frame times without an acknowledgement.
REPEAT_FRAMES = 8
#: A frame is sent after this many frame times without one.
KEEP_ALIVE_FRAMES = 8
#: The other side counts as gone after this many frame times without a good frame.
SILENT_FRAMES = 63


class Kind(enum.IntEnum):
    """What a frame says. Those with bit 1 set come from a side that is linked."""

    #: I have begun, and have not heard that you have.
    HELLO = 0
    #: I have begun, and I know that you have begun as well.
    ANSWER = 1
    #: Acknowledgement and limit only.
    IDLE = 2
    #: They, and a word.
    WORD = 3


#: Header of a frame. ``sequence``: number of the word; ``expected``: number of the word that the sender of the frame wants next, and so
#: an acknowledgement of all before it; ``limit``: number of the first word for which it has no room yet.
HEADER = WordLayout(
    "chip link header",
    (
        Field("kind", 2),
        Field("sequence", SEQUENCE_BITS),
        Field("expected", SEQUENCE_BITS),
        Field("limit", SEQUENCE_BITS),
    ),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, decoded."""

    kind: Kind
    sequence: int
    expected: int
    limit: int
    word: int


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """Frames for words of ``width`` bits on ``lanes`` pins."""

    width: int
    lanes: int

    @property
    def body_cells(self) -> int:
        """Cells of header and word."""
        return ceil_div(HEADER.bits + self.width, self.lanes)

    @property
    def cells(self) -> int:
        """Cells of a frame."""
        return self.body_cells + ceil_div(CRC_BITS, self.lanes)

    def encode(self, frame: Frame) -> list[int]:
        """Cells of a frame."""
        body, position = 0, 0
        for field in HEADER.fields:
            body |= getattr(frame, field.name) << position
            position += field.bits
        cells = _cells(body | frame.word << position, self.lanes, self.body_cells)
        return cells + _cells(crc(_bits(cells, self.lanes)), self.lanes, self.cells - self.body_cells)

    def decode(self, cells: Sequence[int]) -> Frame | None:
        """The frame, or ``None`` if it is damaged."""
        if len(cells) != self.cells or crc(_bits(cells, self.lanes)) != 0:
            return None
        body = sum(bit << i for i, bit in enumerate(_bits(cells[: self.body_cells], self.lanes)))
        values, position = {}, 0
        for field in HEADER.fields:
            values[field.name] = body >> position & field.high
            position += field.bits
        word = body >> position & ((1 << self.width) - 1)
        return Frame(Kind(values["kind"]), values["sequence"], values["expected"], values["limit"], word)


def crc(bits: Iterable[int], register: int = CRC_START) -> int:
    """Register of the CRC after these bits; 0 after a whole frame."""
    for bit in bits:
        register = _crc_step(register, bit)
    return register


def crc_effects(lanes: int) -> list[int]:
    """How a cell enters the CRC.

    The register after a cell is the register before, shifted right by ``lanes``, xor effect j for each j for which bit j of the register
    before and bit j of the cell differ.
    """
    return [crc([int(i == j) for j in range(lanes)], 0) for i in range(lanes)]


def _crc_step(register: int, bit: int) -> int:
    # Least significant bits first, so the register shifts right and the polynomial is mirrored.
    mirrored = int(f"{CRC_POLYNOMIAL:0{CRC_BITS}b}"[::-1], 2)
    return register >> 1 ^ (mirrored if (register ^ bit) & 1 else 0)


def _cells(number: int, lanes: int, count: int) -> list[int]:
    """The number in cells, least significant bits first."""
    return [number >> (i * lanes) & ((1 << lanes) - 1) for i in range(count)]


def _bits(cells: Iterable[int], lanes: int) -> list[int]:
    """All bits of the cells in order."""
    return [cell >> i & 1 for cell in cells for i in range(lanes)]
