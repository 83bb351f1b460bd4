"""``spikeloom run`` of images that learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikeloom
from spikeloom.examples.digits.data import NETWORK
from spikeloom.examples.learning.protocol import HIGHEST, protocol_image
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.network.image import Image
from spikeloom.network.plasticity import Plasticity
from tests.cli.conftest import Command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = protocol_image(Plasticity(rule="dw = 100 * x1 * y0", tau={"x1": 10}, high=HIGHEST), 2, 2)
    assert isinstance(image, Image)
    image.save(tmp_path / "net.loom")
    np.savez(tmp_path / "in.npz", spikes=np.random.default_rng(1).random((3, 20, 4)) < 0.3)
    return tmp_path


def weights(path: Path) -> list[list[int]]:
    found: list[list[int]] = GoldenChip(Image.load(path)).state()["core0.weights"].tolist()
    return found


def test_what_was_learnt_is_an_image(command: Command, folder: Path) -> None:
    run = ("run", folder / "net.loom", "-i", folder / "in.npz", "-o", folder / "out.npz", "--learned", folder / "learned.loom")
    done = command(*run)
    assert done.code == 0, done.err
    assert "learned.loom: the image with what was learnt" in done.out
    assert weights(folder / "learned.loom") != weights(folder / "net.loom")
    done = command(*run, "--freeze")
    assert done.code == 0, done.err
    assert weights(folder / "learned.loom") == weights(folder / "net.loom")


@pytest.mark.parametrize("option", ["--freeze", "--learned"])
def test_a_network_that_does_not_learn(command: Command, folder: Path, option: str) -> None:
    spikeloom.compile(spikeloom.read_nir(NETWORK), board="ulx3s").save(folder / "plain.loom")
    more = [option] if option == "--freeze" else [option, folder / "learned.loom"]
    done = command("run", folder / "plain.loom", "-i", folder / "in.npz", "-o", folder / "out.npz", *more)
    assert done.code == 2
    assert f"{option} is given, but no core of {folder / 'plain.loom'} learns" in done.err
    assert not (folder / "out.npz").exists()
