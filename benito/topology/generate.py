"""Makes topologies of the usual shapes, as large as asked. The same request gives the same topology every time.

Links are ideal unless a `LinkQuality` says more. Names are short and count from 0: `n-0`, `link-0`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from benito.errors import UsageError
from benito.model import Kind, Lan, Member, Node, Shaping, Topology, half_loss
from benito.topology.edit import with_attributes
from benito.topology.limits import ReadLimits


class Shape(StrEnum):
    """Which topology is made."""

    STAR = "star"
    RING = "ring"
    LINE = "line"
    TREE = "tree"
    LAN = "lan"
    GRID = "grid"
    RANDOM = "random"
    FAT_TREE = "fat-tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkQuality:
    """What every link does from node to node: `delay_us` and `loss_ratio` are those of the whole way."""

    rate_kbps: int | None = None
    delay_us: int = 0
    loss_ratio: float = 0.0

    @property
    def half(self) -> Shaping:
        """One half of it, as Emulab's parser divides a link."""
        return Shaping(rate_kbps=self.rate_kbps, delay_us=self.delay_us // 2, loss_ratio=half_loss(self.loss_ratio))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the sizes of a shape mean. `least` is the smallest each may be, `defaults` stand for those left out."""

    words: tuple[str, ...]
    least: tuple[int, ...]
    defaults: tuple[int | None, ...] = ()


USAGE = {
    Shape.STAR: Usage(words=("LEAVES",), least=(1,)),
    Shape.RING: Usage(words=("NODES",), least=(3,)),
    Shape.LINE: Usage(words=("NODES",), least=(1,)),
    Shape.TREE: Usage(words=("DEPTH", "FANOUT"), least=(0, 1), defaults=(2,)),
    Shape.LAN: Usage(words=("NODES",), least=(1,)),
    Shape.GRID: Usage(words=("ROWS", "COLUMNS"), least=(1, 1)),
    Shape.RANDOM: Usage(words=("NODES", "LINKS"), least=(1, 0), defaults=(None,)),
    Shape.FAT_TREE: Usage(words=("K",), least=(2,)),
}


@dataclass(slots=True)
class _Sketch:
    """Nodes and links by name, before they are values."""

    nodes: list[str] = field(default_factory=list)
    links: list[tuple[str, ...]] = field(default_factory=list)

    def link(self, first: str, second: str) -> None:
        self.links.append((first, second))


def generate(
    shape: Shape,
    sizes: Sequence[int],
    *,
    quality: LinkQuality = LinkQuality(),
    kind: Kind | None = None,
    seed: int = 0,
    limits: ReadLimits = ReadLimits(),  # noqa: B008 - frozen
) -> Topology:
    """The topology of a shape and its sizes (see `USAGE`). `seed` decides what is random.

    Raises UsageError for sizes that the shape cannot have, or that no file may have.
    """
    checked = _checked(shape, sizes)
    nodes, interfaces = _count(shape, checked)
    if nodes > limits.nodes or interfaces > limits.interfaces:
        raise UsageError(
            f"{shape} {' '.join(map(str, sizes))} would have {nodes} nodes and {interfaces} interfaces",
            hint=f"at most {limits.nodes} nodes and {limits.interfaces} interfaces",
        )
    sketch = _sketch(shape, checked, seed)
    return _topology(sketch, f"{shape}-{'-'.join(map(str, sizes))}", quality, kind)


def _checked(shape: Shape, sizes: Sequence[int]) -> tuple[int, ...]:
    usage = USAGE[shape]
    wanted, optional = len(usage.words), len(usage.defaults)
    if not wanted - optional <= len(sizes) <= wanted:
        words = [*usage.words[: wanted - optional], *(f"[{word}]" for word in usage.words[wanted - optional :])]
        raise UsageError(
            f"{shape} takes {wanted - optional or 'no'} size{'s' * (wanted != 1)}", hint=f"{shape} {' '.join(words)}"
        )
    missing = wanted - len(sizes)
    given = [*sizes, *(_default(shape, sizes) for _ in range(missing))]
    for word, size, least in zip(usage.words, given, usage.least, strict=True):
        if size < least:
            raise UsageError(f"{shape} with {word} {size} cannot be made", hint=f"{word} is at least {least}")
    if shape is Shape.FAT_TREE and given[0] % 2:
        raise UsageError(
            f"a fat-tree of {given[0]} cannot be made", hint="K is even: each switch has K/2 ports each way"
        )
    if shape is Shape.RANDOM:
        least, most = given[0] - 1, given[0] * (given[0] - 1) // 2
        if not least <= given[1] <= most:
            raise UsageError(
                f"{given[0]} nodes cannot be connected by {given[1]} links", hint=f"from {least} to {most} links"
            )
    return tuple(given)


def _default(shape: Shape, sizes: Sequence[int]) -> int:
    fixed = USAGE[shape].defaults[0]
    if fixed is not None:
        return fixed
    # Half as many links again as a tree has: sparse, as real networks are, with some ways round.
    nodes = sizes[0]
    return min(nodes - 1 + nodes // 2, nodes * (nodes - 1) // 2)


def _count(shape: Shape, sizes: tuple[int, ...]) -> tuple[int, int]:
    """How many nodes and interfaces there would be, without making them."""
    first = sizes[0]
    nodes, links = first, first
    match shape:
        case Shape.STAR:
            nodes = first + 1
        case Shape.LINE:
            links = first - 1
        case Shape.LAN:
            return first, first
        case Shape.TREE:
            # Bounded before the power is computed; what is beyond is refused anyway.
            depth, fanout = min(first, 64), min(sizes[1], 1 << 20)
            nodes = sum(fanout**level for level in range(depth + 1)) if fanout > 1 else first + 1
            links = nodes - 1
        case Shape.GRID:
            rows, columns = sizes
            nodes, links = rows * columns, rows * (columns - 1) + columns * (rows - 1)
        case Shape.RANDOM:
            links = sizes[1]
        case Shape.FAT_TREE:
            nodes, links = 5 * first**2 // 4 + first**3 // 4, 3 * first**3 // 4
    return nodes, 2 * links


def _sketch(shape: Shape, sizes: tuple[int, ...], seed: int) -> _Sketch:
    made = _Sketch()
    first = sizes[0]
    if shape is Shape.FAT_TREE:
        _fat_tree(made, first)
    elif shape is Shape.GRID:
        _grid(made, *sizes)
    elif shape is Shape.STAR:
        made.nodes = ["center", *(f"n-{number}" for number in range(first))]
        for leaf in made.nodes[1:]:
            made.link("center", leaf)
    elif shape is Shape.TREE:
        made.nodes = [f"n-{number}" for number in range(_count(shape, sizes)[0])]
        for number in range(1, len(made.nodes)):
            made.link(made.nodes[(number - 1) // sizes[1]], made.nodes[number])
    else:
        made.nodes = [f"n-{number}" for number in range(first)]
        if shape is Shape.LAN:
            made.links.append(tuple(made.nodes))
        elif shape is Shape.RANDOM:
            _random(made, sizes[1], seed)
        else:
            for one, other in zip(made.nodes, made.nodes[1:], strict=False):
                made.link(one, other)
            if shape is Shape.RING:
                made.link(made.nodes[-1], made.nodes[0])
    return made


def _grid(made: _Sketch, rows: int, columns: int) -> None:
    made.nodes = [f"n-{row}-{column}" for row in range(rows) for column in range(columns)]
    for row in range(rows):
        for column in range(columns):
            if column + 1 < columns:
                made.link(f"n-{row}-{column}", f"n-{row}-{column + 1}")
            if row + 1 < rows:
                made.link(f"n-{row}-{column}", f"n-{row + 1}-{column}")


def _random(made: _Sketch, links: int, seed: int) -> None:
    """A random tree, so that all are connected, and random links beside it.

    Not a generator of networkx: those change what a seed gives from version to version.
    """
    choice = random.Random(seed)  # noqa: S311 - repeatable is what is wanted, not secret
    count = len(made.nodes)
    taken: set[tuple[int, int]] = set()
    for number in range(1, count):
        taken.add((choice.randrange(number), number))
    if links > count * (count - 1) // 4:
        # Nearly all pairs: drawing until one is free would take long.
        free = [(one, other) for other in range(count) for one in range(other) if (one, other) not in taken]
        taken.update(choice.sample(free, links - len(taken)))
    while len(taken) < links:
        one, other = sorted((choice.randrange(count), choice.randrange(count)))
        if one != other:
            taken.add((one, other))
    for one, other in sorted(taken):
        made.link(made.nodes[one], made.nodes[other])


def _fat_tree(made: _Sketch, k: int) -> None:
    """K pods of K/2 edge and K/2 aggregation switches, (K/2)^2 cores, K/2 hosts an edge switch (Al-Fares et al.)."""
    half = k // 2
    made.nodes = [f"core-{number}" for number in range(half * half)]
    for pod in range(k):
        made.nodes += [f"agg-{pod}-{number}" for number in range(half)]
        made.nodes += [f"edge-{pod}-{number}" for number in range(half)]
        made.nodes += [f"host-{pod}-{edge}-{number}" for edge in range(half) for number in range(half)]
        for up in range(half):
            for number in range(half):
                made.link(f"core-{up * half + number}", f"agg-{pod}-{up}")
            for edge in range(half):
                made.link(f"agg-{pod}-{up}", f"edge-{pod}-{edge}")
        for edge in range(half):
            for number in range(half):
                made.link(f"edge-{pod}-{edge}", f"host-{pod}-{edge}-{number}")


def _topology(sketch: _Sketch, source: str, quality: LinkQuality, kind: Kind | None) -> Topology:
    template = Node(name="n")
    if kind is not None:
        template = with_attributes(template, [("containers:node_type", kind.value)])
    ports = dict.fromkeys(sketch.nodes, 0)
    lans = []
    for number, ends in enumerate(sketch.links):
        members = []
        for node in ends:
            members.append(Member(node=node, port=ports[node], into=quality.half, out_of=quality.half))
            ports[node] += 1
        name = f"link-{number}" if len(sketch.links) > 1 or len(ends) == 2 else "lan-0"
        lans.append(Lan(name=name, members=tuple(members), is_link=len(members) == 2))
    nodes = tuple(_named(template, name) for name in sketch.nodes)
    return Topology(source=source, nodes=nodes, lans=tuple(lans))


def _named(template: Node, name: str) -> Node:
    return Node(name=name, kind=template.kind, attributes=template.attributes)
