"""`benito exec`: one command in many nodes at once."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from benito_cli import options
from benito_cli.text import plain

Words = Annotated[
    list[str], typer.Argument(metavar="EXP [PATTERN] -- CMD...", help="PATTERN chooses nodes by name, like 'n-*'.")
]


def exec_(
    words: Words,
    json: options.Json = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=86400, help="Seconds that the command may take in a node.")
    ] = 300,
) -> None:
    """Run CMD as root in every node of EXP whose name fits PATTERN. Exit code 0 only when it was 0 everywhere."""
    from benito.errors import UsageError
    from benito.execute import execute
    from benito.names import ExperimentId
    from benito_cli import documents, wiring

    misplaced = next((word for word in words[: words.index("--") if "--" in words else None] if word[:2] == "--"), None)
    if misplaced is not None and misplaced != "--":
        raise UsageError(f"{misplaced} stands after EXP", hint="options come first: benito exec [OPTIONS] EXP ...")
    if "--" not in words or not words[words.index("--") + 1 :] or not 1 <= words.index("--") <= 2:
        raise UsageError("nothing to run", hint="benito exec EXP [PATTERN] -- CMD...")
    cut = words.index("--")
    pattern = words[1] if cut == 2 else "*"
    outcomes = execute(
        wiring.local_controller(), ExperimentId.parse(words[0]), pattern, words[cut + 1 :], seconds=timeout
    )
    if json:
        typer.echo(documents.to_text(documents.outcomes_document(outcomes)))
    else:
        console = Console(highlight=False, soft_wrap=True)
        complaints = Console(stderr=True, highlight=False, soft_wrap=True)
        for outcome in outcomes:
            for line in outcome.output.splitlines():
                console.print(plain(f"{outcome.node}: {line}"))
            for line in outcome.errors.splitlines():
                complaints.print(plain(f"{outcome.node}: {line}"))
            if outcome.exit_code != 0:
                complaints.print(plain(f"{outcome.node}: exit code {outcome.exit_code}", "red"))
    if any(outcome.exit_code != 0 for outcome in outcomes):
        sys.exit(1)
