"""Compiler: a network into a chip. Described in ``docs/compiler.md``."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt

from spikeloom.arch.boards import board_geometry
from spikeloom.arch.config import MAX_OUTPUTS, ChipConfig
from spikeloom.arch.errors import CapacityError, ConfigError, InputError, NetworkError
from spikeloom.arch.image import PortMap
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import Lif
from spikeloom.network.align import align, timed
from spikeloom.network.description import Network, Neurons, Population
from spikeloom.network.evaluate import evaluate, order_of_evaluation
from spikeloom.network.fill import fill, input_map, population_map
from spikeloom.network.image import Image
from spikeloom.network.partition import partition
from spikeloom.network.place import place, traffic
from spikeloom.network.plan import CorePlan
from spikeloom.network.plastic import unit_of_all
from spikeloom.network.quantise import QuantisedNetwork, QuantisedNeurons, Scale, quantise
from spikeloom.network.verdict import check, core_table, verdict


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
        Board whose default geometry to use, with a synaptic current, an adaptive threshold and the smallest learning unit if the network
        needs them; the iCEBreaker if neither this nor ``config`` is given.
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
        ``notes`` holds the verdict, the reports of quantisation and placement, and warnings, as ``docs/compiler.md`` lists them.

    Raises
    ------
    CapacityError
        If the network does not fit; the message lists every resource that is short, by how much, and what to change.
    NetworkError
        If the network cannot be computed in this way.
    ConfigError
        If a rule is wrong, or no core can learn by it; the message says which ``learning`` to generate.
    """
    chip = _choose_geometry(network, board, config, weight_bits)
    if not network.outputs:
        raise NetworkError("the network has no output; mark a population with output()")
    if not network.inputs:
        raise NetworkError("the network has no input")
    outputs = sum(population.size for population in network.outputs)
    if outputs > MAX_OUTPUTS:
        raise CapacityError(
            f"the network has {outputs} outputs, and an output event can name {MAX_OUTPUTS}; make fewer neurons outputs"
        )
    warnings: list[str] = []
    delays, levels = align(network, late_feedback=late_feedback, warnings=warnings)
    order_of_evaluation(network, network.delays())
    quantised = quantise(network, chip, weight_bits=weight_bits, scale=scale)
    parts = partition(network, quantised, chip, delays, levels)
    needs = verdict(chip, parts)
    check(needs, board or "the geometry", whole=len(chip.cores) > 1)
    notes: dict[str, object] = {
        "dt_ms": network.dt,
        "verdict": [asdict(need) for need in needs],
        "quantisation": [asdict(report) for report in quantised.reports],
        "populations": {p.label: p.note for p in network.populations if p.note},
    }
    _warn_of_quantisation(quantised, warnings)
    counted = None
    if samples is not None:
        notes["activity"], counted = _activity(network, timed(network, delays, levels), quantised, samples, warnings)
    places = [0]
    if len(chip.cores) > 1:
        spikes = counted or {population.label: np.ones(population.size, np.int64) for population in network.populations}
        packets = traffic(parts.plans, spikes, {population.label for population in network.outputs})
        places, report = place(chip, parts.plans, packets)
        notes["placement"] = {"packets_are": "on the samples" if counted else "if every neuron and input fires once", **report}
    at = [CorePlan(core) for core in chip.cores]
    for number, plan in zip(places, parts.plans, strict=True):
        at[number] = plan
    if len(chip.cores) > 1:
        notes["cores"] = core_table(chip, at, parts)
    notes["warnings"] = warnings
    return Image(
        config=chip,
        memories=fill(network, chip, at),
        board=board_geometry(board).name if board else "",
        inputs=_ports(network.inputs),
        outputs=_ports(network.outputs),
        **input_map(network, at),
        output_shift=np.concatenate([np.full(p.size, levels[p.label], np.int64) for p in network.outputs]),
        populations=population_map(at, levels),
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
    width = None
    if weight_bits is not None:
        wide_enough = [width for width in widths if width >= weight_bits]
        if not wide_enough:
            raise ConfigError(f"{geometry.name} has no geometry with {weight_bits}-bit weights; the widest is {widths[-1]}")
        width = wide_enough[0]
    chip = geometry.chip(width, current=current, adaptation=adaptation)
    unit = unit_of_all(network, chip.cores[0].weight_bits)
    return chip if unit is None else replace(chip, cores=tuple(replace(core, learning=unit) for core in chip.cores))


def _ports(populations: list[Population]) -> tuple[PortMap, ...]:
    ports = []
    first = 0
    for population in populations:
        ports.append(PortMap(population.label, first, population.size))
        first += population.size
    return tuple(ports)


# Report ---------------------------------------------------------------------------------------------------------------


def _warn_of_quantisation(quantised: QuantisedNetwork, warnings: list[str]) -> None:
    for report in quantised.reports:
        if report.coarser > 1:
            warnings.append(
                f"population {report.population}: its weights keep {np.log2(report.coarser):.1f} bits less than they could, because threshold, "
                "reset or bias would not fit the potential otherwise"
            )
        if report.saturated:
            warnings.append(f"population {report.population}: {report.saturated} values were cut to the largest representable one")


def _activity(
    network: Network, timed: Network, quantised: QuantisedNetwork, samples: npt.ArrayLike, warnings: list[str]
) -> tuple[list[dict[str, object]], dict[str, IntArray] | None]:
    """Spikes per population in real numbers, and in integers as the chip computes them; and those of each neuron and input."""
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
        return [], None
    learning = [p.name for p in network.projections if p.plasticity is not None]
    if learning:
        warnings.append(
            f"the comparison on the samples computes with the weights at the beginning: {', '.join(learning)} do not learn in it"
        )
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
                f"population {population.label}: {_widths(quantised.neurons[population.label])} bits {cut} times on the given samples; "
                "choose a geometry with more of them or fewer fraction_bits"
            )
        if after == 0 and np.isfinite(population.neurons.threshold).any():
            was = "though it fires in real numbers" if before else "in real numbers too"
            warnings.append(f"population {population.label} never fires on the given samples, {was}")
    return table, {label: train.sum(axis=(0, 1)) for label, train in integer.items()}


def _widths(q: QuantisedNeurons) -> str:
    model = q.model
    assert isinstance(model, Lif)
    if model.current_bits:
        return f"potentials or currents left their {model.state_bits} and {model.current_bits}"
    return f"potentials left their {model.state_bits}"
