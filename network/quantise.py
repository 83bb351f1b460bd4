"""Quantiser: real weights, thresholds and decays to the integers of a core. Described in ``docs/quantisation.md``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spikeloom.arch.config import TYPE_WEIGHT_BITS, ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError, ConfigError, NetworkError, SpikeloomError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import RETENTION_FRACTION, Lif, Reset
from spikeloom.arch.neuron import NeuronModel
from spikeloom.network.description import FloatArray, ModelNeurons, Network, Neurons, Population, Projection
from spikeloom.network.plastic import learners, plasticity_of
from spikeloom.network.plasticity import Plasticity

Scale = Literal["neuron", "layer"]
MIN_WEIGHT_BITS, MAX_WEIGHT_BITS = 2, 16


def weight_width(core: CoreConfig) -> int:
    """Bits of the widest weight that a core holds."""
    return TYPE_WEIGHT_BITS if core.typed else core.weight_bits


@dataclass(frozen=True, slots=True)
class QuantisedNeurons:
    """Integers of a population.

    Parameters
    ----------
    model : NeuronModel
        Model of the core that the neurons follow.
    parameters : dict of int64 array ``[size]``
        Every parameter field of the model.
    unit : float array ``[size]``
        Real value of one unit of the weight.
    width : int
        Bits that a core must have for their weights.
    bits : int
        Bits to which their weights are quantised, ``width`` or fewer.
    plasticity : Plasticity or None
        How their synapses learn; None: none of them does.
    learners : frozenset of CoreConfig
        The cores that can learn so; without meaning if none learns.
    """

    model: NeuronModel
    parameters: dict[str, IntArray]
    unit: FloatArray
    width: int
    bits: int
    plasticity: Plasticity | None = None
    learners: frozenset[CoreConfig] = frozenset()

    def suits(self, core: CoreConfig) -> bool:
        """Whether a core has the model, room for the weights, and can learn as the synapses do."""
        fits = self.model in core.models and weight_width(core) >= self.width
        return fits and (self.plasticity is None or core in self.learners)


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
    neurons : dict of QuantisedNeurons
        By population label.
    weights : list of int64 array ``[pre.size, post.size]``
        One per projection of the network.
    reports : list of LayerReport
    """

    network: Network
    neurons: dict[str, QuantisedNeurons]
    weights: list[IntArray]
    reports: list[LayerReport]


def quantise(
    network: Network, config: CoreConfig | ChipConfig, *, weight_bits: int | None = None, scale: Scale = "neuron"
) -> QuantisedNetwork:
    """Quantise a network for a core, or for a chip whatever cores its neurons then come to.

    Every neuron's weights are multiples of one unit: its largest incoming weight over ``2**(weight_bits - 1) - 1`` ("neuron"), or the next
    power of two for all neurons of a population ("layer"). Potentials are multiples of ``unit / 2**fraction_bits``. If threshold,
    reset or bias do not fit the potential's width in this unit, the unit grows until they do. Where synapses learn, the unit is fixed:
    ``w_max`` over the rule's upper bound.

    Parameters
    ----------
    network : Network
        What to quantise.
    config : CoreConfig or ChipConfig
        Models and widths. Where cores differ, a population is quantised for those that hold its model, and to the narrowest of them.
    weight_bits : int
        Bits to use, 2 to those of the widest core; by default all of the narrowest core that holds the population's model. Cores with
        fewer are not used.
    scale : "neuron" or "layer"
        A core whose neurons share parameter sets (``group`` above 1, or ``sets``) needs "layer".

    Raises
    ------
    ConfigError
        If ``weight_bits`` or ``scale`` is out of range, or no core can learn as the network does.
    CapacityError
        If the network needs a feature that the cores were generated without; or a fixed unit is too small for a weight or a threshold.
    NetworkError
        If a synapse that learns begins with a weight out of its bounds.
    """
    cores = (config,) if isinstance(config, CoreConfig) else config.cores
    widest = max(weight_width(core) for core in cores)
    if weight_bits is not None and not MIN_WEIGHT_BITS <= weight_bits <= widest:
        whose = "core's" if len({weight_width(core) for core in cores}) == 1 else "widest core's"
        raise ConfigError(f"weight_bits is {weight_bits}; it must be {MIN_WEIGHT_BITS} to the {whose} {widest}")
    if scale not in ("neuron", "layer"):
        raise ConfigError(f"scale is {scale!r}; it must be 'neuron' or 'layer'")
    neurons: dict[str, QuantisedNeurons] = {}
    weights: dict[int, IntArray] = {}
    reports = []
    for population in network.populations:
        if population.neurons is None:
            continue
        incoming = [i for i, projection in enumerate(network.projections) if projection.post is population]
        matrices = [network.projections[i].weights for i in incoming]
        plasticity = plasticity_of(network, population)
        lsb = next((lsb_of(network.projections[i]) for i in incoming if network.projections[i].plasticity is not None), None)
        if plasticity is None:
            q, coarser, cut = _quantised(population, matrices, cores, weight_bits, scale, lsb)
        else:
            able = learners(network, population, plasticity, cores)
            chosen = tuple(core for core in cores if core in able)
            q, coarser, cut = _quantised(population, matrices, chosen, weight_bits, scale, lsb)
            q = replace(q, plasticity=plasticity, learners=able)
        retention_error, threshold = 0.0, 0
        if isinstance(population.neurons, Neurons):
            retention_error = _retention_error(population.neurons, q)
            finite = np.isfinite(population.neurons.threshold)
            threshold = int(q.parameters["threshold"][finite].max()) if finite.any() else 0
        neurons[population.label] = q
        limit = (1 << (q.bits - 1)) - 1
        rounded = [np.rint(m / q.unit) for m in matrices]
        if plasticity is not None:
            for i, values in zip(incoming, rounded, strict=True):
                _check_fixed(network.projections[i], values, q, limit, fixed=lsb is not None)
        # Those that learn are within their bounds, which may be wider.
        learn = [network.projections[i].plasticity is not None for i in incoming]
        integers = [(r if own else np.clip(r, -limit, limit)).astype(np.int64) for r, own in zip(rounded, learn, strict=True)]
        saturated = sum(int((i != r).sum()) for i, r in zip(integers, rounded, strict=True))
        weights.update(zip(incoming, integers, strict=True))
        power = sum(float(np.vdot(m, m)) for m in matrices)
        changes = (i * q.unit - m for i, m in zip(integers, matrices, strict=True))
        lost = sum(float(np.vdot(change, change)) for change in changes)
        reports.append(
            LayerReport(
                population=population.label,
                weight_error=math.sqrt(lost / power) if power else 0.0,
                saturated=saturated + cut,
                retention_error=retention_error,
                largest_threshold=threshold,
                coarser=coarser,
            )
        )
    return QuantisedNetwork(network, neurons, [weights[i] for i in range(len(network.projections))], reports)


def lsb_of(projection: Projection) -> float | None:
    """Real value of a weight of 1 that a projection which learns asks for; None: the cells say it, or the quantiser chooses it."""
    if projection.plasticity is None or projection.w_max is None:
        return None
    return projection.w_max / projection.plasticity.high


def _check_fixed(projection: Projection, values: FloatArray, q: QuantisedNeurons, limit: int, *, fixed: bool) -> None:
    """Refuse weights, in LSB, that do not fit a unit that nobody chose for them."""
    plasticity = projection.plasticity
    if plasticity is not None:
        wrong = (values < plasticity.low) | (values > plasticity.high)
        bounds = f"a synapse that learns begins between low and high of its plasticity, {plasticity.low} and {plasticity.high}"
        below = bool((values < plasticity.low).any())
        remedy = f"{'lower low' if below else 'raise w_max' if fixed else 'raise high'}, or"
        low, high = plasticity.low, plasticity.high
        error: type[SpikeloomError] = NetworkError
    else:
        wrong = np.abs(values) > limit if fixed else np.zeros(values.shape, np.bool_)
        bounds = f"weights of {q.bits} bits are {-limit} to {limit}, and the projections that learn fix the LSB as w_max / high"
        remedy = "lower high, raise w_max, or"
        low, high = -limit, limit
        error = CapacityError
    if wrong.any():
        pre, post = np.argwhere(wrong)[0].tolist()
        unit = float(q.unit[post])
        raise error(
            f"projection {projection.name}: the weight {projection.weights[pre, post]:g} from {pre} to {post} is {values[pre, post]:.0f} LSB of "
            f"{unit:g}; {bounds}: {remedy} choose weights of {low * unit:g} to {high * unit:g}"
        )


def _quantised(
    population: Population,
    matrices: list[FloatArray],
    cores: tuple[CoreConfig, ...],
    weight_bits: int | None,
    scale: Scale,
    lsb: float | None,
) -> tuple[QuantisedNeurons, float, int]:
    """Integers of a population, the factor by which its unit had to grow, and how many values were cut; ``lsb``: a unit that is fixed.

    Cores may hold the model with different widths. The first variant that can represent the neurons counts, the one of most neurons
    first. So it depends on the cores of the chip only, and not on which of them the neurons come to.
    """
    neurons = population.neurons
    assert neurons is not None
    refusals: list[SpikeloomError] = []
    for model, members in _variants(population, "lif" if isinstance(neurons, Neurons) else neurons.cell.model_name, cores):
        widths = [width for width in map(weight_width, members) if width >= (weight_bits or 0)]
        if not widths:
            refusals.append(
                CapacityError(
                    f"population {population.label!r}: no core with {model.NAME} neurons has weights of {weight_bits} bits, the widest "
                    f"{max(map(weight_width, members))}; choose fewer weight_bits"
                )
            )
            continue
        width = min(widths)
        bits = weight_bits or width
        sharing = any(core.group > 1 or core.sets is not None for core in members if weight_width(core) >= width)
        try:
            if isinstance(neurons, ModelNeurons):
                parameters, unit = _model_integers(population, neurons, model)
                return QuantisedNeurons(model, parameters, unit, width, bits), 1.0, 0
            assert isinstance(model, Lif)
            unit, coarser = _unit(neurons, matrices, model, (1 << (bits - 1)) - 1, "layer" if sharing else scale, lsb)
            if lsb is not None and coarser > 1:
                raise CapacityError(
                    f"population {population.label!r}: its threshold, reset, bias or adaptation needs {coarser:.3g} times the room that it has: "
                    f"projections that learn fix the LSB of a weight as w_max / high, {lsb:g}; lower high, raise w_max, or raise state_bits"
                )
            parameters, cut = _lif_integers(population, neurons, unit, model)
            return QuantisedNeurons(model, parameters, unit, width, bits), coarser, cut
        except (CapacityError, NetworkError, ConfigError) as error:
            refusals.append(error)
    raise refusals[0]


def _variants(population: Population, name: str, cores: tuple[CoreConfig, ...]) -> list[tuple[NeuronModel, list[CoreConfig]]]:
    """The models of that name, with the cores that hold them; that of most neurons first."""
    variants: dict[NeuronModel, list[CoreConfig]] = {}
    for core in cores:
        model = core.model(name)
        if model is not None:
            variants.setdefault(model, []).append(core)
    if not variants:
        has = ", ".join(dict.fromkeys(model.NAME for core in cores for model in core.models))
        was = "core was" if len(cores) == 1 else "cores were"
        raise CapacityError(
            f"population {population.label!r} has {name} neurons; the {was} generated with {has} only: "
            f"add the model {name} to its models, or choose another geometry"
        )
    return sorted(variants.items(), key=lambda item: (-sum(core.neurons for core in item[1]), repr(item[0])))


def _model_integers(population: Population, neurons: ModelNeurons, model: NeuronModel) -> tuple[dict[str, IntArray], FloatArray]:
    """Integers of a population of model cells, and the unit of its weights."""
    try:
        parameters = neurons.cell.integers(model, neurons.size, neurons.dt)
        model.check(parameters)
        return parameters, np.broadcast_to(np.asarray(neurons.cell.unit(model, neurons.dt), np.float64), neurons.size)
    except (NetworkError, ConfigError) as error:
        raise type(error)(f"population {population.label!r}: {error}") from None


def _retention_error(neurons: Neurons, quantised: QuantisedNeurons) -> float:
    """Largest change of a decay."""
    errors = [0.0]
    for name in ("retention", "current_retention", "adaptation_retention"):
        real = getattr(neurons, name)
        if real is not None and name in quantised.parameters:
            errors.append(float(np.abs(quantised.parameters[name] / (1 << RETENTION_FRACTION) - real).max()))
    return max(errors)


def _unit(
    neurons: Neurons, matrices: list[FloatArray], model: Lif, limit: int, scale: Scale, lsb: float | None
) -> tuple[FloatArray, float]:
    """Real value of a weight of 1 for each neuron, and the factor by which it had to grow; or would have to, if it is fixed (``lsb``)."""
    size = len(neurons.retention)
    largest = np.max([np.abs(m).max(axis=0, initial=0.0) for m in matrices], axis=0) if matrices else np.zeros(size)
    finite = np.where(np.isfinite(neurons.threshold), np.abs(neurons.threshold), 0.0)
    # A neuron without input weights still needs a unit for its threshold.
    largest = np.where(largest > 0, largest, np.where(finite > 0, finite, 1.0))
    unit = largest / limit
    if scale == "layer":
        unit = np.full(size, 2.0 ** np.ceil(np.log2(unit.max())))
    if lsb is not None:
        unit = np.full(size, lsb)
    steps = float(1 << model.fraction_bits)
    room = float((1 << (model.state_bits - 1)) - 2)
    needed = np.maximum(finite, np.abs(neurons.reset)) * steps / room
    if model.bias_bits:
        needed = np.maximum(needed, np.abs(neurons.bias) * steps / ((1 << (model.bias_bits - 1)) - 1))
    if model.adaptation_bits and neurons.adaptation_step is not None:
        # Room for several spikes' worth of adaptation.
        needed = np.maximum(needed, 4 * neurons.adaptation_step * steps / ((1 << model.adaptation_bits) - 1))
    factor = np.maximum(needed / unit, 1.0)
    if scale == "layer":
        factor = np.full(size, 2.0 ** np.ceil(np.log2(factor.max())))
    return unit * factor, float(factor.max())


def _lif_integers(population: Population, neurons: Neurons, unit: FloatArray, model: Lif) -> tuple[dict[str, IntArray], int]:
    """Integers of a population in per-step form, and how many values were cut."""
    name, size = population.label, population.size
    steps = (1 << model.fraction_bits) / unit
    top = (1 << (model.state_bits - 1)) - 1
    subtract = neurons.reset_mode == "subtract"
    if subtract and model.resets == "absolute":
        raise CapacityError(
            f"population {name!r} resets by subtraction, which this geometry was generated without; "
            "choose resets='relative', or reset='nir' at import"
        )
    longest = (1 << model.refractory_bits) - 1
    if neurons.refractory.max() > longest:
        raise CapacityError(
            f"population {name!r} has a refractory period of {int(neurons.refractory.max())} steps; the geometry's limit is {longest}; "
            "raise refractory_bits or the time step"
        )
    for needed, present, what, remedy in (
        (neurons.bias.any(), model.bias_bits, "a constant input (a bias or a v_leak)", "raise bias_bits"),
        (neurons.current_retention is not None, model.current_bits, "a synaptic current", "give current_bits, for example 24"),
        (
            neurons.adaptation_step is not None,
            model.adaptation_bits,
            "an adaptive threshold",
            "give adaptation_bits, for example 24",
        ),
        ((neurons.retention != 1).any(), model.decay, "an exponential leak", "choose decay=True"),
    ):
        if needed and not present:
            raise CapacityError(f"population {name!r} has {what}, which this geometry was generated without; {remedy}")
    finite = np.isfinite(neurons.threshold)
    parameters = {
        "threshold": np.where(finite, _floor(np.where(finite, neurons.threshold, 0) * steps), top),
        "reset": np.rint(neurons.reset * steps) * (-1 if subtract else 1),
        "reset_mode": np.full(size, Reset.RELATIVE if subtract else Reset.ABSOLUTE),
        "refractory": neurons.refractory,
        "bias": np.rint(neurons.bias * steps),
        "retention": np.rint(neurons.retention * (1 << RETENTION_FRACTION)),
    }
    if model.current_bits:
        # Without a current of its own a neuron passes its input on at once.
        retention = np.zeros(size) if neurons.current_retention is None else neurons.current_retention
        parameters["current_retention"] = np.rint(retention * (1 << RETENTION_FRACTION))
    if model.adaptation_bits and neurons.adaptation_step is not None and neurons.adaptation_retention is not None:
        parameters["adaptation_retention"] = np.rint(neurons.adaptation_retention * (1 << RETENTION_FRACTION))
        parameters["adaptation_step"] = np.rint(neurons.adaptation_step * steps)
    if model.negative_threshold:
        # Out of reach.
        parameters["negative_threshold"] = np.full(size, -top - 1)
    cut = 0
    result = {}
    for field in model.parameter_names().values():
        values = parameters.get(field.name, np.zeros(size))
        # The range of a bias is kept symmetric.
        low = -field.high if field.name == "bias" else field.low
        fitting = np.clip(values, low, field.high)
        cut += int((fitting != values).sum())
        result[field.name] = fitting.astype(np.int64)
    return result, cut


def _floor(values: FloatArray) -> FloatArray:
    """Largest integer not above; an integer that a product only missed by rounding counts as reached.

    A potential of exactly the threshold must not fire: without this, a sum of weights that equals it often would.
    """
    nearest = np.rint(values)
    result: FloatArray = np.where(np.abs(values - nearest) <= 1e-9 * np.maximum(np.abs(values), 1), nearest, np.floor(values))
    return result
