"""A topology while its file is being read: names may still change and values come one by one."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from benito.errors import Problem
from benito.model import (
    CLEAR,
    DEFAULT_QUEUE,
    Event,
    Kind,
    Lan,
    ManualRoute,
    Member,
    Node,
    Program,
    Queue,
    Routing,
    Shaping,
    Topology,
    Traffic,
    VirtualType,
)


@dataclass(slots=True, kw_only=True, eq=False)
class DraftNode:
    """A node to be. `attributes` keeps the order of the file, `attribute_lines` where each one stands."""

    name: str
    line: int | None = None
    kind: Kind | None = None
    hardware: str | None = None
    os: str | None = None
    image: str | None = None
    memory_mib: int | None = None
    vcpus: int | None = None
    start_command: str | None = None
    tarfiles: list[tuple[str, str]] = field(default_factory=list)
    failure_action: str | None = None
    fixed_to: str | None = None
    partition: str | None = None
    partition_pass: int | None = None
    ghost: bool = False
    attributes: dict[str, str] = field(default_factory=dict)
    attribute_lines: dict[str, int | None] = field(default_factory=dict)
    ports: "list[DraftMember]" = field(default_factory=list)

    def add_attribute(self, key: str, value: str, line: int | None) -> bool:
        """Keeps the first value of each key, as DETER does; False where there was one."""
        if key in self.attributes:
            return False
        self.attributes[key] = value
        self.attribute_lines[key] = line
        return True

    def finish(self) -> Node:
        """As the model has it."""
        return Node(
            name=self.name,
            kind=self.kind,
            hardware=self.hardware,
            os=self.os,
            image=self.image,
            memory_mib=self.memory_mib,
            vcpus=self.vcpus,
            start_command=self.start_command,
            tarfiles=tuple(self.tarfiles),
            failure_action=self.failure_action,
            fixed_to=self.fixed_to,
            partition=self.partition,
            partition_pass=self.partition_pass,
            ghost=self.ghost,
            attributes=tuple(self.attributes.items()),
            line=self.line,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class DraftMember:
    """A node's attachment to be; its port's number is its place in the node's list."""

    node: DraftNode
    lan: "DraftLan"
    port: int
    into: Shaping = CLEAR
    out_of: Shaping = CLEAR
    address: IPv4Address | None = None
    mac: str | None = None
    cost: float = 1.0
    queue: Queue = DEFAULT_QUEUE
    is_limit_set: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    line: int | None = None
    address_line: int | None = None

    def finish(self) -> Member:
        """As the model has it."""
        into, out_of = self.into, self.out_of
        if self.is_limit_set and not self.queue.in_bytes:
            into = replace(into, queue_packets=self.queue.limit)
        if not self.lan.is_rate_enforced:
            into, out_of = replace(into, rate_kbps=None), replace(out_of, rate_kbps=None)
        return Member(
            node=self.node.name,
            port=self.port,
            into=into,
            out_of=out_of,
            address=self.address,
            mac=self.mac,
            cost=self.cost,
            queue=self.queue,
            settings=tuple(self.settings.items()),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class DraftLan:
    """A link or LAN to be."""

    name: str
    line: int | None = None
    is_link: bool = False
    is_rate_enforced: bool = True
    prefix_length: int | None = None
    members: list[DraftMember] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    turn: int | None = None
    by_node: "dict[int, DraftMember]" = field(default_factory=dict)

    def attach(self, node: DraftNode, half: Shaping = CLEAR, *, line: int | None = None) -> DraftMember:
        """The node's next port joins, with the same shaping both ways."""
        member = DraftMember(node=node, lan=self, port=len(node.ports), into=half, out_of=half, line=line or self.line)
        node.ports.append(member)
        self.members.append(member)
        self.by_node.setdefault(id(node), member)
        return member

    def member_of(self, node: DraftNode) -> DraftMember | None:
        """The node's first attachment to this LAN."""
        return self.by_node.get(id(node))

    def finish(self) -> Lan:
        """As the model has it."""
        return Lan(
            name=self.name,
            members=tuple(member.finish() for member in self.members),
            is_link=self.is_link,
            prefix_length=self.prefix_length,
            settings=tuple(self.settings.items()),
            turn=self.turn,
            line=self.line,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class DraftRoute:
    """A manual route to be; its ends may still get other names."""

    node: DraftNode
    destination: DraftNode | DraftLan
    next_hop: DraftNode
    line: int

    def finish(self) -> ManualRoute:
        """As the model has it."""
        return ManualRoute(
            node=self.node.name, destination=self.destination.name, next_hop=self.next_hop.name, line=self.line
        )


@dataclass(slots=True, kw_only=True, eq=False)
class DraftProgram:
    """A program agent to be. `node` is a node, or the name of a server of the testbed (`ops`)."""

    name: str
    line: int
    node: DraftNode | str | None = None
    command: str = ""
    directory: str | None = None
    timeout_seconds: float | None = None
    expected_exit_code: int | None = None

    def finish(self) -> Program:
        """As the model has it."""
        return Program(
            name=self.name,
            node=self.node.name if isinstance(self.node, DraftNode) else self.node or "",
            command=self.command,
            directory=self.directory,
            timeout_seconds=self.timeout_seconds,
            expected_exit_code=self.expected_exit_code,
            line=self.line,
        )


#: The name of a thing once all names are settled.
NameOf = Callable[[], str]


@dataclass(slots=True, kw_only=True, eq=False)
class DraftEvent:
    """An event to be; what it happens to may still get another name."""

    time_seconds: float | None
    target: NameOf
    target_kind: str
    event: str
    line: int
    arguments: str = ""
    sequence: NameOf | None = None
    at_swapout: bool = False

    def finish(self) -> Event:
        """As the model has it."""
        return Event(
            time_seconds=self.time_seconds,
            target=self.target(),
            target_kind=self.target_kind,
            event=self.event,
            arguments=self.arguments,
            sequence=self.sequence() if self.sequence else None,
            at_swapout=self.at_swapout,
            line=self.line,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class DraftGroup:
    """An event group to be: its members' names, once they are settled."""

    name: str
    members: list[NameOf] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Draft:
    """A whole file."""

    source: str
    nodes: list[DraftNode] = field(default_factory=list)
    lans: list[DraftLan] = field(default_factory=list)
    routing: Routing = Routing.NONE
    routes: list[DraftRoute] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    programs: list[DraftProgram] = field(default_factory=list)
    events: list[DraftEvent] = field(default_factory=list)
    groups: list[DraftGroup] = field(default_factory=list)
    traffic: list[Traffic] = field(default_factory=list)
    virtual_types: dict[str, VirtualType] = field(default_factory=dict)

    def finish(self, warnings: tuple[Problem, ...]) -> Topology:
        """As the model has it."""
        return Topology(
            source=self.source,
            nodes=tuple(node.finish() for node in self.nodes),
            lans=tuple(lan.finish() for lan in self.lans),
            routing=self.routing,
            routes=tuple(route.finish() for route in self.routes),
            options=tuple(self.options.items()),
            settings=tuple(self.settings.items()),
            programs=tuple(program.finish() for program in self.programs),
            events=tuple(event.finish() for event in self.events),
            groups=tuple((group.name, tuple(name() for name in group.members)) for group in self.groups),
            traffic=tuple(self.traffic),
            virtual_types=tuple(self.virtual_types.values()),
            warnings=warnings,
        )
