"""Frames of ``spikeloom.arch.frame`` against a link with a small fake chip behind it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.frame import MAX_WORDS, SLIP_END, SLIP_ESCAPE, Operation, Request, Response, seal, unseal
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Status
from spikeloom.hdl.link import SETTLE_CYCLES, Link
from tests.hdl.helpers import cycles, get, pause, put, simulate

#: Addresses at which the fake chip answers with these instead of OK.
BUSY_AT, BAD_AT = 0x40, 0x50
HELLO_ANSWER = (0x1234_5678, IDENT, PROTOCOL_VERSION)
#: Cycles without a byte after which no answer is expected any more.
QUIET = 300
#: The same for each word that a request executes.
QUIET_WORD = 30
#: Cycles between bytes where frames end in unexpected places. On a serial line there are ten times as many.
LINE = 4


class Bench:
    """A host and a chip around a link.

    Attributes
    ----------
    accesses : list of (write, address, word)
        What the chip was asked, in order.
    """

    def __init__(self, seed: int = 1, stalls: float = 0.3) -> None:
        self.dut = Link()
        self.rng, self.chip_rng, self.stalls = np.random.default_rng(seed), np.random.default_rng([seed, 1]), stalls
        self.accesses: list[tuple[int, int, int]] = []
        self.answered = 0
        self.memory: dict[int, int] = {}

    def content(self, address: int) -> int:
        """Word that an address holds before it is written."""
        return (address * 0x9E37_79B1 + 0xC0DB_DCDD) & 0xFFFF_FFFF

    async def chip(self, ctx: Any) -> None:
        while True:
            await pause(ctx, self.chip_rng, self.stalls)
            request = await get(ctx, self.dut.request)
            address, write, word = request.address, request.write, request.data
            self.accesses.append((write, address, word))
            status = {BUSY_AT: Status.BUSY, BAD_AT: Status.BAD_ADDRESS}.get(address, Status.OK)
            if write and status == Status.OK:
                self.memory[address] = word
            await pause(ctx, self.chip_rng, self.stalls)
            data = self.memory.get(address, self.content(address)) if not write else 0xBAD0_BAD0
            await put(ctx, self.dut.response, {"status": status, "data": data})

    async def send(self, ctx: Any, line: bytes, gaps: float = 0.0, spacing: int = 0) -> None:
        """Bytes from the host; the link must always take them."""
        for byte in line:
            await pause(ctx, self.rng, gaps)
            await cycles(ctx, spacing)
            ctx.set(self.dut.i.payload, byte)
            ctx.set(self.dut.i.valid, 1)
            *_, ready = await ctx.tick().sample(self.dut.i.ready)
            assert ready
            ctx.set(self.dut.i.valid, 0)

    async def receive(self, ctx: Any, stalls: float = 0.0, quiet: int = QUIET) -> bytes:
        """Bytes of one frame with its delimiters, or nothing if the link stays silent."""
        line = bytearray()
        silent = 0
        while silent < quiet and line.count(SLIP_END) < 2:
            ready = int(self.rng.random() >= stalls)
            ctx.set(self.dut.o.ready, ready)
            *_, valid, byte = await ctx.tick().sample(self.dut.o.valid, self.dut.o.payload)
            silent = 0 if valid else silent + 1
            if valid and ready:
                line.append(byte)
        ctx.set(self.dut.o.ready, 0)
        return bytes(line)

    async def exchange(
        self, ctx: Any, line: bytes, gaps: float = 0.0, stalls: float = 0.0, *, spacing: int = 0, words: int = 0
    ) -> Response | None:
        await self.send(ctx, line, gaps, spacing)
        answer = await self.receive(ctx, stalls, QUIET + QUIET_WORD * words)
        if not answer:
            return None
        assert answer[0] == answer[-1] == SLIP_END
        body = unseal(answer[1:-1])
        assert body is not None, answer.hex()
        return Response.decode(body)

    async def ask(self, ctx: Any, sequence: int, operation: int, address: int = 0, count: int = 0, *data: int) -> Response | None:
        return await self.exchange(ctx, Request(sequence, operation, address, count, data).encode(), words=min(count, MAX_WORDS))

    async def hello(self, ctx: Any, sequence: int = 0) -> None:
        answer = await self.ask(ctx, sequence, Operation.HELLO, HELLO_ANSWER[0])
        assert answer == Response(sequence, Status.OK, 3, HELLO_ANSWER)

    def errors(self, ctx: Any) -> int:
        return int(ctx.get(self.dut.errors))


Script = Callable[[Bench, Any], Coroutine[Any, Any, None]]


def _run(script: Script, limit: int = 8000, **options: Any) -> Bench:
    bench = Bench(**options)

    async def host(ctx: Any) -> None:
        await script(bench, ctx)

    simulate(bench.dut, host, watchers=[bench.chip], limit=limit)
    return bench


def _values(seed: int, count: int) -> tuple[int, ...]:
    """Words in which half of the bytes are special to SLIP."""
    rng = np.random.default_rng(seed)
    special = rng.choice([SLIP_END, SLIP_ESCAPE, 0xDC, 0xDD], (count, 4))
    data = np.where(rng.random((count, 4)) < 0.5, special, rng.integers(0, 256, (count, 4)))
    return tuple(int.from_bytes(bytes(row), "little") for row in data.astype(np.uint8).tolist())


# Every operation, with OK ---------------------------------------------------------------------------------------------------


def test_hello_answers_with_the_number_sent_ident_and_version() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        for sequence in (0, 255, 17, 17):
            await bench.hello(ctx, sequence)

    assert _run(script).accesses == []


@pytest.mark.parametrize("count", [1, 2, MAX_WORDS])
@pytest.mark.parametrize(("gaps", "stalls"), [(0.0, 0.0), (0.3, 0.5)])
def test_words_are_written_to_consecutive_addresses_and_read_back(count: int, gaps: float, stalls: float) -> None:
    values = _values(count, count)
    address = 0x0100_00F0

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx, 254)
        line = Request(255, Operation.WRITE, address, count, values).encode()
        assert await bench.exchange(ctx, line, gaps, stalls, words=count) == Response(255, Status.OK, count)
        line = Request(0, Operation.READ, address, count).encode()
        assert await bench.exchange(ctx, line, gaps, stalls, words=count) == Response(0, Status.OK, count, values)

    bench = _run(script, limit=12_000)
    writes = [(1, address + k, value) for k, value in enumerate(values)]
    assert bench.accesses[:count] == writes
    assert [access[:2] for access in bench.accesses[count:]] == [(0, address + k) for k in range(count)]
    assert bench.memory == {address + k: value for k, value in enumerate(values)}


def test_one_address_is_written_and_read_again_and_again() -> None:
    values = _values(9, 7)

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        assert await bench.ask(ctx, 1, Operation.WRITE_SAME, 6, 7, *values) == Response(1, Status.OK, 7)
        assert await bench.ask(ctx, 2, Operation.READ_SAME, 6, 3) == Response(2, Status.OK, 3, (values[-1],) * 3)

    bench = _run(script)
    assert bench.accesses[:7] == [(1, 6, value) for value in values]
    assert [access[:2] for access in bench.accesses[7:]] == [(0, 6)] * 3


@pytest.mark.parametrize("operation", [Operation.READ, Operation.WRITE, Operation.READ_SAME, Operation.WRITE_SAME])
def test_no_words_are_no_access(operation: Operation) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        assert await bench.ask(ctx, 1, operation, 5, 0) == Response(1, Status.OK, 0)

    assert _run(script).accesses == []


def test_sequence_numbers_go_round() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx, 253)
        for step in range(6):
            number = (254 + step) % 256
            assert await bench.ask(ctx, number, Operation.READ, step, 1) == Response(number, Status.OK, 1, (bench.content(step),))

    _run(script)


# Every other status ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bad", "status"), [(BUSY_AT, Status.BUSY), (BAD_AT, Status.BAD_ADDRESS)])
def test_a_request_ends_at_the_word_that_the_chip_refuses(bad: int, status: Status) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        assert await bench.ask(ctx, 1, Operation.WRITE, bad - 3, 6, *range(6)) == Response(1, status, 3)
        assert await bench.ask(ctx, 2, Operation.READ, bad - 2, 6) == Response(2, status, 2, (1, 2))
        # At the first word: nothing was done.
        assert await bench.ask(ctx, 3, Operation.READ, bad, 6) == Response(3, status, 0)
        assert await bench.ask(ctx, 4, Operation.READ, bad + 1, 1) == Response(4, Status.OK, 1, (bench.content(bad + 1),))

    bench = _run(script)
    assert [access[1] - bad for access in bench.accesses] == [-3, -2, -1, 0, -2, -1, 0, 0, 1]


@pytest.mark.parametrize("operation", [5, 255])
def test_an_unknown_operation_is_refused_and_uses_up_its_number(operation: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for _ in range(2):  # the second one is a repetition
            assert await bench.ask(ctx, 1, operation, 5, 1) == Response(1, Status.BAD_OPERATION, 0)
        assert await bench.ask(ctx, 2, Operation.READ, 5, 1) == Response(2, Status.OK, 1, (bench.content(5),))

    assert len(_run(script).accesses) == 1


@pytest.mark.parametrize(
    ("operation", "count", "words"),
    [
        (Operation.READ, MAX_WORDS + 1, 0),
        (Operation.READ, 0x0101, 0),  # its low byte is legal
        (Operation.READ, 0xFFFF, 0),
        (Operation.READ, 2, 2),
        (Operation.WRITE, 0, 1),
        (Operation.WRITE, 2, 1),
        (Operation.WRITE, 1, 2),
        (Operation.WRITE, 0x0101, 1),
        (Operation.WRITE_SAME, 3, 2),
        (Operation.HELLO, 0, 1),
    ],
)
def test_a_count_that_contradicts_the_length_is_refused(operation: Operation, count: int, words: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        assert await bench.ask(ctx, 1, operation, 5, count, *range(words)) == Response(1, Status.BAD_LENGTH, 0)
        assert await bench.ask(ctx, 2, Operation.READ, 5, 1) == Response(2, Status.OK, 1, (bench.content(5),))

    assert len(_run(script).accesses) == 1


def test_a_frame_that_is_not_whole_words_is_refused() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for sequence, extra in ((1, 1), (2, 243)):  # 255 bytes are the longest frame that the link can hold
            body = bytes((sequence, Operation.WRITE, 0, 0, 5, 0, 0, 0)) + bytes(extra)
            assert await bench.exchange(ctx, seal(body)) == Response(sequence, Status.BAD_LENGTH, 0)
        assert bench.errors(ctx) == 0

    _run(script)


@pytest.mark.parametrize("sequence", [2, 255])
def test_another_sequence_number_is_refused_and_changes_nothing(sequence: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx, 0)
        assert await bench.ask(ctx, sequence, Operation.WRITE, 5, 1, 77) == Response(sequence, Status.BAD_SEQUENCE, 0)
        assert bench.accesses == []
        assert await bench.ask(ctx, 1, Operation.READ, 5, 2) == Response(1, Status.OK, 2, (bench.content(5), bench.content(6)))
        assert await bench.ask(ctx, 3, Operation.WRITE, 5, 1, 77) == Response(3, Status.BAD_SEQUENCE, 0)
        # The last response is still there.
        assert await bench.ask(ctx, 1, Operation.READ, 5, 2) == Response(1, Status.OK, 2, (bench.content(5), bench.content(6)))
        assert bench.errors(ctx) == 0

    assert len(_run(script).accesses) == 2


def test_without_a_hello_every_request_is_refused() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        for sequence in (0, 1, 1, 2):
            assert await bench.ask(ctx, sequence, Operation.READ, 5, 1) == Response(sequence, Status.BAD_SEQUENCE, 0)

    assert _run(script).accesses == []


# Repetition -----------------------------------------------------------------------------------------------------------------


def test_a_repetition_is_answered_again_and_not_executed_again() -> None:
    values = _values(3, 4)

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for _ in range(3):
            assert await bench.ask(ctx, 1, Operation.WRITE_SAME, 6, 4, *values) == Response(1, Status.OK, 4)
        assert bench.accesses == [(1, 6, value) for value in values]
        bench.accesses.clear()
        for _ in range(3):
            assert await bench.ask(ctx, 2, Operation.READ_SAME, 6, 5) == Response(2, Status.OK, 5, (values[-1],) * 5)
        assert len(bench.accesses) == 5
        # A refused word stays refused in the repetition, since nothing is executed.
        for _ in range(2):
            expected = Response(3, Status.BUSY, 1, (bench.content(BUSY_AT - 1),))
            assert await bench.ask(ctx, 3, Operation.READ, BUSY_AT - 1, 2) == expected
        assert len(bench.accesses) == 7

    _run(script)


def test_a_repetition_is_known_by_its_number_alone() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        answer = await bench.ask(ctx, 1, Operation.READ, 5, 1)
        assert await bench.ask(ctx, 1, Operation.WRITE, 9, 2, 1, 2) == answer
        assert await bench.ask(ctx, 1, 200, 9, 0) == answer

    assert len(_run(script).accesses) == 1


def test_a_damaged_frame_between_leaves_the_last_response_as_it_was() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        answer = await bench.ask(ctx, 1, Operation.READ, 5, 3)
        line = bytearray(Request(2, Operation.WRITE, 5, 3, (1, 2, 3)).encode())
        line[-3] ^= 0x10
        assert await bench.exchange(ctx, bytes(line)) is None
        assert await bench.ask(ctx, 1, Operation.READ, 5, 3) == answer
        assert bench.errors(ctx) == 1

    assert len(_run(script).accesses) == 3


# Damage ---------------------------------------------------------------------------------------------------------------------


def _good(bench: Bench) -> bytes:
    return Request(1, Operation.WRITE, 5, 2, (0xAABB_CCDD, 0xC0DB_DCDD)).encode()


@pytest.mark.parametrize("kind", ["bit", "lost byte", "extra byte", "cut off", "wrong escape"])
def test_a_damaged_frame_is_counted_and_ignored_and_the_next_one_works(kind: str) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        line = _good(bench)
        inside = range(1, len(line) - 1)
        if kind == "bit":
            damaged = [line[:k] + bytes([line[k] ^ 0x04]) + line[k + 1 :] for k in inside if line[k] ^ 0x04 != SLIP_END]
        elif kind == "lost byte":
            damaged = [line[:k] + line[k + 1 :] for k in inside]
        elif kind == "extra byte":
            damaged = [line[:k] + b"\x55" + line[k:] for k in inside]
        elif kind == "cut off":
            damaged = [line[:k] + bytes([SLIP_END]) for k in inside[1:]]
        else:
            damaged = [line.replace(b"\xdb\xdc", b"\xdb\x21")]
        for number, frame in enumerate(damaged, 1):
            await bench.send(ctx, frame)
            await cycles(ctx, 8)
            assert not ctx.get(bench.dut.o.valid)
            assert bench.errors(ctx) == number, f"{kind} at {number}"
        assert bench.accesses == []
        assert await bench.exchange(ctx, line) == Response(1, Status.OK, 2)
        assert bench.errors(ctx) == len(damaged)

    bench = _run(script)
    assert bench.accesses == [(1, 5, 0xAABB_CCDD), (1, 6, 0xC0DB_DCDD)]


@pytest.mark.parametrize("length", [0, 3, 7])
def test_a_short_frame_with_a_right_checksum_is_damaged(length: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        assert await bench.exchange(ctx, seal(bytes([1, Operation.READ, 1, 0, 5, 0, 0, 0][:length]))) is None
        assert bench.errors(ctx) == 1
        assert await bench.ask(ctx, 1, Operation.READ, 5, 1) == Response(1, Status.OK, 1, (bench.content(5),))

    assert len(_run(script).accesses) == 1


@pytest.mark.parametrize("words", [MAX_WORDS + 1, MAX_WORDS + 2, 3 * MAX_WORDS])
def test_a_frame_longer_than_the_buffer_is_counted_and_ignored(words: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        assert await bench.exchange(ctx, Request(1, Operation.WRITE, 0x300, words, tuple(range(words))).encode()) is None
        assert bench.errors(ctx) == 1
        assert await bench.ask(ctx, 1, Operation.WRITE, 0x300, MAX_WORDS, *range(MAX_WORDS)) == Response(1, Status.OK, MAX_WORDS)

    bench = _run(script)
    assert bench.memory == {0x300 + k: k for k in range(MAX_WORDS)}


def test_empty_frames_are_neither_counted_nor_answered() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        assert await bench.exchange(ctx, bytes([SLIP_END] * 20)) is None
        assert bench.errors(ctx) == 0
        await bench.hello(ctx)

    _run(script)


def test_a_delimiter_ends_a_frame_that_a_host_broke_off() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.send(ctx, _good(bench)[:9])
        await cycles(ctx, 100)
        # The next frame's own delimiter ends the broken one.
        assert await bench.exchange(ctx, _good(bench), spacing=LINE) == Response(1, Status.OK, 2)
        assert bench.errors(ctx) == 1

    _run(script)


def test_garbage_before_a_frame_does_no_harm() -> None:
    garbage = np.random.default_rng(7).integers(0, 256, 400).astype(np.uint8).tobytes()

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.send(ctx, garbage, spacing=LINE)
        assert await bench.exchange(ctx, _good(bench), spacing=LINE) == Response(1, Status.OK, 2)
        assert bench.errors(ctx) == len([part for part in garbage.split(bytes([SLIP_END])) if part])

    assert len(_run(script).accesses) == 2


# While a request is executed and answered -----------------------------------------------------------------------------------


def test_what_comes_while_a_request_is_answered_is_thrown_away() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.send(ctx, Request(1, Operation.READ, 5, 8).encode())
        await cycles(ctx, 10)
        # A whole request: nothing of it is executed.
        await bench.send(ctx, Request(2, Operation.WRITE, 9, 1, (1,)).encode())
        answer = unseal((await bench.receive(ctx)).strip(bytes([SLIP_END])))
        assert answer is not None
        assert Response.decode(answer).data == tuple(bench.content(5 + k) for k in range(8))
        assert await bench.receive(ctx) == b""
        assert all(not write for write, _, _ in bench.accesses)
        # The host sends it again.
        assert await bench.ask(ctx, 2, Operation.WRITE, 9, 1, 1) == Response(2, Status.OK, 1)
        assert bench.errors(ctx) == 0

    _run(script)


@pytest.mark.parametrize("late", range(0, 60, 13))
def test_a_request_of_which_the_start_was_thrown_away_is_damaged(late: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.send(ctx, Request(1, Operation.READ, 5, 1).encode())
        answer = b""
        ctx.set(bench.dut.o.ready, 1)
        # The second request begins while the first one is answered, and ends after that, at most byte 6 of 14 being lost.
        while len(answer) < 12:
            *_, valid, byte = await ctx.tick().sample(bench.dut.o.valid, bench.dut.o.payload)
            answer += bytes([byte]) if valid else b""
        line = Request(2, Operation.WRITE, 9, 1, (0x0101_0101,)).encode()
        await bench.send(ctx, line[:1])
        await cycles(ctx, late)
        for byte in line[1:]:
            await bench.send(ctx, bytes([byte]))
            await cycles(ctx, 7)
        rest = await bench.receive(ctx)
        done = (1, 9, 0x0101_0101) in bench.accesses
        # Either it came whole and was executed, or it is counted and not executed.
        assert done == (bench.errors(ctx) == 0)
        assert await bench.ask(ctx, 2, Operation.WRITE, 9, 1, 0x0101_0101) == Response(2, Status.OK, 1)
        assert [access for access in bench.accesses if access[0]] == [(1, 9, 0x0101_0101)], rest.hex()

    _run(script)


# Cycles of docs/link.md -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "per_word"), [(Operation.WRITE, 5), (Operation.READ, 4)])
def test_cycles_of_a_word_besides_the_access(operation: Operation, per_word: int) -> None:
    # The chip of this test takes two cycles: one for the request, one for the answer.
    lengths = []
    for count in (10, 20):

        async def script(bench: Bench, ctx: Any, count: int = count) -> None:
            await bench.hello(ctx)
            data = (0,) * count if operation == Operation.WRITE else ()
            await bench.send(ctx, Request(1, operation, 0x200, count, data).encode())
            passed = 0
            while not ctx.get(bench.dut.o.valid):
                await ctx.tick()
                passed += 1
            lengths.append(passed)
            await bench.receive(ctx)

        _run(script, stalls=0.0)
    assert lengths[1] - lengths[0] == 10 * (per_word + 2)


def test_cycles_of_a_byte_of_the_response() -> None:
    times: list[int] = []

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.send(ctx, Request(1, Operation.READ, 5, 0).encode())
        ctx.set(bench.dut.o.ready, 1)
        for cycle in range(150):
            *_, valid = await ctx.tick().sample(bench.dut.o.valid)
            if valid:
                times.append(cycle)

    _run(script)
    # Nothing in this response is escaped.
    assert {b - a for a, b in pairwise(times)} == {SETTLE_CYCLES + 2}


def test_every_response_is_as_long_as_its_words_say() -> None:
    counts: Sequence[int] = (0, 1, 5, MAX_WORDS)

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for sequence, count in enumerate(counts, 1):
            answer = await bench.ask(ctx, sequence, Operation.READ, 0x300, count)
            assert answer == Response(sequence, Status.OK, count, tuple(bench.content(0x300 + k) for k in range(count)))

    _run(script)
