"""What an image is: parts of which containers and machines are made. Pure."""

from dataclasses import dataclass
from pathlib import Path

from benito.nodesettings import Arch


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A machine's root disk as the image has it. `format` is qemu's word (`qcow2`, `raw`): it is never guessed."""

    path: Path
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectBoot:
    """A kernel that the hypervisor starts by itself, and the initramfs that leads into the system."""

    kernel: Path
    initramfs: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that is there, as far as one kind of node needs it.

    `digest` is that of its content. `tree` is a container's root file system. A machine has `boot`, or a `disk` that
    starts by its own loader (`boot` is None) and is told its configuration by cloud-init's NoCloud, or both: then the
    initramfs goes on to the disk. Without `disk` the initramfs is the whole system.
    """

    name: str
    digest: str
    folder: Path
    arch: Arch = Arch.X86_64
    tree: Path | None = None
    disk: Disk | None = None
    boot: DirectBoot | None = None
