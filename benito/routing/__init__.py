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
from benito.model import Routing, Topology
from benito.plan import RoutePlan
from benito.routing.given import given_routes, joined
from benito.routing.tables import shortest_routes

#: node -> its routes
Routes = Mapping[str, tuple[RoutePlan, ...]]


def compute_routes(topology: Topology, addresses: Addresses) -> Routes:
    """Every node's routes; with `rtproto Manual` only those that the file adds. Raises TopologyMeaningError."""
    given = given_routes(topology, addresses)
    if topology.routing is Routing.MANUAL:
        return {node.name: joined(given.get(node.name, {})) for node in topology.nodes}
    computed = dict(shortest_routes(topology, addresses, given))
    return {node.name: _merged(computed.get(node.name, ()), given.get(node.name, {})) for node in topology.nodes}


def _merged(computed: tuple[RoutePlan, ...], given: Mapping[IPv4Network, IPv4Address]) -> tuple[RoutePlan, ...]:
    """The file's routes beside computed ones, each as it is: joined, they could be cut by a computed one."""
    if not given:
        return computed
    both = {route.destination: route for route in computed}
    both |= {network: RoutePlan(destination=network, via=hop) for network, hop in given.items()}
    return tuple(sorted(both.values(), key=lambda route: (route.via, route.destination)))
