"""From a topology to what each pnode is told. Pure: the same input gives the same plan, to the byte."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from benito.addressing import Addresses, assign_addresses, overlaps
from benito.embedding import ENDLESS, Embedding, Former, embed
from benito.embedding.former import Move, moves
from benito.embedding.place import balanced, is_placed, strategy_of
from benito.embedding.report import Report, report
from benito.errors import Problem, Severity, TopologyMeaningError
from benito.hosts import hosts_text
from benito.impairments import with_impairments
from benito.model import Kind, Lan, Member, Node, Routing, Topology
from benito.names import ExperimentId, alternative_name, interface_group, kernel_name, mac_address
from benito.nodeattributes import settings_of, with_needs
from benito.nodesettings import NodeSettings
from benito.plan import (
    ControlPlan,
    ExperimentPlan,
    InterfacePlan,
    LinkPlan,
    NodePlan,
    PnodePlan,
    PortPlan,
    Realization,
    RoutePlan,
    TrunkPlan,
)
from benito.policy import BUILT_IN, Policy, Strategy
from benito.routing import Routes, compute_routes
from benito.segments import assign
from benito.site import ETHERNET_MTU_BYTES, Site, TrunkKind
from benito.trunks import Endpoint, access_vlans, endpoints, trunk_refusal
from benito.trunks import realizations as lan_realizations

#: User ids of the first experiment's containers; far above people's and other tools' ranges.
_FIRST_UID = 0x60000000
_UIDS_PER_EXPERIMENT = 65536
#: libvirt keeps a container's socket at /run/libvirt/lxc/NAME.sock, and the kernel takes 107 bytes for such a path.
_DOMAIN_NAME_LETTERS = 85
#: In the names of a pnode's VLAN-aware bridge and of trunks; no LAN and no node can be called so.
_AWARE, _TRUNK = "_lans", "_trunk"


class _RoutesLater(Mapping[str, tuple[RoutePlan, ...]]):
    """Routes that are computed when somebody looks: of a large experiment they take long, and most plans show none."""

    def __init__(self, topology: Topology, addresses: Addresses) -> None:
        self._topology, self._addresses = topology, addresses
        self._found: Routes | None = None
        # What the file says of routes is wrong or right now.
        compute_routes(replace(topology, routing=Routing.MANUAL), addresses)

    def _all(self) -> Routes:
        if self._found is None:
            self._found = compute_routes(self._topology, self._addresses)
        return self._found

    def __getitem__(self, node: str) -> tuple[RoutePlan, ...]:
        return self._all()[node]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A topology whose every question is answered: kinds, addresses, routes, places."""

    id: ExperimentId
    topology: Topology
    policy: Policy
    site: Site
    addresses: Addresses
    macs: Mapping[tuple[str, int], str]
    routes: Routes
    embedding: Embedding
    settings: Mapping[str, NodeSettings]
    warnings: tuple[Problem, ...]
    former: Former | None = None

    def interfaces(self) -> Mapping[str, Sequence[tuple[str, Member]]]:
        """node -> its interfaces by number, each as the LAN's name and the membership."""
        found: dict[str, list[tuple[str, Member]]] = {node.name: [] for node in self.topology.nodes}
        for lan in self.topology.lans:
            for member in lan.members:
                found[member.node].append((lan.name, member))
        return {node: sorted(pairs, key=lambda pair: pair[1].port) for node, pairs in found.items()}

    def report(self) -> Report:
        """The placement in numbers."""
        return report(self.topology.nodes, self.topology.lans, self.embedding, self.policy, self.site)

    def mtus_bytes(self) -> Mapping[str, int]:
        """LAN -> what every member of it sends at most in one packet, whichever pnode it is on."""
        cut, within = frozenset(self.embedding.cut_lans), self.site.network.cut_lan_mtu_bytes
        return {lan.name: within if lan.name in cut else ETHERNET_MTU_BYTES for lan in self.topology.lans}

    def moves(self) -> tuple[Move, ...]:
        """The nodes that are elsewhere than they were before; none where nothing was before."""
        return () if self.former is None else moves(self.former, self.embedding)

    @property
    def hosts(self) -> str:
        """Every node's /etc/hosts."""
        return hosts_text(self.topology, self.addresses)


def resolve(
    experiment: ExperimentId,
    topology: Topology,
    policy: Policy,
    site: Site = ENDLESS,
    *,
    former: Former | None = None,
    images: Collection[str] = BUILT_IN,
    folder: Path | None = None,
) -> Experiment:
    """Answers what the file leaves open, on a site's pnodes. Raises TopologyError and EmbeddingError; touches nothing.

    With `former`, an earlier placement, nodes stay where they were as far as they can. `images` are the names of the
    images that are there or can be built; a default that is none of them raises UsageError or TestbedError. `folder`,
    absolute, is where tar files' paths begin that do not begin at /: the topology file's.
    """
    placed = is_placed(topology.nodes, policy)
    default = Kind.EMBEDDED_PNODE if placed else policy.default_kind

    def kind_of(node: Node) -> Kind:
        return node.kind or (policy.default_kind if node.partition is not None else default)

    resolved = replace(topology, nodes=tuple(replace(node, kind=kind_of(node)) for node in topology.nodes))
    resolved = with_impairments(resolved)
    _check_domain_names(experiment, resolved)
    settings, doubts = settings_of(resolved, policy, site.images, images=images, folder=folder)
    resolved, site = with_needs(resolved, policy, site, settings)
    if strategy_of(policy, dict(topology.settings)) is Strategy.BALANCE:
        policy = balanced(policy, resolved.nodes, site)
    addresses = assign_addresses(resolved, policy.addressing)
    macs = _mac_addresses(experiment, resolved)
    warnings = (*topology.warnings, *doubts, *_substitutions(resolved), *overlaps(resolved, addresses))
    return Experiment(
        id=experiment,
        topology=resolved,
        policy=policy,
        site=site,
        addresses=addresses,
        macs=macs,
        routes=_RoutesLater(resolved, addresses),
        embedding=embed(resolved.nodes, resolved.lans, policy, site, former=former),
        settings=settings,
        warnings=warnings,
        former=former,
    )


def _check_domain_names(experiment: ExperimentId, topology: Topology) -> None:
    problems = [
        Problem(
            file=topology.source,
            line=node.line,
            element=node.name,
            message=f"its domain's name {experiment.dns_name(node.name)} has more than {_DOMAIN_NAME_LETTERS} letters",
            hint="choose a shorter --name or --project, or a shorter name for the node",
        )
        for node in topology.nodes
        if len(experiment.dns_name(node.name)) > _DOMAIN_NAME_LETTERS
    ]
    if problems:
        raise TopologyMeaningError(problems)


def _mac_addresses(experiment: ExperimentId, topology: Topology) -> Mapping[tuple[str, int], str]:
    macs: dict[tuple[str, int], str] = {}
    owner: dict[str, str] = {}
    problems: list[Problem] = []
    for lan in topology.lans:
        for member in lan.members:
            mac = member.mac or mac_address(experiment, member.node, f"eth{member.port}")
            name = f"{member.node} eth{member.port}"
            if mac in owner:
                problems.append(
                    Problem(
                        file=topology.source,
                        line=lan.line,
                        element=name,
                        message=f"the MAC address {mac} is also that of {owner[mac]}",
                        hint="every interface needs its own; leave it out to have one made",
                    )
                )
            owner[mac] = name
            macs[member.node, member.port] = mac
    if problems:
        raise TopologyMeaningError(problems)
    return macs


def _substitutions(topology: Topology) -> list[Problem]:
    """What is realized otherwise than the file asks: said, never silent."""
    if topology.routing is not Routing.SESSION:
        return []
    message = "no routing daemon is run for `rtproto Session`; the nodes get static routes"
    return [Problem(file=topology.source, message=message, severity=Severity.WARNING)]


def plan_experiment(
    experiment: Experiment, *, generation: int = 1, slot: int = 0, segments: Mapping[str, int] | None = None
) -> ExperimentPlan:
    """Every pnode's part. `slot` numbers the controller's experiments; it decides the containers' user ids.

    `segments` has the id of each LAN that is cut. Raises TestbedError where pnodes have no addresses for VXLAN. Without
    ids it is a plan to be looked at only: with some ids, and with the addresses that there are.
    """
    if segments is None:
        segments = assign(experiment.embedding.cut_lans, experiment.site.network)
    elif (error := trunk_refusal(experiment.embedding, experiment.site.network)) is not None:
        raise error
    work = _PnodePlanner(experiment, segments, generation=generation, slot=slot)
    return ExperimentPlan(
        experiment=experiment.id,
        pnodes=tuple(
            work.pnode(partition.pnode, frozenset(partition.nodes)) for partition in experiment.embedding.partitions
        ),
    )


def numbered(plan: ExperimentPlan, *, generation: int, slot: int) -> ExperimentPlan:
    """The same plan as another generation, with another slot's user ids; cheaper than to plan again."""
    parts = (replace(part, generation=generation, uid_base=_uid_base(slot)) for part in plan.pnodes)
    return replace(plan, pnodes=tuple(parts))


def _uid_base(slot: int) -> int:
    return _FIRST_UID + slot * _UIDS_PER_EXPERIMENT


def realizations(experiment: Experiment) -> Mapping[str, Mapping[str, Realization]]:
    """LAN -> pnode -> how it is made there."""
    kinds = {node.name: node.kind for node in experiment.topology.nodes}
    return lan_realizations(experiment.topology.lans, experiment.embedding, kinds, experiment.site.network)


class _PnodePlanner:
    """Makes each pnode's part of one experiment; holds what is the same for all of them."""

    def __init__(self, experiment: Experiment, segments: Mapping[str, int], *, generation: int, slot: int) -> None:
        self._experiment, self._segments = experiment, segments
        self._generation, self._slot = generation, slot
        self._kinds = {node.name: node.kind for node in experiment.topology.nodes}
        self._realizations = realizations(experiment)
        self._endpoints = endpoints(experiment.embedding.partitions, experiment.site.network)
        self._cut, self._mtus = frozenset(experiment.embedding.cut_lans), experiment.mtus_bytes()

    def pnode(self, pnode: str, names: frozenset[str]) -> PnodePlan:
        experiment, name = self._experiment, self._experiment.id
        lans = [lan for lan in experiment.topology.lans if pnode in self._realizations[lan.name]]
        shared = [lan.name for lan in lans if self._realizations[lan.name][pnode] is Realization.AWARE]
        vlans = access_vlans(shared)
        links = tuple(self._link(lan, pnode, names, vlans.get(lan.name)) for lan in lans)
        interfaces: dict[str, list[InterfacePlan]] = defaultdict(list)
        for link in links:
            for port in link.ports:
                interfaces[port.node].append(_interface(link, port))
        return PnodePlan(
            experiment=name,
            pnode=pnode,
            generation=self._generation,
            group=interface_group(name),
            uid_base=_uid_base(self._slot),
            control_bridge=kernel_name("c", name),
            nodes=tuple(
                _plan_node(experiment, node, interfaces[node.name])
                for node in experiment.topology.nodes
                if node.name in names
            ),
            links=links,
            hosts=experiment.hosts,
            environment=experiment.topology.options,
            allow_unshaped=experiment.policy.allow_unshaped,
            barrier=experiment.policy.barrier,
            templates=experiment.policy.templates,
        )

    def _link(self, lan: Lan, pnode: str, names: frozenset[str], vlan: int | None) -> LinkPlan:
        name, how = self._experiment.id, self._realizations[lan.name][pnode]
        aware = how is Realization.AWARE
        return LinkPlan(
            lan=lan.name,
            realization=how,
            ports=tuple(self._port(lan, member) for member in lan.members if member.node in names),
            bridge=kernel_name("b", name, _AWARE) if aware else kernel_name("b", name, lan.name),
            altname=alternative_name(name, _AWARE) if aware else alternative_name(name, lan.name),
            trunk=self._trunk(lan, self._endpoints[pnode]) if lan.name in self._cut else None,
            vlan=vlan,
        )

    def _port(self, lan: Lan, member: Member) -> PortPlan:
        experiment, name = self._experiment, self._experiment.id
        interface = f"eth{member.port}"
        return PortPlan(
            node=member.node,
            kind=self._kinds[member.node] or experiment.policy.default_kind,
            interface=interface,
            device=kernel_name("v", name, member.node, interface),
            altname=alternative_name(name, lan.name, f"{member.node}-{member.port}"),
            mac=experiment.macs[member.node, member.port],
            address=experiment.addresses[member.node, member.port],
            into=member.into,
            out_of=member.out_of,
            queue=member.queue,
            ifb=kernel_name("i", name, member.node, interface),
            mtu_bytes=self._mtus[lan.name],
        )

    def _trunk(self, lan: Lan, here: Endpoint) -> TrunkPlan:
        name, network = self._experiment.id, self._experiment.site.network
        tunnels = network.trunk is TrunkKind.VXLAN
        others = [pnode for pnode in self._realizations[lan.name] if pnode != here.pnode]
        peers = [address for pnode in others if (address := self._endpoints[pnode].address) is not None]
        return TrunkPlan(
            kind=network.trunk,
            id=self._segments[lan.name],
            interface=here.interface,
            device=kernel_name("x", name, lan.name),
            altname=alternative_name(name, lan.name, _TRUNK),
            local=here.address if tunnels else None,
            peers=tuple(peers) if tunnels else (),
            mtu_bytes=self._mtus[lan.name],
        )


def _interface(link: LinkPlan, port: PortPlan) -> InterfacePlan:
    return InterfacePlan(
        name=port.interface,
        lan=link.lan,
        mac=port.mac,
        address=port.address,
        device=port.device,
        bridge=link.bridge if link.realization.is_bridged else None,
        mtu_bytes=port.mtu_bytes,
    )


def _plan_node(experiment: Experiment, node: Node, interfaces: Sequence[InterfacePlan]) -> NodePlan:
    name, kind = experiment.id, node.kind or experiment.policy.default_kind
    settings, control = experiment.settings[node.name], None
    if kind in (Kind.QEMU, Kind.OPENVZ):
        control = ControlPlan(
            mac=mac_address(name, node.name, "ctl0"), device=kernel_name("v", name, node.name, "ctl0")
        )
    return NodePlan(
        name=node.name,
        dns_name=name.dns_name(node.name),
        uuid=uuid5(NAMESPACE_URL, f"benito:{name}/{node.name}"),
        kind=kind,
        image=settings.image,
        memory_mib=settings.memory_mib,
        vcpus=settings.vcpus,
        interfaces=tuple(sorted(interfaces, key=lambda interface: (len(interface.name), interface.name))),
        control=control,
        routes=experiment.routes[node.name],
        start_command=None if node.ghost else node.start_command,
        image_sha256=settings.image_sha256,
        machine=settings.machine,
        limits=settings.limits,
        restart=settings.restart,
        tarfiles=settings.tarfiles,
    )
