"""Entries of the output memory, as every bus reads them."""

from __future__ import annotations

import numpy as np
import pytest

from spikeloom.host.bus import decode_entries, entries_of, outputs_access
from tests.helpers import relay_image
from tests.host.fake_bus import FakeBus


def test_entries_are_numbers_and_before_them_their_tick() -> None:
    # Bit 15: a tick. Output 3 of the tick before; 0 and 7 of tick 5; nothing of tick 6; 2 of tick 32767.
    entries = np.array([3, 0x8005, 0, 7, 0x8006, 0xFFFF, 2])
    came, stamp = decode_entries(entries, 4)
    assert came.tolist() == [[4, 3], [5, 0], [5, 7], [32767, 2]]
    assert stamp == 32767
    came, stamp = decode_entries(np.zeros(0, np.int64), 9)
    assert (came.shape, stamp) == ((0, 2), 9)


@pytest.mark.parametrize("taken", [0, 1, 2, 253, 255, 256, 257, 65_535])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 254, 255, 256])
def test_the_window_holds_all_entries_wherever_they_begin(taken: int, count: int) -> None:
    """An entry's place is its number modulo 256, two stand in a word, and the memory appears twice."""
    memory = np.zeros(256, np.uint32)
    expected = (1 + np.arange(count)) * 17
    memory[(taken + np.arange(count)) % 256] = expected
    window = np.tile(memory[::2] | memory[1::2] << 16, 2)
    written = (taken + count) % 65_536
    access = outputs_access(taken, written)
    read = window[access.address - 0x100 :][: access.count]
    # More than the window holds is never asked for.
    assert len(read) == access.count == -(-(taken % 2 + count) // 2)
    assert entries_of(read, taken, written).tolist() == expected.tolist()


def test_outputs_that_came_in_the_middle_of_a_tick_keep_its_number() -> None:
    """The tick stands before its first output only, and may have been taken before the others came."""
    bus = FakeBus(relay_image().config)
    bus._outputs += [0x8007, 1]
    bus._store()
    assert bus.take_outputs().tolist() == [[7, 1]]
    bus._outputs += [0, 0x8008, 1]
    bus._store()
    assert bus.take_outputs().tolist() == [[7, 0], [8, 1]]
    assert bus.take_outputs().shape == (0, 2)
