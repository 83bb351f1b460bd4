# amaranth: UnusedElaboratable=no
"""A chip link against the frames of ``arch``, cell by cell; and two links on a bad cable in a compiled simulator."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.chip_link import KEEP_ALIVE_FRAMES, REPEAT_FRAMES, WINDOW, Frame, FrameFormat, Kind
from spikeloom.hdl.chip_link import DEAF_FRAMES, ChipLink
from spikeloom.sim.chip_link_rtl import ChipLinkPair
from tests.hdl.helpers import POISONED, cycles, get, put, recorder, simulate

WIDTH, LANES, CELL = 8, 4, 4
FORMAT = FrameFormat(WIDTH, LANES)
FRAME_CYCLES = FORMAT.cells * CELL
HELLO, ANSWER = Frame(Kind.HELLO, 0, 0, WINDOW, 0), Frame(Kind.ANSWER, 0, 0, WINDOW, 0)
IDLE = Frame(Kind.IDLE, 0, 0, WINDOW, 0)


class Peer:
    """The other side, by hand: listens to the pins, and sends the frames that a test wants.

    Attributes
    ----------
    heard : list of Frame
        Frames of the link, in which the word of all but WORD frames is replaced by 0.
    edges : list of tuple (cycle, pins that changed)
        All transitions.
    errors, repeats : int
        Strobes.
    """

    def __init__(self, lanes: int = LANES, cell: int = CELL, width: int = WIDTH) -> None:
        self.dut = ChipLink(width=width, lanes=lanes, cell=cell, fabric=POISONED)
        self.frames, self.lanes, self.cell = FrameFormat(width, lanes), lanes, cell
        self.heard: list[Frame] = []
        self.edges: list[tuple[int, int]] = []
        self.errors = self.repeats = self.cycle = 0
        self.strobe = 0

    async def listen(self, ctx: Any) -> None:
        last, cells = 0, []
        while True:
            *_, pins, error, repeat = await ctx.tick().sample(self.dut.tx, self.dut.errors, self.dut.repeats)
            self.cycle += 1
            self.errors += error
            self.repeats += repeat
            changed = pins ^ last
            if changed:
                self.edges.append((self.cycle, changed))
            if changed >> self.lanes & 1:
                cells.append(pins & ((1 << self.lanes) - 1))
                # The frame pin marks the first cell and the last.
                assert pins >> self.lanes + 1 == (len(cells) in (1, self.frames.cells))
                if len(cells) == self.frames.cells:
                    frame = self.frames.decode(cells)
                    assert frame is not None, "the link sent a damaged frame"
                    self.heard.append(frame if frame.kind == Kind.WORD else replace(frame, sequence=0, word=0))
                    cells = []
            last = pins

    async def send(self, ctx: Any, *frames: Frame) -> None:
        for frame in frames:
            await self.send_cells(ctx, self.frames.encode(frame))

    async def send_cells(
        self, ctx: Any, cells: list[int], strobes: dict[int, int] | None = None, wrong_mark: int | None = None
    ) -> None:
        """Cells of a frame; ``strobes`` says how often the strobe changes in a cell if not once, ``wrong_mark`` where the frame pin lies."""
        for number, cell in enumerate(cells):
            marked = (number in (0, len(cells) - 1)) != (number == wrong_mark)
            pins = cell | marked << self.lanes + 1
            ctx.set(self.dut.rx, pins | self.strobe << self.lanes)
            await cycles(ctx, self.cell // 2)
            count = (strobes or {}).get(number, 1)
            for _ in range(count):
                self.strobe ^= 1
                ctx.set(self.dut.rx, pins | self.strobe << self.lanes)
                await ctx.tick()
            await cycles(ctx, max(0, self.cell - self.cell // 2 - count))

    async def next(self, ctx: Any) -> Frame:
        """The next frame of the link that is heard."""
        count = len(self.heard)
        while len(self.heard) == count:
            await ctx.tick()
        return self.heard[-1]

    async def connect(self, ctx: Any) -> None:
        """Hear hello, answer, and be linked."""
        await cycles(ctx, (DEAF_FRAMES + 2) * FRAME_CYCLES)
        assert set(self.heard) == {HELLO}
        await self.send(ctx, ANSWER, IDLE)
        await cycles(ctx, 2 * FRAME_CYCLES)
        assert ctx.get(self.dut.up)
        self.heard.clear()


Script = Callable[[Peer, Any], Coroutine[Any, Any, None]]


def run(script: Script, *, linked: bool = True, taken: list[int] | None = None, **options: Any) -> Peer:
    peer = Peer(**options)

    async def bench(ctx: Any) -> None:
        if taken is not None:
            ctx.set(peer.dut.o.ready, 1)
        if linked:
            await peer.connect(ctx)
        await script(peer, ctx)

    watchers = [peer.listen] + ([recorder(peer.dut.o, taken)] if taken is not None else [])
    simulate(peer.dut, bench, watchers=watchers)
    return peer


# Pins and frames ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lanes", "cell"), [(1, 4), (3, 5), (4, 4), (16, 7)])
def test_data_are_steady_on_both_sides_of_a_strobe(lanes: int, cell: int) -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        for _ in range(2):
            assert await peer.next(ctx) == HELLO

    peer = run(script, linked=False, lanes=lanes, cell=cell)
    strobes = [cycle for cycle, pins in peer.edges if pins == 1 << lanes]
    others = [cycle for cycle, pins in peer.edges if not pins >> lanes & 1]
    assert len(strobes) + len(others) == len(peer.edges), "the strobe changed with another pin"
    assert set(np.diff(strobes)) == {cell}
    assert {(cycle - strobes[0]) % cell for cycle in others} == {-(cell // 2) % cell}


def test_words_and_acknowledgements_travel_in_frames() -> None:
    taken: list[int] = []

    async def script(peer: Peer, ctx: Any) -> None:
        await put(ctx, peer.dut.i, 0xA5)
        assert await peer.next(ctx) == Frame(Kind.WORD, 0, 0, WINDOW, 0xA5)
        await put(ctx, peer.dut.i, 0x5A)
        assert await peer.next(ctx) == Frame(Kind.WORD, 1, 0, WINDOW, 0x5A)
        await peer.send(ctx, Frame(Kind.WORD, 0, 2, WINDOW + 2 & 15, 0x11), Frame(Kind.WORD, 1, 2, WINDOW + 2 & 15, 0x22))
        await cycles(ctx, 2 * FRAME_CYCLES)
        assert peer.heard[-1] == Frame(Kind.IDLE, 0, 2, WINDOW + 2 & 15, 0)
        assert taken == [0x11, 0x22]
        # All is said: silence, but for a sign of life.
        peer.heard.clear()
        await cycles(ctx, 3 * (KEEP_ALIVE_FRAMES + 1) * FRAME_CYCLES)
        assert peer.heard == [Frame(Kind.IDLE, 0, 2, WINDOW + 2 & 15, 0)] * len(peer.heard)
        assert 2 <= len(peer.heard) <= 4

    peer = run(script, taken=taken)
    assert (peer.errors, peer.repeats) == (0, 0)


def test_words_are_repeated_from_the_first_that_is_not_acknowledged() -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        for word in range(3):
            await put(ctx, peer.dut.i, word)
        await cycles(ctx, 4 * FRAME_CYCLES)
        await peer.send(ctx, replace(IDLE, expected=1))
        peer.heard.clear()
        await cycles(ctx, (REPEAT_FRAMES + 3) * FRAME_CYCLES)
        assert [(frame.sequence, frame.word) for frame in peer.heard if frame.kind == Kind.WORD] == [(1, 1), (2, 2)]
        assert peer.repeats == 2
        # What was on its way: 2 is not sent a third time.
        await peer.send(ctx, replace(IDLE, expected=3))
        peer.heard.clear()
        await cycles(ctx, 2 * REPEAT_FRAMES * FRAME_CYCLES)
        assert {frame.kind for frame in peer.heard} == {Kind.IDLE}

    assert run(script).repeats == 2


def test_an_acknowledgement_during_repetition_skips_what_had_arrived() -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        for word in range(10):
            await put(ctx, peer.dut.i, word)
        await cycles(ctx, 12 * FRAME_CYCLES)
        peer.heard.clear()
        while peer.repeats == 0:
            await ctx.tick()
        await peer.send(ctx, replace(IDLE, expected=8, limit=6))
        await cycles(ctx, 6 * FRAME_CYCLES)
        words = [frame.word for frame in peer.heard if frame.kind == Kind.WORD]
        # While the frame was on its way, the first one or two were repeated.
        assert words[-2:] == [8, 9]
        assert len(words) <= 5

    run(script)


def test_no_more_words_are_sent_than_there_is_room_for() -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        await peer.send(ctx, replace(IDLE, limit=5))
        await cycles(ctx, 10)
        for word in range(WINDOW):
            await put(ctx, peer.dut.i, word)
        await cycles(ctx, 5 * FRAME_CYCLES)
        # As many words fit into the link's own buffer.
        assert not ctx.get(peer.dut.i.ready)
        await peer.send(ctx, replace(IDLE, expected=5, limit=5))
        await cycles(ctx, 2 * REPEAT_FRAMES * FRAME_CYCLES)
        assert [frame.word for frame in peer.heard if frame.kind == Kind.WORD] == list(range(5))
        await peer.send(ctx, replace(IDLE, expected=5, limit=6))
        await cycles(ctx, 3 * FRAME_CYCLES)
        assert [frame.word for frame in peer.heard if frame.kind == Kind.WORD] == list(range(6))

    run(script)


def test_room_is_granted_as_words_are_taken() -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        await peer.send(ctx, *(Frame(Kind.WORD, word, 0, WINDOW, word) for word in range(WINDOW)))
        await cycles(ctx, 2 * FRAME_CYCLES)
        # One word has left the buffer to stand at ``o``.
        assert peer.heard[-1] == Frame(Kind.IDLE, 0, WINDOW, 0, 0)
        await peer.send(ctx, Frame(Kind.WORD, WINDOW, 0, WINDOW, WINDOW))
        for word in range(3):
            assert await get(ctx, peer.dut.o) == word
        await cycles(ctx, 3 * FRAME_CYCLES)
        assert peer.heard[-1] == Frame(Kind.IDLE, 0, 0, 3, 0)
        for word in range(3, WINDOW + 1):
            assert await get(ctx, peer.dut.o) == word

    run(script)


def test_words_out_of_turn_are_dropped_and_answered() -> None:
    taken: list[int] = []

    async def script(peer: Peer, ctx: Any) -> None:
        for sequence, word in ((0, 10), (0, 11), (2, 12), (1, 13), (15, 14), (1, 15)):
            peer.heard.clear()
            await peer.send(ctx, Frame(Kind.WORD, sequence, 0, WINDOW, word))
            await cycles(ctx, 3 * FRAME_CYCLES)
            assert peer.heard[-1].expected == len(taken)
        assert taken == [10, 13]

    assert run(script, taken=taken).errors == 0


def test_the_page_names_all_ports() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "chip_link.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| (?:in|out)", page, re.MULTILINE) == list(Peer().dut.signature.members)


# Damage ---------------------------------------------------------------------------------------------------------------


def test_each_wrong_bit_costs_one_frame() -> None:
    taken: list[int] = []
    good = FORMAT.encode(Frame(Kind.WORD, 0, 0, WINDOW, 0xFF))

    async def script(peer: Peer, ctx: Any) -> None:
        for number in range(FORMAT.cells):
            damaged = list(good)
            damaged[number] ^= 1 << number % LANES
            await peer.send_cells(ctx, damaged)
            await cycles(ctx, 10)
            assert peer.errors == number + 1
        await peer.send_cells(ctx, good)
        await cycles(ctx, 10)
        assert taken == [0xFF]

    assert run(script, taken=taken).errors == FORMAT.cells


@pytest.mark.parametrize("changes", [0, 2, 3])
@pytest.mark.parametrize("number", range(FORMAT.cells))
def test_a_lost_or_invented_strobe_costs_one_frame(changes: int, number: int) -> None:
    """A strobe that is missing, or changes again at once. The frames before and behind must come through."""
    taken: list[int] = []

    async def script(peer: Peer, ctx: Any) -> None:
        await peer.send(ctx, Frame(Kind.WORD, 0, 0, WINDOW, 0x11))
        await peer.send_cells(ctx, FORMAT.encode(Frame(Kind.WORD, 1, 0, WINDOW, 0x22)), {number: changes})
        if number == FORMAT.cells - 1 and changes == 0:
            # The next frame's first cell looks like the missing one, so that frame is lost too.
            await peer.send(ctx, IDLE)
        await peer.send(ctx, Frame(Kind.WORD, 1, 0, WINDOW, 0x33))
        await cycles(ctx, 10)

    peer = run(script, taken=taken)
    if changes and number in (0, FORMAT.cells - 1):
        # A first cell that comes again, and cells behind the last, do no harm.
        assert taken == [0x11, 0x22]
    else:
        assert taken == [0x11, 0x33]
        # Without its first cell a frame is not even seen, but for its last cell, which looks like the first of another.
        assert peer.errors == (number > 0)


@pytest.mark.parametrize("number", range(FORMAT.cells))
def test_a_wrong_frame_pin_costs_one_frame(number: int) -> None:
    taken: list[int] = []

    async def script(peer: Peer, ctx: Any) -> None:
        await peer.send_cells(ctx, FORMAT.encode(Frame(Kind.WORD, 0, 0, WINDOW, 0x11)), wrong_mark=number)
        await peer.send(ctx, Frame(Kind.WORD, 0, 0, WINDOW, 0x22))
        await cycles(ctx, 10)
        assert taken == [0x22]

    run(script, taken=taken)


def test_noise_before_the_first_frame_does_no_harm() -> None:
    taken: list[int] = []
    rng = np.random.default_rng(1)

    async def script(peer: Peer, ctx: Any) -> None:
        for _ in range(1500):
            ctx.set(peer.dut.rx, int(rng.integers(1 << LANES + 2)))
            await ctx.tick()
        assert set(peer.heard) == {HELLO}
        assert not ctx.get(peer.dut.up)
        peer.strobe = 0
        ctx.set(peer.dut.rx, 0)
        await cycles(ctx, CELL)
        await peer.send(ctx, HELLO, ANSWER, Frame(Kind.WORD, 0, 0, WINDOW, 7))
        await cycles(ctx, 2 * FRAME_CYCLES)
        assert taken == [7]

    run(script, linked=False, taken=taken)


# Start and restart ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hears", "says"),
    [
        ([], HELLO),
        ([HELLO], ANSWER),
        ([ANSWER], ANSWER),
        ([HELLO, HELLO], ANSWER),
        ([IDLE], HELLO),
        ([Frame(Kind.WORD, 0, 0, WINDOW, 1)], HELLO),
        ([HELLO, ANSWER], IDLE),
        ([ANSWER, ANSWER], IDLE),
        ([HELLO, IDLE], IDLE),
        ([HELLO, Frame(Kind.WORD, 0, 0, WINDOW, 1)], replace(IDLE, expected=1)),
        ([HELLO, ANSWER, ANSWER], IDLE),
        ([HELLO, ANSWER, HELLO], ANSWER),
        ([HELLO, Frame(Kind.WORD, 0, 0, WINDOW, 1), HELLO], ANSWER),
        ([HELLO, Frame(Kind.WORD, 0, 0, WINDOW, 1), HELLO, ANSWER], IDLE),
    ],
)
def test_what_a_side_says_follows_from_what_it_has_heard(hears: list[Frame], says: Frame) -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        await cycles(ctx, (DEAF_FRAMES + 2) * FRAME_CYCLES)
        await peer.send(ctx, *hears)
        await cycles(ctx, (KEEP_ALIVE_FRAMES + 3) * FRAME_CYCLES)
        frame = peer.heard[-1]
        # A word that was received waits at ``o``, and no more.
        assert replace(frame, limit=WINDOW) == says
        assert ctx.get(peer.dut.up) == (says.kind == Kind.IDLE)

    run(script, linked=False)


def test_a_frame_that_comes_right_after_a_reset_is_not_believed() -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        await peer.send(ctx, *[HELLO] * (DEAF_FRAMES - 1))
        await cycles(ctx, 2 * FRAME_CYCLES)
        assert set(peer.heard) == {HELLO}

    assert run(script, linked=False).errors == 0


def test_what_was_under_way_is_dropped_when_the_other_side_begins_anew() -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        for word in range(5):
            await put(ctx, peer.dut.i, word)
        await peer.send(ctx, *(Frame(Kind.WORD, word, 0, WINDOW, word) for word in range(5)))
        await cycles(ctx, FRAME_CYCLES)
        await peer.send(ctx, HELLO)
        await cycles(ctx, 2 * FRAME_CYCLES)
        assert not ctx.get(peer.dut.up)
        assert peer.heard[-1] == ANSWER
        await peer.send(ctx, ANSWER)
        await put(ctx, peer.dut.i, 0x77)
        peer.heard.clear()
        await cycles(ctx, 4 * FRAME_CYCLES)
        assert [frame for frame in peer.heard if frame.kind == Kind.WORD] == [Frame(Kind.WORD, 0, 0, WINDOW, 0x77)]
        # Of the words received only the one that stood at ``o`` is left.
        await peer.send(ctx, Frame(Kind.WORD, 0, 1, WINDOW, 0x88))
        assert [await get(ctx, peer.dut.o) for _ in range(2)] == [0, 0x88]
        await cycles(ctx, 2 * FRAME_CYCLES)
        assert not ctx.get(peer.dut.o.valid)

    assert run(script).repeats == 0


def test_up_falls_when_the_other_side_is_silent_and_rises_again() -> None:
    async def script(peer: Peer, ctx: Any) -> None:
        fell = 0
        while ctx.get(peer.dut.up):
            await cycles(ctx, FRAME_CYCLES)
            fell += 1
        assert 60 <= fell <= 66
        await peer.send(ctx, IDLE)
        await cycles(ctx, FRAME_CYCLES)
        assert ctx.get(peer.dut.up)

    run(script)


# Two links on a cable, compiled ---------------------------------------------------------------------------------------


@contextmanager
def cable(seed: int, *, width: int = 28, lanes: int = 4, cell: int = 4, **settings: float) -> Iterator[ChipLinkPair]:
    pair = ChipLinkPair(width=width, lanes=lanes, cell=cell, seed=seed)
    for side in (0, 1):
        pair.set(side, reset=0, **settings)
    try:
        yield pair
    finally:
        pair.close()


def words(seed: int, count: int, width: int = 28) -> list[np.ndarray[Any, np.dtype[np.uint64]]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 2**width, count, np.uint64) for _ in (0, 1)]


def send_all(pair: ChipLinkPair, sent: list[Any], limit: float) -> None:
    """Send words both ways, after those sent before, and check that all came, once and in order."""
    before = [len(pair.taken(side)) for side in (0, 1)]
    for side in (0, 1):
        pair.put(side, sent[side])
    assert pair.run(limit, (before[0] + len(sent[1]), before[1] + len(sent[0])))
    # Nothing comes twice.
    pair.run(3000)
    for side in (0, 1):
        np.testing.assert_array_equal(pair.taken(side)[before[side] :], sent[1 - side])


CLOCKS = [(1.0, 1.0), (1.0, 0.7), (0.77, 1.0)]


@pytest.mark.parametrize("speeds", CLOCKS)
def test_a_good_cable_is_used_fully_and_needs_no_repetition(speeds: tuple[float, float]) -> None:
    """Each word takes exactly the cells of its frame: credit never runs out, and no acknowledgement is late."""
    count = 10_000
    with cable(1, skew=0.3) as pair:
        for side in (0, 1):
            pair.set(side, speed=speeds[side])
        send_all(pair, words(1, count), 1e6)
        for side in (0, 1):
            counts = pair.counts(side)
            assert (counts.errors, counts.repeats, counts.falls, counts.faults) == (0, 0, 0, 0)
        frame = 4 * FrameFormat(28, 4).cells
        slower = min(speeds)
        assert pair.counts(0).cycles <= (count + 30) * frame * speeds[0] / slower + 3000


@pytest.mark.parametrize("speeds", CLOCKS)
@pytest.mark.parametrize(
    "settings",
    [
        {"fault_chance": 1e-4, "fault_cycles": 1},
        {"fault_chance": 1e-4, "fault_cycles": 30, "sink_pause": 0.5, "source_pause": 0.5},
        {"fault_chance": 1e-5, "fault_cycles": 2000, "sink_pause": 0.99},
        {"fault_chance": 2e-5, "fault_cycles": 5, "cut_chance": 5e-6, "cut_cycles": 20_000, "source_pause": 0.99},
    ],
    ids=["glitches", "pauses", "stuck pins", "cuts"],
)
def test_nothing_is_lost_or_doubled_on_a_bad_cable(settings: dict[str, float], speeds: tuple[float, float]) -> None:
    seed = 1000 * CLOCKS.index(speeds) + len(settings)
    with cable(seed, skew=0.2, **settings) as pair:
        for side in (0, 1):
            pair.set(side, speed=speeds[side])
        send_all(pair, words(seed, 2500), 3e7)
        for side in (0, 1):
            counts = pair.counts(side)
            assert counts.faults > 5
            assert counts.errors > 5
            assert counts.repeats > 5


def test_the_price_of_a_damaged_frame_is_a_time_out() -> None:
    """``errors`` counts what the cable spoilt, and each costs about the words sent within a time-out."""
    with cable(3, fault_chance=2e-5, fault_cycles=1) as pair:
        send_all(pair, words(3, 10_000), 3e6)
        for side in (0, 1):
            counts = pair.counts(side)
            # A fault of one cycle matters on the strobe, or in the cycle in which data are taken; half of them change nothing then.
            assert 0.1 * counts.faults <= counts.errors <= 0.6 * counts.faults
            assert pair.counts(1 - side).repeats <= (REPEAT_FRAMES + 2) * (counts.errors + pair.counts(1 - side).errors)


def test_a_cut_cable_ends_up_and_loses_nothing() -> None:
    with cable(4) as pair:
        sent = words(4, 3000)
        for side in (0, 1):
            pair.put(side, sent[side])
        pair.run(20_000)
        assert pair.up(0)
        assert pair.up(1)
        for side in (0, 1):
            pair.set(side, cut_chance=1.0, cut_cycles=1000)
        pair.run(50_000)
        came = [len(pair.taken(side)) for side in (0, 1)]
        pair.run(20_000)
        assert not pair.up(0)
        assert not pair.up(1)
        assert came == [len(pair.taken(side)) for side in (0, 1)]
        for side in (0, 1):
            pair.set(side, cut_chance=0.0)
        assert pair.run(500_000, (3000, 3000))
        for side in (0, 1):
            assert pair.up(side)
            np.testing.assert_array_equal(pair.taken(side), sent[1 - side])


@pytest.mark.parametrize("late", [0, 1, 50, 5000])
def test_sides_may_leave_reset_at_different_times(late: int) -> None:
    """Meanwhile the pins of the other side may do anything."""
    with cable(5, fault_chance=0.01, fault_cycles=100) as pair:
        pair.set(1, reset=1)
        pair.run(late)
        for side in (0, 1):
            pair.set(side, reset=0, fault_chance=0.0)
        send_all(pair, words(late, 200), 50_000)


def test_a_side_may_be_reset_at_any_time() -> None:
    """Both come to the same start. What is sent after both have been up again arrives, once and in order."""
    rng = np.random.default_rng(6)
    with cable(6, skew=0.2) as pair:
        send_all(pair, words(6, 50), 50_000)
        for number in range(60):
            chance = 1e-3 if number % 3 == 0 else 0.0
            for side in (0, 1):
                pair.set(
                    side,
                    fault_chance=chance,
                    fault_cycles=5,
                    speed=float(rng.uniform(0.77, 1)),
                    sink_pause=float(rng.choice([0, 0.9])),
                )
                pair.put(side, rng.integers(0, 2**28, 40, np.uint64))
            side = int(rng.integers(2))
            falls = pair.counts(1 - side).falls
            pair.run(float(rng.integers(1, 3000)))
            pair.set(side, reset=1)
            pair.run(float(rng.integers(1, 200)))
            pair.set(side, reset=0)
            was_up = pair.up(1 - side)
            pair.run(20_000)
            # By now all has come that still could, and the other side has noticed if it was linked.
            assert pair.up(0)
            assert pair.up(1)
            assert pair.counts(1 - side).falls > falls or not was_up
            send_all(pair, words(number, 40), 100_000)


@pytest.mark.parametrize("cell", [5, 64])
def test_other_lengths_of_a_cell(cell: int) -> None:
    """The longer a cell, the more the clocks may differ: here by 1.5 and by 3."""
    with cable(7, lanes=16, cell=cell, skew=0.3, fault_chance=1e-5, fault_cycles=20) as pair:
        pair.set(1, speed=1 / 1.5 if cell == 5 else 1 / 3)
        send_all(pair, words(7, 500), 5e6)
