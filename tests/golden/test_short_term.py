"""Short-term plasticity: the golden model against Tsodyks and Markram's equations in floating point."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.short_term import EFFICACY_BITS, decay_of
from spikeloom.golden.core import Core
from spikeloom.golden.crossbar import Crossbar
from spikeloom.golden.short_term import ONE, ShortTerm, scaled
from spikeloom.sim.cases import random_case

UNIT = 1 << EFFICACY_BITS
#: Largest error of a paired-pulse ratio in these tests (docs/short_term.md).
PPR_ERROR = 0.008
#: U, and the time constants of facilitation and depression in ticks of a millisecond (as of Markram, Wang and Tsodyks 1998).
SYNAPSES: dict[str, tuple[float, float, float]] = {
    "depressing": (0.25, 0, 800),
    "facilitating": (0.05, 800, 30),
    "mixed": (0.15, 130, 320),
}


def ideal(use, facilitation, depression, times):
    """Efficacies u * R of events at these ticks."""
    u, r, before, result = use, 1.0, None, []
    for time in times:
        if before is not None:
            u = use + (u - use) * (math.exp((before - time) / facilitation) if facilitation else 0)
            r = 1 - (1 - r) * (math.exp((before - time) / depression) if depression else 0)
        u += use * (1 - u)
        result.append(u * r)
        r -= u * r
        before = time
    return np.array(result)


def parameters(use, facilitation, depression, axons=1):
    """Fields of axons that are all alike."""
    fields = {"use": round(ONE * use)}
    fields["facilitation_decay"], fields["facilitation_step"] = decay_of(facilitation)
    fields["depression_decay"], fields["depression_step"] = decay_of(depression)
    return {name: np.full(axons, value) for name, value in fields.items()}


def run(fields, times):
    """Efficacies of events of one axon at these ticks, as numbers."""
    unit, result = ShortTerm(fields), []
    chosen = set(times)
    for tick in range(times[-1] + 1):
        if tick in chosen:
            result.append(unit.arrive(np.array([[True]]))[0, 0] / UNIT)
        unit.decay(tick)
    return np.array(result)


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("interval", [1, 5, 20, 50, 200, 1000])
def test_paired_pulse_ratio(name, interval):
    """A pair of events at every distance; within the error that the documentation states."""
    times = [3, 3 + interval]
    want, got = ideal(*SYNAPSES[name], times), run(parameters(*SYNAPSES[name]), times)
    assert got[1] / got[0] == pytest.approx(want[1] / want[0], abs=PPR_ERROR)
    if interval in (20, 50):
        assert (got[1] > 1.3 * got[0]) == (name == "facilitating")
        assert (got[1] < 0.7 * got[0]) == (name == "depressing")


@pytest.mark.parametrize("name", SYNAPSES)
@pytest.mark.parametrize("interval", [10, 25, 50, 100, 250])
def test_train_and_steady_state(name, interval):
    """Events at 100 to 4 per second: every one of a train as in floating point, and the last ones all alike."""
    times = list(range(0, 30 * interval, interval))
    want, got = ideal(*SYNAPSES[name], times), run(parameters(*SYNAPSES[name]), times)
    np.testing.assert_allclose(got, want, atol=1.5 / UNIT, rtol=0.003)
    if name == "depressing":
        assert (np.diff(got) <= 0).all()
        assert got[-1] == pytest.approx(got[-5], abs=1.5 / UNIT)


def test_depression_makes_the_sum_of_all_rates_equal():
    """A depressing synapse at high rates transmits 1 / tau_d, whatever the rate (Abbott et al. 1997)."""
    use, _, depression = SYNAPSES["depressing"]
    drive = []
    for interval in (10, 20, 40):
        got = run(parameters(use, 0, depression), list(range(0, 3000, interval)))
        drive.append(got[-20:].mean() / interval * depression)
    np.testing.assert_allclose(drive, 1, atol=0.15)


def test_post_tetanic_potentiation():
    """After 100 events at 50 per second an event counts more for a minute: facilitation with a time constant of 20 seconds."""
    use, facilitation = 0.01, 20_000
    tetanus = list(range(1000, 3000, 20))
    tests = [0, *tetanus, 4000, 23_000, 63_000]
    want, got = ideal(use, facilitation, 30, tests), run(parameters(use, facilitation, 30), tests)
    np.testing.assert_allclose(got, want, atol=1.5 / UNIT, rtol=0.01)
    ratios = got[-3:] / got[0]
    np.testing.assert_allclose(ratios, [30, 12, 2.6], rtol=0.03)


def test_event_and_decay_by_hand():
    fields = {"use": 20_000, "facilitation_decay": 60_000, "depression_decay": 50_000, "facilitation_step": 0, "depression_step": 1}
    unit = ShortTerm({name: np.array([value]) for name, value in fields.items()})
    # u = 20000 + floor(20000 * 45536 / 65536) = 20000 + 13896; u * R = u; (33896 + 8) >> 4 = 2119.
    assert unit.arrive(np.array([[True]])).tolist() == [[2119]]
    assert unit.state() == {"facilitation": [13_896], "depression": [33_896]}
    unit.decay(0)
    # 13896 * 60000 / 65536 = 12722.2; depression decays in every second tick.
    assert unit.state() == {"facilitation": [12_722], "depression": [33_896]}
    unit.decay(1)
    # 11647.4, and 33896 * 50000 / 65536 = 25860.6.
    assert unit.state() == {"facilitation": [11_647], "depression": [25_861]}
    # u = 31647 + floor(20000 * 33889 / 65536) = 31647 + 10342; u * R = floor(41989 * 39675 / 65536) = 25419; (25419 + 8) >> 4.
    assert unit.arrive(np.array([[True]])).tolist() == [[1589]]
    assert unit.state() == {"facilitation": [21_989], "depression": [51_280]}


@pytest.mark.parametrize("name", ["facilitation", "depression"])
def test_slow_decay_ends_at_zero(name):
    """Rounding to the nearest alone would stop far above."""
    unit = ShortTerm({field: np.array([value]) for field, value in (parameters(0.5, 256, 256)).items()})
    unit.arrive(np.array([[True]]))
    for tick in range(256 * 12):
        unit.decay(tick)
    assert getattr(unit, name).tolist() == [[0]]


@given(
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.lists(st.booleans(), min_size=1, max_size=40),
)
def test_state_stays_in_its_range(use, facilitation_decay, depression_decay, events):
    fields = {
        "use": use, "facilitation_decay": facilitation_decay, "depression_decay": depression_decay,
        "facilitation_step": 0, "depression_step": 2,
    }  # fmt: skip
    unit = ShortTerm({name: np.array([value]) for name, value in fields.items()})
    for tick, event in enumerate(events):
        efficacy = unit.arrive(np.array([[event]]))[0, 0]
        assert efficacy == UNIT if use == 0 else 0 <= efficacy < UNIT
        for values in (unit.facilitation, unit.depression):
            assert 0 <= values[0, 0] <= 65535
        assert unit.facilitation[0, 0] + use <= 65535
        unit.decay(tick)
    if use == 0:
        assert unit.state() == {"facilitation": [0], "depression": [0]}


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_scaled_weight_is_the_nearest_and_never_larger(bits):
    weights = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))[:: 1 if bits < 16 else 251]
    for efficacy in (*range(0, UNIT, 97), UNIT - 1, UNIT):
        got = scaled(weights, np.array(efficacy))
        exact = weights * efficacy / UNIT
        assert (np.abs(got - exact) <= 0.5).all()
        assert (np.abs(got) <= np.abs(weights)).all()
    assert scaled(weights, np.array(UNIT)).tolist() == weights.tolist()


CORE = CoreConfig(axons=12, neurons=10, lanes=4, weight_bits=8, levels=1, short_term=True)


def test_crossbar_adds_each_weight_scaled():
    rng = np.random.default_rng(1)
    weights = rng.integers(-128, 128, (CORE.words, CORE.lanes))
    axons = np.arange(CORE.axons)
    rows = {"base": axons * 3, "start": 0 * axons, "last": 0 * axons + 2}
    crossbar = Crossbar(CORE, weights, rows, None)
    active, efficacy = rng.random((3, CORE.axons)) < 0.5, rng.integers(0, UNIT + 1, (3, CORE.axons))
    got = crossbar.integrate(active, 0, efficacy)
    for sample in range(3):
        for neuron in range(CORE.neurons):
            exact = [
                math.floor(int(weights[axon * 3 + neuron // 4, neuron % 4]) * int(efficacy[sample, axon]) / UNIT + 0.5)
                for axon in np.flatnonzero(active[sample])
            ]
            assert got[sample, neuron] == sum(exact)


def test_samples_side_by_side_are_those_of_one_after_the_other():
    case = random_case(ChipConfig(cores=(CORE,)), 3)
    memory = case.image.memories[0]
    events = np.random.default_rng(2).random((4, 30, CORE.axons)) < 0.4
    together = Core(case.image.config.cores[0], memory, batch=4)
    alone = [Core(case.image.config.cores[0], memory) for _ in range(4)]
    for tick in range(30):
        together.inject(np.arange(CORE.axons), events[:, tick])
        spikes = together.tick()
        for sample, core in enumerate(alone):
            core.inject(np.arange(CORE.axons), events[sample : sample + 1, tick])
            np.testing.assert_array_equal(core.tick()[0], spikes[sample])
            assert core.short_term is not None
            assert together.short_term is not None
            for name, values in core.short_term.state().items():
                np.testing.assert_array_equal(values, together.short_term.state(sample)[name])
    together.clear()
    assert not together.short_term.facilitation.any()
    assert not together.short_term.depression.any()
