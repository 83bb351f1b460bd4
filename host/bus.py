"""A bus: how a driver reaches the registers and memories of a chip, whatever lies between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import DELAY_BITS
from spikeloom.arch.errors import InputError, LinkError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.registers import (
    EVENT_AXON_BITS,
    EVENT_CORE_BITS,
    OUTPUT_ENTRIES,
    OUTPUT_TICK_BITS,
    OUTPUT_WINDOW,
    Address,
)

WordsArray = npt.NDArray[np.uint32]

#: Times the status register is read until the chip must be idle.
IDLE_POLLS = 10_000
#: Times the status register is read before a run counts as hung.
POLL_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Access:
    """What to do at an address: write ``words``, or read ``count`` words.

    Parameters
    ----------
    address : int
        First address.
    words : uint32 array or None
        To write; None: read.
    count : int
        Words to read.
    same : bool
        All from, or to, the first address.
    overwrites : bool
        It changes what accesses before it read, so that they cannot be read again once it is done. So does a start of ticks behind a read
        that waits for the chip to be idle.
    """

    address: int
    words: WordsArray | None = None
    count: int = 0
    same: bool = False
    overwrites: bool = False


class Interrupted(Exception):
    """Something read was lost, and cannot be read again: do it all again, from what overwrites it on."""


class Bus(ABC):
    """Registers and memories by address.

    Attributes
    ----------
    ticks_at_once : int
        Ticks that should be run by one call of :meth:`tick`: more than one where each request takes long.
    """

    ticks_at_once = 1
    #: Whether :meth:`transact` has several requests under way, so that what can be asked without knowing the answers before should be.
    pipelined = False
    #: Tick of the outputs that come next from the output memory.
    _stamp = 0

    @abstractmethod
    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """Read ``count`` words from ``address`` on, or ``count`` times from it."""

    @abstractmethod
    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """Write words from ``address`` on, or all to it."""

    def transact(self, accesses: Iterable[Access]) -> Iterator[WordsArray]:
        """Do one thing after the other, and give what each read (nothing for a write), in order.

        Where requests are pipelined, later accesses are under way before the results of earlier ones are known.

        Raises
        ------
        Interrupted
            If something that was read is lost, and an access that overwrites it was under way. Never, if no access overwrites.
        """
        for access in accesses:
            if access.words is None:
                yield self.read(access.address, access.count, same=access.same)
            else:
                self.write(access.address, access.words, same=access.same)
                yield np.zeros(0, np.uint32)

    def settle(self) -> None:
        """Wait until the chip is idle.

        Raises
        ------
        LinkError
            If it stays busy.
        """
        for _ in range(IDLE_POLLS):
            if not int(self.read(Address.STATUS, 1)[0]) & 1:
                return
        raise LinkError(f"the chip was still busy after its status was read {IDLE_POLLS} times; is a neighbouring chip missing?")

    def reset(self) -> None:
        """Reset the chip, where that is possible, and wait until it is idle. Memories keep their contents."""
        self.settle()

    def close(self) -> None:  # noqa: B027 (most have nothing to let go of)
        """Let go of what is on the other side."""

    @property
    def tiles(self) -> list[Bus]:
        """A bus for each chip behind this one."""
        return [self]

    def take_outputs(self) -> IntArray:
        """Empty the output queue.

        Returns
        -------
        int64 array ``[K, 2]``
            Tick number (modulo 2**15) and output number of each output event, in order.
        """
        places = int(self.read(Address.OUTPUTS, 1)[0])
        written, taken = places & 0xFFFF, places >> 16
        if written == taken:
            return np.zeros((0, 2), np.int64)
        entries = self.transact([outputs_access(taken, written)])
        result, self._stamp = decode_entries(entries_of(next(entries), taken, written), self._stamp)
        self.write(Address.OUTPUTS, np.array([written], np.uint32))
        return result

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
        came: list[IntArray] = []
        for _ in range(POLL_LIMIT):
            busy = int(self.read(Address.STATUS, 1)[0]) & 1
            came.append(self.take_outputs())
            if not busy:
                return np.concatenate(came)
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


def outputs_access(taken: int, written: int) -> Access:
    """Reads the entries of the output memory from the one with number ``taken`` to the one before ``written``."""
    first = taken % OUTPUT_ENTRIES // 2
    count = (taken % 2 + (written - taken) % (1 << 16) + 1) // 2
    return Access(OUTPUT_WINDOW + first, count=count)


def entries_of(words: WordsArray, taken: int, written: int) -> IntArray:
    """The entries in what :func:`outputs_access` read."""
    halves = np.stack([words & 0xFFFF, words >> 16], axis=1).astype(np.int64).reshape(-1)
    return halves[taken % 2 :][: (written - taken) % (1 << 16)]


def decode_entries(entries: IntArray, stamp: int) -> tuple[IntArray, int]:
    """Entries of the output queue as ``[K, 2]``: tick number, output number; and the tick of the entries that follow.

    Parameters
    ----------
    entries : int64 array
        In order.
    stamp : int
        Tick of the first entries, if no entry before them says it.
    """
    is_tick = entries >> OUTPUT_TICK_BITS == 1
    stamps = np.concatenate([[stamp], entries[is_tick] & ((1 << OUTPUT_TICK_BITS) - 1)])
    ticks = stamps[np.cumsum(is_tick)]
    return np.stack([ticks[~is_tick], entries[~is_tick]], axis=1), int(stamps[-1])
