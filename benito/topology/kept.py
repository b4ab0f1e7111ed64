"""TopDL's elements that the model has no fields for: kept as settings `topdl:NAME`, the element as XML being the value.

So a topology that is read and written has them again, whatever language it went through.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from benito.model import Settings

PREFIX = "topdl:"
#: The node attribute that has RPMs, parted by semicolons, whatever language they come from.
RPMS = "rpms"
#: The kinds of a capacity and a latency, where they are not `max`.
KINDS = (f"{PREFIX}capacity_kind", f"{PREFIX}latency_kind")
#: The name of an interface, where it is not the one it gets by its place.
NAME = "topdl:name"
_MOST_BYTES = 65536

#: The children of each element that may be kept, in the schema's order.
_LEAF: tuple[str, ...] = ()
_ATTRIBUTE = ("attribute", "value")
_ORDER: Mapping[str, Sequence[str]] = {
    "cpu": ("type", "attribute"),
    "os": ("name", "version", "distribution", "distributionversion", "attribute"),
    "storage": ("amount", "persistence", "attribute"),
    "localname": _LEAF,
    "status": _LEAF,
    "service": ("name", "importer", "param", "description", "status"),
    "operation": _LEAF,
    "param": ("name", "type"),
    "testbed": ("uri", "type", "interface", "attribute", "localname", "status", "service", "operation"),
    "segment": ("id", "type", "uri", "interface", "attribute"),
    "other": ("interface", "attribute"),
    "id": ("uuid", "fedid", "uri", "localname", "kerberosUsername"),
    "interface": ("substrate", "name", "capacity", "latency", "attribute"),
    "capacity": ("rate", "kind"),
    "latency": ("time", "kind"),
}
OTHERS = ("testbed", "segment", "other")
COMMON = ("localname", "status", "service", "operation")
COMPUTER = ("cpu", "os", "storage", *COMMON)


def keep(element: etree._Element) -> str | None:
    """The element as text, with its known children in the schema's order; None where nothing or too much is left."""
    copy = _copy(element)
    if copy.text is None and not len(copy):
        return None
    text = etree.tostring(copy, encoding="unicode")
    return text if len(text) <= _MOST_BYTES and text.isprintable() else None


def _copy(element: etree._Element, parent: str = "") -> etree._Element:
    name = etree.QName(element).localname
    copy = etree.Element(name)
    # An <attribute> is a pair in every element but in itself, where it is the name.
    order = _ATTRIBUTE if name == "attribute" and parent != "attribute" else _ORDER.get(name, _LEAF)
    children = [child for child in element if etree.QName(child).localname in order]
    if name == "cpu" and (count := element.get("count", "")).isdecimal():
        copy.set("count", count)
    if name == "cpu" and (count := element.findtext("{*}count", "").strip()).isdecimal():
        # TopDL 2 has an element for it.
        copy.set("count", count)
    if not children:
        words = (element.text or "").split()
        copy.text = " ".join(words) or None
    for child in sorted(children, key=lambda child: order.index(etree.QName(child).localname)):
        copy.append(_copy(child, name))
    return copy


def key_of(name: str, taken: Mapping[str, str]) -> str:
    """The first free key for an element of that name: `topdl:cpu`, `topdl:cpu.2` and so on."""
    key, count = PREFIX + name, 1
    while key in taken:
        count += 1
        key = f"{PREFIX}{name}.{count}"
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose:
    """Settings taken apart: elements with the settings that they were kept as, and the rest."""

    elements: tuple[etree._Element, ...]
    moved: Settings
    rest: Settings


def elements(settings: Settings, names: Iterable[str]) -> Loose:
    """The kept elements among the settings that have one of these names, in the order of the names."""
    ranks = {name: rank for rank, name in enumerate(names)}
    found: list[tuple[int, int, etree._Element, tuple[str, str]]] = []
    rest: list[tuple[str, str]] = []
    for place, (key, value) in enumerate(settings):
        element = _parse(value) if key.startswith(PREFIX) else None
        name = key.removeprefix(PREFIX).partition(".")[0]
        if element is None or element.tag != name or name not in ranks:
            rest.append((key, value))
        else:
            found.append((ranks[name], place, element, (key, value)))
    found.sort(key=lambda entry: entry[:2])
    moved: dict[str, str] = {}
    for _rank, _place, element, (_key, value) in found:
        moved[key_of(str(element.tag), {**dict(rest), **moved})] = value
    return Loose(elements=tuple(entry[2] for entry in found), moved=tuple(moved.items()), rest=tuple(rest))


def _parse(text: str) -> etree._Element | None:
    """The element, if `keep` would have written the text so."""
    if not text.startswith("<") or text.startswith("<!") or len(text) > _MOST_BYTES:
        return None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        element = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return element if keep(element) == text else None


def default_name(index: int) -> str:
    """What DETER's reference library calls a node's interface that has no name."""
    return f"inf{index:03d}"
