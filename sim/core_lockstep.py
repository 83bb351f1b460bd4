"""Runs random cases of a core under cocotb: one simulator per geometry, many cases on it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cocotb_tools.runner import get_runner

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ToolError
from spikeloom.hdl.core import Core
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.verilog import to_verilog
from spikeloom.sim.compiled import compile_runtime
from spikeloom.sim.toolchain import simulation_environment, verilator_root

MODELS = Path(__file__).parent / "models"
#: Parts of Verilator's runtime that a model for cocotb needs.
RUNTIME = ("verilated", "verilated_dpi", "verilated_vpi", "verilated_threads")
#: Tells a model's makefile to leave them out, since they take longer to compile than the model.
LEFT_OUT = ("VM_GLOBAL_FAST=", "VM_GLOBAL_SLOW=")


class CoreSimulation:
    """A core compiled for a simulator.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    fabric : Fabric
        Target whose memories are built in.
    simulator : str
        ``"verilator"`` or ``"icarus"``.
    folder : Path
        Where the compiled model goes.
    """

    def __init__(self, config: CoreConfig, folder: Path, fabric: Fabric = GENERIC, simulator: str = "verilator") -> None:
        self.config, self.fabric, self.simulator, self.folder = config, fabric, simulator, folder
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "core.v"
        text = to_verilog(Core(config=config, fabric=fabric), "core")
        if simulator == "icarus":
            # Icarus runs "always @*" only after one of its inputs has changed; until then its results are unknown.
            text = text.replace("always @*", "always_comb")
        source.write_text(text)
        sources = [source]
        if fabric.spram:
            sources.append(MODELS / "sb_spram256ka.v")
        os.environ.update(simulation_environment(*(LEFT_OUT if simulator == "verilator" else ())))
        self.runner = get_runner(simulator)
        arguments = ["-g2012"]
        if simulator == "verilator":
            arguments = ["-Wno-fatal", "-Wno-lint", "-O2", "--output-split", "0", "-CFLAGS", "-O0", "-LDFLAGS", str(_runtime())]
        self.runner.build(
            sources=sources,
            hdl_toplevel="core",
            build_dir=folder / "build",
            always=True,
            timescale=("1ns", "1ps"),
            build_args=arguments,
            log_file=folder / "build.log",
        )

    def run(self, seeds: Sequence[int], ticks: int = 20, compare_every: int = 1) -> list[dict[str, object]]:
        """Run the cases of these seeds.

        Returns
        -------
        list of dict
            Per case ``seed`` and ``mismatch`` (text or None). Ends at the first mismatch.

        Raises
        ------
        ToolError
            If the simulation itself failed.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            results = Path(work) / "results.json"
            plan = {
                "config": self.config.as_dict(),
                "seeds": list(seeds),
                "ticks": ticks,
                "compare_every": compare_every,
                "results": str(results),
            }
            (Path(work) / "plan.json").write_text(json.dumps(plan))
            log = Path(work) / "simulation.log"
            self.runner.test(
                hdl_toplevel="core",
                test_module="spikeloom.sim.core_bench",
                build_dir=self.folder / "build",
                test_dir=work,
                results_xml=str(Path(work) / "results.xml"),
                extra_env={"SPIKELOOM_PLAN": str(Path(work) / "plan.json")},
                log_file=log,
            )
            if not results.exists():
                raise ToolError(f"the simulation ended without a result:\n{log.read_text()[-4000:]}")
            outcome: list[dict[str, object]] = json.loads(results.read_text())
            return outcome


def _runtime() -> Path:
    """Verilator's runtime for cocotb."""
    include = verilator_root() / "include"
    return compile_runtime(
        RUNTIME, ["-std=c++17", "-pthread", "-DVM_TRACE=0", "-DVM_COVERAGE=0", f"-I{include}", f"-I{include}/vltstd"]
    )
