"""A distribution's kernel for qemu nodes: fetched as a package, unpacked, never installed.

The package gives the kernel file and the few modules that a virtio guest needs.
"""

import lzma
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito.seams import Progress

#: Debian's small kernel for virtual machines, then Ubuntu's.
META_PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual")
#: What a machine's kernel must have for the devices that its domain gives it.
DEVICES = ("virtio_pci", "virtio_mmio", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng")
#: What root disks may be formatted with.
FILE_SYSTEMS = ("ext4", "xfs", "btrfs")
#: What experimenters load; an image that brings its own modules has more.
NETWORKING = ("8021q", "sch_netem", "tun")

_HINT = "qemu nodes need a kernel package; check the network, `apt-get update` and /etc/apt/sources.list"
_ELF = b"\x7fELF"
_XZ, _GZIP, _LZ4_LEGACY, _ZSTD = b"\xfd7zXZ\0", b"\x1f\x8b", b"\x02\x21\x4c\x18", b"\x28\xb5\x2f\xfd"
_PACKED_SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel file as the package has it, and the folder of its modules."""

    bzimage: Path
    modules: Path


def fetch_kernel(folder: Path, progress: Progress) -> Kernel:
    """Downloads the kernel's packages into `folder` and unpacks them there. Raises HypervisorError."""
    folder.mkdir()
    names = _kernel_packages()
    unpacked = folder / "unpacked"
    for done, name in enumerate(names):
        progress("kernel", done, len(names))
        # Run in a folder of its own: apt-get download writes to the working directory and has no option for it.
        run(["env", "-C", folder, "apt-get", "-qq", "download", name], seconds=600, error=HypervisorError, hint=_HINT)
    for package in sorted(folder.glob("*.deb")):
        run(["dpkg-deb", "-x", package, unpacked], seconds=120, error=HypervisorError)
    progress("kernel", len(names), len(names))
    images = sorted(unpacked.glob("boot/vmlinuz-*"))
    if not images:
        raise HypervisorError(f"the packages {', '.join(names)} hold no kernel", hint=_HINT)
    version = images[-1].name.removeprefix("vmlinuz-")
    for base in (unpacked / "lib/modules", unpacked / "usr/lib/modules"):
        if (base / version).is_dir():
            return Kernel(bzimage=images[-1], modules=base / version)
    raise HypervisorError(f"the packages {', '.join(names)} hold no modules of kernel {version}", hint=_HINT)


def _kernel_packages() -> list[str]:
    """The packages with files that the first known meta package stands for."""
    asked = ["apt-cache", "depends", "--no-suggests", "--no-recommends", "--no-enhances"]
    for meta in META_PACKAGES:
        try:
            text = run([*asked, meta], error=HypervisorError).decode()
        except HypervisorError:
            continue  # apt-cache fails for what it does not know
        names = re.findall(r"Depends: (linux-(?:image|modules)-[\w.+-]+)", text)
        if not names:
            continue
        inner = run(["apt-cache", "depends", names[0]], error=HypervisorError, hint=_HINT).decode()
        return [names[0], *re.findall(r"Depends: (linux-modules-[\w.+-]+)", inner)]
    raise HypervisorError(f"apt knows none of the packages {', '.join(META_PACKAGES)}", hint=_HINT)


def unpack_kernel(bzimage: bytes) -> bytes | None:
    """The ELF kernel inside, which qemu starts directly by its PVH note; None where it cannot be unpacked.

    An emulated guest then need not unpack itself, which saves it a second. Layout: the kernel's own boot protocol.
    """
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    payload = bzimage[(setup_sectors + 1) * 512 :][offset : offset + length]
    if payload.startswith(_LZ4_LEGACY):
        payload = payload[:-4]  # the kernel's build appends the size
    elif payload.startswith(_ZSTD):
        payload = payload[:-4]
    try:
        elf = unpack(payload)
    except HypervisorError:
        return None  # the program for it is missing: the kernel unpacks itself, too
    return elf if elf.startswith(_ELF) else None


def unpack(data: bytes) -> bytes:
    """What `data` is packed of, by its first bytes; `data` itself where they are none known. Raises HypervisorError."""
    if data.startswith(_XZ):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(_GZIP):
        return zlib.decompressobj(31).decompress(data)
    if data.startswith(_LZ4_LEGACY):
        return run(["lz4", "-dc"], data=data, error=HypervisorError, hint="apt-get install lz4")
    if data.startswith(_ZSTD):
        return run(["zstd", "-dc"], data=data, error=HypervisorError, hint="apt-get install zstd")
    return data


def modules_in_order(folder: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """The modules `wanted` and what they depend on, unpacked, each after those that it needs.

    What the folder has not is built into the kernel. The package holds no list of dependencies before it is
    installed, so they are read from the modules themselves.
    """
    files = {_module_name(path): path for path in (folder / "kernel").rglob("*.ko*")}
    ordered: dict[str, bytes] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in ordered or name in above or name not in files:
            return
        data = unpack(files[name].read_bytes())
        for needed in dependencies(data):
            add(needed, (*above, name))
        ordered[name] = data

    for name in wanted:
        add(name, ())
    return ordered


def dependencies(module: bytes) -> list[str]:
    """The names of the modules that this one says it needs (its `depends=` note)."""
    found = re.search(rb"\0depends=([\w,-]*)\0", module)
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name] if found else []


def _module_name(path: Path) -> str:
    for suffix in _PACKED_SUFFIXES:
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix).replace("-", "_")
    return path.name
