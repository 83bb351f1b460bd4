"""Networks in Python: populations, projections, inputs and outputs.

Nouns and units follow PyNN where they fit: time in ms, potential in mV, current in nA, capacitance in nF. What differs stands in
``docs/network.md``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, SupportsIndex, runtime_checkable

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import NetworkError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.neuron import NeuronModel
from spikeloom.network.plasticity import Plasticity

FloatArray = npt.NDArray[np.float64]
ResetMode = Literal["value", "subtract"]


@dataclass(frozen=True, slots=True)
class Neurons:
    """Leaky integrate-and-fire neurons in per-step form, whatever they were described by.

    Each step: ``v = retention v + bias + input``; if ``v > threshold + a``: spike, and ``v = reset`` or ``v = v - reset``; then
    ``refractory`` steps in which v stays and input is lost. With a synaptic current ``i = current_retention i + input`` drives v instead of
    the input. The adaptation ``a`` of the threshold is 0 without; otherwise ``a = adaptation_retention a``, plus ``adaptation_step`` after a
    spike. All arrays have the shape ``[size]``, potentials one unit of choice.

    Parameters
    ----------
    retention : float array
        0 to 1.
    bias : float array
        Constant input per step.
    threshold : float array
        Infinite: the neuron never fires and only shows its potential.
    reset : float array
        Potential after a spike, or the amount to subtract.
    reset_mode : "value" or "subtract"
    refractory : int array
        Steps.
    current_retention : float array or None
        0 to 1; None: no synaptic current.
    adaptation_retention, adaptation_step : float array or None
        0 to 1, and 0 or more; None: the threshold does not adapt.
    """

    retention: FloatArray
    bias: FloatArray
    threshold: FloatArray
    reset: FloatArray
    reset_mode: ResetMode
    refractory: npt.NDArray[np.int64]
    current_retention: FloatArray | None = None
    adaptation_retention: FloatArray | None = None
    adaptation_step: FloatArray | None = None

    def __post_init__(self) -> None:
        size = len(self.retention)
        if (self.adaptation_retention is None) != (self.adaptation_step is None):
            raise NetworkError("adaptation_retention and adaptation_step belong together; give both or none")
        optional = [n for n in ("current_retention", "adaptation_retention", "adaptation_step") if getattr(self, n) is not None]
        for name in ("retention", "bias", "threshold", "reset", "refractory", *optional):
            values = getattr(self, name)
            if values.shape != (size,):
                raise NetworkError(f"{name} has shape {list(values.shape)}; the population has {size} neurons")
            finite = np.isfinite(values) if name != "threshold" else ~np.isnan(values)
            if not finite.all():
                raise NetworkError(f"{name} of neuron {int(np.argmin(finite))} is {values[np.argmin(finite)]}")
        for name in ("retention", "current_retention", "adaptation_retention"):
            values = getattr(self, name)
            wrong = np.zeros(size, np.bool_) if values is None else (values < 0) | (values > 1)
            if wrong.any():
                raise NetworkError(
                    f"{name} of neuron {int(np.argmax(wrong))} is {values[wrong][0]:.6g}; it must be 0 to 1 "
                    "(a time step longer than the time constant cannot be computed; choose a smaller dt)"
                )
        if self.adaptation_step is not None and (self.adaptation_step < 0).any():
            raise NetworkError(f"an adaptation_step of {self.adaptation_step.min():g}; it must be 0 or more (nearest: 0)")
        if (self.threshold == -np.inf).any():
            raise NetworkError(
                f"threshold of neuron {int(np.argmin(self.threshold))} is -inf; only inf (never fires) may be infinite"
            )
        if self.reset_mode == "subtract" and ((self.reset < 0) | (self.threshold < 0)).any():
            raise NetworkError(
                f"a reset by subtraction with a smallest amount of {self.reset.min():g} and a smallest threshold of "
                f"{self.threshold.min():g}; both must be 0 or more, or the potential could grow without end"
            )
        if (self.refractory < 0).any():
            raise NetworkError(f"a refractory period of {int(self.refractory.min())} steps; it must be 0 or more")


class Cell(Protocol):
    """A cell type of leaky integrate-and-fire neurons: anything that says what its neurons do in one step."""

    def neurons(self, size: int, dt: float) -> Neurons:
        """Per-step form of ``size`` neurons for a step of ``dt`` ms."""


@runtime_checkable
class ModelCell(Protocol):
    """A cell type of any model: anything that can say the model's integers."""

    @property
    def model_name(self) -> str:
        """Name of the neuron model."""

    def integers(self, model: Any, size: int, dt: float) -> dict[str, IntArray]:
        """All parameter fields of the model, int64 arrays ``[size]``, for a tick of ``dt`` ms.

        Raises
        ------
        NetworkError or ConfigError
            If a parameter cannot be represented; the message names the field, the value, the legal range and the nearest value.
        """

    def unit(self, model: Any, dt: float) -> float | FloatArray:
        """Real value of a weight of 1: a number, or an array ``[size]``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedCell:
    """Neurons of any model, given in the integers of the core. Weights onto them are integers too: their unit is 1.

    Parameters
    ----------
    model_name : str
        Name of the model.
    parameters : dict of int or int array ``[size]``
        Every parameter field of the core's model, no other.
    """

    model_name: str
    parameters: Mapping[str, npt.ArrayLike]

    def integers(self, model: NeuronModel, size: int, dt: float) -> dict[str, IntArray]:
        """See :class:`ModelCell`."""
        fields = model.parameter_names()
        different = set(fields) ^ set(self.parameters)
        if different:
            raise NetworkError(
                f"missing or unknown parameters of a {model.NAME} neuron: {', '.join(sorted(different))}; this core's model has "
                f"{', '.join(fields)}"
            )
        result = {}
        for name, field_ in fields.items():
            values = np.asarray(self.parameters[name])
            if values.dtype.kind not in "iub" or values.shape not in ((), (size,)):
                raise NetworkError(
                    f"{name} must be an integer or {size} integers, not {values.dtype} of shape {list(values.shape)}"
                )
            wrong = (values < field_.low) | (values > field_.high)
            if wrong.any():
                value = int(np.atleast_1d(values)[np.argmax(wrong)])
                raise NetworkError(
                    f"{name} is {value}; it must be {field_.low} to {field_.high} (nearest: {min(max(value, field_.low), field_.high)})"
                )
            result[name] = np.broadcast_to(values, size).astype(np.int64)
        return result

    def unit(self, model: NeuronModel, dt: float) -> float:
        """See :class:`ModelCell`."""
        return 1.0


@dataclass(frozen=True, eq=False, slots=True)
class ModelNeurons:
    """Neurons of a model other than the leaky integrate-and-fire neuron, or of one in integers.

    Parameters
    ----------
    cell : ModelCell
    size : int
    dt : float
        Tick (ms).
    """

    cell: ModelCell
    size: int
    dt: float


@dataclass(frozen=True, kw_only=True, slots=True)
class IF_curr_delta:
    """Leaky integrate-and-fire neuron with jumps of the potential as synapses, as PyNN's standard cell of this name.

    Weights are jumps in mV. The decay between steps is exact, ``exp(-dt / tau_m)``.

    Parameters
    ----------
    v_rest, v_reset, v_thresh : float
        Resting potential, potential after a spike, threshold (mV).
    tau_m : float
        Membrane time constant (ms).
    tau_refrac : float
        Refractory period (ms), rounded to steps.
    cm : float
        Capacitance (nF).
    i_offset : float
        Constant current (nA).
    """

    v_rest: float = -65.0
    v_reset: float = -65.0
    v_thresh: float = -50.0
    tau_m: float = 20.0
    tau_refrac: float = 0.1
    cm: float = 1.0
    i_offset: float = 0.0

    def neurons(self, size: int, dt: float) -> Neurons:
        """See :class:`Cell`. Potentials count from ``v_rest``."""
        if not self.tau_m > 0 or not self.cm > 0:
            raise NetworkError(f"tau_m is {self.tau_m} ms and cm {self.cm} nF; both must be above 0")
        if not 0 <= self.tau_refrac < math.inf:
            raise NetworkError(f"tau_refrac is {self.tau_refrac} ms; it must be finite, and 0 or more")
        retention = math.exp(-dt / self.tau_m)
        drive = (1 - retention) * self.i_offset * self.tau_m / self.cm
        return Neurons(
            retention=np.full(size, retention),
            bias=np.full(size, drive),
            threshold=np.full(size, self.v_thresh - self.v_rest),
            reset=np.full(size, self.v_reset - self.v_rest),
            reset_mode="value",
            refractory=np.full(size, round(self.tau_refrac / dt), np.int64),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Population:
    """Neurons of one kind, or input lines (``neurons`` is None).

    Parameters
    ----------
    label : str
        Name, unique in its network.
    size : int
        Neurons or lines.
    neurons : Neurons, ModelNeurons or None
    note : str
        How the per-step form was found, for tables.
    """

    label: str
    size: int
    neurons: Neurons | ModelNeurons | None
    note: str = ""

    @property
    def is_input(self) -> bool:
        """Whether these are input lines."""
        return self.neurons is None


@dataclass(frozen=True, eq=False, slots=True)
class Projection:
    """Synapses from one population to another.

    Parameters
    ----------
    pre, post : Population
    weights : float array ``[pre.size, post.size]``
        Change of the potential per spike; 0 where there is no synapse.
    delay : int or None
        Steps between a spike and its effect. 0: in the same step. None: in the same step, or in the next one if it closes a loop, which
        is what the training frameworks do.
    plasticity : Plasticity or None
        How its synapses learn; then there is one from every neuron to every other, also where the weight is 0. None: they do not.
    w_max : float or None
        Weight for which ``plasticity.high`` stands, so that a weight's LSB is ``w_max / plasticity.high``. None: the cells of ``post`` say
        what an LSB is.
    """

    pre: Population
    post: Population
    weights: FloatArray
    delay: int | None = None
    plasticity: Plasticity | None = None
    w_max: float | None = None

    @property
    def name(self) -> str:
        """Both ends, for messages."""
        return f"{self.pre.label} to {self.post.label}"


@dataclass(slots=True)
class Network:
    """A network description.

    Parameters
    ----------
    dt : float
        Length of a step (ms).

    Attributes
    ----------
    populations : list of Population
        Inputs and neurons, in the order they were added.
    projections : list of Projection
    outputs : list of Population
        Populations whose spikes are the network's output.
    """

    dt: float = 1.0
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    outputs: list[Population] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not (self.dt > 0 and math.isfinite(self.dt)):
            raise NetworkError(f"dt is {self.dt} ms; it must be above 0")

    @property
    def inputs(self) -> list[Population]:
        """Input populations, in the order of the input columns."""
        return [population for population in self.populations if population.is_input]

    def _add(self, population: Population) -> Population:
        if any(other.label == population.label for other in self.populations):
            raise NetworkError(f"there are two populations named {population.label!r}")
        self.populations.append(population)
        return population

    def input(self, size: int, label: str = "input") -> Population:
        """Add input lines."""
        return self._add(Population(label, _count(size, label), None))

    def population(self, size: int, cell: Cell | ModelCell | Neurons, label: str, note: str = "") -> Population:
        """Add neurons of a cell type, or in per-step form."""
        size = _count(size, label)
        if isinstance(cell, ModelCell):
            return self._add(Population(label, size, ModelNeurons(cell, size, self.dt), note))
        neurons = cell if isinstance(cell, Neurons) else cell.neurons(size, self.dt)
        if len(neurons.retention) != size:
            raise NetworkError(f"{label} has {size} neurons, but the parameters of {len(neurons.retention)}")
        return self._add(Population(label, size, neurons, note))

    def projection(
        self,
        pre: Population,
        post: Population,
        weights: npt.ArrayLike,
        delay: float | None = None,
        *,
        plasticity: Plasticity | None = None,
        w_max: float | None = None,
    ) -> Projection:
        """Add synapses.

        Parameters
        ----------
        pre, post : Population
            Of this network; ``post`` must have neurons.
        weights : array ``[pre.size, post.size]``, or a number for all-to-all
        delay : float or None
            In ms, a multiple of ``dt``; None as in :class:`Projection`.
        plasticity : Plasticity or None
            How the synapses learn. All projections that learn and lead to one population have the same.
        w_max : float or None
            Weight for which ``plasticity.high`` stands; only if they learn, and the neurons are described in real numbers of which the
            compiler chooses the unit (``IF_curr_delta``, ``Neurons``).

        Raises
        ------
        NetworkError
            If a shape, a value or the delay is wrong.
        """
        name = f"{pre.label} to {post.label}"
        if post.is_input:
            raise NetworkError(f"projection {name}: an input cannot receive spikes")
        for population in (pre, post):
            if population not in self.populations:
                raise NetworkError(f"projection {name}: {population.label!r} is not part of this network")
        try:
            matrix = np.asarray(weights, np.float64)
        except (TypeError, ValueError) as error:
            raise NetworkError(f"projection {name}: weights are not an array of numbers: {error}") from error
        if matrix.ndim == 0:
            matrix = np.full((pre.size, post.size), float(matrix))
        if matrix.shape != (pre.size, post.size):
            raise NetworkError(f"projection {name}: weights have shape {list(matrix.shape)}, not {[pre.size, post.size]}")
        if not np.isfinite(matrix).all():
            row, column = np.argwhere(~np.isfinite(matrix))[0]
            raise NetworkError(f"projection {name}: the weight from {row} to {column} is {matrix[row, column]}")
        steps: int | None = None
        if delay is not None:
            steps = round(delay / self.dt) if 0 <= delay < math.inf else -1
            if steps < 0 or abs(steps * self.dt - delay) > 1e-6 * max(self.dt, abs(delay)):
                raise NetworkError(f"projection {name}: the delay {delay} ms is not 0 or a multiple of the step of {self.dt} ms")
        projection = Projection(pre, post, matrix, steps, plasticity, w_max)
        self._check_plasticity(projection)
        self.projections.append(projection)
        return projection

    def _check_plasticity(self, projection: Projection) -> None:
        plasticity, w_max = projection.plasticity, projection.w_max
        where = f"projection {projection.name}"
        if plasticity is None:
            if w_max is not None:
                raise NetworkError(f"{where}: w_max is {w_max} without plasticity; give both or none")
            return
        if not isinstance(plasticity, Plasticity):
            raise NetworkError(f"{where}: plasticity must be a Plasticity or None, not {plasticity!r}")
        if isinstance(projection.post.neurons, ModelNeurons):
            if w_max is not None:
                cell = type(projection.post.neurons.cell).__name__
                raise NetworkError(f"{where}: w_max is {w_max}, but {cell} says itself what an LSB of a weight is; leave it out")
        elif not isinstance(w_max, (int, float, np.integer, np.floating)) or not 0 < w_max < math.inf:
            raise NetworkError(
                f"{where}: w_max is {w_max!r}; give the weight, above 0, for which high={plasticity.high} of the plasticity stands"
            )
        elif plasticity.high < 1:
            raise NetworkError(f"{where}: high of the plasticity is {plasticity.high}; it must be 1 or more to stand for w_max")
        for other in self.projections:
            if other.post is not projection.post or other.plasticity is None:
                continue
            if other.plasticity != plasticity:
                raise NetworkError(
                    f"{where}: its plasticity differs from that of {other.name}; a neuron's synapses learn by one, so give both the same"
                )
            if other.w_max != w_max:
                raise NetworkError(
                    f"{where}: w_max is {w_max}, that of {other.name} {other.w_max}; a neuron's weights have one LSB, so give both the same"
                )

    def output(self, population: Population) -> None:
        """Make the spikes of a population an output of the network."""
        if population.is_input:
            raise NetworkError(f"{population.label} is an input; only neurons can be outputs")
        if population not in self.populations:
            raise NetworkError(f"{population.label!r} is not part of this network")
        if population not in self.outputs:
            self.outputs.append(population)

    def find(self, label: str) -> Population:
        """The population of that name."""
        for population in self.populations:
            if population.label == label:
                return population
        raise NetworkError(f"no population {label!r}; the network has {[p.label for p in self.populations]}")

    def delays(self) -> list[int]:
        """Delay of each projection in steps, with None resolved.

        A projection without a stated delay acts in the same step, unless it leads back to a population through which its own source is
        reached from the inputs; then it acts in the next step.
        """
        free = [p for p in self.projections if p.delay is None or p.delay == 0]
        followers: dict[str, list[Projection]] = {}
        for projection in sorted(free, key=lambda p: p.post.label):
            followers.setdefault(projection.pre.label, []).append(projection)
        feedback: set[int] = set()
        finished: set[str] = set()

        starts: Iterable[Population] = sorted(self.populations, key=lambda p: (not p.is_input, p.label))
        for start in starts:
            # Depth first: each population of the path that leads here, with the projections that are still to be followed.
            path = {} if start.label in finished else {start.label: iter(followers.get(start.label, []))}
            while path:
                label, remaining = next(reversed(path.items()))
                for projection in remaining:
                    post = projection.post.label
                    if post in path:
                        feedback.add(id(projection))
                    elif post not in finished:
                        path[post] = iter(followers.get(post, []))
                        break
                else:
                    finished.add(label)
                    del path[label]
        return [p.delay if p.delay is not None else int(id(p) in feedback) for p in self.projections]


def _count(size: SupportsIndex, label: str) -> int:
    """Number of neurons or lines, of any integer type."""
    try:
        count = operator.index(size)
    except TypeError:
        count = 0
    if count < 1:
        raise NetworkError(f"{label} has {size} neurons; it needs a whole number of them, at least 1")
    return count
