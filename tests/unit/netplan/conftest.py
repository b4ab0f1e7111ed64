"""Plans made by the planner, and the world that is exactly as a plan asks."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from builders import experiment, topology

from benito.model import Kind, Lan, Shaping, Topology
from benito.plan import PnodePlan
from benito.planner import plan_experiment
from benito.site import TrunkKind
from benito_netplan.desired import desired_links
from benito_netplan.observe import Ipv6, Link, Observed, SeenNamespace
from benito_netplan.observe_trunks import SeenTrunk
from benito_netplan.probe import EVERY_FEATURE
from benito_netplan.shaping import Feature
from benito_netplan.wanted import Desired, WantedPort

SILENT = Ipv6(addr_gen_mode=1, disabled=False, accept_ra=1, accept_dad=1)
CONTROL = Ipv6(addr_gen_mode=0, disabled=False, accept_ra=0, accept_dad=0)


def _plan(
    lans: dict[str, str],
    *,
    kind: Kind = Kind.PROCESS,
    kinds: dict[str, Kind] | None = None,
    shaped: dict[str, tuple[Shaping, Shaping]] | None = None,
    allow_unshaped: bool = False,
) -> PnodePlan:
    """All nodes on one pnode; `shaped` has, by LAN, what each member's two halves do."""
    base = topology(lans, kinds=kinds)
    made = experiment(_shape(base, shaped or {}), default_kind=kind, allow_unshaped=allow_unshaped)
    (plan,) = plan_experiment(made).pnodes
    return plan


def _shape(base: Topology, shaped: dict[str, tuple[Shaping, Shaping]]) -> Topology:
    def one(lan: Lan) -> Lan:
        if lan.name not in shaped:
            return lan
        into, out_of = shaped[lan.name]
        return replace(lan, members=tuple(replace(member, into=into, out_of=out_of) for member in lan.members))

    return replace(base, lans=tuple(one(lan) for lan in base.lans))


@pytest.fixture
def plan_of() -> Callable[..., PnodePlan]:
    return _plan


@dataclass
class World:
    """What the kernel would show of links that are as desired; the tests then break it."""

    desired: Desired
    observed: Observed

    def without_link(self, device: str) -> "World":
        links = {name: link for name, link in self.observed.links.items() if name != device}
        return replace(self, observed=replace(self.observed, links=links))

    def with_link(self, link: Link) -> "World":
        return replace(self, observed=replace(self.observed, links={**self.observed.links, link.name: link}))

    def change(self, device: str, **fields: object) -> "World":
        return self.with_link(replace(self.observed.links[device], **fields))  # type: ignore[arg-type]


def _world(plan: PnodePlan, features: frozenset[Feature] = EVERY_FEATURE) -> World:
    desired = desired_links(plan, features)
    links: dict[str, Link] = {}
    inside: dict[str, dict[str, Link]] = {
        namespace.netns: {"lo": Link(index=1, name="lo", group=plan.group, up=True, forwards_ipv4=True)}
        for namespace in desired.namespaces
    }
    for bridge in desired.bridges:
        links[bridge.device] = Link(
            index=100 + len(links),
            name=bridge.device,
            altnames=(bridge.altname,),
            group=plan.group,
            kind="bridge",
            up=True,
            ipv6=CONTROL if bridge.control else SILENT,
            plain_bridge=True,
            aware_bridge=bridge.aware,
        )
    for ifb in desired.ifbs:
        links[ifb.device] = Link(
            index=100 + len(links),
            name=ifb.device,
            altnames=(ifb.altname,),
            group=plan.group,
            kind="ifb",
            up=True,
            ipv6=SILENT,
        )
    for port in desired.ports:
        links[port.device] = _port(plan, port, links, inside)
    for trunk in desired.trunks:
        below = links.setdefault(trunk.interface, Link(index=100 + len(links), name=trunk.interface, up=True))
        links[trunk.device] = Link(
            index=100 + len(links),
            name=trunk.device,
            altnames=(trunk.altname,),
            group=plan.group,
            kind=trunk.kind,
            master_index=links[trunk.bridge].index if trunk.bridge else 0,
            up=True,
            ipv6=SILENT,
            mtu_bytes=trunk.mtu_bytes,
            shut=trunk.relayed,
            trunk=SeenTrunk(
                kind=trunk.kind,
                id=trunk.id,
                interface=below.index,
                local=trunk.local,
                port=4789 if trunk.kind is TrunkKind.VXLAN else None,
            ),
        )
    for shim in desired.shims:
        near, behind = 100 + len(links), 101 + len(links)
        for device, altname, index, peer in (
            (shim.device, shim.altname, near, behind),
            (shim.behind, shim.behind_altname, behind, near),
        ):
            links[device] = Link(
                index=index,
                name=device,
                altnames=(altname,),
                group=plan.group,
                kind="veth",
                peer_index=peer,
                master_index=links[shim.bridge].index if device == shim.device else 0,
                up=True,
                ipv6=SILENT,
                shut=device == shim.behind,
            )
    for direct in desired.directs:
        numbers = [len(inside[end.netns]) + 1 for end in direct.ends]
        for end, own, other in zip(direct.ends, numbers, reversed(numbers), strict=True):
            inside[end.netns][end.name] = Link(
                index=own, name=end.name, group=plan.group, kind="veth", peer_index=other, up=True, mac=end.mac
            )
    return World(
        desired=desired,
        observed=Observed(
            links=links,
            queues={each.device: each.queue for each in (*desired.ifbs, *desired.ports, *desired.trunks) if each.queue},
            redirects={port.device: port.redirect for port in (*desired.ports, *desired.trunks) if port.redirect},
            namespaces={
                namespace.netns: SeenNamespace(
                    netns=namespace.netns,
                    links=inside[namespace.netns],
                    addresses=dict.fromkeys(namespace.addresses.items(), True),
                    routes=dict.fromkeys(namespace.routes, True),
                )
                for namespace in desired.namespaces
            },
            guarded=True,
            pipes={pipe.source: pipe for pipe in desired.pipes} if desired.pipes else None,
            peers={trunk.device: trunk.peers for trunk in desired.trunks},
            accesses={device: frozenset({(vlan, True)}) for device, vlan in desired.accesses.items()},
        ),
    )


def _port(plan: PnodePlan, port: WantedPort, links: dict[str, Link], inside: dict[str, dict[str, Link]]) -> Link:
    index, peer = 100 + len(links), 0
    if port.inside is not None:
        peer = len(inside[port.inside.netns]) + 1
        inside[port.inside.netns][port.inside.name] = Link(
            index=peer,
            name=port.inside.name,
            group=plan.group,
            kind="veth",
            peer_index=index,
            up=True,
            mac=port.inside.mac,
            frames_only=port.frames_only,
            mtu_bytes=port.mtu_bytes,
        )
    return Link(
        index=index,
        name=port.device,
        altnames=(port.altname,),
        group=plan.group,
        kind="veth" if port.inside else "tun",
        master_index=links[port.bridge].index if port.bridge else 0,
        peer_index=peer,
        up=True,
        ipv6=SILENT,
        isolated=port.isolated,
        mtu_bytes=port.mtu_bytes,
        shut=port.relayed,
    )


@pytest.fixture
def world_of() -> Callable[[PnodePlan], World]:
    return _world
