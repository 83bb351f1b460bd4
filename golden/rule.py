"""Rules of learning: what a rule's text says a change is. Described in ``docs/rule.md``."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.learning import CHANGE_FRACTION_BITS, SEEN_FRACTION_BITS, Phase, Target

#: Real value of a variable is its integer over this power of two.
_FRACTION_BITS = dict.fromkeys(("x0", "x1", "x2", "y1", "y2", "r", "v0"), SEEN_FRACTION_BITS) | {"w": 0, "t": 0}
_NAME = "x0|x1|x2|y0|y1|y2|z0|r|w|t|v0|u"
_FACTOR = re.compile(
    rf"2\^(?P<exponent>-?\d+)|(?P<number>\d+)|(?P<name>{_NAME})"
    rf"|\((?P<inner>{_NAME}) (?P<sign>\+|-|>=) (?P<constant>-?\d+(?:\.\d+)?)\)"
)
#: A sign and factors, as far as the next sign that stands outside of parentheses.
_TERM = re.compile(
    r"(?P<sign>-|\+ |- )?(?P<product>[^-+ ()]\S*|\([^()]*\))(?P<more>(?: \* (?:[^-+ ()]\S*|\([^()]*\)))*)(?: (?=[-+] )|$)"
)


@dataclass(frozen=True, slots=True)
class _Term:
    target: Target
    phase: Phase
    negative: bool
    coefficient: Fraction
    #: Variable, real constant, whether the sum is compared with 0.
    factors: tuple[tuple[str, Fraction, bool], ...]


def change(text: str, phase: Phase, target: Target, variables: Mapping[str, IntArray]) -> IntArray:
    """What a rule changes in a visit of synapses.

    Each product is rounded down to a multiple of ``2**-CHANGE_FRACTION_BITS`` before its sign is applied, then all are added.

    Parameters
    ----------
    text : str
        The rule as compiled, ``Rule.text``: its constants are exact, each product is one term.
    phase : Phase
    target : Target
    variables : dict of int64 array
        Integers as the learning unit sees them, of shapes that broadcast: x0 and v0 (1.0 or 0), traces and r with
        ``SEEN_FRACTION_BITS`` behind the point, w and t without.

    Returns
    -------
    int64 array of the broadcast shape
        In units of ``2**-CHANGE_FRACTION_BITS`` of a weight or tag.

    Raises
    ------
    ConfigError
        If the text is not that of a compiled rule.
    """
    total = np.zeros(np.broadcast_shapes(*(np.shape(values) for values in variables.values())), np.int64)
    for term in _parsed(text):
        if term.phase == phase and term.target == target:
            value = _value(term, variables)
            total = total - value if term.negative else total + value
    assert total.dtype == np.int64
    return total


def _value(term: _Term, variables: Mapping[str, IntArray]) -> IntArray:
    """Product of a term, rounded down."""
    product = np.ones((), np.int64)
    scale = term.coefficient * (1 << CHANGE_FRACTION_BITS)
    for name, constant, compared in term.factors:
        exact = constant * (1 << _FRACTION_BITS[name])
        if exact.denominator != 1:
            raise ConfigError(f"not a rule as compiled: {constant} beside {name} has too many digits")
        factor = variables[name] + np.int64(exact.numerator)
        if compared:
            factor = (factor >= 0).astype(np.int64)
        else:
            scale /= 1 << _FRACTION_BITS[name]
        product = product * factor
    assert int(np.abs(product).max(initial=0)) * scale.numerator < 1 << 63
    assert scale.denominator < 1 << 63
    return product * np.int64(scale.numerator) // np.int64(scale.denominator)


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> tuple[_Term, ...]:
    terms = []
    for line in text.split("\n"):
        name, _, products = line.partition(" = ")
        position = 0
        if name not in ("dw", "dt") or not products:
            raise ConfigError(f"not a rule as compiled: {line!r}")
        while position < len(products):
            found = _TERM.match(products, position)
            if found is None or (position and not found["sign"]):
                raise ConfigError(f"not a rule as compiled: {products[position:]!r}")
            target = Target.WEIGHT if name == "dw" else Target.TAG
            terms.append(_term(target, str(found["sign"]).strip() == "-", found["product"] + found["more"]))
            position = found.end()
    return tuple(terms)


def _term(target: Target, negative: bool, product: str) -> _Term:
    coefficient = Fraction(1)
    factors = []
    flags = []
    for part in product.split(" * "):
        found = _FACTOR.fullmatch(part)
        if found is None:
            raise ConfigError(f"not a rule as compiled: {part!r} in {product!r}")
        if found["exponent"]:
            coefficient *= Fraction(2) ** int(found["exponent"])
        elif found["number"]:
            coefficient *= int(found["number"])
        elif found["name"] in ("x0", "y0", "z0", "u"):
            flags.append(found["name"])
        elif found["name"]:
            factors.append((found["name"], Fraction(0), False))
        else:
            # A comparison asks whether the difference is not below 0.
            constant = Fraction(found["constant"])
            factors.append((found["inner"], constant if found["sign"] == "+" else -constant, found["sign"] == ">="))
    if "u" in flags:
        phase = Phase.EPOCH
    elif "y0" in flags or "z0" in flags:
        phase = Phase.POST if "y0" in flags else Phase.TEACH
        # The event of the axon is a variable when the neuron or its teacher fires.
        factors += [("x0", Fraction(0), False)] * flags.count("x0")
    else:
        phase = Phase.PRE
    if not flags or len(factors) > 2 or any(name not in _FRACTION_BITS for name, _, _ in factors):
        raise ConfigError(f"not a rule as compiled: {product!r}")
    return _Term(target, phase, negative, coefficient, tuple(factors))
