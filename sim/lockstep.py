"""Lockstep: golden model and RTL side by side, compared after each tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import DELAY_SLOTS, CoreConfig
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import delay_depth
from spikeloom.golden.chip import Chip
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


def expected_state(golden: Chip, sample: int = 0) -> dict[str, IntArray]:
    """Golden contents of the memories that change, named as by ``state()`` of a chip.

    Returns
    -------
    dict
        Of each core n its state fields ``core{n}.<field>`` ``[neurons]``, ``core{n}.delays`` ``[16, axons]`` (bits pending in each slot),
        what its learning unit has, and facilitation and depression of its axons.
    """
    result: dict[str, IntArray] = {}
    for number, core in enumerate(golden.cores):
        result |= {f"core{number}.{name}": values[sample] for name, values in core.state.items()}
        result[f"core{number}.delays"] = core.scheduler.pending[:, sample].astype(np.int64)
        if core.learning is not None:
            result |= {f"core{number}.{name}": values for name, values in core.learning.state().items()}
        if core.short_term is not None:
            result |= {f"core{number}.{name}": values for name, values in core.short_term.state(sample).items()}
    return result


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
            core, what = name.removeprefix("core").split(".")
            index = _place(what, place)
            return Mismatch(what, tick, index, int(values[place]), int(got[name][place]), int(core))
    return None


def _place(what: str, place: tuple[int, ...]) -> str:
    """Which entry of a state array an index is."""
    if what == "delays":
        return f"slot {place[0]}, axon {place[1]}"
    if what in ("weights", "tags"):
        return f"word {place[0]}, lane {place[1]}"
    return f"axon {place[0]}" if what in ("x1", "x2", "facilitation", "depression") else f"neuron {place[0]}"


def compare_outputs(tick: int, expected: npt.ArrayLike, got: npt.ArrayLike, *, ordered: bool = True) -> Mismatch | None:
    """First place in which the output events of a tick differ.

    Their order counts unless they come from several cores, whose packets may overtake each other.
    """
    want, have = np.asarray(expected).tolist(), np.asarray(got).tolist()
    if not ordered:
        want, have = sorted(want), sorted(have)
    for i in range(max(len(want), len(have))):
        e = want[i] if i < len(want) else "nothing"
        g = have[i] if i < len(have) else "nothing"
        if e != g:
            return Mismatch("output", tick, f"event {i}", e, g)
    return None


#: Counters that the golden model has too.
GOLDEN_COUNTERS = ("ticks", "events", "row_words", "spikes", "merged", "dropped")


def compare_counters(core: Core, number: int, got: dict[str, int]) -> Mismatch | None:
    """First counter of a core that differs."""
    for name in GOLDEN_COUNTERS:
        want = core.ticks if name == "ticks" else int(getattr(core, name)[0])
        if got[name] != want:
            return Mismatch("counter", core.ticks - 1, name, want, got[name], number)
    return None


def compare_misrouted(golden: Chip, got: int) -> Mismatch | None:
    """Whether as many packets got lost on all chips as in the golden model."""
    want = int(golden.misrouted[0])
    return None if got == want else Mismatch("counter", golden.ticks - 1, "misrouted", want, got)
