"""The Amaranth structure and numpy's packing come from one description, and agree."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.lib import data

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.layout import Field, WordLayout
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.hdl.layouts import struct_of

CONFIGS = {
    "default": CoreConfig(),
    "one lane": CoreConfig(axons=3, neurons=5, lanes=1, weight_bits=2),
    "wide": CoreConfig(axons=700, neurons=96, lanes=64, weight_bits=8, models=(Lif(state_bits=28, refractory_bits=4),)),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_packed_word_shows_the_same_fields_in_the_structure(config):
    rng = np.random.default_rng(1)
    for name, region in regions(config).items():
        layout, struct = region.layout, struct_of(region.layout)
        assert struct.size == layout.bits, name
        values = {
            field.name: rng.integers(field.low, field.high, (1, field.count) if field.count > 1 else 1, endpoint=True)
            for field in layout.fields
        }
        raw = sum(int(part) << 32 * i for i, part in enumerate(layout.pack(values)[0]))
        view = struct.from_bits(raw)
        for field in layout.fields:
            # A memory holds an inverted field as the complement; the structure shows what the memory holds.
            expected = np.atleast_1d(values[field.name]).reshape(-1) ^ (-1 if field.inverted else 0)
            found = [view[field.name]] if field.count == 1 else list(view[field.name])
            assert found == expected.tolist(), (name, field.name)


def test_fields_follow_each_other_from_bit_0():
    layout = WordLayout("word", (Field("a", 3), Field("b", 5, signed=True, count=2), Field("c", 1)))
    struct = struct_of(layout)
    assert [struct[name].offset for name in ("a", "b", "c")] == [layout.offset(name) for name in ("a", "b", "c")] == [0, 3, 13]
    assert isinstance(struct["b"].shape, data.ArrayLayout)
