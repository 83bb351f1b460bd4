"""Geometries, memories and images for tests: random ones, and empty ones to which a test adds what it is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage, PopulationMap, PortMap
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import Field, WordArray
from spikeloom.arch.lif import RESETS, Lif
from spikeloom.arch.memory_map import Region, pack_neurons, regions
from spikeloom.golden.chip import Chip
from spikeloom.sim.cases import Case, random_case

#: Contents of memories: region name to field name to values.
Contents = dict[str, dict[str, npt.NDArray[np.int64]]]


@st.composite
def lif_models(draw: st.DrawFn) -> Lif:
    """Any leaky integrate-and-fire neuron."""
    state_bits = draw(st.integers(8, 28))
    leak_bits, current_bits = draw(st.just(0) | st.integers(2, 16)), draw(st.just(0) | st.integers(8, 28))
    return Lif(
        state_bits=state_bits,
        fraction_bits=draw(st.integers(0, 12)),
        decay=draw(st.booleans()),
        leak_bits=leak_bits,
        stochastic_leak=leak_bits > 0 and draw(st.booleans()),
        bias_bits=draw(st.integers(0, state_bits)),
        current_bits=current_bits,
        current_wraps=current_bits > 0 and draw(st.booleans()),
        resets=draw(st.sampled_from(RESETS)),
        refractory_bits=draw(st.integers(0, 8)),
        negative_threshold=draw(st.booleans()),
        threshold_noise_bits=draw(st.just(0) | st.integers(1, min(20, state_bits - 1))),
        adaptation_bits=draw(st.just(0) | st.integers(4, 28)),
    )


@st.composite
def izhikevich_models(draw: st.DrawFn) -> Izhikevich:
    """Any Izhikevich neuron."""
    membrane_bits = draw(st.integers(16, 18))
    substeps = draw(st.sampled_from([1, 2, 4]))
    return Izhikevich(
        membrane_bits=membrane_bits,
        recovery_bits=draw(st.integers(20, 28)),
        multiplier_bits=draw(st.integers(16, membrane_bits)),
        substeps=substeps,
        step_exponent=draw(st.integers(0, 4)),
        multipliers=draw(st.sampled_from([1, *(3 * copies for copies in (1, 2, 4) if copies <= substeps)])),
        input_shift=draw(st.integers(0, 12)),
        bias_bits=draw(st.just(0) | st.integers(2, 24)),
    )


@st.composite
def adex_models(draw: st.DrawFn) -> AdEx:
    """Any AdEx neuron."""
    membrane_bits = draw(st.integers(18, 24))
    return AdEx(
        membrane_bits=membrane_bits,
        recovery_bits=draw(st.integers(max(16, membrane_bits - 4), 24)),
        substeps=draw(st.integers(1, 16)),
        input_shift=draw(st.integers(0, 16)),
        bias_bits=draw(st.just(0) | st.integers(2, membrane_bits)),
        table_bits=draw(st.integers(4, 8)),
    )


#: One to three models in any order.
MODELS = st.permutations([lif_models(), izhikevich_models(), adex_models()]).flatmap(
    lambda every: st.integers(1, 3).flatmap(lambda count: st.tuples(*every[:count]))
)


@st.composite
def core_configs(draw: st.DrawFn, max_axons: int = 80, max_neurons: int = 80) -> CoreConfig:
    """Any legal geometry of moderate size."""
    lanes = draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))
    pipelines = draw(st.sampled_from([p for p in (1, 2, 4, 8, 16) if p <= lanes]))
    neurons = draw(st.integers(1, max_neurons // pipelines)) * pipelines
    weight_bits = draw(st.sampled_from([1, 2, 4, 8, 16]))
    sets = draw(st.none() | st.integers(1, neurons))
    return CoreConfig(
        axons=draw(st.integers(1, max_axons)),
        neurons=neurons,
        weight_bits=weight_bits,
        lanes=lanes,
        pipelines=pipelines,
        group=draw(st.sampled_from([1, 2, 4, 16, 128])) if sets is None else 1,
        weight_words=draw(st.none() | st.integers(1, 300)),
        models=draw(st.tuples(lif_models()) | MODELS),
        sets=sets,
        stochastic_synapses=weight_bits == 1 and draw(st.booleans()),
        levels=draw(st.integers(1, 16)),
        destinations=draw(st.none() | st.integers(1, 300)),
        counters=draw(st.booleans()),
    )


def _fields(region: Region) -> tuple[Field, ...]:
    """Fields of a word; those of the first model's, if it is a neuron's."""
    layout = region.variants[0] if region.variants else region.layout
    return layout.fields if layout is not None else ()


def empty_contents(config: CoreConfig) -> Contents:
    """Memories of a core that does nothing: no rows, no destinations, highest thresholds, every neuron takes part.

    Of a core with several models, all neurons follow the first.
    """
    table = {name: region for name, region in regions(config).items() if region.in_image}
    contents: Contents = {}
    for name, region in table.items():
        contents[name] = {
            field.name: np.zeros((region.depth, field.count) if field.count > 1 else region.depth, np.int64)
            for field in _fields(region)
        }
    contents["rows"]["start"][:] = 1
    for fields in contents.values():
        if "threshold" in fields:
            fields["threshold"][:] = config.models[0].parameter_names()["threshold"].high
    contents["control"]["last"][:] = config.neurons - 1
    return contents


def pack(config: CoreConfig, contents: Mapping[str, Mapping[str, npt.ArrayLike]]) -> dict[str, WordArray]:
    """Packed words of each region; those of neurons as the first model's."""
    result = {}
    for name, values in contents.items():
        region = regions(config)[name]
        if region.variants:
            fields = [values, *[None] * (len(region.variants) - 1)]
            result[name] = pack_neurons(region, fields, np.zeros(region.depth, np.int64))
        else:
            result[name] = region.layout.pack(values)
    return result


def loadable(config: CoreConfig, memory: Mapping[str, WordArray], output_size: int = 1, **changes: Any) -> LoadableImage:
    """An image whose input column k is axon k."""
    arguments: dict[str, Any] = {
        "config": ChipConfig(cores=(config,)),
        "memories": (memory,),
        "inputs": (PortMap("in", 0, config.axons),),
        "outputs": (PortMap("out", 0, output_size),),
        "input_index": np.arange(config.axons),
        "input_core": np.zeros(config.axons, np.int64),
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
        "models": (Lif(state_bits=16, fraction_bits=0),),
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
        "input_core": np.zeros(2, np.int64),
        "input_axon": np.array([0, 1]),
        "input_offset": np.zeros(2, np.int64),
        "output_shift": np.array([1]),
        "populations": (PopulationMap("first", 0, 0, 1, 0), PopulationMap("second", 0, 1, 1, 1)),
    }
    return loadable(config, pack(config, relay_contents(config)), **(arguments | changes))


def damaged(image: LoadableImage, memories: Iterable[Mapping[str, WordArray]]) -> LoadableImage:
    """A copy of an image with memories that no image may have: they stand for memories that were damaged after loading."""
    copy = dataclasses.replace(image)
    object.__setattr__(copy, "memories", tuple(memories))
    return copy


def lost_packets(image: LoadableImage, seed: int) -> LoadableImage:
    """An image of a mesh whose packets go any way, also to places outside the mesh, and as outputs to cores without a host."""
    rng = np.random.default_rng(seed)
    memories = []
    for core, memory in zip(image.config.cores, image.memories, strict=True):
        layout = regions(core)["routes"].layout
        fields = layout.unpack(memory["routes"])
        for field in layout.fields:
            if field.name in ("dx", "dy"):
                fields[field.name] = rng.integers(field.low, field.high, core.routes, endpoint=True)
        memories.append({**memory, "routes": layout.pack(fields)})
    return damaged(image, memories)


def wrong_output() -> LoadableImage:
    """:func:`relay_image` with a damaged destination: its neuron 1 sends output 3, and the image has one output."""
    config = relay_config()
    contents = relay_contents(config)
    contents["routes"]["target"][1] = 3
    return damaged(relay_image(), [pack(config, contents)])


def core_case(config: CoreConfig, seed: int, ticks: int = 20) -> Case:
    """A random case for a chip of one core."""
    return random_case(ChipConfig(cores=(config,)), seed, ticks)


class LoneCore:
    """The golden model of a chip of one core, with the attributes of the core."""

    def __init__(self, config: CoreConfig, memory: Mapping[str, WordArray], batch: int = 1) -> None:
        self.chip = Chip(ChipConfig(cores=(config,)), (memory,), batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.chip.cores[0], name)

    def inject(self, axons: Any, events: Any, delay: int = 1) -> None:
        self.chip.inject(0, axons, events, delay)

    def tick(self) -> tuple[Any, Any, Any]:
        """Spikes of the neurons; numbers of the output links, and which of them carried a spike."""
        result = self.chip.tick()
        return result.spikes[0], result.numbers, result.outputs

    def clear(self, batch: int | None = None) -> None:
        self.chip.clear(batch)
