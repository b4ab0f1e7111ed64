"""What is edited and written is read as it was edited: any sequence of edits, on any shape."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benito.errors import TopologyMeaningError
from benito.model import Kind, Topology
from benito.topology import read_topology
from benito.topology.edit import rename, set_kind, set_partition, set_values
from benito.topology.generate import Shape, generate
from benito.topology.merge import merge, prefixed
from benito.topology.multiply import multiply
from benito.topology.writers import write_topdl

BASES = st.sampled_from(
    [
        generate(Shape.STAR, [3]),
        generate(Shape.LAN, [3]),
        generate(Shape.GRID, [2, 2], kind=Kind.QEMU),
        generate(Shape.RANDOM, [5, 7]),
        generate(Shape.LINE, [1]),
    ]
)
WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30).map(
    lambda word: f"x{word}x"
)


@st.composite
def edited(draw: st.DrawFn) -> Topology:
    topology = draw(BASES)
    for step in draw(st.lists(st.integers(0, 5), min_size=1, max_size=4)):
        names = [node.name for node in topology.nodes]
        chosen = draw(st.sets(st.sampled_from(names), min_size=1))
        match step:
            case 0:
                topology = set_kind(topology, chosen, draw(st.sampled_from(Kind)))
            case 1:
                topology = set_partition(topology, chosen, draw(st.integers(0, 99)))
            case 2:
                pairs = [("startup", draw(WORDS)), ("osid", draw(WORDS)), ("color", draw(WORDS))]
                topology = set_values(topology, chosen, pairs)
            case 3 if len(names) < 40:
                count = draw(st.integers(1, 3))
                with suppress(TopologyMeaningError):  # a copy's name may be taken by a copy made before
                    topology = multiply(topology, chosen, count)
            case 4 if len(names) < 40:
                topology = merge([prefixed(topology, "a-"), prefixed(topology, "b")])
            case 5:
                topology = rename(topology, [(names[0], "first")] if "first" not in names else [("first", "second")])
    return topology


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(topology=edited())
def test_what_is_edited_is_read_as_it_was_edited(tmp_path: Path, topology: Topology) -> None:
    path = tmp_path / "edited.xml"
    path.write_bytes(write_topdl(topology))
    assert placeless(read_topology(path)) == placeless(topology)


def placeless(of: Topology) -> Topology:
    nodes = tuple(replace(node, line=None) for node in of.nodes)
    return replace(of, source="", warnings=(), nodes=nodes, lans=tuple(replace(lan, line=None) for lan in of.lans))
