"""Projections that learn, as the compiler sees them: the learning unit they need, and the cores that have it. See ``docs/compiler.md``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.learning import LEARNING_WEIGHT_BITS, Learning
from spikeloom.network.description import Network, Population
from spikeloom.network.plasticity import Plasticity


def plasticity_of(network: Network, population: Population) -> Plasticity | None:
    """How the synapses of a population learn; None: it has none that do."""
    return next((p.plasticity for p in network.projections if p.post is population and p.plasticity is not None), None)


def unit_of_all(network: Network, weight_bits: int) -> Learning | None:
    """The smallest learning unit that all projections of a network can share; None: none of them learns.

    Raises
    ------
    ConfigError
        If a rule is wrong; the message names the projection.
    """
    units = []
    for projection in network.projections:
        if projection.plasticity is not None:
            try:
                units.append(projection.plasticity.unit(weight_bits))
            except ConfigError as error:
                raise ConfigError(f"projection {projection.name}: {error}") from None
    names = [field.name for field in dataclasses.fields(Learning)]
    return Learning(**{name: max(getattr(unit, name) for unit in units) for name in names}) if units else None


def learners(
    network: Network, population: Population, plasticity: Plasticity, cores: Sequence[CoreConfig]
) -> frozenset[CoreConfig]:
    """The cores that can learn as the synapses of a population do.

    Raises
    ------
    ConfigError
        If there are none; the message says what to generate, or which setting is wrong whatever the core.
    """
    where = f"population {population.label!r} has synapses that learn"
    widths = [core.weight_bits for core in cores if core.weight_bits in LEARNING_WEIGHT_BITS]
    if not widths:
        widest = max(core.weight_bits for core in cores)
        raise ConfigError(f"{where}; that needs a core with weight_bits 4, 8 or 16, and the widest has {widest}")
    bits = max(widths)
    setting = f"population {population.label!r}, plasticity"
    try:
        own = plasticity.unit(bits)
    except ConfigError as error:
        raise ConfigError(f"{setting}: {error}") from None
    if own.teacher:
        raise ConfigError(f"{where} from teachers (z0), which the compiler does not place; build the image with image_from_arrays")
    able, reasons = set(), []
    for core in dict.fromkeys(cores):
        if core.learning is not None:
            try:
                plasticity.words(core)
                able.add(core)
            except ConfigError as error:
                reasons.append(str(error))
    if able:
        return frozenset(able)
    try:
        # What the widest core refuses even if it is generated for this rule alone is wrong for all of them.
        plasticity.words(CoreConfig(weight_bits=bits, learning=own))
    except ConfigError as error:
        raise ConfigError(f"{setting}: {error}") from None
    what = f"no core has a learning unit that suits ({reasons[0]})" if reasons else "no core has a learning unit"
    raise ConfigError(f"{where}, but {what}; generate one with learning={unit_of_all(network, bits)!r}")
