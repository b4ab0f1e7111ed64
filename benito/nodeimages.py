"""Which image each node runs: what its file asks for, by the site's mapping, else a default."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from benito.errors import Problem, Severity, TestbedError, UsageError
from benito.model import Kind, Node
from benito.policy import DEFAULT_IMAGE, Policy
from benito.site import SiteImages
from benito.topology import nodewords
from benito.topology.attributes import IMAGE_KEYS, held
from benito.topology.findings import nearest
from benito.topology.quantities import Rejection

#: The kinds whose nodes have an image of their own.
WITH_IMAGE = frozenset({Kind.QEMU, Kind.OPENVZ})
#: Attributes that must name an image that is there. The others are old files', whose systems nobody has any more.
_BINDING = ("image", "qemu_url", "maverick_url")
#: What Emulab's and OpenVZ's names for Debian's 64-bit systems look like: DEBIAN12-64-STD, debian-12-x86_64.
_DEBIAN = re.compile(r"debian-?(12|13)(?:\.[0-9]+)?(?:-64|-x86_64|-amd64)?(?:-std)?", re.IGNORECASE | re.ASCII)
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a node asks for, by what word; a binding one is not replaced by another image."""

    word: str
    said_by: str
    binding: bool


class ImageChooser:
    """Chooses the images of one experiment. `known` are the names of the images that are there or can be built."""

    def __init__(self, source: str, policy: Policy, site: SiteImages, known: Collection[str]) -> None:
        self._source, self._policy, self._site, self._known = source, policy, site, known
        self._defaults: dict[Kind, str] = {}
        self.problems: list[Problem] = []

    def choose(self, node: Node, kind: Kind) -> str:
        """The image's name, URL or path; "" where nodes of the kind have none. Doubts and errors go to `problems`.

        Raises UsageError and TestbedError where a default is no image.
        """
        if kind not in WITH_IMAGE:
            return ""
        found, unknown = None, []
        for wish in _wishes(node, kind):
            try:
                found = self._find(wish)
            except Rejection as bad:
                self._tell(node, f"{wish.said_by}: {bad.message.removesuffix('.')}", bad.hint, Severity.ERROR)
                break
            if found is not None:
                break
            unknown.append(wish)
        runs = self._default(kind) if found is None else found
        for wish in unknown:
            self._tell_unknown(node, wish, runs)
        return runs

    def _find(self, wish: _Wish) -> str | None:
        """The image that is meant, None for a name that is none. Raises Rejection for what cannot be one."""
        mapped = self._site.instead.get(wish.word)
        if mapped is not None:
            return self._mapped(wish.word, mapped)
        if wish.word in self._known:
            return wish.word
        if nodewords.is_place(wish.word):
            return nodewords.image(wish.word)
        debian = _DEBIAN.fullmatch(wish.word)
        name = "" if debian is None else f"debian-{debian[1]}"
        return name if name in self._known else None

    def _tell_unknown(self, node: Node, wish: _Wish, runs: str) -> None:
        hint = f"{self._images(wish.word)}; a site file maps it: [images] {_line(wish.word, runs)}"
        if wish.binding or self._policy.strict_images:
            self._tell(node, f"{wish.said_by}: there is no image {wish.word[:80]}", hint, Severity.ERROR)
        else:
            message = f"image {wish.word[:80]} is not there; the node runs {runs}"
            self._tell(node, message, hint, Severity.WARNING)

    def _images(self, word: str) -> str:
        names = sorted(self._known)
        listed = ", ".join(names[:_MOST_NAMED]) + (" ..." if len(names) > _MOST_NAMED else "")
        alike = nearest(word[:80], names)
        return f"{alike + ' ' if alike else ''}images: {listed}"

    def _default(self, kind: Kind) -> str:
        if kind not in self._defaults:
            self._defaults[kind] = self._find_default(kind)
        return self._defaults[kind]

    def _find_default(self, kind: Kind) -> str:
        images = self._policy.default_images
        asked = images.get(kind, images.get(None))
        if asked is None:
            site = self._site.default.get(kind)
            return DEFAULT_IMAGE if site is None else self._mapped("default", site)
        if asked in self._site.instead:
            return self._mapped(asked, self._site.instead[asked])
        if asked not in self._known and not nodewords.is_place(asked):
            raise UsageError(f"there is no image {asked[:80]!r}, the default of {kind} nodes", hint=self._images(asked))
        return asked

    def _mapped(self, asked: str, image: str) -> str:
        if image not in self._known and not nodewords.is_place(image):
            raise TestbedError(
                f"the site's image for {asked[:80]!r} is {image!r}, which is not there",
                hint=f"change the site file's [images], or import it; {self._images(image)}",
            )
        return image

    def _tell(self, node: Node, message: str, hint: str | None, severity: Severity) -> None:
        self.problems.append(
            Problem(file=self._source, line=node.line, element=node.name, message=message, hint=hint, severity=severity)
        )


def _line(asked: str, image: str) -> str:
    """As the site file has it; names of images need no escapes."""
    key = asked[:80].replace("\\", "\\\\").replace('"', '\\"')
    return f'"{key}" = "{image}"'


def _wishes(node: Node, kind: Kind) -> Iterator[_Wish]:
    """What the node asks for, the first choice first."""
    attributes: Mapping[str, str] = dict(node.attributes)
    named = set()
    for name in IMAGE_KEYS[None]:
        found = held(attributes, name)
        if found is None:
            continue
        named.add(found[1])
        if name in IMAGE_KEYS[kind]:
            yield _Wish(word=found[1], said_by=found[0], binding=name in _BINDING)
    if node.image and node.image not in named:
        yield _Wish(word=node.image, said_by="image", binding=False)
    if node.os:
        yield _Wish(word=node.os, said_by="system", binding=False)
