# amaranth: UnusedElaboratable=no
"""Two edges back to back: packets of all ports both ways, tokens, the gate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module, Signal

from spikeloom.arch.chip_link import WINDOW
from spikeloom.arch.config import ChipConfig, CoreConfig, bits_for
from spikeloom.arch.packet import packet_layout
from spikeloom.hdl.chip_link import ChipLink
from spikeloom.hdl.edge import Edge, edge_ports
from tests.hdl.helpers import POISONED, Bench, cycles, pause, put, random_ready, recorder, simulate, source

Packet = dict[str, int]


def chip(columns: int, rows: int, side: str, **changes: Any) -> ChipConfig:
    """A chip with a link on one side, fast enough for a slow simulator."""
    core = CoreConfig(axons=16, neurons=16, lanes=4, reach_x=7, reach_y=7)
    settings: dict[str, Any] = {"links": (side,), "link_lanes": 16, "link_cell": 4}
    return ChipConfig(cores=(core,) * (columns * rows), columns=columns, rows=rows, **(settings | changes))


class Pair(Elaboratable):
    """Two chips' edges, and a cable on which bits can be inverted.

    Attributes
    ----------
    edges : tuple of Edge
    noise : tuple of Signal
        Pins to each edge that are inverted.
    """

    def __init__(self, columns: int = 1, rows: int = 3, sides: tuple[str, str] = ("east", "west")) -> None:
        self.edges = tuple(Edge(config=chip(columns, rows, side), side=side, fabric=POISONED) for side in sides)
        self.noise = tuple(Signal(len(edge.rx)) for edge in self.edges)
        self.count = self.edges[0].count

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.left, m.submodules.right = left, right = self.edges
        m.d.comb += [left.rx.eq(right.tx ^ self.noise[0]), right.rx.eq(left.tx ^ self.noise[1])]
        return m

    def i(self, side: int, port: int) -> Any:
        return getattr(self.edges[side], f"i_mesh_{port}")

    def o(self, side: int, port: int) -> Any:
        return getattr(self.edges[side], f"o_mesh_{port}")

    def noisy(self, side: int, rng: np.random.Generator, chance: float) -> Bench:
        """A watcher that inverts one of the pins to an edge now and then."""

        async def watcher(ctx: Any) -> None:
            while True:
                await pause(ctx, rng, 1 - chance)
                ctx.set(self.noise[side], 1 << int(rng.integers(len(self.noise[side]))))
                await ctx.tick()
                ctx.set(self.noise[side], 0)

        return watcher


def packets(rng: np.random.Generator, count: int) -> list[Packet]:
    layout = packet_layout(chip(1, 1, "east").cores[0])
    return [{field.name: int(rng.integers(field.low, field.high, endpoint=True)) for field in layout.fields} for _ in range(count)]


async def strobe(ctx: Any, signal: Any) -> None:
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


async def until(ctx: Any, signal: Any) -> None:
    while not ctx.get(signal):
        await ctx.tick()


@pytest.mark.parametrize(
    ("columns", "rows", "sides", "count", "stalls"),
    [
        (1, 1, ("west", "east"), 1, 0.0),
        (1, 1, ("west", "east"), 1, 0.8),
        (1, 3, ("east", "west"), 3, 0.8),
        (2, 1, ("south", "north"), 2, 0.0),
        (4, 2, ("north", "south"), 4, 0.8),
    ],
)
def test_packets_come_out_at_the_same_port_of_the_other_chip(
    columns: int, rows: int, sides: tuple[str, str], count: int, stalls: float
) -> None:
    pair = Pair(columns, rows, sides)
    assert pair.count == count == edge_ports(pair.edges[1].config, sides[1])
    rng = np.random.default_rng([columns, rows])
    sent = {(side, port): packets(rng, 8) for side in (0, 1) for port in range(count)}
    got: dict[tuple[int, int], list[Packet]] = {key: [] for key in sent}

    async def opens_gates(ctx: Any) -> None:
        for edge in pair.edges:
            assert ctx.get(edge.arrived)
            await strobe(ctx, edge.take)

    async def waits(ctx: Any) -> None:
        while any(len(got[side, port]) < len(sent[1 - side, port]) for side, port in sent):
            await ctx.tick()
        # Nothing comes twice.
        await cycles(ctx, 100)

    watchers = [recorder(pair.o(*key), got[key]) for key in sent]
    watchers += [random_ready(pair.o(*key), np.random.default_rng([*key, 1]), stalls) for key in sent]
    sources = [source(pair.i(*key), sent[key], np.random.default_rng([*key, 2]), stalls) for key in sent]
    simulate(pair, opens_gates, waits, *sources, watchers=watchers, limit=4000)
    assert got == {(side, port): sent[1 - side, port] for side, port in sent}


def test_the_page_names_all_ports() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "edge.md").read_text()
    named = {name for row in re.findall(r"^\| (`.*?) \| (?:in|out)", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(Edge(config=chip(1, 1, "west"), side="west").signature.members)


def test_ports_take_turns() -> None:
    pair = Pair(rows=4)
    counts = np.zeros(4, np.int64)

    async def counter(ctx: Any) -> None:
        while True:
            ports = [pair.i(0, port) for port in range(4)]
            _, _, *ready = await ctx.tick().sample(*(port.ready for port in ports))
            counts[:] += np.array(ready, np.int64)

    async def always(ctx: Any) -> None:
        await strobe(ctx, pair.edges[1].take)
        for port in range(4):
            ctx.set(pair.i(0, port).valid, 1)
            ctx.set(pair.o(1, port).ready, 1)
        await cycles(ctx, 1500)

    simulate(pair, always, watchers=[counter])
    assert counts.min() >= 15
    assert counts.max() - counts.min() <= 1


def test_nothing_comes_out_before_the_first_tick() -> None:
    pair = Pair()

    async def sender(ctx: Any) -> None:
        for port in range(3):
            await put(ctx, pair.i(0, port), packets(np.random.default_rng(port), 1)[0])

    async def receiver(ctx: Any) -> None:
        right = pair.edges[1]
        for _ in range(400):
            assert ctx.get(right.arrived)
            assert ctx.get(right.empty)
            assert not any(ctx.get(pair.o(1, port).valid) for port in range(3))
            await ctx.tick()
        await strobe(ctx, right.take)
        assert not ctx.get(right.arrived)
        assert not ctx.get(right.empty)
        assert [ctx.get(pair.o(1, port).valid) for port in range(3)].count(1) == 1

    simulate(pair, sender, receiver)


def test_a_packet_on_its_way_to_a_router_is_not_empty() -> None:
    pair = Pair()
    left, right = pair.edges
    packet = packets(np.random.default_rng(1), 1)[0]

    async def bench(ctx: Any) -> None:
        await strobe(ctx, right.take)
        await put(ctx, pair.i(0, 2), packet)
        # Taken by the link: the rest is told by the token that will follow.
        assert ctx.get(left.empty)
        await until(ctx, pair.o(1, 2).valid)
        for _ in range(50):
            assert not ctx.get(right.empty)
            await ctx.tick()
        ctx.set(pair.o(1, 2).ready, 1)
        await ctx.tick()
        assert ctx.get(right.empty)

    simulate(pair, bench)


def test_a_router_that_does_not_take_holds_up_the_others_and_nothing_is_lost() -> None:
    pair = Pair()
    rng = np.random.default_rng(3)
    blocked, others = packets(rng, 1), packets(rng, 40)
    got: list[Packet] = []
    taken = 0

    async def bench(ctx: Any) -> None:
        nonlocal taken
        await strobe(ctx, pair.edges[1].take)
        ctx.set(pair.o(1, 0).ready, 1)
        await put(ctx, pair.i(0, 1), blocked[0])
        stream = pair.i(0, 0)
        for number, packet in enumerate(others):
            ctx.set(stream.payload, packet)
            ctx.set(stream.valid, 1)
            ready, waited = 0, 0
            while not ready:
                *_, ready = await ctx.tick().sample(stream.ready)
                waited += 1
                if waited == 500 and not taken:
                    # Both buffers are full: the credit is used up.
                    taken = number + 1
                    assert not got
                    ctx.set(pair.o(1, 1).ready, 1)
        ctx.set(stream.valid, 0)
        while len(got) < len(others):
            await ctx.tick()

    simulate(pair, bench, watchers=[recorder(pair.o(1, 0), got)])
    assert got == others
    # WINDOW words in each buffer and the one at the output, one of them for the other port; the last one counted was not taken yet.
    assert taken == 2 * WINDOW + 1


def test_a_token_follows_the_packets_and_closes_the_gate() -> None:
    pair = Pair()
    left, right = pair.edges
    rng = np.random.default_rng(5)
    first, second = packets(rng, 5), packets(rng, 5)
    got: list[Packet] = []

    async def bench(ctx: Any) -> None:
        assert ctx.get(left.sent)
        await strobe(ctx, right.take)
        for packet in first:
            await put(ctx, pair.i(0, 1), packet)
        await strobe(ctx, left.send)
        assert not ctx.get(left.sent)
        await until(ctx, left.sent)
        for packet in second:
            await put(ctx, pair.i(0, 1), packet)
        await until(ctx, right.arrived)
        assert got == first
        for _ in range(300):
            assert ctx.get(right.arrived)
            assert ctx.get(right.empty)
            await ctx.tick()
        assert got == first
        await strobe(ctx, right.take)
        while len(got) < 10:
            await ctx.tick()
        assert not ctx.get(right.arrived)

    simulate(pair, bench, watchers=[recorder(pair.o(1, 1), got), random_ready(pair.o(1, 1), rng, 0.5)])
    assert got == first + second


def test_a_token_waits_for_a_full_link() -> None:
    pair = Pair()
    left, right = pair.edges
    sent = packets(np.random.default_rng(6), 2 * WINDOW + 5)

    async def token(ctx: Any) -> None:
        await cycles(ctx, 1500)
        # The gate of the right chip is closed, so no more is taken.
        await strobe(ctx, left.send)
        await cycles(ctx, 500)
        assert not ctx.get(left.sent)
        await strobe(ctx, right.take)
        for port in range(3):
            ctx.set(pair.o(1, port).ready, 1)
        await until(ctx, left.sent)
        await until(ctx, right.arrived)

    simulate(pair, token, source(pair.i(0, 0), sent, np.random.default_rng(0)), limit=6000)


@pytest.mark.parametrize("chance", [0.0, 0.02])
def test_each_packet_arrives_within_its_tick(chance: float) -> None:
    """Both chips do ticks of random length, keep step by tokens only, and mark each packet with its tick."""
    pair = Pair()
    ticks = 8
    errors = [0, 0]
    got: list[list[tuple[int, int, int, int]]] = [[], []]
    sent: list[list[tuple[int, int, int, int]]] = [[], []]
    now = [-1, -1]

    def control(side: int) -> Bench:
        edge = pair.edges[side]
        rng = np.random.default_rng([7, side])

        async def bench(ctx: Any) -> None:
            for tick in range(ticks):
                now[side] = tick
                await strobe(ctx, edge.take)
                for _ in range(int(rng.integers(0, 8))):
                    await pause(ctx, rng, 0.9)
                    port, target = int(rng.integers(3)), int(rng.integers(16))
                    await put(ctx, pair.i(side, port), {"delay": tick % 16, "target": target})
                    sent[side].append((tick, port, tick % 16, target))
                await pause(ctx, rng, 0.99)
                await strobe(ctx, edge.send)
                while not (ctx.get(edge.arrived) and ctx.get(edge.sent) and ctx.get(edge.empty)):
                    await ctx.tick()
                await pause(ctx, rng, 0.95)

        return bench

    def router(side: int, port: int) -> Bench:
        stream = pair.o(side, port)
        rng = np.random.default_rng([8, side, port])

        async def watcher(ctx: Any) -> None:
            while True:
                ctx.set(stream.ready, int(rng.random() < 0.3))
                tick = now[side]
                *_, valid, ready, packet = await ctx.tick().sample(stream.valid, stream.ready, stream.payload)
                if valid and ready:
                    got[side].append((tick, port, packet.delay, packet.target))

        return watcher

    async def count_errors(ctx: Any) -> None:
        while True:
            *_, left, right = await ctx.tick().sample(*(edge.errors for edge in pair.edges))
            errors[0] += left
            errors[1] += right

    rng = np.random.default_rng(9)
    watchers = [router(side, port) for side in (0, 1) for port in range(3)]
    watchers += [pair.noisy(side, rng, chance) for side in (0, 1) if chance] + [count_errors]
    simulate(pair, control(0), control(1), watchers=watchers, limit=20_000)
    for side in (0, 1):
        assert len(sent[side]) > 2 * ticks
        assert got[1 - side] == sent[side]
        assert (errors[side] > 3) == (chance > 0)


def test_a_tag_that_names_no_port_is_dropped() -> None:
    """Only a damaged frame that the CRC does not find can bring one; it must not block the link."""
    edge = Edge(config=chip(1, 2, "west"), side="west", fabric=POISONED)
    packet_bits = packet_layout(edge.config.cores[0]).bits
    link = ChipLink(width=packet_bits + bits_for(3), lanes=16, cell=4, fabric=POISONED)

    class Bare(Elaboratable):
        def elaborate(self, platform: object) -> Module:
            m = Module()
            m.submodules.edge, m.submodules.link = edge, link
            m.d.comb += [edge.rx.eq(link.tx), link.rx.eq(edge.tx)]
            return m

    got: Sequence[Packet] = []

    async def bench(ctx: Any) -> None:
        ctx.set(edge.o_mesh_0.ready, 1)
        await strobe(ctx, edge.take)
        for tag in (3, 0, 3, 2):
            await put(ctx, link.i, tag | 5 << bits_for(3))
        await until(ctx, edge.arrived)

    simulate(Bare(), bench, watchers=[recorder(edge.o_mesh_0, got)])
    assert len(got) == 1
