from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.errors import NetworkError
from spikeloom.network.description import IF_curr_delta, Network, Neurons, Population
from spikeloom.network.evaluate import evaluate


def neurons(size: int = 2, **changes: Any) -> Neurons:
    arguments: dict[str, Any] = {
        "retention": np.full(size, 0.5),
        "bias": np.zeros(size),
        "threshold": np.ones(size),
        "reset": np.zeros(size),
        "reset_mode": "value",
        "refractory": np.zeros(size, np.int64),
    }
    return Neurons(**(arguments | changes))


def chain(dt: float = 1.0) -> tuple[Network, Population, Population]:
    network = Network(dt=dt)
    source = network.input(3, "in")
    return network, source, network.population(2, neurons(), "out")


# Units ---------------------------------------------------------------------------------------------------------------


def test_if_curr_delta_decays_exactly_and_counts_potentials_from_rest() -> None:
    cell = IF_curr_delta(v_rest=-70.0, v_reset=-72.0, v_thresh=-55.0, tau_m=10.0, tau_refrac=4.0)
    step = cell.neurons(3, dt=2.0)
    assert step.retention.tolist() == [math.exp(-0.2)] * 3
    assert step.threshold.tolist() == [15.0] * 3
    assert step.reset.tolist() == [-2.0] * 3
    assert step.refractory.tolist() == [2] * 3  # 4 ms in steps of 2 ms
    assert step.reset_mode == "value"


def test_if_curr_delta_settles_where_the_offset_current_says() -> None:
    # V = R I = tau_m / cm I = 20 ms / 2 nF * 0.5 nA = 5 mV above rest.
    step = IF_curr_delta(tau_m=20.0, cm=2.0, i_offset=0.5).neurons(1, dt=1.0)
    assert step.bias[0] / (1 - step.retention[0]) == pytest.approx(5.0)


def test_if_curr_delta_has_the_defaults_of_pynn() -> None:
    cell = IF_curr_delta()
    assert (cell.v_rest, cell.v_reset, cell.v_thresh, cell.tau_m, cell.tau_refrac, cell.cm, cell.i_offset) == (
        -65.0,
        -65.0,
        -50.0,
        20.0,
        0.1,
        1.0,
        0.0,
    )


def test_a_weight_is_a_jump_in_millivolt() -> None:
    network = Network(dt=1.0)
    source = network.input(1)
    cell = IF_curr_delta(v_thresh=-50.0, v_rest=-65.0)
    above, at = network.population(1, cell, "above"), network.population(1, cell, "at")
    network.projection(source, above, 15.001)
    network.projection(source, at, 15.0)
    spikes = evaluate(network, np.ones((1, 1, 1), np.bool_))
    assert spikes["above"].all()
    assert not spikes["at"].any()  # exactly the threshold is not above it


@pytest.mark.parametrize(("delay", "dt", "steps"), [(0, 1.0, 0), (3, 1.0, 3), (1.5, 0.5, 3), (0.3, 0.1, 3), (10, 0.1, 100)])
def test_delay_in_milliseconds_becomes_steps(delay: float, dt: float, steps: int) -> None:
    network, source, out = chain(dt)
    assert network.projection(source, out, 1.0, delay).delay == steps


@pytest.mark.parametrize("delay", [0.5, -1, 1.001, math.nan, math.inf])
def test_delay_that_is_no_multiple_of_the_step_is_refused(delay: float) -> None:
    network, source, out = chain()
    with pytest.raises(
        NetworkError, match=re.escape(f"in to out: the delay {delay} ms is not 0 or a multiple of the step of 1.0 ms")
    ):
        network.projection(source, out, 1.0, delay)


def test_a_number_as_weight_connects_all_to_all() -> None:
    network, source, out = chain()
    assert network.projection(source, out, 0.25).weights.tolist() == [[0.25, 0.25]] * 3


def test_numpy_integers_are_sizes_too() -> None:
    network = Network()
    assert network.input(np.int64(3)).size == 3
    assert network.population(np.int32(2), IF_curr_delta(), "cells").size == 2


def test_inputs_keep_the_order_in_which_they_were_added() -> None:
    network = Network()
    for name in ("z", "a", "m"):
        network.input(1, name)
    network.population(1, IF_curr_delta(), "cells")
    assert [population.label for population in network.inputs] == ["z", "a", "m"]


def test_an_output_named_twice_counts_once() -> None:
    network, _, out = chain()
    network.output(out)
    network.output(out)
    assert network.outputs == [out]


# Delays that were not stated ---------------------------------------------------------------------------------------------


def test_feedforward_acts_in_the_same_step_and_a_loop_in_the_next() -> None:
    network, source, first = chain()
    second = network.population(2, neurons(), "second")
    for pre, post in ((source, first), (first, second), (first, first), (second, first), (source, second)):
        network.projection(pre, post, 1.0)
    assert network.delays() == [0, 0, 1, 1, 0]


def test_the_order_of_projections_does_not_change_their_delays() -> None:
    pairs = [("in", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("b", "b"), ("in", "c"), ("c", "b")]
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = Network()
        parts = {"in": network.input(1, "in")}
        for label in rng.permutation(["a", "b", "c"]).tolist():
            parts[label] = network.population(1, neurons(1), label)
        order = [pairs[i] for i in rng.permutation(len(pairs))]
        for pre, post in order:
            network.projection(parts[pre], parts[post], 1.0)
        found.append(dict(zip(order, network.delays(), strict=True)))
    assert all(delays == found[0] for delays in found)
    assert found[0] == {**dict.fromkeys(pairs, 0), ("c", "a"): 1, ("b", "b"): 1, ("c", "b"): 1}


def test_a_loop_is_closed_where_it_is_reached_from_the_inputs() -> None:
    network = Network()
    a, b = network.population(1, neurons(1), "a"), network.population(1, neurons(1), "b")
    source = network.input(1)
    for pre, post in ((a, b), (b, a), (source, b)):
        network.projection(pre, post, 1.0)
    assert network.delays() == [1, 0, 0]


def test_a_stated_delay_is_kept_whatever_the_loops() -> None:
    network, source, out = chain()
    network.projection(source, out, 1.0, delay=5)
    network.projection(out, out, 1.0, delay=2)
    network.projection(out, out, 1.0, delay=0)
    assert network.delays() == [5, 2, 0]


def test_a_loop_with_a_stated_delay_needs_no_other() -> None:
    network, source, first = chain()
    second = network.population(2, neurons(), "second")
    network.projection(source, first, 1.0)
    network.projection(first, second, 1.0)
    network.projection(second, first, 1.0, delay=3)
    assert network.delays() == [0, 0, 3]


def test_a_chain_of_two_thousand_populations_has_delays() -> None:
    network = Network()
    before = network.input(1)
    for number in range(2000):
        population = network.population(1, neurons(1), f"p{number}")
        network.projection(before, population, 1.0)
        before = population
    assert network.delays() == [0] * 2000


# Errors ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"retention": np.array([0.5, 1.5])}, "retention of neuron 1 is 1.5; it must be 0 to 1"),
        ({"retention": np.array([-0.1, 0.5])}, "retention of neuron 0 is -0.1; it must be 0 to 1"),
        ({"bias": np.array([0.0, np.nan])}, "bias of neuron 1 is nan"),
        ({"reset": np.array([np.inf, 0.0])}, "reset of neuron 0 is inf"),
        ({"threshold": np.array([1.0, np.nan])}, "threshold of neuron 1 is nan"),
        ({"threshold": np.array([1.0, -np.inf])}, "threshold of neuron 1 is -inf; only inf (never fires) may be infinite"),
        ({"threshold": np.ones(3)}, "threshold has shape [3]; the population has 2 neurons"),
        ({"current_retention": np.array([0.5, 1.5])}, "current_retention of neuron 1 is 1.5; it must be 0 to 1"),
        ({"current_retention": np.array([0.5, np.nan])}, "current_retention of neuron 1 is nan"),
        ({"current_retention": np.ones(3)}, "current_retention has shape [3]; the population has 2 neurons"),
        (
            {"adaptation_retention": np.array([-0.5, 0.5]), "adaptation_step": np.ones(2)},
            "adaptation_retention of neuron 0 is -0.5; it must be 0 to 1",
        ),
        (
            {"adaptation_retention": np.ones(2), "adaptation_step": np.array([1.0, -0.5])},
            "an adaptation_step of -0.5; it must be 0 or more (nearest: 0)",
        ),
        ({"adaptation_step": np.ones(2)}, "adaptation_retention and adaptation_step belong together; give both or none"),
        ({"adaptation_retention": np.ones(2)}, "adaptation_retention and adaptation_step belong together; give both or none"),
        ({"refractory": np.array([0, -1])}, "a refractory period of -1 steps; it must be 0 or more"),
        (
            {"reset_mode": "subtract", "reset": np.array([1.0, -0.5])},
            "a reset by subtraction with a smallest amount of -0.5 and a smallest threshold of 1; both must be 0 or more",
        ),
        (
            {"reset_mode": "subtract", "threshold": np.array([-2.0, 1.0])},
            "a reset by subtraction with a smallest amount of 0 and a smallest threshold of -2; both must be 0 or more",
        ),
    ],
)
def test_impossible_neurons_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=re.escape(message)):
        neurons(**changes)


def test_an_infinite_threshold_is_a_neuron_that_never_fires() -> None:
    assert np.isinf(neurons(threshold=np.full(2, np.inf)).threshold).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tau_m": 0.0}, "tau_m is 0.0 ms and cm 1.0 nF; both must be above 0"),
        ({"tau_m": math.nan}, "tau_m is nan ms"),
        ({"cm": -1.0}, "tau_m is 20.0 ms and cm -1.0 nF; both must be above 0"),
        ({"tau_refrac": -1.0}, "tau_refrac is -1.0 ms; it must be finite, and 0 or more"),
        ({"tau_refrac": math.nan}, "tau_refrac is nan ms; it must be finite, and 0 or more"),
        ({"tau_refrac": math.inf}, "tau_refrac is inf ms; it must be finite, and 0 or more"),
        ({"v_thresh": math.nan}, "threshold of neuron 0 is nan"),
    ],
)
def test_impossible_cells_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(NetworkError, match=re.escape(message)):
        Network().population(2, IF_curr_delta(**changes), "cells")


@pytest.mark.parametrize("dt", [0, -1.0, math.nan, math.inf])
def test_a_step_must_be_above_zero(dt: float) -> None:
    with pytest.raises(NetworkError, match=f"dt is {dt} ms; it must be above 0"):
        Network(dt=dt)


@pytest.mark.parametrize("size", [0, -3, 2.5, "4", None])
def test_a_population_needs_a_whole_number_of_neurons(size: Any) -> None:
    message = f"cells has {size} neurons; it needs a whole number of them, at least 1"
    with pytest.raises(NetworkError, match=re.escape(message)):
        Network().population(size, IF_curr_delta(), "cells")
    with pytest.raises(NetworkError, match=re.escape(message)):
        Network().input(size, "cells")


def test_parameters_of_another_number_of_neurons_are_refused() -> None:
    with pytest.raises(NetworkError, match="cells has 5 neurons, but the parameters of 2"):
        Network().population(5, neurons(2), "cells")


def test_two_populations_of_one_name_are_refused() -> None:
    network, _, _ = chain()
    with pytest.raises(NetworkError, match="there are two populations named 'out'"):
        network.population(1, IF_curr_delta(), "out")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((2, 3)), "projection in to out: weights have shape [2, 3], not [3, 2]"),
        ([1.0, 2.0], "projection in to out: weights have shape [2], not [3, 2]"),
        ([[1, 2], [3, np.nan], [5, 6]], "projection in to out: the weight from 1 to 1 is nan"),
        ([[1, 2], [3, 4], [-np.inf, 6]], "projection in to out: the weight from 2 to 0 is -inf"),
        (math.inf, "projection in to out: the weight from 0 to 0 is inf"),
        ("many", "projection in to out: weights are not an array of numbers"),
        ([[1], [2, 3]], "projection in to out: weights are not an array of numbers"),
    ],
)
def test_impossible_weights_are_refused(weights: Any, message: str) -> None:
    network, source, out = chain()
    with pytest.raises(NetworkError, match=re.escape(message)):
        network.projection(source, out, weights)
    assert network.projections == []


def test_an_input_cannot_receive() -> None:
    network, source, out = chain()
    with pytest.raises(NetworkError, match="projection out to in: an input cannot receive spikes"):
        network.projection(out, source, 1.0)


def test_populations_of_another_network_are_refused() -> None:
    network, source, _ = chain()
    _, _, stranger = chain()
    with pytest.raises(NetworkError, match="projection in to out: 'out' is not part of this network"):
        network.projection(source, stranger, 1.0)
    with pytest.raises(NetworkError, match="'out' is not part of this network"):
        network.output(stranger)


def test_an_input_cannot_be_an_output() -> None:
    network, source, _ = chain()
    with pytest.raises(NetworkError, match="in is an input; only neurons can be outputs"):
        network.output(source)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    network, source, _ = chain()
    assert network.find("in") is source
    with pytest.raises(NetworkError, match=re.escape("no population 'hidden'; the network has ['in', 'out']")):
        network.find("hidden")
