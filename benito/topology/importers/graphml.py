"""Reads GraphML, the maps of the Internet Topology Zoo above all.

Their traps: labels repeat or are missing, edges are parallel or lead back to their node, maps fall into parts, and
`LinkSpeedRaw` (bit/s) stands on some edges only. A node that the Zoo marks as `hyperedge` is where one line joins
several nodes, so it becomes a LAN; so does GraphML's own <hyperedge>.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lxml import etree

from benito.model import Lan, Member, Node, Shaping, Topology, half_loss
from benito.topology.findings import Findings
from benito.topology.importers.measures import Place, line_shaping, place_of
from benito.topology.importers.naming import Namer, cleaned
from benito.topology.importers.tally import Tally
from benito.topology.limits import ReadLimits
from benito.topology.xmltree import XmlDocument

#: No element can have this name, so all of them stay in the tree.
_NOTHING = frozenset({"-"})
_NO_LABEL = frozenset({"", "none", "null", "?", "unknown"})


@dataclass(slots=True, kw_only=True)
class _Vertex:
    name: str
    place: Place | None
    line: int | None
    is_joint: bool = False


@dataclass(slots=True, kw_only=True)
class _Edge:
    ends: tuple[str, ...]
    shaping: Shaping
    line: int | None


def read_graphml(path: Path, limits: ReadLimits, findings: Findings) -> Topology:
    """The topology of a map; what was changed or left out is said in `findings`. Raises TopologySyntaxError."""
    root = _tree(path, limits)
    if _tag(root) != "graphml":
        findings.error(f"<{_tag(root)[:80]}> is not GraphML", line=root.sourceline, hint="TopDL needs no import")
        return Topology(source=str(path), nodes=(), lans=())
    return _Reader(path, findings).read(root)


def _tree(path: Path, limits: ReadLimits) -> etree._Element:
    """The whole document: edges name nodes that may stand behind them."""
    document = XmlDocument(path, limits)
    for _ in document.pieces(_NOTHING):
        pass
    assert document.root is not None  # noqa: S101 - it is there when all pieces are read
    return document.root


def _tag(element: etree._Element) -> str:
    return etree.QName(element).localname


class _Reader:
    """One map: its vertices by GraphML id, its edges, and what is said of them."""

    def __init__(self, path: Path, findings: Findings) -> None:
        self.path, self.findings, self.tally = path, findings, Tally()
        self.keys: dict[str, str] = {}
        self.defaults: dict[str, dict[str, str]] = defaultdict(dict)
        self.vertices: dict[str, _Vertex] = {}
        self.edges: list[_Edge] = []
        self.directed: set[frozenset[str]] = set()

    def read(self, root: etree._Element) -> Topology:
        """The map's graphs, nested ones too, as one topology."""
        for key in root.iterchildren("{*}key"):
            known = key.get("id") or ""
            name = self.keys[known] = key.get("attr.name") or known
            default = key.find("{*}default")
            if default is not None and default.text:
                self.defaults[key.get("for") or "all"][name] = default.text.strip()
        self.read_nodes(list(root.iter("{*}node")))
        for element in root.iter("{*}edge", "{*}hyperedge"):
            self.read_edge(element)
        topology = self.topology()
        self.tally.say(self.findings)
        parts = _parts(topology)
        if parts > 1:
            self.findings.warning(f"the map falls into {parts} parts; nodes of different parts cannot reach each other")
        return topology

    def data(self, element: etree._Element, kind: str) -> dict[str, str]:
        """What is said of an element, by the names of the keys."""
        found = {**self.defaults["all"], **self.defaults[kind]}
        for data in element.iterchildren("{*}data"):
            known = data.get("key") or ""
            name, text = self.keys.get(known, known), (data.text or "").strip()
            if not text:
                # yEd draws its labels: <data><y:ShapeNode><y:NodeLabel>.
                label = next(data.iter("{*}NodeLabel"), None)
                name, text = "label", "" if label is None else (label.text or "").strip()
            if text:
                found[name] = text
        return found

    def read_nodes(self, elements: list[etree._Element]) -> None:
        """All nodes with their names: the label where one node bears it, label and id where several do, else the id."""
        said = [self.data(element, "node") for element in elements]
        labels = [data.get("label", data.get("name", "")) for data in said]
        often = Counter(cleaned(label).casefold() for label in labels)
        namer = Namer()
        for element, data, label in zip(elements, said, labels, strict=True):
            known = element.get("id") or ""
            if known in self.vertices:
                self.findings.error(f"a second node {known[:80]!r}", line=element.sourceline)
                continue
            is_joint = data.get("hyperedge") == "1"
            name = self.name(known, label, often, namer, is_joint=is_joint)
            self.vertices[known] = _Vertex(
                name=name, place=place_of(data, name, self.tally), line=element.sourceline, is_joint=is_joint
            )

    def name(self, known: str, label: str, often: Mapping[str, int], namer: Namer, *, is_joint: bool) -> str:
        """What a node of the id `known` is called; what differs from its label is said."""
        plain, identity = cleaned(label), cleaned(known)[:12] or "x"
        if label.casefold() in _NO_LABEL or not plain:
            if is_joint:
                return namer.give(f"lan-{identity}", "lan")
            name = namer.give(f"n-{identity}" if identity[0].isdigit() else identity, "n")
            self.tally.add("nodes without a label are called by their id", name)
            return name
        if often[plain.casefold()] > 1:
            name = namer.give(f"{plain[: 31 - len(identity)].rstrip('-')}-{identity}", "n")
            self.tally.add("labels that several nodes bear are followed by the id", f"{label} as {name}")
            return name
        name = namer.give(label, "n")
        if name != label:
            self.tally.add("labels are written in letters, digits and hyphens", f"{label} as {name}")
        return name

    def read_edge(self, element: etree._Element) -> None:
        """An edge, or what several nodes share."""
        is_hyperedge = _tag(element) == "hyperedge"
        if is_hyperedge:
            ends = tuple(dict.fromkeys(end.get("node") or "" for end in element.iterchildren("{*}endpoint")))
        else:
            ends = (element.get("source") or "", element.get("target") or "")
        for end in ends:
            if end not in self.vertices:
                self.findings.error(f"an edge leads to {end[:80]!r}, which is no node", line=element.sourceline)
                return
        names = " to ".join(self.vertices[end].name for end in ends)
        if not is_hyperedge and ends[0] == ends[1]:
            self.tally.add("edges from a node to itself are left out", names, element.sourceline)
            return
        graph = element.getparent()
        default = graph.get("edgedefault") if graph is not None else None
        if not is_hyperedge and element.get("directed", "true" if default == "directed" else "false") == "true":
            if frozenset(ends) in self.directed:
                self.tally.add("directed edges that have a link already are left out", names, element.sourceline)
                return
            self.directed.add(frozenset(ends))
        places = [place for end in ends if (place := self.vertices[end].place) is not None]
        shaping = line_shaping(self.data(element, "edge"), places if len(ends) == 2 else (), self.tally)
        self.edges.append(_Edge(ends=ends, shaping=shaping, line=element.sourceline))

    def topology(self) -> Topology:
        """Nodes in the file's order, then a link for each edge, then the joints as LANs."""
        names = Namer()
        for vertex in self.vertices.values():
            names.give(vertex.name, "n")
        nodes = tuple(
            Node(name=vertex.name, line=vertex.line) for vertex in self.vertices.values() if not vertex.is_joint
        )
        drawn: list[tuple[str, int | None, list[tuple[str, Shaping]]]] = []
        for edge in self.edges:
            ends = [end for end in edge.ends if not self.vertices[end].is_joint]
            if len(ends) == len(edge.ends) and ends:
                half = _half(edge.shaping)
                drawn.append((names.give(f"link-{len(drawn)}", "link"), edge.line, [(end, half) for end in ends]))
        for first, arms in self.joints().items():
            vertex = self.vertices[first]
            self.tally.add("meeting points of several lines became LANs", vertex.name, vertex.line)
            drawn.append((vertex.name, vertex.line, list(arms.items())))
        ports: dict[str, int] = defaultdict(int)
        lans = []
        for name, line, members in drawn:
            made = []
            for end, half in members:
                made.append(Member(node=self.vertices[end].name, port=ports[end], into=half, out_of=half))
                ports[end] += 1
            if made:
                lans.append(Lan(name=name, members=tuple(made), is_link=len(made) == 2, line=line))
        return Topology(source=str(self.path), nodes=nodes, lans=tuple(lans))

    def joints(self) -> Mapping[str, dict[str, Shaping]]:
        """Meeting points with the nodes around them and the way to each; those that touch are one."""
        above = {known: known for known, vertex in self.vertices.items() if vertex.is_joint}
        for edge in self.edges:
            inner = [end for end in edge.ends if end in above]
            for end in inner[1:]:
                above[_top(above, end)] = _top(above, inner[0])
                self.tally.add("meeting points of lines that touch became one", self.vertices[end].name, edge.line)
        found: dict[str, dict[str, Shaping]] = {known: {} for known in above if above[known] == known}
        for edge in self.edges:
            inner = [end for end in edge.ends if end in above]
            for end in edge.ends:
                if inner and end not in above:
                    found[_top(above, inner[0])].setdefault(end, edge.shaping)
        return found


def _half(whole: Shaping) -> Shaping:
    """Half of a line, as Emulab's parser divides it."""
    return replace(whole, delay_us=whole.delay_us // 2, loss_ratio=half_loss(whole.loss_ratio))


def _top(above: dict[str, str], name: str) -> str:
    while above[name] != name:
        above[name] = above[above[name]]
        name = above[name]
    return name


def _parts(topology: Topology) -> int:
    """How many parts that are not connected."""
    above = {node.name: node.name for node in topology.nodes}
    for lan in topology.lans:
        members: Sequence[Member] = lan.members
        for member in members[1:]:
            above[_top(above, member.node)] = _top(above, members[0].node)
    return sum(name == top for name, top in above.items())
