"""The low door: what goes in as arrays stands in the image and behaves as the arrays say; what is wrong is refused by name."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError, ConfigError, ImageError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import models_and_sets, regions, unpack_neurons
from spikeloom.arch.packet import Destination
from spikeloom.arch.profiles import profile, truenorth_neuron
from spikeloom.golden.chip import Chip
from spikeloom.network.image import Image
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from tests.golden.test_lif import truenorth_tick
from tests.helpers import core_configs

IntArray = npt.NDArray[np.int64]
Arrays = dict[str, Any]


# Arrays -> image -> arrays -------------------------------------------------------------------------------------------------


def random_arrays(config: ChipConfig, number: int, rng: np.random.Generator, outputs: int) -> Arrays:
    """Arguments of ``CoreArrays`` for a core of any geometry: everything legal, much of it in corners."""
    core = config.cores[number]
    shape = (core.axons, core.neurons)
    low, high = (0, 1) if core.typed else (-(1 << (core.weight_bits - 1)), (1 << (core.weight_bits - 1)) - 1)
    weights = np.where(rng.random(shape) < rng.choice([0.05, 0.5, 1.0]), rng.integers(low, high, shape, endpoint=True), 0)
    # Axons without synapses, and some whose synapses stand close together.
    weights[rng.random(core.axons) < 0.2] = 0
    weights[::3, : core.neurons // 2] = 0
    arrays: Arrays = {"weights": weights, "seed": int(rng.integers(0, 1 << 32))}
    if core.typed:
        arrays["axon_types"] = rng.integers(0, 4, core.axons)
        arrays["type_weights"] = rng.integers(-256, 255, (core.neurons, 4), endpoint=True)
        if core.stochastic_synapses:
            arrays["stochastic"] = rng.integers(0, 2, (core.neurons, 4))
    # Neurons that share a set are equal in what belongs to it, and follow one model.
    share = max(core.group, core.pipelines)
    kinds = rng.integers(0, len(core.models), -(-core.neurons // share))
    model_of = np.repeat(kinds, share)[: core.neurons]
    if core.sets is not None and core.sets < len(core.models):
        model_of[:] = 0
    arrays["models"] = [core.models[number].NAME for number in model_of]
    parameters = {}
    for model in core.models:
        if model.NAME not in arrays["models"]:
            continue
        own = {field.name for field in model.own_fields()}
        distinct = 1 if core.sets is not None else -(-core.neurons // core.group)
        of_set = model.sample(rng, distinct, max(high, 1))
        of_neuron = model.sample(rng, core.neurons, max(high, 1))
        for name in model.parameter_names():
            shared = np.zeros(core.neurons, np.int64) + (of_set[name] if core.sets is not None else 0)
            shared = shared if core.sets is not None else np.repeat(of_set[name], core.group)[: core.neurons]
            values = of_neuron[name] if name in own else shared
            parameters[name] = np.where(np.array(arrays["models"]) == model.NAME, values, parameters.get(name, 0))
    arrays["parameters"] = parameters
    # Of a single neuron there is no longer list.
    room = core.list_length
    count = int(rng.integers(0, room, endpoint=True))
    to = rng.integers(0, len(config.cores), count)
    axon = (rng.random(count) * np.array([config.cores[n].axons for n in to])).astype(np.int64)
    arrays["destinations"] = np.stack([rng.integers(0, core.neurons, count), to, axon, rng.integers(1, 16, count)], axis=1)
    left = int(rng.integers(0, room - count, endpoint=True))
    arrays["outputs"] = np.stack([rng.integers(0, core.neurons, left), rng.integers(0, outputs, left)], axis=1)
    return arrays


def by_neuron(rows: IntArray) -> list[list[int]]:
    """Rows in the order of their neurons; those of one neuron keep theirs."""
    return rows[np.argsort(rows[:, 0], kind="stable")].tolist()


def arrays_of(image: LoadableImage, number: int) -> Arrays:
    """What the memories of a core say, read word by word as ``docs/memory_map.md`` describes them."""
    config, core, memory = image.config, image.config.cores[number], image.memories[number]
    table = regions(core)
    words = {name: table[name].layout.unpack(memory[name]) for name in memory if not table[name].variants}
    rows, bits = words["rows"], words["weights"]["weight"].reshape(core.words, core.lanes)
    weights = np.zeros((core.axons, core.neuron_words, core.lanes), np.int64)
    for axon in range(core.axons):
        for step in range(rows["last"][axon] - rows["start"][axon] + 1):
            weights[axon, rows["start"][axon] + step] = bits[rows["base"][axon] + step]
    dense = weights.reshape(core.axons, -1)
    assert not dense[:, core.neurons :].any()
    found: Arrays = {"weights": dense[:, : core.neurons]}
    if core.typed:
        found["axon_types"] = rows["type"]
        by_type = {name: v.reshape(4, -1)[:, : core.neurons].T for name, v in words["type_weights"].items()}
        found["type_weights"] = by_type["weight"]
        if core.stochastic_synapses:
            found["stochastic"] = by_type["stochastic"]
    model_of, set_of = models_and_sets(core, memory.get("kinds"))
    found["models"] = [core.models[number].NAME for number in model_of]
    found["parameters"] = {}
    for region in ("parameters", "firing", "own"):
        for model, fields in enumerate(unpack_neurons(table[region], memory[region]) if region in table else []):
            for name, values in fields.items():
                mine = values if region == "own" else values[set_of]
                found["parameters"][name] = np.where(model_of == model, mine, found["parameters"].get(name, 0))
    destinations, outputs = [], []
    column, row = number % config.columns, number // config.columns
    entries = words["routes"]
    for neuron in range(core.neurons):
        for k in range(words["route_index"]["count"][neuron]):
            entry = words["route_index"]["first"][neuron] + k
            dx, dy = (int(entries[name][entry]) if name in entries else 0 for name in ("dx", "dy"))
            to = (row + dy) * config.columns + column + dx
            target, delay = int(entries["target"][entry]), int(entries["delay"][entry])
            if entries["kind"][entry] == Destination.AXON:
                destinations.append([neuron, to, target, delay])
            else:
                assert to == config.host_core(number)
                outputs.append([neuron, target])
    found["destinations"], found["outputs"] = destinations, outputs
    found["seed"] = int(words["seed"]["seed"][0]) if core.random else None
    found["last"] = words["control"]["last"].tolist()
    return found


def check_round_trip(config: ChipConfig, every: list[Arrays], image: LoadableImage) -> None:
    for number, (core, arrays) in enumerate(zip(config.cores, every, strict=True)):
        found = arrays_of(image, number)
        for name in ("weights", "axon_types", "type_weights", "stochastic"):
            assert (name in arrays) == (name in found)
            assert name not in arrays or (arrays[name] == found[name]).all()
        assert found["models"] == arrays["models"]
        for name, values in arrays["parameters"].items():
            assert (found["parameters"][name] == values).all(), name
        assert found["destinations"] == by_neuron(arrays["destinations"])
        assert found["outputs"] == by_neuron(arrays["outputs"])
        assert found["seed"] == (arrays["seed"] if core.random else None)
        assert found["last"] == [core.neurons - 1] * core.levels


@given(core_configs(max_axons=40, max_neurons=48), st.integers(0, 1 << 30))
def test_any_core_comes_back_from_its_image(core: CoreConfig, seed: int) -> None:
    full = dataclasses.replace(core, weight_words=None, accumulator_bits=None)
    config = ChipConfig(cores=(full,))
    arrays = random_arrays(config, 0, np.random.default_rng(seed), outputs=min(9, config.cores[0].target_count))
    image = image_from_arrays(config, [CoreArrays(**arrays)], output_size=9)
    check_round_trip(config, [arrays], image)


def mixed_chip() -> ChipConfig:
    """Six cores of five geometries on two chips."""
    small = CoreConfig(axons=9, neurons=6, weight_bits=4, lanes=2, models=(Lif(), Izhikevich()), destinations=40)
    typed = profile("truenorth", axons=20, neurons=16, lanes=4)
    shared = CoreConfig(axons=33, neurons=40, weight_bits=8, lanes=16, pipelines=2, group=4, destinations=7)
    chosen = CoreConfig(axons=5, neurons=24, weight_bits=2, lanes=8, sets=3, models=(Izhikevich(), Lif()))
    wide = CoreConfig(axons=1, neurons=1, weight_bits=16, lanes=1)
    return ChipConfig(cores=(small, typed, shared, chosen, wide, typed), columns=3, rows=2, chips_down=2)


@pytest.mark.parametrize("seed", range(4))
def test_every_core_of_a_mixed_mesh_comes_back_from_the_saved_image(tmp_path: Path, seed: int) -> None:
    config, rng = mixed_chip(), np.random.default_rng(seed)
    every = [random_arrays(config, number, rng, outputs=5) for number in range(6)]
    image = image_from_arrays(config, (CoreArrays(**arrays) for arrays in every), output_size=5, output_shift=[0, 1, 2, 3, 4])
    image.save(tmp_path / "net.loom")
    loaded = Image.load(tmp_path / "net.loom")
    check_round_trip(config, every, loaded)
    assert loaded.output_shift.tolist() == [0, 1, 2, 3, 4]
    assert [(p.name, p.core, p.first, p.size) for p in loaded.populations[:2]] == [("core0", 0, 0, 6), ("core1", 1, 0, 16)]


def test_rows_are_as_short_as_their_synapses_allow_and_lie_side_by_side() -> None:
    core = CoreConfig(axons=4, neurons=8, lanes=2, weight_bits=4, weight_words=5)
    weights = np.zeros((4, 8), np.int64)
    weights[0, 3] = 1  # neuron word 1
    weights[1, [1, 6]] = 1  # words 0 to 3
    image = image_from_arrays(ChipConfig(cores=(core,)), [idle(core, weights=weights)])
    rows = regions(image.config.cores[0])["rows"].layout.unpack(image.memories[0]["rows"])
    # Axons 2 and 3 have no synapses: their rows end before they start.
    assert {name: values.tolist() for name, values in rows.items()} == {
        "base": [0, 1, 0, 0],
        "start": [1, 0, 1, 1],
        "last": [1, 3, 0, 0],
    }


def idle(core: CoreConfig, **changes: Any) -> CoreArrays:
    """Arrays of a core whose neurons never fire."""
    arrays: Arrays = {
        "weights": np.zeros((core.axons, core.neurons), np.int64),
        "parameters": dict.fromkeys(core.models[0].parameter_names(), 0) | {"threshold": 1000},
    }
    if core.typed:
        arrays |= {"axon_types": np.zeros(core.axons, np.int64), "type_weights": np.zeros((core.neurons, 4), np.int64)}
    return CoreArrays(**(arrays | changes))


# Behaviour -----------------------------------------------------------------------------------------------------------------


class Naive:
    """A network of arrays, tick by tick: plain numbers, and a dict of pending events."""

    def __init__(self, arrays: list[Arrays], step: Any) -> None:
        self.arrays, self.step = arrays, step
        self.state = [[(0, 0)] * np.shape(core["weights"])[1] for core in arrays]
        self.pending: dict[tuple[int, int], set[int]] = {}
        self.now = 0

    def weight(self, core: Arrays, axon: int) -> IntArray:
        row = np.asarray(core["weights"][axon], np.int64)
        return row * np.asarray(core["type_weights"])[:, core["axon_types"][axon]] if "axon_types" in core else row

    def tick(self, events: list[tuple[int, int]]) -> tuple[list[list[int]], set[int]]:
        """Neurons of each core that fired, and the output numbers, after input events (core, axon) for this tick."""
        for core, axon in events:
            self.pending.setdefault((self.now, core), set()).add(axon)
        fired: list[list[int]] = []
        for number, core in enumerate(self.arrays):
            total = np.zeros(len(self.state[number]), np.int64)
            for axon in self.pending.pop((self.now, number), ()):
                total += self.weight(core, axon)
            fired.append([])
            for neuron, state in enumerate(self.state[number]):
                parameters = {name: int(np.broadcast_to(v, total.shape)[neuron]) for name, v in core["parameters"].items()}
                self.state[number][neuron], spike = self.step(parameters, state, int(total[neuron]))
                if spike:
                    fired[-1].append(neuron)
        outputs = set()
        for core, neurons in zip(self.arrays, fired, strict=True):
            for source, to, axon, delay in core["destinations"]:
                if source in neurons:
                    self.pending.setdefault((self.now + int(delay), int(to)), set()).add(int(axon))
            outputs |= {int(number) for neuron, number in core["outputs"] if neuron in neurons}
        self.now += 1
        return fired, outputs


def lif_step(p: dict[str, int], state: tuple[int, int], total: int) -> tuple[tuple[int, int], bool]:
    """Potential and refractory counter after a tick, for potentials without fraction bits that stay far from their limits."""
    v, held = state
    if held:
        return (v, held - 1), False
    decayed = abs(v) * p["retention"] // 4096
    v = (decayed if v >= 0 else -decayed) + total + p["bias"]
    if v <= p["threshold"]:
        return (v, 0), False
    return (v + p["reset"] if p["reset_mode"] else p["reset"], p["refractory"]), True


def truenorth_step(p: dict[str, int], state: tuple[int, int], total: int) -> tuple[tuple[int, int], bool]:
    """The paper's equations for the fields of a parameter set."""
    symbols = {
        "alpha": p["threshold"] + 1, "beta": -p["negative_threshold"], "kappa": p["negative_saturates"], "gamma": p["reset_mode"],
        "reset": p["reset"], "leak": p["leak"], "epsilon": p["leak_reversal"], "stochastic_leak": 0, "mask": 0,
    }  # fmt: skip
    v, fired = truenorth_tick(symbols, state[0], total, 0, 0)
    return (v, 0), fired


def follow(image: LoadableImage, naive: Naive, ticks: int, rate: float, rng: np.random.Generator) -> tuple[int, int]:
    """Golden chip and naive network side by side on random input; spikes and outputs in all."""
    chip = Chip(image.config, image.memories)
    spikes = sent = 0
    for tick in range(ticks):
        events = []
        for column in np.flatnonzero(rng.random(image.input_size) < rate):
            for k in np.flatnonzero(image.input_index == column):
                events.append((int(image.input_core[k]), int(image.input_axon[k])))
        for core, axon in events:
            chip.inject(core, np.array([axon]), np.ones((1, 1), np.bool_))
        expected, outputs = naive.tick(events)
        got = chip.tick()
        assert [np.flatnonzero(core[0]).tolist() for core in got.spikes] == expected, tick
        assert set(got.numbers[got.outputs[0]].tolist()) == outputs, tick
        for core, state in zip(chip.cores, naive.state, strict=True):
            assert core.state["membrane"][0].tolist() == [v for v, _ in state], tick
        spikes, sent = spikes + sum(map(len, expected)), sent + len(outputs)
    assert not any(core.dropped.any() for core in chip.cores)
    return spikes, sent


SIMPLE = Lif(state_bits=24, fraction_bits=0, bias_bits=8, resets="relative", refractory_bits=3)


@pytest.mark.parametrize("seed", range(4))
def test_a_mesh_of_different_cores_behaves_as_the_arrays_say(seed: int) -> None:
    """Delays of 1 to 15 ticks, several destinations per neuron, decay, bias, both resets, refractory periods, typed and plain cores."""
    rng = np.random.default_rng(seed)
    shapes = [(12, 8, 4, 2), (7, 20, 1, 4), (16, 5, 8, 1), (9, 16, 1, 16), (5, 6, 2, 2), (10, 10, 16, 8)]
    cores = tuple(
        CoreConfig(axons=a, neurons=n, weight_bits=bits, lanes=lanes, models=(SIMPLE,), destinations=3 * n)
        for a, n, bits, lanes in shapes
    )
    config = ChipConfig(cores=cores, columns=3, rows=2)
    every = []
    for core in config.cores:
        scale = 1 if core.typed else max(1, 1 << (core.weight_bits - 2))
        shape = (core.axons, core.neurons)
        weights = rng.integers(0, 2, shape) if core.typed else rng.integers(-scale, scale, shape, endpoint=True)
        mode = rng.integers(0, 2, core.neurons)
        threshold = rng.integers(0, 3 * scale, core.neurons)
        arrays: Arrays = {
            "weights": weights,
            "parameters": {
                "retention": rng.choice([0, 2000, 4000, 4096], core.neurons),
                "reset_mode": mode,
                "threshold": threshold,
                "reset": np.where(mode == 1, -threshold, rng.integers(-scale, scale, core.neurons, endpoint=True)),
                "refractory": rng.integers(0, 3, core.neurons),
                "bias": rng.integers(-1, 1, core.neurons, endpoint=True),
            },
            "destinations": np.stack(
                [rng.integers(0, core.neurons, 2 * core.neurons), np.zeros(2 * core.neurons, np.int64)] * 2, axis=1
            ),
            "outputs": [(neuron, int(rng.integers(0, 12))) for neuron in range(0, core.neurons, 2)],
        }
        if core.typed:
            arrays |= {"axon_types": rng.integers(0, 4, core.axons), "type_weights": rng.integers(-3, 5, (core.neurons, 4))}
        to = rng.integers(0, len(cores), 2 * core.neurons)
        arrays["destinations"][:, 1] = to
        arrays["destinations"][:, 2] = (rng.random(len(to)) * [cores[n].axons for n in to]).astype(np.int64)
        arrays["destinations"][:, 3] = rng.integers(1, 16, len(to))
        every.append(arrays)
    inputs = [(k % 9, n, int(rng.integers(0, core.axons)), 0) for n, core in enumerate(cores) for k in range(4)]
    image = image_from_arrays(config, [CoreArrays(**arrays) for arrays in every], inputs=inputs, output_size=12)
    spikes, outputs = follow(image, Naive(every, lif_step), 80, 0.3, rng)
    assert spikes > 500
    assert outputs > 100


def test_truenorth_cores_with_single_destinations_behave_as_the_paper_says() -> None:
    """Four cores of 256 axons of four types and 256 neurons, each neuron with one destination somewhere in the mesh."""
    rng = np.random.default_rng(1)
    # As many destinations as neurons; the outputs of core 0 take some more.
    first, others = (profile("truenorth", lanes=32, destinations=entries) for entries in (272, 256))
    config = ChipConfig(cores=(first, others, others, others), columns=2, rows=2)
    every: list[Arrays] = []
    for _ in range(4):
        gamma = rng.integers(0, 2, 256)
        neurons = [
            truenorth_neuron(
                alpha=int(rng.integers(4, 40)), beta=int(rng.integers(0, 40)), reset=int(rng.integers(-5, 2)), gamma=int(gamma[n]),
                kappa=int(rng.integers(0, 2)), leak=int(rng.integers(-2, 3)), epsilon=int(rng.integers(0, 2)),
            )
            for n in range(256)
        ]  # fmt: skip
        every.append(
            {
                "weights": rng.random((256, 256)) < 0.1,
                "axon_types": rng.integers(0, 4, 256),
                "type_weights": rng.integers([8, 1, -4, -9], [16, 6, 0, -3], (256, 4)),
                "parameters": {name: np.array([neuron[name] for neuron in neurons]) for name in neurons[0]},
                "destinations": np.stack(
                    [np.arange(256), rng.integers(0, 4, 256), rng.integers(0, 256, 256), rng.integers(1, 16, 256)], axis=1
                ),
                "outputs": np.stack([np.arange(0, 256, 16), np.arange(16)], axis=1) if not every else [],
            }
        )
    inputs = [(column, column % 4, int(rng.integers(0, 256)), 0) for column in range(40)]
    image = image_from_arrays(config, [CoreArrays(**arrays) for arrays in every], inputs=inputs)
    assert (image.input_size, image.output_size) == (40, 16)
    spikes, outputs = follow(image, Naive(every, truenorth_step), 30, 0.5, rng)
    assert spikes > 1000
    assert outputs > 20


# Mistakes ------------------------------------------------------------------------------------------------------------------

PLAIN = CoreConfig(axons=4, neurons=3, weight_bits=4, lanes=2, models=(SIMPLE,), destinations=4)
TYPED = profile("truenorth", axons=4, neurons=3, lanes=2)
CERTAIN = profile("truenorth", axons=4, neurons=3, lanes=2, stochastic_synapses=False)
SHARED = CoreConfig(axons=4, neurons=3, lanes=2, models=(SIMPLE,), group=2)
CHOSEN = CoreConfig(axons=4, neurons=3, lanes=2, models=(SIMPLE,), sets=2)
SEVERAL = CoreConfig(axons=4, neurons=4, lanes=2, models=(Lif(), Izhikevich()), group=2)

PARAMETERS = dict.fromkeys(SIMPLE.parameter_names(), 0) | {"threshold": 1000}
WEIGHTS = np.zeros((4, 3), np.int64)


def changed(values: Any, index: Any, value: Any, dtype: Any = None) -> Any:
    result = np.array(values, dtype)
    result[index] = value
    return result


@pytest.mark.parametrize(
    ("core", "changes", "error", "message"),
    [
        # Shapes and types.
        (PLAIN, {"weights": WEIGHTS.T}, ImageError, "core 1, weights has shape [3, 4]; the geometry needs [4, 3]"),
        (PLAIN, {"weights": WEIGHTS[0]}, ImageError, "core 1, weights has shape [3]; the geometry needs [4, 3]"),
        (PLAIN, {"weights": [[1], [1, 2]]}, ImageError, "core 1, weights is not an array: its rows differ in length or depth"),
        (PLAIN, {"weights": WEIGHTS.astype(str)}, ImageError, "core 1, weights holds the type <U21; it must hold integers"),
        (PLAIN, {"weights": WEIGHTS / 1.0}, ImageError, "core 1, weights holds the type float64; it must hold integers"),
        (PLAIN, {"weights": changed(WEIGHTS, (2, 1), np.nan, float)}, ImageError, "core 1, weights[2, 1] is nan; it must be an integer"),
        (PLAIN, {"weights": changed(WEIGHTS, (2, 1), 0.5, float)}, ImageError, "core 1, weights[2, 1] is 0.5; it must be an integer"),
        (PLAIN, {"destinations": [0, 0, 0, 1]}, ImageError,
         "core 1, destinations has shape [4]; it must have rows of neuron, core, axon, delay: [rows, 4]"),
        (PLAIN, {"outputs": [(0, 1, 2)]}, ImageError, "core 1, outputs has shape [1, 3]; it must have rows of neuron, output: [rows, 2]"),
        (PLAIN, {"destinations": [(0, 0, 0, np.inf)]}, ImageError, "core 1, destinations[0, 3] is inf; it must be an integer"),
        (PLAIN, {"parameters": PARAMETERS | {"bias": [1, 2]}}, ImageError,
         "core 1, bias has shape [2]; it must be an integer or [3], one per neuron"),
        (PLAIN, {"parameters": PARAMETERS | {"bias": np.nan}}, ImageError, "core 1, bias is nan; it must be an integer"),
        (PLAIN, {"parameters": [1]}, ImageError, "core 1: parameters must be a dict of names and arrays, not list"),
        # Values.
        (PLAIN, {"weights": changed(WEIGHTS, (2, 1), 8)}, ImageError,
         "core 1, weights[2, 1] is 8; it must be -8 to 7 with weight_bits 4: use smaller weights or a wider geometry"),
        (TYPED, {"weights": changed(WEIGHTS, (3, 0), 2)}, ImageError, "core 1, weights[3, 0] is 2; it must be 0 to 1 (nearest: 1)"),
        (TYPED, {"axon_types": [0, 1, 4, 0]}, ImageError, "core 1, axon_types[2] is 4; it must be 0 to 3 (nearest: 3)"),
        (TYPED, {"type_weights": changed(np.zeros((3, 4), int), (1, 3), -257)}, ImageError,
         "core 1, type_weights[1, 3] is -257; it must be -256 to 255 (nearest: -256)"),
        (TYPED, {"stochastic": changed(np.zeros((3, 4), int), (2, 0), 2)}, ImageError, "core 1, stochastic[2, 0] is 2; it must be 0 to 1"),
        (TYPED, {"seed": -1}, ImageError, "core 1, seed is -1; it must be 0 to 4294967295 (nearest: 0)"),
        (PLAIN, {"parameters": PARAMETERS | {"bias": [0, 128, 0]}}, ImageError,
         "core 1, bias[1] is 128; it must be -128 to 127 (nearest: 127)"),
        (PLAIN, {"parameters": PARAMETERS | {"retention": 5000}}, ImageError, "retention 5000 is above 4096"),
        (PLAIN, {"parameters": PARAMETERS | {"bais": 0}}, ImageError,
         "core 1: missing or unknown parameters of its lif neurons: bais; they have retention, reset_mode, threshold, reset"),
        (PLAIN, {"parameters": {}}, ImageError,
         "core 1: missing or unknown parameters of its lif neurons: bias, refractory, reset, reset_mode, retention, threshold; they have"),
        # Axon types where they belong.
        (TYPED, {"axon_types": None}, ImageError, "core 1: axon_types is missing; with weight_bits 1 each axon has a type"),
        (TYPED, {"type_weights": None}, ImageError, "core 1: type_weights is missing; with weight_bits 1 each axon has a type"),
        (PLAIN, {"axon_types": [0, 0, 0, 0]}, ImageError, "core 1: axon_types is given, but the core has weight_bits 4"),
        (PLAIN, {"stochastic": 0}, ImageError, "core 1: stochastic is given, but the core has weight_bits 4"),
        (CERTAIN, {"stochastic": 0}, ImageError, "core 1: stochastic is given, but the core has no stochastic_synapses"),
        # Models.
        (PLAIN, {"models": "izhikevich"}, ImageError, "core 1, models is izhikevich; the core holds lif"),
        (PLAIN, {"models": ["lif"] * 4}, ImageError, "core 1, models has shape [4]; the geometry needs [3]"),
        (SEVERAL, {"models": None}, ImageError, "core 1: models is missing; the core holds lif, izhikevich: name one for each neuron"),
        (SEVERAL, {"models": ["lif", "lif", "adex", "lif"]}, ImageError, "core 1, models[2] is adex; the core holds lif, izhikevich"),
        (SEVERAL, {"models": ["lif", "lif", "lif", "izhikevich"], "parameters": dict.fromkeys(
            SEVERAL.models[0].parameter_names() | SEVERAL.models[1].parameter_names(), 0)}, ImageError,
         "core 1: neurons 2 and following share a parameter set but follow different models; let each 2 follow one, or use group=1"),
        # Destinations and outputs.
        (PLAIN, {"destinations": [(0, 0, 0, 1), (3, 0, 0, 1)]}, ImageError, "core 1, destinations[1]: neuron 3; it must be 0 to 2"),
        (PLAIN, {"destinations": [(0, 2, 0, 1)]}, ImageError,
         "core 1, destinations[0]: core 2 is outside the mesh of 2 columns and 1 rows; it must be 0 to 1"),
        (PLAIN, {"destinations": [(0, -1, 0, 1)]}, ImageError, "core 1, destinations[0]: core -1 is outside the mesh"),
        (PLAIN, {"destinations": [(0, 0, 7, 1), (0, 1, 4, 1)]}, ImageError,
         "core 1, destinations[1]: axon 4 does not exist in core 1; it must be 0 to 3"),
        (PLAIN, {"destinations": [(0, 0, 8, 1)]}, ImageError, "core 1, destinations[0]: axon 8 does not exist in core 0; it must be 0 to 7"),
        (PLAIN, {"destinations": [(0, 0, 0, 0)]}, ImageError, "core 1, destinations[0]: delay 0; it must be 1 to 15"),
        (PLAIN, {"destinations": [(0, 0, 0, 16)]}, ImageError, "core 1, destinations[0]: delay 16; it must be 1 to 15"),
        (PLAIN, {"outputs": [(3, 0)]}, ImageError, "core 1, outputs[0]: neuron 3; it must be 0 to 2"),
        (PLAIN, {"outputs": [(0, 8)]}, ImageError, "core 1, outputs[0]: output 8; it must be 0 to 7"),
        (PLAIN, {"outputs": [(0, -1)]}, ImageError, "core 1, outputs[0]: output -1; it must be 0 to 7"),
        # Room.
        (PLAIN, {"destinations": [(0, 0, 0, 1)] * 3, "outputs": [(0, 0)] * 2}, CapacityError,
         "core 1: 3 destinations and 2 outputs; the routing memory has 4 entries: raise destinations of the CoreConfig"),
        (PLAIN, {"destinations": [(0, 0, 0, 1)] * 3, "outputs": [(0, 0)]}, CapacityError,
         "core 1: neuron 0 has 4 destinations and outputs; with a routing memory of 4 entries it may have 3: raise destinations of the CoreConfig"),
        (dataclasses.replace(PLAIN, weight_words=3), {"weights": WEIGHTS + 1}, CapacityError,
         "core 1: its rows take 8 weight words of 2 weights; the weight memory has 3: raise weight_words"),
        (CHOSEN, {"parameters": PARAMETERS | {"threshold": [1, 2, 3]}}, CapacityError,
         "core 1: its neurons have 3 different parameter sets; the geometry holds 2: raise sets of the CoreConfig"),
        (SHARED, {"parameters": PARAMETERS | {"threshold": [1, 2, 2]}}, CapacityError,
         "core 1: neurons that share a parameter set differ in their threshold; the geometry has 2 neurons per set"),
        (dataclasses.replace(PLAIN, accumulator_bits=5), {"weights": WEIGHTS + 6}, ImageError,
         "core 1, neuron 0: its weights could sum to 0..24, beyond the 5-bit accumulator"),
    ],
)  # fmt: skip
def test_a_wrong_core_is_refused_by_name(core: CoreConfig, changes: Arrays, error: type[Exception], message: str) -> None:
    other = CoreConfig(axons=8, neurons=5, weight_bits=8, lanes=4, models=(SIMPLE,))
    config = ChipConfig(cores=(other, core), columns=2)
    with pytest.raises(error, match=re.escape(message)) as caught:
        image_from_arrays(config, [idle(other), idle(core, **changes)])
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


def test_parameters_that_make_no_sense_together_name_the_core() -> None:
    changes = {"parameters": PARAMETERS | {"reset_mode": 1, "reset": [0, 1, 0]}}
    with pytest.raises(ImageError, match="core 0, lif neurons: a relative reset must be 0 or negative"):
        image_from_arrays(ChipConfig(cores=(PLAIN,)), [idle(PLAIN, **changes)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": [(0, 0, 0)]}, "inputs has shape [1, 3]; it must have rows of column, core, axon, offset: [rows, 4]"),
        ({"inputs": [(0, 0, 0, 0), (-1, 0, 0, 0)]}, "inputs[1]: column -1; it must be 0 to 0"),
        ({"inputs": [(0, 1, 0, 0)]}, "inputs[0]: core 1 is outside the mesh of 1 columns and 1 rows; it must be 0 to 0"),
        ({"inputs": [(0, 0, 4, 0)]}, "inputs[0]: axon 4 does not exist in core 0; it must be 0 to 3"),
        ({"inputs": [(0, 0, 0, 65536)]}, "inputs[0]: offset 65536; it must be 0 to 65535"),
        ({"inputs": [(0, 0, np.nan, 0)]}, "inputs[0, 2] is nan; it must be an integer"),
        (
            {"inputs": [(3, 0, 0, 0)], "input_size": 3},
            "input_size is 3; the arrays name column 3, so it must be an integer of 4 or more",
        ),
        ({"output_size": 1}, "output_size is 1; the arrays name column 1, so it must be an integer of 2 or more"),
        ({"output_size": 2.5}, "output_size is 2.5; the arrays name column 1"),
        ({"output_size": True}, "output_size is True; the arrays name column 1"),
        (
            {"output_size": np.int64(1)},
            "output_size is np.int64(1); the arrays name column 1, so it must be an integer of 2 or more",
        ),
        # No row names a column.
        ({"input_size": -1}, "input_size is -1; it must be an integer of 0 or more"),
        ({"output_shift": [1]}, "output_shift has shape [1]; the geometry needs [2]"),
        ({"output_shift": -1}, "output_shift is -1; it must be 0 to 65535 (nearest: 0)"),
    ],
)
def test_a_wrong_port_is_refused_by_name(arguments: Arrays, message: str) -> None:
    with pytest.raises(ImageError, match=re.escape(message)):
        image_from_arrays(ChipConfig(cores=(PLAIN,)), [idle(PLAIN, outputs=[(0, 1)])], **arguments)


def test_the_number_of_cores_must_be_that_of_the_chip() -> None:
    config = ChipConfig(cores=(PLAIN, PLAIN), columns=2)
    with pytest.raises(ImageError, match="arrays for 1 cores; the chip has 2: give one CoreArrays for each"):
        image_from_arrays(config, [idle(PLAIN)])
    with pytest.raises(ImageError, match="arrays for more than the 2 cores of the chip"):
        image_from_arrays(config, (idle(PLAIN) for _ in range(3)))
    with pytest.raises(ImageError, match="core 1: dict instead of CoreArrays"):
        image_from_arrays(config, [idle(PLAIN), {"weights": WEIGHTS}])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match=re.escape("one core is ChipConfig(cores=(core,))")):
        image_from_arrays(PLAIN, [idle(PLAIN)])  # type: ignore[arg-type]


def test_unused_columns_stay_when_they_are_asked_for() -> None:
    image = image_from_arrays(ChipConfig(cores=(PLAIN,)), [idle(PLAIN)], inputs=[(1, 0, 3, 2)], input_size=5, output_size=3)
    assert (image.input_size, image.output_size, image.drain) == (5, 3, 0)
    assert [m.tolist() for m in (image.input_index, image.input_core, image.input_axon, image.input_offset)] == [[1], [0], [3], [2]]
    counted = image_from_arrays(ChipConfig(cores=(PLAIN,)), [idle(PLAIN)], input_size=np.int64(5), output_size=np.uint8(3))
    assert [(port.size, type(port.size)) for port in (*counted.inputs, *counted.outputs)] == [(5, int), (3, int)]
    empty = image_from_arrays(ChipConfig(cores=(PLAIN,)), [idle(PLAIN)])
    assert (empty.inputs, empty.outputs) == ((), ())


# Example -------------------------------------------------------------------------------------------------------------------


def test_the_example_of_the_documentation_prints_what_stands_there(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "low_door.md").read_text()
    example = text.split("## Example")[1].split("\n## ")[0]
    program, printed = re.findall(r"```(?:python|text)\n(.*?)```", example, re.DOTALL)
    exec(compile(program, "low_door.md", "exec"), {})
    assert capsys.readouterr().out == printed
