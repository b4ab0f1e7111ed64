"""`benito status`: how the nodes are."""

from typing import Annotated

import typer
from rich.console import Console

from benito_cli import options


def status(
    experiment: Annotated[
        str | None, typer.Argument(metavar="[EXP]", help="lab/star, or star in the project lab.  [default: all]")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show each node's status (running, booted, dead), its start command's exit code, pnode, kind and addresses."""
    from benito.names import ExperimentId
    from benito_cli import documents, tables, wiring

    controller = wiring.local_controller()
    if experiment is None:
        names = [record.id for record in controller.experiments()]
    else:
        names = [ExperimentId.parse(experiment)]
    reports = [report for name in names for report in controller.report(name)]
    if json:
        typer.echo(documents.to_text(documents.status_document(reports)))
    else:
        tables.print_status(Console(), reports)
