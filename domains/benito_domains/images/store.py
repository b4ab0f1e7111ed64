"""Where images are kept: one folder each, named after what made it, put in place whole or not at all.

A changed builder or a changed program of the host gives another digest, thus another folder: nothing that runs
loses the image it runs on.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from benito.errors import HypervisorError
from benito.names import digest
from benito.paths import StatePaths, make_directory
from benito.seams import Progress, quiet
from benito_domains.images import cpio, kernel, rootfs

MICRO = "micro"
#: The second half of `micro`: kernel and initramfs, made only where qemu nodes are.
BOOT = "micro-boot"
_BUILDING = ".building-"
_SOURCES = (
    "images/cpio.py",
    "images/kernel.py",
    "images/rootfs.py",
    "images/store.py",
    "guest/init.sh",
    "guest/start.sh",
    "native/sender.c",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A name that a topology may ask for, and where its parts are or will be."""

    name: str
    tree: Path
    boot: Path

    @property
    def kernel(self) -> Path:
        """The kernel that qemu starts."""
        return self.boot / "kernel"

    @property
    def initramfs(self) -> Path:
        """The image's tree as the kernel unpacks it."""
        return self.boot / "initramfs"


def known_images() -> tuple[str, ...]:
    """The names that a topology may ask for."""
    return (MICRO,)


def find_image(paths: StatePaths, name: str) -> Image:
    """The image of that name, built or not. Raises HypervisorError that names those which exist."""
    if name != MICRO:
        raise HypervisorError(f"there is no image {name!r}", hint=f"images that exist: {', '.join(known_images())}")
    code = _digest()
    return Image(name=name, tree=paths.images / f"{MICRO}-{code}" / "root", boot=paths.images / f"{BOOT}-{code}")


def missing_parts() -> list[rootfs.Program]:
    """The programs of the host without which `micro` cannot be built."""
    return rootfs.missing_programs()


def build_micro(paths: StatePaths, progress: Progress = quiet, *, boot: bool = False) -> Image:
    """Builds `micro` unless it is there; with `boot`, its kernel and initramfs too. Raises HypervisorError."""
    image = find_image(paths, MICRO)
    if image.tree.is_dir() and (image.boot.is_dir() or not boot):
        return image
    make_directory(paths.images)
    with _alone(paths.images):
        if not image.tree.is_dir():
            progress("image micro", 0, 1)
            _place(image.tree.parent, _tree_builder)
            progress("image micro", 1, 1)
        if boot and not image.boot.is_dir():
            _place(image.boot, lambda folder: _build_boot(folder, image.tree, progress))
    return image


@contextmanager
def _alone(images: Path) -> Iterator[None]:
    """One builder at a time; what a killed one left is removed."""
    with (images / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in images.glob(f"{_BUILDING}*"):
            shutil.rmtree(leftover)
        yield


def _place(target: Path, build: Callable[[Path], None]) -> None:
    """Builds in a temporary folder beside `target` and renames it."""
    folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=target.parent))
    try:
        build(folder)
        folder.chmod(0o755)
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _tree_builder(folder: Path) -> None:
    root = folder / "root"
    root.mkdir(mode=0o755)
    rootfs.build_tree(root)


def _build_boot(folder: Path, tree: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fetched = kernel.fetch_kernel(Path(scratch) / "kernel", progress)
        bzimage = fetched.bzimage.read_bytes()
        (folder / "kernel").write_bytes(kernel.unpack_kernel(bzimage) or bzimage)
        modules = kernel.modules_in_order(fetched.modules, kernel.WANTED_MODULES)
        loaded = kernel.modules_in_order(fetched.modules, kernel.LOADED_MODULES)
        extra = Path(scratch) / "extra"
        place = extra / "usr/lib/benito/modules"
        place.mkdir(parents=True)
        for name, data in modules.items():
            (place / f"{name}.ko").write_bytes(data)
        (place / "load").write_text("".join(f"{name}\n" for name in loaded))
        (extra / "init").symlink_to("usr/lib/benito/init")
        with (folder / "initramfs").open("wb") as file:
            # The kernel unpacks one archive after the other. Not packed: an emulated guest unpacks slowly.
            for root in (tree, extra):
                file.writelines(cpio.archive(root))
    for name in ("kernel", "initramfs"):
        (folder / name).chmod(0o644)


def _digest() -> str:
    """Depends on the builder's source and on each of the host's programs that go in."""
    parts = [files("benito_domains").joinpath(name).read_text() for name in _SOURCES]
    for program in rootfs.PROGRAMS:
        path = rootfs.find_program(program.name)
        status = os.stat(path) if path else None  # noqa: PTH116 - one line with the None
        parts.append(f"{program.name} {status.st_size if status else 0} {status.st_mtime_ns if status else 0}")
    return digest(*parts).hex()[:12]
