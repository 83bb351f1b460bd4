"""A chip behind a bus: simulated RTL, or a board."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikeloom.arch.config import DELAY_SLOTS
from spikeloom.arch.errors import ConfigError, ImageError, LinkError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import COUNTER_NAMES, Region, delay_depth, regions, state_of_neurons
from spikeloom.arch.registers import IDENT, OUTPUT_TICK_BITS, PROTOCOL_VERSION, Address
from spikeloom.host.bus import Bus, WordsArray, event_words
from spikeloom.host.chip import Chip, Progress, Recording, check_outputs, input_events
from spikeloom.host.spikes import BoolArray

#: Times the status register is read until the chip must be idle.
IDLE_POLLS = 10_000


class BusChip(Chip):
    """Loads an image over a bus and runs it, one sample after the other.

    Parameters
    ----------
    bus : Bus
        Way to the chip.
    image : LoadableImage
        What to load. Nothing is written if the chip is not a spikeloom chip of the image's geometry.
    check : bool
        Read every memory back and compare.

    Raises
    ------
    ImageError
        If the chip has another geometry or protocol version.
    LinkError
        If the chip does not answer, or a memory does not hold what was written.
    """

    def __init__(self, bus: Bus, image: LoadableImage, *, check: bool = True) -> None:
        super().__init__(image)
        self.bus = bus
        #: Called when the chip is closed, after its bus.
        self.on_close: Callable[[], None] = lambda: None
        self._regions = [regions(core) for core in image.config.cores]
        self._counters: list[list[dict[str, int]]] = []
        self._misrouted: list[int] = []
        #: State after the last sample, if the chip has gone on since.
        self._state: dict[str, IntArray] = {}
        self._identify()
        self._wait_idle()
        self._load(check and all(core.readback for core in image.config.cores))
        self.clear()

    def _identify(self) -> None:
        config = self.image.config
        for number, bus in enumerate(self.bus.tiles):
            ident, version, geometry = (int(word) for word in bus.read(Address.IDENT, 3))
            which = "the chip" if len(self.bus.tiles) == 1 else f"chip {number}"
            expected = config.tile(number).geometry_id
            if ident != IDENT:
                raise LinkError(f"the answer {ident:#010x} of {which} to IDENT is not that of a spikeloom chip ({IDENT:#010x})")
            if version >> 16 != PROTOCOL_VERSION >> 16:
                raise ImageError(
                    f"{which} speaks protocol {version >> 16}.{version & 0xFFFF}, this driver "
                    f"{PROTOCOL_VERSION >> 16}.{PROTOCOL_VERSION & 0xFFFF}; build the bitstream again with this version"
                )
            if geometry != expected:
                raise ImageError(
                    f"{which} has the geometry {geometry:#010x}, the image was made for {expected:#010x}; "
                    "compile the network for this chip, or build the bitstream for this image"
                )

    def _load(self, check: bool) -> None:
        for core, memory in enumerate(self.image.memories):
            for name, words in memory.items():
                self._write_region(core, self._regions[core][name], words)
                if not check:
                    continue
                found = self.read_region(name, core)
                wrong = np.argwhere(found != words)
                if len(wrong):
                    index, slice_ = (int(i) for i in wrong[0])
                    raise LinkError(
                        f"core {core}: {name}[{index}] slice {slice_} holds {int(found[index, slice_]):#x} "
                        f"after {int(words[index, slice_]):#x} was written"
                    )

    @staticmethod
    def _flat(region: Region, words: WordsArray) -> WordsArray:
        """Words of a memory in address order; addresses between the slices and the stride hold zeros."""
        padded = np.zeros((len(words), region.stride), np.uint32)
        padded[:, : words.shape[1]] = words
        return padded.reshape(-1)

    def _write_region(self, core: int, region: Region, words: WordsArray) -> None:
        if region.stride == region.layout.slices:
            self.bus.write(region.address(core=core), self._flat(region, words))
        else:
            for index in range(len(words)):
                self.bus.write(region.address(index, core=core), words[index])

    def read_region(self, name: str, core: int = 0) -> WordsArray:
        """Contents of a memory of a core, ``[depth, slices]``."""
        region = self._regions[core][name]
        if region.stride == region.layout.slices:
            return self.bus.read(region.address(core=core), region.depth * region.stride).reshape(region.depth, region.stride)
        rows = [self.bus.read(region.address(index, core=core), region.layout.slices) for index in range(region.depth)]
        return np.stack(rows)

    def clear(self) -> None:
        """Return to the initial state."""
        self._state = {}
        self.bus.write(Address.CLEAR, np.ones(1, np.uint32))
        self._wait_idle()

    def _wait_idle(self) -> None:
        for _ in range(IDLE_POLLS):
            if not int(self.bus.read(Address.STATUS, 1)[0]) & 1:
                return
        raise LinkError(f"the chip was still busy after its status was read {IDLE_POLLS} times; reset it and try again")

    def _run(self, spikes: BoolArray, record: tuple[str, ...], progress: Progress | None) -> tuple[BoolArray, dict[str, Recording]]:
        if record:
            self._need_readback("potentials cannot be recorded")
        samples, ticks, _ = spikes.shape
        outputs = np.zeros((samples, ticks, self.image.output_size), np.bool_)
        sizes = {name: self.image.population_size(name) for name in record}
        potentials = {name: np.zeros((samples, ticks, size), np.int64) for name, size in sizes.items()}
        self._counters, self._misrouted = [], []
        for number in range(samples):
            self._run_sample(spikes[number], outputs[number], {name: array[number] for name, array in potentials.items()})
            if progress is not None:
                progress(number + 1, samples)
        return outputs, {name: Recording(potentials[name], None) for name in record}

    def _run_sample(self, spikes: BoolArray, outputs: BoolArray, potentials: dict[str, IntArray]) -> None:
        self.clear()
        total = len(spikes) + self.image.drain
        last_level = max([self.image.pieces(name)[0].level for name in potentials], default=0)
        ticks = input_events(self.image, spikes, max(self.image.drain, last_level))
        # Potentials are read after each tick.
        step = 1 if potentials else self.bus.ticks_at_once
        for first in range(0, len(ticks), step):
            if first == total:
                # Ticks from here on only complete recordings; outputs, state and counters are those of before.
                self._finish()
                self._state = self.state()
            self._run_ticks(first, ticks[first : first + step], outputs)
            self._record(first, len(spikes), potentials)
        if not self._state:
            self._finish()

    def _run_ticks(self, first: int, ticks: list[tuple[IntArray, IntArray]], outputs: BoolArray) -> None:
        """Run ticks from ``first`` on; ``ticks`` holds cores and axons of the events of each."""
        words = [event_words(cores, axons, delay) for delay, (cores, axons) in enumerate(ticks, start=1)]
        came = self.bus.tick(np.concatenate(words), len(ticks))
        check_outputs(self.image, came[:, 1], LinkError)
        tick = first + (came[:, 0] - first) % (1 << OUTPUT_TICK_BITS)
        if (tick >= first + len(ticks)).any():
            wrong = int(came[np.argmax(tick >= first + len(ticks)), 0])
            raise LinkError(
                f"an output of tick {wrong} came in tick {first}" + (f" to {first + len(ticks) - 1}" if len(ticks) > 1 else "")
            )
        row = tick - self.image.output_shift[came[:, 1]]
        inside = (row >= 0) & (row < len(outputs))
        outputs[row[inside], came[inside, 1]] = True

    def _record(self, tick: int, ticks: int, potentials: dict[str, IntArray]) -> None:
        """Keep the potentials after a tick."""
        pieces = [(piece, array) for name, array in potentials.items() for piece in self.image.pieces(name)]
        membranes = {core: self.neuron_state(core)["membrane"] for core in {piece.core for piece, _ in pieces}}
        for piece, array in pieces:
            row = tick - piece.level
            if 0 <= row < ticks:
                values = membranes[piece.core][piece.first : piece.first + piece.size]
                array[row, piece.offset : piece.offset + piece.size] = values

    def _finish(self) -> None:
        if all(core.counters for core in self.image.config.cores):
            self._counters.append([self.read_counters(core) for core in range(len(self.image.config.cores))])
            self._misrouted.append(self.misrouted)

    def read_counters(self, core: int = 0) -> dict[str, int]:
        """Counters of a core now, since the last :meth:`clear`."""
        return dict(zip(COUNTER_NAMES, self.read_region("counters", core)[:, 0].tolist(), strict=True))

    @property
    def misrouted(self) -> int:
        """Packets since the last :meth:`clear` that left the mesh, or were for a host where there is none."""
        return self.bus.counter(Address.MISROUTED)

    def _need_readback(self, what: str) -> None:
        if not all(core.readback for core in self.image.config.cores):
            raise ConfigError(
                f"{what}: the chip's geometry has readback=False, so its memories cannot be read; "
                "use a geometry with readback=True, or the golden chip"
            )

    def neuron_state(self, core: int = 0) -> dict[str, IntArray]:
        """State fields of all models of a core now, ``[neurons]``; zero where a neuron's model has no such field."""
        self._need_readback("the state of neurons cannot be read")
        return state_of_neurons(
            self.image.config.cores[core], self.read_region("state", core), self.image.memories[core].get("kinds")
        )

    def state(self) -> dict[str, IntArray]:
        """See :meth:`Chip.state`.

        Raises
        ------
        ConfigError
            If the geometry has ``readback=False``.
        """
        self._need_readback("the state cannot be read")
        if self._state:
            return self._state
        result: dict[str, IntArray] = {}
        for number, core in enumerate(self.image.config.cores):
            pending = self._regions[number]["delays"].layout.unpack(self.read_region("delays", number))["pending"]
            slots = pending.reshape(DELAY_SLOTS, delay_depth(core) // DELAY_SLOTS * pending.shape[1])
            result |= {f"core{number}.{name}": values for name, values in self.neuron_state(number).items()}
            result[f"core{number}.delays"] = slots[:, : core.axons]
        return result

    def counters(self) -> dict[str, IntArray]:
        """See :meth:`Chip.counters`."""
        if not self._counters:
            return {}
        # Samples, cores.
        table = {name: np.array([[core[name] for core in sample] for sample in self._counters]) for name in COUNTER_NAMES}
        operations = table["row_words"] @ np.array([core.lanes for core in self.image.config.cores])
        once = ("ticks", "cycles")
        return {name: values.max(axis=1) if name in once else values.sum(axis=1) for name, values in table.items()} | {
            "misrouted": np.array(self._misrouted),
            "synaptic_operations": operations,
        }

    def close(self) -> None:
        """Close the bus, and what it leads to."""
        self.bus.close()
        self.on_close()
