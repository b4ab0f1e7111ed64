"""What an NS file's objects are beside nodes, links and LANs: agents, applications, firewalls, storage."""

from dataclasses import dataclass, field

from benito.topology.draft import DraftGroup, DraftNode, DraftProgram


@dataclass(slots=True, kw_only=True, eq=False)
class Application:
    """What drives a traffic generator (CBR, FTP, Telnet), with the variables that the file set."""

    name: str
    kind: str
    line: int
    agent: "Agent | None" = None
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Agent:
    """One end of a traffic generator. `role` and `protocol` are settled when it is connected."""

    name: str
    kind: str
    line: int
    node: DraftNode | None = None
    port: int = 0
    application: Application | None = None
    destination: "Agent | None" = None
    protocol: str = ""
    role: str = ""

    @property
    def is_full_tcp(self) -> bool:
        """Whether ns-2 itself makes the packets, on Emulab in a simulator on the node."""
        return self.kind.startswith("Agent/TCP/FullTcp")


@dataclass(slots=True, kw_only=True, eq=False)
class Firewall:
    """A firewall around the experiment; `rules` by their numbers."""

    name: str
    line: int
    kind: str = "ipfw2-vlan"
    style: str = "basic"
    parent: "Firewall | None" = None
    next_rule: int = 100
    rules: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Store:
    """A block store; `values` are what the file set, under Emulab's names."""

    name: str
    line: int
    node: DraftNode | None = None
    size_mib: int = 0
    values: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Group:
    """An event group: members of one class; `known` are the numbers of their objects."""

    draft: DraftGroup
    kind: str | None = None
    known: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The group's name."""
        return self.draft.name

    @name.setter
    def name(self, name: str) -> None:
        self.draft.name = name


#: What an object may be, beside a node, a link or a queue. Each has a name that may still change.
Thing = Agent | Application | DraftProgram | Firewall | Group | Store
