"""Takes the fields of the model that attributes carry (`benito.topology.carried`) back out of them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import TypeAdapter

from benito.errors import Problem
from benito.model import Lan, ManualRoute, Member, Node, Topology
from benito.topology.carried import PREFIX, unpack, unpack_value
from benito.topology.draft import Draft, DraftLan, DraftMember
from benito.topology.findings import Findings
from benito.topology.quantities import Rejection
from benito.topology.topdl.raw import Attributes

INTEGER = TypeAdapter(int)
ORDER = TypeAdapter(tuple[int, ...])

M = TypeVar("M", Topology, Node, Lan, Member)

_PRINTABLE = re.compile(r"[\x21-\x7e]{1,1024}")
_MOST_PORT = 65_535
#: What elements and plain attributes alone may say.
_NEVER = frozenset({"line", "address", "mac", "warnings"})


@dataclass(slots=True, kw_only=True, eq=False)
class TopdlDraft(Draft):
    """A draft with fields that were carried: by the draft's object, by the field's name."""

    carried: dict[int, dict[str, object]] = field(default_factory=dict)

    def finish(self, warnings: tuple[Problem, ...]) -> Topology:
        """As the model has it. What was carried counts."""
        # No super(): a dataclass with slots is another class than the one that super() sees.
        topology = Draft.finish(self, warnings)
        if not self.carried:
            return topology
        nodes = tuple(self._with(node, draft) for node, draft in zip(topology.nodes, self.nodes, strict=True))
        lans = tuple(self._lan(lan, draft) for lan, draft in zip(topology.lans, self.lans, strict=True))
        return replace(self._with(topology, self), nodes=nodes, lans=lans)

    def _lan(self, lan: Lan, draft: DraftLan) -> Lan:
        members = tuple(self._with(member, one) for member, one in zip(lan.members, draft.members, strict=True))
        return replace(self._with(lan, draft), members=members)

    def _with(self, thing: M, draft: object) -> M:
        values: dict[str, Any] = self.carried.get(id(draft), {})
        return replace(thing, **values) if values else thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """Takes carried fields out of attributes; what is wrong with them goes to `findings`."""

    draft: TopdlDraft
    findings: Findings

    def take(self, kind: type, draft: object, attributes: Attributes, who: str | None) -> dict[str, str]:
        """The other attributes, in their order. The fields are noted for `draft`, to be a `kind`."""
        plain: dict[str, str] = {}
        for key, (text, line) in attributes.items():
            if not key.startswith(PREFIX):
                plain[key] = text
                continue
            name = key.removeprefix(PREFIX)
            try:
                self._take(kind, draft, name, text)
            except Rejection as rejection:
                self.findings.error(f"{key[:80]}: {rejection.message}", line=line, element=who, hint=rejection.hint)
        return plain

    def _take(self, kind: type, draft: object, name: str, text: str) -> None:
        if isinstance(draft, DraftMember) and name == "port":
            draft.port = _integer(text, _MOST_PORT)
        elif isinstance(draft, DraftLan) and name == "order":
            self._note(draft, name, unpack_value(ORDER, text))
        elif isinstance(draft, DraftLan) and name == "prefix_length":
            draft.prefix_length = _integer(text, 32)
        elif name in _NEVER:
            raise Rejection("it has a word of its own in TopDL.")
        else:
            value = unpack(kind, name, text)
            check = _CHECKS.get((kind, name))
            if check is not None and value is not None:
                check(value)
            self._note(draft, name, value)

    def _note(self, draft: object, name: str, value: object) -> None:
        self.draft.carried.setdefault(id(draft), {})[name] = value

    def taken(self, draft: object, name: str) -> object:
        """A field that was noted, which is then ours to deal with."""
        return self.draft.carried.get(id(draft), {}).pop(name, None)

    def check_routes(self) -> None:
        """Routes lead somewhere."""
        routes = self.draft.carried.get(id(self.draft), {}).get("routes", ())
        nodes = {node.name for node in self.draft.nodes}
        known = nodes | {lan.name for lan in self.draft.lans}
        for route in routes if isinstance(routes, tuple) else ():
            if isinstance(route, ManualRoute) and not (
                {route.node, route.next_hop} <= nodes and route.destination in known
            ):
                self.findings.error(
                    f"{PREFIX}routes: there is no such way as from {route.node[:40]} to {route.destination[:40]} "
                    f"over {route.next_hop[:40]}"
                )


def _integer(text: str, most: int) -> int:
    value = unpack_value(INTEGER, text)
    if not isinstance(value, int) or not 0 <= value <= most:
        raise Rejection(f"{text[:20]} is not from 0 to {most}.")
    return value


def _printable(value: object) -> None:
    if not isinstance(value, str) or _PRINTABLE.fullmatch(value) is None:
        raise Rejection(f"{str(value)[:80]!r} cannot be its name.", "letters without blanks")


def _from(least: float, most: float) -> Callable[[object], None]:
    def check(value: object) -> None:
        if not isinstance(value, (int, float)) or not least <= value <= most:
            raise Rejection(f"{str(value)[:80]} is not from {least:g} to {most:g}.")

    return check


def _action(value: object) -> None:
    if value not in ("fatal", "nonfatal", "ignore"):
        raise Rejection(f"{str(value)[:80]!r} is no such action.", "fatal, nonfatal or ignore")


def _partition(value: object) -> None:
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal() or len(value) > 6:
        raise Rejection(f"{str(value)[:80]!r} is not the number of a partition.", "a whole number from 0 to 999999")


#: What the model's types alone do not hold to.
_CHECKS: Mapping[tuple[type, str], Callable[[object], None]] = {
    (Node, "failure_action"): _action,
    (Node, "fixed_to"): _printable,
    (Node, "hardware"): _printable,
    (Node, "image"): _printable,
    (Node, "memory_mib"): _from(1, 16 << 20),
    (Node, "os"): _printable,
    (Node, "partition"): _partition,
    (Node, "partition_pass"): _from(0, 999_999),
    (Node, "vcpus"): _from(1, 4096),
    (Member, "cost"): _from(1e-9, 1e9),
}
