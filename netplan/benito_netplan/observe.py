"""Reads the links of the pnode and of the experiment's namespaces: a few dumps, whatever their number."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from benito.plan import RoutePlan
from benito.site import ETHERNET_MTU_BYTES
from benito_netplan import messages
from benito_netplan.attributes import attribute, attributes, text, u8, u32
from benito_netplan.observe_trunks import SeenTrunk, is_aware, seen_trunk
from benito_netplan.relay import Pipe
from benito_netplan.rtnl import Netlink, Request
from benito_netplan.shaping import Discipline

_LINK = struct.Struct("=BxHiII")
_UP = 1
_MAIN_TABLE = 254
#: Kernel's numbers of attributes (if_link.h).
_ADDRESS, _IFNAME, _MTU, _LINK_INDEX, _MASTER, _LINKINFO, _AF_SPEC, _GROUP = 1, 3, 4, 5, 10, 18, 26, 27
_GSO_MAX_SEGS, _PROP_LIST, _ALT_IFNAME = 40, 52, 53
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_DATA, _BRPORT_ISOLATED = 1, 2, 5, 33
_INET, _INET6, _INET_CONF, _INET6_CONF, _INET6_ADDR_GEN_MODE = 2, 10, 1, 2, 8
_RP_FILTER, _ARP_IGNORE = 8, 19  # ip.h counts them from 1
_ACCEPT_RA, _DISABLE_IPV6, _ACCEPT_DAD = 3, 26, 27
_BRIDGE_NUMBERS = ((1, 4), (5, 4), (23, 1), (36, 1), (37, 1), (38, 1))  # in BRIDGE_SETTINGS' order, with their sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv6:
    """How a link speaks IPv6; `addr_gen_mode` 1 gives it no address of its own."""

    addr_gen_mode: int
    disabled: bool
    accept_ra: int
    accept_dad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link as the kernel has it. `peer_index` is a veth's other end, `master_index` the bridge it is a port of.

    `shut`: the pnode neither answers nor takes IPv4 that comes in by it.
    """

    index: int
    name: str
    altnames: tuple[str, ...] = ()
    group: int = 0
    kind: str = ""
    master_index: int = 0
    peer_index: int = 0
    up: bool = False
    mac: str = ""
    ipv6: Ipv6 | None = None
    forwards_ipv4: bool = False
    shut: bool = False
    isolated: bool = False
    frames_only: bool = False
    plain_bridge: bool = False
    aware_bridge: bool = False
    mtu_bytes: int = ETHERNET_MTU_BYTES
    trunk: SeenTrunk | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNamespace:
    """A namespace of the experiment's name. `addresses` and `routes` say which are of our making."""

    netns: str
    links: Mapping[str, Link]
    addresses: Mapping[tuple[str, IPv4Interface], bool] = field(default_factory=dict)
    routes: Mapping[RoutePlan, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is there. `redirects` has the devices that something is done to what comes in by; where it goes, if known.

    `guarded` says whether the packet filter table is there, whole. `pipes` has what the relay carries, by where it
    comes from; None where no relay runs, or one that hangs (`silent`). `peers` has those of VXLAN devices, `accesses`
    the VLANs of bridges' ports, each with whether it is the port's own.
    """

    links: Mapping[str, Link]
    queues: Mapping[str, Discipline]
    redirects: Mapping[str, str | None]
    namespaces: Mapping[str, SeenNamespace]
    guarded: bool | None = None
    pipes: Mapping[str, Pipe] | None = None
    silent: bool = False
    peers: Mapping[str, frozenset[IPv4Address]] = field(default_factory=dict)
    accesses: Mapping[str, frozenset[tuple[int, bool]]] = field(default_factory=dict)


def links_here(netlink: Netlink) -> dict[str, Link]:
    """Every link in the socket's namespace, by name."""
    bodies = netlink.dump(Request(data=messages.dump_links(), subject="list the links"))
    return {link.name: link for link in map(_link, bodies)}


def lo_here(netlink: Netlink) -> dict[str, Link]:
    """The loopback device of the socket's namespace, by name: it has the namespace's mark."""
    found = netlink.ask([Request(data=messages.get_link(1), subject="look at lo")])
    return {link.name: link for link in (_link(body) for _, body in found)}


def _link(body: memoryview) -> Link:
    _family, _type, index, flags, _change = _LINK.unpack_from(body)
    found = dict(attributes(body[16:]))
    info = dict(attributes(found[_LINKINFO])) if _LINKINFO in found else {}
    spec = dict(attributes(found[_AF_SPEC])) if _AF_SPEC in found else {}
    kind = text(info.get(_INFO_KIND))
    slave = info.get(_INFO_SLAVE_DATA)
    return Link(
        index=index,
        name=text(found.get(_IFNAME)),
        altnames=tuple(text(name) for number, name in attributes(found[_PROP_LIST]) if number == _ALT_IFNAME)
        if _PROP_LIST in found
        else (),
        group=u32(found.get(_GROUP)),
        kind=kind,
        master_index=u32(found.get(_MASTER)),
        peer_index=u32(found.get(_LINK_INDEX)),
        up=bool(flags & _UP),
        mac=bytes(found[_ADDRESS]).hex(":") if _ADDRESS in found else "",
        ipv6=_ipv6(spec[_INET6]) if _INET6 in spec else None,
        forwards_ipv4=_INET in spec and u32(attribute(spec[_INET], _INET_CONF)) == 1,
        shut=_INET in spec and _is_shut(attribute(spec[_INET], _INET_CONF)),
        isolated=slave is not None and u8(attribute(slave, _BRPORT_ISOLATED)) == 1,
        frames_only=u32(found.get(_GSO_MAX_SEGS)) == 1,
        plain_bridge=kind == "bridge" and _INFO_DATA in info and _is_plain(info[_INFO_DATA]),
        aware_bridge=kind == "bridge" and _INFO_DATA in info and is_aware(info[_INFO_DATA]),
        mtu_bytes=u32(found.get(_MTU)),
        trunk=seen_trunk(kind, info.get(_INFO_DATA), u32(found.get(_LINK_INDEX))),
    )


def _is_shut(settings: memoryview | None) -> bool:
    if settings is None or len(settings) < 4 * _ARP_IGNORE:
        return False
    numbers = settings.cast("I")
    return (numbers[_RP_FILTER - 1], numbers[_ARP_IGNORE - 1]) == (1, 8)


def _ipv6(spec: memoryview) -> Ipv6 | None:
    found = dict(attributes(spec))
    if _INET6_CONF not in found:
        return None
    numbers = memoryview(found[_INET6_CONF]).cast("i")
    return Ipv6(
        addr_gen_mode=u8(found.get(_INET6_ADDR_GEN_MODE)),
        disabled=bool(numbers[_DISABLE_IPV6]),
        accept_ra=numbers[_ACCEPT_RA],
        accept_dad=numbers[_ACCEPT_DAD],
    )


def _is_plain(data: memoryview) -> bool:
    found = dict(attributes(data))
    # A kernel without the host's packet filters on bridges does not report them: they are off.
    return not any(
        int.from_bytes(found[number][:size], "little") for number, size in _BRIDGE_NUMBERS if number in found
    )


def addresses_here(netlink: Netlink, names: Mapping[int, str]) -> dict[tuple[str, IPv4Interface], bool]:
    """Every IPv4 address with its link's name, and whether it is of our making."""
    found = {}
    for body in netlink.dump(Request(data=messages.dump_addresses(), subject="list the addresses")):
        length, index = body[1], u32(body[4:8])
        values = dict(attributes(body[8:]))
        local = values.get(2, values.get(1))
        if local is not None and index in names:
            address = IPv4Interface((IPv4Address(bytes(local)), length))
            found[names[index], address] = u8(values.get(11)) == messages.PROTOCOL
    return found


def routes_here(netlink: Netlink) -> dict[RoutePlan, bool]:
    """Every IPv4 route by way of another node in the main table, and whether it is of our making."""
    found = {}
    for body in netlink.dump(Request(data=messages.dump_routes(), subject="list the routes")):
        length, table, protocol = body[1], body[4], body[5]
        values = dict(attributes(body[12:]))
        if table != _MAIN_TABLE or 5 not in values:
            continue
        start = IPv4Address(bytes(values[1])) if 1 in values else IPv4Address(0)
        route = RoutePlan(destination=IPv4Network((start, length)), via=IPv4Address(bytes(values[5])))
        found[route] = protocol == messages.PROTOCOL
    return found


def namespace_here(netlink: Netlink, netns: str) -> SeenNamespace:
    """The namespace that the socket is in."""
    links = links_here(netlink)
    return SeenNamespace(
        netns=netns,
        links=links,
        addresses=addresses_here(netlink, {link.index: link.name for link in links.values()}),
        routes=routes_here(netlink),
    )
