"""MNIST without a teacher: accuracy against the number of neurons and of images seen.

    python bench/unsupervised.py --data DIR [--json] [--picture FILE]

STDP, lateral inhibition and homeostasis (``spikeloom.examples.learning.digits``), on the fast engine of the golden model. The 10,000 images of
the test set are shown with weights and thresholds frozen.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from common import finish, log, parser

from spikeloom.examples.learning.digits import RULE, draw, learn
from spikeloom.examples.mnist.data import load

NEURONS, IMAGES, SEEDS = (100, 400), 60_000, (0, 1, 2)


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder with the four .gz files of MNIST")
    arguments.add_argument("--picture", type=Path, help="where to draw the weights of the last network (PNG)")
    options = arguments.parse_args()
    train, test = load(options.data, "train"), load(options.data, "test")
    networks: dict[str, Any] = {}
    for neurons in NEURONS:
        runs = []
        for seed in SEEDS:
            log(f"{neurons} neurons, seed {seed}")
            runs.append(learn(train, test, neurons, IMAGES, seed))
        networks[str(neurons)] = {
            str(results[0].images): {
                "accuracy": [round(result.accuracy, 4) for result in results],
                "spikes_per_image": round(statistics.mean(result.spikes for result in results), 1),
                "silent": round(max(result.silent for result in results), 4),
            }
            for results in zip(*runs, strict=True)
        }
        if options.picture is not None:
            draw(runs[0][-1].learnt, runs[0][-1].classes, options.picture)
    columns = ("neurons", "images seen", "accuracy by seed", "spikes per image", "images without spikes")

    def rows() -> list[tuple[object, ...]]:
        return [
            (
                neurons,
                images,
                ", ".join(f"{100 * value:.2f} %" for value in row["accuracy"]),
                row["spikes_per_image"],
                row["silent"],
            )
            for neurons, by_images in networks.items()
            for images, row in by_images.items()
        ]

    finish("unsupervised", {"rule": RULE, "seeds": SEEDS, "networks": networks}, options.json, columns, rows)


if __name__ == "__main__":
    main()
