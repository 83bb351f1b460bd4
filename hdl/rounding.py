"""Random numbers that changes of weights and tags are rounded with. Described in ``docs/learning.md``."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.config import CoreConfig, bits_for
from spikeloom.arch.learning import CHANGE_FRACTION_BITS, LEARNING_INDEX, PHASE_INDEX_SHIFT
from spikeloom.arch.neuron import RANDOM_BITS
from spikeloom.arch.random import FIELD_BITS, INDEX_STEP
from spikeloom.hdl.change import later
from spikeloom.hdl.random import MIXER_LATENCY, Mixer, combination, powers_of

#: Cycles from a neuron word to its random numbers.
SPREAD_LATENCY = 3


class Rounding(wiring.Component):
    """Random numbers of the lanes, or half a unit each if the rule is deterministic. Nothing stalls it.

    Parameters
    ----------
    config : CoreConfig
        Geometry, with ``learning``.
    latency : int
        Cycles from an axon to its random numbers.

    Members
    -------
    key : In(32)
        Of this tick's random numbers.
    phase, target, axon : In
        What a synapse is visited for, and its axon.
    word : In(range(neuron_words))
        Neuron word of the axon that was there ``latency - SPREAD_LATENCY`` cycles ago.
    stochastic : In(1)
    random : Out(lanes x 12)
        Of the axon that was there ``latency`` cycles ago.
    """

    def __init__(self, *, config: CoreConfig, latency: int) -> None:
        self.config, self.latency = config, latency
        super().__init__(
            {
                "key": In(RANDOM_BITS),
                "phase": In(2),
                "target": In(1),
                "axon": In(bits_for(config.axons)),
                "word": In(bits_for(config.neuron_words)),
                "stochastic": In(1),
                "random": Out(data.ArrayLayout(CHANGE_FRACTION_BITS, config.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lane_bits = (self.config.lanes - 1).bit_length()
        m.submodules.mixer = mixer = Mixer()
        product: Value = Const(0, RANDOM_BITS)
        for bit in range(len(self.axon)):
            product ^= Mux(self.axon[bit], INDEX_STEP << bit & 0xFFFFFFFF, 0)
        place = (self.phase << PHASE_INDEX_SHIFT) ^ (self.target << PHASE_INDEX_SHIFT + 2)
        x = Signal(RANDOM_BITS, name="mixed", reset_less=True)
        m.d.sync += x.eq(self.key ^ product ^ LEARNING_INDEX ^ place)
        m.d.comb += mixer.x.eq(x)
        # The number waits for its word, and is then spread: the word's share, that of the upper and of the lower half of the lane's bits.
        wait = self.latency - SPREAD_LATENCY - (1 + MIXER_LATENCY)
        number = later(m, mixer.number, wait, "number")[wait]
        a, b = number[FIELD_BITS:], number[:CHANGE_FRACTION_BITS]
        powers = powers_of(m, a, lane_bits + len(self.word), "a")
        share = Signal(CHANGE_FRACTION_BITS, name="share", reset_less=True)
        m.d.sync += share.eq(b ^ combination(self.word, powers[lane_bits:], CHANGE_FRACTION_BITS))
        powers = powers_of(m, later(m, a, 1, "factor")[1], lane_bits, "factor")
        low_bits = lane_bits // 2
        lows = [Signal(CHANGE_FRACTION_BITS, name=f"low{k}", reset_less=True) for k in range(1 << low_bits)]
        highs = [Signal(CHANGE_FRACTION_BITS, name=f"high{k}", reset_less=True) for k in range(1 << (lane_bits - low_bits))]
        m.d.sync += [low.eq(combination(k, powers[:low_bits], CHANGE_FRACTION_BITS)) for k, low in enumerate(lows)]
        m.d.sync += [high.eq(share ^ combination(k, powers[low_bits:], CHANGE_FRACTION_BITS)) for k, high in enumerate(highs)]
        half = 1 << (CHANGE_FRACTION_BITS - 1)
        for lane in range(self.config.lanes):
            chosen = Signal(CHANGE_FRACTION_BITS, name=f"random{lane}", reset_less=True)
            m.d.sync += chosen.eq(Mux(self.stochastic, highs[lane >> low_bits] ^ lows[lane & (1 << low_bits) - 1], half))
            m.d.comb += self.random[lane].eq(chosen)
        return m
