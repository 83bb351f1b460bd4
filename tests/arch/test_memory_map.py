from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from spikeloom.arch.config import BUS_WORD_BITS, CoreConfig, bits_for
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import COUNTER_NAMES, REGION_SHIFT, RegionId, delay_depth, regions, target_bits
from tests.helpers import core_configs

LARGEST: list[dict[str, Any]] = [
    {"axons": 8192, "neurons": 8192, "lanes": 64, "pipelines": 16, "weight_words": 2**15, "weight_bits": 16, "destinations": 2**15},
    {"axons": 8192, "neurons": 8192, "lanes": 1, "weight_words": 2**20, "destinations": 2**15},
    {"axons": 8192, "neurons": 8192, "state_bits": 28, "refractory_bits": 4, "bias_bits": 28, "weight_words": 2**19},
]


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
    assert firing.address(5, 1) == 0x0130_000B
    assert firing.address() == 0x0130_0000
    assert firing.address(core=2) == 0x0330_0000


def test_stride_is_rounded_up_to_a_power_of_two() -> None:
    weights = regions(CoreConfig(lanes=64, weight_bits=8))["weights"]
    # 512 bits are 16 slices.
    assert (weights.layout.slices, weights.stride) == (16, 16)
    index = regions(CoreConfig(destinations=2**15))["route_index"]
    assert (index.layout.slices, index.stride) == (1, 1)


def test_region_numbers_never_change() -> None:
    assert {region.name: region.value for region in RegionId} == {
        "WEIGHTS": 0, "ROWS": 1, "LEAK": 2, "FIRING": 3, "BIAS": 4, "STATE": 5, "DELAYS": 6, "ROUTE_INDEX": 7, "ROUTES": 8,
        "CONTROL": 9, "COUNTERS": 10,
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
    [({"bias_bits": 0}, "bias"), ({"counters": False}, "counters")],
)
def test_feature_left_out_has_no_region(arguments: dict[str, Any], missing: str) -> None:
    assert set(regions(CoreConfig())) - set(regions(CoreConfig(**arguments))) == {missing}


def test_refractory_period_left_out_has_no_field() -> None:
    table = regions(CoreConfig(models=(Lif(refractory_bits=0),)))
    assert [field.name for field in table["state"].layout.fields] == ["membrane"]
    assert [field.name for field in table["firing"].layout.fields] == ["threshold", "reset"]


def test_relative_reset_left_out_has_no_field() -> None:
    assert [field.name for field in regions(CoreConfig(models=(Lif(resets="absolute"),)))["leak"].layout.fields] == ["retention"]


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
    assert 1 << target_bits(config) >= max(config.axons, config.neurons)


@given(core_configs())
def test_row_reaches_every_weight_word_and_neuron_word(config: CoreConfig) -> None:
    widths = {field.name: field.bits for field in regions(config)["rows"].layout.fields}
    assert widths == {"base": bits_for(config.words), "start": bits_for(config.neuron_words), "last": bits_for(config.neuron_words)}


def test_counters_have_one_word_each_in_order() -> None:
    assert list(COUNTER_NAMES) == ["ticks", "cycles", "events", "row_words", "spikes", "merged", "dropped"]
    region = regions(CoreConfig())["counters"]
    assert region.depth == 7
    assert region.layout.bits == 32
