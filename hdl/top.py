"""Top: a chip behind a serial port. Described in ``docs/top.md``."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from spikeloom.arch.config import ChipConfig
from spikeloom.hdl.chip import Chip
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.link import Link
from spikeloom.hdl.mesh import connect_links, link_ports
from spikeloom.hdl.uart import UartReceiver, UartTransmitter


class Top(wiring.Component):
    """Everything but pins and clock.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    divisor : int
        Clock cycles per bit of the serial port.
    fabric : Fabric
        Target.
    build, clock_khz : int
        Values of the registers ``BUILD`` and ``CLOCK``, 32 bits.

    Members
    -------
    rx : In(1)
        From the host; idle is high.
    tx : Out(1)
        To the host.
    busy : Out(1)
        Ticks are running. For a light.
    link_<side>_tx, link_<side>_rx : Out, In
        Pins of the link to the neighbouring chip on that side, if there is one.
    """

    def __init__(self, *, config: ChipConfig, divisor: int, fabric: Fabric = GENERIC, build: int = 0, clock_khz: int = 0) -> None:
        self.config, self.divisor, self.fabric, self.build, self.clock_khz = config, divisor, fabric, build, clock_khz
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), **link_ports(config)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chip = Chip(config=self.config, fabric=self.fabric, build=self.build, clock_khz=self.clock_khz)
        link = Link(fabric=self.fabric)
        receiver = UartReceiver(divisor=self.divisor)
        transmitter = UartTransmitter(divisor=self.divisor)
        # The chip has a reset of its own, from a register, since it goes everywhere.
        reset = Signal(init=1)
        m.domains.chip = ClockDomain("chip", local=True)
        m.d.sync += reset.eq(link.reset)
        m.d.comb += [ClockSignal("chip").eq(ClockSignal("sync")), ResetSignal("chip").eq(reset)]
        m.submodules.chip = DomainRenamer("chip")(chip)
        m.submodules.link = link
        m.submodules.receiver = receiver
        m.submodules.transmitter = transmitter
        connect(m, receiver.o, link.i)
        connect(m, link.o, transmitter.i)
        connect(m, link.request, chip.request)
        connect(m, chip.response, link.response)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            chip.link_errors.eq(link.errors),
            self.busy.eq(chip.busy),
        ]
        connect_links(m, self, chip)
        return m
