"""Geometries of the lockstep tests. Each visits corners; together they cover every parameter of a core."""

from __future__ import annotations

import dataclasses

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.profiles import profile
from spikeloom.hdl.fabric import ECP5, GENERIC, ICE40_ULTRAPLUS, Fabric


def poisoned(fabric: Fabric, block_ram_depth: int = 0) -> Fabric:
    """The fabric with memories that give nonsense where real ones are undefined."""
    return dataclasses.replace(fabric, poison_collisions=True, block_ram_depth=block_ram_depth)


EVERYTHING = Lif(
    state_bits=20, fraction_bits=2, leak_bits=9, stochastic_leak=True, current_bits=18, current_wraps=True, resets="all",
    negative_threshold=True, threshold_noise_bits=18, adaptation_bits=14,
)  # fmt: skip
#: Name, geometry, fabric.
GEOMETRIES: dict[str, tuple[CoreConfig, Fabric]] = {
    "one of everything": (
        CoreConfig(axons=1, neurons=1, weight_bits=2, lanes=1, levels=1,
        models=(Lif(state_bits=8, fraction_bits=0, refractory_bits=0, bias_bits=0),)),
        poisoned(GENERIC),
    ),
    "one lane, banked weights": (CoreConfig(axons=37, neurons=23, weight_bits=4, lanes=1), poisoned(ECP5, 64)),
    "one lane, banked weights, short-term plasticity": (
        CoreConfig(axons=37, neurons=23, weight_bits=4, lanes=1, short_term=True), poisoned(ECP5, 64),
    ),
    "two lanes, two pipelines": (
        CoreConfig(axons=20, neurons=50, weight_bits=16, lanes=2, pipelines=2,
        models=(Lif(state_bits=28, refractory_bits=4),)), poisoned(GENERIC),
    ),
    "eight lanes on UP5K": (CoreConfig(axons=33, neurons=61, weight_bits=8, lanes=8,
    models=(Lif(state_bits=22),)), poisoned(ICE40_ULTRAPLUS)),
    "eight lanes, late sums": (CoreConfig(axons=18, neurons=97, weight_bits=8, lanes=8, pipelines=1), poisoned(ECP5)),
    "single product, four pipelines": (
        CoreConfig(axons=19, neurons=44, weight_bits=4, lanes=8, pipelines=4, group=4,
        models=(Lif(state_bits=16, fraction_bits=3),)),
        poisoned(GENERIC),
    ),
    "plain core as measured": (
        CoreConfig(axons=40, neurons=48, weight_bits=4, lanes=16, levels=1,
        models=(Lif(state_bits=16, fraction_bits=4, refractory_bits=0, bias_bits=0, resets="absolute"),)),
        poisoned(ECP5),
    ),
    "sixty-four lanes": (CoreConfig(axons=17, neurons=150, weight_bits=4, lanes=64, destinations=40), poisoned(ECP5)),
    "sixty-four lanes, sixteen pipelines": (
        CoreConfig(axons=16, neurons=112, weight_bits=2, lanes=64, pipelines=16, group=2,
        models=(Lif(state_bits=12, fraction_bits=2, bias_bits=9),)),
        poisoned(GENERIC),
    ),
    "a hundred and twenty-eight lanes, one bit": (
        CoreConfig(axons=20, neurons=152, weight_bits=1, lanes=128, pipelines=4, stochastic_synapses=True, destinations=60,
        models=(Lif(state_bits=16, fraction_bits=2),)),
        poisoned(ECP5),
    ),
    "a hundred and twenty-eight lanes": (
        CoreConfig(axons=18, neurons=256, weight_bits=4, lanes=128, group=16, levels=1), poisoned(ECP5),
    ),
    "narrow state, long refractory period": (
        CoreConfig(axons=24, neurons=30, weight_bits=8, lanes=4,
        models=(Lif(state_bits=10, fraction_bits=0, bias_bits=10, refractory_bits=8),)),
        poisoned(GENERIC),
    ),
    "every option of lif, sets": (
        CoreConfig(axons=21, neurons=36, weight_bits=4, lanes=4, pipelines=2, sets=11, models=(EVERYTHING,)), poisoned(ECP5),
    ),
    "TrueNorth": (
        profile("truenorth", axons=30, neurons=40, lanes=8), poisoned(ICE40_ULTRAPLUS),
    ),
    "Izhikevich, one multiplier": (
        CoreConfig(axons=16, neurons=24, weight_bits=16, lanes=4, models=(Izhikevich(bias_bits=12),), sets=5), poisoned(GENERIC),
    ),
    "three models, one bit per synapse": (
        CoreConfig(
            axons=20, neurons=32, weight_bits=1, lanes=8, pipelines=2, group=2,
            models=(Lif(current_bits=20, adaptation_bits=12), AdEx(), Izhikevich(multipliers=3, multiplier_bits=16)),
        ),
        poisoned(ECP5),
    ),
}  # fmt: skip

#: Those whose cores run under cocotb, with stalls on every stream; the others run as chips in the compiled simulator.
COCOTB = (
    "one lane, banked weights, short-term plasticity",
    "eight lanes on UP5K",
    "three models, one bit per synapse",
)
