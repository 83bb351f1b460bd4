from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch import frame
from spikeloom.arch.errors import LinkError
from spikeloom.arch.frame import Operation, Request, Response, seal, unseal
from spikeloom.arch.registers import Status

WORDS = st.lists(st.integers(0, 2**32 - 1), max_size=frame.MAX_WORDS).map(tuple)


def _inside(line: bytes) -> bytes:
    """The frame between its delimiters."""
    assert line[:1] == line[-1:] == b"\xc0"
    return line[1:-1]


@given(st.binary(max_size=300))
def test_unseal_gives_back_what_was_sealed(body: bytes) -> None:
    assert unseal(_inside(seal(body))) == body


@given(st.binary(max_size=300))
def test_no_delimiter_stands_inside_a_frame(body: bytes) -> None:
    assert b"\xc0" not in _inside(seal(body))


def test_special_bytes_are_escaped_as_in_rfc_1055() -> None:
    body = b"\xc0\xdb\x01"
    crc = zlib.crc32(body).to_bytes(4, "little")
    assert not {0xC0, 0xDB} & set(crc)  # so only the body needs escapes
    assert seal(body) == b"\xc0" + b"\xdb\xdc" + b"\xdb\xdd" + b"\x01" + crc + b"\xc0"


def test_crc_is_that_of_ieee_802_3() -> None:
    # The published check value of CRC-32: 0xCBF43926 for the digits 1 to 9.
    assert _inside(seal(b"123456789")) == b"123456789\x26\x39\xf4\xcb"


@given(st.binary(max_size=60), st.data())
def test_a_single_flipped_bit_is_noticed(body: bytes, data: st.DataObject) -> None:
    damaged = bytearray(_inside(seal(body)))
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    assert unseal(bytes(damaged)) is None


@given(st.binary(max_size=60), st.data())
def test_a_frame_that_lost_its_end_is_noticed(body: bytes, data: st.DataObject) -> None:
    line = _inside(seal(body))
    assert unseal(line[: data.draw(st.integers(0, len(line) - 1))]) is None


@pytest.mark.parametrize("line", [b"", b"\x00", b"\xdb", b"\xdb\x00", b"abc\xdb"])
def test_what_is_no_frame_is_none(line: bytes) -> None:
    assert unseal(line) is None


@given(st.integers(0, 255), st.sampled_from(Operation), st.integers(0, 2**32 - 1), WORDS)
def test_request_stands_on_the_line_as_described(sequence: int, operation: Operation, address: int, data: tuple[int, ...]) -> None:
    body = unseal(_inside(Request(sequence, operation, address, len(data), data).encode()))
    assert body is not None
    assert body[0] == sequence
    assert body[1] == operation
    assert int.from_bytes(body[2:4], "little") == len(data)
    assert int.from_bytes(body[4:8], "little") == address
    assert len(body) == frame.HEADER_BYTES + 4 * len(data)
    assert tuple(int.from_bytes(body[i : i + 4], "little") for i in range(8, len(body), 4)) == data


def test_write_request_byte_for_byte() -> None:
    body = unseal(_inside(Request(7, Operation.WRITE, 0x0130_0002, 1, (0xAABBCCDD,)).encode()))
    assert body == bytes.fromhex("07 02 0100 02003001 ddccbbaa")


@given(st.integers(0, 255), st.sampled_from(Status), st.integers(0, 2**16 - 1), WORDS)
def test_response_is_decoded(sequence: int, status: Status, count: int, data: tuple[int, ...]) -> None:
    words = b"".join(word.to_bytes(4, "little") for word in data)
    body = bytes([sequence]) + words + count.to_bytes(2, "little") + bytes([status])
    response = Response(sequence, status, count, data)
    assert Response.decode(body) == response
    assert unseal(_inside(response.encode())) == body


def test_read_response_byte_for_byte() -> None:
    body = unseal(_inside(Response(7, Status.BAD_ADDRESS, 1, (0xAABBCCDD,)).encode()))
    assert body == bytes.fromhex("07 ddccbbaa 0100 02")


@pytest.mark.parametrize("size", [0, 3, 5, 6, 7, 9])
def test_response_of_a_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(LinkError, match=f"^the board sent a response of {size} bytes; expected 4 or more, whole words$"):
        Response.decode(bytes(size))


@pytest.mark.parametrize("status", [7, 255])
def test_response_with_an_unknown_status_is_refused(status: int) -> None:
    with pytest.raises(LinkError, match=f"^the board answered with the unknown status {status}$"):
        Response.decode(bytes((0, 0, 0, status)))


def test_operation_codes_never_change() -> None:
    assert {op.name: op.value for op in Operation} == {
        "HELLO": 0, "READ": 1, "WRITE": 2, "READ_SAME": 3, "WRITE_SAME": 4, "RESET": 5,
    }  # fmt: skip


def test_documented_limit_of_words_is_that_of_the_code() -> None:
    assert frame.MAX_WORDS == 60
    assert re.search(r"0 to ``MAX_WORDS``", frame.__doc__ or "")


def test_the_largest_request_has_room_in_the_ring_and_a_length_of_one_byte() -> None:
    body = unseal(_inside(Request(0, Operation.WRITE, 0, frame.MAX_WORDS, (0,) * frame.MAX_WORDS).encode()))
    assert body is not None
    assert len(body) + frame.CRC_BYTES < 256 < frame.RING_BYTES


def test_sequence_numbers_of_the_repeat_window_are_told_from_the_next_one() -> None:
    # Half of the numbers: as many lie before the next one as after it.
    assert frame.REPEAT_WINDOW == 128
