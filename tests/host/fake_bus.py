"""A bus to a chip that is the golden core: registers and memories where the memory map says they stand."""

from __future__ import annotations

from collections import deque

import numpy as np

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.memory_map import COUNTER_NAMES, OFFSET_MASK, REGION_SHIFT, delay_depth, models_and_sets, pack_neurons, regions
from spikeloom.arch.random import INDEX_STEP, key_of_tick, random_numbers
from spikeloom.arch.registers import INTENSITY_SCALE, OUTPUT_ENTRIES, OUTPUT_WINDOW, OUTPUT_WINDOW_WORDS, Address, constants
from spikeloom.golden.encoder import phase
from spikeloom.host.bus import Bus, WordsArray
from tests.helpers import LoneCore

#: Registers that hold what was written; first those of the encoder.
SETTINGS = (
    Address.ENCODE_AT, Address.ENCODE_STEPS, Address.ENCODE_INDEX, Address.ENCODE_SEED, Address.READOUT, Address.PERIOD,
)  # fmt: skip


def rate_of_index(value: int, steps: int, seed: int, index: int) -> np.ndarray:
    """Whether an intensity with an index fires in each step (``docs/encoder.md``)."""
    numbers = [int(random_numbers(key_of_tick(seed, step), np.array([index]))[0]) for step in range(steps)]
    return np.array([INTENSITY_SCALE * (number >> 16) < value << 16 for number in numbers])


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
    overruns : int
        Ticks of each run that take longer than PERIOD.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config, self.encoder = config.cores[0], config.encoder
        self.registers = {int(address): word for address, word in constants(config).items()}
        self.writes: list[int] = []
        self.stuck_bits: dict[int, int] = {}
        self.busy_for: int | None = 0
        self.ticks_ahead = self.overruns = 0
        self.closed = False
        self._busy = 0
        self._regions = {int(region.id): region for region in regions(self.config).values()}
        self._memory = {
            name: np.zeros((region.depth, region.layout.slices), np.uint32) for name, region in regions(self.config).items()
        }
        self._core: LoneCore | None = None
        self._settings = {int(address): 0 for address in SETTINGS}
        #: Entries that wait until there is room for them.
        self._outputs: deque[int] = deque()
        self._entries = np.zeros(OUTPUT_ENTRIES, np.uint32)
        self._written = self._taken = self._overran = 0

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
        if OUTPUT_WINDOW <= address < OUTPUT_WINDOW + OUTPUT_WINDOW_WORDS:
            low, high = self._entries[2 * (address - OUTPUT_WINDOW) % OUTPUT_ENTRIES :][:2].tolist()
            return low | high << 16
        if address == Address.OUTPUTS:
            return self._written | self._taken << 16
        busy = self.busy_for is None or self._busy > 0 or bool(self._outputs)
        self._busy = max(0, self._busy - 1)
        if address == Address.STATUS:
            return int(busy) | (self._written != self._taken) << 1
        if address == Address.SETTLED:
            # A real chip waits here.
            assert not self._outputs, "the outputs do not fit their memory, and nobody takes them"
            return self._written | self._taken << 16
        if address == Address.OVERRUNS:
            return self._overran
        assert address in (Address.READOUT, Address.PERIOD), hex(address)
        return self._settings[address]

    def _write(self, address: int, word: int) -> None:
        self.writes.append(address)
        if address >> 24 == 1:
            name, index, slice_ = self._place(address)
            self._memory[name][index, slice_] = word
            self._core = None
        elif address == Address.CLEAR:
            self._chip().clear()
            self._outputs.clear()
            self._written = self._taken = self._overran = 0
            if self._settings[Address.READOUT]:
                self._entries[:] = 0
            self._busy = self.busy_for or 0
        elif address == Address.EVENT:
            self._inject(word & 0xFFFF, word >> 16 & 15)
        elif address == Address.OUTPUTS:
            self._taken = word & 0xFFFF
            self._store()
        elif address == Address.INTENSITY:
            for value in word.to_bytes(4, "little"):
                self._encode(value)
        elif address in SETTINGS:
            self._settings[address] = word
        else:
            assert address == Address.RUN, hex(address)
            self._run(word)

    def _inject(self, axon: int, delay: int) -> None:
        self._chip().inject(np.array([axon]), np.ones((1, 1), np.bool_), delay)

    def _encode(self, value: int) -> None:
        at, steps, index, seed = (self._settings[address] for address in SETTINGS[:4])
        first, count, is_rate = steps & 0xFFFF, steps >> 16 & 15, bool(steps >> 20)
        assert self.encoder == "rate" or (self.encoder == "phase" and not is_rate)
        fires = rate_of_index(value, first + count, seed, index) if is_rate else phase(np.array([value]), first + count)[:, 0]
        for number in np.flatnonzero(fires[first:]).tolist():
            delay = (at >> 16 & 15) + number
            assert delay <= 15
            self._inject(at & 0xFFFF, delay)
        self._settings[Address.ENCODE_AT] += 1
        self._settings[Address.ENCODE_INDEX] = (index + INDEX_STEP) % (1 << 32)

    def _run(self, ticks: int) -> None:
        core = self._chip()
        for _ in range(ticks):
            stamp = core.ticks + self.ticks_ahead & 0x7FFF
            _, numbers, sent = core.tick()
            came = numbers[sent[0]].tolist()
            if self._settings[Address.READOUT]:
                for number in came:
                    self._entries[number] += 1
            elif came:
                self._outputs += [1 << 15 | stamp, *came]
        if self._settings[Address.PERIOD]:
            self._overran += self.overruns
        self._store()
        self._busy = self.busy_for or 0

    def _store(self) -> None:
        while self._outputs and (self._written - self._taken) % (1 << 16) < OUTPUT_ENTRIES - 1:
            self._entries[self._written % OUTPUT_ENTRIES] = self._outputs.popleft()
            self._written = (self._written + 1) % (1 << 16)

    # Memories --------------------------------------------------------------------------------------------------------------

    def _place(self, address: int) -> tuple[str, int, int]:
        region = self._regions[address >> REGION_SHIFT & 31]
        word, slice_ = divmod(address & OFFSET_MASK, region.stride)
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
