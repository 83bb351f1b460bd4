"""The behaviours as neurons of one core, whose input currents come as spikes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import IntArray, ceil_div
from spikeloom.examples.behaviours.checks import cell, integer_currents, model_of
from spikeloom.examples.behaviours.reference import Run, grid
from spikeloom.examples.behaviours.stimuli import BEHAVIOURS, TICK, Behaviour
from spikeloom.host.chip import Chip
from spikeloom.network.image import Image
from spikeloom.network.izhikevich import IzhikevichCell

BoolArray = npt.NDArray[np.bool_]

WEIGHT_BITS = 16


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """Behaviours with the same tick, as one network on one core.

    Parameters
    ----------
    behaviours : tuple of Behaviour
        In the order of the network's outputs.
    robust : bool
        Which stimuli.
    dt : float
        Tick (ms).
    image : Image
        The compiled network.
    spikes : bool array ``[ticks, inputs]``
        The stimuli. Those that are over before the last one end in silence.
    """

    behaviours: tuple[Behaviour, ...]
    robust: bool
    dt: float
    image: Image
    spikes: BoolArray

    @property
    def model(self) -> Izhikevich:
        """Widths and sub-steps."""
        model = self.image.config.cores[0].models[0]
        assert isinstance(model, Izhikevich)
        return model

    def runs(self, chip: Chip, ticks: int | None = None) -> dict[str, Run]:
        """Run the stimuli on a chip; what each behaviour did, by letter, up to its own end or for the first ``ticks`` ticks."""
        populations = list(self.image.populations)
        out = chip.run(self.spikes[:ticks], record=[population.name for population in populations])
        potential = np.concatenate([chip.recorded[population.name].potential[0] for population in populations], axis=1)
        result = {}
        for column, behaviour in enumerate(self.behaviours):
            times = grid(behaviour, self.robust)[0][: len(out)]
            scale = cell(behaviour, self.robust).scale(self.model, self.dt)
            millivolts = potential[: len(times), column] / scale - behaviour.k1 / 0.08
            result[behaviour.letter] = Run(times, times[out[: len(times), column]], millivolts)
        return result


def powers(currents: IntArray) -> IntArray:
    """Weights of the axons of one neuron, so that each integer of a range is the sum of some: those of a two's complement number."""
    low, high = int(currents.min()), int(currents.max())
    bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0, 1)
    weights = 1 << np.arange(bits, dtype=np.int64)
    return np.append(weights, -1 << bits) if low < 0 else weights


def active(currents: IntArray, weights: IntArray) -> BoolArray:
    """Axons that are active in each tick, ``[ticks, axons]``: the bits of the currents."""
    return (currents[:, np.newaxis] >> np.arange(len(weights)) & 1).astype(np.bool_)


def together(cells: Sequence[IzhikevichCell]) -> IzhikevichCell:
    """One cell type with the parameters of several neurons, which agree in ``u_variant`` and in whether ``u_init`` is given."""
    names = [field.name for field in dataclasses.fields(IzhikevichCell) if field.name not in ("u_variant", "u_init")]
    values = {name: np.array([getattr(kind, name) for kind in cells]) for name in names}
    starts = None if cells[0].u_init is None else np.array([kind.u_init for kind in cells], np.float64)
    return IzhikevichCell(**values, u_init=starts, u_variant=cells[0].u_variant)


def make_case(behaviours: Sequence[Behaviour], robust: bool, widths: Izhikevich, *, lanes: int = 4, pipelines: int = 1) -> Case:
    """Behaviours with the same tick as a network on one core: each a neuron, with axons of its own for its current."""
    dt = TICK if robust else behaviours[0].dt
    model = model_of(behaviours[0], robust, widths)
    # Neurons of one population share the equation of u: panel R is on its own.
    kinds = [[b for b in behaviours if b.accommodation is variant] for variant in (False, True)]
    order = [b for kind in kinds for b in kind]
    currents = [integer_currents(b, robust, model) for b in order]
    weights = [powers(values) for values in currents]
    first = np.cumsum([0, *map(len, weights)])
    spikes = np.zeros((max(map(len, currents)), int(first[-1])), np.bool_)
    matrix = np.zeros((int(first[-1]), len(order)))
    for column, (values, own) in enumerate(zip(currents, weights, strict=True)):
        axons = slice(int(first[column]), int(first[column + 1]))
        spikes[: len(values), axons] = active(values, own)
        matrix[axons, column] = own * cell(order[column], robust).unit(model, dt)

    network = spikeloom.Network(dt=dt)
    source = network.input(len(matrix), "currents")
    column = 0
    for label, kind in zip(("standard", "accommodation"), kinds, strict=True):
        if kind:
            neurons = network.population(len(kind), together([cell(b, robust) for b in kind]), label)
            network.projection(source, neurons, matrix[:, column : column + len(kind)])
            network.output(neurons)
            column += len(kind)

    core = CoreConfig(
        axons=len(matrix),
        neurons=sum(ceil_div(len(kind), pipelines) * pipelines for kind in kinds),
        weight_bits=WEIGHT_BITS,
        lanes=lanes,
        pipelines=pipelines,
        sets=len(order),
        weight_words=len(matrix),
        levels=1,
        models=(model,),
    )
    image = spikeloom.compile(network, config=ChipConfig(cores=(core,)))
    return Case(tuple(order), robust, dt, image, spikes)


def make_cases(robust: bool, widths: Izhikevich) -> list[Case]:
    """All twenty: on one core with the robust stimuli, on a core for each step of the panels with the original ones."""
    if robust:
        return [make_case(BEHAVIOURS, True, widths)]
    steps = sorted({b.dt for b in BEHAVIOURS})
    return [make_case([b for b in BEHAVIOURS if b.dt == step], False, widths) for step in steps]
