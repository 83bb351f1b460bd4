"""Image files: everything a chip is loaded with, in one checked file. Format described in ``docs/image.md``.

::

    bytes 0-7    the letters "SPKLOOM" and a zero
    bytes 8-9    format version, little endian
    bytes 10-41  SHA-256 of all bytes behind it
    bytes 42-    a numpy .npz archive: "meta" (JSON as bytes), and one array per memory and map
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import ImageError
from spikeloom.arch.image import LoadableImage, PopulationMap, PortMap
from spikeloom.arch.layout import WordArray

MAGIC = b"SPKLOOM\0"
FORMAT_VERSION = 3
VERSION_BYTES = 2
DIGEST_BYTES = 32
HEADER_BYTES = len(MAGIC) + VERSION_BYTES + DIGEST_BYTES
#: No image comes near this size; it keeps a wrong file from being read into memory.
MAX_BYTES = 1 << 28
_MAPS = ("input_index", "input_core", "input_axon", "input_offset", "output_shift")


@dataclass(frozen=True, kw_only=True)
class Image(LoadableImage):
    """A compiled network that can be saved."""

    def save(self, path: str | Path) -> None:
        """Write the image file; an existing file is replaced at once or not at all."""
        meta: dict[str, Any] = {
            "config": self.config.as_dict(),
            "board": self.board,
            "inputs": [asdict(port) for port in self.inputs],
            "outputs": [asdict(port) for port in self.outputs],
            "populations": [asdict(population) for population in self.populations],
            "notes": dict(self.notes),
        }
        arrays: dict[str, Any] = {
            f"core{core}.{name}": words for core, memory in enumerate(self.memories) for name, words in memory.items()
        }
        arrays |= {name: getattr(self, name) for name in _MAPS}
        arrays["meta"] = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        body = buffer.getvalue()
        data = MAGIC + FORMAT_VERSION.to_bytes(VERSION_BYTES, "little") + hashlib.sha256(body).digest() + body
        write_whole(Path(path), data)

    @classmethod
    def load(cls, path: str | Path) -> Image:
        """Read an image file.

        Raises
        ------
        ImageError
            If the file is missing, damaged, of another version, or inconsistent.
        """
        path = Path(path)
        try:
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise ImageError(f"{path} has {size} bytes; an image has at most {MAX_BYTES}, so this is something else")
            data = path.read_bytes()
        except OSError as error:
            raise ImageError(f"{path} cannot be read: {error.strerror}") from error
        if not data.startswith(MAGIC):
            raise ImageError(f"{path} is not a spikeloom image")
        version = int.from_bytes(data[len(MAGIC) : len(MAGIC) + VERSION_BYTES], "little")
        if version != FORMAT_VERSION and len(data) >= HEADER_BYTES:
            raise ImageError(
                f"{path} has format version {version}; this spikeloom reads version {FORMAT_VERSION}: compile the network again"
            )
        body = data[HEADER_BYTES:]
        if len(data) < HEADER_BYTES or hashlib.sha256(body).digest() != data[HEADER_BYTES - DIGEST_BYTES : HEADER_BYTES]:
            raise ImageError(f"{path} is damaged: its checksum is wrong; compile the network again")
        try:
            return cls._from_body(body)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from error
        except Exception as error:  # a right checksum says nothing about the contents, and each reader fails in its own way
            raise ImageError(f"{path} is not an image of this version of spikeloom: {error}") from error

    @classmethod
    def _from_body(cls, body: bytes) -> Image:
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        maps = {name: arrays.pop(name) for name in _MAPS}
        for name, values in maps.items():
            if values.dtype != np.int64 or values.ndim != 1:
                raise ImageError(f"the map {name} is a {values.ndim}-dimensional array of {values.dtype}")
        config = ChipConfig.from_dict(meta["config"])
        return cls(
            config=config,
            memories=_memories(arrays, len(config.cores)),
            inputs=tuple(PortMap(**port) for port in meta["inputs"]),
            outputs=tuple(PortMap(**port) for port in meta["outputs"]),
            populations=tuple(PopulationMap(**population) for population in meta["populations"]),
            board=str(meta["board"]),
            notes=meta["notes"],
            **maps,
        )


def _memories(arrays: Mapping[str, WordArray], cores: int) -> tuple[dict[str, WordArray], ...]:
    """Memories of each core, from arrays whose names begin with ``core`` and its number."""
    memories: tuple[dict[str, WordArray], ...] = tuple({} for _ in range(cores))
    for name, words in arrays.items():
        core, _, region = name.partition(".")
        number = core.removeprefix("core")
        if not (number.isdecimal() and core == f"core{int(number)}" and int(number) < cores):
            raise ImageError(f"the array {name} belongs to none of the {cores} cores")
        memories[int(number)][region] = words
    return memories


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it.

    Raises
    ------
    ImageError
        If the folder does not exist or cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror}") from error
