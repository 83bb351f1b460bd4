# amaranth: UnusedElaboratable=no
"""Random packets and stalls against a plain router in Python, and the cycles of ``docs/router.md``."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.hdl.router import Router
from tests.hdl.helpers import Bench, cycles, get, put, random_ready, recorder, simulate, source

ALL = ("north", "east", "south", "west")
OPPOSITE = {"north": "south", "east": "west", "south": "north", "west": "east"}
PORTS = (*ALL, "local")
REACH_X, REACH_Y = 3, 2
Packet = dict[str, int]


def _config(reach_x: int = REACH_X, reach_y: int = REACH_Y, payload: bool = False) -> CoreConfig:
    return CoreConfig(axons=4, neurons=4, lanes=1, targets=4096, reach_x=reach_x, reach_y=reach_y, payload=payload)


def _router(sides: tuple[str, ...] = ALL, **options: Any) -> Router:
    return Router(config=_config(**options), sides=sides)


def _packet(number: int, dx: int = 0, dy: int = 0, **more: int) -> Packet:
    return {"kind": number & 1, "delay": 1 + number % 15, "target": number, "dx": dx, "dy": dy, **more}


def _route(sides: tuple[str, ...], port: str, packet: Packet) -> tuple[str, Packet] | None:
    """Output and packet behind it; None: dropped."""
    dx, dy = packet.get("dx", 0), packet.get("dy", 0)
    if dx and port in ("north", "south"):
        return None
    if dx:
        output, left = ("east" if dx > 0 else "west"), {"dx": dx - 1 if dx > 0 else dx + 1}
    elif dy:
        output, left = ("south" if dy > 0 else "north"), {"dy": dy - 1 if dy > 0 else dy + 1}
    else:
        return "local", packet
    return None if output == port or output not in sides else (output, packet | left)


class Traffic:
    """Sends packets through a router and compares what leaves it: all of it, once, and in order for each input and output."""

    def __init__(self, dut: Router, packets: dict[str, list[Packet]]) -> None:
        self.dut, self.packets = dut, packets
        self.taken: dict[str, list[Packet]] = {port: [] for port in dut.ports}
        self.inside = self.dropped = 0

    async def watch(self, ctx: Any) -> None:
        """``empty`` is low exactly while a packet is inside."""
        dut = self.dut
        handshakes = [s for port in dut.ports for s in (getattr(dut, f"i_{port}"), getattr(dut, f"o_{port}"))]
        while True:
            _, _, empty, misrouted, *pairs = await ctx.tick().sample(
                dut.empty, dut.misrouted, *(signal for s in handshakes for signal in (s.valid, s.ready))
            )
            self.inside -= misrouted
            self.dropped += misrouted
            assert empty == (self.inside == 0)
            moved = [valid and ready for valid, ready in zip(pairs[::2], pairs[1::2], strict=True)]
            self.inside += sum(moved[::2]) - sum(moved[1::2])

    def run(self, seed: int, gaps: float, stalls: float) -> None:
        dut, rng = self.dut, np.random.default_rng(seed)
        total = sum(map(len, self.packets.values()))

        async def drain(ctx: Any) -> None:
            while self.dropped + sum(map(len, self.taken.values())) < total:
                await ctx.tick()
            await cycles(ctx, 10)
            assert ctx.get(dut.empty)

        watchers: list[Bench] = [self.watch]
        for port in dut.ports:
            stream = getattr(dut, f"o_{port}")
            watchers += [random_ready(stream, rng, stalls), recorder(stream, self.taken[port])]
        benches = [source(getattr(dut, f"i_{port}"), packets, rng, gaps) for port, packets in self.packets.items()]
        simulate(dut, *benches, drain, watchers=watchers, limit=1000 + 20 * total)
        self.compare()

    def compare(self) -> None:
        expected: dict[str, dict[str, list[Packet]]] = {port: defaultdict(list) for port in self.dut.ports}
        sources, dropped = {}, 0
        for port, packets in self.packets.items():
            for packet in packets:
                sources[packet["target"]] = port
                route = _route(self.dut.sides, port, packet)
                dropped += route is None
                if route is not None:
                    expected[route[0]][port].append(route[1])
        for output, packets in self.taken.items():
            got = defaultdict(list)
            for packet in packets:
                got[sources[packet["target"]]].append(packet)
            assert got == expected[output]
        assert self.dropped == dropped


def _any_packets(rng: np.random.Generator, ports: tuple[str, ...], each: int, reach: tuple[int, int]) -> dict[str, list[Packet]]:
    """Packets with any hop counts that fit, legal for their port or not, each with its own number."""
    packets: dict[str, list[Packet]] = {port: [] for port in ports}
    for number in range(each * len(ports)):
        port = ports[number % len(ports)]
        dx, dy = (int(rng.integers(-most - 1, most, endpoint=True)) for most in reach)
        if rng.random() < 0.8 and port in ("north", "south"):
            dx = 0
        packets[port].append(_packet(number, dx, dy, payload=int(rng.integers(256))))
    return packets


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("output", PORTS)
def test_every_pair_of_ports(port: str, output: str) -> None:
    """All hop counts that lead from one port to the other leave there, one less; those that must not are dropped."""
    both = [(dx, dy) for dx in range(-REACH_X, REACH_X + 1) for dy in range(-REACH_Y, REACH_Y + 1)]
    axis = {
        "north": [(0, dy) for _, dy in both if dy < 0],
        "south": [(0, dy) for _, dy in both if dy > 0],
        "east": [(dx, dy) for dx, dy in both if dx > 0],
        "west": [(dx, dy) for dx, dy in both if dx < 0],
        "local": [(0, 0)],
    }
    packets = [_packet(number, dx, dy) for number, (dx, dy) in enumerate(sorted(set(axis[output])))]
    traffic = Traffic(_router(), {port: packets})
    traffic.run(1, 0.0, 0.0)
    forbidden = (port == output != "local") or (port in ("north", "south") and output in ("east", "west"))
    assert len(traffic.taken[output]) == (0 if forbidden else len(packets))
    assert traffic.dropped == (len(packets) if forbidden else 0)


@pytest.mark.parametrize(("gaps", "stalls"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.3)])
@pytest.mark.parametrize("sides", [ALL, ("east", "south"), ("north", "south", "west")], ids="-".join)
def test_random_packets_and_stalls(sides: tuple[str, ...], gaps: float, stalls: float) -> None:
    dut = _router(sides, payload=True)
    rng = np.random.default_rng([len(sides), int(10 * gaps), int(10 * stalls)])
    packets = _any_packets(rng, dut.ports, 60, (REACH_X, REACH_Y))
    traffic = Traffic(dut, packets)
    traffic.run(2, gaps, stalls)
    assert traffic.dropped > 10
    assert all(traffic.taken.values())


@pytest.mark.parametrize(("sides", "reach"), [(("east", "west"), (2, 0)), (("north",), (0, 3)), ((), (1, 1))], ids=str)
def test_lines_and_single_routers(sides: tuple[str, ...], reach: tuple[int, int]) -> None:
    """A mesh of one row has no dy, one of one column no dx; without neighbours all but the core's packets for itself are dropped."""
    dut = _router(sides, reach_x=reach[0], reach_y=reach[1])
    names = {name for name, _ in dut.packet}
    packets = _any_packets(np.random.default_rng(3), dut.ports, 60, reach)
    packets = {port: [{k: v for k, v in packet.items() if k in names} for packet in some] for port, some in packets.items()}
    traffic = Traffic(dut, packets)
    traffic.run(4, 0.2, 0.2)
    assert traffic.taken["local"]
    assert traffic.dropped


def test_lost_packets_that_wait_together_are_counted_one_by_one() -> None:
    dut = _router(("east", "south"))
    packets = {
        "local": [_packet(number, -1) for number in range(10)],
        "east": [_packet(10 + number, -1) for number in range(10)],
        "south": [_packet(20 + number, 0, -1) for number in range(10)],
    }
    traffic = Traffic(dut, packets)
    traffic.run(5, 0.0, 0.0)
    assert traffic.dropped == 30


def test_a_packet_leaves_two_cycles_after_it_was_taken() -> None:
    for port in PORTS:
        dut = _router()
        seen: list[tuple[int, bool, bool]] = []

        async def watch(ctx: Any, dut: Router = dut, port: str = port, seen: list[Any] = seen) -> None:
            while True:
                stream = getattr(dut, f"i_{port}")
                *_, taken, leaves, empty = await ctx.tick().sample(stream.valid & stream.ready, dut.o_local.valid, dut.empty)
                seen.append((taken, leaves, empty))

        async def bench(ctx: Any, dut: Router = dut, port: str = port) -> None:
            ctx.set(dut.o_local.ready, 1)
            await cycles(ctx, 3)
            await put(ctx, getattr(dut, f"i_{port}"), _packet(5))
            await cycles(ctx, 5)

        simulate(dut, bench, watchers=[watch])
        assert [i for i, (taken, _, _) in enumerate(seen) if taken] == [3]
        assert [i for i, (_, leaves, _) in enumerate(seen) if leaves] == [5]
        assert [i for i, (_, _, empty) in enumerate(seen) if not empty] == [4, 5]


def _count_full_load(dut: Router, packets: dict[str, Packet], warm_up: int, counted: int) -> Counter[tuple[str, int]]:
    """Packets by output and target, with all of these offered in every cycle and all outputs ready."""
    left: Counter[tuple[str, int]] = Counter()

    async def watch(ctx: Any) -> None:
        cycle = 0
        while True:
            streams = [getattr(dut, f"o_{port}") for port in dut.ports]
            (*_,) = sampled = await ctx.tick().sample(*(signal for s in streams for signal in (s.valid, s.payload.target)))
            for port, valid, target in zip(dut.ports, sampled[2::2], sampled[3::2], strict=True):
                if valid and warm_up <= cycle < warm_up + counted:
                    left[port, target] += 1
            cycle += 1

    async def bench(ctx: Any) -> None:
        for port in dut.ports:
            ctx.set(getattr(dut, f"o_{port}").ready, 1)
        for port, packet in packets.items():
            ctx.set(getattr(dut, f"i_{port}").payload, packet)
            ctx.set(getattr(dut, f"i_{port}").valid, 1)
        await cycles(ctx, warm_up + counted)

    simulate(dut, bench, watchers=[watch])
    return left


def test_all_ports_move_a_packet_in_every_cycle() -> None:
    """A cyclic pattern in which every input has an output of its own."""
    straight = {"north": (0, 1), "east": (-1, 0), "south": (0, -1), "west": (1, 0), "local": (0, 0)}
    packets = {port: _packet(number, *straight[port]) for number, port in enumerate(PORTS)}
    left = _count_full_load(_router(), packets, 10, 100)
    assert left == {(OPPOSITE.get(port, "local"), number): 100 for number, port in enumerate(PORTS)}


def test_turning_packets_move_in_every_cycle() -> None:
    packets = {"west": _packet(0, 0, 1), "east": _packet(1, 0, -1), "local": _packet(2, 2, 1), "south": _packet(3)}
    left = _count_full_load(_router(), packets, 10, 100)
    assert left == {("south", 0): 100, ("north", 1): 100, ("east", 2): 100, ("local", 3): 100}


@pytest.mark.parametrize("output", PORTS)
def test_an_output_is_shared_by_all_that_want_it(output: str) -> None:
    """Inputs that always want the same output get a share of at least 1 in 8 at the core, and of at least 1 in 4 elsewhere."""
    hop = {"north": (0, -1), "east": (1, 0), "south": (0, 1), "west": (-1, 0), "local": (0, 0)}[output]
    inputs = [port for port in PORTS if _route(ALL, port, _packet(0, *hop)) is not None]
    packets = {port: _packet(number, *hop) for number, port in enumerate(inputs)}
    left = _count_full_load(_router(), packets, 16, 160)
    assert sum(left.values()) == 160
    assert min(left[output, number] for number in range(len(inputs))) >= (20 if output == "local" else 40)


def test_a_full_router_holds_three_packets_for_each_pair_of_ports_and_loses_none() -> None:
    """With all outputs stalled an input takes two packets, and a third once an output register has taken one."""
    dut = _router()
    taken: list[Packet] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i_west.valid, 1)
        for number in range(3):
            ctx.set(dut.i_west.payload, _packet(number, 1))
            assert ctx.get(dut.i_west.ready)
            await ctx.tick()
        ctx.set(dut.i_west.payload, _packet(3, 1))
        for _ in range(5):
            assert not ctx.get(dut.i_west.ready)
            await ctx.tick()
        ctx.set(dut.i_west.valid, 0)
        for number in range(3):
            assert (await get(ctx, dut.o_east)).target == number
        assert ctx.get(dut.empty)

    simulate(dut, bench, watchers=[recorder(dut.o_east, taken)])
    assert [packet["target"] for packet in taken] == [0, 1, 2]


def test_no_handshake_depends_on_an_input_of_the_same_cycle() -> None:
    dut = _router(("east", "south"))
    rng = np.random.default_rng(6)

    def handshakes(ctx: Any) -> list[int]:
        signals = [getattr(dut, f"i_{port}").ready for port in dut.ports]
        signals += [getattr(dut, f"o_{port}").valid for port in dut.ports] + [dut.empty, dut.misrouted]
        return [ctx.get(signal) for signal in signals]

    async def bench(ctx: Any) -> None:
        seen = set()
        for _ in range(300):
            before = handshakes(ctx)
            for port in dut.ports:
                ctx.set(getattr(dut, f"o_{port}").ready, int(rng.integers(2)))
                ctx.set(getattr(dut, f"i_{port}").valid, int(rng.integers(2)))
                packet = _packet(int(rng.integers(4096)), *(int(rng.integers(-1, 2)) for _ in range(2)))
                ctx.set(getattr(dut, f"i_{port}").payload, packet)
            assert handshakes(ctx) == before
            seen.add(tuple(before))
            await ctx.tick()
        assert len(seen) > 20

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("sides", "reach"), [(("north", "up"), (1, 1)), (("east",), (0, 1)), (("south",), (1, 0)), ((), (0, 0))], ids=str
)
def test_sides_that_packets_do_not_know_are_refused(sides: tuple[str, ...], reach: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="know the sides"):
        _router(sides, reach_x=reach[0], reach_y=reach[1])
