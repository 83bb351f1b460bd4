"""Lockstep: golden model and RTL side by side, compared after each tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import DELAY_SLOTS, CoreConfig
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import delay_depth
from spikeloom.golden.core import Core


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first difference between golden model and RTL."""

    what: str
    tick: int
    index: str
    expected: object
    got: object
    core: int = 0

    def __str__(self) -> str:
        return (
            f"{self.what} differs: tick {self.tick}, core {self.core}, {self.index}: "
            f"expected {self.expected} (golden), got {self.got} (RTL)"
        )


def expected_state(golden: Core, sample: int = 0) -> dict[str, IntArray]:
    """Golden contents of the memories that change, as the bus shows them.

    Returns
    -------
    dict
        State fields of the models ``[neurons]``, ``delays`` ``[16, axons]`` (bits pending in each slot).
    """
    return {
        **{name: values[sample] for name, values in golden.state.items()},
        "delays": golden.scheduler.pending[:, sample].astype(np.int64),
    }


def delays_from_words(config: CoreConfig, pending: IntArray) -> IntArray:
    """Delay memory as ``[16, axons]`` from its unpacked words ``[depth, 16]``."""
    slots = pending.reshape(DELAY_SLOTS, delay_depth(config) // DELAY_SLOTS * pending.shape[1])
    return slots[:, : config.axons]


def first_difference(tick: int, expected: dict[str, IntArray], got: dict[str, IntArray]) -> Mismatch | None:
    """First place in which two states differ."""
    for name, values in expected.items():
        different = np.argwhere(values != got[name])
        if len(different):
            place = tuple(int(i) for i in different[0])
            index = f"neuron {place[0]}" if len(place) == 1 else f"slot {place[0]}, axon {place[1]}"
            return Mismatch(name, tick, index, int(values[place]), int(got[name][place]))
    return None


def compare_outputs(tick: int, expected: npt.ArrayLike, got: npt.ArrayLike) -> Mismatch | None:
    """First place in which the output events of a tick differ; their order counts."""
    want, have = np.asarray(expected).tolist(), np.asarray(got).tolist()
    for i in range(max(len(want), len(have))):
        e = want[i] if i < len(want) else "nothing"
        g = have[i] if i < len(have) else "nothing"
        if e != g:
            return Mismatch("output", tick, f"event {i}", e, g)
    return None
