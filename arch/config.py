"""Core and chip geometry: every number that the generator, the golden model and the compiler must agree on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from spikeloom.arch.errors import ConfigError

#: Delay slots per axon: an event may be due 1 to ``DELAY_SLOTS - 1`` ticks ahead.
DELAY_SLOTS = 16
#: Bits of a delay field.
DELAY_BITS = 4
#: Largest delay of an event, in ticks.
MAX_DELAY = DELAY_SLOTS - 1
#: Fraction bits of the retention coefficient: V is multiplied by ``retention / 2**12`` each tick.
RETENTION_FRACTION = 12
#: Bits of the retention coefficient: 0 to 4096, that is 0.0 to 1.0; an image with a larger one is refused.
RETENTION_BITS = RETENTION_FRACTION + 1
#: Largest number of levels: the last neurons may begin ``MAX_LEVELS - 1`` ticks after the first.
MAX_LEVELS = 16
#: Axons held by one word of the delay memory.
DELAY_WORD_BITS = 16
#: Bits of one word of the loading bus.
BUS_WORD_BITS = 32

WEIGHT_BITS = (2, 4, 8, 16)
MAX_LANES = 64
MAX_AXONS = 8192
MAX_NEURONS = 8192


def bits_for(count: int) -> int:
    """Bits of an index into ``count`` entries (at least 1)."""
    return max(1, (count - 1).bit_length())


def ceil_div(a: int, b: int) -> int:
    """``a / b`` rounded up."""
    return -(-a // b)


def _check_int(name: str, value: object, low: int, high: int, remedy: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be an integer, not {value!r}")
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}; it must be {low} to {high}{'; ' + remedy if remedy else ''}")


def _check_power_of_two(name: str, value: int) -> None:
    if value & (value - 1):
        lower = 1 << (value.bit_length() - 1)
        raise ConfigError(f"{name} is {value}; it must be a power of two, for example {lower} or {2 * lower}")


def _check_fields(what: str, data: object, kind: type[CoreConfig] | type[ChipConfig]) -> None:
    given = set(data) if isinstance(data, dict) else set()
    different = given ^ {field.name for field in dataclasses.fields(kind)}
    if different:
        names = ", ".join(sorted(map(str, different)))
        raise ConfigError(f"not a chip geometry of this version of spikeloom: missing or unknown in the {what}: {names}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreConfig:
    """Geometry of one time-multiplexed neuromorphic core.

    Parameters
    ----------
    axons : int
        Input lines of the crossbar, one row each; 1 to 8192.
    neurons : int
        Neurons (columns of the crossbar), a multiple of ``pipelines``; 1 to 8192.
    weight_bits : int
        Bits of a signed synaptic weight: 2, 4, 8 or 16.
    lanes : int
        Neurons accumulated per cycle, a power of two, 1 to 64. Changes time, never a result.
    pipelines : int
        Neurons updated per cycle, a power of two not above ``lanes`` nor 16. Changes time, never a result.
    group : int
        Consecutive neurons that share one parameter set (threshold, reset, retention, refractory period),
        a power of two; 1 gives each neuron its own.
    weight_words : int or None
        Depth of the weight memory in words of ``lanes`` weights; ``None``: a full crossbar.
    state_bits : int
        Bits of the signed membrane potential, 8 to 28.
    fraction_bits : int
        Bits of the membrane potential below the weight's least significant bit, 0 to 12.
    accumulator_bits : int or None
        Bits of a signed synaptic sum. ``None``: wide enough for any weights. A smaller number saves memory; an image
        whose weights could overflow it is refused.
    refractory_bits : int
        Bits of the refractory counter; 0 leaves the refractory period out.
    bias_bits : int
        Bits of each neuron's constant input, not above ``state_bits``; 0 leaves it out.
    relative_reset : bool
        Whether a spike can add to the potential (reset by subtraction) instead of replacing it.
    levels : int
        Ticks that may differ in which neurons are updated, 1 to 16: the neurons of a layer d levels behind the input begin d ticks
        after the first.
    destinations : int or None
        Entries of the routing memory; ``None``: one for each neuron.
    readback : bool
        Whether the bus can read the memories. Without it a core is smaller, and nobody can look into it.
    counters : bool
        Whether the core counts ticks, cycles, events, synaptic operations, spikes, merged and dropped events.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the field, the value and the limit.
    """

    axons: int = 256
    neurons: int = 256
    weight_bits: int = 8
    lanes: int = 8
    pipelines: int = 1
    group: int = 1
    weight_words: int | None = None
    state_bits: int = 24
    fraction_bits: int = 6
    accumulator_bits: int | None = None
    refractory_bits: int = 6
    bias_bits: int = 16
    relative_reset: bool = True
    levels: int = MAX_LEVELS
    destinations: int | None = None
    readback: bool = True
    counters: bool = True

    def __post_init__(self) -> None:
        _check_int("axons", self.axons, 1, MAX_AXONS)
        _check_int("neurons", self.neurons, 1, MAX_NEURONS)
        if type(self.weight_bits) is not int or self.weight_bits not in WEIGHT_BITS:
            raise ConfigError(f"weight_bits is {self.weight_bits!r}; it must be 2, 4, 8 or 16")
        _check_int("lanes", self.lanes, 1, MAX_LANES)
        _check_power_of_two("lanes", self.lanes)
        remedy = "raise lanes for more pipelines" if self.lanes < DELAY_WORD_BITS else ""
        _check_int("pipelines", self.pipelines, 1, min(self.lanes, DELAY_WORD_BITS), remedy)
        _check_power_of_two("pipelines", self.pipelines)
        if self.neurons % self.pipelines:
            raise ConfigError(f"neurons is {self.neurons}; it must be a multiple of the {self.pipelines} pipelines")
        _check_int("group", self.group, 1, MAX_NEURONS)
        _check_power_of_two("group", self.group)
        _check_int("state_bits", self.state_bits, 8, 28)
        _check_int("fraction_bits", self.fraction_bits, 0, 12)
        _check_int("refractory_bits", self.refractory_bits, 0, 8)
        _check_int("bias_bits", self.bias_bits, 0, self.state_bits, "it cannot be wider than the potential")
        if self.state_bits + self.refractory_bits > BUS_WORD_BITS:
            raise ConfigError(
                f"state_bits + refractory_bits is {self.state_bits + self.refractory_bits}; "
                f"both share one {BUS_WORD_BITS}-bit word, so lower one of them"
            )
        _check_int("levels", self.levels, 1, MAX_LEVELS)
        for name in ("relative_reset", "readback", "counters"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}")
        full = self.axons * self.neuron_words
        object.__setattr__(self, "weight_words", full if self.weight_words is None else self.weight_words)
        most_words = 2**20 // ceil_div(self.weight_word_bits, BUS_WORD_BITS)
        remedy = "" if self.weight_words != full else "give fewer weight_words than a full crossbar has"
        _check_int("weight_words", self.weight_words, 1, most_words, remedy)
        safe = self.weight_bits + (self.axons - 1).bit_length()
        object.__setattr__(self, "accumulator_bits", safe if self.accumulator_bits is None else self.accumulator_bits)
        _check_int("accumulator_bits", self.accumulator_bits, min(self.weight_bits + 1, safe), safe)
        object.__setattr__(self, "destinations", self.neurons if self.destinations is None else self.destinations)
        _check_int("destinations", self.destinations, 1, 2**15)

    # Derived sizes -----------------------------------------------------------------------------------------------

    @property
    def neuron_words(self) -> int:
        """Words of ``lanes`` neurons that cover all neurons."""
        return ceil_div(self.neurons, self.lanes)

    @property
    def neuron_slots(self) -> int:
        """Neurons with the last word filled up: the columns that a row of full length covers."""
        return self.neuron_words * self.lanes

    @property
    def weight_word_bits(self) -> int:
        """Bits read from the weight memory each cycle."""
        return self.lanes * self.weight_bits

    @property
    def parameter_sets(self) -> int:
        """Entries of the parameter memory."""
        return ceil_div(self.neurons, self.group)

    @property
    def delay_words(self) -> int:
        """Words of the delay memory per slot."""
        return ceil_div(self.axons, DELAY_WORD_BITS)

    @property
    def words(self) -> int:
        """Depth of the weight memory (``weight_words``, resolved)."""
        assert self.weight_words is not None
        return self.weight_words

    @property
    def sum_bits(self) -> int:
        """Bits of a synaptic sum (``accumulator_bits``, resolved)."""
        assert self.accumulator_bits is not None
        return self.accumulator_bits

    @property
    def routes(self) -> int:
        """Entries of the routing memory (``destinations``, resolved)."""
        assert self.destinations is not None
        return self.destinations

    def as_dict(self) -> dict[str, Any]:
        """All parameters, resolved, in declaration order; ``CoreConfig(**c.as_dict()) == c``."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipConfig:
    """Geometry of a chip: a mesh of cores. Today exactly one core.

    Parameters
    ----------
    core : CoreConfig
        The core.
    columns, rows : int
        Mesh size; both must be 1 until chips with several cores are supported.

    Raises
    ------
    ConfigError
        If the mesh is not 1 by 1.
    """

    core: CoreConfig
    columns: int = 1
    rows: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.core, CoreConfig):
            raise ConfigError(f"core must be a CoreConfig, not {self.core!r}")
        for name in ("columns", "rows"):
            _check_int(name, getattr(self, name), 1, 1, "a chip holds one core in this version")

    def as_dict(self) -> dict[str, Any]:
        """All parameters, resolved; the inverse of :meth:`from_dict`."""
        return {"core": self.core.as_dict(), "columns": self.columns, "rows": self.rows}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ChipConfig:
        """Rebuild a chip geometry from :meth:`as_dict`.

        Raises
        ------
        ConfigError
            If a field is missing, unknown or out of range.
        """
        _check_fields("chip", data, cls)
        _check_fields("core", data["core"], CoreConfig)
        return cls(core=CoreConfig(**data["core"]), columns=data["columns"], rows=data["rows"])

    @property
    def geometry_id(self) -> int:
        """32-bit number that two chips share exactly when all their parameters are equal (with 2**-32 doubt)."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
