"""A virtual machine's own disk: a copy-on-write layer over its image's."""

import json
import os
from contextlib import suppress
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito_domains.images.image import Disk

_MIB = 1 << 20
_HINT = "apt-get install qemu-utils"


def make_overlay(base: Disk, overlay: Path, size_mib: int | None) -> Disk:
    """The node's disk over `base`, made unless it is there; of `size_mib`, or as large as its base. Raises
    HypervisorError, also where the base is larger than that."""
    made = Disk(path=overlay, format="qcow2")
    if overlay.exists():
        return made
    # The base's format is told: what a guest once wrote must never be taken for another format's header.
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", base.format, "-b", str(base.path)]
    scratch = overlay.with_name(f".{overlay.name}.new")
    scratch.unlink(missing_ok=True)
    size = [] if size_mib is None else [str(_larger(base, size_mib))]
    run([*argv, scratch, *size], error=HypervisorError, hint=_HINT)
    scratch.chmod(0o600)  # libvirt gives it to qemu's user while it runs; nobody else is to read it
    scratch.replace(overlay)
    return made


def settle(disk: Path) -> None:
    """What was written to a disk is on the pnode's own disk afterwards; nothing where there is none."""
    with suppress(FileNotFoundError):
        handle = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _larger(base: Disk, size_mib: int) -> int:
    argv = ["qemu-img", "info", "--output=json", "-f", base.format, str(base.path)]
    least: int = json.loads(run(argv, error=HypervisorError, hint=_HINT))["virtual-size"]
    if size_mib * _MIB < least:
        raise HypervisorError(
            f"a disk of {size_mib} MiB is smaller than its image's {-(-least // _MIB)} MiB",
            hint=f"benito:disk {-(-least // _MIB)}, or leave it out",
        )
    return size_mib * _MIB
