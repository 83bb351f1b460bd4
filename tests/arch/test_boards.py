from __future__ import annotations

import re

import pytest

from spikeloom.arch.boards import BOARDS, PARTS, board_geometry
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import ConfigError

EVERY = [(name, bits) for name, board in BOARDS.items() for bits in board.cores]
#: Bits of block RAM: 30 and 32 of 4 kbit; 32, 56, 108 and 208 of 18 kbit.
BLOCK_RAM_BITS = {
    "iCE40UP5K": 30 * 4096,
    "iCE40HX8K": 32 * 4096,
    "iCE40LP8K": 32 * 4096,
    "12F": 32 * 18432,
    "25F": 56 * 18432,
    "45F": 108 * 18432,
    "85F": 208 * 18432,
}
#: Rates of the FTDI chips up to 12 Mbaud (FTDI AN_120) and of those up to 3 Mbaud.
HIGH_SPEED = {12_000_000, 8_000_000, 6_000_000, 4_800_000, 4_000_000, 3_000_000}
FULL_SPEED = {3_000_000, 2_000_000, 1_500_000, 1_000_000}


def test_the_boards_of_this_version() -> None:
    assert list(BOARDS) == [
        "icebreaker", "upduino-v3", "ice40-hx8k-b-evn", "tinyfpga-bx", "ulx3s-12f", "ulx3s-25f", "ulx3s-45f", "ulx3s", "ecp5-5g-evn",
        "ecpix5", "orangecrab-r0-2",
    ]  # fmt: skip


@pytest.mark.parametrize("name", BOARDS)
def test_board_is_found_by_the_name_it_carries_and_by_that_of_a_module(name: str) -> None:
    assert board_geometry(name).name == name
    assert board_geometry(name.replace("-", "_").upper()) is board_geometry(name)


@pytest.mark.parametrize(("name", "bits"), EVERY)
def test_core_has_the_weight_width_under_which_it_is_listed(name: str, bits: int) -> None:
    assert BOARDS[name].chip(bits) == ChipConfig(cores=(BOARDS[name].cores[bits],), encoder=BOARDS[name].encoder)
    assert BOARDS[name].chip(bits).cores[0].weight_bits == bits


@pytest.mark.parametrize("name", BOARDS)
def test_first_geometry_is_the_default(name: str) -> None:
    assert BOARDS[name].chip() == BOARDS[name].chip(8)


def test_boards_with_equal_parts_have_equal_geometries_and_others_have_not() -> None:
    numbers: dict[int, set[str]] = {}
    for name, bits in EVERY:
        part = BOARDS[name].part
        kind = part[-3:] if part.startswith("LFE5") else part.replace("LP8K", "HX8K")
        numbers.setdefault(BOARDS[name].chip(bits).geometry_id, set()).add(f"{kind} {bits}")
    assert len(numbers) == 12
    assert all(len(kinds) == 1 for kinds in numbers.values())


@pytest.mark.parametrize("bits", [8, 4])
def test_up5k_weights_fill_the_single_port_ram(bits: int) -> None:
    core = PARTS["iCE40UP5K"].cores[bits]
    assert core.weight_word_bits == 64  # four blocks of 16 bits side by side
    assert core.words * core.weight_word_bits == 2**20


@pytest.mark.parametrize(("name", "bits"), [(name, bits) for name, bits in EVERY if BOARDS[name].fabric != "ice40-up"])
def test_weights_leave_block_ram_for_the_rest(name: str, bits: int) -> None:
    board = BOARDS[name]
    available = BLOCK_RAM_BITS[board.part[-3:] if board.part.startswith("LFE5") else board.part]
    core = board.cores[bits]
    assert available / 4 <= core.words * core.weight_word_bits <= 0.7 * available


@pytest.mark.parametrize("name", BOARDS)
def test_rate_is_one_that_the_bridge_has_and_the_clock_makes(name: str) -> None:
    board = BOARDS[name]
    assert board.baud in (HIGH_SPEED if board.bridge.startswith("FT2232H") else FULL_SPEED)
    divisor = round(board.clock_mhz * 1e6 / board.baud)
    assert divisor >= 4
    # The receiver stands 2.5 %; this leaves more than half of it to the host's clock.
    assert abs(board.clock_mhz * 1e6 / divisor / board.baud - 1) < 0.01


def test_unknown_board_is_answered_with_the_names() -> None:
    with pytest.raises(
        ConfigError, match=r"^no board is called 'nothing'; there are icebreaker, .*, and the modules of amaranth-boards"
    ):
        board_geometry("nothing")


@pytest.mark.parametrize("name", BOARDS)
def test_weight_width_without_geometry_is_answered_with_the_widths(name: str) -> None:
    message = re.escape(f"{name} has no geometry with 2-bit weights; choose 8 or 4")
    with pytest.raises(ConfigError, match=f"^{message}$"):
        BOARDS[name].chip(2)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("icesugar", "iCE40UP5K"),
        ("colorlight_5a75b_r7_0", "LFE5U-25F"),
        ("colorlight-5a75b-r7-0", "LFE5U-25F"),
        ("versa_ecp5", "LFE5UM-45F"),
        ("ecpix5_45f", "LFE5UM5G-45F"),
        ("arty_a7", "xc7a35ti"),
        ("arty-a7-100", "xc7a100ti"),
    ],
)
def test_other_boards_go_by_the_name_of_their_module_with_the_size_of_their_part(name: str, part: str) -> None:
    board = board_geometry(name)
    assert (board.name, board.part) == (name.replace("_", "-"), part)
    assert board.cores[8] == PARTS["LFE5U-12F" if part.startswith("xc7") else part].cores[8]
    assert board.baud == 1_000_000


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fomu_pvt", r"fomu-pvt has no serial port in its platform file \(amaranth_boards/fomu_pvt\.py\)"),
        ("icestick", "icestick has a part for which there is no default geometry, iCE40HX1K; there is one for iCE40UP5K"),
        ("tang_nano", r"tang-nano has a part of another family, GW1N-LV1QN48C6/I5 \(Gowin\)"),
        ("de0nano", r"de0nano has a part of another family, EP4CE22 \(Altera\)"),
        ("machxo3_sk", "another family, LCMXO3L-6900C"),
        ("kcu105", "another family, xcku040"),
        ("ulx3s_99f", "no board is called 'ulx3s_99f'"),
        ("resources", "no board is called 'resources'"),
    ],
)
def test_a_board_that_cannot_hold_a_core_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        board_geometry(name)
