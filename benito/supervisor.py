"""Starts nodes again that died, where their restart policies say so. A process of its own per experiment runs it.

It holds the experiment's lock only while it starts nodes; a command that changes the experiment ends it first
(`changing`). What it did stands in the experiment's folder, in `restarts.log`.
"""

import math
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from benito.controller import Controller
from benito.errors import BenitoError, HypervisorError, StoreError
from benito.names import ExperimentId
from benito.nodereport import NodeReport
from benito.nodesettings import Restart
from benito.paths import StatePaths
from benito.restarts import NEVER, read_tries, wants_restart, write_tries
from benito.status import BootStatus
from benito.store import ExperimentState, Record
from benito.watchman import Watchman, watched

#: Events may be lost with the connection that they come by.
_LOOK_AGAIN_SECONDS = 20.0
#: After an event, more are likely: a look at all nodes takes time that they may need.
_GATHER_SECONDS = 0.2
_BUSY_SECONDS = 1.0


class Supervisor:
    """Looks after one experiment. `now` tells seconds since the epoch."""

    def __init__(
        self,
        controller: Controller,
        paths: StatePaths,
        experiment: ExperimentId,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._controller = controller
        self._paths = paths
        self._experiment = experiment
        self._now = now
        self._due: dict[str, float] = {}

    def run(self, watchman: Watchman) -> None:
        """Returns when the experiment is up no more, or when another process looks after it."""
        with watchman.held(self._experiment) as mine:
            while mine and watchman.is_mine(self._experiment) and (record := self._record()) is not None:
                try:
                    with self._controller.nodes.watching(record, self._policies(record)) as changed:
                        self._follow(changed, watchman)
                except HypervisorError as error:  # it cannot be watched now; in a while, perhaps
                    self._say(error.message)
                    time.sleep(_LOOK_AGAIN_SECONDS)

    def _follow(self, changed: threading.Event, watchman: Watchman) -> None:
        while watchman.is_mine(self._experiment):
            changed.clear()
            seconds = self.look()
            if seconds is None:
                return
            if changed.wait(min(seconds, _LOOK_AGAIN_SECONDS)):
                time.sleep(_GATHER_SECONDS)

    def look(self) -> float | None:
        """Starts what is due; how many seconds later to look again at the latest. None when all is over."""
        record = self._record()
        if record is None:
            return None
        policies = self._policies(record)
        for report in self._controller.report(record.id, policies.keys()):
            self._judge(report, policies[report.node])
        due = [node for node, moment in self._due.items() if moment <= self._now()]
        if due:
            self._start(due)
        return max(0.0, min(self._due.values(), default=math.inf) - self._now())

    def _record(self) -> Record | None:
        found = [record for record in self._controller.experiments() if record.id == self._experiment]
        return found[0] if found and found[0].state is ExperimentState.ACTIVE else None

    @staticmethod
    def _policies(record: Record) -> dict[str, Restart]:
        return {
            node.name: node.restart for part in record.parts() for node in part.nodes if watched(node.restart.policy)
        }

    def _judge(self, report: NodeReport, restart: Restart) -> None:
        """Decides when the node is to be started, if it is dead and that was not decided before."""
        node, status = report.node, report.status
        if status.boot is None:
            return
        if status.boot is not BootStatus.DEAD or report.is_stopped or not wants_restart(restart, status):
            self._due.pop(node, None)
            return
        if node in self._due:
            return
        tries = dict(read_tries(self._paths, self._experiment))
        own = tries.get(node, NEVER).at_death(self._now())
        if own.count >= restart.most:
            self._due[node] = math.inf
            if not own.gave_up:
                write_tries(self._paths, self._experiment, {**tries, node: own.given_up()})
                self._say(f"{node}: dead ({status.reason}); not started again after {own.count} tries")
            return
        self._due[node] = self._now() + own.wait_seconds
        self._say(f"{node}: dead ({status.reason}); to be started again in {own.wait_seconds:g} s")

    def _start(self, nodes: Collection[str]) -> None:
        for node in nodes:
            del self._due[node]
        try:
            self._controller.nodes.revive(self._experiment, nodes, self._note)
        except StoreError:  # another command is at it; whoever is dead after that is found so again
            self._due.update((node, self._now() + _BUSY_SECONDS) for node in nodes)
        except BenitoError as error:
            self._say(f"{', '.join(nodes)}: {error.message}")

    def _note(self, nodes: Collection[str]) -> None:
        """Tries are counted before they are made, so that none is forgotten."""
        tries, now = dict(read_tries(self._paths, self._experiment)), self._now()
        for node in nodes:
            tries[node] = tries.get(node, NEVER).at_death(now).once_more(now)
            self._say(f"{node}: started again, try {tries[node].count}")
        write_tries(self._paths, self._experiment, tries)

    def _say(self, text: str) -> None:
        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = "".join(letter if letter.isprintable() else " " for letter in text)
        path = self._paths.experiment(self._experiment) / "restarts.log"
        if path.parent.is_dir():
            with path.open("a") as file:
                file.write(f"{stamp} {line}\n")
