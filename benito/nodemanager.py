"""A pnode's node manager: makes the pnode as its plan says, tells how it is, and takes it down again.

Level-triggered: `apply` observes, finds the difference and does it. It may be cut at any point and be called again, and
`destroy` finds what is there by its marks, with or without a plan. Links are `nodelinks`' part.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from benito.errors import BenitoError, NodeManagerError
from benito.hostload import Load, read_load
from benito.model import Kind
from benito.names import ExperimentId
from benito.nodedrivers import NodeDrivers
from benito.nodelinks import NodeLinks, refuse_lacks
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.pnodeplans import PnodePlans
from benito.restarts import Tries, read_tries
from benito.seams import Lack, LinkDriver, NodeDriver, NodeLog, Op, Progress, quiet
from benito.status import BootStatus, NodeStatus

_STOPPED = "stopped by `benito node stop`"


class NodeManager:
    """One pnode, through one link driver and one node driver per kind."""

    def __init__(
        self,
        paths: StatePaths,
        links: LinkDriver,
        drivers: Mapping[Kind, NodeDriver],
        load: Callable[[], Load | None] = read_load,
    ) -> None:
        self._paths = paths
        self._plans = PnodePlans(paths)
        self._drivers = NodeDrivers(drivers)
        self._links = NodeLinks(paths, self._plans, links, self._drivers, load)

    @property
    def links(self) -> NodeLinks:
        """The links of this pnode."""
        return self._links

    def lacks(self, plan: PnodePlan) -> Sequence[Lack]:
        """What this pnode is missing for the plan. Touches nothing of any experiment."""
        return [*self._links.lacks(plan), *self._drivers.lacks(plan, plan.nodes)]

    def knows(self, experiment: ExperimentId) -> bool:
        """Whether this pnode was given a plan of the experiment that it has not taken down."""
        return self._plans.knows(experiment)

    def apply(self, plan: PnodePlan, progress: Progress = quiet, *, again: Collection[str] = ()) -> Sequence[Op]:
        """Makes everything as planned; returns when each node runs and all links are plugged, with the links' changes.

        Refuses, before anything is touched, a plan that the pnode lacks something for. The nodes `again` are made anew;
        those that somebody stopped stay so. With a barrier, start commands wait for `release`.
        """
        refuse_lacks(self.lacks(plan), allow_unshaped=plan.allow_unshaped)
        former = self._plans.accept(plan)
        if former is not None:
            self._drop_former(former, plan)
        for driver, nodes in self._drivers.grouped(node for node in plan.nodes if node.name in again):
            driver.destroy(plan.experiment, nodes)
        stopped = self._plans.stopped(plan.experiment)
        self._stop(plan, [node for node in plan.nodes if node.name in stopped])
        ops = self._bring_up(plan, self._waiting(plan), progress)
        self._release(plan, plan.nodes)
        self._links.note_boot(plan.experiment)
        return ops

    def start(
        self, experiment: ExperimentId, names: Collection[str], progress: Progress = quiet, *, again: bool = False
    ) -> Sequence[Op]:
        """Boots these nodes where they do not run, stopped ones too, or with `again`, makes them anew; others stay as
        they are. Returns when they run and their links are plugged, with the links' changes.
        """
        plan, nodes = self._chosen(experiment, names)
        refuse_lacks(self._drivers.lacks(plan, nodes), allow_unshaped=plan.allow_unshaped)
        self._plans.unstop(experiment, names)
        if again:
            self._drivers.each(nodes, lambda some: self._drivers.of(some[0]).destroy(experiment, some), progress, "end")
        ops = self._bring_up(plan, nodes if again else self._drivers.dead(plan, nodes), progress)
        self._release(plan, nodes)
        return ops

    def stop(self, experiment: ExperimentId, names: Collection[str], progress: Progress = quiet) -> None:
        """Ends these nodes and keeps their files; until `start`, nothing starts them again."""
        plan, nodes = self._chosen(experiment, names)
        self._plans.stop(experiment, names)
        self._stop(plan, nodes, progress)

    def release(self, experiment: ExperimentId, moment: float | None = None) -> None:
        """Start commands may begin, at once or at `moment`: for all nodes whose links are plugged, see `seams`."""
        plan = self._plans.get(experiment)
        if self._plans.is_held(plan):
            self._plans.pass_barrier(experiment)
        self._release(plan, plan.nodes, moment)

    def is_held(self, experiment: ExperimentId) -> bool:
        """Whether start commands wait until all nodes of the experiment are booted."""
        plan = self._plans.find(experiment)
        return plan is not None and self._plans.is_held(plan)

    def suspend(self, experiment: ExperimentId, progress: Progress = quiet) -> None:
        """Puts every node's state away, ends the nodes and removes their links; `apply` goes on from there."""
        plan = self._plans.get(experiment)
        self._plans.raise_barrier(experiment)

        def suspend(some: Sequence[NodePlan]) -> None:
            self._drivers.of(some[0]).suspend(plan, some)

        self._drivers.each(self._drivers.known(plan.nodes), suspend, progress, "suspend")
        progress("unplug", 0, 1)
        self._links.unplug(experiment, plan)
        progress("unplug", 1, 1)

    def dead(self, plan: PnodePlan) -> tuple[str, ...]:
        """The planned nodes that do not run, but should."""
        return tuple(node.name for node in self._waiting(plan))

    def tries(self, experiment: ExperimentId) -> Mapping[str, Tries]:
        """By node, how often its restart policy has started it again."""
        return read_tries(self._paths, experiment)

    def stopped(self, experiment: ExperimentId) -> frozenset[str]:
        """The nodes that somebody stopped and nobody started again."""
        return self._plans.stopped(experiment)

    def status(
        self, experiment: ExperimentId, names: Collection[str] | None = None
    ) -> Mapping[str, Mapping[str, NodeStatus]]:
        """How the planned nodes, or these of them, are: hypervisor -> node -> status. One that is not there is dead."""
        plan = self._plans.get(experiment)
        nodes = plan.nodes if names is None else [node for node in plan.nodes if node.name in names]
        found = self._drivers.status(plan, nodes)
        stopped = self._plans.stopped(experiment)
        # A process node keeps its namespace when it is stopped, and looks as if it ran.
        whole = {node.name for node in nodes if node.kind is Kind.PROCESS} if stopped else set()
        for group in found.values():
            for name in stopped & group.keys():
                if name in whole or group[name].boot is BootStatus.DEAD:
                    group[name] = NodeStatus(boot=BootStatus.DEAD, exit_code=group[name].exit_code, reason=_STOPPED)
        return found

    def watch(
        self, experiment: ExperimentId, names: Collection[str] | None, changed: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """While it is open, `changed` is called when one of these nodes, or of all, may be otherwise than it was."""
        plan = self._plans.get(experiment)
        nodes = [node for node in plan.nodes if names is None or node.name in names]
        return self._drivers.watch(experiment, nodes, changed)

    def argv(self, experiment: ExperimentId, node: str, command: Sequence[str], *, terminal: bool) -> list[str]:
        """The words that run `command` in a node when they are executed on this pnode."""
        plan, planned = self._running(experiment, node)
        return self._drivers.of(planned).argv(plan, planned, command, terminal=terminal)

    def console_argv(self, experiment: ExperimentId, node: str) -> list[str]:
        """The words that join a node's console when they are executed on this pnode's terminal."""
        plan, planned = self._running(experiment, node)
        return self._drivers.of(planned).console_argv(plan, planned)

    def read_log(self, experiment: ExperimentId, node: str, log: NodeLog, offset: int, most_bytes: int) -> bytes:
        """What a node's log holds from `offset` on, at most so many bytes; see `seams.NodeDriver`."""
        plan, planned = self._plans.node(experiment, node)
        return self._drivers.of(planned).read_log(plan, planned, log, offset, most_bytes)

    def destroy(self, experiment: ExperimentId, progress: Progress = quiet) -> None:
        """Removes all that carries the experiment's mark; goes on past what fails, then says all that failed."""
        failures: list[BenitoError] = []
        plan = self._plans.readable(experiment)
        if plan is not None:
            known = self._drivers.known(plan.nodes)
            failures += self._drivers.attempt(
                known, lambda nodes: self._drivers.of(nodes[0]).destroy(experiment, nodes), progress, "end"
            )
        planned = {node.kind for node in plan.nodes} if plan is not None else set(self._drivers.by_kind())
        for kind, driver in self._drivers.by_kind().items():
            try:
                driver.destroy(experiment, None)
            except BenitoError as error:
                # A hypervisor that the plan needs nothing of may be away: it need not be there for `up` either.
                if kind in planned:
                    failures.append(error)
        progress("unplug", 0, 1)
        try:
            self._links.unplug(experiment, plan)
        except BenitoError as error:
            failures.append(error)
        if failures:
            raise NodeManagerError(
                "\n".join(dict.fromkeys(failure.message for failure in failures)),
                hint=failures[0].hint or f"mend it, then run `benito down {experiment}` again",
            )
        self._plans.forget(experiment)
        progress("unplug", 1, 1)

    def _bring_up(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress) -> Sequence[Op]:
        """Makes these nodes and all links of the plan; both are there when it returns."""
        for driver, group in self._drivers.grouped(nodes):
            progress("prepare", 0, len(group))
            driver.prepare(plan, group, progress)
        ops = list(self._links.plug(plan, progress))

        def start(some: Sequence[NodePlan]) -> None:
            for node in some:
                self._drivers.of(node).start(plan, node)

        self._drivers.each(nodes, start, progress, "start")
        if any(node.kind is not Kind.PROCESS for node in plan.nodes):
            ops += self._links.plug(plan, progress)  # what hypervisors made meanwhile
        return ops

    def _release(self, plan: PnodePlan, nodes: Sequence[NodePlan], moment: float | None = None) -> None:
        if self._plans.is_held(plan):
            return
        stopped = self._plans.stopped(plan.experiment)
        for node in nodes:
            if node.name not in stopped:
                self._drivers.of(node).release(plan, node, moment)

    def _stop(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress = quiet) -> None:
        def stop(some: Sequence[NodePlan]) -> None:
            self._drivers.of(some[0]).stop(plan, some)

        self._drivers.each(nodes, stop, progress, "stop")

    def _waiting(self, plan: PnodePlan) -> list[NodePlan]:
        """The planned nodes that do not run, but should."""
        stopped = self._plans.stopped(plan.experiment)
        return self._drivers.dead(plan, [node for node in plan.nodes if node.name not in stopped])

    def _chosen(self, experiment: ExperimentId, names: Collection[str]) -> tuple[PnodePlan, list[NodePlan]]:
        plan = self._plans.get(experiment)
        nodes = [node for node in plan.nodes if node.name in names]
        if missing := sorted(set(names) - {node.name for node in nodes}):
            raise NodeManagerError(f"this pnode has no node {missing[0]} of {experiment}")
        return plan, nodes

    def _running(self, experiment: ExperimentId, node: str) -> tuple[PnodePlan, NodePlan]:
        found = self._plans.node(experiment, node)
        if node in self._plans.stopped(experiment):
            raise NodeManagerError(f"{node} is {_STOPPED}", hint=f"benito node start {experiment} {node}")
        return found

    def _drop_former(self, former: PnodePlan, plan: PnodePlan) -> None:
        """Ends nodes that are planned no more, or otherwise than they were made."""
        same = (former.hosts, former.environment, former.uid_base) == (plan.hosts, plan.environment, plan.uid_base)
        kept = {node.name: node for node in plan.nodes} if same else {}
        gone = self._drivers.known(node for node in former.nodes if kept.get(node.name) != node)
        for driver, nodes in self._drivers.grouped(gone):
            driver.destroy(plan.experiment, nodes)
