"""What a placement uses of what there is, what crosses and what that costs, and why a node is where it is."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benito.embedding.model import Embedding, Partition
from benito.embedding.needs import Resource, attribute, demand_of, promised_kbps, rate, shown, words
from benito.embedding.offers import limits_of, uplink_of
from benito.embedding.place import pass_limits, pass_numbers
from benito.embedding.rules import together_of
from benito.model import Kind, Lan, Node
from benito.policy import Policy
from benito.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much of something is used; `most` is math.inf where nothing limits it. Amounts as in `needs`."""

    resource: Resource
    used: int
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PnodeUse:
    """One pnode: its nodes by kind, its resources, and what crosses its uplink, in kbit/s."""

    partition: Partition
    kinds: Mapping[Kind, int]
    uses: tuple[Use, ...]
    uplink_kbps: int
    uplink_most_kbps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A LAN on several pnodes: what its trunk promises, and the cost, that for each pnode after the first."""

    lan: str
    pnodes: tuple[str, ...]
    rate_kbps: int
    cost_kbps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole placement in numbers; `cost_kbps` is the sum of the crossings'."""

    pnodes: tuple[PnodeUse, ...]
    crossings: tuple[Crossing, ...]
    cost_kbps: int

    def loads_kbps(self) -> Mapping[str, int]:
        """LAN -> what it promises across pnodes."""
        return {crossing.lan: crossing.rate_kbps for crossing in self.crossings}


def report(nodes: Sequence[Node], lans: Sequence[Lan], embedding: Embedding, policy: Policy, site: Site) -> Report:
    """The placement in numbers, in the order of its partitions and of the file's LANs."""
    crossings = _crossings(lans, embedding, site)
    traffic: Counter[str] = Counter()
    for crossing in crossings:
        traffic.update(dict.fromkeys(crossing.pnodes, crossing.rate_kbps))
    node_of = {node.name: node for node in nodes}
    number_of = pass_numbers(nodes, policy)
    pnodes = tuple(
        _use(one, [node_of[name] for name in one.nodes], traffic[one.pnode], number_of, policy, site)
        for one in embedding.partitions
    )
    return Report(pnodes=pnodes, crossings=crossings, cost_kbps=sum(crossing.cost_kbps for crossing in crossings))


def _crossings(lans: Sequence[Lan], embedding: Embedding, site: Site) -> tuple[Crossing, ...]:
    home, cut = embedding.pnode_of(), frozenset(embedding.cut_lans)
    found = []
    for lan in lans:
        if lan.name not in cut:
            continue
        pnodes = tuple(sorted({home[member.node] for member in lan.members}))
        kbps = promised_kbps(lan, site.unlimited_kbps)
        found.append(Crossing(lan=lan.name, pnodes=pnodes, rate_kbps=kbps, cost_kbps=kbps * (len(pnodes) - 1)))
    return tuple(found)


def _use(
    partition: Partition,
    nodes: Sequence[Node],
    traffic: int,
    number_of: Mapping[str, int],
    policy: Policy,
    site: Site,
) -> PnodeUse:
    limits = dict(limits_of(partition.type, site))
    packings = [pass_limits(policy, number_of[node.name]) for node in nodes if node.name in number_of]
    most = [one.packing for one in packings if one.packing is not None and one.size is None]
    limits[Resource.NODES] = min([limits[Resource.NODES], *most])
    demands = [demand_of(node, site) for node in nodes]
    uses = tuple(
        Use(
            resource=resource,
            used=0 if partition.whole else sum(demand.amounts[resource] for demand in demands),
            most=limits[resource],
        )
        for resource in Resource
    )
    return PnodeUse(
        partition=partition,
        kinds=Counter(node.kind or policy.default_kind for node in nodes),
        uses=uses,
        uplink_kbps=traffic,
        uplink_most_kbps=uplink_of(partition.type, site),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The node alone on another pnode: what that adds to the cost, in kbit/s across pnodes, and what forbids it."""

    pnode: str
    cost_kbps: int
    obstacles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a node is where it is: what ties it to pnodes (kbit/s of its LANs there), and what else could be."""

    node: str
    pnode: str
    ties_kbps: Mapping[str, int]
    elsewhere: tuple[Elsewhere, ...]


def explain(
    name: str, nodes: Sequence[Node], lans: Sequence[Lan], embedding: Embedding, policy: Policy, site: Site
) -> Explanation:
    """Why the node of that name is there, and what it would cost on every other pnode, the cheapest first."""
    home = dict(embedding.pnode_of())
    node = next(one for one in nodes if one.name == name)
    mine = [lan for lan in lans if any(member.node == name for member in lan.members)]
    ties: Counter[str] = Counter()
    for lan in mine:
        others = {home[member.node] for member in lan.members if member.node != name}
        ties.update(dict.fromkeys(others, promised_kbps(lan, site.unlimited_kbps)))
    numbers = {one.partition.pnode: one for one in report(nodes, lans, embedding, policy, site).pnodes}
    node_of = {one.name: one for one in nodes}
    number = pass_numbers(nodes, policy).get(name, 0)
    elsewhere = []
    for partition in embedding.partitions:
        if partition.pnode == home[name] or partition.whole:
            continue
        cost = _cost(mine, home | {name: partition.pnode}, site) - _cost(mine, home, site)
        there = [node_of[other] for other in partition.nodes]
        obstacles = _obstacles(node, nodes, there, numbers[partition.pnode], policy, site)
        if not pass_limits(policy, number).nodes_only:  # which places without regard to the network
            obstacles += _full_uplinks(name, partition.pnode, numbers, mine, home, site)
        elsewhere.append(Elsewhere(pnode=partition.pnode, cost_kbps=cost, obstacles=tuple(obstacles)))
    elsewhere.sort(key=lambda one: (one.cost_kbps, len(one.obstacles), one.pnode))
    return Explanation(node=name, pnode=home[name], ties_kbps=dict(ties), elsewhere=tuple(elsewhere))


def _cost(lans: Sequence[Lan], home: Mapping[str, str], site: Site) -> int:
    return sum(
        promised_kbps(lan, site.unlimited_kbps) * (len({home[member.node] for member in lan.members}) - 1)
        for lan in lans
    )


def _obstacles(
    node: Node, nodes: Sequence[Node], there: Sequence[Node], use: PnodeUse, policy: Policy, site: Site
) -> list[str]:
    """What forbids the node to join those on another pnode."""
    demand, number_of = demand_of(node, site), pass_numbers(nodes, policy)
    found = []
    for one in use.uses:
        over = one.used + demand.amounts[one.resource] - one.most
        if over > 0:
            found.append("full" if one.resource is Resource.NODES else f"{shown(one.resource, over)} too little")
    kind = node.kind or policy.default_kind
    if use.kinds.get(kind, 0) + 1 > use.partition.type.most_nodes.get(kind, math.inf):
        found.append(f"no more {kind} nodes may be there")
    found += [f"no {feature}" for feature in sorted(demand.features - use.partition.type.features)]
    pinned = dict(policy.pins).get(node.name) or attribute(node, "pnode")
    if pinned is not None:
        found.append(f"pinned to {pinned}")
    if node.partition is not None and not policy.force_partition:
        found.append(f"the file places it in partition {node.partition}")
    elif number_of.get(node.name) != number_of.get(there[0].name):
        found.append("of another pass")
    if any(node.name in group and len(group) > 1 for group in together_of(nodes, policy)):
        found.append("kept together with others")
    labels = set(words(attribute(node, "apart")))
    foes = {other for group in policy.apart if node.name in group for other in group}
    found += [
        f"kept apart from {one.name}"
        for one in there
        if one.name in foes or labels & set(words(attribute(one, "apart")))
    ][:1]
    kinds = {one.kind for one in there}
    found += [
        f"{one} and {other} may not share"
        for one, other in site.may_not_share
        if node.kind in (one, other) and kinds & {one, other} - {node.kind}
    ]
    return found


def _full_uplinks(
    name: str, target: str, numbers: Mapping[str, PnodeUse], mine: Sequence[Lan], home: Mapping[str, str], site: Site
) -> list[str]:
    """The uplinks, of the pnode that the node would leave and of the one it would join, that would promise too much."""
    moved = {**home, name: target}
    found = []
    for pnode in (home[name], target):
        change = 0
        for lan in mine:
            kbps = promised_kbps(lan, site.unlimited_kbps)
            for sign, where in ((-1, home), (1, moved)):
                touched = {where[member.node] for member in lan.members}
                change += sign * kbps * (len(touched) > 1 and pnode in touched)
        use = numbers[pnode]
        over = use.uplink_kbps + change - use.uplink_most_kbps
        if change > 0 and over > 0:
            found.append(f"the uplink of {pnode} has {rate(over)} too little")
    return found
