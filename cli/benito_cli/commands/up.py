"""`benito up`: from a file to running, wired, reachable nodes."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli import options
from benito_cli.booting import Timeout, patience, refuse_late
from benito_cli.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benito.planner import Experiment
    from benito.seams import Lack


@options.takes_experiment()
def up(
    experiment: "Experiment",
    file: Path,
    timeout: Timeout = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what is missing; do nothing.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Bring the experiment in FILE up on this machine. Exit code 0 only when every node is up.

    One that `benito down --keep-state` put away goes on from there, if FILE and options are the same.
    """
    from benito_cli import documents, tables, wiring
    from benito_cli.progress import shown

    controller = wiring.local_controller()
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    if dry_run:
        lacks = controller.lacks(experiment)
        if json:
            missing = [{"missing": lack.missing, "element": lack.element, "hint": lack.hint} for lack in lacks]
            typer.echo(documents.to_text({**documents.plan_document(experiment), "lacks": missing}))
        else:
            tables.print_plan(Console(), experiment)
            _print_lacks(notes, lacks)
        return
    tables.print_warnings(notes, experiment.warnings)
    started = time.monotonic()
    with shown() as progress:
        lacks = controller.up(experiment, data=file.read_bytes(), progress=progress)
        seconds = patience(controller.report(experiment.id)) if timeout is None else timeout
        reports = controller.nodes.wait_booted(experiment.id, seconds=seconds, progress=progress)
    if json:
        health = {str(experiment.id): controller.links.health(experiment.id)}
        typer.echo(documents.to_text(documents.status_document(reports, health)))
    else:
        tables.print_status(Console(), reports)
    _print_lacks(notes, lacks)
    refuse_late(controller, experiment.id, reports)
    seconds = time.monotonic() - started
    notes.print(plain(f"{experiment.id} is up: {len(reports)} nodes in {seconds:.1f} s", "bold"))


def _print_lacks(console: Console, lacks: "Sequence[Lack]") -> None:
    for lack in lacks:
        console.print(plain(f"warning: {lack.element}: without {lack.missing}", "yellow"))
