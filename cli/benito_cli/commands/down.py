"""`benito down`: ends an experiment without a trace."""

import time
from typing import Annotated

import typer
from rich.console import Console

from benito_cli.text import plain

Experiment = Annotated[str, typer.Argument(metavar="EXP", help="lab/star, or star in the project lab.")]


def down(
    experiment: Experiment,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed; do nothing.")] = False,
) -> None:
    """End every node of EXP and remove all that was made for it. Works also after a crash of `benito up`."""
    from benito.names import ExperimentId
    from benito_cli import tables, wiring
    from benito_cli.progress import shown

    name = ExperimentId.parse(experiment)
    controller = wiring.local_controller()
    if dry_run:
        tables.print_status(Console(), controller.report(name))
        return
    started = time.monotonic()
    with shown() as progress:
        controller.down(name, progress=progress)
    Console(stderr=True, highlight=False).print(
        plain(f"{name} is down after {time.monotonic() - started:.1f} s", "bold")
    )
