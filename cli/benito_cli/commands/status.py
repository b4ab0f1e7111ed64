"""`benito status`: how the nodes are, and the links."""

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
    """Show each node's status (running, booted, dead), its start command's exit code, pnode, kind and addresses.

    Below: whether the links are as planned, and why measurements may be wrong (a relay or a machine that was too busy).
    """
    from benito.names import ExperimentId
    from benito_cli import documents, linktables, tables, wiring

    controller = wiring.local_controller()
    if experiment is None:
        names = [record.id for record in controller.experiments()]
    else:
        names = [ExperimentId.parse(experiment)]
    found = [(controller.report(name), controller.links.health(name)) for name in names]
    if json:
        reports = [report for nodes, _ in found for report in nodes]
        health = {str(nodes[0].experiment): links for nodes, links in found if nodes}
        typer.echo(documents.to_text(documents.status_document(reports, health)))
        return
    console = Console()
    for reports, links in found:
        tables.print_status(console, reports)
        if reports:
            linktables.print_health(console, str(reports[0].experiment), links)
