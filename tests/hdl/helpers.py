"""Testbenches on Amaranth's simulator: streams with random pauses, the loading bus, and a bound on the cycles."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import numpy as np
from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator

from spikeloom.hdl.fabric import Fabric

#: What a read gives of a word that is being written is poisoned, so a block that depends on it fails.
POISONED = Fabric(name="poisoned", poison_collisions=True)
#: As on an ECP5, with poison.
POISONED_ECP5 = Fabric(name="poisoned ecp5", lut_ram_depth=8, slow_block_ram=True, block_ram_depth=16384, poison_collisions=True)

Bench = Callable[[Any], Coroutine[Any, Any, None]]


def simulate(component: Elaboratable, *benches: Bench, watchers: Iterable[Bench] = (), limit: int = 10_000) -> None:
    """Run testbenches side by side until all have ended; a design that hangs fails.

    Parameters
    ----------
    component : Elaboratable
        Device under test.
    benches : async functions of the simulator's context
        They drive.
    watchers : async functions
        They look on, and need not end.
    limit : int
        Clock cycles after which the test fails.
    """

    async def watchdog(ctx: Any) -> None:
        await cycles(ctx, limit)
        raise AssertionError(f"still running after {limit} cycles")

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    # Watchers first: a bench then finds all that they saw up to the last clock edge.
    for watcher in (*watchers, watchdog):
        simulator.add_testbench(watcher, background=True)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


# Amaranth's own repeat() and until() complain when a simulation ends before them, so waiting is written as loops here.


async def cycles(ctx: Any, count: int) -> None:
    """Wait."""
    for _ in range(count):
        await ctx.tick()


async def pause(ctx: Any, rng: np.random.Generator, chance: float) -> None:
    """Wait for as many cycles as chance has it."""
    while rng.random() < chance:
        await ctx.tick()


async def put(ctx: Any, stream: Any, payload: Any) -> None:
    """Hand one payload over."""
    ctx.set(stream.payload, payload)
    ctx.set(stream.valid, 1)
    ready = False
    while not ready:
        *_, ready = await ctx.tick().sample(stream.ready)
    ctx.set(stream.valid, 0)


async def get(ctx: Any, stream: Any) -> Any:
    """Take one payload."""
    ctx.set(stream.ready, 1)
    valid = False
    while not valid:
        *_, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
    ctx.set(stream.ready, 0)
    return payload


def source(stream: Any, payloads: Iterable[Any], rng: np.random.Generator, chance: float = 0.0) -> Bench:
    """A bench that hands all payloads over, with pauses."""

    async def bench(ctx: Any) -> None:
        for payload in payloads:
            await pause(ctx, rng, chance)
            await put(ctx, stream, payload)

    return bench


def random_ready(stream: Any, rng: np.random.Generator, chance: float) -> Bench:
    """A watcher that is not ready in this share of the cycles."""

    async def watcher(ctx: Any) -> None:
        while True:
            ctx.set(stream.ready, int(rng.random() >= chance))
            await ctx.tick()

    return watcher


def recorder(stream: Any, taken: list[Any]) -> Bench:
    """A watcher that lists what passes, and fails if a payload is not held until it is taken."""

    async def watcher(ctx: Any) -> None:
        held = None
        while True:
            _, _, valid, ready, payload = await ctx.tick().sample(stream.valid, stream.ready, stream.payload)
            value = plain(payload)
            assert held is None or (valid and value == held), "the stream changed its mind"
            held = value if valid and not ready else None
            if valid and ready:
                taken.append(value)

    return watcher


def plain(payload: Any) -> Any:
    """A payload as an integer, or as a dict of its fields."""
    shape = getattr(payload, "shape", None)
    if shape is None:
        return payload
    return {name: plain(payload[name]) for name, _ in payload.shape()}


async def bus_write(ctx: Any, bus: Any, index: int, words: Iterable[int]) -> None:
    """Write a word of a memory, slice by slice, as the core does."""
    for number, word in enumerate(words):
        ctx.set(bus.select, 1)
        ctx.set(bus.index, index)
        ctx.set(bus.slice, number)
        ctx.set(bus.data, int(word))
        ctx.set(bus.write, 1)
        await ctx.tick()
    ctx.set(bus.write, 0)
    ctx.set(bus.select, 0)


async def bus_read(ctx: Any, bus: Any, index: int, slice_: int = 0) -> int:
    """Read a slice of a word, three cycles after it was selected."""
    ctx.set(bus.select, 1)
    ctx.set(bus.index, index)
    ctx.set(bus.slice, slice_)
    await cycles(ctx, 3)
    value = ctx.get(bus.read_data)
    ctx.set(bus.select, 0)
    await ctx.tick()
    assert ctx.get(bus.read_data) == 0
    return int(value)


async def load(ctx: Any, bus: Any, words: np.ndarray[Any, Any]) -> None:
    """Write a whole memory ``[depth, slices]``."""
    for index, word in enumerate(words.tolist()):
        await bus_write(ctx, bus, index, word)
