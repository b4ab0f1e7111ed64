"""Static routes: the shortest way from every node to every LAN, as DETER's Containers computed them for all nodes.

Costs are those of the file (`$ns cost`), 1 a LAN otherwise. Every hop is nearer to the destination than the node
before, so no packet goes round in circles. Of equally short ways a node takes, subnet by subnet, the one that saves it
routes; where that leaves a choice, over the LAN whose name comes first, to the node whose name comes first.

A node gets as few routes as say this, and never more than one a subnet. A route may therefore cover addresses that no
LAN has, under these rules:

* its destination is a smallest block that holds some of the experiment's subnets, and at least half of the block's
  /24s hold such subnets, or those of a larger such block do. Subnets that lie far apart thus have routes of their own,
  and whatever else there may be in 10.0.0.0/8 or on a control network stays out of it;
* it covers no subnet that the node has no way to, and it is never the default route;
* the node's own subnets and the routes that the file gives are no shorter than it, and win;
* a packet to an unused address that is covered is passed on towards the first subnet of the smallest block around that
  address, or dropped on the way: it does not go round in circles either.

The work follows what is to be said: near-linear for trees, stars, chains, rings and LANs joined by routers; for denser
networks see `benito.routing.reach`. Where neighbours in the network are no neighbours by address, as in random graphs
or under Emulab's rule of addresses in long chains, a node needs a route for every few subnets whatever is done, and
time and memory go with their number.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from benito.addressing import Addresses
from benito.errors import Problem, TopologyMeaningError
from benito.model import Lan, ManualRoute, Routing, Topology
from benito.plan import RoutePlan
from benito.routing.cover import Prefix
from benito.routing.tables import prefix_of, shortest_routes

#: node -> its routes
Routes = Mapping[str, tuple[RoutePlan, ...]]


def compute_routes(topology: Topology, addresses: Addresses) -> Routes:
    """Every node's routes; with `rtproto Manual` only those that the file adds. Raises TopologyMeaningError."""
    given: dict[str, dict[IPv4Network, IPv4Address]] = {}
    problems = [problem for route in topology.routes if (problem := _add_manual(topology, addresses, route, given))]
    if problems:
        raise TopologyMeaningError(problems)
    if topology.routing is Routing.MANUAL:
        return {node.name: _joined(given.get(node.name, {})) for node in topology.nodes}
    computed = dict(shortest_routes(topology, addresses, given))
    return {node.name: _merged(computed.get(node.name, ()), given.get(node.name, {})) for node in topology.nodes}


def _merged(computed: tuple[RoutePlan, ...], given: Mapping[IPv4Network, IPv4Address]) -> tuple[RoutePlan, ...]:
    """The file's routes beside computed ones, each as it is: joined, they could be cut by a computed one."""
    if not given:
        return computed
    both = {route.destination: route for route in computed}
    both |= {network: RoutePlan(destination=network, via=hop) for network, hop in given.items()}
    return tuple(sorted(both.values(), key=lambda route: (route.via, route.destination)))


def _network(lan: Lan, addresses: Addresses) -> IPv4Network:
    return addresses[lan.members[0].node, lan.members[0].port].network


def _add_manual(
    topology: Topology, addresses: Addresses, route: ManualRoute, given: dict[str, dict[IPv4Network, IPv4Address]]
) -> Problem | None:
    shared = [
        lan
        for lan in topology.lans
        if {route.node, route.next_hop} <= {member.node for member in lan.members} and route.node != route.next_hop
    ]
    if not shared:
        return _unroutable(topology, route, f"{route.next_hop} is no neighbour of {route.node}")
    shared.sort(key=lambda lan: not lan.is_link)
    hop = next(member for member in shared[0].members if member.node == route.next_hop)
    destinations = [_network(lan, addresses) for lan in topology.lans if lan.name == route.destination and lan.members]
    destinations = destinations or [
        IPv4Network(addresses[member.node, member.port].ip)
        for lan in topology.lans
        for member in lan.members
        if member.node == route.destination
    ]
    if len(destinations) != 1:
        return _unroutable(topology, route, f"{route.destination} is neither a LAN nor a node with one interface")
    given.setdefault(route.node, {})[destinations[0]] = addresses[hop.node, hop.port].ip
    return None


def _unroutable(topology: Topology, route: ManualRoute, why: str) -> Problem:
    return Problem(
        file=topology.source,
        line=route.line,
        element=route.node,
        message=f"cannot route to {route.destination}: {why}",
        hint="name a neighbour as next hop, and a LAN or a node with one interface as destination",
    )


def _joined(table: Mapping[IPv4Network, IPv4Address]) -> tuple[RoutePlan, ...]:
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
