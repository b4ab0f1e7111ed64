"""`benito cp`: files and folders to a node and from it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benito_cli.text import plain


def cp(
    words: Annotated[
        list[str], typer.Argument(metavar="SRC... DST", help="One side is NODE:PATH, like n-0.star.lab:/var/log.")
    ],
    _recursive: Annotated[
        bool, typer.Option("-r", "--recursive", hidden=True, help="For habit's sake: folders are copied whole anyway.")
    ] = False,
) -> None:
    """Copy files and whole folders to a node or from it, as root. Modes and times are kept, owners are not.

    DST is a folder to copy into, or a new name. A relative PATH begins in root's home. A name here that holds a colon
    is written ./a:b. Links within what is copied stay links; of a node's, those that lead out of it are left out.
    """
    from benito.errors import UsageError
    from benito.nodecopy import Place, fetch, send
    from benito_cli import wiring

    if len(words) < 2:
        raise UsageError("name what to copy, and where to", hint="benito cp n-0.star.lab:/etc/hosts .")
    *sources, target = (Place.parse(word) for word in words)
    nodes = {place.node for place in sources}
    if len(nodes) > 1 or (None in nodes) == (target.node is None):
        raise UsageError(
            "one side has to be a node, the other here", hint="NODE:PATH is in a node; from node to node, copy twice"
        )
    controller = wiring.local_controller()
    experiment, node = controller.find_node(str(target.node or sources[0].node))

    def argv(command: Sequence[str]) -> list[str]:
        return controller.nodes.argv(experiment, node, command, terminal=False)

    if target.node is None:
        left = fetch(argv, [place.path for place in sources], Path(target.path))
    else:
        left = send(argv, [Path(place.path) for place in sources], target.path)
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in left:
        notes.print(plain(f"left out: {line}", "yellow"))
    if left:
        raise typer.Exit(1)
