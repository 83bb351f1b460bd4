"""The golden neuron by hand, against plain integers, against the published equations of chips, and against real numbers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.lif import RETENTION_FRACTION, Lif, Reset
from spikeloom.arch.profiles import PROFILES, loihi_neuron, odin_neuron, truenorth_neuron
from spikeloom.arch.random import key_of_tick, random_numbers
from spikeloom.golden.lif import lif_step
from spikeloom.golden.neuron import step_of
from tests.golden.naive_core import Numbers, lif_tick
from tests.helpers import lif_models

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: Retention of a neuron that forgets nothing.
ONE = 1 << RETENTION_FRACTION
PLAIN = Lif(state_bits=16, fraction_bits=0, refractory_bits=6)
#: No option but a potential.
BARE = {"state_bits": 16, "fraction_bits": 0, "decay": False, "bias_bits": 0, "refractory_bits": 0, "resets": "absolute"}


def _full(model: Lif, **values: Any) -> dict[str, IntArray]:
    """Parameters of one or more neurons; by default one that integrates and never fires."""
    size = max((np.size(value) for value in values.values()), default=1)
    defaults = dict.fromkeys(model.parameter_names(), 0)
    for name in ("retention", "current_retention", "adaptation_retention"):
        if name in defaults:
            defaults[name] = ONE
    defaults["threshold"] = model.parameter_names()["threshold"].high
    assert set(values) <= set(defaults), set(values) - set(defaults)
    return {name: np.broadcast_to(np.asarray(values.get(name, default), np.int64), size) for name, default in defaults.items()}


def _step(model: Lif, total: int = 0, random: int = 0, state: Numbers | None = None, **parameters: int) -> tuple[Numbers, bool]:
    """One tick of one neuron: its state after it, and whether it fired."""
    before = {field.name: np.array([[(state or {}).get(field.name, 0)]], np.int64) for field in model.state_fields()}
    after, spikes = lif_step(model, _full(model, **parameters), before, np.array([[total]]), np.array([random]))
    return {name: int(values[0, 0]) for name, values in after.items()}, bool(spikes[0, 0])


def _membrane(model: Lif, membrane: int, total: int = 0, random: int = 0, **parameters: int) -> tuple[int, bool]:
    """Potential after one tick of one neuron, and whether it fired."""
    after, fired = _step(model, total, random, {"membrane": membrane}, **parameters)
    return after["membrane"], fired


def _spikes(model: Lif, parameters: dict[str, IntArray], drive: IntArray) -> npt.NDArray[np.bool_]:
    """Spikes ``[ticks, N]`` under the sums ``drive[tick, N]``, from the initial state."""
    state = {field.name: np.zeros((1, drive.shape[1]), np.int64) for field in model.state_fields()}
    result = np.zeros(drive.shape, np.bool_)
    for tick, sums in enumerate(drive):
        state, fired = lif_step(model, parameters, state, sums[np.newaxis], np.zeros(drive.shape[1], np.int64))
        result[tick] = fired[0]
    return result


# Leak, integrate, fire, by hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("membrane", "potential"),
    # V * 2048 / 4096: 2.5 -> 2, -2.5 -> -2 (toward zero), 0.5 -> 0, -0.5 -> 0.
    [(5, 2), (-5, -2), (1, 0), (-1, 0), (32767, 16383), (-32768, -16384)],
)
def test_leak_rounds_toward_zero(membrane: int, potential: int) -> None:
    assert _membrane(PLAIN, membrane, retention=2048) == (potential, False)


@pytest.mark.parametrize(("retention", "potential"), [(0, 0), (1, 7), (2100, 16799), (4095, 32759), (4096, 32767)])
def test_retention_from_nothing_to_all(retention: int, potential: int) -> None:
    # 32767 r / 4096 = 0, 7.9998, 16799.5, 32759.0002, 32767.
    assert _membrane(PLAIN, 32767, retention=retention)[0] == potential


@pytest.mark.parametrize(("fraction_bits", "potential"), [(0, 3), (5, 96), (12, 12288)])
def test_weights_are_scaled_by_the_fraction_bits(fraction_bits: int, potential: int) -> None:
    assert _membrane(Lif(state_bits=16, fraction_bits=fraction_bits), 0, 3)[0] == potential


def test_bias_is_not_scaled() -> None:
    # 3 * 2**5 - 7 = 89
    assert _membrane(Lif(state_bits=16, fraction_bits=5), 0, 3, bias=-7)[0] == 89


@pytest.mark.parametrize(
    ("membrane", "total", "potential"),
    [(32767, 1, 32767), (32766, 1, 32767), (-32768, -1, -32768), (-32767, -1, -32768), (32767, -1, 32766), (-32768, 1, -32767)],
)
def test_potential_saturates_at_both_ends(membrane: int, total: int, potential: int) -> None:
    assert _membrane(PLAIN, membrane, total)[0] == potential


def test_saturation_comes_after_leak_and_input() -> None:
    # 32767 * 0.5 = 16383 (toward zero); + 16384 = 32767 fits; saturating the input or the sum V + X first would give less.
    assert _membrane(PLAIN, 32767, 16384, retention=2048)[0] == 32767
    # 16383 + 40000 - 30000 = 26383: input and bias are added before the one saturation.
    assert _membrane(PLAIN, 32767, 40000, retention=2048, bias=-30000)[0] == 26383


@pytest.mark.parametrize(("total", "fires"), [(9, False), (10, False), (11, True)])
def test_neuron_fires_above_its_threshold_and_not_at_it(total: int, fires: bool) -> None:
    assert _membrane(PLAIN, 0, total, threshold=10, reset=-3) == (-3 if fires else total, fires)


def test_neuron_at_the_highest_threshold_never_fires() -> None:
    assert _membrane(PLAIN, 32767, 32767, threshold=32767) == (32767, False)


def test_neuron_at_the_lowest_threshold_fires_unless_saturated_low() -> None:
    assert _membrane(PLAIN, 0, -32767, threshold=-32768)[1]
    assert not _membrane(PLAIN, 0, -40000, threshold=-32768)[1]


def test_relative_reset_keeps_the_excess() -> None:
    # 8 + 7 = 15 > 10, 15 - 10 = 5
    assert _membrane(PLAIN, 8, 7, threshold=10, reset=-10, reset_mode=Reset.RELATIVE) == (5, True)


def test_without_a_reset_the_potential_stays() -> None:
    assert _membrane(Lif(resets="all", fraction_bits=0), 8, 7, threshold=10, reset=-10, reset_mode=Reset.NONE) == (15, True)


def test_reset_mode_is_ignored_where_only_absolute_resets_exist() -> None:
    model = Lif(**BARE)  # type: ignore[arg-type]
    assert "reset_mode" in model.parameter_names()
    assert _membrane(model, 8, 7, threshold=10, reset=-4) == (-4, True)


def test_held_neuron_keeps_its_potential_and_loses_its_input() -> None:
    parameters = {"threshold": 10, "retention": 2048, "refractory": 3, "bias": 4}
    for wait, expected in ((2, (50, 1, False)), (1, (50, 0, False)), (0, (0, 3, True))):
        after, fired = _step(PLAIN, 1000, state={"membrane": 50, "refractory": wait}, **parameters)
        assert (after["membrane"], after["refractory"], fired) == expected


def test_results_are_integers_of_the_shape_of_the_state() -> None:
    model = Lif(current_bits=12, adaptation_bits=12)
    state = {field.name: np.zeros((3, 5), np.int64) for field in model.state_fields()}
    after, spikes = lif_step(model, _full(model, threshold=[9] * 5), state, np.zeros((3, 5), np.int64), np.zeros(5, np.int64))
    assert set(after) == set(state)
    assert {values.dtype.name for values in after.values()} == {"int64"}
    assert {values.shape for values in (*after.values(), spikes)} == {(3, 5)}
    assert spikes.dtype == np.bool_
    assert step_of(model) is lif_step


# Options, by hand --------------------------------------------------------------------------------------------------------


def test_current_decays_and_drives_the_potential() -> None:
    model = Lif(fraction_bits=2, current_bits=12)
    # toward_zero(-301 / 2) = -150; + 5 * 4 = -130, which is added to the potential.
    after, _ = _step(model, 5, state={"current": -301, "membrane": 1000}, current_retention=2048)
    assert (after["current"], after["membrane"]) == (-130, 870)


@pytest.mark.parametrize(
    ("wraps", "current", "total", "after"),
    [(False, 2047, 1, 2047), (True, 2047, 1, -2048), (False, -2048, -1, -2048), (True, -2048, -1, 2047), (True, 2047, 5000, -1145)],
)
def test_current_saturates_or_wraps(wraps: bool, current: int, total: int, after: int) -> None:
    model = Lif(fraction_bits=0, current_bits=12, current_wraps=wraps)
    result, _ = _step(model, total, state={"current": current})
    assert result["current"] == result["membrane"] == after


def test_current_of_a_held_neuron_runs_on() -> None:
    model = Lif(fraction_bits=0, current_bits=12)
    after, _ = _step(model, 7, state={"current": 100, "membrane": 3, "refractory": 2}, current_retention=2048)
    assert after == {"current": 57, "membrane": 3, "refractory": 1}


@pytest.mark.parametrize(
    ("membrane", "leak", "reversal", "after"),
    # A leak that follows the sign of the potential diverges or converges, may step over zero, and stands still at zero.
    [
        (10, 3, 0, 13),
        (-10, 3, 0, -7),
        (10, -3, 1, 7),
        (-10, -3, 1, -7),
        (-10, 3, 1, -13),
        (0, 3, 1, 0),
        (0, 3, 0, 3),
        (1, -3, 1, -2),
    ],
)
def test_linear_leak(membrane: int, leak: int, reversal: int, after: int) -> None:
    assert _membrane(Lif(leak_bits=9), membrane, leak=leak, leak_reversal=reversal)[0] == after


def test_leak_follows_the_sign_after_the_input() -> None:
    assert _membrane(Lif(leak_bits=9, fraction_bits=0), -10, 15, leak=-3, leak_reversal=1)[0] == 2
    # 40000 does not fit 16 bits, but the leak is added before the saturation.
    assert _membrane(Lif(state_bits=16, fraction_bits=0, leak_bits=16), 0, 40000, leak=-10000)[0] == 30000


@pytest.mark.parametrize(("random", "after"), [(0, -1), (6, -1), (7, -1), (8, 0), (255, 0), (256 + 7, -1)])
def test_stochastic_leak_is_its_sign_if_the_number_is_not_above(random: int, after: int) -> None:
    model = Lif(leak_bits=9, stochastic_leak=True)
    assert _membrane(model, 0, random=random, leak=-7, leak_stochastic=1)[0] == after
    assert _membrane(model, 0, random=random, leak=-7, leak_stochastic=0)[0] == -7
    # A leak of 0 has no sign, though 0 >= 0.
    assert _membrane(model, 5, random=random, leak=0, leak_stochastic=1)[0] == 5


def test_threshold_noise_is_masked_and_taken_from_the_bits_above_those_of_the_leak() -> None:
    model = Lif(threshold_noise_bits=8, fraction_bits=0)
    random = 0b1_1010_0110 << 8 | 0xFF
    # 0b1010_0110 & 0b0000_1111 = 6; the bit above the eight of the noise does not count.
    for total, fires in ((16, False), (17, True)):
        after = _membrane(model, 0, total, random, threshold=10, noise_mask=15, reset=-10, reset_mode=Reset.RELATIVE)
        # A relative reset subtracts the noise as well.
        assert after == ((17 - 10 - 6) if fires else total, fires)


@pytest.mark.parametrize(
    ("mode", "saturates", "after"),
    # V1 = -30 is below -20 (saturating), or below -20 - 5 with noise 5.
    [(0, 1, -20), (1, 1, -20), (2, 1, -20), (0, 0, 7), (1, 0, -5), (2, 0, -30)],
)
def test_negative_threshold(mode: int, saturates: int, after: int) -> None:
    model = Lif(fraction_bits=0, resets="all", negative_threshold=True, threshold_noise_bits=4)
    chosen = {"negative_threshold": -20, "negative_saturates": saturates, "reset_mode": mode, "reset": -7, "noise_mask": 15}
    assert _membrane(model, 0, -30, 5 << 8, **chosen) == (after, False)
    # At the threshold nothing happens; the noise moves it only where it does not saturate.
    limit = -20 if saturates else -25
    assert _membrane(model, 0, limit, 5 << 8, **chosen) == (limit, False)


def test_adaptation_raises_the_threshold_and_decays() -> None:
    model = Lif(fraction_bits=0, adaptation_bits=10)
    chosen = {"threshold": 10, "reset": 0, "adaptation_step": 100, "adaptation_retention": 2048}
    # 10 + 41 is not exceeded by 51, but by 52; the adaptation of this tick acts in the next.
    assert _step(model, 51, state={"adaptation": 41}, **chosen) == ({"membrane": 51, "refractory": 0, "adaptation": 20}, False)
    assert _step(model, 52, state={"adaptation": 41}, **chosen) == ({"membrane": 0, "refractory": 0, "adaptation": 120}, True)
    # Of a held neuron it decays too; it saturates.
    assert _step(model, 0, state={"adaptation": 41, "refractory": 1}, **chosen)[0]["adaptation"] == 20
    saturated = {"threshold": -1, "adaptation_step": 1000, "adaptation_retention": ONE}
    assert _step(model, 900, state={"adaptation": 500}, **saturated)[0]["adaptation"] == 1023


# Against plain integers ------------------------------------------------------------------------------------------------------


def _any_of(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...]) -> IntArray:
    """Numbers of the whole range, near zero, or at the ends."""
    anywhere = rng.integers(low, high, shape, endpoint=True)
    small = rng.integers(-9, 9, shape, endpoint=True).clip(low, high)
    corners = rng.choice(np.array([low, low + 1, -1, 0, 1, high - 1, high]).clip(low, high), shape)
    return np.choose(rng.integers(0, 4, shape), [anywhere, anywhere // 64, small, corners])


def _compare(model: Lif, rng: np.random.Generator, neurons: int, samples: int = 1, ticks: int = 1, sum_bits: int = 16) -> None:
    """Ticks of random neurons from a random state, with numbers that a legal image may hold and some that it may not."""
    parameters = {name: _any_of(rng, field.low, field.high, (neurons,)) for name, field in model.parameter_names().items()}
    legal = model.sample(rng, neurons, 1 << (sum_bits - 1))
    taken = rng.random(neurons) < 0.5
    parameters = {name: np.where(taken, legal[name], values) for name, values in parameters.items()}
    for name in ("retention", "current_retention", "adaptation_retention"):
        if name in parameters:
            parameters[name] = np.minimum(parameters[name], ONE)
    if "reset_mode" in parameters:
        highest = {"absolute": 0, "relative": 1, "all": 2}[model.resets]
        parameters["reset_mode"] = np.minimum(parameters["reset_mode"], highest)
    state = {field.name: _any_of(rng, field.low, field.high, (samples, neurons)) for field in model.state_fields()}
    cells = [[{name: int(values[s, n]) for name, values in state.items()} for n in range(neurons)] for s in range(samples)]
    sets = [{name: int(values[n]) for name, values in parameters.items()} for n in range(neurons)]
    for _ in range(ticks):
        sums = _any_of(rng, -(1 << (sum_bits - 1)), (1 << (sum_bits - 1)) - 1, (samples, neurons))
        random = rng.integers(0, 1 << 32, neurons)
        before = {name: values.copy() for name, values in state.items()}
        after, spikes = lif_step(model, parameters, state, sums, random)
        assert all((state[name] == before[name]).all() for name in state), "the state before was changed"
        results = [
            [lif_tick(model, sets[n], cells[s][n], int(sums[s, n]), int(random[n])) for n in range(neurons)] for s in range(samples)
        ]
        assert spikes.tolist() == [[fired for _, fired in row] for row in results]
        cells = [[cell for cell, _ in row] for row in results]
        for name, values in after.items():
            assert values.dtype == np.int64
            assert values.tolist() == [[cell[name] for cell in row] for row in cells], name
        state = after


@given(lif_models(), st.integers(0, 2**32 - 1), st.integers(2, 20))
def test_any_neuron_computes_what_plain_integers_give(model: Lif, seed: int, sum_bits: int) -> None:
    _compare(model, np.random.default_rng(seed), neurons=8, samples=2, ticks=5, sum_bits=sum_bits)


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "decay": [{"decay": False}, {"decay": True}],
    "leak": [{"leak_bits": 0}, {"leak_bits": 9}, {"leak_bits": 9, "stochastic_leak": True}],
    "bias": [{"bias_bits": 0}, {"bias_bits": 12}],
    "current": [{"current_bits": 0}, {"current_bits": 14}, {"current_bits": 14, "current_wraps": True}],
    "resets": [{"resets": "absolute"}, {"resets": "relative"}, {"resets": "all"}],
    "refractory": [{"refractory_bits": 0}, {"refractory_bits": 3}],
    "negative": [{"negative_threshold": False}, {"negative_threshold": True}],
    "noise": [{"threshold_noise_bits": 0}, {"threshold_noise_bits": 10}],
    "adaptation": [{"adaptation_bits": 0}, {"adaptation_bits": 11}],
}


@pytest.mark.parametrize("current", range(3))
def test_every_combination_of_options_computes_what_plain_integers_give(current: int) -> None:
    rng = np.random.default_rng(current)
    names = [name for name in OPTIONS if name != "current"]
    for chosen in itertools.product(*(OPTIONS[name] for name in names)):
        options: dict[str, Any] = {}
        for part in (*chosen, OPTIONS["current"][current]):
            options |= part
        _compare(Lif(state_bits=14, fraction_bits=2, **options), rng, neurons=30, sum_bits=12)


def _neuron_steps(
    model: Lif, parameters: dict[str, IntArray], state: dict[str, IntArray], sums: IntArray, random: IntArray | None = None
) -> tuple[dict[str, list[int]], list[bool]]:
    """One tick of N neurons, each on its own, as lists."""
    before = {name: values[np.newaxis] for name, values in state.items()}
    random = np.zeros(len(sums), np.int64) if random is None else random
    model.check(parameters)
    after, spikes = lif_step(model, parameters, before, sums[np.newaxis], random)
    return {name: values[0].tolist() for name, values in after.items()}, spikes[0].tolist()


def _sets(model: Lif, sets: list[Numbers]) -> dict[str, IntArray]:
    """Parameters of N neurons; fields that none of them names are 0."""
    return {name: np.array([numbers.get(name, 0) for numbers in sets], np.int64) for name in model.parameter_names()}


# Loihi -------------------------------------------------------------------------------------------------------------------

LOIHI = PROFILES["loihi"].model
LOWEST = -(2**23)
STEPS = 100_000


def lava_tick(p: Numbers, u: int, v: int, a_in: int) -> tuple[int, int, bool]:
    """Loihi's neuron as Lava's bit-accurate model has it: u, v and spike after a tick, with Lava's limits."""

    def scaled(value: int, factor: int) -> int:
        return (abs(value) * factor >> 12) * (1 if value >= 0 else -1)

    u = scaled(u, 4096 - (p["du"] + 1)) + a_in * 2**6
    if u > 2**23:
        u -= 2**24
    elif u <= -(2**23):
        u += 2**24
    v = scaled(v, 4096 - p["dv"]) + u + p["mantissa"] * 2 ** p["exponent"]
    v = min(max(v, -(2**23) + 1), 2**23 - 1)
    fired = v > p["vth"] * 2**6
    return u, 0 if fired else v, fired


def brian_tick(p: Numbers, u: int, v: int, a_in: int) -> tuple[int, int, bool]:
    """The same as Brian2Loihi has it: the part that decays is rounded away from zero and subtracted. It knows neither limits nor bias.

    There a tick ends with the decay of the current, here it begins with it.
    """

    def lost(value: int, decay: int) -> int:
        return -(-abs(value) * decay // 4096) * (1 if value >= 0 else -1)

    u = u - lost(u, p["du"] + 1) + a_in * 64
    v = v - lost(v, p["dv"]) + u
    fired = v > p["vth"] * 64
    return u, 0 if fired else v, fired


def _loihi_registers(rng: np.random.Generator, size: int, **limits: int) -> list[Numbers]:
    """Registers of that many neurons; ``limits`` bound vth and exponent."""
    decays = [rng.choice([0, 1, 4094, 4095], (2, size)), rng.integers(0, 4096, (2, size))]
    du, dv = np.choose(rng.integers(0, 2, (2, size)), decays)
    most = limits.get("vth", 131071)
    anywhere = rng.integers(0, most, size, endpoint=True)
    columns = {
        "du": du,
        "dv": dv,
        "mantissa": rng.integers(-4096, 4096, size),
        "exponent": rng.integers(0, limits.get("exponent", 7), size, endpoint=True),
        "vth": np.choose(rng.integers(0, 4, size), [anywhere, anywhere // 64, 0 * anywhere, 0 * anywhere + most]),
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*(c.tolist() for c in columns.values()), strict=True)]


def _loihi_state(rng: np.random.Generator, size: int) -> tuple[IntArray, IntArray, IntArray]:
    """Currents, potentials and input: small ones, any, and those near the limits of 24 bits."""
    scale = rng.choice([1, 2**6, 2**12, 2**16, 2**16], (2, size))
    u, v = (rng.integers(-128, 128, (2, size)) * scale + rng.integers(-300, 301, (2, size))).clip(-(2**23) + 1, 2**23 - 1)
    return u, v, rng.integers(-(2**17), 2**17, size) // rng.choice([1, 1, 64, 4096], size)


def test_loihi_steps_are_those_of_lava() -> None:
    rng = np.random.default_rng(1)
    registers = _loihi_registers(rng, STEPS)
    u, v, a_in = _loihi_state(rng, STEPS)
    parameters = _sets(LOIHI, [loihi_neuron(**p) for p in registers])
    after, spikes = _neuron_steps(LOIHI, parameters, {"membrane": v, "current": u, "refractory": 0 * u}, a_in)
    wrapped = lowest = saturated = 0
    for n, p in enumerate(registers):
        current = int(u[n]) * (4095 - p["du"]) / 4096 + int(a_in[n]) * 64
        expected = lava_tick(p, int(u[n]), int(v[n]), int(a_in[n]))
        got = (after["current"][n], after["membrane"][n], spikes[n])
        # The lowest potential: -2**23 here, one more in Lava.
        if got[1] == LOWEST:
            lowest += 1
            got = (got[0], LOWEST + 1, got[2])
        assert got == expected, (n, p, u[n], v[n], a_in[n])
        wrapped += abs(current - got[0]) > 2**23
        potential = int(v[n]) * (4096 - p["dv"]) / 4096 + got[0] + p["mantissa"] * 2 ** p["exponent"]
        # The highest potential is above any threshold.
        saturated += potential > 2**23 and spikes[n]
    assert min(wrapped, lowest, saturated) > 300
    assert 0.1 < np.mean(spikes) < 0.9


def test_loihi_steps_are_those_of_brian2loihi() -> None:
    rng = np.random.default_rng(2)
    registers = [p | {"mantissa": 0} for p in _loihi_registers(rng, STEPS)]
    u, v, a_in = _loihi_state(rng, STEPS)
    parameters = _sets(LOIHI, [loihi_neuron(**p) for p in registers])
    after, spikes = _neuron_steps(LOIHI, parameters, {"membrane": v, "current": u, "refractory": 0 * u}, a_in)
    outside = 0
    for n, p in enumerate(registers):
        expected = brian_tick(p, int(u[n]), int(v[n]), int(a_in[n]))
        if max(map(abs, brian_tick(p | {"vth": 2**30}, int(u[n]), int(v[n]), int(a_in[n]))[:2])) < 2**23:
            assert (after["current"][n], after["membrane"][n], spikes[n]) == expected, (n, p, u[n], v[n], a_in[n])
        else:
            outside += 1
    assert outside < STEPS // 5


def test_loihi_runs_with_refractory_periods_are_those_of_lava() -> None:
    """Runs of 500 ticks; in the ``refractory - 1`` ticks after a spike v stands and u runs (``unless refractory`` of Brian 2).

    Where the lowest potential is reached, which Lava has one higher, the run goes on with Lava's.
    """
    rng = np.random.default_rng(3)
    neurons, ticks = 200, STEPS // 200
    registers = _loihi_registers(rng, neurons, vth=4000, exponent=3)
    periods = rng.choice([1, 2, 3, 10, 64], neurons).tolist()
    parameters = _sets(LOIHI, [loihi_neuron(**p, refractory=period) for p, period in zip(registers, periods, strict=True)])
    state = {field.name: np.zeros((1, neurons), np.int64) for field in LOIHI.state_fields()}
    cells, waits, total = [(0, 0)] * neurons, [0] * neurons, 0
    for _ in range(ticks):
        a_in = rng.integers(-2000, 3000, neurons) * (rng.random(neurons) < 0.3)
        state, spikes = lif_step(LOIHI, parameters, state, a_in[np.newaxis], np.zeros(neurons, np.int64))
        for n, p in enumerate(registers):
            u, v, fired = lava_tick(p, *cells[n], int(a_in[n]))
            if waits[n]:
                v, fired, waits[n] = cells[n][1], False, waits[n] - 1
            elif fired:
                waits[n] = periods[n] - 1
            cells[n] = u, v
            if state["membrane"][0, n] == LOWEST:
                assert v == LOWEST + 1
                state["membrane"][0, n] = v
            assert (state["current"][0, n], state["membrane"][0, n], spikes[0, n]) == (u, v, fired)
        total += int(spikes.sum())
    assert total > 3000


@pytest.mark.parametrize(
    ("a_in", "lava", "ours"), [(2, 2**23, -(2**23)), (-(2**18) + 2, 2**23, -(2**23)), (3, -(2**23) + 64, -(2**23) + 64)]
)
def test_the_one_current_that_lava_keeps_outside_of_24_bits(a_in: int, lava: int, ours: int) -> None:
    registers = {"du": -1, "dv": 0, "mantissa": 0, "exponent": 0, "vth": 131071}
    start = 2**23 - 128
    assert lava_tick(registers, start, 0, a_in)[0] == lava
    after, _ = _neuron_steps(
        LOIHI,
        _sets(LOIHI, [loihi_neuron(**registers)]),
        {"membrane": np.array([0]), "current": np.array([start]), "refractory": np.array([0])},
        np.array([a_in]),
    )
    assert after["current"] == [ours]


# TrueNorth ---------------------------------------------------------------------------------------------------------------

TRUENORTH = PROFILES["truenorth"].model


def truenorth_tick(p: Numbers, v: int, synapses: int, rho_leak: int, rho_threshold: int) -> tuple[int, bool]:
    """Cassidy et al. (2013): leak, threshold, reset of one neuron after the sum of its synapses."""

    def sgn(x: int) -> int:
        return 0 if x == 0 else x // abs(x)

    v += synapses
    omega = (1 - p["epsilon"]) + p["epsilon"] * sgn(v)
    comparison = 1 if abs(p["leak"]) >= rho_leak else 0
    c = p["stochastic_leak"]
    v += omega * ((1 - c) * p["leak"] + c * comparison * sgn(p["leak"]))
    eta = rho_threshold & p["mask"]
    alpha, beta, kappa, gamma, r = (p[name] for name in ("alpha", "beta", "kappa", "gamma", "reset"))
    delta = [1 if gamma == mode else 0 for mode in range(3)]
    if v >= alpha + eta:
        return delta[0] * r + delta[1] * (v - (alpha + eta)) + delta[2] * v, True
    if v < -(beta * kappa + (beta + eta) * (1 - kappa)):
        return -beta * kappa + (-delta[0] * r + delta[1] * (v + (beta + eta)) + delta[2] * v) * (1 - kappa), False
    return v, False


@pytest.mark.parametrize(("gamma", "kappa"), list(itertools.product(range(3), range(2))))
def test_truenorth_steps_are_those_of_the_paper(gamma: int, kappa: int) -> None:
    """Each of the six resets with the four leaks, with and without noise: 144,000 steps in all."""
    rng = np.random.default_rng([gamma, kappa])
    fired = undershot = noisy = 0
    for epsilon, stochastic_leak, noise in itertools.product(range(2), range(2), range(2)):
        size = 3000
        alpha = rng.choice([rng.integers(1, 300), rng.integers(1, 2**18), 2**18 - 1, 1], size)
        beta = rng.choice([rng.integers(0, 300), rng.integers(0, 2**18), 2**18 - 1, 0], size)
        masks = (1 << rng.integers(0, 19, size)) - 1 if noise else np.zeros(size, np.int64)
        leak = np.where(rng.random(size) < 0.2, rng.choice([-255, 0, 255], size), rng.integers(-255, 256, size))
        reset = rng.integers(-(2**18) + 1, 2**18, size) // rng.choice([1, 4096], size)
        symbols = [
            {
                "alpha": int(alpha[n]), "beta": int(beta[n]), "reset": int(reset[n]), "leak": int(leak[n]), "mask": int(masks[n]),
                "gamma": gamma, "kappa": kappa, "epsilon": epsilon, "stochastic_leak": stochastic_leak,
            }
            for n in range(size)
        ]  # fmt: skip
        # Potentials anywhere, at a threshold and at zero; with |V| up to 2**18 no sum of 256 synapses leaves 20 bits.
        near = np.choose(rng.integers(0, 3, size), [alpha, -beta, 0 * alpha]) + rng.integers(-300, 301, size)
        v = np.where(rng.random(size) < 0.3, rng.integers(-(2**18), 2**18, size, endpoint=True), near.clip(-(2**18), 2**18))
        synapses = rng.integers(-65280, 65281, size) // rng.choice([1, 256, 65536], size)
        random = rng.integers(0, 1 << 32, size)
        parameters = _sets(TRUENORTH, [truenorth_neuron(**p) for p in symbols])
        after, spikes = _neuron_steps(TRUENORTH, parameters, {"membrane": v}, synapses, random)
        for n, p in enumerate(symbols):
            rho_leak, rho_threshold = int(random[n]) % 256, int(random[n]) // 256 % 2**18
            expected = truenorth_tick(p, int(v[n]), int(synapses[n]), rho_leak, rho_threshold)
            assert (after["membrane"][n], spikes[n]) == expected, (p, v[n], synapses[n], random[n])
            without = truenorth_tick(p | {"mask": 0}, int(v[n]), int(synapses[n]), rho_leak, 0)
            fired += spikes[n]
            undershot += not spikes[n] and v[n] + synapses[n] < -beta[n] - 255
            noisy += expected != without
    assert min(fired, undershot, noisy) > 300


# ODIN --------------------------------------------------------------------------------------------------------------------

ODIN = PROFILES["odin"].model


def odin_event(v: int, threshold: int, amount: int) -> tuple[int, bool]:
    """One event of ODIN's LIF neuron: 8 bits that stop at both ends, then a comparison; a time reference is a negative amount."""
    v = min(max(v + amount, 0), 255)
    return (0, True) if v >= threshold else (v, False)


def test_odin_with_one_event_per_tick_is_exact() -> None:
    rng = np.random.default_rng(5)
    neurons, ticks, total = 200, 500, 0
    thresholds = rng.choice([1, 2, 20, 100, 254, 255], neurons)
    strengths = rng.integers(0, 128, neurons) // rng.choice([1, 16, 128], neurons)
    parameters = _sets(ODIN, [odin_neuron(threshold=int(t)) for t in thresholds])
    state = {"membrane": np.zeros((1, neurons), np.int64)}
    cells = [0] * neurons
    for _ in range(ticks):
        # An excitatory or an inhibitory weight of 3 bits, a time reference, or none for each neuron.
        kind = rng.choice(4, neurons, p=[0.6, 0.2, 0.1, 0.1])
        amounts = np.choose(kind, [rng.integers(0, 8, neurons), -rng.integers(0, 8, neurons), -strengths, 0 * strengths])
        state, spikes = lif_step(ODIN, parameters, state, amounts[np.newaxis], np.zeros(neurons, np.int64))
        results = [odin_event(*item) for item in zip(cells, thresholds.tolist(), amounts.tolist(), strict=True)]
        cells = [v for v, _ in results]
        assert state["membrane"][0].tolist() == cells
        assert spikes[0].tolist() == [fired for _, fired in results]
        total += int(spikes.sum())
    assert total > 5000


def _odin_run(v: int, threshold: int, amounts: list[int]) -> tuple[int, int]:
    count = 0
    for amount in amounts:
        v, fired = odin_event(v, threshold, amount)
        count += fired
    return v, count


@pytest.mark.parametrize(
    ("events", "odin", "ours"),
    # Events of one tick on a potential of 10 with threshold 20: potential and spikes.
    [
        ([5, 4, -3], (16, 0), (16, 0)),  # no event meets 0, 255 or the threshold: equal in any order
        ([7, 7, 7, 2], (9, 1), (0, 1)),  # what comes after the threshold was crossed is lost
        ([7, 7, -7], (0, 1), (17, 0)),  # the threshold is crossed on the way only
        ([-7, -7, 5], (5, 0), (1, 0)),  # 0 is met on the way only
        ([7] * 6, (7, 2), (0, 1)),  # two spikes in one tick
    ],
)
def test_odin_with_several_events_per_tick_differs_where_one_of_them_meets_a_limit(
    events: list[int], odin: tuple[int, int], ours: tuple[int, bool]
) -> None:
    assert _odin_run(10, 20, events) == odin
    assert _membrane(ODIN, 10, sum(events), **odin_neuron(threshold=20)) == ours


@pytest.mark.parametrize(("v", "odin", "ours"), [(10, 8, 8), (3, 7, 1)])
def test_odin_with_a_time_reference_in_every_tick_differs_at_zero(v: int, odin: int, ours: int) -> None:
    """A time reference of strength 9 before the one event of 7 of each tick stops at 0; the sum of both does not."""
    assert _odin_run(v, 50, [-9, 7]) == (odin, 0)
    assert _membrane(ODIN, v, 7, **odin_neuron(threshold=50, leak=9)) == (ours, False)


# Against what is known of the neuron ---------------------------------------------------------------------------------------


def _ticks_of(spikes: npt.NDArray[np.bool_], neuron: int = 0) -> list[int]:
    return np.flatnonzero(spikes[:, neuron]).tolist()


@pytest.mark.parametrize(("threshold", "drive"), [(100, 7), (100, 10), (100, 100), (100, 101), (1, 1), (32766, 130)])
def test_neuron_without_leak_fires_with_the_known_period(threshold: int, drive: int) -> None:
    # k ticks after a reset to 0 the potential is k * drive; the first k above the threshold is threshold // drive + 1.
    period = threshold // drive + 1
    spikes = _spikes(PLAIN, _full(PLAIN, threshold=threshold), np.full((10 * period, 1), drive))
    assert _ticks_of(spikes) == [k * period - 1 for k in range(1, 11)]


@pytest.mark.parametrize(("threshold", "drive"), [(100, 7), (100, 33), (100, 99), (1000, 3)])
def test_subtracting_reset_loses_no_input(threshold: int, drive: int) -> None:
    # After t ticks all input was T = t * drive, and each spike took the threshold: as many as leave T - n * threshold at 1 to threshold.
    parameters = _full(PLAIN, threshold=threshold, reset=-threshold, reset_mode=Reset.RELATIVE)
    counts = np.cumsum(_spikes(PLAIN, parameters, np.full((2000, 1), drive))[:, 0])
    assert counts.tolist() == [(t * drive - 1) // threshold for t in range(1, 2001)]


@pytest.mark.parametrize("period", [0, 1, 2, 5, 63])
def test_refractory_period_of_n_ticks_gives_an_interval_of_n_plus_1(period: int) -> None:
    spikes = _spikes(PLAIN, _full(PLAIN, threshold=10, refractory=period), np.full((400, 1), 1000))
    assert _ticks_of(spikes) == list(range(0, 400, period + 1))


@pytest.mark.parametrize(("retention", "drive"), [(2048, 100), (3932, 100), (4000, 100)])
def test_potential_settles_where_input_balances_the_leak(retention: int, drive: int) -> None:
    # V = V r / 4096 + X has the fixed point X / (1 - r / 4096); dropping fractions loses less than 1 / (1 - r / 4096) of it.
    gain = 1 / (1 - retention / ONE)
    membrane = 0
    for _ in range(1000):
        membrane, _ = _membrane(Lif(fraction_bits=0), membrane, drive, retention=retention)
    assert (drive - 1) * gain <= membrane <= drive * gain


# Against real numbers ------------------------------------------------------------------------------------------------------

#: Step (s), threshold (V) and the threshold in weight units.
DT, V_THRESHOLD, THRESHOLD = 1e-4, 0.1, 16384
NEURONS, NIR_STEPS = 64, 1000


def _retention(tau: float) -> int:
    return round(ONE * (1 - DT / tau))


def _nir_run(seed: int, tau: float, tau_synapse: float | None = None) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Spikes ``[steps, NEURONS]`` of the default widths, and of forward Euler of NIR's equations in float64, on the same input.

    LIF: ``tau dv/dt = (v_leak - v) + R I``; CubaLIF with ``tau_synapse dI/dt = -I + w S`` before it in each step. ``v_leak`` is 0, the
    factor ``R dt / tau`` is part of the weights, and the reset goes to 0.
    """
    rng = np.random.default_rng(seed)
    low, high = (-2000, 8000) if tau_synapse is None else (-400, 700)
    weights = rng.integers(low, high, (NIR_STEPS, NEURONS)) * (rng.random((NIR_STEPS, NEURONS)) < 0.4)
    model = Lif() if tau_synapse is None else PROFILES["nir"].model
    parameters: dict[str, Any] = {"retention": _retention(tau), "threshold": [THRESHOLD << 6] * NEURONS, "reset": 0}
    if tau_synapse is not None:
        parameters["current_retention"] = _retention(tau_synapse)
    got = _spikes(model, _full(model, **parameters), weights)
    v, current, expected = np.zeros(NEURONS), np.zeros(NEURONS), np.zeros_like(got)
    for step, volts in enumerate(weights * (V_THRESHOLD / THRESHOLD)):
        current = volts if tau_synapse is None else current + DT / tau_synapse * (0 - current) + volts
        v = v + DT / tau * (0 - v) + current
        expected[step] = v > V_THRESHOLD
        v[expected[step]] = 0
    return got, expected


def _first_shifts(got: npt.NDArray[np.bool_], expected: npt.NDArray[np.bool_]) -> tuple[float, list[int], list[int]]:
    """Share of neurons that are exact over all steps; of the others, how late the first wrong spike is, and how many spikes are missing."""
    wrong = np.flatnonzero((got != expected).any(axis=0)).tolist()
    shifts, missing = [], []
    for neuron in wrong:
        ours, theirs = _ticks_of(got, neuron), _ticks_of(expected, neuron)
        pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a != b]
        shifts += [a - b for a, b in pairs[:1]]
        missing.append(len(theirs) - len(ours))
    return 1 - len(wrong) / got.shape[1], shifts, missing


@pytest.mark.parametrize("seed", range(4))
def test_nir_lif_fires_in_the_steps_of_the_real_one_where_the_retention_is_exact(seed: int) -> None:
    # 0.1 ms / 2.56 ms = 160 / 4096, so only dropped fractions are left.
    got, expected = _nir_run(seed, 2.56e-3)
    assert expected.sum(axis=0).min() > 30
    assert (got == expected).all()


def test_nir_lif_of_2_5_ms_fires_in_most_neurons_in_the_steps_of_the_real_one() -> None:
    # 1 - 0.1 ms / 2.5 ms = 3932.16 / 4096: rounded to 3932. The figures of docs/profiles.md.
    shares = []
    for seed in range(4):
        got, expected = _nir_run(seed, 2.5e-3)
        share, shifts, missing = _first_shifts(got, expected)
        shares.append(share)
        assert min(shifts, default=1) > 0
        assert max(missing, default=0) <= 1
        # The single neuron of 1,000 steps: column 0.
        assert (got[:, 0] == expected[:, 0]).all()
    assert np.mean(shares) > 0.93


@pytest.mark.parametrize(("tau", "tau_synapse", "least"), [(2.56e-3, 5.12e-3, 0.82), (2.5e-3, 5e-3, 0.14)])
def test_nir_cuba_fires_one_step_late_at_first_if_at_all(tau: float, tau_synapse: float, least: float) -> None:
    for seed in range(4):
        got, expected = _nir_run(seed, tau, tau_synapse)
        share, shifts, missing = _first_shifts(got, expected)
        assert share >= least
        assert set(shifts) <= {1}
        assert set(missing) <= {0, 1}
        assert expected.sum(axis=0).min() > 90


@pytest.mark.parametrize(("retention", "current_retention"), [(3072, 2048), (4000, 3900), (4080, 4014)])
def test_cuba_potential_stays_within_its_rounding_of_real_numbers(retention: int, current_retention: int) -> None:
    """Below the threshold: what truncation may lose, in units of the potential, is a geometric sum of less than one per step."""
    model = PROFILES["nir"].model
    rng = np.random.default_rng(retention)
    a, b = current_retention / ONE, retention / ONE
    parameters = _full(model, retention=[retention] * 8, current_retention=current_retention)
    state = {field.name: np.zeros((1, 8), np.int64) for field in model.state_fields()}
    current, v = np.zeros(8), np.zeros(8)
    for _ in range(2000):
        sums = rng.integers(-20, 21, 8)
        state, _ = lif_step(model, parameters, state, sums[np.newaxis], np.zeros(8, np.int64))
        current = a * current + sums * 64
        v = b * v + current
        assert np.abs(state["current"][0] - current).max() < 1 / (1 - a)
        assert np.abs(state["membrane"][0] - v).max() < (1 + 1 / (1 - a)) / (1 - b)


def test_adaptive_neuron_follows_real_numbers() -> None:
    """Bellec et al. 2020: ``v = alpha v + I - z v_th``, ``a = rho a + z``, a spike if ``v > v_th + beta a``; tau 20 and 200 steps."""
    neurons, steps, v_th, beta = 64, 2000, 400, 100
    model = Lif(adaptation_bits=24)
    rng = np.random.default_rng(7)
    sums = rng.integers(-20, 90, (steps, neurons)) * (rng.random((steps, neurons)) < 0.8)
    retention, fading = round(ONE * (1 - 1 / 20)), round(ONE * (1 - 1 / 200))
    alpha, rho = retention / ONE, fading / ONE
    parameters = _full(
        model,
        retention=[retention] * neurons,
        adaptation_retention=fading,
        threshold=v_th << 6,
        reset=-v_th << 6,
        reset_mode=Reset.RELATIVE,
        adaptation_step=beta << 6,
    )
    state = {field.name: np.zeros((1, neurons), np.int64) for field in model.state_fields()}
    v, a, forced_v, forced_a = np.zeros((4, neurons))
    got, expected = np.zeros((2, steps, neurons), np.bool_)
    for step, drive in enumerate(sums):
        state, fired = lif_step(model, parameters, state, drive[np.newaxis], np.zeros(neurons, np.int64))
        got[step] = fired[0]
        # On its own.
        v = alpha * v + drive
        expected[step] = v > v_th + beta * a
        v, a = v - expected[step] * v_th, rho * a + expected[step]
        # With the spikes of the integers: what truncation loses is a geometric sum.
        forced_v, forced_a = alpha * forced_v + drive - got[step] * v_th, rho * forced_a + got[step]
        assert np.abs(state["membrane"][0] - 64 * forced_v).max() < 1 / (1 - alpha)
        assert np.abs(state["adaptation"][0] - 64 * beta * forced_a).max() < 1 / (1 - rho)
    share, shifts, missing = _first_shifts(got, expected)
    # Adaptation: more spikes in the beginning.
    assert expected[:100].sum() > 1.5 * expected[-100:].sum() > 0
    # Under noisy input a spike at the edge comes earlier or later, after which both go ways of their own, but at the same rate.
    assert share > 0.1
    assert np.median(np.abs(shifts)) <= 2
    assert np.abs(missing).max() <= 2


# Chance --------------------------------------------------------------------------------------------------------------------

CHANCE_NEURONS, CHANCE_TICKS = 400, 500


def _z(count: int, trials: int, probability: float) -> float:
    """Deviation of a count from its mean in standard deviations."""
    return float((count - trials * probability) / np.sqrt(trials * probability * (1 - probability)))


def chi_squared_z(counts: IntArray) -> float:
    """A chi-squared test for equal cells as a standard normal deviation (Wilson and Hilferty 1931)."""
    expected, degrees = counts.sum() / len(counts), len(counts) - 1
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    width = 2 / (9 * degrees)
    return float(((chi_squared / degrees) ** (1 / 3) - (1 - width)) / np.sqrt(width))


@pytest.mark.parametrize("leak", [-200, -100, -1, 0, 1, 63, 127, 254])
def test_stochastic_leak_has_mean_and_variance_of_its_probability(leak: int) -> None:
    model = Lif(leak_bits=9, stochastic_leak=True, decay=False)
    parameters = _full(model, leak=[leak] * CHANCE_NEURONS, leak_stochastic=1)
    zero = {field.name: np.zeros((1, CHANCE_NEURONS), np.int64) for field in model.state_fields()}
    hits = np.array(
        [
            lif_step(model, parameters, zero, zero["membrane"], random_numbers(key_of_tick(99, t), np.arange(CHANCE_NEURONS)))[0][
                "membrane"
            ][0]
            for t in range(CHANCE_TICKS)
        ]
    )
    assert set(np.unique(hits)) <= {0, int(np.sign(leak))}
    if leak == 0:
        return
    probability = (abs(leak) + 1) / 256
    if probability == 1:
        assert (hits != 0).all()
        return
    assert abs(_z(int((hits != 0).sum()), hits.size, probability)) < 4
    # Counts over neurons, and over ticks, vary as those of independent trials: (k - 1) s**2 / sigma**2 has variance 2 (k - 1).
    for axis in (0, 1):
        counts = (hits != 0).sum(axis=axis)
        degrees = len(counts) - 1
        spread = counts.var(ddof=1) / (hits.shape[axis] * probability * (1 - probability))
        assert abs(degrees * (spread - 1)) / np.sqrt(2 * degrees) < 4


@pytest.mark.parametrize("mask", [0b1, 0b1111, 0b1010_0100, 0b11_0000_0000_0000_0001])
def test_threshold_noise_is_uniform_over_the_mask(mask: int) -> None:
    model = Lif(**BARE | {"state_bits": 24, "resets": "relative"}, threshold_noise_bits=18)
    # A neuron far above its threshold of 0 keeps V - N: the noise is what it lost.
    parameters = _full(model, threshold=[0] * CHANCE_NEURONS, reset=0, reset_mode=Reset.RELATIVE, noise_mask=mask)
    state = {"membrane": np.full((1, CHANCE_NEURONS), 1 << 22)}
    sums = np.zeros((1, CHANCE_NEURONS), np.int64)
    noise = np.array(
        [
            (1 << 22)
            - lif_step(model, parameters, state, sums, random_numbers(key_of_tick(5, t), np.arange(CHANCE_NEURONS)))[0]["membrane"][
                0
            ]
            for t in range(CHANCE_TICKS)
        ]
    )
    values, counts = np.unique(noise, return_counts=True)
    assert values.tolist() == [v for v in range(mask + 1) if v & ~mask == 0]
    assert abs(chi_squared_z(counts)) < 4
    # Uniform over independent bits m: mean sum(m) / 2, variance sum(m**2) / 4.
    bits = np.array([1 << b for b in range(18) if mask >> b & 1], np.float64)
    deviation = np.sqrt((bits**2).sum() / 4)
    assert abs(noise.mean() - bits.sum() / 2) / (deviation / np.sqrt(noise.size)) < 4
    assert noise.var() == pytest.approx(deviation**2, rel=0.02)


def test_leak_and_noise_of_a_neuron_are_independent() -> None:
    model = Lif(**BARE | {"state_bits": 24, "resets": "relative"}, leak_bits=9, stochastic_leak=True, threshold_noise_bits=8)
    numbers = np.concatenate([random_numbers(key_of_tick(8, t), np.arange(CHANCE_NEURONS)) for t in range(CHANCE_TICKS)])
    parameters = _full(model, threshold=[0] * len(numbers), reset_mode=1, noise_mask=255, leak=127, leak_stochastic=1)
    after, _ = lif_step(
        model, parameters, {"membrane": np.full((1, len(numbers)), 1 << 20)}, np.zeros((1, len(numbers)), np.int64), numbers
    )
    without, _ = lif_step(
        model, parameters | {"leak": parameters["leak"] * 0}, {"membrane": np.full((1, len(numbers)), 1 << 20)},
        np.zeros((1, len(numbers)), np.int64), numbers,
    )  # fmt: skip
    leak, noise = (after["membrane"] - without["membrane"])[0], (1 << 20) - without["membrane"][0]
    correlation = np.corrcoef(leak, noise)[0, 1]
    assert abs(correlation) * np.sqrt(len(numbers)) < 4
