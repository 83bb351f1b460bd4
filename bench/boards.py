"""Bitstreams of all boards: resources, routed clock, size of the default geometries.

python bench/boards.py [--json]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import finish, log, parser

from spikeloom.arch.boards import BOARDS
from spikeloom.boards.build import build
from spikeloom.boards.targets import target


def main() -> None:
    """Build and print."""
    options = parser(__doc__).parse_args()
    boards = {}
    for name, geometry in BOARDS.items():
        with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
            report = build(target(name), geometry.chip(), Path(folder), stage=lambda text, name=name: log(f"{name}: {text}"))
        core = geometry.chip().cores[0]
        del report["versions"]
        boards[name] = {
            **report,
            "title": geometry.title,
            "neurons": core.neurons,
            "axons": core.axons,
            "synapses": core.words * core.lanes,
        }

    def rows() -> list[tuple[object, ...]]:
        return [
            (
                name,
                row["used"]["lut"],
                row["used"].get("ff", ""),
                row["used"]["ram"],
                row["used"]["dsp"],
                row["fmax_mhz"],
                row["clock_mhz"],
            )
            for name, row in boards.items()
        ]

    finish("boards", {"boards": boards}, options.json, ("board", "LUT", "FF", "RAM", "DSP", "routed MHz", "clock MHz"), rows)


if __name__ == "__main__":
    main()
