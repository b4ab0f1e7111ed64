"""One packing pass as the engine reads it: groups of nodes, what they need, what ties them, what limits pnodes."""

import math
from collections.abc import Iterable, Mapping, Sequence

from benito.embedding import engine
from benito.embedding.needs import Demand, Resource, counted, demand_of, promised_kbps, rate, shown
from benito.embedding.offers import Offer
from benito.embedding.rules import Rules
from benito.model import Kind, Lan, Node
from benito.policy import PassPolicy
from benito.site import Site

#: What limits a pnode: a resource, the nodes of a kind, or a group of nodes that are kept apart.
Limit = Resource | Kind | str


class Pass:
    """The nodes of one pass, in groups that stay together: all that does not depend on how many pnodes there are.

    `lans` are all LANs of the experiment: one that also has members elsewhere crosses whatever is done here.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        lans: Iterable[Lan],
        rules: Rules,
        site: Site,
        limits: PassPolicy,
        offers: Sequence[Offer],
    ) -> None:
        self._site, self.limits, self.rules = site, limits, rules
        self._node_of = {node.name: node for node in nodes}
        self._count = len(nodes)
        self.nodes = tuple(nodes)
        self.demand: Mapping[str, Demand] = {node.name: demand_of(node, site) for node in nodes}
        self.vertex_of = {name: number for number, group in enumerate(rules.groups) for name in group}
        self.is_exact = True  # whether an even spread is one to the node
        self._net_names: list[str] = []
        self._nets, self._reaches_out = self._make_nets(lans)
        self._kinds = [
            kind
            for kind in Kind
            if any(kind in pair for pair in site.may_not_share)
            or any(kind in offer.type.most_nodes for offer in offers)
        ]
        self._needs = [self._needs_of(number, group) for number, group in enumerate(rules.groups)]
        self._totals = {
            limit: sum(needs.get(limit, 0) for needs in self._needs)
            for limit in dict.fromkeys(one for needs in self._needs for one in needs)
        }
        self.offers = self._in_order(offers)

    def _make_nets(self, lans: Iterable[Lan]) -> tuple[list[tuple[tuple[int, ...], int]], bool]:
        outside, reaches_out = len(self.rules.groups), False
        nets = []
        for lan in lans:
            inside = {self.vertex_of[member.node] for member in lan.members if member.node in self.vertex_of}
            if not inside:
                continue
            foreign = any(member.node not in self.vertex_of for member in lan.members)
            if len(inside) + foreign > 1:
                reaches_out |= foreign
                pins = (*sorted(inside), outside) if foreign else tuple(sorted(inside))
                nets.append((pins, promised_kbps(lan, self._site.unlimited_kbps)))
                self._net_names.append(lan.name)
        return ([] if self.limits.nodes_only else nets), reaches_out and not self.limits.nodes_only

    def _needs_of(self, number: int, group: Sequence[str]) -> dict[Limit, int]:
        needs: dict[Limit, int] = {}
        for name in group:
            for resource, amount in self.demand[name].amounts.items():
                needs[resource] = needs.get(resource, 0) + amount
            kind = self._node_of[name].kind
            if kind in self._kinds:
                needs[kind] = needs.get(kind, 0) + 1
        for at, (_, groups) in enumerate(self.rules.apart):
            if number in groups:
                needs[f"apart {at}"] = 1
        return needs

    def features(self, number: int) -> frozenset[str]:
        """What the pnode of that group must have."""
        return frozenset().union(*(self.demand[name].features for name in self.rules.groups[number]))

    def _in_order(self, offers: Sequence[Offer]) -> list[Offer]:
        """Those that are asked for by name, then those with features that are asked for, then the roomiest."""
        pinned = set(self.rules.pins.values())
        wanted = frozenset().union(*(self.features(number) for number in range(len(self.rules.groups))))
        mains = [
            limit
            for limit in (Resource.NODES, Resource.MEMORY, Resource.CORES, Resource.DISK)
            if self._totals.get(limit)
        ]

        def room(offer: Offer) -> float:
            shares = [offer.limits[limit] / self._totals[limit] for limit in mains]
            shares += [offer.most_of(kind) / self._totals[kind] for kind in self._kinds if self._totals.get(kind)]
            return min(shares, default=1.0)

        return sorted(
            offers,
            key=lambda offer: (offer.host not in pinned, -len(wanted & offer.type.features), -min(room(offer), 1.0)),
        )

    @property
    def _is_even(self) -> bool:
        """Whether so many pnodes are asked for that they are to be filled evenly."""
        return self.limits.size is not None or self.limits.nodes_only

    @property
    def _largest(self) -> int:
        return max(len(group) for group in self.rules.groups)

    def limit(self, offer: Offer, limit: Limit, parts: int) -> float:
        """How much of something a pnode may hold, where there are `parts` of them."""
        if isinstance(limit, Kind):
            return offer.most_of(limit)
        if not isinstance(limit, Resource):
            return 1
        most = offer.limits[limit]
        if limit is Resource.NODES:
            if self._is_even:
                most = min(most, max(-(-self._count // parts), self._largest))
            if self.limits.packing is not None and self.limits.size is None:
                most = min(most, self.limits.packing)
        return most

    def bound(self) -> tuple[int, str]:
        """The fewest pnodes that can hold the pass, as far as sums show it, and why."""
        best, why = 1, f"{counted(self._count, 'node')} on one pnode"
        if self.limits.size is not None:
            count = min(self.limits.size, len(self.rules.groups))
            few = "" if count == self.limits.size else f", {counted(self._count, 'node')} can fill {count}"
            return count, f"{counted(self.limits.size, 'pnode')} asked for{few}"
        for limit, total in self._totals.items():
            tops = sorted((self.limit(offer, limit, 1) for offer in self.offers), reverse=True)
            held, count = 0.0, 0
            while held < total and count < len(tops):
                held += tops[count]
                count += 1
            if count > best:
                best, why = count, self._why(limit, total, tops[0], count)
        return best, why

    def _why(self, limit: Limit, total: float, most: float, count: int) -> str:
        if isinstance(limit, Resource):
            return f"{shown(limit, total)}, at most {shown(limit, most)} on a pnode: {counted(count, 'pnode')}"
        if isinstance(limit, Kind):
            return f"{total:g} {limit} nodes, at most {most:g} of them on a pnode: {counted(count, 'pnode')}"
        return f"{total:g} nodes are kept apart: {counted(count, 'pnode')}"

    def limits_at(self, parts: int) -> list[Limit]:
        """What can run out where there are so many pnodes, as the engine's resources are numbered."""
        offers = self.offers[:parts]
        crowd = min(len(self._needs), max((self.limit(offer, Resource.NODES, parts) for offer in offers), default=0))
        found = []
        for limit, total in self._totals.items():
            least = min((self.limit(offer, limit, parts) for offer in offers), default=math.inf)
            # As many of the neediest as a pnode may hold, and it still has room: nothing to look at.
            most = sum(sorted((needs.get(limit, 0) for needs in self._needs), reverse=True)[: int(crowd)])
            if limit is Resource.NODES:
                most = total
            if total and (limit in self._kinds or most > least):
                found.append(limit)
        return found

    def is_plain(self, parts: int) -> bool:
        """Whether only the number of nodes limits the pnodes, and they are alike: then sums tell whether all fit."""
        instance = self.instance(parts)
        return (
            set(self.limits_at(parts)) <= {Resource.NODES}
            and len(self.rules.groups) == self._count
            and len(set(instance.capacity)) == 1
            and all(map(math.isinf, instance.uplink))
            and all(where < 0 for where in instance.fixed)
            and all(map(all, instance.allowed))
        )

    def instance(self, parts: int) -> engine.Instance:
        """The pass on the first `parts` of its pnodes, as the engine reads it."""
        offers, limits = self.offers[:parts], self.limits_at(parts)
        number_of = {limit: number for number, limit in enumerate(limits)}
        needs = [
            tuple((number_of[one], amount) for one, amount in each.items() if one in number_of and amount)
            for each in self._needs
        ]
        capacity: list[tuple[float, ...]] = [
            tuple(self.limit(offer, limit, parts) for limit in limits) for offer in offers
        ]
        floor, more = divmod(self._count, parts)
        if self.is_exact and self._is_even and more and self._largest <= floor and Resource.NODES in number_of:
            # Exactly so many each, or one of the pnodes that were asked for might stay empty.
            at = number_of[Resource.NODES]
            capacity = [
                (*row[:at], min(row[at], floor + (part < more)), *row[at + 1 :]) for part, row in enumerate(capacity)
            ]
        wanted = [self.features(number) for number in range(len(needs))]
        colors = sorted(set(wanted), key=sorted)
        allowed = [[features <= offer.type.features for offer in offers] for features in colors]
        hosts: dict[str | None, int] = {offer.host: at for at, offer in enumerate(offers) if offer.host}
        fixed = [hosts.get(self.rules.pins.get(number), -1) for number in range(len(needs))]
        color = [colors.index(features) for features in wanted]
        uplink = [math.inf if self.limits.nodes_only else offer.uplink_kbps for offer in offers]
        if self._reaches_out:  # what the pass's LANs are tied to elsewhere stands on a part of its own
            needs, capacity, uplink = [*needs, ()], [*capacity, (math.inf,) * len(limits)], [*uplink, math.inf]
            allowed = [*([*row, False] for row in allowed), [False] * parts + [True]]
            fixed, color = [*fixed, parts], [*color, len(colors)]
        pairs = [
            (number_of[one], number_of[other])
            for one, other in self._site.may_not_share
            if {one, other} <= set(number_of)
        ]
        return engine.Instance(
            nets=self._nets,
            needs=needs,
            capacity=capacity,
            uplink=uplink,
            color=color,
            allowed=allowed,
            fixed=fixed,
            conflicts=pairs,
        )

    def overloads(self, parts: int, part: Sequence[int]) -> list[str]:
        """What is too much in a placement on so many pnodes, in words."""
        instance, limits = self.instance(parts), self.limits_at(parts)
        loads, traffic = engine.loads_of(instance, part)
        found = []
        for at, offer in enumerate(self.offers[:parts]):
            where = offer.host or f"a pnode of type {offer.type.name}"
            for number, limit in enumerate(limits):
                load, most = loads[at][number], instance.capacity[at][number]
                if load > most:
                    found.append(f"{where}: {_too_much(limit, load, most, self.rules)}")
            if traffic[at] > instance.uplink[at]:
                over = traffic[at] - instance.uplink[at]
                promised, has = rate(traffic[at]), rate(instance.uplink[at])
                crossing = f"{promised} ({self._crossing(part, at)})"
                found.append(f"{where}: its uplink would promise {crossing}, {rate(over)} more than the {has} it has")
            kinds = [limit for number, limit in enumerate(limits) if limit in self._kinds and loads[at][number]]
            found += [
                f"{where}: {one} and {other} nodes may not share a pnode"
                for one, other in self._site.may_not_share
                if {one, other} <= set(kinds)
            ]
        for number, group in enumerate(self.rules.groups):
            at = part[number]
            pin, lacks = self.rules.pins.get(number), self.features(number) - self.offers[at].type.features
            if pin is not None and self.offers[at].host != pin:
                found.append(f"{group[0]}: {pin}, which it is pinned to, cannot hold it")
            elif lacks:
                found.append(
                    f"{group[0]}: no pnode with {', '.join(sorted(lacks))} has room, or it is pinned to one without"
                )
        return found

    def _crossing(self, part: Sequence[int], at: int) -> str:
        """The LANs that cross a pnode's uplink, the dearest first."""
        crossing = [
            (weight, name)
            for (pins, weight), name in zip(self._nets, self._net_names, strict=True)
            if len(touched := {part[pin] for pin in pins}) > 1 and at in touched
        ]
        names = [f"{name} {rate(weight)}" for weight, name in sorted(crossing, key=lambda one: -one[0])[:3]]
        return ", ".join(names) + (" and others" if len(crossing) > 3 else "")


def _too_much(limit: Limit, load: float, most: float, rules: Rules) -> str:
    if isinstance(limit, Resource):
        return f"{shown(limit, load)} are needed, {shown(limit, load - most)} more than there is"
    if isinstance(limit, Kind):
        return f"{load:g} {limit} nodes, at most {most:g} may be there"
    title, groups = rules.apart[int(limit.split()[1])]
    return f"{load:g} of the {len(groups)} nodes that {title} keeps apart"
