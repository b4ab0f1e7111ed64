"""What the interpreter says an NS file did, checked word by word: the child that says it is not trusted."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_MOST_IDS = 10_000_000


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


def parse_record(text: bytes) -> Record:
    """One line of the interpreter. Raises MalformedRecord."""
    try:
        words = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(str(error)) from error
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise MalformedRecord("not a list of words")
    try:
        "".join(words).encode()  # JSON can spell half a character, which no file or terminal takes
    except UnicodeEncodeError as error:
        raise MalformedRecord("not text") from error
    what, *rest = words
    reader = _READERS.get(what)
    if reader is None:
        raise MalformedRecord("unknown kind of record")
    try:
        return reader(rest)
    except (ValueError, TypeError, IndexError) as error:
        raise MalformedRecord(f"bad record: {what}") from error


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
