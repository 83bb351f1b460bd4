"""Emitter: golden model. Turns spikes into events for axons and into outputs. Described in ``docs/emitter.md``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeloom.arch.layout import IntArray


class Emitter:
    """Destination lists of a core, expanded: one entry per neuron and destination, in the order in which they are sent.

    Parameters
    ----------
    index : dict of int64 array ``[neurons]``
        ``first`` entry and ``count`` of the destination list of each neuron.
    routes : dict of int64 array ``[destinations]``
        ``kind``, ``delay``, ``target``, and where the mesh has several columns or rows ``dx`` and ``dy``.

    Attributes
    ----------
    source : int64 array ``[K]``
        Neuron of each link.
    kind, delay, target, dx, dy : int64 arrays ``[K]``
        Its destination.
    """

    def __init__(self, index: Mapping[str, IntArray], routes: Mapping[str, IntArray]) -> None:
        first, count = index["first"], index["count"]
        self.source: IntArray = np.repeat(np.arange(len(count)), count)
        position = np.arange(len(self.source)) - np.repeat(np.cumsum(count) - count, count)
        entry = first[self.source] + position
        self.kind, self.delay, self.target = (routes[name][entry] for name in ("kind", "delay", "target"))
        self.dx, self.dy = (routes[name][entry] if name in routes else np.zeros_like(entry) for name in ("dx", "dy"))
