"""Random networks and stimuli that visit the corners: full and empty activity, saturation, every reset, every delay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.arch.config import AXON_TYPES, DELAY_SLOTS, MAX_DELAY, TYPE_WEIGHT_BITS, ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.image import LoadableImage, PortMap
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.learning import First, Learning, Second, check_learning, settings_layout, term_layout
from spikeloom.arch.memory_map import pack_neurons, regions
from spikeloom.arch.packet import Destination, hops
from spikeloom.arch.short_term import short_term_layout

#: Shares of axons that get an event from outside each tick.
ACTIVITIES = (0.0, 0.05, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Events:
    """Events from outside around one tick, each with core, axon, delay and "while the tick before runs"."""

    cores: IntArray
    axons: IntArray
    delays: IntArray
    early: IntArray


@dataclass(frozen=True, slots=True)
class Case:
    """A network and what is done to it.

    Parameters
    ----------
    seed : int
        All of the case follows from it and the geometry.
    image : LoadableImage
        Memory contents.
    ticks : tuple of Events
        Events before each tick.
    """

    seed: int
    image: LoadableImage
    ticks: tuple[Events, ...]


def random_case(config: ChipConfig, seed: int, ticks: int = 20) -> Case:
    """A random case for a geometry; the same seed gives the same case."""
    first = config.cores[0]
    rng = np.random.default_rng([seed, first.axons, first.neurons, first.lanes, first.weight_bits])
    outputs = int(rng.integers(1, min(sum(core.neurons for core in config.cores), 1 << first.target_bits), endpoint=True))
    # Every axon of every core is an input.
    core_of = np.repeat(np.arange(len(config.cores)), [core.axons for core in config.cores])
    axon_of = np.concatenate([np.arange(core.axons) for core in config.cores])
    image = LoadableImage(
        config=config,
        memories=tuple(_random_memory(config, number, outputs, rng) for number in range(len(config.cores))),
        inputs=(PortMap("axons", 0, len(axon_of)),),
        outputs=(PortMap("outputs", 0, outputs),),
        input_index=np.arange(len(axon_of)),
        input_core=core_of,
        input_axon=axon_of,
        input_offset=np.zeros(len(axon_of), np.int64),
        output_shift=np.zeros(outputs, np.int64),
    )
    return Case(seed, image, tuple(_random_events(config, rng) for _ in range(ticks)))


def _random_events(config: ChipConfig, rng: np.random.Generator) -> Events:
    parts = []
    for number, core in enumerate(config.cores):
        activity = rng.choice(ACTIVITIES)
        axons = np.flatnonzero(rng.random(core.axons) < activity)
        delays = np.where(rng.random(len(axons)) < 0.8, 1, rng.integers(1, DELAY_SLOTS, len(axons)))
        # Now and then an event comes twice, names an axon that does not exist, or has no delay.
        extra = rng.integers(0, 3)
        axons = np.concatenate([axons, rng.integers(0, 2 * core.axons, extra)])
        delays = np.concatenate([delays, rng.integers(0, DELAY_SLOTS, extra)])
        parts.append(np.stack([np.full(len(axons), number), axons, delays, rng.integers(0, 2, len(axons))]))
    return Events(*rng.permutation(np.concatenate(parts, axis=1), axis=1))


def _random_memory(chip: ChipConfig, number: int, outputs: int, rng: np.random.Generator) -> dict[str, WordArray]:
    config = chip.cores[number]
    table = regions(config)
    weight_bits = TYPE_WEIGHT_BITS if config.typed else config.weight_bits
    high = (1 << (weight_bits - 1)) - 1
    # Weights: ordinary, all extreme (the accumulator's bounds), or mostly excitatory.
    kind = rng.integers(0, 3)
    shape = (AXON_TYPES * config.neuron_words if config.typed else config.words, config.lanes)
    if kind == 0:
        weights = rng.integers(-high - 1, high, shape, endpoint=True)
    elif kind == 1:
        weights = rng.choice([-high - 1, high], shape)
    else:
        weights = rng.integers(-(high // 2) - 1, high, shape, endpoint=True)
    # Rows: any range of the neuron words; some empty, some full.
    start = rng.integers(0, config.neuron_words, config.axons)
    last = np.minimum(start + rng.integers(0, config.neuron_words, config.axons), config.neuron_words - 1)
    full = rng.random(config.axons) < 0.3
    start, last = np.where(full, 0, start), np.where(full, config.neuron_words - 1, last)
    length = last - start + 1
    base = (rng.random(config.axons) * np.maximum(config.words - length + 1, 1)).astype(np.int64)
    fits = length <= config.words
    empty = (rng.random(config.axons) < 0.1) | ~fits
    start, last, base = np.where(empty, 1, start), np.where(empty, 0, last), np.where(empty, 0, base)
    if config.learning is not None:
        # Rows that learn share no words: all lie one behind the other, as far as there is room.
        used = np.cumsum(last - start + 1)
        start, last = np.where(used > config.words, 1, start), np.where(used > config.words, 0, last)
        base = np.where(last >= start, used - (last - start + 1), 0)
    # Destinations: lists of any length, some shared, some empty; now and then one list with all entries it can have.
    count = np.minimum(
        rng.choice([0, 1, 1, 1, 2, 5, config.list_length], config.neurons, p=[0.15, 0.2, 0.2, 0.2, 0.15, 0.08, 0.02]),
        config.list_length,
    )
    first = (rng.random(config.neurons) * (config.routes - count + 1)).astype(np.int64)
    first = np.where(count == 0, 0, first)
    kind_of = rng.choice([Destination.AXON, Destination.OUTPUT], config.routes, p=[0.7, 0.3])
    goal = np.where(kind_of == Destination.AXON, rng.integers(0, len(chip.cores), config.routes), chip.host_core(number))
    axons = np.array([core.axons for core in chip.cores])[goal]
    target = np.where(kind_of == Destination.AXON, rng.integers(0, axons), rng.integers(0, outputs, config.routes))
    delay = np.where(rng.random(config.routes) < 0.5, 1, rng.integers(1, MAX_DELAY, config.routes, endpoint=True))
    ways = np.array([hops(chip, number, int(core)) for core in goal]).T
    routes = {"kind": kind_of, "delay": delay, "target": target, "dx": ways[0], "dy": ways[1]}
    groups = config.neurons // config.pipelines
    updated = np.sort(rng.integers(1, groups, config.levels, endpoint=True))
    if rng.random() < 0.7:
        updated[rng.integers(0, config.levels) :] = groups
    contents = {
        "weights": {"weight": weights[:, 0] if config.lanes == 1 else weights},
        "rows": {"base": base, "start": start, "last": last},
        "route_index": {"first": first, "count": count},
        "routes": {field.name: routes[field.name] for field in table["routes"].layout.fields},
        "control": {"last": updated * config.pipelines - 1},
    }
    if config.typed:
        bits = rng.random((config.words, config.lanes)) < rng.choice([0.1, 0.5, 1.0])
        contents["type_weights"] = contents["weights"]
        contents["weights"] = {"weight": bits[:, 0] if config.lanes == 1 else bits}
        contents["rows"]["type"] = rng.integers(0, AXON_TYPES, config.axons)
        if config.stochastic_synapses:
            contents["type_weights"]["stochastic"] = rng.integers(0, 2, np.shape(contents["type_weights"]["weight"]))
    if config.learning is not None:
        contents |= _random_learning(config, config.learning, rng)
        contents["rows"]["plastic"] = rng.random(config.axons) < 0.8
    if config.short_term:
        contents["short_term"] = _random_short_term(config, rng)
    if config.random:
        contents["seed"] = {"seed": rng.integers(0, 1 << 32, 1)}
    return {name: table[name].layout.pack(values) for name, values in contents.items()} | _random_neurons(config, rng, high)


def _random_learning(config: CoreConfig, unit: Learning, rng: np.random.Generator) -> dict[str, dict[str, IntArray]]:
    """Rules of any terms that cannot overflow, and settings."""
    bits = config.weight_bits
    firsts: list[int] = [First.NONE, First.X0, First.R]
    firsts += [First[name.upper()] for name in unit.traces if name[0] == "x" or unit.neuron_products]
    seconds: list[int] = [Second.NONE, *(Second[name.upper()] for name in unit.traces if name[0] == "y")]
    seconds += [Second.W] * unit.weight_factor + [Second.T] * bool(unit.tag_bits) + [Second.V0] * unit.membrane_flag
    layout = term_layout(unit, bits)
    rules = {field.name: np.zeros(unit.terms, np.int64) for field in layout.fields}
    settings = {field.name: rng.integers(field.low, field.high, 1, endpoint=True) for field in settings_layout(unit, bits).fields}
    second_limit = 1 << (unit.second_constant_bits(bits) - 1)
    number = 0
    for phase in unit.phases:
        room = unit.terms - number
        room = room if phase == unit.phases[-1] else min(room, unit.terms // 2)
        count = int(rng.integers(int(rng.random() < 0.8), room, endpoint=True)) if room else 0
        settings[f"{phase.name.lower()}_terms"] = np.array([count])
        tags = int(rng.integers(0, count + 1)) if unit.tag_bits else 0
        for place in range(count):
            term: dict[str, int] = {
                "shift": int(rng.integers(0, 5)),
                "negative": int(rng.integers(0, 2)),
                "first": firsts[rng.integers(len(firsts))],
                "second": seconds[rng.integers(len(seconds))],
                "target": int(place >= count - tags),
                "last": place in (count - tags - 1, count - 1),
                "first_compared": unit.offsets and rng.random() < 0.2,
                "second_compared": unit.offsets and rng.random() < 0.2,
                "first_constant": 0 if rng.random() < 0.5 else int(rng.integers(-(1 << 12), 1 << 12)),
                "second_constant": 0 if rng.random() < 0.5 else int(rng.integers(-second_limit, second_limit)),
            }
            for factor in ("first", "second"):
                if term[factor] and not unit.offsets:
                    term[f"{factor}_constant"] = 0
            for name, value in term.items():
                rules[name][number] = value
            number += 1
    settings["epoch"] = rng.integers(0, 3, 1)
    if rng.random() < 0.5:
        settings["low"], settings["high"] = np.array([-(1 << (bits - 1))]), np.array([(1 << (bits - 1)) - 1])
    settings["low"], settings["high"] = np.minimum(settings["low"], settings["high"]), np.maximum(settings["low"], settings["high"])
    if unit.membrane_flag:
        settings["v_threshold"] = rng.integers(-20, 20, 1)
    # Terms as large as can be without an overflow.
    while True:
        try:
            check_learning(unit, bits, settings, rules)
            break
        except ConfigError:
            rules["shift"] += 1
    modulation = {"enabled": np.array([int(rng.random() < 0.9)]), "reward": rng.integers(-(1 << 12), 1 << 12, 1)}
    plastic = rng.random((config.neuron_words, config.lanes)) < rng.choice([0.5, 1.0])
    return {
        "learning": settings,
        "rules": rules,
        "modulation": modulation,
        "plastic": {"plastic": plastic[:, 0] if config.lanes == 1 else plastic},
    }


def _random_short_term(config: CoreConfig, rng: np.random.Generator) -> dict[str, IntArray]:
    """Any parameters, often at their ends; some axons with plain weights."""
    result = {}
    for field in short_term_layout().fields:
        values = rng.integers(0, field.high, config.axons, endpoint=True)
        result[field.name] = np.where(rng.random(config.axons) < 0.2, rng.choice([0, field.high], config.axons), values)
        if field.name.endswith("_step"):
            # A case is too short for long steps.
            result[field.name] >>= rng.integers(0, 5, config.axons)
    result["use"][rng.random(config.axons) < 0.2] = 0
    return result


def _random_neurons(config: CoreConfig, rng: np.random.Generator, weight: int) -> dict[str, WordArray]:
    """Models and parameters; sets are shared by neurons of one model only, as an image must."""
    table = regions(config)
    rows = config.neurons // config.pipelines
    # Runs of rows with one model, some of them short.
    model_of_row = np.repeat(rng.integers(0, len(config.models), rows), rng.integers(1, 6, rows))[:rows]
    model_of = np.repeat(model_of_row, config.pipelines)
    if config.sets is None:
        # A group may only hold neurons of one model.
        align = max(config.group, config.pipelines)
        model_of = np.repeat(model_of[::align], align)[: config.neurons]
        set_of = np.arange(config.neurons) // config.group
    else:
        model_of_set = rng.integers(0, len(config.models), config.sets)
        available = np.unique(model_of_set)
        model_of = np.repeat(available[model_of_row % len(available)], config.pipelines)
        set_of = np.array([rng.choice(np.flatnonzero(model_of_set == number)) for number in model_of])
    model_of_sets = np.zeros(config.parameter_sets, np.int64)
    model_of_sets[set_of] = model_of
    of_sets = [model.sample(rng, config.parameter_sets, weight) for model in config.models]
    of_neurons = [model.sample(rng, config.neurons, weight) for model in config.models]
    result: dict[str, WordArray] = {}
    for name in ("parameters", "firing", "own"):
        if name in table:
            sampled, owners = (of_neurons, model_of) if name == "own" else (of_sets, model_of_sets)
            fields = [
                None if layout is None else {field.name: values[field.name] for field in layout.fields}
                for layout, values in zip(table[name].variants, sampled, strict=True)
            ]
            result[name] = pack_neurons(table[name], fields, owners)
    if config.kinds:
        kinds = {"model": model_of, "set": set_of}
        result["kinds"] = table["kinds"].layout.pack({field.name: kinds[field.name] for field in table["kinds"].layout.fields})
    return result
