"""Pairs of spikes at given ticks: what a synapse learns from them, on a chip and by an independent sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.host.chip import Chip
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity

FloatArray = npt.NDArray[np.float64]

#: Weight of the synapse at first, in the middle of its range of 16 bits, and the drive that makes the neuron fire.
START, DRIVE = 8000, 32000
#: Between what the synapse can reach and the drive.
THRESHOLD = 24000
HIGHEST = 16000


def protocol_image(plasticity: Plasticity, synapses: int = 1, lanes: int = 1, seed: int = 0) -> LoadableImage:
    """Neurons with one synapse that learns and one that makes them fire; neuron n has the axons n and ``synapses + n``."""
    core = CoreConfig(
        axons=2 * synapses,
        neurons=synapses,
        weight_bits=16,
        lanes=lanes,
        levels=1,
        models=(Lif(state_bits=24, fraction_bits=0, bias_bits=0),),
        learning=plasticity.unit(16),
    )
    weights = np.zeros((2 * synapses, synapses), np.int64)
    weights[np.arange(synapses), np.arange(synapses)] = START
    weights[np.arange(synapses) + synapses, np.arange(synapses)] = DRIVE
    # Nothing of the potential stays from one tick to the next.
    parameters = {"retention": 0, "threshold": THRESHOLD, "reset": 0, "reset_mode": 0, "refractory": 0}
    arrays = CoreArrays(
        weights=weights,
        parameters=parameters,
        plasticity=plasticity,
        plastic_axons=np.arange(2 * synapses) < synapses,
        outputs=[[n, n] for n in range(synapses)],
        seed=seed,
    )
    columns = np.arange(2 * synapses)
    inputs = np.stack([columns, np.zeros_like(columns), columns, np.zeros_like(columns)], axis=1)
    return image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=inputs)


def learnt(chip: Chip, pre: Sequence[Sequence[int]], post: Sequence[Sequence[int]], ticks: int) -> IntArray:
    """Change of each synapse's weight, in LSB, after spikes at these ticks.

    Parameters
    ----------
    chip : Chip
        With an image of :func:`protocol_image` and no other weights than its own.
    pre, post : sequence of sequence of int
        Ticks of the spikes before and behind each synapse.
    ticks : int
        Length of the run.
    """
    count = len(pre)
    spikes = np.zeros((ticks, 2 * count), np.bool_)
    for n in range(count):
        spikes[list(pre[n]), n] = True
        spikes[list(post[n]), count + n] = True
    out = chip.run(spikes)
    np.testing.assert_array_equal(out, spikes[:, count:])
    weights = weight_matrix(chip)
    return weights[np.arange(count), np.arange(count)] - START


def weight_matrix(chip: Chip, core: int = 0) -> IntArray:
    """Weights that a chip has now, ``[axons, neurons]``; 0 where there is no synapse."""
    config = chip.image.config.cores[core]
    memory = chip.state()[f"core{core}.weights"]
    rows = regions(config)["rows"].layout.unpack(chip.image.memories[core]["rows"])
    result = np.zeros((config.axons, config.neuron_words, config.lanes), np.int64)
    for axon in range(config.axons):
        start, last, base = rows["start"][axon], rows["last"][axon], rows["base"][axon]
        if last >= start:
            result[axon, start : last + 1] = memory[base : base + last - start + 1]
    return result.reshape(config.axons, -1)[:, : config.neurons]


def pair_sum(
    pre: Sequence[int], post: Sequence[int], plus: float, minus: float, tau_plus: float, tau_minus: float, *, nearest: bool
) -> float:
    """Sum over pairs of spikes: ``plus * exp(-delay / tau_plus)`` where pre is not later, else ``-minus * exp(delay / tau_minus)``.

    With ``nearest`` a post spike counts only its latest pre spike, and a pre spike only the latest post spike before it
    (Morrison, Diesmann and Gerstner 2008, "symmetric" nearest-spike pairing).
    """
    total = 0.0
    for when in post:
        earlier = [other for other in pre if other <= when]
        total += sum(plus * np.exp(-(when - other) / tau_plus) for other in (earlier[-1:] if nearest else earlier))
    for when in pre:
        earlier = [other for other in post if other < when]
        total -= sum(minus * np.exp(-(when - other) / tau_minus) for other in (earlier[-1:] if nearest else earlier))
    return float(total)
