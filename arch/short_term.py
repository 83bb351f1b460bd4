"""Short-term plasticity: the words of an axon, and what is made of time constants. Described in ``docs/short_term.md``."""

from __future__ import annotations

import math

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import Field, WordLayout

#: Bits of a fraction, unsigned, all behind the point: utilisation, facilitation, depression.
FRACTION_BITS = 16
#: Bits of a coefficient, unsigned, by which facilitation or depression decays: it is multiplied with ``decay / 2**DECAY_BITS``.
DECAY_BITS = 16
#: Bits of the logarithm of the ticks from one decay to the next.
STEP_BITS = 4
#: Bits behind the point of an efficacy. It has one bit more, for the 1 of an axon with plain weights.
EFFICACY_BITS = 12
#: Longest time constant, in ticks, of a decay in each tick; with a longer one it is less often, since rounding would distort it.
LONGEST_EVERY_TICK = 1024
#: Longest time constant, in ticks.
LONGEST = LONGEST_EVERY_TICK << ((1 << STEP_BITS) - 1)


def short_term_layout() -> WordLayout:
    """Parameters of an axon. ``use`` is U in units of 2**-16; with 0 the axon's weights are plain.

    Facilitation and depression are multiplied with ``decay / 2**16`` once in ``2**step`` ticks each.
    """
    return WordLayout(
        "short_term",
        (
            Field("use", FRACTION_BITS),
            Field("facilitation_decay", DECAY_BITS),
            Field("depression_decay", DECAY_BITS),
            Field("facilitation_step", STEP_BITS),
            Field("depression_step", STEP_BITS),
        ),
    )


def short_term_state_layout() -> WordLayout:
    """State of an axon, in units of 2**-16: ``facilitation`` is u - U, ``depression`` is 1 - R."""
    return WordLayout("short_term_state", (Field("facilitation", FRACTION_BITS), Field("depression", FRACTION_BITS)))


def decay_of(ticks: float) -> tuple[int, int]:
    """Decay and step for an exponential with a time constant of so many ticks; 0: it is gone in the next tick.

    Raises
    ------
    ConfigError
        If the time constant is out of range.
    """
    if not 0 <= ticks <= LONGEST:
        raise ConfigError(f"a time constant is {ticks:g} ticks; it must be 0 to {LONGEST}")
    if ticks == 0:
        return 0, 0
    step = max(0, math.ceil(math.log2(ticks / LONGEST_EVERY_TICK)))
    return round((1 << DECAY_BITS) * math.exp(-(1 << step) / ticks)), step
