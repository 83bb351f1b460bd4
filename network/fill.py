"""Contents of the memories, and the maps of a chip whose neurons have their places. Described in ``docs/compiler.md``."""

from __future__ import annotations

import numpy as np

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.image import PopulationMap
from spikeloom.arch.layout import IntArray, WordArray, ceil_div
from spikeloom.arch.memory_map import regions
from spikeloom.arch.packet import Destination
from spikeloom.network.description import Network
from spikeloom.network.parameters import assign_types, neuron_parameters, neuron_words, typed_rows
from spikeloom.network.plan import CorePlan

#: Columns of a table of destinations.
_ENTRY = ("core", "neuron", "kind", "delay", "target", "to")


def fill(network: Network, config: ChipConfig, at: list[CorePlan]) -> tuple[dict[str, WordArray], ...]:
    """Contents of all memories; ``at``: what each core of the mesh holds."""
    entries = _destinations(network, config, at)
    parts = np.split(entries, np.searchsorted(entries[:, 0], np.arange(1, len(at))))
    return tuple(_fill_core(config, number, plan, part) for number, (plan, part) in enumerate(zip(at, parts, strict=True)))


def population_map(at: list[CorePlan], levels: dict[str, int]) -> tuple[PopulationMap, ...]:
    """Where the neurons are: populations in the order of their levels, pieces in the order of their neurons."""
    pieces: dict[str, list[PopulationMap]] = {label: [] for label in sorted(levels, key=lambda label: levels[label])}
    for number, plan in enumerate(at):
        for piece in plan.pieces:
            label = piece.demand.population.label
            pieces[label].append(PopulationMap(label, number, piece.first, piece.size, levels[label], piece.offset))
    return tuple(piece for label in pieces for piece in sorted(pieces[label], key=lambda piece: piece.offset))


def input_map(network: Network, at: list[CorePlan]) -> dict[str, IntArray]:
    """Axons of the input columns; a column that reaches several cores has an entry for each."""
    column = {}
    first = 0
    for population in network.inputs:
        column[population.label] = first
        first += population.size
    entries = [np.zeros((4, 0), np.int64)]
    for number, plan in enumerate(at):
        for bundle in plan.bundles:
            if bundle.source.is_input:
                used = bundle.used
                axons = bundle.axon + np.arange(len(used))
                entries.append(
                    np.stack(
                        [column[bundle.source.label] + used, np.full_like(used, number), axons, np.full_like(used, bundle.delay)]
                    )
                )
    index, core, axon, offset = np.concatenate(entries, axis=1)
    return {"input_index": index, "input_core": core, "input_axon": axon, "input_offset": offset}


def _destinations(network: Network, config: ChipConfig, at: list[CorePlan]) -> IntArray:
    """Destinations of all neurons, int64 ``[entries, 6]``, by core and neuron: first axons in the order of their cores, then outputs."""
    core_of = {p.label: np.zeros(p.size, np.int64) for p in network.populations if not p.is_input}
    neuron_of = {label: np.zeros_like(cores) for label, cores in core_of.items()}
    for number, plan in enumerate(at):
        for piece in plan.pieces:
            part = slice(piece.offset, piece.offset + piece.size)
            core_of[piece.demand.population.label][part] = number
            neuron_of[piece.demand.population.label][part] = np.arange(piece.first, piece.first + piece.size)
    tables = [np.zeros((0, len(_ENTRY)), np.int64)]

    def add(label: str, used: IntArray, kind: Destination, delay: int, targets: IntArray, to: IntArray) -> None:
        same = np.ones_like(used)
        tables.append(np.stack([core_of[label][used], neuron_of[label][used], kind * same, delay * same, targets, to], axis=1))

    for number, plan in enumerate(at):
        for bundle in plan.bundles:
            if not bundle.source.is_input:
                used = bundle.used
                axons = bundle.axon + np.arange(len(used))
                add(bundle.source.label, used, Destination.AXON, bundle.delay, axons, np.full_like(used, number))
    hosts = np.array([config.host_core(number) for number in range(len(at))])
    first = 0
    for population in network.outputs:
        every = np.arange(population.size)
        add(population.label, every, Destination.OUTPUT, 0, first + every, hosts[core_of[population.label]])
        first += population.size
    table = np.concatenate(tables)
    return table[np.lexsort((table[:, 1], table[:, 0]))]


def _fill_core(config: ChipConfig, number: int, plan: CorePlan, entries: IntArray) -> dict[str, WordArray]:
    core = config.cores[number]
    contents = _rows(core, plan) | _routes(config, number, entries)
    contents["control"] = {"last": _last_neurons(core, plan)}
    if core.typed:
        contents["rows"]["type"], type_weights = assign_types(core, typed_rows(plan))
        by_type = type_weights.reshape(-1, core.lanes)
        contents["type_weights"] = {"weight": by_type[:, 0] if core.lanes == 1 else by_type}
        if core.stochastic_synapses:
            contents["type_weights"]["stochastic"] = np.zeros_like(contents["type_weights"]["weight"])
    if core.random:
        # Neurons of the same number in different cores must not draw the same numbers.
        contents["seed"] = {"seed": np.full(1, number)}
    table = regions(core)
    plasticity: dict[str, WordArray] = {}
    if core.learning is not None:
        contents["rows"]["plastic"], contents["plastic"] = _plastic_axons(core, plan), {"plastic": _plastic_neurons(core, plan)}
        if plan.plasticity is not None:
            plasticity = plan.plasticity.words(core)
        else:
            names = ("learning", "rules", "modulation")
            plasticity = {name: np.zeros((table[name].depth, table[name].layout.slices), np.uint32) for name in names}
    if core.short_term:
        # A use of 0: weights are plain.
        plasticity["short_term"] = np.zeros((core.axons, table["short_term"].layout.slices), np.uint32)
    packed = {name: table[name].layout.pack(values) for name, values in contents.items()}
    return packed | plasticity | neuron_words(core, neuron_parameters(core, plan.pieces))


def _plastic_axons(core: CoreConfig, plan: CorePlan) -> IntArray:
    """Whether each axon learns."""
    result = np.zeros(core.axons, np.int64)
    for bundle in plan.bundles:
        result[bundle.axon : bundle.axon + len(bundle.used)] = bundle.plastic
    return result


def _plastic_neurons(core: CoreConfig, plan: CorePlan) -> IntArray:
    """Whether each neuron learns, by word."""
    result = np.zeros(core.neuron_slots, np.int64)
    for piece in plan.pieces:
        result[piece.first : piece.first + piece.size] = piece.demand.plasticity is not None
    return result if core.lanes == 1 else result.reshape(-1, core.lanes)


def _rows(core: CoreConfig, plan: CorePlan) -> dict[str, dict[str, IntArray]]:
    """The memories of weights and rows: rows stand one after the other, in the order of their axons."""
    weights = np.zeros((core.words, core.lanes), np.int64)
    # A row that ends before it starts is empty.
    base, start, last = np.zeros(core.axons, np.int64), np.ones(core.axons, np.int64), np.zeros(core.axons, np.int64)
    end = 0
    for bundle in plan.bundles:
        used = bundle.used
        axons = slice(bundle.axon, bundle.axon + len(used))
        start[axons], last[axons] = bundle.row_start[used], bundle.row_last[used]
        length = last[axons] - start[axons] + 1
        base[axons] = end + np.cumsum(length) - length
        word = np.arange(bundle.start, bundle.last + 1)
        inside = (word >= start[axons, np.newaxis]) & (word <= last[axons, np.newaxis])
        values = bundle.weights(core.lanes).reshape(len(used), len(word), core.lanes)[inside]
        weights[end : end + len(values)] = values != 0 if core.typed else values
        end += len(values)
    return {
        "weights": {"weight": weights[:, 0] if core.lanes == 1 else weights},
        "rows": {"base": base, "start": start, "last": last},
    }


def _routes(config: ChipConfig, number: int, entries: IntArray) -> dict[str, dict[str, IntArray]]:
    """The routing memory."""
    core = config.cores[number]
    _, neuron, kind, delay, target, to = entries.T
    count = np.bincount(neuron, minlength=core.neurons)
    first = np.where(count > 0, np.cumsum(count) - count, 0)
    column, row = config.place(number)
    columns = {"kind": kind, "delay": delay, "target": target, "dx": to % config.columns - column, "dy": to // config.columns - row}
    routes = {}
    for field in regions(core)["routes"].layout.fields:
        routes[field.name] = np.zeros(core.routes, np.int64)
        routes[field.name][: len(entries)] = columns[field.name]
    return {"route_index": {"first": first, "count": count}, "routes": routes}


def _last_neurons(core: CoreConfig, plan: CorePlan) -> IntArray:
    """Last neuron that takes part in each of the first ticks; the last entry covers all neurons."""
    result = []
    for tick in range(core.levels):
        begun = [piece for piece in plan.pieces if piece.demand.level <= tick or tick == core.levels - 1]
        end = max((piece.first + piece.size for piece in begun), default=1)
        result.append(ceil_div(end, core.pipelines) * core.pipelines - 1)
    return np.array(result, np.int64)
