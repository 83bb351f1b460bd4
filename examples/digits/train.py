"""Train a 64-64-10 network on scikit-learn's handwritten digits and write ``digits.nir`` and the test samples.

    python examples/digits/train.py

Data: "Optical recognition of handwritten digits", E. Alpaydin and C. Kaynak, UCI machine learning repository (CC BY 4.0), 1,797 images
of 8 x 8 pixels with values 0 to 16, as scikit-learn ships them.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from spikeloom.examples.digits.data import HERE, NETWORK, encoded
from spikeloom.examples.training import accuracy, export, fit, make_network

SEED = 1


def main() -> None:
    """Train, test, export."""
    torch.manual_seed(SEED)
    data = load_digits()
    images, labels = data.data.astype(np.uint8), data.target.astype(np.uint8)
    train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=360, stratify=labels, random_state=SEED)
    network = make_network([64, 64, 10], beta=0.9)
    spikes = encoded(train_x)
    fit(network, spikes, train_y, epochs=60, batch=64, rate=3e-3, seed=SEED)
    print(f"test accuracy {100 * accuracy(network, encoded(test_x), test_y):.2f} % on {len(test_x)} images")
    export(network, 64, NETWORK)
    np.savez_compressed(HERE / "digits_test.npz", images=test_x, labels=test_y)


if __name__ == "__main__":
    main()
