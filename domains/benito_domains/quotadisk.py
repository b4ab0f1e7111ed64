"""A folder that holds so much and no more: an ext4 file system in a sparse file beside it, on a loop device.

A container's driver calls, before it mounts the container's root in `files.folder / "root"`:

    mount_limited(files.folder / "root", node.limits.disk_mib, plan.uid_base, beside=libvirt_pid(),
                  binds={"status": files.status})

Overlay's upper and work folders are on that disk then, and so is what the node reports. libvirtd may live in a mount
namespace of its own: the file system is mounted here and there, the same one. `mounts.unmount_below(files.folder)`
takes all of it away (the kernel then frees the loop device); `unmount_limited` does so for one folder. The same again
changes nothing, and what a crash left is taken up where it was: the file beside the folder says it all.
"""

import ctypes
import errno
import fcntl
import os
import struct
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito.seams import Lack
from benito_domains.images.rootfs import find_program

_MIB = 1 << 20
_MKFS, _FSCK = "mkfs.ext4", "e2fsck"
#: No journal: after a power loss the check mends it, and it costs space and writes otherwise. The file is sparse and
#: reads as zeros, so nothing needs to be cleared, by mkfs or, later, by the kernel.
_FEATURES = ("-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard", "-m", "0")
_OPTIONS = b"noinit_itable,discard"

_CONTROL = Path("/dev/loop-control")
_LOOP_CTL_GET_FREE, _LOOP_CONFIGURE, _LOOP_GET_STATUS64 = 0x4C82, 0x4C0A, 0x4C05
#: struct loop_config: file, block size, loop_info64 (its flags stand at byte 52), reserved.
_CONFIG = struct.Struct("=II 52xI176x 64x")
_AUTOCLEAR = 4
_TRIES = 50

_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2


def mount_limited(
    folder: Path,
    size_mib: int,
    owner: int = 0,
    *,
    mode: int = 0o710,
    beside: int | None = None,
    binds: Mapping[str, Path] | None = None,
) -> None:
    """Makes `folder` a file system of `size_mib` that root and the group `owner` get through, with what is in it.

    It is mounted in this process's mount namespace and in that of the process `beside`. `binds` shows folders of that
    file system, which belong to `owner`, at other places too. Raises HypervisorError.
    """
    file = image_of(folder)
    is_new = not file.exists()
    if is_new:
        _make(file, size_mib)
    folder.mkdir(exist_ok=True, mode=0o710)
    for place in (binds or {}).values():
        place.mkdir(exist_ok=True, parents=True)
    handle, device = _attach(file) if is_new else _attached(file)
    try:
        for pid in _namespaces(beside):
            in_mounts_of(pid, lambda: _mount_all(device, folder, owner, binds or {}))
    finally:
        os.close(handle)
    os.chown(folder, 0, owner)
    folder.chmod(mode)
    with suppress(OSError):
        (folder / "lost+found").rmdir()


def unmount_limited(folder: Path, *, beside: int | None = None) -> None:
    """Unmounts what `mount_limited` mounted at `folder`, and what is below it; its content stays. Nothing where nothing
    is mounted. Raises HypervisorError."""
    for pid in _namespaces(beside):
        in_mounts_of(pid, lambda: _unmount_all(folder))


def image_of(folder: Path) -> Path:
    """The file that holds what is in a limited folder."""
    return folder.with_name(f"{folder.name}.ext4")


def disk_lacks(element: str) -> list[Lack]:
    """What this machine lacks for limited folders, found by making one where nobody else sees it."""
    for program in (_MKFS, _FSCK):
        if find_program(program) is None:
            return [Lack(missing=f"the program {program}", element=element, hint="apt-get install e2fsprogs")]
    with tempfile.TemporaryDirectory(prefix="benito-disk-") as scratch:
        folder = Path(scratch) / "disk"

        def work() -> None:
            try:
                mount_limited(folder, 1)
            finally:
                unmount_limited(folder)

        try:
            in_mounts_of(None, work, own=True)
        except HypervisorError as error:
            hint = "load the kernel's modules loop and ext4: modprobe -a loop ext4"
            return [Lack(missing=f"file systems in a file ({error.message})", element=element, hint=hint)]
    return []


def in_mounts_of(pid: int | None, work: Callable[[], object], *, own: bool = False) -> None:
    """Does the work in the mount namespace of process `pid` (None: this one's), or with `own`, in a copy that ends
    with it. What it raises is raised here; OSError as HypervisorError."""
    failed: list[BaseException] = []

    def body() -> None:
        try:
            # A thread may leave its namespace once it has a working directory of its own.
            _call("unshare", _CLONE_NEWNS | _CLONE_FS if own else _CLONE_FS)
            if own:
                _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
            elif pid is not None:
                handle = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    _call("setns", handle, _CLONE_NEWNS)
                finally:
                    os.close(handle)
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failed:
        if isinstance(failed[0], OSError):
            raise HypervisorError(f"a limited folder cannot be made: {failed[0]}") from failed[0]
        raise failed[0]


def _namespaces(beside: int | None) -> list[int | None]:
    """A process of each mount namespace that is meant; None for this thread's, which comes first."""
    if beside is None or Path(f"/proc/{beside}/ns/mnt").readlink() == Path("/proc/thread-self/ns/mnt").readlink():
        return [None]
    return [None, beside]


def _mount_all(device: Path, folder: Path, owner: int, binds: Mapping[str, Path]) -> None:
    if folder.stat().st_dev != device.stat().st_rdev:
        _call("mount", bytes(device), bytes(folder), b"ext4", _MS_NOSUID | _MS_NODEV, _OPTIONS)
    for name, place in binds.items():
        source = folder / name
        source.mkdir(exist_ok=True, mode=0o755)
        os.chown(source, owner, owner)
        if not source.samefile(place):
            _call("mount", bytes(source), bytes(place), None, _MS_BIND, None)


def _unmount_all(folder: Path) -> None:
    while folder.is_mount():
        # Lazily: who still uses it must not hold the node's removal up. The loop device is freed with the last one.
        _call("umount2", bytes(folder), _MNT_DETACH)


def _make(file: Path, size_mib: int) -> None:
    """Whole or not at all: a kill in between leaves a file of another name, which the next try replaces."""
    scratch = file.with_name(f".{file.name}")
    scratch.unlink(missing_ok=True)
    with scratch.open("xb") as made:
        os.fchmod(made.fileno(), 0o600)
        made.truncate(size_mib * _MIB)
    run([_MKFS, "-q", "-F", *_FEATURES, scratch], error=HypervisorError)
    scratch.rename(file)


def _attached(file: Path) -> tuple[int, Path]:
    """An open loop device over the file, the one that is there if there is any: two would ruin the file system."""
    wanted = str(file.resolve())
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            if entry.read_text().rstrip("\n") != wanted:
                continue
            device = Path("/dev") / entry.parents[1].name
            handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(handle, _LOOP_GET_STATUS64, bytearray(232))
            except OSError:  # the last user left just now
                os.close(handle)
                continue
            return handle, device
    _check(file)
    return _attach(file)


def _attach(file: Path) -> tuple[int, Path]:
    if not _CONTROL.exists():
        with suppress(HypervisorError):  # no module, or no modprobe: the next step says so
            run(["modprobe", "loop"], error=HypervisorError)
    try:
        backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        try:
            for _ in range(_TRIES):
                if (found := _configured(backing)) is not None:
                    return found
        finally:
            os.close(backing)
    except OSError as error:
        raise HypervisorError(f"no loop device for {file}: {error.strerror}", hint="modprobe loop") from error
    raise HypervisorError(f"no loop device for {file}: others took {_TRIES} of them", hint="try again")


def _configured(backing: int) -> tuple[int, Path] | None:
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        device = Path(f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}")
    finally:
        os.close(control)
    handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _LOOP_CONFIGURE, _CONFIG.pack(backing, 0, _AUTOCLEAR))
    except OSError as error:
        os.close(handle)
        if error.errno == errno.EBUSY:  # somebody else was faster
            return None
        raise
    return handle, device


def _check(file: Path) -> None:
    """After a power loss: mends what can be. Nothing to do where the file system was unmounted."""
    words: list[str | Path] = [_FSCK, "-p", file]
    try:
        run(words, error=HypervisorError, seconds=600)
    except HypervisorError:  # mended, perhaps: then there is nothing left to do
        run(words, error=HypervisorError, seconds=600, hint=f"look at it: e2fsck -n {file}")


def _call(name: str, *words: object) -> None:
    if getattr(_LIBC, name)(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
