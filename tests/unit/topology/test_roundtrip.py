"""What is written is read as it was: TopDL all of it, NS what it can say; and one into the other and back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sameness import differences, meaning, placeless
from topologies import ns_topologies, topologies

from benito.errors import TopologyError
from benito.model import Kind, Lan, Member, Node, Shaping, Topology
from benito.topology import read_topology
from benito.topology.writers import ns_text, write_ns, write_topdl

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
FILES = sorted(path for folder in ("ns", "probes", "topdl") for path in (CORPUS / folder).rglob("*") if path.is_file())
#: Of regions, TopDL keeps where each thing comes from; NS has no settings for links and interfaces.
PLACED = frozenset({"path", "interface_path"})
needs_corpus = pytest.mark.skipif(not FILES, reason="the folder shared/corpus is not beside the checkout")
#: Most examples start a Tcl interpreter or two.
each_in_turn = settings(
    deadline=None, max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def through_topdl(topology: Topology, folder: Path) -> Topology:
    path = folder / "written.xml"
    path.write_bytes(write_topdl(topology))
    return read_topology(path)


def through_ns(topology: Topology, folder: Path) -> Topology:
    path = folder / "written.ns"
    path.write_text(write_ns(topology), encoding="utf-8")
    return read_topology(path)


@each_in_turn
@given(topology=topologies())
def test_any_topology_is_the_same_after_topdl(tmp_path: Path, topology: Topology) -> None:
    assert differences(placeless(topology), placeless(through_topdl(topology, tmp_path))) == []


@each_in_turn
@given(topology=ns_topologies())
def test_what_ns_can_say_means_the_same_after_ns(tmp_path: Path, topology: Topology) -> None:
    assert ns_text(topology).losses == ()
    assert differences(meaning(topology), meaning(through_ns(topology, tmp_path))) == []


@each_in_turn
@given(topology=ns_topologies())
def test_the_way_through_topdl_changes_nothing_of_an_ns_file(tmp_path: Path, topology: Topology) -> None:
    read = through_ns(topology, tmp_path)
    again = through_ns(through_topdl(read, tmp_path), tmp_path)
    assert differences(meaning(read), meaning(again)) == []


@each_in_turn
@given(topology=topologies())
def test_whatever_ns_cannot_say_its_file_is_read(tmp_path: Path, topology: Topology) -> None:
    assert len(through_ns(topology, tmp_path).nodes) == len(topology.nodes)


def corpus_topology(path: Path) -> Topology:
    try:
        return read_topology(path)
    except TopologyError:
        pytest.skip("this file is refused")


@needs_corpus
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files_are_the_same_after_topdl(tmp_path: Path, path: Path) -> None:
    topology = corpus_topology(path)
    assert differences(placeless(topology), placeless(through_topdl(topology, tmp_path))) == []


@needs_corpus
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files_mean_the_same_after_ns(tmp_path: Path, path: Path) -> None:
    topology = corpus_topology(path)
    said = [loss for loss in ns_text(topology).losses if not any(f"setting {word}=" in loss for word in PLACED)]
    assert said == []
    found = differences(meaning(topology), meaning(through_ns(topology, tmp_path)))
    assert [line for line in found if not any(word in line for word in PLACED)] == []


def link(*halves: Shaping, is_link: bool = True) -> Topology:
    """Two nodes and what each half of a link does: into and out of it at the first, then at the second."""
    ends = zip("ab", (halves[:2], halves[2:]), strict=True)
    members = tuple(Member(node=name, port=0, into=into, out_of=out_of) for name, (into, out_of) in ends)
    lan = Lan(name="lan0", members=members, is_link=is_link)
    return Topology(source="", nodes=(Node(name="a"), Node(name="b")), lans=(lan,))


def test_uneven_legs_of_a_link_become_its_ways() -> None:
    long, short = Shaping(rate_kbps=1000, delay_us=9000), Shaping(rate_kbps=500, delay_us=1000)
    text = write_ns(link(long, long, short, short))
    assert "duplex-link $a $b 500kb 10ms DropTail" in text
    assert "simplex" not in text


@pytest.mark.parametrize(
    ("half_us", "said"),
    [(500, "a delay of 1 ms: it is 2 ms"), (400, "a delay of 0.8 ms: it is 0 ms"), (5250, "10.5 ms: it is 11 ms")],
)
def test_a_delay_that_ns_cannot_count_is_told(half_us: int, said: str) -> None:
    half = Shaping(delay_us=half_us)
    assert any(said in loss for loss in ns_text(link(half, half, half, half)).losses)


def test_a_rate_above_what_ns_knows_is_told_and_not_limited() -> None:
    half = Shaping(rate_kbps=100_000_000)
    written = ns_text(link(half, half, half, half))
    assert "duplex-link $a $b * 0ms" in written.text
    assert "a rate of 100000000 kb/s" in written.losses[0]


def test_loss_keeps_the_number_that_was_given(read: Callable[..., Topology], tmp_path: Path) -> None:
    text = "set a [$ns node]\nset b [$ns node]\nset l [$ns duplex-link $a $b 10Mb 15ms RED]\ntb-set-link-loss $l 0.05"
    topology = read(f"set ns [new Simulator]\n{text}\n$ns run\n")
    assert "tb-set-link-loss $l 0.05" in write_ns(through_topdl(topology, tmp_path))
    assert "10Mb 15ms RED" in write_ns(through_topdl(topology, tmp_path))


@pytest.mark.parametrize("name", ["list", "ns", "set", "opt", "env", "argv", "tblink-l9", "tbnode-n7", "after"])
def test_a_name_that_ns_cannot_give_gets_another_and_is_told(tmp_path: Path, name: str) -> None:
    topology = Topology(source="", nodes=(Node(name=name),), lans=(), options=(("x", "1"),))
    assert len(ns_text(topology).losses) == 1
    assert through_ns(topology, tmp_path).nodes[0].name.startswith(name)


@pytest.mark.parametrize("name", ["tbnode-n1", "n-3", "n-3-4", "a", "A-b", "ns-1", "opt-1", "node0"])
def test_any_other_name_stays(tmp_path: Path, name: str) -> None:
    topology = Topology(source="", nodes=(Node(name=name),), lans=(), options=(("x", "1"),))
    assert ns_text(topology).losses == ()
    assert through_ns(topology, tmp_path).nodes[0].name == name


def test_a_kind_that_was_set_in_a_program_gets_its_attribute(tmp_path: Path) -> None:
    topology = Topology(source="", nodes=(Node(name="a", kind=Kind.QEMU, partition="7"),), lans=())
    for again in (through_topdl(topology, tmp_path), through_ns(topology, tmp_path)):
        node = again.nodes[0]
        assert (node.kind, node.partition) == (Kind.QEMU, "7")
        assert dict(node.attributes) == {"containers:node_type": "qemu", "containers:partition": "7"}


@each_in_turn
@given(command=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_a_start_command_survives_both(tmp_path: Path, command: str) -> None:
    topology = Topology(source="", nodes=(Node(name="a", start_command=command),), lans=())
    assert through_topdl(topology, tmp_path).nodes[0].start_command == command
    assert through_ns(topology, tmp_path).nodes[0].start_command == command
