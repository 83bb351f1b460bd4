"""A bus to a chip that is the golden core: registers and memories where the memory map says they stand."""

from __future__ import annotations

from collections import deque

import numpy as np

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.memory_map import COUNTER_NAMES, delay_depth, models_and_sets, pack_neurons, regions
from spikeloom.arch.registers import Address, constants
from spikeloom.host.bus import Bus, WordsArray
from tests.helpers import LoneCore


class FakeBus(Bus):
    """A chip of a geometry.

    Attributes
    ----------
    registers : dict of int to int
        Constant registers; a test may change them.
    writes : list of int
        Every address written to.
    stuck_bits : dict of int to int
        Bits that read as 1, by address.
    busy_for : int or None
        Reads of STATUS that say "busy" after each tick and clear; None: all of them.
    ticks_ahead : int
        How far the tick of an output event is wrong.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config.cores[0]
        self.registers = {int(address): word for address, word in constants(config).items()}
        self.writes: list[int] = []
        self.stuck_bits: dict[int, int] = {}
        self.busy_for: int | None = 0
        self.ticks_ahead = 0
        self.closed = False
        self._busy = 0
        self._regions = {int(region.id): region for region in regions(self.config).values()}
        self._memory = {
            name: np.zeros((region.depth, region.layout.slices), np.uint32) for name, region in regions(self.config).items()
        }
        self._core: LoneCore | None = None
        self._outputs: deque[int] = deque()

    # What the driver sees ------------------------------------------------------------------------------------------------

    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        words = [self._read(address if same else address + k) for k in range(count)]
        return np.array(words, np.uint32)

    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        assert words.dtype == np.uint32
        for k, word in enumerate(words.tolist()):
            self._write(address if same else address + k, word)

    def close(self) -> None:
        self.closed = True

    # Registers -------------------------------------------------------------------------------------------------------------

    def _read(self, address: int) -> int:
        if address >> 24 == 1:
            name, word, slice_ = self._place(address)
            return int(self._contents(name)[word, slice_]) | self.stuck_bits.get(address, 0)
        if address in self.registers:
            return self.registers[address]
        if address == Address.MISROUTED:
            return int(self._chip().chip.misrouted[0])
        if address == Address.STATUS:
            busy = self.busy_for is None or self._busy > 0
            self._busy = max(0, self._busy - 1)
            return int(busy) | bool(self._outputs) << 1
        assert address == Address.OUTPUT, hex(address)
        return self._outputs.popleft() if self._outputs else 0

    def _write(self, address: int, word: int) -> None:
        self.writes.append(address)
        if address >> 24 == 1:
            name, index, slice_ = self._place(address)
            self._memory[name][index, slice_] = word
            self._core = None
        elif address == Address.CLEAR:
            self._chip().clear()
            self._outputs.clear()
            self._busy = self.busy_for or 0
        elif address == Address.EVENT:
            self._chip().inject(np.array([word & 0xFFFF]), np.ones((1, 1), np.bool_), word >> 16 & 15)
        else:
            assert address == Address.RUN, hex(address)
            self._run(word)

    def _run(self, ticks: int) -> None:
        core = self._chip()
        for _ in range(ticks):
            stamp = core.ticks + self.ticks_ahead & 0x7FFF
            _, numbers, sent = core.tick()
            self._outputs.extend(1 << 31 | stamp << 16 | number for number in numbers[sent[0]].tolist())
        self._busy = self.busy_for or 0

    # Memories --------------------------------------------------------------------------------------------------------------

    def _place(self, address: int) -> tuple[str, int, int]:
        region = self._regions[address >> 20 & 15]
        word, slice_ = divmod(address & 0xF_FFFF, region.stride)
        assert word < region.depth, hex(address)
        return region.name, word, slice_

    def _chip(self) -> LoneCore:
        if self._core is None:
            self._core = LoneCore(self.config, self._memory)
        return self._core

    def _contents(self, name: str) -> WordsArray:
        core, config = self._chip(), self.config
        layout = next(region.layout for region in self._regions.values() if region.name == name)
        if name == "state":
            region = regions(config)["state"]
            fields = [{field.name: core.state[field.name][0] for field in model.state_fields()} for model in config.models]
            return pack_neurons(region, fields, models_and_sets(config, self._memory.get("kinds"))[0])
        if name == "delays":
            slots = np.zeros((16, delay_depth(config)), np.int64)  # 16 axons in each of depth / 16 words
            slots[:, : config.axons] = core.scheduler.pending[:, 0]
            return layout.pack({"pending": slots.reshape(-1, 16)})
        if name == "counters":
            values = {"ticks": core.ticks, "cycles": 1000 * core.ticks}
            names = [n for n in COUNTER_NAMES if n not in values]
            return layout.pack({"value": [*values.values(), *(int(getattr(core, n)[0]) for n in names)]})
        return self._memory[name]
