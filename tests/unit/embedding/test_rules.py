"""Pins, company and passes: each rule in its smallest form, kept or refused but never dropped."""

from dataclasses import replace

import pytest
from placements import Case, faults, lan, named

from benito.embedding import ENDLESS, Embedding, embed
from benito.errors import EmbeddingError
from benito.model import Kind, Node
from benito.policy import Effort, Policy
from benito.site import PnodeType, Site

HOSTS = Site(name="s", pnode_types=(PnodeType(name="pc", names=("h1", "h2", "h3")),))
PAIR = named("a b")
PASSES = (replace(PAIR[0], partition_pass=0), replace(PAIR[1], partition_pass=1))
MACHINE = (replace(PAIR[0], kind=Kind.EMBEDDED_PNODE), PAIR[1])
QUICK = Policy(effort=Effort.QUICK)


def right_or_refused(nodes: tuple[Node, ...], policy: Policy, site: Site = ENDLESS) -> Embedding | None:
    try:
        embedding = embed(nodes, (), policy, site)
    except EmbeddingError:
        return None
    assert faults(Case(nodes=nodes, lans=(), site=site, policy=policy), embedding) == []
    return embedding


def pinned(*pins: tuple[str, str]) -> Policy:
    return replace(QUICK, pins=pins)


@pytest.mark.parametrize("pins", [[("a", "h1"), ("b", "h2")], [("a", "h3"), ("b", "h1")], [("a", "h2")]])
def test_nodes_are_on_the_hosts_that_they_are_pinned_to(pins: list[tuple[str, str]]) -> None:
    assert right_or_refused(PAIR, pinned(*pins), HOSTS) is not None


def test_a_host_is_pinned_to_by_attribute_too() -> None:
    nodes = tuple(replace(node, attributes=(("benito:pnode", f"h{3 - at}"),)) for at, node in enumerate(PAIR))
    assert right_or_refused(nodes, QUICK, HOSTS) is not None


@pytest.mark.parametrize(
    "pins", [[("a", "pnode-0000"), ("b", "pnode-0001")], [("a", "pnode-0001"), ("b", "pnode-0000")]]
)
def test_nodes_are_on_the_pnodes_that_they_are_pinned_to(pins: list[tuple[str, str]]) -> None:
    assert right_or_refused(PAIR, pinned(*pins)) is not None


@pytest.mark.parametrize(
    "pins", [[("a", "pnode-0003")], [("a", "pnode-0001"), ("b", "pnode-0001")], [("a", "pnode-0001")]]
)
def test_a_pin_to_a_high_number_is_kept_or_refused(pins: list[tuple[str, str]]) -> None:
    right_or_refused(PAIR, pinned(*pins))
    right_or_refused(PAIR[:1], pinned(*pins[:1]))


def test_a_pin_beyond_the_sites_pnodes_is_refused() -> None:
    two = Site(name="s", pnode_types=(PnodeType(name="pc", count=2),))
    assert right_or_refused(PAIR, pinned(("a", "pnode-0005")), two) is None


@pytest.mark.parametrize("pin", [("b", "pnode-0000"), ("b", "pnode-0001"), ("a", "pnode-0001")])
def test_pins_hold_in_every_pass(pin: tuple[str, str]) -> None:
    right_or_refused(PASSES, pinned(pin))


def test_a_pin_to_a_pnode_that_lacks_what_the_node_requires_is_refused() -> None:
    site = Site(
        name="s", pnode_types=(PnodeType(name="a", count=1), PnodeType(name="b", features=frozenset({"kvm"}), count=1))
    )
    able = replace(PAIR[0], attributes=(("benito:requires", "kvm"),))
    right_or_refused((able, PAIR[1]), pinned(("a", "pnode-0001")), site)
    named_site = Site(
        name="s",
        pnode_types=(
            PnodeType(name="a", names=("h1",)),
            PnodeType(name="b", names=("h2",), features=frozenset({"kvm"})),
        ),
    )
    assert right_or_refused((able, PAIR[1]), pinned(("a", "h1")), named_site) is None
    assert right_or_refused((able, PAIR[1]), pinned(("a", "h2")), named_site) is not None


@pytest.mark.parametrize("nodes", [PASSES, MACHINE], ids=["two passes", "a whole machine"])
def test_company_across_passes_or_with_a_machine_is_refused(nodes: tuple[Node, ...]) -> None:
    assert right_or_refused(nodes, replace(QUICK, together=(("a", "b"),))) is None


def test_a_whole_machine_is_the_one_that_it_is_pinned_to() -> None:
    assert right_or_refused(MACHINE, pinned(("a", "h2")), HOSTS) is not None


def test_nodes_of_different_passes_are_apart_anyway() -> None:
    assert right_or_refused(PASSES, replace(QUICK, apart=(("a", "b"),))) is not None


@pytest.mark.parametrize(("count", "size"), [(5, 4), (7, 6), (6, 4), (4, 4)])
def test_a_size_is_how_many_pnodes_are_used(count: int, size: int) -> None:
    nodes = named("a b c d e f g")[:count]
    everyone = lan("l", [node.name for node in nodes])
    assert len(embed(nodes, (everyone,), replace(QUICK, size=size)).partitions) == size
