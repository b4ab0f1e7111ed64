"""What the interpreter says an NS file did, checked word by word: the child that says it is not trusted."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_MOST_IDS = 10_000_000
_BETWEEN_WORDS = "\x1f"
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


class MalformedRecord(ValueError):
    """A line that no interpreter of ours writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An object of class `kind` came to be, by the method `how` with `words`."""

    line: int
    id: int
    kind: str
    name: str
    how: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An object got the name of the variable that it was stored in."""

    line: int
    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A method of an object was called; `known` says whether the tables have it."""

    line: int
    id: int
    method: str
    words: tuple[str, ...]
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """A tb-* command was given."""

    line: int
    command: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSet:
    """`set opt(NAME) VALUE`."""

    line: int
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownClass:
    """`new` of a class that nobody knows."""

    line: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLink:
    """`$ns link` of two nodes that have none."""

    line: int
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Tcl stopped at an error; `line` is 0 where only `trace`, Tcl's own words, can tell it."""

    line: int
    message: str
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """A limit stopped the file: `nodes`, `time` or `commands`."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The file came to its end."""


Record = Made | Named | Called | Commanded | OptionSet | UnknownClass | NoLink | Failed | Limited | Ended


def parse_records(output: bytes) -> list[Record]:
    """All lines of the interpreter. Raises MalformedRecord."""
    try:
        text = output.decode()
    except UnicodeDecodeError as error:
        raise MalformedRecord("not text") from error
    lines = text.split("\n")
    if lines.pop():
        raise MalformedRecord("the last line has no end")
    if lines and isinstance(last := parse_record(lines[-1]), Limited):
        return [last]  # what came before is no longer asked for, and may be long
    return [parse_record(line) for line in lines]


def parse_record(line: str) -> Record:
    """One line: words that the character 31 parts, with escapes for what would end them. Raises MalformedRecord."""
    words = line.split(_BETWEEN_WORDS)
    if "\\" in line:
        words = [_plain(word) for word in words]
    reader = _READERS.get(words[0])
    if reader is None:
        raise MalformedRecord("unknown kind of record")
    try:
        return reader(words[1:])
    except (ValueError, TypeError, IndexError) as error:
        raise MalformedRecord(f"bad record: {words[0]}") from error


def _plain(word: str) -> str:
    if "\\" not in word:
        return word
    parts = _ESCAPE.split(word)
    if any("\\" in part for part in parts[::2]):
        raise MalformedRecord("an escape that we do not write")
    return "".join(chr(int(part, 16)) if place % 2 else part for place, part in enumerate(parts))


def number(text: str) -> int:
    """A plain number that the interpreter counts by. Raises ValueError."""
    if len(text) > 8 or not text.isascii() or not text.isdecimal() or int(text) > _MOST_IDS:
        raise ValueError(text[:20])
    return int(text)


def _call(words: list[str], *, known: bool) -> Called:
    line, identity, method, *rest = words
    return Called(line=number(line), id=number(identity), method=method, words=tuple(rest), known=known)


def _made(words: list[str]) -> Made:
    line, identity, kind, name, how, *rest = words
    return Made(line=number(line), id=number(identity), kind=kind, name=name, how=how, words=tuple(rest))


def _named(words: list[str]) -> Named:
    line, identity, name = words
    return Named(line=number(line), id=number(identity), name=name)


def _commanded(words: list[str]) -> Commanded:
    line, command, *rest = words
    return Commanded(line=number(line), command=command, words=tuple(rest))


def _option(words: list[str]) -> OptionSet:
    line, name, value = words
    return OptionSet(line=number(line), name=name, value=value)


def _unknown_class(words: list[str]) -> UnknownClass:
    line, name = words
    return UnknownClass(line=number(line), name=name)


def _no_link(words: list[str]) -> NoLink:
    line, first, second = words
    return NoLink(line=number(line), first=first, second=second)


def _failed(words: list[str]) -> Failed:
    line, message, trace = words
    return Failed(line=number(line), message=message, trace=trace)


def _limited(words: list[str]) -> Limited:
    (what,) = words
    return Limited(what=what)


def _ended(words: list[str]) -> Ended:
    () = words
    return Ended()


_READERS: Mapping[str, Callable[[list[str]], Record]] = {
    "new": _made,
    "name": _named,
    "call": lambda words: _call(words, known=True),
    "unknown": lambda words: _call(words, known=False),
    "tb": _commanded,
    "opt": _option,
    "unknownclass": _unknown_class,
    "nolink": _no_link,
    "error": _failed,
    "limit": _limited,
    "end": _ended,
}
