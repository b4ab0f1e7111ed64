"""`benito down`: ends an experiment, without a trace or so that it can go on."""

import time
from typing import Annotated

import typer
from rich.console import Console

from benito_cli.text import plain

Experiment = Annotated[str, typer.Argument(metavar="EXP", help="lab/star, or star in the project lab.")]


def down(
    experiment: Experiment,
    keep_state: Annotated[
        bool,
        typer.Option(
            "--keep-state", help="Keep machines' memory and all nodes' files; `benito resume EXP` goes on with them."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be ended; do nothing.")] = False,
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
        (controller.swap_out if keep_state else controller.down)(name, progress=progress)
    took = f"{time.monotonic() - started:.1f} s"
    said = f"swapped out after {took}; `benito resume {name}` goes on with it" if keep_state else f"down after {took}"
    Console(stderr=True, highlight=False, soft_wrap=True).print(plain(f"{name} is {said}", "bold"))
