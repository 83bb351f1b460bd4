"""What a run brings to the axons: events and settings of the encoder, cut into pieces of ticks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikeloom.arch.config import ENCODERS
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.random import INDEX_STEP
from spikeloom.arch.registers import Address
from spikeloom.golden.encoder import phase, rate
from spikeloom.host.feed import IntensityFeed, Segment, SpikeFeed, segments
from spikeloom.sim.faults import CONFIG, campaign_image
from tests.host.fake_bus import rate_of_index

AXONS = CONFIG.cores[0].axons


def _image(index: list[int], axon: list[int], offset: list[int]) -> LoadableImage:
    image = campaign_image(1, max(offset, default=0))
    return dataclasses.replace(
        image,
        input_index=np.array(index, np.int64),
        input_core=np.zeros(len(index), np.int64),
        input_axon=np.array(axon, np.int64),
        input_offset=np.array(offset, np.int64),
    )


# Spikes ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 4, 15])
@pytest.mark.parametrize("shift", [0, 2])
def test_every_spike_is_due_once_at_its_tick(count: int, shift: int) -> None:
    image = campaign_image(2, shift)
    spikes = np.random.default_rng(1).random((20, AXONS)) < 0.3
    feed = SpikeFeed(image, spikes, image.drain)
    due = []
    for first in range(0, 20 + shift, count):
        words = feed.events(first, min(count, 20 + shift - first)).tolist()
        assert not feed.accesses(first, count)
        # The delay of an event counts from the tick before the first.
        due += [(first + (word >> 16 & 15) - 1, word & 0xFFFF) for word in words]
        assert all(1 <= word >> 16 & 15 <= count for word in words)
    expected = [
        (tick + int(image.input_offset[number]), int(image.input_axon[number]))
        for number, column in enumerate(image.input_index.tolist())
        for tick in np.flatnonzero(spikes[:, column]).tolist()
        if tick + image.input_offset[number] < 20 + shift
    ]
    assert sorted(due) == sorted(expected)
    assert len(set(due)) == len(due)


def test_silence_has_no_events() -> None:
    image = campaign_image(2, 0)
    feed = SpikeFeed(image, np.zeros((5, AXONS), np.bool_), 0)
    assert feed.events(0, 5).tolist() == []
    assert feed.events(0, 5).dtype == np.uint32


# Segments --------------------------------------------------------------------------------------------------------------------


def test_neighbours_make_one_segment() -> None:
    assert segments(_image(list(range(10)), list(range(3, 13)), [0] * 10)) == [Segment(0, 0, 3, 0, 10)]


def test_gaps_other_offsets_and_other_orders_cut() -> None:
    # Columns 0-2 to axons 4-6; 3 with a gap at 8; 4 to 9 a tick later; 5 and 6 swapped at 1 and 0.
    image = _image([0, 1, 2, 3, 4, 5, 6], [4, 5, 6, 8, 9, 1, 0], [0, 0, 0, 0, 1, 0, 0])
    assert segments(image) == [
        Segment(6, 0, 0, 0, 1), Segment(5, 0, 1, 0, 1), Segment(0, 0, 4, 0, 3), Segment(3, 0, 8, 0, 1), Segment(4, 0, 9, 1, 1),
    ]  # fmt: skip


def test_the_order_of_the_map_does_not_matter_and_columns_may_be_used_again() -> None:
    image = _image([1, 0, 2, 1], [6, 5, 7, 12], [0] * 4)
    assert segments(image) == [Segment(0, 0, 5, 0, 3), Segment(1, 0, 12, 0, 1)]


def test_two_columns_of_one_axon_are_two_segments() -> None:
    parts = segments(_image([0, 1], [5, 5], [0, 0]))
    assert sorted((part.index, part.axon, part.size) for part in parts) == [(0, 5, 1), (1, 5, 1)]


def test_an_image_without_inputs_has_none() -> None:
    assert segments(_image([], [], [])) == []


# Intensities -----------------------------------------------------------------------------------------------------------------


class Encoder:
    """What the registers do, by hand: which axons get an event at which delay."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {}

    def write(self, address: int, words: list[int], same: bool, code: str) -> list[tuple[int, int]]:
        events = []
        for number, word in enumerate(words):
            place = address if same else address + number
            if place != Address.INTENSITY:
                self.registers[place] = word
                continue
            for value in word.to_bytes(4, "little"):
                at, steps = self.registers[Address.ENCODE_AT], self.registers[Address.ENCODE_STEPS]
                first, count = steps & 0xFFFF, steps >> 16 & 15
                assert steps >> 20 == (code == "rate")
                if code == "phase":
                    fires = phase(np.array([value]), first + count)[:, 0]
                else:
                    index = self.registers[Address.ENCODE_INDEX]
                    fires = rate_of_index(value, first + count, self.registers[Address.ENCODE_SEED], index)
                    self.registers[Address.ENCODE_INDEX] = (index + INDEX_STEP) % (1 << 32)
                events += [((at >> 16 & 15) + int(k), at & 0xFFFF) for k in np.flatnonzero(fires[first:])]
                self.registers[Address.ENCODE_AT] += 1
        return events


@pytest.mark.parametrize("code", ENCODERS[1:])
@pytest.mark.parametrize("count", [1, 4, 15])
@pytest.mark.parametrize(("shift", "steps"), [(0, 1), (2, 20), (2, 1)])
def test_intensities_make_the_events_of_their_spikes(code: str, count: int, shift: int, steps: int) -> None:
    """However the ticks are cut, and with inputs whose offsets differ."""
    image = campaign_image(5, shift)
    rng = np.random.default_rng(3)
    values = rng.integers(0, 256, AXONS) * (rng.random(AXONS) < 0.7)
    spikes = phase(values, steps) if code == "phase" else rate(values, steps, 99)
    feed = IntensityFeed(segments(image), values, steps, code, 99)
    plain = SpikeFeed(image, spikes, image.drain)
    encoder, seen = Encoder(), 0
    for first in range(0, steps + shift, count):
        ticks = min(count, steps + shift - first)
        events: list[tuple[int, int]] = []
        for access in feed.accesses(first, ticks):
            assert not access.overwrites
            assert access.words is not None
            events += encoder.write(access.address, access.words.tolist(), access.same, code)
        assert feed.events(first, ticks).tolist() == []
        expected = [(word >> 16 & 15, word & 0xFFFF) for word in plain.events(first, ticks).tolist()]
        assert sorted(events) == sorted(expected)
        seen += len(events)
    assert seen


def test_what_does_not_fire_is_not_sent() -> None:
    image = _image(list(range(AXONS)), list(range(AXONS)), [0] * AXONS)
    assert IntensityFeed(segments(image), np.zeros(AXONS, np.int64), 9, "rate", 1).accesses(0, 9) == []
    # Nor what was over before these ticks, or begins after them.
    values = np.full(AXONS, 200)
    late = IntensityFeed([Segment(0, 0, 0, 12, AXONS)], values, 3, "phase", 0)
    assert [len(late.accesses(first, 5)) for first in (0, 5, 10, 15, 20)] == [0, 0, 2, 0, 0]


def test_four_intensities_stand_in_a_word_and_the_last_is_filled_up() -> None:
    feed = IntensityFeed([Segment(2, 1, 7, 0, 5)], np.arange(249, 259) % 256, 3, "rate", 0xDEAD_BEEF)
    settings, values = feed.accesses(0, 3)
    assert (settings.address, settings.same) == (Address.ENCODE_AT, False)
    # Core 1, delay 1, axon 7; step 0, 3 steps, rate; index of input 2; seed.
    assert settings.words is not None
    assert settings.words.tolist() == [0x0011_0007, 0x0013_0000, 2 * INDEX_STEP % (1 << 32), 0xDEAD_BEEF]
    assert (values.address, values.same) == (Address.INTENSITY, True)
    assert values.words is not None
    # 251, 252, 253, 254, 255.
    assert values.words.tolist() == [0xFEFD_FCFB, 0x0000_00FF]


def test_zeros_at_both_ends_are_not_sent() -> None:
    feed = IntensityFeed([Segment(2, 1, 7, 0, 8)], np.array([9, 9, 0, 0, 5, 0, 6, 0, 0, 0, 9]), 3, "rate", 1)
    settings, values = feed.accesses(0, 3)
    assert settings.words is not None
    assert values.words is not None
    assert settings.words.tolist() == [0x0011_0009, 0x0013_0000, 4 * INDEX_STEP % (1 << 32), 1]
    assert values.words.tolist() == [0x0006_0005]
