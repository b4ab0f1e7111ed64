"""Static routes: shortest ways, joined where one entry says the same."""

from ipaddress import IPv4Address, IPv4Network, collapse_addresses

import pytest
from builders import star, topology
from hypothesis import given, settings
from hypothesis import strategies as st

from benito.addressing import assign_addresses
from benito.errors import TopologyMeaningError
from benito.model import ManualRoute, Routing, Topology
from benito.routing import Routes, _joined, compute_routes


def routes(of: Topology) -> Routes:
    return compute_routes(of, assign_addresses(of))


def lines(of: Topology, node: str) -> list[str]:
    return [f"{route.destination} via {route.via}" for route in routes(of)[node]]


def test_a_neighbour_needs_no_route() -> None:
    assert lines(topology({"l": "a b"}), "a") == []


def test_the_ends_of_a_chain_reach_each_other_through_the_middle() -> None:
    chain = topology({"l0": "a b", "l1": "b c", "l2": "c d"})
    assert lines(chain, "a") == ["10.0.1.0/24 via 10.0.0.2", "10.0.2.0/24 via 10.0.0.2"]
    assert lines(chain, "b") == ["10.0.2.0/24 via 10.0.1.2"]


def test_subnets_that_join_exactly_become_one_route() -> None:
    assert lines(star(5), "n-0") == ["10.0.1.0/24 via 10.0.0.1", "10.0.2.0/23 via 10.0.0.1", "10.0.4.0/24 via 10.0.0.1"]


def test_the_shorter_way_is_taken() -> None:
    ring = topology({"ab": "a b", "bc": "b c", "cd": "c d", "da": "d a"})
    assert lines(ring, "a") == ["10.0.1.0/24 via 10.0.0.2", "10.0.2.0/24 via 10.0.3.1"]


def test_manual_routing_has_only_what_the_file_adds() -> None:
    chain = topology(
        {"l0": "a b", "l1": "b c"},
        routing=Routing.MANUAL,
        routes=(
            ManualRoute(node="a", destination="l1", next_hop="b"),
            ManualRoute(node="a", destination="c", next_hop="b"),
        ),
    )
    assert lines(chain, "a") == ["10.0.1.0/24 via 10.0.0.2"]
    assert lines(chain, "c") == []


def test_every_unroutable_line_is_reported() -> None:
    chain = topology(
        {"l0": "a b", "l1": "b c"},
        routes=(
            ManualRoute(node="a", destination="l1", next_hop="c", line=7),
            ManualRoute(node="a", destination="b", next_hop="b", line=8),
        ),
    )
    with pytest.raises(TopologyMeaningError) as caught:
        routes(chain)
    assert [problem.line for problem in caught.value.problems] == [7, 8]


def test_parts_that_are_not_connected_have_no_routes_between_them() -> None:
    assert lines(topology({"l0": "a b", "l1": "c d"}), "a") == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(min_value=0, max_value=60), st.integers(min_value=24, max_value=28)), min_size=1))
def test_joined_routes_cover_just_what_they_were_made_of(blocks: list[tuple[int, int]]) -> None:
    networks = {IPv4Network((0x0A000000 + number * 16, length), strict=False) for number, length in blocks}
    hop = IPv4Address("10.9.9.9")
    joined = [route.destination for route in _joined(dict.fromkeys(networks, hop))]
    assert joined == list(collapse_addresses(networks))
