"""How synapses learn: a rule, and how its traces and weights behave, as words of a core's memories. Described in ``docs/plasticity.md``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import WordArray
from spikeloom.arch.learning import (
    DECAY_BITS,
    EPOCH_BITS,
    MAX_TERMS,
    MAX_TRACES,
    TRACE_BITS,
    TRACE_FRACTION_BITS,
    First,
    Learning,
    Second,
    check_learning,
    modulation_layout,
    reward_units,
    settings_layout,
    term_layout,
)
from spikeloom.arch.short_term import FRACTION_BITS, decay_of, short_term_layout
from spikeloom.network.rule import Rule, compile_rule

#: Longest time constant of a trace, in ticks: the largest coefficient is one unit below 1.
MAX_TAU = -1 / math.log1p(-(0.5 + 2**-20) / (1 << DECAY_BITS))


@dataclass(frozen=True, kw_only=True)
class ShortTerm:
    """Short-term plasticity of the axons of a core (Tsodyks and Markram 1997; ``docs/short_term.md``).

    Parameters
    ----------
    use : float, or array ``[axons]``
        Share U of what an axon has to give that an event uses at rest, below 1; 0: the axon's weights are plain.
    facilitation, depression : float, or array ``[axons]``
        Time constants of u and R, in ticks, 0 to 33,554,432. 0: it is gone in the next tick.
    """

    use: npt.ArrayLike
    facilitation: npt.ArrayLike = 0
    depression: npt.ArrayLike = 0

    def words(self, axons: int) -> WordArray:
        """Contents of the region ``short_term``.

        Raises
        ------
        ConfigError
            If a value is out of range, or an array has the wrong shape.
        """
        columns = {}
        for name in ("use", "facilitation", "depression"):
            values = np.asarray(getattr(self, name), np.float64)
            if values.shape not in ((), (axons,)):
                raise ConfigError(f"{name} has shape {list(values.shape)}; it must be a number or [{axons}], one per axon")
            columns[name] = np.broadcast_to(values, axons)
        units = np.rint(columns["use"] * (1 << FRACTION_BITS))
        wrong = np.flatnonzero(~((units >= 0) & (units < 1 << FRACTION_BITS)))
        if len(wrong):
            highest = 1 - 2**-FRACTION_BITS
            raise ConfigError(f"use of axon {wrong[0]} is {columns['use'][wrong[0]]:g}; it must be 0 to {highest:g}")
        fields = {"use": units.astype(np.int64)}
        for name in ("facilitation", "depression"):
            decays = np.array([decay_of(float(ticks)) for ticks in columns[name]], np.int64).reshape(-1, 2)
            fields |= {f"{name}_decay": decays[:, 0], f"{name}_step": decays[:, 1]}
        return short_term_layout().pack(fields)


@dataclass(frozen=True, kw_only=True)
class Plasticity:
    """How the synapses of a core learn.

    Parameters
    ----------
    rule : str
        What changes weights and tags, for example ``"dw = 2 * x1 * y0 - 2 * x0 * y1"`` (``docs/rule.md``).
    tau : dict of float
        Time constant of each trace that the rule uses, in ticks.
    impulse : dict of float
        What an event adds to a trace, below 4; 1 for those that are not named.
    nearest : names of traces
        Those that an event sets to the impulse: only the nearest event counts. To the others it is added: all events count.
    low, high : int
        Bounds of weights, in LSB.
    stochastic : bool
        Whether changes are rounded at random, so that small ones count in the mean; else to the nearest.
    epoch : int
        Ticks from one visit of all synapses to the next, a power of two up to 32768; for rules with ``u``.
    v_threshold : int
        Potential from which on v0 is 1, in units of the potential.
    reward : float
        Reward to begin with, -4 to below 4. :meth:`spikeloom.host.chip.Chip.modulate` changes it.
    enabled : bool
        Whether learning is on to begin with.
    digits : int
        Terms that a constant beside two variables may take (``docs/rule.md``).
    """

    rule: str
    tau: Mapping[str, float] = field(default_factory=dict)
    impulse: Mapping[str, float] = field(default_factory=dict)
    nearest: Sequence[str] = ()
    low: int = 0
    high: int = 127
    stochastic: bool = True
    epoch: int = 1
    v_threshold: int = 0
    reward: float = 0.0
    enabled: bool = True
    digits: int = 3

    def __post_init__(self) -> None:
        for name in ("low", "high", "epoch", "v_threshold", "digits"):
            if not isinstance(getattr(self, name), (int, np.integer)):
                raise ConfigError(f"{name} must be a whole number, not {getattr(self, name)!r}")
        for name in ("tau", "impulse"):
            values = getattr(self, name)
            numbers = values.values() if isinstance(values, Mapping) else [None]
            if not all(isinstance(number, (int, float, np.integer, np.floating)) for number in numbers):
                raise ConfigError(f"{name} must be a dict of numbers, such as {{'x1': 20}}, not {values!r}")
        names = [] if isinstance(self.nearest, str) else self.nearest
        if not isinstance(names, (Sequence, Set)) or isinstance(self.nearest, str) or not all(isinstance(n, str) for n in names):
            raise ConfigError(f"nearest must be names of traces, such as ['x1'], not {self.nearest!r}")

    def unit(self, weight_bits: int, tag_bits: int = 8) -> Learning:
        """The smallest learning unit that can do this.

        Parameters
        ----------
        weight_bits : int
            Of the core.
        tag_bits : int
            Of a tag, if the rule has one.

        Raises
        ------
        ConfigError
            If the rule is wrong.
        """
        everything = Learning(
            pre_traces=MAX_TRACES, post_traces=MAX_TRACES, tag_bits=tag_bits, membrane_flag=True, teacher=True, terms=MAX_TERMS
        )
        rule = self._compiled(everything, weight_bits)
        count = sum(rule.counts.values())
        terms = {name: values[:count] for name, values in rule.terms.items()}
        first, second = _variables(rule)
        used = first | second
        offsets = any(
            (terms[f"{which}_compared"] | ((terms[which] != First.NONE) & (terms[f"{which}_constant"] != 0))).any()
            for which in ("first", "second")
        )
        return Learning(
            pre_traces=max((number for number in (1, 2) if f"x{number}" in used), default=0),
            post_traces=max((number for number in (1, 2) if f"y{number}" in used), default=0),
            tag_bits=tag_bits if "t" in used or rule.terms["target"].any() else 0,
            membrane_flag="v0" in used,
            teacher=rule.counts["teach_terms"] > 0,
            terms=max(1, count),
            offsets=offsets,
            weight_factor="w" in used,
            neuron_products=bool(first & {"y1", "y2"}),
        )

    def compiled(self, core: CoreConfig) -> Rule:
        """The rule as microcode for a core.

        Raises
        ------
        ConfigError
            If the rule is wrong, or needs what the core does not have.
        """
        if core.learning is None:
            raise ConfigError(
                f"the core cannot learn; generate it with learning=Learning(...), for this rule {self.unit(core.weight_bits)!r}"
            )
        return self._compiled(core.learning, core.weight_bits)

    def _compiled(self, unit: Learning, weight_bits: int) -> Rule:
        nearest = {name: self._impulse(name) for name in unit.traces if name in self.nearest}
        return compile_rule(self.rule, unit, weight_bits, digits=self.digits, nearest=nearest)

    def _impulse(self, name: str) -> int:
        """What an event adds to a trace, in its unit."""
        impulse, limit = self.impulse.get(name, 1.0), (1 << TRACE_BITS) - 1
        units = round(impulse * (1 << TRACE_FRACTION_BITS)) if 0 <= impulse < math.inf else -1
        if not 0 <= units <= limit:
            raise ConfigError(f"impulse of {name} is {impulse:g}; it must be 0 to {limit / (1 << TRACE_FRACTION_BITS):g}")
        return units

    def words(self, core: CoreConfig) -> dict[str, WordArray]:
        """Contents of the regions ``learning``, ``rules`` and ``modulation``.

        Raises
        ------
        ConfigError
            If the rule is wrong, needs what the core does not have, or a value is out of range.
        """
        rule = self.compiled(core)
        unit = core.learning
        assert unit is not None
        traces = self._traces(unit, set().union(*_variables(rule)))
        largest = 1 << (core.weight_bits - 1)
        if not -largest <= self.low <= self.high < largest:
            raise ConfigError(
                f"weights are bounded by {self.low} and {self.high}; they must rise within {-largest} to {largest - 1}"
            )
        if self.epoch < 1 or self.epoch & (self.epoch - 1) or self.epoch >= 1 << (1 << EPOCH_BITS):
            raise ConfigError(f"epoch is {self.epoch}; it must be a power of two from 1 to {1 << ((1 << EPOCH_BITS) - 1)}")
        settings = {name: np.array([count]) for name, count in rule.counts.items()}
        numbers = {"epoch": self.epoch.bit_length() - 1, "stochastic": int(self.stochastic), "low": self.low, "high": self.high}
        if unit.membrane_flag:
            numbers["v_threshold"] = self.v_threshold
        settings |= {name: np.array([number]) for name, number in (numbers | traces).items()}
        check_learning(unit, core.weight_bits, settings, rule.terms)
        modulation = {"enabled": np.array([int(self.enabled)]), "reward": np.array([reward_units(self.reward)])}
        return {
            "learning": settings_layout(unit, core.weight_bits).pack(settings),
            "rules": term_layout(unit, core.weight_bits).pack(rule.terms),
            "modulation": modulation_layout().pack(modulation),
        }

    def _traces(self, unit: Learning, used: set[str]) -> dict[str, int]:
        """Settings of the traces; those that the rule does not use stay 0 unless they have a time constant."""
        for what, names in (("tau", self.tau), ("impulse", self.impulse), ("nearest", self.nearest)):
            unknown = sorted(set(names) - set(unit.traces))
            if unknown:
                raise ConfigError(
                    f"{what} names {', '.join(unknown)}; the core has {', '.join(unit.traces) or 'no traces'}: leave out what the rule does "
                    "not use"
                )
        result: dict[str, int] = {}
        for name in unit.traces:
            tau = self.tau.get(name)
            if tau is None and name not in used:
                result |= {f"{name}_{what}": 0 for what in ("decay", "impulse", "nearest")}
                continue
            if tau is None:
                raise ConfigError(f"the trace {name} has no time constant; give tau={{{name!r}: TICKS}}")
            if not 0 < tau <= MAX_TAU:
                raise ConfigError(f"tau of {name} is {tau:g} ticks; it must be above 0 and at most {MAX_TAU:.0f}")
            result[f"{name}_decay"] = round((1 << DECAY_BITS) * math.exp(-1 / tau))
            result[f"{name}_impulse"] = self._impulse(name)
            result[f"{name}_nearest"] = int(name in self.nearest)
        return result


def _variables(rule: Rule) -> tuple[set[str], set[str]]:
    """Names of the variables of first and of second factors."""
    count = sum(rule.counts.values())
    first = {First(number).name.lower() for number in rule.terms["first"][:count].tolist()}
    second = {Second(number).name.lower() for number in rule.terms["second"][:count].tolist()}
    return first, second
