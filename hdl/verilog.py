"""Verilog from Amaranth components: self-contained, and the same bytes on each run. Described in ``docs/verilog.md``."""

from __future__ import annotations

import re

from amaranth.back import verilog
from amaranth.lib import wiring

#: The initial block that sets a memory to zero, as Amaranth's Verilog back end writes it: one line per word.
_ZERO_MEMORY = re.compile(r"  initial begin\n(?:    \S+\[\d+\] = \d+'[a-z]0*;\n)+  end\n")


def to_verilog(component: wiring.Component, name: str) -> str:
    """Verilog of a component and all its submodules.

    Memories come without initial contents: an image or the clearing after reset writes every word before it is used, and a memory of
    many thousand initial lines keeps tools busy for minutes.

    Parameters
    ----------
    component : amaranth.lib.wiring.Component
        What to convert; its ports are those of its signature, ``clk`` and ``rst``.
    name : str
        Name of the top module; the submodules' names begin with it.

    Returns
    -------
    str
        The text of one file.
    """
    text: str = verilog.convert(component, name=name, emit_src=False)
    return _ZERO_MEMORY.sub("", text)
