from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch import chip_link
from spikeloom.arch.chip_link import CRC_BITS, CRC_POLYNOMIAL, CRC_START, HEADER, Frame, FrameFormat, Kind, crc, crc_effects

PAGE = Path(__file__).resolve().parents[2] / "docs" / "chip_link.md"
FORMATS = st.builds(FrameFormat, st.integers(1, 64), st.integers(1, 16))


@st.composite
def frames(draw: st.DrawFn) -> tuple[FrameFormat, Frame]:
    form = draw(FORMATS)
    fields = [draw(st.integers(field.low, field.high)) for field in HEADER.fields]
    return form, Frame(Kind(fields[0]), *fields[1:], draw(st.integers(0, 2**form.width - 1)))


def table(head: str) -> list[list[str]]:
    """Rows of the page's table that begins with this line."""
    lines = PAGE.read_text().splitlines()
    start = lines.index(head) + 2
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]


def bits_of(form: FrameFormat, cells: list[int]) -> list[int]:
    return [cell >> i & 1 for cell in cells for i in range(form.lanes)]


def cells_of(form: FrameFormat, bits: list[int]) -> list[int]:
    return [sum(bit << i for i, bit in enumerate(bits[k : k + form.lanes])) for k in range(0, len(bits), form.lanes)]


@given(frames())
def test_decode_gives_back_what_was_encoded(case: tuple[FrameFormat, Frame]) -> None:
    form, frame = case
    cells = form.encode(frame)
    assert len(cells) == form.cells
    assert all(0 <= cell < 1 << form.lanes for cell in cells)
    assert form.decode(cells) == frame


def test_a_frame_by_hand() -> None:
    # WORD (3) number 1, expecting 2, limit 15, word 0xA5, on 4 pins: bits 0-1 kind, 2-5, 6-9, 10-13, then the word, 22 bits in 6 cells.
    form = FrameFormat(8, 4)
    body = 3 | 1 << 2 | 2 << 6 | 15 << 10 | 0xA5 << 14
    cells = form.encode(Frame(Kind.WORD, 1, 2, 15, 0xA5))
    assert cells[:6] == [body >> 4 * i & 15 for i in range(6)] == [0x7, 0x8, 0xC, 0x7, 0x9, 0x2]
    assert len(cells) == form.cells == 10


@given(frames())
def test_a_frame_is_a_multiple_of_the_polynomial(case: tuple[FrameFormat, Frame]) -> None:
    """The same by long division: the first bit on the pins is the highest power."""
    form, frame = case
    bits = bits_of(form, form.encode(frame))
    value = int("".join(map(str, bits)), 2) ^ CRC_START << len(bits) - CRC_BITS
    divisor = 1 << CRC_BITS | CRC_POLYNOMIAL
    while value.bit_length() > CRC_BITS:
        value ^= divisor << value.bit_length() - divisor.bit_length()
    assert value == 0


def test_the_polynomial_is_that_of_dnp3() -> None:
    # The published check value of CRC-16/DNP: 0xEA82 for the digits 1 to 9. It begins with 0 and is sent inverted.
    digits = [byte >> i & 1 for byte in b"123456789" for i in range(8)]
    assert crc(digits, 0) ^ 0xFFFF == 0xEA82


@given(st.integers(1, 16), st.integers(0, 2**CRC_BITS - 1), st.data())
def test_effects_of_a_cell_are_those_of_its_bits(lanes: int, register: int, data: st.DataObject) -> None:
    cell = data.draw(st.integers(0, 2**lanes - 1))
    expected = register >> lanes
    for j, effect in enumerate(crc_effects(lanes)):
        if (register ^ cell) >> j & 1:
            expected ^= effect
    assert crc([cell >> i & 1 for i in range(lanes)], register) == expected


def test_any_five_wrong_bits_are_found() -> None:
    length = 151
    effects = [crc([int(i == wrong) for i in range(length)], 0) for wrong in range(length)]
    # The polynomial has an even number of terms, so it divides by x + 1, and an odd number of wrong bits is always found.
    assert CRC_POLYNOMIAL.bit_count() % 2 == 1
    # Two are found if no effect is that of another, four if no two pairs have the same.
    pairs = [first ^ second for first, second in combinations(effects, 2)]
    assert 0 not in pairs
    assert len(set(pairs)) == len(pairs)
    # The longest frames are not longer.
    assert max(FrameFormat(64, lanes).cells * lanes for lanes in range(1, 17)) <= length


@given(frames(), st.data())
def test_damage_in_up_to_16_neighbouring_bits_is_found(case: tuple[FrameFormat, Frame], data: st.DataObject) -> None:
    form, frame = case
    bits = bits_of(form, form.encode(frame))
    place = data.draw(st.integers(0, len(bits) - 1))
    pattern = data.draw(st.integers(1, 2 ** min(CRC_BITS, len(bits) - place) - 1))
    damaged = [bit ^ (pattern >> i - place & 1 if i >= place else 0) for i, bit in enumerate(bits)]
    assert form.decode(cells_of(form, damaged)) is None


def test_other_damage_passes_with_the_stated_probability() -> None:
    form = FrameFormat(28, 4)
    rng = np.random.default_rng(1)
    count = 20_000
    passed = sum(crc(bits) == 0 for bits in rng.integers(0, 2, (count, form.cells * 4)).tolist())
    # 2**-16 of them: 0.3 are to be expected.
    assert passed <= 4


def test_pins_that_are_stuck_make_no_good_frame() -> None:
    for width in range(1, 65):
        for lanes in range(1, 17):
            form = FrameFormat(width, lanes)
            for stuck in (0, (1 << lanes) - 1):
                assert form.decode([stuck] * form.cells) is None, (width, lanes)


def test_a_frame_that_lost_a_cell_is_damaged() -> None:
    form = FrameFormat(28, 4)
    assert form.decode(form.encode(Frame(Kind.IDLE, 0, 0, 0, 0))[1:]) is None


# The page -------------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_header() -> None:
    rows, position = [], 0
    for field in HEADER.fields:
        rows.append([f"{position}-{position + field.bits - 1}", f"`{field.name}`"])
        position += field.bits
    assert [row[:2] for row in table("| bits | field | meaning |")][: len(rows)] == rows
    assert f"{HEADER.bits} bits" in PAGE.read_text()


def test_the_page_shows_the_kinds() -> None:
    assert [row[:2] for row in table("| kind | name | meaning |")] == [[str(int(kind)), f"`{kind.name}`"] for kind in Kind]


def test_the_page_shows_the_constants() -> None:
    rows = table("| constant | value | meaning |")
    shown = {re.sub("`", "", name): int(value.strip("`"), 0) for name, value, _ in rows}
    names = (
        "SEQUENCE_BITS", "WINDOW", "CRC_BITS", "CRC_POLYNOMIAL", "CRC_START", "REPEAT_FRAMES", "KEEP_ALIVE_FRAMES", "SILENT_FRAMES",
    )  # fmt: skip
    assert shown == {name: getattr(chip_link, name) for name in names}


@pytest.mark.parametrize("width", [28])
def test_the_page_shows_the_cycles_of_a_word(width: int) -> None:
    rows = table("| lanes | pins, both directions | cells of a frame | cycles per word, cell 4 |")
    assert [[int(cell) for cell in row] for row in rows] == [
        [lanes, 2 * (lanes + 2), FrameFormat(width, lanes).cells, 4 * FrameFormat(width, lanes).cells] for lanes in (1, 2, 4, 8, 16)
    ]
