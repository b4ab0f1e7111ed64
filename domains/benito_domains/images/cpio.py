"""A cpio archive ("newc", what the kernel unpacks as an initramfs) of a directory tree."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_MAGIC = b"070701"
_ALIGN = 4
_END = "TRAILER!!!"


def archive(root: Path) -> Iterator[bytes]:
    """The archive's bytes, piece by piece, of everything below `root`.

    Names are sorted, owners are root and times are 0, so that one tree gives one archive. Devices and sockets are
    left out.
    """
    inode = 0
    for path in _tree(root):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            data = os.fsencode(os.readlink(path))  # noqa: PTH115 - its bytes, not a Path
        elif stat.S_ISREG(status.st_mode):
            data = path.read_bytes()
        elif stat.S_ISDIR(status.st_mode):
            data = b""
        else:
            continue
        inode += 1
        yield entry(str(path.relative_to(root)), status.st_mode, data, inode)
    yield entry(_END, 0, b"", 0)


def entry(name: str, mode: int, data: bytes, inode: int) -> bytes:
    """One member: header, name and data, each padded to four bytes."""
    encoded = os.fsencode(name) + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, uid, gid, links, mtime, size, device major and minor, special major and minor, name's length, check
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = _MAGIC + b"".join(b"%08X" % field for field in fields)
    return _padded(header + encoded) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)


def _tree(root: Path) -> Iterator[Path]:
    for directory, folders, files in os.walk(root):
        folders.sort()
        here = Path(directory)
        if here != root:
            yield here
        links = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in sorted([*files, *links]))
