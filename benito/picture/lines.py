"""Draws the nets of a picture: lines between nodes, hubs and branches, and what is written along them."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from lxml import etree

from benito.picture.marks import group, note, number, path, write
from benito.picture.model import Drawing, Layout, Net, Point, Rect
from benito.picture.parts import SMALL, homes_of, mark_of
from benito.picture.words import shown, width_of

#: Texts are made this much smaller at most where their line is short.
_SMALLEST = 0.4
#: Marks of lines that run side by side stand in turn at these shares of the way.
_TURNS = (0.5, 0.36, 0.64, 0.43, 0.57)
#: How far lines between the same two nodes are apart, and all of them together at most.
_BESIDE, _ALL_BESIDE = 10.0, 60.0

#: How far texts keep from each other and from the line's ends.
_CLEAR = 5.0

_Segment = tuple[Point, Point]


class Painter:
    """Draws into three layers: `below` the boxes, `lines` above them, and `marks` above these."""

    def __init__(
        self, drawing: Drawing, layout: Layout, *, below: etree._Element, lines: etree._Element, marks: etree._Element
    ) -> None:
        self._drawing = drawing
        self._layout = layout
        self._below = below
        self._lines = lines
        self._marks = marks
        self._box_of = {node.name: node.box for node in drawing.nodes}
        self._turn: Counter[tuple[str | None, ...]] = Counter()
        self._parallel: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for net in drawing.nets:
            if net.is_line:
                self._parallel[_pair(net)].append(net.name)

    def draw(self) -> None:
        """All nets. Between boxes a line lies below them, so that it is faint where it passes behind one."""
        for net in self._drawing.nets:
            if net.is_line:
                self._draw_link(net)
            else:
                self._draw_lan(net)

    def _group(self, net: Net) -> tuple[etree._Element, etree._Element]:
        """A net's group, and the one for its parts within boxes: the same where it does not cross."""
        kind = "net cross" if net.crossing else "net"
        one = group(self._below if net.crossing else self._lines, **{"class": kind})
        note(one, *net.said)
        return one, group(self._lines, **{"class": kind}) if net.crossing else one

    def _draw_link(self, net: Net) -> None:
        first, second = _pair(net)
        one, other = self._layout.nodes[first], self._layout.nodes[second]
        beside = self._parallel[_pair(net)]
        start, end = _aside(one, other, beside.index(net.name), len(beside))
        between, inside = self._group(net)
        gap = self._stretch(between, inside, (start, end), (self._box_of[first], self._box_of[second]))
        address = {end.node: end.address for end in net.ends}
        visible = (_leave(one, start, end), _leave(other, end, start))
        texts = [shown(address[first]), shown(address[second])] if self._drawing.shows_addresses else ["", ""]
        kind, middle = "mark", 0.5
        if net.crossing:
            kind, middle = "mark cross", self._middle(net)
            self._along(gap, [(mark_of(net), kind, middle)])
            self._along(visible, [(texts[0], "address", 0.0), (texts[1], "address", 1.0)])
            return
        said = [(texts[0], "address", 0.0), (mark_of(net), kind, middle), (texts[1], "address", 1.0)]
        self._along(visible, said)

    def _middle(self, net: Net) -> float:
        pair = tuple(sorted(str(self._box_of[end.node]) for end in net.ends))
        self._turn[pair] += 1
        return _TURNS[(self._turn[pair] - 1) % len(_TURNS)]

    def _draw_lan(self, net: Net) -> None:
        hub = self._layout.hubs[net.name]
        between, inside = self._group(net)
        home, branches = homes_of(net, self._box_of)
        for at in branches:
            branch = self._layout.branches[net.name, at]
            self._stretch(between, inside, ((hub.x, hub.y), (branch.x, branch.y)), (None, at), kind="trunk")
        addresses: dict[str, list[str]] = defaultdict(list)
        for end in net.ends:
            addresses[end.node].append(shown(end.address))
        for node, texts in addresses.items():
            box = self._box_of[node]
            middle = self._layout.branches[net.name, box] if box is not None and box in branches else hub
            rect = self._layout.nodes[node]
            bends = self._layout.ways.get((net.name, node), ())
            points = [(middle.x, middle.y), *bends, (rect.x, rect.y)]
            if net.crossing and middle is hub and box != home:
                self._stretch(between, inside, (points[0], points[-1]), (home, box))
            else:
                path(inside, points, **{"class": "local"})
            if self._drawing.shows_addresses:
                start = points[-2] if bends else _leave(middle, points[0], points[1])
                visible = (start, _leave(rect, points[-1], points[-2]))
                self._along(visible, [(" ".join(texts), "address", 1.0)])

    def _stretch(
        self,
        between: etree._Element,
        inside: etree._Element,
        line: _Segment,
        boxes: tuple[str | None, str | None],
        kind: str = "",
    ) -> _Segment:
        """A straight line, its parts in the boxes that it comes from above these; what lies between them."""
        start, end = line
        attributes = {"class": kind} if kind else {}
        if between is inside:
            path(inside, [start, end], **attributes)
            return line
        out, into = (
            point if box is None else _leave(self._layout.boxes[box].rect, point, other, at_most=1.0)
            for box, point, other in zip(boxes, (start, end), (end, start), strict=True)
        )
        path(between, [out, into], **attributes)
        for point, border in ((start, out), (end, into)):
            if point != border:
                path(inside, [point, border], **attributes)
        return out, into

    def _along(self, line: _Segment, said: Sequence[tuple[str, str, float]]) -> None:
        """Texts above a line, each (text, class, share of the way); smaller where the line is short."""
        (x, y), (to_x, to_y) = line
        length = math.hypot(to_x - x, to_y - y)
        needed = sum(width_of(text, SMALL) + 2 * _CLEAR for text, *_ in said if text)
        size = SMALL * max(_SMALLEST, min(1.0, length / needed if needed else 1.0))
        turn = math.degrees(math.atan2(to_y - y, to_x - x))
        turn = turn - 180 if turn > 90 else turn + 180 if turn <= -90 else turn
        for text, kind, share in said:
            if not text:
                continue
            half = min(0.5, (width_of(text, size) / 2 + _CLEAR) / length) if length > 0 else 0.5
            share = min(max(share, half), 1 - half)
            place = {"class": kind, "y": "-2.2"}
            at = (x + (to_x - x) * share, y + (to_y - y) * share)
            place["transform"] = f"translate({number(at[0])} {number(at[1])}) rotate({number(turn)})"
            if size < SMALL:
                place["style"] = f"font-size:{number(size, 2)}px"
            write(self._marks, text, **place)


def _pair(net: Net) -> tuple[str, ...]:
    return tuple(sorted(end.node for end in net.ends))


def _aside(one: Rect, other: Rect, place: int, count: int) -> _Segment:
    """The `place`-th of `count` lines side by side between two rectangles."""
    dx, dy = other.x - one.x, other.y - one.y
    length = math.hypot(dx, dy) or 1.0
    aside = (place - (count - 1) / 2) * min(_BESIDE, _ALL_BESIDE / count)
    off_x, off_y = -dy / length * aside, dx / length * aside
    return (one.x + off_x, one.y + off_y), (other.x + off_x, other.y + off_y)


def _leave(rect: Rect, start: Point, end: Point, at_most: float = 0.5) -> Point:
    """Where a line from `start`, inside the rectangle, comes out of it; after that share of its way at most."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    shares = [at_most]
    if dx:
        shares.append(((rect.x - start[0]) * math.copysign(1, dx) + rect.width / 2) / abs(dx))
    if dy:
        shares.append(((rect.y - start[1]) * math.copysign(1, dy) + rect.height / 2) / abs(dy))
    share = max(0.0, min(shares))
    return start[0] + dx * share, start[1] + dy * share
