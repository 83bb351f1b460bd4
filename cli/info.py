"""What a board says about itself."""

from __future__ import annotations

from spikeloom.arch.boards import BOARDS, RATES
from spikeloom.arch.config import ENCODERS
from spikeloom.arch.registers import Address
from spikeloom.cli.console import print_table
from spikeloom.host.ports import find_port, open_bus


def board_info(port: str, baud: int | None) -> None:
    """Ask the board behind a port, and print a table."""
    rates = [baud] if baud else RATES
    if port == "auto":
        port = find_port(rates)
    bus = open_bus(port, rates)
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
        ("build", f"{values[Address.BUILD]:#010x}"),
        ("clock", f"{values[Address.CLOCK] / 1000:g} MHz" if values[Address.CLOCK] else "unknown"),
        ("geometry", f"{geometry:#010x}" + (f" (default of {' and '.join(known)})" if known else "")),
        ("mesh", f"{columns} x {rows} cores"),
        ("encoder", dict(enumerate(ENCODERS)).get(field(Address.GEOMETRY_5, 21, 2), "unknown") or "none"),
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
    Address.LINK_ERRORS, Address.MISROUTED, Address.BUILD, Address.CLOCK,
)  # fmt: skip
