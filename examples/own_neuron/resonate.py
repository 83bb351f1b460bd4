"""A neuron model of one's own, complete in one file: the resonate-and-fire neuron. Described in ``docs/neuron.md``.

    spikeloom check-neuron resonate --plugin examples/own_neuron/resonate.py
    python examples/own_neuron/resonate.py

Izhikevich, "Resonate-and-fire neurons", Neural Networks 14 (2001): ``dz/dt = (b + i w) z + input``. ``z`` is complex; its real part is
like a current, its imaginary part like a potential, which fires above a threshold and is then set back. Between inputs ``z`` turns by an
angle and shrinks, so the exact step of a tick is one complex product: ``z <- exp((b + i w) dt) z + input``. Such a neuron fires on
spikes that come in its own rhythm, and stays silent on others.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from spikeloom.arch.layout import Field, IntArray
from spikeloom.arch.neuron import NeuronModel, check_int
from spikeloom.golden.fixed import saturate
from spikeloom.golden.neuron import BoolArray, State
from spikeloom.hdl.neuron import NeuronPipeline, Timing

#: Fraction bits of cosine and sine.
FRACTION = 14
#: Bits of both parts of z, and of cosine and sine: what one multiplier of an iCE40 takes.
BITS = 16


# The first twin: fields of the memory words.
@dataclass(frozen=True, kw_only=True, slots=True)
class Resonate(NeuronModel):
    """Resonate-and-fire neurons.

    Parameters
    ----------
    input_shift : int
        A weight of 1 is ``2**input_shift`` units of the current, 0 to 8.
    """

    NAME = "resonate"
    GOLDEN = f"{__name__}:resonate_step"
    HDL = f"{__name__}:ResonatePipeline"

    input_shift: int = 4

    def __post_init__(self) -> None:
        check_int("input_shift", self.input_shift, 0, 8)

    def state_fields(self) -> tuple[Field, ...]:
        """Imaginary and real part of z."""
        return (Field("membrane", BITS, signed=True), Field("current", BITS, signed=True))

    def parameter_fields(self) -> tuple[Field, ...]:
        """What z is multiplied by in each tick, times ``2**FRACTION``."""
        return (Field("cosine", BITS, signed=True), Field("sine", BITS, signed=True))

    def firing_fields(self) -> tuple[Field, ...]:
        """Threshold of the potential, and what it is set to after a spike."""
        return (Field("threshold", BITS, signed=True), Field("reset", BITS, signed=True))


# The second twin: what a tick does, in integers.
def resonate_step(
    model: Resonate, parameters: Mapping[str, IntArray], state: Mapping[str, IntArray], synaptic_sum: IntArray, random: IntArray
) -> tuple[State, BoolArray]:
    """One tick of N neurons, for B samples at once; see ``spikeloom.golden.neuron``."""
    x, y = state["current"], state["membrane"]
    cosine, sine = parameters["cosine"], parameters["sine"]
    current = saturate((x * cosine >> FRACTION) - (y * sine >> FRACTION) + (synaptic_sum << model.input_shift), BITS)
    membrane = saturate((x * sine >> FRACTION) + (y * cosine >> FRACTION), BITS)
    fire = membrane > parameters["threshold"]
    return {"membrane": np.where(fire, parameters["reset"], membrane), "current": np.where(fire, 0, current)}, fire


# The third twin: the same in hardware, a neuron in every cycle.
def saturated(value: Value) -> Value:
    """The nearest value of ``BITS`` bits, signed."""
    overflow = value[BITS - 1 :].any() & ~value[BITS - 1 :].all()
    return Mux(overflow, Cat((~value[-1]).replicate(BITS - 1), value[-1]), value[:BITS]).as_signed()


class ResonatePipeline(NeuronPipeline):
    """Pipeline of the model ``resonate``."""

    @staticmethod
    def timing_of(model: Resonate) -> Timing:
        """See :meth:`NeuronPipeline.timing_of`."""
        return Timing(latency=6, interval=1, firing=5)

    def elaborate(self, platform: object) -> Module:
        """Circuit."""
        m = Module()

        def register(name: str, value: Value) -> Signal:
            """The value, a cycle later."""
            result = Signal(value.shape(), name=name, reset_less=True)
            m.d.sync += result.eq(value)
            return result

        # Cycle 0: state and parameters are at the ports.
        left = {"x": register("x", self.state.current), "y": register("y", self.state.membrane)}
        right = {"c": register("cosine", self.parameters.cosine), "s": register("sine", self.parameters.sine)}
        # Cycle 1: four products.
        products = {a + b: register(a + b, left[a] * right[b]) for a in left for b in right}
        # Cycle 2: their sums, without the fraction; the synaptic sum is at the port.
        turned_x = register("turned_x", (products["xc"] >> FRACTION) - (products["ys"] >> FRACTION))
        turned_y = register("turned_y", (products["xs"] >> FRACTION) + (products["yc"] >> FRACTION))
        drive = register("drive", self.synaptic_sum << self.model.input_shift)
        # Cycles 3 and 4: input; saturation.
        total, potential = register("total", turned_x + drive), register("potential", turned_y)
        current, membrane = register("current", saturated(total)), register("membrane", saturated(potential))
        # Cycle 5 (firing): threshold and reset are at the port. The result is there in cycle 6, and zero in all others.
        age = Signal(6)
        fire = membrane > self.firing.threshold
        m.d.sync += [age.eq(Cat(self.start, age)), self.spike.eq(age[4] & fire), self.new_state.eq(Const(0, 2 * BITS))]
        with m.If(age[4]):
            m.d.sync += [
                self.new_state.membrane.eq(Mux(fire, self.firing.reset, membrane)),
                self.new_state.current.eq(Mux(fire, 0, current)),
            ]
        m.d.comb += self.done.eq(age[5])
        return m


# Use.
def resonator(period: float, periods: float = 3.0, threshold: int = 1000) -> dict[str, int]:
    """Integers of a neuron that turns once in ``period`` ticks, and shrinks by 1/e in ``periods`` turns."""
    z = cmath.exp(complex(-1 / periods, 2 * math.pi) / period) * (1 << FRACTION)
    return {"cosine": round(z.real), "sine": round(z.imag), "threshold": threshold, "reset": 0}


def main() -> None:
    """Three neurons hear pairs of spikes: each fires only if the pair comes at its own rhythm."""
    import spikeloom
    from spikeloom.network.description import FixedCell

    periods = (12, 18, 27)
    network = spikeloom.Network(dt=1.0)
    source = network.input(1)
    cells: dict[str, Any] = {name: [resonator(period)[name] for period in periods] for name in resonator(1)}
    neurons = network.population(len(periods), FixedCell(model_name="resonate", parameters=cells), "resonators")
    network.projection(source, neurons, 50)
    network.output(neurons)
    core = spikeloom.CoreConfig(axons=16, neurons=16, models=(Resonate(),))
    image = spikeloom.compile(network, config=spikeloom.ChipConfig(cores=(core,)))
    spikes = np.zeros((len(periods), 60, 1), np.bool_)
    for sample, period in enumerate(periods):
        spikes[sample, [5, 5 + period]] = True
    golden = spikeloom.open("golden", image).run(spikes)
    rtl = spikeloom.open("rtl", image).run(spikes)
    for sample, period in enumerate(periods):
        fired = golden[sample].sum(axis=0).tolist()
        print(
            f"two spikes {period} ticks apart: "
            + ", ".join(f"{n} from the neuron of {p}" for n, p in zip(fired, periods, strict=True))
        )
    print("hardware equals golden model" if np.array_equal(golden, rtl) else "hardware DIFFERS from the golden model")


if __name__ == "__main__":
    main()
