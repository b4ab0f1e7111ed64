"""Links of running experiments: changed, looked at, mended. The controller's part; node managers do it on pnodes."""

from collections.abc import Sequence
from dataclasses import dataclass

from benito.barrier import release
from benito.changing import Changing
from benito.errors import BenitoError
from benito.linkedit import LinkChange, edited
from benito.names import ExperimentId
from benito.nodelinks import refuse_lacks
from benito.plan import ExperimentPlan, PnodePlan
from benito.seams import Absent, LinksHealth, Op, Progress, quiet
from benito.store import ExperimentState, Store
from benito.testbeds.local import LocalTestbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done, or would be, on a pnode: changes of links, and nodes that were started again.

    `nodes` were dead, those of `cut_off` had lost a device. `left` says what is still to be done.
    """

    pnode: str
    ops: tuple[Op, ...]
    nodes: tuple[str, ...] = ()
    cut_off: tuple[Absent, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether all was, and is, as planned."""
        return not (self.ops or self.nodes or self.cut_off or self.left)


_LESS = "ask for a lower rate or delay, or for no such setting; `benito doctor` says what this machine can do"


class LinkControl:
    """Changes and repairs of what is up."""

    def __init__(self, store: Store, testbed: LocalTestbed, changing: Changing) -> None:
        self._store = store
        self._testbed = testbed
        self._changing = changing

    def change(
        self, experiment: ExperimentId, change: LinkChange, *, dry_run: bool = False, progress: Progress = quiet
    ) -> list[Done]:
        """Makes a link as the change says, on every pnode that it is on; nodes go on as they are.

        Raises UsageError for a change that makes no sense, KernelFeatureMissing for what a pnode cannot do, before
        anything is touched. Cut in between, `repair` finishes it: the store has the plan first.
        """
        with self._changing.active(experiment) as record:
            plan = edited(ExperimentPlan(experiment=record.id, pnodes=record.parts()), change)
            touched = [
                part for part in plan.pnodes if any(link.lan.lower() == change.link.lower() for link in part.links)
            ]
            for part in touched:
                lacks = self._testbed.node_manager(part.pnode).lacks(part)
                refuse_lacks(lacks, allow_unshaped=part.allow_unshaped, instead=_LESS)
            if not dry_run:
                self._store.replan(record.id, plan)
            return [self._relinked(part, change.link, dry_run=dry_run, progress=progress) for part in touched]

    def repair(
        self, experiment: ExperimentId, *, links_only: bool = False, dry_run: bool = False, progress: Progress = quiet
    ) -> list[Done]:
        """Makes it as planned again: links that differ, nodes that are dead or have lost a device.

        Nodes that somebody stopped stay so; start commands that wait for others' nodes begin. With `links_only`, nodes
        stay as they are. Raises UsageError unless it is up.
        """
        with self._changing.active(experiment) as record:
            if links_only:
                return [self._relinked(part, dry_run=dry_run, progress=progress) for part in record.parts()]
            done = []
            for part in record.parts():
                manager = self._testbed.node_manager(part.pnode)
                dead, cut_off = manager.dead(part), manager.links.cut_off(part)
                if dry_run:
                    ops = manager.links.changes(part, revive=True)
                elif dead or cut_off:
                    ops = manager.apply(part, progress, again={absent.node for absent in cut_off})
                else:
                    ops = manager.links.relink(part, progress)
                done.append(Done(pnode=part.pnode, ops=tuple(ops), nodes=dead, cut_off=cut_off))
            if not dry_run:
                release(record, self._testbed)
            return done

    def health(self, experiment: ExperimentId) -> LinksHealth:
        """How the links of what is up are, over all pnodes; what cannot be found out is said there."""
        record = self._store.get(experiment)
        if record.state is not ExperimentState.ACTIVE:
            return LinksHealth(unknown=(f"{record.id} is {record.state}, not up",))
        found = LinksHealth()
        for part in record.parts():
            manager = self._testbed.node_manager(part.pnode)
            if not manager.knows(record.id):
                found = found.joined(LinksHealth(unknown=(f"{part.pnode} knows nothing of {record.id}",)))
                continue
            try:
                found = found.joined(manager.links.health(record.id))
            except BenitoError as error:
                said = f"{error.message} ({error.hint})" if error.hint else error.message
                found = found.joined(LinksHealth(unknown=(said,)))
        return found

    def plan(self, experiment: ExperimentId) -> ExperimentPlan:
        """As it was planned last. Raises ExperimentMissing."""
        record = self._store.get(experiment)
        return ExperimentPlan(experiment=record.id, pnodes=record.parts())

    def _relinked(self, part: PnodePlan, lan: str | None = None, *, dry_run: bool, progress: Progress) -> Done:
        """Links made as planned, nodes left as they are; says what that leaves, at the link `lan` only if given."""
        manager = self._testbed.node_manager(part.pnode)
        ops = manager.links.changes(part, revive=False) if dry_run else manager.links.relink(part, progress)
        concerned = {
            port.node
            for link in part.links
            if lan is not None and link.lan.lower() == lan.lower()
            for port in link.ports
        }
        left = [f"start {node} again (it is dead)" for node in manager.dead(part) if lan is None or node in concerned]
        left += [
            str(absent)
            for absent in manager.links.cut_off(part)
            if lan is None or (absent.lan is not None and absent.lan.lower() == lan.lower())
        ]
        return Done(pnode=part.pnode, ops=tuple(ops), left=tuple(left))


def all_ops(done: Sequence[Done]) -> list[Op]:
    """The changes of links on all pnodes."""
    return [op for each in done for op in each.ops]
