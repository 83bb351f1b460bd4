# amaranth: UnusedElaboratable=no
"""A neuron per cycle through the pipeline, against plain Python integers written from the equations of ``docs/lif.md``."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil

from spikeloom.arch.lif import Lif, Reset
from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.hdl.lif import LifPipeline
from spikeloom.hdl.neuron import RANDOM_LATENCY, SUM_LATENCY
from tests.hdl.helpers import simulate

NEURONS = 120
ONE = 4096
Numbers = dict[str, int]
#: No option at all.
BARE: dict[str, Any] = {
    "state_bits": 16,
    "fraction_bits": 3,
    "decay": False,
    "bias_bits": 0,
    "resets": "absolute",
    "refractory_bits": 0,
}
TRUENORTH = Lif(
    state_bits=20,
    fraction_bits=0,
    decay=False,
    leak_bits=9,
    stochastic_leak=True,
    bias_bits=0,
    resets="all",
    refractory_bits=0,
    negative_threshold=True,
    threshold_noise_bits=18,
)
LOIHI = Lif(state_bits=24, fraction_bits=6, current_bits=24, current_wraps=True, bias_bits=20, refractory_bits=6, resets="absolute")
EVERYTHING = Lif(
    state_bits=22,
    fraction_bits=5,
    leak_bits=10,
    stochastic_leak=True,
    bias_bits=14,
    current_bits=20,
    resets="all",
    refractory_bits=4,
    negative_threshold=True,
    threshold_noise_bits=12,
    adaptation_bits=18,
)


# The equations.


def _toward_zero(numerator: int) -> int:
    """``numerator / 2**12`` without its fraction."""
    return -(-numerator // ONE) if numerator < 0 else numerator // ONE


def _saturate(value: int, bits: int) -> int:
    return min(max(value, -(1 << (bits - 1))), (1 << (bits - 1)) - 1)


def _wrap(value: int, bits: int) -> int:
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _current(model: Lif, n: Numbers) -> int:
    """Line 2: what drives the potential, and with a current also its new value."""
    drive = n["sum"] * 2**model.fraction_bits
    if not model.current_bits:
        return drive
    exact = _toward_zero(n["current"] * n["current_retention"]) + drive
    return _wrap(exact, model.current_bits) if model.current_wraps else _saturate(exact, model.current_bits)


def _integrated(model: Lif, n: Numbers) -> int:
    """Lines 3 to 6: V1 of a neuron that is not held."""
    x = _toward_zero(n["membrane"] * n["retention"]) if model.decay else n["membrane"]
    x += _current(model, n) + n["bias"]
    u = n["leak"]
    if n["leak_stochastic"]:
        u = _sign(u) if abs(u) >= n["random"] % 256 else 0
    x += (_sign(x) if n["leak_reversal"] else 1) * u
    return _saturate(x, model.state_bits)


def _noise(n: Numbers) -> int:
    """Line 7: N."""
    return n["random"] >> 8 & n["noise_mask"]


def _tick(model: Lif, n: Numbers) -> tuple[Numbers, int]:
    """One tick of one neuron: its new state, and whether it fires. Fields of options that were left out are 0."""
    bits = model.state_bits
    held = n["refractory"] > 0
    v1, noise = _integrated(model, n), _noise(n)
    fire = v1 > n["threshold"] + n["adaptation"] + noise and not held
    lower = n["negative_threshold"] - (0 if n["negative_saturates"] else noise)
    low = model.negative_threshold and v1 < lower and not fire and not held
    mode = n["reset_mode"]
    if held:
        v = n["membrane"]
    elif fire:
        v = (n["reset"], _wrap(v1 + n["reset"] - noise, bits), v1)[mode]
    elif low:
        v = n["negative_threshold"] if n["negative_saturates"] else (_wrap(-n["reset"], bits), v1 - lower, v1)[mode]
    else:
        v = v1
    new = {"membrane": v}
    if model.refractory_bits:
        new["refractory"] = n["period"] if fire else max(n["refractory"] - 1, 0)
    if model.current_bits:
        new["current"] = _current(model, n)
    if model.adaptation_bits:
        decayed = _toward_zero(n["adaptation"] * n["adaptation_retention"])
        new["adaptation"] = min(decayed + (n["adaptation_step"] if fire else 0), 2**model.adaptation_bits - 1)
    return new, int(fire)


# Neurons.


def _signed(rng: np.random.Generator, bits: int) -> int:
    """From the whole range, near zero, at the ends, or small."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    kind = rng.integers(4)
    if kind == 0:
        return int(rng.integers(low, high, endpoint=True))
    if kind == 1:
        return int(rng.integers(max(low, -4), min(high, 3), endpoint=True))
    if kind == 2:
        return int(rng.choice([low, min(low + 1, high), -1, 0, max(high - 1, low), high]))
    return int(rng.integers(low // 64, high // 64, endpoint=True))


def _unsigned(rng: np.random.Generator, bits: int) -> int:
    return _signed(rng, bits) % (1 << bits) if bits else 0


def _retention(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 1, ONE - 1, ONE])) if rng.random() < 0.4 else int(rng.integers(0, ONE))


def _neuron(model: Lif, rng: np.random.Generator, sum_bits: int) -> Numbers:
    """A neuron with a legal image; its thresholds are often near the potential that they are compared with."""
    bits = model.state_bits
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    n = {
        "sum": _signed(rng, sum_bits),
        "random": _unsigned(rng, RANDOM_BITS),
        "membrane": _signed(rng, bits),
        "refractory": _unsigned(rng, model.refractory_bits) if rng.random() < 0.4 else 0,
        "current": _signed(rng, model.current_bits) if model.current_bits else 0,
        "adaptation": _unsigned(rng, model.adaptation_bits) if rng.random() < 0.8 else 0,
        "retention": _retention(rng),
        "current_retention": _retention(rng),
        "adaptation_retention": _retention(rng),
        "leak": _signed(rng, model.leak_bits) if model.leak_bits else 0,
        "leak_reversal": int(rng.integers(2)) if model.leak_bits else 0,
        "leak_stochastic": int(rng.integers(2)) if model.stochastic_leak else 0,
        "bias": _signed(rng, model.bias_bits) if model.bias_bits else 0,
        "reset_mode": int(rng.integers({"absolute": 1, "relative": 2, "all": 3}[model.resets])),
        "threshold": _signed(rng, bits),
        "reset": _signed(rng, bits),
        "period": _unsigned(rng, model.refractory_bits),
        "negative_threshold": -abs(_signed(rng, bits)) if model.negative_threshold else 0,
        "negative_saturates": int(rng.integers(2)) if model.negative_threshold else 0,
        "noise_mask": _unsigned(rng, model.threshold_noise_bits) if rng.random() < 0.7 else 0,
        "adaptation_step": _unsigned(rng, model.adaptation_bits),
    }
    if model.leak_bits and rng.random() < 0.3:
        # Exactly zero before the leak, or one beside it.
        n |= {"sum": 0, "bias": 0, "current": 0, "membrane": int(rng.integers(-1, 2))}
    if model.stochastic_leak and rng.random() < 0.5:
        n["random"] = n["random"] & ~255 | min(max(abs(n["leak"]) + int(rng.integers(-1, 2)), 0), 255)
    v1 = _integrated(model, n)
    if rng.random() < 0.6:
        n["threshold"] = v1 - n["adaptation"] - _noise(n) + int(rng.integers(-1, 2))
    if model.negative_threshold and rng.random() < 0.5:
        n["negative_threshold"] = v1 + (0 if n["negative_saturates"] else _noise(n)) + int(rng.integers(-1, 2))
    # What an image is checked for.
    n["threshold"] = min(max(n["threshold"], low), high)
    n["negative_threshold"] = min(max(n["negative_threshold"], low), 0)
    if n["reset_mode"] == Reset.RELATIVE:
        n["threshold"], n["reset"] = max(n["threshold"], 0), min(n["reset"], 0)
    if model.negative_threshold and n["reset_mode"] == Reset.ABSOLUTE and not n["negative_saturates"]:
        n["reset"] = max(n["reset"], low + 1)
    return n


# The pipeline.


def _stream(model: Lif, neurons: list[Numbers | None], sum_bits: int) -> list[tuple[Numbers, int]]:
    """Neuron k, or none, enters in cycle k; returns state and spike as they stand ``latency`` cycles later.

    In a cycle in which a port is not taken, there is nonsense on it.
    """
    dut = LifPipeline(model=model, sum_bits=sum_bits)
    timing = dut.timing
    names = {layout: [field.name for field in word.fields] for layout, word in model.words().items()}
    rng = np.random.default_rng(7)
    results: list[tuple[Numbers, int]] = []

    def nonsense(port: Any) -> int:
        return int.from_bytes(rng.bytes(16), "little") % (1 << len(port.as_value() if hasattr(port, "as_value") else port))

    def entered(cycle: int) -> Numbers | None:
        return neurons[cycle] if 0 <= cycle < len(neurons) else None

    def put(ctx: Any, port: Any, fields: list[str], n: Numbers | None) -> None:
        if n is None:
            ctx.set(port.as_value(), nonsense(port))
        else:
            # The memory holds the complement of the threshold.
            ctx.set(port, {name: -1 - n["threshold"] if name == "threshold" else n[name] for name in fields})

    def late(fields: Numbers | None) -> Numbers | None:
        """The period goes by the name of the counter."""
        return None if fields is None else fields | {"refractory": fields["period"]}

    async def bench(ctx: Any) -> None:
        for cycle in range(len(neurons) + timing.latency):
            if cycle >= timing.latency:
                done = ctx.get(dut.done)
                assert done == (entered(cycle - timing.latency) is not None), f"cycle {cycle}: done is {done}"
                results.append(({name: ctx.get(dut.new_state[name]) for name in names["state"]}, ctx.get(dut.spike)))
            else:
                assert not ctx.get(dut.done)
            ctx.set(dut.start, int(entered(cycle) is not None))
            put(ctx, dut.state, names["state"], entered(cycle))
            put(ctx, dut.parameters, names["parameters"], entered(cycle))
            if "own" in names:
                put(ctx, dut.own, names["own"], entered(cycle))
            put(ctx, dut.firing, names["firing"], late(entered(cycle - timing.firing)))
            n = entered(cycle - SUM_LATENCY)
            ctx.set(dut.synaptic_sum, n["sum"] if n else nonsense(dut.synaptic_sum))
            if model.random:
                n = entered(cycle - RANDOM_LATENCY)
                ctx.set(dut.random, n["random"] if n else nonsense(dut.random))
            await ctx.tick()

    simulate(dut, bench, limit=len(neurons) + 100)
    return results


def _check(model: Lif, seed: int, sum_bits: int = 12) -> tuple[float, float]:
    """Compare a stream with gaps; returns how many of the neurons fired, and how many were below their lower threshold."""
    rng = np.random.default_rng([seed, 1])
    neurons = [None if rng.random() < 0.1 else _neuron(model, rng, sum_bits) for _ in range(NEURONS)]
    zero = dict.fromkeys((field.name for field in model.state_fields()), 0)
    fired = low = 0
    for k, (n, got) in enumerate(zip(neurons, _stream(model, neurons, sum_bits), strict=True)):
        if n is None:
            assert got == (zero, 0), f"seed {seed}, cycle {k}: a result without a neuron"
            continue
        want = _tick(model, n)
        assert got == want, f"seed {seed}, neuron {k} of {model}: {n}, V1 {_integrated(model, n)}"
        fired += want[1]
        low += not want[1] and not n["refractory"] and want[0]["membrane"] != _integrated(model, n)
    return fired / NEURONS, low / NEURONS


@pytest.mark.parametrize(("bias", "refractory", "relative"), list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize("state_bits", [8, 16, 17, 28])
def test_leak_bias_reset_and_refractory_period_equal_the_equations(
    state_bits: int, bias: bool, refractory: bool, relative: bool
) -> None:
    model = Lif(
        state_bits=state_bits,
        fraction_bits=3,
        bias_bits=min(16, state_bits) if bias else 0,
        refractory_bits=4 if refractory else 0,
        resets="relative" if relative else "absolute",
    )
    fired, low = _check(model, seed=state_bits)
    assert 0.05 < fired < 0.85
    assert low == 0


OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "decay": {"decay": True},
    "wide decay": {"decay": True, "state_bits": 20},
    "leak": {"leak_bits": 6},
    "wide leak": {"leak_bits": 16, "state_bits": 12},
    "stochastic leak": {"leak_bits": 9, "stochastic_leak": True},
    "narrow stochastic leak": {"leak_bits": 2, "stochastic_leak": True},
    "wide stochastic leak": {"leak_bits": 16, "stochastic_leak": True},
    "bias": {"bias_bits": 10},
    "current": {"current_bits": 16},
    "wide current": {"current_bits": 28},
    "narrow current": {"current_bits": 8},
    "current that wraps": {"current_bits": 14, "current_wraps": True},
    "wide current that wraps": {"current_bits": 17, "current_wraps": True},
    "relative reset": {"resets": "relative"},
    "all resets": {"resets": "all"},
    "refractory period": {"refractory_bits": 8},
    "negative threshold": {"negative_threshold": True},
    "noise": {"threshold_noise_bits": 8},
    "widest noise": {"threshold_noise_bits": 20, "state_bits": 21},
    "narrowest noise": {"threshold_noise_bits": 1},
    "adaptation": {"adaptation_bits": 16},
    "wide adaptation": {"adaptation_bits": 28},
    "narrow adaptation": {"adaptation_bits": 4},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_alone_equals_the_equations(option: str) -> None:
    model = Lif(**(BARE | OPTIONS[option]))
    fired, low = _check(model, seed=1)
    assert fired > 0.05
    assert (low > 0.05) == model.negative_threshold


@pytest.mark.parametrize("model", [TRUENORTH, LOIHI, EVERYTHING], ids=["truenorth", "loihi", "everything"])
def test_known_combinations_equal_the_equations(model: Lif) -> None:
    fired, low = _check(model, seed=2)
    assert fired > 0.05
    assert (low > 0.02) == model.negative_threshold


def _drawn(seed: int) -> tuple[Lif, int]:
    """A random model and a width of the sum."""
    rng = np.random.default_rng([seed, 2])

    def some(low: int, high: int) -> int:
        return int(rng.integers(low, high, endpoint=True)) if rng.random() < 0.5 else 0

    state, leak, current = int(rng.integers(8, 28, endpoint=True)), some(2, 16), some(8, 28)
    model = Lif(
        state_bits=state,
        fraction_bits=int(rng.integers(0, 12, endpoint=True)),
        decay=bool(rng.integers(2)),
        leak_bits=leak,
        stochastic_leak=bool(leak and rng.integers(2)),
        bias_bits=some(1, state),
        current_bits=current,
        current_wraps=bool(current and rng.integers(2)),
        resets=str(rng.choice(["absolute", "relative", "all"])),
        refractory_bits=some(1, 8),
        negative_threshold=bool(rng.integers(2)),
        threshold_noise_bits=some(1, min(20, state - 1)),
        adaptation_bits=some(4, 28),
    )
    return model, int(rng.integers(2, 24, endpoint=True))


@pytest.mark.parametrize("seed", range(30))
def test_random_combinations_equal_the_equations(seed: int) -> None:
    model, sum_bits = _drawn(seed)
    _check(model, seed, sum_bits)


@pytest.mark.parametrize(
    ("model", "sum_bits"),
    [
        # The sum is far wider than the potential, then far narrower; the widest and the narrowest bias.
        (Lif(state_bits=8, fraction_bits=12, bias_bits=8), 29),
        (Lif(state_bits=26, fraction_bits=0, bias_bits=26), 2),
        (Lif(state_bits=20, fraction_bits=12, bias_bits=1, refractory_bits=1), 2),
        (Lif(state_bits=24, fraction_bits=5, bias_bits=2, refractory_bits=8), 16),
        (Lif(state_bits=13, fraction_bits=0, bias_bits=0, refractory_bits=0), 3),
        # A potential narrower than current, adaptation and leak; and the other way round.
        (Lif(state_bits=8, bias_bits=0, current_bits=28, adaptation_bits=28, leak_bits=16, negative_threshold=True), 20),
        (Lif(state_bits=28, current_bits=8, adaptation_bits=4, leak_bits=2, threshold_noise_bits=1, resets="all"), 2),
    ],
)
def test_widths_at_their_limits(model: Lif, sum_bits: int) -> None:
    _check(model, seed=5, sum_bits=sum_bits)


@pytest.mark.parametrize(
    ("changes", "firing", "latency"),
    [
        # Leak, bias, refractory period: up to 16 bits, and above.
        ({"decay": True}, 4, 5),
        ({"decay": True, "bias_bits": 9}, 5, 6),
        ({"decay": True, "refractory_bits": 2}, 5, 6),
        ({"decay": True, "bias_bits": 9, "refractory_bits": 2}, 5, 6),
        ({"decay": True, "state_bits": 17}, 5, 6),
        ({"decay": True, "state_bits": 17, "bias_bits": 9}, 6, 7),
        ({"decay": True, "state_bits": 17, "refractory_bits": 2}, 6, 7),
        # The others, alone.
        ({}, 4, 5),
        ({"bias_bits": 9}, 5, 6),
        ({"leak_bits": 5}, 6, 7),
        ({"leak_bits": 5, "stochastic_leak": True}, 9, 10),
        ({"current_bits": 16}, 6, 7),
        ({"current_bits": 17}, 7, 8),
        ({"current_bits": 17, "current_wraps": True}, 6, 7),
        ({"resets": "all"}, 4, 5),
        ({"negative_threshold": True}, 4, 6),
        ({"threshold_noise_bits": 4}, 6, 8),
        ({"adaptation_bits": 9}, 3, 5),
        ({"adaptation_bits": 9, "threshold_noise_bits": 4}, 6, 9),
    ],
)
def test_latency_is_that_of_the_page(changes: dict[str, Any], firing: int, latency: int) -> None:
    timing = LifPipeline.timing_of(Lif(**(BARE | changes)))
    assert (timing.firing, timing.latency, timing.interval) == (firing, latency, 1)


@pytest.mark.parametrize(
    ("changes", "multipliers"),
    [
        ({}, 0),
        ({"decay": True}, 1),
        ({"decay": True, "state_bits": 17}, 2),
        ({"leak_bits": 9, "negative_threshold": True, "threshold_noise_bits": 9, "resets": "all"}, 0),
        ({"decay": True, "current_bits": 16, "adaptation_bits": 24}, 4),
    ],
)
def test_what_is_left_out_costs_no_multiplier(changes: dict[str, Any], multipliers: int) -> None:
    text = rtlil.convert(LifPipeline(model=Lif(**(BARE | changes)), sum_bits=12))
    assert text.count("cell $mul ") == multipliers


# Corners.


def _one(model: Lif, *, synaptic_sum: int = 0, **given: int) -> tuple[Any, ...]:
    """State and spike after a tick of a neuron whose values are 0 but for those given; the model's equations agree."""
    n = dict.fromkeys(_neuron(model, np.random.default_rng(0), 12), 0)
    n |= {"retention": ONE, "current_retention": ONE, "adaptation_retention": ONE, "threshold": 1000, "sum": synaptic_sum} | given
    ((state, spike),) = _stream(model, [n], 14)
    assert (state, spike) == _tick(model, n)
    return (*state.values(), spike)


@pytest.mark.parametrize("state_bits", [12, 20])
def test_corners_worked_by_hand(state_bits: int) -> None:
    model = Lif(state_bits=state_bits, fraction_bits=3, bias_bits=8, refractory_bits=4)
    # -3 * 2048 / 4096 = -1.5 becomes -1, and 3 * 0.5 becomes 1: toward zero.
    assert _one(model, membrane=-3, retention=2048) == (-1, 0, 0)
    assert _one(model, membrane=3, retention=2048) == (1, 0, 0)
    # -1 * 4095 / 4096 becomes 0; the potential dies out.
    assert _one(model, membrane=-1, retention=4095) == (0, 0, 0)
    # 5 * 2**3 + 2 = 42 is above 41 and not above 42.
    assert _one(model, synaptic_sum=5, bias=2, threshold=41, reset=7, period=9) == (7, 9, 1)
    assert _one(model, synaptic_sum=5, bias=2, threshold=42, reset=7, period=9) == (42, 0, 0)
    # Relative: 42 - 41 stays.
    assert _one(model, synaptic_sum=5, bias=2, threshold=41, reset=-41, reset_mode=Reset.RELATIVE) == (1, 0, 1)
    # Held: neither leak nor input nor spike; the counter falls.
    assert _one(model, membrane=900, refractory=3, synaptic_sum=50, retention=0, bias=99, threshold=0) == (900, 2, 0)
    # Saturation at both ends; the largest threshold is never exceeded.
    top = (1 << (state_bits - 1)) - 1
    assert _one(model, membrane=top, synaptic_sum=8000, threshold=top) == (top, 0, 0)
    assert _one(model, membrane=-top - 1, synaptic_sum=-8000, threshold=top) == (-top - 1, 0, 0)


def test_corners_of_the_leak_worked_by_hand() -> None:
    model = Lif(**(BARE | {"leak_bits": 4, "stochastic_leak": True}))
    # Always downward, or toward zero and beyond it, and never away from exactly 0.
    assert _one(model, membrane=5, leak=-3) == (2, 0)
    assert _one(model, membrane=-5, leak=-3) == (-8, 0)
    assert _one(model, membrane=-5, leak=-3, leak_reversal=1) == (-2, 0)
    assert _one(model, membrane=-2, leak=-3, leak_reversal=1) == (1, 0)
    assert _one(model, leak=-3, leak_reversal=1) == (0, 0)
    assert _one(model, leak=-8) == (-8, 0)
    assert _one(model, membrane=-20, leak=-8, leak_reversal=1) == (-12, 0)
    # Taken by one if the leak's size is not below the random number's low byte; 0x1207 has 7.
    assert _one(model, membrane=50, leak=-7, leak_stochastic=1, random=0x1207) == (49, 0)
    assert _one(model, membrane=50, leak=-6, leak_stochastic=1, random=0x1207) == (50, 0)
    assert _one(model, membrane=50, leak=-8, leak_stochastic=1, random=8) == (49, 0)
    assert _one(model, membrane=50, leak=0, leak_stochastic=1, random=0) == (50, 0)
    # 2**15 - 1 + 7 saturates after the leak, not before: with -8 it would otherwise be lower by 8.
    assert _one(model, membrane=32767, synaptic_sum=1, leak=-8, threshold=32767) == (32767, 0)


def test_corners_of_the_current_worked_by_hand() -> None:
    model = Lif(**(BARE | {"current_bits": 8, "refractory_bits": 3}))
    # -3 * 0.5 + 2 * 8 = 15, which drives the potential at once.
    assert _one(model, membrane=100, current=-3, current_retention=2048, synaptic_sum=2) == (115, 0, 15, 0)
    # A held neuron's current takes the input, its potential does not.
    assert _one(model, membrane=100, refractory=2, current=-3, current_retention=2048, synaptic_sum=2) == (100, 1, 15, 0)
    # 120 + 8 saturates, or wraps.
    assert _one(model, current=120, synaptic_sum=1) == (127, 0, 127, 0)
    model = Lif(**(BARE | {"current_bits": 8, "current_wraps": True}))
    assert _one(model, current=120, synaptic_sum=1) == (-128, -128, 0)


def test_corners_of_noise_and_lower_threshold_worked_by_hand() -> None:
    model = Lif(**(BARE | {"threshold_noise_bits": 6, "negative_threshold": True, "resets": "all"}))
    # 0x2FFF >> 8 is 47, of which the mask 12 leaves 12; 62 is above 49 + 12.
    noise = {"random": 0x2FFF, "noise_mask": 12}
    assert _one(model, membrane=62, threshold=49, reset=-49, reset_mode=Reset.RELATIVE, **noise) == (1, 1)
    assert _one(model, membrane=61, threshold=49, reset=-49, reset_mode=Reset.RELATIVE, **noise) == (61, 0)
    assert _one(model, membrane=62, threshold=49, reset=-49, reset_mode=Reset.NONE, **noise) == (62, 1)
    assert _one(model, membrane=62, threshold=49, reset=-49, reset_mode=Reset.ABSOLUTE, **noise) == (-49, 1)
    # Below -20 - 12; where it saturates, below -20 without noise.
    lower = {"negative_threshold": -20, "reset": 9, **noise}
    assert _one(model, membrane=-32, **lower) == (-32, 0)
    assert _one(model, membrane=-33, **lower) == (-9, 0)
    assert _one(model, membrane=-33, **lower | {"reset": -9}, reset_mode=Reset.RELATIVE) == (-1, 0)
    assert _one(model, membrane=-33, **lower, reset_mode=Reset.NONE) == (-33, 0)
    assert _one(model, membrane=-20, **lower, negative_saturates=1) == (-20, 0)
    assert _one(model, membrane=-21, **lower, negative_saturates=1, reset_mode=Reset.NONE) == (-20, 0)
    # Above a threshold below the lower one: it fires.
    assert _one(model, membrane=-50, threshold=-90, **lower) == (9, 1)


@pytest.mark.parametrize("bits", [10, 20])
def test_corners_of_the_adaptation_worked_by_hand(bits: int) -> None:
    model = Lif(**(BARE | {"adaptation_bits": bits, "refractory_bits": 2}))
    # Compared with the adaptation before the tick, 7, which decays to 3.
    assert _one(model, membrane=18, threshold=10, adaptation=7, adaptation_retention=2048, adaptation_step=5) == (0, 0, 8, 1)
    assert _one(model, membrane=17, threshold=10, adaptation=7, adaptation_retention=2048, adaptation_step=5) == (17, 0, 3, 0)
    # A held neuron's decays too.
    assert _one(model, membrane=18, refractory=1, threshold=0, adaptation=7, adaptation_retention=2048) == (18, 0, 3, 0)
    # It does not go beyond its width.
    top = (1 << bits) - 1
    assert _one(model, membrane=32000, threshold=-32768, adaptation=top >> 6, adaptation_step=top) == (0, 0, top, 1)
    assert _one(model, membrane=32000, threshold=-32768, adaptation=9, adaptation_step=top - 9) == (0, 0, top, 1)
    assert _one(model, membrane=32000, threshold=-32768, adaptation=9, adaptation_step=top - 10) == (0, 0, top - 1, 1)


def test_a_cycle_without_a_neuron_gives_zero() -> None:
    model = Lif(state_bits=16, fraction_bits=3)
    n = dict.fromkeys(_neuron(model, np.random.default_rng(0), 12), 5) | {"threshold": -100, "reset_mode": 0, "refractory": 0}
    got = _stream(model, [n, None, None, n, n, None], 12)
    fired, nothing = ({"membrane": 5, "refractory": 5}, 1), ({"membrane": 0, "refractory": 0}, 0)
    assert got == [fired, nothing, nothing, fired, fired, nothing]
