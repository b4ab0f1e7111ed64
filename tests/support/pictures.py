"""Drawings for tests, and what can be read back from a picture."""

from collections.abc import Sequence

from hypothesis import strategies as st
from lxml import etree

from benito.picture import Drawing, End, Net, PictureNode
from benito.picture.model import Rect

SVG = "{http://www.w3.org/2000/svg}"
#: What could be taken for markup, would end a text, or has no place in XML.
HOSTILE = (
    "<script>",
    "a&b;",
    '"><g onload="x"',
    "]]>",
    "\0\x1b[2J",
    "\ud800",
    "\ufffe",
    "a\u202eb",
    "é" * 99,
    "\n",
    "",
)


def drawing(
    nodes: Sequence[str], nets: dict[str, str], boxes: dict[str, str] | None = None, *, addresses: bool = False
) -> Drawing:
    """`{"lan": "a b c"}` gives a net with three ends; what has ends in two boxes crosses."""
    home = {node: (boxes or {}).get(node) for node in nodes}
    made = []
    for number, (name, words) in enumerate(nets.items()):
        ends = tuple(End(node=node, address=f"10.0.{number}.{at + 1}") for at, node in enumerate(words.split()))
        crossing = bool(boxes) and len({home[end.node] for end in ends}) > 1
        made.append(Net(name=name, ends=ends, crossing=crossing, load="100 Mb/s", notes=("100 Mb/s",)))
    return Drawing(
        title="test",
        nodes=tuple(PictureNode(name=node, kind="openvz", box=home[node]) for node in nodes),
        nets=tuple(made),
        shows_addresses=addresses,
    )


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    """Any drawing: free nodes beside boxes, nets of any number of ends, a node twice in one, hostile names."""
    words = st.text(max_size=8) | st.sampled_from(["a", "b" * 32, *HOSTILE])
    names = draw(st.lists(words, min_size=1, max_size=12, unique=True))
    labels = draw(st.lists(words, max_size=3, unique=True))
    nodes = tuple(
        PictureNode(
            name=name,
            kind=draw(st.sampled_from(["qemu", "openvz", "other"]) | words),
            box=draw(st.none() | st.sampled_from(labels)) if labels else None,
            notes=tuple(draw(st.lists(words, max_size=2))),
        )
        for name in names
    )
    home = {node.name: node.box for node in nodes}
    nets = []
    for name in draw(st.lists(words, max_size=8, unique=True)):
        ends = draw(st.lists(st.builds(End, node=st.sampled_from(names), address=words), max_size=6))
        crossing = draw(st.booleans()) if labels else False
        crossing = crossing or len({home[end.node] for end in ends}) > 1
        nets.append(Net(name=name, ends=tuple(ends), crossing=crossing, load=draw(words)))
    return Drawing(title=draw(words), nodes=nodes, nets=tuple(nets), shows_addresses=draw(st.booleans()))


def overlap(one: Rect, other: Rect) -> bool:
    """Whether two rectangles have more than a border in common."""
    hair = 0.011
    return (
        abs(one.x - other.x) < (one.width + other.width) / 2 - hair
        and abs(one.y - other.y) < (one.height + other.height) / 2 - hair
    )


def within(inner: Rect, outer: Rect) -> bool:
    """Whether one rectangle lies in another."""
    return (
        abs(inner.x - outer.x) <= (outer.width - inner.width) / 2 + 0.001
        and abs(inner.y - outer.y) <= (outer.height - inner.height) / 2 + 0.001
    )


def parse(svg: bytes) -> etree._Element:
    """The document; fails unless it is well-formed."""
    return etree.fromstring(svg, etree.XMLParser(resolve_entities=False, huge_tree=True))


def having(root: etree._Element, kind: str) -> list[etree._Element]:
    """All elements of a class."""
    return [element for element in root.iter() if kind in (element.get("class") or "").split()]


def texts(root: etree._Element, tag: str = "text") -> list[str]:
    """The words of all texts, or of all titles."""
    return [element.text or "" for element in root.iter(f"{SVG}{tag}")]
