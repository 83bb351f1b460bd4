"""The driver for real boards, on a serial port behind which the whole design is simulated."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.boards import OTHER_BAUD
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, ImageError, LinkError
from spikeloom.arch.registers import Address
from spikeloom.cli.main import main
from spikeloom.examples.digits.data import NETWORK, unseen_samples
from spikeloom.host.framed_bus import FramedBus
from spikeloom.host.serial_chip import open_serial
from spikeloom.host.stream import open_port
from spikeloom.sim.compiled_top import CompiledTop, Wave
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


# Waveforms ------------------------------------------------------------------------------------------------------------------

#: A small design: one that writes waveforms is compiled anew.
TINY = ChipConfig(cores=(CoreConfig(axons=4, neurons=4, weight_bits=4, lanes=1, levels=1),))


def changes(wave: Path) -> tuple[dict[str, int], int]:
    """Changes of each signal of the top module, and the last time (ns)."""
    definitions, values = wave.read_text().split("$enddefinitions $end")
    names = dict(re.findall(r"^ +\$var wire +1 (\S+) (\w+) \$end", definitions, re.MULTILINE)[:5])
    counts = dict.fromkeys(names.values(), 0)
    for code in re.findall(r"^[01](\S+)$", values, re.MULTILINE):
        if code in names:
            counts[names[code]] += 1
    return counts, int(re.findall(r"^#(\d+)$", values, re.MULTILINE)[-1])


def test_a_waveform_shows_the_serial_line_and_ends_after_its_cycles(tmp_path: Path) -> None:
    ended = []
    top = CompiledTop(TINY, divisor=6, wave=Wave(tmp_path / "short.vcd", 3000))
    top.on_wave_end = lambda: ended.append(top.cycles)
    bus = FramedBus(top)
    while not ended:
        bus.read(Address.IDENT, 1)
    counts, last = changes(tmp_path / "short.vcd")
    assert ended[0] >= 3000
    assert last == 10 * 2999 + 5
    assert counts["clk"] == 6000
    # A byte has at least two edges and 60 cycles.
    assert 20 < counts["rx"] < 1000
    assert 20 < counts["tx"] < 1000
    bus.read(Address.IDENT, 3)
    assert changes(tmp_path / "short.vcd") == (counts, last)
    assert len(ended) == 1
    bus.close()


def test_a_waveform_is_whole_when_the_board_is_switched_off(tmp_path: Path) -> None:
    with VirtualBoard(TINY, divisor=6, wave=Wave(tmp_path / "w.vcd")) as board:
        FramedBus(open_port(board.port, OTHER_BAUD)).close()
        top = board.top
    counts, last = changes(tmp_path / "w.vcd")
    assert last % 10 == 5
    assert counts["tx"] > 20
    assert top.bytes_out > 0


@pytest.mark.parametrize(
    ("name", "cycles", "message"),
    [
        ("w.fst", 10, r"the waveform is \S+w\.fst; it is a VCD file, so its name must end in \.vcd"),
        ("nowhere/w.vcd", 10, r"\S+nowhere/w\.vcd cannot be written: No such file or directory"),
        ("folder.vcd", 10, r"\S+folder\.vcd cannot be written: Is a directory"),
        ("w.vcd", 0, r"the waveform would have 0 clock cycles; it must have at least 1"),
    ],
    ids=["ending", "folder missing", "folder", "no cycles"],
)
def test_a_waveform_that_cannot_be_written(tmp_path: Path, name: str, cycles: int, message: str) -> None:
    (tmp_path / "folder.vcd").mkdir()
    with pytest.raises(ConfigError, match=message):
        Wave(tmp_path / name, cycles)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.vcd"]


def test_the_command_writes_a_waveform_until_it_is_interrupted(tmp_path: Path) -> None:
    network = spikeloom.Network()
    neurons = spikeloom.Neurons(
        retention=np.full(4, 0.5), bias=np.zeros(4), threshold=np.ones(4), reset=np.zeros(4), reset_mode="value",
        refractory=np.zeros(4, np.int64),
    )  # fmt: skip
    cells = network.population(4, neurons, "cells")
    network.projection(network.input(4, "in"), cells, np.eye(4))
    network.output(cells)
    spikeloom.compile(network, config=TINY).save(tmp_path / "net.loom")
    wave = tmp_path / "w.vcd"
    command = [sys.executable, "-m", "spikeloom", "virtual", "--image", str(tmp_path / "net.loom"), "--wave", str(wave)]
    for extra in (["--wave-cycles", "8000"], []):
        with subprocess.Popen([*command, *extra], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                bus = FramedBus(open_port(process.stdout.readline().strip(), OTHER_BAUD))
                for _ in range(3):
                    bus.read(Address.IDENT, 3)
                bus.close()
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=20)
            finally:
                process.kill()
        assert process.returncode == 0
        told = re.fullmatch(r"(.*: whole after 8000 clock cycles\n)?(\d+) clock cycles, .*\n", errors)
        assert told is not None, errors
        ended, total = told.groups()
        assert (ended is not None) == bool(extra)
        counts, last = changes(wave)
        assert last == 10 * (8000 if extra else int(total)) - 5
        assert counts["tx"] > 20


def test_cycles_of_a_waveform_without_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["spikeloom", "virtual", "--wave-cycles", "100"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "--wave-cycles is 100, but no waveform is written; name its file with --wave W.vcd" in capsys.readouterr().err
