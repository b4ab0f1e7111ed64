"""The text of an NS file being written, with what it cannot say."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from benito.topology.writers import tcl

_NAME = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]{0,63}", re.ASCII)
_OWN_NAME = re.compile(r"tb(?:node-n|link-l|lan-lan)([0-9]{1,9})", re.ASCII)
#: What Emulab calls a node, link or LAN that is not stored in a variable, before its number.
_OWN_NAMES = {"node": "tbnode-n", "link": "tblink-l", "lan": "tblan-lan"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NsText:
    """An NS file, and a line for each thing of the topology that it does not say."""

    text: str
    losses: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Out:
    """Lines so far; `names` gives objects their names.

    `nodes`, `lans` and `things` have the name that each has in the file, `queues` the expression for a member's queue
    by the name that events have for it, `made` counts what Emulab numbers.
    """

    names: tcl.Names
    lines: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)
    lans: dict[str, str] = field(default_factory=dict)
    things: dict[str, str] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def say(self, line: str) -> None:
        """Adds a line."""
        self.lines.append(line)

    def make(self, kind: str, wanted: str, maker: str) -> str:
        """Makes a node, link or LAN; the name that it gets.

        An object that is not stored is called `tblink-l4`, the number counting all of them. Nothing can be stored
        under such a name while it is the object's own; one that is still to come cannot be given.
        """
        self.made += 1
        if wanted == f"{_OWN_NAMES[kind]}{self.made}" and not self.names.is_taken(wanted):
            self.names.take(wanted)
            self.say(maker)
            return wanted
        found = _OWN_NAME.fullmatch(wanted)
        is_to_come = found is not None and int(found[1]) >= self.made
        name = self.names.name(f"{wanted[:28]}-{kind}" if is_to_come else wanted)
        if name != wanted:
            self.lose(f"the name {wanted}, which NS cannot give: it is {name} here")
        self.say(f"set {tcl.word(self.names.variable(name))} [{maker}]")
        return name

    def store(self, wanted: str, maker: str) -> str | None:
        """Makes any other object that events may name; the word for it, None where NS cannot name it."""
        if _NAME.fullmatch(wanted) is None:
            self.lose(f"{wanted!r}, which NS cannot name")
            return None
        name = self.names.name(wanted)
        if name != wanted:
            self.lose(f"the name {wanted}: it is {name} here")
        self.things[wanted] = name
        self.say(f"set {tcl.word(self.names.variable(name))} [{maker}]")
        return self.names.value(name)

    def command(self, name: str, target: str, *texts: str) -> None:
        """Adds a call with an object, already a word, and further texts."""
        self.lines.append(" ".join((name, target, *map(tcl.word, texts))))

    def lose(self, message: str) -> None:
        """Notes what cannot be said, there and in the list."""
        shown = "".join(letter if letter.isprintable() else " " for letter in message)[:200]
        # A comment that ends in a backslash would go on in the next line; braces count even in comments.
        self.lines.append("# left out: " + "".join(" " if letter in "\\{}" else letter for letter in shown))
        self.losses.append(shown)

    def node(self, name: str) -> str:
        """The word for a node."""
        return self.names.value(self.nodes[name])

    def lan(self, name: str) -> str:
        """The word for a link or LAN."""
        return self.names.value(self.lans[name])

    def event_word(self, name: str) -> str | None:
        """What events and groups call an object; None where the file has none of that name."""
        for called in (self.things, self.nodes, self.lans):
            if name in called:
                return called[name]
        if name.endswith("_startcmd") and name.removesuffix("_startcmd") in self.nodes:
            return f"{self.nodes[name.removesuffix('_startcmd')]}_startcmd"
        return self.queues.get(name)

    def lose_each(self, messages: Iterable[str]) -> None:
        """Notes several."""
        for message in messages:
            self.lose(message)
