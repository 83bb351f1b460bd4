"""Same-step evaluation of a network, layer after layer as the training frameworks do, in real numbers or in the quantised integers.

It knows nothing of cores, axons and ticks: that is what makes it a reference for what the compiler does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import NetworkError
from spikeloom.arch.lif import RETENTION_FRACTION, Lif, Reset
from spikeloom.network.description import FloatArray, Network, Neurons, Population
from spikeloom.network.quantise import QuantisedNetwork

BoolArray = npt.NDArray[np.bool_]
#: Potential, sum of weights -> potential before the threshold.
_Integrate = Callable[[FloatArray, FloatArray], FloatArray]


def order_of_evaluation(network: Network, delays: list[int]) -> list[Population]:
    """Populations with neurons, each behind those that reach it within the step.

    Raises
    ------
    NetworkError
        If a loop has no delay.
    """
    waiting = [population for population in network.populations if not population.is_input]
    order: list[Population] = []
    while waiting:
        ready = [
            population
            for population in waiting
            if not any(
                projection.post is population and delay == 0 and projection.pre in waiting
                for projection, delay in zip(network.projections, delays, strict=True)
            )
        ]
        if not ready:
            names = ", ".join(population.label for population in waiting)
            raise NetworkError(
                f"the populations {names} form a loop without a delay; give one of its projections a delay of a step"
            )
        order.append(ready[0])
        waiting.remove(ready[0])
    return order


def evaluate(
    network: Network,
    spikes: npt.NDArray[np.bool_],
    quantised: QuantisedNetwork | None = None,
    saturated: dict[str, int] | None = None,
) -> dict[str, BoolArray]:
    """Spikes of every population. Weights stay as they are: nothing learns.

    Parameters
    ----------
    network : Network
        What to evaluate.
    spikes : bool array ``[samples, ticks, inputs]``
        Columns of all inputs side by side.
    quantised : QuantisedNetwork or None
        Evaluate in its integers instead of real numbers. (Integers are held in float64, exactly: all stay below 2**53.)
    saturated : dict or None
        Receives, by population label, how often a potential or synaptic current left its width (integers only).

    Returns
    -------
    dict of bool array ``[samples, ticks, size]``
        By population label, inputs included.
    """
    delays = network.delays()
    order = order_of_evaluation(network, delays)
    samples, ticks, _ = spikes.shape
    trains: dict[str, BoolArray] = {}
    first = 0
    for population in network.inputs:
        trains[population.label] = spikes[:, :, first : first + population.size]
        first += population.size
    for population in order:
        trains[population.label] = np.zeros((samples, ticks, population.size), np.bool_)
    steppers = {p.label: _stepper(p, quantised, samples, saturated) for p in order}
    incoming = {
        p.label: [
            (trains[projection.pre.label], _matrix(quantised, number, projection.weights), delay)
            for number, (projection, delay) in enumerate(zip(network.projections, delays, strict=True))
            if projection.post is p
        ]
        for p in order
    }
    for tick in range(ticks):
        for population in order:
            total = np.zeros((samples, population.size))
            for train, matrix, delay in incoming[population.label]:
                if tick >= delay:
                    total += train[:, tick - delay] @ matrix
            trains[population.label][:, tick] = steppers[population.label](total)
    return trains


def _matrix(quantised: QuantisedNetwork | None, number: int, weights: FloatArray) -> FloatArray:
    return weights if quantised is None else quantised.weights[number].astype(np.float64)


def _stepper(
    population: Population, quantised: QuantisedNetwork | None, samples: int, saturated: dict[str, int] | None
) -> Callable[[FloatArray], BoolArray]:
    """A function that takes the sums of one step and gives its spikes."""
    neurons = population.neurons
    if not isinstance(neurons, Neurons):
        raise NetworkError(
            f"population {population.label!r} has no per-step form (another model than lif, or a FixedCell), so it cannot be evaluated"
        )
    shape = (samples, population.size)
    potential, held_for, current, adaptation = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    integrate: _Integrate
    threshold, reset = neurons.threshold, neurons.reset
    fade, step_up = neurons.adaptation_retention, neurons.adaptation_step
    ceiling = np.inf
    if quantised is None:
        subtract, refractory = neurons.reset_mode == "subtract", neurons.refractory

        def integrate(v: FloatArray, total: FloatArray) -> FloatArray:
            if neurons.current_retention is not None:
                current[:] = total = neurons.current_retention * current + total
            return neurons.retention * v + neurons.bias + total

    else:
        q = quantised.neurons[population.label].parameters
        model = quantised.neurons[population.label].model
        assert isinstance(model, Lif)
        one = 1 << RETENTION_FRACTION
        subtract = bool((q["reset_mode"] == Reset.RELATIVE).all()) if "reset_mode" in q else False
        refractory = q.get("refractory", np.zeros(population.size, np.int64))
        threshold, reset = q["threshold"].astype(np.float64), q["reset"].astype(np.float64) * (-1 if subtract else 1)
        low, high = -float(1 << (model.state_bits - 1)), float((1 << (model.state_bits - 1)) - 1)
        half = float(1 << (model.current_bits - 1)) if model.current_bits else 0.0
        if model.adaptation_bits:
            fade, step_up = q["adaptation_retention"] / one, q["adaptation_step"].astype(np.float64)
            ceiling = float((1 << model.adaptation_bits) - 1)

        def count(exact: FloatArray, least: float, most: float) -> None:
            if saturated is not None:
                beyond = int(((exact < least) | (exact > most)).sum())
                saturated[population.label] = saturated.get(population.label, 0) + beyond

        def integrate(v: FloatArray, total: FloatArray) -> FloatArray:
            drive = total * (1 << model.fraction_bits)
            if model.current_bits:
                exact = np.trunc(current * q["current_retention"] / one) + drive
                count(exact, -half, half - 1)
                current[:] = drive = (exact + half) % (2 * half) - half if model.current_wraps else np.clip(exact, -half, half - 1)
            exact = np.trunc(v * q.get("retention", one) / one) + drive + q.get("bias", 0)
            count(exact, low, high)
            return np.clip(exact, low, high)

    def step(total: FloatArray) -> BoolArray:
        held = held_for > 0
        integrated = integrate(potential, total)
        fired: BoolArray = (integrated > threshold + adaptation) & ~held
        after = integrated - reset if subtract else np.broadcast_to(reset, integrated.shape)
        potential[:] = np.where(held, potential, np.where(fired, after, integrated))
        held_for[:] = np.where(fired, refractory, np.maximum(held_for - 1, 0))
        if fade is not None and step_up is not None:
            faded = fade * adaptation if quantised is None else np.trunc(fade * adaptation)
            adaptation[:] = np.minimum(faded + np.where(fired, step_up, 0), ceiling)
        return fired

    return step
