"""One long sample, tick by tick: input rows to events, output events to rows. Described in ``docs/driver.md``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.host.spikes import BoolArray, check_row

#: Cores and axons of the events due in a tick.
Events = tuple[IntArray, IntArray]


class StreamRows:
    """Rows on their way through a chip.

    Parameters
    ----------
    image : LoadableImage
        For its maps of inputs and outputs.
    """

    def __init__(self, image: LoadableImage) -> None:
        self._image = image
        self._offsets: list[int] = np.unique(image.input_offset).tolist()
        # Output rows that are not complete, from the row ``_done`` on.
        self._open: deque[BoolArray] = deque()
        self._done = 0

    def feeds(self, rows: Iterable[npt.ArrayLike], batch: int) -> Iterator[tuple[int, list[Events]]]:
        """First tick and events of each batch of ticks; silence follows the last row until the last output has come."""
        image = self._image
        silence = np.zeros(image.input_size, np.bool_)
        # Earlier rows that are still to come to some axons.
        history: deque[BoolArray] = deque(maxlen=max(self._offsets, default=0) + 1)
        gathered: list[Events] = []
        tick = 0
        for row in chain((check_row(row, image.input_size) for row in rows), [None] * image.drain):
            if row is None:
                history.append(silence)
            else:
                history.append(row)
                self._open.append(np.zeros(image.output_size, np.bool_))
            found = [
                np.flatnonzero((image.input_offset == offset) & history[-1 - offset][image.input_index])
                for offset in self._offsets
                if offset < len(history)
            ]
            due = np.concatenate([np.zeros(0, np.int64), *found])
            gathered.append((image.input_core[due], image.input_axon[due]))
            tick += 1
            if len(gathered) == batch:
                yield tick - batch, gathered
                gathered = []
        if gathered:
            yield tick - len(gathered), gathered

    def complete(self, ticks: int, came: IntArray) -> Iterator[BoolArray]:
        """Note outputs ``[K, 2]`` (tick and number), and give the rows that are complete after so many ticks."""
        rows = came[:, 0] - self._image.output_shift[came[:, 1]] - self._done
        for row, number in zip(rows.tolist(), came[:, 1].tolist(), strict=True):
            if 0 <= row < len(self._open):
                self._open[row][number] = True
        while self._open and self._done + self._image.drain < ticks:
            self._done += 1
            yield self._open.popleft()
