"""The process beside an experiment that starts its dead nodes again: at most one, found by a file that it keeps locked.

The file says which process it is, by number and time of birth, so that nobody else is ever taken for it.
"""

import fcntl
import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benito.errors import NodeManagerError
from benito.launch import detach
from benito.names import ExperimentId
from benito.nodesettings import RestartPolicy
from benito.paths import StatePaths
from benito.store import ExperimentState, Record

_END_SECONDS = 10.0


class Watchman:
    """Starts, finds and ends it. `argv` are the words that start it when an experiment's name stands after them."""

    def __init__(self, paths: StatePaths, argv: Sequence[str] = ()) -> None:
        self._paths = paths
        self._argv = tuple(argv)

    def start(self, record: Record) -> None:
        """Starts it unless it runs, where the experiment is up and any of its nodes has a restart policy."""
        if not self._argv or record.state is not ExperimentState.ACTIVE or self._runs(record.id):
            return
        if any(watched(node.restart.policy) for part in record.parts() for node in part.nodes):
            detach([*self._argv, str(record.id)])

    def end(self, experiment: ExperimentId) -> None:
        """Ends it and waits until it has. Raises NodeManagerError where it does not."""
        deadline = time.monotonic() + _END_SECONDS
        while (pid := self._runs(experiment)) is not None:
            late = time.monotonic() > deadline
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                # The number may be another's meanwhile; the handle keeps to whom it was opened for.
                if self._runs(experiment) == pid:
                    signal.pidfd_send_signal(handle, signal.SIGKILL if late else signal.SIGTERM)
                    select.select([handle], [], [], _END_SECONDS)
            except ProcessLookupError:
                continue
            finally:
                os.close(handle)
            if late and self._runs(experiment) == pid:
                raise NodeManagerError(f"process {pid}, which restarts nodes of {experiment}, does not end")

    @contextmanager
    def held(self, experiment: ExperimentId) -> Iterator[bool]:
        """This process is it meanwhile; False where another is, or where the experiment is gone."""
        try:
            handle = os.open(self._file(experiment), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            yield False
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            yield False
            return
        try:
            os.truncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()} {_birth(os.getpid())}\n".encode(), 0)
            yield True
        finally:
            os.truncate(handle, 0)
            os.close(handle)

    def is_mine(self, experiment: ExperimentId) -> bool:
        """Whether this process still is it: the experiment may have been taken down and up again meanwhile."""
        return self._runs(experiment) == os.getpid()

    def _runs(self, experiment: ExperimentId) -> int | None:
        """Its process; None where there is none."""
        try:
            pid, birth = self._file(experiment).read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if pid.isdecimal() and _birth(int(pid)) == birth else None

    def _file(self, experiment: ExperimentId) -> Path:
        return self._paths.experiment(experiment) / "watchman"


def watched(policy: RestartPolicy) -> bool:
    """Whether a node of that policy needs somebody who watches it."""
    return policy is not RestartPolicy.NEVER


def _birth(pid: int) -> str | None:
    """When a process began, in ticks since the kernel's start; None for one that is not there, or only waits to be
    collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]
