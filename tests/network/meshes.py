"""Meshes of small cores for tests of the compiler, and what their golden chips do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError
from spikeloom.arch.memory_map import regions
from spikeloom.network.description import Network
from spikeloom.network.image import Image

BoolArray = npt.NDArray[np.bool_]
#: Potential and spikes of each population.
Traces = dict[str, tuple[npt.NDArray[np.int64], BoolArray]]

SMALL: dict[str, Any] = {"axons": 40, "neurons": 16, "lanes": 4, "weight_bits": 8, "destinations": 80}


def core(**changes: Any) -> CoreConfig:
    return CoreConfig(**(SMALL | changes))


def mesh(columns: int, rows: int, **changes: Any) -> ChipConfig:
    return ChipConfig(cores=(core(**changes),) * (columns * rows), columns=columns, rows=rows)


def one(**changes: Any) -> ChipConfig:
    return ChipConfig(cores=(core(**({"axons": 400, "neurons": 400, "destinations": 2000} | changes)),))


def run(image: Image, spikes: BoolArray) -> tuple[BoolArray, Traces]:
    """Outputs and traces of the golden chip."""
    labels = list(dict.fromkeys(piece.name for piece in image.populations))
    device = spikeloom.open("golden", image)
    out = device.run(spikes, record=labels)
    traces: Traces = {}
    for label in labels:
        trains = device.recorded[label].spikes
        assert trains is not None
        traces[label] = device.recorded[label].potential, trains
    return out, traces


def assert_same(first: tuple[BoolArray, Traces], second: tuple[BoolArray, Traces], seed: object) -> None:
    assert np.array_equal(first[0], second[0]), seed
    for label, (potential, trains) in first[1].items():
        for name, found, wanted in (
            ("potential", second[1][label][0], potential),
            ("spikes", second[1][label][1], trains),
        ):
            wrong = np.argwhere(found != wanted)
            assert not len(wrong), f"{seed}: {name} of {label} at {wrong[0].tolist()}"


def image_or_refusal(network: Network, config: ChipConfig) -> Image | str:
    """What the compiler gives: an image, or the text of its refusal."""
    try:
        return spikeloom.compile(network, config=config)
    except CapacityError as error:
        return str(error)


def unpacked(image: Image, number: int, region: str) -> dict[str, npt.NDArray[np.int64]]:
    return regions(image.config.cores[number])[region].layout.unpack(image.memories[number][region])


def pieces(image: Image) -> list[tuple[str, int, int, int]]:
    """Name, offset, size and core of each."""
    return [(piece.name, piece.offset, piece.size, piece.core) for piece in image.populations]


def verdict(image: Image) -> dict[str, tuple[int, int]]:
    return {need["what"]: (need["needed"], need["available"]) for need in image.notes["verdict"]}


def refusal(network: Network, config: ChipConfig) -> str:
    text = image_or_refusal(network, config)
    assert isinstance(text, str)
    return text
