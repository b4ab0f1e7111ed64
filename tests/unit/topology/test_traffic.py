"""Traffic generators, traces, firewalls, block stores and queues of NS files."""

from collections.abc import Callable

import pytest

from benito.model import DEFAULT_QUEUE, Queue, QueueKind, Topology

Reader = Callable[[str], Topology]

BASE = """set a [$ns node]; set b [$ns node]
set l [$ns duplex-link $a $b 10Mb 10ms DropTail]
"""
CBR = f"""{BASE}set u [new Agent/UDP]; $ns attach-agent $a $u
set cbr [new Application/Traffic/CBR]; $cbr attach-agent $u
set z [new Agent/Null]; $ns attach-agent $b $z
"""


def test_who_has_an_application_sends_and_the_other_receives(body: Reader) -> None:
    source, sink = body(f"{CBR}$cbr set packetSize_ 500\n$cbr set interval_ 0.05\n$ns connect $u $z").traffic
    assert (source.name, source.node, source.role, source.protocol, source.port) == ("cbr", "a", "source", "udp", 5001)
    assert (source.peer, source.peer_node, source.peer_port, source.generator) == ("z", "b", 5001, "TG")
    assert source.settings == (("PACKETSIZE", "500"), ("RATE", "100000"), ("INTERVAL", "0.05"), ("IPTOS", "-1"))
    assert (sink.name, sink.role, sink.protocol, sink.peer, sink.settings) == ("z", "sink", "udp", "cbr", ())


def test_each_nodes_agents_have_ports_of_their_own(body: Reader) -> None:
    topology = body(
        f"{CBR}$ns connect $u $z\nset t [new Agent/TCP]; $ns attach-agent $a $t\n"
        "set c2 [new Application/Traffic/CBR]; $c2 attach-agent $t; $c2 set rate_ 0\n"
        "set s [new Agent/TCPSink]; $ns attach-agent $b $s; $ns connect $s $t"
    )
    ports = {one.name: (one.port, one.protocol) for one in topology.traffic}
    assert ports == {"cbr": (5001, "udp"), "z": (5001, "udp"), "c2": (5002, "tcp"), "s": (5002, "tcp")}
    assert dict(topology.traffic[2].settings)["RATE"] == "-1"


def test_ns2s_own_tcp_is_named_by_itself_and_may_listen(body: Reader) -> None:
    topology = body(
        f"{BASE}set s [new Agent/TCP/FullTcp/Sack]; $ns attach-agent $a $s\n"
        "set r [new Agent/TCP/FullTcp]; $r listen; $ns attach-agent $b $r\n$ns connect $s $r\n"
        "set f [new Application/FTP]; $f attach-agent $s"
    )
    assert [(one.name, one.role, one.generator, one.peer) for one in topology.traffic] == [
        ("s", "source", "NSE", "r"),
        ("r", "sink", "NSE", "s"),
    ]
    assert topology.traffic[0].settings == (("application", "FTP"),)


def test_an_agent_without_a_node_is_nothing(body: Reader) -> None:
    assert body(f"{BASE}set u [new Agent/UDP]").traffic == ()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("", "[updatedb] u has no destination. ($ns connect $u AGENT)"),
        ("$ns connect $u $z; $ns connect $u $z", "[connect] u already has a destination: z."),
        ("set n [new Agent/Null]; $ns connect $u $n", "[connect] n is not attached to a node."),
        ("$ns connect $u $a", "[connect] a is not an Agent."),
        ("$ns attach-agent $l $u", "[attach-agent] l is not a Node."),
        ("$ns attach-agent $a [new Agent/TCPSINK]", "is not an Agent."),
        ("$cbr attach-agent $a", "[attach-agent] a is not an Agent."),
        ("$cbr set rate_ 5mb; $ns connect $u $z", "Unknown bandwidth unit mb."),
        (
            "set v [new Agent/UDP]; $ns attach-agent $b $v; $ns connect $u $v",
            "[connect] v does not have an attached application.",
        ),
    ],
)
def test_traffic_that_cannot_flow_is_refused(refusal: Callable[[str], str], statement: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{CBR}{statement}\n$ns run\n")


def test_a_console_may_be_connected_to_a_node(body: Reader) -> None:
    topology = body(f"{BASE}$ns connect $a [$b console]")
    assert [warning.message for warning in topology.warnings] == ["connections to consoles are accepted, but not made"]


# --- queues -----------------------------------------------------------------------------------------------------------


def test_a_queue_has_what_the_file_sets(body: Reader) -> None:
    topology = body(
        f"{BASE}set r [$ns duplex-link $a $b 10Mb 0ms RED]\nset q [[$ns link $a $b] queue]\n$q set limit_ 77\n"
        "$q set thresh_ 6\n$q set maxthresh_ 20\n$q set q_weight_ 0.004\n$q set linterm_ 11\n$q set gentle_ true\n"
        "$q set queue-in-bytes_ 1\n$q set mean_pktsize_ 400"
    )
    first, second = topology.lans[1].members
    assert first.queue == Queue(
        kind=QueueKind.GRED, limit=77, in_bytes=True, min_threshold=6, max_threshold=20, weight=0.004, linterm=11
    )
    assert first.settings == (("q_meanpsize", "400"),)
    assert second.queue == Queue(kind=QueueKind.RED)
    assert topology.lans[0].members[0].queue == DEFAULT_QUEUE


def test_only_a_limit_in_packets_is_the_length_of_a_queue(body: Reader) -> None:
    text = f"{BASE}set q [[$ns link $b $a] queue]\n$q set limit_ 20"
    first, second = body(text).lans[0].members
    assert (first.into.queue_packets, second.into.queue_packets, second.out_of.queue_packets) == (None, 20, None)
    assert body(f"{text}\n$q set queue-in-bytes_ true").lans[0].members[1].into.queue_packets is None


def test_a_lans_member_has_a_queue(body: Reader) -> None:
    topology = body(f'{BASE}set lan [$ns make-lan "$a $b" 1Mb 0]\n[[$ns lanlink $lan $b] queue] set limit_ 9')
    assert [member.queue.limit for member in topology.lans[1].members] == [50, 9]


def test_a_queues_variables_can_be_read(body: Reader) -> None:
    topology = body(f"{BASE}set q [[$ns link $a $b] queue]\n$q set limit_ [expr {{[$q set limit_] * 2}}]")
    assert topology.lans[0].members[0].queue.limit == 100


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("set limit_ 0", "0 is not a length of a queue."),
        ("set limit_ many", "many is not a length of a queue."),
        ("set thresh_ -1", "-1 is not a threshold of a queue."),
        ("set q_weight_ 2", "2 is not a weight of a queue."),
        ("set gentle_ maybe", "maybe must be 0/1"),
    ],
)
def test_a_queues_values_are_looked_at(refusal: Callable[[str], str], statement: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{BASE}[[$ns link $a $b] queue] {statement}\n$ns run\n")


# --- traces, firewalls, block stores ----------------------------------------------------------------------------------


def test_a_trace_is_kept_with_each_member(body: Reader) -> None:
    lan = body(f'{BASE}$l trace packet "tcp port 80"\n$l trace_snaplen 128\n$l SetTraceParams $b monitor').lans[0]
    assert [dict(member.settings) for member in lan.members] == [
        {"traced": "1", "trace_type": "packet", "trace_expr": "tcp port 80", "trace_snaplen": "128"},
        {"traced": "1", "trace_type": "monitor", "trace_snaplen": "128"},
    ]


FIREWALL = f"{BASE}set fw [new Firewall $ns]\n"


def test_a_firewall_is_kept_with_its_rules(body: Reader) -> None:
    topology = body(
        f"{FIREWALL}$fw set-type ipfw\n$fw set-style closed\n$fw add-rule one\n$fw add-rule two\n"
        "$fw add-numbered-rule 500 x"
    )
    assert topology.settings == (
        ("firewall:fw:type", "ipfw"),
        ("firewall:fw:style", "closed"),
        ("firewall:fw:rule:100", "one"),
        ("firewall:fw:rule:101", "two"),
        ("firewall:fw:rule:500", "x"),
    )


def test_a_nodes_firewall_is_kept_with_the_node(body: Reader) -> None:
    node = body(f"{BASE}$a set-fw-style closed\n$a add-rule one\n$a add-rule two").nodes[0]
    assert node.attributes == (
        ("firewall_style", "closed"),
        ("firewall_rule:100", "one"),
        ("firewall_rule:101", "two"),
    )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("$fw add-numbered-rule 60000 x", "[add-numbered-rule] 100 <= rule_number < 50000!"),
        ("$fw add-rule x; $fw add-numbered-rule 100 y", "[add-numbered-rule] rule 100 already exists!"),
        ("$fw set-type ipfw2", "[set-type] firewall type ipfw2 not yet implemented"),
        ("$fw set-type x", "[set-type] unknown firewall type: x"),
        ("$fw set-style x", "[set-style] unsupported firewall style: x"),
        ("$fw child-of $fw", "[child-of] cannot father yourself"),
        ("$fw child-of $a", "[child-of] a is not a Firewall"),
        ("set g [new Firewall $ns]", "only one firewall per experiment right now"),
        ("tb-set-security-level Blue", "[tb-set-security-level] cannot combine with explicit firewall"),
        ("$a set-fw-style emulab", "[set-fw-style] emulab is not a valid type"),
    ],
)
def test_firewalls_are_checked_as_emulab_does(refusal: Callable[[str], str], statement: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{FIREWALL}{statement}\n$ns run\n")


STORE = f"{BASE}set bs [$ns blockstore]\n"


def test_a_local_block_store_is_a_wish_of_its_node(body: Reader) -> None:
    topology = body(
        f"{STORE}$bs set-class local\n$bs set-size 10GiB\n$bs set-placement nonsysvol\n$bs set-mount-point /mnt/x\n"
        "$bs set-node $a"
    )
    assert topology.nodes[0].attributes == (("desire:?+disk_nonsysvol", "10240"),)
    assert dict(topology.settings) == {
        "blockstore:bs:node": "a",
        "blockstore:bs:size": "10240",
        "blockstore:bs:class": "local",
        "blockstore:bs:placement": "NONSYSVOL",
        "blockstore:bs:mountpoint": "/mnt/x",
    }


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("$bs set-class local", "Blockstore is not attached to anything: bs"),
        ("$bs set-node $a", "Blockstore's class must be specified: bs"),
        ("$bs set-node $a; $bs set-class SAN", "Remote blockstores must have a size: bs"),
        ("$bs set-class floppy", "[set-class] Invalid storage class: floppy"),
        ("$bs set-size 1KB", "[set-size] 1KB is smaller than allowed minimum (1 MiB)"),
        ("$bs set-size big", "[set-size] big is not a size."),
        ("$bs set-placement up", "[set-placement] Invalid placement specified: up"),
        ("$bs set-mount-point mnt", "[set-mount-point] Bad mountpoint: mnt"),
        ("$bs set-mount-point /etc", "Cannot mount over important system directory: /etc"),
        ("$bs set-lease L; $bs set-size 1GB; $bs set-node $a", "Cannot explicitly set size/type/class/protocol"),
    ],
)
def test_block_stores_are_checked_as_emulab_does(refusal: Callable[[str], str], statement: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{STORE}{statement}\n$ns run\n")


def test_template_parameters_set_a_variable_and_are_kept(body: Reader) -> None:
    topology = body('$ns define-template-parameter COUNT 2 "how many"\nfor {set i 0} {$i < $COUNT} {incr i} {$ns node}')
    assert len(topology.nodes) == 2
    assert topology.settings == (("parameter:COUNT", "2"),)


def test_a_link_can_be_found_by_its_ends(body: Reader) -> None:
    assert dict(body(f"{BASE}tb-set-multiplexed [$ns find_link $b $a] 1").lans[0].settings) == {"multiplexed": "1"}
