"""A copy of a container's file system, as it is seen from outside, for an image: owners shifted back, its own secrets
left out.

The container may run meanwhile, and its root may be anybody: each file is opened below its folder's handle, and no
link is followed.
"""

import os
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benito.errors import HypervisorError
from benito_domains.images.packed import is_zero, too_large

_CHUNK_BYTES = 1 << 20
#: Deeper trees would take too many handles; nobody's system is so deep.
_MOST_LEVELS = 200
_NOBODY = 65534
#: Folders of which only the folder itself is copied: mounted, temporary, or the node's own and not the image's.
_EMPTY = frozenset(
    {"dev", "proc", "sys", "run", "tmp", "var/tmp", "var/benito", "var/containers", "usr/lib/benito", "var/cache/apt"}
)
_OWN_FILES = frozenset({"root/.ssh/authorized_keys", "var/lib/dbus/machine-id"})
_HOST_KEY = "etc/ssh/ssh_host_"
_MACHINE_ID = "etc/machine-id"  # systemd makes one where the file is empty
_CAPABILITY = "security.capability"
#: The kernel's layout: revision 3 is 2 with the id of the namespace's root behind it.
_REVISION_2, _REVISION_3, _REVISION_MASK = 0x02000000, 0x03000000, 0xFF000000


@dataclass(slots=True, kw_only=True)
class _Copy:
    base: int
    count: int
    most_bytes: int
    copied_bytes: int = 0
    links: dict[tuple[int, int], str] = field(default_factory=dict)


def copy_system(source: Path, target: Path, *, base: int, count: int, most_bytes: int) -> None:
    """Copies a container's root into the empty folder `target`. Its user ids are `base` to `base + count - 1` here.

    Devices and sockets are left out. Raises HypervisorError for more than `most_bytes`.
    """
    copy = _Copy(base=base, count=count, most_bytes=most_bytes)
    here = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    there = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _copy_folder(copy, here, there, "", there)
    finally:
        os.close(here)
        os.close(there)


def _copy_folder(copy: _Copy, here: int, there: int, prefix: str, top: int) -> None:
    if prefix.count("/") > _MOST_LEVELS:
        raise HypervisorError(f"the file system is more than {_MOST_LEVELS} folders deep")
    with os.scandir(here) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = f"{prefix}{name}"
        if path in _OWN_FILES or path.startswith(_HOST_KEY):
            continue
        with suppress(FileNotFoundError):  # removed while we looked
            _copy_entry(copy, here, there, name, path, top)


def _copy_entry(copy: _Copy, here: int, there: int, name: str, path: str, top: int) -> None:
    status = os.stat(name, dir_fd=here, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        _enter(copy, here, there, name, path, top)
    elif stat.S_ISREG(status.st_mode):
        _copy_file(copy, here, there, name, path, top)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=here), name, dir_fd=there)
        os.chown(name, *_owner(copy, status), dir_fd=there, follow_symlinks=False)
    elif stat.S_ISFIFO(status.st_mode):
        os.mkfifo(name, 0o600, dir_fd=there)
        os.chown(name, *_owner(copy, status), dir_fd=there, follow_symlinks=False)
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=there)


def _enter(copy: _Copy, here: int, there: int, name: str, path: str, top: int) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    inner = os.open(name, flags, dir_fd=here)
    try:
        os.mkdir(name, 0o700, dir_fd=there)
        outer = os.open(name, flags, dir_fd=there)
        try:
            if path not in _EMPTY:
                _copy_folder(copy, inner, outer, f"{path}/", top)
            _finish(copy, inner, outer)
        finally:
            os.close(outer)
    finally:
        os.close(inner)


def _copy_file(copy: _Copy, here: int, there: int, name: str, path: str, top: int) -> None:
    # Not blocking: it may be a pipe by now.
    inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    try:
        status = os.fstat(inner)
        if not stat.S_ISREG(status.st_mode):
            return
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in copy.links:
            os.link(copy.links[key], name, src_dir_fd=top, dst_dir_fd=there, follow_symlinks=False)
            return
        copy.copied_bytes += status.st_size
        if copy.copied_bytes > copy.most_bytes:
            raise too_large(copy.most_bytes)
        outer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=there)
        try:
            _copy_bytes(inner, outer, 0 if path == _MACHINE_ID else status.st_size)
            _finish(copy, inner, outer)
        finally:
            os.close(outer)
        if status.st_nlink > 1:
            copy.links[key] = path
    finally:
        os.close(inner)


def _copy_bytes(inner: int, outer: int, size: int) -> None:
    done = 0
    while done < size and (chunk := os.read(inner, min(_CHUNK_BYTES, size - done))):
        if is_zero(chunk):
            os.lseek(outer, len(chunk), os.SEEK_CUR)
        else:
            os.write(outer, chunk)
        done += len(chunk)
    os.truncate(outer, done)


def _finish(copy: _Copy, inner: int, outer: int) -> None:
    """Owner, mode, attributes and times, in the order in which the kernel keeps them."""
    status = os.fstat(inner)
    os.fchown(outer, *_owner(copy, status))
    os.fchmod(outer, stat.S_IMODE(status.st_mode))
    with suppress(OSError):  # a file system without attributes
        for name in os.listxattr(inner):
            if name == _CAPABILITY or name.startswith("user."):
                value = os.getxattr(inner, name)
                os.setxattr(outer, name, plain_capability(value) if name == _CAPABILITY else value)
    os.utime(outer, ns=(status.st_atime_ns, status.st_mtime_ns))


def plain_capability(value: bytes) -> bytes:
    """A file's capabilities without the user namespace that they hold in."""
    (word,) = struct.unpack_from("<I", value)
    if word & _REVISION_MASK != _REVISION_3:
        return value
    return struct.pack("<I", word & ~_REVISION_MASK | _REVISION_2) + value[4:20]


def _owner(copy: _Copy, status: os.stat_result) -> tuple[int, int]:
    return _shifted(copy, status.st_uid), _shifted(copy, status.st_gid)


def _shifted(copy: _Copy, number: int) -> int:
    inside = number - copy.base
    return inside if 0 <= inside < copy.count else _NOBODY
