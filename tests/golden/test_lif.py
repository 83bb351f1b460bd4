from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.config import CoreConfig
from spikeloom.golden.lif import LifParameters, lif_step
from tests.golden.naive_core import NaiveNeuron

ABSOLUTE, RELATIVE = 0, 1
#: Retention of a neuron that forgets nothing.
ONE = 4096

IntArray = npt.NDArray[np.int64]


def _config(**changes: Any) -> CoreConfig:
    arguments: dict[str, Any] = {"axons": 8, "neurons": 1, "state_bits": 16, "fraction_bits": 0, "refractory_bits": 6}
    return CoreConfig(**(arguments | changes))


def _parameters(neurons: int = 1, **values: int) -> LifParameters:
    """Equal neurons; by default an integrate-and-fire neuron that never fires."""
    all_values = {"retention": ONE, "threshold": 2**27, "reset": 0, "reset_mode": ABSOLUTE, "refractory": 0, "bias": 0} | values
    return LifParameters(**{name: np.full(neurons, value, np.int64) for name, value in all_values.items()})


def _step(config: CoreConfig, parameters: LifParameters, membrane: int, total: int, refractory: int = 0) -> tuple[int, int, bool]:
    """One tick of one neuron: potential, refractory counter, spike."""
    cell = (np.array([[value]], np.int64) for value in (membrane, refractory, total))
    potential, counter, spike = lif_step(config, parameters, *cell)
    return int(potential[0, 0]), int(counter[0, 0]), bool(spike[0, 0])


def _spike_ticks(config: CoreConfig, parameters: LifParameters, drive: IntArray) -> list[list[int]]:
    """Spike ticks of each neuron under ``drive[tick, neuron]``."""
    potential, counter = np.zeros((2, 1, drive.shape[1]), np.int64)
    ticks: list[list[int]] = [[] for _ in range(drive.shape[1])]
    for tick, sums in enumerate(drive):
        potential, counter, spikes = lif_step(config, parameters, potential, counter, sums[np.newaxis])
        for neuron in np.flatnonzero(spikes[0]).tolist():
            ticks[neuron].append(tick)
    return ticks


# By hand ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("membrane", "potential"),
    # V * 2048 / 4096: 2.5 -> 2, -2.5 -> -2 (toward zero), 0.5 -> 0, -0.5 -> 0.
    [(5, 2), (-5, -2), (1, 0), (-1, 0), (32767, 16383), (-32768, -16384)],
)
def test_leak_rounds_toward_zero(membrane: int, potential: int) -> None:
    assert _step(_config(), _parameters(retention=2048), membrane, 0) == (potential, 0, False)


@pytest.mark.parametrize(("retention", "potential"), [(0, 0), (1, 7), (2100, 16799), (4095, 32759), (4096, 32767)])
def test_retention_from_nothing_to_all(retention: int, potential: int) -> None:
    # 32767 r / 4096 = 0, 7.9998, 16799.5, 32759.0002, 32767.
    assert _step(_config(), _parameters(retention=retention), 32767, 0)[0] == potential


@pytest.mark.parametrize(("fraction_bits", "potential"), [(0, 3), (5, 96), (12, 12288)])
def test_weights_are_scaled_by_the_fraction_bits(fraction_bits: int, potential: int) -> None:
    assert _step(_config(fraction_bits=fraction_bits), _parameters(), 0, 3)[0] == potential


def test_bias_is_not_scaled() -> None:
    # 3 * 2**5 - 7 = 89
    assert _step(_config(fraction_bits=5), _parameters(bias=-7), 0, 3)[0] == 89


@pytest.mark.parametrize(
    ("membrane", "total", "potential"),
    [(32767, 1, 32767), (32766, 1, 32767), (-32768, -1, -32768), (-32767, -1, -32768), (32767, -1, 32766), (-32768, 1, -32767)],
)
def test_potential_saturates_at_both_ends(membrane: int, total: int, potential: int) -> None:
    assert _step(_config(), _parameters(), membrane, total)[0] == potential


def test_saturation_comes_after_leak_and_input() -> None:
    # 32767 * 0.5 = 16383 (toward zero); + 16384 = 32767 fits; saturating the input or the sum V + X first would give less.
    assert _step(_config(), _parameters(retention=2048), 32767, 16384)[0] == 32767
    # 16383 + 40000 - 30000 = 26383: input and bias are added before the one saturation.
    assert _step(_config(), _parameters(retention=2048, bias=-30000), 32767, 40000)[0] == 26383


@pytest.mark.parametrize(("total", "fires"), [(9, False), (10, False), (11, True)])
def test_neuron_fires_above_its_threshold_and_not_at_it(total: int, fires: bool) -> None:
    assert _step(_config(), _parameters(threshold=10, reset=-3), 0, total) == (-3 if fires else total, 0, fires)


def test_neuron_at_the_highest_threshold_never_fires() -> None:
    assert _step(_config(), _parameters(threshold=32767), 32767, 32767) == (32767, 0, False)


def test_neuron_at_the_lowest_threshold_fires_unless_saturated_low() -> None:
    assert _step(_config(), _parameters(threshold=-32768), 0, -32767)[2]
    assert not _step(_config(), _parameters(threshold=-32768), 0, -40000)[2]


def test_relative_reset_keeps_the_excess() -> None:
    # 8 + 7 = 15 > 10, 15 - 10 = 5
    assert _step(_config(), _parameters(threshold=10, reset=-10, reset_mode=RELATIVE), 8, 7) == (5, 0, True)


def test_relative_reset_wraps_instead_of_saturating() -> None:
    # 32767 + 1 = 32768 = -32768 modulo 2**16
    assert _step(_config(), _parameters(threshold=0, reset=1, reset_mode=RELATIVE), 0, 32767) == (-32768, 0, True)


def test_held_neuron_keeps_its_potential_and_loses_its_input() -> None:
    parameters = _parameters(threshold=10, retention=2048, refractory=3, bias=4)
    assert _step(_config(), parameters, 50, 1000, refractory=2) == (50, 1, False)
    assert _step(_config(), parameters, 50, 1000, refractory=1) == (50, 0, False)
    assert _step(_config(), parameters, 50, 1000, refractory=0) == (0, 3, True)


def test_results_are_integers_of_the_shape_of_the_state() -> None:
    state = np.zeros((3, 5), np.int64)
    membrane, refractory, spikes = lif_step(_config(neurons=5), _parameters(5), state, state, state)
    assert [array.dtype.name for array in (membrane, refractory, spikes)] == ["int64", "int64", "bool"]
    assert membrane.shape == refractory.shape == spikes.shape == (3, 5)


# Against a scalar loop ---------------------------------------------------------------------------------------------------


def _corner_or_any(rng: np.random.Generator, low: int, high: int, size: int) -> IntArray:
    anywhere = rng.integers(low, high, size, endpoint=True)
    corners = np.array([low, low + 1, -1, 0, 1, high - 1, high]).clip(low, high)
    return np.where(rng.random(size) < 0.5, anywhere, rng.choice(corners, size))


@given(
    seed=st.integers(0, 2**32 - 1),
    state_bits=st.integers(8, 28),
    fraction_bits=st.integers(0, 12),
    refractory_bits=st.integers(0, 8),
    sum_bits=st.integers(2, 16),
)
def test_step_is_that_of_a_scalar_loop(seed: int, state_bits: int, fraction_bits: int, refractory_bits: int, sum_bits: int) -> None:
    neurons, samples, ticks = 6, 2, 12
    config = CoreConfig(axons=8, neurons=neurons, models=(Lif(state_bits=state_bits, fraction_bits=fraction_bits, refractory_bits=min(refractory_bits, 32 - state_bits), bias_bits=state_bits),))  # fmt: skip
    rng = np.random.default_rng(seed)
    half = 2 ** (state_bits - 1)
    parameters = LifParameters(
        retention=_corner_or_any(rng, 0, ONE, neurons),
        threshold=_corner_or_any(rng, -half, half - 1, neurons) // rng.choice([1, 16, 256], neurons),
        reset=_corner_or_any(rng, -half, half - 1, neurons),
        reset_mode=rng.integers(0, 2, neurons),
        refractory=rng.integers(0, 2**config.refractory_bits, neurons) // rng.choice([1, 32], neurons),
        bias=_corner_or_any(rng, -half, half - 1, neurons) // rng.choice([1, 256], neurons),
    )
    loop = [
        [
            NaiveNeuron(
                config,
                retention=int(parameters.retention[n]),
                threshold=int(parameters.threshold[n]),
                reset=int(parameters.reset[n]),
                relative=bool(parameters.reset_mode[n]),
                refractory=int(parameters.refractory[n]),
                bias=int(parameters.bias[n]),
            )
            for n in range(neurons)
        ]
        for _ in range(samples)
    ]
    membrane, refractory = np.zeros((2, samples, neurons), np.int64)
    for tick in range(ticks):
        sums = _corner_or_any(rng, -(2 ** (sum_bits - 1)), 2 ** (sum_bits - 1) - 1, samples * neurons).reshape(samples, neurons)
        membrane, refractory, spikes = lif_step(config, parameters, membrane, refractory, sums)
        fired = [[neuron.step(int(x)) for neuron, x in zip(*row, strict=True)] for row in zip(loop, sums, strict=True)]
        assert spikes.tolist() == fired, f"tick {tick}"
        assert membrane.tolist() == [[neuron.potential for neuron in row] for row in loop], f"tick {tick}"
        assert refractory.tolist() == [[neuron.wait for neuron in row] for row in loop], f"tick {tick}"


# Against what is known of the neuron ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "drive"), [(100, 7), (100, 10), (100, 100), (100, 101), (1, 1), (32766, 130)])
def test_neuron_without_leak_fires_with_the_known_period(threshold: int, drive: int) -> None:
    # k ticks after a reset to 0 the potential is k * drive; the first k above the threshold is threshold // drive + 1.
    period = threshold // drive + 1
    ticks = _spike_ticks(_config(), _parameters(threshold=threshold), np.full((10 * period, 1), drive))
    assert ticks == [[k * period - 1 for k in range(1, 11)]]


@pytest.mark.parametrize(("threshold", "drive"), [(100, 7), (100, 33), (100, 99), (1000, 3)])
def test_subtracting_reset_loses_no_input(threshold: int, drive: int) -> None:
    # After t ticks all input was T = t * drive, and each spike took the threshold: as many as leave T - n * threshold at 1 to threshold.
    total_ticks = 2000
    parameters = _parameters(threshold=threshold, reset=-threshold, reset_mode=RELATIVE)
    ticks = _spike_ticks(_config(), parameters, np.full((total_ticks, 1), drive))[0]
    for t in range(1, total_ticks + 1):
        assert np.searchsorted(ticks, t) == (t * drive - 1) // threshold


@pytest.mark.parametrize("period", [0, 1, 2, 5, 63])
def test_refractory_period_of_n_ticks_gives_an_interval_of_n_plus_1(period: int) -> None:
    ticks = _spike_ticks(_config(), _parameters(threshold=10, refractory=period), np.full((400, 1), 1000))[0]
    assert ticks == list(range(0, 400, period + 1))


@pytest.mark.parametrize(("retention", "drive"), [(2048, 100), (3932, 100), (4000, 100)])
def test_potential_settles_where_input_balances_the_leak(retention: int, drive: int) -> None:
    # V = V r / 4096 + X has the fixed point X / (1 - r / 4096); dropping fractions loses less than 1 / (1 - r / 4096) of it.
    gain = 1 / (1 - retention / ONE)
    config = _config(state_bits=24)
    membrane = 0
    for _ in range(1000):
        membrane, _, _ = _step(config, _parameters(retention=retention), membrane, drive)
    assert (drive - 1) * gain <= membrane <= drive * gain


def _float_spikes(tau: float, step: float, threshold: float, drive: npt.NDArray[np.float64]) -> list[list[int]]:
    """Forward Euler of ``tau dV/dt = -V + R I`` with reset to 0, in float64; ``drive`` is what a step's input adds."""
    potential = np.zeros(drive.shape[1])
    ticks: list[list[int]] = [[] for _ in range(drive.shape[1])]
    for tick, volts in enumerate(drive):
        potential = potential + step / tau * (0 - potential) + volts
        for neuron in np.flatnonzero(potential > threshold).tolist():
            ticks[neuron].append(tick)
            potential[neuron] = 0
    return ticks


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("tau", "neurons", "steps"),
    # 0.1 ms / 2.56 ms = 160 / 4096 is exact, so only dropped fractions are left; 0.1 ms / 2.5 ms = 163.84 / 4096 becomes 164 / 4096.
    [(2.56e-3, 20, 2000), (2.5e-3, 1, 1000)],
)
def test_integer_neuron_fires_in_the_steps_of_the_real_one(tau: float, neurons: int, steps: int, seed: int) -> None:
    step, threshold = 1e-4, 0.1
    volts_per_weight = threshold / 16384
    rng = np.random.default_rng(seed)
    weights = rng.integers(-2000, 8000, (steps, neurons)) * (rng.random((steps, neurons)) < 0.4)
    config = CoreConfig(axons=8, neurons=neurons, weight_bits=16, models=(Lif(state_bits=28, fraction_bits=12, refractory_bits=4, bias_bits=0),))
    parameters = _parameters(neurons, retention=round(ONE * (1 - step / tau)), threshold=16384 << 12)
    real = _float_spikes(tau, step, threshold, weights * np.float64(volts_per_weight))
    assert min(map(len, real)) > 0.03 * steps
    assert _spike_ticks(config, parameters, weights) == real
