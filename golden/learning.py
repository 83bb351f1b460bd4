"""Learning: golden model of a core's learning unit. Described in ``docs/learning.md``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.learning import (
    CHANGE_FRACTION_BITS,
    DECAY_BITS,
    FLAG,
    LEARNING_INDEX,
    PHASE_INDEX_SHIFT,
    REWARD_BITS,
    SEEN_BITS,
    TRACE_BITS,
    First,
    Phase,
    Second,
    Target,
    scattered,
)
from spikeloom.arch.random import random_numbers
from spikeloom.golden.crossbar import Crossbar
from spikeloom.golden.random import spread

BoolArray = npt.NDArray[np.bool_]

#: What the random number of a deterministic rule is: half a unit.
HALF = 1 << (CHANGE_FRACTION_BITS - 1)


class Learning:
    """Traces, tags and weights of a core that learns, of one sample.

    Parameters
    ----------
    config : CoreConfig
        Geometry, with ``learning``.
    memory : dict of dict of int64 array
        Unpacked contents of the regions ``rows``, ``learning``, ``rules``, ``modulation`` and ``plastic``.
    crossbar : Crossbar
        Whose matrix follows the weights.
    weights : int64 array ``[words, lanes]``
        Weight memory.

    Attributes
    ----------
    weights, tags : int64 array ``[words, lanes]``
        Tags are there only if the core has them.
    x : int64 array ``[pre_traces, axons]``
    y : int64 array ``[post_traces, neuron_slots]``
        Traces of 16 bits, as the next tick finds them.
    v0 : bool array ``[neuron_slots]``
        Whether the neuron's potential was not below the threshold of this flag when it was last updated.
    enabled : bool
        Whether synapses change.
    reward : int
        In units of 2**-10.
    """

    def __init__(
        self, config: CoreConfig, memory: Mapping[str, Mapping[str, IntArray]], crossbar: Crossbar, weights: IntArray
    ) -> None:
        assert config.learning is not None
        self.config, self.unit, self.crossbar = config, config.learning, crossbar
        self.weights = weights.copy()
        self.settings = {name: int(values[0]) for name, values in memory["learning"].items()}
        self.enabled = bool(memory["modulation"]["enabled"][0])
        self.reward = int(memory["modulation"]["reward"][0])
        terms = [dict(zip(memory["rules"], values, strict=True)) for values in np.stack(list(memory["rules"].values())).T.tolist()]
        #: Terms of each phase.
        self.terms: dict[Phase, list[dict[str, int]]] = {}
        for phase in self.unit.phases:
            count = self.settings[f"{phase.name.lower()}_terms"]
            self.terms[phase], terms = terms[:count], terms[count:]
        rows = memory["rows"]
        word = np.arange(config.neuron_words)
        inside = (
            (word >= rows["start"][:, np.newaxis]) & (word <= rows["last"][:, np.newaxis]) & (rows["plastic"] == 1)[:, np.newaxis]
        )
        #: Weight word of each axon and neuron word, -1 where nothing learns.
        self.word_of: IntArray = np.where(inside, (rows["base"] - rows["start"])[:, np.newaxis] + word, -1)
        self.plastic: BoolArray = memory["plastic"]["plastic"].reshape(config.neuron_words, config.lanes) == 1
        self.clear()

    def clear(self) -> None:
        """No traces, no tags. Weights stay as they were learnt."""
        config = self.config
        self.x = np.zeros((self.unit.pre_traces, config.axons), np.int64)
        self.y = np.zeros((self.unit.post_traces, config.neuron_slots), np.int64)
        self.tags = np.zeros(self.weights.shape if self.unit.tag_bits else (0, config.lanes), np.int64)
        self.v0 = np.zeros(config.neuron_slots, np.bool_)

    def modulate(self, *, enabled: bool | None = None, reward: int | None = None) -> None:
        """Freeze or resume learning, and set the reward.

        Raises
        ------
        ConfigError
            If the reward does not fit.
        """
        if reward is not None:
            limit = 1 << (REWARD_BITS - 1)
            if not -limit <= reward < limit:
                raise ConfigError(f"reward is {reward}; it must be {-limit} to {limit - 1}")
            self.reward = reward
        if enabled is not None:
            self.enabled = enabled

    # Phases of a tick ------------------------------------------------------------------------------------------------

    def before_update(self, active: BoolArray, key: int) -> None:
        """Synapses of the active axons ``[axons]``, with the traces as they were before this tick."""
        axons, words = np.nonzero((self.word_of >= 0) & active[:, np.newaxis])
        self._visit(Phase.PRE, axons, words, self.plastic[words], active, key)

    def after_update(self, active: BoolArray, fired: BoolArray, membrane: IntArray, updated: int, tick: int, key: int) -> None:
        """Synapses of the neurons that fired, then of those whose teacher did; the traces; at the end of an epoch, all synapses.

        Parameters
        ----------
        active : bool array ``[axons]``
            Axons that had an event in this tick.
        fired : bool array ``[neurons]``
        membrane : int64 array ``[neurons]``
            Potentials after the update.
        updated : int
            Neurons that took part.
        tick : int
            Number of the tick.
        key : int
            Key of the tick.
        """
        fires = np.zeros(self.config.neuron_slots, np.bool_)
        fires[: len(fired)] = fired
        if self.unit.membrane_flag:
            self.v0[:updated] = membrane[:updated] >= self.settings["v_threshold"]
        self.x = self._raised("x", self.x, active)
        by_word = fires.reshape(self.plastic.shape)
        axons, words = np.nonzero((self.word_of >= 0) & by_word.any(axis=1))
        self._visit(Phase.POST, axons, words, self.plastic[words] & by_word[words], active, key)
        if self.unit.teacher:
            # The teacher of neuron n is neuron n xor 1, which stands in the same word.
            taught = by_word[:, np.arange(self.config.lanes) ^ 1]
            self._visit(Phase.TEACH, axons, words, self.plastic[words] & taught[words], active, key)
        self.y = self._raised("y", self.y, fires)
        self.x, self.y = self._decayed("x", self.x), self._decayed("y", self.y)
        if (tick + 1) % (1 << self.settings["epoch"]) == 0:
            axons, words = np.nonzero(self.word_of >= 0)
            self._visit(Phase.EPOCH, axons, words, self.plastic[words], np.zeros_like(active), key)

    def _raised(self, side: str, traces: IntArray, events: BoolArray) -> IntArray:
        """Traces after the events: raised by the impulse, or set to it; they saturate."""
        result = traces.copy()
        for number in range(len(traces)):
            impulse = self.settings[f"{side}{number + 1}_impulse"]
            nearest = self.settings[f"{side}{number + 1}_nearest"]
            raised = (
                np.full_like(traces[number], impulse) if nearest else np.minimum(traces[number] + impulse, (1 << TRACE_BITS) - 1)
            )
            result[number] = np.where(events, raised, traces[number])
        return result

    def _decayed(self, side: str, traces: IntArray) -> IntArray:
        """Traces a tick later, rounded to the nearest; but one that is not 0 becomes smaller."""
        result = traces.copy()
        for number, values in enumerate(traces):
            decay = self.settings[f"{side}{number + 1}_decay"]
            result[number] = np.minimum((values * decay + (1 << (DECAY_BITS - 1))) >> DECAY_BITS, np.maximum(values - 1, 0))
        return result

    # One visit -------------------------------------------------------------------------------------------------------

    def _visit(self, phase: Phase, axons: IntArray, words: IntArray, chosen: BoolArray, active: BoolArray, key: int) -> None:
        """Change the synapses ``chosen`` ``[K, lanes]`` between axons and neuron words ``[K]``."""
        terms = self.terms[phase]
        if not terms or not self.enabled or not len(axons):
            return
        lanes = self.config.lanes
        where = self.word_of[axons, words]
        neurons = words[:, np.newaxis] * lanes + np.arange(lanes)
        weights = self.weights[where]
        tags = self.tags[where] if self.unit.tag_bits else np.zeros_like(weights)
        drop = TRACE_BITS - SEEN_BITS
        zero = np.zeros((1, 1), np.int64)
        first = {First.NONE: zero, First.R: zero + self.reward}
        first[First.X0] = np.where(active[axons], FLAG, 0)[:, np.newaxis]
        second = {Second.NONE: zero, Second.W: weights, Second.T: tags, Second.V0: np.where(self.v0[neurons], FLAG, 0)}
        for number in range(self.unit.pre_traces):
            first[(First.X1, First.X2)[number]] = (self.x[number, axons] >> drop)[:, np.newaxis]
        for number in range(self.unit.post_traces):
            first[(First.Y1, First.Y2)[number]] = second[(Second.Y1, Second.Y2)[number]] = self.y[number, neurons] >> drop
        settings = self.settings
        new = {}
        for target, old, low, high in (
            (Target.WEIGHT, weights, settings["low"], settings["high"]),
            (Target.TAG, tags, -(1 << self.unit.tag_bits >> 1), (1 << self.unit.tag_bits >> 1) - 1),
        ):
            mine = [term for term in terms if term["target"] == target]
            if mine:
                total = np.full(weights.shape, HALF)
                if settings["stochastic"]:
                    index = LEARNING_INDEX ^ (phase << PHASE_INDEX_SHIFT) ^ (target << (PHASE_INDEX_SHIFT + 2)) ^ scattered(axons)
                    numbers = spread(random_numbers(key, index), np.arange(self.config.neuron_slots), CHANGE_FRACTION_BITS)
                    total = np.take_along_axis(numbers, neurons, axis=1)
                for term in mine:
                    total = total + _term(term, first[First(term["first"])], second[Second(term["second"])])
                new[target] = np.where(chosen, np.clip(old + (total >> CHANGE_FRACTION_BITS), low, high), old)
        if Target.WEIGHT in new:
            self.weights[where] = new[Target.WEIGHT]
            self.crossbar.matrix[axons[:, np.newaxis], neurons] = new[Target.WEIGHT]
        if Target.TAG in new:
            self.tags[where] = new[Target.TAG]

    def state(self) -> dict[str, IntArray]:
        """Traces ``x1``.. ``[axons]`` and ``y1``.. ``[neurons]``, ``weights`` and ``tags`` ``[words, lanes]``."""
        result = {f"x{number + 1}": values.copy() for number, values in enumerate(self.x)}
        result |= {f"y{number + 1}": values[: self.config.neurons].copy() for number, values in enumerate(self.y)}
        return result | {"weights": self.weights.copy()} | ({"tags": self.tags.copy()} if self.unit.tag_bits else {})


def _term(term: Mapping[str, int], first: IntArray, second: IntArray) -> IntArray:
    """Value of a term in units of ``2**-CHANGE_FRACTION_BITS``."""
    a: IntArray = first + term["first_constant"]
    b: IntArray = second + term["second_constant"]
    if term["first_compared"]:
        a = np.where(a >= 0, FLAG, 0)
    if term["second_compared"]:
        b = np.where(b >= 0, FLAG, 0)
    value: IntArray = a * b >> term["shift"]
    return -value if term["negative"] else value
