"""What is proved of a router: the circuit with claims about it. Described in ``docs/router.md``, run by ``spikeloom.sim.formal``."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.asserts import AnyConst  # type: ignore[attr-defined]  # missing in its stubs
from amaranth.hdl import Assert, Assume, Cat, Const, Cover, Module, Mux, ResetSignal, Signal, Value

from spikeloom.arch.config import CoreConfig
from spikeloom.hdl.router import LOCAL, Buffer, Router

#: What is claimed, by the name of the goal.
GOALS = {
    "transport": "a packet leaves once, by the output of its way, unchanged but for a hop less; without a way it is dropped",
    "order": "of two packets of one input with the same way, the first leaves first",
    "handshake": "an output keeps what it offers until it is taken",
    "progress": "the packet in front of an input waits for no more than the stated number of others",
    "empty": "empty is low exactly while a register holds a packet",
    "misrouted": "misrouted is high once for each dropped packet",
}
#: Hop counts of a mesh of 4 x 3 cores. Cargo is only copied, so little of it is enough.
CONFIG = CoreConfig(axons=2, neurons=2, lanes=1, reach_x=3, reach_y=2)
#: Routers to prove: one with all ports, and that of a mesh's north-western corner.
ROUTERS = {"middle": ("north", "east", "south", "west"), "corner": ("east", "south")}


@dataclass(frozen=True, slots=True)
class Marked:
    """A packet that is followed; nothing else that enters has its cargo.

    Parameters
    ----------
    packet : view
        The packet as it enters.
    entered, gone : Value
        It entered, and it left or was dropped, in an earlier cycle.
    front, spare : dict of Value
        It is there, by input.
    offered : dict of Value
        It is there, by output.
    """

    packet: Any
    entered: Value
    gone: Value
    front: dict[str, Value]
    spare: dict[str, Value]
    offered: dict[str, Value]


class RouterProof(Router):
    """A router whose neighbours do whatever they like, and claims about it.

    All inputs are free in every cycle: neighbours may even withdraw what they offer. Symbolic constants choose the packets and the input
    that a claim is about, so what is proved holds for all of them.

    Parameters
    ----------
    config : CoreConfig
        Widths of a packet.
    sides : tuple of str
        Sides with a neighbour.
    goal : str
        Which of ``GOALS`` to claim, or ``"cover"``: ask instead for runs that show that the claims are about something.
    """

    def __init__(self, *, config: CoreConfig, sides: Sequence[str], goal: str) -> None:
        super().__init__(config=config, sides=sides)
        self.goal = goal

    def elaborate(self, platform: object) -> Module:
        """The router, then what watches it."""
        self.buffers: dict[str, Buffer] = {}
        m = super().elaborate(platform)
        self.inputs = {port: getattr(self, f"i_{port}") for port in self.ports}
        self.outputs = {port: getattr(self, f"o_{port}") for port in self.ports}
        m.d.comb += Assume(~ResetSignal(), "no reset")
        self._claim_structure(m)
        for goal in GOALS:
            if self.goal in (goal, "cover"):
                getattr(self, f"_claim_{goal}")(m)
        return m

    def _add_input(self, m: Module, port: str) -> Buffer:
        self.buffers[port] = super()._add_input(m, port)
        return self.buffers[port]

    def _add_drops(self, m: Module, losers: Sequence[Buffer]) -> Signal:
        self.token = super()._add_drops(m, losers)
        return self.token

    def _claim(self, m: Module, condition: Value) -> None:
        """Claim it, unless only examples are asked for. A failure names the caller's line."""
        if self.goal != "cover":
            m.d.comb += Assert(condition, self.goal, src_loc_at=1)

    def _example(self, m: Module, condition: Value) -> None:
        """Ask for a run in which this happens."""
        if self.goal == "cover":
            m.d.comb += Cover(condition, self.goal, src_loc_at=1)

    # What the documentation says of a packet ---------------------------------------------------------------------

    def _leaves_by(self, packet: Any, port: str, output: str) -> Value:
        """Whether a packet that came in by ``port`` has to leave by ``output``."""
        if output not in self.ports or (output == port and port != LOCAL):
            return Const(0)
        dx, dy = packet.dx, packet.dy
        way = {"east": dx > 0, "west": dx < 0, "south": (dx == 0) & (dy > 0), "north": (dx == 0) & (dy < 0)}
        turns_back_to_x = dx != 0 if port in ("north", "south") else Const(0)
        leaves: Value = way.get(output, (dx == 0) & (dy == 0)) & ~turns_back_to_x
        return leaves

    def _hop(self, packet: Any, output: str) -> tuple[Value, Value]:
        """``dx`` and ``dy`` behind the output."""
        east, south = ((output == plus) - (output == minus) for plus, minus in (("east", "west"), ("south", "north")))
        return packet.dx - east, packet.dy - south

    def _cargo(self, packet: Any) -> Value:
        return Cat(packet[name] for name, _ in self.packet if name not in ("dx", "dy"))

    # Claims ------------------------------------------------------------------------------------------------------

    def _claim_structure(self, m: Module) -> None:
        """What registers keep among themselves; the induction of the other claims stands on it."""
        for port, buffer in self.buffers.items():
            self._claim(m, buffer.valid | ~buffer.spare_valid)
            for output, request in buffer.requests.items():
                self._claim(m, request == (buffer.valid & self._leaves_by(buffer.front, port, output)))
        self._claim(m, _count(self.token) == 1)

    def _follow(self, m: Module, name: str, home: Value) -> Marked:
        """Follow a packet of any contents, which enters by the input number ``home`` once or never."""
        packet, entered, gone = Signal(self.packet, name=name), Signal(name=f"{name}_entered"), Signal(name=f"{name}_gone")
        m.d.comb += packet.eq(AnyConst(self.packet.size))
        marked = Marked(packet, entered, gone, {}, {}, {})

        def is_it(other: Any) -> Value:
            return self._cargo(other) == self._cargo(packet)

        enters, leaves, has_way = [], [], []
        for number, (port, stream) in enumerate(self.inputs.items()):
            enters.append(stream.valid & stream.ready & is_it(stream.payload))
            # Nothing else has its cargo.
            m.d.comb += Assume(~enters[-1] | ((home == number) & (stream.payload == packet) & ~entered), "one of its kind")
            buffer = self.buffers[port]
            for places, place, valid in (
                (marked.front, buffer.front, buffer.valid),
                (marked.spare, buffer.spare, buffer.spare_valid),
            ):
                places[port] = valid & is_it(place)
                self._claim(m, ~places[port] | ((home == number) & (place == packet)))
            has_way.append((home == number) & _any(self._leaves_by(packet, port, output) for output in self.ports))
        for output, stream in self.outputs.items():
            offered = marked.offered[output] = stream.valid & is_it(stream.payload)
            leaves.append(offered & stream.ready)
            dx, dy = self._hop(packet, output)
            self._claim(m, ~offered | (self._way(packet, home, output) & (stream.payload.dx == dx) & (stream.payload.dy == dy)))
            if name == "marked":
                self._example(m, leaves[-1])
        for port, buffer in self.buffers.items():
            if buffer.lost is not None:
                leaves.append(marked.front[port] & buffer.lost & buffer.take)
                self._claim(m, ~leaves[-1] | ~_any(has_way))
        m.d.sync += [entered.eq(entered | _any(enters)), gone.eq(gone | _any(leaves))]
        # Neither lost nor doubled: it is in exactly one place from when it entered until it is gone.
        everywhere = (*marked.front.values(), *marked.spare.values(), *marked.offered.values())
        self._claim(m, _count(everywhere) == (entered & ~gone))
        self._claim(m, entered | ~gone)
        return marked

    def _way(self, packet: Any, home: Value, output: str) -> Value:
        """Whether a packet that came in by the input number ``home`` has to leave by the output."""
        return _any((home == number) & self._leaves_by(packet, port, output) for number, port in enumerate(self.ports))

    def _any_input(self, m: Module, name: str) -> Value:
        """Number of an input, no matter which."""
        number = Signal(range(len(self.ports)), name=name)
        m.d.comb += [number.eq(AnyConst(len(number))), Assume(number < len(self.ports), "an input")]
        return number

    def _claim_transport(self, m: Module) -> None:
        self._follow(m, "marked", self._any_input(m, "marked_home"))

    def _claim_order(self, m: Module) -> None:
        home = self._any_input(m, "home")
        first, second = self._follow(m, "first", home), self._follow(m, "second", home)
        m.d.comb += [
            Assume(self._cargo(first.packet) != self._cargo(second.packet), "two packets"),
            Assume(~second.entered | first.entered, "the first enters first"),
        ]
        for port in self.ports:
            self._claim(m, ~first.spare[port] | ~second.front[port])
        for output, offered in second.offered.items():
            self._claim(m, ~offered | ~self._way(first.packet, home, output) | first.gone)
            self._example(m, offered & self._way(first.packet, home, output))

    def _claim_handshake(self, m: Module) -> None:
        for port, stream in self.outputs.items():
            stalled = Signal(name=f"{port}_stalled")
            kept = Signal(self.packet, name=f"{port}_kept")
            m.d.sync += [stalled.eq(stream.valid & ~stream.ready), kept.eq(stream.payload)]
            self._claim(m, ~stalled | (stream.valid & (stream.payload == kept)))
            self._example(m, stalled & stream.ready)

    def _claim_progress(self, m: Module) -> None:
        """Counts cycles in which a packet in front stays there, although its output is ready."""
        limits: dict[str, list[tuple[Value, int]]] = {port: [] for port in self.ports}
        can_go: dict[str, list[Value]] = {port: [] for port in self.ports}
        for output, stream in self.outputs.items():
            sources = [port for port in self.ports if output in self.buffers[port].requests]
            for port, limit in zip(sources, longest_waits(len(sources)), strict=True):
                request = self.buffers[port].requests[output]
                limits[port].append((request, limit))
                can_go[port].append(request & stream.ready)
        for port, buffer in self.buffers.items():
            if buffer.lost is not None:
                limits[port].append((buffer.lost, len(self.token) - 1))
                can_go[port].append(buffer.lost)
            waited = Signal(range(2 * len(self.ports)), name=f"{port}_waited")
            stays = _any(can_go[port]) & ~buffer.take
            m.d.sync += waited.eq(Mux(stays, waited + 1, 0))
            for wish, limit in limits[port]:
                self._claim(m, ~(wish & stays) | (waited < limit))
                self._example(m, wish & buffer.take & (waited == limit))

    def _claim_empty(self, m: Module) -> None:
        router: Any = self  # A type checker does not know the ports, which are made at run time.
        # _follow says of any packet that it is in one of these registers exactly from when it entered until it is gone.
        registers = [stream.valid for stream in self.outputs.values()] + [buffer.valid for buffer in self.buffers.values()]
        self._claim(m, router.empty == ~_any(registers))
        self._example(m, ~router.empty)

    def _claim_misrouted(self, m: Module) -> None:
        router: Any = self
        drops = [buffer.lost & buffer.take for buffer in self.buffers.values() if buffer.lost is not None]
        dropped = Signal()
        m.d.sync += dropped.eq(_any(drops))
        self._claim(m, router.misrouted == dropped)
        self._claim(m, _count(drops) <= 1)
        self._example(m, router.misrouted & _any(drops))


def longest_waits(sources: int) -> list[int]:
    """For each of the inputs of an output: packets of other inputs that may go first. Every level of its tree of choices doubles them."""
    if sources == 1:
        return [0]
    half = sources // 2
    return [2 * wait + 1 for wait in longest_waits(half) + longest_waits(sources - half)]


def _any(bits: Iterable[Value]) -> Value:
    return functools.reduce(operator.or_, bits, Const(0))


def _count(bits: Iterable[Value]) -> Value:
    return functools.reduce(operator.add, bits)
