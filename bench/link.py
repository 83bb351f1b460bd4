"""Whole networks through the serial line of the simulated iCEBreaker: images per second, and what limits them.

    python bench/link.py [--data FOLDER] [--json]

The whole top level is simulated, serial pins included, with the driver for real boards in front. So cycles hold the line's time and the
core's, and what the link makes of both. What a USB bridge adds is not in them: an answer comes a round trip later, which the driver hides as
long as its window of bytes under way lasts; the rates that the window at the end of the run allows then are computed for two round trips.
With FOLDER (the four .gz files of MNIST) MNIST is measured too. Images per second of the virtual board are wall-clock time on this machine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, log, parser

import spikeloom
from spikeloom.arch.boards import board_geometry
from spikeloom.arch.errors import SpikeloomError
from spikeloom.arch.registers import INTENSITY_SCALE
from spikeloom.examples.digits import data as digits
from spikeloom.examples.mnist import data as mnist
from spikeloom.hdl.fabric import FABRICS
from spikeloom.hdl.uart import FRAME_BITS, divisor_for
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.framed_bus import FramedBus
from spikeloom.sim.compiled_top import CompiledTop
from spikeloom.sim.virtual import open_virtual

BOARD = "icebreaker"
IMAGES = {"digits": 100, "mnist": 50}
#: Round trips of a USB bridge, in milliseconds, for which rates are computed.
ROUND_TRIPS = (1.0, 2.0)


@dataclass(frozen=True)
class Case:
    """A network with its samples."""

    image: spikeloom.Image
    spikes: Any
    intensities: Any
    ticks: int


def cases(folder: Path | None) -> dict[str, Case]:
    """Networks to run."""
    spikes = digits.unseen_samples()[0]
    with np.load(digits.HERE / "digits_test.npz", allow_pickle=False) as archive:
        pixels = np.rint(archive["images"] * (INTENSITY_SCALE / digits.FULL_SCALE)).astype(np.int64)
    count = IMAGES["digits"]
    result = {
        "digits": Case(
            spikeloom.compile(spikeloom.read_nir(digits.NETWORK), board=BOARD), spikes[:count], pixels[:count], spikes.shape[1]
        )
    }
    if folder is not None:
        images = mnist.load(folder, "test")[0][: IMAGES["mnist"]]
        flat = images.reshape(len(images), -1).astype(np.int64)
        result["mnist"] = Case(
            spikeloom.compile(spikeloom.read_nir(mnist.NETWORK), board=BOARD), mnist.encoded(images), flat, mnist.TICKS
        )
    return result


def measure(case: Case) -> dict[str, Any]:
    """Ways to run the samples."""
    board = board_geometry(BOARD)
    clock = board.clock_mhz * 1e6
    divisor = divisor_for(clock, board.baud)
    top = CompiledTop(case.image.config, divisor, FABRICS[board.fabric])
    bus = FramedBus(top, timeout=5)
    chip = BusChip(bus, case.image)
    golden = spikeloom.open("golden", case.image)
    ways: dict[str, Callable[[spikeloom.Chip], Any]] = {
        "events in, events out": lambda c: c.run(case.spikes),
        "events in, counts out": lambda c: c.run(case.spikes, counts=True),
        "intensities in, counts out": lambda c: c.run_intensities(case.intensities, case.ticks, counts=True),
    }
    result = {}
    for name, way in ways.items():
        cycles, sent, received, repeats = top.cycles, top.bytes_in, top.bytes_out, bus.repeats
        out = way(chip)
        images = len(out)
        core = float(chip.counters()["cycles"].mean())
        per_image = {
            "cycles": round((top.cycles - cycles) / images),
            "core_cycles": round(core),
            "bytes_to_board": round((top.bytes_in - sent) / images),
            "bytes_from_board": round((top.bytes_out - received) / images),
        }
        line = clock / divisor / FRAME_BITS / max(per_image["bytes_to_board"], per_image["bytes_from_board"])
        rates = {"whole": clock / per_image["cycles"], "core": clock / core, "line": line}
        result[name] = {
            "images": images,
            "equal_to_golden": bool(np.array_equal(out, way(golden))),
            "repeats": bus.repeats - repeats,
            "window_bytes": bus.window,
            **per_image,
            "images_per_second": {key: round(rate) for key, rate in rates.items()},
            "limited_by": "line" if line < clock / core else "core",
            "images_per_second_with_round_trip": {
                f"{trip:g} ms": round(min(rates["whole"], bus.window / per_image["bytes_to_board"] / trip * 1e3))
                for trip in ROUND_TRIPS
            },
        }
    chip.close()
    with open_virtual(case.image) as virtual:
        began = time.perf_counter()
        virtual.run(case.spikes)
        result["virtual_board_images_per_second"] = round(len(case.spikes) / (time.perf_counter() - began), 1)
    return result


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, help="folder with the four .gz files of MNIST")
    arguments = options.parse_args()
    board = board_geometry(BOARD)
    networks = {}
    for name, case in cases(arguments.data).items():
        log(name)
        networks[name] = measure(case)
    data = {"board": BOARD, "clock_mhz": board.clock_mhz, "baud": board.baud, "networks": networks}

    def rows() -> list[tuple[object, ...]]:
        return [
            (network, way, entry["cycles"], entry["core_cycles"], entry["bytes_to_board"], json.dumps(entry["images_per_second"]))
            for network, ways in networks.items()
            for way, entry in ways.items()
            if isinstance(entry, dict)
        ]

    finish("link", data, arguments.json, ("network", "way", "cycles", "of the core", "bytes in", "images/s"), rows)


if __name__ == "__main__":
    try:
        main()
    except SpikeloomError as error:
        sys.exit(f"error: {error}")
