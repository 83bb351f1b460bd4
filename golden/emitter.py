"""Emitter: golden model. Turns spikes into events for axons and into outputs. Described in ``docs/emitter.md``."""

from __future__ import annotations

import numpy as np

from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import Destination


class Emitter:
    """Destination lists of a core, expanded.

    Parameters
    ----------
    first, count : int64 arrays ``[neurons]``
        Destination list of each neuron.
    kind, delay, target : int64 arrays ``[destinations]``
        Entries.

    Attributes
    ----------
    axon_links : dict of delay to (source neurons ``[K]``, axons ``[K]``)
        Events a spike makes, by delay.
    output_links : (source neurons ``[K]``, output numbers ``[K]``)
        Outputs a spike makes.
    """

    def __init__(self, first: IntArray, count: IntArray, kind: IntArray, delay: IntArray, target: IntArray) -> None:
        source = np.repeat(np.arange(len(count)), count)
        position = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
        entry = first[source] + position
        to_axon = kind[entry] == Destination.AXON
        self.axon_links: dict[int, tuple[IntArray, IntArray]] = {}
        for ticks in np.unique(delay[entry[to_axon]]).tolist():
            chosen = to_axon & (delay[entry] == ticks)
            self.axon_links[ticks] = (source[chosen], target[entry[chosen]])
        self.output_links = (source[~to_axon], target[entry[~to_axon]])
