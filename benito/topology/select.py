"""Chooses nodes of a topology by what is known of them, as DETER's shopdl.py chose what it annotated."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from benito.errors import UsageError
from benito.model import Kind, Node, Topology
from benito.topology.findings import nearest

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which nodes are meant. Each field that is set narrows the choice; nothing set means all nodes.

    `names` are shell patterns, one of which must fit; `kinds` holds None for nodes whose file does not say;
    `attributes` pairs a key with the value that it must have (None: any), and all must be there. `near` keeps the
    nodes that are at most `hops` LANs away from a node of that name, itself included. `inverted` takes all the others.
    """

    names: tuple[str, ...] = ()
    kinds: tuple[Kind | None, ...] = ()
    attributes: tuple[tuple[str, str | None], ...] = ()
    near: str | None = None
    hops: int = 1
    inverted: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows the choice."""
        return not (self.names or self.kinds or self.attributes or self.near is not None)


def select(topology: Topology, selection: Selection) -> frozenset[str]:
    """The names of the chosen nodes. Raises UsageError, naming the nodes there are, where it chooses none."""
    neighbours = None if selection.near is None else _around(topology, selection.near, selection.hops)
    chosen = frozenset(
        node.name
        for node in topology.nodes
        if _fits(node, selection, neighbours) != (selection.inverted and not selection.is_everything)
    )
    if selection.inverted and selection.is_everything:
        raise UsageError("--not has nothing to turn round", hint="say which nodes are not meant: --not --node 'n-*'")
    if not chosen:
        raise UsageError("the selection chooses no node", hint=f"the nodes are {_listed(topology)}")
    return chosen


def _fits(node: Node, selection: Selection, neighbours: frozenset[str] | None) -> bool:
    if selection.names and not any(fnmatchcase(node.name, pattern) for pattern in selection.names):
        return False
    if selection.kinds and node.kind not in selection.kinds:
        return False
    if neighbours is not None and node.name not in neighbours:
        return False
    return all(_has(node, key, value) for key, value in selection.attributes)


def _has(node: Node, key: str, value: str | None) -> bool:
    return any(known == key and value in (None, held) for known, held in values(node))


def values(node: Node) -> Iterable[tuple[str, str]]:
    """All that a node's file says of it, by the names that TopDL gives them."""
    named = {
        "startup": node.start_command,
        "osid": node.os,
        "type": node.hardware,
        "failureaction": node.failure_action,
        "fixed": node.fixed_to,
    }
    yield from ((key, value) for key, value in named.items() if value is not None)
    yield from node.attributes


def _around(topology: Topology, name: str, hops: int) -> frozenset[str]:
    if hops < 0:
        raise UsageError("--hops counts the LANs on the way", hint="0 or more")
    names = [node.name for node in topology.nodes]
    if name not in names:
        raise UsageError(
            f"there is no node {name[:80]!r}", hint=nearest(name, names) or f"the nodes are {_listed(topology)}"
        )
    lans_of: dict[str, list[int]] = defaultdict(list)
    for number, lan in enumerate(topology.lans):
        for member in lan.members:
            lans_of[member.node].append(number)
    reached, edge, passed = {name}, {name}, set[int]()
    for _ in range(hops):
        crossed = {number for node in edge for number in lans_of[node]} - passed
        passed |= crossed
        edge = {member.node for number in crossed for member in topology.lans[number].members} - reached
        if not edge:
            break
        reached |= edge
    return frozenset(reached)


def _listed(topology: Topology) -> str:
    names = [node.name for node in topology.nodes]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
