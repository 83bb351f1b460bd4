"""What is known of the listed boards: measured by ``bench/boards.py``, kept in a file inside the package, and never written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikeloom.arch.boards import BoardGeometry

FILE = Path(__file__).with_name("state.json")


@dataclass(frozen=True, slots=True)
class State:
    """Result of the last build of a board's default geometry.

    Parameters
    ----------
    geometry_id : str
        Of the geometry that was built.
    clock_mhz : float
        Clock that was to be met.
    timing_met : bool
        Whether the routed design meets it, and so there is a bitstream.
    fmax_mhz : float
        Highest clock of the routed design; of the best seed, if none meets the clock; 0 if it was not routed.
    seed : int or None
        Placer seed of the bitstream.
    tried_on_hardware : bool
        Whether the bitstream ran on the board. No program here can find that out, so it is false.
    """

    geometry_id: str
    clock_mhz: float
    timing_met: bool
    fmax_mhz: float
    seed: int | None
    tried_on_hardware: bool = False


def read_states() -> dict[str, State]:
    """State by board; empty if no board was ever built."""
    if not FILE.exists():
        return {}
    return {name: State(**entry) for name, entry in json.loads(FILE.read_text()).items()}


def write_states(states: Mapping[str, State]) -> None:
    """Replace the file."""
    text = json.dumps({name: asdict(states[name]) for name in sorted(states)}, indent=2) + "\n"
    FILE.write_text(text)


def state_of_report(report: Mapping[str, Any]) -> State:
    """State after a build that met its clock."""
    return State(report["geometry_id"], report["clock_mhz"], True, report["fmax_mhz"], report["seed"])


def known(geometry: BoardGeometry, bits: int, states: Mapping[str, State]) -> State | None:
    """State of a board's geometry as it is now; None if this geometry and clock were not built."""
    state = states.get(geometry.name)
    current = (f"{geometry.chip(bits).geometry_id:#010x}", geometry.clock_mhz)
    return state if state is not None and (state.geometry_id, state.clock_mhz) == current else None
