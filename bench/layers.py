"""SYNtzulu's own case: a 32-64-128-64-16 network with 8-bit weights on the iCE40UP5K, beside SYNtzulu on the very same spike trains.

    python bench/layers.py [--json]

Random weights, and thresholds set so that each hidden layer is about as active as the input. Ours: cycles from the core's counter in
simulation, cells and clock from place and route, out of context. SYNtzulu: cycles per tick = 8 + sum over layers of
N / 2 * max(1, active groups of 4 inputs) + 55, exact for its RTL in 345 ticks; 1,382 logic cells and 38.9 MHz after the repair of its
stacks (measured for this project with the same tool versions; github.com/gianlucaleone/SYNtzulu at 66ef8db).
"""

from __future__ import annotations

import dataclasses
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import SEEDS, finish, log, parser, summary

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.lif import Lif
from spikeloom.boards.flow import place_and_route, synthesize
from spikeloom.boards.serial_pins import SerialPins
from spikeloom.hdl.core import Core
from spikeloom.hdl.fabric import ICE40_ULTRAPLUS
from spikeloom.hdl.verilog import to_verilog
from spikeloom.network.description import Network, Neurons

SIZES = (32, 64, 128, 64, 16)
ACTIVITIES = (0.1, 0.3, 1.0)
TICKS = 200
#: Decay of SYNtzulu's example: v (4096 - 41) / 4096.
RETENTION = 4055 / 4096
#: SYNtzulu, stacks repaired: logic cells, MHz, cycles outside the layers, inputs read together.
SYNTZULU_CELLS, SYNTZULU_MHZ, SYNTZULU_FIXED, SYNTZULU_GROUP = 1382, 38.9, 8 + 55, 4
SYNTZULU_SOURCE = "reference measurement: YoWASP yosys 0.70, nextpnr-ice40 0.11.1, seed 1"
#: What SYNtzulu's neurons have: 16-bit potential, reset to a value, one parameter set per layer, no counters, no reading back.
CORE = CoreConfig(
    axons=sum(SIZES[:-1]),
    neurons=sum(SIZES[1:]),
    weight_bits=8,
    lanes=8,
    pipelines=4,
    group=16,
    weight_words=sum(a * b for a, b in pairwise(SIZES)) // 8,
    accumulator_bits=16,
    levels=len(SIZES) - 1,
    counters=False,
    readback=False,
    models=(Lif(state_bits=16, fraction_bits=0, refractory_bits=0, bias_bits=0, resets="absolute"),),
)
PART = ("--up5k", "--package", "sg48")


def make_network(thresholds: list[float], rng: np.random.Generator) -> Network:
    """Layers of random weights in -60..60."""
    network = Network()
    source = network.input(SIZES[0], "input")
    for number, (size, threshold) in enumerate(zip(SIZES[1:], thresholds, strict=True)):
        neurons = Neurons(
            retention=np.full(size, RETENTION),
            bias=np.zeros(size),
            threshold=np.full(size, threshold),
            reset=np.zeros(size),
            reset_mode="value",
            refractory=np.zeros(size, np.int64),
        )
        layer = network.population(size, neurons, f"layer{number + 1}")
        weights = rng.integers(-60, 61, (source.size, size)).astype(float)
        # One weight of 127 per neuron keeps the quantiser's unit at 1.
        weights[rng.integers(0, source.size, size), np.arange(size)] = 127
        network.projection(source, layer, weights)
        source = layer
    network.output(source)
    return network


def hidden_spikes(thresholds: list[float], spikes: npt.NDArray[np.bool_]) -> tuple[spikeloom.Image, list[npt.NDArray[np.bool_]]]:
    """The compiled network, and the spikes of all layers, input first."""
    config = ChipConfig(cores=(dataclasses.replace(CORE, counters=True, readback=True),))
    image = spikeloom.compile(make_network(thresholds, np.random.default_rng(1)), config=config, scale="layer")
    names = [population.name for population in image.populations]
    with spikeloom.open("golden", image) as chip:
        chip.run(spikes, record=names)
        trains = [chip.recorded[name].spikes for name in names]
    return image, [spikes, *[train[0] for train in trains if train is not None]]


def calibrate(activity: float, spikes: npt.NDArray[np.bool_]) -> list[float]:
    """Thresholds, layer by layer, by bisection."""
    if activity == 1.0:
        # The lowest potential there is: every neuron spikes in every tick.
        return [-32768.0] * (len(SIZES) - 1)
    thresholds = [1e4] * (len(SIZES) - 1)
    for layer in range(len(thresholds)):
        low, high = 0.0, 30000.0
        for _ in range(14):
            thresholds[layer] = (low + high) / 2
            rate = hidden_spikes(thresholds, spikes)[1][layer + 1].mean()
            low, high = (thresholds[layer], high) if rate > activity else (low, thresholds[layer])
    return thresholds


def syntzulu_cycles(trains: list[npt.NDArray[np.bool_]]) -> float:
    """Mean cycles per tick by its formula, each layer with the spikes it has in the same step."""
    cycles = np.full(len(trains[0]), float(SYNTZULU_FIXED))
    for inputs, size in zip(trains[:-1], SIZES[1:], strict=True):
        groups = inputs.reshape(len(inputs), -1, SYNTZULU_GROUP).any(axis=2).sum(axis=1)
        cycles += size / 2 * np.maximum(1, groups)
    return float(cycles.mean())


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__).parse_args()
    wrapped = SerialPins(Core(config=CORE, fabric=ICE40_ULTRAPLUS))
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
        (Path(folder) / "top.v").write_text(to_verilog(wrapped, "top"))
        log("synthesis, place and route")
        netlist = synthesize(["top.v"], "top", "ice40-up", Path(folder))
        reports = [place_and_route(netlist, "ice40-up", PART, 48, seed) for seed in SEEDS]
    size = summary(reports, {"lut": wrapped.cells})
    clock, cells = size["fmax_median_mhz"], size["used"]["lut"]
    cases: dict[str, Any] = {}
    for activity in ACTIVITIES:
        log(f"activity {activity:.0%}")
        spikes = np.random.default_rng(2).random((TICKS, SIZES[0])) < activity
        image, trains = hidden_spikes(calibrate(activity, spikes), spikes)
        with spikeloom.open("rtl", image, fabric=ICE40_ULTRAPLUS) as chip:
            out = chip.run(spikes)
            counters = chip.counters()
        # The drain ticks at the end carry less work; they count in both sums.
        ticks = int(counters["ticks"][0])
        operations = sum(float(train.sum()) * fan_out for train, fan_out in zip(trains[:-1], SIZES[1:], strict=True)) / len(spikes)
        cycles = float(counters["cycles"][0]) / ticks
        ours = operations / cycles * clock * 1e6
        theirs_cycles = syntzulu_cycles(trains)
        theirs = operations / theirs_cycles * SYNTZULU_MHZ * 1e6
        cases[f"{activity:.0%}"] = {
            "spikes_per_tick": [round(float(train.sum(axis=1).mean()), 2) for train in trains],
            "equal_to_golden": bool(np.array_equal(out, trains[-1])),
            "operations_per_tick": round(operations, 1),
            "cycles_per_tick": round(cycles, 1),
            "operations_per_cycle": round(operations / cycles, 2),
            "operations_per_second": round(ours),
            "operations_per_second_per_cell": round(ours / cells),
            "syntzulu_cycles_per_tick": round(theirs_cycles, 1),
            "syntzulu_operations_per_second": round(theirs),
            "syntzulu_operations_per_second_per_cell": round(theirs / SYNTZULU_CELLS),
            "ratio_per_cell": round(ours / cells / (theirs / SYNTZULU_CELLS), 2),
            "ratio_per_second": round(ours / theirs, 2),
        }
    data = {
        "sizes": SIZES,
        "ticks": TICKS,
        "seeds": SEEDS,
        "config": CORE.as_dict(),
        **size,
        "syntzulu": {"cells": SYNTZULU_CELLS, "mhz": SYNTZULU_MHZ, "source": SYNTZULU_SOURCE},
        "activities": cases,
    }

    def rows() -> list[tuple[object, ...]]:
        keys = ("spikes_per_tick", "cycles_per_tick", "operations_per_second_per_cell", "syntzulu_cycles_per_tick",
                "syntzulu_operations_per_second_per_cell", "ratio_per_cell")  # fmt: skip
        return [(activity, *(str(case[key]) for key in keys)) for activity, case in cases.items()]

    title = ("activity", "spikes per tick", "cycles", "op/s per cell", "SYNtzulu cycles", "SYNtzulu op/s per cell", "ratio")
    finish("layers", data, arguments.json, title, rows)


if __name__ == "__main__":
    main()
