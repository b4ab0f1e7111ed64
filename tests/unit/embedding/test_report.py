"""What a placement uses, what crosses, and what it would cost elsewhere: against numbers made by hand or anew."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from placements import Case, cases, cost, faults, lan, link, named, promise

from benito.embedding import ENDLESS, Embedding, embed
from benito.embedding.needs import Resource, promised_kbps, rate
from benito.embedding.report import explain, report
from benito.errors import EmbeddingError, UsageError
from benito.model import Kind, Node
from benito.policy import PassPolicy, Policy
from benito.site import Need, Overcommit, PnodeType, Site

MANY = settings(deadline=None, max_examples=70, suppress_health_check=list(HealthCheck))

SITE = Site(
    name="rack",
    pnode_types=(PnodeType(name="pc", count=5, memory_mib=1000, cores=2, disk_mib=100, uplink_kbps=500_000),),
    needs={Kind.QEMU: Need(memory_kib=102_400, cores_milli=1000, disk_mib=64), Kind.OPENVZ: Need(memory_kib=1024)},
    overcommit=Overcommit(memory=1.5, cores=8, disk=1.1, uplink=2),
)
NODES = (
    Node(name="a", kind=Kind.QEMU, partition="0"),
    Node(name="b", kind=Kind.OPENVZ, partition="1", vcpus=2),
    Node(name="c", kind=Kind.OPENVZ, partition="2", memory_mib=300, attributes=(("containers:disk", "7M"),)),
    Node(name="d", kind=Kind.OPENVZ, partition="0"),
)
LANS = (
    lan("l", "abc", [100_000] * 3, [100_000] * 3),
    link("a", "b", 1000),
    link("a", "d", 77),
    lan("m", "cb", [300, 9000], [50, 400]),
)


def test_the_numbers_of_a_small_placement() -> None:
    found = report(NODES, LANS, embed(NODES, LANS, Policy(), SITE), Policy(), SITE)
    assert [use.partition.nodes for use in found.pnodes] == [("a", "d"), ("b",), ("c",)]
    crossings = [(one.lan, len(one.pnodes), one.rate_kbps, one.cost_kbps) for one in found.crossings]
    # l: a LAN over three pnodes costs twice its rate. m: c sends 300 and b takes 400; b sends 9000 and c takes 50.
    assert crossings == [("l", 3, 100_000, 200_000), ("a-b", 2, 1000, 1000), ("m", 2, 300, 300)]
    assert found.cost_kbps == 201_300
    assert found.loads_kbps() == {"l": 100_000, "a-b": 1000, "m": 300}
    assert [use.uplink_kbps for use in found.pnodes] == [101_000, 101_300, 100_300]
    assert {use.uplink_most_kbps for use in found.pnodes} == {1_000_000}
    assert [dict(use.kinds) for use in found.pnodes] == [
        {Kind.QEMU: 1, Kind.OPENVZ: 1},
        {Kind.OPENVZ: 1},
        {Kind.OPENVZ: 1},
    ]
    used = [[use.uses[at].used for at in range(4)] for use in found.pnodes]
    assert [one.resource for one in found.pnodes[0].uses] == list(Resource)
    assert used == [[2, 103_424, 1000, 64], [1, 1024, 2000, 0], [1, 307_200, 0, 7]]
    assert [one.most for one in found.pnodes[0].uses] == [math.inf, 1_536_000, 16_000, 110]


def test_a_whole_machine_uses_nothing_of_itself() -> None:
    nodes = (*named("a"), Node(name="m", kind=Kind.EMBEDDED_PNODE))
    lans = (link("a", "m", 5),)
    found = report(nodes, lans, embed(nodes, lans, Policy(), SITE), Policy(), SITE)
    machine = next(use for use in found.pnodes if use.partition.whole)
    assert [one.used for one in machine.uses] == [0, 0, 0, 0]
    assert [use.uplink_kbps for use in found.pnodes] == [5, 5]


@pytest.mark.parametrize(
    ("policy", "most"),
    [
        (Policy(packing=3), {"o": 3, "q": 3}),
        (Policy(packing=3, size=1), {"o": math.inf, "q": math.inf}),
        (Policy(passes={0: PassPolicy(packing=2), 1: PassPolicy(packing=4)}), {"o": 2, "q": 4}),
        (Policy(packing=3, passes={1: PassPolicy(size=1)}), {"o": 3, "q": math.inf}),
    ],
)
def test_how_many_nodes_a_pnode_may_hold_is_its_passes_packing(policy: Policy, most: dict[str, float]) -> None:
    nodes = (*named("o"), *named("q", Kind.QEMU))
    found = report(nodes, (), embed(nodes, (), policy), policy, ENDLESS)
    assert {name: use.uses[0].most for use in found.pnodes for name in use.partition.nodes} == most


def test_a_packing_is_none_of_what_the_file_placed() -> None:
    found = report(NODES, LANS, embed(NODES, LANS, Policy(packing=1), SITE), Policy(packing=1), SITE)
    assert {use.uses[0].most for use in found.pnodes} == {math.inf}


@MANY
@given(cases(whole=True))
def test_what_a_lan_promises_is_the_highest_rate_of_any_two(case: Case) -> None:
    for one in case.lans:
        assert promised_kbps(one, case.site.unlimited_kbps) == promise(one, case.site)


def embedded(case: Case) -> Embedding:
    try:
        return embed(case.nodes, case.lans, case.policy, case.site)
    except (EmbeddingError, UsageError):
        assume(condition=False)
        raise


@MANY
@given(cases(whole=True))
def test_cost_and_uplinks_are_those_of_the_placement(case: Case) -> None:
    embedding = embedded(case)
    home = embedding.pnode_of()
    found = report(case.nodes, case.lans, embedding, case.policy, case.site)
    assert found.cost_kbps == sum(one.cost_kbps for one in found.crossings) == cost(case.lans, home, case.site)
    for use in found.pnodes:
        pnode = use.partition.pnode
        where = [{home[member.node] for member in one.members} for one in case.lans]
        crossing = [promise(one, case.site) for one, at in zip(case.lans, where, strict=True) if {pnode} < at]
        assert use.uplink_kbps == sum(crossing)


def moved(embedding: Embedding, name: str, pnode: str, case: Case) -> Embedding:
    """That node alone elsewhere."""
    partitions = []
    for one in embedding.partitions:
        nodes = tuple(node for node in one.nodes if node != name) + ((name,) if one.pnode == pnode else ())
        partitions += [replace(one, nodes=nodes)] if nodes else []
    home = {node: one.pnode for one in partitions for node in one.nodes}
    cut = tuple(one.name for one in case.lans if len({home[member.node] for member in one.members}) > 1)
    return Embedding(partitions=tuple(partitions), cut_lans=cut)


def packed(case: Case) -> Sequence[Node]:
    return [node for node in case.nodes if node.kind is not Kind.EMBEDDED_PNODE]


@MANY
@given(cases(whole=True))
def test_the_cost_elsewhere_is_the_difference_of_the_costs(case: Case) -> None:
    embedding = embedded(case)
    home = dict(embedding.pnode_of())
    for node in packed(case):
        why = explain(node.name, case.nodes, case.lans, embedding, case.policy, case.site)
        assert (why.node, why.pnode) == (node.name, home[node.name])
        others = {one.pnode for one in embedding.partitions if not one.whole} - {why.pnode}
        assert len(why.elsewhere) == len(others)
        for one in why.elsewhere:
            there = home | {node.name: one.pnode}
            assert one.cost_kbps == cost(case.lans, there, case.site) - cost(case.lans, home, case.site)
        assert [one.cost_kbps for one in why.elsewhere] == sorted(one.cost_kbps for one in why.elsewhere)
        assert {one.pnode for one in why.elsewhere} == others


@MANY
@given(cases(whole=True))
def test_what_forbids_a_node_to_be_elsewhere_is_what_would_be_broken(case: Case) -> None:
    embedding = embedded(case)
    for node in packed(case):
        for one in explain(node.name, case.nodes, case.lans, embedding, case.policy, case.site).elsewhere:
            wrong = faults(case, moved(embedding, node.name, one.pnode, case))
            assert bool(one.obstacles) == bool(wrong), (node.name, one, wrong)


def test_what_ties_a_node_is_counted_by_pnode() -> None:
    why = explain("b", NODES, LANS, embed(NODES, LANS, Policy(), SITE), Policy(), SITE)
    assert dict(why.ties_kbps) == {"pnode-0000": 101_000, "pnode-0002": 100_300}
    assert [(one.pnode, one.cost_kbps) for one in why.elsewhere] == [("pnode-0000", -101_000), ("pnode-0002", -100_300)]
    assert why.elsewhere[0].obstacles == ("the file places it in partition 1",)


@pytest.mark.parametrize(
    ("kbps", "text"),
    [(0, "0 kb/s"), (999, "999 kb/s"), (1500, "1.5 Mb/s"), (100_000, "100 Mb/s"), (2_500_000, "2.5 Gb/s")],
)
def test_rates_are_told_for_people(kbps: int, text: str) -> None:
    assert rate(kbps) == text
