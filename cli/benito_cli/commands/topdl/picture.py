"""`benito topdl picture`: a drawing of a topology, or of an experiment that is known here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benito.picture import Drawing
    from benito.status import NodeStatus

Words = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="TOPOLOGY OUT",
        help="What to draw, unless --topo or --experiment says it; where to, unless --out does: .svg or .png.",
    ),
]
Topo = Annotated[Path | None, typer.Option("--topo", metavar="FILE", help="Draw this topology.")]
Name = Annotated[
    str | None, typer.Option("--experiment", metavar="PROJ/EXP", help="Draw an experiment that `benito list` shows.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here, SVG or PNG by its ending.")]
Partitions = Annotated[
    bool, typer.Option("--partitions", help="Draw a box round nodes that share a partition, or a pnode.")
]
Program = Annotated[
    str | None,
    typer.Option(
        "--program", metavar="PROG", help="Place nodes by graphviz: dot, neato, fdp, sfdp, twopi, circo, osage."
    ),
]
AttrPrefix = Annotated[
    str | None, typer.Option("--attr-prefix", metavar="PREFIX", help="Deprecated: every prefix is understood.")
]


def picture(
    words: Words = None,
    topo: Topo = None,
    experiment: Name = None,
    out: Out = None,
    partitions: Partitions = False,
    program: Program = None,
    attr_prefix: AttrPrefix = None,
) -> None:
    """Draw a topology with its nodes, networks and addresses. With --experiment, one that is known on this machine."""
    from benito.picture.graphviz import engine_of
    from benito_cli.pictures import check_path, write_picture

    file, target = _source_and_target(list(words or ()), topo, experiment, out)
    check_path(target)
    if program is not None:
        engine_of(program)  # a word that cannot be is told before the file is read
    if attr_prefix is not None:
        _warn("--attr-prefix is deprecated and does nothing: every prefix is understood")
    drawing = _of_experiment(experiment, partitions) if experiment is not None else _of_file(file, partitions)
    if partitions and all(node.box is None for node in drawing.nodes):
        _warn("--partitions: no node has a partition, so there are no boxes")
    write_picture(drawing, target, program=program)


def _source_and_target(
    words: list[Path], topo: Path | None, experiment: str | None, out: Path | None
) -> tuple[Path, Path]:
    """The topology (of no meaning with --experiment) and the file to write. Raises UsageError."""
    from benito.errors import UsageError

    hint = "benito topdl picture TOPOLOGY OUT.svg"
    if topo is not None and experiment is not None:
        raise UsageError("--topo and --experiment contradict", hint="draw one or the other")
    if topo is None and experiment is None:
        if not words:
            raise UsageError("there is nothing to draw", hint=hint)
        topo = words.pop(0)
    if out is None:
        if not words:
            raise UsageError("there is no file to write to", hint=hint)
        out = words.pop(0)
    if words:
        raise UsageError(f"{str(words[0])[:80]!r} is one word too many", hint=hint)
    return topo or Path(), out


def _of_file(file: Path, partitions: bool) -> "Drawing":
    from benito.addressing import assign_addresses
    from benito.picture.adapters import of_topology
    from benito.topology import read_topology
    from benito_cli.commands.topdl import output

    topology = read_topology(file)
    output.warn(topology.warnings)
    return of_topology(topology, assign_addresses(topology), partitions=partitions)


def _of_experiment(name: str, partitions: bool) -> "Drawing":
    """From the store, with how the nodes are. Raises ExperimentMissing and StoreError."""
    from benito.errors import StoreError
    from benito.names import ExperimentId
    from benito.picture.adapters import of_plan
    from benito.store import missing
    from benito_cli import wiring

    wanted = ExperimentId.parse(name)
    controller = wiring.local_controller()
    record = next((one for one in controller.experiments() if str(one.id).lower() == str(wanted).lower()), None)
    if record is None:
        raise missing(wanted)
    parts = record.parts()
    if not parts:
        raise StoreError(f"{record.id} has no plan yet", hint="draw its file: benito topdl picture FILE OUT.svg")
    notes = {report.node: _said_of(report.status) for report in controller.report(record.id)}
    return of_plan(record.id, parts, partitions=partitions, notes=notes)


def _said_of(status: "NodeStatus") -> str:
    said = [status.boot or "status unknown"]
    said += [f"exit code {status.exit_code}"] if status.exit_code is not None else []
    said += [status.reason] if status.reason else []
    return ", ".join(said)


def _warn(message: str) -> None:
    from rich.console import Console

    from benito_cli.text import plain

    Console(stderr=True, highlight=False, soft_wrap=True).print(plain(f"warning: {message}", "yellow"))
