"""Neuron models: what a model tells the rest of spikeloom about itself. Described in ``docs/neuron.md``.

A model is a class with three twins: the class derived from :class:`NeuronModel` (widths and memory words), a golden step function, and
a pipeline in ``hdl``. The first names the other two, so that nothing but the model itself has to be registered.
"""

from __future__ import annotations

import dataclasses
import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import Field, IntArray, WordLayout

#: Bits of the random number that a stochastic model gets for each neuron and tick.
RANDOM_BITS = 32
#: Most models of one core.
MAX_MODELS = 8

_REGISTRY: dict[str, type[NeuronModel]] = {}


class NeuronModel(ABC):
    """Base of all models. A derived class is a frozen dataclass whose fields are chosen at generation time.

    Words of four memories belong to a neuron. Each model says which fields its words have; a field name may occur only once over
    parameters, firing and own.

    Attributes
    ----------
    NAME : str
        Name in configurations, images and reports.
    GOLDEN : str
        ``"module:function"`` of the golden step (see ``spikeloom.golden.neuron``).
    HDL : str
        ``"module:class"`` of the pipeline (see ``spikeloom.hdl.neuron``).
    """

    NAME: ClassVar[str]
    GOLDEN: ClassVar[str]
    HDL: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "NAME" in cls.__dict__:
            _REGISTRY[cls.NAME] = cls

    @abstractmethod
    def state_fields(self) -> tuple[Field, ...]:
        """State of a neuron. The initial state is zero; one field must be called ``membrane``, the potential."""

    @abstractmethod
    def parameter_fields(self) -> tuple[Field, ...]:
        """Parameters of a set, taken together with the state."""

    def firing_fields(self) -> tuple[Field, ...]:
        """Parameters of a set that the pipeline takes later, which saves registers."""
        return ()

    def own_fields(self) -> tuple[Field, ...]:
        """Parameters of each neuron of its own, taken together with the state."""
        return ()

    @property
    def random(self) -> bool:
        """Whether the model wants a random number for each neuron and tick."""
        return False

    def check(self, parameters: Mapping[str, IntArray]) -> None:  # noqa: B027 (most need no more than the ranges of their fields)
        """Refuse integers that fit their fields but make no sense together.

        Parameters
        ----------
        parameters : dict of int64 array ``[N]``
            All fields of parameters, firing and own.

        Raises
        ------
        ConfigError
            The message names the field, the value, the limit and the remedy.
        """

    def sample(self, rng: np.random.Generator, size: int, weight: int) -> dict[str, IntArray]:
        """Random legal parameters for checks: corners and small numbers as well as any others.

        Parameters
        ----------
        rng : numpy Generator
        size : int
            Neurons.
        weight : int
            Largest weight of a synapse, for parameters that must suit the input.

        Returns
        -------
        dict of int64 array ``[size]``
            All fields of parameters, firing and own.
        """
        result = {}
        for name, field in self.parameter_names().items():
            anything = rng.integers(field.low, field.high, size, endpoint=True)
            corner = rng.choice(np.array([field.low, field.high, 0], np.int64), size)
            small = np.clip(rng.integers(-4, 4, size, endpoint=True), field.low, field.high)
            result[name] = np.choose(rng.integers(0, 4, size), [anything, anything, corner, small])
        return result

    def words(self) -> dict[str, WordLayout]:
        """Layouts of the neuron memories, without those that have no fields: ``parameters``, ``firing``, ``own``, ``state``."""
        table = {
            "parameters": self.parameter_fields(),
            "firing": self.firing_fields(),
            "own": self.own_fields(),
            "state": self.state_fields(),
        }
        return {name: WordLayout(name, fields) for name, fields in table.items() if fields}

    def parameter_names(self) -> dict[str, Field]:
        """All fields that an image gives a value, by name."""
        return {field.name: field for field in (*self.parameter_fields(), *self.firing_fields(), *self.own_fields())}

    def as_dict(self) -> dict[str, Any]:
        """Name and fields as plain data; the inverse of :func:`model_from_dict`."""
        return {"name": self.NAME, **dataclasses.asdict(self)}  # type: ignore[call-overload]


def model_class(name: str) -> type[NeuronModel]:
    """The model of that name.

    Raises
    ------
    ConfigError
        If there is none; the message lists those known.
    """
    for module in ("lif", "izhikevich", "adex"):
        importlib.import_module(f"spikeloom.arch.{module}")
    if name not in _REGISTRY:
        raise ConfigError(
            f"no neuron model {name!r}; known are {', '.join(sorted(_REGISTRY))} (a model of your own must be imported first, "
            "on the command line with --plugin FILE)"
        )
    return _REGISTRY[name]


def model_from_dict(data: object) -> NeuronModel:
    """Rebuild a model from :meth:`NeuronModel.as_dict`.

    Raises
    ------
    ConfigError
        If the model is unknown, or a field is missing, unknown or out of range.
    """
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise ConfigError(f"a neuron model must be given by its name and fields, not {data!r}")
    kind = model_class(data["name"])
    given = {key: value for key, value in data.items() if key != "name"}
    different = set(given) ^ {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if different:
        raise ConfigError(
            f"not the model {kind.NAME} of this version of spikeloom: missing or unknown: {', '.join(sorted(map(str, different)))}"
        )
    return kind(**given)


def twin(reference: str) -> Any:
    """The object that ``"module:name"`` stands for."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def check_int(name: str, value: object, low: int, high: int, remedy: str = "") -> None:
    """Refuse a configuration value that is not an integer from ``low`` to ``high``.

    Raises
    ------
    ConfigError
        The message names field, value, range and the nearest legal value.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be an integer, not {value!r}")
    if not low <= value <= high:
        nearest = min(max(value, low), high)
        raise ConfigError(f"{name} is {value}; it must be {low} to {high}{'; ' + remedy if remedy else f' (nearest: {nearest})'}")
