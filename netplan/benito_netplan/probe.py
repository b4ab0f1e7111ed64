"""What the kernel can do with links, found by trying it in a namespace that nobody else sees."""

import socket
from collections.abc import Iterator, Sequence
from functools import cache

from benito.errors import KernelFeatureMissing, LinkError
from benito.launch import run
from benito.model import Shaping
from benito.plan import LinkPlan, PnodePlan, PortPlan, Realization
from benito.seams import Lack
from benito_netplan import firewall, kernel, messages, traffic
from benito_netplan.desired import toward
from benito_netplan.rtnl import Netlink, Request, failed
from benito_netplan.shaping import Discipline, Feature, delay_text, rate_text, shaping_text

_HTB_QUEUE = Discipline(rate_bytes_per_s=125_000, limit=50)
_NETEM_QUEUE = Discipline(delay_ticks=15_625, line_packets=50)
_LINK_KINDS = ((Feature.BRIDGE, "bridge"), (Feature.IFB, "ifb"))
_UNSHAPED = "or pass --allow-unshaped"
_MODULES = {
    Feature.VETH: "load the kernel module veth",
    Feature.BRIDGE: "load the kernel module bridge",
    Feature.IFB: f"load the kernel module ifb, {_UNSHAPED}",
    Feature.HTB: f"load the kernel module sch_htb, {_UNSHAPED}",
    Feature.NETEM: f"load the kernel module sch_netem, {_UNSHAPED}",
    Feature.REDIRECT: "load the kernel modules cls_u32 and act_mirred",
    Feature.NFT: "install nftables, on a kernel with its inet family (NF_TABLES_INET)",
}
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
    """What the plan's links are made with: everything, unless its user allows to do without what is not there."""
    return link_features() if plan.allow_unshaped else EVERY_FEATURE


def lacks(plan: PnodePlan, features: frozenset[Feature]) -> list[Lack]:
    """What `plan` needs and is not among `features`. Pure."""
    return [lack for link in plan.links for lack in _link_lacks(link, features)] + [
        Lack(
            missing="nft (packet filter)", element=f"control interface of node {node.name}", hint=_MODULES[Feature.NFT]
        )
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
        pair = messages.add_veth(messages.host_end("try-a", group=0), messages.host_end("try-b", group=0))
        if not _works(netlink, pair):
            return
        yield Feature.VETH
        near, far = socket.if_nametoindex("try-a"), socket.if_nametoindex("try-b")
        if _works(netlink, *traffic.add_redirect(near, far)):
            yield Feature.REDIRECT
        if _works(netlink, *traffic.add_queue(near, _HTB_QUEUE)):
            yield Feature.HTB
        if _works(netlink, *traffic.add_queue(far, _NETEM_QUEUE)):
            yield Feature.NETEM


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


def _link_lacks(link: LinkPlan, features: frozenset[Feature]) -> Iterator[Lack]:
    bridged = link.realization is Realization.BRIDGE
    element = f"{'LAN' if bridged else 'link'} {link.lan}"
    halves = [shaping for port in link.ports for shaping in (port.into, port.out_of)]

    def lack(feature: Feature, missing: str, asked: str = "", *, shaping: bool = False) -> Lack:
        return Lack(
            missing=missing,
            element=f"{element}: {asked}" if asked else element,
            hint=_MODULES[feature],
            shaping=shaping,
        )

    if bridged and Feature.BRIDGE not in features:
        yield lack(Feature.BRIDGE, "bridges")
    if Feature.VETH not in features:
        yield lack(Feature.VETH, "veth")
    if link.realization is Realization.WIRE and Feature.REDIRECT not in features:
        yield lack(Feature.REDIRECT, "redirection (u32 and mirred)")
    if any(half.needs_netem for half in halves) and Feature.NETEM not in features:
        yield lack(Feature.NETEM, "netem (delay and loss)", asked_of(link), shaping=True)
    if any(half.rate_kbps is not None for half in halves) and Feature.HTB not in features:
        yield lack(Feature.HTB, "htb (rates)", _rates(halves), shaping=True)
    into = bridged and any(not port.into.is_clear for port in link.ports)
    if into and not {Feature.IFB, Feature.REDIRECT} <= features:
        yield lack(Feature.IFB, "ifb and redirection (shaping on the way into a LAN)", shaping=True)


def _rates(halves: Sequence[Shaping]) -> str:
    return ", ".join(rate_text(rate) for rate in sorted({half.rate_kbps for half in halves if half.rate_kbps}))


def asked_of(link: LinkPlan) -> str:
    """What the link asks for beyond rates, for a person to read."""
    if link.realization is not Realization.BRIDGE and len(link.ports) == 2:
        first, second = link.ports
        back, forth = toward((first, second))
        if _same(back, forth):
            delay = f"{delay_text(forth.delay_us)} each way" if forth.delay_us else ""
            loss = shaping_text(Shaping(loss_ratio=forth.loss_ratio))
            return ", ".join(part for part in (delay, loss) if part)
        ways = ((first, second, forth), (second, first, back))
        return "; ".join(f"{shaping_text(way)} from {a.node} to {b.node}" for a, b, way in ways if way.needs_netem)
    ports = [(port, text) for port in link.ports if (text := _port_text(port))]
    texts = {text for _, text in ports}
    if len(texts) == 1 and len(ports) == len(link.ports):
        return f"{texts.pop()} at every node"
    shown = "; ".join(f"{text} at {port.node}" for port, text in ports[:4])
    return f"{shown}; and {len(ports) - 4} more" if len(ports) > 4 else shown


def _same(one: Shaping, other: Shaping) -> bool:
    return (one.delay_us, one.loss_ratio) == (other.delay_us, other.loss_ratio)


def _port_text(port: PortPlan) -> str:
    into, out_of = shaping_text(port.into), shaping_text(port.out_of)
    return " and ".join(text for text in (into and f"{into} into it", out_of and f"{out_of} out of it") if text)
