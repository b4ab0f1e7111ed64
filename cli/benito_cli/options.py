"""Options and arguments that several verbs share, and what makes an experiment of them."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_type_hints

import typer

from benito.model import Kind
from benito.policy import AddressRule, Effort, Strategy

if TYPE_CHECKING:
    from benito.embedding import Former
    from benito.planner import Experiment
    from benito.policy import Policy
    from benito.site import Site

File = Annotated[Path, typer.Argument(metavar="FILE", help="Topology: .ns or .tcl is NS2, anything else TopDL.")]
Name = Annotated[str | None, typer.Option("--name", help="Experiment name.  [default: from the file's name]")]
Project = Annotated[str, typer.Option("--project", help="Project that the experiment belongs to.")]
DefaultContainer = Annotated[
    Kind, typer.Option("--default-container", help="Kind of every node whose file does not say.")
]
Addressing = Annotated[
    AddressRule, typer.Option("--addressing", help="Whose rule numbers what the file gives no address.")
]
DefaultImage = Annotated[
    list[str] | None,
    typer.Option(
        "--default-image",
        metavar="[KIND=]NAME",
        help="Image of the nodes whose file names none. May be repeated.  [default: the site's, else micro]",
    ),
]
OpenvzTemplate = Annotated[
    str | None, typer.Option("--openvz-template", metavar="NAME", help="The same for openvz nodes alone.")
]
OpenvzDiskspace = Annotated[
    str | None,
    typer.Option(
        "--openvz-diskspace", metavar="SIZE", help="Most that an openvz node may write: 2G, 512M.  [default: no limit]"
    ),
]
StrictImages = Annotated[
    bool, typer.Option("--strict-images", help="Refuse names of systems that are no image here, instead of a warning.")
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template", metavar="KIND=FILE", help="Skeleton of domain XML for qemu, lxc or openvz. May be repeated."
    ),
]
RestartNodes = Annotated[
    str | None,
    typer.Option(
        "--restart", metavar="POLICY", help="never, on-failure[:N] or always[:N], where the file does not say."
    ),
]
Barrier = Annotated[
    bool, typer.Option("--barrier", help="Begin all start commands at one moment, when every node has booted.")
]
AllowUnshaped = Annotated[
    bool,
    typer.Option(
        "--allow-unshaped", help="Do without the delay and loss that this kernel cannot make; names the links."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

SiteFile = Annotated[
    Path | None,
    typer.Option(
        "--site",
        metavar="FILE",
        help="What pnodes there are, as TOML.  [default: $BENITO_SITE, /etc/benito/site.toml, else this machine]",
    ),
]
Packing = Annotated[
    str | None,
    typer.Option(
        "--packing",
        metavar="N|auto",
        help="At most so many nodes on a pnode; auto: as many as its capacities hold.  [default: auto]",
    ),
]
Size = Annotated[
    int | None,
    typer.Option("--size", metavar="N", help="Use so many pnodes; beats --packing."),
]
NodesOnly = Annotated[bool, typer.Option("--nodes-only", help="Place evenly, whatever the network looks like.")]
ForcePartition = Annotated[
    bool,
    typer.Option(
        "--force-partition",
        help="Place all nodes anew, whatever the file's partition attributes say.",
    ),
]
PnodeTypes = Annotated[
    list[str] | None,
    typer.Option("--pnode-types", "--pnode-type", metavar="T[,T...]", help="Types of pnodes to use."),
]
PassPack = Annotated[
    list[str] | None,
    typer.Option("--pass-pack", metavar="P:N[,P:N...]", help="Packing of single passes."),
]
PassSize = Annotated[
    list[str] | None,
    typer.Option("--pass-size", metavar="P:N[,P:N...]", help="Number of pnodes of single passes."),
]
PassPnodes = Annotated[
    list[str] | None,
    typer.Option("--pass-pnodes", metavar="P:T[,T...][;P:T...]", help="Types of pnodes of single passes."),
]
PassNodesOnly = Annotated[
    list[str] | None,
    typer.Option("--pass-nodes-only", metavar="P[,P...]", help="Passes that ignore the network."),
]
Pin = Annotated[
    list[str] | None,
    typer.Option("--pin", metavar="NODE=PNODE", help="Put a node on that pnode. May be repeated."),
]
Together = Annotated[
    list[str] | None,
    typer.Option("--together", metavar="A,B[,C...]", help="Nodes that share a pnode. May be repeated."),
]
Apart = Annotated[
    list[str] | None,
    typer.Option("--apart", metavar="A,B[,C...]", help="Nodes that share none. May be repeated."),
]
PackingStrategy = Annotated[
    Strategy | None,
    typer.Option(
        "--strategy",
        help="Few pnodes, or all of them evenly.  [default: the file's tb-set-packing-strategy, else pack]",
    ),
]
LookEffort = Annotated[Effort, typer.Option("--effort", help="How long to look for a good placement.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="The same number places alike.")]
Was = Annotated[
    str | None,
    typer.Option(
        "--was",
        metavar="PLAN|EXP",
        help="Stay where an earlier plan (its --json) or a known experiment has the nodes; shows who has to move.",
    ),
]
Lost = Annotated[
    list[str] | None,
    typer.Option("--lost", metavar="PNODE", help="With --was: that pnode is gone. May be repeated."),
]


def read_experiment(
    file: File,
    name: Name = None,
    project: Project = "lab",
    default_container: DefaultContainer = Kind.OPENVZ,
    addressing: Addressing = AddressRule.CONTAINERS,
    site: SiteFile = None,
    packing: Packing = None,
    size: Size = None,
    nodes_only: NodesOnly = False,
    force_partition: ForcePartition = False,
    pnode_types: PnodeTypes = None,
    pass_pack: PassPack = None,
    pass_size: PassSize = None,
    pass_pnodes: PassPnodes = None,
    pass_nodes_only: PassNodesOnly = None,
    pin: Pin = None,
    together: Together = None,
    apart: Apart = None,
    strategy: PackingStrategy = None,
    effort: LookEffort = Effort.DEFAULT,
    seed: Seed = 0,
    was: Was = None,
    lost: Lost = None,
    default_image: DefaultImage = None,
    openvz_template: OpenvzTemplate = None,
    openvz_diskspace: OpenvzDiskspace = None,
    strict_images: StrictImages = False,
    template: Templates = None,
    restart: RestartNodes = None,
    barrier: Barrier = False,
    allow_unshaped: AllowUnshaped = False,
) -> "Experiment":
    """The experiment that a file and the options make together. Raises TopologyError, EmbeddingError, UsageError."""
    from benito.policy import Policy
    from benito_cli import nodeoptions, placement

    policy = Policy(
        default_kind=default_container,
        packing=placement.packing(packing),
        size=size,
        nodes_only=nodes_only,
        pnode_types=placement.types(pnode_types),
        passes=placement.passes(pass_pack, pass_size, pass_pnodes, pass_nodes_only),
        force_partition=force_partition,
        strategy=strategy,
        pins=placement.pins(pin),
        together=placement.groups("--together", together),
        apart=placement.groups("--apart", apart),
        effort=effort,
        seed=seed,
        allow_unshaped=allow_unshaped,
        addressing=addressing,
        strict_images=strict_images,
        barrier=barrier,
    )
    policy = nodeoptions.with_defaults(policy, default_image, openvz_template, openvz_diskspace, restart, template)
    former = placement.former(was, lost)
    return _resolved(file, name, project, policy, placement.site(site), former, was)


def _resolved(
    file: Path, name: str | None, project: str, policy: "Policy", site: "Site", former: "Former | None", was: str | None
) -> "Experiment":
    from benito.controller import default_name
    from benito.names import ExperimentId
    from benito.paths import StatePaths
    from benito.planner import resolve
    from benito.topology import read_topology
    from benito_cli import nodeoptions, placement

    experiment = ExperimentId(project, default_name(file) if name is None else name)
    topology = read_topology(file)
    placement.check_former(was, former, topology)
    images = nodeoptions.known_images(StatePaths.from_environment())
    folder = file.absolute().parent
    return resolve(experiment, topology, policy, site, former=former, images=images, folder=folder)


def takes_experiment(*, without: tuple[str, ...] = ()) -> "Callable[[Callable[..., None]], Callable[..., None]]":
    """Gives a verb all options of `read_experiment` but those `without`; the verb gets the experiment and its file.

    Typer makes options of a function's parameters, so a shared list of them has to be put into each verb's signature.
    """
    shared = inspect.signature(read_experiment)
    hints = get_type_hints(read_experiment, include_extras=True, localns={"Experiment": object})

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        names = inspect.signature(verb).parameters
        own = [one for one in names.values() if one.name not in ("experiment", "file")]
        common = [
            one.replace(annotation=hints[one.name]) for one in shared.parameters.values() if one.name not in without
        ]

        @wraps(verb)
        def command(**given: object) -> None:
            words = {one.name: given.pop(one.name) for one in common}
            if "file" in names:
                given["file"] = words["file"]
            verb(experiment=read_experiment(**words), **given)  # type: ignore[arg-type]

        command.__signature__ = inspect.Signature([*common, *own])  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in (*common, *own)}
        return command

    return decorate
