"""The layout programs of graphviz as engines, where graphviz is installed."""

import shutil
from collections.abc import Mapping, Sequence
from enum import StrEnum

from benito.errors import UsageError
from benito.launch import ENVIRONMENT, run
from benito.picture.arrange import Engine
from benito.picture.model import Point
from benito.picture.separate import Size
from benito.picture.stress import Spring

_UNITS_PER_INCH = 72.0
_SECONDS = 120.0


class Program(StrEnum):
    """The programs that place nodes."""

    DOT = "dot"
    NEATO = "neato"
    FDP = "fdp"
    SFDP = "sfdp"
    TWOPI = "twopi"
    CIRCO = "circo"
    OSAGE = "osage"


def engine_of(word: str) -> Engine:
    """The engine that a graphviz program is.

    Raises UsageError for another word, and where graphviz is not installed; the engine raises it where the program
    fails or takes longer than two minutes.
    """
    known = ", ".join(Program)
    if word not in list(Program):
        raise UsageError(f"{word[:80]!r} is no layout program of graphviz", hint=f"known programs: {known}")
    if shutil.which(word, path=ENVIRONMENT["PATH"]) is None:
        raise UsageError(
            f"the program {word} is not installed", hint="apt-get install graphviz, or leave --program out"
        )

    def place(sizes: Sequence[Size], springs: Sequence[Spring], pulls: Mapping[int, Point]) -> Sequence[Point]:  # noqa: ARG001 - graphviz knows no pulls
        said = run(
            [word, "-Tplain"],
            data=_graph(sizes, springs).encode(),
            seconds=_SECONDS,
            error=UsageError,
            hint="try another --program, or leave it out",
        )
        return _places(said.decode(), len(sizes))

    return place


def _graph(sizes: Sequence[Size], springs: Sequence[Spring]) -> str:
    """The graph in graphviz's language; things are numbers, so no text of a user gets there."""
    lines = ["graph {", 'graph [splines=false]; node [shape=box, fixedsize=true, label=""];']
    for thing, (width, height) in enumerate(sizes):
        lines.append(f"{thing} [width={width / _UNITS_PER_INCH:.3f}, height={height / _UNITS_PER_INCH:.3f}];")
    lines += [f"{one} -- {other} [len={length / _UNITS_PER_INCH:.3f}];" for one, other, length in springs]
    return "\n".join([*lines, "}"])


def _places(said: str, count: int) -> list[Point]:
    """What `-Tplain` says: `node NAME X Y ...` in inches, Y upward."""
    places = [(0.0, 0.0)] * count
    for line in said.splitlines():
        match line.split():
            case ["node", thing, x, y, *_]:
                places[int(thing)] = (float(x) * _UNITS_PER_INCH, -float(y) * _UNITS_PER_INCH)
    return places
