"""Tables of data on a terminal, all alike."""

from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table

from benito_cli.text import plain


def new_table(title: str | None, *columns: str, whole: Collection[str] = ()) -> Table:
    """A table with these columns; the words of those in `whole` are never broken over lines."""
    made = Table(title=None if title is None else plain(title), title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in whole)
    return made


def print_columns(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The same without lines and colours, for many rows: a table takes half a second for a thousand."""
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (columns, *rows))
    console.file.write("\n".join((title, *(plain(line.rstrip()).plain for line in lines), "")))


def add_row(made: Table, *cells: object) -> None:
    """One more row, its data as it is."""
    made.add_row(*(plain(cell) for cell in cells))
