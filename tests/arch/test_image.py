from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ImageError
from spikeloom.arch.image import LoadableImage, PopulationMap, PortMap
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import pack_neurons, regions
from tests.helpers import (
    Contents,
    core_case,
    core_configs,
    empty_contents,
    loadable,
    pack,
    relay_config,
    relay_contents,
    relay_image,
)


def _ints(*values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, np.int64)


def test_sound_image_is_accepted() -> None:
    image = relay_image()
    assert (image.input_size, image.output_size, image.drain) == (2, 1, 1)


@given(core_configs())
def test_empty_core_is_accepted(config: CoreConfig) -> None:
    loadable(config, pack(config, empty_contents(config)))


@given(core_configs(), st.integers(0, 1000))
def test_random_core_is_accepted(config: CoreConfig, seed: int) -> None:
    core_case(config, seed, ticks=1)


def test_image_without_inputs_is_accepted() -> None:
    image = relay_image(inputs=(), input_index=_ints(), input_core=_ints(), input_axon=_ints(), input_offset=_ints())
    assert image.input_size == 0


def test_image_without_outputs_needs_no_drain() -> None:
    config = relay_config()
    image = loadable(config, pack(config, empty_contents(config)), outputs=(), output_shift=_ints())
    assert (image.output_size, image.drain) == (0, 0)


def test_drain_is_the_largest_shift() -> None:
    config = relay_config()
    assert loadable(config, pack(config, empty_contents(config)), output_size=3, output_shift=_ints(2, 5, 0)).drain == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memories": ()}, "the image holds 0 cores; the chip has 1"),
        ({"memories": ({}, {})}, "the image holds 2 cores; the chip has 1"),
        ({"input_axon": _ints(0)}, "the input map is inconsistent: its four columns differ in length"),
        ({"input_index": _ints(0, 2)}, "the image names input column 2; it must be 0 to 1"),
        ({"input_index": _ints(1, -1)}, "the image names input column -1; it must be 0 to 1"),
        ({"input_axon": _ints(0, 3)}, "the image names input axon 3 of core 0; it must be 0 to 2"),
        ({"input_offset": _ints(0, 65536)}, "the image names input offset 65536; it must be 0 to 65535"),
        ({"input_offset": _ints(-1, 0)}, "the image names input offset -1; it must be 0 to 65535"),
        ({"output_shift": _ints(65536)}, "the image names output shift 65536; it must be 0 to 65535"),
        ({"output_shift": _ints(0, 0)}, "2 output shifts for 1 outputs"),
        (
            {"inputs": (PortMap("left", 0, 1), PortMap("right", 0, 1))},
            "input 'right' has 1 columns from 0 on; it must have at least one, from 1 on: ports lie side by side",
        ),
        (
            {"outputs": (PortMap("none", 0, 0),)},
            "output 'none' has 0 columns from 0 on; it must have at least one, from 0 on: ports lie side by side",
        ),
        ({"input_core": _ints(0, 1)}, "the image names input core 1; it must be 0 to 0"),
        ({"populations": (PopulationMap("off", 1, 0, 1, 0),)}, "population 'off' lies in core 1 of 1"),
        (
            {"populations": (PopulationMap("gap", 0, 0, 1, 0), PopulationMap("gap", 0, 1, 1, 0, 2))},
            "population 'gap': a piece begins at neuron 2 with level 0; it must begin at 1 with level 0",
        ),
        (
            {"populations": (PopulationMap("late", 0, 0, 1, 0), PopulationMap("late", 0, 1, 1, 1, 1))},
            "population 'late': a piece begins at neuron 1 with level 1; it must begin at 1 with level 0",
        ),
        ({"populations": (PopulationMap("far", 0, 1, 2, 0),)}, "population 'far' lies outside the 2 neurons of core 0"),
        ({"populations": (PopulationMap("low", 0, -1, 2, 0),)}, "population 'low' lies outside the 2 neurons of core 0"),
        ({"populations": (PopulationMap("void", 0, 0, 0, 0),)}, "population 'void' lies outside the 2 neurons of core 0"),
    ],
)
def test_inconsistent_map_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        relay_image(**changes)


def test_unknown_population_is_answered_with_the_names() -> None:
    with pytest.raises(ImageError, match=r"^no population 'third'; the image has \['first', 'second'\]$"):
        relay_image().pieces("third")


def test_population_is_found_by_name() -> None:
    assert relay_image().pieces("second") == [PopulationMap("second", 0, 1, 1, 1)]
    assert relay_image().population_size("second") == 1


@pytest.mark.parametrize("extra", [True, False])
def test_memories_that_are_not_those_of_the_geometry_are_refused(extra: bool) -> None:
    config = relay_config()
    memory = pack(config, relay_contents(config))
    if extra:
        memory["cache"] = memory["rows"]
    else:
        del memory["own"]
    message = re.escape(f"core 0: the image holds {sorted(memory)}; the geometry needs ['control', 'firing', 'own', 'parameters', ")
    with pytest.raises(ImageError, match=f"^{message}"):
        relay_image(memories=(memory,))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (np.zeros((4, 1), np.uint32), "core 0, rows: uint32 array of shape [4, 1]; the geometry needs uint32 of shape [3, 1]"),
        (np.zeros(3, np.uint32), "core 0, rows: uint32 array of shape [3]; the geometry needs uint32 of shape [3, 1]"),
        (np.zeros((3, 1), np.int64), "core 0, rows: int64 array of shape [3, 1]; the geometry needs uint32 of shape [3, 1]"),
    ],
)
def test_memory_of_a_wrong_shape_or_type_is_refused(words: np.ndarray[Any, Any], message: str) -> None:
    config = relay_config()
    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        relay_image(memories=(pack(config, relay_contents(config)) | {"rows": words},))


def _spoil(config: CoreConfig, change: Callable[[Contents], None]) -> None:
    contents = relay_contents(config)
    change(contents)
    loadable(config, pack(config, contents))


def _set(region: str, field: str, index: int, value: int) -> Callable[[Contents], None]:
    def change(contents: Contents) -> None:
        contents[region][field][index] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # 6 weight words (3 axons, 2 neurons, 1 lane) and 2 neuron words.
        (_set("rows", "base", 2, 6), "core 0: the row of axon 2 ends at weight word 7 of 6"),
        (_set("rows", "base", 0, 7), "core 0: the row of axon 0 ends at weight word 8 of 6"),
        (_set("route_index", "first", 1, 1), None),
        (
            _set("routes", "target", 0, 3),
            "core 0, destination 0: axon 3 of core 0 after 1 ticks; that core has 3 axons, and delays are 1 to 15",
        ),
        (
            _set("routes", "delay", 0, 0),
            "core 0, destination 0: axon 2 of core 0 after 0 ticks; that core has 3 axons, and delays are 1 to 15",
        ),
        (_set("routes", "delay", 0, 15), None),
        (_set("routes", "target", 1, 1), "core 0, destination 1: output 1 of 1"),
        (
            _set("parameters", "retention", 1, 4097),
            "core 0, lif neurons: retention 4097 is above 4096 (1.0); it must be 0 to 4096 (nearest: 4096)",
        ),
        (_set("parameters", "retention", 1, 4096), None),
        (_set("control", "last", 0, 1), None),
    ],
)
def test_contents_that_reach_beyond_a_memory_are_refused(change: Callable[[Contents], None], message: str | None) -> None:
    if message is None:
        _spoil(relay_config(), change)
    else:
        with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
            _spoil(relay_config(), change)


def test_row_beyond_the_last_neuron_word_is_refused() -> None:
    # 3 neuron words need 2 bits, which can also say 3.
    config = relay_config(neurons=3)
    contents = empty_contents(config)
    contents["rows"]["start"][1], contents["rows"]["last"][1] = 2, 3
    with pytest.raises(ImageError, match=r"^core 0: the row of axon 1 ends at neuron word 4 of 3$"):
        loadable(config, pack(config, contents))


def test_empty_row_may_name_any_word() -> None:
    config = relay_config(axons=3, neurons=3)
    contents = empty_contents(config)
    contents["rows"] = {"base": _ints(15, 15, 15), "start": _ints(3, 3, 3), "last": _ints(2, 2, 2)}
    loadable(config, pack(config, contents))


def test_destination_list_beyond_the_memory_is_refused() -> None:
    config = relay_config(destinations=3)
    contents = empty_contents(config)
    contents["route_index"]["first"][1], contents["route_index"]["count"][1] = 2, 2
    with pytest.raises(ImageError, match=r"^core 0: the destinations of neuron 1 end at 4 of 3$"):
        loadable(config, pack(config, contents))


MESH = ChipConfig(cores=(relay_config(), relay_config(axons=2, targets=5)), columns=2)


def _relay_in_a_mesh(**route: int) -> LoadableImage:
    """The relay in both cores; the first destination of core 0 is changed."""
    memories = []
    for number, core in enumerate(MESH.cores):
        contents = relay_contents(relay_config())
        contents = {
            name: {field: values[: core.axons] for field, values in fields.items()} if name == "rows" else fields
            for name, fields in contents.items()
        }
        contents["weights"] = {"weight": contents["weights"]["weight"][: core.words]}
        contents["routes"] |= {"dx": _ints(0, -number)}
        if number == 0:
            for name, value in route.items():
                contents["routes"][name][0] = value
        else:
            contents["routes"]["target"] = _ints(1, 0)
        memories.append(pack(core, contents))
    image = relay_image()
    return dataclasses.replace(image, config=MESH, memories=tuple(memories))


def test_destination_in_another_core_is_accepted() -> None:
    _relay_in_a_mesh(dx=1, target=1, delay=15)


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (
            {"dx": -1},
            "core 0, destination 0: column -1, row 0; the mesh has 2 columns and 1 rows, and outputs leave through core 0",
        ),
        (
            {"dx": 1, "kind": 1},
            "core 0, destination 0: column 1, row 0; the mesh has 2 columns and 1 rows, and outputs leave through core 0",
        ),
        (
            {"dx": 1, "target": 2},
            "core 0, destination 0: axon 2 of core 1 after 1 ticks; that core has 2 axons, and delays are 1 to 15",
        ),
        (
            {"dx": 1, "target": 0, "delay": 0},
            "core 0, destination 0: axon 0 of core 1 after 0 ticks; that core has 2 axons, and delays are 1 to 15",
        ),
    ],
)
def test_destination_that_the_mesh_does_not_have_is_refused(route: dict[str, int], message: str) -> None:
    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        _relay_in_a_mesh(**route)


def test_entry_that_no_neuron_reaches_may_hold_anything() -> None:
    config = relay_config(destinations=3)
    contents = relay_contents(config)
    contents["routes"] = {"kind": _ints(0, 1, 0), "delay": _ints(1, 0, 0), "target": _ints(2, 0, 3)}
    loadable(config, pack(config, contents))


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ((5, 7), "core 0: the last neuron to update is 7; it must be below 6 and one less than a multiple of 2"),
        ((2, 5), "core 0: the last neuron to update is 2; it must be below 6 and one less than a multiple of 2"),
        ((5, 3), "core 0: neurons that take part in one tick are left out in a later one"),
    ],
)
def test_wrong_order_of_neurons_is_refused(last: tuple[int, int], message: str) -> None:
    config = relay_config(neurons=6, lanes=2, pipelines=2)
    contents = empty_contents(config)
    contents["control"]["last"][:] = last
    with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
        loadable(config, pack(config, contents))


@pytest.mark.parametrize(
    ("weight", "bounds"),
    # 3 axons on one neuron: 3 * 85 = 255 fits 9 signed bits, 3 * 86 = 258 does not; -3 * 85 = -255 fits, -3 * 86 = -258 does not.
    [(85, None), (-85, None), (86, "0..258"), (-86, "-258..0")],
)
def test_weights_that_could_overflow_the_accumulator_are_refused(weight: int, bounds: str | None) -> None:
    config = relay_config(accumulator_bits=9)
    contents = empty_contents(config)
    contents["weights"]["weight"][0] = weight
    contents["rows"] = {"base": _ints(0, 0, 0), "start": _ints(1, 1, 1), "last": _ints(1, 1, 1)}
    memory = pack(config, contents)
    if bounds is None:
        loadable(config, memory)
    else:
        message = re.escape(
            f"core 0, neuron 1: its weights could sum to {bounds}, beyond the 9-bit accumulator; "
            "use a geometry with a wider accumulator or smaller weights"
        )
        with pytest.raises(ImageError, match=f"^{message}$"):
            loadable(config, memory)


def test_lowest_sum_of_the_accumulator_is_legal() -> None:
    # -128 - 128 = -256 is the lowest 9-bit number; -257, and 127 + 127 + 2 = 256 on the other side, are one too far.
    config = relay_config(accumulator_bits=9)
    contents = empty_contents(config)
    contents["weights"]["weight"][:3] = [-128, -128, 0]
    contents["rows"] = {"base": _ints(0, 1, 2), "start": _ints(0, 0, 0), "last": _ints(0, 0, 0)}
    loadable(config, pack(config, contents))
    for weights, bounds in (([-128, -128, -1], r"-257\.\.0"), ([127, 127, 2], r"0\.\.256")):
        contents["weights"]["weight"][:3] = weights
        with pytest.raises(ImageError, match=rf"neuron 0: its weights could sum to {bounds}, beyond the 9-bit accumulator"):
            loadable(config, pack(config, contents))


@pytest.mark.parametrize(("reset", "threshold", "sound"), [(0, 0, True), (-32768, 32767, True), (1, 5, False), (-5, -1, False)])
def test_relative_reset_must_lead_downwards_from_a_positive_threshold(reset: int, threshold: int, sound: bool) -> None:
    config = relay_config()
    contents = empty_contents(config)
    contents["parameters"]["reset_mode"][1] = 1
    contents["firing"]["reset"][1], contents["firing"]["threshold"][1] = reset, threshold
    memory = pack(config, contents)
    if sound:
        loadable(config, memory)
    else:
        message = (
            "core 0, lif neurons: a relative reset must be 0 or negative, and its threshold 0 or positive; "
            "otherwise the potential could leave its range"
        )
        with pytest.raises(ImageError, match=f"^{re.escape(message)}$"):
            loadable(config, memory)


MIXED = CoreConfig(axons=3, neurons=8, lanes=4, pipelines=2, models=(Lif(), Izhikevich(), AdEx()), sets=6)


def _mixed(model: list[int], set_: list[int], config: CoreConfig = MIXED, **parameters: Any) -> None:
    """Silent neurons of these models and sets; set k is one of model k % 3."""
    contents = empty_contents(config)
    memory = pack(
        config, {name: values for name, values in contents.items() if name not in ("parameters", "firing", "own", "kinds")}
    )
    memory["kinds"] = regions(config)["kinds"].layout.pack({"model": model, "set": set_})
    for name in ("parameters", "firing", "own"):
        region = regions(config)[name]
        fields = [
            None
            if layout is None
            else {field.name: np.full(region.depth, parameters.get(field.name, 0)) for field in layout.fields}
            for layout in region.variants
        ]
        owner = _ints(*model) if name == "own" else np.arange(config.parameter_sets) % 3
        memory[name] = pack_neurons(region, fields, owner)
    loadable(config, memory)


def test_rows_of_different_models_are_accepted() -> None:
    _mixed([0, 0, 1, 1, 2, 2, 0, 0], [0, 3, 1, 4, 2, 5, 0, 0])


@pytest.mark.parametrize(
    ("model", "first"), [([0, 0, 1, 1, 2, 0, 0, 0], 4), ([0, 1, 1, 2, 2, 2, 0, 0], 0), ([0, 0, 1, 1, 2, 2, 0, 2], 6)]
)
def test_neurons_of_a_row_must_follow_one_model(model: list[int], first: int) -> None:
    message = f"core 0: neurons {first} and following are updated together but follow different models; let 2 neighbours follow one"
    with pytest.raises(ImageError, match=f"^{message}$"):
        _mixed(model, [0] * 8)


def test_model_that_the_core_does_not_hold_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^core 0: neuron 4 follows model 3 of 3$"):
        _mixed([0, 0, 1, 1, 3, 3, 0, 0], [0, 3, 1, 4, 2, 5, 0, 0])


def test_set_that_the_core_does_not_hold_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^core 0: neuron 7 follows parameter set 6 of 6$"):
        _mixed([0, 0, 1, 1, 2, 2, 0, 0], [0, 3, 1, 4, 2, 5, 0, 6])
    config = relay_config(neurons=3, sets=3)
    contents = empty_contents(config)
    contents["kinds"]["set"][:] = _ints(2, 0, 3)
    with pytest.raises(ImageError, match=r"^core 0: neuron 2 follows parameter set 3 of 3$"):
        loadable(config, pack(config, contents))


def test_senseless_parameters_name_the_model() -> None:
    with pytest.raises(ImageError, match=r"^core 0, izhikevich neurons: reset\[0\] is 1; it must not exceed the threshold, 0, "):
        _mixed([0, 0, 1, 1, 2, 2, 0, 0], [0, 3, 1, 4, 2, 5, 0, 0], reset=1)
    # Nobody follows the model whose parameters make no sense.
    _mixed([0, 0, 0, 0, 2, 2, 0, 0], [0, 3, 0, 3, 2, 5, 0, 0], reset=1)


@pytest.mark.parametrize("used", [False, True])
def test_only_sets_that_neurons_take_are_checked(used: bool) -> None:
    config = relay_config(sets=2)
    contents = empty_contents(config)
    contents["parameters"]["retention"][1] = 4097
    contents["kinds"]["set"][1] = int(used)
    if used:
        with pytest.raises(ImageError, match=r"^core 0, lif neurons: retention 4097 is above 4096"):
            loadable(config, pack(config, contents))
    else:
        loadable(config, pack(config, contents))


@pytest.mark.parametrize(
    ("types", "weights", "bounds"),
    [
        # Three axons on neuron 1. 100 + 100 + 100 = 300 fits 10 bits; 255 + 255 + 2 = 512 does not; -256 - 256 = -512 does, -513 not.
        ((0, 0, 0), (100, 0, 0, 0), None),
        ((0, 0, 3), (255, 0, 0, 2), "0..512"),
        ((0, 1, 2), (255, 255, 1, 0), None),
        ((0, 0, 1), (-256, 0, 0, 0), None),
        ((0, 0, 1), (-256, -1, 0, 0), "-513..0"),
        # Positive and negative weights do not balance: any of the axons may be silent.
        ((0, 0, 2), (-200, 0, 255, 0), None),
        ((3, 3, 2), (0, 0, -256, 255), None),
        ((3, 3, 3), (0, 0, -256, 255), "0..765"),
    ],
)
def test_weights_of_the_types_bound_the_accumulator(types: Any, weights: Any, bounds: str | None) -> None:
    config = relay_config(weight_bits=1, accumulator_bits=10)
    contents = empty_contents(config)
    contents["weights"]["weight"][0] = 1
    contents["rows"] |= {"base": _ints(0, 0, 0), "start": _ints(1, 1, 1), "last": _ints(1, 1, 1), "type": _ints(*types)}
    # Word type * 2 + neuron.
    contents["type_weights"]["weight"][1::2] = weights
    memory = pack(config, contents)
    if bounds is None:
        loadable(config, memory)
    else:
        with pytest.raises(
            ImageError, match=rf"^core 0, neuron 1: its weights could sum to {re.escape(bounds)}, beyond the 10-bit "
        ):
            loadable(config, memory)
    # A synapse that is not there adds nothing.
    contents["weights"]["weight"][0] = 0
    loadable(config, pack(config, contents))


def test_seed_may_be_any_number_of_32_bits() -> None:
    config = relay_config(weight_bits=1, stochastic_synapses=True)
    contents = empty_contents(config)
    contents["seed"]["seed"][0] = 2**32 - 1
    loadable(config, pack(config, contents))


def test_absolute_reset_may_be_anything() -> None:
    config = relay_config()
    contents = empty_contents(config)
    contents["firing"]["reset"][0], contents["firing"]["threshold"][0] = 32767, -32768
    loadable(config, pack(config, contents))
