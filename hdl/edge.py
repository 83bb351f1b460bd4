"""Edge: one side of a chip, whose packets share a link to the neighbouring chip. Described in ``docs/edge.md``."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import ChipConfig, bits_for
from spikeloom.arch.packet import packet_layout
from spikeloom.hdl.chip_link import ChipLink
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.layouts import struct_of


def edge_ports(config: ChipConfig, side: str) -> int:
    """Routers along that side."""
    return config.rows if side in ("east", "west") else config.columns


class Edge(wiring.Component):
    """Merges what the routers of one side send outwards, splits what comes back, and tells both chips when a tick's packets are through.

    Parameters
    ----------
    config : ChipConfig
        Geometry of the chip.
    side : str
        One of its ``links``.
    fabric : Fabric
        Target.

    Members
    -------
    i_mesh_0, ... : In(stream of packet)
        Packets from the routers of this side, from the north or the west on.
    o_mesh_0, ... : Out(stream of packet)
        Packets to them.
    tx : Out(link_lanes + 2), rx : In(link_lanes + 2)
        Pins of the link.
    send : In(1)
        Strobe, only while ``sent``: a token follows the packets taken so far.
    sent : Out(1)
        No token waits for the link.
    arrived : Out(1)
        A token came; the gate is closed. So it is after a reset.
    take : In(1)
        Strobe, only while ``arrived``: opens the gate.
    empty : Out(1)
        No packet is between the routers and the link's queues.
    errors, repeats : Out(1)
        Of the link.
    """

    def __init__(self, *, config: ChipConfig, side: str, fabric: Fabric = GENERIC) -> None:
        self.config, self.side, self.fabric = config, side, fabric
        self.count = edge_ports(config, side)
        self.packet = struct_of(packet_layout(config.cores[0]))
        super().__init__(
            {
                **{f"i_mesh_{n}": In(stream.Signature(self.packet)) for n in range(self.count)},
                **{f"o_mesh_{n}": Out(stream.Signature(self.packet)) for n in range(self.count)},
                "tx": Out(config.link_lanes + 2),
                "rx": In(config.link_lanes + 2),
                "send": In(1),
                "sent": Out(1, init=1),
                "arrived": Out(1, init=1),
                "take": In(1),
                "empty": Out(1),
                "errors": Out(1),
                "repeats": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The tag names the router; one more value stands for a token.
        token = self.count
        item = data.StructLayout({"tag": bits_for(self.count + 1), "packet": self.packet})
        link = ChipLink(width=item.size, lanes=self.config.link_lanes, cell=self.config.link_cell, fabric=self.fabric)
        m.submodules.link = link
        m.d.comb += [
            self.tx.eq(link.tx),
            link.rx.eq(self.rx),
            self.errors.eq(link.errors),
            self.repeats.eq(link.repeats),
        ]

        # Outwards: routers and token take turns. The turn stays with an item until the link has taken it.
        turn, outgoing = Signal(range(self.count + 1)), data.View(item, link.i.payload)
        m.d.comb += outgoing.tag.eq(turn)
        with m.If(~link.i.valid | link.i.ready):
            m.d.sync += turn.eq(turn + 1)
            with m.If(turn == token):
                m.d.sync += turn.eq(0)
        with m.Switch(turn):
            for n in range(self.count):
                port = getattr(self, f"i_mesh_{n}")
                with m.Case(n):
                    m.d.comb += [link.i.valid.eq(port.valid), outgoing.packet.eq(port.payload), port.ready.eq(link.i.ready)]
            with m.Case(token):
                m.d.comb += link.i.valid.eq(~self.sent)
                with m.If(link.i.ready):
                    m.d.sync += self.sent.eq(1)
        with m.If(self.send):
            m.d.sync += self.sent.eq(0)

        # Inwards: nothing passes the gate between a token and the beginning of the next tick.
        incoming = data.View(item, link.o.payload)
        for n in range(self.count):
            port = getattr(self, f"o_mesh_{n}")
            m.d.comb += [
                port.payload.eq(incoming.packet),
                port.valid.eq(link.o.valid & ~self.arrived & (incoming.tag == n)),
            ]
        with m.Switch(incoming.tag):
            for n in range(self.count):
                with m.Case(n):
                    m.d.comb += link.o.ready.eq(getattr(self, f"o_mesh_{n}").ready & ~self.arrived)
            with m.Default():
                m.d.comb += link.o.ready.eq(~self.arrived)
        with m.If(link.o.valid & ~self.arrived & (incoming.tag == token)):
            m.d.sync += self.arrived.eq(1)
        with m.If(self.take):
            m.d.sync += self.arrived.eq(0)
        m.d.comb += self.empty.eq(self.arrived | ~link.o.valid)
        return m
