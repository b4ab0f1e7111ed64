"""What a link needs and the kernel has not. Pure; `probe` finds out what there is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benito.model import Shaping
from benito.plan import LinkPlan, PortPlan, Realization
from benito.seams import Lack
from benito_netplan.lacking_trunks import trunk_lacks
from benito_netplan.pipes import is_pair, relayed, shaped, toward
from benito_netplan.relay import CAPACITY_KBPS, MAX_BYTES_IN_FLIGHT
from benito_netplan.shaping import Feature, needs_relay, rate_text, shaping_text

_ALL = frozenset(Feature)
_UNSHAPED = "or pass --allow-unshaped"
#: What to do where a feature is missing.
MODULES = {
    Feature.VETH: "load the kernel module veth",
    Feature.BRIDGE: "load the kernel module bridge",
    Feature.IFB: f"load the kernel module ifb, {_UNSHAPED}",
    Feature.HTB: f"load the kernel module sch_htb, {_UNSHAPED}",
    Feature.NETEM: f"load the kernel module sch_netem, {_UNSHAPED}",
    Feature.RELAY: f"install benito with its relay (a C compiler is needed), {_UNSHAPED}",
    Feature.REDIRECT: "load the kernel modules cls_u32 and act_mirred",
    Feature.NFT: "install nftables, on a kernel with its inet family (NF_TABLES_INET)",
}


def link_lacks(link: LinkPlan, features: frozenset[Feature]) -> Iterator[Lack]:
    """What a link needs that is not among `features`."""
    bridged = link.realization.is_bridged
    element = f"{'LAN' if bridged else 'link'} {link.lan}"
    halves = [shaping for port in link.ports for shaping in (port.into, port.out_of)]

    def lack(feature: Feature, missing: str, asked: str = "", *, shaping: bool = False) -> Lack:
        return Lack(
            missing=missing,
            element=f"{element}: {asked}" if asked else element,
            hint=MODULES[feature],
            shaping=shaping,
        )

    yield from trunk_lacks(link, features, element)
    if bridged and Feature.BRIDGE not in features:
        yield lack(Feature.BRIDGE, "bridges")
    if Feature.VETH not in features:
        yield lack(Feature.VETH, "veth")
    if link.realization is Realization.WIRE and Feature.REDIRECT not in features:
        yield lack(Feature.REDIRECT, "redirection (u32 and mirred)")
    through = relayed(link, link.ports, features)
    kernels = [half for port in link.ports if port not in through for half in (port.into, port.out_of)]
    if any(half.needs_netem for half in kernels) and Feature.NETEM not in features:
        yield lack(Feature.NETEM, "netem (delay and loss)", asked_of(link), shaping=True)
    if Feature.RELAY not in features and any(needs_relay(way, queue, _ALL) for way, queue in shaped(link, link.ports)):
        yield lack(Feature.RELAY, "the relay (RED queues)", shaping=True)
    if any(half.rate_kbps is not None for half in kernels) and Feature.HTB not in features:
        yield lack(Feature.HTB, "htb (rates)", _rates(halves), shaping=True)
    into = bridged and any(not port.into.is_clear for port in link.ports if port not in through)
    if into and not {Feature.IFB, Feature.REDIRECT} <= features:
        yield lack(Feature.IFB, "ifb and redirection (shaping on the way into a LAN)", shaping=True)
    if through:
        for missing, asked in _beyond_relay(link):
            yield lack(Feature.NETEM, missing, asked, shaping=True)


def _beyond_relay(link: LinkPlan) -> Iterator[tuple[str, str]]:
    """What the relay cannot carry of the link."""
    ways = [way for way, _ in shaped(link, link.ports)]
    fastest = max((way.rate_kbps or 0 for way in ways), default=0)
    if fastest > CAPACITY_KBPS:
        yield f"netem (the relay carries at most {rate_text(CAPACITY_KBPS)})", rate_text(fastest)
    flying = max(((way.rate_kbps or 0) * (way.delay_us + way.jitter_us) // 8000 for way in ways), default=0)
    if flying > MAX_BYTES_IN_FLIGHT:
        room = f"{MAX_BYTES_IN_FLIGHT >> 20} MiB"
        yield f"netem (the relay has room for {room} under way)", f"{flying >> 20} MiB of rate times delay"


def _rates(halves: Sequence[Shaping]) -> str:
    return ", ".join(rate_text(rate) for rate in sorted({half.rate_kbps for half in halves if half.rate_kbps}))


def asked_of(link: LinkPlan) -> str:
    """What the link asks for beyond rates, for a person to read."""
    if is_pair(link, link.ports):
        first, second = link.ports
        back, forth = toward((first, second))
        if shaping_text(back) == shaping_text(forth):
            delay = shaping_text(Shaping(delay_us=forth.delay_us, jitter_us=forth.jitter_us))
            rest = shaping_text(replace(forth, delay_us=0, jitter_us=0))
            return ", ".join(part for part in (delay and f"{delay} each way", rest) if part)
        ways = ((first, second, forth), (second, first, back))
        return "; ".join(f"{shaping_text(way)} from {a.node} to {b.node}" for a, b, way in ways if way.needs_netem)
    ports = [(port, text) for port in link.ports if (text := _port_text(port))]
    texts = {text for _, text in ports}
    if len(texts) == 1 and len(ports) == len(link.ports):
        return f"{texts.pop()} at every node"
    shown = "; ".join(f"{text} at {port.node}" for port, text in ports[:4])
    return f"{shown}; and {len(ports) - 4} more" if len(ports) > 4 else shown


def _port_text(port: PortPlan) -> str:
    into, out_of = shaping_text(port.into), shaping_text(port.out_of)
    return " and ".join(text for text in (into and f"{into} into it", out_of and f"{out_of} out of it") if text)
