"""Geometries, memories and images for tests: random ones, and empty ones to which a test adds what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage, PopulationMap, PortMap
from spikeloom.arch.layout import WordArray
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions

#: Contents of memories: region name to field name to values.
Contents = dict[str, dict[str, npt.NDArray[np.int64]]]


@st.composite
def core_configs(draw: st.DrawFn, max_axons: int = 80, max_neurons: int = 80) -> CoreConfig:
    """Any legal geometry of moderate size."""
    lanes = draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64]))
    pipelines = draw(st.sampled_from([p for p in (1, 2, 4, 8, 16) if p <= lanes]))
    state_bits = draw(st.integers(8, 28))
    config = CoreConfig(axons=draw(st.integers(1, max_axons)), neurons=draw(st.integers(1, max_neurons // pipelines)) * pipelines, weight_bits=draw(st.sampled_from([2, 4, 8, 16])), lanes=lanes, pipelines=pipelines, group=draw(st.sampled_from([1, 2, 4, 16, 128])), weight_words=draw(st.none() | st.integers(1, 300)), levels=draw(st.integers(1, 16)), destinations=draw(st.none() | st.integers(1, 300)), counters=draw(st.booleans()), models=(Lif(state_bits=state_bits, fraction_bits=draw(st.integers(0, 12)), refractory_bits=draw(st.integers(0, min(8, 32 - state_bits))), bias_bits=draw(st.integers(0, state_bits)), resets="relative" if draw(st.booleans()) else "absolute"),))
    return config


def empty_contents(config: CoreConfig) -> Contents:
    """Memories of a core that does nothing: no rows, no destinations, highest thresholds, every neuron takes part."""
    table = {name: region for name, region in regions(config).items() if region.in_image}
    contents: Contents = {}
    for name, region in table.items():
        contents[name] = {
            field.name: np.zeros((region.depth, field.count) if field.count > 1 else region.depth, np.int64)
            for field in region.layout.fields
        }
    contents["rows"]["start"][:] = 1
    contents["firing"]["threshold"][:] = (1 << (config.state_bits - 1)) - 1
    contents["control"]["last"][:] = config.neurons - 1
    return contents


def pack(config: CoreConfig, contents: Mapping[str, Mapping[str, npt.ArrayLike]]) -> dict[str, WordArray]:
    """Packed words of each region."""
    return {name: regions(config)[name].layout.pack(values) for name, values in contents.items()}


def loadable(config: CoreConfig, memory: Mapping[str, WordArray], output_size: int = 1, **changes: Any) -> LoadableImage:
    """An image whose input column k is axon k."""
    arguments: dict[str, Any] = {
        "config": ChipConfig(core=config),
        "memories": (memory,),
        "inputs": (PortMap("in", 0, config.axons),),
        "outputs": (PortMap("out", 0, output_size),),
        "input_index": np.arange(config.axons),
        "input_axon": np.arange(config.axons),
        "input_offset": np.zeros(config.axons, np.int64),
        "output_shift": np.zeros(output_size, np.int64),
        "populations": (PopulationMap("cells", 0, 0, config.neurons, 0),),
    }
    return LoadableImage(**(arguments | changes))


def relay_config(**changes: Any) -> CoreConfig:
    """Geometry of :func:`relay_contents`: 3 axons, 2 neurons, one lane, potentials in whole weight units."""
    arguments: dict[str, Any] = {
        "axons": 3,
        "neurons": 2,
        "weight_bits": 8,
        "lanes": 1,
        "state_bits": 16,
        "fraction_bits": 0,
        "destinations": 2,
        "levels": 2,
    }
    return CoreConfig(**(arguments | changes))


def relay_contents(config: CoreConfig) -> Contents:
    """Two neurons in a chain, each fires one tick's input on at once.

    Axon 0 drives neuron 0 (weight 2, threshold 1); neuron 0 reaches axon 2 after 1 tick; axon 2 drives neuron 1 the same way, which is
    output 0. Axon 1 drives nothing. Nothing is retained, so a neuron fires exactly in the ticks in which its axon is active. Neuron 1
    takes part from tick 1 on.
    """
    contents = empty_contents(config)
    contents["weights"]["weight"][:2] = 2
    contents["rows"] |= {"base": np.array([0, 0, 1]), "start": np.array([0, 1, 1]), "last": np.array([0, 0, 1])}
    contents["firing"]["threshold"][:] = 1
    contents["route_index"] = {"first": np.array([0, 1]), "count": np.array([1, 1])}
    contents["routes"] = {"kind": np.array([0, 1]), "delay": np.array([1, 0]), "target": np.array([2, 0])}
    contents["control"]["last"] = np.array([0, 1])
    return contents


def relay_image(**changes: Any) -> LoadableImage:
    """Image of :func:`relay_contents`: input column 0 is axon 0, column 1 axon 1; the output comes one tick after its input."""
    config = relay_config()
    arguments: dict[str, Any] = {
        "inputs": (PortMap("in", 0, 2),),
        "input_index": np.array([0, 1]),
        "input_axon": np.array([0, 1]),
        "input_offset": np.zeros(2, np.int64),
        "output_shift": np.array([1]),
        "populations": (PopulationMap("first", 0, 0, 1, 0), PopulationMap("second", 0, 1, 1, 1)),
    }
    return loadable(config, pack(config, relay_contents(config)), **(arguments | changes))
