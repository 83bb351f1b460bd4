from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spikeloom.arch.errors import NetworkError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.golden.izhikevich import izhikevich_step
from spikeloom.network.izhikevich import IzhikevichCell, QuadraticCell

MODEL = Izhikevich()


def one(cell: IzhikevichCell | QuadraticCell, model: Izhikevich = MODEL, dt: float = 1.0) -> dict[str, int]:
    """Fields of one neuron."""
    return {name: int(values[0]) for name, values in cell.integers(model, 1, dt).items()}


def run(
    cell: IzhikevichCell | QuadraticCell, total: int, ticks: int, model: Izhikevich = MODEL, dt: float = 1.0
) -> tuple[list[int], npt.NDArray[np.int64]]:
    """Spike ticks and potentials of one neuron under a constant synaptic sum."""
    fields = cell.integers(model, 1, dt)
    state = {name: np.zeros((1, 1), np.int64) for name in ("membrane", "recovery", "started")}
    spikes, potential = [], []
    for tick in range(ticks):
        state, fired = izhikevich_step(model, fields, state, np.full((1, 1), total), np.zeros(1, np.int64))
        potential.append(int(state["membrane"][0, 0]))
        if fired[0, 0]:
            spikes.append(tick)
    return spikes, np.array(potential)


# By hand ---------------------------------------------------------------------------------------------------------------


def test_tonic_spiking_by_hand() -> None:
    """Panel A of Izhikevich (2004): sigma = 0.04 * 0.25 * 2^16 = 655.36 per mV, off = 62.5 mV."""
    assert one(IzhikevichCell(a=0.02, b=0.2, c=-65, d=6, v_init=-70)) == {
        "coupling": 6554,  # 0.05 * 2^17
        "rate": 2621,  # 0.005 * 2^19
        "constant": -614,  # 163.84 (140 - 156.25 + 12.5)
        "threshold": 60620,  # 655.36 * 92.5 = 60620.8
        "reset": -1638,  # 655.36 * -2.5
        "jump": 503316,  # 163.84 * 2^9 * 6
        "offset": 0,
        "decay": 1,
        "initial_membrane": -4915,  # 655.36 * -7.5
        "initial_recovery": -125829,  # 163.84 * 2^9 * (-14 + 12.5)
    }


def test_the_same_with_a_16_bit_multiplier_and_a_short_recovery_word() -> None:
    fields = one(IzhikevichCell(a=0.02, b=0.2, c=-65, d=6, v_init=-70), Izhikevich(multiplier_bits=16, recovery_bits=20), dt=1.0)
    assert (fields["coupling"], fields["rate"], fields["jump"], fields["initial_recovery"]) == (1638, 655, 31457, -7864)
    assert (fields["threshold"], fields["reset"]) == (60620, -1638)


def test_class_1_equation_by_hand() -> None:
    """Panel G: off = 4.1 / 0.08 = 51.25 mV, 108 - 4.1^2 / 0.16 = 2.9375."""
    fields = one(IzhikevichCell(b=-0.1, c=-55, v_init=-60, k1=4.1, k0=108))
    assert fields["threshold"] == 53248  # 655.36 * 81.25
    assert fields["reset"] == -2458  # 655.36 * -3.75 = -2457.6
    assert fields["constant"] == -358  # 163.84 * (2.9375 - 5.125) = -358.4
    assert fields["initial_recovery"] == 73400  # 83886.08 * (6 - 5.125)


def test_accommodation_by_hand() -> None:
    """Panel R at 1 ms: the recovery variable counts from its initial value and never decays."""
    fields = one(IzhikevichCell(a=0.02, b=1, c=-55, d=4, v_init=-65, u_init=-16, u_variant="accommodation"))
    assert (fields["decay"], fields["initial_recovery"]) == (0, 0)
    assert fields["offset"] == 819  # 2 * 163.84 * (65 - 62.5)
    assert fields["constant"] == -41  # 163.84 * (140 - 156.25 + 16) = -40.96
    assert fields["coupling"] == 32768


def test_a_rate_of_one_per_ms_is_rounded_into_the_field() -> None:
    assert one(IzhikevichCell(a=1))["rate"] == 2**17 - 1
    assert one(IzhikevichCell(a=-1))["rate"] == -(2**17)


def test_the_offset_current_goes_into_the_bias_if_there_is_one() -> None:
    assert one(IzhikevichCell(i_offset=10))["constant"] == one(IzhikevichCell())["constant"] + 1638  # 163.84 * 10
    with_bias = one(IzhikevichCell(i_offset=10), Izhikevich(bias_bits=16))
    assert (with_bias["constant"], with_bias["bias"]) == (one(IzhikevichCell())["constant"], 1638)


def test_all_fields_are_given_and_fit() -> None:
    assert IzhikevichCell().model_name == QuadraticCell().model_name == MODEL.NAME
    for model in (MODEL, Izhikevich(bias_bits=14)):
        for cell in (IzhikevichCell(), IzhikevichCell(u_variant="accommodation"), QuadraticCell()):
            fields = cell.integers(model, 3, 1.0)
            names = model.parameter_names()
            assert set(fields) == set(names)
            model.check(fields)
            for name, values in fields.items():
                assert values.dtype == np.int64
                assert values.shape == (3,)
                assert ((values >= names[name].low) & (values <= names[name].high)).all()


def test_arrays_give_each_neuron_its_own_value() -> None:
    cell = IzhikevichCell(c=np.array([-65.0, -50.0]), d=np.array([8.0, 2.0]))
    fields = cell.integers(MODEL, 2, 1.0)
    for n, (c, d) in enumerate([(-65.0, 8.0), (-50.0, 2.0)]):
        assert {name: int(values[n]) for name, values in fields.items()} == one(IzhikevichCell(c=c, d=d))


def test_the_substep_follows_from_dt_and_substeps() -> None:
    assert IzhikevichCell().step(MODEL, 1.0) == 0.25
    half = one(IzhikevichCell(), Izhikevich(substeps=2, step_exponent=1))
    # The potential keeps its scale; what the step multiplies doubles.
    assert (half["threshold"], half["coupling"], half["rate"]) == (60620, 13107, 5243)
    # A step of 0.2 ms is folded in likewise.
    assert one(IzhikevichCell(), dt=0.8)["threshold"] == math.floor(0.04 * 0.2 * 2**16 * 92.5)


def test_unit_of_the_synaptic_sum() -> None:
    assert IzhikevichCell().unit(MODEL, 1.0) == pytest.approx(16 / 163.84)
    assert IzhikevichCell().unit(Izhikevich(input_shift=0), 1.0) == pytest.approx(1 / 163.84)
    # As many units of the synaptic sum as make 10 give the same spikes as an offset of 10.
    model = Izhikevich(input_shift=0)
    total = round(10 / IzhikevichCell().unit(model, 1.0))
    spikes = run(IzhikevichCell(), total, 500, model)[0]
    assert spikes == run(IzhikevichCell(i_offset=10), 0, 500)[0]
    assert len(spikes) > 5


def test_a_reset_just_below_the_peak_does_not_exceed_the_threshold() -> None:
    for cell in (IzhikevichCell(c=30), IzhikevichCell(c=29.9999), QuadraticCell(v_reset=20)):
        MODEL.check(cell.integers(MODEL, 1, 1.0))


# Refused ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": 1.01}, r"a of neuron 0 is 1.01; it must be -1 to 0.999992 (nearest: 0.999992)"),
        ({"b": -5.0}, r"b of neuron 0 is -5; it must be -4 to 3.99997 (nearest: -4)"),
        ({"c": -300.0}, r"c of neuron 0 is -300; it must be -262.5 to 137.498 (nearest: -262.5)"),
        ({"c": 31.0}, r"c of neuron 0 is 31; it must be at most v_peak, 30 (nearest: 30)"),
        ({"d": 120.0}, r"d of neuron 0 is 120; it must be -100 to 100 (nearest: 100)"),
        ({"v_init": 200.0}, r"v_init of neuron 0 is 200; it must be -262.5 to 137.498 (nearest: 137.498)"),
        ({"u_init": 100.0}, r"u_init of neuron 0 is 100; it must be -112.5 to 87.5 (nearest: 87.5)"),
        ({"v_peak": 150.0}, r"v_peak of neuron 0 is 150; it must be -262.5 to 137.498 (nearest: 137.498)"),
        # The constant current, 140 - 156.25 + 12.5, and the offset share 800 to either side.
        ({"i_offset": 900.0}, r"i_offset of neuron 0 is 900; it must be -796.25 to 803.744 (nearest: 803.744)"),
        ({"a": "fast"}, "a is not a number or an array of numbers: could not convert string to float: 'fast'"),
        ({"a": math.nan}, "a of neuron 0 is nan; it must be a finite number"),
        ({"v_peak": math.inf}, "v_peak of neuron 0 is inf; it must be a finite number"),
        ({"d": np.zeros(3)}, "d has shape [3]; the population has 1 neurons"),
        ({"u_variant": "other"}, "u_variant is 'other'; it must be 'standard' or 'accommodation'"),
    ],
)
def test_refused_parameters(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        IzhikevichCell(**arguments).integers(MODEL, 1, 1.0)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["a", "b", "c", "d", "v_init", "u_init", "k1", "k0", "v_peak", "i_offset"])
@pytest.mark.parametrize("value", [1e308, -1e308, 1e30, -1e30])
def test_absurd_values_are_refused_without_warnings(name: str, value: float) -> None:
    cell: dict[str, Any] = {name: value}
    for model in (MODEL, Izhikevich(bias_bits=12)):
        for variant in ("standard", "accommodation"):
            if (name, variant) == ("u_init", "accommodation"):
                continue  # the origin of u, where it only shifts the constant current
            with pytest.raises(NetworkError):
                IzhikevichCell(**cell, u_variant=variant).integers(model, 1, 1.0)  # type: ignore[arg-type]


def test_the_message_names_the_neuron() -> None:
    with pytest.raises(NetworkError, match="b of neuron 2 is 7;"):
        IzhikevichCell(b=np.array([0.2, 0.2, 7.0])).integers(MODEL, 3, 1.0)
    with pytest.raises(NetworkError, match=r"i_offset of neuron 1 is 1000; it must be -12\.5 to 12\.4939"):
        IzhikevichCell(i_offset=np.array([0.0, 1000.0])).integers(Izhikevich(bias_bits=12), 2, 1.0)


@pytest.mark.parametrize(
    ("dt", "message"),
    [
        (4.0, r"a sub-step \(dt / substeps\) of 1 ms; with step_exponent 2 it must be 0.0625 to 0.5 ms \(nearest: 0.5\)"),
        (0.1, r"a sub-step \(dt / substeps\) of 0.025 ms; with step_exponent 2 it must be 0.0625 to 0.5 ms \(nearest: 0.0625\)"),
        (0.0, "dt is 0.0 ms; it must be finite and above 0"),
        (math.nan, "dt is nan ms; it must be finite and above 0"),
    ],
)
def test_refused_steps(dt: float, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        IzhikevichCell().integers(MODEL, 1, dt)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tau_m": 0.5}, "tau_m is 0.5 ms; it must be above two sub-steps, 0.5 ms"),
        ({"tau_m": math.nan}, "tau_m is nan; it must be a finite number"),
        ({"v_crit": 0.0}, "v_crit is 0; it must be above v_rest, 0"),
        ({"v_peak": 1e6}, "v_peak of neuron 0 is 1e+06; it must be -159 to 160.999"),
        ({"v_reset": 21.0}, "v_reset of neuron 0 is 21; it must be at most v_peak, 20"),
        ({"v_init": math.inf}, "v_init of neuron 0 is inf"),
    ],
)
def test_refused_quadratic_neurons(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message.replace("+", r"\+")):
        QuadraticCell(**arguments).integers(MODEL, 1, 1.0)


# Quadratic integrate-and-fire --------------------------------------------------------------------------------------------


def test_quadratic_by_hand() -> None:
    """Neurogrid's neuron with 10 ms: sigma = 0.25 * 2^16 / (10 * 2) = 819.2, centred between 0 and 2."""
    fields = one(QuadraticCell())
    assert fields["threshold"] == math.floor(819.2 * 19)
    assert fields["reset"] == fields["initial_membrane"] == -819
    assert fields["constant"] == -10  # 819.2 * 0.25 / 10 * -0.5 = -10.24
    assert all(fields[name] == 0 for name in ("coupling", "rate", "jump", "offset", "decay", "initial_recovery"))
    assert QuadraticCell().unit(MODEL, 1.0) == pytest.approx(16 * 10 / (0.25 * 819.2))


def test_a_quadratic_neuron_fires_above_its_rheobase_with_the_analytic_period() -> None:
    """``tau dx/dt = x^2 / 2 - x + I`` fires for I > 1/2, with the period of the integral of dx over the right-hand side."""
    model = Izhikevich(substeps=4, step_exponent=4, input_shift=0)
    cell = QuadraticCell(tau_m=20.0)
    unit = cell.unit(model, 1.0)
    assert run(cell, math.floor(0.45 / unit), 1000, model)[0] == []
    for current in (0.8, 1.5, 3.0):
        total = round(current / unit)
        spikes, _ = run(cell, total, 1000, model)
        root = math.sqrt(2 * total * unit - 1)  # the right-hand side is ((x - 1)^2 + root^2) / 2
        period = 20 * 2 / root * (math.atan(19 / root) + math.atan(1 / root))
        assert np.diff(spikes).mean() == pytest.approx(period, rel=0.03)


def test_a_quadratic_neuron_returns_to_rest_from_below_its_critical_potential_and_fires_from_above() -> None:
    model = Izhikevich(step_exponent=4)
    scale = QuadraticCell().scale(model, 1.0)
    spikes, potential = run(QuadraticCell(v_init=1.9), 0, 300, model)
    assert spikes == []
    assert potential[-1] / scale + 1 == pytest.approx(0, abs=0.02)
    assert len(run(QuadraticCell(v_init=2.1), 0, 300, model)[0]) == 1
