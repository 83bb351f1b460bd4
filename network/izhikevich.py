"""Cell types of the Izhikevich model: from published parameters to integers. Described in ``docs/izhikevich.md``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import NetworkError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import IntArray

FloatArray = npt.NDArray[np.float64]
Parameter = float | FloatArray
UVariant = Literal["standard", "accommodation"]

#: Coefficient of v^2 (1 / (mV ms)).
QUADRATIC = 0.04
#: Potential at which the recovery variable of the accommodation variant stands still (mV).
ACCOMMODATION_REST = -65.0


def _values(name: str, given: Parameter, size: int) -> FloatArray:
    """A parameter as float array ``[size]``, all finite."""
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"{name} is not a number or an array of numbers: {error}") from error
    if values.shape not in ((), (size,)):
        raise NetworkError(f"{name} has shape {list(values.shape)}; the population has {size} neurons")
    values = np.broadcast_to(values, (size,))
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise NetworkError(f"{name} of neuron {int(np.argmax(wrong))} is {values[wrong][0]}; it must be a finite number")
    return values


def _step(model: Izhikevich, dt: float) -> float:
    """Length of a sub-step (ms)."""
    if not (math.isfinite(dt) and dt > 0):
        raise NetworkError(f"dt is {dt} ms; it must be finite and above 0")
    return dt / model.substeps


@dataclass(frozen=True, slots=True)
class _Fields:
    """Turns parameters into fields of a model, and refuses what does not fit."""

    model: Izhikevich

    def of(
        self, field: str, name: str, values: FloatArray, scale: FloatArray | float, origin: FloatArray | float = 0.0
    ) -> IntArray:
        """``scale (values - origin)``, rounded to nearest, as the named field.

        What lies up to one LSB above the largest value becomes the largest value: 1 where the field ends just below 1.

        Raises
        ------
        NetworkError
            The message names the published parameter ``name``, the value, the legal range and the nearest value that fits.
        """
        limits = self.model.parameter_names()[field]
        rounded = np.rint(scale * (values - origin))
        wrong = ~((rounded >= limits.low) & (rounded <= limits.high + 1))
        if wrong.any():
            n = int(np.argmax(wrong))
            unit, start = (float(np.broadcast_to(x, values.shape)[n]) for x in (scale, origin))
            low, high = sorted((limits.low / unit + start, limits.high / unit + start))
            nearest = min(max(values[n], low), high)
            raise NetworkError(
                f"{name} of neuron {n} is {values[n]:.6g}; it must be {low:.6g} to {high:.6g} (nearest: {nearest:.6g})"
            )
        return np.minimum(rounded.astype(np.int64), limits.high)

    def threshold(self, peak: FloatArray, scale: float, origin: FloatArray | float) -> IntArray:
        """The threshold, rounded down: an integer is above the peak exactly if it is above the integer below the peak."""
        nearest = self.of("threshold", "v_peak", peak, scale, origin)
        return np.minimum(np.floor(scale * (peak - origin)).astype(np.int64), nearest)

    def currents(self, rest: FloatArray, offset: FloatArray, scale: float) -> dict[str, IntArray]:
        """``constant``, and where neurons have a bias the offset in it; both from currents, ``scale`` LSB per unit."""
        if self.model.bias_bits:
            constant = self.of("constant", "the constant current", rest, scale)
            return {"constant": constant, "bias": self.of("bias", "i_offset", offset, scale)}
        return {"constant": self.of("constant", "i_offset", offset, scale, -rest)}


def _refuse_reset_above_peak(name: str, reset: FloatArray, peak: FloatArray) -> None:
    """A neuron that is reset above its peak would fire for ever."""
    wrong = reset > peak
    if wrong.any():
        n = int(np.argmax(wrong))
        raise NetworkError(
            f"{name} of neuron {n} is {reset[n]:.6g}; it must be at most v_peak, {peak[n]:.6g} (nearest: {peak[n]:.6g})"
        )


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class IzhikevichCell:
    """Izhikevich neuron with the published parameters, each one number or an array ``[size]``.

    ``dv/dt = 0.04 v^2 + k1 v + k0 - u + I``, ``du/dt = a (b v - u)``; above ``v_peak``: ``v = c``, ``u = u + d`` (Izhikevich 2003). The
    defaults are the regular spiking cell.

    Parameters
    ----------
    a, b : float
        Rate (1/ms) and sensitivity of the recovery variable.
    c, d : float
        Potential after a spike, and jump of the recovery variable (mV).
    v_init : float
        Initial potential (mV).
    u_init : float or None
        Initial recovery variable; None is ``b v_init``.
    k1, k0 : float
        5 and 140 in the paper of 2003; 4.1 and 108 in panels G and L of that of 2004.
    v_peak : float
        Peak (mV).
    i_offset : float
        Constant current.
    u_variant : "standard" or "accommodation"
        The second has ``du/dt = a b (v + 65)``, as panel R of 2004.
    """

    a: Parameter = 0.02
    b: Parameter = 0.2
    c: Parameter = -65.0
    d: Parameter = 8.0
    v_init: Parameter = -65.0
    u_init: Parameter | None = None
    k1: Parameter = 5.0
    k0: Parameter = 140.0
    v_peak: Parameter = 30.0
    i_offset: Parameter = 0.0
    u_variant: UVariant = "standard"

    @property
    def model_name(self) -> str:
        """Name of the neuron model."""
        return Izhikevich.NAME

    def step(self, model: Izhikevich, dt: float) -> float:
        """Length of a sub-step, ``dt / substeps`` (ms).

        Raises
        ------
        NetworkError
            If the range of the potential would be less than 100 mV to either side, or its resolution less than a quarter of the best.
        """
        h = _step(model, dt)
        low, high = (factor / 2**model.step_exponent for factor in (0.25, 2))
        if not low <= h <= high:
            raise NetworkError(
                f"a sub-step (dt / substeps) of {h:g} ms; with step_exponent {model.step_exponent} it must be {low:g} to {high:g} ms "
                f"(nearest: {min(max(h, low), high):g})"
            )
        return h

    def scale(self, model: Izhikevich, dt: float) -> float:
        """LSB of W per mV."""
        return QUADRATIC * self.step(model, dt) * 2.0**model.square_shift

    def unit(self, model: Izhikevich, dt: float) -> float:
        """Current of one LSB of the synaptic sum, in the unit of I of the equation. It lasts one tick."""
        return 2.0**model.input_shift / (self.step(model, dt) * self.scale(model, dt))

    @np.errstate(all="ignore")  # absurd values become infinite, and are refused as such
    def integers(self, model: Izhikevich, size: int, dt: float) -> dict[str, IntArray]:
        """All fields of parameters and own of ``size`` neurons, int64 arrays ``[size]``, for ticks of ``dt`` ms.

        Raises
        ------
        NetworkError
            If a parameter is not finite or does not fit.
        """
        if self.u_variant not in ("standard", "accommodation"):
            raise NetworkError(f"u_variant is {self.u_variant!r}; it must be 'standard' or 'accommodation'")
        h, sigma = self.step(model, dt), self.scale(model, dt)
        a, b, c, d, v_init, k1, k0, v_peak, i_offset = (
            _values(name, getattr(self, name), size) for name in ("a", "b", "c", "d", "v_init", "k1", "k0", "v_peak", "i_offset")
        )
        u_init = b * v_init if self.u_init is None else _values("u_init", self.u_init, size)
        _refuse_reset_above_peak("c", c, v_peak)
        decays = self.u_variant == "standard"
        middle = -k1 / (2 * QUADRATIC)
        # u counts from where the recovery error needs no offset. Without decay any origin will do; this one leaves the most room.
        origin = b * middle if decays else u_init
        pull = np.zeros(size) if decays else b * (middle - ACCOMMODATION_REST)
        jump_scale = h * sigma * 2**model.recovery_fraction
        fields = _Fields(model)
        threshold = fields.threshold(v_peak, sigma, middle)
        return {
            "coupling": fields.of("coupling", "b", b, h * 2**model.coupling_fraction),
            "rate": fields.of("rate", "a", a, h * 2**model.rate_fraction),
            "threshold": threshold,
            "reset": np.minimum(fields.of("reset", "c", c, sigma, middle), threshold),
            "jump": fields.of("jump", "d", d, jump_scale),
            "offset": fields.of("offset", "b (65 - k1 / 0.08)", pull, h * sigma * 2**model.error_fraction),
            "decay": np.full(size, int(decays), np.int64),
            "initial_membrane": fields.of("initial_membrane", "v_init", v_init, sigma, middle),
            "initial_recovery": fields.of("initial_recovery", "u_init", u_init, jump_scale, origin),
            **fields.currents(k0 - k1**2 / (4 * QUADRATIC) - origin, i_offset, h * sigma),
        }


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class QuadraticCell:
    """Quadratic integrate-and-fire neuron: an Izhikevich neuron whose recovery variable stays zero.

    ``tau_m dv/dt = (v - v_rest) (v - v_crit) / (v_crit - v_rest) + I``; above ``v_peak``: ``v = v_reset`` (Latham et al. 2000). Near
    ``v_rest`` it is a leaky integrator with ``tau_m``. The defaults are Neurogrid's ``tau dx/dt = -x + x^2 / 2 + I`` (Benjamin et al.
    2014).

    Parameters
    ----------
    tau_m : float
        Time constant near the resting potential (ms).
    v_rest, v_crit : float
        Resting potential, and potential above which the neuron fires without input (mV, or any other unit).
    v_peak, v_reset : float or float array ``[size]``
        Peak, and potential after a spike.
    v_init : float, float array or None
        Initial potential; None is ``v_rest``.
    i_offset : float or float array ``[size]``
        Constant input, in the unit of v.
    """

    tau_m: float = 10.0
    v_rest: float = 0.0
    v_crit: float = 2.0
    v_peak: Parameter = 20.0
    v_reset: Parameter = 0.0
    v_init: Parameter | None = None
    i_offset: Parameter = 0.0

    @property
    def model_name(self) -> str:
        """Name of the neuron model."""
        return Izhikevich.NAME

    def scale(self, model: Izhikevich, dt: float) -> float:
        """LSB of W per unit of v.

        Raises
        ------
        NetworkError
            If the time constant or the two potentials make no such neuron.
        """
        for name in ("tau_m", "v_rest", "v_crit"):
            if not math.isfinite(getattr(self, name)):
                raise NetworkError(f"{name} is {getattr(self, name)}; it must be a finite number")
        h = _step(model, dt)
        if not self.tau_m > 2 * h:
            raise NetworkError(f"tau_m is {self.tau_m:g} ms; it must be above two sub-steps, {2 * h:g} ms")
        if not self.v_crit > self.v_rest:
            raise NetworkError(f"v_crit is {self.v_crit:g}; it must be above v_rest, {self.v_rest:g}")
        return h * 2.0**model.square_shift / (self.tau_m * (self.v_crit - self.v_rest))

    def unit(self, model: Izhikevich, dt: float) -> float:
        """Input of one LSB of the synaptic sum, in the unit of v. It lasts one tick."""
        return 2.0**model.input_shift * self.tau_m / (_step(model, dt) * self.scale(model, dt))

    @np.errstate(all="ignore")  # absurd values become infinite, and are refused as such
    def integers(self, model: Izhikevich, size: int, dt: float) -> dict[str, IntArray]:
        """See :meth:`IzhikevichCell.integers`."""
        sigma = self.scale(model, dt)
        v_peak, v_reset, i_offset = (_values(name, getattr(self, name), size) for name in ("v_peak", "v_reset", "i_offset"))
        v_init = _values("v_init", self.v_rest if self.v_init is None else self.v_init, size)
        _refuse_reset_above_peak("v_reset", v_reset, v_peak)
        middle = (self.v_rest + self.v_crit) / 2
        zero = np.zeros(size, np.int64)
        fields = _Fields(model)
        threshold = fields.threshold(v_peak, sigma, middle)
        constant = np.full(size, (self.v_rest - self.v_crit) / 4)
        return {
            "coupling": zero,
            "rate": zero,
            "threshold": threshold,
            "reset": np.minimum(fields.of("reset", "v_reset", v_reset, sigma, middle), threshold),
            "jump": zero,
            "offset": zero,
            "decay": zero,
            "initial_membrane": fields.of("initial_membrane", "v_init", v_init, sigma, middle),
            "initial_recovery": zero,
            **fields.currents(constant, i_offset, _step(model, dt) * sigma / self.tau_m),
        }
