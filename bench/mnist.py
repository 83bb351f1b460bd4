"""A 784-128-10 network on MNIST, in one core of the iCEBreaker: accuracy, lockstep, cycles, images per second.

    python bench/mnist.py --data FOLDER [--json]

FOLDER holds the four .gz files of MNIST. Cycles are those of the core (ticks of one image); the serial link of the present top level is
slower and not counted. With bench/results/boards.json, images per second are given at the routed clock too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from common import finish, log, parser

import spikeloom
from spikeloom.arch.errors import SpikeloomError
from spikeloom.boards.targets import target
from spikeloom.cli.demo import accuracy
from spikeloom.examples.mnist.data import NETWORK, TICKS, encoded, load
from spikeloom.network.evaluate import evaluate
from spikeloom.sim.verify import lockstep

BOARD = "icebreaker"
LOCKSTEP_IMAGES, RTL_IMAGES = 50, 1000
#: Other geometries in which the network is tried on the golden model only.
OTHERS = (("ulx3s", 8), ("ulx3s", 4))
BLOCK = 1000
BOARDS_FILE = Path(__file__).parent / "results" / "boards.json"


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder with the four .gz files of MNIST")
    arguments = options.parse_args()
    images, labels = load(arguments.data, "test")
    labels = labels.astype(np.int64)
    network = spikeloom.read_nir(NETWORK)
    spikes = encoded(images)
    label = network.outputs[0].label
    log("float, layer by layer")
    parts = [evaluate(network, spikes[i : i + BLOCK])[label] for i in range(0, len(spikes), BLOCK)]
    data: dict[str, object] = {
        "images": len(labels),
        "ticks_per_image": TICKS,
        "input_spikes_per_image": float(spikes.sum() / len(spikes)),
        "float_accuracy": accuracy(np.concatenate(parts), labels),
    }
    log(f"golden model, {BOARD}")
    image = spikeloom.compile(network, board=BOARD)
    out = spikeloom.open("golden", image).run(spikes)
    data["golden_accuracy"] = accuracy(out, labels)
    data["weight_bits"] = image.config.cores[0].weight_bits
    data["other_geometries"] = {
        f"{board}, {bits} bits": accuracy(
            spikeloom.open("golden", spikeloom.compile(network, board=board, weight_bits=bits)).run(spikes), labels
        )
        for board, bits in OTHERS
    }
    log("lockstep")
    proof = lockstep(image, spikes[:LOCKSTEP_IMAGES])
    data |= {"lockstep_images": proof.samples, "lockstep_ticks": proof.ticks, "lockstep_difference": str(proof.mismatch or "none")}
    log("hardware, simulated")
    with spikeloom.open("rtl", image) as chip:
        simulated = chip.run(spikes[:RTL_IMAGES])
        counters = chip.counters()
    cycles = float(counters["cycles"].mean())
    rates = {"at_board_clock": target(BOARD).clock_mhz}
    if BOARDS_FILE.exists():
        rates["at_routed_clock"] = json.loads(BOARDS_FILE.read_text())["boards"][BOARD]["fmax_mhz"]
    data |= {
        "rtl_images": RTL_IMAGES,
        "rtl_equals_golden": bool(np.array_equal(simulated, out[:RTL_IMAGES])),
        "rtl_accuracy": accuracy(simulated, labels[:RTL_IMAGES]),
        "cycles_per_image": round(cycles, 1),
        "operations_per_image": float(counters["synaptic_operations"].mean()),
        "operations_per_cycle": round(float(counters["synaptic_operations"].mean()) / cycles, 2),
        "images_per_second": {name: {"mhz": mhz, "rate": round(mhz * 1e6 / cycles)} for name, mhz in rates.items()},
    }
    finish("mnist", data, arguments.json, ("figure", "value"), lambda: [(key, json.dumps(value)) for key, value in data.items()])


if __name__ == "__main__":
    try:
        main()
    except SpikeloomError as error:
        sys.exit(f"error: {error}")
