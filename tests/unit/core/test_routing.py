"""Static routes: shortest ways, in few routes, that leave alone what is not the experiment's."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

import pytest
from builders import star, topology
from hypothesis import given, settings
from hypothesis import strategies as st

from benito.addressing import assign_addresses
from benito.errors import TopologyMeaningError
from benito.model import ManualRoute, Routing, Topology
from benito.routing import Routes, compute_routes
from benito.routing.given import joined


def routes(of: Topology) -> Routes:
    return compute_routes(of, assign_addresses(of))


def lines(of: Topology, node: str) -> list[str]:
    return [f"{route.destination} via {route.via}" for route in routes(of)[node]]


def test_a_neighbour_needs_no_route() -> None:
    assert lines(topology({"l": "a b"}), "a") == []


def test_the_ends_of_a_chain_reach_each_other_through_the_middle() -> None:
    chain = topology({"l0": "a b", "l1": "b c", "l2": "c d"})
    assert lines(chain, "a") == ["10.0.0.0/22 via 10.0.0.2"]
    assert lines(chain, "b") == ["10.0.2.0/24 via 10.0.1.2"]


def test_one_route_covers_all_that_lies_behind_the_only_neighbour() -> None:
    assert lines(star(5), "n-0") == ["10.0.0.0/21 via 10.0.0.1"]
    assert lines(star(5), "center") == []


def test_a_route_covers_no_more_than_it_is_for() -> None:
    chain = topology({f"l{place}": f"n{place} n{place + 1}" for place in range(8)})
    assert lines(chain, "n4") == ["10.0.0.0/22 via 10.0.3.1", "10.0.4.0/22 via 10.0.4.2"]
    assert lines(chain, "n1") == ["10.0.0.0/21 via 10.0.1.2"]
    assert lines(chain, "n2") == ["10.0.0.0/24 via 10.0.1.1", "10.0.0.0/21 via 10.0.2.2"]


def far_apart(*subnets: str) -> Topology:
    """A node `a`, and behind `b` a LAN in each of the subnets."""
    lans = {"here": "a b"} | {f"l{place}": f"b c{place}" for place in range(len(subnets))}
    given = {("b", f"l{place}"): f"{subnet}.1" for place, subnet in enumerate(subnets)}
    return topology(lans, given={("b", "here"): "10.77.0.1", ("a", "here"): "10.77.0.2", **given})


@pytest.mark.parametrize(
    ("subnets", "destinations"),
    [
        (("192.168.0", "192.168.1"), ["192.168.0.0/23"]),
        (("192.168.0", "192.168.3"), ["192.168.0.0/22"]),
        (("192.168.0", "192.168.4"), ["192.168.0.0/24", "192.168.4.0/24"]),
        (("192.168.0", "192.168.1", "192.168.8"), ["192.168.0.0/23", "192.168.8.0/24"]),
        (("10.1.0", "10.2.0", "10.3.0", "172.16.0"), ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24", "172.16.0.0/24"]),
    ],
)
def test_subnets_that_lie_far_apart_have_routes_of_their_own(subnets: tuple[str], destinations: list[str]) -> None:
    assert [str(route.destination) for route in routes(far_apart(*subnets))["a"]] == destinations


def test_the_default_route_is_never_taken() -> None:
    given = {("a", "here"): "10.0.0.1", ("b", "here"): "10.0.0.2", ("b", "low"): "1.0.0.1", ("b", "high"): "200.0.0.1"}
    halves = topology({"here": "a b", "low": "b c", "high": "b d"}, given=given)
    halves = replace(halves, lans=(halves.lans[0], *(replace(lan, prefix_length=1) for lan in halves.lans[1:])))
    assert lines(halves, "a") == ["0.0.0.0/1 via 10.0.0.2", "128.0.0.0/1 via 10.0.0.2"]
    by_hand = tuple(ManualRoute(node="a", destination=name, next_hop="b") for name in ("low", "high"))
    assert routes(replace(halves, routing=Routing.MANUAL, routes=by_hand))["a"] == routes(halves)["a"]


def test_what_a_node_has_no_way_to_is_covered_by_none_of_its_routes() -> None:
    parts = topology({"l0": "a b", "x0": "x y", "l1": "b c", "x1": "y z", "l2": "b d", "l3": "b e"})
    assert lines(parts, "a") == ["10.0.2.0/24 via 10.0.0.2", "10.0.4.0/23 via 10.0.0.2"]
    assert lines(parts, "x") == ["10.0.3.0/24 via 10.0.1.2"]


def test_a_packet_to_an_unused_address_does_not_go_round_in_circles() -> None:
    chain = topology({f"l{place}": f"n{place} n{place + 1}" for place in range(5)})
    # 10.0.5.0 is nobody's. n0 sends it to n1, whose routes do not cover it: 10.0.0.0, which speaks for it, is its own.
    assert lines(chain, "n0") == ["10.0.0.0/21 via 10.0.0.2"]
    assert lines(chain, "n1") == ["10.0.2.0/23 via 10.0.1.2", "10.0.4.0/24 via 10.0.1.2"]


def test_a_subnet_in_another_is_told_apart_as_far_as_it_can_be() -> None:
    given = {("a", "wide"): "10.0.0.1", ("b", "narrow"): "10.0.9.1"}
    nested = topology({"wide": "a b", "between": "a c", "narrow": "b d"}, given=given)
    lans = (replace(nested.lans[0], prefix_length=16), *nested.lans[1:])
    nested = replace(nested, lans=lans)
    assert lines(nested, "a") == ["10.0.9.0/24 via 10.0.0.2"]
    assert lines(nested, "c") == ["10.0.0.0/16 via 10.1.0.1"]


def test_a_subnet_of_which_others_leave_nothing_needs_no_route() -> None:
    given = {("b", "all"): "10.0.0.1", ("c", "low"): "10.0.0.2", ("c", "high"): "10.0.0.130"}
    whole = topology({"all": "b x", "low": "c y", "high": "c z", "ab": "a b", "ac": "a c"}, given=given)
    lengths = {"all": 24, "low": 25, "high": 25}
    whole = replace(whole, lans=tuple(replace(lan, prefix_length=lengths.get(lan.name)) for lan in whole.lans))
    assert lines(whole, "a") == ["10.0.0.0/24 via 10.0.2.2"]


def test_a_node_with_several_lans_of_one_subnet_keeps_it() -> None:
    given = {("a", "l0"): "10.0.0.1", ("a", "l1"): "10.0.0.1"}
    assert lines(topology({"l0": "a b", "l1": "a c", "l2": "b d"}, given=given), "b") == []


def test_a_route_never_takes_the_place_of_an_interface_of_the_node() -> None:
    given = {("a", "l0"): "10.5.0.1", ("b", "l0"): "10.6.0.1", ("a", "l1"): "10.6.0.2"}
    assert lines(topology({"l0": "a b", "l1": "a c"}, given=given), "b") == []


def test_of_equally_short_ways_the_one_that_saves_routes_is_taken() -> None:
    # From a to de it is as far by b as by c; with c, a would need three routes.
    square = topology({"de": "d e", "ab": "a b", "bd": "b d", "ac": "a c", "cd": "c d"})
    assert lines(square, "a") == ["10.0.0.0/22 via 10.0.1.2", "10.0.4.0/24 via 10.0.3.2"]


def test_where_none_saves_any_the_first_name_decides() -> None:
    square = topology({"ac": "a c", "cd": "c d", "ab": "a b", "bd": "b d", "de": "d e"})
    assert "10.0.4.0/24 via 10.0.2.2" in lines(square, "a")
    assert lines(topology({"l": "a c b", "m": "b c d"}), "a") == ["10.0.1.0/24 via 10.0.0.3"]


def costly(of: Topology, **costs: float) -> Topology:
    """The network with other costs of LANs."""
    return replace(
        of,
        lans=tuple(
            replace(lan, members=tuple(replace(member, cost=costs.get(lan.name, 1.0)) for member in lan.members))
            for lan in of.lans
        ),
    )


def test_costs_are_added_as_the_file_writes_them() -> None:
    ring = topology({"ab": "a b", "bx": "b x", "ac": "a c", "cx": "c x", "xy": "x y"})
    # In floating point, 0.1 and 0.2 are more than 0.15 and 0.15.
    assert "10.0.4.0/24 via 10.0.0.2" in lines(costly(ring, ab=0.1, bx=0.2, ac=0.15, cx=0.15), "a")
    assert "10.0.4.0/24 via 10.0.2.2" in lines(costly(ring, ab=0.1, bx=0.2, ac=0.15, cx=0.14), "a")


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


def test_a_route_of_the_file_stands_beside_computed_ones_and_wins() -> None:
    ring = topology(
        {"ab": "a b", "bc": "b c", "cd": "c d", "da": "d a"},
        routes=(
            ManualRoute(node="a", destination="bc", next_hop="d"),
            ManualRoute(node="b", destination="da", next_hop="c"),
        ),
    )
    assert lines(ring, "a") == ["10.0.1.0/24 via 10.0.3.1", "10.0.2.0/24 via 10.0.3.1"]
    assert lines(ring, "b") == ["10.0.2.0/24 via 10.0.1.2", "10.0.3.0/24 via 10.0.1.2"]


def test_a_route_of_the_file_stays_where_a_computed_one_covers_it() -> None:
    chain = topology(
        {f"l{place}": f"n{place} n{place + 1}" for place in range(5)},
        routes=(
            ManualRoute(node="n0", destination="l3", next_hop="n1"),
            ManualRoute(node="n0", destination="n5", next_hop="n1"),
        ),
    )
    assert lines(chain, "n0") == [
        "10.0.0.0/21 via 10.0.0.2",
        "10.0.3.0/24 via 10.0.0.2",
        "10.0.4.2/32 via 10.0.0.2",
    ]


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
    found = [route.destination for route in joined(dict.fromkeys(networks, hop))]
    assert found == list(collapse_addresses(networks))
