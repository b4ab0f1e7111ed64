"""The images of a pnode, as drivers ask for them: named ones, those that Benito builds, those that are imported."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import look_alikes
from benito.nodesettings import Arch
from benito.paths import StatePaths
from benito.seams import Lack, Progress, quiet
from benito_domains.images import machines
from benito_domains.images.builders import Builder, builders
from benito_domains.images.image import Disk, Image
from benito_domains.images.importing import PROGRAMS as IMPORT_PROGRAMS
from benito_domains.images.importing import Order, import_source, source_key
from benito_domains.images.kit import build_kit
from benito_domains.images.kit import missing_programs as missing_kit_programs
from benito_domains.images.manifest import Manifest, Start, read_manifest
from benito_domains.images.parts import new_tree, put_parts, tree_part
from benito_domains.images.reference import check_image_name, check_sha256, is_image_name, is_source, parse_source
from benito_domains.images.rootfs import Program, absent
from benito_domains.images.shelf import HOLD, TREE, Shelf

#: A machine of the key's architecture runs systems of these, too.
_RUNS: Mapping[Arch, tuple[Arch, ...]] = {Arch.X86_64: (Arch.I686,)}
#: So many of a digest stand for an image where it has no name.
_LEAST_DIGITS = 8


class ImageStore:
    """All images of one pnode. Methods that make or change something may be cut at any point and called again."""

    def __init__(self, paths: StatePaths) -> None:
        self.shelf = Shelf(paths)
        self._builders = builders()
        self._keys: dict[str, str] = {}

    def names(self) -> tuple[str, ...]:
        """The names that a node's image may have: of those that are there, and of those that can be built."""
        return tuple(sorted({*self._builders, *self.shelf.names()}))

    def lacks(
        self, reference: str, kind: Kind, element: str, *, arch: Arch = Arch.X86_64, sha256: str | None = None
    ) -> list[Lack]:
        """What is missing for nodes of that kind to have the image: a name, a file, programs. Builds nothing."""
        try:
            return self._lacks(reference, kind, element, arch, sha256)
        except HypervisorError as error:
            return [Lack(missing=f"another image ({error.message})", element=element, hint=error.hint or "")]

    def ensure(
        self,
        reference: str,
        kind: Kind,
        *,
        arch: Arch = Arch.X86_64,
        sha256: str | None = None,
        progress: Progress = quiet,
    ) -> Image:
        """The image with all that nodes of that kind need of it, built or imported as far as it is not there.

        `reference` is a name, a URL or an absolute path. Raises HypervisorError.
        """
        digest = self._find(reference, arch, sha256)
        if digest is None:
            with self.shelf.making(progress):
                digest = self._find(reference, arch, sha256) or self._make(reference, arch, sha256, progress)
        self._point(reference, digest)
        return self._complete(digest, reference, kind, arch, progress)

    def get(self, reference: str, kind: Kind, *, arch: Arch = Arch.X86_64, sha256: str | None = None) -> Image:
        """The image, where all that nodes of that kind need of it is there. Raises HypervisorError."""
        digest = self._find(reference, arch, sha256)
        return self._ready(digest, reference, kind, arch)

    def held(
        self,
        node_folder: Path,
        reference: str,
        kind: Kind,
        *,
        arch: Arch = Arch.X86_64,
        progress: Progress = quiet,
    ) -> Image | None:
        """The image that a node was made of, whatever `reference` stands for by now; None where it holds none.

        What a newer Benito or kernel asks for beside it is made. Raises HypervisorError.
        """
        digest = self.shelf.read_digest(node_folder / HOLD)
        return None if digest is None else self._complete(digest, reference, kind, arch, progress)

    def hold(self, image: Image, node_folder: Path) -> None:
        """Notes in the node's folder which image it is made of: it cannot be removed while the note is there.

        Raises HypervisorError where it has just been removed.
        """
        path = node_folder / HOLD
        if self.shelf.read_digest(path) == image.digest and image.folder.is_dir():
            return
        scratch = path.with_name(f".{HOLD}.new")
        with self.shelf.changing():
            if not image.folder.is_dir():
                raise HypervisorError(f"the image {image.name} has just been removed", hint="run the same again")
            scratch.unlink(missing_ok=True)
            handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(f"{image.digest}\n")
            scratch.replace(path)

    # --- for the command line ---

    def builder(self, name: str) -> Builder | None:
        """How an image is built; None where it is not one of those."""
        return self._builders.get(name)

    def builders(self) -> Mapping[str, Builder]:
        """Those that can be built."""
        return self._builders

    def find(self, word: str) -> str:
        """The digest of an image that is there, by its name or the first digits of its digest (eight and more).

        Raises HypervisorError that names those which exist.
        """
        digest = self.shelf.named(word) if is_image_name(word) else None
        if digest is not None:
            return digest
        alike = [found for found in self.shelf.digests() if len(word) >= _LEAST_DIGITS and found.startswith(word)]
        if len(alike) == 1:
            return alike[0]
        if word in self._builders:
            raise HypervisorError(f"the image {word} is not built", hint=f"benito image build {word}")
        raise self._unknown(word)

    def find_digest(self, name: str) -> str | None:
        """The same; None where it can be built or imported and has not been."""
        return self._find(name, None, None)

    def image(self, digest: str, name: str) -> Image:
        """An image with all that there is of it."""
        return self._image(digest, name, read_manifest(self.shelf.folder(digest)))

    def build(self, name: str, kinds: tuple[Kind, ...], *, fresh: bool, progress: Progress) -> Image:
        """Builds an image for nodes of these kinds; `fresh` also where it is there, from today's packages.

        Raises HypervisorError.
        """
        builder = self._builders.get(check_image_name(name))
        if builder is None:
            raise self._unknown(name)
        if fresh:
            with self.shelf.making(progress):
                if Kind.QEMU in kinds:
                    machines.fetch_new_kernel(self.shelf, progress)
                digest = self._build(builder, progress)
                with self.shelf.changing():
                    self.shelf.name(name, digest)
        images = [self.ensure(name, kind, arch=builder.arch, progress=progress) for kind in kinds]
        return images[-1]

    def stale_parts(self, digest: str) -> list[Path]:
        """What was made of an image for machines and is of no use any longer: there is another kernel or kit."""
        image = self.image(digest, digest)
        kept = {path.parent for path in (image.boot and image.boot.kernel, image.disk and image.disk.path) if path}
        return machines.other_parts(self.shelf, digest, kept)

    # --- inside ---

    def _find(self, reference: str, arch: Arch | None, sha256: str | None) -> str | None:
        """The digest of what is there. Raises HypervisorError for a name that nothing has."""
        if is_source(reference):
            return self.shelf.made(source_key(self._order(reference, arch, sha256)))
        builder = self._builders.get(check_image_name(reference))
        if builder is not None:
            return self.shelf.made(self._key(builder))
        digest = self.shelf.named(reference)
        if digest is None:
            raise self._unknown(reference)
        return digest

    def _make(self, reference: str, arch: Arch, sha256: str | None, progress: Progress) -> str:
        if is_source(reference):
            return import_source(self.shelf, self._order(reference, arch, sha256), progress)
        return self._build(self._builders[reference], progress)

    def _build(self, builder: Builder, progress: Progress) -> str:
        with self.shelf.scratch() as folder:
            builder.build(new_tree(folder), progress)
            progress("check", 0, 1)
            part = tree_part(folder)
            source = f"built: {builder.about}"
            start, key = builder.start, self._key(builder)
            return put_parts(self.shelf, folder, part, arch=builder.arch, start=start, source=source, key=key)

    def _order(self, reference: str, arch: Arch | None, sha256: str | None) -> Order:
        checksum = None if sha256 is None else check_sha256(sha256)
        return Order(source=parse_source(reference), arch=arch or Arch.X86_64, sha256=checksum)

    def _point(self, reference: str, digest: str) -> None:
        """The name of a built image follows what is built."""
        if reference in self._builders and self.shelf.named(reference) != digest:
            with self.shelf.changing():
                self.shelf.name(reference, digest)

    def _complete(self, digest: str, reference: str, kind: Kind, arch: Arch, progress: Progress) -> Image:
        made = self._suitable(digest, reference, kind, arch)
        wanted = self._missing(digest, made, kind)
        if wanted:
            with self.shelf.making(progress):
                if not self.shelf.folder(digest).is_dir():
                    raise HypervisorError(f"the image {reference} has just been removed", hint="run the same again")
                for make in wanted:
                    make(self.shelf, digest, progress)
        return self._image(digest, reference, made, kind)

    def _ready(self, digest: str | None, reference: str, kind: Kind, arch: Arch) -> Image:
        if digest is not None:
            made = self._suitable(digest, reference, kind, arch)
            if not self._missing(digest, made, kind):
                return self._image(digest, reference, made, kind)
        hint = "run the same again: it is made when nodes are prepared"
        raise HypervisorError(f"the image {reference} is not ready for {kind} nodes", hint=hint)

    def _suitable(self, digest: str, reference: str, kind: Kind, arch: Arch) -> Manifest:
        made = read_manifest(self.shelf.folder(digest))
        if arch is not made.arch and made.arch not in _RUNS.get(arch, ()):
            raise _for_others(reference, made.arch, arch)
        if kind is Kind.QEMU and made.start is not Start.OWN and arch is not Arch.X86_64:
            hint = "import a disk that starts by its own loader"
            raise HypervisorError(f"there is no kernel here to start {reference} on a machine of {arch}", hint=hint)
        if kind is not Kind.QEMU and made.tree is None:
            hint = "use it for qemu nodes, or import a root file system (tar) for these"
            raise HypervisorError(f"the image {reference} is a disk: {kind} nodes need a root file system", hint=hint)
        return made

    def _missing(self, digest: str, made: Manifest, kind: Kind) -> list[Callable[[Shelf, str, Progress], None]]:
        """What is to be made of an image before nodes of that kind have what they need."""
        missing: list[Callable[[Shelf, str, Progress], None]] = []
        if kind is not Kind.QEMU or made.start is Start.OWN:
            return missing
        if made.start is Start.DIRECT and made.disk is None and machines.find_disk(self.shelf, digest) is None:
            missing.append(machines.make_disk)
        if machines.find_boot(self.shelf, digest, self._kit) is None:
            missing.append(machines.make_boot)
        return missing

    def _image(self, digest: str, reference: str, made: Manifest, kind: Kind = Kind.QEMU) -> Image:
        folder = self.shelf.folder(digest)
        disk, boot = None, None
        if made.disk is not None:
            disk = Disk(path=folder / made.disk.name, format=made.disk.format or "raw")
        elif kind is Kind.QEMU and made.start is not Start.MEMORY:
            disk = machines.find_disk(self.shelf, digest)
        if kind is Kind.QEMU and made.start is not Start.OWN:
            boot = machines.find_boot(self.shelf, digest, self._kit)
        return Image(
            name=reference,
            digest=digest,
            folder=folder,
            arch=made.arch,
            tree=None if made.tree is None else folder / TREE,
            disk=disk,
            boot=boot,
        )

    @cached_property
    def _kit(self) -> Path | None:
        return None if missing_kit_programs() else build_kit(self.shelf.paths)

    def _key(self, builder: Builder) -> str:
        """Found once: looking at all that goes in takes milliseconds, and is asked for each node."""
        if builder.name not in self._keys:
            self._keys[builder.name] = builder.key
        return self._keys[builder.name]

    def _lacks(self, reference: str, kind: Kind, element: str, arch: Arch, sha256: str | None) -> list[Lack]:
        digest = self._find(reference, arch, sha256)
        builder = self._builders.get(reference)
        needed: list[Program] = [*missing_kit_programs()]
        if digest is not None:
            made = self._suitable(digest, reference, kind, arch)
            needed += absent(machines.PROGRAMS) if self._missing(digest, made, kind) else ()
        elif builder is not None:
            if arch is not builder.arch:
                raise _for_others(reference, builder.arch, arch)
            needed += [*builder.lacking(), *(absent(machines.PROGRAMS) if kind is Kind.QEMU else ())]
        else:
            path = parse_source(reference).path
            if path is not None and not path.is_file():
                raise HypervisorError(f"there is no file {path}", hint="its path is taken as this pnode has it")
            needed += absent(IMPORT_PROGRAMS)
        if not needed:
            return []
        programs = ", ".join(sorted({program.name for program in needed}))
        packages = " ".join(sorted({program.package for program in needed}))
        what = f"{programs}, of which the image {reference} is made"
        return [Lack(missing=what, element=element, hint=f"apt-get install {packages}")]

    def _unknown(self, name: str) -> HypervisorError:
        names = self.names()
        alike = look_alikes(name, names)
        question = f"; did you mean {' or '.join(alike)}?" if alike else ""
        hint = f"images that exist or can be built: {', '.join(names)}"
        return HypervisorError(f"there is no image {name!r}{question}", hint=hint)


def _for_others(reference: str, theirs: Arch, ours: Arch) -> HypervisorError:
    hint = f"import another for it (benito image import --arch {ours}), or let the node be {theirs}"
    return HypervisorError(f"the image {reference} is for {theirs}, not for {ours}", hint=hint)
