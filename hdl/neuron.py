"""Interface of the neuron pipelines. Described in ``docs/neuron.md``."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.neuron import RANDOM_BITS, NeuronModel, twin
from spikeloom.hdl.layouts import struct_of

#: Cycles after ``start`` in which ``synaptic_sum`` is taken.
SUM_LATENCY = 2
#: Cycles after ``start`` in which ``random`` is taken.
RANDOM_LATENCY = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """When a pipeline takes and gives what.

    Parameters
    ----------
    latency : int
        Cycles from ``start`` to ``done``, at least 3.
    interval : int
        Fewest cycles from one ``start`` to the next.
    firing : int
        Cycles after ``start`` in which ``firing`` is taken; 0 without firing parameters, otherwise at least 3.
    """

    latency: int
    interval: int = 1
    firing: int = 0


class NeuronPipeline(wiring.Component):
    """Base of all pipelines: one neuron every ``timing.interval`` cycles, its result ``timing.latency`` cycles later. Nothing stalls it.

    While a neuron is under way, the next start comes a multiple of ``timing.interval`` cycles after it.

    Parameters
    ----------
    model : NeuronModel
        Widths and options.
    sum_bits : int
        Bits of the synaptic sum.

    Attributes
    ----------
    timing : Timing

    Members
    -------
    start : In(1)
        A neuron is at the ports.
    state : In(state word)
        With ``start``. State and parameters stay at the ports until the next ``start``.
    parameters : In(parameter word)
        With ``start``; there only if the model has such fields, as the next three.
    own : In(own word)
        With ``start``.
    firing : In(firing word)
        ``timing.firing`` cycles after ``start``.
    random : In(32)
        ``RANDOM_LATENCY`` cycles after ``start``.
    synaptic_sum : In(signed(sum_bits))
        ``SUM_LATENCY`` cycles after ``start``; only in this cycle.
    done : Out(1)
        ``timing.latency`` cycles after ``start``.
    new_state : Out(state word)
        State after the tick, with ``done``. Zero otherwise.
    spike : Out(1)
        With ``done``. Zero otherwise.
    """

    def __init__(self, *, model: NeuronModel, sum_bits: int) -> None:
        self.model, self.sum_bits = model, sum_bits
        self.timing = self.timing_of(model)
        words = {name: struct_of(layout) for name, layout in model.words().items()}
        members = {"start": In(1), "synaptic_sum": In(signed(sum_bits)), "done": Out(1), "spike": Out(1)}
        members |= {name: In(shape) for name, shape in words.items()}
        members["new_state"] = Out(words["state"])
        if model.random:
            members["random"] = In(RANDOM_BITS)
        super().__init__(members)

    @staticmethod
    def timing_of(model: NeuronModel) -> Timing:
        """Timing of the pipeline of a model."""
        raise NotImplementedError


def pipeline_class(model: NeuronModel) -> type[NeuronPipeline]:
    """The pipeline that a model names."""
    result: type[NeuronPipeline] = twin(model.HDL)
    return result
