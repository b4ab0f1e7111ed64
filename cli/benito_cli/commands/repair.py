"""`benito repair`: makes a running experiment as it was planned."""

from typing import Annotated

import typer
from rich.console import Console

from benito_cli import options


def repair(
    experiment: Annotated[str, typer.Argument(metavar="EXP", help="lab/star, or star in the project lab.")],
    links: Annotated[bool, typer.Option("--links", help="Links only; nodes stay as they are, also dead ones.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")] = False,
    json: options.Json = False,
) -> None:
    """Mend what differs from the plan: links that somebody deleted or changed, nodes that are dead.

    A container or machine whose device on the host is gone is started again from its image: only that makes the device.
    """
    from benito.names import ExperimentId
    from benito_cli import documents, linktables, wiring
    from benito_cli.progress import shown

    controller = wiring.local_controller()
    name = ExperimentId.parse(experiment)
    with shown() as progress:
        done = controller.links.repair(name, links_only=links, dry_run=dry_run, progress=progress)
    if json:
        typer.echo(documents.to_text(linktables.done_document(done, dry_run=dry_run)))
    else:
        linktables.print_done(Console(highlight=False), done, experiment=str(name), dry_run=dry_run)
