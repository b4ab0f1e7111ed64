"""The node drivers of a pnode, one per kind, and what is asked of several of them at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from benito.errors import BenitoError, HypervisorError
from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import NodePlan, PnodePlan
from benito.seams import Lack, NodeDriver, Progress, quiet
from benito.status import BootStatus, NodeStatus, hypervisor_name

#: How many domains are started or ended at once: measured best on two cores, and harmless on more.
_WORKERS = 8
_GONE = NodeStatus(boot=BootStatus.DEAD, reason="it is not there")

Work = Callable[[Sequence[NodePlan]], None]


class NodeDrivers:
    """All of them."""

    def __init__(self, drivers: Mapping[Kind, NodeDriver]) -> None:
        self._drivers = drivers

    def of(self, node: NodePlan) -> NodeDriver:
        """The driver of the node's kind."""
        return self._drivers[node.kind]

    def by_kind(self) -> Mapping[Kind, NodeDriver]:
        """All, by kind."""
        return self._drivers

    def known(self, nodes: Iterable[NodePlan]) -> list[NodePlan]:
        """Those of the nodes whose kind has a driver here."""
        return [node for node in nodes if node.kind in self._drivers]

    def grouped(self, nodes: Iterable[NodePlan]) -> list[tuple[NodeDriver, list[NodePlan]]]:
        """The nodes by driver."""
        return [(self._drivers[kind], group) for kind, group in _by_kind(nodes).items()]

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> list[Lack]:
        """What this pnode is missing for these nodes of the plan. Touches nothing of any experiment."""
        found: list[Lack] = []
        for kind, group in _by_kind(nodes).items():
            driver = self._drivers.get(kind)
            if driver is None:
                names = ", ".join(node.name for node in group[:5])
                found.append(Lack(missing=f"a driver for {kind} nodes", element=names, hint="choose another kind"))
            else:
                found.extend(driver.lacks(plan, group))
        return found

    def status(self, plan: PnodePlan, nodes: Iterable[NodePlan]) -> dict[str, dict[str, NodeStatus]]:
        """How these nodes are: hypervisor -> node -> status. One that is not there is dead; where its hypervisor cannot
        be asked, nothing is known of it."""
        return {
            hypervisor_name(kind, plan.pnode, self._drivers[kind].hypervisor): self._observe(kind, plan, group)
            for kind, group in _by_kind(nodes).items()
        }

    def observe(self, plan: PnodePlan, nodes: Iterable[NodePlan]) -> dict[str, NodeStatus]:
        """The same by node alone."""
        return {name: status for group in self.status(plan, nodes).values() for name, status in group.items()}

    def dead(self, plan: PnodePlan, nodes: Iterable[NodePlan]) -> list[NodePlan]:
        """Those of the nodes that do not run. Raises HypervisorError where that cannot be found out."""
        dead: list[NodePlan] = []
        for driver, group in self.grouped(nodes):
            seen = driver.observe(plan.experiment, group)
            dead.extend(node for node in group if node.name not in seen or seen[node.name].boot is BootStatus.DEAD)
        return dead

    @contextmanager
    def watch(self, experiment: ExperimentId, nodes: Iterable[NodePlan], changed: Callable[[], None]) -> Iterator[None]:
        """`seams.NodeDriver.watch` for nodes of all kinds."""
        with ExitStack() as stack:
            for driver, group in self.grouped(nodes):
                stack.enter_context(driver.watch(experiment, group, changed))
            yield

    def each(self, nodes: Sequence[NodePlan], work: Work, progress: Progress = quiet, phase: str = "start") -> None:
        """Does the work for all nodes: for each domain by itself and in parallel, since domains mostly wait, and for
        all process nodes together, since these do not. Goes on past what fails, then raises HypervisorError.
        """
        if failures := self.attempt(nodes, work, progress, phase):
            raise HypervisorError(
                "\n".join(dict.fromkeys(failure.message for failure in failures)), hint=failures[0].hint
            )

    def attempt(
        self, nodes: Sequence[NodePlan], work: Work, progress: Progress = quiet, phase: str = "start"
    ) -> list[BenitoError]:
        """The same; what failed is returned."""
        together = [node for node in nodes if node.kind is Kind.PROCESS]
        parts = [[node] for node in nodes if node.kind is not Kind.PROCESS]
        done = 0
        failures = []
        for part, error in _in_parallel(work, [together, *parts] if together else parts):
            done += len(part)
            progress(phase, done, len(nodes))
            if error is not None:
                failures.append(error)
        return failures

    def _observe(self, kind: Kind, plan: PnodePlan, nodes: Sequence[NodePlan]) -> dict[str, NodeStatus]:
        try:
            seen = self._drivers[kind].observe(plan.experiment, nodes)
        except HypervisorError as error:
            return {node.name: NodeStatus(reason=error.message) for node in nodes}
        return {node.name: seen.get(node.name, _GONE) for node in nodes}


def _by_kind(nodes: Iterable[NodePlan]) -> dict[Kind, list[NodePlan]]:
    groups: dict[Kind, list[NodePlan]] = {}
    for node in nodes:
        groups.setdefault(node.kind, []).append(node)
    return groups


def _in_parallel(
    work: Work, parts: Sequence[Sequence[NodePlan]]
) -> Iterator[tuple[Sequence[NodePlan], BenitoError | None]]:
    """Yields each part of the nodes, as it is done, with its error or None."""

    def attempt(part: Sequence[NodePlan]) -> tuple[Sequence[NodePlan], BenitoError | None]:
        try:
            work(part)
        except BenitoError as error:
            return part, error
        return part, None

    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        yield from pool.map(attempt, parts)
