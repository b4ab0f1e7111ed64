"""Makes requests of the changes of trunks."""

import errno
from collections.abc import Iterator
from ipaddress import IPv4Address

from benito.site import TrunkKind
from benito_netplan import messages_trunks as messages
from benito_netplan import ops_trunks as ops
from benito_netplan.inside import link_index
from benito_netplan.rtnl import Request

_GONE = frozenset({errno.ENOENT})
_FEATURES = {TrunkKind.VLAN: "VLANs (module 8021q)", TrunkKind.VXLAN: "VXLAN (module vxlan)"}
_FILTERING = "VLAN filtering of bridges (BRIDGE_VLAN_FILTERING)"


def trunk_requests(op: ops.TrunkOp, group: int) -> Iterator[Request]:
    """What the kernel is asked; devices that an earlier stage makes must be there when it is asked for."""
    match op:
        case ops.AddTrunk():
            yield Request(data=_add_trunk(op, group), subject=op, feature=_FEATURES[op.kind])
        case ops.AddAwareBridge():
            for data in messages.add_aware_bridge(op.device, group=group, mac=op.mac):
                yield Request(data=data, subject=op, feature=_FILTERING)
        case ops.SetAwareBridge():
            for data in messages.set_aware_bridge(op.device):
                yield Request(data=data, subject=op, feature=_FILTERING)
        case ops.SetMtu():
            yield Request(data=messages.set_mtu(op.device, op.mtu_bytes), subject=op)
        case ops.SetPeer():
            data = messages.set_peer(link_index(op.device, op), op.peer, present=op.present)
            yield Request(data=data, subject=op, tolerated=frozenset() if op.present else _GONE)
        case ops.SetAccess():
            data = messages.set_access(link_index(op.device, op), op.vlan, present=op.present)
            yield Request(data=data, subject=op, tolerated=frozenset() if op.present else _GONE)


def _add_trunk(op: ops.AddTrunk, group: int) -> bytes:
    interface = link_index(op.interface, op)
    if op.kind is TrunkKind.VLAN:
        return messages.add_vlan(op.device, group=group, number=op.id, interface=interface, mtu_bytes=op.mtu_bytes)
    return messages.add_vxlan(
        op.device,
        group=group,
        number=op.id,
        interface=interface,
        local=op.local or IPv4Address(0),
        mtu_bytes=op.mtu_bytes,
    )
