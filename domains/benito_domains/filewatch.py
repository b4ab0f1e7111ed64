"""Folders watched by the kernel (inotify): one is told when something in them comes, goes or grows.

What is mounted on a file makes no event; who makes a namespace makes the file for it just before. So, after the last
event of a burst, one is told once more. What is mounted over a folder hides it: that is to be followed anew.
"""

import ctypes
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x2, 0x80, 0x100, 0x200
_MASK = _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | 0x0100_0000  # folders only (IN_ONLYDIR)
_SETTLE_SECONDS = 0.1
_READ_BYTES = 1 << 16
#: A node that writes without end must not keep a processor of the pnode's busy.
_PAUSE_SECONDS = 0.01


#: Watches these folders too; one that is watched already, and is still the same folder, is left as it is.
Follow = Callable[[Sequence[Path]], None]


@contextmanager
def watch_folders(folders: Sequence[Path], changed: Callable[[], None]) -> Iterator[None]:
    """While it is open, `changed` is called, by a thread of its own, when something in one of the folders is otherwise.

    Folders that are not there yet are watched as soon as something else happens. Where the kernel can watch no more,
    the rest is not watched: who needs to be sure looks again after a while.
    """
    with follow_folders(folders, changed):
        yield


@contextmanager
def follow_folders(folders: Sequence[Path], changed: Callable[[], None]) -> Iterator[Follow]:
    """The same; what it gives watches further folders, or what stands in a folder's place by now."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0:
        yield lambda _: None
        return
    stop_read, stop_write = os.pipe2(os.O_CLOEXEC)
    followed = _Followed(libc, watch)
    followed.add(folders)
    thread = threading.Thread(target=_follow, args=(followed, stop_read, changed), daemon=True)
    thread.start()
    try:
        yield followed.add
    finally:
        os.close(stop_write)
        thread.join()
        os.close(stop_read)
        os.close(watch)


class _Followed:
    """The folders of one inotify instance; several threads may add to them."""

    def __init__(self, libc: ctypes.CDLL, watch: int) -> None:
        self._libc = libc
        self._lock = threading.Lock()
        self._missing: list[Path] = []
        self.watch = watch

    def add(self, folders: Sequence[Path] = ()) -> None:
        """These, and those that were not there before."""
        with self._lock:
            wanted = dict.fromkeys((*self._missing, *folders))
            self._missing = [
                path for path in wanted if self._libc.inotify_add_watch(self.watch, bytes(path), _MASK) < 0
            ]


def _follow(followed: _Followed, stop: int, changed: Callable[[], None]) -> None:
    watch = followed.watch
    with selectors.DefaultSelector() as selector:
        selector.register(watch, selectors.EVENT_READ)
        selector.register(stop, selectors.EVENT_READ)
        unsettled = False
        while True:
            ready = {key.fd for key, _ in selector.select(_SETTLE_SECONDS if unsettled else None)}
            if stop in ready:
                return
            if watch in ready:
                time.sleep(_PAUSE_SECONDS)
                with suppress(BlockingIOError):
                    while len(os.read(watch, _READ_BYTES)) > _READ_BYTES // 2:
                        pass
                followed.add()
            unsettled = watch in ready
            changed()
