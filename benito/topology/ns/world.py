"""What the calls of an NS file have made so far, and how its words are looked up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from benito.topology.draft import Draft, DraftLan, DraftMember, DraftNode
from benito.topology.findings import Findings, nearest
from benito.topology.quantities import Rejection

T = TypeVar("T")

#: Lengths of words that a person might have written.
_SHOWN_LETTERS = 80


@dataclass(slots=True, kw_only=True, eq=False)
class Object:
    """An object of the file: a node, a link or LAN, a member's queue, or something that only has a name.

    `made_by` is the method that made it; of an object that does nothing, what it stands for.
    """

    kind: str
    name: str
    made_by: str
    line: int
    simulator: int = 0
    node: DraftNode | None = None
    lan: DraftLan | None = None
    member: DraftMember | None = None


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

    def find(self, name: str) -> Object | None:
        """The object of that name."""
        number = self.numbers.get(name.removeprefix("::"))
        return None if number is None else self.objects[number]

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
            return None if self.target is None or self.target.kind == "Simulator" else self.target.name
        return self.words[0] if self.words and self.world.find(self.words[0]) else None

    def error(self, rejection: Rejection) -> None:
        """Notes why the call is of no effect."""
        self.world.findings.error(
            f"[{self.name}] {rejection.message}", line=self.line, element=self.element, hint=rejection.hint
        )

    def note(self, message: str, hint: str | None = None) -> None:
        """Says once what becomes of such calls."""
        self.world.findings.warn_once(message, line=self.line, hint=hint)

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
            raise Rejection(f"{shown(word)} is not a node.", self._alike(word, "Node"))
        return found.node

    def lan(self, word: str) -> DraftLan:
        """The LAN (not link) of that name."""
        found = self.world.find(word)
        if found is None or found.lan is None or found.lan.is_link:
            raise Rejection(f"{shown(word)} is not a LAN.", self._alike(word, "Lan"))
        return found.lan

    def link(self, word: str) -> DraftLan:
        """The link (not LAN) of that name."""
        found = self.world.find(word)
        if found is None or found.lan is None or not found.lan.is_link:
            raise Rejection(f"{shown(word)} is not a link.", self._alike(word, "Link"))
        return found.lan

    def link_or_lan(self, word: str) -> DraftLan:
        """The link or LAN of that name."""
        found = self.world.find(word)
        if found is None or found.lan is None:
            raise Rejection(f"{shown(word)} is not a link or LAN.", self._alike(word, "Link", "Lan"))
        return found.lan

    def member(self, lan: DraftLan, node: DraftNode) -> DraftMember:
        """The node's attachment to the link or LAN."""
        found = lan.member_of(node)
        if found is None and lan.is_link:
            raise Rejection(f"{node.name} is not connected to {lan.name}.")
        if found is None:
            raise Rejection(f"{node.name} is not in {lan.name}.")
        return found

    def on_off(self, word: str) -> bool:
        """0 or 1."""
        if word not in ("0", "1"):
            raise Rejection(f"{shown(word)} must be 0/1")
        return word == "1"

    def _alike(self, word: str, *kinds: str) -> str | None:
        if self.world.findings.is_full:
            return None
        names = (made.name for made in self.world.objects.values() if made.kind in kinds)
        return nearest(word, islice(names, 2000))


def shown(word: str) -> str:
    """A word of the file in a message: at most a line of it."""
    line = word.replace("\n", " ")
    return line if len(line) <= _SHOWN_LETTERS else line[: _SHOWN_LETTERS - 3] + "..."
