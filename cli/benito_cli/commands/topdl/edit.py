"""`benito topdl set`, `unset`, `set-kind`, `set-partition`, `rename` and `scale`: one file in, one file out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benito_cli.commands.topdl import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from benito.model import Topology
    from benito.topology.select import Selection


def _edit(
    file: Path,
    change: "Callable[[Topology], Topology]",
    *,
    out: Path | None,
    to: str | None,
    in_place: bool,
    force: bool,
    diff: bool,
    dry_run: bool,
) -> None:
    from benito.topology import read_topology
    from benito_cli.commands.topdl import output

    target = output.Target(
        output=out, to=options.parse_format(to), in_place=in_place, force=force, diff=diff, dry_run=dry_run
    )
    before = read_topology(file)
    output.edited(before, change(before), file, target)


def _on(
    chosen: "Selection", change: "Callable[[Topology, frozenset[str]], Topology]"
) -> "Callable[[Topology], Topology]":
    from benito.topology.select import select

    return lambda topology: change(topology, select(topology, chosen))


def set_(
    file: options.File,
    assignments: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            help="kind, partition, pass, memory, vcpus, start, os, hardware; or any attribute by its name.",
        ),
    ],
    nodes: options.Nodes = None,
    kinds: options.Kinds = None,
    attributes: options.Attributes = None,
    near: options.Near = None,
    hops: options.Hops = 1,
    inverted: options.Inverted = False,
    out: options.Output = None,
    to: options.To = None,
    in_place: options.InPlace = False,
    force: options.Force = False,
    diff: options.Diff = False,
    dry_run: options.DryRun = False,
) -> None:
    """Give nodes of FILE attributes: all nodes, or those that the options select."""
    from benito.topology.edit import parse_assignment, set_values

    pairs = [parse_assignment(word) for word in assignments]
    chosen = options.selection(nodes, kinds, attributes, near, hops, inverted=inverted)
    _edit(
        file,
        _on(chosen, lambda topology, names: set_values(topology, names, pairs)),
        out=out,
        to=to,
        in_place=in_place,
        force=force,
        diff=diff,
        dry_run=dry_run,
    )


def unset(
    file: options.File,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="As for `set`.")],
    nodes: options.Nodes = None,
    kinds: options.Kinds = None,
    attributes: options.Attributes = None,
    near: options.Near = None,
    hops: options.Hops = 1,
    inverted: options.Inverted = False,
    out: options.Output = None,
    to: options.To = None,
    in_place: options.InPlace = False,
    force: options.Force = False,
    diff: options.Diff = False,
    dry_run: options.DryRun = False,
) -> None:
    """Take attributes from nodes of FILE: from all nodes, or those that the options select."""
    from benito.topology.edit import parse_key, unset_values

    parsed = [parse_key(word) for word in keys]
    chosen = options.selection(nodes, kinds, attributes, near, hops, inverted=inverted)
    _edit(
        file,
        _on(chosen, lambda topology, names: unset_values(topology, names, parsed)),
        out=out,
        to=to,
        in_place=in_place,
        force=force,
        diff=diff,
        dry_run=dry_run,
    )


def set_kind(
    file: options.File,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="qemu, openvz, process or embedded_pnode.")],
    nodes: options.Nodes = None,
    kinds: options.Kinds = None,
    attributes: options.Attributes = None,
    near: options.Near = None,
    hops: options.Hops = 1,
    inverted: options.Inverted = False,
    out: options.Output = None,
    to: options.To = None,
    in_place: options.InPlace = False,
    force: options.Force = False,
    diff: options.Diff = False,
    dry_run: options.DryRun = False,
) -> None:
    """Realize nodes of FILE as KIND: all nodes, or those that the options select."""
    from benito.topology import edit

    wanted = options.parse_kind(kind)
    chosen = options.selection(nodes, kinds, attributes, near, hops, inverted=inverted)
    _edit(
        file,
        _on(chosen, lambda topology, names: edit.set_kind(topology, names, wanted)),
        out=out,
        to=to,
        in_place=in_place,
        force=force,
        diff=diff,
        dry_run=dry_run,
    )


def set_partition(
    file: options.File,
    partition: Annotated[int, typer.Argument(metavar="N", min=0, help="Nodes of one number share a pnode.")],
    nodes: options.Nodes = None,
    kinds: options.Kinds = None,
    attributes: options.Attributes = None,
    near: options.Near = None,
    hops: options.Hops = 1,
    inverted: options.Inverted = False,
    out: options.Output = None,
    to: options.To = None,
    in_place: options.InPlace = False,
    force: options.Force = False,
    diff: options.Diff = False,
    dry_run: options.DryRun = False,
) -> None:
    """Put nodes of FILE on the pnode number N: all nodes, or those that the options select."""
    from benito.topology import edit

    chosen = options.selection(nodes, kinds, attributes, near, hops, inverted=inverted)
    _edit(
        file,
        _on(chosen, lambda topology, names: edit.set_partition(topology, names, partition)),
        out=out,
        to=to,
        in_place=in_place,
        force=force,
        diff=diff,
        dry_run=dry_run,
    )


def rename(
    file: options.File,
    renamings: Annotated[list[str], typer.Argument(metavar="OLD=NEW...", help="A node or a LAN.")],
    out: options.Output = None,
    to: options.To = None,
    in_place: options.InPlace = False,
    force: options.Force = False,
    diff: options.Diff = False,
    dry_run: options.DryRun = False,
) -> None:
    """Rename nodes and LANs of FILE, wherever they are named. All at once: a=b b=a swaps two."""
    from benito.topology import edit

    pairs = [edit.parse_renaming(word) for word in renamings]
    _edit(
        file,
        lambda topology: edit.rename(topology, pairs),
        out=out,
        to=to,
        in_place=in_place,
        force=force,
        diff=diff,
        dry_run=dry_run,
    )


def scale(
    file: options.File,
    copies: Annotated[int, typer.Argument(metavar="N", help="How many there are to be of each.")],
    nodes: options.Nodes = None,
    kinds: options.Kinds = None,
    attributes: options.Attributes = None,
    near: options.Near = None,
    hops: options.Hops = 1,
    inverted: options.Inverted = False,
    out: options.Output = None,
    to: options.To = None,
    in_place: options.InPlace = False,
    force: options.Force = False,
    diff: options.Diff = False,
    dry_run: options.DryRun = False,
) -> None:
    """Multiply FILE: N copies of all of it side by side, or of the selected nodes where they are attached.

    The first copy keeps its names, the others are NAME-2, NAME-3 and so on. A selected node's links are copied with it;
    LANs that it shares with nodes that are not selected are joined.
    """
    from benito.topology.multiply import multiply

    chosen = options.selection(nodes, kinds, attributes, near, hops, inverted=inverted)
    _edit(
        file,
        _on(chosen, lambda topology, names: multiply(topology, names, copies)),
        out=out,
        to=to,
        in_place=in_place,
        force=force,
        diff=diff,
        dry_run=dry_run,
    )
