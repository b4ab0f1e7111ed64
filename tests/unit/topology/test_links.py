"""What links and LANs do to packets, and which addresses their members have."""

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from benito.model import Lan, Routing, Shaping, Topology, half_loss

Reader = Callable[[str], Topology]
THREE = "set a [$ns node]; set b [$ns node]; set c [$ns node]"
LINK = f"{THREE}\nset l [$ns duplex-link $a $b 100Mb 15ms DropTail]"
LAN = f'{THREE}\nset lan [$ns make-lan "$a $b $c" 100Mb 20ms]'


def halves(lan: Lan, node: str) -> tuple[Shaping, Shaping]:
    member = next(member for member in lan.members if member.node == node)
    return member.into, member.out_of


def test_each_half_of_a_link_has_half_the_delay_and_the_full_rate(body: Reader) -> None:
    half = Shaping(rate_kbps=100_000, delay_us=7500)
    assert halves(body(LINK).lans[0], "a") == (half, half)


def test_from_node_to_node_a_link_delays_as_the_file_says(body: Reader) -> None:
    first, second = body(LINK).lans[0].members
    assert first.into.then(second.out_of).delay_us == 15_000


def test_a_star_is_no_limit(body: Reader) -> None:
    topology = body(f"{THREE}\nset l [$ns duplex-link $a $b * 0 DropTail]")
    assert topology.lans[0].members[0].into.is_clear


def test_ports_are_counted_in_the_order_of_the_links(body: Reader) -> None:
    topology = body(f"{LINK}\nset m [$ns duplex-link $c $a 1Mb 0 DropTail]")
    assert [(member.node, member.port) for lan in topology.lans for member in lan.members] == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
        ("a", 1),
    ]


@pytest.mark.parametrize("command", ["tb-set-link-loss $l 0.05", "tb-set-link-loss $a $b 0.05"])
def test_a_links_loss_is_split_so_that_the_path_loses_it(body: Reader, command: str) -> None:
    lan = body(f"{LINK}\n{command}").lans[0]
    assert halves(lan, "b")[0].loss_ratio == half_loss(0.05)
    assert lan.members[0].into.then(lan.members[1].out_of).loss_ratio == pytest.approx(0.05)


def test_what_is_set_for_one_member_is_its_half(body: Reader) -> None:
    lan = body(f"{LAN}\ntb-set-node-lan-params $a $lan 40ms 1Mb 0.1").lans[0]
    half = Shaping(rate_kbps=1000, delay_us=40_000, loss_ratio=0.1)
    assert halves(lan, "a") == (half, half)
    assert lan.members[0].into.then(lan.members[1].out_of).delay_us == 50_000


def test_each_member_value_can_be_set_alone(body: Reader) -> None:
    topology = body(
        f"{LAN}\ntb-set-node-lan-delay $a $lan 40ms\ntb-set-node-lan-bandwidth $b $lan 1Mb\n"
        "tb-set-node-lan-loss $c $lan 0.1\ntb-set-lan-loss $lan 0\ntb-set-node-lan-loss $c $lan 0.2"
    )
    lan = topology.lans[0]
    assert halves(lan, "a")[1] == Shaping(rate_kbps=100_000, delay_us=40_000)
    assert halves(lan, "b")[0] == Shaping(rate_kbps=1000, delay_us=10_000)
    assert halves(lan, "c")[0] == Shaping(rate_kbps=100_000, delay_us=10_000, loss_ratio=0.2)


def test_a_links_simplex_values_leave_the_other_way_alone(body: Reader) -> None:
    lan = body(f"{LINK}\ntb-set-link-simplex-params $l $b 30ms 1Mb 0.19").lans[0]
    there = Shaping(rate_kbps=1000, delay_us=15_000, loss_ratio=half_loss(0.19))
    back = Shaping(rate_kbps=100_000, delay_us=7500)
    assert halves(lan, "b") == (there, back)
    assert halves(lan, "a") == (back, there)


def test_a_lan_members_simplex_values_are_its_halves(body: Reader) -> None:
    lan = body(f"{LAN}\ntb-set-lan-simplex-params $lan $a 100ms 10Mb 0.1 6ms 50Mb 0").lans[0]
    assert halves(lan, "a") == (
        Shaping(rate_kbps=10_000, delay_us=100_000, loss_ratio=0.1),
        Shaping(rate_kbps=50_000, delay_us=6000),
    )


def test_a_link_without_shaping_keeps_delay_and_loss(body: Reader) -> None:
    lan = body(f"{LINK}\ntb-set-link-loss $l 0.1\ntb-set-noshaping $l 1").lans[0]
    assert halves(lan, "a")[0] == Shaping(delay_us=7500, loss_ratio=half_loss(0.1))


@pytest.mark.parametrize(
    ("asked", "node"),
    [
        ("[[$ns link $a $b] queue]", "a"),
        ("[[$ns link $b $a] queue]", "b"),
        ("[$l set fromqueue]", "a"),
        ("[$l set toqueue]", "b"),
        ("[$l Queue $b]", "b"),
    ],
)
def test_a_queue_is_its_senders(body: Reader, asked: str, node: str) -> None:
    lan = body(f"{LINK}\nset q {asked}\n$q set limit_ 77").lans[0]
    limits = {member.node: (member.into.queue_packets, member.out_of.queue_packets) for member in lan.members}
    assert limits == {"a": (None, None), "b": (None, None)} | {node: (77, None)}


def test_a_lan_members_queue_is_its_own(body: Reader) -> None:
    lan = body(f"{LAN}\n[[$ns lanlink $lan $c] queue] set limit_ 20").lans[0]
    assert [member.into.queue_packets for member in lan.members] == [None, None, 20]


def test_addresses_go_to_the_interface_that_is_meant(body: Reader) -> None:
    topology = body(
        f'{LINK}\nset lan [$ns make-lan "$a $c" 1Mb 0]\n$ns duplex-link $a $c 1Mb 0 DropTail\n'
        "tb-set-ip-link $a $l 10.5.1.2\ntb-set-ip $b 10.5.1.3\ntb-set-ip-lan $a $lan 10.5.2.2\n"
        "tb-set-ip-interface $c $a 10.5.3.9"
    )
    found = {(lan.name, m.node): str(m.address) for lan in topology.lans for m in lan.members if m.address}
    assert found == {
        ("l", "a"): "10.5.1.2",
        ("l", "b"): "10.5.1.3",
        ("lan", "a"): "10.5.2.2",
        ("tblink-l6", "c"): "10.5.3.9",
    }


def test_a_netmask_is_kept_as_a_length(body: Reader) -> None:
    assert body(f"{LAN}\ntb-set-netmask $lan 255.255.255.240").lans[0].prefix_length == 28


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ("tb-set-ip $c 1.2.3.4", "c: [tb-set-ip] c does not have a single connection."),
        ("tb-set-ip-link $c $l 10.1.1.2", "[tb-set-ip-link] c is not connected to l."),
        ("tb-set-ip-lan $a $l 10.1.1.2", "[tb-set-ip-lan] l is not a LAN."),
        ("tb-set-ip-interface $a $c 10.1.1.2", "No connection between a and c."),
        ("tb-set-ip-link $a $l 192.168.7.300", "192.168.7.300 is not a valid IP address."),
        ("tb-set-ip-link $a $l 10.9.9.255", "either all '0's (reserved) or all '1's (broadcast)"),
        ("tb-set-ip-link $a $l 10.9.9.0", "either all '0's (reserved) or all '1's (broadcast)"),
        ("tb-set-ip-link $a $l 127.0.0.1", "127.0.0.1 is a loopback address"),
        ("tb-set-ip-link $a $l 169.254.1.1", "169.254.1.1 is a link-local address"),
        ("tb-set-ip-link $a $l 224.0.0.5", "224.0.0.5 is a multicast address"),
        ("tb-set-ip-link $a $l 0.0.0.7", "0.0.0.7 is a reserved address"),
        ("tb-set-ip $a 10.1.1.2; tb-set-ip $b 10.1.1.2", "a and b have the same address 10.1.1.2 in l"),
        ("tb-set-ip $a 10.1.1.2; tb-set-ip $b 10.1.2.2", "10.1.2.2 is not in the subnet of l, 10.1.1.0/24"),
        ("tb-set-link-loss $a $c 0.1", "No link between a and c."),
        ("tb-set-link-loss $l 1.5", "[tb-set-link-loss] 1.5 is not a valid loss rate."),
        ("$ns duplex-link $a $ns 1Mb 0 DropTail", "[duplex-link] ns is not a node."),
        ('$ns make-lan "$a bb" 1Mb 0', "[make-lan] bb is not a node. (did you mean b?)"),
        ("$ns make-lan {$a $b} 1Mb 0", "[make-lan] $a is not a node."),
        ("$ns duplex-link $a $b 1Mb 0", "wrong # args"),
        ("$ns link $a $c", "[link] No link between a and c."),
    ],
)
def test_what_cannot_be_meant_is_refused(refusal: Callable[[str], str], statements: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{LINK}\n{statements}\n$ns run\n")


@pytest.mark.parametrize(
    ("word", "routing"),
    [
        ("Static", Routing.STATIC),
        ("Static-old", Routing.STATIC_OLD),
        ("Static-ddijk", Routing.STATIC_DDIJK),
        ("Session", Routing.SESSION),
        ("ospf", Routing.SESSION),
        ("Manual", Routing.MANUAL),
        ("static", Routing.NONE),
        ("DV", Routing.NONE),
    ],
)
def test_routing_is_spelled_as_in_emulab(body: Reader, word: str, routing: Routing) -> None:
    assert body(f"{THREE}\n$ns rtproto {word}").routing is routing


def test_manual_routes_go_to_nodes_links_and_lans(body: Reader) -> None:
    topology = body(
        f"{LINK}\nset m [$ns duplex-link $b $c 1Mb 0 DropTail]\n$ns rtproto Manual\n"
        "$a add-route $c $b\n$a add-route $m $b\n$c add-route [$ns link $a $b] $b"
    )
    assert [(route.node, route.destination, route.next_hop) for route in topology.routes] == [
        ("a", "c", "b"),
        ("a", "m", "b"),
        ("c", "l", "b"),
    ]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("$a add-route $b $c", "a: [add-route] Cannot find a link from a to c!"),
        ("$a add-route $b $b; $a add-route $b $b", "route from a to b already exists!"),
        ("$a add-route $c $b", "c must have only one link."),
    ],
)
def test_a_route_that_leads_nowhere_is_refused(refusal: Callable[[str], str], statement: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{LINK}\n{statement}\n$ns run\n")


def test_costs_are_one_ends_or_all(body: Reader) -> None:
    topology = body(f"{LINK}\nset m [$ns duplex-link $b $c 1Mb 0 DropTail]\n$ns cost $a $b 5\n$m cost 2")
    assert [[member.cost for member in lan.members] for lan in topology.lans] == [[5.0, 1.0], [2.0, 2.0]]


def test_addresses_are_addresses(body: Reader) -> None:
    assert body(f"{LINK}\ntb-set-ip $a 10.1.1.2").lans[0].members[0].address == IPv4Address("10.1.1.2")
