"""Jitter, reordering, duplication and corruption: what a file says of them by the settings of its links and members.

These go beyond Emulab's links, so that files name them by Emulab's general settings: `tb-set-lan-setting LINK jitter
2ms` in NS2, an attribute `setting:jitter` of the substrate or the interface in TopDL. A link's or LAN's setting holds
from member to member, a member's on its way into the LAN.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from benito.errors import Problem, TopologyMeaningError
from benito.model import Lan, Member, Settings, Shaping, Topology, half_loss

PREFIX = "setting:"
WORDS = ("jitter", "reorder", "duplicate", "corrupt")
_KEYS = frozenset(f"{PREFIX}{word}" for word in WORDS)
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(us|ms|s)?", re.ASCII)
_RATIO = re.compile(r"(\d{1,3}(?:\.\d{1,9})?) ?(%)?", re.ASCII)
_UNITS_US = {"us": 1, "ms": 1000, "s": 1_000_000, None: 1000}
_LONGEST_US = 60_000_000


def time_us(text: str) -> int:
    """`2ms`, `500us`, `0.5` (milliseconds), as microseconds. Raises ValueError with what is expected."""
    found = _DELAY.fullmatch(text.strip())
    if found is None or not 0 <= (value := round(float(found[1]) * _UNITS_US[found[2]])) <= _LONGEST_US:
        raise ValueError(f"{text!r} is no time: expected one like 2ms or 500us, at most 60 s")
    return value


def ratio(text: str) -> float:
    """`1%` or `0.01`, as a number from 0 to 1. Raises ValueError with what is expected."""
    found = _RATIO.fullmatch(text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is no share of packets: expected one like 1% or 0.01")
    return value


def with_impairments(topology: Topology) -> Topology:
    """The topology with what its links' settings ask for in the links' shaping.

    Raises TopologyMeaningError with every value that cannot be read.
    """
    problems: list[Problem] = []
    lans = tuple(_applied(topology.source, lan, problems) for lan in topology.lans)
    if problems:
        raise TopologyMeaningError(problems)
    return replace(topology, lans=lans) if lans != topology.lans else topology


def _applied(source: str, lan: Lan, problems: list[Problem]) -> Lan:
    whole = _asked(lan.settings)
    members = [_asked(member.settings) for member in lan.members]
    if not whole and not any(members):
        return lan

    def read(element: str, said: Mapping[str, str], *, halved: bool) -> Shaping:
        values: dict[str, float] = {}
        for word, text in said.items():
            try:
                value = time_us(text) if word == "jitter" else ratio(text)
            except ValueError as error:
                problems.append(Problem(file=source, line=lan.line, element=element, message=f"{word}: {error}"))
                continue
            values[word] = _half(word, value) if halved else value
        return Shaping(
            jitter_us=round(values.get("jitter", 0)),
            reorder_ratio=values.get("reorder", 0.0),
            duplicate_ratio=values.get("duplicate", 0.0),
            corrupt_ratio=values.get("corrupt", 0.0),
        )

    half = read(lan.name, whole, halved=True)

    def applied(member: Member, said: Mapping[str, str]) -> Member:
        own = read(f"{member.node} in {lan.name}", said, halved=False)
        return replace(member, into=member.into.then(half).then(own), out_of=member.out_of.then(half))

    made = tuple(applied(member, said) for member, said in zip(lan.members, members, strict=True))
    problems += _without_delay(source, lan, made)
    return replace(lan, members=made)


def _asked(settings: Settings) -> dict[str, str]:
    return {key.removeprefix(PREFIX): value for key, value in settings if key in _KEYS}


def _half(word: str, value: float) -> float:
    return value / 2 if word == "jitter" else half_loss(value)


def fault_of(way: Shaping) -> str | None:
    """What makes no sense of a way: who has no delay cannot vary it, nor be overtaken. None where all does."""
    if way.jitter_us > way.delay_us:
        return f"jitter {way.jitter_us} us is more than the delay, {way.delay_us} us"
    if way.reorder_ratio > 0 and way.delay_us == 0:
        return "packets that have no delay cannot overtake each other"
    return None


def _without_delay(source: str, lan: Lan, members: tuple[Member, ...]) -> Iterator[Problem]:
    for sender in members:
        ways = [sender.into.then(other.out_of) for other in members if other is not sender] or [sender.into]
        fault = next(filter(None, map(fault_of, ways)), None)
        if fault is not None:
            message = f"from {sender.node}: {fault}"
            hint = "give it more delay, or less of this"
            yield Problem(file=source, line=lan.line, element=lan.name, message=message, hint=hint)
