"""What bare domains are made of: domains_parts.py FOLDER. Prints JSON: the image micro's tree, the kernel that machines
start, and an initramfs in FOLDER that loads the drivers of qemu's devices and sets an interface up."""

import json
import shutil
import sys
from pathlib import Path

from benito.model import Kind
from benito.paths import StatePaths
from benito_domains.images import cpio
from benito_domains.images.kernel import DEVICES, modules_in_order
from benito_domains.images.store import ImageStore

_INIT = """#!/busybox sh
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sysfs /sys
while read -r name; do /busybox insmod /modules/$name.ko; done </modules/load
for d in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 >$d; done
for d in /sys/class/net/e*; do /busybox ip link set ${d##*/} up; done
while :; do /busybox sleep 3600; done
"""


def main() -> None:
    """The command line."""
    target = Path(sys.argv[1]) / "bare-initramfs"
    store = ImageStore(StatePaths.from_environment())
    tree, boot = store.ensure("micro", Kind.OPENVZ).tree, store.ensure("micro", Kind.QEMU).boot
    kernel = store.shelf.kernel()
    if tree is None or boot is None or kernel is None:
        sys.exit("the image micro lacks a part")
    root = Path(sys.argv[1]) / "bare"
    for name in ("proc", "sys", "dev", "modules"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    if busybox is None:
        sys.exit("busybox is missing")
    shutil.copy(busybox, root / "busybox")
    (folder,) = (kernel / "root/lib/modules").iterdir()
    modules = modules_in_order(folder, DEVICES)
    for name, data in modules.items():
        (root / "modules" / f"{name}.ko").write_bytes(data)
    (root / "modules/load").write_text("".join(f"{name}\n" for name in modules))
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    with target.open("wb") as file:
        file.writelines(cpio.archive(root))
    sys.stdout.write(json.dumps({"tree": str(tree), "kernel": str(boot.kernel), "initramfs": str(target)}) + "\n")


if __name__ == "__main__":
    main()
