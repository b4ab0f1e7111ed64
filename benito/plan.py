"""What a pnode is told: its part of the experiment, and all of it.

A `PnodePlan` is the only thing a node manager needs. It travels and is kept as JSON; unknown fields are refused,
so that two versions that differ notice it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from pydantic import ConfigDict, TypeAdapter, ValidationError

from benito.errors import NodeManagerError
from benito.model import CLEAR, DEFAULT_QUEUE, Kind, Queue, Shaping
from benito.names import ExperimentId, digest
from benito.nodesettings import MACHINE, NO_LIMITS, NO_RESTART, Limits, MachineSettings, Restart, Tarfile
from benito.site import ETHERNET_MTU_BYTES, TrunkKind

_Plan = TypeVar("_Plan")
_STRICT = ConfigDict(extra="forbid")


class Realization(StrEnum):
    """How a LAN is made on a pnode (docs/architecture.md, "Links")."""

    DIRECT = "direct"  # one veth pair, each end in its node's namespace; nothing on the host
    WIRE = "wire"  # two host-side ends, cross-connected by tc mirred
    BRIDGE = "bridge"
    AWARE = "vlan-aware bridge"  # one for the whole experiment, on which the LAN is a VLAN

    @property
    def is_bridged(self) -> bool:
        """Whether the members' ports are a bridge's."""
        return self in (Realization.BRIDGE, Realization.AWARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPlan:
    """How a LAN continues on other pnodes: `device` carries it over the pnode's `interface` as VLAN or VNI `id`.

    `local` and `peers`, the addresses of this pnode and of the others that the LAN is on, are VXLAN's. `mtu_bytes` is
    what fits whole through it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    kind: TrunkKind
    id: int
    interface: str
    device: str
    altname: str
    local: IPv4Address | None = None
    peers: tuple[IPv4Address, ...] = ()
    mtu_bytes: int = ETHERNET_MTU_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class PortPlan:
    """A LAN member on this pnode. `device` is the host-side end of the node's interface `interface`.

    `queue` is what the member's packets wait in on their way into the LAN. `mtu_bytes` holds at both ends.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    node: str
    kind: Kind
    interface: str
    device: str
    altname: str
    mac: str
    address: IPv4Interface
    into: Shaping = CLEAR
    out_of: Shaping = CLEAR
    queue: Queue = DEFAULT_QUEUE
    ifb: str
    mtu_bytes: int = ETHERNET_MTU_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPlan:
    """A LAN's part on this pnode; `bridge` names the bridge that it is given where it is realized by one.

    `ports` are the members here; `trunk` leads to those elsewhere. A VLAN-aware bridge is all LANs' own, and has this
    one as its `vlan`. `down` are the members whose cable is pulled.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    lan: str
    realization: Realization
    ports: tuple[PortPlan, ...]
    bridge: str
    altname: str
    down: tuple[str, ...] = ()
    trunk: TrunkPlan | None = None
    vlan: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePlan:
    """A static route inside a node."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    destination: IPv4Network
    via: IPv4Address


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfacePlan:
    """One of a node's experiment interfaces, as the node sees it. `device` is its host-side end."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    lan: str
    mac: str
    address: IPv4Interface
    device: str
    bridge: str | None
    mtu_bytes: int = ETHERNET_MTU_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlan:
    """A node's interface on the control network; it speaks IPv6 link-local addresses only."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    mac: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """A node to be made on this pnode.

    `image` is an image's name, or the URL or absolute path that it is imported from; `image_sha256` is then checked.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    dns_name: str
    uuid: UUID
    kind: Kind
    image: str
    memory_mib: int
    vcpus: int
    interfaces: tuple[InterfacePlan, ...]
    control: ControlPlan | None
    routes: tuple[RoutePlan, ...]
    start_command: str | None = None
    image_sha256: str | None = None
    machine: MachineSettings = MACHINE
    limits: Limits = NO_LIMITS
    restart: Restart = NO_RESTART
    tarfiles: tuple[Tarfile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatePlan:
    """The experiment's own skeleton of domain XML for nodes of a kind, instead of the pnode's."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    kind: Kind
    xml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PnodePlan:
    """Everything one pnode has to make real for one experiment.

    `group` is the kernel interface group of all that is made, `uid_base` the first of 65,536 user ids that
    the experiment's containers are mapped to, `control_bridge` the bridge of the control network.
    `hosts` is the text of every node's /etc/hosts, `environment` what start commands find in theirs. With `barrier`
    no start command begins before every node of the experiment is booted; all begin at one moment then.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    experiment: ExperimentId
    pnode: str
    generation: int
    group: int
    uid_base: int
    control_bridge: str
    nodes: tuple[NodePlan, ...]
    links: tuple[LinkPlan, ...]
    hosts: str
    environment: tuple[tuple[str, str], ...] = ()
    allow_unshaped: bool = False
    barrier: bool = False
    templates: tuple[TemplatePlan, ...] = ()

    def to_json(self) -> str:
        """As text; `from_json` gives an equal plan."""
        return _RECENT.note(_PNODE_PLAN.dump_json(self), self)

    @staticmethod
    def from_json(text: str | bytes) -> "PnodePlan":
        """From text. Raises NodeManagerError where it is none of this version's."""
        try:
            return _RECENT.find(text, PnodePlan) or _RECENT.keep(text, _PNODE_PLAN.validate_json(text))
        except ValidationError as error:
            raise NodeManagerError(
                f"the plan cannot be read: {error.error_count()} fields differ from this version's",
                hint="install the same version of benito on controller and pnodes",
            ) from error

    @property
    def revision(self) -> str:
        """Changes when anything but the generation does."""
        return _RECENT.revision(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPlan:
    """One part per pnode."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    experiment: ExperimentId
    pnodes: tuple[PnodePlan, ...]

    def to_json(self) -> str:
        """As text; `from_json` gives an equal plan."""
        return _RECENT.note(_EXPERIMENT_PLAN.dump_json(self), self)

    @staticmethod
    def from_json(text: str | bytes) -> "ExperimentPlan":
        """From text; the store wrote it, so a plan that cannot be read raises NodeManagerError."""
        try:
            return _RECENT.find(text, ExperimentPlan) or _RECENT.keep(text, _EXPERIMENT_PLAN.validate_json(text))
        except ValidationError as error:
            raise NodeManagerError("the stored plan is of another version") from error


_PNODE_PLAN = TypeAdapter(PnodePlan)
_EXPERIMENT_PLAN = TypeAdapter(ExperimentPlan)


class _Recent:
    """The last plan of each type with its text: one command writes and reads the same plan several times."""

    def __init__(self) -> None:
        self._known: dict[type, tuple[bytes, Any]] = {}
        self._revised: tuple[PnodePlan | None, str] = None, ""

    def note(self, data: bytes, plan: object) -> str:
        """Remembers a plan that was written; its text."""
        self._known[type(plan)] = data, plan
        return data.decode()

    def keep(self, text: str | bytes, plan: _Plan) -> _Plan:
        """Remembers a plan that was read; the plan."""
        self._known[type(plan)] = _bytes(text), plan
        return plan

    def find(self, text: str | bytes, kind: type[_Plan]) -> _Plan | None:
        """The plan that this text was written from or read as, if it was the last of its type."""
        data, plan = self._known.get(kind, (b"", None))
        return plan if plan is not None and data == _bytes(text) else None

    def revision(self, plan: PnodePlan) -> str:
        """A plan's revision: every one of its nodes asks for it, and it takes the whole plan's text."""
        known, revision = self._revised
        if known is not plan:
            revision = digest(_PNODE_PLAN.dump_json(replace(plan, generation=0)).decode()).hex()[:16]
            self._revised = plan, revision
        return revision


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


_RECENT = _Recent()
