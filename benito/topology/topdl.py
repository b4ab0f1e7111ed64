"""Reads TopDL 1, DETER's XML for topologies, as tolerantly as its real files need.

Units and meanings are those of DETER's reference library: rates in kb/s, latencies in ms; a substrate's latency is one
leg, node to medium, so that the way from node to node takes twice as long.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lxml import etree

from benito.model import CLEAR, Shaping, half_loss
from benito.topology.draft import Draft, DraftLan, DraftMember, DraftNode
from benito.topology.findings import Findings, nearest
from benito.topology.limits import ReadLimits
from benito.topology.quantities import Rejection, address, decimal, mac_address, prefix_length
from benito.topology.source import syntax_error
from benito.topology.xmltree import read_tree

_NAMESPACE = "http://www.isi.edu/topdl"
_COMMON = frozenset({"localname", "status", "service", "operation"})
_CHILDREN: Mapping[str, frozenset[str]] = {
    "experiment": frozenset({"version", "substrates", "elements", "attribute"}),
    "substrates": frozenset({"name", "capacity", "latency", "attribute"}) | _COMMON,
    "elements": frozenset({"computer", "testbed", "segment", "other"}),
    "computer": frozenset({"name", "cpu", "os", "software", "storage", "interface", "attribute"}) | _COMMON,
    "interface": frozenset({"substrate", "name", "capacity", "latency", "attribute"}),
    "attribute": frozenset({"attribute", "value"}),
    "capacity": frozenset({"rate", "kind"}),
    "latency": frozenset({"time", "kind"}),
    "os": frozenset({"name", "version", "distribution", "distributionversion", "attribute"}),
    "software": frozenset({"location", "install", "attribute"}),
}
_VERSION_2 = frozenset({"region", "fragments", "namemaps"})
_KINDS = frozenset({"max", "average"})
_FAILURE_ACTIONS = ("fatal", "nonfatal", "ignore")
_MOST_COMMAND_BYTES = 32768

T = TypeVar("T")


def read_topdl(path: Path, limits: ReadLimits, findings: Findings) -> Draft:
    """The draft of a TopDL file; errors of meaning are in `findings`. Raises TopologySyntaxError."""
    root = read_tree(path, limits)
    version_2 = next((element for element in root.iter("{*}region", "{*}fragments", "{*}namemaps")), None)
    if version_2 is not None:
        raise syntax_error(
            path,
            "this is TopDL 2 with regions, which cannot be read yet",
            line=version_2.sourceline,
            hint="expand the regions and save it as TopDL 1",
        )
    return _Reader(path, findings).read(root)


def _tag(element: etree._Element) -> str:
    return etree.QName(element).localname


def _text(element: etree._Element | None) -> str:
    return "" if element is None or element.text is None else element.text.strip()


class _Reader:
    """One file: its draft, its findings and its substrates by name."""

    def __init__(self, path: Path, findings: Findings) -> None:
        self.draft = Draft(source=str(path))
        self.findings = findings
        self.substrates: dict[str, DraftLan] = {}
        self.halves: dict[str, Shaping] = {}

    def read(self, root: etree._Element) -> Draft:
        """Substrates first: interfaces name them, and files have them in any order."""
        parts = self.children(root, "experiment")
        if not parts.get("substrates") and not parts.get("elements"):
            self.findings.error(
                f"<{_tag(root)[:80]}> has neither substrates nor elements", line=root.sourceline, hint="is it TopDL?"
            )
            return self.draft
        for element in parts.get("substrates", ()):
            self.substrate(element)
        for element in parts.get("elements", ()):
            for kind, found in self.children(element, "elements").items():
                for child in found:
                    if kind == "computer":
                        self.computer(child)
                    else:
                        self.findings.warning(f"a {kind} is left out", line=child.sourceline)
        self.finish_lans()
        return self.draft

    def children(self, element: etree._Element, kind: str) -> dict[str, list[etree._Element]]:
        """The element's children by name; those that TopDL does not have are errors."""
        known = _CHILDREN[kind]
        found: dict[str, list[etree._Element]] = {}
        for child in element:
            name = etree.QName(child)
            if name.localname in known and name.namespace in (None, _NAMESPACE):
                found.setdefault(name.localname, []).append(child)
            else:
                self.findings.error(
                    f"TopDL has no <{name.localname[:80]}> in <{_tag(element)[:80]}>",
                    line=child.sourceline,
                    hint=None if self.findings.is_full else nearest(name.localname, known),
                )
        return found

    def single(self, found: Mapping[str, Sequence[etree._Element]], name: str) -> etree._Element | None:
        """The one child of that name; a second one is an error."""
        elements = found.get(name, ())
        if len(elements) > 1:
            self.findings.error(f"a second <{name}>", line=elements[1].sourceline, hint="there may be one only")
        return elements[0] if elements else None

    def value(
        self, read: Callable[[str], T], text: str, otherwise: T, element: etree._Element, who: str, what: str
    ) -> T:
        """A value, or an error and another value."""
        try:
            return read(text)
        except Rejection as rejection:
            self.findings.error(
                f"{what}: {rejection.message}", line=element.sourceline, element=who, hint=rejection.hint
            )
            return otherwise

    def attributes(self, found: Mapping[str, Sequence[etree._Element]], who: str) -> dict[str, tuple[str, int | None]]:
        """Values and lines by name; the first of a name counts, as in DETER's library."""
        values: dict[str, tuple[str, int | None]] = {}
        for element in found.get("attribute", ()):
            parts = self.children(element, "attribute")
            key, value = _text(self.single(parts, "attribute")), _text(self.single(parts, "value"))
            if not key:
                self.findings.error("an attribute without a name", line=element.sourceline, element=who)
            elif key in values:
                self.findings.warning(
                    f"{key[:80]} is set already; the first value counts", line=element.sourceline, element=who
                )
            else:
                values[key] = (value, element.sourceline)
        return values

    def half(self, found: Mapping[str, Sequence[etree._Element]], half: Shaping, who: str) -> Shaping:
        """`half` with what <capacity> and <latency> say."""
        capacity, latency = self.single(found, "capacity"), self.single(found, "latency")
        if capacity is not None:
            rate = self.quantity(capacity, "capacity", "rate", who, least="1", most="1000000000", what="a rate in kb/s")
            if rate is not None:
                half = replace(half, rate_kbps=int(rate))
        if latency is not None:
            time = self.quantity(latency, "latency", "time", who, least="0", most="3600000", what="a time in ms")
            if time is not None:
                half = replace(half, delay_us=round(time * 1000))
        return half

    def quantity(
        self, element: etree._Element, kind: str, name: str, who: str, *, least: str, most: str, what: str
    ) -> float | None:
        """The number in a <capacity> or <latency>."""
        parts = self.children(element, kind)
        number = self.single(parts, name)
        word = _text(self.single(parts, "kind"))
        if word and word not in _KINDS:
            self.findings.warn_once(
                f"{kind} has the kind {word[:80]}, which TopDL has not; it is read as max",
                line=element.sourceline,
                hint="max or average",
            )
        if number is None:
            self.findings.error(f"<{kind}> without <{name}>", line=element.sourceline, element=who)
            return None

        def read(text: str) -> float | None:
            return float(decimal(text, least=least, most=most, what=what))

        return self.value(read, _text(number), None, number, who, name)

    def loss(self, values: Mapping[str, tuple[str, int | None]], who: str) -> float | None:
        """The attribute `loss`, from 0 to 1."""
        if "loss" not in values:
            return None
        text, line = values["loss"]
        try:
            return float(decimal(text, least="0", most="1", what="a loss ratio"))
        except Rejection as rejection:
            self.findings.error(f"loss: {rejection.message}", line=line, element=who, hint=rejection.hint)
            return None

    def substrate(self, element: etree._Element) -> None:
        """A <substrates>: one link or LAN."""
        found = self.children(element, "substrates")
        name = _text(self.single(found, "name"))
        lan = DraftLan(name=name, line=element.sourceline)
        half = self.half(found, CLEAR, name)
        loss = self.loss(self.attributes(found, name), name)
        if loss is not None:
            half = replace(half, loss_ratio=half_loss(loss))
        self.draft.lans.append(lan)
        # The check of names reports the second of two; interfaces go to the first.
        self.substrates.setdefault(name, lan)
        self.halves.setdefault(name, half)

    def computer(self, element: etree._Element) -> None:
        """A <computer>: one node."""
        found = self.children(element, "computer")
        node = DraftNode(name=_text(self.single(found, "name")), line=element.sourceline)
        self.draft.nodes.append(node)
        for key, (value, line) in self.attributes(found, node.name).items():
            match key:
                case "startup":
                    self.start_command(node, value, line)
                case "type":
                    node.hardware = value
                case "failureaction" if value in _FAILURE_ACTIONS:
                    node.failure_action = value
                case "failureaction":
                    self.findings.error(
                        f"failureaction: {value[:80]!r} is no such action.",
                        line=line,
                        element=node.name,
                        hint="fatal, nonfatal or ignore",
                    )
                case _:
                    node.add_attribute(key, value, line)
        system = self.single(found, "os")
        if system is not None:
            values = self.attributes(self.children(system, "os"), node.name)
            if "osid" in values:
                node.os = values["osid"][0] or None
        for software in found.get("software", ()):
            self.software(node, software)
        seen: set[str] = set()
        for interface in found.get("interface", ()):
            self.interface(node, interface, seen)

    def start_command(self, node: DraftNode, value: str, line: int | None) -> None:
        """The attribute `startup`."""
        if len(value.encode()) > _MOST_COMMAND_BYTES:
            self.findings.error(
                f"the start command is longer than {_MOST_COMMAND_BYTES >> 10} KiB", line=line, element=node.name
            )
        elif value:
            node.start_command = value

    def software(self, node: DraftNode, element: etree._Element) -> None:
        """With <install> a tar file, without it an RPM."""
        parts = self.children(element, "software")
        location = _text(self.single(parts, "location"))
        install = _text(self.single(parts, "install"))
        if not location:
            self.findings.error("<software> without <location>", line=element.sourceline, element=node.name)
        elif install:
            node.tarfiles.append((install, location))
        else:
            before = node.attributes.get("tb-set-node-rpms")
            node.attributes["tb-set-node-rpms"] = f"{before} {location}" if before else location

    def interface(self, node: DraftNode, element: etree._Element, seen: set[str]) -> None:
        """An <interface>: what it says of capacity and latency holds for its own halves."""
        found = self.children(element, "interface")
        name = _text(self.single(found, "name"))
        if name and name in seen:
            self.findings.error(f"a second interface {name[:80]}", line=element.sourceline, element=node.name)
        seen.add(name)
        places = found.get("substrate", ())
        if len(places) != 1:
            problem = "is on no substrate" if not places else "is on several substrates"
            self.findings.error(
                f"the interface {name[:80]} {problem}",
                line=element.sourceline,
                element=node.name,
                hint="give it one <substrate>",
            )
            return
        wanted = _text(places[0])
        lan = self.substrates.get(wanted)
        if lan is None:
            self.findings.error(
                f"No such substrate {wanted[:80]!r} for {name[:80] or 'an interface'}",
                line=places[0].sourceline,
                element=node.name,
                hint=None if self.findings.is_full else nearest(wanted, list(self.substrates)[:2000]),
            )
            return
        half = self.half(found, self.halves[wanted], node.name)
        values = self.attributes(found, node.name)
        loss = self.loss(values, node.name)
        if loss is not None:
            half = replace(half, loss_ratio=loss)
        member = lan.attach(node, half, line=element.sourceline)
        self.addresses(member, values, element)

    def addresses(
        self, member: DraftMember, values: Mapping[str, tuple[str, int | None]], element: etree._Element
    ) -> None:
        """The attributes that give an interface its address, netmask and MAC."""
        who, lan = member.node.name, member.lan
        if "ip4_address" in values:
            member.address = self.value(address, values["ip4_address"][0], None, element, who, "ip4_address")
        if "ip4_netmask" in values:
            length = self.value(prefix_length, values["ip4_netmask"][0], None, element, who, "ip4_netmask")
            if length is not None and lan.prefix_length not in (None, length):
                self.findings.error(
                    f"ip4_netmask: {lan.name} has another netmask, /{lan.prefix_length}",
                    line=element.sourceline,
                    element=who,
                )
            elif length is not None:
                lan.prefix_length = length
        for key in ("containers:mac_address", "benito:mac_address"):
            if key in values and member.mac is None:
                member.mac = self.value(mac_address, values[key][0], None, element, who, key)

    def finish_lans(self) -> None:
        """Substrates with one interface are in real files: they are LANs of one member."""
        for lan in self.draft.lans:
            lan.is_link = len(lan.members) == 2
            if len(lan.members) == 1:
                self.findings.warning("only one interface is on this substrate", line=lan.line, element=lan.name)
            elif not lan.members and self.substrates.get(lan.name) is lan:
                self.findings.warning(
                    "no interface is on this substrate, so it is left out", line=lan.line, element=lan.name
                )
        empty = [lan for lan in self.draft.lans if not lan.members and self.substrates.get(lan.name) is lan]
        self.draft.lans = [lan for lan in self.draft.lans if lan not in empty]
