"""Collects what is wrong with a file, so that its user hears all of it at once."""

from collections.abc import Iterable
from pathlib import Path

from benito.errors import Problem, Severity, TopologyError
from benito.names import look_alikes

#: So many misspelt words of a file get a proposal; looking for one takes time.
_MOST_PROPOSALS = 100
#: More problems than this are counted, not listed: nobody reads them, and a file could make millions.
MOST_LISTED = 500


def nearest(word: str, known: Iterable[str]) -> str | None:
    """`did you mean ...?` with the known word that looks most like this one, or None."""
    found = look_alikes(word, known, most=1, likeness=0.6)
    return f"did you mean {found[0]}?" if found else None


class Findings:
    """The problems of one file, told in the order of its lines."""

    def __init__(self, path: Path) -> None:
        self.file = str(path)
        self._problems: list[Problem] = []
        self._counts = dict.fromkeys(Severity, 0)
        self._said: set[str] = set()
        self._proposals = 0
        self._tallies: dict[str, tuple[int, int | None]] = {}
        self.has_syntax_error = False

    def error(
        self, message: str, *, line: int | None = None, element: str | None = None, hint: str | None = None
    ) -> None:
        """Something that stops the file from being used."""
        self._add(Severity.ERROR, message, line, element, hint)

    def warning(
        self, message: str, *, line: int | None = None, element: str | None = None, hint: str | None = None
    ) -> None:
        """Something that its user should know."""
        self._add(Severity.WARNING, message, line, element, hint)

    def warn_once(self, message: str, *, line: int | None = None, hint: str | None = None) -> None:
        """A warning that the file's first occasion speaks for all the others."""
        if message not in self._said:
            self._said.add(message)
            self.warning(message, line=line, hint=hint)

    def tally(self, message: str, *, line: int | None = None) -> None:
        """A warning that is told once, with the first line and how often there was cause for it."""
        count, first = self._tallies.get(message, (0, line))
        self._tallies[message] = count + 1, first

    def propose(self, word: str, known: Iterable[str]) -> str | None:
        """`nearest`, as long as this file has not asked too often."""
        self._proposals += 1
        return nearest(word, known) if self._proposals <= _MOST_PROPOSALS else None

    @property
    def has_errors(self) -> bool:
        """Whether the file cannot be used."""
        return self._counts[Severity.ERROR] > 0

    @property
    def is_full(self) -> bool:
        """Whether no further error will be listed; it need not be explained well either."""
        return self._counts[Severity.ERROR] >= MOST_LISTED

    @property
    def errors(self) -> tuple[Problem, ...]:
        """All that stops the file from being used."""
        return self._of(Severity.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All that does not."""
        for message, (count, line) in self._tallies.items():
            self.warning(message if count == 1 else f"{message}: {count} of them", line=line)
        self._tallies.clear()
        return self._of(Severity.WARNING)

    def raise_errors(self, kind: type[TopologyError]) -> None:
        """Raises `kind` with every error, if there is one."""
        if self.has_errors:
            raise kind(self.errors)

    def _add(self, severity: Severity, message: str, line: int | None, element: str | None, hint: str | None) -> None:
        self._counts[severity] += 1
        if self._counts[severity] > MOST_LISTED:
            return
        problem = Problem(
            message=_one_line(message),
            file=self.file,
            line=line or None,
            element=None if element is None else _one_line(element),
            hint=None if hint is None else _one_line(hint),
            severity=severity,
        )
        if self._problems and self._problems[-1] == problem:
            self._counts[severity] -= 1  # once is enough
        else:
            self._problems.append(problem)

    def _of(self, severity: Severity) -> tuple[Problem, ...]:
        found = [problem for problem in self._problems if problem.severity is severity]
        found.sort(key=lambda problem: (problem.line is None, problem.line or 0))
        unsaid = self._counts[severity] - len(found)
        if unsaid:
            what = "errors" if severity is Severity.ERROR else "warnings"
            found.append(Problem(message=f"{unsaid} more {what} are not listed", file=self.file, severity=severity))
        return tuple(found)


def _one_line(text: str) -> str:
    """Words of the file are shown, but do not steer the terminal that shows them."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
