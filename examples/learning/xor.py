"""Exclusive or of spike times: a bit is a spike at t0 or 6 ticks later, and so is the answer. Nothing is learnt: delays compute it.

The code is that of SpikeProp (Bohte, Kok and La Poutré 2002). The delays are set by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.examples.learning.common import NEURON, WEIGHT_BITS, BoolArray, ChipFactory, golden, neuron
from spikeloom.network.mapped import CoreArrays, image_from_arrays

CRITERION = "4 of 4 cases: exactly one output spike, 9 ticks after the reference for 1, 15 for 0"
SEEDS = NEEDED = 1

#: Ticks by which the spike of a 1 is later than that of a 0.
LATER = 6
#: Ticks from the reference spike to the answer.
ONE, ZERO = 9, 15
CASES = ((0, 0), (0, 1), (1, 0), (1, 1))
#: Reference spikes: each case has a time slot of its own.
FIRST, SLOT = 10, 40
TICKS = FIRST + SLOT * len(CASES)
#: Inputs: first bit, second bit, reference.
A, B, REFERENCE = range(3)
#: Neurons: a relay for each input, two detectors of coincidences, the output.
RELAY_A, RELAY_B, RELAY_R, A_FIRST, B_FIRST, OUTPUT = range(6)
#: Axons 0 to 2 are the inputs.
A_TO_A_FIRST, A_TO_B_FIRST, B_TO_A_FIRST, B_TO_B_FIRST, EARLY, CANCEL, LATE = range(3, 10)
WEIGHT = 64


@dataclass(frozen=True, kw_only=True)
class XorRun:
    """Spikes of all neurons, and when the output fired.

    Parameters
    ----------
    spikes : bool array ``[ticks, neurons]``
    answers : tuple of tuple of int
        Ticks from the reference to each output spike, for each of :data:`CASES`.
    """

    spikes: BoolArray
    answers: tuple[tuple[int, ...], ...]

    @property
    def right(self) -> int:
        """Cases with the right answer."""
        return sum(got == (ONE if a != b else ZERO,) for (a, b), got in zip(CASES, self.answers, strict=True))

    @property
    def measured(self) -> str:
        """The numbers, in words."""
        answers = ", ".join(f"{a}{b}: {' '.join(map(str, got)) or 'none'}" for (a, b), got in zip(CASES, self.answers, strict=True))
        return f"{self.right} of 4 (ticks {answers})"

    @property
    def passed(self) -> bool:
        """Whether all cases are right."""
        return self.right == len(CASES)


def make_image() -> LoadableImage:
    """Six neurons without memory: each fires when its threshold is passed within a tick.

    A detector fires if one bit comes ``LATER`` ticks before the other; it fires the output early and cancels its late spike.
    """
    weights = np.zeros((10, 6), np.int64)
    for axon, target in ((A, RELAY_A), (B, RELAY_B), (REFERENCE, RELAY_R)):
        weights[axon, target] = 2 * WEIGHT - 1
    for axon, target in (
        (A_TO_A_FIRST, A_FIRST),
        (B_TO_A_FIRST, A_FIRST),
        (A_TO_B_FIRST, B_FIRST),
        (B_TO_B_FIRST, B_FIRST),
        (EARLY, OUTPUT),
        (LATE, OUTPUT),
    ):
        weights[axon, target] = WEIGHT
    weights[CANCEL, OUTPUT] = -WEIGHT
    half = WEIGHT // 2
    threshold = [half, half, half, WEIGHT + half, WEIGHT + half, half]
    destinations = [
        # From neuron, core, to axon, delay.
        [RELAY_A, 0, A_TO_A_FIRST, LATER + 1],
        [RELAY_A, 0, A_TO_B_FIRST, 1],
        [RELAY_B, 0, B_TO_A_FIRST, 1],
        [RELAY_B, 0, B_TO_B_FIRST, LATER + 1],
        [RELAY_R, 0, LATE, ZERO],
    ]
    for detector in (A_FIRST, B_FIRST):
        destinations += [[detector, 0, EARLY, ONE - LATER - 1], [detector, 0, CANCEL, ZERO - LATER - 1]]
    core = CoreConfig(
        axons=10, neurons=6, weight_bits=WEIGHT_BITS, lanes=1, levels=1, models=(NEURON,), destinations=len(destinations) + 6
    )
    arrays = CoreArrays(
        weights=weights,
        parameters=neuron(0, threshold),
        destinations=destinations,
        outputs=[[n, n] for n in range(6)],
    )
    return image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=[[number, 0, number, 0] for number in (A, B, REFERENCE)])


def stimulus() -> BoolArray:
    """All cases, one after the other, ``[ticks, 3]``."""
    spikes = np.zeros((TICKS, 3), np.bool_)
    for start, bits in zip(starts().tolist(), CASES, strict=True):
        spikes[start, REFERENCE] = True
        for number, bit in enumerate(bits):
            spikes[start + LATER * bit, number] = True
    return spikes


def starts() -> IntArray:
    """Tick of the reference spike of each case."""
    return FIRST + SLOT * np.arange(len(CASES))


def run(seed: int = 0, chip: ChipFactory = golden) -> XorRun:
    """Run all cases on a chip. There is nothing random, so the seed changes nothing."""
    with chip(make_image()) as device:
        spikes = device.run(stimulus())
    answers = []
    for start in starts().tolist():
        answers.append(tuple(np.flatnonzero(spikes[start : start + SLOT, OUTPUT]).tolist()))
    return XorRun(spikes=spikes, answers=tuple(answers))


def check() -> tuple[LoadableImage, BoolArray]:
    """Image and stimulus for the comparison with hardware."""
    return make_image(), stimulus()
