"""The graphs that the embedder is measured on: read from files, or made by a formula from a seed."""

import gzip
import json
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

#: A link or LAN: its members, and its weight in Mb/s.
Link = tuple[tuple[int, ...], int]
_DEFAULT_MBPS = 1000
_RATES = (10, 100, 1000)
_UNIFORM = 100
SUFFIXES = (".graphml", ".json", ".graphml.gz", ".json.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """`n` nodes, numbered from 0, and what joins them: no link has a member twice, no two have the same members."""

    name: str
    n: int
    links: tuple[Link, ...]

    def as_json(self) -> dict[str, Any]:
        """The form in which a graph is handed to a process of its own."""
        return {"name": self.name, "n": self.n, "links": self.links}


def graph_of_json(data: dict[str, Any]) -> Graph:
    """Back from `as_json`."""
    links = tuple((tuple(members), weight) for members, weight in data["links"])
    return Graph(name=data["name"], n=data["n"], links=links)


def make_graph(name: str, n: int, links: Iterable[tuple[Sequence[int], float]]) -> Graph:
    """Drops what joins no two nodes, and adds up what joins the same ones. Weights become whole, 1 at the least."""
    weights: dict[tuple[int, ...], float] = defaultdict(float)
    for members, weight in links:
        group = tuple(sorted(set(members)))
        if len(group) > 1:
            weights[group] += weight
    return Graph(name=name, n=n, links=tuple((group, max(1, round(weight))) for group, weight in weights.items()))


# Files


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The graph files among `paths` and in the folders among them."""
    found: list[Path] = []
    for path in paths:
        found += sorted(entry for entry in path.iterdir() if entry.name.endswith(SUFFIXES)) if path.is_dir() else [path]
    return found


def read_graph(path: Path) -> Graph:
    """GraphML, node-link JSON, embed-bench-1 JSON, or the form of `Graph.as_json`; each may be packed with gzip."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    name = path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".graphml")
    if content.lstrip()[:1] != b"{":
        return _graphml(name, content)
    data = json.loads(content)
    if data.get("format") == "embed-bench-1":
        return _embed_bench(name, data)
    if "n" in data:
        return graph_of_json(data)
    return _node_link(name, data)


def _graphml(name: str, content: bytes) -> Graph:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.fromstring(content, parser)
    rates = {key.get("id") for key in root.iter("{*}key") if key.get("attr.name") == "LinkSpeedRaw"}
    places = {str(node.get("id")): place for place, node in enumerate(root.iter("{*}node"))}
    ends: list[tuple[int, int]] = []
    mbps: list[float | None] = []
    for edge in root.iter("{*}edge"):
        ends.append((places[str(edge.get("source"))], places[str(edge.get("target"))]))
        texts = [data.text for data in edge.iter("{*}data") if data.get("key") in rates]
        mbps.append(float(texts[0]) / 1e6 if texts and texts[0] else None)
    known = [rate for rate in mbps if rate is not None]
    usual = statistics.median(known) if known else _DEFAULT_MBPS
    weighed = ((pair, max(1, round(usual if rate is None else rate))) for pair, rate in zip(ends, mbps, strict=True))
    return make_graph(name, len(places), weighed)


def _node_link(name: str, data: dict[str, Any]) -> Graph:
    places = {json.dumps(node["id"]): place for place, node in enumerate(data["nodes"])}
    edges = data["edges"] if "edges" in data else data["links"]
    ends = [(places[json.dumps(edge["source"])], places[json.dumps(edge["target"])]) for edge in edges]
    return make_graph(name, len(places), ((pair, 1) for pair in ends))


def _embed_bench(name: str, data: dict[str, Any]) -> Graph:
    if data.get("kinds") or data.get("fixed"):
        raise ValueError(f"{name}: nodes of other kinds and fixed nodes are not measured here")
    places = {node: place for place, node in enumerate(data["nodes"])}
    links = [([places.get(member, member) for member in members], weight) for members, weight in data["links"]]
    return make_graph(name, len(places), links)


# Formulas. Each takes the number of nodes that is wished for and its own random numbers.

_Links = list[tuple[Sequence[int], float]]


def _tree(n: int, dice: random.Random) -> tuple[int, _Links]:
    return n, [((dice.randrange(node), node), dice.choice(_RATES)) for node in range(1, n)]


def _stars(n: int, dice: random.Random) -> tuple[int, _Links]:
    """A hub of hubs, each with leaves of its own; the hubs' uplinks are quick."""
    hubs = max(2, math.isqrt(n))
    links: _Links = [((0, hub), 1000) for hub in range(1, hubs)]
    return n, links + [((dice.randrange(1, hubs), leaf), dice.choice((10, 100))) for leaf in range(hubs, n)]


def _barabasi(n: int, dice: random.Random, *, m: int, mixed: bool) -> tuple[int, _Links]:
    links: _Links = []
    ends = list(range(m))
    for node in range(m, n):
        chosen: set[int] = set()
        while len(chosen) < min(m, node):
            chosen.add(dice.choice(ends))
        for other in sorted(chosen):
            links.append(((other, node), dice.choice(_RATES) if mixed else _UNIFORM))
            ends += (other, node)
    return n, links


def _waxman(n: int, dice: random.Random) -> tuple[int, _Links]:
    """Points in a square: each is joined with the nearest before it and, as Waxman has it, with a few others nearby."""
    points = [(dice.random(), dice.random()) for _ in range(n)]
    reach = math.sqrt(3.0 / n)
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    links: _Links = []
    for node, (x, y) in enumerate(points):
        column, row = int(x / reach), int(y / reach)
        ring, near = 1, list[int]()
        while node and not near:
            near = [
                other
                for i in range(column - ring, column + ring + 1)
                for j in range(row - ring, row + ring + 1)
                for other in cells.get((i, j), ())
            ]
            ring += 1
        away = {other: math.dist(points[other], (x, y)) for other in near}
        nearest = min(near, key=away.__getitem__) if near else None
        for other in near:
            if other == nearest or (away[other] < reach and dice.random() < 0.5 * math.exp(-away[other] / reach)):
                links.append(((other, node), dice.choice(_RATES)))
        cells[column, row].append(node)
    return n, links


def _grid(n: int, _dice: random.Random) -> tuple[int, _Links]:
    width = math.isqrt(n)
    height = n // width
    links: _Links = []
    for node in range(width * height):
        if (node + 1) % width:
            links.append(((node, node + 1), _UNIFORM))
        if node + width < width * height:
            links.append(((node, node + width), _UNIFORM))
    return width * height, links


def _ring(n: int, dice: random.Random) -> tuple[int, _Links]:
    """A quick ring, and a slower chord for every fourth node."""
    links: _Links = [((node, (node + 1) % n), 1000) for node in range(n)]
    return n, links + [(dice.sample(range(n), 2), dice.choice((10, 100))) for _ in range(n // 4)]


def _regular(n: int, dice: random.Random, *, degree: int) -> tuple[int, _Links]:
    """Stubs are paired by chance; a pair that is not allowed is taken apart again together with another."""
    n += n * degree % 2
    stubs = [node for node in range(n) for _ in range(degree)]
    pairs: set[tuple[int, int]] = set()
    while stubs:
        dice.shuffle(stubs)
        left: list[int] = []
        for one, other in zip(stubs[::2], stubs[1::2], strict=True):
            pair = (min(one, other), max(one, other))
            if one == other or pair in pairs:
                left += (one, other)
            else:
                pairs.add(pair)
        if left:
            for pair in dice.sample(sorted(pairs), min(len(pairs), len(left))):
                pairs.remove(pair)
                left += pair
        stubs = left
    return n, [(pair, _UNIFORM) for pair in sorted(pairs)]


def _fat_tree(n: int, _dice: random.Random) -> tuple[int, _Links]:
    """The k-ary fat tree whose size is nearest."""
    k = min(range(4, 66, 2), key=lambda k: abs(5 * k * k // 4 + k**3 // 4 - n))
    half = k // 2
    links: _Links = []
    top = half * half
    for pod in range(k):
        first = top + pod * (k + half * half)
        upper, lower, hosts = first, first + half, first + k
        for i in range(half):
            links += [((i * half + j, upper + i), 1000) for j in range(half)]
            links += [((upper + i, lower + j), 1000) for j in range(half)]
            links += [((lower + i, hosts + i * half + j), 100) for j in range(half)]
    return top + k * (k + half * half), links


def _enterprise(n: int, dice: random.Random) -> tuple[int, _Links]:
    """LANs of 5 to 30 machines, each with a router; routers hang in a tree, and a few are joined twice."""
    links: _Links = []
    routers: list[int] = []
    node = 0
    while node < n:
        size = min(n - node, dice.randint(5, 30))
        if routers:
            links.append(((dice.choice(routers[-8:]), node), dice.choice((100, 1000))))
        if len(routers) > 2 and dice.random() < 0.25:
            links.append(((dice.choice(routers), node), 100))
        links.append((range(node, node + size), dice.choice(_RATES)))
        routers.append(node)
        node += size
    return n, links


FAMILIES: dict[str, Callable[[int, random.Random], tuple[int, _Links]]] = {
    "tree": _tree,
    "stars": _stars,
    "ba1": lambda n, dice: _barabasi(n, dice, m=1, mixed=True),
    "ba2": lambda n, dice: _barabasi(n, dice, m=2, mixed=False),
    "waxman": _waxman,
    "grid": _grid,
    "ring": _ring,
    "regular3": lambda n, dice: _regular(n, dice, degree=3),
    "regular4": lambda n, dice: _regular(n, dice, degree=4),
    "fat-tree": _fat_tree,
    "enterprise": _enterprise,
}
#: Those that are also made at the largest sizes.
LARGE_FAMILIES = ("ba2", "waxman", "enterprise")


def generate(family: str, size: int, seed: int) -> Graph:
    """The graph of that family; its own size may differ a little from the one wished for."""
    n, links = FAMILIES[family](size, random.Random(f"{family} {size} {seed}"))  # noqa: S311 (graphs, no secrets)
    return make_graph(f"{family}-{size}", n, links)
