"""Routes of large networks: in seconds of CPU, and a handful for a node."""

import time
from dataclasses import replace

import pytest
from builders import topology
from hypothesis import given, settings
from hypothesis import strategies as st

from benito.addressing import assign_addresses
from benito.model import ManualRoute, Routing, Topology
from benito.routing import compute_routes
from benito.topology.generate import Shape, generate

#: Idle machines need a tenth; the rest is for those that are busy with other tests.
BUSY = 10


def lans_on_a_tree_of_routers(lans: int, members: int) -> Topology:
    """LANs of members and a router each; each router has a link to three more."""
    words = {f"lan{place}": f"r{place} " + " ".join(f"h{place}-{at}" for at in range(members)) for place in range(lans)}
    return topology(words | {f"up{place}": f"r{(place - 1) // 3} r{place}" for place in range(1, lans)})


def lans_in_a_ring(lans: int, members: int) -> Topology:
    """LANs of members, each joined to the next by a router that is in both."""
    hosts = [" ".join(f"h{place}-{at}" for at in range(members)) for place in range(lans)]
    return topology({f"lan{place}": f"r{place} {hosts[place]} r{(place + 1) % lans}" for place in range(lans)})


NETWORKS = {
    "star": (lambda: generate(Shape.STAR, (9_999,)), 0.7, 1.0, 1),
    "chain": (lambda: generate(Shape.LINE, (10_000,)), 1.5, 6.0, 8),
    "ring": (lambda: generate(Shape.RING, (10_000,)), 2.4, 10.0, 14),
    "tree of 3": (lambda: generate(Shape.TREE, (8, 3)), 1.2, 2.2, 80),
    "tree of 100": (lambda: generate(Shape.TREE, (2, 100)), 0.7, 1.1, 260),
    "LANs of 20": (lambda: lans_on_a_tree_of_routers(500, 20), 0.3, 1.2, 60),
    "LANs of 250": (lambda: lans_on_a_tree_of_routers(40, 250), 0.2, 1.1, 20),
    "LANs in a ring": (lambda: lans_in_a_ring(500, 20), 0.3, 7.0, 12),
    "grid": (lambda: generate(Shape.GRID, (32, 32)), 0.5, 14.0, 20),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_large_networks_have_few_routes_a_node_in_seconds(name: str) -> None:
    make, seconds, mean, most = NETWORKS[name]
    network = make()
    addresses = assign_addresses(network)
    start = time.process_time()
    routes = compute_routes(network, addresses)
    assert time.process_time() - start < seconds * BUSY
    assert sum(map(len, routes.values())) <= mean * len(routes)
    assert max(map(len, routes.values())) <= most


def test_routes_of_the_file_are_looked_up_in_seconds() -> None:
    network = generate(Shape.LINE, (10_000,))
    by_hand = [ManualRoute(node=f"n-{at}", destination="link-9998", next_hop=f"n-{at + 1}") for at in range(9_000)]
    by_hand += [ManualRoute(node="n-0", destination=f"link-{at}", next_hop="n-1") for at in range(1, 9_000)]
    network = replace(network, routing=Routing.MANUAL, routes=tuple(by_hand))
    addresses = assign_addresses(network)
    start = time.process_time()
    routes = compute_routes(network, addresses)
    assert time.process_time() - start < 0.5 * BUSY
    assert len(routes["n-0"]) < 20


def test_nodes_of_one_lan_share_one_table() -> None:
    network = lans_on_a_tree_of_routers(10, 100)
    routes = compute_routes(network, assign_addresses(network))
    assert len({id(routes[f"h3-{at}"]) for at in range(100)}) == 1


def test_costs_that_all_differ_do_not_stop_it() -> None:
    network = generate(Shape.GRID, (18, 18))
    lans = tuple(
        replace(lan, members=tuple(replace(member, cost=1 + (place * 7919 % 1009) / 977) for member in lan.members))
        for place, lan in enumerate(network.lans)
    )
    network = replace(network, lans=lans)
    addresses = assign_addresses(network)
    start = time.process_time()
    compute_routes(network, addresses)
    assert time.process_time() - start < 1.0 * BUSY


@settings(deadline=None, max_examples=20)
@given(st.integers(3, 400), st.integers(0, 3))
def test_all_nodes_of_a_ring_go_round_it_by_the_shorter_way(nodes: int, chords: int) -> None:
    """Long chains are treated apart from the rest of a network; here their ways are counted off."""
    lans = {f"l{place}": f"n{place} n{(place + 1) % nodes}" for place in range(nodes)}
    lans |= {f"stub{place}": f"n{place * 7 % nodes} s{place}" for place in range(chords)}
    network = topology(lans)
    addresses = assign_addresses(network)
    routes = compute_routes(network, addresses)
    at = {interface.ip: node for (node, _), interface in addresses.items()}
    subnet = [addresses[lan.members[0].node, lan.members[0].port].network for lan in network.lans[:nodes]]
    for start in {0, 1, nodes // 2, nodes - 1}:
        for goal in range(0, nodes, max(1, nodes // 17)):
            node, steps = start, 0
            while goal not in (node, (node - 1) % nodes):
                fitting = [route for route in routes[f"n{node}"] if subnet[goal][1] in route.destination]
                best = max(fitting, key=lambda route: route.destination.prefixlen)
                node = int(at[best.via].removeprefix("n"))
                steps += 1
            assert steps == min((goal - start) % nodes, (start - goal - 1) % nodes)
