"""Emitter: turns spikes into events for axons and into outputs. Described in ``docs/emitter.md``."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.config import DELAY_WORD_BITS, CoreConfig, bits_for
from spikeloom.arch.layout import ceil_div
from spikeloom.arch.memory_map import route_index_layout, route_layout
from spikeloom.arch.packet import Destination, packet_layout
from spikeloom.hdl.extractor import Extractor
from spikeloom.hdl.fabric import Fabric
from spikeloom.hdl.layouts import struct_of
from spikeloom.hdl.ram import BankedRam, Ram, bus_port
from spikeloom.hdl.scheduler import Event

#: Neurons whose spikes are collected into one mask.
BLOCK = DELAY_WORD_BITS


class Emitter(wiring.Component):
    """One destination per cycle, and one cycle more for each neuron that fires.

    Spikes are collected in masks of 16 neurons, for all of which there is room, so nothing stalls the neurons.

    Parameters
    ----------
    config : CoreConfig
        Geometry.
    fabric : Fabric
        Target.

    Members
    -------
    start : In(1)
        Strobe: a tick begins.
    spikes : In(pipelines)
        Spikes of neighbouring neurons, in ascending order from neuron 0 in each tick.
    valid : In(1)
        ``spikes`` is valid.
    last : In(1)
        With ``valid``: these are the last spikes of the tick.
    events : Out(stream of Event)
        Events for axons of this core. Not in a mesh.
    outputs : Out(stream of output numbers)
        Outputs for the host. Not in a mesh.
    packets : Out(stream of packets)
        Both, where the core belongs to a mesh.
    busy : Out(1)
        Something is left to emit.
    index_bus, route_bus : In(BusPort)
    """

    def __init__(self, *, config: CoreConfig, fabric: Fabric) -> None:
        self.config, self.fabric = config, fabric
        self.blocks = ceil_div(config.neurons, BLOCK)
        super().__init__(
            {
                "start": In(1),
                "spikes": In(config.pipelines),
                "valid": In(1),
                "last": In(1),
                "busy": Out(1),
                "index_bus": In(bus_port(config.neurons, route_index_layout(config).bits)),
                "route_bus": In(bus_port(config.routes, route_layout(config).bits)),
            }
            | (
                {"packets": Out(stream.Signature(struct_of(packet_layout(config))))}
                if config.meshed
                else {"events": Out(stream.Signature(Event)), "outputs": Out(stream.Signature(config.target_bits))}
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config

        # Collect the spikes of a block, and keep its mask.
        steps = BLOCK // config.pipelines
        step = Signal(range(steps)) if steps > 1 else Signal(0)
        collected = Signal(BLOCK)
        complete = Signal()
        written, taken = Signal(range(self.blocks + 1)), Signal(range(self.blocks + 1))
        masks = Ram(width=BLOCK, depth=self.blocks, fabric=self.fabric)
        m.submodules.mask_ram = masks
        m.d.comb += [
            masks.write_address.eq(written),
            masks.write_enable.eq(complete),
            masks.write_data.eq(collected),
        ]
        with m.If(self.valid):
            m.d.sync += [
                collected.eq(Mux(complete, 0, collected) | (self.spikes << (step * config.pipelines))),
                step.eq(step + 1),
            ]
        with m.Elif(complete):
            m.d.sync += collected.eq(0)
        m.d.sync += complete.eq(self.valid & (self.last | (step == steps - 1)))
        with m.If(self.start):
            m.d.sync += [step.eq(0), written.eq(0), taken.eq(0)]
        with m.Elif(complete):
            m.d.sync += written.eq(written + 1)

        # Hand the masks on; empty ones vanish in the extractor.
        extractor = Extractor(index_bits=bits_for(self.blocks), width=BLOCK)
        m.submodules.extractor = extractor
        read, mask_valid = Signal(), Signal()
        mask_index = Signal(bits_for(self.blocks))
        m.d.comb += [
            read.eq((taken != written) & (~mask_valid | extractor.i.ready)),
            masks.read_address.eq(taken),
            masks.read_enable.eq(read),
            extractor.i.valid.eq(mask_valid),
            extractor.i.payload.mask.eq(masks.read_data),
            extractor.i.payload.index.eq(mask_index),
        ]
        with m.If(read):
            m.d.sync += [taken.eq(taken + 1), mask_index.eq(taken), mask_valid.eq(1)]
        with m.Elif(extractor.i.ready):
            m.d.sync += mask_valid.eq(0)

        # Destination list of the neuron.
        index = BankedRam(
            width=route_index_layout(config).bits,
            depth=config.neurons,
            readback=self.config.readback,
            fabric=self.fabric,
            style="block",
        )
        m.submodules.index_ram = index
        connect(m, flipped(self.index_bus), index.bus)
        looked_up, found_valid, settle, take, walking = Signal(), Signal(), Signal(), Signal(), Signal()
        found = Signal(struct_of(route_index_layout(config)), reset_less=True)
        m.d.comb += [
            settle.eq(~found_valid | ~walking),
            extractor.o.ready.eq(~looked_up | settle),
            index.read_address.eq(extractor.o.payload),
            index.read_enable.eq(extractor.o.valid & extractor.o.ready),
        ]
        with m.If(extractor.o.ready):
            m.d.sync += looked_up.eq(extractor.o.valid)
        with m.If(settle):
            m.d.sync += [found_valid.eq(looked_up), found.eq(index.read_data)]

        # Walk through the list.
        finish, fetch, fetched_valid, pass_on = Signal(), Signal(), Signal(), Signal()
        entry = Signal(bits_for(config.routes))
        left = Signal(len(found.count))
        m.d.comb += [
            fetch.eq(walking & left.any() & (~fetched_valid | pass_on)),
            finish.eq(walking & (left[1:] == 0) & (~left[0] | fetch)),
            take.eq(found_valid & ~walking),
        ]
        with m.If(take):
            m.d.sync += [walking.eq(1), entry.eq(found.first), left.eq(found.count)]
        with m.Else():
            with m.If(finish):
                m.d.sync += walking.eq(0)
            with m.If(fetch):
                m.d.sync += [entry.eq(entry + 1), left.eq(left - 1)]

        # Fetch the entries and send them.
        routes = BankedRam(
            width=route_layout(config).bits, depth=config.routes, readback=self.config.readback, fabric=self.fabric, style="block"
        )
        m.submodules.route_ram = routes
        connect(m, flipped(self.route_bus), routes.bus)
        fetched = Signal(struct_of(route_layout(config)))
        ready_valid, sent = Signal(), Signal()
        ready = Signal(struct_of(route_layout(config)))
        m.d.comb += [
            routes.read_address.eq(entry),
            routes.read_enable.eq(fetch),
            fetched.eq(routes.read_data),
            pass_on.eq(fetched_valid & (~ready_valid | sent)),
            self.busy.eq(
                complete
                | (taken != written)
                | mask_valid
                | extractor.busy
                | looked_up
                | found_valid
                | walking
                | fetched_valid
                | ready_valid
            ),
        ]
        if config.meshed:
            # An entry is a packet without a payload.
            m.d.comb += [
                self.packets.valid.eq(ready_valid),
                self.packets.payload.as_value().eq(ready.as_value()),
                sent.eq(self.packets.ready),
            ]
        else:
            to_output = ready.kind == Destination.OUTPUT
            m.d.comb += [
                self.events.valid.eq(ready_valid & ~to_output),
                self.events.payload.axon.eq(ready.target),
                self.events.payload.delay.eq(ready.delay),
                self.outputs.valid.eq(ready_valid & to_output),
                self.outputs.payload.eq(ready.target),
                sent.eq(Mux(to_output, self.outputs.ready, self.events.ready)),
            ]
        with m.If(fetch):
            m.d.sync += fetched_valid.eq(1)
        with m.Elif(pass_on):
            m.d.sync += fetched_valid.eq(0)
        with m.If(pass_on):
            m.d.sync += [ready.eq(fetched), ready_valid.eq(1)]
        with m.Elif(sent):
            m.d.sync += ready_valid.eq(0)
        return m
