"""Lockstep of a compiled image: golden model and generated hardware side by side, compared after each tick. See ``docs/simulation.md``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.image import LoadableImage
from spikeloom.golden.chip import Chip
from spikeloom.hdl.fabric import Fabric
from spikeloom.host.bus import event_words
from spikeloom.host.chip import input_events
from spikeloom.host.spikes import check_spikes
from spikeloom.sim.lockstep import Mismatch, compare_misrouted, compare_outputs, expected_state, first_difference
from spikeloom.sim.rtl_bus import RtlBus, RtlTiledBus, open_rtl


@dataclass(frozen=True, slots=True)
class LockstepResult:
    """What a lockstep run found.

    Parameters
    ----------
    samples, ticks : int
        Samples begun, and ticks compared over all of them.
    spikes : int
        Output events compared.
    cycles : int
        Clock cycles of the ticks compared; where several chips share the mesh, all cycles of the simulation.
    sample : int
        Sample of the mismatch.
    mismatch : Mismatch or None
        The first difference; the run ended with it.
    """

    samples: int
    ticks: int
    spikes: int
    cycles: int
    sample: int = -1
    mismatch: Mismatch | None = None


def lockstep(
    image: LoadableImage,
    spikes: npt.ArrayLike,
    *,
    fabric: Fabric | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LockstepResult:
    """Run samples on both, each from the initial state, and compare outputs, potentials, refractory counters and pending events.

    After each sample the packets that got lost are compared too.

    Parameters
    ----------
    image : LoadableImage
        What to run. Its geometry must have ``readback``, or only the outputs are compared.
    spikes : array ``[ticks, inputs]`` or ``[samples, ticks, inputs]``
    fabric : Fabric or None
        Target whose memories are built in; by default that of the image's board.
    progress : callable
        Called after each sample with samples done and their total.

    Raises
    ------
    InputError
        If the spikes have a wrong shape or value.
    """
    samples = check_spikes(spikes, image.input_size)
    config = image.config
    golden = Chip(config, image.memories)
    ordered, readback = not config.meshed, all(core.readback for core in config.cores)
    ticks = events = 0
    with open_rtl(image, fabric) as chip:
        bus = chip.bus
        assert isinstance(bus, RtlBus | RtlTiledBus)

        def result(number: int, mismatch: Mismatch | None = None) -> LockstepResult:
            cycles = sum(bus.tick_cycles) if isinstance(bus, RtlBus) else bus.cycles
            return LockstepResult(number + 1, ticks, events, cycles, -1 if mismatch is None else number, mismatch)

        for number, sample in enumerate(samples):
            chip.clear()
            golden.clear()
            for tick, (cores, axons) in enumerate(input_events(image, sample, image.drain)):
                got = bus.tick(event_words(cores, axons))
                for core in np.unique(cores).tolist():
                    chosen = axons[cores == core]
                    golden.inject(core, chosen, np.ones((1, len(chosen)), np.bool_))
                expected = golden.tick()
                mismatch = compare_outputs(tick, expected.numbers[expected.outputs[0]], got[:, 1], ordered=ordered)
                if mismatch is None and readback:
                    mismatch = first_difference(tick, expected_state(golden), chip.state())
                ticks, events = ticks + 1, events + len(got)
                if mismatch is not None:
                    return result(number, mismatch)
            mismatch = compare_misrouted(golden, chip.misrouted)
            if mismatch is not None:
                return result(number, mismatch)
            if progress is not None:
                progress(number + 1, len(samples))
        return result(len(samples) - 1)
