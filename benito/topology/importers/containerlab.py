"""Reads containerlab's lab files (`*.clab.yml`): nodes, links and bridges, with the addresses that a lab gives.

A node inherits from its group, its kind and the defaults, in that order. Nodes of the kind `bridge` and `ovs-bridge`
become LANs. What a lab says of container images and of the machine under it is left out, and said.
"""

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

import yaml

from benito.model import Lan, Member, Node, Topology, network_of
from benito.topology.edit import with_attributes
from benito.topology.findings import Findings, nearest
from benito.topology.importers.naming import Namer
from benito.topology.importers.tally import Tally
from benito.topology.importers.yamltree import YamlFile, line_of
from benito.topology.limits import ReadLimits
from benito.topology.quantities import Rejection, mac_address

_BRIDGES = frozenset({"bridge", "ovs-bridge"})
#: What stands in a node's place in an endpoint, but leads out of the lab.
_OUTSIDE = frozenset({"host", "mgmt-net", "macvlan", "vxlan", "vxlan-stitch", "dummy"})
_KEPT = frozenset({"kind", "group", "image", "exec", "memory", "cpu"})
_MEMORY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*([kmgt]?)i?b?", re.IGNORECASE | re.ASCII)
_MIB = {"": 1 / (1 << 20), "k": 1 / 1024, "m": 1, "g": 1024, "t": 1 << 20}


@dataclass(slots=True, kw_only=True)
class _End:
    node: str
    interface: str
    line: int
    mac: str | None = None
    address: IPv4Interface | None = None


@dataclass(slots=True, kw_only=True)
class _Box:
    """A node of the lab: its settings with what it inherits, and its interfaces' addresses."""

    name: str
    line: int
    kind: str
    settings: Mapping[str, yaml.Node]
    addresses: dict[str, IPv4Interface]
    commands: list[str]


def read_containerlab(path: Path, limits: ReadLimits, findings: Findings) -> Topology:
    """The topology of a lab; what was changed or left out is said in `findings`. Raises TopologySyntaxError."""
    return _Reader(path, limits, findings).read()


class _Reader:
    """One lab."""

    def __init__(self, path: Path, limits: ReadLimits, findings: Findings) -> None:
        self.path, self.findings = path, findings
        self.file = YamlFile(path, limits, findings)
        self.boxes: dict[str, _Box] = {}
        self.tally = Tally()
        self.used: dict[tuple[str, str], int] = {}

    def read(self) -> Topology:
        """Nodes first: links name them."""
        lab = self.file.mapping(self.file.root, "the file")
        empty = Topology(source=str(self.path), nodes=(), lans=())
        if "topology" not in lab:
            self.findings.error("there is no `topology`", line=1, hint="is it a containerlab file?")
            return empty
        parts = self.file.mapping(lab["topology"], "topology")
        for key, value in parts.items():
            if key not in ("defaults", "kinds", "groups", "nodes", "links"):
                self.leave(f"topology has {key}, which", line_of(value))
        for name, value in self.file.mapping(parts.get("nodes"), "nodes").items():
            self.read_node(name, value, parts)
        links = [ends for node in self.file.sequence(parts.get("links"), "links") if (ends := self.read_link(node))]
        topology = self.topology(links)
        self.tally.say(self.findings)
        return topology

    def leave(self, what: str, line: int) -> None:
        """Something that cannot be carried over; said once, with how often."""
        self.tally.add(f"{what} is left out", line=line)

    def read_node(self, name: str, value: yaml.Node, parts: Mapping[str, yaml.Node]) -> None:
        """A node with what its group, its kind and the defaults say."""
        own = self.file.mapping(value, name)
        defaults = self.file.mapping(parts.get("defaults"), "defaults")
        groups = self.file.mapping(parts.get("groups"), "groups")
        kinds = self.file.mapping(parts.get("kinds"), "kinds")
        group_name = self.file.text({**defaults, **own}.get("group"), f"{name}: group")
        group = self.file.mapping(groups.get(group_name or ""), f"group {group_name}")
        kind = self.file.text({**defaults, **group, **own}.get("kind"), f"{name}: kind") or "linux"
        settings = {**defaults, **self.file.mapping(kinds.get(kind), f"kind {kind}"), **group, **own}
        box = _Box(name=name, line=line_of(value), kind=kind, settings=settings, addresses={}, commands=[])
        self.boxes[name] = box
        if kind in _OUTSIDE:
            self.leave(f"the kind {kind} is no node of the lab; {name}", line_of(value))
            return
        for key, setting in settings.items():
            if key not in _KEPT:
                self.leave(key, line_of(setting))
        for item in self.file.sequence(settings.get("exec"), f"{name}: exec"):
            command = self.file.text(item, f"{name}: exec")
            if command is not None:
                self.read_command(box, command)

    def read_command(self, box: _Box, command: str) -> None:
        """`ip address add A/P dev IF` gives an address; other commands are kept for later."""
        try:
            words = shlex.split(command)
        except ValueError:
            words = []
        match words:
            case ["ip", ("a" | "addr" | "address"), ("add" | "replace"), address, "dev", interface]:
                if (found := _interface(address)) is not None:
                    box.addresses[interface] = found
                    return
            case ["ip", ("l" | "link"), "set", *_] if words[-1] == "up":
                return
        box.commands.append(command)

    def read_link(self, node: yaml.Node) -> list[_End]:
        """The ends of a link that joins nodes of the lab; none for one that leads out of it."""
        link = self.file.mapping(node, "a link")
        kind = self.file.text(link.get("type"), "type") or "veth"
        for key in link:
            if key in ("mtu", "vars", "labels", "ipv6"):
                self.leave(f"a link's {key}", line_of(link[key]))
        if kind != "veth":
            self.leave(f"a link of the type {kind}", line_of(node))
            return []
        given = [self.file.text(one, "ipv4") for one in self.file.sequence(link.get("ipv4"), "ipv4")]
        found = list(self.file.sequence(link.get("endpoints"), "endpoints"))
        ends = [self.read_end(end) for end in found]
        if len(found) != 2:
            self.findings.error("a link has two endpoints", line=line_of(node), hint='endpoints: ["a:eth1", "b:eth1"]')
            return []
        known = [end for end in ends if end is not None]
        for end, address in zip(ends, given, strict=False):
            if end is not None and address:
                end.address = _interface(address)
        return known if len(known) == 2 and self.is_inside(known) else []

    def read_end(self, node: yaml.Node) -> _End | None:
        """`NODE:INTERFACE`, or the same as a mapping."""
        if isinstance(node, yaml.MappingNode):
            parts = self.file.mapping(node, "an endpoint")
            name = self.file.text(parts.get("node"), "node") or ""
            interface = self.file.text(parts.get("interface"), "interface") or ""
            end = _End(node=name, interface=interface, line=line_of(node))
            mac = self.file.text(parts.get("mac"), "mac")
            if mac is not None:
                try:
                    end.mac = mac_address(mac)
                except Rejection as rejection:
                    self.findings.error(rejection.message, line=line_of(node), element=name, hint=rejection.hint)
            end.address = _interface(self.file.text(parts.get("ipv4"), "ipv4") or "")
        else:
            name, _, interface = (self.file.text(node, "an endpoint") or "").partition(":")
            end = _End(node=name, interface=interface, line=line_of(node))
        if end.node in self.boxes or end.node in _OUTSIDE:
            if end.interface or end.node == "dummy":
                return end
            self.findings.error(
                "an endpoint without an interface", line=end.line, element=end.node, hint="NODE:INTERFACE"
            )
            return None
        hint = None if self.findings.is_full else nearest(end.node, list(self.boxes)[:2000])
        self.findings.error(f"there is no node {end.node[:80]!r}", line=end.line, hint=hint)
        return None

    def is_inside(self, ends: Sequence[_End]) -> bool:
        """Whether both ends are nodes of the lab, and their interfaces free."""
        for end in ends:
            kind = end.node if end.node not in self.boxes else self.boxes[end.node].kind
            if kind in _OUTSIDE:
                self.leave(f"a link to {kind}", end.line)
                return False
        for end in ends:
            before = self.used.setdefault((end.node, end.interface), end.line)
            if before != end.line and self.boxes[end.node].kind not in _BRIDGES:
                self.findings.error(
                    f"{end.interface[:80]} is on two links (line {before})", line=end.line, element=end.node
                )
        if ends[0].node == ends[1].node:
            self.leave("a link of a node with itself", ends[0].line)
            return False
        return True

    def topology(self, links: Sequence[Sequence[_End]]) -> Topology:
        """Nodes under names that fit, links in the file's order, then the bridges as LANs."""
        names, lan_names = Namer(), Namer()
        called: dict[str, str] = {}
        bridges: dict[str, list[_End]] = {}
        for box in self.boxes.values():
            if box.kind in _BRIDGES:
                bridges[box.name] = []
            elif box.kind not in _OUTSIDE:
                called[box.name] = names.give(box.name, "n")
                lan_names.give(called[box.name], "n")
                if called[box.name] != box.name:
                    self.findings.warning(f"is called {called[box.name]}", line=box.line, element=box.name)
        lans: list[tuple[str, int, Sequence[_End]]] = []
        for ends in links:
            inner = [end for end in ends if end.node in bridges]
            if len(inner) == 2:
                self.leave("a link between two bridges", ends[0].line)
            elif inner:
                bridges[inner[0].node] += [end for end in ends if end.node not in bridges]
            else:
                lans.append((lan_names.give(f"link-{len(lans)}", "link"), ends[0].line, ends))
        for name, ends in bridges.items():
            if ends:
                lans.append((lan_names.give(name, "lan"), self.boxes[name].line, ends))
        ports: dict[str, list[str]] = defaultdict(list)
        made = tuple(self.lan(name, line, ends, called, ports) for name, line, ends in lans)
        nodes = tuple(self.node(self.boxes[old], new, ports[old]) for old, new in called.items())
        return Topology(source=str(self.path), nodes=nodes, lans=made)

    def lan(
        self, name: str, line: int, ends: Sequence[_End], called: Mapping[str, str], ports: dict[str, list[str]]
    ) -> Lan:
        """A link or a bridge, with the addresses of its ends where they make one subnet."""
        addresses = [end.address or self.boxes[end.node].addresses.get(end.interface) for end in ends]
        given = [address for address in addresses if address is not None]
        lengths = {address.network.prefixlen for address in given}
        length = next(iter(lengths)) if len(lengths) == 1 else None
        fits = length is not None and 16 <= length <= 30 and len({network_of(a.ip, length) for a in given}) == 1
        if given and (not fits or len({address.ip for address in given}) != len(given)):
            self.findings.warning(
                f"the addresses {', '.join(map(str, given))} do not make one subnet of /16 to /30; they are left out",
                line=line,
                element=name,
            )
            addresses, length = [None] * len(ends), None
        members = []
        for end, address in zip(ends, addresses, strict=True):
            members.append(
                Member(
                    node=called[end.node],
                    port=len(ports[end.node]),
                    address=None if address is None else address.ip,
                    mac=end.mac,
                )
            )
            ports[end.node].append(end.interface)
        return Lan(
            name=name,
            members=tuple(members),
            is_link=len(members) == 2,
            prefix_length=length if given else None,
            line=line,
        )

    def node(self, box: _Box, name: str, interfaces: Sequence[str]) -> Node:
        """A node; commands that name an interface are left out, for interfaces have other names here."""
        attributes = [("containerlab:kind", box.kind)]
        image = self.file.text(box.settings.get("image"), f"{box.name}: image")
        if image:
            attributes.append(("containerlab:image", image))
        memory = self.memory_mib(box)
        if memory is not None:
            attributes.append(("benito:memory", str(memory)))
        cpu = self.file.text(box.settings.get("cpu"), f"{box.name}: cpu")
        if cpu is not None and cpu.isascii() and cpu.isdecimal() and 1 <= int(cpu[:5]) <= 4096:
            attributes.append(("benito:vcpus", str(int(cpu[:5]))))
        elif cpu is not None:
            self.leave("a part of a CPU", line_of(box.settings["cpu"]))
        kept = []
        for command in box.commands:
            if any(re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", command) for one in (*interfaces, "eth0")):
                what = "a command that names an interface (interfaces are eth0, eth1 ... here)"
                self.leave(what, line_of(box.settings["exec"]))
            elif command.isprintable():
                kept.append(command)
            else:
                self.leave("a command of several lines", line_of(box.settings["exec"]))
        made = with_attributes(Node(name=name, line=box.line), attributes)
        return Node(
            name=name,
            line=box.line,
            attributes=made.attributes,
            memory_mib=made.memory_mib,
            vcpus=made.vcpus,
            start_command="; ".join(kept) or None,
        )

    def memory_mib(self, box: _Box) -> int | None:
        """`2Gb`, `512MiB`: mebibytes, as containerlab hands them to the container runtime."""
        word = self.file.text(box.settings.get("memory"), f"{box.name}: memory")
        if word is None:
            return None
        found = _MEMORY.fullmatch(word.strip())
        size = round(float(found[1]) * _MIB[found[2].lower()]) if found else 0
        if not 1 <= size <= 16 << 20:
            self.leave(f"memory of {word[:40]}", line_of(box.settings["memory"]))
            return None
        return size


def _interface(text: str) -> IPv4Interface | None:
    try:
        return IPv4Interface(text) if "/" in text else None
    except ValueError:
        return None
