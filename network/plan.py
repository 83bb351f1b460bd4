"""What a core holds, counted exactly while neurons are given to it. Described in ``docs/compiler.md``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.layout import IntArray, ceil_div
from spikeloom.network.description import Population
from spikeloom.network.plasticity import Plasticity
from spikeloom.network.quantise import QuantisedNeurons

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Synapses:
    """All synapses of a population from one source after one delay, either those that learn or the others.

    Parameters
    ----------
    source : Population
    delay : int
        Ticks; for an input, ticks from its step.
    weights : int64 array ``[source.size, size]``
        Sums over the projections.
    reached : bool array ``[source.size, size]``
        Where they are not 0; everywhere if they learn.
    plastic : bool
        Whether they learn.
    """

    source: Population
    delay: int
    weights: IntArray
    reached: BoolArray
    plastic: bool


@dataclass(frozen=True, eq=False, slots=True)
class Demand:
    """What the neurons of a population ask of the cores they come to.

    Parameters
    ----------
    population : Population
    neurons : QuantisedNeurons
        Their model, and the width of their weights.
    level : int
        Ticks that they are behind the input.
    quiet : bool
        Whether they may begin earlier, because they stay at zero without input.
    inputs : list of Synapses
    fan_in : int64 array ``[size]``
        Axons that each neuron needs: one for each neuron or input that reaches it, and delay; one more where it has both synapses that
        learn and others.
    sum_bits : int64 array ``[size]``
        Bits of each neuron's largest sum of weights, whatever they learn.
    sets : int64 array ``[size]``
        Neurons of a model with the same number can share a parameter set.
    """

    population: Population
    neurons: QuantisedNeurons
    level: int
    quiet: bool
    inputs: list[Synapses]
    fan_in: IntArray
    sum_bits: IntArray
    sets: IntArray

    @property
    def size(self) -> int:
        """Neurons."""
        return self.population.size

    @property
    def levels(self) -> int:
        """Levels that a core needs for them."""
        return 1 if self.quiet else self.level + 1

    @property
    def plasticity(self) -> Plasticity | None:
        """How their synapses learn; None: none of them does."""
        return self.neurons.plasticity


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring neurons of a population in a core: neurons ``offset`` to ``offset + size - 1`` of it, from neuron ``first`` of the core."""

    demand: Demand
    offset: int
    size: int
    first: int

    @property
    def name(self) -> str:
        """Name for messages."""
        label = self.demand.population.label
        return label if self.size == self.demand.size else f"{label}[{self.offset}:{self.offset + self.size}]"


@dataclass(slots=True)
class Bundle:
    """Axons of a core that carry the spikes of one source, after the same delay, to neighbouring neuron words.

    Parameters
    ----------
    source : Population
    delay : int
    plastic : bool
        Whether the synapses learn.
    start, last : int
        Neuron words between which the rows lie.
    row_start, row_last : int64 arrays ``[source.size]``
        First and last neuron word of each row; those of a source that reaches nothing are 0 and -1.
    parts : list of (Synapses, Piece)
        Where the weights come from.
    axon : int
        First axon; the others follow in the order of ``used``.
    """

    source: Population
    delay: int
    plastic: bool
    start: int
    last: int
    row_start: IntArray
    row_last: IntArray
    parts: list[tuple[Synapses, Piece]] = field(default_factory=list)
    axon: int = 0

    @property
    def used(self) -> IntArray:
        """Neurons or lines of the source that reach anything."""
        return np.flatnonzero(self.row_last >= 0)

    def weights(self, lanes: int) -> IntArray:
        """Weights of the axons over the words ``start`` to ``last``, ``[axons, words * lanes]``."""
        used = self.used
        result = np.zeros((len(used), (self.last - self.start + 1) * lanes), np.int64)
        for synapses, piece in self.parts:
            column = piece.first - self.start * lanes
            result[:, column : column + piece.size] = synapses.weights[used, piece.offset : piece.offset + piece.size]
        return result


@dataclass(frozen=True, slots=True)
class Window:
    """Synapses of the neurons ``offset`` to ``offset + size - 1`` of a population: for each of its inputs the rows and columns, row by row."""

    offset: int
    size: int
    places: list[tuple[IntArray, IntArray]]


@dataclass(frozen=True, slots=True)
class Offer:
    """The largest piece of what is left of a population that a core can take.

    Parameters
    ----------
    plan : CorePlan
    first : int
        First neuron in the core.
    size : int
    axons : int
        Axons of the core that it takes.
    """

    plan: CorePlan
    first: int
    size: int
    axons: int


@dataclass(eq=False, slots=True)
class CorePlan:
    """A core, and what has been given to it.

    Parameters
    ----------
    config : CoreConfig
    spare : bool
        The chip has no such core; it only counts what is missing.

    Attributes
    ----------
    pieces : list of Piece
        In the order of their neurons, which is that of their levels.
    bundles : list of Bundle
    neurons, axons, words : int
        Neurons up to the last one used, axons and weight words.
    reserved, longest : int
        Destinations that its neurons are expected to need, and most of one neuron.
    sets : set of int
        Parameter sets.
    """

    config: CoreConfig
    spare: bool = False
    pieces: list[Piece] = field(default_factory=list)
    bundles: list[Bundle] = field(default_factory=list)
    neurons: int = 0
    axons: int = 0
    words: int = 0
    reserved: int = 0
    longest: int = 0
    sets: set[int] = field(default_factory=set)

    def copy(self) -> CorePlan:
        """A copy to try something out."""
        bundles = [replace(b, row_start=b.row_start.copy(), row_last=b.row_last.copy(), parts=[*b.parts]) for b in self.bundles]
        return replace(self, pieces=[*self.pieces], bundles=bundles, sets=set(self.sets))

    @property
    def plasticity(self) -> Plasticity | None:
        """How synapses of the core learn; None: none of them does yet."""
        return next((piece.demand.plasticity for piece in self.pieces if piece.demand.plasticity is not None), None)

    def start(self, demand: Demand, align: int) -> int:
        """Where the next population would begin."""
        if demand.plasticity is not None or (self.pieces and self.pieces[-1].demand.plasticity is not None):
            # A row that learns covers whole words, so those of neurons that learn hold no others.
            align = max(align, self.config.lanes)
        if not self.pieces and demand.levels > 1:
            # A first row of neurons takes part in every tick, so that of a population that may not begin at once stays empty.
            return align
        return ceil_div(self.neurons, align) * align

    def offer(self, demand: Demand, window: Window, entries: IntArray, align: int, grain: int) -> Offer | None:
        """The largest piece from the window's first neuron on that the core can take, if any. Synapses of one core learn by one rule.

        Parameters
        ----------
        demand : Demand
        window : Window
        entries : int64 array ``[size]``
            Destinations that each neuron of the population is expected to need.
        align : int
            Neurons of which a piece's first one is a multiple.
        grain : int
            Neurons that must stay together.
        """
        if demand.plasticity is not None and self.plasticity not in (None, demand.plasticity):
            return None
        core, first = self.config, self.start(demand, align)
        size = min(window.size, core.neurons - first)
        if size <= 0:
            return None
        axons, words = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for synapses, (rows, columns) in zip(demand.inputs, window.places, strict=True):
            if size < window.size:
                inside = columns < size
                rows, columns = rows[inside], columns[inside]
            if not len(rows):
                continue
            # Rows grow word by word from their first synapse on, or from where they end now.
            word = (first + columns) // core.lanes
            head = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
            steps = np.diff(word, prepend=0)
            bundle = self._neighbour(synapses, first // core.lanes)
            before = np.full(len(head), -1) if bundle is None else bundle.row_last[rows[head]]
            steps[head] = np.where(before < 0, 1, word[head] - before)
            words += np.bincount(columns, steps, size).astype(np.int64)
            axons += np.bincount(columns[head[before < 0]], minlength=size)
        part = slice(window.offset, window.offset + size)
        axons = np.cumsum(axons)
        fits = (axons <= core.axons - self.axons) & (np.cumsum(words) <= core.words - self.words)
        fits &= np.cumsum(entries[part]) <= core.routes - self.reserved
        fits &= np.maximum.accumulate(entries[part]) <= core.list_length
        if core.sets is not None:
            fits &= np.cumsum(self._new_sets(demand.sets[part])) <= core.sets - len(self.sets)
        size = self._cut(demand, window.offset, first, int(fits.sum()), grain)
        return Offer(self, first, size, int(axons[size - 1])) if size else None

    def _cut(self, demand: Demand, offset: int, first: int, size: int, grain: int) -> int:
        """A size not above ``size`` at which a population may be cut: preferably at the end of a word of neurons."""
        if offset + size == demand.size:
            return size
        unit = max(self.config.lanes, self.config.pipelines, grain)
        whole = (first + size) // unit * unit - first
        return size // grain * grain if whole <= 0 or first + size == self.config.neurons else whole

    def _new_sets(self, sets: IntArray) -> BoolArray:
        """Which neurons are the first ones of a parameter set that the core does not have yet."""
        result = np.zeros(len(sets), np.bool_)
        values, places = np.unique(sets, return_index=True)
        result[places[[value not in self.sets for value in values.tolist()]]] = True
        return result

    def _neighbour(self, synapses: Synapses, word: int) -> Bundle | None:
        """The bundle whose axons also serve synapses of the neurons from a word on."""
        for bundle in reversed(self.bundles):
            if bundle.source is synapses.source and (bundle.delay, bundle.plastic) == (synapses.delay, synapses.plastic):
                return bundle if word <= bundle.last + 1 else None
        return None

    def add(self, demand: Demand, offset: int, size: int, first: int, entries: IntArray) -> None:
        """Give it a piece of a population."""
        lanes = self.config.lanes
        piece = Piece(demand, offset, size, first)
        start, last = first // lanes, (first + size - 1) // lanes
        for synapses in demand.inputs:
            bundle = self._neighbour(synapses, start)
            if bundle is None:
                count = synapses.source.size
                empty = np.zeros(count, np.int64), np.full(count, -1, np.int64)
                bundle = Bundle(synapses.source, synapses.delay, synapses.plastic, start, last, *empty)
                self.bundles.append(bundle)
            reached = np.zeros((synapses.source.size, (last - start + 1) * lanes), np.bool_)
            reached[:, first - start * lanes :][:, :size] = synapses.reached[:, offset : offset + size]
            words: BoolArray = np.any(reached.reshape(len(reached), -1, lanes), axis=2)
            hit: BoolArray = np.any(words, axis=1)
            row_start, row_last = start + words.argmax(axis=1), last - words[:, ::-1].argmax(axis=1)
            new = hit & (bundle.row_last < 0)
            self.axons += int(new.sum())
            self.words += int((row_last - np.where(new, row_start - 1, bundle.row_last))[hit].sum())
            bundle.row_start[new] = row_start[new]
            bundle.row_last[hit] = row_last[hit]
            bundle.last = max(bundle.last, last)
            bundle.parts.append((synapses, piece))
        self.pieces.append(piece)
        self.neurons = first + size
        self.reserved += int(entries[offset : offset + size].sum())
        self.longest = max(self.longest, int(entries[offset : offset + size].max()))
        self.sets |= set(demand.sets[offset : offset + size].tolist())

    def finish(self, order: dict[str, int]) -> None:
        """Number the axons: by source in the given order, delay, whether they learn, and place."""
        self.bundles.sort(key=lambda bundle: (order[bundle.source.label], bundle.delay, bundle.plastic, bundle.start))
        axon = 0
        for bundle in self.bundles:
            bundle.axon = axon
            axon += len(bundle.used)


@dataclass(frozen=True, slots=True)
class Partition:
    """Cores with their contents, not yet placed.

    Parameters
    ----------
    plans : list of CorePlan
        Cores that are used.
    entries : dict of int64 array ``[size]``
        Destinations of each neuron, by population label.
    """

    plans: list[CorePlan]
    entries: dict[str, IntArray]

    def destinations(self, plan: CorePlan) -> int:
        """Destinations of all neurons of a core."""
        return sum(int(self._of_piece(piece).sum()) for piece in plan.pieces)

    def longest_list(self, plan: CorePlan) -> tuple[int, str, int]:
        """Most destinations of one neuron of a core, and which one it is: its population and number."""
        longest = []
        for piece in plan.pieces:
            neuron = int(self._of_piece(piece).argmax())
            longest.append((int(self._of_piece(piece)[neuron]), piece.demand.population.label, piece.offset + neuron))
        return max(longest)

    def _of_piece(self, piece: Piece) -> IntArray:
        """Destinations of each neuron of a piece."""
        return self.entries[piece.demand.population.label][piece.offset : piece.offset + piece.size]

    @property
    def fits(self) -> bool:
        """Whether the chip has these cores, and their routing memories have room."""
        return all(
            not plan.spare
            and self.destinations(plan) <= plan.config.routes
            and self.longest_list(plan)[0] <= plan.config.list_length
            for plan in self.plans
        )
