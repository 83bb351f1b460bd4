"""Leaky integrate-and-fire neuron: widths, options and words. Described in ``docs/lif.md``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import Field, IntArray
from spikeloom.arch.neuron import NeuronModel, check_int
from spikeloom.arch.random import UNIT_BITS

#: Fraction bits of a retention: a state is multiplied by ``retention / 2**12`` each tick.
RETENTION_FRACTION = 12
#: Bits of a retention: 0 to 4096, that is 0.0 to 1.0; an image with a larger one is refused.
RETENTION_BITS = RETENTION_FRACTION + 1
#: Resets that a pipeline can be generated with.
RESETS = ("absolute", "relative", "all")
MAX_NOISE_BITS = 20


class Reset(enum.IntEnum):
    """What a spike does to the membrane potential V."""

    #: V becomes ``reset``.
    ABSOLUTE = 0
    #: V becomes V + ``reset``, less the noise of the threshold; a threshold is subtracted by a negative ``reset``.
    RELATIVE = 1
    #: V stays.
    NONE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Lif(NeuronModel):
    """Widths and options of the leaky integrate-and-fire neuron. An option that is left out costs no logic.

    Parameters
    ----------
    state_bits : int
        Bits of the signed membrane potential, 8 to 28.
    fraction_bits : int
        Bits of the membrane potential below the weight's least significant bit, 0 to 12.
    decay : bool
        Whether the potential is multiplied by a retention each tick (exponential leak).
    leak_bits : int
        Bits of the signed linear leak, added each tick; 0 leaves it out, otherwise 2 to 16.
    stochastic_leak : bool
        Whether a neuron may take its linear leak as a probability. Needs ``leak_bits``.
    bias_bits : int
        Bits of each neuron's constant input, not above ``state_bits``; 0 leaves it out.
    current_bits : int
        Bits of a synaptic current that decays on its own and drives the potential; 0 leaves it out: input acts at once.
    current_wraps : bool
        Whether a current that leaves its width wraps around (Loihi) instead of saturating.
    resets : "absolute", "relative" or "all"
        Resets to choose from per parameter set: to a value; also by addition; also none at all.
    refractory_bits : int
        Bits of the refractory counter, 0 to 8; 0 leaves the refractory period out.
    negative_threshold : bool
        Whether the potential has a lower threshold, at which it stays or is reset.
    threshold_noise_bits : int
        Bits of a random number that is masked and added to the threshold, 0 to 20; 0 leaves it out.
    adaptation_bits : int
        Bits of an adaptation that each spike raises, that decays, and that is added to the threshold; 0 leaves it out.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the field, the value and the limit.
    """

    NAME: ClassVar[str] = "lif"
    GOLDEN: ClassVar[str] = "spikeloom.golden.lif:lif_step"
    HDL: ClassVar[str] = "spikeloom.hdl.lif:LifPipeline"

    state_bits: int = 24
    fraction_bits: int = 6
    decay: bool = True
    leak_bits: int = 0
    stochastic_leak: bool = False
    bias_bits: int = 16
    current_bits: int = 0
    current_wraps: bool = False
    resets: str = "relative"
    refractory_bits: int = 6
    negative_threshold: bool = False
    threshold_noise_bits: int = 0
    adaptation_bits: int = 0

    def __post_init__(self) -> None:
        check_int("state_bits", self.state_bits, 8, 28)
        check_int("fraction_bits", self.fraction_bits, 0, 12)
        check_int("bias_bits", self.bias_bits, 0, self.state_bits, "it cannot be wider than the potential")
        check_int("refractory_bits", self.refractory_bits, 0, 8)
        for name, low, high in (("leak_bits", 2, 16), ("current_bits", 8, 28), ("adaptation_bits", 4, 28)):
            value = getattr(self, name)
            if value != 0 or type(value) is not int:
                check_int(name, value, low, high, "0 leaves it out")
        check_int("threshold_noise_bits", self.threshold_noise_bits, 0, min(MAX_NOISE_BITS, self.state_bits - 1))
        for name in ("decay", "stochastic_leak", "current_wraps", "negative_threshold"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.resets not in RESETS:
            raise ConfigError(f"resets is {self.resets!r}; it must be {', '.join(RESETS[:-1])} or {RESETS[-1]}")
        if self.stochastic_leak and not self.leak_bits:
            raise ConfigError("stochastic_leak is True without a linear leak; give leak_bits, for example 9")
        if self.current_wraps and not self.current_bits:
            raise ConfigError("current_wraps is True without a synaptic current; give current_bits, for example 24")

    def state_fields(self) -> tuple[Field, ...]:
        """Potential, refractory counter, synaptic current, adaptation of the threshold."""
        fields = [Field("membrane", self.state_bits, signed=True)]
        if self.refractory_bits:
            fields.append(Field("refractory", self.refractory_bits))
        if self.current_bits:
            fields.append(Field("current", self.current_bits, signed=True))
        if self.adaptation_bits:
            fields.append(Field("adaptation", self.adaptation_bits))
        return tuple(fields)

    def parameter_fields(self) -> tuple[Field, ...]:
        """How the neurons of a set decay and reset."""
        fields = []
        if self.decay:
            fields.append(Field("retention", RETENTION_BITS))
        if self.current_bits:
            fields.append(Field("current_retention", RETENTION_BITS))
        if self.adaptation_bits:
            fields.append(Field("adaptation_retention", RETENTION_BITS))
        if self.leak_bits:
            fields += [Field("leak", self.leak_bits, signed=True), Field("leak_reversal", 1)]
        if self.stochastic_leak:
            fields.append(Field("leak_stochastic", 1))
        if self.resets != "absolute" or not fields:
            fields.append(Field("reset_mode", 2 if self.resets == "all" else 1))
        return tuple(fields)

    def firing_fields(self) -> tuple[Field, ...]:
        """Thresholds and resets of a set, in units of the potential: the weight's LSB / 2**fraction_bits."""
        fields = [
            Field("threshold", self.state_bits, signed=True, inverted=True),
            Field("reset", self.state_bits, signed=True),
        ]
        if self.refractory_bits:
            fields.append(Field("refractory", self.refractory_bits))
        if self.negative_threshold:
            fields += [Field("negative_threshold", self.state_bits, signed=True), Field("negative_saturates", 1)]
        if self.threshold_noise_bits:
            fields.append(Field("noise_mask", self.threshold_noise_bits))
        if self.adaptation_bits:
            fields.append(Field("adaptation_step", self.adaptation_bits))
        return tuple(fields)

    def own_fields(self) -> tuple[Field, ...]:
        """Constant input of a neuron, in units of the potential."""
        return (Field("bias", self.bias_bits, signed=True),) if self.bias_bits else ()

    def sample(self, rng: np.random.Generator, size: int, weight: int) -> dict[str, IntArray]:
        """See :meth:`NeuronModel.sample`. Thresholds are of the order of a few synapses, so that neurons fire now and then."""
        top = (1 << (self.state_bits - 1)) - 1
        scale = max(1, weight << self.fraction_bits)
        result = NeuronModel.sample(self, rng, size, weight)
        for name in ("retention", "current_retention", "adaptation_retention"):
            corners = rng.choice([0, 1, 2048, 3900, 4095, 1 << RETENTION_FRACTION], size)
            anything = rng.integers(0, 1 << RETENTION_FRACTION, size, endpoint=True)
            result[name] = np.where(rng.random(size) < 0.5, anything, corners)
        mode = rng.choice(np.arange(1 + RESETS.index(self.resets)), size)
        threshold = np.minimum((rng.exponential(rng.choice([1.0, 4.0, 30.0]), size) * scale).astype(np.int64), top)
        threshold = np.where((rng.random(size) < 0.1) & (mode != Reset.RELATIVE), -(threshold // 8) - 1, threshold)
        threshold = np.where(rng.random(size) < 0.05, top, threshold)
        to_value = np.clip(rng.normal(0, scale, size).astype(np.int64), -top, top)
        by_subtraction = -np.where(rng.random(size) < 0.7, np.maximum(threshold, 0), rng.integers(0, top, size))
        result |= {
            "reset_mode": mode,
            "threshold": threshold,
            "reset": np.where(mode == Reset.RELATIVE, by_subtraction, to_value),
            "negative_threshold": -np.minimum(rng.exponential(2.0 * scale, size).astype(np.int64), top),
        }
        if self.refractory_bits:
            longest = min((1 << self.refractory_bits) - 1, 5)
            result["refractory"] = np.where(rng.random(size) < 0.5, 0, rng.integers(0, longest, size, endpoint=True))
        if self.bias_bits:
            largest = (1 << (self.bias_bits - 1)) - 1
            bias = np.clip(rng.normal(0, scale, size), -largest - 1, largest).astype(np.int64)
            result["bias"] = np.where(rng.random(size) < 0.5, 0, bias)
        if self.adaptation_bits:
            largest = (1 << self.adaptation_bits) - 1
            result["adaptation_step"] = np.minimum(rng.exponential(rng.choice([0.3, 3.0]) * scale, size).astype(np.int64), largest)
        return {name: result[name] for name in self.parameter_names()}

    @property
    def random(self) -> bool:
        """Whether a stochastic leak or a noisy threshold was asked for."""
        return self.stochastic_leak or self.threshold_noise_bits > 0

    def check(self, parameters: Mapping[str, IntArray]) -> None:
        """See :meth:`NeuronModel.check`."""
        for name in ("retention", "current_retention", "adaptation_retention"):
            highest = int(parameters[name].max(initial=0)) if name in parameters else 0
            if highest > 1 << RETENTION_FRACTION:
                raise ConfigError(
                    f"{name} {highest} is above {1 << RETENTION_FRACTION} (1.0); it must be 0 to {1 << RETENTION_FRACTION} "
                    f"(nearest: {1 << RETENTION_FRACTION})"
                )
        mode = parameters.get("reset_mode", np.zeros_like(parameters["reset"]))
        if (mode > Reset.NONE).any():
            raise ConfigError(f"reset_mode is {int(mode.max())}; it must be 0 to {int(Reset.NONE)} (nearest: {int(Reset.NONE)})")
        if self.resets == "absolute" and mode.any():
            raise ConfigError(f"reset_mode is {int(mode.max())}; this model was generated with absolute resets only (nearest: 0)")
        relative = mode == Reset.RELATIVE
        if (relative & ((parameters["reset"] > 0) | (parameters["threshold"] < 0))).any():
            raise ConfigError(
                "a relative reset must be 0 or negative, and its threshold 0 or positive; "
                "otherwise the potential could leave its range"
            )
        if self.negative_threshold:
            highest = int(parameters["negative_threshold"].max(initial=0))
            if highest > 0:
                raise ConfigError(f"negative_threshold is {highest}; it must be 0 or negative (nearest: 0)")
            lowest = -(1 << (self.state_bits - 1))
            mirrored = (mode == Reset.ABSOLUTE) & (parameters["negative_saturates"] == 0) & (parameters["reset"] == lowest)
            if mirrored.any():
                raise ConfigError(
                    f"reset is {lowest}, whose negative does not fit; it must be {lowest + 1} or more (nearest: {lowest + 1})"
                )


#: Random bits below these choose the stochastic leak; those from here on are the threshold's noise.
NOISE_SHIFT = UNIT_BITS
