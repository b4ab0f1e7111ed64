"""What the tables of commands and methods are made of."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from benito.topology.ns.child import Rule
from benito.topology.ns.world import Call

_OPTIONAL = re.compile(r"\?[^?]*\?")

#: How messages call an object of a class, where its name in small letters will not do.
_OWNERS = {"Simulator": "ns", "*": "object"}

Handler = Callable[[Call], None]


class Treatment(StrEnum):
    """What becomes of a command: it is done; kept with a note that nothing is done yet; or checked and kept with a
    note that it has no meaning outside Emulab."""

    HONOURED = "honoured"
    KEPT = "kept"
    NOTED = "noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A tb-* command. `usage` names its words: `?word?` may be left out, `...` stands for any number.

    `handler` checks its words and does or keeps what it means.
    """

    name: str
    usage: str
    treatment: Treatment
    handler: Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of the objects of class `owner`; `*` is any class."""

    owner: str
    name: str
    usage: str
    handler: Handler | None = None


def rule_of(owner: str | None, name: str, usage: str) -> Rule:
    """The count of words that a usage allows."""
    needed = [word for word in _OPTIONAL.sub(" ", usage).split() if word != "..."]
    optional = _OPTIONAL.findall(usage)
    most = -1 if "..." in usage else len(needed) + len(optional)
    call = name if owner is None else f"{_OWNERS.get(owner, owner.lower())} {name}"
    return Rule(owner=owner, name=name, least=len(needed), most=most, usage=f"{call} {usage}".strip())


def rules_of(commands: Iterable[Command], methods: Iterable[Method], classes: Mapping[str, str]) -> list[Rule]:
    """All that the interpreter must know of the tables; `classes` are those that `new` makes, with their kinds."""
    rules = [rule_of(None, command.name, command.usage) for command in commands]
    rules += [rule_of(method.owner, method.name, method.usage) for method in methods]
    rules += [Rule(owner="new", name=name, least=0, most=-1, usage=kind) for name, kind in classes.items()]
    return rules
