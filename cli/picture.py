"""Pictures of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from spikeloom.arch.lif import Lif
from spikeloom.host.chip import Chip

mpl.use("Agg")  # files only, no window
from matplotlib import pyplot as plt

#: Colour of spikes, and colours of the potentials of up to ten outputs.
INK = "#1b3a5c"


def _raster(axes: Any, spikes: npt.NDArray[np.bool_], title: str) -> None:
    ticks, neurons = np.nonzero(spikes)
    axes.scatter(ticks, neurons, marker="|", s=22, linewidths=1.2, color=INK)
    axes.set(title=title, ylabel="neuron", ylim=(-1, spikes.shape[1]))


def draw_run(chip: Chip, spikes: npt.NDArray[np.bool_], path: Path, title: str) -> None:
    """Run one sample and draw input raster, rasters of the hidden populations, and potentials and spikes of the outputs.

    Parameters
    ----------
    chip : Chip
        One that records spikes of populations (the golden model).
    spikes : bool array ``[ticks, inputs]``
    path : Path
        PNG file.
    title : str
        Above the picture.
    """
    image = chip.image
    names = [population.name for population in image.populations]
    output_names = {port.name for port in image.outputs}
    out = chip.run(spikes, record=names)
    hidden = [name for name in names if name not in output_names]
    panels = len(image.inputs) + len(hidden) + len(image.outputs)
    figure, axes = plt.subplots(panels, 1, figsize=(8, 2.3 * panels), sharex=True, layout="constrained")
    axes = np.atleast_1d(axes)
    figure.suptitle(title)
    panel = iter(axes)
    for port in image.inputs:
        _raster(next(panel), spikes[:, port.first : port.first + port.size], f"input spikes: {port.name}")
    for name in hidden:
        recorded = chip.recorded[name].spikes
        assert recorded is not None
        _raster(next(panel), recorded[0], f"hidden spikes: population {name}")
    for port in image.outputs:
        current = next(panel)
        potential = chip.recorded[port.name].potential[0]
        fired = out[:, port.first : port.first + port.size]
        counts = fired.sum(axis=0)
        winner = int(counts.argmax())
        model = image.config.cores[0].model("lif")
        unit = 1 << model.fraction_bits if isinstance(model, Lif) else 1
        for neuron in range(port.size):
            line = {"linewidth": 2.2, "zorder": 3} if neuron == winner else {"linewidth": 0.9, "alpha": 0.8}
            label = f"{neuron} ({int(counts[neuron])} spikes)"
            (curve,) = current.plot(potential[:, neuron] / unit, label=label, color=plt.get_cmap("tab10")(neuron % 10), **line)
            when = np.flatnonzero(fired[:, neuron])
            current.scatter(when, potential[when, neuron] / unit, marker="v", s=26, color=curve.get_color(), zorder=4)
        current.set(title=f"output potentials and spikes: population {port.name}", ylabel="potential\n(weight LSB)")
        if port.size <= 10:
            current.legend(fontsize=7, ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[-1].set(xlabel="tick", xlim=(-0.5, len(spikes) - 0.5))
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
