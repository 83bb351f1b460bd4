from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.golden.emitter import Emitter


def _emitter(
    first: list[int], count: list[int], kind: list[int], delay: list[int], target: list[int]
) -> tuple[dict[int, list[tuple[int, int]]], list[tuple[int, int]]]:
    """Links as (neuron, axon) by delay, and as (neuron, output number)."""
    emitter = Emitter(*(np.array(column, np.int64) for column in (first, count, kind, delay, target)))
    by_delay = {
        ticks: list(zip(source.tolist(), axons.tolist(), strict=True)) for ticks, (source, axons) in emitter.axon_links.items()
    }
    source, numbers = emitter.output_links
    return by_delay, list(zip(source.tolist(), numbers.tolist(), strict=True))


def test_lists_are_expanded_by_delay_and_kind() -> None:
    # Neuron 0: entries 0 and 1; neuron 1: none; neuron 2: entries 1 to 3. Kinds: axon, axon, output, axon.
    links, outputs = _emitter([0, 0, 1], [2, 0, 3], [0, 0, 1, 0], [1, 15, 0, 1], [4, 5, 6, 7])
    assert links == {1: [(0, 4), (2, 7)], 15: [(0, 5), (2, 5)]}
    assert outputs == [(2, 6)]


def test_lists_may_overlap() -> None:
    links, outputs = _emitter([0, 0], [1, 1], [0], [3], [9])
    assert links == {3: [(0, 9), (1, 9)]}
    assert outputs == []


def test_outputs_come_in_the_order_of_neurons_and_entries() -> None:
    _, outputs = _emitter([1, 0], [2, 2], [1, 1, 1], [0, 0, 0], [7, 3, 5])
    assert outputs == [(0, 3), (0, 5), (1, 7), (1, 3)]


def test_delay_of_an_output_is_ignored() -> None:
    links, outputs = _emitter([0], [1], [1], [9], [2])
    assert (links, outputs) == ({}, [(0, 2)])


def test_no_destinations_give_no_links() -> None:
    assert _emitter([3, 0], [0, 0], [0], [1], [0]) == ({}, [])


@given(st.data(), st.integers(1, 12), st.integers(1, 20))
def test_links_are_those_of_a_loop(data: st.DataObject, neurons: int, routes: int) -> None:
    kind = data.draw(st.lists(st.integers(0, 1), min_size=routes, max_size=routes))
    delay = data.draw(st.lists(st.integers(1, 15), min_size=routes, max_size=routes))
    target = data.draw(st.lists(st.integers(0, 99), min_size=routes, max_size=routes))
    first, count = [], []
    for _ in range(neurons):
        first.append(data.draw(st.integers(0, routes - 1)))
        count.append(data.draw(st.integers(0, routes - first[-1])))
    links: dict[int, list[tuple[int, int]]] = {}
    outputs = []
    for neuron in range(neurons):
        for entry in range(first[neuron], first[neuron] + count[neuron]):
            if kind[entry]:
                outputs.append((neuron, target[entry]))
            else:
                links.setdefault(delay[entry], []).append((neuron, target[entry]))
    assert _emitter(first, count, kind, delay, target) == (links, outputs)
