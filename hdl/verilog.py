"""Verilog from Amaranth components: self-contained, and the same bytes on each run. Described in ``docs/verilog.md``."""

from __future__ import annotations

import re

from amaranth.back import verilog
from amaranth.lib import wiring

#: The initial block that sets a memory to zero, as Amaranth's Verilog back end writes it: one line per word.
_ZERO_MEMORY = re.compile(r"  initial begin\n(?:    \S+\[\d+\] = \d+'[a-z]0*;\n)+  end\n")
#: An escaped identifier, which ends at white space.
_ESCAPED = re.compile(r"\\(\S+)(?=\s)")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
    return plain_names(_ZERO_MEMORY.sub("", text))


def plain_names(text: str) -> str:
    r"""Give every escaped identifier a plain name.

    Amaranth calls the parts of an array ``\weight[15]``. Such a name is legal, but tools that see a bit of ``weight`` in it exist (ABC9 of
    yosys 0.70 ends with a failed assertion).
    """
    taken = set(_PLAIN.findall(text))
    names: dict[str, str] = {}

    def plain(match: re.Match[str]) -> str:
        escaped = match[1]
        if escaped not in names:
            stem = re.sub(r"[^A-Za-z0-9_]+", "_", escaped).strip("_")
            if not stem or stem[0].isdigit():
                stem = f"n_{stem}"
            # A plain identifier is escaped when it is a keyword.
            candidate = f"{stem}_" if stem == escaped else stem
            number = 0
            while candidate in taken:
                number += 1
                candidate = f"{stem}_{number}"
            taken.add(candidate)
            names[escaped] = candidate
        return names[escaped]

    return _ESCAPED.sub(plain, text)
