"""Partition: which neurons come to which core. Described in ``docs/compiler.md``.

No search: every piece of a population goes to the core that takes most of it. So the time grows with synapses times open cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError, NetworkError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import Lif
from spikeloom.arch.neuron import NeuronModel
from spikeloom.network.description import Network, Population
from spikeloom.network.parameters import assign_types, typed_rows
from spikeloom.network.plan import CorePlan, Demand, Offer, Partition, Synapses, Window
from spikeloom.network.quantise import QuantisedNetwork, QuantisedNeurons, weight_width
from spikeloom.network.verdict import refuse_neurons, refuse_piece, short_of

#: Of the cores that have neurons left, so many are tried: those that were begun last.
OPEN_CORES = 16
#: Rounds in which destinations are reserved as the round before has shown them to be needed.
ROUNDS = 4
#: Core -> neurons of which the first one of a piece is a multiple.
_Align = Callable[[CoreConfig], int]


def partition(
    network: Network, quantised: QuantisedNetwork, config: ChipConfig, delays: list[int], levels: dict[str, int]
) -> Partition:
    """Give all neurons to cores.

    A chip of one core gets everything, whether it fits or not. If a chip of several has too few, the result holds cores that are ``spare``.

    Raises
    ------
    CapacityError
        If a single neuron asks for more than any core has.
    """
    demands = _demands(network, quantised, config, delays, levels)
    grain = max(core.group for core in config.cores)

    def wide(core: CoreConfig) -> int:
        return max(core.lanes, close(core))

    def close(core: CoreConfig) -> int:
        return max(core.pipelines, grain)

    # Pieces begin at a word of lanes, so that no row covers lanes it does not use; if that does not fit, they only keep to what the
    # pipelines and parameter groups need.
    if len(config.cores) == 1:
        result = _one_core(network, config.cores[0], demands, wide)
        if result.plans[0].neurons > config.cores[0].neurons:
            result = _one_core(network, config.cores[0], demands, close)
    else:
        try:
            result = _many_cores(network, config, demands, wide, grain)
            fits = result.fits
        except CapacityError:
            fits = False
        if not fits:
            result = _many_cores(network, config, demands, close, grain)
    order = _source_order(network)
    for plan in result.plans:
        plan.finish(order)
    return result


def _source_order(network: Network) -> dict[str, int]:
    """Numbers of all populations, by which axons are ordered."""
    return {population.label: number for number, population in enumerate(network.populations)}


# What is asked for ------------------------------------------------------------------------------------------------------


def _demands(
    network: Network, quantised: QuantisedNetwork, config: ChipConfig, delays: list[int], levels: dict[str, int]
) -> list[Demand]:
    """Demands of all populations, in the order of their levels."""
    sets = _parameter_sets(quantised)
    demands = []
    for population in sorted((p for p in network.populations if not p.is_input), key=lambda p: levels[p.label]):
        q = quantised.neurons[population.label]
        inputs = _inputs(network, quantised, population, delays, min(weight_width(core) for core in config.cores if q.suits(core)))
        none = np.zeros(population.size, np.int64)
        bounds = [_bounds(synapses, q) for synapses in inputs]
        most = sum((np.maximum(high, 0).sum(axis=0) for _, high in bounds), none)
        least = sum((np.minimum(low, 0).sum(axis=0) for low, _ in bounds), none)
        demands.append(
            Demand(
                population=population,
                neurons=q,
                level=levels[population.label],
                quiet=_quiet_at_rest(q),
                inputs=inputs,
                fan_in=sum((synapses.reached.sum(axis=0) for synapses in inputs), none),
                # A signed number of so many bits holds every sum that the weights allow.
                sum_bits=np.array([value.bit_length() + 1 for value in np.maximum(most, np.maximum(-least - 1, 0)).tolist()]),
                sets=sets[population.label],
            )
        )
    return demands


def _inputs(network: Network, quantised: QuantisedNetwork, population: Population, delays: list[int], width: int) -> list[Synapses]:
    """Synapses of a population by source, delay, and whether they learn."""
    weights: dict[tuple[str, int, bool], IntArray] = {}
    for number, projection in enumerate(network.projections):
        if projection.post is population:
            plastic = projection.plasticity is not None
            key = (projection.pre.label, delays[number], plastic)
            if plastic and key in weights:
                raise NetworkError(
                    f"two projections from {projection.name} learn and have the same delay, {delays[number]} ticks; leave one of them out, or "
                    "give it another delay"
                )
            weights[key] = weights[key] + quantised.weights[number] if key in weights else quantised.weights[number]
    limit = (1 << (width - 1)) - 1
    for (source, _, plastic), matrix in weights.items():
        if not plastic and np.abs(matrix).max(initial=0) > limit:
            raise CapacityError(
                f"several projections from {source} with the same delay add up to weights beyond {limit}; merge them into one projection"
            )
    return [
        Synapses(network.find(source), delay, matrix, np.ones_like(matrix, np.bool_) if plastic else matrix != 0, plastic)
        for (source, delay, plastic), matrix in weights.items()
    ]


def _bounds(synapses: Synapses, q: QuantisedNeurons) -> tuple[IntArray, IntArray]:
    """Smallest and largest weights that synapses ever have."""
    if not synapses.plastic or q.plasticity is None:
        return synapses.weights, synapses.weights
    return np.full_like(synapses.weights, q.plasticity.low), np.full_like(synapses.weights, q.plasticity.high)


def _quiet_at_rest(q: QuantisedNeurons) -> bool:
    """Whether the population stays at zero without input, so that it may begin early."""
    # Other models may begin from a state that is not at rest.
    return (
        isinstance(q.model, Lif)
        and not any(q.parameters[name].any() for name in ("bias", "leak") if name in q.parameters)
        and bool((q.parameters["threshold"] >= 0).all())
    )


def _parameter_sets(quantised: QuantisedNetwork) -> dict[str, IntArray]:
    """For each population the parameter set of each neuron; neurons of a model with equal parameters have the same number."""
    result: dict[str, IntArray] = {}
    first = 0
    models: dict[NeuronModel, list[str]] = {}
    for label, q in quantised.neurons.items():
        models.setdefault(q.model, []).append(label)
    for model, labels in models.items():
        names = [field.name for field in (*model.parameter_fields(), *model.firing_fields())]
        tables = [np.stack([quantised.neurons[label].parameters[name] for name in names], axis=1) for label in labels]
        kinds, numbers = np.unique(np.concatenate(tables), axis=0, return_inverse=True)
        ends = np.cumsum([len(table) for table in tables])[:-1]
        result |= zip(labels, np.split(first + numbers.reshape(-1), ends), strict=True)
        first += len(kinds)
    return result


# One core ---------------------------------------------------------------------------------------------------------------


def _one_core(network: Network, core: CoreConfig, demands: list[Demand], align: _Align) -> Partition:
    plan = CorePlan(core)
    for demand in demands:
        if demand.plasticity is not None and plan.plasticity not in (None, demand.plasticity):
            other = next(piece.name for piece in plan.pieces if piece.demand.plasticity is not None)
            raise CapacityError(
                f"the synapses of {other} and {demand.population.label} learn by different rules or settings, and a core has one: give them "
                "the same Plasticity, or choose a chip of several cores"
            )
        plan.add(demand, 0, demand.size, plan.start(demand, align(core)), np.zeros(demand.size, np.int64))
    return Partition([plan], _entries(network, [plan]))


def _entries(network: Network, plans: list[CorePlan]) -> dict[str, IntArray]:
    """Destinations of each neuron: one for each bundle that it reaches, and one if it is an output."""
    entries = {p.label: np.full(p.size, int(p in network.outputs), np.int64) for p in network.populations if not p.is_input}
    for bundle in (bundle for plan in plans for bundle in plan.bundles if not bundle.source.is_input):
        entries[bundle.source.label][bundle.used] += 1
    return entries


# Several cores ------------------------------------------------------------------------------------------------------------


def _many_cores(network: Network, config: ChipConfig, demands: list[Demand], align: _Align, grain: int) -> Partition:
    """Rounds until every core's routing memory has room for its neurons' destinations.

    How many destinations a neuron needs is known only when all it reaches have their cores. The first round reserves the fewest that it
    can need, the others as many as it needed before; so neurons with many destinations are spread over more cores.
    """
    entries = _fewest_entries(network, demands)
    for _ in range(ROUNDS):
        filling = _Filling(network, config, demands, align, grain)
        for demand in demands:
            filling.take(demand, entries[demand.population.label])
        result = Partition(filling.plans, _entries(network, filling.plans))
        if result.fits or any(plan.spare for plan in result.plans):
            break
        entries = {label: np.maximum(entries[label], result.entries[label]) for label in entries}
    return result


def _fewest_entries(network: Network, demands: list[Demand]) -> dict[str, IntArray]:
    """The fewest destinations that each neuron can need: one for each delay, with and without learning, and one if it is an output."""
    entries = _entries(network, [])
    reaching: dict[tuple[str, int, bool], IntArray] = {}
    for synapses in (synapses for demand in demands for synapses in demand.inputs if not synapses.source.is_input):
        key = (synapses.source.label, synapses.delay, synapses.plastic)
        reaching[key] = np.maximum(reaching.get(key, 0), synapses.reached.any(axis=1))
    for (label, _, _), reaches in reaching.items():
        entries[label] = entries[label] + reaches
    return entries


class _Filling:
    """The cores of a chip while populations are given to them.

    Parameters
    ----------
    network : Network
    config : ChipConfig
    demands : list of Demand
        All populations that will come.
    align : callable
        Core -> neurons of which the first one of a piece is a multiple.
    grain : int
        Neurons that must stay together.

    Attributes
    ----------
    plans : list of CorePlan
        Cores with neurons, in the order in which they were begun.
    """

    def __init__(self, network: Network, config: ChipConfig, demands: list[Demand], align: _Align, grain: int) -> None:
        self.order = _source_order(network)
        self.align, self.grain = align, grain
        self.kinds = list(dict.fromkeys(config.cores))
        self.left = [config.cores.count(kind) for kind in self.kinds]
        self.able = {demand.population.label: self._able(demand) for demand in demands}
        # To how many populations cores of a kind are open.
        self.suits = {kind: sum(kind in able for able in self.able.values()) for kind in self.kinds}
        self.plans: list[CorePlan] = []

    def _able(self, demand: Demand) -> list[CoreConfig]:
        """Kinds of cores that can hold any neuron of the population."""
        return [kind for kind in self.kinds if demand.neurons.suits(kind) and not short_of(demand, kind)]

    def take(self, demand: Demand, entries: IntArray) -> None:
        """Give piece after piece of a population to the core that takes most of what is left.

        Raises
        ------
        CapacityError
            If no core, even an empty one, takes any.
        """
        if not self.able[demand.population.label]:
            refuse_neurons(demand, self.kinds)
        offset = 0
        while offset < demand.size:
            offer = self._choose(demand, offset, entries)
            offer.plan.add(demand, offset, offer.size, offer.first, entries)
            if not any(offer.plan is plan for plan in self.plans):
                self.plans.append(offer.plan)
                self.left[self.kinds.index(offer.plan.config)] -= not offer.plan.spare
            offset += offer.size

    def _choose(self, demand: Demand, offset: int, entries: IntArray) -> Offer:
        """The best offer for the population from neuron ``offset`` on; that of a spare core if no other makes one."""
        able = self.able[demand.population.label]
        begun = [plan for plan in self.plans if plan.config in able and plan.neurons < plan.config.neurons][-OPEN_CORES:]
        fresh = [CorePlan(kind) for kind, count in zip(self.kinds, self.left, strict=True) if kind in able and count]
        window = _window(demand, offset, max(kind.neurons for kind in able))
        refusals: list[CapacityError] = []
        for candidates in (begun + fresh, [CorePlan(kind, spare=True) for kind in able]):
            offers = [plan.offer(demand, window, entries, self.align(plan.config), self.grain) for plan in candidates]
            # Cores that suit few populations first, so that those that suit many are left for populations that need them.
            for offer in sorted(filter(None, offers), key=lambda o: (self.suits[o.plan.config], -o.size, o.axons)):
                size = self._size_with_types(demand, offset, offer, refusals)
                if size:
                    return replace(offer, size=size)
        if refusals:
            raise refusals[0]
        size = min(self.grain, demand.size - offset)
        for plan in candidates:
            plan.add(demand, offset, size, plan.start(demand, self.align(plan.config)), entries)
        refuse_piece(demand, offset, size, candidates)

    def _size_with_types(self, demand: Demand, offset: int, offer: Offer, refusals: list[CapacityError]) -> int:
        """Size of the offer, halved until every axon of a core with one bit per synapse can have a type; 0 if that does not help."""
        if not offer.plan.config.typed:
            return offer.size
        size = offer.size
        while size:
            trial = offer.plan.copy()
            trial.add(demand, offset, size, offer.first, np.zeros(demand.size, np.int64))
            trial.finish(self.order)
            try:
                assign_types(trial.config, typed_rows(trial))
                return size
            except CapacityError as refusal:
                refusals.append(refusal)
            # The next smaller power of two.
            size = self.grain << ((size - 1) // self.grain).bit_length() >> 1 if size > self.grain else 0
        return 0


def _window(demand: Demand, offset: int, most: int) -> Window:
    """The synapses of up to so many neurons."""
    size = min(demand.size - offset, most)
    places = []
    for synapses in demand.inputs:
        rows, columns = np.nonzero(synapses.reached[:, offset : offset + size])
        places.append((rows, columns))
    return Window(offset, size, places)
