"""Tables of data on a terminal, all alike."""

from collections.abc import Collection

from rich.table import Table

from benito_cli.text import plain


def new_table(title: str | None, *columns: str, whole: Collection[str] = ()) -> Table:
    """A table with these columns; the words of those in `whole` are never broken over lines."""
    made = Table(title=None if title is None else plain(title), title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in whole)
    return made


def add_row(made: Table, *cells: object) -> None:
    """One more row, its data as it is."""
    made.add_row(*(plain(cell) for cell in cells))
