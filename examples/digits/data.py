"""The handwritten digits that ship with the repository, and the network trained on others of their kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from spikeloom.network.encode import phase

HERE = Path(__file__).parent
#: The trained network, 64-64-10.
NETWORK = HERE / "digits.nir"
#: Ticks per image.
TICKS = 16
#: Value of a black pixel.
FULL_SCALE = 16


def encoded(images: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Input spikes ``[samples, TICKS, 64]`` of images ``[samples, 64]``."""
    return phase(images, TICKS, FULL_SCALE)


def unseen_samples() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Spikes ``[360, TICKS, 64]`` and labels ``[360]`` of the images that training never saw."""
    with np.load(HERE / "digits_test.npz", allow_pickle=False) as archive:
        return encoded(archive["images"]), archive["labels"].astype(np.int64)
