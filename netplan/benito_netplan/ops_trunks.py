"""The changes that make, repair and join trunks to the links of a pnode."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from benito.site import TrunkKind
from benito_netplan.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTrunk:
    """Makes the device that leads to the other pnodes, marked, not yet up."""

    stage: ClassVar[Stage] = Stage.FRAMES
    device: str
    altname: str
    what: str
    kind: TrunkKind
    id: int
    interface: str
    local: IPv4Address | None
    mtu_bytes: int
    reason: str

    def __str__(self) -> str:
        return f"add {self.device}: {self.kind.upper()} {self.id} over {self.interface} for {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAwareBridge:
    """Makes the bridge that has each LAN as a VLAN."""

    stage: ClassVar[Stage] = Stage.FRAMES
    device: str
    altname: str
    mac: str
    what: str
    reason: str

    def __str__(self) -> str:
        return f"add VLAN-aware bridge {self.device} for {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAwareBridge:
    """Has a bridge tell VLANs apart again."""

    stage: ClassVar[Stage] = Stage.FRAMES
    device: str
    reason: str

    def __str__(self) -> str:
        return f"make bridge {self.device} VLAN-aware"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMtu:
    """Sets a host-side device's MTU."""

    stage: ClassVar[Stage] = Stage.PORTS
    device: str
    mtu_bytes: int
    reason: str

    def __str__(self) -> str:
        return f"set the MTU of {self.device} to {self.mtu_bytes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetInsideMtu:
    """Sets the MTU of an interface in a namespace."""

    stage: ClassVar[Stage] = Stage.INSIDE
    netns: str
    interface: str
    mtu_bytes: int
    reason: str

    def __str__(self) -> str:
        return f"set the MTU of {self.interface} in {self.netns} to {self.mtu_bytes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPeer:
    """Has a VXLAN device send to another pnode, or no more."""

    stage: ClassVar[Stage] = Stage.SHAPE
    device: str
    peer: IPv4Address
    present: bool
    reason: str

    def __str__(self) -> str:
        return f"{'have' if self.present else 'stop'} {self.device} send to {self.peer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAccess:
    """Gives a port of a VLAN-aware bridge a VLAN, or takes it away."""

    stage: ClassVar[Stage] = Stage.SHAPE
    device: str
    vlan: int
    present: bool
    reason: str

    def __str__(self) -> str:
        return (
            f"put {self.device} in VLAN {self.vlan}" if self.present else f"take {self.device} out of VLAN {self.vlan}"
        )


TrunkOp = AddTrunk | AddAwareBridge | SetAwareBridge | SetMtu | SetInsideMtu | SetPeer | SetAccess
