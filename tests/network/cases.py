"""NIR graphs and random networks for tests."""

from __future__ import annotations

import itertools
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from spikeloom.network.description import Network, Neurons, Population

Edges = list[tuple[str, str]]


# NIR --------------------------------------------------------------------------------------------------------------------


def lif(size: int | None = 3, *, tau: float = 1e-3, r: float = 10.0, v_threshold: float = 1.0, **changes: float) -> nir.LIF:
    """A LIF node as snnTorch writes it (a decay of 0.9); ``size`` None: parameters without axes."""
    numbers = {"tau": tau, "r": r, "v_leak": 0.0, "v_threshold": v_threshold, "v_reset": 0.0} | changes
    return nir.LIF(**{name: np.full(() if size is None else size, value, np.float32) for name, value in numbers.items()})


def cuba(size: int = 3, *, alpha: float = 0.8, beta: float = 0.9, dt: float = 1e-4, **changes: float) -> nir.CubaLIF:
    """A CubaLIF node as snnTorch writes its Synaptic: the current keeps ``alpha`` per step, the potential ``beta``."""
    tau_syn, tau_mem = (float(np.float32(dt) / np.float32(1 - kept)) for kept in (alpha, beta))
    numbers = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": tau_mem / dt, "w_in": tau_syn / dt, "v_leak": 0.0, "v_threshold": 1.0}
    numbers |= {"v_reset": 0.0} | changes
    return nir.CubaLIF(**{name: np.full(size, value, np.float32) for name, value in numbers.items()})


def spiking(size: int = 3, *, r: float = 1.0, v_threshold: float = 1.0) -> nir.IF:
    """An IF node as Sinabs writes it."""
    return nir.IF(r=np.full(size, r), v_threshold=np.full(size, v_threshold))


def linear(outputs: int, inputs: int, seed: int = 0) -> nir.Linear:
    """A linear node with random weights."""
    return nir.Linear(np.random.default_rng(seed).normal(0, 1, (outputs, inputs)).astype(np.float32))


def graph(nodes: dict[str, nir.NIRNode], edges: Edges) -> nir.NIRGraph:
    """A graph that nir has not checked."""
    return nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)


def chain(*nodes: nir.NIRNode, inputs: int = 3, outputs: int = 3) -> nir.NIRGraph:
    """Nodes "0", "1", ... one behind the other, between "input" and "output"."""
    named: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([inputs]))}
    named |= {str(number): node for number, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array([outputs]))
    names = list(named)
    return graph(named, list(itertools.pairwise(names)))


def matrices(network: Network) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """Weights by the names of both ends."""
    return {(p.pre.label, p.post.label): p.weights for p in network.projections}


# Networks ---------------------------------------------------------------------------------------------------------------


def neurons(size: int, **changes: Any) -> Neurons:
    """Equal neurons that keep half of their potential and fire above 1; numbers are meant for all."""
    arguments: dict[str, Any] = {"retention": 0.5, "bias": 0.0, "threshold": 1.0, "reset": 0.0, "refractory": 0} | changes
    mode = arguments.pop("reset_mode", "value")
    refractory = np.broadcast_to(np.asarray(arguments.pop("refractory"), np.int64), size)
    parameters = {name: np.broadcast_to(np.asarray(value, np.float64), size) for name, value in arguments.items()}
    return Neurons(**parameters, reset_mode=mode, refractory=refractory)


def feedforward(*sizes: int, seed: int = 0, **changes: Any) -> Network:
    """Input lines and layers of these sizes, fully connected; the last layer is the output."""
    rng = np.random.default_rng(seed)
    network = Network()
    before = network.input(sizes[0], "in")
    for number, size in enumerate(sizes[1:]):
        layer = network.population(size, neurons(size, **changes), f"layer{number}")
        network.projection(before, layer, rng.normal(0.2, 0.5, (before.size, size)))
        before = layer
    network.output(before)
    return network


def random_network(seed: int, *, uniform: bool = False, extras: bool = False) -> Network:
    """Anything that a core computes: layers of odd sizes, skips, self loops, delays, several inputs and outputs, all resets.

    Parameters
    ----------
    seed : int
        All follows from it.
    uniform : bool
        Neurons of a population have equal parameters but for their bias, as cores with shared parameter sets need it.
    extras : bool
        Some populations have synaptic currents and adaptive thresholds.
    """
    rng = np.random.default_rng(seed)
    network = Network()
    sources = [network.input(int(rng.integers(1, 8)), f"in{k}") for k in range(rng.integers(1, 4))]
    layers = [_random_population(network, rng, f"layer{k}", uniform, extras) for k in range(rng.integers(1, 5))]
    for depth, layer in enumerate(layers):
        _connect(network, rng, layers[depth - 1] if depth else sources[0], layer, None)
        for other in (*sources, *layers[: max(depth - 1, 0)]):
            if rng.random() < 0.35:
                _connect(network, rng, other, layer, rng.choice([None, 0.0, 1.0, 3.0]))
        if rng.random() < 0.35:
            _connect(network, rng, layer, layer, rng.choice([None, 1.0, 4.0]))
    if len(layers) > 1 and rng.random() < 0.4:
        # A feedback that is slow enough for the ticks that its loop takes.
        first, last = sorted(rng.choice(len(layers), 2, replace=False).tolist())
        _connect(network, rng, layers[last], layers[first], float(last - first + 1 + rng.integers(0, 3)))
    for layer in layers:
        if layer is layers[-1] or rng.random() < 0.3:
            network.output(layer)
    return network


def _random_population(network: Network, rng: np.random.Generator, label: str, uniform: bool, extras: bool) -> Population:
    size = int(rng.integers(1, 14))

    def some(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        drawn = np.asarray(values, np.float64)
        return np.full(size, drawn[0]) if uniform else drawn

    subtract = bool(rng.random() < 0.4)
    threshold = some(rng.exponential(1.0, size))
    if not subtract and rng.random() < 0.3:
        threshold = threshold - 1.0
    if rng.random() < 0.1:
        threshold[:] = np.inf
    reset = np.where(np.isfinite(threshold), threshold, 0.0) if subtract else some(rng.normal(0, 0.4, size))
    current: npt.NDArray[np.float64] | None = None
    adaptation: npt.NDArray[np.float64] | None = None
    step: npt.NDArray[np.float64] | None = None
    if extras and rng.random() < 0.6:
        current = some(rng.choice([0.0, 0.5, 0.9, 0.98], size))
    if extras and rng.random() < 0.6:
        adaptation, step = some(rng.choice([0.5, 0.9, 0.99], size)), some(rng.exponential(0.3, size))
    return network.population(
        size,
        Neurons(
            retention=some(rng.choice([0.0, 0.3, 0.9, 0.97, 1.0], size)),
            bias=rng.normal(0, 0.3, size) * (rng.random() < 0.4),
            threshold=threshold,
            reset=reset,
            reset_mode="subtract" if subtract else "value",
            refractory=some(rng.integers(0, 4, size)).astype(np.int64) * int(rng.random() < 0.3),
            current_retention=current,
            adaptation_retention=adaptation,
            adaptation_step=step,
        ),
        label,
    )


def _connect(network: Network, rng: np.random.Generator, pre: Population, post: Population, delay: float | None) -> None:
    if any(p.pre is pre and p.post is post and (p.delay or 0) == (delay or 0) for p in network.projections):
        return  # weights that add up may be more than a weight can be
    weights = rng.normal(0.15, 0.8, (pre.size, post.size))
    density = rng.choice([0.1, 0.5, 1.0, 1.0])
    network.projection(pre, post, weights * (rng.random(weights.shape) < density), delay)


def random_spikes(seed: int, network: Network, samples: int = 3, ticks: int = 20) -> npt.NDArray[np.bool_]:
    """Input spikes of any density."""
    rng = np.random.default_rng([seed, 1])
    density = rng.choice([0.05, 0.3, 0.8, 1.0], (samples, 1, 1))
    return rng.random((samples, ticks, sum(p.size for p in network.inputs))) < density
