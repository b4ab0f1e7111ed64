"""A guest with the distribution's own x86 kernel: an emulated machine with two processors, over the host's files.

What runs in it is many times slower than in User Mode Linux, so it is for a few tests. It never uses /dev/kvm, and has
no network card. As with the other guest, all that it writes stays in its memory, and its processes live in namespaces
that end with the process that started it.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uml

from benito.seams import quiet
from benito_domains.images import cpio
from benito_domains.images.kernel import META_PACKAGES, fetch_kernel, modules_in_order, unpack_kernel

EMULATOR = "qemu-system-x86_64"
BUSYBOX = Path("/bin/busybox")
HOST_SIDE = uml.ROOT / "tests/guest/tcg-host.sh"
FIRST_INIT = uml.ROOT / "tests/guest/tcg-init.sh"
PROCESSORS = 2
MEMORY_MIB = 1024
#: What the emulator may keep of translated code.
TRANSLATED_MIB = 256
BOOT_SECONDS = 240
#: What the first root loads to reach the host's files; everything else is loaded on demand from there.
FIRST_MODULES = ("virtio_pci", "virtiofs", "overlay")

#: The programs that serve files, by age: a package of its own, or a part of qemu-system-common. Submounts are not
#: announced, for a file system laid over them cannot enter what is announced.
_SERVERS = {
    Path("/usr/libexec/virtiofsd"): ("--shared-dir=/", "--cache=always", "--sandbox=chroot", "--no-announce-submounts"),
    Path("/usr/lib/qemu/virtiofsd"): ("-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What the machine boots, and the folder of the kernel's modules, complete for modprobe."""

    version: str
    kernel: Path
    initramfs: Path
    modules: Path


def missing() -> str | None:
    """What this machine lacks to run such a guest, its kernel apart."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which(EMULATOR) is None:
        return "needs the Debian package qemu-system-x86"
    if _server() is None:
        return "needs virtiofsd (a Debian package, or part of qemu-system-common)"
    return None


def _server() -> list[str] | None:
    return next(([str(path), *options] for path, options in _SERVERS.items() if path.exists()), None)


def is_offered() -> bool:
    """Whether this distribution has the packages that such a guest is made of."""
    # What serves files comes with the emulator, or is a package.
    serves = _server() is not None or shutil.which(EMULATOR) is None or _is_package("virtiofsd")
    return serves and any(_is_package(name) for name in META_PACKAGES)


def _is_package(name: str) -> bool:
    return subprocess.run(["apt-cache", "show", name], capture_output=True, check=False).returncode == 0


def make_kernel(folder: Path) -> Kernel:
    """Fetches the kernel that qemu nodes have, and makes all of it ready in `folder`. Raises HypervisorError."""
    fetched = fetch_kernel(folder / "fetched", quiet)
    version = fetched.modules.name
    packed = fetched.bzimage.read_bytes()
    kernel = folder / "kernel"
    kernel.write_bytes(unpack_kernel(packed) or packed)
    # Distributions disagree on whether it is /lib/modules or /usr/lib/modules; a base with both is right for all.
    base = folder / "base"
    for place in (base / "lib/modules", base / "usr/lib/modules"):
        place.mkdir(parents=True)
        (place / version).symlink_to(fetched.modules)
    subprocess.run(["depmod", "-b", str(base), version], check=True)
    initramfs = folder / "initramfs"
    initramfs.write_bytes(b"".join(cpio.archive(_first_root(folder / "first", fetched.modules))))
    return Kernel(version=version, kernel=kernel, initramfs=initramfs, modules=fetched.modules)


def _first_root(root: Path, modules: Path) -> Path:
    for name in ("bin", "below", "dev", "modules", "proc", "root", "written"):
        (root / name).mkdir(parents=True)
    shutil.copy2(BUSYBOX.resolve(), root / "bin/busybox")
    shutil.copy2(FIRST_INIT, root / "init")
    ordered = modules_in_order(modules, FIRST_MODULES)
    for name, data in ordered.items():
        (root / f"modules/{name}.ko").write_bytes(data)
    (root / "modules/order").write_text("".join(f"{name}\n" for name in ordered))
    return root


class Machine(uml.Guest):
    """A running emulated machine; used as the other guest is."""

    def __init__(self, kernel: Kernel) -> None:
        # The constructor of the other guest starts the other kernel; the rest is the same.
        self._marker = f"guest-{secrets.token_hex(8)}"
        self._console = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(
            argv(self._marker, kernel),
            cwd=uml.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._console,
            bufsize=0,
            start_new_session=True,
        )
        try:
            self._answer(BOOT_SECONDS)
            self.check("ln", "-sfn", str(kernel.modules), f"/lib/modules/{kernel.version}")
        except BaseException:
            self._kill()
            self.close()
            raise

    def close(self) -> None:
        """Ends the machine: it is told to power off, for its serial line has no end; one that does not is killed."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.write(b"/bin/busybox poweroff -f\n")
        super().close()


def argv(marker: str, kernel: Kernel) -> list[str]:
    """A chain of deaths, as the other guest's. The namespace of its network has nothing in it, not even a loopback."""
    server = _server()
    assert server is not None
    words = (
        *("console=ttyS1", "quiet", "panic=-1", "mitigations=off", "random.trust_cpu=on"),
        *(f"benito.init={uml.INIT}", f"benito.marker={marker}", f"benito.folder={uml.ROOT}"),
    )
    emulator = [
        *(EMULATOR, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "q35,memory-backend=memory", "-cpu", "max", "-smp", str(PROCESSORS), "-m", f"{MEMORY_MIB}M"),
        *("-accel", f"tcg,thread=multi,tb-size={TRANSLATED_MIB}"),
        *("-object", f"memory-backend-memfd,id=memory,size={MEMORY_MIB}M,share=on"),
        *("-kernel", str(kernel.kernel), "-initrd", str(kernel.initramfs), "-append", " ".join(words)),
        *("-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line"),
        *("-chardev", "file,id=console,path=/dev/stderr,append=on", "-serial", "chardev:console"),
        *("-chardev", "socket,id=files,path=/run/files", "-device", "vhost-user-fs-pci,chardev=files,tag=files"),
    ]
    return [
        *("setpriv", "--pdeathsig", "KILL"),
        *("unshare", "--mount", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"),
        *(str(HOST_SIDE), *server, "--", *emulator),
    ]
