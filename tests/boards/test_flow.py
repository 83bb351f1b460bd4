"""Calling the tools, and reading what they report."""

from __future__ import annotations

import json
import sys

import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ToolError
from spikeloom.arch.lif import Lif
from spikeloom.boards import flow
from spikeloom.boards.serial_pins import SerialPins
from spikeloom.hdl.core import Core
from spikeloom.hdl.fabric import FABRICS
from spikeloom.hdl.verilog import to_verilog

SMALL = CoreConfig(
    axons=16, neurons=16, weight_bits=4, lanes=4, levels=1, counters=False, models=(Lif(state_bits=16, fraction_bits=4),)
)
#: 600 flip-flops, for a part that has 384.
LARGE = "module top(input clk, input d, output q); reg [599:0] r; always @(posedge clk) r <= {r, d}; assign q = r[599]; endmodule"


def test_a_missing_tool_is_named_with_its_remedy():
    with pytest.raises(ToolError, match="yowasp-nothing is missing; it comes with 'pip install spikeloom'"):
        flow.tool("yowasp-nothing")


def test_a_failing_tool_is_told_with_its_last_words_and_log(tmp_path):
    log = tmp_path / "tool.log"
    program = "print('ERROR: cell does not fit'); raise SystemExit(3)"
    with pytest.raises(ToolError, match=r"the test failed with code 3: ERROR: cell does not fit \(log: .*tool\.log\)"):
        flow.run([sys.executable, "-c", program], log, "the test")


def test_report_takes_the_slowest_clock(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(
        json.dumps(
            {
                "utilization": {"ICESTORM_LC": {"used": 7, "available": 5280}, "ICESTORM_RAM": {"used": 2, "available": 30}},
                "fmax": {"a": {"achieved": 50.5, "constraint": 12}, "b": {"achieved": 41.25, "constraint": 12}},
                "critical_paths": [
                    {
                        "from": "posedge b",
                        "to": "posedge b",
                        "path": [
                            {"delay": 1.5, "type": "logic", "from": {"cell": "x", "port": "O"}, "to": {"cell": "y", "port": "I0"}}
                        ],
                    }
                ],
            }
        )
    )
    log = tmp_path / "nextpnr.log"
    log.write_text("Info:  1 LCs used as LUT4 only\nInfo:  4 LCs used as LUT4 and DFF\nInfo:  2 LCs used as DFF only\n")
    report = flow.read_report(path, "ice40", log)
    assert report.fmax_mhz == 41.25
    assert report.used == {"lut": 7, "ram": 2, "dsp": 0, "spram": 0, "ff": 6}
    assert report.available["lut"] == report.available["ff"] == 5280
    assert report.critical_path == ["1.50 ns logic x.O -> y.I0"]


def test_a_small_core_is_synthesised_placed_and_routed(tmp_path):
    """On an ECP5; ``tests/docs/test_first_network.py`` builds for an iCE40."""
    (tmp_path / "top.v").write_text(to_verilog(SerialPins(Core(config=SMALL, fabric=FABRICS["ecp5"])), "top"))
    netlist = flow.synthesize(["top.v"], "top", "ecp5", tmp_path)
    report = flow.place_and_route(netlist, "ecp5", ("--25k", "--package", "CABGA256", "--speed", "6"), 50, 1)
    assert 300 < report.used["lut"] < 3000
    assert report.used["ram"] > 0
    assert 100 < report.used["ff"] < 3000
    assert report.fmax_mhz > 30
    assert report.critical_path


def test_a_design_that_does_not_fit_says_so(tmp_path):
    (tmp_path / "top.v").write_text(LARGE)
    netlist = flow.synthesize(["top.v"], "top", "ice40", tmp_path)
    with pytest.raises(ToolError, match="place and route failed"):
        flow.place_and_route(netlist, "ice40", ("--lp384", "--package", "qn32"), 12, 1)
