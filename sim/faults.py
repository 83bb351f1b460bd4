"""Faults on the host link: the driver and a whole simulated top level, with a bad line between. Described in ``docs/faults.md``.

``python -m spikeloom.sim.faults --commands 10000 --seed 1`` runs the campaign.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Protocol
from unittest import mock

import numpy as np

from spikeloom.arch.config import ENCODERS, MAX_DELAY, ChipConfig, CoreConfig
from spikeloom.arch.errors import SpikeloomError
from spikeloom.arch.image import LoadableImage, PortMap
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import regions
from spikeloom.arch.packet import Destination
from spikeloom.arch.registers import Address
from spikeloom.golden.chip import Chip as GoldenModel
from spikeloom.hdl.link import WAIT_CYCLES
from spikeloom.host import framed_bus
from spikeloom.host.bus import Access, Interrupted, WordsArray, event_words
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.framed_bus import TIMEOUT, FramedBus
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.host.spikes import BoolArray
from spikeloom.host.stream import ByteStream
from spikeloom.sim.cases import random_case
from spikeloom.sim.compiled_top import CompiledTop
from spikeloom.sim.lockstep import compare_counters, expected_state, first_difference

#: Clock cycles per bit, and bits per second of the simulated line.
DIVISOR, BAUD = 6, 3_000_000
#: Chance per byte and direction of each kind of fault.
RATE = 1e-3
KINDS = ("lost", "flipped", "doubled", "late")
#: Longest time for which bytes are held back, in seconds: longer than the driver waits before it sends again.
LONGEST_DELAY = 2 * TIMEOUT
#: Times a request is sent in the campaign: of the longest frames, one in eight passes this line.
ATTEMPTS = 200
#: Small, so that a campaign is quick; two words of neurons, an encoder, lists of destinations.
CONFIG = ChipConfig(
    cores=(CoreConfig(axons=16, neurons=8, weight_bits=4, lanes=4, destinations=24, levels=2),), encoder=ENCODERS[-1]
)
OUTPUTS = 6
#: Destinations of each neuron.
LIST = 3
#: Cycles of a tick, three of which are more than the link waits before it answers BUSY.
SLOW_PERIOD = WAIT_CYCLES * 2 // 5
#: Actions on one image.
ACTIONS_PER_IMAGE = 20


# The line ---------------------------------------------------------------------------------------------------------------------


class Way:
    """One direction of a line. Bytes keep their order, as on a wire.

    Parameters
    ----------
    seed : sequence of int
    rate : float
        Chance per byte of each kind of fault.

    Attributes
    ----------
    bytes : int
        Bytes put in so far.
    faults : Counter
        Faults so far, by kind.
    """

    def __init__(self, seed: tuple[int, ...], rate: float) -> None:
        self._rng, self._rate = np.random.default_rng(seed), rate
        self._queue: deque[tuple[float, bytes]] = deque()
        self._late = 0.0
        self.bytes = 0
        self.faults: Counter[str] = Counter()

    def put(self, data: bytes, now: float) -> None:
        """Bytes that go in at a time, in seconds."""
        self.bytes += len(data)
        hits = self._rng.random((len(data), len(KINDS))) < self._rate
        for kind, count in zip(KINDS, hits.sum(axis=0).tolist(), strict=True):
            self.faults[kind] += count
        passed = bytearray()
        for byte, (lost, flipped, doubled, late) in zip(data, hits.tolist(), strict=True):
            if late:
                self._queue.append((max(now, self._late), bytes(passed)))
                passed.clear()
                self._late = max(self._late, now + LONGEST_DELAY * self._rng.random())
            if not lost:
                passed += bytes((byte ^ (1 << int(self._rng.integers(8)) if flipped else 0),)) * (1 + doubled)
        self._queue.append((max(now, self._late), bytes(passed)))

    def take(self, now: float) -> bytes:
        """Bytes that have come out by then."""
        result = bytearray()
        while self._queue and self._queue[0][0] <= now:
            result += self._queue.popleft()[1]
        return bytes(result)

    @property
    def next(self) -> float:
        """When the next bytes come out."""
        return self._queue[0][0] if self._queue else np.inf


class Board(Protocol):
    """What a line leads to: a :class:`CompiledTop`, or something simpler in a test."""

    @property
    def cycles(self) -> int:
        """Clock cycles so far."""

    def send(self, data: bytes) -> None:
        """See :meth:`ByteStream.send`."""

    def receive(self, seconds: float) -> bytes:
        """Run until there is something to say, or nothing can come any more."""

    def close(self) -> None:
        """See :meth:`ByteStream.close`."""


class FaultyLine(ByteStream):
    """A line to a simulated board that loses, flips, doubles and holds back bytes, both ways.

    Time is simulated as well: it passes while the board works, and is skipped while nothing happens.

    Parameters
    ----------
    board : Board
        A test may put another one in its place.
    seed : int
    rate : float
        Chance per byte of each kind of fault.
    """

    name = "the faulty line"

    def __init__(self, board: Board, seed: int, rate: float = RATE) -> None:
        self.board = board
        self.there, self.back = Way((seed, 0), rate), Way((seed, 1), rate)
        self._now = 0.0
        self._cut = (np.inf, np.inf)

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self._now

    def cut(self, after: float, seconds: float) -> None:
        """In so many seconds, lose everything, and go on losing it for so long."""
        self._cut = (self._now + after, self._now + after + seconds)

    def _put(self, way: Way, data: bytes) -> None:
        if not self._cut[0] <= self._now < self._cut[1]:
            way.put(data, self._now)

    def send(self, data: bytes) -> None:
        """See :meth:`ByteStream.send`."""
        self._put(self.there, data)

    def receive(self, seconds: float) -> bytes:
        """See :meth:`ByteStream.receive`."""
        end = self._now + seconds
        while True:
            self.board.send(self.there.take(self._now))
            before = self.board.cycles
            data = self.board.receive(0)
            if data:
                self._now += (self.board.cycles - before) / (DIVISOR * BAUD)
                self._put(self.back, data)
            came = self.back.take(self._now)
            if came:
                return came
            if data and self._now < end:
                continue
            self._now = max(self._now, min(end, self.there.next, self.back.next))
            if self._now >= end:
                return b""

    def close(self) -> None:
        """Free the simulator."""
        self.board.close()


@contextmanager
def simulated_time(line: FaultyLine, seed: int) -> Iterator[None]:
    """The driver's clock and random numbers are those of the simulation, so that a seed repeats everything."""
    secrets = SimpleNamespace(randbits=random.Random(seed).getrandbits)
    with mock.patch.multiple(framed_bus, time=line, secrets=secrets):
        yield


# The campaign ---------------------------------------------------------------------------------------------------------------


class CountingBus(FramedBus):
    """Counts what is asked for.

    Attributes
    ----------
    commands : int
        Accesses done.
    interrupted : int
        Times that something had to be done again from the last clear on.
    """

    commands = interrupted = 0

    def transact(self, accesses: Iterable[Access]) -> Iterator[WordsArray]:
        """See :meth:`Bus.transact`."""
        try:
            for words in super().transact(accesses):
                self.commands += 1
                yield words
        except Interrupted:
            self.interrupted += 1
            raise


@dataclass(frozen=True, slots=True)
class Figures:
    """What a campaign did.

    Parameters
    ----------
    commands : int
        Reads and writes of registers and memories, of any length, that were done.
    ticks, events, spikes : int
        Sums over the samples, as the chip counted them.
    bytes_there, bytes_back : int
        Bytes on the line.
    faults : Counter
        Faults on the line, by kind.
    repeats : int
        Times that the driver sent requests again.
    interrupted : int
        Times that the driver ran a sample again since its results were lost.
    link_errors : int
        Frames that the chip threw away, as it counted them.
    seconds : float
        Simulated time.
    """

    commands: int
    ticks: int
    events: int
    spikes: int
    bytes_there: int
    bytes_back: int
    faults: Counter[str]
    repeats: int
    interrupted: int
    link_errors: int
    seconds: float


def campaign_image(seed: int, shift: int) -> LoadableImage:
    """A random image of :data:`CONFIG`: each of the first ``OUTPUTS`` neurons is an output, and all may lead to axons."""
    image = random_case(CONFIG, seed).image
    rng = np.random.default_rng(seed)
    core = CONFIG.cores[0]
    table = regions(core)
    neurons = np.arange(core.neurons)
    routes = {name: values.copy() for name, values in table["routes"].layout.unpack(image.memories[0]["routes"]).items()}
    routes["kind"][:] = Destination.AXON
    routes["target"][:] = rng.integers(0, core.axons, core.routes)
    routes["delay"][:] = rng.integers(1, MAX_DELAY, core.routes, endpoint=True)
    routes["kind"][LIST * neurons[:OUTPUTS]] = Destination.OUTPUT
    routes["target"][LIST * neurons[:OUTPUTS]] = neurons[:OUTPUTS]
    index = {"first": LIST * neurons, "count": rng.integers(1, LIST, core.neurons, endpoint=True)}
    memory = dict(image.memories[0])
    memory |= {"routes": table["routes"].layout.pack(routes), "route_index": table["route_index"].layout.pack(index)}
    return replace(
        image,
        memories=(memory,),
        outputs=(PortMap("outputs", 0, OUTPUTS),),
        output_shift=np.full(OUTPUTS, shift),
        input_offset=rng.integers(0, shift, core.axons, endpoint=True),
    )


class Campaign:
    """Things that users do, chosen at random, over a faulty line; all results are compared with the golden model.

    Parameters
    ----------
    seed : int
        All follows from it.
    rate : float
        Chance per byte of each kind of fault.
    """

    def __init__(self, seed: int, rate: float = RATE) -> None:
        self._seed, self._rng = seed, np.random.default_rng(seed)
        self.line = FaultyLine(CompiledTop(CONFIG, DIVISOR), seed, rate)
        self._totals: Counter[str] = Counter()

    def run(self, commands: int, progress: Callable[[int], None] = lambda done: None) -> tuple[str | None, Figures]:
        """Go on until so many commands are done, or something differs: what differs, and figures."""
        with simulated_time(self.line, self._seed):
            self.bus = CountingBus(self.line, attempts=ATTEMPTS)
            difference, image = None, 0
            try:
                while difference is None and self.bus.commands < commands:
                    difference = self._with_image(campaign_image(1000 * self._seed + image, image % 3), commands)
                    image += 1
                    progress(self.bus.commands)
            except (SpikeloomError, Interrupted) as error:
                difference = f"image {image}: {type(error).__name__}: {error}"
            return difference, self._figures()

    def _figures(self) -> Figures:
        bus, line = self.bus, self.line
        return Figures(
            **{name: self._totals[name] for name in ("ticks", "events", "spikes")},
            commands=bus.commands,
            bytes_there=line.there.bytes,
            bytes_back=line.back.bytes,
            faults=line.there.faults + line.back.faults,
            repeats=bus.repeats,
            interrupted=bus.interrupted,
            link_errors=int(bus.read(Address.LINK_ERRORS, 1)[0]),
            seconds=line.monotonic(),
        )

    def _with_image(self, image: LoadableImage, commands: int) -> str | None:
        chip, golden = BusChip(self.bus, image), GoldenChip(image)
        actions = (self._samples, self._intensities, self._stream, self._memory, self._events, self._slow)
        for number in range(ACTIONS_PER_IMAGE):
            if self.bus.commands >= commands:
                break
            action = actions[int(self._rng.choice(len(actions), p=[0.3, 0.2, 0.15, 0.19, 0.15, 0.01]))]
            difference = action(chip, golden)
            if difference is not None:
                return f"command {self.bus.commands}, action {number} ({action.__name__.strip('_')}): {difference}"
        for name, words in image.memories[0].items():
            if (chip.read_region(name) != words).any():
                return f"command {self.bus.commands}: the memory {name} does not hold what was written"
        return None

    # What users do -----------------------------------------------------------------------------------------------------------

    def _spikes(self, *shape: int) -> BoolArray:
        spikes: BoolArray = self._rng.random((*shape, CONFIG.cores[0].axons)) < self._rng.choice([0.05, 0.3, 1.0])
        return spikes

    def _samples(self, chip: BusChip, golden: GoldenChip) -> str | None:
        spikes = self._spikes(int(self._rng.integers(1, 12)), int(self._rng.choice([1, 2, 5, 14, 16, 31, 45])))
        # A chip counts outputs of the first ticks too, which a shift takes away.
        counts = bool(self._rng.integers(2)) and chip.image.drain == 0
        if counts:
            return self._compare(chip.run(spikes, counts=True), golden.run(spikes, counts=True), chip, golden)
        return self._compare(chip.run(spikes), golden.run(spikes), chip, golden)

    def _intensities(self, chip: BusChip, golden: GoldenChip) -> str | None:
        samples = int(self._rng.integers(1, 8))
        values = self._rng.integers(0, 256, (samples, CONFIG.cores[0].axons)) * (self._rng.random((samples, 1)) < 0.9)
        ticks, code, seed = int(self._rng.integers(1, 34)), str(self._rng.choice(ENCODERS[1:])), int(self._rng.integers(1 << 32))
        got = chip.run_intensities(values, ticks, code=code, seed=seed)
        return self._compare(got, golden.run_intensities(values, ticks, code=code, seed=seed), chip, golden)

    def _stream(self, chip: BusChip, golden: GoldenChip) -> str | None:
        spikes = self._spikes(int(self._rng.integers(1, 80)))
        rows = list(chip.stream(spikes, batch=int(self._rng.integers(1, MAX_DELAY, endpoint=True))))
        return self._compare(np.array(rows), golden.run(spikes), chip, golden)

    def _memory(self, chip: BusChip, golden: GoldenChip) -> str | None:
        """Write and read pieces of a memory in any order, then write what belongs there."""
        region = regions(CONFIG.cores[0])["weights"]
        size, first = region.depth * region.stride, region.address()
        accesses: list[Access] = []
        expected: list[WordsArray] = []
        contents = np.zeros(size, np.uint32)
        seen = np.zeros(size, np.bool_)
        for number in range(int(self._rng.integers(2, 40))):
            at = int(self._rng.integers(size)) if number else 0
            end = int(self._rng.integers(at, size)) + 1 if number else size
            if number and self._rng.integers(2):
                accesses.append(Access(first + at, count=end - at))
                expected.append(contents[at:end].copy())
                seen[at:end] = True
            else:
                words = self._rng.integers(0, 1 << region.layout.bits, end - at).astype(np.uint32)
                accesses.append(Access(first + at, words, overwrites=bool(seen[at:end].any())))
                contents[at:end] = words
        contents = np.array(chip.image.memories[0]["weights"]).reshape(-1)
        accesses += [Access(first, contents, overwrites=True), Access(first, count=size)]
        for attempt in range(1000):
            try:
                # After many failures one by one, so that nothing is overwritten.
                parts = [accesses] if attempt < 3 else [[access] for access in accesses]
                got = [words for part in parts for words in self.bus.transact(part) if len(words)]
                break
            except Interrupted:
                continue
        for number, (found, wanted) in enumerate(zip(got, [*expected, contents], strict=True)):
            if (found != wanted).any():
                return f"read {number} of a memory: expected {wanted.tolist()}, got {found.tolist()}"
        return None

    def _events(self, chip: BusChip, golden: GoldenChip) -> str | None:
        """Events of any kind, sent in long requests, then some ticks, again and again."""
        model = GoldenModel(CONFIG, chip.image.memories)
        axons = CONFIG.cores[0].axons
        self.bus.write(Address.READOUT, np.zeros(1, np.uint32))
        chip.clear()
        for _ in range(int(self._rng.integers(1, 6))):
            count = int(self._rng.choice([1, 10, 61, 150]))
            places, delays = self._rng.integers(0, axons + 2, count), self._rng.integers(0, MAX_DELAY, count, endpoint=True)
            for axon, delay in zip(places.tolist(), delays.tolist(), strict=True):
                model.inject(0, np.array([axon]), np.ones((1, 1), np.bool_), delay)
            ticks = int(self._rng.integers(1, MAX_DELAY, endpoint=True))
            expected = []
            for _ in range(ticks):
                tick, result = model.ticks, model.tick()
                expected += [[tick, number] for number in result.numbers[np.flatnonzero(result.outputs[0])].tolist()]
            got = self.bus.tick(event_words(np.zeros(count, np.int64), places, delays), ticks).tolist()
            if got != expected:
                return f"outputs after tick {model.ticks - 1}: expected {expected}, got {got}"
        return self._end(chip, model)

    def _slow(self, chip: BusChip, golden: GoldenChip) -> str | None:
        """Ticks so long that requests are answered with BUSY, some of them in their middle."""
        model = GoldenModel(CONFIG, chip.image.memories)
        self.bus.write(Address.READOUT, np.zeros(1, np.uint32))
        self.bus.write(Address.PERIOD, np.array([SLOW_PERIOD], np.uint32))
        chip.clear()
        words = event_words(np.zeros(70, np.int64), np.arange(70) % CONFIG.cores[0].axons, np.arange(70) % MAX_DELAY + 1)
        runs = np.array([3, 1, 3], np.uint32)
        accesses = [Access(Address.EVENT, words, same=True), Access(Address.RUN, runs, same=True)] * 2
        for _ in self.bus.transact([*accesses, Access(Address.SETTLED, count=1)]):
            pass
        for _ in range(2):
            for axon, delay in zip((words & 0xFFFF).tolist(), (words >> 16 & 0xF).tolist(), strict=True):
                model.inject(0, np.array([axon]), np.ones((1, 1), np.bool_), delay)
            for _ in range(int(runs.sum())):
                model.tick()
        self.bus.write(Address.PERIOD, np.zeros(1, np.uint32))
        return self._end(chip, model)

    # Comparison --------------------------------------------------------------------------------------------------------------

    def _compare(self, got: IntArray | BoolArray, expected: IntArray | BoolArray, chip: BusChip, golden: GoldenChip) -> str | None:
        """Outputs, counters of all samples, and state after the last one."""
        if got.shape != expected.shape or (got != expected).any():
            return f"outputs differ in {int((got != expected).sum())} places"
        found = chip.counters()
        for name, values in golden.counters().items():
            # A stream is one sample.
            if found[name].tolist() != values.tolist():
                return f"{name}: expected {values.tolist()}, got {found[name].tolist()}"
        self._totals.update({name: int(found[name].sum()) for name in ("ticks", "events", "spikes")})
        mismatch = first_difference(int(found["ticks"][-1]), golden.state(), chip.state())
        return None if mismatch is None else str(mismatch)

    def _end(self, chip: BusChip, model: GoldenModel) -> str | None:
        found = chip.read_counters()
        self._totals.update({name: found[name] for name in ("ticks", "events", "spikes")})
        chip._state = {}
        mismatch = compare_counters(model.cores[0], 0, found) or first_difference(model.ticks, expected_state(model), chip.state())
        return None if mismatch is None else str(mismatch)


def main() -> None:
    """Run the campaign; exit code 1 at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=10_000, help="reads and writes in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="all follows from it (%(default)s)")
    arguments = parser.parse_args()
    if arguments.commands < 1 or arguments.seed < 0:
        parser.error("--commands must be at least 1, and --seed at least 0")
    campaign = Campaign(arguments.seed)
    try:
        difference, figures = campaign.run(arguments.commands)
    finally:
        campaign.line.close()
    for name in Figures.__slots__:
        value = getattr(figures, name)
        print(f"{name:12} {', '.join(f'{k} {n}' for k, n in value.items()) if name == 'faults' else f'{value:.6g}'}")
    if difference is not None:
        sys.exit(f"{difference}; replay: python -m spikeloom.sim.faults --commands {arguments.commands} --seed {arguments.seed}")
    print("no difference")


if __name__ == "__main__":
    main()
