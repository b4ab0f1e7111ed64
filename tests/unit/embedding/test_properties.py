"""Whatever the experiment, the site and the wishes: a right placement or a reason why there is none."""

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from placements import Case, best_by_trying_all, cases, cost, faults, lans_over, named, tiny

from benito.embedding import ENDLESS, Embedding, embed
from benito.errors import EmbeddingError, UsageError
from benito.model import Kind
from benito.policy import Effort, Policy, Strategy

MANY = settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
FEWER = settings(MANY, max_examples=80)


def placed(case: Case) -> Embedding | None:
    try:
        return embed(case.nodes, case.lans, case.policy, case.site)
    except (EmbeddingError, UsageError):
        return None


def only_right(case: Case) -> None:
    embedding = placed(case)
    if embedding is not None:
        assert faults(case, embedding) == []


@MANY
@given(cases())
def test_a_placement_breaks_no_rule(case: Case) -> None:
    only_right(case)


@FEWER
@given(cases(passes=True))
def test_a_placement_in_passes_breaks_no_rule(case: Case) -> None:
    only_right(case)


@FEWER
@given(cases(whole=True))
def test_a_placement_with_whole_machines_breaks_no_rule(case: Case) -> None:
    only_right(case)


@FEWER
@given(cases(pins=True))
def test_a_placement_with_pins_breaks_no_rule(case: Case) -> None:
    only_right(case)


@FEWER
@given(tiny(alike=True))
def test_on_like_pnodes_it_finds_the_fewest_and_then_the_least_cost(case: Case) -> None:
    best, embedding = best_by_trying_all(case), placed(case)
    assert (embedding is None) == (best is None)
    if embedding is not None:
        assert (len(embedding.partitions), cost(case.lans, embedding.pnode_of(), case.site)) == best


@FEWER
@given(tiny(alike=False))
def test_on_different_pnodes_it_finds_a_placement_where_there_is_one(case: Case) -> None:
    assert (placed(case) is None) == (best_by_trying_all(case) is None)


@FEWER
@given(tiny(alike=False))
def test_on_different_pnodes_it_finds_the_fewest(case: Case) -> None:
    best, embedding = best_by_trying_all(case), placed(case)
    assume(best is not None and embedding is not None)
    assert best is not None
    assert embedding is not None
    assert len(embedding.partitions) == best[0]


@FEWER
@given(tiny(alike=False))
def test_on_different_pnodes_it_finds_the_least_cost_of_the_fewest(case: Case) -> None:
    best, embedding = best_by_trying_all(case), placed(case)
    assume(best is not None and embedding is not None)
    assert best is not None
    assert embedding is not None
    assume(len(embedding.partitions) == best[0])
    assert cost(case.lans, embedding.pnode_of(), case.site) == best[1]


@st.composite
def plain(draw: st.DrawFn) -> Case:
    count, number = draw(st.integers(1, 30)), draw(st.integers(1, 12))
    nodes = named(" ".join(f"n{at}" for at in range(count)))
    policy = Policy(packing=number, size=None, effort=Effort.QUICK, nodes_only=draw(st.booleans()))
    lans = draw(lans_over([node.name for node in nodes], 15))
    return Case(nodes=nodes, lans=lans, site=ENDLESS, policy=policy)


@FEWER
@given(plain())
def test_a_packing_uses_no_pnode_more_than_it_must(case: Case) -> None:
    packing = case.policy.packing
    assert packing is not None
    sizes = sorted(len(one.nodes) for one in embed(case.nodes, case.lans, case.policy, case.site).partitions)
    assert len(sizes) == -(-len(case.nodes) // packing)
    assert sizes[-1] <= packing
    if case.policy.nodes_only:
        assert sizes[-1] == -(-len(case.nodes) // len(sizes))


@FEWER
@given(st.integers(1, 12), st.integers(1, 6), st.data())
def test_a_size_uses_so_many_pnodes_evenly(count: int, size: int, data: st.DataObject) -> None:
    nodes = named(" ".join(f"n{at}" for at in range(count)))
    lans = data.draw(lans_over([node.name for node in nodes]))
    made = embed(nodes, lans, Policy(size=size, effort=Effort.QUICK)).partitions
    assert len(made) == min(size, count)
    assert max(len(one.nodes) for one in made) == -(-count // len(made))


def outcome(case: Case) -> object:
    try:
        return embed(case.nodes, case.lans, case.policy, case.site)
    except (EmbeddingError, UsageError) as error:
        return error.message


@FEWER
@given(cases(passes=True, pins=True, whole=True))
def test_the_same_seed_places_alike(case: Case) -> None:
    assert outcome(case) == outcome(case)


AGAIN = """
import json, random, sys
from benito.embedding import embed
from benito.model import Node, Kind
from benito.policy import Effort, Policy, PassPolicy
from benito.site import Overcommit, PnodeType, Site
from placements import lan
kinds = [Kind.QEMU, Kind.OPENVZ, Kind.PROCESS]
site = Site(
    name="s", may_not_share=((Kind.OPENVZ, Kind.QEMU),), overcommit=Overcommit(cores=2),
    pnode_types=(
        PnodeType(name="a", count=20, cores=4, features=frozenset({"kvm", "vlan", "ipv6", "gpu"})),
        PnodeType(name="b", names=tuple(f"h{at}" for at in range(9)), memory_mib=1024),
    ),
)
for turn in range(3):
    draw = random.Random(turn)
    nodes = [
        Node(
            name=f"n{at}", kind=draw.choice(kinds), vcpus=draw.choice([None, 1]), partition_pass=at % 2,
            attributes=draw.choice([(), (("benito:requires", "kvm vlan"),), (("benito:apart", f"u{at % 7} v"),)])
            if at < 12 else (),
        )
        for at in range(60)
    ]
    names = [node.name for node in nodes]
    lans = [lan(f"l{at}", draw.sample(names, draw.randint(2, 4)), [draw.randint(1, 10**6)]) for at in range(90)]
    policy = Policy(
        seed=int(sys.argv[1]), effort=Effort.QUICK, packing=6, together=(("n20", "n22"),),
        passes={1: PassPolicy(packing=9)},
    )
    embedding = embed(nodes, lans, policy, site)
    print(json.dumps([[[one.pnode, one.host, one.type.name, *one.nodes] for one in embedding.partitions],
                      embedding.cut_lans, embedding.reasons]))
"""


def in_another_process(hash_seed: str, seed: int = 4) -> str:
    paths = [path for path in sys.path if path.endswith("support")]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(paths)}
    argv = [sys.executable, "-c", AGAIN, str(seed)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_seed_places_alike_in_every_process() -> None:
    first, *others = (in_another_process(hash_seed) for hash_seed in ("0", "1", "5", "77"))
    assert others == [first] * 3
    assert in_another_process("0", seed=5) != first


@pytest.mark.parametrize("strategy", [None, Strategy.PACK])
def test_without_any_limit_everything_is_on_one_pnode(strategy: Strategy | None) -> None:
    (one,) = embed(named("a b c", Kind.QEMU), (), Policy(strategy=strategy)).partitions
    assert one.nodes == ("a", "b", "c")


def test_nothing_is_placed_nowhere() -> None:
    assert embed((), (), Policy()).partitions == ()
