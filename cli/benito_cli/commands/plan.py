"""`benito plan`: what an experiment would be, without root and without touching anything."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli import options

if TYPE_CHECKING:
    from benito.planner import Experiment


@options.takes_experiment(without=("allow_unshaped", "barrier"))
def plan(
    experiment: "Experiment",
    explain: Annotated[
        list[str] | None,
        typer.Option(
            "--explain", metavar="NODE", help="Why that node is where it is, and what it would cost elsewhere."
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="OUT", help="Draw it: .svg or .png, a box per pnode.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show the nodes, addresses, links and places of FILE's experiment. Needs no root, changes nothing."""
    from benito_cli import documents, placed

    if picture is not None:
        _draw(experiment, picture)
    if explain:
        explanations = [placed.explanation(experiment, node) for node in explain]
        if json:
            typer.echo(documents.to_text([placed.explanation_document(one) for one in explanations]))
        else:
            for one in explanations:
                placed.print_explanation(Console(), one)
        return
    if json:
        typer.echo(documents.to_text(documents.plan_document(experiment)))
        return
    from benito_cli import tables, wiring
    from benito_cli.text import plain

    tables.print_plan(Console(), experiment)
    if experiment.topology.lans:
        for line in wiring.shaping_told(experiment):
            Console(highlight=False, soft_wrap=True).print(plain(line))


def _draw(experiment: "Experiment", path: Path) -> None:
    from benito.picture.adapters import of_experiment
    from benito_cli import pictures

    pictures.write_picture(of_experiment(experiment, loads_kbps=experiment.report().loads_kbps()), path)
