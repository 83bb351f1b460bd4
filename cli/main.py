"""The ``spikeloom`` command."""

from __future__ import annotations

import json
import signal
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import spikeloom
from spikeloom.arch.boards import board_geometry
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import ConfigError, InputError, SpikeloomError
from spikeloom.cli.console import print_table, progress_bar, say, spinner, warn
from spikeloom.cli.neuron import PluginOption, check_neuron, load_plugins
from spikeloom.cli.tables import build_tables, image_tables, report_warnings
from spikeloom.host.spikes import check_intensities, check_spikes
from spikeloom.network.description import Network
from spikeloom.network.image import Image, write_whole
from spikeloom.network.spike_file import read_input, read_spikes, write_output

if TYPE_CHECKING:
    from spikeloom.sim.verify import LockstepResult

app = typer.Typer(
    name="spikeloom",
    help="Weave a spiking neural network into a low-cost FPGA, and prove that the chip computes the same spikes as the reference model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Scale(StrEnum):
    """Quantiser's unit."""

    NEURON = "neuron"
    LAYER = "layer"


class Reset(StrEnum):
    """Reset at import."""

    NIR = "nir"
    ZERO = "zero"
    SUBTRACT = "subtract"
    SUBTRACT_LATE = "subtract-late"


class Code(StrEnum):
    """Spikes of intensities."""

    PHASE = "phase"
    RATE = "rate"


class Integrator(StrEnum):
    """Decay at import."""

    EULER = "euler"
    EXACT = "exact"


BoardOption = Annotated[
    str,
    typer.Option(
        "--board",
        "-b",
        metavar="BOARD",
        help="One that 'spikeloom boards' lists, or another module of amaranth_boards.",
        show_default=True,
    ),
]
WidthOption = Annotated[
    int | None,
    typer.Option(
        "--weight-bits", metavar="N", help="Bits of a weight, 2 to 8; also chooses the board's geometry (default: its first)."
    ),
]
SamplesOption = Annotated[int | None, typer.Option("--limit", metavar="N", help="Use only the first N samples.")]


def _version(value: bool) -> None:
    if value:
        say(spikeloom.__version__)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Options of the command itself."""
    load_plugins(plugin or ())


def _step(dt: str) -> float | str:
    if dt in ("auto", "steps"):
        return dt
    try:
        return float(dt)
    except ValueError:
        raise ConfigError(f"--dt is {dt!r}; it must be a number of seconds, 'auto' or 'steps'") from None


def _read_chip(path: Path) -> ChipConfig:
    try:
        return ChipConfig.from_dict(json.loads(path.read_text()))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} is not a JSON file: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _input(path: Path, image: Image, limit: int | None) -> tuple[str, np.ndarray[Any, Any]]:
    """Spikes or intensities for an image."""
    dt = image.notes.get("dt_ms")
    name, values = read_input(path, float(dt) if isinstance(dt, int | float) else None)
    single = 1
    if name == "spikes":
        # Before a simulator is compiled, which takes a while.
        check_spikes(values, image.input_size)
        single = 2
    if limit is not None:
        if limit < 1:
            raise InputError(f"--limit is {limit}; it must be at least 1")
        values = values[:limit] if values.ndim > single else values
    return name, values


def _spikes(path: Path, image: Image, limit: int | None) -> np.ndarray[Any, Any]:
    name, values = _input(path, image, limit)
    if name != "spikes":
        raise InputError(f"{path} has no array 'spikes', but {name!r}")
    return values


@app.command()
def compile(  # noqa: A001 (the command's name)
    net: Annotated[Path, typer.Argument(metavar="NET.nir", help="Network in the NIR format.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NET.loom", help="Image file to write.")],
    board: BoardOption = "icebreaker",
    weight_bits: WidthOption = None,
    scale: Annotated[Scale, typer.Option(help="One quantisation unit per neuron, or a power of two per layer.")] = Scale.NEURON,
    dt: Annotated[str, typer.Option(metavar="SECONDS|auto|steps", help="Length of a time step.")] = "auto",
    reset: Annotated[
        Reset, typer.Option(help="What a spike does: to v_reset (NIR), to zero, or subtract the threshold.")
    ] = Reset.NIR,
    integrator: Annotated[Integrator, typer.Option(help="Decay 1 - dt/tau (euler) or exp(-dt/tau) (exact).")] = Integrator.EULER,
    samples: Annotated[
        Path | None, typer.Option(metavar="S.npz", help="Spikes on which to compare real and integer spike counts.")
    ] = None,
    late_feedback: Annotated[
        bool, typer.Option("--late-feedback", help="Accept feedback through several layers that comes later.")
    ] = False,
    chip: Annotated[
        Path | None,
        typer.Option(metavar="CHIP.json", help="Geometry of a chip, or of several, instead of the board's (docs/config.md)."),
    ] = None,
) -> None:
    """Quantise, place and route a NIR network into an image, and report what went where."""
    # The enumerations hold the very texts that read_nir names as literals; a type checker cannot see that.
    network: Network = spikeloom.read_nir(net, dt=_step(dt), reset=reset.value, integrator=integrator.value)  # type: ignore[arg-type]
    stimulus = None if samples is None else read_spikes(samples, network.dt)
    image = spikeloom.compile(
        network,
        board=board if chip is None else None,
        config=None if chip is None else _read_chip(chip),
        weight_bits=weight_bits,
        scale=scale.value,
        samples=stimulus,
        late_feedback=late_feedback,
    )
    image.save(output)
    image_tables(image)
    report_warnings(image)
    say(
        f"{output}: {output.stat().st_size} bytes, for {board if chip is None else chip} (geometry {image.config.geometry_id:#010x})"
    )


@app.command()
def run(
    image_file: Annotated[Path, typer.Argument(metavar="NET.loom", help="Image made by 'spikeloom compile'.")],
    input_file: Annotated[
        Path,
        typer.Option(
            "--input", "-i", metavar="S.npz", help="Input: .npz with 'spikes' or 'intensities' (0 to 255), or spikes as NIR data."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.npz", help="Output spikes to write.")],
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="golden|rtl|virtual|auto|PORT",
            help="golden: the reference model; rtl: the generated hardware, simulated; virtual: the whole board, simulated, through the "
            "driver; auto: the board that answers on a USB serial port; or the port of a board, such as /dev/ttyUSB1.",
        ),
    ] = "golden",
    limit: SamplesOption = None,
    counts: Annotated[bool, typer.Option("--counts", help="Write how often each output fired ('counts') instead of when.")] = False,
    ticks: Annotated[int | None, typer.Option(metavar="N", help="Ticks of each sample of intensities.")] = None,
    code: Annotated[Code, typer.Option(help="Spikes of intensities: evenly spaced (phase) or random (rate).")] = Code.PHASE,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of random spikes.")] = 0,
    tick_ms: Annotated[
        float | None, typer.Option("--tick-ms", metavar="MS", help="Real time: least milliseconds from one tick to the next.")
    ] = None,
    learned: Annotated[
        Path | None, typer.Option("--learned", metavar="OUT.loom", help="Write the image with the weights that were learnt.")
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Weights that learn stay as they are.")] = False,
) -> None:
    """Run an image on input spikes or intensities, each sample from the initial state; what one sample teaches, the next one knows."""
    image = Image.load(image_file)
    if (learned is not None or freeze) and not image.config.learning:
        raise ConfigError(f"{'--freeze' if freeze else '--learned'} is given, but no core of {image_file} learns")
    name, values = _input(input_file, image, limit)
    if name == "intensities":
        if ticks is None:
            raise ConfigError(f"{input_file} holds intensities; say with --ticks into how many ticks of spikes to turn each sample")
        check_intensities(values, image.input_size, ticks, code.value, seed)
    elif ticks is not None:
        raise ConfigError(f"--ticks is for intensities; {input_file} holds spikes")
    pace = None if tick_ms is None else tick_ms / 1000
    began = time.monotonic()
    with _open(on, image) as chip, progress_bar(f"running on {on}") as progress:
        if freeze:
            chip.modulate(enabled=False)
        if ticks is None:
            out = chip.run(values, counts=counts, tick_seconds=pace, progress=progress)
        else:
            out = chip.run_intensities(
                values, ticks, code=code.value, seed=seed, counts=counts, tick_seconds=pace, progress=progress
            )
        counters = chip.counters()
        learnt = chip.learned_image() if learned is not None else None
    elapsed = time.monotonic() - began
    what = "counts" if counts else "spikes"
    write_output(output, **{what: out})
    samples = out if out.ndim == (2 if counts else 3) else out[np.newaxis]
    length = values.shape[-2] if ticks is None else ticks
    rows = [(port.name, port.size, int(samples[..., port.first : port.first + port.size].sum())) for port in image.outputs]
    print_table(f"Outputs of {len(samples)} samples of {length} ticks", ("population", "neurons", "spikes"), rows)
    if counters:
        print_table(
            "Counters per sample",
            ("counter", "mean", "least", "most"),
            [(name, f"{values.mean():.1f}", int(values.min()), int(values.max())) for name, values in counters.items()],
        )
    say(f"{output}: {what} {list(out.shape)}, computed in {elapsed:.1f} s")
    if learned is not None:
        assert isinstance(learnt, Image)
        learnt.save(learned)
        say(f"{learned}: the image with what was learnt")
    late = int(counters["overruns"].sum()) if "overruns" in counters else 0
    if late:
        warn(f"{late} of {int(counters['ticks'].sum())} ticks took longer than {tick_ms:g} ms")


def _open(kind: str, image: Image) -> spikeloom.Chip:
    if kind == "golden":
        return spikeloom.open(kind, image)
    if kind in ("rtl", "virtual"):
        with spinner("hardware") as stage:
            stage("generating and compiling (kept for the next time)")
            return spikeloom.open(kind, image)
    with progress_bar("loading") as progress:
        return spikeloom.open(kind, image, progress=progress)


@app.command()
def virtual(
    board: BoardOption = "icebreaker",
    image_file: Annotated[
        Path | None, typer.Option("--image", metavar="N.loom", help="Geometry of this image instead of the board's.")
    ] = None,
    weight_bits: WidthOption = None,
    wave_file: Annotated[
        Path | None, typer.Option("--wave", metavar="W.vcd", help="Waveform to write, of all signals from the start.")
    ] = None,
    wave_cycles: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Clock cycles after which the waveform ends (default: 200000).")
    ] = None,
) -> None:
    """A board without the board: the whole design, simulated, behind a serial port whose name is printed. Until Ctrl-C."""
    from spikeloom.sim.compiled_top import WAVE_CYCLES, Wave
    from spikeloom.sim.virtual import virtual_board

    if wave_cycles is not None and wave_file is None:
        raise ConfigError(f"--wave-cycles is {wave_cycles}, but no waveform is written; name its file with --wave W.vcd")
    wave = None if wave_file is None else Wave(wave_file, wave_cycles or WAVE_CYCLES)
    image = None if image_file is None else Image.load(image_file)
    config = _chip_config(board, weight_bits, image)
    with spinner("hardware") as stage:
        stage("generating and compiling (kept for the next time)")
        hardware = virtual_board(config, board, wave=wave)
    if wave is not None:
        hardware.top.on_wave_end = lambda: print(f"{wave.path}: whole after {wave.cycles} clock cycles", file=sys.stderr)
    # Also where the shell had the interrupt ignored, as it does for what runs in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with hardware:
        say(hardware.port)
        sys.stdout.flush()
        try:
            hardware.wait()
        except KeyboardInterrupt:
            hardware.stop()
            print(
                f"{hardware.top.cycles} clock cycles, {hardware.top.bytes_in} bytes in, {hardware.top.bytes_out} out",
                file=sys.stderr,
            )


@app.command()
def info(
    port: Annotated[
        str, typer.Argument(metavar="[PORT]", help="Serial port of a board, such as /dev/ttyUSB1; auto: the one that answers.")
    ] = "auto",
    baud: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Bits per second (default: those of the boards, one after the other).")
    ] = None,
) -> None:
    """Ask a board what it is: protocol, geometry, build, state and errors on the line."""
    from spikeloom.cli.info import board_info

    board_info(port, baud)


@app.command()
def verify(
    image_file: Annotated[Path, typer.Argument(metavar="NET.loom", help="Image made by 'spikeloom compile'.")],
    input_file: Annotated[
        Path | None, typer.Option("--input", "-i", metavar="S.npz", help="Input spikes (default: random ones).")
    ] = None,
    ticks: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="Ticks of random input.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of random input.")] = 1,
    rate: Annotated[float, typer.Option(metavar="P", min=0, max=1, help="Chance of a random spike per input and tick.")] = 0.1,
    limit: SamplesOption = None,
    gates: Annotated[
        str | None, typer.Option(metavar="BOARD", help="Compare the netlist that synthesis makes for this board; takes minutes.")
    ] = None,
) -> None:
    """Lockstep: golden model against generated hardware, compared after each tick. Exit code 1 and the first difference on a mismatch."""
    image = Image.load(image_file)
    if input_file is None:
        spikes = np.random.default_rng(seed).random((1, ticks, image.input_size)) < rate
        replay = f"spikeloom verify {image_file} --ticks {ticks} --seed {seed} --rate {rate:g}"
    else:
        spikes = _spikes(input_file, image, limit)
        replay = f"spikeloom verify {image_file} --input {input_file}"
    result = _lockstep(image, spikes) if gates is None else _gate_lockstep(image, spikes, gates)
    if gates is not None:
        replay += f" --gates {gates}"
    if result.mismatch is not None:
        raise Different(f"sample {result.sample}: {result.mismatch}; replay: {replay}")
    readback = all(core.readback for core in image.config.cores)
    compared = "outputs, potentials, refractory counters and pending events" if readback else "outputs"
    say(
        f"equal: {result.samples} samples, {result.ticks} ticks, {result.spikes} output events, {result.cycles} clock cycles; "
        f"{compared} compared after each tick"
    )


def _lockstep(image: Image, spikes: np.ndarray[Any, Any]) -> LockstepResult:
    from spikeloom.sim.verify import lockstep

    # Compile first: the bar then shows the comparison only.
    _open("rtl", image).close()
    with progress_bar("lockstep") as progress:
        return lockstep(image, spikes, progress=progress)


def _gate_lockstep(image: Image, spikes: np.ndarray[Any, Any], board: str) -> LockstepResult:
    from spikeloom.boards.flow import SYNTHESIS
    from spikeloom.boards.targets import target
    from spikeloom.sim.gate_level import gate_lockstep

    _chip_config(board, None, image)
    family = target(board).family
    if family not in SYNTHESIS:
        raise ConfigError(f"{board} is not synthesised here, so there is no netlist to compare; use an iCE40 or ECP5 board")
    with progress_bar("synthesis, then lockstep") as progress:
        return gate_lockstep(image, spikes, family, SYNTHESIS[family], progress=progress)


class Different(SpikeloomError):
    """Golden model and hardware differ."""


def _chip_config(board: str, weight_bits: int | None, image: Image | None) -> ChipConfig:
    if image is None:
        return board_geometry(board).chip(weight_bits)
    if weight_bits is not None:
        raise ConfigError("give --image or --weight-bits, not both: the image names its geometry")
    if image.board and image.board != board_geometry(board).name:
        raise ConfigError(f"the image was made for {image.board}, not for {board}; use --board {image.board}, or compile it again")
    return image.config


@app.command()
def traffic(
    image_file: Annotated[Path, typer.Argument(metavar="NET.loom", help="Image of a network.")],
    input_file: Annotated[
        Path, typer.Option("--input", "-i", metavar="S.npz", help="Input spikes: .npz with 'spikes', or NIR data.")
    ],
    picture: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="T.png", help="Picture to write: the mesh with its cores and links.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="T.json", help="File to write the totals to.")] = None,
    limit: SamplesOption = None,
) -> None:
    """Run an image on the golden model, and report what went where: spikes of each core, packets on each link of the mesh."""
    from spikeloom.cli.traffic import draw_traffic, traffic_tables
    from spikeloom.host.traffic import traffic as run_traffic

    if picture is not None and picture.suffix.lower() != ".png":
        raise ConfigError(f"--output is {picture}; the picture is a PNG file, so its name must end in .png")
    image = Image.load(image_file)
    spikes = _spikes(input_file, image, limit)
    with progress_bar("running on golden") as progress:
        result = run_traffic(image, spikes, progress=progress)
    traffic_tables(result)
    if picture is not None:
        draw_traffic(result, picture)
        say(f"{picture}: picture of the mesh")
    if json_file is not None:
        write_whole(json_file, (json.dumps(result.as_dict(), indent=2) + "\n").encode())
        say(f"{json_file}: totals")


@app.command()
def generate(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for spikeloom.v, memory files and report.json.")
    ],
    board: BoardOption = "icebreaker",
    image_file: Annotated[
        Path | None, typer.Option("--image", metavar="N.loom", help="Image: its geometry, and its memories as files.")
    ] = None,
    weight_bits: WidthOption = None,
) -> None:
    """Write the hardware as plain Verilog: the chip behind a serial port, with clock and reset as ports."""
    from spikeloom.boards.build import generate as generate_files
    from spikeloom.boards.targets import target

    image = None if image_file is None else Image.load(image_file)
    config = _chip_config(board, weight_bits, image)
    report = generate_files(target(board), config, output, image)
    print_table(f"{output}", ("file", "SHA-256"), [(name, entry["sha256"]) for name, entry in report["files"].items()])


@app.command()
def build(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for bitstream, Verilog, logs and report.json.")
    ],
    board: BoardOption = "icebreaker",
    image_file: Annotated[Path | None, typer.Option("--image", metavar="N.loom", help="Build the image's geometry.")] = None,
    weight_bits: WidthOption = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seed", metavar="N", help="Placer seed; may be given several times (default: 1 to 5 until the timing is met)."
        ),
    ] = None,
) -> None:
    """Make a bitstream with yosys and nextpnr, and report resources and timing. Takes minutes."""
    from spikeloom.boards.build import SEEDS
    from spikeloom.boards.build import build as build_files
    from spikeloom.boards.targets import target

    image = None if image_file is None else Image.load(image_file)
    config = _chip_config(board, weight_bits, image)
    with spinner(board) as stage:
        report = build_files(target(board), config, output, seeds=seeds or SEEDS, stage=stage)
    build_tables(report)
    say(f"{output / report['bitstream']}: timing met")


@app.command()
def boards() -> None:
    """List the boards with their geometries and clocks, and which were built."""
    from spikeloom.cli.boards import board_table

    board_table()


@app.command()
def program(
    bitstream: Annotated[Path, typer.Argument(metavar="BITSTREAM", help="Bitstream made by 'spikeloom build'.")],
    board: BoardOption = "icebreaker",
    flash: Annotated[
        bool, typer.Option("--flash", help="Write it into the board's flash, where it stays, instead of the part.")
    ] = False,
) -> None:
    """Load a bitstream into a board with openFPGALoader."""
    from spikeloom.cli.boards import program_board

    program_board(board, bitstream, flash)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for picture, image and Verilog.")] = Path(
        "build/demo"
    ),
) -> None:
    """The whole way on real data: a trained network, quantised, run, proven on generated hardware; a table and a picture."""
    from spikeloom.cli.demo import run_demo

    run_demo(output)


app.command("check-neuron")(check_neuron)


def main() -> None:
    """Entry point: a user's mistake ends with one line on standard error."""
    try:
        app()
    except SpikeloomError as error:
        print(f"spikeloom: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
