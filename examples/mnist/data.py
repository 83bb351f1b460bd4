"""MNIST from the four files of its makers, as spikes, and the network trained on it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import InputError
from spikeloom.network.encode import phase

#: The trained network, 784-128-10.
NETWORK = Path(__file__).parent / "mnist.nir"
#: Ticks per image.
TICKS = 8
#: Value of a white pixel.
FULL_SCALE = 255
FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
IMAGE_MAGIC, LABEL_MAGIC = 2051, 2049


def load(folder: Path, part: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images ``[n, 784]`` and labels ``[n]`` of ``"train"`` or ``"test"``.

    Raises
    ------
    InputError
        If a file is missing or is not MNIST; the message says where the data can be found.
    """
    contents = []
    for name in FILES[part]:
        path = folder / name
        if not path.is_file():
            raise InputError(
                f"{path} is missing; --data must name a folder with the four .gz files of MNIST "
                "(http://yann.lecun.com/exdb/mnist, or any mirror)"
            )
        contents.append(gzip.decompress(path.read_bytes()))
    magics = [int.from_bytes(raw[:4], "big") for raw in contents]
    if magics != [IMAGE_MAGIC, LABEL_MAGIC]:
        raise InputError(f"{folder} does not hold MNIST: the files begin with {magics}, not {[IMAGE_MAGIC, LABEL_MAGIC]}")
    images = np.frombuffer(contents[0], np.uint8, offset=16).reshape(-1, 784)
    labels = np.frombuffer(contents[1], np.uint8, offset=8)
    return images, labels


def encoded(images: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Input spikes ``[samples, TICKS, 784]`` of images ``[samples, 784]``."""
    return phase(images, TICKS, FULL_SCALE)
