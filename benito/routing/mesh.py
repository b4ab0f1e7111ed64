"""Shortest ways within a mesh: a piece of the network in which the loss of no single vertex cuts anything.

Long chains are kept out of the search. Its time goes with the number of different distances, and along a chain the
ways follow from the distances of its two ends: which end is nearer to a destination changes once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import accumulate, pairwise

from benito.routing.network import Network
from benito.routing.search import Search, Ways

#: Inner vertices of a chain that make it worth two searches for its ends.
_LONG = 64


class Mesh:
    """A piece of the network, given by its edges, and the destinations at each of its vertices, as bits."""

    def __init__(self, network: Network, edges: Iterable[tuple[int, int]], inside: Mapping[int, int]) -> None:
        self._network = network
        self._inside = inside
        self._near: dict[int, list[int]] = {}
        for one, other in sorted(edges):
            self._near.setdefault(one, []).append(other)
            self._near.setdefault(other, []).append(one)

    def solve(self) -> Ways:
        """The destinations at other vertices that are nearest by each step; those equally near by each of them."""
        chains = list(self._chains())
        ways = self._search([*chains, *self._links(chains)])
        ends = {end: self._distances(end) for path in chains for end in (path[0], path[-1])}
        for path in chains:
            self._along(path, ends[path[0]], ends[path[-1]], ways)
        return ways

    def _step(self, vertex: int, other: int) -> int:
        return self._network.steps[vertex][other]

    def _chains(self) -> Iterator[list[int]]:
        """Long paths whose inner vertices have no other neighbours, with their ends; a ring is one that ends as it
        begins."""
        branches = {vertex for vertex, near in self._near.items() if len(near) > 2} or {min(self._near)}
        done: set[int] = set()
        for end in sorted(branches):
            for first in self._near[end]:
                path = [end]
                vertex = first
                while vertex not in branches and vertex not in done:
                    path.append(vertex)
                    one, other = self._near[vertex]
                    vertex = other if one == path[-2] else one
                path.append(vertex)
                if len(path) > 2 and vertex in branches:
                    done.update((path[1], path[-2]))
                    if len(path) - 2 >= _LONG:
                        yield path

    def _links(self, chains: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """The paths over LANs of two members that are in no chain."""
        passed = {vertex for path in chains for vertex in path[1:-1]}
        for vertex, near in self._near.items():
            if self._network.is_lan(vertex) and len(self._network.steps[vertex]) == 2 and vertex not in passed:
                yield [near[0], vertex, near[1]]

    def _search(self, passed: Sequence[Sequence[int]]) -> Ways:
        """The ways from all vertices but the inner ones of the paths that are passed over."""
        inner = {vertex for path in passed for vertex in path[1:-1]}
        search = Search()
        for vertex, near in self._near.items():
            if vertex in inner:
                continue
            search.start(self._moment(vertex, 0), vertex, vertex, self._inside[vertex])
            for other in near:
                if other not in inner:
                    search.feed(vertex, other, vertex, self._wait(other, self._step(other, vertex), vertex))
        for path in passed:
            for way in (path, path[::-1]):
                start, first, end = way[0], way[1], way[-1]
                distances = [0, *accumulate(self._step(one, other) for one, other in pairwise(way))]
                for vertex, distance in zip(way[1:-1], distances[1:-1], strict=True):
                    search.start(self._moment(start, distance), start, first, self._inside[vertex])
                if start != end:
                    search.feed(end, start, first, self._wait(start, distances[-1], end))
        return search.run()

    def _moment(self, vertex: int, distance: int) -> int:
        """When a vertex at that distance has its turn: of equally distant ones, LANs after nodes.

        A step out of a LAN costs nothing, and what a LAN meets must be known before it is passed on.
        """
        return 2 * distance + self._network.is_lan(vertex)

    def _wait(self, vertex: int, cost: int, other: int) -> int:
        """From `other`'s turn to that of `vertex`, whence the way to `other` costs so much."""
        return self._moment(vertex, cost) - self._moment(other, 0)

    def _distances(self, start: int) -> Mapping[int, int]:
        """From one vertex to all others."""
        found: dict[int, int] = {}
        heap = [(0, start)]
        while heap:
            distance, vertex = heappop(heap)
            if vertex in found:
                continue
            found[vertex] = distance
            steps = self._network.steps[vertex]
            for other in self._near[vertex]:
                if other not in found:
                    heappush(heap, (distance + steps[other], other))
        return found

    def _along(
        self, path: Sequence[int], from_start: Mapping[int, int], from_end: Mapping[int, int], ways: Ways
    ) -> None:
        """Adds the ways from a chain's inner vertices, given the distances from its ends."""
        inner = path[1:-1]
        back = list(accumulate(self._step(vertex, before) for before, vertex in pairwise(path[:-1])))
        ahead = list(accumulate(self._step(vertex, after) for after, vertex in pairwise(path[:0:-1])))[::-1]
        sides = _Sides([one - other for one, other in zip(back, ahead, strict=True)])
        for place, vertex in enumerate(inner):
            if bits := self._inside[vertex]:
                # Those before it have it straight ahead, those after it straight back; or all the way round.
                sides.add(bits, 0, place, -ahead[place] - from_start[vertex])
                sides.add(bits, place + 1, len(inner), from_end[vertex] + back[place])
        within = set(inner)
        for vertex, bits in self._inside.items():
            if bits and vertex not in within:
                sides.add(bits, 0, len(inner), from_end[vertex] - from_start[vertex])
        for place, (left, right) in enumerate(sides):
            ways[path[place + 1], path[place]] = left
            ways[path[place + 1], path[place + 2]] = right


class _Sides:
    """Along a chain: which destinations are nearest by way of its start, and which by its end.

    `lead` is by how much the start is further than the end, place by place; it grows.
    """

    def __init__(self, lead: Sequence[int]) -> None:
        self._lead = lead
        self._left = [0] * (len(lead) + 1)
        self._right = [0] * (len(lead) + 1)

    def add(self, bits: int, first: int, last: int, most: int) -> None:
        """At the places from `first` to before `last`, they are nearest by the start while its lead is at most that."""
        self._left[first] ^= bits
        self._left[bisect_right(self._lead, most, first, last)] ^= bits
        self._right[bisect_left(self._lead, most, first, last)] ^= bits
        self._right[last] ^= bits

    def __iter__(self) -> Iterator[tuple[int, int]]:
        left = right = 0
        for place in range(len(self._lead)):
            left ^= self._left[place]
            right ^= self._right[place]
            yield left, right
