"""What a chip is loaded with: memory contents, and which axons and neurons belong to which input, output and population.

``spikeloom.network.image`` adds the file format; drivers and the golden model need only what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeloom.arch.config import MAX_DELAY, ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, ImageError
from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.learning import Learning, check_learning
from spikeloom.arch.memory_map import Region, models_and_sets, regions, unpack_neurons
from spikeloom.arch.packet import Destination


@dataclass(frozen=True, slots=True)
class PopulationMap:
    """Where neighbouring neurons of a population live; a population may have several such pieces.

    Parameters
    ----------
    name : str
        Label of the population.
    core : int
        Core number.
    first, size : int
        The neurons are ``first`` to ``first + size - 1`` of the core.
    level : int
        The neurons are this many ticks behind the input (their layer's depth); the same in all pieces.
    offset : int
        They are neurons ``offset`` to ``offset + size - 1`` of the population.
    """

    name: str
    core: int
    first: int
    size: int
    level: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class PortMap:
    """A named range of the input or output columns of a spike array: columns ``first`` to ``first + size - 1``."""

    name: str
    first: int
    size: int


@dataclass(frozen=True, kw_only=True)
class LoadableImage:
    """Memory contents of a chip, with the maps needed to feed and read it.

    Parameters
    ----------
    config : ChipConfig
        The geometry it was made for.
    memories : tuple of dict of uint32 array ``[depth, slices]``
        Per core, the packed words of each region that an image holds.
    inputs, outputs : tuple of PortMap
        Named ranges of the input and output columns.
    input_index, input_core, input_axon, input_offset : int64 arrays of one length
        A spike in input column ``input_index[k]`` at step t is an event for axon ``input_axon[k]`` of core ``input_core[k]``, due at tick
        ``t + input_offset[k]``.
    output_shift : int64 array ``[outputs]``
        Output column o at step t is the output event number o of tick ``t + output_shift[o]``.
    populations : tuple of PopulationMap
        Where each population lives; its pieces stand in order.
    board : str
        Board name, or empty.
    notes : dict
        Plain data about how the image was made (quantisation report); ignored by chips.
    """

    config: ChipConfig
    memories: tuple[Mapping[str, WordArray], ...]
    inputs: tuple[PortMap, ...]
    outputs: tuple[PortMap, ...]
    input_index: IntArray
    input_core: IntArray
    input_axon: IntArray
    input_offset: IntArray
    output_shift: IntArray
    populations: tuple[PopulationMap, ...] = ()
    board: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.memories) != len(self.config.cores):
            raise ImageError(f"the image holds {len(self.memories)} cores; the chip has {len(self.config.cores)}")
        if self.config.links:
            raise ImageError(
                f"the geometry has links ({', '.join(self.config.links)}) to chips that it does not tell of; give the mesh of all chips, "
                "with chips_across and chips_down"
            )
        self._check_ports()
        self._check_populations()
        axons = np.array([core.axons for core in self.config.cores])
        hosts = np.array(self.config.host_cores)
        for number, (core, memory) in enumerate(zip(self.config.cores, self.memories, strict=True)):
            self._check_core(number, core, memory, axons, hosts)

    @property
    def input_size(self) -> int:
        """Columns of an input spike array."""
        return sum(port.size for port in self.inputs)

    @property
    def output_size(self) -> int:
        """Columns of an output spike array."""
        return sum(port.size for port in self.outputs)

    @property
    def drain(self) -> int:
        """Ticks after the last input step until the last output has come."""
        return int(self.output_shift.max(initial=0))

    def pieces(self, name: str) -> list[PopulationMap]:
        """The pieces of the population of that name, in order.

        Raises
        ------
        ImageError
            If there is none; the message lists the names.
        """
        found = [piece for piece in self.populations if piece.name == name]
        if not found:
            raise ImageError(f"no population {name!r}; the image has {list(dict.fromkeys(p.name for p in self.populations))}")
        return found

    def population_size(self, name: str) -> int:
        """Neurons of a population."""
        return sum(piece.size for piece in self.pieces(name))

    # Checks --------------------------------------------------------------------------------------------------------

    def _check_ports(self) -> None:
        for kind, ports in (("input", self.inputs), ("output", self.outputs)):
            column = 0
            for port in ports:
                if port.first != column or port.size < 1:
                    raise ImageError(
                        f"{kind} {port.name!r} has {port.size} columns from {port.first} on; "
                        f"it must have at least one, from {column} on: ports lie side by side"
                    )
                column += port.size
        lengths = {len(self.input_index), len(self.input_core), len(self.input_axon), len(self.input_offset)}
        if len(lengths) != 1:
            raise ImageError("the input map is inconsistent: its four columns differ in length")
        for name, values, limit in (
            ("input column", self.input_index, self.input_size),
            ("input core", self.input_core, len(self.config.cores)),
            ("input offset", self.input_offset, 1 << 16),
            ("output shift", self.output_shift, 1 << 16),
        ):
            wrong = values[(values < 0) | (values >= limit)]
            if len(wrong):
                raise ImageError(f"the image names {name} {int(wrong[0])}; it must be 0 to {limit - 1}")
        axons = np.array([core.axons for core in self.config.cores])[self.input_core]
        bad = np.flatnonzero((self.input_axon < 0) | (self.input_axon >= axons))
        if len(bad):
            raise ImageError(
                f"the image names input axon {int(self.input_axon[bad[0]])} of core {int(self.input_core[bad[0]])}; "
                f"it must be 0 to {int(axons[bad[0]]) - 1}"
            )
        if len(self.output_shift) != self.output_size:
            raise ImageError(f"{len(self.output_shift)} output shifts for {self.output_size} outputs")

    def _check_populations(self) -> None:
        found: dict[str, PopulationMap] = {}
        for piece in self.populations:
            if not 0 <= piece.core < len(self.config.cores):
                raise ImageError(f"population {piece.name!r} lies in core {piece.core} of {len(self.config.cores)}")
            neurons = self.config.cores[piece.core].neurons
            if piece.first < 0 or piece.size < 1 or piece.first + piece.size > neurons:
                raise ImageError(f"population {piece.name!r} lies outside the {neurons} neurons of core {piece.core}")
            before = found.get(piece.name)
            expected = (0, piece.level) if before is None else (before.offset + before.size, before.level)
            if (piece.offset, piece.level) != expected:
                raise ImageError(
                    f"population {piece.name!r}: a piece begins at neuron {piece.offset} with level {piece.level}; "
                    f"it must begin at {expected[0]} with level {expected[1]}"
                )
            found[piece.name] = piece

    def _check_core(
        self, number: int, core: CoreConfig, memory: Mapping[str, WordArray], axons_of: IntArray, hosts: IntArray
    ) -> None:
        table = {name: region for name, region in regions(core).items() if region.in_image}
        if set(memory) != set(table):
            raise ImageError(f"core {number}: the image holds {sorted(memory)}; the geometry needs {sorted(table)}")
        for name, region in table.items():
            words = memory[name]
            if words.shape != (region.depth, region.layout.slices) or words.dtype != np.uint32:
                raise ImageError(
                    f"core {number}, {name}: {words.dtype} array of shape {list(words.shape)}; "
                    f"the geometry needs uint32 of shape {[region.depth, region.layout.slices]}"
                )
        unpacked = {name: region.layout.unpack(memory[name]) for name, region in table.items() if not region.variants}
        last = unpacked["control"]["last"]
        wrong = (last >= core.neurons) | ((last + 1) % core.pipelines != 0)
        if wrong.any():
            raise ImageError(
                f"core {number}: the last neuron to update is {int(last[wrong][0])}; it must be below {core.neurons} "
                f"and one less than a multiple of {core.pipelines}"
            )
        if (np.diff(last) < 0).any():
            raise ImageError(f"core {number}: neurons that take part in one tick are left out in a later one")
        self._check_rows(number, core, unpacked)
        if core.learning is not None:
            self._check_learning(number, core, core.learning, unpacked)
        self._check_routes(number, core, unpacked["route_index"], unpacked["routes"], axons_of, hosts)
        self._check_neurons(number, core, table, memory)

    @staticmethod
    def _check_neurons(number: int, core: CoreConfig, table: Mapping[str, Region], memory: Mapping[str, WordArray]) -> None:
        model_of, set_of = models_and_sets(core, memory.get("kinds"))
        for name, values, limit in (("model", model_of, len(core.models)), ("parameter set", set_of, core.parameter_sets)):
            if values.max(initial=0) >= limit:
                raise ImageError(f"core {number}: neuron {int(np.argmax(values))} follows {name} {int(values.max())} of {limit}")
        mixed = (model_of.reshape(-1, core.pipelines) != model_of[:: core.pipelines, np.newaxis]).any(axis=1)
        if mixed.any():
            raise ImageError(
                f"core {number}: neurons {int(np.argmax(mixed)) * core.pipelines} and following are updated together but follow "
                f"different models; let {core.pipelines} neighbours follow one"
            )
        words = {name: unpack_neurons(table[name], memory[name]) for name in ("parameters", "firing", "own") if name in table}
        for index, model in enumerate(core.models):
            neurons = np.flatnonzero(model_of == index)
            parameters = {
                field: values[neurons if name == "own" else set_of[neurons]]
                for name, per_model in words.items()
                for field, values in per_model[index].items()
            }
            try:
                model.check(parameters)
            except ConfigError as error:
                raise ImageError(f"core {number}, {model.NAME} neurons: {error}") from None

    @staticmethod
    def _check_rows(number: int, core: CoreConfig, unpacked: Mapping[str, Mapping[str, IntArray]]) -> None:
        rows, weights = unpacked["rows"], unpacked["weights"]["weight"].reshape(core.words, core.lanes)
        base, start = rows["base"], rows["start"]
        length = np.maximum(rows["last"] - start + 1, 0)
        used = length > 0
        for name, end, limit in (
            ("weight word", base + length, core.words),
            ("neuron word", start + length, core.neuron_words),
        ):
            if used.any() and end[used].max() > limit:
                axon = int(np.flatnonzero(used & (end > limit))[0])
                raise ImageError(f"core {number}: the row of axon {axon} ends at {name} {int(end[axon])} of {limit}")
        # The sums of all positive and of all negative weights bound every sum that can occur.
        bounds = np.zeros((2, core.neuron_words, core.lanes), np.int64)
        by_type = unpacked["type_weights"]["weight"].reshape(-1, core.neuron_words, core.lanes) if core.typed else None
        for step in range(int(length.max(initial=0))):
            active = np.flatnonzero(length > step)
            word, values = start[active] + step, weights[base[active] + step]
            if by_type is not None:
                values = values * by_type[rows["type"][active], word]
            largest, smallest = values, values
            if core.learning is not None:
                plastic = rows["plastic"][active, np.newaxis] == 1
                settings = unpacked["learning"]
                largest = np.where(plastic, np.maximum(values, settings["high"]), values)
                smallest = np.where(plastic, np.minimum(values, settings["low"]), values)
            np.add.at(bounds[0], word, np.maximum(largest, 0))
            np.add.at(bounds[1], word, np.minimum(smallest, 0))
        high = (1 << (core.sum_bits - 1)) - 1
        if bounds[0].max() > high or -bounds[1].min() > high + 1:
            word, lane = np.argwhere((bounds[0] > high) | (bounds[1] < -high - 1))[0]
            raise ImageError(
                f"core {number}, neuron {word * core.lanes + lane}: its weights could sum to "
                f"{bounds[1, word, lane]}..{bounds[0, word, lane]}, beyond the {core.sum_bits}-bit accumulator; "
                "use a geometry with a wider accumulator or smaller weights"
            )

    @staticmethod
    def _check_learning(number: int, core: CoreConfig, learning: Learning, unpacked: Mapping[str, Mapping[str, IntArray]]) -> None:
        try:
            check_learning(learning, core.weight_bits, unpacked["learning"], unpacked["rules"])
        except ConfigError as error:
            raise ImageError(f"core {number}, learning: {error}") from None
        rows = unpacked["rows"]
        length = np.maximum(rows["last"] - rows["start"] + 1, 0)
        owners = np.zeros(core.words + 1, np.int64)
        plastic = np.zeros(core.words + 1, np.int64)
        for counted, chosen in ((owners, length > 0), (plastic, (length > 0) & (rows["plastic"] == 1))):
            np.add.at(counted, rows["base"][chosen], 1)
            np.add.at(counted, (rows["base"] + length)[chosen], -1)
        shared = (np.cumsum(plastic) > 0) & (np.cumsum(owners) > 1)
        if shared.any():
            word = int(np.argmax(shared))
            axon = int(np.flatnonzero((rows["plastic"] == 1) & (rows["base"] <= word) & (word < rows["base"] + length))[0])
            raise ImageError(
                f"core {number}: the row of axon {axon} learns, but shares weight word {word} with another one; give it words of its own"
            )

    def _check_routes(
        self,
        number: int,
        core: CoreConfig,
        index: Mapping[str, IntArray],
        routes: Mapping[str, IntArray],
        axons_of: IntArray,
        hosts: IntArray,
    ) -> None:
        """``axons_of`` gives the axons of each core, ``hosts`` the cores with a host."""
        end = index["first"] + index["count"]
        used = index["count"] > 0
        if used.any() and end[used].max() > core.routes:
            neuron = int(np.flatnonzero(used & (end > core.routes))[0])
            raise ImageError(f"core {number}: the destinations of neuron {neuron} end at {end[neuron]} of {core.routes}")
        covered = np.zeros(core.routes + 1, np.int64)
        np.add.at(covered, index["first"][used], 1)
        np.add.at(covered, end[used], -1)
        reached = np.cumsum(covered)[:-1] > 0
        config = self.config
        column, row = config.place(number)
        none = np.zeros(core.routes, np.int64)
        x, y = column + routes.get("dx", none), row + routes.get("dy", none)
        inside = (x >= 0) & (x < config.columns) & (y >= 0) & (y < config.rows)
        where = np.where(inside, y * config.columns + x, number)
        axons = axons_of[where]
        to_axon = routes["kind"] == Destination.AXON
        wrong_place = reached & (~inside | (~to_axon & ~np.isin(where, hosts)))
        if wrong_place.any():
            entry = int(np.argmax(wrong_place))
            raise ImageError(
                f"core {number}, destination {entry}: column {x[entry]}, row {y[entry]}; the mesh has {config.columns} columns and "
                f"{config.rows} rows, and outputs leave through core {', '.join(map(str, hosts))}"
            )
        wrong_axon = reached & to_axon & ((routes["target"] >= axons) | (routes["delay"] < 1))
        if wrong_axon.any():
            entry = int(np.argmax(wrong_axon))
            raise ImageError(
                f"core {number}, destination {entry}: axon {routes['target'][entry]} of core {where[entry]} after {routes['delay'][entry]} ticks; "
                f"that core has {axons[entry]} axons, and delays are 1 to {MAX_DELAY}"
            )
        wrong_output = reached & ~to_axon & (routes["target"] >= self.output_size)
        if wrong_output.any():
            entry = int(np.argmax(wrong_output))
            raise ImageError(f"core {number}, destination {entry}: output {routes['target'][entry]} of {self.output_size}")
