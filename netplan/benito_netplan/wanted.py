"""What a plan asks for on this pnode in the kernel's terms, as values; `desired` fills them in."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface

from benito.names import ExperimentId
from benito.plan import RoutePlan
from benito.site import ETHERNET_MTU_BYTES, TrunkKind
from benito_netplan.relay import Pipe
from benito_netplan.shaping import Discipline


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
    """A bridge; `what` says what it is for. The control network's has an IPv6 address of its own.

    One that is `aware` has many LANs, each as a VLAN.
    """

    device: str
    altname: str
    mac: str
    what: str
    control: bool = False
    aware: bool = False


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
    which queues would count, lose and delay as one. `relayed`: the relay takes whatever comes in, so that the pnode
    itself must not. `down`: the cable is pulled.
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
    relayed: bool = False
    down: bool = False
    mtu_bytes: int = ETHERNET_MTU_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTrunk:
    """The device by which a LAN continues on other pnodes: VLAN or VXLAN `id` over the pnode's `interface`.

    `bridge` has it as a port; without, it is wired to the LAN's one port here, as `WantedPort` says of the rest.
    """

    device: str
    altname: str
    what: str
    kind: TrunkKind
    id: int
    interface: str
    local: IPv4Address | None
    peers: frozenset[IPv4Address]
    mtu_bytes: int
    bridge: str | None
    redirect: str | None
    queue: Discipline | None
    relayed: bool

    @property
    def port(self) -> WantedPort:
        """What it has in common with the host-side end of a node's interface."""
        return WantedPort(
            device=self.device,
            altname=self.altname,
            what=self.what,
            bridge=self.bridge,
            redirect=self.redirect,
            queue=self.queue,
            relayed=self.relayed,
            mtu_bytes=self.mtu_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedShim:
    """A veth pair on the host between the relay and a bridge: `device` is the bridge's port, the relay has `behind`."""

    device: str
    behind: str
    altname: str
    behind_altname: str
    what: str
    bridge: str


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
    """All links of one experiment on one pnode. `accesses`: port of a VLAN-aware bridge -> its VLAN there."""

    experiment: ExperimentId
    group: int
    namespaces: tuple[WantedNamespace, ...]
    bridges: tuple[WantedBridge, ...]
    ifbs: tuple[WantedIfb, ...]
    ports: tuple[WantedPort, ...]
    shims: tuple[WantedShim, ...]
    pipes: tuple[Pipe, ...]
    directs: tuple[WantedDirect, ...]
    firewall: WantedFirewall | None
    control_bridge: str
    trunks: tuple[WantedTrunk, ...] = ()
    accesses: Mapping[str, int] = field(default_factory=dict)

    @property
    def devices(self) -> Iterator[str]:
        """Every host-side device."""
        yield from (bridge.device for bridge in self.bridges)
        yield from (ifb.device for ifb in self.ifbs)
        yield from (port.device for port in self.ports)
        yield from (trunk.device for trunk in self.trunks)
        yield from (device for shim in self.shims for device in (shim.device, shim.behind))

    @property
    def insides(self) -> Iterator[Inside]:
        """Every interface in a namespace."""
        for port in self.ports:
            if port.inside is not None:
                yield port.inside
        for direct in self.directs:
            yield from direct.ends


def among(desired: Desired, present: Collection[str]) -> Desired:
    """The same without the namespaces that are not among those `present`, and without what leads there."""
    gone = {namespace.netns for namespace in desired.namespaces if namespace.netns not in present}
    return replace(
        desired,
        namespaces=tuple(namespace for namespace in desired.namespaces if namespace.netns not in gone),
        ports=tuple(port for port in desired.ports if port.inside is None or port.inside.netns not in gone),
        directs=tuple(direct for direct in desired.directs if not any(end.netns in gone for end in direct.ends)),
    )
