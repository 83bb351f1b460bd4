"""Netlists of a chip and of a whole top level in lockstep with the golden model, and our models of the ECP5's larger cells."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, ToolError
from spikeloom.arch.lif import Lif
from spikeloom.boards.flow import SYNTHESIS
from spikeloom.host.framed_bus import FramedBus
from spikeloom.sim import gate_level
from spikeloom.sim.compiled import MODELS, compile_library, compile_model
from spikeloom.sim.gate_level import GateBus, GateTop, gate_cases, gate_lockstep, with_models

TICKS = 40
LIF = CoreConfig(
    axons=64, neurons=32, weight_bits=4, lanes=4, models=(Lif(state_bits=20, current_bits=16, negative_threshold=True),),
)  # fmt: skip
#: The UltraPlus has its multipliers and 256-kbit memories, the ECP5 its block and LUT RAM. The other iCE40 is tested with its serial port.
CHIPS: dict[str, ChipConfig] = {
    "ice40-up": ChipConfig(cores=(LIF,)),
    "ecp5": ChipConfig(cores=(LIF,)),
}
SMALL_LIF = Lif(state_bits=12, fraction_bits=4, bias_bits=0, refractory_bits=0)
SMALL = ChipConfig(cores=(CoreConfig(axons=5, neurons=4, weight_bits=4, lanes=1, levels=1, models=(SMALL_LIF,)),))


@pytest.mark.parametrize("family", CHIPS)
def test_the_netlist_of_a_chip_equals_golden_tick_by_tick(family: str) -> None:
    bus = GateBus(CHIPS[family], family, SYNTHESIS[family])
    try:
        assert gate_cases(bus, CHIPS[family], range(2), TICKS) is None
    finally:
        bus.close()


def test_the_netlist_of_a_whole_top_level_equals_golden_through_its_serial_line() -> None:
    bus = FramedBus(GateTop(SMALL, "ice40", SYNTHESIS["ice40"]), timeout=30)
    try:
        assert gate_cases(bus, SMALL, range(1), TICKS // 2) is None
    finally:
        bus.close()


def broken_adder(place: float) -> Callable[[str], str]:
    """Inverts what the LUT of an adder gives for zeros; ``place`` says which one, from the first (0) to the last (1)."""

    def change(gates: str) -> str:
        tables = [match.start(1) for match in re.finditer(r"\.LUT_INIT\(16'h699(6)\)", gates)]
        chosen = tables[int(place * len(tables))]
        return f"{gates[:chosen]}7{gates[chosen + 1 :]}"

    return change


def test_a_netlist_with_one_wrong_bit_is_found() -> None:
    """Some places cannot be seen, and which ones changes with the design: the first of three that can is enough."""
    differences = []
    for place in (0.5, 0.75, 0.25):
        bus = GateBus(SMALL, "ice40", SYNTHESIS["ice40"], change=broken_adder(place))
        try:
            differences.append(gate_cases(bus, SMALL, range(3), TICKS))
        finally:
            bus.close()
        if differences[-1] is not None:
            break
    assert re.match(
        r"case \d: \w+ differs: tick \d+, core 0, .*: expected \S+ \(golden\), got \S+ \(RTL\)", differences[-1] or "equal"
    )


def test_an_image_in_lockstep_with_a_netlist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden model with another fixed point of the retention stands for a wrong netlist.

    The model is that of ``tests/cli/test_gates.py``.
    """
    network = spikeloom.Network()
    inputs = network.input(5, "in")
    neurons = spikeloom.Neurons(
        retention=np.full(4, 0.5), bias=np.zeros(4), threshold=np.ones(4), reset=np.zeros(4), reset_mode="value",
        refractory=np.zeros(4, np.int64),
    )  # fmt: skip
    cells = network.population(4, neurons, "cells")
    network.projection(inputs, cells, np.random.default_rng(1).normal(0.3, 0.5, (5, 4)))
    network.output(cells)
    image = spikeloom.compile(network, config=SMALL)
    spikes = np.random.default_rng(2).random((2, 12, 5)) < 0.4
    arguments = (image, spikes, "ice40", SYNTHESIS["ice40"])
    result = gate_lockstep(*arguments)
    assert result.mismatch is None
    assert (result.samples, result.ticks) == (2, 2 * (12 + image.drain))
    assert result.spikes == spikeloom.open("golden", image).run(spikes).sum() > 0
    monkeypatch.setattr("spikeloom.golden.lif.RETENTION_FRACTION", 11)
    result = gate_lockstep(*arguments)
    assert (result.samples, result.sample) == (1, 0)
    assert str(result.mismatch).startswith("membrane differs: tick 1, core 0, neuron ")


def test_several_chips_are_refused() -> None:
    config = ChipConfig(cores=(SMALL.cores[0],) * 2, columns=2, chips_across=2)
    with pytest.raises(ConfigError, match="the geometry has 2 chips"):
        GateBus(config, "ice40", SYNTHESIS["ice40"])


def test_a_failed_synthesis_says_why() -> None:
    with pytest.raises(ToolError, match=r"synthesis failed with code 1: .*no_such_command"):
        gate_level.netlist("module top; endmodule\n", "top", "no_such_command")


# Cells ----------------------------------------------------------------------------------------------------------------------

#: A block RAM of each width and a multiplier. Data pins of 36 bits are those of port A, then those of port B.
WIDTHS = (1, 2, 4, 9, 18, 36)
HARNESS = """
#include <cstdint>
#include "Vdut.h"
#include "verilated.h"
extern "C" void run(int64_t cycles, const uint64_t* in, uint64_t* out) {
    VerilatedContext context;
    Vdut dut{&context};
    dut.clk = 0;
    dut.eval();
    for (int64_t i = 0; i < cycles; ++i, in += 8, out += 14) {
        dut.ada = in[0]; dut.adb = in[1]; dut.data = in[2]; dut.wea = in[3] & 1; dut.cea = in[3] >> 1 & 1; dut.ceb = in[3] >> 2 & 1;
        dut.a = in[4]; dut.b = in[5]; dut.signs = in[6];
        dut.clk = 1; dut.eval();
        dut.clk = 0; dut.eval();
        const uint64_t found[] = {FOUND};
        for (int k = 0; k < 13; ++k) out[k] = found[k];
    }
}
"""


def bits(port: str, wire: str, count: int) -> str:
    return ", ".join(f".{port}{i}({wire}[{i}])" for i in range(count))


def probe() -> str:
    """A module with a block RAM of each width, fed alike, and a multiplier."""
    rams, ports = [], []
    for width in WIDTHS:
        low, high = min(width, 18), max(width - 18, 0)
        mode = "NORMAL" if width in (2, 9) else "READBEFOREWRITE"
        ports += [f"output [17:0] doa{width}", f"output [17:0] dob{width}"]
        data = f"{bits('DIA', 'data', low)}" + (", " + ", ".join(f".DIB{i}(data[{18 + i}])" for i in range(high)) if high else "")
        rams.append(
            f'DP16KD #(.DATA_WIDTH_A({width}), .DATA_WIDTH_B({width}), .WRITEMODE_A("{mode}"), .INITVAL_01(320\'d5)) ram{width} '
            f"(.CLKA(clk), .CLKB(clk), .WEA(wea), .CEA(cea), .CEB(ceb), {bits('ADA', 'ada', 14)}, {bits('ADB', 'adb', 14)}, {data}, "
            f"{bits('DOA', f'doa{width}', 18)}, {bits('DOB', f'dob{width}', 18)});\n"
        )
    product = f"MULT18X18D product ({bits('A', 'a', 18)}, {bits('B', 'b', 18)}, {bits('P', 'p', 36)}, .SIGNEDA(signs[0]), .SIGNEDB(signs[1]));\n"
    head = "input clk, input [13:0] ada, input [13:0] adb, input [35:0] data, input wea, input cea, input ceb, input [17:0] a, "
    head += f"input [17:0] b, input [1:0] signs, output [35:0] p, {', '.join(ports)}"
    models = "".join((MODELS / name).read_text() for name in ("dp16kd.v", "mult18x18d.v"))
    return f"module probe({head});\n{''.join(rams)}{product}endmodule\n{models}"


def library(verilog: str, tmp_path: Path) -> ctypes.CDLL:
    found = ", ".join(f"uint64_t(dut.{name})" for name in ("p", *(f"do{port}{width}" for width in WIDTHS for port in "ab")))
    harness = tmp_path / "probe.cpp"
    harness.write_text(HARNESS.replace("FOUND", found))
    return ctypes.CDLL(str(compile_library(verilog, "probe", harness, optimise="-O0")))


class BlockRam:
    """18 kbit as the usage guide describes them: 2048 bytes of nine bits, of which widths below nine use eight."""

    def __init__(self, width: int, keeps: bool) -> None:
        self.width, self.keeps = width, keeps
        self.bits = [0] * (2048 * 9)
        # INITVAL_01 holds the words 16 to 31 of 18 bits: its first is 5.
        self.bits[16 * 18], self.bits[16 * 18 + 2] = 1, 1
        self.a = self.b = 0

    def places(self, address: int) -> list[int]:
        """The bits of a word."""
        if self.width >= 9:
            first = {9: address >> 3, 18: address >> 4 << 1, 36: address >> 5 << 2}[self.width] * 9
        else:
            # Addresses count single bits; a word begins at a multiple of its width.
            bit = address // self.width * self.width
            first = bit // 8 * 9 + bit % 8
        return list(range(first, first + self.width))

    def clock(self, ada: int, adb: int, data: int, write: bool, enable_a: bool, enable_b: bool) -> None:
        goals = self.places(ada)
        old = sum(self.bits[place] << i for i, place in enumerate(goals))
        enabled = [self.width < 18 or bool(ada >> i // 9 & 1) for i in range(self.width)]
        written = {place for place, chosen in zip(goals, enabled, strict=True) if chosen} if write and enable_a else set()
        if enable_b:
            self.b = sum((self.bits[place] ^ (place in written)) << i for i, place in enumerate(self.places(adb)))
        if self.width < 36 and enable_a and not (write and self.keeps):
            self.a = old
        for i, place in enumerate(goals):
            if place in written:
                self.bits[place] = data >> i & 1


def test_our_models_of_block_ram_and_multiplier_do_what_the_usage_guides_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    cycles = 4000
    stimulus = np.zeros((cycles, 8), np.uint64)
    # Few addresses, so that words are met again, often in the same cycle; now and then any.
    narrow = rng.random(cycles) < 0.9
    for column in (0, 1):
        stimulus[:, column] = np.where(narrow, rng.integers(0, 64, cycles) + 256, rng.integers(0, 1 << 14, cycles))
    stimulus[:, 2] = rng.integers(0, 1 << 36, cycles)
    stimulus[:, 3] = rng.integers(0, 8, cycles)
    corners = np.array([0, 1, (1 << 17) - 1, 1 << 17, (1 << 18) - 1])
    for column in (4, 5):
        stimulus[:, column] = np.where(rng.random(cycles) < 0.3, rng.choice(corners, cycles), rng.integers(0, 1 << 18, cycles))
    stimulus[:, 6] = rng.integers(0, 4, cycles)
    got = np.zeros((cycles, 14), np.uint64)
    pointer = ctypes.POINTER(ctypes.c_uint64)
    run = library(probe(), tmp_path).run
    run.argtypes = [ctypes.c_int64, pointer, pointer]
    run(cycles, stimulus.ctypes.data_as(pointer), got.ctypes.data_as(pointer))
    rams = [BlockRam(width, width in (2, 9)) for width in WIDTHS]
    for cycle, (ada, adb, data, enables, a, b, signs, _) in enumerate(stimulus.tolist()):
        factors = [value - (1 << 18) if signs >> i & 1 and value >> 17 else value for i, value in enumerate((a, b))]
        expected = [factors[0] * factors[1] % (1 << 36)]
        for ram in rams:
            ram.clock(ada, adb, data, bool(enables & 1), bool(enables & 2), bool(enables & 4))
            expected += [ram.b & 0x3FFFF, ram.b >> 18] if ram.width == 36 else [ram.a, ram.b]
        assert got[cycle, :13].tolist() == expected, f"cycle {cycle}"


@pytest.mark.parametrize(
    ("kind", "parameter"),
    [
        ("DP16KD", ".DATA_WIDTH_A(9)"),
        ("DP16KD", '.REGMODE_B("OUTREG")'),
        ("DP16KD", '.WRITEMODE_A("WRITETHROUGH")'),
        ("MULT18X18D", '.REG_OUTPUT_CLK("CLK0")'),
    ],
)
def test_a_model_refuses_what_it_does_not_have(kind: str, parameter: str) -> None:
    verilog = f"module top(input clk);\n{kind} #({parameter}) cell0 ();\nendmodule\n"
    with pytest.raises(ToolError, match=f"verilator failed .*{kind}: no model of"):
        compile_model(verilog + "".join(path.read_text() for path in sorted(MODELS.glob("*.v"))), "top", is_top=True, gates=True)


def cell(kind: str, **connections: str) -> str:
    return f"  {kind} cell0 (\n" + ",\n".join(f"    .{port}({wire})" for port, wire in connections.items()) + "\n  );\n"


def test_a_cell_without_a_model_is_refused() -> None:
    with pytest.raises(ToolError, match="the netlist has a cell ALU54B, of which there is no model"):
        with_models(cell("ALU54B", CLK0="clk"), "ecp5")


@pytest.mark.parametrize(
    ("port", "wire"), [("CLKB", "other"), ("WEB", "wire0"), ("RSTB", "wire0"), ("CSA0", "1'h1")], ids=lambda value: value
)
def test_a_use_without_a_model_is_refused(port: str, wire: str) -> None:
    connections = {"CLKA": "clk", "CLKB": "clk", "WEB": "1'h0", "RSTB": "1'h0"}
    assert "DP16KD cell0" in with_models(cell("DP16KD", **connections), "ecp5")
    with pytest.raises(ToolError, match=f"a cell DP16KD has {port} on {wire}"):
        with_models(cell("DP16KD", **(connections | {port: wire})), "ecp5")
