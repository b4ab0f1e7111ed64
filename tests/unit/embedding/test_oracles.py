"""What DETER's partitioner is on record to have done, on the file of its guide that shows packing passes."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import corpus
import pytest
from builders import experiment, topology

from benito.model import Kind, Node, Topology
from benito.policy import Effort, PassPolicy
from benito.topology import read_topology

MUPPETS = {
    "rainbow": "fozzie janice",
    "studebaker": "beaker beauregard brewster drbunsenhoneydew kermit piggy fozzie",
    "electricmayhem": "floyd lips mousey rizzo pops drteeth animal janice",
}


def as_values() -> Topology:
    """A centre in pass 0, and three LANs with it of twenty nodes each, in passes 1 to 3."""
    names = [[f"n-{at}" for at in range(20 * number, 20 * number + 20)] for number in range(3)]
    nodes = [
        Node(name="center", partition_pass=0),
        *(Node(name=name, partition_pass=number + 1) for number, some in enumerate(names) for name in some),
    ]
    lans = {f"lan-{number}": " ".join(["center", *some]) for number, some in enumerate(names)}
    return topology(lans, nodes=tuple(nodes))


def from_file(name: str) -> Callable[[], Topology]:
    def read() -> Topology:
        path = corpus.FOLDER / "ns" / "containers-guide" / name
        if not path.is_file():
            pytest.skip(f"{corpus.WHY_NOT}: no {name}")
        return read_topology(path)

    return read


FILES = [
    pytest.param(as_values, id="values"),
    *(
        pytest.param(from_file(name), id=name)
        for name in ("containers-example6.tcl", "containers-example6.pre2018.tcl")
    ),
]
example6 = pytest.mark.parametrize("read", FILES)


def sizes(of: Topology, **policy: object) -> list[list[int]]:
    """Per pass the number of nodes on each pnode, the fewest first."""
    policy.setdefault("effort", Effort.QUICK)
    made = experiment(of, **policy)
    number = {node.name: node.partition_pass or 0 for node in made.topology.nodes}
    found = defaultdict(list)
    for one in made.embedding.partitions:
        (which,) = {number[name] for name in one.nodes}
        found[which].append(len(one.nodes))
    return [sorted(found[which]) for which in sorted(found)]


def packs(*numbers: int) -> dict[int, PassPolicy]:
    return {at: PassPolicy(packing=number) for at, number in enumerate(numbers)}


def counts(found: Sequence[Sequence[int]]) -> list[int]:
    return [len(one) for one in found]


@example6
@pytest.mark.parametrize("numbers", [(1, 20, 10, 5), (1, 20, 11, 6)])
def test_each_pass_takes_as_few_pnodes_as_can_be(read: Callable[[], Topology], numbers: tuple[int, ...]) -> None:
    found = sizes(read(), passes=packs(*numbers))
    assert counts(found) == [1, 1, 2, 4]
    assert [sum(one) for one in found] == [1, 20, 20, 20]
    assert all(max(one) <= most for one, most in zip(found, numbers, strict=True))


@example6
def test_without_regard_to_the_network_the_parts_are_even(read: Callable[[], Topology]) -> None:
    found = sizes(read(), passes=packs(1, 20, 10, 5), nodes_only=True)
    assert found == [[1], [20], [10, 10], [5, 5, 5, 5]]


@example6
def test_a_single_pass_may_be_placed_without_regard_to_the_network(read: Callable[[], Topology]) -> None:
    passes = packs(1, 20, 11, 7) | {2: PassPolicy(packing=11, nodes_only=True)}
    assert sizes(read(), passes=passes)[2] == [10, 10]


@example6
def test_the_sizes_of_passes_hold(read: Callable[[], Topology]) -> None:
    passes = {at: PassPolicy(size=number) for at, number in enumerate((1, 1, 2, 4))}
    found = sizes(read(), passes=passes)
    assert counts(found) == [1, 1, 2, 4]
    assert max(found[2]) <= 11
    assert max(found[3]) <= 6


@example6
def test_passes_that_are_not_named_take_the_packing_of_all(read: Callable[[], Topology]) -> None:
    assert sizes(read(), packing=5, passes=packs(1, 20)) == [[1], [20], [5, 5, 5, 5], [5, 5, 5, 5]]


@example6
def test_a_passes_size_beats_the_size_the_size_a_passes_packing_and_that_the_packing(
    read: Callable[[], Topology],
) -> None:
    every = {
        1: PassPolicy(packing=4, size=2),
        2: PassPolicy(packing=4),
    }
    file = read()
    assert counts(sizes(file, passes=every, size=3, packing=1)) == [1, 2, 3, 3]
    assert counts(sizes(file, passes=every, packing=10)) == [1, 2, 5, 2]
    assert counts(sizes(file, size=3, packing=1)) == [1, 3, 3, 3]


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda: topology(MUPPETS), id="values"),
        pytest.param(from_file("containers-muppetnet.ns"), id="containers-muppetnet.ns"),
    ],
)
def test_the_muppets_take_two_hosts_and_one_lan_crosses(read: Callable[[], Topology]) -> None:
    made = experiment(read(), packing=10, effort=Effort.QUICK)
    found = [len(one.nodes) for one in made.embedding.partitions]
    assert sorted(found) == [7, 8]
    assert len(made.embedding.cut_lans) == 1


def test_without_passes_in_the_file_kinds_are_passes_where_options_name_some() -> None:
    kinds = dict.fromkeys(["q1", "q2", "q3"], Kind.QEMU) | {"p": Kind.PROCESS}
    mixed = topology({"l": "o1 o2 o3 q1 q2 q3 p"}, kinds=kinds)
    by_kind = experiment(mixed, passes=packs(2, 4)).embedding.partitions
    assert sorted(sorted(one.nodes) for one in by_kind if "q1" in one.nodes) == [["p", "q1", "q2", "q3"]]
    assert sorted(len(one.nodes) for one in by_kind) == [1, 2, 4]
    (one,) = experiment(mixed).embedding.partitions
    assert len(one.nodes) == 7


PLACED = (
    Node(name="a", partition="7"),
    Node(name="b", kind=Kind.QEMU, partition="7"),
    Node(name="c", kind=Kind.QEMU, partition="x"),
    Node(name="d"),
    Node(name="e", kind=Kind.QEMU),
)


def test_a_file_with_a_partition_is_taken_as_placed_and_the_others_are_machines() -> None:
    made = experiment(topology({"l": "a b c d e"}, nodes=PLACED[:4]), packing=1)
    partitions = {one.nodes: one.whole for one in made.embedding.partitions}
    assert partitions == {("a", "b"): False, ("c",): False, ("d",): True, ("e",): True}
    assert [node.kind for node in made.topology.nodes if node.name == "d"] == [Kind.EMBEDDED_PNODE]


def test_forced_partitions_are_made_anew_and_kinds_stay() -> None:
    made = experiment(topology({"l": "a b c d e"}, nodes=PLACED), force_partition=True)
    (one,) = made.embedding.partitions
    assert one.nodes == ("a", "b", "c", "d", "e")
    kinds = {node.name: node.kind for node in made.topology.nodes}
    assert (kinds["b"], kinds["c"], kinds["d"]) == (Kind.QEMU, Kind.QEMU, Kind.OPENVZ)


def test_whole_machines_are_never_packed() -> None:
    kinds = {"a": Kind.EMBEDDED_PNODE, "b": Kind.EMBEDDED_PNODE}
    made = experiment(topology({"l": "a b c d"}, kinds=kinds), force_partition=True)
    assert {one.nodes: one.whole for one in made.embedding.partitions} == {
        ("a",): True,
        ("b",): True,
        ("c", "d"): False,
    }
