"""Spikes at wanted times: a neuron learns from a teacher beside it to answer a pattern of spikes with a train of four.

The rule is ReSuMe (Ponulak and Kasiński 2010): a spike of the teacher strengthens the synapses whose axons have just had an event, a spike of
the neuron weakens them by as much. Where both fire together nothing changes. Then the teacher is silent, and nothing is learnt any more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.examples.learning.common import NEURON, WEIGHT_BITS, BoolArray, ChipFactory, golden, neuron
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity

CRITERION = "without the teacher: 4 spikes, each within 2 ticks of its time, in 6 of the last 8 questions; not so before learning"
SEEDS, NEEDED = 10, 8

#: Inputs of the pattern, and the one that makes the teacher fire.
INPUTS = 400
TEACHER = INPUTS
#: Ticks of the pattern, in which each input fires once, and of the silence behind it.
TICKS, SILENCE = 200, 60
#: Wanted spikes, their first and last tick, and the least distance between two of them.
WANTED, FIRST, LAST, DISTANCE = 4, 40, 190, 25
TOLERANCE = 2
TRIALS, BLOCK = 300, 25
#: Questions that are judged, and how many must be answered right.
JUDGED, RIGHT = 8, 6
TAU, THRESHOLD, REFRACTORY = 10, 120, 3
#: Weights at first, in LSB.
LOWEST, HIGHEST = 0, 16
PLASTICITY = Plasticity(
    rule="dw = 8 * z0 * (x1 + 0.05) - 8 * y0 * (x1 + 0.05)",
    tau={"x1": 8},
    low=-(1 << (WEIGHT_BITS - 1)),
    high=(1 << (WEIGHT_BITS - 1)) - 1,
)


@dataclass(frozen=True, kw_only=True)
class TeacherRun:
    """Answers of the neuron without the teacher.

    Parameters
    ----------
    wanted : int64 array ``[WANTED]``
        Ticks of the wanted spikes.
    answers : tuple of int64 array
        Ticks of the neuron's spikes before learning, and after each block of trials.
    """

    wanted: IntArray
    answers: tuple[IntArray, ...]

    def right(self, number: int) -> bool:
        """Whether an answer is the wanted train."""
        answer = self.answers[number]
        return len(answer) == len(self.wanted) and bool((np.abs(answer - self.wanted) <= TOLERANCE).all())

    @property
    def score(self) -> int:
        """Right answers among those that are judged."""
        return sum(self.right(-number) for number in range(1, JUDGED + 1))

    @property
    def measured(self) -> str:
        """The numbers, in words."""
        wanted, got = (" ".join(map(str, ticks)) for ticks in (self.wanted, self.answers[-1]))
        return f"{self.score} of {JUDGED} right; wanted {wanted}, last answer {got}"

    @property
    def passed(self) -> bool:
        """Whether enough answers are right and the first one was not."""
        return self.score >= RIGHT and not self.right(0)


def make_image(seed: int) -> LoadableImage:
    """Neuron 0 learns; neuron 1, its teacher, fires when its own input does."""
    weights = np.zeros((INPUTS + 1, 2), np.int64)
    weights[:INPUTS, 0] = np.random.default_rng(seed).integers(LOWEST, HIGHEST, INPUTS)
    weights[TEACHER, 1] = (1 << (WEIGHT_BITS - 1)) - 1
    core = CoreConfig(
        axons=INPUTS + 1,
        neurons=2,
        weight_bits=WEIGHT_BITS,
        lanes=2,
        levels=1,
        models=(NEURON,),
        learning=PLASTICITY.unit(WEIGHT_BITS),
    )
    arrays = CoreArrays(
        weights=weights,
        parameters=neuron(TAU, THRESHOLD, REFRACTORY),
        plasticity=PLASTICITY,
        plastic_axons=np.arange(INPUTS + 1) != TEACHER,
        plastic_neurons=[True, False],
        outputs=[[0, 0], [1, 1]],
        seed=seed,
    )
    inputs = [[column, 0, column, 0] for column in range(INPUTS + 1)]
    return image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=inputs)


def pattern(seed: int) -> tuple[BoolArray, IntArray]:
    """Spikes of the inputs, ``[TICKS + SILENCE, INPUTS + 1]``, without the teacher's; ticks of the wanted spikes."""
    rng = np.random.default_rng(1000 + seed)
    spikes = np.zeros((TICKS + SILENCE, INPUTS + 1), np.bool_)
    spikes[rng.integers(0, TICKS, INPUTS), np.arange(INPUTS)] = True
    # Wanted times without the distance between them, then with it.
    free = np.sort(rng.integers(FIRST, LAST - (WANTED - 1) * DISTANCE, WANTED))
    return spikes, free + DISTANCE * np.arange(WANTED)


def taught(seed: int) -> BoolArray:
    """The pattern with the teacher's spikes."""
    spikes, wanted = pattern(seed)
    spikes[wanted, TEACHER] = True
    return spikes


def run(seed: int = 0, chip: ChipFactory = golden) -> TeacherRun:
    """Teach on a chip, and ask without the teacher after each block of trials."""
    spikes, wanted = pattern(seed)
    answers = []
    with chip(make_image(seed)) as device:
        for trials in range(0, TRIALS + 1, BLOCK):
            if trials:
                device.modulate(enabled=True)
                device.run(np.stack([taught(seed)] * BLOCK))
            device.modulate(enabled=False)
            answers.append(np.flatnonzero(device.run(spikes)[:, 0]))
    return TeacherRun(wanted=wanted, answers=tuple(answers))


def check() -> tuple[LoadableImage, BoolArray]:
    """Image and some trials for the comparison with hardware."""
    return make_image(0), np.stack([taught(0)] * 3)
