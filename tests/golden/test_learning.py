"""Learning in the golden model: against sums over pairs of spikes, at its bounds, in the order of a tick."""

from __future__ import annotations

import math

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, ImageError
from spikeloom.arch.learning import Phase, Target, scattered
from spikeloom.arch.random import key_of_tick, mix
from spikeloom.examples.learning.protocol import HIGHEST, START, learnt, pair_sum, protocol_image, weight_matrix
from spikeloom.golden.chip import Chip as GoldenModel
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity
from spikeloom.sim.cases import random_case


def chip(rule, synapses=1, lanes=1, **settings):
    return GoldenChip(protocol_image(Plasticity(rule=rule, high=HIGHEST, **settings), synapses, lanes))


def change(rule, pre, post, ticks=40, **settings):
    """What one synapse learns, rounded to the nearest unless said otherwise."""
    return int(learnt(chip(rule, **{"stochastic": False} | settings), [pre], [post], ticks)[0])


# Against the literature ------------------------------------------------------------------------------------------------------


def test_window_is_exponential_within_a_percent():
    amplitude, delays = 1000, np.arange(-100, 101)
    plasticity = {"tau": {"x1": 20, "y1": 20}, "stochastic": False}
    pair = chip("dw = 1000 * x1 * y0 - 1000 * x0 * y1", len(delays), 8, **plasticity)
    got = learnt(pair, [[150]] * len(delays), [[150 + int(delay)] for delay in delays], 260)
    ideal = np.sign(delays + 0.5) * amplitude * np.exp(-np.abs(delays) / 20)
    error = (got - ideal) / amplitude
    assert np.sqrt((error**2).mean()) < 0.001
    assert np.abs(error).max() < 0.002


def trains(rng, count, most):
    return [sorted(rng.choice(300, int(rng.integers(1, most)), replace=False).tolist()) for _ in range(count)]


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_random_trains_give_the_sum_over_their_pairs(nearest, seed):
    """All pairs, or the nearest ones, with different amplitudes and time constants on both sides."""
    rng = np.random.default_rng(seed)
    pre, post = trains(rng, 20, 10), trains(rng, 20, 10)
    unit = chip(
        "dw = 200 * x1 * y0 - 150 * x0 * y1", 20, 4, tau={"x1": 20, "y1": 30}, nearest=("x1", "y1") if nearest else (), stochastic=False,
    )  # fmt: skip
    got = learnt(unit, pre, post, 300)
    want = [pair_sum(a, b, 200, 150, 20, 30, nearest=nearest) for a, b in zip(pre, post, strict=True)]
    # Each visit is rounded by half an LSB, and traces have ten bits behind the point.
    assert np.abs(got - want).max() < 5
    assert np.abs(want).max() > 100


def triplet_sum(pre, post, plus, minus, tau):
    """Pfister and Gerstner 2006: pairs weighed by a slow trace of the same side, which does not yet have the spike itself."""

    def trace(spikes, when, tau, *, same):
        return sum(math.exp(-(when - other) / tau) for other in spikes if other < when or (same and other == when))

    total = sum(plus * trace(pre, t, tau["x1"], same=True) * trace(post, t, tau["y2"], same=False) for t in post)
    return total - sum(minus * trace(post, t, tau["y1"], same=False) * trace(pre, t, tau["x2"], same=False) for t in pre)


@pytest.mark.parametrize("seed", range(3))
def test_triplets(seed):
    rng = np.random.default_rng(seed)
    tau = {"x1": 17, "x2": 100, "y1": 34, "y2": 115}
    pre, post = trains(rng, 12, 8), trains(rng, 12, 8)
    unit = chip("dw = 128 * x1 * y2 * y0 - 64 * x0 * y1 * x2", 12, 4, tau=tau, stochastic=False)
    got = learnt(unit, pre, post, 300)
    want = np.array([triplet_sum(a, b, 128, 64, tau) for a, b in zip(pre, post, strict=True)])
    assert np.abs(got - want).max() < 5
    assert np.abs(want).max() > 50


def test_stochastic_rounding_keeps_the_mean_of_small_changes():
    """An amplitude of a quarter of an LSB: 400 synapses, each 8 pairings; nothing would change with rounding to the nearest."""
    pre, post = [list(range(5, 160, 20))] * 400, [list(range(10, 165, 20))] * 400
    settings = {"tau": {"x1": 20}, "nearest": ("x1",)}
    mean = learnt(chip("dw = 0.25 * x1 * y0", 400, 16, **settings), pre, post, 170).mean()
    assert mean == pytest.approx(8 * 0.25 * math.exp(-5 / 20), rel=0.08)
    assert not learnt(chip("dw = 0.25 * x1 * y0", 400, 16, stochastic=False, **settings), pre, post, 170).any()


def test_weight_dependence_is_multiplicative():
    """Soft bounds: each pairing takes the same share of what is left."""
    got = change("dw = 2^-3 * (16000 - w) * x0 * y0", [5, 10, 15], [5, 10, 15])
    left = 16000 - START
    for _ in range(3):
        left -= math.floor(left / 8 + 0.5)
    assert got == 16000 - left - START


# Order and bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "pre", "post", "expected"),
    [
        # Pre and post in one tick: the post spike sees the event, the event does not see the spike.
        ("dw = 100 * x1 * y0", [5], [5], 100),
        ("dw = 100 * x0 * y1", [5], [5], 0),
        ("dw = 100 * x0 * y0", [5], [5], 100),
        ("dw = 100 * x0 * y0", [5], [6], 0),
        # An event does not see itself, nor a spike itself.
        ("dw = 100 * x0 * x1", [5], [], 0),
        ("dw = 100 * y0 * y1", [], [5], 0),
        # All synapses, once an epoch, with what the next tick finds: ticks 5 to 39 after the decay.
        ("dw = 1 * u", [], [], 40),
        ("dw = 1 * u * x1", [5], [], round(sum(0.5**n for n in range(1, 36)))),
    ],
)  # fmt: skip
def test_who_sees_what(rule, pre, post, expected):
    names = {name: 1 / math.log(2) for name in ("x1", "y1") if name in rule}
    if rule == "dw = 1 * u * x1":
        # 1/2 and less are rounded: 1, then nothing.
        expected = 1
    assert change(rule, pre, post, tau=names) == expected


def test_epochs_are_counted_from_the_first_tick():
    assert change("dw = 1 * u", [], [], ticks=40, epoch=8) == 5
    assert change("dw = 1 * u", [], [], ticks=39, epoch=8) == 4


def test_weights_stay_within_their_bounds():
    assert change("dw = 1000 * x0", list(range(30)), []) == HIGHEST - START
    assert change("dw = -1000 * x0", list(range(30)), []) == -START


def test_tags_collect_and_a_reward_turns_them_into_weights():
    rule = "dt = 64 * x1 * y0; dw = 2^-2 * u * r * t"
    assert change(rule, [5], [5], tau={"x1": 10}, epoch=32, reward=2) == 32
    assert change(rule, [5], [5], tau={"x1": 10}, epoch=32, reward=-2) == -32
    assert change(rule, [5], [5], tau={"x1": 10}, epoch=32) == 0


def test_nothing_learns_while_learning_is_frozen_but_traces_go_on():
    unit = chip("dw = 100 * x1 * y0", tau={"x1": 10}, enabled=False)
    assert not learnt(unit, [[5]], [[5]], 10).any()
    assert unit.state()["core0.x1"][0] > 0
    unit.modulate(enabled=True)
    assert learnt(unit, [[5]], [[5]], 10) == 100


def test_only_chosen_axons_and_neurons_learn():
    plasticity = Plasticity(rule="dw = 100 * x0", high=HIGHEST, stochastic=False)
    image = protocol_image(plasticity, 4, 2)
    rows = image.config.cores[0]
    unit = GoldenModel(image.config, image.memories).cores[0].learning
    assert unit.plastic.reshape(-1)[: rows.neurons].all()
    # Axons 0 to 3 learn; the drives do not.
    assert (unit.word_of[:4] >= 0).any(axis=1).all()
    assert (unit.word_of[4:] < 0).all()


def test_weights_stay_when_the_core_is_cleared_and_go_when_it_is_loaded():
    unit = chip("dw = 100 * x0")
    unit.run([[True, False]] * 3)
    learned = weight_matrix(unit)[0, 0]
    assert learned > START
    unit.reset()
    assert weight_matrix(unit)[0, 0] == learned
    image = unit.learned_image()
    assert weight_matrix(GoldenChip(image))[0, 0] == learned
    assert weight_matrix(GoldenChip(unit.image))[0, 0] == START


def test_samples_are_not_rounded_with_the_same_numbers():
    """0.3 LSB for each of six events: the mean is right only if each sample has numbers of its own."""
    unit = chip("dw = 0.3 * x0", 1)
    sample = np.zeros((30, 2), np.bool_)
    sample[::5, 0] = True
    changes = []
    for _ in range(40):
        before = weight_matrix(unit)[0, 0]
        unit.run(sample)
        changes.append(int(weight_matrix(unit)[0, 0] - before))
    assert len(set(changes)) > 2
    assert sum(changes) == pytest.approx(40 * 6 * 0.3, abs=20)
    again = chip("dw = 0.3 * x0", 1)
    again.run(sample)
    assert weight_matrix(again)[0, 0] - START == changes[0]


def test_a_teacher_is_the_neuron_beside():
    """Neurons 0 and 1 are each other's teachers. With events of the same tick, as for a spike of the neuron itself."""
    unit = chip("dw = 100 * z0 * x1 + 10 * x0 * z0 - 1 * y0", 4, 2, tau={"x1": 10}, stochastic=False)
    got = learnt(unit, [[5], [5], [5], [25]], [[], [5], [], [25]], 40)
    # 100 exp(-2) for the event 20 ticks before.
    assert got.tolist() == [110, -1, 13, -1]


def test_recording_that_needs_more_ticks_is_refused():
    """In these the chip would learn: what it has learnt would depend on what is recorded."""
    net = spikeloom.Network()
    lines = net.input(4)
    near, far = (net.population(4, spikeloom.IF_curr_delta(tau_m=20.0, v_thresh=-60.0), label) for label in ("near", "far"))
    net.projection(lines, near, 2.0, plasticity=Plasticity(rule="dw = x1 * y0", tau={"x1": 5}), w_max=4.0)
    net.projection(near, far, 3.0)
    net.output(near)
    unit = GoldenChip(spikeloom.compile(net, board="ulx3s"))
    unit.run(np.ones((5, 4), np.bool_), record=["near"])
    with pytest.raises(
        ConfigError, match=r"^recording 'far' takes 1 more ticks in each sample, in which the chip would learn; make it"
    ):
        unit.run(np.ones((5, 4), np.bool_), record=["far"])


def test_traces_fall_to_nothing():
    """Rounding to the nearest alone would stop at 10 units."""
    unit = chip("dw = 100 * x1 * y0", tau={"x1": 20})
    spikes = np.zeros((400, 2), np.bool_)
    spikes[0, 0] = True
    list(unit.stream(spikes))
    assert unit.state()["core0.x1"][0] == 0


# Numbers ---------------------------------------------------------------------------------------------------------------------


def test_index_of_random_numbers_is_never_the_same():
    """Of all axons, phases and targets."""
    axons = scattered(np.arange(8192))
    everything = [axons ^ (phase << 26) ^ (target << 28) for phase in Phase for target in Target]
    assert len(np.unique(np.concatenate(everything))) == 8 * 8192


def test_random_numbers_of_near_axons_are_not_correlated():
    keys = np.array([key_of_tick(9, tick) for tick in range(4000)])
    numbers = [(mix(keys ^ index) & 0xFFF) for index in scattered(np.arange(16)).tolist()]
    correlation = np.corrcoef(numbers) - np.eye(16)
    assert np.abs(correlation).max() < 0.08


# Bad input -------------------------------------------------------------------------------------------------------------------


def test_several_samples_side_by_side_are_refused():
    image = protocol_image(Plasticity(rule="dw = x0"), 1)
    with pytest.raises(ConfigError, match="2 samples side by side on a core that learns; give them one after the other"):
        GoldenModel(image.config, image.memories, batch=2)


@pytest.mark.parametrize("reward", [4, -4.1, math.inf, math.nan])
def test_a_reward_out_of_range_is_refused(reward):
    with pytest.raises(ConfigError, match=r"reward is .*; it must be -4 to 3\.99902"):
        chip("dw = x0").modulate(reward=reward)


def test_a_chip_that_does_not_learn_says_so():
    config = ChipConfig(cores=(CoreConfig(axons=4, neurons=4),))
    arrays = CoreArrays(weights=0, parameters={}, plasticity=Plasticity(rule="dw = x0"))
    with pytest.raises(ImageError, match="core 0: the core cannot learn; generate it with learning=Learning"):
        image_from_arrays(config, [arrays])
    silent = GoldenChip(random_case(config, 1).image)
    with pytest.raises(ConfigError, match="no core of this chip learns"):
        silent.modulate(enabled=False)
