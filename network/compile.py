"""Compiler: a network into one core. Described in ``docs/compiler.md``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt

from spikeloom.arch.boards import board_geometry
from spikeloom.arch.config import MAX_DELAY, TYPE_WEIGHT_BITS, ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError, ConfigError, InputError, NetworkError
from spikeloom.arch.image import PopulationMap, PortMap
from spikeloom.arch.layout import IntArray, WordArray, ceil_div
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import Destination, regions
from spikeloom.network.description import Network, Neurons, Population, Projection
from spikeloom.network.evaluate import evaluate, order_of_evaluation
from spikeloom.network.image import Image
from spikeloom.network.parameters import NeuronParameters, TypedRow, assign_types, neuron_parameters, neuron_words
from spikeloom.network.quantise import QuantisedNetwork, Scale, quantise

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Need:
    """One line of the verdict.

    Parameters
    ----------
    what : str
        Resource.
    needed, available : int
    remedy : str
        What to change if it does not fit.
    """

    what: str
    needed: int
    available: int
    remedy: str

    @property
    def fits(self) -> bool:
        """Whether there is enough."""
        return self.needed <= self.available


@dataclass(slots=True)
class Bundle:
    """Axons that carry the spikes of one population to neighbouring populations after the same delay.

    Parameters
    ----------
    source : Population
    delay : int
        Ticks; for an input, ticks from its step.
    projections : list of int
        Numbers of the projections served.
    start, last : int
        Range of neuron words reached.
    used : int64 array
        Neurons of the source that reach anything.
    axon : int
        First axon; the others follow in the order of ``used``.
    """

    source: Population
    delay: int
    projections: list[int]
    start: int
    last: int
    used: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    axon: int = 0


def compile_network(
    network: Network,
    *,
    board: str | None = None,
    config: ChipConfig | None = None,
    weight_bits: int | None = None,
    scale: Scale = "neuron",
    samples: npt.ArrayLike | None = None,
    late_feedback: bool = False,
) -> Image:
    """Quantise, place and route a network.

    Parameters
    ----------
    network : Network
        From ``read_nir`` or built in Python.
    board : str
        Board whose default geometry to use, with a synaptic current and an adaptive threshold if the network needs them; the iCEBreaker if
        neither this nor ``config`` is given.
    config : ChipConfig
        Geometry to use instead.
    weight_bits : int
        Weight width to quantise to. With a board, it also chooses the geometry: the narrowest that holds it.
    scale : "neuron" or "layer"
        See :func:`~spikeloom.network.quantise.quantise`.
    samples : array ``[samples, ticks, inputs]``
        Input spikes for the report of real against integer spike counts.
    late_feedback : bool
        Accept that a feedback through several layers comes later than in the training framework.

    Returns
    -------
    Image
        ``notes`` holds the verdict, the quantisation report and warnings.

    Raises
    ------
    CapacityError
        If the network does not fit; the message lists every resource that is short, by how much, and what to change.
    NetworkError
        If the network cannot be computed in this way.
    """
    chip = _choose_geometry(network, board, config, weight_bits)
    core = chip.core
    if not network.outputs:
        raise NetworkError("the network has no output; mark a population with output()")
    if not network.inputs:
        raise NetworkError("the network has no input")
    warnings: list[str] = []
    delays, levels = _align(network, late_feedback=late_feedback, warnings=warnings)
    order_of_evaluation(network, network.delays())
    quantised = quantise(network, core, weight_bits=weight_bits, scale=scale)
    places, verdict = _place(network, quantised, core, delays, levels)
    missing = [need for need in verdict if not need.fits]
    if missing:
        parts = [f"{n.what}: needs {n.needed}, has {n.available} ({n.needed - n.available} too few; {n.remedy})" for n in missing]
        raise CapacityError(f"the network does not fit {board or 'the geometry'}: " + "; ".join(parts))
    bundles = places.bundles
    memory = _fill(network, quantised, core, places, levels)
    notes: dict[str, object] = {
        "dt_ms": network.dt,
        "verdict": [asdict(need) for need in verdict],
        "quantisation": [asdict(report) for report in quantised.reports],
        "populations": {p.label: p.note for p in network.populations if p.note},
    }
    for report in quantised.reports:
        if report.coarser > 1:
            warnings.append(
                f"population {report.population}: its weights keep {np.log2(report.coarser):.1f} bits less than they could, because threshold, "
                "reset or bias would not fit the potential otherwise"
            )
        if report.saturated:
            warnings.append(f"population {report.population}: {report.saturated} values were cut to the largest representable one")
    if samples is not None:
        notes["activity"] = _activity(network, _timed(network, delays, levels), quantised, samples, warnings)
    notes["warnings"] = warnings
    return Image(
        config=chip,
        memories=(memory,),
        board=board or "",
        inputs=_ports(network.inputs),
        outputs=_ports(network.outputs),
        **_input_map(network, bundles),
        output_shift=np.concatenate([np.full(p.size, levels[p.label], np.int64) for p in network.outputs]),
        populations=tuple(PopulationMap(p.label, 0, places.first[p.label], p.size, levels[p.label]) for p in places.order),
        notes=notes,
    )


def _choose_geometry(network: Network, board: str | None, config: ChipConfig | None, weight_bits: int | None) -> ChipConfig:
    if config is not None:
        if board is not None:
            raise ConfigError("give a board or a config, not both")
        return config
    geometry = board_geometry(board or "icebreaker")
    widths = sorted(geometry.cores)
    described = [p.neurons for p in network.populations if isinstance(p.neurons, Neurons)]
    current = any(neurons.current_retention is not None for neurons in described)
    adaptation = any(neurons.adaptation_step is not None for neurons in described)
    if weight_bits is None:
        return geometry.chip(current=current, adaptation=adaptation)
    wide_enough = [width for width in widths if width >= weight_bits]
    if not wide_enough:
        raise ConfigError(f"{geometry.name} has no geometry with {weight_bits}-bit weights; the widest is {widths[-1]}")
    return geometry.chip(wide_enough[0], current=current, adaptation=adaptation)


def _ports(populations: list[Population]) -> tuple[PortMap, ...]:
    ports = []
    first = 0
    for population in populations:
        ports.append(PortMap(population.label, first, population.size))
        first += population.size
    return tuple(ports)


# Alignment ------------------------------------------------------------------------------------------------------------


def _align(network: Network, *, late_feedback: bool, warnings: list[str]) -> tuple[list[int], dict[str, int]]:
    """Level of each population, and delay of each projection in ticks (for inputs: after their step).

    A population of level d computes step t in tick t + d. A projection that acts D steps after its spike needs a delay of
    ``level(post) - level(pre) + D``, and it must be at least one tick. The least levels are longest paths.
    """
    steps = network.delays()
    stated = [projection.delay is not None for projection in network.projections]
    levels = _levels(network, steps)
    if levels is None:
        loop = _short_loop(network, steps)
        names = " -> ".join(projection.post.label for projection in loop)
        if not late_feedback:
            raise NetworkError(
                f"the loop {names} -> {loop[0].post.label} passes through several layers within one step; a core needs a tick per layer. "
                "Give its feedback a delay of at least as many steps as the loop has populations, or accept a later feedback "
                "(late_feedback=True, --late-feedback)"
            )
        # Levels without the feedback decide; the feedback then comes as soon as it can.
        forward = [d if fixed or d == 0 else len(network.populations) + 1 for d, fixed in zip(steps, stated, strict=True)]
        levels = _levels(network, forward)
        if levels is None:
            raise NetworkError(f"the loop {names} has stated delays that are too short; lengthen one of them")
        for number, (projection, fixed) in enumerate(zip(network.projections, stated, strict=True)):
            if fixed or projection.pre.is_input or steps[number] == 0:
                continue
            needed = levels[projection.pre.label] - levels[projection.post.label] + 1
            if steps[number] < needed:
                warnings.append(
                    f"the feedback from {projection.pre.label} to {projection.post.label} comes after {needed} steps instead of {steps[number]}"
                )
                steps[number] = needed
    delays = []
    for projection, step in zip(network.projections, steps, strict=True):
        level = 0 if projection.pre.is_input else levels[projection.pre.label]
        delay = levels[projection.post.label] - level + step
        if not projection.pre.is_input and delay > MAX_DELAY:
            raise CapacityError(
                f"the projection from {projection.pre.label} to {projection.post.label} needs a delay of {delay} ticks; the limit is {MAX_DELAY}. "
                "Shorten its delay, or put a population between"
            )
        delays.append(delay)
    return delays, levels


def _levels(network: Network, steps: list[int]) -> dict[str, int] | None:
    """Least level of each population, or None if a loop needs more ticks than it has steps."""
    levels = {population.label: 0 for population in network.populations if not population.is_input}
    for _ in range(len(levels) + 1):
        changed = False
        for projection, step in zip(network.projections, steps, strict=True):
            if projection.pre.is_input:
                continue
            least = levels[projection.pre.label] + 1 - step
            if least > levels[projection.post.label]:
                levels[projection.post.label] = least
                changed = True
        if not changed:
            return levels
    return None


def _short_loop(network: Network, steps: list[int]) -> list[Projection]:
    """Projections of a loop that has more populations than steps."""
    levels = {population.label: 0 for population in network.populations if not population.is_input}
    reached: dict[str, Projection] = {}
    last: Projection | None = None
    for _ in range(len(levels) + 1):
        for projection, step in zip(network.projections, steps, strict=True):
            if projection.pre.is_input:
                continue
            least = levels[projection.pre.label] + 1 - step
            if least > levels[projection.post.label]:
                levels[projection.post.label] = least
                reached[projection.post.label] = projection
                last = projection
    assert last is not None
    # Walk back far enough to be inside the loop, then once around.
    current = last
    for _ in levels:
        current = reached[current.pre.label]
    loop = [current]
    while loop[-1].pre is not loop[0].post:
        loop.append(reached[loop[-1].pre.label])
    return loop[::-1]


# Placement ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Places:
    """Where everything is."""

    order: list[Population]
    first: dict[str, int]
    neurons: int
    bundles: list[Bundle]
    rows: list[tuple[IntArray, IntArray, IntArray]]
    parameters: NeuronParameters


def _place(
    network: Network, quantised: QuantisedNetwork, core: CoreConfig, delays: list[int], levels: dict[str, int]
) -> tuple[_Places, list[Need]]:
    """Give neurons, axons and weight words to the network, and say what that takes."""
    order = sorted((p for p in network.populations if not p.is_input), key=lambda p: levels[p.label])
    # Populations begin at a word of lanes, so that no row covers lanes it does not use; if that does not fit, they only keep to what
    # the pipelines and parameter groups need.
    fine = max(core.pipelines, core.group)
    first, neurons = _number_neurons(order, max(core.lanes, fine))
    if neurons > core.neurons:
        first, neurons = _number_neurons(order, fine)
    bundles = _bundle(network, core, delays, first)
    rows = []
    axon = words = 0
    routes = {p.label: np.full(p.size, int(p in network.outputs)) for p in order}
    # Largest and least sum that the weights of each neuron allow.
    bounds = np.zeros((2, ceil_div(neurons, core.lanes) * core.lanes), np.int64)
    for bundle in bundles:
        weights = _bundle_weights(network, quantised, core, bundle, first)
        columns = slice(bundle.start * core.lanes, (bundle.last + 1) * core.lanes)
        bounds[:, columns] += np.maximum(weights, 0).sum(axis=0), np.minimum(weights, 0).sum(axis=0)
        words_used: BoolArray = (weights.reshape(len(weights), -1, core.lanes) != 0).any(axis=2)
        bundle.used = np.flatnonzero(words_used.any(axis=1))
        bundle.axon = axon
        mask = words_used[bundle.used]
        starts = mask.argmax(axis=1) if len(mask) else np.zeros(0, np.int64)
        lasts = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1) if len(mask) else np.zeros(0, np.int64)
        rows.append((starts, lasts, weights[bundle.used]))
        axon += len(bundle.used)
        words += int((lasts - starts + 1).sum())
        if not bundle.source.is_input:
            routes[bundle.source.label][bundle.used] += 1
    depth = max((levels[p.label] for p in order if not _quiet_at_rest(quantised, p)), default=0) + 1
    smaller = "choose a larger geometry or a smaller network"
    verdict = [
        Need("neurons", neurons, core.neurons, smaller),
        Need("axons", axon, core.axons, f"{smaller}: one axon per input and per neuron that reaches others"),
        Need("weight words", words, core.words, f"{smaller}, or fewer weight bits; a word holds {core.lanes} weights"),
        Need("destinations", sum(int(n.sum()) for n in routes.values()), core.routes, f"{smaller}, or raise destinations"),
        Need("levels", depth, core.levels, "raise levels, or use fewer layers with a bias"),
        Need("accumulator bits", _bits_of_sums(bounds), core.sum_bits, "raise accumulator_bits, or use fewer weight bits"),
    ]
    parameters = neuron_parameters(quantised, core, order, first)
    if core.sets is not None:
        verdict.append(Need("parameter sets", parameters.sets, core.sets, "raise sets, or use fewer kinds of neurons"))
    longest = max(int(n.max()) for n in routes.values())
    room = regions(core)["route_index"].layout.fields[1].high
    if longest > room:
        verdict.append(Need("destinations of one neuron", longest, room, "raise destinations"))
    return _Places(order, first, neurons, bundles, rows, parameters), verdict


def _bits_of_sums(bounds: IntArray) -> int:
    """Bits of a signed number that holds every sum between the bounds."""
    return int(max(bounds[0].max(), -bounds[1].min() - 1, 0)).bit_length() + 1


def _number_neurons(order: list[Population], align: int) -> tuple[dict[str, int], int]:
    first: dict[str, int] = {}
    end = 0
    for population in order:
        first[population.label] = ceil_div(end, align) * align
        end = first[population.label] + population.size
    return first, end


def _quiet_at_rest(quantised: QuantisedNetwork, population: Population) -> bool:
    """Whether the population stays at zero without input, so that it may begin early."""
    q = quantised.neurons[population.label]
    # Other models may begin from a state that is not at rest.
    return (
        isinstance(q.model, Lif)
        and not any(q.parameters[name].any() for name in ("bias", "leak") if name in q.parameters)
        and bool((q.parameters["threshold"] >= 0).all())
    )


def _bundle(network: Network, core: CoreConfig, delays: list[int], first: dict[str, int]) -> list[Bundle]:
    """Projections of a source that share a delay and reach neighbouring words share axons."""
    bundles: list[Bundle] = []
    for source in network.populations:
        spans = []
        for number, projection in enumerate(network.projections):
            if projection.pre is source:
                post = projection.post
                start = first[post.label] // core.lanes
                last = (first[post.label] + post.size - 1) // core.lanes
                spans.append((delays[number], start, last, number))
        current: Bundle | None = None
        for delay, start, last, number in sorted(spans):
            if current is not None and current.delay == delay and start <= current.last + 1:
                current.projections.append(number)
                current.last = max(current.last, last)
            else:
                current = Bundle(source, delay, [number], start, last)
                bundles.append(current)
    return bundles


def _bundle_weights(
    network: Network, quantised: QuantisedNetwork, core: CoreConfig, bundle: Bundle, first: dict[str, int]
) -> IntArray:
    """Weights of a bundle's axons over its range of neuron words, ``[source size, words * lanes]``."""
    weights = np.zeros((bundle.source.size, (bundle.last - bundle.start + 1) * core.lanes), np.int64)
    for number in bundle.projections:
        post = network.projections[number].post
        column = first[post.label] - bundle.start * core.lanes
        weights[:, column : column + post.size] += quantised.weights[number]
    limit = (1 << ((TYPE_WEIGHT_BITS if core.typed else core.weight_bits) - 1)) - 1
    if np.abs(weights).max(initial=0) > limit:
        raise CapacityError(
            f"several projections from {bundle.source.label} with the same delay add up to weights beyond {limit}; "
            "merge them into one projection"
        )
    return weights


def _input_map(network: Network, bundles: list[Bundle]) -> dict[str, IntArray]:
    column = {}
    first = 0
    for population in network.inputs:
        column[population.label] = first
        first += population.size
    of_inputs = [bundle for bundle in bundles if bundle.source.is_input]

    def joined(part: Callable[[Bundle], IntArray]) -> IntArray:
        return np.concatenate([part(b) for b in of_inputs]) if of_inputs else np.zeros(0, np.int64)

    return {
        "input_index": joined(lambda b: b.used + column[b.source.label]),
        "input_axon": joined(lambda b: b.axon + np.arange(len(b.used))),
        "input_offset": joined(lambda b: np.full(len(b.used), b.delay, np.int64)),
    }


# Memories -------------------------------------------------------------------------------------------------------------


def _fill(
    network: Network, quantised: QuantisedNetwork, core: CoreConfig, places: _Places, levels: dict[str, int]
) -> dict[str, WordArray]:
    """Contents of all memories."""
    typed_rows: list[TypedRow] = []
    weights = np.zeros((core.words, core.lanes), np.int64)
    # A row that ends before it starts is empty.
    base, start, last = np.zeros(core.axons, np.int64), np.ones(core.axons, np.int64), np.zeros(core.axons, np.int64)
    routes: dict[int, list[tuple[int, int, int]]] = {}
    word = 0
    for bundle, (starts, lasts, rows) in zip(places.bundles, places.rows, strict=True):
        for k, (row_start, row_last) in enumerate(zip(starts.tolist(), lasts.tolist(), strict=True)):
            axon = bundle.axon + k
            length = row_last - row_start + 1
            base[axon], start[axon], last[axon] = word, bundle.start + row_start, bundle.start + row_last
            row = rows[k, row_start * core.lanes : (row_last + 1) * core.lanes]
            if core.typed:
                reached = np.flatnonzero(row)
                name = f"{bundle.source.label}[{bundle.used[k]}]"
                typed_rows.append(TypedRow(name, axon, reached + (bundle.start + row_start) * core.lanes, row[reached]))
                row = (row != 0).astype(np.int64)
            weights[word : word + length] = row.reshape(length, core.lanes)
            word += length
            if not bundle.source.is_input:
                neuron = places.first[bundle.source.label] + int(bundle.used[k])
                routes.setdefault(neuron, []).append((Destination.AXON, bundle.delay, axon))
    number = 0
    for population in network.outputs:
        for neuron in range(places.first[population.label], places.first[population.label] + population.size):
            routes.setdefault(neuron, []).append((Destination.OUTPUT, 0, number))
            number += 1
    route_table = np.zeros((core.routes, 3), np.int64)
    route_first, route_count = np.zeros(core.neurons, np.int64), np.zeros(core.neurons, np.int64)
    entry = 0
    for neuron in sorted(routes):
        entries = routes[neuron]
        route_first[neuron], route_count[neuron] = entry, len(entries)
        route_table[entry : entry + len(entries)] = entries
        entry += len(entries)
    contents = {
        "weights": {"weight": weights[:, 0] if core.lanes == 1 else weights},
        "rows": {"base": base, "start": start, "last": last},
        "route_index": {"first": route_first, "count": route_count},
        "routes": {"kind": route_table[:, 0], "delay": route_table[:, 1], "target": route_table[:, 2]},
        "control": {"last": _last_neurons(core, places, levels)},
    }
    if core.typed:
        contents["rows"]["type"], type_weights = assign_types(core, typed_rows)
        by_type = type_weights.reshape(-1, core.lanes)
        contents["type_weights"] = {"weight": by_type[:, 0] if core.lanes == 1 else by_type}
        if core.stochastic_synapses:
            contents["type_weights"]["stochastic"] = np.zeros_like(contents["type_weights"]["weight"])
    if core.random:
        contents["seed"] = {"seed": np.zeros(1, np.int64)}
    table = regions(core)
    return {name: table[name].layout.pack(values) for name, values in contents.items()} | neuron_words(core, places.parameters)


def _last_neurons(core: CoreConfig, places: _Places, levels: dict[str, int]) -> IntArray:
    """Last neuron that takes part in each of the first ticks; the last entry covers all neurons."""
    result = []
    for tick in range(core.levels):
        begun = [p for p in places.order if levels[p.label] <= tick or tick == core.levels - 1]
        end = max(places.first[p.label] + p.size for p in begun)
        result.append(ceil_div(end, core.pipelines) * core.pipelines - 1)
    return np.array(result, np.int64)


# Report ---------------------------------------------------------------------------------------------------------------


def _timed(network: Network, delays: list[int], levels: dict[str, int]) -> Network:
    """The network with the delays in steps that the chip has; with a late feedback they are not those of the network."""
    projections = [
        replace(p, delay=delay - levels[p.post.label] + (0 if p.pre.is_input else levels[p.pre.label]))
        for p, delay in zip(network.projections, delays, strict=True)
    ]
    return replace(network, projections=projections)


def _activity(
    network: Network, timed: Network, quantised: QuantisedNetwork, samples: npt.ArrayLike, warnings: list[str]
) -> list[dict[str, object]]:
    """Spikes per population in real numbers, and in integers as the chip computes them."""
    array = np.asarray(samples)
    if array.ndim == 2:
        array = array[np.newaxis]
    columns = sum(p.size for p in network.inputs)
    if array.ndim != 3 or array.shape[2] != columns or not array.size:
        raise InputError(f"samples have shape {list(array.shape)}; the network needs [samples, ticks, {columns}]")
    if not np.isin(array, (0, 1)).all():
        raise InputError("samples hold values other than 0 and 1; encode analog values first (spikeloom.encode)")
    others = [p.label for p in network.populations if p.neurons is not None and not isinstance(p.neurons, Neurons)]
    if others:
        warnings.append(
            f"no comparison with real numbers: {', '.join(others)} have no per-step form (another model than lif, or a FixedCell)"
        )
        return []
    spikes = array.astype(np.bool_)
    saturated: dict[str, int] = {}
    real, integer = evaluate(network, spikes), evaluate(timed, spikes, quantised, saturated)
    table: list[dict[str, object]] = []
    for population in network.populations:
        if not isinstance(population.neurons, Neurons):
            continue
        before, after = int(real[population.label].sum()), int(integer[population.label].sum())
        equal = float((real[population.label] == integer[population.label]).mean())
        cut = saturated[population.label]
        table.append({"population": population.label, "real": before, "integer": after, "equal": equal, "saturated": cut})
        if cut:
            warnings.append(
                f"population {population.label}: {_widths(quantised.config)} bits {cut} times on the given samples; "
                "choose a geometry with more of them or fewer fraction_bits"
            )
        if after == 0 and np.isfinite(population.neurons.threshold).any():
            was = "though it fires in real numbers" if before else "in real numbers too"
            warnings.append(f"population {population.label} never fires on the given samples, {was}")
    return table


def _widths(core: CoreConfig) -> str:
    model = core.model("lif")
    assert isinstance(model, Lif)
    if model.current_bits:
        return f"potentials or currents left their {model.state_bits} and {model.current_bits}"
    return f"potentials left their {model.state_bits}"
