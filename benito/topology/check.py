"""What holds for a topology in any language: names, addresses, sizes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from benito import names
from benito.model import network_of
from benito.topology.draft import Draft, DraftLan, DraftMember, DraftNode
from benito.topology.findings import Findings
from benito.topology.limits import ReadLimits

_EMULAB_NAME = re.compile(r"[-0-9A-Za-z]+", re.ASCII)
_NO_INNER_TESTBED = "Emulab would add those of a testbed in the testbed; write down the ones you want"
#: The netmask of a LAN whose file does not say, as in Emulab.
DEFAULT_PREFIX_LENGTH = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How a language calls things in its messages; `{name}` stands for the name in question."""

    bad_node: str
    bad_lan: str
    lan: str
    empty: str


def check(draft: Draft, findings: Findings, limits: ReadLimits, words: Words) -> None:
    """Adds an error for each thing that cannot be meant."""
    if not draft.nodes:
        inner = draft.settings.get("elab_in_elab") == "1"
        findings.error("the experiment has no nodes", hint=_NO_INNER_TESTBED if inner else words.empty)
    if len(draft.nodes) > limits.nodes:
        findings.error(f"more than {limits.nodes} nodes")
    interfaces = sum(len(node.ports) for node in draft.nodes)
    if interfaces > limits.interfaces:
        findings.error(f"{interfaces} interfaces are more than the {limits.interfaces} that one experiment may have")
    for node in draft.nodes:
        _check_name(node.name, node.line, words.bad_node, "node", findings)
        if node.name.casefold() in names.RESERVED_NODE_NAMES:
            findings.error(
                f"You may not use the name for '{node.name}' for a node!",
                line=node.line,
                element=node.name,
                hint="the testbed's own servers are called so",
            )
    for lan in draft.lans:
        _check_name(lan.name, lan.line, words.bad_lan, words.lan, findings)
        _check_addresses(lan, findings)
    _check_same(draft.nodes, "node", findings)
    _check_same(draft.lans, words.lan, findings)
    _check_macs((port for node in draft.nodes for port in node.ports), findings)


def _check_name(name: str, line: int | None, bad: str, what: str, findings: Findings) -> None:
    if _EMULAB_NAME.fullmatch(name) is None:
        findings.error(
            bad.format(name=name[:80]), line=line, hint=f"give the {what} another name: {_proposal(name, what)}"
        )
    elif not names.is_label(name):
        findings.error(
            f"{name[:80]!r} cannot name a {what}.",
            line=line,
            hint="1 to 32 letters, digits and hyphens, with no hyphen at either end",
        )


def _proposal(name: str, what: str) -> str:
    better = re.sub(r"[^-0-9A-Za-z]+", "-", name).strip("-")[:32].strip("-")
    return better or f"{what}1"


def _check_same(things: Iterable[DraftNode | DraftLan], what: str, findings: Findings) -> None:
    """Names are compared as DNS does, where `A` is `a`."""
    first: dict[str, DraftNode | DraftLan] = {}
    for thing in things:
        other = first.setdefault(thing.name.casefold(), thing)
        if other is thing:
            continue
        where = f"line {other.line}" if other.line else "before"
        if other.name == thing.name:
            message = f"the name of a {what} that is there already ({where})"
        else:
            message = f"differs only in case from {other.name} ({where}); DNS does not tell them apart"
        findings.error(message, line=thing.line, element=thing.name)


def _check_addresses(lan: DraftLan, findings: Findings) -> None:
    length = lan.prefix_length if lan.prefix_length is not None else DEFAULT_PREFIX_LENGTH
    if lan.prefix_length is not None and len(lan.members) > 2 ** (32 - length) - 2:
        findings.error(
            f"Ran out of IP addresses in subnet: {len(lan.members)} members, but /{length} has room for "
            f"{2 ** (32 - length) - 2}.",
            line=lan.line,
            element=lan.name,
            hint="give it a wider netmask",
        )
    first: dict[IPv4Address, DraftMember] = {}
    anchor: DraftMember | None = None
    for member in lan.members:
        address = member.address
        if address is None or not _check_address(member, address, length, findings):
            continue
        anchor = anchor or member
        other = first.setdefault(address, member)
        if other is not member:
            findings.error(
                f"{other.node.name} and {member.node.name} have the same address {address} in {lan.name}",
                line=member.address_line or member.line,
                element=member.node.name,
            )
        elif anchor.address is not None and network_of(address, length) != network_of(anchor.address, length):
            findings.error(
                f"{address} is not in the subnet of {lan.name}, {network_of(anchor.address, length)}",
                line=member.address_line or member.line,
                element=member.node.name,
                hint=f"{anchor.node.name} has {anchor.address} there",
            )


def _check_address(member: DraftMember, address: IPv4Address, length: int, findings: Findings) -> bool:
    kinds: Mapping[str, bool] = {
        "a loopback address": address.is_loopback,
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "a reserved address": address.is_reserved or address.is_unspecified or int(address) >> 24 == 0,
    }
    for kind, is_so in kinds.items():
        if is_so:
            findings.error(f"{address} is {kind}", line=member.address_line or member.line, element=member.node.name)
            return False
    network = network_of(address, length)
    if length < 31 and address in (network.network_address, network.broadcast_address):
        findings.error(
            f"[check-ip-mask] IP address {address} with netmask {network.netmask} has either all '0's (reserved) or "
            "all '1's (broadcast) in the host portion of the address.",
            line=member.address_line or member.line,
            element=member.node.name,
        )
        return False
    return True


def _check_macs(members: Iterable[DraftMember], findings: Findings) -> None:
    first: dict[str, DraftMember] = {}
    for member in members:
        if member.mac is None:
            continue
        other = first.setdefault(member.mac, member)
        if other is not member:
            findings.error(
                f"{other.node.name} and {member.node.name} have the same MAC address {member.mac}",
                line=member.line,
                element=member.node.name,
            )
