"""Single-neuron behaviours on the TrueNorth profile, made from arrays as one image.

The neuron is that of Cassidy et al. (IJCNN 2013). Its parameters here are not the paper's: they were found by random search for the
criterion in words that stands with each behaviour, and are named after the behaviours of Izhikevich (2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import AXON_TYPES, ChipConfig, CoreConfig
from spikeloom.arch.image import LoadableImage, PopulationMap, PortMap
from spikeloom.arch.layout import IntArray
from spikeloom.arch.memory_map import pack_neurons, regions
from spikeloom.arch.packet import Destination
from spikeloom.arch.profiles import profile, truenorth_neuron

BoolArray = npt.NDArray[np.bool_]

TICKS = 200
#: Axon types of the two axons of each neuron.
EXCITATORY, INHIBITORY = 0, 1
AXONS_EACH = 2


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A neuron, its input, and what it does.

    Parameters
    ----------
    name, meaning : str
        After Izhikevich (2004), and what is asked of the neuron, in words.
    neuron : dict
        Symbols of the paper, as ``truenorth_neuron`` takes them.
    excitatory, inhibitory : int
        Weights for the two axon types.
    excitation, inhibition : tuple of int
        Ticks of input spikes.
    spikes : tuple of int
        Ticks of output spikes, below ``TICKS``.
    """

    name: str
    meaning: str
    neuron: dict[str, int]
    excitatory: int
    inhibitory: int
    excitation: tuple[int, ...]
    spikes: tuple[int, ...]
    inhibition: tuple[int, ...] = ()


def regular(rate: float, first: int, last: int) -> tuple[int, ...]:
    """Ticks from ``first`` to ``last`` at which ``rate`` times the ticks so far passes a whole number."""
    ticks = np.arange(first, last + 1)
    return tuple(ticks[np.diff(np.floor(rate * np.arange(len(ticks) + 1) + 1e-9)) > 0].tolist())


def ramp(slope: float, first: int) -> tuple[int, ...]:
    """Ticks at which the sum of a rate that grows by ``slope`` per tick from ``first`` on passes a whole number."""
    ticks = np.arange(TICKS)
    passed = np.floor(np.cumsum(slope * np.maximum(ticks - first, 0)))
    return tuple(ticks[np.diff(passed, prepend=0) > 0].tolist())


#: The behaviours, in the order of the neurons.
BEHAVIOURS: tuple[Behaviour, ...] = (
    Behaviour(
        "tonic spiking", "regular spikes under constant input",
        {"leak": 5, "epsilon": 1, "alpha": 41, "beta": 21, "reset": -16, "gamma": 0, "kappa": 0}, 1, -33,
        tuple(range(20, TICKS)), tuple(range(26, TICKS, 7)),
    ),
    Behaviour(
        "phasic spiking", "one spike at the onset of constant input",
        {"leak": 4, "epsilon": 1, "alpha": 53, "beta": 14, "reset": -7, "gamma": 0, "kappa": 1}, 1, -8,
        tuple(range(20, TICKS)), (30,),
    ),
    Behaviour(
        "spike latency", "a spike long after a short input",
        {"leak": 1, "epsilon": 1, "alpha": 70, "beta": 7, "reset": -18, "gamma": 1, "kappa": 1}, 3, -22,
        (20, 21, 22), (80,),
    ),
    Behaviour(
        "integrator", "a spike for two inputs close together, none for two far apart",
        {"leak": -1, "epsilon": 0, "alpha": 39, "beta": 65, "reset": 26, "gamma": 1, "kappa": 1}, 38, -15,
        (20, 23, 100, 130), (23,),
    ),
    Behaviour(
        "class 1 excitable", "spikes as frequent as the input is strong",
        {"leak": 1, "epsilon": 1, "alpha": 22, "beta": 65, "reset": 14, "gamma": 0, "kappa": 0}, 34, -18,
        ramp(0.002, 20),
        (52, 60, 65, 73, 75, 83, 91, 97, 104, 109, 115, 120, 125, 130, 134, 138, 142, 146, 150, 154, 158, 161, 165, 168, 172, 175, 178,
         181, 184, 187, 190, 193, 196, 199),
    ),
    Behaviour(
        "rebound spike", "a spike after inhibition",
        {"leak": -2, "epsilon": 1, "alpha": 1, "beta": 59, "reset": 6, "gamma": 1, "kappa": 1}, 39, -15,
        (), (54,), tuple(range(20, 25)),
    ),
    Behaviour(
        "rebound burst", "spikes after inhibition",
        {"leak": -4, "epsilon": 1, "alpha": 1, "beta": 53, "reset": -27, "gamma": 1, "kappa": 1}, 29, -20,
        (), (38, 40, 42), tuple(range(20, 25)),
    ),
    Behaviour(
        "threshold variability", "an input that is too weak by itself fires after inhibition",
        {"leak": -4, "epsilon": 0, "alpha": 75, "beta": 78, "reset": -33, "gamma": 0, "kappa": 0}, 37, -28,
        (10, 11, 108, 109), (109,), (100, 101, 102),
    ),
    Behaviour(
        "bistability", "one input starts regular spikes, another ends them",
        {"leak": 1, "epsilon": 1, "alpha": 22, "beta": 65, "reset": 14, "gamma": 0, "kappa": 0}, 34, -18,
        (20, 21), (20, 21, *range(29, 120, 8)), (120, 121),
    ),
    Behaviour(
        "accommodation", "silent under slow input, a spike for less of it at once",
        {"leak": -4, "epsilon": 1, "alpha": 18, "beta": 18, "reset": -30, "gamma": 0, "kappa": 1}, 12, -8,
        (*regular(0.3, 20, 99), *range(150, 156)), (152,),
    ),
    Behaviour(
        "inhibition-induced spiking", "spikes while inhibited",
        {"leak": -6, "epsilon": 1, "alpha": 2, "beta": 14, "reset": 6, "gamma": 1, "kappa": 0}, 20, -1,
        (), tuple(range(50, 150, 4)), tuple(range(50, 150)),
    ),
)  # fmt: skip


def core_config(**changes: object) -> CoreConfig:
    """The TrueNorth profile with as many axons and neurons as the behaviours need."""
    arguments: dict[str, object] = {"axons": AXONS_EACH * len(BEHAVIOURS), "neurons": 16, "lanes": 4, "levels": 1}
    return profile("truenorth", **(arguments | changes))


def make_image(config: CoreConfig | None = None) -> LoadableImage:
    """All behaviours on one core: neuron n with excitatory axon 2 n and inhibitory axon 2 n + 1, and output n."""
    config = core_config() if config is None else config
    table, count = regions(config), len(BEHAVIOURS)
    # A full crossbar: the row of axon a is `neuron_words` weight words long.
    axons = np.arange(AXONS_EACH * count)
    synapses = np.zeros((config.axons, config.neuron_slots), np.int64)
    synapses[axons, axons // AXONS_EACH] = 1
    types = np.zeros((AXON_TYPES, config.neuron_slots), np.int64)
    types[EXCITATORY, :count] = [behaviour.excitatory for behaviour in BEHAVIOURS]
    types[INHIBITORY, :count] = [behaviour.inhibitory for behaviour in BEHAVIOURS]
    every = np.arange(config.axons)
    neurons = np.arange(config.neurons)
    contents: dict[str, dict[str, IntArray]] = {
        "weights": {"weight": synapses.reshape(-1, config.lanes)},
        "rows": {
            "base": every * config.neuron_words,
            "start": np.zeros(config.axons, np.int64),
            "last": np.full(config.axons, config.neuron_words - 1),
            "type": every % AXONS_EACH,
        },
        "type_weights": {
            "weight": types.reshape(-1, config.lanes),
            "stochastic": np.zeros((AXON_TYPES * config.neuron_words, config.lanes), np.int64),
        },
        "route_index": {"first": np.minimum(neurons, count - 1), "count": (neurons < count).astype(np.int64)},
        "routes": {
            "kind": np.full(config.routes, Destination.OUTPUT),
            "delay": np.zeros(config.routes, np.int64),
            "target": np.minimum(np.arange(config.routes), count - 1),
        },
        "control": {"last": np.full(config.levels, config.neurons - 1)},
        "seed": {"seed": np.zeros(1, np.int64)},
    }
    memory = {name: table[name].layout.pack(values) for name, values in contents.items()}
    # Neurons that are left over have the highest threshold and no leak.
    idle = truenorth_neuron(alpha=1 << 18)
    sets = [truenorth_neuron(**behaviour.neuron) for behaviour in BEHAVIOURS] + [idle] * (config.neurons - count)
    for name in ("parameters", "firing"):
        layout = table[name].variants[0]
        assert layout is not None
        fields = {field.name: np.array([values[field.name] for values in sets]) for field in layout.fields}
        memory[name] = pack_neurons(table[name], [fields], np.zeros(len(sets), np.int64))
    return LoadableImage(
        config=ChipConfig(cores=(config,)),
        memories=(memory,),
        inputs=(PortMap("axons", 0, len(axons)),),
        outputs=(PortMap("behaviours", 0, count),),
        input_index=axons,
        input_core=np.zeros(len(axons), np.int64),
        input_axon=axons,
        input_offset=np.zeros(len(axons), np.int64),
        output_shift=np.zeros(count, np.int64),
        populations=(PopulationMap("neurons", 0, 0, config.neurons, 0),),
    )


def stimuli() -> BoolArray:
    """Input spikes ``[TICKS, axons]``."""
    spikes = np.zeros((TICKS, AXONS_EACH * len(BEHAVIOURS)), np.bool_)
    for number, behaviour in enumerate(BEHAVIOURS):
        spikes[list(behaviour.excitation), AXONS_EACH * number + EXCITATORY] = True
        spikes[list(behaviour.inhibition), AXONS_EACH * number + INHIBITORY] = True
    return spikes


def expected() -> BoolArray:
    """Output spikes ``[TICKS, behaviours]``."""
    spikes = np.zeros((TICKS, len(BEHAVIOURS)), np.bool_)
    for number, behaviour in enumerate(BEHAVIOURS):
        spikes[list(behaviour.spikes), number] = True
    return spikes


def ticks_of(spikes: BoolArray) -> list[IntArray]:
    """Ticks of the spikes in each column."""
    return [np.flatnonzero(column) for column in spikes.T]
