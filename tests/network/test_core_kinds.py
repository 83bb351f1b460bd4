"""Cores of one chip that differ: in models, widths of weights, axons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import CapacityError, ConfigError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.network.description import FixedCell, Network
from spikeloom.network.evaluate import evaluate
from spikeloom.network.izhikevich import IzhikevichCell
from spikeloom.network.quantise import quantise
from tests.network.cases import feedforward, neurons, random_spikes
from tests.network.meshes import assert_same, core, mesh, one, pieces, run, unpacked


def signed(seed: int = 0, kinds: int = 3) -> Network:
    """Each source has one weight onto all it reaches, of three values: what cores with one bit per synapse can hold."""
    rng = np.random.default_rng(seed)
    network = Network()
    source, hidden, out = (
        network.input(20, "in"),
        network.population(24, neurons(24), "hidden"),
        network.population(12, neurons(12), "out"),
    )
    values = {pre.label: np.array([0.5, 1.0, -1.0])[rng.integers(0, kinds, pre.size)] for pre in (source, hidden)}
    for pre, post in ((source, hidden), (hidden, hidden), (hidden, out)):
        network.projection(pre, post, values[pre.label][:, np.newaxis] * (rng.random((pre.size, post.size)) < 0.3))
    network.output(out)
    return network


def test_cores_with_one_bit_per_synapse() -> None:
    network = signed()
    spikes = random_spikes(0, network, ticks=40)
    image = spikeloom.compile(network, config=mesh(2, 2, weight_bits=1, axons=60, destinations=200), scale="layer")
    assert len({piece.core for piece in image.populations}) > 2
    found = run(image, spikes)
    assert 0.02 < found[0].mean() < 0.98
    assert_same(run(spikeloom.compile(network, config=one(weight_bits=1), scale="layer"), spikes), found, 0)


@pytest.mark.parametrize("changes", [{"learning": Learning()}, {"short_term": True}, {"learning": Learning(), "short_term": True}])
def test_units_that_a_network_does_not_need_change_nothing(changes: dict[str, Any]) -> None:
    network = feedforward(5, 9, 4, seed=1)
    spikes = random_spikes(0, network)
    assert_same(
        run(spikeloom.compile(network, config=one()), spikes), run(spikeloom.compile(network, config=one(**changes)), spikes), 0
    )


def test_pieces_become_smaller_until_axon_types_suit_them() -> None:
    """Weights 1 and -1 at random onto 16 neurons are more than four kinds of sources; onto two neurons they are four."""
    rng = np.random.default_rng(0)
    network = Network()
    source, out = network.input(16, "in"), network.population(16, neurons(16, threshold=2.5), "out")
    network.projection(source, out, rng.choice([-1.0, 1.0], (16, 16)))
    network.output(out)
    with pytest.raises(CapacityError, match="suit none of the 4 axon types"):
        spikeloom.compile(network, config=one(weight_bits=1))
    image = spikeloom.compile(network, config=mesh(4, 2, weight_bits=1, lanes=2))
    assert [size for _, _, size, _ in pieces(image)] == [2] * 8
    spikes = random_spikes(0, network)
    assert np.array_equal(run(image, spikes)[0], evaluate(network, spikes, quantise(network, image.config))["out"])


def test_axon_types_that_suit_no_neuron_are_refused() -> None:
    network = Network()
    source, out = network.input(5, "in"), network.population(2, neurons(2), "out")
    network.projection(source, out, np.array([1.0, 2.0, 3.0, 4.0, 5.0])[:, np.newaxis] * np.ones(2))
    network.output(out)
    with pytest.raises(CapacityError, match=r"the weights of in\[\d\] suit none of the 4 axon types"):
        spikeloom.compile(network, config=mesh(2, 1, weight_bits=1))


def test_weights_have_the_bits_of_the_narrowest_core_wherever_they_come_to() -> None:
    network = feedforward(6, 20, 20)
    spikes = random_spikes(0, network)
    config = ChipConfig(
        cores=(core(weight_bits=8), core(weight_bits=4), core(weight_bits=16), core(weight_bits=4)), columns=2, rows=2
    )
    image = spikeloom.compile(network, config=config)
    assert_same(run(spikeloom.compile(network, config=one(weight_bits=4)), spikes), run(image, spikes), 0)


def test_stated_weight_bits_use_only_the_cores_that_have_them() -> None:
    network = feedforward(6, 14, 14)
    spikes = random_spikes(0, network)
    config = ChipConfig(
        cores=(core(weight_bits=4), core(weight_bits=8), core(weight_bits=4), core(weight_bits=8)), columns=2, rows=2
    )
    image = spikeloom.compile(network, config=config, weight_bits=6)
    assert {piece.core for piece in image.populations} == {1, 3}
    assert_same(run(spikeloom.compile(network, config=one(weight_bits=8), weight_bits=6), spikes), run(image, spikes), 0)
    with pytest.raises(ConfigError, match="weight_bits is 9; it must be 2 to the widest core's 8"):
        spikeloom.compile(network, config=config, weight_bits=9)
    with pytest.raises(CapacityError, match="suitable cores: needs 3, has 2 \\(1 too few; "):
        spikeloom.compile(feedforward(6, 20, 20), config=config, weight_bits=6)


def test_each_model_goes_where_it_is() -> None:
    rng = np.random.default_rng(0)
    network = Network()
    source = network.input(6, "in")
    fast = network.population(12, neurons(12), "fast")
    slow = network.population(12, IzhikevichCell(), "slow")
    network.projection(source, fast, rng.normal(0.5, 0.5, (6, 12)))
    network.projection(fast, slow, rng.normal(12.0, 8.0, (12, 12)))
    network.output(slow)
    spikes = random_spikes(0, network, ticks=60)
    config = ChipConfig(cores=(core(models=(Izhikevich(),)), core(models=(Lif(),))) * 2, columns=4)
    image = spikeloom.compile(network, config=config)
    where = {name: number for name, _, _, number in pieces(image)}
    assert where["slow"] in (0, 2)
    assert where["fast"] in (1, 3)
    found = run(image, spikes)
    assert found[0].any()
    assert_same(run(spikeloom.compile(network, config=one(models=(Lif(), Izhikevich()))), spikes), found, 0)
    message = (
        "population 'slow' has izhikevich neurons; the cores were generated with lif only: add the model izhikevich to its models"
    )
    with pytest.raises(CapacityError, match=message):
        spikeloom.compile(network, config=mesh(2, 1))


def test_stated_weight_bits_that_no_core_of_the_model_has_are_refused() -> None:
    config = ChipConfig(cores=(core(weight_bits=4), core(weight_bits=8, models=(Izhikevich(),))), columns=2)
    message = "population 'layer0': no core with lif neurons has weights of 8 bits, the widest 4; choose fewer weight_bits"
    with pytest.raises(CapacityError, match=message):
        spikeloom.compile(feedforward(5, 6), config=config, weight_bits=8)


def test_of_cores_whose_models_differ_in_width_those_with_most_neurons_count() -> None:
    network = feedforward(6, 14, 14)
    narrow, wide = core(models=(Lif(state_bits=12, bias_bits=12),)), core(models=(Lif(state_bits=20),))
    spikes = random_spikes(0, network)
    for cores, model, where in (((narrow, wide, narrow), narrow.models, {0, 2}), ((wide, narrow, wide), wide.models, {0, 2})):
        image = spikeloom.compile(network, config=ChipConfig(cores=cores, columns=3))
        assert {piece.core for piece in image.populations} == where
        assert_same(run(spikeloom.compile(network, config=one(models=model)), spikes), run(image, spikes), where)


def test_a_variant_of_the_model_that_can_represent_the_neurons_is_found() -> None:
    network = feedforward(6, 14, bias=0.2)
    config = ChipConfig(cores=(core(models=(Lif(bias_bits=0),)),) * 3 + (core(),), columns=4)
    assert {piece.core for piece in spikeloom.compile(network, config=config).populations} == {3}


def test_cores_that_suit_few_populations_are_used_first() -> None:
    """The second layer sees 30 neurons; the one core with so many axons is left for it, though it would hold the first layer."""
    network = feedforward(6, 30, 10)
    config = ChipConfig(cores=(core(axons=40, neurons=32), *(core(axons=20),) * 3), columns=2, rows=2)
    image = spikeloom.compile(network, config=config)
    assert pieces(image)[-1] == ("layer1", 0, 10, 0)
    assert {number for name, _, _, number in pieces(image) if name == "layer0"} <= {1, 2, 3}


def test_cores_do_not_share_their_random_numbers() -> None:
    model = Lif(fraction_bits=0, threshold_noise_bits=6, refractory_bits=0)
    values = {"retention": 4096, "reset_mode": 0, "threshold": 10, "reset": 0, "bias": 3, "noise_mask": 63}
    fields = {name: values.get(name, 0) for name in model.parameter_names()}
    network = Network()
    source, out = network.input(1, "in"), network.population(32, FixedCell(model_name="lif", parameters=fields), "out")
    network.projection(source, out, 1.0)
    network.output(out)
    image = spikeloom.compile(network, config=mesh(2, 1, models=(model,)))
    assert [int(unpacked(image, number, "seed")["seed"][0]) for number in range(2)] == [0, 1]
    found = run(image, np.ones((1, 40, 1), np.bool_))[0][0]
    assert not np.array_equal(found[:, :16], found[:, 16:])
