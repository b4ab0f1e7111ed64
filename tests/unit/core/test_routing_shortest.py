"""Any small network: routes against an oracle that looks at every LAN on its own, as Benito once did."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from unittest import mock

import networkx as nx
from builders import topology
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from benito.addressing import Addresses, assign_addresses
from benito.errors import TopologyMeaningError
from benito.model import Lan, ManualRoute, Routing, Topology
from benito.plan import RoutePlan
from benito.policy import AddressRule
from benito.routing import compute_routes
from benito.routing.cover import Surroundings
from benito.routing.given import joined
from benito.routing.network import network as graph_of
from benito.routing.tables import _Names, _Part

NODES = "abcdefghij"
#: Subnets that people give: side by side, far apart, one in the other, short and long.
GIVEN = ("10.0.0.1/24", "10.0.1.1/24", "10.0.3.1/24", "10.0.0.129/25", "10.0.2.1/23", "10.9.0.1/30", "10.9.0.5/30")
GIVEN += ("10.9.0.9/29", "10.9.64.1/18", "192.168.0.1/24", "192.168.7.1/28", "192.168.1.1/24", "172.16.0.1/16")
GIVEN += ("11.0.0.1/8", "10.200.0.1/13", "172.16.1.1/24", "172.16.2.1/24", "9.255.255.1/24")


#: Subnets in subnets in subnets; the addresses differ all the same.
NESTED = ("10.0.0.1/16", "10.0.0.21/22", "10.0.0.41/24", "10.0.0.61/25", "10.0.0.141/25", "10.0.1.1/24", "10.0.2.1/24")
NESTED += (
    "10.0.3.1/25",
    "10.0.3.141/25",
    "10.0.4.1/23",
    "10.0.128.1/17",
    "10.0.192.1/18",
    "10.1.0.1/16",
    "10.1.0.201/30",
)


@st.composite
def topologies(draw: st.DrawFn, *, given_share: int = 3, pool: tuple[str, ...] = GIVEN) -> Topology:
    nodes = NODES[: draw(st.integers(2, len(NODES)))]
    shape = draw(st.sampled_from(["any", "any", "ring", "chain"]))
    if shape == "any":
        lans = draw(
            st.lists(st.lists(st.sampled_from(nodes), min_size=1, max_size=4, unique=True), min_size=1, max_size=14)
        )
    else:
        lans = [[one, other] for one, other in zip(nodes, nodes[1:] + nodes[0], strict=True)]
        lans = lans[:-1] if shape == "chain" else lans
        lans += draw(st.lists(st.lists(st.sampled_from(nodes), min_size=1, max_size=3, unique=True), max_size=3))
    names = draw(st.permutations([f"l{number}" for number in range(len(lans))]))
    made = topology({name: " ".join(members) for name, members in zip(names, lans, strict=True)})
    costs = draw(st.sampled_from([(1.0,), (1.0,), (1.0, 2.0), (0.5, 1.0, 1.5, 4.0), (0.1, 0.2, 0.3, 7.0)]))
    return replace(made, lans=tuple(_changed(draw, lan, costs, given_share, pool) for lan in made.lans))


def _changed(draw: st.DrawFn, lan: Lan, costs: tuple[float, ...], given_share: int, pool: tuple[str, ...]) -> Lan:
    members = tuple(replace(member, cost=draw(st.sampled_from(costs))) for member in lan.members)
    length = draw(st.sampled_from([None, None, None, 22, 26, 29]))
    address, _, mask = draw(st.sampled_from(pool)).partition("/")
    if draw(st.integers(0, 9)) < given_share and len(members) <= 2 ** (32 - int(mask)) - 2:
        first = IPv4Address(address)
        members = tuple(replace(member, address=first + place) for place, member in enumerate(members))
        length = int(mask)
    return replace(lan, members=members, prefix_length=length)


any_topologies = st.one_of(topologies(), topologies(given_share=9, pool=NESTED))


class Oracle:
    """Distances LAN by LAN, in thousandths, and what follows from them."""

    def __init__(self, of: Topology, addresses: Addresses) -> None:
        self.of, self.addresses = of, addresses
        self.network = {lan.name: addresses[lan.members[0].node, lan.members[0].port].network for lan in of.lans}
        self.ports = {(member.node, lan.name): member.port for lan in of.lans for member in lan.members}
        self.graph: nx.DiGraph[tuple[str, str]] = nx.DiGraph()
        for lan in of.lans:
            for member in lan.members:
                self.graph.add_edge(("lan", lan.name), ("node", member.node), weight=round(member.cost * 1000))
                self.graph.add_edge(("node", member.node), ("lan", lan.name), weight=0)
        self.towards = {
            lan.name: nx.dijkstra_predecessor_and_distance(self.graph, ("lan", lan.name)) for lan in of.lans
        }

    def lans_of(self, node: str) -> list[Lan]:
        return [lan for lan in self.of.lans if node in {member.node for member in lan.members}]

    def own(self, node: str) -> set[IPv4Network]:
        return {self.network[lan.name] for lan in self.lans_of(node)}

    def reachable(self, node: str) -> dict[IPv4Network, str]:
        """The LAN that is meant by each subnet; the last, where the file gives several the same."""
        return {self.network[lan]: lan for lan, (_, found) in self.towards.items() if ("node", node) in found}

    def hops(self, node: str, lan: str) -> set[IPv4Address]:
        before, _ = self.towards[lan]
        return {
            self.addresses[hop, self.ports[hop, first]].ip
            for _, first in before["node", node]
            for _, hop in before["lan", first]
        }

    def tables_of_old(self) -> Mapping[str, dict[IPv4Network, IPv4Address]]:
        """A route for each subnet, with the first LAN and the first node by name."""
        tables: dict[str, dict[IPv4Network, IPv4Address]] = {node.name: {} for node in self.of.nodes}
        for node, table in tables.items():
            for network, lan in self.reachable(node).items():
                if network not in self.own(node):
                    before, _ = self.towards[lan]
                    first = min(before["node", node])[1]
                    hop = min(before["lan", first])[1]
                    table[network] = self.addresses[hop, self.ports[hop, first]].ip
        return tables


def made(of: Topology, rule: AddressRule) -> Addresses:
    try:
        return assign_addresses(of, rule)
    except TopologyMeaningError:
        assume(False)
        raise


def longest(table: Mapping[IPv4Network, IPv4Address | None], address: IPv4Address) -> IPv4Address | str | None:
    """The next hop; None where the node is on the address's own LAN, "nowhere" without a route."""
    best = max((network for network in table if address in network), key=lambda found: found.prefixlen, default=None)
    return "nowhere" if best is None else table[best]


def tables(of: Topology, addresses: Addresses) -> dict[str, dict[IPv4Network, IPv4Address | None]]:
    """The kernel's tables: routes, and the nodes' own subnets, none of which is also a route."""
    made: dict[str, dict[IPv4Network, IPv4Address | None]] = {}
    for node, routes in compute_routes(of, addresses).items():
        table: dict[IPv4Network, IPv4Address | None] = {route.destination: route.via for route in routes}
        own = {interface.network for (member, _), interface in addresses.items() if member == node}
        assert len(table) == len(routes)
        assert not own & table.keys()
        made[node] = table | dict.fromkeys(own)
    return made


def probes(network: IPv4Network) -> Iterator[IPv4Address]:
    size = network.num_addresses
    yield from {network[place] for place in (0, 1, 2, 5, 9, size // 4, size // 2, size - 1) if place < size}


def walk(
    at: dict[IPv4Address, str],
    kernel: Mapping[str, Mapping[IPv4Network, IPv4Address | None]],
    node: str,
    address: IPv4Address,
) -> str:
    """Where a packet comes to rest: at the node that has the address's LAN, or none to send it to."""
    for _ in range(len(kernel) + 1):
        hop = longest(kernel[node], address)
        if not isinstance(hop, IPv4Address):
            return node
        node = at[hop]
    raise AssertionError(f"{address} goes round in circles at {node}")


@settings(deadline=None, max_examples=200)
@given(any_topologies, st.sampled_from(AddressRule), st.sampled_from([1, 2, 64]), st.sampled_from([8, -1000]))
def test_every_subnet_is_reached_by_a_shortest_way(of: Topology, rule: AddressRule, long: int, moments: int) -> None:
    addresses = made(of, rule)
    oracle = Oracle(of, addresses)
    # What large networks are for: chains kept out of the search, and a search for one subnet after the other.
    with mock.patch("benito.routing.mesh._LONG", long), mock.patch("benito.routing.search._MOMENTS", moments):
        kernel = tables(of, addresses)
    for node, table in kernel.items():
        subnets = oracle.reachable(node)
        for network, lan in subnets.items():
            for address in probes(network):
                if max((known for known in subnets if address in known), key=lambda found: found.prefixlen) != network:
                    continue
                if network in oracle.own(node):
                    assert longest(table, address) is None
                else:
                    assert longest(table, address) in oracle.hops(node, lan)


@settings(deadline=None, max_examples=200)
@given(topologies(given_share=0), st.sampled_from([1, 2, 64]), st.sampled_from([8, -1000]))
def test_all_equally_short_ways_are_known(of: Topology, long: int, moments: int) -> None:
    addresses = made(of, AddressRule.CONTAINERS)
    oracle = Oracle(of, addresses)
    names, graph = _Names(of, addresses), graph_of(of)
    for vertices in graph.parts():
        lans = [vertex for vertex in vertices if graph.is_lan(vertex)]
        with mock.patch("benito.routing.mesh._LONG", long), mock.patch("benito.routing.search._MOMENTS", moments):
            part = _Part(graph, vertices, names, Surroundings(names.prefix.values()))
        bits = {names.prefix[lan]: place for place, lan in enumerate(sorted(lans, key=names.prefix.__getitem__))}
        for node in set(vertices) - set(lans):
            nearest = part._nearest(node, -1)
            for lan in set(lans) - graph.steps[node].keys():
                known = {hop for hop, found in nearest.items() if found >> bits[names.prefix[lan]] & 1}
                assert known == oracle.hops(names.name[node], names.name[lan])


@settings(deadline=None, max_examples=200)
@given(any_topologies, st.sampled_from(AddressRule), st.data())
def test_no_packet_goes_round_in_circles(of: Topology, rule: AddressRule, data: st.DataObject) -> None:
    addresses = made(of, rule)
    oracle = Oracle(of, addresses)
    kernel = tables(of, addresses)
    # Where LANs share a subnet, an address may be had twice; whose it is depends on who asks.
    assume(len(set(oracle.network.values())) == len(of.lans))
    at = {interface.ip: node for (node, _), interface in addresses.items()}
    anywhere = [route for table in kernel.values() for route in table]
    for network in [*oracle.network.values(), *(data.draw(st.sampled_from(anywhere)) for _ in range(8) if anywhere)]:
        for address in probes(network):
            for node in kernel:
                end = walk(at, kernel, node, address)
                meant = [known for known in oracle.reachable(node) if address in known]
                if meant:
                    assert max(meant, key=lambda found: found.prefixlen) in oracle.own(end)


@st.composite
def topologies_with_routes(draw: st.DrawFn) -> Topology:
    """Some with routes over neighbours, to LANs and to nodes that have one interface."""
    of = draw(any_topologies)
    ports = [member.node for lan in of.lans for member in lan.members]
    ends = [lan.name for lan in of.lans] + [node for node in ports if ports.count(node) == 1]
    pairs = [
        (one.node, other.node) for lan in of.lans for one in lan.members for other in lan.members if one is not other
    ]
    assume(pairs)
    chosen = draw(st.lists(st.tuples(st.sampled_from(pairs), st.sampled_from(ends)), min_size=1, max_size=5))
    made = (ManualRoute(node=node, destination=end, next_hop=hop) for (node, hop), end in chosen)
    return replace(of, routes=tuple(made))


@settings(deadline=None, max_examples=200)
@given(topologies_with_routes(), st.sampled_from(AddressRule))
def test_routes_of_the_file_win_and_change_nothing_else(of: Topology, rule: AddressRule) -> None:
    addresses = made(of, rule)
    oracle = Oracle(of, addresses)
    computed = compute_routes(of, addresses)
    alone = [compute_routes(replace(of, routing=Routing.MANUAL, routes=(one,)), addresses) for one in of.routes]
    for node, routes in computed.items():
        table = {route.destination: route.via for route in routes}
        manual = {route.destination: route.via for by_node in alone for route in by_node[node]}
        subnets = oracle.reachable(node)
        for network, lan in subnets.items():
            for address in probes(network):
                best = max((known for known in subnets if address in known), key=lambda found: found.prefixlen)
                by_file = [known for known in manual if address in known and known.prefixlen >= best.prefixlen]
                if by_file:
                    assert longest(table, address) == manual[max(by_file, key=lambda known: known.prefixlen)]
                elif best == network and network not in oracle.own(node):
                    assert longest(table, address) in oracle.hops(node, lan)


@settings(deadline=None, max_examples=200)
@given(any_topologies, st.sampled_from(AddressRule))
def test_a_node_never_has_more_routes_than_a_table_of_exact_ones(of: Topology, rule: AddressRule) -> None:
    addresses = made(of, rule)
    computed = compute_routes(of, addresses)
    oracle = Oracle(of, addresses)
    for node, table in oracle.tables_of_old().items():
        # Joined, those within a subnet of the node's own would be lost in it.
        cut = any(network.subnet_of(own) for network in table for own in oracle.own(node))
        exact = len(table if cut else joined(table))
        event(f"{len(computed[node]) - exact}")
        assert len(computed[node]) <= exact


@given(
    st.dictionaries(
        st.builds(
            lambda place, length: IPv4Network((0x0A000000 + place * 4, length), strict=False),
            st.integers(0, 15),
            st.integers(26, 32),
        ),
        st.sampled_from([IPv4Address("10.9.9.8"), IPv4Address("10.9.9.9")]),
        min_size=1,
    )
)
def test_joined_routes_say_just_what_they_were_made_of(table: dict[IPv4Network, IPv4Address]) -> None:
    found = {route.destination: route.via for route in joined(table)}
    assert len(found) <= len(table)
    for address in IPv4Network("10.0.0.0/25"):
        assert longest(found, address) == longest(table, address)


@settings(deadline=None, max_examples=200)
@given(any_topologies, st.sampled_from(AddressRule))
def test_routes_stay_near_the_subnets_that_they_are_for(of: Topology, rule: AddressRule) -> None:
    addresses = made(of, rule)
    oracle = Oracle(of, addresses)
    for node, routes in compute_routes(of, addresses).items():
        subnets = oracle.reachable(node)
        for route in routes:
            assert route.destination.prefixlen > 0
            assert any(known.overlaps(route.destination) for known in subnets)
            # No packet to a LAN that there is no way to leaves the node, unless its addresses are those of another.
            for network in set(oracle.network.values()) - set(subnets):
                assert not network.overlaps(route.destination) or any(known.overlaps(network) for known in subnets)
            assert any(_half_used(block, subnets) for block in _around(route.destination))


def _around(block: IPv4Network) -> list[IPv4Network]:
    return [block.supernet(new_prefix=length) for length in range(1, block.prefixlen + 1)]


def _half_used(block: IPv4Network, subnets: Mapping[IPv4Network, str]) -> bool:
    if block.prefixlen >= 24:
        return True
    used = set()
    for known in subnets:
        if known.supernet_of(block):
            return True
        if known.subnet_of(block):
            used.add(known if known.prefixlen <= 24 else known.supernet(new_prefix=24))
    whole = [one for one in used if not any(one != other and one.subnet_of(other) for other in used)]
    return 2 * sum(one.num_addresses for one in whole) >= block.num_addresses


@settings(deadline=None, max_examples=150)
@given(any_topologies, st.sampled_from(AddressRule))
def test_the_same_network_has_the_same_routes_again(of: Topology, rule: AddressRule) -> None:
    addresses = made(of, rule)
    first = compute_routes(of, addresses)
    assert compute_routes(of, addresses) == first
    for routes in first.values():
        assert list(routes) == sorted(routes, key=lambda route: (route.via, route.destination))
        assert all(isinstance(route, RoutePlan) for route in routes)
