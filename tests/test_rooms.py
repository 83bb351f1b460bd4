"""The rooms import only what the design allows them to."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "arch": set(),
    "network": {"arch"},
    "golden": {"arch"},
    "hdl": {"arch"},
    "host": {"arch", "golden"},
    "boards": {"arch", "hdl"},
    "sim": {"arch", "golden", "hdl", "host"},
}


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "spikeloom" and len(parts) > 1 and (ROOT / parts[1]).is_dir():
                rooms.add(parts[1])
    return rooms


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_the_design_allows(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        assert imported_rooms(path) <= ALLOWED[room] | {room}, path.name
