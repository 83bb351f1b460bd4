"""The driver for real boards, on a serial port behind which the whole design is simulated."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ImageError, LinkError
from spikeloom.examples.digits.data import NETWORK, unseen_samples
from spikeloom.host.serial_chip import open_serial
from spikeloom.sim.virtual import VirtualBoard, open_virtual

CONFIG = ChipConfig(cores=(CoreConfig(axons=128, neurons=80, weight_bits=8, lanes=8, weight_words=1024, levels=2),))
SAMPLES = unseen_samples()[0][:2]


@pytest.fixture(scope="module")
def image() -> spikeloom.Image:
    return spikeloom.compile(spikeloom.read_nir(NETWORK), config=CONFIG)


@pytest.fixture(scope="module")
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(CONFIG, divisor=6) as hardware:
        yield hardware


def check(chip: spikeloom.Chip, image: spikeloom.Image) -> None:
    golden = spikeloom.open("golden", image)
    np.testing.assert_array_equal(chip.run(SAMPLES), golden.run(SAMPLES))
    for name, values in golden.state().items():
        np.testing.assert_array_equal(chip.state()[name], values, err_msg=name)


def test_a_network_over_a_serial_port_equals_golden(image: spikeloom.Image, board: VirtualBoard) -> None:
    with spikeloom.open(board.port, image) as chip:
        check(chip, image)


def test_a_driver_that_vanished_leaves_a_board_that_answers(image: spikeloom.Image, board: VirtualBoard) -> None:
    """Closed in the middle of a tick and of a frame."""
    first = open_serial(board.port, image)
    first.bus.write_events(np.array([1 | 1 << 16], np.uint32))
    first.bus.stream.send(b"\xc0\x07\x02\x01")  # type: ignore[attr-defined]
    first.close()
    with spikeloom.open(board.port, image) as chip:
        check(chip, image)


def test_garbage_on_the_line_does_no_harm(image: spikeloom.Image, board: VirtualBoard) -> None:
    terminal = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
    for _ in range(20):
        os.write(terminal, np.random.default_rng(3).bytes(500))
    os.close(terminal)
    with spikeloom.open(board.port, image) as chip:
        check(chip, image)


def test_a_second_driver_is_kept_out(image: spikeloom.Image, board: VirtualBoard) -> None:
    with spikeloom.open(board.port, image) as chip:
        with pytest.raises(LinkError, match="is in use by another program"):
            spikeloom.open(board.port, image)
        check(chip, image)


def test_an_image_for_another_geometry_changes_nothing(image: spikeloom.Image, board: VirtualBoard) -> None:
    other = ChipConfig(cores=(CoreConfig(axons=128, neurons=80, weight_bits=8, lanes=4, weight_words=2048, levels=2),))
    with spikeloom.open(board.port, image) as chip:
        chip.run(SAMPLES)
        before = chip.state()
        written = chip.read_region("weights")  # type: ignore[attr-defined]
    with pytest.raises(ImageError, match=r"the chip has the geometry 0x[0-9a-f]{8}, the image was made for 0x[0-9a-f]{8}"):
        spikeloom.open(board.port, spikeloom.compile(spikeloom.read_nir(NETWORK), config=other))
    bus = open_serial(board.port, image)
    assert (bus.read_region("weights") == written).all()
    assert before.keys() == bus.state().keys()
    bus.close()


def test_open_virtual_brings_its_board(image: spikeloom.Image) -> None:
    chip = open_virtual(image)
    port = chip.bus.stream.name  # type: ignore[attr-defined]
    check(chip, image)
    chip.close()
    assert not os.path.exists(port)
