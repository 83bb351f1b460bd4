"""``spikeloom virtual``, ``info`` and ``run`` on its port."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.examples.digits.data import NETWORK, unseen_samples
from tests.cli.conftest import Command

CONFIG = ChipConfig(cores=(CoreConfig(axons=128, neurons=80, weight_bits=8, lanes=8, weight_words=1024, levels=2),))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    spikeloom.compile(spikeloom.read_nir(NETWORK), config=CONFIG).save(tmp_path / "net.loom")
    return tmp_path / "net.loom"


@pytest.fixture
def virtual(image: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "spikeloom", "virtual", "--image", str(image)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_network_runs_on_the_printed_port(command: Command, virtual: subprocess.Popen[str], image: Path, tmp_path: Path) -> None:
    assert virtual.stdout is not None
    port = virtual.stdout.readline().strip()
    told = command("info", port)
    assert told.code == 0, told.err
    assert f"{CONFIG.geometry_id:#010x}" in told.out
    assert re.search(r"damaged frames from the host\W+0\b", told.out)
    np.savez(tmp_path / "spikes.npz", spikes=unseen_samples()[0][:2])
    for on in ("golden", port):
        done = command("run", image, "--input", tmp_path / "spikes.npz", "--on", on, "-o", tmp_path / f"{len(on)}.npz")
        assert done.code == 0, done.err
    first, second = (np.load(tmp_path / f"{len(on)}.npz")["spikes"] for on in ("golden", port))
    assert first.any()
    np.testing.assert_array_equal(first, second)
    virtual.send_signal(signal.SIGINT)
    _, errors = virtual.communicate(timeout=20)
    assert virtual.returncode == 0
    assert re.fullmatch(r"\d+ clock cycles, \d+ bytes in, \d+ out\n", errors)


@pytest.mark.parametrize("port", ["/dev/nothing", "gold"])
def test_no_such_port(command: Command, image: Path, tmp_path: Path, port: str) -> None:
    np.savez(tmp_path / "spikes.npz", spikes=unseen_samples()[0][:2])
    for arguments in (("info", port), ("run", image, "--input", tmp_path / "spikes.npz", "--on", port, "-o", tmp_path / "out.npz")):
        result = command(*arguments)
        assert result.code == 2
        assert result.err.count("\n") == 1
        assert f"no chip or port is called '{port}'" in result.err
    assert not (tmp_path / "out.npz").exists()
