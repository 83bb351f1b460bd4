"""Cycles of ``docs/learning.md``, measured on the compiled circuit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.lif import Lif
from spikeloom.hdl.core import empty_tick
from spikeloom.hdl.fabric import ECP5, GENERIC, ICE40_ULTRAPLUS
from spikeloom.host.bus_chip import BusChip
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity
from spikeloom.sim.rtl_bus import RtlBus

#: One pre term, two post terms, one epoch term.
RULE = "dw = x0 * y1 + x1 * y0 + y0 + 2^-8 * u * w"
PLASTICITY = Plasticity(rule=RULE, tau={"x1": 10, "y1": 10}, epoch=8)
AXONS, NEURONS, LANES = 24, 16, 4
WORDS = NEURONS // LANES


def ticks(fabric, plasticity, spikes):
    """Cycles of each tick of a core whose axon n makes neuron n fire."""
    core = CoreConfig(axons=AXONS, neurons=NEURONS, lanes=LANES, levels=1, models=(Lif(bias_bits=0),), learning=plasticity.unit(8))
    weights = np.zeros((AXONS, NEURONS), np.int64)
    weights[:NEURONS] = 100 * np.eye(NEURONS, dtype=np.int64)
    arrays = CoreArrays(
        weights=weights,
        parameters={"retention": 0, "threshold": 50, "reset": 0, "reset_mode": 0, "refractory": 0},
        plasticity=plasticity,
    )
    columns = np.arange(AXONS)
    inputs = np.stack([columns, 0 * columns, columns, 0 * columns], axis=1)
    image = image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=inputs)
    with BusChip(RtlBus(image.config, fabric), image) as chip:
        cycles, before = [], 0
        for _ in chip.stream(row for row in spikes):
            pass
        for count in range(1, len(spikes) + 1):
            chip.run(spikes[:count])
            now = int(chip.counters()["cycles"][0])
            cycles.append(now - before)
            before = now
    return cycles, empty_tick(dataclasses.replace(core, learning=None))


@pytest.mark.parametrize(
    ("fabric", "rule", "latency", "least"),
    [
        (GENERIC, RULE.replace("x0 * y1", "-x0 * (y1 + 0.5)"), 20, 1),
        (dataclasses.replace(ECP5, block_ram_depth=32), RULE, 20, 1),
        (ICE40_ULTRAPLUS, RULE, 19, 2),
    ],
    ids=["sums as factors", "weights in parts", "one port"],
)
def test_cycles_of_a_tick(fabric, rule, latency, least):
    spikes = np.zeros((8, AXONS), np.bool_)
    # Events for axons without a synapse that makes a neuron fire; then for two whose neurons stand in different words.
    spikes[1, 16:19] = True
    got, empty = ticks(fabric, dataclasses.replace(PLASTICITY, rule=rule), spikes)
    trace = 1 + max(AXONS, NEURONS) + latency
    idle = empty + 2 + 1 + trace + 1 + 1
    assert got[0] == got[2] == idle
    # Between two reads of a memory with one port there is a cycle without.
    assert got[7] - idle == AXONS * WORDS * least - (least - 1) + latency
    frozen, _ = ticks(fabric, dataclasses.replace(PLASTICITY, rule=rule, enabled=False), spikes)
    assert frozen[0] == frozen[7] == idle
    assert got[1] - frozen[1] == 3 * WORDS * least - (least - 1) + latency


def test_cycles_of_spikes():
    spikes = np.zeros((3, AXONS), np.bool_)
    # Neurons 0 and 9: two words.
    spikes[1, [0, 9]] = True
    learns, _ = ticks(GENERIC, PLASTICITY, spikes)
    frozen, _ = ticks(GENERIC, dataclasses.replace(PLASTICITY, enabled=False), spikes)
    assert learns[1] - frozen[1] == 2 * WORDS + 19 + 2 * AXONS * 2 + 19
