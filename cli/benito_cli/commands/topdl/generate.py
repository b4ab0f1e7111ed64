"""`benito topdl generate`: topologies of the usual shapes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from benito_cli.commands.topdl import options

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_SIZES = (
    "star LEAVES, ring NODES, line NODES, tree DEPTH [FANOUT], lan NODES, grid ROWS COLUMNS, "
    "random NODES [LINKS], fat-tree K."
)


def generate(
    shape: Annotated[str, typer.Argument(metavar="SHAPE", help="star, ring, line, tree, lan, grid, random, fat-tree.")],
    sizes: Annotated[list[int], typer.Argument(metavar="SIZE...", help=_SIZES)],
    rate: Annotated[str | None, typer.Option("--rate", help="Of every link, like 100Mb.  [default: no limit]")] = None,
    delay: Annotated[str | None, typer.Option("--delay", help="Of every link, node to node, like 10ms.")] = None,
    loss: Annotated[str | None, typer.Option("--loss", help="Of every link, from 0 to 1, like 0.01.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Of every node.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same number gives the same random topology.")] = 0,
    out: options.Output = None,
    to: options.To = None,
) -> None:
    """Make a topology of a usual shape. The same words give the same file, every time."""
    from benito.errors import UsageError
    from benito.topology import generate as making
    from benito.topology.findings import nearest
    from benito.topology.formats import Format, format_of
    from benito.topology.quantities import bandwidth_kbps, delay_ms, loss_ratio
    from benito_cli.commands.topdl import output

    shapes = [one.value for one in making.Shape]
    if shape not in shapes:
        raise UsageError(f"{shape[:80]!r} is no shape", hint=nearest(shape, shapes) or ", ".join(shapes))
    quality = making.LinkQuality(
        rate_kbps=_number("--rate", bandwidth_kbps, rate, None),
        delay_us=1000 * _number("--delay", delay_ms, delay, 0),
        loss_ratio=_number("--loss", loss_ratio, loss, 0.0),
    )
    topology = making.generate(
        making.Shape(shape),
        sizes,
        quality=quality,
        kind=None if kind is None else options.parse_kind(kind),
        seed=seed,
    )
    asked = options.parse_format(to)
    destination = None if out in (None, Path("-")) else out
    output.write(topology, asked or (Format.TOPDL if destination is None else format_of(destination)), destination)


def _number(option: str, read: "Callable[[str], T]", word: str | None, otherwise: T) -> T:
    """The value of an option, as an NS2 file would write it. Raises UsageError."""
    from benito.errors import UsageError
    from benito.topology.quantities import Rejection

    try:
        return otherwise if word is None else read(word)
    except Rejection as rejection:
        raise UsageError(f"{option}: {rejection.message}", hint=rejection.hint) from None
