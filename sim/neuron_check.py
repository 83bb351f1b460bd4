"""Checks a neuron model, ours or anyone's: its three twins, its timing, and a whole core with it. Described in ``docs/neuron.md``."""

from __future__ import annotations

import dataclasses
import json
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import UnusedElaboratable

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import SpikeloomError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import BUS_WORD_BITS, Field, IntArray, WordLayout
from spikeloom.arch.lif import Lif
from spikeloom.arch.neuron import RANDOM_BITS, NeuronModel, model_from_dict, twin
from spikeloom.golden.neuron import BoolArray, State, Step
from spikeloom.hdl.fabric import ECP5, GENERIC, Fabric
from spikeloom.hdl.neuron import NeuronPipeline, Timing
from spikeloom.sim.fuzz import compiled_cases
from spikeloom.sim.neuron_rtl import NeuronSimulation, Results

#: Widths of the synaptic sum with which a pipeline is checked: of a usual core, of a small one, and the widest of all.
SUM_BITS = (16, 5, 29)
#: Neurons of a run, and runs until they get other parameters.
RUN_NEURONS, RUNS_OF_A_NEURON = 2000, 8
#: Cycles that a core waits at least, after a result, until the next start that is no multiple of the interval from the last.
PAUSE = 2

Progress = Callable[[int, int], None]
Values = dict[str, IntArray]


class NeuronError(SpikeloomError):
    """A neuron model that does not keep the interface, or whose twins differ."""


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What was compared.

    Parameters
    ----------
    neurons, spikes, cycles : int
        Updates of a neuron, those that gave a spike, and clock cycles.
    """

    neurons: int
    spikes: int
    cycles: int


@contextmanager
def _code_of(model: NeuronModel, what: str) -> Iterator[None]:
    """Code of a model runs: whatever goes wrong in it becomes one line that names the place."""
    try:
        yield
    except SpikeloomError:
        raise
    except Exception as error:
        # Of a circuit that was not finished.
        warnings.simplefilter("ignore", UnusedElaboratable)
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error}".strip(": ")
        raise NeuronError(f"{model.NAME}: {what} fails: {text} ({Path(place.filename).name}, line {place.lineno})") from error


# The model class ------------------------------------------------------------------------------------------------------------


def check_model(model: NeuronModel, seed: int = 1) -> tuple[Step, Timing]:
    """Check the fields and the random parameters of a model, and find its twins.

    Returns
    -------
    step : Step
        Golden twin.
    timing : Timing
        Of the twin in hardware.

    Raises
    ------
    NeuronError
        The message says what is wrong with which part.
    """
    name = model.NAME
    with _code_of(model, "words()"):
        words = model.words()
    if "state" not in words:
        raise NeuronError(f"{name}: state_fields() is empty; a neuron needs at least a membrane potential")
    for word, layout in words.items():
        for field in layout.fields:
            if not (isinstance(field, Field) and 1 <= field.bits <= BUS_WORD_BITS and field.count == 1):
                raise NeuronError(f"{name}: {word} has {field}; a field must be a Field with 1 to {BUS_WORD_BITS} bits and count 1")
    for group in (("state",), ("parameters", "firing", "own")):
        fields = [field.name for word in group if word in words for field in words[word].fields]
        twice = sorted({field for field in fields if fields.count(field) > 1})
        if twice:
            raise NeuronError(f"{name}: {', '.join(twice)} occurs more than once in {' and '.join(group)}; choose other names")
    with _code_of(model, "as_dict()"):
        plain = model.as_dict()
        same = model_from_dict(json.loads(json.dumps(plain))) == model
    if not same:
        raise NeuronError(f"{name}: an image cannot hold {plain}; fields must be numbers, texts or truth values")
    sample_parameters(model, np.random.default_rng(seed), 64)
    step: Step = _twin(model, "GOLDEN", "module:function")
    if not callable(step):
        raise NeuronError(f"{name}: GOLDEN is {model.GOLDEN!r}, which is not a function")
    check_golden(model, step, seed)
    return step, check_timing(model)


def _twin(model: NeuronModel, which: str, form: str) -> Any:
    reference = getattr(model, which, None)
    what = "the golden step" if which == "GOLDEN" else "the pipeline in hardware"
    if not isinstance(reference, str) or not all(reference.partition(":")):
        raise NeuronError(f'{model.NAME}: {which} is {reference!r}; it must name {what} as "{form}"')
    try:
        return twin(reference)
    except (ImportError, AttributeError) as error:
        raise NeuronError(f"{model.NAME}: {which} is {reference!r}, but there is no such thing: {error}") from error


def check_timing(model: NeuronModel) -> Timing:
    """Find the pipeline of a model, and check the timing that it declares."""
    kind = _twin(model, "HDL", "module:class")
    if not (isinstance(kind, type) and issubclass(kind, NeuronPipeline)):
        raise NeuronError(f"{model.NAME}: HDL is {model.HDL!r}, which is not a class derived from NeuronPipeline")
    with _code_of(model, "timing_of()"):
        timing = kind.timing_of(model)
    if not isinstance(timing, Timing):
        raise NeuronError(f"{model.NAME}: timing_of() gives {timing!r}; it must be a Timing")
    firing = "firing" in model.words()
    wrong = [
        text
        for bad, text in (
            (timing.latency < 3, f"latency is {timing.latency}; it must be at least 3"),
            (timing.interval < 1, f"interval is {timing.interval}; it must be at least 1"),
            (
                firing and not 3 <= timing.firing <= timing.latency,
                f"firing is {timing.firing}; with firing fields it must be 3 to {timing.latency}, the latency",
            ),
            (not firing and timing.firing != 0, f"firing is {timing.firing}; without firing fields it must be 0"),
        )
        if bad
    ]
    if wrong:
        raise NeuronError(f"{model.NAME}: timing_of(): {wrong[0]}")
    return timing


def sample_parameters(model: NeuronModel, rng: np.random.Generator, size: int, weight: int = 127) -> Values:
    """Random parameters as the model makes them, checked."""
    with _code_of(model, "sample()"):
        values = model.sample(rng, size, weight)
    _check_values(model, "sample()", values, model.parameter_names(), (size,))
    with _code_of(model, "check() of what sample() gives"):
        try:
            model.check(values)
        except SpikeloomError as error:
            raise NeuronError(f"{model.NAME}: sample() gives parameters that check() refuses: {error}") from error
    return dict(values)


def _check_values(model: NeuronModel, what: str, values: object, fields: Mapping[str, Field], shape: tuple[int, ...]) -> None:
    if not isinstance(values, Mapping):
        raise NeuronError(f"{model.NAME}: {what} gives a {type(values).__name__}; it must be a dict of arrays")
    different = set(values) ^ set(fields)
    if different:
        raise NeuronError(
            f"{model.NAME}: {what} gives missing or unknown fields: {', '.join(sorted(map(str, different)))}; they are {', '.join(fields)}"
        )
    for name, field in fields.items():
        array = values[name]
        if not isinstance(array, np.ndarray) or array.dtype != np.int64 or array.shape != shape:
            found = f"{array.dtype} of shape {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
            raise NeuronError(f"{model.NAME}: {what} gives {name} as {found}; it must be int64 of shape {list(shape)}")
        wrong = (array < field.low) | (array > field.high)
        if wrong.any():
            raise NeuronError(
                f"{model.NAME}: {what} gives {name} {int(array[wrong][0])}, but its field of {field.bits} bits holds "
                f"{field.low} to {field.high}"
            )


# The golden twin ------------------------------------------------------------------------------------------------------------


def golden_tick(
    model: NeuronModel, step: Step, parameters: Values, state: State, total: IntArray, random: IntArray
) -> tuple[State, BoolArray]:
    """One golden step, with all that it promises about its result checked."""
    with _code_of(model, "the golden step"):
        result = step(model, parameters, state, total, random)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise NeuronError(f"{model.NAME}: the golden step gives a {type(result).__name__}; it must be a tuple of state and spikes")
    after, spikes = result
    _check_values(model, "the golden step", after, {field.name: field for field in model.state_fields()}, total.shape)
    if not isinstance(spikes, np.ndarray) or spikes.dtype != np.bool_ or spikes.shape != total.shape:
        found = f"{spikes.dtype} of shape {list(spikes.shape)}" if isinstance(spikes, np.ndarray) else type(spikes).__name__
        raise NeuronError(f"{model.NAME}: the golden step gives spikes as {found}; they must be bool of shape {list(total.shape)}")
    return dict(after), spikes


def check_golden(model: NeuronModel, step: Step, seed: int) -> None:
    """A neuron's result depends on nothing but its own input, and what goes in stays as it was."""
    rng = np.random.default_rng([seed, 3])
    size = 40
    parameters = sample_parameters(model, rng, size)
    state = {field.name: rng.integers(field.low, field.high, (2, size), endpoint=True) for field in model.state_fields()}
    total = random_sums(rng, (2, size), SUM_BITS[0])
    random = random_numbers(model, rng, size)
    before = {name: values.copy() for name, values in (parameters | {f"state {n}": v for n, v in state.items()}).items()}
    all_after, all_spikes = golden_tick(model, step, parameters, state, total, random)
    now = parameters | {f"state {name}": values for name, values in state.items()}
    changed = [name for name, values in before.items() if not np.array_equal(values, now[name])]
    if changed:
        raise NeuronError(f"{model.NAME}: the golden step changes {changed[0]}, which it was given; it must make new arrays")
    for chosen in (slice(0, 0), slice(5, 6), slice(7, size)):
        for batch in (slice(0, 1), slice(0, 2)):
            after, spikes = golden_tick(
                model,
                step,
                {name: values[chosen] for name, values in parameters.items()},
                {name: values[batch, chosen] for name, values in state.items()},
                total[batch, chosen],
                random[chosen],
            )
            same = all(np.array_equal(values, all_after[name][batch, chosen]) for name, values in after.items())
            if not (same and np.array_equal(spikes, all_spikes[batch, chosen])):
                raise NeuronError(
                    f"{model.NAME}: the golden step gives a neuron another result when other neurons or samples stand beside it"
                )


# The twin in hardware -------------------------------------------------------------------------------------------------------


def random_state(model: NeuronModel, rng: np.random.Generator, size: int) -> State:
    """Any values that fit the fields: all, corners, small ones; a quarter of the neurons is in the initial state."""
    result = {}
    initial = rng.random(size) < 0.25
    for field in model.state_fields():
        anything = rng.integers(field.low, field.high, size, endpoint=True)
        corner = rng.choice(np.array([field.low, field.high, 0, -1 if field.signed else 1], np.int64), size)
        small = np.clip(rng.integers(-4, 4, size, endpoint=True), field.low, field.high)
        values = np.choose(rng.integers(0, 4, size), [anything, anything >> 4, corner, small])
        result[field.name] = np.where(initial, 0, np.clip(values, field.low, field.high))
    return result


def random_sums(rng: np.random.Generator, shape: int | tuple[int, ...], bits: int) -> IntArray:
    """Synaptic sums: all, small, and the extremes."""
    high = (1 << (bits - 1)) - 1
    anything = rng.integers(-high - 1, high, shape, endpoint=True)
    corner = rng.choice(np.array([-high - 1, -high, -1, 0, 1, high - 1, high], np.int64), shape)
    result: IntArray = np.choose(
        rng.integers(0, 4, shape), [anything, anything >> (bits // 2), anything >> (3 * bits // 4), corner]
    )
    return result


def random_numbers(model: NeuronModel, rng: np.random.Generator, size: int) -> IntArray:
    """What a stochastic model gets; zeros for others."""
    if not model.random:
        return np.zeros(size, np.int64)
    numbers = rng.integers(0, 1 << RANDOM_BITS, size, dtype=np.int64)
    corners = rng.choice(np.array([0, (1 << RANDOM_BITS) - 1], np.int64), size)
    return np.where(rng.random(size) < 0.1, corners, numbers)


def random_starts(rng: np.random.Generator, count: int, timing: Timing) -> IntArray:
    """Cycles of starts as a core makes them: back to back, at multiples of the interval, and after pauses of any length."""
    gaps = np.full(count, timing.interval, np.int64)
    later = np.arange(count) >= count // 2
    gaps[later] *= rng.choice([1, 1, 1, 2, 3, 5, 9], int(later.sum()))
    pauses = later & (rng.random(count) < 0.02)
    gaps[pauses] = timing.latency + PAUSE + rng.integers(0, 3 * timing.interval + 3, int(pauses.sum()))
    gaps[0] = rng.integers(1, 10)
    return np.cumsum(gaps)


def check_pipeline(
    model: NeuronModel, step: Step, cases: int, seed: int, sum_bits: int = SUM_BITS[0], progress: Progress | None = None
) -> PipelineResult:
    """A pipeline alone against its golden twin.

    Parameters
    ----------
    model : NeuronModel
    step : Step
        Golden twin.
    cases : int
        Updates of a neuron.
    seed : int
        All random values follow from it.
    sum_bits : int
        Bits of the synaptic sum.
    progress : function
        Called with the updates done and those in all.

    Raises
    ------
    NeuronError
        With the first difference.
    """
    timing = check_timing(model)
    with _code_of(model, "the pipeline"):
        simulation = NeuronSimulation(model, sum_bits, seed)
    try:
        rng = np.random.default_rng([seed, sum_bits])
        words = model.words()
        done = spikes = cycles = 0
        for number in range(-(-cases // RUN_NEURONS)):
            size = min(RUN_NEURONS, cases - done)
            if number % RUNS_OF_A_NEURON == 0 or size < RUN_NEURONS:
                weight = int(rng.choice([1, 7, 127, 32767]))
                parameters = sample_parameters(model, rng, size, weight)
                state = random_state(model, rng, size)
            else:
                # Most neurons go on from where they were, so that states are visited which a network visits.
                other = random_state(model, rng, size)
                anew = rng.random(size) < 0.2
                state = {name: np.where(anew, other[name], values) for name, values in state.items()}
            total, random = random_sums(rng, size, sum_bits), random_numbers(model, rng, size)
            after, fired = golden_tick(model, step, parameters, _batch(state), total[np.newaxis], random)
            after = {name: values[0] for name, values in after.items()}
            starts = random_starts(rng, size, timing)
            length = int(starts[-1]) + 2 * timing.latency + timing.interval + 8
            packed = {
                name: layout.pack({field.name: (state if name == "state" else parameters)[field.name] for field in layout.fields})
                for name, layout in words.items()
            }
            sum_layout = WordLayout("synaptic_sum", (Field("value", sum_bits, signed=True),))
            packed["synaptic_sum"] = sum_layout.pack({"value": total})
            packed["random"] = random.astype(np.uint32)[:, np.newaxis]
            results = simulation.run(starts, length, packed)
            inputs = {"parameters": parameters, "state": state, "input": {"synaptic_sum": total, "random": random}}
            where = f"run {number}, seed {seed}, {sum_bits}-bit sums"
            _compare(model, timing, starts, results, after, fired[0], inputs, where)
            state = after
            done, spikes, cycles = done + size, spikes + int(fired.sum()), cycles + length
            if progress is not None:
                progress(done, cases)
        return PipelineResult(done, spikes, cycles)
    finally:
        simulation.close()


def _batch(state: State) -> State:
    return {name: values[np.newaxis] for name, values in state.items()}


def _compare(
    model: NeuronModel,
    timing: Timing,
    starts: IntArray,
    results: Results,
    after: State,
    fired: BoolArray,
    inputs: Mapping[str, Values],
    where: str,
) -> None:
    """Raise what is first different."""
    name = model.NAME
    wanted = starts + timing.latency
    common = min(len(wanted), len(results.cycles))
    late = np.flatnonzero(results.cycles[:common] != wanted[:common])
    if len(late):
        k = int(late[0])
        raise NeuronError(
            f"{name}: done of neuron {k} comes {results.cycles[k] - starts[k]} cycles after its start; declared are a latency of "
            f"{timing.latency} and an interval of {timing.interval} ({where})"
        )
    if len(results.cycles) != len(starts):
        raise NeuronError(f"{name}: {len(starts)} neurons started, but done came {len(results.cycles)} times ({where})")
    if results.stray is not None:
        k = int(np.searchsorted(starts, results.stray, side="right")) - 1
        since = f"{results.stray - starts[k]} cycles after the start of neuron {k}" if k >= 0 else "before the first start"
        raise NeuronError(f"{name}: new_state or spike is not zero in a cycle without done: {since} ({where})")
    got = model.words()["state"].unpack(results.words)
    different = {field: values != got[field] for field, values in after.items()} | {"spike": fired != results.spikes}
    wrong = np.flatnonzero(np.logical_or.reduce(list(different.values())))
    if len(wrong) == 0:
        return
    k = int(wrong[0])
    expected = {field: int(values[k]) for field, values in after.items()} | {"spike": int(fired[k])}
    found = {field: int(values[k]) for field, values in got.items()} | {"spike": int(results.spikes[k])}
    first = next(field for field, values in different.items() if values[k])
    given = "; ".join(
        f"{what}: {_text({field: int(values[k]) for field, values in fields.items()})}" for what, fields in inputs.items()
    )
    raise NeuronError(
        f"{name}: {first} differs: neuron {k}, {where}: expected {expected[first]} (golden), got {found[first]} (RTL); "
        f"expected {_text(expected)}; got {_text(found)}; {given} ({len(wrong)} of {len(fired)} neurons differ)"
    )


def _text(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"


# A whole core ---------------------------------------------------------------------------------------------------------------


def geometries(model: NeuronModel) -> dict[str, tuple[CoreConfig, Fabric]]:
    """Small cores with the model: alone; with another, two pipelines, groups; the same with parameter sets to choose from.

    The ECP5's memories are slow, which changes when words are read.
    """
    other: NeuronModel = Lif(state_bits=16, fraction_bits=4) if model.NAME != Lif.NAME else Izhikevich(substeps=1, multipliers=3)

    def poisoned(fabric: Fabric) -> Fabric:
        return dataclasses.replace(fabric, poison_collisions=True)

    return {
        "alone": (CoreConfig(axons=20, neurons=37, weight_bits=4, lanes=4, models=(model,), levels=3), poisoned(GENERIC)),
        f"with {other.NAME}, ECP5, 2 pipelines": (
            CoreConfig(axons=24, neurons=46, weight_bits=8, lanes=8, pipelines=2, group=2, models=(model, other), levels=3),
            poisoned(ECP5),
        ),
        f"with {other.NAME}, ECP5, sets": (
            CoreConfig(axons=16, neurons=40, weight_bits=16, lanes=4, pipelines=2, sets=9, models=(other, model), levels=3),
            poisoned(ECP5),
        ),
    }


def check_core(model: NeuronModel, geometry: str, networks: int, seed: int, progress: Progress | None = None) -> None:
    """Random networks on a core of :func:`geometries`, after each tick equal to the golden core.

    Raises
    ------
    NeuronError
        With the first difference.
    """
    config, fabric = geometries(model)[geometry]

    def seeds() -> Iterator[int]:
        for number in range(networks):
            yield 1000 * seed + number
            if progress is not None:
                progress(number + 1, networks)

    with _code_of(model, f"a core ({geometry})"):
        difference = compiled_cases(ChipConfig(cores=(config,)), fabric, seeds())
    if difference is not None:
        raise NeuronError(f"{model.NAME}: core {geometry}: {difference}; geometry: {config}")
