from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.learning import Learning, Phase, Target
from spikeloom.golden.core import Core
from spikeloom.golden.learning import BoolArray
from spikeloom.golden.rule import change
from spikeloom.network.rule import Rule, compile_rule
from tests.helpers import empty_contents, pack
from tests.network.test_rule import Product
from tests.network.test_rule import products as products_of_any_form

TEXT = "dw = -2^-5 * y1 * x0 + 2^-4 * x1 * y0 + 2^-13 * x0 * w * y0 - 3 * u\ndt = 819 * 2^-13 * (r - 0.25) * (t + 3) * u - (v0 >= 1) * x0"


def one(text: str, phase: Phase, target: Target = Target.WEIGHT, **variables: int) -> int:
    """The change of a single synapse."""
    found = change(text, phase, target, {name: np.array([value]) for name, value in variables.items()})
    assert found.shape == (1,)
    assert found.dtype == np.int64
    return int(found[0])


def test_phases_and_targets_are_apart() -> None:
    values = {"x0": 1024, "x1": 100, "y1": 2049, "w": -7, "t": 5, "r": 256 + 512, "v0": 1024}
    # 2049/1024 / 32 * 4096 = 256.125
    assert one(TEXT, Phase.PRE, **values) == -256
    # 100/1024 / 16 * 4096 = 25; -7 * 2^-13 * 4096 = -3.5, which rounds down.
    assert one(TEXT, Phase.POST, **values) == 25 - 4
    assert one(TEXT, Phase.EPOCH, **values) == -3 * 4096
    assert one(TEXT, Phase.PRE, Target.TAG, **values) == -4096
    assert one(TEXT, Phase.POST, Target.TAG, **values) == 0
    # (768 - 256)/1024 * 8 * 819/8192 * 4096 = 0.5 * 8 * 409.5
    assert one(TEXT, Phase.EPOCH, Target.TAG, **values) == 1638


def test_a_product_is_rounded_down_before_its_sign() -> None:
    # 3/1024 * 2^-3 * 4096 = 1.5
    for r, sign, expected in ((3, "", 1), (3, "-", -1), (-3, "", -2), (-3, "-", 2)):
        assert one(f"dw = {sign}2^-3 * r * x0", Phase.PRE, r=r) == expected


def test_each_product_is_rounded_by_itself() -> None:
    assert one("dw = 2^-3 * r * x0 + 2^-3 * r * x0", Phase.PRE, r=3) == 2
    assert one("dw = 2^-2 * r * x0", Phase.PRE, r=3) == 3


@pytest.mark.parametrize(
    ("factor", "values", "expected"),
    [
        ("(y1 >= 0.5)", {"y1": 511}, 0),
        ("(y1 >= 0.5)", {"y1": 512}, 1),
        ("(y1 >= 0.5009765625)", {"y1": 512}, 0),
        ("(y1 >= 0.5009765625)", {"y1": 513}, 1),
        ("(r >= -0.5)", {"r": -512}, 1),
        ("(r >= -0.5)", {"r": -513}, 0),
        ("(w >= 4)", {"w": 4}, 1),
        ("(w >= 4)", {"w": 3}, 0),
        ("v0", {"v0": 1024}, 1),
        ("(v0 - 1)", {"v0": 0}, -1),
        ("(y1 >= 0.5) * v0", {"y1": 512, "v0": 1024}, 1),
        ("(y1 >= 0.5) * (v0 - 1)", {"y1": 512, "v0": 0}, -1),
        ("(y1 >= 0.5) * (w - 5)", {"y1": 4095, "w": -4}, -9),
        ("(y1 >= 0.5) * (w - 5)", {"y1": 0, "w": -4}, 0),
        ("x1", {"x1": 4096 // 2}, 2),
        ("(y2 + 0.5) * (y2 - 1)", {"y2": 3 * 512}, 1),
        ("r * t", {"r": -4096, "t": -128}, 512),
    ],
)
def test_factors(factor: str, values: dict[str, int], expected: int) -> None:
    assert one(f"dw = {factor} * x0", Phase.PRE, **values) == expected * 4096
    assert one(f"dw = 5 * 2^-7 * {factor} * u", Phase.EPOCH, **values) == expected * 160
    assert one(f"dw = -{factor} * y0", Phase.POST, **values) == -expected * 4096


def test_the_event_of_an_axon_is_a_variable_beside_y0() -> None:
    assert one("dw = 2^-3 * x0 * y0", Phase.POST, x0=0) == 0
    assert one("dw = 2^-3 * x0 * y0", Phase.POST, x0=1024) == 512
    assert one("dw = 2^-3 * x0 * y0", Phase.PRE, x0=1024) == 0


def test_shapes_broadcast() -> None:
    variables: dict[str, IntArray] = {
        "x1": np.arange(0, 300, 100)[:, np.newaxis],
        "y1": np.arange(4),
        "w": np.zeros((3, 4), np.int64),
    }
    found = change("dw = x1 * y1 * y0 + x1 * y0", Phase.POST, Target.WEIGHT, variables)
    assert found.tolist() == [[x * y // 256 + 4 * x for y in range(4)] for x in (0, 100, 200)]
    for phase in (Phase.PRE, Phase.EPOCH):
        assert change("dw = x1 * y0", phase, Target.WEIGHT, variables).shape == (3, 4)


@st.composite
def products(draw: st.DrawFn) -> tuple[int, Fraction, list[str], dict[str, int], Fraction]:
    """Sign, constant, factors, integers of their variables, and their product as a real number."""
    value, factors, variables = Fraction(1), [], {}
    for names in ("x1 x2 r", "y1 y2 w t v0")[: draw(st.integers(0, 2))]:
        name = draw(st.sampled_from(names.split()))
        unit = 1 if name in ("w", "t") else 1024
        variables[name] = draw(st.integers(-4096, 4095))
        constant = Fraction(draw(st.integers(-4096, 4095)), unit)
        real = Fraction(variables[name], unit)
        form = draw(st.sampled_from("+-c "))
        shown = f"{float(abs(constant)):.10f}" if unit > 1 else str(abs(constant))
        factors.append(
            {
                "+": f"({name} + {shown})",
                "-": f"({name} - {shown})",
                "c": f"({name} >= {'-' * (constant < 0)}{shown})",
                " ": name,
            }[form]
        )
        value *= {"+": real + abs(constant), "-": real - abs(constant), "c": Fraction(int(real >= constant)), " ": real}[form]
    coefficient = draw(st.integers(1, 4095)) * Fraction(2) ** draw(st.integers(-43, 0))
    return draw(st.sampled_from([1, -1])), coefficient, factors, variables, value


@given(st.lists(products(), min_size=1, max_size=4), st.sampled_from(Phase), st.sampled_from(Target))
def test_equal_to_fractions(
    parts: list[tuple[int, Fraction, list[str], dict[str, int], Fraction]], phase: Phase, target: Target
) -> None:
    # All products of a text share the variables, so each has a text of its own here, and the sum a second one without variables.
    trigger, name = ("x0", "y0", "u", "z0")[phase], ("dw", "dt")[target]
    for sign, coefficient, factors, variables, value in parts:
        exponent = 1 - coefficient.denominator.bit_length()
        text = f"{name} = {'-' * (sign < 0)}{coefficient.numerator} * 2^{exponent} * {' * '.join([*factors, trigger])}"
        expected = sign * math.floor(coefficient * value * 4096)
        assert one(text, phase, target, **(variables or {"w": 0})) == expected
        assert one(f"{text} - 2 * {trigger}", phase, target, **(variables or {"w": 0})) == expected - 8192


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "''"),
        ("dx = x0", "'dx = x0'"),
        ("dw = ", "'dw = '"),
        ("dw = x1", "'x1'"),
        ("dw = x0 * 0.5", "'0.5' in 'x0 * 0.5'"),
        ("dw = x0 * x3", "'x3' in"),
        ("dw = x0 + ", "'+ '"),
        ("dw = x0 x1", "'x0 x1'"),
        ("dw = (w - 1 - 2) * x0", "'(w - 1 - 2)' in"),
        ("dw = (u - 1) * x0", "'(u - 1) * x0'"),
        ("dw = x1 * y1 * w * x0", "'x1 * y1 * w * x0'"),
        ("dw = (y1 - 0.3) * x0", "3/10 beside y1 has too many digits"),
    ],
)
def test_other_texts_are_refused(text: str, shown: str) -> None:
    with pytest.raises(ConfigError, match="not a rule as compiled: .*" + re.escape(shown)):
        one(text, Phase.PRE, y1=0, x1=0, w=0)


# The learning unit --------------------------------------------------------------------------------------------------------

FULL = Learning(pre_traces=2, post_traces=2, tag_bits=16, membrane_flag=True, teacher=True, terms=32)
#: Constants are so large that weights change without stochastic rounding.
RULES = {
    "pair STDP": "dw = 0.7 * x1 * y0 - 0.6 * x0 * y1",
    "soft bounds": "dw = 2^-5 * x1 * (127 - w) * y0 - 2^-5 * x0 * y1 * w",
    "triplet": "dw = x1 * y0 + 0.5 * x1 * y2 * y0 - y1 * x0 - 0.4 * y1 * x2 * x0",
    "reward and tag": "dt = 8 * x1 * y0 - 8 * x0 * y1 - 2^-3 * t * u; dw = 2^-6 * r * t * u",
    "SDSP": "dw = x0 * v0 * (y1 >= 0.25) * (y1 < 3) - x0 * (1 - v0) * (y1 >= 0.25) * (y1 < 2)",
    "BCM": "dw = 3 * y0 * x1 * (y1 - 0.5)",
    "homeostatic scaling": "dw = 2^-2 * u * w * (0.2 - y2)",
    "presynaptic, threshold": "dw = y0 * (x1 - 0.4)",
    "post-triggered": "dw = 3 * y0 * (x1 >= 0.25) - 2 * y0 * (x1 < 0.25)",
    "coincidence": "dw = 5 * x0 * y0 - u",
    "comparison of weight and reward": "dw = 2 * (r >= -1) * (w < 5) * y0 - 2 * x0 * (r < -1)",
    "comparison of tag": "dt = 300 * v0 * x0 - 200 * (t > 7) * u; dw = 4 * (y2 < 2) * (t >= 0) * x0",
}


def _follow(rule: Rule, bits: int, seed: int) -> int:
    """Run the learning unit of a small core beside what the text says; the number of weights and tags that change in the end."""
    rng = np.random.default_rng([seed, bits])
    config = CoreConfig(axons=6, neurons=11, lanes=4, weight_bits=bits, learning=FULL)
    contents = empty_contents(config)
    # Rows of one to three words, and an empty one; they share no words.
    start = np.append(rng.integers(0, 3, 5), 1)
    last = np.append(rng.integers(start[:5], 3), 0)
    base = np.cumsum(last - start + 1) - (last - start + 1)
    contents["rows"] |= {"start": start, "last": last, "base": base, "plastic": np.array([1, 1, 1, 1, seed % 2, 1])}
    plastic = rng.random((3, 4)) < 0.8
    contents["plastic"]["plastic"] = plastic.astype(np.int64)
    low, high = np.sort(rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), 2))
    reward = int(rng.integers(-4096, 4096))
    contents["weights"]["weight"] = rng.integers(low, high, (config.words, 4), endpoint=True)
    contents["rules"] = rule.terms
    contents["modulation"] = {"enabled": np.array([1]), "reward": np.array([reward])}
    settings = rule.counts | {"epoch": 1, "stochastic": 0, "low": low, "high": high, "v_threshold": 3}
    for name in FULL.traces:
        settings |= {f"{name}_decay": rng.integers(1 << 15, 1 << 16), f"{name}_impulse": rng.integers(0, 1 << 15)}
        settings[f"{name}_nearest"] = rng.integers(0, 2)
    contents["learning"] = {name: np.array([value]) for name, value in settings.items()}
    unit = Core(config, pack(config, contents)).learning
    assert unit is not None
    traces = {name: rng.integers(0, 1 << 16, 6 if name[0] == "x" else 12) for name in FULL.traces}
    unit.x, unit.y = np.array([traces["x1"], traces["x2"]]), np.array([traces["y1"], traces["y2"]])
    unit.tags = rng.integers(-(1 << 15), 1 << 15, unit.tags.shape) >> rng.integers(0, 12, unit.tags.shape)
    weights, tags, v0 = unit.weights.copy(), unit.tags.copy(), np.zeros(12, np.bool_)
    before = weights.copy(), tags.copy()
    word = np.arange(12) // 4
    inside = (word >= start[:, np.newaxis]) & (word <= last[:, np.newaxis])
    place = np.where(inside, base[:, np.newaxis] + word - start[:, np.newaxis], 0), np.arange(12) % 4
    learns = inside & (contents["rows"]["plastic"] == 1)[:, np.newaxis] & plastic.reshape(-1)

    def visit(phase: Phase, chosen: BoolArray, axon_events: BoolArray) -> None:
        variables = {name: values[:, np.newaxis] >> 4 if name[0] == "x" else values >> 4 for name, values in traces.items()}
        variables |= {"x0": 1024 * axon_events[:, np.newaxis], "r": np.array([reward]), "v0": 1024 * v0}
        variables |= {"w": weights[place], "t": tags[place]}
        changes = {target: (change(rule.text, phase, target, variables) + 2048) >> 12 for target in Target}
        synapses = learns & chosen
        where = place[0][synapses], np.broadcast_to(place[1], synapses.shape)[synapses]
        weights[where] = np.clip(weights[where] + changes[Target.WEIGHT][synapses], low, high)
        tags[where] = np.clip(tags[where] + changes[Target.TAG][synapses], -(1 << 15), (1 << 15) - 1)

    def raised(name: str, events: BoolArray) -> None:
        sums = traces[name] * (not settings[f"{name}_nearest"]) + settings[f"{name}_impulse"]
        traces[name] = np.where(events, np.minimum(sums, 65535), traces[name])

    for tick in range(6):
        active, fired = rng.random(6) < 0.6, np.append(rng.random(11) < 0.4, False)
        unit.before_update(active, 0)
        visit(Phase.PRE, active[:, np.newaxis], active)
        assert np.array_equal(unit.weights, weights)
        assert np.array_equal(unit.tags, tags)
        membrane, updated = rng.integers(-8, 12, 11), int(rng.integers(5, 12))
        unit.after_update(active, fired[:11], membrane, updated, tick, 0)
        v0[:updated] = membrane[:updated] >= 3
        for name in ("x1", "x2"):
            raised(name, active)
        visit(Phase.POST, fired, active)
        visit(Phase.TEACH, fired.reshape(6, 2)[:, ::-1].reshape(12), active)
        for name in ("y1", "y2"):
            raised(name, fired)
        for name, values in traces.items():
            traces[name] = np.minimum((values * settings[f"{name}_decay"] + (1 << 15)) >> 16, np.maximum(values - 1, 0))
        if tick % 2:
            visit(Phase.EPOCH, np.ones(12, np.bool_), np.zeros(6, np.bool_))
        assert np.array_equal(unit.weights, weights)
        assert np.array_equal(unit.tags, tags)
    assert np.array_equal(unit.crossbar.matrix[inside], weights[place][inside])
    return int(np.count_nonzero(weights != before[0]) + np.count_nonzero(tags != before[1]))


@pytest.mark.parametrize("name", RULES)
def test_the_learning_unit_does_what_the_text_says(name: str) -> None:
    for bits in (4, 8, 16):
        rule = compile_rule(RULES[name], FULL, bits)
        assert sum(_follow(rule, bits, seed) for seed in range(8)) > 0


@given(st.lists(products_of_any_form(), min_size=1, max_size=4), st.sampled_from([4, 8, 16]), st.integers(0, 1 << 32))
def test_the_learning_unit_does_what_any_text_says(parts: list[Product], bits: int, seed: int) -> None:
    # Equal products of opposite signs cancel; the last one stays, so that there is a rule.
    rule = compile_rule("\n".join(f"{part.target} = {part.text}" for part in parts) + "\ndw = 2^-7 * u", FULL, bits, digits=2)
    _follow(rule, bits, seed)
