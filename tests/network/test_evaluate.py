from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import NetworkError
from spikeloom.arch.lif import Lif
from spikeloom.golden.lif import lif_step
from spikeloom.network.description import Network
from spikeloom.network.evaluate import evaluate, order_of_evaluation
from spikeloom.network.quantise import quantise
from tests.network.cases import feedforward, neurons, random_network, random_spikes


def train(*values: float) -> npt.NDArray[np.bool_]:
    """One sample of one input."""
    return np.array(values, np.bool_).reshape(1, -1, 1)


def one(weight: float = 1.0, **changes: Any) -> Network:
    network = Network()
    out = network.population(1, neurons(1, **changes), "out")
    network.projection(network.input(1), out, weight)
    return network


def spikes_of(network: Network, spikes: npt.NDArray[np.bool_], label: str = "out") -> list[int]:
    return evaluate(network, spikes)[label][0, :, 0].astype(int).tolist()


# One neuron, by hand ---------------------------------------------------------------------------------------------------------


def test_the_potential_decays_and_the_threshold_is_strict() -> None:
    # Weight 0.75, decay 0.5, threshold 1: 0.75, 1.125 (spike, 0), 0.75, 0.375, 0.9375, 1.21875 (spike)
    assert spikes_of(one(0.75), train(1, 1, 1, 0, 1, 1)) == [0, 1, 0, 0, 0, 1]
    # Exactly 1 is not above 1: 0.5, then 0.25 + 0.5 = 0.75 ... and never beyond 1.
    assert spikes_of(one(0.5), train(*[1] * 12)) == [0] * 12
    assert spikes_of(one(1.0), train(1, 0, 1)) == [0, 0, 1]  # 1.0 no spike, 0.5, 1.25 spike


def test_reset_to_a_value() -> None:
    # Decay 1, threshold 1, reset -1, weight 2: 2 (spike, -1), 1, 3 (spike, -1), 1
    assert spikes_of(one(2.0, retention=1.0, reset=-1.0), train(1, 1, 1, 1)) == [1, 0, 1, 0]


def test_reset_by_subtraction_keeps_the_rest() -> None:
    # Decay 1, threshold and amount 1, weight 2.5: 2.5 (spike, 1.5), 1.5 (spike, 0.5), 0.5, 0.5
    assert spikes_of(one(2.5, retention=1.0, reset=1.0, reset_mode="subtract"), train(1, 0, 0, 0)) == [1, 1, 0, 0]


def test_input_is_lost_in_refractory_steps_and_the_potential_stays() -> None:
    # Decay 1, weight 2, threshold 1, reset 0.5, two refractory steps: spike, held, held (input lost), 0.5 + 2 = 2.5 spike.
    assert spikes_of(one(2.0, retention=1.0, reset=0.5, refractory=2), train(1, 1, 1, 1, 0)) == [1, 0, 0, 1, 0]
    # Decay 0.5: 0.6, 0.9, 1.05 (spike, 0.9), held, held, 0.45 + 0.6 = 1.05 (spike); had it decayed while held, 0.1125 + 0.6 would not fire.
    network = one(0.6, retention=0.5, threshold=1.0, reset=0.9, refractory=2, bias=0.0)
    assert spikes_of(network, train(1, 1, 1, 1, 1, 1)) == [0, 0, 1, 0, 0, 1]


def test_a_bias_acts_from_the_first_step() -> None:
    # Decay 1, bias 0.4, threshold 1: 0.4, 0.8, 1.2 (spike) ...
    assert spikes_of(one(retention=1.0, bias=0.4), train(*[0] * 7)) == [0, 0, 1, 0, 0, 1, 0]


def test_a_negative_threshold_fires_without_input() -> None:
    assert spikes_of(one(threshold=-0.1), train(0, 0)) == [1, 1]


def test_a_current_includes_the_input_of_its_step_and_decays_on_its_own() -> None:
    # Weight 1, current decay 0.5, potential decay 1: the current is 1, 0.5, 0.25, ...; the potential 1, 1.5, 1.75, 1.875, ...
    cuba: dict[str, Any] = {"retention": 1.0, "current_retention": 0.5}
    assert spikes_of(one(threshold=0.9, reset=-9.0, **cuba), train(1, 0, 0)) == [1, 0, 0]
    assert spikes_of(one(threshold=1.8, **cuba), train(1, 0, 0, 0, 0)) == [0, 0, 0, 1, 0]
    # The reset leaves the current: 1 (spike, 0), 0.5 + 1 = 1.5 of current (spike, 0), 0.75 (spike, 0), 0.375, ...
    assert spikes_of(one(threshold=0.7, **cuba), train(1, 1, 0, 0, 0)) == [1, 1, 1, 0, 0]


def test_a_current_gathers_input_while_the_neuron_is_refractory() -> None:
    # Current decay 1: 1 (spike), held 2, held 3, then 4 is above 3.5; a potential alone would have lost those inputs.
    network = one(threshold=[0.5], retention=0.0, reset=0.0, refractory=2, current_retention=1.0)
    assert spikes_of(network, train(1, 1, 1, 1, 0)) == [1, 0, 0, 1, 0]


def test_an_adaptation_raises_the_threshold_of_the_steps_after_a_spike() -> None:
    # Relay with weight 1, threshold 0.5; each spike adds 1, which halves per step: the threshold is 0.5, 1.5, 1.0, 0.75 (spike), 1.625, ...
    network = one(retention=0.0, threshold=0.5, adaptation_retention=0.5, adaptation_step=1.0)
    assert spikes_of(network, train(1, 1, 1, 1, 1, 1, 1)) == [1, 0, 0, 1, 0, 0, 1]
    # Adaptation after the spike of step 3: 0.125 + 1 = 1.125, 0.5625 (threshold 1.0625), 0.28125 (0.78125: spike).


# Several populations -----------------------------------------------------------------------------------------------------------


def relay() -> dict[str, Any]:
    """Fires in the step of its input."""
    return {"retention": 0.0, "threshold": 0.5}


def test_layers_answer_in_the_same_step() -> None:
    network = Network()
    before = network.input(1)
    for label in "abc":
        layer = network.population(1, neurons(1, **relay()), label)
        network.projection(before, layer, 1.0)
        before = layer
    for label in "abc":
        assert spikes_of(network, train(0, 1, 0, 1), label) == [0, 1, 0, 1]


@pytest.mark.parametrize("delay", [0, 1, 2, 5, 40])
def test_a_delay_counts_steps(delay: int) -> None:
    network = Network()
    out = network.population(1, neurons(1, **relay()), "out")
    network.projection(network.input(1), out, 1.0, delay)
    assert spikes_of(network, train(1, 1, 0, *[0] * 7)) == [int(t - delay in (0, 1)) for t in range(10)]


def test_a_loop_acts_on_the_spikes_of_the_step_before() -> None:
    network = one(**relay())
    out = network.find("out")
    network.projection(out, out, 1.0)
    assert spikes_of(network, train(0, 1, 0, 0)) == [0, 1, 1, 1]


def test_projections_of_one_pair_add_up() -> None:
    network = one(0.3, **relay())
    network.projection(network.inputs[0], network.find("out"), 0.3)
    assert spikes_of(network, train(0, 1)) == [0, 1]


def test_columns_follow_the_inputs_and_are_returned() -> None:
    network = Network()
    first, second = network.input(2, "first"), network.input(1, "second")
    out = network.population(1, neurons(1, **relay()), "out")
    network.projection(first, out, 0.0)
    network.projection(second, out, 1.0)
    spikes = np.random.default_rng(0).random((2, 9, 3)) < 0.5
    found = evaluate(network, spikes)
    assert np.array_equal(found["first"], spikes[:, :, :2])
    assert np.array_equal(found["second"], spikes[:, :, 2:])
    assert np.array_equal(found["out"], spikes[:, :, 2:])


def test_samples_do_not_know_of_each_other() -> None:
    for seed in range(10):
        network = random_network(seed)
        spikes = random_spikes(seed, network, samples=4)
        together = evaluate(network, spikes)
        for sample in range(4):
            alone = evaluate(network, spikes[sample : sample + 1])
            assert all(np.array_equal(together[label][sample], alone[label][0]) for label in alone), (seed, sample)


def test_each_population_comes_behind_those_that_reach_it_in_the_step() -> None:
    for seed in range(30):
        network = random_network(seed)
        delays = network.delays()
        order = order_of_evaluation(network, delays)
        assert sorted(p.label for p in order) == sorted(p.label for p in network.populations if not p.is_input)
        for projection, delay in zip(network.projections, delays, strict=True):
            if delay == 0 and not projection.pre.is_input:
                assert order.index(projection.pre) < order.index(projection.post), seed


def test_a_loop_without_a_delay_is_refused_with_its_names() -> None:
    network = feedforward(1, 1, 1)
    network.projection(network.find("layer1"), network.find("layer0"), 1.0, delay=0)
    message = "the populations layer0, layer1 form a loop without a delay; give one of its projections a delay of a step"
    with pytest.raises(NetworkError, match=message):
        evaluate(network, np.zeros((1, 1, 1), np.bool_))


# In integers -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_integers_are_those_of_the_golden_neuron(seed: int) -> None:
    """One layer against the golden model's neuron, in a potential so narrow that it saturates."""
    rng = np.random.default_rng(seed)
    size, ticks = 30, 40
    model = Lif(
        state_bits=12,
        fraction_bits=int(rng.integers(0, 5)),
        bias_bits=10,
        current_bits=[0, 12, 10][seed % 3],
        current_wraps=seed % 3 == 2,
        adaptation_bits=[0, 9][seed // 3 % 2],
    )
    config = CoreConfig(axons=16, neurons=size + 2, weight_bits=8, models=(model,))
    subtract = bool(seed % 2)
    threshold = rng.exponential(2.0, size)
    cell = neurons(
        size,
        retention=rng.choice([0.0, 0.5, 0.97, 1.0], size),
        bias=rng.normal(0, 0.2, size),
        threshold=threshold,
        reset=threshold if subtract else rng.normal(0, 1, size),
        reset_mode="subtract" if subtract else "value",
        refractory=rng.integers(0, 3, size),
        **({"current_retention": rng.choice([0.0, 0.3, 0.9, 0.99], size)} if model.current_bits else {}),
        **({"adaptation_retention": rng.choice([0.0, 0.9, 1.0], size)} if model.adaptation_bits else {}),
        **({"adaptation_step": rng.exponential(0.5, size)} if model.adaptation_bits else {}),
    )
    network = Network()
    out = network.population(size, cell, "out")
    network.projection(network.input(16), out, rng.normal(0, 1, (16, size)))
    found = quantise(network, config)
    q = found.neurons["out"]
    spikes = random_spikes(seed, network, samples=4, ticks=ticks)
    state = {field.name: np.zeros((4, size), np.int64) for field in model.state_fields()}
    expected = np.zeros((4, ticks, size), np.bool_)
    cut: dict[str, int] = {}
    saturated = 0
    for tick in range(ticks):
        sums = spikes[:, tick].astype(np.int64) @ found.weights[0]
        state, expected[:, tick] = lif_step(model, q.parameters, state, sums, np.zeros(size, np.int64))
        saturated += int((state["membrane"] == -(1 << 11)).sum())
    assert saturated > 0
    assert 0.02 < expected.mean() < 0.98
    assert np.array_equal(evaluate(network, spikes, found, cut)["out"], expected)
    assert cut["out"] >= saturated
