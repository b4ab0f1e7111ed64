"""Writes a topology as TopDL 1, in the order and with the words of the published schema.

What TopDL has no word for goes into attributes (`benito.topology.carried`), so that nothing is lost. A loss stands at
the interfaces, as each half has it; a latency is one leg, as in DETER's reference library.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from lxml import etree
from pydantic import TypeAdapter

from benito.model import Lan, Member, Node, Settings, Shaping, Topology
from benito.topology import kept
from benito.topology.attributes import interpret_attributes
from benito.topology.carried import PREFIX, field_of, pack, pack_value
from benito.topology.draft import DraftNode
from benito.topology.findings import Findings

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Attributes that the reader takes for something else than a setting.
_NODE_WORDS = frozenset({"startup", "type", "failureaction"})
_MEMBER_WORDS = frozenset({"loss", "ip4_address", "ip4_netmask", "containers:mac_address", "benito:mac_address"})
_LAN_WORDS = frozenset({"loss"})
_FAILURE_ACTIONS = (None, "fatal", "nonfatal", "ignore")

#: Fields that elements and plain attributes say; all others are carried.
_SAID = frozenset({"source", "nodes", "lans", "warnings", "members", "is_link", "prefix_length", "settings", "line"})
_SAID |= {"node", "port", "into", "out_of", "address", "mac"}
_SAID |= {"name", "hardware", "os", "start_command", "tarfiles", "failure_action", "attributes"}
_DERIVED = ("kind", "image", "memory_mib", "vcpus", "partition", "partition_pass", "ghost")
#: Derived fields that other tools look for in attributes.
_SHOWN = {
    "kind": "containers:node_type",
    "partition": "containers:partition",
    "partition_pass": "containers:PartitionPass",
    "ghost": "containers:ghost",
}

INTEGER = TypeAdapter(int)
BOOLEAN = TypeAdapter(bool)
ORDER = TypeAdapter(tuple[int, ...])


def write_topdl(topology: Topology) -> bytes:
    """The topology as an XML document in UTF-8, for people to read too.

    Reading it gives an equal topology, but for the source's name, lines and warnings. Where a node's fields say what
    its attributes do not (a kind that was set in a program), the attribute is added.
    """
    root = topdl_tree(topology)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def topdl_tree(topology: Topology) -> etree._Element:
    """The root element of the document that `write_topdl` writes."""
    root = etree.Element("experiment")
    _add(root, "version", "1.0")
    attachments = _attachments(topology)
    ranks = {node.name: rank for rank, node in enumerate(topology.nodes)}
    orders = _orders(topology, attachments, ranks)
    for place, lan in enumerate(topology.lans):
        _substrate(root, lan, orders[place])
    for node in topology.nodes:
        _computer(etree.SubElement(root, "elements"), node, attachments.get(node.name, ()))
    loose = kept.elements(topology.settings, kept.OTHERS)
    for element in loose.elements:
        etree.SubElement(root, "elements").append(element)
    said = _settings(loose.rest, loose.moved, frozenset(), topology, "settings")
    _attributes(root, [*said, *_carry(topology)])
    return root


def explicit(node: Node) -> Node:
    """The node with attributes for what only its fields say and other tools look for in attributes."""
    known, attributes = _derived(node), dict(node.attributes)
    for name, key in _SHOWN.items():
        value = getattr(node, name)
        if value != getattr(known, name) and value is not None:
            attributes[key] = str(value).lower() if isinstance(value, bool) else str(value)
    settings = tuple(attributes.items())
    return node if len(settings) == len(node.attributes) else replace(node, attributes=settings)


def _derived(node: Node) -> DraftNode:
    """What the reader makes of the node's attributes."""
    draft = DraftNode(name=node.name, attributes=dict(node.attributes))
    interpret_attributes(draft, Findings(Path()))
    return draft


# --- words ------------------------------------------------------------------------------------------------------------


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text


def _attributes(parent: etree._Element, pairs: Iterable[tuple[str, str]]) -> None:
    for key, value in pairs:
        element = etree.SubElement(parent, "attribute")
        _add(element, "attribute", key)
        _add(element, "value", value)


def is_plain(text: str) -> bool:
    """Whether XML can hold the text and the reader gives it back, which strips what it reads."""
    return text == text.strip() and _NO_XML.search(text) is None


def _field(thing: object, name: str) -> tuple[str, str]:
    return PREFIX + name, pack_value(field_of(thing, name).adapter, getattr(thing, name))


def _carry(thing: object) -> Iterable[tuple[str, str]]:
    return pack(thing, _SAID | set(_DERIVED))


def _settings(
    pairs: Settings, read: Settings, reserved: frozenset[str], thing: object, name: str
) -> list[tuple[str, str]]:
    """The attributes that say a field of settings; and the field itself, where the reader would not get it from them.

    `read` is what the reader adds to them, having found it in elements.
    """
    plain: dict[str, str] = {}
    for key, value in pairs:
        if key and is_plain(key) and is_plain(value) and key not in reserved and not key.startswith(PREFIX):
            plain.setdefault(key, value)
    said = list(plain.items())
    return said if (*said, *read) == getattr(thing, name) else [*said, _field(thing, name)]


def _quantities(parent: etree._Element, half: Shaping, kinds: Settings) -> None:
    words = dict(kinds)
    if half.rate_kbps is not None:
        element = etree.SubElement(parent, "capacity")
        _add(element, "rate", f"{half.rate_kbps:f}")
        _add(element, "kind", words.get(kept.PREFIX + "capacity_kind", "max"))
    if half.delay_us:
        element = etree.SubElement(parent, "latency")
        _add(element, "time", f"{half.delay_us / 1000:f}")
        _add(element, "kind", words.get(kept.PREFIX + "latency_kind", "max"))


# --- substrates -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attachment:
    """A member with its LAN, both also by their places, and what all of the LAN's halves share."""

    lan: Lan
    shared: Shaping
    place: int
    at: int
    member: Member


def _attachments(topology: Topology) -> dict[str, list[_Attachment]]:
    """The interfaces of each node, in the order of their ports."""
    found: dict[str, list[_Attachment]] = {}
    for place, lan in enumerate(topology.lans):
        shared = _shared(lan)
        for at, member in enumerate(lan.members):
            one = _Attachment(lan=lan, shared=shared, place=place, at=at, member=member)
            found.setdefault(member.node, []).append(one)
    for attachments in found.values():
        attachments.sort(key=lambda one: one.member.port)
    return found


def _orders(
    topology: Topology, attachments: dict[str, list[_Attachment]], ranks: dict[str, int]
) -> list[tuple[int, ...]]:
    """For each LAN the places of its members among those that the reader finds, which goes from node to node."""
    met: list[list[int]] = [[] for _ in topology.lans]
    for name in sorted(attachments, key=lambda name: ranks.get(name, len(ranks))):
        for one in attachments[name]:
            met[one.place].append(one.at)
    return [tuple(sorted(range(len(order)), key=order.__getitem__)) for order in met]


def _shared(lan: Lan) -> Shaping:
    """The rate and the delay that all halves have; none where they differ."""
    rates = {half.rate_kbps for member in lan.members for half in (member.into, member.out_of)}
    delays = {half.delay_us for member in lan.members for half in (member.into, member.out_of)}
    return Shaping(rate_kbps=rates.pop() if len(rates) == 1 else None, delay_us=delays.pop() if len(delays) == 1 else 0)


def _substrate(root: etree._Element, lan: Lan, order: Sequence[int]) -> None:
    element = etree.SubElement(root, "substrates")
    _add(element, "name", lan.name)
    _quantities(element, _shared(lan), lan.settings)
    loose = kept.elements(lan.settings, kept.COMMON)
    said = _settings(loose.rest, loose.moved, _LAN_WORDS, lan, "settings")
    said += _carry(lan)
    if list(order) != sorted(order):
        said.append((f"{PREFIX}order", pack_value(ORDER, tuple(order))))
    if lan.is_link != (len(lan.members) == 2):
        said.append(_field(lan, "is_link"))
    if lan.prefix_length is not None and not 16 <= lan.prefix_length <= 30:
        said.append(_field(lan, "prefix_length"))
    _attributes(element, said)
    for child in loose.elements:
        element.append(child)


# --- computers --------------------------------------------------------------------------------------------------------


def _computer(parent: etree._Element, given: Node, attachments: Sequence[_Attachment]) -> None:
    node = explicit(given)
    element = etree.SubElement(parent, "computer")
    _add(element, "name", node.name)
    loose = kept.elements(node.attributes, kept.COMPUTER)
    rpms = dict(loose.rest).get(kept.RPMS, "")
    words = rpms.split(";") if is_plain(rpms) and all(word and is_plain(word) for word in rpms.split(";")) else []
    for child in loose.elements:
        if child.tag in ("cpu", "os"):
            element.append(child)
    _system(element, node)
    _software(element, node, words)
    for child in loose.elements:
        if child.tag == "storage":
            element.append(child)
    _interfaces(element, attachments)
    pairs = tuple(pair for pair in loose.rest if pair[0] != kept.RPMS or not words)
    read = (*((kept.RPMS, rpms) for _ in words[:1]), *loose.moved)
    _attributes(element, [*_settings(pairs, read, _NODE_WORDS, node, "attributes"), *_words(node), *_carry(node)])
    for child in loose.elements:
        if child.tag in kept.COMMON:
            element.append(child)


def _system(element: etree._Element, node: Node) -> None:
    """The operating system's id, in the first <os>."""
    if node.os and is_plain(node.os):
        system = element.find("os")
        if system is None:
            system = etree.SubElement(element, "os")
        _attributes(system, [("osid", node.os)])


def _software(element: etree._Element, node: Node, rpms: Iterable[str]) -> None:
    if all(folder and place and is_plain(folder) and is_plain(place) for folder, place in node.tarfiles):
        for folder, place in node.tarfiles:
            software = etree.SubElement(element, "software")
            _add(software, "location", place)
            _add(software, "install", folder)
    for place in rpms:
        _add(etree.SubElement(element, "software"), "location", place)


def _words(node: Node) -> list[tuple[str, str]]:
    """The attributes for a node's fields, and the fields that they cannot say."""
    said: list[tuple[str, str]] = []
    for key, name in (("startup", "start_command"), ("type", "hardware")):
        value = getattr(node, name)
        if value and is_plain(value):
            said.append((key, value))
        elif value is not None:
            said.append(_field(node, name))
    if node.os is not None and not (node.os and is_plain(node.os)):
        said.append(_field(node, "os"))
    if node.failure_action is not None:
        known = node.failure_action in _FAILURE_ACTIONS
        said.append(("failureaction", node.failure_action) if known else _field(node, "failure_action"))
    if not all(folder and place and is_plain(folder) and is_plain(place) for folder, place in node.tarfiles):
        said.append(_field(node, "tarfiles"))
    known_node = _derived(node)
    said += [_field(node, name) for name in _DERIVED if getattr(node, name) != getattr(known_node, name)]
    return said


def _interfaces(parent: etree._Element, attachments: Sequence[_Attachment]) -> None:
    taken: set[str] = set()
    names = [_own_name(one.member, taken) for one in attachments]
    for index, (one, name) in enumerate(zip(attachments, names, strict=True)):
        _interface(parent, one, index, name or _free_name(index, taken), own=name)


def _own_name(member: Member, taken: set[str]) -> str | None:
    """The name that the interface had in TopDL, if it is not taken."""
    name = dict(member.settings).get(kept.NAME)
    if name is None or not name or not is_plain(name) or name in taken:
        return None
    taken.add(name)
    return name


def _free_name(index: int, taken: set[str]) -> str:
    number = index
    while (name := kept.default_name(number)) in taken:
        number += 1
    taken.add(name)
    return name


def _interface(parent: etree._Element, one: _Attachment, index: int, name: str, *, own: str | None) -> None:
    member, lan = one.member, one.lan
    element = etree.SubElement(parent, "interface")
    _add(element, "substrate", lan.name)
    _add(element, "name", name)
    shared, half = one.shared, member.into
    _quantities(
        element,
        Shaping(
            rate_kbps=half.rate_kbps if half.rate_kbps != shared.rate_kbps else None,
            delay_us=half.delay_us if half.delay_us != shared.delay_us else 0,
        ),
        (*lan.settings, *member.settings),
    )
    read = ((kept.NAME, name),) if name != kept.default_name(index) else ()
    pairs = tuple(pair for pair in member.settings if own is None or pair[0] != kept.NAME)
    said = _settings(pairs, read, _MEMBER_WORDS | {kept.NAME}, member, "settings")
    if half.loss_ratio:
        said.append(("loss", repr(half.loss_ratio)))
    if member.address is not None:
        said.append(("ip4_address", str(member.address)))
    if lan.prefix_length is not None and 16 <= lan.prefix_length <= 30:
        said.append(("ip4_netmask", str(IPv4Network((0, lan.prefix_length)).netmask)))
    if member.mac is not None:
        said.append(("containers:mac_address", member.mac))
    if half.queue_packets is not None:
        said.append(_field(member, "into"))
    if member.out_of != replace(half, queue_packets=None):
        said.append(_field(member, "out_of"))
    if member.port != index:
        said.append((f"{PREFIX}port", pack_value(INTEGER, member.port)))
    _attributes(element, [*said, *_carry(member)])
