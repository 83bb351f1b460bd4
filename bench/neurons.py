"""Size and speed of the neuron models: one pipeline alone, and a core of 256 neurons with it, on ECP5 and iCE40UP5K, out of context.

    python bench/neurons.py [--json] [--models NAME ...] [--family ecp5|up5k] [--seeds N] [--only pipelines|cores]

Both stand behind three pins (``spikeloom.boards.serial_pins``), whose cells are taken off. The core has 256 axons, 4-bit weights, 16 lanes
and own parameters for each neuron; on the iCE40UP5K the larger models have 8 lanes. Takes hours; with
``--into FILE`` each figure is kept as soon as it is there, and those that are there already are not measured again.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

from common import SEEDS, finish, log, parser, summary

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ToolError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.neuron import NeuronModel
from spikeloom.boards.flow import place_and_route, synthesize
from spikeloom.boards.serial_pins import SerialPins
from spikeloom.cli.neuron import MEASURED_SUM_BITS, PARTS, measure_pipeline
from spikeloom.examples.own_neuron.resonate import Resonate
from spikeloom.hdl.core import Core
from spikeloom.hdl.fabric import FABRICS
from spikeloom.hdl.neuron import pipeline_class
from spikeloom.hdl.verilog import to_verilog

#: As NIR, TrueNorth, Loihi and adaptive neurons need it; an Izhikevich neuron with few and with many multipliers.
MODELS: dict[str, NeuronModel] = {
    "lif": Lif(),
    "lif, smallest": Lif(state_bits=16, fraction_bits=4, refractory_bits=0, bias_bits=0, resets="absolute"),
    "lif, synaptic current": Lif(current_bits=24),
    "lif, TrueNorth, 8-bit noise": Lif(
        state_bits=20,
        fraction_bits=0,
        decay=False,
        leak_bits=9,
        stochastic_leak=True,
        bias_bits=0,
        resets="all",
        refractory_bits=0,
        negative_threshold=True,
        threshold_noise_bits=8,
    ),
    "lif, Loihi, 16-bit bias": Lif(current_bits=24, current_wraps=True, resets="absolute"),
    "lif, adaptive threshold": Lif(adaptation_bits=16),
    "izhikevich, 1 multiplier": Izhikevich(),
    "izhikevich, 3 multipliers": Izhikevich(multipliers=3),
    "izhikevich, 12 multipliers": Izhikevich(multipliers=12),
    "izhikevich, 1 multiplier of 16 bits": Izhikevich(multiplier_bits=16),
    "adex": AdEx(),
    "resonate (examples/own_neuron)": Resonate(),
}
#: An iCE40UP5K has eight multipliers of 16 bits; what needs more does not fit sensibly.
NOT_ON_UP5K = ("izhikevich, 1 multiplier", "izhikevich, 3 multipliers", "izhikevich, 12 multipliers")
#: What no model may fall short of in a core (MHz).
LEAST_MHZ = {"ecp5": 100, "up5k": 40}


def core_config(model: NeuronModel, part: str) -> CoreConfig:
    """The core of ``bench/core_size.py`` with 16 lanes, with another model."""
    # An iCE40UP5K has 30 block RAMs of 16 bits: not enough for the wide parameter words of the larger models and the sums of 16 lanes.
    lanes = 16 if part == "ecp5" or isinstance(model, Lif | Resonate) else 8
    return CoreConfig(axons=256, neurons=256, weight_bits=4, lanes=lanes, levels=1, counters=False, models=(model,))


def measure_core(model: NeuronModel, part: str, seeds: list[int]) -> dict[str, Any]:
    """Cells and clock of a core."""
    entry = PARTS[part]
    wrapped = SerialPins(Core(config=core_config(model, part), fabric=FABRICS[entry.family]))
    wrapper = {"lut": wrapped.cells if part == "up5k" else wrapped.output_bits, "ff": wrapped.cells}
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
        (Path(folder) / "top.v").write_text(to_verilog(wrapped, "top"))
        netlist = synthesize(["top.v"], "top", entry.family, Path(folder))
        reports = [place_and_route(netlist, entry.family, entry.options, entry.aim_mhz, seed) for seed in seeds]
    return {"lanes": core_config(model, part).lanes, **summary(reports, wrapper), "critical_path": reports[0].critical_path}


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--models", nargs="+", choices=sorted(MODELS), metavar="NAME", help=f"of: {', '.join(MODELS)}")
    arguments.add_argument("--family", choices=sorted(PARTS), help="measure one part")
    arguments.add_argument("--only", choices=("pipelines", "cores"), help="measure only these")
    arguments.add_argument("--seeds", type=int, choices=range(1, len(SEEDS) + 1), default=1, help="placer seeds (%(default)s)")
    arguments.add_argument("--into", type=Path, metavar="FILE", help="keep figures in this file, and go on from it")
    options = arguments.parse_args()
    seeds = list(SEEDS[: options.seeds])
    jobs = [
        (kind, part, name)
        for kind in ("pipelines", "cores")
        for part in PARTS
        for name in MODELS
        if options.only in (None, kind)
        and options.family in (None, part)
        and (options.models is None or name in options.models)
        and not (part == "up5k" and name in NOT_ON_UP5K)
    ]
    results: dict[str, dict[str, dict[str, Any]]] = {kind: {part: {} for part in PARTS} for kind in ("pipelines", "cores")}
    if options.into is not None and options.into.exists():
        kept = json.loads(options.into.read_text())
        for kind, parts in results.items():
            for part, rows in parts.items():
                rows.update(kept[kind][part])
    data = {"seeds": seeds, "placer_aim_mhz": {part: PARTS[part].aim_mhz for part in PARTS}, "sum_bits": MEASURED_SUM_BITS}
    for number, (kind, part, name) in enumerate(jobs, 1):
        model = MODELS[name]
        rows = results[kind][part]
        if name in rows and rows[name]["model"] == model.as_dict() and len(rows[name]["fmax_mhz"]) >= len(seeds):
            continue
        log(f"{number} of {len(jobs)}: {kind}, {PARTS[part].title}, {name}")
        try:
            if kind == "pipelines":
                row = measure_pipeline(model, PARTS[part], seeds)
            else:
                timing = pipeline_class(model).timing_of(model)
                row = {**measure_core(model, part, seeds), "latency": timing.latency, "interval": timing.interval}
        except ToolError as error:
            # A model that does not fit stops no other.
            log(f"    {error}")
            continue
        rows[name] = {"model": model.as_dict(), **row}
        log(f"    {row['used']}, {row['fmax_mhz']} MHz")
        if options.into is not None:
            options.into.write_text(json.dumps(results, indent=2))
    data |= {
        "least_core_mhz": LEAST_MHZ,
        "core": dataclasses.asdict(core_config(Lif(), "ecp5")) | {"models": "each of the models", "lanes": "as given for each"},
        **results,
    }
    columns = ("what", "part", "model", "LUT", "FF", "DSP", "RAM", "MHz by seed", "latency", "interval", "neurons per ms")

    def table() -> list[tuple[object, ...]]:
        return [
            (
                kind[:-1],
                PARTS[part].title,
                name,
                *(row["used"].get(cell, "") for cell in ("lut", "ff", "dsp", "ram")),
                ", ".join(map(str, row["fmax_mhz"].values())),
                row["latency"],
                row["interval"],
                int(row["fmax_median_mhz"] * 1000 / row["interval"]),
            )
            for kind, parts in results.items()
            for part, entries in parts.items()
            for name, row in entries.items()
        ]

    finish("neurons", data, options.json, columns, table)


if __name__ == "__main__":
    main()
