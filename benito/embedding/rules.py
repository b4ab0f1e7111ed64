"""Who must be where: what attributes and options pin, keep together and keep apart, checked for contradictions."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from benito.embedding.needs import attribute, words
from benito.errors import UsageError
from benito.model import Node
from benito.policy import Policy
from benito.topology.findings import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Nodes as groups that share a pnode (a node without company is a group of its own), in the file's order.

    `pins` says where a group must be, `apart` which groups may not share a pnode, each set with its name.
    """

    groups: tuple[tuple[str, ...], ...]
    pins: Mapping[int, str]
    apart: tuple[tuple[str, tuple[int, ...]], ...]


def rules_of(
    nodes: Sequence[Node], every: Sequence[Node], policy: Policy, hosts: Collection[str], problems: list[str]
) -> Rules:
    """The rules for `nodes`; what contradicts itself is added to `problems`.

    `tb-fix-node` pins where it names one of `hosts`, the site's own names; elsewhere it means nothing for a container.

    Raises UsageError for an option that names a node that none of `every` is.
    """
    _check_names(every, policy)
    names = [node.name for node in nodes]
    known = set(names)
    together = [list(group) for group in (*policy.together, *_labelled(nodes, "together").values())]
    groups = _joined(names, [[name for name in group if name in known] for group in together])
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    pins: dict[int, str] = {}
    pinned = {node.name: node.fixed_to for node in nodes if node.fixed_to in hosts}
    pinned |= {node.name: where for node in nodes if (where := attribute(node, "pnode"))}
    pinned |= dict(policy.pins)
    for name in names:
        where = pinned.get(name)
        if where is None:
            continue
        if pins.setdefault(group_of[name], where) != where:
            problems.append(
                f"{name} is pinned to {where} and kept together with nodes pinned to {pins[group_of[name]]}"
            )
    apart = []
    labelled = [(f"the group {label!r}", group) for label, group in _labelled(nodes, "apart").items()]
    for title, members in [*((f"--apart {','.join(group)}", group) for group in policy.apart), *labelled]:
        numbers = [group_of[name] for name in members if name in known]
        for group in groups:
            both = [name for name in members if name in group and name in known]
            if len(both) > 1:
                problems.append(f"{both[0]} and {both[1]} are kept together and, by {title}, apart")
        if len(set(numbers)) == len(numbers) > 1:
            apart.append((title, tuple(numbers)))
    return Rules(groups=tuple(tuple(group) for group in groups), pins=pins, apart=tuple(apart))


def _check_names(every: Sequence[Node], policy: Policy) -> None:
    names = [node.name for node in every]
    known = set(names)
    options = [("--pin", [name for name, _ in policy.pins])]
    options += [("--together", list(group)) for group in policy.together]
    options += [("--apart", list(group)) for group in policy.apart]
    for option, asked in options:
        for name in asked:
            if name not in known:
                raise UsageError(f"{option}: there is no node {name[:80]!r}", hint=nearest(name, names))


def _labelled(nodes: Sequence[Node], name: str) -> Mapping[str, list[str]]:
    """Label -> nodes whose attribute has it among its words."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        for label in words(attribute(node, name)):
            found[label].append(node.name)
    return found


def _joined(names: Sequence[str], groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Groups that share a node made one, in the order of `names`; every name is in one."""
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for group in groups:
        for name in group[1:]:
            leader[find(name)] = find(group[0])
    joined: dict[str, list[str]] = {}
    for name in names:
        joined.setdefault(find(name), []).append(name)
    return list(joined.values())
