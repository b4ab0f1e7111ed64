"""Trunk ids: unique, stable, and not given again before every pnode is rid of them."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benito.errors import NodeManagerError, TestbedError
from benito.names import ExperimentId
from benito.segments import Segment, assign
from benito.segmentstore import SegmentStore
from benito.site import Network, TrunkKind
from benito.store import Store

ONE, TWO = ExperimentId("lab", "one"), ExperimentId("lab", "two")
NETWORK = Network(trunk=TrunkKind.VLAN, vlans=((10, 12), (20, 20)))
IDS = st.integers(1, 40)
#: Blocks of ten, of which a part is a range: none overlap.
RANGES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(0, 5)),
    min_size=1,
    max_size=4,
    unique_by=lambda one: one[0],
).map(lambda found: tuple((10 * block + first, 10 * block + first + more) for block, first, more in found))
LANS = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(ranges=RANGES, lans=LANS, had=st.dictionaries(st.sampled_from("abcdefghij"), IDS), taken=st.frozensets(IDS),
       quarantined=st.frozensets(IDS))  # fmt: skip
def test_ids_are_unique_in_range_free_and_stable(
    ranges: tuple[tuple[int, int], ...],
    lans: list[str],
    had: dict[str, int],
    taken: frozenset[int],
    quarantined: frozenset[int],
) -> None:
    had = {lan: number for number, lan in {number: lan for lan, number in had.items()}.items()}  # as the store has it
    network = Network(trunk=TrunkKind.VLAN, vlans=ranges)
    usable = {number for first, last in ranges for number in range(first, last + 1)} - taken - quarantined
    kept = {lan: had[lan] for lan in lans if had.get(lan) in usable}
    try:
        given_ids = assign(lans, network, had=had, taken=taken, quarantined=quarantined)
    except TestbedError:
        assert len(usable - set(had.values())) < len(lans) - len(kept)
        return
    assert set(given_ids) == set(lans)
    assert len(set(given_ids.values())) == len(lans)
    assert set(given_ids.values()) <= usable
    assert kept.items() <= given_ids.items()


def test_the_lowest_free_ones_are_taken_in_the_ranges_order() -> None:
    network = Network(trunk=TrunkKind.VLAN, vlans=((20, 21), (10, 12)))
    assert assign(["a", "b", "c"], network, taken={21}) == {"a": 20, "b": 10, "c": 11}


def test_exhaustion_is_one_clear_error() -> None:
    with pytest.raises(TestbedError) as caught:
        assign(["a", "b"], NETWORK, taken={10, 11}, quarantined={12, 999})
    assert caught.value.message == (
        "2 LANs are cut and need VLANs of their own, too many of the site's 4 are in use, "
        "1 of them until all pnodes have said that they are free again"
    )
    assert "vlans" in (caught.value.hint or "")
    assert caught.value.exit_code == 4


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.sqlite")


@pytest.fixture
def segments(store: Store) -> SegmentStore:
    return SegmentStore(store)


def test_experiments_share_no_id_and_each_keeps_its_own(segments: SegmentStore) -> None:
    assert segments.allocate(ONE, ["a", "b"], NETWORK) == {"a": 10, "b": 11}
    assert segments.allocate(TWO, ["a"], NETWORK) == {"a": 12}
    assert segments.allocate(ONE, ["b", "a"], NETWORK) == {"a": 10, "b": 11}


def test_vlans_and_vxlans_are_counted_apart(segments: SegmentStore) -> None:
    tunnels = Network(vnis=((10, 12),))
    assert segments.allocate(ONE, ["a"], NETWORK) == {"a": 10}
    assert segments.allocate(TWO, ["a"], tunnels) == {"a": 10}


def test_a_released_id_waits_for_every_pnode(segments: SegmentStore) -> None:
    segments.allocate(ONE, ["a"], NETWORK)
    segments.release(ONE, ["pnode-0000", "pnode-0001"])
    assert segments.allocate(TWO, ["a"], NETWORK) == {"a": 11}
    ten = Segment(TrunkKind.VLAN, 10)
    assert segments.quarantined() == {"pnode-0000": {ten}, "pnode-0001": {ten}}
    segments.confirm("pnode-0000", {ten})
    assert segments.allocate(TWO, ["a", "b"], NETWORK) == {"a": 11, "b": 12}
    segments.confirm("pnode-0001", {ten})
    assert segments.allocate(TWO, ["a", "b", "c"], NETWORK) == {"a": 11, "b": 12, "c": 10}


def test_only_what_a_pnode_does_not_carry_is_free_there(segments: SegmentStore) -> None:
    segments.allocate(ONE, ["a", "b"], NETWORK)
    segments.release(ONE, ["pnode-0000"])
    carried = {Segment(TrunkKind.VLAN, 11), Segment(TrunkKind.VXLAN, 10)}
    segments.settle(lambda _: carried)
    assert segments.quarantined() == {"pnode-0000": {Segment(TrunkKind.VLAN, 11)}}


def test_a_pnode_that_cannot_be_asked_keeps_the_quarantine(segments: SegmentStore) -> None:
    segments.allocate(ONE, ["a"], NETWORK)
    segments.release(ONE, ["pnode-0000", "pnode-0001"])

    def carried(pnode: str) -> set[Segment]:
        if pnode == "pnode-0000":
            raise NodeManagerError("it does not answer")
        return set()

    segments.settle(carried)
    assert segments.quarantined() == {"pnode-0000": {Segment(TrunkKind.VLAN, 10)}}


def test_lans_that_are_cut_no_more_give_their_ids_back(segments: SegmentStore) -> None:
    segments.allocate(ONE, ["a", "b"], NETWORK)
    assert segments.allocate(ONE, ["b"], NETWORK, former=["pnode-0000"]) == {"b": 11}
    assert segments.quarantined() == {"pnode-0000": {Segment(TrunkKind.VLAN, 10)}}


def test_another_kind_of_trunk_gives_the_old_ids_back(segments: SegmentStore) -> None:
    segments.allocate(ONE, ["a"], NETWORK)
    segments.allocate(ONE, ["a"], Network(vnis=((70, 70),)), former=["pnode-0000"])
    assert segments.quarantined() == {"pnode-0000": {Segment(TrunkKind.VLAN, 10)}}


def test_what_does_not_suffice_changes_nothing(segments: SegmentStore) -> None:
    segments.allocate(ONE, ["a"], NETWORK)
    with pytest.raises(TestbedError):
        segments.allocate(TWO, ["a", "b", "c", "d"], NETWORK)
    assert segments.allocate(ONE, ["a", "b", "c", "d"], NETWORK) == {"a": 10, "b": 11, "c": 12, "d": 20}


def test_names_that_differ_in_case_only_are_the_same_experiment(segments: SegmentStore) -> None:
    segments.allocate(ONE, ["a"], NETWORK)
    segments.release(ExperimentId("LAB", "One"), ["pnode-0000"])
    assert set(segments.quarantined()) == {"pnode-0000"}


def test_a_store_without_ids_is_taken_over(store: Store, segments: SegmentStore, tmp_path: Path) -> None:
    store.add(ONE, source="x.ns", data=b"")
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        database.execute("DROP TABLE segment")
        database.execute("DROP TABLE segment_pnode")
        database.execute("PRAGMA user_version = 2")
    database.close()
    again = Store(tmp_path / "store.sqlite")
    assert SegmentStore(again).allocate(ONE, ["a"], NETWORK) == {"a": 10}
    assert again.get(ONE).source == "x.ns"
