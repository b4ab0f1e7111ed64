"""What is to be placed for a drawing: a thing per node, per hub and per branch of one, and the lines between them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benito.picture.arrange import Line
from benito.picture.model import Drawing, Net
from benito.picture.separate import Size
from benito.picture.words import shown, width_of

#: Heights of letters: names of nodes, and everything else.
NAME, SMALL = 11.0, 8.0
_NODE_HEIGHT, _HUB_HEIGHT, _NARROWEST = 20.0, 16.0, 34.0
_SHORTEST_LINE = 26.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A node, a hub (`net` is set), or a net's branch in a box; `box` is None for what stands free."""

    size: Size
    box: str | None
    node: str | None = None
    net: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All things; the lines between them by number; those of each box."""

    things: Sequence[Thing]
    lines: Sequence[Line]
    inside: Mapping[str, Sequence[int]]


def mark_of(net: Net) -> str:
    """What is written on a net: its name, and its load where it crosses."""
    return f"{shown(net.name)} {shown(net.load)}".rstrip() if net.crossing else shown(net.name)


def homes_of(net: Net, box_of: Mapping[str, str | None]) -> tuple[str | None, Sequence[str]]:
    """The box in which a net's hub stands (None: free), and the boxes in which it has a branch.

    A net that crosses has a branch in each box with several of its members; if there is but one such box, the hub
    stands in it, and no branch is needed.
    """
    homes = Counter(box_of[node] for node in dict.fromkeys(end.node for end in net.ends))
    if not net.crossing:
        return next(iter(homes)) if len(homes) == 1 else None, ()
    several = [box for box, count in homes.items() if box is not None and count > 1]
    return (several[0], ()) if len(several) == 1 else (None, several)


def parts_of(drawing: Drawing) -> Parts:
    """The things and lines of a drawing."""
    box_of = {node.name: node.box for node in drawing.nodes}
    number = {node.name: place for place, node in enumerate(drawing.nodes)}
    things = [
        Thing(size=(max(_NARROWEST, width_of(shown(node.name), NAME) + 14), _NODE_HEIGHT), box=node.box, node=node.name)
        for node in drawing.nodes
    ]
    lines: list[Line] = []
    for net in drawing.nets:
        if net.is_line:
            one, other = (number[end.node] for end in net.ends)
            lines.append(Line(one=one, other=other, room=_room(drawing, net, 2)))
            continue
        hub = len(things)
        home, branches = homes_of(net, box_of)
        things.append(Thing(size=(width_of(mark_of(net), SMALL) + 10, _HUB_HEIGHT), box=home, net=net.name))
        at: dict[str | None, int] = {}
        for box in branches:
            at[box] = len(things)
            things.append(Thing(size=(width_of(shown(net.name), SMALL) + 10, _HUB_HEIGHT), box=box, net=net.name))
            lines.append(Line(one=hub, other=at[box], room=_SHORTEST_LINE))
        room = _room(drawing, net, 1)
        members = dict.fromkeys(end.node for end in net.ends)
        lines += [Line(one=at.get(box_of[node], hub), other=number[node], room=room) for node in members]
    inside: dict[str, list[int]] = defaultdict(list)
    for place, thing in enumerate(things):
        if thing.box is not None:
            inside[thing.box].append(place)
    return Parts(things=things, lines=lines, inside=inside)


def _room(drawing: Drawing, net: Net, ends: int) -> float:
    """How long a line must be for what is written on it: the addresses of so many ends, between them the mark."""
    mark = width_of(mark_of(net), SMALL) if ends == 2 else 0.0
    if not drawing.shows_addresses:
        return max(_SHORTEST_LINE, mark + 10)
    longest = max((width_of(shown(end.address), SMALL) for end in net.ends), default=0.0)
    return max(_SHORTEST_LINE, mark + ends * (longest + 10) + 10)
