from dataclasses import replace
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benito.errors import UsageError
from benito.model import Kind, Topology
from benito.topology import read_topology
from benito.topology.formats import Format, render
from benito.topology.generate import LinkQuality, Shape, generate


def graph(of: Topology) -> "nx.Graph[str]":
    made: nx.Graph[str] = nx.Graph()
    made.add_nodes_from(node.name for node in of.nodes)
    for lan in of.lans:
        for member in lan.members:
            made.add_edge(member.node, f"lan {lan.name}")
    return made


@pytest.mark.parametrize(
    ("shape", "sizes", "nodes", "links"),
    [
        (Shape.STAR, [4], 5, 4),
        (Shape.RING, [5], 5, 5),
        (Shape.LINE, [1], 1, 0),
        (Shape.LINE, [4], 4, 3),
        (Shape.TREE, [0], 1, 0),
        (Shape.TREE, [3], 15, 14),
        (Shape.TREE, [2, 3], 13, 12),
        (Shape.LAN, [6], 6, 1),
        (Shape.GRID, [3, 4], 12, 17),
        (Shape.RANDOM, [1], 1, 0),
        (Shape.RANDOM, [10], 10, 14),
        (Shape.RANDOM, [10, 45], 10, 45),
        (Shape.FAT_TREE, [2], 7, 6),
        (Shape.FAT_TREE, [4], 36, 48),
    ],
)
def test_a_shape_has_the_nodes_and_links_it_should_and_is_connected(
    shape: Shape, sizes: list[int], nodes: int, links: int
) -> None:
    made = generate(shape, sizes)
    assert (len(made.nodes), len(made.lans)) == (nodes, links)
    assert nx.is_connected(graph(made))


def test_every_switch_of_a_fat_tree_has_k_ports() -> None:
    made = generate(Shape.FAT_TREE, [6])
    degree = dict(graph(made).degree())
    for node in made.nodes:
        assert degree[node.name] == (1 if node.name.startswith("host") else 6), node.name


def test_no_two_links_of_a_random_topology_join_the_same_nodes() -> None:
    pairs = [frozenset(member.node for member in lan.members) for lan in generate(Shape.RANDOM, [12, 40]).lans]
    assert len(set(pairs)) == len(pairs)


def test_the_same_seed_gives_the_same_topology_and_another_another() -> None:
    assert generate(Shape.RANDOM, [20], seed=7) == generate(Shape.RANDOM, [20], seed=7)
    assert generate(Shape.RANDOM, [20], seed=7) != generate(Shape.RANDOM, [20], seed=8)


def test_a_seed_means_the_same_for_ever() -> None:
    ends = [" ".join(member.node for member in lan.members) for lan in generate(Shape.RANDOM, [4, 4], seed=1).lans]
    assert ends == ["n-0 n-1", "n-0 n-2", "n-1 n-2", "n-1 n-3"]


def test_a_links_quality_is_halved_as_emulab_does() -> None:
    made = generate(Shape.LINE, [2], quality=LinkQuality(rate_kbps=1000, delay_us=10_000, loss_ratio=0.19))
    half = made.lans[0].members[0].into
    assert (half.rate_kbps, half.delay_us) == (1000, 5000)
    assert half.then(half).loss_ratio == pytest.approx(0.19)


def test_the_kind_is_every_nodes() -> None:
    assert {node.kind for node in generate(Shape.STAR, [3], kind=Kind.QEMU).nodes} == {Kind.QEMU}


@pytest.mark.parametrize(
    ("shape", "sizes", "says"),
    [
        (Shape.STAR, [], "LEAVES"),
        (Shape.STAR, [1, 2], "LEAVES"),
        (Shape.STAR, [0], "at least 1"),
        (Shape.GRID, [3], "ROWS COLUMNS"),
        (Shape.RING, [2], "at least 3"),
        (Shape.FAT_TREE, [3], "even"),
        (Shape.RANDOM, [5, 3], "from 4 to 10"),
        (Shape.RANDOM, [5, 11], "from 4 to 10"),
        (Shape.TREE, [100, 100], "at most"),
        (Shape.TREE, [10**9, 1], "at most"),
        (Shape.LAN, [10**12], "at most"),
        (Shape.FAT_TREE, [10**6], "at most"),
    ],
)
def test_sizes_that_cannot_be_are_refused_at_once(shape: Shape, sizes: list[int], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        generate(shape, sizes)
    assert says in f"{caught.value} {caught.value.hint}"


REQUESTS = st.one_of(
    st.tuples(st.just(Shape.STAR), st.tuples(st.integers(1, 12))),
    st.tuples(st.just(Shape.RING), st.tuples(st.integers(3, 12))),
    st.tuples(st.just(Shape.LINE), st.tuples(st.integers(1, 12))),
    st.tuples(st.just(Shape.TREE), st.tuples(st.integers(0, 3), st.integers(1, 3))),
    st.tuples(st.just(Shape.LAN), st.tuples(st.integers(2, 12))),
    st.tuples(st.just(Shape.GRID), st.tuples(st.integers(1, 4), st.integers(1, 4))),
    st.tuples(st.just(Shape.RANDOM), st.tuples(st.integers(1, 12))),
    st.tuples(st.just(Shape.FAT_TREE), st.tuples(st.sampled_from([2, 4]))),
)
QUALITIES = st.builds(
    LinkQuality,
    rate_kbps=st.none() | st.integers(10, 10_000_000),
    delay_us=st.sampled_from([0, 2000, 5000, 10_000, 250_000]),
    loss_ratio=st.sampled_from([0.0, 0.01, 0.5]),
)


@pytest.mark.parametrize("language", Format)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=REQUESTS, quality=QUALITIES, kind=st.none() | st.sampled_from(Kind), seed=st.integers(0, 99))
def test_what_is_generated_and_written_is_read_as_it_was(
    tmp_path: Path,
    language: Format,
    request: tuple[Shape, tuple[int, ...]],
    quality: LinkQuality,
    kind: Kind | None,
    seed: int,
) -> None:
    made = generate(request[0], request[1], quality=quality, kind=kind, seed=seed)
    path = tmp_path / ("made.ns" if language is Format.NS else "made.xml")
    rendered = render(made, language)
    path.write_bytes(rendered.data)
    again = read_topology(path)
    assert rendered.losses == ()
    assert placeless(again) == placeless(made)


def placeless(of: Topology) -> Topology:
    """Without what belongs to a file and not to a topology; losses as far as a text says them."""

    def rounded(half: object) -> object:
        return replace(half, loss_ratio=round(half.loss_ratio, 9))  # type: ignore[type-var, attr-defined]

    return replace(
        of,
        source="",
        warnings=(),
        nodes=tuple(replace(node, line=None) for node in of.nodes),
        lans=tuple(
            replace(
                lan,
                line=None,
                turn=None,
                members=tuple(
                    replace(member, into=rounded(member.into), out_of=rounded(member.out_of)) for member in lan.members
                ),
            )
            for lan in of.lans
        ),
    )
