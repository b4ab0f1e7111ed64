"""`benito resume`: goes on with what `benito down --keep-state` put away."""

import time
from typing import Annotated

import typer
from rich.console import Console

from benito_cli import options
from benito_cli.booting import Timeout, patience, refuse_late
from benito_cli.text import plain


def resume(
    experiment: Annotated[str, typer.Argument(metavar="EXP", help="lab/star, or star in the project lab.")],
    timeout: Timeout = None,
    json: options.Json = False,
) -> None:
    """Swap EXP in again where `benito down --keep-state` left it: machines with their memory, all nodes with their
    files. Containers and processes boot anew. Exit code 0 only when every node is up.
    """
    from benito.names import ExperimentId
    from benito_cli import documents, tables, wiring
    from benito_cli.progress import shown

    controller = wiring.local_controller()
    name = controller.known(ExperimentId.parse(experiment))
    started = time.monotonic()
    with shown() as progress:
        controller.swap_in(name, progress=progress)
        seconds = patience(controller.report(name)) if timeout is None else timeout
        reports = controller.nodes.wait_booted(name, seconds=seconds, progress=progress)
    if json:
        typer.echo(documents.to_text(documents.status_document(reports, {str(name): controller.links.health(name)})))
    else:
        tables.print_status(Console(), reports)
    refuse_late(controller, name, reports)
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        plain(f"{name} is up again: {len(reports)} nodes in {time.monotonic() - started:.1f} s", "bold")
    )
