"""What a run brings to the axons of a chip: spikes, or intensities of which the chip makes spikes. Described in ``docs/driver.md``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.random import input_index
from spikeloom.arch.registers import EVENT_AXON_BITS, EVENT_CORE_BITS, INTENSITY_BITS, Address
from spikeloom.host.bus import Access, WordsArray, event_words
from spikeloom.host.chip import input_events
from spikeloom.host.spikes import BoolArray

_CORE_SHIFT = 32 - EVENT_CORE_BITS
_INTENSITIES = 32 // INTENSITY_BITS


class Feed(ABC):
    """The input of one sample."""

    @abstractmethod
    def events(self, first: int, count: int) -> WordsArray:
        """Words for the register ``EVENT`` that are due in the ticks ``first`` to ``first + count - 1``, before the first of them."""

    @abstractmethod
    def accesses(self, first: int, count: int) -> list[Access]:
        """What else to do for these ticks."""


class SpikeFeed(Feed):
    """Spikes ``[ticks, inputs]`` of a sample, and so many ticks behind them."""

    def __init__(self, image: LoadableImage, spikes: BoolArray, drain: int) -> None:
        self._ticks = input_events(image, spikes, drain)

    def events(self, first: int, count: int) -> WordsArray:
        """See :meth:`Feed.events`."""
        words = [event_words(*pair, delay) for delay, pair in enumerate(self._ticks[first : first + count], start=1)]
        return np.concatenate([np.zeros(0, np.uint32), *words])

    def accesses(self, first: int, count: int) -> list[Access]:
        """Nothing."""
        return []


@dataclass(frozen=True, slots=True)
class Segment:
    """Inputs ``index`` to ``index + size - 1``, which lead to as many neighbouring axons of a core, all with the same offset."""

    index: int
    core: int
    axon: int
    offset: int
    size: int


def segments(image: LoadableImage) -> list[Segment]:
    """The input map in as few pieces as possible."""
    rows = np.stack([image.input_offset, image.input_core, image.input_axon, image.input_index], axis=1)
    rows = rows[np.lexsort(rows.T[::-1])]
    if not len(rows):
        return []
    step = np.diff(rows, axis=0)
    cuts = np.flatnonzero((step != [0, 0, 1, 1]).any(axis=1)) + 1
    return [
        Segment(index=int(part[0, 3]), core=int(part[0, 1]), axon=int(part[0, 2]), offset=int(part[0, 0]), size=len(part))
        for part in np.split(rows, cuts)
    ]


class IntensityFeed(Feed):
    """Intensities ``[inputs]`` of a sample, encoded on the chip in ``steps`` steps."""

    def __init__(self, parts: list[Segment], intensities: IntArray, steps: int, code: str, seed: int) -> None:
        self._parts, self._steps, self._code, self._seed = parts, steps, code, seed
        self._values = intensities.astype(np.uint8)

    def events(self, first: int, count: int) -> WordsArray:
        """None."""
        return np.zeros(0, np.uint32)

    def accesses(self, first: int, count: int) -> list[Access]:
        """See :meth:`Feed.accesses`."""
        result = []
        for part in self._parts:
            # Steps whose events are due in these ticks.
            begin = max(0, first - part.offset)
            end = min(self._steps, first + count - part.offset)
            values = self._values[part.index : part.index + part.size]
            if begin >= end or not values.any():
                continue
            # Without zeros at both ends, of which images have many.
            skip, last = np.flatnonzero(values)[[0, -1]].tolist()
            values = values[skip : last + 1]
            delay = begin + part.offset - first + 1
            at = part.axon + skip | delay << EVENT_AXON_BITS | part.core << _CORE_SHIFT
            steps = begin | (end - begin) << 16 | int(self._code == "rate") << 20
            settings = (
                [at, steps, int(input_index(np.array(part.index + skip, np.int64))), self._seed]
                if self._code == "rate"
                else [at, steps]
            )
            padded = np.zeros(-(-len(values) // _INTENSITIES) * _INTENSITIES, np.uint8)
            padded[: len(values)] = values
            result += [
                Access(Address.ENCODE_AT, np.array(settings, np.uint32)),
                Access(Address.INTENSITY, padded.view("<u4").astype(np.uint32), same=True),
            ]
        return result
