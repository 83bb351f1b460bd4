from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import BUS_WORD_BITS, CoreConfig, bits_for
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import Field
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import (
    COUNTER_NAMES,
    REGION_SHIFT,
    RegionId,
    delay_depth,
    models_and_sets,
    pack_neurons,
    regions,
    state_of_neurons,
    unpack_neurons,
)
from tests.helpers import core_configs

LARGEST: list[dict[str, Any]] = [
    {"axons": 8192, "neurons": 8192, "lanes": 64, "pipelines": 16, "weight_words": 2**14, "weight_bits": 16, "destinations": 2**15},
    {"axons": 8192, "neurons": 8192, "lanes": 1, "weight_words": 2**19, "destinations": 2**15},
    {
        "axons": 8192, "neurons": 8192, "weight_words": 2**18,
        "models": (Lif(state_bits=28, bias_bits=28, leak_bits=16, stochastic_leak=True, current_bits=28, resets="all", refractory_bits=8,
                       negative_threshold=True, threshold_noise_bits=20, adaptation_bits=28),),
    },
    {"axons": 8192, "neurons": 8192, "weight_words": 2**18, "models": (AdEx(membrane_bits=24, recovery_bits=24), Lif(), Izhikevich())},
    {"axons": 8192, "neurons": 8192, "weight_words": 2**19, "weight_bits": 1, "stochastic_synapses": True, "sets": 8192},
    {"axons": 8192, "neurons": 8192, "weight_words": 2**18, "weight_bits": 1, "stochastic_synapses": True, "lanes": 64, "pipelines": 16},
    {"axons": 8192, "neurons": 8192, "weight_words": 2**13, "weight_bits": 8, "lanes": 128,
     "learning": Learning(pre_traces=2, post_traces=2, tag_bits=16, membrane_flag=True, terms=32)},
    {"axons": 8192, "neurons": 8192, "weight_words": 2**18, "short_term": True},
]  # fmt: skip


def _assert_regions_are_sound(config: CoreConfig) -> None:
    for region in regions(config).values():
        assert region.depth >= 1
        assert region.stride >= region.layout.slices
        assert region.stride & (region.stride - 1) == 0
        assert region.depth * region.stride <= 1 << REGION_SHIFT, region.name
        assert all(1 <= field.bits <= BUS_WORD_BITS for field in region.layout.fields), region.name


@given(core_configs())
def test_random_regions_fit_their_address_space(config: CoreConfig) -> None:
    _assert_regions_are_sound(config)


@pytest.mark.parametrize("arguments", LARGEST)
def test_largest_regions_fit_their_address_space(arguments: dict[str, Any]) -> None:
    _assert_regions_are_sound(CoreConfig(**arguments))


def test_addresses_are_space_region_and_offset() -> None:
    firing = regions(CoreConfig())["firing"]
    # 24 + 24 + 6 bits are 2 slices; region 3 of core 0, which is space 1; word 5, slice 1 stands at 5 * 2 + 1 = 0xB.
    assert firing.address(5, 1) == 0x0118_000B
    assert firing.address() == 0x0118_0000
    assert firing.address(core=2) == 0x0318_0000


def test_stride_is_rounded_up_to_a_power_of_two() -> None:
    weights = regions(CoreConfig(lanes=64, weight_bits=8))["weights"]
    # 512 bits are 16 slices.
    assert (weights.layout.slices, weights.stride) == (16, 16)
    index = regions(CoreConfig(destinations=2**15))["route_index"]
    assert (index.layout.slices, index.stride) == (1, 1)


def test_region_numbers_never_change() -> None:
    assert {region.name: region.value for region in RegionId} == {
        "WEIGHTS": 0, "ROWS": 1, "PARAMETERS": 2, "FIRING": 3, "OWN": 4, "STATE": 5, "DELAYS": 6, "ROUTE_INDEX": 7, "ROUTES": 8,
        "CONTROL": 9, "COUNTERS": 10, "KINDS": 11, "TYPE_WEIGHTS": 12, "SEED": 13,
        "LEARNING": 14, "RULES": 15, "MODULATION": 16, "PLASTIC": 17, "AXON_TRACES": 18, "NEURON_TRACES": 19, "TAGS": 20,
        "SHORT_TERM": 21, "SHORT_TERM_STATE": 22,
    }  # fmt: skip


@given(core_configs())
def test_regions_come_in_the_order_of_their_numbers(config: CoreConfig) -> None:
    numbers = [region.id for region in regions(config).values()]
    assert numbers == sorted(set(numbers))


def test_only_changing_memories_are_left_out_of_an_image() -> None:
    outside = [name for name, region in regions(CoreConfig()).items() if not region.in_image]
    assert outside == ["state", "delays", "counters"]


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ({"models": (Lif(bias_bits=0),)}, "own"),
        ({"counters": False}, "counters"),
        ({"models": (Izhikevich(bias_bits=9),)}, "firing"),
    ],
)
def test_feature_left_out_has_no_region(arguments: dict[str, Any], missing: str) -> None:
    assert set(regions(CoreConfig())) - set(regions(CoreConfig(**arguments))) == {missing}


def test_short_term_plasticity_has_a_word_and_a_state_for_each_axon() -> None:
    table = regions(CoreConfig(axons=37, short_term=True))
    parameters, state = table["short_term"], table["short_term_state"]
    assert (parameters.depth, parameters.layout.bits, parameters.layout.slices, parameters.in_image) == (37, 56, 2, True)
    assert (state.depth, state.layout.bits, state.layout.slices, state.in_image) == (37, 32, 1, False)


def test_refractory_period_left_out_has_no_field() -> None:
    table = regions(CoreConfig(models=(Lif(refractory_bits=0),)))
    assert [field.name for field in table["state"].layout.fields] == ["membrane"]
    assert [field.name for field in table["firing"].layout.fields] == ["threshold", "reset"]


def test_relative_reset_left_out_has_no_field() -> None:
    assert [field.name for field in regions(CoreConfig(models=(Lif(resets="absolute"),)))["parameters"].layout.fields] == [
        "retention"
    ]


@pytest.mark.parametrize(
    ("axons", "words"),
    # Words of 16 axons per slot, rounded up to a power of two, times 16 slots.
    [(1, 16), (16, 16), (17, 32), (33, 64), (48, 64), (8192, 8192)],
)
def test_delay_memory_pads_each_slot_to_a_power_of_two(axons: int, words: int) -> None:
    config = CoreConfig(axons=axons, neurons=8)
    assert delay_depth(config) == words
    assert regions(config)["delays"].depth == words


@given(core_configs())
def test_target_reaches_every_axon_and_every_output(config: CoreConfig) -> None:
    assert 1 << config.target_bits >= max(config.axons, config.neurons)


@given(core_configs())
def test_row_reaches_every_weight_word_and_neuron_word(config: CoreConfig) -> None:
    widths = {field.name: field.bits for field in regions(config)["rows"].layout.fields}
    word = bits_for(config.neuron_words)
    assert widths == {"base": bits_for(config.words), "start": word, "last": word} | ({"type": 2} if config.typed else {})


def test_counters_have_one_word_each_in_order() -> None:
    assert list(COUNTER_NAMES) == ["ticks", "cycles", "events", "row_words", "spikes", "merged", "dropped"]
    region = regions(CoreConfig())["counters"]
    assert region.depth == 7
    assert region.layout.bits == 32


#: State, parameters, firing, own: 24 + 6, 13 + 1, 24 + 24 + 6, 16; and 18 + 24 + 1, 6 * 18 + 2 * 24 + 18 + 1, -, 9 bits.
MIXED = CoreConfig(axons=8, neurons=12, lanes=4, pipelines=2, models=(Lif(), Izhikevich(bias_bits=9)))


@pytest.mark.parametrize(
    ("arguments", "added"),
    [
        ({"sets": 3}, ["kinds"]),
        ({"models": (Lif(), AdEx())}, ["kinds"]),
        ({"weight_bits": 1}, ["type_weights"]),
        ({"weight_bits": 1, "stochastic_synapses": True}, ["type_weights", "seed"]),
        ({"models": (Lif(threshold_noise_bits=3),)}, ["seed"]),
        ({"short_term": True}, ["short_term", "short_term_state"]),
        ({"models": (Lif(leak_bits=3, stochastic_leak=True),)}, ["seed"]),
    ],
)
def test_feature_has_its_region(arguments: dict[str, Any], added: list[str]) -> None:
    assert sorted(set(regions(CoreConfig(**arguments))) - set(regions(CoreConfig()))) == sorted(added)


def test_words_of_a_mixed_core_are_as_wide_as_the_widest() -> None:
    table = regions(MIXED)
    widths = {name: [layout and layout.bits for layout in region.variants] for name, region in table.items() if region.variants}
    assert widths == {"parameters": [14, 175], "firing": [54, None], "own": [16, 9], "state": [30, 43]}
    assert {name: table[name].layout.bits for name in widths} == {"parameters": 175, "firing": 54, "own": 16, "state": 43}
    assert [table[name].depth for name in widths] == [12, 12, 12, 12]


def test_only_model_gives_its_own_layout() -> None:
    model = Izhikevich()
    table = regions(CoreConfig(models=(model,)))
    assert table["state"].layout == model.words()["state"]
    assert table["state"].variants == (model.words()["state"],)
    assert table["weights"].variants == ()


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"sets": 1}, (Field("set", 1),)),
        ({"sets": 5}, (Field("set", 3),)),
        ({"models": (Lif(), AdEx())}, (Field("model", 1),)),
        ({"models": (Lif(), AdEx(), Izhikevich()), "sets": 256}, (Field("model", 2), Field("set", 8))),
    ],
)
def test_kind_names_only_what_can_be_chosen(arguments: dict[str, Any], fields: tuple[Field, ...]) -> None:
    region = regions(CoreConfig(**arguments))["kinds"]
    assert region.layout.fields == fields
    assert (region.depth, region.in_image) == (256, True)


def test_type_weights_are_one_word_per_type_and_neuron_word() -> None:
    region = regions(CoreConfig(neurons=50, lanes=16, weight_bits=1))["type_weights"]
    assert (region.depth, region.layout.fields) == (16, (Field("weight", 9, signed=True, count=16),))
    stochastic = regions(CoreConfig(neurons=50, lanes=16, weight_bits=1, stochastic_synapses=True))["type_weights"]
    assert stochastic.layout.fields[1:] == (Field("stochastic", 1, count=16),)


def test_sets_are_as_many_as_were_asked_for() -> None:
    table = regions(CoreConfig(neurons=64, sets=5, models=(Lif(), Izhikevich(bias_bits=4))))
    assert {name: table[name].depth for name in ("parameters", "firing", "own", "state", "kinds")} == {
        "parameters": 5, "firing": 5, "own": 64, "state": 64, "kinds": 64,
    }  # fmt: skip


@given(core_configs(), st.integers(0, 2**32 - 1))
def test_neurons_of_all_models_unpack_what_was_packed(config: CoreConfig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for region in regions(config).values():
        if not region.variants:
            continue
        model_of = rng.integers(0, len(config.models), region.depth)
        values = [
            None
            if layout is None
            else {field.name: rng.integers(field.low, field.high, region.depth, endpoint=True) for field in layout.fields}
            for layout in region.variants
        ]
        words = pack_neurons(region, values, model_of)
        assert (words.shape, words.dtype) == ((region.depth, region.layout.slices), np.uint32)
        # Nothing stands above a word's last bit.
        region.layout.unpack(words)
        spare = region.layout.slices * BUS_WORD_BITS - region.layout.bits
        assert not (words[:, -1] >> np.uint32(BUS_WORD_BITS - spare)).any() or not spare
        for number, (fields, unpacked) in enumerate(zip(values, unpack_neurons(region, words), strict=True)):
            assert set(unpacked) == set(fields or {})
            for name, array in (fields or {}).items():
                chosen = model_of == number
                np.testing.assert_array_equal(unpacked[name][chosen], array[chosen], err_msg=f"{region.name}.{name}")


def test_only_neurons_of_a_model_need_values_that_fit_it() -> None:
    region = regions(MIXED)["own"]
    model_of = np.array([0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0])
    bias = np.where(model_of == 0, 30000, 255)
    words = pack_neurons(region, [{"bias": bias}, {"bias": bias}], model_of)
    assert words[:, 0].tolist() == bias.tolist()
    with pytest.raises(ConfigError, match=r"^own.bias\[0\] is 30000; it must be -256 to 255 \(nearest: 255\)$"):
        pack_neurons(region, [{"bias": bias}, {"bias": bias}], 1 - model_of)


def test_model_that_nothing_follows_needs_no_values() -> None:
    region = regions(MIXED)["own"]
    words = pack_neurons(region, [None, {"bias": np.full(12, -1)}], np.ones(12, np.int64))
    # Nine bits of ones, and zeros above.
    assert words.tolist() == [[0x1FF]] * 12


def test_without_kinds_sets_follow_from_the_group() -> None:
    model_of, set_of = models_and_sets(CoreConfig(neurons=10, group=4), None)
    assert model_of.tolist() == [0] * 10
    assert set_of.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_kinds_say_model_and_set() -> None:
    config = CoreConfig(neurons=8, sets=6, models=(Lif(), Izhikevich(), AdEx()))
    words = regions(config)["kinds"].layout.pack({"model": [2, 0, 1, 2] * 2, "set": [5, 0, 3, 5, 1, 0, 0, 2]})
    model_of, set_of = models_and_sets(config, words)
    assert model_of.tolist() == [2, 0, 1, 2] * 2
    assert set_of.tolist() == [5, 0, 3, 5, 1, 0, 0, 2]


def test_models_without_sets_leave_the_groups() -> None:
    config = CoreConfig(neurons=4, group=2, models=(Lif(), Izhikevich()))
    model_of, set_of = models_and_sets(config, regions(config)["kinds"].layout.pack({"model": [1, 1, 0, 0]}))
    assert model_of.tolist() == [1, 1, 0, 0]
    assert set_of.tolist() == [0, 0, 1, 1]


def test_state_of_neurons_is_zero_where_the_model_has_no_such_field() -> None:
    config = CoreConfig(neurons=4, lanes=2, pipelines=2, models=(Lif(), Izhikevich()))
    table = regions(config)
    model_of = np.array([1, 1, 0, 0])
    lif = {"membrane": np.array([9, 9, -5, 7]), "refractory": np.array([1, 1, 3, 0])}
    izhikevich = {"membrane": np.array([-100, 2, 0, 0]), "recovery": np.array([-1, 77, 4, 4]), "started": np.array([1, 0, 1, 1])}
    state = state_of_neurons(
        config, pack_neurons(table["state"], [lif, izhikevich], model_of), table["kinds"].layout.pack({"model": model_of})
    )
    assert {name: values.tolist() for name, values in state.items()} == {
        "membrane": [-100, 2, -5, 7],
        "recovery": [-1, 77, 0, 0],
        "refractory": [0, 0, 3, 0],
        "started": [1, 0, 0, 0],
    }


@given(core_configs(), st.integers(0, 2**32 - 1))
def test_state_of_neurons_unpacks_what_was_packed(config: CoreConfig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    region = regions(config)["state"]
    model_of = rng.integers(0, len(config.models), config.neurons)
    packed: dict[str, Any] = {"model": model_of, "set": np.zeros(config.neurons, np.int64)}
    kinds = None
    if config.kinds:
        layout = regions(config)["kinds"].layout
        kinds = layout.pack({field.name: packed[field.name] for field in layout.fields})
    state = [
        {field.name: rng.integers(field.low, field.high, config.neurons, endpoint=True) for field in model.state_fields()}
        for model in config.models
    ]
    result = state_of_neurons(config, pack_neurons(region, state, model_of), kinds)
    assert set(result) == {name for fields in state for name in fields}
    for name, values in result.items():
        for number, fields in enumerate(state):
            chosen = model_of == number
            np.testing.assert_array_equal(values[chosen], fields[name][chosen] if name in fields else 0, err_msg=name)
