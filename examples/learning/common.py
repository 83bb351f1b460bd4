"""What the experiments share: images of one core, how a chip is made, and the comparison with hardware."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import RETENTION_FRACTION, Lif
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.chip import Chip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity
from spikeloom.sim.rtl_bus import rtl_bus

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
#: What makes a chip with a loaded image.
ChipFactory = Callable[[LoadableImage], Chip]

#: All neurons are of this kind: leak, reset to a value, refractory period; potentials in units of 2**-6 of a weight's LSB.
NEURON = Lif(bias_bits=0)
#: Units of the potential in one LSB of a weight.
UNIT = 1 << NEURON.fraction_bits
WEIGHT_BITS = 8
#: Largest weight.
HIGHEST = (1 << (WEIGHT_BITS - 1)) - 1
#: Geometry of the small experiments: all of them run on the same hardware.
SMALL_AXONS, SMALL_NEURONS = 20, 2
SMALL_LEARNING = Learning(pre_traces=1, post_traces=1, tag_bits=8, terms=4)
#: Time constant of a trace that the hardware has and the rule does not use.
UNUSED_TAU = 20.0


class Run(Protocol):
    """What an experiment gives for one seed."""

    @property
    def measured(self) -> str:
        """The numbers, in words."""

    @property
    def passed(self) -> bool:
        """Whether this seed meets the criterion."""


def golden(image: LoadableImage) -> Chip:
    """The golden model: its fast engine where there is a C++ compiler, else numpy."""
    return spikeloom.open("golden", image)


def plain_golden(image: LoadableImage) -> Chip:
    """The golden model in numpy, which defines every bit."""
    return GoldenChip(image)


def retention(tau: float) -> int:
    """Retention of a potential that falls by 1/e in ``tau`` ticks, in units of 2**-12."""
    return round((1 << RETENTION_FRACTION) * math.exp(-1 / tau))


def neuron(tau: float, threshold: npt.ArrayLike, refractory: int = 0) -> dict[str, npt.ArrayLike]:
    """Parameters of the neurons of a core.

    Parameters
    ----------
    tau : float
        Time constant of the potential, in ticks; 0: nothing stays.
    threshold : array_like
        In LSB of a weight; of one neuron or of each.
    refractory : int
        Ticks.
    """
    units = np.rint(np.asarray(threshold, np.float64) * UNIT).astype(np.int64)
    return {
        "retention": retention(tau) if tau else 0,
        "threshold": units,
        "reset": 0,
        "reset_mode": 0,
        "refractory": refractory,
    }


def one_core(
    weights: npt.ArrayLike,
    parameters: Mapping[str, npt.ArrayLike],
    plasticity: Plasticity | None = None,
    seed: int = 0,
) -> LoadableImage:
    """One core: input a is axon a, and the spikes of neuron n are output n.

    Parameters
    ----------
    weights : array_like ``[axons, neurons]``
        In LSB, -128 to 127.
    parameters : dict
        As :func:`neuron` gives them.
    plasticity : Plasticity or None
        How the core learns. None: it is generated without learning.
    seed : int
        Of the random rounding.
    """
    matrix = np.asarray(weights, np.int64)
    axons, neurons = matrix.shape
    arrays = CoreArrays(
        weights=matrix,
        parameters=parameters,
        plasticity=plasticity,
        outputs=[[n, n] for n in range(neurons)],
        seed=seed,
    )
    return _image(axons, neurons, None if plasticity is None else plasticity.unit(WEIGHT_BITS), arrays, axons)


def small_core(
    weights: npt.ArrayLike,
    parameters: Mapping[str, npt.ArrayLike],
    plasticity: Plasticity,
    plastic_axons: npt.ArrayLike = True,
    seed: int = 0,
) -> LoadableImage:
    """An image for the hardware that the small experiments share. ``plastic_axons`` ``[axons]`` says whose synapses learn.

    Otherwise as :func:`one_core`. Axons and neurons that are left over have no synapses; such a neuron cannot fire.
    """
    matrix = np.asarray(weights, np.int64)
    axons, neurons = matrix.shape
    padded = np.zeros((SMALL_AXONS, SMALL_NEURONS), np.int64)
    padded[:axons, :neurons] = matrix
    learns = np.arange(SMALL_AXONS) < axons
    learns[:axons] &= np.asarray(plastic_axons, np.bool_)
    arrays = CoreArrays(
        weights=padded,
        parameters=parameters,
        plasticity=dataclasses.replace(plasticity, tau=dict.fromkeys(SMALL_LEARNING.traces, UNUSED_TAU) | dict(plasticity.tau)),
        plastic_axons=learns,
        plastic_neurons=np.arange(SMALL_NEURONS) < neurons,
        outputs=[[n, n] for n in range(neurons)],
        seed=seed,
    )
    return _image(SMALL_AXONS, SMALL_NEURONS, SMALL_LEARNING, arrays, axons)


def _image(axons: int, neurons: int, learning: Learning | None, arrays: CoreArrays, inputs: int) -> LoadableImage:
    """An image of one core whose first axons are the inputs."""
    core = CoreConfig(axons=axons, neurons=neurons, weight_bits=WEIGHT_BITS, lanes=1, levels=1, models=(NEURON,), learning=learning)
    return image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=[[axon, 0, axon, 0] for axon in range(inputs)])


def hardware(image: LoadableImage) -> Chip:
    """The image's chip as generated Verilog in a compiled simulator."""
    return BusChip(rtl_bus(image.config), image)


def difference(image: LoadableImage, spikes: BoolArray, rewards: npt.ArrayLike = ()) -> str | None:
    """Run golden model and hardware, and compare outputs and the state at the end.

    Parameters
    ----------
    image : LoadableImage
    spikes : bool array ``[ticks, inputs]`` or ``[samples, ticks, inputs]``
    rewards : array_like ``[samples]``
        Reward during each sample; empty: none is given.

    Returns
    -------
    str or None
        Where the first difference is.
    """
    given = np.asarray(rewards, np.float64)
    with plain_golden(image) as first, hardware(image) as second:
        results = []
        for chip in (first, second):
            outputs = []
            for number, sample in enumerate(spikes if spikes.ndim == 3 else spikes[np.newaxis]):
                if given.size:
                    chip.modulate(reward=float(given[number]))
                outputs.append(chip.run(sample))
            results.append(np.stack(outputs))
        if (results[0] != results[1]).any():
            return f"output {np.argwhere(results[0] != results[1])[0].tolist()} (sample, tick, output) differs"
        expected, got = first.state(), second.state()
    if expected.keys() != got.keys():
        return f"different state: {sorted(expected.keys() ^ got.keys())}"
    for name, values in expected.items():
        if not np.array_equal(values, got[name]):
            place = tuple(np.argwhere(values != got[name])[0].tolist())
            return f"{name}{list(place)}: expected {values[place]} (golden), got {got[name][place]} (RTL)"
    return None
