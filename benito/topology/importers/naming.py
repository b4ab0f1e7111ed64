"""Names from elsewhere, made to fit: letters, digits and inner hyphens, 1 to 32 of them, each once."""

import re
import unicodedata

from benito.names import RESERVED_NODE_NAMES

_MOST_LETTERS = 32
_OTHER = re.compile(r"[^0-9A-Za-z]+")


def cleaned(text: str) -> str:
    """`text` in our alphabet: accents are dropped, all else becomes hyphens. Empty where nothing is left."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _OTHER.sub("-", ascii_only).strip("-")[:_MOST_LETTERS].strip("-")


class Namer:
    """Gives out names, each once; names are compared as DNS does, where `A` is `a`."""

    def __init__(self) -> None:
        self._taken: set[str] = set(RESERVED_NODE_NAMES)

    def give(self, wanted: str, otherwise: str) -> str:
        """`wanted` in our alphabet (`otherwise` where nothing of it is left), numbered from 2 if it is taken."""
        base = cleaned(wanted) or otherwise
        name, number = base, 1
        while name.casefold() in self._taken:
            number += 1
            tail = f"-{number}"
            name = base[: _MOST_LETTERS - len(tail)].rstrip("-") + tail
        self._taken.add(name.casefold())
        return name
