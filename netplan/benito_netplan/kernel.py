"""The few system calls that Python 3.11 does not have: namespaces and mounts."""

import ctypes
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000
MNT_DETACH = 2
_MOST_FILES = 1 << 17
#: The same numbers on every architecture; glibc has functions for them since 2.36 only.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOEXEC, _CONFIG_CREATE = 1, 6

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def unshare_network() -> None:
    """Gives the calling thread a new network namespace. Raises OSError."""
    _check(_libc.unshare(CLONE_NEWNET))


def enter_network(fd: int) -> None:
    """Moves the calling thread into the network namespace open as `fd`. Raises OSError."""
    _check(_libc.setns(fd, CLONE_NEWNET))


def mount(source: str | Path, target: Path, flags: int) -> None:
    """Mounts without a file system of its own: bind mounts and changes of propagation. Raises OSError."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), b"none", flags, None))


def private_proc() -> int | None:
    """The root of a new procfs that no mount table has, as a file descriptor; None where the kernel makes none.

    What was looked up in it is forgotten when it is closed.
    """
    context = _libc.syscall(_FSOPEN, b"proc", _CLOEXEC)
    if context < 0:
        return None
    try:
        if _libc.syscall(_FSCONFIG, context, _CONFIG_CREATE, None, None, 0) < 0:
            return None
        root: int = _libc.syscall(_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)
    return root if root >= 0 else None


def unmount(target: Path) -> None:
    """Takes a mount away at once, even where it is in use. Raises OSError."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH))


@contextmanager
def many_files() -> Iterator[int]:
    """Lets the process have as many files open as it may, for a while; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if most <= soft or soft == resource.RLIM_INFINITY:
        yield min(soft, _MOST_FILES) if soft != resource.RLIM_INFINITY else _MOST_FILES
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def in_thread(work: Callable[[], Result]) -> Result:
    """Runs `work` in a thread of its own, which may change its namespaces: it ends with them. Raises what it raises."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=body, name="benito-netns")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
