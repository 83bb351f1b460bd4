"""The low door: an image straight from arrays, without the compiler. Described in ``docs/low_door.md``."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import AXON_TYPES, MAX_DELAY, TYPE_WEIGHT_BITS, ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError, ConfigError, ImageError
from spikeloom.arch.image import PopulationMap, PortMap
from spikeloom.arch.layout import IntArray, WordArray, ceil_div
from spikeloom.arch.memory_map import Region, regions
from spikeloom.arch.packet import Destination
from spikeloom.network.image import Image
from spikeloom.network.parameters import NeuronParameters, neuron_words, number_sets
from spikeloom.network.plasticity import Plasticity, ShortTerm

BoolArray = npt.NDArray[np.bool_]

#: Largest offset of an input and largest shift of an output, in ticks.
MAX_OFFSET = (1 << 16) - 1
#: Columns of the tables of destinations, outputs and inputs.
DESTINATION, OUTPUT, INPUT = ("neuron", "core", "axon", "delay"), ("neuron", "output"), ("column", "core", "axon", "offset")


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class CoreArrays:
    """What one core holds. All arrays hold integers (or bool), in the core's own units.

    Parameters
    ----------
    weights : array ``[axons, neurons]``
        ``weights[a, n]`` from axon a to neuron n; 0 where there is no synapse. On a core with ``weight_bits`` 1 the crossbar's bits.
    parameters : dict of integer, or array ``[neurons]``
        All parameter fields of the neurons' models, by name. Of an array, each model takes the entries of the neurons that follow it.
    models : sequence of str ``[neurons]``, str or None
        Name of the model that each neuron, or all of them, follow. None: the core has only one.
    axon_types : array ``[axons]`` or None
        Type of each axon, 0 to 3. With ``weight_bits`` 1 only; then it is needed.
    type_weights : array ``[neurons, 4]`` or None
        Weight of each neuron for each axon type, likewise.
    stochastic : array ``[neurons, 4]`` or None
        Whether that weight is the probability ``(abs(weight) + 1) / 256`` of a weight of 1 or -1. None: nowhere.
    destinations : array ``[D, 4]``
        Rows of source neuron, core, axon, delay (1 to 15 ticks). A neuron may have none; its destinations and outputs together are at
        most ``CoreConfig.list_length``.
    outputs : array ``[K, 2]``
        Rows of neuron, output number: the neuron's spikes go to the host in that column.
    seed : int
        Seed of the random numbers; without meaning on a core that needs none.
    plasticity : Plasticity or None
        How synapses learn, on a core that can. None: they do not.
    plastic_axons, plastic_neurons : bool arrays ``[axons]``, ``[neurons]``
        Whose synapses learn: those between both. All of them by default.
    short_term : ShortTerm or None
        Short-term plasticity of the axons, on a core that has it. None: weights are plain.
    """

    weights: npt.ArrayLike
    parameters: Mapping[str, npt.ArrayLike]
    models: Sequence[str] | str | None = None
    axon_types: npt.ArrayLike | None = None
    type_weights: npt.ArrayLike | None = None
    stochastic: npt.ArrayLike | None = None
    destinations: npt.ArrayLike = field(default_factory=lambda: np.zeros((0, 4), np.int64))
    outputs: npt.ArrayLike = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    seed: int = 0
    plasticity: Plasticity | None = None
    plastic_axons: npt.ArrayLike = True
    plastic_neurons: npt.ArrayLike = True
    short_term: ShortTerm | None = None


def image_from_arrays(
    config: ChipConfig,
    cores: Iterable[CoreArrays],
    *,
    inputs: npt.ArrayLike = (),
    input_size: SupportsIndex | None = None,
    output_size: SupportsIndex | None = None,
    output_shift: npt.ArrayLike = 0,
) -> Image:
    """Build an image from arrays: nothing is quantised, placed, routed or aligned, only packed and checked.

    Parameters
    ----------
    config : ChipConfig
        The geometry that the arrays are meant for.
    cores : iterable of CoreArrays
        One for each core, row by row. They are taken one after the other, so a generator need not hold them all.
    inputs : array ``[M, 4]``
        Rows of input column, core, axon, offset: a spike in that column at step t makes the axon active in tick ``t + offset``.
    input_size, output_size : int or None
        Columns of the input and output spikes; None: as many as the largest number needs.
    output_shift : integer, or array ``[output_size]``
        Ticks by which outputs come late: column o at step t is output o of tick ``t + output_shift[o]``.

    Returns
    -------
    Image
        Ports are named "inputs" and "outputs"; the neurons of core n are the population "core<n>".

    Raises
    ------
    ImageError
        If an array has a wrong shape, type or value; the message names core, place, value, limit and remedy.
    CapacityError
        If the arrays need more weight words, destinations or parameter sets than the geometry has, or one neuron more destinations
        than a list can have.
    """
    if not isinstance(config, ChipConfig):
        raise ConfigError(f"config must be a ChipConfig, not {config!r}; one core is ChipConfig(cores=(core,))")
    axons = np.array([core.axons for core in config.cores], np.int64)
    memories: list[dict[str, WordArray]] = []
    tables: dict[int, dict[str, Region]] = {}
    last_output = -1
    for number, arrays in enumerate(cores):
        if number >= len(config.cores):
            raise ImageError(f"arrays for more than the {len(config.cores)} cores of the chip; give one CoreArrays for each")
        if not isinstance(arrays, CoreArrays):
            raise ImageError(f"core {number}: {type(arrays).__name__} instead of CoreArrays")
        core = config.cores[number]
        # Cores that are alike are one object.
        if id(core) not in tables:
            tables[id(core)] = regions(core)
        memory, outputs = _core(config, number, arrays, axons, tables[id(core)])
        memories.append(memory)
        last_output = max(last_output, int(outputs[:, 1].max(initial=-1)))
    if len(memories) < len(config.cores):
        raise ImageError(f"arrays for {len(memories)} cores; the chip has {len(config.cores)}: give one CoreArrays for each")
    events = _table("inputs", inputs, INPUT)
    columns = _size("input_size", input_size, int(events[:, 0].max(initial=-1)) + 1)
    _check_column("inputs", events, INPUT, 0, columns)
    _check_core_and_axon("inputs", config, events, INPUT, axons)
    _check_column("inputs", events, INPUT, 3, MAX_OFFSET + 1)
    out_columns = _size("output_size", output_size, last_output + 1)
    shift = _integers("output_shift", output_shift, (out_columns,), 0, MAX_OFFSET)
    return Image(
        config=config,
        memories=tuple(memories),
        inputs=(PortMap("inputs", 0, columns),) if columns else (),
        outputs=(PortMap("outputs", 0, out_columns),) if out_columns else (),
        input_index=events[:, 0].copy(),
        input_core=events[:, 1].copy(),
        input_axon=events[:, 2].copy(),
        input_offset=events[:, 3].copy(),
        output_shift=shift,
        populations=tuple(PopulationMap(f"core{n}", n, 0, core.neurons, 0) for n, core in enumerate(config.cores)),
    )


# Checks ---------------------------------------------------------------------------------------------------------------


def _array(where: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """An array of integers of any type."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ImageError(f"{where} is not an array: its rows differ in length or depth ({error})") from None
    if array.dtype.kind == "f":
        broken = np.argwhere(array != np.trunc(array) if np.isfinite(array).all() else ~np.isfinite(array))
        if len(broken):
            raise ImageError(f"{where}{_place(broken[0])} is {array[tuple(broken[0])]}; it must be an integer")
    if array.dtype.kind not in "iub" and array.size:
        raise ImageError(f"{where} holds the type {array.dtype}; it must hold integers, for example after astype(np.int64)")
    # An empty list has the type float64.
    return array if array.size else array.astype(np.int64)


def _place(index: npt.NDArray[Any]) -> str:
    """Index of an entry, for messages; nothing for a single number."""
    return f"[{', '.join(map(str, index.tolist()))}]" if len(index) else ""


def _refuse(where: str, values: npt.NDArray[Any], wrong: BoolArray, low: int, high: int, remedy: str = "") -> None:
    """Name the first wrong value, if there is one."""
    if wrong.any():
        index = np.argwhere(wrong)[0]
        value = int(values[tuple(index)])
        remedy = remedy or f" (nearest: {min(max(value, low), high)})"
        raise ImageError(f"{where}{_place(index)} is {value}; it must be {low} to {high}{remedy}")


def _checked(where: str, values: npt.ArrayLike, shape: tuple[int, ...], low: int, high: int, remedy: str = "") -> npt.NDArray[Any]:
    """An array of that shape with integers in a range, of the type given; from a number, if all entries are equal."""
    array = _array(where, values)
    if array.shape not in ((), shape):
        raise ImageError(f"{where} has shape {list(array.shape)}; the geometry needs {list(shape)}")
    if array.dtype != np.bool_ or (low, high) != (0, 1):
        _refuse(where, array, (array < low) | (array > high), low, high, remedy)
    return np.broadcast_to(array, shape)


def _integers(where: str, values: npt.ArrayLike, shape: tuple[int, ...], low: int, high: int) -> IntArray:
    """The same, as int64."""
    return _checked(where, values, shape, low, high).astype(np.int64)


def _table(where: str, values: npt.ArrayLike, names: tuple[str, ...]) -> IntArray:
    """Rows of integers, int64 ``[rows, names]``."""
    array = _array(where, values)
    if array.size == 0:
        return np.zeros((0, len(names)), np.int64)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise ImageError(f"{where} has shape {list(array.shape)}; it must have rows of {', '.join(names)}: [rows, {len(names)}]")
    return array.astype(np.int64)


def _check_column(
    where: str, table: IntArray, names: tuple[str, ...], column: int, end: int | IntArray, low: int = 0, of: str = ""
) -> None:
    """Entries of a column must be ``low`` to ``end - 1``; ``end`` may differ from row to row."""
    values = table[:, column]
    wrong = (values < low) | (values >= end)
    if wrong.any():
        row = int(np.argmax(wrong))
        high = int(np.broadcast_to(end, values.shape)[row]) - 1
        owner = of.format(**dict(zip(names, table[row].tolist(), strict=True)))
        raise ImageError(f"{where}[{row}]: {names[column]} {values[row]}{owner}; it must be {low} to {high}")


def _check_core_and_axon(where: str, config: ChipConfig, table: IntArray, names: tuple[str, ...], axons: IntArray) -> None:
    core, axon = names.index("core"), names.index("axon")
    mesh = f" is outside the mesh of {config.columns} columns and {config.rows} rows"
    _check_column(where, table, names, core, len(config.cores), of=mesh)
    _check_column(where, table, names, axon, axons[table[:, core]], of=" does not exist in core {core}")


def _size(name: str, given: SupportsIndex | None, needed: int) -> int:
    """Columns of a spike array."""
    if given is None:
        return needed
    try:
        size = -1 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        size = -1
    if size < needed:
        reason = f"the arrays name column {needed - 1}, so " if needed else ""
        raise ImageError(f"{name} is {given!r}; {reason}it must be an integer of {needed} or more")
    return size


# Memories -------------------------------------------------------------------------------------------------------------


def _core(
    config: ChipConfig, number: int, arrays: CoreArrays, axons: IntArray, table: Mapping[str, Region]
) -> tuple[dict[str, WordArray], IntArray]:
    """Words of all memories of a core, and its rows of neuron, output number."""
    core, where = config.cores[number], f"core {number}"
    outputs = _table(f"{where}, outputs", arrays.outputs, OUTPUT)
    _check_column(f"{where}, outputs", outputs, OUTPUT, 0, core.neurons)
    _check_column(f"{where}, outputs", outputs, OUTPUT, 1, core.target_count)
    destinations = _table(f"{where}, destinations", arrays.destinations, DESTINATION)
    _check_column(f"{where}, destinations", destinations, DESTINATION, 0, core.neurons)
    _check_core_and_axon(f"{where}, destinations", config, destinations, DESTINATION, axons)
    _check_column(f"{where}, destinations", destinations, DESTINATION, 3, MAX_DELAY + 1, low=1)
    routes = _routes(where, config, number, destinations, outputs, table)
    axons_learn, neurons_learn, learning = _learning(where, core, arrays, table)
    weights = _weights(where, core, arrays, table, axons_learn, neurons_learn)
    learning |= _short_term(where, core, arrays, table)
    return weights | learning | routes | _neurons(where, core, arrays), outputs


def _learning(
    where: str, core: CoreConfig, arrays: CoreArrays, table: Mapping[str, Region]
) -> tuple[BoolArray, BoolArray, dict[str, WordArray]]:
    """Which axons learn, which neurons of each neuron word do, and the words that say how."""
    axons = _integers(f"{where}, plastic_axons", arrays.plastic_axons, (core.axons,), 0, 1) == 1
    neurons = _integers(f"{where}, plastic_neurons", arrays.plastic_neurons, (core.neurons,), 0, 1)
    by_word = _by_word(core, neurons[np.newaxis])[0]
    if arrays.plasticity is None:
        if core.learning is None:
            return np.zeros_like(axons), np.zeros_like(by_word, np.bool_), {}
        axons, by_word = np.zeros_like(axons), np.zeros_like(by_word)
        words = {
            name: np.zeros((table[name].depth, table[name].layout.slices), np.uint32)
            for name in ("learning", "rules", "modulation")
        }
    else:
        try:
            words = arrays.plasticity.words(core)
        except ConfigError as error:
            raise ImageError(f"{where}: {error}") from None
    return (
        axons,
        by_word == 1,
        words | {"plastic": table["plastic"].layout.pack({"plastic": by_word[:, 0] if core.lanes == 1 else by_word})},
    )


def _short_term(where: str, core: CoreConfig, arrays: CoreArrays, table: Mapping[str, Region]) -> dict[str, WordArray]:
    """Parameters of the axons' short-term plasticity."""
    if not core.short_term:
        if arrays.short_term is not None:
            raise ImageError(f"{where}: short_term is given, but the core has none; generate it with short_term=True")
        return {}
    if arrays.short_term is None:
        return {"short_term": np.zeros((core.axons, table["short_term"].layout.slices), np.uint32)}
    try:
        return {"short_term": arrays.short_term.words(core.axons)}
    except ConfigError as error:
        raise ImageError(f"{where}, short_term: {error}") from None


def _weights(
    where: str,
    core: CoreConfig,
    arrays: CoreArrays,
    table: Mapping[str, Region],
    axons_learn: BoolArray,
    neurons_learn: BoolArray,
) -> dict[str, WordArray]:
    """Words of the crossbar. A row covers the neuron words from its first to its last synapse, and rows lie side by side.

    All neurons that learn have a synapse with each axon that does: from a weight of 0 others may come.
    """
    low, high = (0, 1) if core.typed else (-(1 << (core.weight_bits - 1)), (1 << (core.weight_bits - 1)) - 1)
    remedy = "" if core.typed else f" with weight_bits {core.weight_bits}: use smaller weights or a wider geometry"
    weights = _by_word(core, _checked(f"{where}, weights", arrays.weights, (core.axons, core.neurons), low, high, remedy))
    used = (weights != 0).any(axis=2) | (axons_learn[:, np.newaxis] & neurons_learn.any(axis=1))
    start = used.argmax(axis=1)
    last = core.neuron_words - 1 - used[:, ::-1].argmax(axis=1)
    # A row that ends before it starts is empty.
    start, last = np.where(used.any(axis=1), start, 1), np.where(used.any(axis=1), last, 0)
    length = last - start + 1
    total = int(length.sum())
    if total > core.words:
        raise CapacityError(
            f"{where}: its rows take {total} weight words of {core.lanes} weights; the weight memory has {core.words}: raise weight_words, "
            "or let the synapses of an axon stand closer together"
        )
    word = np.arange(core.neuron_words)
    memory = np.zeros((core.words, core.lanes), weights.dtype)
    memory[:total] = weights[(word >= start[:, np.newaxis]) & (word <= last[:, np.newaxis])]
    contents = {
        "weights": {"weight": memory},
        "rows": {"base": np.where(length > 0, np.cumsum(length) - length, 0), "start": start, "last": last},
        "control": {"last": np.full(core.levels, core.neurons - 1)},
    }
    by_type = {"axon_types": arrays.axon_types, "type_weights": arrays.type_weights, "stochastic": arrays.stochastic}
    if core.learning is not None:
        contents["rows"]["plastic"] = axons_learn
    if core.typed:
        contents["rows"]["type"], contents["type_weights"] = _types(where, core, arrays)
    elif any(values is not None for values in by_type.values()):
        name = next(name for name, values in by_type.items() if values is not None)
        raise ImageError(
            f"{where}: {name} is given, but the core has weight_bits {core.weight_bits}; leave it out, or use weight_bits 1"
        )
    if core.random:
        contents["seed"] = {"seed": _integers(f"{where}, seed", arrays.seed, (), 0, 0xFFFF_FFFF).reshape(1)}
    return {name: table[name].layout.pack(values) for name, values in contents.items()}


def _by_word(core: CoreConfig, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values ``[rows, neurons]`` as ``[rows, neuron words, lanes]``, zero beyond the last neuron."""
    if core.neuron_slots > core.neurons:
        values = np.pad(values, ((0, 0), (0, core.neuron_slots - core.neurons)))
    return values.reshape(len(values), core.neuron_words, core.lanes)


def _types(where: str, core: CoreConfig, arrays: CoreArrays) -> tuple[IntArray, dict[str, IntArray]]:
    """Type of each axon, and fields of the type weights."""
    if arrays.axon_types is None or arrays.type_weights is None:
        missing = "axon_types" if arrays.axon_types is None else "type_weights"
        raise ImageError(
            f"{where}: {missing} is missing; with weight_bits 1 each axon has a type, and each neuron a weight per type"
        )
    types = _integers(f"{where}, axon_types", arrays.axon_types, (core.axons,), 0, AXON_TYPES - 1)
    high = (1 << (TYPE_WEIGHT_BITS - 1)) - 1
    shape = (core.neurons, AXON_TYPES)
    fields = {"weight": _integers(f"{where}, type_weights", arrays.type_weights, shape, -high - 1, high)}
    if core.stochastic_synapses:
        chosen = 0 if arrays.stochastic is None else arrays.stochastic
        fields["stochastic"] = _integers(f"{where}, stochastic", chosen, shape, 0, 1)
    elif arrays.stochastic is not None:
        raise ImageError(f"{where}: stochastic is given, but the core has no stochastic_synapses; leave it out, or turn them on")
    return types, {name: _by_word(core, values.T).reshape(-1, core.lanes) for name, values in fields.items()}


def _routes(
    where: str, config: ChipConfig, number: int, destinations: IntArray, outputs: IntArray, table: Mapping[str, Region]
) -> dict[str, WordArray]:
    """Words of the destination lists: of each neuron its destinations in the order given, then its outputs."""
    core = config.cores[number]
    total = len(destinations) + len(outputs)
    if total > core.routes:
        raise CapacityError(
            f"{where}: {len(destinations)} destinations and {len(outputs)} outputs; the routing memory has {core.routes} entries: "
            "raise destinations of the CoreConfig, or leave some out"
        )
    source = np.concatenate([destinations[:, 0], outputs[:, 0]])
    to = np.concatenate([destinations[:, 1], np.full(len(outputs), config.host_core(number))])
    column, row = config.place(number)
    entries = {
        "kind": np.repeat([int(Destination.AXON), int(Destination.OUTPUT)], [len(destinations), len(outputs)]),
        "delay": np.concatenate([destinations[:, 3], np.zeros(len(outputs), np.int64)]),
        "target": np.concatenate([destinations[:, 2], outputs[:, 1]]),
        "dx": to % config.columns - column,
        "dy": to // config.columns - row,
    }
    order = np.argsort(source, kind="stable")
    count = np.bincount(source, minlength=core.neurons)
    if count.max() > core.list_length:
        raise CapacityError(
            f"{where}: neuron {count.argmax()} has {count.max()} destinations and outputs; with a routing memory of {core.routes} entries it may "
            f"have {core.list_length}: raise destinations of the CoreConfig"
        )
    layout = table["routes"].layout
    fields = {field.name: np.zeros(core.routes, np.int64) for field in layout.fields}
    for name, values in fields.items():
        values[:total] = entries[name][order]
    index = {"first": np.where(count > 0, np.cumsum(count) - count, 0), "count": count}
    return {"routes": layout.pack(fields), "route_index": table["route_index"].layout.pack(index)}


def _neurons(where: str, core: CoreConfig, arrays: CoreArrays) -> dict[str, WordArray]:
    """Words of the neurons and of their parameter sets."""
    model_of = _models(where, core, arrays.models)
    values = _parameters(where, core, arrays.parameters, model_of)
    # The last group is filled up with copies of the last neuron.
    size = ceil_div(core.neurons, core.group) * core.group
    if size > core.neurons:
        values = [{name: np.pad(column, (0, size - core.neurons), "edge") for name, column in each.items()} for each in values]
        model_of = np.pad(model_of, (0, size - core.neurons), "edge")
    groups = model_of.reshape(-1, core.group)
    mixed = (groups != groups[:, :1]).any(axis=1)
    if core.sets is None and mixed.any():
        raise ImageError(
            f"{where}: neurons {int(np.argmax(mixed)) * core.group} and following share a parameter set but follow different models; "
            f"let each {core.group} follow one, or use group=1"
        )
    used = np.ones(size, np.bool_)
    set_of, sets = (np.arange(size) // core.group, 0) if core.sets is None else number_sets(core, model_of, used, values)
    if sets > core.parameter_sets:
        raise CapacityError(
            f"{where}: its neurons have {sets} different parameter sets; the geometry holds {core.parameter_sets}: raise sets of the CoreConfig"
        )
    try:
        return neuron_words(core, NeuronParameters(model_of, set_of, used, values, sets))
    except CapacityError as error:
        raise CapacityError(f"{where}: {error}") from None


def _models(where: str, core: CoreConfig, models: Sequence[str] | str | None) -> IntArray:
    """Number of each neuron's model."""
    names = [model.NAME for model in core.models]
    if models is None:
        if len(names) > 1:
            raise ImageError(f"{where}: models is missing; the core holds {', '.join(names)}: name one for each neuron")
        return np.zeros(core.neurons, np.int64)
    given = np.asarray(models)
    if given.shape not in ((), (core.neurons,)):
        raise ImageError(f"{where}, models has shape {list(given.shape)}; the geometry needs {[core.neurons]}")
    result = np.full(given.shape, -1)
    for number, name in enumerate(names):
        result[given == name] = number
    unknown = np.argwhere(result < 0)
    if len(unknown):
        name = given[tuple(unknown[0])]
        raise ImageError(f"{where}, models{_place(unknown[0])} is {name!s}; the core holds {', '.join(names)}")
    return np.broadcast_to(result, core.neurons).astype(np.int64)


def _parameters(where: str, core: CoreConfig, given: Mapping[str, npt.ArrayLike], model_of: IntArray) -> list[dict[str, IntArray]]:
    """For each model its parameter fields, int64 arrays ``[neurons]``; 0 where another model is followed."""
    if not isinstance(given, Mapping):
        raise ImageError(f"{where}: parameters must be a dict of names and arrays, not {type(given).__name__}")
    followed = [(number, model) for number, model in enumerate(core.models) if (model_of == number).any()]
    needed = dict.fromkeys(name for _, model in followed for name in model.parameter_names())
    different = sorted(set(needed) ^ set(given))
    if different:
        raise ImageError(
            f"{where}: missing or unknown parameters of its {' and '.join(model.NAME for _, model in followed)} neurons: "
            f"{', '.join(different)}; they have {', '.join(needed)}"
        )
    arrays = {}
    for name, values in given.items():
        array = _array(f"{where}, {name}", values)
        if array.shape not in ((), (core.neurons,)):
            raise ImageError(
                f"{where}, {name} has shape {list(array.shape)}; it must be an integer or [{core.neurons}], one per neuron"
            )
        arrays[name] = np.broadcast_to(array, core.neurons)
    result = []
    for number, model in enumerate(core.models):
        chosen = model_of == number
        columns = {}
        for name, limits in model.parameter_names().items():
            values = arrays.get(name, np.zeros(core.neurons, np.int64))
            wrong = chosen & ((values < limits.low) | (values > limits.high))
            _refuse(f"{where}, {name}", values, wrong, limits.low, limits.high)
            columns[name] = np.where(chosen, values, 0).astype(np.int64)
        result.append(columns)
    return result
