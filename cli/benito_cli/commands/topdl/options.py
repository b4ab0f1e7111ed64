"""Options that several verbs of `benito topdl` share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benito.model import Kind

if TYPE_CHECKING:
    from benito.topology.formats import Format
    from benito.topology.select import Selection

File = Annotated[Path, typer.Argument(metavar="FILE", help="Topology: .ns or .tcl is NS2, anything else TopDL.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="OUT", help="Write here: NS2 if it ends in .ns or .tcl.  [default: stdout]"),
]
To = Annotated[str | None, typer.Option("--to", metavar="ns|topdl", help="Language to write, whatever OUT ends in.")]
InPlace = Annotated[bool, typer.Option("--in-place", help="Write FILE anew, after showing what changes.")]
Force = Annotated[bool, typer.Option("--force", help="Rewrite an NS2 file in place, though its loops are lost.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show what changes, as a diff of both as TopDL.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")]

Nodes = Annotated[
    list[str] | None,
    typer.Option("--node", metavar="PATTERN", help="Nodes whose name fits, like 'n-*'. May be repeated."),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help="Nodes of that kind; `none` where no attribute says. May be repeated."),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option("--attribute", metavar="KEY[=VALUE]", help="Nodes that have it. All must be there, if repeated."),
]
Near = Annotated[str | None, typer.Option("--near", metavar="NODE", help="NODE and the nodes around it.")]
Hops = Annotated[int, typer.Option("--hops", help="How many LANs away --near reaches.")]
Inverted = Annotated[bool, typer.Option("--not", help="All nodes but those.")]


def selection(
    nodes: list[str] | None,
    kinds: list[str] | None,
    attributes: list[str] | None,
    near: str | None,
    hops: int,
    *,
    inverted: bool,
) -> "Selection":
    """What the options select. Raises UsageError."""
    from benito.topology.edit import parse_key
    from benito.topology.select import Selection

    pairs = []
    for word in attributes or ():
        key, equals, value = word.partition("=")
        pairs.append((parse_key(key), value if equals else None))
    return Selection(
        names=tuple(nodes or ()),
        kinds=tuple(None if kind == "none" else parse_kind(kind) for kind in kinds or ()),
        attributes=tuple(pairs),
        near=near,
        hops=hops,
        inverted=inverted,
    )


def parse_kind(word: str) -> Kind:
    """A kind of node. Raises UsageError."""
    from benito.errors import UsageError

    try:
        return Kind(word)
    except ValueError:
        raise UsageError(f"{word[:80]!r} is no kind of node", hint="known kinds: " + ", ".join(Kind)) from None


def parse_format(word: str | None) -> "Format | None":
    """What `--to` says. Raises UsageError."""
    from benito.errors import UsageError
    from benito.topology.formats import Format

    try:
        return None if word is None else Format(word.lower())
    except ValueError:
        raise UsageError(f"{word!r} is no language of topologies", hint="ns or topdl") from None
