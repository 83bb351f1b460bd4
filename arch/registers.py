"""Chip registers: space 0 of the bus, the same over any transport.

Requests are executed one after the other, in the order they come. While the chip is busy (ticks running or state being cleared) a
request marked *idle* is answered with the status ``BUSY`` and does nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from spikeloom.arch.config import ENCODERS, SIDES, ChipConfig

#: Version of the register map and of the frames. A driver refuses a chip with another major number (upper 16 bits).
PROTOCOL_VERSION = 0x0005_0000
#: Contents of ``IDENT``: the letters "LOOM", least significant first.
IDENT = int.from_bytes(b"LOOM", "little")


class Access(enum.Enum):
    """Who may do what with a register."""

    READ = "read"
    WRITE = "write, idle"
    SETTING = "read, and write when idle"
    WAITING = "read, idle"
    FREE = "read and write"
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
    #: The sequence number is neither the next one nor one of those before.
    BAD_SEQUENCE = 5
    #: An earlier request failed, so nothing is executed until ``HELLO``.
    STOPPED = 6


class Address(enum.IntEnum):
    """Register addresses. Never renumber."""

    IDENT = 0x00
    VERSION = 0x01
    GEOMETRY = 0x02
    STATUS = 0x03
    CLEAR = 0x04
    RUN = 0x05
    EVENT = 0x06
    OUTPUTS = 0x07
    TICK = 0x08
    LINK_ERRORS = 0x09
    PERIOD = 0x0A
    OVERRUNS = 0x0B
    MISROUTED = 0x0C
    MESH_ERRORS = 0x0D
    MESH_REPEATS = 0x0E
    READOUT = 0x0F
    GEOMETRY_0 = 0x10
    GEOMETRY_1 = 0x11
    GEOMETRY_2 = 0x12
    GEOMETRY_3 = 0x13
    GEOMETRY_4 = 0x14
    GEOMETRY_5 = 0x15
    SETTLED = 0x16
    BUILD = 0x17
    ENCODE_AT = 0x18
    ENCODE_STEPS = 0x19
    ENCODE_INDEX = 0x1A
    ENCODE_SEED = 0x1B
    INTENSITY = 0x1C
    CLOCK = 0x1D


REGISTERS: tuple[Register, ...] = (
    Register(Address.IDENT, "IDENT", Access.CONSTANT, 'the letters "LOOM"'),
    Register(Address.VERSION, "VERSION", Access.CONSTANT, "protocol version: major in bits 31-16, minor in bits 15-0"),
    Register(Address.GEOMETRY, "GEOMETRY", Access.CONSTANT, "identifier of the geometry; an image for another one is refused"),
    Register(
        Address.STATUS,
        "STATUS",
        Access.READ,
        "bit 0: busy; bit 1: output queue not empty; bit 2: waiting for a neighbouring chip; bits 31-16: ticks left to run",
    ),
    Register(Address.CLEAR, "CLEAR", Access.WRITE, "any value: clear state, pending events and counters; the next tick is 0"),
    Register(Address.RUN, "RUN", Access.WRITE, "bits 15-0: ticks to run; 0: none; upper bits are ignored"),
    Register(
        Address.EVENT,
        "EVENT",
        Access.WRITE,
        "bits 15-0: axon; bits 19-16: delay, due this many ticks after the last tick; bits 31-20: core",
    ),
    Register(
        Address.OUTPUTS,
        "OUTPUTS",
        Access.FREE,
        "bits 15-0: entries written to the output memory since the last clear; bits 31-16: those taken; a write sets the latter from bits 15-0",
    ),
    Register(Address.TICK, "TICK", Access.READ, "ticks completed since the last clear"),
    Register(
        Address.LINK_ERRORS,
        "LINK_ERRORS",
        Access.READ,
        "bits 15-0: damaged frames received, modulo 2**16 (0 where the chip has no link)",
    ),
    Register(
        Address.PERIOD,
        "PERIOD",
        Access.SETTING,
        "bits 23-0: least clock cycles from the beginning of a tick to the next; 0, as after reset: as fast as the work allows",
    ),
    Register(
        Address.OVERRUNS,
        "OVERRUNS",
        Access.READ,
        "ticks since the last clear that took longer than PERIOD, so that the next begins late",
    ),
    Register(
        Address.MISROUTED,
        "MISROUTED",
        Access.READ,
        "packets since the last clear that left the mesh, or were for a host where there is none",
    ),
    Register(
        Address.MESH_ERRORS, "MESH_ERRORS", Access.READ, "damaged frames received over links to neighbouring chips since reset"
    ),
    Register(Address.MESH_REPEATS, "MESH_REPEATS", Access.READ, "frames sent again over links to neighbouring chips since reset"),
    Register(
        Address.READOUT,
        "READOUT",
        Access.SETTING,
        "0, as after reset: the output memory is a queue; 1: it counts; clear after a change",
    ),
    Register(Address.GEOMETRY_0, "GEOMETRY_0", Access.CONSTANT, "core 0: bits 15-0: axons; bits 31-16: neurons"),
    Register(Address.GEOMETRY_1, "GEOMETRY_1", Access.CONSTANT, "core 0: bytes 0-3: weight bits, lanes, pipelines, neuron models"),
    Register(Address.GEOMETRY_2, "GEOMETRY_2", Access.CONSTANT, "core 0: depth of the weight memory in words"),
    Register(Address.GEOMETRY_3, "GEOMETRY_3", Access.CONSTANT, "core 0: bits 15-0: routing entries; bits 31-16: parameter sets"),
    Register(
        Address.GEOMETRY_4,
        "GEOMETRY_4",
        Access.CONSTANT,
        "core 0: bits 7-0: accumulator bits; bit 8: neurons choose their set; bit 9: stochastic synapses",
    ),
    Register(
        Address.GEOMETRY_5,
        "GEOMETRY_5",
        Access.CONSTANT,
        "bits 7-0: columns; bits 15-8: rows; bits 19-16: links to the north, east, south, west; bit 20: packets have a payload; "
        "bits 22-21: encoder: none, phase, rate",
    ),
    Register(Address.SETTLED, "SETTLED", Access.WAITING, "as OUTPUTS"),
    Register(
        Address.BUILD,
        "BUILD",
        Access.CONSTANT,
        "identifier of the build: the same sources, geometry and clock give the same number",
    ),
    Register(
        Address.ENCODE_AT,
        "ENCODE_AT",
        Access.WRITE,
        "where the next intensity goes, as in EVENT; its first step is due at that delay; 1 is added to the axon after each",
    ),
    Register(
        Address.ENCODE_STEPS,
        "ENCODE_STEPS",
        Access.WRITE,
        "bits 15-0: first step; bits 19-16: steps; bit 20: 0 for phase, 1 for rate",
    ),
    Register(
        Address.ENCODE_INDEX,
        "ENCODE_INDEX",
        Access.WRITE,
        "index of the next intensity (rate): its input number times INDEX_STEP, which is added after each",
    ),
    Register(Address.ENCODE_SEED, "ENCODE_SEED", Access.WRITE, "seed of the sample (rate)"),
    Register(Address.INTENSITY, "INTENSITY", Access.WRITE, "four intensities, the first one in bits 7-0: their events are made"),
    Register(Address.CLOCK, "CLOCK", Access.CONSTANT, "clock in kHz; 0: unknown"),
)

#: Offset of the output memory in space 0: a word holds two entries, the first one in its low half.
OUTPUT_WINDOW = 0x100
#: Words of the window. The memory has half as many and appears twice, so that what passes its end can be read at once.
OUTPUT_WINDOW_WORDS = 256
#: Entries of the output memory.
OUTPUT_ENTRIES = 256
#: Bits of an entry: an output number, or (highest bit set) the tick of the entries that follow; or a count.
ENTRY_BITS = 16

#: Bits of the axon in the EVENT register.
EVENT_AXON_BITS = 16
#: Bits of the core in the EVENT register.
EVENT_CORE_BITS = 12
#: Bits of an output number, and of a tick, in an entry of the output memory.
OUTPUT_TICK_BITS = 15
#: Bits of a step in the ENCODE_STEPS register.
ENCODE_STEP_BITS = 16
#: Bits of an intensity.
INTENSITY_BITS = 8
#: Intensity that fires in every step.
INTENSITY_SCALE = 255
#: Largest value of the RUN register.
MAX_RUN = 0xFFFF
#: Bits of the PERIOD register.
PERIOD_BITS = 24
#: Most cores that a bus address can name.
MAX_BUS_CORES = 255


def constants(config: ChipConfig, build: int = 0, clock_khz: int = 0) -> dict[Address, int]:
    """Values of the constant registers of a chip; ``build`` identifies the build, and ``clock_khz`` is 0 where the clock is unknown."""
    core = config.cores[0]
    links = sum(1 << bit for bit, side in enumerate(SIDES) if side in config.links)
    return {
        Address.IDENT: IDENT,
        Address.VERSION: PROTOCOL_VERSION,
        Address.GEOMETRY: config.geometry_id,
        Address.GEOMETRY_0: core.axons | core.neurons << 16,
        Address.GEOMETRY_1: core.weight_bits | core.lanes << 8 | core.pipelines << 16 | len(core.models) << 24,
        Address.GEOMETRY_2: core.words,
        Address.GEOMETRY_3: core.routes | core.parameter_sets << 16,
        Address.GEOMETRY_4: core.sum_bits | int(core.sets is not None) << 8 | int(core.stochastic_synapses) << 9,
        Address.GEOMETRY_5: config.columns
        | config.rows << 8
        | links << 16
        | int(config.payload) << 20
        | ENCODERS.index(config.encoder) << 21,
        Address.BUILD: build,
        Address.CLOCK: clock_khz,
    }
