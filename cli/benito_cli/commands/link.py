"""`benito link`: the links of a running experiment, shown and changed."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli import options

if TYPE_CHECKING:
    from benito.linkedit import LinkChange

app = typer.Typer(
    help="The links of a running experiment: show and change them.", no_args_is_help=True, rich_markup_mode=None
)

Experiment = Annotated[str, typer.Argument(metavar="EXP", help="lab/star, or star in the project lab.")]
Link = Annotated[str, typer.Argument(metavar="LINK", help="A link's or LAN's name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
Source = Annotated[
    str | None, typer.Option("--from", metavar="NODE", help="Only what that member sends; in a LAN, its way in.")
]
Target = Annotated[
    str | None, typer.Option("--to", metavar="NODE", help="Only what goes to that member; in a LAN, its way out.")
]
Member = Annotated[str | None, typer.Option("--node", metavar="NODE", help="That member only.  [default: all]")]


@app.command("show")
def show(
    experiment: Experiment,
    link: Annotated[str | None, typer.Argument(metavar="[LINK]", help="All about one.  [default: all links]")] = None,
    json: options.Json = False,
) -> None:
    """Show the links: what they do to packets, how they are made, whether they are as planned."""
    from benito.linkedit import find_link
    from benito.names import ExperimentId
    from benito_cli import documents, linktables, wiring

    links = wiring.local_controller().links
    name = ExperimentId.parse(experiment)
    plan = links.plan(name)
    only = None if link is None else find_link(plan, link)
    health = links.health(name)
    if json:
        typer.echo(documents.to_text(linktables.links_document(plan, health, only)))
    else:
        linktables.print_links(Console(), plan, health, only)


@app.command("set")
def set_link(
    experiment: Experiment,
    link: Link,
    source: Source = None,
    target: Target = None,
    rate: Annotated[str | None, typer.Option("--rate", metavar="10Mb|unlimited", help="Bandwidth.")] = None,
    delay: Annotated[str | None, typer.Option("--delay", metavar="20ms", help="From member to member.")] = None,
    jitter: Annotated[str | None, typer.Option("--jitter", metavar="2ms", help="Delay more or less.")] = None,
    loss: Annotated[str | None, typer.Option("--loss", metavar="1%", help="Share of packets.")] = None,
    reorder: Annotated[str | None, typer.Option("--reorder", metavar="1%", help="Share that overtakes.")] = None,
    duplicate: Annotated[str | None, typer.Option("--duplicate", metavar="1%", help="Share that comes twice.")] = None,
    corrupt: Annotated[str | None, typer.Option("--corrupt", metavar="1%", help="Share with a wrong bit.")] = None,
    queue: Annotated[str | None, typer.Option("--queue", metavar="50", help="Packets that wait at most.")] = None,
    dry_run: DryRun = False,
    json: options.Json = False,
) -> None:
    """Change what LINK does to packets, both ways or one. Nodes notice nothing else; packets under way arrive."""
    from benito.names import ExperimentId
    from benito_cli import wiring
    from benito_cli.linkwords import link_change

    plan = wiring.local_controller().links.plan(ExperimentId.parse(experiment))
    words = {"rate": rate, "delay": delay, "jitter": jitter, "loss": loss, "reorder": reorder}
    words |= {"duplicate": duplicate, "corrupt": corrupt, "queue": queue}
    _change(experiment, link_change(plan, link, source, target, words), dry_run=dry_run, json=json)


@app.command("down")
def down(
    experiment: Experiment, link: Link, node: Member = None, dry_run: DryRun = False, json: options.Json = False
) -> None:
    """Pull the cable of LINK: its members see no carrier, and nothing passes."""
    from benito.linkedit import LinkChange

    _change(experiment, LinkChange(link=link, source=node, down=True), dry_run=dry_run, json=json)


@app.command("up")
def up(
    experiment: Experiment, link: Link, node: Member = None, dry_run: DryRun = False, json: options.Json = False
) -> None:
    """Plug the cable of LINK in again."""
    from benito.linkedit import LinkChange

    _change(experiment, LinkChange(link=link, source=node, down=False), dry_run=dry_run, json=json)


def _change(experiment: str, change: "LinkChange", *, dry_run: bool, json: bool) -> None:
    from benito.names import ExperimentId
    from benito_cli import documents, linktables, wiring

    name = ExperimentId.parse(experiment)
    done = wiring.local_controller().links.change(name, change, dry_run=dry_run)
    if json:
        typer.echo(documents.to_text(linktables.done_document(done, dry_run=dry_run)))
    else:
        nothing = f"nothing to change: {change.link} is so already"
        console = Console(highlight=False)
        linktables.print_done(console, done, experiment=str(name), dry_run=dry_run, nothing=nothing)
