"""Reads trunks: what VLAN and VXLAN devices are set to, their peers, and the VLANs of bridges' ports."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from benito.site import TrunkKind
from benito_netplan import messages_trunks as messages
from benito_netplan.attributes import attributes, u8, u32
from benito_netplan.rtnl import Netlink, Request

#: Kernel's numbers of attributes (if_link.h, if_bridge.h, neighbour.h).
_AF_SPEC, _BRIDGE_VLAN_INFO = 26, 2
_VLAN_ID, _VLAN_PROTOCOL = 1, 5
_ID, _LINK, _LOCAL, _TTL, _LEARNING, _PORT, _GROUP, _DF = 1, 3, 4, 5, 7, 15, 2, 29
_BR_FILTERING, _BR_PROTOCOL, _BR_DEFAULT_PVID = 7, 8, 39
_NDA_DST, _NDA_LLADDR = 1, 2
_NO_ADDRESS = bytes(6)
_VLAN_INFO = struct.Struct("=HH")
_INDEX = struct.Struct("=4xi")
#: An access port's flags: PVID and untagged.
_ACCESS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTrunk:
    """A VLAN or VXLAN device's settings. `interface` is the index of the one below it, `port` VXLAN's UDP port; `usual`
    tells whether the rest is as Benito sets it."""

    kind: TrunkKind
    id: int
    interface: int
    local: IPv4Address | None = None
    port: int | None = None
    usual: bool = True


def seen_trunk(kind: str, data: memoryview | None, below: int) -> SeenTrunk | None:
    """What the kernel says of a device of that kind; None for one that is no trunk."""
    if data is None or kind not in tuple(TrunkKind):
        return None
    found = dict(attributes(data))
    if kind == TrunkKind.VLAN:
        number, usual = _u16(found.get(_VLAN_ID)), _be16(found.get(_VLAN_PROTOCOL)) == messages.DOT1Q
        return SeenTrunk(kind=TrunkKind.VLAN, id=number, interface=below, usual=usual)
    usual = (
        u8(found.get(_LEARNING)) == 1
        and u8(found.get(_TTL)) == messages.VXLAN_TTL
        and u8(found.get(_DF)) == 0
        and _GROUP not in found
    )
    local = IPv4Address(bytes(found[_LOCAL])) if _LOCAL in found else None
    return SeenTrunk(
        kind=TrunkKind.VXLAN,
        id=u32(found.get(_ID)),
        interface=u32(found.get(_LINK)),
        local=local,
        port=_be16(found.get(_PORT)),
        usual=usual,
    )


def is_aware(data: memoryview) -> bool:
    """Whether a bridge's settings are those of our VLAN-aware ones."""
    found = dict(attributes(data))
    return (
        u8(found.get(_BR_FILTERING)) == 1
        and _be16(found.get(_BR_PROTOCOL)) == messages.DOT1AD
        and _u16(found.get(_BR_DEFAULT_PVID), 1) == 0
    )


def peers_here(netlink: Netlink, devices: Mapping[str, int]) -> dict[str, frozenset[IPv4Address]]:
    """The peers of VXLAN devices, whose names and indices are given."""
    return {name: frozenset(_peers(netlink, index)) for name, index in devices.items()}


def _peers(netlink: Netlink, index: int) -> Iterable[IPv4Address]:
    request = Request(data=messages.dump_peers(index), subject="list a VXLAN device's peers")
    for body in netlink.dump(request):
        found = dict(attributes(body[12:]))
        known = _NDA_LLADDR in found and _NDA_DST in found and len(found[_NDA_DST]) == 4
        if _INDEX.unpack_from(body)[0] == index and known and bytes(found[_NDA_LLADDR]) == _NO_ADDRESS:
            yield IPv4Address(bytes(found[_NDA_DST]))


def accesses_here(netlink: Netlink, names: Mapping[int, str]) -> dict[str, frozenset[tuple[int, bool]]]:
    """Bridge port -> its VLANs, each with whether it is one as an access port's; ports without any are left out."""
    found: dict[str, frozenset[tuple[int, bool]]] = {}
    for body in netlink.dump(Request(data=messages.dump_accesses(), subject="list the VLANs of bridges")):
        index = _INDEX.unpack_from(body)[0]
        spec = dict(attributes(body[16:])).get(_AF_SPEC)
        if spec is not None and index in names:
            infos = [_VLAN_INFO.unpack_from(value) for number, value in attributes(spec) if number == _BRIDGE_VLAN_INFO]
            found[names[index]] = frozenset((vlan, flags & _ACCESS == _ACCESS) for flags, vlan in infos)
    return found


def _be16(data: memoryview | None) -> int:
    return int.from_bytes(data[:2], "big") if data is not None else 0


def _u16(data: memoryview | None, default: int = 0) -> int:
    return int(struct.unpack_from("=H", data)[0]) if data is not None else default
