"""Learning: what a core that learns is generated with, its words and its microcode. Described in ``docs/learning.md``."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import Field, IntArray, WordLayout
from spikeloom.arch.neuron import check_int
from spikeloom.arch.random import INDEX_STEP

#: Bits of a trace, unsigned.
TRACE_BITS = 16
#: Those of them behind the point: a trace is below 4.
TRACE_FRACTION_BITS = 14
#: Bits of a trace that rules see, the upper ones.
SEEN_BITS = 12
#: Those of them behind the point.
SEEN_FRACTION_BITS = 10
#: What a flag or a comparison counts if it is true: 1 in the unit of a trace.
FLAG = 1 << SEEN_FRACTION_BITS
#: Bits of the coefficient, unsigned, by which a trace decays in each tick: it is multiplied with ``decay / 2**DECAY_BITS``.
DECAY_BITS = 16
#: Bits of the reward: signed, with ``SEEN_FRACTION_BITS`` behind the point.
REWARD_BITS = 13
#: Bits behind the point of a change of a weight or tag, and of the random number that it is rounded with.
CHANGE_FRACTION_BITS = 12
#: Bits of a term's shift.
SHIFT_BITS = 5
#: Bits of the first factor's constant, signed.
FIRST_CONSTANT_BITS = 13
#: Bits of the threshold of v0, signed, in units of the potential.
V_THRESHOLD_BITS = 32
#: Bits of the logarithm of an epoch's ticks.
EPOCH_BITS = 4
#: Most traces on either side.
MAX_TRACES = 2
#: Most terms.
MAX_TERMS = 32
#: Weight widths that can learn.
LEARNING_WEIGHT_BITS = (4, 8, 16)
#: Widths of a tag.
TAG_BITS = (0, 8, 16)
#: Part of the index of the random numbers of learning.
LEARNING_INDEX = 1 << 30
#: First bit of the phase in this index; the target stands two bits higher.
PHASE_INDEX_SHIFT = 26


class Phase(enum.IntEnum):
    """When synapses are visited."""

    #: Those of axons that had an event, before the neurons are updated.
    PRE = 0
    #: Those of neurons that fired, after the update.
    POST = 1
    #: All of them, at the end of each epoch.
    EPOCH = 2


class Target(enum.IntEnum):
    """What a term changes."""

    #: The weight.
    WEIGHT = 0
    #: The tag.
    TAG = 1


class First(enum.IntEnum):
    """Variable of a term's first factor."""

    #: None: the factor is its constant.
    NONE = 0
    #: ``FLAG`` if the axon had an event in this tick.
    X0 = 1
    #: First trace of the axon.
    X1 = 2
    #: Second trace of the axon.
    X2 = 3
    #: First trace of the neuron.
    Y1 = 4
    #: Second trace of the neuron.
    Y2 = 5
    #: Reward.
    R = 6


class Second(enum.IntEnum):
    """Variable of a term's second factor."""

    #: None: the factor is its constant.
    NONE = 0
    #: First trace of the neuron.
    Y1 = 1
    #: Second trace of the neuron.
    Y2 = 2
    #: Weight.
    W = 3
    #: Tag.
    T = 4
    #: ``FLAG`` if the neuron's potential was not below ``v_threshold`` after its last update.
    V0 = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """What the learning unit of a core can do.

    Parameters
    ----------
    pre_traces : int
        Traces of each axon: x1, x2; 0 to 2.
    post_traces : int
        Traces of each neuron: y1, y2; 0 to 2.
    tag_bits : int
        Bits of a signed tag of each synapse, 8 or 16; 0 leaves it out.
    membrane_flag : bool
        Whether rules see v0: that the neuron's potential was not below a threshold when it was last updated.
    terms : int
        Terms that the rules of all phases together can have, 1 to 32.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    pre_traces: int = 1
    post_traces: int = 1
    tag_bits: int = 0
    membrane_flag: bool = False
    terms: int = 8

    def __post_init__(self) -> None:
        check_int("pre_traces", self.pre_traces, 0, MAX_TRACES)
        check_int("post_traces", self.post_traces, 0, MAX_TRACES)
        check_int("terms", self.terms, 1, MAX_TERMS)
        if not isinstance(self.membrane_flag, bool):
            raise ConfigError(f"membrane_flag must be True or False, not {self.membrane_flag!r}")
        if type(self.tag_bits) is not int or self.tag_bits not in TAG_BITS:
            raise ConfigError(f"tag_bits is {self.tag_bits!r}; it must be {', '.join(map(str, TAG_BITS))}")

    @property
    def traces(self) -> tuple[str, ...]:
        """Names of all traces."""
        return (*(f"x{n + 1}" for n in range(self.pre_traces)), *(f"y{n + 1}" for n in range(self.post_traces)))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that factors may have."""
        options = ("t",) * bool(self.tag_bits) + ("v0",) * self.membrane_flag
        return ("x0", *self.traces, "r", "w", *options)

    def second_constant_bits(self, weight_bits: int) -> int:
        """Bits of the second factor's constant, signed: it can cancel any weight, tag or trace."""
        return max(FIRST_CONSTANT_BITS, weight_bits + 1, self.tag_bits + 1)

    def sum_bits(self, weight_bits: int) -> int:
        """Bits of the sum of a weight, or tag, and its terms: one more than they need, and the fraction's."""
        return max(weight_bits, self.tag_bits) + 1 + CHANGE_FRACTION_BITS


def term_layout(learning: Learning, weight_bits: int) -> WordLayout:
    """One term: it adds ``± (first factor * second factor) >> shift`` to its target's change, in units of 2**-CHANGE_FRACTION_BITS.

    A factor is its variable plus its constant; or, if it is ``compared``, ``FLAG`` if that is not below 0, and else 0. ``last`` marks the
    last term of a target in its phase: the target is rounded and kept.
    """
    return WordLayout(
        "term",
        (
            Field("shift", SHIFT_BITS),
            Field("negative", 1),
            Field("first", 3),
            Field("second", 3),
            Field("target", 1),
            Field("last", 1),
            Field("first_compared", 1),
            Field("second_compared", 1),
            Field("first_constant", FIRST_CONSTANT_BITS, signed=True),
            Field("second_constant", learning.second_constant_bits(weight_bits), signed=True),
        ),
    )


def settings_layout(learning: Learning, weight_bits: int) -> WordLayout:
    """Numbers of terms of each phase, bounds of weights, and how traces behave.

    The terms of a phase stand behind those of the phase before. An event adds ``impulse`` to a trace, or sets it to that if the trace is
    ``nearest``.
    """
    count = learning.terms.bit_length()
    fields = [Field(f"{phase.name.lower()}_terms", count) for phase in Phase]
    fields += [
        Field("epoch", EPOCH_BITS),
        Field("stochastic", 1),
        Field("low", weight_bits, signed=True),
        Field("high", weight_bits, signed=True),
    ]
    if learning.membrane_flag:
        fields.append(Field("v_threshold", V_THRESHOLD_BITS, signed=True))
    for name in learning.traces:
        fields += [Field(f"{name}_decay", DECAY_BITS), Field(f"{name}_impulse", TRACE_BITS), Field(f"{name}_nearest", 1)]
    return WordLayout("learning", tuple(fields))


def modulation_layout() -> WordLayout:
    """What a host changes while the chip runs: whether synapses change, and the reward."""
    return WordLayout("modulation", (Field("enabled", 1), Field("reward", REWARD_BITS, signed=True)))


def trace_layout(name: str, count: int) -> WordLayout:
    """Traces of an axon (x) or a neuron (y), as they are found in the next tick."""
    return WordLayout(f"{name}_traces", tuple(Field(f"{name}{n + 1}", TRACE_BITS) for n in range(count)))


def first_range(variable: First) -> tuple[int, int]:
    """Smallest and largest value of a first factor's variable."""
    if variable == First.NONE:
        return 0, 0
    if variable == First.X0:
        return 0, FLAG
    if variable == First.R:
        return -(1 << (REWARD_BITS - 1)), (1 << (REWARD_BITS - 1)) - 1
    return 0, (1 << SEEN_BITS) - 1


def second_range(variable: Second, weight_bits: int, tag_bits: int) -> tuple[int, int]:
    """Smallest and largest value of a second factor's variable."""
    if variable == Second.NONE:
        return 0, 0
    if variable in (Second.W, Second.T):
        bits = weight_bits if variable == Second.W else tag_bits
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if variable == Second.V0:
        return 0, FLAG
    return 0, (1 << SEEN_BITS) - 1


def check_learning(learning: Learning, weight_bits: int, settings: Mapping[str, IntArray], terms: Mapping[str, IntArray]) -> None:
    """Refuse settings and terms that the hardware would not run as they are meant.

    Parameters
    ----------
    learning : Learning
        What the core has.
    weight_bits : int
    settings : dict of int64 array ``[1]``
        Fields of :func:`settings_layout`.
    terms : dict of int64 array ``[learning.terms]``
        Fields of :func:`term_layout`.

    Raises
    ------
    ConfigError
        The message names the term, the value, the limit and the remedy.
    """
    counts = [int(settings[f"{phase.name.lower()}_terms"][0]) for phase in Phase]
    if sum(counts) > learning.terms:
        raise ConfigError(f"the rules have {sum(counts)} terms; the core has room for {learning.terms}: raise terms")
    low, high = int(settings["low"][0]), int(settings["high"][0])
    if low > high:
        raise ConfigError(f"the lower bound of weights is {low}, above the upper one, {high}")
    first = 0
    for phase, count in zip(Phase, counts, strict=True):
        rows = [{name: int(values[number]) for name, values in terms.items()} for number in range(first, first + count)]
        _check_phase(learning, weight_bits, phase, rows)
        first += count


def _check_phase(learning: Learning, weight_bits: int, phase: Phase, rows: list[dict[str, int]]) -> None:
    name = phase.name.lower()
    targets = [row["target"] for row in rows]
    expected = [int(number == len(rows) - 1 or targets[number + 1] != target) for number, target in enumerate(targets)]
    if targets != sorted(targets) or [row["last"] for row in rows] != expected:
        raise ConfigError(f"the {name} terms must be those of the weight, then those of the tag, the last of each marked")
    # Room of a change, besides the weight or tag itself and the rounding: sum_bits has one bit more than these need.
    bound = (1 << (max(weight_bits, learning.tag_bits) - 1 + CHANGE_FRACTION_BITS)) - (1 << CHANGE_FRACTION_BITS)
    for target in Target:
        total = 0
        for number, row in enumerate(rows):
            if row["target"] == target:
                total += _largest(learning, weight_bits, f"{name} term {number}", row)
        if total > bound:
            raise ConfigError(
                f"the {name} terms can change a {target.name.lower()} by {total / (1 << CHANGE_FRACTION_BITS):.6g} at once; at most "
                f"{bound / (1 << CHANGE_FRACTION_BITS):.6g} fits: use smaller constants"
            )


def _largest(learning: Learning, weight_bits: int, where: str, row: Mapping[str, int]) -> int:
    """Largest magnitude of a term; refuses variables that the core does not have."""
    for what, known in (("first", First), ("second", Second)):
        if row[what] not in list(known):
            raise ConfigError(f"{where}: its {what} factor is variable {row[what]}; there are {len(known)}")
        variable = known(row[what]).name.lower()
        if variable not in ("none", *learning.variables):
            raise ConfigError(f"{where}: it uses {variable}, which the core was not generated with")
    if row["target"] == Target.TAG and not learning.tag_bits:
        raise ConfigError(f"{where}: it changes a tag, which the core was not generated with")
    firsts = [value + row["first_constant"] for value in first_range(First(row["first"]))]
    seconds = [value + row["second_constant"] for value in second_range(Second(row["second"]), weight_bits, learning.tag_bits)]
    firsts = [0, FLAG] if row["first_compared"] else firsts
    seconds = [0, FLAG] if row["second_compared"] else seconds
    return max(abs(a * b >> row["shift"]) for a in firsts for b in seconds)


def scattered(index: IntArray) -> IntArray:
    """Index of 32 bits for a number of up to 13: its product with ``INDEX_STEP``, as polynomials over the bits.

    The random numbers of near indices are not independent enough (``docs/random.md``); those of products are, and this one needs no
    carries.
    """
    result = np.zeros_like(index)
    for bit in range(13):
        result ^= np.where(index >> bit & 1, INDEX_STEP << bit & 0xFFFFFFFF, 0)
    return result


def reward_units(reward: float) -> int:
    """A reward as the hardware holds it.

    Raises
    ------
    ConfigError
        If it is out of range.
    """
    limit = 1 << (REWARD_BITS - 1)
    units = round(reward * (1 << SEEN_FRACTION_BITS)) if math.isfinite(reward) else limit
    if not -limit <= units < limit:
        highest = (limit - 1) / (1 << SEEN_FRACTION_BITS)
        raise ConfigError(f"reward is {reward:g}; it must be {-limit / (1 << SEEN_FRACTION_BITS):g} to {highest:g}")
    return units
