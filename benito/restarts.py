"""Which dead nodes are started again, and when: the restart policy, and what is remembered of it. Pure but for a file.

A node is tried again 1 s after its death, then 2, 4 and so on up to 60 s. An hour without a death forgets the tries
before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from benito.names import ExperimentId
from benito.nodesettings import Restart, RestartPolicy
from benito.paths import StatePaths, write_atomically
from benito.status import NodeStatus

_LONGEST_WAIT_SECONDS = 60.0
_QUIET_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How often a node was started again: `count` times without an hour of quiet, `total` times in all, the last time
    at `last` (seconds since the epoch). `gave_up`: it died once more, and that was enough."""

    count: int = 0
    total: int = 0
    last: float = 0.0
    gave_up: bool = False

    def at_death(self, now: float) -> "Tries":
        """The same when the node is found dead, with a clean slate if it had lived for long."""
        return replace(self, count=0, gave_up=False) if now - self.last >= _QUIET_SECONDS else self

    def once_more(self, now: float) -> "Tries":
        """The same with another try."""
        return Tries(count=self.count + 1, total=self.total + 1, last=now)

    def given_up(self) -> "Tries":
        """The same when there have been enough."""
        return replace(self, gave_up=True)

    @property
    def wait_seconds(self) -> float:
        """How long the next try comes after the death."""
        return min(2.0**self.count, _LONGEST_WAIT_SECONDS)


NEVER = Tries()


def wants_restart(restart: Restart, status: NodeStatus) -> bool:
    """Whether a node that died like this is to be started again at all. A failure is an exit code that is not 0, or an
    end that the node's system said nothing of."""
    match restart.policy:
        case RestartPolicy.NEVER:
            return False
        case RestartPolicy.ALWAYS:
            return True
        case RestartPolicy.ON_FAILURE:
            in_order = status.ended is not None and status.ended.exit_code == 0
            return not in_order or status.exit_code not in (None, 0)


_TRIES = TypeAdapter(dict[str, Tries])


def read_tries(paths: StatePaths, experiment: ExperimentId) -> Mapping[str, Tries]:
    """By node; what cannot be read is as if nothing had been tried."""
    try:
        return _TRIES.validate_json(_file(paths, experiment).read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}


def write_tries(paths: StatePaths, experiment: ExperimentId, tries: Mapping[str, Tries]) -> None:
    """Replaces them all."""
    write_atomically(_file(paths, experiment), _TRIES.dump_json(dict(tries)))


def _file(paths: StatePaths, experiment: ExperimentId) -> Path:
    return paths.experiment(experiment) / "restarts.json"
