"""Delay scheduler: golden model. Sixteen slots of one bit per axon. Described in ``docs/scheduler.md``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import DELAY_SLOTS, CoreConfig
from spikeloom.arch.layout import IntArray

BoolArray = npt.NDArray[np.bool_]


class Scheduler:
    """Pending events of B samples.

    Attributes
    ----------
    pending : bool array ``[DELAY_SLOTS, B, axons]``
        ``pending[s]`` is due at the next tick t with ``t % DELAY_SLOTS == s``.
    """

    def __init__(self, config: CoreConfig, batch: int) -> None:
        self.pending: BoolArray = np.zeros((DELAY_SLOTS, batch, config.axons), np.bool_)

    def deposit(self, tick: int, axons: IntArray, events: BoolArray) -> IntArray:
        """Mark events as due at ``tick``.

        Parameters
        ----------
        tick : int
            Tick at which the axons become active.
        axons : int64 array ``[K]``
            Axon of each column of ``events``; an axon may occur more than once.
        events : bool array ``[B, K]``
            Which samples have the event.

        Returns
        -------
        int64 array ``[B]``
            Events that were merged: the same axon and tick was already pending.
        """
        slot = self.pending[tick % DELAY_SLOTS]
        merged = np.zeros(len(slot), np.int64)
        remaining = np.arange(len(axons))
        while len(remaining):
            # One occurrence of each axon at a time, so that a repeated axon merges with its first event.
            _, first = np.unique(axons[remaining], return_index=True)
            columns = remaining[first]
            target = axons[columns]
            merged += (slot[:, target] & events[:, columns]).sum(axis=1)
            slot[:, target] |= events[:, columns]
            remaining = np.delete(remaining, first)
        return merged

    def take(self, tick: int) -> BoolArray:
        """Axons due at ``tick``, ``[B, axons]``; they are no longer pending."""
        slot = tick % DELAY_SLOTS
        due: BoolArray = self.pending[slot].copy()
        self.pending[slot] = False
        return due
