"""The whole flow over drivers that remember: up, failure, crash, down."""

import sqlite3
from pathlib import Path

import pytest
from builders import STAR, experiment, star, topology
from fakes import FakeLinks, FakeNodes

from benito.controller import Controller, default_name
from benito.errors import (
    ExperimentExists,
    ExperimentMissing,
    HypervisorError,
    KernelFeatureMissing,
    StoreError,
    TestbedError,
    UsageError,
)
from benito.execute import execute
from benito.locks import experiment_lock
from benito.model import Kind
from benito.names import ExperimentId
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.planner import Experiment, resolve
from benito.policy import Policy
from benito.seams import Lack
from benito.segments import Segment
from benito.site import Network, PnodeType, Site, TrunkKind
from benito.status import BootStatus
from benito.store import ExperimentState, Store
from benito.testbeds.local import LocalTestbed


class World:
    """A controller over fakes, in a folder of its own."""

    def __init__(self, root: Path, *, lacks: tuple[Lack, ...] = (), failing: frozenset[str] = frozenset()) -> None:
        self.paths = StatePaths(root)
        self.links = FakeLinks(lacks)
        self.nodes = FakeNodes(Kind.OPENVZ, failing)
        self.store = Store(self.paths.store)
        manager = NodeManager(self.paths, self.links, {Kind.OPENVZ: self.nodes})
        self.controller = Controller(self.paths, self.store, LocalTestbed(manager))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_up_starts_plugs_releases_and_reports_every_node(world: World) -> None:
    world.controller.up(experiment(star(2)), data=b"")
    reports = world.controller.nodes.wait_booted(STAR, seconds=5)
    assert {report.node: report.status.boot for report in reports} == dict.fromkeys(
        ("center", "n-0", "n-1"), BootStatus.BOOTED
    )
    assert set(world.nodes.released) == {"center", "n-0", "n-1"}
    assert world.store.get(STAR).state is ExperimentState.ACTIVE


def test_down_leaves_nothing_behind(world: World) -> None:
    world.controller.up(experiment(star(2)), data=b"")
    world.controller.down(STAR)
    assert world.nodes.alive == {}
    assert world.links.plugged == set()
    assert world.controller.experiments() == []
    assert not (world.paths.root / "exp").exists()


def test_a_name_that_is_taken_is_refused_also_in_another_case(world: World) -> None:
    world.controller.up(experiment(star(1)), data=b"")
    for name in (STAR, ExperimentId("LAB", "Star")):
        with pytest.raises(ExperimentExists, match="lab/star exists already"):
            world.controller.up(experiment(star(1), name), data=b"")


def test_what_cannot_be_shaped_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    lack = Lack(missing="netem", element="link link0", hint="load sch_netem", shaping=True)
    world = World(tmp_path, lacks=(lack,))
    with pytest.raises(KernelFeatureMissing, match="link link0: needs netem"):
        world.controller.up(experiment(star(1)), data=b"")
    assert not world.paths.store.exists()
    assert list(world.controller.up(experiment(star(1), allow_unshaped=True), data=b"")) == [lack]


def test_a_failed_up_is_taken_down_again(tmp_path: Path) -> None:
    world = World(tmp_path, failing=frozenset({"n-1"}))
    with pytest.raises(HypervisorError, match="n-1 does not start"):
        world.controller.up(experiment(star(3)), data=b"")
    assert world.nodes.alive == {}
    assert world.controller.experiments() == []


def test_an_up_that_was_killed_is_taken_up_again_or_down(world: World) -> None:
    world.controller.up(experiment(star(2)), data=b"")
    world.store.begin(STAR, ExperimentState.ACTIVATING)
    del world.nodes.alive["n-0"]
    world.controller.up(experiment(star(2)), data=b"")
    assert set(world.nodes.alive) == {"center", "n-0", "n-1"}
    assert world.store.get(STAR).generation == 2


def test_a_down_that_was_killed_is_finished_by_up(world: World) -> None:
    world.controller.up(experiment(star(2)), data=b"")
    world.store.begin(STAR, ExperimentState.SWAPPING)
    world.controller.up(experiment(star(1)), data=b"")
    assert set(world.nodes.alive) == {"center", "n-0"}


def test_down_works_when_the_store_is_lost(world: World) -> None:
    world.controller.up(experiment(star(2)), data=b"")
    world.store.remove(STAR)
    world.controller.down(STAR)
    assert world.nodes.alive == {}
    with pytest.raises(ExperimentMissing):
        world.controller.down(STAR)


def test_one_command_at_a_time_changes_an_experiment(world: World) -> None:
    with experiment_lock(world.paths, STAR), pytest.raises(StoreError, match="another command is changing lab/star"):
        world.controller.up(experiment(star(1)), data=b"")
    world.controller.up(experiment(star(1)), data=b"")


def test_a_hypervisor_that_cannot_be_asked_makes_its_nodes_unknown(world: World) -> None:
    world.controller.up(experiment(star(1)), data=b"")
    world.nodes.unreachable = True
    status = world.controller.status(STAR)
    assert [(state.boot, state.exit_code) for state in status["hv:fake:pnode-0000"].values()] == [(None, None)] * 2


def test_nodes_are_found_by_short_and_long_name(world: World) -> None:
    world.controller.up(experiment(star(1)), data=b"")
    world.controller.up(experiment(topology({"l": "center x"}), ExperimentId("lab", "two")), data=b"")
    assert world.controller.find_node("N-0") == (STAR, "n-0")
    assert world.controller.find_node("center.two.lab") == (ExperimentId("lab", "two"), "center")
    with pytest.raises(UsageError, match="ambiguous"):
        world.controller.find_node("center")
    with pytest.raises(UsageError, match="no running experiment has a node nobody"):
        world.controller.find_node("nobody")


def test_exec_runs_where_the_pattern_fits(world: World) -> None:
    world.controller.up(experiment(star(2)), data=b"")
    outcomes = execute(world.controller, STAR, "n-*", ["hello"], seconds=10)
    assert [(one.node, one.exit_code, one.output) for one in outcomes] == [
        ("n-0", 0, "n-0 hello\n"),
        ("n-1", 0, "n-1 hello\n"),
    ]
    with pytest.raises(UsageError, match="fits 'x'"):
        execute(world.controller, STAR, "x", ["hello"], seconds=10)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/star.ns", "star"), ("my topology.v2.xml", "my-topology"), ("...", "experiment"), ("x" * 40, "x" * 32)],
)
def test_an_experiment_is_named_after_its_file(path: str, name: str) -> None:
    assert default_name(Path(path)) == name


def test_a_store_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.controller.up(experiment(star(1)), data=b"")
    with sqlite3.connect(world.paths.store) as database:
        database.execute("ALTER TABLE experiment DROP COLUMN pnodes")
        database.execute("PRAGMA user_version = 1")
    database.close()
    again = World(tmp_path)
    again.controller.down(STAR)
    assert again.controller.experiments() == []


def test_a_plan_of_another_version_stops_nobody_else(world: World) -> None:
    world.controller.up(experiment(star(1)), data=b"")
    other = ExperimentId("lab", "two")
    world.controller.up(experiment(star(1), other), data=b"")
    with sqlite3.connect(world.paths.store) as database:
        database.execute("UPDATE experiment SET plan = '{\"version\": 99}' WHERE eid = 'star'")
    database.close()
    assert world.controller.find_node("center.two") == (other, "center")
    with pytest.raises(StoreError, match="the plan of lab/star is of another version"):
        world.controller.status(STAR)
    world.controller.down(STAR)
    assert [record.id for record in world.controller.experiments()] == [other]


class TestTrunkIds:
    """On the local testbed no LAN is cut, so the experiment's embedding is made up."""

    NETWORK = Network(trunk=TrunkKind.VLAN, vlans=((100, 101),))

    @pytest.fixture(autouse=True)
    def two_pnodes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One manager for whatever pnode: what is tried here is the order of things, not the testbed."""
        monkeypatch.setattr("benito.controller.refusal", lambda _: None)
        monkeypatch.setattr(LocalTestbed, "node_manager", lambda testbed, _: testbed._node_manager)

    def cut(self, name: ExperimentId, lans: dict[str, str]) -> Experiment:
        site = Site(name="two", pnode_types=(PnodeType(name="pc", count=2),), network=self.NETWORK)
        return resolve(name, topology(lans), Policy(size=2, nodes_only=True), site)

    def ids(self, world: World, name: ExperimentId) -> set[int]:
        parts = world.store.get(name).parts()
        return {link.trunk.id for part in parts for link in part.links if link.trunk}

    def test_each_experiment_has_its_own_and_gives_it_back(self, world: World) -> None:
        two = ExperimentId("lab", "two")
        world.controller.up(self.cut(STAR, {"l": "a b"}), data=b"")
        world.controller.up(self.cut(two, {"l": "a b"}), data=b"")
        assert (self.ids(world, STAR), self.ids(world, two)) == ({100}, {101})
        with pytest.raises(TestbedError, match="1 LANs are cut and need VLANs of their own"):
            world.controller.up(self.cut(ExperimentId("lab", "three"), {"l": "a b"}), data=b"")
        assert {record.id for record in world.controller.experiments()} == {STAR, two}
        world.controller.down(STAR)
        world.controller.up(self.cut(ExperimentId("lab", "three"), {"l": "a b"}), data=b"")
        assert self.ids(world, ExperimentId("lab", "three")) == {100}

    def test_what_a_pnode_still_carries_is_not_given_again(self, world: World) -> None:
        world.controller.up(self.cut(STAR, {"l": "a b"}), data=b"")
        world.links.carried = {Segment(TrunkKind.VLAN, 100)}
        world.controller.down(STAR)
        world.controller.up(self.cut(STAR, {"l": "a b"}), data=b"")
        assert self.ids(world, STAR) == {101}
        world.controller.down(STAR)
        world.links.carried = set()
        world.controller.up(self.cut(STAR, {"l": "a b"}), data=b"")
        assert self.ids(world, STAR) == {100}

    def test_pnodes_without_addresses_are_refused_before_anything_is_touched(self, world: World) -> None:
        site = Site(name="two", pnode_types=(PnodeType(name="pc", count=2),))
        tunnelled = resolve(STAR, topology({"l": "a b"}), Policy(size=2, nodes_only=True), site)
        with pytest.raises(TestbedError, match="no experiment address of pnode-0000, pnode-0001"):
            world.controller.up(tunnelled, data=b"")
        assert not world.paths.store.exists()

    def test_an_up_that_was_killed_keeps_its_ids(self, world: World) -> None:
        world.controller.up(self.cut(STAR, {"l": "a b"}), data=b"")
        world.store.begin(STAR, ExperimentState.ACTIVATING)
        world.controller.up(self.cut(STAR, {"l": "a b"}), data=b"")
        assert self.ids(world, STAR) == {100}
