"""Words of the options that say what nodes are into values. Imported by the verbs only when a file is read."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from benito.errors import TopologySyntaxError, UsageError
from benito.model import Kind
from benito.nodesettings import NO_RESTART, Restart
from benito.paths import StatePaths
from benito.plan import TemplatePlan
from benito.policy import BUILT_IN, Policy
from benito.topology import nodewords
from benito.topology.findings import nearest
from benito.topology.quantities import Rejection
from benito.topology.source import read_text

_T = TypeVar("_T")
_MOST_TEMPLATE_BYTES = 1 << 20
#: The kinds whose nodes have an image.
_IMAGE_KINDS = (Kind.QEMU.value, Kind.OPENVZ.value)
#: What has a template, and the kind of node that it is of: containers are LXC's where no OpenVZ is.
_TEMPLATES = {"qemu": Kind.QEMU, "lxc": Kind.OPENVZ, "openvz": Kind.OPENVZ}


def _meant(option: str, word: str, parse: Callable[[str], _T]) -> _T:
    try:
        return parse(word)
    except Rejection as bad:
        raise UsageError(f"{option}: {bad.message.removesuffix('.')}", hint=bad.hint) from bad


def with_defaults(
    policy: Policy,
    images: Sequence[str] | None,
    openvz_template: str | None,
    openvz_diskspace: str | None,
    restart_policy: str | None,
    template_files: Sequence[str] | None,
) -> Policy:
    """The policy with what nodes are whose file does not say. Raises UsageError."""
    return replace(
        policy,
        default_images=default_images(images, openvz_template),
        openvz_diskspace_mib=diskspace(openvz_diskspace),
        restart=restart(restart_policy),
        templates=templates(template_files),
    )


def default_images(words: Sequence[str] | None, openvz_template: str | None) -> Mapping[Kind | None, str]:
    """`[KIND=]NAME`, and DETER's name for that of openvz nodes; under None for every kind. Raises UsageError."""
    found: dict[Kind | None, str] = {}
    for word in words or ():
        kind, image = _of_kind(word)
        _once("--default-image", found, kind, _image("--default-image", image))
    if openvz_template is not None:
        _once("--openvz-template", found, Kind.OPENVZ, _image("--openvz-template", openvz_template))
    return found


def _of_kind(word: str) -> tuple[Kind | None, str]:
    kind, equals, image = word.partition("=")
    if not equals or not kind.replace("_", "").isalnum():  # a URL or a path may hold a =
        return None, word
    if kind not in _IMAGE_KINDS:
        hint = nearest(kind[:80], _IMAGE_KINDS) or f"known: {', '.join(_IMAGE_KINDS)}"
        raise UsageError(f"--default-image: {kind[:80]!r} is no kind of node that has an image", hint=hint)
    return Kind(kind), image


def _image(option: str, word: str) -> str:
    is_file = "://" not in word and (word.startswith(("./", "../")) or "/" in word)
    return _meant(option, os.path.abspath(word) if is_file else word, nodewords.image)  # noqa: PTH100 - no links followed


def _once(option: str, found: dict[Kind | None, str], kind: Kind | None, image: str) -> None:
    if found.setdefault(kind, image) != image:
        what = f"{kind} nodes" if kind else "all nodes"
        raise UsageError(f"{option}: the default image of {what} is {found[kind][:80]} already, not {image[:80]}")


def diskspace(word: str | None) -> int | None:
    """MiB of a size like 2G. Raises UsageError."""
    return None if word is None else _meant("--openvz-diskspace", word, nodewords.disk)


def restart(word: str | None) -> Restart:
    """A policy, `never` where none is named. Raises UsageError."""
    return NO_RESTART if word is None else _meant("--restart", word, nodewords.restart)


def templates(words: Sequence[str] | None) -> tuple[TemplatePlan, ...]:
    """KIND=FILE, one for a kind of node; what the XML says is the drivers' question. Raises UsageError."""
    found: dict[Kind, TemplatePlan] = {}
    for word in words or ():
        name, equals, path = word.partition("=")
        if not equals or not path:
            raise UsageError(f"--template: {word[:80]!r} is not KIND=FILE", hint="for instance qemu=machine.xml")
        if name not in _TEMPLATES:
            hint = nearest(name[:80], _TEMPLATES) or f"known: {', '.join(_TEMPLATES)}"
            raise UsageError(f"--template: {name[:80]!r} has no template", hint=hint)
        kind = _TEMPLATES[name]
        if kind in found:
            raise UsageError(
                f"--template: {kind} nodes have a template already", hint="lxc and openvz are one kind of node"
            )
        found[kind] = TemplatePlan(kind=kind, xml=_template(Path(path)))
    return tuple(found.values())


def _template(path: Path) -> str:
    try:
        return read_text(path, most_bytes=_MOST_TEMPLATE_BYTES)
    except TopologySyntaxError as error:
        (problem, *_) = error.problems
        raise UsageError(f"--template: {problem.file}: {problem.message}", hint="a text file: XML in UTF-8") from error


def known_images(paths: StatePaths) -> Collection[str]:
    """The names of the images that are built in or imported here. Needs no root."""
    folder = paths.images / "names"
    try:
        found = [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except PermissionError:
        return _Unlisted(folder)
    except OSError:
        found = []
    return frozenset((*BUILT_IN, *found))


class _Unlisted(Collection[str]):
    """The names in a folder that may not be listed, but in which a name can be looked up; it names those built in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __contains__(self, name: object) -> bool:
        if name in BUILT_IN:
            return True
        try:
            is_name = isinstance(name, str) and not nodewords.is_place(nodewords.image(name))
            return is_name and (self._folder / str(name)).exists()
        except (Rejection, OSError):
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(BUILT_IN)

    def __len__(self) -> int:
        return len(BUILT_IN)
