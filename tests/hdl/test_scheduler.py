"""Random deposits and scans against a dict of sets, and the cycles of ``docs/scheduler.md``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import DELAY_SLOTS, MAX_DELAY, CoreConfig
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.scheduler import Scheduler
from tests.hdl.helpers import POISONED, POISONED_ECP5, bus_read, cycles, pause, put, simulate


def _config(axons: int) -> CoreConfig:
    return CoreConfig(axons=axons, neurons=2, lanes=1)


@dataclass
class Model:
    """What the scheduler should hold, from the events as it takes them; compares each tick's axons."""

    dut: Scheduler
    pending: dict[int, set[int]] = field(default_factory=dict)
    merged: int = 0
    dropped: int = 0
    seen_merged: int = 0
    seen_dropped: int = 0
    due: list[int] = field(default_factory=list)
    given: list[int] = field(default_factory=list)

    def deposit(self, slot: int, axon: int, delay: int) -> None:
        if axon >= self.dut.config.axons or delay == 0:
            self.dropped += 1
            return
        axons = self.pending.setdefault((slot + delay) % DELAY_SLOTS, set())
        self.merged += axon in axons
        axons.add(axon)

    async def watch(self, ctx: Any) -> None:
        dut = self.dut
        held = None
        while True:
            internal, external, axons = dut.internal, dut.external, dut.axons
            _, _, slot, start, merged, dropped, inside, inside_ready, event, outside, outside_ready, other, valid, ready, axon = (
                await ctx.tick().sample(
                    dut.slot, dut.start, dut.merged, dut.dropped, internal.valid, internal.ready, internal.payload, external.valid,
                    external.ready, external.payload, axons.valid, axons.ready, axons.payload,
                )
            )  # fmt: skip
            self.seen_merged += merged
            self.seen_dropped += dropped
            assert inside_ready
            assert not (inside and outside_ready), "internal events have priority"
            if inside:
                self.deposit(slot, event.axon, event.delay)
            if outside and outside_ready:
                self.deposit(slot, other.axon, other.delay)
            if start:
                self.due, self.given = sorted(self.pending.pop(slot, set())), []
            assert held is None or (valid and axon == held)
            held = axon if valid and not ready else None
            if valid and ready:
                self.given.append(axon)


async def _scan(ctx: Any, dut: Scheduler, model: Model, rng: np.random.Generator, stalls: float) -> None:
    """Begin the next tick and take its axons."""
    ctx.set(dut.slot, (ctx.get(dut.slot) + 1) % DELAY_SLOTS)
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    assert not ctx.get(dut.done)
    while not ctx.get(dut.done):
        ctx.set(dut.axons.ready, int(rng.random() >= stalls))
        await ctx.tick()
    ctx.set(dut.axons.ready, 0)
    assert model.given == model.due


async def _settle(ctx: Any, dut: Scheduler) -> None:
    while not ctx.get(dut.quiet):
        await ctx.tick()
    # ``merged`` comes a cycle after the write.
    await cycles(ctx, 2)


def _event(rng: np.random.Generator, axons: int) -> dict[str, int]:
    """Mostly a legal one, often for the same few axons."""
    few = rng.random() < 0.5
    axon = int(rng.integers(0, min(4, axons)) if few else rng.integers(0, axons))
    if rng.random() < 0.1:
        axon = int(rng.choice([axons, axons + 1, 2 * axons + 17, 65535]))
    delay = int(rng.integers(1, 4) if few else rng.integers(1, DELAY_SLOTS))
    return {"axon": axon, "delay": 0 if rng.random() < 0.05 else delay}


@pytest.mark.parametrize(
    ("axons", "stalls", "fabric"),
    [(1, 0.0, GENERIC), (16, 0.4, POISONED), (17, 0.0, POISONED), (40, 0.5, POISONED_ECP5), (100, 0.2, POISONED)],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_random_events_and_scans_equal_a_dict_of_sets(axons: int, stalls: float, fabric: Fabric) -> None:
    dut = Scheduler(config=_config(axons), fabric=fabric)
    model = Model(dut)
    ended = False

    async def core(ctx: Any) -> None:
        nonlocal ended
        rng = np.random.default_rng([axons, 1])
        for _ in range(40):
            # The update: internal events, often in neighbouring cycles.
            gaps = rng.choice([0.0, 0.5])
            for _ in range(int(rng.choice([0, 3, 20]))):
                await pause(ctx, rng, gaps)
                await put(ctx, dut.internal, _event(rng, axons))
            await pause(ctx, rng, 0.7)
            await _scan(ctx, dut, model, rng, stalls)
        ended = True

    async def host(ctx: Any) -> None:
        # Events from outside come whenever they like.
        rng = np.random.default_rng([axons, 2])
        while not ended:
            await pause(ctx, rng, rng.choice([0.0, 0.8, 0.95]))
            await put(ctx, dut.external, _event(rng, axons))
        await _settle(ctx, dut)
        assert (model.seen_merged, model.seen_dropped) == (model.merged, model.dropped)
        assert min(model.merged, model.dropped) > 10

    simulate(dut, core, host, watchers=[model.watch], limit=20_000)


@pytest.mark.parametrize("delay", [1, 2, 7, MAX_DELAY])
def test_an_event_comes_after_its_delay_and_only_then(delay: int) -> None:
    dut = Scheduler(config=_config(40), fabric=GENERIC)
    model = Model(dut)

    async def bench(ctx: Any) -> None:
        rng = np.random.default_rng(1)
        ctx.set(dut.slot, 9)
        await put(ctx, dut.external, {"axon": 33, "delay": delay})
        for tick in range(1, 2 * DELAY_SLOTS):
            await _scan(ctx, dut, model, rng, 0.0)
            assert model.given == ([33] if tick == delay else [])

    simulate(dut, bench, watchers=[model.watch], limit=2000)


@pytest.mark.parametrize("fabric", [POISONED, POISONED_ECP5], ids=lambda fabric: fabric.name)
def test_events_for_one_word_in_neighbouring_cycles_are_all_kept(fabric: Fabric) -> None:
    dut = Scheduler(config=_config(40), fabric=fabric)
    model = Model(dut)
    # All bits of a word, one per cycle; then each distance from 1 to 4 between two events for the same axon.
    axons = [*range(16, 32), 35, 35, 0, 1, 0, 1, 2, 3, 4, 2, 3, 4, 32, 33, 34, 36, 32]

    async def bench(ctx: Any) -> None:
        for axon in axons:
            await put(ctx, dut.internal, {"axon": axon, "delay": 3})
        await _settle(ctx, dut)
        assert (model.seen_merged, model.seen_dropped) == (len(axons) - len(set(axons)), 0)
        for _ in range(2):
            await _scan(ctx, dut, model, np.random.default_rng(1), 0.0)
            assert model.given == []
        await _scan(ctx, dut, model, np.random.default_rng(1), 0.0)
        assert model.given == sorted(set(axons))

    simulate(dut, bench, watchers=[model.watch], limit=500)


def test_a_dropped_event_touches_nothing() -> None:
    dut = Scheduler(config=_config(20), fabric=GENERIC)
    model = Model(dut)

    async def bench(ctx: Any) -> None:
        # 36 = 20 + 16 has the low bits of axon 4; 20 is the first that does not exist though its bit does.
        for axon, delay in ((20, 1), (36, 1), (65535, 1), (4, 0)):
            await put(ctx, dut.external, {"axon": axon, "delay": delay})
        await _settle(ctx, dut)
        assert (model.seen_dropped, model.seen_merged) == (4, 0)
        for _ in range(DELAY_SLOTS):
            await _scan(ctx, dut, model, np.random.default_rng(1), 0.0)
            assert model.given == []

    simulate(dut, bench, watchers=[model.watch], limit=1000)


def test_external_events_wait_while_internal_ones_come() -> None:
    dut = Scheduler(config=_config(20), fabric=GENERIC)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.external.payload, {"axon": 1, "delay": 1})
        ctx.set(dut.external.valid, 1)
        ctx.set(dut.internal.payload, {"axon": 2, "delay": 1})
        ctx.set(dut.internal.valid, 1)
        for _ in range(10):
            *_, ready = await ctx.tick().sample(dut.external.ready)
            assert not ready
        ctx.set(dut.internal.valid, 0)
        *_, ready = await ctx.tick().sample(dut.external.ready)
        assert ready

    simulate(dut, bench, limit=50)


def test_external_events_wait_while_a_scan_needs_the_memory() -> None:
    config = _config(200)
    dut = Scheduler(config=config, fabric=GENERIC)
    model = Model(dut)
    cycle = 0
    taken: list[int] = []

    async def count(ctx: Any) -> None:
        nonlocal cycle
        while True:
            await ctx.tick()
            cycle += 1

    async def bench(ctx: Any) -> None:
        ctx.set(dut.slot, 1)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for axon in range(3):
            await put(ctx, dut.external, {"axon": axon, "delay": 1})
            taken.append(cycle)
        assert not ctx.get(dut.merged)
        await _scan(ctx, dut, model, np.random.default_rng(1), 0.0)
        assert model.given == [0, 1, 2]

    simulate(dut, bench, watchers=[count, model.watch], limit=200)
    # One waits in the register; the others come when all words of the slot have been read.
    assert taken[0] <= 2
    assert taken[1] >= config.delay_words


def test_clear_empties_the_memory() -> None:
    dut = Scheduler(config=_config(40), fabric=GENERIC)
    model = Model(dut)

    async def bench(ctx: Any) -> None:
        rng = np.random.default_rng(1)
        for _ in range(40):
            await put(ctx, dut.external, {"axon": int(rng.integers(40)), "delay": int(rng.integers(1, DELAY_SLOTS))})
        await _settle(ctx, dut)
        ctx.set(dut.clear, 1)
        for index in range(dut.depth):
            ctx.set(dut.clear_index, index)
            await ctx.tick()
        ctx.set(dut.clear, 0)
        model.pending.clear()
        for _ in range(DELAY_SLOTS):
            await _scan(ctx, dut, model, rng, 0.0)
            assert model.given == []

    simulate(dut, bench, watchers=[model.watch], limit=1500)


def test_the_bus_shows_pending_events() -> None:
    config = _config(40)
    dut = Scheduler(config=config, fabric=GENERIC)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.clear, 1)
        for index in range(dut.depth):
            ctx.set(dut.clear_index, index)
            await ctx.tick()
        ctx.set(dut.clear, 0)
        ctx.set(dut.slot, 14)
        for axon, delay in ((0, 1), (15, 1), (39, 1), (17, 3)):
            await put(ctx, dut.external, {"axon": axon, "delay": delay})
        await _settle(ctx, dut)
        words = [await bus_read(ctx, dut.bus, index) for index in range(dut.depth)]
        # 40 axons take 3 words, padded to 4 per slot: word slot * 4 + axon // 16.
        expected = {15 * 4: 1 << 0 | 1 << 15, 15 * 4 + 2: 1 << 7, 1 * 4 + 1: 1 << 1}
        assert words == [expected.get(index, 0) for index in range(64)]

    simulate(dut, bench, limit=1000)


# Cycles of docs/scheduler.md ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axons", [1, 16, 17, 100])
def test_empty_slot_takes_a_cycle_per_word_and_four_more(axons: int) -> None:
    config = _config(axons)
    dut = Scheduler(config=config, fabric=GENERIC)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        passed = 1
        while not ctx.get(dut.done):
            await ctx.tick()
            passed += 1
        assert passed == config.delay_words + 4

    simulate(dut, bench, limit=200)


def test_an_axon_appears_five_cycles_after_its_word_was_read() -> None:
    dut = Scheduler(config=_config(40), fabric=GENERIC)

    async def bench(ctx: Any) -> None:
        await put(ctx, dut.external, {"axon": 35, "delay": 1})
        await _settle(ctx, dut)
        ctx.set(dut.slot, 1)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        # Word 0 is read in the cycle after start, word 2 two cycles later.
        passed = 1
        while not ctx.get(dut.axons.valid):
            await ctx.tick()
            passed += 1
        assert passed == 1 + 2 + 5

    simulate(dut, bench, limit=100)


def test_quiet_is_low_for_the_three_cycles_of_a_deposit() -> None:
    dut = Scheduler(config=_config(40), fabric=GENERIC)

    async def bench(ctx: Any) -> None:
        assert ctx.get(dut.quiet)
        await put(ctx, dut.external, {"axon": 35, "delay": 1})
        low = 0
        while not ctx.get(dut.quiet):
            await ctx.tick()
            low += 1
        assert low == 3

    simulate(dut, bench, limit=100)
