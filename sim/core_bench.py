"""cocotb test: a core in lockstep with the golden model, with random stalls on every stream.

Started by ``spikeloom.sim.core_lockstep``, which passes the plan in the file named by ``SPIKELOOM_PLAN``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.memory_map import CORE_ADDRESS_BITS, COUNTER_NAMES, Region, regions, state_of_neurons
from spikeloom.arch.registers import EVENT_AXON_BITS, Status
from spikeloom.golden.chip import Chip
from spikeloom.sim.cases import Case, random_case
from spikeloom.sim.lockstep import Mismatch, compare_counters, compare_outputs, delays_from_words, expected_state, first_difference

CYCLE_LIMIT = 200_000


class CoreDriver:
    """Drives the ports of a core; every stream has its own chance of a stall per cycle."""

    def __init__(self, dut: Any, rng: np.random.Generator, stall: float) -> None:
        self.dut, self.rng, self.stall = dut, rng, stall
        self.outputs: list[int] = []

    def stalls(self) -> bool:
        return self.stall > 0 and self.rng.random() < self.stall

    async def edge(self) -> None:
        """Wait until the signals after a rising edge can be read and new ones set."""
        await FallingEdge(self.dut.clk)

    async def reset(self) -> None:
        for name in ("tick", "clear", "events__valid", "outputs__ready", "request__valid", "response__ready"):
            getattr(self.dut, name).value = 0
        self.dut.rst.value = 1
        for _ in range(3):
            await self.edge()
        self.dut.rst.value = 0
        await self.edge()

    async def until(self, signal: Any, what: str) -> None:
        for _ in range(CYCLE_LIMIT):
            if int(signal.value):
                return
            await self.edge()
        raise AssertionError(f"{what} did not come within {CYCLE_LIMIT} cycles")

    async def access(self, address: int, write: bool, data: int = 0) -> int:
        """One access on the loading bus."""
        dut = self.dut
        while self.stalls():
            await self.edge()
        address &= (1 << CORE_ADDRESS_BITS) - 1
        dut.request__payload.value = address | int(write) << CORE_ADDRESS_BITS | data << (CORE_ADDRESS_BITS + 1)
        dut.request__valid.value = 1
        await self.edge()
        await self.until(dut.request__ready, "request.ready")
        await self.edge()
        dut.request__valid.value = 0
        while self.stalls():
            await self.edge()
        dut.response__ready.value = 1
        await self.until(dut.response__valid, "response.valid")
        payload = int(dut.response__payload.value)
        await self.edge()
        dut.response__ready.value = 0
        status, value = payload & 3, payload >> 2
        assert status == Status.OK, f"address {address:#x} answered with status {status}"
        return value

    async def load(self, region: Region, words: np.ndarray) -> None:
        for index, word in enumerate(words.tolist()):
            for i, value in enumerate(word):
                await self.access(region.address(index, i), True, value)

    async def read(self, region: Region) -> np.ndarray:
        words = [
            [await self.access(region.address(index, i), False) for i in range(region.layout.slices)]
            for index in range(region.depth)
        ]
        return np.array(words, np.uint32)

    async def inject(self, events: list[tuple[int, int]]) -> None:
        dut = self.dut
        for axon, delay in events:
            while self.stalls():
                await self.edge()
            dut.events__payload.value = axon | delay << EVENT_AXON_BITS
            dut.events__valid.value = 1
            for _ in range(CYCLE_LIMIT):
                accepted = int(dut.events__ready.value)
                await self.edge()
                if accepted:
                    break
            else:
                raise AssertionError("events.ready did not come")
            dut.events__valid.value = 0

    async def collect(self) -> None:
        """Take outputs for ever, with stalls."""
        dut = self.dut
        while True:
            ready = not self.stalls()
            dut.outputs__ready.value = int(ready)
            # The core's valid does not depend on ready, so it can be read before the edge that transfers.
            await RisingEdge(dut.clk)
            if ready and int(dut.outputs__valid.value):
                self.outputs.append(int(dut.outputs__payload.value))
            await self.edge()


async def read_state(driver: CoreDriver, config: CoreConfig, kinds: WordArray | None) -> dict[str, IntArray]:
    """What ``expected_state`` has of the golden core."""
    table = regions(config)
    pending = table["delays"].layout.unpack(await driver.read(table["delays"]))["pending"]
    result = state_of_neurons(config, await driver.read(table["state"]), kinds) | {"delays": delays_from_words(config, pending)}
    for name in ("axon_traces", "neuron_traces", "short_term_state"):
        if name in table:
            result |= table[name].layout.unpack(await driver.read(table[name]))
    for name, field in (("weights", "weight"), ("tags", "tag")):
        if config.learning is not None and name in table:
            result[name] = table[name].layout.unpack(await driver.read(table[name]))[field].reshape(-1, config.lanes)
    return {f"core0.{name}": values for name, values in result.items()}


async def run_case(driver: CoreDriver, config: CoreConfig, case: Case, compare_every: int) -> Mismatch | None:
    """One case from loading to the counters."""
    dut = driver.dut
    table = regions(config)
    memory = case.image.memories[0]
    golden = Chip(case.image.config, case.image.memories)
    await driver.until(dut.idle, "idle")
    dut.clear.value = 1
    await driver.edge()
    dut.clear.value = 0
    await driver.until(dut.idle, "idle")
    for name, words in memory.items():
        await driver.load(table[name], words)
    for number, events in enumerate(case.ticks):
        triples = list(zip(events.axons.tolist(), events.delays.tolist(), events.early.tolist(), strict=True))
        late = [(axon, delay) for axon, delay, early in triples if not early]
        following = case.ticks[number + 1] if number + 1 < len(case.ticks) else None
        during = (
            [
                (axon, delay)
                for axon, delay, early in zip(
                    following.axons.tolist(), following.delays.tolist(), following.early.tolist(), strict=True
                )
                if early
            ]
            if following
            else []
        )
        await driver.inject(late)
        for axon, delay in late:
            golden.inject(0, np.array([axon]), np.ones((1, 1), bool), delay)
        driver.outputs.clear()
        await driver.until(dut.idle, "idle")
        dut.tick.value = 1
        await driver.edge()
        dut.tick.value = 0
        injector = cocotb.start_soon(driver.inject(during))
        await driver.until(dut.idle, "the end of the tick")
        await injector
        expected = golden.tick()
        for axon, delay in during:
            golden.inject(0, np.array([axon]), np.ones((1, 1), bool), delay)
        mismatch = compare_outputs(number, expected.numbers[expected.outputs[0]], driver.outputs)
        if mismatch is None and (number % compare_every == 0 or number == len(case.ticks) - 1):
            mismatch = first_difference(number, expected_state(golden), await read_state(driver, config, memory.get("kinds")))
        if mismatch is not None:
            return mismatch
    if config.counters:
        values = (await driver.read(table["counters"]))[:, 0].tolist()
        return compare_counters(golden.cores[0], 0, dict(zip(COUNTER_NAMES, values, strict=True)))
    return None


@cocotb.test()
async def lockstep(dut: Any) -> None:
    """All cases of the plan; writes one result per case."""
    plan = json.loads(Path(os.environ["SPIKELOOM_PLAN"]).read_text())
    config = CoreConfig.from_dict(plan["config"])
    results = []
    Clock(dut.clk, 10, unit="ns").start()
    driver = CoreDriver(dut, np.random.default_rng(0), 0.0)
    await driver.reset()
    cocotb.start_soon(driver.collect())
    for seed in plan["seeds"]:
        driver.rng = np.random.default_rng([seed, 1])
        driver.stall = float(driver.rng.choice([0.0, 0.0, 0.2, 0.7]))
        case = random_case(ChipConfig(cores=(config,)), seed, plan["ticks"])
        mismatch = await run_case(driver, config, case, plan["compare_every"])
        results.append({"seed": seed, "mismatch": None if mismatch is None else str(mismatch)})
        if mismatch is not None:
            break
    Path(plan["results"]).write_text(json.dumps(results))
