from dataclasses import replace

import pytest
from builders import topology

from benito.errors import TopologyMeaningError, UsageError
from benito.model import Routing
from benito.topology.merge import merge, prefixed

FIRST = replace(topology({"lan": "a b"}), source="first.ns")
SECOND = replace(topology({"net": "c d"}), source="second.ns")


def test_everything_of_both_files_is_there_in_their_order() -> None:
    both = merge([FIRST, SECOND])
    assert [node.name for node in both.nodes] == ["a", "b", "c", "d"]
    assert both.lans == FIRST.lans + SECOND.lans


def test_all_clashes_are_told_at_once() -> None:
    one = replace(FIRST, routing=Routing.STATIC, options=(("x", "1"),))
    other = replace(
        topology({"LAN": "A z"}, given={("A", "LAN"): "10.1.1.2"}),
        source="second.ns",
        routing=Routing.MANUAL,
        options=(("x", "2"),),
    )
    with pytest.raises(TopologyMeaningError) as caught:
        merge([one, other])
    assert [problem.element for problem in caught.value.problems] == ["A", "LAN", "x", None]
    assert all(problem.file == "second.ns" for problem in caught.value.problems)


def test_an_address_that_two_files_give_is_a_clash() -> None:
    one = topology({"lan": "a b"}, given={("a", "lan"): "10.1.1.2"})
    other = replace(topology({"net": "c d"}, given={("c", "net"): "10.1.1.2"}), source="second.ns")
    with pytest.raises(TopologyMeaningError, match=r"10\.1\.1\.2"):
        merge([one, other])


def test_prefixes_keep_names_apart() -> None:
    both = merge([prefixed(FIRST, "x-"), prefixed(replace(FIRST, source="second.ns"), "y-")])
    assert [node.name for node in both.nodes] == ["x-a", "x-b", "y-a", "y-b"]
    assert [lan.name for lan in both.lans] == ["x-lan", "y-lan"]


def test_a_prefix_that_no_name_may_have_is_refused() -> None:
    with pytest.raises(TopologyMeaningError):
        prefixed(FIRST, "_")


def test_lans_of_one_name_are_joined_where_that_is_asked() -> None:
    (lan,) = merge([FIRST, replace(topology({"lan": "c d"}), source="second.ns")], join_lans=True).lans
    assert [member.node for member in lan.members] == ["a", "b", "c", "d"]
    assert not lan.is_link


def test_lans_with_different_netmasks_are_not_joined() -> None:
    def masked(length: int, names: str) -> object:
        of = topology({"lan": names})
        return replace(of, source=f"{length}.ns", lans=(replace(of.lans[0], prefix_length=length),))

    with pytest.raises(TopologyMeaningError, match="different netmasks"):
        merge([masked(24, "a b"), masked(25, "c d")], join_lans=True)  # type: ignore[list-item]


def test_one_file_is_not_merged() -> None:
    with pytest.raises(UsageError):
        merge([FIRST])
