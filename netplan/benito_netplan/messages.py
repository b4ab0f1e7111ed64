"""Encodes requests about links, addresses and routes, by pyroute2's message classes. Pure."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

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


def dump_links() -> bytes:
    """Every link, without its statistics."""
    return _link(GETLINK, REQUEST | DUMP, [("IFLA_EXT_MASK", _SKIP_STATISTICS)])


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


def inside_end(name: str, mac: str, *, group: int, netns_fd: int, frames_only: bool) -> Attributes:
    """An end of a veth pair that is born in the namespace open as `netns_fd`."""
    attributes: Attributes = [
        ("IFLA_IFNAME", name),
        ("IFLA_ADDRESS", mac),
        ("IFLA_GROUP", group),
        ("IFLA_NET_NS_FD", netns_fd),
    ]
    return [*attributes, ("IFLA_GSO_MAX_SEGS", 1)] if frames_only else attributes


def host_end(name: str, *, group: int) -> Attributes:
    """An end of a veth pair in the pnode's own namespace."""
    return [("IFLA_IFNAME", name), ("IFLA_GROUP", group)]


def add_veth(first: Attributes, second: Attributes) -> bytes:
    """A veth pair whose first end is up at once; the kernel cannot bring the second up before it has a first."""
    peer = {"attrs": second}
    info = nested([("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", nested([("VETH_INFO_PEER", peer)]))])
    return _link(NEWLINK, CREATE_NEW, [*first, ("IFLA_LINKINFO", info)], flags=_UP, change=_UP)


def add_altname(name: str, altname: str) -> bytes:
    """Gives a link another name; EEXIST where it has it already."""
    properties = nested([("IFLA_ALT_IFNAME", altname)])
    return _link(
        NEWLINKPROP, REQUEST | ACK | _CREATE | _APPEND, [("IFLA_IFNAME", name), ("IFLA_PROP_LIST", properties)]
    )


def set_addr_gen_mode(name: str, mode: int) -> bytes:
    """Whether the link gives itself an IPv6 address; to be said before it comes up."""
    spec = nested([("AF_INET6", nested([("IFLA_INET6_ADDR_GEN_MODE", mode)]))])
    return _link(SETLINK, CHANGE, [("IFLA_IFNAME", name), ("IFLA_AF_SPEC", spec)])


def set_link(
    name: str,
    *,
    up: bool = False,
    down: bool = False,
    master_index: int | None = None,
    group: int | None = None,
    mac: str | None = None,
    frames_only: bool = False,
) -> bytes:
    """Changes a link: brings it up or down, makes it a port of a bridge (of none: 0), and so on."""
    attributes: Attributes = [("IFLA_IFNAME", name)]
    for key, value in (("IFLA_MASTER", master_index), ("IFLA_GROUP", group), ("IFLA_ADDRESS", mac)):
        if value is not None:
            attributes.append((key, value))
    if frames_only:
        attributes.append(("IFLA_GSO_MAX_SEGS", 1))
    change = _UP if up or down else 0
    return _link(SETLINK, CHANGE, attributes, flags=_UP if up else 0, change=change)


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


def _address(kind: int, flags: int, index: int, address: IPv4Interface) -> bytes:
    network = address.network
    attributes: Attributes = [("IFA_LOCAL", str(address.ip)), ("IFA_ADDRESS", str(address.ip))]
    if kind == NEWADDR:
        attributes.append(("IFA_PROTO", PROTOCOL))
        if network.prefixlen < 31:
            attributes.append(("IFA_BROADCAST", str(network.broadcast_address)))
    fields = {"family": _AF_INET, "prefixlen": network.prefixlen, "index": index}
    return encode(ifaddrmsg(), kind, flags, attributes, fields)


def add_address(index: int, address: IPv4Interface) -> bytes:
    """Gives a link an address."""
    return _address(NEWADDR, CREATE_NEW, index, address)


def delete_address(index: int, address: IPv4Interface) -> bytes:
    """Takes an address from a link."""
    return _address(DELADDR, CHANGE, index, address)


def dump_addresses() -> bytes:
    """Every IPv4 address."""
    return encode(ifaddrmsg(), GETADDR, REQUEST | DUMP, [], {"family": _AF_INET})


def _route(kind: int, flags: int, destination: IPv4Network, via: IPv4Address) -> bytes:
    attributes: Attributes = [("RTA_DST", str(destination.network_address)), ("RTA_GATEWAY", str(via))]
    fields = {"family": _AF_INET, "dst_len": destination.prefixlen, "table": _MAIN_TABLE, "proto": PROTOCOL}
    if kind == NEWROUTE:
        fields["type"] = _UNICAST
    else:
        fields["scope"] = 255  # nowhere: whichever it has
    return encode(rtmsg(), kind, flags, attributes, fields)


def add_route(destination: IPv4Network, via: IPv4Address) -> bytes:
    """A route in the main table, in place of another one to the same destination."""
    return _route(NEWROUTE, REQUEST | ACK | _CREATE | _REPLACE, destination, via)


def delete_route(destination: IPv4Network, via: IPv4Address) -> bytes:
    """Takes a route of ours away."""
    return _route(DELROUTE, CHANGE, destination, via)


def dump_routes() -> bytes:
    """Every IPv4 route of every table."""
    return encode(rtmsg(), GETROUTE, REQUEST | DUMP, [], {"family": _AF_INET})
