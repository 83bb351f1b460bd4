"""Chips that share a mesh, with the wires between them, as one design to simulate. Described in ``docs/mesh.md``."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import ChipConfig
from spikeloom.hdl.chip import Chip, ChipRequest, ChipResponse
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.mesh import OPPOSITE, port_name


class TiledChips(wiring.Component):  # type: ignore[type-arg]  # generic only in its stubs
    """All chips of a mesh, and a switch that gives one of them the request and response streams.

    Parameters
    ----------
    config : ChipConfig
        The whole mesh.
    fabric : Fabric
        Target.

    Members
    -------
    tile : In(8)
        Chip that ``request`` and ``response`` belong to. Changes only between requests.
    request, response : In, Out
        As of the chip.
    busy : Out(1)
        Any of the chips is busy.
    link_errors : In(32)
        As of the chip.
    noise : In(links * pins)
        Each set bit inverts a wire between two chips in this cycle. ``noise_bits`` says how many there are.
    """

    def __init__(self, *, config: ChipConfig, fabric: Fabric = GENERIC) -> None:
        self.config, self.fabric = config, fabric
        self.count = config.chips_across * config.chips_down
        # A wire bundle from each chip to each of its neighbours.
        self.wires = [(number, side) for number in range(self.count) for side in config.tile(number).links]
        self.noise_bits = len(self.wires) * (config.link_lanes + 2)
        super().__init__(
            {
                "tile": In(8),
                "request": In(stream.Signature(ChipRequest)),
                "response": Out(stream.Signature(ChipResponse)),
                "busy": Out(1),
                "link_errors": In(32),
                "noise": In(self.noise_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Chips, switch and wires."""
        m = Module()
        # The ports of a component are made at run time, so they have no type.
        me: Any = self
        chips: list[Any] = [Chip(config=self.config.tile(number), fabric=self.fabric) for number in range(self.count)]
        for number, chip in enumerate(chips):
            m.submodules[f"chip{number}"] = chip
            m.d.comb += [chip.request.payload.eq(me.request.payload), chip.link_errors.eq(me.link_errors)]
        m.d.comb += me.busy.eq(Cat(chip.busy for chip in chips).any())
        with m.Switch(me.tile):
            for number, chip in enumerate(chips):
                with m.Case(number):
                    m.d.comb += [
                        chip.request.valid.eq(me.request.valid),
                        me.request.ready.eq(chip.request.ready),
                        me.response.valid.eq(chip.response.valid),
                        me.response.payload.eq(chip.response.payload),
                        chip.response.ready.eq(me.response.ready),
                    ]
        pins = self.config.link_lanes + 2
        steps = {"north": -self.config.chips_across, "east": 1, "south": self.config.chips_across, "west": -1}
        for index, (number, side) in enumerate(self.wires):
            sender = getattr(chips[number], f"{port_name(side)}_tx")
            receiver = getattr(chips[number + steps[side]], f"{port_name(OPPOSITE[side])}_rx")
            wire = Signal(pins, name=f"wire{index}")
            m.d.comb += [wire.eq(sender ^ me.noise.word_select(index, pins)), receiver.eq(wire)]
        return m
