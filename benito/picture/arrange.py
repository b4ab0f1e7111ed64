"""Places things with sizes and lines between them: without overlaps, neighbours side by side, islands packed."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benito.picture.groups import FEWEST, Block, bounds, bus, rings
from benito.picture.model import Point
from benito.picture.separate import Size, pack, separate
from benito.picture.stress import Spring, relax

#: Places for things of these sizes with these springs and pulls; they may overlap.
Engine = Callable[[Sequence[Size], Sequence[Spring], Mapping[int, Point]], Sequence[Point]]

_MARGIN = 16.0
_TURNS = 36
_MOST_STRETCH = 1.4


def by_stress(sizes: Sequence[Size], springs: Sequence[Spring], pulls: Mapping[int, Point]) -> Sequence[Point]:
    """Benito's own engine; what nothing pulls is turned so that it lies flat."""
    found = relax(len(sizes), springs, pulls)
    return found if pulls else _lie_flat(found)


def _lie_flat(places: Sequence[Point]) -> Sequence[Point]:
    """The same, turned so that the page is smallest, and wider than high."""
    best, smallest = places, math.inf
    for turn in range(_TURNS):
        cos, sin = math.cos(math.pi * turn / _TURNS), math.sin(math.pi * turn / _TURNS)
        turned = [(x * cos - y * sin, x * sin + y * cos) for x, y in places]
        left, top, right, bottom = bounds(turned, [(0.0, 0.0)] * len(turned))
        area = (right - left) * (bottom - top)
        if right - left >= bottom - top and area < smallest * 0.999:
            best, smallest = turned, area
    return best


def _stretched(places: Sequence[Point], springs: Sequence[Spring]) -> Sequence[Point]:
    """The same, larger where most lines came out too short for what is written on them."""
    shares = sorted(
        math.hypot(places[one][0] - places[other][0], places[one][1] - places[other][1]) / wished
        for one, other, wished in springs
    )
    scale = min(_MOST_STRETCH, max(1.0, 1 / max(0.01, shares[len(shares) // 3])))
    return [(x * scale, y * scale) for x, y in places]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """From one thing to another, with the room that what is written on it needs."""

    one: int
    other: int
    room: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """What is to be placed. `hubs` are LANs, `pulls` draw things toward a side (a direction of length 1 at most).

    What is pulled has lines to elsewhere, so it is never put in a block. `is_dense`: lines may be shorter than what is
    written on them, and than all neighbours of a thing need to stand around it.
    """

    sizes: Sequence[Size]
    lines: Sequence[Line]
    hubs: frozenset[int] = frozenset()
    pulls: Mapping[int, Point] = field(default_factory=dict)
    is_dense: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """Centres from the top left corner, the sides of the whole, and the bends of lines from hubs to things."""

    places: Sequence[Point]
    size: Size
    ways: Mapping[tuple[int, int], tuple[Point, ...]]


def arrange(things: Things, engine: Engine = by_stress, *, blocks: bool = True) -> Arrangement:
    """Where things go. `blocks`: leaves are put round what they hang on before the engine sees the rest."""
    places: list[Point] = [(0.0, 0.0)] * len(things.sizes)
    ways: dict[tuple[int, int], tuple[Point, ...]] = {}
    islands = [_Island(things, members, lines, blocks=blocks) for members, lines in _islands(things)]
    for island in islands:
        island.place(engine)
    centres, size = pack([(island.size[0] + _MARGIN, island.size[1] + _MARGIN) for island in islands])
    _face(things, islands, centres, size)
    for island, (x, y) in zip(islands, centres, strict=True):
        for thing, (dx, dy) in island.places.items():
            places[thing] = (x + dx - _MARGIN / 2, y + dy - _MARGIN / 2)
        for pair, way in island.ways.items():
            ways[pair] = tuple((x + dx - _MARGIN / 2, y + dy - _MARGIN / 2) for dx, dy in way)
    return Arrangement(places=places, size=(max(0.0, size[0] - _MARGIN), max(0.0, size[1] - _MARGIN)), ways=ways)


def _islands(things: Things) -> list[tuple[list[int], list[Line]]]:
    """What lines connect, directly or not, with these lines."""
    head = list(range(len(things.sizes)))

    def find(item: int) -> int:
        while head[item] != item:
            head[item] = head[head[item]]
            item = head[item]
        return item

    for line in things.lines:
        one, other = find(line.one), find(line.other)
        head[max(one, other)] = min(one, other)
    found: dict[int, tuple[list[int], list[Line]]] = {}
    for item in range(len(head)):
        found.setdefault(find(item), ([], []))[0].append(item)
    for line in things.lines:
        found[find(line.one)][1].append(line)
    return list(found.values())


def _face(things: Things, islands: "Sequence[_Island]", centres: list[Point], size: Size) -> None:
    """Lone things of one size exchange places, so that each is near the side that it is drawn to."""
    alike: dict[Size, list[int]] = defaultdict(list)
    for number, island in enumerate(islands):
        if island.alone >= 0 and things.pulls:
            alike[island.size].append(number)
    for numbers in alike.values():
        pulls = {number: things.pulls.get(islands[number].alone, (0.0, 0.0)) for number in numbers}
        spots = [centres[number] for number in numbers]
        # Whoever is drawn most chooses first; who is not drawn takes what is left, in order.
        for number in sorted(numbers, key=lambda number: -_length(pulls[number])):
            x, y = pulls[number]
            best = max(spots, key=lambda spot: x * (spot[0] - size[0] / 2) + y * (spot[1] - size[1] / 2))
            spots.remove(best)
            centres[number] = best


def _length(pull: Point) -> float:
    return math.sqrt(pull[0] * pull[0] + pull[1] * pull[1])


class _Island:
    """Connected things: their places from the middle of the island, its size, the bends of its lines."""

    def __init__(self, things: Things, members: Sequence[int], lines: Sequence[Line], *, blocks: bool) -> None:
        self.places: dict[int, Point] = {}
        self.ways: dict[tuple[int, int], tuple[Point, ...]] = {}
        self.size: Size = (0.0, 0.0)
        self.alone = members[0] if len(members) == 1 else -1
        self._things = things
        self._lines = lines
        self._leaves = self._find_leaves() if blocks else {}
        hidden = {leaf for leaves in self._leaves.values() for leaf in leaves}
        self._left = [thing for thing in members if thing not in hidden]
        self._blocks = {middle: self._block(middle, leaves) for middle, leaves in self._leaves.items()}
        self._number = {thing: number for number, thing in enumerate(self._left)}

    def _find_leaves(self) -> dict[int, list[int]]:
        """What hangs on one line only, by what it hangs on."""
        degree = Counter(thing for line in self._lines for thing in (line.one, line.other))
        found: dict[int, list[int]] = defaultdict(list)
        for line in self._lines:
            for leaf, middle in ((line.one, line.other), (line.other, line.one)):
                is_bound = leaf in self._things.hubs or leaf in self._things.pulls
                if degree[leaf] == 1 and degree[middle] > 1 and not is_bound:
                    found[middle].append(leaf)
        return {middle: leaves for middle, leaves in found.items() if len(leaves) >= FEWEST}

    def _block(self, middle: int, leaves: Sequence[int]) -> Block:
        sizes = self._things.sizes
        chosen = set(leaves)
        room = max(line.room for line in self._lines if line.one in chosen or line.other in chosen)
        make = bus if middle in self._things.hubs else rings
        return make(sizes[middle], [sizes[leaf] for leaf in leaves], room)

    def place(self, engine: Engine) -> None:
        """Fills `places`, `ways` and `size`."""
        own = self._things.sizes
        sizes = [self._blocks[thing].size if thing in self._blocks else own[thing] for thing in self._left]
        pulls = {self._number[thing]: self._things.pulls[thing] for thing in self._left if thing in self._things.pulls}
        springs = self._springs(sizes)
        found = engine(sizes, springs, pulls) if springs else [(0.0, 0.0)] * len(sizes)
        if springs and not self._things.is_dense:
            found = _stretched(found, springs)
        centres = separate(found, [(width + _MARGIN, height + _MARGIN) for width, height in sizes])
        left, top, right, bottom = bounds(centres, sizes)
        self.size = (right - left, bottom - top)
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        for thing, (x, y) in zip(self._left, centres, strict=True):
            self.places[thing] = (x - middle_x, y - middle_y)
        for middle, block in self._blocks.items():
            self._unfold(middle, block)

    def _springs(self, sizes: Sequence[Size]) -> list[Spring]:
        """Each long enough for what is written on it, and for all neighbours of either end to stand around it."""
        pairs = [
            (self._number[line.one], self._number[line.other], line.room)
            for line in self._lines
            if line.one in self._number and line.other in self._number and line.one != line.other
        ]
        around: dict[int, float] = defaultdict(float)
        for one, other, _ in pairs:
            around[one] += sum(sizes[other]) / 2 + _MARGIN
            around[other] += sum(sizes[one]) / 2 + _MARGIN
        longest: dict[tuple[int, int], float] = {}
        for one, other, room in pairs:
            length = (sum(sizes[one]) + sum(sizes[other])) / 4 + room
            if not self._things.is_dense:
                length = max(length, max(around[one], around[other]) / (2 * math.pi))
            pair = (min(one, other), max(one, other))
            longest[pair] = max(length, longest.get(pair, 0.0))
        return [(one, other, length) for (one, other), length in longest.items()]

    def _unfold(self, middle: int, block: Block) -> None:
        """The block's leaves at their places; its middle looks toward what it has lines to."""
        x, y = self.places[middle]
        beyond = sum(
            self.places[other][0] - x
            for line in self._lines
            for one, other in ((line.one, line.other), (line.other, line.one))
            if one == middle and other in self._number
        )
        pull = self._things.pulls.get(middle, (0.0, 0.0))
        if beyond > 0 or (beyond == 0 and pull[0] > 0):
            block = block.mirrored()
        self.places[middle] = (x + block.middle[0], y + block.middle[1])
        for number, leaf in enumerate(self._leaves[middle]):
            dx, dy = block.leaves[number]
            self.places[leaf] = (x + dx, y + dy)
            if number in block.ways:
                self.ways[middle, leaf] = tuple((x + dx, y + dy) for dx, dy in block.ways[number])
