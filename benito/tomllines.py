"""On which line each key of a TOML text stands: tomllib does not say. Also keeps from tomllib what it cannot take."""

import re

#: The keys and list numbers (from 1) that lead to a value.
Place = tuple[str | int, ...]

#: tomllib's time grows with the square of a key's parts, and it calls itself for each level of nesting.
_MOST_PARTS = _MOST_DEPTH = 32

# Without possessive quantifiers: Python 3.11's first releases match less with them than they should.
_IN_QUOTES = r"""\"[^\"\\\n]*(?:\\[^\n][^\"\\\n]*)*"""
_PART = re.compile(rf"""[ \t]*({_IN_QUOTES}\"|'[^'\n]*'|[^\s\"'#\[\]{{}}=.,]+)[ \t]*""")
_BRACKETS = re.compile(r"[ \t]*(\[?\[?)")
_TOKEN = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?(?:\"{3,5}|\Z)|'{3}.*?(?:'{3,5}|\Z)"""
    rf"""|{_IN_QUOTES}\"?|'[^'\n]*'?|\#[^\n]*|[\[\]{{}}=.,\n]""",
    re.DOTALL,
)


_LONG_KEY = f"a key has more than {_MOST_PARTS} parts"
_DEEP_VALUE = f"a value is nested deeper than {_MOST_DEPTH} levels"


class Unreadable(Exception):
    """What tomllib must not be given, and its line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class Lines:
    """On which line each key of a TOML text stands: tomllib does not say.

    A value inside another (of a list, of an inline table) has the line on which the outer one begins.
    """

    def __init__(self, text: str) -> None:
        """Takes any text, TOML or not. Raises Unreadable for what would cost tomllib hours or its stack."""
        self._lines: dict[Place, int] = {}
        self._counts: dict[Place, int] = {}
        position, line = 0, 1
        table: Place = ()
        while position < len(text):
            brackets = _BRACKETS.match(text, position)
            width = len(brackets[1]) if brackets else 0
            key, position = _key(text, brackets.end() if brackets else position, line)
            if key and width and text.startswith("]", position):
                table = self._enter(key, line, is_list=width > 1)
                position += width
            elif key and text.startswith("=", position):
                self._note(table, key, line)
            end = _statement_end(text, position, line)
            line += text.count("\n", position, end)
            position = end

    def of(self, place: Place) -> int | None:
        """The line of a value, else of what holds it; None for what has no line."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place)

    def _enter(self, key: tuple[str, ...], line: int, *, is_list: bool) -> Place:
        place: Place = ()
        for number, part in enumerate(key, start=1):
            place = (*place, part)
            self._lines.setdefault(place, line)
            if is_list and number == len(key):
                self._counts[place] = self._counts.get(place, 0) + 1
            if place in self._counts:
                place = (*place, self._counts[place])
                self._lines.setdefault(place, line)
        return place

    def _note(self, table: Place, key: tuple[str, ...], line: int) -> None:
        for length in range(1, len(key) + 1):
            self._lines.setdefault((*table, *key[:length]), line)


def _key(text: str, position: int, line: int) -> tuple[tuple[str, ...], int]:
    """The parts of the key at `position`, and where it ends. Escapes stay: such a key has the line of its table."""
    parts: list[str] = []
    while found := _PART.match(text, position):
        parts.append(found[1].strip("\"'"))
        position = found.end()
        if len(parts) > _MOST_PARTS:
            raise Unreadable(_LONG_KEY, line)
        if not text.startswith(".", position):
            break
        position += 1
    return tuple(parts), position


def _statement_end(text: str, position: int, line: int) -> int:
    depth = parts = 0
    for found in _TOKEN.finditer(text, position):
        mark = found[0]
        parts = parts + 1 if mark == "." else 0 if mark in "[]{}=,\n" else parts
        depth += (mark in "[{") - (mark in "]}")
        if parts > _MOST_PARTS or depth > _MOST_DEPTH:
            raise Unreadable(_LONG_KEY if parts > _MOST_PARTS else _DEEP_VALUE, line)
        if mark == "\n" and depth <= 0:
            return found.end()
    return len(text)
