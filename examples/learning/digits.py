"""Handwritten digits without a teacher: STDP, lateral inhibition and homeostasis, after Diehl and Cook (2015).

    python -m spikeloom.examples.learning.digits --data FOLDER [--neurons N] [--images M] [-o DIR]

FOLDER holds the four .gz files of MNIST. All neurons of a core see all pixels. Who reaches its threshold first inhibits the others through
shared axons, and its weights move towards the traces of the pixels; its threshold rises for good, so that others get their turn. Labels
are used only afterwards, to name each neuron after the class that it fires for most. The images run on the fast engine of the golden
model, one after the other without a reset.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import InputError, SpikeloomError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import Lif
from spikeloom.cli.console import print_table, progress_bar, say
from spikeloom.examples.mnist.data import FULL_SCALE, load
from spikeloom.golden.fast import FastChip
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import Plasticity

mpl.use("Agg")  # files only, no window
from matplotlib import pyplot as plt

Pixels = npt.NDArray[np.uint8]
#: Images done, images in all.
Progress = Callable[[int, int], None]

SIDE, CLASSES = 28, 10
PIXELS = SIDE * SIDE
#: Ticks of an image, and of the pause behind it in which traces decay.
TICKS, PAUSE = 64, 16
#: Spikes per tick of a white pixel.
RATE = 1 / 8
#: Bound of weights, small beside that of inhibition: 64 shared axons with the weight -128 undo what an image has added.
HIGHEST = 31
INHIBITION, INHIBITING = -128, 64
#: Threshold before any spike, in LSB of a weight, and bits of its noise: of two neurons that are alike only one should learn.
THRESHOLD, NOISE_BITS = 5000, 8
#: After learning all thresholds are divided by this: more spikes per image are more votes.
READING = 4
TAU = 16.0
#: Weights of a neuron that fires go 1/32 of the way to ``31 * (trace - 0.1)``, where the trace of a white pixel is 1 in the mean.
RULE = "dw = 2^-5 * 31 * x1 * y0 - 2^-5 * w * y0 - 2^-5 * 3.1 * y0"
IMPULSE = (1 - float(np.exp(-1 / TAU))) / RATE
NEURON = Lif(
    state_bits=20,
    fraction_bits=0,
    decay=False,
    bias_bits=0,
    resets="all",
    refractory_bits=2,
    negative_threshold=True,
    threshold_noise_bits=NOISE_BITS,
    adaptation_bits=20,
)
#: Retention of an adaptation that does not decay.
FOREVER = 4096
#: Entries of a routing memory; each neuron has one for each inhibiting axon, and one for the host.
MOST_NEURONS = (1 << 15) // (INHIBITING + 1)
#: Training images by which neurons are named, and images that run in one call of the engine.
NAMING, BATCH = 10_000, 250


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What a network has learnt.

    Parameters
    ----------
    weights : int64 array ``[784, neurons]``
        In LSB, -31 to 31.
    thresholds : int64 array ``[neurons]``
        With the adaptation, in LSB.
    """

    weights: IntArray
    thresholds: IntArray


@dataclass(frozen=True, kw_only=True)
class Result:
    """A network after some images.

    Parameters
    ----------
    images : int
        Training images seen.
    learnt : Learnt
    classes : int64 array ``[neurons]``
        Class that each neuron is named after.
    accuracy : float
        Of the images of the test set.
    silent : float
        Part of the test set for which no neuron fired.
    spikes : float
        Per image of the test set.
    """

    images: int
    learnt: Learnt
    classes: IntArray
    accuracy: float
    silent: float
    spikes: float


def threshold_step(neurons: int) -> int:
    """What a spike adds to its neuron's threshold, in LSB of a weight: 20 for 400 neurons, less for fewer, as each fires more often."""
    return round(float(np.sqrt(neurons)))


def make_image(learnt: Learnt, *, learning: bool, seed: int = 0) -> LoadableImage:
    """One core: 784 axons of pixels, then 64 that inhibit all neurons. The spikes of neuron n are output n.

    Parameters
    ----------
    learnt : Learnt
        Weights and thresholds to begin with.
    learning : bool
        Whether weights and thresholds change. If not, the core is generated without learning.
    seed : int
        Of the random rounding and the noise of the thresholds.
    """
    neurons = len(learnt.thresholds)
    axons = PIXELS + INHIBITING
    plasticity = None
    if learning:
        plasticity = Plasticity(rule=RULE, tau={"x1": TAU}, impulse={"x1": IMPULSE}, low=-HIGHEST, high=HIGHEST)
    core = CoreConfig(
        axons=axons,
        neurons=neurons,
        weight_bits=8,
        lanes=16,
        levels=1,
        models=(NEURON,),
        learning=None if plasticity is None else plasticity.unit(8),
        destinations=neurons * (INHIBITING + 1),
    )
    weights = np.full((axons, neurons), INHIBITION)
    weights[:PIXELS] = learnt.weights
    source = np.repeat(np.arange(neurons), INHIBITING)
    target = PIXELS + np.tile(np.arange(INHIBITING), neurons)
    arrays = CoreArrays(
        weights=weights,
        # A neuron that fired is refractory when the inhibition arrives.
        parameters={
            "threshold": learnt.thresholds,
            "reset_mode": 0,
            "reset": 0,
            "refractory": 1,
            "negative_threshold": 0,
            "negative_saturates": 1,
            "noise_mask": (1 << NOISE_BITS) - 1,
            "adaptation_step": threshold_step(neurons) if learning else 0,
            "adaptation_retention": FOREVER,
        },
        plasticity=plasticity,
        plastic_axons=np.arange(axons) < PIXELS,
        destinations=np.stack([source, np.zeros_like(source), target, np.ones_like(source)], axis=1),
        outputs=[[n, n] for n in range(neurons)],
        seed=seed,
    )
    return image_from_arrays(ChipConfig(cores=(core,)), [arrays], inputs=[[axon, 0, axon, 0] for axon in range(axons)])


def events(images: Pixels, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Tick and axon of each event: a pixel fires at even distances from a random beginning on, as often as it is bright.

    Behind each image all inhibiting axons fire and so clear the potentials.
    """
    tick = np.arange(TICKS + 1, dtype=np.float32)[:, np.newaxis]
    inhibiting = PIXELS + np.arange(INHIBITING)
    ticks, axons = [], []
    for number, image in enumerate(images):
        pixels = np.flatnonzero(image)
        phase = np.floor(tick * (image[pixels].astype(np.float32) * (RATE / FULL_SCALE)) + rng.random(len(pixels), np.float32))
        when, pixel = np.nonzero(phase[1:] > phase[:-1])
        begin = number * (TICKS + PAUSE)
        ticks += [begin + when, np.full(INHIBITING, begin + TICKS)]
        axons += [pixels[pixel], inhibiting]
    return np.concatenate(ticks), np.concatenate(axons)


def show(chip: FastChip, images: Pixels, rng: np.random.Generator, report: Callable[[int], None]) -> IntArray:
    """Run images one after the other; spikes of each neuron for each, ``[images, neurons]``. ``report`` is told each batch's size."""
    counts = np.zeros((len(images), chip.config.cores[0].neurons), np.int64)
    for first in range(0, len(images), BATCH):
        batch = images[first : first + BATCH]
        ticks, axons = events(batch, rng)
        start = chip.ticks
        run = chip.run(len(batch) * (TICKS + PAUSE), (ticks, np.zeros_like(ticks), axons))
        np.add.at(counts, (first + (run.output_ticks - start) // (TICKS + PAUSE), run.outputs), 1)
        report(len(batch))
    return counts


def beginning(neurons: int, seed: int = 0) -> Learnt:
    """A network that knows nothing: random weights, equal thresholds."""
    weights = np.random.default_rng(seed).integers(HIGHEST // 3, HIGHEST, (PIXELS, neurons))
    return Learnt(weights=weights, thresholds=np.full(neurons, THRESHOLD))


def read(chip: FastChip) -> Learnt:
    """Weights and thresholds that a chip has now."""
    core = chip.config.cores[0]
    weights = chip.learning_state(0)["weights"].reshape(core.axons, -1)[:PIXELS, : core.neurons]
    return Learnt(weights=weights, thresholds=THRESHOLD + chip.state(0)["adaptation"])


def name_neurons(counts: IntArray, labels: npt.NDArray[np.uint8]) -> IntArray:
    """Class for whose images each neuron fires most in the mean, ``[neurons]``."""
    means = [counts[labels == digit].mean(axis=0) if (labels == digit).any() else 0 * counts[0] for digit in range(CLASSES)]
    return np.asarray(np.argmax(means, axis=0))


def decide(counts: IntArray, classes: IntArray) -> IntArray:
    """Class of each image: that whose neurons fire most in the mean, ``[images]``."""
    members = np.eye(CLASSES)[classes]
    return np.asarray(np.argmax(counts @ members / np.maximum(members.sum(axis=0), 1), axis=1))


def checkpoints(images: int) -> list[int]:
    """Numbers of images after which the network is tested: an eighth, a quarter, half, all."""
    return sorted({max(1, images // part) for part in (8, 4, 2, 1)})


def learn(
    train: tuple[Pixels, npt.NDArray[np.uint8]],
    test: tuple[Pixels, npt.NDArray[np.uint8]],
    neurons: int,
    images: int,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> list[Result]:
    """Show images, and test at the checkpoints with weights and thresholds frozen.

    Parameters
    ----------
    train, test : tuple of uint8 arrays ``[n, 784]`` and ``[n]``
        Images and labels.
    neurons : int
        1 to 504.
    images : int
        How many to learn from, in random order; beyond the number of training images they come again.
    seed : int
    progress : callable
        Told how many images were shown, for learning, naming and testing, and how many will be.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if not 1 <= neurons <= MOST_NEURONS:
        raise InputError(f"{neurons} neurons; the routing memory of a core suffices for 1 to {MOST_NEURONS}: choose fewer")
    if images < 1:
        raise InputError(f"{images} images; the network must see 1 or more")
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(train[1])) for _ in range(-(-images // len(train[1])))])[:images]
    stops = checkpoints(images)
    total = images + sum(min(stop, NAMING) + len(test[1]) for stop in stops)
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    report(0)
    chip = _chip(make_image(beginning(neurons, seed), learning=True, seed=seed))
    results, seen = [], 0
    for stop in stops:
        show(chip, train[0][order[seen:stop]], rng, report)
        seen = stop
        learnt = read(chip)
        frozen = Learnt(weights=learnt.weights, thresholds=learnt.thresholds // READING)
        reader = _chip(make_image(frozen, learning=False, seed=seed))
        known = order[max(0, seen - NAMING) : seen]
        classes = name_neurons(show(reader, train[0][known], rng, report), train[1][known])
        counts = show(reader, test[0], rng, report)
        results.append(
            Result(
                images=seen,
                learnt=learnt,
                classes=classes,
                accuracy=float(np.mean(decide(counts, classes) == test[1])),
                silent=float(np.mean(counts.sum(axis=1) == 0)),
                spikes=float(counts.sum(axis=1).mean()),
            )
        )
    return results


def _chip(image: LoadableImage) -> FastChip:
    # Chip.run would clear the thresholds before each sample.
    return FastChip(image.config, image.memories)


def draw(learnt: Learnt, classes: IntArray, path: Path) -> None:
    """Receptive fields, in the order of their classes: the weights of each neuron as a picture.

    Parameters
    ----------
    learnt : Learnt
    classes : int64 array ``[neurons]``
    path : Path
        A .png file.
    """
    neurons = len(classes)
    columns = int(np.ceil(np.sqrt(neurons)))
    rows = -(-neurons // columns)
    fields = np.full((rows * columns, SIDE, SIDE), np.nan)
    fields[:neurons] = learnt.weights.T[np.argsort(classes, kind="stable")].reshape(-1, SIDE, SIDE)
    sheet = fields.reshape(rows, columns, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(rows * SIDE, columns * SIDE)
    figure, axes = plt.subplots(figsize=(9, 9 * rows / columns), layout="constrained")
    axes.imshow(sheet, cmap="RdBu_r", vmin=-HIGHEST, vmax=HIGHEST, interpolation="nearest")
    axes.set_xticks(np.arange(columns + 1) * SIDE - 0.5, labels=[])
    axes.set_yticks(np.arange(rows + 1) * SIDE - 0.5, labels=[])
    axes.grid(color="#b0b0b0", linewidth=0.4)
    axes.tick_params(length=0)
    figure.savefig(path, dpi=140, metadata={"Software": None})
    plt.close(figure)


def main(arguments: list[str] | None = None) -> int:
    """Learn, test, print and draw. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m spikeloom.examples.learning.digits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder with the four .gz files of MNIST")
    parser.add_argument("--neurons", type=int, default=400, metavar="N", help=f"1 to {MOST_NEURONS} (%(default)s)")
    parser.add_argument("--images", type=int, default=60_000, metavar="M", help="training images to show (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of weights, order and rounding (%(default)s)")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the picture of the weights, digits.png")
    options = parser.parse_args(arguments)
    if options.output is not None:
        try:
            options.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"{options.output} cannot be made: {error.strerror}")
    with progress_bar("images") as report:
        results = learn(
            load(options.data, "train"), load(options.data, "test"), options.neurons, options.images, options.seed, report
        )
    rows = [
        (
            f"{result.images:,}",
            f"{100 * result.accuracy:.2f} %",
            f"{result.spikes:.1f}",
            f"{100 * result.silent:.2f} %",
            f"{result.learnt.thresholds.min()} to {result.learnt.thresholds.max()}",
        )
        for result in results
    ]
    columns = ["images seen", "test accuracy", "spikes per image", "images without spikes", "thresholds"]
    print_table(f"Digits, {options.neurons} neurons", columns, rows)
    if options.output is not None:
        draw(results[-1].learnt, results[-1].classes, options.output / "digits.png")
        say(f"Receptive fields: {options.output / 'digits.png'}.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SpikeloomError as error:
        sys.exit(f"error: {error}")
