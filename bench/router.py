"""Size and speed of the mesh's router, out of context, on ECP5 and iCE40UP5K, of nine of them, and of a whole chip of four cores.

    python bench/router.py [--json] [--only NAME]

Packets are those of a mesh of 4 x 3 cores with 256 neurons. The router stands behind three pins (``spikeloom.boards.serial_pins``), whose
cells are taken off. Cycles and packets per cycle come from a simulation: a packet through a row of routers, and a load in which every
input always has a packet for an output of its own. The mesh has 3 x 3 routers behind the same pins, without cores. The chip has 2 x 2
cores (those of ``core_size``, 16 lanes), tick control and serial port, with free pins.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator
from common import SEEDS, finish, log, parser, summary
from core_size import PLAIN

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.packet import packet_layout
from spikeloom.boards.flow import place_and_route, synthesize
from spikeloom.boards.serial_pins import SerialPins
from spikeloom.hdl.fabric import ECP5
from spikeloom.hdl.router import Router
from spikeloom.hdl.top import Top
from spikeloom.hdl.uart import divisor_for
from spikeloom.hdl.verilog import to_verilog

CONFIG = CoreConfig(axons=256, neurons=256, weight_bits=4, reach_x=3, reach_y=2, targets=12 * 256)
SIDES = {"middle": ("north", "east", "south", "west"), "corner": ("east", "south")}
#: Hop counts that send the packets of each input to an output of its own.
LOADS = {
    "middle": {"north": (0, 1), "east": (-1, 0), "south": (0, -1), "west": (1, 0), "local": (0, 0)},
    "corner": {"east": (0, 1), "south": (0, 0), "local": (1, 0)},
}
ROUTERS = {f"{family}, {name}": (family, name) for family in ("ecp5", "up5k") for name in SIDES}
FAMILIES = {"ecp5": "ecp5", "up5k": "ice40-up"}
PARTS = {"ecp5": ("--85k", "--package", "CABGA381", "--speed", "6"), "up5k": ("--up5k", "--package", "sg48")}
#: Clock that the placer aims at (MHz).
AIM = {"ecp5": 200, "up5k": 60, "mesh": 200, "chip": 110}
CHIP = ChipConfig(cores=(dataclasses.replace(PLAIN, weight_words=None, lanes=16),) * 4, columns=2, rows=2)
BAUD = 3_000_000
#: Of the chip: modules whose registers must not be merged with their like, and a placer that thinks more of timing.
ALONE = "*_core[0-9] *_accumulators[0-9] *_order[0-9]"
PLACER = ("--placer-heap-timingweight", "40", "--placer-heap-critexp", "4")
#: Columns and rows of the mesh of routers.
SIDE = 3
ROW = 4
WARM_UP, COUNTED = 16, 100


def cycles_per_hop() -> float:
    """From the offer of one router of a row to that of the next, in an empty mesh."""
    m = Module()
    routers = [Router(config=CONFIG, sides=("east", "west")) for _ in range(ROW)]
    for number, router in enumerate(routers):
        m.submodules[f"router{number}"] = router
    for west, east in itertools.pairwise(routers):
        connect(m, west.o_east, east.i_west)
    offers: dict[int, int] = {}

    async def bench(ctx: Any) -> None:
        first = routers[0].i_local
        ctx.set(first.payload, {"dx": ROW - 1})
        ctx.set(first.valid, 1)
        for cycle in range(4 * ROW):
            await ctx.tick()
            ctx.set(first.valid, 0)
            for number, router in enumerate(routers):
                output = router.o_local if router is routers[-1] else router.o_east
                if ctx.get(output.valid):
                    offers.setdefault(number, cycle)

    _simulate(m, bench)
    return (offers[ROW - 1] - offers[0]) / (ROW - 1)


def packets_per_cycle(name: str) -> dict[str, float]:
    """What leaves by each port under the load."""
    router = Router(config=CONFIG, sides=SIDES[name])
    left = dict.fromkeys(router.ports, 0)

    async def bench(ctx: Any) -> None:
        for port, (dx, dy) in LOADS[name].items():
            ctx.set(getattr(router, f"i_{port}").payload, {"dx": dx, "dy": dy})
            ctx.set(getattr(router, f"i_{port}").valid, 1)
            ctx.set(getattr(router, f"o_{port}").ready, 1)
        for cycle in range(WARM_UP + COUNTED):
            await ctx.tick()
            for port in left:
                left[port] += cycle >= WARM_UP and ctx.get(getattr(router, f"o_{port}").valid)

    _simulate(router, bench)
    return {port: count / COUNTED for port, count in left.items()}


def _simulate(design: Any, bench: Any) -> None:
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


class RouterMesh(wiring.Component):
    """Routers side by side. Their local ports are the mesh's: ``i0`` and ``o0`` are those of the north-western one."""

    def __init__(self) -> None:
        self.routers = [Router(config=CONFIG, sides=tuple(self._neighbours(number))) for number in range(SIDE * SIDE)]
        packet = stream.Signature(self.routers[0].packet)
        members = {f"{way}{number}": flow(packet) for way, flow in (("i", In), ("o", Out)) for number in range(SIDE * SIDE)}
        super().__init__({**members, "misrouted": Out(SIDE * SIDE), "empty": Out(SIDE * SIDE)})

    @staticmethod
    def _neighbours(number: int) -> dict[str, int]:
        """Sides on which a router has a neighbour, and which one."""
        row, column = divmod(number, SIDE)
        steps = {"north": (-1, 0), "east": (0, 1), "south": (1, 0), "west": (0, -1)}
        places = {side: (row + down, column + right) for side, (down, right) in steps.items()}
        return {side: y * SIDE + x for side, (y, x) in places.items() if 0 <= x < SIDE and 0 <= y < SIDE}

    def elaborate(self, platform: object) -> Module:
        """The routers and what joins them."""
        m = Module()
        opposite = {"north": "south", "east": "west", "south": "north", "west": "east"}
        for number, router in enumerate(self.routers):
            m.submodules[f"router{number}"] = router
            connect(m, flipped(getattr(self, f"i{number}")), router.i_local)
            connect(m, flipped(getattr(self, f"o{number}")), router.o_local)
            m.d.comb += [self.misrouted[number].eq(router.misrouted), self.empty[number].eq(router.empty)]
            for side, neighbour in self._neighbours(number).items():
                connect(m, getattr(router, f"o_{side}"), getattr(self.routers[neighbour], f"i_{opposite[side]}"))
        return m


def build(
    title: str, design: Any, part: str, aim: float, wrapper: dict[str, int], alone: str = "", options: Sequence[str] = ()
) -> dict[str, Any]:
    """Size and clock of a design."""
    family = FAMILIES[part]
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
        (Path(folder) / "top.v").write_text(to_verilog(design, "top"))
        log(f"{title}: synthesis")
        netlist = synthesize(["top.v"], "top", family, Path(folder), alone=alone)
        reports = []
        for seed in SEEDS:
            log(f"{title}: place and route, seed {seed}")
            reports.append(place_and_route(netlist, family, PARTS[part], aim, seed, options))
    return summary(reports, wrapper)


def measure(row_name: str) -> dict[str, Any]:
    """One router."""
    part, name = ROUTERS[row_name]
    family = FAMILIES[part]
    wrapped = SerialPins(Router(config=CONFIG, sides=SIDES[name]))
    # An output bit takes a LUT and a flip-flop, an input bit a flip-flop; on iCE40 each is one logic cell.
    wrapper = {"lut": wrapped.cells if part == "up5k" else wrapped.output_bits, "ff": wrapped.cells}
    row = {"family": family, "sides": list(SIDES[name]), **build(row_name, wrapped, part, AIM[part], wrapper)}
    rates = packets_per_cycle(name)
    hertz = row["fmax_median_mhz"] * 1e6
    return row | {
        "packets_per_cycle_by_port": rates,
        "packets_per_second_per_port": round(min(rates.values()) * hertz),
        "packets_per_second": round(sum(rates.values()) * hertz),
    }


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", choices=[*ROUTERS, "mesh", "chip"], help="measure one router, the mesh, or the chip")
    options = arguments.parse_args()
    hop = cycles_per_hop()
    routers = {name: measure(name) for name in ROUTERS if options.only in (None, name)}
    mesh = {}
    if options.only in (None, "mesh"):
        pins = SerialPins(RouterMesh())
        mesh = {"columns": SIDE, "rows": SIDE}
        mesh |= build("mesh", pins, "ecp5", AIM["mesh"], {"lut": pins.output_bits, "ff": pins.cells})
    chip = {}
    if options.only in (None, "chip"):
        top = Top(config=CHIP, divisor=divisor_for(AIM["chip"] * 1e6, BAUD), fabric=ECP5)
        chip = {
            "columns": CHIP.columns,
            "rows": CHIP.rows,
            "core": CHIP.cores[0].as_dict(),
            **build("chip", top, "ecp5", AIM["chip"], {}, ALONE, PLACER),
        }
    columns = ("router", "LUT", "FF", "LUT RAM", "MHz by seed", "cycles per hop", "M packets/s per port", "M packets/s")

    def rows() -> list[tuple[object, ...]]:
        return [
            (
                name,
                row["used"]["lut"],
                row["used"].get("ff", ""),
                row["used"].get("lut_ram", ""),
                ", ".join(str(mhz) for mhz in row["fmax_mhz"].values()),
                hop,
                *(round(row[name] / 1e6) if name in row else "" for name in ("packets_per_second_per_port", "packets_per_second")),
            )
            for name, row in {**routers, "mesh of routers": mesh, "chip": chip}.items()
            if row
        ]

    data = {
        "seeds": SEEDS,
        "placer_aim_mhz": AIM,
        "packet_bits": packet_layout(CONFIG).bits,
        "cycles_per_hop": hop,
        "routers": routers,
        "mesh": mesh,
        "chip": chip,
    }
    finish("router", data, options.json, columns, rows)


if __name__ == "__main__":
    main()
