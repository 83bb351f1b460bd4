"""Alignment: the tick in which each population computes a step, and the delays that this takes. Described in ``docs/compiler.md``."""

from __future__ import annotations

from dataclasses import replace

from spikeloom.arch.config import MAX_DELAY
from spikeloom.arch.errors import CapacityError, NetworkError
from spikeloom.network.description import Network, Projection


def align(network: Network, *, late_feedback: bool, warnings: list[str]) -> tuple[list[int], dict[str, int]]:
    """Level of each population, and delay of each projection in ticks (for inputs: after their step).

    A population of level d computes step t in tick t + d. A projection that acts D steps after its spike needs a delay of
    ``level(post) - level(pre) + D``, and it must be at least one tick. The least levels are longest paths.
    """
    steps = network.delays()
    stated = [projection.delay is not None for projection in network.projections]
    levels = _levels(network, steps)
    if levels is None:
        loop = _short_loop(network, steps)
        names = " -> ".join(projection.post.label for projection in loop)
        if not late_feedback:
            raise NetworkError(
                f"the loop {names} -> {loop[0].post.label} passes through several layers within one step; a core needs a tick per layer. "
                "Give its feedback a delay of at least as many steps as the loop has populations, or accept a later feedback "
                "(late_feedback=True, --late-feedback)"
            )
        # Levels without the feedback decide; the feedback then comes as soon as it can.
        forward = [d if fixed or d == 0 else len(network.populations) + 1 for d, fixed in zip(steps, stated, strict=True)]
        levels = _levels(network, forward)
        if levels is None:
            raise NetworkError(f"the loop {names} has stated delays that are too short; lengthen one of them")
        for number, (projection, fixed) in enumerate(zip(network.projections, stated, strict=True)):
            if fixed or projection.pre.is_input or steps[number] == 0:
                continue
            needed = levels[projection.pre.label] - levels[projection.post.label] + 1
            if steps[number] < needed:
                warnings.append(
                    f"the feedback from {projection.pre.label} to {projection.post.label} comes after {needed} steps instead of {steps[number]}"
                )
                steps[number] = needed
    delays = []
    for projection, step in zip(network.projections, steps, strict=True):
        level = 0 if projection.pre.is_input else levels[projection.pre.label]
        delay = levels[projection.post.label] - level + step
        if not projection.pre.is_input and delay > MAX_DELAY:
            raise CapacityError(
                f"the projection from {projection.pre.label} to {projection.post.label} needs a delay of {delay} ticks; the limit is {MAX_DELAY}. "
                "Shorten its delay, or put a population between"
            )
        delays.append(delay)
    return delays, levels


def timed(network: Network, delays: list[int], levels: dict[str, int]) -> Network:
    """The network with the delays in steps that the chip has; with a late feedback they are not those of the network."""
    projections = [
        replace(p, delay=delay - levels[p.post.label] + (0 if p.pre.is_input else levels[p.pre.label]))
        for p, delay in zip(network.projections, delays, strict=True)
    ]
    return replace(network, projections=projections)


def _levels(network: Network, steps: list[int]) -> dict[str, int] | None:
    """Least level of each population, or None if a loop needs more ticks than it has steps."""
    levels = {population.label: 0 for population in network.populations if not population.is_input}
    for _ in range(len(levels) + 1):
        changed = False
        for projection, step in zip(network.projections, steps, strict=True):
            if projection.pre.is_input:
                continue
            least = levels[projection.pre.label] + 1 - step
            if least > levels[projection.post.label]:
                levels[projection.post.label] = least
                changed = True
        if not changed:
            return levels
    return None


def _short_loop(network: Network, steps: list[int]) -> list[Projection]:
    """Projections of a loop that has more populations than steps."""
    levels = {population.label: 0 for population in network.populations if not population.is_input}
    reached: dict[str, Projection] = {}
    last: Projection | None = None
    for _ in range(len(levels) + 1):
        for projection, step in zip(network.projections, steps, strict=True):
            if projection.pre.is_input:
                continue
            least = levels[projection.pre.label] + 1 - step
            if least > levels[projection.post.label]:
                levels[projection.post.label] = least
                reached[projection.post.label] = projection
                last = projection
    assert last is not None
    # Walk back far enough to be inside the loop, then once around.
    current = last
    for _ in levels:
        current = reached[current.pre.label]
    loop = [current]
    while loop[-1].pre is not loop[0].post:
        loop.append(reached[loop[-1].pre.label])
    return loop[::-1]
