"""What the colours and lines of a picture mean."""

from collections import Counter
from dataclasses import dataclass

from lxml import etree

from benito.picture.marks import group, number, path, rectangle, write
from benito.picture.model import Drawing, Rect
from benito.picture.parts import NAME
from benito.picture.words import shown, width_of

#: Colours that also people who confuse red and green tell apart; every other kind is white.
COLOURS = {"qemu": "#9ec9f0", "openvz": "#b5dd9b", "process": "#ffe38a", "embedded_pnode": "#dcb8ea"}
OTHER_COLOUR = "#ffffff"
_SAMPLE, _MIDDLE = 24.0, 32.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the legend: the class of what is shown (`node`, `net`, `net cross`, `lan`, `box`), and the words."""

    shape: str
    words: str
    colour: str = ""

    @property
    def width(self) -> float:
        """The room that it takes."""
        return _SAMPLE + 22 + width_of(self.words, NAME)


def legend_of(drawing: Drawing) -> list[Entry]:
    """What a drawing has of kinds of nodes and nets."""
    kinds = Counter(node.kind for node in drawing.nodes)
    entries = [
        Entry(shape="node", words=f"{shown(kind)} ({count})", colour=COLOURS.get(kind, OTHER_COLOUR))
        for kind, count in sorted(kinds.items())
    ]
    if any(net.is_line and not net.crossing for net in drawing.nets):
        entries.append(Entry(shape="net", words="link"))
    if any(not net.is_line for net in drawing.nets):
        entries.append(Entry(shape="lan", words="LAN"))
    if any(node.box is not None for node in drawing.nodes):
        entries.append(Entry(shape="box", words="nodes that share a pnode"))
    if any(net.crossing for net in drawing.nets):
        entries.append(Entry(shape="net cross", words="from pnode to pnode, with its load"))
    return entries


def draw_legend(parent: etree._Element, drawing: Drawing, entries: list[Entry]) -> None:
    """The title and a row of samples."""
    title = f"{shown(drawing.title)}: {len(drawing.nodes)} nodes, {len(drawing.nets)} links and LANs"
    write(parent, title, x="12", y="16", style=f"font-size:{NAME + 1:g}px;font-weight:bold")
    x = 12.0
    for entry in entries:
        if entry.shape.startswith("net"):
            path(group(parent, **{"class": entry.shape}), [(x, _MIDDLE), (x + _SAMPLE, _MIDDLE)])
        else:
            sample = Rect(x=x + _SAMPLE / 2, y=_MIDDLE, width=_SAMPLE, height=12)
            own = {"box": {"class": "box"}, "node": {"fill": entry.colour}}.get(entry.shape, {})
            rectangle(group(parent, **{"class": f"{entry.shape}-sample"}), sample, 3, **own)
        write(parent, entry.words, x=number(x + _SAMPLE + 6), y="36", style=f"font-size:{NAME:g}px")
        x += entry.width
