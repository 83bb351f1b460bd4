"""Synapses that tire or warm up with use (Tsodyks and Markram 1997; Tsodyks, Pawelzik and Markram 1998): pairs, trains, a tetanus.

Nothing is learnt: the axons have short-term plasticity. Each axon drives one neuron, and the amplitude of its potential's jump is measured at
each event: after pairs at all distances, in trains at all rates, and long after a tetanus. Every amplitude is compared with the equations in
floating point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import RETENTION_FRACTION, Lif
from spikeloom.examples.learning.common import BoolArray, ChipFactory, FloatArray, golden, retention
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import ShortTerm

CRITERION = (
    "amplitudes within 0.005 of the equations, steady ones within 5 %; depressing: slope -1 +- 0.1 above 5 limiting rates; facilitating: one "
    "peak, within 10 % of 1 / sqrt(U tau_f tau_d); ratios of pairs: all < 1, all > 1; 10 s after a tetanus: >= 10"
)
SEEDS = NEEDED = 1


@dataclass(frozen=True, kw_only=True)
class Synapse:
    """Share U that an event uses at rest, and time constants of facilitation and depression in ticks of 1 ms."""

    use: float
    facilitation: float
    depression: float


SYNAPSES = {
    "depressing": Synapse(use=0.25, facilitation=0, depression=800),
    "facilitating": Synapse(use=0.05, facilitation=800, depression=30),
    "mixed": Synapse(use=0.15, facilitation=130, depression=320),
}
#: Facilitation that lasts: post-tetanic potentiation.
LASTING = Synapse(use=0.01, facilitation=20_000, depression=30)
SECOND = 1000
#: Tick of the first event of each axon.
FIRST = 10
#: Ticks between the events of a train, for rates of 0.5 to 100 per second, and between those of a pair.
INTERVALS = (2000, 1000, 500, 250, 160, 100, 70, 50, 40, 36, 33, 28, 25, 20, 14, 10)
DISTANCES = (5, 10, 20, 50, 100, 200, 500, 1000)
#: Ticks of all trains: six events of the slowest, and fifteen of the longest time constants.
TRAIN_TICKS = 12 * SECOND
#: 100 events at 50 per second, with one event before, and others 1 and 10 seconds after.
TETANUS = (FIRST, *range(100, 2100, 20), 2080 + SECOND, 2080 + 10 * SECOND)
TICKS = TETANUS[-1] + 1
WEIGHT, TAU = 30_000, 10
#: Threshold that no neuron reaches, and one for the comparison with hardware, which some events reach.
NEVER, SOME = (1 << 23) - 1, WEIGHT // 4
#: Ticks of the short part, and of what is drawn: a train with this interval.
CHECK_TICKS, SHOWN_TICKS, SHOWN = 400, 600, 50


def protocols() -> list[tuple[Synapse, tuple[int, ...]]]:
    """Synapse of each axon, and ticks of its events: trains of each kind, pairs of each kind, the tetanus."""
    trains = [(kind, tuple(range(FIRST, TRAIN_TICKS, interval))) for kind in SYNAPSES.values() for interval in INTERVALS]
    pairs = [(kind, (FIRST, FIRST + distance)) for kind in SYNAPSES.values() for distance in DISTANCES]
    return [*trains, *pairs, (LASTING, TETANUS)]


@dataclass(frozen=True, kw_only=True)
class ShortTermRun:
    """Amplitudes of all events.

    Parameters
    ----------
    amplitudes : tuple of float64 array
        Of the events of each axon, as shares of the weight, in the order of :func:`protocols`.
    potentials : int64 array ``[SHOWN_TICKS, 3]``
        Of the neurons of a train of each kind.
    """

    amplitudes: tuple[FloatArray, ...]
    potentials: IntArray

    @property
    def error(self) -> float:
        """Largest difference from the equations, of all amplitudes."""
        return max(
            float(np.abs(got - ideal(kind, ticks)).max()) for got, (kind, ticks) in zip(self.amplitudes, protocols(), strict=True)
        )

    @property
    def steady_error(self) -> float:
        """Largest difference of the steady amplitudes from the closed form, as a share of it."""
        return max(
            float(np.abs(self.steady(name) / [stationary(kind, interval) for interval in INTERVALS] - 1).max())
            for name, kind in SYNAPSES.items()
        )

    def steady(self, name: str) -> FloatArray:
        """Amplitudes at the end of a kind's trains, for :data:`INTERVALS`."""
        first = list(SYNAPSES).index(name) * len(INTERVALS)
        return np.array([train[-1] for train in self.amplitudes[first : first + len(INTERVALS)]])

    def ratios(self, name: str) -> FloatArray:
        """Second amplitude by the first, of a kind's pairs, for :data:`DISTANCES`."""
        first = len(SYNAPSES) * len(INTERVALS) + list(SYNAPSES).index(name) * len(DISTANCES)
        return np.array([pair[1] / pair[0] for pair in self.amplitudes[first : first + len(DISTANCES)]])

    @property
    def slope(self) -> float:
        """Of the depressing kind's amplitude against the rate, both logarithmic, above five times its limiting rate."""
        kind = SYNAPSES["depressing"]
        fast = rates() > 5 * limiting_rate(kind)
        return float(np.polyfit(np.log(rates()[fast]), np.log(self.steady("depressing")[fast]), 1)[0])

    @property
    def peak(self) -> float | None:
        """Rate with the largest amplitude of the facilitating kind, per second; None: there is not one peak between the ends."""
        amplitudes = self.steady("facilitating")
        best = int(amplitudes.argmax())
        rises = np.sign(np.diff(amplitudes))
        single = 0 < best < len(amplitudes) - 1 and (rises[:best] > 0).all() and (rises[best:] < 0).all()
        return float(rates()[best]) if single else None

    @property
    def potentiation(self) -> float:
        """The event 10 seconds after the tetanus by that before it."""
        return float(self.amplitudes[-1][-1] / self.amplitudes[-1][0])

    @property
    def measured(self) -> str:
        """The numbers, in words."""
        peak = "no peak" if self.peak is None else f"peak at {self.peak:.1f} Hz"
        pairs = f"pairs {self.ratios('depressing').max():.2f} at most, {self.ratios('facilitating').min():.2f} at least"
        errors = f"errors {self.error:.4f}, {100 * self.steady_error:.1f} %"
        return f"{errors}, slope {self.slope:.2f}, {peak}, {pairs}, {self.potentiation:.1f} after 10 s"

    @property
    def passed(self) -> bool:
        """Whether the criterion is met."""
        best = tuned_rate(SYNAPSES["facilitating"])
        tuned = self.peak is not None and abs(self.peak / best - 1) <= 0.1
        pairs = (self.ratios("depressing") < 1).all() and (self.ratios("facilitating") > 1).all()
        exact = self.error <= 0.005 and self.steady_error <= 0.05
        return exact and abs(self.slope + 1) <= 0.1 and tuned and bool(pairs) and self.potentiation >= 10


def rates() -> FloatArray:
    """Of the trains, per second."""
    return SECOND / np.array(INTERVALS)


def limiting_rate(synapse: Synapse) -> float:
    """Rate above which a synapse without facilitation falls as 1 / rate, per second: 1 / (tau_d times the share that an event uses)."""
    return SECOND / (synapse.depression * synapse.use * (2 - synapse.use))


def tuned_rate(synapse: Synapse) -> float:
    """Rate at which a facilitating synapse is strongest, per second: 1 / sqrt(U tau_f tau_d), for a small U."""
    return SECOND / math.sqrt(synapse.use * synapse.facilitation * synapse.depression)


def _falls(ticks: float, tau: float) -> float:
    """What is left of a deviation after so many ticks."""
    return math.exp(-ticks / tau) if tau else 0.0


def ideal(synapse: Synapse, ticks: Sequence[int]) -> FloatArray:
    """Amplitudes u R of events, from event to event: u rises by U (1 - u) before it is used, R falls by u R."""
    u, r = synapse.use, 1.0
    result = []
    for number, tick in enumerate(ticks):
        if number:
            passed = tick - ticks[number - 1]
            u = synapse.use + (u - synapse.use) * _falls(passed, synapse.facilitation)
            r = 1 - (1 - r) * _falls(passed, synapse.depression)
        u += synapse.use * (1 - u)
        result.append(u * r)
        r -= u * r
    return np.array(result)


def stationary(synapse: Synapse, interval: float) -> float:
    """Amplitude to which a train comes: the fixed point of the recursion in :func:`ideal`."""
    use, falls = synapse.use, _falls(interval, synapse.facilitation)
    u = use * (1 + (1 - use) * (1 - falls)) / (1 - (1 - use) * falls)
    falls = _falls(interval, synapse.depression)
    return u * (1 - falls) / (1 - (1 - u) * falls)


def stimulus() -> BoolArray:
    """Events of all axons, ``[TICKS, axons]``."""
    everything = protocols()
    spikes = np.zeros((TICKS, len(everything)), np.bool_)
    for axon, (_, ticks) in enumerate(everything):
        spikes[list(ticks), axon] = True
    return spikes


def make_image(threshold: int = NEVER) -> LoadableImage:
    """A neuron for each axon; their potentials fall by 1/e in ``TAU`` ticks."""
    kinds = [kind for kind, _ in protocols()]
    count = len(kinds)
    core = CoreConfig(
        axons=count,
        neurons=count,
        weight_bits=16,
        lanes=1,
        levels=1,
        models=(Lif(state_bits=24, fraction_bits=0, bias_bits=0),),
        short_term=True,
    )
    arrays = CoreArrays(
        weights=WEIGHT * np.eye(count, dtype=np.int64),
        parameters={"retention": retention(TAU), "threshold": threshold, "reset": 0, "reset_mode": 0, "refractory": 0},
        short_term=ShortTerm(
            use=[kind.use for kind in kinds],
            facilitation=[kind.facilitation for kind in kinds],
            depression=[kind.depression for kind in kinds],
        ),
        outputs=[[n, n] for n in range(count)],
    )
    return image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=[[axon, 0, axon, 0] for axon in range(count)])


def run(seed: int = 0, chip: ChipFactory = golden) -> ShortTermRun:
    """Run everything side by side. There is nothing random, so the seed changes nothing."""
    with chip(make_image()) as device:
        device.run(stimulus(), record=["core0"])
        potentials = device.recorded["core0"].potential[0]
    kept = retention(TAU) / (1 << RETENTION_FRACTION)
    amplitudes = []
    for axon, (_, ticks) in enumerate(protocols()):
        when = np.array(ticks)
        amplitudes.append((potentials[when, axon] - kept * potentials[when - 1, axon]) / WEIGHT)
    shown = INTERVALS.index(SHOWN) + len(INTERVALS) * np.arange(len(SYNAPSES))
    return ShortTermRun(amplitudes=tuple(amplitudes), potentials=potentials[:SHOWN_TICKS, shown])


def check() -> tuple[LoadableImage, BoolArray]:
    """Image and stimulus for the comparison with hardware: the first ticks, with a threshold that some amplitudes reach."""
    return make_image(SOME), stimulus()[:CHECK_TICKS]
