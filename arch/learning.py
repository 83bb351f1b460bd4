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
    #: Those of neurons whose teacher fired, after those of the phase post.
    TEACH = 3


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
    teacher : bool
        Whether rules have the trigger z0: that the neuron's teacher fired. The teacher of neuron n is neuron n xor 1.
    terms : int
        Terms that the rules of all phases together can have, 1 to 32.
    offsets : bool
        Whether a factor can be a sum of a variable and a constant, or the comparison of one with 0. False saves LUTs in each lane, and so
        do the next two.
    weight_factor : bool
        Whether a factor can be the weight.
    neuron_products : bool
        Whether both factors of a product can be variables of the neuron or the synapse.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    pre_traces: int = 1
    post_traces: int = 1
    tag_bits: int = 0
    membrane_flag: bool = False
    teacher: bool = False
    terms: int = 8
    offsets: bool = True
    weight_factor: bool = True
    neuron_products: bool = True

    def __post_init__(self) -> None:
        check_int("pre_traces", self.pre_traces, 0, MAX_TRACES)
        check_int("post_traces", self.post_traces, 0, MAX_TRACES)
        check_int("terms", self.terms, 1, MAX_TERMS)
        for name in ("membrane_flag", "teacher", "offsets", "weight_factor", "neuron_products"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if type(self.tag_bits) is not int or self.tag_bits not in TAG_BITS:
            raise ConfigError(f"tag_bits is {self.tag_bits!r}; it must be {', '.join(map(str, TAG_BITS))}")

    @property
    def traces(self) -> tuple[str, ...]:
        """Names of all traces."""
        return (*(f"x{n + 1}" for n in range(self.pre_traces)), *(f"y{n + 1}" for n in range(self.post_traces)))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that factors may have."""
        options = ("w",) * self.weight_factor + ("t",) * bool(self.tag_bits) + ("v0",) * self.membrane_flag
        return ("x0", *self.traces, "r", *options)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases that rules can have terms for, in the order in which the terms lie."""
        return tuple(phase for phase in Phase if phase != Phase.TEACH or self.teacher)

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
    fields = [Field(f"{phase.name.lower()}_terms", count) for phase in learning.phases]
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


def largest_traces(learning: Learning, settings: Mapping[str, IntArray]) -> dict[str, int]:
    """Largest value of each trace as rules see it: of those that an event sets to the impulse, the impulse."""
    whole = dict.fromkeys(learning.traces, (1 << TRACE_BITS) - 1)
    nearest = {name: int(settings[f"{name}_impulse"][0]) for name in whole if settings[f"{name}_nearest"][0]}
    return {name: value >> (TRACE_BITS - SEEN_BITS) for name, value in (whole | nearest).items()}


def factor_range(name: str, traces: Mapping[str, int], weight_bits: int, tag_bits: int) -> tuple[int, int]:
    """Smallest and largest value of a factor's variable."""
    if name in ("w", "t", "r"):
        bits = {"w": weight_bits, "t": tag_bits, "r": REWARD_BITS}[name]
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, {"none": 0, "x0": FLAG, "v0": FLAG, **traces}[name]


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
    counts = [int(settings[f"{phase.name.lower()}_terms"][0]) for phase in learning.phases]
    if sum(counts) > learning.terms:
        raise ConfigError(f"the rules have {sum(counts)} terms; the core has room for {learning.terms}: raise terms")
    low, high = int(settings["low"][0]), int(settings["high"][0])
    if low > high:
        raise ConfigError(f"the lower bound of weights is {low}, above the upper one, {high}")
    first, traces = 0, largest_traces(learning, settings)
    for phase, count in zip(learning.phases, counts, strict=True):
        rows = [{name: int(values[number]) for name, values in terms.items()} for number in range(first, first + count)]
        _check_phase(learning, weight_bits, phase, rows, traces)
        first += count


def _check_phase(learning: Learning, weight_bits: int, phase: Phase, rows: list[dict[str, int]], traces: Mapping[str, int]) -> None:
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
                total += _largest(learning, weight_bits, f"{name} term {number}", row, traces)
        if total > bound:
            raise ConfigError(
                f"the {name} terms can change a {target.name.lower()} by {total / (1 << CHANGE_FRACTION_BITS):.6g} at once; at most "
                f"{bound / (1 << CHANGE_FRACTION_BITS):.6g} fits: use smaller constants"
            )


def _largest(learning: Learning, weight_bits: int, where: str, row: Mapping[str, int], traces: Mapping[str, int]) -> int:
    """Largest magnitude of a term; refuses what the core was not generated for."""
    factors = []
    for what, known in (("first", First), ("second", Second)):
        if row[what] not in list(known):
            raise ConfigError(f"{where}: its {what} factor is variable {row[what]}; there are {len(known)}")
        variable, constant, compared = known(row[what]), row[f"{what}_constant"], row[f"{what}_compared"]
        name = variable.name.lower()
        if name not in ("none", *learning.variables):
            raise ConfigError(f"{where}: it uses {name}, which the core was not generated with")
        if variable in (First.Y1, First.Y2) and known is First and not learning.neuron_products:
            raise ConfigError(f"{where}: its first factor is {name}; the core needs neuron_products for this")
        if not learning.offsets and (compared or (constant and variable)):
            raise ConfigError(f"{where}: its {what} factor is a sum or a comparison; the core needs offsets for this")
        values = [value + constant for value in factor_range(name, traces, weight_bits, learning.tag_bits)]
        factors.append([0, FLAG] if compared else values)
    if row["target"] == Target.TAG and not learning.tag_bits:
        raise ConfigError(f"{where}: it changes a tag, which the core was not generated with")
    return max(abs(a * b >> row["shift"]) for a in factors[0] for b in factors[1])


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
