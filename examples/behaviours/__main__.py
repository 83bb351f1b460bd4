"""The twenty behaviours of Izhikevich (2004): floating point, golden model and simulated hardware, as table and picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.boards.build import to_json, write_folder
from spikeloom.cli.console import say
from spikeloom.examples.behaviours.gallery import equal, print_results, run_all, totals
from spikeloom.examples.behaviours.picture import draw


def main() -> int:
    """Run, print and draw. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m spikeloom.examples.behaviours", description=__doc__)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("behaviours"), metavar="DIR", help="folder for picture and figures"
    )
    parser.add_argument("--no-rtl", action="store_true", help="golden model only")
    parser.add_argument("--original", action="store_true", help="the published stimuli and steps instead of the robust ones")
    parser.add_argument("--multiplier-bits", type=int, default=18, metavar="N", help="operands of the products, 16 to 18")
    options = parser.parse_args()
    robust = not options.original
    widths = Izhikevich(multiplier_bits=options.multiplier_bits)
    results, figures = run_all(robust, widths, rtl=not options.no_rtl)
    data = totals(results, figures)
    print_results(f"The twenty behaviours, {'robust' if robust else 'original'} stimuli", results)
    passed = data["passed"]
    say("Checks passed: " + ", ".join(f"{what} {count} of {len(results)}" for what, count in passed.items()) + ".")
    say(
        f"Floating point has {data['float_spikes']} spikes; the golden model differs by {data['count_error']}, "
        f"and by at most {data['worst_shift_ms']:g} ms ({data['worst_shift_of']})."
    )
    for core in figures:
        state = core.mismatch or f"equal after each of {core.lockstep_ticks} ticks"
        say(
            f"Hardware, ticks of {core.dt:g} ms: {core.cycles / core.ticks:.0f} cycles per tick for {core.neurons} neurons; {state}."
        )
    write_folder(options.output, {"behaviours.json": to_json(data).encode()})
    draw(results, robust, options.output / "behaviours.png")
    say(f"Picture and figures: {options.output}.")
    good = set(passed.values()) == {len(results)} and (not figures or equal(results, figures))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
