"""Geometries that behave like published chips and formats. Described in ``docs/profiles.md``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.lif import Lif


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
