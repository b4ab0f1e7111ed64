"""`benito node`: single nodes of a running experiment, stopped, started and made anew."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benito_cli import options
from benito_cli.booting import Timeout
from benito_cli.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benito.nodecontrol import NodeChange
    from benito.nodereport import NodeReport

app = typer.Typer(
    help="Single nodes of a running experiment: stop, start, restart and rebuild them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="EXP NODE...", help="The experiment and nodes of it, also as patterns like 'n-*'; or just n-0.star.lab."
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every node of EXP.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]

_DONE = {"stop": "stopped", "start": "started", "restart": "restarted", "rebuild": "rebuilt"}


@app.command("stop")
def stop(words: Words, everything: All = False, dry_run: DryRun = False, json: options.Json = False) -> None:
    """End nodes and keep their files. They stay stopped until `benito node start`; `benito repair` leaves them so."""
    _change("stop", words, every=everything, timeout=0, dry_run=dry_run, json=json)


@app.command("start")
def start(
    words: Words, everything: All = False, timeout: Timeout = None, dry_run: DryRun = False, json: options.Json = False
) -> None:
    """Boot nodes that were stopped or have died, with the files that they had. Exit code 0 only when all are booted."""
    _change("start", words, every=everything, timeout=timeout, dry_run=dry_run, json=json)


@app.command("restart")
def restart(
    words: Words, everything: All = False, timeout: Timeout = None, dry_run: DryRun = False, json: options.Json = False
) -> None:
    """Stop nodes and start them again: a power cycle. Files stay; links are plugged again, others' are not touched."""
    _change("restart", words, every=everything, timeout=timeout, dry_run=dry_run, json=json)


@app.command("rebuild")
def rebuild(
    words: Words, everything: All = False, timeout: Timeout = None, dry_run: DryRun = False, json: options.Json = False
) -> None:
    """Make nodes anew from their images: their files are lost. Links are plugged again, others' are not touched."""
    _change("rebuild", words, every=everything, timeout=timeout, dry_run=dry_run, json=json)


@app.command("watch", hidden=True)
def watch(experiment: Annotated[str, typer.Argument(metavar="EXP")]) -> None:
    """Start dead nodes of EXP again where their restart policies say so, until it is down. `benito up` runs this."""
    from benito.names import ExperimentId
    from benito_cli import wiring

    wiring.supervise(ExperimentId.parse(experiment))


def _change(
    what: str, words: "Sequence[str]", *, every: bool, timeout: float | None, dry_run: bool, json: bool
) -> None:
    from benito.nodecontrol import NodeChange
    from benito_cli import documents, wiring
    from benito_cli.booting import patience, refuse_late
    from benito_cli.nodewords import some_nodes
    from benito_cli.progress import shown

    controller = wiring.local_controller()
    experiment, names = some_nodes(controller, words, every=every)
    change = NodeChange(what)
    with shown() as progress:
        changed = controller.nodes.change(experiment, names, change, dry_run=dry_run, progress=progress)
        reports: list[NodeReport] = []
        if changed and not dry_run and change is not NodeChange.STOP:
            seconds = patience(controller.report(experiment), changed) if timeout is None else timeout
            reports = controller.nodes.wait_booted(experiment, seconds=seconds, names=changed, progress=progress)
    if json:
        typer.echo(documents.to_text({"change": what, "nodes": changed, "dry_run": dry_run}))
    else:
        _say(change, changed, names, dry_run=dry_run)
    refuse_late(controller, experiment, reports)


def _say(change: "NodeChange", changed: "Sequence[str]", names: "Sequence[str]", *, dry_run: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for name in names:
        if name in changed:
            console.print(plain(f"would {change} {name}" if dry_run else f"{name}: {_DONE[change]}"))
        else:
            console.print(plain(f"{name}: {'is stopped' if change == 'stop' else 'runs'} already"))
