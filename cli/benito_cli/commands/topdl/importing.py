"""`benito topdl import`: other people's network descriptions."""

from pathlib import Path
from typing import Annotated

import typer

from benito_cli.commands.topdl import options


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="GraphML (.graphml, .xml) or containerlab (.yml, .yaml).")
    ],
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Of every node.")] = None,
    out: options.Output = None,
    to: options.To = None,
) -> None:
    """Make a topology of a network map or a containerlab lab. What is changed or left out is said on stderr."""
    from benito.topology import edit
    from benito.topology.formats import Format, format_of
    from benito.topology.importers import import_topology
    from benito_cli.commands.topdl import output

    asked = options.parse_format(to)
    wanted = None if kind is None else options.parse_kind(kind)
    topology = import_topology(file)
    output.warn(topology.warnings)
    if wanted is not None:
        topology = edit.set_kind(topology, {node.name for node in topology.nodes}, wanted)
    destination = None if out in (None, Path("-")) else out
    output.write(topology, asked or (Format.TOPDL if destination is None else format_of(destination)), destination)
