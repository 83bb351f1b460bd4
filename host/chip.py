"""What every chip can do, whatever it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import ImageError, LinkError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.host.spikes import BoolArray, check_spikes

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

    def run(self, spikes: npt.ArrayLike, *, record: Sequence[str] = (), progress: Progress | None = None) -> BoolArray:
        """Run samples, each from the initial state, and return the outputs.

        Parameters
        ----------
        spikes : array ``[ticks, inputs]`` or ``[samples, ticks, inputs]``
            bool, or 0 and 1.
        record : names of populations
            Their potentials go to :attr:`recorded`.
        progress : callable
            Called after each sample or block of samples.

        Returns
        -------
        bool array ``[ticks, outputs]`` or ``[samples, ticks, outputs]``
            ``out[t]`` answers ``in[t]``: the delay of the layers is taken out.

        Raises
        ------
        InputError
            If the spikes have a wrong shape or value.
        ImageError
            If ``record`` names a population that does not exist.
        ConfigError
            If ``record`` is given, but the chip's memories cannot be read (``readback=False``).
        ImageError, LinkError
            If an output comes that the image does not have; see :func:`check_outputs`.
        """
        for name in record:
            self.image.pieces(name)
        samples = check_spikes(spikes, self.image.input_size)
        outputs, self.recorded = self._run(samples, tuple(record), progress)
        return outputs[0] if np.ndim(spikes) == 2 else outputs

    @abstractmethod
    def _run(self, spikes: BoolArray, record: tuple[str, ...], progress: Progress | None) -> tuple[BoolArray, dict[str, Recording]]:
        """Run checked samples ``[samples, ticks, inputs]``."""

    @abstractmethod
    def state(self) -> dict[str, IntArray]:
        """State after the last sample: of each core n ``core{n}.delays`` ``[16, axons]``, and an array ``[neurons]`` per state field.

        For lif these are ``core0.membrane``, ``core0.refractory`` and so on; a field that a neuron's model does not have is zero.
        """

    @abstractmethod
    def counters(self) -> dict[str, IntArray]:
        """Counters of the last run per sample, as in ``COUNTER_NAMES``, ``misrouted`` and ``synaptic_operations``; sums over all cores.

        ``ticks`` counts once, and ``cycles``, which is there only where there is a clock, is that of the busiest core. ``misrouted``
        counts packets that left the mesh, or were for a host where there is none; it is 0 unless a routing memory is damaged.
        """

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
