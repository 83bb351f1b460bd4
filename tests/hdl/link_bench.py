"""A host and a chip around a link, for its tests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from spikeloom.arch.frame import SLIP_END, SLIP_ESCAPE, Request, Response, unseal
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Status
from spikeloom.hdl.link import BYTE_CYCLES, Link
from tests.hdl.helpers import POISONED, cycles, get, pause, put, simulate

#: Addresses at which the fake chip answers with these instead of OK, whatever happens.
BUSY_AT, BAD_AT = 0x40, 0x50
HELLO_NUMBER = 0x1234_5678
#: Cycles without a byte after which no answer is expected any more.
QUIET = 300


def content(address: int) -> int:
    """Word that an address holds before it is written; many bytes are special to SLIP."""
    return (address * 0x9E37_79B1 + 0xC0DB_DCDD) & 0xFFFF_FFFF


def refuse(address: int) -> Status:
    """What the chip answers for good."""
    return {BUSY_AT: Status.BUSY, BAD_AT: Status.BAD_ADDRESS}.get(address, Status.OK)


def values(seed: int, count: int) -> tuple[int, ...]:
    """Words in which half of the bytes are special to SLIP."""
    rng = np.random.default_rng(seed)
    special = rng.choice([SLIP_END, SLIP_ESCAPE, 0xDC, 0xDD], (count, 4))
    data = np.where(rng.random((count, 4)) < 0.5, special, rng.integers(0, 256, (count, 4)))
    return tuple(int.from_bytes(bytes(row), "little") for row in data.astype(np.uint8).tolist())


class Bench:
    """A host and a chip around a link.

    Attributes
    ----------
    accesses : list of (write, address, word)
        What the chip was asked, in order.
    resets : list of int
        Cycles of each reset of the chip.
    heard : list of Response
        Answers that no test has looked at yet.
    line : bytearray
        All bytes that came from the link.
    busy_for : dict of int
        How often the chip still answers that it is busy, by address.
    busy : float
        Share of all requests to the chip that it answers with ``BUSY`` besides.
    stalls, line_stalls, gaps : float
        Share of cycles in which the chip, the host's receiver and its sender do nothing.
    """

    def __init__(self, seed: int = 1) -> None:
        self.dut = Link(fabric=POISONED)
        self.rng, self.chip_rng, self.line_rng = (np.random.default_rng([seed, k]) for k in range(3))
        self.stalls, self.line_stalls, self.gaps, self.busy = 0.3, 0.0, 0.0, 0.0
        self.accesses: list[tuple[int, int, int]] = []
        self.resets: list[int] = []
        self.heard: list[Response] = []
        self.line = bytearray()
        self.busy_for: dict[int, int] = {}
        self.memory: dict[int, int] = {}
        self.content = content

    async def chip(self, ctx: Any) -> None:
        """Answers requests."""
        while True:
            await pause(ctx, self.chip_rng, self.stalls)
            request = await get(ctx, self.dut.request)
            address, write, word = request.address, request.write, request.data
            # The word of a read means nothing.
            self.accesses.append((write, address, word if write else 0))
            status = refuse(address)
            if self.busy_for.get(address) or self.chip_rng.random() < self.busy:
                status = Status.BUSY
                self.busy_for[address] = max(0, self.busy_for.get(address, 0) - 1)
            if write and status == Status.OK:
                self.memory[address] = word
            await pause(ctx, self.chip_rng, self.stalls)
            right = not write and status == Status.OK
            await put(
                ctx,
                self.dut.response,
                {"status": status, "data": self.memory.get(address, content(address)) if right else 0xBAD0_BAD0},
            )

    async def watch(self, ctx: Any) -> None:
        """Takes what the link sends, and looks at ``reset``."""
        dut, frame, was_reset, held = self.dut, bytearray(), 0, None
        while True:
            ready = int(self.line_rng.random() >= self.line_stalls)
            ctx.set(dut.o.ready, ready)
            *_, valid, byte, reset, asks = await ctx.tick().sample(dut.o.valid, dut.o.payload, dut.reset, dut.request.valid)
            assert held is None or (valid and byte == held), "a byte was not held"
            held = byte if valid and not ready else None
            if reset:
                assert not asks
                self.resets = [*self.resets[:-1], self.resets[-1] + 1] if was_reset else [*self.resets, 1]
            was_reset = reset
            if not (valid and ready):
                continue
            self.line.append(byte)
            frame.append(byte)
            if byte == SLIP_END and len(frame) > 1:
                assert frame[0] == SLIP_END, frame.hex()
                body = unseal(bytes(frame[1:-1]))
                assert body is not None, frame.hex()
                self.heard.append(Response.decode(body))
                frame.clear()

    async def send(self, ctx: Any, line: bytes) -> None:
        """Bytes from the host, as near to each other as they may be; the link must always take them."""
        for byte in line:
            await pause(ctx, self.rng, self.gaps)
            ctx.set(self.dut.i.payload, byte)
            ctx.set(self.dut.i.valid, 1)
            *_, ready = await ctx.tick().sample(self.dut.i.ready)
            assert ready
            ctx.set(self.dut.i.valid, 0)
            # What stands there while nothing is valid means nothing.
            ctx.set(self.dut.i.payload, SLIP_END)
            await cycles(ctx, BYTE_CYCLES - 1)

    async def answers(self, ctx: Any, count: int) -> list[Response]:
        """The next answers."""
        while len(self.heard) < count:
            await ctx.tick()
        came, self.heard[:count] = self.heard[:count], []
        return came

    async def answer(self, ctx: Any) -> Response:
        """The only answer."""
        (answer,) = await self.answers(ctx, 1)
        assert not self.heard
        return answer

    async def silence(self, ctx: Any) -> None:
        """No answer comes."""
        before = len(self.line)
        await cycles(ctx, QUIET)
        assert len(self.line) == before, self.line[before:].hex()
        assert not self.heard

    async def ask(self, ctx: Any, sequence: int, operation: int, address: int = 0, count: int = 0, *data: int) -> Response:
        """Send a request and wait for its answer."""
        await self.send(ctx, Request(sequence, operation, address, count, data).encode())
        return await self.answer(ctx)

    async def hello(self, ctx: Any, sequence: int = 0) -> None:
        """Begin a sequence; the next request has the number after this one."""
        answer = await self.ask(ctx, sequence, 0, HELLO_NUMBER)
        assert answer == Response(sequence, Status.OK, 3, (HELLO_NUMBER, IDENT, PROTOCOL_VERSION))

    def errors(self, ctx: Any) -> int:
        """Frames thrown away."""
        return int(ctx.get(self.dut.errors))


Script = Callable[[Bench, Any], Coroutine[Any, Any, None]]


def run(script: Script, limit: int = 20_000, seed: int = 1) -> Bench:
    """Run a script of a host."""
    bench = Bench(seed)

    async def host(ctx: Any) -> None:
        await script(bench, ctx)

    simulate(bench.dut, host, watchers=[bench.chip, bench.watch], limit=limit)
    return bench
