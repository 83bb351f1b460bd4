"""Geometries that behave like published chips and formats. Described in ``docs/profiles.md``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.lif import Lif, Reset


@dataclass(frozen=True, slots=True)
class Profile:
    """A geometry after a chip or a format.

    Parameters
    ----------
    name : str
        Name for :func:`profile`.
    source : str
        Where the equations and widths stand.
    model : Lif
        Widths and options of the neuron.
    core : dict
        What else differs from the defaults of :class:`CoreConfig`.
    """

    name: str
    source: str
    model: Lif
    core: dict[str, Any] = field(default_factory=dict)


#: Profiles by name. What each is exact to stands in ``docs/profiles.md``.
PROFILES: dict[str, Profile] = {
    entry.name: entry
    for entry in (
        Profile(
            "truenorth",
            "A. Cassidy et al., Cognitive computing building block, IJCNN 2013",
            Lif(
                state_bits=20,
                fraction_bits=0,
                decay=False,
                leak_bits=9,
                stochastic_leak=True,
                bias_bits=0,
                resets="all",
                refractory_bits=0,
                negative_threshold=True,
                threshold_noise_bits=18,
            ),
            {"axons": 256, "neurons": 256, "weight_bits": 1, "stochastic_synapses": True},
        ),
        Profile(
            "loihi",
            "M. Davies et al., Loihi: a neuromorphic manycore processor with on-chip learning, IEEE Micro 2018",
            # 13-bit mantissa << 0 to 7: 20 bits of bias. 17-bit mantissa << 6: 23 bits of threshold.
            Lif(
                state_bits=24,
                fraction_bits=6,
                bias_bits=20,
                current_bits=24,
                current_wraps=True,
                resets="absolute",
                refractory_bits=6,
            ),
            # 16,384 words of 8 weights: the 128 KB of synaptic memory of a core.
            {"axons": 1024, "neurons": 1024, "weight_bits": 8, "lanes": 8, "weight_words": 16384},
        ),
        Profile(
            "odin",
            "C. Frenkel et al., A 0.086-mm2 12.7-pJ/SOP 64k-synapse 256-neuron processor, IEEE TBioCAS 2019",
            # An unsigned potential of 8 bits: one of 9 bits that stays at 0 below 0.
            Lif(
                state_bits=9,
                fraction_bits=0,
                decay=False,
                leak_bits=8,
                bias_bits=0,
                resets="absolute",
                refractory_bits=0,
                negative_threshold=True,
            ),
            # The last axon is the time reference: its weights are the strengths of the leak, up to 127.
            {"axons": 257, "neurons": 256, "weight_bits": 8},
        ),
        Profile(
            "nir",
            "J. Pedersen et al., Neuromorphic intermediate representation, Nature Communications 2024",
            Lif(current_bits=24),
        ),
    )
}


def profile(name: str, **changes: Any) -> CoreConfig:
    """Geometry of a profile.

    Parameters
    ----------
    name : str
        One of ``PROFILES``.
    changes : any
        Parameters of :class:`CoreConfig`, or of the profile's :class:`Lif`, that shall differ.

    Raises
    ------
    ConfigError
        If the profile or a parameter is unknown, or a value is out of range.
    """
    if name not in PROFILES:
        raise ConfigError(f"no profile {name!r}; known are {', '.join(PROFILES)}")
    chosen = PROFILES[name]
    of_model = {item.name for item in dataclasses.fields(Lif)}
    of_core = {item.name for item in dataclasses.fields(CoreConfig)}
    unknown = [key for key in changes if key not in of_model | of_core]
    if unknown:
        raise ConfigError(f"profile {name!r}: neither CoreConfig nor Lif has a parameter {unknown[0]!r}")
    for_model = {key: value for key, value in changes.items() if key in of_model}
    if "models" in changes and for_model:
        raise ConfigError(f"profile {name!r}: give either models or {next(iter(for_model))}, not both")
    model = dataclasses.replace(chosen.model, **for_model)
    arguments = {"models": (model,), **chosen.core} | {key: value for key, value in changes.items() if key in of_core}
    if {"axons", "neurons", "lanes", "weight_bits"} & set(changes) and "weight_words" not in changes:
        # The depth of the weight memory belongs to the size of the profile.
        arguments.pop("weight_words", None)
    return CoreConfig(**arguments)


def truenorth_neuron(
    *,
    alpha: int,
    beta: int = 0,
    reset: int = 0,
    gamma: int = 0,
    kappa: int = 0,
    leak: int = 0,
    epsilon: int = 0,
    stochastic_leak: int = 0,
    mask: int = 0,
) -> dict[str, int]:
    """Fields of a parameter set for a neuron in the symbols of Cassidy et al. (2013).

    Parameters
    ----------
    alpha, beta : int
        Positive threshold, 0 to 2**18 - 1 (1 or more with ``gamma`` 1), and negative threshold as a positive number.
    reset : int
        Reset potential R.
    gamma : int
        Reset mode: 0 to R, 1 by subtraction ("linear"), 2 none.
    kappa : int
        1: the potential stays at the negative threshold; 0: it is reset from there, as ``gamma`` says.
    leak, epsilon, stochastic_leak : int
        Lambda, -255 to 255; whether its direction follows the sign of the potential; whether it is a probability (c).
    mask : int
        Mask M of the threshold's noise.
    """
    return {
        "threshold": alpha - 1,
        "negative_threshold": -beta,
        "negative_saturates": kappa,
        "reset_mode": gamma,
        "reset": -alpha if gamma == Reset.RELATIVE else reset,
        "leak": leak,
        "leak_reversal": epsilon,
        "leak_stochastic": stochastic_leak,
        "noise_mask": mask,
    }


def loihi_neuron(
    *, vth: int, du: int = 4095, dv: int = 0, mantissa: int = 0, exponent: int = 0, refractory: int = 1
) -> dict[str, int]:
    """Fields of a neuron in the registers of Davies et al. (2018).

    Parameters
    ----------
    vth : int
        Mantissa of the threshold, 0 to 131071.
    du, dv : int
        Decays of current and voltage per tick times 4096, 0 to 4095. One is added to ``du``, as the chip does.
    mantissa, exponent : int
        Bias ``mantissa << exponent``; -4096 to 4095, and 0 to 7.
    refractory : int
        Ticks from a spike to the first tick that may have the next, 1 to 64.
    """
    return {
        "threshold": vth << 6,
        "current_retention": 4096 - du - 1,
        "retention": 4096 - dv,
        "bias": mantissa << exponent,
        "reset": 0,
        "refractory": refractory - 1,
    }


def odin_neuron(*, threshold: int, leak: int = 0) -> dict[str, int]:
    """Fields of a neuron after ODIN's LIF neuron (Frenkel et al. 2019).

    Parameters
    ----------
    threshold : int
        1 to 255.
    leak : int
        Leakage strength of a time reference in every tick, 0 to 127; 0 if time references come as events.
    """
    return {
        "threshold": threshold - 1,
        "reset": 0,
        "negative_threshold": 0,
        "negative_saturates": 1,
        "leak": -leak,
        "leak_reversal": 0,
    }
