# amaranth: UnusedElaboratable=no
"""The core's loading bus, region by region: answers, refusals, reading back. Ticks are compared in ``tests/sim/test_core.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import CORE_ADDRESS_BITS, REGION_SHIFT, RegionId, regions
from spikeloom.arch.registers import Status
from spikeloom.hdl.core import Core, empty_tick
from tests.hdl.helpers import POISONED, cycles, get, put, simulate

LIF = Lif(state_bits=12, fraction_bits=0, bias_bits=8, refractory_bits=2)
ARGUMENTS: dict[str, Any] = {
    "axons": 6,
    "neurons": 8,
    "lanes": 2,
    "weight_words": 8,
    "destinations": 8,
    "levels": 2,
    "models": (LIF,),
}
CONFIGS = {
    "one model": CoreConfig(**ARGUMENTS),
    "no counters, two pipelines, groups": CoreConfig(**ARGUMENTS | {"counters": False, "pipelines": 2, "group": 4}),
    "every region": CoreConfig(
        **ARGUMENTS
        | {
            "weight_bits": 1,
            "stochastic_synapses": True,
            "pipelines": 2,
            "sets": 3,
            "models": (LIF, Izhikevich(multiplier_bits=16, substeps=1, multipliers=3)),
        }
    ),
}


class Bus:
    """A core and its requests."""

    def __init__(self, config: CoreConfig) -> None:
        self.dut = Core(config=config, fabric=POISONED)
        self.table = regions(config)

    async def ready(self, ctx: Any) -> None:
        ctx.set(self.dut.outputs.ready, 1)
        while not ctx.get(self.dut.idle):
            await ctx.tick()

    async def request(self, ctx: Any, address: int, write: int = 0, word: int = 0) -> tuple[Status, int]:
        await put(ctx, self.dut.request, {"address": address & ((1 << CORE_ADDRESS_BITS) - 1), "write": write, "data": word})
        answer = await get(ctx, self.dut.response)
        return Status(answer.status), answer.data

    async def read(self, ctx: Any, name: str, index: int, slice_: int = 0) -> int:
        status, word = await self.request(ctx, self.table[name].address(index, slice_))
        assert status == Status.OK
        return word


def _mask(bits: int, slice_: int) -> int:
    """Bits of a slice that a word has."""
    return (1 << min(32, bits - 32 * slice_)) - 1


@pytest.mark.parametrize("name", CONFIGS)
def test_every_word_of_an_image_is_written_and_read_back(name: str) -> None:
    bus = Bus(CONFIGS[name])
    rng = np.random.default_rng(1)

    async def bench(ctx: Any) -> None:
        await bus.ready(ctx)
        written = {}
        for region in bus.table.values():
            for index in range(region.depth if region.in_image else 0):
                for slice_ in range(region.layout.slices):
                    word = int(rng.integers(0, 1 << 32))
                    assert (await bus.request(ctx, region.address(index, slice_), 1, word))[0] == Status.OK
                    written[region.name, index, slice_] = word & _mask(region.layout.bits, slice_)
        # All memories are different ones.
        for (region_name, index, slice_), word in written.items():
            assert await bus.read(ctx, region_name, index, slice_) == word, (region_name, index, slice_)

    simulate(bus.dut, bench, limit=60_000)


@pytest.mark.parametrize("name", CONFIGS)
def test_addresses_without_a_memory_are_refused(name: str) -> None:
    bus = Bus(CONFIGS[name])
    there = {region.id for region in bus.table.values()}

    async def bench(ctx: Any) -> None:
        await bus.ready(ctx)
        for number in range(16):
            if number not in there:
                for write in (0, 1):
                    assert await bus.request(ctx, number << REGION_SHIFT, write, 1) == (Status.BAD_ADDRESS, 0)
        for region in bus.table.values():
            depth = 1 << max(1, (region.depth - 1).bit_length())
            for write in (0, 1):
                beyond = await bus.request(ctx, region.address(depth), write, 1)
                assert beyond == (Status.BAD_ADDRESS, 0), region.name
            if not region.in_image:
                assert await bus.request(ctx, region.address(0), 1, 1) == (Status.BAD_ADDRESS, 0), region.name
                assert await bus.read(ctx, region.name, 0) == 0

    simulate(bus.dut, bench, limit=20_000)


@pytest.mark.parametrize("name", CONFIGS)
def test_without_readback_only_counters_are_read(name: str) -> None:
    bus = Bus(CoreConfig(**{field: getattr(CONFIGS[name], field) for field in CoreConfig.__slots__} | {"readback": False}))

    async def bench(ctx: Any) -> None:
        await bus.ready(ctx)
        for region in bus.table.values():
            read = (await bus.request(ctx, region.address(0)))[0]
            assert read == (Status.OK if region.id == RegionId.COUNTERS else Status.BAD_ADDRESS), region.name
            write = (await bus.request(ctx, region.address(0), 1, 1))[0]
            assert write == (Status.OK if region.in_image else Status.BAD_ADDRESS), region.name

    simulate(bus.dut, bench, limit=20_000)


def test_requests_wait_while_a_tick_runs() -> None:
    bus = Bus(CONFIGS["one model"])
    dut = bus.dut

    async def bench(ctx: Any) -> None:
        await bus.ready(ctx)
        lengths = []
        # All neurons take part, and none fires.
        firing = bus.table["firing"].layout.pack({name: [0] for name in ("threshold", "reset", "refractory")})
        for name, word in (("control", 7), ("firing", int(firing[0, 0]))):
            for index in range(bus.table[name].depth):
                assert (await bus.request(ctx, bus.table[name].address(index), 1, word))[0] == Status.OK
        for tick in range(1, 3):
            ctx.set(dut.tick, 1)
            await ctx.tick()
            ctx.set(dut.tick, 0)
            assert not ctx.get(dut.idle)
            assert await bus.read(ctx, "counters", 0) == tick
            assert ctx.get(dut.idle)
            lengths.append(await bus.read(ctx, "counters", 1))
        # Nothing is counted while the core is idle.
        await cycles(ctx, 3)
        assert await bus.read(ctx, "counters", 1) == lengths[1] == 2 * lengths[0] == 2 * empty_tick(CONFIGS["one model"])

    simulate(bus.dut, bench, limit=2_000)
