"""The controller: brings experiments up, tells how they are, takes them down. A library; the command line and the
status server are its front ends.

Each transition is in the store before it is begun, and an experiment is changed by one command at a time. A command
that died is taken up by the next one: `up` applies again, `down` removes what is there.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benito.barrier import is_held
from benito.captures import Subject, find_subject
from benito.changing import Changing, finish
from benito.errors import BenitoError, ExperimentExists, UsageError
from benito.linkcontrol import LinkControl
from benito.linktest import LinkTest
from benito.linktest.kept import keep, newest
from benito.linktest.run import run_linktest
from benito.names import ExperimentId
from benito.nodecontrol import NodeControl
from benito.nodelinks import refuse_lacks
from benito.nodereport import NodeReport, Reports
from benito.paths import StatePaths
from benito.plan import ExperimentPlan
from benito.planner import Experiment, numbered, plan_experiment
from benito.seams import Captured, CaptureOrder, Lack, Progress, quiet
from benito.segments import Segment
from benito.segmentstore import SegmentStore
from benito.status import ExperimentStatus
from benito.store import ExperimentState, Record, Store, already_there, missing
from benito.testbeds.local import LocalTestbed, refusal
from benito.trunks import trunk_refusal
from benito.watchman import Watchman


class Controller:
    """All experiments of this machine. `watchman` starts dead nodes again where a restart policy says so."""

    def __init__(
        self, paths: StatePaths, store: Store, testbed: LocalTestbed, watchman: Watchman | None = None
    ) -> None:
        self._store = store
        self._segments = SegmentStore(store)
        self._testbed = testbed
        self._reports = Reports(testbed)
        self._changing = Changing(paths, store, watchman or Watchman(paths))
        #: Single nodes of what is up.
        self.nodes = NodeControl(paths, store, testbed, self._changing)
        #: Changes and repairs of what is up.
        self.links = LinkControl(store, testbed, self._changing)

    def lacks(self, experiment: Experiment) -> Sequence[Lack]:
        """What the testbed is missing for it. Raises EmbeddingError or TestbedError where it cannot be at all."""
        return self._lacks(self._draft(experiment))

    def _draft(self, experiment: Experiment) -> ExperimentPlan:
        """The plan before anything is allocated for it."""
        unjoined = trunk_refusal(experiment.embedding, experiment.site.network)
        if (error := refusal(experiment) or unjoined) is not None:
            raise error
        return plan_experiment(experiment)

    def _lacks(self, plan: ExperimentPlan) -> Sequence[Lack]:
        return [lack for part in plan.pnodes for lack in self._testbed.node_manager(part.pnode).lacks(part)]

    def up(self, experiment: Experiment, *, data: bytes, progress: Progress = quiet) -> Sequence[Lack]:
        """Swaps it in: returns when every node runs and every link is plugged, with what was allowed to be missing.

        Whatever is refused is refused before anything is touched. What fails later is taken down again. One that was
        swapped out with its nodes' state goes on from there, if it is the same.
        """
        with self._changing.any(experiment.id):
            former = self._store.find(experiment.id)
            if former is not None and (former.state is ExperimentState.ACTIVE or former.id != experiment.id):
                raise already_there(former)
            draft = self._draft(experiment)
            lacks = self._lacks(draft)
            refuse_lacks(lacks, allow_unshaped=experiment.policy.allow_unshaped)
            if former is not None and former.is_kept:
                self._refuse_other(former, draft, data)
                self._go_on(former, progress)
                return lacks
            if former is not None and former.state is ExperimentState.SWAPPING:
                self._remove(former, progress)
                former = None
            source = experiment.topology.source
            record = former or self._store.add(experiment.id, source=source, data=data)
            segments = self._trunk_ids(experiment, former)
            plan = numbered(draft, generation=record.generation + 1, slot=record.slot)
            if segments:
                plan = plan_experiment(
                    experiment, generation=record.generation + 1, slot=record.slot, segments=segments
                )
            self._store.plan(experiment.id, plan, source=source, data=data)
            try:
                for part in plan.pnodes:
                    self._testbed.node_manager(part.pnode).apply(part, progress)
            except BaseException as error:  # also Ctrl-C: a half-made experiment is no use to anybody
                self._undo(experiment.id, error, progress)
                raise
            self._store.begin(experiment.id, ExperimentState.ACTIVE)
        return lacks

    def _trunk_ids(self, experiment: Experiment, former: Record | None) -> Mapping[str, int]:
        """LAN -> its trunk's id. Raises TestbedError where they do not suffice; a new experiment is forgotten then."""
        pnodes = former.pnodes if former is not None else ()
        lans, network = experiment.embedding.cut_lans, experiment.site.network
        try:
            if lans:
                self._segments.settle(self._carried)
            return self._segments.allocate(experiment.id, lans, network, former=pnodes)
        except BenitoError:
            if former is None:
                self._store.remove(experiment.id)
            raise

    def _carried(self, pnode: str) -> Collection[Segment]:
        return self._testbed.node_manager(pnode).links.segments()

    def _undo(self, experiment: ExperimentId, error: BaseException, progress: Progress) -> None:
        """Takes down what was begun; where even that fails, `error` says so in its hint."""
        self._store.begin(experiment, ExperimentState.SWAPPING)
        try:
            self._remove(self._store.get(experiment), progress)
        except BenitoError as second:
            if isinstance(error, BenitoError):
                error.hint = f"{error.hint or ''}; not all of it could be taken down: {second.message}".lstrip("; ")

    def _refuse_other(self, former: Record, draft: ExperimentPlan, data: bytes) -> None:
        """Raises ExperimentExists where the file or the options are not those that it was swapped out with."""
        same = numbered(draft, generation=former.generation, slot=former.slot).pnodes
        nodes = [[part.nodes for part in parts] for parts in (same, former.parts())]
        if nodes[0] != nodes[1] or data != self._store.input(former.id):
            raise ExperimentExists(
                f"experiment {former.id} is swapped out, and was made from another file or with other options",
                hint=f"`benito resume {former.id}` goes on with it as it was; `benito down {former.id}` forgets it",
            )

    def swap_out(self, experiment: ExperimentId, *, progress: Progress = quiet) -> None:
        """Ends nodes and links and keeps the nodes' state; `swap_in` goes on from there, on the same pnodes.

        Cut in between, it is finished by the same again. Raises UsageError for one that is not up.
        """
        record = self._store.get(experiment)
        with self._changing.any(record.id):
            record = self._store.get(record.id)
            if record.state is not ExperimentState.ACTIVE and not record.is_kept:
                raise UsageError(f"{record.id} is {record.state}, not up", hint=finish(record))
            self._put_away(record, progress)

    def swap_in(self, experiment: ExperimentId, *, progress: Progress = quiet) -> None:
        """Makes nodes and links of one that was swapped out go on as they were. What fails is swapped out again.

        Raises UsageError where it was not swapped out with its nodes' state.
        """
        record = self._store.get(experiment)
        with self._changing.any(record.id):
            record = self._store.get(record.id)
            if not record.is_kept:
                hint = "`benito up FILE` brings one up" if record.plan is None else finish(record)
                raise UsageError(f"{record.id} is {record.state}, and has no state that is kept", hint=hint)
            self._go_on(record, progress)

    def _put_away(self, record: Record, progress: Progress) -> None:
        self._store.begin(record.id, ExperimentState.SWAPPING, keep=True)
        for pnode in record.pnodes:
            manager = self._testbed.node_manager(pnode)
            if manager.knows(record.id):
                manager.suspend(record.id, progress)
        self._store.begin(record.id, ExperimentState.SWAPPED, keep=True)

    def _go_on(self, record: Record, progress: Progress) -> None:
        self._store.begin(record.id, ExperimentState.ACTIVATING, keep=True)
        try:
            for part in record.parts():
                self._testbed.node_manager(part.pnode).apply(part, progress)
        except BaseException as error:
            try:
                self._put_away(record, progress)
            except BenitoError as second:
                if isinstance(error, BenitoError):
                    error.hint = f"{error.hint or ''}; and not all of it is swapped out: {second.message}".lstrip("; ")
            raise
        self._store.begin(record.id, ExperimentState.ACTIVE)

    def down(self, experiment: ExperimentId, *, progress: Progress = quiet) -> None:
        """Swaps it out and forgets it. Works from any state; raises ExperimentMissing if nothing is known of it."""
        with self._changing.any(experiment):
            record = self._store.find(experiment)
            # The store may be lost; the pnode keeps its plan.
            if record is None and not self._testbed.node_manager("pnode-0000").knows(experiment):
                raise missing(experiment, [known.id for known in self._store.all()])
            if record is None:
                self._testbed.node_manager("pnode-0000").destroy(experiment, progress)
            else:
                self._store.begin(record.id, ExperimentState.SWAPPING)
                self._remove(record, progress)

    def _remove(self, record: Record, progress: Progress) -> None:
        for pnode in record.pnodes:
            self._testbed.node_manager(pnode).destroy(record.id, progress)
        self._segments.release(record.id, record.pnodes)
        self._store.remove(record.id)
        self._segments.settle(self._carried)

    def experiments(self) -> list[Record]:
        """All that are known, by name."""
        return self._store.all()

    def status(self, experiment: ExperimentId) -> ExperimentStatus:
        """hypervisor -> node -> status, as the status protocol tells it. Raises ExperimentMissing."""
        return self._reports.status(self._store.get(experiment))

    def report(self, experiment: ExperimentId, names: Collection[str] | None = None) -> list[NodeReport]:
        """How every node is, or these of them, with what a person wants to know beside it, in the file's order."""
        return self._reports.report(self._store.get(experiment), names)

    def known(self, experiment: ExperimentId) -> ExperimentId:
        """Its name as it was given at first, whatever the case of letters. Raises ExperimentMissing."""
        return self._store.get(experiment).id

    def is_held(self, experiment: ExperimentId) -> bool:
        """Whether its start commands wait until all nodes are booted."""
        return is_held(self._store.get(experiment), self._testbed)

    def find_node(self, name: str) -> tuple[ExperimentId, str]:
        """The node that `name` (`n-0`, `n-0.star` or `n-0.star.lab`, in any case) means. Raises UsageError."""
        known = [
            (record.id, node.name, node.dns_name)
            for record in self._store.all()
            for part in record.parts(lenient=True)
            for node in part.nodes
        ]
        wanted = name.lower()
        found = [
            (experiment, node)
            for experiment, node, dns_name in known
            if dns_name.lower() == wanted or dns_name.lower().startswith(f"{wanted}.")
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"no running experiment has a node {name}", hint="`benito status` shows the nodes")
        names = ", ".join(experiment.dns_name(node) for experiment, node in found[:5])
        raise UsageError(f"{name} is ambiguous", hint=f"say which: {names}")

    def capture(
        self,
        experiment: ExperimentId,
        name: str,
        order: CaptureOrder,
        write: Callable[[bytes], None],
        *,
        what: Subject | None = None,
        say: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> Captured:
        """Records packets of the link or node called `name` as a pcapng file, see `seams.LinkDriver`.

        `what` says which is meant where both are called so; `order` gives all but that. Raises UsageError for a name
        that is not there or leaves open what is meant.
        """
        record = self._store.get(experiment)
        found = find_subject(record.id, record.parts(), name, what)
        order = replace(order, lan=found.lan, node=found.node)
        return self._testbed.node_manager(found.pnode).links.capture(record.id, order, write, say=say, stop=stop)

    def linktest(
        self,
        experiment: ExperimentId,
        names: Sequence[str] = (),
        *,
        sample: int | None = None,
        seed: int = 0,
        progress: Progress = quiet,
    ) -> LinkTest:
        """Measures links of a running experiment and keeps the result; see `linktest.run`.

        Raises UsageError for a name of no link, or where the experiment is not up.
        """
        record = self._store.get(experiment)
        if record.state is not ExperimentState.ACTIVE:
            again = "up" if record.state is ExperimentState.ACTIVATING else "down"
            raise UsageError(
                f"{record.id} is {record.state}: its links cannot be tested", hint=f"finish that first: benito {again}"
            )
        managers = self._testbed.node_manager
        done = run_linktest(record.id, record.parts(), managers, names, sample=sample, seed=seed, progress=progress)
        keep(self._store, record.id, done)
        return done

    def last_linktest(self, experiment: ExperimentId) -> LinkTest:
        """The newest result that is kept. Raises UsageError where there is none."""
        record = self._store.get(experiment)
        found = newest(self._store, record.id)
        if found is None:
            raise UsageError(f"the links of {record.id} were not tested", hint=f"benito linktest {record.id}")
        return found


def default_name(path: Path) -> str:
    """An experiment's name from its file's: `star` from `examples/star.ns`, hyphens for what names may not hold."""
    letters = [letter if letter.isascii() and letter.isalnum() else "-" for letter in path.name.split(".")[0]]
    return "".join(letters).strip("-")[:32].rstrip("-") or "experiment"
