"""Links of running experiments: changed, looked at, mended. The controller's part; node managers do it on pnodes."""

from collections.abc import Sequence
from dataclasses import dataclass

from benito.errors import BenitoError, UsageError
from benito.linkedit import LinkChange, edited
from benito.locks import experiment_lock
from benito.names import ExperimentId
from benito.nodemanager import refuse_lacks
from benito.paths import StatePaths
from benito.plan import ExperimentPlan, PnodePlan
from benito.seams import LinksHealth, Op, Progress, quiet
from benito.store import ExperimentState, Record, Store
from benito.testbeds.local import LocalTestbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done, or would be, on a pnode: changes of links, and nodes that were started again."""

    pnode: str
    ops: tuple[Op, ...]
    nodes: tuple[str, ...] = ()


class LinkControl:
    """Changes and repairs of what is up."""

    def __init__(self, paths: StatePaths, store: Store, testbed: LocalTestbed) -> None:
        self._paths = paths
        self._store = store
        self._testbed = testbed

    def change(
        self, experiment: ExperimentId, change: LinkChange, *, dry_run: bool = False, progress: Progress = quiet
    ) -> list[Done]:
        """Makes a link as the change says, on every pnode that it is on; nodes go on as they are.

        Raises UsageError for a change that makes no sense, KernelFeatureMissing for what a pnode cannot do, before
        anything is touched. Cut in between, `repair` finishes it: the store has the plan first.
        """
        with experiment_lock(self._paths, experiment):
            record = self._active(experiment)
            plan = edited(ExperimentPlan(experiment=record.id, pnodes=record.parts()), change)
            touched = [
                part for part in plan.pnodes if any(link.lan.lower() == change.link.lower() for link in part.links)
            ]
            for part in touched:
                lacks = self._testbed.node_manager(part.pnode).lacks(part)
                refuse_lacks(lacks, allow_unshaped=part.allow_unshaped)
            if dry_run:
                return [self._planned(part) for part in touched]
            self._store.replan(record.id, plan)
            return [
                Done(pnode=part.pnode, ops=tuple(self._testbed.node_manager(part.pnode).relink(part, progress)))
                for part in touched
            ]

    def repair(
        self, experiment: ExperimentId, *, links_only: bool = False, dry_run: bool = False, progress: Progress = quiet
    ) -> list[Done]:
        """Makes it as planned again: links that differ, nodes that are dead. Raises UsageError unless it is up."""
        with experiment_lock(self._paths, experiment):
            record = self._active(experiment)
            done = []
            for part in record.parts():
                manager = self._testbed.node_manager(part.pnode)
                if dry_run:
                    planned = self._planned(part)
                    done.append(
                        planned if links_only else Done(pnode=part.pnode, ops=planned.ops, nodes=manager.dead(part))
                    )
                elif links_only:
                    done.append(Done(pnode=part.pnode, ops=tuple(manager.relink(part, progress))))
                else:
                    dead = manager.dead(part)
                    ops = manager.relink(part, progress) if not dead else manager.apply(part, progress)
                    done.append(Done(pnode=part.pnode, ops=tuple(ops), nodes=dead))
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
                found = found.joined(manager.health(record.id))
            except BenitoError as error:
                found = found.joined(LinksHealth(unknown=(error.message,)))
        return found

    def plan(self, experiment: ExperimentId) -> ExperimentPlan:
        """As it was planned last. Raises ExperimentMissing."""
        record = self._store.get(experiment)
        return ExperimentPlan(experiment=record.id, pnodes=record.parts())

    def _planned(self, part: PnodePlan) -> Done:
        return Done(pnode=part.pnode, ops=tuple(self._testbed.node_manager(part.pnode).link_ops(part)))

    def _active(self, experiment: ExperimentId) -> Record:
        record = self._store.get(experiment)
        if record.state is not ExperimentState.ACTIVE:
            again = "up" if record.state is ExperimentState.ACTIVATING else "down"
            raise UsageError(f"{record.id} is {record.state}, not up", hint=f"finish that first: benito {again}")
        return record


def all_ops(done: Sequence[Done]) -> list[Op]:
    """The changes of links on all pnodes."""
    return [op for each in done for op in each.ops]
