"""A picture as SVG: one file that any browser shows and zooms; a mouse over something tells more of it.

Text goes through lxml, which escapes it, and through `words.shown`, which leaves nothing that XML forbids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from benito.picture.legend import COLOURS, OTHER_COLOUR, draw_legend, legend_of
from benito.picture.lines import Painter
from benito.picture.marks import group, note, number, rectangle, write
from benito.picture.model import Box, Drawing, Layout, Net
from benito.picture.parts import NAME, SMALL, mark_of
from benito.picture.words import shown

#: As PNGs are written with; browsers take what they have.
FONT = "DejaVu Sans"
_STYLE = f"""
text {{ font-family: "{FONT}", Verdana, Helvetica, sans-serif; fill: #1b1b1b }}
.node rect, .node-sample rect {{ stroke: #3c3c3c }}
.node text {{ font-size: {NAME:g}px; text-anchor: middle }}
.lan rect, .lan-sample rect {{ fill: #e9e9e9; stroke: #6a6a6a }}
.lan text, .mark, .address {{ font-size: {SMALL:g}px; text-anchor: middle }}
.net path {{ fill: none; stroke: #6a6a6a; stroke-width: 1.2 }}
.cross path {{ stroke: #cf4a1c; stroke-width: 1.4; stroke-dasharray: 7 3 }}
.cross .trunk {{ stroke-width: 3; stroke-dasharray: none }}
.cross .local {{ stroke-dasharray: none }}
.cross rect {{ fill: #fde6da; stroke: #cf4a1c }}
.cross text, .mark.cross {{ fill: #a33409 }}
.address {{ fill: #44546a }}
.box {{ fill: #f5f6f8; fill-opacity: 0.8; stroke: #8a94a3; stroke-width: 1.2 }}
.label {{ fill: #3a4556; paint-order: stroke; stroke: #f5f6f8; stroke-width: 3px }}
.net:hover path, .node:hover rect, .lan:hover rect {{ stroke: #000000; stroke-width: 3 }}
"""
#: Letters stand out from lines that cross them; where there are many texts that costs more than it helps.
_HALO = ".mark, .address { paint-order: stroke; stroke: #ffffff; stroke-width: 2px; stroke-linejoin: round }\n"
_FEW_TEXTS = 1200
#: Where so many lines cross, they are drawn fainter, so that the rest can be seen.
_FAINT = ".cross path { stroke-width: 1; stroke-opacity: 0.6 }\n"
_FEW_CROSSING = 150
_LEGEND_HEIGHT, _LEGEND_MARGIN, _LEGEND_FITS = 44.0, 24.0, 1100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An SVG document in UTF-8, and its size in units."""

    svg: bytes
    width: float
    height: float


def render(drawing: Drawing, layout: Layout) -> Page:
    """The picture as SVG. The same drawing and layout give the same bytes."""
    entries = legend_of(drawing)
    scale = max(1.0, layout.width / _LEGEND_FITS)
    width = max(layout.width, sum(entry.width for entry in entries) * scale + _LEGEND_MARGIN)
    top = _LEGEND_HEIGHT * scale
    height = layout.height + top
    size = {"width": number(width), "height": number(height)}
    size["viewBox"] = f"0 0 {size['width']} {size['height']}"
    root = etree.Element("svg", size, nsmap={None: "http://www.w3.org/2000/svg"})
    etree.SubElement(root, "title").text = shown(drawing.title)
    etree.SubElement(root, "style").text = _style(drawing)
    etree.SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    draw_legend(group(root, transform=f"scale({number(scale, 3)})"), drawing, entries)
    body = group(root, transform=f"translate({number((width - layout.width) / 2)} {number(top)})")
    below, boxes, lines, marks = (group(body, id=word) for word in ("below", "boxes", "lines", "marks"))
    Painter(drawing, layout, below=below, lines=lines, marks=marks).draw()
    _draw_boxes(boxes, marks, layout.boxes)
    _draw_lans(group(body, id="lans"), drawing.nets, layout)
    _draw_nodes(group(body, id="nodes"), drawing, layout)
    svg = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return Page(svg=svg, width=width, height=height)


def _style(drawing: Drawing) -> str:
    texts = len(drawing.nets) + sum(len(net.ends) for net in drawing.nets if drawing.shows_addresses)
    crossing = sum(net.crossing for net in drawing.nets)
    return _STYLE + (_HALO if texts <= _FEW_TEXTS else "") + (_FAINT if crossing > _FEW_CROSSING else "")


def _draw_boxes(boxes: etree._Element, marks: etree._Element, found: Mapping[str, Box]) -> None:
    for label, box in found.items():
        rectangle(boxes, box.rect, 6, **{"class": "box"})
        place = {"x": number(box.rect.left + 10), "y": number(box.rect.top + box.letters * 1.3)}
        write(marks, shown(label), **{"class": "label"}, **place, style=f"font-size:{number(box.letters)}px")


def _draw_nodes(nodes: etree._Element, drawing: Drawing, layout: Layout) -> None:
    for node in drawing.nodes:
        rect = layout.nodes[node.name]
        one = group(nodes, **{"class": "node"})
        note(one, node.name, node.kind, node.box or "", *node.notes)
        rectangle(one, rect, 5, fill=COLOURS.get(node.kind, OTHER_COLOUR))
        write(one, shown(node.name), x=number(rect.x), y=number(rect.y + NAME * 0.36))


def _draw_lans(lans: etree._Element, nets: Sequence[Net], layout: Layout) -> None:
    named = {net.name: net for net in nets if not net.is_line}
    hubs = [(named[name], rect, mark_of(named[name])) for name, rect in layout.hubs.items()]
    branches = [(named[name], rect, shown(name)) for (name, _), rect in layout.branches.items()]
    for net, rect, text in (*hubs, *branches):
        one = group(lans, **{"class": "lan cross" if net.crossing else "lan"})
        note(one, *net.said)
        rectangle(one, rect, 2)
        write(one, text, x=number(rect.x), y=number(rect.y + SMALL * 0.36))
