"""Amaranth structures made from the word layouts of ``spikeloom.arch``."""

from __future__ import annotations

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from spikeloom.arch.layout import Field, WordLayout


def struct_of(layout: WordLayout) -> data.StructLayout:
    """The layout's fields at the same bits, as an Amaranth structure."""
    return data.StructLayout({field.name: _shape_of(field) for field in layout.fields})


def _shape_of(field: Field) -> Shape | data.ArrayLayout:
    element = signed(field.bits) if field.signed else unsigned(field.bits)
    return element if field.count == 1 else data.ArrayLayout(element, field.count)
