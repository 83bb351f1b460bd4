"""Cores with several neuron models, shared parameter sets, cells in integers, and one bit per synapse."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import spikeloom
from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError, ConfigError, NetworkError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.golden.neuron import step_of
from spikeloom.network.adex import AdExCell
from spikeloom.network.description import FixedCell, ModelCell, Network, Neurons, Population
from spikeloom.network.evaluate import evaluate, order_of_evaluation
from spikeloom.network.izhikevich import IzhikevichCell, QuadraticCell
from spikeloom.network.quantise import quantise
from tests.network.cases import feedforward, neurons, random_network, random_spikes

BoolArray = npt.NDArray[np.bool_]

MODELS = (Lif(current_bits=24, adaptation_bits=20), Izhikevich(bias_bits=16), AdEx())


def chip(**changes: Any) -> ChipConfig:
    arguments: dict[str, Any] = {"axons": 256, "neurons": 256, "lanes": 8, "pipelines": 2, "models": MODELS, "destinations": 512}
    return ChipConfig(cores=(CoreConfig(**(arguments | changes)),))


def by_hand(network: Network, spikes: BoolArray, core: CoreConfig) -> dict[str, BoolArray]:
    """Spikes of every population: the golden steps of the quantised network, population after population within a step."""
    quantised = quantise(network, core)
    delays = network.delays()
    trains: dict[str, BoolArray] = {}
    first = 0
    for population in network.inputs:
        trains[population.label] = spikes[:, :, first : first + population.size]
        first += population.size
    order = order_of_evaluation(network, delays)
    samples, ticks, _ = spikes.shape
    states = {}
    for population in order:
        trains[population.label] = np.zeros((samples, ticks, population.size), np.bool_)
        fields = quantised.neurons[population.label].model.state_fields()
        states[population.label] = {field.name: np.zeros((samples, population.size), np.int64) for field in fields}
    for tick in range(ticks):
        for population in order:
            label, total = population.label, np.zeros((samples, population.size), np.int64)
            for projection, weights, delay in zip(network.projections, quantised.weights, delays, strict=True):
                if projection.post is population and tick >= delay:
                    total += trains[projection.pre.label][:, tick - delay].astype(np.int64) @ weights
            q, random = quantised.neurons[label], np.zeros(population.size, np.int64)
            states[label], fired = step_of(q.model)(q.model, q.parameters, states[label], total, random)
            trains[label][:, tick] = fired
    return trains


def mixed(seed: int, *, same: bool = False) -> Network:
    """Populations of all models and of odd sizes, one behind the other, with a recurrence each; ``same``: without parameters per neuron."""
    rng = np.random.default_rng(seed)
    network = Network()

    def some(low: float, high: float, size: int) -> Any:
        return float(rng.uniform(low, high)) if same else rng.uniform(low, high, size)

    def lif(size: int) -> Neurons:
        extra = {"current_retention": 0.5} if seed % 2 else {"adaptation_retention": 0.9, "adaptation_step": 0.4}
        return neurons(size, retention=0.9, threshold=some(0.5, 1.5, size), **extra)

    def izhikevich(size: int) -> ModelCell:
        return IzhikevichCell(a=some(0.02, 0.1, size), d=some(2, 8, size), i_offset=some(0, 6, size))

    def quadratic(size: int) -> ModelCell:
        return QuadraticCell(i_offset=some(0, 0.6, size))

    def adex(size: int) -> ModelCell:
        return AdExCell(b=some(0.02, 0.1, size), i_offset=some(0.3, 1.2, size))

    cells: list[tuple[Any, float]] = [(lif, 0.7), (izhikevich, 12.0), (adex, 1.5), (quadratic, 6.0)]
    before: Population = network.input(int(rng.integers(3, 9)), "in")
    for number in rng.permutation(len(cells)).tolist():
        cell, weight = cells[number]
        size = int(rng.integers(1, 12))
        population = network.population(size, cell(size), cell.__name__)
        network.projection(before, population, rng.normal(0.4, 0.7, (before.size, size)) * weight)
        network.projection(population, population, rng.normal(-0.1, 0.3, (size, size)) * weight, delay=int(rng.integers(1, 4)))
        network.output(population)
        before = population
    return network


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("geometry", [{}, {"sets": 64}, {"sets": 8, "same": True}, {"group": 4, "same": True}, {"pipelines": 8}])
def test_a_core_of_three_models_computes_the_golden_steps(seed: int, geometry: dict[str, Any]) -> None:
    options = dict(geometry)
    network = mixed(seed, same=options.pop("same", False))
    config = chip(**options)
    spikes = random_spikes(seed, network, samples=2, ticks=60)
    labels = [population.label for population in network.populations if not population.is_input]
    device = spikeloom.open("golden", spikeloom.compile(network, config=config))
    outputs = device.run(spikes, record=labels)
    trains = by_hand(network, spikes, config.cores[0])
    for label in labels:
        assert np.array_equal(device.recorded[label].spikes, trains[label]), label
    assert np.array_equal(outputs, np.concatenate([trains[population.label] for population in network.outputs], axis=2))


def test_the_mixed_networks_fire() -> None:
    """Otherwise the test above would say little."""
    rates: dict[str, list[float]] = {}
    for seed in range(12):
        network = mixed(seed)
        for label, train in by_hand(network, random_spikes(seed, network, samples=2, ticks=60), chip().cores[0]).items():
            rates.setdefault(label, []).append(float(train.mean()))
    for label in ("lif", "izhikevich", "adex", "quadratic"):
        assert sum(0.01 < rate < 0.99 for rate in rates[label]) >= 6, (label, rates[label])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("sets", [None, 64, 5])
def test_neurons_that_no_population_uses_never_fire(order: tuple[int, ...], sets: int | None) -> None:
    """They follow some model too; counters would count them. Five sets: four populations and one set left for three models."""
    network = mixed(3, same=True)
    spikes = random_spikes(3, network, samples=2, ticks=60)
    config = chip(models=tuple(MODELS[number] for number in order), sets=sets, pipelines=8, lanes=16)
    image = spikeloom.compile(network, config=config)
    device = spikeloom.open("golden", image)
    labels = [population.name for population in image.populations]
    device.run(spikes, record=labels)
    trains = by_hand(network, spikes, config.cores[0])
    total = sum(trains[label].sum() for label in labels)
    recorded = sum(device.recorded[label].spikes.sum() for label in labels)
    assert recorded == total > 0
    if sets != 5:
        # The deepest layer runs on until the outputs have come, so that other layers fire a little more than within the steps.
        drained = _with_drain(image, spikes)
        assert device.counters()["spikes"].sum() == drained


def _with_drain(image: spikeloom.Image, spikes: BoolArray) -> int:
    """Spikes of all populations over all ticks, the ones after the last step included."""
    longer = np.concatenate([spikes, np.zeros((len(spikes), image.drain, spikes.shape[2]), np.bool_)], axis=1)
    device = spikeloom.open("golden", image)
    labels = [population.name for population in image.populations]
    device.run(longer, record=labels)
    ticks = spikes.shape[1] + image.drain
    return sum(int(device.recorded[p.name].spikes[:, : ticks - p.level].sum()) for p in image.populations)


# What a core lacks -----------------------------------------------------------------------------------------------------------


def single(cell: Any, size: int = 3, weight: float = 1.0) -> Network:
    network = Network()
    out = network.population(size, cell, "cells")
    network.projection(network.input(2), out, weight)
    network.output(out)
    return network


@pytest.mark.parametrize(
    ("cell", "models", "message"),
    [
        (
            IzhikevichCell(),
            (Lif(),),
            "population 'cells' has izhikevich neurons; the core was generated with lif only: add the model izhikevich to its models",
        ),
        (
            AdExCell(),
            MODELS[:2],
            "population 'cells' has adex neurons; the core was generated with lif, izhikevich only: add the model adex",
        ),
        (
            neurons(3),
            MODELS[1:],
            "population 'cells' has lif neurons; the core was generated with izhikevich, adex only: add the model lif",
        ),
        (
            FixedCell(model_name="hodgkin", parameters={}),
            (Lif(),),
            "population 'cells' has hodgkin neurons; the core was generated with lif only: add the model hodgkin to its models, or choose",
        ),
        (
            neurons(3, current_retention=0.5),
            (Lif(),),
            "population 'cells' has a synaptic current, which this geometry was generated without; give current_bits, for example 24",
        ),
        (
            neurons(3, adaptation_retention=0.5, adaptation_step=1.0),
            (Lif(),),
            "population 'cells' has an adaptive threshold, which this geometry was generated without; give adaptation_bits, for example 24",
        ),
        (
            neurons(3, retention=0.5),
            (Lif(decay=False),),
            "population 'cells' has an exponential leak, which this geometry was generated without; choose decay=True",
        ),
    ],
)
def test_a_model_or_option_that_the_core_lacks_is_named(cell: Any, models: Any, message: str) -> None:
    with pytest.raises(CapacityError, match=re.escape(message)):
        spikeloom.compile(single(cell), config=chip(models=models))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (IzhikevichCell(c=np.array([-65.0, -50.0, 200.0])), r"population 'cells': c of neuron 2 is 200; it must be .* \(nearest: "),
        (IzhikevichCell(a=30.0), r"population 'cells': a of neuron 0 is 30; it must be -?[\d.]+ to [\d.]+ \(nearest: [\d.]+\)"),
        (AdExCell(b=1e3), r"population 'cells': b of neuron 0 is 1000; it must be -?[\d.]+ to [\d.]+ \(nearest: [\d.]+\)"),
        (AdExCell(tau_m=1e9), r"population 'cells': tau_m of neuron 0 is 1e\+09; it must be [\d.]+ to [\d.]+ \(nearest: [\d.]+\)"),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_population_and_the_nearest_value(cell: Any, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        spikeloom.compile(single(cell), config=chip())


def test_too_few_sets_are_a_line_of_the_verdict() -> None:
    network = single(neurons(3, threshold=[1.0, 2.0, 3.0]))
    message = "the network does not fit the geometry: parameter sets: needs 3, has 2 (1 too few; raise sets, or use fewer kinds of neurons)"
    with pytest.raises(CapacityError, match=re.escape(message)):
        spikeloom.compile(network, config=chip(sets=2))
    image = spikeloom.compile(network, config=chip(sets=3))
    assert {
        "what": "parameter sets",
        "needed": 3,
        "available": 3,
        "remedy": "raise sets, or use fewer kinds of neurons",
    } in image.notes["verdict"]


def test_neurons_of_several_populations_share_equal_sets() -> None:
    network = feedforward(4, 6, 5, 3, retention=0.9)
    for projection in network.projections:
        projection.weights[:] = np.sign(projection.weights)
    image = spikeloom.compile(network, config=chip(sets=1))
    needs = {need["what"]: need["needed"] for need in image.notes["verdict"]}
    assert needs["parameter sets"] == 1
    spikes = random_spikes(0, network)
    found = spikeloom.open("golden", image).run(spikes)
    assert found.any()
    assert np.array_equal(found, by_hand(network, spikes, image.config.cores[0])["layer2"])


@pytest.mark.parametrize("seed", range(10))
def test_sets_do_not_change_the_result(seed: int) -> None:
    network = random_network(seed, uniform=True)
    spikes = random_spikes(seed, network)
    config = chip(models=(Lif(),), sets=8)
    found = spikeloom.open("golden", spikeloom.compile(network, config=config)).run(spikes)
    trains = evaluate(network, spikes, quantise(network, config.cores[0]))
    assert np.array_equal(found, np.concatenate([trains[population.label] for population in network.outputs], axis=2))


# Cells in integers -------------------------------------------------------------------------------------------------------------

PLAIN = Lif(fraction_bits=0, refractory_bits=0)
FIELDS = {"retention": 4096, "reset_mode": 0, "threshold": 5, "reset": 0, "bias": 0}


def fixed(**changes: Any) -> FixedCell:
    return FixedCell(model_name="lif", parameters=FIELDS | changes)


def test_a_fixed_cell_is_the_integers_that_it_says() -> None:
    # Weight 2, threshold 5, 6 and 7: spikes with every third, fourth and fourth input.
    network = single(fixed(threshold=np.array([5, 6, 7])), weight=2.0)
    network.projections[0].weights[1] = 0
    image = spikeloom.compile(network, config=chip(models=(PLAIN,)))
    spikes = np.ones((1, 12, 2), np.bool_)
    found = spikeloom.open("golden", image).run(spikes)[0]
    assert [np.flatnonzero(train).tolist() for train in found.T] == [[2, 5, 8, 11], [3, 7, 11], [3, 7, 11]]
    assert quantise(network, image.config.cores[0]).neurons["cells"].unit.tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"bias": 40000}, NetworkError, "population 'cells': bias is 40000; it must be -32768 to 32767 (nearest: 32767)"),
        ({"threshold": [1, 2, 1 << 23]}, NetworkError, "threshold is 8388608; it must be -8388608 to 8388607 (nearest: 8388607)"),
        (
            {"retention": 5000},
            ConfigError,
            "population 'cells': retention 5000 is above 4096 (1.0); it must be 0 to 4096 (nearest: 4096)",
        ),
        ({"bias": 0.5}, NetworkError, "population 'cells': bias must be an integer or 3 integers, not float64 of shape []"),
        ({"bias": [1, 2]}, NetworkError, "population 'cells': bias must be an integer or 3 integers, not int64 of shape [2]"),
        (
            {"leak": 1},
            NetworkError,
            "population 'cells': missing or unknown parameters of a lif neuron: leak; this core's model has retention, reset_mode, threshold",
        ),
    ],
)
def test_integers_that_the_core_cannot_hold_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        spikeloom.compile(single(fixed(**changes)), config=chip(models=(PLAIN,)))


def test_a_fixed_cell_reaches_what_no_description_has() -> None:
    """A linear leak of -1 and a lower threshold that mirrors: both only exist in integers."""
    model = Lif(fraction_bits=0, refractory_bits=0, leak_bits=4, negative_threshold=True, decay=False, bias_bits=0)
    parameters = {"leak": -1, "leak_reversal": 0, "reset_mode": 0, "threshold": 5, "reset": 4, "negative_threshold": -3}
    network = single(FixedCell(model_name="lif", parameters=parameters | {"negative_saturates": 0}), size=1, weight=10.0)
    image = spikeloom.compile(network, config=chip(models=(model,)))
    device = spikeloom.open("golden", image)
    spikes = np.zeros((1, 8, 2), np.bool_)
    spikes[0, 5, 0] = True
    device.run(spikes, record=["cells"])
    # -1, -2, -3, -4 is below -3: to -reset; then -5, too; 10 - 1 - 4 = 5 is not above 5; 4, 3.
    assert device.recorded["cells"].potential[0, :, 0].tolist() == [-1, -2, -3, -4, -4, 5, 4, 3]


def test_samples_give_no_comparison_for_cells_without_a_per_step_form() -> None:
    network = mixed(1)
    image = spikeloom.compile(network, config=chip(), samples=random_spikes(1, network))
    assert image.notes["activity"] == []
    assert any("no comparison with real numbers: " in warning and "izhikevich" in warning for warning in image.notes["warnings"])
    with pytest.raises(NetworkError, match="has no per-step form"):
        evaluate(network, random_spikes(1, network))


# One bit per synapse -----------------------------------------------------------------------------------------------------------


def typed(seed: int, kinds: int) -> Network:
    """Inputs of some kinds; all synapses of a kind onto a neuron have one weight, and half of them are there."""
    rng = np.random.default_rng(seed)
    network = Network()
    source = network.input(12)
    before, sizes = source, (9, 5)
    for number, size in enumerate(sizes):
        layer = network.population(size, neurons(size, retention=0.9), f"layer{number}")
        weights = rng.choice([-0.5, 0.2, 0.6, 1.0], (kinds, size))[rng.integers(0, kinds, before.size)]
        network.projection(before, layer, weights * (rng.random((before.size, size)) < 0.5))
        before = layer
    network.output(before)
    return network


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kinds", [1, 2, 4])
def test_one_bit_per_synapse_computes_the_evaluation(seed: int, kinds: int) -> None:
    # Two layers have their types side by side: each neuron has four of its own.
    network = typed(seed, kinds)
    config = chip(models=(Lif(),), weight_bits=1)
    spikes = random_spikes(seed, network)
    image = spikeloom.compile(network, config=config)
    trains = evaluate(network, spikes, quantise(network, config.cores[0]))
    assert np.array_equal(spikeloom.open("golden", image).run(spikes), trains["layer1"])


def test_weights_that_no_type_holds_are_refused() -> None:
    network = feedforward(6, 3)
    network.projections[0].weights[:] = np.arange(1, 7)[:, np.newaxis]
    message = (
        "the weights of in[4] suit none of the 4 axon types: with one bit per synapse each source has a type, and a neuron one"
    )
    with pytest.raises(CapacityError, match=re.escape(message)):
        spikeloom.compile(network, config=chip(models=(Lif(),), weight_bits=1))
    network.projections[0].weights[:] = np.array([1, 2, 3, 4, 4, 1])[:, np.newaxis]
    spikeloom.compile(network, config=chip(models=(Lif(),), weight_bits=1))


@pytest.mark.parametrize(("bits", "fits"), [(9, True), (2, True), (1, False), (10, False)])
def test_a_type_has_a_weight_of_nine_bits(bits: int, fits: bool) -> None:
    config = chip(models=(Lif(),), weight_bits=1)
    if fits:
        found = quantise(typed(0, 2), config.cores[0], weight_bits=bits)
        assert max(int(np.abs(weights).max()) for weights in found.weights) <= (1 << (bits - 1)) - 1
    else:
        with pytest.raises(ConfigError, match=re.escape(f"weight_bits is {bits}; it must be 2 to the core's 9")):
            quantise(typed(0, 2), config.cores[0], weight_bits=bits)
