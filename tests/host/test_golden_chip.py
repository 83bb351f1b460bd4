from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import spikeloom
from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError, ImageError, InputError
from spikeloom.arch.image import LoadableImage, PopulationMap, PortMap
from spikeloom.arch.memory_map import COUNTER_NAMES
from spikeloom.host import golden_chip
from spikeloom.host.fast_chip import FastGoldenChip
from spikeloom.host.golden_chip import GoldenChip
from tests.helpers import (
    LoneCore,
    core_case,
    empty_contents,
    loadable,
    pack,
    relay_config,
    relay_contents,
    relay_image,
    wrong_output,
)


def _lively_image(seed: int = 6) -> LoadableImage:
    return core_case(CoreConfig(axons=37, neurons=26, weight_bits=4, lanes=4), seed).image


def _random_spikes(*shape: int, seed: int = 1) -> npt.NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < 0.3


def test_output_answers_the_input_of_its_row() -> None:
    # The output of the chain comes a tick late; the driver takes that out.
    spikes = np.array([[1, 0], [0, 0], [1, 1], [1, 0]])
    out = GoldenChip(relay_image()).run(spikes)
    assert out.dtype == np.bool_
    assert out.tolist() == [[True], [False], [True], [True]]


def test_batch_of_samples_equals_runs_of_one() -> None:
    image = _lively_image()
    spikes = _random_spikes(5, 30, 37)
    batch = GoldenChip(image)
    out = batch.run(spikes)
    assert out.any()
    one = GoldenChip(image)
    counters = batch.counters()
    for number, sample in enumerate(spikes):
        np.testing.assert_array_equal(one.run(sample), out[number])
        for name, values in one.counters().items():
            assert values.tolist() == [counters[name][number]], name
    for name, values in one.state().items():
        np.testing.assert_array_equal(values, batch.state()[name], err_msg=name)


@pytest.mark.parametrize("samples_at_once", [1, 2, 3])
def test_blocks_of_samples_change_nothing(monkeypatch: pytest.MonkeyPatch, samples_at_once: int) -> None:
    image = relay_image()
    spikes = _random_spikes(7, 10, 2)
    whole = GoldenChip(image)
    expected = whole.run(spikes, record=["first", "second"])
    monkeypatch.setattr(golden_chip, "BLOCK_BITS", samples_at_once * 16 * image.config.cores[0].axons)
    blocks = GoldenChip(image)
    calls: list[tuple[int, int]] = []
    np.testing.assert_array_equal(
        blocks.run(spikes, record=["first", "second"], progress=lambda *done: calls.append(done)), expected
    )
    assert calls == [(min(7, k), 7) for k in range(samples_at_once, 7 + samples_at_once, samples_at_once)]
    for name in ("first", "second"):
        np.testing.assert_array_equal(blocks.recorded[name].potential, whole.recorded[name].potential)
        np.testing.assert_array_equal(blocks.recorded[name].spikes, whole.recorded[name].spikes)
    for name, values in whole.counters().items():
        assert blocks.counters()[name].tolist() == values.tolist(), name


def test_each_run_starts_from_the_initial_state() -> None:
    chip = GoldenChip(_lively_image())
    spikes = _random_spikes(20, 37)
    np.testing.assert_array_equal(chip.run(spikes), chip.run(spikes))


def test_output_that_the_image_does_not_have_is_refused_when_it_comes() -> None:
    chip = GoldenChip(wrong_output())
    assert not chip.run([[0, 1], [0, 0]]).any()
    with pytest.raises(ImageError, match=r"^output 3 came; the image has 1 outputs$"):
        chip.run([[[0, 1]], [[1, 0]]])


def test_image_without_inputs_runs_on_its_bias() -> None:
    config = relay_config()
    contents = relay_contents(config)
    contents["own"]["bias"][0] = 2
    empty = np.zeros(0, np.int64)
    image = relay_image(
        memories=(pack(config, contents),), inputs=(), input_index=empty, input_core=empty, input_axon=empty, input_offset=empty
    )
    assert GoldenChip(image).run(np.zeros((3, 0), np.bool_)).tolist() == [[True]] * 3


def test_input_offset_delays_an_event() -> None:
    # Neuron 1 is driven by axon 2: by neuron 0 a tick after the input, and by input column 1 with an offset of a tick.
    image = relay_image(input_axon=np.array([0, 2]), input_offset=np.array([0, 1]))
    chip = GoldenChip(image)
    assert chip.run([[0, 1], [0, 0], [1, 0], [1, 1]]).tolist() == [[True], [False], [True], [True]]
    assert chip.counters()["merged"].tolist() == [1]


def test_outputs_of_one_number_are_joined() -> None:
    # Both neurons send output 0; neuron 0 a tick before neuron 1. With a shift of 0 each tick's output is seen as it comes.
    config = relay_config(destinations=3)
    contents = relay_contents(config)
    contents["route_index"] = {"first": np.array([0, 2]), "count": np.array([2, 1])}
    contents["routes"] = {"kind": np.array([0, 1, 1]), "delay": np.array([1, 0, 0]), "target": np.array([2, 0, 0])}
    image = loadable(config, pack(config, contents))
    assert GoldenChip(image).run([[1, 0, 0], [0, 0, 0], [0, 0, 0]]).tolist() == [[True], [True], [False]]


def test_recorded_potential_and_spikes_answer_the_input_of_their_row() -> None:
    chip = GoldenChip(relay_image())
    spikes = np.array([[1, 0], [0, 0], [1, 0]])
    chip.run(spikes, record=["second"])
    assert list(chip.recorded) == ["second"]
    recording = chip.recorded["second"]
    assert recording.spikes is not None
    assert recording.spikes.tolist() == [[[True], [False], [True]]]
    assert recording.potential.tolist() == [[[0], [0], [0]]]


def test_population_deeper_than_the_outputs_is_recorded_to_its_last_row() -> None:
    # No output: the run ends with the input, the recording of level 1 goes on for a tick, and state and counters do not.
    image = relay_image(outputs=(), output_shift=np.zeros(0, np.int64), memories=(_silent_memory(),))
    chip = GoldenChip(image)
    chip.run([[0, 0], [1, 0]], record=["second"])
    assert chip.recorded["second"].potential.tolist() == [[[0], [2]]]
    assert chip.counters()["ticks"].tolist() == [2]
    # The event for axon 2 is still pending, for tick 2.
    assert np.argwhere(chip.state()["core0.delays"]).tolist() == [[2, 2]]
    assert chip.state()["core0.membrane"].tolist() == [0, 0]


def _silent_memory() -> dict[str, npt.NDArray[np.uint32]]:
    """The chain, whose second neuron has a high threshold and no destination."""
    config = relay_config()
    contents = relay_contents(config)
    contents["firing"]["threshold"][1] = 100
    contents["route_index"]["count"][1] = 0
    return pack(config, contents)


def test_state_before_a_run_is_the_initial_one() -> None:
    chip = GoldenChip(relay_image())
    state = chip.state()
    assert {name: values.shape for name, values in state.items()} == {
        "core0.membrane": (2,), "core0.refractory": (2,), "core0.delays": (16, 3),
    }  # fmt: skip
    assert all(values.dtype == np.int64 and not values.any() for values in state.values())
    assert chip.counters() == {}


def test_state_is_that_of_the_core_after_the_last_tick() -> None:
    image = _lively_image()
    spikes = _random_spikes(25, 37)
    chip = GoldenChip(image)
    chip.run(spikes)
    core = LoneCore(image.config.cores[0], image.memories[0])
    for row in spikes:
        core.inject(np.arange(37), row[np.newaxis])
        core.tick()
    np.testing.assert_array_equal(chip.state()["core0.membrane"], core.state["membrane"][0])
    np.testing.assert_array_equal(chip.state()["core0.refractory"], core.state["refractory"][0])
    np.testing.assert_array_equal(chip.state()["core0.delays"], core.scheduler.pending[:, 0])
    assert core.scheduler.pending.any()


def test_counters_by_hand() -> None:
    chip = GoldenChip(relay_image())
    chip.run([[[1, 1], [0, 0]], [[0, 0], [0, 0]]])
    # Sample 0: axons 0 and 1 in tick 0, axon 2 in tick 1; axon 1 has no row, the others one word of one lane; two spikes.
    # 2 steps and 1 tick of drain.
    assert {name: values.tolist() for name, values in chip.counters().items()} == {
        "ticks": [3, 3], "events": [3, 0], "row_words": [2, 0], "spikes": [2, 0], "merged": [0, 0], "dropped": [0, 0],
        "misrouted": [0, 0], "synaptic_operations": [2, 0],
    }  # fmt: skip


def test_counters_are_those_of_the_hardware_without_its_clock() -> None:
    chip = GoldenChip(relay_image())
    chip.run([[1, 1]])
    assert set(chip.counters()) == (set(COUNTER_NAMES) - {"cycles"}) | {"misrouted", "synaptic_operations"}


def test_named_output_is_its_columns() -> None:
    config = relay_config()
    outputs = (PortMap("left", 0, 2), PortMap("right", 2, 1))
    image = loadable(config, pack(config, empty_contents(config)), output_size=3, outputs=outputs)
    out = np.arange(6).reshape(2, 3) % 2 == 1
    chip = GoldenChip(image)
    np.testing.assert_array_equal(chip.output(out, "left"), out[:, :2])
    np.testing.assert_array_equal(chip.output(out, "right"), out[:, 2:])
    with pytest.raises(ImageError, match=r"^no output 'up'; the image has \['left', 'right'\]"):
        chip.output(out, "up")


@pytest.mark.parametrize(
    ("spikes", "record", "kind", "message"),
    [
        ([[1, 0, 0]], [], InputError, "input spikes have shape [1, 3]; the image needs [ticks, 2] or [samples, ticks, 2]"),
        (np.zeros((0, 4, 2)), [], InputError, "input spikes have no samples; give at least one"),
        ([[3, 0]], [], InputError, "input spikes must be 0 or 1, but the value at [0, 0] is 3; encode analog values first"),
        ([[1, 0]], ["third"], ImageError, "no population 'third'; the image has ['first', 'second']"),
    ],
)
def test_wrong_run_is_refused(spikes: Any, record: list[str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}"):
        GoldenChip(relay_image()).run(spikes, record=record)


def test_refused_run_leaves_the_last_one_in_place() -> None:
    chip = GoldenChip(relay_image())
    chip.run([[1, 0]], record=["first"])
    with pytest.raises(InputError):
        chip.run([[2, 0]])
    assert list(chip.recorded) == ["first"]
    assert chip.counters()["spikes"].tolist() == [2]


def test_open_gives_a_golden_chip_that_can_be_closed() -> None:
    with spikeloom.open("golden", relay_image()) as chip:
        assert isinstance(chip, FastGoldenChip)
        assert chip.run([[1, 0]]).tolist() == [[True]]


def test_open_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^no chip or port is called 'gold'; there are golden, rtl, virtual"):
        spikeloom.open("gold", relay_image())


def test_population_map_names_the_level_of_the_recording() -> None:
    # The same neuron, said to be at level 0: row t then holds tick t, in which neuron 1 has not yet seen the input.
    image = relay_image(populations=(PopulationMap("second", 0, 1, 1, 0),))
    chip = GoldenChip(image)
    chip.run([[1, 0], [0, 0]], record=["second"])
    recording = chip.recorded["second"].spikes
    assert recording is not None
    assert recording.tolist() == [[[False], [True]]]
