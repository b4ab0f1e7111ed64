"""When two topologies are the same: but for their files, or in what an NS file can say."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

from benito.model import Lan, Member, Settings, Shaping, Topology


def placeless(topology: Topology) -> Topology:
    """Without what belongs to the file that was read: its name, its lines, its warnings."""
    bare: Topology = _without_lines(topology)
    return replace(bare, source="", warnings=())


def _without_lines(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_without_lines(part) for part in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    parts = {field.name: _without_lines(getattr(value, field.name)) for field in fields(value)}
    return replace(value, **(parts | {"line": None} if "line" in parts else parts))


def meaning(topology: Topology) -> Topology:
    """What NS can say of it, in one form: ways through links instead of halves, kept settings without an order.

    The turn of a link depends on when and where a file makes it. Losses are compared to nine digits.
    """
    bare = placeless(topology)
    return replace(
        bare,
        nodes=tuple(replace(node, attributes=_sorted(node.attributes)) for node in bare.nodes),
        lans=tuple(sorted((_lan(lan) for lan in bare.lans), key=lambda lan: lan.name)),
        settings=_sorted(bare.settings),
    )


def _sorted(settings: Settings) -> Settings:
    """Without what only TopDL has words for: names of interfaces, kinds of capacities."""
    return tuple(sorted(pair for pair in settings if not pair[0].startswith("topdl:")))


def _rounded(half: Shaping) -> Shaping:
    return replace(half, loss_ratio=round(half.loss_ratio, 9))


def _lan(lan: Lan) -> Lan:
    members = tuple(replace(member, settings=_sorted(member.settings)) for member in lan.members)
    if lan.is_link and len(members) == 2:
        first, second = members
        members = (_way(first, second), _way(second, first))
    members = tuple(replace(one, into=_rounded(one.into), out_of=_rounded(one.out_of)) for one in members)
    return replace(lan, members=members, settings=_sorted(lan.settings), turn=None)


def _way(member: Member, other: Member) -> Member:
    """The member with the whole way to the other in its one half."""
    return replace(member, into=member.into.then(other.out_of), out_of=Shaping())


def differences(one: object, other: object, place: str = "") -> list[str]:
    """Where two values differ, for a test that fails."""
    if one == other:
        return []
    if is_dataclass(one) and type(one) is type(other):
        names = [field.name for field in fields(one)]
        return [
            line for name in names for line in differences(getattr(one, name), getattr(other, name), f"{place}.{name}")
        ]
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return [
            line
            for at, pair in enumerate(zip(one, other, strict=True))
            for line in differences(*pair, f"{place}[{at}]")
        ]
    return [f"{place}: {one!r:.200} is not {other!r:.200}"]
