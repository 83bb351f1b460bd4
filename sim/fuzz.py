"""Long random campaign: golden model against generated hardware, geometry after geometry.

    python -m spikeloom.sim.fuzz --cases 1000 --seed 1

Most cases run in a compiled simulator, driven through the chip's registers with random pauses; some run under cocotb on the core's
own ports, with random stalls on every stream. Prints the first difference, and the command that repeats it.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import MAX_LEVELS, ChipConfig, CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.learning import LEARNING_WEIGHT_BITS, Learning
from spikeloom.arch.lif import RESETS, Lif
from spikeloom.arch.neuron import NeuronModel
from spikeloom.golden.chip import Chip
from spikeloom.hdl.fabric import ECP5, GENERIC, ICE40, ICE40_ULTRAPLUS, Fabric
from spikeloom.host.bus import event_words
from spikeloom.host.bus_chip import BusChip
from spikeloom.sim.cases import Case, random_case
from spikeloom.sim.core_lockstep import CoreSimulation
from spikeloom.sim.lockstep import (
    Mismatch,
    compare_counters,
    compare_misrouted,
    compare_outputs,
    expected_state,
    first_difference,
)
from spikeloom.sim.rtl_bus import RtlTiledBus, rtl_bus

#: Cases of one geometry, of which this many run under cocotb.
CASES_PER_GEOMETRY, COCOTB_CASES = 50, 4
TICKS = 20
#: Cores that learn have at most so many lanes: more take long to compile.
LEARNING_LANES = 8
#: Each so many geometries one is a mesh, of cores with at most so many lanes.
MESH_EVERY, MESH_LANES = 4, 8
#: Noise on the wires between chips (:meth:`RtlTiledBus.noise`).
FLIP_PPM, CUT_PPM = 200, 20


def random_geometry(rng: np.random.Generator) -> tuple[CoreConfig, Fabric]:
    """A small geometry with any mix of features, and a fabric whose colliding memory accesses are poisoned."""
    lanes = 1 << int(rng.integers(0, 7))
    pipelines = 1 << int(rng.integers(0, min(lanes.bit_length() - 1, 4) + 1))
    neurons = pipelines * int(rng.integers(1, max(2, 100 // pipelines)))
    bits = int(rng.choice([1, 2, 4, 8, 16]))
    axons = int(rng.integers(1, 70))
    fabric = (GENERIC, ICE40, ICE40_ULTRAPLUS, ECP5)[rng.integers(0, 4)]
    # Many copies of the larger models take minutes to compile.
    models = random_models(rng, bits) if pipelines <= 4 else (random_lif(rng, bits),)
    sets = int(rng.integers(1, neurons + 1)) if rng.random() < 0.3 else None
    config = CoreConfig(
        axons=axons,
        neurons=neurons,
        weight_bits=bits,
        lanes=lanes,
        pipelines=pipelines,
        group=1 << int(rng.integers(0, 4)) if sets is None else 1,
        weight_words=int(rng.integers(1, 1 + axons * -(-neurons // lanes))),
        models=models,
        sets=sets,
        stochastic_synapses=bits == 1 and bool(rng.integers(0, 2)),
        levels=int(rng.integers(1, MAX_LEVELS + 1)),
        destinations=int(rng.integers(1, 3 * neurons + 1)),
    )
    depth = int(rng.choice([0, 8, 64])) if fabric is ECP5 else 0
    if bits in LEARNING_WEIGHT_BITS and lanes <= LEARNING_LANES and rng.random() < 0.4:
        config = dataclasses.replace(config, learning=random_learning(rng, config.lanes))
    if bits > 1 and rng.random() < 0.3:
        config = dataclasses.replace(config, short_term=True)
    return config, dataclasses.replace(fabric, poison_collisions=True, block_ram_depth=depth)


def random_chip(rng: np.random.Generator) -> tuple[ChipConfig, Fabric]:
    """A chip of one core."""
    config, fabric = random_geometry(rng)
    return ChipConfig(cores=(config,)), fabric


def random_mesh(rng: np.random.Generator) -> tuple[ChipConfig, Fabric]:
    """Two to four different cores on one chip or on two."""
    columns, rows = ((2, 1), (1, 2), (3, 1), (1, 3), (2, 2))[rng.integers(0, 5)]
    cores: list[CoreConfig] = []
    while len(cores) < columns * rows:
        core, fabric = random_geometry(rng)
        # Wide rows take long to compile, and change nothing between cores.
        if core.lanes <= MESH_LANES:
            cores.append(core)
    across = 2 if columns == 2 and rng.random() < 0.5 else 1
    down = 2 if rows == 2 and across == 1 and rng.random() < 0.5 else 1
    return ChipConfig(
        cores=tuple(cores),
        columns=columns,
        rows=rows,
        payload=bool(rng.integers(0, 2)),
        chips_across=across,
        chips_down=down,
        link_lanes=int(rng.integers(1, 9)),
        link_cell=int(rng.integers(4, 8)),
    ), fabric


def random_lif(rng: np.random.Generator, weight_bits: int) -> Lif:
    """A leaky integrate-and-fire neuron with any mix of options."""

    def chosen(low: int, high: int) -> int:
        """An option's width, or 0 to leave it out."""
        return int(rng.integers(low, high + 1)) if rng.random() < 0.35 else 0

    state_bits = int(rng.integers(max(8, weight_bits + 2), 29))
    leak_bits, current_bits = chosen(2, 16), chosen(8, 28)
    return Lif(
        state_bits=state_bits,
        fraction_bits=int(rng.integers(0, min(8, max(1, state_bits - weight_bits)))),
        decay=bool(rng.random() < 0.8),
        leak_bits=leak_bits,
        stochastic_leak=leak_bits > 0 and bool(rng.integers(0, 2)),
        bias_bits=int(rng.integers(0, min(state_bits, 20) + 1)),
        current_bits=current_bits,
        current_wraps=current_bits > 0 and bool(rng.integers(0, 2)),
        resets=str(rng.choice(RESETS)),
        refractory_bits=int(rng.integers(0, 7)),
        negative_threshold=bool(rng.random() < 0.35),
        threshold_noise_bits=min(chosen(1, 20), state_bits - 1),
        adaptation_bits=chosen(4, 28),
    )


def random_learning(rng: np.random.Generator, lanes: int) -> Learning:
    """A learning unit with any mix of options."""
    return Learning(
        pre_traces=int(rng.integers(0, 3)),
        post_traces=int(rng.integers(0, 3)),
        tag_bits=int(rng.choice([0, 8, 16])),
        membrane_flag=bool(rng.integers(0, 2)),
        teacher=lanes > 1 and bool(rng.integers(0, 2)),
        terms=int(rng.integers(1, 13)),
        offsets=bool(rng.integers(0, 2)),
        weight_factor=bool(rng.integers(0, 2)),
        neuron_products=bool(rng.integers(0, 2)),
    )


def random_models(rng: np.random.Generator, weight_bits: int) -> tuple[NeuronModel, ...]:
    """One model or several, in any order."""
    substeps = int(rng.choice([1, 2, 4]))
    multipliers = rng.choice([1, *(3 * copies for copies in (1, 2, 4) if copies <= substeps)])
    known: tuple[NeuronModel, ...] = (
        random_lif(rng, weight_bits),
        Izhikevich(
            multiplier_bits=int(rng.choice([16, 18])),
            substeps=substeps,
            multipliers=int(multipliers),
            input_shift=int(rng.integers(0, 9)),
            bias_bits=int(rng.choice([0, 12])),
        ),
        AdEx(table_bits=int(rng.integers(4, 9)), bias_bits=int(rng.choice([0, 12]))),
    )
    count = int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))
    chances = [0.6, 0.2, 0.2]
    return tuple(known[number] for number in rng.choice(3, count, replace=False, p=chances))


def run_case(case: Case, chip: BusChip, compare_every: int = 1) -> Mismatch | None:
    """One case through the registers of a loaded chip: outputs compared after each tick, state after each or some, counters at the end."""
    config = case.image.config
    golden = Chip(config, case.image.memories)
    for tick, events in enumerate(case.ticks):
        chip.bus.write_events(event_words(events.cores, events.axons, events.delays))
        for core, axon, delay in zip(events.cores.tolist(), events.axons.tolist(), events.delays.tolist(), strict=True):
            golden.inject(core, np.array([axon]), np.ones((1, 1), np.bool_), delay)
        got = chip.bus.tick(np.zeros(0, np.uint32))
        expected = golden.tick()
        mismatch = compare_outputs(tick, expected.numbers[expected.outputs[0]], got[:, 1], ordered=not config.meshed)
        if mismatch is None and (tick % compare_every == 0 or tick == len(case.ticks) - 1):
            mismatch = first_difference(tick, expected_state(golden), chip.state())
        if mismatch is not None:
            return mismatch
    for number, core in enumerate(golden.cores):
        mismatch = compare_counters(core, number, chip.read_counters(number))
        if mismatch is not None:
            return mismatch
    return compare_misrouted(golden, chip.misrouted)


def compiled_cases(
    config: ChipConfig, fabric: Fabric, seeds: Iterable[int], ticks: int = TICKS, compare_every: int = 1
) -> str | None:
    """Cases in the compiled simulator, every second one with pauses, and with noise between chips; the first difference, or None."""
    bus = rtl_bus(config, fabric)
    try:
        for seed in seeds:
            case = random_case(config, seed, ticks)
            bus.stall(seed, 30 * (seed % 2))
            if isinstance(bus, RtlTiledBus):
                bus.noise(*((FLIP_PPM, CUT_PPM) if seed % 2 else (0, 0)))
            mismatch = run_case(case, BusChip(bus, case.image, check=False), compare_every)
            if mismatch is not None:
                return f"case {seed}: {mismatch}"
        return None
    finally:
        bus.close()


def cocotb_cases(config: CoreConfig, fabric: Fabric, seeds: Sequence[int], simulator: str = "verilator") -> str | None:
    """Cases under cocotb with stalls on every stream; the first difference, or None."""
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
        simulation = CoreSimulation(config, Path(folder), fabric, simulator)
        # Weights that learn take long to read.
        for result in simulation.run(seeds, TICKS, compare_every=1 if config.learning is None else TICKS // 4):
            if result["mismatch"] is not None:
                return f"case {result['seed']}: {result['mismatch']}"
    return None


def fuzz_geometry(number: int, cases: int, simulator: str = "verilator") -> tuple[str | None, int]:
    """All cases of one random geometry.

    Parameters
    ----------
    number : int
        Seed of the geometry, and of its cases.
    cases : int
        How many.
    simulator : str
        Of the cases under cocotb.

    Returns
    -------
    str or None
        The first difference, with all that is needed to repeat it.
    int
        Ticks compared.
    """
    rng = np.random.default_rng(number)
    config, fabric = random_mesh(rng) if number % MESH_EVERY == 0 else random_chip(rng)
    seeds = range(1000 * number, 1000 * number + cases)
    under_cocotb = seeds[: COCOTB_CASES if cases >= CASES_PER_GEOMETRY and not config.meshed else 0]
    difference = compiled_cases(config, fabric, seeds[len(under_cocotb) :], compare_every=len(config.cores))
    if difference is None and under_cocotb:
        difference = cocotb_cases(config.cores[0], fabric, under_cocotb, simulator)
    if difference is not None:
        difference = (
            f"geometry {number} ({fabric.name}, block_ram_depth {fabric.block_ram_depth}): {difference}; "
            f"replay: python -m spikeloom.sim.fuzz --seed {number} --cases {cases} --simulator {simulator}; {config}"
        )
    return difference, cases * TICKS


def main() -> None:
    """Run the campaign; exit code 1 at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000, help="cases in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="number of the first geometry (%(default)s)")
    parser.add_argument(
        "--simulator", choices=("verilator", "icarus"), default="verilator", help="of the cases under cocotb (%(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.cases < 1 or arguments.seed < 0:
        parser.error("--cases must be at least 1, and --seed at least 0")
    done = ticks = geometries = 0
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("lockstep cases", total=arguments.cases)
        while done < arguments.cases:
            cases = min(CASES_PER_GEOMETRY, arguments.cases - done)
            difference, compared = fuzz_geometry(arguments.seed + geometries, cases, arguments.simulator)
            if difference is not None:
                sys.exit(difference)
            done, ticks, geometries = done + cases, ticks + compared, geometries + 1
            progress.update(task, completed=done)
    print(f"{done} cases in {geometries} geometries (first seed {arguments.seed}), {ticks} ticks: no difference")


if __name__ == "__main__":
    main()
