"""Makes a topology larger: copies of all of it side by side, or of chosen nodes where they are attached."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from benito.errors import Problem, Severity, UsageError
from benito.model import Lan, Member, Node, Topology, Traffic
from benito.topology.edit import check_names, renamed_throughout
from benito.topology.limits import ReadLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """How one copy's nodes, LANs, and its programs, traffic agents and groups are called."""

    nodes: Mapping[str, str]
    lans: Mapping[str, str]
    others: Mapping[str, str]


def multiply(
    topology: Topology,
    chosen: Collection[str],
    copies: int,
    *,
    limits: ReadLimits | None = None,
) -> Topology:
    """The topology with `copies` of each chosen node; the first of them is the node itself.

    The others are called NAME-2, NAME-3 and so on. A link of a chosen node is copied with it. A LAN all of whose
    members are chosen is copied as a whole, so that all nodes chosen give whole topologies side by side; any other LAN
    is joined by the copies. Copies keep what their node has, start commands and manual routes too, but no address,
    MAC or machine, which are one node's alone; what they lose so is said in a warning.

    Raises UsageError for a number below 1 or a result that no file may have, TopologyMeaningError for names that
    clash or grow too long.
    """
    limits = ReadLimits.from_environment() if limits is None else limits
    if copies < 1:
        raise UsageError(f"{copies} copies cannot be made", hint="1 or more; 1 changes nothing")
    chosen = frozenset(chosen)
    interfaces = sum(member.node in chosen for lan in topology.lans for member in lan.members)
    if len(chosen) * copies > limits.nodes or interfaces * copies > limits.interfaces:
        raise UsageError(
            f"{copies} copies of {len(chosen)} nodes are more than one experiment may have",
            hint=f"at most {limits.nodes} nodes and {limits.interfaces} interfaces",
        )
    copied = {lan.name for lan in topology.lans if _is_copied(lan, chosen)}
    plans = [_plan(topology, chosen, copied, number) for number in range(2, copies + 1)]
    lans = [_joined(lan, chosen, plans) if lan.name not in copied else lan for lan in topology.lans]
    lans += [_copied(lan, plan) for plan in plans for lan in topology.lans if lan.name in copied]
    old = {node.name for node in topology.nodes}
    larger = replace(
        topology,
        nodes=(
            *topology.nodes,
            *(_copied_node(node, plan) for plan in plans for node in topology.nodes if node.name in chosen),
        ),
        lans=_ports_given(lans, old),
    )
    for plan in plans:
        larger = _with_activities(larger, topology, chosen, plan)
    check_names(larger)
    return replace(larger, warnings=(*topology.warnings, *_losses(topology, chosen, copies)))


def _is_copied(lan: Lan, chosen: Collection[str]) -> bool:
    inside = sum(member.node in chosen for member in lan.members)
    return inside > 0 and (lan.is_link or inside == len(lan.members))


def _plan(topology: Topology, chosen: Collection[str], copied: Collection[str], number: int) -> _Copy:
    def called(names: Iterable[str]) -> Mapping[str, str]:
        return {name: f"{name}-{number}" for name in names}

    agents = [one.name for one in topology.programs if one.node in chosen]
    agents += [one.name for one in _traffic(topology, chosen)]
    return _Copy(
        nodes=called(node.name for node in topology.nodes if node.name in chosen),
        lans=called(lan.name for lan in topology.lans if lan.name in copied),
        others=called(agents),
    )


def _traffic(topology: Topology, chosen: Collection[str]) -> tuple[Traffic, ...]:
    """Traffic agents that are copied: both ends, for an agent has one peer only."""
    return tuple(one for one in topology.traffic if one.node in chosen and one.peer_node in chosen)


def _copied_node(node: Node, plan: _Copy) -> Node:
    return replace(node, name=plan.nodes[node.name], fixed_to=None)


def _copied_member(member: Member, name: str) -> Member:
    # Port -1 is given its number at the end, when all LANs stand in their order.
    return replace(member, node=name, port=-1, address=None, mac=None)


def _joined(lan: Lan, chosen: Collection[str], plans: Collection[_Copy]) -> Lan:
    more = [
        _copied_member(member, plan.nodes[member.node])
        for plan in plans
        for member in lan.members
        if member.node in chosen
    ]
    members = (*lan.members, *more)
    return replace(lan, members=members, is_link=lan.is_link and not more) if more else lan


def _copied(lan: Lan, plan: _Copy) -> Lan:
    members = tuple(_copied_member(member, plan.nodes.get(member.node, member.node)) for member in lan.members)
    # Its turn in Emulab's order of subnets is the original's alone.
    return replace(lan, name=plan.lans[lan.name], members=members, turn=None)


def _ports_given(lans: Iterable[Lan], old: Collection[str]) -> tuple[Lan, ...]:
    """New members get their node's next port in the order of the LANs; what had a number keeps it."""
    lans = list(lans)
    following: dict[str, int] = defaultdict(int)
    for lan in lans:
        for member in lan.members:
            if member.node in old:
                following[member.node] = max(following[member.node], member.port + 1)
    given = []
    for lan in lans:
        members = []
        for member in lan.members:
            if member.port < 0:
                member = replace(member, port=following[member.node])
                following[member.node] += 1
            members.append(member)
        given.append(replace(lan, members=tuple(members)))
    return tuple(given)


def _with_activities(larger: Topology, topology: Topology, chosen: Collection[str], plan: _Copy) -> Topology:
    """Adds the copy's manual routes, programs, traffic and events."""
    inside = {*plan.nodes, *plan.lans, *plan.others}
    mine = replace(
        topology,
        routes=tuple(route for route in topology.routes if route.node in chosen),
        programs=tuple(one for one in topology.programs if one.node in chosen),
        traffic=_traffic(topology, chosen),
        events=tuple(event for event in topology.events if event.target in inside),
        nodes=(),
        lans=(),
        groups=(),
        settings=(),
    )
    copy = renamed_throughout(mine, plan.nodes, plan.lans, plan.others)
    every = {**plan.nodes, **plan.lans, **plan.others}
    groups = tuple(
        (name, (*members, *(every[member] for member in members if member in every and every[member] not in members)))
        for name, members in larger.groups
    )
    return replace(
        larger,
        routes=larger.routes + copy.routes,
        programs=larger.programs + copy.programs,
        traffic=larger.traffic + copy.traffic,
        events=larger.events + copy.events,
        groups=groups,
    )


def _losses(topology: Topology, chosen: Collection[str], copies: int) -> list[Problem]:
    if copies == 1:
        return []
    members = [member for lan in topology.lans for member in lan.members if member.node in chosen]
    counted = {
        "addresses": sum(member.address is not None for member in members),
        "MAC addresses": sum(member.mac is not None for member in members),
        "machines": sum(node.fixed_to is not None for node in topology.nodes if node.name in chosen),
    }
    said = [
        f"the {what} that the file gives stay with {count} originals; copies get others"
        for what, count in counted.items()
        if count
    ]
    alone = sum(one.node in chosen for one in topology.traffic) - len(_traffic(topology, chosen))
    if alone:
        said.append(f"{alone} traffic agents are not copied: their peers have no copies")
    return [Problem(file=topology.source, message=message, severity=Severity.WARNING) for message in said]
