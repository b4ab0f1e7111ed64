"""An image's tree seen with other user ids (mount_setattr(2)): no copy of it is needed for each range of ids.

Linux has it since 5.12, overlays over such trees since 5.19; the system's `mount` since util-linux 2.39 only, so the
kernel is asked directly.
"""

import ctypes
import os
import struct
import subprocess
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benito.launch import ENVIRONMENT
from benito_domains.quotadisk import in_mounts_of

_MOUNT_SETATTR, _OPEN_TREE, _MOVE_MOUNT = 442, 428, 429  # the same number on every processor
_AT_FDCWD, _AT_EMPTY_PATH, _OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = -100, 0x1000, 1, 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_IDMAP = 0x1, 0x100000
_MNT_DETACH = 2
_ATTRIBUTES = struct.Struct("4Q")  # to set, to clear, propagation, user namespace
#: Makes a user namespace and stays in it until its standard input ends.
_KEEPER = ("unshare", "--user", "--", "cat")
_ANSWER_SECONDS = 10


def mount_overlay(
    tree: Path, base: int, count: int, *, scratch: Path, upper: Path, work: Path, merged: Path, pid: int
) -> None:
    """Mounts an overlay over `tree`, whose ids 0 to `count - 1` are seen as `base` and further, in the mount namespace
    of process `pid`. `scratch` is an empty folder, and is one again afterwards.

    Raises OSError where the kernel or the file system refuses it.
    """
    ids = _user_namespace(base, count)
    options = f"lowerdir={scratch},upperdir={upper},workdir={work}"

    failed: list[OSError] = []

    def mount() -> None:
        try:
            _attach(tree, ids, scratch)
            try:
                # The overlay keeps a mount of its own of what stands there.
                _check(_libc().mount(b"benito", bytes(merged), b"overlay", 0, options.encode()))
            finally:
                _check(_libc().umount2(bytes(scratch), _MNT_DETACH))
        except OSError as error:
            failed.append(error)

    in_mounts_of(pid, mount)
    if failed:
        raise failed[0]


def can_map(tree: Path, base: int, count: int) -> bool:
    """Whether the file system of `tree` can be seen with other ids. Mounts nothing."""
    try:
        os.close(_mapped(tree, _user_namespace(base, count)))
    except OSError:
        return False
    return True


def _attach(tree: Path, ids: int, point: Path) -> None:
    mapped = _mapped(tree, ids)
    try:
        _call(_MOVE_MOUNT, mapped, b"", _AT_FDCWD, bytes(point), _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(mapped)


def _mapped(tree: Path, ids: int) -> int:
    handle = _call(_OPEN_TREE, _AT_FDCWD, bytes(tree), _OPEN_TREE_CLONE | os.O_CLOEXEC)
    try:
        wanted = _ATTRIBUTES.pack(_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_IDMAP, 0, 0, ids)
        _call(_MOUNT_SETATTR, handle, b"", _AT_EMPTY_PATH, wanted, len(wanted))
    except OSError:
        os.close(handle)
        raise
    return handle


_LOCK = threading.Lock()


def _user_namespace(base: int, count: int) -> int:
    with _LOCK:
        return _made_user_namespace(base, count)


@cache
def _made_user_namespace(base: int, count: int) -> int:
    """Kept open as long as this process lives: an experiment has one range of ids."""
    # Not benito.launch: the namespace is taken while the program that has made it waits.
    with subprocess.Popen(_KEEPER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(ENVIRONMENT)) as keeper:
        timer = threading.Timer(_ANSWER_SECONDS, keeper.kill)
        timer.start()
        try:
            assert keeper.stdin is not None and keeper.stdout is not None  # noqa: S101, PT018 - asked for above
            keeper.stdin.write(b"\n")
            keeper.stdin.flush()
            if keeper.stdout.read(1) != b"\n":
                raise OSError("the kernel makes no user namespaces")
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{keeper.pid}/{name}").write_text(f"0 {base} {count}\n")
            return os.open(f"/proc/{keeper.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            timer.cancel()
            keeper.kill()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *words: int | bytes) -> int:
    arguments: Sequence[object] = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    return _check(_libc().syscall(ctypes.c_long(number), *arguments))


def _check(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
