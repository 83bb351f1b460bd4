"""Adaptive exponential integrate-and-fire cells (AdEx; Brette and Gerstner 2005). Described in ``docs/adex.md``."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING, ROUND_FLOOR, Context

import numpy as np
import numpy.typing as npt

from spikeloom.arch.adex import COUPLING_FRACTION, LEAK_FRACTION, RATE_FRACTION, AdEx
from spikeloom.arch.errors import NetworkError
from spikeloom.arch.layout import IntArray

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AdExCell:
    """AdEx neuron with the parameters and defaults of PyNN's ``EIF_cond_exp_isfa_ista``, but with currents as synapses.

    A spike adds its weight to the current for one time step. Each parameter is one number, or an array ``[size]``.

    Parameters
    ----------
    cm : float or array
        Capacitance (nF).
    tau_m : float or array
        Membrane time constant (ms); the leak conductance is ``cm / tau_m``.
    v_rest : float or array
        Reversal potential of the leak (mV).
    v_thresh : float or array
        Potential at which the exponential takes over (mV).
    delta_T : float or array
        Slope factor of the exponential (mV).
    a : float or array
        Adaptation by the potential (nS).
    b : float or array
        Adaptation by a spike (nA).
    tau_w : float or array
        Time constant of the adaptation current (ms).
    v_reset : float or array
        Potential after a spike (mV).
    v_spike : float or array
        Potential above which the neuron spikes (mV).
    i_offset : float or array
        Constant current (nA).
    v_init : float or array
        Initial potential (mV).
    w_init : float or array
        Initial adaptation current (nA).

    Raises
    ------
    NetworkError
        If a value is not finite, ``cm``, ``tau_m``, ``tau_w`` or ``delta_T`` is not above 0, or ``v_reset`` not below ``v_spike``.
    """

    cm: float | FloatArray = 0.281
    tau_m: float | FloatArray = 9.3667
    v_rest: float | FloatArray = -70.6
    v_thresh: float | FloatArray = -50.4
    delta_T: float | FloatArray = 2.0
    a: float | FloatArray = 4.0
    b: float | FloatArray = 0.0805
    tau_w: float | FloatArray = 144.0
    v_reset: float | FloatArray = -70.6
    v_spike: float | FloatArray = -40.0
    i_offset: float | FloatArray = 0.0
    v_init: float | FloatArray = -70.6
    w_init: float | FloatArray = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            try:
                values = np.asarray(getattr(self, field.name), np.float64)
            except (TypeError, ValueError) as error:
                raise NetworkError(f"{field.name} is not a number or an array of numbers: {error}") from error
            _refuse(field.name, values, ~np.isfinite(values), "it must be a finite number")
            if field.name in ("cm", "tau_m", "tau_w", "delta_T"):
                _refuse(field.name, values, values <= 0, "it must be above 0")

    @property
    def model_name(self) -> str:
        """Name of the neuron model."""
        return AdEx.NAME

    def integers(self, model: AdEx, size: int, dt: float) -> dict[str, IntArray]:
        """All parameter fields of ``size`` neurons, as ``docs/adex.md`` derives them.

        Parameters
        ----------
        model : AdEx
            Widths.
        size : int
            Neurons.
        dt : float
            Time step of a tick (ms).

        Returns
        -------
        dict of int64 array ``[size]``

        Raises
        ------
        NetworkError
            If an array has another shape, or an integer does not fit its field; the message names the parameter, its value, its range
            for this neuron, and the nearest value within.
        """
        p = {field.name: self._array(field.name, size) for field in fields(self)}
        _refuse("v_reset", p["v_reset"], p["v_reset"] >= p["v_spike"], "it must be below v_spike")
        limits = {name: (field.low, field.high) for name, field in model.parameter_names().items()}
        step = _step(model, dt)
        membrane_one, recovery_one = 2.0**model.membrane_fraction, 2.0**model.recovery_fraction
        # Absurd values overflow to infinity here, and are refused with their field.
        with np.errstate(all="ignore"):
            leak = _reciprocal("tau_m", p["tau_m"], step * 2.0**LEAK_FRACTION, limits["leak"][1])
            rate = _reciprocal("tau_w", p["tau_w"], step * 2.0**RATE_FRACTION, limits["rate"][1])
            coupling = _linear("a", p["a"], step * 1e-3 / p["cm"] * 2.0**COUPLING_FRACTION, 0.0, limits["coupling"])

            # Potentials count in units of delta_T ln 2 from where the exponential adds one unit in a step.
            unit = p["delta_T"] * math.log(2)
            scale = membrane_one / unit
            offset = np.log2(step / p["tau_m"] / math.log(2)) * membrane_one - p["v_thresh"] * scale
            rest = _linear("v_rest", p["v_rest"], scale, offset, limits["drive"])
            # With the largest peak a neuron would never fire.
            peak = _linear("v_spike", p["v_spike"], scale, offset, (limits["peak"][0], limits["peak"][1] - 1))
            reset = _linear("v_reset", p["v_reset"], scale, offset, limits["reset"])
            initial_membrane = _linear("v_init", p["v_init"], scale, offset, limits["initial_membrane"])

            # Currents count by what they add in a step. The rounded coefficients keep the resting potential where it should be.
            current = step / (p["cm"] * unit)
            increment = _linear("b", p["b"], current * recovery_one, 0.0, limits["increment"])
            adapted = np.float64(2.0**-COUPLING_FRACTION) * coupling * rest
            initial_recovery = _linear(
                "w_init", p["w_init"], current * recovery_one, adapted / membrane_one * recovery_one, limits["initial_recovery"]
            )
            resting = leak * 2.0**-LEAK_FRACTION * rest + adapted
            if model.bias_bits:
                drive = np.rint(resting).astype(np.int64)
                own = {"bias": _linear("i_offset", p["i_offset"], current * membrane_one, 0.0, limits["bias"])}
            else:
                drive = _linear("i_offset", p["i_offset"], current * membrane_one, resting, limits["drive"])
                own = {}
        return {
            "leak": leak,
            "coupling": coupling,
            "rate": rate,
            "drive": drive,
            "peak": peak,
            "reset": reset,
            "increment": increment,
            "initial_membrane": initial_membrane,
            "initial_recovery": initial_recovery,
            **own,
        }

    def unit(self, model: AdEx, dt: float) -> float | FloatArray:
        """Current (nA) of one least significant bit of a weight.

        Parameters
        ----------
        model : AdEx
            Widths.
        dt : float
            Time step of a tick (ms).

        Returns
        -------
        float, or float array ``[size]`` if ``cm`` or ``delta_T`` is an array
        """
        bit = 2.0 ** (model.input_shift - model.membrane_fraction) / _step(model, dt)
        return bit * self.cm * self.delta_T * math.log(2)

    def _array(self, name: str, size: int) -> FloatArray:
        values = np.asarray(getattr(self, name), np.float64)
        if values.shape not in ((), (size,)):
            raise NetworkError(f"{name} has shape {list(values.shape)}; the population has {size} neurons")
        return np.broadcast_to(values, (size,))


def _step(model: AdEx, dt: float) -> float:
    """Step of the integration (ms)."""
    if not 0 < dt < math.inf:
        raise NetworkError(f"dt is {dt} ms; it must be above 0")
    return dt / model.substeps


def _refuse(name: str, values: FloatArray, wrong: npt.NDArray[np.bool_], rule: str) -> None:
    """Raise an error for the first value that is wrong."""
    if wrong.any():
        index = int(np.argmax(wrong))
        which = f" of neuron {index}" if values.ndim else ""
        raise NetworkError(f"{name}{which} is {values.flat[index]:.6g}; {rule}")


def _linear(name: str, values: FloatArray, scale: FloatArray, offset: FloatArray | float, limits: tuple[int, int]) -> IntArray:
    """Integers nearest to ``scale * values + offset``, or an error if one is outside of ``limits``."""
    low, high = ((limit - offset) / scale for limit in limits)
    return _rounded(name, values, scale * values + offset, limits, low, high)


def _reciprocal(name: str, values: FloatArray, scale: float, limit: int) -> IntArray:
    """Integers nearest to ``scale / values``, or an error if one is not 1 to ``limit``."""
    low, high = (np.full(values.shape, scale / end) for end in (limit, 1))
    return _rounded(name, values, scale / values, (1, limit), low, high)


def _rounded(
    name: str, values: FloatArray, exact: FloatArray, limits: tuple[int, int], low: FloatArray, high: FloatArray
) -> IntArray:
    """Integers nearest to ``exact``; values that leave ``limits`` are refused, where ``low`` to ``high`` is what they may be."""
    rounded = np.rint(exact)
    wrong = ~((rounded >= limits[0]) & (rounded <= limits[1]))
    if wrong.any():
        index = int(np.argmax(wrong))
        least, most = _six_digits(low[index], ROUND_CEILING), _six_digits(high[index], ROUND_FLOOR)
        nearest = least if values[index] < least else most
        _refuse(name, values, wrong, f"it must be {least:.6g} to {most:.6g} (nearest: {nearest:.6g})")
    return rounded.astype(np.int64)


def _six_digits(value: float, rounding: str) -> float:
    """Value of six significant digits, rounded up or down."""
    return float(Context(prec=6, rounding=rounding).create_decimal_from_float(value))
