from __future__ import annotations

import re

import pytest

from spikeloom.arch.boards import BOARDS, board_geometry
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import ConfigError

EVERY = [(name, bits) for name, board in BOARDS.items() for bits in board.cores]


def test_the_boards_of_this_version() -> None:
    assert list(BOARDS) == ["icebreaker", "ulx3s"]


@pytest.mark.parametrize("name", BOARDS)
def test_board_is_found_by_the_name_it_carries(name: str) -> None:
    assert board_geometry(name).name == name


@pytest.mark.parametrize(("name", "bits"), EVERY)
def test_core_has_the_weight_width_under_which_it_is_listed(name: str, bits: int) -> None:
    assert BOARDS[name].chip(bits) == ChipConfig(cores=(BOARDS[name].cores[bits],))
    assert BOARDS[name].chip(bits).cores[0].weight_bits == bits


@pytest.mark.parametrize("name", BOARDS)
def test_first_geometry_is_the_default(name: str) -> None:
    assert BOARDS[name].chip() == BOARDS[name].chip(8)


def test_every_geometry_has_its_own_identifier() -> None:
    numbers = {BOARDS[name].chip(bits).geometry_id for name, bits in EVERY}
    assert len(numbers) == len(EVERY) == 4


@pytest.mark.parametrize(("name", "bits"), [(name, bits) for name, bits in EVERY if name == "icebreaker"])
def test_icebreaker_weights_fill_the_single_port_ram(name: str, bits: int) -> None:
    core = BOARDS[name].cores[bits]
    assert core.weight_word_bits == 64  # four blocks of 16 bits side by side
    assert core.words * core.weight_word_bits == 2**20


@pytest.mark.parametrize(("name", "bits"), [(name, bits) for name, bits in EVERY if name == "ulx3s"])
def test_ulx3s_weights_fit_its_block_ram(name: str, bits: int) -> None:
    core = BOARDS[name].cores[bits]
    assert core.words * core.weight_word_bits <= 208 * 18 * 1024


def test_unknown_board_is_answered_with_the_names() -> None:
    with pytest.raises(ConfigError, match=r"^no board is called 'icestick'; there are icebreaker, ulx3s$"):
        board_geometry("icestick")


@pytest.mark.parametrize("name", BOARDS)
def test_weight_width_without_geometry_is_answered_with_the_widths(name: str) -> None:
    message = re.escape(f"{name} has no geometry with 2-bit weights; choose 8 or 4")
    with pytest.raises(ConfigError, match=f"^{message}$"):
        BOARDS[name].chip(2)
