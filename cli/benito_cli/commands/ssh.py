"""`benito ssh`: a shell or a command in one node, whatever its kind."""

import os
import sys
from typing import Annotated

import typer

Words = Annotated[
    list[str], typer.Argument(metavar="NODE [-- CMD...]", help="n-0.star.lab, or n-0 where one node bears it.")
]


def ssh(words: Words) -> None:
    """Log in to NODE as root, or run CMD there and exit with its exit code."""
    from benito.launch import ENVIRONMENT
    from benito_cli import wiring

    node, command = words[0], words[1:]
    if command and command[0] == "--":
        command = command[1:]
    controller = wiring.local_controller()
    experiment, name = controller.find_node(node)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    argv = controller.nodes.argv(experiment, name, command, terminal=terminal)
    sys.stdout.flush()
    os.execvpe(argv[0], argv, {**ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb")})  # noqa: S606 - no shell is meant
