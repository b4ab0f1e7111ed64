"""Every node's table of computed routes: who is nearest to what, said in as few routes as possible."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from benito.addressing import Addresses
from benito.model import Topology
from benito.plan import RoutePlan
from benito.routing.cover import Cover, Prefix, Surroundings, runs, tree
from benito.routing.network import Network, network
from benito.routing.reach import reach

#: node -> destination -> next hop, as the file gives them
Given = Mapping[str, Mapping[IPv4Network, IPv4Address]]


def shortest_routes(
    topology: Topology, addresses: Addresses, given: Given
) -> Iterator[tuple[str, tuple[RoutePlan, ...]]]:
    """The nodes that need routes, each with those that the file does not give, by next hop and destination."""
    graph = network(topology)
    names = _Names(topology, addresses)
    surroundings = Surroundings(names.prefix.values())
    for vertices in graph.parts():
        # With one LAN, everybody is there.
        if sum(map(graph.is_lan, vertices)) > 1:
            yield from _Part(graph, vertices, names, surroundings).routes(given)


class _Names:
    """What the vertices of the graph are called, and where."""

    def __init__(self, topology: Topology, addresses: Addresses) -> None:
        self.name = [node.name for node in topology.nodes] + [lan.name for lan in topology.lans]
        #: LAN -> its subnet
        self.prefix: dict[int, Prefix] = {}
        number = {node.name: place for place, node in enumerate(topology.nodes)}
        self._interface = {}
        for vertex, lan in enumerate(topology.lans, len(topology.nodes)):
            for member in lan.members:
                interface = addresses[member.node, member.port]
                self._interface[number[member.node], vertex] = interface
                if vertex not in self.prefix:
                    self.prefix[vertex] = prefix_of(interface.network)
        self._hops: dict[tuple[int, int], IPv4Address] = {}

    def hop(self, node: int, lan: int) -> IPv4Address:
        """A node's address in a LAN."""
        found = self._hops.get((node, lan))
        if found is None:
            found = self._hops[node, lan] = self._interface[node, lan].ip
        return found

    def subnet(self, node: int, lan: int) -> Prefix:
        """The subnet that a node's interface is in; the LAN's, unless the file gives it an address of another."""
        return prefix_of(self._interface[node, lan].network)


class _Part:
    """A connected part of the network."""

    def __init__(self, graph: Network, vertices: Sequence[int], names: _Names, surroundings: Surroundings) -> None:
        self._graph = graph
        self._names = names
        self._nodes = [vertex for vertex in vertices if not graph.is_lan(vertex)]
        # Where the file gives several LANs the same subnet, the last one gets what others send there.
        last = {names.prefix[vertex]: vertex for vertex in vertices if graph.is_lan(vertex)}
        subnets = sorted(last)
        self._rank = {prefix: rank for rank, prefix in enumerate(subnets)}
        self._reach = reach(graph, vertices, {last[prefix]: 1 << rank for prefix, rank in self._rank.items()})
        self._tree = tree(subnets, surroundings)

    def routes(self, given: Given) -> Iterator[tuple[str, tuple[RoutePlan, ...]]]:
        """Every node's name and routes."""
        # Nodes that have nothing but one LAN all send what is for elsewhere to the same of its members.
        alike: dict[tuple[int, int], tuple[RoutePlan, ...]] = {}
        for node in self._nodes:
            name, steps = self._names.name[node], self._graph.steps[node]
            own = self._own(node, given.get(name, {}))
            if len(steps) > 1:
                yield name, self._table(node, own)
                continue
            (lan,) = steps
            if (lan, own) not in alike:
                alike[lan, own] = self._table(node, own)
            yield name, alike[lan, own]

    def _own(self, node: int, given: Mapping[IPv4Network, IPv4Address]) -> int:
        """The subnets that need no computed route, as bits."""
        prefixes = [prefix_of(network) for network in given]
        for lan in self._graph.steps[node]:
            prefixes += (self._names.prefix[lan], self._names.subnet(node, lan))
        own = 0
        for prefix in prefixes:
            if prefix in self._rank:
                own |= 1 << self._rank[prefix]
        return own

    def _table(self, node: int, own: int) -> tuple[RoutePlan, ...]:
        nearest = self._nearest(node, ~own)
        if not nearest:
            return ()
        spans = [(start, end, 1 << place) for place, bits in enumerate(nearest.values()) for start, end in runs(bits)]
        cover = Cover(self._tree, spans, transit=len(self._graph.steps[node]) > 1)
        vias = list(nearest)
        found = [(vias[hop.bit_length() - 1], block) for block, hop in cover.routes()]
        found.sort(key=lambda route: (int(route[0]), route[1].address, route[1].length))
        return tuple(RoutePlan(destination=block.destination, via=via) for via, block in found)

    def _nearest(self, node: int, others: int) -> Mapping[IPv4Address, int]:
        """The neighbours that the node may send to, and for which of the other subnets; those to be preferred first."""
        names = self._names.name
        nearest: dict[IPv4Address, int] = {}
        for lan, hop, bits in sorted(self._hops(node, others), key=lambda hop: (names[hop[0]], names[hop[1]])):
            # Where the file gives several LANs the same subnet, two neighbours may have the same address.
            via = self._names.hop(hop, lan)
            nearest[via] = nearest.get(via, 0) | bits
        return nearest

    def _hops(self, node: int, others: int) -> Iterator[tuple[int, int, int]]:
        """The LAN and the neighbour that the node may send to, and for which of the other subnets."""
        for lan, nearest in self._reach[node].items():
            bits = nearest & others
            members = self._graph.steps[lan]
            if not bits:
                continue
            if len(members) == 2:
                (hop,) = members.keys() - {node}
                yield lan, hop, bits
                continue
            for hop, behind in self._reach[lan].items():
                if wanted := bits & behind:
                    yield lan, hop, wanted


def prefix_of(network: IPv4Network) -> Prefix:
    """A network as numbers."""
    return int(network.network_address), network.prefixlen
