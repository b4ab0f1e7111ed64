"""What the calls of an NS file have made so far, and how its words are looked up."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from benito.topology.draft import Draft, DraftLan, DraftMember, DraftNode
from benito.topology.findings import Findings
from benito.topology.ns.things import Agent, Firewall, Store, Thing
from benito.topology.quantities import Rejection

T = TypeVar("T")

#: Lengths of words that a person might have written.
_SHOWN_LETTERS = 80
#: So many names are looked through for one that was meant.
_MOST_COMPARED = 1000
#: The commands whose messages write LAN in capitals.
_CAPITALS = frozenset({"tb-set-ip-lan", "tb-feedback-vlan"})


@dataclass(slots=True, kw_only=True, eq=False)
class Object:
    """An object of the file: a node, a link or LAN, a member's queue, some other thing, or only a name.

    `made_by` is the method that made it; what `new` made has its class there, an object that does nothing what it
    stands for. `made_as` is the name that it had before a variable gave it one.
    """

    kind: str
    name: str
    made_by: str
    line: int
    simulator: int = 0
    node: DraftNode | None = None
    lan: DraftLan | None = None
    member: DraftMember | None = None
    thing: Thing | None = None
    made_as: str = ""

    @property
    def event_name(self) -> str:
        """The name by which events call it: a queue is its link and its node."""
        if self.member is not None:
            return f"{self.member.lan.name}-{self.member.node.name}"
        return self.name


@dataclass(slots=True, kw_only=True, eq=False)
class World:
    """The file's objects by number and by name; `between` has the newest link of each pair of nodes."""

    draft: Draft
    findings: Findings
    objects: dict[int, Object] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    between: dict[tuple[int, int], DraftLan] = field(default_factory=dict)
    tarfiles: list[tuple[str, str]] = field(default_factory=list)
    routed: set[tuple[int, int]] = field(default_factory=set)
    agents: list[Agent] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    firewalls: list[Firewall] = field(default_factory=list)
    clouds: list[Object] = field(default_factory=list)
    next_ports: dict[int, int] = field(default_factory=dict)
    next_rules: dict[int, int] = field(default_factory=dict)
    sync_server: DraftNode | None = None
    has_too_many_events: bool = False
    inner_attributes: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    most_interfaces: int = 0
    interfaces: int = 0
    neighbours: dict[tuple[int, int, int, int], bool] = field(default_factory=dict)
    run_at: int | None = None
    run_by: int = 0

    def add(self, number: int, made: Object) -> None:
        """A new object."""
        self.objects[number] = made
        self.numbers[made.name] = number

    def rename(self, number: int, name: str) -> None:
        """It gets its name."""
        made = self.objects[number]
        self.numbers.pop(made.name, None)
        self.numbers[name] = number
        made.name = name
        if made.node is not None:
            made.node.name = name
        if made.lan is not None:
            made.lan.name = name
        if made.thing is not None:
            made.thing.name = name

    def find(self, name: str) -> Object | None:
        """The object of that name."""
        number = self.numbers.get(name.removeprefix("::"))
        return None if number is None else self.objects[number]

    def has_room(self) -> bool:
        """Whether one more interface may be made. One more than are allowed is, so that the excess is noticed."""
        self.interfaces += 1
        return self.interfaces <= self.most_interfaces + 1

    def share_a_lan(self, first: DraftNode, second: DraftNode) -> bool:
        """Whether two nodes are in one link or LAN."""
        key = id(first), id(second), len(first.ports), len(second.ports)
        if key not in self.neighbours:
            fewer, more = sorted((first, second), key=lambda node: len(node.ports))
            self.neighbours[key] = any(port.lan.member_of(more) for port in fewer.ports)
        return self.neighbours[key]

    def link_between(self, first: DraftNode, second: DraftNode) -> DraftLan | None:
        """The link of two nodes that was made last."""
        return self.between.get((id(first), id(second)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: the command or method, its words and its line. Its lookups raise Rejection in Emulab's words."""

    world: World
    name: str
    words: tuple[str, ...]
    line: int
    target: Object | None = None

    @property
    def element(self) -> str | None:
        """The object that the call is about."""
        if not self.name.startswith("tb-"):
            return None if self.target is None or self.target.kind == "Simulator" else self.target.event_name
        return self.words[0] if self.words and self.world.find(self.words[0]) else None

    def error(self, rejection: Rejection) -> None:
        """Notes why the call is of no effect."""
        self.world.findings.error(
            f"[{self.name}] {rejection.message}", line=self.line, element=self.element, hint=rejection.hint
        )

    def note(self, message: str) -> None:
        """Says once what becomes of such calls, and how many there are."""
        self.world.findings.tally(message, line=self.line)

    def warn(self, message: str, hint: str | None = None) -> None:
        """Says what is doubtful about this call."""
        self.world.findings.warning(message, line=self.line, element=self.element, hint=hint)

    def value(self, read: Callable[[str], T], word: str, otherwise: T) -> T:
        """A word's value; a bad one is an error, but the call goes on with another."""
        try:
            return read(word)
        except Rejection as rejection:
            self.error(rejection)
            return otherwise

    def node(self, word: str) -> DraftNode:
        """The node of that name."""
        found = self.world.find(word)
        if found is None or found.node is None:
            raise Rejection(f"{shown(word)} is not a node.", self.alike(word, "Node"))
        return found.node

    def lan(self, word: str) -> DraftLan:
        """The LAN (not link) of that name."""
        found = self.world.find(word)
        if found is None or found.lan is None or found.lan.is_link:
            what = "LAN" if self.name in _CAPITALS else "lan"
            raise Rejection(f"{shown(word)} is not a {what}.", self.alike(word, "Lan"))
        return found.lan

    def link(self, word: str) -> DraftLan:
        """The link (not LAN) of that name."""
        found = self.world.find(word)
        if found is None or found.lan is None or not found.lan.is_link:
            raise Rejection(f"{shown(word)} is not a link.", self.alike(word, "Link"))
        return found.lan

    def link_or_lan(self, word: str) -> DraftLan:
        """The link or LAN of that name."""
        found = self.world.find(word)
        if found is None or found.lan is None:
            raise Rejection(f"{shown(word)} is not a link or a lan.", self.alike(word, "Link", "Lan"))
        return found.lan

    def member(self, lan: DraftLan, node: DraftNode) -> DraftMember:
        """The node's attachment to the link or LAN."""
        found = lan.member_of(node)
        if found is None and lan.is_link:
            raise Rejection(f"{node.name} is not connected to {lan.name}.")
        if found is None:
            raise Rejection(f"{node.name} is not in {lan.name}.")
        return found

    def agent(self, word: str) -> Agent:
        """The agent (of a traffic generator) of that name."""
        found = self.world.find(word)
        if found is None or not isinstance(found.thing, Agent):
            raise Rejection(f"{shown(word)} is not an Agent.", self.alike(word, "Agent"))
        return found.thing

    def on_off(self, word: str) -> bool:
        """0 or 1."""
        if word not in ("0", "1"):
            raise Rejection(f"{shown(word)} must be 0/1")
        return word == "1"

    def alike(self, word: str, *kinds: str) -> str | None:
        """A hint to the object (of one of the kinds, if any are given) whose name looks most like the word."""
        names = (made.name for made in self.world.objects.values() if not kinds or made.kind in kinds)
        return self.propose(word, islice(names, _MOST_COMPARED))

    def propose(self, word: str, known: Iterable[str]) -> str | None:
        """A hint to the known word that looks most like this one."""
        return self.world.findings.propose(word, known)


def shown(word: str) -> str:
    """A word of the file in a message: at most a line of it."""
    line = word.replace("\n", " ")
    return line if len(line) <= _SHOWN_LETTERS else line[: _SHOWN_LETTERS - 3] + "..."
