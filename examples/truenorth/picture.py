"""Picture of the behaviours: potential, thresholds, input and output of each neuron."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from spikeloom.arch.layout import IntArray
from spikeloom.examples.truenorth.behaviours import BEHAVIOURS, TICKS, BoolArray

mpl.use("Agg")  # files only, no window
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

POTENTIAL, OUTPUT, THRESHOLD, EXCITATION, INHIBITION = "#1b3a5c", "#2a9d5c", "#7a7a7a", "#f2a65a", "#c0392b"
COLUMNS, ROWS = 3, 4


def draw(potential: IntArray, spikes: BoolArray, path: Path) -> None:
    """Write the picture.

    Parameters
    ----------
    potential : int64 array ``[TICKS, behaviours]``
        Potential after each tick.
    spikes : bool array ``[TICKS, behaviours]``
        Output spikes.
    path : Path
        A .png file.
    """
    figure, grid = plt.subplots(ROWS, COLUMNS, figsize=(13, 10))
    for axes, behaviour, trace, fired in zip(grid.flat, BEHAVIOURS, potential.T, spikes.T, strict=False):
        alpha, beta = behaviour.neuron["alpha"], behaviour.neuron["beta"]
        low, high = min(-beta, int(trace.min())), max(alpha, int(trace.max()))
        height = high - low
        axes.hlines([alpha, -beta], 0, TICKS, color=THRESHOLD, linewidth=0.7, linestyle="dotted")
        axes.plot(np.arange(TICKS), trace, color=POTENTIAL, linewidth=1.0, drawstyle="steps-post")
        rows = (
            (np.flatnonzero(fired), OUTPUT, high + 0.16 * height),
            (behaviour.excitation, EXCITATION, low - 0.12 * height),
            (behaviour.inhibition, INHIBITION, low - 0.26 * height),
        )
        for ticks, colour, middle in rows:
            axes.vlines(ticks, middle - 0.06 * height, middle + 0.06 * height, color=colour, linewidth=1.1)
        axes.set_title(behaviour.name, fontsize=10, loc="left", pad=2)
        axes.set(xlim=(-2, TICKS + 2), ylim=(low - 0.36 * height, high + 0.26 * height))
        axes.tick_params(labelsize=7, length=2)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid.flat[len(BEHAVIOURS) :]:
        axes.axis("off")
    entries = [
        Line2D([], [], color=POTENTIAL, label="potential"),
        Line2D([], [], color=THRESHOLD, linestyle="dotted", label="thresholds"),
    ]
    for colour, label in ((OUTPUT, "output spikes"), (EXCITATION, "excitatory input"), (INHIBITION, "inhibitory input")):
        entries.append(Line2D([], [], color=colour, label=label, linestyle="none", marker="|", markersize=9))
    grid.flat[len(BEHAVIOURS)].legend(handles=entries, loc="center", frameon=False)
    figure.suptitle(f"Single TrueNorth neurons, {TICKS} ticks", fontsize=13)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
