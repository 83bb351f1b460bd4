"""What a board says about itself."""

from __future__ import annotations

from spikeloom.arch.boards import BOARDS
from spikeloom.arch.registers import Address
from spikeloom.cli.console import print_table
from spikeloom.host.framed_bus import FramedBus
from spikeloom.host.stream import open_port


def board_info(port: str, baud: int) -> None:
    """Ask the board behind a port, and print a table."""
    bus = FramedBus(open_port(port, baud))
    try:
        values = {address: int(bus.read(address, 1)[0]) for address in _ASKED}
    finally:
        bus.close()

    def field(address: Address, low: int, bits: int) -> int:
        return values[address] >> low & ((1 << bits) - 1)

    geometry = values[Address.GEOMETRY]
    known = [
        f"{name}, {bits} bits" for name, board in BOARDS.items() for bits in board.cores if board.chip(bits).geometry_id == geometry
    ]
    columns, rows = field(Address.GEOMETRY_5, 0, 8), field(Address.GEOMETRY_5, 8, 8)
    lines = [
        ("protocol", f"{field(Address.VERSION, 16, 16)}.{field(Address.VERSION, 0, 16)}"),
        ("geometry", f"{geometry:#010x}" + (f" (default of {' and '.join(known)})" if known else "")),
        ("mesh", f"{columns} x {rows} cores"),
        ("core 0: axons, neurons", f"{field(Address.GEOMETRY_0, 0, 16)}, {field(Address.GEOMETRY_0, 16, 16)}"),
        ("core 0: weights", f"{field(Address.GEOMETRY_1, 0, 8)} bits, {field(Address.GEOMETRY_1, 8, 8)} per cycle"),
        ("state", "busy" if field(Address.STATUS, 0, 1) else "idle"),
        ("ticks since the last clear", str(values[Address.TICK])),
        ("damaged frames from the host", str(values[Address.LINK_ERRORS])),
        ("packets without a destination", str(values[Address.MISROUTED])),
    ]
    print_table(f"spikeloom on {port}", ("what", "value"), lines)


_ASKED = (
    Address.VERSION, Address.GEOMETRY, Address.GEOMETRY_0, Address.GEOMETRY_1, Address.GEOMETRY_5, Address.STATUS, Address.TICK,
    Address.LINK_ERRORS, Address.MISROUTED,
)  # fmt: skip
