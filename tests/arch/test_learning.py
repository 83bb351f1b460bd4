"""What a learning unit may be, and which settings and terms an image may hold."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.learning import (
    FLAG,
    First,
    Learning,
    Phase,
    Second,
    Target,
    check_learning,
    reward_units,
    settings_layout,
    term_layout,
)

UNIT = Learning(pre_traces=1, post_traces=2, tag_bits=8, terms=4)


def contents(*rows: dict[str, int], **settings: int) -> tuple[dict[str, IntArray], dict[str, IntArray]]:
    """Settings and terms; all terms belong to the phase pre unless it is said how many."""
    fields = {field.name: np.zeros(1, np.int64) for field in settings_layout(UNIT, 8).fields}
    fields["high"][0], fields["pre_terms"][0] = 127, len(rows)
    for name, value in settings.items():
        fields[name][0] = value
    terms = {field.name: np.zeros(UNIT.terms, np.int64) for field in term_layout(UNIT, 8).fields}
    for number, row in enumerate(rows):
        for name, value in ({"last": 1} | row).items():
            terms[name][number] = value
    return fields, terms


def test_what_fits_is_accepted() -> None:
    check_learning(UNIT, 8, *contents())
    small = {"first": First.X1, "second": Second.Y2, "shift": 8}
    tag = {"first": First.R, "second": Second.T, "target": Target.TAG, "shift": 1}
    check_learning(UNIT, 8, *contents(small | {"last": 0}, small, tag))
    check_learning(UNIT, 8, *contents(small, small, tag, pre_terms=1, post_terms=1, epoch_terms=1))


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([{}] * 3, {"post_terms": 2}, "the rules have 5 terms; the core has room for 4: raise terms"),
        ([], {"low": 5, "high": 4}, "the lower bound of weights is 5, above the upper one, 4"),
        ([{"first": First.X2}], {}, "pre term 0: it uses x2, which the core was not generated with"),
        ([{"second": Second.V0}], {}, "pre term 0: it uses v0, which the core was not generated with"),
        ([{"first": 7}], {}, "pre term 0: its first factor is variable 7; there are 7"),
        ([{"last": 0}], {}, "the pre terms must be those of the weight, then those of the tag, the last of each marked"),
        ([{"target": 1}, {"target": 0}], {}, "the pre terms must be those of the weight, then those of the tag, the last of each marked"),
        (
            [{"first": First.X1, "second_constant": 4000, "shift": 0}],
            {},
            "the pre terms can change a weight by 3999.02 at once; at most 127 fits: use smaller constants",
        ),
        (
            [{"first": First.X1, "second_constant": 100, "shift": 0, "last": 0}, {"first": First.X1, "second_constant": -100, "shift": 0}],
            {},
            "the pre terms can change a weight by 199.951 at once; at most 127 fits: use smaller constants",
        ),
    ],
    ids=["too many", "bounds", "trace", "flag", "variable", "not marked", "order", "large", "large together"],
)  # fmt: skip
def test_what_does_not_fit_is_refused(rows: list[dict[str, int]], settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        check_learning(UNIT, 8, *contents(*rows, **settings))


def test_a_comparison_is_no_larger_than_a_flag() -> None:
    row = {"first": First.X1, "first_compared": 1, "second_constant": 500, "shift": 0}
    check_learning(UNIT, 8, *contents(row))
    assert FLAG * 500 < 127 << 12 < 4095 * 500


def test_a_tag_is_refused_where_there_is_none() -> None:
    plain = Learning(terms=4)
    settings = {field.name: np.zeros(1, np.int64) for field in settings_layout(plain, 8).fields}
    terms = {field.name: np.zeros(4, np.int64) for field in term_layout(plain, 8).fields}
    settings["epoch_terms"][0] = terms["target"][0] = terms["last"][0] = 1
    with pytest.raises(ConfigError, match=r"^epoch term 0: it changes a tag, which the core was not generated with$"):
        check_learning(plain, 8, settings, terms)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pre_traces": 3}, r"pre_traces is 3; it must be 0 to 2 \(nearest: 2\)"),
        ({"post_traces": -1}, r"post_traces is -1; it must be 0 to 2 \(nearest: 0\)"),
        ({"tag_bits": 4}, "tag_bits is 4; it must be 0, 8, 16"),
        ({"tag_bits": True}, "tag_bits is True; it must be 0, 8, 16"),
        ({"terms": 0}, r"terms is 0; it must be 1 to 32 \(nearest: 1\)"),
        ({"terms": 33}, r"terms is 33; it must be 1 to 32 \(nearest: 32\)"),
        ({"membrane_flag": 1}, "membrane_flag must be True or False, not 1"),
        ({"teacher": None}, "teacher must be True or False, not None"),
        ({"offsets": "no"}, "offsets must be True or False, not 'no'"),
        ({"weight_factor": 0}, "weight_factor must be True or False, not 0"),
        ({"neuron_products": 2}, "neuron_products must be True or False, not 2"),
    ],
)
def test_a_unit_out_of_range_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        Learning(**arguments)


def test_a_teacher_stands_in_the_same_word() -> None:
    with pytest.raises(
        ConfigError, match=r"^a teacher needs lanes of 2 or more, since a neuron and its teacher stand in one word$"
    ):
        CoreConfig(lanes=1, learning=Learning(teacher=True))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"first": First.Y1}, "pre term 0: its first factor is y1; the core needs neuron_products for this"),
        (
            {"first": First.X1, "first_constant": -3},
            "pre term 0: its first factor is a sum or a comparison; the core needs offsets for this",
        ),
        ({"second_compared": 1}, "pre term 0: its second factor is a sum or a comparison; the core needs offsets for this"),
        ({"second": Second.W}, "pre term 0: it uses w, which the core was not generated with"),
    ],
)
def test_what_was_left_out_is_refused(row: dict[str, int], message: str) -> None:
    plain = dataclasses.replace(UNIT, offsets=False, weight_factor=False, neuron_products=False)
    check_learning(plain, 8, *contents({"first": First.X1, "second": Second.Y2, "shift": 8}))
    with pytest.raises(ConfigError, match=f"^{message}$"):
        check_learning(plain, 8, *contents(row))


def test_a_nearest_trace_is_no_larger_than_its_impulse() -> None:
    row = {"first": First.X1, "second_constant": 400, "shift": 0}
    with pytest.raises(ConfigError, match=r"can change a weight by 399\.902 at once"):
        check_learning(UNIT, 8, *contents(row))
    check_learning(UNIT, 8, *contents(row, x1_nearest=1, x1_impulse=1 << 14))
    with pytest.raises(ConfigError, match=r"can change a weight by 200 at once"):
        check_learning(UNIT, 8, *contents(row, x1_nearest=1, x1_impulse=1 << 15))


def test_a_unit_as_plain_data() -> None:
    core = CoreConfig(learning=UNIT)
    assert CoreConfig.from_dict(core.as_dict()) == core
    for data in ({**dataclasses.asdict(UNIT), "more": 1}, {}, 3):
        with pytest.raises(
            ConfigError, match=r"^not a chip geometry of this version of spikeloom: missing or unknown in the learning: "
        ):
            CoreConfig.from_dict({**core.as_dict(), "learning": data})


def test_rewards() -> None:
    assert (reward_units(1), reward_units(-4), reward_units(4095 / 1024)) == (1024, -4096, 4095)


def test_terms_and_settings_fit_bus_words() -> None:
    for unit in (UNIT, Learning(), Learning(pre_traces=2, post_traces=2, tag_bits=16, membrane_flag=True, terms=32)):
        for bits in (4, 8, 16):
            for layout in (settings_layout(unit, bits), term_layout(unit, bits)):
                assert all(field.bits <= 32 for field in layout.fields)
            # The hardware looks at the target when the first slice is written.
            assert term_layout(unit, bits).offset("target") < 32
    assert [phase.name for phase in Phase] == ["PRE", "POST", "EPOCH", "TEACH"]
