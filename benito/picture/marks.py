"""The few SVG elements that pictures are made of."""

from collections.abc import Sequence

from lxml import etree

from benito.picture.model import Point, Rect
from benito.picture.words import shown

_LONGEST_NOTE, _MOST_NOTES = 200, 40


def number(value: float, digits: int = 1) -> str:
    """A number as SVG wants it, no longer than it must be."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def group(parent: etree._Element, **attributes: str) -> etree._Element:
    """A group in `parent`."""
    return etree.SubElement(parent, "g", attributes)


def write(parent: etree._Element, text: str, **attributes: str) -> None:
    """A text, which the caller has cut to the room that it has."""
    etree.SubElement(parent, "text", attributes).text = shown(text, _LONGEST_NOTE)


def note(parent: etree._Element, *lines: str) -> None:
    """What a mouse over `parent` shows, a line each; of very many the first ones."""
    said = [shown(line, _LONGEST_NOTE) for line in lines if line]
    more = [f"… and {len(said) - _MOST_NOTES} more"] if len(said) > _MOST_NOTES else []
    etree.SubElement(parent, "title").text = "\n".join([*said[:_MOST_NOTES], *more])


def rectangle(parent: etree._Element, rect: Rect, radius: float, **attributes: str) -> None:
    """A rectangle with round corners."""
    place: dict[str, str] = {
        "x": number(rect.left),
        "y": number(rect.top),
        "width": number(rect.width),
        "height": number(rect.height),
        "rx": number(radius),
    }
    etree.SubElement(parent, "rect", place | attributes)


def path(parent: etree._Element, points: Sequence[Point], **attributes: str) -> None:
    """A line through points."""
    words = " L".join(f"{number(x)} {number(y)}" for x, y in points)
    etree.SubElement(parent, "path", {"d": f"M{words}"} | attributes)
