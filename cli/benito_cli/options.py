"""Options and arguments that several verbs share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benito.model import Kind
from benito.policy import AddressRule

if TYPE_CHECKING:
    from benito.planner import Experiment

File = Annotated[Path, typer.Argument(metavar="FILE", help="Topology: .ns or .tcl is NS2, anything else TopDL.")]
Name = Annotated[str | None, typer.Option("--name", help="Experiment name.  [default: from the file's name]")]
Project = Annotated[str, typer.Option("--project", help="Project that the experiment belongs to.")]
DefaultContainer = Annotated[
    Kind, typer.Option("--default-container", help="Kind of every node whose file does not say.")
]
Packing = Annotated[
    int | None, typer.Option("--packing", help="At most so many nodes on a pnode.  [default: all on one]")
]
ForcePartition = Annotated[
    bool, typer.Option("--force-partition", help="Place all nodes anew, whatever the file's partition attributes say.")
]
Addressing = Annotated[
    AddressRule, typer.Option("--addressing", help="Whose rule numbers what the file gives no address.")
]
AllowUnshaped = Annotated[
    bool,
    typer.Option(
        "--allow-unshaped", help="Do without the delay and loss that this kernel cannot make; names the links."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def read_experiment(
    file: Path,
    *,
    name: str | None,
    project: str,
    default_container: Kind,
    packing: int | None,
    force_partition: bool,
    addressing: AddressRule,
    allow_unshaped: bool = False,
) -> "Experiment":
    """The experiment that a file and the options make together. Raises TopologyError, EmbeddingError, UsageError."""
    from benito.controller import default_name
    from benito.names import ExperimentId
    from benito.planner import resolve
    from benito.policy import Policy
    from benito.topology import read_topology

    policy = Policy(
        default_kind=default_container,
        packing=packing,
        force_partition=force_partition,
        addressing=addressing,
        allow_unshaped=allow_unshaped,
    )
    experiment = ExperimentId(project, default_name(file) if name is None else name)
    return resolve(experiment, read_topology(file), policy)
