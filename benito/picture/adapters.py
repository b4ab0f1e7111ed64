"""Pictures of what Benito knows: a planned experiment, a topology file, the plan of a running experiment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benito.picture.model import Drawing, End, Net, PictureNode
from benito.picture.words import rate

if TYPE_CHECKING:
    from benito.addressing import Addresses
    from benito.model import Lan, Node, Shaping, Topology
    from benito.names import ExperimentId
    from benito.plan import LinkPlan, PnodePlan
    from benito.planner import Experiment

#: How a node's kind is called where nothing says it.
NO_KIND = "no kind given"


def of_experiment(
    experiment: "Experiment", *, loads_kbps: Mapping[str, int] | None = None, shows_addresses: bool = False
) -> Drawing:
    """An experiment with a box per pnode, and on each LAN that crosses pnodes its load.

    `loads_kbps` says the load of LANs by name; a LAN that it does not name bears the highest rate of its members.
    """
    topology, addresses = experiment.topology, experiment.addresses
    return Drawing(
        title=f"{experiment.id}",
        nodes=_nodes(topology, addresses, experiment.embedding.pnode_of()),
        nets=_nets(topology.lans, addresses, frozenset(experiment.embedding.cut_lans), loads_kbps or {}),
        shows_addresses=shows_addresses,
    )


def of_topology(topology: "Topology", addresses: "Addresses", *, partitions: bool) -> Drawing:
    """A file as it is, addresses shown; with `partitions` a box round the nodes that it places together."""
    shared = [node for node in topology.nodes if node.partition and node.kind != "embedded_pnode" and partitions]
    home = {node.name: f"partition {node.partition}" for node in shared}
    crossing = {
        lan.name
        for lan in topology.lans
        if len({home.get(member.node, f"={member.node}") for member in lan.members}) > 1 and home
    }
    return Drawing(
        title=Path(topology.source).name,
        nodes=_nodes(topology, addresses, home),
        nets=_nets(topology.lans, addresses, crossing, {}),
        shows_addresses=True,
    )


def of_plan(
    experiment: "ExperimentId",
    parts: "Sequence[PnodePlan]",
    *,
    partitions: bool,
    notes: Mapping[str, str] | None = None,
) -> Drawing:
    """What the pnodes were told, addresses shown; with `partitions` a box per pnode.

    `notes` has a line more for nodes, by name: how they are.
    """
    links: dict[str, list[LinkPlan]] = defaultdict(list)
    for part in parts:
        for link in part.links:
            links[link.lan].append(link)
    nodes = tuple(
        PictureNode(
            name=node.name,
            kind=node.kind,
            box=part.pnode if partitions else None,
            notes=(
                *(f"{interface.name} {interface.address} {interface.lan}" for interface in node.interfaces),
                *filter(None, [(notes or {}).get(node.name)]),
            ),
        )
        for part in parts
        for node in part.nodes
    )
    home = {node.name: part.pnode for part in parts for node in part.nodes}
    return Drawing(
        title=str(experiment),
        nodes=nodes,
        nets=tuple(_net_of_plan(lan, pieces, home if partitions else {}) for lan, pieces in links.items()),
        shows_addresses=True,
    )


def _net_of_plan(lan: str, pieces: "Sequence[LinkPlan]", home: Mapping[str, str]) -> Net:
    # Each pnode's part may list all ports of a LAN that crosses, or only its own.
    ports = list({(port.node, port.interface): port for piece in pieces for port in piece.ports}.values())
    load = _load((half for port in ports for half in (port.into, port.out_of)), None)
    return Net(
        name=lan,
        ends=tuple(End(node=port.node, address=str(port.address.ip)) for port in ports),
        crossing=len({home.get(port.node) for port in ports}) > 1,
        load=load,
        notes=(load,),
    )


def _nodes(topology: "Topology", addresses: "Addresses", home: Mapping[str, str]) -> tuple[PictureNode, ...]:
    notes: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for lan in topology.lans:
        for member in lan.members:
            address = addresses.get((member.node, member.port))
            notes[member.node].append((member.port, f"eth{member.port} {address or ''} {lan.name}"))
    return tuple(
        _node(node, home.get(node.name), [note for _, note in sorted(notes[node.name])]) for node in topology.nodes
    )


def _node(node: "Node", box: str | None, notes: Sequence[str]) -> PictureNode:
    return PictureNode(name=node.name, kind=node.kind or NO_KIND, box=box, notes=tuple(notes))


def _nets(
    lans: "Sequence[Lan]", addresses: "Addresses", crossing: Iterable[str], loads_kbps: Mapping[str, int]
) -> tuple[Net, ...]:
    apart = frozenset(crossing)
    nets = []
    for lan in lans:
        halves = (half for member in lan.members for half in (member.into, member.out_of))
        load = _load(halves, loads_kbps.get(lan.name))
        nets.append(
            Net(
                name=lan.name,
                ends=tuple(
                    End(node=member.node, address=_address(addresses, member.node, member.port))
                    for member in lan.members
                ),
                crossing=lan.name in apart,
                load=load,
                notes=(load,),
            )
        )
    return tuple(nets)


def _address(addresses: "Addresses", node: str, port: int) -> str:
    found = addresses.get((node, port))
    return "" if found is None else str(found.ip)


def _load(halves: "Iterable[Shaping]", given_kbps: int | None) -> str:
    if given_kbps is not None:
        return rate(given_kbps)
    rates = [half.rate_kbps for half in halves]
    return rate(max((found for found in rates if found is not None), default=None))
