"""`benito list`: the experiments."""

import typer
from rich.console import Console

from benito_cli import options


def list_experiments(json: options.Json = False) -> None:
    """List the experiments that are known on this machine, with their state."""
    from benito_cli import documents, tables, wiring

    records = wiring.local_controller().experiments()
    if json:
        typer.echo(documents.to_text(documents.list_document(records)))
    else:
        tables.print_experiments(Console(), records)
