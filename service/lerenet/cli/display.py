"""Tables and progress bars, the same in every command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_PIPED_COLUMNS = 140


def output() -> Console:
    """Standard output; what goes into a file or pipe is not squeezed into the 80 columns of a terminal."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_COLUMNS
    return console


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a table to standard output: fractions with three decimals, None as a dash, no cell read as markup."""
    table = Table(box=SIMPLE_HEAD)
    filled = [list(row) for row in rows]
    for index, column in enumerate(columns):
        is_number = bool(filled) and all(isinstance(row[index], int | float | None) for row in filled)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in filled:
        table.add_row(*(Text(_words(cell)) for cell in row))
    output().print(table)


def progress_bar() -> Progress:
    """A bar with counts, time spent and time left on standard error; a context manager."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True))


def _words(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
