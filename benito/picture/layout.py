"""Where everything in a picture goes: nodes within their boxes, then boxes and what stands free among each other.

Boxes overlap neither each other nor what stands free, nodes overlap no nodes, and a node lies inside its box, whatever
the engine makes of the graph.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benito.picture.arrange import Arrangement, Engine, Line, Things, arrange, by_stress
from benito.picture.groups import bounds
from benito.picture.model import Box, Drawing, Layout, Point, Rect
from benito.picture.parts import NAME, parts_of
from benito.picture.separate import Size, separate
from benito.picture.words import shown, width_of

_PADDING = 14.0
_BETWEEN_BOXES = 46.0
_PAGE_MARGIN = 24.0
#: The label of a box grows with it, so that it can be read where the whole is seen.
_LABEL_SHARE, _LARGEST_LABEL = 1 / 18, 40.0

#: A box by its label, or what stands free by its number.
_Top = str | int


@dataclass(frozen=True, slots=True)
class _Filled:
    """A box's content, and the box's measures."""

    inner: Arrangement
    size: Size
    letters: float


def lay_out(drawing: Drawing, engine: Engine = by_stress, *, blocks: bool = True) -> Layout:
    """Where everything goes. The same drawing gives the same layout.

    `blocks`: leaves are put round what they hang on before the engine sees the rest.
    """
    return _Composer(drawing, engine, blocks=blocks).compose()


class _Composer:
    def __init__(self, drawing: Drawing, engine: Engine, *, blocks: bool) -> None:
        self._engine = engine
        self._blocks = blocks
        self._parts = parts_of(drawing)
        free = [place for place, thing in enumerate(self._parts.things) if thing.box is None]
        self._tops: list[_Top] = [*self._parts.inside, *free]
        self._inner: dict[str, list[Line]] = defaultdict(list)
        for line in self._parts.lines:
            box = self._parts.things[line.one].box
            if box is not None and box == self._parts.things[line.other].box:
                self._inner[box].append(line)

    def compose(self) -> Layout:
        """Boxes are filled, placed, filled again so that what has lines to elsewhere is at its side, moved apart."""
        filled = {box: self._fill(box, {}) for box in self._parts.inside}
        outer = self._arrange_tops(filled)
        pulls = self._pulls(outer.places)
        filled = {box: self._fill(box, pulls[box]) if box in pulls else found for box, found in filled.items()}
        sizes = [self._size_of(top, filled) for top in self._tops]
        centres = outer.places
        if filled:
            centres = separate(centres, [(width + _BETWEEN_BOXES, height + _BETWEEN_BOXES) for width, height in sizes])
        return self._page(centres, sizes, filled, outer)

    def _fill(self, box: str, pulls: Mapping[int, Point]) -> _Filled:
        members = self._parts.inside[box]
        number = {thing: place for place, thing in enumerate(members)}
        things = Things(
            sizes=[self._parts.things[thing].size for thing in members],
            lines=[Line(one=number[line.one], other=number[line.other], room=line.room) for line in self._inner[box]],
            hubs=frozenset(number[thing] for thing in members if self._parts.things[thing].net is not None),
            pulls={number[thing]: pull for thing, pull in pulls.items()},
        )
        inner = arrange(things, self._engine, blocks=self._blocks)
        width, height = inner.size
        letters = min(_LARGEST_LABEL, max(NAME, math.sqrt(width * height) * _LABEL_SHARE))
        label = width_of(shown(box), letters)
        size = (max(width, label) + 2 * _PADDING, height + letters * 1.4 + 1.8 * _PADDING)
        return _Filled(inner, size, letters)

    def _top(self, thing: int) -> _Top:
        box = self._parts.things[thing].box
        return thing if box is None else box

    def _size_of(self, top: _Top, filled: Mapping[str, _Filled]) -> Size:
        return self._parts.things[top].size if isinstance(top, int) else filled[top].size

    def _arrange_tops(self, filled: Mapping[str, _Filled]) -> Arrangement:
        place_of = {top: place for place, top in enumerate(self._tops)}
        longest: dict[tuple[int, int], float] = {}
        for line in self._parts.lines:
            one, other = place_of[self._top(line.one)], place_of[self._top(line.other)]
            if one != other:
                pair = (min(one, other), max(one, other))
                longest[pair] = max(line.room, longest.get(pair, 0.0))
        room = _BETWEEN_BOXES if filled else 0.0
        sizes = [(width + room, height + room) for width, height in (self._size_of(top, filled) for top in self._tops)]
        things = Things(
            sizes=sizes,
            lines=[Line(one=one, other=other, room=room) for (one, other), room in longest.items()],
            hubs=frozenset(
                place
                for place, top in enumerate(self._tops)
                if isinstance(top, int) and self._parts.things[top].net is not None
            ),
            is_dense=bool(filled),
        )
        return arrange(things, self._engine, blocks=self._blocks and not filled)

    def _pulls(self, centres: Sequence[Point]) -> Mapping[str, Mapping[int, Point]]:
        """Box -> thing in it -> the direction in which its lines leave the box."""
        centre = dict(zip(self._tops, centres, strict=True))
        sums: dict[int, Point] = {}
        for line in self._parts.lines:
            for one, other in ((line.one, line.other), (line.other, line.one)):
                home, target = self._top(one), self._top(other)
                if home == target or isinstance(home, int):
                    continue
                dx, dy = centre[target][0] - centre[home][0], centre[target][1] - centre[home][1]
                length = math.sqrt(dx * dx + dy * dy) or 1.0
                x, y = sums.get(one, (0.0, 0.0))
                sums[one] = (x + dx / length, y + dy / length)
        pulls: dict[str, dict[int, Point]] = defaultdict(dict)
        for thing, (x, y) in sums.items():
            length = max(1.0, math.sqrt(x * x + y * y))
            pulls[str(self._top(thing))][thing] = (x / length, y / length)
        return pulls

    def _page(
        self, centres: Sequence[Point], sizes: Sequence[Size], filled: Mapping[str, _Filled], outer: Arrangement
    ) -> Layout:
        left, top_edge, right, bottom = bounds(centres, sizes) if sizes else (0.0, 0.0, 0.0, 0.0)
        shift_x, shift_y = _PAGE_MARGIN - left, _PAGE_MARGIN - top_edge
        places: dict[int, Point] = {}
        ways: dict[tuple[str, str], tuple[Point, ...]] = {}
        boxes: dict[str, Box] = {}
        for top, (x, y), (width, height) in zip(self._tops, centres, sizes, strict=True):
            if isinstance(top, int):
                places[top] = (x + shift_x, y + shift_y)
                continue
            found = filled[top]
            boxes[top] = Box(rect=Rect(x=x + shift_x, y=y + shift_y, width=width, height=height), letters=found.letters)
            corner = (x + shift_x - found.inner.size[0] / 2, y + shift_y + height / 2 - _PADDING - found.inner.size[1])
            members = self._parts.inside[top]
            for member, (dx, dy) in zip(members, found.inner.places, strict=True):
                places[member] = (corner[0] + dx, corner[1] + dy)
            self._bend(ways, members, found.inner, corner)
        if not filled:
            self._bend(ways, [int(top) for top in self._tops], outer, (shift_x, shift_y))
        size = (right - left + 2 * _PAGE_MARGIN, bottom - top_edge + 2 * _PAGE_MARGIN)
        return self._layout(size, places, boxes, ways)

    def _bend(
        self,
        ways: dict[tuple[str, str], tuple[Point, ...]],
        members: Sequence[int],
        found: Arrangement,
        corner: Point,
    ) -> None:
        for (hub, leaf), way in found.ways.items():
            net, node = self._parts.things[members[hub]].net, self._parts.things[members[leaf]].node
            ways[net or "", node or ""] = tuple((corner[0] + x, corner[1] + y) for x, y in way)

    def _layout(
        self,
        size: Size,
        places: Mapping[int, Point],
        boxes: Mapping[str, Box],
        ways: Mapping[tuple[str, str], tuple[Point, ...]],
    ) -> Layout:
        nodes: dict[str, Rect] = {}
        hubs: dict[str, Rect] = {}
        branches: dict[tuple[str, str], Rect] = {}
        for place, thing in enumerate(self._parts.things):
            x, y = places[place]
            rect = Rect(x=x, y=y, width=thing.size[0], height=thing.size[1])
            if thing.node is not None:
                nodes[thing.node] = rect
            elif thing.net is not None and thing.net not in hubs:
                hubs[thing.net] = rect
            elif thing.net is not None and thing.box is not None:
                branches[thing.net, thing.box] = rect
        return Layout(width=size[0], height=size[1], nodes=nodes, hubs=hubs, boxes=boxes, branches=branches, ways=ways)
