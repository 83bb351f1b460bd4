"""Chip registers: space 0 of the bus, the same over any transport.

Requests are executed one after the other, in the order they come. While the chip is busy (ticks running or state being cleared) a
request marked *idle* is answered with the status ``BUSY`` and does nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from spikeloom.arch.config import ChipConfig

#: Version of the register map and of the frames. A driver refuses a chip with another major number (upper 16 bits).
PROTOCOL_VERSION = 0x0002_0000
#: Contents of ``IDENT``: the letters "LOOM", least significant first.
IDENT = int.from_bytes(b"LOOM", "little")


class Access(enum.Enum):
    """Who may do what with a register."""

    READ = "read"
    WRITE = "write, idle"
    POP = "read takes one entry"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Register:
    """One 32-bit register."""

    address: int
    name: str
    access: Access
    meaning: str


class Status(enum.IntEnum):
    """Answer to a bus request, and status byte of a response frame."""

    OK = 0
    #: The chip is running or clearing; nothing was done. Try again.
    BUSY = 1
    #: No register or memory at this address, or a write to a read-only one; nothing was done.
    BAD_ADDRESS = 2
    #: The operation code of the frame is unknown.
    BAD_OPERATION = 3
    #: The word count of the frame is above the limit or contradicts its length.
    BAD_LENGTH = 4
    #: The sequence number is neither the last one nor the next.
    BAD_SEQUENCE = 5


class Address(enum.IntEnum):
    """Register addresses. Never renumber."""

    IDENT = 0x00
    VERSION = 0x01
    GEOMETRY = 0x02
    STATUS = 0x03
    CLEAR = 0x04
    RUN = 0x05
    EVENT = 0x06
    OUTPUT = 0x07
    TICK = 0x08
    LINK_ERRORS = 0x09
    GEOMETRY_0 = 0x10
    GEOMETRY_1 = 0x11
    GEOMETRY_2 = 0x12
    GEOMETRY_3 = 0x13
    GEOMETRY_4 = 0x14


REGISTERS: tuple[Register, ...] = (
    Register(Address.IDENT, "IDENT", Access.CONSTANT, 'the letters "LOOM"'),
    Register(Address.VERSION, "VERSION", Access.CONSTANT, "protocol version: major in bits 31-16, minor in bits 15-0"),
    Register(Address.GEOMETRY, "GEOMETRY", Access.CONSTANT, "identifier of the geometry; an image for another one is refused"),
    Register(Address.STATUS, "STATUS", Access.READ, "bit 0: busy; bit 1: output queue not empty; bits 31-16: ticks left to run"),
    Register(Address.CLEAR, "CLEAR", Access.WRITE, "any value: clear state, pending events and counters; the next tick is 0"),
    Register(Address.RUN, "RUN", Access.WRITE, "bits 15-0: ticks to run; 0: none; upper bits are ignored"),
    Register(Address.EVENT, "EVENT", Access.WRITE, "bits 15-0: axon; bits 19-16: delay; due this many ticks after the last tick"),
    Register(
        Address.OUTPUT, "OUTPUT", Access.POP, "bits 15-0: output number; bits 30-16: tick; bit 31: 1, or the word is 0 (empty)"
    ),
    Register(Address.TICK, "TICK", Access.READ, "ticks completed since the last clear"),
    Register(Address.LINK_ERRORS, "LINK_ERRORS", Access.READ, "damaged frames received (0 where the chip has no link)"),
    Register(Address.GEOMETRY_0, "GEOMETRY_0", Access.CONSTANT, "bits 15-0: axons; bits 31-16: neurons"),
    Register(Address.GEOMETRY_1, "GEOMETRY_1", Access.CONSTANT, "bytes 0-3: weight bits, lanes, pipelines, neuron models"),
    Register(Address.GEOMETRY_2, "GEOMETRY_2", Access.CONSTANT, "depth of the weight memory in words"),
    Register(Address.GEOMETRY_3, "GEOMETRY_3", Access.CONSTANT, "bits 15-0: routing entries; bits 31-16: parameter sets"),
    Register(
        Address.GEOMETRY_4,
        "GEOMETRY_4",
        Access.CONSTANT,
        "bits 7-0: accumulator bits; bit 8: neurons choose their set; bit 9: stochastic synapses",
    ),
)

#: Bits of the fields of the EVENT and OUTPUT registers.
EVENT_AXON_BITS = 16
OUTPUT_NUMBER_BITS = 16
OUTPUT_TICK_BITS = 15
#: Largest value of the RUN register.
MAX_RUN = 0xFFFF


def constants(config: ChipConfig) -> dict[Address, int]:
    """Values of the constant registers of a chip."""
    core = config.core
    return {
        Address.IDENT: IDENT,
        Address.VERSION: PROTOCOL_VERSION,
        Address.GEOMETRY: config.geometry_id,
        Address.GEOMETRY_0: core.axons | core.neurons << 16,
        Address.GEOMETRY_1: core.weight_bits | core.lanes << 8 | core.pipelines << 16 | len(core.models) << 24,
        Address.GEOMETRY_2: core.words,
        Address.GEOMETRY_3: core.routes | core.parameter_sets << 16,
        Address.GEOMETRY_4: core.sum_bits | int(core.sets is not None) << 8 | int(core.stochastic_synapses) << 9,
    }
