"""The routes that a file gives: what they lead to, by which neighbour; said in as few as say the same."""

from collections import defaultdict
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from benito.addressing import Addresses
from benito.errors import Problem, TopologyMeaningError
from benito.model import Lan, ManualRoute, Member, Topology
from benito.plan import RoutePlan
from benito.routing.cover import Prefix
from benito.routing.tables import Given, prefix_of


def given_routes(topology: Topology, addresses: Addresses) -> Given:
    """Where each node that has such routes sends what. Raises TopologyMeaningError with all that lead nowhere."""
    places = _Places(topology, addresses)
    found: dict[str, dict[IPv4Network, IPv4Address]] = {}
    problems: list[Problem] = []
    for route in topology.routes:
        hop = places.hop(route)
        destinations = places.destinations(route)
        if hop is None:
            problems.append(_unroutable(topology, route, f"{route.next_hop} is no neighbour of {route.node}"))
        elif len(destinations) != 1:
            message = f"{route.destination} is neither a LAN nor a node with one interface"
            problems.append(_unroutable(topology, route, message))
        else:
            found.setdefault(route.node, {})[destinations[0]] = hop
    if problems:
        raise TopologyMeaningError(problems)
    return found


class _Places:
    """Who is where, looked up once for all routes."""

    def __init__(self, topology: Topology, addresses: Addresses) -> None:
        self._addresses = addresses
        self._lans: dict[str, list[Lan]] = defaultdict(list)
        self._of: dict[str, list[Lan]] = defaultdict(list)
        self._members: dict[tuple[str, str], list[Member]] = defaultdict(list)
        for lan in topology.lans if topology.routes else ():
            self._lans[lan.name].append(lan)
            for member in lan.members:
                self._of[member.node].append(lan)
                self._members[member.node, lan.name].append(member)

    def hop(self, route: ManualRoute) -> IPv4Address | None:
        """The next hop's address on a link that it shares with the node, else in the first LAN."""
        if route.node == route.next_hop:
            return None
        one, other = sorted((route.node, route.next_hop), key=lambda node: len(self._of.get(node, ())))
        shared = [lan for lan in self._of.get(one, ()) if (other, lan.name) in self._members]
        if not shared:
            return None
        lan = min(shared, key=lambda lan: not lan.is_link)
        return self._address(self._members[route.next_hop, lan.name][0]).ip

    def destinations(self, route: ManualRoute) -> list[IPv4Network]:
        """The subnet of the LAN of that name, else the addresses of the node."""
        lans = [lan.members[0] for lan in self._lans.get(route.destination, ()) if lan.members]
        if lans:
            return [self._address(member).network for member in lans]
        places = dict.fromkeys(lan.name for lan in self._of.get(route.destination, ()))
        ends = [member for lan in places for member in self._members[route.destination, lan]]
        return [IPv4Network(self._address(member).ip) for member in ends]

    def _address(self, member: Member) -> IPv4Interface:
        return self._addresses[member.node, member.port]


def _unroutable(topology: Topology, route: ManualRoute, why: str) -> Problem:
    return Problem(
        file=topology.source,
        line=route.line,
        element=route.node,
        message=f"cannot route to {route.destination}: {why}",
        hint="name a neighbour as next hop, and a LAN or a node with one interface as destination",
    )


def joined(table: Mapping[IPv4Network, IPv4Address]) -> tuple[RoutePlan, ...]:
    """The table in fewer routes that say just the same, by next hop and destination; never as the default route."""
    hops = {prefix_of(network): hop for network, hop in table.items()}
    for address, length in sorted(hops, key=lambda prefix: -prefix[1]):
        while length > 1 and (hop := hops.get((address, length))) == hops.get((address ^ 1 << (32 - length), length)):
            if hop is None:
                break
            del hops[address, length], hops[address ^ 1 << (32 - length), length]
            length -= 1
            address = _cut(address, length)
            # One that stood here held for nothing any more.
            hops[address, length] = hop
    kept = [(hop, *prefix) for prefix, hop in hops.items() if _above(prefix, hops) != hop]
    return tuple(
        RoutePlan(destination=IPv4Network((address, length)), via=hop) for hop, address, length in sorted(kept)
    )


def _above(prefix: Prefix, hops: Mapping[Prefix, IPv4Address]) -> IPv4Address | None:
    """The hop of the longest route that would hold if the one to this prefix were not there."""
    address, length = prefix
    around = ((_cut(address, shorter), shorter) for shorter in range(length - 1, -1, -1))
    return next((hops[wider] for wider in around if wider in hops), None)


def _cut(address: int, length: int) -> int:
    return address >> (32 - length) << (32 - length)
