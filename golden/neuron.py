"""Interface of the golden neuron models. Described in ``docs/neuron.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from spikeloom.arch.layout import IntArray
from spikeloom.arch.neuron import NeuronModel, twin

BoolArray = npt.NDArray[np.bool_]
State = dict[str, IntArray]


class Step(Protocol):
    """A golden step: one tick of N neurons, for B samples at once, in exact integers."""

    def __call__(
        self,
        model: Any,
        parameters: Mapping[str, IntArray],
        state: Mapping[str, IntArray],
        synaptic_sum: IntArray,
        random: IntArray,
    ) -> tuple[State, BoolArray]:
        """Compute one tick.

        Parameters
        ----------
        model : NeuronModel
            Widths and options.
        parameters : dict of int64 array ``[N]``
            All fields of parameters, firing and own.
        state : dict of int64 array ``[B, N]``
            State before the tick; must not be changed.
        synaptic_sum : int64 array ``[B, N]``
            Sum of the weights of the active axons.
        random : int64 array ``[N]``
            Numbers of ``RANDOM_BITS`` bits; zeros for a model that asks for none.

        Returns
        -------
        state : dict of int64 array ``[B, N]``
            State after the tick.
        spikes : bool array ``[B, N]``
        """


def step_of(model: NeuronModel) -> Step:
    """The golden step that a model names."""
    step: Step = twin(model.GOLDEN)
    return step
