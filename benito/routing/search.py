"""A search that meets all destinations at once, or one after the other where that is quicker."""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

#: (vertex, the vertex stepped to) -> the destinations that are nearest that way
Ways = dict[tuple[int, int], int]

#: How much work the search for all destinations at once may be before it is given up: moments a vertex that is
#: searched, and turns, as a share of what the search for one after the other takes.
_MOMENTS = 8
_SHARE = 4


class Search:
    """Spreads destinations, given as bits, over vertices by distance: each vertex has its turn at moments.

    All waits are above 0. What a vertex meets at one moment is one set of bits, so that few distances make little work,
    however many the destinations are.
    """

    def __init__(self) -> None:
        #: vertex -> who comes to it: the other, the other's first step, and how much later
        self._feeds: dict[int, list[tuple[int, int, int]]] = {}
        #: destinations -> who meets them without another's help: the moment, the vertex, its first step
        self._starts: dict[int, list[tuple[int, int, int]]] = {}

    def feed(self, vertex: int, other: int, first: int, wait: int) -> None:
        """What `vertex` meets, `other` meets `wait` later by its step to `first`."""
        self._feeds.setdefault(vertex, []).append((other, first, wait))

    def start(self, moment: int, vertex: int, first: int, bits: int) -> None:
        """The vertex meets these destinations at that moment by its step to `first`; itself: they are there."""
        self._feeds.setdefault(vertex, [])
        if bits:
            self._starts.setdefault(bits, []).append((moment, vertex, first))

    def run(self) -> Ways:
        """The ways by which each vertex meets each destination first."""
        ways: dict[int, dict[int, int]] = {vertex: {} for vertex in self._feeds}
        if not self._meet_together(ways):
            ways = {vertex: {} for vertex in self._feeds}
            for bits, starts in self._starts.items():
                self._meet(bits, starts, ways)
        return {(vertex, first): bits for vertex, to in ways.items() for first, bits in to.items() if first != vertex}

    def _meet_together(self, ways: Mapping[int, dict[int, int]]) -> bool:
        """All destinations at once; False if there turn out to be too many different distances."""
        everything = 0
        #: moment -> vertex -> what it is offered: by which first step, which destinations
        offers: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for bits, starts in self._starts.items():
            everything |= bits
            for moment, vertex, first in starts:
                offers.setdefault(moment, {}).setdefault(vertex, []).append((first, bits))
        lacking = dict.fromkeys(self._feeds, everything)
        moments = list(offers)
        heapify(moments)
        moments_left = _MOMENTS * len(lacking) + len(moments)
        turns_left = len(lacking) * (len(self._starts) // _SHARE + 2)
        while moments:
            moment = heappop(moments)
            turn = offers.pop(moment)
            moments_left -= 1
            turns_left -= len(turn)
            if moments_left < 0 or turns_left < 0:
                return False
            for vertex, offered in turn.items():
                if fresh := _met(offered, lacking[vertex], ways[vertex]):
                    lacking[vertex] ^= fresh
                    for other, first, wait in self._feeds[vertex]:
                        if lacking[other]:
                            later = offers.get(moment + wait)
                            if later is None:
                                later = offers[moment + wait] = {}
                                heappush(moments, moment + wait)
                            later.setdefault(other, []).append((first, fresh))
        return True

    def _meet(self, bits: int, starts: Sequence[tuple[int, int, int]], ways: Mapping[int, dict[int, int]]) -> None:
        """One destination."""
        soonest: dict[int, int] = {}
        done: set[int] = set()
        heap: list[tuple[int, int, int]] = []

        def offer(moment: int, vertex: int, first: int) -> None:
            if moment <= soonest.get(vertex, moment):
                soonest[vertex] = moment
                heappush(heap, (moment, vertex, first))

        for start in starts:
            offer(*start)
        while heap:
            moment, vertex, first = heappop(heap)
            if moment > soonest[vertex]:
                continue
            ways[vertex][first] = ways[vertex].get(first, 0) | bits
            if vertex not in done:
                done.add(vertex)
                for other, step, wait in self._feeds[vertex]:
                    offer(moment + wait, other, step)


def _met(offered: Sequence[tuple[int, int]], lacking: int, ways: dict[int, int]) -> int:
    """What of the offered is new; it is added to the ways that it came by."""
    fresh = 0
    for first, bits in offered:
        if new := bits & lacking:
            fresh |= new
            ways[first] = ways.get(first, 0) | new
    return fresh
