"""What trunks need and the pnode has not. Pure; `probe` and `driver` find out what there is."""

from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv4Address

from benito.plan import LinkPlan, PnodePlan, Realization
from benito.seams import Lack
from benito.site import VXLAN_OVERHEAD_BYTES, TrunkKind
from benito_netplan.observe import Link
from benito_netplan.shaping import Feature

_KINDS = {
    TrunkKind.VLAN: (
        Feature.VLAN,
        'load the kernel module 8021q, or write trunk = "vxlan" under [network] in the site file',
    ),
    TrunkKind.VXLAN: (
        Feature.VXLAN,
        'load the kernel module vxlan, or write trunk = "vlan" under [network] in the site file',
    ),
}
_NO_FILTERING = (
    'take a kernel with BRIDGE_VLAN_FILTERING, or write bridges = "per-lan" under [network] in the site file'
)


def trunk_lacks(link: LinkPlan, features: frozenset[Feature], element: str) -> Iterator[Lack]:
    """What a link needs of the kernel to continue elsewhere, or to share a bridge."""
    if link.trunk is not None:
        feature, hint = _KINDS[link.trunk.kind]
        if feature not in features:
            yield Lack(missing=str(feature), element=element, hint=hint)
    if link.realization is Realization.AWARE and Feature.VLAN_FILTERING not in features:
        yield Lack(missing=str(Feature.VLAN_FILTERING), element=element, hint=_NO_FILTERING)


def interface_lacks(
    plan: PnodePlan, links: Mapping[str, Link], addresses: Mapping[str, Collection[IPv4Address]]
) -> Iterator[Lack]:
    """What trunks need of the pnode's interfaces; `addresses` has those of each."""
    trunks = {
        (trunk.interface, trunk.kind, trunk.local, trunk.mtu_bytes): trunk
        for link in plan.links
        if (trunk := link.trunk) is not None
    }
    for trunk in trunks.values():
        name, seen = trunk.interface, links.get(trunk.interface)
        element = f"trunks over {name} of {plan.pnode}"
        around = VXLAN_OVERHEAD_BYTES if trunk.kind is TrunkKind.VXLAN else 0
        if seen is None:
            hint = "name the pnode's interface on the experiment network in the site file: interface"
            yield Lack(missing=f"an interface {name}", element=element, hint=hint)
            continue
        if not seen.up:
            yield Lack(missing=f"{name} to be up", element=element, hint=f"ip link set {name} up")
        if seen.mtu_bytes < trunk.mtu_bytes + around:
            missing = f"an MTU of {trunk.mtu_bytes + around} on {name}, which has {seen.mtu_bytes}"
            hint = f"raise it, or write mtu = {seen.mtu_bytes} under [network] in the site file"
            yield Lack(missing=missing, element=element, hint=hint)
        if trunk.local is not None and trunk.local not in addresses.get(name, ()):
            hint = "the site file's addresses are those that the pnodes have; give the interface its own"
            yield Lack(missing=f"the address {trunk.local} on {name}", element=element, hint=hint)
