from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ImageError, ToolError
from spikeloom.arch.image import LoadableImage, PopulationMap
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.host.fast_chip import FastGoldenChip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.sim.cases import random_case
from tests.helpers import lost_packets, relay_image, wrong_output

CORES = (
    CoreConfig(axons=20, neurons=24, lanes=4, weight_bits=4, levels=3, destinations=40),
    CoreConfig(axons=31, neurons=16, lanes=2, weight_bits=1, stochastic_synapses=True, sets=5, models=(Lif(), Izhikevich())),
)


def _image(columns: int, seed: int) -> LoadableImage:
    """A random chip whose inputs and outputs come late, with a population in two pieces."""
    config = ChipConfig(cores=(CORES * 4)[: 2 * columns], columns=columns, rows=2)
    image = random_case(config, seed, 1).image
    rng = np.random.default_rng(seed)
    populations = (
        PopulationMap("split", 0, 3, 9, 2),
        PopulationMap("split", 1, 0, 5, 2, 9),
        PopulationMap("whole", 1, 5, 11, 0),
    )
    return dataclasses.replace(
        image,
        input_offset=rng.integers(0, 4, len(image.input_offset)),
        output_shift=rng.integers(0, 4, len(image.output_shift)),
        populations=populations,
    )


@pytest.mark.parametrize("record", [[], ["split"], ["whole", "split"]])
@pytest.mark.parametrize(("columns", "seed"), [(1, 1), (2, 2), (3, 3), (2, 4)])
def test_fast_chip_equals_the_golden_chip(columns: int, seed: int, record: list[str]) -> None:
    image = _image(columns, seed)
    spikes = np.random.default_rng(seed).random((3, 25, image.input_size)) < 0.2
    plain, fast = GoldenChip(image), FastGoldenChip(image)
    expected = plain.run(spikes, record=record)
    assert expected.any()
    np.testing.assert_array_equal(fast.run(spikes, record=record), expected)
    for name in record:
        np.testing.assert_array_equal(fast.recorded[name].potential, plain.recorded[name].potential)
        np.testing.assert_array_equal(fast.recorded[name].spikes, plain.recorded[name].spikes)  # type: ignore[arg-type]
    assert {name: values.tolist() for name, values in fast.counters().items()} == {
        name: values.tolist() for name, values in plain.counters().items()
    }
    assert fast.state().keys() == plain.state().keys()
    for name, values in plain.state().items():
        np.testing.assert_array_equal(fast.state()[name], values, err_msg=name)


@pytest.mark.parametrize("seed", range(4))
def test_fast_chip_learns_as_the_golden_chip(seed: int) -> None:
    """One sample after the other, with a recording, then as a stream, then once more with learning frozen."""
    unit = Learning(pre_traces=2, post_traces=1, tag_bits=8, membrane_flag=True, terms=8)
    learner = CoreConfig(axons=20, neurons=24, lanes=4, weight_bits=8, levels=2, destinations=40, learning=unit)
    image = random_case(ChipConfig(cores=(learner, CORES[0]), columns=2), seed, 1).image
    image = dataclasses.replace(image, populations=(PopulationMap("some", 0, 3, 9, 0),))
    spikes = np.random.default_rng(seed).random((3, 25, image.input_size)) < 0.2
    chips = plain, fast = GoldenChip(image), FastGoldenChip(image)

    def assert_equal_now() -> None:
        assert fast.state().keys() == plain.state().keys() >= {f"core0.{name}" for name in ("x1", "x2", "y1", "weights", "tags")}
        for name, values in plain.state().items():
            np.testing.assert_array_equal(fast.state()[name], values, err_msg=name)

    assert_equal_now()
    for chip in chips:
        chip.modulate(enabled=True, reward=-1.5)
    for record in ([], ["some"]):
        np.testing.assert_array_equal(fast.run(spikes, record=record), plain.run(spikes, record=record))
        assert_equal_now()
    rows = [chip.stream(spikes[0]) for chip in chips]
    np.testing.assert_array_equal(*(np.stack(list(outputs)) for outputs in rows))
    assert_equal_now()
    learnt = fast.state()["core0.weights"]
    assert (learnt != FastGoldenChip(image).state()["core0.weights"]).any()
    for chip in chips:
        chip.modulate(enabled=False)
        chip.run(spikes)
    assert_equal_now()
    np.testing.assert_array_equal(fast.state()["core0.weights"], learnt)
    for name, words in plain.learned_image().memories[0].items():
        np.testing.assert_array_equal(fast.learned_image().memories[0][name], words, err_msg=name)


def test_lost_packets_are_counted_per_sample() -> None:
    image = lost_packets(_image(2, 5), 5)
    spikes = np.random.default_rng(5).random((3, 25, image.input_size)) < 0.2
    # The second sample is silent at first.
    spikes[1, :20] = False
    plain, fast = GoldenChip(image), FastGoldenChip(image)
    np.testing.assert_array_equal(fast.run(spikes), plain.run(spikes))
    lost = plain.counters()["misrouted"].tolist()
    assert fast.counters()["misrouted"].tolist() == lost
    assert min(lost) > 10
    assert len(set(lost)) == 3


@pytest.mark.parametrize("record", [[], ["first"]])
def test_output_that_the_image_does_not_have_is_refused_when_it_comes(record: list[str]) -> None:
    chip = FastGoldenChip(wrong_output())
    assert not chip.run([[0, 1], [0, 0]], record=record).any()
    with pytest.raises(ImageError, match=r"^output 3 came; the image has 1 outputs$"):
        chip.run([[[0, 1]], [[1, 0]]], record=record)


def test_state_before_the_first_run_is_empty() -> None:
    chip = FastGoldenChip(relay_image())
    assert {name: (values.shape, values.any()) for name, values in chip.state().items()} == {
        "core0.membrane": ((2,), False), "core0.refractory": ((2,), False), "core0.delays": ((16, 3), False),
    }  # fmt: skip
    assert chip.counters() == {}


def test_progress_is_told_after_each_sample() -> None:
    told: list[tuple[int, int]] = []
    FastGoldenChip(relay_image()).run(np.ones((3, 4, 2)), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_without_a_compiler_numpy_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ToolError("no compiler")

    monkeypatch.setattr(spikeloom, "FastGoldenChip", refuse)
    chip = spikeloom.open("golden", relay_image())
    assert isinstance(chip, GoldenChip)
    assert chip.run([[1, 0]]).tolist() == [[True]]
