"""What the benchmarks share: options, tool versions, output."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any

from spikeloom import __version__
from spikeloom.boards.flow import Report, tool_versions
from spikeloom.cli.console import print_table

#: Placer seeds of every figure.
SEEDS = (1, 2, 3)


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with ``--json``."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return result


def finish(
    name: str, data: dict[str, Any], as_json: bool, columns: Sequence[str], rows: Callable[[], list[Sequence[object]]]
) -> None:
    """Print the result."""
    data = {"benchmark": name, "versions": {"spikeloom": __version__, **tool_versions()}, **data}
    if as_json:
        json.dump(data, sys.stdout, indent=2)
        print()
    else:
        print_table(name, columns, rows())


def log(text: str) -> None:
    """Tell what is going on."""
    print(text, file=sys.stderr, flush=True)


def summary(reports: Sequence[Report], wrapper: dict[str, int]) -> dict[str, Any]:
    """Cells without the measuring wrapper, and the clock over the seeds."""
    clocks = [round(report.fmax_mhz, 1) for report in reports]
    used = {kind: count - wrapper.get(kind, 0) for kind, count in reports[0].used.items()}
    return {
        "used": used,
        "fmax_mhz": dict(zip(map(str, SEEDS), clocks, strict=False)),
        "fmax_median_mhz": statistics.median(clocks),
    }
