"""A chip that fills the ULX3S-85F: its cores, the routed clock, and synaptic operations per second.

    python bench/chip_size.py [--json] [--seed N ...]

The whole design is placed and routed (mesh of cores with 256 axons, 256 neurons and a full crossbar of 4-bit weights, tick control, host
link), with free pins. Block RAM would do for nine, but nextpnr does not find all their wires. Cycles come from the compiled
simulation of the same geometry, with event counters, which take none: every axon of every core is active, and every row covers all
neurons. Place and route takes about an hour per seed.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, log, parser
from core_size import PARTS, PLAIN, full_memory

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.image import LoadableImage, PortMap
from spikeloom.boards.flow import place_and_route, synthesize
from spikeloom.hdl.fabric import ECP5
from spikeloom.hdl.top import Top
from spikeloom.hdl.uart import divisor_for
from spikeloom.hdl.verilog import to_verilog
from spikeloom.sim.rtl_bus import open_rtl

COLUMNS, ROWS = 4, 2
#: As in ``core_size``, with 128 lanes, so that a row is two words; 16 neurons share parameters, which spares block RAMs.
CORE = dataclasses.replace(PLAIN, weight_words=None, lanes=128, group=16)
CHIP = ChipConfig(cores=(CORE,) * (COLUMNS * ROWS), columns=COLUMNS, rows=ROWS)
#: Clock that the placer aims at (MHz), and of the serial port's divisor.
AIM, BAUD = 64, 3_000_000
#: nextpnr's default router does not finish in a quarter of an hour even on four of these cores.
ROUTER = ("--router", "router2")
#: Modules that are synthesised once for all cores, and those whose registers must not be merged with their like.
ALONE = "*_core[0-9] *_accumulators[0-9] *_order[0-9]"
EVENTS = (0, 1, 26, 77, 256)


def full_image(config: ChipConfig) -> LoadableImage:
    """Every axon reaches every neuron of its core; no neuron ever fires."""
    cores = tuple(dataclasses.replace(core, counters=True) for core in config.cores)
    config = dataclasses.replace(config, cores=cores)
    axons = np.concatenate([np.arange(core.axons) for core in cores])
    return LoadableImage(
        config=config,
        memories=tuple(full_memory(core) for core in config.cores),
        inputs=(PortMap("axons", 0, len(axons)),),
        outputs=(),
        input_index=np.arange(len(axons)),
        input_core=np.repeat(np.arange(len(cores)), [core.axons for core in cores]),
        input_axon=axons,
        input_offset=0 * axons,
        output_shift=np.zeros(0, np.int64),
    )


def measure_cycles() -> dict[str, dict[str, int]]:
    """Clock cycles of a tick by active axons per core: of the busiest core, and of the chip from one tick to the next."""
    cycles = {}
    with open_rtl(full_image(CHIP), ECP5) as chip:
        for events in EVENTS:
            spikes = np.zeros((1, len(CHIP.cores), CORE.axons), np.bool_)
            spikes[:, :, np.random.default_rng(events).permutation(CORE.axons)[:events]] = True
            chip.run(spikes.reshape(1, -1))
            counters = chip.counters()
            assert counters["events"][0] == events * len(CHIP.cores)
            cycles[str(events)] = {
                "core": int(counters["cycles"][0]),
                "chip": chip.bus.tick_cycles[-1],  # type: ignore[attr-defined]
                "synaptic_operations": int(counters["synaptic_operations"][0]),
            }
    return cycles


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--seed", type=int, nargs="+", default=[1], help="placer seeds (%(default)s)")
    options = arguments.parse_args()
    top = Top(config=CHIP, divisor=divisor_for(AIM * 1e6, BAUD), fabric=ECP5)
    reports = {}
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as name:
        folder = Path(name)
        log("Verilog")
        (folder / "top.v").write_text(to_verilog(top, "top"))
        log("synthesis")
        netlist = synthesize(["top.v"], "top", "ecp5", folder, alone=ALONE)
        for seed in options.seed:
            log(f"place and route, seed {seed}")
            reports[str(seed)] = place_and_route(netlist, "ecp5", PARTS["ecp5"], AIM, seed, ROUTER)
    log("cycles")
    cycles = measure_cycles()
    used = next(iter(reports.values()))
    best = max(report.fmax_mhz for report in reports.values())
    lanes = sum(core.lanes for core in CHIP.cores)
    full = cycles[str(CORE.axons)]
    result: dict[str, Any] = {
        "board": "ulx3s",
        "part": "LFE5U-85F-6",
        "columns": COLUMNS,
        "rows": ROWS,
        "cores": len(CHIP.cores),
        "core": CORE.as_dict(),
        "neurons": sum(core.neurons for core in CHIP.cores),
        "synapses": sum(core.axons * core.neurons for core in CHIP.cores),
        "used": used.used,
        "available": used.available,
        "placer_aim_mhz": AIM,
        "fmax_mhz": {seed: round(report.fmax_mhz, 1) for seed, report in reports.items()},
        "tick_cycles_by_events_per_core": cycles,
        "operations_per_cycle": lanes,
        "peak_operations_per_second": round(lanes * best * 1e6),
        "full_tick_operations_per_cycle": round(full["synaptic_operations"] / full["chip"], 1),
        "full_tick_operations_per_second": round(full["synaptic_operations"] / full["chip"] * best * 1e6),
    }

    def rows() -> list[tuple[object, ...]]:
        return [
            (
                f"{COLUMNS} x {ROWS}",
                result["used"]["lut"],
                result["used"]["ff"],
                result["used"]["ram"],
                result["used"]["dsp"],
                ", ".join(map(str, result["fmax_mhz"].values())),
                full["chip"],
                round(result["peak_operations_per_second"] / 1e9, 1),
                round(result["full_tick_operations_per_second"] / 1e9, 1),
            )
        ]

    columns = ("cores", "LUT", "FF", "RAM", "DSP", "MHz by seed", "cycles of a full tick", "peak Gop/s", "in full ticks Gop/s")
    finish("chip_size", result, options.json, columns, rows)


if __name__ == "__main__":
    main()
