"""What chips of several cores refuse, with numbers and remedies."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import MAX_NEURONS, ChipConfig
from spikeloom.network.description import Network
from tests.network.cases import feedforward, neurons
from tests.network.meshes import core, mesh, pieces, refusal, verdict

LARGER = "choose a chip with more or larger cores, or a smaller network"
MORE_AXONS = "give a core of the chip more axons; cores may differ, and have up to 8192"


def test_a_network_with_too_many_neurons_is_refused_with_the_numbers_of_the_chip() -> None:
    assert refusal(feedforward(5, 70), mesh(2, 2)) == (
        f"the network does not fit the geometry: cores: needs 5, has 4 (1 too few; {LARGER}); neurons: needs 70, has 64 (6 too few; {LARGER}); "
        "in all it needs 5 of 4 cores, 70 of 64 neurons, 25 of 160 axons, 90 of 640 weight words, 70 of 320 destinations"
    )


def test_too_few_axons_for_all_pieces_are_counted_in_cores() -> None:
    """Each core has axons for 10 of 30 neurons that see 2 inputs each, though neurons for 16."""
    network = Network()
    source, layer = network.input(60, "in"), network.population(30, neurons(30), "layer")
    network.projection(source, layer, np.kron(np.eye(30), np.full((2, 1), 0.6)))
    network.output(layer)
    message = refusal(network, mesh(2, 1, axons=20, lanes=2))
    assert message.startswith(
        f"the network does not fit the geometry: cores: needs 3, has 2 (1 too few; {LARGER}); axons: needs 60, has 40 (20 too"
    )
    assert verdict(spikeloom.compile(network, config=mesh(3, 1, axons=20, lanes=2)))["axons"] == (60, 60)


def test_a_neuron_with_more_inputs_than_the_largest_core_has_axons_is_refused_with_the_numbers() -> None:
    config = ChipConfig(cores=(core(axons=40), core(axons=50), core(axons=30), core()), columns=2, rows=2)
    network = feedforward(60, 5)
    network.projections[0].weights[:, [0, 1, 3, 4]] = 0
    assert refusal(network, config) == (
        f"population 'layer0' fits no core: axons of neuron 2, one for each neuron that reaches it and delay: needs 60, has 50 (10 too few; "
        f"{MORE_AXONS})"
    )
    wider = dataclasses.replace(config, cores=(*config.cores[:3], core(axons=60)))
    assert {number for _, _, _, number in pieces(spikeloom.compile(network, config=wider))} == {3}


def test_a_source_counts_once_for_each_delay() -> None:
    network = feedforward(25, 5)
    network.projection(network.inputs[0], network.find("layer0"), 0.1, delay=2)
    assert "axons of neuron 0, one for each neuron that reaches it and delay: needs 50, has 40 (10 too few; " in refusal(
        network, mesh(2, 1)
    )


def test_a_neuron_with_more_inputs_than_any_core_can_have_is_refused() -> None:
    network = feedforward(8200, 1)
    network.projections[0].weights[:] = 1.0
    message = refusal(network, mesh(2, 1))
    assert "needs 8200, has 40 (8160 too few; no core has more than 8192: let fewer neurons reach it)" in message


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (
            {"weight_words": 9},
            "population 'layer0' fits no core: weight words of neuron 0: needs 10, has 9 (1 too few; raise weight_words)",
        ),
        (
            {"levels": 1},
            "population 'layer1' fits no core: levels: needs 2, has 1 (1 too few; raise levels, or use fewer layers with a bias)",
        ),
        (
            {"accumulator_bits": 9},
            "population 'layer0' fits no core: accumulator bits: needs 12, has 9 (3 too few; raise accumulator_bits, or use fewer weight bits)",
        ),
        (
            {"group": 16, "neurons": 8},
            "neurons 0 to 9 of population 'layer0' fit no core: neurons: needs 10, has 8 (2 too few; give it cores with more neurons, "
            "or group=1: neurons that share a parameter set stay together)",
        ),
    ],
    ids=["weight words", "levels", "accumulator", "neurons of a group"],
)
def test_what_no_core_can_hold_is_named_with_numbers_and_remedy(geometry: dict[str, int], message: str) -> None:
    network = feedforward(10, 10, 10, bias=0.1)
    for projection in network.projections:
        projection.weights[:] = 1.0
    assert refusal(network, mesh(2, 1, **geometry)) == message


def test_too_few_parameter_sets_in_all_need_more_cores() -> None:
    network = Network()
    source, out = network.input(3, "in"), network.population(6, neurons(6, threshold=np.arange(1.0, 7.0)), "out")
    network.projection(source, out, 1.0)
    network.output(out)
    image = spikeloom.compile(network, config=mesh(3, 1, sets=2, lanes=1))
    assert [size for _, _, size, _ in pieces(image)] == [2, 2, 2]
    assert verdict(image)["parameter sets"] == (2, 2)
    assert "cores: needs 3, has 2 (1 too few; " in refusal(network, mesh(2, 1, sets=2, lanes=1))


def test_a_neuron_with_more_destinations_than_a_core_has_is_refused() -> None:
    network = Network()
    source, out = network.input(3, "in"), network.population(2, neurons(2), "out")
    network.projection(source, out, 1.0)
    for delay in (1, 2, 3):
        network.projection(out, out, 0.1, delay)
    network.output(out)
    assert refusal(network, mesh(2, 1, destinations=3)) == (
        "neuron 0 of population 'out' fits no core: destinations: needs 4, has 3 (1 too few; raise destinations)"
    )


def test_routing_memories_that_are_too_small_are_named_with_their_neurons() -> None:
    """Eight neurons reach four cores each, and no core is left over which they could be spread."""
    network = Network()
    source, few, many = (
        network.input(3, "in"),
        network.population(8, neurons(8), "few"),
        network.population(64, neurons(64), "many"),
    )
    network.projection(source, few, 1.0)
    network.projection(few, many, np.random.default_rng(0).normal(0.3, 0.4, (8, 64)))
    network.output(many)
    message = refusal(network, mesh(5, 1, destinations=16))
    assert message.startswith(f"the network does not fit the geometry: cores: needs 6, has 5 (1 too few; {LARGER}); ")
    message = refusal(network, mesh(4, 1, destinations=16, neurons=20))
    assert "destinations of the core of few, many[48:56]: needs 48, has 16 (32 too few; raise destinations)" in message


@pytest.mark.parametrize("destinations", [(4, 8), (8, 4)])
def test_a_neuron_whose_list_is_too_long_for_one_core_goes_to_another(destinations: tuple[int, int]) -> None:
    """A list holds all entries of a memory, but one less if they are a power of two."""
    network = Network()
    source, out = network.input(1, "in"), network.population(1, neurons(1), "out")
    network.projection(source, out, 1.0)
    for delay in (1, 2, 3):
        network.projection(out, out, 0.1, delay)
    network.output(out)
    chip = ChipConfig(cores=tuple(core(destinations=count) for count in destinations), columns=2)
    image = spikeloom.compile(network, config=chip)
    assert [number for *_, number in pieces(image)] == [destinations.index(8)]
    assert refusal(network, mesh(2, 1, destinations=4)) == (
        "neuron 0 of population 'out' fits no core: destinations of a neuron: needs 4, has 3 "
        "(1 too few; raise destinations; one neuron cannot have all of 2, 4, 8... entries)"
    )


def test_more_outputs_than_an_event_can_name_are_refused() -> None:
    network = Network()
    source = network.input(1, "in")
    for label in ("a", "b", "c", "d", "e"):
        population = network.population(MAX_NEURONS, neurons(MAX_NEURONS), label)
        network.projection(source, population, 1.0)
        network.output(population)
    assert refusal(network, mesh(2, 1)) == (
        "the network has 40960 outputs, and an output event can name 32768; make fewer neurons outputs"
    )
