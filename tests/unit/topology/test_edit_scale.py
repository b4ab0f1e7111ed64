from dataclasses import replace

import pytest
from builders import topology

from benito.errors import TopologyMeaningError, UsageError
from benito.model import Event, ManualRoute, Program, Topology, Traffic
from benito.topology.multiply import multiply

#: A server behind a router, and two clients on a LAN with it.
SITE = topology({"uplink": "server router", "office": "router c d"}, given={("c", "office"): "10.1.1.2"})


def shape(of: Topology) -> dict[str, list[str]]:
    return {lan.name: [f"{member.node}:{member.port}" for member in lan.members] for lan in of.lans}


def test_all_nodes_give_whole_topologies_side_by_side() -> None:
    twice = multiply(SITE, {node.name for node in SITE.nodes}, 2)
    assert [node.name for node in twice.nodes][4:] == ["server-2", "router-2", "c-2", "d-2"]
    assert shape(twice) == {
        "uplink": ["server:0", "router:0"],
        "office": ["router:1", "c:0", "d:0"],
        "uplink-2": ["server-2:0", "router-2:0"],
        "office-2": ["router-2:1", "c-2:0", "d-2:0"],
    }


def test_a_selected_node_joins_its_lan_again() -> None:
    more = multiply(SITE, {"c"}, 3)
    assert shape(more)["office"] == ["router:1", "c:0", "d:0", "c-2:0", "c-3:0"]
    assert list(shape(more)) == ["uplink", "office"]


def test_a_selected_nodes_link_is_copied_with_it() -> None:
    more = multiply(SITE, {"server"}, 2)
    assert shape(more)["uplink"] == ["server:0", "router:0"]
    assert shape(more)["uplink-2"] == ["server-2:0", "router:2"]
    assert more.lans[-1].is_link


def test_a_link_between_selected_nodes_joins_their_copies() -> None:
    more = multiply(SITE, {"server", "router"}, 2)
    assert shape(more)["uplink-2"] == ["server-2:0", "router-2:1"]
    assert shape(more)["office"] == ["router:1", "c:0", "d:0", "router-2:0"]


def test_an_address_stays_with_the_original_and_that_is_said() -> None:
    more = multiply(SITE, {"c", "d"}, 2)
    addresses = {member.node: member.address for lan in more.lans for member in lan.members}
    assert str(addresses["c"]) == "10.1.1.2"
    assert addresses["c-2"] is None
    assert [warning.message for warning in more.warnings] == [
        "the addresses that the file gives stay with 1 originals; copies get others"
    ]


def test_one_copy_changes_nothing() -> None:
    assert multiply(SITE, {"c"}, 1) == SITE


def test_routes_programs_and_events_follow_the_copies() -> None:
    full = replace(
        SITE,
        routes=(ManualRoute(node="server", destination="office", next_hop="router"),),
        programs=(Program(name="ping", node="server", command="ping c"),),
        events=(Event(time_seconds=3.0, target="ping", target_kind="PROGRAM", event="START"),),
        groups=(("pings", ("ping",)),),
    )
    more = multiply(full, {"server"}, 2)
    assert more.routes[1] == ManualRoute(node="server-2", destination="office", next_hop="router")
    assert (more.programs[1].name, more.programs[1].node) == ("ping-2", "server-2")
    assert [event.target for event in more.events] == ["ping", "ping-2"]
    assert more.groups == (("pings", ("ping", "ping-2")),)


def test_traffic_is_copied_where_both_ends_are() -> None:
    def agent(name: str, node: str, peer: str, peer_node: str) -> Traffic:
        return Traffic(
            name=name, node=node, role="source", protocol="udp", port=1, peer=peer, peer_node=peer_node, peer_port=1,
            generator="CBR",
        )  # fmt: skip

    full = replace(SITE, traffic=(agent("cbr", "c", "null", "d"), agent("null", "d", "cbr", "c")))
    both = multiply(full, {"c", "d"}, 2)
    assert [(one.name, one.node, one.peer) for one in both.traffic[2:]] == [
        ("cbr-2", "c-2", "null-2"),
        ("null-2", "d-2", "cbr-2"),
    ]
    one = multiply(full, {"c"}, 2)
    assert one.traffic == full.traffic
    assert "1 traffic agents are not copied" in str(one.warnings[-1])


def test_copies_that_would_take_a_name_are_refused() -> None:
    with pytest.raises(TopologyMeaningError, match="c-2"):
        multiply(topology({"lan": "c c-2"}), {"c"}, 2)


def test_names_that_grow_too_long_are_refused() -> None:
    with pytest.raises(TopologyMeaningError, match="1 to 32"):
        multiply(topology({"lan": f"{'n' * 31} b"}), {"n" * 31}, 2)


@pytest.mark.parametrize("copies", [0, -1, 10**9])
def test_impossible_numbers_are_refused_at_once(copies: int) -> None:
    with pytest.raises(UsageError):
        multiply(SITE, {"c"}, copies)
