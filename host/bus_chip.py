"""A chip behind a bus: simulated RTL, or a board."""

from __future__ import annotations

import numpy as np

from spikeloom.arch.config import DELAY_SLOTS
from spikeloom.arch.errors import ConfigError, ImageError, LinkError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import COUNTER_NAMES, Region, delay_depth, regions, state_of_neurons
from spikeloom.arch.registers import IDENT, OUTPUT_TICK_BITS, PROTOCOL_VERSION, Address
from spikeloom.host.bus import Bus, WordsArray
from spikeloom.host.chip import Chip, Progress, Recording, input_events
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
        self._regions = regions(image.config.core)
        self._counters: list[dict[str, int]] = []
        #: State after the last sample, if the chip has gone on since.
        self._state: dict[str, IntArray] = {}
        self._identify()
        self._wait_idle()
        self._load(check and image.config.core.readback)
        self.clear()

    def _identify(self) -> None:
        ident, version, geometry = (int(word) for word in self.bus.read(Address.IDENT, 3))
        if ident != IDENT:
            raise LinkError(f"the answer {ident:#010x} to IDENT is not that of a spikeloom chip ({IDENT:#010x})")
        if version >> 16 != PROTOCOL_VERSION >> 16:
            raise ImageError(
                f"the chip speaks protocol {version >> 16}.{version & 0xFFFF}, this driver "
                f"{PROTOCOL_VERSION >> 16}.{PROTOCOL_VERSION & 0xFFFF}; build the bitstream again with this version"
            )
        if geometry != self.image.config.geometry_id:
            raise ImageError(
                f"the chip has the geometry {geometry:#010x}, the image was made for {self.image.config.geometry_id:#010x}; "
                "compile the network for this chip, or build the bitstream for this image"
            )

    def _load(self, check: bool) -> None:
        for name, words in self.image.memories[0].items():
            region = self._regions[name]
            self._write_region(region, words)
            if check:
                found = self.read_region(name)
                wrong = np.argwhere(found != words)
                if len(wrong):
                    index, slice_ = (int(i) for i in wrong[0])
                    raise LinkError(
                        f"{name}[{index}] slice {slice_} holds {int(found[index, slice_]):#x} "
                        f"after {int(words[index, slice_]):#x} was written"
                    )

    @staticmethod
    def _flat(region: Region, words: WordsArray) -> WordsArray:
        """Words of a memory in address order; addresses between the slices and the stride hold zeros."""
        padded = np.zeros((len(words), region.stride), np.uint32)
        padded[:, : words.shape[1]] = words
        return padded.reshape(-1)

    def _write_region(self, region: Region, words: WordsArray) -> None:
        if region.stride == region.layout.slices:
            self.bus.write(region.address(), self._flat(region, words))
        else:
            for index in range(len(words)):
                self.bus.write(region.address(index), words[index])

    def read_region(self, name: str) -> WordsArray:
        """Contents of a memory, ``[depth, slices]``."""
        region = self._regions[name]
        if region.stride == region.layout.slices:
            return self.bus.read(region.address(), region.depth * region.stride).reshape(region.depth, region.stride)
        rows = [self.bus.read(region.address(index), region.layout.slices) for index in range(region.depth)]
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
        sizes = {name: self.image.population(name).size for name in record}
        potentials = {name: np.zeros((samples, ticks, size), np.int64) for name, size in sizes.items()}
        self._counters = []
        for number in range(samples):
            self._run_sample(spikes[number], outputs[number], {name: array[number] for name, array in potentials.items()})
            if progress is not None:
                progress(number + 1, samples)
        return outputs, {name: Recording(potentials[name], None) for name in record}

    def _run_sample(self, spikes: BoolArray, outputs: BoolArray, potentials: dict[str, IntArray]) -> None:
        self.clear()
        total = len(spikes) + self.image.drain
        last_level = max([self.image.population(name).level for name in potentials], default=0)
        for tick, axons in enumerate(input_events(self.image, spikes, max(self.image.drain, last_level))):
            if tick == total:
                # Ticks from here on only complete recordings; outputs, state and counters are those of before.
                self._finish()
                self._state = self.state()
            for stamp, number in self.bus.tick(axons).tolist():
                if stamp != tick % (1 << OUTPUT_TICK_BITS):
                    raise LinkError(f"an output of tick {stamp} came in tick {tick}")
                step = tick - int(self.image.output_shift[number])
                if 0 <= step < len(spikes):
                    outputs[step, number] = True
            if potentials:
                membrane = self.neuron_state()["membrane"]
                for name, array in potentials.items():
                    population = self.image.population(name)
                    row = tick - population.level
                    if 0 <= row < len(spikes):
                        array[row] = membrane[population.first : population.first + population.size]
        if not self._state:
            self._finish()

    def _finish(self) -> None:
        if self.image.config.core.counters:
            self._counters.append(self.read_counters())

    def read_counters(self) -> dict[str, int]:
        """Counters now, since the last :meth:`clear`."""
        return dict(zip(COUNTER_NAMES, self.read_region("counters")[:, 0].tolist(), strict=True))

    def _need_readback(self, what: str) -> None:
        if not self.image.config.core.readback:
            raise ConfigError(
                f"{what}: the chip's geometry has readback=False, so its memories cannot be read; "
                "use a geometry with readback=True, or the golden chip"
            )

    def neuron_state(self) -> dict[str, IntArray]:
        """State fields of all models now, ``[neurons]``; zero where a neuron's model has no such field."""
        self._need_readback("the state of neurons cannot be read")
        return state_of_neurons(self.image.config.core, self.read_region("state"), self.image.memories[0].get("kinds"))

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
        core = self.image.config.core
        pending = self._regions["delays"].layout.unpack(self.read_region("delays"))["pending"]
        slots = pending.reshape(DELAY_SLOTS, delay_depth(core) // DELAY_SLOTS * pending.shape[1])
        return {
            **{f"core0.{name}": values for name, values in self.neuron_state().items()},
            "core0.delays": slots[:, : core.axons],
        }

    def counters(self) -> dict[str, IntArray]:
        """See :meth:`Chip.counters`."""
        if not self._counters:
            return {}
        table = {name: np.array([row[name] for row in self._counters]) for name in COUNTER_NAMES}
        return table | {"synaptic_operations": table["row_words"] * self.image.config.core.lanes}

    def close(self) -> None:
        """Close the bus."""
        self.bus.close()
