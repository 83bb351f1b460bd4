"""Size and speed of a core of 256 axons x 256 neurons with 4-bit weights, out of context, on ECP5 and iCE40UP5K.

    python bench/core_size.py [--json] [--only NAME]

The core stands behind three pins (``spikeloom.boards.serial_pins``), whose cells are taken off. Cycles come from the compiled simulation of
the same geometry: an idle tick, and ticks with 1 to 256 events whose rows cover all neurons.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import SEEDS, finish, log, parser, summary

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage, PortMap
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.boards.flow import place_and_route, synthesize
from spikeloom.boards.serial_pins import SerialPins
from spikeloom.hdl.core import Core
from spikeloom.hdl.fabric import FABRICS, Fabric
from spikeloom.hdl.verilog import to_verilog
from spikeloom.sim.rtl_bus import open_rtl

#: Like the peers: one LIF form, 16-bit potential, own parameters for each neuron, memories that can be read back, no counters.
PLAIN = CoreConfig(
    axons=256,
    neurons=256,
    weight_bits=4,
    levels=1,
    counters=False,
    models=(Lif(state_bits=16, fraction_bits=4, refractory_bits=0, bias_bits=0, resets="absolute"),),
)
#: Everything that NIR's LIF, IF and LI ask for, and counters.
FULL = CoreConfig(axons=256, neurons=256, weight_bits=4, lanes=16)
CORES = {
    **{
        f"ecp5, {lanes} {'lane' if lanes == 1 else 'lanes'}": ("ecp5", dataclasses.replace(PLAIN, weight_words=None, lanes=lanes))
        for lanes in (1, 4, 16, 64)
    },
    "ecp5, 16 lanes, all features": ("ecp5", FULL),
    "up5k, 16 lanes": ("ice40-up", dataclasses.replace(PLAIN, weight_words=None, lanes=16)),
}
PARTS = {"ecp5": ("--85k", "--package", "CABGA381", "--speed", "6"), "ice40-up": ("--up5k", "--package", "sg48")}
#: Clock that the placer aims at (MHz).
AIM = {"ecp5": 100, "ice40-up": 48}
EVENTS = (0, 1, 26, 77, 256)


def full_memory(core: CoreConfig) -> dict[str, Any]:
    """Every axon reaches every neuron; no neuron ever fires."""
    rng = np.random.default_rng(1)
    high = (1 << (core.weight_bits - 1)) - 1
    axons, neurons = np.arange(core.axons), np.zeros(core.neurons, np.int64)
    weights = rng.integers(-high, high, (core.words, core.lanes), endpoint=True)
    table = regions(core)
    contents: dict[str, dict[str, Any]] = {
        "weights": {"weight": weights[:, 0] if core.lanes == 1 else weights},
        "rows": {"base": axons * core.neuron_words, "start": 0 * axons, "last": 0 * axons + core.neuron_words - 1},
        "route_index": {"first": neurons, "count": neurons},
        "routes": {field.name: np.zeros(core.routes, np.int64) for field in table["routes"].layout.fields},
        "control": {"last": np.full(core.levels, core.neurons - 1)},
    }
    for name in ("parameters", "firing", "own"):
        if name in table:
            contents[name] = {field.name: np.zeros(table[name].depth, np.int64) for field in table[name].layout.fields}
    threshold = core.models[0].parameter_names()["threshold"]
    contents["firing"]["threshold"] = np.full(core.parameter_sets, threshold.high)
    return {name: table[name].layout.pack(values) for name, values in contents.items()}


def full_image(config: CoreConfig) -> LoadableImage:
    """The one core of a chip with :func:`full_memory`."""
    core = dataclasses.replace(config, counters=True)
    axons = np.arange(core.axons)
    return LoadableImage(
        config=ChipConfig(cores=(core,)),
        memories=(full_memory(core),),
        inputs=(PortMap("axons", 0, core.axons),),
        outputs=(),
        input_index=axons,
        input_core=0 * axons,
        input_axon=axons,
        input_offset=0 * axons,
        output_shift=np.zeros(0, np.int64),
    )


def measure_cycles(config: CoreConfig, fabric: Fabric) -> dict[str, int]:
    """Clock cycles of a tick by number of events, from the core's own counter."""
    cycles = {}
    with open_rtl(full_image(config), fabric) as chip:
        for events in EVENTS:
            spikes = np.zeros((1, config.axons), np.bool_)
            spikes[0, np.random.default_rng(events).permutation(config.axons)[:events]] = True
            chip.run(spikes)
            cycles[str(events)] = int(chip.counters()["cycles"][0])
    return cycles


def measure(name: str) -> dict[str, Any]:
    """One row."""
    family, config = CORES[name]
    fabric = FABRICS[family]
    log(f"{name}: cycles")
    cycles = measure_cycles(config, fabric)
    wrapped = SerialPins(Core(config=config, fabric=fabric))
    # An output bit takes a LUT and a flip-flop, an input bit a flip-flop; on iCE40 each is one logic cell.
    wrapper = {"lut": wrapped.cells if family == "ice40-up" else wrapped.output_bits, "ff": wrapped.cells}
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
        (Path(folder) / "top.v").write_text(to_verilog(wrapped, "top"))
        log(f"{name}: synthesis")
        netlist = synthesize(["top.v"], "top", family, Path(folder))
        reports = []
        for seed in SEEDS:
            log(f"{name}: place and route, seed {seed}")
            reports.append(place_and_route(netlist, family, PARTS[family], AIM[family], seed))
    row = {"family": family, "config": config.as_dict(), **summary(reports, wrapper), "tick_cycles_by_events": cycles}
    # From many to all events: the pipeline is full in both.
    per_event = (cycles["256"] - cycles["77"]) / (256 - 77)
    rate = config.neurons / per_event * row["fmax_median_mhz"] * 1e6
    row |= {
        "cycles_per_event": round(per_event, 3),
        "cycles_of_one_event": cycles["1"] - cycles["0"],
        "idle_tick_cycles": cycles["0"],
        "operations_per_cycle": round(config.neurons / per_event, 2),
        "operations_per_second": round(rate),
        "operations_per_second_per_lut": round(rate / row["used"]["lut"]),
    }
    return row


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", choices=sorted(CORES), help="measure one core")
    options = arguments.parse_args()
    cores = {name: measure(name) for name in ([options.only] if options.only else CORES)}
    columns = ("core", "LUT", "FF", "RAM", "MHz by seed", "cycles per event", "idle tick", "Mop/s", "kop/s per LUT")

    def rows() -> list[tuple[object, ...]]:
        return [
            (
                name,
                row["used"]["lut"],
                row["used"].get("ff", ""),
                row["used"]["ram"],
                ", ".join(str(mhz) for mhz in row["fmax_mhz"].values()),
                row["cycles_per_event"],
                row["idle_tick_cycles"],
                round(row["operations_per_second"] / 1e6),
                round(row["operations_per_second_per_lut"] / 1e3),
            )
            for name, row in cores.items()
        ]

    finish("core_size", {"seeds": SEEDS, "placer_aim_mhz": AIM, "cores": cores}, options.json, columns, rows)


if __name__ == "__main__":
    main()
