"""Compiles generated Verilog with Verilator into a library that Python calls: no Python per clock, so it runs at millions of cycles/s."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from spikeloom.arch.errors import ToolError
from spikeloom.golden.native import cache_folder
from spikeloom.sim.toolchain import simulation_environment, verilator_root

HARNESS = Path(__file__).parent / "harness.cpp"
MODELS = Path(__file__).parent / "models"
#: Passes of g++ that take most of its time at ``-O1`` or above, since a model has few functions, all long, and one object that all
#: they do is stored in; without them it runs as fast.
UNPROFITABLE = (
    "--param=sccvn-max-alias-queries-per-access=10", "-fno-tree-dse", "-fno-tree-sink", "-fno-tree-dominator-opts",
    "-fno-ipa-modref", "-fno-ipa-pure-const", "-fno-ipa-reference",
)  # fmt: skip
#: Behaviour of the one primitive that generated Verilog names.
SPRAM = MODELS / "sb_spram256ka.v"


def compile_model(
    verilog: str, top: str, *, is_top: bool, wires: int = 0, gates: bool = False, trace: bool = False, optimise: str = "-O1"
) -> Path:
    """Compile a chip, several chips or a top level for the driver in ``harness.cpp``, or find it compiled.

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
    gates : bool
        The text is a netlist with models of its cells; whatever they leave undefined is random.
    trace : bool
        The model can write a waveform. It runs several times slower, even without.
    optimise : str
        Option of the C++ compiler. ``-O0`` compiles somewhat faster, and runs three times slower.

    Returns
    -------
    Path
        The shared library.

    Raises
    ------
    ToolError
        If a tool is missing or fails.
    """
    defines = ["-DDUT_TOP"] if is_top else [f"-DDUT_TILES={wires}"] if wires else []
    if gates:
        # A model says with $error that it does not have what the netlist asks for.
        options = ("--x-assign", "unique", "-Werror-USERERROR")
        return compile_library(
            verilog, top, HARNESS, defines=[*defines, "-DDUT_GATES"], options=options, trace=trace, optimise=optimise
        )
    return compile_library(verilog + SPRAM.read_text(), top, HARNESS, defines=defines, trace=trace, optimise=optimise)


def compile_library(
    verilog: str,
    top: str,
    harness: Path,
    *,
    defines: Sequence[str] = (),
    options: Sequence[str] = (),
    trace: bool = False,
    optimise: str = "-O1",
) -> Path:
    """A design and its driver as a shared library, made or found in the cache.

    Verilator's own runtime and its header are compiled only once: for most designs that takes longest.

    Parameters
    ----------
    verilog : str
        Text of the design.
    top : str
        Top module.
    harness : Path
        C++ source of the driver, which includes ``Vdut.h``.
    defines : list of str
        Options for the driver's compilation.
    options : list of str
        Further options of Verilator.
    trace : bool
        With what writes waveforms (VCD).
    optimise : str
        Option of the C++ compiler.

    Raises
    ------
    ToolError
        If a tool is missing or fails.
    """
    include = verilator_root() / "include"
    tracing = ["-DVM_TRACE=1", "-DVM_TRACE_VCD=1"] if trace else ["-DVM_TRACE=0"]
    flags = [*UNPROFITABLE, "-std=c++17", "-fPIC", "-pthread", *tracing, "-DVM_COVERAGE=0", f"-I{include}", f"-I{include}/vltstd"]
    options = [*options, "--trace-vcd"] if trace else list(options)
    parts = ["verilated", "verilated_threads", *(["verilated_vcd_c"] if trace else [])]
    shared = digest(str(verilator_root()), version("verilator"), _compiler(), *flags)

    def header(folder: Path) -> Path:
        (folder / "header.h").write_text('#include "verilated.h"\n')
        return folder / "header.h"

    def precompiled(folder: Path) -> Path:
        _run(["g++", *flags, optimise, "-x", "c++-header", str(header(folder)), "-o", "header.h.gch"], folder)
        return folder / "header.h.gch"

    def library(folder: Path) -> Path:
        (folder / "dut.v").write_text(verilog)
        _run(
            ["verilator", "--cc", "dut.v", "--top-module", top, "--prefix", "Vdut", "--Mdir", "obj", "-O3", "-Wno-fatal", "-Wno-lint",
             "--x-initial", "unique", *options],
            folder,
        )  # fmt: skip
        sources = [*sorted((folder / "obj").glob("*.cpp")), harness]
        (folder / "model.cpp").write_text("".join(f'#include "{path}"\n' for path in sources))
        # The compiler finds what was precompiled by the name of the text, and reads the text if it does not suit.
        text = kept(f"header_{shared}{optimise}.h", header)
        kept(f"{text.name}.gch", precompiled)
        _run(
            ["g++", *flags, optimise, *defines, "-Iobj", "-include", str(text), "-shared", "model.cpp",
             str(compile_runtime(parts, flags)), "-o", "model.so"],
            folder,
        )  # fmt: skip
        return folder / "model.so"

    key = digest(verilog, harness.read_text(), top, optimise, *defines, *options, shared)
    return kept(f"{key}.so", library)


def compile_runtime(parts: Sequence[str], flags: Sequence[str]) -> Path:
    """Parts of Verilator's own runtime as one object file, made or found in the cache.

    Parameters
    ----------
    parts : list of str
        Names of its source files, for example ``"verilated"``.
    flags : list of str
        Options of the C++ compiler, among them the places of the sources.

    Raises
    ------
    ToolError
        If a tool is missing or fails.
    """

    def runtime(folder: Path) -> Path:
        (folder / "runtime.cpp").write_text("".join(f'#include "{name}.cpp"\n' for name in parts))
        _run(["g++", *flags, "-O1", "-c", "runtime.cpp", "-o", "runtime.o"], folder)
        return folder / "runtime.o"

    return kept(f"runtime_{digest(str(verilator_root()), version('verilator'), _compiler(), *parts, *flags)}.o", runtime)


def digest(*parts: str) -> str:
    """What names a file of the cache after all that went into it."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def kept(name: str, make: Callable[[Path], Path]) -> Path:
    """A file of the cache. If it is not there yet, ``make`` gets an empty folder and says which of its files it is."""
    target = cache_folder() / "models" / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
            # Several processes may make the same; the last one wins, and all see a whole file.
            partial = target.with_name(f"{name}.{os.getpid()}.partial")
            shutil.copyfile(make(Path(folder)), partial)
            partial.replace(target)
    return target


@cache
def _compiler() -> str:
    """Version and target of the C++ compiler."""
    command = ["g++", "-dumpfullversion", "-dumpmachine"]
    return subprocess.run(command, env=simulation_environment(), capture_output=True, text=True, check=True).stdout


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, env=simulation_environment(), capture_output=True, text=True, check=False)
    if result.returncode:
        tail = (result.stderr or result.stdout).strip()[-800:]
        raise ToolError(f"{command[0]} failed while compiling the simulator: {tail}")


def load_library(path: Path) -> ctypes.CDLL:
    """Open a compiled model and declare the functions that both kinds have."""
    library = ctypes.CDLL(str(path))
    library.sim_new.restype = ctypes.c_void_p
    library.sim_free.argtypes = [ctypes.c_void_p]
    library.sim_stall.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32]
    library.sim_cycles.argtypes = [ctypes.c_void_p]
    library.sim_cycles.restype = ctypes.c_uint64
    return library
