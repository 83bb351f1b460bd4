"""Pictures of the experiments: each draws a run into a figure, so that all of them fit into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from spikeloom.examples.learning import association, coincidence, localisation, pattern, sequence, short_term, teacher, xor
from spikeloom.examples.learning.common import HIGHEST, UNIT

mpl.use("Agg")  # files only, no window
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

DARK, ORANGE, GREEN, GREY, RED = "#1b3a5c", "#f2a65a", "#2a9d5c", "#b0b0b0", "#c0392b"
#: Azimuth whose potentials are drawn.
SHOWN = 40


def draw_coincidence(figure: Any, run: coincidence.CoincidenceRun) -> None:
    """Weights of all inputs over the epochs."""
    axes = figure.subplots()
    image = axes.imshow(
        run.weights.T,
        aspect="auto",
        origin="lower",
        cmap="viridis",
        vmin=0,
        vmax=HIGHEST,
        extent=(0, coincidence.EPOCHS, 0.5, 20.5),
    )
    for half, (first, last) in enumerate(coincidence.GROUPS):
        corner = (30 * half + 0.3, first + 0.5)
        axes.add_patch(Rectangle(corner, 29.4, last - first + 1, fill=False, edgecolor=RED, linewidth=1.5))
    axes.set(xlabel="epoch", ylabel="input", yticks=(1, 5, 10, 15, 20))
    figure.colorbar(image, ax=axes, label="weight")
    figure.suptitle("coincidence: inputs in the red frames fire together", fontsize=10)


def draw_localisation(figure: Any, run: localisation.LocalisationRun) -> None:
    """Potentials of both neurons for one sound, and the estimates for all."""
    left, right = figure.subplots(1, 2)
    number = localisation.AZIMUTHS.tolist().index(SHOWN)
    for column, (colour, label) in enumerate(((ORANGE, "left neuron"), (DARK, "right neuron"))):
        left.plot(run.potentials[number, :, column] / UNIT, color=colour, label=label)
    left.axvline(localisation.READ, color=GREY, linestyle="dotted")
    left.set(xlabel="tick of 10 µs", ylabel="potential, LSB", title=f"sound from {SHOWN} degrees")
    right.plot(localisation.AZIMUTHS, localisation.AZIMUTHS, color=GREY)
    right.plot(localisation.AZIMUTHS, run.estimates, ".", color=DARK, label="estimate")
    right.set(xlabel="azimuth, degrees", title=f"RMS {run.rms:.1f} degrees", xticks=(-90, 0, 90), yticks=(-90, 0, 90))
    for axes in (left, right):
        axes.legend(fontsize=7, frameon=False)
        axes.title.set_fontsize(9)
    figure.suptitle("localisation: the neuron of the side has the higher potential", fontsize=10)


def draw_sequence(figure: Any, run: sequence.SequenceRun) -> None:
    """Weights while they are learnt."""
    axes = figure.subplots()
    trials = 10 * np.arange(len(run.weights))
    for number in range(sequence.INPUTS):
        if number not in run.target:
            axes.plot(trials, run.weights[:, number], color=GREY, linewidth=0.8)
    for place, number in enumerate(run.target):
        colour = plt.get_cmap("viridis")(place / sequence.LENGTH)
        axes.plot(trials, run.weights[:, number], color=colour, linewidth=1.8, label=f"input {number}, place {place + 1}")
    axes.set(xlabel="trial", ylabel="weight", ylim=(0, HIGHEST))
    axes.legend(fontsize=7, frameon=False, loc="upper left")
    figure.suptitle(f"sequence: {run.false_positives} of {len(run.fired) - 1} others fire the neuron too", fontsize=10)


def draw_pattern(figure: Any, run: pattern.PatternRun) -> None:
    """When in a slot the neuron fires, and the weights at the end."""
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    slots, ticks = np.nonzero(run.slots)
    for there, colour, label in ((False, ORANGE, "noise"), (True, DARK, "pattern")):
        chosen = run.present[slots] == there
        left.plot(slots[chosen] * pattern.SLOT / pattern.SECOND, ticks[chosen], ".", markersize=2, color=colour, label=label)
    left.set(xlabel="time, s", ylabel="ms in the slot", title="spikes of the neuron")
    left.legend(fontsize=7, frameon=False, loc="upper right", markerscale=4)
    parts = (run.weights[-1, : pattern.IN_PATTERN], run.weights[-1, pattern.IN_PATTERN :])
    right.hist(parts, bins=np.linspace(0, HIGHEST, 9), color=(DARK, ORANGE), label=("in the pattern", "not in it"))
    right.set(xlabel="weight", title="afferents at the end")
    right.legend(fontsize=7, frameon=False)
    for axes in (left, right):
        axes.title.set_fontsize(9)
    figure.suptitle(f"pattern: {run.measured}", fontsize=10)


def draw_association(figure: Any, run: association.AssociationRun) -> None:
    """Spikes of all trials, with bell and food."""
    axes = figure.subplots()
    for there, (first, last), colour in (
        (association.has_bell(), association.BELL_TICKS, ORANGE),
        (association.has_food(), association.FOOD_TICKS, GREEN),
    ):
        for trial in np.flatnonzero(there).tolist():
            axes.add_patch(Rectangle((first, trial), last - first + 1, 1, color=colour, alpha=0.45, linewidth=0))
    trials, ticks = np.nonzero(run.spikes)
    axes.plot(ticks + 0.5, trials + 0.5, "|", color=DARK, markersize=4)
    for name, _, _, _ in association.PHASES:
        first, last = association.trials_of(name)
        axes.axhline(last, color=GREY, linewidth=0.6)
        axes.text(97, (first + last) / 2, name, ha="right", va="center", fontsize=8)
    axes.set(xlabel="ms in the trial", ylabel="trial", xlim=(0, association.TRIAL_TICKS), ylim=(association.TRIALS, 0))
    figure.suptitle("association: spikes; bell orange, food green", fontsize=10)


def draw_xor(figure: Any, run: xor.XorRun) -> None:
    """Spikes of all neurons in the four cases."""
    axes = figure.subplots()
    names = ("bit a", "bit b", "reference", "a first", "b first", "answer")
    for number in range(len(names)):
        ticks = np.flatnonzero(run.spikes[:, number])
        axes.vlines(ticks, -number - 0.35, -number + 0.35, color=GREEN if number == xor.OUTPUT else DARK, linewidth=2)
    for start, (a, b), got in zip(xor.starts().tolist(), xor.CASES, run.answers, strict=True):
        axes.axvline(start, color=GREY, linestyle="dotted")
        axes.text(start, 0.7, f"{a} xor {b}: {' '.join(map(str, got))}", fontsize=8)
    axes.set(xlabel="tick", yticks=-np.arange(len(names)), yticklabels=names, ylim=(-len(names) + 0.4, 1.3))
    figure.suptitle("xor: 9 ticks after the reference for 1, 15 for 0", fontsize=10)


def draw_teacher(figure: Any, run: teacher.TeacherRun) -> None:
    """Spikes without the teacher after each block of trials, beside the wanted ticks."""
    axes = figure.subplots()
    for number, ticks in enumerate(run.answers):
        colour = GREEN if run.right(number) else DARK
        axes.vlines(ticks, number - 0.4, number + 0.4, color=colour, linewidth=2)
    for tick in run.wanted:
        axes.axvspan(tick - teacher.TOLERANCE, tick + teacher.TOLERANCE, color=ORANGE, alpha=0.4, linewidth=0)
    trials = range(0, len(run.answers), 4)
    axes.set(xlabel="tick", ylabel="trials before", yticks=trials, yticklabels=[teacher.BLOCK * number for number in trials])
    figure.suptitle("teacher: spikes at the wanted times (orange), without the teacher", fontsize=10)


def draw_short_term(figure: Any, run: short_term.ShortTermRun) -> None:
    """Potentials of three synapses in a train, their amplitudes at all rates, and in pairs; lines: the equations."""
    left, middle, right = figure.subplots(1, 3)
    curve = np.geomspace(short_term.INTERVALS[0], short_term.INTERVALS[-1], 100)
    for number, (name, kind) in enumerate(short_term.SYNAPSES.items()):
        colour = (DARK, ORANGE, GREEN)[number]
        left.plot(run.potentials[:, number] / short_term.WEIGHT - 0.6 * number, color=colour, linewidth=1)
        middle.loglog(
            short_term.SECOND / curve, [short_term.stationary(kind, ticks) for ticks in curve], color=colour, linewidth=0.8
        )
        middle.plot(short_term.rates(), run.steady(name), "o", markersize=3, color=colour, label=name)
        pairs = [short_term.ideal(kind, (0, distance)) for distance in range(2, 1001)]
        right.semilogx(range(2, 1001), [second / first for first, second in pairs], color=colour, linewidth=0.8)
        right.plot(short_term.DISTANCES, run.ratios(name), "o", markersize=3, color=colour)
    fast = np.array([10, 100])
    slope = short_term.SECOND / (short_term.SYNAPSES["depressing"].depression * fast)
    middle.plot(fast, 0.6 * slope, color=GREY, linestyle="dashed", linewidth=0.8, label="1 / rate")
    left.set(xlabel="ms", yticks=[], title=f"train of {short_term.SECOND // short_term.SHOWN} Hz")
    middle.set(xlabel="rate, Hz", title="steady amplitude")
    right.set(xlabel="ms between the pair", title="second by first")
    right.axhline(1, color=GREY, linewidth=0.8)
    middle.legend(fontsize=7, frameon=False, loc="lower left")
    for axes in (left, middle, right):
        axes.title.set_fontsize(9)
    figure.suptitle("short_term: synapses that tire or warm up; lines are the equations", fontsize=10)


#: A figure, what is drawn into it.
Panel = tuple[Callable[[Any, Any], None], Any]


def save(panels: Sequence[Panel], path: Path) -> None:
    """Write a picture of one or more runs.

    Parameters
    ----------
    panels : sequence of (callable, run)
        What draws each run.
    path : Path
        A .png file.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = plt.figure(figsize=(7.2 * columns, 3.8 * rows), layout="constrained")
    parts: Any = figure.subfigures(rows, columns, squeeze=False)
    for part, (draw, run) in zip(parts.flat, panels, strict=False):
        draw(part, run)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
