"""`benito console`: the console of one node, on this terminal."""

import os
import sys
from typing import Annotated

import typer

Words = Annotated[
    list[str], typer.Argument(metavar="[EXP] NODE", help="star n-0, or n-0.star.lab, or n-0 where one node bears it.")
]


def console(words: Words) -> None:
    """Join the console of NODE: what it prints while it boots, and a shell. Ctrl-] leaves it."""
    from benito.errors import UsageError
    from benito.launch import ENVIRONMENT
    from benito_cli import wiring
    from benito_cli.nodewords import one_node

    controller = wiring.local_controller()
    experiment, node = one_node(controller, words)
    argv = controller.nodes.console_argv(experiment, node)
    if not sys.stdin.isatty():
        raise UsageError(
            "a console needs a terminal", hint="`benito logs --console NODE` prints it; `benito ssh` runs commands"
        )
    sys.stdout.flush()
    os.execvpe(argv[0], argv, {**ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb")})  # noqa: S606 - no shell is meant
