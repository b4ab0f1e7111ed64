"""Counts what an importer changes or leaves out, so that each kind of it is said once."""

from collections import Counter

from benito.topology.findings import Findings

_MOST_EXAMPLE = 80


class Tally:
    """Kinds of changes with how often they were made, one example each, and the first line."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._lines: dict[str, int | None] = {}

    def add(self, message: str, example: str = "", line: int | None = None) -> None:
        """One more of a kind."""
        self._counts[message] += 1
        self._examples.setdefault(message, example)
        self._lines.setdefault(message, line)

    def say(self, findings: Findings) -> None:
        """A warning for each kind, in the order in which they came up."""
        for message, count in self._counts.items():
            times = f": {count} times" if count > 1 else ""
            example = self._examples[message]
            said = f" ({'for one: ' if count > 1 else ''}{example[:_MOST_EXAMPLE]})" if example else ""
            findings.warning(f"{message}{times}{said}", line=self._lines[message])
