"""Boards of ``amaranth-boards`` by the names of their modules.

The parts and clocks of these boards stand in that package and nowhere else, so this module imports it; only when a board is asked for that
is not listed in ``spikeloom.arch.boards``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeloom.arch.errors import ConfigError

#: Platform class of the vendor, to the family as it is called here, or to its name where nothing can be made for it.
FAMILIES = {"SiliconBluePlatform": "ice40", "LatticePlatform": "ecp5", "XilinxPlatform": "xilinx7"}
#: Oscillators inside the part instead of a clock pin. That of the iCE40 UltraPlus is 10 % off (FPGA-DS-02008, table 4.11), and a serial
#: port needs 2.5 %.
INTERNAL_CLOCKS = ("SB_HFOSC", "SB_LFOSC", "OSCG", "OSCH", "OSCA", "OSC")


@dataclass(frozen=True, slots=True)
class Platform:
    """A board of ``amaranth-boards``.

    Parameters
    ----------
    name : str
        Name in commands: that of the module, with ``-``, and the size of the part if it was asked for.
    device : str
        The part.
    family : str
        ``"ice40"``, ``"ecp5"`` or ``"xilinx7"``.
    make : type
        The platform's class.
    """

    name: str
    device: str
    family: str
    make: Any


def find_platform(name: str, listed: Iterable[str] = ()) -> Platform:
    """The board of that name: a module of ``amaranth-boards``, with ``-SIZE`` behind it if that has boards with several parts.

    Parameters
    ----------
    name : str
        Such as ``colorlight_5a75b_r7_0`` or ``ecpix5-45f``; ``-`` and ``_`` are the same.
    listed : list of str
        Names to suggest if there is no such board.

    Raises
    ------
    ConfigError
        If there is no such board, or no core can be made for it; the message says why.
    """
    plain = name.lower().replace("-", "_")
    module, _, size = (plain, "", "") if _exists(plain) else plain.rpartition("_")
    boards = [] if not _exists(module) else [board for board in _boards(module) if size in _device(board).lower()]
    if not boards:
        raise ConfigError(
            f"no board is called {name!r}; there are {', '.join(listed)}, and the modules of amaranth-boards, such as icesugar"
        )
    # Where a module has boards with several parts, and none is named, the first one that it lists.
    board = boards[0]
    shown = plain.replace("_", "-")
    vendor = _vendor(board)
    device = _device(board)
    if vendor == "xilinx7" and not device.lower().startswith("xc7"):
        vendor = f"{device[:3]} of Xilinx"
    elif vendor == "ecp5" and not device.upper().startswith("LFE5"):
        vendor = "MachXO or Nexus"
    if vendor not in FAMILIES.values():
        raise ConfigError(
            f"{shown} has a part of another family, {device} ({vendor}); bitstreams are made for iCE40 and ECP5, files for Xilinx 7"
        )
    if not any(resource.name == "uart" and resource.number == 0 for resource in board.resources):
        raise ConfigError(
            f"{shown} has no serial port in its platform file (amaranth_boards/{module}.py), and the host needs one; "
            "generate the Verilog for a board with the same part and connect it in a top level of your own"
        )
    if board.default_clk in INTERNAL_CLOCKS:
        raise ConfigError(
            f"{shown} has no clock but the oscillator inside its part, {board.default_clk}; it is 10 % off, and a serial port needs 2.5 %"
        )
    return Platform(shown, device, vendor, board)


def _exists(module: str) -> bool:
    """Whether there is a module of that name; no module is imported for it."""
    package = importlib.util.find_spec("amaranth_boards")
    folders = [] if package is None else list(package.submodule_search_locations or ())
    return module.isidentifier() and any((Path(folder) / f"{module}.py").is_file() for folder in folders)


def _boards(module: str) -> list[Any]:
    """Platform classes of a module, in the order in which it lists them."""
    contents = importlib.import_module(f"amaranth_boards.{module}")
    # Not every module lists them.
    found = [getattr(contents, name) for name in getattr(contents, "__all__", vars(contents))]
    return [board for board in found if getattr(board, "__module__", "") == contents.__name__ and hasattr(board, "resources")]


def _device(board: Any) -> str:
    """The part of a platform class; Gowin's have another name for it."""
    names: list[object] = [getattr(board, name, None) for name in ("device", "part")]
    return next((name for name in names if isinstance(name, str)), "")


def _vendor(board: Any) -> str:
    """Family of a platform class, or its vendor's name."""
    for base in board.__mro__:
        if base.__module__.startswith("amaranth.vendor"):
            name: str = base.__name__
            return FAMILIES.get(name, name.removesuffix("Platform"))
    return "unknown"
