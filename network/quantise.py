"""Quantiser: real weights, thresholds and decays to the integers of a core. Described in ``docs/quantisation.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spikeloom.arch.config import RETENTION_FRACTION, CoreConfig
from spikeloom.arch.errors import CapacityError, ConfigError
from spikeloom.arch.layout import IntArray
from spikeloom.network.description import FloatArray, Network, Neurons, Population

Scale = Literal["neuron", "layer"]
MIN_WEIGHT_BITS, MAX_WEIGHT_BITS = 2, 16


@dataclass(frozen=True, slots=True)
class QuantisedNeurons:
    """Integers of a population, arrays of shape ``[size]``.

    Parameters
    ----------
    retention : int64 array
        Decay in units of 2**-12.
    threshold, reset, bias : int64 arrays
        In units of the potential. ``reset`` is the new potential, or is added to the potential if ``relative``.
    relative : bool
        Whether the reset is relative.
    refractory : int64 array
        Steps.
    unit : float array
        Real value of one unit of the weight.
    """

    retention: IntArray
    threshold: IntArray
    reset: IntArray
    bias: IntArray
    relative: bool
    refractory: IntArray
    unit: FloatArray


@dataclass(frozen=True, slots=True)
class LayerReport:
    """How well a population's numbers could be kept.

    Parameters
    ----------
    population : str
        Its label.
    weight_error : float
        Root mean square of the change of its incoming weights, relative to that of the weights.
    saturated : int
        Weights, biases and resets that were cut to the largest representable value.
    retention_error : float
        Largest change of a decay.
    largest_threshold : int
        Largest finite threshold in units of the potential; 0 if none fires.
    coarser : float
        Factor by which the unit had to grow so that threshold, reset and bias fit the potential; 1 if it did not.
    """

    population: str
    weight_error: float
    saturated: int
    retention_error: float
    largest_threshold: int
    coarser: float


@dataclass(frozen=True, slots=True)
class QuantisedNetwork:
    """A network in integers.

    Parameters
    ----------
    network : Network
        Where it comes from.
    config : CoreConfig
        Widths.
    neurons : dict of QuantisedNeurons
        By population label.
    weights : list of int64 array ``[pre.size, post.size]``
        One per projection of the network.
    reports : list of LayerReport
    """

    network: Network
    config: CoreConfig
    neurons: dict[str, QuantisedNeurons]
    weights: list[IntArray]
    reports: list[LayerReport]


def quantise(network: Network, config: CoreConfig, *, weight_bits: int | None = None, scale: Scale = "neuron") -> QuantisedNetwork:
    """Quantise a network for a core.

    Every neuron's weights are multiples of one unit: its largest incoming weight over ``2**(weight_bits - 1) - 1`` ("neuron"), or the next
    power of two for all neurons of a population ("layer"). Potentials are multiples of ``unit / 2**fraction_bits``. If threshold,
    reset or bias do not fit the potential's width in this unit, the unit grows until they do.

    Parameters
    ----------
    network : Network
        What to quantise.
    config : CoreConfig
        Widths.
    weight_bits : int
        Bits to use, 2 to those of the core; all by default.
    scale : "neuron" or "layer"
        A core whose neurons share parameter sets (``group`` above 1) needs "layer".

    Raises
    ------
    ConfigError
        If ``weight_bits`` or ``scale`` is out of range.
    CapacityError
        If the network needs a feature that the core was generated without.
    """
    bits = config.weight_bits if weight_bits is None else weight_bits
    if not MIN_WEIGHT_BITS <= bits <= config.weight_bits:
        raise ConfigError(f"weight_bits is {bits}; it must be {MIN_WEIGHT_BITS} to the core's {config.weight_bits}")
    if scale not in ("neuron", "layer"):
        raise ConfigError(f"scale is {scale!r}; it must be 'neuron' or 'layer'")
    if config.group > 1 and scale == "neuron":
        scale = "layer"
    neurons: dict[str, QuantisedNeurons] = {}
    weights: dict[int, IntArray] = {}
    reports = []
    for population in network.populations:
        if population.neurons is None:
            continue
        incoming = [i for i, projection in enumerate(network.projections) if projection.post is population]
        matrices = [network.projections[i].weights for i in incoming]
        limit = (1 << (bits - 1)) - 1
        unit, coarser = _unit(population.neurons, matrices, config, limit, scale)
        integers = [np.clip(np.rint(m / unit), -limit, limit).astype(np.int64) for m in matrices]
        saturated = sum(int((np.abs(np.rint(m / unit)) > limit).sum()) for m in matrices)
        quantised, cut = _neurons(population, population.neurons, unit, config)
        neurons[population.label] = quantised
        weights.update(zip(incoming, integers, strict=True))
        stacked = np.concatenate([m.reshape(-1) for m in matrices]) if matrices else np.zeros(1)
        kept = np.concatenate([(q * unit).reshape(-1) for q in integers]) if integers else np.zeros(1)
        power = float(np.sqrt(np.mean(stacked**2)))
        finite = np.isfinite(population.neurons.threshold)
        reports.append(
            LayerReport(
                population=population.label,
                weight_error=float(np.sqrt(np.mean((stacked - kept) ** 2))) / power if power else 0.0,
                saturated=saturated + cut,
                retention_error=float(np.abs(quantised.retention / (1 << RETENTION_FRACTION) - population.neurons.retention).max()),
                largest_threshold=int(quantised.threshold[finite].max()) if finite.any() else 0,
                coarser=coarser,
            )
        )
    return QuantisedNetwork(network, config, neurons, [weights[i] for i in range(len(network.projections))], reports)


def _unit(neurons: Neurons, matrices: list[FloatArray], config: CoreConfig, limit: int, scale: Scale) -> tuple[FloatArray, float]:
    """Real value of a weight of 1 for each neuron, and the factor by which it had to grow."""
    size = len(neurons.retention)
    largest = np.max([np.abs(m).max(axis=0, initial=0.0) for m in matrices], axis=0) if matrices else np.zeros(size)
    finite = np.where(np.isfinite(neurons.threshold), np.abs(neurons.threshold), 0.0)
    # A neuron without input weights still needs a unit for its threshold.
    largest = np.where(largest > 0, largest, np.where(finite > 0, finite, 1.0))
    unit = largest / limit
    if scale == "layer":
        unit = np.full(size, 2.0 ** np.ceil(np.log2(unit.max())))
    steps = float(1 << config.fraction_bits)
    room = float((1 << (config.state_bits - 1)) - 2)
    needed = np.maximum(finite, np.abs(neurons.reset)) * steps / room
    if config.bias_bits:
        needed = np.maximum(needed, np.abs(neurons.bias) * steps / ((1 << (config.bias_bits - 1)) - 1))
    factor = np.maximum(needed / unit, 1.0)
    if scale == "layer":
        factor = np.full(size, 2.0 ** np.ceil(np.log2(factor.max())))
    return unit * factor, float(factor.max())


def _neurons(population: Population, neurons: Neurons, unit: FloatArray, config: CoreConfig) -> tuple[QuantisedNeurons, int]:
    """Integers of a population, and how many values were cut."""
    name = population.label
    steps = (1 << config.fraction_bits) / unit
    top = (1 << (config.state_bits - 1)) - 1
    if neurons.reset_mode == "subtract" and not config.relative_reset:
        raise CapacityError(
            f"population {name!r} resets by subtraction, which this geometry was generated without; "
            "choose relative_reset=True, or reset='nir' at import"
        )
    longest = (1 << config.refractory_bits) - 1
    if neurons.refractory.max() > longest:
        raise CapacityError(
            f"population {name!r} has a refractory period of {int(neurons.refractory.max())} steps; the geometry's limit is {longest}; "
            "raise refractory_bits or the time step"
        )
    if neurons.bias.any() and not config.bias_bits:
        raise CapacityError(
            f"population {name!r} has a constant input (a bias or a v_leak), which this geometry was generated without; raise bias_bits"
        )
    subtract = neurons.reset_mode == "subtract"
    finite = np.isfinite(neurons.threshold)
    threshold = np.where(finite, _floor(np.where(finite, neurons.threshold, 0) * steps), top)
    reset = np.rint(neurons.reset * steps) * (-1 if subtract else 1)
    bias = np.rint(neurons.bias * steps)
    bias_top = (1 << (config.bias_bits - 1)) - 1 if config.bias_bits else 0
    cut = int((np.abs(reset) > top).sum() + (np.abs(bias) > bias_top).sum())
    return (
        QuantisedNeurons(
            retention=np.rint(neurons.retention * (1 << RETENTION_FRACTION)).astype(np.int64),
            threshold=np.clip(threshold, -top - 1, top).astype(np.int64),
            reset=np.clip(reset, -top - 1, top).astype(np.int64),
            bias=np.clip(bias, -bias_top, bias_top).astype(np.int64),
            relative=subtract,
            refractory=neurons.refractory,
            unit=unit,
        ),
        cut,
    )


def _floor(values: FloatArray) -> FloatArray:
    """Largest integer not above; an integer that a product only missed by rounding counts as reached.

    A potential of exactly the threshold must not fire: without this, a sum of weights that equals it often would.
    """
    nearest = np.rint(values)
    result: FloatArray = np.where(np.abs(values - nearest) <= 1e-9 * np.maximum(np.abs(values), 1), nearest, np.floor(values))
    return result
