"""A network on a mesh, from the command line: compile for a geometry in a file, run, verify, traffic, generate."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.examples.digits.data import NETWORK, unseen_samples
from spikeloom.sim.verify import LockstepResult
from tests.cli.conftest import Command

#: Two chips of two cores, on which the bundled network needs more than one.
CORE = CoreConfig(axons=256, neurons=64, weight_bits=8, lanes=8, levels=4, destinations=256)
CHIPS = ChipConfig(cores=(CORE,) * 4, columns=2, rows=2, chips_across=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mesh")
    (path / "chip.json").write_text(json.dumps(CHIPS.as_dict()))
    np.savez(path / "spikes.npz", spikes=unseen_samples()[0][:2, :12])
    return path


def test_a_network_on_two_chips_gives_the_spikes_of_one_core(command: Command, folder: Path) -> None:
    outputs = {}
    for name, options in (("mesh", ["--chip", folder / "chip.json"]), ("board", ["--board", "icebreaker"])):
        result = command("compile", NETWORK, *options, "-o", folder / f"{name}.loom")
        assert result.code == 0, result.err
        if name == "mesh":
            assert "Cores: used of available" in result.out
            assert "Placement" in result.out
        done = command(
            "run", folder / f"{name}.loom", "--input", folder / "spikes.npz", "--on", "golden", "-o", folder / f"{name}.npz"
        )
        assert done.code == 0, done.err
        outputs[name] = np.load(folder / f"{name}.npz")["spikes"]
    assert outputs["mesh"].any()
    np.testing.assert_array_equal(outputs["mesh"], outputs["board"])


@pytest.fixture
def image(command: Command, folder: Path) -> Path:
    """The network on the two chips. Tests may run in any order and in several processes, so whoever comes first compiles it."""
    path = folder / "two_chips.loom"
    if not path.exists():
        result = command("compile", NETWORK, "--chip", folder / "chip.json", "-o", path)
        assert result.code == 0, result.err
    return path


def test_hardware_of_two_chips_follows_golden(command: Command, folder: Path, image: Path) -> None:
    result = command("verify", image, "--input", folder / "spikes.npz", "--limit", 1)
    assert result.code == 0, result.err


def test_verify_says_that_potentials_were_not_compared_where_one_core_cannot_be_read(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CHIPS, cores=(*CHIPS.cores[:3], dataclasses.replace(CORE, readback=False)))
    (folder / "closed.json").write_text(json.dumps(config.as_dict()))
    assert command("compile", NETWORK, "--chip", folder / "closed.json", "-o", folder / "closed.loom").code == 0
    # What is said does not depend on what was run.
    monkeypatch.setattr("spikeloom.cli.main._open", lambda _, image: spikeloom.open("golden", image))
    monkeypatch.setattr("spikeloom.sim.verify.lockstep", lambda *_, **__: LockstepResult(1, 100, 20, 5000))
    result = command("verify", folder / "closed.loom")
    assert result.code == 0, result.err
    assert " ".join(result.out.split()).endswith("5000 clock cycles; outputs compared after each tick")


def test_generate_writes_a_file_for_each_chip(command: Command, folder: Path, image: Path) -> None:
    result = command("generate", "--board", "ulx3s", "--image", image, "-o", folder / "verilog")
    assert result.code == 0, result.err
    report = json.loads((folder / "verilog" / "report.json").read_text())
    assert {name for name in report["files"] if name.endswith(".v")} == {"spikeloom_chip0.v", "spikeloom_chip1.v"}
    first, second = ((folder / "verilog" / f"spikeloom_chip{number}.v").read_text() for number in (0, 1))
    assert "link_east_tx" in first
    assert "link_west_rx" in second
    assert (folder / "verilog" / "memory" / "core3_rows.mem").exists()
    # Of the image of core 3, what load.mem writes goes to its addresses.
    spaces = {int(line[:2], 16) for line in (folder / "verilog" / "memory" / "load.mem").read_text().split()}
    assert spaces == {1, 2, 3, 4}


def test_a_bitstream_for_chips_with_links_is_refused(command: Command, folder: Path, image: Path) -> None:
    result = command("build", "--board", "ulx3s", "--image", image, "-o", folder / "bitstream")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "no pins of ulx3s are set aside for them" in result.err
    assert not (folder / "bitstream").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is not a JSON file: "),
        ("[]", "not a chip geometry of this version of spikeloom: "),
        ({"columns": 3}, "cores holds 4; 3 columns and 2 rows need 6, row by row"),
        ({"chips_across": 7}, "chips_across is 7; it must be 1 to 2"),
        ({"rows": float("nan")}, "rows must be"),
    ],
)
def test_a_geometry_that_makes_no_sense_is_refused_in_one_line(command: Command, tmp_path: Path, content: Any, told: str) -> None:
    path = tmp_path / "chip.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(CHIPS.as_dict() | content))
    result = command("compile", NETWORK, "--chip", path, "-o", tmp_path / "net.loom")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert told in result.err
    assert str(path) in result.err
    assert not (tmp_path / "net.loom").exists()
