"""The experiments, and how many seeds of each must meet its criterion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spikeloom.examples.learning import association, coincidence, localisation, pattern, picture, sequence, short_term, teacher, xor
from spikeloom.examples.learning.common import Run, difference


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment.

    Parameters
    ----------
    name, criterion : str
    seeds, needed : int
        Seeds that are run by default, and how many of these must pass.
    run : callable
        From seed, and kind of chip, to what was measured.
    check : callable
        Gives image, stimulus, and rewards if there are any, for the comparison with hardware.
    draw : callable
        Draws a run into a figure.
    """

    name: str
    criterion: str
    seeds: int
    needed: int
    run: Callable[..., Run]
    check: Callable[[], tuple[Any, ...]]
    draw: Callable[[Any, Any], None]

    def passed(self, runs: list[Run]) -> bool:
        """Whether enough seeds meet the criterion: the same share, if there are more or fewer than by default."""
        return sum(run.passed for run in runs) >= math.ceil(len(runs) * self.needed / self.seeds)

    def mismatch(self) -> str | None:
        """First difference between golden model and hardware on a short part, if there is one."""
        return difference(*self.check())


def _experiment(module: Any, draw: Callable[[Any, Any], None]) -> Experiment:
    return Experiment(
        name=module.__name__.rsplit(".", 1)[-1],
        criterion=module.CRITERION,
        seeds=module.SEEDS,
        needed=module.NEEDED,
        run=module.run,
        check=module.check,
        draw=draw,
    )


#: All of them, by name.
EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        _experiment(coincidence, picture.draw_coincidence),
        _experiment(localisation, picture.draw_localisation),
        _experiment(sequence, picture.draw_sequence),
        _experiment(pattern, picture.draw_pattern),
        _experiment(association, picture.draw_association),
        _experiment(xor, picture.draw_xor),
        _experiment(teacher, picture.draw_teacher),
        _experiment(short_term, picture.draw_short_term),
    )
}


def run_seed(name: str, seed: int) -> Run:
    """Run an experiment on the golden model; for another process."""
    return EXPERIMENTS[name].run(seed)
