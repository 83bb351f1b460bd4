"""The ``spikeloom`` command."""

from __future__ import annotations

import json
import signal
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import spikeloom
from spikeloom.arch.boards import BOARDS, board_geometry
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import ConfigError, InputError, SpikeloomError
from spikeloom.cli.console import print_table, progress_bar, say, spinner
from spikeloom.cli.neuron import PluginOption, check_neuron, load_plugins
from spikeloom.cli.tables import build_tables, image_tables, report_warnings
from spikeloom.host.serial_chip import BAUD
from spikeloom.host.spikes import check_spikes
from spikeloom.network.description import Network
from spikeloom.network.image import Image, write_whole
from spikeloom.network.spike_file import read_spikes, write_spikes

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


class Integrator(StrEnum):
    """Decay at import."""

    EULER = "euler"
    EXACT = "exact"


BoardOption = Annotated[str, typer.Option("--board", "-b", metavar="BOARD", help=f"Board: {', '.join(BOARDS)}.", show_default=True)]
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


def _spikes(path: Path, image: Image, limit: int | None) -> np.ndarray[Any, Any]:
    dt = image.notes.get("dt_ms")
    spikes = read_spikes(path, float(dt) if isinstance(dt, int | float) else None)
    # Before a simulator is compiled, which takes a while.
    check_spikes(spikes, image.input_size)
    if limit is not None:
        if limit < 1:
            raise InputError(f"--limit is {limit}; it must be at least 1")
        spikes = spikes[:limit] if spikes.ndim == 3 else spikes
    return spikes


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
        Path, typer.Option("--input", "-i", metavar="S.npz", help="Input spikes: .npz with 'spikes', or NIR data.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.npz", help="Output spikes to write.")],
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="golden|rtl|virtual|PORT",
            help="golden: the reference model; rtl: the generated hardware, simulated; virtual: the whole board, simulated, through the "
            "driver; or the serial port of a board, such as /dev/ttyUSB1.",
        ),
    ] = "golden",
    limit: SamplesOption = None,
) -> None:
    """Run an image on input spikes, each sample from the initial state."""
    image = Image.load(image_file)
    spikes = _spikes(input_file, image, limit)
    began = time.monotonic()
    with _open(on, image) as chip, progress_bar(f"running on {on}") as progress:
        out = chip.run(spikes, progress=progress)
        counters = chip.counters()
    elapsed = time.monotonic() - began
    write_spikes(output, out)
    samples = out if out.ndim == 3 else out[np.newaxis]
    rows = [(port.name, port.size, int(samples[..., port.first : port.first + port.size].sum())) for port in image.outputs]
    print_table(f"Outputs of {len(samples)} samples of {samples.shape[1]} ticks", ("population", "neurons", "spikes"), rows)
    if counters:
        print_table(
            "Counters per sample",
            ("counter", "mean", "least", "most"),
            [(name, f"{values.mean():.1f}", int(values.min()), int(values.max())) for name, values in counters.items()],
        )
    say(f"{output}: spikes {list(out.shape)}, computed in {elapsed:.1f} s")


def _open(kind: str, image: Image) -> spikeloom.Chip:
    if kind == "golden":
        return spikeloom.open(kind, image)
    with spinner("hardware") as stage:
        stage("generating and compiling (kept for the next time)" if kind in ("rtl", "virtual") else "loading")
        return spikeloom.open(kind, image)


@app.command()
def virtual(
    board: BoardOption = "icebreaker",
    image_file: Annotated[
        Path | None, typer.Option("--image", metavar="N.loom", help="Geometry of this image instead of the board's.")
    ] = None,
    weight_bits: WidthOption = None,
) -> None:
    """A board without the board: the whole design, simulated, behind a serial port whose name is printed. Until Ctrl-C."""
    from spikeloom.sim.virtual import virtual_board

    image = None if image_file is None else Image.load(image_file)
    config = _chip_config(board, weight_bits, image)
    with spinner("hardware") as stage:
        stage("generating and compiling (kept for the next time)")
        hardware = virtual_board(config, board)
    # Also where the shell had the interrupt ignored, as it does for what runs in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with hardware:
        say(hardware.port)
        sys.stdout.flush()
        try:
            hardware.wait()
        except KeyboardInterrupt:
            print(
                f"{hardware.top.cycles} clock cycles, {hardware.top.bytes_in} bytes in, {hardware.top.bytes_out} out",
                file=sys.stderr,
            )


@app.command()
def info(
    port: Annotated[str, typer.Argument(metavar="PORT", help="Serial port of a board, such as /dev/ttyUSB1.")],
    baud: Annotated[int, typer.Option(metavar="N", min=1, help="Bits per second.")] = BAUD,
) -> None:
    """Ask a board what it is: protocol, geometry, state and errors on the line."""
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
) -> None:
    """Lockstep: golden model against generated hardware, compared after each tick. Exit code 1 and the first difference on a mismatch."""
    from spikeloom.sim.verify import lockstep

    image = Image.load(image_file)
    if input_file is None:
        spikes = np.random.default_rng(seed).random((1, ticks, image.input_size)) < rate
        replay = f"spikeloom verify {image_file} --ticks {ticks} --seed {seed} --rate {rate:g}"
    else:
        spikes = _spikes(input_file, image, limit)
        replay = f"spikeloom verify {image_file} --input {input_file}"
    # Compile first: the bar then shows the comparison only.
    _open("rtl", image).close()
    with progress_bar("lockstep") as progress:
        result = lockstep(image, spikes, progress=progress)
    if result.mismatch is not None:
        raise Different(f"sample {result.sample}: {result.mismatch}; replay: {replay}")
    readback = all(core.readback for core in image.config.cores)
    compared = "outputs, potentials, refractory counters and pending events" if readback else "outputs"
    say(
        f"equal: {result.samples} samples, {result.ticks} ticks, {result.spikes} output events, {result.cycles} clock cycles; "
        f"{compared} compared after each tick"
    )


class Different(SpikeloomError):
    """Golden model and hardware differ."""


def _chip_config(board: str, weight_bits: int | None, image: Image | None) -> ChipConfig:
    if image is None:
        return board_geometry(board).chip(weight_bits)
    if weight_bits is not None:
        raise ConfigError("give --image or --weight-bits, not both: the image names its geometry")
    if image.board and image.board != board:
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
    """List the boards with their geometries and clocks."""
    from spikeloom.boards.targets import target

    rows = []
    for name, geometry in BOARDS.items():
        for bits, core in geometry.cores.items():
            entry = target(name)
            rows.append(
                (
                    name,
                    geometry.title,
                    bits,
                    core.axons,
                    core.neurons,
                    core.words * core.lanes,
                    core.lanes,
                    f"{entry.clock_mhz:g}",
                    entry.baud,
                )
            )
    columns = ("board", "name and part", "weight bits", "axons", "neurons", "synapses", "lanes", "MHz", "baud")
    print_table("Boards (none has been tried on hardware yet)", columns, rows)


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
