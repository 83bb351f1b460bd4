"""Rules of learning: text to terms of the learning unit, and back. Described in ``docs/rule.md``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, NoReturn

import numpy as np

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.learning import (
    CHANGE_FRACTION_BITS,
    FIRST_CONSTANT_BITS,
    SEEN_FRACTION_BITS,
    SHIFT_BITS,
    First,
    Learning,
    Phase,
    Second,
    Target,
    check_learning,
    term_layout,
)
from spikeloom.arch.neuron import check_int

#: Most characters of a rule, parentheses inside each other, and powers of two of one constant.
MAX_LENGTH, MAX_NESTING, MAX_DIGITS = 4096, 32, 8
#: Most products, and variables of one, while parentheses are multiplied out; largest exponent of a number.
MAX_PRODUCTS, MAX_FACTORS, LARGEST_EXPONENT = 256, 8, 64
#: Bits of the constant of a product of one variable, without its sign.
MANTISSA_BITS = 12
#: Bits behind the point of a factor that is compared: it is ``FLAG``, 1.0, or 0.
COMPARED_FRACTION_BITS = SEEN_FRACTION_BITS
_LARGEST_SHIFT = (1 << SHIFT_BITS) - 1
#: Target of each left side, phase of each trigger.
TARGETS = {"dw": Target.WEIGHT, "dt": Target.TAG}
TRIGGERS = {"x0": Phase.PRE, "y0": Phase.POST, "u": Phase.EPOCH, "z0": Phase.TEACH}
#: Variables: those of the first factor only, of both, of the second only; so the one with the lower number is the first factor.
_RANK = {name: number for number, name in enumerate(("x0", "x1", "x2", "r", "y1", "y2", "w", "t", "v0"))}
_FIRST = {member.name.lower(): member for member in First if member != First.NONE}
_SECOND = {member.name.lower(): member for member in Second if member != Second.NONE}
#: Variables that are whole numbers.
WHOLE = ("w", "t")

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>\*\*|>=|<=|[-+*^()=<>;])|(?P<skip>\s+|#[^\n]*)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the learning unit gets it.

    Parameters
    ----------
    terms : dict of int64 array ``[learning.terms]``
        Fields of ``term_layout``; those behind the last term are 0.
    counts : dict of int
        Those of ``settings_layout``: ``pre_terms`` and the other phases'.
    text : str
        The rule with the constants that the terms have, one product for each term. With the same digits it compiles to these.
    error : float
        Largest error of a constant by rounding, relative to it.
    """

    terms: dict[str, IntArray]
    counts: dict[str, int]
    text: str
    error: float


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Atom(NamedTuple):
    """A factor: variable plus constant, in units of the variable; or whether this is not below 0."""

    rank: int
    name: str
    constant: int
    compared: bool

    @property
    def unit(self) -> int:
        """Parts of 1 in which the variable and its constant are."""
        return 1 if self.name in WHOLE else 1 << SEEN_FRACTION_BITS

    @property
    def fraction_bits(self) -> int:
        return COMPARED_FRACTION_BITS if self.compared else self.unit.bit_length() - 1


#: Triggers and factors of a product, both sorted.
_Key = tuple[tuple[str, ...], tuple[_Atom, ...]]
#: A sum of products: the constant of each.
_Sum = dict[_Key, Fraction]
_NUMBER: _Key = ((), ())


def compile_rule(
    text: str, learning: Learning, weight_bits: int, *, digits: int = 3, nearest: Mapping[str, int] | None = None
) -> Rule:
    """Compile a rule, and check with ``check_learning`` that no change can overflow.

    Parameters
    ----------
    text : str
        Such as ``dw = 2^-4 * x1 * y0 - 2^-5 * x0 * y1``; changes are in units of a weight or tag, traces and the reward are real numbers.
    learning : Learning
        What the core has.
    weight_bits : int
    digits : int
        Most powers of two, added or subtracted, for the constant of a product of two variables, 1 to 8; each takes a term.
    nearest : dict of int or None
        Impulses of the traces that an event sets to it; the others can reach 4.

    Raises
    ------
    ConfigError
        The message names line, column and text of the place, what is wrong and what there is instead.
    """
    check_int("digits", digits, 1, MAX_DIGITS)
    if not isinstance(text, str):
        raise ConfigError(f"a rule must be a text, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ConfigError(f"the rule has {len(text)} characters; at most {MAX_LENGTH} are read")
    parser = _Parser(text, learning, weight_bits)
    products: dict[tuple[Target, _Key], tuple[Fraction, _Token]] = {}
    for target, key, constant, place in parser.rule():
        known = products.get((target, key), (Fraction(0), place))
        products[target, key] = known[0] + constant, known[1]
    rows: dict[tuple[Phase, Target], list[dict[str, int]]] = {(phase, target): [] for phase in Phase for target in Target}
    for (target, key), (constant, place) in products.items():
        if constant:
            phase, found, error = _terms(parser, key, constant, place, digits)
            rows[phase, target] += [{"target": int(target), **row} for row in found]
            parser.error = max(parser.error, error)
    for group in filter(None, rows.values()):
        group[-1]["last"] = 1
    ordered = [row for group in rows.values() for row in group]
    if not ordered:
        raise ConfigError("the rule changes nothing: all its products cancel")
    if len(ordered) > learning.terms:
        raise ConfigError(f"the rule needs {len(ordered)} terms; the core has {learning.terms}: raise terms, or lower digits")
    counts = {f"{phase.name.lower()}_terms": sum(len(rows[phase, target]) for target in Target) for phase in learning.phases}
    names = [field.name for field in term_layout(learning, weight_bits).fields]
    ordered += [{}] * (learning.terms - len(ordered))
    terms = {name: np.array([row.get(name, 0) for row in ordered], np.int64) for name in names}
    numbers = counts | {"low": 0, "high": 0}
    for name in learning.traces:
        numbers |= {f"{name}_nearest": int(name in (nearest or {})), f"{name}_impulse": (nearest or {}).get(name, 0)}
    check_learning(learning, weight_bits, {name: np.array([value]) for name, value in numbers.items()}, terms)
    return Rule(terms, counts, describe(terms, counts), parser.error)


def _terms(parser: _Parser, key: _Key, constant: Fraction, place: _Token, digits: int) -> tuple[Phase, list[dict[str, int]], float]:
    """Phase of a product, the fields of its terms except target and last, and the relative error of its constant."""
    triggers, atoms = key
    if not triggers:
        parser.fail(
            place,
            "no trigger: a product needs x0 (its axon had an event), y0 (its neuron fired), z0 (its teacher) or u (an epoch ended)",
        )
    if "u" in triggers and len(triggers) > 1:
        parser.fail(place, f"u and {triggers[-1]} in one product: at the end of an epoch there are no events; use traces")
    if "y0" in triggers and "z0" in triggers:
        parser.fail(place, "y0 and z0 in one product: a visit is for the neuron's spike or for its teacher's; use traces")
    if "x0" in triggers and len(triggers) > 1:
        # The synapse is visited when its neuron or teacher fires, and then x0 is a variable like others.
        atoms = (_Atom(_RANK["x0"], "x0", 0, False), *atoms)
    names = " * ".join(atom.name for atom in atoms)
    if len(atoms) > 2:
        parser.fail(place, f"{len(atoms)} variables in one product ({names}); a term has two factors")
    # A variable of the neuron that stands alone is the second factor, which each lane has anyway.
    first = atoms[0] if atoms and (len(atoms) == 2 or atoms[0].name not in _SECOND) else None
    second = atoms[-1] if atoms and (len(atoms) == 2 or not first) else None
    if first and second and (first.name not in _FIRST or second.name not in _SECOND):
        parser.fail(place, f"{names}: one factor must be {', '.join(_FIRST)}, the other {', '.join(_SECOND)}")
    if first and second and first.name in _SECOND and not parser.learning.neuron_products:
        parser.fail(place, f"{names}: the core was generated without products of two such variables: set neuron_products")
    if not parser.learning.offsets and any(atom.constant or atom.compared for atom in atoms):
        parser.fail(place, f"{names}: the core was generated without sums and comparisons as factors: set offsets")
    row: dict[str, int] = {
        "first": _FIRST[first.name] if first else First.NONE,
        "second": _SECOND[second.name] if second else Second.NONE,
    }
    for name, atom in (("first", first), ("second", second)):
        row |= {f"{name}_constant": atom.constant, f"{name}_compared": int(atom.compared)} if atom else {}
    bits = sum(atom.fraction_bits for atom in atoms)
    if not atoms:
        # Both factors are constants: the first raises the range of the second.
        row["first_constant"], bits = 1 << (MANTISSA_BITS - 1), MANTISSA_BITS - 1
    # Bits from a unit of the factors to a unit of the change; in the latter a constant is a mantissa over 2**shift.
    unit = CHANGE_FRACTION_BITS - bits
    scaled = abs(constant) * Fraction(2) ** unit
    parts = _powers(scaled, digits) if first and second else [_mantissa(scaled)]
    value = sum((Fraction(mantissa, 1 << shift) for mantissa, shift in parts if shift >= 0), Fraction(0))
    largest = 0 if first and second else MANTISSA_BITS
    if not value or min(shift for _, shift in parts) < 0 or parts[0][0] > 1 << largest:
        what = f"{_show(constant)}{' beside ' * bool(names)}{names} is too {'large' if parts and parts[0][0] else 'small'}"
        parser.fail(place, f"the constant {what}; it can be 2^{-unit - _LARGEST_SHIFT} to 2^{largest - unit}")
    found = []
    for mantissa, shift in parts:
        negative = (mantissa < 0) ^ (constant < 0)
        if not (first and second):
            # Of the largest mantissa only the negative fits the signed field.
            negative, mantissa = (not negative, -mantissa) if mantissa >> MANTISSA_BITS else (negative, mantissa)
            row["first_constant" if second else "second_constant"] = mantissa
        found.append(row | {"negative": int(negative), "shift": shift})
    phase = TRIGGERS[max(triggers, key=list(TRIGGERS).index)]
    return phase, found, float(abs(value - scaled) / scaled)


def _show(value: Fraction) -> str:
    """Six digits; a decimal has no overflow on the way."""
    return f"{float(Decimal(value.numerator) / value.denominator):g}"


def _mantissa(value: Fraction) -> tuple[int, int]:
    """Nearest ``mantissa / 2**shift`` of ``MANTISSA_BITS`` bits; the mantissa has more if there is no smaller shift."""
    for shift in range(_LARGEST_SHIFT, -1, -1):
        mantissa = round(value * (1 << shift))
        if not mantissa >> MANTISSA_BITS or not shift:
            break
    while mantissa and not mantissa & 1 and shift:
        mantissa, shift = mantissa >> 1, shift - 1
    return mantissa, shift


def _powers(value: Fraction, digits: int) -> list[tuple[int, int]]:
    """Signs and shifts of powers of two, the largest first, whose sum is nearest to a positive value; a shift below 0 is too large."""
    rest = _nearest(round(value * (1 << _LARGEST_SHIFT)), digits)
    powers, shift = [], _LARGEST_SHIFT
    while rest:
        if rest & 1:
            # The sign after which the next bit is 0: no sum of the same value has fewer powers.
            sign = 2 - (rest & 3)
            powers.append((sign, shift))
            rest -= sign
        rest, shift = rest >> 1, shift - 1
    return powers[::-1]


def _nearest(value: int, digits: int) -> int:
    """Nearest sum of so many signed powers of two, or fewer. Its largest power is one of the two around the value."""
    if not value or not digits:
        return 0
    if value < 0:
        return -_nearest(-value, digits)
    low = 1 << (value.bit_length() - 1)
    sums = [power + _nearest(value - power, digits - 1) for power in (low, 2 * low)]
    return min(sums, key=lambda found: (abs(found - value), found))


# Text to a sum of products ----------------------------------------------------------------------------------------------------


class _Parser:
    """Descent through the grammar of ``docs/rule.md``, with places for messages."""

    def __init__(self, text: str, learning: Learning, weight_bits: int) -> None:
        self.text, self.learning, self.weight_bits = text, learning, weight_bits
        self.error, self.depth, self.number = 0.0, 0, 0
        self.tokens: list[_Token] = []
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                self.fail(_Token("", "", position, position + 1), "no such sign in a rule")
            self.tokens += [_Token(str(found.lastgroup), found[0], position, found.end())] * (found.lastgroup != "skip")
            position = found.end()
        self.tokens.append(_Token("end", "", len(text), len(text)))

    def fail(self, place: _Token, message: str) -> NoReturn:
        line = self.text.count("\n", 0, place.start) + 1
        column = place.start - self.text.rfind("\n", 0, place.start)
        words = " ".join(self.text[place.start : place.end].split())
        words = "".join(sign if sign.isprintable() else "?" for sign in (words if len(words) <= 40 else f"{words[:37]}..."))
        shown = f'"{words}"' if words else "at the end"
        raise ConfigError(f"rule, line {line}, column {column} ({shown}): {message}")

    @property
    def now(self) -> _Token:
        return self.tokens[self.number]

    def take(self, *texts: str) -> _Token | None:
        """The next token if it is one of these."""
        token = self.now
        self.number += token.text in texts
        return token if token.text in texts else None

    def since(self, number: int) -> _Token:
        """Place of everything from a token on."""
        return _Token("text", "", self.tokens[number].start, self.tokens[max(number, self.number - 1)].end)

    def rule(self) -> list[tuple[Target, _Key, Fraction, _Token]]:
        """Products with target, constant and place."""
        result: list[tuple[Target, _Key, Fraction, _Token]] = []
        statements = 0
        while not statements or self.now.kind != "end":
            if self.take(";"):
                continue
            token = self.take(*TARGETS)
            if token is None or not self.take("="):
                self.fail(self.now, f"expected {'*, +, - or another ' if statements and not token else ''}dw = or dt =")
            if token.text == "dt" and not self.learning.tag_bits:
                self.fail(token, "the core was generated without a tag: set tag_bits to 8 or 16")
            statements += 1
            for products, place in self.products():
                result += [(TARGETS[token.text], key, constant, place) for key, constant in products.items()]
        return result

    def products(self) -> list[tuple[_Sum, _Token]]:
        """The products of a sum, each multiplied out, with their places."""
        result: list[tuple[_Sum, _Token]] = []
        while not result or self.now.text in ("+", "-"):
            sign = self.take("+", "-")
            start = self.number
            products = self.factor()
            while self.take("*"):
                products = self.multiplied(products, self.factor(), start)
            result.append((_scaled(products, -1) if sign and sign.text == "-" else products, self.since(start)))
        return result

    def factor(self) -> _Sum:
        """A number, a power of one, a variable or a parenthesis, with any signs before it."""
        negative = False
        while sign := self.take("+", "-"):
            negative ^= sign.text == "-"
        token = self.now
        self.number += token.kind != "end"
        if token.kind == "number":
            result: _Sum = {_NUMBER: self.power(token)}
        elif token.kind == "name":
            result = {self.variable(token): Fraction(1)}
        elif token.text == "(":
            result = self.parenthesis(token)
        else:
            self.fail(token, "expected a number, a variable or a parenthesis")
        if self.now.text in ("^", "**"):
            self.fail(self.now, "only a number can have an exponent, and only one")
        return _scaled(result, -1) if negative else result

    def power(self, token: _Token) -> Fraction:
        # As a float first, which shows an exponent that would make an endless fraction.
        rough = float(token.text)
        if math.isinf(rough) or (not rough and token.text.lower().split("e")[0].strip("0.")):
            self.fail(token, f"the number is too {'large' if rough else 'small'}")
        base = Fraction(token.text) if rough else Fraction(0)
        if not self.take("^", "**"):
            return base
        sign, exponent = self.take("+", "-"), self.now
        if not re.fullmatch("[0-9]{1,2}", exponent.text) or int(exponent.text) > LARGEST_EXPONENT or not base:
            self.fail(exponent, f"an exponent must be whole, from -{LARGEST_EXPONENT} to {LARGEST_EXPONENT}, and not one of 0")
        self.number += 1
        return base ** (-int(exponent.text) if sign and sign.text == "-" else int(exponent.text))

    def variable(self, token: _Token) -> _Key:
        name = token.text
        if name == "z0" and not self.learning.teacher:
            self.fail(token, "the core was generated without z0: set teacher")
        if name in TRIGGERS:
            return (name,), ()
        if name not in _RANK:
            self.fail(token, f"no such variable; there are {', '.join(sorted({*_RANK, *TRIGGERS}))}")
        if name not in self.learning.variables:
            trace = f"{name}: raise {'pre' if name[0] == 'x' else 'post'}_traces to {name[-1]}"
            remedy = {"t": "a tag: set tag_bits to 8 or 16", "v0": "v0: set membrane_flag", "w": "w as a factor: set weight_factor"}
            self.fail(token, f"the core was generated without {remedy.get(name, trace)}")
        return (), (_Atom(_RANK[name], name, 0, False),)

    def parenthesis(self, opening: _Token) -> _Sum:
        start = self.number - 1
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.fail(opening, f"more than {MAX_NESTING} parentheses inside each other")
        left = self.summed()
        comparison = self.take(">=", ">", "<", "<=")
        right = self.summed() if comparison else {}
        if self.take(")") is None:
            self.fail(self.now, "expected *, +, - or a closing parenthesis")
        self.depth -= 1
        place = self.since(start)
        return self.compared(left, comparison.text, right, place) if comparison else self.shifted(left, place)

    def summed(self) -> _Sum:
        result: _Sum = {}
        for products, _ in self.products():
            for key, constant in products.items():
                result[key] = result.get(key, Fraction(0)) + constant
        return {key: constant for key, constant in result.items() if constant}

    def shifted(self, products: _Sum, place: _Token) -> _Sum:
        """``variable + number`` as one factor, if it can be one; anything else as it is."""
        atom, sign = _plain({key: constant for key, constant in products.items() if key != _NUMBER})
        if atom is None or _NUMBER not in products:
            return products
        exact = sign * products[_NUMBER] * atom.unit
        if atom.unit == 1 and exact.denominator != 1:
            return products
        if not round(exact):
            self.fail(place, f"the constant {_show(products[_NUMBER])} beside {atom.name} rounds to 0; its unit is 1/{atom.unit}")
        self.error = max(self.error, float(abs(round(exact) / exact - 1)))
        return {((), (self.limited(atom, round(exact), False, place),)): Fraction(sign)}

    def compared(self, left: _Sum, sign: str, right: _Sum, place: _Token) -> _Sum:
        """1 if the variable, a whole number of its units, is not below the threshold, else 0; or 1 minus this."""
        if set(left) <= {_NUMBER}:
            left, right, sign = right, left, sign.translate(str.maketrans("<>", "><"))
        atom, factor = _plain(left)
        if atom is None or factor != 1 or not set(right) <= {_NUMBER}:
            self.fail(place, f"a comparison is between a number and one of {', '.join(name for name in _RANK if name != 'x0')}")
        exact = right.get(_NUMBER, Fraction(0)) * atom.unit
        threshold = math.ceil(exact) if sign in (">=", "<") else math.floor(exact) + 1
        result: _Sum = {((), (self.limited(atom, -threshold, True, place),)): Fraction(1)}
        return result if sign in (">=", ">") else {_NUMBER: Fraction(1), **_scaled(result, -1)}

    def limited(self, atom: _Atom, constant: int, compared: bool, place: _Token) -> _Atom:
        """The factor with its constant, which must fit the field."""
        bits = self.learning.second_constant_bits(self.weight_bits) if atom.name in ("w", "t") else FIRST_CONSTANT_BITS
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if not low <= constant <= high:
            # A comparison has subtracted what it compares with.
            values = (-constant, -high, -low) if compared else (constant, low, high)
            shown = [_show(Fraction(value, atom.unit)) for value in values]
            self.fail(place, f"the constant {shown[0]} beside {atom.name} is out of range; it can be {shown[1]} to {shown[2]}")
        return atom._replace(constant=constant, compared=compared)

    def multiplied(self, left: _Sum, right: _Sum, start: int) -> _Sum:
        if len(left) * len(right) > MAX_PRODUCTS:
            self.fail(self.since(start), f"more than {MAX_PRODUCTS} products, multiplied out")
        result: _Sum = {}
        for (some, atoms), a in left.items():
            for (others, more), b in right.items():
                key = tuple(sorted({*some, *others})), _merged(atoms + more)
                result[key] = result.get(key, Fraction(0)) + a * b
        if any(len(factors) > MAX_FACTORS for _, factors in result):
            self.fail(self.since(start), f"more than {MAX_FACTORS} variables in one product; a term has two factors")
        return {key: constant for key, constant in result.items() if constant}


def _plain(products: _Sum) -> tuple[_Atom | None, int]:
    """Variable and sign, if this is a variable and nothing else."""
    if len(products) == 1:
        ((triggers, atoms), constant) = next(iter(products.items()))
        if not triggers and len(atoms) == 1 and abs(constant) == 1 and not atoms[0].constant and not atoms[0].compared:
            return atoms[0], int(constant)
    return None, 0


def _scaled(products: _Sum, factor: int) -> _Sum:
    return {key: factor * constant for key, constant in products.items()}


def _merged(atoms: tuple[_Atom, ...]) -> tuple[_Atom, ...]:
    """Factors in order; of comparisons of one variable only that with the highest threshold, from which the others follow."""
    highest = {atom.name: atom for atom in sorted(atoms, reverse=True) if atom.compared}
    return tuple(sorted([*(atom for atom in atoms if not atom.compared), *highest.values()]))


# Terms to text ----------------------------------------------------------------------------------------------------------------


def describe(terms: Mapping[str, IntArray], counts: Mapping[str, int]) -> str:
    """Text of terms, one product for each, with the constants that they have.

    Parameters
    ----------
    terms : dict of int64 array ``[learning.terms]``
        Fields of ``term_layout``.
    counts : dict of int
        ``pre_terms`` and the other phases'.
    """
    sums: dict[int, list[str]] = {}
    triggers = [trigger for trigger, phase in TRIGGERS.items() for _ in range(counts.get(f"{phase.name.lower()}_terms", 0))]
    for number, trigger in enumerate(triggers):
        row = {name: int(values[number]) for name, values in terms.items()}
        sums.setdefault(row["target"], []).append(_product(row, trigger))
    lines = {name: " ".join(sums[target]) for name, target in TARGETS.items() if target in sums}
    return "\n".join(f"{name} = {line[0].strip('+')}{line[2:]}" for name, line in lines.items())


def _product(row: Mapping[str, int], trigger: str) -> str:
    """A term with its sign."""
    factor, bits, factors = -1 if row["negative"] else 1, 0, [trigger]
    for which, name in (("second", Second(row["second"]).name.lower()), ("first", First(row["first"]).name.lower())):
        constant, compared = row[f"{which}_constant"], bool(row[f"{which}_compared"])
        if name == "none":
            factor *= int(constant >= 0) if compared else constant
            bits += COMPARED_FRACTION_BITS if compared else 0
            continue
        atom = _Atom(_RANK[name], name, constant, compared)
        bits += atom.fraction_bits
        value = Decimal(abs(constant)) / atom.unit
        if compared:
            name = f"({name} >= {'-' if constant > 0 else ''}{value:f})"
        elif constant:
            name = f"({name} {'+' if constant > 0 else '-'} {value:f})"
        factors.insert(0, name)
    exponent = bits - CHANGE_FRACTION_BITS - row["shift"]
    mantissa = abs(factor)
    while exponent and mantissa and not mantissa & 1:
        mantissa, exponent = mantissa >> 1, exponent + 1
    numbers = [str(mantissa)] * (mantissa != 1) + [f"2^{exponent}"] * (exponent != 0)
    return f"{'-' if factor < 0 else '+'} {' * '.join(numbers + factors)}"
