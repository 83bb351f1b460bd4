"""Which inputs fire together (Prezioso et al. 2018): twenty synapses, one neuron, and plain STDP.

Each input fires once in a frame. Five of them do so in the same tick, the others at random. Their synapses become strong, all others weak;
when another five fire together, they take over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.examples.learning.common import HIGHEST, BoolArray, ChipFactory, golden, neuron, small_core
from spikeloom.examples.learning.protocol import weight_matrix
from spikeloom.network.plasticity import Plasticity

CRITERION = (
    "after epochs 30 and 60: mean(correlated) - mean(rest) >= 0.4 of the weight range, min(correlated) > max(rest); 18 of 20 seeds"
)
SEEDS, NEEDED = 20, 18

INPUTS = 20
FRAME_TICKS, FRAMES, EPOCHS = 20, 10, 60
#: First and last input (counted from 0) that fire together in each half of the epochs.
GROUPS = ((10, 14), (0, 4))
#: Floor of the weights, a quarter of their range: without it the second group could not fire the neuron any more.
FLOOR = 32
THRESHOLD, TAU = 200, 2
PLASTICITY = Plasticity(rule="dw = 2 * x1 * y0 - 2 * x0 * y1", tau={"x1": 4, "y1": 20}, low=FLOOR, high=HIGHEST)


@dataclass(frozen=True, kw_only=True)
class CoincidenceRun:
    """Weights over the epochs.

    Parameters
    ----------
    weights : int64 array ``[EPOCHS + 1, INPUTS]``
        Before the first epoch, and after each.
    """

    weights: IntArray

    def gap(self, half: int) -> float:
        """Mean weight of the group less that of the rest, as a share of the range 0 to ``HIGHEST``, after that half of the epochs."""
        group, rest = self._split(half)
        return float(group.mean() - rest.mean()) / HIGHEST

    def separate(self, half: int) -> bool:
        """Whether the weakest of the group is stronger than the strongest of the rest."""
        group, rest = self._split(half)
        return bool(group.min() > rest.max())

    def _split(self, half: int) -> tuple[IntArray, IntArray]:
        first, last = GROUPS[half]
        together = (np.arange(INPUTS) >= first) & (np.arange(INPUTS) <= last)
        weights = self.weights[EPOCHS // 2 * (half + 1)]
        return weights[together], weights[~together]

    @property
    def measured(self) -> str:
        """The numbers, in words."""
        words = [f"gap {self.gap(half):.2f}, {'separate' if self.separate(half) else 'not separate'}" for half in (0, 1)]
        return "; ".join(words)

    @property
    def passed(self) -> bool:
        """Whether the criterion is met."""
        return all(self.gap(half) >= 0.4 and self.separate(half) for half in (0, 1))


def stimulus(seed: int, epochs: int = EPOCHS) -> BoolArray:
    """Spikes ``[epochs, ticks, INPUTS]``; ``epochs`` is even, and the group changes in the middle."""
    rng = np.random.default_rng(seed)
    ticks = rng.integers(0, FRAME_TICKS, (2, epochs // 2, FRAMES, INPUTS))
    for half, (first, last) in enumerate(GROUPS):
        ticks[half, ..., first : last + 1] = ticks[half, ..., first : first + 1]
    spikes = ticks[..., np.newaxis, :] == np.arange(FRAME_TICKS)[:, np.newaxis]
    return np.asarray(spikes.reshape(epochs, FRAMES * FRAME_TICKS, INPUTS))


def make_image(seed: int) -> LoadableImage:
    """One neuron with random weights."""
    weights = np.random.default_rng(1000 + seed).integers(50, 90, (INPUTS, 1))
    return small_core(weights, neuron(TAU, THRESHOLD), PLASTICITY, seed=seed)


def run(seed: int = 0, chip: ChipFactory = golden) -> CoincidenceRun:
    """Run all epochs, each as a sample: potential and traces begin anew, weights stay."""
    with chip(make_image(seed)) as device:
        history = [weight_matrix(device)[:, 0]]
        for epoch in stimulus(seed):
            device.run(epoch)
            history.append(weight_matrix(device)[:, 0])
    return CoincidenceRun(weights=np.stack(history))


def check() -> tuple[LoadableImage, BoolArray]:
    """Image and stimulus for the comparison with hardware: two epochs, one with each group."""
    return make_image(0), stimulus(0, 2).reshape(-1, INPUTS)
