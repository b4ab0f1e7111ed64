"""Changes topologies as values: what shopdl.py did to TopDL files, so that nobody edits XML by hand.

Each function gives a changed copy and leaves everything that it was not asked to touch as the file says it.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benito import names
from benito.errors import Problem, TopologyMeaningError, UsageError
from benito.model import Kind, Lan, Node, Topology
from benito.topology.attributes import interpret_attributes
from benito.topology.draft import DraftNode
from benito.topology.findings import Findings, nearest
from benito.topology.select import values

_KEY = re.compile(r"[A-Za-z_][-A-Za-z0-9_.:]{0,127}", re.ASCII)
_MOST_VALUE_BYTES = 32768
_FAILURE_ACTIONS = ("fatal", "nonfatal", "ignore")
#: Short words for the attributes that DETER's Containers reference names.
_SHORT: Mapping[str, str] = {
    "kind": "containers:node_type",
    "partition": "containers:partition",
    "pass": "containers:PartitionPass",
    "ghost": "containers:ghost",
    "memory": "benito:memory",
    "vcpus": "benito:vcpus",
    "start": "startup",
    "os": "osid",
    "hardware": "type",
}
#: What has a field of its own in the model, by its name in TopDL.
_FIELDS: Mapping[str, Callable[[Node, str | None], Node]] = {
    "startup": lambda node, value: replace(node, start_command=value),
    "osid": lambda node, value: replace(node, os=value),
    "type": lambda node, value: replace(node, hardware=value),
    "failureaction": lambda node, value: replace(node, failure_action=value),
    "fixed": lambda node, value: replace(node, fixed_to=value),
}


def parse_assignment(word: str) -> tuple[str, str]:
    """`KEY=VALUE`, the key as TopDL calls it. Raises UsageError."""
    key, equals, value = word.partition("=")
    if not equals:
        raise UsageError(f"{word[:80]!r} sets nothing", hint="write KEY=VALUE; `unset` removes a key")
    return parse_key(key), _checked_value(key, value)


def parse_key(word: str) -> str:
    """A key as TopDL calls it: `kind` is `containers:node_type`. Raises UsageError."""
    if _KEY.fullmatch(word) is None:
        raise UsageError(
            f"{word[:80]!r} cannot name an attribute",
            hint="a letter, then letters, digits, '-', '_', '.' and ':'; for instance containers:partition",
        )
    return _SHORT.get(word, word)


def _checked_value(key: str, value: str) -> str:
    if not value.strip():
        raise UsageError(f"{key[:80]} gets no value", hint=f"`unset FILE {key[:80]}` removes it")
    if len(value.encode(errors="surrogateescape")) > _MOST_VALUE_BYTES:
        raise UsageError(f"the value of {key[:80]} is longer than {_MOST_VALUE_BYTES >> 10} KiB")
    if not value.isprintable():
        raise UsageError(
            f"the value of {key[:80]} holds characters that cannot be printed", hint="a start command may run a script"
        )
    if _SHORT.get(key, key) == "failureaction" and value not in _FAILURE_ACTIONS:
        raise UsageError(f"{value[:80]!r} is no failure action", hint=", ".join(_FAILURE_ACTIONS))
    return value.strip()


def set_values(topology: Topology, chosen: Collection[str], assignments: Sequence[tuple[str, str]]) -> Topology:
    """Gives the chosen nodes these values. Raises TopologyMeaningError with each value that cannot be meant."""
    return _change(topology, chosen, lambda node: _assign(node, assignments))


def unset_values(topology: Topology, chosen: Collection[str], keys: Sequence[str]) -> Topology:
    """Takes these keys from the chosen nodes. Raises UsageError for a key that none of them has."""
    held = {key for node in topology.nodes if node.name in chosen for key, _ in values(node)}
    for key in keys:
        if not _spellings(key) & held:
            raise UsageError(
                f"no chosen node has {key}", hint=nearest(key, held) or f"they have {', '.join(sorted(held)[:20])}"
            )
    return _change(topology, chosen, lambda node: _remove(node, keys))


def set_kind(topology: Topology, chosen: Collection[str], kind: Kind) -> Topology:
    """Realizes the chosen nodes as `kind`."""
    return set_values(topology, chosen, [(_SHORT["kind"], kind.value)])


def set_partition(topology: Topology, chosen: Collection[str], partition: int) -> Topology:
    """Puts the chosen nodes on the pnode of that number."""
    return set_values(topology, chosen, [(_SHORT["partition"], str(partition))])


def with_attributes(node: Node, assignments: Sequence[tuple[str, str]]) -> Node:
    """A new node with these attributes, and what they mean in its fields. Raises TopologyMeaningError."""
    findings = Findings(Path("-"))
    changed = _interpreted(_assign(node, assignments), findings)
    findings.raise_errors(TopologyMeaningError)
    return changed


def _change(topology: Topology, chosen: Collection[str], change: Callable[[Node], Node]) -> Topology:
    findings = Findings(Path(topology.source))
    nodes = tuple(_interpreted(change(node), findings) if node.name in chosen else node for node in topology.nodes)
    findings.raise_errors(TopologyMeaningError)
    # What was doubtful in the file before has been said already, with its line.
    said = {(warning.element, warning.message) for warning in topology.warnings}
    fresh = [warning for warning in findings.warnings if (warning.element, warning.message) not in said]
    return replace(topology, nodes=nodes, warnings=(*topology.warnings, *fresh))


def _assign(node: Node, assignments: Sequence[tuple[str, str]]) -> Node:
    for key, value in assignments:
        if key in _FIELDS:
            node = _FIELDS[key](node, value)
            continue
        # The place of the attribute is kept, so that a diff shows one changed line.
        spellings = _spellings(key)
        at = next((place for place, (held, _) in enumerate(node.attributes) if held in spellings), None)
        kept = [pair for pair in node.attributes if pair[0] not in spellings]
        kept.insert(len(kept) if at is None else at, (key, value))
        node = replace(node, attributes=tuple(kept))
    return node


def _remove(node: Node, keys: Sequence[str]) -> Node:
    for key in keys:
        if key in _FIELDS:
            node = _FIELDS[key](node, None)
    gone = {spelling for key in keys for spelling in _spellings(key)}
    return replace(node, attributes=tuple(pair for pair in node.attributes if pair[0] not in gone))


def _spellings(key: str) -> set[str]:
    """All names of the same thing: the old prefix `benito:`, plain `partition`, and `PackingPass`."""
    prefix, colon, name = key.rpartition(":")
    if not colon:
        return {key}
    if prefix not in ("containers", "benito"):
        return {key}
    alike = {name, "PartitionPass", "PackingPass"} if name in ("PartitionPass", "PackingPass") else {name}
    found = {f"{one}:{each}" for one in ("containers", "benito") for each in alike}
    return found | {"partition"} if name == "partition" else found


def _interpreted(node: Node, findings: Findings) -> Node:
    """The node with the fields that its attributes decide, by the reader's own rules."""
    draft = DraftNode(name=node.name, line=node.line, attributes=dict(node.attributes))
    interpret_attributes(draft, findings)
    return replace(
        node,
        kind=draft.kind,
        partition=draft.partition,
        partition_pass=draft.partition_pass,
        ghost=draft.ghost,
        memory_mib=draft.memory_mib,
        vcpus=draft.vcpus,
        image=draft.image,
    )


# --- names ------------------------------------------------------------------------------------------------------------


def parse_renaming(word: str) -> tuple[str, str]:
    """`OLD=NEW`. Raises UsageError."""
    old, equals, new = word.partition("=")
    if not equals or not old or not new:
        raise UsageError(f"{word[:80]!r} renames nothing", hint="write OLD=NEW")
    return old, new


def rename(topology: Topology, renamings: Sequence[tuple[str, str]]) -> Topology:
    """Nodes and LANs under other names, wherever they are named; all at once, so that two may swap.

    Raises UsageError for a name that is not there, TopologyMeaningError for all that cannot be given.
    """
    nodes, lans = {node.name for node in topology.nodes}, {lan.name for lan in topology.lans}
    for old, _ in renamings:
        if old not in nodes | lans:
            hint = nearest(old, sorted(nodes | lans))
            raise UsageError(f"there is no node or LAN {old[:80]!r}", hint=hint)
        if old in nodes and old in lans:
            raise UsageError(f"{old[:80]!r} is both a node and a LAN", hint="edit the file itself for this one")
        if sum(old == other for other, _ in renamings) > 1:
            raise UsageError(f"{old[:80]!r} is renamed twice")
    node_names = {old: new for old, new in renamings if old in nodes}
    lan_names = {old: new for old, new in renamings if old in lans}
    renamed = renamed_throughout(topology, node_names, lan_names)
    check_names(renamed)
    return renamed


def renamed_throughout(
    topology: Topology, nodes: Mapping[str, str], lans: Mapping[str, str], others: Mapping[str, str] | None = None
) -> Topology:
    """The same topology under other names; `others` are those of programs, traffic agents and event groups."""
    every = {**nodes, **lans, **(others or {})}
    called = others or {}
    return replace(
        topology,
        nodes=tuple(replace(node, name=nodes.get(node.name, node.name)) for node in topology.nodes),
        lans=tuple(_renamed_lan(lan, nodes, lans) for lan in topology.lans),
        routes=tuple(
            replace(
                route,
                node=nodes.get(route.node, route.node),
                destination={**nodes, **lans}.get(route.destination, route.destination),
                next_hop=nodes.get(route.next_hop, route.next_hop),
            )
            for route in topology.routes
        ),
        programs=tuple(
            replace(one, name=called.get(one.name, one.name), node=nodes.get(one.node, one.node))
            for one in topology.programs
        ),
        traffic=tuple(
            replace(
                one,
                name=called.get(one.name, one.name),
                node=nodes.get(one.node, one.node),
                peer=called.get(one.peer, one.peer),
                peer_node=nodes.get(one.peer_node, one.peer_node),
            )
            for one in topology.traffic
        ),
        events=tuple(replace(event, target=every.get(event.target, event.target)) for event in topology.events),
        groups=tuple(
            (called.get(name, name), tuple(every.get(member, member) for member in members))
            for name, members in topology.groups
        ),
        settings=tuple(
            (key, nodes.get(value, value) if key == "sync_server" else value) for key, value in topology.settings
        ),
    )


def _renamed_lan(lan: Lan, nodes: Mapping[str, str], lans: Mapping[str, str]) -> Lan:
    members = tuple(replace(member, node=nodes.get(member.node, member.node)) for member in lan.members)
    return replace(lan, name=lans.get(lan.name, lan.name), members=members)


def check_names(topology: Topology) -> None:
    """Raises TopologyMeaningError with every name of a node or LAN that no file may give, and each given twice."""
    problems: list[Problem] = []

    def bad(element: str, message: str, hint: str | None = None) -> None:
        problems.append(Problem(file=topology.source, element=element, message=message, hint=hint))

    for what, found in (
        ("node", [node.name for node in topology.nodes]),
        ("LAN", [lan.name for lan in topology.lans]),
    ):
        first: dict[str, str] = {}
        for name in found:
            if not names.is_label(name):
                bad(name[:80], f"cannot name a {what}", "1 to 32 letters, digits and inner hyphens")
            elif what == "node" and name.casefold() in names.RESERVED_NODE_NAMES:
                bad(name, "is the name of one of the testbed's own servers", "choose another name")
            if name.casefold() in first:
                other = first[name.casefold()]
                bad(name, f"the name of two {what}s" if other == name else f"differs only in case from {other}")
            first.setdefault(name.casefold(), name)
    if problems:
        raise TopologyMeaningError(problems)
