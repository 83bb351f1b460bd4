"""Verilog from Amaranth components: self-contained, and the same bytes on each run. Described in ``docs/verilog.md``."""

from __future__ import annotations

import itertools
import re

from amaranth.back import verilog
from amaranth.lib import wiring

#: The initial block that sets a memory to zero, as Amaranth's Verilog back end writes it: one line per word.
_ZERO_MEMORY = re.compile(r"  initial begin\n(?:    \S+\[\d+\] = \d+'[a-z]0*;\n)+  end\n")
#: An escaped identifier, which ends at white space.
_ESCAPED = re.compile(r"\\(\S+)(?=\s)")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: A module with its attributes.
_MODULE = re.compile(r"(?:^\(\*[^\n]*\*\)\n)*^module (\w+)(.*?)^endmodule\n", re.MULTILINE | re.DOTALL)
#: An instance of a module.
_INSTANCE = re.compile(r"^  (\w+) +\w+ \(\n.*?^  \);\n", re.MULTILINE | re.DOTALL)
_CONNECTION = re.compile(r"    \.\w+ ?\(.*\),?$")
_DECLARATION = re.compile(r"  (?:input|output|wire|reg)\b.*;$")
#: What Amaranth calls a port that carries an unnamed value, and what yosys calls the register that makes a process run once.
_NUMBERED_PORT = re.compile(r"port_\d+_\d+")
_DUMPED = re.compile(r"auto_verilog_backend_cc_\d+_dump_module_\d+")


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
    return share_modules(plain_names(_ZERO_MEMORY.sub("", text)))


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


def share_modules(text: str) -> str:
    """Keep one of several modules with the same contents.

    Amaranth writes a module for each instance. The cores of a mesh are mostly alike, and tools work through each module on its own.
    """
    modules = {match[1]: match for match in _MODULE.finditer(text)}
    ports = {name: _renamed_ports(match[2]) for name, match in modules.items()}
    bodies = {name: _anonymous(match[2], ports[name], ports) for name, match in modules.items()}
    representative: dict[str, str] = {}
    repeated: dict[str, str] = {}

    def shared(word: re.Match[str]) -> str:
        return repeated.get(word[0], word[0])

    while True:
        first: dict[str, str] = {}
        keys = {name: _key(body) for name, body in bodies.items()}
        repeated = {name: first[key] for name, key in keys.items() if first.setdefault(key, name) != name}
        if not repeated:
            break
        representative |= repeated
        # Parents whose parts were the only difference may be alike now.
        bodies = {name: _PLAIN.sub(shared, body) for name, body in bodies.items() if name not in repeated}

    def kept(match: re.Match[str]) -> str:
        name = match[1]
        return "" if name in representative else match[0].replace(match[2], bodies[name])

    return _MODULE.sub(kept, text)


def _key(body: str) -> str:
    """The contents with ports, declarations and connections in alphabetical order: theirs depends on names that have been replaced."""
    header, rest = body.split(";", 1)
    declared, others = [], []
    for connected, lines in itertools.groupby(rest.splitlines(), lambda line: _CONNECTION.match(line) is not None):
        group = list(lines)
        declared += [line for line in group if _DECLARATION.match(line)]
        others += (
            sorted(line.rstrip(",") for line in group) if connected else [line for line in group if not _DECLARATION.match(line)]
        )
    return "\n".join([*sorted(_PLAIN.findall(header)), *sorted(declared), *others])


def _renamed_ports(body: str) -> dict[str, str]:
    """New names of the ports that Amaranth numbers over the whole design."""
    header = body[: body.index(";")]
    return {name: f"port_{number}" for number, name in enumerate(_NUMBERED_PORT.findall(header))}


def _anonymous(body: str, own: dict[str, str], ports: dict[str, dict[str, str]]) -> str:
    """A module's contents without the numbers of its place in the design."""

    def of_instance(match: re.Match[str]) -> str:
        theirs = ports.get(match[1])
        if theirs is None:
            return match[0]
        return re.sub(rf"\.({_NUMBERED_PORT.pattern})\b", lambda port: f".{theirs[port[1]]}", match[0])

    body = _INSTANCE.sub(of_instance, body)
    body = re.sub(rf"(?<![.\w]){_NUMBERED_PORT.pattern}\b", lambda port: own.get(port[0], port[0]), body)
    return _DUMPED.sub("module_initial", body)
