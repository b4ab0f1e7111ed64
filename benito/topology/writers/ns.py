"""Writes a topology as an NS2 file that Emulab's parser reads, and Benito's, with the same meaning.

NS counts delays in whole milliseconds, and a link has one behaviour each way, not two halves. What it cannot say is
rounded or left out, with a comment in the file and a line in `NsText.losses`.
"""

import heapq
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from benito.model import Lan, Node, Routing, Topology
from benito.topology import kept
from benito.topology.writers import tcl
from benito.topology.writers.nsagents import write_agents
from benito.topology.writers.nslinks import write_lan
from benito.topology.writers.nssettings import (
    NODE,
    is_late,
    store_wishes,
    write_lan_settings,
    write_late_node_settings,
    write_late_settings,
    write_topology_settings,
)
from benito.topology.writers.nstext import NsText, Out
from benito.topology.writers.topdl import explicit

_ROUTING = {
    Routing.STATIC: "Static",
    Routing.STATIC_OLD: "Static-old",
    Routing.STATIC_DDIJK: "Static-ddijk",
    Routing.SESSION: "Session",
    Routing.MANUAL: "Manual",
}
_OPTION = re.compile(r"[-_0-9a-zA-Z]+", re.ASCII)
_ATTRIBUTE_KEY = re.compile(r"[-_.:A-Za-z0-9]{1,128}", re.ASCII)
_HARDWARE = re.compile(r"[-_.A-Za-z0-9]{1,30}", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")
_MOST_VALUE = 4096
_WISH = "desire:"
_MEMORY = "MEMORY_SIZE"
_PARENT = "parent_osname"


def write_ns(topology: Topology) -> str:
    """The text of an NS2 file; `ns_text` also tells what it does not say."""
    return ns_text(topology).text


def ns_text(topology: Topology) -> NsText:
    """The topology as an NS2 file, and what it does not say.

    Its objects stand in an order that gives every node the interfaces that it has, as far as there is one.
    """
    out = Out(names=tcl.Names(_names(topology)))
    for key, value in topology.options:
        _write_option(out, key, value)
    out.say("set ns [new Simulator]")
    out.say("source tb_compat.tcl")
    out.say("")
    write_topology_settings(out, topology)
    wishes = store_wishes(topology)
    for node in topology.nodes:
        _write_node(out, node, wishes)
    for lan in in_port_order(out, topology):
        out.say("")
        write_lan(out, lan)
        write_lan_settings(out, lan)
    out.say("")
    _write_carriers(out, topology)
    write_late_node_settings(out, topology)
    write_late_settings(out, topology)
    _write_fixed(out, topology)
    if topology.routing is not Routing.NONE:
        out.command("$ns rtproto", _ROUTING[topology.routing])
    _write_routes(out, topology)
    write_agents(out, topology)
    out.say("$ns run")
    return NsText(text="\n".join(out.lines) + "\n", losses=tuple(out.losses))


def _names(topology: Topology) -> Iterator[str]:
    """All that variables will be wanted for."""
    for things in (topology.nodes, topology.lans, topology.programs, topology.traffic):
        yield from (thing.name for thing in things)
    yield from (name for name, _members in topology.groups)
    yield from (event.sequence for event in topology.events if event.sequence is not None)
    yield from (end.peer for end in topology.traffic)
    yield from (key.split(":")[1] for key, _value in topology.settings if key.startswith(("firewall:", "blockstore:")))


def in_port_order(out: Out, topology: Topology) -> list[Lan]:
    """The LANs in an order in which every node gets its ports as the topology has them; their own, where none does."""
    ports: dict[str, list[tuple[int, int]]] = {}
    for place, lan in enumerate(topology.lans):
        for member in lan.members:
            ports.setdefault(member.node, []).append((member.port, place))
    after: list[set[int]] = [set() for _ in topology.lans]
    waits = [0] * len(topology.lans)
    for attachments in ports.values():
        attachments.sort()
        for (_, place), (_, following) in pairwise(attachments):
            if place != following and following not in after[place]:
                after[place].add(following)
                waits[following] += 1
    order: list[int] = []
    ready = [place for place, count in enumerate(waits) if not count]
    while ready:
        place = heapq.heappop(ready)
        order.append(place)
        for following in after[place]:
            waits[following] -= 1
            if not waits[following]:
                heapq.heappush(ready, following)
    if len(order) < len(topology.lans):
        out.lose("the order of some nodes' interfaces")
        return list(topology.lans)
    return [topology.lans[place] for place in order]


def _write_option(out: Out, key: str, value: str) -> None:
    if _OPTION.fullmatch(key) is None or len(value) > _MOST_VALUE or "\0" in value:
        out.lose(f"the option {key}")
    else:
        out.command("set", f"opt({key})", value)


# --- nodes ------------------------------------------------------------------------------------------------------------


def _write_node(out: Out, given: Node, wishes: Mapping[tuple[str, str], int]) -> None:
    node = explicit(given)
    out.nodes[node.name] = out.make("node", node.name, "$ns node")
    word = out.node(node.name)
    _write_fields(out, node, word)
    _write_tarfiles(out, node, word)
    said = _said_with_others(node)
    for key, value in node.attributes:
        if key == _MEMORY and value == str(node.memory_mib):
            out.command("tb-set-node-memory-size", word, value)
        elif (wish := wishes.get((node.name, key))) and value.isdecimal():
            # Making the block stores adds theirs.
            if int(value) > wish:
                out.command(word, "add-desire", key.removeprefix(_WISH), str(int(value) - wish), "1")
        elif key not in said and not is_late(key):
            _write_attribute(out, node, word, key, value)


def _said_with_others(node: Node) -> set[str]:
    """Attributes that come with commands for others."""
    attributes = dict(node.attributes)
    said = {_PARENT} if node.os is not None else set[str]()
    if attributes.get(_MEMORY) == str(node.memory_mib) == attributes.get(f"{_WISH}?+ram"):
        said.add(f"{_WISH}?+ram")
    return said


def _write_fields(out: Out, node: Node, word: str) -> None:
    attributes = dict(node.attributes)
    for name, command, allowed in (("hardware", "tb-set-hardware", _HARDWARE), ("os", "tb-set-node-os", _PRINTABLE)):
        value = getattr(node, name)
        if value is not None and allowed.fullmatch(value):
            more = [attributes[_PARENT]] if name == "os" and _PARENT in attributes else []
            out.command(command, word, value, *more)
        elif value is not None:
            out.lose(f"{node.name}: the {name} {value}")
    if node.failure_action is not None:
        out.command("tb-set-node-failure-action", word, node.failure_action)
    if node.start_command is not None:
        old = "\n" in node.start_command
        out.command("tb-set-node-startup" if old else "tb-set-node-startcmd", word, node.start_command)
    if node.memory_mib is not None and not {"containers:memory", "benito:memory", _MEMORY} & attributes.keys():
        out.command("tb-set-node-memory-size", word, str(node.memory_mib))
    if node.vcpus is not None and not {"containers:vcpus", "benito:vcpus"} & attributes.keys():
        out.command("tb-add-node-attribute", word, "benito:vcpus", str(node.vcpus))


def _write_tarfiles(out: Out, node: Node, word: str) -> None:
    said: list[str] = []
    for folder, tarball in node.tarfiles:
        if is_tarfile(folder, tarball):
            said += [folder, tarball]
        else:
            out.lose(f"{node.name}: the tar file {tarball} in {folder}")
    if said:
        out.command("tb-set-node-tarfiles", word, *said)


def is_tarfile(folder: str, tarball: str) -> bool:
    """Whether Emulab's parser takes the pair; with blanks it would be taken apart."""
    endings, shared = (".tar", ".tar.Z", ".tar.gz", ".tgz", ".tar.bz2"), ("/proj", "/groups", "/users", "/share")
    if not folder.startswith("/") or ".." in folder.split("/") or (folder + tarball).split() != [folder + tarball]:
        return False
    if any(folder == top or folder.startswith(f"{top}/") for top in shared):
        return False
    return tarball.endswith(endings) and tarball.startswith(("/", "http://", "https://", "ftp://"))


def _write_attribute(out: Out, node: Node, word: str, key: str, value: str) -> None:
    """An attribute by the command that it comes from, where there is one."""
    if len(value) > _MOST_VALUE or not value.isprintable():
        out.lose(f"{node.name}: the attribute {key}")
    elif key == kept.RPMS and all(name.split() == [name] for name in value.split(";")):
        out.command("tb-set-node-rpms", word, *value.split(";"))
    elif key == "routable_control_ip":
        out.command("tb-set-node-routable-ip", word, str(int(value == "true")))
    elif key == "firewall_style":
        out.command(word, "set-fw-style", value)
    elif key.startswith("firewall_rule:"):
        out.command(word, "add-rule", value)
    elif key in NODE:
        out.command(NODE[key], word, value)
    elif key.startswith(_WISH) and len(key) > len(_WISH):
        out.command(word, "add-desire", key.removeprefix(_WISH), value, "1")
    elif _ATTRIBUTE_KEY.fullmatch(key):
        out.command("tb-add-node-attribute", word, key, value)
    else:
        out.lose(f"{node.name}: the attribute {key}")


def _write_fixed(out: Out, topology: Topology) -> None:
    """After all nodes are made: a node may be fixed to another."""
    for node in topology.nodes:
        if node.fixed_to is None:
            continue
        if node.fixed_to in out.nodes and _is_virtual(node):
            out.say(f"tb-fix-node {out.node(node.name)} {out.node(node.fixed_to)}")
        elif node.fixed_to in out.nodes or node.fixed_to in out.nodes.values():
            out.lose(f"{node.name}: that it is on {node.fixed_to}")
        elif _PRINTABLE.fullmatch(node.fixed_to):
            out.command("tb-fix-node", out.node(node.name), node.fixed_to)
        else:
            out.lose(f"{node.name}: the machine {node.fixed_to}")


def _is_virtual(node: Node) -> bool:
    """Whether Emulab's parser lets it be on another node: it has a virtual type, or DETER's attribute says so."""
    kinds = {"containers:node_type", "benito:node_type"}
    return node.hardware not in (None, "pc") or bool(kinds & dict(explicit(node).attributes).keys())


def _write_carriers(out: Out, topology: Topology) -> None:
    """Which links carry which, once all are made."""
    for lan in topology.lans:
        for key, value in lan.settings:
            if key == "implemented_by_link" and value in out.lans:
                out.say(f"{out.lan(lan.name)} implemented_by {out.lan(value)}")
            elif key.startswith("implemented_by_"):
                out.lose(f"{lan.name}: what carries it, {value}")


def _write_routes(out: Out, topology: Topology) -> None:
    """Manual routes, as far as Emulab's parser takes them: to a node with one interface, over a neighbour, once."""
    places: dict[str, list[int]] = {}
    for place, lan in enumerate(topology.lans):
        for member in lan.members:
            places.setdefault(member.node, []).append(place)
    done: set[tuple[str, str]] = set()
    for route in topology.routes:
        near = set(places.get(route.node, ())) & set(places.get(route.next_hop, ()))
        if (route.node, route.destination) in done or not near:
            word = None
        elif route.destination in out.nodes:
            word = out.node(route.destination) if len(places.get(route.destination, ())) == 1 else None
        else:
            word = out.lan(route.destination) if route.destination in out.lans else None
        if word is None:
            out.lose(f"{route.node}: the route to {route.destination} over {route.next_hop}")
        else:
            done.add((route.node, route.destination))
            out.say(f"{out.node(route.node)} add-route {word} {out.node(route.next_hop)}")
