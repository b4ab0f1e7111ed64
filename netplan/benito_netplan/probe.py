"""What the kernel can do with links, found by trying it in a namespace that nobody else sees."""

import socket
from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Address

from benito.errors import KernelFeatureMissing, LinkError
from benito.launch import run
from benito.plan import PnodePlan
from benito.seams import Lack
from benito_netplan import firewall, kernel, messages, messages_trunks, relay, traffic
from benito_netplan.lacking import MODULES, link_lacks
from benito_netplan.rtnl import Netlink, Request, failed
from benito_netplan.shaping import Discipline, Feature

_HTB_QUEUE = Discipline(rate_bytes_per_s=125_000, limit=50)
_NETEM_QUEUE = Discipline(delay_ticks=15_625, line_packets=50)
_MAC = "02:be:00:00:00:01"
_LINK_KINDS = ((Feature.BRIDGE, "bridge"), (Feature.IFB, "ifb"))
#: Everything, whether the kernel has it or not.
EVERY_FEATURE = frozenset(Feature)


@cache
def link_features() -> frozenset[Feature]:
    """What this kernel has of all but NFT; found once. Raises LinkError where that may not be tried."""
    return kernel.in_thread(lambda: frozenset(_try_links()))


@cache
def has_nft() -> bool:
    """Whether packet filter tables can be written; found once."""
    return firewall.is_installed() and kernel.in_thread(_try_nft)


def usable_features(plan: PnodePlan) -> frozenset[Feature]:
    """What the plan's links are made with: everything, unless its user allows to do without what is not there.

    netem is left to the relay where only that is there.
    """
    found = link_features()
    if plan.allow_unshaped:
        return found
    relay_instead = Feature.RELAY in found and Feature.NETEM not in found
    return EVERY_FEATURE - {Feature.NETEM} if relay_instead else EVERY_FEATURE


def lacks(plan: PnodePlan, features: frozenset[Feature]) -> list[Lack]:
    """What `plan` needs and is not among `features`. Pure."""
    return [lack for link in plan.links for lack in link_lacks(link, features)] + [
        Lack(missing="nft (packet filter)", element=f"control interface of node {node.name}", hint=MODULES[Feature.NFT])
        for node in plan.nodes
        if node.control is not None and Feature.NFT not in features
    ][:1]


def _try_links() -> Iterator[Feature]:
    try:
        kernel.unshare_network()
    except OSError as error:
        raise failed("try what the kernel can do", error.errno or 0) from error
    with Netlink() as netlink:
        for feature, kind in _LINK_KINDS:
            if _works(netlink, messages.add_plain(f"try-{kind}", kind, group=0)):
                yield feature
        if relay.is_built() and relay.may_listen():
            yield Feature.RELAY
        if _works(netlink, *messages_trunks.add_aware_bridge("try-aware", group=0, mac=_MAC)):
            yield Feature.VLAN_FILTERING
        pair = messages.add_veth(messages.End(name="try-a"), messages.End(name="try-b"), group=0)
        if not _works(netlink, pair):
            return
        yield Feature.VETH
        near, far = socket.if_nametoindex("try-a"), socket.if_nametoindex("try-b")
        yield from _try_trunks(netlink, near)
        if _works(netlink, *traffic.add_redirect(near, far)):
            yield Feature.REDIRECT
        if _works(netlink, *traffic.add_queue(near, _HTB_QUEUE)):
            yield Feature.HTB
        if _works(netlink, *traffic.add_queue(far, _NETEM_QUEUE)):
            yield Feature.NETEM


def _try_trunks(netlink: Netlink, below: int) -> Iterator[Feature]:
    local = IPv4Address("127.0.0.1")
    vlan = messages_trunks.add_vlan("try-vlan", group=0, number=100, interface=below, mtu_bytes=1500)
    if _works(netlink, vlan):
        yield Feature.VLAN
    vxlan = messages_trunks.add_vxlan("try-vxlan", group=0, number=100, interface=below, local=local, mtu_bytes=1450)
    if _works(netlink, vxlan):
        yield Feature.VXLAN


def _works(netlink: Netlink, *requests: bytes) -> bool:
    try:
        netlink.do([Request(data=data, subject="try a feature", feature="such feature") for data in requests])
    except KernelFeatureMissing:
        return False
    return True


def _try_nft() -> bool:
    try:
        kernel.unshare_network()
        run(["nft", "-f", "-"], data=firewall.script("benito_try", "lo").encode(), error=LinkError)
    except (OSError, LinkError):
        return False
    return True
