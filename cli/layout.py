"""Text as wide as the terminal: lines that hang below their head, tables whose numbers stay whole."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDE = 120
"""Columns of a table that goes to a file."""

_UNBOUNDED = 10_000

HEAD = 15
"""Columns of the head of a line."""


def make_console() -> Console:
    """Standard output: as wide as the terminal, or as COLUMNS says; wide where it goes to a file."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if _is_bounded(console) else Console(highlight=False, width=_WIDE)


def _is_bounded(console: Console) -> bool:
    return console.is_terminal or os.environ.get("COLUMNS", "").isdigit()


def show_line(console: Console, text: str, *, head: str = "", width: int = HEAD) -> None:
    """A line of text with something before it; on a terminal, what does not fit goes below the text.

    Words are never broken, for they are paths and numbers. In a file a line stays one line.
    """
    whole = f"{head:<{width}} {text}" if head or width else text
    lines = [whole]
    if _is_bounded(console):
        below = " " * (width + 1 if width else 2)
        lines = textwrap.wrap(
            whole, console.width, subsequent_indent=below, break_long_words=False, break_on_hyphens=False
        )
    for one in lines:
        console.print(one, soft_wrap=True, markup=False)


def make_table(*columns: tuple[str, bool]) -> Table:
    """A plain table; columns by title and whether they hold numbers, which are never broken."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, number in columns:
        table.add_column(title, justify="right" if number else "left", no_wrap=number)
    return table


def show_table(console: Console, table: Table) -> None:
    """Show a table; the last columns are left out where it is too wide with words below each other."""
    from rich.cells import cell_len
    from rich.measure import Measurement

    for column in table.columns:
        cells = [str(cell) for cell in (column.header, *column.cells)]
        whole = cells if column.no_wrap else [word for cell in cells for word in cell.split()]
        column.min_width = max(map(cell_len, whole), default=0)
    unbounded = console.options.update(width=_UNBOUNDED)
    left_out: list[Any] = []
    while len(table.columns) > 2 and Measurement.get(console, unbounded, table).minimum > console.width:
        left_out.append(table.columns.pop().header)
    console.print(table)
    if left_out:
        names = ", ".join(str(name) for name in reversed(left_out))
        show_line(console, f"not shown for want of width: {names}", width=0)
