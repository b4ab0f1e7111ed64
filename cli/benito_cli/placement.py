"""Words of the placement options into values. Imported by the verbs only when a file is read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benito.errors import UsageError
from benito.policy import PassPolicy

if TYPE_CHECKING:
    from benito.embedding import Former
    from benito.model import Topology
    from benito.site import Site

T = TypeVar("T")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def packing(word: str | None) -> int | None:
    """`auto` or nothing: None. Raises UsageError."""
    return None if word in (None, "auto") else _number("--packing", word)


def _number(option: str, word: str) -> int:
    if _NUMBER.fullmatch(word.strip()) is None:
        raise UsageError(f"{option}: {word[:80]!r} is not a whole number of at most 9 digits", hint="for instance 10")
    return int(word)


def _name(option: str, word: str) -> str:
    if _NAME.fullmatch(word.strip()) is None:
        raise UsageError(f"{option}: {word[:80]!r} is not a name", hint="letters, digits, '-', '_' and '.'")
    return word.strip()


def _split(words: Sequence[str] | None, separator: str = ",") -> list[str]:
    return [part for word in words or () for part in word.split(separator) if part.strip()]


def types(words: Sequence[str] | None) -> tuple[str, ...] | None:
    """Types of pnodes; None where none are named. Raises UsageError."""
    return tuple(_name("--pnode-types", word) for word in _split(words)) or None


def passes(
    pack: Sequence[str] | None,
    size: Sequence[str] | None,
    pnodes: Sequence[str] | None,
    nodes_only: Sequence[str] | None,
) -> dict[int, PassPolicy]:
    """What the `--pass-...` options say of each pass; repeated ones add up. Raises UsageError."""
    found: dict[int, PassPolicy] = {}

    def note(number: int, change: Callable[[PassPolicy], PassPolicy]) -> None:
        found[number] = change(found.get(number, PassPolicy()))

    for word in _split(pack):
        number, value = _pair("--pass-pack", word)
        note(number, lambda one, value=value: replace(one, packing=_number("--pass-pack", value)))  # type: ignore[misc]
    for word in _split(size):
        number, value = _pair("--pass-size", word)
        note(number, lambda one, value=value: replace(one, size=_number("--pass-size", value)))  # type: ignore[misc]
    for word in _split(pnodes, ";"):
        number, value = _pair("--pass-pnodes", word)
        names = tuple(_name("--pass-pnodes", name) for name in _split([value]))
        note(number, lambda one, names=names: replace(one, pnode_types=names))  # type: ignore[misc]
    for word in _split(nodes_only):
        note(_number("--pass-nodes-only", word), lambda one: replace(one, nodes_only=True))
    return found


def _pair(option: str, word: str) -> tuple[int, str]:
    number, colon, value = word.partition(":")
    if not colon or not value.strip():
        raise UsageError(f"{option}: {word[:80]!r} is not PASS:VALUE", hint="for instance 0:10,1:5")
    return _number(option, number), value.strip()


def pins(words: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    """NODE=PNODE, node by node. Raises UsageError."""
    found: dict[str, str] = {}
    for word in _split(words):
        node, equals, pnode = word.partition("=")
        if not equals:
            raise UsageError(f"--pin: {word[:80]!r} is not NODE=PNODE", hint="for instance server=pnode-0000")
        if found.setdefault(_name("--pin", node), _name("--pin", pnode)) != pnode.strip():
            raise UsageError(f"--pin: {node} cannot be on {found[node.strip()]} and on {pnode}")
    return tuple(found.items())


def groups(option: str, words: Sequence[str] | None) -> tuple[tuple[str, ...], ...]:
    """Nodes separated by commas, a group for each time that the option is given. Raises UsageError."""
    found = []
    for word in words or ():
        names = tuple(dict.fromkeys(_name(option, name) for name in _split([word])))
        if len(names) < 2:
            raise UsageError(f"{option}: {word[:80]!r} names no two nodes", hint=f"for instance {option} a,b")
        found.append(names)
    return tuple(found)


def site(option: Path | None) -> "Site":
    """The site file's, else this machine as the only kind of pnode. Raises TopologyError."""
    from benito.sitefile import find_site, read_site
    from benito.testbeds.local import local_site

    path = find_site(option)
    return local_site() if path is None else read_site(path)


def former(was: str | None, lost: Sequence[str] | None) -> "Former | None":
    """The placement of an earlier plan or of a known experiment. Raises UsageError, StoreError."""
    if was is None:
        if lost:
            raise UsageError("--lost says nothing without --was", hint="add --was PLAN or --was EXP")
        return None
    from benito_cli.former import read_former

    return read_former(was, _split(lost))


def check_former(was: str | None, former: "Former | None", topology: "Topology") -> None:
    """Raises UsageError where the earlier placement has nothing to do with the file."""
    if former is not None and former.home and not any(node.name in former.home for node in topology.nodes):
        raise UsageError(
            f"--was: {was} places none of the nodes of {topology.source}", hint="is it another experiment's?"
        )
