"""The cache of compiled models, what they share, and what is said when a tool is missing or fails."""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from spikeloom.arch.errors import ToolError
from spikeloom.golden.native import cache_folder
from spikeloom.sim import compiled
from spikeloom.sim.compiled import compile_library, kept

DESIGN = (
    "module dut(input clk, output reg [31:0] count); initial count = 0; always @(posedge clk) count <= count + {step}; endmodule\n"
)
HARNESS = """
#include "Vdut.h"
#include "verilated.h"
extern "C" unsigned run(int cycles) {
    VerilatedContext context;
    Vdut dut{&context};
    for (int i = 0; i < cycles; ++i) {
        dut.clk = 0; dut.eval();
        dut.clk = 1; dut.eval();
    }
    return dut.count;
}
"""


@pytest.fixture
def build(tmp_path: Path) -> Callable[[int], Path]:
    """Compiles a counter with a step. Its driver has a text of its own, so that no cache holds the model."""
    harness = tmp_path / "harness.cpp"
    harness.write_text(f"{HARNESS}// {uuid.uuid4()}\n")
    return lambda step: compile_library(DESIGN.format(step=step), "dut", harness)


def refuse(command: list[str], folder: Path) -> None:
    raise AssertionError(f"called {command[0]}")


def test_a_model_is_compiled_once_and_another_design_is_another_model(
    build: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [build(step) for step in (3, 5)]
    assert [ctypes.CDLL(str(path)).run(7) for path in paths] == [21, 35]
    assert {path.parent for path in paths} == {cache_folder() / "models"}
    monkeypatch.setattr(compiled, "_run", refuse)
    assert [build(step) for step in (3, 5)] == paths
    with pytest.raises(AssertionError, match="called verilator"):
        build(6)
    for path in paths:
        path.unlink()


def test_models_share_runtime_and_header_and_the_compiler_takes_them(
    build: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(1).unlink()
    calls = []
    run = compiled._run

    def watched(command: list[str], folder: Path) -> None:
        calls.append(command[0])
        # A header that was compiled with other options would be left aside without a word.
        run([*command, "-Winvalid-pch", "-Werror=invalid-pch"] if command[0] == "g++" else command, folder)

    monkeypatch.setattr(compiled, "_run", watched)
    build(2).unlink()
    assert calls == ["verilator", "g++"]


def test_another_process_sees_a_whole_file_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path))

    def broken(folder: Path) -> Path:
        (folder / "part").write_text("half")
        raise ToolError("the compiler failed")

    def whole(folder: Path) -> Path:
        (folder / "part").write_text("whole")
        assert not list((tmp_path / "models").iterdir())
        return folder / "part"

    with pytest.raises(ToolError, match="the compiler failed"):
        kept("name", broken)
    assert kept("name", whole).read_text() == "whole"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["name"]


def test_a_design_that_is_no_verilog_ends_with_what_verilator_says(tmp_path: Path) -> None:
    harness = tmp_path / "harness.cpp"
    harness.write_text(HARNESS)
    with pytest.raises(ToolError, match=r"^verilator failed while compiling the simulator: .*syntax error"):
        compile_library("module dut(; endmodule\n", "dut", harness)


def test_a_missing_tool_is_named_with_its_remedy(build: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolError, match=r"^simulation needs make, which is not on the PATH; install it \(Debian: "):
        build(1)
