"""Bitstreams of the listed boards: resources, routed clock, size of the default geometries.

    python bench/boards.py [--json] [--board NAME ...] [--output DIR] [--jobs N]

Also writes what was measured into ``boards/state.json``, from where ``spikeloom boards`` takes it. With ``--board`` the JSON keeps the other
boards of ``bench/results/boards.json``, if the same tools built them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from common import finish, log, parser

from spikeloom import __version__
from spikeloom.arch.boards import BOARDS
from spikeloom.arch.errors import ToolError
from spikeloom.boards.build import TimingError, build
from spikeloom.boards.flow import tool_versions
from spikeloom.boards.state import State, read_states, state_of_report, write_states
from spikeloom.boards.targets import target

RESULTS = Path(__file__).parent / "results" / "boards.json"
COLUMNS = ("board", "LUT", "FF", "RAM", "DSP", "routed MHz", "clock MHz", "neurons", "synapses", "seed")


def measure(name: str, folder: str | None) -> tuple[dict[str, Any] | None, State, str]:
    """Build one board.

    Returns
    -------
    dict or None
        Its entry in the result; None if the build failed.
    State
        What the state file keeps.
    str
        Empty, or why the build failed.
    """
    geometry = BOARDS[name]
    config = geometry.chip()
    identifier = f"{config.geometry_id:#010x}"
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as work:
        goal = Path(work if folder is None else folder) / name
        try:
            report = build(target(name), config, goal, stage=lambda text: log(f"{name}: {text}"))
        except ToolError as error:
            reached = error.fmax_mhz if isinstance(error, TimingError) else 0.0
            return None, State(identifier, geometry.clock_mhz, False, reached, None), str(error)
    del report["versions"]
    core = config.cores[0]
    row = {
        **report,
        "title": geometry.title,
        "neurons": core.neurons,
        "axons": core.axons,
        "synapses": core.words * core.lanes,
    }
    return row, state_of_report(report), ""


def earlier(versions: Mapping[str, str]) -> dict[str, Any]:
    """Boards of the results on file, if the same tools built them."""
    if not RESULTS.exists():
        return {}
    data = json.loads(RESULTS.read_text())
    kept = data["boards"] if data["versions"] == versions else {}
    return {name: row for name, row in kept.items() if name in BOARDS}


def main() -> None:
    """Build and print."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "--board", action="append", choices=sorted(BOARDS), help="build this one only; may be given several times"
    )
    arguments.add_argument("--output", metavar="DIR", help="keep bitstreams, reports and logs in DIR/BOARD")
    arguments.add_argument("--jobs", type=int, default=1, choices=(1, 2), help="builds at a time")
    options = arguments.parse_args()
    names = options.board or list(BOARDS)
    rows = earlier({"spikeloom": __version__, **tool_versions()}) if options.board else {}
    failed = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        for name, (row, state, reason) in zip(names, pool.map(measure, names, [options.output] * len(names)), strict=True):
            # One after the other, so that what was built is kept if the rest is not.
            write_states({**read_states(), name: state})
            rows.pop(name, None)
            if row is None:
                failed[name] = reason
                log(f"{name}: {reason}")
            else:
                rows[name] = row
    write_states({name: state for name, state in read_states().items() if name in BOARDS})
    boards = {name: rows[name] for name in BOARDS if name in rows}

    def table() -> list[tuple[object, ...]]:
        return [
            (
                name,
                row["used"]["lut"],
                row["used"]["ff"],
                row["used"]["ram"],
                row["used"]["dsp"],
                row["fmax_mhz"],
                row["clock_mhz"],
                row["neurons"],
                row["synapses"],
                row["seed"],
            )
            for name, row in boards.items()
        ]

    finish("boards", {"boards": boards, "failed": failed}, options.json, COLUMNS, table)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
