"""Picture of the twenty behaviours, after figure 1 of Izhikevich (2004)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from spikeloom.examples.behaviours.gallery import Result
from spikeloom.examples.behaviours.reference import PEAK, Run, grid

mpl.use("Agg")  # files only, no window
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

FLOAT, GOLDEN, HARDWARE, STIMULUS, GOOD, BAD = "#f2a65a", "#1b3a5c", "#2a9d5c", "#7a7a7a", "#2a9d5c", "#c0392b"
COLUMNS, ROWS = 4, 5
#: Heights in a panel (mV): rows of spike marks, and the stimulus.
MARKS, STIMULUS_TOP, STIMULUS_BOTTOM = (58.0, 49.0, 40.0), -96.0, -114.0
#: Lengths of time bars (ms), of which each panel has the longest below a quarter of its width.
BARS = (10, 20, 50, 100)
#: The magnified part of panel J begins so long after its spike (ms).
LATE = 15.0


def trace(run: Run) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Potential with the peak shown where there is a spike, as in figure 1."""
    return np.where(np.isin(run.times, run.spikes), PEAK, run.potential)


def _ring_down(axes: Any, result: Result) -> None:
    """What follows the spike of panel J, magnified."""
    inset = axes.inset_axes((0.45, 0.52, 0.53, 0.26))
    for run, colour, width in ((result.exact, FLOAT, 2.6), (result.golden, GOLDEN, 0.9)):
        late = run.times > run.spikes[0] + LATE
        inset.plot(run.times[late], run.potential[late], color=colour, linewidth=width)
    low, high = inset.get_ylim()
    inset.set(xticks=[], yticks=[], facecolor="#f7f7f7")
    inset.spines[:].set_color("#cccccc")
    inset.set_title(f"after the spike, {high - low:.1f} mV high", fontsize=7, color=STIMULUS, pad=2)


def _panel(axes: Any, result: Result, robust: bool) -> None:
    behaviour = result.behaviour
    times, current, _ = grid(behaviour, robust)
    axes.plot(times, trace(result.exact), color=FLOAT, linewidth=2.6, solid_joinstyle="round")
    axes.plot(times, trace(result.golden), color=GOLDEN, linewidth=0.9, solid_joinstyle="round")
    runs = [(result.exact, FLOAT), (result.golden, GOLDEN)]
    if result.rtl is not None:
        runs.append((result.rtl, HARDWARE))
    for (run, colour), height in zip(runs, MARKS, strict=False):
        axes.vlines(run.spikes, height - 3.4, height + 3.4, color=colour, linewidth=1.1)
    low, high = float(current.min()), float(current.max())
    stimulus = STIMULUS_BOTTOM + (current - low) / ((high - low) or 1) * (STIMULUS_TOP - STIMULUS_BOTTOM)
    axes.plot(times, stimulus, color=STIMULUS, linewidth=1.1, drawstyle="steps-post")
    if behaviour.letter == "J" and len(result.exact.spikes) and len(result.golden.spikes):
        _ring_down(axes, result)
    end = float(times[-1])
    bar = max(length for length in BARS if length <= max(end / 4, BARS[0]))
    axes.plot([end - bar, end], [-126, -126], color="black", linewidth=1.6, solid_capstyle="butt")
    axes.text(end - bar / 2, -130, f"{bar} ms", fontsize=7, ha="center", va="top")
    text = f"{low:g} to {high:.3g}" if high != low else f"{low:g}"
    axes.text(0, -130, f"I = {text}", fontsize=7, color=STIMULUS, va="top")
    row = result.comparison
    passed = row.float_passed and row.golden_passed and (result.rtl is None or (result.rtl_passed and result.rtl_equal))
    axes.set_title(f"{behaviour.letter}  {behaviour.name}", fontsize=9.5, loc="left", pad=3)
    axes.set_title("✓" if passed else "✗", fontsize=12, loc="right", pad=3, color=GOOD if passed else BAD, fontweight="bold")
    axes.set(xlim=(-0.01 * end, 1.01 * end), ylim=(-142, 64))
    axes.axis("off")


def draw(results: list[Result], robust: bool, path: Path) -> None:
    """Write the picture: a panel for each behaviour with both traces, spike marks and stimulus."""
    figure, grid_of_axes = plt.subplots(ROWS, COLUMNS, figsize=(13, 14.5))
    for axes, result in zip(grid_of_axes.flat, results, strict=True):
        _panel(axes, result, robust)
    hardware = all(result.rtl is not None for result in results)
    entries = [
        Line2D([], [], color=FLOAT, linewidth=2.6, label="floating point"),
        Line2D([], [], color=GOLDEN, linewidth=1.2, label="golden model (18-bit integers)"),
    ]
    if hardware:
        entries.append(
            Line2D([], [], color=HARDWARE, linestyle="none", marker="|", markersize=9, label="generated hardware, spikes")
        )
    entries.append(Line2D([], [], color=STIMULUS, linewidth=1.2, label="current"))
    stimuli = "robust stimuli, ticks of 1 ms" if robust else "original stimuli, ticks as long as the panel's step"
    figure.suptitle(f"The twenty behaviours of Izhikevich (2004): {stimuli}", fontsize=14, y=0.985)
    figure.legend(handles=entries, loc="upper center", ncols=len(entries), frameon=False, bbox_to_anchor=(0.5, 0.973), fontsize=10)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.925, bottom=0.01, wspace=0.1, hspace=0.16)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
