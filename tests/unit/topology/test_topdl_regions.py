"""TopDL 2: regions give way to their fragments, as in DETER's SPI library."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benito.errors import TopologyError
from benito.model import Topology
from benito.topology import read_topology

Reader = Callable[[str, str], Topology]
Refusal = Callable[[str, str], str]
CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "topdl" / "v2"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the folder shared/corpus is not beside the checkout")


def computer(name: str, *places: str) -> str:
    interfaces = "".join(f"<interface><substrate>{place}</substrate></interface>" for place in places)
    return f"<elements><computer><name>{name}</name>{interfaces}</computer></elements>"


def region(name: str, place: str, level: str = "1", fragment: str = "f") -> str:
    interface = f"<interface><substrate>{place}</substrate><name>i</name></interface>" if place else ""
    level = f"<level>{level}</level>" if level else ""
    return f"<elements><region><name>{name}</name>{interface}{level}<fragname>{fragment}</fragname></region></elements>"


def substrate(name: str) -> str:
    return f"<substrates><name>{name}</name></substrates>"


def fragment(*inner: str, takes: str = "x", name: str = "f") -> str:
    taken = f"<ifmap><inner>{takes}</inner><outer>i</outer></ifmap>" if takes else ""
    return f"<fragments><name>{name}</name><topology>{''.join(inner)}</topology>{taken}</fragments>"


def document(*parts: str) -> str:
    return f"<experiment><version>2.0</version>{''.join(parts)}</experiment>"


PAIR = substrate("s") + computer("x", "s") + computer("y", "s")
OUTER = substrate("out") + computer("a", "out")


def shape(topology: Topology) -> tuple[list[str], dict[str, list[str]]]:
    lans = {lan.name: sorted(member.node for member in lan.members) for lan in topology.lans}
    return sorted(node.name for node in topology.nodes), lans


def test_a_region_gives_way_to_its_fragment(read: Reader) -> None:
    topology = read(document(OUTER, region("r", "out"), fragment(PAIR)), "t.xml")
    assert shape(topology) == (["a", "r-x", "r-y"], {"out": ["a", "r-x"], "r-s": ["r-x", "r-y"]})
    assert dict(topology.nodes[1].attributes)["path"] == "/r/"
    assert dict(topology.lans[0].members[1].settings)["interface_path"] == "i"


def test_a_name_map_gives_names(read: Reader) -> None:
    names = "<namemaps><pathname>/r</pathname><namemap><inner>host</inner><outer>x</outer></namemap></namemaps>"
    topology = read(document(OUTER, region("r", "out"), fragment(PAIR), names), "t.xml")
    assert shape(topology) == (["a", "host", "r-y"], {"out": ["a", "host"], "r-s": ["host", "r-y"]})


def test_regions_in_a_fragment_have_one_level_less(read: Reader) -> None:
    inner = PAIR + region("n", "s", level="9")
    topology = read(document(OUTER, region("r", "out", level="2"), fragment(inner)), "t.xml")
    assert shape(topology)[0] == ["a", "r-n-x", "r-n-y", "r-x", "r-y"]
    assert shape(topology)[1]["r-s"] == ["r-n-x", "r-x", "r-y"]


def test_level_0_vanishes_with_the_substrates_that_led_there(read: Reader) -> None:
    topology = read(document(OUTER, region("r", "out", level="0"), fragment(PAIR)), "t.xml")
    assert shape(topology) == (["a"], {})
    assert [warning.message for warning in topology.warnings] == ["a region of level 0 vanishes"]


def test_a_name_that_would_be_too_long_gets_a_number(read: Reader) -> None:
    long = "y" * 31
    inner = substrate("s") + computer("x", "s") + computer(long, "s")
    topology = read(document(OUTER, region("r", "out"), region("q", "out"), fragment(inner)), "t.xml")
    assert {f"{long[:30]}-0", f"{long[:30]}-1"} <= {node.name for node in topology.nodes}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            (region("r", "out", fragment="ff1"), fragment(PAIR, name="ff2")),
            "r: No such fragment 'ff1' (did you mean ff2?)",
        ),
        ((region("r", "out", level="many"), fragment(PAIR)), "r: level: 'many' is not a level."),
        ((region("r", "out"), fragment(PAIR, takes="z")), "r: the fragment f has no element 'z'"),
        ((region("r", "out"), fragment(substrate("s"), computer("x", "t"))), "No such substrate 't' in the fragment f"),
        ((region("r", "out"), fragment(PAIR), fragment(PAIR)), "f: a second fragment of that name"),
        (
            (region("r", "", level="2"), fragment(region("n", "", fragment="gg"), takes="")),
            "r-n: No such fragment 'gg'",
        ),
        ((region("r", "out"), "<fragments><name>f</name></fragments>"), "f: a fragment without <topology>"),
    ],
)
def test_what_cannot_be_expanded_is_refused(refusal: Refusal, parts: tuple[str, ...], message: str) -> None:
    assert message in refusal(document(OUTER, *parts), "t.xml")


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (region("n", "s") + region("m", "s") + PAIR, "the regions "),
        (region("n", ""), "the regions are nested too deeply"),
        (region("n", "") + region("m", ""), "the regions"),
    ],
)
def test_a_fragment_that_holds_itself_is_bounded(refusal: Refusal, inner: str, message: str) -> None:
    start = time.monotonic()
    assert message in refusal(document(OUTER, region("r", "out", level="999999999"), fragment(inner)), "t.xml")
    assert time.monotonic() - start < 10


@needs_corpus
def test_expansion_is_what_the_library_made_of_it() -> None:
    assert shape(read_topology(CORPUS / "spi-r2.xml")) == shape(read_topology(CORPUS / "spi-r3.xml"))


@needs_corpus
def test_a_version_1_header_does_not_matter() -> None:
    topology = read_topology(CORPUS / "spi-region-v1header.xml")
    assert len(topology.nodes) == 12
    assert {"R-a", "R-R-a"} <= {node.name for node in topology.nodes}


@needs_corpus
def test_a_real_file_of_eleven_levels_is_refused_for_its_size() -> None:
    with pytest.raises(TopologyError, match="the regions make more than 100000 elements"):
        read_topology(CORPUS / "spi-m1.xml")
