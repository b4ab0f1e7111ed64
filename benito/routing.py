"""Static routes: the shortest way from every node to every LAN, as DETER's Containers computed them for all nodes.

Costs are those of the file (`$ns cost`), 1 a LAN otherwise. Only the experiment's own subnets are routed; the default
route is nobody's business here. Routes with one next hop whose subnets join exactly are given as one.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, summarize_address_range

import networkx as nx

from benito.addressing import Addresses
from benito.errors import Problem, TopologyMeaningError
from benito.model import Lan, ManualRoute, Routing, Topology
from benito.plan import RoutePlan

#: node -> its routes
Routes = Mapping[str, tuple[RoutePlan, ...]]
_Vertex = tuple[str, str]


def compute_routes(topology: Topology, addresses: Addresses) -> Routes:
    """Every node's routes; with `rtproto Manual` only those that the file adds. Raises TopologyMeaningError."""
    routes: dict[str, dict[IPv4Network, IPv4Address]] = {node.name: {} for node in topology.nodes}
    if topology.routing is not Routing.MANUAL:
        _add_shortest(topology, addresses, routes)
    problems = [problem for route in topology.routes if (problem := _add_manual(topology, addresses, route, routes))]
    if problems:
        raise TopologyMeaningError(problems)
    return {node: _joined(table) for node, table in routes.items()}


def _add_shortest(topology: Topology, addresses: Addresses, routes: dict[str, dict[IPv4Network, IPv4Address]]) -> None:
    graph: nx.DiGraph[_Vertex] = nx.DiGraph()
    for lan in topology.lans:
        for member in lan.members:
            # Built backwards, so that one search from a LAN finds every node's way to it.
            graph.add_edge(("lan", lan.name), ("node", member.node), weight=member.cost)
            graph.add_edge(("node", member.node), ("lan", lan.name), weight=0)
    port = {(member.node, lan.name): member.port for lan in topology.lans for member in lan.members}
    networks = {lan.name: _network(lan, addresses) for lan in topology.lans if lan.members}
    for lan in topology.lans:
        if not lan.members:
            continue
        towards, _ = nx.dijkstra_predecessor_and_distance(graph, ("lan", lan.name))
        for node in topology.nodes:
            for _, first_lan in sorted(towards.get(("node", node.name), ()))[:1]:
                if (node.name, lan.name) in port:
                    continue
                _, hop = min(towards["lan", first_lan])
                routes[node.name][networks[lan.name]] = addresses[hop, port[hop, first_lan]].ip


def _network(lan: Lan, addresses: Addresses) -> IPv4Network:
    return addresses[lan.members[0].node, lan.members[0].port].network


def _add_manual(
    topology: Topology, addresses: Addresses, route: ManualRoute, routes: dict[str, dict[IPv4Network, IPv4Address]]
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
    routes[route.node][destinations[0]] = addresses[hop.node, hop.port].ip
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
    by_hop: dict[IPv4Address, list[tuple[int, int]]] = {}
    for network, hop in table.items():
        first = int(network.network_address)
        by_hop.setdefault(hop, []).append((first, first + network.num_addresses - 1))
    return tuple(
        RoutePlan(destination=network, via=hop)
        for hop in sorted(by_hop)
        for first, last in _runs(sorted(by_hop[hop]))
        for network in summarize_address_range(IPv4Address(first), IPv4Address(last))
    )


def _runs(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans of addresses in order, those that touch or overlap made one."""
    first, last = spans[0]
    for start, end in spans[1:]:
        if start > last + 1:
            yield first, last
            first = start
        last = max(last, end)
    yield first, last
