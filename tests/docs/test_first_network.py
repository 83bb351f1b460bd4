"""Every command of ``docs/first_network.md``, with a virtual board on the port.

The bitstream is a real one of a small geometry: that of the board takes minutes to place and route (``make bitstreams``).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.lif import Lif
from spikeloom.boards.program import check_bitstream
from spikeloom.boards.targets import target

PAGE = Path(__file__).parents[2] / "docs" / "first_network.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "/dev/ttyUSB1"
#: Stands for the program that talks to the board's programmer; says what it was asked to do.
LOADER = '#!/bin/sh\necho "loader: $*" >&2\n'
#: How the page builds, and what the test adds.
BUILD = "spikeloom build --board icebreaker "
SMALL = CoreConfig(
    axons=16, neurons=8, weight_bits=4, lanes=2, levels=1, destinations=8, counters=False,
    models=(Lif(state_bits=12, fraction_bits=4, bias_bits=0, refractory_bits=0),),
)  # fmt: skip


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    command = [sys.executable, "-m", "spikeloom", "virtual", "--board", "icebreaker"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def write_small_image(path: Path) -> None:
    """An image of the small geometry, for ``--image``."""
    network = spikeloom.Network()
    inputs = network.input(2, "in")
    cells = network.population(2, spikeloom.IF_curr_delta(v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_m=2.0), "cells")
    network.projection(inputs, cells, np.eye(2))
    network.output(cells)
    spikeloom.compile(network, config=ChipConfig(cores=(SMALL,))).save(path)


def test_every_command_of_the_page(port: str, tmp_path: Path) -> None:
    write_small_image(tmp_path / "small.loom")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "openFPGALoader").write_text(LOADER)
    (programs / "openFPGALoader").chmod(0o755)
    environment = os.environ | {"PATH": os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))}
    page = PAGE.read_text()
    assert page.count(BUILD) == 1
    blocks = BLOCK.findall(page.replace(BUILD, f"{BUILD}--image small.loom "))
    told = ""
    for language, text in blocks:
        text = text.replace(PORT, port)
        command = ["sh", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        told += done.stdout + done.stderr
    assert [language for language, _ in blocks] == ["sh", "sh", "sh", "python"]
    assert "equal to the golden model: True" in told
    right = re.search(r"right: (\d+) of 20", told)
    assert right is not None
    assert int(right[1]) >= 18
    assert "timing met" in told
    assert "loader: " in told
    # What was built is a bitstream; one for the UP5K is this long whatever is in it.
    built = tmp_path / "build" / "icebreaker"
    check_bitstream(target("icebreaker"), built / "spikeloom.bin")
    assert (built / "spikeloom.bin").stat().st_size == 104_090
    report = json.loads((built / "report.json").read_text())
    assert report["geometry"] == ChipConfig(cores=(SMALL,)).as_dict()
    assert report["fmax_mhz"] >= report["clock_mhz"]
    assert 0 < report["used"]["ff"] < report["used"]["lut"] < report["available"]["lut"] == 5280
    assert (built / "nextpnr.log").stat().st_size > 0
