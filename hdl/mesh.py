"""Mesh: cores, their routers, the links of the chip, and the end of a tick. Described in ``docs/mesh.md``."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from spikeloom.arch.config import DELAY_BITS, SIDES, ChipConfig
from spikeloom.arch.memory_map import SPACE_SHIFT
from spikeloom.arch.packet import Destination, hops, packet_layout
from spikeloom.arch.registers import EVENT_AXON_BITS, EVENT_CORE_BITS
from spikeloom.hdl.core import BusResponse, Core
from spikeloom.hdl.edge import Edge
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.layouts import struct_of
from spikeloom.hdl.router import Router

#: An event from the host.
HostEvent = data.StructLayout({"axon": EVENT_AXON_BITS, "delay": DELAY_BITS, "core": EVENT_CORE_BITS})

OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
#: Sides whose packets may leave over a side, because a packet goes along x first. Their tokens must have come before this side's is sent.
FEEDS = {side: (OPPOSITE[side],) if side in ("east", "west") else ("east", "west", OPPOSITE[side]) for side in SIDES}
#: Bits that one stage of the tree of ``quiet`` combines.
TREE = 4


class Phase(enum.Enum, shape=2):
    """What the mesh does."""

    #: Waiting for ``tick`` or ``clear``.
    IDLE = 0
    #: The command (or an event of the host) is on its way to the cores, and what they do about it on its way back.
    STARTING = 1
    #: Waiting for the end of the tick, of clearing, or of the delivery of events.
    RUNNING = 2


def port_name(side: str) -> str:
    """Prefix of a side's pins in the chip's ports."""
    return f"link_{side}"


def link_ports(config: ChipConfig) -> dict[str, wiring.In | wiring.Out]:
    """Members for the pins of all links: ``link_<side>_tx`` and ``link_<side>_rx``."""
    pins = config.link_lanes + 2
    return {f"{port_name(side)}_{name}": direction(pins) for side in config.links for name, direction in (("tx", Out), ("rx", In))}


def connect_links(m: Module, outer: wiring.Component, inner: wiring.Component) -> None:
    """Lead the pins of the links out of a component that has the same."""
    for name in link_ports(inner.config):
        pins, inside = getattr(outer, name), getattr(inner, name)
        m.d.comb += pins.eq(inside) if name.endswith("_tx") else inside.eq(pins)


class Order(wiring.Component):
    """A request on its way to a core: a register in a module of its own, since synthesis would make one of those of all cores.

    Members
    -------
    i : In(shape)
    o : Out(shape)
        As ``i`` in the cycle before.
    """

    def __init__(self, shape: data.StructLayout) -> None:
        super().__init__({"i": In(shape), "o": Out(shape)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = Signal(self.o.shape(), reset_less=True)
        m.d.sync += kept.eq(self.i)
        m.d.comb += self.o.eq(kept)
        return m


class Mesh(wiring.Component):
    """All cores of a chip. To the outside it behaves like one core.

    Parameters
    ----------
    config : ChipConfig
        Geometry of this chip, with its links.
    fabric : Fabric
        Target.

    Members
    -------
    tick : In(1)
        Run one tick; taken in a cycle in which ``idle`` is high.
    clear : In(1)
        Return to the initial state; taken in a cycle in which ``idle`` is high, before ``tick``.
    idle : Out(1)
        Falls in the cycle after ``tick`` or ``clear``; rises when all cores are idle, no packet is on its way, and the neighbours have
        said the same of theirs.
    delivering : Out(1)
        Not idle, but only because events of the host are on their way; more may come.
    waiting : Out(1)
        All is done here, but a neighbouring chip has not ended the tick.
    events : In(stream of HostEvent)
        Events for existing cores. Only while ``idle`` or ``delivering``.
    outputs : Out(stream of output numbers)
        Outputs, in any order within a tick.
    request : In(stream of ChipRequest)
        Accesses to the memories of existing cores; they wait until the mesh is idle. ``valid`` stays until the response has come.
    response : Out(stream of BusResponse)
        Valid for one cycle.
    misrouted : Out(range)
        Packets dropped in this cycle.
    errors : Out(range)
        Damaged frames over all links in this cycle.
    repeats : Out(range)
        Words sent again over all links in this cycle.
    link_<side>_tx, link_<side>_rx : Out, In
        Pins of the link on that side.
    """

    def __init__(self, *, config: ChipConfig, fabric: Fabric = GENERIC) -> None:
        self.config, self.fabric = config, fabric
        # The chip's request has more address bits than a core's.
        request = data.StructLayout({"address": 32, "write": 1, "data": 32})
        super().__init__(
            {
                "tick": In(1),
                "clear": In(1),
                "idle": Out(1),
                "delivering": Out(1),
                "waiting": Out(1),
                "events": In(stream.Signature(HostEvent)),
                "outputs": Out(stream.Signature(config.cores[0].target_bits)),
                "request": In(stream.Signature(request)),
                "response": Out(stream.Signature(BusResponse)),
                "misrouted": Out(range(2 * len(config.cores) + 1)),
                "errors": Out(range(len(SIDES) + 1)),
                "repeats": Out(range(len(SIDES) + 1)),
                **link_ports(config),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        cores = [Core(config=core, fabric=self.fabric) for core in config.cores]
        edges = {side: Edge(config=config, side=side, fabric=self.fabric) for side in config.links}
        routers = [self._router(number) for number in range(len(cores))]
        for number, (core, router) in enumerate(zip(cores, routers, strict=True)):
            m.submodules[f"core{number}"] = core
            m.submodules[f"router{number}"] = router
        for side, edge in edges.items():
            m.submodules[f"edge_{side}"] = edge
        self._connect_routers(m, routers, edges)
        strobes, buffers_empty = [router.misrouted for router in routers], []
        for number, (core, router) in enumerate(zip(cores, routers, strict=True)):
            arrived, empty = _add_buffer(m, router.o_local, f"arrived{number}")
            buffers_empty.append(empty)
            strobes.append(self._connect_core(m, number, core, router, arrived))
        m.d.sync += self.misrouted.eq(_count(strobes))
        m.d.sync += [
            self.errors.eq(_count([edge.errors for edge in edges.values()])),
            self.repeats.eq(_count([edge.repeats for edge in edges.values()])),
        ]
        self._add_bus(m, cores)
        quiet, latency = _tree(
            m,
            [
                *(core.idle for core in cores),
                *(router.empty for router in routers),
                *buffers_empty,
                *(edge.empty for edge in edges.values()),
            ],
        )
        self._add_ticks(m, cores, edges, quiet, latency)
        return m

    def _router(self, number: int) -> Router:
        config = self.config
        column, row = config.place(number)
        inner = {"north": row > 0, "east": column < config.columns - 1, "south": row < config.rows - 1, "west": column > 0}
        return Router(config=config.cores[number], sides=tuple(side for side in SIDES if inner[side] or side in config.links))

    def _connect_routers(self, m: Module, routers: Sequence[Router], edges: dict[str, Edge]) -> None:
        """Neighbours, and the routers at the borders with the edges there."""
        config = self.config
        steps = {"north": -config.columns, "east": 1, "south": config.columns, "west": -1}
        for number, router in enumerate(routers):
            column, row = config.place(number)
            at_border = {
                "north": row == 0,
                "east": column == config.columns - 1,
                "south": row == config.rows - 1,
                "west": column == 0,
            }
            for side in router.sides:
                outward, inward = getattr(router, f"o_{side}"), getattr(router, f"i_{side}")
                if at_border[side]:
                    index = row if side in ("east", "west") else column
                    connect(m, outward, getattr(edges[side], f"i_mesh_{index}"))
                    connect(m, getattr(edges[side], f"o_mesh_{index}"), inward)
                else:
                    connect(m, outward, getattr(routers[number + steps[side]], f"i_{OPPOSITE[side]}"))
        for side, edge in edges.items():
            m.d.comb += [getattr(self, f"{port_name(side)}_tx").eq(edge.tx), edge.rx.eq(getattr(self, f"{port_name(side)}_rx"))]

    def _connect_core(self, m: Module, number: int, core: Core, router: Router, arrived: wiring.PureInterface) -> Signal:
        """A core and its router; at the host's core also the host. Gives a strobe for outputs that came to a core without a host."""
        to_host = arrived.payload.kind == Destination.OUTPUT
        lost = Signal(name=f"lost{number}")
        m.d.comb += [
            core.events.valid.eq(arrived.valid & ~to_host),
            core.events.payload.axon.eq(arrived.payload.target),
            core.events.payload.delay.eq(arrived.payload.delay),
        ]
        if number != self.config.host_core(number):
            m.d.comb += [arrived.ready.eq(to_host | core.events.ready), lost.eq(arrived.valid & to_host)]
            connect(m, core.packets, router.i_local)
            return lost
        m.d.comb += [
            arrived.ready.eq(Mux(to_host, self.outputs.ready, core.events.ready)),
            self.outputs.valid.eq(arrived.valid & to_host),
            self.outputs.payload.eq(arrived.payload.target),
        ]
        # The host sends only between ticks, so the two never meet.
        event = self.events.payload
        packet = Signal(struct_of(packet_layout(core.config)), name="host_packet")
        ways = [hops(self.config, number, other) for other in range(len(self.config.cores))]
        m.d.comb += [
            packet.kind.eq(Destination.AXON),
            # An axon that the packet has no room for is marked as illegal by the delay 0: the core counts it as dropped.
            packet.delay.eq(Mux(event.axon[len(packet.target) :].any(), 0, event.delay)),
            packet.target.eq(event.axon),
        ]
        for name, index in (("dx", 0), ("dy", 1)):
            if name in packet_fields(core):
                m.d.comb += getattr(packet, name).eq(
                    Array(Const(way[index], len(getattr(packet, name))) for way in ways)[event.core]
                )
        m.d.comb += [
            router.i_local.valid.eq(core.packets.valid | self.events.valid),
            router.i_local.payload.eq(Mux(self.events.valid, packet.as_value(), core.packets.payload.as_value())),
            core.packets.ready.eq(router.i_local.ready & ~self.events.valid),
            self.events.ready.eq(router.i_local.ready),
        ]
        return lost

    def _add_bus(self, m: Module, cores: Sequence[Core]) -> None:
        """Requests to the core that their address names. Cores are far apart, so there are registers.

        On the way there each of several cores has one, on the way back its answer has one, and the OR of all answers another.
        """
        request, response = self.request, self.response
        started = Signal()
        space = request.payload.address[SPACE_SHIFT:]
        answers = []
        begin = Signal()
        m.d.comb += begin.eq(request.valid & ~started & self.idle)
        with m.If(begin):
            m.d.sync += started.eq(1)
        with m.Elif(response.valid):
            m.d.sync += started.eq(0)
        for number, core in enumerate(cores):
            asked = Signal(name=f"asked{number}")
            with m.If(begin):
                m.d.sync += asked.eq(space == number + 1)
            with m.Elif(core.request.ready):
                m.d.sync += asked.eq(0)
            answer = Signal(data.StructLayout({"valid": 1, "response": BusResponse}), name=f"answer{number}")
            order = request.payload
            if len(cores) > 1:
                m.submodules[f"order{number}"] = register = Order(request.payload.shape())
                m.d.comb += register.i.eq(order)
                order = register.o
            m.d.comb += [
                core.request.valid.eq(asked),
                core.request.payload.address.eq(order.address),
                core.request.payload.write.eq(order.write),
                core.request.payload.data.eq(order.data),
                core.response.ready.eq(1),
            ]
            m.d.sync += [
                answer.valid.eq(core.response.valid),
                answer.response.eq(Mux(core.response.valid, core.response.payload.as_value(), 0)),
            ]
            answers.append(answer.as_value())
        combined = Signal.like(answer, name="combined")
        m.d.sync += combined.eq(functools.reduce(operator.or_, answers))
        m.d.comb += [response.valid.eq(combined.valid), response.payload.eq(combined.response)]

    def _add_ticks(self, m: Module, cores: Sequence[Core], edges: dict[str, Edge], quiet: Signal, latency: int) -> None:
        """Begin a tick in all cores at once, and find its end."""
        phase = Signal(Phase, init=Phase.STARTING)
        ticking = Signal()
        begin, clear = self.idle & self.tick & ~self.clear, self.idle & self.clear
        # A core's command is one cycle late, its answer another, and then it takes ``latency`` cycles until ``quiet`` has seen it.
        settle = latency + 4
        settling = Signal(range(settle + 1))
        # Commands have a register at each core.
        for number, core in enumerate(cores):
            go, clearing = Signal(name=f"go{number}"), Signal(name=f"clear{number}")
            m.d.sync += [go.eq(begin), clearing.eq(clear)]
            m.d.comb += [core.tick.eq(go), core.clear.eq(clearing)]
        # The neighbours' packets may come once all cores have begun: their slot is the new one in the third cycle.
        opened = Signal(3)
        m.d.sync += opened.eq(Cat(begin, opened))
        sent, arrived = {}, {}
        for side, edge in edges.items():
            sent[side] = Signal(name=f"sent_{side}")
            # As late as ``quiet``: when this is high, ``quiet`` speaks of a time at which the token was here.
            late = Signal(latency + 1, name=f"arrived_{side}")
            m.d.sync += late.eq(Cat(edge.arrived, late))
            arrived[side] = late[-1]
            m.d.comb += edge.take.eq(opened[-1])
        running = phase == Phase.RUNNING
        for side, edge in edges.items():
            may_send = running & ticking & quiet & ~sent[side] & _all(arrived[other] for other in FEEDS[side] if other in edges)
            m.d.comb += edge.send.eq(may_send)
            with m.If(begin):
                m.d.sync += sent[side].eq(0)
            with m.Elif(may_send):
                m.d.sync += sent[side].eq(1)
        ended = quiet & (~ticking | _all(arrived[side] & sent[side] & edge.sent for side, edge in edges.items()))
        # An event of the host is like a command: it is over when nothing is on its way any more.
        event = self.events.valid & (self.idle | self.delivering)
        delivering = Signal()
        m.d.comb += [self.idle.eq(phase == Phase.IDLE), self.delivering.eq((phase != Phase.IDLE) & delivering)]
        m.d.sync += self.waiting.eq(running & ticking & quiet & ~ended)
        with m.Switch(phase):
            with m.Case(Phase.IDLE):
                with m.If(begin | clear):
                    m.d.sync += [phase.eq(Phase.STARTING), settling.eq(0), ticking.eq(begin), delivering.eq(0)]
            with m.Case(Phase.STARTING):
                m.d.sync += settling.eq(settling + 1)
                with m.If(settling == settle):
                    m.d.sync += phase.eq(Phase.RUNNING)
            with m.Case(Phase.RUNNING):
                with m.If(ended):
                    m.d.sync += phase.eq(Phase.IDLE)
        with m.If(event):
            m.d.sync += [phase.eq(Phase.STARTING), settling.eq(0), ticking.eq(0), delivering.eq(1)]


def _add_buffer(m: Module, source: wiring.PureInterface, name: str) -> tuple[wiring.PureInterface, Signal]:
    """A buffer of two packets, so that what a core does about the first of them is not part of its router's longest path.

    Returns
    -------
    stream interface
        The packets.
    empty : Signal
        There are none.
    """
    result = stream.Signature(source.payload.shape()).create(path=(name,))
    spare = Signal(source.payload.shape(), name=f"{name}_spare", reset_less=True)
    spare_valid, empty = Signal(name=f"{name}_spare_valid"), Signal(name=f"{name}_empty")
    moves = ~result.valid | result.ready
    m.d.comb += [source.ready.eq(~spare_valid), empty.eq(~result.valid & ~spare_valid)]
    with m.If(~spare_valid):
        m.d.sync += spare.eq(source.payload)
    m.d.sync += spare_valid.eq((spare_valid | source.valid) & ~moves)
    with m.If(moves):
        m.d.sync += [
            result.valid.eq(spare_valid | source.valid),
            result.payload.eq(Mux(spare_valid, spare.as_value(), source.payload.as_value())),
        ]
    return result, empty


def packet_fields(core: Core) -> list[str]:
    """Names of the fields of the core's packets."""
    return [field.name for field in packet_layout(core.config).fields]


def _all(values: object) -> Value:
    """AND of any number of bits; 1 for none."""
    return functools.reduce(operator.and_, values, Const(1, 1))


def _count(strobes: Sequence[Value]) -> Value:
    """How many of the bits are set."""
    return functools.reduce(operator.add, strobes, Const(0, 1))


def _tree(m: Module, leaves: Sequence[Value]) -> tuple[Signal, int]:
    """AND of all leaves as they were ``latency`` cycles ago, with a register for every ``TREE`` of them.

    All leaves pass through the same number of registers, so the result speaks of one moment. A packet is always in some register, and
    what makes packets is a leaf too; so if all are quiet in one moment, they stay so.
    """
    level, latency = list(leaves), 0
    while len(level) > 1 or latency == 0:
        following = []
        for first in range(0, len(level), TREE):
            node = Signal(name=f"quiet{latency}_{first}")
            m.d.sync += node.eq(_all(level[first : first + TREE]))
            following.append(node)
        level, latency = following, latency + 1
    return level[0], latency
