"""Networks over several cores: what a chip computes does not depend on how many cores it has, how they differ and where they stand."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikeloom
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.lif import Lif
from spikeloom.arch.packet import Destination
from spikeloom.network.description import Network
from spikeloom.network.evaluate import evaluate
from spikeloom.network.image import Image
from spikeloom.network.quantise import quantise
from tests.network.cases import feedforward, neurons, random_network, random_spikes
from tests.network.meshes import assert_same, core, image_or_refusal, mesh, one, pieces, run, unpacked, verdict

# No shape of the mesh changes a result -----------------------------------------------------------------------------------


def _mixed(seed: int, columns: int, rows: int) -> ChipConfig:
    """Cores that differ in everything that may not matter."""
    rng = np.random.default_rng([seed, 3])
    cores = []
    for _ in range(columns * rows):
        lanes = int(rng.choice([1, 2, 4, 8, 16]))
        cores.append(
            core(
                axons=int(rng.integers(20, 60)),
                neurons=int(rng.integers(1, 4)) * 8,
                lanes=lanes,
                pipelines=int(rng.choice([p for p in (1, 2, 4, 8) if p <= lanes])),
                destinations=int(rng.integers(40, 120)),
            )
        )
    return ChipConfig(cores=tuple(cores), columns=columns, rows=rows, chips_across=columns if seed % 2 else 1)


SHAPES = {
    "2x2": lambda seed: mesh(2, 2),
    "3x2": lambda seed: mesh(3, 2, lanes=1),
    "4x1": lambda seed: mesh(4, 1, lanes=8, pipelines=4),
    "1x5": lambda seed: mesh(1, 5, neurons=12),
    "mixed": lambda seed: _mixed(seed, 3, 3),
    "mixed row": lambda seed: _mixed(seed + 1000, 6, 1),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(12))
def test_a_mesh_computes_what_one_core_computes(seed: int, shape: str) -> None:
    models = (Lif(current_bits=24, adaptation_bits=24),) if seed % 2 else (Lif(),)
    network = random_network(seed, extras=bool(seed % 2))
    spikes = random_spikes(seed, network)
    config = SHAPES[shape](seed)
    config = dataclasses.replace(config, cores=tuple(dataclasses.replace(c, models=models) for c in config.cores))
    alone = spikeloom.compile(network, config=one(models=models))
    spread = spikeloom.compile(network, config=config)
    assert_same(run(alone, spikes), run(spread, spikes), (seed, shape))
    assert spread.notes["quantisation"] == alone.notes["quantisation"]


def test_the_random_networks_are_split_and_visit_all_features() -> None:
    """Otherwise the test above would say little."""
    found = dict.fromkeys(("cores", "split", "loop over cores", "multicast", "input to several", "late start", "delay"), 0)
    for seed in range(16):
        image = spikeloom.compile(random_network(seed), config=SHAPES["1x5"](seed))
        names = [name for name, _, _, _ in pieces(image)]
        split = {name for name in names if names.count(name) > 1}
        found["cores"] += len({piece.core for piece in image.populations}) > 2
        found["split"] += bool(split)
        found["loop over cores"] += any(p.pre is p.post and p.pre.label in split for p in random_network(seed).projections)
        entries = [unpacked(image, number, "routes") for number in range(5)]
        counts = [unpacked(image, number, "route_index")["count"] for number in range(5)]
        found["multicast"] += any((count > 2).any() for count in counts)
        found["delay"] += any((routes["delay"] > 2).any() for routes in entries)
        found["input to several"] += len(np.unique(image.input_index)) < len(image.input_index)
        found["late start"] += any(len(np.unique(unpacked(image, number, "control")["last"])) > 1 for number in range(5))
    assert min(found.values()) >= 2, found


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_the_cores_does_not_change_the_result(seed: int) -> None:
    network = random_network(seed)
    spikes = random_spikes(seed, network)
    config = _mixed(seed, 3, 3)
    results = []
    for shuffle in range(3):
        order = np.random.default_rng([seed, shuffle]).permutation(9)
        image = spikeloom.compile(network, config=dataclasses.replace(config, cores=tuple(config.cores[k] for k in order)))
        results.append(run(image, spikes))
    assert_same(results[0], results[1], seed)
    assert_same(results[0], results[2], seed)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_network_on_any_mesh_is_exact_or_refused(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**16), "network")
    columns, rows = data.draw(st.integers(1, 4), "columns"), data.draw(st.integers(1, 3), "rows")
    group = data.draw(st.sampled_from([1, 1, 2, 8]), "group")
    sets = data.draw(st.none() | st.integers(1, 6), "sets") if group == 1 else None
    cores = []
    for _ in range(columns * rows):
        lanes = data.draw(st.sampled_from([1, 4, 8, 32]))
        cores.append(
            core(
                axons=data.draw(st.integers(4, 60)),
                neurons=8 * data.draw(st.integers(1, 4)),
                lanes=lanes,
                pipelines=min(lanes, data.draw(st.sampled_from([1, 4, 8]))),
                group=group,
                sets=sets,
                weight_words=data.draw(st.integers(8, 400)),
                destinations=data.draw(st.integers(8, 60)),
                levels=data.draw(st.integers(2, 6)),
                weight_bits=data.draw(st.sampled_from([4, 8])),
            )
        )
    config = ChipConfig(cores=tuple(cores), columns=columns, rows=rows)
    network = random_network(seed, uniform=group > 1 or sets is not None)
    image = image_or_refusal(network, config)
    if isinstance(image, str):
        assert re.search(r"needs \d+, has \d+ \(\d+ too few; |differ in their|no core with", image), image
        return
    spikes = random_spikes(seed, network)
    quantised = quantise(network, config)
    trains = evaluate(network, spikes, quantised)
    out, traces = run(image, spikes)
    assert np.array_equal(out, np.concatenate([trains[population.label] for population in network.outputs], axis=2))
    for label, (_, found) in traces.items():
        assert np.array_equal(found, trains[label]), label


# How networks are split -----------------------------------------------------------------------------------------------------


def reservoir(size: int = 40, inputs: int = 6, density: float = 0.3, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    network = Network()
    source, population = network.input(inputs, "in"), network.population(size, neurons(size, retention=0.9), "reservoir")
    network.projection(source, population, rng.normal(0.5, 0.5, (inputs, size)))
    for delay in (1, 3):
        weights = rng.normal(0.0, 0.6, (size, size)) * (rng.random((size, size)) < density)
        network.projection(population, population, weights, delay)
    network.output(population)
    return network


def test_a_recurrent_population_is_split() -> None:
    network = reservoir()
    image = spikeloom.compile(network, config=mesh(2, 2, axons=90, destinations=200))
    assert sorted(size for _, _, size, _ in pieces(image)) == [8, 16, 16]
    assert [offset for _, offset, _, _ in pieces(image)] == [0, 16, 32]
    spikes = random_spikes(0, network, ticks=40)
    found = run(image, spikes)
    assert 0.05 < found[0].mean() < 0.95
    assert_same(run(spikeloom.compile(network, config=one()), spikes), found, 0)


def convolution(length: int, width: int) -> Network:
    """Each neuron sees ``width`` neighbouring inputs."""
    network = Network()
    source, layer = network.input(length + width - 1, "in"), network.population(length, neurons(length), "layer")
    rng = np.random.default_rng(0)
    weights = np.zeros((source.size, length))
    for neuron in range(length):
        weights[neuron : neuron + width, neuron] = rng.normal(0.4, 0.5, width)
    network.projection(source, layer, weights)
    network.output(layer)
    return network


def test_the_pieces_of_a_convolution_need_the_axons_of_what_they_see() -> None:
    network = convolution(64, 5)
    image = spikeloom.compile(network, config=mesh(2, 2, axons=20))
    # A core of 16 neurons sees 16 + 4 of the 68 inputs.
    assert [line["axons"] for line in image.notes["cores"]] == [20, 20, 20, 20]
    assert verdict(image)["axons"] == (80, 80)
    spikes = random_spikes(0, network)
    assert_same(run(spikeloom.compile(network, config=one()), spikes), run(image, spikes), 0)


def test_a_piece_ends_within_a_word_if_its_axons_do_not_last_for_a_whole_one() -> None:
    """Eight neurons of a word see 5 inputs each, no two the same; 12 axons are enough for two neurons."""
    network = Network()
    source, layer = network.input(40, "in"), network.population(8, neurons(8), "layer")
    network.projection(source, layer, np.kron(np.eye(8), np.full((5, 1), 0.6)))
    network.output(layer)
    image = spikeloom.compile(network, config=mesh(2, 2, axons=12, lanes=8))
    assert [(offset, size) for _, offset, size, _ in pieces(image)] == [(0, 2), (2, 2), (4, 2), (6, 2)]
    spikes = random_spikes(0, network)
    assert_same(run(spikeloom.compile(network, config=one()), spikes), run(image, spikes), 0)


def test_a_core_that_has_the_sources_already_is_preferred() -> None:
    """Two layers see the first input, a third one the second: the layers of one input share its axons."""
    network = Network()
    first, second = network.input(10, "first"), network.input(10, "second")
    for number, source in enumerate((first, second, first)):
        layer = network.population(8, neurons(8), f"layer{number}")
        network.projection(source, layer, 0.3)
        network.output(layer)
    image = spikeloom.compile(network, config=mesh(2, 1, axons=15))
    where = {name: number for name, _, _, number in pieces(image)}
    assert where["layer0"] == where["layer2"] != where["layer1"]
    assert sorted(line["axons"] for line in image.notes["cores"]) == [10, 10]


@pytest.mark.parametrize(("count", "shared"), [(10, True), (24, False)])
def test_only_the_cores_begun_last_are_asked(count: int, shared: bool) -> None:
    """Each core keeps 4 neurons. The last population sees what the first one sees, but of 24 cores the first is no longer asked."""
    network = Network()
    sources = [network.input(8, f"in{number}") for number in range(count)]
    for number, source in enumerate((*sources, sources[0])):
        size = 12 if number < count else 4
        layer = network.population(size, neurons(size), f"layer{number}")
        network.projection(source, layer, 0.4)
        network.output(layer)
    image = spikeloom.compile(network, config=mesh(5, 5))
    where = {name: number for name, _, _, number in pieces(image)}
    assert (where[f"layer{count}"] == where["layer0"]) is shared
    assert len(set(where.values())) == count
    spikes = random_spikes(0, network)
    assert_same(run(spikeloom.compile(network, config=one()), spikes), run(image, spikes), count)


def test_a_spike_goes_to_six_cores_with_one_destination_each() -> None:
    network = Network()
    source, few, many = (
        network.input(3, "in"),
        network.population(2, neurons(2), "few"),
        network.population(90, neurons(90), "many"),
    )
    network.projection(source, few, 1.0)
    network.projection(few, many, np.random.default_rng(0).normal(0.8, 0.4, (2, 90)))
    network.output(many)
    config = mesh(3, 2)
    image = spikeloom.compile(network, config=config)
    (home,) = {number for name, _, _, number in pieces(image) if name == "few"}
    index, routes = unpacked(image, home, "route_index"), unpacked(image, home, "routes")
    column, row = config.place(home)
    for neuron in range(2):
        entries = slice(index["first"][neuron], index["first"][neuron] + index["count"][neuron])
        assert (routes["kind"][entries] == Destination.AXON).all()
        assert (routes["delay"][entries] == 1).all()
        targets = (row + routes["dy"][entries]) * config.columns + column + routes["dx"][entries]
        assert sorted(targets.tolist()) == sorted({number for name, _, _, number in pieces(image) if name == "many"})
        assert len(targets) >= 5
    spikes = random_spikes(0, network)
    found = run(image, spikes)
    assert found[0].any()
    assert_same(run(spikeloom.compile(network, config=one()), spikes), found, 0)


def test_an_input_reaches_every_core_that_needs_it() -> None:
    network = feedforward(5, 60)
    image = spikeloom.compile(network, config=mesh(2, 2))
    assert np.bincount(image.input_index).tolist() == [4] * 5
    assert sorted(np.bincount(image.input_core).tolist()) == [5] * 4


def test_outputs_leave_through_the_first_core_of_their_own_chip() -> None:
    network = feedforward(5, 60)
    config = dataclasses.replace(mesh(4, 1), chips_across=2)
    image = spikeloom.compile(network, config=config)
    for number in range(4):
        routes = unpacked(image, number, "routes")
        out = routes["kind"] == Destination.OUTPUT
        assert set(routes["dx"][out].tolist()) == {config.host_core(number) - number}
    spikes = random_spikes(0, network)
    assert_same(run(spikeloom.compile(network, config=one()), spikes), run(image, spikes), 0)


@pytest.mark.parametrize("pipelines", [1, 4])
def test_a_core_of_deep_layers_only_starts_late_too(pipelines: int) -> None:
    """The first row of a core takes part in every tick, so that of a layer that may not begin at once is left empty."""
    network = feedforward(5, 14, 14, 14, bias=0.23, retention=1.0)
    spikes = random_spikes(0, network)
    image = spikeloom.compile(network, config=mesh(2, 2, neurons=20, pipelines=pipelines))
    assert [(piece.name, piece.first) for piece in image.populations] == [("layer0", 0), ("layer1", 4), ("layer2", 4)]
    for piece in image.populations:
        last = unpacked(image, piece.core, "control")["last"]
        assert last[0] == (pipelines - 1 if piece.level else 15 if pipelines == 4 else 13)
        assert (last[: piece.level] == last[0]).all()
        assert last[piece.level] >= piece.first + piece.size - 1
    assert_same(run(spikeloom.compile(network, config=one()), spikes), run(image, spikes), pipelines)
    quiet = spikeloom.compile(feedforward(5, 14, 14, 14), config=mesh(2, 2, neurons=20, pipelines=pipelines))
    assert [piece.first for piece in quiet.populations] == [0, 0, 0]


def test_neurons_keep_closer_if_words_of_their_own_do_not_fit() -> None:
    network = Network()
    source = network.input(3, "in")
    for number in range(8):
        layer = network.population(3, neurons(3), f"layer{number}")
        network.projection(source, layer, 0.5)
        network.output(layer)
    spikes = random_spikes(0, network)
    wide = spikeloom.compile(network, config=mesh(2, 1, lanes=4, neurons=16))
    close = spikeloom.compile(network, config=mesh(2, 1, lanes=4, neurons=12))
    assert {piece.first % 4 for piece in wide.populations} == {0}
    assert {piece.first % 4 for piece in close.populations} != {0}
    assert_same(run(wide, spikes), run(close, spikes), 0)


def test_a_deep_layer_comes_closer_too_if_no_word_can_be_left_empty() -> None:
    network = feedforward(3, 3, 3, bias=0.2, retention=1.0)
    spikes = random_spikes(0, network)
    image = spikeloom.compile(network, config=mesh(3, 1, neurons=4, lanes=4))
    assert [(piece.name, piece.first, piece.core) for piece in image.populations] == [("layer0", 0, 0), ("layer1", 1, 1)]
    assert_same(run(spikeloom.compile(network, config=one()), spikes), run(image, spikes), 0)


def test_neurons_with_many_destinations_are_spread_over_more_cores() -> None:
    """Eight neurons reach four cores each: 32 destinations, of which a core has 16. The first round cannot know that."""
    network = Network()
    source, few, many = (
        network.input(3, "in"),
        network.population(8, neurons(8), "few"),
        network.population(64, neurons(64), "many"),
    )
    network.projection(source, few, 1.0)
    network.projection(few, many, np.random.default_rng(0).normal(0.3, 0.4, (8, 64)))
    network.output(many)
    image = spikeloom.compile(network, config=mesh(3, 2, destinations=16))
    assert [size for name, _, size, _ in pieces(image) if name == "few"] == [4, 4]
    assert max(line["destinations"] for line in image.notes["cores"]) == 16
    spikes = random_spikes(0, network)
    assert_same(run(spikeloom.compile(network, config=one()), spikes), run(image, spikes), 0)


def test_the_same_network_gives_the_same_image() -> None:
    for seed in range(4):
        first, second = (spikeloom.compile(random_network(seed), config=mesh(2, 3)) for _ in range(2))
        for one_memory, other in zip(first.memories, second.memories, strict=True):
            assert all(np.array_equal(words, other[name]) for name, words in one_memory.items())
        assert first.notes == second.notes


def test_an_image_of_several_cores_survives_its_file(tmp_path: Path) -> None:
    network = reservoir()
    spikes = random_spikes(0, network)
    image = spikeloom.compile(network, config=mesh(2, 2, axons=90, destinations=200), samples=spikes)
    image.save(tmp_path / "many.loom")
    loaded = Image.load(tmp_path / "many.loom")
    assert loaded.notes == image.notes
    assert_same(run(image, spikes), run(loaded, spikes), 0)


def test_the_report_counts_what_stands_in_the_memories() -> None:
    network = reservoir()
    image = spikeloom.compile(network, config=mesh(3, 2, axons=90, destinations=200))
    totals = dict.fromkeys(("neurons", "axons", "weight_words", "destinations"), 0)
    for number, line in enumerate(image.notes["cores"]):
        rows = unpacked(image, number, "rows")
        length = np.maximum(rows["last"] - rows["start"] + 1, 0)
        found = {
            "neurons": max((piece.first + piece.size for piece in image.populations if piece.core == number), default=0),
            "axons": int((length > 0).sum()),
            "weight_words": int(length.sum()),
            "destinations": int(unpacked(image, number, "route_index")["count"].sum()),
        }
        assert {name: line[name] for name in found} == found, number
        assert (line["core"], line["column"], line["row"]) == (number, number % 3, number // 3)
        for name, value in found.items():
            totals[name] += value
    needs = verdict(image)
    assert needs["cores"] == (3, 6)
    assert [needs[name][0] for name in ("neurons", "axons", "weight words", "destinations")] == list(totals.values())
    assert [needs[name][1] for name in ("neurons", "axons", "destinations")] == [96, 540, 1200]
