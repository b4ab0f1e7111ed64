"""Large files are read in a time that grows as they do."""

import time
from collections.abc import Callable

from benito.model import Topology
from benito.topology import ReadLimits

#: Idle machines need a tenth; the rest is for those that are busy with other tests.
BUSY = 10


def network(nodes: int, links: int) -> str:
    return f"""set ns [new Simulator]
for {{set i 0}} {{$i < {nodes}}} {{incr i}} {{
    set n($i) [$ns node]
    tb-set-node-os $n($i) Ubuntu-STD
}}
for {{set i 0}} {{$i < {links}}} {{incr i}} {{
    set l($i) [$ns duplex-link $n([expr {{$i % {nodes}}}]) $n([expr {{($i * 7 + 1) % {nodes}}}]) 100Mb 10ms DropTail]
}}
$ns run
"""


def seconds(read: Callable[..., Topology], nodes: int, links: int) -> float:
    limits = ReadLimits(wall_seconds=60, cpu_seconds=60)
    start = time.perf_counter()
    topology = read(network(nodes, links), limits=limits)
    took = time.perf_counter() - start
    assert (len(topology.nodes), len(topology.lans)) == (nodes, links)
    return took


def test_10000_nodes_and_20000_links_are_read_in_seconds(read: Callable[..., Topology]) -> None:
    assert seconds(read, 10_000, 20_000) < 1.5 * BUSY


def test_ten_times_as_large_takes_about_ten_times_as_long(read: Callable[..., Topology]) -> None:
    small = min(seconds(read, 500, 1000) for _ in range(3))
    assert seconds(read, 5000, 10_000) < 10 * small * 4


def test_a_crowd_of_members_is_read_in_seconds(read: Callable[..., Topology]) -> None:
    members = 5000
    text = f"""set ns [new Simulator]
for {{set i 0}} {{$i < {members}}} {{incr i}} {{ set n($i) [$ns node]; append all "$n($i) " }}
set lan [$ns make-lan $all 100Mb 10ms]
for {{set i 0}} {{$i < {members}}} {{incr i}} {{ tb-set-node-lan-params $n($i) $lan 20ms 10Mb 0.1 }}
for {{set i 1}} {{$i < {members}}} {{incr i}} {{ $n($i) add-route $lan $n(0) }}
$ns run
"""
    start = time.perf_counter()
    assert len(read(text).routes) == members - 1
    assert time.perf_counter() - start < BUSY


def test_mistakes_by_the_thousand_are_told_in_seconds(refusal: Callable[..., str]) -> None:
    text = """set ns [new Simulator]
for {set i 0} {$i < 20000} {incr i} {
    set node$i [$ns node]
    tb-set-node-os nod$i X
    $ns at 1 "node$i boot"
    $ns unknwn$i
    tb-add-node-attribute node$i containers:gost$i 1
}
$ns run
"""
    start = time.perf_counter()
    said = refusal(text)
    assert time.perf_counter() - start < 2 * BUSY
    assert "39500 more errors are not listed" in said
