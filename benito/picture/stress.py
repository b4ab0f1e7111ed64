"""Places points so that those with few lines between them are near each other.

Stress by stochastic gradient descent (Zheng, Pawar, Goodman 2019), with pivots for large graphs (Ortmann, Klimenta,
Brandes 2017). Written here because no small library does it, and because additions, multiplications and square roots
in a fixed order give the same places on every machine.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from benito.picture.model import Point

#: (point, point, wished distance)
Spring = tuple[int, int, float]
#: A spring, how much it counts for the first point, and whether it moves the second one as well.
Term = tuple[int, int, float, float, bool]

_ROUNDS = 22
#: Up to so many points every pair has a wish; from there on a point has wishes for so many pivots and neighbours.
_ALL_PAIRS_UP_TO = 300
_PIVOTS, _NEIGHBOURS = 40, 8
#: Long ways are wished shorter than they are, so that a long chain bends and uses the page.
_BEND = 0.65
#: How much a pull counts, against a wish for a distance as long as the picture is wide.
_PULL = 0.35


def relax(count: int, springs: Sequence[Spring], pulls: Mapping[int, Point]) -> list[Point]:
    """Places for `count` points that `springs` connect, each with its wished distance.

    `pulls` draws points toward a side of the picture, each a direction of length 1. The work is bounded by 45,000
    steps a round up to 300 points, and grows with 48 steps a round for each point beyond.
    """
    if count < 2:
        return [(0.0, 0.0)] * count
    dice = random.Random(0)  # noqa: S311 - no secret; the same every time
    terms = list(_terms(count, springs, dice))
    reach = max(term[2] for term in terms)
    x = [dice.uniform(-reach, reach) / 2 for _ in range(count)]
    y = [dice.uniform(-reach, reach) / 2 for _ in range(count)]
    first, last = reach * reach, 0.1 / max(term[3] for term in terms)
    sides = sorted(pulls.items())
    for turn in range(_ROUNDS):
        step = first * (last / first) ** (turn / (_ROUNDS - 1))
        dice.shuffle(terms)
        _descend(x, y, terms, step)
        share = min(1.0, step * _PULL / (reach * reach))
        for point, (side_x, side_y) in sides:
            x[point] += share * (side_x * reach - x[point])
            y[point] += share * (side_y * reach - y[point])
    return list(zip(x, y, strict=True))


def _descend(x: list[float], y: list[float], terms: Sequence[Term], step: float) -> None:
    """Each term moves its points to the distance that it wishes, or part of the way."""
    root = math.sqrt
    for one, other, wished, weight, is_mutual in terms:
        dx, dy = x[one] - x[other], y[one] - y[other]
        distance = root(dx * dx + dy * dy) or 1e-6
        share = step * weight
        if share > 1.0:
            share = 1.0
        move = share * (distance - wished) / (2.0 * distance)
        dx *= move
        dy *= move
        x[one] -= dx
        y[one] -= dy
        if is_mutual:
            x[other] += dx
            y[other] += dy


def _terms(count: int, springs: Sequence[Spring], dice: random.Random) -> Iterator[Term]:
    """What is wished: the springs' own lengths, and the lengths of ways; of a large graph, of some ways."""
    near: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    unit = sum(distance for *_, distance in springs) / len(springs)
    done = set()
    for one, other, distance in springs:
        near[one].append((other, distance))
        near[other].append((one, distance))
        done |= {(one, other), (other, one)}
        yield one, other, distance, 1 / (distance * distance), True

    def wish(distance: float) -> float:
        return unit * (distance / unit) ** _BEND if distance > unit else distance

    is_whole = count <= _ALL_PAIRS_UP_TO
    for one in range(count):
        for other, distance in _ways(near, one, count if is_whole else _NEIGHBOURS).items():
            if other != one and (one, other) not in done:
                done |= {(one, other), (other, one)}
                yield one, other, wish(distance), 1 / wish(distance) ** 2, True
    if not is_whole:
        # Chosen by lot: those that lie far out would draw everything after them.
        ways = {pivot: _ways(near, pivot, count) for pivot in dice.sample(range(count), _PIVOTS)}
        for one, pivot, distance, points in _pivot_wishes(ways, count):
            if (one, pivot) not in done:
                yield one, pivot, wish(distance), points / wish(distance) ** 2, False


def _pivot_wishes(ways: Mapping[int, Mapping[int, float]], count: int) -> Iterator[tuple[int, int, float, int]]:
    """(point, pivot, distance, how many points the pivot stands for at that distance)."""
    region: dict[int, list[float]] = {pivot: [] for pivot in ways}
    for point in range(count):
        home = min(ways, key=lambda pivot: ways[pivot][point])
        region[home].append(ways[home][point])
    for pivot, found in ways.items():
        around = sorted(region[pivot])
        for point, distance in found.items():
            if point != pivot:
                yield point, pivot, distance, max(1, bisect_right(around, distance / 2))


def _ways(near: Sequence[Sequence[tuple[int, float]]], source: int, most: int) -> dict[int, float]:
    """How far it is from `source` to the points around it, by the fewest springs; to `most` of them, or a few more."""
    found = {source: 0.0}
    order = [source]
    for point in order:
        if len(found) > most:
            break
        for other, length in near[point]:
            if other not in found:
                found[other] = found[point] + length
                order.append(other)
    return found
