from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import Field, WordLayout
from spikeloom.arch.memory_map import regions
from tests.helpers import core_configs


def _random_values(layout: WordLayout, depth: int, rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    """Values of every field; each is an extreme one, 0 or any other."""
    values = {}
    for field in layout.fields:
        shape = (depth, field.count) if field.count > 1 else (depth,)
        anywhere = rng.integers(field.low, field.high, shape, endpoint=True)
        corner = rng.choice([field.low, field.high, 0], shape)
        values[field.name] = np.where(rng.random(shape) < 0.5, anywhere, corner)
    return values


@given(core_configs(), st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_every_layout_unpacks_what_was_packed(config: CoreConfig, seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    for region in regions(config).values():
        values = _random_values(region.layout, depth, rng)
        words = region.layout.pack(values)
        assert words.dtype == np.uint32
        assert words.shape == (depth, region.layout.slices)
        unpacked = region.layout.unpack(words)
        assert list(unpacked) == [field.name for field in region.layout.fields]
        for name, array in values.items():
            assert unpacked[name].dtype == np.int64
            np.testing.assert_array_equal(unpacked[name], array, err_msg=f"{region.name}.{name}")


@given(core_configs(), st.integers(0, 2**32 - 1))
def test_packed_word_is_the_sum_of_its_shifted_fields(config: CoreConfig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for region in regions(config).values():
        layout = region.layout
        values = _random_values(layout, 1, rng)
        word = 0
        for field in layout.fields:
            for element, value in enumerate(np.atleast_1d(values[field.name][0]).tolist()):
                code = value % (1 << field.bits)
                code = (1 << field.bits) - 1 - code if field.inverted else code
                word |= code << (layout.offset(field.name) + element * field.bits)
        slices = [word >> (32 * k) & 0xFFFF_FFFF for k in range(layout.slices)]
        assert layout.pack(values)[0].tolist() == slices, region.name


LAYOUT = WordLayout(
    "word", (Field("low", 4), Field("middle", 3, signed=True), Field("pair", 2, count=2), Field("high", 30, signed=True))
)


def test_first_field_stands_at_bit_0_without_gaps() -> None:
    # 5 | (-3 & 7) << 4 | 1 << 7 | 2 << 9 | 1 << 11 = 5 + 80 + 128 + 1024 + 2048 = 3285
    assert LAYOUT.pack({"low": [5], "middle": [-3], "pair": [[1, 2]], "high": [1]}).tolist() == [[3285, 0]]


def test_word_wider_than_a_bus_word_goes_on_in_the_next_slice() -> None:
    # high = -1 fills bits 11 to 40: 21 bits of slice 0 from bit 11 on, 9 bits of slice 1.
    packed = LAYOUT.pack({"low": [0], "middle": [0], "pair": [[0, 0]], "high": [-1]})
    assert packed.tolist() == [[0xFFFF_F800, 0x1FF]]


def test_sizes_and_offsets_follow_from_the_fields() -> None:
    assert LAYOUT.bits == 41
    assert LAYOUT.slices == 2
    assert [LAYOUT.offset(name) for name in ("low", "middle", "pair", "high")] == [0, 4, 7, 11]


def test_offset_of_an_unknown_field_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        LAYOUT.offset("nothing")


def test_inverted_field_holds_the_complement() -> None:
    layout = WordLayout("word", (Field("threshold", 8, signed=True, inverted=True),))
    # ~5 = -6 = 0xFA; ~-1 = 0; ~127 = 0x80; ~-128 = 0x7F
    words = layout.pack({"threshold": [5, -1, 127, -128]})
    assert words.tolist() == [[0xFA], [0], [0x80], [0x7F]]
    assert layout.unpack(words)["threshold"].tolist() == [5, -1, 127, -128]


@pytest.mark.parametrize(("bits", "signed"), [(1, False), (1, True), (32, False), (32, True), (7, False), (7, True)])
def test_limits_of_a_field_are_packed_and_what_lies_beyond_is_refused(bits: int, signed: bool) -> None:
    field = Field("value", bits, signed=signed)
    layout = WordLayout("word", (field,))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    assert (field.low, field.high) == (low, high)
    assert layout.unpack(layout.pack({"value": [low, high]}))["value"].tolist() == [low, high]
    for index, values in enumerate(([low - 1, low], [low, high + 1])):
        message = re.escape(f"word.value[{index}] is {values[index]}; it must be {low} to {high} (nearest: {(low, high)[index]})")
        with pytest.raises(ConfigError, match=f"^{message}$"):
            layout.pack({"value": values})


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64, np.bool_])
def test_any_integer_type_is_packed(kind: type) -> None:
    layout = WordLayout("word", (Field("value", 2),))
    assert layout.pack({"value": np.array([0, 1], kind)}).tolist() == [[0], [1]]


def test_large_unsigned_value_does_not_turn_negative() -> None:
    layout = WordLayout("word", (Field("value", 8, signed=True),))
    with pytest.raises(ConfigError, match=r"^word\.value\[0\] is 18446744073709551615; it must be -128 to 127 \(nearest: 127\)$"):
        layout.pack({"value": np.array([2**64 - 1], np.uint64)})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": [1]}, "word: the fields are ['a', 'b'], not ['a']"),
        ({"a": [1], "b": [[1, 1]], "c": [1]}, "word: the fields are ['a', 'b'], not ['a', 'b', 'c']"),
        ({"a": [1.0], "b": [[1, 1]]}, "word.a must be integers, not float64"),
        ({"a": [1, 2], "b": [[1, 1]]}, "word.b has shape (1, 2)"),
        ({"a": [1], "b": [1]}, "word.b has shape (1,)"),
        ({"a": [1], "b": [[1, 1, 1]]}, "word.b has shape (1, 3)"),
        ({"a": 1, "b": [[1, 1]]}, "word.a has shape ()"),
        ({"a": [1], "b": [[1, 4]]}, "word.b[0] is 4; it must be 0 to 3 (nearest: 3)"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], message: str) -> None:
    layout = WordLayout("word", (Field("a", 8), Field("b", 2, count=2)))
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        layout.pack(values)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 3)])
def test_words_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    message = re.escape(f"word: words must have shape [depth, 2], not {list(shape)}")
    with pytest.raises(ConfigError, match=f"^{message}$"):
        LAYOUT.unpack(np.zeros(shape, np.uint32))
