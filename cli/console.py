"""What the commands share: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from spikeloom.host.chip import Progress as ProgressCall

#: Width of tables where the output is not a terminal; a file has no width of its own.
FILE_WIDTH = 140


def output() -> Console:
    """Console of results."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else FILE_WIDTH, highlight=False, soft_wrap=False)


def log() -> Console:
    """Console of progress and messages."""
    return Console(file=sys.stderr, highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose entries are all numbers stand at the right."""
    table = Table(title=escape(title), title_justify="left", title_style="bold", header_style="bold")
    texts = [[entry if isinstance(entry, str) else str(entry) for entry in row] for row in rows]
    for number, column in enumerate(columns):
        entries = [row[number] for row in texts]
        numeric = all(entry[:1].isdigit() or entry[:1] == "-" or not entry for entry in entries)
        table.add_column(column, justify="right" if numeric and entries else "left", overflow="fold")
    for row in texts:
        table.add_row(*map(escape, row))
    output().print(table)


def say(text: str) -> None:
    """Print a result."""
    output().print(text, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning on standard error."""
    log().print(f"warning: {text}", markup=False, soft_wrap=True)


@contextmanager
def progress_bar(what: str) -> Iterator[ProgressCall]:
    """A progress bar for work that is counted."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = log()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def spinner(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner with the time elapsed, for work that is not counted."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = log()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda text: progress.update(task, description=f"{what}: {text}")
