"""A pnode's node manager: makes the pnode as its plan says, tells how it is, and takes it down again.

Level-triggered: `apply` observes, finds the difference and does it. It may be cut at any point and be called again, and
`destroy` finds what is there by its marks, with or without a plan.
"""

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from benito.errors import BenitoError, HypervisorError, KernelFeatureMissing, NodeManagerError
from benito.hostload import Load, is_same_boot, read_load, suspicions
from benito.model import Kind
from benito.names import ExperimentId, interface_group
from benito.paths import StatePaths, make_directory, write_atomically
from benito.plan import NodePlan, PnodePlan
from benito.seams import (
    Absent,
    Captured,
    CaptureOrder,
    Lack,
    LinkDriver,
    LinksHealth,
    NodeDriver,
    Op,
    Progress,
    Watched,
    WatchOrder,
    quiet,
)
from benito.segments import Segment
from benito.status import BootStatus, NodeStatus, hypervisor_name

#: How many domains are started or ended at once: measured best on two cores, and harmless on more.
_WORKERS = 8
_WHILE_UP = "`benito doctor` says what this machine can do; `benito link set` can ask for less"


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
        self._links = links
        self._drivers = drivers
        self._load = load

    def lacks(self, plan: PnodePlan) -> Sequence[Lack]:
        """What this pnode is missing for the plan. Touches nothing of any experiment."""
        found = list(self._links.lacks(plan))
        for kind, nodes in _by_kind(plan.nodes).items():
            driver = self._drivers.get(kind)
            if driver is None:
                names = ", ".join(node.name for node in nodes[:5])
                found.append(Lack(missing=f"a driver for {kind} nodes", element=names, hint="choose another kind"))
            else:
                found.extend(driver.lacks(plan, nodes))
        return found

    def apply(self, plan: PnodePlan, progress: Progress = quiet, *, again: Collection[str] = ()) -> Sequence[Op]:
        """Makes everything as planned; returns when each node runs and all links are plugged, with the links' changes.

        Refuses, before anything is touched, a plan that the pnode lacks something for. The nodes `again` are made anew.
        """
        refuse_lacks(self.lacks(plan), allow_unshaped=plan.allow_unshaped)
        former = self._accept(plan)
        if former is not None:
            self._drop_former(former, plan)
        for driver, nodes in self._grouped(node for node in plan.nodes if node.name in again):
            driver.destroy(plan.experiment, nodes)
        waiting = self._waiting(plan)
        for driver, nodes in self._grouped(waiting):
            progress("prepare", 0, len(nodes))
            driver.prepare(plan, nodes)
        ops = list(self._plug(plan, progress))
        self._start(plan, waiting, progress)
        if any(node.kind is not Kind.PROCESS for node in plan.nodes):
            ops += self._plug(plan, progress)  # what hypervisors made meanwhile
        for driver, nodes in self._grouped(plan.nodes):
            for node in nodes:
                driver.release(plan, node)
        if not is_same_boot(self._noted_load(plan.experiment), self._load()):
            self.note_load(plan.experiment)
        return ops

    def relink(self, plan: PnodePlan, progress: Progress = quiet) -> Sequence[Op]:
        """Makes the links as planned and leaves the nodes alone, dead ones too; what was done.

        Refuses what the pnode lacks something for.
        """
        refuse_lacks(self._links.lacks(plan), allow_unshaped=plan.allow_unshaped, instead=_WHILE_UP)
        self._accept(plan)
        return self._plug(plan, progress, revive=False)

    def link_ops(self, plan: PnodePlan, *, revive: bool) -> Sequence[Op]:
        """What `relink` would do, or with `revive`, `apply`. Raises LinkError."""
        return self._links.changes(plan, revive=revive)

    def cut_off(self, plan: PnodePlan) -> tuple[Absent, ...]:
        """The devices that are gone while their nodes run: only their hypervisor makes them, when it starts a node."""
        gone = self._links.absent(plan)
        if not gone:
            return ()
        lost = [node for node in plan.nodes if any(absent.node == node.name for absent in gone)]
        seen = {
            name: node
            for kind, nodes in _by_kind(lost).items()
            for name, node in self._observe(kind, plan, nodes).items()
        }
        alive = {name for name, status in seen.items() if status.boot in (BootStatus.RUNNING, BootStatus.BOOTED)}
        # Asked again, since a node may have started between the two looks.
        return tuple(absent for absent in self._links.absent(plan) if absent.node in alive and absent in gone)

    def dead(self, plan: PnodePlan) -> tuple[str, ...]:
        """The planned nodes that do not run."""
        return tuple(node.name for node in self._waiting(plan))

    def health(self, experiment: ExperimentId) -> LinksHealth:
        """How the links are, and whether the pnode was too busy. Raises NodeManagerError without a plan, LinkError."""
        plan = self._saved_plan(experiment)
        if plan is None:
            raise NodeManagerError(f"this pnode has no plan of {experiment}")
        busy = suspicions(self._noted_load(experiment), self._load())
        found = self._links.health(plan)
        for absent in self.cut_off(plan):
            broken = (
                LinksHealth(broken={absent.lan: (str(absent),)}) if absent.lan else LinksHealth(others=(str(absent),))
            )
            found = found.joined(broken)
        return replace(found, suspect=(*found.suspect, *(f"{plan.pnode}: {words}" for words in busy)))

    def note_load(self, experiment: ExperimentId) -> None:
        """The experiment has come up: from now on, `health` tells whether the pnode was too busy for it."""
        now = self._load()
        if now is not None and self.knows(experiment):
            write_atomically(self._paths.load(experiment), now.to_json())

    def calm(self, experiment: ExperimentId) -> None:
        """What has made the links or the pnode suspect until now no longer does. Raises LinkError."""
        self._links.calm(experiment)
        self.note_load(experiment)

    def _noted_load(self, experiment: ExperimentId) -> Load | None:
        try:
            return Load.from_json(self._paths.load(experiment).read_bytes())
        except FileNotFoundError:
            return None

    def _accept(self, plan: PnodePlan) -> PnodePlan | None:
        """Keeps the plan; the one before it, if any. Raises NodeManagerError for one that is older."""
        former = self._saved_plan(plan.experiment)
        if former is not None and former.generation > plan.generation:
            raise NodeManagerError(
                f"generation {plan.generation} of {plan.experiment} comes after {former.generation}",
                hint="another controller changed the experiment meanwhile",
            )
        if former != plan:
            make_directory(self._paths.experiment(plan.experiment))
            write_atomically(self._paths.plan(plan.experiment), plan.to_json().encode())
        return former

    def segments(self) -> Collection[Segment]:
        """The ids of all trunks here, whichever experiment's. Raises LinkError."""
        return self._links.segments()

    def knows(self, experiment: ExperimentId) -> bool:
        """Whether this pnode was given a plan of the experiment that it has not taken down."""
        return self._paths.plan(experiment).exists()

    def status(self, experiment: ExperimentId) -> Mapping[str, Mapping[str, NodeStatus]]:
        """How the planned nodes are: hypervisor -> node -> status. A planned node that is not there is dead."""
        plan = self._saved_plan(experiment)
        if plan is None:
            raise NodeManagerError(f"this pnode has no plan of {experiment}")
        return {
            hypervisor_name(kind, plan.pnode, self._drivers[kind].hypervisor): self._observe(kind, plan, nodes)
            for kind, nodes in _by_kind(plan.nodes).items()
        }

    def argv(self, experiment: ExperimentId, node: str, command: Sequence[str], *, terminal: bool) -> list[str]:
        """The words that run `command` in a node when they are executed on this pnode."""
        plan, planned = self._planned(experiment, node)
        return self._drivers[planned.kind].argv(plan, planned, command, terminal=terminal)

    def sender_argv(self, experiment: ExperimentId, node: str, words: Sequence[str]) -> list[str]:
        """The same for the program that sends test datagrams, with these words."""
        plan, planned = self._planned(experiment, node)
        driver = self._drivers[planned.kind]
        return driver.argv(plan, planned, [driver.sender, *words], terminal=False)

    def watch(
        self, experiment: ExperimentId, order: WatchOrder, *, ready: Callable[[], None], stop: Callable[[], bool]
    ) -> Watched:
        """Sees test datagrams pass the ends of links here, see `seams.LinkDriver`."""
        plan = self._saved_plan(experiment)
        if plan is None:
            raise NodeManagerError(f"this pnode has no plan of {experiment}")
        return self._links.watch(plan, order, ready=ready, stop=stop)

    def capture(
        self,
        experiment: ExperimentId,
        order: CaptureOrder,
        write: Callable[[bytes], None],
        *,
        say: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> Captured:
        """Records packets of links here as a pcapng file, see `seams.LinkDriver`."""
        plan = self._saved_plan(experiment)
        if plan is None:
            raise NodeManagerError(f"this pnode has no plan of {experiment}")
        return self._links.capture(plan, order, write, say=say, stop=stop)

    def destroy(self, experiment: ExperimentId, progress: Progress = quiet) -> None:
        """Removes all that carries the experiment's mark; goes on past what fails, then says all that failed."""
        failures: list[BenitoError] = []
        plan = self._readable_plan(experiment)

        def attempt(work: Callable[[], None]) -> None:
            try:
                work()
            except BenitoError as error:
                failures.append(error)

        if plan is not None:
            self._destroy_planned(plan, progress, failures)
        planned = {node.kind for node in plan.nodes} if plan is not None else set(self._drivers)
        for kind, driver in self._drivers.items():
            try:
                driver.destroy(experiment, None)
            except BenitoError as error:
                # A hypervisor that the plan needs nothing of may be away: it need not be there for `up` either.
                if kind in planned:
                    failures.append(error)
        progress("unplug", 0, 1)
        if plan is not None:
            devices = _hypervisor_devices(plan)
            attempt(lambda: self._links.discard(devices))
        attempt(lambda: self._links.remove(experiment, plan.group if plan else interface_group(experiment)))
        if failures:
            raise NodeManagerError(
                "\n".join(dict.fromkeys(failure.message for failure in failures)),
                hint=failures[0].hint or f"mend it, then run `benito down {experiment}` again",
            )
        self._forget(experiment)
        progress("unplug", 1, 1)

    def _destroy_planned(self, plan: PnodePlan, progress: Progress, failures: list[BenitoError]) -> None:
        # Domains in parallel, because ending one mostly waits; processes are found by one look for all nodes.
        def end(nodes: Sequence[NodePlan]) -> None:
            self._drivers[nodes[0].kind].destroy(plan.experiment, nodes)

        known = [node for node in plan.nodes if node.kind in self._drivers]
        together = [node for node in known if node.kind is Kind.PROCESS]
        work = [[node] for node in known if node.kind is not Kind.PROCESS]
        done = 0
        for nodes, error in _in_parallel(end, [together, *work] if together else work):
            done += len(nodes)
            progress("end", done, len(known))
            if error is not None:
                failures.append(error)

    def _forget(self, experiment: ExperimentId) -> None:
        folder = self._paths.experiment(experiment)
        if folder.exists():
            shutil.rmtree(folder)
        for empty in (folder.parent, folder.parent.parent):
            try:
                empty.rmdir()
            except OSError:  # other experiments are in it, or it never was
                break

    def _planned(self, experiment: ExperimentId, node: str) -> tuple[PnodePlan, NodePlan]:
        plan = self._saved_plan(experiment)
        for planned in plan.nodes if plan is not None else ():
            if plan is not None and planned.name == node:
                return plan, planned
        raise NodeManagerError(f"this pnode has no node {node} of {experiment}")

    def _saved_plan(self, experiment: ExperimentId) -> PnodePlan | None:
        try:
            return PnodePlan.from_json(self._paths.plan(experiment).read_bytes())
        except FileNotFoundError:
            return None

    def _readable_plan(self, experiment: ExperimentId) -> PnodePlan | None:
        # Teardown goes by marks; a plan of another version must not stop it.
        try:
            return self._saved_plan(experiment)
        except NodeManagerError:
            return None

    def _observe(self, kind: Kind, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Mapping[str, NodeStatus]:
        gone = NodeStatus(boot=BootStatus.DEAD, reason="it is not there")
        try:
            seen = self._drivers[kind].observe(plan.experiment, nodes)
        except HypervisorError as error:
            return {node.name: NodeStatus(reason=error.message) for node in nodes}
        return {node.name: seen.get(node.name, gone) for node in nodes}

    def _waiting(self, plan: PnodePlan) -> list[NodePlan]:
        """The planned nodes that do not run."""
        waiting: list[NodePlan] = []
        for kind, nodes in _by_kind(plan.nodes).items():
            seen = self._drivers[kind].observe(plan.experiment, nodes)
            waiting.extend(node for node in nodes if node.name not in seen or seen[node.name].boot is BootStatus.DEAD)
        return waiting

    def _drop_former(self, former: PnodePlan, plan: PnodePlan) -> None:
        """Ends nodes that are planned no more, or otherwise than they were made."""
        same = (former.hosts, former.environment, former.uid_base) == (plan.hosts, plan.environment, plan.uid_base)
        kept = {node.name: node for node in plan.nodes} if same else {}
        gone = [node for node in former.nodes if kept.get(node.name) != node and node.kind in self._drivers]
        for driver, nodes in self._grouped(gone):
            driver.destroy(plan.experiment, nodes)

    def _grouped(self, nodes: Iterable[NodePlan]) -> list[tuple[NodeDriver, list[NodePlan]]]:
        return [(self._drivers[kind], group) for kind, group in _by_kind(nodes).items()]

    def _plug(self, plan: PnodePlan, progress: Progress, *, revive: bool = True) -> Sequence[Op]:
        ops = self._links.changes(plan, revive=revive)
        progress("wire", 0, len(ops))
        self._links.apply(plan, ops)
        progress("wire", len(ops), len(ops))
        return ops

    def _start(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress) -> None:
        errors = []
        # A process node was started when its namespace was made: there is nothing to wait for, but for many threads.
        chunk = 1 if any(node.kind is not Kind.PROCESS for node in nodes) else max(1, len(nodes))

        def start(some: Sequence[NodePlan]) -> None:
            for node in some:
                self._drivers[node.kind].start(plan, node)

        done = 0
        for some, error in _in_parallel(start, [nodes[at : at + chunk] for at in range(0, len(nodes), chunk)]):
            done += len(some)
            progress("start", done, len(nodes))
            if error is not None:
                errors.append(error)
        if errors:
            raise HypervisorError("\n".join(dict.fromkeys(error.message for error in errors)), hint=errors[0].hint)


def refuse_lacks(lacks: Sequence[Lack], *, allow_unshaped: bool, instead: str | None = None) -> None:
    """Raises one error that names everything missing; what is only shaping may be allowed to be.

    `instead` is the hint where only shaping is missing and the command cannot do without it.
    """
    hard = [lack for lack in lacks if not (lack.shaping and allow_unshaped)]
    if not hard:
        return
    error = KernelFeatureMissing if all(lack.shaping for lack in hard) else HypervisorError
    raise error(
        "this pnode cannot do what the experiment asks for:\n"
        + "\n".join(f"  {lack.element}: needs {lack.missing}" for lack in hard),
        hint="; ".join(dict.fromkeys(instead if instead and lack.shaping else lack.hint for lack in hard)),
    )


def _by_kind(nodes: Iterable[NodePlan]) -> dict[Kind, list[NodePlan]]:
    groups: dict[Kind, list[NodePlan]] = {}
    for node in nodes:
        groups.setdefault(node.kind, []).append(node)
    return groups


def _hypervisor_devices(plan: PnodePlan) -> list[str]:
    """Devices that libvirt makes: they carry our mark only once they have been adopted."""
    devices: list[str] = []
    for node in plan.nodes:
        if node.kind is not Kind.PROCESS:
            devices.extend(interface.device for interface in node.interfaces)
            devices.extend([node.control.device] if node.control else [])
    return devices


def _in_parallel(
    work: Callable[[Sequence[NodePlan]], None], parts: Sequence[Sequence[NodePlan]]
) -> Iterable[tuple[Sequence[NodePlan], BenitoError | None]]:
    """Yields each part of the nodes, as it is done, with its error or None."""

    def attempt(part: Sequence[NodePlan]) -> tuple[Sequence[NodePlan], BenitoError | None]:
        try:
            work(part)
        except BenitoError as error:
            return part, error
        return part, None

    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        yield from pool.map(attempt, parts)
