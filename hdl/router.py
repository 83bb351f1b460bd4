"""Router of the mesh: five ports, along x first and then along y, two cycles per hop. Described in ``docs/router.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import SIDES, CoreConfig
from spikeloom.arch.packet import packet_layout
from spikeloom.hdl.layouts import struct_of

#: The port of the core.
LOCAL = "local"
#: Outputs that the packets of an input may take: along x first, then along y, never back. A core's packets for itself turn at once.
TURNS = {
    "north": ("south", LOCAL),
    "east": ("north", "south", "west", LOCAL),
    "south": ("north", LOCAL),
    "west": ("north", "east", "south", LOCAL),
    LOCAL: ("north", "east", "south", "west", LOCAL),
}


class Router(wiring.Component):
    """One packet per cycle at every port; a packet leaves two cycles after it was taken, if nothing is before it.

    Every input has a buffer of two packets, every output a register. No ``ready`` and no ``valid`` depends on an input of the same cycle.

    Parameters
    ----------
    config : CoreConfig
        Geometry of the cores: the widths of a packet.
    sides : tuple of str
        Sides ("north", "east", "south", "west") with a neighbour.

    Members
    -------
    i_local : In(stream of packets)
        Packets of the core.
    o_local : Out(stream of packets)
        Packets for the core, with ``dx`` and ``dy`` 0.
    i_north, i_east, i_south, i_west : In(stream of packets)
        Packets that come from the neighbour on that side, if there is one.
    o_north, o_east, o_south, o_west : Out(stream of packets)
        Packets for the neighbour on that side, if there is one: ``dx`` or ``dy`` is counted down.
    misrouted : Out(1)
        Strobe, a cycle after a packet was dropped: it would have to leave on a side without a neighbour, or to take a turn that the
        order forbids. One packet per cycle at most.
    empty : Out(1)
        No packet is in the router. Straight from registers, and low from the cycle after a packet was taken.
    """

    def __init__(self, *, config: CoreConfig, sides: Sequence[str]) -> None:
        axes = {"east": config.reach_x, "west": config.reach_x, "north": config.reach_y, "south": config.reach_y}
        usable = [side for side in SIDES if axes[side]]
        if not usable or not set(sides) <= set(usable):
            raise ValueError(f"sides is {sides!r}; packets of cores with this reach know the sides {usable}")
        self.config = config
        self.sides = tuple(side for side in SIDES if side in sides)
        self.ports = (*self.sides, LOCAL)
        #: Outputs that a packet can ask for, if only to be dropped.
        self.known = (*usable, LOCAL)
        self.packet = struct_of(packet_layout(config))
        members = {f"i_{port}": In(stream.Signature(self.packet)) for port in self.ports}
        members |= {f"o_{port}": Out(stream.Signature(self.packet)) for port in self.ports}
        super().__init__({**members, "misrouted": Out(1), "empty": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffers = {port: self._add_input(m, port) for port in self.ports}
        for output in self.ports:
            self._add_output(m, output, {port: buffer for port, buffer in buffers.items() if output in buffer.requests})
        self._add_drops(m, [buffer for buffer in buffers.values() if buffer.lost is not None])
        registers = [getattr(self, f"o_{port}").valid for port in self.ports]
        m.d.comb += self.empty.eq(~Cat(registers, [buffer.valid for buffer in buffers.values()]).any())
        return m

    def _add_input(self, m: Module, port: str) -> Buffer:
        """Buffer of an input. The packet in front has its way worked out; the one behind it only waits."""
        source = getattr(self, f"i_{port}")
        outputs = [output for output in TURNS[port] if output in self.ports]
        buffer = Buffer(
            front=Signal(self.packet, name=f"{port}_front", reset_less=True),
            valid=Signal(name=f"{port}_valid"),
            spare=Signal(self.packet, name=f"{port}_spare", reset_less=True),
            spare_valid=Signal(name=f"{port}_spare_valid"),
            requests={output: Signal(name=f"{port}_to_{output}") for output in outputs},
            lost=Signal(name=f"{port}_lost") if len(outputs) < len(self.known) else None,
            take=Signal(name=f"{port}_take"),
        )
        after, after_valid = Signal(self.packet, name=f"{port}_after"), Signal(name=f"{port}_after_valid")
        ways = _ways(after)
        m.d.comb += [
            source.ready.eq(~buffer.spare_valid),
            after.eq(Mux(buffer.spare_valid, buffer.spare.as_value(), source.payload.as_value())),
            after_valid.eq(buffer.spare_valid | source.valid),
        ]
        with m.If(~buffer.spare_valid):
            m.d.sync += buffer.spare.eq(source.payload)
        m.d.sync += buffer.spare_valid.eq(after_valid & buffer.valid & ~buffer.take)
        with m.If(~buffer.valid | buffer.take):
            m.d.sync += [buffer.front.eq(after), buffer.valid.eq(after_valid)]
            m.d.sync += [request.eq(after_valid & ways[output]) for output, request in buffer.requests.items()]
        if buffer.lost is not None:
            m.d.comb += buffer.lost.eq(buffer.valid & ~Cat(buffer.requests.values()).any())
        return buffer

    def _add_output(self, m: Module, output: str, sources: dict[str, Buffer]) -> None:
        """Register of an output, and the choice of who fills it."""
        target = getattr(self, f"o_{output}")
        leaves = [(buffer.requests[output], buffer.front.as_value()) for buffer in sources.values()]
        free = Signal(name=f"{output}_free")
        m.d.comb += free.eq(~target.valid | target.ready)
        valid, packet, grants = _arbitrate(m, output, leaves, free)
        for buffer, grant in zip(sources.values(), grants, strict=True):
            with m.If(grant):
                m.d.comb += buffer.take.eq(1)
        with m.If(free):
            m.d.sync += [target.valid.eq(valid), target.payload.eq(self._after_hop(packet, output))]

    def _add_drops(self, m: Module, losers: Sequence[Buffer]) -> Signal:
        """Empty the inputs of packets without a way: a token goes round, and who has it may drop one."""
        token = Signal(len(losers), init=1, name="drop_token")
        drops = Cat(buffer.lost & token[number] for number, buffer in enumerate(losers))
        m.d.sync += [token.eq(token.rotate_left(1)), self.misrouted.eq(drops.any())]
        for buffer, drop in zip(losers, drops, strict=True):
            with m.If(drop):
                m.d.comb += buffer.take.eq(1)
        return token

    def _after_hop(self, packet: Value, output: str) -> Value:
        """The packet as the neighbour at that output takes it. What the order of the turns has made zero is written as zero."""
        fields = {name: self.packet(packet)[name] for name, _ in self.packet}
        if "dx" in fields:
            fields["dx"] = _count_down(fields["dx"], output, "east", "west")
        if "dy" in fields and output not in ("east", "west"):
            fields["dy"] = _count_down(fields["dy"], output, "south", "north")
        return Cat(fields.values())


@dataclass(frozen=True, slots=True)
class Buffer:
    """Two packets of an input.

    Parameters
    ----------
    front, spare : view
        The packet that leaves next, and the one behind it.
    valid, spare_valid : Signal
        There is one; never a spare without one in front.
    requests : dict of Signal
        The packet in front wants to leave there: at most one.
    lost : Signal or None
        The packet in front has no way. None: that cannot be.
    take : Signal
        The packet in front leaves at the end of this cycle.
    """

    front: data.View
    valid: Signal
    spare: data.View
    spare_valid: Signal
    requests: dict[str, Signal]
    lost: Signal | None
    take: Signal


def _ways(packet: data.View) -> dict[str, Value]:
    """Whether the packet wants to leave by each output."""
    fields = packet.shape().members
    dx, dy = (packet[name] if name in fields else Const(0, 1) for name in ("dx", "dy"))
    in_column = ~dx.any()
    return {
        "north": in_column & dy[-1],
        "east": dx.any() & ~dx[-1],
        "south": in_column & dy.any() & ~dy[-1],
        "west": dx[-1],
        LOCAL: in_column & ~dy.any(),
    }


def _count_down(steps: Value, output: str, positive: str, negative: str) -> Value:
    """Steps left after a hop along their axis; zero for an output off the axis."""
    if output == positive:
        return Cat((steps - 1)[: len(steps) - 1], Const(0, 1))
    if output == negative:
        return (steps + 1)[: len(steps)]
    return Const(0, len(steps))


def _arbitrate(m: Module, name: str, leaves: Sequence[tuple[Value, Value]], go: Value) -> tuple[Value, Value, list[Value]]:
    """Choose one of several requests: a tree of choices between two, each of which prefers whom it did not choose last.

    Parameters
    ----------
    m : Module
    name : str
        Of the registers.
    leaves : list of (Value, Value)
        Request and packet.
    go : Value
        The chosen packet leaves.

    Returns
    -------
    valid, packet : Value
        Whether there is a request, and the packet chosen.
    grants : list of Value
        Per leaf: its packet leaves.
    """
    if len(leaves) == 1:
        request, packet = leaves[0]
        return request, packet, [request & go]
    half = len(leaves) // 2
    other = Signal(name=f"{name}_choice")
    prefer_other = Signal(name=f"{name}_prefer")
    valid0, packet0, grants0 = _arbitrate(m, f"{name}0", leaves[:half], go & ~other)
    valid1, packet1, grants1 = _arbitrate(m, f"{name}1", leaves[half:], go & other)
    m.d.comb += other.eq(valid1 & (~valid0 | prefer_other))
    # Without any request this prefers the second, which is as good as the first.
    with m.If(go):
        m.d.sync += prefer_other.eq(~other)
    return valid0 | valid1, Mux(other, packet1, packet0), grants0 + grants1
