"""`benito linktest`: whether a running experiment's links do as asked."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli import options

if TYPE_CHECKING:
    from benito.errors import LinkError
    from benito.linktest import LinkTest

_MOST_NAMED = 5


def linktest(
    experiment: Annotated[str, typer.Argument(metavar="EXP", help="lab/star, or star in the project lab.")],
    links: Annotated[list[str] | None, typer.Argument(metavar="[LINK]...", help="Only these.  [default: all]")] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, metavar="N", help="Only N of them, at random.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same number samples alike.")] = 0,
    last: Annotated[bool, typer.Option("--last", help="Show the newest result again; measure nothing.")] = False,
    json: options.Json = False,
) -> None:
    """Measure delay, loss and rate of links both ways, with real packets. Exit code 0 only if all are as asked."""
    from benito.errors import UsageError
    from benito.linktest import Outcome
    from benito.names import ExperimentId
    from benito_cli import documents, linktesttables, wiring
    from benito_cli.progress import shown

    if last and (links or sample is not None):
        raise UsageError("--last shows a result as it was", hint="leave LINK and --sample out")
    identity = ExperimentId.parse(experiment)
    controller = wiring.local_controller()
    if last:
        done = controller.last_linktest(identity)
    else:
        with shown() as progress:
            done = controller.linktest(identity, links or (), sample=sample, seed=seed, progress=progress)
    if json:
        typer.echo(documents.to_text(linktesttables.linktest_document(done)))
    else:
        linktesttables.print_linktest(Console(), done)
    if done.outcome is not Outcome.OK:
        raise complaint(done)


def complaint(done: "LinkTest") -> "LinkError":
    """The error that says which links are not as asked, or could not be measured in full."""
    from benito.errors import LinkError
    from benito.linktest import Outcome

    said = []
    for outcome, words in ((Outcome.OFF, "not as asked"), (Outcome.NOT_MEASURED, "not measured in full")):
        names = done.links_with(outcome)
        if names:
            more = " ..." if len(names) > _MOST_NAMED else ""
            said.append(f"{words}: {len(names)} of {done.links} links, {', '.join(names[:_MOST_NAMED])}{more}")
    mend = any(way.not_as_planned for way in done.ways)
    return LinkError("; ".join(said), hint=f"benito repair {done.experiment}" if mend else None)
