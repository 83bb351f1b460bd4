"""The golden model as a chip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from spikeloom.arch.errors import ImageError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.golden.chip import Chip as GoldenModel
from spikeloom.host.chip import Chip, OutputArray, Progress, Recording, check_outputs
from spikeloom.host.spikes import BoolArray
from spikeloom.host.streaming import Events

#: Delay bits kept at once; bounds the samples that run side by side.
BLOCK_BITS = 1 << 28


class GoldenChip(Chip):
    """Runs many samples side by side in numpy.

    Parameters
    ----------
    image : LoadableImage
        What to run.
    """

    def __init__(self, image: LoadableImage) -> None:
        super().__init__(image)
        self.model = GoldenModel(image.config, image.memories, batch=1)
        self._counters: list[dict[str, IntArray]] = []

    def _run(
        self, spikes: BoolArray, record: tuple[str, ...], progress: Progress | None, *, counts: bool
    ) -> tuple[OutputArray, dict[str, Recording]]:
        samples, ticks, _ = spikes.shape
        block = max(1, BLOCK_BITS // (16 * sum(core.axons for core in self.image.config.cores)))
        if self.image.config.learning:
            # What one sample teaches, the next one knows.
            block = 1
        outputs = np.zeros((samples, ticks, self.image.output_size), np.bool_)
        sizes = {name: self.image.population_size(name) for name in record}
        potentials = {name: np.zeros((samples, ticks, size), np.int64) for name, size in sizes.items()}
        trains = {name: np.zeros((samples, ticks, size), np.bool_) for name, size in sizes.items()}
        self._counters = []
        for start in range(0, samples, block):
            part = slice(start, min(start + block, samples))
            self._run_block(
                spikes[part],
                outputs[part],
                {name: array[part] for name, array in potentials.items()},
                {name: array[part] for name, array in trains.items()},
            )
            if progress is not None:
                progress(part.stop, samples)
        recorded = {name: Recording(potentials[name], trains[name]) for name in record}
        return outputs.sum(axis=1) if counts else outputs, recorded

    def _advance(self, feeds: Iterable[tuple[int, list[Events]]]) -> Iterator[tuple[int, IntArray]]:
        """See :meth:`Chip._advance`."""
        image, model = self.image, self.model
        self._counters = []
        model.clear(1)
        for first, ticks in feeds:
            for tick, (cores, axons) in enumerate(ticks, start=first):
                for core in np.unique(cores).tolist():
                    chosen = axons[cores == core]
                    model.inject(core, chosen, np.ones((1, len(chosen)), np.bool_))
                result = model.tick()
                numbers = result.numbers[np.flatnonzero(result.outputs[0])]
                check_outputs(image, numbers, ImageError)
                yield tick + 1, np.stack([np.full(len(numbers), tick), numbers], axis=1)
        self._finish()

    def _run_block(
        self,
        spikes: BoolArray,
        outputs: BoolArray,
        potentials: dict[str, IntArray],
        trains: dict[str, BoolArray],
    ) -> None:
        image, model = self.image, self.model
        samples, ticks, _ = spikes.shape
        model.clear(samples)
        # Input columns and axons that belong together, by core and by ticks after the input's step.
        groups = []
        for core, offset in np.unique(np.stack([image.input_core, image.input_offset]), axis=1).T.tolist():
            chosen = (image.input_core == core) & (image.input_offset == offset)
            groups.append((core, offset, image.input_axon[chosen], image.input_index[chosen]))
        last_level = max([image.pieces(name)[0].level for name in potentials], default=0)
        for tick in range(ticks + max(image.drain, last_level)):
            for core, offset, axons, columns in groups:
                if 0 <= tick - offset < ticks:
                    model.inject(core, axons, spikes[:, tick - offset, columns])
            result = model.tick()
            if tick == ticks + image.drain - 1:
                # Ticks beyond this one only complete recordings; outputs, state and counters are those of here.
                self._finish()
            sample, link = np.nonzero(result.outputs)
            number = result.numbers[link]
            check_outputs(image, number, ImageError)
            step = tick - image.output_shift[number]
            valid = (step >= 0) & (step < ticks)
            outputs[sample[valid], step[valid], number[valid]] = True
            for name in potentials:
                for piece in image.pieces(name):
                    row = tick - piece.level
                    if 0 <= row < ticks:
                        there, here = slice(piece.first, piece.first + piece.size), slice(piece.offset, piece.offset + piece.size)
                        potentials[name][:, row, here] = model.cores[piece.core].state["membrane"][:, there]
                        trains[name][:, row, here] = result.spikes[piece.core][:, there]

    def _finish(self) -> None:
        cores = self.model.cores
        self._state: dict[str, IntArray] = {}
        for number, core in enumerate(cores):
            self._state |= {f"core{number}.{name}": values[-1].copy() for name, values in core.state.items()}
            self._state[f"core{number}.delays"] = core.scheduler.pending[:, -1].astype(np.int64)
            if core.learning is not None:
                self._state |= {f"core{number}.{name}": values for name, values in core.learning.state().items()}
            if core.short_term is not None:
                self._state |= {f"core{number}.{name}": values for name, values in core.short_term.state(-1).items()}
        names = ("events", "row_words", "spikes", "merged", "dropped")
        self._counters.append(
            {"ticks": np.full(cores[0].batch, self.model.ticks)}
            | {name: sum((getattr(core, name) for core in cores), np.zeros(cores[0].batch, np.int64)) for name in names}
            | {
                "misrouted": self.model.misrouted.copy(),
                "synaptic_operations": sum(
                    (core.row_words * core.config.lanes for core in cores), np.zeros(cores[0].batch, np.int64)
                ),
            }
        )

    def _modulate(self, core: int, enabled: bool | None, reward: int | None) -> None:
        unit = self.model.cores[core].learning
        assert unit is not None
        unit.modulate(enabled=enabled, reward=reward)

    def reset(self) -> None:
        """See :meth:`Chip.reset`."""
        self.model.clear(1)
        self._counters = []

    def state(self) -> dict[str, IntArray]:
        """See :meth:`Chip.state`."""
        if not self._counters:
            self.model.clear(1)
            self._finish()
            self._counters = []
        return self._state

    def counters(self) -> dict[str, IntArray]:
        """See :meth:`Chip.counters`."""
        names = self._counters[0] if self._counters else {}
        return {name: np.concatenate([block[name] for block in self._counters]) for name in names}
