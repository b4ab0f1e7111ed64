"""The languages that topologies are written in, and what changes between two topologies looks like."""

import difflib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benito.model import Topology
from benito.topology.writers import ns_text, write_topdl

_NS_ENDINGS = frozenset({".ns", ".tcl"})


class Format(StrEnum):
    """A language of topology files."""

    NS = "ns"
    TOPDL = "topdl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A topology as a file's bytes, and what the language could not say of it."""

    data: bytes
    losses: tuple[str, ...] = ()


def format_of(path: Path) -> Format:
    """By the ending, as Containers told them apart: `.ns` and `.tcl` are NS2, anything else is TopDL."""
    return Format.NS if path.suffix.lower() in _NS_ENDINGS else Format.TOPDL


def render(topology: Topology, language: Format) -> Rendered:
    """The topology in that language."""
    if language is Format.TOPDL:
        return Rendered(data=write_topdl(topology))
    written = ns_text(topology)
    return Rendered(data=written.text.encode(), losses=tuple(written.losses))


def difference(before: Topology, after: Topology) -> str:
    """What changed, as a unified diff of both as TopDL; empty where nothing did."""
    old, new = (write_topdl(one).decode().splitlines(keepends=True) for one in (before, after))
    return "".join(difflib.unified_diff(old, new, f"{before.source} before", f"{after.source} after", n=3))
