from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benito.errors import TopologyError
from benito.model import Topology
from benito.topology import read_topology
from benito.topology.formats import Format, render
from benito.topology.importers import import_topology
from benito.topology.importers.measures import distance_km

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
MAPS = sorted((CORPUS / "graphs").glob("*.graphml"))

KEYS = """
<key id="d0" for="node" attr.name="label" attr.type="string"/>
<key id="d1" for="node" attr.name="Latitude" attr.type="double"/>
<key id="d2" for="node" attr.name="Longitude" attr.type="double"/>
<key id="d3" for="node" attr.name="hyperedge" attr.type="int"/>
<key id="d4" for="edge" attr.name="LinkSpeedRaw" attr.type="double"/>
<key id="d5" for="edge" attr.name="delay" attr.type="string"/>
<key id="d6" for="edge" attr.name="bandwidth" attr.type="string"/>
"""
Importer = Callable[..., Topology]


@pytest.fixture
def graphml(tmp_path: Path) -> Importer:
    def imported(body: str, default: str = "undirected") -> Topology:
        path = tmp_path / "map.graphml"
        head = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
        path.write_text(f'{head}{KEYS}<graph edgedefault="{default}">{body}</graph></graphml>', encoding="utf-8")
        return import_topology(path)

    return imported


def node(known: str, label: str = "", **data: object) -> str:
    keys = {"lat": "d1", "lon": "d2", "hyperedge": "d3"}
    said = f'<data key="d0">{label}</data>' if label else ""
    said += "".join(f'<data key="{keys[key]}">{value}</data>' for key, value in data.items())
    return f'<node id="{known}">{said}</node>'


def edge(first: str, second: str, **data: str) -> str:
    keys = {"speed": "d4", "delay": "d5", "bandwidth": "d6"}
    said = "".join(f'<data key="{keys[key]}">{value}</data>' for key, value in data.items())
    return f'<edge source="{first}" target="{second}">{said}</edge>'


def said(of: Topology) -> str:
    return "\n".join(str(warning) for warning in of.warnings)


def names(of: Topology) -> list[str]:
    return [node.name for node in of.nodes]


def ends(of: Topology) -> list[str]:
    return [" ".join(member.node for member in lan.members) for lan in of.lans]


def test_labels_become_names_in_our_alphabet(graphml: Importer) -> None:
    made = graphml(node("0", "São Paulo") + node("1", "St. John's") + node("2", "localhost"))
    assert names(made) == ["Sao-Paulo", "St-John-s", "localhost-2"]
    assert "São Paulo as Sao-Paulo" in said(made)


def test_labels_that_repeat_are_followed_by_the_id(graphml: Importer) -> None:
    assert names(graphml(node("3", "Rome") + node("4", "rome") + node("5", "Oslo"))) == ["Rome-3", "rome-4", "Oslo"]


def test_nodes_without_a_label_are_called_by_their_id(graphml: Importer) -> None:
    assert names(graphml(node("7") + node("x8", "None") + node("9", "??"))) == ["n-7", "x8", "n-9"]


def test_names_that_clash_after_all_are_numbered(graphml: Importer) -> None:
    assert names(graphml(node("1", "n-2") + node("2"))) == ["n-2", "n-2-2"]


def test_names_are_cut_to_32_letters_and_stay_apart(graphml: Importer) -> None:
    made = graphml(node("0", "a" * 40) + node("1", "a" * 39 + "b"))
    assert [len(name) for name in names(made)] == [32, 32]
    assert len(set(names(made))) == 2


def test_parallel_edges_stay_two_links(graphml: Importer) -> None:
    assert ends(graphml(node("a", "A") + node("b", "B") + edge("a", "b") + edge("b", "a"))) == ["A B", "B A"]


def test_both_directions_of_a_directed_edge_are_one_link(graphml: Importer) -> None:
    made = graphml(node("a", "A") + node("b", "B") + edge("a", "b") + edge("b", "a"), default="directed")
    assert ends(made) == ["A B"]
    assert "directed edges that have a link already are left out (B to A)" in said(made)


def test_an_edge_from_a_node_to_itself_is_left_out_and_said(graphml: Importer) -> None:
    made = graphml(node("a", "A") + edge("a", "a"))
    assert ends(made) == []
    assert "edges from a node to itself are left out (A to A)" in said(made)


def test_parts_that_do_not_meet_are_said(graphml: Importer) -> None:
    assert "the map falls into 2 parts" in said(graphml(node("a") + node("b") + node("c") + edge("a", "b")))


def test_where_lines_meet_is_a_lan(graphml: Importer) -> None:
    made = graphml(
        "".join(node(name, name) for name in "abc")
        + node("1", hyperedge=1)
        + node("2", hyperedge=1)
        + edge("a", "1")
        + edge("1", "2")
        + edge("2", "b")
        + edge("c", "2")
    )
    assert names(made) == ["a", "b", "c"]
    assert [(lan.name, lan.is_link) for lan in made.lans] == [("lan-1", False)]
    assert ends(made) == ["a b c"]


def test_graphmls_own_hyperedge_is_a_lan(graphml: Importer) -> None:
    arms = "".join(f'<endpoint node="{name}"/>' for name in "abc")
    made = graphml("".join(node(name, name) for name in "abc") + f"<hyperedge>{arms}</hyperedge>")
    assert ends(made) == ["a b c"]


def test_speeds_are_bits_a_second_and_kept_within_bounds(graphml: Importer) -> None:
    body = node("a") + node("b") + edge("a", "b", speed="45000000.0") + edge("a", "b", speed="1e12")
    made = graphml(body + edge("a", "b", bandwidth="2Mb") + edge("a", "b", bandwidth="7") + edge("a", "b", speed="nan"))
    assert [lan.members[0].into.rate_kbps for lan in made.lans] == [45_000, 10_000_000, 2000, None, None]
    assert "set to the nearest (1000000000 kbit/s)" in said(made)


def test_delays_come_from_coordinates_at_200_000_km_a_second(graphml: Importer) -> None:
    made = graphml(node("a", lat=52.37, lon=4.89) + node("b", lat=50.85, lon=4.35) + edge("a", "b"))
    half = made.lans[0].members[0].into.delay_us
    assert 2 * half == pytest.approx(173_000 / 200_000 * 1000, rel=0.02)


def test_a_delay_that_the_map_gives_counts_more(graphml: Importer) -> None:
    made = graphml(node("a", lat=52, lon=4) + node("b", lat=50, lon=4) + edge("a", "b", delay="10ms"))
    assert made.lans[0].members[1].out_of.delay_us == 5000


@pytest.mark.parametrize("place", [{"lat": 95, "lon": 0}, {"lat": "nan", "lon": 0}, {"lat": "x", "lon": 0}, {"lat": 1}])
def test_places_that_are_none_give_no_delay(graphml: Importer, place: dict[str, object]) -> None:
    made = graphml(node("a", **place) + node("b", lat=50, lon=4) + edge("a", "b"))
    assert made.lans[0].members[0].into.delay_us == 0


def test_a_quarter_of_the_earth_is_ten_thousand_kilometres() -> None:
    assert distance_km((0, 0), (90, 0)) == pytest.approx(10_007, abs=10)


def test_yeds_drawn_labels_are_read(graphml: Importer) -> None:
    drawn = '<y:ShapeNode xmlns:y="urn:y"><y:NodeLabel>web</y:NodeLabel></y:ShapeNode>'
    assert names(graphml(f'<node id="n0"><data key="d9">{drawn}</data></node>')) == ["web"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (node("a") + node("a"), "a second node 'a'"),
        (node("a") + edge("a", "z"), "an edge leads to 'z', which is no node"),
        ("", "there is no node"),
    ],
)
def test_a_map_that_contradicts_itself_is_refused(graphml: Importer, body: str, says: str) -> None:
    with pytest.raises(TopologyError, match=says):
        graphml(body)


def test_a_document_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.graphml"
    path.write_text('<!DOCTYPE graphml [<!ENTITY a "b">]><graphml>&a;</graphml>')
    with pytest.raises(TopologyError, match="DTD"):
        import_topology(path)


def test_topdl_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "top.xml"
    path.write_text("<experiment/>")
    with pytest.raises(TopologyError, match="TopDL needs no import"):
        import_topology(path)


def test_a_foreign_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="cannot be imported"):
        import_topology(tmp_path / "map.gml")


@pytest.mark.skipif(not MAPS, reason="the folder shared/corpus is not beside the checkout")
@pytest.mark.parametrize("path", MAPS, ids=lambda path: path.name)
@pytest.mark.parametrize("language", Format)
def test_real_maps_are_imported_and_read_again(path: Path, language: Format, tmp_path: Path) -> None:
    made = import_topology(path)
    assert len(made.nodes) + sum(not lan.name.startswith("link-") for lan in made.lans) >= 3
    rendered = render(made, language)
    copy = tmp_path / ("map.ns" if language is Format.NS else "map.xml")
    copy.write_bytes(rendered.data)
    again = read_topology(copy)
    assert names(again) == names(made)
    assert ends(again) == ends(made)
    if language is Format.TOPDL:
        assert [halves(lan_of) for lan_of in again.lans] == [halves(lan_of) for lan_of in made.lans]


def halves(lan: object) -> list[object]:
    members = lan.members  # type: ignore[attr-defined]
    return [replace(half, loss_ratio=round(half.loss_ratio, 9)) for one in members for half in (one.into, one.out_of)]
