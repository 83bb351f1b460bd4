"""The commands ``boards`` and ``program``."""

from __future__ import annotations

from pathlib import Path

from spikeloom.arch.boards import BOARDS
from spikeloom.boards.program import program
from spikeloom.boards.state import known, read_states
from spikeloom.boards.targets import target
from spikeloom.cli.console import print_table, say


def board_table() -> None:
    """Print the listed boards with their geometries, and what was measured of them."""
    states = read_states()
    rows = []
    for name, geometry in BOARDS.items():
        for bits, core in geometry.cores.items():
            state = known(geometry, bits, states)
            rows.append(
                (
                    name,
                    geometry.part,
                    core.neurons,
                    core.words * core.lanes,
                    bits,
                    core.lanes,
                    f"{geometry.clock_mhz:g}",
                    geometry.baud,
                    _yes(state is not None and state.timing_met),
                    "" if state is None else _yes(state.timing_met),
                    "" if state is None or not state.fmax_mhz else f"{state.fmax_mhz:g}",
                    _yes(state is not None and state.tried_on_hardware),
                )
            )
    columns = (
        "board", "part", "neurons", "synapses", "bits", "lanes", "MHz", "baud", "built", "timing met", "routed MHz", "on hardware",
    )  # fmt: skip
    print_table(
        "Boards; any other of amaranth-boards with an iCE40, an ECP5 or a Xilinx 7 goes by the name of its module", columns, rows
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def program_board(board: str, bitstream: Path, flash: bool) -> None:
    """Load a bitstream into a board."""
    program(target(board), bitstream, flash=flash)
    say(f"{bitstream}: {'written into the flash of' if flash else 'loaded into'} {board}")
