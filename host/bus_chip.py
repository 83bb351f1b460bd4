"""A chip behind a bus: simulated RTL, or a board."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from spikeloom.arch.config import DELAY_SLOTS, ENCODERS
from spikeloom.arch.errors import ConfigError, ImageError, LinkError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.learning import modulation_layout
from spikeloom.arch.memory_map import COUNTER_NAMES, Region, delay_depth, regions, state_of_neurons
from spikeloom.arch.packet import Destination
from spikeloom.arch.registers import IDENT, OUTPUT_ENTRIES, OUTPUT_TICK_BITS, PERIOD_BITS, PROTOCOL_VERSION, Address
from spikeloom.golden.emitter import Emitter
from spikeloom.host.bus import Access, Bus, Interrupted, WordsArray, decode_entries, entries_of, event_words, outputs_access
from spikeloom.host.chip import Chip, OutputArray, Progress, Recording, check_outputs
from spikeloom.host.feed import Feed, IntensityFeed, SpikeFeed, segments
from spikeloom.host.spikes import BoolArray
from spikeloom.host.streaming import Events

#: Words of a memory that are written or read as one; after each of them progress is reported.
PART_WORDS = 960


def output_numbers(image: LoadableImage) -> IntArray:
    """Output number of each pair of a neuron and a destination at the host: so many outputs may come in a tick."""
    found = []
    for core, memory in zip(image.config.cores, image.memories, strict=True):
        index, routes = (regions(core)[name].layout.unpack(memory[name]) for name in ("route_index", "routes"))
        emitter = Emitter(index, routes)
        found.append(emitter.target[emitter.kind == Destination.OUTPUT])
    return np.concatenate(found)


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
    progress : callable
        Called while it is loaded, with words done and their total.

    Raises
    ------
    ImageError
        If the chip has another geometry or protocol version.
    LinkError
        If the chip does not answer, or a memory does not hold what was written.
    """

    def __init__(self, bus: Bus, image: LoadableImage, *, check: bool = True, progress: Progress | None = None) -> None:
        super().__init__(image)
        self.bus = bus
        #: Called when the chip is closed, after its bus.
        self.on_close: Callable[[], None] = lambda: None
        self._regions = [regions(core) for core in image.config.cores]
        self._counters: list[list[dict[str, int]]] = []
        #: Counters of the chip for each sample.
        self._others: list[dict[str, int]] = []
        self._paced = False
        #: What was written last to the region ``modulation`` of each core that learns.
        self._modulation = {
            number: {name: int(values[0]) for name, values in modulation_layout().unpack(memory["modulation"]).items()}
            for number, memory in enumerate(image.memories)
            if "modulation" in memory
        }
        #: State after the last sample, if the chip has gone on since.
        self._state: dict[str, IntArray] = {}
        self._identify()
        # Whatever an earlier driver left behind.
        self.bus.reset()
        self._load(check and all(core.readback for core in image.config.cores), progress)
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

    def _load(self, check: bool, progress: Progress | None) -> None:
        places = [(core, name) for core, memory in enumerate(self.image.memories) for name in memory]
        total = (1 + check) * sum(self._memory(*place).size for place in places)
        done = 0

        def report(words: int) -> None:
            nonlocal done
            done += words
            if progress is not None:
                progress(done, total)

        for core, name in places:
            region, words = self._regions[core][name], self._memory(core, name)
            writes = [Access(address, part) for address, part in self._parts(region, core, words)]
            for access, _ in zip(writes, self.bus.transact(writes), strict=True):
                report(0 if access.words is None else len(access.words))
        for core, name in places if check else []:
            region, words = self._regions[core][name], self._memory(core, name)
            parts = self._parts(region, core, words)
            reads = [Access(address, count=len(part)) for address, part in parts]
            for (address, part), found in zip(parts, self.bus.transact(reads), strict=True):
                wrong = np.flatnonzero(found != part)
                if len(wrong):
                    index, slice_ = divmod(address + int(wrong[0]) - region.address(core=core), region.stride)
                    raise LinkError(
                        f"core {core}: {name}[{index}] slice {slice_} holds {int(found[wrong[0]]):#x} "
                        f"after {int(part[wrong[0]]):#x} was written"
                    )
                report(len(part))

    def _memory(self, core: int, name: str) -> WordsArray:
        return self.image.memories[core][name]

    @classmethod
    def _parts(cls, region: Region, core: int, words: WordsArray) -> list[tuple[int, WordsArray]]:
        """Words of a memory in pieces of neighbouring addresses: address of the first, and words."""
        if region.stride == region.layout.slices:
            flat = cls._flat(region, words)
            return [(region.address(core=core) + at, flat[at : at + PART_WORDS]) for at in range(0, len(flat), PART_WORDS)]
        return [(region.address(index, core=core), row) for index, row in enumerate(words)]

    @staticmethod
    def _flat(region: Region, words: WordsArray) -> WordsArray:
        """Words of a memory in address order; addresses between the slices and the stride hold zeros."""
        padded = np.zeros((len(words), region.stride), np.uint32)
        padded[:, : words.shape[1]] = words
        return padded.reshape(-1)

    def read_region(self, name: str, core: int = 0) -> WordsArray:
        """Contents of a memory of a core, ``[depth, slices]``."""
        region = self._regions[core][name]
        if region.stride == region.layout.slices:
            return self.bus.read(region.address(core=core), region.depth * region.stride).reshape(region.depth, region.stride)
        rows = (Access(region.address(index, core=core), count=region.layout.slices) for index in range(region.depth))
        return np.stack(list(self.bus.transact(rows)))

    def clear(self) -> None:
        """Return to the initial state."""
        self._state = {}
        self.bus.write(Address.CLEAR, np.ones(1, np.uint32))
        self.bus.settle()

    def _modulate(self, core: int, enabled: bool | None, reward: int | None) -> None:
        fields = self._modulation[core]
        fields |= {name: value for name, value in (("enabled", enabled), ("reward", reward)) if value is not None}
        region = self._regions[core]["modulation"]
        words = region.layout.pack({name: np.array([int(value)]) for name, value in fields.items()})
        self.bus.write(region.address(core=core), words[0])

    def reset(self) -> None:
        """See :meth:`Chip.reset`."""
        self._counters, self._others = [], []
        self.bus.reset()
        self.clear()

    # Runs ----------------------------------------------------------------------------------------------------------------------

    def _pace(self, tick_seconds: float | None) -> None:
        super()._pace(tick_seconds)
        period = 0
        if tick_seconds is not None:
            clock = 1000 * int(self.bus.read(Address.CLOCK, 1)[0])
            if not clock:
                raise ConfigError("tick_seconds is given, but the chip does not know its clock, since it is simulated without one")
            period = round(tick_seconds * clock)
            limit = (1 << PERIOD_BITS) - 1
            if not 1 <= period <= limit:
                raise ConfigError(
                    f"tick_seconds is {tick_seconds:g}, {period} cycles of the chip's clock; it must be {1 / clock:.2g} to {limit / clock:.2g}"
                )
        self.bus.write(Address.PERIOD, np.array([period], np.uint32))
        self._paced = bool(period)

    def _run(
        self, spikes: BoolArray, record: tuple[str, ...], progress: Progress | None, *, counts: bool
    ) -> tuple[OutputArray, dict[str, Recording]]:
        samples, ticks, _ = spikes.shape
        if record:
            self._need_readback("potentials cannot be recorded")
            outputs, recorded = self._run_recording(spikes, record, progress)
            return outputs.sum(axis=1) if counts else outputs, recorded
        drain = self.image.drain
        feeds = (SpikeFeed(self.image, sample, drain) for sample in spikes)
        return self._run_feeds(feeds, samples, ticks, progress, counts=counts), {}

    def _run_intensities(
        self, values: IntArray, ticks: int, code: str, seeds: IntArray, progress: Progress | None, *, counts: bool
    ) -> OutputArray:
        able = ENCODERS.index(self.image.config.encoder) >= ENCODERS.index(code)
        if not able or len(self.bus.tiles) > 1:
            return super()._run_intensities(values, ticks, code, seeds, progress, counts=counts)
        parts = segments(self.image)
        feeds = (IntensityFeed(parts, sample, ticks, code, seed) for sample, seed in zip(values, seeds.tolist(), strict=True))
        return self._run_feeds(feeds, len(values), ticks, progress, counts=counts)

    def _run_feeds(
        self, feeds: Iterable[Feed], samples: int, ticks: int, progress: Progress | None, *, counts: bool
    ) -> OutputArray:
        """Run samples of so many ticks."""
        image = self.image
        total = ticks + image.drain
        numbers = output_numbers(image)
        # A chip counts packets, so each output must have one source; and in all ticks, so none may answer earlier than the last one.
        on_chip = (
            counts
            and len(self.bus.tiles) == 1
            and 0 < image.output_size <= OUTPUT_ENTRIES
            and len(np.unique(numbers)) == len(numbers)
            and bool((image.output_shift == image.drain).all())
        )
        self._set_readout(counting=on_chip)
        shape = (samples, image.output_size) if on_chip else (samples, ticks, image.output_size)
        outputs: OutputArray = np.zeros(shape, np.int64 if on_chip else np.bool_)
        self._counters, self._others, self._state = [], [], {}
        # Where the output memory holds all outputs of a sample, all can be asked for beforehand.
        entries = image.output_size if on_chip else (len(numbers) + 1) * total
        # A chip that learns cannot run a sample again.
        if self.bus.pipelined and not image.config.learning and (on_chip or entries < OUTPUT_ENTRIES):
            self._run_ahead(feeds, total, entries, outputs, progress)
            return outputs if on_chip or not counts else outputs.sum(axis=1)
        for number, feed in enumerate(feeds):
            self.clear()
            for first in range(0, total, self.bus.ticks_at_once):
                self._run_ticks(first, min(self.bus.ticks_at_once, total - first), feed, outputs[number])
            if on_chip:
                outputs[number] = self._counts(next(self.bus.transact([outputs_access(0, image.output_size)])))
            self._finish()
            if progress is not None:
                progress(number + 1, samples)
        return outputs if on_chip or not counts else outputs.sum(axis=1)

    def _set_readout(self, *, counting: bool) -> None:
        self.bus.write(Address.READOUT, np.array([counting], np.uint32))

    def _counts(self, words: WordsArray) -> IntArray:
        return entries_of(words, 0, self.image.output_size)

    def _run_ticks(self, first: int, count: int, feed: Feed, outputs: OutputArray) -> None:
        """Run ticks from ``first`` on, and note their outputs."""
        for _ in self.bus.transact(feed.accesses(first, count)):
            pass
        came = self.bus.tick(feed.events(first, count), count)
        # Where the chip counts, nothing comes.
        if outputs.ndim > 1:
            self._note(came, first, count, outputs)

    def _note(self, came: IntArray, first: int, count: int, outputs: OutputArray) -> None:
        """Note outputs ``[K, 2]`` that came in ``count`` ticks from ``first`` on, in rows of a sample."""
        check_outputs(self.image, came[:, 1], LinkError)
        tick = first + (came[:, 0] - first) % (1 << OUTPUT_TICK_BITS)
        late = tick >= first + count
        if late.any():
            raise LinkError(
                f"an output of tick {int(came[np.argmax(late), 0])} came in tick {first}"
                + (f" to {first + count - 1}" if count > 1 else "")
            )
        row = tick - self.image.output_shift[came[:, 1]]
        inside = (row >= 0) & (row < len(outputs))
        outputs[row[inside], came[inside, 1]] = True

    # Samples that are sent before the results of those before them have come -------------------------------------------------

    def _run_ahead(self, feeds: Iterable[Feed], total: int, entries: int, outputs: OutputArray, progress: Progress | None) -> None:
        """Run samples whose outputs the output memory holds, ``entries`` of them at most."""
        samples = len(outputs)
        source = iter(feeds)
        # Samples under way, in case they must be run again.
        kept: dict[int, Feed] = {}

        def accesses(first: int, end: int) -> Iterator[Access]:
            for number in range(first, end):
                if number not in kept:
                    kept[number] = next(source)
                yield from self._sample_accesses(kept[number], total, entries)

        done, end = 0, samples
        while done < samples:
            read: list[WordsArray] = []
            try:
                for words in self.bus.transact(accesses(done, end)):
                    if len(words):
                        read.append(words)
                    if len(read) == 2 + self._counter_reads:
                        self._note_sample(read, total, outputs, done)
                        read = []
                        del kept[done]
                        done += 1
                        if progress is not None:
                            progress(done, samples)
                end = samples
            except Interrupted:
                # The first sample that is not complete runs by itself, so that nothing overwrites its results.
                end = done + 1

    def _sample_accesses(self, feed: Feed, total: int, entries: int) -> Iterator[Access]:
        """Everything that a sample needs: what it writes, then what :meth:`_note_sample` gets."""
        yield Access(Address.CLEAR, np.ones(1, np.uint32), overwrites=True)
        for first in range(0, total, self.bus.ticks_at_once):
            count = min(self.bus.ticks_at_once, total - first)
            yield from feed.accesses(first, count)
            events = feed.events(first, count)
            if len(events):
                yield Access(Address.EVENT, events, same=True)
            yield Access(Address.RUN, np.array([count], np.uint32))
        yield Access(Address.SETTLED, count=1)
        yield outputs_access(0, entries)
        yield from self._counter_accesses()

    def _note_sample(self, read: list[WordsArray], total: int, outputs: OutputArray, number: int) -> None:
        places, words, *counters = read
        if outputs.ndim == 2:
            outputs[number] = self._counts(words)
        else:
            written = int(places[0]) & 0xFFFF
            if written > 2 * len(words):
                raise LinkError(f"{written} entries came in a sample; the image makes {2 * len(words)} at most")
            came, _ = decode_entries(entries_of(words, 0, written), 0)
            self._note(came, 0, total, outputs[number])
        self._note_counters(counters)

    # Recordings ----------------------------------------------------------------------------------------------------------------

    def _run_recording(
        self, spikes: BoolArray, record: tuple[str, ...], progress: Progress | None
    ) -> tuple[BoolArray, dict[str, Recording]]:
        """Run samples tick by tick, and read potentials after each."""
        samples, ticks, _ = spikes.shape
        outputs = np.zeros((samples, ticks, self.image.output_size), np.bool_)
        potentials = {name: np.zeros((samples, ticks, self.image.population_size(name)), np.int64) for name in record}
        self._set_readout(counting=False)
        self._counters, self._others, self._state = [], [], {}
        last_level = max(self.image.pieces(name)[0].level for name in record)
        total = ticks + self.image.drain
        for number in range(samples):
            self.clear()
            drain = max(self.image.drain, last_level)
            feed = SpikeFeed(self.image, spikes[number], drain)
            for tick in range(ticks + drain):
                if tick == total:
                    # Ticks from here on only complete recordings; outputs, state and counters are those of before.
                    self._finish()
                    self._state = self.state()
                self._run_ticks(tick, 1, feed, outputs[number])
                self._record(tick, ticks, {name: array[number] for name, array in potentials.items()})
            if not self._state:
                self._finish()
            if progress is not None:
                progress(number + 1, samples)
        return outputs, {name: Recording(potentials[name], None) for name in record}

    def _record(self, tick: int, ticks: int, potentials: dict[str, IntArray]) -> None:
        """Keep the potentials after a tick."""
        pieces = [(piece, array) for name, array in potentials.items() for piece in self.image.pieces(name)]
        membranes = {core: self.neuron_state(core)["membrane"] for core in {piece.core for piece, _ in pieces}}
        for piece, array in pieces:
            row = tick - piece.level
            if 0 <= row < ticks:
                values = membranes[piece.core][piece.first : piece.first + piece.size]
                array[row, piece.offset : piece.offset + piece.size] = values

    # Streams -------------------------------------------------------------------------------------------------------------------

    def _advance(self, feeds: Iterable[tuple[int, list[Events]]]) -> Iterator[tuple[int, IntArray]]:
        """See :meth:`Chip._advance`."""
        self._set_readout(counting=False)
        self._counters, self._others = [], []
        self.clear()
        outputs = len(output_numbers(self.image))
        ends: list[int] = []
        for first, ticks in feeds:
            words = [event_words(*pair, delay) for delay, pair in enumerate(ticks, start=1)]
            events, count = np.concatenate(words), len(ticks)
            if not self.bus.pipelined or count * (outputs + 1) >= OUTPUT_ENTRIES:
                # The queue might fill up before the batch ends.
                if ends:
                    yield ends.pop(), self._taken(first)
                yield first + count, self._stamped(self.bus.tick(events, count), first)
                continue
            # The chip takes these in as soon as the batch before has ended; then its outputs are there.
            accesses = [Access(Address.EVENT, events, same=True)] if count and len(events) else []
            for _ in self.bus.transact([*accesses, Access(Address.RUN, np.array([count], np.uint32))]):
                pass
            if ends:
                yield ends.pop(), self._taken(first)
            ends.append(first + count)
        if ends:
            self.bus.settle()
            yield ends[0], self._taken(ends[0])
        self._finish()

    def _taken(self, now: int) -> IntArray:
        return self._stamped(self.bus.take_outputs(), now)

    def _stamped(self, came: IntArray, now: int) -> IntArray:
        """Outputs with the whole number of their tick, which is near the tick ``now``."""
        check_outputs(self.image, came[:, 1], LinkError)
        half = 1 << (OUTPUT_TICK_BITS - 1)
        ticks = now - half + (came[:, 0] - (now - half)) % (2 * half)
        return np.stack([ticks, came[:, 1]], axis=1)

    # Counters ------------------------------------------------------------------------------------------------------------------

    @property
    def _counts_work(self) -> bool:
        return all(core.counters for core in self.image.config.cores)

    @property
    def _counter_reads(self) -> int:
        return (len(self.image.config.cores) if self._counts_work else 0) + 1 + self._paced

    def _counter_accesses(self) -> Iterator[Access]:
        """What :meth:`_note_counters` gets."""
        if self._counts_work:
            for core, table in enumerate(self._regions):
                yield Access(table["counters"].address(core=core), count=len(COUNTER_NAMES))
        yield Access(Address.MISROUTED, count=1)
        if self._paced:
            yield Access(Address.OVERRUNS, count=1)

    def _note_counters(self, read: list[WordsArray]) -> None:
        """Counters of a sample."""
        values = deque(read)
        if self._counts_work:
            self._counters.append(
                [dict(zip(COUNTER_NAMES, values.popleft().tolist(), strict=True)) for _ in self.image.config.cores]
            )
        self._others.append(
            {"misrouted": int(values.popleft()[0])} | ({"overruns": int(values.popleft()[0])} if self._paced else {})
        )

    def _finish(self) -> None:
        """Keep the counters of a sample that has ended."""
        self._note_counters(list(self.bus.transact(self._counter_accesses())))

    def read_counters(self, core: int = 0) -> dict[str, int]:
        """Counters of a core now, since the last :meth:`clear`."""
        return dict(zip(COUNTER_NAMES, self.read_region("counters", core)[:, 0].tolist(), strict=True))

    @property
    def misrouted(self) -> int:
        """Packets since the last :meth:`clear` that left the mesh, or were for a host where there is none."""
        return int(self.bus.read(Address.MISROUTED, 1)[0])

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

    def learning_state(self, core: int = 0) -> dict[str, IntArray]:
        """Traces ``x1``.. ``[axons]`` and ``y1``.. ``[neurons]``, ``weights`` and ``tags`` ``[words, lanes]`` of a core that learns, now."""
        self._need_readback("weights cannot be read")
        result: dict[str, IntArray] = {}
        for name in ("axon_traces", "neuron_traces"):
            if name in self._regions[core]:
                result |= self._regions[core][name].layout.unpack(self.read_region(name, core))
        shape = (-1, self.image.config.cores[core].lanes)
        for name, field in (("weights", "weight"), ("tags", "tag")):
            if name in self._regions[core]:
                result[name] = self._regions[core][name].layout.unpack(self.read_region(name, core))[field].reshape(shape)
        return result

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
            if core.learning is not None:
                result |= {f"core{number}.{name}": values for name, values in self.learning_state(number).items()}
            if core.short_term:
                words = self.read_region("short_term_state", number)
                fields = self._regions[number]["short_term_state"].layout.unpack(words)
                result |= {f"core{number}.{name}": values for name, values in fields.items()}
        return result

    def counters(self) -> dict[str, IntArray]:
        """See :meth:`Chip.counters`."""
        if not self._counters:
            return {}
        # Samples, cores.
        table = {name: np.array([[core[name] for core in sample] for sample in self._counters]) for name in COUNTER_NAMES}
        operations = table["row_words"] @ np.array([core.lanes for core in self.image.config.cores])
        once = ("ticks", "cycles")
        others = {name: np.array([sample[name] for sample in self._others]) for name in self._others[0]}
        return {name: values.max(axis=1) if name in once else values.sum(axis=1) for name, values in table.items()} | {
            **others,
            "synaptic_operations": operations,
        }

    def close(self) -> None:
        """Close the bus, and what it leads to."""
        self.bus.close()
        self.on_close()
