"""What the experiments share: images of one core, how a chip is made, and the comparison with hardware."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import RETENTION_FRACTION, Lif
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.chip import Chip, Progress
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
#: Spikes recorded or replayed in one call; between two of them progress is shown.
BLOCK = 2000


class Run(Protocol):
    """What an experiment gives for one seed."""

    @property
    def measured(self) -> str:
        """The numbers, in words."""

    @property
    def passed(self) -> bool:
        """Whether this seed meets the criterion."""


def golden(image: LoadableImage) -> Chip:
    """The plain golden model."""
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
    *,
    plasticity: Plasticity | None = None,
    plastic_axons: npt.ArrayLike = True,
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
    plastic_axons : array_like ``[axons]``
        Whose synapses learn.
    seed : int
        Of the random rounding.
    """
    matrix = np.asarray(weights, np.int64)
    axons, neurons = matrix.shape
    core = CoreConfig(
        axons=axons,
        neurons=neurons,
        weight_bits=WEIGHT_BITS,
        lanes=1,
        levels=1,
        models=(NEURON,),
        learning=None if plasticity is None else plasticity.unit(WEIGHT_BITS),
    )
    arrays = CoreArrays(
        weights=matrix,
        parameters=parameters,
        plasticity=plasticity,
        plastic_axons=plastic_axons,
        outputs=[[n, n] for n in range(neurons)],
        seed=seed,
    )
    inputs = [[axon, 0, axon, 0] for axon in range(axons)]
    return image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=inputs)


def with_progress(length: int, progress: Progress | None, done: int) -> None:
    """Report that ``done`` of ``length`` parts are over, if anyone asks."""
    if progress is not None:
        progress(done, length)


def hardware(image: LoadableImage) -> Chip:
    """The image's chip as generated Verilog in a compiled simulator."""
    return BusChip(rtl_bus(image.config, optimise="-O0"), image)


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
    with golden(image) as first, hardware(image) as second:
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


def weights_of(chip: Chip, axons: int) -> IntArray:
    """Weights that a chip of :func:`one_core` has now, ``[axons, neurons]``."""
    return chip.state()["core0.weights"].reshape(axons, -1)


def ensure(folder: Path) -> Path:
    """The folder, made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


Anything = Any
