"""Leaves around what they hang on, as one block: rings round a node, a bus with teeth for a LAN."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benito.picture.model import Point
from benito.picture.separate import Size, separate

#: Fewer leaves than this hang as they like.
FEWEST = 3
_GAP = 10.0
#: A bus and the nodes at it.
_TOOTH = 16.0
_WIDER_THAN_HIGH = 1.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A middle and its leaves: the places of their centres from the block's centre, and the block's sides.

    `ways` has the bends of the line from the middle to a leaf, by the leaf's number, where it is not straight.
    """

    size: Size
    middle: Point
    leaves: tuple[Point, ...]
    ways: dict[int, tuple[Point, ...]] = field(default_factory=dict)

    def mirrored(self) -> "Block":
        """The same with left and right exchanged."""
        return Block(
            size=self.size,
            middle=_mirror(self.middle),
            leaves=tuple(map(_mirror, self.leaves)),
            ways={leaf: tuple(map(_mirror, way)) for leaf, way in self.ways.items()},
        )


def _mirror(point: Point) -> Point:
    return -point[0], point[1]


def rings(middle: Size, leaves: Sequence[Size], room: float) -> Block:
    """Leaves on rings round a node, the first one `room` away from it so that lines can bear their names."""
    wide = max(width for width, _ in leaves) + _GAP
    high = max(height for _, height in leaves) + _GAP
    places: list[Point] = []
    across = (middle[0] + wide) / 2 + room - _GAP
    along = (middle[1] + high) / 2 + max(room * 0.8, high) - _GAP
    turn = 0
    while len(places) < len(leaves):
        angles = _ring(across, along, wide, high, len(leaves) - len(places))
        # Every second ring is turned by half a step: its lines pass between the nodes of the one inside.
        shift = math.pi / len(angles) if turn % 2 else 0.0
        places += [(across * math.cos(angle + shift), along * math.sin(angle + shift)) for angle in angles]
        across, along, turn = across + wide, along + high * 1.6, turn + 1
    sizes = [middle, *((width + _GAP, height + _GAP) for width, height in leaves)]
    return _block(separate([(0.0, 0.0), *places], sizes), sizes)


def _ring(across: float, along: float, wide: float, high: float, most: int) -> list[float]:
    """Angles on an ellipse at which rectangles do not touch, at most so many, evenly spread."""
    steps: list[float] = []
    angle = -math.pi / 2
    while angle < 1.5 * math.pi and len(steps) < most:
        # What a small step moves: the rectangles are free of each other once either side is passed.
        to_x, to_y = across * abs(math.sin(angle)), along * abs(math.cos(angle))
        step = min(wide / to_x if to_x > 0.01 else math.inf, high / to_y if to_y > 0.01 else math.inf, 1.0)
        steps.append(step)
        angle += step
    if len(steps) > 1 and angle > 1.5 * math.pi + 1e-9:
        steps.pop()
    stretch = 2 * math.pi / sum(steps)
    angles, angle = [], -math.pi / 2
    for step in steps:
        angles.append(angle)
        angle += step * stretch
    return angles


def bus(middle: Size, leaves: Sequence[Size], tooth: float) -> Block:
    """Leaves above and below the lines of a bus; its name stands at the left, where the lines come together."""
    wide = max(width for width, _ in leaves) + _GAP
    high = max(height for _, height in leaves)
    lane = 2 * (high + max(tooth, _TOOTH)) + _GAP
    lanes = max(1, round(math.sqrt(len(leaves) * wide / (2 * lane) / _WIDER_THAN_HIGH)))
    columns = -(-len(leaves) // (2 * lanes))
    lanes = -(-len(leaves) // (2 * columns))
    spine = middle[0] / 2 + _GAP
    places: list[Point] = []
    ways: dict[int, tuple[Point, ...]] = {}
    for leaf, (_, height) in enumerate(leaves):
        row, column = divmod(leaf, columns)
        line = (row // 2 - (lanes - 1) / 2) * lane
        side = -1 if row % 2 == 0 else 1
        x = spine + _GAP + wide * (column + 0.5)
        places.append((x, line + side * (max(tooth, _TOOTH) + height / 2)))
        bends = ((spine, 0.0), (spine, line), (x, line))
        ways[leaf] = bends if lanes > 1 else bends[2:]
    return _block([(0.0, 0.0), *places], [middle, *leaves], ways)


def _block(places: Sequence[Point], sizes: Sequence[Size], ways: dict[int, tuple[Point, ...]] | None = None) -> Block:
    left, top, right, bottom = bounds(places, sizes)
    x, y = (left + right) / 2, (top + bottom) / 2
    moved = [(place_x - x, place_y - y) for place_x, place_y in places]
    return Block(
        size=(right - left, bottom - top),
        middle=moved[0],
        leaves=tuple(moved[1:]),
        ways={leaf: tuple((bend_x - x, bend_y - y) for bend_x, bend_y in way) for leaf, way in (ways or {}).items()},
    )


def bounds(places: Sequence[Point], sizes: Sequence[Size]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of all rectangles."""
    pairs = list(zip(places, sizes, strict=True))
    return (
        min(x - width / 2 for (x, _), (width, _) in pairs),
        min(y - height / 2 for (_, y), (_, height) in pairs),
        max(x + width / 2 for (x, _), (width, _) in pairs),
        max(y + height / 2 for (_, y), (_, height) in pairs),
    )
