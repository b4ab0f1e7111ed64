"""What is to be done about trunks and the VLANs of bridges. Pure."""

from collections.abc import Callable, Collection, Iterator

from benito.errors import LinkError
from benito.site import ETHERNET_MTU_BYTES, TrunkKind
from benito_netplan import ops_trunks as ops
from benito_netplan.marks import is_ours
from benito_netplan.messages_trunks import VXLAN_PORT
from benito_netplan.observe import Link, Observed
from benito_netplan.observe_trunks import SeenTrunk
from benito_netplan.ops import AddBridge
from benito_netplan.wanted import Desired, WantedBridge, WantedPort, WantedTrunk

_MTU_REASON = "what is longer does not fit through the LAN"


def settings(wanted: WantedTrunk, observed: Observed) -> SeenTrunk:
    """What the device should be seen with. Raises LinkError where the interface below it is not there."""
    below = observed.links.get(wanted.interface)
    if below is None:
        raise LinkError(
            f"the interface {wanted.interface} that {wanted.what} is to leave the pnode by is not there",
            hint="name the pnode's interface on the experiment network in the site file: interface",
        )
    port = VXLAN_PORT if wanted.kind is TrunkKind.VXLAN else None
    return SeenTrunk(kind=wanted.kind, id=wanted.id, interface=below.index, local=wanted.local, port=port)


def refuse_taken(wanted: WantedTrunk, desired: Desired, observed: Observed) -> None:
    """Raises LinkError where somebody else's device has the id: the kernel gives it once."""
    right = settings(wanted, observed)
    for link in observed.links.values():
        seen = link.trunk
        if seen is None or (seen.kind, seen.id, seen.port) != (right.kind, right.id, right.port):
            continue
        elsewhere = seen.kind is TrunkKind.VLAN and seen.interface != right.interface
        if not elsewhere and not is_ours(link, desired.experiment, desired.group):
            name = "VLAN" if seen.kind is TrunkKind.VLAN else "VXLAN network"
            raise LinkError(
                f"{name} {seen.id} that {wanted.what} is to have belongs to the device {link.name},"
                " which is not this experiment's",
                hint=f"look at it: ip -d link show {link.name}; keep its id out of the site file's ranges",
            )


def added(wanted: WantedTrunk, reason: str) -> ops.AddTrunk:
    """The change that makes the device."""
    return ops.AddTrunk(
        device=wanted.device,
        altname=wanted.altname,
        what=wanted.what,
        kind=wanted.kind,
        id=wanted.id,
        interface=wanted.interface,
        local=wanted.local,
        mtu_bytes=wanted.mtu_bytes,
        reason=reason,
    )


def bridge_added(wanted: WantedBridge) -> AddBridge | ops.AddAwareBridge:
    """The change that makes a bridge, of either kind."""
    if wanted.aware:
        return ops.AddAwareBridge(
            device=wanted.device, altname=wanted.altname, mac=wanted.mac, what=wanted.what, reason="it is not there"
        )
    return AddBridge(
        device=wanted.device,
        altname=wanted.altname,
        mac=wanted.mac,
        what=wanted.what,
        control=wanted.control,
        reason="it is not there",
    )


def changed(old: SeenTrunk, right: SeenTrunk) -> str:
    """Why a device cannot stay."""
    if (old.kind, old.id) != (right.kind, right.id):
        return f"it was {old.kind.upper()} {old.id}"
    return "its settings differ"


def peer_ops(wanted: WantedTrunk, observed: Observed, *, new: bool) -> Iterator[ops.SetPeer]:
    """To which pnodes the device sends, and to which no more."""
    seen = frozenset() if new else observed.peers.get(wanted.device, frozenset())
    for peer in sorted(seen - wanted.peers):
        yield ops.SetPeer(device=wanted.device, peer=peer, present=False, reason="the LAN is there no longer")
    for peer in sorted(wanted.peers - seen):
        yield ops.SetPeer(device=wanted.device, peer=peer, present=True, reason="the LAN continues there")


def access_ops(
    desired: Desired, observed: Observed, new: Collection[str], will_be: Callable[[str], bool]
) -> Iterator[ops.SetAccess]:
    """Each port of a VLAN-aware bridge in its VLAN and in no other; `new` ones begin without any."""
    for device, vlan in desired.accesses.items():
        if not will_be(device):
            continue
        seen = frozenset() if device in new else observed.accesses.get(device, frozenset())
        for other, _ in sorted(seen):
            if other != vlan:
                yield ops.SetAccess(device=device, vlan=other, present=False, reason="it is another LAN's")
        if (vlan, True) not in seen:
            yield ops.SetAccess(device=device, vlan=vlan, present=True, reason="it belongs to that LAN")


def mtu_ops(device: str, link: Link | None, wanted_bytes: int) -> Iterator[ops.SetMtu]:
    """The host-side device's MTU; a new device (None) has Ethernet's."""
    if wanted_bytes != (ETHERNET_MTU_BYTES if link is None else link.mtu_bytes):
        yield ops.SetMtu(device=device, mtu_bytes=wanted_bytes, reason=_MTU_REASON)


def inside_mtu_ops(wanted: WantedPort, far: Link | None) -> Iterator[ops.SetInsideMtu]:
    """The same for the node's end of a port."""
    inside = wanted.inside
    if inside is not None and wanted.mtu_bytes != (ETHERNET_MTU_BYTES if far is None else far.mtu_bytes):
        yield ops.SetInsideMtu(
            netns=inside.netns, interface=inside.name, mtu_bytes=wanted.mtu_bytes, reason=_MTU_REASON
        )
