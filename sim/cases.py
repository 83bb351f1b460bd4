"""Random networks and stimuli that visit the corners: full and empty activity, saturation, every reset, every delay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeloom.arch.config import DELAY_SLOTS, MAX_DELAY, RETENTION_FRACTION, ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage, PortMap
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.memory_map import Destination, Reset, regions

#: Shares of axons that get an event from outside each tick.
ACTIVITIES = (0.0, 0.05, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Events:
    """Events from outside around one tick, each a triple of axon, delay and "while the tick before runs"."""

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


def random_case(config: CoreConfig, seed: int, ticks: int = 20) -> Case:
    """A random case for a geometry; the same seed gives the same case."""
    rng = np.random.default_rng([seed, config.axons, config.neurons, config.lanes, config.weight_bits])
    memory, outputs = _random_memory(config, rng)
    image = LoadableImage(
        config=ChipConfig(core=config),
        memories=(memory,),
        inputs=(PortMap("axons", 0, config.axons),),
        outputs=(PortMap("outputs", 0, outputs),),
        input_index=np.arange(config.axons),
        input_axon=np.arange(config.axons),
        input_offset=np.zeros(config.axons, np.int64),
        output_shift=np.zeros(outputs, np.int64),
    )
    return Case(seed, image, tuple(_random_events(config, rng) for _ in range(ticks)))


def _random_events(config: CoreConfig, rng: np.random.Generator) -> Events:
    activity = rng.choice(ACTIVITIES)
    axons = np.flatnonzero(rng.random(config.axons) < activity)
    delays = np.where(rng.random(len(axons)) < 0.8, 1, rng.integers(1, DELAY_SLOTS, len(axons)))
    # Now and then an event comes twice, names an axon that does not exist, or has no delay.
    extra = rng.integers(0, 3)
    odd_axons = rng.integers(0, 2 * config.axons, extra)
    odd_delays = rng.integers(0, DELAY_SLOTS, extra)
    axons, delays = np.concatenate([axons, odd_axons]), np.concatenate([delays, odd_delays])
    order = rng.permutation(len(axons))
    return Events(axons[order], delays[order], rng.integers(0, 2, len(axons)))


def _random_memory(config: CoreConfig, rng: np.random.Generator) -> tuple[dict[str, WordArray], int]:
    table = regions(config)
    high = (1 << (config.weight_bits - 1)) - 1
    top = (1 << (config.state_bits - 1)) - 1
    # Weights: ordinary, all extreme (the accumulator's bounds), or mostly excitatory.
    kind = rng.integers(0, 3)
    shape = (config.words, config.lanes)
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
    sets = config.parameter_sets
    # The drive of one active axon, in units of the potential, sets the scale of the thresholds.
    scale = max(1, high << config.fraction_bits)
    threshold = np.minimum((rng.exponential(rng.choice([1.0, 4.0, 30.0]), sets) * scale).astype(np.int64), top)
    mode = rng.choice([Reset.ABSOLUTE, Reset.RELATIVE], sets) if config.relative_reset else np.full(sets, Reset.ABSOLUTE)
    threshold = np.where((rng.random(sets) < 0.1) & (mode == Reset.ABSOLUTE), -(threshold // 8) - 1, threshold)
    threshold = np.where(rng.random(sets) < 0.05, top, threshold)
    reset = np.where(
        mode == Reset.ABSOLUTE,
        np.clip(rng.normal(0, scale, sets).astype(np.int64), -top - 1, top),
        -np.where(rng.random(sets) < 0.7, threshold, rng.integers(0, top, sets)),
    )
    retention = rng.choice([0, 1, 2048, 3900, 4095, 1 << RETENTION_FRACTION], sets)
    retention = np.where(rng.random(sets) < 0.5, rng.integers(0, 1 << RETENTION_FRACTION, sets, endpoint=True), retention)
    firing = {"threshold": threshold, "reset": reset}
    if config.refractory_bits:
        longest = (1 << config.refractory_bits) - 1
        firing["refractory"] = np.where(rng.random(sets) < 0.5, 0, rng.integers(0, min(longest, 5), sets, endpoint=True))
    leak = {"retention": retention}
    if config.relative_reset:
        leak["reset_mode"] = mode
    own = {}
    if config.bias_bits:
        largest = (1 << (config.bias_bits - 1)) - 1
        bias = np.clip(rng.normal(0, scale, config.neurons), -largest - 1, largest).astype(np.int64)
        own["bias"] = np.where(rng.random(config.neurons) < 0.5, 0, bias)
    # Destinations: lists of any length, some shared, some empty.
    outputs = int(rng.integers(1, config.neurons, endpoint=True))
    longest = (1 << table["route_index"].layout.fields[1].bits) - 1
    count = np.minimum(rng.choice([0, 1, 1, 1, 2, 5], config.neurons), min(longest, config.routes))
    first = (rng.random(config.neurons) * (config.routes - count + 1)).astype(np.int64)
    first = np.where(count == 0, 0, first)
    kind_of = rng.choice([Destination.AXON, Destination.OUTPUT], config.routes, p=[0.7, 0.3])
    target = np.where(
        kind_of == Destination.AXON, rng.integers(0, config.axons, config.routes), rng.integers(0, outputs, config.routes)
    )
    delay = np.where(rng.random(config.routes) < 0.5, 1, rng.integers(1, MAX_DELAY, config.routes, endpoint=True))
    groups = config.neurons // config.pipelines
    updated = np.sort(rng.integers(1, groups, config.levels, endpoint=True))
    if rng.random() < 0.7:
        updated[rng.integers(0, config.levels) :] = groups
    contents = {
        "weights": {"weight": weights[:, 0] if config.lanes == 1 else weights},
        "rows": {"base": base, "start": start, "last": last},
        "leak": leak,
        "firing": firing,
        "route_index": {"first": first, "count": count},
        "routes": {"kind": kind_of, "delay": delay, "target": target},
        "control": {"last": updated * config.pipelines - 1},
    }
    if config.bias_bits:
        contents["bias"] = own
    return {name: table[name].layout.pack(values) for name, values in contents.items()}, outputs
