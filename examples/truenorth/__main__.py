"""Eleven behaviours of single TrueNorth neurons: golden model and simulated hardware, as table and picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import spikeloom
from spikeloom.cli.console import print_table, say, spinner
from spikeloom.examples.truenorth.behaviours import BEHAVIOURS, expected, make_image, stimuli, ticks_of
from spikeloom.examples.truenorth.picture import draw
from spikeloom.sim.verify import lockstep


def _few(ticks: list[int], most: int = 4) -> str:
    """The first ticks, and how many follow."""
    text = ", ".join(map(str, ticks[:most]))
    return text if len(ticks) <= most else f"{text} … {len(ticks)} spikes"


def main() -> int:
    """Run, print and draw. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m spikeloom.examples.truenorth", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("truenorth"), metavar="DIR", help="folder for the picture")
    parser.add_argument("--no-rtl", action="store_true", help="golden model only")
    options = parser.parse_args()
    image, spikes = make_image(), stimuli()
    with spikeloom.open("golden", image) as chip:
        out = chip.run(spikes, record=["neurons"])
        potential = chip.recorded["neurons"].potential[0][:, : len(BEHAVIOURS)]
    right = (out == expected()).all(axis=0)
    rows = [
        (behaviour.name, behaviour.meaning, _few(ticks.tolist()), "yes" if good else "no")
        for behaviour, ticks, good in zip(BEHAVIOURS, ticks_of(out), right, strict=True)
    ]
    print_table("Behaviours of single TrueNorth neurons", ["behaviour", "what it does", "spikes in ticks", "as expected"], rows)
    good = bool(right.all())
    if not options.no_rtl:
        with spinner("hardware") as stage:
            stage("generating, compiling (kept for the next time) and comparing")
            proof = lockstep(image, spikes)
        equal = proof.mismatch is None
        say(f"Hardware: {'equal to the golden model after each of ' + str(proof.ticks) + ' ticks' if equal else proof.mismatch}.")
        good = good and equal
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "truenorth.png"
    draw(np.asarray(potential), out, path)
    say(f"Picture: {path}.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
