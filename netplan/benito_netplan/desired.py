"""Which links a plan asks for on this pnode, in the kernel's terms. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface

from benito.model import CLEAR, Kind, Shaping
from benito.names import ExperimentId, alternative_name, digest, mac_address
from benito.plan import LinkPlan, NodePlan, PnodePlan, PortPlan, Realization, RoutePlan
from benito_netplan.shaping import Discipline, Feature, queue_for

#: What the alternative names of the control network begin with after the experiment's; no LAN can be called so.
_CONTROL = "_control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """An interface as the node in the namespace `netns` sees it."""

    netns: str
    name: str
    mac: str

    def __str__(self) -> str:
        """`eth0 in n1.exp.proj`."""
        return f"{self.name} in {self.netns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedNamespace:
    """The network namespace of a process node; `addresses` by the interface's name inside."""

    netns: str
    altname: str
    addresses: Mapping[str, IPv4Interface]
    routes: tuple[RoutePlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedBridge:
    """A bridge; `what` says what it is for. The control network's has an IPv6 address of its own."""

    device: str
    altname: str
    mac: str
    what: str
    control: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedIfb:
    """Takes what comes from a node, so that it can be queued on its way into the LAN."""

    device: str
    altname: str
    what: str
    queue: Discipline


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPort:
    """The host-side end of a node's interface.

    With `inside` it is a veth end of our making; without, a hypervisor makes it and we take it over once it is
    there. `bridge` has it as a port; `redirect` is the device that takes whatever comes in; `queue` holds what
    goes out, towards the node. `frames_only` keeps the node from sending several frames as one large packet,
    which queues would count, lose and delay as one.
    """

    device: str
    altname: str
    what: str
    inside: Inside | None = None
    bridge: str | None = None
    isolated: bool = False
    redirect: str | None = None
    queue: Discipline | None = None
    frames_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDirect:
    """A veth pair from namespace to namespace: a link that the host has no part in."""

    what: str
    ends: tuple[Inside, Inside]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFirewall:
    """Keeps the nodes from reaching the pnode: table `table`, for what enters by the control network's `bridge`, or by
    `devices`, the bridges of LANs and the ports that hypervisors make.
    """

    table: str
    bridge: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """All links of one experiment on one pnode."""

    experiment: ExperimentId
    group: int
    namespaces: tuple[WantedNamespace, ...]
    bridges: tuple[WantedBridge, ...]
    ifbs: tuple[WantedIfb, ...]
    ports: tuple[WantedPort, ...]
    directs: tuple[WantedDirect, ...]
    firewall: WantedFirewall | None
    control_bridge: str

    @property
    def devices(self) -> Iterator[str]:
        """Every host-side device."""
        yield from (bridge.device for bridge in self.bridges)
        yield from (ifb.device for ifb in self.ifbs)
        yield from (port.device for port in self.ports)

    @property
    def insides(self) -> Iterator[Inside]:
        """Every interface in a namespace."""
        for port in self.ports:
            if port.inside is not None:
                yield port.inside
        for direct in self.directs:
            yield from direct.ends


def desired_links(plan: PnodePlan, features: frozenset[Feature]) -> Desired:
    """What `plan` asks for, done with `features`: all of them, unless its user allowed to do without."""
    nodes = {node.name: node for node in plan.nodes}
    here = [(link, _ports_here(link, nodes)) for link in plan.links]
    bridged = [(link, ports) for link, ports in here if link.realization is Realization.BRIDGE and ports]
    controlled = [node for node in plan.nodes if node.control is not None]
    ifbs = tuple(ifb for link, ports in bridged for port in ports if (ifb := _ifb(plan, link, port, features)))
    return Desired(
        experiment=plan.experiment,
        group=plan.group,
        namespaces=tuple(_namespace(plan, node) for node in plan.nodes if node.kind is Kind.PROCESS),
        bridges=(
            *(_lan_bridge(plan, link) for link, _ in bridged),
            *([_control_bridge(plan)] if controlled else []),
        ),
        ifbs=ifbs,
        ports=(
            *_bridge_ports(bridged, nodes, features, frozenset(ifb.device for ifb in ifbs)),
            *_wire_ports(here, nodes, features),
            *(port for node in controlled for port in _control_ports(plan, node)),
        ),
        directs=tuple(
            WantedDirect(what=f"link {link.lan}", ends=(_inside(first, nodes), _inside(second, nodes)))
            for link, ports in here
            if link.realization is Realization.DIRECT
            for first, second in [_pair(ports)]
        ),
        firewall=_firewall(plan, [link.bridge for link, _ in bridged]) if controlled else None,
        control_bridge=plan.control_bridge,
    )


def table_name(experiment: ExperimentId) -> str:
    """The experiment's table of packet filter rules: `benito_` and 16 letters of its digest."""
    return f"benito_{digest('table', experiment.pid, experiment.eid).hex()[:16]}"


def toward(ports: tuple[PortPlan, PortPlan]) -> tuple[Shaping, Shaping]:
    """What happens to packets towards the first and towards the second of a wire's two ports."""
    first, second = ports
    return second.into.then(first.out_of), first.into.then(second.out_of)


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
        what=f"LAN {link.lan}",
    )


def _control_bridge(plan: PnodePlan) -> WantedBridge:
    return WantedBridge(
        device=plan.control_bridge,
        altname=alternative_name(plan.experiment, _CONTROL),
        mac=mac_address(plan.experiment, _CONTROL, plan.control_bridge),
        what="the control network",
        control=True,
    )


def _firewall(plan: PnodePlan, bridges: list[str]) -> WantedFirewall:
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
    queue = queue_for(port.into, features)
    if queue is None or not {Feature.IFB, Feature.REDIRECT} <= features:
        return None
    return WantedIfb(
        device=port.ifb,
        altname=alternative_name(plan.experiment, link.lan, port.node, port.interface, "into"),
        what=f"{_what(port)} into LAN {link.lan}",
        queue=queue,
    )


def _bridge_ports(
    bridged: list[tuple[LinkPlan, tuple[PortPlan, ...]]],
    nodes: Mapping[str, NodePlan],
    features: frozenset[Feature],
    ifbs: frozenset[str],
) -> Iterator[WantedPort]:
    for link, ports in bridged:
        shaped = any(port.into != CLEAR or port.out_of != CLEAR for port in ports)
        for port in ports:
            yield WantedPort(
                device=port.device,
                altname=port.altname,
                what=_what(port),
                inside=_far_end(port, nodes),
                bridge=link.bridge,
                redirect=port.ifb if port.ifb in ifbs else None,
                queue=queue_for(port.out_of, features),
                frames_only=shaped,
            )


def _wire_ports(
    here: list[tuple[LinkPlan, tuple[PortPlan, ...]]], nodes: Mapping[str, NodePlan], features: frozenset[Feature]
) -> Iterator[WantedPort]:
    for link, ports in here:
        if link.realization is not Realization.WIRE:
            continue
        pair = _pair(ports)
        ways = toward(pair)
        for port, other, shaping in zip(pair, reversed(pair), ways, strict=True):
            yield WantedPort(
                device=port.device,
                altname=port.altname,
                what=_what(port),
                inside=_far_end(port, nodes),
                redirect=other.device,
                queue=queue_for(shaping, features),
                frames_only=ways != (CLEAR, CLEAR),
            )
