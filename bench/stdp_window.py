"""The window of pair STDP, measured on the golden model and on generated hardware, against the exponential.

    python bench/stdp_window.py [--json] [--picture FILE]

One pre and one post spike at each distance from -100 to 100 ms (ticks of 1 ms), time constants of 20 ms, on weights of 16 bits; rounded to
the nearest, so that a single pairing shows the window. Then with a small amplitude and stochastic rounding: the mean of many synapses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from common import finish, log, parser

from spikeloom.arch.layout import IntArray
from spikeloom.examples.learning.protocol import HIGHEST, FloatArray, learnt, protocol_image
from spikeloom.hdl.fabric import ECP5
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.chip import Chip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.network.plasticity import Plasticity
from spikeloom.sim.rtl_bus import RtlBus

DELAYS = np.arange(-100, 101)
TAU = 20.0
#: Amplitude in LSB, whether rounding is stochastic, and seeds for each distance.
CASES = {"to the nearest": (1000.0, False, 1), "stochastic": (2.5, True, 64)}
SPIKE, TICKS, LANES = 110, 220, 8


def window(chip: Chip) -> IntArray:
    """Change for each distance, in LSB."""
    return learnt(chip, [[SPIKE]] * len(DELAYS), [[SPIKE + int(delay)] for delay in DELAYS], TICKS)


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--picture", type=Path, help="where to draw the window (PNG)")
    options = arguments.parse_args()
    cases: dict[str, Any] = {}
    curves = {}
    for name, (amplitude, stochastic, repeats) in CASES.items():
        rule = f"dw = {amplitude:g} * x1 * y0 - {amplitude:g} * x0 * y1"
        plasticity = Plasticity(rule=rule, tau={"x1": TAU, "y1": TAU}, high=HIGHEST, stochastic=stochastic)
        images = [protocol_image(plasticity, len(DELAYS), LANES, seed) for seed in range(repeats)]
        log(f"{name}: golden")
        changes = [window(GoldenChip(image)) for image in images]
        golden: FloatArray = np.mean(changes, axis=0)
        log(f"{name}: hardware")
        with BusChip(RtlBus(images[0].config, ECP5), images[0]) as chip:
            equal = bool((window(chip) == changes[0]).all())
        ideal = np.where(DELAYS >= 0, 1, -1) * amplitude * np.exp(-np.abs(DELAYS) / TAU)
        error = 100 * (golden - ideal) / amplitude
        cases[name] = {
            "rule": rule,
            "tau_ms": TAU,
            "seeds": repeats,
            "rms_percent": round(float(np.sqrt((error**2).mean())), 3),
            "max_percent": round(float(np.abs(error).max()), 3),
            "rtl_equal": equal,
        }
        curves[name] = golden / amplitude
    if options.picture is not None:
        draw(options.picture, curves)
    columns = ("rounding", "rule", "RMS error, % of the amplitude", "largest", "hardware = golden")

    def rows() -> list[tuple[object, ...]]:
        return [
            (name, case["rule"], case["rms_percent"], case["max_percent"], "equal" if case["rtl_equal"] else "DIFFERS")
            for name, case in cases.items()
        ]

    finish("stdp_window", {"delays_ms": [-100, 100], "cases": cases}, options.json, columns, rows)


def draw(path: Path, curves: dict[str, FloatArray]) -> None:
    """The measured windows over the exponential."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.6), constrained_layout=True)
    ideal = np.where(DELAYS >= 0, 1, -1) * np.exp(-np.abs(DELAYS) / TAU)
    axes.axhline(0, color="#bbbbbb", linewidth=0.8)
    axes.plot(DELAYS, ideal, color="#f2a65a", linewidth=4, label="exponential, 20 ms")
    axes.plot(DELAYS, curves["to the nearest"], ".", color="#1b3a5c", markersize=4, label="one pairing, 16-bit weight")
    axes.plot(DELAYS, curves["stochastic"], "x", color="#2a9d5c", markersize=4, label="mean of 64, 2.5 LSB, stochastic rounding")
    axes.set(xlabel="post spike after pre spike (ms)", ylabel="change of weight / amplitude")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
