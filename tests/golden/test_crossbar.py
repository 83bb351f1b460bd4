from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.config import AXON_TYPES, CoreConfig
from spikeloom.arch.layout import IntArray
from spikeloom.arch.random import key_of_tick
from spikeloom.golden.crossbar import Crossbar
from tests.golden.naive_core import naive_mix, naive_spread
from tests.helpers import core_configs

#: Key of the tick where none is needed.
NO_KEY = 0


def _ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def _rows(base: IntArray, start: IntArray, last: IntArray, **more: IntArray) -> dict[str, IntArray]:
    return {"base": base, "start": start, "last": last, **more}


# One weight per synapse ----------------------------------------------------------------------------------------------------


def test_row_covers_the_neuron_words_from_start_to_last() -> None:
    # 2 lanes, 6 neurons: 3 neuron words. Axon 0 covers words 1 to 2 with weight words 1 and 2, axon 1 word 0 with weight word 0.
    config = CoreConfig(axons=3, neurons=6, lanes=2, weight_words=3)
    weights = np.array([[1, 2], [3, 4], [5, 6]])
    crossbar = Crossbar(config, weights, _rows(_ints(1, 0, 0), _ints(1, 0, 1), _ints(2, 0, 0)), None)
    active = np.eye(3, dtype=np.bool_)
    assert crossbar.integrate(active, NO_KEY).tolist() == [[0, 0, 3, 4, 5, 6], [1, 2, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]
    assert crossbar.words_read(active).tolist() == [2, 1, 0]


def test_rows_may_share_weight_words() -> None:
    config = CoreConfig(axons=2, neurons=4, lanes=2, weight_words=1)
    crossbar = Crossbar(config, np.array([[7, -8]]), _rows(_ints(0, 0), _ints(0, 1), _ints(0, 1)), None)
    assert crossbar.integrate(np.array([[True, True]]), NO_KEY).tolist() == [[7, -8, 7, -8]]


def test_no_active_axon_gives_zero() -> None:
    config = CoreConfig(axons=2, neurons=3, lanes=4)
    full = Crossbar(config, np.full((2, 4), 5), _rows(_ints(0, 1), _ints(0, 0), _ints(0, 0)), None)
    assert full.integrate(np.zeros((2, 2), np.bool_), NO_KEY).tolist() == [[0] * 4] * 2
    assert full.words_read(np.zeros((2, 2), np.bool_)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("weight", "kind"),
    # 512 x 32767 = 16,776,704 is below 2**24 = 16,777,216, the end of float32's integers; 512 x 32768 is not.
    [(32767, np.float32), (-32768, np.float64)],
)
def test_sums_at_the_edge_of_float32_are_exact(weight: int, kind: type) -> None:
    config = CoreConfig(axons=512, neurons=1, lanes=1, weight_bits=16)
    rows = np.arange(512)
    crossbar = Crossbar(config, np.full((512, 1), weight), _rows(rows, 0 * rows, 0 * rows), None)
    assert crossbar.matrix.dtype == kind
    active = np.ones((2, 512), np.bool_)
    active[1, 0] = False
    assert crossbar.integrate(active, NO_KEY).tolist() == [[512 * weight], [511 * weight]]


def test_largest_sum_of_the_largest_core_is_exact() -> None:
    config = CoreConfig(axons=8192, neurons=1, lanes=1, weight_bits=16)
    rows = np.arange(8192)
    weights = np.where(rows[:, np.newaxis] % 2, 32767, 32766)
    crossbar = Crossbar(config, weights, _rows(rows, 0 * rows, 0 * rows), None)
    # 4096 x 32767 + 4096 x 32766 = 4096 x 65533 = 268,423,168, above 2**24 and odd parts included.
    assert crossbar.integrate(np.ones((1, 8192), np.bool_), NO_KEY).tolist() == [[268_423_168]]


# One bit per synapse -------------------------------------------------------------------------------------------------------


def test_weight_is_that_of_the_neuron_for_the_type_of_the_axon() -> None:
    # 2 lanes, 4 neurons: 2 neuron words, and words 2 t and 2 t + 1 of the type weights for type t.
    config = CoreConfig(axons=3, neurons=4, lanes=2, weight_bits=1, weight_words=3)
    bits = np.array([[1, 0], [1, 1], [0, 1]])
    rows = _rows(_ints(0, 1, 0), _ints(0, 0, 1), _ints(1, 1, 0), type=_ints(0, 3, 1))
    weights = np.array([[10, 11], [12, 13], [20, 21], [22, 23], [30, 31], [32, 33], [-256, 255], [42, 43]])
    crossbar = Crossbar(config, bits, rows, {"weight": weights})
    active = np.array([[True, False, False], [False, True, False], [True, True, True]])
    assert crossbar.integrate(active, NO_KEY).tolist() == [[10, 0, 12, 13], [-256, 255, 0, 43], [-246, 255, 12, 56]]


def test_stochastic_synapse_adds_its_sign_or_nothing() -> None:
    config = CoreConfig(axons=1, neurons=4, lanes=4, weight_bits=1, stochastic_synapses=True)
    types = {"weight": np.zeros((4, 4), np.int64), "stochastic": np.ones((4, 4), np.int64)}
    # A probability of (|s| + 1) / 256: always, always, and for 0 nothing, since its sign is 0.
    types["weight"][2] = [255, -256, 0, 7]
    types["stochastic"][2, 3] = 0
    crossbar = Crossbar(config, np.ones((1, 4), np.int64), _rows(_ints(0), _ints(0), _ints(0), type=_ints(2)), types)
    for key in range(100):
        assert crossbar.integrate(np.array([[True]]), key).tolist() == [[1, -1, 0, 7]]
        assert crossbar.integrate(np.array([[False]]), key).tolist() == [[0, 0, 0, 0]]


def test_samples_share_the_numbers_of_a_tick() -> None:
    config = CoreConfig(axons=2, neurons=64, lanes=8, weight_bits=1, stochastic_synapses=True)
    types = {name: np.full((AXON_TYPES * 8, 8), value) for name, value in (("weight", 127), ("stochastic", 1))}
    rows = _rows(_ints(0, 0), _ints(0, 0), _ints(7, 7), type=_ints(0, 0))
    crossbar = Crossbar(config, np.ones((config.words, 8), np.int64), rows, types)
    both, first, second = crossbar.integrate(np.array([[True, True], [True, False], [False, True]]), 12345)
    assert (both == first + second).all()
    assert 0 < first.sum() < 64
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("weight", [0, 1, -25, 63, -128, 200])
def test_stochastic_sums_have_mean_and_variance_of_independent_synapses(weight: int) -> None:
    """64 axons onto 64 neurons with probability p = (|s| + 1) / 256: sums of mean 64 p sgn(s) and variance 64 p (1 - p)."""
    axons, neurons, ticks = 64, 64, 200
    config = CoreConfig(axons=axons, neurons=neurons, lanes=64, weight_bits=1, stochastic_synapses=True)
    rows = _rows(np.arange(axons), np.zeros(axons, np.int64), np.zeros(axons, np.int64), type=np.arange(axons) % AXON_TYPES)
    types = {name: np.full((AXON_TYPES, neurons), value) for name, value in (("weight", weight), ("stochastic", 1))}
    crossbar = Crossbar(config, np.ones((axons, neurons), np.int64), rows, types)
    active = np.ones((1, axons), np.bool_)
    sums = np.array([crossbar.integrate(active, key_of_tick(2024, tick))[0] for tick in range(ticks)])
    if weight == 0:
        assert not sums.any()
        return
    probability = (abs(weight) + 1) / 256
    variance = axons * probability * (1 - probability)
    assert abs(sums.mean() - np.sign(weight) * axons * probability) / np.sqrt(variance / sums.size) < 4
    # Axons are independent: the sums of a neuron vary as those of independent trials. Their number of degrees is large.
    assert abs(sums.var() / variance - 1) / np.sqrt(2 / sums.size) < 4
    # Neurons are independent in pairs: the sum over all of them does too.
    totals = sums.sum(axis=1)
    assert abs(totals.var(ddof=1) / (neurons * variance) - 1) / np.sqrt(2 / (ticks - 1)) < 4


# Against a loop ------------------------------------------------------------------------------------------------------------


@given(core_configs(), st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_sums_are_those_of_a_loop(config: CoreConfig, seed: int, batch: int, key: int) -> None:
    rng = np.random.default_rng(seed)
    high = 1 if config.typed else 2 ** (config.weight_bits - 1) - 1
    weights = rng.integers(0 if config.typed else -high - 1, high, (config.words, config.lanes), endpoint=True)
    start = rng.integers(0, config.neuron_words, config.axons)
    length = np.minimum(rng.integers(0, config.neuron_words + 1, config.axons), config.neuron_words - start)
    length = np.minimum(length, config.words)
    base = rng.integers(0, config.words - length + 1)
    rows = _rows(base, start, start + length - 1)
    types: dict[str, IntArray] | None = None
    if config.typed:
        rows["type"] = rng.integers(0, AXON_TYPES, config.axons)
        shape = (AXON_TYPES * config.neuron_words, config.lanes)
        types = {"weight": rng.integers(-256, 255, shape, endpoint=True)}
        if config.stochastic_synapses:
            types["stochastic"] = rng.integers(0, 2, shape)
    active = rng.random((batch, config.axons)) < rng.choice([0.1, 0.5, 1.0])
    crossbar = Crossbar(config, weights, rows, types)

    def added(axon: int, step: int, lane: int) -> int:
        weight = int(weights[base[axon] + step, lane])
        word = int(start[axon]) + step
        if types is not None:
            place = int(rows["type"][axon]) * config.neuron_words + word
            weight *= int(types["weight"][place, lane])
            if config.stochastic_synapses and types["stochastic"][place, lane]:
                number = naive_spread(naive_mix(key ^ (2**31 + axon)), word * config.lanes + lane)
                weight = ((weight > 0) - (weight < 0)) * (abs(weight) >= number)
        return weight

    table = [
        [
            (int(start[axon]) + step, lane, added(axon, step, lane))
            for step in range(int(length[axon]))
            for lane in range(config.lanes)
        ]
        for axon in range(config.axons)
    ]
    sums = [[0] * config.neuron_slots for _ in range(batch)]
    words = [0] * batch
    for sample, axon in np.argwhere(active).tolist():
        words[sample] += int(length[axon])
        for word, lane, weight in table[axon]:
            sums[sample][word * config.lanes + lane] += weight
    got = crossbar.integrate(active, key)
    assert got.dtype == np.int64
    assert got.tolist() == sums
    assert crossbar.words_read(active).tolist() == words
