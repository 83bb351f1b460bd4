from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.neuron import model_from_dict
from spikeloom.golden.izhikevich import izhikevich_step
from spikeloom.golden.neuron import step_of

IntArray = npt.NDArray[np.int64]

#: All legal combinations of what changes a result, apart from substeps, input_shift and bias.
WIDTHS = [
    {"membrane_bits": membrane, "recovery_bits": recovery, "multiplier_bits": multiplier, "step_exponent": exponent}
    for membrane, recovery, multiplier, exponent in itertools.product((16, 17, 18), (20, 24, 28), (16, 17, 18), range(5))
    if multiplier <= membrane
]


def sat(x: int, bits: int) -> int:
    return max(-(2 ** (bits - 1)), min(2 ** (bits - 1) - 1, x))


def fits(x: int, bits: int) -> int:
    assert -(2 ** (bits - 1)) <= x < 2 ** (bits - 1), (x, bits)
    return x


def tick(model: Izhikevich, p: dict[str, int], state: dict[str, int], total: int) -> tuple[dict[str, int], bool]:
    """One tick in Python integers, from the table of docs/izhikevich.md; the widths of the table are asserted."""
    n, r, m, step = model.membrane_bits, model.recovery_bits, model.multiplier_bits, model.step_exponent
    dropped, square = n - m, n - 4 + step
    guard, error = r - n + 1 + step, max(0, step - 1)
    coupling_shift = m - 1 - error - dropped
    rate_shift = m + 1 - (guard - error) - dropped
    w, u = (state["membrane"], state["recovery"]) if state["started"] else (p["initial_membrane"], p["initial_recovery"])
    x = sat(total * 2**model.input_shift + p["constant"] + p.get("bias", 0), n)
    spike = False
    for _ in range(model.substeps):
        operand = fits(w // 2**dropped, m)
        q = fits(operand * operand // 2 ** (square - 2 * dropped), 2 * n - square)
        new = fits(w + q - fits(u // 2**guard, r - guard) + x, max(2 * n - square, n + 2) + 1)
        fire = new > p["threshold"]
        new = sat(new, n)
        e = fits(p["coupling"] * (new // 2**dropped), 2 * m) // 2**coupling_shift
        if p["decay"]:
            e -= fits(u // 2 ** (guard - error), r - guard + error)
        e = sat(fits(e + p["offset"], n + error + 2), n)
        product = fits(p["rate"] * (e // 2**dropped), 2 * m)
        u = sat(fits(u + (product + 2 ** (rate_shift - 1)) // 2**rate_shift, r + 1), r)
        w = new
        if fire:
            w, u, spike = p["reset"], sat(fits(u + p["jump"], r + 1), r), True
    return {"membrane": w, "recovery": u, "started": 1}, spike


def compare(model: Izhikevich, parameters: dict[str, IntArray], state: dict[str, IntArray], totals: IntArray) -> int:
    """Ticks of N neurons, ``totals [ticks, N]``, in both implementations. Returns the number of spikes."""
    neurons = totals.shape[1]
    golden = {name: values[np.newaxis].copy() for name, values in state.items()}
    naive = [{name: int(values[n]) for name, values in state.items()} for n in range(neurons)]
    sets = [{name: int(values[n]) for name, values in parameters.items()} for n in range(neurons)]
    count = 0
    for row in totals:
        golden, spikes = izhikevich_step(model, parameters, golden, row[np.newaxis], np.zeros(neurons, np.int64))
        results = [tick(model, sets[n], naive[n], int(row[n])) for n in range(neurons)]
        naive = [result[0] for result in results]
        for name, values in golden.items():
            assert values.dtype == np.int64
            assert values[0].tolist() == [cell[name] for cell in naive]
        assert spikes[0].tolist() == [result[1] for result in results]
        count += int(spikes.sum())
    return count


def random_words(
    model: Izhikevich, neurons: int, rng: np.random.Generator, corners: bool
) -> tuple[dict[str, IntArray], dict[str, IntArray]]:
    """Parameters and state: anything that fits, or only the ends of the ranges and zero."""

    def draw(low: int, high: int) -> IntArray:
        return rng.choice([low, low + 1, 0, high], neurons) if corners else rng.integers(low, high + 1, neurons)

    parameters = {name: draw(field.low, field.high) for name, field in model.parameter_names().items()}
    parameters["threshold"] = np.maximum(parameters["threshold"], parameters["reset"])
    return parameters, {field.name: draw(field.low, field.high) for field in model.state_fields()}


# By hand ---------------------------------------------------------------------------------------------------------------


def neuron(**values: int) -> dict[str, IntArray]:
    """One neuron that rests at W = U = 0 and never fires."""
    names = ("coupling", "rate", "constant", "reset", "jump", "offset", "decay", "initial_membrane", "initial_recovery")
    return {name: np.array([value]) for name, value in (dict.fromkeys(names, 0) | {"threshold": 2**17 - 1} | values).items()}


def one_step(parameters: dict[str, IntArray], membrane: int, recovery: int, total: int = 0, **model: Any) -> tuple[int, int, bool]:
    """One tick of one started neuron: W, U, spike."""
    state = {name: np.array([[value]]) for name, value in (("membrane", membrane), ("recovery", recovery), ("started", 1))}
    whole = Izhikevich(**({"substeps": 1, "input_shift": 0} | model))
    new, spikes = izhikevich_step(whole, parameters, state, np.array([[total]]), np.zeros(1, np.int64))
    assert new["started"].tolist() == [[1]]
    return int(new["membrane"][0, 0]), int(new["recovery"][0, 0]), bool(spikes[0, 0])


@pytest.mark.parametrize(
    ("membrane", "recovery", "total", "expected"),
    [
        (256, 0, 0, 257),  # 256^2 / 2^16 = 1
        (255, 0, 0, 255),  # 0.99 is 0
        (-256, 0, 0, -255),
        (0, 512, 0, -1),  # U has nine more bits
        (0, 511, 0, 0),
        (0, -1, 0, 1),  # floor of -1 / 512 is -1
        (0, 0, 7, 7),
        (0, 0, 2**20, 2**17 - 1),  # the drive saturates
        (-(2**17), 512, 0, 2**17 - 1),  # -131072 + 262144 - 1
        (-(2**17), 0, -(2**20), 0),  # -131072 + 262144 - 131072
    ],
)
def test_potential(membrane: int, recovery: int, total: int, expected: int) -> None:
    assert one_step(neuron(), membrane, recovery, total) == (expected, recovery, False)


@pytest.mark.parametrize(
    ("rate", "offset", "change"),
    # The error is the offset: rate * offset / 2^11, half rounded up.
    [(1, 1024, 1), (1, 1023, 0), (1, -1024, 0), (1, -1025, -1), (-1, 1024, 0), (2**17 - 1, 2**17 - 1, 8388480)],
)
def test_recovery_is_rounded_to_nearest(rate: int, offset: int, change: int) -> None:
    assert one_step(neuron(rate=rate, offset=offset), 0, 0) == (0, change, False)


def test_recovery_decays_toward_the_coupled_potential() -> None:
    # W = 1000 + 15; e = 2 * 0.25 * 1015 - U / 2^8 = 507 - 20 = 487; U += 487 * 2^11 / 2^11.
    assert one_step(neuron(coupling=2**15, rate=2**11, decay=1), 1000, 5120) == (1000 + 15 - 10, 5120 + 502 - 20, False)
    # Without decay the error is the coupling alone.
    assert one_step(neuron(coupling=2**15, rate=2**11), 1000, 5120) == (1000 + 15 - 10, 5120 + 502, False)


def test_recovery_saturates_before_and_after_the_jump() -> None:
    largest = 2**23 - 1
    assert one_step(neuron(rate=2**17 - 1, offset=2**17 - 1), 0, 2**23 - 5)[1] == largest
    assert one_step(neuron(threshold=-(2**17), jump=-5, rate=2**17 - 1, offset=2**17 - 1), 0, largest)[1:] == (largest - 5, True)
    assert one_step(neuron(threshold=-(2**17), jump=9), 0, largest)[1:] == (largest, True)
    assert one_step(neuron(threshold=-(2**17), jump=-9), 0, -(2**23) + 3)[1:] == (-(2**23), True)


def test_the_recovery_sees_the_overshoot_and_not_the_reset() -> None:
    parameters = neuron(threshold=999, reset=-500, coupling=2**16, rate=2**11, jump=100)
    # e = 2 * 0.5 * 1015.
    assert one_step(parameters, 1000, 0) == (-500, 1015 + 100, True)


def test_the_threshold_is_strict_and_compared_before_saturation() -> None:
    assert one_step(neuron(threshold=10), 10, 0) == (10, 0, False)
    assert one_step(neuron(threshold=9), 10, 0) == (0, 0, True)
    # 131071 + 262140 is above even the largest threshold.
    assert one_step(neuron(), 2**17 - 1, 0) == (0, 0, True)


def test_the_drive_holds_for_all_substeps_and_a_spike_of_any_is_reported() -> None:
    assert one_step(neuron(), 0, 0, 5, substeps=4) == (20, 0, False)
    # 6, 12: reset to -10; -4, 2.
    assert one_step(neuron(threshold=11, reset=-10), 0, 0, 6, substeps=4) == (2, 0, True)
    # 6, 12, 18: reset to 1; 7.
    assert one_step(neuron(threshold=12, reset=1), 0, 0, 6, substeps=4) == (1 + 6, 0, True)
    # Several resets in one tick.
    assert one_step(neuron(threshold=5, reset=1, jump=3), 0, 0, 6, substeps=4) == (1, 12, True)


def test_input_shift_constant_and_bias_add_up() -> None:
    assert one_step(neuron(constant=3), 0, 0, 5, input_shift=4) == (83, 0, False)
    assert one_step(neuron(constant=3, bias=-20), 0, 0, 5, input_shift=4, bias_bits=8) == (63, 0, False)


def test_the_products_of_a_narrow_multiplier_drop_the_lowest_bits() -> None:
    # 1027 >> 2 = 256; 256^2 >> 12 = 16, where the full product would give 16.09.
    assert one_step(neuron(), 1027, 0, multiplier_bits=16) == (1043, 0, False)
    # 1023 >> 2 = 255: 65025 >> 12 = 15.
    assert one_step(neuron(), 1023, 0, multiplier_bits=16) == (1038, 0, False)
    # e = 1023 -> 255; 255 * 2^7 / 2^7.
    assert one_step(neuron(rate=2**7, offset=1023), 0, 0, multiplier_bits=16) == (0, 255, False)


def test_the_first_tick_starts_from_the_initial_values() -> None:
    parameters = neuron(initial_membrane=40, initial_recovery=1024)
    state = {name: np.zeros((2, 1), np.int64) for name in ("membrane", "recovery", "started")}
    model = Izhikevich(substeps=1)
    total, random = np.zeros((2, 1), np.int64), np.zeros(1, np.int64)
    state, _ = izhikevich_step(model, parameters, state, total, random)
    assert {name: values.tolist() for name, values in state.items()} == {
        "membrane": [[38], [38]],
        "recovery": [[1024], [1024]],
        "started": [[1], [1]],
    }
    state, _ = izhikevich_step(model, parameters, state, total, random)
    assert state["membrane"].tolist() == [[36], [36]]


# Against plain integers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("widths", WIDTHS, ids=lambda widths: "-".join(map(str, widths.values())))
def test_every_width_against_plain_integers(widths: dict[str, int], corners: bool) -> None:
    rng = np.random.default_rng(sum(widths.values()))
    model = Izhikevich(**widths, substeps=int(rng.choice([1, 2, 4])), input_shift=int(rng.integers(13)), bias_bits=24)
    parameters, state = random_words(model, 40, rng, corners)
    assert compare(model, parameters, state, rng.integers(-(2**15), 2**15, (4, 40))) > 0


@given(
    data=st.data(),
    widths=st.sampled_from(WIDTHS),
    substeps=st.sampled_from([1, 2, 4]),
    input_shift=st.integers(0, 12),
    bias_bits=st.sampled_from([0, 2, 24]),
)
def test_anything_that_fits_against_plain_integers(
    data: st.DataObject, widths: dict[str, int], substeps: int, input_shift: int, bias_bits: int
) -> None:
    model = Izhikevich(**widths, substeps=substeps, input_shift=input_shift, bias_bits=bias_bits)

    def word(low: int, high: int) -> IntArray:
        return np.array([data.draw(st.integers(low, high))], np.int64)

    parameters = {name: word(field.low, field.high) for name, field in model.parameter_names().items()}
    state = {field.name: word(field.low, field.high) for field in model.state_fields()}
    totals = np.array(data.draw(st.lists(st.integers(-(2**19), 2**19), min_size=1, max_size=3)), np.int64)
    compare(model, parameters, state, totals[:, np.newaxis])


def test_samples_are_independent_and_arguments_are_left_alone() -> None:
    rng = np.random.default_rng(1)
    model = Izhikevich()
    parameters, state = random_words(model, 6, rng, False)
    batch = {name: np.stack([values, values[::-1]]) for name, values in state.items()}
    before = {name: values.copy() for name, values in batch.items()}
    totals = rng.integers(-2000, 2000, (2, 6))
    new, spikes = izhikevich_step(model, parameters, batch, totals, np.zeros(6, np.int64))
    for name, values in batch.items():
        np.testing.assert_array_equal(values, before[name])
    for sample in range(2):
        alone = {name: values[sample : sample + 1] for name, values in batch.items()}
        result, fired = izhikevich_step(model, parameters, alone, totals[sample : sample + 1], np.zeros(6, np.int64))
        assert fired[0].tolist() == spikes[sample].tolist()
        for name, values in result.items():
            assert values[0].tolist() == new[name][sample].tolist()


def test_multipliers_never_change_a_result() -> None:
    rng = np.random.default_rng(2)
    parameters, state = random_words(Izhikevich(), 20, rng, False)
    batch = {name: values[np.newaxis] for name, values in state.items()}
    totals = rng.integers(-2000, 2000, (1, 20))
    results = [izhikevich_step(Izhikevich(multipliers=m), parameters, batch, totals, totals[0]) for m in (1, 3, 6, 12)]
    for other, spikes in results[1:]:
        assert spikes.tolist() == results[0][1].tolist()
        assert all(values.tolist() == results[0][0][name].tolist() for name, values in other.items())


# The model's configuration ---------------------------------------------------------------------------------------------


def test_words_and_names() -> None:
    model = Izhikevich()
    assert {name: layout.bits for name, layout in model.words().items()} == {"parameters": 175, "state": 43}
    assert Izhikevich(bias_bits=12).words()["own"].bits == 12
    assert [field.name for field in model.state_fields()] == ["membrane", "recovery", "started"]
    assert model_from_dict(model.as_dict()) == model
    assert step_of(model) is izhikevich_step
    assert not model.random


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"membrane_bits": 19}, r"membrane_bits is 19; it must be 16 to 18 \(nearest: 18\)"),
        ({"recovery_bits": 16}, r"recovery_bits is 16; it must be 20 to 28 \(nearest: 20\)"),
        ({"membrane_bits": 16}, r"multiplier_bits is 18; it must be 16 to 16 \(nearest: 16\)"),
        ({"substeps": 3}, "substeps is 3; it must be 1, 2 or 4"),
        ({"substeps": 8}, "substeps is 8; it must be 1 to 4"),
        ({"step_exponent": 5}, "step_exponent is 5; it must be 0 to 4"),
        ({"multipliers": 2}, "multipliers is 2; with 4 substeps it must be one of 1, 3, 6, 12"),
        ({"multipliers": 9}, "multipliers is 9; with 4 substeps it must be one of 1, 3, 6, 12"),
        ({"multipliers": 6, "substeps": 1}, "multipliers is 6; it must be 1 to 3"),
        ({"input_shift": 13}, "input_shift is 13; it must be 0 to 12"),
        ({"bias_bits": 1}, "bias_bits is 1; it must be 2 to 24; or 0 for no bias"),
        ({"recovery_bits": 24.0}, "recovery_bits must be an integer, not 24.0"),
    ],
)
def test_refused_fields(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Izhikevich(**arguments)


@pytest.mark.parametrize("bias_bits", [0, 8])
def test_samples_are_legal_and_some_fire_at_times(bias_bits: int) -> None:
    model = Izhikevich(bias_bits=bias_bits)
    rng = np.random.default_rng(0)
    parameters = model.sample(rng, 200, 127)
    model.check(parameters)
    for name, field in model.parameter_names().items():
        assert ((parameters[name] >= field.low) & (parameters[name] <= field.high)).all()
    state = {name: np.zeros((1, 200), np.int64) for name in ("membrane", "recovery", "started")}
    counts = np.zeros(200, np.int64)
    for _ in range(100):
        state, spikes = izhikevich_step(model, parameters, state, rng.integers(-60, 120, (1, 200)), counts)
        counts += spikes[0]
    assert ((counts > 1) & (counts < 40)).sum() > 30


def test_a_reset_above_the_threshold_is_refused() -> None:
    model = Izhikevich()
    model.check({"reset": np.array([5, 5]), "threshold": np.array([5, 6])})
    with pytest.raises(ConfigError, match=r"reset\[1\] is 7; it must not exceed the threshold, 6, or the neuron would never stop"):
        model.check({"reset": np.array([5, 7]), "threshold": np.array([5, 6])})
