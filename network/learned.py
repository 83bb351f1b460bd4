"""What a network has learnt: weights of its projections from an image. Described in ``docs/plasticity.md``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeloom.arch.errors import ConfigError, ImageError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import regions
from spikeloom.arch.packet import Destination
from spikeloom.network.align import align
from spikeloom.network.description import FloatArray, ModelNeurons, Network, Population, Projection
from spikeloom.network.quantise import lsb_of


class _Reached(NamedTuple):
    """Axons that a population reaches, int64 arrays ``[entries]``."""

    source: IntArray
    core: IntArray
    axon: IntArray
    delay: IntArray


def learned_weights(network: Network, image: LoadableImage) -> dict[Projection, FloatArray]:
    """Weights of the projections that learn, in the units of the network.

    Parameters
    ----------
    network : Network
        What the image was compiled from.
    image : LoadableImage
        From ``compile``, or ``learned_image()`` of a chip.

    Returns
    -------
    dict of float array ``[pre.size, post.size]``
        By projection. Each weight is a whole number of LSB.

    Raises
    ------
    ImageError
        If the image was not compiled from this network, as far as it shows: it does not hold ``w_max``.
    """
    # A late feedback that was accepted has the same delays here; without one nothing is late.
    delays, _ = align(network, late_feedback=True, warnings=[])
    reached: dict[str, _Reached] = {}
    result: dict[Projection, FloatArray] = {}
    for projection, delay in zip(network.projections, delays, strict=True):
        if projection.plasticity is not None:
            pre = projection.pre
            if pre.label not in reached:
                reached[pre.label] = _of_input(image, pre) if pre.is_input else _of_neurons(image, pre)
            _check_rule(image, projection)
            integers = _integers(image, projection, delay, reached[pre.label])
            result[projection] = np.asarray(integers * _unit(image, projection), np.float64)
    return result


def _check_rule(image: LoadableImage, projection: Projection) -> None:
    """Refuse an image whose synapses learn in another way than those of the projection."""
    assert projection.plasticity is not None
    for piece in image.pieces(projection.post.label):
        core, memory = image.config.cores[piece.core], image.memories[piece.core]
        try:
            words = projection.plasticity.words(core)
        except ConfigError as error:
            raise _other(f"{projection.name} could not learn in core {piece.core}: {error}") from None
        if any(not np.array_equal(words[name], memory[name]) for name in ("learning", "rules")):
            raise _other(f"core {piece.core} has not the rule and settings of {projection.name}")


def _unit(image: LoadableImage, projection: Projection) -> float | FloatArray:
    """Real value of an LSB."""
    lsb = lsb_of(projection)
    if lsb is not None:
        return lsb
    neurons = projection.post.neurons
    assert isinstance(neurons, ModelNeurons)
    core = image.config.cores[image.pieces(projection.post.label)[0].core]
    model = core.model(neurons.cell.model_name)
    if model is None:
        raise _other(f"the core of {projection.post.label} has no {neurons.cell.model_name} neurons")
    return neurons.cell.unit(model, neurons.dt)


def _integers(image: LoadableImage, projection: Projection, delay: int, reached: _Reached) -> IntArray:
    """Weights in LSB."""
    pre, post = projection.pre, projection.post
    result = np.zeros((pre.size, post.size), np.int64)
    if image.population_size(post.label) != post.size:
        raise _other(f"it has {image.population_size(post.label)} neurons {post.label}, the network {post.size}")
    for piece in image.pieces(post.label):
        core, memory = image.config.cores[piece.core], image.memories[piece.core]
        table = regions(core)
        rows = table["rows"].layout.unpack(memory["rows"])
        weights = table["weights"].layout.unpack(memory["weights"])["weight"].reshape(core.words, core.lanes)
        first, last = piece.first // core.lanes, (piece.first + piece.size - 1) // core.lanes
        plastic = rows["plastic"] if core.learning is not None else np.zeros(core.axons, np.int64)
        serving = (plastic == 1) & (rows["start"] <= first) & (rows["last"] >= last)
        chosen = (reached.core == piece.core) & (reached.delay == delay)
        chosen[chosen] = serving[reached.axon[chosen]]
        source, axon = reached.source[chosen], reached.axon[chosen]
        if not np.array_equal(np.sort(source), np.arange(pre.size)):
            raise _other(f"it has not one synapse that learns for each pair of {projection.name}")
        words = (rows["base"][axon] - rows["start"][axon])[:, np.newaxis] + np.arange(first, last + 1)
        begin = piece.first - first * core.lanes
        part = weights[words].reshape(pre.size, -1)[:, begin : begin + piece.size]
        result[source, piece.offset : piece.offset + piece.size] = part
    return result


def _of_input(image: LoadableImage, population: Population) -> _Reached:
    """Axons of input lines."""
    port = next((port for port in image.inputs if port.name == population.label), None)
    if port is None or port.size != population.size:
        raise _other(f"it has no input {population.label} of {population.size} lines")
    chosen = (image.input_index >= port.first) & (image.input_index < port.first + port.size)
    return _Reached(
        image.input_index[chosen] - port.first, image.input_core[chosen], image.input_axon[chosen], image.input_offset[chosen]
    )


def _of_neurons(image: LoadableImage, population: Population) -> _Reached:
    """Axons to which neurons send their spikes."""
    if image.population_size(population.label) != population.size:
        raise _other(f"it has {image.population_size(population.label)} neurons {population.label}, the network {population.size}")
    config = image.config
    parts = []
    for piece in image.pieces(population.label):
        memory, table = image.memories[piece.core], regions(config.cores[piece.core])
        index = table["route_index"].layout.unpack(memory["route_index"])
        routes = table["routes"].layout.unpack(memory["routes"])
        count, first = (index[name][piece.first : piece.first + piece.size] for name in ("count", "first"))
        source = np.repeat(np.arange(piece.size), count)
        entry = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        to_axon = routes["kind"][entry] == Destination.AXON
        source, entry = source[to_axon], entry[to_axon]
        column, row = config.place(piece.core)
        none = np.zeros_like(routes["kind"])
        core = (row + routes.get("dy", none)[entry]) * config.columns + column + routes.get("dx", none)[entry]
        parts.append(np.stack([piece.offset + source, core, routes["target"][entry], routes["delay"][entry]]))
    return _Reached(*np.concatenate(parts, axis=1))


def _other(what: str) -> ImageError:
    return ImageError(f"the image was not compiled from this network: {what}; give the network that it was compiled from")
