"""The commands as a user calls them: what they print, write and return, and what they say about mistakes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import shlex
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import typer.main

import spikeloom
from spikeloom.arch.boards import BOARDS
from spikeloom.arch.errors import ToolError
from spikeloom.arch.memory_map import COUNTER_NAMES, regions
from spikeloom.boards import build as build_module
from spikeloom.cli.main import app
from spikeloom.examples.digits.data import NETWORK, unseen_samples
from spikeloom.golden.chip import Chip
from spikeloom.golden.core import Core
from spikeloom.network.image import FORMAT_VERSION, MAGIC, Image
from tests.cli.conftest import Command, Result
from tests.network.cases import chain, lif, linear

SAMPLES = 3


@pytest.fixture(scope="module")
def image() -> Image:
    loaded = spikeloom.compile(spikeloom.read_nir(NETWORK), board="icebreaker")
    assert isinstance(loaded, Image)
    return loaded


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, image: Image) -> Path:
    """A folder with good files, and one bad file for each thing that can be wrong."""
    folder = tmp_path_factory.mktemp("files")
    spikes = unseen_samples()[0][:SAMPLES]
    image.save(folder / "net.loom")
    np.savez(folder / "spikes.npz", spikes=spikes)
    _bad_images(folder)
    _bad_networks(folder)
    _bad_spikes(folder, spikes)
    _nir_data(folder, "grid.h5", nir.TimeGriddedData(spikes, 1e-4))
    _nir_data(folder, "events.h5", nir.TimeGriddedData(spikes, 1e-4).to_event(2000, time_shift=2e-5))
    return folder


def _bad_images(folder: Path) -> None:
    good = (folder / "net.loom").read_bytes()
    (folder / "cut.loom").write_bytes(good[: len(good) // 2])
    (folder / "flipped.loom").write_bytes(good[:5000] + bytes([good[5000] ^ 1]) + good[5001:])
    version = (FORMAT_VERSION + 1).to_bytes(2, "little")
    (folder / "newer.loom").write_bytes(MAGIC + version + good[len(MAGIC) + 2 :])
    (folder / "text.loom").write_text("an image of a loom\n")
    (folder / "empty.loom").write_bytes(b"")


def _bad_networks(folder: Path) -> None:
    good = NETWORK.read_bytes()
    (folder / "cut.nir").write_bytes(good[: len(good) // 2])
    (folder / "text.nir").write_text("a network\n")
    nir.write(folder / "delay.nir", chain(linear(3, 3), nir.Delay(np.ones(3))))
    weights = np.ones((3, 3), np.float32)
    weights[1, 2] = np.nan
    nir.write(folder / "nan.nir", chain(nir.Linear(weights), lif()))
    nir.write(folder / "large.nir", chain(linear(300, 3), lif(300), outputs=300))


def _bad_spikes(folder: Path, spikes: Any) -> None:
    good = (folder / "spikes.npz").read_bytes()
    np.savez(folder / "columns.npz", spikes=spikes[:, :, :63])
    np.savez(folder / "flat.npz", spikes=spikes[0, 0])
    values = spikes.astype(np.int64)
    values[1, 2, 3] = 2
    np.savez(folder / "values.npz", spikes=values)
    np.savez(folder / "words.npz", spikes=np.full((4, 64), "spike"))
    np.savez(folder / "missing.npz", outputs=spikes, labels=np.arange(3))
    (folder / "cut.npz").write_bytes(good[: len(good) // 2])
    np.savez_compressed(folder / "flipped.npz", spikes=spikes)
    compressed = bytearray((folder / "flipped.npz").read_bytes())
    compressed[200] ^= 0xFF
    (folder / "flipped.npz").write_bytes(compressed)
    np.savez(folder / "objects.npz", allow_pickle=True, spikes=np.array([{"a": 1}, None], object))
    (folder / "pickle.npz").write_bytes(pickle.dumps(spikes))
    (folder / "text.npz").write_text("0 1 0 1\n")
    (folder / "empty.npz").write_bytes(b"")
    np.save(folder / "single.npy", spikes)
    _nir_data(folder, "late.h5", nir.EventData(np.array([[5, 7]]), np.array([[1e-4, 9e-4]]), 64, 8e-4))
    _nir_data(folder, "potential.h5", nir.TimeGriddedData(spikes, 1e-4), "v", "i")


def _nir_data(folder: Path, name: str, data: Any, *observables: str) -> None:
    node = nir.NIRNodeData(observables=dict.fromkeys(observables or ("spikes",), data))
    nir.write_data(folder / name, nir.NIRGraphData(nodes={"input": node}))


def _spikes_in(path: Path) -> np.ndarray[Any, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return np.asarray(archive["spikes"])


# Help -----------------------------------------------------------------------------------------------------------------------

COMMANDS = [
    "compile",
    "run",
    "verify",
    "generate",
    "build",
    "program",
    "boards",
    "demo",
    "check-neuron",
    "traffic",
    "virtual",
    "info",
]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_a_command_explains_each_of_its_options(command: Command, name: str, flag: str) -> None:
    result = command(name, flag)
    assert (result.code, result.err) == (0, "")
    words = " ".join(result.out.split())
    group: Any = typer.main.get_command(app)
    assert sorted(group.commands) == sorted(COMMANDS)
    for parameter in group.commands[name].params:
        help_text = getattr(parameter, "help", None)
        assert help_text, parameter.name
        assert " ".join(help_text.split()) in words
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            assert option in words


def test_help_lists_every_command_with_a_line(command: Command) -> None:
    result = command("--help")
    assert result.code == 0
    lines = [line.split(maxsplit=1) for line in result.out.splitlines()]
    described = {line[0]: line[1] for line in lines if len(line) == 2}
    assert all(len(described[name]) > 15 for name in COMMANDS)
    # Without arguments the same text comes.
    bare = command()
    assert (bare.out + bare.err).strip() == result.out.strip()


def test_defaults_stand_in_the_help(command: Command) -> None:
    words = " ".join(command("verify", "--help").out.split())
    for default in ("[default: 100", "[default: 1", "[default: 0.1"):
        assert default in words
    assert "[default: icebreaker]" in " ".join(command("compile", "--help").out.split())


def test_version_is_that_of_the_package(command: Command) -> None:
    result = command("--version")
    assert (result.code, result.out) == (0, f"{spikeloom.__version__}\n")


# The way of a network -------------------------------------------------------------------------------------------------------


def test_compile_writes_the_image_and_says_what_went_where(command: Command, tmp_path: Path, image: Image) -> None:
    result = command("compile", NETWORK, "-o", tmp_path / "net.loom")
    assert (result.code, result.err) == (0, "")
    written = Image.load(tmp_path / "net.loom")
    assert written.config == image.config
    for name, words in image.memories[0].items():
        np.testing.assert_array_equal(written.memories[0][name], words)
    for what in ("0-63", "64-73", "weight words", "accumulator bits", "decay 0.9 per step", f"{image.config.geometry_id:#010x}"):
        assert what in result.out
    assert f"{(tmp_path / 'net.loom').stat().st_size} bytes" in result.out


def test_compile_compares_spike_counts_on_samples(command: Command, files: Path, tmp_path: Path) -> None:
    result = command("compile", NETWORK, "-o", tmp_path / "net.loom", "--samples", files / "spikes.npz", "--weight-bits", 4)
    assert result.code == 0
    table = result.out[result.out.index("Spikes on the samples") :]
    assert table.count("%") == 2  # two populations
    assert Image.load(tmp_path / "net.loom").config.cores[0].weight_bits == 4


def test_compile_takes_weights_narrower_than_those_of_the_geometry(command: Command, tmp_path: Path) -> None:
    assert command("compile", NETWORK, "-o", tmp_path / "net.loom", "--weight-bits", 3).code == 0
    weights = Image.load(tmp_path / "net.loom")
    assert weights.config.cores[0].weight_bits == 4
    values = regions(weights.config.cores[0])["weights"].layout.unpack(weights.memories[0]["weights"])["weight"]
    assert (values.min(), values.max()) >= (-4, 1)
    assert values.max() <= 3


def test_compile_passes_the_options_of_the_import_on(command: Command, tmp_path: Path) -> None:
    options = ("--reset", "subtract", "--integrator", "exact", "--dt", "0.0002", "--scale", "layer", "--board", "ulx3s")
    result = command("compile", NETWORK, "-o", tmp_path / "net.loom", *options)
    assert result.code == 0
    network = spikeloom.read_nir(NETWORK, dt=2e-4, reset="subtract", integrator="exact")
    expected = spikeloom.compile(network, board="ulx3s", scale="layer")
    written = Image.load(tmp_path / "net.loom")
    assert written.board == "ulx3s"
    for name, words in expected.memories[0].items():
        np.testing.assert_array_equal(written.memories[0][name], words)


def test_compile_warns_on_standard_error_and_still_writes_the_image(command: Command, tmp_path: Path) -> None:
    # Thresholds far above the weights leave the weights few bits.
    nir.write(tmp_path / "net.nir", chain(linear(3, 3), lif(v_threshold=3e4)))
    result = command("compile", tmp_path / "net.nir", "-o", tmp_path / "net.loom")
    assert result.code == 0
    assert result.err.startswith("warning: population 1: its weights keep ")
    assert "warning" not in result.out
    assert Image.load(tmp_path / "net.loom").input_size == 3


def test_golden_and_generated_hardware_write_the_same_spikes(command: Command, files: Path, tmp_path: Path, image: Image) -> None:
    arguments = ("run", files / "net.loom", "--input", files / "spikes.npz", "-o")
    golden = command(*arguments, tmp_path / "golden.npz")
    assert (golden.code, golden.err) == (0, "")
    rtl = command(*arguments, tmp_path / "rtl.npz", "--on", "rtl")
    assert rtl.code == 0, rtl.err
    expected = spikeloom.open("golden", image).run(_spikes_in(files / "spikes.npz"))
    assert expected.any()
    np.testing.assert_array_equal(_spikes_in(tmp_path / "golden.npz"), expected)
    np.testing.assert_array_equal(_spikes_in(tmp_path / "rtl.npz"), expected)
    # The tables count the same; only hardware has a clock.
    for name in (*COUNTER_NAMES, "misrouted"):
        assert (name in golden.out) == (name != "cycles")
        assert name in rtl.out
    assert f"spikes {list(expected.shape)}" in golden.out
    assert f"│ {int(expected.sum())} │" in " ".join(golden.out.split())


def test_verify_finds_golden_and_hardware_equal(command: Command, files: Path) -> None:
    result = command("verify", files / "net.loom", "--input", files / "spikes.npz", "--limit", 2)
    assert result.code == 0, result.err
    # 16 ticks and one to drain, for two samples.
    assert result.out.startswith("equal: 2 samples, 34 ticks, ")
    assert "potentials" in result.out
    again = command("verify", files / "net.loom", "--ticks", 20, "--seed", 3, "--rate", 0.3)
    assert again.code == 0, again.err
    assert again.out.startswith("equal: 1 samples, 21 ticks, ")


def test_generate_writes_verilog_report_and_memory_files(command: Command, files: Path, tmp_path: Path, image: Image) -> None:
    folder = tmp_path / "new" / "out"
    result = command("generate", "--board", "icebreaker", "--image", files / "net.loom", "-o", folder)
    assert (result.code, result.err) == (0, "")
    report = json.loads((folder / "report.json").read_text())
    assert report["geometry"] == image.config.as_dict()
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == set(report["files"]) | {"report.json"}
    assert {f"memory/core0_{name}.mem" for name in image.memories[0]} < written
    for name, entry in report["files"].items():
        assert entry["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert name in result.out
    # One line per bus write: address and word.
    table = regions(image.config.cores[0])
    writes = [(int(line[:8], 16), int(line[8:], 16)) for line in (folder / "memory" / "load.mem").read_text().split()]
    expected = {
        table[name].address(index, slice_): part
        for name, words in image.memories[0].items()
        for index, word in enumerate(words.tolist())
        for slice_, part in enumerate(word)
    }
    assert dict(writes) == expected
    assert len(writes) == len(expected)


@pytest.mark.parametrize(("board", "bits"), [("ulx3s", None), ("icebreaker", 4)])
def test_generate_without_an_image_takes_the_geometry_of_the_board(
    command: Command, tmp_path: Path, board: str, bits: int | None
) -> None:
    width = () if bits is None else ("--weight-bits", bits)
    assert command("generate", "-b", board, *width, "-o", tmp_path).code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["geometry"] == BOARDS[board].chip(bits).as_dict()
    assert set(report["files"]) == {"spikeloom.v"}


def test_boards_lists_every_geometry(command: Command) -> None:
    result = command("boards")
    assert (result.code, result.err) == (0, "")
    for name, board in BOARDS.items():
        assert result.out.count(name) >= len(board.cores)
        for core in board.cores.values():
            assert f" {core.words * core.lanes} " in result.out


def test_run_replaces_an_older_output_and_leaves_nothing_beside_it(command: Command, files: Path, tmp_path: Path) -> None:
    (tmp_path / "out.npz").write_text("something old")
    result = command("run", files / "net.loom", "-i", files / "spikes.npz", "-o", tmp_path / "out.npz", "--limit", 1)
    assert result.code == 0
    assert _spikes_in(tmp_path / "out.npz").shape == (1, 16, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


@pytest.mark.parametrize("name", ["grid.h5", "events.h5"])
def test_nir_data_files_are_inputs_too(command: Command, files: Path, tmp_path: Path, name: str) -> None:
    for source in ("spikes.npz", name):
        assert command("run", files / "net.loom", "-i", files / source, "-o", tmp_path / f"{source}.out").code == 0
    expected = _spikes_in(tmp_path / "spikes.npz.out")
    assert expected.any()
    np.testing.assert_array_equal(_spikes_in(tmp_path / f"{name}.out"), expected)


def test_one_sample_without_a_sample_axis_gives_one_without(command: Command, files: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", spikes=_spikes_in(files / "spikes.npz")[0].astype(np.uint8))
    result = command("run", files / "net.loom", "-i", tmp_path / "one.npz", "-o", tmp_path / "out.npz", "--limit", 1)
    assert result.code == 0
    assert _spikes_in(tmp_path / "out.npz").shape == (16, 10)


# Build: the tools themselves are tested with the boards ---------------------------------------------------------------------


def test_build_passes_geometry_and_seeds_on_and_prints_the_report(
    command: Command, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: Image
) -> None:
    calls = []

    def build(target: Any, config: Any, folder: Path, *, seeds: Any, stage: Any) -> dict[str, Any]:
        calls.append((target.name, config, folder, tuple(seeds)))
        stage("synthesis")
        return {
            "board": target.name, "clock_mhz": 39.0, "fmax_mhz": 41.25, "seed": 7, "bitstream": "spikeloom.bin",
            "used": {"lut": 1234, "dsp": 0, "spram": 4}, "available": {"lut": 5280, "dsp": 8, "spram": 4},
            "cycles": {"idle_tick": 339, "event_of_a_full_row": 32},
        }  # fmt: skip

    monkeypatch.setattr(build_module, "build", build)
    result = command("build", "--image", files / "net.loom", "-o", tmp_path, "--seed", 7, "--seed", 9)
    assert result.code == 0
    assert calls == [("icebreaker", image.config, tmp_path, (7, 9))]
    for what in ("1234", "5280", "23 %", "41.25", "339", "32", "timing met", "spikeloom.bin"):
        assert what in result.out
    command("build", "-b", "ulx3s", "--weight-bits", 4, "-o", tmp_path)
    assert calls[1] == ("ulx3s", BOARDS["ulx3s"].chip(4), tmp_path, build_module.SEEDS)


def test_a_tool_that_fails_is_one_line(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any, **__: Any) -> None:
        raise ToolError("yosys failed:\n  line 1\n  line 2")

    monkeypatch.setattr(build_module, "build", build)
    result = command("build", "-o", tmp_path / "out")
    assert (result.code, result.out) == (1, "")
    assert result.err.strip() == "spikeloom: error: yosys failed: line 1 line 2"


# Mistakes -------------------------------------------------------------------------------------------------------------------


def _check_mistake(result: Result, code: int, message: str) -> None:
    assert "Traceback" not in result.err
    assert result.err.startswith("spikeloom: error: ")
    assert result.err.count("\n") == 1, result.err
    assert message in result.err
    assert result.code == code
    assert result.out == ""


@pytest.mark.parametrize(
    ("network", "options", "code", "message"),
    [
        ("nothing.nir", (), 1, "does not exist or is not a file"),
        (".", (), 1, "does not exist or is not a file"),
        ("cut.nir", (), 1, "cut.nir cannot be read as a NIR file (HDF5)"),
        ("text.nir", (), 1, "text.nir cannot be read as a NIR file (HDF5)"),
        ("net.loom", (), 1, "net.loom cannot be read as a NIR file (HDF5)"),
        ("grid.h5", (), 1, "has no group 'node'"),
        ("delay.nir", (), 1, "is a 'Delay'; supported are"),
        ("nan.nir", (), 1, "weight"),
        ("large.nir", (), 1, "300"),
        (NETWORK, ("--board", "pynq"), 2, "no board is called 'pynq'; there are icebreaker, upduino-v3"),
        (NETWORK, ("--weight-bits", 1), 2, "1"),
        (NETWORK, ("--weight-bits", 16), 2, "icebreaker has no geometry with 16-bit weights; the widest is 8"),
        (NETWORK, ("--dt", "soon"), 2, "--dt is 'soon'; it must be a number of seconds, 'auto' or 'steps'"),
        (NETWORK, ("--dt", "-1"), 1, "it must be a number of seconds above 0"),
        (NETWORK, ("--samples", "values.npz"), 1, "samples hold values other than 0 and 1"),
        (NETWORK, ("--samples", "columns.npz"), 1, "63"),
        (NETWORK, ("--samples", "nothing.npz"), 1, "does not exist"),
    ],
)
def test_compile_refuses_in_one_line_and_writes_nothing(
    command: Command,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    network: str | Path,
    options: tuple[object, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(files)
    _check_mistake(command("compile", network, "-o", tmp_path / "out.loom", *options), code, message)
    assert list(tmp_path.iterdir()) == []


IMAGE_MISTAKES = [
    ("nothing.loom", "cannot be read: No such file or directory"),
    (".", "cannot be read: Is a directory"),
    ("cut.loom", "is damaged: its checksum is wrong; compile the network again"),
    ("flipped.loom", "is damaged: its checksum is wrong; compile the network again"),
    ("newer.loom", f"has format version {FORMAT_VERSION + 1}; this spikeloom reads version {FORMAT_VERSION}"),
    ("text.loom", "is not a spikeloom image"),
    ("empty.loom", "is not a spikeloom image"),
    ("spikes.npz", "is not a spikeloom image"),
]


@pytest.mark.parametrize("name", ["run", "run rtl", "verify", "generate", "build"])
@pytest.mark.parametrize(("file", "message"), IMAGE_MISTAKES, ids=[file for file, _ in IMAGE_MISTAKES])
def test_a_bad_image_is_refused_in_one_line_and_nothing_is_written(
    command: Command, files: Path, tmp_path: Path, name: str, file: str, message: str
) -> None:
    arguments: dict[str, tuple[object, ...]] = {
        "run": ("run", files / file, "-i", files / "spikes.npz", "-o", tmp_path / "out.npz"),
        "run rtl": ("run", files / file, "-i", files / "spikes.npz", "-o", tmp_path / "out.npz", "--on", "rtl"),
        "verify": ("verify", files / file),
        "generate": ("generate", "--image", files / file, "-o", tmp_path / "out"),
        "build": ("build", "--image", files / file, "-o", tmp_path / "out"),
    }
    _check_mistake(command(*arguments[name]), 1, message)
    assert list(tmp_path.iterdir()) == []


SPIKE_MISTAKES = [
    ("nothing.npz", "does not exist or is not a file"),
    (".", "does not exist or is not a file"),
    ("columns.npz", "input spikes have shape [3, 16, 63]; the image needs [ticks, 64] or [samples, ticks, 64]"),
    ("flat.npz", "input spikes have shape [64]"),
    ("values.npz", "input spikes must be 0 or 1, but the value at [1, 2, 3] is 2"),
    ("words.npz", "they must be bool or the numbers 0 and 1"),
    ("missing.npz", "has no array 'spikes'; it holds ['outputs', 'labels']"),
    ("cut.npz", "cut.npz is damaged"),
    ("flipped.npz", "flipped.npz is damaged"),
    ("objects.npz", "allow_pickle=False"),
    ("pickle.npz", "neither .npz nor NIR data"),
    ("text.npz", "neither .npz nor NIR data; save spikes with numpy.savez(path, spikes=array)"),
    ("empty.npz", "neither .npz nor NIR data"),
    ("net.loom", "neither .npz nor NIR data"),
    ("single.npy", "is a single array; save it with numpy.savez(path, spikes=array)"),
    ("cut.nir", "cannot be read as NIR data"),
    ("late.h5", "has an event of neuron 7 at 0.0009 s; it has 64 neurons and lasts 0.0008 s"),
    ("potential.h5", "has ['i', 'v'], but no 'spikes'"),
]


@pytest.mark.parametrize("name", ["run", "verify"])
@pytest.mark.parametrize(("file", "message"), SPIKE_MISTAKES, ids=[file for file, _ in SPIKE_MISTAKES])
def test_bad_input_spikes_are_refused_in_one_line_and_nothing_is_written(
    command: Command, files: Path, tmp_path: Path, name: str, file: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_model(*_: Any, **__: Any) -> None:
        raise AssertionError("a simulator is compiled before the input is checked")

    monkeypatch.setattr("spikeloom.sim.rtl_bus.compile_model", compile_model)
    arguments: tuple[object, ...] = (name, files / "net.loom", "-i", files / file)
    if name == "run":
        arguments += ("-o", tmp_path / "out.npz", "--on", "rtl")
    _check_mistake(command(*arguments), 1, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["run", "verify"])
@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(command: Command, files: Path, tmp_path: Path, name: str, limit: int) -> None:
    output = ("-o", tmp_path / "out.npz") if name == "run" else ()
    result = command(name, files / "net.loom", "-i", files / "spikes.npz", *output, "--limit", limit)
    _check_mistake(result, 1, f"--limit is {limit}; it must be at least 1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["generate", "build"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--board", "pynq"), "no board is called 'pynq'; there are icebreaker, upduino-v3"),
        (("--weight-bits", 3), "icebreaker has no geometry with 3-bit weights; choose 8 or 4"),
        (("--weight-bits", 16), "icebreaker has no geometry with 16-bit weights; choose 8 or 4"),
        (("--board", "ulx3s", "--image", "net.loom"), "the image was made for icebreaker, not for ulx3s; use --board icebreaker"),
        (("--weight-bits", 4, "--image", "net.loom"), "give --image or --weight-bits, not both"),
    ],
    ids=["board", "3 bits", "16 bits", "other board", "image and bits"],
)
def test_hardware_that_does_not_exist_is_refused_and_no_folder_is_made(
    command: Command,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(files)
    _check_mistake(command(name, *options, "-o", tmp_path / "out"), 2, message)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_one_line(command: Command, files: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    spikes = files / "spikes.npz"
    for place in (tmp_path / "missing" / "out", tmp_path / "file" / "out"):
        for arguments in (("compile", NETWORK, "-o", place), ("run", files / "net.loom", "-i", spikes, "-o", place)):
            _check_mistake(command(*arguments), 1, "cannot be written: ")
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        _check_mistake(command("generate", "-o", place), 2, "cannot be written: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "a file"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("compile",), "NET.nir"),
        (("compile", "net.nir"), "--output"),
        (("run", "net.loom", "-o", "out.npz"), "--input"),
        (("run", "net.loom", "-i", "s.npz", "-o", "o.npz", "--limit", "many"), "--limit"),
        (("verify", "net.loom", "--ticks", 0), "--ticks"),
        (("verify", "net.loom", "--rate", 1.5), "--rate"),
        (("generate",), "--output"),
        (("weave",), "weave"),
        (("boards", "--all"), "--all"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_argument(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = command(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err
    assert named in result.err
    assert list(tmp_path.iterdir()) == []


# A mismatch -----------------------------------------------------------------------------------------------------------------


def _spoil_potential(monkeypatch: pytest.MonkeyPatch, tick: int, neuron: int) -> None:
    """From that tick on, the golden core's neuron is one unit too high at the end of each tick."""
    right = Core.tick

    def tick_(self: Core) -> Any:
        result = right(self)
        if self.ticks > tick:
            self.state["membrane"][:, neuron] += 1
        return result

    monkeypatch.setattr(Core, "tick", tick_)


def test_verify_names_the_first_potential_that_differs_and_how_to_replay(
    command: Command, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as spoilt:
        _spoil_potential(spoilt, tick=4, neuron=17)
        result = command("verify", files / "net.loom", "--ticks", 20, "--seed", 3, "--rate", 0.25)
    replay = f"spikeloom verify {files / 'net.loom'} --ticks 20 --seed 3 --rate 0.25"
    _check_mistake(result, 1, "sample 0: membrane differs: tick 4, core 0, neuron 17: expected ")
    expected, got = (int(result.err.split(word)[1].split()[0]) for word in ("expected ", "got "))
    assert expected == got + 1
    assert result.err.endswith(f"; replay: {replay}\n")
    # The line is a command, and it does the same again.
    with monkeypatch.context() as spoilt:
        _spoil_potential(spoilt, tick=4, neuron=17)
        assert command(*shlex.split(replay)[1:]) == result


def test_verify_names_the_first_output_event_that_differs(command: Command, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Chip.tick
    number = 7

    def tick(self: Chip) -> Any:
        result = right(self)
        # In the second sample, tick 9, output 7 speaks up if it is silent, and the other way round.
        state["ticks"] += 1
        if state["ticks"] == 17 + 10:
            result = dataclasses.replace(result, outputs=result.outputs ^ (result.numbers == number))
            state["sent"] = result.numbers[result.outputs[0]].tolist()
        return result

    state: dict[str, Any] = {"ticks": 0}
    with monkeypatch.context() as spoilt:
        spoilt.setattr(Chip, "tick", tick)
        result = command("verify", files / "net.loom", "--input", files / "spikes.npz")
    _check_mistake(result, 1, "sample 1: output differs: tick 9, core 0, event ")
    event = int(result.err.split("event ")[1].split(":")[0])
    expected, got = (result.err.split(word)[1].split()[0] for word in ("expected ", "got "))
    assert expected == (str(state["sent"][event]) if event < len(state["sent"]) else "nothing")
    assert str(number) in (expected, got)
    assert result.err.endswith(f"; replay: spikeloom verify {files / 'net.loom'} --input {files / 'spikes.npz'}\n")
