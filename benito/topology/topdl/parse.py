"""Takes TopDL 1 and 2 from the XML, by the published schemas, in any order of elements."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TypeAlias

from lxml import etree

from benito.errors import Problem, TopologySyntaxError
from benito.topology import kept
from benito.topology.findings import MOST_LISTED, Findings
from benito.topology.limits import ReadLimits
from benito.topology.source import syntax_error
from benito.topology.topdl.raw import (
    Attributes,
    RawComputer,
    RawFile,
    RawFragment,
    RawInterface,
    RawQuantity,
    RawRegion,
    RawSoftware,
    RawSubstrate,
    RawTopology,
)
from benito.topology.xmltree import XmlDocument

_NAMESPACE = "{http://www.isi.edu/topdl}"
_COMMON = frozenset(kept.COMMON)
_OTHERS = frozenset(kept.OTHERS)
_PIECES = frozenset({"substrates", "elements", "fragments", "namemaps"})
_MAP = frozenset({"inner", "outer"})
_CHILDREN: Mapping[str, frozenset[str]] = {
    "experiment": _PIECES | {"version", "attribute"},
    "substrates": frozenset({"name", "capacity", "latency", "attribute"}) | _COMMON,
    "elements": frozenset({"computer", "region"}) | _OTHERS,
    "computer": frozenset({"name", "cpu", "os", "software", "storage", "interface", "attribute"}) | _COMMON,
    "interface": frozenset({"substrate", "name", "capacity", "latency", "attribute"}),
    "attribute": frozenset({"attribute", "value"}),
    "capacity": frozenset({"rate", "kind"}),
    "latency": frozenset({"time", "kind"}),
    "os": frozenset({"name", "version", "distribution", "distributionversion", "attribute"}),
    "software": frozenset({"location", "install", "attribute"}),
    "region": frozenset({"name", "interface", "attribute", "level", "fragname"}),
    "fragments": frozenset({"name", "topology", "ifmap", "attribute"}),
    "topology": frozenset({"substrates", "elements"}),
    "ifmap": _MAP,
    "namemaps": frozenset({"pathname", "namemap", "attribute"}),
    "namemap": _MAP,
}
#: XML attributes that mean something, or nothing that TopDL would care for.
_KNOWN_ATTRIBUTES = frozenset({"count"})

_Children: TypeAlias = "dict[str, list[etree._Element]]"  # noqa: SLF001 - the name that lxml gives its type


def parse(document: XmlDocument, findings: Findings, limits: ReadLimits) -> RawFile:
    """The file as it stands; what is out of place goes to `findings`.

    Raises TopologySyntaxError where it cannot be read, has too many parts, or more errors than anybody wants to see.
    """
    return _Parser(document, findings, limits).parse()


@cache
def _name(tag: str) -> str:
    """The local name of TopDL's elements, with or without their namespace; others keep theirs."""
    return tag.removeprefix(_NAMESPACE)


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _pair(element: etree._Element, first: str, second: str) -> tuple[str, str] | None:
    """The texts of two children that stand alone and in order, as nearly all do; None for the long way."""
    if len(element) != 2:
        return None
    one, other = element
    if one.tag != first or other.tag != second:
        return None
    return (one.text or "").strip(), (other.text or "").strip()


def _text(element: etree._Element | None) -> str:
    text = None if element is None else element.text
    return "" if text is None else text.strip()


class _Parser:
    def __init__(self, document: XmlDocument, findings: Findings, limits: ReadLimits) -> None:
        self.document = document
        self.findings = findings
        self.limits = limits
        self.file = RawFile()
        self.counts = dict.fromkeys(("nodes", "interfaces", "substrates", "errors"), 0)

    def parse(self) -> RawFile:
        """Piece by piece; what is not a piece stands in the root afterwards."""
        file, found = self.file, False
        for piece in self.document.pieces(_PIECES):
            match _name(str(piece.tag)):
                case "substrates":
                    file.topology.substrates.append(self.substrate(piece))
                case "elements":
                    self.elements(piece, file.topology, file.kept)
                case "fragments":
                    self.fragment(piece)
                case "namemaps":
                    self.name_map(piece)
                case _:
                    self.unknown(piece, "experiment")
                    continue
            found = True
        root = self.document.root
        if root is None:
            return file
        if not found:
            self.error(f"<{_local(root)[:80]}> has neither substrates nor elements", root, hint="is it TopDL?")
        else:
            file.attributes = self.attributes(self.children(root, "experiment"), None)
        for name, line in self.document.attributed.items():
            if name not in _KNOWN_ATTRIBUTES:
                self.findings.warning(
                    f"the XML attribute {name[:80]} has no effect",
                    line=line,
                    hint="TopDL's attributes are elements: <attribute><attribute>NAME</attribute><value>...",
                )
        return file

    # --- limits -------------------------------------------------------------------------------------------------------

    def error(self, message: str, element: etree._Element, who: str | None = None, hint: str | None = None) -> None:
        """Notes an error; gives up when nobody will read the next."""
        line = self.document.line(element)
        self.counts["errors"] += 1
        if self.counts["errors"] > MOST_LISTED:
            raise TopologySyntaxError(
                [
                    *self.findings.errors,
                    Problem(message="the file is read no further", file=self.findings.file, line=line),
                ]
            )
        self.findings.error(message, line=line, element=who, hint=hint)

    def count(self, what: str, most: int, element: etree._Element) -> None:
        """Gives up on a file of too many parts before it fills the memory."""
        self.counts[what] += 1
        if self.counts[what] > most:
            raise syntax_error(
                self.document.path, f"the file has more than {most} {what}", line=self.document.line(element)
            )

    # --- elements in general ------------------------------------------------------------------------------------------

    def children(self, element: etree._Element, kind: str) -> _Children:
        """The element's children by name; those that TopDL does not have are errors."""
        known = _CHILDREN[kind]
        found: _Children = {}
        for child in element:
            name = _name(str(child.tag))
            if name not in known:
                self.unknown(child, kind)
            elif name in found:
                found[name].append(child)
            else:
                found[name] = [child]
        return found

    def unknown(self, element: etree._Element, kind: str) -> None:
        """Something that has no place in an element of that kind."""
        parent = element.getparent()
        place = kind if parent is None else _local(parent)
        hint = self.findings.propose(_local(element), _CHILDREN[kind])
        self.error(f"TopDL has no <{_local(element)[:80]}> in <{place[:80]}>", element, hint=hint)

    def single(self, found: _Children, name: str) -> etree._Element | None:
        """The one child of that name; a second one is an error."""
        elements = found.get(name)
        if elements is None:
            return None
        if len(elements) > 1:
            self.error(f"a second <{name}>", elements[1], hint="there may be one only")
        return elements[0]

    def text(self, found: _Children, name: str) -> str:
        """The text of the one child of that name."""
        return _text(self.single(found, name))

    def attributes(self, found: _Children, who: str | None) -> Attributes:
        """Values and lines by name; the first of a name counts, as in DETER's library."""
        values: Attributes = {}
        for element in found.get("attribute", ()):
            pair = _pair(element, "attribute", "value")
            if pair is None:
                parts = self.children(element, "attribute")
                pair = self.text(parts, "attribute"), self.text(parts, "value")
            key, value = pair
            line = self.document.line(element)
            if not key:
                self.error("an attribute without a name", element, who)
            elif key in values:
                self.findings.warning(f"{key[:80]} is set already; the first value counts", line=line, element=who)
            else:
                values[key] = (value, line)
        return values

    def quantity(self, found: _Children, name: str, number: str, who: str) -> RawQuantity | None:
        """A <capacity> or <latency>."""
        element = self.single(found, name)
        if element is None:
            return None
        pair = _pair(element, number, "kind")
        if pair is not None:
            return RawQuantity(number=pair[0], kind=pair[1], line=self.document.line(element[0]))
        parts = self.children(element, name)
        if number not in parts:
            self.error(f"<{name}> without <{number}>", element, who)
            return None
        return RawQuantity(
            number=self.text(parts, number), kind=self.text(parts, "kind"), line=self.document.line(parts[number][0])
        )

    def keep(self, found: _Children, names: Sequence[str], into: dict[str, str]) -> None:
        """Keeps children that the model has no fields for."""
        for name in names:
            for element in found.get(name, ()):
                self.keep_one(element, name, into)

    def keep_one(self, element: etree._Element, name: str, into: dict[str, str]) -> None:
        """Keeps one element."""
        text = kept.keep(element)
        if text is not None:
            into[kept.key_of(name, into)] = text
        elif len(element) or element.text:
            self.findings.warning(f"a <{name}> is left out", line=self.document.line(element))

    # --- the parts of a topology --------------------------------------------------------------------------------------

    def substrate(self, element: etree._Element) -> RawSubstrate:
        """A <substrates>: one link or LAN."""
        self.count("substrates", self.limits.interfaces, element)
        found = self.children(element, "substrates")
        name = self.text(found, "name")
        attributes = self.attributes(found, name)
        others: dict[str, str] = {}
        self.keep(found, kept.COMMON, others)
        return RawSubstrate(
            name=name,
            attributes=attributes,
            capacity=self.quantity(found, "capacity", "rate", name),
            latency=self.quantity(found, "latency", "time", name),
            kept=others,
            line=self.document.line(element),
        )

    def elements(self, element: etree._Element, topology: RawTopology, others: dict[str, str]) -> None:
        """An <elements>: one element by the schema; several are taken too."""
        for child in element:
            name = _name(str(child.tag))
            if name == "computer":
                topology.elements.append(self.computer(child))
            elif name == "region":
                topology.elements.append(self.region(child))
            elif name in _OTHERS:
                self.findings.warning(f"a {name} is not made", line=self.document.line(child), hint="it is kept")
                self.keep_one(child, name, others)
            else:
                self.unknown(child, "elements")

    def computer(self, element: etree._Element) -> RawComputer:
        """A <computer>: one node."""
        self.count("nodes", self.limits.nodes, element)
        found = self.children(element, "computer")
        name = self.text(found, "name")
        attributes = self.attributes(found, name)
        others: dict[str, str] = {}
        self.keep(found, ("cpu",), others)
        osid = self.systems(found.get("os", []), name, others)
        self.keep(found, ("storage", *kept.COMMON), others)
        return RawComputer(
            name=name,
            attributes=attributes,
            interfaces=[self.interface(child, name) for child in found.get("interface", ())],
            software=[self.software(child) for child in found.get("software", ())],
            osid=osid,
            kept=others,
            line=self.document.line(element),
        )

    def systems(self, elements: list[etree._Element], who: str, others: dict[str, str]) -> str | None:
        """The <os> of a computer: the first attribute `osid` is the system, all else is kept."""
        osid: str | None = None
        for element in elements:
            found = self.children(element, "os")
            attributes = self.attributes(found, who)
            if osid is None and "osid" in attributes:
                osid = attributes["osid"][0]
                for child in found["attribute"]:
                    if _text(child.find("{*}attribute")) == "osid":
                        element.remove(child)
            self.keep_one(element, "os", others)
        return osid or None

    def software(self, element: etree._Element) -> RawSoftware:
        """A <software>."""
        found = self.children(element, "software")
        line = self.document.line(element)
        if "attribute" in found:
            self.findings.warn_once("attributes of <software> have no effect", line=line)
        return RawSoftware(location=self.text(found, "location"), install=self.text(found, "install"), line=line)

    def interface(self, element: etree._Element, who: str) -> RawInterface:
        """An <interface>."""
        self.count("interfaces", self.limits.interfaces, element)
        found = self.children(element, "interface")
        return RawInterface(
            name=self.text(found, "name"),
            substrates=[(_text(place), self.document.line(place)) for place in found.get("substrate", ())],
            attributes=self.attributes(found, who) if "attribute" in found else {},
            capacity=self.quantity(found, "capacity", "rate", who) if "capacity" in found else None,
            latency=self.quantity(found, "latency", "time", who) if "latency" in found else None,
            line=self.document.line(element),
        )

    # --- TopDL 2 ------------------------------------------------------------------------------------------------------

    def region(self, element: etree._Element) -> RawRegion:
        """A <region>."""
        found = self.children(element, "region")
        name = self.text(found, "name")
        return RawRegion(
            name=name,
            attributes=self.attributes(found, name),
            interfaces=[self.interface(child, name) for child in found.get("interface", ())],
            level=self.text(found, "level"),
            fragment=self.text(found, "fragname"),
            line=self.document.line(element),
        )

    def fragment(self, element: etree._Element) -> None:
        """A <fragments>: what a region may stand for."""
        found = self.children(element, "fragments")
        name = self.text(found, "name")
        line = self.document.line(element)
        topology, inner = RawTopology(), self.single(found, "topology")
        if inner is None:
            self.error("a fragment without <topology>", element, name)
        else:
            parts = self.children(inner, "topology")
            topology.substrates = [self.substrate(child) for child in parts.get("substrates", ())]
            left_out: dict[str, str] = {}
            for child in parts.get("elements", ()):
                self.elements(child, topology, left_out)
        if name in self.file.fragments:
            self.error("a second fragment of that name", element, name)
        self.file.fragments.setdefault(
            name, RawFragment(name=name, topology=topology, interfaces=self.pairs(found, "ifmap"), line=line)
        )

    def name_map(self, element: etree._Element) -> None:
        """A <namemaps>: the names that a region's expansion gets."""
        found = self.children(element, "namemaps")
        names = self.file.names.setdefault(self.text(found, "pathname").rstrip("/"), {})
        for outer, inner in self.pairs(found, "namemap").items():
            names.setdefault(outer, inner)

    def pairs(self, found: _Children, name: str) -> dict[str, str]:
        """Maps of TopDL 2: <inner> by <outer>."""
        pairs: dict[str, str] = {}
        for element in found.get(name, ()):
            parts = self.children(element, name)
            outer, inner = self.text(parts, "outer"), self.text(parts, "inner")
            if not outer or not inner:
                self.error(f"<{name}> needs <inner> and <outer>", element)
            else:
                pairs.setdefault(outer, inner)
        return pairs
