"""Encodes requests about trunks: VLAN and VXLAN devices, their peers, MTUs, and VLANs of bridges. Pure."""

from functools import cache
from ipaddress import IPv4Address

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg

from benito_netplan.messages import (
    BRIDGE_SETTINGS,
    CHANGE,
    CREATE_NEW,
    DUMP,
    GETLINK,
    NEWLINK,
    REQUEST,
    SETLINK,
    Attributes,
    encode,
    nested,
)

_DELLINK, _NEWNEIGH, _DELNEIGH, _GETNEIGH = 17, 28, 29, 30
_ADD_ONE_MORE = REQUEST | 0x4 | 0x400 | 0x800  # acknowledge, create, append
_AF_BRIDGE = 7
_NTF_SELF, _NUD_PERMANENT = 0x02, 0x80
_BRIDGE_VLANS = 2  # a filter of dumps
_PVID, _UNTAGGED = 2, 4
DOT1Q, DOT1AD = 0x8100, 0x88A8
#: VXLAN's UDP port (IANA); Linux' own default is an older one.
VXLAN_PORT = 4789
VXLAN_TTL = 64
#: The address that a VXLAN device looks up for frames to everybody, and to whom it does not know yet.
ANYBODY = "00:00:00:00:00:00"
#: The bridge's VLANs are the pnode's own: nodes' frames keep the tags that they come with, and get one more.
AWARE_SETTINGS = {"IFLA_BR_VLAN_PROTOCOL": DOT1AD, "IFLA_BR_VLAN_DEFAULT_PVID": 0}


def add_vlan(name: str, *, group: int, number: int, interface: int, mtu_bytes: int) -> bytes:
    """A VLAN on the interface of that index, not yet up."""
    data: Attributes = [("IFLA_VLAN_ID", number), ("IFLA_VLAN_PROTOCOL", DOT1Q)]
    return _add(name, "vlan", data, group=group, mtu_bytes=mtu_bytes, more=[("IFLA_LINK", interface)])


def add_vxlan(name: str, *, group: int, number: int, interface: int, local: IPv4Address, mtu_bytes: int) -> bytes:
    """A VXLAN device that learns who is where, without peers, not yet up; it sends by the interface of that index."""
    data: Attributes = [
        ("IFLA_VXLAN_ID", number),
        ("IFLA_VXLAN_LINK", interface),
        ("IFLA_VXLAN_LOCAL", str(local)),
        ("IFLA_VXLAN_PORT", VXLAN_PORT),
        ("IFLA_VXLAN_LEARNING", 1),
        ("IFLA_VXLAN_TTL", VXLAN_TTL),
    ]
    return _add(name, "vxlan", data, group=group, mtu_bytes=mtu_bytes)


def _add(
    name: str, kind: str, data: Attributes, *, group: int, mtu_bytes: int, more: Attributes | None = None
) -> bytes:
    info = nested([("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", nested(data))])
    attributes: Attributes = [("IFLA_IFNAME", name), ("IFLA_GROUP", group), ("IFLA_MTU", mtu_bytes), *(more or [])]
    return encode(ifinfmsg(), NEWLINK, CREATE_NEW, [*attributes, ("IFLA_LINKINFO", info)], {})


def set_mtu(name: str, mtu_bytes: int) -> bytes:
    """What a link carries at most in a packet."""
    return encode(ifinfmsg(), SETLINK, CHANGE, [("IFLA_IFNAME", name), ("IFLA_MTU", mtu_bytes)], {})


def set_peer(device: int, peer: IPv4Address, *, present: bool) -> bytes:
    """Whether the VXLAN device of that index sends a copy of what is for everybody to that pnode."""
    kind, flags = (_NEWNEIGH, _ADD_ONE_MORE) if present else (_DELNEIGH, CHANGE)
    fields = {"family": _AF_BRIDGE, "ifindex": device, "state": _NUD_PERMANENT, "flags": _NTF_SELF}
    return encode(ndmsg(), kind, flags, [("NDA_LLADDR", ANYBODY), ("NDA_DST", str(peer))], fields)


def dump_peers(device: int) -> bytes:
    """Everything that the VXLAN device of that index knows of who is where."""
    return encode(ifinfmsg(), _GETNEIGH, REQUEST | DUMP, [], {"family": _AF_BRIDGE, "index": device})


def add_aware_bridge(name: str, *, group: int, mac: str) -> tuple[bytes, bytes]:
    """A VLAN-aware bridge, not yet up, on whose ports nothing passes before they are given a VLAN."""
    settings = nested([*BRIDGE_SETTINGS.items(), *AWARE_SETTINGS.items()])
    info = nested([("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", settings)])
    attributes: Attributes = [("IFLA_IFNAME", name), ("IFLA_GROUP", group), ("IFLA_ADDRESS", mac), ("IFLA_MTU", 1500)]
    added = encode(ifinfmsg(), NEWLINK, CREATE_NEW, [*attributes, ("IFLA_LINKINFO", info)], {})
    return added, _set_filtering(name, on=True)


def set_aware_bridge(name: str) -> tuple[bytes, bytes, bytes]:
    """Makes a bridge VLAN-aware again. A bridge that filters refuses to be told by what."""
    return _set_filtering(name, on=False), _set_bridge(name, AWARE_SETTINGS), _set_filtering(name, on=True)


def _set_filtering(name: str, *, on: bool) -> bytes:
    return _set_bridge(name, {"IFLA_BR_VLAN_FILTERING": int(on)})


def _set_bridge(name: str, settings: dict[str, int]) -> bytes:
    info = nested([("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", nested(list(settings.items())))])
    return encode(ifinfmsg(), NEWLINK, CHANGE, [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)], {})


def set_access(port: int, vlan: int, *, present: bool = True) -> bytes:
    """Makes a VLAN that of a bridge's port: what comes in untagged belongs to it, and its frames leave untagged."""
    flags = _PVID | _UNTAGGED if present else 0
    info = nested([("IFLA_BRIDGE_VLAN_INFO", {"flags": flags, "vid": vlan})])
    kind = SETLINK if present else _DELLINK
    return encode(ifinfmsg(), kind, CHANGE, [("IFLA_AF_SPEC", info)], {"family": _AF_BRIDGE, "index": port})


@cache
def dump_accesses() -> bytes:
    """Every bridge's ports with their VLANs."""
    attributes: Attributes = [("IFLA_EXT_MASK", _BRIDGE_VLANS)]
    return encode(ifinfmsg(), GETLINK, REQUEST | DUMP, attributes, {"family": _AF_BRIDGE})
