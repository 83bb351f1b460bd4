"""Packets of the mesh: one spike on its way to one destination. Routed as ``docs/mesh.md`` says.

A packet is a single flit. ``dx`` and ``dy`` count the columns to the east and the rows to the south that are still to go; the field is left
out where the mesh has one column or one row.
"""

from __future__ import annotations

import enum

from spikeloom.arch.config import DELAY_BITS, PAYLOAD_BITS, ChipConfig, CoreConfig, bits_for
from spikeloom.arch.layout import Field, WordLayout


class Destination(enum.IntEnum):
    """What a packet is for."""

    #: An axon of the core it arrives at.
    AXON = 0
    #: The host: ``target`` is the number of an output. It arrives at the north-western core of a chip.
    OUTPUT = 1


def hop_bits(reach: int) -> int:
    """Bits of a signed hop count up to ``reach``; 0 for 0."""
    return bits_for(reach + 1) + 1 if reach else 0


def route_fields(config: CoreConfig) -> tuple[Field, ...]:
    """Fields that an entry of the routing memory and a packet have in common."""
    fields = [Field("kind", 1), Field("delay", DELAY_BITS), Field("target", config.target_bits)]
    for name, reach in (("dx", config.reach_x), ("dy", config.reach_y)):
        if reach:
            fields.append(Field(name, hop_bits(reach), signed=True))
    return tuple(fields)


def packet_layout(config: CoreConfig) -> WordLayout:
    """A packet of the mesh that the core belongs to."""
    payload = (Field("payload", PAYLOAD_BITS),) if config.payload else ()
    return WordLayout("packet", route_fields(config) + payload)


def hops(config: ChipConfig, source: int, destination: int) -> tuple[int, int]:
    """``dx`` and ``dy`` of a packet from one core to another."""
    (x0, y0), (x1, y1) = config.place(source), config.place(destination)
    return x1 - x0, y1 - y0
