"""Event counters of a core. Described in ``docs/counters.md``."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import bits_for
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.memory_map import COUNTER_NAMES


class Counters(wiring.Component):
    """One 32-bit counter per name of ``COUNTER_NAMES``, in that order; they wrap.

    Parameters
    ----------
    spike_bits : int
        Bits of the ``spikes`` increment.

    Members
    -------
    one member per counter : In(1)
        Strobe: count one. ``spikes`` is a number.
    clear : In(1)
        Set all to zero.
    index : In(3)
        Counter to read.
    select : In(1)
        A counter is read.
    value : Out(32)
        Its value, one cycle after ``index``; zero without ``select``.
    """

    def __init__(self, *, spike_bits: int) -> None:
        strobes = {name: In(spike_bits if name == "spikes" else 1) for name in COUNTER_NAMES}
        super().__init__(
            strobes | {"clear": In(1), "index": In(bits_for(len(COUNTER_NAMES))), "select": In(1), "value": Out(BUS_WORD_BITS)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        counts = []
        for name in COUNTER_NAMES:
            strobe = getattr(self, name)
            # The strobes come from the ends of long paths; a cycle of delay does not matter here.
            step = Signal(strobe.shape(), name=f"{name}_step")
            count = Signal(BUS_WORD_BITS, name=f"{name}_count")
            m.d.sync += [step.eq(strobe), count.eq(Mux(self.clear, 0, count + step))]
            counts.append(count)
        m.d.sync += self.value.eq(Mux(self.select, Array(counts)[self.index], 0))
        return m
