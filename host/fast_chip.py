"""The golden model as a chip, on the fast engine: sample after sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from spikeloom.arch.errors import ImageError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.golden.fast import COUNTERS, FastChip
from spikeloom.host.chip import Chip, OutputArray, Progress, Recording, check_outputs
from spikeloom.host.spikes import BoolArray
from spikeloom.host.streaming import Events


class FastGoldenChip(Chip):
    """Runs one sample after the other in compiled code; the results of :class:`GoldenChip`.

    Parameters
    ----------
    image : LoadableImage
        What to run.

    Raises
    ------
    ToolError
        If there is no C++ compiler.
    """

    def __init__(self, image: LoadableImage) -> None:
        super().__init__(image)
        self.model = FastChip(image.config, image.memories)
        self._lanes = np.array([core.lanes for core in image.config.cores])
        self._counters: list[dict[str, int]] = []
        # State of the last sample, where the model has gone on since.
        self._kept: dict[str, IntArray] | None = None

    def _run(
        self, spikes: BoolArray, record: tuple[str, ...], progress: Progress | None, *, counts: bool
    ) -> tuple[OutputArray, dict[str, Recording]]:
        samples, ticks, _ = spikes.shape
        outputs = np.zeros((samples, ticks, self.image.output_size), np.bool_)
        sizes = {name: self.image.population_size(name) for name in record}
        potentials = {name: np.zeros((samples, ticks, size), np.int64) for name, size in sizes.items()}
        trains = {name: np.zeros((samples, ticks, size), np.bool_) for name, size in sizes.items()}
        self._counters = []
        for sample in range(samples):
            self._run_sample(
                spikes[sample],
                outputs[sample],
                {name: array[sample] for name, array in potentials.items()},
                {name: array[sample] for name, array in trains.items()},
            )
            if progress is not None:
                progress(sample + 1, samples)
        recorded = {name: Recording(potentials[name], trains[name]) for name in record}
        return outputs.sum(axis=1) if counts else outputs, recorded

    def _advance(self, feeds: Iterable[tuple[int, list[Events]]]) -> Iterator[tuple[int, IntArray]]:
        """See :meth:`Chip._advance`."""
        image, model = self.image, self.model
        self._counters = []
        model.clear()
        self._kept = None
        for first, ticks in feeds:
            for tick, (cores, axons) in enumerate(ticks, start=first):
                for core in np.unique(cores).tolist():
                    model.inject(core, axons[cores == core])
                numbers = model.tick().outputs
                check_outputs(image, numbers, ImageError)
                yield tick + 1, np.stack([np.full(len(numbers), tick), numbers], axis=1)
        self._counters.append(self._totals())

    def _run_sample(
        self, spikes: BoolArray, outputs: BoolArray, potentials: dict[str, IntArray], trains: dict[str, BoolArray]
    ) -> None:
        image, model = self.image, self.model
        ticks = len(spikes)
        total = ticks + image.drain
        model.clear()
        self._kept = None
        step, entry = np.nonzero(spikes[:, image.input_index])
        when = step + image.input_offset[entry]
        early = when < total
        when, core, axon = when[early], image.input_core[entry][early], image.input_axon[entry][early]
        if potentials:
            fired, numbers = self._record(total, (when, core, axon), potentials, trains)
        else:
            run = model.run(total, (when, core, axon))
            fired, numbers = run.output_ticks, run.outputs
            self._counters.append(self._totals())
        check_outputs(image, numbers, ImageError)
        row = fired - image.output_shift[numbers]
        valid = (row >= 0) & (row < ticks)
        outputs[row[valid], numbers[valid]] = True

    def _record(
        self,
        total: int,
        inputs: tuple[IntArray, IntArray, IntArray],
        potentials: dict[str, IntArray],
        trains: dict[str, BoolArray],
    ) -> tuple[IntArray, IntArray]:
        """Tick by tick, because potentials are read between ticks; tick and number of each output."""
        image, model = self.image, self.model
        when, core, axon = inputs
        fired: list[IntArray] = []
        numbers: list[IntArray] = []
        last_level = max(image.pieces(name)[0].level for name in potentials)
        ticks = total - image.drain
        for tick in range(max(total, ticks + last_level)):
            due = when == tick
            for number in np.unique(core[due]).tolist():
                model.inject(number, axon[due & (core == number)])
            result = model.tick()
            if tick < total:
                fired.append(np.full(len(result.outputs), tick))
                numbers.append(result.outputs)
            if tick == total - 1:
                # Ticks beyond this one only complete recordings.
                self._counters.append(self._totals())
                self._kept = self._state_now()
            for name in potentials:
                for piece in image.pieces(name):
                    if 0 <= tick - piece.level < ticks:
                        there, here = slice(piece.first, piece.first + piece.size), slice(piece.offset, piece.offset + piece.size)
                        potentials[name][tick - piece.level, here] = model.state(piece.core)["membrane"][there]
                        trains[name][tick - piece.level, here] = result.spikes[piece.core][there]
        return np.concatenate(fired), np.concatenate(numbers)

    def _totals(self) -> dict[str, int]:
        """Counters of all cores together."""
        model = self.model
        totals = {"ticks": model.ticks, **{name: int(getattr(model, name).sum()) for name in COUNTERS}}
        return totals | {"misrouted": model.misrouted, "synaptic_operations": int((model.row_words * self._lanes).sum())}

    def _state_now(self) -> dict[str, IntArray]:
        result: dict[str, IntArray] = {}
        for number in range(len(self.image.config.cores)):
            result |= {f"core{number}.{name}": values for name, values in self.model.state(number).items()}
            result[f"core{number}.delays"] = self.model.pending(number).astype(np.int64)
            result |= {f"core{number}.{name}": values for name, values in self.model.learning_state(number).items()}
            result |= {f"core{number}.{name}": values for name, values in self.model.short_term_state(number).items()}
        return result

    def _modulate(self, core: int, enabled: bool | None, reward: int | None) -> None:
        self.model.modulate(core, enabled=enabled, reward=reward)

    def reset(self) -> None:
        """See :meth:`Chip.reset`."""
        self.model.clear()
        self._kept = None
        self._counters = []

    def state(self) -> dict[str, IntArray]:
        """See :meth:`Chip.state`."""
        return self._state_now() if self._kept is None else self._kept

    def counters(self) -> dict[str, IntArray]:
        """See :meth:`Chip.counters`."""
        names = self._counters[0] if self._counters else {}
        return {name: np.array([sample[name] for sample in self._counters], np.int64) for name in names}
