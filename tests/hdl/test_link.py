"""Frames of ``spikeloom.arch.frame`` against a link with a small fake chip behind it, request by request."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from spikeloom.arch.frame import MAX_WORDS, REPEAT_WINDOW, SLIP_END, Operation, Request, Response, seal
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Status
from spikeloom.hdl import link
from spikeloom.hdl.link import MAX_FRAME, RESET_CYCLES
from tests.hdl.helpers import cycles
from tests.hdl.link_bench import BAD_AT, BUSY_AT, HELLO_NUMBER, QUIET, Bench, run, values

#: Cycles of docs/link.md: a word besides the chip's access; from the last byte of a request to the first one of its answer.
WRITE_CYCLES, READ_CYCLES, FIRST_BYTE_CYCLES = 10, 45, 27

#: How long the link of the tests below waits for a busy chip.
SHORT_WAIT = 256


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "WAIT_CYCLES", SHORT_WAIT)


# Every operation, with OK ---------------------------------------------------------------------------------------------------


def test_hello_answers_with_the_number_sent_ident_and_version() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        for sequence in (0, 255, 17, 17):
            answer = await bench.ask(ctx, sequence, Operation.HELLO, HELLO_NUMBER)
            assert answer == Response(sequence, Status.OK, 3, (HELLO_NUMBER, IDENT, PROTOCOL_VERSION))

    assert run(script).accesses == []


@pytest.mark.parametrize(("count", "gaps", "stalls"), [(1, 0.0, 0.0), (2, 0.3, 0.5), (MAX_WORDS, 0.0, 0.0)])
def test_words_are_written_to_consecutive_addresses_and_read_back(count: int, gaps: float, stalls: float) -> None:
    words = values(count, count)
    address = 0x0100_00F0

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx, 254)
        bench.gaps, bench.line_stalls = gaps, stalls
        assert await bench.ask(ctx, 255, Operation.WRITE, address, count, *words) == Response(255, Status.OK, count)
        assert await bench.ask(ctx, 0, Operation.READ, address, count) == Response(0, Status.OK, count, words)

    bench = run(script)
    assert bench.accesses[:count] == [(1, address + k, word) for k, word in enumerate(words)]
    assert [access[:2] for access in bench.accesses[count:]] == [(0, address + k) for k in range(count)]
    assert bench.memory == {address + k: word for k, word in enumerate(words)}


def test_one_address_is_written_and_read_again_and_again() -> None:
    words = values(9, 7)

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        assert await bench.ask(ctx, 1, Operation.WRITE_SAME, 6, 7, *words) == Response(1, Status.OK, 7)
        assert await bench.ask(ctx, 2, Operation.READ_SAME, 6, 3) == Response(2, Status.OK, 3, (words[-1],) * 3)

    bench = run(script)
    assert bench.accesses[:7] == [(1, 6, word) for word in words]
    assert [access[:2] for access in bench.accesses[7:]] == [(0, 6)] * 3


def test_an_address_goes_past_the_end_of_its_bytes() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for sequence, address in ((1, 0xFF), (2, 0xFFFF), (3, 0xFF_FFFF), (4, 0xFFFF_FFFF)):
            await bench.ask(ctx, sequence, Operation.READ, address, 2)

    found = [address for _, address, _ in run(script).accesses]
    assert found == [0xFF, 0x100, 0xFFFF, 0x1_0000, 0xFF_FFFF, 0x100_0000, 0xFFFF_FFFF, 0]


@pytest.mark.parametrize("operation", [Operation.READ, Operation.WRITE, Operation.READ_SAME, Operation.WRITE_SAME])
def test_no_words_are_no_access(operation: Operation) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        assert await bench.ask(ctx, 1, operation, 5, 0) == Response(1, Status.OK, 0)

    assert run(script).accesses == []


def test_a_response_stands_on_the_line_as_described() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        bench.line.clear()
        word = bench.content(0x20)
        await bench.ask(ctx, 1, Operation.READ_SAME, 0x20, 2)
        assert bytes(bench.line) == seal(bytes([1]) + word.to_bytes(4, "little") * 2 + b"\x02\x00\x00")

    run(script)


def test_sequence_numbers_go_round() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx, 253)
        for step in range(6):
            number = (254 + step) % 256
            assert await bench.ask(ctx, number, Operation.READ, step, 1) == Response(number, Status.OK, 1, (bench.content(step),))

    run(script)


def test_reset_reaches_the_chip_once_for_as_long_as_it_says_and_leaves_the_sequence() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.ask(ctx, 1, Operation.WRITE, 5, 1, 7)
        assert bench.resets == []
        assert await bench.ask(ctx, 2, Operation.RESET) == Response(2, Status.OK, 0)
        assert bench.resets == [RESET_CYCLES]
        # A repetition is acknowledged, and resets nothing.
        assert await bench.ask(ctx, 2, Operation.RESET) == Response(2, Status.OK, 0)
        assert await bench.ask(ctx, 3, Operation.READ, 5, 1) == Response(3, Status.OK, 1, (7,))
        assert bench.resets == [RESET_CYCLES]

    assert [access for access in run(script).accesses if access[0]] == [(1, 5, 7)]


# A chip that is busy, and requests that fail -------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [Operation.WRITE, Operation.READ])
def test_a_busy_chip_is_asked_until_it_is_idle(operation: Operation) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        bench.busy_for = {9: 50, 10: 3}
        data = (1, 2, 3) if operation == Operation.WRITE else ()
        answer = await bench.ask(ctx, 1, operation, 8, 3, *data)
        expected = () if data else tuple(bench.content(8 + k) for k in range(3))
        assert answer == Response(1, Status.OK, 3, expected)
        assert bench.busy_for == {9: 0, 10: 0}

    # What was refused is asked again, word for word.
    accesses = run(script).accesses
    assert [address for _, address, _ in accesses] == [8] + [9] * 51 + [10] * 4
    assert len(set(accesses)) == 3


@pytest.mark.usefixtures("short_wait")
@pytest.mark.parametrize("operation", [Operation.WRITE, Operation.READ])
def test_a_chip_that_stays_busy_is_given_up_and_stops_the_link(operation: Operation) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        bench.stalls = 0
        data = (1, 2, 3, 4) if operation == Operation.WRITE else ()
        answer = await bench.ask(ctx, 1, operation, BUSY_AT - 2, 4, *data)
        read = () if data else (bench.content(BUSY_AT - 2), bench.content(BUSY_AT - 1))
        assert answer == Response(1, Status.BUSY, 2, read)
        # An access of this chip takes two cycles.
        assert SHORT_WAIT / 2 <= len(bench.accesses) - 2 <= SHORT_WAIT / 2 + 2
        bench.accesses.clear()
        assert await bench.ask(ctx, 2, Operation.WRITE, 5, 1, 1) == Response(2, Status.STOPPED, 0)
        assert await bench.ask(ctx, 1, Operation.WRITE, 5, 1, 1) == Response(1, Status.BUSY, 2)
        assert bench.accesses == []
        await bench.hello(ctx, 7)
        assert await bench.ask(ctx, 8, Operation.WRITE, 5, 1, 1) == Response(8, Status.OK, 1)

    assert run(script).accesses == [(1, 5, 1)]


@pytest.mark.usefixtures("short_wait")
def test_each_word_may_wait_for_as_long() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        bench.stalls = 0
        bench.busy_for = dict.fromkeys(range(10, 16), SHORT_WAIT // 2 - 2)
        assert await bench.ask(ctx, 1, Operation.WRITE, 10, 6, *range(6)) == Response(1, Status.OK, 6)
        assert not any(bench.busy_for.values())

    run(script)


@pytest.mark.parametrize("operation", [Operation.WRITE, Operation.READ, Operation.WRITE_SAME, Operation.READ_SAME])
def test_a_request_ends_at_the_word_that_the_chip_refuses_and_the_link_stops(operation: Operation) -> None:
    same = operation in (Operation.WRITE_SAME, Operation.READ_SAME)
    writes = operation in (Operation.WRITE, Operation.WRITE_SAME)

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        start, done = (BAD_AT, 0) if same else (BAD_AT - 3, 3)
        read = () if writes or same else tuple(bench.content(start + k) for k in range(3))
        answer = await bench.ask(ctx, 1, operation, start, 6, *(range(6) if writes else ()))
        assert answer == Response(1, Status.BAD_ADDRESS, done, read)
        assert len(bench.accesses) == done + 1
        # Nothing that comes after it is executed, whatever its number.
        for sequence in (2, 3, 2, 100, 127):
            assert await bench.ask(ctx, sequence, Operation.WRITE, 5, 1, 77) == Response(sequence, Status.STOPPED, 0)
            assert await bench.ask(ctx, sequence, Operation.READ, 5, 1) == Response(sequence, Status.STOPPED, 0)
            assert await bench.ask(ctx, sequence, Operation.RESET) == Response(sequence, Status.STOPPED, 0)
        # The request itself says again how it ended.
        for _ in range(2):
            assert await bench.ask(ctx, 1, operation, start, 6, *(range(6) if writes else ())) == Response(
                1, Status.BAD_ADDRESS, done
            )
        assert len(bench.accesses) == done + 1
        assert bench.resets == []
        await bench.hello(ctx, 200)
        assert await bench.ask(ctx, 201, Operation.READ, 5, 1) == Response(201, Status.OK, 1, (bench.content(5),))

    run(script)


def test_repetitions_of_what_came_before_a_failure_are_answered_as_ever() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.ask(ctx, 1, Operation.WRITE, 5, 2, 8, 9)
        await bench.ask(ctx, 2, Operation.READ, 5, 2)
        assert await bench.ask(ctx, 3, Operation.READ, BAD_AT, 1) == Response(3, Status.BAD_ADDRESS, 0)
        for _ in range(2):
            assert await bench.ask(ctx, 1, Operation.WRITE, 5, 2, 8, 9) == Response(1, Status.OK, 2)
            assert await bench.ask(ctx, 2, Operation.READ, 5, 2) == Response(2, Status.OK, 2, (8, 9))
            assert await bench.ask(ctx, 3, Operation.READ, BAD_AT, 1) == Response(3, Status.BAD_ADDRESS, 0)
            assert await bench.ask(ctx, 4, Operation.READ, 5, 2) == Response(4, Status.STOPPED, 0)

    assert [access for access in run(script).accesses if access[0]] == [(1, 5, 8), (1, 6, 9)]


def test_a_repeated_read_that_fails_stops_nothing() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.ask(ctx, 1, Operation.READ, 5, 1)
        # The chip may have changed meanwhile; here the host asks for something else under the old number.
        assert await bench.ask(ctx, 1, Operation.READ, BAD_AT - 1, 2) == Response(
            1, Status.BAD_ADDRESS, 1, (bench.content(BAD_AT - 1),)
        )
        assert await bench.ask(ctx, 2, Operation.WRITE, 5, 1, 3) == Response(2, Status.OK, 1)

    run(script)


@pytest.mark.parametrize("operation", [6, 7, 255])
def test_an_unknown_operation_is_refused_and_stops_the_link(operation: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for _ in range(2):  # the second one is a repetition
            assert await bench.ask(ctx, 1, operation, 5, 1) == Response(1, Status.BAD_OPERATION, 0)
        assert await bench.ask(ctx, 2, Operation.READ, 5, 1) == Response(2, Status.STOPPED, 0)

    assert run(script).accesses == []


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
        (Operation.WRITE, 0x81, 1),
        (Operation.WRITE, 0x0101, 1),
        (Operation.WRITE_SAME, 3, 2),
        (Operation.HELLO, 0, 1),
        (Operation.RESET, 0, 1),
    ],
)
def test_a_count_that_contradicts_the_length_is_refused_and_stops_the_link(operation: Operation, count: int, words: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for _ in range(2):
            assert await bench.ask(ctx, 1, operation, 5, count, *range(words)) == Response(1, Status.BAD_LENGTH, 0)
        assert await bench.ask(ctx, 2, Operation.READ, 5, 1) == Response(2, Status.STOPPED, 0)
        assert bench.resets == []
        await bench.hello(ctx, 8)
        assert await bench.ask(ctx, 9, Operation.READ, 5, 1) == Response(9, Status.OK, 1, (bench.content(5),))

    assert len(run(script).accesses) == 1


@pytest.mark.parametrize("extra", [1, 2, 3, MAX_FRAME - 12])
def test_a_frame_that_is_not_whole_words_is_refused(extra: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        body = bytes((1, Operation.WRITE, extra // 4, 0, 5, 0, 0, 0)) + bytes(extra)
        await bench.send(ctx, seal(body))
        assert await bench.answer(ctx) == Response(1, Status.BAD_LENGTH, 0)
        assert bench.errors(ctx) == 0

    run(script)


@pytest.mark.parametrize("ahead", [1, 2, 255 - REPEAT_WINDOW])
def test_a_request_ahead_of_its_time_is_refused_and_changes_nothing(ahead: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx, 250)
        sequence = (251 + ahead) % 256
        for _ in range(2):
            assert await bench.ask(ctx, sequence, Operation.WRITE, 5, 1, 77) == Response(sequence, Status.BAD_SEQUENCE, 0)
            assert await bench.ask(ctx, sequence, Operation.READ, BAD_AT, 1) == Response(sequence, Status.BAD_SEQUENCE, 0)
        assert bench.accesses == []
        assert await bench.ask(ctx, 251, Operation.READ, 5, 2) == Response(251, Status.OK, 2, (bench.content(5), bench.content(6)))
        assert bench.errors(ctx) == 0

    run(script)


def test_without_a_hello_every_request_is_refused() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        for sequence in (0, 1, 1, 2, 255, 128):
            assert await bench.ask(ctx, sequence, Operation.READ, 5, 1) == Response(sequence, Status.BAD_SEQUENCE, 0)
            assert await bench.ask(ctx, sequence, Operation.WRITE, 5, 1, 1) == Response(sequence, Status.BAD_SEQUENCE, 0)
            assert await bench.ask(ctx, sequence, Operation.RESET) == Response(sequence, Status.BAD_SEQUENCE, 0)

    bench = run(script)
    assert bench.accesses == []
    assert bench.resets == []


# Repetition -----------------------------------------------------------------------------------------------------------------


def test_a_repeated_write_is_acknowledged_and_a_repeated_read_is_executed() -> None:
    words = values(3, 4)

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for _ in range(3):
            assert await bench.ask(ctx, 1, Operation.WRITE_SAME, 6, 4, *words) == Response(1, Status.OK, 4)
        assert bench.accesses == [(1, 6, word) for word in words]
        assert await bench.ask(ctx, 2, Operation.READ_SAME, 6, 5) == Response(2, Status.OK, 5, (words[-1],) * 5)
        assert await bench.ask(ctx, 3, Operation.WRITE, 6, 1, 99) == Response(3, Status.OK, 1)
        bench.accesses.clear()
        # A repeated read gives what is there now.
        assert await bench.ask(ctx, 2, Operation.READ_SAME, 6, 5) == Response(2, Status.OK, 5, (99,) * 5)
        assert bench.accesses == [(0, 6, bench.accesses[0][2])] * 5

    run(script)


@pytest.mark.parametrize(("window", "executed", "repeated"), [(REPEAT_WINDOW, 0, 0), (REPEAT_WINDOW, 3, 3), (4, 6, 4)])
def test_what_was_executed_since_hello_can_be_repeated_up_to_the_window(
    monkeypatch: pytest.MonkeyPatch, window: int, executed: int, repeated: int
) -> None:
    monkeypatch.setattr("spikeloom.hdl.link.REPEAT_WINDOW", window)
    following = (41 + executed) % 256

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx, 40)
        for number in range(executed):
            assert await bench.ask(ctx, 41 + number, Operation.READ) == Response(41 + number, Status.OK, 0)
        for back in range(1, repeated + 1):
            number = following - back
            assert await bench.ask(ctx, number, Operation.WRITE, 5, 3, 1, 2, 3) == Response(number, Status.OK, 3)
            assert (await bench.ask(ctx, number, Operation.READ, 5, 1)).status == Status.OK
        beyond = following - repeated - 1
        assert await bench.ask(ctx, beyond, Operation.WRITE, 5, 1, 1) == Response(beyond, Status.BAD_SEQUENCE, 0)
        assert await bench.ask(ctx, beyond, Operation.READ, 5, 1) == Response(beyond, Status.BAD_SEQUENCE, 0)

    assert not any(write for write, _, _ in run(script).accesses)


def test_a_lost_request_and_all_after_it_are_executed_once_when_they_come_again() -> None:
    # Random campaigns are in test_link_random.py.
    requests = [Request(k, Operation.WRITE_SAME, 6, 2, (k, 100 + k)) for k in range(1, 9)]

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        for lost in (3, 4):
            bench.heard.clear()
            line = bytearray(requests[lost - 1].encode())
            line[6] ^= 1
            await bench.send(ctx, b"".join(request.encode() for request in requests[: lost - 1]))
            await bench.send(ctx, bytes(line))
            await bench.send(ctx, b"".join(request.encode() for request in requests[lost:]))
            answers = await bench.answers(ctx, 7)
            assert [answer.status for answer in answers[: lost - 1]] == [Status.OK] * (lost - 1)
            assert [answer.status for answer in answers[lost - 1 :]] == [Status.BAD_SEQUENCE] * (8 - lost)
            # From the second one on: its answer was lost too.
            await bench.send(ctx, b"".join(request.encode() for request in requests[1:lost]))
            assert await bench.answers(ctx, lost - 1) == [Response(k, Status.OK, 2) for k in range(2, lost + 1)]
        await bench.send(ctx, b"".join(request.encode() for request in requests[4:]))
        assert await bench.answers(ctx, 4) == [Response(k, Status.OK, 2) for k in range(5, 9)]
        assert bench.errors(ctx) == 2

    assert run(script).accesses == [(1, 6, word) for k in range(1, 9) for word in (k, 100 + k)]


# Frames that are none; damage is in test_link_random.py --------------------------------------------------------------------

GOOD = Request(1, Operation.WRITE, 5, 2, (0xAABB_CCDD, 0xC0DB_DCDD)).encode()


def test_empty_frames_are_neither_counted_nor_answered() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.send(ctx, bytes([SLIP_END] * 20))
        await bench.silence(ctx)
        assert bench.errors(ctx) == 0
        await bench.hello(ctx)

    run(script)


def test_a_delimiter_ends_a_frame_that_a_host_broke_off() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.send(ctx, GOOD[:9])
        await cycles(ctx, QUIET)
        # The next frame's own delimiter ends the broken one.
        await bench.send(ctx, GOOD)
        assert await bench.answer(ctx) == Response(1, Status.OK, 2)
        assert bench.errors(ctx) == 1

    run(script)


# Cycles of docs/link.md -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "per_word"), [(Operation.WRITE, WRITE_CYCLES), (Operation.READ, READ_CYCLES)])
def test_cycles_of_a_word_besides_the_access(operation: Operation, per_word: int) -> None:
    # The chip of this test takes two cycles: one for the request, one for the answer. Nothing is escaped.
    times: list[int] = []

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        bench.stalls = 0
        bench.memory = dict.fromkeys(range(0x200, 0x210), 0x0101_0101)
        data = (0x0101_0101,) * 10 if operation == Operation.WRITE else ()
        await bench.send(ctx, Request(1, operation, 0x200, 10, data).encode()[:-1])
        ctx.set(bench.dut.i.payload, SLIP_END)
        ctx.set(bench.dut.i.valid, 1)
        await ctx.tick()
        ctx.set(bench.dut.i.valid, 0)
        for cycle in range(600):
            *_, valid, ready = await ctx.tick().sample(bench.dut.request.valid, bench.dut.request.ready)
            if valid and ready:
                times.append(cycle)

    run(script)
    assert len(times) == 10
    assert {b - a for a, b in pairwise(times)} == {per_word + 2}


def test_cycles_of_bytes_of_the_response() -> None:
    times: list[int] = []

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.hello(ctx)
        await bench.send(ctx, Request(1, Operation.READ, 5, 0).encode()[:-1])
        ctx.set(bench.dut.i.payload, SLIP_END)
        ctx.set(bench.dut.i.valid, 1)
        await ctx.tick()
        ctx.set(bench.dut.i.valid, 0)
        for cycle in range(150):
            *_, valid = await ctx.tick().sample(bench.dut.o.valid)
            if valid:
                times.append(cycle)

    run(script)
    # Delimiter; sequence number; count and status; CRC; delimiter. A byte takes 11 cycles; one more where a part begins. Nothing is escaped.
    assert [b - a for a, b in pairwise(times)] == [3, 12, 11, 11, 12, 11, 11, 11, 11]
    assert times[0] + 1 == FIRST_BYTE_CYCLES
