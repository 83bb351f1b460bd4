"""Core and chip geometry: every number that the generator, the golden model and the compiler must agree on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import BUS_WORD_BITS, ceil_div
from spikeloom.arch.learning import LEARNING_WEIGHT_BITS, Learning
from spikeloom.arch.lif import Lif
from spikeloom.arch.neuron import MAX_MODELS, NeuronModel, check_int, model_from_dict

#: Delay slots per axon: an event may be due 1 to ``DELAY_SLOTS - 1`` ticks ahead.
DELAY_SLOTS = 16
#: Bits of a delay field.
DELAY_BITS = 4
#: Largest delay of an event, in ticks.
MAX_DELAY = DELAY_SLOTS - 1
#: Largest number of levels: the last neurons may begin ``MAX_LEVELS - 1`` ticks after the first.
MAX_LEVELS = 16
#: Axons held by one word of the delay memory.
DELAY_WORD_BITS = 16
#: Axon types of a crossbar with one bit per synapse: each neuron has a weight per type (TrueNorth: Cassidy et al. 2013).
AXON_TYPES = 4
#: Bits of such a weight, signed.
TYPE_WEIGHT_BITS = 9

WEIGHT_BITS = (1, 2, 4, 8, 16)
MAX_LANES = 128
MAX_AXONS = 8192
MAX_NEURONS = 8192
#: Columns and rows of the largest mesh.
MAX_SIDE = 64
#: Most numbers that outputs can have.
MAX_OUTPUTS = 1 << 15
#: Sides of a chip, in the order of their bits. Row 0 is the northern one, column 0 the western one.
SIDES = ("north", "east", "south", "west")
#: What an encoder on the chip can do; each includes those before.
ENCODERS = ("", "phase", "rate")
#: Bits of the payload of a packet, where it has one.
PAYLOAD_BITS = 8
#: Most data pins of a link in each direction.
MAX_LINK_LANES = 16


def bits_for(count: int) -> int:
    """Bits of an index into ``count`` entries (at least 1)."""
    return max(1, (count - 1).bit_length())


def _check_power_of_two(name: str, value: int) -> None:
    if value & (value - 1):
        lower = 1 << (value.bit_length() - 1)
        raise ConfigError(f"{name} is {value}; it must be a power of two, for example {lower} or {2 * lower}")


def _check_fields(what: str, data: object, kind: type[CoreConfig] | type[ChipConfig] | type[Learning]) -> dict[str, Any]:
    values = data if isinstance(data, dict) else {}
    different = set(values) ^ {field.name for field in dataclasses.fields(kind)}
    if different:
        names = ", ".join(sorted(map(str, different)))
        raise ConfigError(f"not a chip geometry of this version of spikeloom: missing or unknown in the {what}: {names}")
    return values


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
        Bits of a signed synaptic weight: 2, 4, 8 or 16; or 1: a synapse is there or not, and its weight is that of the neuron for the
        axon's type.
    lanes : int
        Neurons accumulated per cycle, a power of two, 1 to 128. Changes time, never a result.
    pipelines : int
        Neurons updated per cycle, a power of two not above ``lanes`` nor 16. Changes time, never a result.
    group : int
        Consecutive neurons that share one parameter set, a power of two; 1 gives each neuron its own.
    weight_words : int or None
        Depth of the weight memory in words of ``lanes`` weights; ``None``: a full crossbar.
    models : tuple of NeuronModel
        Neuron models that the core holds, 1 to 8 different ones; one lif by default. ``pipelines`` neighbours follow the same.
    sets : int or None
        Parameter sets from which each neuron chooses one; ``None``: one for each group.
    stochastic_synapses : bool
        Whether a weight may be the probability of a weight of 1 or -1. Needs ``weight_bits`` 1.
    accumulator_bits : int or None
        Bits of a signed synaptic sum. ``None``: wide enough for any weights. A smaller number saves memory; an image
        whose weights could overflow it is refused.
    levels : int
        Ticks that may differ in which neurons are updated, 1 to 16: the neurons of a layer d levels behind the input begin d ticks
        after the first.
    destinations : int or None
        Entries of the routing memory; ``None``: one for each neuron.
    readback : bool
        Whether the bus can read the memories. Without it a core is smaller, and nobody can look into it.
    counters : bool
        Whether the core counts ticks, cycles, events, synaptic operations, spikes, merged and dropped events.
    reach_x : int
        Columns to the farthest destination in a mesh, 0 to 63; a :class:`ChipConfig` raises it to its own size.
    reach_y : int
        Rows to it, likewise.
    targets : int or None
        Axons or outputs that a destination can name; ``None``: as many as the core has axons or neurons. A :class:`ChipConfig` raises it
        to what its cores need.
    payload : bool
        Whether a packet has 8 bits for a graded spike, which nothing uses yet; a :class:`ChipConfig` sets it.
    learning : Learning or None
        The unit that changes weights. Needs ``weight_bits`` 4, 8 or 16.
    short_term : bool
        Whether axons can have short-term plasticity, which scales their weights. Needs ``weight_bits`` 2 or more.

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
    models: tuple[NeuronModel, ...] = (Lif(),)
    sets: int | None = None
    stochastic_synapses: bool = False
    accumulator_bits: int | None = None
    levels: int = MAX_LEVELS
    destinations: int | None = None
    readback: bool = True
    counters: bool = True
    reach_x: int = 0
    reach_y: int = 0
    targets: int | None = None
    payload: bool = False
    learning: Learning | None = None
    short_term: bool = False

    def __post_init__(self) -> None:
        check_int("axons", self.axons, 1, MAX_AXONS)
        check_int("neurons", self.neurons, 1, MAX_NEURONS)
        if type(self.weight_bits) is not int or self.weight_bits not in WEIGHT_BITS:
            raise ConfigError(f"weight_bits is {self.weight_bits!r}; it must be 1, 2, 4, 8 or 16")
        check_int("lanes", self.lanes, 1, MAX_LANES)
        _check_power_of_two("lanes", self.lanes)
        remedy = "raise lanes for more pipelines" if self.lanes < DELAY_WORD_BITS else ""
        check_int("pipelines", self.pipelines, 1, min(self.lanes, DELAY_WORD_BITS), remedy)
        _check_power_of_two("pipelines", self.pipelines)
        if self.neurons % self.pipelines:
            raise ConfigError(f"neurons is {self.neurons}; it must be a multiple of the {self.pipelines} pipelines")
        check_int("group", self.group, 1, MAX_NEURONS)
        _check_power_of_two("group", self.group)
        if isinstance(self.models, NeuronModel):
            raise ConfigError(f"models must be a sequence of neuron models; write models=({type(self.models).__name__}(...),)")
        if not isinstance(self.models, Iterable):
            raise ConfigError(f"models must be a sequence of neuron models, not {self.models!r}")
        object.__setattr__(self, "models", tuple(self.models))
        check_int("models", len(self.models), 1, MAX_MODELS, "a core holds at least one neuron model, and few different ones")
        for model in self.models:
            if not isinstance(model, NeuronModel):
                raise ConfigError(f"models holds {model!r}, which is not a neuron model")
            if "membrane" not in [field.name for field in model.state_fields()]:
                raise ConfigError(f"the model {model.NAME} has no state field called membrane; give its potential that name")
        names = [model.NAME for model in self.models]
        if len(set(names)) < len(names):
            raise ConfigError(f"models holds {', '.join(names)}; each may occur once")
        if self.sets is not None:
            check_int("sets", self.sets, 1, self.neurons)
            if self.group != 1:
                raise ConfigError(f"group is {self.group}, but with sets each neuron chooses its own; leave one of them out")
        check_int("levels", self.levels, 1, MAX_LEVELS)
        for name in ("reach_x", "reach_y"):
            check_int(name, getattr(self, name), 0, MAX_SIDE - 1)
        for name in ("stochastic_synapses", "readback", "counters", "payload", "short_term"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.stochastic_synapses and self.weight_bits != 1:
            raise ConfigError(f"stochastic_synapses needs weight_bits 1, not {self.weight_bits}")
        if self.short_term and self.typed:
            raise ConfigError("short_term needs weight_bits 2, 4, 8 or 16, not 1")
        if self.learning is not None:
            if not isinstance(self.learning, Learning):
                raise ConfigError(f"learning must be a Learning or None, not {self.learning!r}")
            if self.weight_bits not in LEARNING_WEIGHT_BITS:
                raise ConfigError(f"learning needs weight_bits 4, 8 or 16, not {self.weight_bits}")
            if self.learning.teacher and self.lanes < 2:
                raise ConfigError("a teacher needs lanes of 2 or more, since a neuron and its teacher stand in one word")
        full = self.axons * self.neuron_words
        object.__setattr__(self, "weight_words", full if self.weight_words is None else self.weight_words)
        most_words = 2**19 // ceil_div(max(self.weight_word_bits, self.lanes * self.tag_bits), BUS_WORD_BITS)
        remedy = "" if self.weight_words != full else "give fewer weight_words than a full crossbar has"
        check_int("weight_words", self.weight_words, 1, most_words, remedy)
        widest = TYPE_WEIGHT_BITS if self.weight_bits == 1 else self.weight_bits
        safe = widest + (self.axons - 1).bit_length()
        object.__setattr__(self, "accumulator_bits", safe if self.accumulator_bits is None else self.accumulator_bits)
        check_int("accumulator_bits", self.accumulator_bits, min(widest + 1, safe), safe)
        object.__setattr__(self, "destinations", self.neurons if self.destinations is None else self.destinations)
        check_int("destinations", self.destinations, 1, 2**15)
        if self.targets is not None:
            least = max(self.axons, self.neurons)
            check_int("targets", self.targets, least, MAX_OUTPUTS)
            # One way to say it, so that equal cores have equal fields.
            object.__setattr__(self, "targets", None if self.targets == least else self.targets)

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
        return ceil_div(self.neurons, self.group) if self.sets is None else self.sets

    @property
    def typed(self) -> bool:
        """Whether a synapse has one bit, and its weight is that of the neuron for the axon's type."""
        return self.weight_bits == 1

    @property
    def kinds(self) -> bool:
        """Whether each neuron says which model or parameter set it follows."""
        return self.sets is not None or len(self.models) > 1

    @property
    def random(self) -> bool:
        """Whether the core computes random numbers."""
        return self.stochastic_synapses or self.learning is not None or any(model.random for model in self.models)

    @property
    def tag_bits(self) -> int:
        """Bits of a synapse's tag; 0: it has none."""
        return 0 if self.learning is None else self.learning.tag_bits

    def model(self, name: str) -> NeuronModel | None:
        """The core's model of that name, or None."""
        return next((model for model in self.models if name == model.NAME), None)

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

    @property
    def list_length(self) -> int:
        """Most destinations of one neuron: all of ``routes``, or one less if that is a power of two; the length has an index's bits."""
        return min(self.routes, (1 << bits_for(self.routes)) - 1)

    @property
    def meshed(self) -> bool:
        """Whether the core sends its events into a mesh, also those for itself."""
        return self.reach_x > 0 or self.reach_y > 0

    @property
    def target_bits(self) -> int:
        """Bits of a destination's target: an axon or an output number."""
        return bits_for(self.target_count)

    @property
    def target_count(self) -> int:
        """Axons or outputs that a destination can name (``targets``, resolved)."""
        return max(self.axons, self.neurons) if self.targets is None else self.targets

    def as_dict(self) -> dict[str, Any]:
        """All parameters, resolved, in declaration order, as plain data; the inverse of :meth:`from_dict`."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        learning = None if self.learning is None else dataclasses.asdict(self.learning)
        return values | {"models": [model.as_dict() for model in self.models], "learning": learning}

    @classmethod
    def from_dict(cls, data: object) -> CoreConfig:
        """Rebuild a geometry from :meth:`as_dict`.

        Raises
        ------
        ConfigError
            If a field is missing, unknown or out of range.
        """
        values = _check_fields("core", data, cls)
        models = values["models"]
        if not isinstance(models, list):
            raise ConfigError(f"models must be a list of neuron models, not {models!r}")
        learning = None if values["learning"] is None else Learning(**_check_fields("learning", values["learning"], Learning))
        return cls(**{**values, "models": tuple(model_from_dict(model) for model in models), "learning": learning})


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipConfig:
    """Geometry of a chip: a mesh of cores, which may differ; or of several chips that share one mesh.

    Core n stands in column ``n % columns`` and row ``n // columns``. Column 0 is the western one, row 0 the northern one.

    Parameters
    ----------
    cores : tuple of CoreConfig
        The cores, row by row. Each is kept with a ``reach`` and with ``targets`` that suit the mesh.
    columns, rows : int
        Mesh size, 1 to 64 each.
    payload : bool
        Whether packets carry 8 more bits, reserved for graded spikes.
    encoder : str
        What the chip makes of intensities (``docs/encoder.md``): nothing (empty), ``"phase"``, or ``"rate"`` besides.
    chips_across, chips_down : int
        Chips that share the mesh, each with an equal rectangle of it; they must divide ``columns`` and ``rows``. No result depends on them.
    links : tuple of str
        Sides ("north", "east", "south", "west") with a link to a neighbouring chip. :meth:`tile` sets them.
    link_lanes : int
        Data pins of a link in each direction, 1 to 16.
    link_cell : int
        Clock cycles that a link's pins keep their value, 4 to 64. It must be at least 3 cycles of the receiver's clock.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the field, the value and the limit.
    """

    cores: tuple[CoreConfig, ...]
    columns: int = 1
    rows: int = 1
    payload: bool = False
    encoder: str = ""
    chips_across: int = 1
    chips_down: int = 1
    links: tuple[str, ...] = ()
    link_lanes: int = 4
    link_cell: int = 4

    def __post_init__(self) -> None:
        check_int("columns", self.columns, 1, MAX_SIDE)
        check_int("rows", self.rows, 1, MAX_SIDE)
        given: Any = self.cores
        if isinstance(given, CoreConfig) or not isinstance(given, Iterable):
            raise ConfigError(f"cores must be a sequence with one CoreConfig for each core, not {given!r}")
        cores = tuple(given)
        for core in cores:
            if not isinstance(core, CoreConfig):
                raise ConfigError(f"cores holds {core!r}, which is not a CoreConfig")
        if len(cores) != self.columns * self.rows:
            raise ConfigError(
                f"cores holds {len(cores)}; {self.columns} columns and {self.rows} rows need {self.columns * self.rows}, row by row"
            )
        if not isinstance(self.payload, bool):
            raise ConfigError(f"payload must be True or False, not {self.payload!r}")
        if self.encoder not in ENCODERS:
            raise ConfigError(f"encoder is {self.encoder!r}; it must be {', '.join(map(repr, ENCODERS))}")
        for name, of in (("chips_across", "columns"), ("chips_down", "rows")):
            total = getattr(self, of)
            check_int(name, getattr(self, name), 1, total)
            if total % getattr(self, name):
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; it must divide the {total} {of}, so that all chips are equally large"
                )
        sides: Any = self.links
        links = () if isinstance(sides, str) else tuple(sides)
        if isinstance(sides, str) or set(links) - set(SIDES) or len(set(links)) < len(links):
            raise ConfigError(f"links is {sides!r}; it may hold each of {', '.join(SIDES)} once")
        if links and self.chips_across * self.chips_down > 1:
            raise ConfigError("links is given for a mesh of several chips; tile() gives each of them its links")
        object.__setattr__(self, "links", tuple(side for side in SIDES if side in links))
        check_int("link_lanes", self.link_lanes, 1, MAX_LINK_LANES)
        check_int("link_cell", self.link_cell, 4, 64)
        reach_x = max(self.columns - 1, *(core.reach_x for core in cores))
        reach_y = max(self.rows - 1, *(core.reach_y for core in cores))
        outputs = min(sum(core.neurons for core in cores), MAX_OUTPUTS)
        targets = max(outputs, *(core.target_count for core in cores))
        for name, reach, axis in (("reach_x", reach_x, ("east", "west")), ("reach_y", reach_y, ("north", "south"))):
            if not reach and set(axis) & set(self.links):
                raise ConfigError(f"links is {self.links!r}, but no core has a {name}; packets over these links need one")
        payload = self.payload or any(core.payload for core in cores)
        object.__setattr__(self, "payload", payload)
        settings: dict[str, Any] = {"reach_x": reach_x, "reach_y": reach_y, "target_count": targets, "payload": payload}
        # Equal cores stay one object.
        resolved = {id(core): core for core in cores}
        for key, core in resolved.items():
            if any(getattr(core, name) != value for name, value in settings.items()):
                resolved[key] = dataclasses.replace(core, reach_x=reach_x, reach_y=reach_y, targets=targets, payload=payload)
        object.__setattr__(self, "cores", tuple(resolved[id(core)] for core in cores))

    @property
    def meshed(self) -> bool:
        """Whether there are routers: more than one core, or a link."""
        return self.cores[0].meshed

    @property
    def learning(self) -> bool:
        """Whether any core learns."""
        return any(core.learning is not None for core in self.cores)

    @property
    def short_term(self) -> bool:
        """Whether axons of any core can have short-term plasticity."""
        return any(core.short_term for core in self.cores)

    def place(self, core: int) -> tuple[int, int]:
        """Column and row of a core."""
        return core % self.columns, core // self.columns

    def host_core(self, core: int) -> int:
        """The core through whose router the outputs of this core reach the host: the north-western one of its chip."""
        width, height = self.columns // self.chips_across, self.rows // self.chips_down
        column, row = self.place(core)
        return row // height * height * self.columns + column // width * width

    @property
    def host_cores(self) -> list[int]:
        """The cores with a host: the north-western one of each chip."""
        return [self.tile_cores(number)[0] for number in range(self.chips_across * self.chips_down)]

    def tile_cores(self, number: int) -> list[int]:
        """Numbers of the cores of chip ``number`` (chips count row by row), row by row."""
        width, height = self.columns // self.chips_across, self.rows // self.chips_down
        left, top = number % self.chips_across * width, number // self.chips_across * height
        return [row * self.columns + column for row in range(top, top + height) for column in range(left, left + width)]

    def tile(self, number: int) -> ChipConfig:
        """Geometry of one of the chips that share the mesh, with its links; chips count row by row."""
        check_int("chip", number, 0, self.chips_across * self.chips_down - 1)
        if self.chips_across * self.chips_down == 1:
            return self
        across, down = number % self.chips_across, number // self.chips_across
        linked = (down > 0, across < self.chips_across - 1, down < self.chips_down - 1, across > 0)
        return dataclasses.replace(
            self,
            cores=tuple(self.cores[core] for core in self.tile_cores(number)),
            columns=self.columns // self.chips_across,
            rows=self.rows // self.chips_down,
            chips_across=1,
            chips_down=1,
            links=tuple(side for side, has in zip(SIDES, linked, strict=True) if has),
        )

    def as_dict(self) -> dict[str, Any]:
        """All parameters, resolved; the inverse of :meth:`from_dict`. Cores that are alike are written once."""
        kinds = list(dict.fromkeys(self.cores))
        numbers = {core: number for number, core in enumerate(kinds)}
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {
            "cores": [core.as_dict() for core in kinds],
            "core_kinds": [numbers[core] for core in self.cores],
            "links": list(self.links),
        }

    @classmethod
    def from_dict(cls, data: object) -> ChipConfig:
        """Rebuild a chip geometry from :meth:`as_dict`.

        Raises
        ------
        ConfigError
            If a field is missing, unknown or out of range.
        """
        values = dict(data) if isinstance(data, dict) else {}
        order = values.pop("core_kinds", None)
        values = _check_fields("chip", values, cls)
        kinds = values["cores"]
        if not isinstance(kinds, list) or not isinstance(order, list) or not isinstance(values["links"], list):
            raise ConfigError("not a chip geometry of this version of spikeloom: cores, core_kinds and links must be lists")
        if not all(type(number) is int and 0 <= number < len(kinds) for number in order):
            raise ConfigError(f"core_kinds must hold numbers below {len(kinds)}")
        cores = [CoreConfig.from_dict(kind) for kind in kinds]
        return cls(**{**values, "cores": tuple(cores[number] for number in order), "links": tuple(values["links"])})

    @property
    def geometry_id(self) -> int:
        """32-bit number that two chips share exactly when all their parameters are equal (with 2**-32 doubt)."""
        data = self.as_dict()
        for core in data["cores"]:
            # What a core does not have does not count, so that geometries keep their number when there is more to choose from.
            for name in ("learning", "short_term"):
                if not core[name]:
                    del core[name]
        text = json.dumps(data, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
