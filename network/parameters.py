"""What the compiler gives every neuron: its model, its parameters and their set, and the type of every axon. See ``docs/compiler.md``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import AXON_TYPES, CoreConfig
from spikeloom.arch.errors import CapacityError
from spikeloom.arch.layout import IntArray, WordArray, ceil_div
from spikeloom.arch.memory_map import pack_neurons, regions
from spikeloom.network.plan import CorePlan, Piece

BoolArray = npt.NDArray[np.bool_]


@dataclass(slots=True)
class NeuronParameters:
    """Model, parameters and set of every neuron.

    Parameters
    ----------
    model_of, set_of : int64 array ``[neurons]``
    used : bool array ``[neurons]``
        Which of them belong to a population.
    values : list of dict of int64 array ``[neurons]``
        For each model its parameter fields; those of a neuron that never fires where none follows it.
    sets : int
        Parameter sets that the populations need.
    """

    model_of: IntArray
    set_of: IntArray
    used: BoolArray
    values: list[dict[str, IntArray]]
    sets: int


#: Fields at whose largest value a neuron never fires.
_UNREACHED = ("threshold", "peak")


@dataclass(frozen=True, slots=True)
class TypedRow:
    """Weights that an axon needs.

    Parameters
    ----------
    source : str
        What it stands for, for messages.
    axon : int
    neurons, weights : int64 arrays
        Neurons reached, and their weights.
    """

    source: str
    axon: int
    neurons: IntArray
    weights: IntArray


def assign_types(core: CoreConfig, rows: list[TypedRow]) -> tuple[IntArray, IntArray]:
    """Give every axon a type, so that a neuron sees one weight on all axons of a type.

    This is the colouring of a graph, done as Brelaz (1979) does: next comes the axon with the fewest types left, among those the one that
    reaches most neurons; it takes the type in which most of its weights stand already.

    Returns
    -------
    of_axon : int64 array ``[axons]``
    weights : int64 array ``[types, neuron_slots]``
    """
    of_axon = np.zeros(core.axons, np.int64)
    weights = np.zeros((AXON_TYPES, core.neuron_slots), np.int64)
    wanted = np.zeros((len(rows), core.neuron_slots), np.int16)
    for number, row in enumerate(rows):
        wanted[number, row.neurons] = row.weights
    sizes = (wanted != 0).sum(axis=1)
    possible = np.ones((len(rows), AXON_TYPES), np.bool_)
    open_rows = np.ones(len(rows), np.bool_)
    while open_rows.any():
        left = np.flatnonzero(open_rows)
        chosen = left[np.lexsort((-sizes[left], possible[left].sum(axis=1)))[0]]
        row = rows[chosen]
        if not possible[chosen].any():
            raise CapacityError(
                f"the weights of {row.source} suit none of the {AXON_TYPES} axon types: with one bit per synapse each source has a type, "
                f"and a neuron one weight per type; use at most {AXON_TYPES} kinds of sources, or a geometry with weight_bits 2 or more"
            )
        standing = (weights[:, row.neurons] == row.weights).sum(axis=1)
        kind = int(np.argmax(np.where(possible[chosen], standing, -1)))
        weights[kind, row.neurons] = row.weights
        of_axon[row.axon] = kind
        open_rows[chosen] = False
        concerned = np.flatnonzero(open_rows & possible[:, kind])
        others = wanted[np.ix_(concerned, row.neurons)]
        possible[concerned, kind] = ((others == 0) | (others == row.weights)).all(axis=1)
    return of_axon, weights


def typed_rows(plan: CorePlan) -> list[TypedRow]:
    """The rows of a core whose axons are numbered."""
    rows = []
    for bundle in plan.bundles:
        for axon, (source, row) in enumerate(
            zip(bundle.used.tolist(), bundle.weights(plan.config.lanes), strict=True), bundle.axon
        ):
            reached = np.flatnonzero(row)
            first = bundle.start * plan.config.lanes
            rows.append(TypedRow(f"{bundle.source.label}[{source}]", axon, first + reached, row[reached]))
    return rows


def neuron_parameters(core: CoreConfig, pieces: list[Piece]) -> NeuronParameters:
    """Parameters of all neurons of a core; unused ones follow the model of the piece before them, and never fire."""
    step = max(core.group, core.pipelines)
    size = ceil_div(max([core.neurons, *(piece.first + piece.size for piece in pieces)]), step) * step
    model_of = np.zeros(size, np.int64)
    used = np.zeros(size, np.bool_)
    values = [
        {name: np.full(size, field.high if name in _UNREACHED else 0) for name, field in model.parameter_names().items()}
        for model in core.models
    ]
    for number, piece in enumerate(pieces):
        q = piece.demand.neurons
        begin, end = piece.first, piece.first + piece.size
        # A piece fills its last group with copies of its last neuron's parameters; they must agree within a group anyway.
        filled = ceil_div(end, core.group) * core.group
        model = core.models.index(q.model)
        model_of[begin if number else 0 :] = model
        used[begin:end] = True
        own = {field.name for field in q.model.own_fields()}
        for name, array in q.parameters.items():
            values[model][name][begin:end] = array[piece.offset : piece.offset + piece.size]
            if name not in own:
                values[model][name][end:filled] = values[model][name][end - 1]
    set_of, sets = np.arange(size) // core.group, 0
    if core.sets is not None:
        set_of, sets = number_sets(core, model_of, used, values)
    return NeuronParameters(model_of, set_of, used, values, sets)


def number_sets(core: CoreConfig, model_of: IntArray, used: BoolArray, values: list[dict[str, IntArray]]) -> tuple[IntArray, int]:
    """Neurons with equal parameters share a set; the set of each neuron, and how many sets the populations need.

    Unused neurons get a set of their own for each model while there are sets left; otherwise that of the neuron before them.
    """
    set_of = np.zeros(len(model_of), np.int64)
    sets = 0
    for number, model in enumerate(core.models):
        names = [field.name for field in (*model.parameter_fields(), *model.firing_fields())]
        chosen = np.flatnonzero(used & (model_of == number))
        if len(chosen):
            table = np.stack([values[number][name][chosen] for name in names], axis=1)
            _, inverse = np.unique(table, axis=0, return_inverse=True)
            inverse = inverse.reshape(-1)
            set_of[chosen] = sets + inverse
            sets += int(inverse.max()) + 1
    assert core.sets is not None
    free = sets
    for number in range(len(core.models)):
        rest = np.flatnonzero(~used & (model_of == number))
        if len(rest) and free < core.sets:
            set_of[rest] = free
            free += 1
        elif len(rest):
            # The first row of a core may be left empty: that follows the first neuron behind it.
            members = np.flatnonzero(used)
            set_of[rest] = set_of[members[np.maximum(np.searchsorted(members, rest) - 1, 0)]]
    return set_of, sets


def neuron_words(core: CoreConfig, parameters: NeuronParameters) -> dict[str, WordArray]:
    """Words of the memories of neurons and sets."""
    table = regions(core)
    result = {}
    members = np.arange(len(parameters.set_of))
    # A neuron that stands for its set: the last one that uses it, which overwrites the others; one of a population, if there is any.
    of_set = np.zeros(core.parameter_sets, np.int64)
    for part in (~parameters.used, parameters.used):
        standing = members[: core.neurons][part[: core.neurons]]
        of_set[parameters.set_of[standing]] = standing
    for name, region in table.items():
        if not region.variants or not region.in_image:
            continue
        chosen = members[: core.neurons] if name == "own" else of_set
        fields = []
        for model, columns in zip(core.models, parameters.values, strict=True):
            layout = model.words().get(name)
            names = [] if layout is None else [field.name for field in layout.fields]
            if name != "own" and core.sets is None:
                _check_groups(core, parameters, names, columns)
            fields.append({field: columns[field][chosen] for field in names} if names else None)
        result[name] = pack_neurons(region, fields, parameters.model_of[chosen])
    if core.kinds:
        kinds = {"model": parameters.model_of[: core.neurons], "set": parameters.set_of[: core.neurons]}
        layout = table["kinds"].layout
        result["kinds"] = layout.pack({field.name: kinds[field.name] for field in layout.fields})
    return result


def _check_groups(core: CoreConfig, parameters: NeuronParameters, names: list[str], columns: dict[str, IntArray]) -> None:
    for name in names:
        groups = columns[name][: ceil_div(core.neurons, core.group) * core.group].reshape(-1, core.group)
        if (groups != groups[:, :1]).any():
            raise CapacityError(
                f"neurons that share a parameter set differ in their {name}; the geometry has {core.group} neurons per set: "
                "choose group=1, or populations with equal parameters"
            )
