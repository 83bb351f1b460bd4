"""Speed of the golden model: plain, fast engine, and NEST as a referee that must give the very same spikes, one thread each.

    python bench/golden_speed.py [--json] [--only A B C] [--rounds N]

A: one core of 256 axons x 256 neurons, dense 4-bit weights, random input of 20 Hz per axon. B: 64 such cores in a mesh, every neuron
drives one axon anywhere, delays 1 to 15, about 20 Hz by a constant input. C: 4,096 cores of one bit per synapse and four axon types, the
size of TrueNorth, wired as B. "C, all options" has TrueNorth's neuron with stochastic leak, noisy threshold and stochastic synapses too.
Rates are ticks per CPU second of the process, with the spikes of all neurons recorded; every contestant is a process of its own, and they
take turns. NEST 3.10 is asked for by ``pip install -e '.[bench]'``; without it its figures are left out. It is an exact integer oracle as
``iaf_psc_delta`` with the threshold half a unit low, a time constant of 1e9 ms and ``V_min`` as floor.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from common import finish, log, parser

from spikeloom.arch.config import MAX_DELAY, ChipConfig, CoreConfig
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.golden.chip import Chip
from spikeloom.golden.fast import FastChip

SIDE = 256
SEED = 1
NEURON = Lif(
    state_bits=16, fraction_bits=0, decay=False, bias_bits=4, resets="absolute", refractory_bits=0, negative_threshold=True
)
#: What TrueNorth's neuron has beyond it.
EVERYTHING = dataclasses.replace(NEURON, leak_bits=9, stochastic_leak=True, resets="all", threshold_noise_bits=4)
#: Axon types 0 and 1 excite, 2 and 3 inhibit.
SIGNS = (1, 1, -1, -1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """A network, and how many ticks each contestant runs it.

    Thresholds are random between ``threshold / 2`` and ``threshold * 3 / 2``; each potential stops at ``floor``, and gets ``bias`` each
    tick.
    """

    columns: int
    rows: int
    ticks: dict[str, int]
    threshold: int
    floor: int
    bias: int
    input_rate: float = 0.0
    typed: bool = False
    everything: bool = False

    @property
    def cores(self) -> int:
        """Cores of the chip."""
        return self.columns * self.rows


WORKLOADS = {
    "A": Workload(
        columns=1, rows=1, ticks={"golden": 3000, "fast": 10000, "nest": 10000}, threshold=24, floor=-16, bias=0, input_rate=0.02
    ),
    "B": Workload(columns=8, rows=8, ticks={"golden": 200, "fast": 5000, "nest": 1000}, threshold=60, floor=-40, bias=3),
    "C": Workload(columns=64, rows=64, ticks={"fast": 300}, threshold=128, floor=-40, bias=2, typed=True),
    "C, all options": Workload(
        columns=64, rows=64, ticks={"fast": 200}, threshold=128, floor=-40, bias=2, typed=True, everything=True
    ),
}


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A network drawn at random.

    Parameters
    ----------
    config : ChipConfig
    memories : list of dict of uint32 array
        As an image holds them.
    weights : int8 array ``[cores, axons, neurons]`` or None
        Direct weights, none of them 0.
    thresholds : int64 array ``[cores, neurons]``
    axon_of, delay_of : int64 arrays ``[cores * neurons]``
        Axon of all axons that each neuron drives, and after how many ticks.
    inputs : tuple of three int64 arrays
        Tick, core and axon of the events from outside.
    """

    config: ChipConfig
    memories: list[dict[str, WordArray]]
    weights: npt.NDArray[np.int8] | None
    thresholds: IntArray
    axon_of: IntArray
    delay_of: IntArray
    inputs: tuple[IntArray, IntArray, IntArray]


def draw(load: Workload) -> Drawn:
    """The network of a workload; the same one each time."""
    rng = np.random.default_rng(SEED)
    core = CoreConfig(
        axons=SIDE,
        neurons=SIDE,
        weight_bits=1 if load.typed else 4,
        lanes=64,
        models=(EVERYTHING if load.everything else NEURON,),
        stochastic_synapses=load.everything,
        levels=1,
    )
    config = ChipConfig(cores=(core,) * load.cores, columns=load.columns, rows=load.rows)
    core = config.cores[0]
    table = regions(core)
    size = load.cores * SIDE
    # One neuron per axon: no events ever merge, which NEST does not know.
    axon_of, delay_of = rng.permutation(size), rng.integers(1, MAX_DELAY, size, endpoint=True)
    thresholds = rng.integers(load.threshold // 2, load.threshold * 3 // 2, (load.cores, SIDE))
    weights = None
    if not load.typed:
        drawn = rng.integers(-8, 7, (load.cores, SIDE, SIDE), np.int8)
        weights = np.where(drawn >= 0, drawn + 1, drawn).astype(np.int8)
    index, per_row = np.arange(SIDE), SIDE // core.lanes
    routed = np.full(SIDE, 0 if load.input_rate else 1)
    memories = []
    for number in range(load.cores):
        # Neurons of the core, and where their axons are.
        own = number * SIDE + index
        goal = axon_of[own] // SIDE
        routes = {
            "kind": np.zeros(SIDE, np.int64),
            "delay": delay_of[own],
            "target": axon_of[own] % SIDE,
            "dx": goal % load.columns - number % load.columns,
            "dy": goal // load.columns - number // load.columns,
        }
        contents: dict[str, dict[str, npt.ArrayLike]] = {
            "rows": {"base": index * per_row, "start": 0 * index, "last": 0 * index + per_row - 1},
            "route_index": {"first": index, "count": routed},
            "routes": {field.name: routes[field.name] for field in table["routes"].layout.fields},
            "control": {"last": np.array([SIDE - 1])},
        }
        neurons = {
            "threshold": thresholds[number],
            "negative_threshold": np.full(SIDE, load.floor),
            "negative_saturates": np.ones(SIDE, np.int64),
            "bias": np.full(SIDE, load.bias),
            # TrueNorth's further options.
            "leak": rng.integers(-64, 65, SIDE),
            "leak_stochastic": np.ones(SIDE, np.int64),
            "noise_mask": np.full(SIDE, 15),
        }
        for name in ("parameters", "firing", "own"):
            layout = table[name].variants[0]
            assert layout is not None
            contents[name] = {field.name: neurons.get(field.name, 0 * index) for field in layout.fields}
        memory = {}
        if weights is not None:
            contents["weights"] = {"weight": weights[number].reshape(-1, core.lanes)}
        else:
            # Every second synapse is there: random words.
            memory["weights"] = rng.integers(0, 1 << 32, (core.words, table["weights"].layout.slices), np.uint32)
            by_type = np.stack([sign * rng.integers(1, 9, SIDE) for sign in SIGNS]).reshape(-1, core.lanes)
            contents["type_weights"] = {"weight": by_type}
            contents["rows"]["type"] = rng.integers(0, len(SIGNS), SIDE)
        if load.everything:
            contents["type_weights"]["stochastic"] = rng.integers(0, 2, by_type.shape)
            contents["seed"] = {"seed": np.array([number])}
        memories.append({**memory, **{name: table[name].layout.pack(values) for name, values in contents.items()}})
    longest = max(load.ticks.values())
    when, axon = np.nonzero(rng.random((longest, SIDE)) < load.input_rate) if load.input_rate else (np.zeros(0, np.int64),) * 2
    return Drawn(config, memories, weights, thresholds, axon_of, delay_of, (when, 0 * when, axon))


# Contestants -------------------------------------------------------------------------------------------------------------------

#: A raster: tick and neuron (of all neurons) of each spike, in this order.
Raster = tuple[IntArray, IntArray]


def run_golden(load: Workload, drawn: Drawn, ticks: int, clock: Callable[[], None]) -> Raster:
    """The plain golden model."""
    chip = Chip(drawn.config, drawn.memories)
    when, _, axon = drawn.inputs
    bounds = np.searchsorted(when, np.arange(ticks + 1))
    clock()
    fired = []
    for tick in range(ticks):
        axons = axon[bounds[tick] : bounds[tick + 1]]
        chip.inject(0, axons, np.ones((1, len(axons)), np.bool_))
        fired.append(np.concatenate([spikes[0] for spikes in chip.tick().spikes]))
    clock()
    spike_ticks, neurons = np.nonzero(np.stack(fired))
    return spike_ticks, neurons


def run_fast(load: Workload, drawn: Drawn, ticks: int, clock: Callable[[], None]) -> Raster:
    """The fast engine."""
    chip = FastChip(drawn.config, drawn.memories)
    early = drawn.inputs[0] < ticks
    when, core, axon = (values[early] for values in drawn.inputs)
    clock()
    run = chip.run(ticks, (when, core, axon), spikes=True)
    clock()
    return run.spike_ticks, run.spike_cores * SIDE + run.spike_neurons


def run_nest(load: Workload, drawn: Drawn, ticks: int, clock: Callable[[], None]) -> Raster:
    """NEST, with the same integers in floating point."""
    import nest

    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.SetKernelStatus({"resolution": 1.0, "local_num_threads": 1, "print_time": False})
    size = load.cores * SIDE
    # Ours spikes above the threshold, so at threshold + 1 or more; half a unit less leaves room for rounding.
    model = {"tau_m": 1e9, "C_m": 1.0, "E_L": 0.0, "V_reset": 0.0, "t_ref": 0.0, "V_m": 0.0, "V_min": float(load.floor)}
    model |= {"I_e": float(load.bias), "V_th": drawn.thresholds.ravel() + 0.5}
    neurons = nest.Create("iaf_psc_delta", size, params=model)
    first = neurons[0].global_id
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder)
    assert drawn.weights is not None
    if load.input_rate:
        when, _, axon = drawn.inputs
        # An event of tick t leaves the generator at the end of the step before; time 0 does not exist, so all is one tick late.
        sources = nest.Create("spike_generator", SIDE)
        sources.set([{"spike_times": when[axon == number] + 1.0} for number in range(SIDE)])
        source_of, delay_of = np.arange(SIDE) + sources[0].global_id, np.ones(SIDE)
    else:
        source_of, delay_of = np.zeros(size, np.int64), np.zeros(size)
        source_of[drawn.axon_of] = first + np.arange(size)
        delay_of[drawn.axon_of] = drawn.delay_of
    for core in range(load.cores):
        axons = slice(core * SIDE, (core + 1) * SIDE)
        synapses = {
            "weight": drawn.weights[core].astype(np.float64).ravel(),
            "delay": np.repeat(delay_of[axons].astype(np.float64), SIDE),
        }
        targets = np.tile(first + core * SIDE + np.arange(SIDE), SIDE)
        nest.Connect(np.repeat(source_of[axons], SIDE), targets, conn_spec="one_to_one", syn_spec=synapses)
    nest.Prepare()
    late = 1 if load.input_rate else 0
    clock()
    nest.Run(float(ticks + late))
    clock()
    nest.Cleanup()
    events = recorder.events
    spike_ticks = np.rint(events["times"]).astype(np.int64) - 1 - late
    order = np.lexsort((events["senders"], spike_ticks))
    return spike_ticks[order], events["senders"][order].astype(np.int64) - first


CONTESTANTS = {"golden": run_golden, "fast": run_fast, "nest": run_nest}


def digest(raster: Raster, ticks: int) -> str:
    """Short fingerprint of the spikes of the first ticks."""
    early = raster[0] < ticks
    return hashlib.sha256(np.stack([values[early] for values in raster]).astype("<i8").tobytes()).hexdigest()[:16]


def contest(name: str, who: str) -> dict[str, Any]:
    """One contestant in this process."""
    load = WORKLOADS[name]
    drawn = draw(load)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ticks = load.ticks[who]
    times = [time.process_time()]
    raster = CONTESTANTS[who](load, drawn, ticks, lambda: times.append(time.process_time()))
    return {
        "ticks": ticks,
        "build_cpu_seconds": times[1] - times[0],
        "ticks_per_cpu_second": ticks / (times[2] - times[1]),
        "rate_hz": len(raster[0]) / ticks / load.cores / SIDE * 1000,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "megabytes_before_building": before / 1000,
        "digests": {str(count): digest(raster, count) for count in sorted(set(load.ticks.values())) if count <= ticks},
    }


def child(name: str, who: str) -> dict[str, Any]:
    """One contestant in a process of its own, with one thread."""
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYNEST_QUIET": "1"}
    command = [sys.executable, __file__, "--contest", name, who]
    done = subprocess.run(command, env={**os.environ, **one}, stdout=subprocess.PIPE, text=True, check=True)
    # NEST greets on standard output; the result is the last line.
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), help="workloads (all)")
    arguments.add_argument("--rounds", type=int, default=3, help="turns of each contestant (%(default)s)")
    arguments.add_argument("--contest", nargs=2, metavar=("WORKLOAD", "WHO"), help="run one contestant in this process")
    options = arguments.parse_args()
    if options.contest:
        print(json.dumps(contest(*options.contest)))
        return
    skipped = set() if importlib.util.find_spec("nest") else {"nest"}
    if skipped:
        log("NEST is not installed (pip install -e '.[bench]'); its figures are left out")
    results: dict[str, dict[str, Any]] = {}
    for name in options.only:
        turns: dict[str, list[dict[str, Any]]] = {who: [] for who in WORKLOADS[name].ticks if who not in skipped}
        for turn in range(options.rounds):
            for who, done in turns.items():
                log(f"{name}, {who}, turn {turn + 1} of {options.rounds}")
                done.append(child(name, who))
                log(
                    f"    {done[-1]['ticks_per_cpu_second']:.4g} ticks per CPU second, built in {done[-1]['build_cpu_seconds']:.2f} s"
                )
        rows = {}
        for who, done in turns.items():
            speeds = [result["ticks_per_cpu_second"] for result in done]
            row = {**done[0], "ticks_per_cpu_second": statistics.median(speeds), "of_each_turn": speeds}
            row["build_cpu_seconds"] = statistics.median(result["build_cpu_seconds"] for result in done)
            rows[who] = row
        # Each turn's ratio, since the machine may be busier in one than in another.
        ratios = {
            f"fast_per_{who}": statistics.median(
                a["ticks_per_cpu_second"] / b["ticks_per_cpu_second"] for a, b in zip(turns["fast"], done, strict=True)
            )
            for who, done in turns.items()
            if who != "fast"
        }
        equal = {
            who: all(result["digests"].items() <= turns["fast"][0]["digests"].items() for result in done)
            for who, done in turns.items()
        }
        synapses = WORKLOADS[name].cores * SIDE * SIDE
        results[name] = {
            "cores": WORKLOADS[name].cores,
            "neurons": WORKLOADS[name].cores * SIDE,
            "synapses": synapses,
            "contestants": rows,
            "ratios": ratios,
            "same_raster_as_fast": equal,
        }
    nest = None if skipped else importlib.metadata.version("nest-simulator")
    data = {"seed": SEED, "neuron": NEURON.as_dict(), "numpy": np.__version__, "nest": nest, "workloads": results}
    columns = ("workload", "contestant", "ticks per CPU second", "build, CPU s", "peak MB", "Hz", "fast is", "raster")

    def table() -> list[tuple[object, ...]]:
        return [
            (
                name,
                who,
                f"{row['ticks_per_cpu_second']:,.4g}",
                f"{row['build_cpu_seconds']:.2f}",
                f"{row['peak_megabytes']:.0f}",
                f"{row['rate_hz']:.1f}",
                f"{result['ratios'][f'fast_per_{who}']:.3g} x" if who != "fast" else "",
                f"{'same' if result['same_raster_as_fast'][who] else 'DIFFERENT'}: {list(row['digests'].values())[-1]}",
            )
            for name, result in results.items()
            for who, row in result["contestants"].items()
        ]

    finish("golden_speed", data, options.json, columns, table)


if __name__ == "__main__":
    main()
