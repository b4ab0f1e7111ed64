"""Dead nodes that are started again: when, how often, and by one process only."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from builders import STAR, experiment, star
from fakes import FakeLinks, FakeNodes

from benito.changing import Changing
from benito.controller import Controller
from benito.locks import experiment_lock
from benito.model import Kind
from benito.nodecontrol import NodeChange
from benito.nodemanager import NodeManager
from benito.nodesettings import Restart, RestartPolicy
from benito.paths import StatePaths
from benito.plan import ExperimentPlan
from benito.restarts import NEVER, Tries, read_tries, wants_restart
from benito.status import BootStatus, Ending, EndWord, NodeStatus
from benito.store import ExperimentState, Store
from benito.supervisor import Supervisor
from benito.testbeds.local import LocalTestbed
from benito.watchman import Watchman

DEAD = NodeStatus(boot=BootStatus.DEAD, reason="it was killed", exit_code=137)


class World:
    """An experiment over fakes whose node n-0 has a restart policy, its supervisor, and the time."""

    def __init__(self, root: Path, restart: Restart) -> None:
        self.paths = StatePaths(root)
        self.nodes = FakeNodes(Kind.OPENVZ)
        self.store = Store(self.paths.store)
        manager = NodeManager(self.paths, FakeLinks(), {Kind.OPENVZ: self.nodes}, lambda: None)
        self.controller = Controller(self.paths, self.store, LocalTestbed(manager))
        self.controller.up(experiment(star(2)), data=b"")
        (part,) = self.store.get(STAR).parts()
        nodes = tuple(replace(node, restart=restart) if node.name == "n-0" else node for node in part.nodes)
        part = replace(part, nodes=nodes)
        self.store.replan(STAR, ExperimentPlan(experiment=STAR, pnodes=(part,)))
        self.paths.plan(STAR).write_bytes(part.to_json().encode())
        self.time = 1_000_000.0
        self.supervisor = Supervisor(self.controller, self.paths, STAR, lambda: self.time)

    def die(self, *names: str, status: NodeStatus = DEAD) -> None:
        for name in names or ("n-0",):
            self.nodes.become(name, status)

    def lives(self) -> bool:
        return self.nodes.alive["n-0"].boot is BootStatus.BOOTED

    def waited(self) -> float:
        """How long the supervisor lets the dead node wait; time passes meanwhile."""
        seconds = self.supervisor.look()
        assert seconds is not None
        assert not self.lives()
        self.time += seconds
        self.supervisor.look()
        assert self.lives()
        return seconds

    def log(self) -> str:
        return (self.paths.experiment(STAR) / "restarts.log").read_text()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, Restart(policy=RestartPolicy.ALWAYS, most=9))


def test_the_waits_double_to_a_minute_and_tries_end(world: World) -> None:
    waits = []
    for _ in range(9):
        world.die()
        waits.append(world.waited())
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    world.die()
    assert world.supervisor.look() == float("inf")
    world.time += 1000
    world.supervisor.look()
    assert not world.lives()
    (report,) = [report for report in world.controller.report(STAR) if report.node == "n-0"]
    assert (report.restarts, report.status.reason) == (9, "it was killed; not started again after 9 tries")
    assert world.log().count("not started again") == 1
    assert "n-0: started again, try 9" in world.log()


def test_an_hour_of_quiet_forgets_the_tries_before_it(world: World) -> None:
    for _ in range(3):
        world.die()
        world.waited()
    world.supervisor.look()
    world.time += 3600
    world.die()
    assert world.waited() == 1
    assert read_tries(world.paths, STAR)["n-0"].total == 4


def test_somebody_who_starts_it_begins_anew(world: World) -> None:
    for _ in range(9):
        world.die()
        world.waited()
    world.die()
    world.supervisor.look()
    world.controller.nodes.change(STAR, ["n-0"], NodeChange.START)
    world.supervisor.look()
    world.die()
    assert world.waited() == 1


def test_only_nodes_with_a_policy_that_nobody_stopped_are_started(world: World) -> None:
    world.die("n-1")
    world.controller.nodes.change(STAR, ["n-0"], NodeChange.STOP)
    for _ in range(2):
        world.supervisor.look()
        world.time += 100
    assert "n-0" not in world.nodes.alive
    assert world.nodes.alive["n-1"] == DEAD


def test_a_node_that_came_back_is_left_alone(world: World) -> None:
    world.die()
    world.supervisor.look()
    world.controller.links.repair(STAR)
    world.time += 100
    world.supervisor.look()
    assert world.nodes.files["n-0"] == 2
    assert read_tries(world.paths, STAR) == {}


def test_a_try_while_another_command_is_at_it_is_not_counted(world: World) -> None:
    world.die()
    world.supervisor.look()
    world.time += 1
    with experiment_lock(world.paths, STAR):
        assert world.supervisor.look() == 1
    assert read_tries(world.paths, STAR) == {}
    assert world.waited() == 1


def test_a_start_that_fails_is_a_try(world: World) -> None:
    world.die()
    world.supervisor.look()
    world.nodes._failing = frozenset({"n-0"})
    world.time += 1
    world.supervisor.look()
    assert "n-0 does not start" in world.log()
    world.nodes._failing = frozenset()
    assert world.waited() == 2


def test_a_supervisor_that_was_killed_remembers(world: World) -> None:
    for _ in range(3):
        world.die()
        world.waited()
    world.supervisor = Supervisor(world.controller, world.paths, STAR, lambda: world.time)
    world.die()
    assert world.waited() == 8


def test_it_is_over_when_the_experiment_is(world: World) -> None:
    world.controller.swap_out(STAR)
    assert world.supervisor.look() is None
    world.controller.down(STAR)
    assert world.supervisor.look() is None
    assert not world.paths.experiment(STAR).exists()


@pytest.mark.parametrize(
    ("policy", "code", "ended", "wanted"),
    [
        (RestartPolicy.NEVER, 1, None, False),
        (RestartPolicy.ALWAYS, 0, 0, True),
        (RestartPolicy.ON_FAILURE, 0, 0, False),
        (RestartPolicy.ON_FAILURE, None, 0, False),
        (RestartPolicy.ON_FAILURE, 3, 0, True),
        (RestartPolicy.ON_FAILURE, None, 1, True),
        (RestartPolicy.ON_FAILURE, 0, None, True),
        (RestartPolicy.ON_FAILURE, None, None, True),
    ],
)
def test_policies(policy: RestartPolicy, code: int | None, ended: int | None, *, wanted: bool) -> None:
    last = None if ended is None else Ending(word=EndWord.POWEROFF, exit_code=ended)
    status = NodeStatus(boot=BootStatus.DEAD, exit_code=code, ended=last)
    assert wants_restart(Restart(policy=policy), status) is wanted


def test_what_cannot_be_read_counts_as_nothing_tried(world: World) -> None:
    for text in ("", "[]", '{"n-0": {"count": -'):
        (world.paths.experiment(STAR) / "restarts.json").write_text(text)
        assert read_tries(world.paths, STAR) == {}
    assert NEVER.at_death(5.0) == Tries()


class TestWatchman:
    """The process itself: a child that holds the file and waits."""

    SLEEPER = (
        "import sys, time; from pathlib import Path; from benito.watchman import Watchman\n"
        "from benito.paths import StatePaths; from benito.names import ExperimentId\n"
        "with Watchman(StatePaths(Path(sys.argv[1]))).held(ExperimentId.parse(sys.argv[2])) as mine:\n"
        "    print(mine, flush=True)\n"
        "    while mine: time.sleep(1)\n"
    )

    def sleeper(self, world: World) -> "subprocess.Popen[str]":
        words = [sys.executable, "-c", self.SLEEPER, str(world.paths.root), str(STAR)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().strip() in ("True", "False")
        return process

    def test_there_is_one_and_it_can_be_ended(self, world: World) -> None:
        watchman = Watchman(world.paths)
        with self.sleeper(world) as first, self.sleeper(world) as second:
            assert second.wait(timeout=60) == 0
            with watchman.held(STAR) as mine:
                assert not mine
            watchman.end(STAR)
            assert first.wait(timeout=60) != 0
        watchman.end(STAR)
        with watchman.held(STAR) as mine:
            assert mine
            assert watchman.is_mine(STAR)

    def test_one_that_was_killed_is_none(self, world: World) -> None:
        with self.sleeper(world) as process:
            process.kill()
        Watchman(world.paths).end(STAR)
        with Watchman(world.paths).held(STAR) as mine:
            assert mine

    def test_a_process_that_only_has_its_number_is_left_alone(self, world: World) -> None:
        with subprocess.Popen(["sleep", "100"]) as other:
            (world.paths.experiment(STAR) / "watchman").write_text(f"{other.pid} 1\n")
            Watchman(world.paths).end(STAR)
            assert other.poll() is None
            other.kill()

    def test_commands_end_it_and_have_it_go_on(self, world: World, tmp_path: Path) -> None:
        marker = tmp_path / "started"
        watchman = Watchman(world.paths, ["touch", str(marker), "--"])
        changing = Changing(world.paths, world.store, watchman)
        with self.sleeper(world) as process, changing.active(STAR):
            assert process.poll() is not None
            assert not marker.exists()
        deadline = time.monotonic() + 60
        while not marker.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        marker.unlink()
        world.store.begin(STAR, ExperimentState.SWAPPING)
        with changing.any(STAR):
            pass
        assert not marker.exists()
