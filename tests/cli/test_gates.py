"""``spikeloom verify --gates``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import spikeloom
from tests.cli.conftest import Command
from tests.sim.test_gate_level import SMALL


@pytest.fixture
def image(tmp_path: Path) -> Path:
    network = spikeloom.Network()
    inputs = network.input(5, "in")
    cells = network.population(4, spikeloom.IF_curr_delta(v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_m=2.0), "cells")
    network.projection(inputs, cells, np.random.default_rng(1).normal(0.3, 0.5, (5, 4)))
    network.output(cells)
    spikeloom.compile(network, config=SMALL).save(tmp_path / "net.loom")
    return tmp_path / "net.loom"


def test_the_netlist_of_a_board_is_compared(command: Command, image: Path) -> None:
    done = command("verify", image, "--gates", "ice40-hx8k-b-evn", "--ticks", 12, "--rate", 0.4)
    assert done.code == 0, done.err
    assert re.match(r"equal: 1 samples, 12 ticks, [1-9]\d* output events, ", done.out), done.out


def test_a_board_that_is_not_synthesised_here_is_refused(command: Command, image: Path) -> None:
    done = command("verify", image, "--gates", "arty_a7")
    assert done.code == 2
    assert (
        done.err
        == "spikeloom: error: arty_a7 is not synthesised here, so there is no netlist to compare; use an iCE40 or ECP5 board\n"
    )
