"""What this kernel can do with links, how what it cannot is replaced, and what of the machine's own rules may be in the
way.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benito.checkup import Finding, Verdict
from benito.errors import LinkError
from benito.launch import run
from benito_netplan import firewall, probe
from benito_netplan.lacking import MODULES
from benito_netplan.relay import CAPACITY_KBPS, MAX_BYTES_IN_FLIGHT
from benito_netplan.shapers import RELAY_ACCURACY
from benito_netplan.shaping import Feature, rate_text

_FOR_BRIDGES = ("iptables", "ip6tables", "arptables")
#: What each is for, and what is not possible without it.
_NEEDED = {
    Feature.VETH: ("veth pairs, what links are made of", "no link can be made"),
    Feature.BRIDGE: ("bridges, for LANs and the control network", "no LAN, machine or container can be made"),
    Feature.REDIRECT: ("wires: links that are shaped, or of machines and containers", "such links are refused"),
    Feature.HTB: ("bandwidth", "files that ask for a bandwidth are refused"),
    Feature.IFB: ("shaping on the way into a LAN", "LANs that are shaped are refused"),
}
_BETWEEN_PNODES = {
    Feature.VLAN: ("trunks between pnodes by VLAN", "sites with such trunks are refused"),
    Feature.VXLAN: ("trunks between pnodes by VXLAN", "sites with such trunks are refused"),
    Feature.VLAN_FILTERING: (
        "one bridge for all LANs, where a site asks for it (bridges in its file)",
        "sites that ask for it are refused; others have a bridge for each LAN",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """The machine's own rules for packets. `bridge_calls`: switch bridge-nf-call-* -> whether it is on; `dropping`:
    chains that drop, by default, what is forwarded.
    """

    bridge_calls: Mapping[str, bool]
    dropping: Sequence[str]


def checkup() -> list[Finding]:
    """Tries what the kernel can, looks at the machine's rules. Raises LinkError where that may not be tried."""
    features = probe.link_features() | ({Feature.NFT} if probe.has_nft() else frozenset())
    return [*judged_features(features), *judged_rules(observe_rules())]


def judged_features(features: frozenset[Feature]) -> list[Finding]:
    """What these features mean for links. Pure."""
    return [
        *(_needed(feature, there=feature in features) for feature in _NEEDED),
        _delays(features),
        _red(features),
        _nft(there=Feature.NFT in features),
        *(_between(feature, there=feature in features) for feature in _BETWEEN_PNODES),
    ]


def _needed(feature: Feature, *, there: bool) -> Finding:
    what, without = _NEEDED[feature]
    if there:
        return Finding(subject=feature, verdict=Verdict.OK, said=what)
    return Finding(subject=feature, verdict=Verdict.PROBLEM, said=f"missing ({what}): {without}", hint=MODULES[feature])


def _delays(features: frozenset[Feature]) -> Finding:
    if Feature.NETEM in features:
        return Finding(subject=Feature.NETEM, verdict=Verdict.OK, said="delay, jitter, loss and the like")
    if Feature.RELAY in features:
        limits = f"at most {rate_text(CAPACITY_KBPS)} each way, {MAX_BYTES_IN_FLIGHT >> 20} MiB under way"
        return Finding(
            subject=Feature.NETEM,
            verdict=Verdict.NOTE,
            said=f"missing: the relay makes delay and loss, {RELAY_ACCURACY}, {limits}, one process an experiment",
            hint="load the kernel module sch_netem for less load",
        )
    return Finding(
        subject=Feature.NETEM,
        verdict=Verdict.PROBLEM,
        said="missing, and no relay that could replace it: files that ask for delay or loss are refused",
        hint=MODULES[Feature.NETEM],
    )


def _red(features: frozenset[Feature]) -> Finding:
    if Feature.RELAY in features:
        return Finding(subject=Feature.RELAY, verdict=Verdict.OK, said="RED and GRED queues, and what netem cannot")
    return Finding(
        subject=Feature.RELAY,
        verdict=Verdict.NOTE,
        said="cannot run here: files with RED or GRED queues are refused",
        hint=MODULES[Feature.RELAY],
    )


def _nft(*, there: bool) -> Finding:
    if there:
        return Finding(subject=Feature.NFT, verdict=Verdict.OK, said="keeps nodes from reaching this machine")
    return Finding(
        subject=Feature.NFT,
        verdict=Verdict.PROBLEM,
        said="cannot write rules: machines and containers are refused, for they could reach this machine",
        hint=MODULES[Feature.NFT],
    )


def _between(feature: Feature, *, there: bool) -> Finding:
    what, without = _BETWEEN_PNODES[feature]
    if there:
        return Finding(subject=feature, verdict=Verdict.OK, said=what)
    return Finding(subject=feature, verdict=Verdict.NOTE, said=f"missing ({what}): {without}")


def observe_rules(proc: Path = Path("/proc")) -> HostRules:
    """Looks at the machine's rules; loads nothing."""
    bridge = proc / "sys/net/bridge"
    calls = {name: bridge / f"bridge-nf-call-{name}" for name in _FOR_BRIDGES}
    return HostRules(
        bridge_calls={path.name: path.read_text().strip() != "0" for path in calls.values() if path.exists()},
        dropping=tuple(_dropping(proc)),
    )


def judged_rules(rules: HostRules) -> Iterator[Finding]:
    """What the machine's rules do to links. Pure."""
    on = [name for name, is_on in rules.bridge_calls.items() if is_on]
    dropping = ", ".join(rules.dropping)
    if on:
        yield Finding(
            subject="packet filter on bridges",
            verdict=Verdict.NOTE,
            said=f"on ({', '.join(on)}); Benito's bridges have it off for themselves, other bridges here do not",
        )
    else:
        yield Finding(subject="packet filter on bridges", verdict=Verdict.OK, said="off, or not in this kernel")
    if dropping:
        yield Finding(
            subject="forwarding",
            verdict=Verdict.NOTE,
            said=f"dropped by {dropping}; links do not pass there, but what you route or bridge to them yourself does",
            hint="let your own addresses through there, if you join a LAN to another network",
        )
    else:
        yield Finding(subject="forwarding", verdict=Verdict.OK, said="no chain drops it by default")


def dropping_chains(text: bytes) -> list[str]:
    """The chains that drop by default what is forwarded, in what `nft --json list chains` prints."""
    chains = [item["chain"] for item in json.loads(text)["nftables"] if "chain" in item]
    return [
        f"{chain['family']} {chain['table']} {chain['name']}"
        for chain in chains
        if chain.get("hook") == "forward" and chain.get("policy") == "drop"
    ]


def _dropping(proc: Path) -> Iterator[str]:
    if firewall.is_installed():
        with suppress(LinkError):  # no nftables in this kernel: no chains
            yield from dropping_chains(run(["nft", "--json", "list", "chains"], error=LinkError))
    for family, program in (("ip", "iptables-legacy"), ("ip6", "ip6tables-legacy")):
        # The program would load the table's module; where the table is not in use, there is nothing to be seen.
        names = proc / f"net/{family}_tables_names"
        if names.exists() and "filter" in names.read_text().split():
            yield from _legacy(program)


def _legacy(program: str) -> Iterator[str]:
    try:
        rules = run([program, "-w", "-S", "FORWARD"], error=LinkError).decode()
    except LinkError:
        return  # the table is of another namespace's making, or the program is not there
    if "-P FORWARD DROP" in rules.splitlines():
        yield f"{program} FORWARD"
