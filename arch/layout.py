"""Word layouts: which field sits at which bit of a memory word, with vectorised packing for numpy.

A layout is plain data. ``spikeloom.hdl.layouts`` makes an Amaranth structure from the same description, so that the hardware
and the packing cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import ConfigError

IntArray = npt.NDArray[np.int64]
WordArray = npt.NDArray[np.uint32]
#: Bits of one word of the loading bus.
BUS_WORD_BITS = 32


def ceil_div(a: int, b: int) -> int:
    """``a / b`` rounded up."""
    return -(-a // b)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a word, or ``count`` equal fields side by side.

    Parameters
    ----------
    name : str
        Field name.
    bits : int
        Width of one element, 1 to 32.
    signed : bool
        Two's complement if true.
    count : int
        Elements; above 1 the values have one more axis of this length.
    inverted : bool
        The memory holds the complement of every bit. A comparator that adds the complement needs no inverters.
    """

    name: str
    bits: int
    signed: bool = False
    count: int = 1
    inverted: bool = False

    @property
    def low(self) -> int:
        """Smallest value that fits."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest value that fits."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1


@dataclass(frozen=True, slots=True)
class WordLayout:
    """Fields of a memory word, the first at bit 0, without gaps.

    On the bus a word is ``slices`` 32-bit words, least significant first.
    """

    name: str
    fields: tuple[Field, ...]

    @property
    def bits(self) -> int:
        """Bits of a word."""
        return sum(field.bits * field.count for field in self.fields)

    @property
    def slices(self) -> int:
        """32-bit bus words per memory word."""
        return max(1, ceil_div(self.bits, BUS_WORD_BITS))

    def offset(self, name: str) -> int:
        """First bit of the named field."""
        position = 0
        for field in self.fields:
            if field.name == name:
                return position
            position += field.bits * field.count
        raise KeyError(name)

    def pack(self, values: Mapping[str, npt.ArrayLike]) -> WordArray:
        """Pack field values into bus words.

        Parameters
        ----------
        values : mapping of field name to integers, shape ``[depth]`` (or ``[depth, count]``)
            All fields must be given.

        Returns
        -------
        uint32 array, shape ``[depth, slices]``

        Raises
        ------
        ConfigError
            If a field is missing or unknown, a shape is wrong, or a value does not fit; the message names field, index,
            value and limits.
        """
        names = {field.name for field in self.fields}
        if set(values) != names:
            raise ConfigError(f"{self.name}: the fields are {sorted(names)}, not {sorted(values)}")
        depth: int | None = None
        bits: list[npt.NDArray[np.uint8]] = []
        for field in self.fields:
            data = np.asarray(values[field.name])
            if data.dtype.kind not in "iub":
                raise ConfigError(f"{self.name}.{field.name} must be integers, not {data.dtype}")
            if field.count == 1 and data.ndim == 1:
                data = data[:, np.newaxis]
            if data.ndim != 2 or data.shape[1] != field.count or depth not in (None, data.shape[0]):
                raise ConfigError(f"{self.name}.{field.name} has shape {np.shape(values[field.name])}")
            depth = data.shape[0]
            wrong = np.argwhere((data < field.low) | (data > field.high))
            if len(wrong):
                word, element = wrong[0]
                nearest = min(max(int(data[word, element]), field.low), field.high)
                raise ConfigError(
                    f"{self.name}.{field.name}[{word}] is {data[word, element]}; it must be {field.low} to {field.high} "
                    f"(nearest: {nearest})"
                )
            data = data.astype(np.int64)
            if field.inverted:
                data = ~data
            shifts = np.arange(field.bits, dtype=np.int64)
            expanded = (data[:, :, np.newaxis] >> shifts) & 1
            bits.append(expanded.reshape(depth, -1).astype(np.uint8))
        assert depth is not None
        padding = self.slices * BUS_WORD_BITS - self.bits
        table = np.concatenate([*bits, np.zeros((depth, padding), np.uint8)], axis=1)
        packed = np.packbits(table, axis=1, bitorder="little")
        return packed.view("<u4").astype(np.uint32)

    def unpack(self, words: npt.ArrayLike) -> dict[str, IntArray]:
        """Inverse of :meth:`pack`: bus words ``[depth, slices]`` to integers per field (int64)."""
        raw = np.ascontiguousarray(words, dtype="<u4")
        if raw.ndim != 2 or raw.shape[1] != self.slices:
            raise ConfigError(f"{self.name}: words must have shape [depth, {self.slices}], not {list(raw.shape)}")
        table = np.unpackbits(raw.view(np.uint8), axis=1, bitorder="little")
        result: dict[str, IntArray] = {}
        position = 0
        for field in self.fields:
            width = field.bits * field.count
            chunk = table[:, position : position + width].reshape(len(raw), field.count, field.bits).astype(np.int64)
            weights = np.int64(1) << np.arange(field.bits, dtype=np.int64)
            if field.signed:
                weights[-1] = -weights[-1]
            if field.inverted:
                chunk = 1 - chunk
            values = chunk @ weights
            result[field.name] = values[:, 0] if field.count == 1 else values
            position += width
        return result
