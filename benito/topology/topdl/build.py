"""Makes a draft of what a TopDL file says.

Units and meanings are those of DETER's reference library: rates in kb/s, latencies in ms; a substrate's latency is one
leg, node to medium, so that the way from node to node takes twice as long.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from benito.model import CLEAR, Lan, Member, Node, Shaping, Topology, half_loss
from benito.topology import kept
from benito.topology.draft import DraftLan, DraftMember, DraftNode
from benito.topology.findings import Findings
from benito.topology.quantities import Rejection, address, decimal, mac_address, prefix_length
from benito.topology.topdl.carry import Carrier, TopdlDraft
from benito.topology.topdl.raw import (
    Attributes,
    RawComputer,
    RawFile,
    RawInterface,
    RawQuantity,
    RawSoftware,
    RawSubstrate,
    RawTopology,
)

_KINDS = ("max", "average")
_FAILURE_ACTIONS = ("fatal", "nonfatal", "ignore")
_MOST_COMMAND_BYTES = 32768
_MAC_KEYS = ("containers:mac_address", "benito:mac_address")
#: Words that are read here, and are no settings of the node or member.
_NODE_WORDS = ("startup", "type", "failureaction")
_MEMBER_WORDS = ("loss", "ip4_address", "ip4_netmask", *_MAC_KEYS)

T = TypeVar("T")


def build(source: str, file: RawFile, flat: RawTopology, findings: Findings) -> TopdlDraft:
    """The draft of a file whose regions have been expanded to `flat`; what is wrong with it goes to `findings`."""
    return _Builder(source, findings).build(file, flat)


class _Builder:
    """One file: its draft, its findings and its substrates by name, with what each does in one direction."""

    def __init__(self, source: str, findings: Findings) -> None:
        self.draft = TopdlDraft(source=source)
        self.findings = findings
        self.carrier = Carrier(draft=self.draft, findings=findings)
        self.substrates: dict[str, tuple[DraftLan, Shaping]] = {}

    def build(self, file: RawFile, flat: RawTopology) -> TopdlDraft:
        """Substrates first: interfaces name them."""
        for substrate in flat.substrates:
            self.substrate(substrate)
        for element in flat.elements:
            if isinstance(element, RawComputer):
                self.computer(element)
        self.finish_lans()
        settings = self.carrier.take(Topology, self.draft, file.attributes, None)
        self.draft.settings = {**settings, **file.kept}
        self.carrier.check_routes()
        return self.draft

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, read: Callable[[str], T], text: str, otherwise: T, line: int | None, who: str, what: str) -> T:
        """A value, or an error and another value."""
        try:
            return read(text)
        except Rejection as rejection:
            self.findings.error(f"{what}: {rejection.message}", line=line, element=who, hint=rejection.hint)
            return otherwise

    def half(
        self, given: RawSubstrate | RawInterface, half: Shaping, settings: dict[str, str], usual: dict[str, str]
    ) -> Shaping:
        """`half` with what <capacity> and <latency> say; a kind other than the usual one goes to `settings`."""
        if given.capacity is not None:
            self.kind("capacity", given.capacity, settings, usual)
            rate = self.value(_rate, given.capacity.number, None, given.capacity.line, given.name, "rate")
            if rate is not None:
                half = replace(half, rate_kbps=rate)
        if given.latency is not None:
            self.kind("latency", given.latency, settings, usual)
            time = self.value(_microseconds, given.latency.number, None, given.latency.line, given.name, "time")
            if time is not None:
                half = replace(half, delay_us=time)
        return half

    def kind(self, what: str, quantity: RawQuantity, settings: dict[str, str], usual: dict[str, str]) -> None:
        """Both kinds mean the same to a link that is made; which one it was is kept."""
        word = quantity.kind or "max"
        if word not in _KINDS:
            self.findings.warn_once(
                f"{what} has the kind {word[:80]}, which TopDL has not; it is read as max",
                line=quantity.line,
                hint="max or average",
            )
            word = "max"
        key = f"{kept.PREFIX}{what}_kind"
        if word != usual.get(key, "max"):
            settings.setdefault(key, word)

    def loss(self, attributes: Attributes, who: str) -> float | None:
        """The attribute `loss`, from 0 to 1."""
        if "loss" not in attributes:
            return None
        text, line = attributes["loss"]
        return self.value(_loss, text, None, line, who, "loss")

    # --- substrates ---------------------------------------------------------------------------------------------------

    def substrate(self, given: RawSubstrate) -> None:
        """One link or LAN."""
        lan = DraftLan(name=given.name, line=given.line)
        settings = self.carrier.take(Lan, lan, given.attributes, given.name)
        half = self.half(given, CLEAR, settings, {})
        loss = self.loss(given.attributes, given.name)
        if loss is not None:
            half = replace(half, loss_ratio=half_loss(loss))
        settings.pop("loss", None)
        lan.settings = {**settings, **given.kept}
        self.draft.lans.append(lan)
        # The check of names reports the second of two; interfaces go to the first.
        self.substrates.setdefault(given.name, (lan, half))

    def finish_lans(self) -> None:
        """Substrates with one interface are in real files: they are LANs of one member."""
        used: list[DraftLan] = []
        for lan in self.draft.lans:
            lan.is_link = len(lan.members) == 2
            self.order(lan)
            is_first = self.substrates[lan.name][0] is lan
            if len(lan.members) == 1:
                self.findings.warning("only one interface is on this substrate", line=lan.line, element=lan.name)
            elif not lan.members and is_first:
                self.findings.warning(
                    "no interface is on this substrate, so it is left out", line=lan.line, element=lan.name
                )
                continue
            used.append(lan)
        self.draft.lans = used

    def order(self, lan: DraftLan) -> None:
        """The members in the order that was carried."""
        order = self.carrier.taken(lan, "order")
        if not isinstance(order, tuple):
            return
        if sorted(order) != list(range(len(lan.members))):
            self.findings.error("benito:model.order: not the places of its members", line=lan.line, element=lan.name)
            return
        lan.members = [lan.members[place] for place in order]

    # --- computers ----------------------------------------------------------------------------------------------------

    def computer(self, given: RawComputer) -> None:
        """One node."""
        node = DraftNode(name=given.name, line=given.line, os=given.osid)
        self.draft.nodes.append(node)
        attributes = self.carrier.take(Node, node, given.attributes, given.name)
        self.words(node, given.attributes)
        for key, value in attributes.items():
            if key not in _NODE_WORDS:
                node.add_attribute(key, value, given.attributes[key][1])
        for software in given.software:
            self.software(node, software)
        for key, value in given.kept.items():
            node.attributes[kept.key_of(key.removeprefix(kept.PREFIX).partition(".")[0], node.attributes)] = value
        carried = self.carrier.taken(node, "attributes")
        if isinstance(carried, tuple):
            node.attributes = dict(carried)
        seen: set[str] = set()
        for interface in given.interfaces:
            if interface.name and interface.name in seen:
                self.findings.error(f"a second interface {interface.name[:80]}", line=interface.line, element=node.name)
            seen.add(interface.name)
            self.interface(node, interface)
        self.check_ports(node)

    def words(self, node: DraftNode, attributes: Attributes) -> None:
        """Attributes that are fields of the node."""
        command, line = attributes.get("startup", ("", None))
        if len(command.encode()) > _MOST_COMMAND_BYTES:
            self.findings.error(
                f"the start command is longer than {_MOST_COMMAND_BYTES >> 10} KiB", line=line, element=node.name
            )
        node.start_command = command or None
        if "type" in attributes:
            node.hardware = attributes["type"][0] or None
        if "failureaction" in attributes:
            word, line = attributes["failureaction"]
            if word in _FAILURE_ACTIONS:
                node.failure_action = word
            else:
                self.findings.error(
                    f"failureaction: {word[:80]!r} is no such action.",
                    line=line,
                    element=node.name,
                    hint="fatal, nonfatal or ignore",
                )

    def software(self, node: DraftNode, software: RawSoftware) -> None:
        """With <install> a tar file, without it an RPM."""
        if not software.location:
            self.findings.error("<software> without <location>", line=software.line, element=node.name)
        elif software.install:
            node.tarfiles.append((software.install, software.location))
        else:
            before = node.attributes.get(kept.RPMS)
            node.attributes[kept.RPMS] = f"{before};{software.location}" if before else software.location

    def check_ports(self, node: DraftNode) -> None:
        """Ports that were carried may not be those of others."""
        if len({member.port for member in node.ports}) < len(node.ports):
            self.findings.error("two interfaces have the same port", line=node.line, element=node.name)

    # --- interfaces ---------------------------------------------------------------------------------------------------

    def interface(self, node: DraftNode, given: RawInterface) -> None:
        """What an interface says of capacity and latency holds for its own halves."""
        if not given.substrates:
            self.findings.error(
                f"the interface {given.name[:80]} is on no substrate",
                line=given.line,
                element=node.name,
                hint="give it one <substrate>",
            )
        elif len(given.substrates) > 1 and any(word in given.attributes for word in _MEMBER_WORDS[1:]):
            self.findings.error(
                f"the interface {given.name[:80]} is on several substrates, but has one address",
                line=given.line,
                element=node.name,
                hint="give each substrate an interface of its own",
            )
        else:
            if len(given.substrates) > 1:
                self.findings.warning(
                    f"the interface {given.name[:80]} is on several substrates: each gets one of its own",
                    line=given.line,
                    element=node.name,
                )
            for place, line in given.substrates:
                self.member(node, given, place, line)

    def member(self, node: DraftNode, given: RawInterface, place: str, line: int | None) -> None:
        """An interface on one substrate."""
        lan, half = self.substrates.get(place, (None, CLEAR))
        if lan is None:
            self.findings.error(
                f"No such substrate {place[:80]!r} for {given.name[:80] or 'an interface'}",
                line=line,
                element=node.name,
                hint=self.findings.propose(place, list(self.substrates)[:2000]),
            )
            return
        member = lan.attach(node, half, line=given.line)
        settings: dict[str, str] = {}
        index = member.port
        if given.attributes:
            settings = self.carrier.take(Member, member, given.attributes, node.name)
            loss = self.loss(given.attributes, node.name)
            if loss is not None:
                half = replace(half, loss_ratio=loss)
            self.addresses(member, given.attributes)
            for word in _MEMBER_WORDS:
                settings.pop(word, None)
        half = self.half(given, half, settings, lan.settings)
        member.into = member.out_of = half
        if given.name and given.name != kept.default_name(index):
            settings.setdefault(kept.NAME, given.name)
        member.settings = settings

    def addresses(self, member: DraftMember, attributes: Attributes) -> None:
        """The attributes that give an interface its address, netmask and MAC."""
        who, lan = member.node.name, member.lan
        if "ip4_address" in attributes:
            text, member.address_line = attributes["ip4_address"]
            member.address = self.value(address, text, None, member.address_line, who, "ip4_address")
        if "ip4_netmask" in attributes:
            text, line = attributes["ip4_netmask"]
            length = self.value(prefix_length, text, None, line, who, "ip4_netmask")
            if length is not None and lan.prefix_length not in (None, length):
                self.findings.error(
                    f"ip4_netmask: {lan.name} has another netmask, /{lan.prefix_length}", line=line, element=who
                )
            elif length is not None:
                lan.prefix_length = length
        for key in _MAC_KEYS:
            if key in attributes and member.mac is None:
                text, line = attributes[key]
                member.mac = self.value(mac_address, text, None, line, who, key)


# Files have the same few numbers thousands of times.
@lru_cache(maxsize=1024)
def _rate(text: str) -> int | None:
    return int(decimal(text, least="1", most="1000000000", what="a rate in kb/s"))


@lru_cache(maxsize=1024)
def _microseconds(text: str) -> int | None:
    return round(decimal(text, least="0", most="3600000", what="a time in ms") * 1000)


def _loss(text: str) -> float | None:
    return float(decimal(text, least="0", most="1", what="a loss ratio"))
