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
    pinned = {name: where for name, where in pins_of(nodes, policy, hosts).items() if name in known}
    labelled: dict[str, list[str]] = defaultdict(list)
    for name, where in pinned.items():
        if where not in hosts and pnode_number(where) is not None:
            labelled[where].append(name)
    together = [*together_of(nodes, policy), *labelled.values()]
    groups = _joined(names, [[name for name in group if name in known] for group in together])
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    pins: dict[int, str] = {}
    for name, where in pinned.items():
        if pins.setdefault(group_of[name], where) != where:
            problems.append(
                f"{name} is pinned to {where} and kept together with nodes pinned to {pins[group_of[name]]}"
            )
    apart = []
    own = [(f"the group {label!r}", group) for label, group in _labelled(nodes, "apart").items()]
    for title, members in [*((f"--apart {','.join(group)}", group) for group in policy.apart), *own]:
        numbers = [group_of[name] for name in members if name in known]
        for group in groups:
            both = [name for name in members if name in group and name in known]
            if len(both) > 1:
                problems.append(f"{both[0]} and {both[1]} are kept together and, by {title}, apart")
        if len(set(numbers)) == len(numbers) > 1:
            apart.append((title, tuple(numbers)))
    divided = tuple(sorted({group_of[members[0]] for members in labelled.values()}))
    if len(divided) > 1:
        apart.append(("the pins to different pnodes", divided))
    pins = {number: where for number, where in pins.items() if where not in labelled}
    return Rules(groups=tuple(tuple(group) for group in groups), pins=pins, apart=tuple(apart))


def pins_of(nodes: Sequence[Node], policy: Policy, hosts: Collection[str]) -> Mapping[str, str]:
    """Node -> the pnode that it is pinned to: the option's, else the attribute's, else that of `tb-fix-node`."""
    pinned = {node.name: node.fixed_to for node in nodes if node.fixed_to is not None and node.fixed_to in hosts}
    pinned |= {node.name: where for node in nodes if (where := attribute(node, "pnode"))}
    return pinned | dict(policy.pins)


def together_of(nodes: Sequence[Node], policy: Policy) -> list[list[str]]:
    """The groups of nodes that options and attributes keep together."""
    return [list(group) for group in (*policy.together, *_labelled(nodes, "together").values())]


def pnode_number(pin: str) -> int | None:
    """3 of `pnode-0003`; None for another name."""
    head, _, digits = pin.partition("-")
    return int(digits) if head == "pnode" and digits.isascii() and digits.isdecimal() and len(digits) <= 6 else None


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
