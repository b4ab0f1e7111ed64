"""What a tree of files holds, as a canonical text, so that a checksum of the text is one of the tree.

One line a file, sorted by path: type and mode, owner, group, size, what is in it (a checksum, a link's target) and
extended attributes, then the path. Times do not count: the same content is the same image, whenever it was made.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

#: What an overlay or a label of this machine keeps there is not the image's.
_FOREIGN_ATTRIBUTES = ("trusted.overlay.", "user.overlay.", "security.selinux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A tree's lines, and how many bytes its files hold."""

    text: str
    total_bytes: int

    @property
    def sha256(self) -> str:
        """The tree's checksum."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def list_tree(root: Path) -> Listing:
    """All below `root`, and `root` itself. No link is followed."""
    lines: list[str] = []
    total = 0
    for name, path in _walk(os.fsencode(root)):
        status = os.lstat(path)
        line, size = _line(name, path, status)
        lines.append(line)
        total += size
    return Listing(text="".join(f"{line}\n" for line in lines), total_bytes=total)


def file_sha256(path: Path) -> str:
    """A file's checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(was: str, now: str) -> list[str]:
    """The paths that two listings do not have alike, sorted."""
    before, after = _by_path(was), _by_path(now)
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _by_path(text: str) -> Mapping[str, str]:
    pairs = (line.rpartition(" ") for line in text.splitlines())
    return {path: rest for rest, _, path in pairs}


def _walk(root: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names in the tree and where they are, sorted as bytes; folders before what is in them."""
    yield b".", root
    waiting = [(b"", root)]
    while waiting:
        prefix, folder = waiting.pop()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            yield prefix + entry.name, entry.path
        folders = [entry for entry in found if entry.is_dir(follow_symlinks=False)]
        waiting += [(prefix + entry.name + b"/", entry.path) for entry in reversed(folders)]


def _line(name: bytes, path: bytes, status: os.stat_result) -> tuple[str, int]:
    size, content = 0, "-"
    if stat.S_ISREG(status.st_mode):
        size, content = status.st_size, _content(path)
    elif stat.S_ISLNK(status.st_mode):
        content = _quoted(os.readlink(path))  # noqa: PTH115 - a path of bytes
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    words = (f"{status.st_mode:06o}", status.st_uid, status.st_gid, size, content, _attributes(path), _quoted(name))
    return " ".join(map(str, words)), size


def _content(path: bytes) -> str:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _attributes(path: bytes) -> str:
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
    except OSError:
        return "-"  # a file system without them
    found = [
        f"{_quoted(os.fsencode(name))}={os.getxattr(path, name, follow_symlinks=False).hex()}"
        for name in names
        if not name.startswith(_FOREIGN_ATTRIBUTES)
    ]
    return ",".join(found) or "-"


def _quoted(data: bytes) -> str:
    return quote_from_bytes(data, safe="/.,+:@~=_-") or "-"
