"""What learning costs a core of 256 axons x 256 neurons on an ECP5 of speed 6: LUTs, registers, memories, clock, cycles.

    python bench/learning_cost.py [--json] [--only NAME] [--seeds N]

The cores stand behind three pins, whose cells are taken off (as in ``core_size.py``). Cycles come from the compiled simulation: a tick without
events, and what an event or a spike adds with learning, against the same core while learning is frozen.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import SEEDS, finish, log, parser, summary

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.boards.flow import place_and_route, synthesize
from spikeloom.boards.serial_pins import SerialPins
from spikeloom.hdl.core import Core
from spikeloom.hdl.fabric import FABRICS
from spikeloom.hdl.verilog import to_verilog
from spikeloom.host.bus_chip import BusChip
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity
from spikeloom.sim.rtl_bus import RtlBus

FABRIC = FABRICS["ecp5"]
PART = ("--85k", "--package", "CABGA381", "--speed", "6")
AIM_MHZ = 100
LIF = CoreConfig(
    axons=256,
    neurons=256,
    weight_bits=8,
    lanes=8,
    levels=1,
    counters=False,
    models=(Lif(state_bits=16, fraction_bits=4, refractory_bits=0, bias_bits=0, resets="absolute"),),
)
#: Like ODIN: 4-bit weights and Izhikevich's neurons.
ODIN = dataclasses.replace(
    LIF, weight_bits=4, lanes=4, weight_words=None, accumulator_bits=None, models=(Izhikevich(multiplier_bits=16),)
)
PAIR = Plasticity(rule="dw = 2 * x1 * y0 - 2 * x0 * y1", tau={"x1": 20, "y1": 20})
#: ODIN's rule (docs/rule.md).
SDSP = Plasticity(
    rule="dw = x0 * v0 * (y1 >= 0.25) * (y1 < 2) - x0 * (1 - v0) * (y1 >= 0.25) * (y1 < 1)", tau={"y1": 100}, v_threshold=0
)
EVERYTHING = Learning(pre_traces=2, post_traces=2, tag_bits=8, membrane_flag=True, teacher=True, terms=16)
CORES = {
    "LIF, 8 lanes, 8 bits": LIF,
    "the same with pair STDP": dataclasses.replace(LIF, learning=PAIR.unit(8)),
    "the same with everything": dataclasses.replace(LIF, learning=EVERYTHING),
    "Izhikevich, 4 lanes, 4 bits": ODIN,
    "the same with pair STDP (4 bits)": dataclasses.replace(ODIN, learning=PAIR.unit(4)),
    "the same with SDSP (4 bits)": dataclasses.replace(ODIN, learning=SDSP.unit(4)),
}


def measure_cycles(core: CoreConfig) -> dict[str, int]:
    """Cycles of a tick without events; and what an event and a spike add to it while the pair rule learns."""
    assert core.learning is not None
    counting = dataclasses.replace(core, counters=True)
    weights = 100 * np.eye(core.neurons, dtype=np.int64)
    weights[-1] = 0
    parameters = {name: np.int64(0) for name in core.models[0].parameter_names()} | {"threshold": 50 << 4}
    inputs = np.stack([np.arange(core.axons), np.zeros(core.axons, np.int64)] * 2, axis=1)
    ticks: dict[str, int] = {}
    for enabled in (False, True):
        plasticity = dataclasses.replace(PAIR, enabled=enabled, tau=dict.fromkeys(core.learning.traces, 20))
        arrays = CoreArrays(weights=weights, parameters=parameters, plasticity=plasticity)
        image = image_from_arrays(ChipConfig(cores=(counting,)), [arrays], inputs=inputs)
        with BusChip(RtlBus(image.config, FABRIC), image) as chip:
            # The last axon makes nobody fire, the first one a neuron.
            for name, axon in (("idle", None), ("event", core.axons - 1), ("spike", 0)):
                spikes = np.zeros((1, core.axons), np.bool_)
                if axon is not None:
                    spikes[0, axon] = True
                chip.run(spikes)
                ticks[f"{name}, {'learning' if enabled else 'frozen'}"] = int(chip.counters()["cycles"][0])
    event = ticks["event, learning"] - ticks["event, frozen"]
    return {
        "idle": ticks["idle, learning"],
        "event": event,
        "spike": ticks["spike, learning"] - ticks["spike, frozen"] - event,
    }


def measure(name: str, seeds: tuple[int, ...]) -> dict[str, Any]:
    """One row."""
    core = CORES[name]
    wrapped = SerialPins(Core(config=core, fabric=FABRIC))
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
        (Path(folder) / "top.v").write_text(to_verilog(wrapped, "top"))
        log(f"{name}: synthesis")
        netlist = synthesize(["top.v"], "top", "ecp5", Path(folder))
        reports = []
        for seed in seeds:
            log(f"{name}: place and route, seed {seed}")
            reports.append(place_and_route(netlist, "ecp5", PART, AIM_MHZ, seed))
    row = {"config": core.as_dict(), **summary(reports, {"lut": wrapped.output_bits, "ff": wrapped.cells})}
    if core.learning is not None and isinstance(core.models[0], Lif):
        log(f"{name}: cycles")
        row["cycles"] = measure_cycles(core)
    return row


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", choices=sorted(CORES), help="measure one core")
    arguments.add_argument(
        "--seeds", type=int, choices=range(1, len(SEEDS) + 1), default=len(SEEDS), help="how many placer seeds (%(default)s)"
    )
    options = arguments.parse_args()
    cores = {name: measure(name, SEEDS[: options.seeds]) for name in ([options.only] if options.only else CORES)}
    columns = ("core", "LUT", "FF", "RAM", "DSP", "MHz by seed", "idle tick", "event", "spike")

    def rows() -> list[tuple[object, ...]]:
        return [
            (
                name,
                *(row["used"].get(kind, 0) for kind in ("lut", "ff", "ram", "dsp")),
                ", ".join(str(mhz) for mhz in row["fmax_mhz"].values()),
                *(row.get("cycles", {}).get(what, "") for what in ("idle", "event", "spike")),
            )
            for name, row in cores.items()
        ]

    finish(
        "learning_cost", {"seeds": SEEDS[: options.seeds], "placer_aim_mhz": AIM_MHZ, "cores": cores}, options.json, columns, rows
    )


if __name__ == "__main__":
    main()
