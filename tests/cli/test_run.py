"""``spikeloom run`` with intensities, counts and real time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.examples.digits.data import NETWORK
from tests.cli.conftest import Command

CONFIG = ChipConfig(cores=(CoreConfig(axons=128, neurons=80, weight_bits=8, lanes=8, weight_words=1024, levels=2),), encoder="rate")
VALUES = np.random.default_rng(3).integers(0, 256, (4, 64)).astype(np.uint8)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "net.loom"
    spikeloom.compile(spikeloom.read_nir(NETWORK), config=CONFIG).save(path)
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    np.savez(tmp_path / "in.npz", intensities=VALUES)
    return tmp_path / "in.npz"


@pytest.mark.parametrize("code", ["phase", "rate"])
@pytest.mark.parametrize("on", ["golden", "rtl"])
def test_intensities_give_the_spikes_of_the_encoder(
    command: Command, image: Path, inputs: Path, tmp_path: Path, on: str, code: str
) -> None:
    done = command(
        "run", image, "-i", inputs, "-o", tmp_path / "out.npz", "--on", on, "--ticks", 16, "--code", code, "--seed", 7
    )  # fmt: skip
    assert done.code == 0, done.err
    encoded = spikeloom.encode.phase(VALUES, 16, 255) if code == "phase" else spikeloom.encode.rate(VALUES, 16, 7, 255)
    expected = spikeloom.open("golden", spikeloom.Image.load(image)).run(encoded)
    assert expected.any()
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["spikes"], expected)


def test_counts_are_written_instead_of_spikes(command: Command, image: Path, inputs: Path, tmp_path: Path) -> None:
    for name, more in (("spikes", ()), ("counts", ("--counts",))):
        done = command("run", image, "-i", inputs, "-o", tmp_path / f"{name}.npz", "--ticks", 16, "--limit", 3, *more)
        assert done.code == 0, done.err
        assert f"{name} [3, " in done.out
    spikes, counts = (np.load(tmp_path / f"{name}.npz")[name] for name in ("spikes", "counts"))
    np.testing.assert_array_equal(counts, spikes.sum(axis=1))


@pytest.mark.parametrize(
    ("name", "array", "more", "message"),
    [
        ("intensities", VALUES, (), "holds intensities; say with --ticks"),
        ("intensities", VALUES, ("--ticks", 0), "ticks is 0; it must be an integer from 1 to 65535"),
        ("intensities", VALUES[:, :63], ("--ticks", 4), r"intensities have shape [4, 63]; the image needs [64] or [samples, 64]"),
        ("intensities", VALUES / 255, ("--ticks", 4), "intensities have the type float64; they must be integers from 0 to 255"),
        ("intensities", VALUES.astype(int) + 60, ("--ticks", 4), "it must be 0 to 255"),
        ("spikes", np.ones((5, 64), bool), ("--ticks", 4), "--ticks is for intensities"),
        ("spikes", np.ones((5, 64), bool), ("--tick-ms", -1), "tick_seconds is -0.001; it must be above 0"),
    ],
)
def test_a_wrong_input_is_one_line(
    command: Command, image: Path, tmp_path: Path, name: str, array: np.ndarray, more: tuple[object, ...], message: str
) -> None:
    np.savez(tmp_path / "in.npz", **{name: array})
    done = command("run", image, "-i", tmp_path / "in.npz", "-o", tmp_path / "out.npz", *more)
    assert done.code in (1, 2)
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not (tmp_path / "out.npz").exists()


def test_a_simulated_chip_without_a_clock_cannot_be_paced(command: Command, image: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", spikes=np.ones((5, 64), bool))
    done = command("run", image, "-i", tmp_path / "in.npz", "-o", tmp_path / "out.npz", "--on", "rtl", "--tick-ms", 1)
    assert done.code == 2
    assert "does not know its clock" in done.err
