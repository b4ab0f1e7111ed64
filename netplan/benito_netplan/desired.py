"""Which links a plan asks for on this pnode, in the kernel's terms. Pure."""

from collections.abc import Collection, Iterator, Mapping

from benito.model import CLEAR, Kind
from benito.names import ExperimentId, alternative_name, digest, mac_address
from benito.plan import LinkPlan, NodePlan, PnodePlan, PortPlan, Realization
from benito_netplan.desired_trunks import accesses, trunks, wired_pipes, wired_port
from benito_netplan.pipes import pipe, relayed, shim_devices, toward
from benito_netplan.relay import Pipe
from benito_netplan.shaping import Feature, queue_for
from benito_netplan.wanted import (
    Desired,
    Inside,
    WantedBridge,
    WantedDirect,
    WantedFirewall,
    WantedIfb,
    WantedNamespace,
    WantedPort,
    WantedShim,
)

#: What the alternative names of the control network begin with after the experiment's; no LAN can be called so.
_CONTROL = "_control"


def desired_links(plan: PnodePlan, features: frozenset[Feature]) -> Desired:
    """What `plan` asks for, done with `features`: all of them, unless its user allowed to do without."""
    nodes = {node.name: node for node in plan.nodes}
    here = [(link, _ports_here(link, nodes)) for link in plan.links]
    bridged = [(link, ports) for link, ports in here if link.realization.is_bridged and ports]
    controlled = [node for node in plan.nodes if node.control is not None]
    ifbs = tuple(ifb for link, ports in bridged for port in ports if (ifb := _ifb(plan, link, port, features)))
    shims = [(_shim(plan, link, port), port) for link, ports in bridged for port in relayed(link, ports, features)]
    return Desired(
        experiment=plan.experiment,
        group=plan.group,
        namespaces=tuple(_namespace(plan, node) for node in plan.nodes if node.kind is Kind.PROCESS),
        bridges=(
            *{link.bridge: _lan_bridge(plan, link) for link, _ in bridged}.values(),
            *([_control_bridge(plan)] if controlled else []),
        ),
        ifbs=ifbs,
        ports=(
            *_bridge_ports(bridged, nodes, features, frozenset(ifb.device for ifb in ifbs)),
            *_wire_ports(here, nodes, features),
            *(port for node in controlled for port in _control_ports(plan, node)),
        ),
        shims=tuple(shim for shim, _ in shims),
        pipes=(
            *(one for shim, port in shims for one in _lan_pipes(shim, port)),
            *_wire_pipes(here, features),
        ),
        directs=tuple(
            WantedDirect(what=f"link {link.lan}", ends=(_inside(first, nodes), _inside(second, nodes)))
            for link, ports in here
            if link.realization is Realization.DIRECT
            for first, second in [_pair(ports)]
        ),
        firewall=_firewall(plan, {link.bridge for link, _ in bridged}) if controlled else None,
        control_bridge=plan.control_bridge,
        trunks=tuple(trunks(here, features)),
        accesses=accesses(bridged, features),
    )


def table_name(experiment: ExperimentId) -> str:
    """The experiment's table of packet filter rules: `benito_` and 16 letters of its digest."""
    return f"benito_{digest('table', experiment.pid, experiment.eid).hex()[:16]}"


def _ports_here(link: LinkPlan, nodes: Mapping[str, NodePlan]) -> tuple[PortPlan, ...]:
    return tuple(port for port in link.ports if port.node in nodes)


def _pair(ports: tuple[PortPlan, ...]) -> tuple[PortPlan, PortPlan]:
    first, second = ports  # the planner gives a wire exactly two ports on one pnode
    return first, second


def _what(port: PortPlan) -> str:
    return f"{port.interface} of {port.node}"


def _inside(port: PortPlan, nodes: Mapping[str, NodePlan]) -> Inside:
    return Inside(netns=nodes[port.node].dns_name, name=port.interface, mac=port.mac)


def _far_end(port: PortPlan, nodes: Mapping[str, NodePlan]) -> Inside | None:
    return _inside(port, nodes) if port.kind is Kind.PROCESS else None


def _namespace(plan: PnodePlan, node: NodePlan) -> WantedNamespace:
    return WantedNamespace(
        netns=node.dns_name,
        altname=alternative_name(plan.experiment, "lo", node.name),
        addresses={interface.name: interface.address for interface in node.interfaces},
        routes=node.routes,
    )


def _lan_bridge(plan: PnodePlan, link: LinkPlan) -> WantedBridge:
    return WantedBridge(
        device=link.bridge,
        altname=link.altname,
        mac=mac_address(plan.experiment, _CONTROL, link.bridge),
        what=f"LAN {link.lan}" if link.vlan is None else f"the LANs of {plan.experiment}",
        aware=link.vlan is not None,
    )


def _control_bridge(plan: PnodePlan) -> WantedBridge:
    return WantedBridge(
        device=plan.control_bridge,
        altname=alternative_name(plan.experiment, _CONTROL),
        mac=mac_address(plan.experiment, _CONTROL, plan.control_bridge),
        what="the control network",
        control=True,
    )


def _firewall(plan: PnodePlan, bridges: Collection[str]) -> WantedFirewall:
    ports = [interface.device for node in plan.nodes if node.kind is not Kind.PROCESS for interface in node.interfaces]
    return WantedFirewall(
        table=table_name(plan.experiment), bridge=plan.control_bridge, devices=tuple(sorted((*bridges, *ports)))
    )


def _control_ports(plan: PnodePlan, node: NodePlan) -> Iterator[WantedPort]:
    if node.control is not None:
        yield WantedPort(
            device=node.control.device,
            altname=alternative_name(plan.experiment, _CONTROL, node.name),
            what=f"the control interface of {node.name}",
            bridge=plan.control_bridge,
            isolated=True,
        )


def _ifb(plan: PnodePlan, link: LinkPlan, port: PortPlan, features: frozenset[Feature]) -> WantedIfb | None:
    queue = queue_for(port.into, features, port.queue)
    if queue is None or not {Feature.IFB, Feature.REDIRECT} <= features or relayed(link, (port,), features):
        return None
    return WantedIfb(
        device=port.ifb,
        altname=alternative_name(plan.experiment, link.lan, port.node, port.interface, "into"),
        what=f"{_what(port)} into LAN {link.lan}",
        queue=queue,
    )


def _shim(plan: PnodePlan, link: LinkPlan, port: PortPlan) -> WantedShim:
    device, behind = shim_devices(port)
    marks = [alternative_name(plan.experiment, link.lan, port.node, port.interface, end) for end in ("lan", "relay")]
    return WantedShim(
        device=device,
        behind=behind,
        altname=marks[0],
        behind_altname=marks[1],
        what=f"{_what(port)} in LAN {link.lan}",
        bridge=link.bridge,
    )


def _lan_pipes(shim: WantedShim, port: PortPlan) -> tuple[Pipe, Pipe]:
    return pipe(port.device, shim.behind, port.into, port.queue), pipe(shim.behind, port.device, port.out_of)


def _bridge_ports(
    bridged: list[tuple[LinkPlan, tuple[PortPlan, ...]]],
    nodes: Mapping[str, NodePlan],
    features: frozenset[Feature],
    ifbs: frozenset[str],
) -> Iterator[WantedPort]:
    for link, ports in bridged:
        shaped = any(port.into != CLEAR or port.out_of != CLEAR for port in ports)
        through = relayed(link, ports, features)
        for port in ports:
            yield WantedPort(
                device=port.device,
                altname=port.altname,
                what=_what(port),
                inside=_far_end(port, nodes),
                bridge=None if port in through else link.bridge,
                redirect=port.ifb if port.ifb in ifbs else None,
                queue=None if port in through else queue_for(port.out_of, features),
                frames_only=shaped,
                relayed=port in through,
                down=port.node in link.down,
                mtu_bytes=port.mtu_bytes,
            )


def _wire_ports(
    here: list[tuple[LinkPlan, tuple[PortPlan, ...]]], nodes: Mapping[str, NodePlan], features: frozenset[Feature]
) -> Iterator[WantedPort]:
    for link, ports in here:
        if link.realization is not Realization.WIRE:
            continue
        if link.trunk is not None:
            yield from (wired_port(link, port, _far_end(port, nodes), features) for port in ports)
            continue
        pair = _pair(ports)
        ways = toward(pair)
        through = bool(relayed(link, pair, features))
        for port, other, shaping in zip(pair, reversed(pair), ways, strict=True):
            yield WantedPort(
                device=port.device,
                altname=port.altname,
                what=_what(port),
                inside=_far_end(port, nodes),
                redirect=None if through else other.device,
                queue=None if through else queue_for(shaping, features, other.queue),
                frames_only=ways != (CLEAR, CLEAR),
                relayed=through,
                down=port.node in link.down,
            )


def _wire_pipes(here: list[tuple[LinkPlan, tuple[PortPlan, ...]]], features: frozenset[Feature]) -> Iterator[Pipe]:
    for link, ports in here:
        if link.realization is Realization.WIRE and link.trunk is not None:
            yield from wired_pipes(link, ports, features)
        elif link.realization is Realization.WIRE and relayed(link, ports, features):
            pair = _pair(ports)
            for port, other, shaping in zip(pair, reversed(pair), toward(pair), strict=True):
                yield pipe(other.device, port.device, shaping, other.queue)
