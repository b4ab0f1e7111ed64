"""Root file systems from tar files, which may be anybody's: nothing of them gets outside the folder.

GNU tar unpacks: it keeps names within the folder, makes links that lead outside only when all else is done, and so
never writes through one. Devices are dropped afterwards; owners are numbers, as the file has them.
"""

import os
import stat
import tarfile
from pathlib import Path

from benito.errors import HypervisorError
from benito_domains.images.contained import run_contained
from benito_domains.images.packed import too_large

_MOST_FILES = 2_000_000
_SECONDS = 7200


def unpack_tree(archive: Path, root: Path, *, most_bytes: int) -> None:
    """Unpacks a tar file, not compressed, into the empty folder `root`.

    Raises HypervisorError where it is damaged, holds more than `most_bytes`, names a path outside, or holds no root
    file system.
    """
    _examine(archive, most_bytes)
    argv: list[str | Path] = [
        "tar", "--extract", "--file", archive, "--directory", root,
        "--numeric-owner", "--same-owner", "--preserve-permissions", "--delay-directory-restore",
        "--xattrs", "--xattrs-include=user.*", "--xattrs-include=security.capability",
    ]  # fmt: skip
    run_contained(argv, seconds=_SECONDS, limits={"fsize": most_bytes})
    root.chmod(0o755)
    _drop_devices(root)
    if not any((root / name).is_dir() and not (root / name).is_symlink() for name in ("usr", "bin")):
        hint = "pack it with: tar -C ROOT -cf FILE . (of containers of others: docker export)"
        raise HypervisorError("the tar file holds no root file system: neither /usr nor /bin is there", hint=hint)


def _examine(archive: Path, most_bytes: int) -> None:
    """Refuses before anything is written; tar itself would go on after such members."""
    total = count = 0
    try:
        with tarfile.open(archive, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined] # else a million of them stay in memory
                count += 1
                total += member.size if member.isreg() else 0
                if total > most_bytes:
                    raise too_large(most_bytes)
                if count > _MOST_FILES:
                    raise HypervisorError(f"the tar file has more than {_MOST_FILES} members")
                _refuse_outside(member)
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise HypervisorError(f"the tar file is damaged: {error}") from error


def _refuse_outside(member: tarfile.TarInfo) -> None:
    names = [member.name, member.linkname] if member.islnk() else [member.name]
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise HypervisorError(f"the tar file has a member outside its folder: {name[:200]!r}")


def _drop_devices(root: Path) -> None:
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory) / name
            mode = path.lstat().st_mode
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
                path.unlink()
