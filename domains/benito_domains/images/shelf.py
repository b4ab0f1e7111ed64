"""The folder of images: who may change it when, and how things get into it and out of it whole.

DIGEST/manifest.json        an image, in a folder named after its content (manifest.py)
       tree/root, root.list a root file system and its listing; only root may pass `tree`: it may hold old
                            set-user-id programs
       disk.FORMAT          a disk
       disk-KEY/ boot-KEY/  what was made of it for machines, with a manifest of its own
kernel-DIGEST/root          the kernel of machines, with its modules; root.list
names/NAME                  the digest that a name stands for
inputs/KEY                  what became of a builder and all that it used, or of a URL: not made again
.building-*                 what is being made, or was when its maker was killed: the next one removes it
.removed-*                  the same, for what is being removed

Two locks, which the kernel lets go of when their holder dies: `.building` is held as long as something is made or
removed, `.lock` for moments.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito.names import digest
from benito.paths import StatePaths, make_directory
from benito.seams import Progress
from benito_domains.images import manifest
from benito_domains.images.reference import is_image_name

TREE = "tree/root"
HOLD = "image"
_KERNEL = "kernel"
_BUILDING, _REMOVED, _NOTE = ".building-", ".removed-", ".note-"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEY_DIGITS = 16


def input_key(*parts: str) -> str:
    """A name for all that something is made of."""
    return digest(*parts).hex()[:_KEY_DIGITS]


class Shelf:
    """The images of one pnode."""

    def __init__(self, paths: StatePaths) -> None:
        self.paths = paths
        self.root = paths.images

    # --- what is there ---

    def folder(self, image: str) -> Path:
        """Where the image with that digest is or will be."""
        return self.root / image

    def digests(self) -> list[str]:
        """All images, named or not."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if _DIGEST.fullmatch(path.name) and path.is_dir())

    def names(self) -> Mapping[str, str]:
        """What names stand for."""
        try:
            names = sorted(path.name for path in (self.root / "names").iterdir())
        except (FileNotFoundError, PermissionError):  # none yet, or who asks is not root and only plans
            return {}
        found = {name: self.named(name) for name in names if is_image_name(name)}
        return {name: image for name, image in found.items() if image is not None}

    def named(self, name: str) -> str | None:
        """The digest that a name stands for."""
        return self.read_digest(self.root / "names" / name)

    def made(self, key: str) -> str | None:
        """The digest of what was made of the inputs `key`, if it is still there."""
        image = self.read_digest(self.root / "inputs" / key)
        return image if image is not None and self.folder(image).is_dir() else None

    def kernel(self) -> Path | None:
        """The folder of the machines' kernel, if there is one."""
        code = self.read_digest(self.root / "inputs" / _KERNEL)
        folder = self.root / f"{_KERNEL}-{code}"
        return folder if code is not None and folder.is_dir() else None

    def kernels(self) -> list[Path]:
        """All kernels' folders, former ones too."""
        return sorted(self.root.glob(f"{_KERNEL}-*"))

    def holders(self) -> Mapping[str, list[str]]:
        """The nodes that hold each image, as `node.exp.proj`, by digest."""
        found: dict[str, list[str]] = {}
        for path in sorted((self.paths.root / "exp").glob(f"*/*/nodes/*/{HOLD}")):
            node = path.parent
            image = self.read_digest(path)
            if image is not None:
                found.setdefault(image, []).append(f"{node.name}.{node.parents[1].name}.{node.parents[2].name}")
        return found

    def read_digest(self, path: Path) -> str | None:
        """The digest that a file notes, if it does."""
        if path.is_symlink():
            return None
        try:
            text = path.read_text(errors="replace").strip()
        except OSError:
            return None
        return text if _DIGEST.fullmatch(text) else None

    # --- who may change it ---

    @contextmanager
    def making(self, progress: Progress) -> Iterator[None]:
        """One maker or remover at a time; what a killed one left is removed."""
        make_directory(self.root)
        with (self.root / ".building").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("wait for another image", 0, 1)
                fcntl.flock(lock, fcntl.LOCK_EX)
            self.sweep()
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """For moments: while names, holds and folders are looked at and changed together."""
        make_directory(self.root)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # --- in and out, while `making`, but where it says otherwise ---

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder in which something is made; it is gone afterwards, but for what was put in place."""
        folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=self.root))
        try:
            yield folder
        finally:
            if folder.exists():
                remove_tree(folder)

    def put(self, folder: Path, target: Path) -> None:
        """Puts a scratch folder, or one in it, in place as `target`, on disk; nothing where that is there."""
        run(["sync", "--file-system", folder], seconds=600, error=HypervisorError)
        folder.chmod(0o711)
        with self.changing():
            if not target.exists():
                folder.rename(target)

    def put_image(self, folder: Path, made: manifest.Manifest, key: str | None = None) -> str:
        """Puts an image in place, and notes that the inputs `key` give it; its digest."""
        manifest.write_manifest(folder, made)
        self.put(folder, self.folder(made.digest))
        if key is not None:
            self._note("inputs", key, made.digest)
        return made.digest

    def put_kernel(self, folder: Path, content: str) -> Path:
        """Puts a kernel in place and makes it the one of all machines."""
        target = self.root / f"{_KERNEL}-{content}"
        self.put(folder, target)
        self._note("inputs", _KERNEL, content)
        return target

    def name(self, name: str, image: str) -> None:
        """Lets a name stand for an image. While `changing`."""
        if self.named(name) != image:
            self._note("names", name, image)

    def forget_name(self, name: str) -> None:
        """A name stands for nothing any longer."""
        if is_image_name(name):
            (self.root / "names" / name).unlink(missing_ok=True)

    def take_away(self, target: Path) -> None:
        """Takes an image, a part or a kernel out of its place, in a moment; `sweep` removes it from the disk."""
        away = Path(tempfile.mkdtemp(prefix=_REMOVED, dir=self.root))
        with suppress(FileNotFoundError):
            target.rename(away / "gone")

    def sweep(self) -> None:
        """Removes what was taken away, and what a killed maker left."""
        for leftover in (*self.root.glob(f"{_BUILDING}*"), *self.root.glob(f"{_REMOVED}*")):
            remove_tree(leftover)
        with self.changing():
            for note in self.root.glob(f"{_NOTE}*"):
                note.unlink()

    def forget_inputs(self) -> None:
        """Forgets what was made of inputs and is not there any longer."""
        folder = self.root / "inputs"
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name != _KERNEL and self.made(path.name) is None:
                path.unlink(missing_ok=True)

    def _note(self, folder: str, name: str, image: str) -> None:
        make_directory(self.root / folder, 0o755)  # names are read by who plans without being root
        scratch = self.root / f"{_NOTE}{folder}-{name}"
        with scratch.open("w") as file:
            file.write(f"{image}\n")
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        scratch.replace(self.root / folder / name)


def remove_tree(path: Path) -> None:
    """Removes a folder or file of ours, whatever it holds. No link is followed.

    What a killed program started may still write there for a moment: it is tried again.
    """
    assert shutil.rmtree.avoids_symlink_attacks  # noqa: S101 - a fact of Linux; rmtree must never follow a link
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for _ in range(5):
        with suppress(OSError):
            shutil.rmtree(path)
            return
    shutil.rmtree(path)
