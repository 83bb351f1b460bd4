from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.config import CoreConfig
from spikeloom.golden.crossbar import Crossbar
from tests.helpers import core_configs


def _ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def test_row_covers_the_neuron_words_from_start_to_last() -> None:
    # 2 lanes, 6 neurons: 3 neuron words. Axon 0 covers words 1 to 2 with weight words 1 and 2, axon 1 word 0 with weight word 0.
    config = CoreConfig(axons=3, neurons=6, lanes=2, weight_words=3)
    weights = np.array([[1, 2], [3, 4], [5, 6]])
    crossbar = Crossbar(config, weights, base=_ints(1, 0, 0), start=_ints(1, 0, 1), last=_ints(2, 0, 0))
    active = np.eye(3, dtype=np.bool_)
    assert crossbar.integrate(active).tolist() == [[0, 0, 3, 4, 5, 6], [1, 2, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]
    assert crossbar.words_read(active).tolist() == [2, 1, 0]


def test_rows_may_share_weight_words() -> None:
    config = CoreConfig(axons=2, neurons=4, lanes=2, weight_words=1)
    crossbar = Crossbar(config, np.array([[7, -8]]), base=_ints(0, 0), start=_ints(0, 1), last=_ints(0, 1))
    assert crossbar.integrate(np.array([[True, True]])).tolist() == [[7, -8, 7, -8]]


def test_no_active_axon_gives_zero() -> None:
    config = CoreConfig(axons=2, neurons=3, lanes=4)
    full = Crossbar(config, np.full((2, 4), 5), base=_ints(0, 1), start=_ints(0, 0), last=_ints(0, 0))
    assert full.integrate(np.zeros((2, 2), np.bool_)).tolist() == [[0] * 4] * 2
    assert full.words_read(np.zeros((2, 2), np.bool_)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("weight", "kind"),
    # 512 x 32767 = 16,776,704 is below 2**24 = 16,777,216, the end of float32's integers; 512 x 32768 is not.
    [(32767, np.float32), (-32768, np.float64)],
)
def test_sums_at_the_edge_of_float32_are_exact(weight: int, kind: type) -> None:
    config = CoreConfig(axons=512, neurons=1, lanes=1, weight_bits=16)
    rows = np.arange(512)
    crossbar = Crossbar(config, np.full((512, 1), weight), base=rows, start=0 * rows, last=0 * rows)
    assert crossbar.matrix.dtype == kind
    active = np.ones((2, 512), np.bool_)
    active[1, 0] = False
    assert crossbar.integrate(active).tolist() == [[512 * weight], [511 * weight]]


def test_largest_sum_of_the_largest_core_is_exact() -> None:
    config = CoreConfig(axons=8192, neurons=1, lanes=1, weight_bits=16)
    rows = np.arange(8192)
    weights = np.where(rows[:, np.newaxis] % 2, 32767, 32766)
    crossbar = Crossbar(config, weights, base=rows, start=0 * rows, last=0 * rows)
    # 4096 x 32767 + 4096 x 32766 = 4096 x 65533 = 268,423,168, above 2**24 and odd parts included.
    assert crossbar.integrate(np.ones((1, 8192), np.bool_)).tolist() == [[268_423_168]]


@given(core_configs(), st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_sums_are_those_of_a_loop(config: CoreConfig, seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    high = 2 ** (config.weight_bits - 1) - 1
    weights = rng.integers(-high - 1, high, (config.words, config.lanes), endpoint=True)
    start = rng.integers(0, config.neuron_words, config.axons)
    length = np.minimum(rng.integers(0, config.neuron_words + 1, config.axons), config.neuron_words - start)
    length = np.minimum(length, config.words)
    base = rng.integers(0, config.words - length + 1)
    active = rng.random((batch, config.axons)) < rng.choice([0.1, 0.5, 1.0])
    crossbar = Crossbar(config, weights, base, start, start + length - 1)

    sums = [[0] * config.neuron_slots for _ in range(batch)]
    words = [0] * batch
    for sample in range(batch):
        for axon in range(config.axons):
            if active[sample, axon]:
                for step in range(int(length[axon])):
                    words[sample] += 1
                    for lane in range(config.lanes):
                        sums[sample][int(start[axon] + step) * config.lanes + lane] += int(weights[base[axon] + step, lane])
    got = crossbar.integrate(active)
    assert got.dtype == np.int64
    assert got.tolist() == sums
    assert crossbar.words_read(active).tolist() == words
