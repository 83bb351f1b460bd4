"""Experiments of the literature on learning: coincidence detection, sound localisation, sequences, patterns in noise, association, xor,
a teacher, and short-term plasticity.

Each runs on the golden model with several seeds, is measured against a criterion, and is drawn. The exit code is 1 if one of them fails.
With --hardware a short part of each also runs on the generated Verilog, and outputs, weights and traces are compared.
docs/learning_experiments.md describes them.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from spikeloom.arch.errors import SpikeloomError
from spikeloom.cli.console import print_table, progress_bar, say, spinner
from spikeloom.examples.learning.common import Run
from spikeloom.examples.learning.experiments import EXPERIMENTS, run_seed
from spikeloom.examples.learning.picture import save


def positive(text: str) -> int:
    """A number from 1 on."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def run_all(names: list[str], seeds: int | None) -> dict[str, list[Run]]:
    """Runs of each experiment, seed by seed; as many at once as there are processors."""
    jobs = [(name, seed) for name in names for seed in range(seeds or EXPERIMENTS[name].seeds)]
    done: dict[tuple[str, int], Run] = {}
    with progress_bar("experiments") as report, ProcessPoolExecutor(os.cpu_count()) as pool:
        report(0, len(jobs))
        pending = {pool.submit(run_seed, *job): job for job in jobs}
        for future in as_completed(pending):
            done[pending[future]] = future.result()
            report(len(done), len(jobs))
    return {name: [done[job] for job in jobs if job[0] == name] for name in names}


def main(arguments: list[str] | None = None) -> int:
    """Run, print and draw. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m spikeloom.examples.learning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"which of {', '.join(EXPERIMENTS)}; all by default",
    )
    parser.add_argument(
        "--seeds", type=positive, metavar="N", help="seeds 0 to N - 1 of each, instead of the number of its criterion"
    )
    parser.add_argument("--hardware", action="store_true", help="compare a short part of each with the generated Verilog")
    parser.add_argument("-o", "--output", type=Path, default=Path("learning"), metavar="DIR", help="folder for the pictures")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in EXPERIMENTS]
    if unknown:
        parser.error(f"no experiment {unknown[0]!r}; there are {', '.join(EXPERIMENTS)}")
    names = list(dict.fromkeys(options.names)) or list(EXPERIMENTS)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{options.output} cannot be made: {error.strerror}")
    results = run_all(names, options.seeds)
    good = True
    rows = []
    for name, runs in results.items():
        experiment = EXPERIMENTS[name]
        passed = experiment.passed(runs)
        good = good and passed
        count = f"{sum(run.passed for run in runs)} of {len(runs)}"
        # One that failed, or else the last.
        shown = next((run for run in runs if not run.passed), runs[-1])
        rows.append((name, experiment.criterion, shown.measured, count, "yes" if passed else "no"))
    print_table("Learning", ["experiment", "criterion", "measured (one seed)", "seeds that meet it", "passed"], rows)
    for name, runs in results.items():
        for seed, run in enumerate(runs):
            say(f"{name}, seed {seed}: {run.measured}{'' if run.passed else ' (criterion not met)'}")
    if options.hardware:
        with spinner("hardware") as stage:
            for name in names:
                stage(f"{name}: generating, compiling and comparing")
                mismatch = EXPERIMENTS[name].mismatch()
                good = good and mismatch is None
                say(f"Hardware, {name}: {mismatch or 'outputs and state equal to the golden model'}.")
    panels = [(EXPERIMENTS[name].draw, runs[0]) for name, runs in results.items()]
    for name, panel in zip(results, panels, strict=True):
        save([panel], options.output / f"{name}.png")
    save(panels, options.output / "learning.png")
    say(f"Pictures: {options.output}.")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SpikeloomError as error:
        sys.exit(f"error: {error}")
