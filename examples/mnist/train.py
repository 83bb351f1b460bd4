"""Train a 784-128-10 network on MNIST and write ``mnist.nir``.

    python examples/mnist/train.py --data FOLDER

FOLDER holds the four .gz files of MNIST (Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from spikeloom.examples.mnist.data import NETWORK, encoded, load
from spikeloom.examples.training import accuracy, export, fit, make_network, shifted

SEED = 1


def main() -> None:
    """Train, test, export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the four .gz files of MNIST")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the 60,000 training images (%(default)s)")
    arguments = parser.parse_args()
    torch.manual_seed(SEED)
    train_x, train_y = load(arguments.data, "train")
    test_x, test_y = load(arguments.data, "test")
    network = make_network([784, 128, 10], beta=0.9)
    spikes = encoded(train_x)
    fit(network, spikes, train_y, epochs=arguments.epochs, batch=128, rate=2e-3, seed=SEED, augment=shifted)
    print(f"test accuracy {100 * accuracy(network, encoded(test_x), test_y):.2f} % on {len(test_x)} images")
    export(network, 784, NETWORK)


if __name__ == "__main__":
    main()
