"""The one tree of errors that Benito raises on purpose.

    BenitoError(message, hint)                      exit code
    ├─ UsageError          options that contradict, no such node   1
    ├─ TopologyError       every problem of an input file          2
    │   ├─ TopologySyntaxError   Tcl or XML that cannot be read, limits passed
    │   └─ TopologyMeaningError  it can be read, but not be meant
    ├─ EmbeddingError      no room, or a placement nobody has      3
    ├─ TestbedError        the testbed cannot give what is asked   4
    │   └─ SiteError             every problem of the site file
    ├─ HypervisorError     libvirt, a container or a namespace     5
    │   └─ TemplateError         every problem of a skeleton of domain XML
    ├─ LinkError           the kernel's links and shaping          6
    │   ├─ KernelFeatureMissing
    │   └─ RelaySilent           one runs, but hangs
    ├─ NodeManagerError    a pnode's manager                       7
    └─ StoreError          the controller's state                  8
        ├─ ExperimentExists
        └─ ExperimentMissing

Lower-level errors (libvirt, netlink, sqlite, subprocess) are translated where the library is used,
in one place each. Only the command line turns an error into an exit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class BenitoError(Exception):
    """What went wrong, for a person to read; `hint` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BenitoError):
    """A command that contradicts itself or names something that is not there."""


class Severity(StrEnum):
    """Whether a problem of an input file stops it from being used."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding in an input file: where, on what element, what is wrong and what to do."""

    message: str
    file: str
    line: int | None = None
    element: str | None = None
    hint: str | None = None
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """`file:line: element: message (hint)`, leaving out what is not known."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        element = f"{self.element}: " if self.element else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}: {element}{self.message}{hint}"


class TopologyError(BenitoError):
    """All problems of an input file at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = tuple(problems)


class TopologySyntaxError(TopologyError):
    """The file cannot be read: Tcl error, bad XML, a limit passed."""


class TopologyMeaningError(TopologyError):
    """The file can be read, but what it asks for cannot be meant."""


class EmbeddingError(BenitoError):
    """The nodes have no place: over capacity, or placed where nothing is."""

    exit_code = 3


class TestbedError(BenitoError):
    """The testbed cannot give what the experiment asks for."""

    exit_code = 4
    __test__ = False  # not a test class, whatever pytest makes of the name


class SiteError(TestbedError):
    """All problems of the site file at once: the testbed's description is at fault, not the experiment."""

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = tuple(problems)


class HypervisorError(BenitoError):
    """A domain, container or namespace could not be made, found or ended."""

    exit_code = 5


class TemplateError(HypervisorError):
    """All problems of a skeleton of domain XML at once."""

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = tuple(problems)


class LinkError(BenitoError):
    """A link could not be made as the file says, or is found to do otherwise."""

    exit_code = 6


class KernelFeatureMissing(LinkError):
    """The kernel lacks what a link asks for."""


class RelaySilent(LinkError):
    """An experiment's relay runs, but does not answer."""


class NodeManagerError(BenitoError):
    """A pnode's node manager refused, failed or is at another version."""

    exit_code = 7


class StoreError(BenitoError):
    """The controller's state cannot be read or written."""

    exit_code = 8


class ExperimentExists(StoreError):
    """An experiment of that name is there already."""


class ExperimentMissing(StoreError):
    """No experiment of that name is known."""
