"""What the generator of the tables shares: Markdown, and reading docstrings and comments of the code."""

from __future__ import annotations

import enum
import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

#: Constants shown in hexadecimal.
HEXADECIMAL = (
    "MIX",
    "KEY_STEP",
    "ROW_INDEX",
    "INDEX_STEP",
    "FIELD_POLYNOMIAL",
    "OFFSET_MASK",
    "PROTOCOL_VERSION",
    "IDENT",
    "LEARNING_INDEX",
)
#: Meaning of constants that have no comment of their own in the code.
MEANINGS = {
    "SPACE_SHIFT": "First bit of the space in an address.",
    "REGION_SHIFT": "First bit of the region in an address.",
    "OFFSET_MASK": "Bits of the offset in an address.",
    "HEADER_BYTES": "Bytes of a request before its data.",
    "CRC_BYTES": "Bytes of the CRC at the end of a frame.",
    "WORD_BYTES": "Bytes of a bus word.",
    "MIN_WEIGHT_BITS": "Fewest bits to which weights can be quantised.",
    "MAX_WEIGHT_BITS": "Most bits to which weights can be quantised.",
    "EVENT_CORE_BITS": "Bits of the core in the EVENT register.",
    "MAX_LINK_LANES": "Most data pins of a link between chips, in each direction.",
    "RUN_BITS": "Bits of the count of ticks left to run.",
    "SPRAM_DEPTH": "Words of one SPRAM block.",
    "SPRAM_WIDTH": "Bits of a word of one SPRAM block.",
    "MIN_DIVISOR": "Fewest clock cycles per bit of the line.",
}


class PageError(Exception):
    """A page with a region that cannot be filled."""


# Markdown -------------------------------------------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [tuple(head), *(tuple(str(cell) for cell in row) for row in rows)]
    text = [f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines]
    text.insert(1, f"| {' | '.join('---' for _ in lines[0])} |")
    return "\n".join(text)


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def code(text: object) -> str:
    """Text in the code font."""
    return f"`{text}`"


# Reading the code -----------------------------------------------------------------------------------------------------


def doc(thing: object) -> str:
    """First paragraph of a docstring, on one line, without roles."""
    text = inspect.getdoc(thing) or ""
    return _without_roles(" ".join(text.split("\n\n", maxsplit=1)[0].split()).replace("``", "`"))


def _without_roles(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]*)`", lambda match: code(match[1].rsplit(".", 1)[-1]), text)


def section(thing: object, title: str) -> dict[str, str]:
    """Entries of a section of a numpy-style docstring: the line with the name, and the indented text below it."""
    lines = (inspect.getdoc(thing) or "").splitlines()
    try:
        start = next(i for i, line in enumerate(lines) if line == title and lines[i + 1 : i + 2] == ["-" * len(title)])
    except StopIteration:
        return {}
    entries: dict[str, list[str]] = {}
    current: list[str] = []
    for i in range(start + 2, len(lines)):
        line = lines[i]
        if i + 1 < len(lines) and lines[i + 1] and set(lines[i + 1]) == {"-"}:
            break
        if line and not line.startswith(" "):
            current = entries.setdefault(line, [])
        elif line:
            current.append(line.strip())
    return {head: _without_roles(" ".join(text)) for head, text in entries.items()}


def entry(entries: Mapping[str, str], name: str) -> tuple[str, str]:
    """Declaration and text of a name that stands alone or among others in the head of an entry."""
    for head, text in entries.items():
        for part in re.split(r"(?<=\)), (?=\w+ :)", head):
            names, _, declared = part.partition(" : ")
            if name in names.split(", "):
                return declared, text
    return "", ""


def remarks(source: str, indent: int = 0) -> dict[str, str]:
    """The ``#:`` comment above each assignment with that indentation."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in textwrap.dedent(source).splitlines():
        text = line[indent:]
        if text.startswith("#:"):
            comment.append(text[2:].strip())
        elif match := re.match(r"(\w+)(?::[^=]*)? = ", text):
            found[match[1]] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def members(kind: type[enum.Enum]) -> dict[str, str]:
    """The remark on each member of an enumeration."""
    return {name: text for name, text in remarks(inspect.getsource(kind), indent=4).items() if name in kind.__members__}


def constants(module: ModuleType, *names: str) -> list[tuple[str, str, str]]:
    """Name, value and remark of module constants."""
    notes = remarks(inspect.getsource(module))
    rows = []
    for name in names:
        value = getattr(module, name)
        rows.append((code(name), code(_value(name, value)), notes.get(name) or MEANINGS[name]))
    return rows


def constant_table(*groups: tuple[ModuleType, tuple[str, ...]]) -> str:
    """Module constants."""
    rows = [row for module, names in groups for row in constants(module, *names)]
    return table(("constant", "value", "meaning"), rows)


def enumeration(kind: type[enum.IntEnum], head: str) -> str:
    """Members of an enumeration with their remarks."""
    notes = members(kind)
    return table((head, "name", "meaning"), ((int(member), code(member.name), notes[member.name]) for member in kind))


def _value(name: str, value: Any) -> Any:
    if name not in HEXADECIMAL:
        return value
    return ", ".join(map(hexadecimal, value)) if isinstance(value, tuple) else hexadecimal(value)


def hexadecimal(value: int, digits: int = 8) -> str:
    """A number in hexadecimal, padded with zeros."""
    return f"0x{value:0{digits}X}"
