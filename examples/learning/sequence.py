"""The order of spikes (Wang et al. 2018): one neuron, sixteen inputs, and a sequence of four of them that it shall know.

A teacher makes the neuron fire with the last spike of the sequence; weights follow the traces at that time. The later an input comes in the
sequence, the larger is its weight, and the potential is highest if large weights come last. Then a core without learning gets the learnt
weights and all 43,680 sequences of four different inputs.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.examples.learning.common import (
    HIGHEST,
    BoolArray,
    ChipFactory,
    golden,
    neuron,
    one_core,
    plain_golden,
    small_core,
)
from spikeloom.examples.learning.protocol import weight_matrix
from spikeloom.network.plasticity import Plasticity

CRITERION = "of all 43,680 sequences: true-positive rate 1, false-positive rate <= 1 %"
SEEDS = NEEDED = 5

INPUTS, LENGTH = 16, 4
#: Inputs 16 to 18 are the teachers.
TEACHERS = 3
#: Ticks from one spike of a sequence to the next.
INTERVAL = 5
TAU = 10
#: Weight of an input whose trace is 1 when the teacher comes.
FULL = 120
PLASTICITY = Plasticity(rule="dw = 7.5 * x1 * y0 - 2^-4 * w * y0", tau={"x1": TAU})
#: Potential of the learnt sequence, if weights follow traces exactly; in the test the neuron fires a little below it.
IDEAL = FULL * sum(math.exp(-2 * step * INTERVAL / TAU) for step in range(LENGTH))
TEST_THRESHOLD = 0.97 * IDEAL
#: While it learns, only the teachers fire it.
TEACHER_THRESHOLD = 320
TRIALS, TRIAL_TICKS, FIRST = 100, 50, 25
#: Probability of a spike of each other input in a tick.
NOISE = 0.01
TEST_TICKS = INTERVAL * (LENGTH - 1) + 2


@dataclass(frozen=True, kw_only=True)
class SequenceRun:
    """What the neuron learnt, and which sequences fire it.

    Parameters
    ----------
    target : tuple of int
        Inputs of the learnt sequence.
    weights : int64 array ``[trials / 10 + 1, 16]``
        After every tenth trial.
    fired : bool array ``[43680]``
        Which of :func:`sequences` fired the neuron.
    """

    target: tuple[int, ...]
    weights: IntArray
    fired: BoolArray

    @property
    def is_target(self) -> BoolArray:
        """Which of the sequences is the learnt one."""
        return np.asarray((sequences() == self.target).all(axis=1))

    @property
    def true_positive(self) -> float:
        """Whether the learnt sequence fired the neuron, 1 or 0."""
        return float(self.fired[self.is_target].mean())

    @property
    def false_positives(self) -> int:
        """Other sequences that did."""
        return int(self.fired[~self.is_target].sum())

    @property
    def false_positive(self) -> float:
        """Their share."""
        return float(self.fired[~self.is_target].mean())

    @property
    def measured(self) -> str:
        """The numbers, in words."""
        rate = 100 * self.false_positive
        return f"true positives {self.true_positive:g}, false positives {rate:.3f} % ({self.false_positives})"

    @property
    def passed(self) -> bool:
        """Whether the criterion is met."""
        return self.true_positive == 1 and self.false_positive <= 0.01


@cache
def sequences() -> IntArray:
    """All ordered choices of four inputs, ``[43680, 4]``."""
    return np.array(list(itertools.permutations(range(INPUTS), LENGTH)), np.int64)


def target_of(seed: int) -> tuple[int, ...]:
    """Sequence that is learnt."""
    return tuple(np.random.default_rng(2000 + seed).permutation(INPUTS)[:LENGTH].tolist())


def lessons(seed: int, trials: int = TRIALS) -> BoolArray:
    """The sequence once in each trial, with teachers, and noise on all other inputs, ``[trials, ticks, inputs and teachers]``."""
    rng, target = np.random.default_rng(seed), list(target_of(seed))
    spikes = np.zeros((trials, TRIAL_TICKS, INPUTS + TEACHERS), np.bool_)
    spikes[:, :, :INPUTS] = rng.random((trials, TRIAL_TICKS, INPUTS)) < NOISE
    spikes[:, :, target] = False
    times = FIRST + INTERVAL * np.arange(LENGTH)
    spikes[:, times, target] = True
    spikes[:, times[-1], INPUTS:] = True
    return spikes


def make_image(seed: int) -> LoadableImage:
    """The neuron that learns, with random weights."""
    weights = np.full((INPUTS + TEACHERS, 1), HIGHEST)
    weights[:INPUTS, 0] = np.random.default_rng(1000 + seed).integers(20, 61, INPUTS)
    learns = np.arange(INPUTS + TEACHERS) < INPUTS
    return small_core(weights, neuron(TAU, TEACHER_THRESHOLD), PLASTICITY, plastic_axons=learns, seed=seed)


def run(seed: int = 0, chip: ChipFactory = golden) -> SequenceRun:
    """Learn on a chip of that kind, then test all sequences side by side on the golden model, on a core without learning."""
    spikes, steps = lessons(seed), TRIALS // 10
    with chip(make_image(seed)) as device:
        history = [weight_matrix(device)[:INPUTS, 0]]
        for step in range(steps):
            # One sample, as each begins with the same random numbers.
            device.run(spikes[10 * step : 10 * step + 10].reshape(-1, INPUTS + TEACHERS))
            history.append(weight_matrix(device)[:INPUTS, 0])
    every = sequences()
    tests = np.zeros((len(every), TEST_TICKS, INPUTS), np.bool_)
    tests[np.arange(len(every))[:, np.newaxis], INTERVAL * np.arange(LENGTH), every] = True
    frozen = one_core(history[-1][:, np.newaxis], neuron(TAU, TEST_THRESHOLD))
    # Here numpy is the faster one: it runs the samples side by side.
    with plain_golden(frozen) as device:
        fired = np.asarray(device.run(tests).any(axis=(1, 2)))
    return SequenceRun(target=target_of(seed), weights=np.stack(history), fired=fired)


def check() -> tuple[LoadableImage, BoolArray]:
    """Image and stimulus for the comparison with hardware: six lessons."""
    return make_image(0), lessons(0, 6).reshape(-1, INPUTS + TEACHERS)
