"""What a pnode keeps of experiments beside their nodes: the plan it was given, which nodes are to stay stopped, whether
start commands may begin.
"""

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from benito.errors import NodeManagerError
from benito.names import ExperimentId
from benito.paths import StatePaths, make_directory, write_atomically
from benito.plan import NodePlan, PnodePlan


class PnodePlans:
    """The plans of one pnode, from when they are accepted until their experiments are taken down."""

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths

    def accept(self, plan: PnodePlan) -> PnodePlan | None:
        """Keeps the plan; the one before it, if any. Raises NodeManagerError for one that is older."""
        former = self.find(plan.experiment)
        if former is not None and former.generation > plan.generation:
            raise NodeManagerError(
                f"generation {plan.generation} of {plan.experiment} comes after {former.generation}",
                hint="another controller changed the experiment meanwhile",
            )
        if former != plan:
            make_directory(self._paths.experiment(plan.experiment))
            write_atomically(self._paths.plan(plan.experiment), plan.to_json().encode())
        return former

    def knows(self, experiment: ExperimentId) -> bool:
        """Whether there is a plan of it."""
        return self._paths.plan(experiment).exists()

    def find(self, experiment: ExperimentId) -> PnodePlan | None:
        """The plan; None where there is none. Raises NodeManagerError for one of another version."""
        try:
            return PnodePlan.from_json(self._paths.plan(experiment).read_bytes())
        except FileNotFoundError:
            return None

    def get(self, experiment: ExperimentId) -> PnodePlan:
        """The plan. Raises NodeManagerError where there is none."""
        plan = self.find(experiment)
        if plan is None:
            raise NodeManagerError(f"this pnode has no plan of {experiment}")
        return plan

    def readable(self, experiment: ExperimentId) -> PnodePlan | None:
        """The plan, if there is one of this version: teardown goes by marks, and must not stop at any other."""
        try:
            return self.find(experiment)
        except NodeManagerError:
            return None

    def node(self, experiment: ExperimentId, name: str) -> tuple[PnodePlan, NodePlan]:
        """A planned node and its plan. Raises NodeManagerError."""
        plan = self.get(experiment)
        for node in plan.nodes:
            if node.name == name:
                return plan, node
        raise NodeManagerError(f"this pnode has no node {name} of {experiment}")

    def forget(self, experiment: ExperimentId) -> None:
        """Removes all that is kept of it, and folders that are empty then."""
        folder = self._paths.experiment(experiment)
        if folder.exists():
            shutil.rmtree(folder)
        for empty in (folder.parent, folder.parent.parent):
            try:
                empty.rmdir()
            except OSError:  # other experiments are in it, or it never was
                break

    def stopped(self, experiment: ExperimentId) -> frozenset[str]:
        """The nodes that somebody stopped, and that nothing but a command to start them starts again."""
        try:
            names = json.loads(self._stopped(experiment).read_bytes())
        except FileNotFoundError:
            return frozenset()
        except ValueError as error:
            raise NodeManagerError(f"{self._stopped(experiment)} cannot be read: {error}", hint="remove it") from error
        return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()

    def stop(self, experiment: ExperimentId, names: Iterable[str]) -> None:
        """From now on these stay stopped."""
        self._write_stopped(experiment, self.stopped(experiment) | set(names))

    def unstop(self, experiment: ExperimentId, names: Iterable[str]) -> None:
        """These are to run again, as all others."""
        self._write_stopped(experiment, self.stopped(experiment) - set(names))

    def _write_stopped(self, experiment: ExperimentId, names: frozenset[str]) -> None:
        if names == self.stopped(experiment):
            return
        path = self._stopped(experiment)
        if names:
            write_atomically(path, json.dumps(sorted(names)).encode())
        else:
            path.unlink(missing_ok=True)

    def is_held(self, plan: PnodePlan) -> bool:
        """Whether start commands wait for the experiment's barrier."""
        return plan.barrier and not self._passed(plan.experiment).exists()

    def pass_barrier(self, experiment: ExperimentId) -> None:
        """From now on no start command waits for others' nodes."""
        write_atomically(self._passed(experiment), b"")

    def raise_barrier(self, experiment: ExperimentId) -> None:
        """Start commands wait again for all nodes: the experiment is about to be brought up."""
        with suppress(FileNotFoundError):
            self._passed(experiment).unlink()

    def _stopped(self, experiment: ExperimentId) -> Path:
        return self._paths.experiment(experiment) / "stopped.json"

    def _passed(self, experiment: ExperimentId) -> Path:
        return self._paths.experiment(experiment) / "barrier-passed"
