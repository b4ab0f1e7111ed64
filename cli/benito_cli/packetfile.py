"""Where captured packets go: a file, standard output, or lines on a terminal. And when to end."""

import errno
import os
import select
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from benito.errors import UsageError

_MEANING = {errno.ELOOP: "it is a symbolic link"}


class PacketFile:
    """A file, opened at the first write so that a command which fails leaves a former one as it is.

    It is overwritten and made readable for its owner alone. A pipe or device is used if the user names it, but never
    by way of a symbolic link, which somebody else may have put there.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd = 1 if path is None else None
        self.broken = False

    def write(self, data: bytes) -> None:
        """All of it. Raises BrokenPipeError, and UsageError where the file cannot be written."""
        try:
            if self._fd is None and self._path is not None:
                self._fd = _opened(self._path)
            write_all(self._fd if self._fd is not None else 1, data)
        except BrokenPipeError:
            self.broken = True
            raise
        except OSError as error:
            why = _MEANING.get(error.errno or 0) or os.strerror(error.errno or 0)
            raise UsageError(f"cannot write {self._path or 'to standard output'}: {why}") from error

    def has_reader(self) -> bool:
        """Whether somebody still reads, where it is a pipe: a quiet link would let nobody notice."""
        if self._fd is None or self.broken:
            return not self.broken
        poll = select.poll()
        poll.register(self._fd, 0)
        self.broken = any(event & select.POLLERR for _, event in poll.poll(0))
        return not self.broken

    def close(self) -> None:
        """Gives the file back; not standard output."""
        if self._fd is not None and self._path is not None:
            os.close(self._fd)
            self._fd = None


def _opened(path: Path) -> int:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY, 0o600)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.fchmod(fd, 0o600)
            os.ftruncate(fd, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


def write_all(fd: int, data: bytes) -> None:
    """Writes every byte, also to a pipe that takes few at a time. Raises OSError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # somebody who shares it made it so
            select.select([], [fd], [])


@contextmanager
def told_to_end() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C, SIGTERM or SIGHUP asked for the end; a second one ends the command as ever."""
    told = False

    def tell(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = True
        signal.signal(number, former[signal.Signals(number)])

    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in former:
        signal.signal(number, tell)
    try:
        yield lambda: told
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
