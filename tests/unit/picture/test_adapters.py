"""From experiments, files and plans to drawings."""

from dataclasses import replace

import pytest
from builders import STAR, experiment, star, topology

from benito.addressing import assign_addresses
from benito.model import Kind, Node, Shaping, Topology
from benito.picture import Drawing, Net
from benito.picture.adapters import of_experiment, of_plan, of_topology
from benito.planner import plan_experiment


def placed() -> Topology:
    """Two partitions and a node in none: a LAN within the first, one over all."""
    nodes = tuple(
        Node(name=name, kind=Kind.QEMU, partition=partition) for name, partition in zip("abcd", "112", strict=False)
    )
    nodes += (Node(name="d", kind=Kind.EMBEDDED_PNODE),)
    return topology({"near": "a b", "far": "b c", "all": "a b c d"}, nodes=nodes, shaping=Shaping(rate_kbps=2000))


def nets(of: Drawing) -> dict[str, Net]:
    return {net.name: net for net in of.nets}


def test_an_experiment_has_a_box_for_each_pnode_and_loads_on_what_crosses() -> None:
    made = of_experiment(experiment(star(3, shaping=Shaping(rate_kbps=100_000)), packing=2))
    assert {node.box for node in made.nodes} == {"pnode-0000", "pnode-0001"}
    assert made.title == "lab/star"
    crossing = {net.name for net in made.nets if net.crossing}
    assert crossing
    assert {net.load for net in made.nets} == {"100 Mb/s"}
    assert not made.shows_addresses


def test_given_loads_go_before_rates() -> None:
    one = experiment(star(2, shaping=Shaping(rate_kbps=100_000)))
    found = nets(of_experiment(one, loads_kbps={"link0": 1500}))
    assert (found["link0"].load, found["link1"].load) == ("1.5 Mb/s", "100 Mb/s")


def test_the_highest_rate_is_the_load_and_none_is_unlimited() -> None:
    base = topology({"lan": "a b c", "free": "a b"})
    lan = base.lans[0]
    members = tuple(replace(member, into=Shaping(rate_kbps=1000 * (at + 1))) for at, member in enumerate(lan.members))
    made = nets(of_experiment(experiment(replace(base, lans=(replace(lan, members=members), base.lans[1])))))
    assert (made["lan"].load, made["free"].load) == ("3 Mb/s", "unlimited")


def test_a_node_says_kind_interfaces_and_addresses() -> None:
    made = of_experiment(experiment(star(2)))
    center = next(node for node in made.nodes if node.name == "center")
    assert center.kind == "openvz"
    assert center.notes == ("eth0 10.0.0.1/24 link0", "eth1 10.0.1.1/24 link1")


def test_a_file_has_boxes_only_where_asked_for() -> None:
    of = placed()
    plain = of_topology(of, assign_addresses(of), partitions=False)
    boxed = of_topology(of, assign_addresses(of), partitions=True)
    assert {node.box for node in plain.nodes} == {None}
    assert not any(net.crossing for net in plain.nets)
    assert [node.box for node in boxed.nodes] == ["partition 1", "partition 1", "partition 2", None]
    assert [net.name for net in boxed.nets if net.crossing] == ["far", "all"]
    assert boxed.shows_addresses


def test_a_file_is_called_by_its_name_not_by_its_folder() -> None:
    of = replace(star(2), source="/home/somebody/secret/star.ns")
    assert of_topology(of, assign_addresses(of), partitions=False).title == "star.ns"


def test_a_node_without_a_kind_says_so() -> None:
    of = star(2)
    assert of_topology(of, {}, partitions=False).nodes[0].kind == "no kind given"


@pytest.mark.parametrize("partitions", [True, False])
def test_a_plan_gives_what_its_experiment_gives(*, partitions: bool) -> None:
    one = experiment(placed())
    made = of_plan(STAR, plan_experiment(one).pnodes, partitions=partitions, notes={"a": "booted"})
    same = of_experiment(one)
    assert {node.name: node.kind for node in made.nodes} == {node.name: node.kind for node in same.nodes}
    assert {net.name: net.load for net in made.nets} == {net.name: net.load for net in same.nets}
    assert {net.name: set(net.ends) for net in made.nets} == {net.name: set(net.ends) for net in same.nets}
    assert {net.name for net in made.nets if net.crossing} == ({"far", "all"} if partitions else set())
    assert {node.name: node.box for node in made.nodes if node.box} == (
        {node.name: node.box for node in same.nodes} if partitions else {}
    )
    assert "booted" in next(node.notes for node in made.nodes if node.name == "a")
