"""Networks that learn: exactly the synapses asked for, and the same weights wherever neurons come to."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.arch.packet import Destination
from spikeloom.examples.learning.protocol import pair_sum
from spikeloom.hdl.fabric import GENERIC
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.chip import input_events
from spikeloom.network.align import align
from spikeloom.network.description import FixedCell, Network
from spikeloom.network.image import Image
from spikeloom.network.izhikevich import IzhikevichCell
from spikeloom.network.plasticity import Plasticity
from spikeloom.network.quantise import quantise
from spikeloom.sim.cases import Case, Events
from spikeloom.sim.fuzz import run_case
from spikeloom.sim.rtl_bus import RtlBus
from tests.network.cases import neurons, random_spikes
from tests.network.meshes import core, image_or_refusal, pieces, refusal, unpacked, verdict
from tests.network.plastic_cases import DECAY, LEARNING, STDP, learners, one, random_plastic, small, two_rules
from tests.sim.geometries import poisoned

#: Population and neuron before and behind, and ticks between.
Synapse = tuple[str, int, str, int, int]


def asked_for(network: Network) -> Counter[Synapse]:
    """Every pair of a projection that learns."""
    delays, _ = align(network, late_feedback=True, warnings=[])
    return Counter(
        (p.pre.label, pre, p.post.label, post, delay)
        for p, delay in zip(network.projections, delays, strict=True)
        if p.plasticity is not None
        for pre in range(p.pre.size)
        for post in range(p.post.size)
    )


def sources(image: Image) -> dict[tuple[int, int], list[tuple[str, int, int]]]:
    """What reaches each core and axon: population, neuron or line, and ticks."""
    names = [(port.name, column) for port in image.inputs for column in range(port.size)]
    result: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
    for column, number, axon, offset in zip(
        image.input_index.tolist(), image.input_core.tolist(), image.input_axon.tolist(), image.input_offset.tolist(), strict=True
    ):
        result.setdefault((number, axon), []).append((*names[column], offset))
    for piece in image.populations:
        x, y = image.config.place(piece.core)
        index, routes = unpacked(image, piece.core, "route_index"), unpacked(image, piece.core, "routes")
        for neuron in range(piece.size):
            first, count = (int(index[name][piece.first + neuron]) for name in ("first", "count"))
            for entry in range(first, first + count):
                if routes["kind"][entry] == Destination.AXON:
                    dx, dy = (int(routes[name][entry]) if name in routes else 0 for name in ("dx", "dy"))
                    key = (y + dy) * image.config.columns + x + dx, int(routes["target"][entry])
                    result.setdefault(key, []).append((piece.name, piece.offset + neuron, int(routes["delay"][entry])))
    return result


def learning(image: Image) -> Counter[Synapse]:
    """Every synapse that learns, from the words of the image alone."""
    found: Counter[Synapse] = Counter()
    reached = sources(image)
    owner = {
        (piece.core, piece.first + neuron): (piece.name, piece.offset + neuron)
        for piece in image.populations
        for neuron in range(piece.size)
    }
    for number, config in enumerate(image.config.cores):
        if config.learning is None:
            continue
        rows, plastic = unpacked(image, number, "rows"), unpacked(image, number, "plastic")["plastic"].reshape(-1)
        for axon in np.flatnonzero(rows["plastic"] == 1).tolist():
            for neuron in range(int(rows["start"][axon]) * config.lanes, (int(rows["last"][axon]) + 1) * config.lanes):
                if plastic[neuron]:
                    # A KeyError here is a synapse of no neuron, or of no source, that learns.
                    found.update((*source[:2], *owner[number, neuron], source[2]) for source in reached[number, axon])
    return found


# Exactly what was asked for ----------------------------------------------------------------------------------------------

SHAPES: dict[str, Any] = {
    "one core": lambda: one(),
    "one core, one lane": lambda: one(lanes=1),
    "one core, sixteen lanes": lambda: one(lanes=16, pipelines=4),
    # Populations that do not learn share words, because they would not fit otherwise.
    "one core, tight": lambda: one(lanes=8, neurons=36),
    "2x2": lambda: learners(2, 2),
    "2x2, eight lanes": lambda: learners(2, 2, lanes=8, pipelines=2, group=2),
    "4x3, small cores": lambda: learners(4, 3, neurons=8),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_exactly_the_synapses_asked_for_learn(shape: str) -> None:
    fitted = 0
    for seed in range(25):
        network = random_plastic(seed, (STDP,) if shape.startswith("one core") else (STDP, DECAY))
        image = image_or_refusal(network, SHAPES[shape]())
        if isinstance(image, str):
            assert re.search("neurons: needs|cores: needs", image), image
            continue
        fitted += 1
        assert learning(image) == asked_for(network), seed
    assert fitted >= 20


def test_the_random_networks_visit_all_features() -> None:
    """Otherwise the tests around would say little."""
    found = Counter[str]()
    for seed in range(25):
        network = random_plastic(seed, (STDP, DECAY))
        delays, _ = align(network, late_feedback=False, warnings=[])
        ways = [(p.pre.label, p.post.label, d, p.plasticity is not None) for p, d in zip(network.projections, delays, strict=True)]
        found["both kinds from one source after one delay"] += any((*way[:3], not way[3]) in ways for way in ways)
        found["one pair, several delays"] += any(
            a[:2] == b[:2] and a[2] != b[2] and a[3] and b[3] for a in ways for b in ways if a is not b
        )
        found["recurrence that learns"] += any(way[0] == way[1] and way[3] for way in ways)
        found["two rules"] += len({p.plasticity.rule for p in network.projections if p.plasticity is not None}) == 2
        found["weight 0 that may grow"] += any(p.plasticity is not None and (p.weights == 0).any() for p in network.projections)
        image = spikeloom.compile(network, config=learners(4, 3, neurons=8))
        names = [piece.name for piece in image.populations]
        found["split population that learns"] += any(names.count(post) > 1 and plastic for _, post, _, plastic in ways)
    assert min(found.values()) >= 3, found


# The same weights everywhere ---------------------------------------------------------------------------------------------


def taught(network: Network, config: ChipConfig, seed: int) -> tuple[npt.NDArray[np.bool_], list[npt.NDArray[np.float64]]]:
    """Outputs, and what all projections have learnt, in the order of the network."""
    chip = spikeloom.open("golden", spikeloom.compile(network, config=config))
    out = chip.run(random_spikes(seed, network, ticks=40))
    return out, list(spikeloom.learned_weights(network, chip.learned_image()).values())


@pytest.mark.parametrize("seed", range(12))
def test_a_mesh_learns_what_one_core_learns(seed: int) -> None:
    network = random_plastic(seed)
    out, weights = taught(network, one(), seed)
    for config in (learners(4, 1), learners(3, 2, lanes=1, neurons=16), learners(2, 2, lanes=8)):
        found, learnt = taught(network, config, seed)
        assert np.array_equal(found, out)
        assert all(np.array_equal(a, b) for a, b in zip(learnt, weights, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_two_rules_learn_the_same_on_any_mesh(seed: int) -> None:
    network = random_plastic(seed, (STDP, DECAY))
    first, second = (taught(network, config, seed) for config in (learners(3, 2), learners(1, 6, lanes=1, neurons=20)))
    assert np.array_equal(first[0], second[0])
    assert all(np.array_equal(a, b) for a, b in zip(first[1], second[1], strict=True))


def test_the_random_networks_learn() -> None:
    changed = 0.0
    for seed in range(12):
        network = random_plastic(seed)
        before = [p.weights for p in network.projections if p.plasticity is not None]
        _, after = taught(network, one(), seed)
        changed += np.mean([np.mean(np.abs(a - b) > 1e-9) for a, b in zip(after, before, strict=True)]) if before else 0
    assert changed > 3


@pytest.mark.parametrize(
    "plasticity", [STDP, dataclasses.replace(STDP, stochastic=True, rule="dw = 3.3 * x1 * y0 - 2.7 * x0 * y1")]
)
def test_an_image_of_the_low_door_learns_the_same(plasticity: Plasticity) -> None:
    network, projection = small(plasticity)
    geometry = CoreConfig(axons=8, neurons=4, lanes=4, levels=1, models=(Lif(),), learning=plasticity.unit(8), destinations=16)
    config = ChipConfig(cores=(geometry,))
    image = spikeloom.compile(network, config=config)
    q = quantise(network, geometry)
    weights = np.zeros((8, 4), np.int64)
    weights[:5, :3], weights[5:, :3] = q.weights
    parameters = {name: np.append(values, values[-1]) for name, values in q.neurons["layer"].parameters.items()}
    by_hand = spikeloom.image_from_arrays(
        config,
        [
            spikeloom.CoreArrays(
                weights=weights,
                parameters=parameters,
                destinations=[[n, 0, 5 + n, 1] for n in range(3)],
                outputs=[[n, n] for n in range(3)],
                plasticity=plasticity,
                plastic_axons=np.arange(8) < 5,
                plastic_neurons=np.arange(4) < 3,
            )
        ],
        inputs=[[n, 0, n, 0] for n in range(5)],
    )
    spikes = np.random.default_rng(1).random((4, 60, 5)) < 0.3
    chips = [spikeloom.open("golden", given) for given in (image, by_hand)]
    first, second = (chip.run(spikes) for chip in chips)
    assert np.array_equal(first, second)
    assert 0.02 < first.mean() < 0.9
    states = [chip.state() for chip in chips]
    for name in ("core0.weights", "core0.x1", "core0.y1"):
        assert np.array_equal(states[0][name], states[1][name])
    lsb = 2.0 / plasticity.high
    learnt = spikeloom.learned_weights(network, chips[0].learned_image())[projection]
    assert np.array_equal(learnt, states[1]["core0.weights"][:5, :3] * lsb)
    assert (learnt != projection.weights).mean() > 0.5


@pytest.mark.parametrize("delay", [None, 2.0])
def test_pairs_of_spikes_count_in_steps_of_the_network(delay: float | None) -> None:
    """Whatever ticks the layers take: a spike before counts from the step in which it acts."""
    network = Network()
    source = network.input(6, "in")
    first, second = (network.population(size, neurons(size, retention=0.5), name) for size, name in ((4, "first"), (3, "second")))
    rng = np.random.default_rng(0)
    network.projection(source, first, 0.6 * rng.random((6, 4)))
    network.projection(source, second, 0.6 * rng.random((6, 3)))
    # Small impulses: no trace reaches its limit.
    pair = Plasticity(
        rule="dw = 800 * x1 * y0 - 600 * x0 * y1", tau={"x1": 7, "y1": 11}, impulse={"x1": 0.25, "y1": 0.25}, low=-20000, high=20000,
        stochastic=False,
    )  # fmt: skip
    projection = network.projection(first, second, 0.0, delay, plasticity=pair, w_max=1.0)
    network.output(second)
    chip = spikeloom.open("golden", spikeloom.compile(network, config=one(weight_bits=16, models=(Lif(state_bits=28),))))
    chip.run(rng.random((80, 6)) < 0.3, record=["first", "second"])
    trains = [chip.recorded[name].spikes for name in ("first", "second")]
    assert trains[0] is not None
    assert trains[1] is not None
    before, after = (train[0] for train in trains)
    learnt = spikeloom.learned_weights(network, chip.learned_image())[projection] * 20000
    steps = int(delay or 0)
    for pre in range(4):
        for post in range(3):
            acting = [step + steps for step in np.flatnonzero(before[:, pre]).tolist() if step + steps < 80]
            fired = np.flatnonzero(after[:, post]).tolist()
            wanted = pair_sum(acting, fired, 200, 150, 7, 11, nearest=False)
            # Each visit: half an LSB, and a trace that is seen in units of 2**-10.
            assert abs(learnt[pre, post] - wanted) < (0.5 + 800 * 2**-10) * (len(acting) + len(fired))
    assert np.abs(learnt).max() > 500


# What the compiler gives ---------------------------------------------------------------------------------------------------


def test_weights_read_back_are_those_given_and_learning_goes_on_from_them(tmp_path: Path) -> None:
    network = random_plastic(3)
    image = spikeloom.compile(network, config=learners(3, 2))
    for projection, weights in spikeloom.learned_weights(network, image).items():
        np.testing.assert_allclose(weights, projection.weights, atol=1e-12)
    chip = spikeloom.open("golden", image)
    chip.run(random_spikes(3, network, ticks=40))
    learned = chip.learned_image()
    assert isinstance(learned, Image)
    learned.save(tmp_path / "learned.loom")
    found = spikeloom.learned_weights(network, Image.load(tmp_path / "learned.loom"))
    again = Network()
    copies = {
        p.label: again.input(p.size, p.label) if p.is_input else again.population(p.size, p.neurons, p.label)
        for p in network.populations
    }
    for p in network.projections:
        weights = found.get(p, p.weights)
        again.projection(copies[p.pre.label], copies[p.post.label], weights, p.delay, plasticity=p.plasticity, w_max=p.w_max)
    for population in network.outputs:
        again.output(copies[population.label])
    compiled = spikeloom.compile(again, config=learners(3, 2))
    for number, memory in enumerate(learned.memories):
        assert all(np.array_equal(words, compiled.memories[number][name]) for name, words in memory.items())
    assert any((a["weights"] != b["weights"]).any() for a, b in zip(image.memories, learned.memories, strict=True))


def test_a_population_that_learns_is_split() -> None:
    network = Network()
    source, layer = network.input(30, "in"), network.population(40, neurons(40, threshold=4.0), "layer")
    weights = np.random.default_rng(0).integers(0, 61, (30, 40)) / 30
    projection = network.projection(source, layer, weights, plasticity=STDP, w_max=2.0)
    network.output(layer)
    image = spikeloom.compile(network, config=learners(2, 2, neurons=16))
    assert [size for _, _, size, _ in pieces(image)] == [16, 16, 8]
    assert learning(image) == asked_for(network)
    np.testing.assert_allclose(spikeloom.learned_weights(network, image)[projection], weights, atol=1e-12)


def test_different_rules_come_to_different_cores() -> None:
    image = spikeloom.compile(two_rules(), config=learners(2, 1))
    assert len({number for _, _, _, number in pieces(image)}) == 2
    counts = [unpacked(image, number, "learning") for number in range(2)]
    assert sorted(int(words["epoch_terms"][0]) for words in counts) == [0, 1]
    assert learning(image) == asked_for(two_rules())


def test_populations_that_do_not_learn_share_cores_with_those_that_do() -> None:
    network, _ = small()
    other = network.population(4, neurons(4), "other")
    network.projection(network.find("layer"), other, 1.0)
    network.output(other)
    image = spikeloom.compile(network, config=learners(2, 1))
    assert len({number for _, _, _, number in pieces(image)}) == 1
    assert learning(image) == asked_for(network)
    first, second = image.populations
    flags = [unpacked(image, number, "plastic")["plastic"].reshape(-1) for number in (first.core, 1 - first.core)]
    assert np.flatnonzero(flags[0]).tolist() == [*range(first.first, first.first + 3)]
    assert second.first == 4
    # The other core is one that can learn, and does not.
    assert not flags[1].any()


def test_words_of_neurons_that_learn_hold_no_others() -> None:
    """Else the largest sums of the others, as an image is checked for them, would contain what they do not see."""
    network = Network()
    source = network.input(30, "in")
    layers = [network.population(size, neurons(size), f"layer{k}") for k, size in enumerate((3, 5, 7))]
    network.projection(source, layers[0], 1.0, plasticity=STDP, w_max=2.0)
    for layer in layers[1:]:
        # In LSB 127, 29 times 60.
        network.projection(source, layer, np.where(np.arange(30) == 0, 127.0, 60.0)[:, np.newaxis] * np.ones(layer.size))
    network.output(layers[0])
    # Words of their own for all would take 23 neurons. Every sum takes 12 bits.
    image = spikeloom.compile(network, config=one(lanes=8, neurons=20, accumulator_bits=12))
    assert [piece.first for piece in image.populations] == [0, 8, 13]


def test_neurons_that_learn_come_to_cores_that_can() -> None:
    plain = core(neurons=16)
    able = core(neurons=16, learning=LEARNING)
    network, _ = small()
    image = spikeloom.compile(network, config=ChipConfig(cores=(plain, plain, able), columns=3))
    assert [number for _, _, _, number in pieces(image)] == [2]


def test_the_unit_of_a_weight_is_w_max_over_high_for_all_neurons() -> None:
    network, projection = small()
    q = quantise(network, one())
    assert np.array_equal(q.neurons["layer"].unit, np.full(3, 2.0 / 60))
    assert np.array_equal(q.weights[0], np.rint(projection.weights * 30))
    assert np.array_equal(q.weights[1], -45 * (1 - np.eye(3)))
    assert (q.neurons["layer"].parameters["threshold"] == 30 * 64).all()


def test_bounds_may_be_wider_than_the_weights_of_the_quantiser() -> None:
    network = Network()
    source, layer = network.input(2, "in"), network.population(1, neurons(1), "layer")
    wide = dataclasses.replace(STDP, low=-128, high=127)
    network.projection(source, layer, [[-128.0], [127.0]], plasticity=wide, w_max=127.0)
    assert quantise(network, one(), weight_bits=4).weights[0].tolist() == [[-128], [127]]


def test_sums_are_those_of_the_largest_weights_that_may_be_learnt() -> None:
    network = Network()
    source, layer = network.input(30, "in"), network.population(1, neurons(1), "layer")
    network.projection(source, layer, 0.0, plasticity=STDP, w_max=2.0)
    network.output(layer)
    # 30 * 60 = 1800 takes 12 bits.
    assert verdict(spikeloom.compile(network, config=one()))["accumulator bits"][0] == 12
    assert "accumulator bits: needs 12, has 11 (1 too few" in refusal(network, one(accumulator_bits=11))


def test_cells_that_say_the_unit_themselves() -> None:
    network = Network()
    source = network.input(3, "in")
    parameters = {"threshold": 100, "reset": 0, "reset_mode": 0, "refractory": 0, "bias": 0, "retention": 4096}
    fixed = network.population(2, FixedCell(model_name="lif", parameters=parameters), "fixed")
    quadratic = network.population(2, IzhikevichCell(), "izhikevich")
    to_fixed = network.projection(source, fixed, [[1, 2], [3, 4], [5, 60]], plasticity=STDP)
    model = Izhikevich()
    unit = float(IzhikevichCell().unit(model, 1.0))
    to_quadratic = network.projection(source, quadratic, 7 * unit, plasticity=STDP)
    network.output(quadratic)
    image = spikeloom.compile(network, config=one(models=(Lif(), model)))
    weights = spikeloom.learned_weights(network, image)
    assert weights[to_fixed].tolist() == [[1, 2], [3, 4], [5, 60]]
    assert (weights[to_quadratic] == 7 * unit).all()


def test_boards_get_the_smallest_unit_that_all_rules_need() -> None:
    network, _ = small()
    image = spikeloom.compile(network, board="ulx3s")
    assert image.config.cores[0].learning == STDP.unit(8)
    narrow = dataclasses.replace(STDP, rule="dw = x1 * y0 - 0.9 * x0 * y1", low=-7, high=7)
    network = Network()
    source, layer = network.input(2, "in"), network.population(1, neurons(1), "layer")
    network.projection(source, layer, 1.0, plasticity=narrow, w_max=2.0)
    network.output(layer)
    (geometry,) = spikeloom.compile(network, board="ulx3s", weight_bits=4).config.cores
    assert (geometry.weight_bits, geometry.learning) == (4, narrow.unit(4))
    # Of two rules each brings what the other does not need; that they do not fit one core is said by name.
    with pytest.raises(CapacityError, match=r"^the synapses of first and second learn by different rules or settings"):
        spikeloom.compile(two_rules(), board="ulx3s")


def test_a_unit_with_more_traces_than_the_rule_needs_no_time_constants_for_them() -> None:
    network, projection = small()
    weights = []
    for unit in (STDP.unit(8), Learning(pre_traces=2, post_traces=2, tag_bits=8, membrane_flag=True, terms=9)):
        chip = spikeloom.open("golden", spikeloom.compile(network, config=one(learning=unit)))
        chip.run(random_spikes(0, network, ticks=40))
        weights.append(spikeloom.learned_weights(network, chip.learned_image())[projection])
    assert np.array_equal(*weights)


def test_a_feedback_that_comes_late_is_read_back() -> None:
    network, _ = small()
    back = network.population(3, neurons(3), "back")
    network.projection(network.find("layer"), back, 1.0)
    projection = network.projection(back, network.find("layer"), 0.5, plasticity=STDP, w_max=2.0)
    image = spikeloom.compile(network, config=one(), late_feedback=True)
    assert (spikeloom.learned_weights(network, image)[projection] == 0.5).all()
    assert learning(image) == asked_for(network)


def test_samples_are_compared_without_learning_and_the_report_says_so() -> None:
    network, _ = small()
    image = spikeloom.compile(network, config=one(), samples=random_spikes(0, network))
    expected = "the comparison on the samples computes with the weights at the beginning: in to layer do not learn in it"
    assert image.notes["warnings"] == [expected]


# Hardware ------------------------------------------------------------------------------------------------------------------


def test_a_compiled_network_learns_on_hardware_as_on_the_golden_model() -> None:
    """Two populations with a rule each, in two of the three cores of a geometry that ``tests/sim/test_learning.py`` compiles too."""
    lif = (Lif(state_bits=16, fraction_bits=2),)
    able = CoreConfig(axons=10, neurons=8, lanes=2, levels=1, models=lif, destinations=16, learning=Learning(terms=4))
    plain = dataclasses.replace(able, learning=None, weight_words=None, lanes=4)
    config = ChipConfig(cores=(able, plain, dataclasses.replace(able, lanes=1, weight_words=None)), columns=3)
    network = Network()
    source = network.input(4, "in")
    first, second = (network.population(size, neurons(size, retention=0.8), name) for size, name in ((5, "first"), (7, "second")))
    rules = (
        Plasticity(rule="dw = 3.3 * x1 * y0 - 2 * x0 * y1", tau={"x1": 5, "y1": 9}, high=31),
        Plasticity(rule="dw = 2.5 * x0 * y1 - 2^-2 * y0 * w", tau={"y1": 6}, low=-15, high=31),
    )
    projections = [
        network.projection(source, first, 0.6, plasticity=rules[0], w_max=1.0),
        network.projection(first, second, 0.4, plasticity=rules[1], w_max=1.0),
    ]
    network.projection(first, first, -1.0 * (1 - np.eye(5)))
    network.output(second)
    image = spikeloom.compile(network, config=config)
    assert {number for _, _, _, number in pieces(image)} == {0, 2}
    spikes = np.random.default_rng(0).random((60, 4)) < 0.4
    ticks = tuple(
        Events(cores, axons, np.ones_like(axons), np.zeros_like(axons)) for cores, axons in input_events(image, spikes, image.drain)
    )
    with BusChip(RtlBus(config, poisoned(GENERIC)), image) as chip:
        assert run_case(Case(0, image, ticks), chip, compare_every=5) is None
        learnt = spikeloom.learned_weights(network, chip.learned_image())
    for projection in projections:
        assert len(np.unique(learnt[projection])) > 3
