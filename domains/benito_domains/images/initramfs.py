"""What a machine that starts directly needs: the kernel as qemu starts it, and an initramfs with the kit.

The initramfs holds the kit, the kernel's modules and `/init`, which is the kit's `boot`. Together with an image's tree
it is the whole system; without one it leads to the system on the root disk.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benito_domains.config import KIT_INSIDE
from benito_domains.images import cpio
from benito_domains.images.image import DirectBoot
from benito_domains.images.kernel import (
    DEVICES,
    FILE_SYSTEMS,
    NETWORKING,
    Kernel,
    dependencies,
    modules_in_order,
    unpack_kernel,
)

_FOLDERS = ("dev", "proc", "run", "sys", "tmp", "root", "etc", "usr/lib", "var/benito")


def build_boot(folder: Path, kit: Path, kernel: Kernel, tree: Path | None = None) -> DirectBoot:
    """Writes `kernel` and `initramfs` into `folder`. `tree` is the image's, where it is to run in memory.

    Raises HypervisorError.
    """
    boot = DirectBoot(kernel=folder / "kernel", initramfs=folder / "initramfs")
    bzimage = kernel.bzimage.read_bytes()
    boot.kernel.write_bytes(unpack_kernel(bzimage) or bzimage)
    wanted = (*DEVICES, *NETWORKING) if tree is not None else (*DEVICES, *FILE_SYSTEMS, *NETWORKING)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        own = Path(scratch)
        for name in _FOLDERS:
            (own / name).mkdir(parents=True)
        if tree is None:
            (own / "lib").symlink_to("usr/lib")
        shutil.copytree(kit, own / KIT_INSIDE.lstrip("/"), symlinks=True)
        _write_modules(own / "usr/lib/modules" / kernel.modules.name, modules_in_order(kernel.modules, wanted))
        (own / "init").symlink_to(f"{KIT_INSIDE}/boot")
        with boot.initramfs.open("wb") as file:
            # The kernel unpacks one archive after the other. Not packed: an emulated guest unpacks slowly.
            for root in (tree, own) if tree is not None else (own,):
                file.writelines(cpio.archive(root))
    for path in (boot.kernel, boot.initramfs):
        path.chmod(0o644)
    return boot


def _write_modules(folder: Path, modules: Mapping[str, bytes]) -> None:
    """The modules with the list of dependencies that `modprobe` looks them up in."""
    folder.mkdir(parents=True)
    for name, data in modules.items():
        (folder / f"{name}.ko").write_bytes(data)
    (folder / "modules.dep").write_text(modules_dep(modules))


def modules_dep(modules: Mapping[str, bytes]) -> str:
    """A line per module: its file, and those of all that it needs, the nearest first, as depmod writes it."""
    lines = []
    for name in modules:
        needed: list[str] = []
        waiting = dependencies(modules[name])
        while waiting:
            nearest = waiting.pop(0)
            if nearest in modules and nearest != name and nearest not in needed:
                needed.append(nearest)
                waiting += dependencies(modules[nearest])
        # What stands last is loaded first: a module after all that need it, however it was found.
        needed.sort(key=list(modules).index, reverse=True)
        lines.append(f"{name}.ko:{''.join(f' {other}.ko' for other in needed)}\n")
    return "".join(lines)
