"""Compiles the native part of the fast engine, once for each machine, and opens it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import platformdirs

from spikeloom.arch.errors import ToolError

#: Compilers that are tried, after the one that the environment variable ``CXX`` names.
COMPILERS = ("g++", "clang++", "c++")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC")


def cache_folder() -> Path:
    """Where compiled code is kept: ``SPIKELOOM_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("SPIKELOOM_CACHE") or platformdirs.user_cache_dir("spikeloom"))


def processor() -> str:
    """What ``-march=native`` depends on: a home folder may be shared by machines with different processors."""
    features = Path("/proc/cpuinfo")
    lines = features.read_text().splitlines() if features.exists() else []
    return "\n".join(
        [platform.machine(), platform.processor(), *sorted({line for line in lines if line.startswith(("flags", "Features"))})]
    )


def find_compiler() -> str:
    """Path of a C++ compiler.

    Raises
    ------
    ToolError
        If there is none.
    """
    names = [name for name in (os.environ.get("CXX"), *COMPILERS) if name]
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    raise ToolError(
        f"the fast engine needs a C++ compiler, and none of {', '.join(names)} is on the PATH; install one "
        "(Debian: apt install g++), or use the plain golden model"
    )


def compile_library(source: Path) -> Path:
    """Compile a C++ file to a shared library, or find it compiled. It names all headers of its folder that it needs.

    Raises
    ------
    ToolError
        If there is no compiler, or it fails.
    """
    text = source.read_text()
    headers = [source.with_name(name).read_text() for name in re.findall(r'^#include "(.+)"$', text, re.MULTILINE)]
    key = hashlib.sha256("\0".join([text, *headers, *FLAGS, processor()]).encode()).hexdigest()[:32]
    target = cache_folder() / "native" / f"{source.stem}_{key}.so"
    if target.exists():
        return target
    compiler = find_compiler()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may compile the same file; the last one to finish wins, and all see a whole library.
    partial = target.with_suffix(f".{os.getpid()}.partial")
    result = subprocess.run([compiler, *FLAGS, str(source), "-o", str(partial)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise ToolError(f"{Path(compiler).name} failed while compiling {source.name}: {result.stderr.strip()[-800:]}")
    partial.replace(target)
    return target


@cache
def library(source: Path) -> ctypes.CDLL:
    """The compiled library of a C++ file, opened once in a process; raises as :func:`compile_library` does."""
    return ctypes.CDLL(str(compile_library(source)))
