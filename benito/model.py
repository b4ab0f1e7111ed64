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
    """What happens to packets in one direction; the default lets everything through at once.

    `jitter_us` is how far the delay may go either way, evenly. Of the packets, `reorder_ratio` overtake by having no
    delay, `duplicate_ratio` come twice, `corrupt_ratio` have one wrong bit: these four go beyond Emulab's links.
    """

    rate_kbps: int | None = None
    delay_us: int = 0
    jitter_us: int = 0
    loss_ratio: float = 0.0
    reorder_ratio: float = 0.0
    duplicate_ratio: float = 0.0
    corrupt_ratio: float = 0.0
    queue_packets: int | None = None

    def then(self, other: "Shaping") -> "Shaping":
        """Both one after the other: delays add, the lower rate holds, losses compound, as Emulab's mapper has it."""
        rates = [rate for rate in (self.rate_kbps, other.rate_kbps) if rate is not None]
        queues = [queue for queue in (self.queue_packets, other.queue_packets) if queue is not None]
        return Shaping(
            rate_kbps=min(rates) if rates else None,
            delay_us=self.delay_us + other.delay_us,
            jitter_us=self.jitter_us + other.jitter_us,
            loss_ratio=either(self.loss_ratio, other.loss_ratio),
            reorder_ratio=either(self.reorder_ratio, other.reorder_ratio),
            duplicate_ratio=either(self.duplicate_ratio, other.duplicate_ratio),
            corrupt_ratio=either(self.corrupt_ratio, other.corrupt_ratio),
            queue_packets=min(queues) if queues else None,
        )

    @property
    def needs_netem(self) -> bool:
        """Whether more than a rate is asked for."""
        return self.delay_us > 0 or self.jitter_us > 0 or any(self.ratios)

    @property
    def ratios(self) -> tuple[float, float, float, float]:
        """Loss, reordering, duplication, corruption."""
        return self.loss_ratio, self.reorder_ratio, self.duplicate_ratio, self.corrupt_ratio

    @property
    def is_clear(self) -> bool:
        """Whether nothing at all is asked for."""
        return self.rate_kbps is None and not self.needs_netem


#: Lets everything through at once.
CLEAR = Shaping()


def either(one: float, other: float) -> float:
    """How likely one of two independent things is: 1-(1-a)(1-b)."""
    return 1 - (1 - one) * (1 - other)


def half_loss(loss_ratio: float) -> float:
    """The loss of each half of a link that loses `loss_ratio` in all: 1-sqrt(1-L)."""
    return 1 - math.sqrt(1 - loss_ratio)


class QueueKind(StrEnum):
    """How a member's sending queue drops."""

    DROP_TAIL = "DropTail"
    RED = "RED"
    GRED = "GRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A member's sending queue, with the defaults of Emulab's parser.

    `limit` and the thresholds count packets, bytes where `in_bytes`; `weight` and `linterm` are RED's. Where the file
    sets a limit in packets, `Shaping.queue_packets` has it too.
    """

    kind: QueueKind = QueueKind.DROP_TAIL
    limit: int = 50
    in_bytes: bool = False
    min_threshold: int = 5
    max_threshold: int = 15
    weight: float = 0.002
    linterm: int = 10


DEFAULT_QUEUE = Queue()

#: Named values that are kept as the file gives them, in its order.
Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node's attachment to a LAN: its `port`-th interface (counted from 0), with one shaping each way.

    `into` holds from the node into the LAN, `out_of` from the LAN to the node. `settings` are kept; `impairments` reads
    some of them.
    """

    node: str
    port: int
    into: Shaping = CLEAR
    out_of: Shaping = CLEAR
    address: IPv4Address | None = None
    mac: str | None = None
    cost: float = 1.0
    queue: Queue = DEFAULT_QUEUE
    settings: Settings = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """An NS link or LAN, a TopDL substrate. A link has exactly two members.

    `settings` are kept (`multiplexed`, `encapsulation`, TopDL's substrate attributes ...); `impairments` reads some.
    `turn` is the place of an NS file's link in the order in which Emulab hands out subnets, counted from 0; None
    elsewhere.
    """

    name: str
    members: tuple[Member, ...]
    is_link: bool = False
    prefix_length: int | None = None
    settings: Settings = ()
    turn: int | None = None
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
    attributes: Settings = ()
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualRoute:
    """`$node add-route`: from `node` to `destination` (a node's or LAN's name) by way of the node `next_hop`."""

    node: str
    destination: str
    next_hop: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program agent: a command that events start on a node. Kept; not executed yet."""

    name: str
    node: str
    command: str
    directory: str | None = None
    timeout_seconds: float | None = None
    expected_exit_code: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`$ns at`: at `time_seconds` after the start, `event` happens to `target`. Kept; not executed yet.

    `sequence` names the event sequence or timeline that it belongs to, if any; in a sequence events have no time of
    their own (None) but follow one another. `at_swapout`: when the experiment is swapped out, not at a time.
    `target_kind`, `event` and `arguments` are words of Emulab's event system (LINK, MODIFY, DELAY=20ms).
    """

    time_seconds: float | None
    target: str
    target_kind: str
    event: str
    arguments: str = ""
    sequence: str | None = None
    at_swapout: bool = False
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One end of a traffic generator: an agent on a node and the agent it sends to. Kept; not executed yet."""

    name: str
    node: str
    role: str
    protocol: str
    port: int
    peer: str
    peer_node: str
    peer_port: int
    generator: str
    settings: Settings = ()
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualType:
    """`tb-make-soft-vtype` and its like: a name for any of several hardware types."""

    name: str
    weight: float
    hardware: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """One input file, read. `warnings` are problems that do not stop it.

    `options` is the file's `opt()` array, `settings` what it says of the experiment as a whole and is kept, `groups`
    the event groups by name.
    """

    source: str
    nodes: tuple[Node, ...]
    lans: tuple[Lan, ...]
    routing: Routing = Routing.NONE
    routes: tuple[ManualRoute, ...] = ()
    options: Settings = ()
    settings: Settings = ()
    programs: tuple[Program, ...] = ()
    events: tuple[Event, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    traffic: tuple[Traffic, ...] = ()
    virtual_types: tuple[VirtualType, ...] = ()
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
