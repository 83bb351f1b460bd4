"""Networks that learn, and chips for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.learning import Learning
from spikeloom.network.description import Network, Population, Projection
from spikeloom.network.plasticity import Plasticity
from tests.network.cases import neurons
from tests.network.meshes import core, mesh

#: Deterministic rounding: what is learnt does not depend on numbers of axons and neurons.
STDP = Plasticity(rule="dw = 6 * x1 * y0 - 5 * x0 * y1", tau={"x1": 8, "y1": 8}, low=-20, high=60, stochastic=False)
DECAY = Plasticity(rule="dw = 9 * x0 * y2 - 2^-3 * u * w", tau={"y1": 5, "y2": 12}, high=50, epoch=4, stochastic=False)
#: A unit for both.
LEARNING = Learning(pre_traces=1, post_traces=2, terms=4)


def one(**changes: Any) -> ChipConfig:
    arguments: dict[str, Any] = {"axons": 400, "neurons": 400, "destinations": 2000, "learning": LEARNING}
    return ChipConfig(cores=(core(**(arguments | changes)),))


def learners(columns: int, rows: int, **changes: Any) -> ChipConfig:
    return mesh(columns, rows, **({"axons": 80, "neurons": 24, "destinations": 200, "learning": LEARNING} | changes))


def random_plastic(seed: int, plasticities: tuple[Plasticity, ...] = (STDP,)) -> Network:
    """Populations of odd sizes; sources with both kinds of synapses; skips, recurrences, several delays."""
    rng = np.random.default_rng([seed, 4])
    network = Network()
    inputs = [network.input(int(rng.integers(1, 7)), f"in{k}") for k in range(2)]
    layers = [_population(network, rng, f"layer{k}") for k in range(4)]
    own = {layer.label: plasticities[int(rng.integers(len(plasticities)))] for layer in layers}

    def connect(pre: Population, post: Population, delay: float | None, *, learn: bool) -> None:
        lsb = 2.0 / own[post.label].high
        bounds = (own[post.label].low, own[post.label].high + 1) if learn else (-90, 91)
        weights = rng.integers(*bounds, (pre.size, post.size)) * lsb * (rng.random((pre.size, post.size)) < rng.choice([0.3, 1.0]))
        extra: dict[str, Any] = {"plasticity": own[post.label], "w_max": 2.0} if learn else {}
        network.projection(pre, post, weights, delay, **extra)

    for depth, layer in enumerate(layers):
        before = layers[depth - 1] if depth else inputs[0]
        chosen = [(before, None)]
        chosen += [(other, float(d)) for other in (*inputs, *layers[:depth]) for d in (1, 2) if rng.random() < 0.25]
        chosen += [(layer, float(d)) for d in (1, 3) if rng.random() < 0.25]
        learns = rng.random() < 0.7
        for pre, delay in chosen:
            both = rng.random() < 0.3
            if learns and (both or rng.random() < 0.7):
                connect(pre, layer, delay, learn=True)
            if not learns or both:
                connect(pre, layer, delay, learn=False)
    network.output(layers[-1])
    network.output(layers[1])
    return network


def _population(network: Network, rng: np.random.Generator, label: str) -> Population:
    size = int(rng.integers(1, 12))
    return network.population(size, neurons(size, retention=0.8, threshold=float(rng.uniform(0.5, 3))), label)


def small(plasticity: Plasticity = STDP, **changes: Any) -> tuple[Network, Projection]:
    """Five lines and three neurons that learn and inhibit each other."""
    network = Network()
    source, layer = network.input(5, "in"), network.population(3, neurons(3, retention=0.8, **changes), "layer")
    weights = np.random.default_rng(0).integers(10, 50, (5, 3)) / plasticity.high * 2.0
    projection = network.projection(source, layer, weights, plasticity=plasticity, w_max=2.0)
    network.projection(layer, layer, -1.5 * (1 - np.eye(3)))
    network.output(layer)
    return network, projection


def two_rules() -> Network:
    network = Network()
    source = network.input(4, "in")
    first, second = (network.population(4, neurons(4), name) for name in ("first", "second"))
    network.projection(source, first, 1.0, plasticity=STDP, w_max=2.0)
    network.projection(first, second, 1.0, plasticity=DECAY, w_max=2.0)
    network.output(second)
    return network
