"""``spikeloom traffic``: tables, picture and totals of a run, and what it says about mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image as picture_file

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.lif import Lif
from spikeloom.cli import traffic as traffic_cli
from spikeloom.cli.traffic import draw_traffic, traffic_tables
from spikeloom.host.traffic import Traffic, links_of, traffic
from spikeloom.network.image import Image
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from tests.cli.conftest import Command

MODEL = Lif(state_bits=16, fraction_bits=0, decay=False, bias_bits=0, refractory_bits=0)


def ring(columns: int, rows: int, **chips: int) -> Image:
    """A core fires whenever the one before has fired, a tick later; the last core closes the ring, and neuron 1 is the output."""
    core = CoreConfig(axons=1, neurons=2, weight_bits=2, lanes=2, models=(MODEL,), destinations=2)
    count = columns * rows
    config = ChipConfig(cores=(core,) * count, columns=columns, rows=rows, **chips)
    cores = [
        CoreArrays(
            weights=[[1, 1]],
            parameters={"threshold": 0, "reset": 0, "reset_mode": 0},
            destinations=[(0, (number + 1) % count, 0, 1)],
            outputs=[(1, number)],
        )
        for number in range(count)
    ]
    return image_from_arrays(config, cores, inputs=[(0, 0, 0, 0)])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    ring(3, 2, chips_across=3).save(tmp_path / "ring.loom")
    # One spike, which is then three times in each core.
    spikes = np.zeros((18, 1), np.bool_)
    spikes[0] = True
    np.savez(tmp_path / "one.npz", spikes=spikes)
    np.savez(tmp_path / "wide.npz", spikes=np.zeros((18, 2)))
    np.savez(tmp_path / "two.npz", spikes=np.stack([spikes, spikes]))
    (tmp_path / "text.npz").write_text("0 1\n")
    return tmp_path


def test_tables_name_what_went_where(command: Command, files: Path) -> None:
    result = command("traffic", files / "ring.loom", "--input", files / "one.npz")
    assert (result.code, result.err) == (0, "")
    rows = [[part.strip() for part in line.split("│")[1:-1]] for line in result.out.splitlines() if line.startswith("│")]
    table = {row[0]: row[1:] for row in rows}
    # Each round has six packets from core to core: 2 + 2 to the east, one from the end of row 0 to the begin of row 1 (2 west, 1 south), and one
    # home (2 west, 1 north). Outputs go to the core above or nowhere: 3 of 6 cores have a hop to their host.
    assert "Traffic of 1 sample of 18 ticks" in result.out
    assert table["spikes"] == ["36"]
    assert table["packets of neurons"] == ["36"]
    assert table["of these to the host"] == ["18"]
    assert table["events from the host"] == ["1"]
    assert table["hops per packet"] == [f"{(3 * (2 + 2 + 3 + 3) + 3 * 3) / 36:.2f}"]
    assert table["crossings of chip borders"] == [str(3 * 8)]
    assert table["4"] == ["1", "1", "2", "6", "0.33", "6", "3", "0", "0"]
    assert table["1"] == ["1", "0", "2", "6", "0.33", "6", "3", "6", "0"]
    # The busiest link: column 0 to the north, both for the ring and for the outputs of core 3.
    assert table["3 to 0 (north)"] == ["no", "6", "0.33", "1"]
    assert table["2 to 1 (west)"] == ["yes", "3", "0.17", "1"]


def test_files_hold_the_totals_and_a_picture(command: Command, files: Path) -> None:
    picture, totals = files / "traffic.png", files / "traffic.json"
    result = command("traffic", files / "ring.loom", "-i", files / "two.npz", "-o", picture, "--json", totals)
    assert (result.code, result.err) == (0, "")
    data = json.loads(totals.read_text())
    assert (data["samples"], data["ticks"], data["spikes"], data["sent"]) == (2, 36, 72, 72)
    assert data == traffic(Image.load(files / "ring.loom"), np.load(files / "two.npz")["spikes"]).as_dict()
    assert picture_file.imread(picture).shape[0] > 200
    first = command("traffic", files / "ring.loom", "-i", files / "two.npz", "--limit", 1, "--json", totals)
    assert (first.code, json.loads(totals.read_text())["ticks"]) == (0, 18)


@pytest.mark.parametrize(
    ("image", "spikes", "options", "code", "message"),
    [
        ("none.loom", "one.npz", (), 1, "none.loom cannot be read: No such file or directory"),
        ("text.npz", "one.npz", (), 1, "text.npz is not a spikeloom image"),
        ("ring.loom", "none.npz", (), 1, "none.npz does not exist or is not a file"),
        ("ring.loom", "text.npz", (), 1, "text.npz is damaged, or neither .npz nor NIR data"),
        ("ring.loom", "wide.npz", (), 1, "input spikes have shape [18, 2]; the image needs [ticks, 1]"),
        ("ring.loom", "one.npz", ("-o", "none/t.png"), 1, "none/t.png cannot be written: No such file or directory"),
        ("ring.loom", "one.npz", ("-o", "folder.png"), 1, "folder.png cannot be written: Is a directory"),
        ("ring.loom", "one.npz", ("-o", "t.pdf"), 2, "--output is t.pdf; the picture is a PNG file, so its name must end in .png"),
        ("ring.loom", "one.npz", ("--json", "none/t.json"), 1, "none/t.json cannot be written: No such file or directory"),
        ("ring.loom", "two.npz", ("--limit", "0"), 1, "--limit is 0; it must be at least 1"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    command: Command, files: Path, monkeypatch: pytest.MonkeyPatch, image: str, spikes: str, options: Any, code: int, message: str
) -> None:
    monkeypatch.chdir(files)
    (files / "folder.png").mkdir()
    before = sorted(files.rglob("*"))
    result = command("traffic", image, "--input", spikes, *options)
    assert result.code == code
    assert len(result.err.splitlines()) == 1
    assert message in result.err
    assert sorted(files.rglob("*")) == before


def test_the_input_is_asked_for(command: Command, files: Path) -> None:
    result = command("traffic", files / "ring.loom")
    assert result.code == 2
    assert "--input" in result.err


def test_of_many_cores_and_links_the_busiest_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(traffic_cli, "TABLE_CORES", 2)
    monkeypatch.setattr(traffic_cli, "TABLE_LINKS", 3)
    # In three ticks the spike comes to cores 0, 1 and 2; only core 0 has another one.
    result = traffic(ring(4, 1), [[True], [False], [True]])
    traffic_tables(result)
    out = capsys.readouterr().out
    assert "The 2 most active of 4 cores" in out
    assert "The busiest 3 of 6 links" in out
    rows = [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")]
    assert rows[-5:] == ["0", "1", "0 to 1 (east)", "1 to 0 (west)", "1 to 2 (east)"]


def test_a_single_core_has_no_links(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = traffic(ring(1, 1), [[True], [False]])
    traffic_tables(result)
    out = capsys.readouterr().out
    assert "no packet crossed a link" in out
    assert "busiest" not in out
    draw_traffic(result, tmp_path / "one.png")
    assert picture_file.imread(tmp_path / "one.png").ndim == 3


def test_pictures_tell_cores_and_links_apart(tmp_path: Path) -> None:
    """What is busy has a dark blue or brown of its own; what is not has none."""
    core = CoreConfig(axons=1, neurons=1)
    config = ChipConfig(cores=(core, core), columns=2)
    spikes, packets = np.zeros((1, 2), np.int64), np.zeros((1, 2), np.int64)

    def colours(spikes_of_core: int, packets_of_link: int) -> tuple[int, int]:
        """Pixels of the darkest blue and of the darkest brown in the left part of the picture, where no colour bar is."""
        spikes[0, 0], packets[0, 0] = spikes_of_core, packets_of_link
        zero = np.zeros((1, 2), np.int64)
        draw_traffic(Traffic(config, links_of(config), 1, spikes, spikes, zero, zero, zero, packets), tmp_path / "two.png")
        pixels = picture_file.imread(tmp_path / "two.png")[:, :, :3]
        mesh = pixels[:, : pixels.shape[1] * 3 // 4]
        darkest = [np.array(table(1.0)[:3]) for table in (traffic_cli.ACTIVITY, traffic_cli.LOAD)]
        blue, brown = (int((np.abs(mesh - colour).max(axis=2) < 0.01).sum()) for colour in darkest)
        return blue, brown

    quiet, active, loaded = colours(0, 0), colours(5, 0), colours(0, 5)
    assert quiet == (0, 0)
    assert active[0] > 1000
    assert active[1] == 0
    assert loaded[0] == 0
    assert loaded[1] > 200


@pytest.mark.parametrize(
    ("columns", "rows", "chips"),
    [(4, 4, {}), (8, 8, {"chips_across": 2, "chips_down": 2}), (1, 8, {}), (12, 9, {"chips_across": 3})],
)
def test_any_mesh_has_a_picture(tmp_path: Path, columns: int, rows: int, chips: dict[str, int]) -> None:
    draw_traffic(traffic(ring(columns, rows, **chips), np.ones((20, 1))), tmp_path / "mesh.png")
    height, width, _ = picture_file.imread(tmp_path / "mesh.png").shape
    assert min(height, width) > 200
    assert max(height, width) < 2500


def test_a_picture_is_the_same_each_time(tmp_path: Path) -> None:
    result = traffic(ring(3, 2), np.ones((6, 1)))
    for name in ("a.png", "b.png"):
        draw_traffic(result, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
