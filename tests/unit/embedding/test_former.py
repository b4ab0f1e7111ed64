"""Placing anew: who has to move when something changed, and that nobody else does."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from placements import Case, cases, faults, link, named, offers, tiny

from benito.embedding import Embedding, Former, Partition, embed
from benito.embedding.former import former_of, moves
from benito.errors import EmbeddingError, UsageError
from benito.model import Kind, Node
from benito.policy import Effort, Policy
from benito.site import PnodeType, Site

MANY = settings(deadline=None, max_examples=70, suppress_health_check=list(HealthCheck))
QUICK = Policy(effort=Effort.QUICK)


def embedded(case: Case, former: Former | None = None) -> Embedding:
    try:
        return embed(case.nodes, case.lans, case.policy, case.site, former=former)
    except (EmbeddingError, UsageError):
        assume(condition=False)
        raise


@MANY
@given(cases())
def test_where_nothing_changes_nothing_moves(case: Case) -> None:
    before = embedded(case)
    after = embed(case.nodes, case.lans, case.policy, case.site, former=former_of(before))
    assert moves(former_of(before), after) == ()
    assert faults(case, after) == []
    assert sorted((one.pnode, one.nodes, one.host, one.type.name) for one in after.partitions) == sorted(
        (one.pnode, one.nodes, one.host, one.type.name) for one in before.partitions
    )


@MANY
@given(cases(passes=True))
def test_where_nothing_changes_nothing_moves_in_passes_either(case: Case) -> None:
    before = embedded(case)
    after = embed(case.nodes, case.lans, case.policy, case.site, former=former_of(before))
    assert moves(former_of(before), after) == ()


@MANY
@given(cases(whole=True))
def test_whole_machines_stay_too(case: Case) -> None:
    before = embedded(case)
    after = embed(case.nodes, case.lans, case.policy, case.site, former=former_of(before))
    assert moves(former_of(before), after) == ()


def six(packing: int = 2) -> tuple[tuple[Node, ...], Policy, Embedding]:
    nodes = named("a b c d e f")
    policy = replace(QUICK, packing=packing)
    return nodes, policy, embed(nodes, LINKS, policy)


LINKS = (link("a", "b"), link("c", "d"), link("e", "f"), link("b", "c", 10), link("d", "e", 10))


def test_of_a_lost_pnode_only_its_nodes_move_and_no_name_comes_twice() -> None:
    nodes, policy, before = six()
    assert [one.nodes for one in before.partitions] == [("a", "b"), ("c", "d"), ("e", "f")]
    after = embed(nodes, LINKS, policy, former=former_of(before, ["pnode-0001"]))
    assert {one.pnode: one.nodes for one in after.partitions} == {
        "pnode-0000": ("a", "b"),
        "pnode-0002": ("e", "f"),
        "pnode-0003": ("c", "d"),
    }
    found = moves(former_of(before, ["pnode-0001"]), after)
    assert [(one.node, one.origin, one.target, one.reason) for one in found] == [
        (name, "pnode-0001", "pnode-0003", "pnode-0001 is lost") for name in "cd"
    ]


def test_a_lost_host_is_not_used_again() -> None:
    site = Site(name="s", pnode_types=(PnodeType(name="pc", names=("h1", "h2", "h3")),))
    nodes = named("a b c d")
    policy = replace(QUICK, packing=2)
    before = embed(nodes, LINKS[:2], policy, site)
    gone = before.partitions[0]
    after = embed(nodes, LINKS[:2], policy, site, former=former_of(before, [gone.pnode]))
    assert gone.host not in {one.host for one in after.partitions}
    assert {one.host for one in after.partitions} == {"h1", "h2", "h3"} - {gone.host}
    with pytest.raises(EmbeddingError):
        embed(nodes, LINKS[:2], policy, site, former=former_of(before, ["pnode-0000", "pnode-0001"]))


def test_a_new_node_goes_where_there_is_room_and_moves_nobody() -> None:
    nodes, policy, before = six()
    more = (*nodes, Node(name="g", kind=Kind.OPENVZ))
    after = embed(more, (*LINKS, link("a", "g", 5000)), policy, former=former_of(before))
    assert [(one.node, one.origin, one.target, one.reason) for one in moves(former_of(before), after)] == [
        ("g", None, "pnode-0003", "it is new")
    ]
    roomy = embed(more, (*LINKS, link("a", "g", 5000)), replace(policy, packing=3), former=former_of(before))
    assert roomy.pnode_of()["g"] == "pnode-0000"
    assert len(moves(former_of(before), roomy)) == 1


def test_a_removed_node_moves_nobody() -> None:
    nodes, policy, before = six()
    after = embed(nodes[:5], LINKS[:2] + LINKS[3:], policy, former=former_of(before))
    assert moves(former_of(before), after) == ()
    gone = embed(nodes[2:], LINKS[1:3], policy, former=former_of(before))
    assert {one.pnode for one in gone.partitions} == {"pnode-0001", "pnode-0002"}


def test_a_grown_node_goes_or_makes_others_go_but_no_more_than_it_takes() -> None:
    site = Site(name="s", pnode_types=(PnodeType(name="pc", count=4, memory_mib=100),), needs={})
    nodes = tuple(replace(node, memory_mib=40) for node in named("a b c d e f"))
    before = embed(nodes, LINKS, QUICK, site)
    assert [len(one.nodes) for one in before.partitions] == [2, 2, 2]
    grown = (replace(nodes[0], memory_mib=80), *nodes[1:])
    after = embed(grown, LINKS, QUICK, site, former=former_of(before))
    (move,) = moves(former_of(before), after)
    assert (move.origin, move.target) == ("pnode-0000", "pnode-0003")
    assert move.reason == "pnode-0000 cannot hold it any more"


def test_of_a_pnode_that_shrank_as_few_nodes_go_as_it_takes() -> None:
    nodes, _, before = six(packing=6)
    site = Site(name="any testbed", pnode_types=(PnodeType(name="any", most_nodes={None: 4}),))
    after = embed(nodes, LINKS, QUICK, site, former=former_of(before))
    found = moves(former_of(before), after)
    assert {one.node for one in found} in ({"a", "b"}, {"e", "f"})
    assert {one.target for one in found} == {"pnode-0001"}


def fewest_moves(case: Case, former: Former) -> int | None:
    """By trying all: each node on any pnode that was there or on any that is left over."""
    left = offers(case.site, len(case.nodes) + len(former.types))
    there: list[tuple[str, PnodeType, str | None]] = []
    for pnode in sorted(former.kept):
        offer = next(one for one in left if (one[0].name, one[1]) == (former.types[pnode], former.hosts.get(pnode)))
        left.remove(offer)
        there.append((pnode, *offer))
    for pnode in sorted(former.lost):
        left.remove(
            next(one for one in left if (one[0].name, one[1]) == (former.types[pnode], former.hosts.get(pnode)))
        )
    there += [(f"new-{at}", *offer) for at, offer in enumerate(left[: len(case.nodes)])]
    best = None
    for choice in product(range(len(there)), repeat=len(case.nodes)):
        home = {node.name: there[at][0] for node, at in zip(case.nodes, choice, strict=True)}
        moving = sum(home[name] != pnode for name, pnode in former.home.items() if name in home)
        if best is not None and moving >= best:
            continue
        partitions = tuple(
            Partition(pnode=pnode, nodes=tuple(n for n in home if home[n] == pnode), type=kind, host=host)
            for pnode, kind, host in there
            if pnode in home.values()
        )
        cut = tuple(one.name for one in case.lans if len({home[member.node] for member in one.members}) > 1)
        if not faults(case, Embedding(partitions=partitions, cut_lans=cut)):
            best = moving
    return best


@MANY
@given(tiny(alike=True), st.data())
def test_tiny_placements_move_as_few_nodes_as_can_be(case: Case, data: st.DataObject) -> None:
    before = embedded(case)
    lost = data.draw(st.lists(st.sampled_from([one.pnode for one in before.partitions]), max_size=1))
    grown = replace(data.draw(st.sampled_from(case.nodes)), memory_mib=data.draw(st.integers(0, 800)))
    nodes = tuple(grown if node.name == grown.name else node for node in case.nodes)
    changed = replace(case, nodes=nodes)
    former = former_of(before, lost)
    least = fewest_moves(changed, former)
    try:
        after = embed(nodes, case.lans, case.policy, case.site, former=former)
    except EmbeddingError:
        assert least is None
        return
    assert faults(changed, after) == []
    assert len(moves(former, after)) == least
    assert not {one.pnode for one in after.partitions} & former.lost
