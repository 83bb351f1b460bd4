from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import NetworkError, SpikeloomError
from spikeloom.network.description import Network
from spikeloom.network.evaluate import evaluate
from spikeloom.network.nir_graph import SUPPORTED, read_graph
from tests.network.cases import Edges, chain, graph, lif, linear, matrices, spiking


def inner(size: int = 3) -> nir.NIRGraph:
    """A subgraph: neurons that also reach themselves."""
    nodes = {
        "input": nir.Input(np.array([size])),
        "n": lif(size),
        "w": linear(size, size, 7),
        "output": nir.Output(np.array([size])),
    }
    return graph(nodes, [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")])


def everything() -> nir.NIRGraph:
    """Every supported node, a subgraph, a recurrent loop, a skip, and two layers."""
    nodes = {
        "input": nir.Input(np.array([1, 3])),
        "first": nir.Affine(np.random.default_rng(1).normal(0, 1, (3, 3)), np.array([0.1, -0.1, 0.2])),
        "block": inner(),
        "flat": nir.Flatten({"input": np.array([3])}, 0),
        "last": linear(2, 3, 3),
        "skip": linear(2, 3, 4),
        "scale": nir.Scale(np.array([1.5, 0.5])),
        "spikes": spiking(2),
        "show": nir.LI(tau=np.full(2, 1e-3), r=np.full(2, 10.0), v_leak=np.zeros(2)),
        "output": nir.Output(np.array([2])),
        "potential": nir.Output(np.array([2])),
    }
    edges = [
        ("input", "first"),
        ("first", "block"),
        ("block", "flat"),
        ("flat", "last"),
        ("input", "skip"),
        ("last", "scale"),
        ("skip", "scale"),
        ("scale", "spikes"),
        ("spikes", "output"),
        ("spikes", "show"),
        ("show", "potential"),
    ]
    return graph(nodes, edges)


def assert_same(first: Network, second: Network) -> None:
    assert [(p.label, p.size, p.note) for p in first.populations] == [(p.label, p.size, p.note) for p in second.populations]
    assert [p.label for p in first.outputs] == [p.label for p in second.outputs]
    assert first.delays() == second.delays()
    assert list(matrices(first)) == list(matrices(second))
    assert all(np.array_equal(matrices(first)[ends], matrices(second)[ends]) for ends in matrices(first))


def written(source: nir.NIRGraph, tmp_path: Path, compression: str | None = "gzip") -> Path:
    path = tmp_path / "net.nir"
    nir.write(path, source, compression)
    return path


# Graphs ------------------------------------------------------------------------------------------------------------------


def test_a_file_and_the_graph_that_it_was_written_from_give_the_same_network(tmp_path: Path) -> None:
    assert_same(spikeloom.read_nir(written(everything(), tmp_path)), spikeloom.read_nir(everything()))
    assert_same(spikeloom.read_nir(str(tmp_path / "net.nir")), spikeloom.read_nir(everything()))


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_edges_and_nodes_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def shuffled(source: nir.NIRGraph) -> nir.NIRGraph:
        names = list(source.nodes)
        nodes = {names[i]: source.nodes[names[i]] for i in rng.permutation(len(names))}
        nodes = {name: shuffled(node) if isinstance(node, nir.NIRGraph) else node for name, node in nodes.items()}
        return graph(nodes, [source.edges[i] for i in rng.permutation(len(source.edges))])

    assert_same(spikeloom.read_nir(shuffled(everything())), spikeloom.read_nir(everything()))


def test_a_subgraph_is_the_same_as_its_nodes_in_place() -> None:
    nested = chain(linear(3, 3, 1), inner(), linear(2, 3, 2), spiking(2), outputs=2)
    flat = graph(
        {**{k: v for k, v in nested.nodes.items() if k != "1"}, "n": lif(), "w": linear(3, 3, 7)},
        [("input", "0"), ("0", "n"), ("n", "w"), ("w", "n"), ("n", "2"), ("2", "3"), ("3", "output")],
    )
    names = {"input": "input", "1.n": "n", "3": "3"}
    found = {(names[pre], names[post]): weights for (pre, post), weights in matrices(spikeloom.read_nir(nested)).items()}
    expected = matrices(spikeloom.read_nir(flat))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[ends], expected[ends]) for ends in found)


def test_subgraphs_lie_two_levels_deep(tmp_path: Path) -> None:
    outer = graph(
        {"in": nir.Input(np.array([3])), "core": inner(), "w": linear(2, 3, 2), "out": nir.Output(np.array([2]))},
        [("in", "core"), ("core", "w"), ("w", "out")],
    )
    source = chain(linear(3, 3, 1), outer, spiking(2), outputs=2)
    network = spikeloom.read_nir(written(source, tmp_path))
    assert [p.label for p in network.populations] == ["input", "1.core.n", "2"]
    assert sorted(matrices(network)) == [("1.core.n", "1.core.n"), ("1.core.n", "2"), ("input", "1.core.n")]
    assert np.array_equal(matrices(network)["1.core.n", "2"], linear(2, 3, 2).weight.T.astype(np.float64))
    assert dict(zip([(p.pre.label, p.post.label) for p in network.projections], network.delays(), strict=True)) == {
        ("input", "1.core.n"): 0,
        ("1.core.n", "1.core.n"): 1,
        ("1.core.n", "2"): 0,
    }


def test_one_subgraph_used_twice_is_two_populations() -> None:
    network = spikeloom.read_nir(chain(inner(), inner()))
    assert [p.label for p in network.populations] == ["input", "0.n", "1.n"]


def test_a_graph_that_nir_checked_and_completed_is_read() -> None:
    source = nir.NIRGraph.from_list(linear(4, 3), lif(4), linear(2, 4), lif(2))
    network = spikeloom.read_nir(source)
    assert [p.size for p in network.populations] == [3, 4, 2]


def test_parameters_without_axes_hold_for_every_neuron(tmp_path: Path) -> None:
    scalar = chain(linear(4, 3), lif(None, v_reset=-1.0), nir.Scale(np.array(2.0)), lif(None), outputs=4)
    vector = chain(linear(4, 3), lif(4, v_reset=-1.0), nir.Scale(np.full(4, 2.0)), lif(4), outputs=4)
    assert_same(spikeloom.read_nir(written(scalar, tmp_path, None)), spikeloom.read_nir(vector))


def test_parameters_of_one_value_hold_for_every_neuron() -> None:
    node = lif(4)
    node.tau, node.v_threshold = np.full(1, 1e-3), np.array(1.0)
    assert_same(
        spikeloom.read_nir(chain(linear(4, 3), node, outputs=4)), spikeloom.read_nir(chain(linear(4, 3), lif(4), outputs=4))
    )


def test_parameters_with_several_axes_are_flattened_in_order() -> None:
    node = lif(6)
    node.v_threshold = np.arange(1.0, 7.0).reshape(2, 3)
    network = spikeloom.read_nir(chain(linear(6, 3), node, outputs=6))
    neurons = network.find("1").neurons
    assert neurons is not None
    assert neurons.threshold.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize("node", [lif(3, v_reset=-0.5), nir.IF(np.ones(3), np.ones(3), np.full(3, -0.5))])
def test_a_file_without_v_reset_resets_to_zero(node: nir.NIRNode, tmp_path: Path) -> None:
    path = written(chain(linear(3, 3), node), tmp_path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/1/v_reset"]
    neurons = spikeloom.read_nir(path).find("1").neurons
    assert neurons is not None
    assert neurons.reset.tolist() == [0.0] * 3


def test_metadata_of_any_kind_is_passed_over(tmp_path: Path) -> None:
    path = written(everything(), tmp_path)
    with h5py.File(path, "r+") as file:
        for group in (file["node"], file["node/nodes/first"]):
            group.create_dataset("metadata/odd", data=np.zeros(2, [("a", "i4"), ("b", "f4")]))
    assert_same(spikeloom.read_nir(path), spikeloom.read_nir(everything()))


def test_names_may_hold_dots_and_be_numbers() -> None:
    nodes = {"0": nir.Input(np.array([3])), "lif1.w_rec": linear(3, 3), "lif1.lif": lif(), "10": nir.Output(np.array([3]))}
    edges = [("0", "lif1.lif"), ("lif1.lif", "lif1.w_rec"), ("lif1.w_rec", "lif1.lif"), ("lif1.lif", "10")]
    assert [p.label for p in spikeloom.read_nir(graph(nodes, edges)).populations] == ["0", "lif1.lif"]


def test_what_was_read_computes_what_the_nodes_say() -> None:
    """Two layers and a skip, by hand and by the import."""
    network = spikeloom.read_nir(everything())
    spikes = np.random.default_rng(2).random((1, 40, 3)) < 0.5
    nodes = everything().nodes
    v, hidden = np.zeros(3), np.zeros(3)
    potential = np.zeros(2)
    found = evaluate(network, spikes)
    for step, x in enumerate(spikes[0].astype(float)):
        v = 0.9 * v + nodes["first"].weight @ x + nodes["first"].bias + linear(3, 3, 7).weight @ hidden
        hidden = (v > 1).astype(float)
        v[hidden > 0] = 0
        potential = potential + nodes["scale"].scale * (nodes["last"].weight @ hidden + nodes["skip"].weight @ x)
        out = potential > 1
        potential[out] = 0
        assert found["block.n"][0, step].tolist() == (hidden > 0).tolist(), step
        assert found["spikes"][0, step].tolist() == out.tolist(), step
    assert 10 < found["spikes"].sum() < 70


# Graphs that do not hang together ------------------------------------------------------------------------------------------


def refused(source: nir.NIRGraph | Path, message: str) -> None:
    """The error is one line with this text."""
    with pytest.raises(NetworkError, match=re.escape(message)) as caught:
        spikeloom.read_nir(source)
    assert "\n" not in str(caught.value)


def conv() -> nir.Conv2d:
    return nir.Conv2d((4, 4), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1))


def integrator() -> nir.I:
    return nir.I(np.ones(3))


@pytest.mark.parametrize(("node", "kind"), [(conv(), "Conv2d"), (integrator(), "I"), (nir.Delay(np.ones(3)), "Delay")])
def test_a_node_that_is_not_supported_is_named_with_those_that_are(node: nir.NIRNode, kind: str, tmp_path: Path) -> None:
    message = f"node '1' is a {kind!r}; supported are {', '.join(SUPPORTED)} and nested graphs of them"
    refused(chain(linear(3, 3), node), message)
    refused(written(chain(linear(3, 3), node), tmp_path), message)


def test_a_node_that_is_not_supported_is_named_inside_a_subgraph() -> None:
    nodes = {"input": nir.Input(np.array([3])), "n": integrator(), "output": nir.Output(np.array([3]))}
    refused(chain(graph(nodes, [("input", "n"), ("n", "output")])), "node '0.n' is a 'I'; supported are")


@pytest.mark.parametrize(("value", "text"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e300, "1e+300")])
def test_a_weight_that_is_not_finite_is_named_with_its_place(value: float, text: str, tmp_path: Path) -> None:
    weights = np.ones((3, 3))
    weights[1, 2] = value
    message = f"node '0' (Linear): weight[1, 2] is {text}; it must be finite and not beyond 3.4e+38"
    refused(chain(nir.Linear(weights), lif()), message)
    refused(written(chain(nir.Linear(weights), lif()), tmp_path), message)


@pytest.mark.parametrize("parameter", ["tau", "r", "v_leak", "v_threshold", "v_reset"])
def test_a_neuron_parameter_that_is_not_finite_is_named(parameter: str) -> None:
    node = lif()
    setattr(node, parameter, np.array([1.0, np.nan, 1.0]))
    refused(chain(linear(3, 3), node), f"node '1' (LIF): {parameter}[1] is nan; it must be finite")


def test_a_parameter_that_is_no_number_is_named(tmp_path: Path) -> None:
    path = written(chain(linear(3, 3), lif()), tmp_path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/1/tau"]
        file["node/nodes/1/tau"] = "slow"
    refused(path, "node '1' (LIF): tau is not an array of numbers")


def test_a_parameter_that_is_absent_is_named(tmp_path: Path) -> None:
    path = written(chain(linear(3, 3), lif()), tmp_path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/1/tau"]
    refused(path, "node '1' (LIF) has no tau")


def test_an_empty_parameter_is_named() -> None:
    node = lif()
    node.v_leak = np.zeros(0)
    refused(chain(linear(3, 3), node), "node '1' (LIF): v_leak is empty; its shape is [0]")


def with_tau_of_two() -> nir.LIF:
    node = lif()
    node.tau = np.ones(2)
    return node


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((linear(4, 3), lif(3)), "'0' (Linear) gives 4 values, but '1' (LIF) takes 3"),
        ((linear(3, 4), lif(3)), "'input' (Input) gives 3 values, but '0' (Linear) takes 4"),
        ((linear(4, 3), lif(4)), "'1' (LIF) gives 4 values, but 'output' (Output) takes 3"),
        ((nir.Scale(np.ones(2)), lif()), "'input' (Input) gives 3 values, but '0' (Scale) takes 2"),
        ((linear(2, 3), lif(None)), "'1' (LIF) gives 2 values, but 'output' (Output) takes 3"),
        ((nir.Affine(np.ones((3, 3)), np.ones(2)), lif()), "node '0' (Affine): bias has 2 values, but weight gives 3 outputs"),
        (
            (nir.Linear(np.ones((2, 3, 3))), lif()),
            "node '0' (Linear): weight has shape [2, 3, 3]; it needs 2 axes (outputs, inputs)",
        ),
        ((nir.Linear(np.zeros((0, 3))), lif()), "node '0' (Linear): weight is empty; its shape is [0, 3]"),
        ((linear(3, 3), with_tau_of_two()), "node '1' (LIF): its parameters differ in size: tau [2], r [3]"),
    ],
)
def test_shapes_that_do_not_agree_are_named(nodes: tuple[nir.NIRNode, ...], message: str) -> None:
    refused(chain(*nodes), message)


@pytest.mark.parametrize("shape", [[0], [-3], [1.5], []])
def test_a_port_shape_that_is_no_shape_is_named(shape: list[float]) -> None:
    source = chain(lif())
    source.nodes["input"] = nir.Input(np.array(shape))
    refused(source, "node 'input' (Input): shape is")


def test_a_size_that_nothing_tells_is_named() -> None:
    nodes = {"input": nir.Input(np.array([3])), "n": lif(), "alone": lif(None), "output": nir.Output(np.array([3]))}
    refused(
        graph(nodes, [("input", "n"), ("n", "output")]),
        "the size of node 'alone' (LIF) cannot be found: nothing around it has one",
    )


@pytest.mark.parametrize(
    ("node", "kind", "size", "limit"), [(lif(None), "LIF", 9000, 8192), (nir.Scale(np.array(1.0)), "Scale", 1 << 40, 1 << 20)]
)
def test_a_size_that_no_geometry_holds_is_refused_before_it_fills_the_memory(
    node: nir.NIRNode, kind: str, size: int, limit: int
) -> None:
    message = f"({kind}) has {size} values; no geometry holds more than {limit}"
    with pytest.raises(NetworkError, match=re.escape(message) if kind == "LIF" else f"has {size} values"):
        spikeloom.read_nir(chain(node, inputs=size, outputs=size))


@pytest.mark.parametrize(("port", "verb"), [("input", "enter"), ("output", "leave")])
def test_a_graph_without_a_port_is_refused(port: str, verb: str, tmp_path: Path) -> None:
    source = chain(lif())
    del source.nodes[port]
    source.edges = [edge for edge in source.edges if port not in edge]
    message = f"has no {port.capitalize()} node; add one, so that it is clear where spikes {verb}"
    refused(source, f"the graph {message}")
    path = written(source, tmp_path)
    refused(path, f"{path} {message}")


@pytest.mark.parametrize("edge", [("0", "lost"), ("lost", "0")])
def test_an_edge_to_an_absent_node_is_named(edge: tuple[str, str], tmp_path: Path) -> None:
    source = chain(lif())
    source.edges.append(edge)
    message = f"the graph has an edge from {edge[0]!r} to {edge[1]!r}, but no node 'lost'; its nodes are ['0', 'input', 'output']"
    refused(source, message)
    refused(written(source, tmp_path), message)


def test_an_edge_to_an_absent_node_is_named_inside_a_subgraph(tmp_path: Path) -> None:
    block = inner()
    block.edges.append(("n", "lost"))
    message = "subgraph '0' has an edge from 'n' to 'lost', but no node 'lost'; its nodes are ['input', 'n', 'output', 'w']"
    refused(chain(block), message)
    refused(written(chain(block), tmp_path), message)


def test_an_edge_that_stands_twice_is_refused() -> None:
    source = chain(lif())
    source.edges.append(("input", "0"))
    refused(source, "the graph has the edge from 'input' to '0' twice; NIR allows it once")


def test_an_edge_into_an_input_is_refused() -> None:
    source = chain(lif())
    source.edges.append(("0", "input"))
    refused(source, "the graph has an edge from '0' to 'input', which is an Input; nothing can lead there")


def test_a_subgraph_needs_one_port_for_an_edge() -> None:
    block = inner()
    block.nodes["second"] = nir.Input(np.array([3]))
    refused(chain(block), "subgraph '0' has 2 Input nodes; an edge to it needs exactly 1")


def test_two_nodes_that_get_one_name_are_refused() -> None:
    source = chain(inner(), inner())
    source.nodes["0.n"] = lif()
    refused(source, "two nodes are named '0.n', one of them in a subgraph; rename one")


def test_an_empty_subgraph_is_refused() -> None:
    refused(chain(graph({}, [])), "subgraph '0' has no nodes")


# Files that are damaged or something else -------------------------------------------------------------------------------------


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "absent.nir", f"{tmp_path / 'absent.nir'} does not exist or is not a file")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    refused(tmp_path, f"{tmp_path} does not exist or is not a file")


@pytest.mark.parametrize("content", [b"", b"not HDF5", bytes(3000), b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_not_hdf5_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    path.write_bytes(content)
    refused(path, f"{path} cannot be read as a NIR file (HDF5): ")


def test_an_hdf5_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    refused(path, f"{path} cannot be read as a NIR file (HDF5): it is an HDF5 file, but has no group 'node'")
    with h5py.File(path, "w") as file:
        file["node"] = np.zeros(3)
    refused(path, "it is an HDF5 file, but has no group 'node'")


def test_a_file_with_one_node_instead_of_a_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    nir.write(path, lif())
    refused(path, f"{path} holds a 'LIF', not a NIRGraph")


def change_to_dataset(file: h5py.File) -> None:
    del file["node/nodes/0"]
    file["node/nodes/0"] = np.zeros(3)


def change_edges(file: h5py.File) -> None:
    del file["node/edges"]
    file["node/edges"] = np.zeros((2, 3))


def change_to_cycle(file: h5py.File) -> None:
    file["node/nodes/again"] = file["node"]


def change_to_link(file: h5py.File) -> None:
    del file["node/nodes/0/tau"]
    file["node/nodes/0/tau"] = h5py.ExternalLink("/etc/hostname", "/tau")


def change_to_records(file: h5py.File) -> None:
    del file["node/nodes/0/tau"]
    file["node/nodes/0/tau"] = np.zeros(2, [("a", "i4"), ("b", "f4")])


def change_to_huge(file: h5py.File) -> None:
    del file["node/nodes/0/tau"]
    file["node/nodes/0"].create_dataset("tau", (1 << 40,), "f4", chunks=(1024,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_to_dataset, "node '0' is a ndarray instead of a group with a type and parameters"),
        (change_edges, "the graph: the edges are an array of shape [2, 3], not [n, 2]"),
        (change_to_cycle, "its groups lie more than 64 deep inside each other"),
        (change_to_link, "'tau' is a link to somewhere else"),
        (change_to_records, "'tau' holds neither numbers nor strings, but [('a', '<i4'), ('b', '<f4')]"),
        (change_to_huge, "'tau' has 1099511627776 values; the limit is 67108864"),
    ],
)
def test_a_file_of_odd_contents_is_refused(change: Callable[[h5py.File], None], message: str, tmp_path: Path) -> None:
    path = written(chain(lif()), tmp_path)
    with h5py.File(path, "r+") as file:
        change(file)
    refused(path, message)


def outcome(path: Path) -> str:
    """Reads and compiles: "good", or the error; anything but an error of ours is a failure of the test."""
    try:
        network = spikeloom.read_nir(path)
        spikeloom.compile(network, config=ChipConfig(cores=(CoreConfig(axons=32, neurons=16, lanes=4),)))
    except SpikeloomError as error:
        return str(error)
    return "good"


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = written(everything(), tmp_path)
    data = path.read_bytes()
    assert outcome(path) == "good"
    for length in np.linspace(0, len(data) - 1, 20).astype(int).tolist():
        path.write_bytes(data[:length])
        assert outcome(path).startswith(f"{path} cannot be read as a NIR file (HDF5): "), length


@pytest.mark.parametrize("seed", range(8))
def test_a_file_with_a_wrong_byte_is_refused_or_a_network(seed: int, tmp_path: Path) -> None:
    """Most bytes of an HDF5 file are zeros that nothing reads, so three of four changes are made to other bytes."""
    path = written(everything(), tmp_path, "gzip" if seed % 2 else None)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    used = np.flatnonzero(data)
    rng = np.random.default_rng(seed)
    outcomes = []
    for number in range(30):
        place = int(rng.choice(used) if number % 4 else rng.integers(len(data)))
        changed = data.copy()
        changed[place] ^= rng.integers(1, 256, dtype=np.uint8)
        path.write_bytes(changed.tobytes())
        try:
            outcomes.append(outcome(path))
        except Exception as error:
            raise AssertionError(f"seed {seed}, byte {place} changed from {data[place]} to {changed[place]}") from error
    assert not any("\n" in text for text in outcomes)
    assert 0 < outcomes.count("good") < len(outcomes)


def heap(*objects: tuple[int, int]) -> bytes:
    """A heap of strings with objects of this index and length, and the free rest."""
    body = b"".join(
        index.to_bytes(8, "little") + length.to_bytes(8, "little") + bytes(-(-length // 8) * 8) for index, length in objects
    )
    body += bytes(8) + (512 - 16 - len(body)).to_bytes(8, "little")
    return b"GCOL\x01\0\0\0" + (512).to_bytes(8, "little") + body + bytes(496 - len(body))


@pytest.mark.parametrize(
    "damaged",
    [
        heap((1, 5))[:24] + (1 << 62).to_bytes(8, "little") + heap((1, 5))[32:],  # a length beyond the heap
        heap((1, 5))[:24]
        + (40).to_bytes(8, "little")
        + heap((1, 5))[32:],  # the next object is empty and free: the library waits forever
        heap((1, 5))[:300],  # a heap that ends behind the file
    ],
)
def test_a_damaged_heap_of_strings_is_refused_before_the_library_hangs(damaged: bytes, tmp_path: Path) -> None:
    path = written(chain(lif()), tmp_path)
    good = path.read_bytes()
    path.write_bytes(good + heap((1, 5), (2, 8), (3, 17)))
    assert outcome(path) == "good"
    path.write_bytes(good + damaged)
    refused(path, f"its heap of strings at byte {len(good)} is damaged")


def test_the_flat_graph_lists_sources_by_name() -> None:
    edges: Edges = [("input", name) for name in "ba"] + [(name, "n") for name in "ba"] + [("n", "output")]
    nodes: dict[str, Any] = {
        "input": nir.Input(np.array([3])),
        "a": linear(3, 3),
        "b": linear(3, 3),
        "n": lif(),
        "output": nir.Output(np.array([3])),
    }
    for order in itertools.permutations(edges):
        assert read_graph(graph(nodes, list(order))).sources("n") == ["a", "b"]
