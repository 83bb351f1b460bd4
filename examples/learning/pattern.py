"""A repeating pattern hidden in noise (Masquelier, Guyonneau and Thorpe 2008), scaled to 256 afferents and one neuron.

All afferents fire at 45 Hz all the time. In a quarter of the slots of 50 ms, never in two that follow each other, half of the afferents
repeat the same random spikes, up to a jitter. Nothing tells the neuron when. A tick is 1 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.examples.learning.common import HIGHEST, BoolArray, ChipFactory, golden, neuron, one_core
from spikeloom.examples.learning.protocol import weight_matrix
from spikeloom.network.plasticity import Plasticity

CRITERION = "last 30 s of 150 s: fires in >= 95 % of the patterns, and elsewhere <= 1 Hz; at least 7 of 10 seeds"
SEEDS, NEEDED = 10, 7

AFFERENTS, IN_PATTERN = 256, 128
#: Spikes in a tick, ticks of a slot, share of the slots with the pattern, standard deviation of the jitter in ticks.
RATE, SLOT, SHARE, JITTER = 0.045, 50, 0.25, 0.5
SECONDS = 150
#: Ticks in a second, and of one sample: weights are read between samples.
SECOND, BLOCK = 1000, 5000
TAU, THRESHOLD, START = 7, 3500, 63
#: A spike of the neuron strengthens the afferents that fired within the last 3 ms, and weakens the others; each spike of an afferent
#: strengthens it a little, so that the neuron does not fall silent.
PLASTICITY = Plasticity(rule="dw = 4 * (x1 - 0.4) * y0 + 0.14 * x0", tau={"x1": 4}, nearest=["x1"], high=HIGHEST)


@dataclass(frozen=True, kw_only=True)
class PatternRun:
    """When the neuron fired.

    Parameters
    ----------
    fired : bool array ``[ticks]``
    present : bool array ``[slots]``
        In which slots the pattern was.
    weights : int64 array ``[blocks + 1, AFFERENTS]``
        After each ``BLOCK`` ticks.
    """

    fired: BoolArray
    present: BoolArray
    weights: IntArray

    @property
    def slots(self) -> BoolArray:
        """Spikes of the neuron, ``[slots, SLOT]``."""
        return self.fired.reshape(-1, SLOT)

    @property
    def judged(self) -> slice:
        """Slots that are judged: the last fifth."""
        return slice(4 * len(self.present) // 5, None)

    @property
    def hits(self) -> float:
        """Share of the judged slots with the pattern in which the neuron fired."""
        return float(self.slots[self.judged][self.present[self.judged]].any(axis=1).mean())

    @property
    def false_alarms(self) -> float:
        """Spikes in the other slots, per second of these."""
        others = self.slots[self.judged][~self.present[self.judged]]
        return float(others.mean()) * SECOND

    @property
    def measured(self) -> str:
        """The numbers, in words."""
        return f"hits {100 * self.hits:.1f} %, false alarms {self.false_alarms:.2f} Hz"

    @property
    def passed(self) -> bool:
        """Whether the criterion is met."""
        return self.hits >= 0.95 and self.false_alarms <= 1


def stimulus(seed: int, ticks: int) -> tuple[BoolArray, BoolArray]:
    """Spikes ``[ticks, AFFERENTS]``, and which slots ``[slots]`` have the pattern."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(RATE * SLOT, IN_PATTERN)
    afferents = np.repeat(np.arange(IN_PATTERN), counts)
    times = rng.random(len(afferents)) * SLOT
    present = np.zeros(ticks // SLOT, np.bool_)
    for slot in range(len(present)):
        # After a slot without it, so that the share of all slots is SHARE.
        present[slot] = rng.random() < SHARE / (1 - SHARE) and not (slot and present[slot - 1])
    spikes = rng.random((ticks, AFFERENTS)) < RATE
    spikes[np.repeat(present, SLOT), :IN_PATTERN] = False
    for slot in np.flatnonzero(present).tolist():
        when = np.floor(slot * SLOT + times + rng.normal(0, JITTER, len(times))).astype(np.int64)
        inside = (when >= 0) & (when < ticks)
        spikes[when[inside], afferents[inside]] = True
    return spikes, present


def make_image(seed: int) -> LoadableImage:
    """One neuron; all weights are equal."""
    return one_core(np.full((AFFERENTS, 1), START), neuron(TAU, THRESHOLD), PLASTICITY, seed=seed)


def run(seed: int = 0, chip: ChipFactory = golden, *, seconds: int = SECONDS) -> PatternRun:
    """Listen for so many seconds, a multiple of 5, in samples of ``BLOCK`` ticks: between them weights stay, all else begins anew."""
    spikes, present = stimulus(seed, seconds * SECOND)
    blocks = spikes.reshape(-1, BLOCK, AFFERENTS)
    fired = []
    with chip(make_image(seed)) as device:
        history = [weight_matrix(device)[:, 0]]
        for block in blocks:
            fired.append(device.run(block)[:, 0])
            history.append(weight_matrix(device)[:, 0])
    return PatternRun(fired=np.concatenate(fired), present=present, weights=np.stack(history))


def check() -> tuple[LoadableImage, BoolArray]:
    """Image and stimulus for the comparison with hardware: 300 ms."""
    return make_image(0), stimulus(0, 300)[0]
