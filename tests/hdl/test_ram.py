# amaranth: UnusedElaboratable=no
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.arch.registers import Address
from spikeloom.hdl.fabric import ECP5, GENERIC, ICE40_ULTRAPLUS, Fabric
from spikeloom.hdl.ram import SPRAM_DEPTH, BankedRam, Ram
from spikeloom.sim.rtl_bus import RtlBus
from tests.hdl.helpers import POISONED, bus_read, bus_write, cycles, simulate


def _word(rng: np.random.Generator, bits: int) -> int:
    return int.from_bytes(rng.bytes(-(-bits // 8)), "little") & ((1 << bits) - 1)


# Ram ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fabric", [GENERIC, POISONED], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize(("width", "depth"), [(1, 1), (16, 2), (32, 5), (33, 16), (70, 7)])
def test_random_reads_and_writes_equal_a_list(width: int, depth: int, fabric: Fabric) -> None:
    dut = Ram(width=width, depth=depth, fabric=fabric)
    slices = -(-width // 32)

    async def bench(ctx: Any) -> None:
        rng = np.random.default_rng([width, depth])
        words = [0] * depth
        expected = None
        for _ in range(150):
            read, write = int(rng.integers(depth)), int(rng.integers(depth))
            enable, mask, value = int(rng.random() < 0.7), int(rng.integers(1 << slices)), _word(rng, width)
            ctx.set(dut.read_address, read)
            ctx.set(dut.read_enable, enable)
            ctx.set(dut.write_address, write)
            ctx.set(dut.write_enable, mask)
            ctx.set(dut.write_data, value)
            if enable:
                # What a read gives of a word that is being written is undefined.
                expected = None if read == write and mask else words[read]
            for i in range(slices):
                if mask >> i & 1:
                    part = ((1 << min(32, width - 32 * i)) - 1) << 32 * i
                    words[write] = words[write] & ~part | value & part
            await ctx.tick()
            # Without a read, the word of the last one is still there.
            assert expected is None or ctx.get(dut.read_data) == expected

    simulate(dut, bench, limit=200)


def test_a_poisoned_collision_gives_the_inverted_word_and_only_a_collision_does() -> None:
    dut = Ram(width=40, depth=4, fabric=POISONED)

    async def step(ctx: Any, read: int | None, write: int | None, mask: int = 0b11, value: int = 0) -> int:
        ctx.set(dut.read_address, read or 0)
        ctx.set(dut.read_enable, int(read is not None))
        ctx.set(dut.write_address, write or 0)
        ctx.set(dut.write_enable, 0 if write is None else mask)
        ctx.set(dut.write_data, value)
        await ctx.tick()
        return int(ctx.get(dut.read_data))

    async def bench(ctx: Any) -> None:
        old, new = 0xAB_1234_5678, 0x0F_0000_FFFF
        await step(ctx, None, 2, value=old)
        assert await step(ctx, 2, None) == old
        assert await step(ctx, 2, 3, value=new) == old
        # A write of one slice spoils that slice alone; it stays spoilt while nothing is read.
        assert await step(ctx, 2, 2, 0b01, new) == old ^ 0xFFFF_FFFF
        assert await step(ctx, None, None) == old ^ 0xFFFF_FFFF
        assert await step(ctx, 2, 2, 0b11, new) == ((old & ~0xFFFF_FFFF | new & 0xFFFF_FFFF) ^ ((1 << 40) - 1))
        # The memory itself holds what was written.
        assert await step(ctx, 2, None) == new

    simulate(dut, bench, limit=50)


def test_a_weight_memory_beyond_the_spram_is_refused() -> None:
    Ram(width=64, depth=SPRAM_DEPTH, fabric=ICE40_ULTRAPLUS, style="spram")
    with pytest.raises(ConfigError, match=r"^the weight memory has 16385 words; the part's SPRAM holds 16384$"):
        Ram(width=64, depth=SPRAM_DEPTH + 1, fabric=ICE40_ULTRAPLUS, style="spram")


# BankedRam ------------------------------------------------------------------------------------------------------------------

SHAPES = [(1, 1, 1), (20, 9, 1), (32, 8, 4), (40, 10, 2), (100, 6, 4), (8, 16, 16)]


@pytest.mark.parametrize("fabric", [POISONED, ECP5], ids=lambda fabric: fabric.name)
@pytest.mark.parametrize(("width", "depth", "banks"), SHAPES)
def test_words_that_the_bus_writes_stand_side_by_side_in_rows(width: int, depth: int, banks: int, fabric: Fabric) -> None:
    dut = BankedRam(width=width, depth=depth, banks=banks, fabric=fabric)
    slices = -(-width // 32)
    assert dut.rows == -(-depth // banks)

    async def bench(ctx: Any) -> None:
        rng = np.random.default_rng([width, depth, banks])
        words = [_word(rng, width) for _ in range(depth)]
        for index in rng.permutation(depth).tolist():
            await bus_write(ctx, dut.bus, index, [words[index] >> 32 * s & 0xFFFF_FFFF for s in range(slices)])
        for row in range(dut.rows):
            ctx.set(dut.read_address, row)
            ctx.set(dut.read_enable, 1)
            await ctx.tick()
            ctx.set(dut.read_enable, 0)
            row_words = words[row * banks : (row + 1) * banks]
            got = ctx.get(dut.read_data) & ((1 << width * len(row_words)) - 1)
            assert got == sum(word << width * i for i, word in enumerate(row_words))
        # One slice anew; its neighbours stay.
        index, slice_ = int(rng.integers(depth)), int(rng.integers(slices))
        part = _word(rng, min(32, width - 32 * slice_))
        ctx.set(dut.bus.select, 1)
        ctx.set(dut.bus.index, index)
        ctx.set(dut.bus.slice, slice_)
        ctx.set(dut.bus.data, part)
        ctx.set(dut.bus.write, 1)
        await ctx.tick()
        ctx.set(dut.bus.write, 0)
        ctx.set(dut.bus.select, 0)
        await ctx.tick()
        mask = ((1 << min(32, width - 32 * slice_)) - 1) << 32 * slice_
        words[index] = words[index] & ~mask | part << 32 * slice_
        for index in range(depth):
            for s in range(slices):
                assert await bus_read(ctx, dut.bus, index, s) == words[index] >> 32 * s & 0xFFFF_FFFF

    simulate(dut, bench, limit=1000)


@pytest.mark.parametrize("fabric", [GENERIC, ECP5], ids=lambda fabric: fabric.name)
def test_the_bus_reads_a_memory_that_the_core_writes_but_cannot_write_it(fabric: Fabric) -> None:
    dut = BankedRam(width=40, depth=8, banks=4, writable=True, fabric=fabric)

    async def bench(ctx: Any) -> None:
        words = [0x11_0000_0000 * (k + 1) | 0xA0 + k for k in range(8)]
        for row in range(2):
            ctx.set(dut.write_address, row)
            ctx.set(dut.write_data, sum(word << 40 * i for i, word in enumerate(words[4 * row : 4 * row + 4])))
            ctx.set(dut.write_enable, 1)
            await ctx.tick()
        ctx.set(dut.write_enable, 0)
        await bus_write(ctx, dut.bus, 5, [0xFFFF_FFFF, 0xFF])
        for index, word in enumerate(words):
            assert await bus_read(ctx, dut.bus, index, 0) == word & 0xFFFF_FFFF
            assert await bus_read(ctx, dut.bus, index, 1) == word >> 32

    simulate(dut, bench, limit=500)


@pytest.mark.parametrize("fabric", [GENERIC, ECP5], ids=lambda fabric: fabric.name)
def test_bus_data_is_zero_unless_selected_and_held_while_selected(fabric: Fabric) -> None:
    dut = BankedRam(width=32, depth=4, fabric=fabric)

    async def bench(ctx: Any) -> None:
        await bus_write(ctx, dut.bus, 3, [0xDEAD_BEEF])
        ctx.set(dut.read_address, 3)
        ctx.set(dut.read_enable, 1)
        await cycles(ctx, 3)
        assert ctx.get(dut.read_data) == 0xDEAD_BEEF
        assert ctx.get(dut.bus.read_data) == 0
        ctx.set(dut.read_enable, 0)
        ctx.set(dut.bus.select, 1)
        ctx.set(dut.bus.index, 3)
        await cycles(ctx, 3)
        for _ in range(5):
            assert ctx.get(dut.bus.read_data) == 0xDEAD_BEEF
            await ctx.tick()
        ctx.set(dut.bus.select, 0)
        await ctx.tick()
        assert ctx.get(dut.bus.read_data) == 0

    simulate(dut, bench, limit=100)


def test_without_readback_the_bus_writes_but_reads_nothing() -> None:
    dut = BankedRam(width=32, depth=4, readback=False, fabric=GENERIC)

    async def bench(ctx: Any) -> None:
        await bus_write(ctx, dut.bus, 2, [77])
        assert await bus_read(ctx, dut.bus, 2) == 0
        ctx.set(dut.read_address, 2)
        ctx.set(dut.read_enable, 1)
        await ctx.tick()
        assert ctx.get(dut.read_data) == 77

    simulate(dut, bench, limit=50)


# SPRAM ----------------------------------------------------------------------------------------------------------------------


def test_weights_in_the_spram_model_read_back_as_written() -> None:
    # Four memories of 16 bits side by side; the last word, too.
    config = CoreConfig(
        axons=4,
        neurons=16,
        weight_bits=4,
        lanes=16,
        weight_words=SPRAM_DEPTH,
        counters=False,
        levels=1,
        models=(Lif(state_bits=12, refractory_bits=0, bias_bits=0, resets="absolute"),),
    )
    region = regions(config)["weights"]
    bus = RtlBus(ChipConfig(cores=(config,)), ICE40_ULTRAPLUS)
    while int(bus.read(Address.STATUS, 1)[0]) & 1:
        pass
    indices = (0, 1, 8191, 8192, SPRAM_DEPTH - 1)
    words = np.random.default_rng(1).integers(0, 1 << 32, (len(indices), 2)).astype(np.uint32)
    for index, word in zip(indices, words, strict=True):
        bus.write(region.address(index), word)
    for index, word in zip(indices, words.tolist(), strict=True):
        assert bus.read(region.address(index), 2).tolist() == word
    # A slice anew: the other one stays.
    before = bus.read(region.address(1), 2).tolist()
    bus.write(region.address(1, 1), np.array([0x1234_5678], np.uint32))
    assert bus.read(region.address(1), 2).tolist() == [before[0], 0x1234_5678]
    bus.close()
