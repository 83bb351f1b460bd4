"""Registers, tick control, outputs and encoder, request by request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import COUNTER_NAMES, RegionId, regions
from spikeloom.arch.packet import Destination
from spikeloom.arch.registers import (
    MAX_RUN,
    OUTPUT_ENTRIES,
    OUTPUT_WINDOW,
    OUTPUT_WINDOW_WORDS,
    REGISTERS,
    Access,
    Address,
    Status,
    constants,
)
from spikeloom.hdl.chip import ENCODER_REGISTERS, Chip
from tests.hdl.helpers import POISONED, cycles, get, pause, put, simulate
from tests.helpers import Contents, empty_contents, pack

OK, BUSY, BAD = Status.OK, Status.BUSY, Status.BAD_ADDRESS


def _config(**changes: Any) -> CoreConfig:
    arguments: dict[str, Any] = {
        "axons": 8,
        "neurons": 4,
        "lanes": 2,
        "weight_bits": 4,
        "weight_words": 8,
        "models": (Lif(state_bits=12, fraction_bits=0, bias_bits=8, refractory_bits=2),),
        "destinations": 8,
        "levels": 1,
    }
    return CoreConfig(**(arguments | changes))


class Bench:
    """A chip and its requests."""

    def __init__(self, config: CoreConfig, stalls: float = 0.0, encoder: str = "") -> None:
        self.config, self.stalls = ChipConfig(cores=(config,), encoder=encoder), stalls
        self.dut = Chip(config=self.config, fabric=POISONED, build=0x1234_5678, clock_khz=12_000)
        self.table = regions(config)
        self.rng = np.random.default_rng(1)
        self.stamp = -1

    async def request(self, ctx: Any, address: int, write: int, data: int = 0) -> tuple[Status, int]:
        await pause(ctx, self.rng, self.stalls)
        await put(ctx, self.dut.request, {"address": address, "write": write, "data": data})
        await pause(ctx, self.rng, self.stalls)
        answer = await get(ctx, self.dut.response)
        return Status(answer.status), answer.data

    async def write(self, ctx: Any, address: int, data: int) -> Status:
        return (await self.request(ctx, address, 1, data))[0]

    async def read(self, ctx: Any, address: int) -> int:
        status, data = await self.request(ctx, address, 0)
        assert status == OK
        return data

    async def wait(self, ctx: Any) -> None:
        while await self.read(ctx, Address.STATUS) & 1:
            pass

    async def load(self, ctx: Any, contents: Contents | None = None) -> None:
        """Wait until the chip has cleared itself, and write all memories."""
        await self.wait(ctx)
        core = self.config.cores[0]
        for name, words in pack(core, contents or empty_contents(core)).items():
            for index, word in enumerate(words.tolist()):
                for slice_, part in enumerate(word):
                    assert await self.write(ctx, self.table[name].address(index, slice_), part) == OK

    async def entries(self, ctx: Any, taken: int, written: int) -> list[int]:
        """Entries of the output memory, by their numbers; what passes its end is read from where it appears again."""
        first = OUTPUT_WINDOW + taken % OUTPUT_ENTRIES // 2
        words = [await self.read(ctx, first + k) for k in range((taken % 2 + written - taken + 1) // 2)]
        return [entry for word in words for entry in (word & 0xFFFF, word >> 16)][taken % 2 :][: written - taken]

    async def outputs(self, ctx: Any) -> list[tuple[int, int]]:
        """Everything in the queue: ticks and output numbers."""
        places = await self.read(ctx, Address.OUTPUTS)
        written, taken = places & 0xFFFF, places >> 16
        found = []
        for entry in await self.entries(ctx, taken, written):
            if entry >> 15:
                self.stamp = entry & 0x7FFF
            else:
                found.append((self.stamp, entry))
        assert await self.write(ctx, Address.OUTPUTS, written) == OK
        return found

    async def counter(self, ctx: Any, name: str) -> int:
        return await self.read(ctx, self.table["counters"].address(list(COUNTER_NAMES).index(name)))


Script = Callable[[Bench, Any], Coroutine[Any, Any, None]]


def run(script: Script, config: CoreConfig | None = None, *, stalls: float = 0.0, encoder: str = "", limit: int = 12_000) -> None:
    """Run a script of a host on a chip of one core."""
    bench = Bench(config or _config(), stalls, encoder)

    async def host(ctx: Any) -> None:
        await script(bench, ctx)

    simulate(bench.dut, host, limit=limit)


def _firing(config: CoreConfig, lists: dict[int, list[tuple[int, int, int]]]) -> Contents:
    """Neurons that fire in every tick, each with a list of (kind, delay, target)."""
    contents = empty_contents(config)
    entry = 0
    for neuron, chosen in lists.items():
        contents["firing"]["threshold"][neuron] = -1
        contents["route_index"]["first"][neuron] = entry
        contents["route_index"]["count"][neuron] = len(chosen)
        for kind, delay, target in chosen:
            for name, value in (("kind", kind), ("delay", delay), ("target", target)):
                contents["routes"][name][entry] = value
            entry += 1
    return contents


def _output(number: int) -> tuple[int, int, int]:
    return (Destination.OUTPUT, 0, number)


# Registers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stalls", [0.0, 0.6])
def test_constant_registers_describe_the_chip(stalls: float) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        expected = constants(bench.config, build=0x1234_5678, clock_khz=12_000)
        assert {register.address for register in REGISTERS if register.access == Access.CONSTANT} == set(expected)
        for address, value in expected.items():
            assert await bench.read(ctx, address) == value

    run(script, stalls=stalls)


def test_after_reset_the_chip_is_busy_then_idle_with_everything_zero() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        assert ctx.get(bench.dut.busy)
        assert await bench.read(ctx, Address.STATUS) == 1
        await bench.wait(ctx)
        assert not ctx.get(bench.dut.busy)
        for address in (Address.STATUS, Address.TICK, Address.OUTPUTS, Address.SETTLED, Address.READOUT, Address.PERIOD):
            assert await bench.read(ctx, address) == 0
        for name in ("state", "delays", "counters"):
            for index in range(bench.table[name].depth):
                assert await bench.read(ctx, bench.table[name].address(index)) == 0

    run(script)


def test_link_errors_come_from_the_port() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        ctx.set(bench.dut.link_errors, 0xDEAD_BEEF)
        assert await bench.read(ctx, Address.LINK_ERRORS) == 0xDEAD_BEEF

    run(script)


def test_accesses_that_the_table_does_not_list_are_bad_addresses_and_do_nothing() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx, _firing(bench.config.cores[0], {0: [_output(3)]}))
        for register in REGISTERS:
            if register.access in (Access.SETTING, Access.FREE):
                continue
            write = register.access != Access.WRITE
            status, _ = await bench.request(ctx, register.address, int(write), 1)
            assert status == BAD, (register.name, "write" if write else "read")
        # It has no encoder.
        for address in ENCODER_REGISTERS:
            assert await bench.write(ctx, address, 0) == BAD
        for address in (OUTPUT_WINDOW, OUTPUT_WINDOW + OUTPUT_WINDOW_WORDS - 1):
            assert await bench.write(ctx, address, 0) == BAD
            assert (await bench.request(ctx, address, 0))[0] == OK
        table = bench.table
        beyond = table["rows"].address() + 8
        for address in (
            max(Address) + 1,
            0x20,
            OUTPUT_WINDOW - 1,
            OUTPUT_WINDOW + OUTPUT_WINDOW_WORDS,
            0x1_0000 + OUTPUT_WINDOW,
            0x00FF_FFFF,
            0x10_0005,
            2 << 24,
            0xFFFF_FFFF,
            1 << 24 | 11 << 20,
            1 << 24 | 15 << 20,
            beyond,
        ):
            for write in (0, 1):
                assert (await bench.request(ctx, address, write, 1))[0] == BAD, hex(address)
        for name in ("state", "delays", "counters"):
            assert await bench.write(ctx, table[name].address(), 1) == BAD
            assert await bench.read(ctx, table[name].address()) == 0
        # A chip of one core has core 0 only.
        assert await bench.write(ctx, Address.EVENT, 1 << 20 | 1 << 16) == BAD
        assert (await bench.read(ctx, Address.TICK), await bench.read(ctx, Address.STATUS)) == (0, 0)

    run(script)


def test_period_is_kept_in_24_bits_and_a_lone_core_has_no_mesh_counters() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.wait(ctx)
        for word in (0xFFFF_FFFF, 0x1234_5678, 0):
            assert await bench.write(ctx, Address.PERIOD, word) == OK
            assert await bench.read(ctx, Address.PERIOD) == word & 0xFF_FFFF
        for register in (Address.OVERRUNS, Address.MISROUTED, Address.MESH_ERRORS, Address.MESH_REPEATS):
            assert await bench.read(ctx, register) == 0

    run(script)


def test_ticks_begin_exactly_a_period_apart() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        assert await bench.write(ctx, Address.PERIOD, 500) == OK
        assert await bench.write(ctx, Address.RUN, 4) == OK
        ends, before = [], 0
        for cycle in range(2200):
            now = ctx.get(bench.dut.busy)
            if before and not now:
                ends.append(cycle)
            before = now
            await ctx.tick()
        # Three periods, and the work of the last tick.
        assert len(ends) == 1
        assert 1500 < ends[0] < 1700
        assert await bench.read(ctx, Address.TICK) == 4
        assert await bench.read(ctx, Address.OVERRUNS) == 0

    run(script)


def test_memories_read_back_what_was_written() -> None:
    config = _config(weight_bits=16, lanes=4, weight_words=5)
    rng = np.random.default_rng(2)

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.wait(ctx)
        written = {}
        for region in bench.table.values():
            if not region.in_image:
                continue
            for index in range(region.depth):
                for slice_ in range(region.layout.slices):
                    bits = min(32, region.layout.bits - 32 * slice_)
                    written[region.address(index, slice_)] = int(rng.integers(1 << bits))
        for address, word in written.items():
            assert await bench.write(ctx, address, word) == OK
        for address, word in written.items():
            assert await bench.read(ctx, address) == word, hex(address)

    run(script, config)


def test_without_readback_only_the_counters_are_read() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        for region in bench.table.values():
            status, _ = await bench.request(ctx, region.address(), 0)
            assert status == (OK if region.id == RegionId.COUNTERS else BAD), region.name

    run(script, _config(readback=False))


# Busy -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_a_busy_chip_refuses_what_would_disturb_it_and_answers_the_rest(stalls: float) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        row = bench.table["rows"].address(3)
        before = await bench.read(ctx, row)
        assert await bench.write(ctx, Address.RUN, 30) == OK
        for address in (Address.RUN, Address.CLEAR, Address.EVENT, Address.PERIOD, Address.READOUT, row):
            assert await bench.write(ctx, address, 5) == BUSY
        assert (await bench.request(ctx, Address.SETTLED, 0))[0] == BUSY
        for address in (Address.PERIOD, Address.READOUT, Address.OUTPUTS, OUTPUT_WINDOW):
            assert await bench.read(ctx, address) == 0
        assert await bench.write(ctx, Address.OUTPUTS, 0) == OK
        assert (await bench.request(ctx, row, 0))[0] == BUSY
        assert await bench.read(ctx, Address.IDENT) == constants(bench.config)[Address.IDENT]
        for address in (Address.IDENT, Address.SETTLED, Address.INTENSITY, Address.EVENT):
            assert await bench.write(ctx, address, 1 << 20) == BAD
        status = await bench.read(ctx, Address.STATUS)
        done = await bench.read(ctx, Address.TICK)
        assert status & 1
        assert 0 < 30 - done - 2 <= status >> 16 <= 30
        await bench.wait(ctx)
        # Neither the second RUN, nor CLEAR, EVENT or the memory access had an effect.
        assert await bench.read(ctx, Address.TICK) == 30
        assert await bench.read(ctx, Address.STATUS) == 0
        assert await bench.read(ctx, row) == before
        assert await bench.counter(ctx, "dropped") == 0

    run(script, stalls=stalls)


def test_while_clearing_the_chip_is_busy() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        assert await bench.write(ctx, Address.CLEAR, 0) == OK
        assert await bench.write(ctx, Address.RUN, 1) == BUSY
        assert (await bench.request(ctx, bench.table["state"].address(), 0))[0] == BUSY
        await bench.wait(ctx)
        assert await bench.write(ctx, Address.RUN, 1) == OK

    run(script, _config(axons=200, weight_words=8))


def test_right_behind_a_run_the_chip_says_that_it_is_busy() -> None:
    # A driver that polls STATUS must not take the chip for idle before the tick has begun.
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        for tick in range(3):
            assert await bench.write(ctx, Address.RUN, 1) == OK
            assert await bench.read(ctx, Address.STATUS) & 1
            await bench.wait(ctx)
            assert await bench.read(ctx, Address.TICK) == tick + 1

    run(script)


# Running --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_each_tick_of_a_run_stamps_its_outputs(stalls: float) -> None:
    # Neuron 1 has two outputs, neuron 2 one, in every tick.
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx, _firing(bench.config.cores[0], {1: [_output(3), _output(0)], 2: [_output(2)]}))
        assert await bench.write(ctx, Address.RUN, 5) == OK
        await bench.wait(ctx)
        assert await bench.read(ctx, Address.STATUS) == 2
        expected = [(tick, number) for tick in range(5) for number in (3, 0, 2)]
        assert await bench.outputs(ctx) == expected
        assert await bench.read(ctx, Address.STATUS) == 0
        # Ticks go on where they ended; reading while they run loses nothing.
        assert await bench.write(ctx, Address.RUN, 4) == OK
        found = []
        while await bench.read(ctx, Address.STATUS) & 1:
            found += await bench.outputs(ctx)
        found += await bench.outputs(ctx)
        assert found == [(tick, number) for tick in range(5, 9) for number in (3, 0, 2)]
        assert await bench.read(ctx, Address.TICK) == 9
        assert await bench.counter(ctx, "spikes") == 18

    run(script, stalls=stalls)


def test_only_ticks_with_outputs_show_in_the_queue() -> None:
    # Neuron 0 has no bias; neuron 3 gets 1 per tick and fires above 2: in ticks 2, 5, 8.
    async def script(bench: Bench, ctx: Any) -> None:
        contents = _firing(bench.config.cores[0], {3: [_output(1)]})
        contents["firing"]["threshold"][3] = 2
        contents["own"]["bias"][3] = 1
        contents["parameters"]["retention"][3] = 4096
        await bench.load(ctx, contents)
        assert await bench.write(ctx, Address.RUN, 10) == OK
        await bench.wait(ctx)
        assert await bench.outputs(ctx) == [(2, 1), (5, 1), (8, 1)]

    run(script)


@pytest.mark.parametrize(("word", "ticks"), [(0, 0), (1, 1), (0x0003_0002, 2), (0xFFFF_0000, 0)])
def test_run_takes_the_lower_sixteen_bits(word: int, ticks: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        assert await bench.write(ctx, Address.RUN, word) == OK
        await bench.wait(ctx)
        await cycles(ctx, 100)
        assert await bench.read(ctx, Address.TICK) == ticks

    run(script)


def test_status_counts_the_ticks_left_of_the_longestrun() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        assert await bench.write(ctx, Address.RUN, MAX_RUN) == OK
        assert MAX_RUN - 2 <= await bench.read(ctx, Address.STATUS) >> 16 <= MAX_RUN

    run(script)


# Events ---------------------------------------------------------------------------------------------------------------------


def test_an_event_right_before_a_memory_access_is_not_lost() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        delays = bench.table["delays"]
        for axon in range(8):
            # Due at tick 2: slot 2, one word per slot.
            assert await bench.write(ctx, Address.EVENT, axon | 3 << 16) == OK
            assert await bench.read(ctx, delays.address(2)) == (1 << axon + 1) - 1
        for axon in range(8):
            assert await bench.write(ctx, Address.EVENT, axon | 1 << 16) == OK
            assert await bench.write(ctx, bench.table["weights"].address(axon), axon + 1) == OK
        assert await bench.read(ctx, delays.address(0)) == 0xFF
        for axon in range(8):
            assert await bench.read(ctx, bench.table["weights"].address(axon)) == axon + 1

    run(script)


def test_an_event_right_before_a_run_is_integrated_in_its_first_tick() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        for _ in range(3):
            assert await bench.write(ctx, Address.EVENT, 5 | 1 << 16) == OK
            assert await bench.write(ctx, Address.RUN, 1) == OK
            await bench.wait(ctx)
        assert await bench.counter(ctx, "events") == 3

    run(script)


def test_events_that_merge_or_name_nothing_are_counted() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        for word in (5 | 2 << 16, 5 | 2 << 16, 8 | 1 << 16, 0xFFFF | 1 << 16, 5):
            assert await bench.write(ctx, Address.EVENT, word) == OK
        assert (await bench.counter(ctx, "merged"), await bench.counter(ctx, "dropped")) == (1, 3)

    run(script)


def test_a_clear_right_behind_an_event_forgets_it() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx)
        for axon in range(3):
            assert await bench.write(ctx, Address.EVENT, axon | 1 << 16) == OK
        assert await bench.write(ctx, Address.CLEAR, 0) == OK
        await bench.wait(ctx)
        for slot in range(16):
            assert await bench.read(ctx, bench.table["delays"].address(slot)) == 0
        assert await bench.write(ctx, Address.RUN, 16) == OK
        await bench.wait(ctx)
        assert await bench.counter(ctx, "events") == 0

    run(script)


# Output queue and clear -----------------------------------------------------------------------------------------------------


def test_a_full_queue_holds_the_tick_up_and_loses_nothing() -> None:
    # 4 neurons fire in every tick with the same 40 outputs: 160 and a mark per tick; three ticks do not fit the 256 entries.
    config = _config(neurons=64, lanes=2, destinations=64)
    contents = _firing(config, {0: [_output(number) for number in range(40)]})
    for neuron in (1, 2, 3):
        contents["firing"]["threshold"][neuron] = -1
        contents["route_index"]["count"][neuron] = 40
    per_tick = [number for _ in range(4) for number in range(40)]
    assert 3 * len(per_tick) > OUTPUT_ENTRIES > len(per_tick)

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx, contents)
        assert await bench.write(ctx, Address.RUN, 3) == OK
        await cycles(ctx, 2000)
        # Stuck in the second tick.
        assert await bench.read(ctx, Address.STATUS) == 1 << 16 | 0b11
        assert await bench.read(ctx, Address.TICK) == 1
        assert await bench.write(ctx, Address.CLEAR, 0) == BUSY
        found = []
        while await bench.read(ctx, Address.STATUS) & 3:
            found += await bench.outputs(ctx)
        assert found == [(tick, number) for tick in range(3) for number in per_tick]

    run(script, config, limit=16_000)


def test_clear_empties_queue_state_events_counters_and_tick() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        contents = _firing(bench.config.cores[0], {1: [_output(3), (Destination.AXON, 15, 7)]})
        contents["own"]["bias"][:] = 3
        contents["parameters"]["retention"][:] = 4096
        contents["firing"]["refractory"][1] = 3
        await bench.load(ctx, contents)
        names = ("state", "delays", "counters")
        for _ in range(2):
            assert await bench.write(ctx, Address.RUN, 3) == OK
            await bench.wait(ctx)
            for name in names:
                region = bench.table[name]
                assert any([await bench.read(ctx, region.address(index)) for index in range(region.depth)])
            assert await bench.read(ctx, Address.TICK) == 3
            assert await bench.write(ctx, Address.CLEAR, 0xFFFF_FFFF) == OK
            await bench.wait(ctx)
            assert await bench.outputs(ctx) == []
            assert await bench.read(ctx, Address.STATUS) == 0
            assert await bench.read(ctx, Address.TICK) == 0
            for name in names:
                region = bench.table[name]
                assert not any([await bench.read(ctx, region.address(index)) for index in range(region.depth)])
        # The next tick is tick 0.
        assert await bench.write(ctx, Address.RUN, 1) == OK
        await bench.wait(ctx)
        assert await bench.outputs(ctx) == [(0, 3)]

    run(script)


@pytest.mark.parametrize("place", [OUTPUT_WINDOW, OUTPUT_WINDOW + OUTPUT_ENTRIES // 2])
def test_an_answer_is_held_until_it_is_taken(place: int) -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx, _firing(bench.config.cores[0], {0: [_output(2), _output(1)]}))
        assert await bench.write(ctx, Address.RUN, 1) == OK
        await bench.wait(ctx)
        await put(ctx, bench.dut.request, {"address": place, "write": 0, "data": 0})
        for _ in range(20):
            await ctx.tick()
            assert ctx.get(bench.dut.response.valid)
            assert ctx.get(bench.dut.response.payload.data) == 2 << 16 | 1 << 15
        assert (await get(ctx, bench.dut.response)).data == 2 << 16 | 1 << 15
        # Reading takes nothing.
        assert await bench.outputs(ctx) == [(0, 2), (0, 1)]

    run(script)


def test_settled_waits_for_the_last_output_and_outputs_does_not() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx, _firing(bench.config.cores[0], {0: [_output(2)] * 5}))
        for ticks in (1, 3):
            before = await bench.read(ctx, Address.SETTLED) & 0xFFFF
            assert await bench.write(ctx, Address.RUN, ticks) == OK
            polls = 0
            while (answer := await bench.request(ctx, Address.SETTLED, 0))[0] == BUSY:
                assert (await bench.request(ctx, Address.OUTPUTS, 0))[0] == OK
                polls += 1
            assert answer == (OK, before + 6 * ticks)
            assert polls > 0

    run(script)


def test_what_is_taken_is_set_at_any_time_and_read_in_the_upper_half() -> None:
    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx, _firing(bench.config.cores[0], {0: [_output(2)] * 3}))
        assert await bench.write(ctx, Address.RUN, 4) == OK
        await bench.wait(ctx)
        for place in (1, 16, 5):
            assert await bench.write(ctx, Address.OUTPUTS, 0xABCD_0000 | place) == OK
            assert await bench.read(ctx, Address.OUTPUTS) == place << 16 | 16
            assert (await bench.read(ctx, Address.STATUS) == 2) == (place != 16)
        assert await bench.entries(ctx, 0, 16) == [entry for tick in range(4) for entry in (1 << 15 | tick, 2, 2, 2)]

    run(script)


def test_as_counts_the_outputs_of_all_ticks_add_up_and_nothing_waits() -> None:
    # 160 outputs per tick would fill the queue in the second one.
    config = _config(neurons=64, lanes=2, destinations=64)
    contents = _firing(config, {0: [_output(number) for number in range(40)]})
    for neuron in (1, 2, 3):
        contents["firing"]["threshold"][neuron] = -1
        contents["route_index"]["count"][neuron] = 40 if neuron == 1 else 7

    async def script(bench: Bench, ctx: Any) -> None:
        await bench.load(ctx, contents)
        assert await bench.write(ctx, Address.READOUT, 1) == OK
        assert await bench.read(ctx, Address.READOUT) == 1
        for ticks in (4, 2):
            assert await bench.write(ctx, Address.CLEAR, 0) == OK
            await bench.wait(ctx)
            assert not any(await bench.entries(ctx, 0, 48))
            assert await bench.write(ctx, Address.RUN, ticks) == OK
            await bench.wait(ctx)
            assert await bench.entries(ctx, 0, 48) == [4 * ticks] * 7 + [2 * ticks] * 33 + [0] * 8
            assert await bench.read(ctx, Address.OUTPUTS) == 0
            assert await bench.read(ctx, Address.STATUS) == 0
        assert await bench.write(ctx, Address.READOUT, 0) == OK
        assert await bench.write(ctx, Address.CLEAR, 0) == OK
        await bench.wait(ctx)
        assert await bench.write(ctx, Address.RUN, 1) == OK
        await bench.wait(ctx)
        assert len(await bench.outputs(ctx)) == 94

    run(script, config, limit=30_000)
