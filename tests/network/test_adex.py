from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.adex import AdEx
from spikeloom.arch.errors import NetworkError
from spikeloom.network.adex import AdExCell
from spikeloom.network.description import ModelNeurons, Network

#: With steps of 0.25 ms one unit is 1 mV, and the exponential adds one unit in a step 5 mV above ``v_thresh``.
ROUND = AdExCell(
    cm=1.0,
    tau_m=8 / math.log(2),
    v_rest=-65.0,
    v_thresh=-50.0,
    delta_T=1 / math.log(2),
    a=4.0,
    b=0.5,
    tau_w=64.0,
    v_reset=-60.0,
    v_spike=0.0,
    i_offset=2.0,
    v_init=-70.0,
    w_init=1.0,
)
ROUND_INTEGERS = {
    "leak": 2839,  # 2**17 ln 2 / 32 = 2839.13
    "coupling": 262,  # 2**18 * 0.25 * 0.004 = 262.14
    "rate": 2048,  # 2**19 / 256
    "drive": -7425,  # -20 units: 2**14 * -20 * (2839 / 2**17 + 262 / 2**18)
    "peak": 45 * 2**14,
    "reset": -15 * 2**14,
    "increment": 2**15,  # 0.125 units
    "initial_membrane": -25 * 2**14,
    "initial_recovery": 2**16 - 5240,  # 0.25 units, and -20 * 262 / 2**18
    "bias": 2**13,  # 0.5 units
}


def test_integers_by_hand() -> None:
    model = AdEx()
    found = ROUND.integers(model, 3, 1.0)
    assert list(found) == list(model.parameter_names())
    for name, value in ROUND_INTEGERS.items():
        assert found[name].dtype == np.int64
        assert found[name].tolist() == [value] * 3, name
    assert ROUND.unit(model, 1.0) == pytest.approx(0.015625)  # 2**(6 - 14) units of 1 nF 1 mV / 0.25 ms


def test_without_a_bias_the_constant_current_is_part_of_the_drive() -> None:
    model = AdEx(bias_bits=0)
    found = ROUND.integers(model, 1, 1.0)
    assert list(found) == list(model.parameter_names())
    assert found["drive"].tolist() == [2**13 - 7425]


def test_cells_are_described_as_a_network_wants_them() -> None:
    net = Network(dt=0.5)
    population = net.population(2, AdExCell(), "cells")
    assert isinstance(population.neurons, ModelNeurons)
    assert population.neurons.cell.model_name == AdEx.NAME


def test_the_step_follows_from_the_tick_and_the_substeps() -> None:
    assert ROUND.integers(AdEx(substeps=2), 1, 0.5) == {name: [value] for name, value in ROUND_INTEGERS.items()}
    # Half the step: half the coefficients and currents, and an origin one unit higher.
    half = ROUND.integers(AdEx(substeps=8), 1, 1.0)
    assert half["rate"].tolist() == [1024]
    assert half["bias"].tolist() == [2**12]
    assert half["peak"].tolist() == [44 * 2**14]
    assert ROUND.unit(AdEx(substeps=8), 1.0) == pytest.approx(2 * ROUND.unit(AdEx(), 1.0))


def test_widths_scale_the_integers() -> None:
    found = ROUND.integers(AdEx(membrane_bits=20, recovery_bits=24), 1, 1.0)
    assert found["peak"].tolist() == [45 * 2**12]
    assert found["increment"].tolist() == [2**17]
    assert found["bias"].tolist() == [2**11]


def test_arrays_give_each_neuron_its_own() -> None:
    cell = replace(ROUND, tau_w=np.array([64.0, 128.0]), cm=np.array([1.0, 2.0]))
    found = cell.integers(AdEx(), 2, 1.0)
    assert found["rate"].tolist() == [2048, 1024]
    assert found["coupling"].tolist() == [262, 131]
    assert found["bias"].tolist() == [2**13, 2**12]
    assert found["leak"].tolist() == [2839, 2839]
    assert np.asarray(cell.unit(AdEx(), 1.0)) == pytest.approx([0.015625, 0.03125])


def test_the_defaults_are_those_of_the_article() -> None:
    found = {name: int(values[0]) for name, values in AdExCell().integers(AdEx(), 1, 1.0).items()}
    # h / tau_m = 0.0267, h a / C = 0.00356, h / tau_w = 0.00174; one unit is 1.386 mV and 1.558 nA.
    assert (found["leak"], found["coupling"], found["rate"]) == (3498, 933, 910)
    assert found["increment"] == 13543
    assert found["reset"] == found["initial_membrane"] == -315720


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau_m": 0.9}, "tau_m of neuron 0 is 0.9; it must be 1.00004 to 32768 (nearest: 1.00004)"),
        ({"tau_m": 1e5}, "tau_m of neuron 0 is 100000; it must be 1.00004 to 32768 (nearest: 32768)"),
        ({"tau_w": 2.0}, "tau_w of neuron 0 is 2; it must be 4.00013 to 131072 (nearest: 4.00013)"),
        ({"a": 600.0}, "a of neuron 0 is 600; it must be -500 to 499.984 (nearest: 499.984)"),
        ({"a": -600.0}, "a of neuron 0 is -600; it must be -500 to 499.984 (nearest: -500)"),
        ({"b": 33.0}, "b of neuron 0 is 33; it must be -32 to 31.9999 (nearest: 31.9999)"),
        ({"i_offset": -9.0}, "i_offset of neuron 0 is -9; it must be -8 to 7.99975 (nearest: -8)"),
        ({"v_spike": 90.0}, "v_spike of neuron 0 is 90; it must be -173 to 82.9998 (nearest: 82.9998)"),
        ({"v_rest": -200.0}, "v_rest of neuron 0 is -200; it must be -173 to 82.9999 (nearest: -173)"),
        ({"v_reset": -200.0}, "v_reset of neuron 0 is -200; it must be -173 to 82.9999 (nearest: -173)"),
        ({"v_init": 100.0}, "v_init of neuron 0 is 100; it must be -173 to 82.9999 (nearest: 82.9999)"),
        ({"w_init": 32.1}, "w_init of neuron 0 is 32.1; it must be -31.92 to 32.0799 (nearest: 32.0799)"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_the_nearest_that_does(change: dict[str, float], message: str) -> None:
    with pytest.raises(NetworkError) as error:
        replace(ROUND, **change).integers(AdEx(), 2, 1.0)
    assert str(error.value) == message
    name, nearest = next(iter(change)), float(re.findall(r"nearest: (\S+)\)", message)[0])
    replace(ROUND, **{name: nearest}).integers(AdEx(), 2, 1.0)


def test_the_message_names_the_neuron_and_its_own_range() -> None:
    cell = replace(ROUND, a=np.array([1.0, 400.0, 400.0]), cm=np.array([1.0, 1.0, 0.5]))
    with pytest.raises(NetworkError, match=r"^a of neuron 2 is 400; it must be -250 to 249\.992 \(nearest: 249\.992\)$"):
        cell.integers(AdEx(), 3, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cm": 0.0}, "cm is 0; it must be above 0"),
        ({"tau_m": -1.0}, "tau_m is -1; it must be above 0"),
        ({"delta_T": 0.0}, "delta_T is 0; it must be above 0"),
        ({"tau_w": np.array([1.0, 0.0])}, "tau_w of neuron 1 is 0; it must be above 0"),
        ({"a": math.nan}, "a is nan; it must be a finite number"),
        ({"v_init": np.array([0.0, -math.inf])}, "v_init of neuron 1 is -inf; it must be a finite number"),
        ({"b": "much"}, "b is not a number or an array of numbers: could not convert string to float: 'much'"),
    ],
)
def test_values_without_meaning_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError) as error:
        AdExCell(**change)
    assert str(error.value) == message


def test_a_reset_above_the_peak_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"^v_reset of neuron 0 is -40; it must be below v_spike$"):
        AdExCell(v_reset=-40.0).integers(AdEx(), 1, 1.0)


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"^a has shape \[2\]; the population has 3 neurons$"):
        AdExCell(a=np.array([1.0, 2.0])).integers(AdEx(), 3, 1.0)


@pytest.mark.parametrize("dt", [0.0, -1.0, math.nan, math.inf])
def test_a_time_step_without_meaning_is_refused(dt: float) -> None:
    for use in (lambda: AdExCell().integers(AdEx(), 1, dt), lambda: AdExCell().unit(AdEx(), dt)):
        with pytest.raises(NetworkError, match=r"^dt is .* ms; it must be above 0$"):
            use()


POSITIVE = st.floats(1e-300, 1e300)
ANY = st.floats(-1e300, 1e300)


@given(
    parameters=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("cm", "tau_m", "tau_w", "delta_T"), POSITIVE)
        | dict.fromkeys(("a", "b", "v_rest", "v_thresh", "v_reset", "v_spike", "i_offset", "v_init", "w_init"), ANY),
    ),
    dt=st.floats(1e-3, 1e3),
)
def test_absurd_values_are_refused_or_fit_their_fields(parameters: dict[str, float], dt: float) -> None:
    model = AdEx()
    try:
        found = AdExCell(**parameters).integers(model, 1, dt)
    except NetworkError:
        return
    for name, field in model.parameter_names().items():
        assert field.low <= found[name][0] <= field.high, name
