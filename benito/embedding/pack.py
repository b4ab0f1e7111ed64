"""One packing pass placed: on the fewest pnodes that hold it, then with the least promise across pnodes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from benito.embedding import engine
from benito.embedding.former import Former
from benito.embedding.offers import Offer
from benito.embedding.passes import Pass
from benito.policy import Effort


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A pnode with its nodes; `pnode` is the name that it had in a former placement, if any."""

    offer: Offer
    nodes: tuple[str, ...]
    pnode: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The pass's pnodes with their nodes, and why there are so many."""

    bins: tuple[Bin, ...]
    reason: str


class DoesNotFit(Exception):
    """No placement keeps every limit: what is too much in the best that was found."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


def pack(work: Pass, *, seed: int, effort: Effort, former: Former | None = None) -> Packed:
    """The placement. Raises DoesNotFit."""
    return _Packing(work, seed, effort).pack(former)


class _Packing:
    """How one pass is packed."""

    def __init__(self, work: Pass, seed: int, effort: Effort) -> None:
        self._work, self._seed, self._effort = work, seed, effort

    def pack(self, former: Former | None) -> Packed:
        work = self._work
        least, why = work.bound()
        least = max(least, len(set(work.rules.pins.values())), 1)
        alike = len({offer.type.name for offer in work.offers}) == 1
        ceiling = least if work.limits.size is not None else len(work.offers)
        if alike:  # more pnodes than nodes are of no use
            ceiling = min(ceiling, len(work.rules.groups))
        work.is_exact = former is None
        least, ceiling = min(least, len(self._work.offers)), min(max(least, ceiling), len(self._work.offers))
        if former is not None:
            kept = self._keep(former)
            return self._pack_again(former, kept, max(least, len(kept)), max(ceiling, len(kept)))
        parts, found, lacking = self._first_that_fits(least, ceiling)
        best = engine.search(
            self._work.instance(parts), seed=self._seed, effort=self._effort, start=[found] if found else ()
        )
        if not best.fits:
            raise DoesNotFit(self._work.overloads(parts, best.part))
        if parts > least:
            why = f"{parts} pnodes, because {least} would be too few: {lacking}"
        return Packed(bins=self._bins(parts, best.part, ()), reason=why)

    def _bins(self, parts: int, part: Sequence[int], names: Sequence[str]) -> tuple[Bin, ...]:
        members: list[list[str]] = [[] for _ in range(parts)]
        for name, number in self._work.vertex_of.items():
            members[part[number]].append(name)
        return tuple(
            Bin(offer=self._work.offers[at], nodes=tuple(nodes), pnode=names[at] if at < len(names) else None)
            for at, nodes in enumerate(members)
            if nodes
        )

    def _keep(self, former: Former) -> list[str]:
        """The pnodes that the pass's nodes were on, in order, their offers put first."""
        names = sorted({former.home[name] for name in self._work.vertex_of if former.home.get(name) in former.kept})
        left = list(self._work.offers)
        first = []
        for name in names:
            host, kind = former.hosts.get(name), former.types.get(name)
            alike = [offer for offer in left if offer.type.name == kind and host in (None, offer.host)]
            chosen = next(iter(alike or left), None)
            if chosen is not None:
                left.remove(chosen)
                first.append(chosen)
        self._work.offers = [*first, *left]
        return names[: len(first)]

    def _pack_again(self, former: Former, kept: Sequence[str], least: int, ceiling: int) -> Packed:
        """First with every node where it was; where that cannot be, with as few elsewhere as it takes."""
        number_of = {name: at for at, name in enumerate(kept)}
        homes = {
            self._work.vertex_of[name]: number_of[former.home[name]]
            for name in self._work.vertex_of
            if former.home.get(name) in number_of
        }
        if _overfull(self._work.instance(max(len(kept), 1)), homes):
            return self._pack_with_moves(homes, kept, least, ceiling)
        try:
            parts, found, _ = self._first_that_fits(
                max(len(kept), 1), ceiling, lambda instance: _pinned(instance, homes), sure=False
            )
            pinned = _pinned(self._work.instance(parts), homes)
            best = engine.search(pinned, seed=self._seed, effort=self._effort, start=[found])
            return Packed(bins=self._bins(parts, best.part, kept), reason="every node stays that can")
        except DoesNotFit:
            return self._pack_with_moves(homes, kept, least, ceiling)

    def _pack_with_moves(self, homes: Mapping[int, int], kept: Sequence[str], least: int, ceiling: int) -> Packed:
        parts, found, _ = self._first_that_fits(least, ceiling)
        instance = self._work.instance(parts)
        found = found or engine.search(instance, seed=self._seed, effort=Effort.QUICK).part
        begun = [homes.get(vertex, at) for vertex, at in enumerate(found)]
        anchored, anchors = _anchored(instance, homes)
        loose = engine.search(
            anchored, seed=self._seed, effort=self._effort, start=[[*begun, *anchors], [*found, *anchors]]
        )
        part = loose.part[: len(begun)]
        stayed = {vertex: at for vertex, at in homes.items() if part[vertex] == at}
        best = engine.search(_pinned(instance, stayed), seed=self._seed, effort=self._effort, start=[part])
        if not best.fits:  # the anchors hide how full the uplinks are
            best = engine.search(instance, seed=self._seed, effort=self._effort, start=[begun, found])
        if not best.fits:
            raise DoesNotFit(self._work.overloads(parts, best.part))
        moved = sum(len(self._work.rules.groups[vertex]) for vertex, at in homes.items() if best.part[vertex] != at)
        return Packed(bins=self._bins(parts, best.part, kept), reason=f"{moved} nodes cannot stay where they were")

    def _first_that_fits(
        self,
        least: int,
        ceiling: int,
        held: Callable[[engine.Instance], engine.Instance] = lambda instance: instance,
        *,
        sure: bool = True,
    ) -> tuple[int, tuple[int, ...], str]:
        """The fewest parts for which a quick look finds a placement, that placement, and what was lacking with fewer.

        Raises DoesNotFit; with `sure`, only after a longer look.
        """
        if sure and self._work.is_plain(least):
            return least, (), ""

        def look(parts: int, effort: Effort, start: Sequence[Sequence[int]] = ()) -> engine.Placement:
            return engine.search(held(self._work.instance(parts)), seed=self._seed, effort=effort, start=start)

        too_few, parts, lacking = least - 1, least, ""
        while not (quick := look(parts, Effort.QUICK)).fits:
            over = self._work.overloads(parts, quick.part)
            if parts >= ceiling:
                longer = look(parts, Effort.DEFAULT, [quick.part]) if sure else quick
                if longer.fits:
                    quick = longer
                    break
                raise DoesNotFit(over)
            too_few, lacking = parts, over[0] if over else ""
            parts = min(ceiling, max(parts + 1, parts * 21 // 20))
        while parts - too_few > 1:
            middle = (parts + too_few) // 2
            if (again := look(middle, Effort.QUICK)).fits:
                parts, quick = middle, again
            else:
                too_few = middle
        return parts, quick.part, lacking


def _pinned(instance: engine.Instance, homes: Mapping[int, int]) -> engine.Instance:
    """With those vertices held where they are."""
    fixed = [homes.get(vertex, where) if where < 0 else where for vertex, where in enumerate(instance.fixed)]
    return replace(instance, fixed=fixed)


def _overfull(instance: engine.Instance, homes: Mapping[int, int]) -> bool:
    """Whether these vertices alone are too much where they are."""
    loads = [[0] * len(row) for row in instance.capacity]
    for vertex, part in homes.items():
        for resource, amount in instance.needs[vertex]:
            loads[part][resource] += amount
    return any(
        load > most
        for row, limits in zip(loads, instance.capacity, strict=True)
        for load, most in zip(row, limits, strict=True)
    )


def _anchored(instance: engine.Instance, homes: Mapping[int, int]) -> tuple[engine.Instance, list[int]]:
    """With each of those vertices tied to where it is by more than all that is tied between vertices.

    Also returns where the anchors stand, which come after the instance's own vertices.
    """
    count, parts = len(instance.needs), len(instance.capacity)
    strong = 1 + sum(weight * (len(pins) - 1) for pins, weight in instance.nets)
    anchors = sorted(set(homes.values()))
    anchor_of = {part: count + number for number, part in enumerate(anchors)}
    color = len(instance.allowed)
    changed = replace(
        instance,
        nets=[*instance.nets, *(((vertex, anchor_of[part]), strong) for vertex, part in homes.items())],
        needs=[*instance.needs, *(() for _ in anchors)],
        uplink=[math.inf] * parts,
        color=[*instance.color, *(color for _ in anchors)],
        allowed=[*instance.allowed, [True] * parts],
        fixed=[*instance.fixed, *anchors],
    )
    return changed, anchors
