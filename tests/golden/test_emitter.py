from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.golden.emitter import Emitter


def _emitter(
    first: list[int], count: list[int], kind: list[int], delay: list[int], target: list[int], **hops: list[int]
) -> list[tuple[int, ...]]:
    """Links as (neuron, kind, delay, target, dx, dy)."""
    columns = {
        name: np.array(values, np.int64) for name, values in {"kind": kind, "delay": delay, "target": target, **hops}.items()
    }
    emitter = Emitter({"first": np.array(first), "count": np.array(count)}, columns)
    table = np.stack([emitter.source, emitter.kind, emitter.delay, emitter.target, emitter.dx, emitter.dy], axis=1)
    return [tuple(row) for row in table.tolist()]


def test_lists_are_expanded_in_the_order_of_neurons_and_entries() -> None:
    # Neuron 0: entries 0 and 1; neuron 1: none; neuron 2: entries 1 to 3. Kinds: axon, axon, output, axon.
    links = _emitter([0, 0, 1], [2, 0, 3], [0, 0, 1, 0], [1, 15, 0, 1], [4, 5, 6, 7])
    assert links == [(0, 0, 1, 4, 0, 0), (0, 0, 15, 5, 0, 0), (2, 0, 15, 5, 0, 0), (2, 1, 0, 6, 0, 0), (2, 0, 1, 7, 0, 0)]


def test_lists_may_overlap() -> None:
    assert _emitter([0, 0], [1, 1], [0], [3], [9]) == [(0, 0, 3, 9, 0, 0), (1, 0, 3, 9, 0, 0)]


def test_hops_come_with_the_entry() -> None:
    assert _emitter([1], [1], [0, 0], [1, 2], [3, 4], dx=[1, -2], dy=[0, 5]) == [(0, 0, 2, 4, -2, 5)]
    # A mesh of one row.
    assert _emitter([1], [1], [0, 0], [1, 2], [3, 4], dx=[1, -2]) == [(0, 0, 2, 4, -2, 0)]


def test_no_destinations_give_no_links() -> None:
    assert _emitter([3, 0], [0, 0], [0], [1], [0]) == []


@given(st.data(), st.integers(1, 12), st.integers(1, 20))
def test_links_are_those_of_a_loop(data: st.DataObject, neurons: int, routes: int) -> None:
    kind = data.draw(st.lists(st.integers(0, 1), min_size=routes, max_size=routes))
    delay = data.draw(st.lists(st.integers(1, 15), min_size=routes, max_size=routes))
    target = data.draw(st.lists(st.integers(0, 99), min_size=routes, max_size=routes))
    first, count = [], []
    for _ in range(neurons):
        first.append(data.draw(st.integers(0, routes - 1)))
        count.append(data.draw(st.integers(0, routes - first[-1])))
    links = [
        (neuron, kind[entry], delay[entry], target[entry], 0, 0)
        for neuron in range(neurons)
        for entry in range(first[neuron], first[neuron] + count[neuron])
    ]
    assert _emitter(first, count, kind, delay, target) == links
