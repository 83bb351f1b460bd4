"""A bell that stands for food (Pavlov): a neuron that answers to food learns to answer to a bell, and forgets it again.

Food fires the neuron, the bell at first does not. Each synapse of the bell keeps a tag of the spikes that it saw shortly before those of the
neuron; a reward turns tags into changes of weights. The host gives a reward in trials with food, and takes a smaller one in trials
without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikeloom.arch.image import LoadableImage
from spikeloom.examples.learning.common import BoolArray, ChipFactory, FloatArray, golden, neuron, small_core
from spikeloom.host.chip import Chip
from spikeloom.network.plasticity import Plasticity

CRITERION = "answers to the bell before: 0, to food: 1, to the bell after pairing: >= 0.5, to the bell at the end of extinction: 0"
SEEDS = NEEDED = 10

#: Inputs: ten of the bell, ten of the food.
BELL, FOOD = slice(0, 10), slice(10, 20)
INPUTS = 20
#: Trials of each phase, and what comes in them: bell, food.
PHASES = (
    ("bell before", 10, True, False),
    ("food", 10, False, True),
    ("pairing", 20, True, True),
    ("bell after", 10, True, False),
    ("extinction", 40, True, False),
)
TRIALS = sum(count for _, count, _, _ in PHASES)
TRIAL_TICKS = 100
#: First and last tick in which the inputs of bell and food fire once each.
BELL_TICKS, FOOD_TICKS = (20, 25), (30, 35)
#: Trials at the end of the extinction that are judged.
LAST = 10
#: Probability of a spike of any input in a tick, besides.
NOISE = 0.0005
TAU, THRESHOLD, REFRACTORY = 10, 250, 5
FOOD_WEIGHT = 45
REWARD, PENALTY = 1.5, -1.5
#: A tag falls by an eighth in each epoch of 4 ticks.
PLASTICITY = Plasticity(
    rule="dt = 24 * x1 * y0 - 2^-3 * t * u; dw = 2^-5 * r * t * u", tau={"x1": 10}, nearest=["x1"], high=100, epoch=4
)


@dataclass(frozen=True, kw_only=True)
class AssociationRun:
    """Answers of the neuron.

    Parameters
    ----------
    answered : bool array ``[TRIALS]``
        Whether the neuron fired after the bell and before food would come; in trials without a bell, whether it fired at all.
    spikes : bool array ``[TRIALS, TRIAL_TICKS]``
        Of the neuron.
    """

    answered: BoolArray
    spikes: BoolArray

    def share(self, phase: str) -> float:
        """Share of trials of a phase with an answer; of the extinction, of its last ten."""
        first, last = trials_of(phase)
        return float(self.answered[last - LAST if phase == "extinction" else first : last].mean())

    @property
    def learnt_after(self) -> int | None:
        """Trials of the pairing until the bell alone sufficed; None: it never did."""
        first, last = trials_of("pairing")
        found = np.flatnonzero(self.answered[first:last])
        return int(found[0]) if len(found) else None

    @property
    def measured(self) -> str:
        """The numbers, in words."""
        shares = " / ".join(f"{self.share(phase):g}" for phase in ("bell before", "food", "bell after", "extinction"))
        return f"{shares}, learnt after {self.learnt_after} trials"

    @property
    def passed(self) -> bool:
        """Whether the criterion is met."""
        before, food, after, end = (self.share(phase) for phase in ("bell before", "food", "bell after", "extinction"))
        return before == 0 and food == 1 and after >= 0.5 and end == 0


def trials_of(phase: str) -> tuple[int, int]:
    """First trial of a phase, and the one after its last."""
    first = 0
    for name, count, _, _ in PHASES:
        if name == phase:
            return first, first + count
        first += count
    raise KeyError(phase)


def has_bell() -> BoolArray:
    """Which trials have a bell."""
    return np.repeat([bell for _, _, bell, _ in PHASES], [count for _, count, _, _ in PHASES])


def has_food() -> BoolArray:
    """Which trials have food."""
    return np.repeat([food for _, _, _, food in PHASES], [count for _, count, _, _ in PHASES])


def rewards() -> FloatArray:
    """Reward in each trial: there is food, or none."""
    return np.where(has_food(), REWARD, PENALTY)


def stimulus(seed: int) -> BoolArray:
    """Spikes ``[TRIALS, TRIAL_TICKS, INPUTS]``."""
    rng = np.random.default_rng(seed)
    spikes = rng.random((TRIALS, TRIAL_TICKS, INPUTS)) < NOISE
    for columns, (low, high), there in ((BELL, BELL_TICKS, has_bell()), (FOOD, FOOD_TICKS, has_food())):
        numbers = np.arange(INPUTS)[columns]
        for trial in np.flatnonzero(there).tolist():
            spikes[trial, rng.integers(low, high + 1, len(numbers)), numbers] = True
    return spikes


def make_image(seed: int) -> LoadableImage:
    """A neuron with weak synapses of the bell, which learn, and strong ones of the food, which do not."""
    weights = np.full((INPUTS, 1), FOOD_WEIGHT)
    weights[BELL, 0] = np.random.default_rng(1000 + seed).integers(5, 16, 10)
    return small_core(
        weights,
        neuron(TAU, THRESHOLD, REFRACTORY),
        PLASTICITY,
        plastic_axons=np.arange(INPUTS) < 10,
        seed=seed,
    )


def _rows(device: Chip, spikes: BoolArray) -> Iterator[BoolArray]:
    """Input of each tick; the reward is set at the beginning of each trial."""
    for trial, reward in zip(spikes, rewards().tolist(), strict=True):
        device.modulate(reward=reward)
        yield from trial


def run(seed: int = 0, chip: ChipFactory = golden) -> AssociationRun:
    """Run all trials as one stream: traces and tags go on from trial to trial."""
    spikes = stimulus(seed)
    with chip(make_image(seed)) as device:
        fired = np.stack(list(device.stream(_rows(device, spikes)))).reshape(TRIALS, TRIAL_TICKS)
    in_time = fired[:, BELL_TICKS[0] : FOOD_TICKS[0]].any(axis=1)
    return AssociationRun(answered=np.where(has_bell(), in_time, fired.any(axis=1)), spikes=fired)


def check() -> tuple[LoadableImage, BoolArray, FloatArray]:
    """Image, stimulus and rewards for the comparison with hardware: two trials of the pairing, and two without food."""
    chosen = [trials_of("pairing")[0], trials_of("pairing")[0] + 1, trials_of("bell after")[0], trials_of("bell after")[0] + 1]
    return make_image(0), stimulus(0)[chosen], rewards()[chosen]
