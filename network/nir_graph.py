"""Reads a NIR graph into one flat list of nodes and edges, and checks that it hangs together.

NIR: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications 15, 8122 (2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import MAX_NEURONS
from spikeloom.arch.errors import NetworkError
from spikeloom.network.nir_file import read_nir_file

FloatArray = npt.NDArray[np.float64]

NEURON_KINDS = ("LIF", "IF", "LI", "CubaLIF", "CubaLI")
LINEAR_KINDS = ("Linear", "Affine", "Scale", "Flatten")
PORT_KINDS = ("Input", "Output")
SUPPORTED = (*PORT_KINDS, *LINEAR_KINDS, *NEURON_KINDS)

#: Numbers that each kind must have, besides shapes.
_PARAMETERS = {
    "Input": (),
    "Output": (),
    "Linear": ("weight",),
    "Affine": ("weight", "bias"),
    "Scale": ("scale",),
    "Flatten": (),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "IF": ("r", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
}
#: Parameters that older files lack.
_OPTIONAL = {"LIF": ("v_reset",), "IF": ("v_reset",), "CubaLIF": ("v_reset", "w_in"), "CubaLI": ("w_in",)}
#: What a subgraph's own Input and Output become.
_JOINT = "Joint"
#: Largest number of single precision, in which networks are trained. Products of a few such numbers are finite.
LARGEST = float(np.finfo(np.float32).max)
#: No node of a network that fits a chip has more values; it keeps a damaged file from filling the memory.
MAX_SIZE = 1 << 20


@dataclass(slots=True)
class Node:
    """A node of the flat graph.

    Parameters
    ----------
    name : str
        Name; nodes of subgraphs carry the subgraph's name before a dot.
    kind : str
        NIR's type, or ``Joint`` for a port of a subgraph.
    numbers : dict of float arrays
        Parameters, all finite.
    in_size, out_size : int
        Length of the flattened input and output.
    """

    name: str
    kind: str
    numbers: dict[str, FloatArray]
    in_size: int = 0
    out_size: int = 0


@dataclass(slots=True)
class FlatGraph:
    """Nodes by name, and edges."""

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]

    def sources(self, name: str) -> list[str]:
        """Nodes with an edge to this one, in order of their names."""
        return sorted(pre for pre, post in self.edges if post == name)


def read_graph(source: str | Path | nir.NIRGraph) -> FlatGraph:
    """Read a NIR file, or take a graph.

    Raises
    ------
    NetworkError
        If the file cannot be read, a node is not supported, a number is not finite, or nodes do not fit together.
    """
    if isinstance(source, nir.NIRGraph):
        content: Mapping[str, Any] = source.to_dict()
        where = "the graph"
    else:
        path = Path(source)
        where = str(path)
        content = read_nir_file(path)
    if str(content.get("type")) != "NIRGraph":
        raise NetworkError(f"{where} holds a {str(content.get('type'))!r}, not a NIRGraph")
    graph = FlatGraph({}, [])
    _flatten(content, "", graph)
    kinds = [node.kind for node in graph.nodes.values()]
    for kind in PORT_KINDS:
        if kind not in kinds:
            raise NetworkError(
                f"{where} has no {kind} node; add one, so that it is clear where spikes {'enter' if kind == 'Input' else 'leave'}"
            )
    _find_sizes(graph)
    return graph


def _flatten(content: Mapping[str, Any], prefix: str, graph: FlatGraph) -> tuple[list[str], list[str]]:
    """Add a graph's nodes and edges; returns the full names of its input and output nodes."""
    where = f"subgraph {prefix[:-1]!r}" if prefix else "the graph"
    members = content.get("nodes")
    if not isinstance(members, Mapping) or not members:
        raise NetworkError(f"{where} has no nodes")
    ports: dict[str, tuple[list[str], list[str]]] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for short, node in members.items():
        name = f"{prefix}{short}"
        if name in graph.nodes:
            raise NetworkError(f"two nodes are named {name!r}, one of them in a subgraph; rename one")
        if not isinstance(node, Mapping):
            raise NetworkError(f"node {name!r} is a {type(node).__name__} instead of a group with a type and parameters")
        kind = str(node.get("type"))
        if kind == "NIRGraph":
            ports[short] = _flatten(node, f"{name}.", graph)
            continue
        if kind not in SUPPORTED:
            raise NetworkError(f"node {name!r} is a {kind!r}; supported are {', '.join(SUPPORTED)} and nested graphs of them")
        if kind == "Input":
            inputs.append(name)
        if kind == "Output":
            outputs.append(name)
        ports[short] = ([name], [name])
        is_joint = bool(prefix) and kind in PORT_KINDS
        graph.nodes[name] = _read_node(name, kind, node, is_joint=is_joint)
    for pre, post in _read_edges(content.get("edges"), where):
        for end in (pre, post):
            if end not in members:
                raise NetworkError(
                    f"{where} has an edge from {pre!r} to {post!r}, but no node {end!r}; its nodes are {sorted(members)}"
                )
        senders, receivers = ports[pre][1], ports[post][0]
        for what, found, end in (("Output", senders, pre), ("Input", receivers, post)):
            if len(found) != 1:
                raise NetworkError(f"subgraph {prefix + end!r} has {len(found)} {what} nodes; an edge to it needs exactly 1")
        edge = senders[0], receivers[0]
        if graph.nodes[edge[1]].kind == "Input":
            raise NetworkError(f"{where} has an edge from {pre!r} to {post!r}, which is an Input; nothing can lead there")
        if edge in graph.edges:
            raise NetworkError(f"{where} has the edge from {pre!r} to {post!r} twice; NIR allows it once")
        graph.edges.append(edge)
    return inputs, outputs


def _read_edges(edges: object, where: str) -> Iterable[tuple[str, str]]:
    pairs = np.asarray([] if edges is None else edges, dtype=object)
    if pairs.size == 0:
        return []
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise NetworkError(f"{where}: the edges are an array of shape {list(pairs.shape)}, not [n, 2]")
    names = [[end.decode(errors="replace") if isinstance(end, bytes) else str(end) for end in pair] for pair in pairs.tolist()]
    return [(pre, post) for pre, post in names]


def _read_node(name: str, kind: str, content: Mapping[str, Any], *, is_joint: bool) -> Node:
    node = Node(name, _JOINT if is_joint else kind, {})
    for parameter in (*_PARAMETERS[kind], *_OPTIONAL.get(kind, ())):
        if parameter in content:
            node.numbers[parameter] = _read_numbers(f"node {name!r} ({kind})", parameter, content[parameter])
        elif parameter not in _OPTIONAL.get(kind, ()):
            raise NetworkError(f"node {name!r} ({kind}) has no {parameter}")
    if kind in ("Linear", "Affine"):
        shape = node.numbers["weight"].shape
        if len(shape) != 2:
            raise NetworkError(f"node {name!r} ({kind}): weight has shape {list(shape)}; it needs 2 axes (outputs, inputs)")
        bias = node.numbers.get("bias", np.zeros(1))
        if bias.size not in (1, shape[0]):
            raise NetworkError(f"node {name!r} ({kind}): bias has {bias.size} values, but weight gives {shape[0]} outputs")
    if kind in PORT_KINDS and content.get("shape") is not None:
        shape_numbers = np.atleast_1d(_read_numbers(f"node {name!r} ({kind})", "shape", content["shape"]))
        if (shape_numbers < 1).any() or (shape_numbers % 1 != 0).any():
            raise NetworkError(f"node {name!r} ({kind}): shape is {shape_numbers.tolist()}; it must hold whole numbers above 0")
        node.numbers["shape"] = shape_numbers
    return node


def _read_numbers(where: str, parameter: str, content: object) -> FloatArray:
    """A parameter as a float array that is not empty and whose numbers are all usable."""
    try:
        values = np.asarray(content)
        if values.dtype.kind not in "biuf":
            raise TypeError(f"its type is {values.dtype}")
        values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"{where}: {parameter} is not an array of numbers: {error}") from error
    if not values.size:
        raise NetworkError(f"{where}: {parameter} is empty; its shape is {list(values.shape)}")
    wrong = ~(np.abs(values) <= LARGEST)
    if wrong.any():
        place = [int(i) for i in np.argwhere(wrong)[0]]
        raise NetworkError(
            f"{where}: {parameter}{place or ''} is {values[tuple(place)]}; it must be finite and not beyond {LARGEST:.2g}"
        )
    return values


# Sizes ---------------------------------------------------------------------------------------------------------------


def _find_sizes(graph: FlatGraph) -> None:
    """Length of every node's input and output, from whatever is known around it."""
    for node in graph.nodes.values():
        numbers = node.numbers
        if node.kind in ("Linear", "Affine"):
            node.out_size, node.in_size = (int(n) for n in numbers["weight"].shape)
        elif "shape" in numbers:
            node.in_size = node.out_size = int(np.prod(numbers["shape"]))
        elif numbers:
            sizes = {values.size for values in numbers.values() if values.ndim}
            if len(sizes) > 1 and 1 in sizes:
                sizes.remove(1)
            if len(sizes) > 1:
                described = ", ".join(f"{key} {list(values.shape)}" for key, values in numbers.items())
                raise NetworkError(f"node {node.name!r} ({node.kind}): its parameters differ in size: {described}")
            node.in_size = node.out_size = sizes.pop() if sizes and sizes != {1} else 0
    changed = True
    while changed:
        changed = False
        for pre_name, post_name in graph.edges:
            pre, post = graph.nodes[pre_name], graph.nodes[post_name]
            if pre.out_size and not post.in_size:
                _set_size(post, pre.out_size)
                changed = True
            elif post.in_size and not pre.out_size:
                _set_size(pre, post.in_size)
                changed = True
    for node in graph.nodes.values():
        if not node.out_size or not node.in_size:
            raise NetworkError(f"the size of node {node.name!r} ({node.kind}) cannot be found: nothing around it has one")
        limit = MAX_NEURONS if node.kind in NEURON_KINDS else MAX_SIZE
        if max(node.in_size, node.out_size) > limit:
            raise NetworkError(
                f"node {node.name!r} ({node.kind}) has {max(node.in_size, node.out_size)} values; no geometry holds more than {limit}"
            )
    for pre_name, post_name in graph.edges:
        pre, post = graph.nodes[pre_name], graph.nodes[post_name]
        if pre.out_size != post.in_size:
            raise NetworkError(
                f"{pre.name!r} ({pre.kind}) gives {pre.out_size} values, but {post.name!r} ({post.kind}) takes {post.in_size}"
            )


def _set_size(node: Node, size: int) -> None:
    """Nodes without a size of their own pass on as many values as they get."""
    node.in_size = node.out_size = size
