"""Targets: pins, lights and reset of every board, as far as they show without running a tool."""

from __future__ import annotations

import re

import pytest

from spikeloom.arch.boards import BOARDS
from spikeloom.arch.errors import ConfigError
from spikeloom.boards.build import prepare
from spikeloom.boards.flow import RESOURCES, SYNTHESIS
from spikeloom.boards.pins import pins_of
from spikeloom.boards.targets import TARGETS, Loader, target
from spikeloom.hdl.fabric import FABRICS

EMPTY = "module spikeloom(input clk, input rst, input rx, output tx, output busy); assign tx = rx; assign busy = rst; endmodule\n"
#: Pins in the order of the table: clock, receive, transmit, lights, button.
PINS = {
    "icebreaker": "35 6 9 11 37 10",
    "upduino-v3": "20 28 38 39 40",
    "ice40-hx8k-b-evn": "J3 B10 B12 C3 B3",
    "tinyfpga-bx": "B2 A2 A1 B3",
    "ulx3s-12f": "G2 M1 L4 B2 C2 R1",
    "ulx3s-25f": "G2 M1 L4 B2 C2 R1",
    "ulx3s-45f": "G2 M1 L4 B2 C2 R1",
    "ulx3s": "G2 M1 L4 B2 C2 R1",
    "ecp5-5g-evn": "A10 P2 P3 A13 A12 P4",
    "ecpix5": "K23 R26 R24 R21 T22",
    "orangecrab-r0-2": "A9 N17 M18 M3 J3 J17",
}


def plan_of(name: str) -> dict[str, str]:
    """Files of a board's build plan."""
    board = target(name)
    platform = board.platform()
    platform.add_file("spikeloom.v", EMPTY)
    files = prepare(board, platform, 7).files
    return {path: content if isinstance(content, str) else content.decode() for path, content in files.items()}


def constrained_pins(files: dict[str, str]) -> dict[str, str]:
    """Ports and their pins."""
    if "board.pcf" in files:
        return dict(re.findall(r"set_io (\S+) (\S+)", files["board.pcf"]))
    return dict(re.findall(r'LOCATE COMP "(\S+)" SITE "(\S+)"', files["board.lpf"]))


def test_targets_agree_with_the_boards_of_the_compiler():
    assert list(TARGETS) == list(BOARDS)
    for name, board in TARGETS.items():
        assert board.geometry is BOARDS[name]
        assert board.family == board.geometry.fabric
        assert board.platform().device == board.geometry.part
        assert board.family in SYNTHESIS
        assert board.family in FABRICS
        assert board.chip in RESOURCES


@pytest.mark.parametrize("name", TARGETS)
def test_plan_has_pins_script_and_options(name):
    files = plan_of(name)
    suffix = ".pcf" if TARGETS[name].chip == "ice40" else ".lpf"
    assert {"spikeloom.v", "board.il", "board.ys", f"board{suffix}", "build_board.sh"} <= set(files)
    assert set(constrained_pins(files).values()) == set(PINS[name].split())
    assert "--seed 7" in files["build_board.sh"]
    assert SYNTHESIS[TARGETS[name].family].split(maxsplit=1)[1] in files["board.ys"]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        # Only this pin is wired to the loop.
        ("icebreaker", "SB_PLL40_PAD"),
        ("upduino-v3", "SB_PLL40_CORE"),
        ("ice40-hx8k-b-evn", "SB_PLL40_CORE"),
        ("tinyfpga-bx", "SB_PLL40_CORE"),
        ("ulx3s", "EHXPLLL"),
    ],
)
def test_loop_is_one_that_the_clock_can_reach(name, cell):
    assert set(re.findall(r"SB_PLL40_\w+|EHXPLLL", plan_of(name)["board.il"])) == {cell}


@pytest.mark.parametrize(
    ("name", "inverted"), [("icebreaker", True), ("ice40-hx8k-b-evn", False), ("ecp5-5g-evn", True), ("ulx3s", False)]
)
def test_a_light_that_is_on_while_low_is_inverted(name, inverted):
    text = plan_of(name)["board.il"]
    light = text[re.search(r"^module \\\S*light0$", text, re.MULTILINE).start() :]
    light = light[: light.index("\nend\n")]
    # iCE40: an inverter. ECP5: an exclusive or with a mask.
    assert ("cell $not" in light if name.startswith("ice") else "connect \\B 1'1" in light) is inverted


def test_a_board_whose_serial_port_has_the_pins_of_light_and_button_goes_without_them():
    platform = target("colorlight_5a75b_r7_0").platform()
    assert pins_of(platform, "uart") == pins_of(platform, "led") | pins_of(platform, "button")
    assert constrained_pins(plan_of("colorlight_5a75b_r7_0")) == {
        "clk25_0__io": "P6",
        "uart_0__rx__io": "M13",
        "uart_0__tx__io": "P11",
    }


@pytest.mark.parametrize("name", ["icesugar", "ecpix5-45f", "icepi_zero", "icesugar_pro", "versa_ecp5"])
def test_other_boards_are_prepared_too(name):
    board = target(name)
    assert {"clk", "uart"} <= {port.split("_")[0].rstrip("0123456789") for port in constrained_pins(plan_of(name))}
    assert board.family in SYNTHESIS


def test_an_oscillator_that_no_loop_takes_is_told():
    with pytest.raises(ConfigError, match=r"no PLL setting makes 75\.0 MHz from 8\.0 MHz"):
        plan_of("supercon19badge")


def test_unknown_board_lists_the_boards():
    with pytest.raises(ConfigError, match=r"no board is called 'arty'; there are icebreaker, .*orangecrab-r0-2"):
        target("arty")


def test_every_board_is_loaded_somehow():
    for name, board in TARGETS.items():
        assert isinstance(board.loader, str) == (name == "tinyfpga-bx")
        assert isinstance(board.loader, str | Loader)
