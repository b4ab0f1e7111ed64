"""One change of an experiment at a time: a lock that the kernel lets go of when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benito.errors import StoreError
from benito.names import ExperimentId
from benito.paths import StatePaths, make_directory


@contextmanager
def experiment_lock(paths: StatePaths, experiment: ExperimentId) -> Iterator[None]:
    """Held while an experiment is changed. Raises StoreError at once when another command holds it."""
    path = paths.locks / f"{experiment.pid.lower()}.{experiment.eid.lower()}"
    try:
        make_directory(paths.locks)
        handle = _open_current(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be locked: {error.strerror}", hint="run as root") from error
    if handle is None:
        raise StoreError(
            f"another command is changing {experiment}", hint="wait for it to end, or stop it, and try again"
        )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _open_current(path: Path) -> int | None:
    """The locked file that bears the name now, or None while another holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The former holder may have unlinked the file between our open and our lock.
            if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        os.close(handle)
