# amaranth: UnusedElaboratable=no
"""Two chip links on a bad cable, compiled: millions of cycles per second. Described in ``docs/chip_link.md``."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spikeloom.hdl.chip_link import ChipLink
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.verilog import to_verilog
from spikeloom.sim.compiled import compile_library

HARNESS = Path(__file__).parent / "chip_link_harness.cpp"
#: Units of time in a clock period, for a clock of speed 1.
PERIOD = 12_000
#: What a read gives of a word that is being written is poisoned.
POISONED = Fabric(name="poisoned", poison_collisions=True)
Words = npt.NDArray[np.uint64]


class Settings(ctypes.Structure):
    """One side and the cable to it; chances are those of a clock cycle, of 2**32. Fields as in the harness."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "period", "reset", "source_pause", "sink_pause", "fault_chance", "fault_cycles", "cut_chance", "cut_cycles", "skew",
        )
    )  # fmt: skip


class Counts(ctypes.Structure):
    """What a side has seen: its cycles, strobes of ``errors`` and ``repeats``, cycles with ``up``, falls of ``up``, words, faults."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("cycles", "errors", "repeats", "up", "falls", "accepted", "faults"))


class ChipLinkPair:
    """Two compiled links; the first call for a geometry compiles it.

    Parameters
    ----------
    width, lanes, cell : int
        Of both links.
    seed : int
        Of all pauses and faults, and of registers without reset.
    """

    def __init__(self, *, width: int, lanes: int, cell: int, seed: int) -> None:
        self.lanes = lanes
        verilog = to_verilog(ChipLink(width=width, lanes=lanes, cell=cell, fabric=POISONED), "chip_link")
        library = ctypes.CDLL(str(compile_library(verilog, "chip_link", HARNESS)))
        library.sim_new.restype = ctypes.c_void_p
        library.sim_taken.restype = ctypes.c_uint64
        self._library = library
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(library.sim_new(ctypes.c_uint32(seed & 0xFFFFFFFF)))
        self._settings = (Settings(period=PERIOD, reset=1), Settings(period=PERIOD, reset=1))
        for side in (0, 1):
            self.set(side)

    def set(self, side: int, **changes: float) -> None:
        """Change settings of a side: ``speed`` (of its clock), ``reset``, or chances and cycles of :class:`Settings`; ``skew`` in periods."""
        settings = self._settings[side]
        for name, value in changes.items():
            if name == "speed":
                settings.period = round(PERIOD / value)
            elif name == "skew":
                settings.skew = round(PERIOD * value)
            elif name.endswith(("_pause", "_chance")):
                setattr(settings, name, round(value * 2**32))
            else:
                setattr(settings, name, int(value))
        self._library.sim_set(self._handle, ctypes.c_uint32(side), ctypes.byref(settings))

    def put(self, side: int, words: npt.ArrayLike) -> None:
        """Queue words at a side."""
        array = np.ascontiguousarray(words, np.uint64)
        pointer = array.ctypes.data_as(ctypes.c_void_p)
        self._library.sim_put(self._handle, ctypes.c_uint32(side), pointer, ctypes.c_uint64(len(array)))

    def run(self, cycles: float, wanted: tuple[int, int] = (2**62, 2**62)) -> bool:
        """Run until side 0 and side 1 have taken so many words in all, or for so many cycles of speed 1; returns whether they have."""
        duration = ctypes.c_uint64(round(cycles * PERIOD))
        count0, count1 = (ctypes.c_uint64(count) for count in wanted)
        return bool(self._library.sim_run(self._handle, duration, count0, count1, self.lanes + 2))

    def taken(self, side: int) -> Words:
        """All words that a side has taken."""
        count = self._library.sim_taken(self._handle, ctypes.c_uint32(side), None, ctypes.c_uint64(0))
        words = np.zeros(count, np.uint64)
        self._library.sim_taken(self._handle, ctypes.c_uint32(side), words.ctypes.data_as(ctypes.c_void_p), ctypes.c_uint64(count))
        return words

    def counts(self, side: int) -> Counts:
        """Counts of a side."""
        counts = Counts()
        self._library.sim_counts(self._handle, ctypes.c_uint32(side), ctypes.byref(counts))
        return counts

    def up(self, side: int) -> bool:
        """Whether a side's ``up`` is high."""
        return bool(self._library.sim_up(self._handle, ctypes.c_uint32(side)))

    def close(self) -> None:
        """Free the simulator."""
        if self._handle is not None:
            self._library.sim_free(self._handle)
            self._handle = None
