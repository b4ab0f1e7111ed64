"""What people do with images: list, build, import, remove, verify."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from benito.errors import HypervisorError, UsageError
from benito.model import Kind
from benito.nodesettings import Arch
from benito.seams import Progress, quiet
from benito_domains.images import machines
from benito_domains.images.disks import Form
from benito_domains.images.importing import Order, import_source, source_key
from benito_domains.images.listing import differences, file_sha256, list_tree
from benito_domains.images.manifest import FILE, Manifest, Start, read_manifest
from benito_domains.images.parts import LISTING
from benito_domains.images.reference import check_image_name, check_sha256, parse_source
from benito_domains.images.store import ImageStore

_MOST_GIB = 65536
_Word = TypeVar("_Word", bound=StrEnum)


def import_order(
    source: str, *, sha256: str | None, kind: str | None, boot: str | None, arch: str, most_gib: float
) -> Order:
    """What is to be imported, from what somebody typed. Raises HypervisorError, UsageError."""
    if not 0 < most_gib <= _MOST_GIB:
        raise UsageError(f"{most_gib:g} GiB is no size", hint=f"up to {_MOST_GIB:,} GiB")
    return Order(
        source=parse_source(source),
        arch=_word(Arch, "architecture", arch),
        sha256=None if sha256 is None else check_sha256(sha256),
        form=None if kind is None else _word(Form, "kind", kind),
        start=None if boot is None else _word(Start, "way to boot", boot, without=(Start.MEMORY,)),
        most_bytes=int(most_gib * (1 << 30)),
    )


def _word(words: type[_Word], what: str, text: str, without: Sequence[StrEnum] = ()) -> _Word:
    known = [word for word in words if word not in without]
    for word in known:
        if word == text:
            return word
    raise UsageError(f"{text[:100]!r} is no {what}", hint=f"one of {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image as it is listed. One that can be built and has not been has no digest; one whose manifest cannot be
    read serves no kind, and `source` says why.

    `disk_bytes` is what it takes of the disk; `nodes` are those that are made of it, `node.exp.proj`.
    """

    names: tuple[str, ...]
    digest: str | None
    source: str
    kinds: tuple[Kind, ...] = ()
    arch: Arch | None = None
    start: Start | None = None
    created: str | None = None
    disk_bytes: int = 0
    nodes: tuple[str, ...] = ()


class ImageKeeper:
    """The images of one pnode, for its people."""

    def __init__(self, store: ImageStore, progress: Progress = quiet) -> None:
        self.store = store
        self._shelf = store.shelf
        self._progress = progress

    def records(self) -> list[ImageRecord]:
        """All images: named ones by name, then the others, then those that can be built."""
        names: dict[str, list[str]] = {}
        for name, digest in self._shelf.names().items():
            names.setdefault(digest, []).append(name)
        holders = self._shelf.holders()
        found = [
            self._record(digest, tuple(names.get(digest, ())), tuple(holders.get(digest, ())))
            for digest in self._shelf.digests()
        ]
        found.sort(key=lambda record: (not record.names, record.names, record.created or ""))
        there = {name for record in found for name in record.names}
        return found + [
            ImageRecord(
                names=(builder.name,),
                digest=None,
                kinds=(Kind.OPENVZ, Kind.QEMU),
                arch=builder.arch,
                start=builder.start,
                source=f"can be built: {builder.about}",
            )
            for builder in self.store.builders().values()
            if builder.name not in there
        ]

    def build(self, name: str, kinds: Sequence[Kind], *, fresh: bool = False) -> ImageRecord:
        """Builds an image; `fresh` also where it is there, of today's packages. Raises HypervisorError."""
        digest = self.store.build(name, tuple(kinds), fresh=fresh, progress=self._progress).digest
        return self._record(digest, (name,), ())

    def import_image(self, name: str, order: Order, *, replace: bool = False) -> ImageRecord:
        """Imports an image and gives it a name. What is there already is not fetched again where the order has a
        checksum. Raises HypervisorError, UsageError for a name that is taken."""
        self.check_free(name, replace=replace)
        with self._shelf.making(self._progress):
            there = self._shelf.made(source_key(order)) if order.sha256 is not None else None
            digest = there or import_source(self._shelf, order, self._progress)
            return self.give_name(name, digest, replace=replace)

    def check_free(self, name: str, *, replace: bool = False) -> None:
        """Raises UsageError where a new image may not be called that."""
        check_image_name(name)
        if self.store.builder(name) is not None:
            raise UsageError(f"{name} is an image that Benito builds by itself", hint="use another name")
        if not replace and self._shelf.named(name) is not None:
            raise UsageError(f"there is an image {name}", hint="use another name, or --replace")

    def give_name(self, name: str, digest: str, *, replace: bool = False) -> ImageRecord:
        """Lets a name stand for a new image."""
        with self._shelf.changing():
            self.check_free(name, replace=replace)
            self._shelf.name(name, digest)
        return self._record(digest, (name,), ())

    def remove(self, words: Sequence[str]) -> list[str]:
        """Removes images by name or digest: the name, and the image where nothing else calls it; what has been removed.

        Raises HypervisorError, before anything is removed, for a word that is none or a node that holds one of them.
        """
        with self._shelf.making(self._progress):
            with self._shelf.changing():
                found = {word: self.store.find(word) for word in words}
                for word, digest in found.items():
                    self._refuse_held(word, digest)
                for word, digest in found.items():
                    self._shelf.forget_name(word)
                    if digest not in self._shelf.names().values():
                        self._shelf.take_away(self._shelf.folder(digest))
            self._shelf.forget_inputs()
            self._shelf.sweep()
        return list(found)

    def remove_unused(self) -> list[str]:
        """Removes images without a name that no node holds, and kernels and parts that nothing uses any longer."""
        removed: list[str] = []
        with self._shelf.making(self._progress):
            with self._shelf.changing():
                kept = {*self._shelf.names().values(), *self._shelf.holders()}
                for digest in self._shelf.digests():
                    if digest not in kept:
                        self._shelf.take_away(self._shelf.folder(digest))
                        removed.append(digest[:12])
                held = self._shelf.holders()
                for digest in self._shelf.digests():
                    if digest in held:
                        continue
                    with suppress(HypervisorError):  # a manifest that cannot be read: its name is to be removed first
                        for part in self.store.stale_parts(digest):
                            self._shelf.take_away(part)
                            removed.append(f"{digest[:12]}/{part.name}")
                for kernel in self._shelf.kernels():
                    if kernel != self._shelf.kernel():
                        self._shelf.take_away(kernel)
                        removed.append(kernel.name)
            self._shelf.forget_inputs()
            self._shelf.sweep()
        return removed

    def _refuse_held(self, name: str, digest: str) -> None:
        nodes = self._shelf.holders().get(digest, [])
        if nodes:
            more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""
            hint = "benito down EXP removes nodes that use it"
            raise HypervisorError(f"the image {name} is used by {', '.join(nodes[:3])}{more}", hint=hint)

    def verify(self, name: str | None = None) -> list[str]:
        """All that is not as it was when it was made: `NAME: what`, for one image or for all. Nothing is changed."""
        if name is not None:
            return [f"{name}: {what}" for what in self._verify(self.store.find(name))]
        names = {digest: name for name, digest in self._shelf.names().items()}
        return [
            f"{names.get(digest, digest[:12])}: {what}"
            for digest in self._shelf.digests()
            for what in self._verify(digest)
        ] + [f"kernel: {what} differs" for kernel in self._shelf.kernels() for what in _verify_kernel(kernel)]

    def _verify(self, digest: str) -> list[str]:
        folder = self._shelf.folder(digest)
        found: list[str] = []
        try:
            made = read_manifest(folder)
        except HypervisorError as error:
            return [error.message]
        if made.digest != digest:
            found.append(f"{FILE} is not that of this image")
        found += self._verify_parts(folder, made)
        for path in sorted(folder.glob(f"*/{FILE}")):
            try:
                found += self._verify_parts(path.parent, read_manifest(path.parent))
            except HypervisorError as error:
                found.append(error.message)
        return found

    def _verify_parts(self, folder: Path, made: Manifest) -> list[str]:
        found: list[str] = []
        for part in made.parts:
            self._progress("check", 0, 1)
            path = folder / part.name
            try:
                if not part.is_tree:
                    found += [] if file_sha256(path) == part.sha256 else [f"{path} differs"]
                    continue
                listing = list_tree(path)
                if listing.sha256 != part.sha256:
                    changed = differences((folder / LISTING).read_text(), listing.text)
                    found += [f"{path / name} differs" for name in changed] or [f"{folder / LISTING} differs"]
            except OSError as error:
                found.append(f"{error.filename or path}: {error.strerror}")
        return found

    def _record(self, digest: str, names: tuple[str, ...], nodes: tuple[str, ...]) -> ImageRecord:
        folder = self._shelf.folder(digest)
        record = ImageRecord(names=names, digest=digest, source="", nodes=nodes, disk_bytes=_disk_bytes(folder))
        try:
            made = read_manifest(folder)
        except HypervisorError as error:
            return replace(record, source=error.message)
        kinds = (Kind.OPENVZ, Kind.QEMU) if made.tree else (Kind.QEMU,)
        return replace(record, kinds=kinds, arch=made.arch, start=made.start, source=made.source, created=made.created)


def _verify_kernel(folder: Path) -> list[str]:
    try:
        return machines.verify_kernel(folder)
    except OSError as error:
        return [str(error.filename or folder)]


def _disk_bytes(folder: Path) -> int:
    """What a folder takes of the disk; a file that has two names there counts once."""
    seen: dict[tuple[int, int], int] = {}
    for directory, _, names in os.walk(folder):
        for path in (directory, *(os.path.join(directory, name) for name in names)):  # noqa: PTH118 - many of them
            status = os.lstat(path)
            seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())
