"""The whole design but pins and clock, through its serial line: loading, running, and what goes wrong on a line."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.frame import MAX_WORDS, SLIP_END, Operation, Request, seal, unseal
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Address, Status
from spikeloom.examples.digits.data import NETWORK, unseen_samples
from spikeloom.hdl.link import WAIT_CYCLES
from spikeloom.hdl.top import Top
from spikeloom.hdl.verilog import to_verilog
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.framed_bus import FramedBus
from spikeloom.sim.compiled import compile_model
from spikeloom.sim.compiled_top import SimulatedTop

CONFIG = ChipConfig(cores=(CoreConfig(axons=128, neurons=80, weight_bits=8, lanes=8, weight_words=1024, levels=2),))
SAMPLES = 3


DIVISOR = 6


@pytest.fixture(scope="module")
def library():
    """The compiled model, on which each test starts a simulation of its own."""
    return compile_model(to_verilog(Top(config=CONFIG, divisor=DIVISOR), "top"), "top", is_top=True)


@pytest.fixture
def bus(library):
    top = FramedBus(SimulatedTop(library, DIVISOR))
    yield top
    top.close()


def test_digits_over_the_serial_line_equal_golden(bus):
    image = spikeloom.compile(spikeloom.read_nir(NETWORK), config=CONFIG)
    spikes, _ = unseen_samples()
    chip = BusChip(bus, image)
    golden = spikeloom.open("golden", image)
    np.testing.assert_array_equal(chip.run(spikes[:SAMPLES]), golden.run(spikes[:SAMPLES]))
    for name, values in golden.state().items():
        np.testing.assert_array_equal(chip.state()[name], values, err_msg=name)


def test_hello_tells_ident_and_version(bus):
    response = bus.request(Operation.HELLO, 0xCAFE_F00D, 0, sequence=200)
    assert response.data == (0xCAFE_F00D, IDENT, PROTOCOL_VERSION)
    assert bus.request(Operation.READ, Address.GEOMETRY, 1, sequence=201).data == (CONFIG.geometry_id,)


def link_errors(bus):
    return int(bus.read(Address.LINK_ERRORS, 1)[0])


def test_a_damaged_frame_is_counted_and_ignored(bus):
    before = link_errors(bus)
    frame = bytearray(Request(bus._sequence, Operation.READ, Address.IDENT, 1).encode())
    frame[5] ^= 0x10
    assert bus.stream.exchange(bytes(frame)) == b""
    assert link_errors(bus) == before + 1


@pytest.mark.parametrize(
    "noise",
    [b"\x00", bytes(range(256)), b"\xdb" * 40, b"\xc0" * 5, b"\xa5" * 1000, seal(b"\x01\x02")[:-1]],
    ids=["one byte", "all bytes", "escapes", "delimiters", "too long", "cut off"],
)
def test_the_link_answers_again_after_noise(bus, noise):
    bus.stream.exchange(noise + bytes((SLIP_END,)))
    assert bus.read(Address.IDENT, 1)[0] == IDENT


def test_a_repeated_request_is_answered_again_and_not_carried_out_twice(bus):
    bus.write(Address.CLEAR, np.ones(1, np.uint32))
    event = Request(bus._sequence, Operation.WRITE, Address.EVENT, 1, (1 | 1 << 16,)).encode()
    bus._sequence = (bus._sequence + 1) % 256
    first = bus.stream.exchange(event)
    assert unseal(first.strip(b"\xc0")) is not None
    assert bus.stream.exchange(event) == first
    bus.write(Address.RUN, np.ones(1, np.uint32))
    while int(bus.read(Address.STATUS, 1)[0]) & 1:
        pass
    from spikeloom.arch.memory_map import COUNTER_NAMES, regions

    values = bus.read(regions(CONFIG.cores[0])["counters"].address(), len(COUNTER_NAMES))
    counters = dict(zip(COUNTER_NAMES, values.tolist(), strict=True))
    assert (counters["events"], counters["merged"]) == (1, 0)


def test_a_wrong_sequence_number_is_refused(bus):
    number = (bus._sequence + 7) % 256
    expected = bus._sequence
    assert bus.request(Operation.READ, Address.IDENT, 1, sequence=number).status == Status.BAD_SEQUENCE
    assert bus.request(Operation.READ, Address.IDENT, 1, sequence=expected).data == (IDENT,)


@pytest.mark.parametrize(
    ("operation", "count", "data", "status"),
    [
        (9, 0, (), Status.BAD_OPERATION),
        (Operation.READ, MAX_WORDS + 1, (), Status.BAD_LENGTH),
        (Operation.WRITE, 2, (1,), Status.BAD_LENGTH),
        (Operation.READ, 1, (1,), Status.BAD_LENGTH),
    ],
)
def test_a_senseless_request_is_refused_with_its_reason(bus, operation, count, data, status):
    assert bus.request(operation, Address.IDENT, count, data).status == status
    # Nothing is executed until HELLO.
    assert bus.request(Operation.READ, Address.IDENT, 1).status == Status.STOPPED
    bus.hello()
    assert bus.read(Address.IDENT, 1)[0] == IDENT


def test_an_unknown_address_ends_a_request_and_says_after_how_many_words(bus):
    response = bus.request(Operation.READ, max(Address), 3)
    assert (response.status, response.count, len(response.data)) == (Status.BAD_ADDRESS, 1, 1)


def test_a_running_chip_says_busy_after_a_while_and_where_it_stopped(bus):
    bus.write(Address.PERIOD, np.array([WAIT_CYCLES], np.uint32))
    # The second word waits for the third tick, which begins two periods after the first.
    response = bus.request(Operation.WRITE_SAME, Address.RUN, 2, (3, 1))
    assert (response.status, response.count) == (Status.BUSY, 1)
    assert bus.request(Operation.READ, Address.STATUS, 1).status == Status.STOPPED
    bus.hello()
    assert int(bus.read(Address.STATUS, 1)[0]) & 1


def test_crc_is_the_one_of_zlib():
    frame = seal(b"spikeloom")
    assert frame.strip(b"\xc0")[-4:] == zlib.crc32(b"spikeloom").to_bytes(4, "little")
