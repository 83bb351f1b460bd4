from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import CapacityError, ConfigError
from spikeloom.arch.lif import Lif
from spikeloom.network.description import Network, Neurons
from spikeloom.network.evaluate import evaluate
from spikeloom.network.quantise import QuantisedNetwork, quantise
from tests.network.cases import feedforward, neurons, random_network, random_spikes

#: Room for all that a network may ask for.
LIF = Lif(state_bits=28, refractory_bits=4, bias_bits=28)
CORE = CoreConfig(axons=64, neurons=64, weight_bits=16, models=(LIF,))


def core(bits: int) -> CoreConfig:
    return dataclasses.replace(CORE, weight_bits=next(width for width in (2, 4, 8, 16) if width >= bits), accumulator_bits=None)


def one(weights: Any, cell: Neurons, config: CoreConfig = CORE, **options: Any) -> QuantisedNetwork:
    """A population behind one input line per row of weights."""
    matrix = np.atleast_2d(np.asarray(weights, np.float64))
    network = Network()
    out = network.population(matrix.shape[1], cell, "out")
    network.projection(network.input(matrix.shape[0]), out, matrix)
    network.output(out)
    return quantise(network, config, **options)


# Weights -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("scale", ["neuron", "layer"])
def test_every_weight_is_kept_within_half_a_unit(bits: int, scale: Any) -> None:
    for seed in range(8):
        network = random_network(seed)
        found = quantise(network, core(bits), weight_bits=bits, scale=scale)
        for projection, integers in zip(network.projections, found.weights, strict=True):
            unit = found.neurons[projection.post.label].unit
            assert np.abs(integers).max(initial=0) <= (1 << (bits - 1)) - 1, seed
            assert (np.abs(projection.weights - integers * unit) <= unit / 2 * (1 + 1e-9)).all(), seed
            assert (integers[projection.weights == 0] == 0).all(), seed


@pytest.mark.parametrize("bits", [2, 3, 8, 16])
def test_the_largest_weight_of_each_neuron_takes_the_whole_range(bits: int) -> None:
    weights = np.random.default_rng(0).normal(0, [0.01, 1.0, 100.0], (20, 3))
    found = one(weights, neurons(3), core(bits), weight_bits=bits)
    assert np.abs(found.weights[0]).max(axis=0).tolist() == [(1 << (bits - 1)) - 1] * 3
    assert found.neurons["out"].unit == pytest.approx(np.abs(weights).max(axis=0) / ((1 << (bits - 1)) - 1))
    assert found.reports[0].coarser == 1.0


@pytest.mark.parametrize("bits", [2, 5, 8, 16])
def test_a_layer_shares_one_power_of_two(bits: int) -> None:
    weights = np.random.default_rng(1).normal(0, [0.01, 1.0, 0.7], (20, 3))
    found = one(weights, neurons(3), core(bits), weight_bits=bits, scale="layer")
    unit = found.neurons["out"].unit
    smallest = np.abs(weights).max() / ((1 << (bits - 1)) - 1)
    assert (unit == unit[0]).all()
    assert np.log2(unit[0]) == round(np.log2(unit[0]))
    assert smallest <= unit[0] < 2 * smallest


def test_shared_parameter_sets_force_one_unit_per_layer() -> None:
    weights = np.random.default_rng(1).normal(0, [0.01, 1.0, 0.7], (20, 3))
    shared = one(weights, neurons(3), dataclasses.replace(CORE, group=4))
    assert np.array_equal(shared.neurons["out"].unit, one(weights, neurons(3), scale="layer").neurons["out"].unit)


def test_weights_of_every_projection_into_a_neuron_have_its_unit() -> None:
    network = Network()
    a, b = network.input(2, "a"), network.input(2, "b")
    out = network.population(1, neurons(1), "out")
    network.projection(a, out, [[1.0], [0.5]])
    network.projection(b, out, [[-4.0], [2.0]], delay=3)
    found = quantise(network, core(8))
    assert found.weights[0].tolist() == [[32], [16]]  # 127 / 4 = 31.75 and half of it
    assert found.weights[1].tolist() == [[-127], [64]]


def test_the_reported_error_is_the_relative_root_mean_square() -> None:
    weights = np.random.default_rng(2).normal(0, 1, (30, 5))
    found = one(weights, neurons(5), core(4))
    kept = found.weights[0] * found.neurons["out"].unit
    assert found.reports[0].weight_error == pytest.approx(np.sqrt(np.mean((kept - weights) ** 2) / np.mean(weights**2)))
    assert 0.01 < found.reports[0].weight_error < 0.2
    assert one(weights, neurons(5), core(16)).reports[0].weight_error < 1e-4


@pytest.mark.parametrize("scale", ["neuron", "layer"])
def test_nothing_is_cut_whatever_the_network(scale: Any) -> None:
    """The unit grows until all fits, so that no value is ever cut; the report's count says so."""
    tight = CoreConfig(axons=64, neurons=64, weight_bits=4, models=(Lif(state_bits=10, bias_bits=6),))
    for seed in range(40):
        network = random_network(seed)
        found = quantise(network, tight, scale=scale)
        assert [report.saturated for report in found.reports] == [0] * len(found.reports), seed
        for population in (p for p in network.populations if p.neurons is not None):
            q = found.neurons[population.label]
            p = q.parameters
            step = q.unit / (1 << 6)
            assert (np.abs(p["bias"] * step - population.neurons.bias) <= step / 2 * (1 + 1e-9)).all(), seed
            sign = -1 if p["reset_mode"].any() else 1
            assert (np.abs(sign * p["reset"] * step - population.neurons.reset) <= step / 2 * (1 + 1e-9)).all(), seed


def test_a_neuron_without_weights_still_has_a_threshold() -> None:
    network = Network()
    network.input(1)
    network.output(network.population(2, neurons(2, threshold=[0.5, np.inf], bias=0.4, retention=1.0), "out"))
    found = quantise(network, CORE)
    spikes = evaluate(network, np.zeros((1, 10, 1), np.bool_), found)["out"]
    assert np.array_equal(spikes, evaluate(network, np.zeros((1, 10, 1), np.bool_))["out"])
    assert spikes[0, :, 0].sum() == 5


def test_weights_of_zero_stay_zero() -> None:
    found = one(np.zeros((4, 2)), neurons(2))
    assert not found.weights[0].any()
    assert found.reports[0].weight_error == 0.0


@pytest.mark.parametrize("magnitude", [1e-30, 1e-6, 1e6, 1e30])
def test_the_size_of_the_numbers_does_not_matter(magnitude: float) -> None:
    weights = np.random.default_rng(3).normal(0, 1, (20, 4))
    small = one(weights, neurons(4, threshold=1.3, reset=-0.2))
    large = one(weights * magnitude, neurons(4, threshold=1.3 * magnitude, reset=-0.2 * magnitude))
    assert np.array_equal(small.weights[0], large.weights[0])
    assert np.array_equal(small.neurons["out"].parameters["threshold"], large.neurons["out"].parameters["threshold"])
    assert np.array_equal(small.neurons["out"].parameters["reset"], large.neurons["out"].parameters["reset"])


# Thresholds ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [1.0, 0.3, 1 / 3, 0.0, -0.25, -1 / 3])
@pytest.mark.parametrize("weight", [1.0, 0.1, 0.37, 2 / 3])
def test_a_potential_fires_exactly_if_it_is_strictly_above_the_threshold(weight: float, threshold: float) -> None:
    found = one([[weight]], neurons(1, threshold=threshold, reset=-2.0))
    limit = int(found.neurons["out"].parameters["threshold"][0])
    step = float(found.neurons["out"].unit[0]) / (1 << LIF.fraction_bits)
    for potential in range(limit - 3, limit + 4):
        if abs(potential * step - threshold) > 1e-9:
            assert (potential > limit) == (potential * step > threshold), potential


@pytest.mark.parametrize("seed", range(20))
def test_a_sum_of_weights_that_equals_the_threshold_does_not_fire(seed: int) -> None:
    """All numbers are multiples of the largest weight, which real numbers only hold nearly: 3 * 0.1 > 0.3."""
    rng = np.random.default_rng(seed)
    weights = rng.random(200) * rng.choice([0.01, 1.0, 30.0])
    times = rng.integers(1, 20, 200)
    network = Network()
    source = network.input(20)
    equal = network.population(200, neurons(200, threshold=weights * times), "equal")
    less = network.population(200, neurons(200, threshold=weights * times * (1 - 1e-3)), "less")
    rows = (np.arange(20)[:, np.newaxis] < times) * weights
    network.projection(source, equal, rows)
    network.projection(source, less, rows)
    found = quantise(network, CORE, weight_bits=8)
    spikes = evaluate(network, np.ones((1, 1, 20), np.bool_), found)
    assert not spikes["equal"].any()
    assert spikes["less"].all()


def test_a_threshold_of_infinity_is_the_top_of_the_potential() -> None:
    found = one([[1.0, 1.0]], neurons(2, threshold=[np.inf, 1.0]))
    assert found.neurons["out"].parameters["threshold"][0] == (1 << (LIF.state_bits - 1)) - 1
    assert found.reports[0].largest_threshold == found.neurons["out"].parameters["threshold"][1]
    never = one([[1.0]], neurons(1, threshold=np.inf))
    assert never.reports[0].largest_threshold == 0


@pytest.mark.parametrize("scale", ["neuron", "layer"])
@pytest.mark.parametrize("what", ["threshold", "reset"])
def test_the_unit_grows_until_threshold_and_reset_fit(what: str, scale: Any) -> None:
    config = CoreConfig(weight_bits=8, models=(Lif(state_bits=12, fraction_bits=4, bias_bits=12),))
    # A weight of 1 is 127 units of 16 potential steps; 2046 steps are the room: 1.007.
    assert one([[1.0]], neurons(1, **{what: 1.0}), config).reports[0].coarser == 1.0
    found = one([[1.0, 1.0]], neurons(2, **{what: [-1.0, 100.0] if what == "reset" else [1.0, 100.0]}), config, scale=scale)
    coarser = found.reports[0].coarser
    if scale == "neuron":
        assert coarser == pytest.approx(100 * 127 * 16 / 2046)
        assert found.neurons["out"].unit[0] == pytest.approx(1 / 127)  # only the neuron that needs it
    else:
        # The unit is 1/64, the next power of two above 1/127; 100 needs 100 * 16 / 2046 = 0.78, so it becomes 1.
        assert coarser == 64.0
        assert found.neurons["out"].unit.tolist() == [1.0, 1.0]
    values = found.neurons["out"].parameters[what]
    assert abs(values[1]) <= 2046
    assert values[1] * found.neurons["out"].unit[1] / 16 == pytest.approx(100.0, rel=1e-3 if scale == "neuron" else 1e-2)


def test_the_unit_grows_until_the_bias_fits() -> None:
    config = CoreConfig(weight_bits=8, models=(Lif(state_bits=24, fraction_bits=4, bias_bits=8),))
    found = one([[1.0]], neurons(1, bias=0.5), config)
    # 127 steps of bias are the room, and 0.5 takes 0.5 * 127 * 16 = 1016.
    assert found.reports[0].coarser == pytest.approx(1016 / 127)
    assert found.neurons["out"].parameters["bias"].tolist() == [127]


# Decay, reset, refractory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_decay_is_kept_within_two_to_the_minus_13(seed: int) -> None:
    retention = np.concatenate([np.random.default_rng(seed).random(500), [0.0, 1.0, 0.5, 0.95, 1 - 1e-9, 1e-9]])
    found = one(np.ones((1, 506)), neurons(506, retention=retention))
    error = np.abs(found.neurons["out"].parameters["retention"] / 4096 - retention)
    assert error.max() <= 2**-13
    assert found.reports[0].retention_error == error.max()
    assert found.neurons["out"].parameters["retention"][[500, 501]].tolist() == [0, 4096]


def test_a_subtraction_becomes_a_negative_relative_reset() -> None:
    found = one([[1.0]], neurons(1, threshold=0.5, reset=0.5, reset_mode="subtract"), core(8))
    assert found.neurons["out"].parameters["reset_mode"].all()
    assert found.neurons["out"].parameters["reset"].tolist() == [-(127 * 64) // 2]
    assert found.neurons["out"].parameters["threshold"].tolist() == [127 * 64 // 2]


def test_refractory_steps_are_kept() -> None:
    assert one([[1.0, 1.0]], neurons(2, refractory=[0, 15])).neurons["out"].parameters["refractory"].tolist() == [0, 15]


@pytest.mark.parametrize(
    ("changes", "geometry", "message"),
    [
        (
            {"refractory": 16},
            {"refractory_bits": 4},
            "population 'out' has a refractory period of 16 steps; the geometry's limit is 15; raise refractory_bits or the time step",
        ),
        ({"refractory": 1}, {"refractory_bits": 0}, "a refractory period of 1 steps; the geometry's limit is 0"),
        (
            {"bias": -0.1},
            {"bias_bits": 0},
            "population 'out' has a constant input (a bias or a v_leak), which this geometry was generated without; raise bias_bits",
        ),
        (
            {"reset": 1.0, "reset_mode": "subtract"},
            {"resets": "absolute"},
            "population 'out' resets by subtraction, which this geometry was generated without; "
            "choose resets='relative', or reset='nir' at import",
        ),
    ],
)
def test_what_a_core_was_made_without_is_named(changes: dict[str, Any], geometry: dict[str, Any], message: str) -> None:
    config = dataclasses.replace(CORE, models=(dataclasses.replace(LIF, **geometry),))
    with pytest.raises(CapacityError, match=re.escape(message)):
        one([[1.0]], neurons(1, **changes), config)
    assert one([[1.0]], neurons(1), config).reports[0].saturated == 0


@pytest.mark.parametrize(("bits", "width"), [(1, 8), (0, 8), (9, 8), (17, 16), (-4, 16)])
def test_weight_bits_out_of_range_are_refused(bits: int, width: int) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"weight_bits is {bits}; it must be 2 to the core's {width}")):
        one([[1.0]], neurons(1), core(width), weight_bits=bits)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ConfigError, match="scale is 'global'; it must be 'neuron' or 'layer'"):
        one([[1.0]], neurons(1), scale="global")  # type: ignore[arg-type]


# Altogether ------------------------------------------------------------------------------------------------------------------


def test_sixteen_bits_of_weight_give_nearly_the_spikes_of_real_numbers() -> None:
    for seed in range(5):
        network = feedforward(20, 15, 10, seed=seed, retention=0.9)
        found = quantise(network, CORE)
        spikes = random_spikes(seed, network, samples=10, ticks=30)
        real, integer = evaluate(network, spikes), evaluate(network, spikes, found)
        equal = (real["layer1"] == integer["layer1"]).mean()
        assert equal > 0.97, (seed, equal)
        assert 0.02 < real["layer1"].mean() < 0.98, seed


def test_fewer_bits_are_worse() -> None:
    network = feedforward(20, 15, 10, retention=0.9)
    spikes = random_spikes(0, network, samples=10, ticks=30)
    real = evaluate(network, spikes)["layer1"]
    equal = [
        (real == evaluate(network, spikes, quantise(network, core(16), weight_bits=b))["layer1"]).mean() for b in (2, 4, 8, 16)
    ]
    assert equal == sorted(equal)
