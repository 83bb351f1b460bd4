"""A bus: how a driver reaches the registers and memories of a chip, whatever lies between."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import DELAY_BITS
from spikeloom.arch.errors import InputError, LinkError
from spikeloom.arch.layout import BUS_WORD_BITS, IntArray
from spikeloom.arch.registers import EVENT_AXON_BITS, EVENT_CORE_BITS, OUTPUT_NUMBER_BITS, OUTPUT_TICK_BITS, Address

WordsArray = npt.NDArray[np.uint32]

#: Words read at once from the output queue.
OUTPUT_CHUNK = 16
#: Times the status register is read before a run counts as hung.
POLL_LIMIT = 100_000


class Bus(ABC):
    """Registers and memories by address.

    Attributes
    ----------
    ticks_at_once : int
        Ticks that should be run by one call of :meth:`tick`: more than one where each request takes long.
    """

    ticks_at_once = 1

    @abstractmethod
    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """Read ``count`` words from ``address`` on, or ``count`` times from it."""

    @abstractmethod
    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """Write words from ``address`` on, or all to it."""

    def close(self) -> None:  # noqa: B027 (most have nothing to let go of)
        """Let go of what is on the other side."""

    @property
    def tiles(self) -> list[Bus]:
        """A bus for each chip behind this one."""
        return [self]

    def counter(self, address: int) -> int:
        """Value of a register that counts, over all chips."""
        return int(self.read(address, 1)[0])

    def take_outputs(self) -> WordsArray:
        """Empty the output queue: words of the ``OUTPUT`` register, in order."""
        parts: list[WordsArray] = []
        while True:
            words = self.read(Address.OUTPUT, OUTPUT_CHUNK, same=True)
            parts.append(words[words != 0])
            if words[-1] == 0:
                return np.concatenate(parts)

    def write_events(self, events: WordsArray) -> None:
        """Inject events: words for the register ``EVENT``."""
        if len(events):
            self.write(Address.EVENT, events, same=True)

    def tick(self, events: WordsArray, count: int = 1) -> IntArray:
        """Inject events, run the next ticks, and return their output events.

        Parameters
        ----------
        events : uint32 array
            Words for the register ``EVENT``; see :func:`event_words`.
        count : int
            Ticks to run.

        Returns
        -------
        int64 array ``[K, 2]``
            Tick number (modulo 2**15) and output number of each output event, in order.

        Raises
        ------
        LinkError
            If the chip does not finish.
        """
        self.write_events(events)
        self.write(Address.RUN, np.array([count], np.uint32))
        words: list[WordsArray] = []
        for _ in range(POLL_LIMIT):
            busy = int(self.read(Address.STATUS, 1)[0]) & 1
            words.append(self.take_outputs())
            if not busy:
                return decode_outputs(np.concatenate(words))
        raise LinkError(f"the chip was still busy after {POLL_LIMIT} polls")


def event_words(cores: IntArray, axons: IntArray, delay: IntArray | int = 1) -> WordsArray:
    """Words of the ``EVENT`` register: events for axons of cores, due ``delay`` ticks after the last tick.

    Whether the chip has the core and the axon is for the chip to say; it counts events with delay 0 as dropped.

    Raises
    ------
    InputError
        If a number does not fit its part of the word.
    """
    fields = (("core", cores, EVENT_CORE_BITS), ("axon", axons, EVENT_AXON_BITS), ("delay", np.asarray(delay), DELAY_BITS))
    for name, values, bits in fields:
        if values.size and (values.min() < 0 or values.max() >> bits):
            wrong = values[(values < 0) | (values >> bits > 0)].flat[0]
            raise InputError(f"an event has the {name} {wrong}; it must be 0 to {(1 << bits) - 1}")
    return (axons | np.int64(1) * delay << EVENT_AXON_BITS | cores << (EVENT_AXON_BITS + DELAY_BITS)).astype(np.uint32)


def decode_outputs(words: WordsArray) -> IntArray:
    """Words of the OUTPUT register as ``[K, 2]``: tick number, output number."""
    values = words.astype(np.int64)
    tick = values >> OUTPUT_NUMBER_BITS & ((1 << OUTPUT_TICK_BITS) - 1)
    return np.stack([tick, values & ((1 << OUTPUT_NUMBER_BITS) - 1)], axis=1)


assert OUTPUT_NUMBER_BITS + OUTPUT_TICK_BITS + 1 == BUS_WORD_BITS
