"""The golden model as a chip."""

from __future__ import annotations

import numpy as np

from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.golden.core import Core
from spikeloom.host.chip import Chip, Progress, Recording
from spikeloom.host.spikes import BoolArray

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
        self.core = Core(image.config.core, image.memories[0], batch=1)
        self._counters: list[dict[str, IntArray]] = []

    def _run(self, spikes: BoolArray, record: tuple[str, ...], progress: Progress | None) -> tuple[BoolArray, dict[str, Recording]]:
        samples, ticks, _ = spikes.shape
        block = max(1, BLOCK_BITS // (16 * self.image.config.core.axons))
        outputs = np.zeros((samples, ticks, self.image.output_size), np.bool_)
        sizes = {name: self.image.population(name).size for name in record}
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
        return outputs, {name: Recording(potentials[name], trains[name]) for name in record}

    def _run_block(
        self,
        spikes: BoolArray,
        outputs: BoolArray,
        potentials: dict[str, IntArray],
        trains: dict[str, BoolArray],
    ) -> None:
        image, core = self.image, self.core
        samples, ticks, _ = spikes.shape
        core.clear(samples)
        offsets = np.unique(image.input_offset).tolist()
        last_level = max([p.level for p in map(image.population, potentials)], default=0)
        for tick in range(ticks + max(image.drain, last_level)):
            for offset in offsets:
                if 0 <= tick - offset < ticks:
                    chosen = image.input_offset == offset
                    core.inject(image.input_axon[chosen], spikes[:, tick - offset, image.input_index[chosen]])
            fired, numbers, sent = core.tick()
            if tick == ticks + image.drain - 1:
                # Ticks beyond this one only complete recordings; outputs, state and counters are those of here.
                self._finish(core)
            step = tick - image.output_shift[numbers]
            valid = (step >= 0) & (step < ticks)
            sample, link = np.nonzero(sent[:, valid])
            outputs[sample, step[valid][link], numbers[valid][link]] = True
            for name, array in potentials.items():
                population = image.population(name)
                row = tick - population.level
                if 0 <= row < ticks:
                    neurons = slice(population.first, population.first + population.size)
                    array[:, row] = core.state["membrane"][:, neurons]
                    trains[name][:, row] = fired[:, neurons]

    def _finish(self, core: Core) -> None:
        self._state = {
            **{f"core0.{name}": values[-1].copy() for name, values in core.state.items()},
            "core0.delays": core.scheduler.pending[:, -1].astype(np.int64),
        }
        self._counters.append(
            {
                "ticks": np.full(len(core.events), core.ticks),
                "events": core.events.copy(),
                "row_words": core.row_words.copy(),
                "spikes": core.spikes.copy(),
                "merged": core.merged.copy(),
                "dropped": core.dropped.copy(),
                "synaptic_operations": core.row_words * core.config.lanes,
            }
        )

    def state(self) -> dict[str, IntArray]:
        """See :meth:`Chip.state`."""
        if not self._counters:
            self.core.clear(1)
            self._finish(self.core)
            self._counters = []
        return self._state

    def counters(self) -> dict[str, IntArray]:
        """See :meth:`Chip.counters`."""
        names = self._counters[0] if self._counters else {}
        return {name: np.concatenate([block[name] for block in self._counters]) for name in names}
