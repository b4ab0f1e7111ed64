"""Encodes requests about links, addresses and routes, by pyroute2's message classes. Pure.

What an experiment has thousands of is encoded once and filled in: see `templates`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from benito_netplan.templates import Template, mac_field, name_field, number

(NEWLINK, DELLINK, GETLINK, SETLINK) = range(16, 20)
(NEWADDR, DELADDR, GETADDR) = range(20, 23)
(NEWROUTE, DELROUTE, GETROUTE) = range(24, 27)
NEWLINKPROP = 108

REQUEST, ACK, DUMP = 1, 4, 0x300
_REPLACE, _EXCLUSIVE, _CREATE, _APPEND = 0x100, 0x200, 0x400, 0x800
CREATE_NEW = REQUEST | ACK | _CREATE | _EXCLUSIVE
CHANGE = REQUEST | ACK
_UP = 1
_AF_INET = 2
_SKIP_STATISTICS = 8
_MAIN_TABLE, _UNICAST = 254, 1
#: Marks addresses and routes that Benito made; what the experimenter adds is left alone.
PROTOCOL = 190

Attributes = list[tuple[str, Any]]

ADDR_GEN_EUI64, ADDR_GEN_NONE = 0, 1
#: A bridge that does nothing on its own: no spanning tree, no waiting, no snooping, no packet filters of the host.
BRIDGE_SETTINGS = {
    "IFLA_BR_FORWARD_DELAY": 0,
    "IFLA_BR_STP_STATE": 0,
    "IFLA_BR_MCAST_SNOOPING": 0,
    "IFLA_BR_NF_CALL_IPTABLES": 0,
    "IFLA_BR_NF_CALL_IP6TABLES": 0,
    "IFLA_BR_NF_CALL_ARPTABLES": 0,
}


#: What stands in templates until it is known: names, MACs, file descriptors and numbers of a first and a second link.
_NAMES = ("first-of-a-pair", "secnd-of-a-pair")
_MACS = ("02:7b:3e:17:05:01", "02:7b:3e:17:05:02")
_FDS, _INDICES = (0x7B3E1711, 0x7B3E1712), (0x7B3E1721, 0x7B3E1722)
_GROUP = 0x7B3E1731
_MASTER = 0x7B3E1741
_ADDRESSES = ("123.62.23.81", "123.62.23.82", "123.62.23.83")


def nested(attributes: Attributes) -> dict[str, Attributes]:
    """Attributes within an attribute."""
    return {"attrs": attributes}


def _link(kind: int, flags: int, attributes: Attributes, /, **fields: int) -> bytes:
    return encode(ifinfmsg(), kind, flags, attributes, fields)


def encode(message: Any, kind: int, flags: int, attributes: Attributes, fields: dict[str, int]) -> bytes:
    """A whole message of one of pyroute2's classes."""
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message.encode()
    return bytes(message.data)


def _name_mark(which: int) -> bytes:
    return name_field(_NAMES[which])


@cache
def dump_links() -> bytes:
    """Every link, without its statistics."""
    return _link(GETLINK, REQUEST | DUMP, [("IFLA_EXT_MASK", _SKIP_STATISTICS)])


@lru_cache(maxsize=16)
def get_link(index: int) -> bytes:
    """One link, without its statistics."""
    return _link(GETLINK, CHANGE, [("IFLA_EXT_MASK", _SKIP_STATISTICS)], index=index)


def add_bridge(name: str, *, group: int, mac: str) -> bytes:
    """A bridge, not yet up."""
    return _link(
        NEWLINK,
        CREATE_NEW,
        [
            ("IFLA_IFNAME", name),
            ("IFLA_GROUP", group),
            ("IFLA_ADDRESS", mac),
            ("IFLA_MTU", 1500),
            ("IFLA_LINKINFO", _bridge_info()),
        ],
    )


def _bridge_info(settings: Mapping[str, int] = BRIDGE_SETTINGS) -> dict[str, Attributes]:
    return nested([("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", nested(list(settings.items())))])


def set_bridge(name: str) -> tuple[bytes, bytes]:
    """Gives an existing bridge the settings that `add_bridge` gives.

    A bridge that runs the spanning tree refuses to forward without delay, so that is turned off first.
    """
    first, second = (
        _link(NEWLINK, CHANGE, [("IFLA_IFNAME", name), ("IFLA_LINKINFO", _bridge_info(settings))])
        for settings in ({"IFLA_BR_STP_STATE": 0}, BRIDGE_SETTINGS)
    )
    return first, second


def add_plain(name: str, kind: str, *, group: int) -> bytes:
    """A link of a kind that needs no settings, not yet up."""
    return _link(
        NEWLINK,
        CREATE_NEW,
        [("IFLA_IFNAME", name), ("IFLA_GROUP", group), ("IFLA_LINKINFO", nested([("IFLA_INFO_KIND", kind)]))],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """An end of a veth pair.

    With `mac`, it is born in the namespace open as `netns_fd`; without, where the request comes from. `index` is the
    number that it gets; 0 lets the kernel choose.
    """

    name: str
    mac: str | None = None
    netns_fd: int = 0
    index: int = 0

    @property
    def values(self) -> list[bytes]:
        """What a template wants to know of it."""
        known = [name_field(self.name), number(self.index)]
        return known if self.mac is None else [*known, mac_field(self.mac), number(self.netns_fd)]


def add_veth(first: End, second: End, *, group: int, frames_only: bool = False) -> bytes:
    """A veth pair whose first end is up at once; the kernel cannot bring the second up before it has a first.

    A first end with `frames_only` sends no packet that is larger than a frame. The request of a pair with numbers must
    come from a namespace that has no link of the first's number.
    """
    template = _veth_template(first.mac is not None, second.mac is not None, frames_only)
    return template.fill(number(group), number(group), *first.values, *second.values)


@cache
def _veth_template(first_inside: bool, second_inside: bool, frames_only: bool) -> Template:  # noqa: FBT001 - cached
    ends: list[Attributes] = []
    marks: list[bytes] = []
    for which, inside in enumerate((first_inside, second_inside)):
        end: Attributes = [("IFLA_IFNAME", _NAMES[which]), ("IFLA_GROUP", _GROUP + which)]
        # One queue: by default the kernel makes as many as the machine has processors.
        end += [("IFLA_NUM_TX_QUEUES", 1), ("IFLA_NUM_RX_QUEUES", 1)]
        marks += [_name_mark(which), number(_INDICES[which])]
        if inside:
            end += [("IFLA_ADDRESS", _MACS[which]), ("IFLA_NET_NS_FD", _FDS[which])]
            marks += [mac_field(_MACS[which]), number(_FDS[which])]
        ends.append(end)
    if frames_only:
        ends[0].append(("IFLA_GSO_MAX_SEGS", 1))
    peer = {"attrs": ends[1], "index": _INDICES[1]}
    info = nested([("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", nested([("VETH_INFO_PEER", peer)]))])
    data = _link(NEWLINK, CREATE_NEW, [*ends[0], ("IFLA_LINKINFO", info)], flags=_UP, change=_UP, index=_INDICES[0])
    return Template(data, [number(_GROUP), number(_GROUP + 1), *marks])


def add_altname(name: str, altname: str) -> bytes:
    """Gives a link another name; EEXIST where it has it already."""
    return _altname_template(len(altname)).fill(name_field(name), altname.encode())


@cache
def _altname_template(letters: int) -> Template:
    altname = "\x7f" * letters
    properties = nested([("IFLA_ALT_IFNAME", altname)])
    attributes: Attributes = [("IFLA_IFNAME", _NAMES[0]), ("IFLA_PROP_LIST", properties)]
    data = _link(NEWLINKPROP, REQUEST | ACK | _CREATE | _APPEND, attributes)
    return Template(data, [_name_mark(0), altname.encode()])


def set_addr_gen_mode(name: str, mode: int) -> bytes:
    """Whether the link gives itself an IPv6 address; to be said before it comes up."""
    return _addr_gen_mode_template(mode).fill(name_field(name))


@cache
def _addr_gen_mode_template(mode: int) -> Template:
    spec = nested([("AF_INET6", nested([("IFLA_INET6_ADDR_GEN_MODE", mode)]))])
    return Template(_link(SETLINK, CHANGE, [("IFLA_IFNAME", _NAMES[0]), ("IFLA_AF_SPEC", spec)]), [_name_mark(0)])


def set_link(
    name: str,
    *,
    up: bool | None = None,
    master_index: int | None = None,
    group: int | None = None,
    mac: str | None = None,
    frames_only: bool = False,
) -> bytes:
    """Changes a link: brings it up or down, makes it a port of a bridge (of none: 0), and so on."""
    given = (master_index is not None, group is not None, mac is not None)
    values = [name_field(name)]
    values += [number(value) for value in (master_index, group) if value is not None]
    values += [mac_field(mac)] if mac is not None else []
    return _set_link_template(up, given, frames_only).fill(*values)


@cache
def _set_link_template(up: bool | None, given: tuple[bool, bool, bool], frames_only: bool) -> Template:  # noqa: FBT001
    attributes: Attributes = [("IFLA_IFNAME", _NAMES[0])]
    marks = [_name_mark(0)]
    possible = (
        ("IFLA_MASTER", _MASTER, number(_MASTER)),
        ("IFLA_GROUP", _GROUP, number(_GROUP)),
        ("IFLA_ADDRESS", _MACS[0], mac_field(_MACS[0])),
    )
    for (name, value, mark), wanted in zip(possible, given, strict=True):
        if wanted:
            attributes.append((name, value))
            marks.append(mark)
    if frames_only:
        attributes.append(("IFLA_GSO_MAX_SEGS", 1))
    change = 0 if up is None else _UP
    return Template(_link(SETLINK, CHANGE, attributes, flags=_UP if up else 0, change=change), marks)


def raise_link(index: int) -> bytes:
    """Brings the link of that number up."""
    return _raise_template().fill(number(index))


@cache
def _raise_template() -> Template:
    return Template(_link(SETLINK, CHANGE, [], flags=_UP, change=_UP, index=_INDICES[0]), [number(_INDICES[0])])


def set_isolated(name: str) -> bytes:
    """Keeps a bridge's port from reaching other isolated ports."""
    info = nested([("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", nested([("IFLA_BRPORT_ISOLATED", 1)]))])
    return _link(NEWLINK, CHANGE, [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)])


def delete_link(name: str) -> bytes:
    """Deletes a link, and a veth's other end with it."""
    return _link(DELLINK, CHANGE, [("IFLA_IFNAME", name)])


def delete_group(group: int) -> bytes:
    """Deletes every link of a group in one go."""
    return _link(DELLINK, CHANGE, [("IFLA_GROUP", group)])


def add_address(index: int, address: IPv4Interface) -> bytes:
    """Gives a link an address."""
    network, packed = address.network, address.packed
    values = [number(index), bytes([network.prefixlen]), packed, packed]
    if network.prefixlen < 31:
        values.append(network.broadcast_address.packed)
    return _address_template(network.prefixlen < 31).fill(*values)


@cache
def _address_template(broadcast: bool) -> Template:  # noqa: FBT001 - cached
    local, whole, all_ = _ADDRESSES
    attributes: Attributes = [("IFA_LOCAL", local), ("IFA_ADDRESS", whole), ("IFA_PROTO", PROTOCOL)]
    if broadcast:
        attributes.append(("IFA_BROADCAST", all_))
    data = encode(ifaddrmsg(), NEWADDR, CREATE_NEW, attributes, {"family": _AF_INET, "index": _INDICES[0]})
    marks = [IPv4Address(mark).packed for mark in _ADDRESSES]
    return Template(data, [number(_INDICES[0]), (17, 1), *(marks if broadcast else marks[:2])])


def delete_address(index: int, address: IPv4Interface) -> bytes:
    """Takes an address from a link."""
    attributes: Attributes = [("IFA_LOCAL", str(address.ip)), ("IFA_ADDRESS", str(address.ip))]
    fields = {"family": _AF_INET, "prefixlen": address.network.prefixlen, "index": index}
    return encode(ifaddrmsg(), DELADDR, CHANGE, attributes, fields)


@cache
def dump_addresses() -> bytes:
    """Every IPv4 address."""
    return encode(ifaddrmsg(), GETADDR, REQUEST | DUMP, [], {"family": _AF_INET})


def add_route(destination: IPv4Network, via: IPv4Address) -> bytes:
    """A route in the main table, in place of another one to the same destination."""
    length = bytes([destination.prefixlen])
    return _route_template().fill(length, destination.network_address.packed, via.packed)


@cache
def _route_template() -> Template:
    flags = REQUEST | ACK | _CREATE | _REPLACE
    data = _route(NEWROUTE, flags, IPv4Network(_ADDRESSES[0]), IPv4Address(_ADDRESSES[1]), type=_UNICAST)
    return Template(data, [(17, 1), *(IPv4Address(mark).packed for mark in _ADDRESSES[:2])])


def delete_route(destination: IPv4Network, via: IPv4Address) -> bytes:
    """Takes a route of ours away."""
    return _route(DELROUTE, CHANGE, destination, via, scope=255)  # nowhere: whichever it has


def _route(kind: int, flags: int, destination: IPv4Network, via: IPv4Address, /, **more: int) -> bytes:
    attributes: Attributes = [("RTA_DST", str(destination.network_address)), ("RTA_GATEWAY", str(via))]
    fields = {"family": _AF_INET, "dst_len": destination.prefixlen, "table": _MAIN_TABLE, "proto": PROTOCOL, **more}
    return encode(rtmsg(), kind, flags, attributes, fields)


@cache
def dump_routes() -> bytes:
    """Every IPv4 route of every table."""
    return encode(rtmsg(), GETROUTE, REQUEST | DUMP, [], {"family": _AF_INET})
