"""Where a sound comes from, by the time between the ears (Wang et al. 2018): two ears, two neurons, four synapses.

A sound from the right reaches the right ear first. While a neuron learns, a teacher makes it fire together with the later ear, for sounds
of its side. Its weights then follow the traces: full for the later ear, less for the earlier one. So its potential is higher if the ears
come in the order that it learnt. Afterwards learning is frozen, and the two potentials are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.examples.learning.common import (
    HIGHEST,
    UNIT,
    BoolArray,
    ChipFactory,
    FloatArray,
    golden,
    neuron,
    small_core,
)
from spikeloom.examples.learning.protocol import weight_matrix
from spikeloom.network.plasticity import Plasticity

CRITERION = "right - left monotone in azimuth, right sign from 10 degrees on, RMS of a cubic fit < 5 degrees"
SEEDS = NEEDED = 5

#: Woodworth: (radius / speed of sound) * (angle + sin(angle)); a radius of 8.75 cm and 343 m/s.
HEAD_SECONDS = 0.0875 / 343
TICK_SECONDS = 10e-6
#: Inputs: ears, and two teachers for each neuron, as one weight cannot fire it. Neurons: left, right.
LEFT, RIGHT, INPUTS = 0, 1, 6
TAU = 45
#: Above the sum of the ears' weights, below that of two teachers.
THRESHOLD = 220
#: Weights follow 100 times the trace at the time of the teacher, an eighth of the way each time.
PLASTICITY = Plasticity(rule="dw = 12.5 * x1 * y0 - 2^-3 * w * y0", tau={"x1": TAU}, nearest=["x1"])
TRIALS, TRIAL_TICKS = 72, 100
#: Tick of the earlier ear in a trial, and that of the reading; the ears are at most 66 ticks apart.
FIRST, READ = 10, 80
AZIMUTHS = np.arange(-90, 91, 10)


@dataclass(frozen=True, kw_only=True)
class LocalisationRun:
    """Potentials that the learnt weights give.

    Parameters
    ----------
    weights : int64 array ``[2, 2]``
        Learnt, from ear to neuron.
    potentials : int64 array ``[azimuths, ticks, 2]``
        Of both neurons, in units of 2**-6 LSB.
    """

    weights: IntArray
    potentials: IntArray

    @property
    def differences(self) -> FloatArray:
        """Right less left potential at :data:`READ`, in LSB, for :data:`AZIMUTHS`."""
        pair = self.potentials[:, READ] / UNIT
        return np.asarray(pair[:, RIGHT] - pair[:, LEFT])

    @property
    def estimates(self) -> FloatArray:
        """Azimuth, in degrees, by the cubic that fits best."""
        x = self.differences / np.abs(self.differences).max(initial=1e-9)
        return np.asarray(np.polyval(np.polyfit(x, AZIMUTHS, 3), x))

    @property
    def rms(self) -> float:
        """Error of the estimates, in degrees."""
        return float(np.sqrt(np.mean((self.estimates - AZIMUTHS) ** 2)))

    @property
    def monotone(self) -> bool:
        """Whether the difference rises from each azimuth to the next."""
        return bool((np.diff(self.differences) > 0).all())

    @property
    def signs(self) -> bool:
        """Whether all sounds off the middle are taken for their side."""
        off = AZIMUTHS != 0
        return bool((np.sign(self.differences[off]) == np.sign(AZIMUTHS[off])).all())

    @property
    def measured(self) -> str:
        """The numbers, in words."""
        signs = "signs right" if self.signs else "a sign wrong"
        return f"{'monotone' if self.monotone else 'not monotone'}, {signs}, RMS {self.rms:.2f} degrees"

    @property
    def passed(self) -> bool:
        """Whether the criterion is met."""
        return self.monotone and self.signs and self.rms < 5


def ticks_between(azimuth: float) -> int:
    """Ticks by which a sound reaches the left ear later than the right one; positive from the right, degrees."""
    angle = np.radians(azimuth)
    return round(HEAD_SECONDS * float(angle + np.sin(angle)) / TICK_SECONDS)


def sound(azimuth: float, ticks: int) -> BoolArray:
    """Spikes of both ears, ``[ticks, INPUTS]``, without teacher."""
    spikes = np.zeros((ticks, INPUTS), np.bool_)
    delay = ticks_between(azimuth)
    spikes[FIRST + max(delay, 0), LEFT] = spikes[FIRST + max(-delay, 0), RIGHT] = True
    return spikes


def lessons(seed: int, trials: int = TRIALS) -> BoolArray:
    """Sounds from all sides but the middle in random order, with teachers, ``[trials * TRIAL_TICKS, INPUTS]``."""
    rng, off = np.random.default_rng(seed), AZIMUTHS[AZIMUTHS != 0]
    azimuths = np.concatenate([rng.permutation(off) for _ in range(-(-trials // len(off)))])[:trials]
    parts = []
    for azimuth in azimuths.tolist():
        spikes = sound(azimuth, TRIAL_TICKS)
        last = np.flatnonzero(spikes.any(axis=1))[-1]
        side = RIGHT if azimuth > 0 else LEFT
        spikes[last, 2 + 2 * side : 4 + 2 * side] = True
        parts.append(spikes)
    return np.concatenate(parts)


def make_image(seed: int) -> LoadableImage:
    """Two neurons with random weights from the ears, and fixed ones from their teachers."""
    rng = np.random.default_rng(1000 + seed)
    weights = np.zeros((INPUTS, 2), np.int64)
    weights[:2] = rng.integers(30, 71, (2, 2))
    for side in (LEFT, RIGHT):
        weights[2 + 2 * side : 4 + 2 * side, side] = HIGHEST
    ears = np.arange(INPUTS) < 2
    return small_core(weights, neuron(TAU, THRESHOLD), PLASTICITY, plastic_axons=ears, seed=seed)


def run(seed: int = 0, chip: ChipFactory = golden) -> LocalisationRun:
    """Learn, freeze, and listen to each azimuth once, from the initial state."""
    with chip(make_image(seed)) as device:
        device.run(lessons(seed))
        device.modulate(enabled=False)
        device.run(np.stack([sound(azimuth, TRIAL_TICKS) for azimuth in AZIMUTHS.tolist()]), record=["core0"])
        return LocalisationRun(weights=weight_matrix(device)[:2], potentials=device.recorded["core0"].potential)


def check() -> tuple[LoadableImage, BoolArray]:
    """Image and stimulus for the comparison with hardware: six sounds with teachers."""
    return make_image(0), lessons(0, 6)
