"""How good placements are, on graphs whose best is known or on record: bounds that a weaker search does not keep."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from placements import Case, best_by_trying_all, cost, faults, link, named

from benito.embedding import ENDLESS, embed
from benito.model import Lan
from benito.policy import Effort, Policy
from benito.site import PnodeType, Site


def links(pairs: Sequence[tuple[str, str]]) -> tuple[Lan, ...]:
    return tuple(link(one, other, 1) for one, other in pairs)


def grid(side: int) -> tuple[Lan, ...]:
    across = [(f"n{x}.{y}", f"n{x + 1}.{y}") for x in range(side - 1) for y in range(side)]
    return links([*across, *((f"n{x}.{y}", f"n{x}.{y + 1}") for x in range(side) for y in range(side - 1))])


def tree(count: int, seed: int) -> tuple[Lan, ...]:
    draw = random.Random(seed)  # noqa: S311 - an example, not a secret
    return links([(f"n{draw.randrange(at)}", f"n{at}") for at in range(1, count)])


def fat_tree(k: int) -> tuple[Lan, ...]:
    """Of Al-Fares: k pods of k/2 edge and k/2 aggregation switches, (k/2)^2 cores, k/2 hosts at each edge switch."""
    half = k // 2
    pairs = []
    for pod in range(k):
        for one in range(half):
            pairs += [(f"edge{pod}.{one}", f"host{pod}.{one}.{at}") for at in range(half)]
            pairs += [(f"edge{pod}.{one}", f"agg{pod}.{at}") for at in range(half)]
            pairs += [(f"agg{pod}.{one}", f"core{one}.{at}") for at in range(half)]
    return links(pairs)


def outcome(lans: Sequence[Lan], packing: int, effort: Effort = Effort.DEFAULT, seed: int = 0) -> tuple[int, int]:
    """Pnodes and cut links."""
    names = dict.fromkeys(member.node for one in lans for member in one.members)
    nodes = named(" ".join(names))
    policy = Policy(packing=packing, effort=effort, seed=seed)
    embedding = embed(nodes, lans, policy)
    assert faults(Case(nodes=nodes, lans=tuple(lans), site=ENDLESS, policy=policy), embedding) == []
    return len(embedding.partitions), cost(lans, embedding.pnode_of(), ENDLESS)


def test_a_grid_is_tiled_by_squares() -> None:
    # 480 links, of which each of the 64 squares of four nodes keeps four.
    assert outcome(grid(16), 4) == (64, 224)


ON_RECORD = pytest.mark.parametrize(
    ("lans", "packing", "pnodes", "most"),
    [
        pytest.param(tree(400, 1), 10, 40, 62, id="tree in tens"),
        pytest.param(tree(400, 2), 25, 16, 24, id="tree in twenty-fives"),
        pytest.param(fat_tree(8), 26, 8, 118, id="fat tree, a pod on each"),
        pytest.param(fat_tree(8), 10, 21, 153, id="fat tree in tens"),
    ],
)


@ON_RECORD
def test_the_cut_is_at_most_what_is_on_record(lans: Sequence[Lan], packing: int, pnodes: int, most: int) -> None:
    made, cut = outcome(lans, packing)
    assert made == pnodes
    assert cut <= most


def filled(lans: Sequence[Lan], packing: int) -> int:
    """What it costs to fill pnode after pnode, with the node that is tied to it most."""
    ties: dict[str, list[str]] = {}
    for one in lans:
        first, second = (member.node for member in one.members)
        ties.setdefault(first, []).append(second)
        ties.setdefault(second, []).append(first)
    left, home = dict.fromkeys(ties), dict[str, str]()
    while left:
        here = f"p{len(home) // packing}"
        near: dict[str, None] = {}
        for _ in range(min(packing, len(left))):
            tied = {name: sum(home.get(to) == here for to in ties[name]) for name in near}
            best = max(tied, key=tied.__getitem__, default=next(iter(left)))
            home[best] = here
            del left[best]
            near.pop(best, None)
            near |= dict.fromkeys(to for to in ties[best] if to in left)
    return cost(lans, home, ENDLESS)


@ON_RECORD
def test_a_weaker_search_does_not_keep_to_it(lans: Sequence[Lan], packing: int, pnodes: int, most: int) -> None:
    assert len(dict.fromkeys(member.node for one in lans for member in one.members)) <= packing * pnodes
    assert filled(lans, packing) > most


@pytest.mark.parametrize(("side", "packing"), [(16, 4), (20, 16), (12, 9)])
def test_it_is_no_worse_than_filling_pnode_after_pnode(side: int, packing: int) -> None:
    assert outcome(grid(side), packing)[1] <= filled(grid(side), packing)


@pytest.mark.parametrize("seed", range(3))
def test_each_seed_places_alike_and_about_as_well(seed: int) -> None:
    first = outcome(tree(400, 1), 10, Effort.QUICK, seed)
    assert outcome(tree(400, 1), 10, Effort.QUICK, seed) == first
    assert first[1] <= 68


def test_more_effort_is_not_worse() -> None:
    assert outcome(tree(400, 1), 10)[1] <= outcome(tree(400, 1), 10, Effort.QUICK)[1]


def test_the_fewest_of_different_pnodes_where_no_link_draws_nodes_together() -> None:
    """Two pnodes hold all; the site's first two do not."""
    kvm = frozenset({"kvm"})
    types = [
        PnodeType(name="small", count=2, memory_mib=100, features=kvm),
        PnodeType(name="big", count=1, memory_mib=1000),
    ]
    machine = replace(named("a")[0], memory_mib=50, attributes=(("benito:requires", "kvm"),))
    nodes = (machine, *(replace(node, memory_mib=150) for node in named("b c d")))
    case = Case(nodes=nodes, lans=(), site=Site(name="s", pnode_types=tuple(types)), policy=Policy(effort=Effort.QUICK))
    assert best_by_trying_all(case) == (2, 0)
    assert len(embed(nodes, (), case.policy, case.site).partitions) == 2
