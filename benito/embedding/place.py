"""The whole act of placing: whole machines, hand-made partitions, packing passes; every reason why not, at once."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from benito.embedding.former import Former
from benito.embedding.model import Embedding, Partition
from benito.embedding.needs import Resource, counted, shown
from benito.embedding.offers import Offer, Stock
from benito.embedding.pack import Bin, DoesNotFit, pack
from benito.embedding.passes import Pass
from benito.embedding.rules import Rules, pins_of, pnode_number, rules_of, together_of
from benito.errors import EmbeddingError, UsageError
from benito.model import Kind, Lan, Node
from benito.policy import PassPolicy, Policy, Strategy
from benito.site import PnodeType, Site

#: As many pnodes as are asked for, without limits: what is planned for when nothing is known of a testbed.
ENDLESS = Site(name="any testbed", pnode_types=(PnodeType(name="any"),))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Nodes that are packed together, and by what limits."""

    number: int
    nodes: tuple[Node, ...]
    limits: PassPolicy
    placed: bool = False


def embed(
    nodes: Sequence[Node], lans: Sequence[Lan], policy: Policy, site: Site = ENDLESS, *, former: Former | None = None
) -> Embedding:
    """Places all nodes: as the file places them where it places any, else packing pass by packing pass.

    The fewest pnodes come first (with Strategy.BALANCE an even spread over all there are), then the least bandwidth
    promised across pnodes, then even loads. With `former`, nodes stay where they were as far as they can, before
    anything else counts. The same input and seed give the same answer. Raises EmbeddingError with everything that
    stands in the way, UsageError for options that name what is not there.
    """
    _check_policy(policy)
    problems: list[str] = []
    stock = Stock(site)
    hosts = {name for one in site.pnode_types for name in one.names}
    if former is not None:
        former.withdraw_lost(stock)
    _check_passes(nodes, policy)
    problems += _scattered(nodes, policy)
    pinned = pins_of(nodes, policy, hosts)
    whole = [node for node in nodes if node.kind is Kind.EMBEDDED_PNODE]
    machines = _whole_machines(whole, pinned, stock, former, problems)
    bins: list[Bin] = []
    reasons: list[str] = []
    labels = {node: where for node, where in pinned.items() if pnode_number(where) is not None and where not in hosts}
    groups = _groups(nodes, policy)
    problems += _divided_labels(labels, groups)
    for group in groups:
        rules = _rules(group, nodes, policy, hosts, problems)
        offers = _offers(group, rules, stock, site, problems)
        if not offers:
            continue
        work = Pass(group.nodes, lans, rules, site, group.limits, offers)
        problems += _misfits(work, rules, offers)
        if problems:
            continue
        try:
            packed = pack(work, seed=policy.seed, effort=policy.effort, former=former)
        except DoesNotFit as error:
            lacking = error.reasons or ("no placement that keeps every rule was found",)
            problems += [f"{_title(group, groups)}{reason}" for reason in lacking]
            continue
        for one in packed.bins:
            stock.take(one.offer)
        if group.placed:
            packed = replace(packed, reason="as the file places them")
        bins += packed.bins
        reasons.append(f"{_title(group, groups)}{packed.reason}")
    if problems:
        raise refusal(problems)
    gone = frozenset() if former is None else frozenset(former.types)
    named = [replace(one, pnode=one.pnode or next(filter(None, map(labels.get, one.nodes)), None)) for one in bins]
    found = _numbered(nodes, lans, named, machines, reasons, gone=gone, keep=former is not None)
    problems += _far_labels(labels, found, former)
    if problems:
        raise refusal(problems)
    return found


def refusal(problems: Sequence[str]) -> EmbeddingError:
    """All reasons as one error."""
    once = list(dict.fromkeys(problems))
    message = (
        once[0]
        if len(once) == 1
        else "\n".join([f"{len(once)} things stand in the way:", *(f"  {one}" for one in once)])
    )
    return EmbeddingError(
        message, hint="change what these name: options, attributes, or what the site file says that there is"
    )


def _check_policy(policy: Policy) -> None:
    limits = [("--packing", policy.packing), ("--size", policy.size)]
    for number, one in policy.passes.items():
        limits += [(f"--pass-pack {number}:", one.packing), (f"--pass-size {number}:", one.size)]
    for option, value in limits:
        if value is not None and value < 1:
            raise EmbeddingError(f"{option} {value} leaves no room for any node", hint="give 1 or more")


def _check_passes(nodes: Sequence[Node], policy: Policy) -> None:
    numbers = sorted(set(pass_numbers(nodes, policy).values())) or [0]
    if any(node.partition_pass is None for node in nodes) and len(numbers) == 1:
        numbers = [0, 1]  # by kind, whether or not there are nodes of both
    for number in policy.passes:
        if number not in numbers:
            known = ", ".join(map(str, numbers))
            raise UsageError(f"an option speaks of pass {number}, which no node is in", hint=f"the passes are {known}")


def is_placed(nodes: Sequence[Node], policy: Policy) -> bool:
    """Whether the file's own partitions hold: it has any, and they are not to be made anew."""
    return any(node.partition is not None for node in nodes) and not policy.force_partition


def pass_numbers(nodes: Sequence[Node], policy: Policy) -> Mapping[str, int]:
    """Node -> its pass: the attribute's; in a file without any, by kind where options speak of passes.

    Nothing for whole machines, and for all nodes of a file that is taken as placed.
    """
    if is_placed(nodes, policy):
        return {}
    packed = [node for node in nodes if node.kind is not Kind.EMBEDDED_PNODE]
    if any(node.partition_pass is not None for node in packed):
        return {node.name: node.partition_pass or 0 for node in packed}
    return {node.name: int(bool(policy.passes) and node.kind is not Kind.OPENVZ) for node in packed}


def _groups(nodes: Sequence[Node], policy: Policy) -> list[_Group]:
    """The passes, in their order."""
    if is_placed(nodes, policy):
        placed = tuple(node for node in nodes if node.kind is not Kind.EMBEDDED_PNODE and node.partition is not None)
        limits = PassPolicy(pnode_types=policy.pnode_types)
        return [_Group(number=0, nodes=placed, limits=limits, placed=True)] if placed else []
    number_of = pass_numbers(nodes, policy)
    return [
        _Group(
            number=number,
            nodes=tuple(node for node in nodes if number_of.get(node.name) == number),
            limits=pass_limits(policy, number),
        )
        for number in sorted(set(number_of.values()))
    ]


def pass_limits(policy: Policy, number: int) -> PassPolicy:
    """A pass's own numbers before the experiment's, sizes before packings."""
    own = policy.passes.get(number, PassPolicy())
    return PassPolicy(
        packing=own.packing if own.packing is not None else policy.packing,
        size=own.size if own.size is not None else policy.size,
        pnode_types=own.pnode_types if own.pnode_types is not None else policy.pnode_types,
        nodes_only=own.nodes_only or policy.nodes_only,
    )


def _title(group: _Group, groups: Sequence[_Group]) -> str:
    return f"pass {group.number}: " if len(groups) > 1 else ""


def _rules(group: _Group, nodes: Sequence[Node], policy: Policy, hosts: Collection[str], problems: list[str]) -> Rules:
    if not group.placed:
        return rules_of(group.nodes, nodes, policy, hosts, problems)
    members: dict[str, list[str]] = {}
    for node in group.nodes:
        members.setdefault(node.partition or "", []).append(node.name)
    placed = tuple(members.values())
    rules = rules_of(
        group.nodes, nodes, replace(policy, together=(*policy.together, *map(tuple, placed))), hosts, problems
    )
    if len(rules.groups) < len(placed):
        problems.append("nodes of different partitions are kept together; --force-partition places them anew")
    return replace(rules, apart=(*rules.apart, ("the file's partitions", tuple(range(len(rules.groups))))))


def _offers(group: _Group, rules: Rules, stock: Stock, site: Site, problems: list[str]) -> list[Offer]:
    known = [one.name for one in site.pnode_types]
    problems += [
        f"{site.name} has no pnodes of type {name}; it has {', '.join(known)}"
        for name in group.limits.pnode_types or ()
        if name not in known
    ]
    offers = stock.offers(len(rules.groups), group.limits.pnode_types)
    if not offers and not problems:
        problems.append(f"{site.name} has no pnode left for {', '.join(node.name for node in group.nodes[:5])}")
    hosts = {offer.host for offer in offers}
    for number, pin in rules.pins.items():
        if pin not in hosts and pnode_number(pin) is None:
            names = ", ".join(sorted(host for host in hosts if host)) or "pnode-0000 and so on"
            problems.append(
                f"{rules.groups[number][0]} is pinned to {pin}, which is not to be had here; known: {names}"
            )
    return offers


def _misfits(work: Pass, rules: Rules, offers: Sequence[Offer]) -> list[str]:
    """What can never fit, however the nodes are placed."""
    found = []
    roomiest: dict[frozenset[str], dict[Resource, float]] = {}
    for number, group in enumerate(rules.groups):
        features = work.features(number)
        if features not in roomiest:
            able = [offer for offer in offers if features <= offer.type.features]
            roomiest[features] = {
                resource: max((work.limit(offer, resource, 1) for offer in able), default=-1) for resource in Resource
            }
        most = roomiest[features]
        who = group[0] if len(group) == 1 else f"{group[0]} and the {len(group) - 1} nodes that share its pnode"
        if min(most.values()) < 0:
            found.append(f"{who}: no pnode has {', '.join(sorted(features))}")
            continue
        for resource in Resource:
            total = sum(work.demand[name].amounts[resource] for name in group)
            if total > most[resource]:
                over = shown(resource, total - most[resource])
                found.append(f"{who}: {shown(resource, total)} needed on one pnode, {over} more than the largest has")
    found += [
        f"{title} keeps {len(groups)} nodes apart, and there are {len(offers)} pnodes"
        for title, groups in rules.apart
        if len(groups) > len(offers)
    ]
    return found + _shortages(work, offers)


def _shortages(work: Pass, offers: Sequence[Offer]) -> list[str]:
    found = []
    for resource in Resource:
        total = sum(demand.amounts[resource] for demand in work.demand.values())
        there = sum(work.limit(offer, resource, len(offers)) for offer in offers)
        if total > there:
            less = shown(resource, total - there)
            found.append(f"{shown(resource, total)} needed, all {len(offers)} pnodes together have {less} less")
    for kind, total in Counter(node.kind for node in work.nodes).items():
        room = sum(offer.most_of(kind) for offer in offers) if kind is not None else total
        if total > room:
            found.append(f"{counted(total, f'{kind} node')}, and all {len(offers)} pnodes together may hold {room:g}")
    return found


def _scattered(nodes: Sequence[Node], policy: Policy) -> list[str]:
    """Nodes that are to share a pnode and cannot: one is a whole machine, or they are of different passes."""
    found = []
    number_of = pass_numbers(nodes, policy)
    whole = {node.name for node in nodes if node.kind is Kind.EMBEDDED_PNODE}
    for group in together_of(nodes, policy):
        first = group[0]
        for other in group[1:]:
            machine = next((name for name in (first, other) if name in whole), None)
            if machine is not None:
                found.append(f"{first} and {other} are kept together, and {machine} is a whole machine")
            elif number_of.get(first) != number_of.get(other):
                found.append(f"{first} and {other} are kept together, and packed in different passes")
    return found


def _divided_labels(labels: Mapping[str, str], groups: Sequence[_Group]) -> list[str]:
    """Pnodes of the plan that nodes of two passes are pinned to."""
    found = []
    for label in sorted(set(labels.values())):
        numbers = [group.number for group in groups if any(labels.get(node.name) == label for node in group.nodes)]
        if len(numbers) > 1:
            found.append(
                f"nodes of passes {numbers[0]} and {numbers[1]} are pinned to {label}; no pnode serves two passes"
            )
    return found


def _far_labels(labels: Mapping[str, str], found: Embedding, former: Former | None) -> list[str]:
    """Pins to pnodes that the plan has not so many of."""
    count = len(found.partitions)
    if former is not None:
        return []
    return [
        f"{node} is pinned to {label}, and the plan has {count} pnodes, the last of them pnode-{count - 1:04d}"
        for node, label in labels.items()
        if (pnode_number(label) or 0) >= count
    ]


def _whole_machines(
    nodes: Sequence[Node], pinned: Mapping[str, str], stock: Stock, former: Former | None, problems: list[str]
) -> list[Partition]:
    """A machine for each node that is one: of its hardware type where the site knows that, else what is left over."""
    made = []
    offers = stock.offers(len(nodes)) if nodes else []
    for node in nodes:
        pnode = former.home.get(node.name) if former is not None else None
        pnode = pnode if former is not None and pnode in former.kept else None
        host = (
            pinned.get(node.name)
            or node.fixed_to
            or (former.hosts.get(pnode) if former is not None and pnode else None)
        )
        alike = [offer for offer in offers if node.hardware in (None, offer.type.name)] or [
            offer for offer in offers if offer.type.name not in {one.hardware for one in nodes}
        ]
        label = pinned.get(node.name)
        if label is not None and pnode_number(label) is not None:
            pnode = label
        elif label is not None and all(offer.host != label for offer in offers):
            problems.append(f"{node.name} is pinned to {label}, which is not to be had here")
        named = [offer for offer in offers if offer.host is not None and offer.host == host]
        chosen = next(iter(named or alike[::-1]), None)
        if chosen is None:
            problems.append(
                f"{node.name}: no whole machine is left" + (f" of type {node.hardware}" if node.hardware else "")
            )
            continue
        offers.remove(chosen)
        stock.take(chosen)
        made.append(Partition(pnode=pnode or "", nodes=(node.name,), type=chosen.type, host=chosen.host, whole=True))
    return made


def _numbered(
    nodes: Sequence[Node],
    lans: Sequence[Lan],
    bins: Sequence[Bin],
    machines: Sequence[Partition],
    reasons: Sequence[str],
    *,
    keep: bool,
    gone: frozenset[str],
) -> Embedding:
    """pnode-0000 and so on, by the first node of each in the file (with `keep`, in the order of `bins`).

    A bin that has a name keeps it; no other gets one that was used before.
    """
    place = {node.name: number for number, node in enumerate(nodes)}
    made = [
        Partition(
            pnode=one.pnode or "",
            nodes=tuple(sorted(one.nodes, key=place.__getitem__)),
            type=one.offer.type,
            host=one.offer.host,
        )
        for one in bins
    ]
    if not keep:
        made.sort(key=lambda partition: place[partition.nodes[0]])
    taken = gone | {one.pnode for one in (*made, *machines)}
    free = (name for number in count() if (name := f"pnode-{number:04d}") not in taken)
    partitions = tuple(one if one.pnode else replace(one, pnode=next(free)) for one in [*made, *machines])
    if not keep:
        partitions = tuple(sorted(partitions, key=lambda one: one.pnode))
    home: Mapping[str, str] = {node: partition.pnode for partition in partitions for node in partition.nodes}
    cut = tuple(lan.name for lan in lans if len({home[member.node] for member in lan.members}) > 1)
    return Embedding(partitions=partitions, cut_lans=cut, reasons=tuple(reasons))


def strategy_of(policy: Policy, settings: Mapping[str, str]) -> Strategy:
    """The option's, else the file's `tb-set-packing-strategy`, else to pack."""
    return policy.strategy or Strategy(settings.get("packing_strategy", Strategy.PACK))


def balanced(policy: Policy, nodes: Sequence[Node], site: Site) -> Policy:
    """The policy that spreads the nodes evenly over all pnodes that there are, as far as their number is known."""
    if policy.size is not None or any(one.count is None and not one.names for one in site.pnode_types):
        return policy
    there = sum(len(one.names) or one.count or 0 for one in site.pnode_types)
    packed = sum(node.kind is not Kind.EMBEDDED_PNODE for node in nodes)
    return replace(policy, size=max(1, min(there - (len(nodes) - packed), packed)))
