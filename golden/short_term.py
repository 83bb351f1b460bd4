"""Short-term plasticity: golden model of the facilitation and depression of a core's axons. Described in ``docs/short_term.md``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spikeloom.arch.layout import IntArray
from spikeloom.arch.short_term import DECAY_BITS, EFFICACY_BITS, FRACTION_BITS

BoolArray = npt.NDArray[np.bool_]

#: 1 in the unit of a fraction.
ONE = 1 << FRACTION_BITS


class ShortTerm:
    """Facilitation and depression of each axon, of B samples side by side.

    Parameters
    ----------
    parameters : dict of int64 array ``[axons]``
        Fields of the region ``short_term``.
    batch : int
        Samples.

    Attributes
    ----------
    facilitation, depression : int64 arrays ``[B, axons]``
        u - U and 1 - R in units of 2**-16, as the next tick finds them.
    """

    def __init__(self, parameters: Mapping[str, IntArray], batch: int = 1) -> None:
        self.parameters = parameters
        self.clear(batch)

    def clear(self, batch: int) -> None:
        """Initial state: nothing used, so u is U, and R is 1."""
        shape = (2, batch, len(self.parameters["use"]))
        self.facilitation, self.depression = np.zeros(shape, np.int64)

    def arrive(self, active: BoolArray) -> IntArray:
        """Events of a tick, ``[B, axons]``: the efficacies of the axons' weights, in units of 2**-12.

        Those of axons without an event mean nothing.
        """
        use = self.parameters["use"]
        facilitation = self.facilitation + (use * (ONE - use - self.facilitation) >> FRACTION_BITS)
        utilisation = use + facilitation
        released = utilisation * (ONE - self.depression) >> FRACTION_BITS
        self.facilitation = np.where(active, facilitation, self.facilitation)
        self.depression = np.where(active, self.depression + released, self.depression)
        drop = FRACTION_BITS - EFFICACY_BITS
        efficacy = np.minimum((released + (1 << (drop - 1))) >> drop, (1 << EFFICACY_BITS) - 1)
        return np.where(use == 0, 1 << EFFICACY_BITS, efficacy)

    def decay(self, tick: int) -> None:
        """The end of a tick, counted from 0."""
        self.facilitation = self._decayed("facilitation", self.facilitation, tick)
        self.depression = self._decayed("depression", self.depression, tick)

    def _decayed(self, name: str, values: IntArray, tick: int) -> IntArray:
        """Rounded to the nearest; but what is not 0 becomes smaller."""
        product = values * self.parameters[f"{name}_decay"]
        aged = np.minimum((product + (1 << (DECAY_BITS - 1))) >> DECAY_BITS, np.maximum(values - 1, 0))
        return np.where((tick + 1) % (1 << self.parameters[f"{name}_step"]) == 0, aged, values)

    def state(self, sample: int = 0) -> dict[str, IntArray]:
        """``facilitation`` and ``depression`` of a sample, ``[axons]``."""
        return {"facilitation": self.facilitation[sample].copy(), "depression": self.depression[sample].copy()}


def scaled(weights: IntArray, efficacy: IntArray) -> IntArray:
    """Weights times an efficacy, rounded to the nearest; a half goes up. No larger than the weights in magnitude."""
    result: IntArray = (weights * efficacy + (1 << (EFFICACY_BITS - 1))) >> EFFICACY_BITS
    return result
