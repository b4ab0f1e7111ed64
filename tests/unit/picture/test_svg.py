"""What stands in the file: all of it, once, escaped, the same every time."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from pictures import HOSTILE, SVG, drawing, drawings, having, parse, texts

from benito.picture import Drawing
from benito.picture.layout import lay_out
from benito.picture.svg import Page, render
from benito.picture.words import rate, shown, width_of


def page(of: Drawing) -> Page:
    return render(of, lay_out(of))


@given(drawings())
@settings(max_examples=100, deadline=None)
def test_every_node_and_net_is_drawn_once_whatever_it_is_called(of: Drawing) -> None:
    root = parse(page(of).svg)
    nodes = having(root, "node")
    assert len(nodes) == len(of.nodes)
    for element, node in zip(nodes, of.nodes, strict=True):
        assert element.findtext(f"{SVG}text") == shown(node.name)
    hubs = [element for element in having(root, "lan") if element.findtext(f"{SVG}title") is not None]
    assert len(hubs) >= sum(not net.is_line for net in of.nets)
    titled = [element for element in having(root, "net") if element.find(f"{SVG}title") is not None]
    assert len(titled) == len(of.nets)
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "style", "g", "rect", "path", "text")
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    hostile = drawing([f"{text}1", f"{text}2"], {}, {f"{text}1": text})
    root = parse(page(hostile).svg)
    assert len(having(root, "node")) == 2
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on")]
    assert "\x1b" not in "".join(root.itertext())


def test_the_same_drawing_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    script = (
        "from pictures import drawing\n"
        "from benito.picture.layout import lay_out\n"
        "from benito.picture.svg import render\n"
        "names = [f'n{at}' for at in range(30)]\n"
        "of = drawing(names, {f'l{at}': f'n{at} n{at * 7 % 30}' for at in range(1, 30)}, {n: n[-1] for n in names})\n"
        "import sys; sys.stdout.buffer.write(render(of, lay_out(of)).svg)\n"
    )
    support = Path(__file__).parents[2] / "support"
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{support}"},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert found.pop().startswith(b"<?xml")


def test_addresses_stand_at_their_ends_only_where_asked_for() -> None:
    nets = {"wire": "a b", "lan": "a b c", "twice": "c c b"}
    plain = texts(parse(page(drawing(["a", "b", "c"], nets)).svg))
    full = texts(parse(page(drawing(["a", "b", "c"], nets, addresses=True)).svg))
    assert not [text for text in plain if text.startswith("10.")]
    said = " ".join(full).split()
    assert Counter(word for word in said if word.startswith("10.")) == Counter(
        ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.2.1", "10.0.2.2", "10.0.2.3"]
    )


def test_what_crosses_is_apart_and_says_its_load() -> None:
    root = parse(page(drawing(["a", "b", "c"], {"in": "a b", "out": "b c"}, {"a": "p", "b": "p", "c": "q"})).svg)
    (mark,) = [element for element in having(root, "cross") if element.tag == f"{SVG}text"]
    assert mark.text == "out 100 Mb/s"
    assert "in" in texts(root)
    assert "from pnode to pnode, with its load" in texts(root)


def test_the_legend_has_the_kinds_that_there_are() -> None:
    root = parse(page(drawing(["a", "b"], {"l": "a b"})).svg)
    assert "openvz (2)" in texts(root)
    assert "link" in texts(root)
    assert "LAN" not in texts(root)
    assert "test: 2 nodes, 1 links and LANs" in texts(root)


def test_a_mouse_over_a_node_shows_all_of_it() -> None:
    root = parse(page(drawing(["a", "b"], {"l": "a b"}, {"a": "p"})).svg)
    assert "a\nopenvz\np" in texts(root, "title")
    assert "l\n100 Mb/s\na 10.0.0.1\nb 10.0.0.2" in texts(root, "title")


def test_a_mouse_over_a_large_lan_shows_the_first_members() -> None:
    names = [f"n-{at}" for at in range(500)]
    root = parse(page(drawing(names, {"lan": " ".join(names)})).svg)
    said = next(text for text in texts(root, "title") if text.startswith("lan"))
    assert said.count("\n") <= 41
    assert said.endswith("… and 462 more")


@pytest.mark.parametrize(
    ("kbps", "said"), [(None, "unlimited"), (0, "0 kb/s"), (512, "512 kb/s"), (1500, "1.5 Mb/s"), (10**7, "10 Gb/s")]
)
def test_rates_are_written_for_people(kbps: int | None, said: str) -> None:
    assert rate(kbps) == said


def test_widths_are_enough_for_the_font() -> None:
    assert width_of("W" * 32, 10) >= 316
    assert 66 <= width_of("10.0.123.254", 10) <= 72
