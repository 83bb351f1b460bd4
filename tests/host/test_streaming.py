"""Rows of a long sample on their way through a chip."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spikeloom.arch.errors import InputError
from spikeloom.host.chip import input_events
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.host.streaming import StreamRows
from spikeloom.sim.faults import CONFIG, OUTPUTS, campaign_image
from tests.helpers import relay_image

AXONS = CONFIG.cores[0].axons


@pytest.mark.parametrize("batch", [1, 4, 15])
@pytest.mark.parametrize(("rows", "shift"), [(0, 0), (0, 2), (1, 2), (7, 1), (30, 0), (30, 2)])
def test_events_are_those_of_a_run(batch: int, rows: int, shift: int) -> None:
    image = campaign_image(3, shift)
    spikes = np.random.default_rng(rows).random((rows, AXONS)) < 0.3
    expected = input_events(image, spikes, image.drain)
    got = []
    for first, ticks in StreamRows(image).feeds(spikes, batch):
        assert first == len(got)
        assert 1 <= len(ticks) <= batch
        got += ticks
    assert len(got) == len(expected) == rows + shift
    for (cores, axons), (want_cores, want_axons) in zip(got, expected, strict=True):
        assert sorted(zip(cores.tolist(), axons.tolist(), strict=True)) == sorted(
            zip(want_cores.tolist(), want_axons.tolist(), strict=True)
        )


def test_rows_are_complete_when_their_last_output_has_come() -> None:
    image = campaign_image(3, 2)
    stream = StreamRows(image)
    feeds = stream.feeds(np.zeros((5, AXONS)), 3)
    next(feeds)
    # Row 0 answers tick 2, which is over after three ticks.
    none = np.zeros((0, 2), np.int64)
    assert list(stream.complete(2, none)) == []
    # Outputs of row -1, 0, 1 and 1; of a tick to come; and of a row that was not fed.
    came = np.array([[1, 0], [2, 1], [3, 2], [3, 2], [4, 5], [9, 3]])
    (row,) = stream.complete(3, came)
    assert np.flatnonzero(row).tolist() == [1]
    next(feeds)
    assert [np.flatnonzero(row).tolist() for row in stream.complete(6, none)] == [[2], [5], []]
    next(feeds)
    assert [row.tolist() for row in stream.complete(7, none)] == [[False] * OUTPUTS]
    assert list(stream.complete(99, none)) == []


@pytest.mark.parametrize("kind", [list, iter, lambda rows: (row.tolist() for row in rows)])
def test_rows_may_come_from_anything_that_can_be_gone_through(kind: Any) -> None:
    spikes = np.random.default_rng(3).random((12, 2)) < 0.5
    chip = GoldenChip(relay_image())
    expected = chip.run(spikes)
    rows: list[npt.NDArray[np.bool_]] = list(chip.stream(kind(spikes)))
    np.testing.assert_array_equal(rows, expected)
    assert all(row.dtype == np.bool_ for row in rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1, 0, 0], "a row of input spikes has shape [3]; the image needs [2]"),
        (1, "a row of input spikes has shape []; the image needs [2]"),
        # Ticks of a sample instead of one tick: all but the first would be lost.
        ([[1, 0], [0, 1]], "a row of input spikes has shape [2, 2]; the image needs [2]"),
        (None, "a row of input spikes has shape []; the image needs [2]"),
        ([2, 0], "input spikes must be 0 or 1, but the value at [0, 0] is 2; encode analog values first (spikeloom.encode)"),
        (["a", "b"], "input spikes have the type <U1; they must be bool or the numbers 0 and 1"),
    ],
)
def test_a_wrong_row_is_refused_and_rows_before_it_were_answered(row: Any, message: str) -> None:
    stream = GoldenChip(relay_image()).stream([[1, 0], [0, 0], row])
    answers = [next(stream).tolist()]
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        next(stream)
    # The drain of one tick is what the second one waits for.
    assert answers == [[True]]


def test_a_ragged_row_is_refused() -> None:
    with pytest.raises(InputError, match=r"^a row of input spikes is not an array: its parts differ in length or depth \("):
        list(GoldenChip(relay_image()).stream([[[1], [0, 1]]]))
