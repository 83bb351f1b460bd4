"""NIR import: from a graph of continuous-time nodes to populations in per-step form.

NIR stores no time step, and exporters disagree about ``tau``, ``r`` and the reset. What was assumed is written into each population's note.
Described in ``docs/nir.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nir
import numpy as np

from spikeloom.arch.errors import NetworkError
from spikeloom.network.description import FloatArray, Network, Neurons, Population
from spikeloom.network.nir_graph import NEURON_KINDS, FlatGraph, Node, read_graph

Reset = Literal["nir", "zero", "subtract", "subtract-late"]
Integrator = Literal["euler", "exact"]

#: The step that snnTorch and SpikingJelly write into their exports (s).
SHORT_STEP = 1e-4
#: Norse's default step (s).
LONG_STEP = 1e-3
#: Significant digits that survive the exporters' single precision.
DIGITS = 6
#: Name of the neuron that fires in every step, for constant inputs of synaptic currents.
CONSTANT = "constant"
#: Node kinds whose input passes through a synaptic current.
_WITH_CURRENT = ("CubaLIF", "CubaLI")
#: Node kinds that never fire.
_SILENT = ("LI", "CubaLI")


@dataclass(frozen=True, slots=True)
class _Step:
    """Time step of a neuron node and why; ``counted``: time constants count steps, so that ``dt`` is 1."""

    dt: float
    reason: str
    counted: bool = False


@np.errstate(over="ignore", invalid="ignore")  # what overflows is not finite, and refused as such
def read_nir(
    source: str | Path | nir.NIRGraph,
    *,
    dt: float | Literal["auto", "steps"] = "auto",
    reset: Reset = "nir",
    integrator: Integrator = "euler",
) -> Network:
    """Import a NIR graph.

    Parameters
    ----------
    source : path of a NIR file, or a ``nir.NIRGraph``
    dt : float, "auto" or "steps"
        Length of a time step in seconds. "auto": infer it per node. "steps": time constants count steps.
    reset : str
        "nir": to ``v_reset``, as the format says. "zero": to 0. "subtract": the threshold is subtracted. "subtract-late": the threshold is
        subtracted in the next step, after the decay, as snnTorch's default does.
    integrator : str
        "euler": decay ``1 - dt/tau``. "exact": decay ``exp(-dt/tau)``.

    Returns
    -------
    Network
        Linear nodes are folded into its projections.

    Raises
    ------
    NetworkError
        If the graph cannot be read or translated.
    """
    if reset not in ("nir", "zero", "subtract", "subtract-late"):
        raise NetworkError(f"reset is {reset!r}; it must be nir, zero, subtract or subtract-late")
    if integrator not in ("euler", "exact"):
        raise NetworkError(f"integrator is {integrator!r}; it must be euler or exact")
    is_length = isinstance(dt, (int, float, np.floating)) and 0 < dt < math.inf
    if not is_length and dt not in ("auto", "steps"):
        raise NetworkError(f"dt is {dt!r}; it must be a number of seconds above 0, 'auto' or 'steps'")
    graph = read_graph(source)
    steps = {name: _step_of(node, dt) for name, node in graph.nodes.items() if node.kind in NEURON_KINDS}
    lengths = {1.0 if step.counted else 1000 * step.dt for step in steps.values()}
    network = Network(dt=lengths.pop() if len(lengths) == 1 else 1.0)
    folder = _Folder(graph)
    # Inputs first: the network's input columns follow their names.
    for name in sorted(graph.nodes):
        if graph.nodes[name].kind == "Input":
            network.input(graph.nodes[name].out_size, name)
    incoming: dict[str, tuple[dict[str, FloatArray], FloatArray]] = {}
    constants: dict[str, FloatArray] = {}
    for name in sorted(steps):
        node = graph.nodes[name]
        maps, offset = folder.incoming(name)
        neurons, gain = _neurons(node, steps[name], offset, reset, integrator)
        incoming[name] = (maps, gain)
        network.population(node.out_size, neurons, name, _describe(node, steps[name], neurons, gain))
        if node.kind in _WITH_CURRENT and offset.any():
            constants[name] = gain * offset
    for name, (maps, gain) in incoming.items():
        for source_name in sorted(maps):
            network.projection(network.find(source_name), network.find(name), _full(maps[source_name] * gain))
    _add_constants(network, constants)
    for name in sorted(graph.nodes):
        if graph.nodes[name].kind == "Output":
            network.output(_output_population(graph, folder, network, name))
    return network


# Linear nodes ----------------------------------------------------------------------------------------------------------


class _Folder:
    """Expresses the value of linear nodes by the spikes of inputs and neurons: ``sum_s spikes_s @ map_s + offset``.

    While a map is diagonal it is kept as a vector: large inputs would not fit into memory otherwise.
    """

    def __init__(self, graph: FlatGraph) -> None:
        self.graph = graph
        self._done: dict[str, tuple[dict[str, FloatArray], FloatArray]] = {}
        self._open: list[str] = []

    def incoming(self, name: str) -> tuple[dict[str, FloatArray], FloatArray]:
        """What reaches a node: maps ``[source size, in_size]`` by source, and offset ``[in_size]``."""
        maps: dict[str, FloatArray] = {}
        offset = np.zeros(self.graph.nodes[name].in_size)
        for pre in self.graph.sources(name):
            pre_maps, pre_offset = self._value(pre)
            offset = offset + pre_offset
            for source, matrix in pre_maps.items():
                maps[source] = _sum(maps[source], matrix) if source in maps else matrix
        return maps, offset

    def _value(self, name: str) -> tuple[dict[str, FloatArray], FloatArray]:
        node = self.graph.nodes[name]
        if node.kind == "Input" or node.kind in NEURON_KINDS:
            return {name: np.ones(node.out_size)}, np.zeros(node.out_size)
        if name in self._done:
            return self._done[name]
        if name in self._open:
            loop = " -> ".join([*self._open[self._open.index(name) :], name])
            raise NetworkError(f"the loop {loop} passes through no neuron, so its value is not defined")
        self._open.append(name)
        maps, offset = self.incoming(name)
        self._open.pop()
        numbers = node.numbers
        if node.kind in ("Linear", "Affine"):
            weight = numbers["weight"]
            maps = {s: m[:, np.newaxis] * weight.T if m.ndim == 1 else m @ weight.T for s, m in maps.items()}
            offset = offset @ weight.T
            if node.kind == "Affine":
                offset = offset + numbers["bias"].reshape(-1)
        elif node.kind == "Scale":
            scale = numbers["scale"].reshape(-1)
            maps = {source: matrix * scale for source, matrix in maps.items()}
            offset = offset * scale
        self._done[name] = (maps, offset)
        return maps, offset


def _full(matrix: FloatArray) -> FloatArray:
    """A map as a matrix."""
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def _sum(first: FloatArray, second: FloatArray) -> FloatArray:
    return first + second if first.ndim == second.ndim else _full(first) + _full(second)


def _is_identity(matrix: FloatArray) -> bool:
    if matrix.ndim == 1:
        return bool((matrix == 1).all())
    return matrix.shape[0] == matrix.shape[1] and bool((matrix == np.eye(len(matrix))).all())


def _output_population(graph: FlatGraph, folder: _Folder, network: Network, name: str) -> Population:
    """The population whose spikes an Output node shows."""
    maps, offset = folder.incoming(name)
    if not maps:
        raise NetworkError(f"nothing leads to the Output node {name!r}")
    for source, matrix in maps.items():
        if graph.nodes[source].kind == "Input" and len(maps) == 1 and _is_identity(matrix):
            raise NetworkError(f"the Input {source!r} leads straight to the Output {name!r}; add a neuron node between them")
        if len(maps) > 1 or not _is_identity(matrix) or offset.any():
            raise NetworkError(
                f"the Output node {name!r} must show the spikes of one neuron node as they are, but what reaches it is a sum or "
                f"linear function of {sorted(maps)}; add a neuron node before it (LI, if only its potential is wanted)"
            )
    return network.find(next(iter(maps)))


def _add_constants(network: Network, constants: dict[str, FloatArray]) -> None:
    """A neuron that fires in every step, with a constant input of synaptic currents as its weights.

    A core adds a constant to a potential only; added there, it would act at once instead of rising with the current.
    """
    if not constants:
        return
    one, zero = np.ones(1), np.zeros(1)
    always = Neurons(zero, zero, -one, zero, "value", np.zeros(1, np.int64))
    label = CONSTANT
    while any(population.label == label for population in network.populations):
        label += "_"
    source = network.population(1, always, label, f"fires in every step: constant input of {', '.join(constants)}")
    for name, weights in constants.items():
        network.projection(source, network.find(name), weights[np.newaxis])


# Neurons ---------------------------------------------------------------------------------------------------------------


def _step_of(node: Node, dt: float | str) -> _Step:
    """Length of a step for a neuron node."""
    for name in ("tau", "tau_mem", "tau_syn"):
        if name in node.numbers and (node.numbers[name] <= 0).any():
            raise NetworkError(f"node {node.name!r} ({node.kind}): {name} is {node.numbers[name].min():g}; it must be above 0")
    if dt == "steps":
        return _Step(1.0, "time constants count steps", counted=True)
    if not isinstance(dt, str):
        return _Step(dt, "as told")
    r = node.numbers["r"].reshape(-1)
    if node.kind == "IF":
        if np.allclose(r, 1.0, rtol=1e-3):
            return _Step(1.0, "r is 1: a step adds the input once", counted=True)
        if np.allclose(r * SHORT_STEP, 1.0, rtol=1e-2):
            return _Step(SHORT_STEP, "r is 1e4: a step adds the input once, as SpikingJelly writes it")
        if np.allclose(r, r[0], rtol=1e-3) and r[0] > 0:
            return _Step(float(1 / r[0]), "1/r: a step adds the input once")
        raise _unclear(node)
    tau = node.numbers["tau_mem" if node.kind in _WITH_CURRENT else "tau"].reshape(-1)
    if np.allclose(r * SHORT_STEP / tau, 1.0, rtol=1e-2):
        return _Step(SHORT_STEP, "r dt / tau is 1, as snnTorch and SpikingJelly write it")
    if np.allclose(r, 1.0, rtol=1e-3):
        shortest = min(tau.min(), node.numbers.get("tau_syn", tau).min())
        if shortest > 1:
            return _Step(1.0, "tau above 1 with r of 1 counts steps, as Sinabs writes it", counted=True)
        if shortest >= LONG_STEP:
            return _Step(LONG_STEP, "r is 1, as Norse writes it with its step of 1 ms")
        if shortest >= SHORT_STEP:
            return _Step(SHORT_STEP, "r is 1 and tau below 1 ms, as SpikingJelly writes it")
    if (r > 0).all():
        return _Step(float((tau / (1 + r)).min()), "tau / (1 + r), as Rockpool reads it")
    raise _unclear(node)


def _unclear(node: Node) -> NetworkError:
    values = ", ".join(f"{key} = {values.reshape(-1)[0]:g}" for key, values in node.numbers.items())
    return NetworkError(
        f"node {node.name!r} ({node.kind}, {values}): its time step cannot be inferred; say dt= in seconds, or dt='steps'"
    )


def _neurons(node: Node, step: _Step, offset: FloatArray, reset: Reset, integrator: Integrator) -> tuple[Neurons, FloatArray]:
    """Per-step form of a neuron node, and the gain of its input."""
    size = node.out_size

    def number(name: str, default: float = 0.0) -> FloatArray:
        return np.broadcast_to(node.numbers.get(name, np.array(default)).reshape(-1), size).astype(np.float64)

    def decay(name: str) -> FloatArray:
        """Part that is lost in a step."""
        tau = number(name)
        if integrator == "euler" and (tau < step.dt * (1 - 1e-6)).any():
            raise NetworkError(
                f"node {node.name!r} ({node.kind}): {name} is {tau.min():g}, shorter than the step of {step.dt:g} ({step.reason}); "
                "choose a smaller dt, or integrator='exact'"
            )
        return step.dt / tau if integrator == "euler" else -np.expm1(-step.dt / tau)

    def kept(lost: FloatArray) -> FloatArray:
        return np.clip(np.round(1 - lost, DIGITS), 0, 1) + 0.0  # no negative zero

    r = number("r")
    current_retention = None
    if node.kind == "IF":
        retention, gain = np.ones(size), r * step.dt
        bias = np.zeros(size)
    else:
        lost = decay("tau_mem" if node.kind in _WITH_CURRENT else "tau")
        retention, gain = kept(lost), r * lost
        bias = lost * number("v_leak")
    if node.kind in _WITH_CURRENT:
        # The current is held in units of the potential, so that it is added as it is.
        lost = decay("tau_syn")
        current_retention, gain = kept(lost), _significant(gain) * _significant(number("w_in", 1.0) * lost)
    gain = _significant(gain)
    if current_retention is None:
        bias = bias + gain * offset
    threshold = number("v_threshold") if node.kind not in _SILENT else np.full(size, np.inf)
    amount, mode = number("v_reset"), "value"
    if reset == "zero":
        amount = np.zeros(size)
    elif reset in ("subtract", "subtract-late"):
        mode = "subtract"
        amount = np.where(np.isfinite(threshold), threshold, 0.0)
        if reset == "subtract-late":
            if (retention == 0).any():
                raise NetworkError(f"node {node.name!r}: a late subtraction needs a decay above 0")
            # Subtracting the threshold after the decay is subtracting threshold / decay before it.
            amount = amount / retention
        if (amount < 0).any():
            raise NetworkError(f"node {node.name!r}: the threshold {threshold.min():g} is negative and cannot be subtracted")
    neurons = Neurons(
        retention=retention,
        bias=bias,
        threshold=threshold,
        reset=amount,
        reset_mode="subtract" if mode == "subtract" else "value",
        refractory=np.zeros(size, np.int64),
        current_retention=current_retention,
    )
    return neurons, gain


def _significant(values: FloatArray) -> FloatArray:
    """Rounded to the digits that single precision holds."""
    with np.errstate(divide="ignore"):
        magnitude = np.where(values == 0, 0, np.floor(np.log10(np.abs(np.where(values == 0, 1, values)))))
    scale = 10.0 ** (DIGITS - 1 - magnitude)
    result: FloatArray = np.round(values * scale) / scale
    return result


def _describe(node: Node, step: _Step, neurons: Neurons, gain: FloatArray) -> str:
    def span(values: FloatArray) -> str:
        low, high = float(values.min()), float(values.max())
        return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"

    unit = "1 step" if step.counted else f"{step.dt:g} s"
    decay = span(neurons.retention) + " per step"
    if neurons.current_retention is not None:
        decay += f", of the current {span(neurons.current_retention)}"
    return f"{node.kind}: dt {unit} ({step.reason}); decay {decay}; input gain {span(gain)}"
