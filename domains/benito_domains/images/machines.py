"""What machines need of an image beyond what containers need: a kernel, an initramfs, and a disk made of the tree.

All of it is made once, in the image's folder, when the first machine wants it.
"""

import filecmp
import functools
import shutil
from collections.abc import Container, Sequence
from importlib.resources import files
from pathlib import Path

from benito.errors import HypervisorError
from benito.seams import Progress
from benito_domains.images.contained import run_contained
from benito_domains.images.image import DirectBoot, Disk
from benito_domains.images.initramfs import build_boot
from benito_domains.images.kernel import Kernel, fetch_kernel
from benito_domains.images.kit import build_kit
from benito_domains.images.listing import differences, file_sha256, list_tree
from benito_domains.images.manifest import FORMAT, Manifest, Part, Start, now, read_manifest, write_manifest
from benito_domains.images.parts import LISTING
from benito_domains.images.rootfs import Program
from benito_domains.images.shelf import TREE, Shelf, input_key

DISK = "disk.qcow2"
#: To be counted up when disks are made otherwise than before.
_DISK_FORM = "1"
_KERNEL, _INITRAMFS = "kernel", "initramfs"
_KERNEL_ROOT = "root"
_MIB = 1 << 20
#: A disk's size: what fits a small system and what it writes. It takes no more of the pnode than is in it.
_LEAST_MIB, _ROOM_MIB = 2048, 512
#: Files that a disk of that size may hold at least.
_LEAST_FILES, _ROOM_FILES = 131072, 65536
_SECONDS = 1800
PROGRAMS = (
    Program(name="mke2fs", package="e2fsprogs"),
    Program(name="qemu-img", package="qemu-utils"),
    Program(name="depmod", package="kmod"),
    Program(name="apt-get", package="apt"),
    Program(name="dpkg-deb", package="dpkg"),
)


def find_boot(shelf: Shelf, image: str, kit: Path | None) -> DirectBoot | None:
    """Kernel and initramfs of an image, where they have been made with this kit and the present kernel."""
    kernel = shelf.kernel()
    folder = shelf.folder(image) / _boot_name(kernel, kit) if kernel and kit else None
    if folder is None or not folder.is_dir():
        return None
    return DirectBoot(kernel=folder / _KERNEL, initramfs=folder / _INITRAMFS)


def find_disk(shelf: Shelf, image: str) -> Disk | None:
    """The disk that was made of an image's tree for the present kernel, if it has been."""
    kernel = shelf.kernel()
    path = shelf.folder(image) / _disk_name(kernel) / DISK if kernel else None
    return Disk(path=path, format="qcow2") if path is not None and path.exists() else None


def other_parts(shelf: Shelf, image: str, kept: Container[Path]) -> list[Path]:
    """The folders of what was made of an image for machines, but for those that are kept."""
    folder = shelf.folder(image)
    return sorted(path for path in (*folder.glob("boot-*"), *folder.glob("disk-*")) if path not in kept)


def make_boot(shelf: Shelf, image: str, progress: Progress) -> None:
    """Kernel and initramfs for an image; to be called while `making`. Raises HypervisorError."""
    made = read_manifest(shelf.folder(image))
    kernel = ensure_kernel(shelf, progress)
    kit = build_kit(shelf.paths, progress)
    target = shelf.folder(image) / _boot_name(kernel, kit)
    if target.is_dir():
        return
    tree = shelf.folder(image) / TREE if made.start is Start.MEMORY else None
    with shelf.scratch() as folder:
        progress("kernel and initramfs", 0, 1)
        build_boot(folder, kit, _kernel(kernel), tree)
        _share(shelf, folder)
        _put_part(shelf, folder, target, made, (_KERNEL, _INITRAMFS))
        progress("kernel and initramfs", 1, 1)


def make_disk(shelf: Shelf, image: str, progress: Progress) -> None:
    """A disk with an image's tree and the kernel's modules; to be called while `making`. Raises HypervisorError."""
    made = read_manifest(shelf.folder(image))
    kernel = ensure_kernel(shelf, progress)
    target = shelf.folder(image) / _disk_name(kernel)
    if made.tree is None or target.is_dir():
        return
    with shelf.scratch() as folder:
        progress("disk", 0, 3)
        farm = folder / "farm"
        # The same files by other names: nothing is copied, and nothing of the tree is changed below.
        run_contained(["cp", "--archive", "--link", shelf.folder(image) / TREE, farm], seconds=_SECONDS)
        modules = _kernel(kernel).modules
        place = inner_folder(farm, "lib/modules")
        shutil.rmtree(place / modules.name, ignore_errors=True)
        run_contained(["cp", "--archive", "--link", modules, place / modules.name], seconds=_SECONDS)
        progress("disk", 1, 3)
        make_ext4(farm, folder / "disk.raw", total_bytes=made.tree.total_bytes)
        progress("disk", 2, 3)
        to_qcow2(Disk(path=folder / "disk.raw", format="raw"), folder / DISK)
        (folder / "disk.raw").unlink()
        shutil.rmtree(farm)
        _put_part(shelf, folder, target, made, (DISK,))
        progress("disk", 3, 3)


def make_ext4(tree: Path, target: Path, *, total_bytes: int) -> None:
    """A raw file system with everything in `tree`, without mounting anything. Raises HypervisorError."""
    count = sum(1 for _ in tree.rglob("*"))
    size_mib = max(_LEAST_MIB, total_bytes // _MIB * 9 // 8 + count * 4 // 1024 + _ROOM_MIB)
    inodes = max(_LEAST_FILES, count + _ROOM_FILES)
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "benito-root", "-m", "1", "-N", str(inodes)]
    run_contained([*argv, "-d", tree, target, f"{size_mib}M"], seconds=_SECONDS)


def to_qcow2(disk: Disk, target: Path) -> None:
    """A disk, and all that it is a layer over, as one qcow2 file. Raises HypervisorError."""
    argv = ["qemu-img", "convert", "-q", "-f", disk.format, "-O", "qcow2", "-o", "compat=1.1"]
    run_contained([*argv, disk.path, target], seconds=_SECONDS)


def inner_folder(tree: Path, name: str) -> Path:
    """The folder `name` of a tree, made where it is not there. Links in the tree lead to within it, or are refused:
    they are the image's, and must not lead to this machine's files. Raises HypervisorError."""
    here: list[str] = []
    waiting = name.split("/")
    for _ in range(64):
        if not waiting:
            return tree.joinpath(*here)
        word = waiting.pop(0)
        path = tree.joinpath(*here, word)
        if word in ("", "."):
            continue
        if word == "..":
            here = here[:-1]
        elif path.is_symlink():
            target = str(path.readlink())
            here = [] if target.startswith("/") else here
            waiting = [*target.split("/"), *waiting]
        else:
            if not path.is_dir():
                try:
                    path.mkdir(mode=0o755)
                except OSError as error:
                    raise HypervisorError(f"/{name} of the image cannot be made: {error.strerror}") from error
            here.append(word)
    raise HypervisorError(f"/{name} of the image is a link to itself")


def ensure_kernel(shelf: Shelf, progress: Progress) -> Path:
    """The folder of the machines' kernel, fetched unless it is there; while `making`. Raises HypervisorError."""
    found = shelf.kernel()
    return fetch_new_kernel(shelf, progress) if found is None else found


def fetch_new_kernel(shelf: Shelf, progress: Progress) -> Path:
    """The newest kernel that the distribution has, from now on that of all machines. Raises HypervisorError."""
    with shelf.scratch() as folder:
        fetched = fetch_kernel(folder / "fetched", progress)
        version = fetched.modules.name
        made, root = folder / "made", folder / "made" / _KERNEL_ROOT
        (root / "lib/modules").mkdir(parents=True)
        fetched.bzimage.rename(root / "vmlinuz")
        fetched.modules.rename(root / "lib/modules" / version)
        for link in ("build", "source"):
            (root / "lib/modules" / version / link).unlink(missing_ok=True)
        run_contained(["depmod", "-b", root, version], seconds=_SECONDS)
        listing = list_tree(root)
        (made / LISTING).write_text(listing.text)
        return shelf.put_kernel(made, listing.sha256)


def verify_kernel(folder: Path) -> list[str]:
    """The files of a kernel that are not as they were. Raises OSError for one that is gone."""
    root, listed = folder / _KERNEL_ROOT, (folder / LISTING).read_text()
    return [str(root / name) for name in differences(listed, list_tree(root).text)]


def _kernel(folder: Path) -> Kernel:
    (modules,) = (folder / _KERNEL_ROOT / "lib/modules").iterdir()
    return Kernel(bzimage=folder / _KERNEL_ROOT / "vmlinuz", modules=modules)


def _put_part(shelf: Shelf, folder: Path, target: Path, made: Manifest, names: Sequence[str]) -> None:
    """Puts what was made of an image in its folder."""
    parts: list[Part] = []
    for name in names:
        path = folder / name
        path.chmod(0o644)  # qemu has a user of its own
        kind = "qcow2" if name == DISK else None
        parts.append(Part(name=name, sha256=file_sha256(path), total_bytes=path.stat().st_size, format=kind))
    source = f"made of {made.digest}"
    own = Manifest(format=FORMAT, arch=made.arch, start=made.start, source=source, created=now(), parts=tuple(parts))
    write_manifest(folder, own)
    shelf.put(folder, target)


def _share(shelf: Shelf, folder: Path) -> None:
    """Files that another image has just so, most often the kernel, are the same ones on the disk."""
    for other in shelf.root.glob("*/boot-*"):
        for name in (_KERNEL, _INITRAMFS):
            ours, theirs = folder / name, other / name
            if theirs.is_file() and not ours.samefile(theirs) and filecmp.cmp(ours, theirs, shallow=False):
                ours.unlink()
                ours.hardlink_to(theirs)


@functools.cache
def _sources(*names: str) -> tuple[str, ...]:
    return tuple(files("benito_domains").joinpath("images", name).read_text() for name in names)


def _boot_name(kernel: Path, kit: Path) -> str:
    return f"boot-{input_key(kernel.name, kit.name, *_sources('initramfs.py', 'cpio.py', 'kernel.py'))}"


def _disk_name(kernel: Path) -> str:
    return f"disk-{input_key(kernel.name, _DISK_FORM)}"
