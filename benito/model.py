"""What a topology file says, as typed values: the one model behind every input language.

Units stand in the names. Everything is immutable; `dataclasses.replace` makes a changed copy.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from benito.errors import Problem


class Kind(StrEnum):
    """How a node is realized (TopDL attribute `containers:node_type`)."""

    QEMU = "qemu"
    OPENVZ = "openvz"
    PROCESS = "process"
    EMBEDDED_PNODE = "embedded_pnode"


class Routing(StrEnum):
    """What `$ns rtproto` asked for; NONE where the file does not say."""

    NONE = "none"
    STATIC = "static"
    STATIC_OLD = "static-old"
    STATIC_DDIJK = "static-ddijk"
    SESSION = "ospf"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """What happens to packets in one direction; the default lets everything through at once."""

    rate_kbps: int | None = None
    delay_us: int = 0
    loss_ratio: float = 0.0
    queue_packets: int | None = None

    def then(self, other: "Shaping") -> "Shaping":
        """Both one after the other: delays add, the lower rate holds, losses compound (spec/ns2.md 7)."""
        rates = [rate for rate in (self.rate_kbps, other.rate_kbps) if rate is not None]
        queues = [queue for queue in (self.queue_packets, other.queue_packets) if queue is not None]
        return Shaping(
            rate_kbps=min(rates) if rates else None,
            delay_us=self.delay_us + other.delay_us,
            loss_ratio=1 - (1 - self.loss_ratio) * (1 - other.loss_ratio),
            queue_packets=min(queues) if queues else None,
        )

    @property
    def needs_netem(self) -> bool:
        """Whether more than a rate is asked for."""
        return self.delay_us > 0 or self.loss_ratio > 0

    @property
    def is_clear(self) -> bool:
        """Whether nothing at all is asked for."""
        return self.rate_kbps is None and not self.needs_netem


#: Lets everything through at once.
CLEAR = Shaping()


def half_loss(loss_ratio: float) -> float:
    """The loss of each half of a link that loses `loss_ratio` in all: 1-sqrt(1-L)."""
    return 1 - math.sqrt(1 - loss_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node's attachment to a LAN: its `port`-th interface (counted from 0), with one shaping each way.

    `into` holds from the node into the LAN, `out_of` from the LAN to the node.
    """

    node: str
    port: int
    into: Shaping = CLEAR
    out_of: Shaping = CLEAR
    address: IPv4Address | None = None
    mac: str | None = None
    cost: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """An NS link or LAN, a TopDL substrate. A link has exactly two members."""

    name: str
    members: tuple[Member, ...]
    is_link: bool = False
    prefix_length: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node as the file describes it; None means that the file does not say."""

    name: str
    kind: Kind | None = None
    hardware: str | None = None
    os: str | None = None
    image: str | None = None
    memory_mib: int | None = None
    vcpus: int | None = None
    start_command: str | None = None
    tarfiles: tuple[tuple[str, str], ...] = ()
    failure_action: str | None = None
    fixed_to: str | None = None
    partition: str | None = None
    partition_pass: int | None = None
    ghost: bool = False
    attributes: tuple[tuple[str, str], ...] = ()
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualRoute:
    """`$node add-route`: from `node` to `destination` (a node's or LAN's name) by way of the node `next_hop`."""

    node: str
    destination: str
    next_hop: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """One input file, read. `warnings` are problems that do not stop it."""

    source: str
    nodes: tuple[Node, ...]
    lans: tuple[Lan, ...]
    routing: Routing = Routing.NONE
    routes: tuple[ManualRoute, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Problem, ...] = field(default=())

    def node(self, name: str) -> Node:
        """The node of that name; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)


def network_of(address: IPv4Address, prefix_length: int) -> IPv4Network:
    """The network that `address` lies in."""
    return IPv4Network((address, prefix_length), strict=False)
