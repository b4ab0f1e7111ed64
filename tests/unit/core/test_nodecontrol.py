"""Single nodes of what is up, over drivers that remember: stopped, made anew, waited for, let go on together."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from builders import STAR, experiment, star
from fakes import FakeLinks, FakeNodes

from benito.controller import Controller
from benito.errors import ExperimentExists, HypervisorError, NodeManagerError, UsageError
from benito.linkedit import LinkChange
from benito.model import Kind
from benito.nodecontrol import NodeChange
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.plan import ExperimentPlan, NodePlan, PnodePlan
from benito.planner import Experiment
from benito.seams import NodeLog
from benito.status import BootStatus, NodeStatus
from benito.store import ExperimentState, Store
from benito.testbeds.local import LocalTestbed

ALL = {"center", "n-0", "n-1"}
DATA = b"set ns"


class Killed(BaseException):
    """What a command that is killed does next."""


class World:
    """A controller over fakes, in a folder of its own."""

    def __init__(self, root: Path, kind: Kind = Kind.OPENVZ) -> None:
        self.paths = StatePaths(root)
        self.links = FakeLinks()
        self.nodes = FakeNodes(kind)
        self.kind = kind
        self.store = Store(self.paths.store)
        self.manager = NodeManager(self.paths, self.links, {kind: self.nodes}, lambda: None)
        self.controller = Controller(self.paths, self.store, LocalTestbed(self.manager))

    def experiment(self, satellites: int = 2) -> Experiment:
        return experiment(star(satellites), default_kind=self.kind)

    def up(self) -> None:
        self.controller.up(self.experiment(), data=DATA)

    def change(self, what: NodeChange, *names: str, dry_run: bool = False) -> list[str]:
        return self.controller.nodes.change(STAR, names, what, dry_run=dry_run)

    def boots(self) -> dict[str, BootStatus | None]:
        return {report.node: report.status.boot for report in self.controller.report(STAR)}

    def replan(self, **changes: object) -> None:
        """As if the file had asked for that."""
        (part,) = self.store.get(STAR).parts()
        part = replace(part, **changes)  # type: ignore[arg-type]
        self.store.replan(STAR, ExperimentPlan(experiment=STAR, pnodes=(part,)))
        self.paths.plan(STAR).write_bytes(part.to_json().encode())


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.up()
    return made


@pytest.fixture(params=[Kind.OPENVZ, Kind.PROCESS])
def each_kind(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    made = World(tmp_path, request.param)
    made.up()
    return made


class TestStopAndStart:
    def test_a_stopped_node_stays_so_and_keeps_its_files(self, each_kind: World) -> None:
        world = each_kind
        assert world.change(NodeChange.STOP, "n-0") == ["n-0"]
        assert world.boots() == {"center": BootStatus.BOOTED, "n-0": BootStatus.DEAD, "n-1": BootStatus.BOOTED}
        (report,) = [report for report in world.controller.report(STAR) if report.node == "n-0"]
        assert (report.is_stopped, report.status.reason) == (True, "stopped by `benito node stop`")
        (done,) = world.controller.links.repair(STAR)
        assert done.nodes == ()
        assert "n-0" not in world.nodes.alive
        assert world.change(NodeChange.STOP, "n-0") == []
        assert world.change(NodeChange.START, "n-0", "n-1") == ["n-0"]
        assert world.boots() == dict.fromkeys(ALL, BootStatus.BOOTED)
        assert world.nodes.files == {"center": 1, "n-0": 2, "n-1": 1}
        assert set(world.nodes.released) == ALL

    def test_a_restart_keeps_files_and_a_rebuild_does_not(self, world: World) -> None:
        assert world.change(NodeChange.RESTART, "n-1") == ["n-1"]
        assert world.nodes.files["n-1"] == 2
        assert world.change(NodeChange.REBUILD, "n-1") == ["n-1"]
        assert world.nodes.files == {"center": 1, "n-0": 1, "n-1": 1}
        assert world.boots() == dict.fromkeys(ALL, BootStatus.BOOTED)
        assert world.manager.stopped(STAR) == frozenset()

    def test_a_dry_run_says_what_it_would_do(self, world: World) -> None:
        world.change(NodeChange.STOP, "n-1")
        for what, named in ((NodeChange.STOP, ["center"]), (NodeChange.START, ["n-1"])):
            assert world.change(what, "center", "n-1", dry_run=True) == named
        assert world.change(NodeChange.REBUILD, "center", dry_run=True) == ["center"]
        assert set(world.nodes.alive) == {"center", "n-0"}

    def test_a_node_that_died_is_started_and_only_that_is_waited_for(self, world: World) -> None:
        world.nodes.become("n-0", NodeStatus(boot=BootStatus.DEAD))
        assert world.change(NodeChange.START, "n-0") == ["n-0"]
        world.nodes.become("center", NodeStatus(boot=BootStatus.RUNNING))
        (report,) = world.controller.nodes.wait_booted(STAR, seconds=0, names=["n-0"])
        assert (report.node, report.status.boot) == ("n-0", BootStatus.BOOTED)

    def test_a_stop_that_was_killed_is_finished_by_repair(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def killed(plan: PnodePlan, node: NodePlan) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(world.nodes, "stop", killed)
            with pytest.raises(Killed):
                world.change(NodeChange.STOP, "n-0")
        assert world.boots()["n-0"] is BootStatus.BOOTED
        world.nodes.become("n-1", NodeStatus(boot=BootStatus.DEAD))
        world.controller.links.repair(STAR)
        assert set(world.nodes.alive) == {"center", "n-1"}

    def test_nothing_runs_in_a_stopped_node(self, world: World) -> None:
        world.change(NodeChange.STOP, "n-0")
        with pytest.raises(NodeManagerError, match="n-0 is stopped") as refused:
            world.controller.nodes.argv(STAR, "n-0", ["ls"], terminal=False)
        assert refused.value.hint == "benito node start lab/star n-0"
        assert world.controller.nodes.console_argv(STAR, "n-1") == ["echo", "console", "n-1"]

    def test_others_links_stay_as_they_are(self, world: World) -> None:
        world.links.calls.clear()
        world.change(NodeChange.RESTART, "n-0")
        assert world.links.calls == ["plug ", "plug "]

    def test_only_what_is_up_is_changed(self, world: World) -> None:
        world.store.begin(STAR, ExperimentState.ACTIVATING)
        with pytest.raises(UsageError, match="lab/star is activating, not up"):
            world.change(NodeChange.STOP, "n-0")


def test_nodes_are_chosen_by_pattern_and_name(world: World) -> None:
    choose = world.controller.nodes.choose
    assert choose(STAR, ["N-*"]) == ["n-0", "n-1"]
    assert choose(STAR, ["n-1", "center.star.lab"]) == ["center", "n-1"]
    with pytest.raises(UsageError, match="fits 'x'"):
        choose(STAR, ["center", "x"])


def test_logs_are_read_from_an_offset(world: World) -> None:
    world.nodes.logs["n-0", NodeLog.ERR] = b"hello"
    assert world.controller.nodes.read_log(STAR, "n-0", NodeLog.ERR, 1, 3) == b"ell"
    with pytest.raises(UsageError, match="has no node x"):
        world.controller.nodes.read_log(STAR, "x", NodeLog.ERR, 0, 1)


class TestWaiting:
    def test_it_ends_with_the_event_and_not_with_the_next_poll(self, world: World) -> None:
        world.nodes.become("n-0", NodeStatus(boot=BootStatus.RUNNING))
        booted: list[float] = []

        def boot() -> None:
            while not world.nodes.watchers:
                time.sleep(0.001)
            time.sleep(0.3)  # it waits for an event by now
            booted.append(time.monotonic())
            world.nodes.become("n-0", NodeStatus(boot=BootStatus.BOOTED))

        thread = threading.Thread(target=boot)
        thread.start()
        looks: list[str] = []
        reports = world.controller.nodes.wait_booted(STAR, seconds=60, progress=lambda *said: looks.append(str(said)))
        took = time.monotonic() - booted[0]
        thread.join()
        assert all(report.is_settled for report in reports)
        assert looks == ["('boot', 2, 3)", "('boot', 3, 3)"]
        assert took < 1.5
        assert world.nodes.watchers == []

    def test_a_lost_event_costs_two_seconds_at_most(self, world: World) -> None:
        world.nodes.become("n-0", NodeStatus(boot=BootStatus.RUNNING))
        timer = threading.Timer(0.2, lambda: world.nodes.alive.update({"n-0": NodeStatus(boot=BootStatus.BOOTED)}))
        timer.start()
        reports = world.controller.nodes.wait_booted(STAR, seconds=60)
        assert all(report.is_settled for report in reports)

    def test_it_gives_up_in_time(self, world: World) -> None:
        world.nodes.become("n-0", NodeStatus(boot=BootStatus.RUNNING))
        began = time.monotonic()
        reports = world.controller.nodes.wait_booted(STAR, seconds=0.3)
        assert time.monotonic() - began < 2
        assert [report.node for report in reports if not report.is_settled] == ["n-0"]


class TestBarrier:
    @pytest.fixture(autouse=True)
    def held(self, world: World) -> None:
        world.controller.down(STAR)
        real = world.manager.apply
        world.manager.apply = lambda plan, *rest, **more: real(replace(plan, barrier=True), *rest, **more)  # type: ignore[method-assign]
        world.nodes.first = BootStatus.RUNNING
        world.up()
        world.manager.apply = real  # type: ignore[method-assign]
        world.replan(barrier=True)

    def boot(self, world: World, *names: str) -> None:
        for name in names:
            world.nodes.become(name, NodeStatus(boot=BootStatus.BOOTED))

    def test_all_begin_at_one_moment_when_all_are_booted(self, world: World) -> None:
        assert world.nodes.released == {}
        assert {report.is_held for report in world.controller.report(STAR)} == {True}
        self.boot(world, *ALL)
        world.controller.nodes.wait_booted(STAR, seconds=5)
        assert set(world.nodes.released) == ALL
        (moment,) = set(world.nodes.released.values())
        assert moment is not None
        assert moment > time.time()
        assert {report.is_held for report in world.controller.report(STAR)} == {False}

    def test_nobody_begins_where_not_all_are_booted_in_time_and_repair_lets_them(self, world: World) -> None:
        self.boot(world, "center", "n-0")
        world.controller.nodes.wait_booted(STAR, seconds=0)
        assert world.nodes.released == {}
        world.controller.links.repair(STAR, dry_run=True)
        world.controller.links.repair(STAR, links_only=True)
        assert world.nodes.released == {}
        world.controller.links.repair(STAR)
        assert set(world.nodes.released) == ALL

    def test_the_last_node_may_be_one_that_is_started_later(self, world: World) -> None:
        self.boot(world, "center", "n-0")
        world.change(NodeChange.RESTART, "n-1")
        assert world.nodes.released == {}
        self.boot(world, "n-1")
        world.controller.nodes.wait_booted(STAR, seconds=0, names=["n-1"])
        assert set(world.nodes.released) == ALL

    def test_who_is_started_after_it_begins_at_once(self, world: World) -> None:
        self.boot(world, *ALL)
        world.controller.nodes.wait_booted(STAR, seconds=5)
        world.change(NodeChange.RESTART, "n-1")
        assert world.nodes.released["n-1"] is None

    def test_a_release_that_was_killed_is_finished_by_repair(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.boot(world, *ALL)

        def killed(plan: PnodePlan, node: NodePlan, moment: float | None = None) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(world.nodes, "release", killed)
            with pytest.raises(Killed):
                world.controller.nodes.wait_booted(STAR, seconds=5)
        world.controller.links.repair(STAR)
        assert set(world.nodes.released) == ALL


class TestSwapping:
    def test_state_is_kept_and_gone_on_with(self, each_kind: World) -> None:
        world = each_kind
        world.controller.links.change(STAR, LinkChange(link="link0", delay_us=5000))
        plan = world.store.get(STAR).parts()
        world.controller.swap_out(STAR)
        assert (world.nodes.alive, world.nodes.suspended, world.links.plugged) == ({}, ALL, set())
        record = world.store.get(STAR)
        assert (record.state, record.is_kept, record.parts()) == (ExperimentState.SWAPPED, True, plan)
        assert world.boots() == dict.fromkeys(ALL, BootStatus.DEAD)
        world.controller.swap_in(STAR)
        record = world.store.get(STAR)
        assert (record.state, record.is_kept, record.parts()) == (ExperimentState.ACTIVE, False, plan)
        assert world.nodes.files == dict.fromkeys(ALL, 2)
        assert world.links.plugged == {"link0", "link1"}

    def test_up_of_the_same_file_goes_on_and_another_is_refused(self, world: World) -> None:
        world.controller.swap_out(STAR)
        for other, data in ((world.experiment(3), DATA), (world.experiment(), b"other")):
            with pytest.raises(ExperimentExists, match="lab/star is swapped out") as refused:
                world.controller.up(other, data=data)
            assert refused.value.hint is not None
            assert "benito resume lab/star" in refused.value.hint
        assert world.nodes.suspended == ALL
        world.up()
        assert world.nodes.files == dict.fromkeys(ALL, 2)
        assert world.store.get(STAR).state is ExperimentState.ACTIVE

    def test_down_forgets_it(self, world: World) -> None:
        world.controller.swap_out(STAR)
        world.controller.down(STAR)
        assert world.nodes.files == {}
        assert world.controller.experiments() == []
        assert not (world.paths.root / "exp").exists()

    @pytest.mark.parametrize("goes_on", [True, False])
    def test_a_swap_out_that_was_killed_is_finished_by_the_same_or_undone(
        self, world: World, monkeypatch: pytest.MonkeyPatch, *, goes_on: bool
    ) -> None:
        def killed(experiment: object, group: int) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(world.links, "remove", killed)
            with pytest.raises(Killed):
                world.controller.swap_out(STAR)
        assert world.store.get(STAR).state is ExperimentState.SWAPPING
        if goes_on:
            world.controller.swap_out(STAR)
            assert world.store.get(STAR).state is ExperimentState.SWAPPED
        world.up()
        assert world.nodes.files == dict.fromkeys(ALL, 2)
        assert world.boots() == dict.fromkeys(ALL, BootStatus.BOOTED)

    def test_a_swap_in_that_was_killed_keeps_the_state(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.controller.swap_out(STAR)
        with monkeypatch.context() as patched:
            patched.setattr(world.store, "begin", lambda experiment, state, *, keep=False: None)
            world.controller.swap_in(STAR)
        world.store.begin(STAR, ExperimentState.ACTIVATING, keep=True)
        world.controller.swap_out(STAR)
        assert world.nodes.suspended == ALL
        world.controller.swap_in(STAR)
        assert world.nodes.files == dict.fromkeys(ALL, 3)

    def test_a_swap_in_that_fails_is_swapped_out_again(self, world: World) -> None:
        world.controller.swap_out(STAR)
        world.nodes._failing = frozenset({"n-1"})
        with pytest.raises(HypervisorError, match="n-1 does not start"):
            world.up()
        record = world.store.get(STAR)
        assert (record.state, record.is_kept) == (ExperimentState.SWAPPED, True)
        assert world.nodes.suspended == ALL
        world.nodes._failing = frozenset()
        world.controller.swap_in(STAR)
        assert world.boots() == dict.fromkeys(ALL, BootStatus.BOOTED)

    def test_a_stopped_node_stays_stopped(self, world: World) -> None:
        world.change(NodeChange.STOP, "n-0")
        world.controller.swap_out(STAR)
        world.controller.swap_in(STAR)
        assert set(world.nodes.alive) == {"center", "n-1"}
        assert all(report.is_settled for report in world.controller.nodes.wait_booted(STAR, seconds=5))

    def test_only_what_is_up_is_swapped_out_and_only_that_in(self, world: World) -> None:
        with pytest.raises(UsageError, match="lab/star is active"):
            world.controller.swap_in(STAR)
        world.store.begin(STAR, ExperimentState.ACTIVATING)
        with pytest.raises(UsageError, match="lab/star is activating, not up"):
            world.controller.swap_out(STAR)

    def test_commands_for_what_is_up_say_how_to_go_on(self, world: World) -> None:
        world.controller.swap_out(STAR)
        for work in (
            lambda: world.change(NodeChange.STOP, "n-0"),
            lambda: world.controller.nodes.argv(STAR, "n-0", [], terminal=False),
            lambda: world.controller.links.repair(STAR),
        ):
            with pytest.raises(UsageError, match="swapped") as refused:
                work()
            assert refused.value.hint == "benito resume lab/star"
