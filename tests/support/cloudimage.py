"""A disk image like those that distributions publish for clouds: Debian with cloud-init, started by its own loader.

Built from Debian's packages without a mount or a loop device: a partition table, a FAT partition that syslinux starts
from, and a root partition that mke2fs fills.
"""

import re
import shutil
import subprocess
from pathlib import Path

_MIB = 1 << 20
_BOOT_AT_MIB, _ROOT_AT_MIB, _SIZE_MIB = 1, 64, 1200
_KERNELS = {"amd64": "linux-image-cloud-amd64", "i386": "linux-image-686"}
_PACKAGES = (
    "cloud-init,initramfs-tools,systemd-sysv,systemd-resolved,udev,dbus,netplan.io,"
    "iproute2,openssh-server,sudo,e2fsprogs,cloud-guest-utils,fdisk"
)
_MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
_MENU = "DEFAULT linux\nLABEL linux\nLINUX /vmlinuz\nINITRD /initrd\nAPPEND root=LABEL=root rw console=ttyS0 quiet\n"


def mirror() -> str:
    """The mirror of Debian's that this machine uses."""
    found = re.search(r"^URIs: *(\S+)", Path("/etc/apt/sources.list.d/debian.sources").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def build_cloud_image(folder: Path, architecture: str = "amd64", release: str = "bookworm") -> Path:
    """The raw image `cloud.img` in `folder`; made unless it is there. `architecture` is Debian's word."""
    image = folder / "cloud.img"
    if image.exists():
        return image
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    packages = f"--include={_KERNELS[architecture]},{_PACKAGES}"
    # The one check that is left out is whether this processor can run i386, which it can.
    options = ("--mode=root", "--variant=minbase", f"--architectures={architecture}", "--skip=check/qemu")
    _run("mmdebstrap", *options, packages, _SMALL, _GENERAL, release, tree, mirror())
    scratch = folder / "cloud.img.part"
    with scratch.open("wb") as file:
        file.truncate(_SIZE_MIB * _MIB)
    table = f"label: dos\nstart={_BOOT_AT_MIB}MiB, size={_ROOT_AT_MIB - _BOOT_AT_MIB}MiB, type=e, bootable\n"
    table += f"start={_ROOT_AT_MIB}MiB, type=83\n"
    _run("sfdisk", "--quiet", scratch, data=table.encode())
    with scratch.open("r+b") as file:
        file.write(_MBR.read_bytes()[:440])
    fat = f"{scratch}@@{_BOOT_AT_MIB}M"
    _run("mkfs.fat", f"--offset={_BOOT_AT_MIB * 2048}", "-F16", scratch, (_ROOT_AT_MIB - _BOOT_AT_MIB) * 1024)
    for pattern, name in (("vmlinuz-*", "vmlinuz"), ("initrd.img-*", "initrd")):
        _run("mcopy", "-i", fat, next((tree / "boot").glob(pattern)), f"::{name}")
    (folder / "syslinux.cfg").write_text(_MENU)
    _run("mcopy", "-i", fat, folder / "syslinux.cfg", "::syslinux.cfg")
    _run("syslinux", "--install", "--offset", _BOOT_AT_MIB * _MIB, scratch)
    root = ("-t", "ext4", "-L", "root", "-E", f"offset={_ROOT_AT_MIB * _MIB}", "-d", tree)
    _run("mke2fs", "-q", "-F", *root, scratch, f"{_SIZE_MIB - _ROOT_AT_MIB}M")
    scratch.rename(image)
    shutil.rmtree(tree)
    return image


# Small, so that an emulated machine is not a minute at unpacking it.
_SMALL = r"""--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" &&
printf "MODULES=list\nCOMPRESS=gzip\n" >"$1/etc/initramfs-tools/conf.d/small" &&
printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules" """
_GENERAL = r"""--customize-hook=printf "LABEL=root / ext4 defaults 0 1\n" >"$1/etc/fstab" &&
: >"$1/etc/machine-id" && rm -f "$1"/etc/ssh/ssh_host_*"""


def _run(*words: object, data: bytes = b"") -> None:
    done = subprocess.run([str(word) for word in words], input=data, capture_output=True, check=False, timeout=900)
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
