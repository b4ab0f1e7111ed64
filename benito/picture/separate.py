"""Moves rectangles apart until none overlaps, and packs islands that nothing connects."""

from collections.abc import Sequence

from benito.picture.model import Point

Size = tuple[float, float]

_ROUNDS = 150
#: After so many rounds in which rectangles still overlap, all are moved apart by that factor.
_PATIENCE, _STRETCH = 10, 1.07
#: The page that rectangles start from is so much larger than all of them.
_ROOMY = 1.3
#: Overlaps as small as this are none.
_CLOSE = 0.01


def separate(places: Sequence[Point], sizes: Sequence[Size]) -> list[Point]:
    """Places near the given ones at which no two rectangles overlap; the space between them is part of their sizes.

    Overlapping ones push each other. Where even stretching the whole does not end that in a bounded number of rounds,
    they are put in rows.
    """
    scale = _first_scale(places, sizes)
    x, y = [place[0] * scale for place in places], [place[1] * scale for place in places]
    for turn in range(1, _ROUNDS):
        if not _push(x, y, sizes):
            return list(zip(x, y, strict=True))
        if turn % _PATIENCE == 0:
            x, y = [value * _STRETCH for value in x], [value * _STRETCH for value in y]
    return pack(sizes)[0]


def _first_scale(places: Sequence[Point], sizes: Sequence[Size]) -> float:
    """By how much places must be stretched for all rectangles to find room without much pushing."""
    count = len(places)
    if count < 3:
        return 1.0
    spread = []
    for axis in (0, 1):
        middle = sum(place[axis] for place in places) / count
        spread.append(sum(abs(place[axis] - middle) for place in places) / count)
    page = 16 * spread[0] * spread[1]  # a quarter of an even row's length is its mean distance from its middle
    return max(1.0, (_ROOMY * sum(width * height for width, height in sizes) / page) ** 0.5) if page > 0 else 1.0


def _push(x: list[float], y: list[float], sizes: Sequence[Size]) -> bool:
    """Moves each pair that overlaps apart, along the side where it overlaps least for its size; whether any did."""
    order = sorted(range(len(x)), key=lambda item: (x[item] - sizes[item][0] / 2, item))
    moved = False
    for place, one in enumerate(order):
        width, height = sizes[one]
        for other in order[place + 1 :]:
            other_width, other_height = sizes[other]
            if x[other] - other_width / 2 >= x[one] + width / 2:
                break
            wide, high = (width + other_width) / 2, (height + other_height) / 2
            dx, dy = x[other] - x[one], y[other] - y[one]
            inside_x, inside_y = wide - abs(dx), high - abs(dy)
            if inside_x <= _CLOSE or inside_y <= _CLOSE:
                continue
            moved = True
            # The larger one moves less, so that no box is driven off by a node.
            share = other_width * other_height / (other_width * other_height + width * height)
            if inside_x * high < inside_y * wide:
                push = (inside_x + _CLOSE) * (1 if dx > 0 or (dx == 0 and one < other) else -1)
                x[one] -= push * share
                x[other] += push * (1 - share)
            else:
                push = (inside_y + _CLOSE) * (1 if dy > 0 or (dy == 0 and one < other) else -1)
                y[one] -= push * share
                y[other] += push * (1 - share)
    return moved


def pack(sizes: Sequence[Size]) -> tuple[list[Point], Size]:
    """Rectangles in rows on a page somewhat wider than high: their centres, and the page. The high ones come first."""
    if not sizes:
        return [], (0.0, 0.0)
    area = sum(width * height for width, height in sizes)
    page = max((1.6 * area) ** 0.5, *(width for width, _ in sizes), 0.0)
    places: list[Point] = [(0.0, 0.0)] * len(sizes)
    left = top = row = widest = 0.0
    for item in sorted(range(len(sizes)), key=lambda item: (-sizes[item][1], item)):
        width, height = sizes[item]
        if left > 0 and left + width > page:
            left, top, row = 0.0, top + row, 0.0
        places[item] = (left + width / 2, top + height / 2)
        left, row = left + width, max(row, height)
        widest = max(widest, left)
    return places, (widest, top + row)
