from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.learning import FLAG, First, Learning, Phase, Second, Target, factor_range, term_layout
from spikeloom.golden.rule import change
from spikeloom.network.rule import Rule, compile_rule, describe

FULL = Learning(pre_traces=2, post_traces=2, tag_bits=16, membrane_flag=True, teacher=True, terms=32)
SMALL = Learning(pre_traces=1, post_traces=1, terms=4)
PLAIN = Learning(pre_traces=1, post_traces=2, terms=4, offsets=False, weight_factor=False, neuron_products=False)
#: What the rules of the literature need beside weights of 8 bits.
LITERATURE = Learning(pre_traces=2, post_traces=2, tag_bits=8, membrane_flag=True, teacher=True, terms=4)


def compiled(text: str, learning: Learning = FULL, bits: int = 8, **options: Any) -> Rule:
    """The rule; it is as its description says, compiles to itself again, and fits the memory."""
    rule = compile_rule(text, learning, bits, **options)
    again = compile_rule(rule.text, learning, bits, digits=8)
    assert (again.text, again.counts, again.error) == (rule.text, rule.counts, 0.0)
    assert {name: values.tolist() for name, values in again.terms.items()} == {n: v.tolist() for n, v in rule.terms.items()}
    layout = term_layout(learning, bits)
    unpacked = layout.unpack(layout.pack(rule.terms))
    assert describe(unpacked, rule.counts) == rule.text
    return rule


def outcome(text: str, bits: int, digits: int = 3) -> Rule | str:
    """The rule, or why there is none."""
    try:
        return compiled(text, bits=bits, digits=digits)
    except ConfigError as error:
        return str(error)


class Row(NamedTuple):
    """A term, in the order of a reader."""

    phase: str
    target: str
    sign: str
    first: str
    first_constant: int
    second: str
    second_constant: int
    shift: int
    compared: tuple[int, int] = (0, 0)


def rows(rule: Rule) -> list[Row]:
    phases = [phase for phase in Phase for _ in range(rule.counts.get(f"{phase.name.lower()}_terms", 0))]
    found = []
    for number, phase in enumerate(phases):
        row = {name: int(values[number]) for name, values in rule.terms.items()}
        names = phase.name, Target(row["target"]).name, "-" if row["negative"] else "+"
        first, second = First(row["first"]).name, Second(row["second"]).name
        compared = row["first_compared"], row["second_compared"]
        found.append(Row(*names, first, row["first_constant"], second, row["second_constant"], row["shift"], compared))
        following = rule.terms["target"][number + 1] if phases[number + 1 : number + 2] == [phase] else None
        assert row["last"] == (following != row["target"])
    for values in rule.terms.values():
        assert not values[len(phases) :].any()
    return found


# Terms, by hand ------------------------------------------------------------------------------------------------------------


def test_pair_stdp() -> None:
    # x1 has 10 bits behind the point, the change 12: 2^-4 x1 is x1 >> 2 in units of the change; 2^-5 y1 is y1 >> 3.
    rule = compiled("dw = 2^-4 * x1 * y0 - 2^-5 * x0 * y1", SMALL)
    assert rows(rule) == [
        Row("PRE", "WEIGHT", "-", "NONE", 1, "Y1", 0, 3),
        Row("POST", "WEIGHT", "+", "X1", 0, "NONE", 1, 2),
    ]
    assert rule.counts == {"pre_terms": 1, "post_terms": 1, "epoch_terms": 0}
    assert rule.text == "dw = -2^-5 * y1 * x0 + 2^-4 * x1 * y0"
    assert rule.error == 0
    assert all(values.shape == (4,) and values.dtype == np.int64 for values in rule.terms.values())


def test_a_constant_of_one_variable_has_12_bits() -> None:
    # 0.1 * 4 = 0.4 = 3277 / 2**13 to 12 bits; 0.3 * 4 * 2**10 = 1228.8 of a plain constant is 2458 / 2 with the constant 2048.
    rule = compiled("dw = 0.1 * x1 * y0 + 0.1 * u * w", SMALL)
    assert rows(rule) == [
        Row("POST", "WEIGHT", "+", "X1", 0, "NONE", 3277, 13),
        # 0.1 * 4096 = 409.6 = 3277 / 8.
        Row("EPOCH", "WEIGHT", "+", "NONE", 3277, "W", 0, 3),
    ]
    assert rule.text == "dw = 3277 * 2^-15 * x1 * y0 + 3277 * 2^-15 * w * u"
    assert rule.error == pytest.approx(3277 / 2**15 / 0.1 - 1)


def test_a_product_without_variables_is_two_constants() -> None:
    # 5 * 4096 / 2048 = 10; 0.3 * 2 = 0.6 = 2458 / 2**12 = 1229 / 2**11.
    rule = compiled("dw = 5 * y0 - 0.3 * x0", SMALL)
    assert rows(rule) == [
        Row("PRE", "WEIGHT", "-", "NONE", 2048, "NONE", 1229, 11),
        Row("POST", "WEIGHT", "+", "NONE", 2048, "NONE", 10, 0),
    ]
    assert rule.text == "dw = -1229 * 2^-12 * x0 + 5 * y0"


def test_soft_bounds_have_both_factors() -> None:
    # 255 - w is -(w - 255); x1 (w - 255) has 10 bits behind the point.
    rule = compiled("dw = 2^-8 * x1 * (255 - w) * y0 - 2^-8 * x0 * y1 * w", SMALL)
    assert rows(rule) == [
        Row("PRE", "WEIGHT", "-", "Y1", 0, "W", 0, 6),
        Row("POST", "WEIGHT", "-", "X1", 0, "W", -255, 6),
    ]


def test_a_constant_of_two_variables_is_split_into_powers_of_two() -> None:
    # 0.3 = 1/4 + 1/16 - 1/64 + ... ; x1 y1 has 20 bits behind the point: shift 8 for 1.
    row = Row("POST", "WEIGHT", "+", "X1", 0, "Y1", 0, 10)
    rule = compiled("dw = 0.3 * x1 * y0 * y1", SMALL)
    assert rows(rule) == [row, row._replace(shift=12), row._replace(sign="-", shift=14)]
    assert rule.error == pytest.approx((0.3 - 0.296875) / 0.3)
    # 0.3 is nearer to 1/4 than to 1/2; 0.4 is nearer to 1/2.
    assert rows(compiled("dw = 0.3 * x1 * y0 * y1", digits=1)) == [row]
    assert rows(compiled("dw = -0.4 * x1 * y0 * y1", digits=1)) == [row._replace(sign="-", shift=9)]


def test_a_reward_gates_a_tag() -> None:
    text = "dt = x1 * y0 - x0 * y1 - 2^-5 * t * u\n  # the reward\ndw = 2^-6 * r * t * u"
    assert rows(compiled(text)) == [
        Row("PRE", "TAG", "-", "NONE", 4, "Y1", 0, 0),
        Row("POST", "TAG", "+", "X1", 0, "NONE", 4, 0),
        Row("EPOCH", "WEIGHT", "+", "R", 0, "T", 0, 4),
        Row("EPOCH", "TAG", "-", "NONE", 128, "T", 0, 0),
    ]


def test_sdsp_compares() -> None:
    text = "dw = x0 * v0 * (y1 >= 0.25) * (y1 < 2) - x0 * (1 - v0) * (y1 >= 0.25) * (y1 < 1)"
    # A comparison and v0 have 10 bits behind the point each: 1 is a shift by 20 - 12.
    row = Row("PRE", "WEIGHT", "+", "Y1", -256, "V0", 0, 8, (1, 0))
    assert rows(compiled(text)) == [
        row,
        row._replace(sign="-", first_constant=-2048),
        # - (1 - v0) is + (v0 - 1).
        row._replace(second_constant=-1024),
        row._replace(sign="-", first_constant=-1024, second_constant=-1024),
    ]


@pytest.mark.parametrize(
    ("comparison", "constant", "inverted"),
    [
        ("y1 >= 0.5", -512, False),
        ("y1 > 0.5", -513, False),
        ("y1 < 0.5", -512, True),
        ("y1 <= 0.5", -513, True),
        ("0.5 <= y1", -512, False),
        ("0.5 < y1", -513, False),
        ("2^-1 > y1", -512, True),
        ("0.5 >= y1", -513, True),
        ("y1 >= 0.5001", -513, False),
        ("y1 > 0.5001", -513, False),
        ("r >= -0.5", 512, False),
        ("r > 0 - 0.5001", 512, False),
        ("w > 3", -4, False),
        ("w >= 2.5", -3, False),
        ("v0 >= 1", -1024, False),
        ("v0 > 0", -1, False),
        ("t <= -7", 6, True),
    ],
)
def test_comparisons_are_of_integers(comparison: str, constant: int, inverted: bool) -> None:
    found = rows(compiled(f"dw = 2^-1 * x0 * ({comparison})"))
    assert [row.sign for row in found] == ["+", "-"][: len(found)]
    assert len(found) == 1 + inverted
    is_first = found[-1].first != "NONE"
    assert found[-1].compared == (is_first, not is_first)
    assert (found[-1].first_constant if is_first else found[-1].second_constant) == constant


def test_a_comparison_counts_one() -> None:
    # 1024 * 4 is 1 in units of the change.
    assert rows(compiled("dw = x0 * (y1 >= 0.5)", SMALL)) == [Row("PRE", "WEIGHT", "+", "NONE", 4, "Y1", -512, 0, (0, 1))]
    assert rows(compiled("dw = -x0 * (w > 2)", SMALL)) == [Row("PRE", "WEIGHT", "-", "NONE", 4, "W", -3, 0, (0, 1))]
    assert rows(compiled("dw = x0 * v0")) == [Row("PRE", "WEIGHT", "+", "NONE", 4, "V0", 0, 0)]


def test_the_largest_constant_needs_the_negative_of_its_mantissa() -> None:
    assert rows(compiled("dw = 1024 * x0 * (y1 >= 0.5)")) == [Row("PRE", "WEIGHT", "-", "NONE", -4096, "Y1", -512, 0, (0, 1))]
    assert rows(compiled("dw = -1024 * x0 * (w > 2)")) == [Row("PRE", "WEIGHT", "+", "NONE", -4096, "W", -3, 0, (0, 1))]
    assert rows(compiled("dw = w * u")) == [Row("EPOCH", "WEIGHT", "-", "NONE", -4096, "W", 0, 0)]


def test_an_axon_event_beside_y0_is_a_variable() -> None:
    assert rows(compiled("dw = 2^-3 * x0 * y0 - 2^-5 * y0")) == [
        Row("POST", "WEIGHT", "+", "X0", 0, "NONE", 1, 1),
        Row("POST", "WEIGHT", "-", "NONE", 2048, "NONE", 1, 4),
    ]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("dw = (y1 - y2) * x1 * y0", "dw = x1 * y1 * y0 - x1 * y2 * y0"),
        ("dw = x0 * (v0 - (1 - v0)) * 0.25", "dw = 0.25 * v0 * x0 + 0.25 * (v0 - 1) * x0"),
        ("dw = x1 * y0 + 3 * y0 * x1", "dw = 4 * x1 * y0"),
        ("dw = x1 * y0\ndw = x1 * y0 - x0", "dw = 2 * x1 * y0 - x0"),
        ("dw = x0 + x1 * y2 * y0 - y0 * y2 * x1", "dw = x0"),
        ("dw = y1 * x0 * (y2 - 1 + 1)", "dw = y1 * y2 * x0"),
        ("dw = (1 - x0) * y0", "dw = y0 - x0 * y0"),
        ("dw = x0 * x0 * y1", "dw = y1 * x0"),
        ("dw = u * (y1 + x1)", "dw = y1 * u + x1 * u"),
        ("dw = 2^-2 * x0 * (w + 0.5)", "dw = 2^-2 * w * x0 + 2^-3 * x0"),
        ("dw = x0 * 2^-2 * (y1 >= 1) * (y1 > 2)", "dw = 2^-2 * (y1 > 2) * x0"),
        ("dw = 0.25 * x0 * ((y1 >= 1) - (y1 < 1))", "dw = 0.5 * (y1 >= 1) * x0 - 0.25 * x0"),
        ("dw = 0.5*x1*y0;dw=y1*x0 ; ", "dw = 2^-1 * x1 * y0 + y1 * x0"),
        ("dw = x1 * -2**-4 * y0", "dw = -2^-4 * x1 * y0"),
        ("dw = 1.5e1 * x0 - - .5 * x0", "dw = 15.5 * x0"),
        ("dw = # why\n  x0 # because\n  - y0\n", "dw = x0 - y0"),
        ("dw = ((((x0))))", "dw = x0"),
        ("dw = 0 * x1 * x2 * w + x0", "dw = x0"),
        ("dw = 2^-5 * x1 * y0 * ((w - 1) + 2)", "dw = 2^-5 * x1 * (w - 1) * y0 + 2^-4 * x1 * y0"),
        ("dw = 2^-2 * x0 * ((r >= 0) + 1)", "dw = 2^-2 * (r >= 0) * x0 + 2^-2 * x0"),
        ("dw = 2^-6 * x1 * y0 * (3 * w - 1)", "dw = 3 * 2^-6 * x1 * w * y0 - 2^-6 * x1 * y0"),
        ("dw = " + " + ".join(["(y1 * x0)"] * 40), "dw = 40 * y1 * x0"),
    ],
)
def test_texts_that_mean_the_same(text: str, same: str) -> None:
    found = rows(compiled(text))
    assert sorted(found) == sorted(rows(compiled(same)))
    assert found


def literature() -> list[tuple[str, str]]:
    """Texts of the page's table, and the terms it says that they have."""
    page = (Path(__file__).parents[2] / "docs" / "rule.md").read_text()
    return re.findall(r"^\| .* \| `(d[wt] = .*)` \| (\d+) \|$", page, re.MULTILINE)


def test_rules_of_the_literature_have_the_terms_that_the_page_says() -> None:
    assert len(literature()) >= 10
    for text, terms in literature():
        assert len(rows(compiled(text))) == len(rows(compiled(text, bits=16))) == int(terms)


@pytest.mark.parametrize("text", [text for text, _ in literature()])
def test_rules_of_the_literature_change_what_their_description_says(text: str) -> None:
    rule = compiled(text, LITERATURE)
    variables = random_variables(np.random.default_rng(1), 8, LITERATURE.tag_bits)
    changed = 0
    for phase in Phase:
        for target in Target:
            found = evaluate(rule, phase, target, variables)
            assert np.array_equal(found, change(rule.text, phase, target, variables))
            changed += int(np.count_nonzero(found))
    assert changed


# Constants -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_powers_of_two_are_the_nearest(digits: int) -> None:
    # All sums of so many signed powers of two, in units of 2**-10.
    sums = {0}
    for _ in range(digits):
        sums |= {known + sign * (1 << shift) for known in sums for shift in range(12) for sign in (1, -1)}
    worst = 0.0
    for wanted in range(1 << 9, 1 << 10, 7):
        found = rows(compile_rule(f"dw = 2^-10 * {wanted} * x1 * y1 * y0", FULL, 8, digits=digits))
        value = sum((1 if row.sign == "+" else -1) * (1 << (18 - row.shift)) for row in found)
        assert abs(value - wanted) == min(abs(known - wanted) for known in sums)
        assert len(found) <= digits
        worst = max(worst, abs(value - wanted) / wanted)
    assert worst <= {1: 1 / 3, 2: 1 / 11, 3: 1 / 43}[digits] + 1e-12


def test_a_constant_beside_a_trace_is_rounded_too() -> None:
    rule = compiled("dw = 2^-2 * x0 * (y1 - 0.2)")
    assert rows(rule) == [Row("PRE", "WEIGHT", "+", "NONE", 1, "Y1", -205, 0)]
    assert rule.error == pytest.approx(205 / 204.8 - 1)


def test_the_worst_constants_of_few_powers_of_two() -> None:
    for digits, constant, error in ((1, "1.5", 1 / 3), (2, "1.375", 1 / 11), (3, "1.34375", 1 / 43)):
        assert compile_rule(f"dw = {constant} * x1 * y1 * y0", FULL, 8, digits=digits).error == pytest.approx(error)


@given(st.integers(-(10**6), 10**6).filter(bool), st.integers(3, 12))
def test_a_mantissa_is_near_its_constant(number: int, digits: int) -> None:
    constant = Fraction(number, 10**digits)
    for variables, high, low in (("x1 * y0", 10, -20), ("w * u", 0, -30), ("x0", 7, -20)):
        if Fraction(2) ** low < abs(constant) < Fraction(2) ** high:
            text = f"dw = {number}e-{digits} * {variables}"
            found = outcome(text, 16)
            assert "at once" in found if isinstance(found, str) else found.error <= 2**-12


# Refusals --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "learning", "message"),
    [
        ("", FULL, "rule, line 1, column 1 (at the end): expected dw = or dt ="),
        ("  # nothing\n", FULL, "rule, line 2, column 1 (at the end): expected dw = or dt ="),
        ("x0", FULL, 'rule, line 1, column 1 ("x0"): expected dw = or dt ='),
        ("dw 5", FULL, 'rule, line 1, column 4 ("5"): expected dw = or dt ='),
        ("dw == x0", FULL, 'rule, line 1, column 5 ("="): expected a number, a variable or a parenthesis'),
        ("dw = ", FULL, "rule, line 1, column 6 (at the end): expected a number, a variable or a parenthesis"),
        ("dw = x0 +", FULL, "rule, line 1, column 10 (at the end): expected a number, a variable or a parenthesis"),
        ("dw = x0;\ndw = x0 x1", FULL, 'rule, line 2, column 9 ("x1"): expected *, +, - or another dw = or dt ='),
        ("dw = (x0", FULL, "rule, line 1, column 9 (at the end): expected *, +, - or a closing parenthesis"),
        ("dw = (y1 > 1 > 0) * x0", FULL, 'rule, line 1, column 14 (">"): expected *, +, - or a closing parenthesis'),
        ("dw = x0 / 2", FULL, 'rule, line 1, column 9 ("/"): no such sign in a rule'),
        ("dw = x0 * 2\u00b2", FULL, 'rule, line 1, column 12 ("\u00b2"): no such sign in a rule'),
        ("dw = \x07", FULL, 'rule, line 1, column 6 ("?"): no such sign in a rule'),
        ("dw = x0^2", FULL, 'rule, line 1, column 8 ("^"): only a number can have an exponent, and only one'),
        ("dw = 2^2^2 * x0", FULL, 'rule, line 1, column 9 ("^"): only a number can have an exponent, and only one'),
        ("dw = 2^0.5 * x0", FULL, 'rule, line 1, column 8 ("0.5"): an exponent must be whole, from -64 to 64, and not one of 0'),
        ("dw = 2^-65 * x0", FULL, 'rule, line 1, column 9 ("65"): an exponent must be whole, from -64 to 64, and not one of 0'),
        ("dw = 0^-1 * x0", FULL, 'rule, line 1, column 9 ("1"): an exponent must be whole, from -64 to 64, and not one of 0'),
        ("dw = 1e999 * x0", FULL, 'rule, line 1, column 6 ("1e999"): the number is too large'),
        ("dw = 1e-999999999 * x0", FULL, 'rule, line 1, column 6 ("1e-999999999"): the number is too small'),
        ("dw = 2 * x3 * y0", FULL, '"x3"): no such variable; there are r, t, u, v0, w, x0, x1, x2, y0, y1, y2, z0'),
        ("dw = x2 * y0", SMALL, 'rule, line 1, column 6 ("x2"): the core was generated without x2: raise pre_traces to 2'),
        ("dw = y2 * x0", SMALL, 'rule, line 1, column 6 ("y2"): the core was generated without y2: raise post_traces to 2'),
        ("dw = t * u", SMALL, 'rule, line 1, column 6 ("t"): the core was generated without a tag: set tag_bits to 8 or 16'),
        ("dw = x0\ndt = x0", SMALL, 'rule, line 2, column 1 ("dt"): the core was generated without a tag: set tag_bits to 8 or 16'),
        ("dw = x0 * v0", SMALL, 'rule, line 1, column 11 ("v0"): the core was generated without v0: set membrane_flag'),
        ("dw = x0 + 2 * x1 * w", FULL, 'column 11 ("2 * x1 * w"): no trigger: a product needs x0 (its axon had an event), y0 ('),
        ("dw = 0.1", FULL, 'rule, line 1, column 6 ("0.1"): no trigger: a product needs x0'),
        ("dw = u * y0", FULL, 'rule, line 1, column 6 ("u * y0"): u and y0 in one product: at the end of an epoch there are no'),
        ("dw = u * x0 * y1", FULL, 'rule, line 1, column 6 ("u * x0 * y1"): u and x0 in one product'),
        (
            "dw = y0 * z0 * x1",
            FULL,
            'rule, line 1, column 6 ("y0 * z0 * x1"): y0 and z0 in one product: a visit is for the neuron\'s',
        ),
        ("dw = z0 * x1", SMALL, 'rule, line 1, column 6 ("z0"): the core was generated without z0: set teacher'),
        ("dw = x0 * w", PLAIN, 'rule, line 1, column 11 ("w"): the core was generated without w as a factor: set weight_factor'),
        (
            "dw = y1 * y2 * x0",
            PLAIN,
            'column 6 ("y1 * y2 * x0"): y1 * y2: the core was generated without products of two such variables: set neuron_',
        ),
        ("dw = (y1 - 0.5) * x0", PLAIN, "y1: the core was generated without sums and comparisons as factors: set offsets"),
        ("dw = (x1 > 0.5) * y0", PLAIN, "x1: the core was generated without sums and comparisons as factors: set offsets"),
        ("dw = u * y0 * x0", FULL, 'rule, line 1, column 6 ("u * y0 * x0"): u and y0 in one product'),
        ("dw = x1 * y1 * w * y0", FULL, '("x1 * y1 * w * y0"): 3 variables in one product (x1 * y1 * w); a term has two factors'),
        ("dw = w * t * x0", FULL, "w * t: one factor must be x0, x1, x2, y1, y2, r, the other y1, y2, w, t, v0"),
        ("dw = x1 * x2 * y0 - x0\n - x2 * y0 * x1 * 3", FULL, 'column 6 ("x1 * x2 * y0"): x1 * x2: one factor must be'),
        ("dw = w * (w - 5) * y0", FULL, "w * w: one factor must be"),
        ("dw = r * x1 * y0", FULL, "x1 * r: one factor must be"),
        ("dw = x0 * x1 * y0", FULL, "x0 * x1: one factor must be"),
        ("dw = 400 * x1 * y1 * y0", FULL, "the constant 400 beside x1 * y1 is too large; it can be 2^-23 to 2^8"),
        ("dw = 2^-24 * 0.9 * x1 * y1 * y0", FULL, "the constant 5.36442e-08 beside x1 * y1 is too small; it can be 2^-23 to 2^8"),
        ("dw = 400 * v0 * (y1 >= 1) * x0", FULL, "the constant 400 beside y1 * v0 is too large; it can be 2^-23 to 2^8"),
        ("dw = -0.5 * x1 * w * y0", FULL, "the constant -0.5 beside x1 * w is too large; it can be 2^-33 to 2^-2"),
        ("dw = 1025 * x1 * y0", FULL, "the constant 1025 beside x1 is too large; it can be 2^-33 to 2^10"),
        ("dw = 2^-35 * x1 * y0", FULL, "the constant 2.91038e-11 beside x1 is too small; it can be 2^-33 to 2^10"),
        ("dw = 1.1 * w * y0", FULL, "the constant 1.1 beside w is too large; it can be 2^-43 to 2^0"),
        ("dw = 3000 * x0", FULL, "the constant 3000 is too large; it can be 2^-32 to 2^11"),
        ("dw = 2^-34 * x0", FULL, "is too small; it can be 2^-32 to 2^11"),
        ("dw = " + "2^64 * " * 40 + "x0", FULL, "the constant inf is too large"),
        ("dw = x0 * (y1 - 0.0004)", FULL, '("(y1 - 0.0004)"): the constant -0.0004 beside y1 rounds to 0; its unit is 1/1024'),
        ("dw = x0 * (y1 - 4.5)", FULL, '("(y1 - 4.5)"): the constant -4.5 beside y1 is out of range; it can be -4 to 3.99902'),
        ("dw = x0 * (y1 >= 4.5)", FULL, "the constant 4.5 beside y1 is out of range; it can be -3.99902 to 4"),
        ("dw = x0 * (w - 5000)", SMALL, "the constant -5000 beside w is out of range; it can be -4096 to 4095"),
        ("dw = x0 * (y1 > y1)", FULL, '("(y1 > y1)"): a comparison is between a number and one of x1, x2, r, y1, y2, w, t, v0'),
        ("dw = (2 * y1 > 1) * x0", FULL, "a comparison is between a number and one of"),
        ("dw = (1 > 0) * x0", FULL, "a comparison is between a number and one of"),
        ("dw = x0 - x0", FULL, "the rule changes nothing: all its products cancel"),
        ("dw = 0", FULL, "the rule changes nothing: all its products cancel"),
        ("dw = x0 * (0.01 * y1 * w + 0.01 * y1 * y1)", SMALL, " needs 6 terms; the core has 4: raise terms, or lower digits"),
        ("dw = 0.2 * x0 * y1 * w", SMALL, "the pre terms can change a weight by"),
        ("dw = " + "(" * 33 + "x0" + ")" * 33, FULL, 'column 38 ("("): more than 32 parentheses inside each other'),
        ("dw = x0 " + "* (x1 + x2 + y1 + y2)" * 9, FULL, "more than 256 products, multiplied out"),
        ("dw = x0" + " * x1" * 9, FULL, "more than 8 variables in one product; a term has two factors"),
        ("dw = x0" + " " * 4096, FULL, "the rule has 4103 characters; at most 4096 are read"),
    ],
)
def test_refusals(text: str, learning: Learning, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        compile_rule(text, learning, 8)
    assert "\n" not in str(error.value)


def test_arguments_are_checked() -> None:
    with pytest.raises(ConfigError, match="a rule must be a text, not bytes"):
        compile_rule(b"dw = x0", FULL, 8)  # type: ignore[arg-type]
    for digits in (0, 9):
        with pytest.raises(ConfigError, match=f"digits is {digits}; it must be 1 to 8"):
            compile_rule("dw = x0", FULL, 8, digits=digits)


@pytest.mark.parametrize("sign", ["-", "(", "-(", "2^", "1e", "9", "dw=", "dw=x0;", ";", "dw=(", "#", "\n", "w*(w+1)*", "(y1<1)*"])
def test_hostile_texts_end_in_one_line(sign: str) -> None:
    for start in ("", "dw = ", "dw = x0 * ("):
        with pytest.raises(ConfigError) as error:
            compile_rule((start + sign * 4096)[:4096], FULL, 8)
        assert len(str(error.value)) < 300


WORDS = "dw dt = + - * ^ ** ( ) < >= ; x0 x1 y0 z0 y1 w t r v0 u 0.5 2 -1 1e3 \n # x3 $"


@given(st.lists(st.sampled_from(WORDS.split(" ")), max_size=30), st.sampled_from(["", "dw = x0 * ", "dw = (y1"]))
def test_any_text_is_compiled_or_refused(tokens: list[str], start: str) -> None:
    found = outcome(start + " ".join(tokens), 8)
    assert isinstance(found, Rule) or "\n" not in found


# Any rule: microcode, golden and real numbers ---------------------------------------------------------------------------------


class Factor(NamedTuple):
    """Text of a factor, its variable, and its real value: the variable plus the constant, times the sign; or the comparison."""

    text: str
    name: str
    bits: int
    constant: Fraction
    sign: int
    comparison: str

    def value(self, real: IntArray) -> Any:
        constant = float(self.constant)
        if self.comparison:
            return {">=": real >= constant, ">": real > constant, "<": real < constant, "<=": real <= constant}[
                self.comparison
            ] * 1.0
        return self.sign * (real + constant)


@st.composite
def factors(draw: st.DrawFn, names: str) -> Factor:
    name = draw(st.sampled_from(names.split()))
    bits = 0 if name in ("w", "t") else 10
    constant = (
        Fraction(draw(st.integers(-3000, 3000).filter(lambda n: abs(n) > 1)), 1000)
        if bits
        else Fraction(draw(st.integers(-300, 300)))
    )
    form = draw(st.sampled_from(["plain", "plain", "sum", "difference", "compared"])) if name != "x0" else "plain"
    shown = f"{float(constant):g}"
    if form == "plain" or (form != "compared" and not constant):
        return Factor(name, name, bits, Fraction(0), 1, "")
    if form == "sum":
        return Factor(f"({name} + {shown})", name, bits, constant, 1, "")
    if form == "difference":
        return Factor(f"({shown} - {name})", name, bits, -constant, -1, "")
    comparison = draw(st.sampled_from([">=", ">", "<", "<="]))
    return Factor(f"({name} {comparison} {shown})", name, 10, constant, 1, comparison)


class Product(NamedTuple):
    target: str
    trigger: str
    constant: Fraction
    factors: list[Factor]
    text: str


@st.composite
def products(draw: st.DrawFn) -> Product:
    trigger = draw(st.sampled_from(["x0", "y0", "u", "z0"]))
    first = "x1 x2 y1 y2 r" + " x0" * (trigger in ("y0", "z0"))
    several = [draw(factors(first)), draw(factors("y1 y2 w t v0"))]
    several = draw(st.sampled_from([several, several[:1], several[1:], []]))
    bits = sum(factor.bits for factor in several) - 16
    mantissa = Fraction(draw(st.integers(-99, 99).filter(bool)), 100)
    shown = [f"{float(mantissa):g}", f"2^{bits}", trigger, *(factor.text for factor in several)]
    text = " * ".join(draw(st.permutations(shown)))
    return Product(draw(st.sampled_from(["dw", "dt"])), trigger, mantissa * Fraction(2) ** bits, several, text)


def evaluate(rule: Rule, phase: Phase, target: Target, variables: dict[str, IntArray]) -> IntArray:
    """The terms as arch/learning.py defines them."""
    start = sum(rule.counts[f"{before.name.lower()}_terms"] for before in list(Phase)[: min(phase, len(rule.counts))])
    total = np.zeros(np.broadcast_shapes(*(values.shape for values in variables.values())), np.int64)
    none = {"none": np.zeros(1, np.int64)}
    for number in range(start, start + rule.counts.get(f"{phase.name.lower()}_terms", 0)):
        row = {name: int(values[number]) for name, values in rule.terms.items()}
        a = (variables | none)[First(row["first"]).name.lower()] + row["first_constant"]
        b = (variables | none)[Second(row["second"]).name.lower()] + row["second_constant"]
        a = np.where(a >= 0, FLAG, 0) if row["first_compared"] else a
        b = np.where(b >= 0, FLAG, 0) if row["second_compared"] else b
        value = (a * b) >> row["shift"]
        total += (row["target"] == target) * np.where(row["negative"], -value, value)
    return total


def random_variables(rng: np.random.Generator, bits: int, tag_bits: int) -> dict[str, IntArray]:
    """Integers ``[axons, neurons]`` of all variables, some at the ends of their ranges."""
    traces = dict.fromkeys(("x1", "x2", "y1", "y2"), 4095)
    ranges = {name: factor_range(name, traces, bits, tag_bits) for name in ("x0", *traces, "r", "w", "t", "v0")}
    shapes = {"x": (9, 1), "y": (1, 7), "v": (1, 7), "r": (1, 1)}
    found = {}
    for name, (low, high) in ranges.items():
        values = rng.integers(low, high, shapes.get(name[0], (9, 7)), endpoint=True)
        ends = rng.choice([low, high], values.shape)
        found[name] = np.where((rng.random(values.shape) < 0.2) | (name in ("x0", "v0")), ends, values)
    return found


@given(st.lists(products(), min_size=1, max_size=3), st.sampled_from([4, 8, 16]), st.integers(1, 2), st.integers(0, 1 << 32))
def test_microcode_golden_and_real_numbers_agree(parts: list[Product], bits: int, digits: int, seed: int) -> None:
    rule = outcome("\n".join(f"{part.target} = {part.text}" for part in parts), bits, digits)
    assume("cancel" not in str(rule))
    assert isinstance(rule, Rule), rule
    variables = random_variables(np.random.default_rng(seed), bits, FULL.tag_bits)
    real: dict[str, Any] = {name: values / (1 if name in ("w", "t") else 1024) for name, values in variables.items()}
    for phase, trigger in zip(Phase, ("x0", "y0", "u", "z0"), strict=True):
        for name, target in (("dw", Target.WEIGHT), ("dt", Target.TAG)):
            found = evaluate(rule, phase, target, variables)
            assert np.array_equal(found, change(rule.text, phase, target, variables))
            expected, allowed = np.zeros(found.shape), np.zeros(found.shape)
            for part in parts:
                if (part.trigger, part.target) == (trigger, name):
                    constant = float(part.constant)
                    value, size, largest = constant, abs(constant), abs(constant) * (1 + rule.error)
                    for factor in part.factors:
                        one = factor.value(real[factor.name])
                        # 1 - (y1 >= ...) is two products, each with a rounded constant.
                        bound = 2.0 if "<" in factor.comparison else np.abs(one)
                        # A constant beside a trace or the reward is rounded to a multiple of 2**-10.
                        value, size = value * one, size * bound
                        rounded = factor.bits and factor.constant and not factor.comparison
                        largest = largest * (bound + (2**-11 if rounded else 0))
                    expected, allowed = expected + value, allowed + largest - size
            terms = sum(1 for row in rows(rule) if (row.phase, row.target) == (phase.name, target.name))
            assert (np.abs(found / 4096 - expected) <= allowed + terms / 4096 + 1e-9).all()
