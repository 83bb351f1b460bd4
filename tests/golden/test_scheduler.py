from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.arch.config import CoreConfig
from spikeloom.golden.scheduler import Scheduler


def _scheduler(axons: int = 4, batch: int = 1) -> Scheduler:
    return Scheduler(CoreConfig(axons=axons, neurons=1), batch)


def _one(scheduler: Scheduler, tick: int, *axons: int) -> list[int]:
    """Events of a single sample; merged events."""
    merged: list[int] = scheduler.deposit(tick, np.array(axons, np.int64), np.ones((1, len(axons)), np.bool_)).tolist()
    return merged


@pytest.mark.parametrize("delay", range(1, 16))
def test_event_arrives_in_its_tick_and_no_other(delay: int) -> None:
    scheduler = _scheduler()
    scheduler.take(20)
    _one(scheduler, 20 + delay, 2)
    arrivals = [np.flatnonzero(scheduler.take(21 + k)[0]).tolist() for k in range(32)]
    assert arrivals == [[2] if k + 1 == delay else [] for k in range(32)]


def test_second_event_for_same_axon_merges() -> None:
    scheduler = _scheduler()
    assert _one(scheduler, 3, 1) == [0]
    assert _one(scheduler, 3, 1) == [1]
    assert scheduler.take(3).tolist() == [[False, True, False, False]]


def test_events_of_one_call_merge_too() -> None:
    scheduler = _scheduler()
    # Axon 1 three times: two of them merge. Axon 0 once.
    assert _one(scheduler, 3, 1, 0, 1, 1) == [2]
    assert scheduler.take(3).tolist() == [[True, True, False, False]]


def test_same_axon_in_another_tick_does_not_merge() -> None:
    scheduler = _scheduler()
    assert _one(scheduler, 3, 1) == [0]
    assert _one(scheduler, 4, 1) == [0]


def test_taken_event_is_no_longer_pending() -> None:
    scheduler = _scheduler()
    _one(scheduler, 3, 1)
    scheduler.take(3)
    assert _one(scheduler, 3, 1) == [0]


def test_samples_do_not_share_events() -> None:
    scheduler = _scheduler(axons=2, batch=3)
    events = np.array([[True, False, True], [False, False, False], [True, True, False]])
    # Columns for axons 0, 1, 0: sample 0 has axon 0 twice, sample 2 both axons once.
    assert scheduler.deposit(5, np.array([0, 1, 0]), events).tolist() == [1, 0, 0]
    assert scheduler.take(5).tolist() == [[True, False], [False, False], [True, True]]


def test_no_events_change_nothing() -> None:
    scheduler = _scheduler()
    assert _one(scheduler, 1) == [0]
    assert not scheduler.pending.any()


@settings(max_examples=50)
@given(st.data(), st.sampled_from([1, 5, 16, 17]), st.integers(1, 3))
def test_scheduler_is_a_set_of_events_per_tick(data: st.DataObject, axons: int, batch: int) -> None:
    scheduler = _scheduler(axons, batch)
    due: list[dict[int, set[int]]] = [{} for _ in range(batch)]
    for tick in range(data.draw(st.integers(1, 40), label="ticks")):
        for delay in data.draw(st.lists(st.integers(0, 15), max_size=4), label="delays"):
            targets = data.draw(st.lists(st.integers(0, axons - 1), max_size=6), label="axons")
            events = data.draw(
                st.lists(st.lists(st.booleans(), min_size=len(targets), max_size=len(targets)), min_size=batch, max_size=batch),
                label="events",
            )
            merged = scheduler.deposit(
                tick + delay, np.array(targets, np.int64), np.array(events, np.bool_).reshape(batch, len(targets))
            )
            for sample in range(batch):
                expected = 0
                for axon, there in zip(targets, events[sample], strict=True):
                    pending = due[sample].setdefault(tick + delay, set())
                    expected += there and axon in pending
                    pending |= {axon} if there else set()
                assert merged[sample] == expected
        taken = scheduler.take(tick)
        assert [set(np.flatnonzero(row).tolist()) for row in taken] == [due[sample].pop(tick, set()) for sample in range(batch)]
