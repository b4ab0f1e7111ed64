"""What a test of links found, as it is shown, printed as JSON and kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from benito.errors import StoreError

_STRICT = ConfigDict(extra="forbid")


class Quantity(StrEnum):
    """What is measured; delay and jitter in microseconds, rate in kbit/s, the others as shares of packets, 0 to 1."""

    DELAY = "delay"
    JITTER = "jitter"
    LOSS = "loss"
    RATE = "rate"
    REORDER = "reorder"
    DUPLICATE = "duplicate"
    CORRUPT = "corrupt"


class Outcome(StrEnum):
    """A verdict. INFO: nothing is asked, the measured value is only told."""

    INFO = "info"
    OK = "ok"
    NOT_MEASURED = "not measured"
    OFF = "off"


#: From good to bad.
_ORDER = (Outcome.INFO, Outcome.OK, Outcome.NOT_MEASURED, Outcome.OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One quantity on one way, in its unit. `low` and `high` bound what counts as asked; `note` says what a person
    should know: why it could not be measured, by how much it is off. `allowed` comes to what is asked by the measuring
    itself, the time that a probe takes at the rate or the damage that cannot be seen; None for nothing."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    quantity: Quantity
    outcome: Outcome
    asked: float | None = None
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    allowed: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayResult:
    """From one member of a link to another. `sent` and `arrived` count probes, `p95_us` is of their delays.

    `why_not` says why nothing was measured at all, `not_as_planned` what was wrong with the link in the kernel when the
    test began.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    link: str
    sender: str
    receiver: str
    sent: int = 0
    arrived: int = 0
    p95_us: float | None = None
    findings: tuple[Finding, ...] = ()
    why_not: str = ""
    not_as_planned: str = ""

    @property
    def outcome(self) -> Outcome:
        """The worst of its findings; OK where nothing is asked and nothing wrong."""
        if self.why_not:
            return Outcome.NOT_MEASURED
        return worst(finding.outcome for finding in self.findings)

    def finding(self, quantity: Quantity) -> Finding | None:
        """That quantity's; None where there is none."""
        return next((finding for finding in self.findings if finding.quantity is quantity), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTest:
    """One run. `started` is UTC, ISO 8601; `links` counts those tested, `of_links` all of the experiment."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    experiment: str
    started: str
    seconds: float
    links: int
    of_links: int
    ways: tuple[WayResult, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of all ways."""
        return worst(way.outcome for way in self.ways)

    def links_with(self, outcome: Outcome) -> tuple[str, ...]:
        """The links whose worst way came out so, in the file's order."""
        found: dict[str, list[Outcome]] = {}
        for way in self.ways:
            found.setdefault(way.link, []).append(way.outcome)
        return tuple(link for link, outcomes in found.items() if worst(outcomes) is outcome)

    def to_json(self) -> str:
        """As text; `from_json` gives an equal one."""
        return _LINK_TEST.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "LinkTest":
        """From text. Raises StoreError where another version wrote it."""
        try:
            return _LINK_TEST.validate_json(text)
        except ValidationError as error:
            raise StoreError("the kept result is of another version of benito", hint="test the links again") from error


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of them; OK where there is none, or information only."""
    found = max(outcomes, key=_ORDER.index, default=Outcome.OK)
    return Outcome.OK if found is Outcome.INFO else found


_LINK_TEST = TypeAdapter(LinkTest)
