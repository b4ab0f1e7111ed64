"""The changes that make the links as planned: values, each with its reason. `apply` carries them out."""

from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import ClassVar

from benito.plan import RoutePlan
from benito_netplan.ops_relay import AddShim, DropPipe, SetPipe, Shut, StopRelay
from benito_netplan.ops_trunks import TrunkOp
from benito_netplan.shaping import Discipline
from benito_netplan.stages import Stage
from benito_netplan.wanted import Inside


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLink:
    """Deletes a host-side device."""

    stage: ClassVar[Stage] = Stage.CLEAR
    device: str
    reason: str

    def __str__(self) -> str:
        return f"delete {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteInside:
    """Deletes an interface in a namespace."""

    stage: ClassVar[Stage] = Stage.CLEAR
    netns: str
    interface: str
    reason: str

    def __str__(self) -> str:
        return f"delete {self.interface} in {self.netns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteNamespace:
    """Lets a namespace go."""

    stage: ClassVar[Stage] = Stage.CLEAR
    netns: str
    reason: str

    def __str__(self) -> str:
        return f"delete namespace {self.netns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNamespace:
    """Makes a namespace that forwards IPv4 and carries the experiment's mark on its lo."""

    stage: ClassVar[Stage] = Stage.NAMESPACES
    netns: str
    altname: str
    reason: str

    def __str__(self) -> str:
        return f"add namespace {self.netns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddBridge:
    """Makes a bridge; one of the control network stays down until it is guarded."""

    stage: ClassVar[Stage] = Stage.FRAMES
    device: str
    altname: str
    mac: str
    what: str
    control: bool
    reason: str

    def __str__(self) -> str:
        return f"add bridge {self.device} for {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBridge:
    """Gives a bridge the settings that it was made with."""

    stage: ClassVar[Stage] = Stage.FRAMES
    device: str
    reason: str

    def __str__(self) -> str:
        return f"set up bridge {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddIfb:
    """Makes the device that queues what comes from a node."""

    stage: ClassVar[Stage] = Stage.FRAMES
    device: str
    altname: str
    what: str
    reason: str

    def __str__(self) -> str:
        return f"add ifb {self.device} for {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFirewall:
    """Replaces the experiment's packet filter table; with no bridge, only takes it away."""

    stage: ClassVar[Stage] = Stage.GUARD
    table: str
    bridge: str | None
    devices: tuple[str, ...] = ()
    reason: str

    def __str__(self) -> str:
        return f"guard {self.bridge} by table {self.table}" if self.bridge else f"delete table {self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetControlIpv6:
    """Lets the control network's bridge have its link-local address, at once, and no other."""

    stage: ClassVar[Stage] = Stage.GUARD
    device: str
    reason: str

    def __str__(self) -> str:
        return f"turn IPv6 on at {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddVeth:
    """Makes a node's interface with its host-side end, marked, plugged in, and up unless its cable is pulled."""

    stage: ClassVar[Stage] = Stage.PORTS
    device: str
    altname: str
    what: str
    inside: Inside
    bridge: str | None
    frames_only: bool
    down: bool = False
    reason: str

    def __str__(self) -> str:
        plugged = f" into {self.bridge}" if self.bridge else ""
        return f"add {self.device} to {self.inside}{plugged}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDirect:
    """Makes a veth pair between two namespaces."""

    stage: ClassVar[Stage] = Stage.PORTS
    what: str
    ends: tuple[Inside, Inside]
    reason: str

    def __str__(self) -> str:
        return f"add {self.what}: {self.ends[0]} to {self.ends[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Puts the experiment's group and alternative name on a device, and takes IPv6 off it where it is a port."""

    stage: ClassVar[Stage] = Stage.PORTS
    device: str
    altname: str
    quiet: bool
    reason: str

    def __str__(self) -> str:
        return f"mark {self.device} as {self.altname}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """Makes a device a port of a bridge, or of none."""

    stage: ClassVar[Stage] = Stage.PORTS
    device: str
    bridge: str | None
    reason: str

    def __str__(self) -> str:
        return f"plug {self.device} into {self.bridge}" if self.bridge else f"unplug {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolate:
    """Keeps a bridge's port from other isolated ones."""

    stage: ClassVar[Stage] = Stage.PORTS
    device: str
    reason: str

    def __str__(self) -> str:
        return f"isolate {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """Brings a host-side device up."""

    stage: ClassVar[Stage] = Stage.PORTS
    device: str
    reason: str

    def __str__(self) -> str:
        return f"bring {self.device} up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lower:
    """Takes a host-side device down: the node's interface has no carrier then."""

    stage: ClassVar[Stage] = Stage.PORTS
    device: str
    reason: str

    def __str__(self) -> str:
        return f"take {self.device} down"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetQueue:
    """Gives a device its queue: in place of what `replace` says is there, or by changing that where it is `alike`."""

    stage: ClassVar[Stage] = Stage.SHAPE
    device: str
    queue: Discipline | None
    replace: bool
    alike: bool = False
    reason: str

    def __str__(self) -> str:
        return f"shape {self.device}: {self.queue}" if self.queue else f"stop shaping {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Sends whatever comes in by a device out by another, in place of what `replace` says is there."""

    stage: ClassVar[Stage] = Stage.SHAPE
    device: str
    target: str | None
    replace: bool
    reason: str

    def __str__(self) -> str:
        return f"send {self.device} to {self.target}" if self.target else f"stop sending {self.device} elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetInside:
    """Brings an interface in a namespace up, with its MAC."""

    stage: ClassVar[Stage] = Stage.INSIDE
    inside: Inside
    frames_only: bool
    reason: str

    @property
    def netns(self) -> str:
        """Where."""
        return self.inside.netns

    def __str__(self) -> str:
        return f"set up {self.inside} with {self.inside.mac}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetForwarding:
    """Lets a node forward IPv4."""

    stage: ClassVar[Stage] = Stage.INSIDE
    netns: str
    reason: str

    def __str__(self) -> str:
        return f"turn forwarding on in {self.netns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAddress:
    """Gives an interface in a namespace an address, or takes it away."""

    stage: ClassVar[Stage] = Stage.INSIDE
    netns: str
    interface: str
    address: IPv4Interface
    present: bool
    reason: str

    def __str__(self) -> str:
        verb = "add" if self.present else "delete"
        return f"{verb} {self.address} at {self.interface} in {self.netns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRoute:
    """Gives a namespace a route, or takes it away."""

    stage: ClassVar[Stage] = Stage.INSIDE
    netns: str
    route: RoutePlan
    present: bool
    reason: str

    def __str__(self) -> str:
        verb = "add" if self.present else "delete"
        return f"{verb} route {self.route.destination} via {self.route.via} in {self.netns}"


LinkOp = (
    TrunkOp
    | DeleteLink
    | DeleteInside
    | DeleteNamespace
    | AddNamespace
    | AddBridge
    | SetBridge
    | AddIfb
    | SetFirewall
    | SetControlIpv6
    | AddVeth
    | AddDirect
    | Mark
    | Plug
    | Isolate
    | Raise
    | Lower
    | AddShim
    | Shut
    | SetPipe
    | DropPipe
    | StopRelay
    | SetQueue
    | Redirect
    | SetInside
    | SetForwarding
    | SetAddress
    | SetRoute
)
