"""Speed of the golden model while it learns: fast engine and plain model, one thread each.

    python bench/learning_speed.py [--json] [--ticks N] [--rounds N]

One core as an unsupervised classifier of MNIST has it: 784 axons x 400 neurons, 8-bit weights that all learn, 25 random events and about
one spike per tick. "pair" is pair STDP, "post" changes synapses of neurons that fire only; each with changes rounded at random or to the
nearest. "frozen" keeps traces but changes no weight. Rates are ticks per CPU second of the thread, the best of the rounds, which take
turns. The plain model runs fewer ticks, and must have the same weights after them.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from common import finish, log, parser

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import Lif
from spikeloom.golden.chip import Chip
from spikeloom.golden.fast import FastChip
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity

AXONS, NEURONS, ACTIVE, SEED = 784, 400, 25, 1
#: Ticks of the plain model.
PLAIN_TICKS = 500
PAIR, POST = "dw = 2^-9 * x1 * y0 - 2^-9 * x0 * y1", "dw = 2^-9 * x1 * y0 - 2^-11 * y0"
TAU = {PAIR: {"x1": 20.0, "y1": 20.0}, POST: {"x1": 20.0}}
#: Rule, whether changes are rounded at random, and whether there are any.
CASES = {
    "pair, at random": (PAIR, True, True),
    "pair, to the nearest": (PAIR, False, True),
    "post, at random": (POST, True, True),
    "post, to the nearest": (POST, False, True),
    "pair, frozen": (PAIR, True, False),
}


def learning_image(rule: str, stochastic: bool, enabled: bool) -> LoadableImage:
    """Neurons that integrate without a leak: how often they fire depends on the mean weight only."""
    plasticity = Plasticity(rule=rule, tau=TAU[rule], stochastic=stochastic, enabled=enabled)
    neuron = Lif(state_bits=24, fraction_bits=0, decay=False, bias_bits=0, refractory_bits=0)
    core = CoreConfig(
        axons=AXONS, neurons=NEURONS, weight_bits=8, lanes=16, levels=1, models=(neuron,), learning=plasticity.unit(8)
    )
    rng = np.random.default_rng(SEED)
    weights = rng.integers(0, 128, (AXONS, NEURONS))
    mean = round(ACTIVE * NEURONS * weights.mean())
    arrays = CoreArrays(
        weights=weights,
        parameters={"threshold": rng.integers(mean // 2, mean * 3 // 2, NEURONS), "reset": -mean, "reset_mode": 1},
        plasticity=plasticity,
        seed=SEED,
    )
    return image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=[[0, 0, 0, 0]])


def random_input(ticks: int) -> tuple[IntArray, IntArray, IntArray]:
    """Tick, core and axon of each event."""
    when, axon = np.nonzero(np.random.default_rng(SEED).random((ticks, AXONS), np.float32) < ACTIVE / AXONS)
    return when, np.zeros_like(when), axon


def run_fast(image: LoadableImage, ticks: int, events: tuple[IntArray, IntArray, IntArray]) -> tuple[float, FastChip]:
    """CPU seconds, and the chip afterwards."""
    chip = FastChip(image.config, image.memories)
    begin = time.thread_time()
    chip.run(ticks, events)
    return time.thread_time() - begin, chip


def run_plain(image: LoadableImage, events: tuple[IntArray, IntArray, IntArray]) -> tuple[float, Chip]:
    """CPU seconds, and the chip afterwards."""
    chip = Chip(image.config, image.memories)
    when, _, axon = events
    begin = time.thread_time()
    for tick in range(PLAIN_TICKS):
        due = axon[when == tick]
        chip.inject(0, due, np.ones((1, len(due)), np.bool_))
        chip.tick()
    return time.thread_time() - begin, chip


def measure(ticks: int, rounds: int) -> dict[str, Any]:
    """All cases."""
    images = {name: learning_image(*case) for name, case in CASES.items()}
    events = random_input(ticks)
    early = events[0] < PLAIN_TICKS
    first = (events[0][early], events[1][early], events[2][early])
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    rows: dict[str, dict[str, float | bool]] = {}
    for turn in range(rounds):
        for name, image in images.items():
            log(f"{name}, round {turn + 1} of {rounds}")
            spent, chip = run_fast(image, ticks, events)
            seconds[name].append(spent)
            if turn == 0:
                plain_spent, plain = run_plain(image, first)
                again = run_fast(image, PLAIN_TICKS, first)[1]
                unit = plain.cores[0].learning
                assert unit is not None
                rows[name] = {
                    "events_per_tick": float(chip.events[0] / ticks),
                    "spikes_per_tick": float(chip.spikes[0] / ticks),
                    "plain_ticks_per_cpu_second": PLAIN_TICKS / plain_spent,
                    "same_weights": bool(np.array_equal(again.learning_state(0)["weights"], unit.weights)),
                }
    for name, row in rows.items():
        row["ticks_per_cpu_second"] = ticks / min(seconds[name])
        row["microseconds_per_tick"] = 1e6 * min(seconds[name]) / ticks
    return rows


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--ticks", type=int, default=30_000, help="ticks of the fast engine")
    options.add_argument("--rounds", type=int, default=3)
    arguments = options.parse_args()
    rows = measure(arguments.ticks, arguments.rounds)
    data = {"axons": AXONS, "neurons": NEURONS, "seed": SEED, "ticks": arguments.ticks, "plain_ticks": PLAIN_TICKS, "cases": rows}
    columns = ("rule", "events", "spikes", "µs per tick", "ticks per CPU second", "of the plain model", "same weights")

    def table() -> list[tuple[object, ...]]:
        return [
            (
                name,
                f"{row['events_per_tick']:.1f}",
                f"{row['spikes_per_tick']:.2f}",
                f"{row['microseconds_per_tick']:.1f}",
                f"{row['ticks_per_cpu_second']:,.0f}",
                f"{row['plain_ticks_per_cpu_second']:,.0f}",
                row["same_weights"],
            )
            for name, row in rows.items()
        ]

    finish("learning_speed", data, arguments.json, columns, table)


if __name__ == "__main__":
    main()
