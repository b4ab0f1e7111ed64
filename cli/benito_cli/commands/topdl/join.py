"""`benito topdl merge`: several files into one."""

from pathlib import Path
from typing import Annotated

import typer

from benito_cli.commands.topdl import options

Files = Annotated[list[Path], typer.Argument(metavar="FILE FILE...", help="Topologies, in the order they shall have.")]


def merge(
    files: Files,
    prefix: Annotated[
        list[str] | None,
        typer.Option("--prefix", metavar="WORD", help="Before every name of a file: the first for the first FILE ..."),
    ] = None,
    join: Annotated[bool, typer.Option("--join", help="LANs of the same name become one, with all members.")] = False,
    out: options.Output = None,
    to: options.To = None,
) -> None:
    """Join topologies into one. Names that clash are told, all of them, and nothing is written.

    With `--prefix`, LANs to be joined have the same name with it.
    """
    from benito.errors import UsageError
    from benito.topology import read_topology
    from benito.topology.formats import format_of
    from benito.topology.merge import merge as merged
    from benito.topology.merge import prefixed
    from benito_cli.commands.topdl import output

    words = prefix or []
    if len(words) > len(files):
        raise UsageError(f"{len(words)} prefixes for {len(files)} files", hint="one --prefix a file; '' for none")
    asked = options.parse_format(to)
    words = [*words, *[""] * (len(files) - len(words))]
    topology = merged(
        [prefixed(read_topology(file), word) for file, word in zip(files, words, strict=True)], join_lans=join
    )
    output.warn(topology.warnings)
    destination = None if out in (None, Path("-")) else out
    output.write(topology, asked or format_of(destination or files[0]), destination)
