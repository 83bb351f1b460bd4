"""What every chip can do, whatever it is made of."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import MAX_DELAY
from spikeloom.arch.errors import ConfigError, ImageError, InputError, LinkError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.learning import reward_units
from spikeloom.arch.memory_map import weight_layout
from spikeloom.arch.random import sample_seeds
from spikeloom.golden.encoder import encode
from spikeloom.host.spikes import BoolArray, check_intensities, check_spikes
from spikeloom.host.streaming import Events, StreamRows

#: Outputs of a run: bool where they are spikes, int64 where they are counts.
OutputArray = npt.NDArray[Any]
#: Called with the number of samples done and their total.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Recording:
    """What a population did in a run.

    Parameters
    ----------
    potential : int64 array ``[samples, ticks, neurons]``
        Membrane potential at the end of each tick, in units of the weight's LSB / 2**fraction_bits. Row t answers input row t, as the
        outputs do.
    spikes : bool array ``[samples, ticks, neurons]`` or None
        Its spikes; None on chips that only show them at outputs.
    """

    potential: IntArray
    spikes: BoolArray | None


class Chip(ABC):
    """A chip with a loaded image.

    Attributes
    ----------
    image : LoadableImage
        What it is loaded with.
    recorded : dict of Recording
        Populations named in the last :meth:`run`.
    """

    def __init__(self, image: LoadableImage) -> None:
        self.image = image
        self.recorded: dict[str, Recording] = {}

    def run(
        self,
        spikes: npt.ArrayLike,
        *,
        record: Sequence[str] = (),
        counts: bool = False,
        tick_seconds: float | None = None,
        progress: Progress | None = None,
    ) -> OutputArray:
        """Run samples, each from the initial state, and return the outputs.

        Parameters
        ----------
        spikes : array ``[ticks, inputs]`` or ``[samples, ticks, inputs]``
            bool, or 0 and 1.
        record : names of populations
            Their potentials go to :attr:`recorded`.
        counts : bool
            Return how often each output fired instead of when. A chip then counts by itself, if it can.
        tick_seconds : float
            Least time from one tick to the next; without it, ticks follow each other as fast as the work allows. Ticks that take longer are
            counted as ``overruns``. The golden model has no time and does not wait.
        progress : callable
            Called after each sample or block of samples.

        Returns
        -------
        bool array ``[ticks, outputs]`` or ``[samples, ticks, outputs]``
            ``out[t]`` answers ``in[t]``: the delay of the layers is taken out. With ``counts`` an int64 array ``[outputs]`` or
            ``[samples, outputs]``.

        Raises
        ------
        InputError
            If the spikes have a wrong shape or value.
        ImageError
            If ``record`` names a population that does not exist.
        ConfigError
            If ``record`` is given, but the chip's memories cannot be read (``readback=False``), or it learns and would need more ticks for
            it; or if the time of a tick is out of range, or
            the chip does not know its clock.
        ImageError, LinkError
            If an output comes that the image does not have; see :func:`check_outputs`.
        """
        for name in record:
            level = self.image.pieces(name)[0].level
            if self.image.config.learning and level > self.image.drain:
                raise ConfigError(
                    f"recording {name!r} takes {level - self.image.drain} more ticks in each sample, in which the chip would learn; make it "
                    "an output of the network"
                )
        samples = check_spikes(spikes, self.image.input_size)
        self._pace(tick_seconds)
        outputs, self.recorded = self._run(samples, tuple(record), progress, counts=counts)
        return outputs[0] if np.ndim(spikes) == 2 else outputs

    def run_intensities(
        self,
        values: npt.ArrayLike,
        ticks: int,
        *,
        code: str = "phase",
        seed: int = 0,
        counts: bool = False,
        tick_seconds: float | None = None,
        progress: Progress | None = None,
    ) -> OutputArray:
        """Run samples of intensities, such as the pixels of images. A chip with an encoder makes the spikes itself.

        Parameters
        ----------
        values : array ``[inputs]`` or ``[samples, inputs]``
            Integers, 0 to 255.
        ticks : int
            Ticks of each sample, 1 to 65535.
        code : str
            ``"phase"`` or ``"rate"``: the spikes are those of ``spikeloom.encode.phase(values, ticks, 255)`` and
            ``spikeloom.encode.rate(values, ticks, seed, 255)``.
        seed : int
            Of the random spikes, 0 to 2**32 - 1.
        counts, tick_seconds, progress
            As for :meth:`run`, and so are the results.

        Raises
        ------
        InputError
            If values, ticks, code or seed are wrong.
        ConfigError, ImageError, LinkError
            As for :meth:`run`.
        """
        samples = check_intensities(values, self.image.input_size, ticks, code, seed)
        self._pace(tick_seconds)
        self.recorded = {}
        outputs = self._run_intensities(samples, ticks, code, sample_seeds(seed, len(samples)), progress, counts=counts)
        return outputs[0] if np.ndim(values) == 1 else outputs

    def stream(self, rows: Iterable[npt.ArrayLike], *, batch: int = 1, tick_seconds: float | None = None) -> Iterator[BoolArray]:
        """Run one long sample whose input comes bit by bit, from the initial state.

        Parameters
        ----------
        rows : iterable of arrays ``[inputs]``
            Input of one tick after the other; bool, or 0 and 1.
        batch : int
            Ticks that are gathered and run together, 1 to 15: more of them need fewer requests, and answer later.
        tick_seconds : float
            As for :meth:`run`.

        Yields
        ------
        bool array ``[outputs]``
            Row t answers input t. It comes ``drain`` ticks and up to two batches later.

        Raises
        ------
        InputError
            If a row has a wrong shape or value.
        ConfigError, ImageError, LinkError
            As for :meth:`run`.
        """
        if not 1 <= batch <= MAX_DELAY:
            raise InputError(f"batch is {batch}; it must be 1 to {MAX_DELAY}")
        self._pace(tick_seconds)
        self.recorded = {}
        stream = StreamRows(self.image)
        for ticks, came in self._advance(stream.feeds(rows, batch)):
            yield from stream.complete(ticks, came)

    @abstractmethod
    def _run(
        self, spikes: BoolArray, record: tuple[str, ...], progress: Progress | None, *, counts: bool
    ) -> tuple[OutputArray, dict[str, Recording]]:
        """Run checked samples ``[samples, ticks, inputs]``."""

    def _run_intensities(
        self, values: IntArray, ticks: int, code: str, seeds: IntArray, progress: Progress | None, *, counts: bool
    ) -> OutputArray:
        """Run checked samples ``[samples, inputs]``."""
        return self._run(encode(values, ticks, code, seeds), (), progress, counts=counts)[0]

    @abstractmethod
    def _advance(self, feeds: Iterable[tuple[int, list[Events]]]) -> Iterator[tuple[int, IntArray]]:
        """Run batches of ticks from the initial state.

        Parameters
        ----------
        feeds : iterable
            Of each batch its first tick, and cores and axons of the events due in each of its ticks.

        Yields
        ------
        int, int64 array ``[K, 2]``
            Ticks that are over, and tick and number of outputs that came meanwhile.
        """

    def _pace(self, tick_seconds: float | None) -> None:
        """Make ticks as long as asked for, or as short as the work allows."""
        if tick_seconds is not None and not 0 < tick_seconds < np.inf:
            raise ConfigError(f"tick_seconds is {tick_seconds}; it must be above 0 and finite")

    @abstractmethod
    def state(self) -> dict[str, IntArray]:
        """State after the last sample: of each core n ``core{n}.delays`` ``[16, axons]``, and an array ``[neurons]`` per state field.

        Of a core that learns also its traces, ``core{n}.weights`` and ``core{n}.tags`` (``docs/learning.md``).
        For lif these are ``core0.membrane``, ``core0.refractory`` and so on; a field that a neuron's model does not have is zero.
        """

    @abstractmethod
    def counters(self) -> dict[str, IntArray]:
        """Counters of the last run per sample, as in ``COUNTER_NAMES``, ``misrouted`` and ``synaptic_operations``; sums over all cores.

        ``ticks`` counts once, and ``cycles``, which is there only where there is a clock, is that of the busiest core. ``misrouted``
        counts packets that left the mesh, or were for a host where there is none; it is 0 unless a routing memory is damaged.
        """

    def modulate(self, *, enabled: bool | None = None, reward: float | None = None) -> None:
        """Freeze or resume learning, and set the reward, of all cores that learn. What is left out stays.

        It counts from the next tick on. Within :meth:`stream` call it while a row is asked for: it then counts from that row's batch on.

        Raises
        ------
        ConfigError
            If no core learns, or the reward is out of range (-4 to below 4).
        """
        if not self.image.config.learning:
            raise ConfigError(
                "no core of this chip learns; compile the network with plasticity, or build with learning=Learning(...)"
            )
        units = None if reward is None else reward_units(reward)
        for number, core in enumerate(self.image.config.cores):
            if core.learning is not None:
                self._modulate(number, enabled, units)

    @abstractmethod
    def _modulate(self, core: int, enabled: bool | None, reward: int | None) -> None:
        """Freeze or resume learning, and set the reward (in units of 2**-10), of a core that learns."""

    def learned_image(self) -> LoadableImage:
        """The image with the weights that the chip has now; of the class of :attr:`image`, so that it can be saved.

        Raises
        ------
        ConfigError
            If the chip's memories cannot be read (``readback=False``).
        """
        state = self.state()
        memories = []
        for number, (core, memory) in enumerate(zip(self.image.config.cores, self.image.memories, strict=True)):
            if core.learning is not None:
                weights = state[f"core{number}.weights"]
                layout = weight_layout(core)
                memory = {**memory, "weights": layout.pack({"weight": weights[:, 0] if core.lanes == 1 else weights})}
            memories.append(memory)
        return dataclasses.replace(self.image, memories=tuple(memories))

    @abstractmethod
    def reset(self) -> None:
        """Give up whatever runs, and return to the initial state. What is loaded stays loaded."""

    def output(self, out: BoolArray, name: str) -> BoolArray:
        """Columns of the named output: ``out[..., first : first + size]``.

        Raises
        ------
        ImageError
            If there is no such output; the message lists the names.
        """
        for port in self.image.outputs:
            if port.name == name:
                return out[..., port.first : port.first + port.size]
        raise ImageError(f"no output {name!r}; the image has {[port.name for port in self.image.outputs]}")

    def close(self) -> None:  # noqa: B027 (most have nothing to let go of)
        """Let go of the chip. A closed chip cannot be used again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def check_outputs(image: LoadableImage, numbers: IntArray, error: type[ImageError | LinkError]) -> None:
    """Refuse outputs that the image does not have: a destination in a routing memory is damaged.

    Parameters
    ----------
    image : LoadableImage
        For its outputs.
    numbers : int64 array ``[K]``
        Numbers of outputs that carried a spike.
    error : type of exception
        What to raise: ``LinkError`` if a chip sent them, ``ImageError`` if they were computed from the image.
    """
    wrong = numbers[numbers >= image.output_size]
    if len(wrong):
        raise error(f"output {int(wrong[0])} came; the image has {image.output_size} outputs")


def input_events(image: LoadableImage, spikes: BoolArray, drain: int) -> list[tuple[IntArray, IntArray]]:
    """Events due at each tick of a run.

    Parameters
    ----------
    image : LoadableImage
        For its input map.
    spikes : bool array ``[ticks, inputs]``
        One sample.
    drain : int
        Ticks after the last input step.

    Returns
    -------
    list of (int64 array, int64 array)
        Cores and axons; one pair per tick of the run, ``ticks + drain`` in all.
    """
    total = len(spikes) + drain
    entries: list[list[IntArray]] = [[np.zeros(0, np.int64)] for _ in range(total)]
    for offset in np.unique(image.input_offset).tolist():
        chosen = np.flatnonzero(image.input_offset == offset)
        active = spikes[:, image.input_index[chosen]]
        for step in range(min(len(spikes), total - offset)):
            entries[step + offset].append(chosen[active[step]])
    return [(image.input_core[numbers], image.input_axon[numbers]) for numbers in map(np.concatenate, entries)]
