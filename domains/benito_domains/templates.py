"""Skeletons of domain XML: the package's, a site's instead of them, an experiment's instead of either.

A site's is a file of its administrator's and may hold whatever libvirt takes. An experiment's comes from whoever wrote
the experiment: `templateallowed` says what it may hold. `docs/templates.md` is the manual.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache

from benito.errors import HypervisorError, Problem, TemplateError
from benito.model import Kind
from benito.paths import ConfigPaths
from benito.plan import PnodePlan
from benito.seams import Lack
from benito_domains.render import FILLED, builtin_skeleton
from benito_domains.templatecheck import (
    MOST_BYTES,
    canonical_text,
    parse,
    refused_problems,
    structure_problems,
)
from benito_domains.templatetrial import schema_problems

#: The skeletons that there are.
NAMES: Sequence[str] = tuple(FILLED)
_KINDS = {"qemu": Kind.QEMU, "lxc": Kind.OPENVZ, "openvz": Kind.OPENVZ}
_NODES = {"qemu": "qemu nodes", "lxc": "openvz nodes", "openvz": "openvz nodes"}


class Origin(StrEnum):
    """Whose a skeleton is."""

    BUILTIN = "benito"
    SITE = "site"
    EXPERIMENT = "experiment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A skeleton that has passed its checks. `text` is as it was written, `xml` as it was understood."""

    name: str
    origin: Origin
    file: str
    text: bytes
    xml: bytes


class Templates:
    """The skeletons of one pnode, whose site may have its own below `config`."""

    def __init__(self, config: ConfigPaths | None = None) -> None:
        self._config = config or ConfigPaths.from_environment()

    def builtin(self, name: str) -> Template:
        """The package's own. Raises TemplateError for a name that no skeleton has."""
        _check_name(name)
        return _builtin(name)

    def in_force(self, name: str) -> Template:
        """The site's where it has one, else the package's. Raises TemplateError."""
        _check_name(name)
        path = self._config.template(name)
        text = _read(str(path))
        return _builtin(name) if text is None else _checked(name, Origin.SITE, str(path), text, None)

    def of(self, name: str, plan: PnodePlan) -> Template:
        """The experiment's where it has one, else what is in force. Raises TemplateError."""
        base = self.in_force(name)
        text = _own(name, plan)
        if text is None:
            return base
        return _checked(name, Origin.EXPERIMENT, f"the experiment's {name} template", text.encode(), base.xml)

    def check(self, name: str, text: bytes, file: str, *, experiment: bool) -> Template:
        """Judges a text as a site's skeleton, or as an experiment's on this site. Raises TemplateError."""
        _check_name(name)
        if experiment:
            return _checked(name, Origin.EXPERIMENT, file, text, self.in_force(name).xml)
        return _checked(name, Origin.SITE, file, text, None)

    def lacks(self, plan: PnodePlan, names: Iterable[str]) -> list[Lack]:
        """What keeps the plan's domains from being made of these skeletons."""
        found: list[Lack] = []
        for name in dict.fromkeys(names):
            try:
                self.of(name, plan)
            except TemplateError as error:
                found += [_lack(name, problem, error.hint) for problem in error.problems]
        return found


def skeleton(name: str, plan: PnodePlan) -> bytes:
    """What domains of the plan are made of: `name` is `qemu` or `lxc`. Raises TemplateError, a HypervisorError."""
    return Templates().of(name, plan).xml


def template_lacks(plan: PnodePlan, names: Iterable[str]) -> list[Lack]:
    """What keeps the plan's domains from being made of the skeletons of these names, problem by problem."""
    return Templates().lacks(plan, names)


def guess_name(text: bytes) -> str:
    """Of which skeleton a text is another version: its root's type says it."""
    root, _ = parse(text, "")
    given = None if root is None else root.get("type")
    return given if given is not None and given in NAMES else "qemu"


def _check_name(name: str) -> None:
    if name not in NAMES:
        raise HypervisorError(f"there is no template {name[:80]!r}", hint=f"there are {', '.join(NAMES)}")


def _own(name: str, plan: PnodePlan) -> str | None:
    """The experiment's own text. Containers' is LXC's, unless its root says that it is OpenVZ's."""
    for template in plan.templates:
        if template.kind is not _KINDS[name]:
            continue
        if template.kind is not Kind.OPENVZ or (_type(template.xml) == "openvz") == (name == "openvz"):
            return template.xml
    return None


@lru_cache(maxsize=64)
def _type(xml: str) -> str | None:
    root, _ = parse(xml.encode(), "")
    return None if root is None else root.get("type")


@cache
def _builtin(name: str) -> Template:
    return _checked(name, Origin.BUILTIN, f"{name}.xml", builtin_skeleton(name), None)


@lru_cache(maxsize=64)
def _checked(name: str, origin: Origin, file: str, text: bytes, base: bytes | None) -> Template:
    """`base` is the skeleton that an experiment's replaces. A cache: a pnode has few, and many domains of each."""
    root, problems = parse(text, file)
    if root is None or root.tag != "domain":
        raise TemplateError(problems)
    problems += structure_problems(name, root, file)
    if base is not None:
        before, _ = parse(base, file)
        if before is not None:
            problems += refused_problems(name, root, before, file)
    xml = canonical_text(root)
    if not problems and origin is not Origin.BUILTIN:
        problems += schema_problems(name, xml, file)
    if problems:
        raise TemplateError(sorted(problems, key=lambda one: one.line or 0))
    return Template(name=name, origin=origin, file=file, text=text, xml=xml)


def _read(file: str) -> bytes | None:
    """A site's file; None where there is none. Only root, or who runs this, may be able to write it."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TemplateError([Problem(message=f"it cannot be read: {error.strerror}", file=file)]) from error
    with os.fdopen(handle, "rb") as opened:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise TemplateError([Problem(message="it is not a file", file=file)])
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            message = "others than root may write it, and so could start what they like"
            raise TemplateError([Problem(message=message, file=file, hint=f"chown root {file}; chmod go-w {file}")])
        return opened.read(MOST_BYTES + 1)


def _lack(name: str, problem: Problem, hint: str | None) -> Lack:
    where = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
    element = f"{problem.element}: " if problem.element else ""
    return Lack(
        missing=f"another template: {where}: {element}{problem.message}",
        element=_NODES[name],
        hint=problem.hint or hint or f"`benito template show {name}` prints one to begin with",
    )
