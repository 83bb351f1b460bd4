"""A bus: how a driver reaches the registers and memories of a chip, whatever lies between."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import LinkError
from spikeloom.arch.layout import BUS_WORD_BITS, IntArray
from spikeloom.arch.registers import EVENT_AXON_BITS, OUTPUT_NUMBER_BITS, OUTPUT_TICK_BITS, Address

WordsArray = npt.NDArray[np.uint32]

#: Words read at once from the output queue.
OUTPUT_CHUNK = 16
#: Times the status register is read before a run counts as hung.
POLL_LIMIT = 100_000


class Bus(ABC):
    """Registers and memories by address."""

    @abstractmethod
    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """Read ``count`` words from ``address`` on, or ``count`` times from it."""

    @abstractmethod
    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """Write words from ``address`` on, or all to it."""

    def close(self) -> None:  # noqa: B027 (most have nothing to let go of)
        """Let go of what is on the other side."""

    def tick(self, axons: IntArray) -> IntArray:
        """Inject events for the next tick, run it, and return its output events.

        Parameters
        ----------
        axons : int64 array
            Axons with an event due in this tick.

        Returns
        -------
        int64 array ``[K, 2]``
            Tick number (modulo 2**15) and output number of each output event, in order.

        Raises
        ------
        LinkError
            If the chip does not finish.
        """
        if len(axons):
            self.write(Address.EVENT, (axons | 1 << EVENT_AXON_BITS).astype(np.uint32), same=True)
        self.write(Address.RUN, np.ones(1, np.uint32))
        events: list[WordsArray] = []
        for _ in range(POLL_LIMIT):
            busy = int(self.read(Address.STATUS, 1)[0]) & 1
            words = self.read(Address.OUTPUT, OUTPUT_CHUNK, same=True)
            events.append(words[words != 0])
            if not busy and words[-1] == 0:
                return decode_outputs(np.concatenate(events))
        raise LinkError(f"the chip was still busy after {POLL_LIMIT} polls")


def decode_outputs(words: WordsArray) -> IntArray:
    """Words of the OUTPUT register as ``[K, 2]``: tick number, output number."""
    values = words.astype(np.int64)
    tick = values >> OUTPUT_NUMBER_BITS & ((1 << OUTPUT_TICK_BITS) - 1)
    return np.stack([tick, values & ((1 << OUTPUT_NUMBER_BITS) - 1)], axis=1)


assert OUTPUT_NUMBER_BITS + OUTPUT_TICK_BITS + 1 == BUS_WORD_BITS
