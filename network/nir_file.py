"""Reads a NIR file (HDF5) into nested dictionaries, and survives damaged ones.

The HDF5 library trusts what it reads: a wrong byte in a type or in its heap of strings makes it crash or never return. So types are checked
before a value is read, and the heaps before the file is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from spikeloom.arch.config import MAX_AXONS, MAX_NEURONS
from spikeloom.arch.errors import NetworkError

#: Values of one array; no weight matrix that fits a chip has more.
MAX_VALUES = MAX_AXONS * MAX_NEURONS
#: HDF5 groups inside each other; a nested graph takes two.
MAX_DEPTH = 64
#: Start of a heap of strings: signature and version.
_HEAP = b"GCOL\x01\0\0\0"
#: Bytes of the header of a heap and of each of its objects.
_HEADER = 16


def read_nir_file(path: Path) -> dict[str, Any]:
    """The graph in a file, as ``NIRGraph.to_dict`` gives it, without metadata.

    Raises
    ------
    NetworkError
        If the file is not a NIR file, or is damaged.
    """
    if not path.is_file():
        raise NetworkError(f"{path} does not exist or is not a file")
    try:
        _check_heaps(path.read_bytes())
        with h5py.File(path, "r") as file:
            node = file.get("node")
            if not isinstance(node, h5py.Group):
                raise NetworkError("it is an HDF5 file, but has no group 'node'")
            return _read_group(node, 0)
    except Exception as error:  # h5py raises many kinds for damaged files
        reason = " ".join(str(error).split())
        raise NetworkError(f"{path} cannot be read as a NIR file (HDF5): {reason}") from error


def _read_group(group: h5py.Group, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise NetworkError(f"its groups lie more than {MAX_DEPTH} deep inside each other")
    content: dict[str, Any] = {}
    for name in group:
        if name == "metadata" and "type" in group:
            continue
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise NetworkError(f"{name!r} is a link to somewhere else")
        item = group[name]
        content[name] = _read_group(item, depth + 1) if isinstance(item, h5py.Group) else _read_value(name, item)
    return content


def _read_value(name: str, item: h5py.Dataset) -> Any:
    if h5py.check_string_dtype(item.dtype) is None and item.dtype.kind not in "biuf":
        raise NetworkError(f"{name!r} holds neither numbers nor strings, but {item.dtype}")
    if item.size is not None and item.size > MAX_VALUES:
        raise NetworkError(f"{name!r} has {item.size} values; the limit is {MAX_VALUES}")
    value = item[()]
    return value.decode() if isinstance(value, bytes) else value


def _check_heaps(data: bytes) -> None:
    """Walk through every heap of strings; in a damaged one the HDF5 library may walk forever.

    An object has a 16-bit index at its start, its length at byte 8, and is filled up to a multiple of 8 bytes. Index 0 is the free rest,
    whose length counts its header.
    """
    heap = data.find(_HEAP)
    while heap >= 0:
        end = heap + int.from_bytes(data[heap + 8 : heap + _HEADER], "little")
        place = heap + _HEADER
        while place + _HEADER <= end <= len(data):
            length = int.from_bytes(data[place + 8 : place + _HEADER], "little")
            is_free = data[place : place + 2] == b"\0\0"
            if is_free and length < _HEADER:
                break
            place += length if is_free else _HEADER + -(-length // 8) * 8
        if not end - _HEADER < place <= end:
            raise NetworkError(f"its heap of strings at byte {heap} is damaged")
        heap = data.find(_HEAP, heap + 1)
