from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError, ConfigError, InputError, NetworkError
from spikeloom.arch.lif import Lif
from spikeloom.network.description import Network, Neurons
from spikeloom.network.evaluate import evaluate
from spikeloom.network.image import Image
from spikeloom.network.quantise import quantise
from tests.network.cases import feedforward, neurons, random_network, random_spikes

BoolArray = npt.NDArray[np.bool_]


def chip(lif: Lif | None = None, **changes: Any) -> ChipConfig:
    models = {} if lif is None else {"models": (lif,)}
    return ChipConfig(cores=(CoreConfig(**({"axons": 256, "neurons": 256, "lanes": 4} | models | changes)),))


def random_chip(seed: int, *, extras: bool = False) -> tuple[ChipConfig, dict[str, Any]]:
    """A geometry that is large enough for every random network, and options of the quantiser.

    ``extras``: with synaptic currents and adaptive thresholds.
    """
    rng = np.random.default_rng([seed, 2])
    lanes = int(rng.choice([1, 2, 4, 8, 16, 32, 64]))
    bits = int(rng.choice([2, 4, 8, 16]))
    state_bits = int(rng.choice([14, 18, 24, 28]))
    config = chip(
        lanes=lanes,
        pipelines=int(rng.choice([p for p in (1, 2, 4, 8, 16) if p <= lanes])),
        group=int(rng.choice([1, 1, 2, 8, 32])),
        weight_bits=bits,
        lif=Lif(
            state_bits=state_bits,
            bias_bits=min(16, state_bits),
            refractory_bits=4,
            fraction_bits=int(rng.integers(0, 9)),
            **({"current_bits": state_bits, "current_wraps": bool(seed % 2), "adaptation_bits": state_bits} if extras else {}),
        ),
        destinations=1024,
    )
    return config, {"weight_bits": int(rng.integers(2, bits, endpoint=True)), "scale": str(rng.choice(["neuron", "layer"]))}


def expected(network: Network, spikes: BoolArray, config: ChipConfig, **options: Any) -> dict[str, BoolArray]:
    """The same-step evaluation of the quantised network."""
    return evaluate(network, spikes, quantise(network, config.cores[0], **options))


def columns(network: Network, trains: dict[str, BoolArray]) -> BoolArray:
    return np.concatenate([trains[population.label] for population in network.outputs], axis=2)


def assert_equal(found: BoolArray, wanted: BoolArray, seed: object) -> None:
    wrong = np.argwhere(found != wanted)
    if len(wrong):
        sample, tick, output = wrong[0].tolist()
        raise AssertionError(
            f"seed {seed}: sample {sample}, tick {tick}, output {output}: expected {wanted[sample, tick, output]}, "
            f"got {found[sample, tick, output]}; {len(wrong)} differences"
        )


def run(image: Image, spikes: BoolArray) -> BoolArray:
    return spikeloom.open("golden", image).run(spikes)


# A chip gives what a same-step evaluation gives ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(120))
def test_the_chip_gives_the_spikes_of_a_same_step_evaluation(seed: int) -> None:
    config, options = random_chip(seed)
    network = random_network(seed, uniform=config.cores[0].group > 1)
    spikes = random_spikes(seed, network)
    image = spikeloom.compile(network, config=config, **options)
    assert_equal(run(image, spikes), columns(network, expected(network, spikes, config, **options)), seed)


@pytest.mark.parametrize("seed", range(60))
def test_currents_and_adaptations_give_the_spikes_of_a_same_step_evaluation(seed: int) -> None:
    config, options = random_chip(seed, extras=True)
    network = random_network(seed, uniform=config.cores[0].group > 1, extras=True)
    spikes = random_spikes(seed, network)
    device = spikeloom.open("golden", spikeloom.compile(network, config=config, **options))
    labels = [population.label for population in network.populations if not population.is_input]
    device.run(spikes, record=labels)
    trains = expected(network, spikes, config, **options)
    for label in labels:
        found = device.recorded[label].spikes
        assert found is not None
        assert_equal(found, trains[label], (seed, label))


@pytest.mark.parametrize("plain", [{"current_retention": None}, {"adaptation_retention": None, "adaptation_step": None}])
def test_currents_and_adaptations_change_the_spikes(plain: dict[str, None]) -> None:
    """Otherwise the test above would say little."""
    changed = 0
    for seed in range(60):
        network, without = random_network(seed, extras=True), random_network(seed, extras=True)
        for population in without.populations:
            if isinstance(population.neurons, Neurons):
                object.__setattr__(population, "neurons", replace(population.neurons, **plain))
        spikes = random_spikes(seed, network)
        changed += not np.array_equal(columns(network, evaluate(network, spikes)), columns(without, evaluate(without, spikes)))
    assert changed >= 20


def test_the_random_networks_are_not_silent_and_visit_all_features() -> None:
    """Otherwise the test above would say little."""
    found: dict[str, int] = dict.fromkeys(
        ("spikes", "loop", "delay", "feedback", "outputs", "inputs", "subtract", "bias", "held", "below"), 0
    )
    for seed in range(120):
        network = random_network(seed)
        trains = evaluate(network, random_spikes(seed, network))
        labels = [population.label for population in network.populations]
        cells = [population.neurons for population in network.populations if population.neurons is not None]
        found["spikes"] += 0.05 < columns(network, trains).mean() < 0.95
        found["loop"] += any(p.pre is p.post for p in network.projections)
        found["delay"] += any((p.delay or 0) > 0 for p in network.projections)
        found["feedback"] += any(labels.index(p.pre.label) > labels.index(p.post.label) for p in network.projections)
        found["outputs"] += len(network.outputs) > 1
        found["inputs"] += len(network.inputs) > 1
        found["subtract"] += any(cell.reset_mode == "subtract" for cell in cells)
        found["bias"] += any(bool(cell.bias.any()) for cell in cells)
        found["held"] += any(bool(cell.refractory.any()) for cell in cells)
        found["below"] += any(bool((cell.threshold < 0).any()) for cell in cells)
    assert min(found.values()) >= 20, found


@pytest.mark.parametrize("seed", range(12))
def test_lanes_and_pipelines_do_not_change_the_result(seed: int) -> None:
    network = random_network(seed)
    spikes = random_spikes(seed, network)
    first: BoolArray | None = None
    for lanes, pipelines in ((1, 1), (2, 2), (8, 1), (8, 4), (16, 16), (64, 2)):
        found = run(spikeloom.compile(network, config=chip(lanes=lanes, pipelines=pipelines)), spikes)
        first = found if first is None else first
        assert_equal(found, first, (seed, lanes, pipelines))


@pytest.mark.parametrize("seed", range(12))
def test_a_population_that_is_recorded_is_the_one_of_the_evaluation(seed: int) -> None:
    config, options = random_chip(seed)
    network = random_network(seed, uniform=config.cores[0].group > 1)
    spikes = random_spikes(seed, network)
    device = spikeloom.open("golden", spikeloom.compile(network, config=config, **options))
    labels = [population.label for population in network.populations if not population.is_input]
    device.run(spikes, record=labels)
    trains = expected(network, spikes, config, **options)
    for label in labels:
        found = device.recorded[label].spikes
        assert found is not None
        assert_equal(found, trains[label], (seed, label))


@pytest.mark.parametrize("seed", range(6))
def test_layers_without_bias_need_one_level_only(seed: int) -> None:
    network = feedforward(5, 9, 7, 8, 3, seed=seed)
    spikes = random_spikes(seed, network)
    image = spikeloom.compile(network, config=chip(levels=1))
    assert_equal(run(image, spikes), columns(network, expected(network, spikes, chip())), seed)
    assert image.drain == 3


@pytest.mark.parametrize("seed", range(6))
def test_a_deep_layer_does_not_run_ahead_of_its_input(seed: int) -> None:
    """A bias in every layer: a layer that began at once would be three steps ahead."""
    network = feedforward(5, 9, 7, 8, 3, seed=seed, bias=0.23, retention=1.0)
    spikes = random_spikes(seed, network)
    image = spikeloom.compile(network, config=chip(levels=4))
    assert [population.level for population in image.populations] == [0, 1, 2, 3]
    assert_equal(run(image, spikes), columns(network, expected(network, spikes, chip())), seed)


def test_an_answer_comes_in_the_step_of_its_input() -> None:
    network = feedforward(1, 1, 1, 1, retention=0.0, threshold=0.0)
    for number in range(len(network.projections)):
        network.projections[number].weights[:] = 1.0
    spikes = np.eye(10, dtype=np.bool_)[:, :, np.newaxis]
    assert np.array_equal(run(spikeloom.compile(network, config=chip()), spikes), spikes)


@pytest.mark.parametrize("delay", [16, 40, 300])
def test_an_input_may_be_delayed_by_any_number_of_steps(delay: int) -> None:
    network = Network()
    out = network.population(1, neurons(1, retention=0.0, threshold=0.5), "out")
    network.projection(network.input(1), out, 1.0, delay)
    network.output(out)
    spikes = random_spikes(delay, network, ticks=delay + 20)
    found = run(spikeloom.compile(network, config=chip()), spikes)
    assert np.array_equal(found[:, delay:], spikes[:, :20])
    assert not found[:, :delay].any()


def test_inputs_and_neurons_that_reach_nothing_take_no_axon() -> None:
    network = Network()
    source, hidden = network.input(6, "in"), network.population(5, neurons(5), "hidden")
    out = network.population(3, neurons(3), "out")
    network.projection(source, hidden, np.ones((6, 5)) * (np.arange(6) % 2)[:, np.newaxis])
    network.projection(hidden, out, np.ones((5, 3)) * (np.arange(5) < 2)[:, np.newaxis])
    network.output(out)
    image = spikeloom.compile(network, config=chip(axons=5))
    assert sorted(image.input_index.tolist()) == [1, 3, 5]
    spikes = random_spikes(0, network)
    assert_equal(run(image, spikes), columns(network, expected(network, spikes, chip())), 0)


def test_crossings_that_do_not_exist_take_no_weight_words() -> None:
    network = Network()
    source = network.input(3)
    layers = [network.population(8, neurons(8), f"layer{k}") for k in range(3)]
    for layer in (layers[0], layers[2]):
        network.projection(source, layer, 0.6)
        network.output(layer)
    network.projection(source, layers[1], np.zeros((3, 8)), delay=1)
    image = spikeloom.compile(network, config=chip(lanes=8))
    needs = {need["what"]: need["needed"] for need in image.notes["verdict"]}
    assert (needs["weight words"], needs["axons"]) == (6, 6)  # a word for each of 3 inputs and 2 layers; layer1 lies between them
    spikes = random_spikes(0, network)
    assert_equal(run(image, spikes), columns(network, expected(network, spikes, chip())), 0)


def test_populations_are_packed_closer_if_words_of_their_own_do_not_fit() -> None:
    network = feedforward(4, 5, 5)
    spikes = random_spikes(0, network)
    wide = spikeloom.compile(network, config=chip(neurons=16, lanes=8))
    close = spikeloom.compile(network, config=chip(neurons=12, lanes=8))
    assert [population.first for population in wide.populations] == [0, 8]
    assert [population.first for population in close.populations] == [0, 5]
    assert np.array_equal(run(wide, spikes), run(close, spikes))


def test_the_same_network_gives_the_same_image() -> None:
    for seed in range(5):
        first, second = (spikeloom.compile(random_network(seed), config=chip()) for _ in range(2))
        assert all(np.array_equal(words, second.memories[0][name]) for name, words in first.memories[0].items())
        assert first.notes == second.notes


@pytest.mark.parametrize("board", ["icebreaker", "ulx3s"])
def test_a_board_computes_the_same(board: str) -> None:
    network = feedforward(20, 30, 10)
    spikes = random_spikes(1, network)
    image = spikeloom.compile(network, board=board)
    assert image.board == board
    assert_equal(run(image, spikes), columns(network, expected(network, spikes, image.config)), board)


# Feedback --------------------------------------------------------------------------------------------------------------------


def with_feedback(delay: float | None) -> Network:
    network = feedforward(4, 5, 6, 3, threshold=0.4)
    rng = np.random.default_rng(1)
    network.projection(network.find("layer2"), network.find("layer0"), rng.normal(-0.3, 0.5, (3, 5)), delay)
    return network


@pytest.mark.parametrize("delay", [None, 1, 2])
def test_a_feedback_through_several_layers_is_refused_by_name(delay: float | None) -> None:
    with pytest.raises(NetworkError) as caught:
        spikeloom.compile(with_feedback(delay), config=chip())
    text = str(caught.value)
    loops = ["layer0 -> layer1 -> layer2 -> layer0", "layer1 -> layer2 -> layer0 -> layer1", "layer2 -> layer0 -> layer1 -> layer2"]
    assert any(text.startswith(f"the loop {loop} passes through several layers within one step; ") for loop in loops)
    assert (
        "Give its feedback a delay of at least as many steps as the loop has populations, or accept a later feedback (late_feedback=True"
        in text
    )


@pytest.mark.parametrize("delay", [3, 4, 7])
def test_a_feedback_that_is_slow_enough_is_exact(delay: int) -> None:
    network = with_feedback(delay)
    spikes = random_spikes(delay, network)
    assert_equal(run(spikeloom.compile(network, config=chip()), spikes), columns(network, expected(network, spikes, chip())), delay)


def test_a_late_feedback_is_accepted_with_a_warning_and_is_that_of_a_longer_delay() -> None:
    image = spikeloom.compile(with_feedback(None), config=chip(), late_feedback=True)
    assert image.notes["warnings"] == ["the feedback from layer2 to layer0 comes after 3 steps instead of 1"]
    slow = with_feedback(3)
    spikes = random_spikes(0, slow)
    found = run(image, spikes)
    assert_equal(found, columns(slow, expected(slow, spikes, chip())), 0)
    assert not np.array_equal(found, columns(slow, expected(with_feedback(None), spikes, chip())))


def test_the_report_of_a_late_feedback_counts_what_the_chip_does() -> None:
    network = with_feedback(None)
    spikes = random_spikes(0, network)
    image = spikeloom.compile(network, config=chip(), late_feedback=True, samples=spikes)
    activity = {row["population"]: row for row in image.notes["activity"]}
    assert activity["layer2"]["integer"] == run(image, spikes).sum()
    assert activity["layer2"]["real"] == evaluate(network, spikes)["layer2"].sum()
    assert activity["layer2"]["equal"] < 1


def test_a_late_feedback_leaves_other_loops_alone() -> None:
    network, slow = with_feedback(None), with_feedback(3)
    for one in (network, slow):
        one.projection(one.find("layer1"), one.find("layer1"), 0.2)
    image = spikeloom.compile(network, config=chip(), late_feedback=True)
    assert len(image.notes["warnings"]) == 1
    spikes = random_spikes(3, slow)
    assert_equal(run(image, spikes), columns(slow, expected(slow, spikes, chip())), 3)


@pytest.mark.parametrize("delay", [0, 2])
def test_a_stated_delay_is_never_made_longer(delay: int) -> None:
    with pytest.raises(NetworkError, match=r"the loop .* has stated delays that are too short; lengthen one of them"):
        spikeloom.compile(with_feedback(delay), config=chip(), late_feedback=True)


def test_two_populations_that_reach_each_other_in_the_step_are_refused() -> None:
    network = feedforward(2, 3, 3)
    network.projection(network.find("layer1"), network.find("layer0"), 0.1)
    with pytest.raises(NetworkError, match=r"the loop layer. -> layer. -> layer. passes through several layers within one step"):
        spikeloom.compile(network, config=chip())


def test_a_delay_beyond_the_schedule_is_refused() -> None:
    network = feedforward(2, 3, 3)
    network.projection(network.find("layer1"), network.find("layer1"), 0.1, delay=15)
    spikes = random_spikes(0, network, ticks=40)
    assert_equal(run(spikeloom.compile(network, config=chip()), spikes), columns(network, expected(network, spikes, chip())), 0)
    network.projection(network.find("layer1"), network.find("layer1"), 0.1, delay=16)
    message = "the projection from layer1 to layer1 needs a delay of 16 ticks; the limit is 15. Shorten its delay, or put a population between"
    with pytest.raises(CapacityError, match=re.escape(message)):
        spikeloom.compile(network, config=chip())


# What fits -------------------------------------------------------------------------------------------------------------------

SMALLER = "choose a larger geometry or a smaller network"


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ({"neurons": 16, "destinations": 20}, f"neurons: needs 20, has 16 (4 too few; {SMALLER})"),
        ({"axons": 12}, f"axons: needs 13, has 12 (1 too few; {SMALLER}: one axon per input and per neuron that reaches others)"),
        (
            {"weight_words": 100},
            f"weight words: needs 130, has 100 (30 too few; {SMALLER}, or fewer weight bits; a word holds 1 weights)",
        ),
        ({"destinations": 15}, f"destinations: needs 20, has 15 (5 too few; {SMALLER}, or raise destinations)"),
        ({"levels": 1}, "levels: needs 2, has 1 (1 too few; raise levels, or use fewer layers with a bias)"),
        (
            {"accumulator_bits": 9},
            "accumulator bits: needs 12, has 9 (3 too few; raise accumulator_bits, or use fewer weight bits)",
        ),
    ],
    ids=["neurons", "axons", "weight words", "destinations", "levels", "accumulator"],
)
def test_what_is_too_small_is_named_with_numbers_and_remedy(geometry: dict[str, int], message: str) -> None:
    network = feedforward(3, 10, 10, bias=0.1)
    for projection in network.projections:
        projection.weights[:] = 1.0  # 10 weights of 127 are 1270: 12 bits with their sign
    with pytest.raises(CapacityError) as caught:
        spikeloom.compile(network, config=chip(lanes=1, **geometry))
    assert str(caught.value) == f"the network does not fit the geometry: {message}"


def test_everything_that_is_too_small_is_named_at_once() -> None:
    config = chip(neurons=8, axons=8, weight_words=8, destinations=8)
    with pytest.raises(CapacityError) as caught:
        spikeloom.compile(feedforward(10, 10, 10), config=config)
    short = re.findall(r"(\w[\w ]*): needs \d+, has 8 ", str(caught.value))
    assert short == ["neurons", "axons", "weight words", "destinations"]


def test_one_neuron_may_have_all_destinations_of_a_memory_unless_they_are_a_power_of_two() -> None:
    network = feedforward(1, 1)
    out = network.find("layer0")
    network.projection(out, out, 0.5)
    network.projection(out, out, 0.25, 2)
    image = spikeloom.compile(network, config=chip(neurons=1, lanes=1, destinations=3))
    spikes = random_spikes(0, network)
    assert_equal(run(image, spikes), columns(network, expected(network, spikes, image.config)), 0)
    with pytest.raises(CapacityError, match=re.escape("destinations: needs 3, has 2 (1 too few; ")):
        spikeloom.compile(network, config=chip(neurons=1, lanes=1, destinations=2))
    network.projection(out, out, 0.25, 3)
    with pytest.raises(
        CapacityError,
        match=re.escape("destinations of neuron 0 of population 'layer0': needs 4, has 3 (1 too few; raise destinations"),
    ):
        spikeloom.compile(network, config=chip(neurons=1, lanes=1, destinations=4))


def test_a_network_that_just_fits_fits() -> None:
    network = feedforward(3, 10, 10, bias=0.1)
    tight = chip(lanes=1, neurons=20, axons=13, weight_words=130, destinations=20, levels=2)
    image = spikeloom.compile(network, config=tight)
    found = {need["what"]: (need["needed"], need["available"]) for need in image.notes["verdict"]}
    accumulator = found.pop("accumulator bits")
    assert found == {"neurons": (20, 20), "axons": (13, 13), "weight words": (130, 130), "destinations": (20, 20), "levels": (2, 2)}
    assert accumulator[0] <= accumulator[1]
    spikes = random_spikes(0, network)
    assert_equal(run(image, spikes), columns(network, expected(network, spikes, tight)), 0)


def test_a_board_that_is_too_small_is_named() -> None:
    with pytest.raises(CapacityError, match=r"^the network does not fit icebreaker: neurons: needs 300, has 256 \(44 too few; "):
        spikeloom.compile(feedforward(4, 300), board="icebreaker")


def test_projections_that_add_up_beyond_a_weight_are_refused() -> None:
    network = feedforward(2, 3)
    network.projection(network.inputs[0], network.find("layer0"), network.projections[0].weights)
    message = "several projections from in with the same delay add up to weights beyond 127; merge them into one projection"
    with pytest.raises(CapacityError, match=message):
        spikeloom.compile(network, config=chip())


def test_projections_that_add_up_within_a_weight_are_one() -> None:
    network = feedforward(4, 6)
    network.projection(network.inputs[0], network.find("layer0"), -0.5 * network.projections[0].weights)
    spikes = random_spikes(0, network)
    assert_equal(run(spikeloom.compile(network, config=chip()), spikes), columns(network, expected(network, spikes, chip())), 0)


def test_neurons_that_share_a_parameter_set_must_agree() -> None:
    network = Network()
    out = network.population(4, neurons(4, threshold=[1.0, 1.0, 1.0, 2.0]), "out")
    network.projection(network.input(1), out, 1.0)
    network.output(out)
    message = "neurons that share a parameter set differ in their threshold; the geometry has 2 neurons per set: choose group=1, or populations"
    with pytest.raises(CapacityError, match=re.escape(message)):
        spikeloom.compile(network, config=chip(group=2))
    assert spikeloom.compile(network, config=chip(group=1)).output_size == 4


# Options ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "width"), [(2, 4), (3, 4), (4, 4), (5, 8), (8, 8), (None, 8)])
def test_weight_bits_choose_the_narrowest_geometry_of_a_board(bits: int | None, width: int) -> None:
    image = spikeloom.compile(feedforward(4, 5), board="icebreaker", weight_bits=bits)
    assert image.config.cores[0].weight_bits == width


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"board": "icebreaker", "config": chip()}, ConfigError, "give a board or a config, not both"),
        ({"board": "de10"}, ConfigError, "no board is called 'de10'; there are icebreaker, upduino-v3"),
        (
            {"board": "icebreaker", "weight_bits": 9},
            ConfigError,
            "icebreaker has no geometry with 9-bit weights; the widest is 8",
        ),
        ({"board": "ulx3s", "weight_bits": 1}, ConfigError, "weight_bits is 1; it must be 2 to the core's 4"),
        ({"config": chip(), "weight_bits": 9}, ConfigError, "weight_bits is 9; it must be 2 to the core's 8"),
        ({"config": chip(), "scale": "best"}, ConfigError, "scale is 'best'; it must be 'neuron' or 'layer'"),
        (
            {"samples": np.zeros((2, 5, 3))},
            InputError,
            "samples have shape [2, 5, 3]; the network needs [samples, ticks, 4]",
        ),
        ({"samples": np.zeros(4)}, InputError, "samples have shape [4]; the network needs [samples, ticks, 4]"),
        ({"samples": np.zeros((0, 4))}, InputError, "samples have shape [1, 0, 4]; the network needs [samples, ticks, 4]"),
        (
            {"samples": np.full((2, 5, 4), 0.5)},
            InputError,
            "samples hold values other than 0 and 1; encode analog values first (spikeloom.encode)",
        ),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        spikeloom.compile(feedforward(4, 5), **options)


def test_a_network_needs_an_output_and_an_input() -> None:
    network = Network()
    out = network.population(1, neurons(1), "out")
    with pytest.raises(NetworkError, match=re.escape("the network has no output; mark a population with output()")):
        spikeloom.compile(network)
    network.output(out)
    with pytest.raises(NetworkError, match="the network has no input"):
        spikeloom.compile(network)


# Report ----------------------------------------------------------------------------------------------------------------------


def test_samples_give_spike_counts_in_real_numbers_and_in_integers() -> None:
    network = feedforward(6, 8, 4)
    spikes = random_spikes(0, network, samples=4)
    image = spikeloom.compile(network, config=chip(weight_bits=2), samples=spikes)
    real, integer = evaluate(network, spikes), expected(network, spikes, chip(weight_bits=2))
    assert image.notes["activity"] == [
        {
            "population": label,
            "real": real[label].sum(),
            "integer": integer[label].sum(),
            "equal": (real[label] == integer[label]).mean(),
            "saturated": 0,
        }
        for label in ("layer0", "layer1")
    ]
    assert image.notes["activity"][1]["integer"] == run(image, spikes).sum()
    assert image.notes["warnings"] == []
    single = spikeloom.compile(network, config=chip(weight_bits=2), samples=spikes[0].astype(int))
    assert single.notes["activity"][0]["integer"] == integer["layer0"][0].sum()


def test_a_layer_that_never_fires_is_warned_of() -> None:
    network = Network()
    source = network.input(2)
    # Weights of 100 and 0.9 of 3 bits: 0.9 becomes 0, and the neuron that needs it falls silent.
    lost = network.population(1, neurons(1, threshold=0.8), "lost")
    network.projection(source, lost, [[100.0], [0.9]])
    high = network.population(2, neurons(2, threshold=50.0), "high")
    network.projection(source, high, 1.0)
    never = network.population(1, neurons(1, threshold=np.inf), "never")
    network.projection(source, never, 1.0)
    network.output(high)
    spikes = np.zeros((1, 10, 2), np.bool_)
    spikes[0, :, 1] = True
    image = spikeloom.compile(network, config=chip(weight_bits=4), weight_bits=3, samples=spikes)
    assert image.notes["warnings"] == [
        "population lost never fires on the given samples, though it fires in real numbers",
        "population high never fires on the given samples, in real numbers too",
    ]


def test_a_coarser_unit_is_warned_of() -> None:
    network = feedforward(3, 2, threshold=1e5)
    image = spikeloom.compile(network, config=chip(Lif(state_bits=16)))
    coarser = image.notes["quantisation"][0]["coarser"]
    assert coarser > 4
    assert image.notes["warnings"] == [
        f"population layer0: its weights keep {np.log2(coarser):.1f} bits less than they could, because threshold, reset or bias would not "
        "fit the potential otherwise"
    ]


def test_notes_of_the_import_are_kept_in_the_image_file(tmp_path: Path) -> None:
    path = Path(spikeloom.__file__).parents[1] / "examples" / "digits" / "digits.nir"
    network = spikeloom.read_nir(path)
    spikes = random_spikes(0, network)
    image = spikeloom.compile(network, samples=spikes)
    image.save(tmp_path / "digits.loom")
    loaded = Image.load(tmp_path / "digits.loom")
    assert loaded.notes == image.notes
    assert loaded.notes["populations"] == {p.label: p.note for p in network.populations if p.note}
    assert [report["population"] for report in loaded.notes["quantisation"]] == [
        p.label for p in network.populations if not p.is_input
    ]
    assert_equal(run(loaded, spikes), columns(network, expected(network, spikes, image.config)), "digits")


def test_samples_count_potentials_that_leave_their_width() -> None:
    """An input of one unit per step, never leaking, meets a threshold that cannot be reached: after 2^7 / 2^0 steps it is cut."""
    network = spikeloom.Network()
    source = network.input(1, "input")
    neurons = spikeloom.Neurons(
        retention=np.ones(1), bias=np.zeros(1), threshold=np.full(1, np.inf), reset=np.zeros(1), reset_mode="value",
        refractory=np.zeros(1, np.int64),
    )  # fmt: skip
    readout = network.population(1, neurons, "readout")
    network.projection(source, readout, np.ones((1, 1)))
    network.output(readout)
    core = CoreConfig(axons=4, neurons=4, weight_bits=2, lanes=1, models=(Lif(state_bits=8, fraction_bits=0, bias_bits=8),))
    image = spikeloom.compile(network, config=ChipConfig(cores=(core,)), samples=np.ones((1, 140, 1), bool))
    # The potential is 127 after 127 steps; each of the 13 steps after that would make it 128.
    assert image.notes["activity"][0]["saturated"] == 13
    assert any("potentials left their 8 bits 13 times" in warning for warning in image.notes["warnings"])
