"""One change of a running experiment at a time: its lock, and nobody who starts nodes again meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from benito.errors import BenitoError, UsageError
from benito.locks import experiment_lock
from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.store import ExperimentState, Record, Store
from benito.watchman import Watchman


class Changing:
    """Lets commands change experiments, one after the other."""

    def __init__(self, paths: StatePaths, store: Store, watchman: Watchman) -> None:
        self._paths = paths
        self._store = store
        self._watchman = watchman

    @contextmanager
    def any(self, experiment: ExperimentId) -> Iterator[None]:
        """While an experiment in whatever state is changed. Raises StoreError when another command does that.

        Whoever starts its dead nodes again is ended before, and goes on afterwards if it is up then.
        """
        record = self._store.find(experiment)
        known = record.id if record is not None else experiment
        self._watchman.end(known)
        with experiment_lock(self._paths, known):
            try:
                yield
            finally:
                self._resume(known)

    @contextmanager
    def active(self, experiment: ExperimentId) -> Iterator[Record]:
        """The same for one that is up. Raises UsageError where it is not, ExperimentMissing."""
        with self.any(self._store.get(experiment).id):
            yield active(self._store.get(experiment))

    def _resume(self, experiment: ExperimentId) -> None:
        """Has dead nodes started again where a restart policy says so."""
        try:
            record = self._store.find(experiment)
            if record is not None:
                self._watchman.start(record)
        except BenitoError:  # what was done is done; the next command tries again
            pass


def active(record: Record) -> Record:
    """The record. Raises UsageError unless the experiment is up; the hint says how it can be finished."""
    if record.state is ExperimentState.ACTIVE:
        return record
    raise UsageError(f"{record.id} is {record.state}, not up", hint=finish(record))


def finish(record: Record) -> str:
    """What to do about an experiment that is not up."""
    if record.is_kept:
        return f"benito resume {record.id}"
    return f"finish that first: benito {'up' if record.state is ExperimentState.ACTIVATING else 'down'}"
