"""Compiles generated Verilog with Verilator into a library that Python calls: no Python per clock, so it runs at millions of cycles/s."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from spikeloom.arch.errors import ToolError
from spikeloom.sim.toolchain import simulation_environment, verilator_root

HARNESS = Path(__file__).parent / "harness.cpp"
MODELS = Path(__file__).parent / "models"


def cache_folder() -> Path:
    """Where compiled simulators are kept: ``SPIKELOOM_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("SPIKELOOM_CACHE") or platformdirs.user_cache_dir("spikeloom"))


def compile_model(verilog: str, top: str, *, is_top: bool, wires: int = 0) -> Path:
    """Compile a design, or find it compiled.

    Parameters
    ----------
    verilog : str
        Text of the design.
    top : str
        Top module.
    is_top : bool
        Whether the module is a top level with a serial port (else a chip).
    wires : int
        Wires between chips, if the module holds several.

    Returns
    -------
    Path
        The shared library.

    Raises
    ------
    ToolError
        If a tool is missing or fails.
    """
    models = "".join(path.read_text() for path in sorted(MODELS.glob("*.v")))
    parts = (verilog, models, HARNESS.read_text(), str(verilator_root()), top, str(is_top), str(wires))
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    target = cache_folder() / "models" / f"{key}.so"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    environment = simulation_environment()
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as name:
        work = Path(name)
        (work / "dut.v").write_text(verilog + models)
        include = verilator_root() / "include"
        _run(
            ["verilator", "--cc", "dut.v", "--top-module", top, "--prefix", "Vdut", "--Mdir", "obj", "-O3", "-Wno-fatal", "-Wno-lint",
             "--x-initial", "unique", "-CFLAGS", "-fPIC -O2"],
            work, environment,
        )  # fmt: skip
        _run(["make", "-s", "-C", "obj", "-f", "Vdut.mk", "-j2", "OPT_FAST=-O2", "OPT_SLOW=-O0"], work, environment)
        defines = ["-DDUT_TOP"] if is_top else [f"-DDUT_TILES={wires}"] if wires else []
        _run(
            ["g++", "-std=c++17", "-O2", "-shared", "-fPIC", *defines, "-Iobj", f"-I{include}", f"-I{include}/vltstd", str(HARNESS),
             "obj/libVdut.a", "obj/libverilated.a", "-pthread", "-o", "model.so"],
            work, environment,
        )  # fmt: skip
        # Several processes may compile the same model; the last one to finish wins, and all see a whole file.
        partial = target.with_suffix(f".{os.getpid()}.partial")
        shutil.copyfile(work / "model.so", partial)
        partial.replace(target)
    return target


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        tail = (result.stderr or result.stdout).strip()[-800:]
        raise ToolError(f"{Path(command[0]).name} failed while compiling the simulator: {tail}")


def load_library(path: Path) -> ctypes.CDLL:
    """Open a compiled model and declare the functions that both kinds have."""
    library = ctypes.CDLL(str(path))
    library.sim_new.restype = ctypes.c_void_p
    library.sim_free.argtypes = [ctypes.c_void_p]
    library.sim_stall.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32]
    library.sim_cycles.argtypes = [ctypes.c_void_p]
    library.sim_cycles.restype = ctypes.c_uint64
    return library
