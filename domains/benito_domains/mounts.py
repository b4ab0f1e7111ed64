"""A container's root: an overlay over the image, mounted where libvirt looks for it.

libvirtd may run in a mount namespace of its own (as scripts/libvirtd starts it without systemd), so overlays are
mounted in the namespace of the process that serves libvirt's socket.
"""

import os
import shutil
import socket
import struct
import threading
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run
from benito_domains.idmap import can_map, mount_overlay
from benito_domains.nodefiles import mounts_below
from benito_domains.render import ID_COUNT

_SOCKETS = (Path("/run/libvirt/virtlxcd-sock"), Path("/run/libvirt/libvirt-sock"))
_CREDENTIALS = struct.Struct("3i")
#: These would end an overlay's option or its list of folders.
_SPECIAL = frozenset(",:\\")
_COPYING = threading.Lock()


def libvirt_pid() -> int | None:
    """The process that serves libvirt's LXC socket; None where nobody does."""
    for path in _SOCKETS:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            try:
                client.connect(str(path))
            except OSError:
                continue
            peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid: int = _CREDENTIALS.unpack(peer)[0]
        return pid
    return None


def prepare_lower(tree: Path, copy: Path, owner: int) -> None:
    """Makes `copy`, an image's tree with the user ids that containers have from `owner` on, where the kernel cannot
    show the tree itself with these. Raises HypervisorError."""
    if not can_map(tree, owner, ID_COUNT):
        owned_copy(tree, copy, owner)


def mount_root(tree: Path, folder: Path, owner: int, copy: Path) -> Path:
    """Makes `folder`/merged the image's `tree` with the node's own changes kept in `folder`/upper; returns it.

    The tree's user ids are seen from `owner` on, who owns the root folder; where the kernel refuses that, `copy` is
    made (`prepare_lower`) and taken instead of the tree. Where it refuses an overlay, the copy is copied again.
    The same again changes nothing. Raises HypervisorError.
    """
    merged = folder / "merged"
    if (merged / "usr").is_dir():
        return merged  # a copy
    pid = _daemon()
    if str(merged) in mounts_below(merged, pid):
        return merged
    scratch, upper, work = folder / "lower", folder / "upper", folder / "work"
    if str(scratch) in mounts_below(scratch, pid):
        unmount_below(scratch)  # a kill came in between
    for made in (scratch, upper, work, merged):
        made.mkdir(exist_ok=True, mode=0o755)
    os.chown(upper, owner, owner)
    if _SPECIAL & set(f"{copy}{folder}"):
        raise HypervisorError(f"the folder {folder} has a comma, colon or backslash in its name")
    if not copy.is_dir():  # what the node changed lies over it
        try:
            mount_overlay(tree, owner, ID_COUNT, scratch=scratch, upper=upper, work=work, merged=merged, pid=pid)
        except OSError:
            owned_copy(tree, copy, owner)
        else:
            return merged
    options = f"lowerdir={copy},upperdir={upper},workdir={work}"
    try:
        run([*_inside(pid), "mount", "-t", "overlay", "benito", "-o", options, merged], error=HypervisorError)
    except HypervisorError:
        _copy(copy, merged)
    return merged


def unmount_below(folder: Path) -> None:
    """Unmounts all that is mounted in `folder`, here and where libvirt looks. Raises HypervisorError."""
    pids = {pid for pid in (libvirt_pid(), os.getpid()) if pid is not None}
    for pid in sorted(pids):
        for point in mounts_below(folder, pid):
            # Lazily: a mount that another namespace still has a copy of must not hold the node's removal up.
            run([*_inside(pid), "umount", "--lazy", "--no-canonicalize", point], error=HypervisorError)


def owned_copy(tree: Path, target: Path, owner: int) -> Path:
    """A copy of an image's tree in which user and group 0 are `owner`, as a container's id mapping wants it.

    Made beside `target` and renamed into place; nothing is done where it is there.
    """
    with _COPYING:
        return target if target.is_dir() else _owned_copy(tree, target, owner)


def _owned_copy(tree: Path, target: Path, owner: int) -> Path:
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "--archive", tree, scratch], error=HypervisorError, seconds=300)
    os.chown(scratch, owner, owner)
    for directory, folders, files in os.walk(scratch):
        for name in (*folders, *files):
            path = Path(directory) / name
            mode = path.lstat().st_mode
            os.chown(path, owner, owner, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(mode & 0o7777)  # a change of owner clears the set-user-id bit
    try:
        scratch.rename(target)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)
        if not target.is_dir():
            raise
    return target


def _copy(lower: Path, merged: Path) -> None:
    scratch = merged.with_name("copying")
    shutil.rmtree(scratch, ignore_errors=True)
    run(["cp", "--archive", lower, scratch], error=HypervisorError, seconds=300)
    merged.rmdir()
    scratch.rename(merged)


def _daemon() -> int:
    pid = libvirt_pid()
    if pid is None:
        raise HypervisorError("libvirtd does not answer", hint="run scripts/libvirtd, or: systemctl start libvirtd")
    return pid


def _inside(pid: int) -> list[str]:
    """The words before a command that is to run in `pid`'s mount namespace."""
    theirs, ours = Path(f"/proc/{pid}/ns/mnt"), Path("/proc/self/ns/mnt")
    return [] if theirs.readlink() == ours.readlink() else ["nsenter", f"--mount={theirs}", "--"]
