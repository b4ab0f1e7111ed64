"""Nodes of running experiments: stopped, started, made anew, waited for, looked into. The controller's part; node
managers do it on pnodes."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import StrEnum
from fnmatch import fnmatchcase

from benito.barrier import is_held, release
from benito.changing import Changing
from benito.errors import UsageError
from benito.locks import experiment_lock
from benito.names import ExperimentId
from benito.nodemanager import NodeManager
from benito.nodereport import NodeReport, Reports
from benito.paths import StatePaths
from benito.plan import PnodePlan
from benito.restarts import read_tries, write_tries
from benito.seams import NodeLog, Progress, quiet
from benito.status import BootStatus
from benito.store import ExperimentState, Record, Store
from benito.testbeds.local import LocalTestbed

#: Events may be lost with the connection that they come by: one looks again after so long, come what may.
_LOOK_AGAIN_SECONDS = 2.0


class NodeChange(StrEnum):
    """What is done with a node, in the words of `benito node`."""

    STOP = "stop"
    START = "start"
    RESTART = "restart"
    REBUILD = "rebuild"


class NodeControl:
    """Changes and views of single nodes."""

    def __init__(self, paths: StatePaths, store: Store, testbed: LocalTestbed, changing: Changing) -> None:
        self._paths = paths
        self._store = store
        self._testbed = testbed
        self._changing = changing
        self._reports = Reports(testbed)

    def choose(self, experiment: ExperimentId, patterns: Sequence[str]) -> list[str]:
        """The nodes that fit any of the shell patterns, in any case of letters and in the file's order.

        Raises UsageError for a pattern that none fits.
        """
        record = self._store.get(experiment)
        names = [node.name for part in record.parts() for node in part.nodes]
        chosen: set[str] = set()
        for pattern in patterns:
            fitting = [
                name
                for name in names
                if fnmatchcase(name.lower(), pattern.lower()) or record.id.dns_name(name).lower() == pattern.lower()
            ]
            if not fitting:
                raise UsageError(f"no node of {record.id} fits {pattern!r}", hint=f"it has {', '.join(names[:10])}")
            chosen.update(fitting)
        return [name for name in names if name in chosen]

    def change(
        self,
        experiment: ExperimentId,
        names: Collection[str],
        what: NodeChange,
        *,
        dry_run: bool = False,
        progress: Progress = quiet,
    ) -> list[str]:
        """Stops, starts, restarts or rebuilds these nodes of what is up; the ones that were not so already.

        Their links are plugged when it returns, whether they are booted or not; others' nodes and links stay as they
        are. A stopped node stays so until it is started. Raises UsageError unless the experiment is up.
        """
        with self._changing.active(experiment) as record:
            changed: list[str] = []
            for part in record.parts():
                manager = self._testbed.node_manager(part.pnode)
                mine = [node.name for node in part.nodes if node.name in names]
                if what is NodeChange.STOP:
                    mine = [name for name in mine if name not in manager.stopped(record.id)]
                elif what is NodeChange.START:
                    stopped = manager.stopped(record.id)
                    dead = {*manager.dead(part), *stopped}
                    mine = [name for name in mine if name in dead]
                changed += mine
                if mine and not dry_run:
                    self._do(manager, record.id, mine, what, progress)
            return changed

    def _do(
        self, manager: NodeManager, experiment: ExperimentId, names: Sequence[str], what: NodeChange, progress: Progress
    ) -> None:
        if what in (NodeChange.STOP, NodeChange.RESTART):
            manager.stop(experiment, names, progress)
        if what is not NodeChange.STOP:
            self._forget_tries(experiment, names)
            manager.start(experiment, names, progress, again=what is NodeChange.REBUILD)

    def _forget_tries(self, experiment: ExperimentId, names: Collection[str]) -> None:
        """Somebody starts them: their restart policies begin anew."""
        former = read_tries(self._paths, experiment)
        tries = {name: replace(one, count=0, gave_up=False) if name in names else one for name, one in former.items()}
        if tries != former:
            write_tries(self._paths, experiment, tries)

    def revive(
        self, experiment: ExperimentId, names: Collection[str], begin: Callable[[Collection[str]], None]
    ) -> None:
        """Starts those of the nodes that are dead and not stopped; `begin` is told which, before.

        Raises StoreError where another command changes the experiment.
        """
        with experiment_lock(self._paths, experiment):
            record = self._store.get(experiment)
            if record.state is not ExperimentState.ACTIVE:
                return
            for part in record.parts():
                manager = self._testbed.node_manager(part.pnode)
                dead = [name for name in manager.dead(part) if name in names]
                if dead:
                    begin(dead)
                    manager.start(record.id, dead)

    def wait_booted(
        self,
        experiment: ExperimentId,
        *,
        seconds: float,
        names: Collection[str] | None = None,
        progress: Progress = quiet,
    ) -> list[NodeReport]:
        """Waits until every node, or each of these, is booted or dead, or the time is over; how they are then.

        Where start commands wait for a barrier, they are let go on when all nodes of the experiment are booted.
        """
        deadline = time.monotonic() + seconds
        record = self._store.get(experiment)
        wanted = {node.name for part in record.parts() for node in part.nodes if names is None or node.name in names}
        with self.watching(record, wanted) as changed:
            waiting, booted = set(wanted), 0
            while True:
                changed.clear()
                began = time.monotonic()
                boots = {report.node: report.status.boot for report in self._reports.report(record, waiting)}
                booted += sum(boot is BootStatus.BOOTED for boot in boots.values())
                progress("boot", booted, len(wanted))
                waiting = {name for name, boot in boots.items() if boot in (BootStatus.RUNNING, None)}
                now = time.monotonic()
                if not waiting or now > deadline:
                    break
                # Many nodes boot at once: to look at each word of each would take what they need to boot.
                time.sleep(min(now - began, deadline - now))
                changed.wait(min(_LOOK_AGAIN_SECONDS, max(0.0, deadline - time.monotonic())))
        reports = self._reports.report(record, names)
        if is_held(record, self._testbed) and all(one.is_settled for one in self._reports.report(record)):
            release(record, self._testbed)
            reports = self._reports.report(record, names)
        # The boot itself kept the pnodes busy: what is measured is measured from now on.
        for pnode in dict.fromkeys(report.pnode for report in reports):
            self._testbed.node_manager(pnode).links.note_load(record.id)
        return reports

    @contextmanager
    def watching(self, record: Record, names: Collection[str]) -> Iterator[threading.Event]:
        """An event that is set when any of these nodes may be otherwise than it was."""
        changed = threading.Event()
        with ExitStack() as stack:
            for part in record.parts():
                manager = self._testbed.node_manager(part.pnode)
                if manager.knows(record.id):
                    stack.enter_context(manager.watch(record.id, names, changed.set))
            yield changed

    @contextmanager
    def watching_one(self, experiment: ExperimentId, node: str) -> Iterator[threading.Event]:
        """The same for one node."""
        record, _ = self.part_of(experiment, node)
        with self.watching(record, [node]) as changed:
            yield changed

    def read_log(self, experiment: ExperimentId, node: str, log: NodeLog, offset: int, most_bytes: int) -> bytes:
        """What a node's log holds from `offset` on, at most so many bytes. Raises HypervisorError."""
        record, part = self.part_of(experiment, node)
        return self._testbed.node_manager(part.pnode).read_log(record.id, node, log, offset, most_bytes)

    def console_argv(self, experiment: ExperimentId, node: str) -> list[str]:
        """The words that join the node's console when they are executed on this terminal. Raises HypervisorError."""
        record, part = self.part_of(experiment, node)
        return self._testbed.node_manager(part.pnode).console_argv(record.id, node)

    def argv(self, experiment: ExperimentId, node: str, command: Sequence[str], *, terminal: bool) -> list[str]:
        """The words that run `command` in the node when they are executed here; a shell if it is empty."""
        record, part = self.part_of(experiment, node)
        return self._testbed.node_manager(part.pnode).argv(record.id, node, command, terminal=terminal)

    def part_of(self, experiment: ExperimentId, node: str) -> tuple[Record, PnodePlan]:
        """The part of the plan that the node stands in. Raises UsageError where there is no such node, or where the
        experiment's nodes are put away."""
        record = self._store.get(experiment)
        for part in record.parts():
            if any(planned.name == node for planned in part.nodes):
                if record.state is ExperimentState.SWAPPED:
                    raise UsageError(f"{record.id} is swapped out", hint=f"benito resume {record.id}")
                return record, part
        raise UsageError(f"{experiment} has no node {node}", hint=f"`benito status {experiment}` shows its nodes")
