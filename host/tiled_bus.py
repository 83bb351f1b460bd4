"""One bus over several chips that share a mesh. Described in ``docs/mesh.md``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeloom.arch.config import DELAY_BITS, ChipConfig
from spikeloom.arch.errors import LinkError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import SPACE_SHIFT
from spikeloom.arch.registers import EVENT_AXON_BITS, Address
from spikeloom.host.bus import POLL_LIMIT, Bus, WordsArray

#: Registers that count.
COUNTERS = (Address.LINK_ERRORS, Address.OVERRUNS, Address.MISROUTED, Address.MESH_ERRORS, Address.MESH_REPEATS)
_CORE_SHIFT = EVENT_AXON_BITS + DELAY_BITS


class TiledBus(Bus):
    """Cores have the numbers that they have in the whole mesh; a register belongs to all chips.

    Reading a register gives the sum over the chips where it counts, else the OR, which suits ``STATUS`` and whatever is equal in all.
    Reading outputs this way would mix them, so :meth:`tick` asks each chip.

    Parameters
    ----------
    config : ChipConfig
        The whole mesh.
    tiles : sequence of Bus
        One for each chip, row by row.
    """

    def __init__(self, config: ChipConfig, tiles: Sequence[Bus]) -> None:
        self._tiles = list(tiles)
        place: list[tuple[int, int]] = [(-1, -1)] * len(config.cores)
        for tile in range(len(tiles)):
            for local, core in enumerate(config.tile_cores(tile)):
                place[core] = (tile, local)
        assert (-1, -1) not in place
        #: Chip of each core, and its number there.
        self.place = np.array(place, np.int64)

    @property
    def tiles(self) -> list[Bus]:
        """See :attr:`Bus.tiles`."""
        return self._tiles

    def _local(self, address: int) -> tuple[Bus, int]:
        tile, core = self.place[(address >> SPACE_SHIFT) - 1].tolist()
        return self._tiles[tile], (core + 1) << SPACE_SHIFT | address & ((1 << SPACE_SHIFT) - 1)

    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """See :meth:`Bus.read`."""
        if address >> SPACE_SHIFT:
            bus, local = self._local(address)
            return bus.read(local, count, same=same)
        words = np.array([bus.read(address, count, same=same) for bus in self._tiles])
        result: WordsArray = np.bitwise_or.reduce(words)
        counts = np.isin(address + (0 if same else np.arange(count)), COUNTERS)
        result[counts] = words[:, counts].sum(axis=0, dtype=np.uint32)
        return result

    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """See :meth:`Bus.write`."""
        if address >> SPACE_SHIFT:
            bus, local = self._local(address)
            bus.write(local, words, same=same)
            return
        for bus in self._tiles:
            bus.write(address, words, same=same)

    def write_events(self, events: WordsArray) -> None:
        """See :meth:`Bus.write_events`."""
        tile, core = self.place[events >> _CORE_SHIFT].T
        for number, bus in enumerate(self._tiles):
            chosen = tile == number
            if chosen.any():
                local = events[chosen] & np.uint32((1 << _CORE_SHIFT) - 1) | (core[chosen] << _CORE_SHIFT).astype(np.uint32)
                bus.write_events(local)

    def tick(self, events: WordsArray, count: int = 1) -> IntArray:
        """See :meth:`Bus.tick`. The chips wait for each other, so all must be told to run before any is asked for its outputs."""
        self.write_events(events)
        self.write(Address.RUN, np.array([count], np.uint32))
        came: list[IntArray] = []
        for _ in range(POLL_LIMIT):
            # An output may go to any chip, until the last one has ended the tick.
            finished = not any(int(bus.read(Address.STATUS, 1)[0]) & 1 for bus in self._tiles)
            for bus in self._tiles:
                came.append(bus.take_outputs())
            if finished:
                return np.concatenate(came)
        raise LinkError(f"the chips were still busy after {POLL_LIMIT} polls")

    def close(self) -> None:
        """Close all."""
        for bus in self._tiles:
            bus.close()
