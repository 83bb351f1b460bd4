# amaranth: UnusedElaboratable=no
"""Random numbers of learning against their definition in ``docs/learning.md``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.learning import CHANGE_FRACTION_BITS, LEARNING_INDEX, PHASE_INDEX_SHIFT, Learning, scattered
from spikeloom.arch.random import random_numbers
from spikeloom.golden.random import spread
from spikeloom.hdl.random import MIXER_LATENCY
from spikeloom.hdl.rounding import SPREAD_LATENCY, Rounding
from tests.hdl.helpers import simulate

LEAST = MIXER_LATENCY + 1 + SPREAD_LATENCY


@pytest.mark.parametrize(("lanes", "latency"), [(1, LEAST), (2, LEAST + 1), (8, LEAST), (16, LEAST + 2)])
def test_a_number_for_each_lane_every_cycle(lanes: int, latency: int) -> None:
    config = CoreConfig(axons=200, neurons=100, lanes=lanes, weight_bits=8, learning=Learning())
    rng = np.random.default_rng(lanes)
    count = 60
    key = int(rng.integers(1 << 32))
    limits = {"phase": 4, "target": 2, "axon": config.axons, "word": config.neuron_words}
    given = {name: rng.integers(0, limit, count) for name, limit in limits.items()}
    stochastic = rng.random(count) < 0.8
    dut = Rounding(config=config, latency=latency)
    got: list[list[int]] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.key, key)
        for cycle in range(count + latency):
            for name in ("phase", "target", "axon"):
                ctx.set(getattr(dut, name), int(given[name][min(cycle, count - 1)]))
            # The word comes when the number of its axon has been mixed; whether it is used, when it is there.
            ctx.set(dut.word, int(given["word"][np.clip(cycle - latency + SPREAD_LATENCY, 0, count - 1)]))
            ctx.set(dut.stochastic, int(stochastic[np.clip(cycle - latency + 1, 0, count - 1)]))
            if cycle >= latency:
                got.append([ctx.get(dut.random[lane]) for lane in range(lanes)])
            await ctx.tick()

    simulate(dut, bench, limit=count + 100)
    index = (
        LEARNING_INDEX
        ^ (given["phase"] << PHASE_INDEX_SHIFT)
        ^ (given["target"] << PHASE_INDEX_SHIFT + 2)
        ^ scattered(given["axon"])
    )
    numbers = spread(random_numbers(key, index), np.arange(config.neuron_slots), CHANGE_FRACTION_BITS)
    neurons = given["word"][:, np.newaxis] * lanes + np.arange(lanes)
    expected = np.where(stochastic[:, np.newaxis], np.take_along_axis(numbers, neurons, axis=1), 1 << (CHANGE_FRACTION_BITS - 1))
    assert got == expected.tolist()
    assert len(np.unique(expected)) > count // 2
